package collect

import (
	"fmt"
	"math"
	"net/netip"
	"strings"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/wire/netflow"
)

// SamplingRule gives a rate to exporters that announce none.
type SamplingRule struct {
	Exporters netip.Prefix // whom it is for
	Interface uint32       // only flows that came in by this ifIndex; 0 means all
	Rate      uint32       // one packet in this many
}

// configuredRate is the rate of the first rule that fits.
func configuredRate(rules []SamplingRule, exporter netip.Addr, inIf uint32) (uint32, bool) {
	for _, r := range rules {
		if r.Exporters.Contains(exporter) && (r.Interface == 0 || r.Interface == inIf) {
			return r.Rate, true
		}
	}
	return 0, false
}

// maxRate is the greatest sampling rate that is believed; routers go to 65,535
// or a few million, above it stands garbage.
const maxRate = 1 << 24

// maxSamplers bounds what one observation domain may announce.
const maxSamplers = 4096

// samplers are the rates that an observation domain announced in options data.
type samplers struct {
	announced []announcement       // in the order in which they came
	at        map[announcement]int // where, by scope and id alone
	sampler   map[uint64]uint32    // rates of samplers
	inIf      map[uint64]uint32    // of interfaces
	whole     uint32               // of the domain; 0 where it has none
	open      map[uint32]int       // of samplers and what is narrower than the domain, and how often each
}

// announcement is one rate and what it applies to.
type announcement struct {
	Scope samplingScope `json:"scope"`
	ID    uint64        `json:"id,omitempty"` // sampler, ifIndex, line card …, by scope
	Rate  uint32        `json:"rate"`

	Name      string `json:"name,omitempty"` // the sampler's
	Algorithm string `json:"algorithm,omitempty"`
}

type samplingScope string

const (
	scopeDomain    samplingScope = "domain"
	scopeSampler   samplingScope = "sampler"
	scopeInterface samplingScope = "interface"
	scopeLineCard  samplingScope = "line card"
	scopeCache     samplingScope = "cache"
	scopeTemplate  samplingScope = "template"
)

var samplingScopes = [...]samplingScope{
	netflow.SamplingOfDomain:    scopeDomain,
	netflow.SamplingOfSampler:   scopeSampler,
	netflow.SamplingOfInterface: scopeInterface,
}

// narrower are the scopes within a domain that no column tells of a flow: line
// cards, caches and templates, by NetFlow v9's scopes (RFC 3954 §6.1) and by
// IPFIX's lineCardId and templateId. Different rates there leave a flow's open.
var narrower = [...]struct {
	enterprise uint32
	element    uint16
	scope      samplingScope
}{
	{netflow.ScopeV9, 3, scopeLineCard}, {0, 141, scopeLineCard},
	{netflow.ScopeV9, 4, scopeCache},
	{netflow.ScopeV9, 5, scopeTemplate}, {0, 145, scopeTemplate},
}

// learn takes the sampling rate out of an options record. news tells that it
// was not known; the error that a rate was announced which cannot be.
func (s *samplers) learn(o netflow.OptionRecord) (a announcement, news bool, err error) {
	told, ok := o.Sampling()
	if !ok {
		return a, false, nil
	}
	a = announcement{Scope: samplingScopes[told.Scope], ID: told.ID, Name: told.Name, Algorithm: told.Algorithm}
	for _, n := range narrower {
		f, ok := o.Find(n.enterprise, n.element)
		if id, number := f.Uint(); a.Scope == scopeDomain && ok && number && f.Scope {
			a.Scope, a.ID = n.scope, id
		}
	}
	// Rates are whole numbers on every device; a ratio such as 3 in 10 is rounded.
	a.Rate = uint32(math.Round(min(told.Rate, math.MaxUint32)))
	if a.Rate == 0 || a.Rate > maxRate {
		return a, false, fmt.Errorf("a rate of %v (of %s) is not possible: expected 1 to %d", told.Rate, a, maxRate)
	}
	news, err = s.add(a)
	return a, news, err
}

