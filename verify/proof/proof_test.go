package proof

import (
	"math"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 16, 12, 0, 0, 0, time.UTC)

// world is an exporter with four interfaces over eight hours: traffic that goes up
// and down by half, in and out, metered at ingress.
func world(seed uint64) *Exporter {
	random := rand.New(rand.NewPCG(seed, 1))
	const n = 96
	x := &Exporter{Address: netip.MustParseAddr("192.0.2.1"), From: noon, Step: Step, Now: noon.Add(n * Step),
		Active: time.Minute, Inactive: 15 * time.Second, Rates: []Rate{{Rate: 1000, Source: "options", Share: 1}}, Protocols: []string{"ipfix"}}
	for index := range uint32(4) {
		for _, d := range []Direction{In, Out} {
			f := Interface{Index: index + 1, Direction: d, Boundary: true, Error: 0.004, Copies: make([]float64, n)}
			mean := 1e9 * float64(index+1)
			for i := range n {
				counter := mean * (1 + 0.5*math.Sin(float64(i)/96*2*math.Pi)) * (0.95 + 0.1*random.Float64())
				flow := counter * (1 + 0.04*(random.Float64()-0.5)) * 0.99
				f.Counter = append(f.Counter, counter)
				f.Flow = append(f.Flow, flow)
				if d == Out {
					f.Copies[i] = flow
				}
			}
			x.Interfaces = append(x.Interfaces, f)
		}
	}
	return x
}

// each changes all buckets of some interfaces from one on.
func (x *Exporter) each(from int, of func(f *Interface) bool, change func(f *Interface, i int)) {
	for k := range x.Interfaces {
		if f := &x.Interfaces[k]; of(f) {
			for i := from; i < len(f.Flow); i++ {
				change(f, i)
			}
		}
	}
}

// kind tells how much there is of a kind of packets: before a bucket, from there on,
// and at other exporters.
func (x *Exporter) kind(name string, from int, before, after, elsewhere float64) {
	k := Kind{Name: name, Elsewhere: elsewhere}
	for i := range x.Interfaces[0].Flow {
		share := before
		if i >= from {
			share = after
		}
		k.Looked, k.Seen = append(k.Looked, 100), append(k.Seen, 100*share)
	}
	x.Kinds = append(x.Kinds, k)
}

func all(*Interface) bool { return true }

func times(factor float64) func(*Interface, int) {
	return func(f *Interface, i int) {
		f.Flow[i] *= factor
		f.Copies[i] *= factor
	}
}

