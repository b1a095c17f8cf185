package proof

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/minamo-flow/minamo/internal/durable"
)

// WatcherConfig of a Watcher. The zero value of a field means its default.
type WatcherConfig struct {
	Sources
	Clock  func() time.Time // the collector's; default time.Now
	Every  time.Duration    // of that clock; default five minutes
	Look   time.Duration    // how often the clock is looked at; default 10 s
	Window time.Duration    // how much of the past is looked at; default a day
	File   string           // where changes of verdicts are kept; "": nowhere
}

// VerdictChange is a verdict that became another.
type VerdictChange struct {
	At        time.Time  `json:"at" doc:"When it was noticed"`
	Since     time.Time  `json:"since" doc:"Since when it is so"`
	Exporter  netip.Addr `json:"exporter"`
	Index     uint32     `json:"index" doc:"ifIndex"`
	Direction Direction  `json:"direction" enum:"in,out"`
	Was       Verdict    `json:"was" doc:"Empty: nothing was known"`
	Verdict   Verdict    `json:"verdict"`
	Words     string     `json:"words"`
}

// mostChanges are kept.
const mostChanges = 1000

type place struct {
	exporter  netip.Addr
	index     uint32
	direction Direction
}

// Watcher judges all interfaces every few minutes, and tells when a verdict
// changes: in the log, in metrics, and to who asks. New makes one, Run runs it.
type Watcher struct {
	cfg WatcherConfig
	log *slog.Logger

	mu      sync.Mutex
	current map[place]Finding
	changes []VerdictChange // the oldest first
	judged  time.Time
	failed  uint64
}

// NewWatcher returns an inert Watcher, which knows the changes that were kept.
func NewWatcher(cfg WatcherConfig, log *slog.Logger) *Watcher {
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
		cfg.Window = 24 * time.Hour
	}
	w := &Watcher{cfg: cfg, log: log, current: map[place]Finding{}}
	if cfg.File != "" {
		text, err := os.ReadFile(cfg.File)
		if err == nil {
			err = json.Unmarshal(text, &w.changes)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			log.Warn("earlier verdicts on interfaces are not known any more", "error", err)
		}
		for _, c := range w.changes { // what is wrong is not told anew after a restart
			w.current[place{c.Exporter, c.Index, c.Direction}] = Finding{Index: c.Index, Direction: c.Direction, Verdict: c.Verdict, Words: c.Words, Since: c.Since}
		}
	}
	return w
}

// Run judges until ctx ends.
func (w *Watcher) Run(ctx context.Context) error {
	tick := time.NewTicker(w.cfg.Look)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if now := w.cfg.Clock(); now.Sub(w.judged) >= w.cfg.Every {
				w.judge(ctx, now)
			}
		}
	}
}

func (w *Watcher) judge(ctx context.Context, now time.Time) {
	exporters, _, err := Survey(ctx, &w.cfg.Sources, netip.Addr{}, now.Add(-w.cfg.Window), now, Step)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.judged = now
	if err != nil {
		if ctx.Err() == nil {
			w.failed++
			w.log.Warn("flows were not compared with interface counters", "error", err)
		}
		return
	}
	news := false
	judged := map[place]bool{}
	for address, x := range exporters {
		for _, f := range Judge(x) {
			at := place{address, f.Index, f.Direction}
			judged[at] = true
			was := w.current[at]
			if f.Verdict == Unknown && was.Verdict.Wrong() {
				continue // it is as it was, until something else is known
			}
			w.current[at] = f
			if f.Verdict == was.Verdict || !f.Verdict.Wrong() && !was.Verdict.Wrong() {
				continue
			}
			news = true
			w.changes = append(w.changes, VerdictChange{now.UTC(), f.Since.UTC(), address, f.Index, f.Direction, was.Verdict, f.Verdict, f.Words})
			level, what := slog.LevelWarn, "flows and interface counters differ"
			if !f.Verdict.Wrong() {
				level, what = slog.LevelInfo, "flows and interface counters agree again"
			}
			w.log.Log(ctx, level, what, "exporter", address, "ifIndex", f.Index, "direction", f.Direction, "verdict", f.Verdict, "words", f.Words)
		}
	}
	// A number that a device has no more is no alarm: its interface has another now.
	maps.DeleteFunc(w.current, func(at place, _ Finding) bool { return exporters[at.exporter] != nil && !judged[at] })
	if !news {
		return
	}
	if over := len(w.changes) - mostChanges; over > 0 {
		w.changes = slices.Delete(w.changes, 0, over)
	}
	if w.cfg.File != "" {
		text, err := json.Marshal(w.changes)
		if err == nil {
			err = durable.WriteFile(w.cfg.File, text)
		}
		if err != nil {
			w.log.Warn("verdicts on interfaces are not kept", "error", err)
		}
	}
}

// Verdict is the newest on an interface; "" where there is none.
func (w *Watcher) Verdict(exporter netip.Addr, index uint32, d Direction) Verdict {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.current[place{exporter, index, d}].Verdict
}

// Alert is a direction of an interface that is wrong now.
type Alert struct {
	Exporter netip.Addr
	Finding
}

// Alerts are what is wrong now, the newest first.
func (w *Watcher) Alerts() []Alert {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []Alert
	for at, f := range w.current {
		if f.Verdict.Wrong() {
			list = append(list, Alert{at.exporter, f})
		}
	}
	slices.SortFunc(list, func(a, b Alert) int {
		if c := b.Since.Compare(a.Since); c != 0 {
			return c
		}
		if c := a.Exporter.Compare(b.Exporter); c != 0 {
			return c
		}
		return int(int64(a.Index) - int64(b.Index))
	})
	return list
}

// Changes are those of a time, the newest first.
func (w *Watcher) Changes(from, to time.Time) []VerdictChange {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := []VerdictChange{}
	for _, c := range slices.Backward(w.changes) {
		if !c.At.Before(from) && c.At.Before(to) {
			list = append(list, c)
		}
	}
	return list
}

var (
	verdictsDesc = prometheus.NewDesc("minamo_proof_interfaces", "Directions of interfaces, by the verdict on flows against interface counters.", []string{"verdict"}, nil)
	failuresDesc = prometheus.NewDesc("minamo_proof_failures_total", "Times that they could not be compared.", nil, nil)
)

// Describe implements prometheus.Collector.
func (w *Watcher) Describe(descs chan<- *prometheus.Desc) { prometheus.DescribeByCollect(w, descs) }

// Collect implements prometheus.Collector.
func (w *Watcher) Collect(metrics chan<- prometheus.Metric) {
	w.mu.Lock()
	defer w.mu.Unlock()
	counts := map[Verdict]int{}
	for _, f := range w.current {
		counts[f.Verdict]++
	}
	for verdict, n := range counts {
		metrics <- prometheus.MustNewConstMetric(verdictsDesc, prometheus.GaugeValue, float64(n), string(verdict))
	}
	metrics <- prometheus.MustNewConstMetric(failuresDesc, prometheus.CounterValue, float64(w.failed))
}
