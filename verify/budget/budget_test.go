package budget

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/minamo-flow/minamo/verify/quality"
)

// rates are the planned ones, and what the collector gets.
func rates(p Plan) string {
	var list []string
	for _, r := range p.Routers {
		list = append(list, fmt.Sprintf("1/%d:%.0f", r.NewRate, r.NowAfter))
	}
	return strings.Join(list, " ")
}

// The worked cases of the planner: a collector that takes 10,000 flow records a
// second. Records are of one packet each, so that half the sampling is half the
// records.
func TestWorkedCases(t *testing.T) {
	const collector = 10_000
	for name, c := range map[string]struct {
		Case
		verdict  Verdict
		rates    string
		after    float64
		possible bool
		why      Why
	}{
		"5,000 at 1/1000 fits": {
			Case{Collector: collector, Reserve: Reserve, Routers: []Router{{Flows: 5000, Rate: 1000}}},
			Fits, "1/1000:5000", 5000, true, Kept},
		"grown to 8,000 it nears the limit, and 1/2000 halves it": {
			Case{Collector: collector, Reserve: Reserve, Routers: []Router{{Flows: 8000, Rate: 1000}}},
			Near, "1/2000:4000", 4000, true, ForCollector},
		"the same, told as growth": {
			Case{Collector: collector, Reserve: Reserve, Growth: 1.6, Routers: []Router{{Flows: 5000, Rate: 1000}}},
			Fits, "1/2000:2500", 4000, true, ForCollector},
		"without a reserve 8,000 may stay": {
			Case{Collector: collector, Routers: []Router{{Flows: 8000, Rate: 1000}}},
			Near, "1/1000:8000", 8000, true, Kept},
		"a router's own limit of 7,000, grown past, though the collector has room": {
			Case{Collector: collector, Growth: 1.5, Routers: []Router{{Flows: 5000, Rate: 1000, Limit: 7000}}},
			Fits, "1/2000:2500", 3750, true, OwnLimit},
		"three routers fill the collector exactly": {
			Case{Collector: collector, Routers: []Router{{Flows: 5000, Rate: 2000}, {Flows: 3000, Rate: 4000}, {Flows: 2000, Rate: 8000}}},
			Near, "1/2000:5000 1/4000:3000 1/8000:2000", 10_000, true, Kept},
		"and are led there by limits of their own": {
			Case{Collector: collector, Routers: []Router{{Flows: 10_000, Rate: 1000, Limit: 5000}, {Flows: 12_000, Rate: 1000, Limit: 3000}, {Flows: 16_000, Rate: 1000, Limit: 2000}}},
			Over, "1/2000:5000 1/4000:3000 1/8000:2000", 10_000, true, OwnLimit},
		"one more flow is too much": {
			Case{Collector: collector, Routers: []Router{{Flows: 5001, Rate: 2000}, {Flows: 3000, Rate: 4000}, {Flows: 2000, Rate: 8000}}},
			Over, "1/4000:2500 1/4000:3000 1/8000:2000", 7500.5, true, ForCollector}, // the finest is made coarser
		"too much for any rate": {
			Case{Collector: 1, Routers: []Router{{Flows: 50_000, Rate: 32_768}}},
			Over, "1/65536:25000", 25_000, false, ForCollector},
		"too much for the router at any rate": {
			Case{Routers: []Router{{Flows: 50_000, Rate: 32_768, Limit: 10}}},
			Unknown, "1/65536:25000", 25_000, false, Impossible},
		"nobody": {Case{Collector: collector}, Fits, "", 0, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			now := 0.0
			for _, r := range c.Routers {
				now += r.Flows
			}
			if got := Judge(now, c.Collector); got != c.verdict {
				t.Errorf("verdict %s, want %s", got, c.verdict)
			}
			p := Make(c.Case)
			if got := rates(p); got != c.rates || p.After != c.after || p.Possible != c.possible {
				t.Errorf("%s giving %v (possible: %v), want %s giving %v\n%+v", got, p.After, p.Possible, c.rates, c.after, p)
			}
			if len(p.Routers) > 0 && p.Routers[0].Why != c.why {
				t.Errorf("why %s, want %s", p.Routers[0].Why, c.why)
			}
			if p.Words == "" || strings.Contains(p.Words, "NaN") {
				t.Error(p.Words)
			}
			for _, r := range p.Routers {
				if r.Words == "" {
					t.Errorf("%+v", r)
				}
			}
		})
	}
}

