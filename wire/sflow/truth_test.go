package sflow

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/internal/fixtures"
	"github.com/minamo-flow/minamo/wire/pcap"
)

// datagrams returns the sFlow datagrams of a capture.
func datagrams(t testing.TB, path string) (found [][]byte) {
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := pcap.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	u := pcap.NewUDPReader(r)
	var d pcap.Datagram
	for err = u.Next(&d); err == nil; err = u.Next(&d) {
		if strings.HasPrefix(string(d.Payload), "\x00\x00\x00\x05") {
			found = append(found, append([]byte(nil), d.Payload...))
		}
	}
	if !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return found
}

// decoded is one datagram's result.
type decoded struct {
	m Message
	b *flow.Batch
}

func decodeAll(t *testing.T, path string) (all []decoded) {
	for _, d := range datagrams(t, path) {
		r := decoded{b: flow.NewBatch(8)}
		if err := Decode(d, 1, r.b, &r.m); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		all = append(all, r)
	}
	return all
}

// disagreements are where an oracle is proven wrong: our value by the name of
// "capture datagram/sample field".
var disagreements = map[string]string{
	// The first sample's switch record claims 6 bytes. Like tshark we read its
	// 16 and go on, the other five samples included; sflowtool gives the
	// datagram up there.
	"goflow_inline_getExpandedSFlowDecode.pcap 1 samples": "6",
}

// checker compares values and remembers how often they agreed.
type checker struct {
	t                 *testing.T
	capture           string
	agreed, disagreed int
	used              map[string]bool
}

func (c *checker) compare(where, field, got, want string) {
	key := fmt.Sprintf("%s %s %s", c.capture, where, field)
	if got == want {
		c.agreed++
	} else if v, known := disagreements[key]; known && v == got {
		c.disagreed++
		c.used[key] = true
	} else {
		c.t.Errorf("%s: we say %s, the oracle %s", key, got, want)
	}
}

// text gives a column's value of a row, or "absent".
func text(b *flow.Batch, c flow.Column, i int) string {
	if !b.Present[i].Has(c) {
		return "absent"
	}
	return string(b.AppendText(nil, c, i))
}

// sflowtoolColumns maps sflowtool's names to ours.
var sflowtoolColumns = map[string]flow.Column{
	"meanSkipCount": flow.SamplingRate,
	"srcIP":         flow.SrcAddr, "dstIP": flow.DstAddr, "IPProtocol": flow.Protocol,
	"srcIP6": flow.SrcAddr, "dstIP6": flow.DstAddr,
	"IPTOS": flow.TOS, "IPTTL": flow.TTL, "IPID": flow.FragmentID, "ip.tot_len": flow.Bytes,
	"TCPSrcPort": flow.SrcPort, "TCPDstPort": flow.DstPort, "TCPFlags": flow.TCPFlags,
	"UDPSrcPort": flow.SrcPort, "UDPDstPort": flow.DstPort,
	"ICMPType": flow.ICMPType, "ICMPCode": flow.ICMPCode,
	"srcMAC": flow.SrcMAC, "dstMAC": flow.DstMAC, "ethernet_src": flow.SrcMAC, "ethernet_dst": flow.DstMAC,
	"ethernet_type": flow.EtherType, "decodedVLAN": flow.SrcVLAN,
	"in_vlan": flow.SrcVLAN, "out_vlan": flow.DstVLAN,
}

// counterFields maps sflowtool's names to what we keep.
func counterFields(c *InterfaceCounters) map[string]uint64 {
	return map[string]uint64{
		"ifIndex": uint64(c.IfIndex), "networkType": uint64(c.IfType), "ifSpeed": c.Speed,
		"ifDirection": uint64(c.Direction), "ifStatus": uint64(c.Status),
		"ifInOctets": c.InOctets, "ifInUcastPkts": uint64(c.InUnicast), "ifInMulticastPkts": uint64(c.InMulticast),
		"ifInBroadcastPkts": uint64(c.InBroadcast), "ifInDiscards": uint64(c.InDiscards), "ifInErrors": uint64(c.InErrors),
		"ifInUnknownProtos": uint64(c.InUnknown), "ifOutOctets": c.OutOctets, "ifOutUcastPkts": uint64(c.OutUnicast),
		"ifOutMulticastPkts": uint64(c.OutMulticast), "ifOutBroadcastPkts": uint64(c.OutBroadcast),
		"ifOutDiscards": uint64(c.OutDiscards), "ifOutErrors": uint64(c.OutErrors), "ifPromiscuousMode": uint64(c.IsPromiscuous),
	}
}

