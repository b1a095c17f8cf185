package netflow

import (
	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/wire/packet"
)

// Records of packet sampling (RFC 5476, RFC 7133) hold the beginning of a
// packet. Its headers fill the columns that the record itself has nothing for.

// Elements about sections.
const (
	layer2packetSectionData = 104
	ipHeaderPacketSection   = 313
	dataLinkFrameSection    = 315
	dataLinkFrameType       = 408
	sectionOffset           = 409
	sectionExportedOctets   = 410
)

// section is a field with the beginning of a packet.
type section struct {
	place
	link packet.Link
	*sectionFields
}

// sectionFields say what the sections of a record are. They are optional.
type sectionFields struct{ frameType, skip, exported field }

// sectionPlaces collects the fields of a template.
type sectionPlaces struct {
	list   []section
	fields sectionFields
}

// note takes a field that is about sections.
func (s *sectionPlaces) note(key elementKey, at place, reverse bool) bool {
	if key.pen != 0 || reverse {
		return false
	}
	switch key.id {
	case layer2packetSectionData, dataLinkFrameSection:
		s.list = append(s.list, section{place: at, link: packet.Ethernet})
	case ipHeaderPacketSection:
		s.list = append(s.list, section{place: at, link: packet.Raw})
	case dataLinkFrameType:
		s.fields.frameType.place = at
	case sectionOffset:
		s.fields.skip.place = at
	case sectionExportedOctets:
		s.fields.exported.place = at
	default:
		return false
	}
	return true
}

// of returns the sections of the own direction; the mirror has none.
func (s *sectionPlaces) of(mirror bool) []section {
	if mirror {
		return nil
	}
	for i := range s.list {
		s.list[i].sectionFields = &s.fields
	}
	return s.list
}

// packet returns the section of record i; false if it is of a kind that nobody
// can read, or does not begin with the packet's first header.
func (s *section) packet(r *rows, i int) ([]byte, bool) {
	v := r.at(i, s.place)
	if s.link == packet.Ethernet && s.frameType.used() {
		const ethernet = 1 // bits, of which the others stand for wireless frames
		if kind := r.number(i, s.frameType); kind != 0 && kind != ethernet {
			return nil, false
		}
	}
	if s.skip.used() && r.number(i, s.skip) != 0 {
		return nil, false
	}
	if s.exported.used() { // a section of fixed length is filled up
		if n := r.number(i, s.exported); n > 0 && n < uint64(len(v)) {
			v = v[:n]
		}
	}
	return v, true
}

// parseSections fills what row lacks from the sections of record i.
func (s *Session) parseSections(p *program, r *rows, i int, g *gap) {
	for k := range p.sections {
		v, ok := p.sections[k].packet(r, i)
		if !ok {
			g.m.Problems[SectionSkipped]++
			continue
		}
		if len(v) == 0 {
			continue
		}
		s.scratch.Reset()
		s.scratch.Extend(1)
		l := s.packet.Parse(s.scratch, 0, p.sections[k].link, v)
		if l.Length > 0 {
			s.scratch.SetUint(flow.Bytes, 0, uint64(l.Length))
		}
		g.fill(s.scratch, 0)
	}
}
