package quality

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/minamo-flow/minamo/collect"
	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/simulate"
)

// desk is a collector without sockets, with a Recorder.
type desk struct {
	t        *testing.T
	network  *simulate.Network
	recorder *Recorder
	flows    *flow.Batch
	decode   func(datagram []byte, source netip.Addr)
}

// wire is a router's way to the desk.
type wire struct {
	net.Conn
	desk   *desk
	source netip.Addr
}

func (w *wire) Close() error { return nil }

func (w *wire) Write(p []byte) (int, error) {
	w.desk.decode(p, w.source)
	return len(p), nil
}

func newDesk(t *testing.T, cfg simulate.Config) *desk {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	exporters := collect.NewExporters(collect.ExporterConfig{}, log)
	d := &desk{t: t, flows: flow.NewBatch(64)}
	d.decode = func(datagram []byte, source netip.Addr) {
		if err := exporters.Decode(datagram, source, d.network.Now().UnixMilli(), d.flows); err != nil {
			t.Errorf("%v: %v", source, err)
		}
		d.flows.Reset()
	}
	cfg.Seed = 4
	cfg.Collector = func(string) string { return "udp://192.0.2.200:2055" }
	cfg.Dial = func(_ context.Context, source netip.Addr, _, _ string) (net.Conn, error) {
		return &wire{desk: d, source: source}, nil
	}
	var err error
	if d.network, err = simulate.New(cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.network.Close() })
	d.recorder = Open(Config{Dir: t.TempDir(), Clock: d.network.Now, Readings: exporters.Readings}, log)
	d.recorder.look(d.network.Now())
	return d
}

func (d *desk) run(length time.Duration) {
	d.t.Helper()
	for end := d.network.Now().Add(length); d.network.Now().Before(end); {
		if err := d.network.Step(d.network.Now().Add(time.Minute)); err != nil {
			d.t.Fatal(err)
		}
		d.recorder.look(d.network.Now())
	}
}

// TestScenarios plays what can go wrong for 40 minutes, after 20 in which all
// is well. The exporter that it happens to loses points for what is wrong, all
// others none.
func TestScenarios(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIP: scenarios of the simulated network take seconds")
	}
	type scenario struct {
		name string
		kind string // of the lost points; "" where flow export alone does not show what is wrong
		loss string // kind of the intervals of known loss
	}
	scenarios := []scenario{
		{name: ""},
		{"no-rate", "sampling_assumed", ""},
		{"applied-twice", "sampling_applied_twice", ""},
		{"loss", LossMissing, LossMissing},
		{"overload", LossMissing, LossMissing},
		{"ingress-egress", "ingress_and_egress", ""},
		{"egress-only", "egress_only", ""},
		{"active-timer", "active_timer", ""},
		{"slow-timers", "active_timer", ""},
		{"restart", LossRestart, LossRestart},
		{"renumber", LossRestart, LossRestart}, // which it does with its restart
		{"stale-numbers", LossRestart, LossRestart},
		{"clock-drift", "clock", ""},
		{"silent", LossSilent, LossSilent},
		// These need the interfaces' counters, or knowledge of the network.
		{"wrong-rate", "", ""},
		{"double-count", "", ""},
		{"half-metered", "", ""},
		{"half-bundle", "", ""},
		{"ipv4-only", "", ""},
		{"acl", "", ""},
		{"ipv6-unseen", "", ""},
	}
	for _, known := range simulate.Scenarios() {
		if !slices.ContainsFunc(scenarios, func(x scenario) bool { return x.name == known.Name }) {
			t.Errorf("scenario %s: nobody tells what is lost by it", known.Name)
		}
	}
	if racing { // scripts/test plays all of them without
		scenarios = []scenario{{"silent", LossSilent, LossSilent}}
	}
	for _, x := range scenarios {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			cfg := simulate.Config{Scale: 0.5, Start: time.Date(2026, 11, 16, 3, 0, 0, 0, time.UTC)} // a Monday's noon
			if x.name == "overload" {
				cfg.Start = cfg.Start.Add(8 * time.Hour) // the evening
			}
			from := cfg.Start.Add(20 * time.Minute)
			var at netip.Addr
			if x.name != "" {
				cfg.Scenarios = []simulate.Scenario{{Name: x.name, From: from}}
			}
			d := newDesk(t, cfg)
			length := 60 * time.Minute
			slow := x.kind == "active_timer"
			if slow {
				length = 100 * time.Minute
			}
			info, known := simulate.ScenarioNamed(x.name)
			if known != (x.name != "") {
				t.Fatal("no such scenario")
			}
			for _, r := range d.network.Routers() {
				if known && r.Name == info.Router {
					at = r.Addr
				}
			}
			d.run(length)
			now := d.network.Now()
			verdicts, _, to, err := d.recorder.Latest(time.Hour)
			if err != nil || !to.Equal(now) {
				t.Fatal(err, to)
			}
			if len(verdicts) != 5 {
				t.Errorf("%d exporters", len(verdicts))
			}
			var losses Losses
			if err := d.recorder.Read(now.Add(-length), now, func(m *Minute) error { losses.Add(m); return nil }); err != nil {
				t.Fatal(err)
			}
			for _, r := range d.network.Routers() {
				v := verdicts[r.Addr]
				if x.kind == "" || r.Addr != at {
					if v.Score.Score != 100 {
						t.Errorf("%s: %+v", r.Name, v.Score)
					}
				} else if len(v.Score.Lost) != 1 || v.Score.Lost[0].Kind != x.kind || v.Score.Lost[0].Mend == "" || v.Score.Score != 100-v.Score.Lost[0].Points {
					t.Errorf("%s: %+v", r.Name, v.Score)
				}
				if r.Vendor.Active > 0 && !slow && !(x.name == "silent" && r.Addr == at) {
					if a, i := v.Timers.Active, v.Timers.Inactive; a == nil || a.Seconds != int(r.Vendor.Active.Seconds()) || i == nil || i.Seconds != int(r.Vendor.Inactive.Seconds()) {
						t.Errorf("%s: timers %+v, %+v; they are %v and %v", r.Name, a, i, r.Vendor.Active, r.Vendor.Inactive)
					}
				}
			}
			intervals := losses.Intervals(now.Add(-length), now)
			for _, i := range intervals {
				if i.Kind != x.loss || i.Exporter != at.String() || i.From.Before(from.Add(-time.Minute)) || i.Words == "" {
					t.Errorf("known loss %+v", i)
				}
			}
			if (len(intervals) > 0) != (x.loss != "") {
				t.Errorf("%d intervals", len(intervals))
			}
		})
	}
}