// TestVerdicts: each fault has its own, with the rate that is meant; what is
// right, or cannot be told, has none.
func TestVerdicts(t *testing.T) {
	first := func(f *Interface) bool { return f.Index == 1 && f.Direction == In }
	for name, c := range map[string]struct {
		change  func(x *Exporter)
		of      func(*Interface) bool // whose verdict; default all
		want    Verdict
		implied uint32
		words   string
	}{
		"healthy": {change: func(*Exporter) {}, want: Healthy, words: "by sampling"},
		"nobody tells the rate": {change: func(x *Exporter) {
			x.each(60, all, times(1./1000))
			x.Rates = []Rate{{Rate: 1, Source: "assumed", Share: 1}}
		}, want: RateNotApplied, implied: 1000, words: "one in 1000"},
		"another rate":     {change: func(x *Exporter) { x.each(60, all, times(.25)) }, want: RateWrong, implied: 4000, words: "one packet in 1000, and samples about one in 4"},
		"a rate too great": {change: func(x *Exporter) { x.each(60, all, times(4)) }, want: RateWrong, implied: 250},
		"multiplied twice": {change: func(x *Exporter) { x.each(60, all, times(1000)) }, want: RateAppliedTwice, implied: 1},
		"both directions": {change: func(x *Exporter) {
			x.each(60, all, func(f *Interface, i int) {
				once := f.Flow[i]
				f.Flow[i], f.Copies[i] = 2*once, once
			})
		}, want: DoubleCount, words: "again going out"},
		"loss": {change: func(x *Exporter) {
			x.each(60, all, times(.7))
			x.Losses = []Lost{{noon.Add(60 * Step), noon.Add(96 * Step), .3}}
		}, want: Loss, words: "30 %"},
		"a cache that overflows": {change: func(x *Exporter) {
			x.each(0, all, func(f *Interface, i int) {
				if room := 1e9 * float64(f.Index); f.Flow[i] > room {
					times(room/f.Flow[i])(f, i)
				}
			})
			// It must be busy now.
			for k := range x.Interfaces {
				f := &x.Interfaces[k]
				rotate(f.Flow, 30)
				rotate(f.Counter, 30)
				rotate(f.Copies, 30)
			}
		}, want: LoadLoss, words: "when it is busy"},
		"a card without metering": {change: func(x *Exporter) { x.each(60, first, times(0)) }, of: first, want: DirectionMissing, words: "since 2026-11-16 17:00 UTC"},
		"one that never was":      {change: func(x *Exporter) { x.each(0, first, times(0)) }, of: first, want: NotMetered},
		"within the network": {change: func(x *Exporter) {
			x.each(60, first, times(0))
			x.Interfaces[0].Boundary = false
		}, of: first, want: NotMetered, words: "since"},
		"what goes out came in unmetered": {change: func(x *Exporter) {
			x.each(0, first, times(0))
			x.each(0, func(f *Interface) bool { return f.Direction == Out }, times(.4))
		}, of: func(f *Interface) bool { return f.Direction == Out }, want: NotMetered, words: "ifIndex 1"},
		"half":           {change: func(x *Exporter) { x.each(60, first, times(.5)) }, of: first, want: HalfMissing},
		"some":           {change: func(x *Exporter) { x.each(60, first, times(.8)) }, of: first, want: TooLow, words: "79 %"},
		"more":           {change: func(x *Exporter) { x.each(60, first, times(1.4)) }, of: first, want: TooHigh, words: "139 %"},
		"nothing at all": {change: func(x *Exporter) { x.each(60, all, times(0)) }, want: Silent, words: "Mbit/s"},
		"NetFlow v5": {change: func(x *Exporter) {
			x.each(60, func(f *Interface) bool { return f.Index < 3 }, times(.8))
			x.Protocols = []string{"netflow5"}
		}, of: func(f *Interface) bool { return f.Index < 3 }, want: ProtocolMissing},
		"a long active timer": {change: func(x *Exporter) {
			x.Active = 30 * time.Minute
			x.each(90, all, times(.5))
		}, want: Sawtooth, words: "active timer is 30m"},
		"a long active timer that does not show": {change: func(x *Exporter) { x.Active = 30 * time.Minute }, want: Healthy},
		"a long active timer, of which the newest buckets wait": {change: func(x *Exporter) {
			x.Active = 30 * time.Minute
			x.each(92, all, times(.2))
		}, want: Sawtooth},
		"IPv6 is not metered any more": {change: func(x *Exporter) {
			x.each(60, all, times(.65))
			x.kind("IPv6", 60, .35, 0, .4)
		}, want: ProtocolMissing, words: "has been IPv6 since 2026-11-16 17:00 UTC; before, 35 % were"},
		"labelled packets never were": {change: func(x *Exporter) {
			x.each(0, all, times(.7))
			x.kind("IPv6", 0, .3, .3, .3)
			x.kind("MPLS", 0, 0, 0, .25)
		}, want: ProtocolMissing, words: "none of this exporter's flows is MPLS, while 25 % are of the others'"},
		"what never was there explains no change": {change: func(x *Exporter) {
			x.each(60, all, times(.5))
			x.kind("MPLS", 0, 0, 0, .35)
		}, want: RateWrong, implied: 2000},
		"nor half of a bundle": {change: func(x *Exporter) {
			x.each(60, first, times(.5))
			x.kind("IPv6", 0, 0, 0, .45)
		}, of: first, want: HalfMissing},
		"nor half from the beginning on": {change: func(x *Exporter) {
			x.each(0, all, times(.5))
			x.kind("MPLS", 0, 0, 0, .35)
		}, want: RateWrong, implied: 2000},
		"IPv6 explains less than that": {change: func(x *Exporter) {
			x.each(60, all, times(.25))
			x.kind("IPv6", 60, .35, 0, .35)
		}, want: RateWrong},
		"IPv6 is there": {change: func(x *Exporter) {
			x.each(60, all, times(.5))
			x.kind("IPv6", 60, .35, .33, .35)
		}, want: RateWrong, implied: 2000},
		"nobody has IPv6": {change: func(x *Exporter) {
			x.each(60, first, times(.5))
			x.kind("IPv6", 60, 0, 0, 0)
		}, of: first, want: HalfMissing},
		"what goes out came in partly": {change: func(x *Exporter) {
			x.each(60, first, times(.5))
			x.each(60, func(f *Interface) bool { return f.Direction == Out }, times(.85))
		}, of: func(f *Interface) bool { return f.Direction == Out }, want: NotMetered, words: "do not tell all: ifIndex 1"},
		"what is thrown away": {change: func(x *Exporter) {
			for k := range x.Interfaces {
				f := &x.Interfaces[k]
				f.Discards = true
				clear(f.Counter)
			}
		}, of: func(f *Interface) bool { return f.Direction == Out }, want: NotMetered, words: "thrown away"},
		"nothing is counted": {change: func(x *Exporter) {
			clear(x.Interfaces[0].Counter)
		}, of: first, want: TooHigh, words: "counted next to nothing"},
		"other numbers": {change: func(x *Exporter) { // each counts what its neighbour did
			x.Renumbered = noon.Add(60 * Step)
			for k := range x.Interfaces {
				f := &x.Interfaces[k]
				for i := 60; i < len(f.Flow); i++ {
					f.Counter[i] *= float64(f.Index%4+1) / float64(f.Index)
				}
			}
		}, want: Renumbered, words: "other numbers since 2026-11-16 17:00 UTC"},
		"other numbers, for longer than is looked at": {change: func(x *Exporter) {
			x.Renumbered = noon.Add(-50 * time.Hour)
			for k := range x.Interfaces {
				f := &x.Interfaces[k]
				for i := range f.Counter {
					f.Counter[i] *= float64(f.Index%4+1) / float64(f.Index)
				}
			}
		}, of: func(f *Interface) bool { return f.Direction == In }, want: Renumbered, words: "other numbers since 2026-11-14 10:00 UTC"},
		"other numbers before, and one is wrong": {change: func(x *Exporter) {
			x.Renumbered = noon.Add(-50 * time.Hour)
			x.each(0, first, times(.8))
		}, of: first, want: TooLow},
		"another number, and flows have the old one": {change: func(x *Exporter) {
			x.Renumbered = noon.Add(60 * Step)
			x.each(0, first, func(f *Interface, i int) {
				f.Flow[i], f.Copies[i] = 0, 0
				if i < 60 {
					f.Counter[i] = 0
				}
			})
			x.each(60, func(f *Interface) bool { return f.Index == 2 }, times(3))
		}, of: first, want: Renumbered},
		"another number, and it is metered nowhere": {change: func(x *Exporter) {
			x.Renumbered = noon.Add(60 * Step)
			x.each(0, first, func(f *Interface, i int) {
				f.Flow[i], f.Copies[i] = 0, 0
				if i < 60 {
					f.Counter[i] = 0
				}
			})
		}, of: first, want: NotMetered},
		"no traffic": {change: func(x *Exporter) {
			x.each(0, all, func(f *Interface, i int) { f.Counter[i], f.Flow[i], f.Copies[i] = 100, 0, 0 })
		}, want: Idle},
		"no counters": {change: func(x *Exporter) {
			x.each(80, all, func(f *Interface, i int) { f.Counter[i] = math.NaN() })
		}, want: Unknown},
		"few packets": {change: func(x *Exporter) {
			x.each(0, all, times(.7))
			for k := range x.Interfaces {
				x.Interfaces[k].Error = .5
			}
		}, want: Unknown, words: "Too few"}, // sampling explains it
		"a restart": {change: func(x *Exporter) {
			x.Restarts = []time.Time{noon.Add(91 * Step)}
			x.each(91, all, func(f *Interface, i int) {
				if i < 93 {
					times(.3)(f, i)
				}
			})
		}, want: Healthy},
		"holes in the counters": {change: func(x *Exporter) {
			x.each(0, all, func(f *Interface, i int) {
				if i%4 == 3 {
					f.Counter[i] = math.NaN()
				}
			})
		}, want: Healthy},
	} {
		t.Run(name, func(t *testing.T) {
			x := world(7)
			c.change(x)
			if c.of == nil {
				c.of = all
			}
			for k, f := range Judge(x) {
				if !c.of(&x.Interfaces[k]) {
					continue
				}
				if f.Verdict != c.want || c.implied != 0 && f.Implied != c.implied && (f.Implied < c.implied*9/10 || f.Implied > c.implied*11/10) || !strings.Contains(f.Words, c.words) {
					t.Errorf("%d %s: %s (ratio %.3g, implied %d): %s", f.Index, f.Direction, f.Verdict, f.Ratio, f.Implied, f.Words)
				}
				if f.Verdict.Wrong() == (f.Mend == "") {
					t.Errorf("%s: what to do: %q", f.Verdict, f.Mend)
				}
			}
		})
	}
}

