package netflow

import (
	"encoding/binary"
	"strconv"

	"github.com/minamo-flow/minamo/flow"
)

// Structured data (RFC 6313) puts lists of records into a field of a record.
// Nested records fill the columns that the record itself has nothing for; of
// several that could, the first one counts. Lists of single elements are
// walked, and BGP communities (RFC 8549) are read from them.

// Bounds of what is looked at; what lies beyond costs nothing but its bytes.
const (
	maxNesting = 4
	maxNested  = 4 // records of a list that may fill columns
)

// list is a field with structured data.
type list struct {
	place
	of DataType // TypeBasicList and so on
}

// structured notes a field with structured data.
func (s *Session) structured(p *program, f TemplateField, at place) bool {
	info, _ := s.Lookup(f.Enterprise, f.Element)
	if !isList(info.Type) {
		return false
	}
	p.lists = append(p.lists, list{at, info.Type})
	return true
}

func isList(t DataType) bool { return t >= TypeBasicList && t <= TypeSubTemplateMultiList }

// gap is what a row still lacks.
type gap struct {
	b      *flow.Batch
	row    int
	had    flow.Mask // columns that are not to be filled
	d      *domain
	h      *header
	m      *Message
	mirror bool
}

// fill copies what the gap lacks from a row of another batch.
func (g *gap) fill(from *flow.Batch, row int) {
	more := from.Present[row]
	for i := range more {
		more[i] &^= g.had[i]
	}
	if more == (flow.Mask{}) {
		return
	}
	g.had.Or(more)
	for c := range flow.Columns() {
		if !more.Has(c) {
			continue
		}
		switch flow.Schema[c].Kind {
		case flow.Address:
			g.b.SetAddr(c, g.row, from.Addr(c)[row])
		case flow.Text:
			g.b.SetText(c, g.row, from.Text(c, row))
		default:
			g.b.SetUint(c, g.row, from.Uint(c, row))
		}
	}
}

// never are the columns that only the record itself may fill: a list's counters
// and times are its members' own.
var never = flow.MaskOf(flow.Received, flow.Exporter, flow.ExportProtocol, flow.ObservationDomain, flow.Start, flow.End, flow.Packets, flow.SamplingRate, flow.SamplingSource)

// fillIn fills rows from the sections and lists of their records.
func (s *Session) fillIn(p *program, d *domain, r *rows, first int, mirror bool, h *header, b *flow.Batch, m *Message) {
	if len(p.sections)+len(p.lists) == 0 {
		return
	}
	if s.scratch == nil {
		s.scratch = flow.NewBatch(maxNested)
	}
	measured := flow.MaskOf(flow.Bytes)
	for i := range r.n {
		g := gap{b, first + i, b.Present[first+i], d, h, m, mirror}
		g.had.Or(never)
		if !p.given.Has(flow.Bytes) && len(p.sections) > 0 && (p.frameSize.used() || b.Uint(flow.Bytes, first+i) == 0) {
			for k := range measured {
				g.had[k] &^= measured[k]
			}
		}
		s.parseSections(p, r, i, &g)
		g.had.Or(measured)
		s.walkLists(p, r, i, &g, 0)
	}
}

// walkLists goes through the lists of record i.
func (s *Session) walkLists(p *program, r *rows, i int, g *gap, depth int) {
	for _, l := range p.lists {
		if v := r.at(i, l.place); len(v) > 0 {
			s.walk(l.of, v, g, depth)
		}
	}
}

