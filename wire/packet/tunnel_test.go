package packet

import (
	"fmt"
	"os"
	"testing"

	"github.com/minamo-flow/minamo/flow"
)

// all are all tunnels.
var all = TunnelsOf(flow.TunnelIPIP, flow.Tunnel6in4, flow.TunnelGRE, flow.TunnelVXLAN, flow.TunnelGeneve, flow.TunnelGTPU, flow.TunnelSRv6)

// in4 and in6 are tunnels' packets, from 10.0.0.1 to 10.0.0.2 and from
// 2001:db8:f::1 to ::2.
func in4(protocol byte, payload ...[]byte) []byte {
	p := ip4(protocol, 0, nil, payload...)
	copy(p[12:], []byte{10, 0, 0, 1, 10, 0, 0, 2})
	return p
}

func in6(next byte, payload ...[]byte) []byte {
	p := ip6(next, payload...)
	p[13], p[29] = 0xf, 0xf
	return p
}

const (
	around4 = `,"tunnel_src_addr":"10.0.0.1","tunnel_dst_addr":"10.0.0.2"}`
	around6 = `,"tunnel_src_addr":"2001:db8:f::1","tunnel_dst_addr":"2001:db8:f::2"}`
	inner4  = `{` + ends4 + `"protocol":17,"src_port":1,"dst_port":2,` + rest4
	inner6  = `{` + ends6 + `"protocol":17,"src_port":1,"dst_port":2,` + rest6
	frame4  = inner4 + `,"ether_type":2048,` + ends2
	frame6  = inner6 + `,"ether_type":34525,` + ends2
	bare    = `{"src_addr":"10.0.0.1","dst_addr":"10.0.0.2",`
	header4 = `"tos":184,"ttl":64,"fragment_offset":0,"fragment_id":4660`
)

var (
	packet4 = ip4(UDP, 0, nil, udp(1, 2))
	packet6 = ip6(UDP, udp(1, 2))
)

