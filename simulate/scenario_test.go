package simulate

import (
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/minamo-flow/minamo/flow"
)

// A play is an hour with a scenario in its second half.
type play struct {
	*desk
	at            *Router
	info          *ScenarioInfo
	before, while half
}

// half is half of the hour.
type half struct {
	from, to int // rows
	truth    *Minute
	counted  []IfEntry // after 29 minutes
}

// perform plays a scenario from minute 30 on.
func perform(t *testing.T, name string, cfg Config) *play {
	t.Helper()
	cfg.Seed, cfg.Start = 4, start.Add(3*time.Hour)
	middle := cfg.Start.Add(30 * time.Minute)
	cfg.Scenarios = []Scenario{{Name: name, From: middle}}
	info, ok := ScenarioNamed(name)
	if !ok {
		t.Fatal(name)
	}
	p := &play{desk: simulate(t, cfg), info: info}
	if info.Router != "" {
		p.at = p.router(info.Router)
	}
	play := func(length time.Duration) (h half) {
		h.from = p.flows.Len()
		since := p.network.Now()
		p.run(29 * time.Minute)
		if p.at != nil {
			h.counted = p.at.IfTable()
		}
		if length > 29*time.Minute {
			p.run(length - 29*time.Minute)
		}
		h.to, h.truth = p.flows.Len(), p.network.Truth().Between(since, p.network.Now())
		return h
	}
	p.before = play(30 * time.Minute)
	p.while = play(29 * time.Minute) // what happens every half hour does not happen again
	return p
}

// flows looks at the flows of a half that a router exported.
func (p *play) each(h half, r *Router, look func(b *flow.Batch, i int)) {
	addr := flow.AddrFrom(r.Addr)
	for i := h.from; i < h.to; i++ {
		if p.flows.Addr(flow.Exporter)[i] == addr {
			look(p.flows, i)
		}
	}
}

// ratio is what a router's flows say of bytes that came in by its external
// interfaces, to what there was.
func (p *play) ratio(h half, r *Router) float64 {
	said, was := 0.0, 0.0
	inside := map[uint32]bool{}
	for _, e := range h.counted {
		if e.Role.External() {
			inside[e.IfIndex] = true
		}
	}
	p.each(h, r, func(b *flow.Batch, i int) {
		if inside[b.U32(flow.InIf)[i]] {
			said += float64(b.U64(flow.Bytes)[i]) * float64(b.U32(flow.SamplingRate)[i])
		}
	})
	for _, f := range r.Interfaces {
		if f.Role.External() {
			was += float64(h.truth.interfaces[f.index][0].Bytes)
		}
	}
	return said / was
}

func near(t *testing.T, what string, is, should, tolerance float64) {
	t.Helper()
	if math.IsNaN(is) || math.Abs(is-should) > tolerance*math.Max(should, .01) {
		t.Errorf("%s: %.4g, expected %.4g", what, is, should)
	}
}

// What is reported beforehand is right; what is reported meanwhile is wrong by
// as much as the scenario says.
func TestScenariosThatScale(t *testing.T) {
	for _, x := range []struct {
		name  string
		ratio float64
	}{
		{"wrong-rate", .25},
		{"applied-twice", 4096},
		{"no-rate", 1.0 / 4096},
		{"loss", .7},
		{"ingress-egress", 2},
		{"silent", 0},
		{"ipv6-unseen", .74},
	} {
		t.Run(x.name, func(t *testing.T) {
			p := perform(t, x.name, Config{})
			near(t, "before", p.ratio(p.before, p.at), 1, .06)
			near(t, "meanwhile", p.ratio(p.while, p.at), x.ratio, .08)
			other := p.router("tyo-edge1")
			if other == p.at {
				other = p.router("osk-core1")
			}
			p.at, p.while.counted = other, other.IfTable()
			near(t, other.Name, p.ratio(p.while, other), 1, .06)
		})
	}
}

func TestLossIsSeenInSequenceNumbers(t *testing.T) {
	p := perform(t, "loss", Config{})
	sent, lost := p.at.Datagrams()
	var missing uint64
	for _, e := range p.exporters.Status() {
		if e.Exporter == p.at.Addr {
			for _, d := range e.Domains {
				missing += d.MissingUnits
			}
		}
	}
	if lost < sent/10 || missing > lost || missing+5 < lost {
		t.Errorf("%d datagrams of %d lost, %d missing", lost, sent, missing)
	}
}

func TestOverloadLosesInTheEvening(t *testing.T) {
	lost := func(hour int) float64 { // of Tokyo
		d := simulate(t, Config{Seed: 4, Start: start.Add(time.Duration(hour-9) * time.Hour), Scenarios: []Scenario{{Name: "overload"}}})
		d.each = func(netip.Addr, []byte) {}
		d.run(time.Hour)
		sent, lost := d.router("tyo-core1").Datagrams()
		return float64(lost) / float64(sent)
	}
	if night, evening := lost(4), lost(20); night > 0 || evening < .1 {
		t.Errorf("lost at 4 h: %.2f, at 20 h: %.2f", night, evening)
	}
}

