// Package proof compares what flows say went through an interface with what the
// interface counted itself, and tells in words what is wrong where they differ.
//
// Its functions are pure: they are given both, in buckets of some minutes, and
// what is known of the exporter. server asks them for a page, and a Watcher every
// few minutes. A verdict is of the newest time that can be judged: flows are told
// late, by two active timers at most, and counters before that are compared with
// flows that are still to come. Nothing is called wrong that sampling may explain.
package proof

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Step is the length of buckets that judging wants: traffic is compared over
// five minutes at least.
const Step = 5 * time.Minute

// Verdict is what was found.
type Verdict string

const (
	Healthy          Verdict = "healthy"
	Idle             Verdict = "idle"               // there is no traffic
	Unknown          Verdict = "unknown"            // too little can be compared
	NotMetered       Verdict = "not_metered"        // flows do not tell of this direction, and need not
	RateNotApplied   Verdict = "rate_not_applied"   // packets are sampled, and nobody says how
	RateWrong        Verdict = "rate_wrong"         // the rate that is said is not the one that is used
	RateAppliedTwice Verdict = "rate_applied_twice" // the exporter multiplies, and announces the rate, too
	DoubleCount      Verdict = "double_count"       // metered coming in and going out
	DirectionMissing Verdict = "direction_missing"  // flows came and come no more
	HalfMissing      Verdict = "half_missing"
	Loss             Verdict = "loss" // flows are known to be lost
	LoadLoss         Verdict = "load_loss"
	Sawtooth         Verdict = "sawtooth"
	Silent           Verdict = "silent" // the exporter tells nothing
	ProtocolMissing  Verdict = "protocol_missing"
	Renumbered       Verdict = "renumbered" // interfaces have other numbers, and flows name others than counters
	TooHigh          Verdict = "too_high"
	TooLow           Verdict = "too_low"
)

// Wrong tells whether a verdict is an alarm.
func (v Verdict) Wrong() bool {
	switch v {
	case "", Healthy, Idle, Unknown, NotMetered:
		return false
	}
	return true
}

// Direction of packets, as the interface sees them.
type Direction string

const (
	In  Direction = "in"
	Out Direction = "out"
)

// Interface is one direction of an interface: what it counted and what flows say,
// in the same buckets.
type Interface struct {
	Index     uint32
	Name      string
	Direction Direction
	Boundary  bool // it leads out of the network, or nobody said: that it is metered matters
	Discards  bool // it throws away what it is given, uncounted: Null0

	Counter []float64 // layer-2 octets; NaN where the counters of that time are not known
	Flow    []float64 // what flows estimate them to be
	Copies  []float64 // of Flow, what was metered at the other end of its way through the device
	Error   float64   // how far sampling may have all of Flow wrong, relatively: half the width of the 95 % interval
}

// Exporter is what is known of a device beside its traffic.
type Exporter struct {
	Address    netip.Addr
	From       time.Time // beginning of the first bucket
	Step       time.Duration
	Now        time.Time     // until when flows have come
	Active     time.Duration // its active timer; 0 where nobody knows
	Inactive   time.Duration
	Rates      []Rate // of its flows in the newest time
	Losses     []Lost
	Restarts   []time.Time
	Renumbered time.Time // when its interfaces got other numbers; zero: never
	Protocols  []string  // netflow5, ipfix …
	Kinds      []Kind    // of packets that some devices do not meter unless they are told to
	Interfaces []Interface
}

// Rate is a sampling rate and how much of the flows has it.
type Rate struct {
	Rate   uint32
	Source string // record, options, header, configured or assumed
	Share  float64
}

// Kind is a kind of packets, and how much of it there is among a choice of flows,
// in the buckets of the interfaces.
type Kind struct {
	Name      string
	Looked    []float64 // at so many flows
	Seen      []float64 // so many of them were of this kind
	Elsewhere float64   // the share that it has in flows of the other exporters
}

// share is the kind's, of the flows of some buckets; -1 where too few are known.
func (k *Kind) share(from, to int) float64 {
	var looked, seen float64
	for i := from; i < to; i++ {
		looked += k.Looked[i]
		seen += k.Seen[i]
	}
	if looked < fewLooked {
		return -1
	}
	return seen / looked
}

// Lost is a time in which a part of the flows is known to be lost.
type Lost struct {
	From, To time.Time
	Share    float64
}

