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

	// NetFlow v5 knows engines in place of observation domains.
	engineType = value{"(CASE WHEN %s = 5 THEN %s // 256 END)", []flow.Column{flow.ExportProtocol, flow.ObservationDomain}}
	engineID   = value{"(CASE WHEN %s = 5 THEN %s %% 256 END)", []flow.Column{flow.ExportProtocol, flow.ObservationDomain}}

	// The network of an overlay, of a tunnel that was entered or as the exporter
	// has it, with the encapsulation in the top byte.
	tunnelVNI  = value{fmt.Sprintf("(CASE WHEN %%s IN (%d, %d) THEN %%s END)", flow.TunnelVXLAN, flow.TunnelGeneve), []flow.Column{flow.Tunnel, flow.TunnelID}}
	segmentVNI = value{"(%s & 16777215)", []flow.Column{flow.SegmentID}}

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
	}, addressOperand, "Source or destination address; a list may hold prefixes too."},
	{[]subject{
		{"net", columns(flow.SrcAddr, flow.DstAddr)},
		{"src net", columns(flow.SrcAddr)},
		{"dst net", columns(flow.DstAddr)},
	}, prefixOperand, "Source or destination network."},
	{[]subject{
		{"port", columns(flow.SrcPort, flow.DstPort)},
		{"src port", columns(flow.SrcPort)},
		{"dst port", columns(flow.DstPort)},
	}, number(1<<16 - 1), "Source or destination port."},
	{[]subject{{"proto|protocol", columns(flow.Protocol)}}, protocolOperand, "IP protocol."},
	{[]subject{{"flags", columns(flow.TCPFlags)}}, flagsOperand, "TCP flags: all those named were seen, others do not matter; after not, none of them was seen. U A P R S F, E (ECE), C (CWR), X for U A P R S F together. A number means exactly these flags."},
	{[]subject{{"icmp-type|icmp type", columns(flow.ICMPType)}}, number(1<<8 - 1), "ICMP or ICMPv6 type."},
	{[]subject{{"icmp-code|icmp code", columns(flow.ICMPCode)}}, number(1<<8 - 1), "ICMP or ICMPv6 code."},
	{[]subject{
		{"if", columns(flow.InIf, flow.OutIf)},
		{"in if", columns(flow.InIf)},
		{"out if", columns(flow.OutIf)},
	}, number(1<<32 - 1), "ifIndex of the input or output interface."},
	{[]subject{
		{"as", columns(flow.SrcAS, flow.DstAS)},
		{"src as", columns(flow.SrcAS)},
		{"dst as", columns(flow.DstAS)},
	}, number(1<<32 - 1), "Source or destination AS number."},
	{[]subject{{"prev as", columns(flow.PrevAS)}}, number(1<<32 - 1), "Neighbour AS that the packets came from."},
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
		{"dst mac|in dst mac|out dst mac", columns(flow.DstMAC)},
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
	{[]subject{{"next ip|nexthop", columns(flow.NextHop)}}, addressOperand, "Next hop."},
	{[]subject{{"bgpnext ip|bgpnexthop", columns(flow.BGPNextHop)}}, addressOperand, "BGP next hop."},
	{[]subject{{"router ip|exporter ip|router", columns(flow.Exporter)}}, addressOperand, "The device that exported the flow."},
	{[]subject{{"engine-type|engine type", []value{engineType}}}, number(1<<8 - 1), "Engine type of a NetFlow v5 exporter."},
	{[]subject{{"engine-id|engine id", []value{engineID}}}, number(1<<8 - 1), "Engine id of a NetFlow v5 exporter."},
	{[]subject{{"observation domain id|domain id|odid", columns(flow.ObservationDomain)}}, number(1<<32 - 1), "Observation domain, NetFlow v9 source id, sFlow sub-agent."},
	{[]subject{
		{"bytes|in bytes", columns(flow.Bytes)},
	}, number(1<<64 - 1), "Bytes of the flow; multiplied by the sampling rate where the query shows them so."},
	{[]subject{
		{"packets|in packets", columns(flow.Packets)},
	}, number(1<<64 - 1), "Packets of the flow; multiplied by the sampling rate where the query shows them so."},
	{[]subject{{"flows|flow", []value{flowCount}}}, number(1<<64 - 1), "Flows that the record stands for: 1, unless the device summed up more; of groups, their flows."},
	{[]subject{{"duration", []value{flowDuration}}}, number(1<<63 - 1), "Time from the first packet to the last, in milliseconds."},
	{[]subject{{"bpp", []value{bytesPerPacket}}}, number(1<<64 - 1), "Bytes per packet."},
	{[]subject{{"pps", []value{packetsPerSecond}}}, number(1<<64 - 1), "Packets per second, 0 for a flow without duration."},
	{[]subject{{"bps", []value{bitsPerSecond}}}, number(1<<64 - 1), "Bits per second, 0 for a flow without duration."},
	{[]subject{{"tos|src tos", columns(flow.TOS)}}, number(1<<8 - 1), "IPv4 ToS or IPv6 traffic class, the whole byte."},
	{[]subject{{"dst tos", columns(flow.PostTOS)}}, number(1<<8 - 1), "ToS after the device re-marked it."},
	{[]subject{{"dscp", []value{dscp}}}, dscpOperand, "DSCP, the upper six bits of the ToS byte."},
	{[]subject{{"fwdstat", columns(flow.ForwardingStatus)}}, forwardOperand, "Forwarding status as a number, or its class: unknown, forwarded, dropped, consumed."},
	{[]subject{{"ingress", nil}}, nothing(comparison{column(flow.Direction), "=", uintLiteral(flow.Ingress)}), "Flows metered where they came in."},
	{[]subject{{"egress", nil}}, nothing(comparison{column(flow.Direction), "=", uintLiteral(flow.Egress)}), "Flows metered where they left."},
	{[]subject{{"direction|flowdir", columns(flow.Direction)}}, enumeration(flow.Direction), "Where the flow was metered."},
	{[]subject{
		{"nip|xip", columns(flow.PostNATSrcAddr, flow.PostNATDstAddr)},
		{"src nip|src xip", columns(flow.PostNATSrcAddr)},
		{"dst nip|dst xip", columns(flow.PostNATDstAddr)},
	}, addressOperand, "Address after NAT."},
	{[]subject{
		{"nport|xport", columns(flow.PostNATSrcPort, flow.PostNATDstPort)},
		{"src nport|src xport", columns(flow.PostNATSrcPort)},
		{"dst nport|dst xport", columns(flow.PostNATDstPort)},
	}, number(1<<16 - 1), "Port after NAT."},
	{[]subject{{"nat event", columns(flow.NATEvent)}}, number(1<<8 - 1), "NAT event."},
	{[]subject{{"asa event", columns(flow.FirewallEvent)}}, enumeration(flow.FirewallEvent), "Firewall event."},
	{[]subject{{"asa xevent", columns(flow.FirewallExtEvent)}}, number(1<<16 - 1), "Reason of the firewall event, as Cisco numbers it."},
	{[]subject{
		{"acl", columns(flow.IngressACL, flow.EgressACL)},
		{"ingress acl", columns(flow.IngressACL)},
		{"egress acl", columns(flow.EgressACL)},
	}, textOperand, "Access list that permitted or denied the flow."},
	{[]subject{
		{"user", columns(flow.SrcUser, flow.DstUser)},
		{"src user", columns(flow.SrcUser)},
		{"dst user", columns(flow.DstUser)},
	}, textOperand, "User at the source or the destination, as the device knows him."},
	{[]subject{
		{"tunip", columns(flow.TunnelSrcAddr, flow.TunnelDstAddr)},
		{"src tunip", columns(flow.TunnelSrcAddr)},
		{"dst tunip", columns(flow.TunnelDstAddr)},
	}, addressOperand, "Address at which the tunnel begins or ends, that the packet was taken out of."},
	{[]subject{{"vni", []value{tunnelVNI, segmentVNI}}}, number(1<<24 - 1), "Network of a VXLAN or Geneve overlay: of the tunnel that the packet was taken out of, or as the exporter names it."},
}

