package probe

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"testing"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/wire/packet"
	"github.com/minamo-flow/minamo/wire/pcap"
)

// sums are packets and bytes of all flows.
func sums(b *flow.Batch) (packets, octets uint64) {
	for i := range b.Len() {
		packets += b.U64(flow.Packets)[i]
		octets += b.U64(flow.Bytes)[i]
	}
	return packets, octets
}

// metered meters packets, to the end.
func metered(cfg MeterConfig, packets []pcap.Packet) (*Meter, *flow.Batch) {
	m, out := NewMeter(cfg), flow.NewBatch(64)
	for n := range packets {
		m.Add(&packets[n], Point{}, out)
	}
	m.Flush(out)
	return m, out
}

func TestEveryPacketIsAccountedFor(t *testing.T) {
	dns := ip("192.0.2.1", "198.51.100.2", packet.UDP, 0, 0, udp(1024, 53, 100)) // 128 bytes of IP
	changed := func(at int, v ...byte) []byte {
		p := bytes.Clone(dns)
		copy(p[at:], v)
		return p
	}
	cut := func(p []byte, n int) pcap.Packet { c := captured(1, p); c.Data = p[:n]; return c }
	arp := frame(0x0806, make([]byte, 46))
	for _, test := range []struct {
		name   string
		packet pcap.Packet
		reason Reason // NumReasons: it is metered,
		octets uint64 // with so many bytes
	}{
		{"IPv4", captured(1, dns), NumReasons, 128},
		{"IPv6", captured(1, ip("2001:db8::1", "2001:db8::2", packet.UDP, 0, 0, udp(1024, 53, 100))), NumReasons, 148},
		{"VLAN", captured(1, frame(0x0800, dns[14:], 100)), NumReasons, 128},
		{"padding of a short packet", captured(1, append(bytes.Clone(ip("192.0.2.1", "198.51.100.2", packet.TCP, 0, 0, tcp(1024, 80, 16, 0))), make([]byte, 6)...)), NumReasons, 40},
		{"cut off behind the headers", cut(dns, 64), NumReasons, 128},
		{"cut off in front of the ports", cut(dns, 34), NumReasons, 128},
		{"no total length (segmentation offload)", captured(1, changed(16, 0, 0)), NumReasons, 128},
		{"a total length below the header's", captured(1, changed(16, 0, 19)), NumReasons, 128},
		{"a total length above the frame's", captured(1, changed(16, 5, 0)), NumReasons, 128},
		{"cut off in the addresses", cut(dns, 33), Truncated, 0},
		{"cut off in front of IP", cut(dns, 14), Truncated, 0},
		{"cut off in the Ethernet header", cut(dns, 13), Truncated, 0},
		{"nothing captured", cut(dns, 0), Truncated, 0},
		{"cut off in a tag", cut(frame(0x0800, dns[14:], 100), 16), Truncated, 0},
		{"ARP", captured(1, arp), NotIP, 0},
		{"IEEE 802.3 with LLC", captured(1, frame(38, append([]byte{0x42, 0x42, 3}, make([]byte, 43)...))), NotIP, 0},
		{"version 5", captured(1, changed(14, 0x55)), Malformed, 0},
		{"a header of 16 bytes", captured(1, changed(14, 0x44)), Malformed, 0},
		{"raw IP of version 0", pcap.Packet{Time: 1, Link: packet.Raw, Length: 20, Data: make([]byte, 20)}, Malformed, 0},
		{"unknown link type", pcap.Packet{Time: 1, Link: 147, Length: 20, Data: make([]byte, 20)}, UnknownLink, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			m, out := metered(MeterConfig{}, []pcap.Packet{test.packet})
			want := MeterStats{Packets: 1, Bytes: uint64(test.packet.Length), Octets: test.octets}
			flows := 0
			if test.reason == NumReasons {
				want.Metered, flows = 1, 1
			} else {
				want.Skipped[test.reason] = 1
			}
			got := m.Stats()
			got.Portless = 0
			if got != want || out.Len() != flows {
				t.Errorf("%d flows, %+v; expected %d and %+v", out.Len(), got, flows, want)
			}
			if packets, octets := sums(out); packets != uint64(flows) || octets != test.octets {
				t.Errorf("flows of %d packets, %d bytes; expected %d and %d", packets, octets, flows, test.octets)
			}
		})
	}
}

