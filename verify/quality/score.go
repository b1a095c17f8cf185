package quality

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"time"

	"github.com/minamo-flow/minamo/collect"
	"github.com/minamo-flow/minamo/flow"
)

// Score tells how far an exporter's data can be trusted.
type Score struct {
	Score int       `json:"score" doc:"100 where nothing is known to be wrong, down to 0"`
	From  time.Time `json:"from"`
	To    time.Time `json:"to"`
	Lost  []Reason  `json:"lost" doc:"Why points were lost, the most first"`
}

// Reason is why points were lost.
type Reason struct {
	Points int    `json:"points"`
	Kind   string `json:"kind" enum:"missing_units,kernel_drops,template_missing,malformed,restart,silent,sampling_assumed,sampling_rejected,sampling_mismatch,sampling_applied_twice,clock,times_clamped,active_timer,egress_only,ingress_and_egress,thinned,proof"`
	Words  string `json:"words" doc:"What is wrong"`
	Mend   string `json:"mend" doc:"What to do"`
}

// And is the score with one more reason.
func (s Score) And(r Reason) Score {
	s.Score = max(0, s.Score-r.Points)
	s.Lost = append(slices.Clone(s.Lost), r)
	slices.SortStableFunc(s.Lost, func(a, b Reason) int { return b.Points - a.Points })
	return s
}

// RateShare is a sampling rate, where it was learnt, and how many flows it was of.
type RateShare struct {
	Protocol string `json:"protocol"`
	Domain   uint32 `json:"domain"`
	Rate     uint32 `json:"rate"`
	Source   string `json:"source" doc:"record, options, header, configured, or assumed: nobody told"`
	Flows    uint64 `json:"flows"`
}

// Verdict is what is found out of an exporter in a time.
type Verdict struct {
	Score  Score
	Timers Timers
	Rates  []RateShare
}

// Assessment judges exporters by the minutes that are given to Add in their
// order. NewAssessment makes one.
type Assessment struct {
	from, to  time.Time
	losses    Losses
	silences  map[string]silent
	drops     uint64
	datagrams uint64
	exporters map[netip.Addr]*assessed
}

type silent struct {
	length time.Duration
	last   Interval
}

// assessed is the sum of an exporter's minutes.
type assessed struct {
	Exporter
	missing                                   missing
	datagrams, units, restarts                uint64
	rates                                     map[rateKey]uint64
	offsets                                   []offset
	durations, delays                         collect.Histogram
	longest                                   int64
	ingress, egress, multiplied, unmultiplied float64 // each minute counts for more than the one before it
}

type rateKey struct {
	protocol uint8
	domain   uint32
	rate     uint32
	source   uint8
}

type offset struct {
	at time.Time
	ms int64
}

// NewAssessment judges the minutes in [from, to). Minutes before from only make
// known what is habitual.
func NewAssessment(from, to time.Time) *Assessment {
	return &Assessment{from: from, to: to, exporters: map[netip.Addr]*assessed{}}
}

// Add takes a minute in.
func (a *Assessment) Add(m *Minute) {
	a.losses.Add(m)
	if m.At.Before(a.from) || !m.At.Before(a.to) {
		return
	}
	for _, s := range m.Sockets {
		a.drops += s.Drops
		a.datagrams += s.Datagrams
	}
	for i := range m.Exporters {
		x := &m.Exporters[i]
		s := a.exporters[x.Address]
		if s == nil {
			s = &assessed{rates: map[rateKey]uint64{}}
			a.exporters[x.Address] = s
		}
		s.add(m.At, x)
	}
}

