// Package counters keeps what interfaces have counted themselves, as a history
// of the amounts between two readings: what flows are compared with.
//
// snmp's poller adds readings, and cmd/minamo those of sFlow's counter samples;
// verify/proof and server ask. A Reading is what a device said at one moment;
// what is kept is what moved since the one before, so that wraps, restarts and
// counters that were cleared are judged once, when both readings are at hand.
// Nothing that cannot be told is guessed: such an interval has no amount.
package counters

import (
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/minamo-flow/minamo/enrich/numbers"
	"github.com/minamo-flow/minamo/internal/journal"
)

// Source is who told.
type Source uint8

const (
	SNMP  Source = 1
	SFlow Source = 2 // counter samples
)

// String is the source's name in the API.
func (s Source) String() string {
	switch s {
	case SNMP:
		return "snmp"
	case SFlow:
		return "sflow"
	}
	return ""
}

// Amounts are counters of an interface, or what they moved by (IF-MIB, RFC 2863).
// Octets are of layer 2; packets are unicast, multicast and broadcast together.
type Amounts struct {
	InOctets, OutOctets     uint64
	InPackets, OutPackets   uint64
	InDiscards, OutDiscards uint64
	InErrors, OutErrors     uint64
}

func (a *Amounts) each(b *Amounts, do func(a, b *uint64)) {
	do(&a.InOctets, &b.InOctets)
	do(&a.OutOctets, &b.OutOctets)
	do(&a.InPackets, &b.InPackets)
	do(&a.OutPackets, &b.OutPackets)
	do(&a.InDiscards, &b.InDiscards)
	do(&a.OutDiscards, &b.OutDiscards)
	do(&a.InErrors, &b.InErrors)
	do(&a.OutErrors, &b.OutErrors)
}

// Reading is what a device said of its interfaces.
type Reading struct {
	Device     netip.Addr
	Source     Source
	Interfaces []Interface
}

// Interface is an interface's counters at a moment.
type Interface struct {
	Index  uint32
	At     time.Time     // by the collector's clock
	Uptime time.Duration // sysUpTime with these counters: tells how long it took, and of restarts; 0 where it is not told
	Speed  uint64        // bit/s; 0 where it is not told
	Narrow bool          // octets and packets are counted in 32 bits: they wrap soon
	Broken time.Duration // ifCounterDiscontinuityTime
	Amounts
}

// Interval is what moved between two readings of an interface.
type Interval struct {
	Index    uint32
	From, To time.Time // from < to
	Amounts
}

// Record is the intervals that one reading of a device ended.
type Record struct {
	Device    netip.Addr
	Source    Source
	Restarted bool // the device restarted since the last one: what came between is not known
	Intervals []Interval
}

// Config of a History. The zero value of a field means its default.
type Config struct {
	Dir      string        // of the files
	MaxAge   time.Duration // default 35 days
	MaxBytes int64         // of all files; default 16 GiB. A day has half of it at most
}

// History keeps the intervals of all interfaces. It is safe for concurrent use.
type History struct {
	cfg Config
	log *slog.Logger

	mu       sync.Mutex
	file     journal.Appender
	last     map[netip.Addr]*device
	complain bool

	eras atomic.Pointer[map[netip.Addr][]numbers.Era] // by device

	readings, restarts, resets, failed, damaged atomic.Uint64
}

// SetEras tells which numbers interfaces had once: from now on answers of then have
// those of today.
func (h *History) SetEras(eras []numbers.Era) {
	of := map[netip.Addr][]numbers.Era{}
	for _, e := range eras {
		of[e.Device] = append(of[e.Device], e)
	}
	h.eras.Store(&of)
}

type device struct {
	source Source
	last   map[uint32]Interface
	recent map[uint32][]Interval // of the last quarter of an hour
}

// recently is how long intervals stay in memory, to tell rates of now.
const recently = 15 * time.Minute

// Bounds of what is kept of devices.
const (
	mostDevices    = 1 << 16
	mostInterfaces = 1 << 16 // of a device
)

// Open returns a History. What is on disk can be asked at once.
func Open(cfg Config, log *slog.Logger) *History {
	if cfg.MaxAge <= 0 {
		cfg.MaxAge = 35 * 24 * time.Hour
	}
	if cfg.MaxBytes <= 0 {
		cfg.MaxBytes = 16 << 30
	}
	return &History{cfg: cfg, log: log, file: journal.Appender{Form: files, Dir: cfg.Dir}, last: map[netip.Addr]*device{}}
}

