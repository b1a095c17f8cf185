package netflow

import (
	"encoding/binary"
	"math"
	"strconv"

	"github.com/minamo-flow/minamo/flow"
)

// load copies a fixed-length number into a column that is wide enough for it.
func load[T uint8 | uint16 | uint32 | uint64](dst []T, r *rows, p place) {
	if r.starts != nil {
		loadScattered(dst, r, p)
		return
	}
	if len(dst) == 0 {
		return
	}
	data, stride, at := r.data[p.offset:], r.stride, 0
	switch p.length {
	case 1:
		for i := range dst {
			dst[i] = T(data[at])
			at += stride
		}
	case 2:
		for i := range dst {
			dst[i] = T(binary.BigEndian.Uint16(data[at : at+2]))
			at += stride
		}
	case 4:
		for i := range dst {
			dst[i] = T(binary.BigEndian.Uint32(data[at : at+4]))
			at += stride
		}
	case 8:
		for i := range dst {
			dst[i] = T(binary.BigEndian.Uint64(data[at : at+8]))
			at += stride
		}
	default:
		for i := range dst {
			dst[i] = T(number(data[at : at+int(p.length)]))
			at += stride
		}
	}
}

// loadScattered is load for records that don't lie at equal distances.
func loadScattered[T uint8 | uint16 | uint32 | uint64](dst []T, r *rows, p place) {
	data, starts, k, offset := r.data, r.starts, int(p.segment), int(p.offset)
	switch p.length {
	case 1:
		for i := range dst {
			dst[i] = T(data[int(starts[k])+offset])
			k += r.width
		}
	case 2:
		for i := range dst {
			at := int(starts[k]) + offset
			dst[i] = T(binary.BigEndian.Uint16(data[at : at+2]))
			k += r.width
		}
	case 4:
		for i := range dst {
			at := int(starts[k]) + offset
			dst[i] = T(binary.BigEndian.Uint32(data[at : at+4]))
			k += r.width
		}
	case 8:
		for i := range dst {
			at := int(starts[k]) + offset
			dst[i] = T(binary.BigEndian.Uint64(data[at : at+8]))
			k += r.width
		}
	default:
		for i := range dst {
			dst[i] = T(number(r.at(i, p)))
		}
	}
}

// loadAddr4 writes the IPv4-mapped form as one number behind the eight zeros
// that stand in a fresh row: several times as fast as byte by byte.
func loadAddr4(dst []flow.Addr, r *rows, p place) {
	const mapped = 0xffff << 32
	data := r.data
	if r.starts == nil {
		at := int(p.offset)
		for i := range dst {
			binary.BigEndian.PutUint64(dst[i][8:], mapped|uint64(binary.BigEndian.Uint32(data[at:at+4])))
			at += r.stride
		}
		return
	}
	for i := range dst {
		at := r.offset(i, p)
		binary.BigEndian.PutUint64(dst[i][8:], mapped|uint64(binary.BigEndian.Uint32(data[at:at+4])))
	}
}

func loadAddr6(dst []flow.Addr, r *rows, p place) {
	for i := range dst {
		at := r.offset(i, p)
		dst[i] = flow.Addr(r.data[at : at+16])
	}
}

// runRows is the slow and plain way to fill a column: row by row, each value
// as long as it happens to be.
func (p *program) runRows(b *flow.Batch, first int, r *rows, o *op) {
	for i := range r.n {
		row := first + i
		v := r.at(i, o.place)
		if len(v) == 0 || !o.as.fits(len(v)) {
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
			if entry := number(v[:3]); entry != 0 { // else the stack has ended
				b.SetUint(o.column, row, entry>>4)
			}
		case asDSCP:
			b.SetUint(o.column, row, number(v)<<2)
		case asFlags:
			b.SetUint(o.column, row, b.Uint(o.column, row)|number(v))
		case asApplication:
			if id, ok := ApplicationID(v); ok {
				b.SetUint(o.column, row, id)
			}
		case asText:
			if v[0] != 0 {
				b.SetText(o.column, row, v)
			}
		case asACL:
			if !zero(v) {
				b.SetText(o.column, row, appendACL(make([]byte, 0, 32), v))
			}
		case asCommunities:
			setCommunities(b, o.column, row, v)
		case asNumber, asMAC:
			n := number(v)
			switch {
			case n > o.kind.Greatest():
				r.tooGreat++
			case !o.second || b.Uint(o.column, row) == 0:
				b.SetUint(o.column, row, n)
			}
		default:
			r.setCustom(b, row, o, v)
		}
	}
}

// appendACL writes the ids of an access list, its entry and the extended entry
// as three numbers, as the device's own "show access-list" does.
func appendACL(text, v []byte) []byte {
	for i := range 3 {
		if i > 0 {
			text = append(text, '/')
		}
		text = strconv.AppendUint(append(text, "0x"...), number(v[4*i:4*i+4]), 16)
	}
	return text
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
		if rate == 0 && p.probability.used() {
			if v := r.at(i, p.probability.place); asFloat.fits(len(v)) {
				if share := float(v); share > 0 && share <= 1 {
					rate = uint64(math.Round(min(1/share, math.MaxUint32)))
				}
			}
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
