package netflow

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// Template describes the records of data sets, as the exporter sent it. It is
// what to keep over a restart.
type Template struct {
	Version uint16          `json:"version"` // 9 or 10
	Domain  uint32          `json:"domain"`
	ID      uint16          `json:"id"`
	Options bool            `json:"options,omitempty"` // describes options data
	Scopes  uint16          `json:"scopes,omitempty"`  // how many of the fields, the first ones, are scope
	Fields  []TemplateField `json:"fields"`
	Seen    int64           `json:"seen,omitempty"` // when it was last told, ms since the epoch; 0 where nobody knows
}

// TemplateField is one field of a template.
type TemplateField struct {
	Enterprise uint32 `json:"enterprise,omitempty"`
	Element    uint16 `json:"element"`
	Length     uint16 `json:"length"` // 65535: variable
}

func (t *Template) equal(o *Template) bool {
	return t.Options == o.Options && t.Scopes == o.Scopes && slices.Equal(t.Fields, o.Fields)
}

// domain is what a session knows of one observation domain of one protocol.
type domain struct {
	domainKey
	templates [2]map[uint16]*template // by id: of flows, of options
	boot      int64                   // systemInitTimeMilliseconds, once options data told it; else 0
}

type template struct {
	Template
	program  *program
	mirrored *program // see mirror; nil until it is needed
}

// Indices of domain.templates.
const (
	ofFlows = iota
	ofOptions
)

type domainKey struct {
	version uint16
	id      uint32
}

func (d *domain) find(id uint16) *template {
	if t := d.templates[ofFlows][id]; t != nil {
		return t
	}
	return d.templates[ofOptions][id]
}

func (d *domain) len() int { return len(d.templates[ofFlows]) + len(d.templates[ofOptions]) }

// domain returns what is known of a domain: nil where that is nothing.
func (s *Session) domain(key domainKey) *domain {
	if s.recent == nil || s.recent.domainKey != key {
		s.recent = s.domains[key]
	}
	return s.recent
}

// forget drops a domain that has no templates.
func (s *Session) forget(d *domain) {
	delete(s.domains, d.domainKey)
	s.recent = nil
}

// define makes a template known. It copies t, and does so only if t is news.
func (s *Session) define(t *Template, m *Message) {
	m.Templates++
	key := domainKey{t.Version, t.Domain}
	d := s.domains[key]
	kind, other := ofFlows, ofOptions
	if t.Options {
		kind, other = other, kind
	}
	if d == nil {
		d = &domain{domainKey: key}
	} else if known := d.find(t.ID); known != nil {
		if known.equal(t) {
			known.Seen = max(known.Seen, t.Seen)
			return
		}
		delete(d.templates[kind], t.ID) // whatever comes of t: the old one has ended
		delete(d.templates[other], t.ID)
		s.count--
	}
	if len(t.Fields) > s.limits.Fields || s.count >= s.limits.Templates {
		m.Problems[TemplateRefused]++
		if d.len() == 0 {
			s.forget(d)
		}
		return
	}
	s.domains[key] = d
	if d.templates[kind] == nil {
		d.templates[kind] = map[uint16]*template{}
	}
	fresh := &template{Template: *t}
	fresh.Fields = slices.Clone(t.Fields)
	fresh.program = s.compile(&fresh.Template, false)
	d.templates[kind][t.ID] = fresh
	s.count++
	m.NewTemplates++
	m.Problems[ElementSkipped] += uint32(len(fresh.program.skipped))
	if fresh.program.least == 0 {
		m.Problems[TemplateMalformed]++
	}
	s.arrived = s.arrived || s.waitingFor[waitingKey{key, t.ID}] > 0
}

// withdraw forgets a template, or all of a kind (RFC 7011 §8.1).
func (s *Session) withdraw(h *header, kind int, id uint16, m *Message) {
	key := domainKey{uint16(h.protocol), h.domain}
	d := s.domains[key]
	if d == nil {
		return
	}
	gone := 0
	if id < firstDataSet {
		gone = len(d.templates[kind])
		d.templates[kind] = nil
	} else if _, ok := d.templates[kind][id]; ok {
		gone = 1
		delete(d.templates[kind], id)
	}
	s.count -= gone
	m.Withdrawals += gone
	if d.len() == 0 {
		s.forget(d)
	}
}

// templateSet reads a set of templates of flows or options.
func (s *Session) templateSet(set []byte, kind int, h *header, m *Message) {
	be := binary.BigEndian
	filling := len(set) - len(bytes.TrimRight(set, "\x00")) // zeros at the end
	for len(set) >= 4 {
		id, count := be.Uint16(set), int(be.Uint16(set[2:]))
		scopes, head := 0, 4
		switch {
		case id < firstDataSet && len(set) <= filling:
			return // padding
		case h.ipfix() && count == 0 && (id >= firstDataSet || id == ipfixTemplates+uint16(kind)):
			s.withdraw(h, kind, id, m)
			set = set[4:]
			continue
		case kind == ofOptions:
			if head = 6; len(set) < head {
				m.Problems[TemplateMalformed]++
				return
			}
			scopes = int(be.Uint16(set[4:]))
			if !h.ipfix() { // v9 says how many bytes: first the scopes, then the rest
				if count%4 != 0 || scopes%4 != 0 {
					m.Problems[TemplateMalformed]++
					return
				}
				scopes, count = count/4, (count+scopes)/4
			}
		}
		rest, ok := parseFields(set[head:], count, h.ipfix(), m)
		if !ok || id < firstDataSet || scopes > count {
			m.Problems[TemplateMalformed]++
			if !ok {
				return
			}
		} else if count == 0 {
			m.Problems[TemplateMalformed]++
		} else {
			s.define(&Template{
				Version: uint16(h.protocol), Domain: h.domain, ID: id,
				Options: kind == ofOptions, Scopes: uint16(scopes), Fields: m.template, Seen: h.received,
			}, m)
		}
		set = rest
	}
	if !zero(set) {
		m.Problems[SetRemainder]++
	}
}

// parseFields reads field specifiers into m.template.
func parseFields(b []byte, count int, ipfix bool, m *Message) (rest []byte, ok bool) {
	const enterprise = 0x8000
	m.template = m.template[:0]
	for range count {
		if len(b) < 4 {
			return nil, false
		}
		f := TemplateField{Element: binary.BigEndian.Uint16(b), Length: binary.BigEndian.Uint16(b[2:])}
		b = b[4:]
		if ipfix && f.Element&enterprise != 0 {
			if len(b) < 4 {
				return nil, false
			}
			f.Element &^= enterprise
			f.Enterprise = binary.BigEndian.Uint32(b)
			b = b[4:]
		}
		m.template = append(m.template, f)
	}
	return b, true
}

func zero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
