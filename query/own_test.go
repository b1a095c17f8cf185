package query

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/minamo-flow/minamo/flow"
)

var ownNames = Names{
	Networks: []NetworkName{
		{1, "office", "", "Tokyo"},
		{2, "O'Brien <b>", "Acme", "Osaka"},
		{3, "acme lab", "Acme", "Tokyo"},
	},
	Interfaces: map[InterfaceID]string{
		{netip.MustParseAddr("192.0.2.1"), 7}: "xe-0/0/7",
		{netip.MustParseAddr("192.0.2.2"), 7}: "Ethernet7",
	},
	Roles: map[InterfaceID]string{
		{netip.MustParseAddr("192.0.2.1"), 7}: "external",
		{netip.MustParseAddr("192.0.2.1"), 8}: "core",
		{netip.MustParseAddr("192.0.2.2"), 7}: "customer",
	},
	Exporters: map[netip.Addr]string{netip.MustParseAddr("192.0.2.1"): "tokyo-1"},
	ASes:      &asNames{64496, "Example Net"},
}

type asNames struct {
	asn  uint32
	name string
}

func (n *asNames) ASName(asn uint32) string {
	if asn == n.asn {
		return n.name
	}
	return ""
}

// ownFlows are flows that have the numbers of ownNames.
func ownFlows(t *testing.T, e *Engine) Files {
	t.Helper()
	start := uint64(time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC).UnixMilli())
	b := flow.NewBatch(8)
	for i, f := range []struct {
		exporter         string
		in, src, dst, as uint64 // 0 is absent
		country          string
		bytes            uint64
	}{
		{"192.0.2.1", 7, 1, 2, 64496, "JP", 100},
		{"192.0.2.1", 8, 2, 1, 64497, "IN", 200},
		{"192.0.2.2", 7, 3, 0, 64496, "JP", 400},
		{"192.0.2.3", 7, 9, 3, 0, "", 800}, // nobody has number 9
	} {
		b.Extend(1)
		b.SetUint(flow.Received, i, start)
		b.SetAddr(flow.Exporter, i, flow.AddrFrom(netip.MustParseAddr(f.exporter)))
		b.SetUint(flow.ExportProtocol, i, flow.IPFIX)
		b.SetUint(flow.ObservationDomain, i, 0)
		b.SetUint(flow.Start, i, start)
		b.SetUint(flow.End, i, start+1000)
		b.SetUint(flow.Packets, i, 1)
		b.SetUint(flow.Bytes, i, f.bytes)
		b.SetUint(flow.SamplingRate, i, 1)
		b.SetUint(flow.SamplingSource, i, flow.SamplingAssumed)
		for c, v := range map[flow.Column]uint64{flow.InIf: f.in, flow.SrcNetwork: f.src, flow.DstNetwork: f.dst, flow.SrcAS: f.as} {
			if v != 0 {
				b.SetUint(c, i, v)
			}
		}
		if f.country != "" {
			b.SetUint(flow.SrcCountry, i, uint64(flow.Country(f.country[0], f.country[1])))
		}
	}
	return writeParquet(t, e, b)
}

func TestNumbersHaveNames(t *testing.T) {
	e := newEngine(t)
	src := ownFlows(t, e)
	if err := e.SetNames(t.Context(), ownNames); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ by, want string }{
		{"src_network", "9=800; acme lab=400; O'Brien <b>=200; office=100"},
		{"network", "acme lab=1200; 9=800; —=400; office=300; O'Brien <b>=300"},
		{"src_customer", "—=900; Acme=600"},
		{"src_site", "—=800; Tokyo=500; Osaka=200"},
		{"site", "Tokyo=1500; —=1200; Osaka=300"},
		{"exporter", "192.0.2.3=800; 192.0.2.2=400; 192.0.2.1 tokyo-1=300"},
		{"exporter,in_if", "192.0.2.3, if 7=800; 192.0.2.2, Ethernet7 (if 7)=400; 192.0.2.1 tokyo-1, if 8=200; 192.0.2.1 tokyo-1, xe-0/0/7 (if 7)=100"},
		{"in_if", "if 7=1300; if 8=200"}, // of which exporter is not asked
		{"in_role", "—=800; customer=400; core=200; external=100"},
		{"src_as", "—=800; AS64496 Example Net=500; AS64497=200"},
		{"src_country", "—=800; JP=500; IN=200"},
	} {
		table, err := e.Top(t.Context(), src, Request{By: dimensionsOf(t, c.by), Order: ByBytes})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, row := range table.Rows {
			got = append(got, label(row.Key)+"="+strconv.FormatUint(row.Bytes, 10))
		}
		if text := strings.Join(got, "; "); text != c.want {
			t.Errorf("by %s: %s, expected %s", c.by, text, c.want)
		}
	}
	for filter, want := range map[string]uint64{
		"src network office":                  100,
		`network "O'Brien <b>"`:               300,
		"customer Acme":                       1500,
		"src customer Acme and site Tokyo":    600,
		"not src site present":                800,
		"dst site ~ '^To'":                    1000,
		"in role external":                    100,
		"in if 'xe-0/0/7'":                    100,
		`if != "xe-0/0/7" and in if 7`:        1200,
		"in if in ['xe-0/0/7' 'Ethernet7']":   500,
		"in if ~ '^Eth'":                      400,
		"in if contains net":                  400,
		"in if 8 or if 'Ethernet7'":           600,
		"in role in [external customer]":      500,
		"not in role present":                 800,
		"out role present":                    0,
		"country JP":                          500,
		"src country 'IN'":                    200,
		"country in [JP IN]":                  700,
		"src_network 9 or dst network office": 1000,
	} {
		table, err := e.Top(t.Context(), src, Request{Filter: filterOf(t, filter)})
		if err != nil {
			t.Fatal(err)
		}
		if table.Total.Bytes != want {
			t.Errorf("%s: %d bytes, expected %d", filter, table.Total.Bytes, want)
		}
	}

	// Another name is true of the past.
	again := ownNames
	again.Networks = slices.Clone(again.Networks)
	again.Networks[0].Name = "head office"
	if err := e.SetNames(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	if table, err := e.Top(t.Context(), src, Request{Filter: filterOf(t, "src network 'head office'")}); err != nil || table.Total.Bytes != 100 {
		t.Errorf("after renaming: %+v, %v", table, err)
	}
}
