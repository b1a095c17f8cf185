package packet

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/minamo-flow/minamo/flow"
)

const (
	ends4 = `"src_addr":"192.0.2.1","dst_addr":"198.51.100.2",`
	ends6 = `"src_addr":"2001:db8::1","dst_addr":"2001:db8::2",`
	rest4 = `"tos":184,"ttl":64,"fragment_offset":0,"fragment_id":4660`
	rest6 = `"tos":40,"ttl":63,"flow_label":703710`
	ends2 = `"src_mac":"02:00:00:00:00:01","dst_mac":"02:00:00:00:00:02"`
)

// cases are packets, with the columns and the length that they give.
var cases = []struct {
	name   string
	link   Link
	packet []byte
	length int
	want   string
}{
	{"TCP in Ethernet", Ethernet, ethernet(0x0800, ip4(TCP, 0x4000, nil, tcp(443, 50000, 0x12))), 40,
		`{` + ends4 + `"protocol":6,"src_port":443,"dst_port":50000,"tcp_flags":18,` + rest4 + `,"ether_type":2048,` + ends2 + `}`},
	{"padded frame", Ethernet, append(ethernet(0x0800, ip4(UDP, 0, nil, udp(53, 5353))), make([]byte, 18)...), 28,
		`{` + ends4 + `"protocol":17,"src_port":53,"dst_port":5353,` + rest4 + `,"ether_type":2048,` + ends2 + `}`},
	{"VLAN", Ethernet, ethernet(0x8100, u16(0x6007, 0x0800), ip4(UDP, 0, nil, udp(53, 5353))), 28,
		`{` + ends4 + `"protocol":17,"src_port":53,"dst_port":5353,` + rest4 + `,"ether_type":2048,` + ends2 + `,"src_vlan":7}`},
	{"QinQ", Ethernet, ethernet(0x88a8, u16(100, 0x8100, 7, 0x86dd), ip6(UDP, udp(53, 5353))), 48,
		`{` + ends6 + `"protocol":17,"src_port":53,"dst_port":5353,` + rest6 + `,"ether_type":34525,` + ends2 + `,"src_vlan":100,"customer_vlan":7}`},
	{"three tags", Ethernet, ethernet(0x88a8, u16(100, 0x9100, 7, 0x8100, 8, 0x0806)), 0,
		`{"ether_type":2054,` + ends2 + `,"src_vlan":100,"customer_vlan":7}`},
	{"priority tag is no VLAN", Ethernet, ethernet(0x8100, u16(0xe000, 0x0806)), 0,
		`{"ether_type":2054,` + ends2 + `}`},
	{"PPPoE", Ethernet, ethernet(0x8864, []byte{0x11, 0, 0, 1, 0, 30, 0, 0x21}, ip4(UDP, 0, nil, udp(1, 2))), 28,
		`{` + ends4 + `"protocol":17,"src_port":1,"dst_port":2,` + rest4 + `,"ether_type":34916,` + ends2 + `}`},
	{"four MPLS labels", Ethernet, ethernet(0x8847, label(16, false), label(17, false), label(18, false), label(19, true), ip4(UDP, 0, nil, udp(1, 2))), 28,
		`{` + ends4 + `"protocol":17,"src_port":1,"dst_port":2,` + rest4 + `,"ether_type":34887,` + ends2 + `,"mpls_label1":16,"mpls_label2":17,"mpls_label3":18,"mpls_label4":19}`},
	{"eleven MPLS labels", MPLS, join(label(1, false), label(2, false), label(3, false), label(4, false), label(5, false), label(6, false), label(7, false), label(8, false), label(9, false), label(10, false), label(11, true), ip4(UDP, 0, nil, udp(1, 2))), 28,
		`{` + ends4 + `"protocol":17,"src_port":1,"dst_port":2,` + rest4 + `,"mpls_label1":1,"mpls_label2":2,"mpls_label3":3,"mpls_label4":4,"mpls_label5":5,"mpls_label6":6,"mpls_label7":7,"mpls_label8":8,"mpls_label9":9,"mpls_label10":10}`},
	{"MPLS alone, IPv6 below", MPLS, join(label(3, true), ip6(UDP, udp(1, 2))), 48,
		`{` + ends6 + `"protocol":17,"src_port":1,"dst_port":2,` + rest6 + `,"mpls_label1":3}`},
	{"MPLS pseudowire", MPLS, join(label(99, true), u32(0), macs), 0, `{"mpls_label1":99}`},
	{"pseudowire with control word", Ethernet, ethernet(0x8847, label(16, false), label(99, true), u32(7), []byte{2, 0, 0, 0, 0, 4, 2, 0, 0, 0, 0, 3}, u16(0x8100, 30, 0x0800), ip4(UDP, 0, nil, udp(1, 2))), 28,
		`{` + ends4 + `"protocol":17,"src_port":1,"dst_port":2,` + rest4 + `,"ether_type":34887,` + ends2 + `,"customer_vlan":30,"mpls_label1":16,"mpls_label2":99}`},
	{"pseudowire without control word, no Ethernet above", MPLS, join(label(99, true), ethernet(0x8100, u16(30, 0x86dd), ip6(UDP, udp(1, 2)))), 48,
		`{` + ends6 + `"protocol":17,"src_port":1,"dst_port":2,` + rest6 + `,"ether_type":34525,` + ends2 + `,"src_vlan":30,"mpls_label1":99}`},
	{"pseudowire without control word, to an address like one", MPLS, join(label(99, true), []byte{0, 0, 0x0c, 7, 7, 7}, macs[6:], u16(0x0800), ip4(UDP, 0, nil, udp(1, 2))), 28,
		`{` + ends4 + `"protocol":17,"src_port":1,"dst_port":2,` + rest4 + `,"ether_type":2048,"src_mac":"02:00:00:00:00:01","dst_mac":"00:00:0c:07:07:07","mpls_label1":99}`},
	{"labels in a pseudowire in labels", MPLS, join(label(99, true), u32(0), ethernet(0x8847, label(5, true), u32(0), ethernet(0x0800, ip4(UDP, 0, nil, udp(1, 2))))), 0, `{"mpls_label1":99}`},
	{"associated channel", MPLS, join(label(99, true), u32(0x10000021), ip4(UDP, 0, nil, udp(1, 2))), 0, `{"mpls_label1":99}`},
	{"802.3 with SNAP", Ethernet, ethernet(36, []byte{0xaa, 0xaa, 3, 0, 0, 0, 8, 0}, ip4(UDP, 0, nil, udp(1, 2))), 28,
		`{` + ends4 + `"protocol":17,"src_port":1,"dst_port":2,` + rest4 + `,"ether_type":2048,` + ends2 + `}`},
	{"802.3 with LLC", Ethernet, ethernet(38, []byte{0x42, 0x42, 3, 0, 0, 0, 0, 0}), 0, `{` + ends2 + `}`},
	{"IPv4 options", IPv4, ip4(TCP, 0, []byte{7, 3, 4, 0}, tcp(1, 2, 2)), 44,
		`{` + ends4 + `"protocol":6,"src_port":1,"dst_port":2,"tcp_flags":2,` + rest4 + `}`},
	{"first fragment", Raw, ip4(UDP, 0x2000, nil, udp(1, 2)), 28,
		`{` + ends4 + `"protocol":17,"src_port":1,"dst_port":2,` + rest4 + `}`},
	{"later fragment has no ports", Raw, ip4(UDP, 0x20b9, nil, udp(1, 2)), 28,
		`{` + ends4 + `"protocol":17,"tos":184,"ttl":64,"fragment_offset":185,"fragment_id":4660}`},
	{"ICMP", Raw, ip4(ICMP, 0, nil, []byte{3, 1, 0, 0}), 24,
		`{` + ends4 + `"protocol":1,"icmp_type":3,"icmp_code":1,` + rest4 + `}`},
	{"SCTP", Raw, ip4(SCTP, 0, nil, u16(5, 6)), 24,
		`{` + ends4 + `"protocol":132,"src_port":5,"dst_port":6,` + rest4 + `}`},
	{"GRE is not entered", Raw, ip4(47, 0, nil, u16(0, 0x800), ip4(UDP, 0, nil, udp(1, 2))), 52,
		`{` + ends4 + `"protocol":47,` + rest4 + `}`},
	{"all of TCP's flags", Raw, ip4(TCP, 0, nil, join(u16(1, 2), u32(0, 0), u16(0x5fff, 0, 0, 0))), 40,
		`{` + ends4 + `"protocol":6,"src_port":1,"dst_port":2,"tcp_flags":4095,` + rest4 + `}`},
	{"IGMP has no type of ICMP's", Raw, ip4(2, 0, nil, []byte{0x16, 0, 0, 0, 224, 0, 0, 9}), 28,
		`{` + ends4 + `"protocol":2,` + rest4 + `}`},
	{"padding is no header", Ethernet, ethernet(0x0800, ip4(TCP, 0, nil, u16(1, 2)), make([]byte, 40)), 24,
		`{` + ends4 + `"protocol":6,"src_port":1,"dst_port":2,` + rest4 + `,"ether_type":2048,` + ends2 + `}`},
	{"ICMPv6", IPv6, ip6(ICMPv6, []byte{135, 0, 0, 0}), 44,
		`{` + ends6 + `"protocol":58,"icmp_type":135,"icmp_code":0,` + rest6 + `}`},
	{"IPv6 extension headers", IPv6, ip6(hopByHop, []byte{routing, 0, 1, 4, 0, 0, 0, 0}, []byte{destOpts, 1}, make([]byte, 14), []byte{authHdr, 0}, make([]byte, 6), []byte{TCP, 4}, make([]byte, 22), tcp(1, 2, 4)), 116,
		`{` + ends6 + `"protocol":6,"src_port":1,"dst_port":2,"tcp_flags":4,` + rest6 + `}`},
	{"IPv6 mobility", IPv6, ip6(mobility, []byte{noNext, 0, 5, 0, 0, 0, 0, 0}), 48,
		`{` + ends6 + `"protocol":135,` + rest6 + `}`},
	{"IPv6 shim", IPv6, ip6(shim6, []byte{UDP, 0, 0x80, 0, 0, 0, 0, 0}, udp(1, 2)), 56,
		`{` + ends6 + `"protocol":17,"src_port":1,"dst_port":2,` + rest6 + `}`},
	{"IPv6 without payload", IPv6, ip6(noNext), 0,
		`{` + ends6 + `"protocol":59,` + rest6 + `}`},
	{"IPv6 first fragment", IPv6, ip6(fragment, []byte{UDP, 0, 0, 1}, u32(0xdeadbeef), udp(1, 2)), 56,
		`{` + ends6 + `"protocol":17,"src_port":1,"dst_port":2,"tos":40,"ttl":63,"fragment_offset":0,"fragment_id":3735928559,"flow_label":703710}`},
	{"IPv6 later fragment", IPv6, ip6(fragment, []byte{UDP, 0, 0, 8}, u32(7), udp(1, 2)), 56,
		`{` + ends6 + `"protocol":17,"tos":40,"ttl":63,"fragment_offset":1,"fragment_id":7,"flow_label":703710}`},
	{"IPv6 later fragment amid headers", IPv6, ip6(fragment, []byte{destOpts, 0, 0, 8}, u32(7), udp(1, 2)), 56,
		`{` + ends6 + `"tos":40,"ttl":63,"fragment_offset":1,"fragment_id":7,"flow_label":703710}`},
	{"segmentation offload", Raw, append(ip4(TCP, 0, nil, tcp(1, 2, 16))[:2], append([]byte{0, 0}, ip4(TCP, 0, nil, tcp(1, 2, 16))[4:]...)...), 0,
		`{` + ends4 + `"protocol":6,"src_port":1,"dst_port":2,"tcp_flags":16,` + rest4 + `}`},
	{"impossible IPv4 header length", Raw, append([]byte{0x41}, ip4(UDP, 0, nil, udp(1, 2))[1:]...), 28,
		`{` + ends4 + `"protocol":17,` + rest4 + `}`},
	{"PPP with a short protocol", PPP, join([]byte{0x21}, ip4(UDP, 0, nil, udp(1, 2))), 28,
		`{` + ends4 + `"protocol":17,"src_port":1,"dst_port":2,` + rest4 + `}`},
	{"PPP with framing", PPP, join([]byte{0xff, 3, 0, 0x57}, ip6(UDP, udp(1, 2))), 48,
		`{` + ends6 + `"protocol":17,"src_port":1,"dst_port":2,` + rest6 + `}`},
	{"Linux cooked", SLL, join(make([]byte, 14), u16(0x0800), ip4(UDP, 0, nil, udp(1, 2))), 28,
		`{` + ends4 + `"protocol":17,"src_port":1,"dst_port":2,` + rest4 + `,"ether_type":2048}`},
	{"Linux cooked 2, VLAN", SLL2, join(u16(0x8100), make([]byte, 18), u16(5, 0x86dd), ip6(UDP, udp(1, 2))), 48,
		`{` + ends6 + `"protocol":17,"src_port":1,"dst_port":2,` + rest6 + `,"ether_type":34525,"src_vlan":5}`},
	{"loopback", Null, join([]byte{30, 0, 0, 0}, ip6(UDP, udp(1, 2))), 48,
		`{` + ends6 + `"protocol":17,"src_port":1,"dst_port":2,` + rest6 + `}`},
	{"Cisco HDLC", CiscoHDLC, join([]byte{0x0f, 0, 8, 0}, ip4(UDP, 0, nil, udp(1, 2))), 28,
		`{` + ends4 + `"protocol":17,"src_port":1,"dst_port":2,` + rest4 + `,"ether_type":2048}`},
	{"unknown link type", Link(147), ip4(UDP, 0, nil, udp(1, 2)), 0, `{}`},
	{"cut inside TCP", Raw, ip4(TCP, 0, nil, tcp(1, 2, 16))[:30], 40,
		`{` + ends4 + `"protocol":6,"src_port":1,"dst_port":2,` + rest4 + `}`},
	{"cut inside IPv4", Raw, ip4(TCP, 0, nil, tcp(1, 2, 16))[:16], 40,
		`{"src_addr":"192.0.2.1","protocol":6,` + rest4 + `}`},
	{"cut inside IPv6", Raw, ip6(UDP, udp(1, 2))[:30], 48,
		`{"src_addr":"2001:db8::1","protocol":17,` + rest6 + `}`},
	{"cut inside a tag", Ethernet, ethernet(0x8100, []byte{0}), 0, `{` + ends2 + `}`},
	{"cut inside the MAC addresses", Ethernet, macs[:11], 0, `{}`},
}