// Finding is the verdict on one direction of an interface.
type Finding struct {
	Index     uint32
	Direction Direction
	Verdict   Verdict
	Words     string // what is found, for people
	Mend      string // what to do about it; "" where nothing is to be done
	Ratio     float64
	Error     float64   // how far off Ratio may be, relatively, by sampling
	Implied   uint32    // the sampling rate that would make it right; 0: none
	From, To  time.Time // the time that was judged
	Since     time.Time // since when it has been like that; the beginning of what was looked at, if not later
	Counter   float64   // bit/s in that time
	Flow      float64
}

// What is too small to tell, and what is near enough.
const (
	tolerance   = 0.05 // of what sampling does not explain: layer-2 headers, padding, times
	nothing     = 0.02 // a ratio below that is no flows at all
	idle        = 1000 // bit/s
	mostBuckets = 12   // that a verdict is made of: an hour
	few         = 0.3  // an error that is too much to compare by
	fewLooked   = 30   // flows, that are too few to tell which kinds there are
	farOff      = 10   // an error that says nothing at all
)

// longAgo is when numbers changed, if that is no reason any more.
const longAgo = 14 * 24 * time.Hour

// compared is an interface while it is judged.
type compared struct {
	Finding
	told       *Interface
	from, to   int     // the buckets that were judged
	since      int     // the first one that is like them
	copies     float64 // the part of Flow that is Copies, in those
	comparable bool
	before     float64 // the ratio of the time before since
	hasBefore  bool
	late       float64 // the ratio of the time after, of which flows may still come; -1: there is none
}

// Judge finds out how each interface of an exporter does.
func Judge(x *Exporter) []Finding {
	active := cmp.Or(x.Active, time.Minute)
	settled := x.Now.Add(-2*active - cmp.Or(x.Inactive, 15*time.Second) - time.Minute)
	last := 0 // buckets that can be judged
	for n := 0; len(x.Interfaces) > 0 && n < len(x.Interfaces[0].Flow); n++ {
		if !x.From.Add(time.Duration(n+1) * x.Step).After(settled) {
			last = n + 1
		}
	}
	all := make([]*compared, len(x.Interfaces))
	for i := range x.Interfaces {
		all[i] = x.compare(&x.Interfaces[i], last)
	}
	x.diagnose(all)
	findings := make([]Finding, len(all))
	for i, c := range all {
		findings[i] = c.Finding
	}
	return findings
}

// compare finds the newest buckets that belong together, and their ratio.
func (x *Exporter) compare(f *Interface, last int) *compared {
	c := &compared{told: f, Finding: Finding{Index: f.Index, Direction: f.Direction, Verdict: Unknown}}
	broken := x.breaks()
	newest := last - 1
	for newest >= 0 && (math.IsNaN(f.Counter[newest]) || broken(newest)) {
		newest--
	}
	if newest < 0 || last-1-newest > 3 {
		c.Words = "There are no counters of the newest time to compare with."
		return c
	}
	var total float64
	for _, v := range f.Flow {
		total += v
	}
	// How far sampling may have some of the flows wrong: as 1/√n.
	uncertain := func(flow float64) float64 {
		if f.Error == 0 {
			return 0
		}
		if flow <= 0 {
			return farOff
		}
		return min(farOff, f.Error*math.Sqrt(total/flow))
	}
	sum := func(from, to int) (counter, flow float64, n int) {
		for i := from; i < to; i++ {
			if !math.IsNaN(f.Counter[i]) && !broken(i) {
				counter += f.Counter[i]
				flow += f.Flow[i]
				n++
			}
		}
		return counter, flow, n
	}
	// From the newest two buckets back, as long as buckets are alike: an hour of
	// them is judged.
	from, since := newest, -1
	for from > 0 {
		counter, flow, n := sum(from, newest+1)
		if n >= mostBuckets {
			since = x.back(f, from, ratio(flow, counter), uncertain)
			break
		}
		if math.IsNaN(f.Counter[from-1]) || broken(from-1) {
			if n >= 2 || broken(from-1) {
				break
			}
			from--
			continue
		}
		if n >= 2 {
			one, told := f.Counter[from-1], f.Flow[from-1]
			r, s := ratio(flow, counter), ratio(told, one)
			if !alike(r, s, uncertain(told)+uncertain(flow)) {
				break
			}
		}
		from--
	}
	if since < 0 {
		since = from
	}
	counter, flow, n := sum(from, newest+1)
	seconds := float64(n) * x.Step.Seconds()
	c.from, c.to, c.since = from, newest+1, since
	c.Since = x.From.Add(time.Duration(since) * x.Step)
	for i := from; i <= newest; i++ {
		if flow > 0 && !math.IsNaN(f.Counter[i]) && !broken(i) {
			c.copies += f.Copies[i] / flow
		}
	}
	c.late = -1
	if end := len(f.Flow) - 1; end > last { // the newest waits for any active timer
		if counter, flow, n := sum(max(last, end-int(x.Active/x.Step)), end); n > 0 && counter > 0 {
			c.late = flow / counter
		}
	}
	c.From, c.To = x.From.Add(time.Duration(from)*x.Step), x.From.Add(time.Duration(newest+1)*x.Step)
	c.Counter, c.Flow = counter*8/seconds, flow*8/seconds
	c.Ratio, c.Error = ratio(flow, counter), uncertain(counter) // as it would be, were all right
	if counter, flow, n := sum(0, since); n >= 2 && counter*8/float64(n)/x.Step.Seconds() > idle {
		c.before, c.hasBefore = ratio(flow, counter), true
	}
	switch {
	case c.Counter < idle && c.Flow < idle:
		c.Verdict, c.Words = Idle, "There is next to no traffic."
	case n < 2:
		c.Words = "There is less than ten minutes of it that could be compared."
	default:
		c.comparable = true
	}
	return c
}