// Add takes a reading in, and writes down what moved since the one before.
// Readings of SNMP count more: of a device that has them, sFlow's are left alone.
func (h *History) Add(r *Reading) {
	h.mu.Lock()
	defer h.mu.Unlock()
	d := h.last[r.Device]
	switch {
	case d == nil:
		if len(h.last) >= mostDevices {
			return
		}
		d = &device{source: r.Source, last: map[uint32]Interface{}, recent: map[uint32][]Interval{}}
		h.last[r.Device] = d
	case d.source == SFlow && r.Source == SNMP:
		d.source, d.last = SNMP, map[uint32]Interface{}
	case d.source != r.Source:
		return
	}
	h.readings.Add(1)
	record := Record{Device: r.Device, Source: r.Source}
	var newest time.Time
	for i := range r.Interfaces {
		now := &r.Interfaces[i]
		was, known := d.last[now.Index]
		if known || len(d.last) < mostInterfaces {
			d.last[now.Index] = *now
		}
		if !known {
			continue
		}
		moved, what := between(&was, now)
		switch what {
		case restarted:
			record.Restarted = true
		case reset:
			h.resets.Add(1)
		case fine:
			record.Intervals = append(record.Intervals, moved)
			list := append(d.recent[now.Index], moved)
			for len(list) > 1 && list[0].To.Before(now.At.Add(-recently)) {
				list = list[1:]
			}
			d.recent[now.Index] = list
		}
		newest = now.At
	}
	if record.Restarted {
		h.restarts.Add(1)
		clear(d.recent) // numbers may mean others now
	}
	if r.Source == SNMP { // it told all: what is not there is gone
		present := make(map[uint32]bool, len(r.Interfaces))
		for i := range r.Interfaces {
			present[r.Interfaces[i].Index] = true
		}
		for index := range d.last {
			if !present[index] {
				delete(d.last, index)
				delete(d.recent, index)
			}
		}
	}
	if len(record.Intervals) == 0 && !record.Restarted {
		return
	}
	if newest.IsZero() {
		newest = r.Interfaces[0].At
	}
	h.write(newest, &record)
}

// What two readings of an interface tell.
type outcome int

const (
	fine outcome = iota
	restarted
	reset // counters went backwards, or nobody can tell by how much
	same  // no time between
)

// longestGap is how far two readings may be apart.
const longestGap = 6 * time.Hour

// wrap is where sysUpTime begins anew: 2^32 hundredths of a second.
const wrap = 1 << 32 * 10 * time.Millisecond

func between(was, now *Interface) (Interval, outcome) {
	gap := now.At.Sub(was.At)
	if gap <= 0 {
		return Interval{}, same
	}
	if gap > longestGap {
		return Interval{}, reset
	}
	if now.Uptime < was.Uptime && was.Uptime+gap < wrap-time.Minute {
		return Interval{}, restarted
	}
	if now.Broken != was.Broken {
		return Interval{}, reset
	}
	moved := Interval{Index: now.Index, From: was.At, To: now.At}
	// The device's own clock tells better how long it was: a request may wait on
	// its way. Not where the collector's runs faster than time.
	if own := now.Uptime - was.Uptime; was.Uptime > 0 && own > 0 && (own-gap).Abs() < gap/4 {
		moved.From = now.At.Add(-own)
	}
	ok := true
	diff := func(to, a, b *uint64, narrow bool) {
		switch {
		case *b >= *a:
			*to = *b - *a
		case narrow && *a < 1<<32:
			*to = *b + 1<<32 - *a
		default:
			ok = false
		}
	}
	a, b, to := &was.Amounts, &now.Amounts, &moved.Amounts
	narrow := was.Narrow || now.Narrow
	diff(&to.InOctets, &a.InOctets, &b.InOctets, narrow)
	diff(&to.OutOctets, &a.OutOctets, &b.OutOctets, narrow)
	diff(&to.InPackets, &a.InPackets, &b.InPackets, narrow)
	diff(&to.OutPackets, &a.OutPackets, &b.OutPackets, narrow)
	// IF-MIB has these in 32 bits alone.
	diff(&to.InDiscards, &a.InDiscards, &b.InDiscards, true)
	diff(&to.OutDiscards, &a.OutDiscards, &b.OutDiscards, true)
	diff(&to.InErrors, &a.InErrors, &b.InErrors, true)
	diff(&to.OutErrors, &a.OutErrors, &b.OutErrors, true)
	if !ok {
		return Interval{}, reset
	}
	// No line carries so much; speeds of tunnels and loopbacks mean little.
	seconds := moved.To.Sub(moved.From).Seconds()
	most := max(2*float64(now.Speed), 10e9) / 8 * seconds
	if float64(to.InOctets) > most || float64(to.OutOctets) > most {
		return Interval{}, reset
	}
	// Nobody can tell how often 32 bits have wrapped.
	if narrow && float64(now.Speed)/8*seconds > 1<<32 {
		return Interval{}, reset
	}
	return moved, fine
}

