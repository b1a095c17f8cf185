package netflow

import (
	"cmp"
	"strconv"
)

// Elements of options data about sampling.
const (
	samplingInterval       = 34
	samplingAlgorithm      = 35
	samplerID              = 48
	samplerMode            = 49
	samplerRandomInterval  = 50
	selectorID             = 302
	selectorAlgorithm      = 304
	samplingPacketInterval = 305
	samplingPacketSpace    = 306
	samplingTimeInterval   = 307
	samplingTimeSpace      = 308
	samplingSize           = 309
	samplingPopulation     = 310
	samplingProbability    = 311
)

// SamplingScope says for which flows a sampling rate holds.
type SamplingScope uint8

const (
	SamplingOfDomain    SamplingScope = iota // all of the observation domain
	SamplingOfSampler                        // those whose flow.SamplerID is the ID
	SamplingOfInterface                      // those that came in by the interface
)

// Sampling is what a record says of how packets were chosen.
type Sampling struct {
	Scope SamplingScope
	ID    uint64 // sampler or ifIndex, by scope
	// Rate is of how many packets one was looked at; 0 where the record says
	// what cannot be. It is as exported: some garbage is very great.
	Rate      float64
	Name      string // the sampler's
	Algorithm string // "count-based", "deterministic", …; "" where it is not told
}

// Sampling reads a record that announces a sampling rate, in any of the
// dialects: interval and space (305, 306), size and population (309, 310),
// times (307, 308), a probability (311), or just the rate (50, 34).
func (r OptionRecord) Sampling() (Sampling, bool) {
	rate, ok := r.samplingRate()
	if !ok {
		return Sampling{}, false
	}
	s := Sampling{Rate: rate, Name: cmp.Or(r.Text(samplerName), r.Text(selectorName)), Algorithm: r.samplingAlgorithm()}
	// The sampler is the narrower scope: an interface beside it only says where it runs.
	if id, ok := r.interfaceIndex(); ok {
		s.Scope, s.ID = SamplingOfInterface, id
	}
	for _, element := range [...]uint16{samplerID, selectorID} {
		if id, ok := r.Uint(element); ok {
			s.Scope, s.ID = SamplingOfSampler, id
		}
	}
	return s, true
}

// samplingRate is 0 where the record speaks of sampling, but impossibly.
func (r OptionRecord) samplingRate() (float64, bool) {
	of := func(total, part float64) float64 {
		if part == 0 {
			return 0
		}
		return total / part
	}
	for _, pair := range [...][2]uint16{{samplingPacketInterval, samplingPacketSpace}, {samplingTimeInterval, samplingTimeSpace}} {
		if interval, ok := r.Uint(pair[0]); ok {
			if space, ok := r.Uint(pair[1]); ok || pair[0] == samplingPacketInterval {
				return of(float64(interval)+float64(space), float64(interval)), true
			}
		}
	}
	if size, ok := r.Uint(samplingSize); ok {
		if population, ok := r.Uint(samplingPopulation); ok {
			return of(float64(population), float64(size)), true
		}
	}
	if f, ok := r.Find(0, samplingProbability); ok {
		if p, ok := f.Float(); ok && p > 0 && p <= 1 {
			return 1 / p, true
		}
		return 0, true
	}
	for _, element := range [...]uint16{samplerRandomInterval, samplingInterval} {
		if interval, ok := r.Uint(element); ok {
			return float64(interval), true
		}
	}
	return 0, false
}

// samplingAlgorithm names the algorithm, by IANA's PSAMP parameters or by the
// two codes that NetFlow v9 has.
func (r OptionRecord) samplingAlgorithm() string {
	if n, ok := r.Uint(selectorAlgorithm); ok {
		return nameOfCode(selectorAlgorithms[:], n)
	}
	for _, element := range [...]uint16{samplerMode, samplingAlgorithm} {
		if n, ok := r.Uint(element); ok && n != 0 {
			return nameOfCode(samplerModes[:], n)
		}
	}
	return ""
}

var selectorAlgorithms = [...]string{
	"", "count-based", "time-based", "n-out-of-N", "uniform probabilistic",
	"property match", "hash BOB", "hash IPSX", "hash CRC",
}

var samplerModes = [...]string{"", "deterministic", "random"}

func nameOfCode(names []string, code uint64) string {
	if code < uint64(len(names)) {
		return names[code]
	}
	return strconv.FormatUint(code, 10)
}