func (s *assessed) add(at time.Time, x *Exporter) {
	s.Malformed += x.Malformed
	s.MalformedParts += x.MalformedParts
	s.Forlorn += x.Forlorn
	s.Clamped += x.Clamped
	s.RateRejected += x.RateRejected
	s.RateMismatch += x.RateMismatch
	s.Thinned += x.Thinned
	const fade = 0.75
	s.ingress, s.egress, s.multiplied, s.unmultiplied = s.ingress*fade, s.egress*fade, s.multiplied*fade, s.unmultiplied*fade
	for i := range x.Domains {
		d := &x.Domains[i]
		s.missing.add(d)
		s.datagrams += d.Datagrams
		s.restarts += d.Restarts
		for _, r := range d.Rates {
			s.rates[rateKey{d.Protocol, d.Domain, r.Rate, r.Source}] += r.Flows
		}
		if d.HasOffset {
			s.offsets = append(s.offsets, offset{at, d.Offset})
		}
		s.longest = max(s.longest, d.Longest)
		addHistogram(&s.durations, d.Durations)
		addHistogram(&s.delays, d.Delays)
		s.ingress += float64(d.Ingress)
		s.egress += float64(d.Egress)
		s.multiplied += float64(d.Scaled)
		s.unmultiplied += float64(d.Unscaled)
	}
}

func addHistogram(to, h *collect.Histogram) {
	if h == nil {
		return
	}
	for i, n := range h {
		to[i] += n
	}
}

// Exporters are those that told anything, and those that should have.
func (a *Assessment) Exporters() map[netip.Addr]Verdict {
	a.silences = map[string]silent{}
	for _, i := range a.losses.Intervals(a.from, a.to) {
		if i.Kind == LossSilent {
			s := a.silences[i.Exporter]
			a.silences[i.Exporter] = silent{s.length + i.To.Sub(i.From), i}
			if addr, err := netip.ParseAddr(i.Exporter); err == nil && a.exporters[addr] == nil {
				a.exporters[addr] = &assessed{}
			}
		}
	}
	list := map[netip.Addr]Verdict{}
	for addr, s := range a.exporters {
		list[addr] = a.verdict(addr, s)
	}
	return list
}

func (a *Assessment) verdict(addr netip.Addr, s *assessed) Verdict {
	v := Verdict{
		Score:  Score{From: a.from, To: a.to},
		Timers: DetectTimers(&s.durations, &s.delays, time.Duration(s.longest)*time.Millisecond),
		Rates:  []RateShare{},
	}
	for key, flows := range s.rates {
		v.Rates = append(v.Rates, RateShare{
			protocolName(key.protocol), key.domain,
			key.rate, SourceName(key.source), flows,
		})
	}
	slices.SortFunc(v.Rates, func(a, b RateShare) int {
		return cmp.Or(cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Domain, b.Domain), -cmp.Compare(a.Flows, b.Flows), cmp.Compare(a.Rate, b.Rate), cmp.Compare(a.Source, b.Source))
	})
	v.Score.Lost = a.reasons(addr, s, v.Timers.Active)
	v.Score.total()
	return v
}

// total adds up.
func (s *Score) total() {
	slices.SortStableFunc(s.Lost, func(a, b Reason) int { return b.Points - a.Points })
	s.Score = 100
	for _, r := range s.Lost {
		s.Score -= r.Points
	}
	s.Score = max(s.Score, 0)
}

// Silent is the score of an exporter that was known and told nothing in all the time.
func Silent(from, to, last time.Time) Score {
	s := Score{From: from, To: to, Lost: []Reason{silence100(last)}}
	s.total()
	return s
}

func silence100(last time.Time) Reason {
	return Reason{100, LossSilent, "It told nothing in this time; its last datagram came at " + last.UTC().Format(time.RFC3339) + ".",
		"Is it up, does its exporting process run, and does a way lead here? tcpdump on this machine shows whether datagrams come."}
}

