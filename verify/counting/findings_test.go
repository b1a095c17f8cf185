package counting

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// A sampler takes one packet in rate, at random.
type sampler struct {
	random *rand.Rand
	rate   float64
}

// take is what is told of packets of which one in rate was taken.
func (s *sampler) take(packets float64) float64 {
	mean := packets / s.rate
	taken := 0.0
	for at := s.random.ExpFloat64(); at < mean; at += s.random.ExpFloat64() {
		taken++
	}
	return taken * s.rate
}

func errorOf(packets, rate float64) float64 {
	if packets == 0 {
		return 0
	}
	return 1.96 * math.Sqrt((rate-1)/packets)
}

// play is a day of six hours: in each step so many packets, and the part of them.
func play(seed uint64, rate, packets float64, part func(step int) float64) *series {
	s := &sampler{rand.New(rand.NewPCG(seed, 1)), rate}
	in, no := Way{Packets: make([]float64, 72)}, Way{Packets: make([]float64, 72)}
	sum := 0.0
	for i := range 72 {
		some := packets * (1.2 + math.Sin(float64(i)/20))
		in.Packets[i], no.Packets[i] = s.take(some*part(i)), s.take(some*(1-part(i)))
		sum += in.Packets[i]
	}
	in.Error = errorOf(sum, rate)
	var all series
	all.add(&in, in.Packets)
	all.of(no.Packets)
	return &all
}

func always(part float64) func(int) float64 { return func(int) float64 { return part } }

func between(from, to int, before, then float64) func(int) float64 {
	return func(i int) float64 {
		if i >= from && i < to {
			return then
		}
		return before
	}
}

func TestRise(t *testing.T) {
	for _, c := range []struct {
		what          string
		rate, packets float64
		part          func(int) float64
		since         int // -1: it did not rise
	}{
		{"none", 4096, 1e7, always(0), -1},
		{"as ever", 4096, 1e7, always(.1), -1},
		{"all, as ever", 4096, 1e7, always(1), -1},
		{"all of a sudden", 4096, 1e7, between(60, 72, 0, 1), 60},
		{"more than before", 4096, 1e7, between(60, 72, .01, .1), 60},
		{"not twice as much", 4096, 1e7, between(60, 72, .1, .18), -1},
		{"twice of nearly nothing", 4096, 1e9, between(60, 72, .001, .01), -1},
		{"in the newest step", 4096, 1e7, between(71, 72, 0, .3), 71},
		{"hours ago", 4096, 1e7, between(12, 72, 0, .3), 12},
		{"so long ago that it is as ever", 4096, 1e7, between(4, 72, 0, .3), -1},
		{"over", 4096, 1e7, between(50, 69, 0, 1), -1},
		{"less than before", 4096, 1e7, between(50, 72, .3, .01), -1},
		{"too few samples", 4096, 3e4, between(60, 72, 0, 1), -1},
		{"the same packets, all metered", 1, 3e4, between(60, 72, 0, .1), 60},
		{"once before", 4096, 1e7, func(i int) float64 { return max(between(20, 30, 0, .3)(i), between(60, 72, 0, .6)(i)) }, 60},
	} {
		for seed := range uint64(5) {
			r, risen := play(seed, c.rate, c.packets, c.part).rise(.02)
			if risen != (c.since >= 0) || risen && (r.since < c.since-1 || r.since > c.since+1) {
				t.Errorf("%s, seed %d: %v since %d, from %.3f to %.3f; want %d", c.what, seed, risen, r.since, r.before, r.now, c.since)
			}
		}
	}
	if _, risen := (&series{}).rise(.02); risen {
		t.Error("a rise of nothing")
	}
}

// Whatever a sampler takes of packets of which ever the same part is dropped,
// no alarm comes of it.
func TestNoRiseOfNoise(t *testing.T) {
	for seed := range uint64(1000) {
		random := rand.New(rand.NewPCG(seed, 2))
		rate := math.Exp2(float64(random.IntN(14)))
		packets := rate * math.Exp2(float64(random.IntN(10))) // 1 to 512 samples a step
		part := math.Pow(random.Float64(), 3)
		if r, risen := play(seed, rate, packets, always(part)).rise(.02); risen {
			t.Errorf("seed %d: of %.3f, one in %.0f, %.0f samples a step: %.4f, then %.4f since %d", seed, part, rate, packets/rate, r.before, r.now, r.since)
		}
	}
}

// steps makes ways of what a network tells, step by step.
func steps(count int, tell func(step int, n *network)) (ways []Way) {
	for step := range count {
		n := network{ingress: everywhere, egress: nowhere}
		tell(step, &n)
		for _, s := range n.sums {
			key := Sum{Exporter: s.Exporter, In: s.In, Out: s.Out, Direction: s.Direction}
			at := slices.IndexFunc(ways, func(w Way) bool { return w.Sum == key })
			if at < 0 {
				at = len(ways)
				ways = append(ways, Way{Sum: key, Fate: Forwarded, Packets: make([]float64, count)})
				if s.Out == 0 {
					ways[at].Fate, ways[at].Status, ways[at].Reason = Dropped, 129, "ACL deny"
				}
			}
			ways[at].Packets[step] += float64(s.Packets)
		}
	}
	return ways
}

func send(n *network) {
	for _, w := range ways {
		if !w.dropped {
			n.send(1e5*w.bytes, w.way...)
		}
	}
}