// oracleSample is a sample as sflowtool shows it.
type oracleSample struct {
	Type     string           `json:"sampleType"`
	Sequence string           `json:"sampleSequenceNo"`
	Source   string           `json:"sourceId"`
	Rate     string           `json:"meanSkipCount"`
	Pool     string           `json:"samplePool"`
	Drops    string           `json:"dropEvents"`
	In       string           `json:"inputPort"`
	Out      string           `json:"outputPort"`
	Elements []map[string]any `json:"elements"`
}

func TestAgreesWithSflowtool(t *testing.T) {
	c := &checker{t: t, used: map[string]bool{}}
	var cases, rows, counters int
	for _, recorded := range fixtures.Cases(t, "sflow5") {
		path := recorded.Pcap
		c.capture = filepath.Base(path)
		all := decodeAll(t, path)
		f, err := os.Open(path + ".sflowtool.jsonl")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		cases++
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 1<<20)
		n := 0
		for lines.Scan() {
			var o struct {
				Agent    string `json:"agent"`
				SubAgent string `json:"agentSubId"`
				Sequence string `json:"packetSequenceNo"`
				Uptime   string `json:"sysUpTime"`
				Version  string `json:"datagramVersion"`
				Samples  []oracleSample
			}
			line := closed(lines.Text())
			if line == "" {
				continue
			}
			if err := json.Unmarshal([]byte(line), &o); err != nil {
				t.Fatalf("%s line %d: %v", path, n+1, err)
			}
			if o.Version != "5" {
				continue
			}
			if n == len(all) {
				t.Fatalf("%s: sflowtool has more datagrams than our %d", path, n)
			}
			d := &all[n]
			where := strconv.Itoa(n)
			c.compare(where, "agent", d.m.Agent.String(), o.Agent)
			c.compare(where, "agentSubId", fmt.Sprint(d.m.SubAgent), o.SubAgent)
			c.compare(where, "packetSequenceNo", fmt.Sprint(d.m.Sequence), o.Sequence)
			c.compare(where, "sysUpTime", fmt.Sprint(d.m.SysUptime), o.Uptime)
			c.compare(where, "samples", fmt.Sprint(d.m.Flows+d.m.CounterSamples), fmt.Sprint(len(o.Samples)))
			c.samples(where, d, o.Samples)
			rows += d.m.Flows
			counters += d.m.CounterSamples
			n++
		}
		if n != len(all) {
			t.Errorf("%s: %d datagrams, sflowtool has %d", path, len(all), n)
		}
	}
	for key := range disagreements {
		if !c.used[key] {
			t.Errorf("the disagreement %q did not occur", key)
		}
	}
	t.Logf("%d cases, %d flow samples, %d counter samples: %d values agree, %d known disagreements", cases, rows, counters, c.agreed, c.disagreed)
}

// closed completes a line of sflowtool: when it gives a datagram up, it prints
// no more closing brackets, and it closes some elements twice.
func closed(line string) string {
	if line == "" {
		return ""
	}
	for _, start := range []string{line, strings.TrimSuffix(line, "}")} {
		for _, end := range []string{"", "]}", "]}]}"} {
			if json.Valid([]byte(start + end)) {
				return start + end
			}
		}
	}
	return line
}

func (c *checker) samples(where string, d *decoded, samples []oracleSample) {
	var row, counter int
	for n, o := range samples {
		where := fmt.Sprintf("%s/%d", where, n)
		switch o.Type {
		case "FLOWSAMPLE":
			s, i := &d.m.Samples[row], row
			row++
			c.compare(where, "sequence", fmt.Sprint(s.Sequence), o.Sequence)
			c.compare(where, "source", fmt.Sprintf("%d:%d", s.Source.Class, s.Source.Index), o.Source)
			c.compare(where, "rate", text(d.b, flow.SamplingRate, i), o.Rate)
			c.compare(where, "pool", fmt.Sprint(s.Pool), o.Pool)
			c.compare(where, "drops", fmt.Sprint(s.Drops), o.Drops)
			c.compare(where, "in_if", text(d.b, flow.InIf, i), ourPort(o.In))
			c.compare(where, "out_if", text(d.b, flow.OutIf, i), ourPort(o.Out))
			fields := map[string]string{}
			for _, e := range o.Elements {
				for name, v := range e {
					fields[name], _ = v.(string)
				}
			}
			for name, v := range fields {
				column, ok := sflowtoolColumns[name]
				if !ok {
					continue
				}
				// A switch record's word on the VLAN comes before the tag's.
				if in := fields["in_vlan"]; name == "decodedVLAN" && in != "" && in != "0" {
					continue
				}
				switch {
				case flow.Schema[column].Kind == flow.MAC:
					v = colons(v)
				case name == "IPID": // sflowtool prints it in the host's byte order
					id, _ := strconv.ParseUint(v, 10, 16)
					v = fmt.Sprint(bits.ReverseBytes16(uint16(id)))
				}
				c.compare(where, name, text(d.b, column, i), v)
			}
		case "COUNTERSSAMPLE":
			for _, e := range o.Elements {
				if e["counterBlock_tag"] != "0:1" {
					continue
				}
				k := &d.m.Counters.Interfaces[counter]
				counter++
				c.compare(where, "source", fmt.Sprintf("%d:%d", k.Source.Class, k.Source.Index), o.Source)
				c.compare(where, "sequence", fmt.Sprint(k.Sequence), o.Sequence)
				for name, v := range counterFields(k) {
					c.compare(where, name, fmt.Sprint(v), fmt.Sprint(e[name]))
				}
			}
		}
	}
	c.compare(where, "counters", fmt.Sprint(len(d.m.Counters.Interfaces)), fmt.Sprint(counter))
}