func rotate(v []float64, by int) {
	w := append(append([]float64{}, v[by:]...), v[:by]...)
	copy(v, w)
}

// TestSince: a verdict tells since when.
func TestSince(t *testing.T) {
	x := world(7)
	x.each(40, all, times(.25))
	for _, f := range Judge(x) {
		if since := f.Since.Sub(noon) / Step; since < 40 || since > 41 {
			t.Errorf("%d %s: since bucket %d", f.Index, f.Direction, since)
		}
	}
}

// TestNoFalseAlarms: traffic that is told rightly, in a thousand ways, is called
// healthy, with sampling errors of every size.
func TestNoFalseAlarms(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	wrong, judged := 0, 0
	for seed := range uint64(400) {
		x := world(seed)
		for k := range x.Interfaces {
			f := &x.Interfaces[k]
			// Of so many sampled packets in all buckets together, of lengths that differ.
			packets := math.Pow(10, 2+4*random.Float64())
			f.Error = 1.3 * 1.96 / math.Sqrt(packets)
			for i := range f.Flow {
				lambda := packets / float64(len(f.Flow))
				f.Flow[i] *= max(0, 1+1.3*random.NormFloat64()/math.Sqrt(lambda))
			}
		}
		for _, f := range Judge(x) {
			judged++
			if f.Verdict.Wrong() {
				wrong++
				t.Logf("%s: ratio %.3g ± %.3g of %d buckets, all ± %.3g", f.Verdict, f.Ratio, f.Error, f.To.Sub(f.From)/Step, x.Interfaces[0].Error)
			}
		}
	}
	t.Logf("%d false alarms in %d verdicts", wrong, judged)
	if wrong*1000 > judged {
		t.Errorf("%d false alarms in %d verdicts", wrong, judged)
	}
}

func TestNice(t *testing.T) {
	for rate, want := range map[float64]uint32{1: 1, 0.3: 1, 998: 1000, 1030: 1024, 4100: 4096, 16200: 16384, 2010: 2000, 1500: 1500, 8000: 8192} {
		if got := nice(rate, 0); got != want {
			t.Errorf("%v: %d, expected %d", rate, got, want)
		}
	}
}