// rows are flows as JSON.
func rows(b *flow.Batch) (list []string) {
	for i := range b.Len() {
		list = append(list, string(b.AppendJSON(nil, i)))
	}
	return list
}

func TestFragmentsAreFlowsWithoutPorts(t *testing.T) {
	payload := udp(1024, 2049, 2000)
	m, out := metered(MeterConfig{Cache: CacheConfig{Values: flow.MaskOf(flow.FragmentOffset)}}, []pcap.Packet{
		captured(1, ip("192.0.2.1", "198.51.100.2", packet.UDP, 0, 0x2000, payload[:800])),
		captured(2, ip("192.0.2.1", "198.51.100.2", packet.UDP, 0, 0x2000|100, payload[800:1600])),
		captured(3, ip("192.0.2.1", "198.51.100.2", packet.UDP, 0, 200, payload[1600:])),
		captured(4, ip("192.0.2.1", "198.51.100.2", packet.UDP, 0, 0, udp(1024, 2049, 10))),
	})
	want := []string{
		`{"start":"1970-01-01T00:00:00.001Z","end":"1970-01-01T00:00:00.004Z","packets":2,"bytes":858,"sampling_rate":1,"sampling_source":"record","src_addr":"192.0.2.1","dst_addr":"198.51.100.2","protocol":17,"src_port":1024,"dst_port":2049,"tos":0,"fragment_offset":0,"flow_end_reason":"forced end"}`,
		`{"start":"1970-01-01T00:00:00.002Z","end":"1970-01-01T00:00:00.003Z","packets":2,"bytes":1248,"sampling_rate":1,"sampling_source":"record","src_addr":"192.0.2.1","dst_addr":"198.51.100.2","protocol":17,"tos":0,"fragment_offset":100,"flow_end_reason":"forced end"}`,
	}
	if got := rows(out); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("flows are\n%s\nexpected\n%s", got, want)
	}
	if s := m.Stats(); s.Fragments != 2 || s.Portless != 0 {
		t.Errorf("%+v", s)
	}
}

// A router sees a packet come in and leave: two flows, which say so.
func TestObservationPoints(t *testing.T) {
	m, out := NewMeter(MeterConfig{Cache: CacheConfig{Biflow: true}}), flow.NewBatch(64)
	there, back := captured(1, ip("192.0.2.1", "198.51.100.2", packet.UDP, 0, 0, udp(1024, 53, 10))), captured(2, ip("198.51.100.2", "192.0.2.1", packet.UDP, 0, 0, udp(53, 1024, 10)))
	m.Add(&there, Point{Interface: 1, Direction: flow.Ingress}, out)
	m.Add(&there, Point{Interface: 2, Direction: flow.Egress}, out)
	m.Add(&back, Point{Interface: 2, Direction: flow.Ingress}, out)
	m.Add(&back, Point{Interface: 1, Direction: flow.Egress}, out)
	m.Flush(out)
	var got []string
	for i := range out.Len() {
		got = append(got, fmt.Sprintf("%d %d>%d %s %s", out.U16(flow.SrcPort)[i], out.U32(flow.InIf)[i], out.U32(flow.OutIf)[i],
			out.AppendText(nil, flow.Direction, i), out.AppendText(nil, flow.Biflow, i)))
	}
	want := "[1024 1>0 ingress forward 53 0>1 egress reverse 1024 0>2 egress forward 53 2>0 ingress reverse]"
	if fmt.Sprint(got) != want {
		t.Errorf("%s, expected %s", got, want)
	}
}

