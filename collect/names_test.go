package collect

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/wire/netflow"
	"github.com/minamo-flow/minamo/wire/sflow"
)

// text fills n 16-bit words with a text and zeros.
func text(n int, s string) []uint16 {
	b := make([]byte, 2*n)
	copy(b, s)
	words := make([]uint16, n)
	for i := range words {
		words[i] = binary.BigEndian.Uint16(b[2*i:])
	}
	return words
}

func all(parts ...[]uint16) (words []uint16) {
	for _, p := range parts {
		words = append(words, p...)
	}
	return words
}

func TestNamesAreKept(t *testing.T) {
	log, logText := logged()
	e := NewExporters(ExporterConfig{}, log)
	b := flow.NewBatch(8)
	for _, datagram := range [][]byte{
		ipfix(0, 1,
			set(3, 300, 3, 1, 10, 4, 82, 8, 83, 12),
			set(3, 301, 3, 1, 234, 4, 236, 8, 90, 8),
			set(3, 302, 2, 1, 95, 4, 96, 8),
			set(3, 303, 2, 1, 95, 4, 372, 8),
			set(3, 304, 5, 3, 144, 4, 160, 8, 40, 8, 41, 8, 42, 8), // YAF has times and counters in the scope
			set(2, 400, 3, 1, 4, 2, 4, 9999, 4),
		),
		ipfix(0, 1,
			set(300, all([]uint16{0, 7}, text(4, "xe-0/0/0"), text(6, "to Osaka"), []uint16{0, 8}, text(4, "xe-0/0/1"), text(6, ""))...),
			set(301, all([]uint16{0, 3}, text(4, "red"), []uint16{0, 64496, 0, 100})...),
			set(302, all([]uint16{0x0d00, 0x01c5}, text(4, "youtube"))...),
			set(303, all([]uint16{0x0d00, 0x01c5}, text(4, "video"))...),
			set(304, 0, 5, 0, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0, 1000, 0, 0, 1, 0),
		),
		ipfix(6, 1, set(300, all([]uint16{0, 8}, text(4, "xe-0/0/1"), text(6, "spare"))...)),
	} {
		if err := e.Decode(datagram, exporterA, received, b); err != nil {
			t.Fatal(err)
		}
	}
	check := func(e *Exporters) ExporterDetails {
		t.Helper()
		d, ok := e.Details(exporterA)
		if !ok {
			t.Fatal("the exporter is not known")
		}
		for got, want := range map[string]string{
			fmt.Sprint(d.Interfaces):   "[{7 xe-0/0/0 to Osaka <nil>} {8 xe-0/0/1 spare <nil>}]",
			fmt.Sprint(d.VRFs):         "[{3 red 64496:100}]",
			fmt.Sprint(d.Applications): "[{218104261 youtube  video  }]",
		} {
			if got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		}
		var templates []string
		for _, of := range d.Templates {
			text := fmt.Sprint(of.Protocol, " ", of.Domain, " ", of.ID, " ", of.LastSeen.UnixMilli() == received, ":")
			for _, f := range of.Fields {
				text += fmt.Sprint(" ", cmp.Or(f.Name, f.Element), "(", f.Length, ")", map[bool]string{true: "*"}[f.Scope])
			}
			templates = append(templates, text)
		}
		want := []string{
			"ipfix 1 300 true: ingressInterface(4)* interfaceName(8) interfaceDescription(12)",
			"ipfix 1 400 true: octetDeltaCount(4) packetDeltaCount(4) 0/9999(4)",
		}
		for _, w := range want {
			if !slices.Contains(templates, w) || len(templates) != 6 {
				t.Errorf("templates\n%s\nwithout %s", strings.Join(templates, "\n"), w)
			}
		}
		return d
	}
	d := check(e)
	var counted []string
	for _, s := range d.Statistics {
		counted = append(counted, fmt.Sprint(s.Domain, " ", s.Scope, ": ", s.Name, " ", s.Value))
	}
	if got, want := strings.Join(counted, "; "), "1 exportingProcessId 5: exportedFlowRecordTotalCount(42) 65536; 1 exportingProcessId 5: exportedMessageTotalCount(41) 1000; 1 exportingProcessId 5: exportedOctetTotalCount(40) 9"; got != want {
		t.Errorf("statistics\ngot  %s\nwant %s", got, want)
	}
	if len(d.Skipped) != 1 || d.Skipped[0].Element != "0/9999" {
		t.Errorf("skipped: %+v", d.Skipped)
	}
	if n := strings.Count(logText(), "exporter names its interfaces"); n != 1 {
		t.Errorf("the log tells it %d times", n)
	}
	if !e.news.Swap(false) {
		t.Error("nothing to save")
	}
	// Told again, it is no news.
	e.Decode(ipfix(7, 1, set(300, all([]uint16{0, 8}, text(4, "xe-0/0/1"), text(6, "spare"))...)), exporterA, received, b)
	if e.news.Load() {
		t.Error("the same names again are written again")
	}
	file := filepath.Join(t.TempDir(), "exporters.json")
	if err := e.save(file); err != nil {
		t.Fatal(err)
	}
	restarted := NewExporters(ExporterConfig{}, quiet())
	if err := restarted.load(file); err != nil {
		t.Fatal(err)
	}
	check(restarted)
}