func TestParse(t *testing.T) {
	for _, c := range cases {
		b := flow.NewBatch(1)
		b.Extend(1)
		l := Parse(b, 0, c.link, c.packet)
		if got := string(b.AppendJSON(nil, 0)); got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.name, got, c.want)
		}
		if l.Length != c.length {
			t.Errorf("%s: length %d, want %d", c.name, l.Length, c.length)
		}
	}
}

// deep parses p into row i, out of at most that many of the tunnels.
func deep(b *flow.Batch, i int, link Link, p []byte, tunnels Tunnels, most int) (l Layout, entered int) {
	l.locate(link, p)
	entered = l.enter(p, tunnels, most)
	l.columns(b, i, p)
	return l, entered
}

// checkCut parses the first bytes of p too, and checks that what is set is
// present, and that the cut packet says nothing that the whole one, out of as
// many tunnels, denies.
func checkCut(t *testing.T, b *flow.Batch, link Link, p []byte, cut int, tunnels Tunnels) {
	t.Helper()
	b.Reset()
	b.Extend(2)
	l, entered := deep(b, 1, link, p[:cut:cut], tunnels, maxTunnels)
	checkLayout(t, &l, cut)
	l, _ = deep(b, 0, link, p, tunnels, entered)
	checkLayout(t, &l, len(p))
	for c := range flow.Columns() {
		for i := range 2 {
			if !b.Present[i].Has(c) && string(b.AppendText(nil, c, i)) != string(zero.AppendText(nil, c, 0)) {
				t.Errorf("%s of row %d is absent, but not zero", c, i)
			}
		}
		if b.Present[1].Has(c) && (!b.Present[0].Has(c) || string(b.AppendText(nil, c, 0)) != string(b.AppendText(nil, c, 1))) {
			t.Errorf("%s is %s in %d bytes, %s in all of link %d, %x", c, b.AppendText(nil, c, 1), cut, b.AppendText(nil, c, 0), link, p)
		}
	}
}

