package packet

import "github.com/minamo-flow/minamo/flow"

// maxTunnels bounds how many tunnels are entered, one inside the other.
const maxTunnels = 8

// Destination ports of UDP that carry a tunnel.
const (
	portGTPU       = 2152
	portVXLAN      = 4789
	portVXLANGPE   = 4790 // draft-ietf-nvo3-vxlan-gpe
	portVXLANLinux = 8472 // before the port was assigned; still Linux's default
	portGeneve     = 6081
)

// EtherTypes in tunnels only.
const (
	etherBridged = 0x6558 // an Ethernet frame
	etherERSPAN  = 0x88be // ERSPAN type I or II
	etherERSPAN3 = 0x22eb
	etherWCCP    = 0x883e
)

// enter goes into the tunnels of the set, one inside the other, and tells how
// many there were, at most the given number.
func (l *Layout) enter(p []byte, tunnels Tunnels, most int) (entered int) {
	for entered < most && l.Payload > 0 && l.HasProtocol && l.FragmentOffset == 0 && l.tunnel(p[:l.end], tunnels) {
		entered++
	}
	return entered
}

// tunnel enters one tunnel, if the packet is one of the set.
func (l *Layout) tunnel(p []byte, tunnels Tunnels) bool {
	at := l.Payload
	switch l.Protocol {
	case ip4In:
		return l.inside(p, tunnels, l.plain(tunnels), noID, etherIPv4, at)
	case ip6In:
		return l.inside(p, tunnels, l.plain(tunnels), noID, etherIPv6, at)
	case etherIn: // RFC 8986 §10.1
		return l.Version == 6 && l.inside(p, tunnels, flow.TunnelSRv6, noID, etherBridged, at)
	case gre:
		return tunnels.Has(flow.TunnelGRE) && l.gre(p, tunnels, at)
	case UDP:
		if at+16 > len(p) {
			return false
		}
		switch be16(p, at+2) {
		case portVXLAN, portVXLANLinux:
			return p[at+8]&8 != 0 && l.inside(p, tunnels, flow.TunnelVXLAN, int64(be32(p, at+12)>>8), etherBridged, at+16)
		case portVXLANGPE:
			return p[at+8]&12 == 12 && l.inside(p, tunnels, flow.TunnelVXLAN, int64(be32(p, at+12)>>8), gpeTypes[p[at+11]], at+16)
		case portGeneve:
			return p[at+8]>>6 == 0 && l.inside(p, tunnels, flow.TunnelGeneve, int64(be32(p, at+12)>>8), be16(p, at+10), at+16+int(p[at+8]&63)*4)
		case portGTPU:
			return l.gtpu(p, tunnels, at+8)
		}
	}
	return false
}

// gpeTypes are the EtherTypes of VXLAN-GPE's next protocols.
var gpeTypes = [256]uint16{1: etherIPv4, 2: etherIPv6, 3: etherBridged, 5: etherMPLS}

// plain is the kind of a tunnel that has no header of its own. What SRv6
// sends to a single segment (H.Encaps.Red, RFC 8986 §5.2) looks like any IP in
// IPv6; it is called so where the operator wants to see that.
func (l *Layout) plain(tunnels Tunnels) uint8 {
	switch {
	case l.Version == 4 && l.Protocol == ip6In:
		return flow.Tunnel6in4
	case l.Version == 6 && (l.segments > 0 || !tunnels.Has(flow.TunnelIPIP)):
		return flow.TunnelSRv6
	}
	return flow.TunnelIPIP
}

