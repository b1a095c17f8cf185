package sflow

import (
	"fmt"
	"testing"

	"github.com/minamo-flow/minamo/flow"
)

// oldDatagram has no sub-agent.
func oldDatagram(version uint32, samples ...[]byte) []byte {
	return join(u32(version), addr("192.0.2.9"), u32(100, 5000, uint32(len(samples))), join(samples...))
}

// oldSample is a flow sample of source 3, rate 512.
func oldSample(in, out uint32, packet []byte, extended ...[]byte) []byte {
	return join(u32(1, 11, 3, 512, 90000, 2, in, out), packet, u32(uint32(len(extended))), join(extended...))
}

func oldHeader(protocol, length uint32, header []byte) []byte {
	return join(u32(1, protocol, length, uint32(len(header))), header, make([]byte, -len(header)&3))
}

func oldBegin(protocol string) string {
	return `{"received":"1970-01-01T00:00:01.000Z","export_protocol":"` + protocol + `","observation_domain":0,"start":"1970-01-01T00:00:01.000Z","end":"1970-01-01T00:00:01.000Z","packets":1,`
}

var (
	begin2, begin4 = oldBegin("sflow2"), oldBegin("sflow4")

	ip4Packet = join(u32(2, 100, 17), []byte{192, 0, 2, 1, 198, 51, 100, 2}, u32(53, 5353, 0, 184))
	ip4Row    = `"bytes":100,` + rated + `"src_addr":"192.0.2.1","dst_addr":"198.51.100.2","protocol":17,"src_port":53,"dst_port":5353,"in_if":3,"out_if":4,"direction":"ingress","tos":184}`

	generic  = u32(4, 6, 0, 1e9, 1, 3, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 2)
	ethernet = u32(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13)
)

var old = []decodeCase{
	{"version 4, all records", oldDatagram(4, oldSample(3, 4, oldHeader(1, 1522, frame),
		u32(1, 100, 1, 200, 2),
		join(u32(2), addr("192.0.2.254"), u32(24, 16)),
		u32(3, 64500, 64501, 64502, 2, 2, 2, 64503, 64504, 1, 2, 64505, 64506, 2, 0xfde80001, 0xfde80002, 100),
		join(u32(4), str("alice"), str("bob")),
		join(u32(5, 1), str("http://example.com/"))), oldSample(3, 4, ip4Packet)), []string{
		begin4 + `"bytes":1500,` + rated + `"src_addr":"192.0.2.1","dst_addr":"198.51.100.2","protocol":6,"src_port":443,"dst_port":50000,"tcp_flags":24,` + way + `,"next_hop":"192.0.2.254","src_as":64501,"dst_as":64506,"prev_as":64502,"next_as":64503,"as_path":"64503 64504 {64505 64506}","communities":"65000:1 65000:2","src_mask":24,"dst_mask":16,"tos":0,"ttl":63,"fragment_offset":0,"fragment_id":9,"ether_type":2048,"src_mac":"02:00:00:00:00:01","dst_mac":"02:00:00:00:00:02","src_vlan":100,"dst_vlan":200,"src_user":"alice","dst_user":"bob"}`,
		begin4 + ip4Row}, map[Problem]uint32{RecordSkipped: 1}},
	{"version 2: IPv6, the gateway's plain path", oldDatagram(2, oldSample(3, 4, join(u32(3, 60, 6), addr("2001:db8::1")[4:], addr("2001:db8::2")[4:], u32(1, 2, 16, 0)),
		u32(3, 64500, 64501, 64502, 2, 64503, 64504)), oldSample(3, 4, ip4Packet)), []string{
		begin2 + `"bytes":60,` + rated + `"src_addr":"2001:db8::1","dst_addr":"2001:db8::2","protocol":6,"src_port":1,"dst_port":2,"tcp_flags":16,` + way + `,"src_as":64501,"dst_as":64504,"prev_as":64502,"next_as":64503,"as_path":"64503 64504","tos":0}`,
		begin2 + ip4Row}, nil},
	{"several outputs, unknown input", oldDatagram(4, oldSample(0, 1<<31|4, oldHeader(11, 40, nil))), []string{
		begin4 + `"bytes":40,` + rated[:len(rated)-1] + `}`}, nil},
	{"counter samples between flow samples", oldDatagram(4, join(u32(2, 8, 4, 20, 2), generic, ethernet), oldSample(3, 4, ip4Packet), u32(2, 9, 4, 20, 7, 30, 0, 1000, 1, 2, 3, 4), oldSample(3, 4, ip4Packet)), []string{
		begin4 + ip4Row, begin4 + ip4Row}, nil},
	{"an unknown sample ends the datagram", oldDatagram(4, oldSample(3, 4, ip4Packet), u32(3, 1, 2, 3), oldSample(3, 4, ip4Packet)), []string{
		begin4 + ip4Row}, map[Problem]uint32{SampleUnknown: 1}},
	{"an unknown packet ends it, too", oldDatagram(4, oldSample(3, 4, u32(4, 1, 2, 3)), oldSample(3, 4, ip4Packet)), []string{
		begin4 + `"bytes":0,` + rated + way + `}`}, map[Problem]uint32{SampleUnknown: 1, RecordSkipped: 1, HeaderMissing: 1}},
	{"and so does an unknown record", oldDatagram(4, oldSample(3, 4, ip4Packet, u32(1, 100, 1, 200, 2), u32(6, 1)), oldSample(3, 4, ip4Packet)), []string{
		begin4 + ip4Row[:len(ip4Row)-1] + `,"src_vlan":100,"dst_vlan":200}`}, map[Problem]uint32{SampleUnknown: 1, RecordSkipped: 1}},
	{"an unknown counter block", oldDatagram(4, u32(2, 8, 4, 20, 8, 1, 2), oldSample(3, 4, ip4Packet)), nil,
		map[Problem]uint32{SampleUnknown: 1, RecordSkipped: 1}},
	{"cut off within a sample's header", oldDatagram(4, oldSample(3, 4, ip4Packet), u32(1, 11, 3)), []string{
		begin4 + ip4Row}, map[Problem]uint32{SampleTruncated: 1}},
	{"cut off within a packet's header", oldDatagram(4, oldSample(3, 4, oldHeader(11, 1500, frame[18:]))[:32+16+20]), []string{
		begin4 + `"bytes":1500,` + rated + `"src_addr":"192.0.2.1","dst_addr":"198.51.100.2","protocol":6,` + way + `,"tos":0,"ttl":63,"fragment_offset":0,"fragment_id":9}`}, map[Problem]uint32{RecordTruncated: 1}},
	{"cut off within a record, whose count lies", oldDatagram(4, oldSample(3, 4, ip4Packet, u32(3, 64500, 64501, 64502, 1<<30, 2, 1, 64503))), []string{
		begin4 + ip4Row[:len(ip4Row)-len(`,"tos":184}`)] + `,"src_as":64501,"prev_as":64502,"tos":184}`}, map[Problem]uint32{RecordTruncated: 1}},
	{"cut off within counters", oldDatagram(4, join(u32(2, 8, 4, 20, 2), generic, ethernet[:8])), nil, map[Problem]uint32{RecordTruncated: 1}},
	{"fewer samples than promised", join(u32(4), addr("192.0.2.9"), u32(100, 5000, 1<<32-1), oldSample(3, 4, ip4Packet)), []string{
		begin4 + ip4Row}, map[Problem]uint32{CountMismatch: 1}},
	{"trailing bytes", join(oldDatagram(4, oldSample(3, 4, ip4Packet)), make([]byte, 20)), []string{
		begin4 + ip4Row}, map[Problem]uint32{TrailingBytes: 1}},
}

