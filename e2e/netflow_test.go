package e2e

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"
)

// Every record that netflow5 makes has these.
const (
	recordPackets = 10
	recordBytes   = 5000
)

var recordTarget = netip.MustParseAddr("198.51.100.1")

// record5 is a record of NetFlow v5, as far as the tests care.
type record5 struct {
	src, dst         netip.Addr
	srcPort, dstPort uint16
	protocol         byte
	in, out          uint16
	packets, bytes   uint32
	srcAS, dstAS     uint16
	start, end       time.Time
}

// datagram5 is a NetFlow v5 datagram, exported at the given time. sequence
// counts records, as the protocol wants.
func datagram5(sequence uint32, at time.Time, records []record5) []byte {
	const uptime = 36_000_000 // ms
	since := func(t time.Time) uint32 { return uint32(uptime - at.Sub(t).Milliseconds()) }
	d := make([]byte, 24+48*len(records))
	u16, u32 := binary.BigEndian.PutUint16, binary.BigEndian.PutUint32
	u16(d[0:], 5)
	u16(d[2:], uint16(len(records)))
	u32(d[4:], uptime)
	u32(d[8:], uint32(at.Unix()))
	u32(d[12:], uint32(at.Nanosecond()))
	u32(d[16:], sequence)
	for i, x := range records {
		r := d[24+48*i:]
		copy(r[0:], x.src.AsSlice())
		copy(r[4:], x.dst.AsSlice())
		u16(r[12:], x.in)
		u16(r[14:], x.out)
		u32(r[16:], x.packets)
		u32(r[20:], x.bytes)
		u32(r[24:], since(x.start))
		u32(r[28:], since(x.end))
		u16(r[32:], x.srcPort)
		u16(r[34:], x.dstPort)
		r[38] = x.protocol
		u16(r[40:], x.srcAS)
		u16(r[42:], x.dstAS)
	}
	return d
}

// netflow5 is a NetFlow v5 datagram of n records, whose flows lasted a second
// and ended at the given time, when it was exported.
func netflow5(sequence uint32, n int, at time.Time) []byte {
	var records []record5
	for number := sequence; number < sequence+uint32(n); number++ {
		r := record5{
			src: netip.AddrFrom4([4]byte{192, 0, 2, byte(number)}), dst: recordTarget,
			srcPort: uint16(40000 + number%1000), dstPort: 443, protocol: 6,
			in: 1, out: 2, packets: recordPackets, bytes: recordBytes,
			start: at.Add(-time.Second), end: at,
		}
		if number%4 == 0 {
			r.dstPort, r.protocol = 53, 17
		}
		records = append(records, r)
	}
	return datagram5(sequence, at, records)
}

// sender sends datagrams to a UDP port from one source, as an exporter does.
type sender struct {
	conn     net.Conn
	sequence uint32
}

func newSender(t *testing.T, port int) *sender {
	t.Helper()
	conn, err := net.Dial("udp4", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &sender{conn: conn}
}

// flows sends n records, which end now.
func (s *sender) flows(n int) { s.flowsAt(n, time.Now()) }

// flowsAt sends n records whose flows ended at the given time.
func (s *sender) flowsAt(n int, at time.Time) {
	for n > 0 {
		some := min(n, 30)
		s.conn.Write(netflow5(s.sequence, some, at)) // nobody listens: the totals will tell
		s.sequence += uint32(some)
		n -= some
	}
}

// message is a NetFlow v9 or IPFIX message of the given sets.
func message(version int, sequence uint32, sets ...[]byte) []byte {
	var body []byte
	for _, s := range sets {
		body = append(body, s...)
	}
	now := uint32(time.Now().Unix())
	var d []byte
	if version == 9 {
		d = words(9, uint16(len(sets)))
		d = append(d, longs(3_600_000, now, sequence, 1)...)
	} else {
		d = words(10, uint16(16+len(body)))
		d = append(d, longs(now, sequence, 1)...)
	}
	return append(d, body...)
}

// set is one set with a true length.
func set(id uint16, body []byte) []byte {
	return append(words(id, uint16(4+len(body))), body...)
}

func words(values ...uint16) (b []byte) {
	for _, v := range values {
		b = binary.BigEndian.AppendUint16(b, v)
	}
	return b
}

func longs(values ...uint32) (b []byte) {
	for _, v := range values {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return b
}