func TestNamesAreBounded(t *testing.T) {
	var names table[netflow.VRFName]
	for i := range uint64(2 * maxNames) {
		names.set(i, netflow.VRFName{ID: uint32(i), Name: "x"})
	}
	if len(names.by) != maxNames {
		t.Errorf("%d names are kept", len(names.by))
	}
	if news, ok := names.set(5, netflow.VRFName{ID: 5, Name: "renamed"}); !news || !ok {
		t.Error("a known one cannot be renamed")
	}
	var s statistics
	for i := range uint32(2 * maxStatistics) {
		s.learn(netflow.OptionRecord{Fields: []netflow.OptionField{
			{Element: 10, Scope: true, Value: binary.BigEndian.AppendUint32(nil, i)}, {Element: 41, Value: []byte{1}}}}, received)
	}
	if len(s) != maxStatistics {
		t.Errorf("%d statistics are kept", len(s))
	}
}

func TestSFlowCountersAndPortNames(t *testing.T) {
	enc := sflow.Encoder{Agent: flow.AddrFrom(exporterA)}
	for i := range uint32(2) {
		c := sflow.InterfaceCounters{IfIndex: 3 + i, Speed: 1e9, Status: 3, InOctets: 1000 * uint64(i+1), OutErrors: 9}
		c.Source.Index = 3 + i
		if err := enc.AppendCounters(&c, fmt.Sprintf("eth%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	e := NewExporters(ExporterConfig{}, quiet())
	b := flow.NewBatch(1)
	if err := e.Decode(enc.Datagram(1), exporterA, received, b); err != nil {
		t.Fatal(err)
	}
	d, _ := e.Details(exporterA)
	if len(d.Interfaces) != 2 || d.Interfaces[1].Name != "eth1" || d.Interfaces[1].Counters == nil || d.Interfaces[1].Counters.InBytes != 2000 || d.Interfaces[1].Counters.OutErrors != 9 {
		t.Errorf("%+v", d.Interfaces)
	}
	if s := d.Domains[0]; s.CounterSamples != 2 || s.Protocol != "sflow5" {
		t.Errorf("%+v", s)
	}
}

// A rate is found in whatever an exporter scopes it by.
func TestSamplingDialects(t *testing.T) {
	v9 := func(sets ...[]byte) []byte {
		d := []byte{0, 9, 0, 9}
		d = binary.BigEndian.AppendUint32(d, 1000)
		d = binary.BigEndian.AppendUint32(d, received/1000)
		d = append(d, 0, 0, 0, 0, 0, 0, 0, 1)
		for _, s := range sets {
			d = append(d, s...)
		}
		return d
	}
	const flowV9 = 256
	plain := set(0, flowV9, 4, 10, 2, 48, 2, 2, 2, 1, 2) // ifIndex, sampler, packets, bytes
	bare := set(0, flowV9, 3, 10, 2, 2, 2, 1, 2)
	for name, tc := range map[string]struct {
		datagrams [][]byte
		rate      uint64
		source    uint64
	}{
		"v9 system scope, 34 (Juniper, Huawei)": {[][]byte{v9(bare, set(1, 300, 4, 8, 1, 4, 34, 4, 35, 2, 0), set(300, 0, 0, 0, 500, 1), set(256, 7, 1, 1))}, 500, flow.SamplingOptions},
		"v9 interface scope, 34":                {[][]byte{v9(bare, set(1, 300, 4, 4, 2, 4, 34, 4), set(300, 0, 7, 0, 100, 0, 8, 0, 200), set(256, 8, 1, 1))}, 200, flow.SamplingOptions},
		"v9 interface scope, another's":         {[][]byte{v9(bare, set(1, 300, 4, 4, 2, 4, 34, 4), set(300, 0, 7, 0, 100, 0, 8, 0, 200), set(256, 9, 1, 1))}, 1, flow.SamplingAssumed},
		"v9 line card scope, all alike":         {[][]byte{v9(bare, set(1, 300, 4, 4, 3, 4, 34, 4), set(300, 0, 0, 0, 100, 0, 1, 0, 100), set(256, 9, 1, 1))}, 100, flow.SamplingOptions},
		"v9 line card scope, not alike":         {[][]byte{v9(bare, set(1, 300, 4, 4, 3, 4, 34, 4), set(300, 0, 0, 0, 100, 0, 1, 0, 200), set(256, 9, 1, 1))}, 1, flow.SamplingAssumed},
		"v9 sampler table, 48 49 50 (IOS-XR)":   {[][]byte{v9(plain, set(1, 300, 4, 12, 1, 4, 48, 2, 49, 2, 50, 4), set(300, 0, 0, 3, 2, 0, 4000), set(256, 7, 3, 1, 1))}, 4000, flow.SamplingOptions},
		"sampler 0":                             {[][]byte{v9(plain, set(1, 300, 4, 12, 1, 4, 48, 2, 49, 2, 50, 4), set(300, 0, 0, 0, 2, 0, 64, 0, 0, 3, 2, 0, 32), set(256, 7, 0, 1, 1))}, 64, flow.SamplingOptions},
		"IPFIX 305 and 306":                     {[][]byte{ipfix(0, 1, flowTemplate, samplerTemplate, set(257, 3, 1, 999), set(256, 7, 3, 1, 1))}, 1000, flow.SamplingOptions},
		"IPFIX 309 and 310":                     {[][]byte{ipfix(0, 1, flowTemplate, set(3, 257, 4, 1, 302, 2, 304, 2, 309, 4, 310, 4), set(257, 3, 3, 0, 2, 0, 1000), set(256, 7, 3, 1, 1))}, 500, flow.SamplingOptions},
		"IPFIX 311 (probability)":               {[][]byte{ipfix(0, 1, flowTemplate, set(3, 257, 3, 1, 302, 2, 304, 2, 311, 8), set(257, 3, 4, 0x3f50, 0x624d, 0xd2f1, 0xa9fc), set(256, 7, 3, 1, 1))}, 1000, flow.SamplingOptions},
		"IPFIX selector of 8 bytes":             {[][]byte{ipfix(0, 1, set(2, 256, 4, 10, 2, 302, 8, 2, 2, 1, 2), set(3, 257, 3, 1, 302, 8, 305, 4, 306, 4), set(257, 1, 2, 3, 4, 0, 1, 0, 15), set(256, 7, 1, 2, 3, 4, 1, 1))}, 16, flow.SamplingOptions},
		"IPFIX template in one, options later":  {[][]byte{ipfix(0, 1, samplerTemplate, set(257, 3, 1, 99)), ipfix(1, 1, flowTemplate, set(256, 7, 3, 1, 1))}, 100, flow.SamplingOptions},
	} {
		t.Run(name, func(t *testing.T) {
			e := NewExporters(ExporterConfig{}, quiet())
			b := flow.NewBatch(4)
			for _, d := range tc.datagrams {
				if err := e.Decode(d, exporterA, received, b); err != nil {
					t.Fatal(err)
				}
			}
			if b.Len() != 1 || b.Uint(flow.SamplingRate, 0) != tc.rate || b.Uint(flow.SamplingSource, 0) != tc.source {
				t.Errorf("%d rows, rate %d of source %d, want %d of %d: %+v", b.Len(), b.Uint(flow.SamplingRate, 0), b.Uint(flow.SamplingSource, 0), tc.rate, tc.source, e.Status()[0])
			}
		})
	}
}

func TestColumnSuggestions(t *testing.T) {
	for name, want := range map[string]string{
		"applicationHTTPHost": "application_http_host", "DNS": "dns", "tenantSourceIPv4": "tenant_source_ipv4", "tcpOptions": "tcp_options", "802dot1q": "dot1q", "é": "", "ip_next-hop": "ip_next_hop",
		"mplsLabelStackSection2": "mpls_label_stack_section2", strings.Repeat("abcdefgH", 9): "abcdefg_habcdefg_habcdefg_habcdefg_habcd",
	} {
		if got := columnName(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	for want, e := range map[string]netflow.Information{
		"- {name: tcp_options, type: uint64, element: 0/209}":          {ID: 209, Name: "tcpOptions", Type: netflow.TypeUnsigned64},
		"- {name: application_name_5951, type: text, element: 5951/9}": {Enterprise: 5951, ID: 9, Name: "applicationName", Type: netflow.TypeString},
		"- {name: element_9_77, type: text, element: 9/77}":            {Enterprise: 9, ID: 77},
		"": {ID: 434, Name: "mibObjectValueInteger", Type: netflow.TypeSigned32},
	} {
		if got := suggestion(e); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