// A plan is the best of all there are, which a search through all of them tells.
func TestPlanIsTheBest(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 300 {
		c := Case{Collector: 1000 + 9000*random.Float64(), Reserve: 0.25 * float64(random.IntN(2)), Growth: 1 + random.Float64()}
		for range 1 + random.IntN(4) {
			r := Router{Flows: 8000 * random.Float64(), Rate: []uint32{1, 512, 1000, 2000, 4096}[random.IntN(5)]}
			if random.IntN(2) == 0 {
				r.Limit = 500 + 6000*random.Float64()
			}
			if random.IntN(2) == 0 {
				r.Sizes = Sizes{{1, 0.7}, {5, 0.2}, {100, 0.1}}
			}
			c.Routers = append(c.Routers, r)
		}
		p := Make(c)
		cost := func(chosen []option) (flows, cost float64, kept bool) {
			kept = true
			for i, o := range chosen {
				flows += o.flows
				cost += o.cost
				kept = kept && (c.Routers[i].Limit == 0 || o.flows <= c.Routers[i].Limit*(1-c.Reserve))
			}
			return flows, cost, kept && flows <= c.Collector*(1-c.Reserve)
		}
		least := math.Inf(1)
		var all func(i int, chosen []option)
		all = func(i int, chosen []option) {
			if i == len(c.Routers) {
				if _, v, kept := cost(chosen); kept {
					least = min(least, v)
				}
				return
			}
			for _, o := range c.Routers[i].options(c.Growth) {
				if o.rate/c.Routers[i].Rate > 1024 {
					break
				}
				all(i+1, append(chosen, o))
			}
		}
		all(0, nil)
		var mine []option
		for i, r := range p.Routers {
			for _, o := range c.Routers[i].options(c.Growth) {
				if o.rate == r.NewRate {
					mine = append(mine, o)
				}
			}
		}
		_, got, kept := cost(mine)
		if kept != p.Possible || kept && got > least*(1+1e-9) {
			t.Fatalf("round %d: %s costs %v (kept: %v), the best %v\n%+v", round, rates(p), got, kept, least, c)
		}
	}
}

// A thousand routers are planned for too, near to the best.
func TestManyRouters(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	c := Case{Collector: 200_000, Reserve: Reserve}
	for range 1000 {
		c.Routers = append(c.Routers, Router{Flows: 1000 * random.ExpFloat64(), Rate: 1000})
	}
	p := Make(c)
	if !p.Possible || p.After > p.Target || p.After < 0.98*p.Target {
		t.Errorf("%s", p.Words)
	}
}

// What is left of records is checked against packets that are drawn one by one.
func TestLeft(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	sizes := Sizes{{1, 0.6}, {2, 0.2}, {10, 0.15}, {300, 0.05}}
	const records = 200_000
	for _, f := range []float64{2, 4, 16} {
		left := 0
		for _, size := range sizes {
			for range int(size.Share * records) {
				for range int(size.Packets) {
					if random.Float64() < 1/f {
						left++
						break
					}
				}
			}
		}
		if got, want := sizes.Left(f), float64(left)/records; math.Abs(got-want) > 0.005 {
			t.Errorf("%v times coarser: %.4f left, %.4f of those drawn", f, got, want)
		}
		if sizes.Left(f) < 1/f {
			t.Errorf("fewer than one in %v", f)
		}
	}
	if Sizes(nil).Left(8) != 0.125 || (Sizes{{1, 1}}).Left(8) != 0.125 || sizes.Left(1) != 1 {
		t.Error("records of one packet are not proportional")
	}
}