// ourPort translates sflowtool's word for an interface.
func ourPort(p string) string {
	switch {
	case p == "0" || strings.HasPrefix(p, "multiple"):
		return "absent"
	case p == strconv.Itoa(Internal) || strings.HasPrefix(p, "drop"):
		return "0"
	}
	return p
}

func colons(mac string) string {
	var b strings.Builder
	for i := 0; i+2 <= len(mac); i += 2 {
		if i > 0 {
			b.WriteByte(':')
		}
		b.WriteString(mac[i : i+2])
	}
	return b.String()
}

// tsharkColumns maps tshark's fields of a flow sample to ours.
var tsharkColumns = map[string]flow.Column{
	"sflow.flow_sample.sampling_rate": flow.SamplingRate,
	"sflow_245.vlan.in":               flow.SrcVLAN, "sflow_245.vlan.out": flow.DstVLAN,
	"eth.src": flow.SrcMAC, "eth.dst": flow.DstMAC,
	"ip.src": flow.SrcAddr, "ip.dst": flow.DstAddr, "ip.proto": flow.Protocol, "ip.ttl": flow.TTL,
	"ip.len": flow.Bytes, "ip.frag_offset": flow.FragmentOffset,
	"ipv6.src": flow.SrcAddr, "ipv6.dst": flow.DstAddr, "ipv6.hlim": flow.TTL,
	"tcp.srcport": flow.SrcPort, "tcp.dstport": flow.DstPort, "udp.srcport": flow.SrcPort, "udp.dstport": flow.DstPort,
	"icmp.type": flow.ICMPType, "icmp.code": flow.ICMPCode,
}

func TestAgreesWithTshark(t *testing.T) {
	c := &checker{t: t, used: map[string]bool{}}
	var rows int
	for _, recorded := range fixtures.Cases(t, "sflow5") {
		path := recorded.Pcap
		c.capture = filepath.Base(path)
		all := decodeAll(t, path)
		file, err := os.ReadFile(path + ".tshark.json")
		if err != nil {
			t.Fatal(err)
		}
		var o struct {
			Packets []struct{ PDUs [][]any }
		}
		if err := json.Unmarshal(file, &o); err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, p := range o.Packets {
			for _, pdu := range p.PDUs {
				if pdu[0] != "sflow" {
					continue
				}
				d := &all[n]
				row := 0
				for _, node := range pdu[1].([]any) {
					node := node.([]any)
					title, _ := node[1].(string)
					if len(node) < 3 || !strings.Contains(strings.ToLower(title), "flow sample") {
						continue
					}
					fields := map[string]string{}
					flatten(node[2].([]any), fields)
					where := fmt.Sprintf("%d/%d", n, row)
					if row >= d.m.Flows {
						t.Errorf("%s %s: tshark has more flow samples", c.capture, where)
						break
					}
					s := d.m.Samples[row]
					c.compare(where, "sequence", fmt.Sprint(s.Sequence), fields["sflow.flow_sample.sequence_number"])
					c.compare(where, "pool", fmt.Sprint(s.Pool), fields["sflow.flow_sample.sample_pool"])
					for name, v := range fields {
						if column, ok := tsharkColumns[name]; ok {
							c.compare(where, name, text(d.b, column, row), v)
						}
					}
					row++
				}
				c.compare(strconv.Itoa(n), "flow samples", fmt.Sprint(len(d.m.Samples)), fmt.Sprint(row))
				rows += row
				n++
			}
		}
	}
	t.Logf("%d flow samples: %d values agree, %d known disagreements", rows, c.agreed, c.disagreed)
}

// flatten collects the first value of each field in tshark's tree.
func flatten(tree []any, fields map[string]string) {
	for _, node := range tree {
		node := node.([]any)
		name, _ := node[0].(string)
		if v, _ := node[1].(string); name != "" && v != "" {
			if _, seen := fields[name]; !seen {
				fields[name] = v
			}
		}
		if len(node) > 2 {
			flatten(node[2].([]any), fields)
		}
	}
}
