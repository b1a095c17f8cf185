package sflow

import (
	"encoding/binary"
	"net/netip"
)

// Pieces of datagrams for the tests.

func join(parts ...[]byte) (p []byte) {
	for _, part := range parts {
		p = append(p, part...)
	}
	return p
}

func u32(v ...uint32) (p []byte) {
	for _, x := range v {
		p = binary.BigEndian.AppendUint32(p, x)
	}
	return p
}

// addr is an address with its type.
func addr(text string) []byte {
	a := netip.MustParseAddr(text)
	kind := uint32(1)
	if a.Is6() {
		kind = 2
	}
	return append(u32(kind), a.AsSlice()...)
}

// opaque is a body with its format and length, padded to four bytes.
func opaque(format uint32, parts ...[]byte) []byte {
	body := join(parts...)
	return join(u32(format, uint32(len(body))), body, make([]byte, -len(body)&3))
}

// datagram is of agent 192.0.2.9, sub-agent 7, sequence 100, uptime 5000.
func datagram(samples ...[]byte) []byte {
	return datagramOf(uint32(len(samples)), samples...)
}

func datagramOf(count uint32, samples ...[]byte) []byte {
	return join(u32(5), addr("192.0.2.9"), u32(7, 100, 5000, count), join(samples...))
}

// sample is a flow sample of source 3, rate 512, in by 3 and out by 4.
func sample(records ...[]byte) []byte { return sampleBy(512, 3, 4, records...) }

func sampleBy(rate, in, out uint32, records ...[]byte) []byte {
	return opaque(flowSample, u32(11, 3, rate, 90000, 2, in, out, uint32(len(records))), join(records...))
}

// frame is an Ethernet frame with VLAN 30, a TCP packet of 1500 bytes from
// 192.0.2.1:443 to 198.51.100.2:50000, cut off behind its headers.
var frame = join([]byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x81, 0, 0, 30, 8, 0},
	[]byte{0x45, 0, 0x05, 0xdc, 0, 9, 0x40, 0, 63, 6, 0, 0, 192, 0, 2, 1, 198, 51, 100, 2},
	[]byte{0x01, 0xbb, 0xc3, 0x50, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x18, 0, 9, 0, 0, 0, 0})

// raw is a raw header record.
func raw(protocol, length, stripped uint32, header []byte) []byte {
	return opaque(rawHeader, u32(protocol, length, stripped, uint32(len(header))), header)
}

// str is a string with its length, padded.
func str(s string) []byte { return opaque(0, []byte(s))[4:] }

// discard is a discard notification of source 3.
func discard(in, out, reason uint32, records ...[]byte) []byte {
	return opaque(discardSample, u32(5, 0, 3, 9, in, out, reason, uint32(len(records))), join(records...))
}