var tunnelCases = []struct {
	name    string
	tunnels Tunnels
	link    Link
	packet  []byte
	want    string
}{
	{"IPv4 in IPv4", all, Raw, in4(ip4In, packet4), inner4 + `,"tunnel":"ipip"` + around4},
	{"IPv6 in IPv4", all, Raw, in4(ip6In, packet6), inner6 + `,"tunnel":"6in4"` + around4},
	{"IPv4 in IPv6", all, Raw, in6(ip4In, packet4), inner4 + `,"tunnel":"ipip"` + around6},
	{"IPv6 in IPv6", all, Raw, in6(ip6In, packet6), inner6 + `,"tunnel":"ipip"` + around6},
	{"with a destination option (RFC 2473)", all, Raw, in6(destOpts, []byte{ip6In, 0, 4, 1, 3, 1, 1, 0}, packet6), inner6 + `,"tunnel":"ipip"` + around6},
	{"in a first fragment", all, Raw, in6(fragment, []byte{ip6In, 0, 0, 1}, u32(9), packet6), inner6 + `,"tunnel":"ipip"` + around6},
	{"in a later fragment", all, Raw, func() []byte { p := in4(ip4In, packet4); p[7] = 1; return p }(),
		bare + `"protocol":4,"tos":184,"ttl":64,"fragment_offset":1,"fragment_id":4660}`},
	{"the frame around stays, with its labels", all, Ethernet, ethernet(0x8100, u16(5, 0x8847), label(16, true), in4(ip4In, packet4)),
		inner4 + `,"ether_type":34887,` + ends2 + `,"src_vlan":5,"mpls_label1":16,"tunnel":"ipip"` + around4},
	{"not asked for", all &^ TunnelsOf(flow.TunnelIPIP), Raw, in4(ip4In, packet4), bare + `"protocol":4,` + header4 + `}`},
	{"not what it says", all, Raw, in4(ip4In, packet6), bare + `"protocol":4,` + header4 + `}`},
	{"empty", all, Raw, in4(ip4In), bare + `"protocol":4,` + header4 + `}`},
	{"padding is not inside", all, Raw, append(in4(ip4In), packet4...), bare + `"protocol":4,` + header4 + `}`},

	{"GRE", all, Raw, in4(gre, greHeader(0, 0x0800), packet4), inner4 + `,"tunnel":"gre"` + around4},
	{"GRE with all options", all, Raw, in6(gre, greHeader(0xb000, 0x86dd, 0, 0xdeadbeef, 7), packet6), inner6 + `,"tunnel":"gre","tunnel_id":3735928559` + around6},
	{"GRE with labels", all, Raw, in4(gre, greHeader(0, 0x8847), label(3, true), packet4), inner4 + `,"mpls_label1":3,"tunnel":"gre"` + around4},
	{"NVGRE", all, Ethernet, join(make([]byte, 12), u16(0x8100, 9, 0x0800), in4(gre, greHeader(0x2000, etherBridged, 0x12345678), ethernet(0x0800, packet4))),
		frame4 + `,"tunnel":"gre","tunnel_id":305419896` + around4},
	{"ERSPAN type I", all, Raw, in4(gre, greHeader(0, etherERSPAN), ethernet(0x0800, packet4)), frame4 + `,"tunnel":"gre"` + around4},
	{"ERSPAN type II", all, Raw, in4(gre, greHeader(0x1000, etherERSPAN, 1), u32(0x10000007, 0), ethernet(0x0800, packet4)), frame4 + `,"tunnel":"gre","tunnel_id":7` + around4},
	{"ERSPAN type III", all, Raw, in4(gre, greHeader(0x1000, etherERSPAN3, 1), u32(0x20000008, 0, 0), ethernet(0x0800, packet4)), frame4 + `,"tunnel":"gre","tunnel_id":8` + around4},
	{"ERSPAN type III with a platform's header", all, Raw, in4(gre, greHeader(0x1000, etherERSPAN3, 1), u32(0x20000008, 0, 1, 0, 0), ethernet(0x0800, packet4)), frame4 + `,"tunnel":"gre","tunnel_id":8` + around4},
	{"WCCP version 1", all, Raw, in4(gre, greHeader(0, etherWCCP), packet4), inner4 + `,"tunnel":"gre"` + around4},
	{"WCCP version 2", all, Raw, in4(gre, greHeader(0, etherWCCP), u32(0x00510000), packet4), inner4 + `,"tunnel":"gre"` + around4},
	{"GRE with source routes", all, Raw, in4(gre, greHeader(0x4000, 0x0800), packet4), bare + `"protocol":47,` + header4 + `}`},
	{"GRE of PPTP", all, Raw, in4(gre, greHeader(0x2001, 0x880b, 0), packet4), bare + `"protocol":47,` + header4 + `}`},
	{"GRE keepalive", all, Raw, in4(gre, greHeader(0, 0)), bare + `"protocol":47,` + header4 + `}`},

	{"VXLAN", all, Raw, in4(UDP, udp(9999, 4789, vxlanHeader(5001), ethernet(0x8100, u16(7, 0x0800), packet4))),
		frame4 + `,"src_vlan":7,"tunnel":"vxlan","tunnel_id":5001` + around4},
	{"VXLAN on Linux's port, in IPv6", all, Raw, in6(UDP, udp(9999, 8472, vxlanHeader(0xffffff), ethernet(0x86dd, packet6))),
		frame6 + `,"tunnel":"vxlan","tunnel_id":16777215` + around6},
	{"VXLAN-GPE", all, Raw, in4(UDP, udp(9999, 4790, []byte{12, 0, 0, 2}, u32(5001<<8), packet6)), inner6 + `,"tunnel":"vxlan","tunnel_id":5001` + around4},
	{"VXLAN-GPE with labels", all, Raw, in4(UDP, udp(9999, 4790, []byte{12, 0, 0, 5}, u32(5001<<8), label(3, true), packet4)), inner4 + `,"mpls_label1":3,"tunnel":"vxlan","tunnel_id":5001` + around4},
	{"VXLAN-GPE of an unknown protocol", all, Raw, in4(UDP, udp(9999, 4790, []byte{12, 0, 0, 6}, u32(5001<<8), label(3, true), packet4)), bare + `"protocol":17,"src_port":9999,"dst_port":4790,` + header4 + `}`},
	{"VXLAN without a valid number", all, Raw, in4(UDP, udp(9999, 4789, u32(0, 5001<<8), ethernet(0x0800, packet4))), bare + `"protocol":17,"src_port":9999,"dst_port":4789,` + header4 + `}`},
	{"ARP in VXLAN", all, Ethernet, join(make([]byte, 12), u16(0x8100, 9, 0x0800), in4(UDP, udp(9999, 4789, vxlanHeader(5001), ethernet(0x0806)))),
		`{"ether_type":2054,` + ends2 + `,"tunnel":"vxlan","tunnel_id":5001` + around4},
	{"Geneve", all, Raw, in4(UDP, udp(9999, 6081, geneveHeader(77, etherBridged), ethernet(0x0800, packet4))), frame4 + `,"tunnel":"geneve","tunnel_id":77` + around4},
	{"Geneve with options", all, Raw, in4(UDP, udp(9999, 6081, geneveHeader(77, 0x86dd, 1, 2, 3, 1, 0, 0, 0, 0), packet6)), inner6 + `,"tunnel":"geneve","tunnel_id":77` + around4},

	{"GTP-U", all, Raw, in4(UDP, udp(2152, 2152, gtpHeader(0, 0xcafe, nil, packet4))), inner4 + `,"tunnel":"gtp-u","tunnel_id":51966` + around4},
	{"GTP-U with sequence number", all, Raw, in4(UDP, udp(2152, 2152, gtpHeader(2, 0xcafe, []byte{0, 1, 0, 0x85}, packet6))), inner6 + `,"tunnel":"gtp-u","tunnel_id":51966` + around4},
	{"GTP-U with extension headers", all, Raw, in6(UDP, udp(2152, 2152, gtpHeader(4, 0xcafe, []byte{0, 0, 0, 0x85, 1, 0x10, 9, 0x40, 2, 0, 0, 0, 0, 0, 0, 0}, packet4))), inner4 + `,"tunnel":"gtp-u","tunnel_id":51966` + around6},
	{"GTP-U echo request", all, Raw, in4(UDP, udp(2152, 2152, []byte{0x32, 1, 0, 4}, u32(0, 0))), bare + `"protocol":17,"src_port":2152,"dst_port":2152,` + header4 + `}`},
	{"GTP-U with an extension header without length", all, Raw, in4(UDP, udp(2152, 2152, gtpHeader(4, 1, []byte{0, 0, 0, 0x85, 0, 0, 0, 0}, packet4))), bare + `"protocol":17,"src_port":2152,"dst_port":2152,` + header4 + `}`},

	{"SRv6 ends at the last segment", all, Raw, in6(routing, segmentHeader(ip4In, 3, 2), packet4), inner4 + `,"tunnel":"srv6","tunnel_src_addr":"2001:db8:f::1","tunnel_dst_addr":"2001:db8:5::3"}`},
	{"SRv6 with Ethernet", all, Raw, in6(routing, segmentHeader(etherIn, 1, 0), ethernet(0x0800, packet4)), frame4 + `,"tunnel":"srv6","tunnel_src_addr":"2001:db8:f::1","tunnel_dst_addr":"2001:db8:5::1"}`},
	{"SRv6 without segments, where IPIP is not asked for", TunnelsOf(flow.TunnelSRv6), Raw, in6(ip6In, packet6), inner6 + `,"tunnel":"srv6"` + around6},
	{"SRv6 not asked for", TunnelsOf(flow.TunnelIPIP), Raw, in6(routing, segmentHeader(ip4In, 1, 0), packet4), `{"src_addr":"2001:db8:f::1","dst_addr":"2001:db8:f::2","protocol":4,` + rest6 + `}`},

	{"the innermost tunnel is told", all, Raw, ip4(gre, 0, nil, greHeader(0x2000, 0x0800, 5), in4(UDP, udp(9999, 4789, vxlanHeader(5001), ethernet(0x0800, packet4)))),
		frame4 + `,"tunnel":"vxlan","tunnel_id":5001` + around4},
	{"of tunnels in tunnels, the outer not asked for", TunnelsOf(flow.TunnelVXLAN), Raw, in4(gre, greHeader(0, 0x0800), in4(UDP, udp(9999, 4789, vxlanHeader(5001), ethernet(0x0800, packet4)))),
		bare + `"protocol":47,` + header4 + `}`},
	{"cut off inside", all, Raw, in4(ip4In, packet4)[:20+16], `{"src_addr":"192.0.2.1","protocol":17,` + rest4 + `,"tunnel":"ipip"` + around4},
}