// write makes a record durable. h.mu is held.
func (h *History) write(at time.Time, r *Record) {
	if !h.file.Holds(at) {
		if err := files.Retain(h.cfg.Dir, h.cfg.MaxAge, h.cfg.MaxBytes/2, at); err != nil {
			h.log.Warn("old counters were not deleted", "error", err)
		}
	}
	err := h.file.Append(at, appendRecord(nil, r), h.cfg.MaxBytes/2)
	if failed := err != nil; failed != h.complain {
		if h.complain = failed; failed {
			h.log.Error("interface counters are not written down", "error", err)
		} else {
			h.log.Info("interface counters are written down again")
		}
	}
	if err != nil {
		h.failed.Add(1)
	}
}

// Close closes the file.
func (h *History) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.file.Close()
}

// Rates are what moved a second, of an interface's newest intervals.
type Rates struct {
	At      time.Time // the end of the newest
	Seconds float64   // how long they were together
	Amounts           // in all that time
	Source  Source
}

// Latest are the rates of about five minutes until the newest reading.
func (h *History) Latest(device netip.Addr, index uint32) (Rates, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	d := h.last[device]
	if d == nil || len(d.recent[index]) == 0 {
		return Rates{}, false
	}
	list := d.recent[index]
	newest := list[len(list)-1].To
	r := Rates{At: newest, Source: d.source}
	for _, i := range slices.Backward(list) {
		if newest.Sub(i.From) > 5*time.Minute+30*time.Second && r.Seconds > 0 {
			break
		}
		r.Seconds += i.To.Sub(i.From).Seconds()
		r.Amounts.each(&i.Amounts, func(a, b *uint64) { *a += *b })
	}
	return r, true
}

// Restarts counts, for tests and metrics, the devices' restarts that were seen.
func (h *History) Restarts() uint64 { return h.restarts.Load() }

var (
	readingsDesc = prometheus.NewDesc("minamo_counters_readings_total", "Readings of a device's interface counters.", nil, nil)
	restartsDesc = prometheus.NewDesc("minamo_counters_restarts_total", "Restarts of devices, between two readings of their counters.", nil, nil)
	resetsDesc   = prometheus.NewDesc("minamo_counters_resets_total", "Intervals of an interface without an amount: its counters went back, jumped, or were read too seldom.", nil, nil)
	failedDesc   = prometheus.NewDesc("minamo_counters_failed_total", "Readings that could not be written down.", nil, nil)
	damagedDesc  = prometheus.NewDesc("minamo_counters_damaged_total", "Records that could not be read.", nil, nil)
)

// Describe implements prometheus.Collector.
func (h *History) Describe(descs chan<- *prometheus.Desc) { prometheus.DescribeByCollect(h, descs) }

// Collect implements prometheus.Collector.
func (h *History) Collect(metrics chan<- prometheus.Metric) {
	for _, m := range []struct {
		desc  *prometheus.Desc
		value *atomic.Uint64
	}{{readingsDesc, &h.readings}, {restartsDesc, &h.restarts}, {resetsDesc, &h.resets}, {failedDesc, &h.failed}, {damagedDesc, &h.damaged}} {
		metrics <- prometheus.MustNewConstMetric(m.desc, prometheus.CounterValue, float64(m.value.Load()))
	}
}