// TestOldCounters decodes a counter sample of each version.
func TestOldCounters(t *testing.T) {
	o := Origin{Source{0, 4}, 8}
	ring, vg := make([]byte, 72), make([]byte, 80)
	ring[3], vg[3] = 1, 2
	d := oldDatagram(4, join(u32(2, 8, 4, 20, 1), generic), join(u32(2, 8, 4, 20, 2), generic, ethernet), join(u32(2, 8, 4, 20, 3), generic, ring),
		join(u32(2, 8, 4, 20, 4), generic), join(u32(2, 8, 4, 20, 5), generic, vg), join(u32(2, 8, 4, 20, 6), generic), u32(2, 8, 4, 20, 7, 30, 0, 1000, 1, 2, 3, 4))
	var m Message
	if err := Decode(d, 1000, flow.NewBatch(1), &m); err != nil {
		t.Fatal(err)
	}
	if m.Protocol != flow.SFlow4 || m.Sequence != 100 || m.SysUptime != 5000 || m.CounterSamples != 7 || m.Problems != [NumProblems]uint32{} {
		t.Errorf("%+v", m)
	}
	g := InterfaceCounters{o, 4, 6, 1e9, 1, 3, 1<<32 | 2, 3, 4, 5, 6, 7, 8, 9<<32 | 10, 11, 12, 13, 14, 15, 2}
	want := Counters{
		Interfaces: []InterfaceCounters{g, g, g, g, g, g},
		Ethernet:   []EthernetCounters{{o, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13}},
		TokenRing:  []TokenRingCounters{{Origin: o, LineErrors: 1}},
		VG:         []VGCounters{{Origin: o, InHighPriorityFrames: 2}},
		VLANs:      []VLANCounters{{o, 30, 1000, 1, 2, 3, 4}},
	}
	if got, want := fmt.Sprintf("%+v", m.Counters), fmt.Sprintf("%+v", want); got != want {
		t.Errorf("\ngot  %s\nwant %s", got, want)
	}
}
