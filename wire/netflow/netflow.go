// Package netflow decodes NetFlow v1, v5, v7, v8, v9 (RFC 3954) and IPFIX
// (RFC 7011) datagrams straight into the columns of a flow.Batch.
//
// A Session belongs to one exporter address and keeps that exporter's
// templates. A template is compiled once, into a program that fills column
// after column for all records of a data set; decoding a datagram of known
// templates allocates nothing. The versions before v9 are the same programs for
// templates that everyone knows.
//
// A record becomes one row; one for both directions (RFC 5103, and Cisco's
// initiator and responder) becomes two, if anything was counted on the way
// back. The beginning of a packet (RFC 7133) and structured data (RFC 6313) in
// a record fill the columns that the record itself has nothing for. Any
// element can have a column of the operator's own: Config.Custom.
//
// The package does no I/O, has no clock and no configuration but Config;
// collect gives it datagrams and completes the rows. IPFIX over TCP or TLS is
// the same messages one after the other, in a Session for each connection,
// with which its templates end (RFC 7011 §8.4). The package promises that no
// datagram makes it panic, loop, take more than linear time, or keep more
// memory than Limits allow; that an element or a field it doesn't know costs
// nothing but its own value; and that whatever it could not use is counted,
// by kind, in Message.Problems.
//
// Devices differ in what they count in the v9 header's count (records, or
// sets): it isn't used.
package netflow

import (
	"encoding/binary"
	"errors"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/wire/packet"
)

// Why a datagram as a whole can't be used; test with errors.Is.
var (
	ErrShort   = errors.New("shorter than its header")
	ErrVersion = errors.New("not NetFlow v1, v5, v7, v8, v9 or IPFIX")
)

// Limits bound what a Session keeps for its exporter. A field of zero or
// less stands for the default. What is beyond them is refused, or given up, the oldest first,
// and counted: see TemplateRefused and TemplateMissing.
type Limits struct {
	Templates    int // templates, all domains together (default 2048)
	Fields       int // fields of one template (default 512)
	WaitingSets  int // data sets that wait for their template (default 1024)
	WaitingBytes int // their size (default 1 MiB)
}

func (l Limits) withDefaults() Limits {
	or := func(v *int, fallback int) {
		if *v <= 0 {
			*v = fallback
		}
	}
	or(&l.Templates, 2048)
	or(&l.Fields, 512)
	or(&l.WaitingSets, 1024)
	or(&l.WaitingBytes, 1<<20)
	return l
}

// Config is what a Session is to do beyond the ordinary. Its zero value works.
type Config struct {
	Limits
	Packet *packet.Parser  // reads packet sections; nil: plainly
	Custom []CustomElement // columns of the operator's own
}

// Session decodes the datagrams of one exporter address, whatever ports and
// protocols it uses. It is not safe for concurrent use.
type Session struct {
	limits  Limits
	packet  *packet.Parser
	custom  []custom
	domains map[domainKey]*domain
	recent  *domain // the one that was asked for last, because the next datagram's is most often the same; may be nil
	count   int     // templates

	waiting      []waitingSet // oldest first
	waitingFor   map[waitingKey]int
	waitingBytes int
	arrived      bool // a template that sets wait for

	learnt     []Information // elements that the exporter described: see learn
	recompiled int           // times that templates were, for their sake

	// Room for what records hold inside.
	scratch    *flow.Batch
	nestedRows [maxNesting]rows
}

// waitingSet is a data set whose template isn't known yet, with the header it
// came with.
type waitingSet struct {
	header
	id   uint16
	data []byte
}

type waitingKey struct {
	domainKey
	id uint16
}

func (w *waitingSet) key() waitingKey {
	return waitingKey{domainKey{uint16(w.protocol), w.domain}, w.id}
}

// NewSession returns a session that knows no templates.
func NewSession(c Config) *Session {
	return &Session{
		limits:     c.Limits.withDefaults(),
		packet:     c.Packet,
		custom:     identified(c.Custom),
		domains:    map[domainKey]*domain{},
		waitingFor: map[waitingKey]int{},
	}
}

// Set ids.
const (
	v9Templates    = 0 // options templates: 1
	ipfixTemplates = 2 // options templates: 3
	firstDataSet   = 256
)

// Decode appends the flow records of a datagram that came at received
// (milliseconds since the epoch) to b, a row for each direction that they
// counted, and says in m what else it held. Data sets without a template wait for it, and are appended when it
// comes, with the times of the datagram they came in.
//
// It fills received, export_protocol, observation_domain, start, end, packets
// and bytes in every row, and every column that the record has a value for;
// not the exporter, and the sampling rate only where the record or the v5
// header tells it. The error is not nil if the datagram as a whole is
// unusable; then no row was appended.
func (s *Session) Decode(datagram []byte, received int64, b *flow.Batch, m *Message) error {
	m.reset()
	m.First = b.Len()
	var h header
	head, body, err := h.parse(datagram, received, m)
	if err != nil {
		return err
	}
	switch m.Version {
	case flow.NetFlow9, flow.IPFIX:
		s.decodeSets(body, &h, b, m)
	default:
		decodeFixed(head, body, &h, b, m)
	}
	if s.arrived {
		s.decodeWaiting(b, m)
	}
	m.Flows = b.Len() - m.First
	m.OptionRecords = len(m.Options)
	return nil
}

