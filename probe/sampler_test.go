package probe

import (
	"math"
	"testing"
)

var methods = []Method{Systematic, RandomInN, Probabilistic}

// choices are the numbers of the packets that are chosen out of n.
func choices(s *Sampler, n int) (chosen []int) {
	for i := range n {
		if s.Next() {
			chosen = append(chosen, i)
		}
	}
	return chosen
}

func TestSystematicTakesEveryNth(t *testing.T) {
	chosen := choices(NewSampler(SamplerConfig{Rate: 100, Seed: 1}), 10_000)
	if len(chosen) != 100 {
		t.Fatalf("%d of 10000 are chosen", len(chosen))
	}
	for n, i := range chosen {
		if i != chosen[0]+100*n {
			t.Errorf("packet %d is chosen behind packet %d", i, chosen[n-1])
		}
	}
}

func TestRandomInNTakesOneOfEachN(t *testing.T) {
	chosen := choices(NewSampler(SamplerConfig{Rate: 100, Method: RandomInN, Seed: 1}), 100_000)
	if len(chosen) != 1000 {
		t.Fatalf("%d of 100000 are chosen", len(chosen))
	}
	var tens [10]int
	for n, i := range chosen {
		if i/100 != n {
			t.Errorf("packet %d is chosen as the %d-th", i, n)
		}
		tens[i%100/10]++
	}
	for n, count := range tens { // 100 expected; 6 standard deviations of 9.5
		if count < 43 || count > 157 {
			t.Errorf("%d of 1000 are chosen of the places %d to %d", count, 10*n, 10*n+9)
		}
	}
}

func TestProbabilisticIsGeometric(t *testing.T) {
	const n, rate = 1_000_000, 50
	chosen := choices(NewSampler(SamplerConfig{Rate: rate, Method: Probabilistic, Seed: 1}), n)
	p := 1.0 / rate
	if got, want := float64(len(chosen)), n*p; math.Abs(got-want) > 6*math.Sqrt(n*p*(1-p)) {
		t.Errorf("%g are chosen, %g expected", got, want)
	}
	// Of the gaps, the share p(1-p)^k is k packets long.
	gaps := map[int]int{}
	for i := 1; i < len(chosen); i++ {
		gaps[chosen[i]-chosen[i-1]-1]++
	}
	for _, k := range []int{0, 1, 10, 50} {
		want := float64(len(chosen)) * p * math.Pow(1-p, float64(k))
		if got := float64(gaps[k]); math.Abs(got-want) > 6*math.Sqrt(want) {
			t.Errorf("%g gaps of %d packets, %g expected", got, k, want)
		}
	}
}

func TestTakeIsNextManyTimes(t *testing.T) {
	for _, method := range methods {
		for _, rate := range []uint32{0, 1, 2, 7, 1000} {
			one, many := NewSampler(SamplerConfig{rate, method, 3}), NewSampler(SamplerConfig{rate, method, 3})
			for n := range uint64(500) {
				want := uint64(len(choices(one, int(n))))
				if got := many.Take(n); got != want {
					t.Fatalf("%v 1:%d: %d of %d packets, one by one %d", method, rate, got, n, want)
				}
			}
		}
	}
}

func TestSeeds(t *testing.T) {
	for _, method := range methods {
		same := true
		for seed := range uint64(8) {
			a, b := NewSampler(SamplerConfig{100, method, seed}), NewSampler(SamplerConfig{100, method, seed})
			other := NewSampler(SamplerConfig{100, method, seed + 100})
			for range 1000 {
				x := a.Next()
				if x != b.Next() {
					t.Fatalf("%v: two samplers of the seed %d differ", method, seed)
				}
				same = same && x == other.Next()
			}
		}
		if same {
			t.Errorf("%v: samplers of other seeds choose the same packets", method)
		}
	}
}

// The first packet of a systematic sampler is as likely as any other.
func TestNoSamplerFavoursTheFirst(t *testing.T) {
	for _, method := range methods {
		first := 0
		for seed := range uint64(10_000) {
			if NewSampler(SamplerConfig{10, method, seed}).Next() {
				first++
			}
		}
		if first < 820 || first > 1180 { // 1000 expected, 6 standard deviations of 30
			t.Errorf("%v: the first packet is chosen by %d of 10000 samplers of 1:10", method, first)
		}
	}
}