// checkLayout checks that a packet of n bytes holds what its layout says.
func checkLayout(t *testing.T, l *Layout, n int) {
	t.Helper()
	for _, at := range []int{l.Network, l.Outermost, l.Payload, l.FragmentHeader, l.end} {
		if at < 0 || at > n {
			t.Fatalf("offset %d of %d bytes: %+v", at, n, l)
		}
	}
	if l.HasMAC && l.Frame+12 > n || l.Tags > 0 && l.VLAN+2 > n || l.Customer > 0 && l.Customer+2 > n || l.Labels > 0 && l.MPLS+4*l.Labels > n ||
		l.Payload > 0 && l.Payload > l.end || l.Version > 0 && l.Network > l.end {
		t.Fatalf("beyond %d bytes: %+v", n, l)
	}
}

// seeds gives a fuzz target the packets of all tables.
func seeds(add func(link Link, p []byte)) {
	for _, c := range cases {
		add(c.link, c.packet)
	}
	for _, c := range tunnelCases {
		add(c.link, c.packet)
	}
}

// FuzzParse checks that headers of any bytes are safe, cut off anywhere.
func FuzzParse(f *testing.F) {
	seeds(func(link Link, p []byte) { f.Add(uint16(link), p, uint16(len(p)/2), uint8(all)) })
	b := flow.NewBatch(2)
	f.Fuzz(func(t *testing.T, link uint16, p []byte, cut uint16, tunnels uint8) {
		checkCut(t, b, Link(link), p, min(int(cut), len(p)), Tunnels(tunnels))
	})
}