// 196/√c percent: a megabyte in packets of 1000 bytes at 1/1000 is one packet.
func TestPrecise(t *testing.T) {
	for _, c := range []struct {
		bytes float64
		rate  uint32
		want  Precision
	}{
		{1e6, 1000, Precision{1, 1.96, 1 - 1/math.E}},
		{100e6, 1000, Precision{100, 0.196, 1}},
		{1e9, 1000, Precision{1000, 0.06198, 1}},
		{1e9, 4000, Precision{250, 0.12396, 1}},
	} {
		got := Precise(c.bytes, 1000, c.rate)
		if math.Abs(got.Packets-c.want.Packets) > 1e-9 || math.Abs(got.Error-c.want.Error) > 1e-4 || math.Abs(got.Seen-c.want.Seen) > 1e-4 {
			t.Errorf("%+v, want %+v", got, c.want)
		}
	}
	if Usual[3].Bytes != 37.5e6 {
		t.Errorf("1 Mbit/s for 5 minutes are 37.5 MB, not %v", Usual[3].Bytes)
	}
}

// weeks of peaks: growing by 50 a day, less at weekends.
func weeks(days int, growth float64) (h History, today time.Time) {
	start := time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
	for day := range days {
		date := start.AddDate(0, 0, day)
		peak := 4000 + growth*float64(day)
		if d := date.Weekday(); d == time.Saturday || d == time.Sunday {
			peak -= 1500
		}
		for minute := range 24 * 60 {
			flows := peak * (0.5 - 0.5*math.Cos(2*math.Pi*float64(minute)/(24*60)))
			h.Add(date.Add(time.Duration(minute)*time.Minute), time.Minute, flows, 0)
		}
	}
	return h, start.AddDate(0, 0, days)
}

func TestTrend(t *testing.T) {
	h, today := weeks(31, 50)
	h.Add(today.Add(time.Minute), time.Minute, 90_000, 0) // today's peak may be to come; it isn't asked
	trend, known := h.Trend(today)
	if !known || trend.Days != 28 || math.Abs(trend.PerDay-50) > 6 || !trend.Sure() {
		t.Fatalf("%+v", trend)
	}
	day, known := trend.Reaches(10_000)
	// The line lies between workdays and weekends: below the workdays' by 430.
	if ahead := day.Sub(today).Hours() / 24; !known || ahead < 75 || ahead > 115 {
		t.Errorf("reached on %v", day)
	}
	if _, known := trend.Reaches(0); known {
		t.Error("no limit is reached")
	}
	steady, today := weeks(28, 0)
	if trend, known := steady.Trend(today); !known || trend.Sure() {
		t.Errorf("steady peaks grow: %+v", trend)
	} else if _, known := trend.Reaches(5000); known {
		t.Error("and reach a limit")
	}
	short, today := weeks(4, 50)
	if _, known := short.Trend(today); known {
		t.Error("four days make a line")
	}
	// Merged from days, it is the same.
	var merged History
	whole, today := weeks(20, 50)
	for _, d := range whole.Days() {
		merged.Merge(&History{days: []Day{d}})
	}
	a, _ := whole.Trend(today)
	b, _ := merged.Trend(today)
	if a != b || merged.Peak() != whole.Peak() {
		t.Errorf("%+v, and merged %+v", a, b)
	}
}

