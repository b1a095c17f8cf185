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
	second bool // see element.twin
}

// program is a compiled template.
type program struct {
	// The layout of a record.
	lead  []int // for each variable-length field, the bytes before it in its segment
	tail  int   // bytes of the last segment
	least int   // the shortest record

	ops     []op
	present flow.Mask // the columns that every record has

	start, end, duration, event, boot field    // of the flow's times
	interval, space, size, population field    // of the sampling rate, as a ratio
	rate                              [2]field // … or as it is
	sampled                           bool     // any of these is there
	version                           field    // tells which of two addresses counts
	typeCode, icmpType, icmpCode      [2]field
	icmp                              bool // any of these, or a port, may hold ICMP type and code

	skipped  []TemplateField // fields that no column holds
	reverse  bool            // has fields for the opposite direction
	sections int             // fields with the beginning of a packet

	options []optionPlace // of an options template: all fields
}

type optionPlace struct {
	place
	enterprise uint32
	element    uint16
	scope      bool
}

// compile translates a template. It never fails: what it doesn't understand
// it skips and counts.
func compile(t *Template) *program {
	p := &program{}
	var best [numTargets][2]struct {
		field
		ordinal int
	}
	var at place
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
		e, ok := byID[f.Element]
		switch {
		case f.Enterprise == reversePEN:
			p.reverse = true
			continue
		case f.Enterprise == 0 && f.Element == paddingOctets:
			continue
		case f.Enterprise == 0 && isSection(f.Element):
			p.sections++
			continue
		case f.Enterprise != 0 || !ok || f.Length != variable && !e.fits(f.Length):
			p.skipped = append(p.skipped, f)
			continue
		}
		twin := 0
		if e.twin {
			twin = 1
		}
		if b := &best[e.to][twin]; !b.used() || e.ordinal < b.ordinal {
			b.field, b.ordinal = field{here, e.as}, e.ordinal
			if e.as == asApplication && f.Length <= 8 {
				b.as = asNumber
			}
		}
	}
	p.tail = int(at.offset)
	if t.Options {
		return p
	}

	take := func(to target) field { return best[to][0].field }
	p.start, p.end, p.duration = take(flow.Start), take(flow.End), take(duration)
	p.event, p.boot, p.version = take(eventTime), take(bootTime), take(ipVersion)
	p.interval, p.space = take(rateInterval), take(rateSpace)
	p.size, p.population = take(rateSize), take(ratePopulation)
	for twin := range 2 {
		p.rate[twin] = best[flow.SamplingRate][twin].field
		p.typeCode[twin] = best[icmpTypeCode][twin].field
		p.icmpType[twin] = best[flow.ICMPType][twin].field
		p.icmpCode[twin] = best[flow.ICMPCode][twin].field
	}

	p.sampled = p.interval.used() && p.space.used() || p.size.used() && p.population.used() || p.rate[0].used() || p.rate[1].used()

	p.present = flow.MaskOf(flow.Received, flow.ExportProtocol, flow.ObservationDomain, flow.Start, flow.End, flow.Packets, flow.Bytes)
	for column := range flow.Columns() {
		switch column {
		case flow.Start, flow.End, flow.SamplingRate, flow.ICMPType, flow.ICMPCode:
			continue // not copied but computed
		}
		for twin := range 2 {
			f := best[column][twin].field
			if !f.used() {
				continue
			}
			if f.length != variable {
				p.present.Add(column)
			}
			p.ops = append(p.ops, op{field: f, column: column, second: twin == 1 && best[column][0].used()})
		}
	}
	p.icmp = best[flow.Protocol][0].used() && best[flow.DstPort][0].used() || p.hasICMP()
	return p
}

func (p *program) hasICMP() bool {
	for twin := range 2 {
		if p.typeCode[twin].used() || p.icmpType[twin].used() || p.icmpCode[twin].used() {
			return true
		}
	}
	return false
}

// rows are the records of a data set: where their segments start.
type rows struct {
	data   []byte
	starts []uint32 // width numbers for each row
	width  int
	n      int
}

