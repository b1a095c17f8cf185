package wire_test

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/minamo-flow/minamo/flow"
)

// tsharkFlow are tshark's names of a flow record's fields, without "cflow.".
var tsharkFlow = map[string]flow.Column{
	"octets": flow.Bytes, "packets": flow.Packets, "permanent_octets": flow.Bytes, "permanent_packets": flow.Packets, "initiator_octets": flow.Bytes, "initiator_packets": flow.Packets,
	"srcport": flow.SrcPort, "dstport": flow.DstPort, "inputint": flow.InIf, "outputint": flow.OutIf, "protocol": flow.Protocol,
	"flow_end_reason": flow.FlowEndReason, "srcaddr": flow.SrcAddr, "dstaddr": flow.DstAddr, "srcaddrv6": flow.SrcAddr, "dstaddrv6": flow.DstAddr,
	"post_natsource_ipv4_address": flow.PostNATSrcAddr, "post_natdestination_ipv4_address": flow.PostNATDstAddr,
	"post_naptsource_transport_port": flow.PostNATSrcPort, "post_naptdestination_transport_port": flow.PostNATDstPort,
	"tcpflags": flow.TCPFlags, "srcmask": flow.SrcMask, "dstmask": flow.DstMask, "srcmaskv6": flow.SrcMask, "dstmaskv6": flow.DstMask, "direction": flow.Direction, "tos": flow.TOS,
	"icmp_ipv4_type": flow.ICMPType, "icmp_ipv4_code": flow.ICMPCode, "icmp_ipv6_type": flow.ICMPType, "icmp_ipv6_code": flow.ICMPCode,
	"firewall_event": flow.FirewallEvent, "fw_ext_event": flow.FirewallExtEvent, "aaa_username": flow.SrcUser, "srcmac": flow.SrcMAC, "dstmac": flow.DstMAC, "post_dstmac": flow.DstMAC, "srcas": flow.SrcAS, "dstas": flow.DstAS,
	"nexthop": flow.NextHop, "nexthopv6": flow.NextHop, "bgpnexthop": flow.BGPNextHop, "sampler_id": flow.SamplerID, "frag_ident": flow.FragmentID,
	"ip_ttl": flow.TTL, "sampling_interval": flow.SamplingRate, "sampler_random_interval": flow.SamplingRate, "vlanid": flow.SrcVLAN, "post_vlanid": flow.DstVLAN, "dot1q_vlan_id": flow.SrcVLAN,
	"ingress_vrfid": flow.InVRF, "egress_vrfid": flow.OutVRF, "layer2_segment_id": flow.SegmentID, "ipv6flowlabel": flow.FlowLabel,
	"toplabeladdr": flow.MPLSTopLabelAddr, "toplabeltype": flow.MPLSTopLabelType, "appl_name": flow.ApplicationName,
	"ingress_acl_id": flow.IngressACL, "egress_acl_id": flow.EgressACL,
	"pie.cisco.connection_client_ipv4_address": flow.SrcAddr, "pie.cisco.connection_server_ipv4_address": flow.DstAddr,
	"pie.cisco.connection_client_transport_port": flow.SrcPort, "pie.cisco.connection_server_transport_port": flow.DstPort,
	"pie.ixia.l7-application-name": flow.ApplicationName,
	"abstimestart":                 flow.Start, "abstimeend": flow.End,
}

// tsharkReverse are names of what came back.
var tsharkReverse = map[string]flow.Column{
	"responder_octets": flow.Bytes, "responder_packets": flow.Packets,
	"pie.ixia.reverse-octet-delta-count": flow.Bytes, "pie.ixia.reverse-packet-delta-count": flow.Packets,
}

