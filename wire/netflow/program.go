package netflow

import (
	"encoding/binary"

	"github.com/minamo-flow/minamo/flow"
)

// variable is the length that stands for a variable-length field (RFC 7011 §7).
const variable = 65535

// place is where records hold a field: so many bytes behind the start of a
// segment. Segments begin at the record's start and behind each of its
// variable-length fields; a record without such fields is one segment.
type place struct {
	offset  int32
	segment uint16
	length  uint16 // or variable
}

// field is a place with the meaning of what stands there. A field with length
// zero is not in the template.
type field struct {
	place
	as conversion
}

func (f field) used() bool { return f.length > 0 }

// op fills one column.
type op struct {
	field
	column flow.Column
	kind   flow.Kind // the column's
	plain  bool      // always fits, and can be copied for all rows at a time; else row by row
	second bool      // see element.twin
}

// program is a compiled template: what fills the rows of its records.
//
// A record that tells of both directions takes two programs, one for each.
// The one for the opposite direction is the mirror: it takes that direction's
// own fields as they are, and exchanges source and destination in those that
// hold for both.
type program struct {
	// The layout of a record.
	lead  []int // for each variable-length field, the bytes before it in its segment
	tail  int   // bytes of the last segment
	least int   // the shortest record

	ops     []op
	present flow.Mask // the columns that every row has
	given   flow.Mask // … without those that the record itself may lack

	start, end, duration, event, boot field    // of the flow's times
	delay                             field    // from the start to the start of the opposite direction
	interval, space, size, population field    // of the sampling rate, as a ratio
	probability                       field    // … as its inverse
	rate                              [2]field // … or as it is
	sampled                           bool     // any of these is there
	version                           field    // tells which of two addresses counts
	typeCode, icmpType, icmpCode      [2]field
	icmp                              bool // any of these, or a port, may hold ICMP type and code

	sections  []section       // fields with the beginning of a packet
	lists     []list          // structured data
	frameSize field           // the length of the packet that the record tells of
	single    bool            // the record tells of one packet and counts none
	opposite  []field         // what the opposite direction counted
	halved    bool            // has fields of the opposite direction, but nothing that was counted there
	skipped   []TemplateField // fields that no column holds

	options []optionPlace // of an options template: all fields
}

type optionPlace struct {
	place
	enterprise uint32
	element    uint16
	scope      bool
}

// compile translates a template that has only elements of our own.
func compile(t *Template) *program { return new(Session).compile(t, false) }

// headers tells how many packets' headers a record has. Huawei exports what
// SRv6 carries with two: the outer packet's, then the inner's (RFC 7011 §8:
// elements that occur again "follow the logical order of their treatments").
// The row is the inner packet's, and has the outer's addresses for a tunnel.
func headers(t *Template) (n int) {
	for _, f := range t.Fields {
		if f.Enterprise == 0 && f.Element == protocolIdentifier && f.Length > 0 {
			n++
		}
	}
	return n
}

const protocolIdentifier = 4

// headerColumns are those that both of two headers have.
var headerColumns = [...]flow.Column{
	flow.SrcAddr, flow.DstAddr, flow.Protocol, flow.SrcPort, flow.DstPort, flow.TCPFlags, flow.TOS, flow.TTL,
}

