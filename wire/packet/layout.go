// Package packet reads the headers of a captured or sampled packet.
//
// Locate walks the headers once and tells where they lie; Parse does that and
// copies what they say into the columns of a flow record. A Parser also takes
// packets out of tunnels, and copies bits of them into columns of the
// operator's own. sFlow's raw headers and IPFIX's packet sections go through a
// Parser; capture files (wire/pcap) use Locate to find UDP.
//
// Headers may be cut off anywhere: what is there is given, what is missing is
// absent. Nothing here panics, allocates or takes more than time linear in the
// length of the header, whatever the bytes are. What lies behind the end of an
// IP packet is padding and never read.
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
	ip4In    = 4
	ip6In    = 41
	routing  = 43
	fragment = 44
	gre      = 47
	authHdr  = 51
	noNext   = 59
	destOpts = 60
	mobility = 135
	hip      = 139
	shim6    = 140
	etherIn  = 143
)

// Layout tells where the headers of a packet lie, as offsets into its bytes.
// The zero Layout knows nothing.
//
// Where a tunnel was entered it is the inner packet's; of the link layer each
// header is the innermost of its kind, so that of a packet that tunnels IP
// without Ethernet the outer frame's addresses, tags and labels remain.
type Layout struct {
	HasMAC    bool   // there is an Ethernet header at Frame, all 12 bytes of its addresses present
	Version   uint8  // of IP, whose header is at Network: 4, 6, or 0 for another protocol
	EtherType uint16 // of the payload behind the tags; 0 if unknown
	Frame     int    // offset of the link layer's first header
	Tags      int    // number of VLAN tags
	VLAN      int    // offset of the outermost tag's two bytes, if Tags > 0
	Customer  int    // offset of the inner tag's two bytes, else 0
	Labels    int    // number of MPLS labels
	MPLS      int    // offset of the top label, if Labels > 0
	Network   int    // offset behind the link layer's headers

	// Length is the length of the IP packet, header included, by its own
	// word; 0 where it does not say (truncated, segmentation offload, jumbogram).
	// It is the outermost packet's, whose header is at Outermost: looking
	// inside does not change the volume.
	Length    int
	Outermost int

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

	end        int    // of the IP packet, or of what there is of it
	segments   uint32 // offset of IPv6's segment routing header, else 0
	pseudowire bool   // the frame is one in a pseudowire

	Tunnel      uint8 // code of flow.Tunnel: what the packet was taken out of, 0 for nothing
	tunnelIP    uint8 // version of the tunnel's IP header
	tunnelHasID bool
	tunnelID    uint32
	tunnelSrc   uint32 // offset of the address where it begins
	tunnelDst   uint32 // and of the one where it ends
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
	l.link(link, p)
	l.Outermost = l.Network
}