// back finds the first of the buckets before one that have the ratio r.
func (x *Exporter) back(f *Interface, from int, r float64, uncertain func(float64) float64) int {
	broken := x.breaks()
	odd := 0 // one alone is chance
	for i := from - 1; i >= 0; i-- {
		if math.IsNaN(f.Counter[i]) || broken(i) {
			continue
		}
		if alike(r, ratio(f.Flow[i], f.Counter[i]), uncertain(f.Flow[i])) {
			odd = 0
			from = i
		} else if odd++; odd == 2 {
			return from
		}
	}
	return from
}

// breaks tells which buckets a restart falls into: what its cache held is lost.
func (x *Exporter) breaks() func(bucket int) bool {
	return func(n int) bool {
		begin := x.From.Add(time.Duration(n) * x.Step)
		for _, at := range x.Restarts {
			if !at.Before(begin.Add(-x.Step)) && at.Before(begin.Add(x.Step+2*x.Active)) {
				return true
			}
		}
		return false
	}
}

func ratio(flow, counter float64) float64 {
	if counter <= 0 {
		if flow <= 0 {
			return 1
		}
		return math.Inf(1)
	}
	return flow / counter
}

// alike tells whether two ratios may be of the same cause.
func alike(a, b, uncertain float64) bool {
	if a < nothing && b < nothing && uncertain > 0 || math.IsInf(a, 1) && math.IsInf(b, 1) {
		return true
	}
	if uncertain >= farOff {
		return a < nothing == (b < nothing)
	}
	a, b = max(a, 1e-9), max(b, 1e-9)
	return math.Abs(math.Log(a/b)) <= math.Log1p(2*tolerance+uncertain)
}

// right tells whether sampling may explain the difference: with certainty enough
// for thousands of interfaces that are judged all day.
func (c *compared) right() bool {
	return math.Abs(c.Ratio-1) <= tolerance+1.6*c.Error
}

// metered tells whether flows tell of this direction at all.
func (c *compared) metered() bool { return c.comparable && c.Ratio >= nothing }