// compile translates a template, for its own direction or for the opposite
// one. It never fails: what it doesn't understand it skips and counts.
func (s *Session) compile(t *Template, mirror bool) *program {
	p := &program{}
	type candidate struct {
		field
		ordinal int
	}
	var best [numTargets][2]candidate
	outer := headers(t) > 1
	var at place
	var sections sectionPlaces
	backwards := false
	for i, f := range t.Fields {
		at.length = f.Length
		here := at
		if f.Length == variable {
			p.lead = append(p.lead, int(at.offset))
			p.least++
			at.segment++
			at.offset = 0
		} else {
			p.least += int(f.Length)
			at.offset += int32(f.Length)
		}
		if f.Length == 0 {
			continue
		}
		if t.Options {
			o := optionPlace{place: here, enterprise: f.Enterprise, element: f.Element, scope: i < int(t.Scopes)}
			if o.scope && t.Version == flow.NetFlow9 && f.Element >= 1 && f.Element <= 5 {
				o.enterprise = ScopeV9
			}
			p.options = append(p.options, o)
			continue
		}
		if f.Enterprise == 0 && f.Element == paddingOctets {
			continue
		}
		key, reverse := identify(f)
		custom := s.customs(p, key, reverse, f, here)
		if sections.note(key, here, reverse) {
			continue
		}
		listed := s.structured(p, f, here)
		e, ok := byID[key]
		if !ok || f.Length != variable && !e.as.fits(int(f.Length)) {
			if !custom && !listed && (!reverse || f.Enterprise != reversePEN) {
				p.skipped = append(p.skipped, f)
			}
			continue
		}
		backwards = backwards || reverse
		if reverse && (e.to == flow.Packets || e.to == flow.Bytes) {
			p.opposite = append(p.opposite, field{here, e.as})
		}
		if outer && (e.to == flow.SrcAddr || e.to == flow.DstAddr) && best[flow.Protocol][0].used() {
			outer = false
			best[flow.TunnelSrcAddr], best[flow.TunnelDstAddr] = best[flow.SrcAddr], best[flow.DstAddr]
			for _, c := range headerColumns {
				best[c] = [2]candidate{}
			}
		}
		ordinal := e.ordinal
		switch {
		case reverse != mirror: // the other program's, or common to both
			if !mirror {
				continue
			}
			if e.to, ok = mirrored(e.to); !ok {
				continue
			}
		case mirror: // the direction's own word
			ordinal -= len(elements)
		}
		twin := 0
		if e.twin {
			twin = 1
		}
		if b := &best[e.to][twin]; !b.used() || ordinal < b.ordinal {
			b.field, b.ordinal = field{here, e.as}, ordinal
		}
	}
	p.tail = int(at.offset)
	if t.Options {
		return p
	}
	p.halved = backwards && len(p.opposite) == 0
	p.sections = sections.of(mirror)

	take := func(to target) field { return best[to][0].field }
	p.start, p.end, p.duration = take(flow.Start), take(flow.End), take(duration)
	p.event, p.boot, p.version = take(eventTime), take(bootTime), take(ipVersion)
	p.interval, p.space = take(rateInterval), take(rateSpace)
	p.size, p.population, p.probability = take(rateSize), take(ratePopulation), take(rateProbability)
	p.delay = take(reverseDelay)
	for twin := range 2 {
		p.rate[twin] = best[flow.SamplingRate][twin].field
		p.typeCode[twin] = best[icmpTypeCode][twin].field
		p.icmpType[twin] = best[flow.ICMPType][twin].field
		p.icmpCode[twin] = best[flow.ICMPCode][twin].field
	}
	p.sampled = p.interval.used() && p.space.used() || p.size.used() && p.population.used() || p.probability.used() || p.rate[0].used() || p.rate[1].used()

	own := p.ops // the operator's: behind ours
	p.ops = nil
	for column := range flow.NumColumns {
		switch column {
		case flow.Start, flow.End, flow.SamplingRate, flow.ICMPType, flow.ICMPCode:
			continue // not copied but computed
		}
		for twin := range 2 {
			if f := best[column][twin].field; f.used() {
				p.ops = append(p.ops, op{field: f, column: column, second: twin == 1 && best[column][0].used()})
			}
		}
	}
	p.ops = append(p.ops, own...)
	for i := range p.ops {
		o := &p.ops[i]
		o.kind = flow.Schema[o.column].Kind
		fits := o.as != asNumber || o.kind.Greatest() >= 1<<(8*o.length)-1 // a shift by 64 gives 0
		o.plain = o.length != variable && !o.second && o.as <= asMAC && fits
		if o.length != variable && o.kind != flow.Text && fits && o.as != asApplication && o.as != asLabel && o.as != asSigned && o.as != asFloat {
			p.given.Add(o.column) // others leave it absent where the value is none
		}
	}
	p.present = flow.MaskOf(flow.Received, flow.ExportProtocol, flow.ObservationDomain, flow.Start, flow.End, flow.Packets, flow.Bytes)
	p.present.Or(p.given)

	counted, measured := take(flow.Packets).used(), take(flow.Bytes)
	if !measured.used() {
		p.frameSize = take(frameSize)
	}
	p.single = !counted && (len(p.sections) > 0 || p.frameSize.used() || measured.used() && best[flow.Bytes][0].ordinal == byID[elementKey{0, ipTotalLength}].ordinal)
	p.icmp = best[flow.Protocol][0].used() && best[flow.DstPort][0].used() && !mirror || p.hasICMP()
	return p
}

const ipTotalLength = 224

func (p *program) hasICMP() bool {
	for twin := range 2 {
		if p.typeCode[twin].used() || p.icmpType[twin].used() || p.icmpCode[twin].used() {
			return true
		}
	}
	return false
}

// rows are the records of a data set.
type rows struct {
	data   []byte
	n      int
	stride int      // from one record to the next, where all are equally long and starts is nil
	starts []uint32 // where their segments start: width numbers for each row
	width  int
	room   []uint32 // for starts

	tooGreat uint32 // values that their column could not hold, so far
}

