// Package packet reads the headers of a captured or sampled packet.
//
// Locate walks the headers once and tells where they lie; Parse does that and
// copies what they say into the columns of a flow record. sFlow's raw headers
// go through Parse; capture files (wire/pcap) use Locate to find UDP.
//
// Headers may be cut off anywhere: what is there is given, what is missing is
// absent. Nothing here panics, allocates or takes more than time linear in the
// length of the header, whatever the bytes are. Tunnels are not entered.
package packet

import "encoding/binary"

// Link is the type of a packet's first header, by its number in the registry
// of capture files' link-layer types.
type Link uint16

const (
	Null      Link = 0   // BSD loopback: four bytes of address family
	Ethernet  Link = 1   // IEEE 802.3
	PPP       Link = 9   // RFC 1661, with or without the bytes of RFC 1662
	RawBSD    Link = 12  // Raw, as some systems number it
	RawOBSD   Link = 14  // Raw, as OpenBSD numbers it
	PPPHDLC   Link = 50  // PPP in HDLC-like framing, RFC 1662
	Raw       Link = 101 // IPv4 or IPv6, told apart by the version
	CiscoHDLC Link = 104 // Cisco HDLC
	Loop      Link = 108 // OpenBSD loopback: as Null
	SLL       Link = 113 // Linux "cooked" capture
	MPLS      Link = 219 // label stack first
	IPv4      Link = 228
	IPv6      Link = 229
	SLL2      Link = 276 // Linux "cooked" capture, version 2
)

// EtherTypes that Locate looks behind.
const (
	etherIPv4    = 0x0800
	etherIPv6    = 0x86dd
	etherVLAN    = 0x8100
	etherQinQ    = 0x88a8
	etherOldQinQ = 0x9100
	etherMPLS    = 0x8847
	etherMPLSMul = 0x8848
	etherPPPoE   = 0x8864
)

// Protocol numbers that Locate and Parse know.
const (
	ICMP     = 1
	TCP      = 6
	UDP      = 17
	DCCP     = 33
	ICMPv6   = 58
	SCTP     = 132
	UDPLite  = 136
	hopByHop = 0
	routing  = 43
	fragment = 44
	authHdr  = 51
	destOpts = 60
)

// Layout tells where the headers of a packet lie, as offsets into its bytes.
// The zero Layout knows nothing.
type Layout struct {
	HasMAC    bool   // the packet begins with an Ethernet header, all 12 bytes of its addresses present
	Tags      int    // number of VLAN tags
	VLAN      int    // offset of the outermost tag's two bytes, if Tags > 0
	EtherType uint16 // of the payload behind the tags; 0 if unknown
	Labels    int    // number of MPLS labels
	MPLS      int    // offset of the top label, if Labels > 0
	Network   int    // offset behind the link layer's headers
	Version   uint8  // of IP, whose header is at Network: 4, 6, or 0 for another protocol

	// Length is the length of the IP packet, header included, by its own
	// word; 0 where it does not say (truncated, segmentation offload, jumbogram).
	Length int

	HasProtocol    bool // Protocol is known
	Protocol       uint8
	Fragmented     bool   // the packet is a fragment
	MoreFragments  bool   // and not the last one
	FragmentOffset uint16 // in units of 8 bytes
	FragmentHeader int    // offset of IPv6's fragment header, else 0

	// Payload is the offset behind the IP headers, extension headers
	// included; 0 if they are cut off. It holds a transport header only if
	// FragmentOffset is 0.
	Payload int
}

// Known tells whether Locate can read packets of this link type.
func (l Link) Known() bool {
	switch l {
	case Null, Ethernet, PPP, RawBSD, RawOBSD, PPPHDLC, Raw, CiscoHDLC, Loop, SLL, MPLS, IPv4, IPv6, SLL2:
		return true
	}
	return false
}

// Locate finds the headers of the packet p.
func Locate(link Link, p []byte) (l Layout) {
	l.locate(link, p)
	return l
}

func (l *Layout) locate(link Link, p []byte) {
	switch link {
	case Ethernet:
		if len(p) < 14 {
			l.HasMAC = len(p) >= 12
			l.Network = len(p)
			return
		}
		l.HasMAC = true
		l.behind(p, be16(p, 12), 14)
	case Raw, RawBSD, RawOBSD, IPv4, IPv6:
		l.ip(p, 0)
	case Null, Loop:
		l.ip(p, 4) // the family's numbers differ by system, and so does their byte order
	case SLL:
		l.etherType(p, 14)
	case SLL2:
		if len(p) >= 20 {
			l.behind(p, be16(p, 0), 20)
		}
	case PPP, PPPHDLC:
		l.ppp(p, 0)
	case CiscoHDLC:
		l.etherType(p, 2)
	case MPLS:
		l.mpls(p, 0)
	}
}