// tsharkOption are its names of the fields of options data, and IANA's.
var tsharkOption = map[string]string{
	"sampler_id": "samplerId", "sampler_mode": "samplerMode", "sampler_random_interval": "samplerRandomInterval", "sampler_name": "samplerName",
	"sampling_interval": "samplingInterval", "sampling_algorithm": "samplingAlgorithm", "selector_id": "selectorId", "selector_name": "selectorName", "selector_algorithm": "selectorAlgorithm",
	"sampling_packet_interval": "samplingPacketInterval", "sampling_packet_space": "samplingPacketSpace", "sampling_size": "samplingSize", "sampling_population": "samplingPopulation",
	"if_name": "interfaceName", "if_descr": "interfaceDescription", "appl_name": "applicationName", "appl_desc": "applicationDescription", "application_category_name": "applicationCategoryName",
	"flowsexp": "exportedFlowRecordTotalCount", "packetsexp": "exportedMessageTotalCount", "exporter_addr": "exporterIPv4Address", "exporter_addr_v6": "exporterIPv6Address",
	"flow_exporter": "exportingProcessId", "mp_id": "meteringProcessId", "sys_init_time": "systemInitTimeMilliseconds", "drop_total_packets": "droppedPacketTotalCount",
	"ignore_packets": "ignoredPacketTotalCount", "notsent_packets": "notSentPacketTotalCount", "permanent_packets": "packetTotalCount", "flow_active_timeout": "flowActiveTimeout", "flow_inactive_timeout": "flowIdleTimeout",
	"exporter_protocol": "exportTransportProtocol", "export_protocol_version": "exportProtocolVersion", "ingress_vrfid": "ingressVRFID", "inputint": "ingressInterface",
	"scope_system": "scope 1", "scope_interface": "scope 2", "scope_linecard": "scope 3", "scope_cache": "scope 4", "scope_template": "scope 5",
	"od_id": "observationDomainId", "private_enterprise_number": "privateEnterpriseNumber",
}

// node is a line of tshark's dissection: field, value, children.
type node []any

func (n node) text(i int) string {
	if i >= len(n) {
		return ""
	}
	s, _ := n[i].(string)
	return s
}

func (n node) children() []node {
	if len(n) < 3 {
		return nil
	}
	return nodes(n[2])
}

func nodes(v any) []node {
	list, _ := v.([]any)
	var all []node
	for _, c := range list {
		if c, ok := c.([]any); ok {
			all = append(all, c)
		}
	}
	return all
}

// readTshark reads tshark's dissection of a case.
func readTshark(t *testing.T, file string) records {
	var doc struct{ Packets []struct{ PDUs [][]any } }
	readJSON(t, file, &doc)
	all := records{flows: nil, samples: nil, options: nil}
	option, reverse := map[string]bool{}, map[string]bool{} // ids of templates that describe options data, both directions
	for _, packet := range doc.Packets {
		for _, pdu := range packet.PDUs {
			if len(pdu) < 2 {
				continue
			}
			switch pdu[0] {
			case "cflow":
				tsharkNetFlow(all, option, reverse, nodes(pdu[1]))
			case "sflow":
				tsharkSFlow(all, nodes(pdu[1]))
			}
		}
	}
	return all
}

// put appends records; without any it says that there could be some.
func (all records) put(kind string, list ...record) { all[kind] = append(all[kind], list...) }

// header is what a record takes from its datagram's.
type header struct {
	uptime, clock float64 // ms
	version       string
	domain        string
	engine        [2]uint64
	rate          string
}

func tsharkNetFlow(all records, option, reverse map[string]bool, list []node) {
	var h header
	for _, n := range list {
		text := n.text(1)
		switch n.text(0) {
		case "cflow.version":
			h.version = text
		case "cflow.sysuptime":
			v, _ := strconv.ParseFloat(text, 64)
			h.uptime = v * 1000
		case "cflow.timestamp":
			for _, c := range n.children() {
				v, _ := strconv.ParseFloat(c.text(1), 64)
				switch c.text(0) {
				case "cflow.unix_secs":
					h.clock += v * 1000
				case "cflow.unix_nsecs":
					h.clock += v / 1e6
				}
			}
		case "cflow.od_id", "cflow.source_id":
			h.domain = text
		case "cflow.engine_type":
			h.engine[0], _ = strconv.ParseUint(text, 0, 8)
		case "cflow.engine_id":
			h.engine[1], _ = strconv.ParseUint(text, 0, 8)
		case "cflow.samplerate":
			h.rate = text
		}
		title := text
		for _, c := range n.children() {
			id, isTemplate := templateID(c)
			if !isTemplate {
				continue
			}
			option[id] = strings.HasPrefix(c.text(1), "Options")
			reverse[id] = false
			for _, f := range c.children() {
				reverse[id] = reverse[id] || strings.HasSuffix(f.text(0), "[Reverse]")
			}
		}
		data := n.children()
		if strings.HasPrefix(title, "pdu ") {
			data = []node{n}
		}
		_, id, _ := strings.Cut(title, "[id=")
		id, _, _ = strings.Cut(id, "]")
		for _, n := range data {
			if title := n.text(1); !strings.HasPrefix(title, "Flow ") && !strings.HasPrefix(title, "pdu ") {
				continue
			}
			if option[id] {
				r := record{}
				tsharkOptionRecord(r, n.children())
				all.put(options, r)
			} else {
				all.put(flows, h.flow(n.children(), reverse[id]))
			}
		}
	}
}

