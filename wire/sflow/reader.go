package sflow

import (
	"encoding/binary"

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
