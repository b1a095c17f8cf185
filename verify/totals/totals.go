// Package totals looks every few minutes at what totals are made of: which
// records tell of the same packets again, and which packets were dropped. It
// keeps the newest amounts for Prometheus, and what an operator should know of
// for who asks.
//
// It only gathers, from sums that the store keeps and never from single flows:
// package counting judges. Nothing of it is kept on disk, for the next look finds
// the same. docs/counting.md tells what is an alert and what is none.
package totals

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/minamo-flow/minamo/query"
	"github.com/minamo-flow/minamo/verify/counting"
)

// Step is the length of the steps in which the past is looked at.
const Step = 5 * time.Minute

// late is how long flows may be under way. Of a longer active timer a part is
// missing in the newest step: of all packets alike, so parts of them are right.
const late = 2 * time.Minute

// Config of a Watcher. The zero value of a field means its default.
type Config struct {
	Engine  *query.Engine
	Archive query.Archive
	// Known are the interfaces that have a name or a role; nil: there are none.
	Known func() []counting.Named

	Clock  func() time.Time // the collector's; default time.Now
	Every  time.Duration    // of that clock; default five minutes
	Look   time.Duration    // how often the clock is looked at; default 10 s
	Window time.Duration    // how much of the past is looked at; default six hours
}

// Alert is a finding, and since when it is so.
type Alert struct {
	counting.Finding
	Since time.Time // zero: for longer than was looked at
}

// Watcher looks at totals. New makes one, Run runs it; its other methods may be
// called from anywhere at any time.
type Watcher struct {
	cfg Config
	log *slog.Logger

	mu      sync.Mutex
	looked  time.Time
	failed  uint64
	alerts  []Alert
	counted map[query.Scope]float64 // bit/s; of network only if interfaces have roles
	dropped map[netip.Addr]float64  // bit/s, of exporters that tell what became of packets
}

// New returns an inert Watcher.
func New(cfg Config, log *slog.Logger) *Watcher {
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Every <= 0 {
		cfg.Every = Step
	}
	if cfg.Look <= 0 {
		cfg.Look = 10 * time.Second
	}
	if cfg.Window <= 0 {
		cfg.Window = 6 * time.Hour
	}
	return &Watcher{cfg: cfg, log: log}
}

// Run looks until ctx ends.
func (w *Watcher) Run(ctx context.Context) error {
	tick := time.NewTicker(w.cfg.Look)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if now := w.cfg.Clock(); now.Sub(w.looked) >= w.cfg.Every {
				w.looked = now
				if err := w.At(ctx, now); err != nil && ctx.Err() == nil {
					w.log.Warn("nobody looked for what is counted twice, and for drops", "error", err)
				}
			}
		}
	}
}

// At looks at the time before now.
func (w *Watcher) At(ctx context.Context, now time.Time) error {
	to := now.Add(-late).Truncate(Step)
	from := to.Add(-w.cfg.Window).Truncate(Step)
	known := map[counting.Interface]counting.Named{}
	roles := false
	if w.cfg.Known != nil {
		for _, i := range w.cfg.Known() {
			known[i.Interface] = i
			roles = roles || i.Role != ""
		}
	}
	ways, err := w.ways(ctx, known, from, to, Step)
	var lately []counting.Way
	if err == nil {
		lately, err = w.ways(ctx, known, to.Add(-counting.Recent*Step), to, 0)
	}
	if err != nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		if ctx.Err() == nil {
			w.failed++
		}
		return err
	}
	var alerts []Alert
	for _, f := range append(counting.FindDrops(ways, known), counting.FindCopies(ways, known)...) {
		a := Alert{Finding: f}
		if f.Step >= 0 {
			a.Since = from.Add(time.Duration(f.Step) * Step)
		}
		alerts = append(alerts, a)
	}
	bits := func(bytes uint64) float64 { return float64(bytes) * 8 / (counting.Recent * Step).Seconds() }
	dropped := map[netip.Addr]float64{}
	for i := range ways {
		if ways[i].Status>>6 != 0 || ways[i].Fate == counting.Dropped {
			dropped[ways[i].Exporter] = 0
		}
	}
	var sums []counting.Sum
	for i := range lately {
		sums = append(sums, lately[i].Sum)
		if lately[i].Fate == counting.Dropped {
			dropped[lately[i].Exporter] += bits(lately[i].Bytes)
		}
	}
	all, once := counting.Rule{}, counting.Once(sums)
	counted := map[query.Scope]float64{
		query.ScopeAll:  bits(all.Total(sums).Bytes),
		query.ScopeOnce: bits(once.Total(sums).Bytes),
	}
	if roles {
		network := counting.Network(sums, func(i counting.Interface) string { return known[i].Role })
		counted[query.ScopeNetwork] = bits(network.Total(sums).Bytes)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tell(ctx, alerts)
	w.alerts, w.counted, w.dropped = alerts, counted, dropped
	return nil
}

