package packet

import (
	"encoding/binary"

	"github.com/minamo-flow/minamo/flow"
)

// The columns that come together.
var (
	macColumns    = flow.MaskOf(flow.SrcMAC, flow.DstMAC)
	ip4Columns    = flow.MaskOf(flow.SrcAddr, flow.DstAddr, flow.Protocol, flow.TOS, flow.TTL, flow.FragmentID, flow.FragmentOffset)
	ip6Columns    = flow.MaskOf(flow.SrcAddr, flow.DstAddr, flow.TOS, flow.TTL, flow.FlowLabel)
	fragColumns   = flow.MaskOf(flow.FragmentID, flow.FragmentOffset)
	portColumns   = flow.MaskOf(flow.SrcPort, flow.DstPort)
	tcpColumns    = flow.MaskOf(flow.SrcPort, flow.DstPort, flow.TCPFlags)
	tunnelColumns = flow.MaskOf(flow.Tunnel, flow.TunnelSrcAddr, flow.TunnelDstAddr)
	icmpColumns   = flow.MaskOf(flow.ICMPType, flow.ICMPCode)
)

// Parse finds the headers of the packet p and sets the columns they hold in
// row i of b: addresses, protocol, ports, TCP flags, ICMP type and code, ToS,
// TTL, fragment, flow label, EtherType, MAC addresses, VLANs, MPLS labels. It
// does not set packets and bytes; the Layout's Length is what an IP packet
// counts for.
//
//   - src_vlan is the outermost tag's: the one the device's own interface
//     carries. customer_vlan is the tag behind it. The priority tag, VLAN 0,
//     is no VLAN and stays absent.
//   - An Ethernet pseudowire is looked through where its frame is IP: the IP
//     columns are its own, and its tag is the customer's. MAC addresses,
//     EtherType and src_vlan stay those of the frame that came in, if there
//     is one.
//   - IPv6 extension headers, AH among them, are skipped; protocol is what
//     follows. IPv4 knows no extension headers: AH is its protocol.
//   - The ports of a fragment are in its first one only.
//   - tcp_flags are the twelve bits behind the data offset, as tcpControlBits
//     (RFC 9565). IGMP's type is none of ICMP's and has no column.
func Parse(b *flow.Batch, i int, link Link, p []byte) (l Layout) {
	l.locate(link, p)
	l.columns(b, i, p)
	return l
}

// Parse is the function Parse, with the parser's tunnels and extracts. The
// Layout is that of the innermost packet, its Length that of the outermost.
func (q *Parser) Parse(b *flow.Batch, i int, link Link, p []byte) (l Layout) {
	l.locate(link, p)
	if q != nil && q.Tunnels != 0 {
		l.enter(p, q.Tunnels, maxTunnels)
	}
	l.columns(b, i, p)
	if q != nil {
		for n := range q.Extracts {
			q.Extracts[n].extract(b, i, &l, p)
		}
	}
	return l
}

// columns sets the columns of what the headers hold.
func (l *Layout) columns(b *flow.Batch, i int, p []byte) {
	present := &b.Present[i]
	if l.HasMAC {
		addresses := p[l.Frame : l.Frame+12]
		b.U64(flow.DstMAC)[i] = binary.BigEndian.Uint64(addresses) >> 16
		b.U64(flow.SrcMAC)[i] = binary.BigEndian.Uint64(addresses[4:]) & (1<<48 - 1)
		present.Or(macColumns)
	}
	if l.Tags > 0 {
		if id := be16(p, l.VLAN) & 0xfff; id != 0 {
			b.U16(flow.SrcVLAN)[i] = id
			present.Add(flow.SrcVLAN)
		}
	}
	if l.Customer > 0 {
		if id := be16(p, l.Customer) & 0xfff; id != 0 {
			b.U16(flow.CustomerVLAN)[i] = id
			present.Add(flow.CustomerVLAN)
		}
	}
	if l.Tunnel > 0 {
		l.tunnelColumns(b, i, p)
	}
	if l.EtherType != 0 {
		b.U16(flow.EtherType)[i] = l.EtherType
		present.Add(flow.EtherType)
	}
	for n := range min(l.Labels, 10) {
		column := flow.MPLSLabel1 + flow.Column(n)
		b.U32(column)[i] = be32(p, l.MPLS+4*n) >> 12
		present.Add(column)
	}
	switch l.Version {
	case 4:
		parse4(b, i, p[l.Network:])
	case 6:
		parse6(b, i, p[l.Network:])
		if l.FragmentHeader > 0 {
			b.U16(flow.FragmentOffset)[i] = l.FragmentOffset
			b.U32(flow.FragmentID)[i] = be32(p, l.FragmentHeader+4)
			present.Or(fragColumns)
		}
		if l.HasProtocol {
			b.U8(flow.Protocol)[i] = l.Protocol
			present.Add(flow.Protocol)
		}
	default:
		return
	}
	if l.HasProtocol && l.Payload > 0 && l.FragmentOffset == 0 {
		parseTransport(b, i, l.Protocol, p[l.Payload:l.end])
	}
}

