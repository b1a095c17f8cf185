package quality

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/minamo-flow/minamo/flow"
)

// Kinds of known loss.
const (
	LossMissing   = "missing_units"
	LossKernel    = "kernel_drops"
	LossTemplate  = "template_missing"
	LossMalformed = "malformed"
	LossRestart   = "restart"
	LossSilent    = "silent"
	LossStopped   = "collector_stopped"
)

// Interval is a time of which flows are known to be lost.
type Interval struct {
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
	Exporter string    `json:"exporter" doc:"Whose flows; empty: those of all exporters"`
	Kind     string    `json:"kind" enum:"missing_units,kernel_drops,template_missing,malformed,restart,silent,collector_stopped"`
	Words    string    `json:"words" doc:"What happened, for people"`
	Share    *float64  `json:"share" doc:"Which share of the flows of this time is lost, from 0 to 1; null where nobody can tell"`
}

// Unit is what the sequence numbers of a protocol count (RFC 7011 §3.1, RFC 3954
// §5.1), and for a probe of this process what the kernel does: in these missing
// is told.
func Unit(protocol uint8) string {
	switch protocol {
	case flow.NetFlow5, flow.NetFlow7, flow.NetFlow8:
		return "flows"
	case flow.IPFIX:
		return "data records"
	case flow.Probe:
		return "packets"
	}
	return "datagrams"
}

// missing is what the sequence numbers tell of a time.
type missing struct {
	units       map[string]int64 // by Unit: those that never came
	received    map[string]uint64
	lost, flows float64 // flows lost, estimated from how many there are in a unit; and flows that came
}

func (l *missing) add(d *Domain) {
	l.flows += float64(d.Flows)
	if l.received == nil {
		l.units, l.received = map[string]int64{}, map[string]uint64{}
	}
	unit := Unit(d.Protocol)
	l.received[unit] += d.Units
	if d.Missing == 0 {
		return
	}
	l.units[unit] += d.Missing
	each := 1.0
	if d.Flows > 0 && d.Units > 0 {
		each = float64(d.Flows) / float64(d.Units)
	}
	l.lost += float64(d.Missing) * each
}

// share of the flows that is lost.
func (l *missing) share() float64 {
	if l.lost <= 0 {
		return 0
	}
	return l.lost / (l.lost + l.flows)
}

func (l *missing) words() (text string) {
	for _, unit := range []string{"flows", "data records", "datagrams", "packets"} {
		if n := l.units[unit]; n > 0 {
			if text != "" {
				text += ", "
			}
			text += fmt.Sprintf("%d of %d %s never came", n, uint64(n)+l.received[unit], unit)
		}
	}
	return text
}

// open is an interval that may go on.
type open struct {
	from, to time.Time
	loss     missing
	count    uint64
	of       uint64
}

// Losses finds the intervals of known loss in minutes that are given to Add in
// their order. The zero value is ready.
type Losses struct {
	opened map[lossKey]*open
	done   []Interval
	habits map[netip.Addr]*habit
	last   time.Time     // end of the newest minute
	down   time.Duration // while no collector ran, so far
}

type lossKey struct {
	exporter netip.Addr
	kind     string
}

// habit is how often an exporter tells anything.
type habit struct {
	heard  time.Time // end of the last minute in which it did
	down   time.Duration
	times  int
	silent time.Duration // mean time between such minutes
}

// least is how long an exporter must be silent to be called so: long enough for
// a cache's timers, and longer than is its habit.
const (
	leastSilence = 3 * time.Minute
	habitual     = 4 // times its habit
	acquainted   = 5 // minutes after which there is a habit
)

// quiet tells how long the exporter told nothing, and whether that is more than its habit.
func (h *habit) quiet(until time.Time, down time.Duration) (time.Duration, bool) {
	gap := until.Sub(h.heard) - (down - h.down)
	return gap, h.times >= acquainted && gap >= leastSilence && gap > habitual*h.silent
}

func (h *habit) hear(until time.Time, gap, down time.Duration) {
	h.silent += (max(gap, 0) - h.silent) / 8
	h.heard, h.down = until, down
	h.times++
}

// Add takes a minute in.
func (l *Losses) Add(m *Minute) {
	if l.opened == nil {
		l.opened, l.habits = map[lossKey]*open{}, map[netip.Addr]*habit{}
	}
	if !l.last.IsZero() && (m.At.After(l.last) || m.Started) {
		from, to, words := l.last, m.At, "No collector ran: nothing was received"
		if !m.At.After(l.last) { // it was down for less than a minute
			from, to, words = m.At, m.End(), "The collector was started anew within this minute: what came before is not there"
		}
		i := Interval{From: from, To: to, Kind: LossStopped, Words: words}
		if to.Equal(m.At) {
			l.down += to.Sub(from)
			i.Share = share(1)
		}
		l.done = append(l.done, i)
	}
	if m.End().After(l.last) {
		l.last = m.End()
	}
	var drops, came uint64
	for _, s := range m.Sockets {
		drops += s.Drops
		came += s.Datagrams
	}
	if drops > 0 {
		o := l.at(m, netip.Addr{}, LossKernel)
		o.count += drops
		o.of += came + drops
	}
	for i := range m.Exporters {
		l.exporter(m, &m.Exporters[i])
	}
}