func TestDoubleCount(t *testing.T) {
	p := perform(t, "double-count", Config{})
	sum := func(h half) (said float64) {
		for _, r := range p.network.Routers() {
			p.each(h, r, func(b *flow.Batch, i int) {
				said += float64(b.U64(flow.Bytes)[i]) * float64(b.U32(flow.SamplingRate)[i])
			})
		}
		return said
	}
	near(t, "before", sum(p.before)/float64(p.before.truth.In.Bytes), 1, .05)
	all := 0.0 // in by any interface
	for i := range p.while.truth.interfaces {
		all += float64(p.while.truth.interfaces[i][0].Bytes)
	}
	near(t, "meanwhile", sum(p.while)/all, 1, .05)
	if all < 1.8*float64(p.while.truth.In.Bytes) {
		t.Errorf("only %.2f routers are crossed on average", all/float64(p.while.truth.In.Bytes))
	}
}

func TestEgressOnly(t *testing.T) {
	p := perform(t, "egress-only", Config{})
	rows := 0
	p.each(p.while, p.at, func(b *flow.Batch, i int) {
		if b.Time(flow.Start)[i] < p.while.truth.Start.UnixMilli() {
			return // metered before
		}
		rows++
		if b.U8(flow.Direction)[i] != flow.Egress || b.U32(flow.OutIf)[i] == 0 {
			t.Fatalf("%s", b.AppendJSON(nil, i))
		}
	})
	if rows < 1000 {
		t.Errorf("%d flows", rows)
	}
}

func TestHalfMetered(t *testing.T) {
	p := perform(t, "half-metered", Config{})
	seen := map[uint32]int{}
	p.each(p.while, p.at, func(b *flow.Batch, i int) {
		if b.Time(flow.Start)[i] >= p.while.truth.Start.UnixMilli() {
			seen[b.U32(flow.InIf)[i]]++
		}
	})
	for _, f := range p.at.Interfaces {
		if f.Role.External() && (seen[f.IfIndex] > 0) != (f.number%2 == 0) {
			t.Errorf("%s: %d flows", f.Name, seen[f.IfIndex])
		}
	}
}

func TestHalfBundle(t *testing.T) {
	p := perform(t, "half-bundle", Config{})
	said := map[uint32]float64{}
	p.each(p.while, p.at, func(b *flow.Batch, i int) {
		said[b.U32(flow.InIf)[i]] += float64(b.U64(flow.Bytes)[i]) * float64(b.U32(flow.SamplingRate)[i])
	})
	bundle := p.network.interfaces["transit-b"]
	for _, f := range p.at.Interfaces {
		if was := p.while.truth.interfaces[f.index][0].Bytes; f == bundle {
			near(t, f.Name, said[f.IfIndex]/float64(was), .5, .15)
		} else if f.Role.External() {
			near(t, f.Name, said[f.IfIndex]/float64(was), 1, .12)
		}
	}
}

func TestIPv4Only(t *testing.T) {
	p := perform(t, "ipv4-only", Config{})
	six := func(h half) (six, all int) {
		p.each(h, p.at, func(b *flow.Batch, i int) {
			if b.Time(flow.Start)[i] < h.truth.Start.UnixMilli() {
				return // metered before
			}
			if all++; !b.Addr(flow.SrcAddr)[i].Is4() {
				six++
			}
		})
		return six, all
	}
	if six, all := six(p.before); six*5 < all {
		t.Errorf("before, %d flows of %d are IPv6", six, all)
	}
	if six, all := six(p.while); six > 0 || all < 1000 {
		t.Errorf("meanwhile, %d flows of %d are IPv6", six, all)
	}
	near(t, "meanwhile", p.ratio(p.while, p.at), .66, .1)
}

func TestACL(t *testing.T) {
	p := perform(t, "acl", Config{})
	c := p.network.interfaces["cust:Aster Foods"]
	before, while := p.before.truth.interfaces[c.index], p.while.truth.interfaces[c.index]
	if before[0].DroppedPackets*100 > before[0].Packets || while[0].DroppedPackets != while[0].Packets || while[1].Packets != 0 {
		t.Errorf("before %+v, meanwhile %+v", before, while)
	}
	dropped, kept := 0, 0
	p.each(p.while, p.at, func(b *flow.Batch, i int) {
		if b.U32(flow.InIf)[i] != c.IfIndex || b.Time(flow.Start)[i] < p.while.truth.Start.UnixMilli() {
			return
		}
		if b.U8(flow.ForwardingStatus)[i] == 129 && b.U32(flow.OutIf)[i] == 0 {
			dropped++
		} else {
			kept++
		}
	})
	if dropped < 20 || kept > 0 {
		t.Errorf("%d flows dropped, %d kept", dropped, kept)
	}
	to := p.while.truth.Report().Customers["Aster Foods"]
	if to.To.Packets != 0 || to.From.Packets == 0 {
		t.Errorf("%+v", to)
	}
}

