package sflow

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/internal/fixtures"
	"github.com/minamo-flow/minamo/wire/packet"
	"github.com/minamo-flow/minamo/wire/pcap"
)

const (
	begin = `{"received":"1970-01-01T00:00:01.000Z","export_protocol":"sflow5","observation_domain":7,"start":"1970-01-01T00:00:01.000Z","end":"1970-01-01T00:00:01.000Z","packets":1,`
	rated = `"sampling_rate":512,"sampling_source":"record",`
	way   = `"in_if":3,"out_if":4,"direction":"ingress"`
)

type decodeCase struct {
	name     string
	datagram []byte
	rows     []string // of version 5 without their beginning, which all have in common
	problems map[Problem]uint32
}

var cases = []decodeCase{
	{"raw header", datagram(sample(raw(1, 1522, 4, frame))), []string{
		`"bytes":1500,` + rated + `"src_addr":"192.0.2.1","dst_addr":"198.51.100.2","protocol":6,"src_port":443,"dst_port":50000,"tcp_flags":24,` + way + `,"tos":0,"ttl":63,"fragment_offset":0,"fragment_id":9,"ether_type":2048,"src_mac":"02:00:00:00:00:01","dst_mac":"02:00:00:00:00:02","src_vlan":30}`}, nil},
	{"expanded sample", datagram(opaque(expandedFlowSample, u32(11, 0, 70000, 512, 1, 0, 0, 60000, 0, 70000, 1), raw(11, 1518, 18, frame[18:]))), []string{
		`"bytes":1500,` + rated + `"src_addr":"192.0.2.1","dst_addr":"198.51.100.2","protocol":6,"src_port":443,"dst_port":50000,"tcp_flags":24,"in_if":60000,"out_if":70000,"direction":"egress","tos":0,"ttl":63,"fragment_offset":0,"fragment_id":9}`}, nil},
	{"not IP: the frame behind its header", datagram(sample(raw(1, 68, 4, join(frame[:12], []byte{8, 6}, make([]byte, 46))))), []string{
		`"bytes":50,` + rated + way + `,"ether_type":2054,"src_mac":"02:00:00:00:00:01","dst_mac":"02:00:00:00:00:02"}`}, nil},
	{"IP cut off before its length", datagram(sample(raw(1, 1522, 4, frame[:20]))), []string{
		`"bytes":1500,` + rated + way + `,"tos":0,"ether_type":2048,"src_mac":"02:00:00:00:00:01","dst_mac":"02:00:00:00:00:02","src_vlan":30}`}, nil},
	{"Ethernet and IPv4 records", datagram(sample(opaque(ethernetHeader, u32(122), frame[6:12], []byte{0, 0}, frame[:6], []byte{0, 0}, u32(0x800)),
		opaque(ip4Header, u32(100, 17), []byte{192, 0, 2, 1, 198, 51, 100, 2}, u32(53, 5353, 0, 184)))), []string{
		`"bytes":100,` + rated + `"src_addr":"192.0.2.1","dst_addr":"198.51.100.2","protocol":17,"src_port":53,"dst_port":5353,` + way + `,"tos":184,"ether_type":2048,"src_mac":"02:00:00:00:00:01","dst_mac":"02:00:00:00:00:02"}`}, nil},
	{"Ethernet record alone", datagram(sample(opaque(ethernetHeader, u32(122), frame[6:12], []byte{0, 0}, frame[:6], []byte{0, 0}, u32(0x806)))), []string{
		`"bytes":104,` + rated + way + `,"ether_type":2054,"src_mac":"02:00:00:00:00:01","dst_mac":"02:00:00:00:00:02"}`}, nil},
	{"IPv6 record", datagram(sample(opaque(ip6Header, u32(60, 6), addr("2001:db8::1")[4:], addr("2001:db8::2")[4:], u32(1, 2, 16, 0)))), []string{
		`"bytes":60,` + rated + `"src_addr":"2001:db8::1","dst_addr":"2001:db8::2","protocol":6,"src_port":1,"dst_port":2,"tcp_flags":16,` + way + `,"tos":0}`}, nil},
	{"switch, router, gateway, NAT", datagram(sample(
		opaque(extendedSwitch, u32(100, 0, 200, 0)),
		raw(1, 1522, 4, frame[:18]),
		opaque(extendedRouter, addr("192.0.2.254"), u32(24, 16)),
		opaque(extendedGateway, addr("2001:db8::9"), u32(64500, 64501, 64502, 2, 2, 2, 64503, 64504, 1, 1, 4200000000, 1, 0xfde80001, 100)),
		opaque(extendedNAT, addr("203.0.113.1"), addr("203.0.113.2")),
		opaque(extendedNATPort, u32(1024, 2048)))), []string{
		`"bytes":1500,` + rated + way + `,"next_hop":"192.0.2.254","bgp_next_hop":"2001:db8::9","src_as":64501,"dst_as":4200000000,"prev_as":64502,"next_as":64503,"as_path":"64503 64504 {4200000000}","communities":"65000:1","src_mask":24,"dst_mask":16,"ether_type":2048,"src_mac":"02:00:00:00:00:01","dst_mac":"02:00:00:00:00:02","src_vlan":100,"dst_vlan":200,"post_nat_src_addr":"203.0.113.1","post_nat_dst_addr":"203.0.113.2","post_nat_src_port":1024,"post_nat_dst_port":2048}`}, nil},
	{"a switch's VLAN 0 does not undo a tag", datagram(sample(raw(1, 1522, 4, frame[:18]), opaque(extendedSwitch, u32(0, 0, 0xffffffff, 0)))), []string{
		`"bytes":1500,` + rated + way + `,"ether_type":2048,"src_mac":"02:00:00:00:00:01","dst_mac":"02:00:00:00:00:02","src_vlan":30}`}, nil},
	{"empty AS path", datagram(sample(opaque(extendedGateway, u32(0, 64500, 0, 0, 0, 0, 0)))), []string{
		`"bytes":0,` + rated + way + `,"src_as":0,"dst_as":0,"prev_as":0}`}, map[Problem]uint32{HeaderMissing: 1}},
	{"source 0 knows no direction", datagram(opaque(flowSample, u32(11, 0, 512, 1, 0, 0, 4, 1), raw(11, 40, 0, nil))), []string{
		`"bytes":40,` + rated + `"out_if":4}`}, nil},
	{"discarded", datagram(sampleBy(512, 3, 1<<30|258, raw(11, 40, 0, nil))), []string{
		`"bytes":40,` + rated + `"in_if":3,"out_if":0,"direction":"ingress","forwarding_status":129,"drop_reason":"access list"}`}, nil},
	{"discarded for an unknown reason", datagram(sampleBy(512, 3, 1<<30|256, raw(11, 40, 0, nil))), []string{
		`"bytes":40,` + rated + `"in_if":3,"out_if":0,"direction":"ingress","forwarding_status":128,"drop_reason":"unknown"}`}, nil},
	{"several outputs", datagram(sampleBy(512, 9, 2<<30|5, raw(11, 40, 0, nil))), []string{
		`"bytes":40,` + rated + `"in_if":9}`}, nil},
	{"from the device itself, out by its source", datagram(sampleBy(512, Internal, 3, raw(11, 40, 0, nil))), []string{
		`"bytes":40,` + rated + `"in_if":0,"out_if":3,"direction":"egress"}`}, nil},
	{"discard notifications, coming in, going out, and of an unnamed reason", datagram(
		discard(3, 0, 258, raw(1, 1522, 4, frame), opaque(extendedACL, u32(7), str("deny all"), u32(1))),
		discard(3, 4, 257, raw(11, 40, 0, nil), opaque(extendedQueue, u32(5)), opaque(1038, str("ip_forward"))),
		discard(0, 0, 70000, raw(11, 41, 0, nil))), []string{
		`"bytes":1500,"sampling_rate":1,"sampling_source":"record","src_addr":"192.0.2.1","dst_addr":"198.51.100.2","protocol":6,"src_port":443,"dst_port":50000,"tcp_flags":24,"in_if":3,"out_if":0,"direction":"ingress","forwarding_status":129,"drop_reason":"access list","ingress_acl":"deny all","tos":0,"ttl":63,"fragment_offset":0,"fragment_id":9,"ether_type":2048,"src_mac":"02:00:00:00:00:01","dst_mac":"02:00:00:00:00:02","src_vlan":30}`,
		`"bytes":40,"sampling_rate":1,"sampling_source":"record","in_if":3,"out_if":4,"direction":"ingress","forwarding_status":137,"drop_reason":"TTL exceeded","egress_queue":5}`,
		`"bytes":41,"sampling_rate":1,"sampling_source":"record","out_if":0,"forwarding_status":128,"drop_reason":"65535"}`,
	}, map[Problem]uint32{RecordSkipped: 1}},
	{"users, one without a name", datagram(sample(raw(11, 40, 0, nil), opaque(extendedUser, u32(106), str("alice"), u32(106), str(""))),
		sample(raw(11, 40, 0, nil), opaque(extendedUser, u32(3), str(""), u32(106), str("b\xc3\xb6b")))), []string{
		`"bytes":40,` + rated + way + `,"src_user":"alice"}`,
		`"bytes":40,` + rated + way + `,"dst_user":"böb"}`}, nil},
	{"labels: of the way in, else out, none where the header has its own", datagram(
		sample(raw(11, 40, 0, nil), opaque(extendedMPLS, addr("192.0.2.253"), u32(2, 16<<12|0x1ff, 17<<12), u32(1, 18<<12))),
		sample(raw(11, 40, 0, nil), opaque(extendedRouter, addr("192.0.2.254"), u32(24, 16)), opaque(extendedMPLS, addr("192.0.2.253"), u32(0, 1, 18<<12))),
		sample(opaque(extendedMPLS, u32(0), u32(1, 16<<12), u32(0)), raw(13, 104, 0, u32(19<<12|0x1ff))),
		sample(raw(11, 40, 0, nil), opaque(extendedMPLS, u32(0, 12), u32(1<<12, 2<<12, 3<<12, 4<<12, 5<<12, 6<<12, 7<<12, 8<<12, 9<<12, 10<<12, 11<<12, 12<<12), u32(0)))), []string{
		`"bytes":40,` + rated + way + `,"next_hop":"192.0.2.253","mpls_label1":16,"mpls_label2":17}`,
		`"bytes":40,` + rated + way + `,"next_hop":"192.0.2.254","src_mask":24,"dst_mask":16,"mpls_label1":18}`,
		`"bytes":100,` + rated + way + `,"mpls_label1":19}`,
		`"bytes":40,` + rated + way + `,"mpls_label1":1,"mpls_label2":2,"mpls_label3":3,"mpls_label4":4,"mpls_label5":5,"mpls_label6":6,"mpls_label7":7,"mpls_label8":8,"mpls_label9":9,"mpls_label10":10}`}, nil},
	{"stripped tags: both, or one around the header's", datagram(
		sample(raw(11, 40, 0, nil), opaque(extendedVLANs, u32(2, 0x88a8a064, 0x81000065))),
		sample(raw(1, 1522, 4, frame[:18]), opaque(extendedVLANs, u32(1, 0x88a80064))),
		sample(raw(1, 1522, 4, frame[:18]), opaque(extendedVLANs, u32(1, 0x88a80064)), opaque(extendedSwitch, u32(102, 0, 103, 0)))), []string{
		`"bytes":40,` + rated + way + `,"src_vlan":100,"customer_vlan":101}`,
		`"bytes":1500,` + rated + way + `,"ether_type":2048,"src_mac":"02:00:00:00:00:01","dst_mac":"02:00:00:00:00:02","src_vlan":100,"customer_vlan":30}`,
		`"bytes":1500,` + rated + way + `,"ether_type":2048,"src_mac":"02:00:00:00:00:01","dst_mac":"02:00:00:00:00:02","src_vlan":102,"dst_vlan":103,"customer_vlan":30}`}, nil},
	{"out of tunnels, and into one", datagram(
		sample(raw(11, 40, 0, nil), opaque(tunnelIP4Ingress, u32(1550, 17), []byte{192, 0, 2, 7, 192, 0, 2, 8}, u32(1, 4789, 0, 0)), opaque(tunnelVNIIngress, u32(78))),
		sample(raw(11, 40, 0, nil), opaque(tunnelIP6Ingress, u32(1550, 41), addr("2001:db8::1")[4:], addr("2001:db8::2")[4:], u32(0, 0, 0, 0))),
		sample(raw(11, 40, 0, nil), opaque(1023, u32(1550, 17), []byte{192, 0, 2, 7, 192, 0, 2, 8}, u32(1, 4789, 0, 0)), opaque(1029, u32(78)))), []string{
		`"bytes":40,` + rated + way + `,"tunnel":"vxlan","tunnel_id":78,"tunnel_src_addr":"192.0.2.7","tunnel_dst_addr":"192.0.2.8"}`,
		`"bytes":40,` + rated + way + `,"tunnel":"ipip","tunnel_src_addr":"2001:db8::1","tunnel_dst_addr":"2001:db8::2"}`,
		`"bytes":40,` + rated + way + `}`}, map[Problem]uint32{RecordSkipped: 2}},
	{"queue, unnamed access lists, and what no column holds", datagram(
		sample(raw(11, 40, 0, nil), opaque(extendedQueue, u32(5)), opaque(extendedACL, u32(7), str(""), u32(2)), opaque(extendedACL, u32(8), str(""), u32(0)),
			opaque(extendedURL, u32(1), str("http://example.com/"), str("example.com")), opaque(1039, u32(900)), opaque(1040, u32(800)))), []string{
		`"bytes":40,` + rated + way + `,"egress_queue":5,"ingress_acl":"8","egress_acl":"7"}`}, map[Problem]uint32{RecordSkipped: 3}},
	{"PPP over SONET, IP over ATM", datagram(sample(raw(14, 1504, 0, join([]byte{0xff, 3, 0, 0x21}, frame[18:38]))), sample(raw(10, 1500, 0, frame[18:38]))), []string{
		`"bytes":1500,` + rated + `"src_addr":"192.0.2.1","dst_addr":"198.51.100.2","protocol":6,` + way + `,"tos":0,"ttl":63,"fragment_offset":0,"fragment_id":9}`,
		`"bytes":1500,` + rated + `"src_addr":"192.0.2.1","dst_addr":"198.51.100.2","protocol":6,` + way + `,"tos":0,"ttl":63,"fragment_offset":0,"fragment_id":9}`}, nil},
	{"AS paths: a set alone, no neighbour; segments without members; ends early", datagram(
		sample(raw(11, 40, 0, nil), opaque(extendedGateway, u32(0, 1, 2, 3, 1, 1, 2, 64503, 64504, 0, 0))),
		sample(raw(11, 40, 0, nil), opaque(extendedGateway, u32(0, 1, 2, 3, 3, 2, 0, 1, 1, 64503, 2, 1, 64504, 1, 0xffff029a, 0))),
		sample(raw(11, 40, 0, nil), opaque(extendedGateway, u32(0, 1, 2, 3, 1, 2, 1, 64503, 5, 0)))), []string{
		`"bytes":40,` + rated + way + `,"src_as":2,"dst_as":64504,"prev_as":3,"as_path":"{64503 64504}"}`,
		`"bytes":40,` + rated + way + `,"src_as":2,"dst_as":64504,"prev_as":3,"next_as":64503,"as_path":"{64503} 64504","communities":"65535:666"}`,
		`"bytes":40,` + rated + way + `,"src_as":2,"dst_as":64503,"prev_as":3,"next_as":64503,"as_path":"64503"}`}, map[Problem]uint32{RecordShort: 1}},
	{"unknown interfaces, no rate", datagram(sampleBy(0, 0, 0, raw(11, 40, 0, nil))), []string{
		`"bytes":40}`}, map[Problem]uint32{SamplingRateZero: 1}},
	{"unknown records, header protocols and samples", datagram(sample(opaque(4300<<12|1, u32(1)), raw(15, 100, 0, frame), raw(11, 40, 0, nil)), opaque(77, u32(1)), opaque(discardSample, u32(1, 2))), []string{
		`"bytes":40,` + rated + way + `}`}, map[Problem]uint32{RecordSkipped: 2, SampleUnknown: 1, SampleTruncated: 1}},
	{"unpadded record at the end", datagram(opaque(flowSample, u32(11, 3, 512, 1, 0, 3, 4, 1, rawHeader, 17, 11, 40, 0, 1), []byte{0x45})[:65]), []string{
		`"bytes":40,` + rated + way + `}`}, nil},
	{"trailing bytes", datagramOf(1, sample(raw(11, 40, 0, nil)), make([]byte, 20)), []string{
		`"bytes":40,` + rated + way + `}`}, map[Problem]uint32{TrailingBytes: 1}},
	{"fewer samples than promised", datagramOf(1<<32-1, sample(raw(11, 40, 0, nil))), []string{
		`"bytes":40,` + rated + way + `}`}, map[Problem]uint32{CountMismatch: 1}},
	{"a sample longer than its datagram", func() []byte {
		d := datagram(sample(raw(11, 40, 0, frame[18:])))
		d[28+6], d[28+7] = 0xff, 0xff
		return d
	}(), []string{
		`"bytes":1500,` + rated + `"src_addr":"192.0.2.1","dst_addr":"198.51.100.2","protocol":6,"src_port":443,"dst_port":50000,"tcp_flags":24,` + way + `,"tos":0,"ttl":63,"fragment_offset":0,"fragment_id":9}`}, map[Problem]uint32{SampleTruncated: 1}},
	{"a sample too short for its header, and a good one", datagram(opaque(flowSample, u32(1, 2)), sample(raw(11, 40, 0, nil))), []string{
		`"bytes":40,` + rated + way + `}`}, map[Problem]uint32{SampleTruncated: 1}},
	{"records that lie: too long, understated, one too few, none", datagram(
		sample(u32(rawHeader, 5000, 11, 44, 0, 4)),
		sample(u32(extendedSwitch, 6, 5, 0, 6, 0), raw(11, 40, 0, nil)),
		opaque(flowSample, u32(11, 3, 512, 1, 0, 3, 4, 9), raw(11, 41, 0, nil)),
		sample(opaque(rawHeader, u32(1, 2))),
		opaque(flowSample, u32(11, 3, 512, 1, 0, 3, 4, 0), raw(11, 41, 0, nil)),
		sample(opaque(extendedGateway, addr("192.0.2.1"), u32(1, 2, 3, 1, 2, 1<<30), u32(5)))), []string{
		`"bytes":44,` + rated + way + `}`,
		`"bytes":40,` + rated + way + `,"src_vlan":5,"dst_vlan":6}`,
		`"bytes":41,` + rated + way + `}`,
		`"bytes":0,` + rated + way + `}`,
		`"bytes":0,` + rated + way + `}`,
		`"bytes":0,` + rated + way + `,"bgp_next_hop":"192.0.2.1","src_as":2,"prev_as":3}`,
	}, map[Problem]uint32{RecordTruncated: 3, RecordShort: 3, SampleRemainder: 1, HeaderMissing: 3}},
}