func TestTunnels(t *testing.T) {
	for _, c := range tunnelCases {
		b := flow.NewBatch(1)
		b.Extend(1)
		q := Parser{Tunnels: c.tunnels}
		l := q.Parse(b, 0, c.link, c.packet)
		if got := string(b.AppendJSON(nil, 0)); got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.name, got, c.want)
		}
		if outer := Locate(c.link, c.packet); l.Length != outer.Length || l.Outermost != outer.Network {
			t.Errorf("%s: %d bytes at %d are of the inner packet; the outer has %d at %d", c.name, l.Length, l.Outermost, outer.Length, outer.Network)
		}
		if n := testing.AllocsPerRun(10, func() { q.Parse(b, 0, c.link, c.packet) }); n != 0 {
			t.Errorf("%s: %v allocations", c.name, n)
		}
	}
}

func TestTunnelsAreBounded(t *testing.T) {
	p := packet4
	for range 50 {
		p = in4(ip4In, p)
	}
	l := Locate(Raw, p)
	if n := l.enter(p, all, maxTunnels); n != maxTunnels || l.Network != 20*maxTunnels || l.Outermost != 0 {
		t.Errorf("entered %d tunnels: %+v", n, l)
	}
}

func TestTunnelNames(t *testing.T) {
	for code, name := range flow.Schema[flow.Tunnel].Names {
		if got, ok := ParseTunnel(name); !ok || uint64(got) != code {
			t.Errorf("%s is %d, %v, want %d", name, got, ok, code)
		}
		if !all.Has(uint8(code)) || TunnelsOf().Has(uint8(code)) {
			t.Errorf("%s is not in the set of all, or in the empty one", name)
		}
	}
	if code, ok := ParseTunnel("l2tp"); ok {
		t.Errorf("l2tp is %d", code)
	}
}

