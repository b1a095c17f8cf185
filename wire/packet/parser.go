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

// Extract copies bits of every packet into a column, of the innermost packet
// if it came out of tunnels. A packet without the header, or that ends before
// the last bit, leaves the column absent; so does a column of kind Text or
// Address.
type Extract struct {
	Column flow.Column // of a numeric kind; more bits than it has saturate it
	Base   Base
	Offset int // in bits, from the header's first
	Length int // in bits, 1 to 64
}

// Parser reads packets as an operator wants them read. Its zero value, and
// nil, is plain: no tunnels, no extracts. It is safe for concurrent use as
// long as nobody changes it.
//
// A packet in a tunnel of the set is taken out of it, and so on inwards, up to
// eight times. The row then tells of the innermost packet; MAC addresses,
// VLANs and EtherType are those of its own frame, and those of the outer one
// where the tunnel carries no frames; MPLS labels are the innermost ones.
// tunnel, tunnel_id and the tunnel's two addresses tell of the innermost
// tunnel: the one the packet came out of. A tunnel that is not in the set hides
// those inside of it. One whose inside is cut off, or is neither IP nor
// Ethernet, is not entered; neither is a later fragment.
//
//   - ipip is IPv4 in IPv4, and both in IPv6; 6in4 is IPv6 in IPv4.
//   - gre is RFC 2784 with RFC 2890's key, which is the tunnel_id: 32 bits, of
//     which NVGRE uses the upper 24. ERSPAN has its session as the id. PPTP's
//     and RFC 1701's source-routed GRE are not entered.
//   - vxlan is told by the ports 4789 and 8472, and 4790 for VXLAN-GPE; geneve
//     by 6081; gtp-u by 2152, of which only G-PDUs with IP are entered.
//   - srv6 has a segment routing header around IP or Ethernet; the tunnel's
//     end is the last segment. IP in IPv6 without that header may be SRv6 with
//     a single segment: it is srv6 if ipip is not in the set.
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