// diagnose gives each interface its verdict, by what all of them show together.
func (x *Exporter) diagnose(all []*compared) {
	assumed, announced := x.rates()
	silent := true
	for _, c := range all {
		silent = silent && c.Flow == 0
	}
	// What goes out is told completely only if all that comes in is metered, or
	// what goes out is.
	var blind []string
	for _, c := range all {
		if c.Direction == In && c.comparable && c.Ratio < nothing && c.Counter > idle && (assumed == 0 || c.Flow == 0) {
			blind = append(blind, c.label())
		}
	}
	common, alikeAll := x.common(all)
	var partly []string // where not all of what comes in is told
	for _, c := range incomingFirst(all) {
		if !c.comparable {
			continue
		}
		// Of the same cause as the others' difference, if they have one.
		shared := alikeAll && !near(common, 1, 2*tolerance) && alike(c.Ratio, common, c.Error+0.1)
		switch {
		case c.Error > few && (c.right() || c.Flow == 0):
			c.Verdict = Unknown
			c.Words = fmt.Sprintf("Too few packets are sampled to compare: flows may be off by %s.", percent(c.Error))
		case silent && c.Counter > idle:
			c.Verdict = Silent
			c.Words = "The exporter tells no flows, while the interface counts " + bits(c.Counter) + "."
			c.Mend = "Look whether its exporting process runs, and whether its datagrams arrive."
		case c.Direction == Out && c.told.Discards && c.Counter < idle:
			c.Verdict, c.Words = NotMetered, "What goes here is thrown away, and the device does not count it."
		case c.Direction == Out && len(blind) > 0 && c.copies > 0.9 && !c.right() && !(c.Ratio > 1 && x.newNumber(c)):
			c.Verdict = NotMetered
			c.Words = "What goes out here came in partly by interfaces that are not metered: " + some(blind) + "."
		case c.Direction == Out && len(partly) > 0 && c.copies > 0.9 && !c.right() && c.Ratio < 1:
			c.Verdict = NotMetered
			c.Words = "What goes out here came in partly by interfaces of which flows do not tell all: " + some(partly) + "."
		case c.right() && x.Active > 5*time.Minute && c.late >= 0 && c.late < 0.9-c.Error:
			c.Verdict = Sawtooth
			c.Words = fmt.Sprintf("Flows tell %s of what the interface counted, but only %s of the newest time: the active timer is %v, and long flows are told so late.", percent(c.Ratio), percent(c.late), x.Active.Round(time.Second))
			c.Mend = "Set the active timer to 60 seconds."
		case c.right():
			c.Verdict, c.Words = Healthy, fmt.Sprintf("Flows tell %s of what the interface counted%s.", percent(c.Ratio), within(c.Error))
		case assumed > 0.5 && c.Ratio < 0.9 && c.Flow > 0:
			c.Implied = nice(1/c.Ratio, c.Error)
			c.Verdict = RateNotApplied
			c.Words = fmt.Sprintf("Flows tell 1/%s of what the interface counted, and nobody says at which rate packets are sampled: it is about one in %d.", number(1/c.Ratio), c.Implied)
			c.Mend = "Let the exporter announce its sampling rate (options data), or set it here."
		case c.Ratio < nothing || c.Flow == 0:
			x.missing(c)
		case c.Ratio > 1:
			x.tooHigh(c, announced, common, shared)
		default:
			x.tooLow(c, announced, common, shared)
		}
		x.renumbered(c)
		if c.Direction == In && (c.Verdict == HalfMissing || c.Verdict == TooLow) {
			partly = append(partly, c.label())
		}
	}
	x.misnamed(all)
}

// incomingFirst are the same, those of what comes in before those of what goes out:
// what is wrong there shows here.
func incomingFirst(all []*compared) []*compared {
	list := slices.Clone(all)
	slices.SortStableFunc(list, func(a, b *compared) int { return cmp.Compare(a.Direction, b.Direction) })
	return list
}

// newNumber tells whether interfaces got other numbers when it began.
func (x *Exporter) newNumber(c *compared) bool {
	return !x.Renumbered.IsZero() && x.Renumbered.Sub(c.Since).Abs() <= 30*time.Minute
}

// renumbered is where flows and counters have not been of the same interface since
// interfaces got other numbers.
func (x *Exporter) renumbered(c *compared) {
	if x.newNumber(c) && c.otherwiseWrong() {
		x.otherNumber(c)
	}
}

// otherwiseWrong tells whether the verdict is one for which there may be a better
// reason.
func (c *compared) otherwiseWrong() bool {
	switch c.Verdict {
	case TooHigh, TooLow, HalfMissing, DirectionMissing, ProtocolMissing:
		return true
	}
	return false
}

func (x *Exporter) otherNumber(c *compared) {
	c.Verdict = Renumbered
	c.Words += " The device's interfaces have had other numbers since " + clock(x.Renumbered) + ": flows name others by them than SNMP does."
	c.Mend = "Let the exporter read its interface numbers anew: take metering off and on, or restart its exporting process. Keep numbers over restarts (ifIndex persistence)."
}

