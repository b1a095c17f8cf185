package probe

import (
	"encoding/binary"
	"slices"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/wire/packet"
)

var lengthColumns = flow.MaskOf(flow.MinPacketLength, flow.MaxPacketLength)

// columns is where the columns of a flow lie in its words. Those of the key
// come first and have their place from the beginning; the values get one when
// they first occur.
type columns struct {
	key, values []field
	keyMask     flow.Mask
	placed      flow.Mask // of key and values
	unplaced    flow.Mask // values that did not occur yet
	keyWords    int
	stride      int
	spare       []int // free bits of each word
	handshake   field // of handshake_time; zero while it did not occur

	// Of the other direction: fields of the key that change places, and others
	// that change, or -1.
	pairs                  [][2]int
	icmpType, protocol     int
	inIf, outIf, direction int
}

// field is the place of a column.
type field struct {
	column flow.Column
	kind   flow.Kind
	word   int
	shift  int
	mask   uint64
}

// pairs are the columns that change places in the other direction.
var pairs = [][2]flow.Column{
	{flow.SrcAddr, flow.DstAddr}, {flow.SrcPort, flow.DstPort}, {flow.SrcMAC, flow.DstMAC}, {flow.SrcVLAN, flow.DstVLAN},
	{flow.SrcAS, flow.DstAS}, {flow.PrevAS, flow.NextAS}, {flow.SrcMask, flow.DstMask},
	{flow.InVRF, flow.OutVRF}, {flow.TunnelSrcAddr, flow.TunnelDstAddr}, {flow.SrcNetwork, flow.DstNetwork}, {flow.SrcCountry, flow.DstCountry},
}

func (l *columns) init(key, values flow.Mask) {
	at := map[flow.Column]int{}
	// The widest first: none straddles words then.
	for _, size := range []int{128, 64, 48, 32, 16, 8} {
		for c := range key.All() {
			if c >= flow.Columns() || !Keyable(c) || bitsOf(c) != size {
				continue
			}
			at[c] = len(l.key)
			l.key = append(l.key, l.place(c))
			l.keyMask.Add(c)
		}
	}
	l.keyWords = l.stride
	clear(l.spare) // the words of the key are compared: no values in them
	l.placed = l.keyMask
	for c := range values.All() {
		if c < flow.Columns() && (Keyable(c) || c == flow.HandshakeTime) && c != flow.TCPFlags && !l.keyMask.Has(c) {
			l.unplaced.Add(c)
		}
	}
	for _, p := range pairs {
		a, one := at[p[0]]
		b, other := at[p[1]]
		if one && other {
			l.pairs = append(l.pairs, [2]int{a, b})
		}
	}
	find := func(c flow.Column) int {
		if n, ok := at[c]; ok {
			return n
		}
		return -1
	}
	l.icmpType, l.protocol, l.direction = find(flow.ICMPType), find(flow.Protocol), find(flow.Direction)
	l.inIf, l.outIf = find(flow.InIf), find(flow.OutIf)
}

// bitsOf is the room that a value of c takes.
func bitsOf(c flow.Column) int {
	switch flow.Schema[c].Kind {
	case flow.Uint8:
		return 8
	case flow.Uint16:
		return 16
	case flow.Uint32:
		return 32
	case flow.MAC:
		return 48
	case flow.Address:
		return 128
	}
	return 64
}

// place finds room for a column.
func (l *columns) place(c flow.Column) field {
	size := bitsOf(c)
	f := field{column: c, kind: flow.Schema[c].Kind, mask: 1<<min(size, 63) - 1}
	if size >= 64 {
		f.mask = 1<<64 - 1
		f.word = l.stride
		for range size / 64 {
			l.spare = append(l.spare, 0)
		}
		l.stride = len(l.spare)
		return f
	}
	for w, free := range l.spare {
		if free >= size {
			f.word, f.shift = w, 64-free
			l.spare[w] -= size
			return f
		}
	}
	f.word = l.stride
	l.spare = append(l.spare, 64-size)
	l.stride = len(l.spare)
	return f
}

// keyOf are the columns of the key among those that are present.
func (l *columns) keyOf(present flow.Mask) flow.Mask {
	return flow.Mask{present[0] & l.keyMask[0], present[1] & l.keyMask[1]}
}

// known are the columns that have a place among those that are present.
func (l *columns) known(present flow.Mask) flow.Mask {
	return flow.Mask{present[0] & l.placed[0], present[1] & l.placed[1]}
}

