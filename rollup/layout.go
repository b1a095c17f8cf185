package rollup

import (
	"encoding/binary"

	"github.com/minamo-flow/minamo/flow"
)

// layout is how a cube's keys are packed into words, by which cells are found:
// two words for each address, and the rest in as few as it takes, each value
// behind a bit that tells whether it is present.
type layout struct {
	words  int
	fields []field
}

// field is the place of a key: of the bit of presence, and of the value just
// above it; of an address also its first word.
type field struct {
	word, shift int
	address     int
	mask        uint64
}

func layoutOf(keys []Key) layout {
	l := layout{fields: make([]field, len(keys))}
	for i, k := range keys {
		if k.Kind == flow.Address {
			l.fields[i].address = l.words
			l.words += 2
		}
	}
	free := 0 // bits of the last word
	for i, k := range keys {
		width := 0
		switch k.Kind {
		case flow.Uint8:
			width = 8
		case flow.Uint16:
			width = 16
		case flow.Uint32:
			width = 32
		}
		if free < width+1 {
			l.words++
			free = 64
		}
		l.fields[i].word, l.fields[i].shift, l.fields[i].mask = l.words-1, 64-free, 1<<width-1
		free -= width + 1
	}
	return l
}

func (l *layout) setUint(key []uint64, i int, v uint64) {
	f := &l.fields[i]
	key[f.word] |= (v<<1 | 1) << f.shift
}

func (l *layout) uint(key []uint64, i int) (v uint64, present bool) {
	f := &l.fields[i]
	bits := key[f.word] >> f.shift
	return bits >> 1 & f.mask, bits&1 != 0
}

func (l *layout) setAddr(key []uint64, i int, high, low uint64) {
	f := &l.fields[i]
	key[f.address], key[f.address+1] = high, low
	key[f.word] |= 1 << f.shift
}

func (l *layout) addr(key []uint64, i int) (high, low uint64, present bool) {
	f := &l.fields[i]
	return key[f.address], key[f.address+1], key[f.word]>>f.shift&1 != 0
}

// pack appends the keys of a batch's rows, l.words of each.
func (c *Cube) pack(dst []uint64, b *flow.Batch, rows []row) []uint64 {
	l := &c.layout
	n := len(dst) + l.words*len(rows)
	if cap(dst) < n {
		dst = append(make([]uint64, 0, n), dst...)
	}
	dst = dst[:n]
	clear(dst)
	for i, k := range c.Keys {
		f := l.fields[i]
		if k.derive != nil {
			for r := range rows {
				if v, ok := k.derive(&rows[r]); ok {
					dst[r*l.words+f.word] |= (v<<1 | 1) << f.shift
				}
			}
			continue
		}
		switch k.Kind {
		case flow.Uint8:
			packVector(dst, l.words, f, b, k.column, b.U8(k.column))
		case flow.Uint16:
			packVector(dst, l.words, f, b, k.column, b.U16(k.column))
		case flow.Uint32:
			packVector(dst, l.words, f, b, k.column, b.U32(k.column))
		case flow.Address:
			addrs := b.Addr(k.column)
			for r := range rows {
				if b.Present[r].Has(k.column) {
					a := &addrs[r]
					l.setAddr(dst[r*l.words:], i, binary.BigEndian.Uint64(a[:8]), binary.BigEndian.Uint64(a[8:]))
				}
			}
		}
	}
	return dst
}

func packVector[T uint8 | uint16 | uint32](dst []uint64, words int, f field, b *flow.Batch, c flow.Column, values []T) {
	at := f.word
	for r, v := range values {
		if b.Present[r].Has(c) {
			dst[at] |= (uint64(v)<<1 | 1) << f.shift
		}
		at += words
	}
}

func address(high, low uint64) (a flow.Addr) {
	binary.BigEndian.PutUint64(a[:8], high)
	binary.BigEndian.PutUint64(a[8:], low)
	return a
}

// The keys of cubes that are made from other cubes' cells.

// foldSame keeps the keys that both cubes have.
func foldSame(from, to *Cube, cell, sum []uint64) {
	for i, same := range to.same {
		if same < 0 {
			continue
		}
		if to.Keys[i].Kind == flow.Address {
			if high, low, ok := from.layout.addr(cell, same); ok {
				to.layout.setAddr(sum, i, high, low)
			}
		} else if v, ok := from.layout.uint(cell, same); ok {
			to.layout.setUint(sum, i, v)
		}
	}
}

// foldEnd keeps one of a pair's addresses, and whether the other is the same.
func foldEnd(from, to *Cube, pair, end []uint64) {
	foldSame(from, to, pair, end)
	high, low, present := from.layout.addr(pair, 0)
	h, o, ok := from.layout.addr(pair, 1)
	if present && ok && h == high && o == low {
		to.layout.setUint(end, 1, 1)
	}
}

// mapped begins the IPv4-mapped addresses: the low word is ffff and the address.
const mapped = 0xffff

// foldNetwork keeps of an address the network.
func foldNetwork(from, to *Cube, host, network []uint64) {
	foldSame(from, to, host, network)
	if high, low, ok := from.layout.addr(host, 0); ok {
		if high == 0 && low>>32 == mapped {
			low &^= 0xff
		} else {
			high, low = high&^0xffff, 0
		}
		to.layout.setAddr(network, 0, high, low)
	}
}
