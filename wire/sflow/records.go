package sflow

import (
	"encoding/binary"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/wire/packet"
)

// Formats of flow records, enterprise 0.
const (
	rawHeader       = 1
	ethernetHeader  = 2
	ip4Header       = 3
	ip6Header       = 4
	extendedSwitch  = 1001
	extendedRouter  = 1002
	extendedGateway = 1003
	extendedNAT     = 1007
	extendedNATPort = 1020
)

// fixedSize is the size of a format's records if they all have the same, else 0.
func fixedSize(format uint32) uint32 {
	switch format {
	case ethernetHeader:
		return 24
	case ip4Header:
		return 32
	case ip6Header:
		return 56
	case extendedSwitch:
		return 16
	case extendedNATPort:
		return 8
	}
	return 0
}

// sampled is what a sample's records say about its packet besides columns.
// A raw header knows its packet's length best, an Ethernet record least.
type sampled struct {
	seen     bool // there was a record of the packet itself
	header   int  // layer-3 length by the raw header
	ip       int  // by an IP record
	ethernet int  // by an Ethernet record
	vlan     bool
	vlans    [2]uint32 // by a switch record: incoming, outgoing
}

// flowRecords decodes the records of a flow sample into row i.
func (m *Message) flowRecords(b *flow.Batch, i int, records []byte, count uint32) {
	var s sampled
	for ; count > 0 && len(records) >= 8; count-- {
		format := binary.BigEndian.Uint32(records)
		var record []byte
		record, records = m.cut(records, fixedSize(format), RecordTruncated)
		if format == rawHeader {
			m.rawHeader(b, i, &s, record)
		} else {
			m.flowRecord(b, i, &s, format, record)
		}
	}
	m.recordsEnd(count, records)

	length := s.header
	if length == 0 {
		if length = s.ip; length == 0 {
			length = s.ethernet
		}
	}
	b.U64(flow.Bytes)[i] = uint64(length)
	if !s.seen {
		m.Problems[HeaderMissing]++
	}
	if s.vlan {
		s.setVLANs(b, i)
	}
}

// setVLANs prefers the device's own word to the header's tag: it knows an
// untagged port's VLAN too. But its 0, "none", doesn't undo a tag.
func (s *sampled) setVLANs(b *flow.Batch, i int) {
	const none = 0xfff // the record has 2^32-1 for "unknown"; anything from 4095 on is no VLAN
	if in := s.vlans[0]; in < none && (in > 0 || !b.Present[i].Has(flow.SrcVLAN)) {
		b.U16(flow.SrcVLAN)[i] = uint16(in)
		b.Present[i].Add(flow.SrcVLAN)
	}
	if out := s.vlans[1]; out < none {
		b.U16(flow.DstVLAN)[i] = uint16(out)
		b.Present[i].Add(flow.DstVLAN)
	}
}

// rawHeader decodes the first bytes of the sampled packet.
func (m *Message) rawHeader(b *flow.Batch, i int, s *sampled, record []byte) {
	if len(record) < 16 {
		m.Problems[RecordShort]++
		return
	}
	protocol := binary.BigEndian.Uint32(record)
	frame := int64(binary.BigEndian.Uint32(record[4:]))
	stripped := int64(binary.BigEndian.Uint32(record[8:]))
	size := binary.BigEndian.Uint32(record[12:])
	header := record[16:]
	if uint64(size) <= uint64(len(header)) {
		header = header[:size]
	} else {
		m.Problems[RecordTruncated]++
	}
	link, known := linkOf(protocol)
	if !known {
		m.Problems[RecordSkipped]++
		return
	}
	l := packet.Parse(b, i, link, header)
	s.seen = true
	s.header = l.Length
	if l.Length == 0 {
		s.header = int(max(0, frame-stripped-int64(l.Network)))
	}
}