func TestDecode(t *testing.T)            { testDecode(t, cases, begin) }
func TestDecodeOldVersions(t *testing.T) { testDecode(t, old, "") }

func testDecode(t *testing.T, cases []decodeCase, begin string) {
	var m Message
	for _, c := range cases {
		b := flow.NewBatch(1)
		b.Extend(2) // rows of others stay as they are
		if err := Decode(c.datagram, 1000, b, &m); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if m.First != 2 || m.Flows != len(c.rows) || b.Len() != 2+len(c.rows) || len(m.Samples)+len(m.Discards) != m.Flows {
			t.Errorf("%s: %d rows from %d on, %d samples, want %d rows", c.name, m.Flows, m.First, len(m.Samples), len(c.rows))
			continue
		}
		for i, want := range c.rows {
			if got := string(b.AppendJSON(nil, 2+i)); got != begin+want {
				t.Errorf("%s, row %d:\ngot  %s\nwant %s", c.name, i, strings.TrimPrefix(got, begin), want)
			}
		}
		for k := range NumProblems {
			if m.Problems[k] != c.problems[k] {
				t.Errorf("%s: %s counted %d times, want %d", c.name, k, m.Problems[k], c.problems[k])
			}
		}
	}
}

// TestDecoder has a decoder look into tunnels, and at bits: the packet's bytes
// stay those of the outer one, even where its header leaves them open.
func TestDecoder(t *testing.T) {
	inner := frame[18:]
	outer := []byte{0x45, 0, 0x05, 0xf0, 0, 9, 0x40, 0, 63, 4, 0, 0, 203, 0, 113, 1, 203, 0, 113, 2}
	offloaded := append([]byte{0x45, 0, 0, 0}, outer[4:]...)
	d := datagram(sample(raw(11, 1520, 0, join(outer, inner))), sample(raw(11, 1520, 0, join(offloaded, inner))),
		sample(raw(11, 1520, 0, join(outer, inner)), opaque(tunnelIP4Ingress, u32(1550, 47), []byte{192, 0, 2, 7, 192, 0, 2, 8}, u32(0, 0, 0, 0))))
	c := Decoder{Packet: &packet.Parser{
		Tunnels:  packet.TunnelsOf(flow.TunnelIPIP),
		Extracts: []packet.Extract{{Column: flow.ApplicationID, Base: packet.TransportHeader, Offset: 32, Length: 32}},
	}, MaxSamples: 3}
	b := flow.NewBatch(1)
	var m Message
	if err := c.Decode(d, 1000, b, &m); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		want := begin + `"bytes":1520,` + rated + `"src_addr":"192.0.2.1","dst_addr":"198.51.100.2","protocol":6,"src_port":443,"dst_port":50000,"tcp_flags":24,` + way + `,"tos":0,"ttl":63,"fragment_offset":0,"fragment_id":9,"tunnel":"ipip","tunnel_src_addr":"203.0.113.1","tunnel_dst_addr":"203.0.113.2","application_id":1}`
		if got := string(b.AppendJSON(nil, i)); got != want {
			t.Errorf("row %d:\ngot  %s\nwant %s", i, got, want)
		}
	}
	if m.Problems != [NumProblems]uint32{} {
		t.Errorf("%v", m.Problems)
	}

	c.MaxSamples = 2
	for _, d := range [][]byte{d, oldDatagram(4, oldSample(3, 4, ip4Packet), oldSample(3, 4, ip4Packet), oldSample(3, 4, ip4Packet))} {
		if err := c.Decode(d, 1000, b, &m); err != nil || m.Flows != 2 || m.Problems != [NumProblems]uint32{SamplesOverLimit: 1} {
			t.Errorf("%d rows, %v, %v", m.Flows, m.Problems, err)
		}
	}
	lie := datagramOf(1<<32-1, sample(raw(11, 40, 0, nil)), sample(raw(11, 40, 0, nil)))
	if err := c.Decode(lie, 1000, b, &m); err != nil || m.Flows != 2 || m.Problems != [NumProblems]uint32{CountMismatch: 1} {
		t.Errorf("%d rows, %v, %v", m.Flows, m.Problems, err)
	}
}

