package query

import (
	"fmt"
	"slices"
	"strings"

	"github.com/minamo-flow/minamo/flow"
)

// Primitive describes one condition of the filter language, for the
// documentation and for completion in editors.
type Primitive struct {
	Words   []string // the phrases that begin it, the usual one first: "port", "src port", "dst port"
	Operand string   // what follows, in the notation of docs/filter.md; "" for nothing
	Doc     string
}

// Primitives lists the conditions of the filter language: first nfdump's, then
// every column of the flow record under its own name.
func Primitives() []Primitive {
	all := language().primitives
	list := make([]Primitive, len(all))
	for i, p := range all {
		list[i] = Primitive{Operand: p.operand.syntax, Doc: p.doc}
		if p.operand.syntax != "" {
			list[i].Operand += " | present"
		}
		for _, s := range p.subjects {
			list[i].Words = append(list[i].Words, strings.Split(s.phrases, "|")...)
		}
	}
	return list
}

// primitive is a row of the table: what may be said, and which values it tests.
type primitive struct {
	subjects []subject
	operand  operand
	doc      string
}

// subject is a way to begin a primitive and the values it then tests. With
// more than one value, one that matches is enough.
type subject struct {
	phrases string // synonyms, separated by |
	values  []value
}

// operand is what may follow the subject.
type operand struct {
	syntax string
	parse  func(p *parser, values []value, all bool) (expr, *FilterError)
}

// phrase is a subject found in a filter.
type phrase struct {
	primitive int // its index, to tell primitives apart
	values    []value
	parse     func(p *parser, values []value, all bool) (expr, *FilterError)
}

// Values that are computed from columns.
var (
	flowCount    = value{"coalesce(%s, 1)", []flow.Column{flow.AggregatedFlows}}
	flowDuration = value{"greatest(epoch_ms(%s) - epoch_ms(%s), 0)", []flow.Column{flow.End, flow.Start}}
	// Rates and means are whole numbers, rounded down, and zero where there is
	// nothing to divide by: as nfdump computes them.
	bytesPerPacket   = value{"(CASE WHEN %[1]s > 0 THEN %[2]s // %[1]s ELSE 0 END)", []flow.Column{flow.Packets, flow.Bytes}}
	packetsPerSecond = value{"(CASE WHEN %[1]s > %[2]s THEN %[3]s::HUGEINT * 1000 // (epoch_ms(%[1]s) - epoch_ms(%[2]s)) ELSE 0 END)", []flow.Column{flow.End, flow.Start, flow.Packets}}
	bitsPerSecond    = value{"(CASE WHEN %[1]s > %[2]s THEN %[3]s::HUGEINT * 8000 // (epoch_ms(%[1]s) - epoch_ms(%[2]s)) ELSE 0 END)", []flow.Column{flow.End, flow.Start, flow.Bytes}}

	// NetFlow v5 and v8 know engines in place of observation domains; the last
	// two bytes of v9's source id are the same (RFC 3954 §5.1).
	engineType = value{"(CASE WHEN %s IN (5, 8, 9) THEN %s // 256 %% 256 END)", []flow.Column{flow.ExportProtocol, flow.ObservationDomain}}
	engineID   = value{"(CASE WHEN %s IN (5, 8, 9) THEN %s %% 256 END)", []flow.Column{flow.ExportProtocol, flow.ObservationDomain}}

	// The network of an overlay, of a tunnel that was entered or as the exporter
	// has it, with the encapsulation in the top byte.
	tunnelVNI  = value{fmt.Sprintf("(CASE WHEN %%s IN (%d, %d) THEN %%s END)", flow.TunnelVXLAN, flow.TunnelGeneve), []flow.Column{flow.Tunnel, flow.TunnelID}}
	segmentVNI = value{"(%s & 16777215)", []flow.Column{flow.SegmentID}}

	// The IP protocol that carries the tunnel. What is inside tells IPv4 from IPv6
	// in IP; SRv6 has headers of several.
	tunnelProtocol = value{fmt.Sprintf("(CASE %%[1]s WHEN %d THEN CASE WHEN %s THEN 4 ELSE 41 END WHEN %d THEN 41 WHEN %d THEN 47 WHEN %d THEN 17 WHEN %d THEN 17 WHEN %d THEN 17 END)",
		flow.TunnelIPIP, isIPv4(value{format: "%[2]s"}).appendSQL(nil), flow.Tunnel6in4, flow.TunnelGRE, flow.TunnelVXLAN, flow.TunnelGeneve, flow.TunnelGTPU), []flow.Column{flow.Tunnel, flow.SrcAddr}}

	mplsLabels = []flow.Column{flow.MPLSLabel1, flow.MPLSLabel2, flow.MPLSLabel3, flow.MPLSLabel4, flow.MPLSLabel5,
		flow.MPLSLabel6, flow.MPLSLabel7, flow.MPLSLabel8, flow.MPLSLabel9, flow.MPLSLabel10}
	lastLabel = value{"coalesce(%[10]s, %[9]s, %[8]s, %[7]s, %[6]s, %[5]s, %[4]s, %[3]s, %[2]s, %[1]s)", mplsLabels}

	portBlockSize = value{"(CASE WHEN %[1]s >= %[2]s THEN %[1]s::INTEGER - %[2]s + 1 END)", []flow.Column{flow.NATPortEnd, flow.NATPortStart}}

	dscp = value{"(%s // 4)", []flow.Column{flow.TOS}}
)