// gre reads the header of RFC 2784 and RFC 2890. Their reserved bits would
// mean RFC 1701's source routes; version 1 is PPTP's.
func (l *Layout) gre(p []byte, tunnels Tunnels, at int) bool {
	if at+4 > len(p) {
		return false
	}
	flags, etherType := be16(p, at), be16(p, at+2)
	if flags&0x4c07 != 0 {
		return false
	}
	at += 4
	if flags&0x8000 != 0 { // checksum
		at += 4
	}
	id := int64(noID)
	if flags&0x2000 != 0 { // key
		if at+4 > len(p) {
			return false
		}
		id = int64(be32(p, at))
		at += 4
	}
	sequence := flags&0x1000 != 0
	if sequence {
		at += 4
	}
	switch etherType {
	case etherWCCP: // version 2 has a header of its own before IPv4
		if at < len(p) && p[at]>>4 != 4 {
			at += 4
		}
		etherType = etherIPv4
	case etherERSPAN:
		if sequence { // type II, else type I without a header
			if at+8 > len(p) {
				return false
			}
			id = int64(be16(p, at+2) & 0x3ff)
			at += 8
		}
		etherType = etherBridged
	case etherERSPAN3:
		if at+12 > len(p) || p[at+10]>>2&31 != 0 { // the frame's type is Ethernet
			return false
		}
		id = int64(be16(p, at+2) & 0x3ff)
		at += 12 + int(p[at+11]&1)*8 // and a platform's own header
		etherType = etherBridged
	}
	return l.inside(p, tunnels, flow.TunnelGRE, id, etherType, at)
}

// gtpu reads the header of 3GPP TS 29.281 §5. Only a G-PDU carries a packet.
func (l *Layout) gtpu(p []byte, tunnels Tunnels, at int) bool {
	const gPDU = 255
	flags := p[at]
	if flags>>4 != 3 || p[at+1] != gPDU { // version 1, protocol type GTP
		return false
	}
	id := int64(be32(p, at+4))
	at += 8
	if flags&7 != 0 { // next extension header, sequence number, N-PDU number: all or none
		at += 4
		for flags&4 != 0 {
			if at > len(p) {
				return false
			}
			if p[at-1] == 0 { // no more extension headers
				break
			}
			if at == len(p) || p[at] == 0 {
				return false
			}
			at += int(p[at]) * 4
		}
	}
	if at >= len(p) {
		return false
	}
	etherType := uint16(etherIPv4)
	if p[at]>>4 == 6 {
		etherType = etherIPv6
	}
	return l.inside(p, tunnels, flow.TunnelGTPU, id, etherType, at)
}

// noID stands for the id of a tunnel that has none.
const noID = -1

// inside goes on with the packet at offset at, unless it is not what the
// EtherType says, or the tunnel is not in the set.
func (l *Layout) inside(p []byte, tunnels Tunnels, kind uint8, id int64, etherType uint16, at int) bool {
	if !tunnels.Has(kind) || at >= len(p) {
		return false
	}
	var in Layout
	switch etherType {
	case etherBridged:
		in.ethernet(p, at)
		if !in.HasMAC {
			return false
		}
	case etherIPv4, etherIPv6:
		version := uint8(4)
		if etherType == etherIPv6 {
			version = 6
		}
		if p[at]>>4 != version {
			return false
		}
		in.ip(p, at)
	case etherMPLS, etherMPLSMul:
		in.mpls(p, at)
		if in.Version == 0 {
			return false
		}
	default:
		return false
	}
	if !in.HasMAC {
		in.HasMAC, in.Frame, in.Tags, in.VLAN, in.Customer, in.EtherType = l.HasMAC, l.Frame, l.Tags, l.VLAN, l.Customer, l.EtherType
	}
	if in.Labels == 0 {
		in.Labels, in.MPLS = l.Labels, l.MPLS
	}
	in.Tunnel, in.tunnelIP, in.tunnelHasID, in.tunnelID = kind, l.Version, id != noID, uint32(id)
	src, dst := l.Network+8, l.Network+24
	switch {
	case l.Version == 4:
		src, dst = l.Network+12, l.Network+16
	case kind == flow.TunnelSRv6 && l.segments > 0 && p[l.segments+1] >= 2:
		// The last segment comes first; the header's own destination is a
		// station on the way (RFC 8754 §2).
		dst = int(l.segments) + 8
	}
	in.tunnelSrc, in.tunnelDst = uint32(src), uint32(dst)
	in.Outermost, in.Length = l.Outermost, l.Length
	*l = in
	return true
}