func TestExtract(t *testing.T) {
	frame := ethernet(0x8100, u16(0x6007, 0x0800), ip4(TCP, 0, nil, tcp(443, 50000, 0x12)))
	vxlan := join(make([]byte, 12), u16(0x0800), in4(UDP, udp(9999, 4789, vxlanHeader(5001), frame)))
	none := int64(-1)
	for _, c := range []struct {
		name    string
		packet  []byte
		extract Extract
		want    int64
	}{
		{"priority of a tag", frame, Extract{flow.EgressQueue, LinkHeader, 14 * 8, 3}, 3},
		{"window", frame, Extract{flow.EgressQueue, TransportHeader, 14 * 8, 16}, 1024},
		{"don't fragment, and the bits about it", frame, Extract{flow.EgressQueue, NetworkHeader, 6*8 - 4, 8}, 0x40},
		{"64 bits out of nine bytes", frame, Extract{flow.SamplerID, NetworkHeader, 4, 64}, 0x5b80028123400004},
		{"saturated", frame, Extract{flow.TTL, NetworkHeader, 2 * 8, 16}, 40},
		{"more than the column holds", frame, Extract{flow.ICMPType, TransportHeader, 0, 16}, 255},
		{"beyond the packet", frame, Extract{flow.EgressQueue, TransportHeader, 20*8 - 7, 8}, none},
		{"up to its end", frame, Extract{flow.EgressQueue, TransportHeader, 20*8 - 8, 8}, 0},
		{"padding is not the packet's", append(frame[:len(frame):len(frame)], 1, 2), Extract{flow.EgressQueue, TransportHeader, 20 * 8, 8}, none},
		{"no transport header", ethernet(0x0806, make([]byte, 40)), Extract{flow.EgressQueue, TransportHeader, 0, 8}, none},
		{"not IP", ethernet(0x0806, u16(1, 0x0800)), Extract{flow.EgressQueue, NetworkHeader, 16, 16}, 0x0800},
		{"later fragment", ethernet(0x0800, ip4(TCP, 7, nil, tcp(1, 2, 3))), Extract{flow.EgressQueue, TransportHeader, 0, 8}, none},
		{"inner frame", vxlan, Extract{flow.EgressQueue, LinkHeader, 0, 48}, 1<<32 - 1},
		{"inner transport", vxlan, Extract{flow.EgressQueue, TransportHeader, 0, 16}, 443},
		{"no bits", frame, Extract{flow.EgressQueue, LinkHeader, 0, 0}, none},
		{"too many bits", frame, Extract{flow.SamplerID, LinkHeader, 0, 65}, none},
		{"negative", frame, Extract{flow.EgressQueue, LinkHeader, -8, 8}, none},
		{"far away", frame, Extract{flow.EgressQueue, LinkHeader, 1<<63 - 8, 8}, none},
		{"into a text", frame, Extract{flow.ASPath, LinkHeader, 0, 8}, none},
		{"into an address", frame, Extract{flow.NextHop, LinkHeader, 0, 32}, none},
	} {
		b := flow.NewBatch(1)
		b.Extend(1)
		q := Parser{Tunnels: all, Extracts: []Extract{c.extract}}
		q.Parse(b, 0, Ethernet, c.packet)
		got := none
		if b.Present[0].Has(c.extract.Column) {
			got = int64(b.Uint(c.extract.Column, 0))
		}
		if got != c.want {
			t.Errorf("%s: %#x, want %#x", c.name, got, c.want)
		}
	}
}