// primitives is the table of all conditions. The columns' own names are
// added to it below.
var primitives = []primitive{
	{[]subject{{"any", nil}}, nothing(constant(true)), "Every flow."},
	{[]subject{{"ipv4|inet|inet4", nil}}, nothing(join(" OR ", isIPv4(column(flow.SrcAddr)), isIPv4(column(flow.DstAddr)))), "Flows between IPv4 addresses."},
	{[]subject{{"ipv6|inet6", nil}}, nothing(isIPv6), "Flows between IPv6 addresses."},
	{[]subject{
		{"ip|host", columns(flow.SrcAddr, flow.DstAddr)},
		{"src ip|src host", columns(flow.SrcAddr)},
		{"dst ip|dst host", columns(flow.DstAddr)},
	}, addressOperand, "Source or destination address, or a network in its place."},
	{[]subject{
		{"net", columns(flow.SrcAddr, flow.DstAddr)},
		{"src net", columns(flow.SrcAddr)},
		{"dst net", columns(flow.DstAddr)},
	}, prefixOperand, "Source or destination network."},
	{[]subject{
		{"port", columns(flow.SrcPort, flow.DstPort)},
		{"src port", columns(flow.SrcPort)},
		{"dst port", columns(flow.DstPort)},
	}, portOperand, "Source or destination port. `in pblock`: within the block of ports that a NAT gave to the subscriber."},
	{[]subject{{"proto|protocol", columns(flow.Protocol)}}, protocolOperand, "IP protocol."},
	{[]subject{{"tcp", nil}}, nothing(isProtocol("tcp")), "Flows of TCP."},
	{[]subject{{"udp", nil}}, nothing(isProtocol("udp")), "Flows of UDP."},
	{[]subject{{"icmp", nil}}, nothing(isProtocol("icmp")), "Flows of ICMP for IPv4."},
	{[]subject{{"icmp6", nil}}, nothing(isProtocol("icmp6")), "Flows of ICMP for IPv6."},
	{[]subject{{"flags", columns(flow.TCPFlags)}}, flagsOperand, "TCP flags: all those named were seen, others do not matter; after not, none of them was seen. U A P R S F, E (ECE), C (CWR), X for U A P R S F together. After a comparator, letters and numbers stand for just these flags: `flags = S` is a lone SYN."},
	{[]subject{{"icmp-type|icmp type", columns(flow.ICMPType)}}, number(1<<8 - 1), "ICMP or ICMPv6 type."},
	{[]subject{{"icmp-code|icmp code", columns(flow.ICMPCode)}}, number(1<<8 - 1), "ICMP or ICMPv6 code."},
	{[]subject{
		{"if", columns(flow.InIf, flow.OutIf)},
		{"in if", columns(flow.InIf)},
		{"out if", columns(flow.OutIf)},
	}, interfaceOperand, "Input or output interface: its ifIndex, or its name in quotes, `in if 'xe-0/0/0'`."},
	{[]subject{
		{"as", columns(flow.SrcAS, flow.DstAS)},
		{"src as", columns(flow.SrcAS)},
		{"dst as", columns(flow.DstAS)},
	}, number(1<<32 - 1), "Source or destination AS number."},
	{[]subject{
		{"country", columns(flow.SrcCountry, flow.DstCountry)},
		{"src country", columns(flow.SrcCountry)},
		{"dst country", columns(flow.DstCountry)},
	}, enumeration(flow.SrcCountry), "Country of source or destination, two letters; India, a word of this language, in quotes: `country 'IN'`."},
	{[]subject{
		{"network", []value{networkName(flow.SrcNetwork), networkName(flow.DstNetwork)}},
		{"src network", []value{networkName(flow.SrcNetwork)}},
		{"dst network", []value{networkName(flow.DstNetwork)}},
	}, textOperand, "Network of yours that source or destination is in, by its name."},
	{[]subject{
		{"customer", []value{networkCustomer(flow.SrcNetwork), networkCustomer(flow.DstNetwork)}},
		{"src customer", []value{networkCustomer(flow.SrcNetwork)}},
		{"dst customer", []value{networkCustomer(flow.DstNetwork)}},
	}, textOperand, "Customer whose network source or destination is in."},
	{[]subject{
		{"site", []value{networkSite(flow.SrcNetwork), networkSite(flow.DstNetwork)}},
		{"src site", []value{networkSite(flow.SrcNetwork)}},
		{"dst site", []value{networkSite(flow.DstNetwork)}},
	}, textOperand, "Site that source or destination is at, by its name."},
	{[]subject{
		{"in role", []value{interfaceRole(flow.InIf)}},
		{"out role", []value{interfaceRole(flow.OutIf)}},
	}, textOperand, "What the interface is for that the packets came in by, or left by: external, customer, core, internal, service, as the settings say."},
	{[]subject{{"prev as|previous as", columns(flow.PrevAS)}}, number(1<<32 - 1), "Neighbour AS that the packets came from."},
	{[]subject{{"next as", columns(flow.NextAS)}}, number(1<<32 - 1), "Neighbour AS that the packets went to."},
	{[]subject{{"as path", columns(flow.ASPath)}}, textOperand, "AS path of the route to the destination; `as path has 64496` is any that goes through AS 64496."},
	{[]subject{{"community", columns(flow.Communities)}}, textOperand, "BGP communities of the route to the destination: `community has 64496:100`."},
	{[]subject{
		{"mask", columns(flow.SrcMask, flow.DstMask)},
		{"src mask", columns(flow.SrcMask)},
		{"dst mask", columns(flow.DstMask)},
	}, number(1<<8 - 1), "Prefix length of the source's or destination's route."},
	{[]subject{
		{"vlan", columns(flow.SrcVLAN, flow.DstVLAN)},
		{"src vlan|in vlan", columns(flow.SrcVLAN)},
		{"dst vlan|out vlan", columns(flow.DstVLAN)},
	}, number(1<<16 - 1), "VLAN the packets came in or left by."},
	{[]subject{
		{"mac", columns(flow.SrcMAC, flow.DstMAC)},
		{"src mac|in src mac", columns(flow.SrcMAC)},
		{"dst mac|in dst mac|out dst mac|out mac", columns(flow.DstMAC)},
		{"in mac", columns(flow.SrcMAC, flow.DstMAC)},
	}, macOperand, "MAC address."},
	{[]subject{
		{"vrf", columns(flow.InVRF, flow.OutVRF)},
		{"ingress vrf|in vrf", columns(flow.InVRF)},
		{"egress vrf|out vrf", columns(flow.OutVRF)},
	}, number(1<<32 - 1), "VRF the packets came in or left by."},
	{[]subject{
		{"mpls label1", columns(flow.MPLSLabel1)},
		{"mpls label2", columns(flow.MPLSLabel2)},
		{"mpls label3", columns(flow.MPLSLabel3)},
		{"mpls label4", columns(flow.MPLSLabel4)},
		{"mpls label5", columns(flow.MPLSLabel5)},
		{"mpls label6", columns(flow.MPLSLabel6)},
		{"mpls label7", columns(flow.MPLSLabel7)},
		{"mpls label8", columns(flow.MPLSLabel8)},
		{"mpls label9", columns(flow.MPLSLabel9)},
		{"mpls label10", columns(flow.MPLSLabel10)},
	}, number(1<<20 - 1), "MPLS label, counted from the top of the stack."},
	{[]subject{{"mpls any", columns(mplsLabels...)}}, number(1<<20 - 1), "Any label of the MPLS stack."},
	{[]subject{{"mpls eos", []value{lastLabel}}}, number(1<<20 - 1), "Last label of the MPLS stack that the exporter told."},
	{[]subject{{"next ip|nexthop", columns(flow.NextHop)}}, addressOperand, "Next hop."},
	{[]subject{{"bgpnext ip|bgp next ip|bgpnexthop", columns(flow.BGPNextHop)}}, addressOperand, "BGP next hop."},
	{[]subject{{"router ip|exporter ip|router", columns(flow.Exporter)}}, addressOperand, "The device that exported the flow."},
	{[]subject{{"engine-type|engine type", []value{engineType}}}, number(1<<8 - 1), "Engine type of a NetFlow v5, v8 or v9 exporter."},
	{[]subject{{"engine-id|engine id", []value{engineID}}}, number(1<<8 - 1), "Engine id of a NetFlow v5, v8 or v9 exporter."},
	{[]subject{{"observation domain id|observation domain|domain id|odid", columns(flow.ObservationDomain)}}, number(1<<32 - 1), "Observation domain, NetFlow v9 source id, sFlow sub-agent."},
	{[]subject{
		{"bytes|in bytes", columns(flow.Bytes)},
	}, number(1<<64 - 1), "Bytes of the flow; multiplied by the sampling rate where the query shows them so."},
	{[]subject{
		{"packets|in packets", columns(flow.Packets)},
	}, number(1<<64 - 1), "Packets of the flow; multiplied by the sampling rate where the query shows them so."},
	{[]subject{{"flows|flow", []value{flowCount}}}, number(1<<64 - 1), "Flows that the record stands for: 1, unless the device summed up more; of groups, their flows."},
	{[]subject{{"duration", []value{flowDuration}}}, durationOperand, "Time from the first packet to the last: in milliseconds, or with a unit as in 500ms, 10s, 5min, 2h, 1d."},
	{[]subject{{"first seen|first", columns(flow.Start)}}, timeOperand, "When the first packet was seen."},
	{[]subject{{"last seen|last", columns(flow.End)}}, timeOperand, "When the last packet was seen."},
	{[]subject{{"nfversion", columns(flow.ExportProtocol)}}, number(1<<8 - 1), "Version of NetFlow that carried the flow, 10 for IPFIX."},
	{[]subject{{"bpp", []value{bytesPerPacket}}}, number(1<<64 - 1), "Bytes per packet."},
	{[]subject{{"pps", []value{packetsPerSecond}}}, number(1<<64 - 1), "Packets per second, 0 for a flow without duration."},
	{[]subject{{"bps", []value{bitsPerSecond}}}, number(1<<64 - 1), "Bits per second, 0 for a flow without duration."},
	{[]subject{
		{"tos|src tos", columns(flow.TOS)},
		{"dst tos", columns(flow.PostTOS)},
	}, number(1<<8 - 1), "IPv4 ToS or IPv6 traffic class, the whole byte; `dst tos` is what the device re-marked it to."},
	{[]subject{{"dscp", []value{dscp}}}, dscpOperand, "DSCP, the upper six bits of the ToS byte."},
	{[]subject{{"fwdstat", columns(flow.ForwardingStatus)}}, forwardOperand, "Forwarding status (RFC 7270): a number; a class, unknown, forwarded, dropped, consumed; or one reason, acl-deny, unroutable, bad-ttl, policer …"},
	{[]subject{{"ttl|min ttl", columns(flow.TTL)}}, number(1<<8 - 1), "IPv4 TTL or IPv6 hop limit; the least, where the device gives a range."},
	{[]subject{{"ethertype", columns(flow.EtherType)}}, number(1<<16 - 1), "EtherType of the frame's payload, behind VLAN tags."},
	{[]subject{{"nbar", columns(flow.ApplicationID)}}, number(1<<64 - 1), "The device's own application id (RFC 6759)."},
	{[]subject{{"ingress", nil}}, nothing(comparison{column(flow.Direction), "=", uintLiteral(flow.Ingress)}), "Flows metered where they came in."},
	{[]subject{{"egress", nil}}, nothing(comparison{column(flow.Direction), "=", uintLiteral(flow.Egress)}), "Flows metered where they left."},
	{[]subject{{"direction|flowdir|dir", columns(flow.Direction)}}, enumeration(flow.Direction), "Where the flow was metered."},
	{[]subject{
		{"nat ip|nip|xip|xlate ip", columns(flow.PostNATSrcAddr, flow.PostNATDstAddr)},
		{"src nat ip|src nip|src xip|src xlate ip", columns(flow.PostNATSrcAddr)},
		{"dst nat ip|dst nip|dst xip|dst xlate ip", columns(flow.PostNATDstAddr)},
	}, addressOperand, "Address after NAT."},
	{[]subject{
		{"nat net|nnet|xnet|xlate net", columns(flow.PostNATSrcAddr, flow.PostNATDstAddr)},
		{"src nat net|src nnet|src xnet|src xlate net", columns(flow.PostNATSrcAddr)},
		{"dst nat net|dst nnet|dst xnet|dst xlate net", columns(flow.PostNATDstAddr)},
	}, prefixOperand, "Network after NAT."},
	{[]subject{
		{"nat port|nport|xport|xlate port", columns(flow.PostNATSrcPort, flow.PostNATDstPort)},
		{"src nat port|src nport|src xport|src xlate port", columns(flow.PostNATSrcPort)},
		{"dst nat port|dst nport|dst xport|dst xlate port", columns(flow.PostNATDstPort)},
	}, number(1<<16 - 1), "Port after NAT."},
	{[]subject{{"nat event", columns(flow.NATEvent)}}, natEventOperand, "NAT event, by RFC 8158."},
	{[]subject{{"pblock start|nat pblock start", columns(flow.NATPortStart)}}, number(1<<16 - 1), "First port of the block that a NAT gave to a subscriber."},
	{[]subject{{"pblock end|nat pblock end", columns(flow.NATPortEnd)}}, number(1<<16 - 1), "Last port of the block."},
	{[]subject{{"pblock size|nat pblock size", []value{portBlockSize}}}, number(1 << 16), "Ports in the block."},
	{[]subject{{"asa event", columns(flow.FirewallEvent)}}, firewallOperand, "Firewall event; `denied` with the reason: ingress or egress by the access list there, interface, nosyn, or a number."},
	{[]subject{{"asa denied", columns(flow.FirewallExtEvent)}}, deniedOperand, "Why the firewall denied the flow."},
	{[]subject{{"asa xevent", columns(flow.FirewallExtEvent)}}, number(1<<16 - 1), "Reason of the firewall event, as Cisco numbers it."},
	{[]subject{
		{"acl", columns(flow.IngressACL, flow.EgressACL)},
		{"ingress acl", columns(flow.IngressACL)},
		{"egress acl", columns(flow.EgressACL)},
	}, accessListOperand(1), "Access list that permitted or denied the flow: its name, or its number."},
	{[]subject{
		{"ingress ace", columns(flow.IngressACL)},
		{"egress ace", columns(flow.EgressACL)},
	}, accessListOperand(2), "Entry of the access list, as Cisco ASA numbers it."},
	{[]subject{
		{"ingress xace", columns(flow.IngressACL)},
		{"egress xace", columns(flow.EgressACL)},
	}, accessListOperand(3), "Extended entry of the access list, as Cisco ASA numbers it."},
	{[]subject{
		{"user|asa user", columns(flow.SrcUser, flow.DstUser)},
		{"src user", columns(flow.SrcUser)},
		{"dst user", columns(flow.DstUser)},
	}, textOperand, "User at the source or the destination, as the device knows him."},
	{[]subject{
		{"tun ip|tunip", columns(flow.TunnelSrcAddr, flow.TunnelDstAddr)},
		{"src tun ip|src tunip", columns(flow.TunnelSrcAddr)},
		{"dst tun ip|dst tunip", columns(flow.TunnelDstAddr)},
	}, addressOperand, "Address at which the tunnel begins or ends, that the packet was taken out of."},
	{[]subject{{"tun proto", []value{tunnelProtocol}}}, protocolOperand, "IP protocol of the tunnel that the packet was taken out of: 4, 41, gre, udp."},
	{[]subject{{"vni", []value{tunnelVNI, segmentVNI}}}, number(1<<24 - 1), "Network of a VXLAN or Geneve overlay: of the tunnel that the packet was taken out of, or as the exporter names it."},
}

