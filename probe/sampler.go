package probe

import (
	"math"
	"math/bits"
	"math/rand/v2"
)

// Method is how a Sampler chooses packets, by its number in the registry of
// IPFIX selector algorithms (IE 304).
type Method uint8

const (
	Systematic    Method = 1 // every Rate-th packet (systematic count-based, RFC 5475 §5.1)
	RandomInN     Method = 3 // one of each Rate packets, at random (n-out-of-N, RFC 5475 §5.2.1)
	Probabilistic Method = 4 // each packet with the probability 1/Rate (uniform, RFC 5475 §5.2.2.1)
)

func (m Method) String() string {
	switch m {
	case RandomInN:
		return "random"
	case Probabilistic:
		return "probabilistic"
	}
	return "systematic"
}

// SamplerConfig tells which packets are looked at.
type SamplerConfig struct {
	Rate   uint32 // one packet in so many; 0 is all, as 1
	Method Method // default Systematic
	Seed   uint64 // samplers of the same seed choose the same packets
}

// Sampler chooses packets. It scales nothing: who counts the chosen packets
// says at what rate. The first one is chosen at random, also by a systematic
// sampler, so that no sampler counts too much at its start.
//
// A Sampler is not safe for concurrent use.
type Sampler struct {
	method Method
	rate   uint64
	scale  float64 // 1/ln(1 - 1/rate)
	random rand.PCG
	at     uint64 // of the latest chosen packet in its Rate packets
	skip   uint64 // packets before the next that is chosen
}

// NewSampler returns a sampler that has seen no packet yet.
func NewSampler(cfg SamplerConfig) *Sampler {
	s := &Sampler{method: cfg.Method, rate: uint64(max(cfg.Rate, 1)), random: *rand.NewPCG(cfg.Seed, 0x6d696e616d6f)}
	s.scale = 1 / math.Log1p(-1/float64(s.rate))
	if s.method == Probabilistic {
		s.draw()
	} else {
		s.at = s.below(s.rate)
		s.skip = s.at
	}
	return s
}

// Rate is the packets of which one is chosen, on average.
func (s *Sampler) Rate() uint32 { return uint32(s.rate) }

// Next tells whether the next packet is chosen.
func (s *Sampler) Next() bool {
	if s.skip > 0 {
		s.skip--
		return false
	}
	s.draw()
	return true
}

// Take tells how many of the next n packets are chosen.
func (s *Sampler) Take(n uint64) (chosen uint64) {
	if s.rate == 1 {
		return n
	}
	for n > s.skip {
		n -= s.skip + 1
		chosen++
		s.draw()
	}
	s.skip -= n
	return chosen
}

// draw decides how many packets are passed over before the next.
func (s *Sampler) draw() {
	switch {
	case s.rate == 1:
	case s.method == RandomInN:
		at := s.below(s.rate)
		s.skip = s.rate - 1 - s.at + at
		s.at = at
	case s.method == Probabilistic:
		// How many tails come before the first head: at least k with the
		// probability (1 - 1/rate)^k.
		u := float64(s.random.Uint64()>>11+1) / (1 << 53)
		s.skip = uint64(math.Log(u) * s.scale)
	default:
		s.skip = s.rate - 1
	}
}

// below is a random number below n.
func (s *Sampler) below(n uint64) uint64 {
	high, _ := bits.Mul64(s.random.Uint64(), n)
	return high
}
