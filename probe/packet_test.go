package probe

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/minamo-flow/minamo/wire/packet"
	"github.com/minamo-flow/minamo/wire/pcap"
)

// Pieces of packets.

func bytesOf(parts ...[]byte) (p []byte) {
	for _, part := range parts {
		p = append(p, part...)
	}
	return p
}

func be16(v ...uint16) (p []byte) {
	for _, x := range v {
		p = binary.BigEndian.AppendUint16(p, x)
	}
	return p
}

// frame is an Ethernet frame; tags are VLANs.
func frame(etherType uint16, payload []byte, tags ...uint16) []byte {
	p := []byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1}
	for _, tag := range tags {
		p = append(p, be16(0x8100, tag)...)
	}
	return bytesOf(p, be16(etherType), payload)
}

// ip is an IPv4 or IPv6 packet in an Ethernet frame; word is flags and offset
// of IPv4's fragments.
func ip(src, dst string, protocol, tos byte, word uint16, payload []byte) []byte {
	a, b := netip.MustParseAddr(src), netip.MustParseAddr(dst)
	if a.Is4() {
		return frame(0x0800, bytesOf([]byte{0x45, tos}, be16(uint16(20+len(payload)), 7, word), []byte{64, protocol, 0, 0}, a.AsSlice(), b.AsSlice(), payload))
	}
	return frame(0x86dd, bytesOf([]byte{0x60 | tos>>4, tos << 4, 0, 0}, be16(uint16(len(payload))), []byte{protocol, 64}, a.AsSlice(), b.AsSlice(), payload))
}

func udp(src, dst uint16, size int) []byte {
	return bytesOf(be16(src, dst, uint16(8+size), 0), make([]byte, size))
}

func tcp(src, dst uint16, flags byte, size int) []byte {
	return bytesOf(be16(src, dst, 0, 1, 0, 1), []byte{0x50, flags}, be16(1024, 0, 0), make([]byte, size))
}

func icmp(kind, code byte) []byte {
	return bytesOf([]byte{kind, code, 0, 0, 0, 1, 0, 1}, make([]byte, 56))
}

// captured is a packet that is on the wire as it is here.
func captured(ms int64, p []byte) pcap.Packet {
	return pcap.Packet{Time: ms * 1e6, Link: packet.Ethernet, Length: len(p), Data: p}
}

// save writes a capture file.
func save(t testing.TB, packets []pcap.Packet) string {
	t.Helper()
	var file bytes.Buffer
	w, err := pcap.NewWriter(&file, packet.Ethernet, false)
	if err != nil {
		t.Fatal(err)
	}
	for n := range packets {
		if err := w.Write(&packets[n]); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "packets.pcap")
	if err := os.WriteFile(path, file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