// learn gives a place to the values that occur for the first time, and returns
// all columns that occur.
func (c *Cache) learn(packets *flow.Batch, from, to int) (seen flow.Mask) {
	for _, m := range packets.Present[from:to] {
		seen.Or(m)
	}
	news := flow.Mask{seen[0] & c.unplaced[0], seen[1] & c.unplaced[1]}
	if news == (flow.Mask{}) {
		return seen
	}
	for _, size := range []int{128, 64, 48, 32, 16, 8} {
		for v := range news.All() {
			if bitsOf(v) == size {
				c.values = append(c.values, c.place(v))
			}
		}
	}
	c.placed.Or(news)
	if news.Has(flow.HandshakeTime) {
		c.handshake = c.values[slices.IndexFunc(c.values, func(f field) bool { return f.column == flow.HandshakeTime })]
		c.placed[flow.HandshakeTime>>6] &^= 1 << (flow.HandshakeTime & 63) // a flow has it when its handshake is complete
	}
	c.unplaced = flow.Mask{c.unplaced[0] &^ news[0], c.unplaced[1] &^ news[1]}
	if c.stride > c.words {
		c.widen(c.stride)
	}
	return seen
}

// pack copies the key columns of the rows [from, to), those that occur, into
// words, keyWords a row.
func (l *columns) pack(words []uint64, b *flow.Batch, from, to int, seen flow.Mask) {
	clear(words[:(to-from)*l.keyWords])
	for n := range l.key {
		f := &l.key[n]
		if !seen.Has(f.column) {
			continue
		}
		switch f.kind {
		case flow.Uint8:
			packColumn(words, l.keyWords, f, b.U8(f.column)[from:to])
		case flow.Uint16:
			packColumn(words, l.keyWords, f, b.U16(f.column)[from:to])
		case flow.Uint32:
			packColumn(words, l.keyWords, f, b.U32(f.column)[from:to])
		case flow.Address:
			at := f.word
			for _, a := range b.Addr(f.column)[from:to] {
				w := words[at : at+2]
				w[0], w[1] = binary.LittleEndian.Uint64(a[:8]), binary.LittleEndian.Uint64(a[8:])
				at += l.keyWords
			}
		default:
			packColumn(words, l.keyWords, f, b.U64(f.column)[from:to])
		}
	}
}

func packColumn[T uint8 | uint16 | uint32 | uint64](words []uint64, stride int, f *field, values []T) {
	at := f.word
	for _, v := range values {
		words[at] |= uint64(v) << (f.shift & 63)
		at += stride
	}
}

// fill copies the values of new flows out of the batch of their first packets.
func (c *Cache) fill(b *flow.Batch, news []fresh) {
	for n := range c.values {
		f := &c.values[n]
		switch f.kind {
		case flow.Uint8:
			fillColumn(c, f, b.U8(f.column), news)
		case flow.Uint16:
			fillColumn(c, f, b.U16(f.column), news)
		case flow.Uint32:
			fillColumn(c, f, b.U32(f.column), news)
		case flow.Address:
			values := b.Addr(f.column)
			for _, x := range news {
				a, w := &values[x.row], c.wordsOf(x.flow)[f.word:]
				w[0], w[1] = binary.LittleEndian.Uint64(a[:8]), binary.LittleEndian.Uint64(a[8:])
			}
		default:
			fillColumn(c, f, b.U64(f.column), news)
		}
	}
}

func fillColumn[T uint8 | uint16 | uint32 | uint64](c *Cache, f *field, values []T, news []fresh) {
	for _, x := range news {
		if v := values[x.row]; v != 0 {
			c.wordsOf(x.flow)[f.word] |= uint64(v) << (f.shift & 63)
		}
	}
}

// always are the columns that every flow has.
var always = flow.MaskOf(flow.Start, flow.End, flow.Packets, flow.Bytes, flow.FlowEndReason)