func TestSamplingIsSaid(t *testing.T) {
	var packets []pcap.Packet
	for n := range int64(1000) {
		packets = append(packets, captured(n, ip("192.0.2.1", "198.51.100.2", packet.UDP, 0, 0, udp(1024, 53, 10))))
	}
	m, out := metered(MeterConfig{Sampling: SamplerConfig{Rate: 100, Seed: 1}}, packets)
	if s := m.Stats(); s.Packets != 1000 || s.PassedOver != 990 || s.Metered != 10 {
		t.Errorf("%+v", s)
	}
	if packets, _ := sums(out); packets != 10 || out.Len() != 1 || out.U32(flow.SamplingRate)[0] != 100 || out.U8(flow.SamplingSource)[0] != flow.SamplingRecord {
		t.Errorf("%d packets in %s", packets, rows(out))
	}
}

// TestHandshakes: the client's flow tells how long its handshake took, others
// nothing.
func TestHandshakes(t *testing.T) {
	const absent = -1
	begin := int64(1<<32-700) * 1e3 // µs of 32 bits run over soon
	for name, c := range map[string]struct {
		packets []step
		want    int64
	}{
		"a handshake":           {steps(0, syn, 1234, ack), 1234},
		"a long one":            {steps(0, syn, 14_000_000, ack), 14_000_000},
		"with data":             {steps(0, syn, 80, ack|8), 80},
		"the first ACK counts":  {steps(0, syn, 80, ack, 90, ack), 80},
		"SYN again":             {steps(0, syn, 1_000_000, syn, 1_000_050, ack), 1_000_050},
		"with ECN":              {steps(0, syn|64|128, 80, ack), 80},
		"not completed":         {steps(0, syn), absent},
		"refused":               {steps(0, syn, 80, rst|ack), absent},
		"the server's":          {steps(0, syn|ack, 80, ack), absent},
		"begun before":          {steps(0, ack, 80, ack), absent},
		"too late by its timer": {steps(0, syn, 15_000_000, ack), absent},
	} {
		m, out := NewMeter(MeterConfig{}), flow.NewBatch(8)
		for n, p := range c.packets {
			packet := captured(0, ip("192.0.2.1", "198.51.100.2", packet.TCP, 0, 0, tcp(1024, 80, p.flags, 0)))
			packet.Time = begin + p.us*1e3
			m.Add(&packet, Point{}, out)
			if n == 0 && len(name)%2 == 0 { // in another block
				m.Expire(0, out)
			}
		}
		m.Flush(out)
		got := int64(absent)
		if out.Present[0].Has(flow.HandshakeTime) {
			got = int64(out.U32(flow.HandshakeTime)[0])
		} else if v := out.U32(flow.HandshakeTime)[0]; v != 0 {
			t.Errorf("%s: absent is %d", name, v)
		}
		if got != c.want {
			t.Errorf("%s: %d µs, expected %d", name, got, c.want)
		}
	}
	var packets []pcap.Packet
	for n := range int64(100) {
		packets = append(packets, captured(2*n, ip("192.0.2.1", "198.51.100.2", packet.TCP, 0, 0, tcp(uint16(n), 80, syn, 0))),
			captured(2*n+1, ip("192.0.2.1", "198.51.100.2", packet.TCP, 0, 0, tcp(uint16(n), 80, ack, 0))))
	}
	for rate, want := range map[uint32]int{1: 100, 2: 0} {
		_, out := metered(MeterConfig{Sampling: SamplerConfig{Rate: rate}}, packets)
		n := 0
		for i, m := range out.Present {
			if m.Has(flow.HandshakeTime) && out.U32(flow.HandshakeTime)[i] == 1000 {
				n++
			}
		}
		if n != want {
			t.Errorf("of every %dth packet: %d handshakes, expected %d", rate, n, want)
		}
	}
}

// step is a packet of a flow.
type step struct {
	us    int64
	flags byte
}

