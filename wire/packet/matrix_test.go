package packet

import "fmt"

// The matrix: packets of every encapsulation, tunnel and protocol.

// AllTunnels is for the tests outside of the package.
var AllTunnels = all

type MatrixPacket struct {
	Name   string
	Packet []byte
}

// inner is what an IP packet carries.
type inner struct {
	name    string
	version int
	packet  []byte
}

func inners() (list []inner) {
	add := func(name string, packet []byte) {
		list = append(list, inner{name, int(packet[0] >> 4), packet})
	}
	ports := func(rest ...byte) []byte { return join(u16(40001, 40002), rest) }
	tcpAll := join(ports(), u32(1, 2), u16(0x5f12, 1024, 0, 0))
	udpSome := udp(40003, 40004, []byte("payload"))
	sctp := ports(0, 0, 0, 1, 0, 0, 0, 0, 11, 0, 0, 4)
	dccp := ports(4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1)
	lite := join(u16(40005, 40006, 8, 0), []byte("payload"))
	echo := []byte{8, 0, 0, 0, 0, 1, 0, 1, 1, 2, 3, 4}
	echo6 := []byte{128, 0, 0, 0, 0, 1, 0, 1, 1, 2, 3, 4}
	esp := join(u32(0x1000, 1), make([]byte, 24))
	for _, of := range []struct {
		protocol byte
		p        []byte
	}{{TCP, tcpAll}, {UDP, udpSome}, {SCTP, sctp}, {DCCP, dccp}, {UDPLite, lite}, {50, esp}} {
		add(fmt.Sprint("IPv4 protocol ", of.protocol), ip4(of.protocol, 0x4000, nil, of.p))
		add(fmt.Sprint("IPv6 protocol ", of.protocol), ip6(of.protocol, of.p))
	}
	add("IPv4 ICMP", ip4(ICMP, 0, nil, echo))
	add("IPv6 ICMPv6", ip6(ICMPv6, echo6))
	add("IPv4 IGMP", ip4(2, 0, []byte{0x94, 4, 0, 0}, []byte{0x16, 0, 0, 0, 224, 0, 0, 9}))
	add("IPv4 options", ip4(TCP, 0, []byte{7, 7, 4, 0, 0, 0, 0, 0}, tcpAll))
	add("IPv4 first fragment", ip4(UDP, 0x2000, nil, udp(40003, 40004, make([]byte, 16))))
	add("IPv4 later fragment", ip4(UDP, 0x0010, nil, udp(40003, 40004)))
	add("IPv6 later fragment", ip6(fragment, []byte{UDP, 0, 0, 64}, u32(77), udpSome))
	add("IPv4 GRE of unknown protocol", ip4(gre, 0, nil, greHeader(0, 0x9999), make([]byte, 8)))
	options := []byte{1, 4, 0, 0, 0, 0}
	add("IPv6 hop-by-hop, destination options", ip6(hopByHop, []byte{destOpts, 0}, options, []byte{UDP, 0}, options, udpSome))
	add("IPv6 AH", ip6(authHdr, []byte{TCP, 4, 0, 0}, make([]byte, 20), tcpAll))
	add("IPv6 first fragment", ip6(fragment, []byte{UDP, 0, 0, 1}, u32(77), udpSome))
	add("IPv6 hop-by-hop and ICMPv6", ip6(hopByHop, []byte{ICMPv6, 0, 5, 2, 0, 0, 1, 0}, echo6))
	return list
}

// tunnelled is a way to put a packet into others; nil if the tunnel can't
// carry one of that version.
type tunnelled struct {
	name string
	wrap func(version int, packet []byte) []byte
}

func etherTypeOf(version int) uint16 {
	if version == 4 {
		return etherIPv4
	}
	return etherIPv6
}

// within is a frame in a tunnel.
func within(version int, packet []byte) []byte {
	return join([]byte{2, 0, 0, 0, 0, 4, 2, 0, 0, 0, 0, 3}, u16(etherTypeOf(version)), packet)
}

