package packet

import "encoding/binary"

// Pieces of packets for the tests.

func join(parts ...[]byte) (p []byte) {
	for _, part := range parts {
		p = append(p, part...)
	}
	return p
}

func u16(v ...uint16) (p []byte) {
	for _, x := range v {
		p = binary.BigEndian.AppendUint16(p, x)
	}
	return p
}

func u32(v ...uint32) (p []byte) {
	for _, x := range v {
		p = binary.BigEndian.AppendUint32(p, x)
	}
	return p
}

// macs are the addresses of an Ethernet header: to 02:00:00:00:00:02 from :01.
var macs = []byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1}

func ethernet(etherType uint16, payload ...[]byte) []byte {
	return join(macs, u16(etherType), join(payload...))
}

// ip4 is a header from 192.0.2.1 to 198.51.100.2; word is flags and offset.
func ip4(protocol byte, word uint16, options []byte, payload ...[]byte) []byte {
	body := join(payload...)
	header := 20 + len(options)
	return join([]byte{0x40 | byte(header/4), 0xb8}, u16(uint16(header+len(body)), 0x1234, word), []byte{64, protocol}, u16(0),
		[]byte{192, 0, 2, 1, 198, 51, 100, 2}, options, body)
}

// ip6 is a header from 2001:db8::1 to 2001:db8::2, traffic class 0x28, flow label 0xabcde.
func ip6(next byte, payload ...[]byte) []byte {
	body := join(payload...)
	address := func(last byte) []byte { return append([]byte{0x20, 1, 0xd, 0xb8, 15: 0}[:15], last) }
	return join(u32(0x628abcde), u16(uint16(len(body))), []byte{next, 63}, address(1), address(2), body)
}

func udp(src, dst uint16, payload ...[]byte) []byte {
	body := join(payload...)
	return join(u16(src, dst, uint16(8+len(body)), 0), body)
}

func tcp(src, dst uint16, flags byte) []byte {
	return join(u16(src, dst), u32(1, 2), []byte{0x50, flags}, u16(1024, 0, 0))
}

func label(v uint32, bottom bool) []byte {
	entry := v<<12 | 64
	if bottom {
		entry |= 1 << 8
	}
	return u32(entry)
}

// greHeader is one with the optional words that flags announce.
func greHeader(flags, etherType uint16, words ...uint32) []byte {
	return join(u16(flags, etherType), u32(words...))
}

func vxlanHeader(vni uint32) []byte { return u32(8<<24, vni<<8) }

// geneveHeader has options of a multiple of four bytes.
func geneveHeader(vni uint32, etherType uint16, options ...byte) []byte {
	return join([]byte{byte(len(options) / 4), 0}, u16(etherType), u32(vni<<8), options)
}

// gtpHeader is a G-PDU's, with what flags announce in more.
func gtpHeader(flags byte, teid uint32, more, packet []byte) []byte {
	return join([]byte{0x30 | flags, 255}, u16(uint16(len(more)+len(packet))), u32(teid), more, packet)
}

// segmentHeader is a segment routing header: the last of the segments, which
// come last first, is 2001:db8:5::<n>; left are still to be visited.
func segmentHeader(next byte, segments, left int) (p []byte) {
	p = []byte{next, byte(2 * segments), 4, byte(left), byte(segments - 1), 0, 0, 0}
	for n := range segments {
		p = append(p, 0x20, 1, 0xd, 0xb8, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, byte(segments-n))
	}
	return p
}