// steps are such packets, by µs and flags in turn.
func steps(list ...int64) (packets []step) {
	for ; len(list) > 0; list = list[2:] {
		packets = append(packets, step{list[0], byte(list[1])})
	}
	return packets
}

// Non-IP packets are metered if that is wanted.
func TestNonIP(t *testing.T) {
	m, out := metered(MeterConfig{NonIP: true}, []pcap.Packet{captured(1, frame(0x0806, make([]byte, 46))), captured(2, frame(0x0806, make([]byte, 46))), captured(3, frame(0x88cc, make([]byte, 100)))})
	if packets, octets := sums(out); packets != 3 || octets != 192 || out.Len() != 2 || m.Stats().Metered != 3 {
		t.Errorf("%+v: %s", m.Stats(), rows(out))
	}
}

// Packets without a time are taken at that of the one before.
func TestPacketsWithoutTime(t *testing.T) {
	p := captured(5000, ip("192.0.2.1", "198.51.100.2", packet.UDP, 0, 0, udp(1024, 53, 10)))
	timeless := p
	timeless.Time = 0
	m, out := metered(MeterConfig{}, []pcap.Packet{p, timeless})
	if out.Len() != 1 || out.Time(flow.End)[0] != 5000 || m.CacheStats().SetBack != 0 {
		t.Errorf("%s", rows(out))
	}
}

// What a tunnel carries is metered with the volume of the tunnel's packets.
func TestTunnels(t *testing.T) {
	inner := ip("10.0.0.1", "10.0.0.2", packet.TCP, 0, 0, tcp(1024, 80, 2, 0))[14:]
	gre := captured(1, ip("192.0.2.1", "198.51.100.2", 47, 0, 0, bytesOf(be16(0, 0x0800), inner)))
	_, out := metered(MeterConfig{Parser: &packet.Parser{Tunnels: packet.TunnelsOf(flow.TunnelGRE)},
		Cache: CacheConfig{Key: flow.MaskOf(flow.SrcAddr, flow.DstAddr, flow.TunnelSrcAddr, flow.TunnelDstAddr), Values: flow.MaskOf(flow.Tunnel)}}, []pcap.Packet{gre})
	want := `[{"start":"1970-01-01T00:00:00.001Z","end":"1970-01-01T00:00:00.001Z","packets":1,"bytes":64,"sampling_rate":1,"sampling_source":"record","src_addr":"10.0.0.1","dst_addr":"10.0.0.2","tunnel":"gre","tunnel_src_addr":"192.0.2.1","tunnel_dst_addr":"198.51.100.2","flow_end_reason":"forced end"}]`
	if got := fmt.Sprint(rows(out)); got != want {
		t.Errorf("%s\nexpected\n%s", got, want)
	}
}

// A packet allocates nothing, whether its flow is new, known, or ends.
func TestPacketsAllocateNothing(t *testing.T) {
	const flows = 2000
	m, out := NewMeter(MeterConfig{Cache: CacheConfig{Flows: flows}}), flow.NewBatch(4096)
	var p pcap.Packet
	p.Link = packet.Ethernet
	frames := make([][]byte, 2*flows) // as many again as there is room for
	for n := range frames {
		frames[n] = smallest(uint32(n))
	}
	n := 0
	some := func() {
		for range 10_000 {
			p.Time += 1e5
			p.Data = frames[n%len(frames)]
			if n++; n%3 == 0 {
				p.Data = frames[0]
			}
			m.Add(&p, Point{Interface: 1}, out)
			if out.Len() > 1000 {
				out.Reset()
			}
		}
		m.Expire(p.Time/1e6, out)
		out.Reset()
	}
	some()
	if allocations := testing.AllocsPerRun(10, some); allocations != 0 {
		t.Errorf("10000 packets make %g allocations", allocations)
	}
	if s := m.CacheStats(); s.Ended[LackOfResources] == 0 || s.Flows == 0 {
		t.Errorf("%+v", s)
	}
}