func isProtocol(name string) expr {
	return comparison{column(flow.Protocol), "=", uintLiteral(protocolNumbers[name])}
}

var isIPv6 = func() expr {
	known := func(address value) expr {
		return junction{" AND ", []expr{notNull{address}, negation{isIPv4(address)}}}
	}
	return join(" OR ", known(column(flow.SrcAddr)), known(column(flow.DstAddr)))
}()

// unanswerable are conditions that nfdump has and no column of ours answers,
// by the words that begin them, and why. A column that comes to hold the answer
// takes its row out.
var unanswerable = []struct{ phrases, reason string }{
	{"geo|src geo|dst geo|nat geo|src nat geo|dst nat geo|tun geo|src tun geo|dst tun geo", "the countries of addresses are not known yet"},
	{"payload|in payload|out payload", "nothing of the packets' payload is kept"},
	{"client|server|app latency", "latencies are not kept"},
	{"count|cnt", "flows have no number here; what is shown is limited beside the filter"},
	{"ident", "flows have no ident here; `router ip` tells who exported them"},
	{"sysid|exporter id|exporter sysid", "exporters are not numbered here; `router ip` tells them apart"},
	{"out bytes|out packets", "a record for both directions is two flows here, with bytes and packets of their own; `biflow reverse` are the second ones"},
	{"out src mac", "of frames that leave, only the destination is kept"},
	{"observation point", "no column holds observation points"},
	{"max|ttl equal", "only the least TTL of a flow is kept"},
	{"mpls exp" + strings.Join(labelNumbers, "|mpls exp"), "the experimental bits of MPLS labels are not kept"},
	{"pblock step|nat pblock step", "the step of port blocks is not kept"},
	{"flowlabel", "it is a label that nfdump gives to flows; the one of IPv6 is flow_label"},
	{"pf", "what OpenBSD's pflog says is not kept"},
}