// ways asks what went which way in a time, and how much of it in each step; 0:
// without steps.
func (w *Watcher) ways(ctx context.Context, known map[counting.Interface]counting.Named, from, to time.Time, step time.Duration) ([]counting.Way, error) {
	by, err := query.ParseDimensions("exporter,in_if,out_if,forwarding_status,direction")
	if err != nil {
		return nil, err
	}
	a, err := w.cfg.Engine.Report(ctx, w.cfg.Archive, query.Report{From: from, To: to, By: by, Metric: query.Packets, Step: step})
	if err != nil {
		return nil, err
	}
	if a.Step != step {
		return nil, fmt.Errorf("of the time since %s sums are kept of each %v, which is too long to tell when something changed", from.Format(time.DateTime), a.Step)
	}
	ways := make([]counting.Way, 0, len(a.Rows))
	for i := range a.Rows {
		row := &a.Rows[i]
		number := func(key int) uint32 {
			n, _ := strconv.ParseUint(row.Key[key].Text, 10, 32) // 0 where there is none
			return uint32(n)
		}
		exporter, _ := netip.ParseAddr(row.Key[0].Text) // none where there is none
		way := counting.Way{
			Sum:    counting.Sum{Exporter: exporter, In: number(1), Out: number(2), Amount: counting.Amount(row.Sums)},
			Status: uint8(number(3)), Reason: row.Key[3].Label, Error: row.SamplingError,
		}
		switch row.Key[4].Text {
		case "ingress":
			way.Direction = counting.Ingress
		case "egress":
			way.Direction = counting.Egress
		}
		null := counting.Discard(known[counting.Interface{Exporter: exporter, Index: way.Out}].Name)
		way.Fate = counting.Outcome{Status: way.Status, OutZero: row.Key[2].Present && way.Out == 0, Discards: null}.Fate()
		if null && way.Status>>6 != 2 {
			way.Reason = "null interface"
		}
		if step > 0 {
			way.Packets = make([]float64, to.Sub(from)/step)
			for k, t := range a.Times {
				way.Packets[t.Sub(from)/step] = row.Values[k]
			}
		}
		ways = append(ways, way)
	}
	return ways, nil
}

// tell logs what is new, and what is over. w.mu is held.
func (w *Watcher) tell(ctx context.Context, alerts []Alert) {
	type one struct {
		exporter netip.Addr
		what     counting.What
	}
	was := map[one]bool{}
	for _, a := range w.alerts {
		was[one{a.Exporter, a.What}] = true
	}
	for _, a := range alerts {
		if !was[one{a.Exporter, a.What}] {
			w.log.Warn("what totals are made of has changed", "exporter", a.Exporter, "what", a.What, "words", a.Words)
		}
		delete(was, one{a.Exporter, a.What})
	}
	for over := range was {
		w.log.Info("what totals are made of is as before", "exporter", over.exporter, "what", over.what)
	}
}

// Alerts are what was found in the last look.
func (w *Watcher) Alerts() []Alert {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.alerts // which is never changed
}

var (
	countedDesc  = prometheus.NewDesc("minamo_counting_bits_per_second", "What a scope counts, of the newest quarter of an hour that is told; network only where interfaces have roles.", []string{"scope"}, nil)
	droppedDesc  = prometheus.NewDesc("minamo_dropped_bits_per_second", "What exporters that tell of drops have dropped, of the same time.", []string{"exporter"}, nil)
	failuresDesc = prometheus.NewDesc("minamo_counting_failures_total", "Times that nobody could look for it.", nil, nil)
)

// Describe implements prometheus.Collector.
func (w *Watcher) Describe(descs chan<- *prometheus.Desc) {
	descs <- countedDesc
	descs <- droppedDesc
	descs <- failuresDesc
}

// Collect implements prometheus.Collector.
func (w *Watcher) Collect(metrics chan<- prometheus.Metric) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for scope, bits := range w.counted {
		metrics <- prometheus.MustNewConstMetric(countedDesc, prometheus.GaugeValue, bits, string(scope))
	}
	for exporter, bits := range w.dropped {
		metrics <- prometheus.MustNewConstMetric(droppedDesc, prometheus.GaugeValue, bits, exporter.String())
	}
	metrics <- prometheus.MustNewConstMetric(failuresDesc, prometheus.CounterValue, float64(w.failed))
}