// reasons is the whole of the rules: what costs how much, and why.
func (a *Assessment) reasons(addr netip.Addr, s *assessed, active *Timer) []Reason {
	list := []Reason{}
	lose := func(points int, kind, mend, words string, args ...any) {
		if points > 0 {
			list = append(list, Reason{points, kind, fmt.Sprintf(words, args...), mend})
		}
	}

	// Loss hurts at once: one in a thousand costs 2 points, 1 % 7, 10 % 23, 30 % 40.
	ofLoss := func(share float64) int {
		if share <= 0 {
			return 0
		}
		return max(1, min(50, int(math.Round(40*math.Sqrt(share/0.3)))))
	}
	kernel := 0.0
	if a.drops > 0 {
		kernel = float64(a.drops) / float64(a.drops+a.datagrams)
	}
	lose(ofLoss(kernel), LossKernel, "Raise net.core.rmem_max and collect.receive-buffer, or give the collector more processors.",
		"The kernel of this machine dropped %d of %d datagrams of all exporters (%s), for the collector was too slow.", a.drops, a.drops+a.datagrams, percent(kernel))
	if lost := s.missing.share() - kernel; lost > 0 { // what the kernel dropped is missing, too
		lose(ofLoss(lost), LossMissing, "Look for drops on the way from the exporter: its export queue, policers, full links. Export from a nearer address, or by TCP.",
			"About %s of its flows were lost on the way: %s.", percent(s.missing.share()), s.missing.words())
	}
	if sil := a.silences[addr.String()]; sil.length > 0 {
		all := a.to.Sub(a.from)
		if s.datagrams == 0 {
			list = append(list, silence100(sil.last.From))
		} else {
			part := float64(sil.length) / float64(all)
			lose(min(90, 20+int(math.Round(70*part))), LossSilent, "Is it up, does its exporting process run, and does a way lead here?",
				"It told nothing for %v in all, the last time from %s to %s.", sil.length.Round(time.Minute), sil.last.From.UTC().Format("15:04"), sil.last.To.UTC().Format("15:04"))
		}
	}
	lose(min(20, 5*int(min(s.restarts, 4))), LossRestart, "If nobody did that on purpose, look into the device's log.",
		"It restarted %s: flows that were in its cache are lost.", times(s.restarts))
	lose(part(s.Forlorn, s.datagrams, 5, 20), LossTemplate, "Make it repeat its templates more often, once a minute.",
		"%d data sets were lost, for their template did not come in time.", s.Forlorn)
	lose(part(s.Malformed+s.MalformedParts, s.datagrams, 3, 15), LossMalformed, "The log says what; look for newer software of the device.",
		"%d parts of %d datagrams are not as the protocol demands.", s.Malformed+s.MalformedParts, s.datagrams+s.Malformed)
	a.sampling(s, lose)
	s.clock(lose)
	lose(part(s.Clamped, uint64(s.missing.flows), 3, 10), "times_clamped", "Set the device's clock by NTP.",
		"%d flows had times that cannot be, and were moved to when they were received.", s.Clamped)
	lose(part(s.Thinned, uint64(s.missing.flows), 3, 15), "thinned", "Sample coarser on the routers that send the most: /api/budget/plan tells where, and what it costs. Or raise budget.collector, if this machine can bear it.",
		"More flows came than budget.collector allows: %d of its %d were left out, and the others count for them. Its sums are right on average, and less exact.", s.Thinned, uint64(s.missing.flows))
	if active != nil && active.Seconds > longActive && active.Confidence >= 0.5 {
		how, length := "about", time.Duration(active.Seconds)*time.Second
		if active.AtLeast {
			how = "at least"
		}
		lose(min(15, 5+int(math.Round(7*math.Log10(length.Minutes())))), "active_timer", "Set the active timer to 60 s or less.",
			"Its active timer is %s %v: charts are right because bytes are spread, but detection waits this long, and the newest %v lack what goes on.", how, length, length)
	}
	const some = 20 // flows looked at, before a habit is one
	switch all := s.ingress + s.egress; {
	case all < some:
	case s.ingress < all/100:
		lose(10, "egress_only", "Meter at ingress, on all external interfaces.",
			"It meters only what leaves: what it drops is invisible.")
	case s.ingress > all/20 && s.egress > all/20:
		lose(5, "ingress_and_egress", "Meter at ingress alone, on all external interfaces; until then reports count each once with scope=once.",
			"It meters what comes in and what leaves: what it forwards between such interfaces is told twice.")
	}
	return list
}

