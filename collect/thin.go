package collect

import (
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/minamo-flow/minamo/flow"
)

// When more flow records come than the collector is to take
// (ExporterConfig.FlowLimit), something has to give. Left alone it is datagrams,
// at random, and nobody knows which traffic they were of. So rows are left out
// by rule: of k rows of an exporter one stays, and its sampling rate is
// multiplied by k. Sums stay right on average; they only get less exact.
//
// Once a second of the collector's clock the loads of all exporters are looked
// at, and each gets its k: as if each had a right to the same share of the limit,
// and what the small ones leave of theirs belonged to the great. So the ones
// that flood are thinned the most, and the small ones not at all.
//
// What it costs: without a limit nothing; with one an addition per datagram.

// thinner decides how much is thinned. Its mutex is held for a look.
type thinner struct {
	limit float64 // flow records a second; 0: never
	next  atomic.Int64

	mu      sync.Mutex
	looked  int64 // second of the last look; 0 before the first
	load    Load
	told    int64 // second in which the log was told last
	anybody bool  // was thinned when it was
}

// Load is what comes, beside what may.
type Load struct {
	Flows  float64 // records a second that come, a mean over some seconds
	Kept   float64 // of those are kept
	Limit  float64 // as configured; 0: none
	Thins  int     // exporters of which not all is kept
	Fewest uint32  // of so many rows one is kept, of the exporter that is thinned the most; 1: all are
}

// arrivals is what an exporter's load is known by, and what is made of it.
type arrivals struct {
	rows atomic.Uint64 // decoded so far
	keep atomic.Uint32 // of so many one stays; 0 and 1: all

	// Of the thinner.
	seen uint64  // rows at the last look
	rate float64 // rows a second, smoothed
	calm int     // seconds for which less thinning would have done

	// Of the exporter.
	group, left, take uint32  // of a group of so many rows so many are to come, and this one stays, counted from its end
	chosen            []int32 // reused
}

const (
	// smoothing is how much of a load's mean is left after a second: a burst of
	// one second is forgotten after some, a lasting one is met in the next.
	smoothing = 0.75

	// mostThinned bounds k: sampling rates are 2²⁴ at most, and stay in 32 bits.
	mostThinned = 255

	// An exporter is thinned less when so much of the limit would have done, for so
	// many seconds.
	easing     = 0.9
	easingTime = 10

	// toldEvery is after how many seconds the log is told again.
	toldEvery = 60
)

// Balance decides anew how much of each exporter is kept, if a second has passed
// since it last did. received is the collector's time in ms. No exporter may be
// locked.
func (e *Exporters) Balance(received int64) {
	t := &e.thinner
	second := received / 1000
	if next := t.next.Load(); t.limit <= 0 || second < next && second > next-toldEvery || !t.next.CompareAndSwap(next, second+1) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	elapsed := second - t.looked
	first := t.looked == 0
	t.looked = second
	if elapsed <= 0 { // the clock was put back
		elapsed, first = 1, true
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	t.load = Load{Limit: t.limit, Fewest: 1}
	fade := math.Pow(smoothing, float64(elapsed))
	for _, x := range e.byAddr {
		a := &x.arrivals
		rows := a.rows.Load()
		if !first {
			a.rate = a.rate*fade + float64(rows-a.seen)/float64(elapsed)*(1-fade)
		}
		a.seen = rows
		t.load.Flows += a.rate
	}
	fair, easy := e.share(t.limit), e.share(t.limit*easing)
	for _, x := range e.byAddr {
		a := &x.arrivals
		now := max(a.keep.Load(), 1)
		switch least, enough := oneIn(a.rate, fair), oneIn(a.rate, easy); {
		case now < least:
			now, a.calm = least, 0
		case now <= enough:
			a.calm = 0
		default:
			if a.calm += int(min(elapsed, easingTime)); a.calm >= easingTime {
				now, a.calm = enough, 0
			}
		}
		a.keep.Store(now)
		t.load.Kept += a.rate / float64(now)
		if now > 1 {
			t.load.Thins++
			t.load.Fewest = max(t.load.Fewest, now)
		}
	}
	e.tell(t, second)
}

// share is the greatest share of the limit that every exporter may have: what
// each comes to when its rows are thinned to no more than it is the limit at
// most. It is infinite where nothing has to be thinned.
func (e *Exporters) share(limit float64) float64 {
	if e.thinner.load.Flows <= limit {
		return math.Inf(1)
	}
	low, high := 0.0, limit
	for range 40 {
		middle := (low + high) / 2
		sum := 0.0
		for _, x := range e.byAddr {
			sum += x.arrivals.rate / float64(oneIn(x.arrivals.rate, middle))
		}
		if sum <= limit {
			low = middle
		} else {
			high = middle
		}
	}
	return low
}

// oneIn is the least k by which rate/k is the share at most.
func oneIn(rate, share float64) uint32 {
	if rate <= share {
		return 1
	}
	return uint32(min(math.Ceil(rate/share), mostThinned)) // by 0 it is infinite
}

// tell tells the log when thinning begins and ends, and each minute between.
func (e *Exporters) tell(t *thinner, second int64) {
	thins := t.load.Thins > 0
	if thins == t.anybody && (!thins || second-t.told < toldEvery) {
		return
	}
	if t.told, t.anybody = second, thins; thins {
		e.log.Warn("more flows come than budget.collector allows: rows are thinned, and their sampling rate is multiplied",
			"flows_per_second", math.Round(t.load.Flows), "limit", t.limit, "kept", math.Round(t.load.Kept), "exporters", t.load.Thins, "one_in", t.load.Fewest)
	} else {
		e.log.Info("every flow is kept again", "flows_per_second", math.Round(t.load.Flows), "limit", t.limit)
	}
}

// Load tells what comes, by the last look; zero where no limit is configured.
func (e *Exporters) Load() Load {
	e.thinner.mu.Lock()
	defer e.thinner.mu.Unlock()
	return e.thinner.load
}

// thin leaves rows out from from on, the end of the batch. Of each group of k
// consecutive rows one stays that chance chose: an exporter whose every k-th row
// is of a kind is not met in its step. Each row stays with the probability 1/k,
// also where a group is cut short because k changes.
func (x *exporter) thin(b *flow.Batch, from int) {
	a := &x.arrivals
	rows := b.Len() - from
	a.rows.Add(uint64(rows))
	keep := a.keep.Load()
	if keep <= 1 {
		a.left = 0
		return
	}
	rates := b.U32(flow.SamplingRate)
	a.chosen = a.chosen[:0]
	for i := from; i < b.Len(); {
		if a.left == 0 {
			a.group, a.left, a.take = keep, keep, rand.Uint32N(keep)
		}
		step := min(int(a.left), b.Len()-i)
		if before := int(a.left) - 1 - int(a.take); before >= 0 && before < step {
			rates[i+before] = uint32(min(uint64(rates[i+before])*uint64(a.group), math.MaxUint32))
			a.chosen = append(a.chosen, int32(i+before))
		}
		a.left -= uint32(step)
		i += step
	}
	b.Keep(from, a.chosen)
	x.count("thinned", uint64(rows-len(a.chosen)))
}