var labelNumbers = []string{"1", "2", "3", "4", "5", "6", "7", "8", "9", "10"}

// grammar is what the parser knows: the primitives, and the words that begin them.
type grammar struct {
	primitives []primitive
	phrases    map[string]phrase   // primitives by the words that begin them
	following  map[string][]string // for the beginning of a phrase, the words that can come next
	refused    map[string]string   // the beginnings of what cannot be answered, and why
	begins     map[string]bool     // the beginnings of all these
}

// language is the table of primitives, and every column under its own name
// where that is not in the table.
var language = flow.Derived(func() *grammar {
	g := &grammar{slices.Clone(primitives), map[string]phrase{}, map[string][]string{}, map[string]string{}, map[string]bool{}}
	known := map[string]bool{}
	for _, p := range primitives {
		for _, s := range p.subjects {
			for _, words := range strings.Split(s.phrases, "|") {
				known[words] = true
			}
		}
	}
	for c := range flow.Columns() {
		if !known[c.String()] {
			g.primitives = append(g.primitives, primitive{
				[]subject{{c.String(), columns(c)}}, columnOperand(c), flow.Schema[c].Doc,
			})
		}
	}
	// learn goes through the beginnings of a phrase.
	learn := func(words string, follows func(begin, word string)) {
		begin := ""
		for word := range strings.SplitSeq(words, " ") {
			g.begins[begin] = true
			follows(begin, word)
			begin = strings.TrimSpace(begin + " " + word)
		}
	}
	for i, p := range g.primitives {
		for _, s := range p.subjects {
			for words := range strings.SplitSeq(s.phrases, "|") {
				g.phrases[words] = phrase{i, s.values, p.operand.parse}
				learn(words, func(begin, word string) {
					if !slices.Contains(g.following[begin], word) {
						g.following[begin] = append(g.following[begin], word)
					}
				})
			}
		}
	}
	for _, u := range unanswerable {
		for words := range strings.SplitSeq(u.phrases, "|") {
			if _, own := g.phrases[words]; own {
				continue // a column of the operator's
			}
			g.refused[words] = u.reason
			learn(words, func(string, string) {})
		}
	}
	// It can stand where a primitive can, and is often misspelt too.
	g.following[""] = append(g.following[""], "not")
	return g
})

