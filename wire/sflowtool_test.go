package wire_test

import (
	"bufio"
	"encoding/json"
	"math/bits"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/minamo-flow/minamo/flow"
)

// sflowtoolNames are sflowtool's names of a flow sample's fields.
var sflowtoolNames = map[string]flow.Column{
	"srcIP": flow.SrcAddr, "dstIP": flow.DstAddr, "IPProtocol": flow.Protocol,
	"srcIP6": flow.SrcAddr, "dstIP6": flow.DstAddr,
	"IPTOS": flow.TOS, "IPTTL": flow.TTL, "IPID": flow.FragmentID, "ip.tot_len": flow.Bytes,
	"TCPSrcPort": flow.SrcPort, "TCPDstPort": flow.DstPort, "TCPFlags": flow.TCPFlags,
	"UDPSrcPort": flow.SrcPort, "UDPDstPort": flow.DstPort,
	"ICMPType": flow.ICMPType, "ICMPCode": flow.ICMPCode,
	"srcMAC": flow.SrcMAC, "dstMAC": flow.DstMAC, "ethernet_src": flow.SrcMAC, "ethernet_dst": flow.DstMAC,
	"ethernet_type": flow.EtherType, "decodedVLAN": flow.SrcVLAN,
	"in_vlan": flow.SrcVLAN, "out_vlan": flow.DstVLAN,
	"nextHop": flow.NextHop, "srcSubnetMask": flow.SrcMask, "dstSubnetMask": flow.DstMask,
	"src_as": flow.SrcAS, "src_peer_as": flow.PrevAS, "bgp_nexthop": flow.BGPNextHop,
	"src_user": flow.SrcUser, "dest_user": flow.DstUser,
	"discarded_egress_queue_id": flow.EgressQueue,
	"tunnel_ipv4_in_srcIP":      flow.TunnelSrcAddr, "tunnel_ipv4_in_dstIP": flow.TunnelDstAddr,
}

// sflowtoolSample is a sample as sflowtool shows it.
type sflowtoolSample struct {
	Type     string           `json:"sampleType"`
	Sequence string           `json:"sampleSequenceNo"`
	Source   string           `json:"sourceId"`
	Rate     string           `json:"meanSkipCount"`
	Pool     string           `json:"samplePool"`
	Drops    string           `json:"dropEvents"`
	In       string           `json:"inputPort"`
	Out      string           `json:"outputPort"`
	Reason   string           `json:"discardCode"`
	Elements []map[string]any `json:"elements"`
}

// readSflowtool reads a line of JSON for each datagram.
func readSflowtool(t *testing.T, file string) records {
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all := records{datagrams: nil, samples: nil, discards: nil}
	for _, k := range counterFormats {
		all.put(k.kind)
	}
	delete(all, "VG") // unknown to it
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var d struct {
			Agent    string `json:"agent"`
			SubAgent string `json:"agentSubId"`
			Sequence string `json:"packetSequenceNo"`
			Uptime   string `json:"sysUpTime"`
			Version  string `json:"datagramVersion"`
			Samples  []sflowtoolSample
		}
		line := closed(lines.Text())
		if line == "" {
			continue
		}
		if err := json.Unmarshal([]byte(line), &d); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if d.Version != "5" {
			continue
		}
		all.put(datagrams, record{"agent": address(d.Agent), "sub-agent": d.SubAgent, "sequence": d.Sequence, "uptime": d.Uptime})
		for _, s := range d.Samples {
			switch s.Type {
			case "FLOWSAMPLE":
				r := s.packet()
				r["pool"], r[name(flow.SamplingRate)] = s.Pool, s.Rate
				all.put(samples, r)
			case "DISCARD":
				r := s.packet()
				r["reason"], r[name(flow.DropReason)] = s.Reason, s.Reason
				all.put(discards, r)
			case "COUNTERSSAMPLE":
				for _, e := range s.Elements {
					tag, _ := e["counterBlock_tag"].(string)
					k, ok := counterFormats[tag]
					if !ok {
						continue
					}
					r := record{"sequence": s.Sequence, "source": s.Source}
					for _, c := range k.fields {
						if v, ok := e[c.sflowtool].(string); ok {
							r[c.field] = c.text(v)
						}
					}
					all.put(k.kind, r)
				}
			}
		}
	}
	return all
}

// noVLAN is what agents say in place of a VLAN they don't know.
const noVLAN = "4294967295"

// packet reads a sample of a packet.
func (s sflowtoolSample) packet() record {
	r := record{"sequence": s.Sequence, "source": s.Source, "drops": s.Drops}
	r[name(flow.InIf)], r[name(flow.OutIf)] = port(s.In), port(s.Out)
	fields := map[string]string{}
	for _, e := range s.Elements {
		for field, v := range e {
			fields[field], _ = v.(string)
		}
	}
	for field, v := range fields {
		column, ok := sflowtoolNames[field]
		if !ok {
			continue
		}
		// A switch record's word on the VLAN comes before the tag's.
		if in := fields["in_vlan"]; field == "decodedVLAN" && in != "" && in != "0" {
			continue
		}
		switch {
		case flow.Schema[column].Kind == flow.MAC:
			v = colons(v)
		case flow.Schema[column].Kind == flow.Address:
			v = address(v)
		case strings.HasSuffix(field, "_vlan") && v == noVLAN:
			v = ""
		case field == "IPID": // sflowtool prints it in the host's byte order
			id, _ := strconv.ParseUint(v, 10, 16)
			v = strconv.Itoa(int(bits.ReverseBytes16(uint16(id))))
		}
		r.put(name(column), v)
	}
	return r
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

// port translates sflowtool's word for an interface.
func port(p string) string {
	switch {
	case strings.HasPrefix(p, "multiple"), strings.HasPrefix(p, "drop"), p == "1073741823": // the device itself
		return "0"
	}
	return p
}

// address shortens IPv6 addresses, which sflowtool writes with every zero.
func address(v string) string {
	if a, err := netip.ParseAddr(v); err == nil {
		return a.String()
	}
	return v
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
