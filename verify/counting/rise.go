package counting

import "math"

// Recent is how many steps are now. What was before is compared with them.
const Recent = 3

// What tells too little to compare by.
const (
	leastBefore  = 6  // steps, from the first with traffic on, before something grew
	leastSamples = 30 // packets of the part that the sampler took: of so few the 95 % error is 36 %
)

// share is a part of packets, scaled by the sampling rate.
type share struct{ all, part float64 }

func (s share) value() float64 {
	if s.all == 0 {
		return 0
	}
	return s.part / s.all
}

func (s share) less(o share) share { return share{s.all - o.all, s.part - o.part} }

// series is a share in each step of a time.
type series struct {
	steps    []share
	variance float64 // of the sum of the parts, as an estimate from samples
}

// add adds a way through an exporter, and how many of its packets are of the part.
func (s *series) add(w *Way, part []float64) {
	s.of(w.Packets)
	var sum share
	for i, n := range part {
		s.steps[i].part += n
		sum.all += w.Packets[i]
		sum.part += n
	}
	deviation := w.Error / 1.96
	s.variance += deviation * deviation * sum.all * sum.part
}

// of adds packets that are not of the part, or that add counts.
func (s *series) of(packets []float64) {
	if s.steps == nil {
		s.steps = make([]share, len(packets))
	}
	for i, n := range packets {
		s.steps[i].all += n
	}
}

// sum adds up steps.
func sum(steps []share) (total share) {
	for _, s := range steps {
		total.all += s.all
		total.part += s.part
	}
	return total
}

// recent are the newest steps.
func (s *series) recent() []share { return s.steps[max(0, len(s.steps)-Recent):] }

// lasts tells whether the part is at least so much in each of the newest steps.
func (s *series) lasts(least float64) bool {
	for _, step := range s.recent() {
		if step.value() < least {
			return false
		}
	}
	return len(s.steps) >= Recent
}

// rise is how a part grew.
type rise struct {
	since       int     // the first step of it
	before, now float64 // the part then, and in the newest steps of it
}

// rise tells whether the part is, in the newest steps, twice what it was before,
// by at least so much more, and that sampling cannot be the reason. It grew where
// the steps fall apart into two times that differ most.
func (s *series) rise(least float64) (r rise, risen bool) {
	first := 0
	for first < len(s.steps) && s.steps[first].all == 0 {
		first++
	}
	all, now := sum(s.steps), sum(s.recent())
	var past, before share
	greatest := 0.0
	for i := first; i < len(s.steps)-1; i++ {
		past = sum([]share{past, s.steps[i]})
		after := all.less(past)
		apart := after.value() - past.value()
		if weight := apart * apart * past.all * after.all; apart > 0 && weight > greatest {
			greatest, before, r.since = weight, past.less(s.steps[i]), i+1 // it may have begun within that step
		}
	}
	if greatest == 0 || r.since < first+leastBefore {
		return r, false
	}
	r.before, r.now = before.value(), sum(s.steps[max(r.since, len(s.steps)-Recent):]).value()
	rate := 1 + s.variance/all.part // for how many packets a sampled one stands
	few, many := now.part/rate, before.part/rate
	if few < leastSamples {
		return r, false
	}
	few -= 1.96 * math.Sqrt(few)
	many += 1.96*math.Sqrt(many) + 3 // of none, as many may have been missed
	return r, now.value()-r.before >= least && few*rate/now.all >= 2*many*rate/before.all
}
