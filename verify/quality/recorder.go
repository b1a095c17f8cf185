package quality

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/minamo-flow/minamo/collect"
	"github.com/minamo-flow/minamo/internal/journal"
)

// Config of a Recorder. The zero value of a field means its default.
type Config struct {
	Dir      string                        // of the files
	Clock    func() time.Time              // the collector's; default time.Now
	Poll     time.Duration                 // how often the clock is looked at; default 1 s. A clock that runs faster wants less
	MaxAge   time.Duration                 // of files; default 35 days
	MaxBytes int64                         // of all files; default 512 MiB. A day has half of it at most
	Sockets  func() []collect.SocketStatus // nil: none
	Readings func(bool) []collect.Reading  // of collect.Exporters
}

// Recorder writes down each minute. Open, then Run; the other methods may be
// called by anybody meanwhile.
type Recorder struct {
	cfg Config
	log *slog.Logger

	// Of Run alone.
	current  time.Time // the minute that is going on
	started  bool      // it is told that we did
	sockets  map[string]Socket
	before   map[netip.Addr]collect.Reading
	file     journal.Appender
	complain bool // the last minute could not be written

	judged judged
	failed atomic.Uint64 // minutes that could not be written

	mu     sync.Mutex
	newest time.Time // end of the newest minute written
}

// Open returns an inert Recorder. What is on disk can be asked at once.
func Open(cfg Config, log *slog.Logger) *Recorder {
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Poll <= 0 {
		cfg.Poll = time.Second
	}
	if cfg.MaxAge <= 0 {
		cfg.MaxAge = 35 * 24 * time.Hour
	}
	if cfg.MaxBytes <= 0 {
		cfg.MaxBytes = 512 << 20
	}
	return &Recorder{cfg: cfg, log: log, file: journal.Appender{Form: files, Dir: cfg.Dir}, sockets: map[string]Socket{}, before: map[netip.Addr]collect.Reading{}}
}

const (
	// histogramEvery is how often histograms are written: they are large.
	histogramEvery = 5 * time.Minute

	// longestSpan is how far the clock may jump; beyond it nobody ran meanwhile.
	longestSpan = 10 * time.Minute
)

// Run writes minutes until ctx ends, then what there is of the last.
func (r *Recorder) Run(ctx context.Context) error {
	ticker := time.NewTicker(r.cfg.Poll)
	defer ticker.Stop()
	for {
		r.look(r.cfg.Clock())
		select {
		case <-ticker.C:
		case <-ctx.Done():
			r.look(r.cfg.Clock())
			r.write(r.current.Add(time.Minute), true)
			return r.file.Close()
		}
	}
}

// look writes the minute down that is over.
func (r *Recorder) look(now time.Time) {
	minute := now.Truncate(time.Minute)
	switch {
	case r.current.IsZero() || minute.Before(r.current):
		r.current = minute
	case minute.After(r.current):
		r.write(minute, r.current.Truncate(histogramEvery) != minute.Truncate(histogramEvery))
		r.current = minute
	}
}

// write writes down what moved since the last time.
func (r *Recorder) write(until time.Time, histograms bool) {
	m := &Minute{At: r.current.UTC(), Span: until.Sub(r.current), Started: !r.started}
	if m.Span > longestSpan {
		m.Span = time.Minute
	}
	if r.cfg.Sockets != nil {
		for _, s := range r.cfg.Sockets() {
			was := r.sockets[s.Address]
			r.sockets[s.Address] = Socket{s.Address, s.Datagrams, s.Drops}
			m.Sockets = append(m.Sockets, Socket{s.Address, s.Datagrams - was.Datagrams, s.Drops - was.Drops})
		}
	}
	readings := r.cfg.Readings(histograms)
	before := make(map[netip.Addr]collect.Reading, len(readings))
	for _, reading := range readings {
		if x, moved := difference(reading, r.before[reading.Exporter]); moved {
			m.Exporters = append(m.Exporters, x)
		}
		for i := range reading.Domains {
			d := &reading.Domains[i]
			d.Offsets, d.Rates, d.Durations, d.Delays = nil, nil, nil, nil
		}
		before[reading.Exporter] = reading
	}
	r.before = before

	if !r.file.Holds(m.At) {
		if err := files.Retain(r.cfg.Dir, r.cfg.MaxAge, r.cfg.MaxBytes/2, m.At); err != nil {
			r.log.Warn("old minutes were not deleted", "error", err)
		}
	}
	err := r.file.Append(m.At, appendMinute(nil, m), r.cfg.MaxBytes/2)
	if failed := err != nil; failed != r.complain {
		if r.complain = failed; failed {
			r.log.Error("the quality of exporters is not written down", "error", err)
		} else {
			r.log.Info("the quality of exporters is written down again")
		}
	}
	if err != nil {
		r.failed.Add(1)
		return
	}
	r.started = true
	r.mu.Lock()
	r.newest = m.End()
	r.mu.Unlock()
}

