package netflow

import (
	"cmp"
	"slices"
)

// maxLearnt bounds what one exporter may tell of elements. The greatest
// registry known, ntop's, has 600.
const maxLearnt = 1024

// maxRecompiled bounds how often types that an exporter tells make its
// templates be compiled anew.
const maxRecompiled = 100

// Elements of a type record (RFC 5610 §3).
const (
	privateEnterpriseNumber     = 346
	informationElementID        = 303
	informationElementDataType  = 339
	informationElementSemantics = 344
	informationElementUnits     = 345
	informationElementName      = 341
)

// Information reads a record by which an exporter describes an element of its
// own (RFC 5610). Of ranges and descriptions nothing is kept.
func (r OptionRecord) Information() (Information, bool) {
	enterprise, ok := r.Uint(privateEnterpriseNumber)
	id, known := r.Uint(informationElementID)
	if !ok || !known || enterprise == 0 || enterprise > 1<<32-1 || id > 1<<16-1 {
		return Information{}, false
	}
	e := Information{Enterprise: uint32(enterprise), ID: uint16(id) &^ 0x8000} // some send the enterprise bit with it
	small := func(element uint16, limit uint64) uint8 {
		if v, ok := r.Uint(element); ok && v < limit {
			return uint8(v)
		}
		return 0
	}
	e.Type = DataType(small(informationElementDataType, uint64(numTypes)))
	e.Semantics = Semantics(small(informationElementSemantics, uint64(numSemantics)))
	e.Units = Units(small(informationElementUnits, uint64(numUnits)))
	e.Name = r.Text(informationElementName)
	return e, e.Name != "" || e.Type != TypeOctetArray
}

// learn keeps what the exporter says of elements that the registry does not
// know. Templates that came before are compiled anew where a type is news and
// the operator wants the element: a number of times, so that no exporter can
// make it a habit.
func (s *Session) learn(records []OptionRecord) (news int) {
	for _, r := range records {
		e, ok := r.Information()
		if !ok {
			continue
		}
		if _, known := Lookup(e.Enterprise, e.ID); known {
			continue
		}
		i, ok := s.find(e.Enterprise, e.ID)
		retyped := !ok || s.learnt[i].Type != e.Type
		switch {
		case ok && s.learnt[i] == e:
			continue
		case ok:
			s.learnt[i] = e
		case len(s.learnt) < maxLearnt:
			s.learnt = slices.Insert(s.learnt, i, e)
		default:
			continue
		}
		news++
		wanted := slices.ContainsFunc(s.custom, func(c custom) bool { return c.Enterprise == e.Enterprise && c.Element == e.ID })
		if retyped && wanted && s.recompiled < maxRecompiled {
			s.recompiled++
			s.recompile()
		}
	}
	return news
}

func (s *Session) recompile() {
	for _, d := range s.domains {
		for _, t := range d.templates[ofFlows] {
			t.program, t.mirrored = s.compile(&t.Template, false), nil
		}
	}
}

func (s *Session) find(enterprise uint32, id uint16) (int, bool) {
	return slices.BinarySearchFunc(s.learnt, Information{Enterprise: enterprise, ID: id}, compareElements)
}

// Lookup is like the function, and where the registry knows nothing it
// returns what the exporter itself told of the element (RFC 5610).
func (s *Session) Lookup(enterprise uint32, id uint16) (Information, bool) {
	if e, ok := Lookup(enterprise, id); ok {
		return e, true
	}
	if i, ok := s.find(enterprise, id); ok {
		return s.learnt[i], true
	}
	return Information{Enterprise: enterprise, ID: id}, false
}

// Skipped returns the elements of the known templates that no column holds,
// each once, in the order of their numbers: what the operator may want to map
// to columns. Elements whose length cannot be right are among them.
func (s *Session) Skipped() []Information {
	var list []Information
	for _, d := range s.domains {
		for _, t := range d.templates[ofFlows] {
			for _, f := range t.program.skipped {
				e, _ := s.Lookup(f.Enterprise, f.Element)
				list = append(list, e)
			}
		}
	}
	slices.SortFunc(list, compareElements)
	return slices.CompactFunc(list, func(a, b Information) bool { return compareElements(a, b) == 0 })
}

func compareElements(a, b Information) int {
	return cmp.Or(cmp.Compare(a.Enterprise, b.Enterprise), cmp.Compare(a.ID, b.ID))
}