func FuzzLocate(f *testing.F) {
	seeds(func(link Link, p []byte) { f.Add(uint16(link), p) })
	f.Fuzz(func(t *testing.T, link uint16, p []byte) {
		l := Locate(Link(link), p)
		checkLayout(t, &l, len(p))
		if l != Locate(Link(link), p) {
			t.Error("one packet, two layouts")
		}
		if !Link(link).Known() && l != (Layout{}) {
			t.Errorf("link type %d is not known, but %+v", link, l)
		}
	})
}

func TestCutAnywhere(t *testing.T) {
	b := flow.NewBatch(2)
	everywhere := func(link Link, p []byte) {
		for cut := range len(p) + 1 {
			checkCut(t, b, link, p, cut, all)
			checkCut(t, b, link, p, cut, 0)
		}
	}
	seeds(everywhere)
	for link, packets := range Matrix() {
		for n := 0; n < len(packets); n += 17 {
			everywhere(link, packets[n].Packet)
		}
	}
}

// TestTimeIsLinear parses 64 KiB that make each loop as long as it can be:
// microseconds of work, which would be a tenth of a second if every header led
// to looking at all of them again.
func TestTimeIsLinear(t *testing.T) {
	fill := func(head, with []byte) []byte {
		for len(head) < 1<<16 {
			head = append(head, with...)
		}
		return head
	}
	for name, c := range map[string]struct {
		link   Link
		packet []byte
	}{
		"tags":              {Ethernet, fill(macs, u16(etherVLAN, 1))},
		"labels":            {MPLS, fill(nil, label(1, false))},
		"extensions":        {Raw, ip6(destOpts, fill(nil, []byte{destOpts, 0, 0, 0, 0, 0, 0, 0})[:1<<16-8])},
		"GTP's extensions":  {Raw, in4(UDP, udp(1, portGTPU, gtpHeader(4, 1, fill([]byte{0, 0, 0, 1}, []byte{1, 0, 0, 1})[:1<<15], nil)))},
		"pseudowire's tags": {MPLS, fill(join(label(1, true), u32(0), macs), u16(etherVLAN, 1))},
		"pseudowires":       {MPLS, fill(nil, join(label(1, true), u32(0), macs, u16(etherMPLS)))},
		"tunnels": {Raw, func() (p []byte) {
			for len(p) < 1<<16-100 {
				p = in4(gre, greHeader(0, etherMPLS), label(1, true), u32(0), ethernet(etherIPv4, p))
			}
			return p
		}()},
	} {
		b := flow.NewBatch(1)
		b.Extend(1)
		q := Parser{Tunnels: all}
		best := time.Hour
		for range 3 {
			start := time.Now()
			q.Parse(b, 0, c.link, c.packet)
			best = min(best, time.Since(start))
		}
		if best > 20*time.Millisecond {
			t.Errorf("%s: %v", name, best)
		}
	}
}