var isIPv6 = func() expr {
	known := func(address value) expr {
		return junction{" AND ", []expr{notNull{address}, negation{isIPv4(address)}}}
	}
	return join(" OR ", known(column(flow.SrcAddr)), known(column(flow.DstAddr)))
}()

// grammar is what the parser knows: the primitives, and the words that begin them.
type grammar struct {
	primitives []primitive
	phrases    map[string]phrase   // primitives by the words that begin them
	following  map[string][]string // for the beginning of a phrase, the words that can come next
	maxWords   int                 // of a phrase
}

// language is the table of primitives, and every column under its own name
// where that is not in the table.
var language = flow.Derived(func() *grammar {
	g := &grammar{slices.Clone(primitives), map[string]phrase{}, map[string][]string{}, 0}
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
	for i, p := range g.primitives {
		for _, s := range p.subjects {
			for _, words := range strings.Split(s.phrases, "|") {
				g.phrases[words] = phrase{i, s.values, p.operand.parse}
				begin := ""
				split := strings.Split(words, " ")
				for _, w := range split {
					if !slices.Contains(g.following[begin], w) {
						g.following[begin] = append(g.following[begin], w)
					}
					begin = strings.TrimSpace(begin + " " + w)
				}
				g.maxWords = max(g.maxWords, len(split))
			}
		}
	}
	// These can stand where a primitive can, and are often misspelt too.
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
	signs := []string{"and", "or", "in", "contains", "content", "has", "matches", "regex", "present"}
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
