package quality

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/minamo-flow/minamo/collect"
	"github.com/minamo-flow/minamo/flow"
)

// told is a minute after noon in which exporter one told of flows in datagrams.
func told(minute int, change func(*Minute, *Domain)) *Minute {
	m := &Minute{At: noon.Add(time.Duration(minute) * time.Minute), Span: time.Minute,
		Sockets: []Socket{{"udp://:2055", 10, 0}},
		Exporters: []Exporter{{Address: one, Domains: []Domain{{
			Protocol: flow.NetFlow9, Flows: 200, Datagrams: 10, Bytes: 14_000, Units: 10,
			Rates: []collect.RateReading{{Rate: 1000, Source: flow.SamplingOptions, Flows: 200}},
		}}}}}
	if change != nil {
		change(m, &m.Exporters[0].Domains[0])
	}
	return m
}

// nothing is a minute in which a collector ran, and nobody told anything.
func nothing(m *Minute, _ *Domain) { m.Exporters = nil }

func TestLosses(t *testing.T) {
	type found struct {
		from, to int // minutes after noon
		exporter string
		kind     string
		share    float64 // -1: not known
		words    string
	}
	missing := func(n int64) func(*Minute, *Domain) { return func(_ *Minute, d *Domain) { d.Missing = n } }
	for name, x := range map[string]struct {
		at   map[int]func(*Minute, *Domain) // of twenty minutes; nil: no minute was written
		want []found
	}{
		"all is well": {},
		"minutes of loss are one interval": {
			map[int]func(*Minute, *Domain){10: missing(5), 11: missing(25)},
			[]found{{10, 12, "192.0.2.1", LossMissing, 0.6, "60 % of its flows are lost: 30 of 50 datagrams never came"}},
		},
		"apart they are two": {
			map[int]func(*Minute, *Domain){10: missing(10), 12: missing(10)},
			[]found{{10, 11, "192.0.2.1", LossMissing, 0.5, "50 %"}, {12, 13, "192.0.2.1", LossMissing, 0.5, "50 %"}},
		},
		"late is not lost": {map[int]func(*Minute, *Domain){10: missing(-3)}, nil},
		"units of each protocol": {
			map[int]func(*Minute, *Domain){3: func(m *Minute, d *Domain) {
				d.Missing = 10                                                                                                              // of 20 datagrams: 200 flows
				m.Exporters[0].Domains = append(m.Exporters[0].Domains, Domain{Protocol: flow.IPFIX, Flows: 400, Units: 200, Missing: 100}) // 200 flows
			}},
			[]found{{3, 4, "192.0.2.1", LossMissing, 0.4, "40 % of its flows are lost: 100 of 300 data records never came, 10 of 20 datagrams never came"}},
		},
		"the kernel drops": {
			map[int]func(*Minute, *Domain){4: func(m *Minute, _ *Domain) { m.Sockets[0].Drops = 30 }},
			[]found{{4, 5, "", LossKernel, 0.75, "dropped 30 of 40 datagrams"}},
		},
		"a restart": {
			map[int]func(*Minute, *Domain){4: func(_ *Minute, d *Domain) { d.Restarts = 1 }},
			[]found{{4, 5, "192.0.2.1", LossRestart, -1, "restarted: flows"}},
		},
		"no template, malformed": {
			map[int]func(*Minute, *Domain){7: func(m *Minute, _ *Domain) { m.Exporters[0].Forlorn, m.Exporters[0].MalformedParts = 2, 3 }},
			[]found{{7, 8, "192.0.2.1", LossMalformed, -1, "3 parts"}, {7, 8, "192.0.2.1", LossTemplate, -1, "2 data sets"}},
		},
		"silent for long enough": {
			map[int]func(*Minute, *Domain){8: nothing, 9: nothing, 10: nothing},
			[]found{{8, 11, "192.0.2.1", LossSilent, 1, "told nothing"}},
		},
		"silent to the end": {
			map[int]func(*Minute, *Domain){17: nothing, 18: nothing, 19: nothing},
			[]found{{17, 20, "192.0.2.1", LossSilent, 1, "told nothing"}},
		},
		"a breath": {map[int]func(*Minute, *Domain){8: nothing, 9: nothing, 19: nothing}, nil},
		"nobody collected": {
			map[int]func(*Minute, *Domain){8: nil, 9: nil, 10: nil, 11: nil, 12: func(m *Minute, _ *Domain) { m.Started = true }},
			[]found{{8, 12, "", LossStopped, 1, "No collector ran"}},
		},
		"started anew at once": {
			map[int]func(*Minute, *Domain){8: func(m *Minute, _ *Domain) { m.Started = true }},
			[]found{{8, 9, "", LossStopped, -1, "started anew"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var l Losses
			for i := range 20 {
				change, special := x.at[i]
				if special && change == nil {
					continue
				}
				l.Add(told(i, change))
			}
			minute := func(at time.Time) int { return int(at.Sub(noon) / time.Minute) }
			got := l.Intervals(noon, noon.Add(20*time.Minute))
			if len(got) != len(x.want) {
				t.Fatalf("%+v", got)
			}
			for i, w := range x.want {
				g := got[i]
				s := -1.0
				if g.Share != nil {
					s = *g.Share
				}
				if minute(g.From) != w.from || minute(g.To) != w.to || g.Exporter != w.exporter || g.Kind != w.kind || s != w.share || !strings.Contains(g.Words, w.words) {
					t.Errorf("%+v, share %v, expected %+v", g, s, w)
				}
			}
		})
	}
}

// An exporter that tells something every ten minutes is not silent in between.
func TestWhoTellsSeldomIsNotSilent(t *testing.T) {
	var l Losses
	for i := range 300 {
		if i%10 == 0 {
			l.Add(told(i, nil))
		} else {
			l.Add(told(i, nothing))
		}
	}
	if got := l.Intervals(noon, noon.Add(300*time.Minute)); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

func TestScores(t *testing.T) {
	const long = 1800
	for name, x := range map[string]struct {
		change func(*Minute, *Domain) // in each of twenty minutes
		points int
		kind   string
		words  string
	}{
		"all is well":       {nil, 0, "", ""},
		"one in a thousand": {func(_ *Minute, d *Domain) { d.Units, d.Missing = 999, 1 }, 2, LossMissing, "0.1 %"},
		"one in a hundred":  {func(_ *Minute, d *Domain) { d.Units, d.Missing = 99, 1 }, 7, LossMissing, "1.0 %"},
		"half":              {func(_ *Minute, d *Domain) { d.Missing = 10 }, 50, LossMissing, "200 of 400 datagrams"},
		"what the kernel drops is missing, too": {
			func(m *Minute, d *Domain) { d.Missing, m.Sockets[0].Drops = 10, 10 }, 50, LossKernel, "The kernel of this machine dropped 200",
		},
		"clock":        {func(_ *Minute, d *Domain) { d.HasOffset, d.Offset = true, -5000 }, 4, "clock", "5s behind ours: "},
		"clock, wrong": {func(_ *Minute, d *Domain) { d.HasOffset, d.Offset = true, 3_600_000 }, 15, "clock", "1h0m0s ahead of"},
		"clock, drifting": {
			func(m *Minute, d *Domain) { d.HasOffset, d.Offset = true, m.At.Sub(noon).Milliseconds()/60 }, 8, "clock", "19s ahead of ours, and drifts by 60.0 s an hour",
		},
		"clock, whole seconds": {func(_ *Minute, d *Domain) { d.HasOffset, d.Offset = true, -1400 }, 0, "", ""},
		"no rate": {
			func(_ *Minute, d *Domain) { d.Rates[0] = collect.RateReading{Rate: 1, Flows: 200} }, 10, "sampling_assumed", "whether it samples",
		},
		"no rate for some": {
			func(_ *Minute, d *Domain) {
				d.Rates = append(d.Rates, collect.RateReading{Rate: 1, Flows: 200})
			}, 30, "sampling_assumed", "50 % of its flows",
		},
		"configured to be unsampled": {
			func(_ *Minute, d *Domain) {
				d.Rates[0] = collect.RateReading{Rate: 1, Source: flow.SamplingConfigured, Flows: 200}
			}, 0, "", "",
		},
		"multiplied":       {func(_ *Minute, d *Domain) { d.Scaled = 10 }, 40, "sampling_applied_twice", "multiples"},
		"seldom multiples": {func(_ *Minute, d *Domain) { d.Scaled, d.Unscaled = 10, 1 }, 0, "", ""},
		"egress":           {func(_ *Minute, d *Domain) { d.Egress = 10 }, 10, "egress_only", "only what leaves"},
		"ingress":          {func(_ *Minute, d *Domain) { d.Ingress = 10 }, 0, "", ""},
		"both":             {func(_ *Minute, d *Domain) { d.Ingress, d.Egress = 5, 5 }, 5, "ingress_and_egress", "told twice"},
		"impossible times": {func(m *Minute, _ *Domain) { m.Exporters[0].Clamped = 200 }, 10, "times_clamped", "4000 flows"},
		"mismatch":         {func(m *Minute, _ *Domain) { m.Exporters[0].RateMismatch = 1 }, 20, "sampling_mismatch", "sample pool"},
		"rate rejected":    {func(m *Minute, _ *Domain) { m.Exporters[0].RateRejected = 1 }, 10, "sampling_rejected", "20 times"},
		"waits":            {func(m *Minute, _ *Domain) { m.Exporters[0].Waited = 2 }, 0, "", ""},
		"malformed":        {func(m *Minute, _ *Domain) { m.Exporters[0].Malformed = 10 }, 15, LossMalformed, "not as the protocol demands"},
		"thinned":          {func(m *Minute, d *Domain) { m.Exporters[0].Thinned = d.Flows / 4 }, 9, "thinned", "of its 4000 were left out"},
		"half an hour": {func(m *Minute, d *Domain) {
			d.Durations = &collect.Histogram{}
			random := rand.New(rand.NewPCG(1, uint64(m.At.Unix())))
			for range 100 {
				d.Durations[bucketOf(int64(random.Float64()*long*1000))]++
			}
		}, 15, "active_timer", "about 30m0s: charts are right because bytes are spread, but detection waits this long"},
		"late duplicates": {func(_ *Minute, d *Domain) { d.Reordered, d.Duplicates = 5, 2 }, 0, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := NewAssessment(noon, noon.Add(20*time.Minute))
			for i := range 20 {
				a.Add(told(i, x.change))
			}
			s := a.Exporters()[one].Score
			if s.Score != 100-x.points {
				t.Errorf("%+v", s)
			}
			if x.points > 0 && (len(s.Lost) != 1 || s.Lost[0].Kind != x.kind || s.Lost[0].Points != x.points || !strings.Contains(s.Lost[0].Words, x.words) || s.Lost[0].Mend == "") {
				t.Errorf("%+v", s.Lost)
			}
		})
	}
}

// bucketOf finds a span's bucket without knowing how they are laid out.
func bucketOf(ms int64) (i int) {
	for i+1 < collect.HistogramLen && collect.HistogramFrom(i+1) <= ms {
		i++
	}
	return i
}

func TestSilentExporter(t *testing.T) {
	a := NewAssessment(noon.Add(10*time.Minute), noon.Add(20*time.Minute))
	for i := range 20 {
		if i < 10 {
			a.Add(told(i, nil))
		} else {
			a.Add(told(i, nothing))
		}
	}
	if s := a.Exporters()[one].Score; s.Score != 0 || len(s.Lost) != 1 || s.Lost[0].Kind != LossSilent {
		t.Errorf("%+v", s)
	}
	if s := Silent(noon, noon.Add(time.Hour), noon.Add(-time.Hour)); s.Score != 0 || !strings.Contains(s.Lost[0].Words, "2026-11-16T11:00:00Z") {
		t.Errorf("%+v", s)
	}
}

// Timers are found for what devices are set to, out of conversations of all
// lengths that a cache cuts, and that it looks through every so often.
func TestTimers(t *testing.T) {
	for _, x := range []struct {
		active, inactive, scan float64 // s
		flows                  int
	}{{60, 15, 1, 5000}, {60, 15, 10, 5000}, {60, 15, 60, 5000}, {120, 30, 1, 5000}, {300, 60, 1, 5000}, {1800, 15, 1, 5000}, {1, 5, 1, 5000}, {60, 10, 1, 300}} {
		random := rand.New(rand.NewPCG(7, 7))
		var durations, delays collect.Histogram
		for range x.flows {
			length := random.ExpFloat64() * x.active / 2 // of a conversation
			for ; length > x.active; length -= x.active {
				durations[bucketOf(int64(x.active*1000*(1-random.Float64()*0.03)))]++
				delays[bucketOf(int64(random.Float64()*1000))]++
			}
			durations[bucketOf(int64(length*1000))]++
			delays[bucketOf(int64(1000*(x.inactive+random.Float64()*x.scan)))]++
		}
		timers := DetectTimers(&durations, &delays, time.Duration(x.active)*time.Second)
		if x.active < 10 {
			if timers.Active != nil && timers.Active.Seconds > 2 {
				t.Errorf("%+v: %+v", x, timers.Active)
			}
		} else if timers.Active == nil || timers.Active.Seconds != int(x.active) || timers.Active.Confidence < 0.5 || (timers.Active.Warning != "") != (x.active > 60) {
			t.Errorf("%+v: active %+v", x, timers.Active)
		}
		if timers.Inactive == nil || timers.Inactive.Seconds != int(x.inactive) || timers.Inactive.Confidence < 0.5 {
			t.Errorf("%+v: inactive %+v", x, timers.Inactive)
		}
	}

	// Where nothing lasts long enough nobody can tell.
	var short collect.Histogram
	random := rand.New(rand.NewPCG(7, 8))
	for range 10_000 {
		short[bucketOf(int64(random.ExpFloat64()*3000))]++
	}
	if timers := DetectTimers(&short, &collect.Histogram{}, 30*time.Second); timers.Active != nil || timers.Inactive != nil {
		t.Errorf("%+v, %+v", timers.Active, timers.Inactive)
	}
}

// A Recorder goes on where another ended, and tells of both.
func TestRecorder(t *testing.T) {
	dir := t.TempDir()
	now := noon.Add(10 * time.Second)
	reading := collect.Reading{Exporter: one, Problems: map[string]uint64{}, Domains: []collect.DomainReading{{Protocol: flow.NetFlow9, Domain: 3}}}
	d := &reading.Domains[0]
	drops := uint64(0)
	begin := func() *Recorder {
		return Open(Config{
			Dir: dir, Clock: func() time.Time { return now },
			Sockets: func() []collect.SocketStatus { return []collect.SocketStatus{{Address: "udp://:2055", Drops: drops}} },
			Readings: func(histograms bool) []collect.Reading {
				r := reading
				r.Domains = []collect.DomainReading{*d}
				r.Problems = map[string]uint64{"template_waiting": reading.Problems["template_waiting"]}
				if !histograms {
					r.Domains[0].Durations = nil
				}
				return []collect.Reading{r}
			},
		}, quiet)
	}
	r := begin()
	r.look(now)
	d.Flows, d.Datagrams, d.Missing, drops, reading.Problems["template_waiting"] = 10, 1, 2, 5, 1
	d.Offsets = []int64{5, 900, 7}
	d.Durations = &collect.Histogram{5: 1}
	now = noon.Add(50 * time.Second)
	r.look(now) // the same minute
	now = noon.Add(61 * time.Second)
	r.look(now)
	d.Offsets = nil
	d.Flows, d.Datagrams, d.Missing = 15, 2, 1 // one came late
	now = noon.Add(5*time.Minute + time.Second)
	r.look(now)
	now = noon.Add(6 * time.Minute)
	r.look(now)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	d.Flows, d.Datagrams = 16, 3
	if err := r.Run(ctx); err != nil { // writes what there is of the minute
		t.Fatal(err)
	}
	if to := r.Newest(); !to.Equal(noon.Add(7 * time.Minute)) {
		t.Errorf("newest %v", to)
	}

	now = now.Add(time.Second)
	d.Flows, d.Datagrams, d.Missing, drops = 3, 1, 0, 0 // counters begin anew
	reading.Problems["template_waiting"] = 0
	r = begin()
	r.look(now)
	now = noon.Add(7*time.Minute + time.Second)
	r.look(now)

	var got []string
	var flows, datagrams, waited uint64
	var missing int64
	if err := r.Read(noon, noon.Add(time.Hour), func(m *Minute) error {
		text := m.At.Format("15:04 ") + m.Span.String()
		if m.Started {
			text += " started"
		}
		if m.Sockets[0].Drops > 0 {
			text += " drops"
		}
		for _, x := range m.Exporters {
			waited += x.Waited
			for _, d := range x.Domains {
				flows += d.Flows
				datagrams += d.Datagrams
				missing += d.Missing
				if d.HasOffset && d.Offset != 7 {
					t.Errorf("offset %d", d.Offset)
				}
				text += " told"
				if d.Durations != nil {
					text += " histogram"
				}
			}
		}
		got = append(got, text)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	want := []string{"12:00 1m0s started drops told", "12:01 4m0s told histogram", "12:05 1m0s told histogram", "12:06 1m0s told histogram", "12:06 1m0s started told"}
	want[2] = "12:05 1m0s"
	if !reflect.DeepEqual(got, want) || flows != 19 || datagrams != 4 || missing != 1 || waited != 1 {
		t.Errorf("%q\n%d flows, %d datagrams, %d missing, %d waited", got, flows, datagrams, missing, waited)
	}
	verdicts, from, to, err := r.Latest(time.Hour)
	if err != nil || to.Sub(from) != time.Hour || len(verdicts) != 1 || verdicts[netip.MustParseAddr("192.0.2.1")].Score.Score == 100 {
		t.Errorf("%+v, %v", verdicts, err)
	}
}

// A clock that is set back writes nothing twice, and one that leaps does not
// claim that somebody ran meanwhile.
func TestRecorderBesideAClockThatIsSet(t *testing.T) {
	r := Open(Config{Dir: t.TempDir(), Clock: func() time.Time { return noon }, Readings: func(bool) []collect.Reading { return nil }}, quiet)
	for _, at := range []time.Duration{0, time.Minute, -24 * time.Hour, -24*time.Hour + time.Minute, 0, time.Minute} {
		r.look(noon.Add(at))
	}
	got, _ := minutes(t, r.cfg.Dir, noon.Add(-48*time.Hour), noon.Add(48*time.Hour))
	var spans []time.Duration
	for _, m := range got {
		spans = append(spans, m.Span)
	}
	if !reflect.DeepEqual(spans, []time.Duration{time.Minute, time.Minute, time.Minute, time.Minute}) {
		t.Errorf("%v", spans)
	}
}

// A file that cannot be written is told once, counted, and tried again.
func TestRecorderWithoutAPlaceToWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "quality")
	if err := os.WriteFile(dir, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	r := Open(Config{Dir: dir, Readings: func(bool) []collect.Reading { return nil }}, quiet)
	for i := range 3 {
		r.look(noon.Add(time.Duration(i) * time.Minute))
	}
	if n := r.failed.Load(); n != 2 || !r.Newest().IsZero() {
		t.Errorf("%d failures, newest %v", n, r.Newest())
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	r.look(noon.Add(3 * time.Minute))
	if n := r.failed.Load(); n != 2 || !r.Newest().Equal(noon.Add(3*time.Minute)) {
		t.Errorf("%d failures, newest %v", n, r.Newest())
	}
}

func TestMetrics(t *testing.T) {
	r := Open(Config{Dir: t.TempDir(), Clock: func() time.Time { return noon.Add(time.Minute) }, Readings: func(bool) []collect.Reading { return nil }}, quiet)
	m := told(0, func(_ *Minute, d *Domain) { d.Egress, d.Restarts = 30, 1 })
	if err := r.file.Append(m.At, appendMinute(nil, m), 1<<20); err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(r)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			got[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	if want := map[string]float64{
		"minamo_exporter_quality_score 192.0.2.1":                   85,
		"minamo_exporter_quality_lost_points 192.0.2.1 egress_only": 10,
		"minamo_exporter_quality_lost_points 192.0.2.1 restart":     5,
		"minamo_quality_failures_total":                             0,
	}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v", got)
	}
}
