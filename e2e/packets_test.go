package e2e

import (
	"encoding/binary"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// capture writes packets as a capture file of Ethernet frames, for exporters
// that read one, and datagrams for programs that decode them.
type capture struct {
	bytes []byte
}

func newCapture() *capture {
	c := &capture{}
	c.u32(0xa1b2c3d4) // microseconds
	c.u32(2 | 4<<16)  // version 2.4
	c.u32(0, 0, 1<<16-1)
	c.u32(1) // Ethernet
	return c
}

func (c *capture) u32(values ...uint32) {
	for _, v := range values {
		c.bytes = binary.LittleEndian.AppendUint32(c.bytes, v)
	}
}

// packet appends one IP packet. flags are TCP's; for ICMP the source port is
// the type.
func (c *capture) packet(at time.Time, protocol byte, src, dst netip.AddrPort, payload []byte, flags byte) {
	var transport []byte
	switch protocol {
	case 6:
		transport = make([]byte, 20)
		transport[12], transport[13] = 5<<4, flags
	default:
		transport = make([]byte, 8)
	}
	if protocol == 1 || protocol == 58 {
		transport[0] = byte(src.Port()) // type, and code 0
	} else {
		binary.BigEndian.PutUint16(transport[0:], src.Port())
		binary.BigEndian.PutUint16(transport[2:], dst.Port())
	}
	if protocol == 17 {
		binary.BigEndian.PutUint16(transport[4:], uint16(8+len(payload)))
	}
	frame := []byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1}
	size := len(transport) + len(payload)
	if src.Addr().Is4() {
		header := make([]byte, 20)
		header[0] = 4<<4 | 5
		binary.BigEndian.PutUint16(header[2:], uint16(20+size))
		header[8], header[9] = 64, protocol
		copy(header[12:], src.Addr().AsSlice())
		copy(header[16:], dst.Addr().AsSlice())
		frame = append(append(frame, 8, 0), header...)
	} else {
		header := make([]byte, 40)
		header[0] = 6 << 4
		binary.BigEndian.PutUint16(header[4:], uint16(size))
		header[6], header[7] = protocol, 64
		copy(header[8:], src.Addr().AsSlice())
		copy(header[24:], dst.Addr().AsSlice())
		frame = append(append(frame, 0x86, 0xdd), header...)
	}
	frame = append(append(frame, transport...), payload...)
	us := at.UnixMicro()
	c.u32(uint32(us/1e6), uint32(us%1e6), uint32(len(frame)), uint32(len(frame)))
	c.bytes = append(c.bytes, frame...)
}

func (c *capture) write(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "capture.pcap")
	if err := os.WriteFile(file, c.bytes, 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// datagramCapture is a capture of UDP datagrams sent to a port.
func datagramCapture(t *testing.T, port uint16, datagrams [][]byte) string {
	t.Helper()
	c := newCapture()
	at := time.Now()
	for i, d := range datagrams {
		c.packet(at.Add(time.Duration(i)*time.Millisecond), 17,
			netip.MustParseAddrPort("127.0.0.1:40000"), netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port), d, 0)
	}
	return c.write(t)
}

// someTraffic is a capture of many conversations of each kind, ten minutes old.
func someTraffic(t *testing.T) string {
	t.Helper()
	c := newCapture()
	at := time.Now().Add(-10 * time.Minute)
	tick := func() time.Time { at = at.Add(3 * time.Millisecond); return at }
	v4, v6 := netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("2001:db8::1")
	for host := range 60 {
		a4 := netip.AddrFrom4([4]byte{192, 0, 2, byte(host + 1)})
		a6 := netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 15: byte(host + 100)})
		for _, pair := range [][2]netip.Addr{{a4, v4}, {a6, v6}} {
			client := netip.AddrPortFrom(pair[0], uint16(40000+host))
			web, dns := netip.AddrPortFrom(pair[1], 443), netip.AddrPortFrom(pair[1], 53)
			c.packet(tick(), 6, client, web, nil, 0x02)
			c.packet(tick(), 6, web, client, nil, 0x12)
			for range host {
				c.packet(tick(), 6, client, web, make([]byte, 10), 0x10)
				c.packet(tick(), 6, web, client, make([]byte, 1000+host), 0x18)
			}
			c.packet(tick(), 6, client, web, nil, 0x11)
			c.packet(tick(), 6, web, client, nil, 0x11)
			c.packet(tick(), 17, client, dns, make([]byte, 30+host), 0)
			c.packet(tick(), 17, dns, client, make([]byte, 200+host), 0)
			icmp := byte(1)
			echo := uint16(8)
			if pair[0].Is6() {
				icmp, echo = 58, 128
			}
			c.packet(tick(), icmp, netip.AddrPortFrom(pair[0], echo), netip.AddrPortFrom(pair[1], 0), make([]byte, 56), 0)
		}
	}
	return c.write(t)
}