// layout finds the records in data. It returns how many bytes they take, and
// whether a variable-length field reached beyond the end.
func (p *program) layout(r *rows, data []byte) (taken int, overrun bool) {
	r.data, r.starts, r.n = data, nil, 0
	if p.least == 0 {
		return 0, false
	}
	if len(p.lead) == 0 {
		r.stride, r.n = p.least, len(data)/p.least
		return r.n * p.least, false
	}
	r.width, r.starts = len(p.lead)+1, r.room[:0]
	for taken+p.least <= len(data) && !overrun {
		at := taken
		r.starts = append(r.starts, uint32(at))
		for _, lead := range p.lead {
			if at, overrun = behind(data, at+lead); overrun {
				break
			}
			r.starts = append(r.starts, uint32(at))
		}
		if at += p.tail; overrun || at > len(data) {
			overrun = true
			break
		}
		taken = at
		r.n++
	}
	r.room = r.starts
	r.starts = r.starts[:r.n*r.width]
	return taken, overrun
}

// behind returns where the variable-length field at an offset ends.
func behind(data []byte, at int) (end int, overrun bool) {
	if at >= len(data) {
		return 0, true
	}
	length, prefix := int(data[at]), 1
	if length == 255 && at+3 <= len(data) {
		length, prefix = int(binary.BigEndian.Uint16(data[at+1:])), 3
	}
	at += prefix + length
	return at, at > len(data)
}

// only makes s the rows of r whose numbers are in list.
func (r *rows) only(s *rows, list []uint32) {
	s.data, s.n, s.width = r.data, len(list), max(r.width, 1)
	if r.starts == nil {
		s.width = 1
	}
	s.starts = s.room[:0]
	for _, i := range list {
		if r.starts == nil {
			s.starts = append(s.starts, i*uint32(r.stride))
		} else {
			s.starts = append(s.starts, r.starts[int(i)*r.width:][:r.width]...)
		}
	}
	s.room = s.starts
}

// offset is where row i has a place.
func (r *rows) offset(i int, p place) int {
	if r.starts == nil {
		return i*r.stride + int(p.offset)
	}
	return int(r.starts[i*r.width+int(p.segment)]) + int(p.offset)
}

// at returns the bytes of row i at a place: nil where a variable-length field
// is empty.
func (r *rows) at(i int, p place) []byte {
	at := r.offset(i, p)
	if p.length != variable {
		return r.data[at : at+int(p.length)]
	}
	length := int(r.data[at])
	at++
	if length == 255 {
		length = int(binary.BigEndian.Uint16(r.data[at:]))
		at += 2
	}
	return r.data[at : at+length]
}

// number reads a big-endian number of up to eight bytes.
func number(b []byte) uint64 {
	var v uint64
	for _, c := range b {
		v = v<<8 | uint64(c)
	}
	return v
}

// number returns a field of row i as a number: 0 where it isn't one.
func (r *rows) number(i int, f field) uint64 {
	b := r.at(i, f.place)
	if len(b) > 8 {
		return 0
	}
	return number(b)
}

// run fills the rows [first, first+r.n) of b.
func (p *program) run(b *flow.Batch, first int, r *rows, h *header) {
	end := first + r.n
	fill(b.Time(flow.Received)[first:end], h.received)
	fill(b.U8(flow.ExportProtocol)[first:end], h.protocol)
	fill(b.U32(flow.ObservationDomain)[first:end], h.domain)
	fill(b.Present[first:end], p.present)
	for k := range p.ops {
		o := &p.ops[k]
		switch {
		case !o.plain:
			p.runRows(b, first, r, o)
		case o.kind == flow.Uint8:
			load(b.U8(o.column)[first:end], r, o.place)
		case o.kind == flow.Uint16:
			load(b.U16(o.column)[first:end], r, o.place)
		case o.kind == flow.Uint32:
			load(b.U32(o.column)[first:end], r, o.place)
		case o.as == asAddr4:
			loadAddr4(b.Addr(o.column)[first:end], r, o.place)
		case o.as == asAddr6:
			loadAddr6(b.Addr(o.column)[first:end], r, o.place)
		default:
			load(b.U64(o.column)[first:end], r, o.place)
		}
	}
	p.runTimes(b.Time(flow.Start)[first:end], b.Time(flow.End)[first:end], r, h)
	if p.sampled {
		p.runSampling(b, first, r)
	}
	if p.icmp {
		p.runICMP(b, first, r)
	}
	if p.frameSize.used() {
		p.runRows(b, first, r, &op{field: p.frameSize, column: flow.Bytes, kind: flow.Uint64})
	}
	if p.single {
		fill(b.U64(flow.Packets)[first:end], 1)
	}
}

func fill[T any](dst []T, v T) {
	for i := range dst {
		dst[i] = v
	}
}