// misnamed finds the other interfaces of a device whose flows have others' numbers:
// those that are not told of, for another is then told too much of, and those whose
// traffic changed so much that they seem to be wrong only since later. Where numbers
// changed before the time that is looked at, some are told too much of in all of it,
// and others too little.
func (x *Exporter) misnamed(all []*compared) {
	always := func(verdicts ...Verdict) bool {
		return slices.ContainsFunc(all, func(c *compared) bool {
			return slices.Contains(verdicts, c.Verdict) && c.Since.Before(x.From.Add(30*time.Minute))
		})
	}
	before := x.Renumbered.Before(x.From) && x.From.Sub(x.Renumbered) < longAgo && always(TooHigh) && always(TooLow, HalfMissing)
	if !before && !slices.ContainsFunc(all, func(c *compared) bool { return c.Verdict == Renumbered && c.Ratio > 1 }) {
		return
	}
	for _, c := range all {
		if c.Verdict == NotMetered && c.Direction == In && c.told.Boundary && x.newNumber(c) || c.otherwiseWrong() && c.Since.After(x.Renumbered) {
			x.otherNumber(c)
		}
	}
}

// missing is where no flows tell of traffic that there is.
func (x *Exporter) missing(c *compared) {
	if c.hasBefore && c.before > 0.2 && c.told.Boundary && c.Direction == In {
		c.Verdict = DirectionMissing
		c.Words = fmt.Sprintf("No flows tell of what comes in here since %s; before, they told %s of it.", clock(c.Since), percent(c.before))
		c.Mend = "Look whether metering is still on for this interface, or for its line card."
		return
	}
	c.Verdict = NotMetered
	c.Words = "Flows do not tell of this direction."
	if c.hasBefore && c.before > 0.2 {
		c.Words = fmt.Sprintf("Flows do not tell of this direction since %s.", clock(c.Since))
	}
}

func (x *Exporter) tooHigh(c *compared, announced uint32, common float64, shared bool) {
	n := float64(announced)
	switch {
	case announced > 3 && near(c.Ratio, n, 0.15+c.Error):
		c.Verdict, c.Implied = RateAppliedTwice, 1
		c.Words = fmt.Sprintf("Flows tell %s times what the interface counted, which is the sampling rate: the exporter has multiplied already, and announces %d nevertheless.", number(c.Ratio), announced)
		c.Mend = "Let the exporter not multiply, or treat its flows as not sampled."
	case c.copies > 0.1 && c.copies < 0.9 && near(c.Ratio*(1-c.copies), 1, 0.12+c.Error):
		c.Verdict = DoubleCount
		c.Words = fmt.Sprintf("Flows tell %s of what the interface counted: packets are metered coming in and again going out.", percent(c.Ratio))
		c.Mend = "Meter in one direction only, or ask for each byte once (scope once, or network)."
	case shared && announced > 1:
		x.wrongRate(c, announced, common)
	default:
		c.Verdict = TooHigh
		c.Words = fmt.Sprintf("Flows tell %s of what the interface counted.", percent(c.Ratio))
		if c.Counter < idle {
			c.Words = fmt.Sprintf("Flows tell of %s, and the interface counted next to nothing.", bits(c.Flow))
		}
		c.Mend = "Look whether it is metered twice, by subinterfaces or by both directions, and which sampling rate it has."
	}
}