// difference is what moved between two readings; moved tells whether anything did.
func difference(now, was collect.Reading) (x Exporter, moved bool) {
	since := func(now, was uint64) uint64 {
		if now < was { // forgotten in between, and learnt anew
			return now
		}
		return now - was
	}
	problem := func(kind string) uint64 { return since(now.Problems[kind], was.Problems[kind]) }
	x = Exporter{
		Address:         now.Exporter,
		Malformed:       since(now.Malformed, was.Malformed),
		MalformedParts:  since(now.MalformedParts, was.MalformedParts),
		Waited:          problem("template_waiting"),
		Forlorn:         problem("template_missing"),
		Clamped:         problem("time_clamped"),
		RateRejected:    problem("sampling_rejected"),
		RateMismatch:    problem("sampling_mismatch"),
		Templates:       uint64(now.Templates),
		TemplateChanges: since(now.TemplateChanges, was.TemplateChanges),
		Thinned:         problem("thinned"),
	}
	moved = x.Malformed+x.MalformedParts+x.Waited+x.TemplateChanges > 0
	earlier := make(map[uint64]collect.DomainReading, len(was.Domains))
	place := func(d *collect.DomainReading) uint64 { return uint64(d.Protocol)<<32 | uint64(d.Domain) }
	for i := range was.Domains {
		earlier[place(&was.Domains[i])] = was.Domains[i]
	}
	for i := range now.Domains {
		d := &now.Domains[i]
		old := earlier[place(d)]
		if d.Datagrams < old.Datagrams {
			old = collect.DomainReading{}
		}
		if d.Datagrams == old.Datagrams && d.Missing == old.Missing && d.MissingSamples == old.MissingSamples && d.Durations == nil {
			continue
		}
		y := Domain{
			Protocol: d.Protocol, Domain: d.Domain,
			Flows: d.Flows - old.Flows, Datagrams: d.Datagrams - old.Datagrams, Bytes: d.Bytes - old.Bytes, Units: d.Units - old.Units,
			Missing: int64(d.Missing - old.Missing), MissingSamples: int64(d.MissingSamples - old.MissingSamples),
			Reordered: since(d.Reordered, old.Reordered), Duplicates: since(d.Duplicates, old.Duplicates), Restarts: since(d.Restarts, old.Restarts),
			Ingress: d.Ingress - old.Ingress, Egress: d.Egress - old.Egress, Scaled: d.Scaled - old.Scaled, Unscaled: d.Unscaled - old.Unscaled,
			IPv6: d.IPv6 - old.IPv6, MPLS: d.MPLS - old.MPLS,
			Longest: d.Longest, Rates: d.Rates, Durations: d.Durations, Delays: d.Delays,
		}
		if len(d.Offsets) > 0 {
			slices.Sort(d.Offsets)
			y.HasOffset, y.Offset = true, d.Offsets[len(d.Offsets)/2]
		}
		x.Domains = append(x.Domains, y)
		moved = true
	}
	return x, moved
}

// Read goes through the minutes that are in [from, to) in part at least, in
// their order.
func (r *Recorder) Read(from, to time.Time, each func(*Minute) error) error {
	damaged, err := read(r.cfg.Dir, from, to, each)
	if damaged > 0 {
		r.log.Warn("some minutes of exporters' quality are damaged, and were left out", "records", damaged)
	}
	return err
}

// Newest is the end of the newest minute that this Recorder wrote; zero before
// the first.
func (r *Recorder) Newest() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.newest
}
