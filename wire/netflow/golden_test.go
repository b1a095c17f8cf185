package netflow

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/internal/fixtures"
)

// TestLogstashGoldens compares with the events that logstash's codec is
// tested for.
func TestLogstashGoldens(t *testing.T) {
	dir := filepath.Join(fixtures.Dir(t), "logstash-codec-netflow")
	files, _ := filepath.Glob(filepath.Join(dir, "golden", "*.json"))
	if len(files) == 0 {
		t.Fatal("no golden files")
	}
	names := map[string]flow.Column{
		"in_bytes": flow.Bytes, "octetDeltaCount": flow.Bytes, "fwd_flow_delta_bytes": flow.Bytes, "in_pkts": flow.Packets, "packetDeltaCount": flow.Packets,
		"protocol": flow.Protocol, "protocolIdentifier": flow.Protocol, "l4_src_port": flow.SrcPort, "sourceTransportPort": flow.SrcPort,
		"l4_dst_port": flow.DstPort, "destinationTransportPort": flow.DstPort, "tcp_flags": flow.TCPFlags, "tcpControlBits": flow.TCPFlags,
		"ipv4_src_addr": flow.SrcAddr, "ipv4_dst_addr": flow.DstAddr, "sourceIPv4Address": flow.SrcAddr, "destinationIPv4Address": flow.DstAddr,
		"input_snmp": flow.InIf, "output_snmp": flow.OutIf, "ingressInterface": flow.InIf, "egressInterface": flow.OutIf,
		"src_tos": flow.TOS, "ipClassOfService": flow.TOS, "src_mask": flow.SrcMask, "dst_mask": flow.DstMask, "src_as": flow.SrcAS, "dst_as": flow.DstAS,
		"bgpSourceAsNumber": flow.SrcAS, "bgpDestinationAsNumber": flow.DstAS, "ipv4_next_hop": flow.NextHop, "ipNextHopIPv4Address": flow.NextHop, "bgp_ipv4_next_hop": flow.BGPNextHop,
		"direction": flow.Direction, "flow_end_reason": flow.FlowEndReason, "flowEndReason": flow.FlowEndReason, "fw_event": flow.FirewallEvent, "firewallEvent": flow.FirewallEvent,
		"first_switched": flow.Start, "flowStartMilliseconds": flow.Start, "flow_start_msec": flow.Start, "flowStartSeconds": flow.Start,
		"last_switched": flow.End, "flowEndMilliseconds": flow.End, "event_time_msec": flow.End, "flowEndSeconds": flow.End,
		"xlate_src_addr_ipv4": flow.PostNATSrcAddr, "xlate_dst_addr_ipv4": flow.PostNATDstAddr, "postNATSourceIPv4Address": flow.PostNATSrcAddr, "postNATDestinationIPv4Address": flow.PostNATDstAddr,
		"xlate_src_port": flow.PostNATSrcPort, "xlate_dst_port": flow.PostNATDstPort, "in_src_mac": flow.SrcMAC, "in_dst_mac": flow.DstMAC, "sourceMacAddress": flow.SrcMAC,
		"src_vlan": flow.SrcVLAN, "vlanId": flow.SrcVLAN, "flow_sampler_id": flow.SamplerID, "layer2SegmentId": flow.SegmentID, "ipv4_ident": flow.FragmentID,
		"ingressVRFID": flow.InVRF, "egressVRFID": flow.OutVRF, "forwarding_status": flow.ForwardingStatus,
	}
	values := 0
	for _, file := range files {
		var golden struct {
			Context    string
			Files      []string                           `json:"files_in_order"`
			Events     []struct{ Netflow map[string]any } `json:"json_events"`
			Index      map[string]int                     `json:"json_event_at_decode_index"`
			Assertions []struct {
				Event int
				Field string
				Value any
			} `json:"field_assertions"`
		}
		readJSON(t, file, &golden)
		if golden.Context == "Netflow 9 Cisco ASR 9000 series template 260" {
			continue // its template is in a file that the fixtures do not have
		}
		t.Run(golden.Context, func(t *testing.T) {
			b, m, s := flow.NewBatch(1), &Message{}, NewSession(Limits{})
			for _, name := range golden.Files {
				datagram, err := os.ReadFile(filepath.Join(dir, name))
				if err != nil {
					t.Fatal(err)
				}
				if err := s.Decode(datagram, 0, b, m); err != nil {
					t.Log(err)
				}
			}
			check := func(row int, field string, v any) {
				c, ok := names[strings.TrimPrefix(field, "netflow.")]
				if !ok || row >= b.Len() {
					return
				}
				values++
				want := fmt.Sprint(v)
				switch v := v.(type) {
				case float64:
					want = strconv.FormatFloat(v, 'f', -1, 64)
					if flow.Schema[c].Kind == flow.Time {
						want = string(flow.AppendTime(nil, int64(v)))
					}
				case map[string]any: // forwarding status
					want = fmt.Sprint(int(v["status"].(float64))<<6 | int(v["reason"].(float64)))
				}
				mine := ""
				if b.Present[row].Has(c) {
					mine = got(b, c, row)
				}
				if mine == want || nothing[mine] && nothing[want] || excused("logstash", golden.Context, c) {
					return
				}
				// logstash does not borrow from the seconds when the
				// milliseconds of a sysUptime stamp underflow.
				if at, err := time.Parse(time.RFC3339, want); err == nil && strings.HasSuffix(field, "_switched") && at.UnixMilli()-b.Time(c)[row] == 1000 {
					return
				}
				t.Errorf("record %d: %v is %q, logstash says %s = %q", row, c, mine, field, want)
			}
			for i, event := range golden.Events {
				if row, ok := golden.Index[strconv.Itoa(i)]; ok {
					for field, v := range event.Netflow {
						check(row, field, v)
					}
				}
			}
			for _, a := range golden.Assertions {
				check(a.Event, a.Field, a.Value)
			}
		})
	}
	t.Logf("%d files, %d values compared", len(files), values)
}