func be16(p []byte, at int) uint16 { return binary.BigEndian.Uint16(p[at:]) }
func be32(p []byte, at int) uint32 { return binary.BigEndian.Uint32(p[at:]) }

// etherType continues behind the EtherType at offset at.
func (l *Layout) etherType(p []byte, at int) {
	if at+2 > len(p) {
		l.Network = len(p)
		return
	}
	l.behind(p, be16(p, at), at+2)
}

// behind continues at offset at with what the EtherType announced.
func (l *Layout) behind(p []byte, etherType uint16, at int) {
	for etherType == etherVLAN || etherType == etherQinQ || etherType == etherOldQinQ {
		if at+2 > len(p) {
			l.Network = len(p)
			return
		}
		if l.Tags == 0 {
			l.VLAN = at
		}
		l.Tags++
		if at+4 > len(p) {
			l.Network = len(p)
			return
		}
		etherType = be16(p, at+2)
		at += 4
	}
	l.Network = min(at, len(p))
	if etherType < 0x600 { // a length: LLC follows
		if at+8 > len(p) || be32(p, at) != 0xaaaa0300 || be16(p, at+4) != 0 {
			return
		}
		etherType = be16(p, at+6) // SNAP
		at += 8
	}
	l.EtherType = etherType
	switch etherType {
	case etherIPv4, etherIPv6:
		l.ip(p, at)
	case etherMPLS, etherMPLSMul:
		l.mpls(p, at)
	case etherPPPoE:
		l.ppp(p, at+6)
	default:
		l.Network = min(at, len(p))
	}
}

func (l *Layout) ppp(p []byte, at int) {
	if at+2 <= len(p) && be16(p, at) == 0xff03 { // address and control (RFC 1662)
		at += 2
	}
	l.Network = min(at+2, len(p))
	if at+2 > len(p) {
		return
	}
	switch be16(p, at) {
	case 0x0021, 0x0057:
		l.ip(p, at+2)
	case 0x0281, 0x0283:
		l.mpls(p, at+2)
	}
}

// mpls walks the label stack. What lies below it is not named; IP is
// recognised by its version (RFC 4928 §3 keeps others from looking like it).
func (l *Layout) mpls(p []byte, at int) {
	l.MPLS = at
	for at+4 <= len(p) {
		bottom := p[at+2]&1 != 0
		l.Labels++
		at += 4
		if bottom {
			l.ip(p, at)
			return
		}
	}
	l.Network = len(p)
}

func (l *Layout) ip(p []byte, at int) {
	l.Network = min(at, len(p))
	if at >= len(p) {
		return
	}
	switch p[at] >> 4 {
	case 4:
		l.Version = 4
		l.ip4(p, at)
	case 6:
		l.Version = 6
		l.ip6(p, at)
	}
}

func (l *Layout) ip4(p []byte, at int) {
	h := p[at:]
	if len(h) >= 4 {
		l.Length = int(be16(h, 2))
	}
	if len(h) >= 8 {
		l.fragment(be16(h, 6)&0x1fff, h[6]&0x20 != 0)
	}
	if len(h) >= 10 {
		l.HasProtocol, l.Protocol = true, h[9]
	}
	if header := int(h[0]&15) * 4; header >= 20 && len(h) >= header {
		l.Payload = at + header
	}
}

func (l *Layout) fragment(offset uint16, more bool) {
	l.FragmentOffset = offset
	l.MoreFragments = more
	l.Fragmented = more || offset > 0
}

func (l *Layout) ip6(p []byte, at int) {
	h := p[at:]
	if len(h) >= 6 {
		if n := int(be16(h, 4)); n > 0 {
			l.Length = 40 + n
		}
	}
	if len(h) < 7 {
		return
	}
	next := h[6]
	at += 40
	for {
		switch next {
		default:
			l.HasProtocol, l.Protocol = true, next
			if at <= len(p) {
				l.Payload = at
			}
			return
		case hopByHop, routing, destOpts, authHdr:
			if l.FragmentOffset > 0 || at+2 > len(p) {
				// The rest of the chain is in another fragment, or cut off:
				// what the packet carries stays unknown.
				if at <= len(p) {
					l.Payload = at
				}
				return
			}
			size := (int(p[at+1]) + 1) * 8
			if next == authHdr {
				size = (int(p[at+1]) + 2) * 4
			}
			next = p[at]
			at += size
		case fragment:
			if l.FragmentHeader > 0 || at+8 > len(p) {
				return
			}
			l.FragmentHeader = at
			word := be16(p, at+2)
			l.fragment(word>>3, word&1 != 0)
			next = p[at]
			at += 8
		}
	}
}