func tagged(version int, packet []byte) []byte {
	return join([]byte{2, 0, 0, 0, 0, 4, 2, 0, 0, 0, 0, 3}, u16(etherQinQ, 0x2000|700, etherVLAN, 701, etherTypeOf(version)), packet)
}

func protocolOf(version int) byte {
	if version == 4 {
		return ip4In
	}
	return ip6In
}

func tunnels() (list []tunnelled) {
	list = append(list, tunnelled{"no tunnel", func(_ int, p []byte) []byte { return p }})
	for n, around := range []func(byte, ...[]byte) []byte{in4, in6} {
		add := func(kind string, wrap func(version int, p []byte) []byte) {
			list = append(list, tunnelled{fmt.Sprintf("%s over IPv%d", kind, 4+2*n), wrap})
		}
		add("IP", func(v int, p []byte) []byte { return around(protocolOf(v), p) })
		add("GRE", func(v int, p []byte) []byte { return around(gre, greHeader(0, etherTypeOf(v)), p) })
		add("GRE with key", func(v int, p []byte) []byte { return around(gre, greHeader(0x2000, etherTypeOf(v), 0xabcd1234), p) })
		add("GRE with all", func(v int, p []byte) []byte { return around(gre, greHeader(0xb000, etherTypeOf(v), 0, 99, 5), p) })
		add("GRE with labels", func(_ int, p []byte) []byte {
			return around(gre, greHeader(0, etherMPLS), label(500, false), label(501, true), p)
		})
		add("ERSPAN II", func(v int, p []byte) []byte {
			return around(gre, greHeader(0x1000, etherERSPAN, 1), u32(0x10000007, 0), within(v, p))
		})
		add("ERSPAN III", func(v int, p []byte) []byte {
			return around(gre, greHeader(0x1000, etherERSPAN3, 1), u32(0x20000008, 0, 0), within(v, p))
		})
		add("WCCP", func(v int, p []byte) []byte {
			if v == 6 { // it knows IPv4 only
				p = between(ip6In, p)
			}
			return around(gre, greHeader(0, etherWCCP), u32(0x00510000), p)
		})
		for tags, frame := range []func(int, []byte) []byte{within, tagged} {
			how := fmt.Sprintf(", %d tags", 2*tags)
			add("GRE bridging"+how, func(v int, p []byte) []byte { return around(gre, greHeader(0, etherBridged), frame(v, p)) })
			add("NVGRE"+how, func(v int, p []byte) []byte {
				return around(gre, greHeader(0x2000, etherBridged, 0x12345678), frame(v, p))
			})
			add("VXLAN"+how, func(v int, p []byte) []byte {
				return around(UDP, udp(49153, portVXLAN, vxlanHeader(5001), frame(v, p)))
			})
			add("VXLAN on Linux's port"+how, func(v int, p []byte) []byte {
				return around(UDP, udp(49153, portVXLANLinux, vxlanHeader(5001), frame(v, p)))
			})
			add("Geneve"+how, func(v int, p []byte) []byte {
				return around(UDP, udp(49153, portGeneve, geneveHeader(77, etherBridged, 1, 2, 3, 1, 0, 0, 0, 0), frame(v, p)))
			})
		}
		add("VXLAN-GPE", func(v int, p []byte) []byte {
			return around(UDP, udp(49153, portVXLANGPE, []byte{12, 0, 0, byte(v/2) - 1}, u32(5001<<8), p))
		})
		add("Geneve with IP", func(v int, p []byte) []byte {
			return around(UDP, udp(49153, portGeneve, geneveHeader(77, etherTypeOf(v)), p))
		})
		add("GTP-U", func(_ int, p []byte) []byte {
			return around(UDP, udp(portGTPU, portGTPU, gtpHeader(0, 0xcafe, nil, p)))
		})
		add("GTP-U with sequence number", func(_ int, p []byte) []byte {
			return around(UDP, udp(portGTPU, portGTPU, gtpHeader(2, 0xcafe, []byte{0, 1, 0, 0}, p)))
		})
		add("GTP-U with PDU session container", func(_ int, p []byte) []byte {
			return around(UDP, udp(portGTPU, portGTPU, gtpHeader(4, 0xcafe, []byte{0, 0, 0, 0x85, 1, 0x10, 9, 0}, p)))
		})
		add("VXLAN in VXLAN", func(v int, p []byte) []byte {
			return around(UDP, udp(49153, portVXLAN, vxlanHeader(1), within(4, between(UDP, udp(49154, portVXLAN, vxlanHeader(2), tagged(v, p))))))
		})
		add("GTP-U in GRE", func(_ int, p []byte) []byte {
			return around(gre, greHeader(0x2000, etherIPv4, 1), between(UDP, udp(49154, portGTPU, gtpHeader(0, 2, nil, p))))
		})
		add("GRE in VXLAN", func(v int, p []byte) []byte {
			return around(UDP, udp(49153, portVXLAN, vxlanHeader(1), within(4, between(gre, greHeader(0, etherTypeOf(v)), p))))
		})
		add("IP in IP", func(v int, p []byte) []byte { return around(ip4In, between(protocolOf(v), p)) })
	}
	for n := 1; n <= 3; n++ {
		list = append(list, tunnelled{fmt.Sprintf("SRv6, %d segments", n), func(v int, p []byte) []byte { return in6(routing, segmentHeader(protocolOf(v), n, n-1), p) }},
			tunnelled{fmt.Sprintf("SRv6, %d segments, Ethernet", n), func(v int, p []byte) []byte { return in6(routing, segmentHeader(etherIn, n, n-1), tagged(v, p)) }})
	}
	return list
}