// TestLongPath leaves an AS path out that no text column holds: half a number
// would be another one.
func TestLongPath(t *testing.T) {
	b := flow.NewBatch(1)
	var m Message
	for _, c := range []struct {
		hops int
		want bool
	}{{5957, true}, {5958, false}} { // 11 bytes each, but for the first space
		path := bytes.Repeat(u32(4200000000), c.hops)
		d := datagram(sample(raw(11, 40, 0, nil), opaque(extendedGateway, u32(0, 1, 2, 3, 1, 2, uint32(c.hops)), path, u32(0, 0))))
		b.Reset()
		if err := Decode(d, 1000, b, &m); err != nil {
			t.Fatal(err)
		}
		if b.Present[0].Has(flow.ASPath) != c.want || (m.Problems[RecordSkipped] == 0) != c.want || b.U32(flow.DstAS)[0] != 4200000000 {
			t.Errorf("%d hops: %v, %v", c.hops, b.Present[0].Columns(), m.Problems)
		}
	}
}

// TestSampleTime takes a sample's own time for its start and end.
func TestSampleTime(t *testing.T) {
	d := datagram(sample(raw(11, 40, 0, nil), opaque(extendedTimestamp, binary.BigEndian.AppendUint64(nil, 1700000000123456789))))
	b := flow.NewBatch(1)
	var m Message
	if err := Decode(d, 1700000000999, b, &m); err != nil {
		t.Fatal(err)
	}
	for c, want := range map[flow.Column]int64{flow.Received: 1700000000999, flow.Start: 1700000000123, flow.End: 1700000000123} {
		if got := b.Time(c)[0]; got != want {
			t.Errorf("%s is %d, want %d", c, got, want)
		}
	}
}

