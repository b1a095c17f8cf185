package wire_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/minamo-flow/minamo/flow"
)

// logstashNames are logstash's names of a flow record's fields; its names of
// IPFIX's are IANA's.
var logstashNames = map[string]flow.Column{
	"in_bytes": flow.Bytes, "octetDeltaCount": flow.Bytes, "octetTotalCount": flow.Bytes, "fwd_flow_delta_bytes": flow.Bytes, "in_pkts": flow.Packets, "packetDeltaCount": flow.Packets, "packetTotalCount": flow.Packets,
	"protocol": flow.Protocol, "protocolIdentifier": flow.Protocol, "l4_src_port": flow.SrcPort, "sourceTransportPort": flow.SrcPort,
	"l4_dst_port": flow.DstPort, "destinationTransportPort": flow.DstPort, "udp_dst_port": flow.DstPort, "tcp_src_port": flow.SrcPort, "tcp_flags": flow.TCPFlags, "tcpControlBits": flow.TCPFlags,
	"ipv4_src_addr": flow.SrcAddr, "ipv4_dst_addr": flow.DstAddr, "sourceIPv4Address": flow.SrcAddr, "destinationIPv4Address": flow.DstAddr, "sourceIPv6Address": flow.SrcAddr, "destinationIPv6Address": flow.DstAddr,
	"input_snmp": flow.InIf, "output_snmp": flow.OutIf, "ingressInterface": flow.InIf, "egressInterface": flow.OutIf,
	"src_tos": flow.TOS, "ipClassOfService": flow.TOS, "src_mask": flow.SrcMask, "dst_mask": flow.DstMask, "src_as": flow.SrcAS, "dst_as": flow.DstAS,
	"bgpSourceAsNumber": flow.SrcAS, "bgpDestinationAsNumber": flow.DstAS, "ipv4_next_hop": flow.NextHop, "ipNextHopIPv4Address": flow.NextHop, "ipNextHopIPv6Address": flow.NextHop, "bgp_ipv4_next_hop": flow.BGPNextHop,
	"direction": flow.Direction, "flow_end_reason": flow.FlowEndReason, "flowEndReason": flow.FlowEndReason, "fw_event": flow.FirewallEvent, "firewallEvent": flow.FirewallEvent, "fw_ext_event": flow.FirewallExtEvent,
	"first_switched": flow.Start, "flowStartMilliseconds": flow.Start, "flow_start_msec": flow.Start, "flowStartSeconds": flow.Start,
	"last_switched": flow.End, "flowEndMilliseconds": flow.End, "event_time_msec": flow.End, "flowEndSeconds": flow.End,
	"xlate_src_addr_ipv4": flow.PostNATSrcAddr, "xlate_dst_addr_ipv4": flow.PostNATDstAddr, "postNATSourceIPv4Address": flow.PostNATSrcAddr, "postNATDestinationIPv4Address": flow.PostNATDstAddr,
	"xlate_src_port": flow.PostNATSrcPort, "xlate_dst_port": flow.PostNATDstPort, "in_src_mac": flow.SrcMAC, "in_dst_mac": flow.DstMAC, "sourceMacAddress": flow.SrcMAC,
	"src_vlan": flow.SrcVLAN, "vlanId": flow.SrcVLAN, "flow_sampler_id": flow.SamplerID, "layer2SegmentId": flow.SegmentID, "ipv4_ident": flow.FragmentID,
	"ingressVRFID": flow.InVRF, "egressVRFID": flow.OutVRF, "forwarding_status": flow.ForwardingStatus, "icmp_type": flow.ICMPType, "icmp_code": flow.ICMPCode,
	"user_id": flow.SrcUser, "app_id": flow.ApplicationName, "application_name": flow.ApplicationName, "application_id": flow.ApplicationID, "version": flow.ExportProtocol,
}