// decodeSets decodes the sets of a v9 or IPFIX datagram.
func (s *Session) decodeSets(body []byte, h *header, b *flow.Batch, m *Message) {
	templates := uint16(v9Templates)
	if h.ipfix() {
		templates = ipfixTemplates
	}
	for len(body) >= setHeader {
		id, length := binary.BigEndian.Uint16(body), int(binary.BigEndian.Uint16(body[2:]))
		if length < setHeader {
			if zero(body) {
				m.Problems[TrailingBytes]++ // the datagram is filled up with zeros
				return
			}
			m.Problems[SetLength]++
			m.UnitsUnknown = h.ipfix()
			return
		}
		if length > len(body) {
			m.Problems[Truncated]++
			m.UnitsUnknown = h.ipfix()
			length = len(body)
		}
		set := body[setHeader:length]
		body = body[length:]
		switch {
		case id >= firstDataSet:
			s.decodeData(id, set, h, b, m)
		case id == templates:
			s.templateSet(set, ofFlows, h, m)
		case id == templates+1:
			s.templateSet(set, ofOptions, h, m)
		default:
			m.Problems[SetUnknown]++
		}
	}
	if len(body) > 0 {
		m.Problems[TrailingBytes]++
	}
}

// decodeData decodes a data set, or lets it wait for its template.
func (s *Session) decodeData(id uint16, set []byte, h *header, b *flow.Batch, m *Message) {
	d := s.domain(domainKey{uint16(h.protocol), h.domain})
	var t *template
	if d != nil {
		t = d.find(id)
	}
	if t == nil {
		m.UnitsUnknown = h.ipfix()
		s.wait(waitingSet{header: *h, id: id, data: set}, m)
		return
	}
	n, whole := s.decodeRecords(t, d, set, h, b, m)
	if h.ipfix() {
		m.Units += uint32(n)
		m.UnitsUnknown = m.UnitsUnknown || !whole
	}
}

// decodeRecords decodes the records of a data set; whole is false if some
// could not be found.
func (s *Session) decodeRecords(t *template, d *domain, set []byte, h *header, b *flow.Batch, m *Message) (n int, whole bool) {
	p, r := t.program, &m.rows
	taken, overrun := p.layout(r, set)
	switch {
	case overrun:
		m.Problems[RecordOverrun]++
	case !zero(set[taken:]):
		m.Problems[SetRemainder]++
	}
	whole = !overrun && p.least > 0
	if t.Options {
		from := len(m.Options)
		decodeOptions(t, d, h, m)
		m.Learnt += s.learn(m.Options[from:])
		return r.n, whole
	}
	if r.n == 0 {
		return 0, whole
	}
	if h.ipfix() && d.boot != 0 {
		booted := *h
		booted.uptime, booted.booted = uint32(h.export-d.boot), true
		h = &booted
	}
	first := b.Extend(r.n)
	p.run(b, first, r, h)
	s.fillIn(p, d, r, first, false, h, b, m)
	m.Records += r.n
	switch {
	case len(p.opposite) > 0:
		s.decodeReverse(t, d, first, h, b, m)
	case p.halved:
		m.Problems[ReverseSkipped] += uint32(r.n)
	}
	m.Problems[ValueTooGreat] += r.tooGreat + m.reverse.tooGreat
	r.tooGreat, m.reverse.tooGreat = 0, 0
	return r.n, whole
}

// decodeOptions appends the rows of options data to m.Options.
func decodeOptions(t *template, d *domain, h *header, m *Message) {
	const systemInitTimeMilliseconds = 160
	for i := range m.rows.n {
		from := len(m.fields)
		for _, o := range t.program.options {
			m.fields = append(m.fields, OptionField{o.enterprise, o.element, o.scope, m.rows.at(i, o.place)})
		}
		record := OptionRecord{h.domain, t.ID, m.fields[from:len(m.fields):len(m.fields)]}
		m.Options = append(m.Options, record)
		if boot, ok := record.Uint(systemInitTimeMilliseconds); ok && d.boot != int64(boot) {
			d.boot = int64(boot)
			m.Learnt++
		}
	}
}

// wait puts a copy of a data set aside. Where there is no room the oldest
// sets are given up: their template is the least likely to come.
func (s *Session) wait(w waitingSet, m *Message) {
	if len(w.data) > s.limits.WaitingBytes {
		m.Problems[TemplateMissing]++
		return
	}
	drop := 0
	for len(s.waiting)-drop >= s.limits.WaitingSets || s.waitingBytes+len(w.data) > s.limits.WaitingBytes {
		s.unwait(&s.waiting[drop])
		s.waiting[drop] = waitingSet{}
		drop++
	}
	m.Problems[TemplateMissing] += uint32(drop)
	s.waiting = s.waiting[drop:]
	w.data = append([]byte(nil), w.data...)
	s.waiting = append(s.waiting, w)
	s.waitingBytes += len(w.data)
	s.waitingFor[w.key()]++
	m.Problems[TemplateWaiting]++
}

// unwait takes a set off the books.
func (s *Session) unwait(w *waitingSet) {
	s.waitingBytes -= len(w.data)
	if s.waitingFor[w.key()]--; s.waitingFor[w.key()] == 0 {
		delete(s.waitingFor, w.key())
	}
}

// rowsAtOnce bounds what waiting sets add to one datagram's rows: the rest
// waits for the next. It is more than honest sets hold.
const rowsAtOnce = 1 << 16

// decodeWaiting decodes the waiting sets whose templates are known by now.
func (s *Session) decodeWaiting(b *flow.Batch, m *Message) {
	s.arrived = false
	kept := s.waiting[:0]
	for _, w := range s.waiting {
		d := s.domains[domainKey{uint16(w.protocol), w.domain}]
		if d != nil {
			if t := d.find(w.id); t != nil {
				if b.Len()-m.First < rowsAtOnce {
					s.unwait(&w)
					s.decodeRecords(t, d, w.data, &w.header, b, m)
					continue
				}
				s.arrived = true
			}
		}
		kept = append(kept, w)
	}
	clear(s.waiting[len(kept):])
	s.waiting = kept
}