func TestMessage(t *testing.T) {
	generic := u32(4, 6, 0, 1e9, 1, 3, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 2)
	d := datagram(sample(), opaque(counterSample, u32(8, 2<<24|4, 2), opaque(2, make([]byte, 48), u32(77)), opaque(1, generic)),
		opaque(expandedCounterSample, u32(9, 0, 4, 1), opaque(1, generic[:20])), opaque(counterSample, u32(1)), opaque(discardSample, nil))
	var m Message
	b := flow.NewBatch(1)
	for range 2 { // the second time in the Message's old room
		if err := Decode(d, 1000, b, &m); err != nil {
			t.Fatal(err)
		}
	}
	want := Message{
		Agent: flow.AddrFrom(netip.MustParseAddr("192.0.2.9")), SubAgent: 7, Sequence: 100, SysUptime: 5000,
		Protocol: flow.SFlow5, First: 1, Flows: 1, CounterSamples: 3,
		Samples: []Sample{{Row: 1, Source: Source{0, 3}, Sequence: 11, Rate: 512, Pool: 90000, Drops: 2}},
		Counters: Counters{Interfaces: []InterfaceCounters{{
			Origin: Origin{Source{2, 4}, 8}, IfIndex: 4, IfType: 6, Speed: 1e9, Direction: 1, Status: 3,
			InOctets: 1<<32 | 2, InUnicast: 3, InMulticast: 4, InBroadcast: 5, InDiscards: 6, InErrors: 7, InUnknown: 8,
			OutOctets: 9<<32 | 10, OutUnicast: 11, OutMulticast: 12, OutBroadcast: 13, OutDiscards: 14, OutErrors: 15, IsPromiscuous: 2,
		}}, Ethernet: []EthernetCounters{{Origin: Origin{Source{2, 4}, 8}, SymbolErrors: 77}}},
	}
	want.Problems[HeaderMissing] = 1
	want.Problems[RecordShort] = 1
	want.Problems[RecordTruncated] = 1
	want.Problems[SampleTruncated] = 2
	if fmt.Sprintf("%+v", m) != fmt.Sprintf("%+v", want) {
		t.Errorf("got  %+v\nwant %+v", m, want)
	}
}

