package netflow

import (
	"cmp"
	"slices"

	"github.com/minamo-flow/minamo/flow"
)

// State is what a session has learnt from its exporter: what to keep over a
// restart, so that the same bytes go on meaning the same.
type State struct {
	Templates []Template    `json:"templates,omitempty"` // in the order of version, domain and id
	Elements  []Information `json:"elements,omitempty"`  // that the exporter described (RFC 5610)
	Boots     []Boot        `json:"boots,omitempty"`     // that options data told
}

// Boot is when an IPFIX domain's clock began to count (systemInitTimeMilliseconds).
type Boot struct {
	Domain uint32 `json:"domain"`
	At     int64  `json:"at"` // ms since the epoch
}

// State returns what the session has learnt so far.
func (s *Session) State() State {
	state := State{Templates: s.Templates(), Elements: slices.Clone(s.learnt)}
	for key, d := range s.domains {
		if key.version == flow.IPFIX && d.boot != 0 {
			state.Boots = append(state.Boots, Boot{key.id, d.boot})
		}
	}
	slices.SortFunc(state.Boots, func(a, b Boot) int { return cmp.Compare(a.Domain, b.Domain) })
	return state
}

// Restore gives a fresh session what State returned in an earlier life of the
// collector. What can't be is left out: the exporter repeats it.
func (s *Session) Restore(state State) {
	for _, e := range state.Elements {
		i, known := s.find(e.Enterprise, e.ID)
		if _, registered := Lookup(e.Enterprise, e.ID); !known && !registered && e.Type < numTypes && len(s.learnt) < maxLearnt {
			s.learnt = slices.Insert(s.learnt, i, e)
		}
	}
	var m Message
	for i := range state.Templates {
		t := &state.Templates[i]
		if (t.Version == flow.NetFlow9 || t.Version == flow.IPFIX) && t.ID >= firstDataSet && int(t.Scopes) <= len(t.Fields) {
			s.define(t, &m)
		}
	}
	for _, b := range state.Boots {
		if d := s.domains[domainKey{flow.IPFIX, b.Domain}]; d != nil {
			d.boot = b.At
		}
	}
}

// Waiting is how many data sets wait for their template.
func (s *Session) Waiting() int { return len(s.waiting) }

// Templates returns all templates the session knows, in the order of version,
// domain and id.
func (s *Session) Templates() []Template {
	list := make([]Template, 0, s.count)
	for _, d := range s.domains {
		for _, templates := range d.templates {
			for _, t := range templates {
				list = append(list, t.Template)
				list[len(list)-1].Fields = slices.Clone(t.Fields)
			}
		}
	}
	slices.SortFunc(list, func(a, b Template) int {
		return cmp.Or(cmp.Compare(a.Version, b.Version), cmp.Compare(a.Domain, b.Domain), cmp.Compare(a.ID, b.ID))
	})
	return list
}
