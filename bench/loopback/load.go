// Package loopback sends flows over the loopback interface to collectors that
// it starts, and takes what they cost. The benchmarks share it.
package loopback

import (
	"encoding/binary"
	"math/rand/v2"
	"net"
	"time"
)

// FlowsPerDatagram is how many flows a datagram of a Load carries.
const FlowsPerDatagram = 18

// Fields of the template: element and length, as a router's full record has them.
var Fields = [][2]uint16{
	{8, 4}, {12, 4}, {15, 4}, {18, 4}, // addresses, next hops
	{10, 4}, {14, 4}, {2, 4}, {1, 4}, {22, 4}, {21, 4}, // interfaces, packets, bytes, first, last
	{7, 2}, {11, 2}, {6, 1}, {4, 1}, {5, 1}, // ports, flags, protocol, ToS
	{16, 4}, {17, 4}, {9, 1}, {13, 1}, // AS numbers, masks
	{61, 1}, {58, 2}, // direction, VLAN
}

const uptime = 864_000_000 // ms, ten days

// Load is NetFlow v9 datagrams that are sent over and over, made before the
// clock runs.
type Load struct {
	template  []byte
	datagrams [][]byte
}

// NewLoad makes about a third of a million different flows, with a fixed seed.
func NewLoad() *Load {
	random := rand.New(rand.NewPCG(18, 21))
	ports := []uint16{443, 443, 443, 443, 80, 53, 53, 22, 25, 123, 993, 3389, 8080}
	u16, u32 := binary.BigEndian.AppendUint16, binary.BigEndian.AppendUint32

	l := &Load{}
	l.template = u16(header(nil, 1), 0) // the set of templates
	l.template = u16(l.template, uint16(8+4*len(Fields)))
	l.template = u16(u16(l.template, 256), uint16(len(Fields)))
	for _, f := range Fields {
		l.template = u16(u16(l.template, f[0]), f[1])
	}
	for range 20_000 {
		d := header(nil, FlowsPerDatagram)
		d = u16(d, 256)
		d = u16(d, 0) // length, below
		for range FlowsPerDatagram {
			packets := 1 + uint32(random.ExpFloat64()*20)
			last := uint32(uptime - random.IntN(15_000))
			src, dst := random.Uint32N(65536), min(random.Uint32N(65536), random.Uint32N(65536))
			d = u32(d, 192<<24|168<<16|src)
			d = u32(d, 10<<24|dst)
			d = u32(u32(d, 0xc6336401), 0xc6336402)
			d = u32(u32(d, 1+random.Uint32N(40)), 1+random.Uint32N(40))
			d = u32(u32(d, packets), packets*(64+random.Uint32N(1400)))
			d = u32(u32(d, last-random.Uint32N(60_000)), last)
			d = u16(d, uint16(32768+random.IntN(28000)))
			d = u16(d, ports[random.IntN(len(ports))])
			protocol := byte(6)
			if random.IntN(4) == 0 {
				protocol = 17
			}
			d = append(d, 0x1b, protocol, byte(random.IntN(4)*8))
			d = u32(u32(d, 64512+random.Uint32N(300)), 64512+random.Uint32N(300))
			d = append(d, 24, 16, byte(random.IntN(2)))
			d = u16(d, uint16(100+random.IntN(8)))
		}
		for len(d)%4 != 0 {
			d = append(d, 0)
		}
		binary.BigEndian.PutUint16(d[22:], uint16(len(d)-20))
		l.datagrams = append(l.datagrams, d)
	}
	return l
}

// Size is the length of a datagram, in bytes.
func (l *Load) Size() int { return len(l.datagrams[0]) }

// header appends a NetFlow v9 header; Send fills in clock and sequence.
func header(d []byte, count uint16) []byte {
	d = binary.BigEndian.AppendUint16(d, 9)
	d = binary.BigEndian.AppendUint16(d, count)
	d = binary.BigEndian.AppendUint32(d, uptime)
	return append(d, make([]byte, 12)...)
}

// Send sends rate flows a second for a time, paced by the millisecond, and
// returns how many and how long it took. When it can't keep the pace it sends
// fewer, not in bursts.
func (l *Load) Send(port, rate int, d time.Duration) (flows int, took time.Duration, err error) {
	conn, err := net.DialUDP("udp4", nil, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	if err != nil {
		return 0, 0, err
	}
	defer conn.Close()
	sequence := uint32(0)
	put := func(datagram []byte) error {
		binary.BigEndian.PutUint32(datagram[8:], uint32(time.Now().Unix()))
		binary.BigEndian.PutUint32(datagram[12:], sequence)
		sequence++
		_, err := conn.Write(datagram)
		return err
	}
	if err := put(l.template); err != nil {
		return 0, 0, err
	}
	perSecond := float64(rate) / FlowsPerDatagram
	begin := time.Now()
	next, credit, before := 0, 0.0, begin
	for {
		now := time.Now()
		if now.Sub(begin) >= d {
			return flows, now.Sub(begin), nil
		}
		// Never more than 5 ms are made up for.
		credit = min(credit+perSecond*now.Sub(before).Seconds(), perSecond/200+1)
		before = now
		for ; credit >= 1; credit-- {
			if err := put(l.datagrams[next]); err != nil {
				return flows, now.Sub(begin), err
			}
			next = (next + 1) % len(l.datagrams)
			flows += FlowsPerDatagram
		}
		time.Sleep(time.Millisecond)
	}
}