// sampling tells what is wrong with the sampling rates.
func (a *Assessment) sampling(s *assessed, lose func(int, string, string, string, ...any)) {
	var all, assumed uint64
	told := false // that it samples
	domains := map[uint32]bool{}
	for key, flows := range s.rates {
		all += flows
		if key.source == flow.SamplingAssumed {
			assumed += flows
			domains[key.domain] = true
		} else if key.rate > 1 {
			told = true
		}
	}
	if assumed > 0 {
		share := float64(assumed) / float64(all)
		mend := "Make the device tell its rate in options data; or give it in the configuration: collect.sampling, with rate 1 where it does not sample."
		if told {
			lose(20+int(math.Round(20*share)), "sampling_assumed", mend,
				"Nobody told at which rate %s of its flows were sampled (observation domain %s), though its others are sampled: they count as if they were not.", percent(share), join(domains))
		} else {
			lose(10, "sampling_assumed", mend,
				"Nobody told whether it samples: its flows count as they are. If it does, all its volumes are too small.")
		}
	}
	lose(int(min(s.RateRejected, 1))*10, "sampling_rejected", "The log says which rate; correct the sampler's configuration.",
		"It announced a sampling rate that cannot be, %s.", times(s.RateRejected))
	lose(int(min(s.RateMismatch, 1))*20, "sampling_mismatch", "The log says which source and how far; look for newer software of the device.",
		"Its sample pool grows at another rate than it claims to sample at: its volumes are wrong by that factor.")
	if s.multiplied >= 20 && s.unmultiplied <= s.multiplied/50 {
		lose(40, "sampling_applied_twice", "Switch off the device's own scaling; or configure the rate 1 for it.",
			"The packets of all its flows are multiples of its sampling rate: it multiplies itself, and announces the rate nevertheless. Its volumes are too large by that factor.")
	}
}

// clock tells how far off the device's clock is.
func (s *assessed) clock(lose func(int, string, string, string, ...any)) {
	const fine = 2000 // ms: whole seconds in headers, and some way
	if len(s.offsets) == 0 {
		return
	}
	sorted := make([]int64, len(s.offsets))
	for i, o := range s.offsets {
		sorted[i] = o.ms
	}
	slices.Sort(sorted)
	worst := sorted[len(sorted)/2]
	if newest := s.offsets[len(s.offsets)-1].ms; max(newest, -newest) > max(worst, -worst) {
		worst = newest
	}
	points := 0
	switch off := max(worst, -worst); {
	case off > 60_000:
		points = 15
	case off > 10_000:
		points = 8
	case off > fine:
		points = 4
	}
	side := "ahead of"
	if worst < 0 {
		side = "behind"
	}
	drift := ""
	first, last := s.offsets[0], s.offsets[len(s.offsets)-1]
	for _, o := range s.offsets { // as it drifts now
		if first = o; last.at.Sub(o.at) <= 15*time.Minute {
			break
		}
	}
	if minutes := last.at.Sub(first.at).Minutes(); minutes >= 5 && math.Abs(float64(last.ms-first.ms)) > fine {
		drift = fmt.Sprintf(", and drifts by %.1f s an hour", float64(last.ms-first.ms)/1000/minutes*60)
	}
	lose(points, "clock", "Set the device's clock by NTP.",
		"Its clock is %v %s ours%s: its flows lie at wrong times.", (time.Duration(max(worst, -worst)) * time.Millisecond).Round(100*time.Millisecond), side, drift)
}

// part is least where n is anything, and most where it is all.
func part(n, of uint64, least, most int) int {
	if n == 0 {
		return 0
	}
	share := math.Min(1, float64(n)/math.Max(float64(of), 1))
	return least + int(math.Round(float64(most-least)*math.Sqrt(share)))
}

func times(n uint64) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

func join(domains map[uint32]bool) (text string) {
	list := make([]uint32, 0, len(domains))
	for d := range domains {
		list = append(list, d)
	}
	slices.Sort(list)
	for i, d := range list {
		if i == 5 {
			return text + " and others"
		}
		if i > 0 {
			text += ", "
		}
		text += fmt.Sprint(d)
	}
	return text
}

// Assess judges a time of what is written down.
func (r *Recorder) Assess(from, to time.Time) (map[netip.Addr]Verdict, error) {
	a := NewAssessment(from, to)
	err := r.Read(from.Add(-beforeRange), to, func(m *Minute) error {
		a.Add(m)
		return nil
	})
	return a.Exporters(), err
}
