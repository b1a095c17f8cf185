package sflow

import (
	"encoding/binary"
	"strconv"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/wire/packet"
)

// Formats of flow records, enterprise 0.
const (
	rawHeader         = 1
	ethernetHeader    = 2
	ip4Header         = 3
	ip6Header         = 4
	extendedSwitch    = 1001
	extendedRouter    = 1002
	extendedGateway   = 1003
	extendedUser      = 1004
	extendedURL       = 1005
	extendedMPLS      = 1006
	extendedNAT       = 1007
	extendedVLANs     = 1012 // extended_vlantunnel
	extendedNATPort   = 1020
	tunnelIP4Ingress  = 1024
	tunnelIP6Ingress  = 1026
	tunnelVNIIngress  = 1030
	extendedQueue     = 1036
	extendedACL       = 1037
	extendedTimestamp = 1043
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

// sampled is what a sample's records say about its packet besides columns, and
// what can be put into columns only when all records are known.
type sampled struct {
	seen bool // there was a record of the packet itself

	// Its layer-3 length: a raw header knows it best, an Ethernet record least.
	header, ip, ethernet int

	isSwitched bool
	vlans      [2]uint32 // by a switch record: incoming, outgoing
}

// stacks are what few samples have: kept apart, so that the others need not
// even clear it.
type stacks struct {
	vlans  []byte // tags that the header lacks, outermost first
	labels []byte // MPLS
}

// flowRecords decodes the records of a sample into row i.
func (r *run) flowRecords(i int, records []byte, count uint32) {
	var s sampled
	for ; count > 0 && len(records) >= 8; count-- {
		format := binary.BigEndian.Uint32(records)
		fixed := fixedSize(format)
		var record []byte
		record, records = r.cut(records, fixed, RecordTruncated)
		switch format {
		case rawHeader:
			r.rawHeader(i, &s, record)
			continue
		case extendedSwitch: // VLAN and priority, incoming and outgoing
			if len(record) >= 16 {
				s.isSwitched = true
				s.vlans = [2]uint32{binary.BigEndian.Uint32(record), binary.BigEndian.Uint32(record[8:])}
			}
			continue
		}
		d := reader{record, true}
		if !r.flowRecord(i, &s, format, &d) {
			r.skip(FlowRecord, format)
		} else if !d.ok && fixed == 0 { // else cut has counted it
			r.Problems[RecordShort]++
		}
	}
	r.recordsEnd(count, records)
	r.finish(i, &s)
}

// finish sets the columns that depend on several records.
func (r *run) finish(i int, s *sampled) {
	length := s.header
	if length == 0 {
		if length = s.ip; length == 0 {
			length = s.ethernet
		}
	}
	r.b.U64(flow.Bytes)[i] = uint64(length)
	if !s.seen {
		r.Problems[HeaderMissing]++
	}
	if r.stacks.vlans != nil {
		r.stacks.setVLANs(r.b, i)
	}
	if s.isSwitched {
		s.setVLANs(r.b, i)
	}
	if r.stacks.labels != nil {
		r.stacks.setLabels(r.b, i)
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

// setVLANs puts the tags that the device took off around those of the header.
func (s *stacks) setVLANs(b *flow.Batch, i int) {
	tag := func(n int) uint64 { return uint64(binary.BigEndian.Uint16(s.vlans[4*n+2:]) & 0xfff) }
	switch {
	case len(s.vlans) > 4:
		b.SetUint(flow.CustomerVLAN, i, tag(1))
	case b.Present[i].Has(flow.SrcVLAN):
		b.SetUint(flow.CustomerVLAN, i, uint64(b.U16(flow.SrcVLAN)[i]))
	}
	b.SetUint(flow.SrcVLAN, i, tag(0))
	s.vlans = nil
}

// setLabels gives a row whose header shows no label those of the record.
func (s *stacks) setLabels(b *flow.Batch, i int) {
	const most = int(flow.MPLSLabel10-flow.MPLSLabel1) + 1
	if !b.Present[i].Has(flow.MPLSLabel1) {
		for n := range min(len(s.labels)/4, most) {
			b.SetUint(flow.MPLSLabel1+flow.Column(n), i, uint64(binary.BigEndian.Uint32(s.labels[4*n:])>>12))
		}
	}
	s.labels = nil
}

// rawHeader decodes the first bytes of the sampled packet.
func (r *run) rawHeader(i int, s *sampled, record []byte) {
	if len(record) < 16 {
		r.Problems[RecordShort]++
		return
	}
	protocol := binary.BigEndian.Uint32(record)
	frame := binary.BigEndian.Uint32(record[4:])
	stripped := binary.BigEndian.Uint32(record[8:])
	size := binary.BigEndian.Uint32(record[12:])
	header := record[16:]
	if uint64(size) <= uint64(len(header)) {
		header = header[:size]
	} else {
		r.Problems[RecordTruncated]++
	}
	r.header(i, s, protocol, int64(frame)-int64(stripped), header)
}

// header decodes the beginning of a frame, all of which has the given length
// on the wire, and without what was stripped off its front and back.
func (r *run) header(i int, s *sampled, protocol uint32, frame int64, header []byte) {
	link, known := linkOf(protocol)
	if !known {
		r.Problems[RecordSkipped]++
		return
	}
	l := r.packet.Parse(r.b, i, link, header)
	s.seen = true
	s.header = l.Length
	if l.Length == 0 {
		before := l.Outermost
		if link == packet.Ethernet {
			before = max(before, 14) // also where the sample ends within it
		}
		s.header = int(max(0, frame-int64(before)))
	}
}

// flowRecord decodes any other record, and tells whether its format is known.
func (r *run) flowRecord(i int, s *sampled, format uint32, d *reader) (known bool) {
	b := r.b
	switch format {
	case ethernetHeader:
		frame, src, dst, etherType := d.uint32(), d.mac(), d.mac(), d.uint32()
		if d.ok {
			s.ethernetRecord(b, i, frame, src, dst, etherType)
		}
	case ip4Header, ip6Header:
		if p := d.ipRecord(format == ip6Header); d.ok {
			s.ipRecord(b, i, &p)
		}
	case extendedSwitch: // of versions before 5
		in, _, out, _ := d.uint32(), d.uint32(), d.uint32(), d.uint32()
		if d.ok {
			s.isSwitched, s.vlans = true, [2]uint32{in, out}
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
		r.gateway(i, d)
	case extendedUser:
		r.user(flow.SrcUser, i, d)
		r.user(flow.DstUser, i, d)
	case extendedMPLS:
		hop, present := d.address(d.uint32())
		in, out := d.words(), d.words()
		if present && !b.Present[i].Has(flow.NextHop) {
			b.SetAddr(flow.NextHop, i, hop)
		}
		if r.stacks.labels = in; len(in) == 0 {
			r.stacks.labels = out
		}
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
	case extendedVLANs:
		if tags := d.words(); len(tags) > 0 {
			r.stacks.vlans = tags
		}
	case tunnelIP4Ingress, tunnelIP6Ingress:
		if p := d.ipRecord(format == tunnelIP6Ingress); d.ok {
			tunnel(b, i, &p)
		}
	case tunnelVNIIngress:
		if v := d.uint32(); d.ok {
			b.SetUint(flow.TunnelID, i, uint64(v))
		}
	case extendedQueue:
		if v := d.uint32(); d.ok {
			b.SetUint(flow.EgressQueue, i, uint64(v))
		}
	case extendedACL:
		r.acl(i, d)
	case extendedTimestamp:
		if ms := int64(d.uint64() / 1e6); d.ok && ms > 0 {
			b.Time(flow.Start)[i] = ms
			b.Time(flow.End)[i] = ms
		}
	default:
		return false
	}
	return true
}

// ethernetRecord sets what a raw header has not set.
func (s *sampled) ethernetRecord(b *flow.Batch, i int, frame uint32, src, dst uint64, etherType uint32) {
	const header, check = 14, 4 // the length includes the frame check sequence
	s.seen = true
	s.ethernet = max(0, int(frame)-header-check)
	if !b.Present[i].Has(flow.SrcMAC) {
		b.SetUint(flow.SrcMAC, i, src)
		b.SetUint(flow.DstMAC, i, dst)
	}
	if !b.Present[i].Has(flow.EtherType) {
		b.SetUint(flow.EtherType, i, uint64(etherType))
	}
}

// ipRecord is an IP packet's header that the agent took apart.
type ipRecord struct {
	length, protocol             uint32
	src, dst                     flow.Addr
	srcPort, dstPort, flags, tos uint32
}

func (d *reader) ipRecord(v6 bool) (p ipRecord) {
	kind := uint32(1)
	if v6 {
		kind = 2
	}
	d.uint32s(&p.length, &p.protocol)
	p.src, _ = d.address(kind)
	p.dst, _ = d.address(kind)
	d.uint32s(&p.srcPort, &p.dstPort, &p.flags, &p.tos)
	return p
}

// ipRecord sets the columns of an IP packet. Its ports are ports only of protocols that have them: agents disagree on
// where ICMP's type and code go.
func (s *sampled) ipRecord(b *flow.Batch, i int, p *ipRecord) {
	s.seen = true
	s.ip = int(p.length)
	b.SetAddr(flow.SrcAddr, i, p.src)
	b.SetAddr(flow.DstAddr, i, p.dst)
	b.SetUint(flow.Protocol, i, uint64(p.protocol))
	b.SetUint(flow.TOS, i, uint64(p.tos))
	switch p.protocol {
	case packet.TCP:
		b.SetUint(flow.TCPFlags, i, uint64(p.flags))
		fallthrough
	case packet.UDP, packet.SCTP, packet.DCCP, packet.UDPLite:
		b.SetUint(flow.SrcPort, i, uint64(p.srcPort))
		b.SetUint(flow.DstPort, i, uint64(p.dstPort))
	}
}

// tunnel sets the columns of the tunnel that the packet came out of, by its
// outer header, unless the packet itself was sampled with it.
func tunnel(b *flow.Batch, i int, p *ipRecord) {
	if b.Present[i].Has(flow.Tunnel) {
		return
	}
	b.SetAddr(flow.TunnelSrcAddr, i, p.src)
	b.SetAddr(flow.TunnelDstAddr, i, p.dst)
	if code, known := tunnelOf(p); known {
		b.SetUint(flow.Tunnel, i, uint64(code))
	}
}

// tunnelOf tells a tunnel by its protocol number or its registered UDP port.
func tunnelOf(p *ipRecord) (code uint8, known bool) {
	switch p.protocol {
	case 4:
		return flow.TunnelIPIP, true
	case 41:
		if p.src.Is4() {
			return flow.Tunnel6in4, true
		}
		return flow.TunnelIPIP, true
	case 47:
		return flow.TunnelGRE, true
	case packet.UDP:
		switch p.dstPort {
		case 4789:
			return flow.TunnelVXLAN, true
		case 6081:
			return flow.TunnelGeneve, true
		case 2152:
			return flow.TunnelGTPU, true
		}
	}
	return 0, false
}

// user decodes a user's name, which from version 5 on has the number of its
// character set in front: nearly always UTF-8, or ASCII.
func (r *run) user(c flow.Column, i int, d *reader) {
	if r.version == 5 {
		d.uint32()
	}
	if name := d.opaque(); len(name) > 0 {
		r.b.SetText(c, i, name)
	}
}

// acl decodes the access list that decided about the packet: its name, or its
// number where it has none. A list of unknown direction is taken for one on
// the way in, where most are.
func (r *run) acl(i int, d *reader) {
	const egress = 2
	number, name, direction := d.uint32(), d.opaque(), d.uint32()
	if !d.ok {
		return
	}
	if len(name) == 0 {
		r.text = strconv.AppendUint(r.text[:0], uint64(number), 10)
		name = r.text
	}
	c := flow.IngressACL
	if direction == egress {
		c = flow.EgressACL
	}
	r.b.SetText(c, i, name)
}

// gateway decodes the BGP record. The destination's AS is the last of the
// path, the next one the first; an empty path is that of a destination in the
// device's own AS, which is 0 in exported flows, as the source's is.
//
// Version 4 has no next hop, and version 2 neither sets nor communities.
func (r *run) gateway(i int, d *reader) {
	const set, sequence = 1, 2
	b := r.b
	if r.version == 5 {
		if hop, present := d.address(d.uint32()); present {
			b.SetAddr(flow.BGPNextHop, i, hop)
		}
	}
	d.uint32() // the device's own AS
	src, previous := d.uint32(), d.uint32()
	segments := uint32(1)
	if r.version > 2 {
		segments = d.uint32()
	}
	if !d.ok {
		return
	}
	b.SetUint(flow.SrcAS, i, uint64(src))
	b.SetUint(flow.PrevAS, i, uint64(previous))

	r.text = r.text[:0]
	var next, dst uint32
	for first := true; segments > 0; segments-- {
		kind := uint32(sequence)
		if r.version > 2 {
			kind = d.uint32()
		}
		path := d.words()
		if !d.ok {
			return
		}
		if len(path) == 0 {
			continue
		}
		dst = binary.BigEndian.Uint32(path[len(path)-4:])
		if first && (kind != set || len(path) == 4) {
			next = binary.BigEndian.Uint32(path)
		}
		first = false
		r.segment(path, kind == set)
	}
	b.SetUint(flow.DstAS, i, uint64(dst))
	if next != 0 {
		b.SetUint(flow.NextAS, i, uint64(next))
	}
	r.setList(flow.ASPath, i)
	if r.version == 2 {
		return
	}

	r.text = r.text[:0]
	communities := d.words()
	for ; len(communities) >= 4; communities = communities[4:] {
		r.space()
		r.number(uint32(binary.BigEndian.Uint16(communities)))
		r.text = append(r.text, ':')
		r.number(uint32(binary.BigEndian.Uint16(communities[2:])))
	}
	r.setList(flow.Communities, i)
	d.uint32() // local preference
}

// segment writes a part of an AS path.
func (r *run) segment(path []byte, isSet bool) {
	r.space()
	if isSet {
		r.text = append(r.text, '{')
	}
	for n := 0; n < len(path); n += 4 {
		if n > 0 {
			r.space()
		}
		r.number(binary.BigEndian.Uint32(path[n:]))
	}
	if isSet {
		r.text = append(r.text, '}')
	}
}

func (r *run) space() {
	if len(r.text) > 0 {
		r.text = append(r.text, ' ')
	}
}

func (r *run) number(v uint32) { r.text = strconv.AppendUint(r.text, uint64(v), 10) }

// setList sets a text column to what was written, unless that is nothing, or
// so long that it would end within a number.
func (r *run) setList(c flow.Column, i int) {
	const most = 1<<16 - 1
	if len(r.text) > most {
		r.Problems[RecordSkipped]++
	} else if len(r.text) > 0 {
		r.b.SetText(c, i, r.text)
	}
}
