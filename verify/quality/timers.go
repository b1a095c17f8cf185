package quality

import (
	"math"
	"time"

	"github.com/minamo-flow/minamo/collect"
)

// Timer is a timer of an exporter's cache (RFC 5470 §5.3: active and inactive
// timeout), as its flows show it.
type Timer struct {
	Seconds    int     `json:"seconds"`
	AtLeast    bool    `json:"at_least" doc:"It may be longer: there are flows of this length, but too few to see where they end"`
	Confidence float64 `json:"confidence" doc:"From 0 to 1; below 0.5 better ask the device"`
	Warning    string  `json:"warning,omitempty"`
}

// Timers of a cache.
type Timers struct {
	Active    *Timer  `json:"active" doc:"null where the flows don't show it: none lasts so long, or too few are there"`
	Inactive  *Timer  `json:"inactive"`
	Longest   float64 `json:"longest_seconds" doc:"The longest flow"`
	Durations uint64  `json:"flows" doc:"How many flows were looked at"`
}

const (
	fewFlows   = 50 // below them nothing is said
	longActive = 60 // seconds that an active timer should not exceed
)

// DetectTimers finds out timers from durations of flows, and delays from their
// last packets to their export.
//
// The active timer is a wall: no flow is longer, and long conversations pile up
// before it. The inactive timer is a step: nothing that idled out is told
// earlier, and most is told soon after.
func DetectTimers(durations, delays *collect.Histogram, longest time.Duration) Timers {
	t := Timers{Longest: longest.Seconds()}
	for _, n := range durations {
		t.Durations += uint64(n)
	}
	if t.Active = wall(durations); t.Active == nil {
		t.Active = beyond(durations)
	}
	if t.Active != nil && t.Active.Seconds > longActive {
		t.Active.Warning = "Charts are right because bytes are spread, but detection waits this long."
	}
	t.Inactive = step(delays)
	return t
}

// wall finds where durations end at once.
func wall(h *collect.Histogram) *Timer {
	const wide = 8 // buckets: half an octave
	var all float64
	for _, n := range h[1:] {
		all += float64(n)
	}
	if all < fewFlows {
		return nil
	}
	// Before which all is, but for a few that a wrong clock made.
	few, above, top := math.Max(1, all/1000), 0.0, len(h)-1
	for ; top > 0 && above+float64(h[top]) <= few; top-- {
		above += float64(h[top])
	}
	if top <= 2*wide {
		return nil
	}
	near, before := 0.0, 0.0
	for i := range wide {
		near += float64(h[top-i])
		before += float64(h[top-wide-i])
	}
	// Durations that just become rare have no wall: they are much rarer in the
	// last buckets than in those before, by the second, and go on behind them.
	edge, middle := span(top-wide+1, top+1), span(top-2*wide+1, top-wide+1)
	confidence := math.Min(1, near/edge/math.Max(before/middle, 1/middle)) * math.Min(1, near/20)
	if confidence < 0.2 || above > math.Max(1, near/20) {
		return nil
	}
	return &Timer{Seconds: usual(collect.HistogramFrom(min(top+1, len(h)-1))), Confidence: round(confidence)}
}

// span is how long a time the buckets [from, to) are for.
func span(from, to int) float64 {
	return float64(collect.HistogramFrom(min(to, collect.HistogramLen-1)) - collect.HistogramFrom(from))
}

// beyond tells that flows last longer than the active timer should, where they
// become rarer and rarer and never end at once.
func beyond(h *collect.Histogram) *Timer {
	const some = 3 // flows that no single wrong clock made
	long, length := 0, int64(0)
	for i := len(h) - 1; i > 0 && collect.HistogramFrom(i) > longActive*1100; i-- {
		long += int(h[i])
		if length == 0 && long >= some {
			length = collect.HistogramFrom(i)
		}
	}
	if length == 0 {
		return nil
	}
	return &Timer{Seconds: int(length / 1000), AtLeast: true, Confidence: round(math.Min(1, float64(long)/fewFlows))}
}

// step finds where delays begin. It is looked for where there is much more
// behind than before, counted by the ratio of delays rather than by the second,
// so that what is told at once (the end of a TCP connection) does not outweigh it.
func step(h *collect.Histogram) *Timer {
	const wide = 8
	all := 0.0
	var weight [collect.HistogramLen]float64
	for i, n := range h[:len(h)-1] {
		all += float64(n)
		weight[i] = float64(n) / span(i, i+1) * float64(collect.HistogramFrom(i)+collect.HistogramFrom(i+1)) / 2
	}
	if all < fewFlows {
		return nil
	}
	mean := func(from, to int) (sum float64) {
		from, to = max(from, 0), min(to, len(h)-1)
		for _, w := range weight[from:to] {
			sum += w
		}
		return sum / float64(to-from)
	}
	best, most, contrast := 0, 0.0, 0.0
	for i := 1; i < len(h)-1; i++ {
		before, after := mean(i-wide, i), mean(i, i+wide)
		if rise := after - before; rise > 0 && rise*rise/(after+before) > most {
			best, most, contrast = i, rise*rise/(after+before), rise/(after+before)
		}
	}
	if best == 0 {
		return nil
	}
	behind := 0.0
	for _, n := range h[best:min(best+wide, len(h))] {
		behind += float64(n)
	}
	for best < len(h)-1 && weight[best] < mean(best, best+wide)/4 { // it begins within the window
		best++
	}
	confidence := contrast * math.Min(1, behind/20) * math.Min(1, behind/all*10)
	if confidence < 0.2 {
		return nil
	}
	return &Timer{Seconds: usual(collect.HistogramFrom(best)), Confidence: round(confidence)}
}

// usual is the timer that somebody who configures devices would have meant.
func usual(ms int64) int {
	best, off := int(math.Round(float64(ms)/1000)), 0.08
	for _, s := range []int{1, 2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 240, 300, 600, 900, 1200, 1800, 3600, 7200} {
		if d := math.Abs(float64(ms)/1000/float64(s) - 1); d < off {
			best, off = s, d
		}
	}
	return best
}

func round(x float64) float64 { return math.Round(x*100) / 100 }