func TestUnusableDatagrams(t *testing.T) {
	for _, c := range []struct {
		datagram []byte
		want     error
	}{
		{nil, ErrShort},
		{datagram()[:27], ErrShort},
		{u32(5, 2, 1, 2, 3), ErrShort},
		{u32(3, 1, 2, 3, 4, 5, 6), ErrVersion},
		{u32(5, 3, 2, 3, 4, 5, 6), ErrAgent},
	} {
		var m Message
		b := flow.NewBatch(1)
		if err := Decode(c.datagram, 0, b, &m); !errors.Is(err, c.want) || b.Len() != 0 {
			t.Errorf("%x: %v, want %v", c.datagram, err, c.want)
		}
	}
	var m Message
	if err := Decode(u32(5, 0, 1, 2, 3, 0), 0, flow.NewBatch(1), &m); err != nil || m.Agent != (flow.Addr{}) {
		t.Errorf("an agent without address: %v, %v", m.Agent, err)
	}
}

func TestProblemsHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for k := range NumProblems {
		if k.String() == "" || seen[k.String()] {
			t.Errorf("problem %d has no name of its own", k)
		}
		seen[k.String()] = true
	}
}

// FuzzDecode checks that any datagram is safe, that rows and samples stay in
// step, that other rows are left alone, and that absent values are zero.
func FuzzDecode(f *testing.F) {
	for _, c := range cases {
		f.Add(c.datagram)
	}
	f.Add(allCounters())
	for _, d := range old {
		f.Add(d.datagram)
	}
	for _, d := range recorded(f) {
		f.Add(d)
	}
	zero := flow.NewBatch(1)
	zero.Extend(1)
	var m Message
	b := flow.NewBatch(4)
	f.Fuzz(func(t *testing.T, p []byte) {
		b.Reset()
		b.Extend(1)
		err := Decode(p, 1000, b, &m)
		if m.First != 1 || b.Len() != 1+m.Flows || len(m.Samples)+len(m.Discards) != m.Flows || (err != nil && m.Flows > 0) {
			t.Fatalf("%d rows, message has %d from %d on and %d samples; %v", b.Len(), m.Flows, m.First, len(m.Samples), err)
		}
		if 8*(m.Flows+m.CounterSamples) > len(p) {
			t.Fatalf("%d samples in %d bytes", m.Flows+m.CounterSamples, len(p))
		}
		for c := range flow.Columns() {
			want := zero.AppendText(nil, c, 0)
			for i := range b.Len() {
				if (i == 0 || !b.Present[i].Has(c)) && !slices.Equal(b.AppendText(nil, c, i), want) {
					t.Fatalf("%s of row %d is %s", c, i, b.AppendText(nil, c, i))
				}
			}
		}
	})
}