// between is the IP packet of the inner of two tunnels.
func between(protocol byte, payload ...[]byte) []byte {
	p := ip4(protocol, 0, nil, payload...)
	copy(p[12:], []byte{172, 16, 0, 1, 172, 16, 0, 2})
	return p
}

// framed is a way to put an IP packet on a link.
type framed struct {
	name string
	link Link
	wrap func(version int, packet []byte) []byte
}

func frames() []framed {
	wired := func(service uint32, control []byte, tags ...uint16) func(int, []byte) []byte {
		return func(v int, p []byte) []byte {
			return ethernet(etherMPLS, label(1000, false), label(service, true), control, []byte{2, 0, 0, 0, 0, 8, 2, 0, 0, 0, 0, 7}, u16(tags...), u16(etherTypeOf(v)), p)
		}
	}
	ppp := func(v int) []byte { return u16(map[int]uint16{4: 0x0021, 6: 0x0057}[v]) }
	tagsOf := func(tags ...uint16) func(int, []byte) []byte {
		return func(v int, p []byte) []byte { return join(macs, u16(tags...), u16(etherTypeOf(v)), p) }
	}
	labels := func(n int) func(int, []byte) []byte {
		return func(_ int, p []byte) []byte {
			stack := []byte{}
			for k := range n {
				stack = append(stack, label(uint32(100+k), k == n-1)...)
			}
			return join(stack, p)
		}
	}
	return []framed{
		{"Ethernet", Ethernet, tagsOf()},
		{"padding", Ethernet, func(v int, p []byte) []byte { return join(macs, u16(etherTypeOf(v)), p, make([]byte, 40)) }},
		{"VLAN", Ethernet, tagsOf(etherVLAN, 0x6000|100)},
		{"priority tag", Ethernet, tagsOf(etherVLAN, 0x6000)},
		{"QinQ", Ethernet, tagsOf(etherQinQ, 100, etherVLAN, 0x8000|200)},
		{"QinQ of 802.1Q", Ethernet, tagsOf(etherVLAN, 100, etherVLAN, 200)},
		{"old QinQ", Ethernet, tagsOf(etherOldQinQ, 100, etherVLAN, 200)},
		{"three tags", Ethernet, tagsOf(etherQinQ, 100, etherVLAN, 200, etherVLAN, 300)},
		{"PPPoE", Ethernet, func(v int, p []byte) []byte { return ethernet(etherPPPoE, u16(0x1100, 7, uint16(len(p)+2)), ppp(v), p) }},
		{"PPPoE in QinQ", Ethernet, func(v int, p []byte) []byte {
			return ethernet(etherQinQ, u16(100, etherVLAN, 200, etherPPPoE, 0x1100, 7, uint16(len(p)+2)), ppp(v), p)
		}},
		{"SNAP", Ethernet, func(v int, p []byte) []byte {
			return ethernet(uint16(len(p)+8), []byte{0xaa, 0xaa, 3, 0, 0, 0}, u16(etherTypeOf(v)), p)
		}},
		{"one label", Ethernet, func(v int, p []byte) []byte { return ethernet(etherMPLS, labels(1)(v, p)) }},
		{"three labels in a VLAN", Ethernet, func(v int, p []byte) []byte { return ethernet(etherVLAN, u16(100, etherMPLS), labels(3)(v, p)) }},
		{"ten labels", Ethernet, func(v int, p []byte) []byte { return ethernet(etherMPLS, labels(10)(v, p)) }},
		{"twelve labels", Ethernet, func(v int, p []byte) []byte { return ethernet(etherMPLS, labels(12)(v, p)) }},
		{"entropy label", Ethernet, func(_ int, p []byte) []byte {
			return ethernet(etherMPLS, label(100, false), label(7, false), label(0xabcde, true), p)
		}},
		{"pseudowire", Ethernet, wired(1001, u32(5))},
		{"pseudowire, tagged", Ethernet, wired(1001, u32(0), etherVLAN, 30)},
		{"pseudowire, two tags", Ethernet, wired(1001, u32(0), etherQinQ, 30, etherVLAN, 31)},
		{"pseudowire without control word", Ethernet, wired(1002, nil)},
		{"pseudowire without control word, tagged", Ethernet, wired(1002, nil, etherVLAN, 30)},
		{"PPP", PPP, func(v int, p []byte) []byte { return join([]byte{0xff, 3}, ppp(v), p) }},
		{"PPP in HDLC", PPPHDLC, func(v int, p []byte) []byte { return join([]byte{0xff, 3}, ppp(v), p) }},
		{"Cisco HDLC", CiscoHDLC, func(v int, p []byte) []byte { return join([]byte{0x0f, 0}, u16(etherTypeOf(v)), p) }},
		{"raw", Raw, func(_ int, p []byte) []byte { return p }},
		{"cooked", SLL, func(v int, p []byte) []byte { return join(u16(0, 1, 6), make([]byte, 8), u16(etherTypeOf(v)), p) }},
		{"cooked 2", SLL2, func(v int, p []byte) []byte {
			return join(u16(etherTypeOf(v), 0, 0, 1, 1), []byte{0, 6}, make([]byte, 8), p)
		}},
		{"loopback", Null, func(v int, p []byte) []byte { return join([]byte{map[int]byte{4: 2, 6: 30}[v], 0, 0, 0}, p) }},
	}
}

// Matrix is every tunnel with every protocol in Ethernet, and every other
// encapsulation with every tunnel, its protocols taken in turn.
func Matrix() map[Link][]MatrixPacket {
	matrix := map[Link][]MatrixPacket{}
	ins := inners()
	next := 0
	for _, f := range frames() {
		for _, t := range tunnels() {
			some := ins
			if f.name != "Ethernet" {
				some = []inner{ins[next%len(ins)], ins[(next+7)%len(ins)]}
				next++
			}
			for _, in := range some {
				p := t.wrap(in.version, in.packet)
				matrix[f.link] = append(matrix[f.link], MatrixPacket{f.name + ", " + t.name + ", " + in.name, f.wrap(int(p[0]>>4), p)})
			}
		}
	}
	return matrix
}
