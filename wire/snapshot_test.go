package wire_test

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/minamo-flow/minamo/flow"
)

// snapshotNames are netflow_parser's names of a record's fields.
var snapshotNames = map[string]flow.Column{
	"InBytes": flow.Bytes, "InPkts": flow.Packets, "OctetDeltaCount": flow.Bytes, "PacketDeltaCount": flow.Packets,
	"InitiatorOctets": flow.Bytes, "InitiatorPackets": flow.Packets,
	"InputSnmp": flow.InIf, "OutputSnmp": flow.OutIf, "IngressInterface": flow.InIf, "EgressInterface": flow.OutIf,
	"Ipv4SrcAddr": flow.SrcAddr, "Ipv4DstAddr": flow.DstAddr, "SourceIpv4address": flow.SrcAddr, "DestinationIpv4address": flow.DstAddr,
	"Protocol": flow.Protocol, "ProtocolIdentifier": flow.Protocol, "SrcTos": flow.TOS, "TcpFlags": flow.TCPFlags, "TcpControlBits": flow.TCPFlags,
	"L4SrcPort": flow.SrcPort, "L4DstPort": flow.DstPort, "SourceTransportPort": flow.SrcPort, "DestinationTransportPort": flow.DstPort,
	"FlowSamplerId": flow.SamplerID, "SamplerId": flow.SamplerID, "Ipv4NextHop": flow.NextHop, "DstMask": flow.DstMask, "SrcMask": flow.SrcMask, "Direction": flow.Direction,
	"SrcAs": flow.SrcAS, "DstAs": flow.DstAS, "IngressVrfid": flow.InVRF, "ApplicationId": flow.ApplicationID,
	"CiscoClientIpv4Address": flow.SrcAddr, "CiscoServerIpv4Address": flow.DstAddr, "CiscoClientL4Port": flow.SrcPort, "CiscoServerL4Port": flow.DstPort,
	"FirstSwitched": flow.Start, "LastSwitched": flow.End, "FlowStartMicroseconds": flow.Start, "FlowEndMicroseconds": flow.End,
}

// snapshotReverse are its names of what came back.
var snapshotReverse = map[string]flow.Column{"ResponderOctets": flow.Bytes, "ResponderPackets": flow.Packets}

// readSnapshot reads netflow_parser's debug form: YAML, a datagram after the
// other, a field a list of its name and its value.
func readSnapshot(t *testing.T, file string) records {
	p, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, p, _ = bytes.Cut(p[3:], []byte("---\n")) // behind the snapshot's own header
	var messages []map[string]struct {
		Header   map[string]uint64
		Flowsets []struct {
			Body map[string]struct{ Fields yaml.Node }
		}
	}
	if err := yaml.Unmarshal(p, &messages); err != nil {
		t.Fatal(err)
	}
	all := records{flows: nil}
	for _, message := range messages {
		for _, m := range message {
			boot := int64(m.Header["unix_secs"])*1000 - int64(m.Header["sys_up_time"])
			for _, set := range m.Flowsets {
				for kind, body := range set.Body {
					for _, fields := range body.Fields.Content {
						if kind != "Data" {
							continue
						}
						if r := snapshotFlow(fields.Content, boot); r != nil {
							all.put(flows, r)
						}
					}
				}
			}
		}
	}
	return all
}

// snapshotFlow reads a record; nil if it has neither addresses nor counters.
func snapshotFlow(fields []*yaml.Node, boot int64) record {
	r := record{}
	for _, f := range fields {
		n, v := f.Content[0], f.Content[1]
		if n.Kind == yaml.MappingNode { // registry: name
			n = n.Content[1]
		}
		text := snapshotValue(v)
		if c, ok := snapshotReverse[n.Value]; ok {
			r["reverse "+name(c)] = text
			continue
		}
		c, ok := snapshotNames[n.Value]
		if !ok {
			continue
		}
		if flow.Schema[c].Kind == flow.Time {
			var d struct {
				Duration struct{ Secs, Nanos int64 } `yaml:"Duration"`
			}
			v.Decode(&d)
			ms := d.Duration.Secs*1000 + d.Duration.Nanos/1e6
			if n.Value == "FirstSwitched" || n.Value == "LastSwitched" {
				ms += boot
			} else {
				ms -= 2208988800_000 // NTP's epoch
			}
			text = string(flow.AppendTime(nil, ms))
		}
		r[name(c)] = text
	}
	if len(r) == 0 {
		return nil
	}
	return r
}

// snapshotValue is a value as text.
func snapshotValue(v *yaml.Node) string {
	if v.Kind != yaml.MappingNode {
		return v.Value
	}
	kind, v := v.Content[0].Value, v.Content[1]
	switch kind {
	case "DataNumber":
		return v.Content[1].Value
	case "ProtocolType":
		if n, ok := map[string]string{"Icmp": "1", "Tcp": "6", "Udp": "17"}[v.Value]; ok {
			return n
		}
	case "TcpControlBits":
		var bits map[string]bool
		v.Decode(&bits)
		flags := 0
		for i, bit := range []string{"fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr", "ns"} {
			if bits[bit] {
				flags |= 1 << i
			}
		}
		return strconv.Itoa(flags)
	case "ApplicationId":
		var id struct {
			Engine   uint64            `yaml:"classification_engine_id"`
			Selector map[string]uint64 `yaml:"selector_id"`
		}
		v.Decode(&id)
		for size, n := range id.Selector {
			bits, _ := strconv.Atoi(size[1:])
			return fmt.Sprint(id.Engine<<bits | n)
		}
	}
	return v.Value
}