func TestFindCopies(t *testing.T) {
	names := map[Interface]Named{}
	for router := byte(1); router <= 3; router++ {
		for _, index := range []uint32{1, 2, 3, 11, 12} {
			names[at(router, index)] = Named{Interface: at(router, index), Name: fmt.Sprintf("eth%d", index), Role: byNumber(at(router, index))}
		}
	}
	const when = 60
	first := func(i Interface) bool { return i.Exporter == address(1) }
	notFirst := func(i Interface) bool { return !first(i) }
	for _, c := range []struct {
		what          string
		before, after func(n *network)
		roles         []string // what is found where there are roles: router and what, and since when
		none          []string // where there are none
		places        string   // of the first with roles
	}{
		{"as it should be", func(n *network) { n.ingress = boundary }, nil, nil, nil, ""},
		{"core interfaces, too, as ever", nil, nil, nil, nil, ""},
		{"ingress and egress, as ever", func(n *network) { n.egress = everywhere }, nil, nil,
			[]string{"1 no_roles -1", "2 no_roles -1", "3 no_roles -1"}, ""},
		{"a router begins with egress", nil, func(n *network) { n.egress = first }, []string{"1 new_copies 60"}, []string{"1 no_roles 60"}, "go out by eth11. Interfaces in all: 2."},
		{"core interfaces begin", func(n *network) { n.ingress = boundary }, func(n *network) { n.ingress = everywhere },
			[]string{"1 new_copies 60", "2 new_copies 60"}, nil, "come in by eth11."},
		{"a router ends with ingress, and begins with egress", func(n *network) { n.ingress = boundary }, func(n *network) {
			n.ingress, n.egress = func(i Interface) bool { return boundary(i) && notFirst(i) }, first
		},
			[]string{"1 new_copies 60"}, nil, "go out by eth2."}, // of what came from other routers
		{"egress ends", func(n *network) { n.egress = everywhere }, func(n *network) { n.egress = nowhere }, nil, nil, ""},
	} {
		told := steps(72, func(step int, n *network) {
			if c.before != nil {
				c.before(n)
			}
			if c.after != nil && step >= when {
				c.after(n)
			}
			send(n)
		})
		say := func(list []Finding) (said []string) {
			for _, f := range list {
				said = append(said, fmt.Sprintf("%d %s %d", f.Exporter.As4()[3], f.What, f.Step))
			}
			return said
		}
		found := FindCopies(told, names)
		if got := say(found); !slices.Equal(got, c.roles) {
			t.Errorf("%s: %q, want %q", c.what, got, c.roles)
		}
		if len(found) > 0 && !strings.Contains(found[0].Words, c.places) {
			t.Errorf("%s: %s", c.what, found[0].Words)
		}
		if got := say(FindCopies(told, nil)); !slices.Equal(got, c.none) {
			t.Errorf("%s, without roles: %q, want %q", c.what, got, c.none)
		}
	}
}

func both(a, b float64) []float64 { return []float64{a, b} }

func TestFindDrops(t *testing.T) {
	names := map[Interface]Named{at(1, 2): {Name: "eth2", Description: "CUST: Aster"}}
	const when = 60
	for _, c := range []struct {
		what    string
		dropped func(step int) (one, other float64) // of two interfaces of a router, with 1 and 10 million packets a step
		now     float64
		want    string // "" for no alert
	}{
		{"a little, as ever", func(int) (float64, float64) { return .001, .002 }, 0, ""},
		{"much, as ever", func(int) (float64, float64) { return .3, .2 }, 0, ""},
		{"one is denied", func(step int) (float64, float64) { return between(when, 72, 0, 1)(step), .002 },
			1, " % of the packets that come in by eth2 (CUST: Aster) are dropped; before it was 0 %. Why, mostly: ACL deny."},
		{"both", func(step int) (float64, float64) {
			return between(when, 72, .01, .5)(step), between(when, 72, .001, .3)(step)
		}, .3, " % of the packets that come in by interface 3 are dropped; before it was 0.1 %. Why, mostly: ACL deny. Interfaces in all: 2."},
		{"it is over", func(step int) (float64, float64) { return between(when, 69, 0, 1)(step), .002 }, 0, ""},
	} {
		for _, rate := range []float64{100, 10000} {
			s := &sampler{rand.New(rand.NewPCG(7, 7)), rate}
			told := steps(72, func(step int, n *network) {
				for i, part := range both(c.dropped(step)) {
					packets := []float64{1e6, 1e7}[i]
					n.send(uint64(100*s.take(packets*part)), hop{1, uint32(i + 2), 0})
					n.send(uint64(100*s.take(packets*(1-part))), hop{1, uint32(i + 2), 11})
				}
			})
			for i := range told {
				all := 0.0
				for _, n := range told[i].Packets {
					all += n
				}
				told[i].Error = errorOf(all, s.rate)
			}
			said := ""
			for _, f := range FindDrops(told, names) {
				said += f.Words
				if math.Abs(f.Now-c.now) > .05 || f.What != MoreDrops || f.Step != when || f.Exporter != address(1) || !strings.Contains(f.Mend, "access list") {
					t.Errorf("%s: %+v", c.what, f)
				}
			}
			if (said != "") != (c.want != "") || !strings.HasSuffix(said, c.want) {
				t.Errorf("%s, one in %.0f: %q, want %q", c.what, s.rate, said, c.want)
			}
		}
	}
}