func (x *Exporter) tooLow(c *compared, announced uint32, common float64, shared bool) {
	lost := x.lost(c.From, c.To)
	quiet, busy := x.byLoad(c)
	wide := 0.05 + c.Error
	kind, kindWords := x.unmetered(c)
	five := len(x.Protocols) > 0 && !slices.ContainsFunc(x.Protocols, func(p string) bool { return p != "netflow1" && p != "netflow5" && p != "netflow7" && p != "netflow8" })
	switch {
	case quiet > 0 && !five && quiet > 1/(1+tolerance+wide) && busy < 0.9*quiet:
		c.Verdict = LoadLoss
		c.Words = fmt.Sprintf("Flows tell %s of what the interface counts when it is quiet, and %s when it is busy: something has no room for all of them.", percent(quiet), percent(busy))
		if lost > 0.02 {
			c.Words += fmt.Sprintf(" Now %s of them are known to be lost on their way.", percent(lost))
		}
		c.Mend = "Look at the exporter's flow cache and its limit of flows a second; at its way to this machine; sample one packet in more."
	case lost > 0.02 && c.Ratio > 1-lost-wide-0.05 && c.Ratio < 1-lost+wide+0.05:
		c.Verdict = Loss
		c.Words = fmt.Sprintf("Flows tell %s of what the interface counted, and %s of them are known to be lost on their way.", percent(c.Ratio), percent(lost))
		c.Mend = "Look at the way from the exporter: its own queue, the network, this machine's receive buffer."
	case five && !(shared && common < 0.6):
		c.Verdict = ProtocolMissing
		c.Words = fmt.Sprintf("Flows tell %s of what the interface counted: NetFlow of this version knows IPv4 alone, and the rest is probably IPv6 or not IP.", percent(c.Ratio))
		c.Mend = "Export NetFlow v9 or IPFIX, with templates for IPv6."
	case kind != "":
		c.Verdict = ProtocolMissing
		c.Words = fmt.Sprintf("Flows tell %s of what the interface counted, and %s", percent(c.Ratio), kindWords)
		c.Mend = "Meter " + kind + ", too: many devices want a monitor, a template or a sampler of its own for it, on each interface."
	case lost > 0.02:
		c.Verdict = Loss
		c.Words = fmt.Sprintf("Flows tell %s of what the interface counted; %s of them are known to be lost on their way.", percent(c.Ratio), percent(lost))
		c.Mend = "Look at the way from the exporter: its own queue, the network, this machine's receive buffer."
	case shared && announced > 0:
		x.wrongRate(c, announced, common)
	case near(c.Ratio, 0.5, 0.12+c.Error):
		c.Verdict = HalfMissing
		c.Words = "Flows tell half of what the interface counted: one of two links, cards or directions is not metered."
		c.Mend = "Look at the members of the bundle and the line cards: is metering on for each?"
	default:
		c.Verdict = TooLow
		c.Words = fmt.Sprintf("Flows tell %s of what the interface counted.", percent(c.Ratio))
		c.Mend = "Look what is not metered there: IPv6, MPLS, what is not IP, subinterfaces; and whether the exporter's cache overflows."
	}
}

// unmetered finds a kind of packets that explains what is missing: there was some
// of it before, or there is at other exporters, and there is none here.
func (x *Exporter) unmetered(c *compared) (name, words string) {
	for i := range x.Kinds {
		k := &x.Kinds[i]
		now, before := k.share(c.from, c.to), k.share(0, c.since)
		explains := func(share, nearly float64) bool { // flows are not bytes: roughly
			return share > 0.05 && c.Ratio > nearly*(1-share)
		}
		// What has never been there explains nothing that was right before.
		always := !c.hasBefore || c.before < c.Ratio*(1+2*tolerance+c.Error)
		switch {
		case now < 0 || now > 0.002:
		case before > 0.01 && explains(before, 0.6):
			return k.Name, fmt.Sprintf("none of this exporter's flows has been %s since %s; before, %s were.", k.Name, clock(c.Since), percent(before))
		case before <= 0.002 && always && explains(k.Elsewhere, 0.85):
			return k.Name, fmt.Sprintf("none of this exporter's flows is %s, while %s are of the others'.", k.Name, percent(k.Elsewhere))
		}
	}
	return "", ""
}

// wrongRate is where all interfaces of the exporter are off by the same factor.
func (x *Exporter) wrongRate(c *compared, announced uint32, common float64) {
	c.Verdict, c.Implied = RateWrong, nice(float64(announced)/common, c.Error)
	c.Words = fmt.Sprintf("Flows tell %s of what the interface counted, as on all interfaces of this exporter: it says one packet in %d, and samples about one in %d.", percent(c.Ratio), announced, c.Implied)
	c.Mend = "Make the sampler and what is announced of it the same, or set the rate here."
}

// rates are the share of flows whose rate nobody tells, and the rate of most of
// the others.
func (x *Exporter) rates() (assumed float64, announced uint32) {
	most := 0.0
	for _, r := range x.Rates {
		if r.Source == "assumed" {
			assumed += r.Share
		} else if r.Share > most {
			most, announced = r.Share, r.Rate
		}
	}
	return assumed, announced
}

// common is the ratio that all interfaces of the exporter have, where they are
// alike: two at least that are metered, and most of the traffic. Copies and what
// is only told in part say nothing.
func (x *Exporter) common(all []*compared) (float64, bool) {
	var counter, flow float64
	n := 0
	for _, c := range all {
		if c.Direction == In && c.metered() && c.Error < few {
			counter += c.Counter
			flow += c.Flow
			n++
		}
	}
	if n == 0 || counter == 0 {
		return 1, false
	}
	r := flow / counter
	for _, c := range all {
		if c.Direction == In && c.metered() && c.Error < few && !alike(c.Ratio, r, c.Error+0.1) {
			return r, false
		}
	}
	return r, n >= 2
}

