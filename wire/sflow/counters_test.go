package sflow

import (
	"encoding/binary"
	"fmt"
	"math"
	"reflect"
	"testing"

	"github.com/minamo-flow/minamo/flow"
)

// counterLayouts are the fixed formats: the width of each number on the wire,
// in bytes. The numbers are 1001, 1002 and so on, over all formats.
var counterLayouts = []struct {
	format uint32
	widths string
	record func(*Counters) any
}{
	{ifCounters, "4484484444448444444", func(c *Counters) any { return c.Interfaces[0] }},
	{ethernetCounters, "4444444444444", func(c *Counters) any { return c.Ethernet[0] }},
	{tokenRingCounters, "444444444444444444", func(c *Counters) any { return c.TokenRing[0] }},
	{vgCounters, "48484444484888", func(c *Counters) any { return c.VG[0] }},
	{vlanCounters, "484444", func(c *Counters) any { return c.VLANs[0] }},
	{wifiCounters, "44444444444444444444", func(c *Counters) any { return c.WiFi[0] }},
	{lacpCounters, "664111144444444", func(c *Counters) any { return c.LACP[0] }},
	{processorCounters, "44488", func(c *Counters) any { return c.Processors[0] }},
	{radioCounters, "444", func(c *Counters) any { return c.Radios[0] }},
	{openFlowPort, "84", func(c *Counters) any { return c.OpenFlow[0] }},
	{hostParent, "44", func(c *Counters) any { return c.Parents[0] }},
	{hostCPU, "fff44444444444444444", func(c *Counters) any { return c.HostCPU[0] }},
	{hostMemory, "88888884444", func(c *Counters) any { return c.HostMemory[0] }},
	{hostDisk, "884484484", func(c *Counters) any { return c.HostDisk[0] }},
	{hostNetwork, "84448444", func(c *Counters) any { return c.HostNetwork[0] }},
	{virtualNetwork, "84448444", func(c *Counters) any { return c.VirtualNet[0] }},
	{datapathCounters, "444444", func(c *Counters) any { return c.Datapaths[0] }},
}

// record makes a counter record of numbers from v on.
func counterRecord(format uint32, widths string, v uint64) []byte {
	var p []byte
	for _, width := range widths {
		switch width {
		case '1':
			p = append(p, uint8(v))
		case '4':
			p = binary.BigEndian.AppendUint32(p, uint32(v))
		case '6': // a MAC address and its padding, which is no part of it
			p = binary.BigEndian.AppendUint64(p, v<<16|0xfefe)
		case '8':
			p = binary.BigEndian.AppendUint64(p, v<<32|v)
		case 'f':
			p = binary.BigEndian.AppendUint32(p, math.Float32bits(float32(v)))
		}
		v++
	}
	return opaque(format, p)
}

// allCounters is a datagram of all formats, each in a sample of its own, those
// of a changing size last.
func allCounters() []byte {
	var samples [][]byte
	v := uint64(1001)
	add := func(record []byte) { samples = append(samples, opaque(counterSample, u32(8, 4, 1), record)) }
	for _, l := range counterLayouts {
		add(counterRecord(l.format, l.widths, v))
		v += uint64(len(l.widths))
	}
	add(opaque(portName, str("xe-0/0/1")))
	add(opaque(transceiver, u32(1, 4, 3300, 1<<32-5000, 2), u32(1, 2, 3, 4, 5, 6, 7, 8, 9, 10), u32(11, 12, 13, 14, 15, 16, 17, 18, 19, 20)))
	add(opaque(hostDescription, str("leaf1"), []byte("0123456789abcdef"), u32(3, 2), str("6.1.0-44")))
	add(opaque(hostAdaptors, u32(2, 1, 1), []byte{2, 0, 0, 0, 0, 1, 0, 0}, u32(2, 2), []byte{2, 0, 0, 0, 0, 2, 0, 0, 2, 0, 0, 0, 0, 3, 0, 0}))
	add(counterRecord(hostCPU, counterLayouts[11].widths[:17], 1))
	return datagram(samples...)
}

