package wire_test

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/minamo-flow/minamo/flow"
)

// telegrafNames are telegraf's names of a flow's fields.
var telegrafNames = map[string]flow.Column{
	"src": flow.SrcAddr, "dst": flow.DstAddr, "src_port": flow.SrcPort, "dst_port": flow.DstPort, "in_bytes": flow.Bytes, "in_packets": flow.Packets, "protocol": flow.Protocol,
	"in_snmp": flow.InIf, "out_snmp": flow.OutIf, "src_as": flow.SrcAS, "dst_as": flow.DstAS, "bgp_src_as": flow.SrcAS, "bgp_dst_as": flow.DstAS,
	"src_mask": flow.SrcMask, "dst_mask": flow.DstMask, "next_hop": flow.NextHop, "tcp_flags": flow.TCPFlags, "src_tos": flow.TOS,
	"icmp_type": flow.ICMPType, "icmp_code": flow.ICMPCode, "flow_start_ms": flow.Start, "flow_end_ms": flow.End, "sampling_interval": flow.SamplingRate,
	"out_queue": flow.EgressQueue, "reason": flow.DropReason,
}

// telegrafOptions are its names in options data, and IANA's.
var telegrafOptions = map[string]string{"app_id": "applicationId", "app_name": "applicationName", "app_desc": "applicationDescription"}

var telegrafField = regexp.MustCompile(`([a-z0-9_]+)=("(?:[^"\\]|\\.)*"|[^, ]+)`)

// readTelegraf reads telegraf's metrics, in the line protocol of InfluxDB.
func readTelegraf(t *testing.T, file string) records {
	p, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	all := records{}
	for _, line := range strings.Split(strings.TrimSpace(string(p)), "\n") {
		fields := map[string]string{}
		for _, m := range telegrafField.FindAllStringSubmatch(line, -1) {
			v := m[2]
			if text, err := strconv.Unquote(v); err == nil {
				v = text
			} else {
				v = strings.TrimSuffix(v, "u")
			}
			fields[m[1]] = v
		}
		switch {
		case strings.HasPrefix(line, "netflow_options"):
			r := record{}
			for field, n := range telegrafOptions {
				v := fields[field]
				if strings.HasPrefix(v, "0x") {
					v = normal(flow.ApplicationID, v)
				}
				r[n] = v
			}
			all.put(options, r)
		case fields["version"] == "sFlowV5":
			all.put(datagrams, record{"agent": fields["agent_ip"], "sub-agent": fields["agent_subid"], "uptime": fields["sys_uptime"]})
			if fields["reason"] != "" {
				r := telegrafFlow(fields)
				r["sequence"], r["drops"] = fields["seq_number"], fields["sampling_drops"]
				all.put(discards, r)
				continue
			}
			for _, k := range counterFormats {
				r := record{}
				for _, c := range k.fields {
					if v, ok := fields[c.telegraf]; ok {
						r[c.field] = v
					}
				}
				if len(r) > 0 {
					r["sequence"] = fields["seq_number"]
					all.put(k.kind, r)
				}
			}
		default:
			all.put(flows, telegrafFlow(fields))
		}
	}
	return all
}

func telegrafFlow(fields map[string]string) record {
	r := record{}
	for field, c := range telegrafNames {
		v, ok := fields[field]
		if !ok {
			continue
		}
		switch c {
		case flow.TCPFlags:
			v = letterFlags(v)
		case flow.Protocol:
			v = map[string]string{"tcp": "6", "udp": "17", "icmp": "1"}[v]
		case flow.TOS:
			v = normal(c, v)
		case flow.Start, flow.End:
			ms, _ := strconv.ParseInt(v, 10, 64)
			v = string(flow.AppendTime(nil, ms))
		}
		r[name(c)] = v
	}
	if kind, ok := fields["engine_type"]; ok && fields["version"] == "NetFlowV5" {
		id, _ := strconv.ParseUint(fields["engine_id"], 0, 8)
		k, _ := strconv.ParseUint(kind, 10, 8)
		r[name(flow.ObservationDomain)] = strconv.FormatUint(k<<8|id, 10)
	}
	return r
}