// zero is a batch of one empty row.
var zero = func() *flow.Batch {
	b := flow.NewBatch(1)
	b.Extend(1)
	return b
}()

func TestParseDoesNotAllocate(t *testing.T) {
	b := flow.NewBatch(1)
	b.Extend(1)
	for _, c := range cases {
		if n := testing.AllocsPerRun(10, func() { Parse(b, 0, c.link, c.packet) }); n != 0 {
			t.Errorf("%s: %v allocations", c.name, n)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	for _, c := range cases[:4] {
		b.Run(c.name, func(b *testing.B) {
			batch := flow.NewBatch(1)
			batch.Extend(1)
			b.ReportAllocs()
			for b.Loop() {
				Parse(batch, 0, c.link, c.packet)
			}
		})
	}
}

func ExampleParse() {
	b := flow.NewBatch(1)
	row := b.Extend(1)
	frame := ethernet(0x0800, ip4(UDP, 0, nil, udp(53, 5353)))
	l := Parse(b, row, Ethernet, frame)
	b.SetUint(flow.Packets, row, 1)
	b.SetUint(flow.Bytes, row, uint64(l.Length))
	os.Stdout.Write(append(b.AppendJSON(nil, row), '\n'))
	fmt.Println("payload begins at", l.Payload+8)
	// Output:
	// {"packets":1,"bytes":28,"src_addr":"192.0.2.1","dst_addr":"198.51.100.2","protocol":17,"src_port":53,"dst_port":5353,"tos":184,"ttl":64,"fragment_offset":0,"fragment_id":4660,"ether_type":2048,"src_mac":"02:00:00:00:00:01","dst_mac":"02:00:00:00:00:02"}
	// payload begins at 42
}