// CheckColumnName tells whether the operator may call a column so, before it is
// defined: what filters and reports already give a meaning cannot be had.
func CheckColumnName(name string) error {
	if c, known := flow.Lookup(name); known && c >= flow.NumColumns {
		return nil // it is one of his
	}
	g := language()
	signs := []string{"and", "or", "in", "contains", "content", "has", "matches", "regex", "present", "@include"}
	if slices.Contains(g.following[""], name) || slices.Contains(signs, name) || comparators[name] != "" {
		return fmt.Errorf("column name %q is a word of the filter language: choose another", name)
	}
	isElement := slices.ContainsFunc(dimensions(), func(d dimensionRow) bool { return d.called(name) })
	if isElement || name == "record" || slices.Contains([]string{"flows", "packets", "bytes", "start", "end"}, name) {
		return fmt.Errorf("column name %q is something that flows are ranked by already: choose another", name)
	}
	return nil
}

// columnOperand tells what may follow a column's own name.
func columnOperand(c flow.Column) operand {
	f := flow.Schema[c]
	switch {
	case c == flow.Protocol:
		return protocolOperand
	case f.Names != nil:
		return enumeration(c)
	}
	switch f.Kind {
	case flow.Uint8:
		return number(1<<8 - 1)
	case flow.Uint16:
		return number(1<<16 - 1)
	case flow.Uint32:
		return number(1<<32 - 1)
	case flow.Uint64:
		return number(1<<64 - 1)
	case flow.Time:
		return timeOperand
	case flow.Address:
		return addressOperand
	case flow.MAC:
		return macOperand
	case flow.Text:
		return textOperand
	}
	panic(fmt.Sprintf("query: column %s has a kind the filter language does not know", c))
}