// TestCounters checks that each format's numbers land in the fields in their
// order; TestCountersAgreeWithTshark checks which fields they are.
func TestCounters(t *testing.T) {
	var m Message
	for range 2 { // the second time in the Message's old room
		if err := Decode(allCounters(), 1000, flow.NewBatch(1), &m); err != nil {
			t.Fatal(err)
		}
	}
	o := Origin{Source{0, 4}, 8}
	v := uint64(1001)
	for _, l := range counterLayouts {
		record := reflect.ValueOf(l.record(&m.Counters))
		if got := record.Field(0).Interface(); got != o {
			t.Errorf("format %d is from %+v", l.format, got)
		}
		var got []uint64
		for i := 1; i < record.NumField(); i++ {
			got = appendNumbers(got, record.Field(i))
		}
		var want []uint64
		for _, width := range l.widths {
			switch width {
			case '8':
				want = append(want, v<<32|v)
			case '1':
				want = append(want, v&0xff)
			default:
				want = append(want, v)
			}
			v++
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("format %d:\ngot  %x\nwant %x", l.format, got, want)
		}
	}
	c := &m.Counters
	for _, x := range []struct{ got, want any }{
		{c.PortNames, []PortName{{o, []byte("xe-0/0/1")}}},
		{c.Transceivers, []Transceiver{{o, 1, 4, 3300, -5000, []Lane{{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, {11, 12, 13, 14, 15, 16, 17, 18, 19, 20}}}}},
		{c.Hosts, []Host{{o, []byte("leaf1"), [16]byte([]byte("0123456789abcdef")), 3, 2, []byte("6.1.0-44")}}},
		{c.Adaptors, []Adaptor{{o, 1, 0x020000000001}, {o, 2, 0x020000000002}, {o, 2, 0x020000000003}}},
		{c.HostCPU[1].Steal, uint32(math.MaxUint32)},
		{len(c.HostCPU), 2},
		{m.CounterSamples, len(counterLayouts) + 5},
		{m.Problems, [NumProblems]uint32{}},
	} {
		if !reflect.DeepEqual(x.got, x.want) {
			t.Errorf("got  %+v\nwant %+v", x.got, x.want)
		}
	}
}

// appendNumbers appends the numbers in v in their order.
func appendNumbers(to []uint64, v reflect.Value) []uint64 {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			to = appendNumbers(to, v.Field(i))
		}
		return to
	case reflect.Float32:
		return append(to, uint64(v.Float()))
	default:
		return append(to, v.Uint())
	}
}

// TestCutOffCounters checks that no format is kept in part.
func TestCutOffCounters(t *testing.T) {
	var m, whole Message
	d := allCounters()
	Decode(d, 1000, flow.NewBatch(1), &whole)
	at := 28 // the first sample
	for at < len(d) {
		size := int(binary.BigEndian.Uint32(d[at+4:]))
		record := d[at+8+12:][:size-12]
		format := binary.BigEndian.Uint32(record)
		for n := 0; n < len(record)-8; n += 4 {
			if format == hostCPU && n == 68 {
				continue // the older form
			}
			short := opaque(counterSample, u32(8, 4, 1), opaque(format, record[8:8+n]))
			if err := Decode(datagram(short), 1000, flow.NewBatch(1), &m); err != nil {
				t.Fatal(err)
			}
			kept := reflect.ValueOf(m.Counters)
			for i := range kept.NumField() {
				if name := kept.Type().Field(i).Name; kept.Field(i).Len() > 0 && name != "lanes" && name != "Adaptors" {
					t.Errorf("format %d, %d of %d bytes: kept in %s", format, n, len(record)-8, name)
				}
			}
			if m.Problems[RecordShort] == 0 {
				t.Errorf("format %d, %d of %d bytes: not counted", format, n, len(record)-8)
			}
		}
		at += 8 + size
	}
}

// TestSkipped checks what is told of formats that are passed over.
func TestSkipped(t *testing.T) {
	var records [][]byte
	for n := range uint32(20) {
		records = append(records, opaque(4300<<12|n, nil), opaque(4413<<12|n, nil))
	}
	d := datagram(sample(records...), opaque(counterSample, u32(8, 4, 2), opaque(4413<<12|3, nil), opaque(4413<<12|3, nil)), opaque(4300<<12|1002, nil))
	var m Message
	if err := Decode(d, 1000, flow.NewBatch(1), &m); err != nil {
		t.Fatal(err)
	}
	if m.Problems[RecordSkipped] != 42 || m.Problems[SampleUnknown] != 1 || len(m.Skipped) != 16 || m.Skipped[1] != (Skipped{4413, 0, FlowRecord, 1}) {
		t.Errorf("%v, %d formats: %v", m.Problems, len(m.Skipped), m.Skipped)
	}
	d = datagram(opaque(counterSample, u32(8, 4, 3), opaque(4413<<12|3, nil), opaque(2201, nil), opaque(4413<<12|3, nil)), opaque(4300<<12|1002, nil))
	if err := Decode(d, 1000, flow.NewBatch(1), &m); err != nil {
		t.Fatal(err)
	}
	want := "[Broadcom counter record 3 sFlow counter record 2201 InMon sample 1002]"
	if got := fmt.Sprint(m.Skipped); got != want || m.Skipped[0].Count != 2 {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := (Skipped{99999, 1, FlowRecord, 2}).String(); got != "enterprise 99999 flow record 1" {
		t.Error(got)
	}
}