// write appends the flows that ended to b.
func (c *Cache) write(b *flow.Batch) {
	first := b.Extend(len(c.ended))
	start, end := b.Time(flow.Start)[first:], b.Time(flow.End)[first:]
	packets, bytes := b.U64(flow.Packets)[first:], b.U64(flow.Bytes)[first:]
	flags, reasons := b.U16(flow.TCPFlags)[first:], b.U8(flow.FlowEndReason)[first:]
	present := b.Present[first:]
	least, most, half := b.U16(flow.MinPacketLength)[first:], b.U16(flow.MaxPacketLength)[first:], b.U8(flow.Biflow)[first:]
	for k, x := range c.ended {
		e := c.entry(x.flow)
		m := e.present
		m.Or(always)
		start[k], end[k] = e.start, e.end
		packets[k], bytes[k] = e.packets, e.bytes
		reasons[k] = x.reason
		if m.Has(flow.TCPFlags) {
			flags[k] = e.flags
		}
		if c.lengths {
			least[k], most[k] = e.least, e.most
			m.Or(lengthColumns)
		}
		if x.half != 0 {
			half[k] = x.half
			m.Add(flow.Biflow)
		}
		present[k] = m
	}
	for _, fields := range [...][]field{c.key, c.values} {
		for n := range fields {
			f := &fields[n]
			switch f.kind {
			case flow.Uint8:
				writeColumn(c, f, b.U8(f.column)[first:])
			case flow.Uint16:
				writeColumn(c, f, b.U16(f.column)[first:])
			case flow.Uint32:
				writeColumn(c, f, b.U32(f.column)[first:])
			case flow.Address:
				values := b.Addr(f.column)[first:]
				for k, x := range c.ended {
					a, w := &values[k], c.wordsOf(x.flow)[f.word:]
					binary.LittleEndian.PutUint64(a[:8], w[0])
					binary.LittleEndian.PutUint64(a[8:], w[1])
				}
			default:
				writeColumn(c, f, b.U64(f.column)[first:])
			}
		}
	}
	if c.handshake.kind == flow.Uint32 {
		for k, v := range b.U32(flow.HandshakeTime)[first:] {
			if v != 0 && !present[k].Has(flow.HandshakeTime) {
				b.U32(flow.HandshakeTime)[first+k] = 0
			}
		}
	}
}

func writeColumn[T uint8 | uint16 | uint32 | uint64](c *Cache, f *field, values []T) {
	for k, x := range c.ended {
		values[k] = T(c.wordsOf(x.flow)[f.word] >> (f.shift & 63) & f.mask)
	}
}

// turn makes of a key that of the other direction, and of its columns.
func (l *columns) turn(key []uint64, present flow.Mask) flow.Mask {
	for _, p := range l.pairs {
		present = l.exchange(key, present, p[0], p[1])
	}
	if l.icmpType >= 0 && l.protocol >= 0 && present.Has(flow.ICMPType) {
		f := &l.key[l.icmpType]
		f.set(key, answer(l.key[l.protocol].get(key), f.get(key)))
	}
	return present
}

// turnInterfaces makes of a key that of who leaves by the interface by which
// the others come in.
func (l *columns) turnInterfaces(key []uint64, present flow.Mask) flow.Mask {
	present = l.exchange(key, present, l.inIf, l.outIf)
	if l.direction >= 0 && present.Has(flow.Direction) {
		f := &l.key[l.direction]
		f.set(key, f.get(key)^(flow.Ingress^flow.Egress))
	}
	return present
}

// exchange lets two fields of the key change places.
func (l *columns) exchange(key []uint64, present flow.Mask, one, other int) flow.Mask {
	a, b := &l.key[one], &l.key[other]
	if present.Has(a.column) != present.Has(b.column) {
		present[a.column>>6] ^= 1 << (a.column & 63)
		present[b.column>>6] ^= 1 << (b.column & 63)
	}
	if a.kind == flow.Address {
		key[a.word], key[a.word+1], key[b.word], key[b.word+1] = key[b.word], key[b.word+1], key[a.word], key[a.word+1]
		return present
	}
	v, w := a.get(key), b.get(key)
	a.set(key, w)
	b.set(key, v)
	return present
}

// answer is the type of ICMP that answers another one, and the other way
// round; other types stay.
func answer(protocol, icmpType uint64) uint64 {
	for _, pair := range [...][3]uint64{{packet.ICMP, 8, 0}, {packet.ICMP, 13, 14}, {packet.ICMPv6, 128, 129}} {
		if protocol == pair[0] {
			switch icmpType {
			case pair[1]:
				return pair[2]
			case pair[2]:
				return pair[1]
			}
		}
	}
	return icmpType
}

func (f *field) get(words []uint64) uint64 { return words[f.word] >> (f.shift & 63) & f.mask }

func (f *field) set(words []uint64, v uint64) {
	words[f.word] = words[f.word]&^(f.mask<<(f.shift&63)) | v<<(f.shift&63)
}