func TestActiveTimer(t *testing.T) {
	p := perform(t, "active-timer", Config{})
	longest := func(h half) (most int64) {
		p.each(h, p.at, func(b *flow.Batch, i int) { most = max(most, b.Time(flow.End)[i]-b.Time(flow.Start)[i]) })
		return most
	}
	if before := longest(p.before); before > 60_000 || before < 50_000 {
		t.Errorf("flows of %d ms before", before)
	}
	p.run(15 * time.Minute)
	p.while.to = p.flows.Len()
	if while := longest(p.while); while < 20*60_000 || while > 30*60_000 {
		t.Errorf("flows of %d ms meanwhile", while)
	}
}

func TestSlowTimers(t *testing.T) {
	p := perform(t, "slow-timers", Config{})
	near(t, "told so far", p.ratio(p.while, p.at), .5, .3)
	p.run(45 * time.Minute) // until all of the second half is told
	said, was, f := 0.0, 0.0, p.network.interfaces["transit-b"]
	from, to := p.while.truth.Start.UnixMilli(), p.while.truth.Start.Add(29*time.Minute).UnixMilli()
	p.while.to = p.flows.Len()
	p.each(p.while, p.at, func(b *flow.Batch, i int) {
		start, end := b.Time(flow.Start)[i], b.Time(flow.End)[i]
		if within := float64(min(end, to)-max(start, from)) + 1; b.U32(flow.InIf)[i] == f.IfIndex && within > 0 {
			said += float64(b.U64(flow.Bytes)[i]) * float64(b.U32(flow.SamplingRate)[i]) * within / float64(end-start+1)
		}
	})
	was = float64(p.while.truth.interfaces[f.index][0].Bytes)
	near(t, "told in the end", said/was, 1, .06)
}

func TestRestart(t *testing.T) {
	p := perform(t, "restart", Config{})
	if up := p.at.Uptime(); up != 29*time.Minute {
		t.Errorf("up for %v", up)
	}
	for i, e := range p.while.counted {
		if f := p.while.truth.interfaces[e.index]; e.InOctets != f[0].Octets || e.InOctets >= p.before.counted[i].InOctets+f[0].Octets && f[0].Octets > 0 {
			t.Errorf("%s: counters %d before, %d after 29 minutes with %d", e.Name, p.before.counted[i].InOctets, e.InOctets, f[0].Octets)
		}
	}
	for _, e := range p.exporters.Status() {
		for _, d := range e.Domains {
			if d.MissingUnits != 0 {
				t.Errorf("%v: %d lost", e.Exporter, d.MissingUnits)
			}
			if restarts := uint64(1); e.Exporter == p.at.Addr && d.Restarts != restarts {
				t.Errorf("%d restarts", d.Restarts)
			}
		}
	}
	near(t, "after", p.ratio(p.while, p.at), 1, .06)
}

func TestRenumber(t *testing.T) {
	p := perform(t, "renumber", Config{})
	names := func(h half) map[uint32]string {
		m := map[uint32]string{}
		for _, e := range h.counted {
			m[e.IfIndex] = e.Name
		}
		return m
	}
	before, while := names(p.before), names(p.while)
	for index, name := range before {
		if while[index] == name || while[index] == "" {
			t.Errorf("%d is %q, was %q", index, while[index], name)
		}
	}
	near(t, "before", p.ratio(p.before, p.at), 1, .06)
	near(t, "meanwhile", p.ratio(p.while, p.at), 1, .06)
	transit := p.network.interfaces["transit-b"]
	bytes := 0.0
	p.each(p.while, p.at, func(b *flow.Batch, i int) {
		if while[b.U32(flow.InIf)[i]] == transit.Name {
			bytes += float64(b.U64(flow.Bytes)[i]) * float64(b.U32(flow.SamplingRate)[i])
		}
	})
	near(t, transit.Name, bytes/float64(p.while.truth.interfaces[transit.index][0].Bytes), 1, .1)
}

func TestStaleNumbers(t *testing.T) {
	p := perform(t, "stale-numbers", Config{})
	said := map[uint32]float64{}
	p.each(p.while, p.at, func(b *flow.Batch, i int) {
		said[b.U32(flow.InIf)[i]] += float64(b.U64(flow.Bytes)[i]) * float64(b.U32(flow.SamplingRate)[i])
	})
	for _, e := range p.while.counted {
		if !e.Role.External() {
			continue
		}
		if e.Interface.IfIndex == e.IfIndex {
			t.Errorf("%s has its number still", e.Name)
		}
		near(t, e.Name, said[e.Interface.IfIndex]/float64(p.while.truth.interfaces[e.index][0].Bytes), 1, .12)
	}
}