// walk goes through one list.
func (s *Session) walk(of DataType, v []byte, g *gap, depth int) {
	if depth == maxNesting {
		g.m.Problems[ListSkipped]++
		return
	}
	const semantic = 1 // byte, which says how the members relate
	switch v = v[semantic:]; {
	case of == TypeBasicList:
		id, values, ok := basicList(v)
		if !ok {
			g.m.Problems[ListOverrun]++
			return
		}
		info, _ := s.Lookup(id.Enterprise, id.Element)
		for len(values) > 0 {
			value, rest, ok := next(values, id.Length)
			if !ok {
				g.m.Problems[ListOverrun]++
				return
			}
			if values = rest; isList(info.Type) && len(value) > 0 {
				s.walk(info.Type, value, g, depth+1)
			}
		}
	case of == TypeSubTemplateList && len(v) >= 2:
		s.nested(binary.BigEndian.Uint16(v), v[2:], g, depth)
	case of == TypeSubTemplateMultiList:
		const head = 4 // a template's id, and the length of it and its records
		for len(v) >= head {
			n := int(binary.BigEndian.Uint16(v[2:]))
			if n < head || n > len(v) {
				break
			}
			s.nested(binary.BigEndian.Uint16(v), v[head:n], g, depth)
			v = v[n:]
		}
		if len(v) > 0 {
			g.m.Problems[ListOverrun]++
		}
	default:
		g.m.Problems[ListOverrun]++
	}
}

// nested goes through the records of one template in a list.
func (s *Session) nested(id uint16, data []byte, g *gap, depth int) {
	if len(data) == 0 {
		return
	}
	t := g.d.templates[ofFlows][id]
	if t == nil {
		g.m.Problems[ListSkipped]++
		return
	}
	p := t.program
	if g.mirror {
		p = t.mirror(s)
	}
	r := &s.nestedRows[depth]
	if _, overrun := p.layout(r, data); overrun {
		g.m.Problems[ListOverrun]++
	}
	n := r.n
	if r.n = min(n, maxNested); r.n > 0 && len(p.ops) > 0 {
		s.scratch.Reset()
		p.run(s.scratch, s.scratch.Extend(r.n), r, g.h)
		for i := range r.n {
			g.fill(s.scratch, i)
		}
	}
	if r.n = n; len(p.lists) > 0 {
		for i := range n {
			s.walkLists(p, r, i, g, depth+1)
		}
	}
}

// basicList reads the header of a basicList behind its semantic.
func basicList(v []byte) (f TemplateField, values []byte, ok bool) {
	const enterprise = 0x8000
	if len(v) < 4 {
		return f, nil, false
	}
	f.Element, f.Length = binary.BigEndian.Uint16(v), binary.BigEndian.Uint16(v[2:])
	v = v[4:]
	if f.Element&enterprise != 0 {
		if len(v) < 4 {
			return f, nil, false
		}
		f.Element &^= enterprise
		f.Enterprise = binary.BigEndian.Uint32(v)
		v = v[4:]
	}
	return f, v, f.Length > 0 || len(v) == 0
}

// next cuts the first value off a list of values.
func next(values []byte, length uint16) (value, rest []byte, ok bool) {
	if length != variable {
		if int(length) > len(values) {
			return nil, nil, false
		}
		return values[:length], values[length:], true
	}
	end, overrun := behind(values, 0)
	if overrun {
		return nil, nil, false
	}
	prefix := 1
	if values[0] == 255 && len(values) >= 3 {
		prefix = 3
	}
	return values[prefix:end], values[end:], true
}

// setCommunities writes the communities of a list as text: "64496:1 64497:2".
func setCommunities(b *flow.Batch, c flow.Column, row int, v []byte) {
	const bgpCommunity, most = 483, 256
	if len(v) == 0 {
		return
	}
	f, values, ok := basicList(v[1:])
	if !ok || f.Enterprise != 0 || f.Element != bgpCommunity || f.Length != 4 {
		return
	}
	var room [most * len("65535:65535 ")]byte
	text := room[:0]
	for n := 0; len(values) >= 4 && n < most; n++ {
		if n > 0 {
			text = append(text, ' ')
		}
		text = strconv.AppendUint(text, number(values[:2]), 10)
		text = strconv.AppendUint(append(text, ':'), number(values[2:4]), 10)
		values = values[4:]
	}
	if len(text) > 0 {
		b.SetText(c, row, text)
	}
}
