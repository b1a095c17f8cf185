package sflow

import (
	"encoding/binary"
	"math"

	"github.com/minamo-flow/minamo/flow"
)

// reader takes values off the front of bytes. Beyond their end every value is
// zero and ok turns false, so that a structure can be read first and checked
// once.
type reader struct {
	rest []byte
	ok   bool
}

func (d *reader) uint32() uint32 {
	if len(d.rest) < 4 {
		d.rest, d.ok = nil, false
		return 0
	}
	v := binary.BigEndian.Uint32(d.rest)
	d.rest = d.rest[4:]
	return v
}

func (d *reader) uint64() uint64 {
	high := uint64(d.uint32())
	return high<<32 | uint64(d.uint32())
}

// uint32s takes as many numbers as there are places for them.
func (d *reader) uint32s(to ...*uint32) {
	for _, v := range to {
		*v = d.uint32()
	}
}

// uint64s does so with numbers of 64 bits.
func (d *reader) uint64s(to ...*uint64) {
	for _, v := range to {
		*v = d.uint64()
	}
}

func (d *reader) float32() float32 { return math.Float32frombits(d.uint32()) }

// mac takes a MAC address, six bytes and two of padding.
func (d *reader) mac() uint64 { return d.uint64() >> 16 }

// opaque takes bytes behind their number, and their padding as far as it is there.
func (d *reader) opaque() []byte {
	n := d.uint32()
	if uint64(n) > uint64(len(d.rest)) {
		d.rest, d.ok = nil, false
		return nil
	}
	var v []byte
	v, d.rest = clip(d.rest, n)
	return v
}

// words takes numbers of 32 bits behind their count, and leaves them bytes.
func (d *reader) words() []byte {
	n := d.uint32()
	if uint64(n)*4 > uint64(len(d.rest)) {
		d.rest, d.ok = nil, false
		return nil
	}
	return d.bytes(int(n) * 4)
}

// bytes takes n bytes, without padding.
func (d *reader) bytes(n int) []byte {
	if n > len(d.rest) {
		d.rest, d.ok = nil, false
		return nil
	}
	v := d.rest[:n]
	d.rest = d.rest[n:]
	return v
}

// address takes an address of the given type: 1 IPv4, 2 IPv6. Type 0 has no
// bytes; what follows an unknown type can't be found. present tells whether
// there is an address.
func (d *reader) address(kind uint32) (a flow.Addr, present bool) {
	switch kind {
	case 0:
	case 1:
		if v := d.bytes(4); v != nil {
			return flow.AddrFrom4([4]byte(v)), true
		}
	case 2:
		if v := d.bytes(16); v != nil {
			return flow.Addr(v), true
		}
	default:
		d.rest, d.ok = nil, false
	}
	return a, false
}

// source takes a data source: two numbers in expanded samples, else one.
func (d *reader) source(expanded bool) Source {
	v := d.uint32()
	if expanded {
		return Source{Class: v, Index: d.uint32()}
	}
	return sourceOf(v)
}

func sourceOf(v uint32) Source { return Source{Class: v >> 24, Index: v & 0xffffff} }