func TestMeasured(t *testing.T) {
	at := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	minutes := func(h *History, n int, flows, lost float64) {
		for range n {
			h.Add(at, time.Minute, flows, lost)
			at = at.Add(time.Minute)
		}
	}
	var h History
	minutes(&h, 100, 9000, 0)
	minutes(&h, 10, 9100, 0.0001) // a datagram here and there
	minutes(&h, 50, 3000, 0.2)    // has another reason
	minutes(&h, 2, 9500, 0.1)     // might be chance
	if limit, known := h.Measured(); known {
		t.Errorf("a limit of %v", limit)
	}
	minutes(&h, 1, 8000, 0.2) // 10,000 were sent
	if limit, known := h.Measured(); !known || limit != 9100 || h.Lossless() != 9100 {
		t.Errorf("a limit of %v", limit)
	}
	minutes(&h, 1, 12_000, 0) // so it was not the limit
	if limit, known := h.Measured(); known {
		t.Errorf("a limit of %v", limit)
	}
}

// Configuration is in the forms of the README, which has its rates as examples.
func TestLines(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	softflowd := false
	for i := range Vendors {
		v := &Vendors[i]
		rate := uint32(1000)
		if strings.Contains(v.Name, "sFlow") {
			rate = 4096
		}
		lines, err := v.Lines(rate)
		if err != nil || !strings.Contains(lines, fmt.Sprint(rate)) || strings.Contains(lines, "RATE") {
			t.Errorf("%s: %q, %v", v.Name, lines, err)
		}
		for line := range strings.Lines(lines) {
			line = strings.TrimSpace(line)
			switch {
			case strings.HasPrefix(line, "no "), strings.Contains(v.Name, "IOS-XE") && strings.Contains(strings.ToLower(line), "one-in"), strings.HasPrefix(line, "mode random"):
				continue // the README meters without sampling there
			case v.Name == "softflowd":
				softflowd = true
				line = strings.TrimSuffix(line, " -s 1000")
			}
			if !strings.Contains(string(readme), line) {
				t.Errorf("%s: the README has no line %q", v.Name, line)
			}
		}
		if _, err := v.Lines(1 << 17); (err != nil) != (v.Coarsest > 0) {
			t.Errorf("%s: 1/131072: %v", v.Name, err)
		}
	}
	if !softflowd {
		t.Error("softflowd is missing")
	}
}

// Minutes become histories: parts of one are added up, what the kernel dropped
// is nobody's but the collector's.
func TestNetwork(t *testing.T) {
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	at := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	exporter := func(address netip.Addr, flows, units uint64, missing int64) quality.Exporter {
		return quality.Exporter{Address: address, Domains: []quality.Domain{{Flows: flows, Units: units, Missing: missing}}}
	}
	n := NewNetwork()
	for i, m := range []quality.Minute{
		{Sockets: []quality.Socket{{Datagrams: 100}}, Exporters: []quality.Exporter{exporter(a, 6000, 6000, 0)}},
		{Sockets: []quality.Socket{{Datagrams: 90, Drops: 10}}, Exporters: []quality.Exporter{exporter(a, 9000, 90, 10)}},
		{Exporters: []quality.Exporter{exporter(a, 3000, 30, 30)}},
	} {
		m.At, m.Span = at.Add(time.Duration(i)*time.Minute), time.Minute
		n.Add(&m)
		n.Add(&quality.Minute{At: m.At, Span: m.Span, Exporters: []quality.Exporter{exporter(b, 60, 0, 0)}})
	}
	n.Settle()
	n.Settle()
	if peak := n.Collector.Peak(); peak != 151 || n.Collector.Lossless() != 101 || len(n.Exporters) != 2 {
		t.Errorf("the collector got %v, %v of it without loss", peak, n.Collector.Lossless())
	}
	if h := n.Exporters[a]; h.Peak() != 150 || h.Lossless() != 150 || h.lossy[0] != 100 || h.lossy[1] != 0 || h.Days()[0].Minutes != 3 {
		t.Errorf("%+v", h)
	}
	if h := n.Exporters[b]; h.Recent(at) != 1 || h.Recent(at.AddDate(0, 0, 8)) != 0 {
		t.Errorf("%+v", h)
	}
	twice := NewNetwork()
	twice.Merge(n)
	if twice.Exporters[a].Peak() != 150 || twice.Collector.Lossless() != 101 {
		t.Errorf("%+v", twice)
	}
}