// recorded are the datagrams of the recorded captures, where there are any.
func recorded(t testing.TB) (datagrams [][]byte) {
	if _, err := fixtures.Find(); err != nil {
		return nil
	}
	for _, c := range fixtures.Cases(t, "sflow5") {
		f, err := os.Open(c.Pcap)
		if err != nil {
			t.Fatal(err)
		}
		r, err := pcap.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		u := pcap.NewUDPReader(r)
		var d pcap.Datagram
		for u.Next(&d) == nil {
			if bytes.HasPrefix(d.Payload, []byte{0, 0, 0, 5}) {
				datagrams = append(datagrams, bytes.Clone(d.Payload))
			}
		}
		f.Close()
	}
	return datagrams
}

func TestDecodeDoesNotAllocate(t *testing.T) {
	const runs = 10
	b := flow.NewBatch(64)
	var m Message
	for _, c := range slices.Concat(cases, old, []decodeCase{{name: "counters", datagram: allCounters()}}) {
		for range 2 * runs { // until there is room for the rows and their texts
			Decode(c.datagram, 1, b, &m)
		}
		b.Reset()
		if n := testing.AllocsPerRun(runs, func() { Decode(c.datagram, 1, b, &m) }); n != 0 {
			t.Errorf("%s: %v allocations", c.name, n)
		}
		b.Reset()
	}
}