// TestTelegrafGoldens compares with the metrics that telegraf is tested for.
func TestTelegrafGoldens(t *testing.T) {
	dir := filepath.Join(fixtures.Dir(t), "telegraf")
	names := map[string]flow.Column{
		"src": flow.SrcAddr, "dst": flow.DstAddr, "src_port": flow.SrcPort, "dst_port": flow.DstPort, "in_bytes": flow.Bytes, "in_packets": flow.Packets,
		"in_snmp": flow.InIf, "out_snmp": flow.OutIf, "src_as": flow.SrcAS, "dst_as": flow.DstAS, "bgp_src_as": flow.SrcAS, "bgp_dst_as": flow.DstAS,
		"src_mask": flow.SrcMask, "dst_mask": flow.DstMask, "next_hop": flow.NextHop,
	}
	for _, c := range []struct{ name, datagram string }{{"netflow_v5_example", "netflow_v5.bin"}, {"netflow_v9_example", "netflow_v9.bin"}} {
		t.Run(c.name, func(t *testing.T) {
			datagram, err := os.ReadFile(filepath.Join(dir, c.name, c.datagram))
			if err != nil {
				t.Fatal(err)
			}
			expected, err := os.ReadFile(filepath.Join(dir, c.name, "expected.out"))
			if err != nil {
				t.Fatal(err)
			}
			b, _ := decode(t, NewSession(Limits{}), datagram)
			lines := strings.Split(strings.TrimSpace(string(expected)), "\n")
			if len(lines) != b.Len() {
				t.Fatalf("%d records, telegraf has %d", b.Len(), len(lines))
			}
			for row, line := range lines {
				_, fields, _ := strings.Cut(line, " ")
				fields, _, _ = strings.Cut(fields, " ")
				for _, field := range strings.Split(fields, ",") {
					name, value, _ := strings.Cut(field, "=")
					column, ok := names[name]
					if !ok {
						continue
					}
					want := strings.TrimSuffix(value, "u")
					var text string
					if json.Unmarshal([]byte(value), &text) == nil {
						want = text
					}
					if mine := got(b, column, row); mine != want {
						t.Errorf("record %d: %v is %q, telegraf says %q", row, column, mine, want)
					}
				}
			}
		})
	}
}