// A flow of an Ethernet capture takes no more than 200 bytes.
func TestMemoryPerFlow(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 200 MB")
	}
	const flows = 1_000_000
	used := func() uint64 {
		runtime.GC()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return s.HeapAlloc
	}
	out := flow.NewBatch(4096)
	before := used()
	m := NewMeter(MeterConfig{Cache: CacheConfig{Flows: flows}})
	p := pcap.Packet{Time: 1, Link: packet.Ethernet}
	for n := range uint32(flows) {
		p.Data = smallest(n)
		m.Add(&p, Point{Interface: 1}, out)
	}
	m.Expire(0, out)
	if live := m.CacheStats().Flows; live != flows {
		t.Fatalf("%d flows are live", live)
	}
	each := float64(used()-before) / flows
	t.Logf("%.1f bytes a flow; by its own count %.1f", each, float64(m.CacheStats().Memory)/flows)
	if each > 200 {
		t.Errorf("%.1f bytes a flow", each)
	}
	runtime.KeepAlive(m)
}

// FuzzMeter feeds packets of any bytes: whatever comes, every packet is
// accounted for and the flows have what the packets had.
func FuzzMeter(f *testing.F) {
	f.Add(uint16(packet.Ethernet), uint16(64), []byte("\x01"), smallest(1))
	f.Add(uint16(packet.Ethernet), uint16(0), []byte{}, ip("2001:db8::1", "2001:db8::2", packet.TCP, 0, 0, tcp(1, 2, 17, 3)))
	f.Add(uint16(packet.Ethernet), uint16(1500), []byte("\xff\x00\x80"), frame(0x0800, ip("192.0.2.1", "198.51.100.2", packet.ICMP, 3, 0x2000, icmp(8, 0))[14:], 1, 2))
	f.Add(uint16(packet.Raw), uint16(9), []byte{7}, make([]byte, 20))
	f.Fuzz(func(t *testing.T, link, length uint16, times, data []byte) {
		if len(times) > 100 {
			return
		}
		for _, biflow := range []bool{false, true} {
			m, out := NewMeter(MeterConfig{Cache: CacheConfig{Flows: 3, Biflow: biflow}, NonIP: biflow,
				Parser: &packet.Parser{Tunnels: packet.TunnelsOf(1, 2, 3, 4, 5, 6, 7)}}), flow.NewBatch(8)
			now := int64(1e15)
			for n, step := range append(times, 0) {
				now += int64(int8(step)) * 1e9
				cut := data[:len(data)-min(n, len(data))]
				m.Add(&pcap.Packet{Time: now, Link: packet.Link(link), Length: int(length), Data: cut}, Point{Interface: uint32(step) & 1}, out)
				m.Add(&pcap.Packet{Time: now, Link: packet.Ethernet, Data: smallest(uint32(step))}, Point{}, out)
			}
			m.Flush(out)
			s := m.Stats()
			accounted := s.PassedOver + s.Metered
			for _, n := range s.Skipped {
				accounted += n
			}
			if packets, octets := sums(out); s.Packets != uint64(2*len(times)+2) || accounted != s.Packets || packets != s.Metered || octets != s.Octets || octets > s.Bytes {
				t.Fatalf("%+v: flows of %d packets, %d bytes", s, packets, octets)
			}
			if c := m.CacheStats(); c.Flows != 0 || c.Peak > 3 || c.Created != uint64(out.Len()) {
				t.Fatalf("%+v with %d flows", c, out.Len())
			}
		}
	})
}

// read meters a capture file.
func read(t testing.TB, cfg MeterConfig, r io.Reader) (*Meter, *flow.Batch) {
	t.Helper()
	c, err := pcap.NewReader(r)
	if err != nil {
		t.Fatal(err)
	}
	m, out := NewMeter(cfg), flow.NewBatch(64)
	var p pcap.Packet
	for {
		if err := c.Next(&p); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		m.Add(&p, Point{}, out)
	}
	m.Flush(out)
	return m, out
}
