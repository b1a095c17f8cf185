package server

import (
	"fmt"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/store"
)

// told is what a router says of packets.
type told struct {
	router   byte
	in, out  uint64
	egress   bool
	bytes    uint64
	status   uint64 // 0: not said
	src, dst byte
}

// siteOf is a server whose routers said so, twenty to ten minutes ago, each of it
// a hundred times over.
func siteOf(t *testing.T, list ...told) (*httptest.Server, time.Time) {
	t.Helper()
	s, web, now := siteWith(t, Config{Cache: 1 << 20, Waiting: 64})
	b := flow.NewBatch(1)
	for n := range 100 {
		for _, f := range list {
			i := b.Extend(1)
			b.SetAddr(flow.Exporter, i, flow.AddrFrom4([4]byte{192, 0, 2, f.router}))
			b.SetUint(flow.Start, i, uint64(now.Add(-20*time.Minute+time.Duration(n)*5*time.Second).UnixMilli()))
			b.SetUint(flow.End, i, uint64(now.Add(-20*time.Minute+time.Duration(n+1)*5*time.Second).UnixMilli()))
			b.SetUint(flow.Packets, i, 10)
			b.SetUint(flow.Bytes, i, f.bytes)
			b.SetUint(flow.SamplingRate, i, 1)
			b.SetUint(flow.InIf, i, f.in)
			b.SetUint(flow.OutIf, i, f.out)
			if f.egress {
				b.SetUint(flow.Direction, i, flow.Egress)
			} else {
				b.SetUint(flow.Direction, i, flow.Ingress)
			}
			if f.status > 0 {
				b.SetUint(flow.ForwardingStatus, i, f.status)
			}
			b.SetAddr(flow.SrcAddr, i, flow.AddrFrom4([4]byte{198, 51, 100, f.src}))
			b.SetAddr(flow.DstAddr, i, flow.AddrFrom4([4]byte{203, 0, 113, f.dst}))
			if f.dst == 224 {
				b.SetAddr(flow.DstAddr, i, flow.AddrFrom4([4]byte{224, 0, 0, 5}))
			}
			b.SetUint(flow.SrcPort, i, uint64(1000+n))
			b.SetUint(flow.DstPort, i, 443)
			b.SetUint(flow.Protocol, i, 6)
		}
	}
	if _, err := store.WriteSegment(s.DataDir, b, now); err != nil {
		t.Fatal(err)
	}
	return web, now
}

func TestCounting(t *testing.T) {
	// What comes in by interface 1 of the first router leaves by interface 2 or 3
	// of the second; interface 4 of the first one is not metered.
	web, _ := siteOf(t,
		told{router: 1, in: 1, out: 11, bytes: 3000, src: 1, dst: 1}, told{router: 2, in: 11, out: 2, bytes: 3000, src: 1, dst: 1},
		told{router: 1, in: 1, out: 11, bytes: 1000, src: 2, dst: 2}, told{router: 2, in: 11, out: 3, bytes: 1000, src: 2, dst: 2},
		told{router: 2, in: 2, out: 3, bytes: 500, src: 3, dst: 3}, told{router: 2, in: 2, out: 3, egress: true, bytes: 500, src: 3, dst: 3},
		told{router: 1, in: 1, out: 4, bytes: 100, src: 4, dst: 4},
	)
	const question = "/api/counting?from=-30m&to=-8m"
	var before, c Counting
	fetch(t, web, question, 200, &before)
	if r := before.Rules[2]; r.Known || !strings.Contains(r.Note, "no interface has a role") {
		t.Errorf("without roles: %+v", r)
	}
	found := false
	for _, g := range before.Suggestions {
		found = found || g.Exporter.String() == "192.0.2.2" && g.Index == 11 && g.Role == "core" && g.Evidence[0].Kind == "same_flows" && g.Evidence[0].Peer.String() == "192.0.2.1"
	}
	if !found {
		t.Errorf("the link was not found: %+v", before.Suggestions)
	}
	roles := `{"rules":[],"interfaces":[{"exporter":"192.0.2.1","index":1,"role":"external"},{"exporter":"192.0.2.1","index":11,"role":"core"},{"exporter":"192.0.2.1","index":4,"role":"customer"},
		{"exporter":"192.0.2.2","index":11,"role":"core"},{"exporter":"192.0.2.2","index":2,"role":"customer"},{"exporter":"192.0.2.2","index":3,"role":"customer"}]}`
	if status, text := put(t, web, "/api/interfaces/roles", "application/json", roles); status != 200 {
		t.Fatalf("%d: %s", status, text)
	}
	fetch(t, web, question, 200, &c)
	for i, want := range []uint64{910_000, 860_000, 460_000} {
		if r := c.Rules[i]; !r.Known || r.Bytes != want || r.Twice != c.Rules[0].BPS-r.BPS {
			t.Errorf("%s: %+v, want %d bytes", r.Scope, r, want)
		}
	}
	if len(c.Exporters) != 2 || c.Exporters[1].Both != 0 || c.Exporters[1].Ingress != 2 || c.Exporters[1].Egress != 1 || c.Exporters[0].Nothing != 2 || c.Exporters[1].Copies == 0 {
		t.Errorf("exporters: %+v", c.Exporters)
	}
	type row struct{ exports, advice, unseen, words string }
	got := map[string]row{}
	for _, i := range c.Interfaces {
		got[i.Exporter.String()+" "+string(rune('0'+i.Index/10))+string(rune('0'+i.Index%10))] = row{i.Exports, strings.Join(i.Advice, " "), strings.Join(i.Unseen, " "), i.Words}
	}
	for name, want := range map[string]row{
		"192.0.2.1 01": {"ingress", "", "out", ""},
		"192.0.2.1 04": {"nothing", "enable_ingress", "in out", "nothing that comes in by it is metered, while "},
		"192.0.2.2 11": {"ingress", "disable_ingress", "out", "Ingress here is not needed for totals: the same "},
		"192.0.2.2 03": {"egress", "enable_ingress disable_egress", "in", "the router meters the same packets as they come in. That saves "},
	} {
		if g := got[name]; g.exports != want.exports || g.advice != want.advice || g.unseen != want.unseen || !strings.Contains(g.words, want.words) {
			t.Errorf("%s: %+v, want %+v", name, g, want)
		}
	}
	for _, g := range c.Suggestions {
		t.Errorf("suggested beside roles that are right: %+v", g)
	}
	fetch(t, web, "/api/counting?from=yesterday", 422, nil)
}