// BenchmarkDecode decodes datagrams of seven samples, as they fit 1500 bytes;
// ns/sample is the figure to look at.
func BenchmarkDecode(b *testing.B) {
	header := raw(1, 1522, 4, join(frame, make([]byte, 128-len(frame))))
	vlan := opaque(extendedSwitch, u32(30, 0, 30, 0))
	for _, c := range []struct {
		name   string
		sample []byte
	}{
		{"raw header", sample(header)},
		{"raw header and switch", sample(header, vlan)},
	} {
		b.Run(c.name, func(b *testing.B) {
			d := datagram(c.sample, c.sample, c.sample, c.sample, c.sample, c.sample, c.sample)
			batch := flow.NewBatch(4096)
			var m Message
			b.SetBytes(int64(len(d)))
			b.ReportAllocs()
			for b.Loop() {
				if batch.Len() > 4000 {
					batch.Reset()
				}
				Decode(d, 1, batch, &m)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/7, "ns/sample")
		})
	}
}

func ExampleDecode() {
	d := datagram(sample(raw(11, 1500, 0, frame[18:])))
	b := flow.NewBatch(64)
	var m Message
	if err := Decode(d, 1700000000000, b, &m); err != nil {
		fmt.Println(err)
		return
	}
	for i := m.First; i < m.First+m.Flows; i++ {
		fmt.Println(m.Agent, b.Addr(flow.SrcAddr)[i], "→", b.Addr(flow.DstAddr)[i], b.U64(flow.Bytes)[i], "bytes, 1 in", b.U32(flow.SamplingRate)[i])
	}
	// Output: 192.0.2.9 192.0.2.1 → 198.51.100.2 1500 bytes, 1 in 512
}

// Counters of the interfaces tell how much passed; a sample's records share
// their source, by which a name and its counters find each other.
func ExampleDecode_counters() {
	e := Encoder{}
	c := InterfaceCounters{Origin: Origin{Source: Source{Index: 4}, Sequence: 1}, IfIndex: 4, Speed: 10e9, InOctets: 123456}
	if err := e.AppendCounters(&c, "xe-0/0/1"); err != nil {
		fmt.Println(err)
		return
	}

	var m Message
	if err := Decode(e.Datagram(5000), 1700000000000, flow.NewBatch(1), &m); err != nil {
		fmt.Println(err)
		return
	}
	names := map[Source]string{}
	for _, n := range m.Counters.PortNames {
		names[n.Source] = string(n.Name)
	}
	for _, c := range m.Counters.Interfaces {
		fmt.Println(c.IfIndex, names[c.Source], c.InOctets, "bytes in")
	}
	// Output: 4 xe-0/0/1 123456 bytes in
}