func TestClockDrift(t *testing.T) {
	cfg := Config{Seed: 4, Start: start, Scenarios: []Scenario{{Name: "clock-drift", From: start.Add(5 * time.Minute), To: start.Add(25 * time.Minute)}}}
	d := simulate(t, cfg)
	offsets := map[int]int64{} // ms, by minute
	d.each = func(source netip.Addr, p []byte) {
		if source == d.router("tyo-core1").Addr {
			exported := int64(uint32(p[4])<<24|uint32(p[5])<<16|uint32(p[6])<<8|uint32(p[7])) * 1000
			now := d.network.Now()
			offsets[int(now.Sub(start)/time.Minute)] = exported - now.UnixMilli()
		}
	}
	d.run(40 * time.Minute)
	for minute, should := range map[int]int64{3: 0, 14: 10_000, 24: 20_000, 35: 0} {
		if off := offsets[minute] - should; off > 1500 || off < -1500 {
			t.Errorf("minute %d: %d ms, expected %d", minute, offsets[minute], should)
		}
	}
}

func TestIPv6Unseen(t *testing.T) {
	p := perform(t, "ipv6-unseen", Config{})
	p.each(p.while, p.at, func(b *flow.Batch, i int) {
		if a := b.Addr(flow.SrcAddr)[i]; !a.Is4() {
			t.Fatalf("NetFlow v5 tells of %v", a)
		}
	})
	f := p.network.interfaces["cust:Iris Archive"]
	was, is := p.before.truth.interfaces[f.index][0].Octets, p.while.truth.interfaces[f.index][0].Octets
	if float64(is) < 1.1*float64(was) {
		t.Errorf("%d octets before, %d meanwhile", was, is)
	}
}

// Without a scenario nothing is lost, late, restarted, or unknown to anybody.
func TestHealthyNetworkHasNoComplaints(t *testing.T) {
	d := simulate(t, Config{Seed: 4, Start: start.Add(10 * time.Hour)})
	d.run(2 * time.Hour)
	seen := map[string]bool{}
	for _, e := range d.exporters.Status() {
		for _, x := range e.Domains {
			seen[x.Protocol] = true
			if x.MissingUnits != 0 || x.MissingSamples != 0 || x.Restarts != 0 || x.ClockOffsetMS > 2000 || x.ClockOffsetMS < -2000 {
				t.Errorf("%v: %+v", e.Exporter, x)
			}
		}
		delete(e.Problems, "element_skipped") // as real devices' templates have them: maximumTTL, ipv6ExtensionHeaders
		if e.Malformed > 0 || len(e.Problems) > 0 {
			t.Errorf("%v: %d malformed, %v", e.Exporter, e.Malformed, e.Problems)
		}
	}
	if len(seen) != 4 {
		t.Errorf("protocols %v", seen)
	}
	b := d.flows
	for i := range b.Len() {
		if b.U8(flow.SamplingSource)[i] == flow.SamplingAssumed {
			t.Fatalf("no rate: %s", b.AppendJSON(nil, i))
		}
	}
}

func TestEveryScenarioIsExplained(t *testing.T) {
	for _, s := range Scenarios() {
		if s.Wrong == "" || s.Truth == "" || s.Look == "" || !strings.HasSuffix(s.Wrong, ".") {
			t.Errorf("%s: %+v", s.Name, s)
		}
	}
}

func TestParseScenario(t *testing.T) {
	now := start
	for text, want := range map[string]Scenario{
		"loss":                       {Name: "loss"},
		"loss:tyo-edge1":             {Name: "loss", Router: "tyo-edge1"},
		"wrong-rate@-3h..-2h":        {Name: "wrong-rate", From: now.Add(-3 * time.Hour), To: now.Add(-2 * time.Hour)},
		"loss@-1d2h..now":            {Name: "loss", From: now.Add(-26 * time.Hour), To: now},
		"acl@10m..":                  {Name: "acl", From: now.Add(10 * time.Minute)},
		"acl@..2026-11-16T05:00:00Z": {Name: "acl", To: now.Add(5 * time.Hour)},
	} {
		if s, err := ParseScenario(text, now); err != nil || s != want {
			t.Errorf("%s: %+v, %v", text, s, err)
		}
	}
	for _, text := range []string{"", "nonsense", "loss:nowhere", "loss@-3h", "loss@x..y", "loss@-2h..-3h", "active-timer:tyo-ix1", "ipv6-unseen:tyo-edge1"} {
		if s, err := ParseScenario(text, now); err == nil {
			t.Errorf("%q: %+v", text, s)
		}
	}
}