// link begins with the first header.
func (l *Layout) link(link Link, p []byte) {
	switch link {
	case Ethernet:
		l.ethernet(p, 0)
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

// ethernet reads a frame without preamble and check sequence.
func (l *Layout) ethernet(p []byte, at int) {
	l.Frame = at
	if at+14 <= len(p) {
		l.HasMAC = true
		l.behind(p, be16(p, at+12), at+14)
		return
	}
	l.HasMAC = at+12 <= len(p)
	l.Network = len(p)
}

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
		switch l.Tags {
		case 0:
			l.VLAN = at
		case 1:
			l.Customer = at
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

// ppp reads a frame whose address and control (RFC 1662), and the first byte
// of whose protocol (RFC 1661 §6.5), may have been left out.
func (l *Layout) ppp(p []byte, at int) {
	if at+2 <= len(p) && be16(p, at) == 0xff03 {
		at += 2
	}
	var protocol uint16
	switch {
	case at < len(p) && p[at]&1 != 0:
		protocol = uint16(p[at])
		at++
	case at+2 <= len(p):
		protocol = be16(p, at)
		at += 2
	default:
		at = len(p)
	}
	l.Network = at
	switch protocol {
	case 0x0021, 0x0057:
		l.ip(p, at)
	case 0x0281, 0x0283:
		l.mpls(p, at)
	}
}

// mpls walks the label stack. What lies below it is not named; IP is
// recognised by its version (RFC 4928 §3 keeps others from looking like it).
func (l *Layout) mpls(p []byte, at int) {
	l.Labels, l.MPLS = 0, at
	for at+4 <= len(p) {
		bottom := p[at+2]&1 != 0
		l.Labels++
		at += 4
		if bottom {
			l.ip(p, at)
			if l.Version == 0 && !l.pseudowire {
				l.wire(p, at)
			}
			return
		}
	}
	l.Network = len(p)
}

// wire looks for IP in the frames of an Ethernet pseudowire (RFC 4448). Nothing
// tells what a label stands for, nor whether there is a control word (RFC
// 4385): 16 zero bits and a sequence number, which the addresses of a frame
// without one may look like too. So a frame counts only if its EtherTypes lead
// to IP, and with the control word first. The first nibble 1 is that of an
// associated channel.
func (l *Layout) wire(p []byte, at int) {
	if at >= len(p) || p[at]>>4 == 1 {
		return
	}
	frame := Layout{pseudowire: true}
	if at+4 <= len(p) && be16(p, at) == 0 {
		frame.ethernet(p, at+4)
		if frame.Network == len(p) && frame.Version == 0 {
			return // too little to tell
		}
	}
	if frame.Version == 0 {
		frame = Layout{pseudowire: true}
		frame.ethernet(p, at)
	}
	if frame.Version == 0 {
		return
	}
	outer := *l
	*l = frame
	l.Labels, l.MPLS = outer.Labels, outer.MPLS
	if outer.HasMAC {
		// The columns tell of the frame that came in; its customer's frame
		// gives the customer's tag.
		l.Frame, l.Tags, l.VLAN, l.Customer, l.EtherType = outer.Frame, outer.Tags, outer.VLAN, outer.Customer, outer.EtherType
		if l.Customer == 0 && frame.Tags > 0 {
			l.Customer = frame.VLAN
		}
	}
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
	l.end = len(p)
	header := int(h[0]&15) * 4
	if len(h) < 20 {
		l.ip4Truncated(h)
		return
	}
	l.Length = int(be16(h, 2))
	if l.Length >= header {
		l.end = min(l.end, at+l.Length) // behind it lies padding
	}
	if word := be16(h, 6); word&0x3fff != 0 {
		l.fragment(word&0x1fff, word&0x2000 != 0)
	}
	l.HasProtocol, l.Protocol = true, h[9]
	if header >= 20 && len(h) >= header {
		l.Payload = at + header
	}
}

func (l *Layout) ip4Truncated(h []byte) {
	if len(h) >= 4 {
		l.Length = int(be16(h, 2))
	}
	if len(h) >= 8 {
		l.fragment(be16(h, 6)&0x1fff, h[6]&0x20 != 0)
	}
	if len(h) >= 10 {
		l.HasProtocol, l.Protocol = true, h[9]
	}
}

func (l *Layout) fragment(offset uint16, more bool) {
	l.FragmentOffset = offset
	l.MoreFragments = more
	l.Fragmented = more || offset > 0
}

func (l *Layout) ip6(p []byte, at int) {
	h := p[at:]
	l.end = len(p)
	if len(h) >= 6 {
		if n := int(be16(h, 4)); n > 0 {
			l.Length = 40 + n
			l.end = min(l.end, at+l.Length)
		}
	}
	if len(h) < 7 {
		return
	}
	next := h[6]
	p = p[:l.end]
	at += 40
	for {
		switch next {
		default:
			l.HasProtocol, l.Protocol = true, next
			if at <= len(p) {
				l.Payload = at
			}
			return
		case hopByHop, routing, destOpts, authHdr, mobility, hip, shim6:
			if l.FragmentOffset > 0 || at+2 > len(p) {
				// The rest of the chain is in another fragment, or cut off:
				// what the packet carries stays unknown.
				if at <= len(p) {
					l.Payload = at
				}
				return
			}
			size := (int(p[at+1]) + 1) * 8
			switch next {
			case authHdr:
				size = (int(p[at+1]) + 2) * 4
			case routing:
				if at+size <= len(p) && p[at+2] == 4 {
					l.segments = uint32(at)
				}
			case mobility, hip, shim6:
				if p[at] == noNext { // they are what the packet carries
					l.HasProtocol, l.Protocol, l.Payload = true, next, at
					return
				}
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