// templateID tells of which template a node is the description.
func templateID(n node) (string, bool) {
	for _, f := range n.children() {
		if f.text(0) == "cflow.template_id" {
			return f.text(1), true
		}
	}
	return "", false
}

// flow reads a flow record.
func (h *header) flow(list []node, reverse bool) record {
	r := record{name(flow.ExportProtocol): h.version, name(flow.ObservationDomain): h.domain}
	if h.version == "5" {
		r[name(flow.ObservationDomain)] = strconv.FormatUint(h.engine[0]<<8|h.engine[1], 10)
		r[name(flow.SamplingRate)] = h.rate
	}
	status, labels := 0, flow.Column(0)
	engine := ""
	seen := map[string]bool{}
	var walk func(list []node)
	walk = func(list []node) {
		for _, f := range list {
			field, text := strings.TrimPrefix(f.text(0), "cflow."), f.text(1)
			if c, ok := tsharkFlow[field]; ok {
				switch {
				case reverse && seen[field] && c >= flow.NumColumns: // a custom column is that of one direction's element
				case reverse && seen[field]:
					r.put("reverse "+name(c), normal(c, text))
				default:
					r.put(name(c), normal(c, text))
				}
				seen[field] = true
			}
			if c, ok := tsharkReverse[field]; ok {
				r.put("reverse "+name(c), text)
			}
			v, err := strconv.ParseUint(text, 0, 64)
			switch {
			case field == "forwarding_status" && err == nil:
				status = int(v) << 6
			case strings.HasPrefix(field, "forwarding_status_") && err == nil:
				r[name(flow.ForwardingStatus)] = strconv.Itoa(status | int(v))
			case field == "ip_dscp" && err == nil:
				r.put(name(flow.TOS), strconv.FormatUint(v<<2, 10))
			case field == "icmp_type_code_ipv4" && err == nil:
				r.put(name(flow.ICMPType), strconv.FormatUint(v>>8, 10))
				r.put(name(flow.ICMPCode), strconv.FormatUint(v&255, 10))
			case field == "mpls_label":
				r[name(flow.MPLSLabel1+labels)] = text
				labels++
			case field == "appl_id.classification_engine_id":
				engine = text
			case field == "appl_id.selector_id" && engine == "20": // nine bytes: the engine goes without saying
				if b, err := hex.DecodeString(strings.ReplaceAll(text, ":", "")); err == nil {
					r[name(flow.ApplicationID)] = number(b)
				}
			case field == "appl_id.selector_id":
				r[name(flow.ApplicationID)] = application(engine, text)
			}
			if relative, err := strconv.ParseFloat(text, 64); err == nil && h.clock > 0 && h.uptime > 0 && (field == "timestart" || field == "timeend") {
				at := int64(math.Round(h.clock + relative*1000 - h.uptime))
				r[name(map[string]flow.Column{"timestart": flow.Start, "timeend": flow.End}[field])] = string(flow.AppendTime(nil, at))
			}
			walk(f.children())
		}
	}
	walk(list)
	return r
}

func tsharkOptionRecord(r record, list []node) {
	engine := ""
	for _, f := range list {
		field, text := strings.TrimPrefix(f.text(0), "cflow."), f.text(1)
		if n, ok := tsharkOption[field]; ok {
			switch {
			case strings.HasPrefix(field, "scope_"):
				b, err := hex.DecodeString(strings.ReplaceAll(text, ":", ""))
				if err == nil && strings.Contains(text, ":") {
					text = number(b)
				}
			case field == "sys_init_time":
				text = normal(flow.Start, text)
			}
			r.put(n, text)
		}
		switch field {
		case "appl_id.classification_engine_id":
			engine = text
		case "appl_id.selector_id":
			r["applicationId"] = application(engine, text)
		}
		tsharkOptionRecord(r, f.children())
	}
}

// application joins the parts of an applicationId (RFC 6759 §4).
func application(engine, selector string) string {
	e, _ := strconv.ParseUint(engine, 10, 8)
	b, err := hex.DecodeString(strings.ReplaceAll(selector, ":", ""))
	if err != nil {
		return selector
	}
	return number(append([]byte{byte(e)}, b...))
}