func (l *Losses) exporter(m *Minute, x *Exporter) {
	var sum missing
	var restarts, datagrams uint64
	for i := range x.Domains {
		d := &x.Domains[i]
		sum.add(d)
		restarts += d.Restarts
		datagrams += d.Datagrams
	}
	if datagrams > 0 {
		if h := l.habits[x.Address]; h == nil {
			l.habits[x.Address] = &habit{heard: m.End(), down: l.down, times: 1}
		} else {
			gap, silent := h.quiet(m.At, l.down)
			if silent {
				l.done = append(l.done, silence(x.Address, h.heard, m.At))
			}
			h.hear(m.End(), gap, l.down)
		}
	}
	note := func(kind string, n, of uint64) {
		if n > 0 {
			o := l.at(m, x.Address, kind)
			o.count += n
			o.of += of
		}
	}
	if sum.lost > 0 {
		o := l.at(m, x.Address, LossMissing)
		for i := range x.Domains {
			o.loss.add(&x.Domains[i])
		}
	}
	note(LossRestart, restarts, 0)
	note(LossTemplate, x.Forlorn, 0)
	note(LossMalformed, x.Malformed+x.MalformedParts, datagrams)
}

// at is the interval that the minute belongs to.
func (l *Losses) at(m *Minute, exporter netip.Addr, kind string) *open {
	key := lossKey{exporter, kind}
	o := l.opened[key]
	if o != nil && m.At.After(o.to) {
		l.close(key, o)
		o = nil
	}
	if o == nil {
		o = &open{from: m.At}
		l.opened[key] = o
	}
	o.to = m.End()
	return o
}

func (l *Losses) close(key lossKey, o *open) {
	i := Interval{From: o.from, To: o.to, Kind: key.kind}
	if key.exporter.IsValid() {
		i.Exporter = key.exporter.String()
	}
	switch key.kind {
	case LossMissing:
		i.Share = share(o.loss.share())
		i.Words = fmt.Sprintf("%s of its flows are lost: %s", percent(*i.Share), o.loss.words())
	case LossKernel:
		i.Share = share(float64(o.count) / float64(o.of))
		i.Words = fmt.Sprintf("The kernel of this machine dropped %d of %d datagrams, for the collector was too slow", o.count, o.of)
	case LossRestart:
		i.Words = "The exporter restarted: flows that were in its cache are lost"
		if o.count > 1 {
			i.Words = fmt.Sprintf("The exporter restarted %d times: flows that were in its cache are lost", o.count)
		}
	case LossTemplate:
		i.Words = fmt.Sprintf("%d data sets were lost, for their template did not come", o.count)
	case LossMalformed:
		i.Words = fmt.Sprintf("%d parts of datagrams were malformed, and could not be used", o.count)
	}
	l.done = append(l.done, i)
}

func silence(exporter netip.Addr, from, to time.Time) Interval {
	return Interval{From: from, To: to, Exporter: exporter.String(), Kind: LossSilent, Words: "The exporter told nothing", Share: share(1)}
}

// Intervals are what was found, cut to [from, to), by their beginning.
func (l *Losses) Intervals(from, to time.Time) []Interval {
	for key, o := range l.opened {
		l.close(key, o)
	}
	l.opened = map[lossKey]*open{}
	for addr, h := range l.habits {
		if _, silent := h.quiet(l.last, l.down); silent {
			l.done = append(l.done, silence(addr, h.heard, l.last))
		}
	}
	clear(l.habits)
	list := []Interval{}
	for _, i := range l.done {
		if i.From.Before(from) {
			i.From = from
		}
		if i.To.After(to) {
			i.To = to
		}
		if i.From.Before(i.To) {
			list = append(list, i)
		}
	}
	slices.SortFunc(list, func(a, b Interval) int {
		return cmp.Or(a.From.Compare(b.From), cmp.Compare(a.Exporter, b.Exporter), cmp.Compare(a.Kind, b.Kind), a.To.Compare(b.To))
	})
	return list
}

func share(s float64) *float64 { return &s }

// percent is a share as people read it.
func percent(s float64) string {
	switch p := 100 * s; {
	case p >= 10:
		return fmt.Sprintf("%.0f %%", p)
	case p >= 1:
		return fmt.Sprintf("%.1f %%", p)
	default:
		return fmt.Sprintf("%.2g %%", p)
	}
}