// add puts an announcement in its place. It tells whether it was news.
func (s *samplers) add(a announcement) (news bool, err error) {
	if s.at == nil {
		s.at, s.sampler, s.inIf, s.open = map[announcement]int{}, map[uint64]uint32{}, map[uint64]uint32{}, map[uint32]int{}
	}
	place := announcement{Scope: a.Scope, ID: a.ID}
	i, known := s.at[place]
	switch {
	case known && s.announced[i] == a:
		return false, nil
	case known:
		if old := s.announced[i]; old.open() {
			if s.open[old.Rate]--; s.open[old.Rate] == 0 {
				delete(s.open, old.Rate)
			}
		}
		s.announced[i] = a
	case len(s.announced) >= maxSamplers:
		return false, fmt.Errorf("more than %d samplers announced", maxSamplers)
	default:
		s.at[place] = len(s.announced)
		s.announced = append(s.announced, a)
	}
	switch a.Scope {
	case scopeDomain:
		s.whole = a.Rate
	case scopeInterface:
		s.inIf[a.ID] = a.Rate
	case scopeSampler:
		s.sampler[a.ID] = a.Rate
	}
	if a.open() {
		s.open[a.Rate]++
	}
	return true, nil
}

// rate finds what the announcements say of a flow: its sampler's rate, its
// interface's, its domain's, or, where it names no sampler that could be told
// apart, the one that all samplers of the domain share.
func (s *samplers) rate(sampler uint64, hasSampler bool, inIf uint32, hasIf bool) (uint32, bool) {
	if hasSampler {
		if rate, ok := s.sampler[sampler]; ok {
			return rate, true
		}
	}
	if hasIf {
		if rate, ok := s.inIf[uint64(inIf)]; ok {
			return rate, true
		}
	}
	if s.whole > 0 {
		return s.whole, true
	}
	if len(s.open) == 1 && (!hasSampler || len(s.sampler) == 0) {
		for rate := range s.open {
			return rate, true
		}
	}
	return 0, false
}

// apply completes the sampling rate and its source in the rows [from, to).
// A rate in the record or header stands; else options data, then the
// operator's configuration, then 1, assumed.
func (s *samplers) apply(b *flow.Batch, from, to int, configured func(inIf uint32) (uint32, bool)) {
	rates, sources := b.U32(flow.SamplingRate), b.U8(flow.SamplingSource)
	ids, inIfs := b.U64(flow.SamplerID), b.U32(flow.InIf)

	// Neighbouring rows mostly share sampler and interface: remember the last answer.
	var last struct {
		valid             bool
		hasSampler, hasIf bool
		sampler           uint64
		inIf              uint32
		rate              uint32
		source            uint8
	}
	for i := from; i < to; i++ {
		present := &b.Present[i]
		if present.Has(flow.SamplingRate) {
			if rates[i] != 0 && rates[i] <= maxRate {
				continue
			}
		}
		hasSampler, hasIf := present.Has(flow.SamplerID), present.Has(flow.InIf)
		if !last.valid || last.hasSampler != hasSampler || last.hasIf != hasIf || last.sampler != ids[i] || last.inIf != inIfs[i] {
			last.valid, last.hasSampler, last.hasIf, last.sampler, last.inIf = true, hasSampler, hasIf, ids[i], inIfs[i]
			if rate, ok := s.rate(ids[i], hasSampler, inIfs[i], hasIf); ok {
				last.rate, last.source = rate, flow.SamplingOptions
			} else if rate, ok := configured(inIfs[i]); ok {
				last.rate, last.source = rate, flow.SamplingConfigured
			} else {
				last.rate, last.source = 1, flow.SamplingAssumed
			}
		}
		rates[i], sources[i] = last.rate, last.source
		present.Add(flow.SamplingRate)
		present.Add(flow.SamplingSource)
	}
}

// open tells whether flows that don't say what they belong to may be under it.
func (a announcement) open() bool { return a.Scope != scopeDomain && a.Scope != scopeInterface }

func (a announcement) String() string {
	if a.Scope == scopeDomain {
		return fmt.Sprintf("1:%d", a.Rate)
	}
	return strings.TrimSpace(fmt.Sprintf("1:%d for %s %d %s", a.Rate, a.Scope, a.ID, a.Name))
}
