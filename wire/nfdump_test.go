package wire_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/minamo-flow/minamo/flow"
)

// nfdumpNames are nfdump's names of what we keep; the first that means
// something counts.
var nfdumpNames = []struct {
	name   string
	column flow.Column
}{
	{"in_packets", flow.Packets}, {"in_bytes", flow.Bytes}, {"aggr_flows", flow.AggregatedFlows}, {"proto", flow.Protocol}, {"src_port", flow.SrcPort}, {"dst_port", flow.DstPort},
	{"icmp_type", flow.ICMPType}, {"icmp_code", flow.ICMPCode}, {"src_tos", flow.TOS}, {"dst_tos", flow.PostTOS},
	{"input_snmp", flow.InIf}, {"output_snmp", flow.OutIf}, {"src_mask", flow.SrcMask}, {"dst_mask", flow.DstMask},
	{"fwd_status", flow.ForwardingStatus}, {"direction", flow.Direction}, {"src_vlan", flow.SrcVLAN}, {"dst_vlan", flow.DstVLAN},
	{"ip4_next_hop", flow.NextHop}, {"ip6_next_hop", flow.NextHop}, {"bgp4_next_hop", flow.BGPNextHop}, {"bgp6_next_hop", flow.BGPNextHop}, {"src_as", flow.SrcAS}, {"dst_as", flow.DstAS},
	{"next_as", flow.NextAS}, {"prev_as", flow.PrevAS},
	{"in_src_mac", flow.SrcMAC}, {"out_src_mac", flow.SrcMAC}, {"in_dst_mac", flow.DstMAC}, {"out_dst_mac", flow.DstMAC},
	{"ingress_vrf", flow.InVRF}, {"egress_vrf", flow.OutVRF}, {"event_id", flow.FirewallEvent}, {"xevent_id", flow.FirewallExtEvent},
	{"src4_xlt_ip", flow.PostNATSrcAddr}, {"dst4_xlt_ip", flow.PostNATDstAddr}, {"src6_xlt_ip", flow.PostNATSrcAddr}, {"dst6_xlt_ip", flow.PostNATDstAddr},
	{"src_xlt_port", flow.PostNATSrcPort}, {"dst_xlt_port", flow.PostNATDstPort},
	{"pblock_start", flow.NATPortStart}, {"pblock_end", flow.NATPortEnd},
	{"user_name", flow.SrcUser}, {"observationDoaminID", flow.ObservationDomain},
}

// readNfdump reads what nfcapd stored of a case: flows only.
func readNfdump(t *testing.T, file string) records {
	var doc struct {
		Nfcapd struct{ Records []map[string]any }
	}
	readJSON(t, file, &doc)
	list := []record{}
	for _, stored := range doc.Nfcapd.Records {
		r := record{}
		text := func(name string) string {
			switch v := stored[name].(type) {
			case nil:
				return ""
			case float64:
				return strconv.FormatFloat(v, 'f', -1, 64)
			default:
				return fmt.Sprint(v)
			}
		}
		for _, n := range nfdumpNames {
			if v := text(n.name); v != "" && !(n.column == flow.AggregatedFlows && v == "1") { // its default
				r.put(name(n.column), v)
			}
		}
		// A record with both has them in one place: either may be spoilt.
		for i, column := range []flow.Column{flow.SrcAddr, flow.DstAddr} {
			end := []string{"src", "dst"}[i]
			v4, v6 := text(end+"4_addr"), text(end+"6_addr")
			if v4 == "" || v6 == "" {
				r[name(column)] = v4 + v6
			}
		}
		for field, column := range map[string]flow.Column{"first": flow.Start, "last": flow.End} {
			if v := text(field); v != "" && v != "1970-01-01T00:00:00.000" { // nfdump's "none"
				r[name(column)] = v + "Z"
			}
		}
		if letters := text("tcp_flags"); letters != "" {
			r[name(flow.TCPFlags)] = letterFlags(letters)
		}
		for i := range flow.Column(10) {
			if label, _, ok := strings.Cut(text(fmt.Sprintf("mpls_%d", i+1)), "-"); ok {
				r[name(flow.MPLSLabel1+i)] = label
			}
		}
		for field, column := range map[string]flow.Column{"ingress_acl": flow.IngressACL, "egress_acl": flow.EgressACL} {
			if v := text(field); v != "" {
				r[name(column)] = accessList(v)
			}
		}
		list = append(list, r)
	}
	return records{flows: list}
}

// letterFlags reads TCP flags written as "...AP.S.".
func letterFlags(letters string) string {
	flags := 0
	for _, c := range letters {
		flags <<= 1
		if c != '.' {
			flags++
		}
	}
	return strconv.Itoa(flags)
}

// accessList reads nfdump's three numbers.
func accessList(v string) string { return v }