func parse4(b *flow.Batch, i int, h []byte) {
	if len(h) < 20 {
		parse4Truncated(b, i, h)
		return
	}
	b.U8(flow.TOS)[i] = h[1]
	b.U32(flow.FragmentID)[i] = uint32(be16(h, 4))
	b.U16(flow.FragmentOffset)[i] = be16(h, 6) & 0x1fff
	b.U8(flow.TTL)[i] = h[8]
	b.U8(flow.Protocol)[i] = h[9]
	mapped(&b.Addr(flow.SrcAddr)[i], be32(h, 12))
	mapped(&b.Addr(flow.DstAddr)[i], be32(h, 16))
	b.Present[i].Or(ip4Columns)
}

// mapped sets a to the IPv4-mapped form of v, in two words: made byte by byte
// and then copied, an address costs ten times as much.
func mapped(a *flow.Addr, v uint32) {
	binary.BigEndian.PutUint64(a[:8], 0)
	binary.BigEndian.PutUint64(a[8:], 0xffff<<32|uint64(v))
}

func parse4Truncated(b *flow.Batch, i int, h []byte) {
	if len(h) >= 2 {
		b.SetUint(flow.TOS, i, uint64(h[1]))
	}
	if len(h) >= 6 {
		b.SetUint(flow.FragmentID, i, uint64(be16(h, 4)))
	}
	if len(h) >= 8 {
		b.SetUint(flow.FragmentOffset, i, uint64(be16(h, 6)&0x1fff))
	}
	if len(h) >= 9 {
		b.SetUint(flow.TTL, i, uint64(h[8]))
	}
	if len(h) >= 10 {
		b.SetUint(flow.Protocol, i, uint64(h[9]))
	}
	if len(h) >= 16 {
		b.SetAddr(flow.SrcAddr, i, flow.AddrFrom4([4]byte(h[12:16])))
	}
}

func parse6(b *flow.Batch, i int, h []byte) {
	if len(h) < 40 {
		parse6Truncated(b, i, h)
		return
	}
	word := be32(h, 0)
	b.U8(flow.TOS)[i] = uint8(word >> 20)
	b.U32(flow.FlowLabel)[i] = word & 0xfffff
	b.U8(flow.TTL)[i] = h[7]
	b.Addr(flow.SrcAddr)[i] = flow.Addr(h[8:24])
	b.Addr(flow.DstAddr)[i] = flow.Addr(h[24:40])
	b.Present[i].Or(ip6Columns)
}

func parse6Truncated(b *flow.Batch, i int, h []byte) {
	if len(h) >= 4 {
		word := be32(h, 0)
		b.SetUint(flow.TOS, i, uint64(uint8(word>>20)))
		b.SetUint(flow.FlowLabel, i, uint64(word&0xfffff))
	}
	if len(h) >= 8 {
		b.SetUint(flow.TTL, i, uint64(h[7]))
	}
	if len(h) >= 24 {
		b.SetAddr(flow.SrcAddr, i, flow.Addr(h[8:24]))
	}
}

func parseTransport(b *flow.Batch, i int, protocol uint8, h []byte) {
	switch protocol {
	case TCP:
		if len(h) >= 14 {
			b.U16(flow.SrcPort)[i] = be16(h, 0)
			b.U16(flow.DstPort)[i] = be16(h, 2)
			b.U16(flow.TCPFlags)[i] = be16(h, 12) & 0xfff
			b.Present[i].Or(tcpColumns)
			return
		}
		parsePorts(b, i, h)
	case UDP, SCTP, DCCP, UDPLite:
		parsePorts(b, i, h)
	case ICMP, ICMPv6:
		if len(h) >= 2 {
			b.U8(flow.ICMPType)[i] = h[0]
			b.U8(flow.ICMPCode)[i] = h[1]
			b.Present[i].Or(icmpColumns)
		} else if len(h) == 1 {
			b.SetUint(flow.ICMPType, i, uint64(h[0]))
		}
	}
}

func parsePorts(b *flow.Batch, i int, h []byte) {
	if len(h) >= 4 {
		b.U16(flow.SrcPort)[i] = be16(h, 0)
		b.U16(flow.DstPort)[i] = be16(h, 2)
		b.Present[i].Or(portColumns)
	} else if len(h) >= 2 {
		b.SetUint(flow.SrcPort, i, uint64(be16(h, 0)))
	}
}

// tunnelColumns tells of the tunnel that the packet was taken out of.
func (l *Layout) tunnelColumns(b *flow.Batch, i int, p []byte) {
	b.U8(flow.Tunnel)[i] = l.Tunnel
	if l.tunnelHasID {
		b.U32(flow.TunnelID)[i] = l.tunnelID
		b.Present[i].Add(flow.TunnelID)
	}
	src, dst := &b.Addr(flow.TunnelSrcAddr)[i], &b.Addr(flow.TunnelDstAddr)[i]
	if l.tunnelIP == 4 {
		mapped(src, be32(p, int(l.tunnelSrc)))
		mapped(dst, be32(p, int(l.tunnelDst)))
	} else {
		*src, *dst = flow.Addr(p[l.tunnelSrc:]), flow.Addr(p[l.tunnelDst:])
	}
	b.Present[i].Or(tunnelColumns)
}
