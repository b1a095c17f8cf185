package collect

import (
	"fmt"

	"github.com/minamo-flow/minamo/wire/sflow"
)

// pools checks the sampling rates that an sFlow agent claims against the
// packets that it says its samples were taken from (sample_pool), source by
// source. The claimed rate stays in use: a difference is counted and told.
type pools map[sflow.Source]pool

// pool is a source's state when it was last checked.
type pool struct {
	sequence, pool, drops, rate uint32
}

const (
	poolSamples = 256  // samples between two checks: the random choice deviates by a few percent then
	maxPools    = 4096 // sources of one sub-agent
)

// check takes the header of a sample. An error tells that the source samples
// at a rate well apart from the one it claims.
func (p *pools) check(s sflow.Sample) error {
	if *p == nil {
		*p = pools{}
	}
	before, known := (*p)[s.Source]
	if !known && len(*p) >= maxPools {
		return nil
	}
	samples := s.Sequence - before.sequence
	if known && samples < poolSamples && before.rate == s.Rate {
		return nil
	}
	(*p)[s.Source] = pool{s.Sequence, s.Pool, s.Drops, s.Rate}
	switch {
	case !known, before.rate != s.Rate, before.drops != s.Drops, s.Rate == 0:
		return nil // no whole span under one rate, or the device lost samples
	case samples > 1<<20:
		return nil // the agent restarted, or the numbers mean nothing
	}
	// A pool that stands still is one that the device does not keep.
	taken := s.Pool - before.pool
	effective := float64(taken) / float64(samples)
	if taken == 0 || effective < 1.5*float64(s.Rate) && effective > float64(s.Rate)/1.5 {
		return nil
	}
	return fmt.Errorf("source %d:%d claims 1:%d, but takes 1 sample of %.0f packets", s.Source.Class, s.Source.Index, s.Rate, effective)
}
