package packet

import (
	"encoding/binary"

	"github.com/minamo-flow/minamo/flow"
)

// Tunnels is a set of the tunnels to look into; the zero Tunnels has none.
type Tunnels uint8

// TunnelsOf returns the set of the given codes of flow.Tunnel.
func TunnelsOf(codes ...uint8) (t Tunnels) {
	for _, code := range codes {
		t |= 1 << code
	}
	return t
}

// Has tells whether the tunnel with this code is in the set.
func (t Tunnels) Has(code uint8) bool { return t>>code&1 != 0 }

// ParseTunnel finds the code of a tunnel by its name in the Schema: "vxlan".
func ParseTunnel(name string) (code uint8, ok bool) {
	for code, known := range flow.Schema[flow.Tunnel].Names {
		if known == name {
			return uint8(code), true
		}
	}
	return 0, false
}

// Base is a header that an Extract counts from.
type Base uint8

const (
	LinkHeader      Base = iota // the frame's first byte; of an inner frame, if a tunnel with one was entered
	NetworkHeader               // behind the link layer: the IP header, if it is IP
	TransportHeader             // behind the IP headers; a later fragment has none
)

// Extract copies bits of every packet into a column. A packet without the
// header, or cut off before the last bit, leaves the column absent.
type Extract struct {
	Column flow.Column // of a numeric kind; more bits than it has saturate it
	Base   Base
	Offset int // in bits, from the header's first
	Length int // in bits, 1 to 64
}

// Parser reads packets as an operator wants them read. Its zero value, and
// nil, is plain: no tunnels, no extracts. It is safe for concurrent use as
// long as nobody changes it.
type Parser struct {
	Tunnels  Tunnels
	Extracts []Extract
}

// extract sets the columns of e's bits in row i.
func (e *Extract) extract(b *flow.Batch, i int, l *Layout, p []byte) {
	at := l.Frame
	if l.Version > 0 && e.Base > LinkHeader {
		p = p[:l.end]
	}
	switch e.Base {
	case NetworkHeader:
		at = l.Network
	case TransportHeader:
		if at = l.Payload; at == 0 || l.FragmentOffset > 0 || !l.HasProtocol {
			return
		}
	}
	room := 8 * (len(p) - at)
	if e.Length < 1 || e.Length > 64 || e.Offset < 0 || e.Offset > room-e.Length {
		return
	}
	last := e.Offset + e.Length
	// The bits lie in at most nine bytes, the last of which is p[at+(last-1)/8].
	from, to := at+e.Offset/8, at+(last+7)/8
	var v uint64
	if to-from > 8 {
		v = binary.BigEndian.Uint64(p[from:])<<(last&7) | uint64(p[to-1])>>(8-last&7)
	} else {
		for _, x := range p[from:to] {
			v = v<<8 | uint64(x)
		}
		v >>= -last & 7
	}
	if e.Length < 64 {
		v &= 1<<e.Length - 1
	}
	switch flow.Schema[e.Column].Kind {
	case flow.Text, flow.Address:
	default:
		b.SetUint(e.Column, i, v)
	}
}