// normal brings tshark's text into ours.
func normal(c flow.Column, text string) string {
	switch flow.Schema[c].Kind {
	case flow.Time:
		at, err := time.Parse("Jan _2, 2006 15:04:05.000000000 MST", text)
		if err != nil {
			return text
		}
		return string(flow.AppendTime(nil, at.UnixMilli()))
	case flow.Text:
		if b, err := hex.DecodeString(strings.ReplaceAll(text, ":", "")); err == nil && len(b) == 12 { // three numbers
			return fmt.Sprintf("%#x/%#x/%#x", binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:]))
		}
		_, value, ok := strings.Cut(text, ": ") // behind a label
		if ok {
			return value
		}
		return text
	}
	if v, err := strconv.ParseUint(text, 0, 64); err == nil {
		return strconv.FormatUint(v, 10)
	}
	return text
}

// tsharkPacket are its names of a flow sample's fields.
var tsharkPacket = map[string]flow.Column{
	"sflow.flow_sample.sampling_rate": flow.SamplingRate,
	"sflow_245.vlan.in":               flow.SrcVLAN, "sflow_245.vlan.out": flow.DstVLAN,
	"eth.src": flow.SrcMAC, "eth.dst": flow.DstMAC,
	"sflow_245.ethernet.source_mac_address": flow.SrcMAC, "sflow_245.ethernet.destination_mac_address": flow.DstMAC,
	"ip.src": flow.SrcAddr, "ip.dst": flow.DstAddr, "ip.proto": flow.Protocol, "ip.ttl": flow.TTL, "ip.dsfield": flow.TOS, "ip.id": flow.FragmentID,
	"ip.len": flow.Bytes, "ip.frag_offset": flow.FragmentOffset,
	"ipv6.src": flow.SrcAddr, "ipv6.dst": flow.DstAddr, "ipv6.hlim": flow.TTL,
	"tcp.srcport": flow.SrcPort, "tcp.dstport": flow.DstPort, "udp.srcport": flow.SrcPort, "udp.dstport": flow.DstPort, "tcp.flags": flow.TCPFlags,
	"icmp.type": flow.ICMPType, "icmp.code": flow.ICMPCode,
}

func tsharkSFlow(all records, list []node) {
	top := record{}
	count := map[string]int{"flow samples": 0, "counter samples": 0}
	for _, n := range list {
		switch n.text(0) {
		case "sflow_245.agent":
			top["agent"] = n.text(1)
		case "sflow_245.sub_agent_id":
			top["sub-agent"] = n.text(1)
		case "sflow_245.sequence_number":
			top["sequence"] = n.text(1)
		case "sflow_245.sysuptime":
			top["uptime"] = n.text(1)
		}
		title := strings.ToLower(n.text(1))
		f := map[string]string{}
		flatten(n.children(), f)
		switch {
		case n.text(0) != "":
		case strings.Contains(title, "flow sample"):
			count["flow samples"]++
			r := record{"sequence": f["sflow.flow_sample.sequence_number"], "pool": f["sflow.flow_sample.sample_pool"], "drops": f["sflow.flow_sample.dropped_packets"]}
			for field, text := range f {
				if c, ok := tsharkPacket[field]; ok && !(strings.HasPrefix(field, "sflow_245.vlan.") && text == noVLAN) {
					r.put(name(c), normal(c, text))
				}
			}
			all.put(samples, r)
		case strings.Contains(title, "counters sample"):
			count["counter samples"]++
			for _, block := range n.children() {
				flat := map[string]string{}
				flatten([]node{block}, flat)
				k, ok := counterFormats["0:"+flat["sflow_245.counters_record_format"]]
				if !ok || flat["sflow.enterprise"] != "0" {
					continue
				}
				r := record{"sequence": f["sflow.counters_sample.sequence_number"], "source": f["sflow.counters_sample.source_id_type"] + ":" + f["sflow.counters_sample.source_id_index"]}
				for _, c := range k.fields {
					if text, ok := flat[c.tshark]; ok {
						r[c.field] = c.text(text)
					}
				}
				all.put(k.kind, r)
			}
		}
	}
	for kind, n := range count {
		top[kind] = strconv.Itoa(n)
	}
	all.put(datagrams, top)
}

// flatten collects the first value of each field in tshark's tree.
func flatten(tree []node, into map[string]string) {
	for _, n := range tree {
		if name, v := n.text(0), n.text(1); name != "" && v != "" {
			if _, seen := into[name]; !seen {
				into[name] = v
			}
		}
		flatten(n.children(), into)
	}
}