// flowRecord decodes any other record.
func (m *Message) flowRecord(b *flow.Batch, i int, s *sampled, format uint32, record []byte) {
	d := reader{record, true}
	switch format {
	case ethernetHeader:
		frame, src, dst, etherType := d.uint32(), d.bytes(8), d.bytes(8), d.uint32()
		if d.ok {
			s.ethernetRecord(b, i, frame, src, dst, etherType)
		}
	case ip4Header:
		length, protocol, src, dst := d.uint32(), d.uint32(), d.bytes(4), d.bytes(4)
		r := ipRecord{length: length, protocol: protocol, srcPort: d.uint32(), dstPort: d.uint32(), flags: d.uint32(), tos: d.uint32()}
		if d.ok {
			s.ipRecord(b, i, &r, flow.AddrFrom4([4]byte(src)), flow.AddrFrom4([4]byte(dst)))
		}
	case ip6Header:
		length, protocol, src, dst := d.uint32(), d.uint32(), d.bytes(16), d.bytes(16)
		r := ipRecord{length: length, protocol: protocol, srcPort: d.uint32(), dstPort: d.uint32(), flags: d.uint32(), tos: d.uint32()}
		if d.ok {
			s.ipRecord(b, i, &r, flow.Addr(src), flow.Addr(dst))
		}
	case extendedSwitch:
		if len(record) >= 16 { // VLAN and priority, incoming and outgoing
			s.vlan = true
			s.vlans = [2]uint32{binary.BigEndian.Uint32(record), binary.BigEndian.Uint32(record[8:])}
		}
	case extendedRouter:
		hop, present := d.address(d.uint32())
		srcMask, dstMask := d.uint32(), d.uint32()
		if present {
			b.SetAddr(flow.NextHop, i, hop)
		}
		if d.ok {
			b.SetUint(flow.SrcMask, i, uint64(srcMask))
			b.SetUint(flow.DstMask, i, uint64(dstMask))
		}
	case extendedGateway:
		gateway(b, i, &d)
	case extendedNAT:
		src, present := d.address(d.uint32())
		if present {
			b.SetAddr(flow.PostNATSrcAddr, i, src)
		}
		if dst, present := d.address(d.uint32()); present {
			b.SetAddr(flow.PostNATDstAddr, i, dst)
		}
	case extendedNATPort:
		src, dst := d.uint32(), d.uint32()
		if d.ok {
			b.SetUint(flow.PostNATSrcPort, i, uint64(src))
			b.SetUint(flow.PostNATDstPort, i, uint64(dst))
		}
	default:
		m.Problems[RecordSkipped]++
	}
	if !d.ok && fixedSize(format) == 0 { // else cut has counted it
		m.Problems[RecordShort]++
	}
}

// ethernetRecord sets what a raw header has not set.
func (s *sampled) ethernetRecord(b *flow.Batch, i int, frame uint32, src, dst []byte, etherType uint32) {
	const header = 14
	s.seen = true
	s.ethernet = max(0, int(frame)-header)
	if !b.Present[i].Has(flow.SrcMAC) {
		b.SetUint(flow.SrcMAC, i, mac(src))
		b.SetUint(flow.DstMAC, i, mac(dst))
	}
	if !b.Present[i].Has(flow.EtherType) {
		b.SetUint(flow.EtherType, i, uint64(etherType))
	}
}

// mac reads an address from its first six of eight bytes.
func mac(p []byte) uint64 { return binary.BigEndian.Uint64(p) >> 16 }

type ipRecord struct{ length, protocol, srcPort, dstPort, flags, tos uint32 }

// ipRecord sets the columns of an IP packet whose header the agent took apart.
// Its ports are ports only of protocols that have them: agents disagree on
// where ICMP's type and code go.
func (s *sampled) ipRecord(b *flow.Batch, i int, r *ipRecord, src, dst flow.Addr) {
	s.seen = true
	s.ip = int(r.length)
	b.SetAddr(flow.SrcAddr, i, src)
	b.SetAddr(flow.DstAddr, i, dst)
	b.SetUint(flow.Protocol, i, uint64(r.protocol))
	b.SetUint(flow.TOS, i, uint64(r.tos))
	switch r.protocol {
	case packet.TCP:
		b.SetUint(flow.TCPFlags, i, uint64(r.flags))
		fallthrough
	case packet.UDP, packet.SCTP, packet.DCCP, packet.UDPLite:
		b.SetUint(flow.SrcPort, i, uint64(r.srcPort))
		b.SetUint(flow.DstPort, i, uint64(r.dstPort))
	}
}

// gateway decodes the BGP record. The destination's AS is the last of the
// path; an empty path is that of a destination in the device's own AS, which
// is 0 in exported flows, as the source's is.
func gateway(b *flow.Batch, i int, d *reader) {
	hop, present := d.address(d.uint32())
	if present {
		b.SetAddr(flow.BGPNextHop, i, hop)
	}
	d.uint32() // the device's own AS
	src := d.uint32()
	d.uint32() // the source's peer AS
	segments := d.uint32()
	if !d.ok {
		return
	}
	b.SetUint(flow.SrcAS, i, uint64(src))
	var dst uint32
	for ; segments > 0 && d.ok; segments-- {
		d.uint32() // set or sequence
		count := d.uint32()
		if uint64(count)*4 > uint64(len(d.rest)) {
			d.rest, d.ok = nil, false
			return
		}
		if count > 0 {
			path := d.bytes(int(count) * 4)
			dst = binary.BigEndian.Uint32(path[len(path)-4:])
		}
	}
	if d.ok {
		b.SetUint(flow.DstAS, i, uint64(dst))
	}
}