// layout finds the records in data. It returns how many bytes they take, and
// whether a variable-length field reached beyond the end.
func (p *program) layout(r *rows, data []byte) (taken int, overrun bool) {
	r.data, r.starts, r.width, r.n = data, r.starts[:0], len(p.lead)+1, 0
	if p.least == 0 {
		return 0, false
	}
	if len(p.lead) == 0 {
		r.n = len(data) / p.least
		for i := range r.n {
			r.starts = append(r.starts, uint32(i*p.least))
		}
		return r.n * p.least, false
	}
	for taken+p.least <= len(data) {
		at := taken
		r.starts = append(r.starts, uint32(at))
		for _, lead := range p.lead {
			at += lead
			if at >= len(data) {
				overrun = true
				break
			}
			length, prefix := int(data[at]), 1
			if length == 255 && at+3 <= len(data) {
				length, prefix = int(binary.BigEndian.Uint16(data[at+1:])), 3
			}
			at += prefix + length
			r.starts = append(r.starts, uint32(at))
		}
		if at += p.tail; overrun || at > len(data) {
			r.starts = r.starts[:r.n*r.width]
			return taken, true
		}
		taken = at
		r.n++
	}
	return taken, false
}

// at returns the bytes of row i at a place: nil where a variable-length field
// is empty.
func (r *rows) at(i int, p place) []byte {
	at := int(r.starts[i*r.width+int(p.segment)]) + int(p.offset)
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
		if o.length == variable || o.second {
			p.runRows(b, first, r, o)
			continue
		}
		switch o.as {
		case asAddr4:
			loadAddr4(b.Addr(o.column)[first:end], r, o.place)
		case asAddr6:
			loadAddr6(b.Addr(o.column)[first:end], r, o.place)
		case asLabel, asDSCP, asApplication:
			p.runRows(b, first, r, o)
		default:
			switch flow.Schema[o.column].Kind {
			case flow.Uint8:
				load(b.U8(o.column)[first:end], r, o.place)
			case flow.Uint16:
				load(b.U16(o.column)[first:end], r, o.place)
			case flow.Uint32:
				load(b.U32(o.column)[first:end], r, o.place)
			default:
				load(b.U64(o.column)[first:end], r, o.place)
			}
		}
	}
	p.runTimes(b.Time(flow.Start)[first:end], b.Time(flow.End)[first:end], r, h)
	if p.sampled {
		p.runSampling(b, first, r)
	}
	if p.icmp {
		p.runICMP(b, first, r)
	}
}

func fill[T any](dst []T, v T) {
	for i := range dst {
		dst[i] = v
	}
}

// load copies a fixed-length number into a column; what is too great for the
// column becomes the column's greatest value.
func load[T uint8 | uint16 | uint32 | uint64](dst []T, r *rows, p place) {
	data, starts, k, offset := r.data, r.starts, int(p.segment), int(p.offset)
	greatest := uint64(^T(0))
	switch p.length {
	case 1:
		for i := range dst {
			dst[i] = T(data[int(starts[k])+offset])
			k += r.width
		}
	case 2:
		for i := range dst {
			at := int(starts[k]) + offset
			dst[i] = T(min(uint64(binary.BigEndian.Uint16(data[at:at+2])), greatest))
			k += r.width
		}
	case 4:
		for i := range dst {
			at := int(starts[k]) + offset
			dst[i] = T(min(uint64(binary.BigEndian.Uint32(data[at:at+4])), greatest))
			k += r.width
		}
	case 8:
		for i := range dst {
			at := int(starts[k]) + offset
			dst[i] = T(min(binary.BigEndian.Uint64(data[at:at+8]), greatest))
			k += r.width
		}
	default:
		for i := range dst {
			dst[i] = T(min(number(r.at(i, p)), greatest))
		}
	}
}

// loadAddr4 writes the IPv4-mapped form as one number behind the eight zeros
// that stand in a fresh row: several times as fast as byte by byte.
func loadAddr4(dst []flow.Addr, r *rows, p place) {
	const mapped = 0xffff << 32
	data, starts, k, offset := r.data, r.starts, int(p.segment), int(p.offset)
	for i := range dst {
		at := int(starts[k]) + offset
		binary.BigEndian.PutUint64(dst[i][8:], mapped|uint64(binary.BigEndian.Uint32(data[at:at+4])))
		k += r.width
	}
}

func loadAddr6(dst []flow.Addr, r *rows, p place) {
	k := int(p.segment)
	for i := range dst {
		at := int(r.starts[k]) + int(p.offset)
		dst[i] = flow.Addr(r.data[at : at+16])
		k += r.width
	}
}