// logstashReverse are its names of what came back.
var logstashReverse = map[string]flow.Column{
	"rev_flow_delta_bytes": flow.Bytes, "reverseOctetTotalCount": flow.Bytes, "reversePacketTotalCount": flow.Packets, "reverseVlanId": flow.SrcVLAN, "reverseIpClassOfService": flow.TOS,
}

// logstashFlags are its names of the parts of YAF's TCP flags.
var logstashFlags = map[string]string{
	"initialTCPFlags": name(flow.TCPFlags), "unionTCPFlags": name(flow.TCPFlags),
	"reverseInitialTCPFlags": "reverse " + name(flow.TCPFlags), "reverseUnionTCPFlags": "reverse " + name(flow.TCPFlags),
}

// logstashOptions are its names of NetFlow v9's options, and IANA's.
var logstashOptions = map[string]string{
	"sampling_interval": "samplingInterval", "sampling_algorithm": "samplingAlgorithm",
	"expiredFragmentCount": "yafExpiredFragmentCount", "assembledFragmentCount": "yafAssembledFragmentCount", "meanFlowRate": "yafMeanFlowRate", "meanPacketRate": "yafMeanPacketRate",
	"flowTableFlushEventCount": "yafFlowTableFlushEventCount", "flowTablePeakCount": "yafFlowTablePeakCount",
}

// readLogstash reads the events that logstash's codec is tested for; those in
// between are unknown.
func readLogstash(t *testing.T, file string) records {
	var golden struct {
		Count      *int                               `json:"expected_event_count"`
		Events     []struct{ Netflow map[string]any } `json:"json_events"`
		Index      map[string]int                     `json:"json_event_at_decode_index"`
		Assertions []struct {
			Event int
			Field string
			Value any
		} `json:"field_assertions"`
	}
	readJSON(t, file, &golden)
	if golden.Count == nil { // it only had to survive
		return nil
	}
	list := make([]record, *golden.Count)
	at := func(i int) record {
		if list[i] == nil {
			list[i] = record{}
		}
		return list[i]
	}
	for i, event := range golden.Events {
		if j, ok := golden.Index[strconv.Itoa(i)]; ok {
			for field, v := range event.Netflow {
				logstashValue(at(j), field, v)
			}
		}
	}
	for _, a := range golden.Assertions {
		logstashValue(at(a.Event), strings.TrimPrefix(a.Field, "netflow."), a.Value)
	}
	return records{events: list}
}

func logstashValue(r record, field string, v any) {
	text := fmt.Sprint(v)
	number, isNumber := v.(float64)
	if isNumber {
		text = strconv.FormatFloat(number, 'f', -1, 64)
	}
	if half, ok := logstashFlags[field]; ok { // of the first packet, and of the others
		flags, _ := strconv.Atoi(r[half])
		r[half] = strconv.Itoa(flags | int(number))
		return
	}
	if c, ok := logstashReverse[field]; ok {
		r.put("reverse "+name(c), text)
		return
	}
	c, ok := logstashNames[field]
	switch {
	case field == "flowset_id" || field == "flow_seq_num": // not the record's
		return
	case !ok:
		if n, ok := logstashOptions[field]; ok {
			field = n
		}
		if field == "systemInitTimeMilliseconds" {
			text = string(flow.AppendTime(nil, int64(number)))
		}
		r.put("option "+field, text)
		return
	case flow.Schema[c].Kind == flow.Text:
		text, _, _ = strings.Cut(text, "\x00")
	}
	switch v := v.(type) {
	case float64:
		if flow.Schema[c].Kind == flow.Time {
			text = string(flow.AppendTime(nil, int64(v)))
		}
	case map[string]any: // forwarding status
		text = fmt.Sprint(int(v["status"].(float64))<<6 | int(v["reason"].(float64)))
	}
	if c == flow.ApplicationID {
		engine, selector, _ := strings.Cut(text, "..")
		e, _ := strconv.ParseUint(engine, 10, 8)
		s, _ := strconv.ParseUint(selector, 10, 64)
		text = strconv.FormatUint(e<<24|s, 10)
	}
	r.put(name(c), text)
}