// byLoad are the ratios of the quietest and the busiest third of all times; 0
// where the load does not differ by half, or where it explains less than that
// something has changed since.
func (x *Exporter) byLoad(c *compared) (quiet, busy float64) {
	type bucket struct {
		counter, flow float64
		changed       bool
	}
	var list []bucket
	broken := x.breaks()
	for i := range c.to {
		if v := c.told.Counter[i]; !math.IsNaN(v) && v > 0 && !broken(i) {
			list = append(list, bucket{v, c.told.Flow[i], i >= c.since})
		}
	}
	if len(list) < 12 {
		return 0, 0
	}
	slices.SortFunc(list, func(a, b bucket) int { return cmp.Compare(a.counter, b.counter) })
	// How much buckets of a group differ from what the group has together.
	rest := func(some []bucket) (counter, r, squares float64) {
		var flow float64
		for _, b := range some {
			counter += b.counter
			flow += b.flow
		}
		r = ratio(flow, counter)
		for _, b := range some {
			squares += (ratio(b.flow, b.counter) - r) * (ratio(b.flow, b.counter) - r)
		}
		return counter, r, squares
	}
	n := len(list) / 3
	low, q, a := rest(list[:n])
	_, _, b := rest(list[n : len(list)-n])
	high, r, d := rest(list[len(list)-n:])
	var before, after []bucket
	for _, b := range list {
		if b.changed {
			after = append(after, b)
		} else {
			before = append(before, b)
		}
	}
	_, _, e := rest(before)
	_, _, f := rest(after)
	if high < 1.5*low || a+b+d > 0.7*(e+f) {
		return 0, 0
	}
	return q, r
}

// lost is the part of the flows of a time that is known to be lost.
func (x *Exporter) lost(from, to time.Time) float64 {
	var sum float64
	for _, l := range x.Losses {
		a, b := l.From, l.To
		if a.Before(from) {
			a = from
		}
		if b.After(to) {
			b = to
		}
		if b.After(a) {
			sum += l.Share * b.Sub(a).Seconds()
		}
	}
	return min(1, sum/to.Sub(from).Seconds())
}

func (c *compared) label() string {
	if c.told.Name != "" {
		return c.told.Name
	}
	return fmt.Sprintf("ifIndex %d", c.Index)
}

func some(list []string) string {
	if len(list) > 3 {
		return strings.Join(list[:3], ", ") + fmt.Sprintf(" and %d more", len(list)-3)
	}
	return strings.Join(list, ", ")
}

func near(v, want, tolerance float64) bool {
	return v >= want/(1+tolerance) && v <= want*(1+tolerance)
}

// nice is the rate that people would have configured: a power of two, or 1, 2 or
// 5 times a power of ten, if there is one within the error.
func nice(rate, uncertain float64) uint32 {
	if rate < 1.2 {
		return 1
	}
	best, off := math.Round(rate), math.Log1p(0.1+min(uncertain, 0.3))
	for e := range 31 {
		for _, v := range []float64{math.Pow(2, float64(e)), math.Pow(10, float64(e)), 2 * math.Pow(10, float64(e)), 5 * math.Pow(10, float64(e))} {
			if d := math.Abs(math.Log(rate / v)); d < off && v < math.MaxUint32 {
				best, off = v, d
			}
		}
	}
	return uint32(min(best, math.MaxUint32))
}

func percent(v float64) string {
	switch {
	case v >= 10:
		return number(v) + " times"
	case v < 0.1:
		return fmt.Sprintf("%.1f %%", 100*v)
	}
	return fmt.Sprintf("%.0f %%", 100*v)
}

func within(uncertain float64) string {
	if uncertain < 0.005 {
		return ""
	}
	return fmt.Sprintf(" (± %s by sampling)", percent(uncertain))
}

func number(v float64) string {
	if v < 10 {
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

func bits(v float64) string {
	for _, unit := range []string{"bit/s", "kbit/s", "Mbit/s", "Gbit/s"} {
		if v < 1000 || unit == "Gbit/s" {
			return number(v) + " " + unit
		}
		v /= 1000
	}
	return ""
}

func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") + " UTC" }