// runRows is the slow and plain way to fill a column: row by row, each value
// as long as it happens to be.
func (p *program) runRows(b *flow.Batch, first int, r *rows, o *op) {
	for i := range r.n {
		row := first + i
		v := r.at(i, o.place)
		if e := (element{as: o.as}); len(v) == 0 || !e.fits(uint16(len(v))) {
			continue
		}
		switch o.as {
		case asAddr4:
			b.SetAddr(o.column, row, flow.AddrFrom4([4]byte(v)))
		case asAddr6:
			if a := flow.Addr(v); !o.second || p.prefers6(i, r, a, b.Addr(o.column)[row]) {
				b.SetAddr(o.column, row, a)
			}
		case asLabel:
			b.SetUint(o.column, row, number(v[:3])>>4)
		case asDSCP:
			b.SetUint(o.column, row, number(v)<<2)
		case asApplication:
			if id, ok := ApplicationID(v); ok {
				b.SetUint(o.column, row, id)
			}
		default:
			if !o.second || b.Uint(o.column, row) == 0 {
				b.SetUint(o.column, row, number(v))
			}
		}
	}
}

// prefers6 chooses between the two addresses of a template for both IP
// versions: the one that isn't zero, else what ipVersion says.
func (p *program) prefers6(i int, r *rows, v6, v4 flow.Addr) bool {
	zero6 := v6 == flow.Addr{}
	zero4 := v4 == flow.AddrFrom4([4]byte{}) || v4 == flow.Addr{}
	if zero4 != zero6 {
		return zero4
	}
	return p.version.used() && r.number(i, p.version) == 6
}

// runSampling sets the sampling rate where the record itself tells it: the
// first of its ways that isn't zero.
func (p *program) runSampling(b *flow.Batch, first int, r *rows) {
	for i := range r.n {
		var rate uint64
		if p.interval.used() && p.space.used() {
			interval := r.number(i, p.interval)
			rate = ratio(interval+r.number(i, p.space), interval)
		}
		for _, f := range p.rate {
			if rate == 0 && f.used() {
				rate = r.number(i, f)
			}
		}
		if rate == 0 && p.size.used() && p.population.used() {
			rate = ratio(r.number(i, p.population), r.number(i, p.size))
		}
		if rate > 0 {
			b.SetUint(flow.SamplingRate, first+i, rate)
			b.SetUint(flow.SamplingSource, first+i, flow.SamplingRecord)
		}
	}
}

// ratio divides, rounded; 0 where there is no ratio.
func ratio(total, part uint64) uint64 {
	if part == 0 {
		return 0
	}
	return total/part + total%part*2/part
}

// runICMP sets ICMP type and code of the rows that are ICMP: from the elements
// for them, else from the destination port, where NetFlow devices put them as
// type × 256 + code. Some devices put other things there: what can't be a
// code of any type is not taken for one.
func (p *program) runICMP(b *flow.Batch, first int, r *rows) {
	const icmp4, icmp6, greatestCode = 1, 58, 15
	elements := p.hasICMP()
	protocols, ports := b.U8(flow.Protocol), b.U16(flow.DstPort)
	for i := range r.n {
		row := first + i
		protocol := protocols[row]
		if protocol != icmp4 && protocol != icmp6 && (!elements || b.Present[row].Has(flow.Protocol)) {
			continue
		}
		if !elements {
			if code := ports[row] & 0xff; code <= greatestCode {
				b.SetUint(flow.ICMPType, row, uint64(ports[row]>>8))
				b.SetUint(flow.ICMPCode, row, uint64(code))
			}
			continue
		}
		pick := func(twins [2]field) field {
			if f := twins[1]; protocol == icmp6 && f.used() || !twins[0].used() {
				return f
			}
			return twins[0]
		}
		if f := pick(p.typeCode); f.used() {
			v := r.number(i, f)
			b.SetUint(flow.ICMPType, row, v>>8&0xff)
			b.SetUint(flow.ICMPCode, row, v&0xff)
			continue
		}
		if f := pick(p.icmpType); f.used() {
			b.SetUint(flow.ICMPType, row, r.number(i, f))
		}
		if f := pick(p.icmpCode); f.used() {
			b.SetUint(flow.ICMPCode, row, r.number(i, f))
		}
	}
}
