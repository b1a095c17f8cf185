package collect

import (
	"fmt"

	"github.com/minamo-flow/minamo/wire/sflow"
)

// sources follows the data sources of an sFlow sub-agent: samples that never
// came, and whether each samples at the rate that it claims. The claimed rate
// stays in use: a difference is counted and told.
type sources map[sflow.Source]*source

// source is one data source, with its state when its rate was last checked.
type source struct {
	samples            sequence
	sequence           uint32
	pool, drops, rated uint32
}

const (
	rateSamples = 256  // samples between two checks: the random choice deviates by a few percent then
	maxSources  = 4096 // followed of one sub-agent; samples of others are stored all the same
)

// follow takes the header of a sample. An error tells that the source samples
// at a rate well apart from the one it claims.
func (s *sources) follow(h sflow.Sample) error {
	if *s == nil {
		*s = sources{}
	}
	x := (*s)[h.Source]
	if x == nil {
		if len(*s) >= maxSources {
			return nil
		}
		x = &source{}
		(*s)[h.Source] = x
	}
	fresh := !x.samples.started
	x.samples.follow(h.Sequence, 1, true, 100)

	before := *x
	samples := h.Sequence - before.sequence
	if !fresh && samples < rateSamples && before.rated == h.Rate {
		return nil
	}
	x.sequence, x.pool, x.drops, x.rated = h.Sequence, h.Pool, h.Drops, h.Rate
	switch {
	case fresh, before.rated != h.Rate, before.drops != h.Drops, h.Rate == 0:
		return nil // no whole span under one rate, or the device lost samples
	case samples > 1<<20:
		return nil // the agent restarted, or the numbers mean nothing
	}
	// A pool that stands still is one that the device does not keep.
	taken := h.Pool - before.pool
	effective := float64(taken) / float64(samples)
	if taken == 0 || effective < 1.5*float64(h.Rate) && effective > float64(h.Rate)/1.5 {
		return nil
	}
	return fmt.Errorf("source %d:%d claims 1:%d, but takes 1 sample of %.0f packets", h.Source.Class, h.Source.Index, h.Rate, effective)
}

// missing sums the samples that never came.
func (s sources) missing() (samples uint64) {
	for _, x := range s {
		samples += x.samples.missing
	}
	return samples
}