// FuzzExtract compares with a twin that takes one bit after the other.
func FuzzExtract(f *testing.F) {
	f.Add([]byte{0x45, 0xb8, 0, 0x28, 0x12, 0x34, 0, 0, 0x40}, uint8(2), 4, 64)
	f.Fuzz(func(t *testing.T, p []byte, at uint8, offset, length int) {
		b := flow.NewBatch(1)
		b.Extend(1)
		l := Layout{Network: min(int(at), len(p))}
		e := Extract{flow.SamplerID, NetworkHeader, offset, length}
		e.extract(b, 0, &l, p)
		header := p[l.Network:]
		if offset < 0 || length < 1 || length > 64 || offset > 8*len(header) || offset+length > 8*len(header) {
			if b.Present[0].Has(flow.SamplerID) {
				t.Error("bits of a place that is not there")
			}
			return
		}
		var want uint64
		for bit := offset; bit < offset+length; bit++ {
			want = want<<1 | uint64(header[bit/8]>>(7-bit%8)&1)
		}
		if got := b.U64(flow.SamplerID)[0]; got != want {
			t.Errorf("%d bits at %d of %x are %#x, want %#x", length, offset, header, got, want)
		}
	})
}

func BenchmarkTunnels(b *testing.B) {
	q := Parser{Tunnels: all}
	for _, c := range []struct {
		name   string
		packet []byte
	}{
		{"none", cases[0].packet},
		{"IPIP", in4(ip4In, packet4)},
		{"VXLAN", in4(UDP, udp(9999, portVXLAN, vxlanHeader(5001), ethernet(0x0800, packet4)))},
		{"SRv6", in6(routing, segmentHeader(ip4In, 3, 2), packet4)},
	} {
		link := Raw
		if c.name == "none" {
			link = Ethernet
		}
		b.Run(c.name, func(b *testing.B) {
			batch := flow.NewBatch(1)
			batch.Extend(1)
			b.ReportAllocs()
			for b.Loop() {
				q.Parse(batch, 0, link, c.packet)
			}
		})
	}
}

func ExampleParser() {
	q := Parser{
		Tunnels:  TunnelsOf(flow.TunnelVXLAN),
		Extracts: []Extract{{Column: flow.EgressQueue, Base: NetworkHeader, Offset: 8 + 6, Length: 2}}, // ECN
	}
	b := flow.NewBatch(1)
	row := b.Extend(1)
	l := q.Parse(b, row, IPv4, in4(UDP, udp(9999, 4789, vxlanHeader(5001), ethernet(0x0800, ip4(UDP, 0, nil, udp(53, 5353))))))
	os.Stdout.Write(append(b.AppendJSON(nil, row), '\n'))
	fmt.Println(l.Length, "bytes on the wire")
	// Output:
	// {"src_addr":"192.0.2.1","dst_addr":"198.51.100.2","protocol":17,"src_port":53,"dst_port":5353,"egress_queue":0,"tos":184,"ttl":64,"fragment_offset":0,"fragment_id":4660,"ether_type":2048,"src_mac":"02:00:00:00:00:01","dst_mac":"02:00:00:00:00:02","tunnel":"vxlan","tunnel_id":5001,"tunnel_src_addr":"10.0.0.1","tunnel_dst_addr":"10.0.0.2"}
	// 78 bytes on the wire
}