func TestDrops(t *testing.T) {
	web, _ := siteOf(t,
		told{router: 1, in: 1, out: 2, bytes: 9000, status: 64, src: 1, dst: 1},
		told{router: 1, in: 1, out: 0, bytes: 600, status: 129, src: 2, dst: 2}, // an access list
		told{router: 1, in: 3, out: 2, bytes: 300, status: 138, src: 3, dst: 2}, // a policer, with a real output
		told{router: 1, in: 1, out: 0, bytes: 100, status: 195, src: 4, dst: 4}, // for the router
		told{router: 2, in: 1, out: 0, bytes: 70, src: 5, dst: 224},             // to a group
		told{router: 2, in: 1, out: 0, bytes: 30, src: 6, dst: 6},               // nobody knows
		told{router: 3, in: 1, out: 2, bytes: 500, egress: true, src: 7, dst: 7},
		told{router: 4, in: 1, out: 2, bytes: 500, status: 64, src: 7, dst: 7},
		told{router: 4, in: 9, out: 2, bytes: 500, status: 64, egress: true, src: 7, dst: 7},
	)
	var d Drops
	fetch(t, web, "/api/drops?from=-30m&to=-8m", 200, &d)
	fates := map[string]uint64{}
	for _, f := range d.Fates {
		fates[f.Fate] = f.Bytes
	}
	for fate, want := range map[string]uint64{"forwarded": 1_050_000, "dropped": 90_000, "to_router": 10_000, "multicast": 7000, "unknown": 3000} {
		if fates[fate] != want {
			t.Errorf("%s: %d bytes, want %d", fate, fates[fate], want)
		}
	}
	if len(d.Reasons) != 2 || *d.Reasons[0].Status != 129 || *d.Reasons[1].Status != 138 || len(d.Reasons[0].Values) != len(d.Times) || d.Step != 60 {
		t.Errorf("reasons: %+v", d.Reasons)
	}
	if len(d.Interfaces) != 2 || d.Interfaces[0].Index != 1 || d.Interfaces[1].Part != 1 || !strings.Contains(d.Interfaces[1].Reason, "policer") {
		t.Errorf("interfaces: %+v", d.Interfaces)
	}
	if len(d.Sources) != 2 || d.Sources[0].Key != "198.51.100.2" || len(d.Targets) != 1 || d.Targets[0].Share != 1 {
		t.Errorf("who: %+v, %+v", d.Sources, d.Targets)
	}
	sight := ""
	for _, x := range d.Exporters {
		sight += fmt.Sprint(x.Sight, x.Hidden, " ")
	}
	if sight != "told1 output_zero0 invisible2 partly2 " {
		t.Errorf("exporters: %s %+v", sight, d.Exporters)
	}
	// Each filter finds what it stands for.
	for fate, filter := range d.Filters {
		if fate == "output_zero" {
			continue
		}
		var r Report
		fetch(t, web, "/api/report?from=-30m&to=-8m&metric=bytes&filter="+url.QueryEscape(filter), 200, &r)
		if r.Total.Bytes != fates[fate] {
			t.Errorf("%s: the filter %q finds %d bytes, want %d", fate, filter, r.Total.Bytes, fates[fate])
		}
	}
}
