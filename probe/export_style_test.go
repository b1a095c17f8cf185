package probe

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minamo-flow/minamo/collect"
	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/internal/fixtures"
	"github.com/minamo-flow/minamo/wire/packet"
	"github.com/minamo-flow/minamo/wire/pcap"
)

var (
	bootTime  = exportTime.Add(-time.Hour)
	exporting = netip.MustParseAddr("198.51.100.1")
	ports     = []Interface{{7, "TenGigE0/0/0/7", "TRANSIT: somebody"}, {8, "TenGigE0/0/0/8", "CUST: somebody else"}}
)

// routed are flows as a router has them, that knows routes: TCP, UDP and ICMP
// of both versions of IP. Packets tell them apart.
func routed(n int) *flow.Batch {
	b := flow.NewBatch(n)
	for i := range n {
		b.Extend(1)
		six := i%3 == 0
		addr := func(n int) netip.Addr {
			if six {
				return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 15: byte(n)})
			}
			return netip.AddrFrom4([4]byte{192, 0, 2, byte(n)})
		}
		start := exportTime.Add(-time.Duration(i+10) * time.Second).UnixMilli()
		values := map[flow.Column]uint64{
			flow.Start: uint64(start), flow.End: uint64(start + 5000), flow.Packets: uint64(i + 1), flow.Bytes: uint64(100 * (i + 1)),
			flow.TOS: 0xb8, flow.TTL: 57, flow.FlowEndReason: EndOfFlow, flow.InIf: 7, flow.OutIf: 8, flow.Direction: flow.Egress,
			flow.ForwardingStatus: 64, flow.SrcAS: 4_200_000_000, flow.DstAS: 64497, flow.SrcMask: 24, flow.DstMask: 19, flow.SrcVLAN: 12,
		}
		switch i % 4 {
		case 0:
			values[flow.Protocol], values[flow.ICMPType], values[flow.ICMPCode] = 1, 3, 1
			if six {
				values[flow.Protocol] = 58
			}
		case 1:
			values[flow.Protocol], values[flow.SrcPort], values[flow.DstPort] = 17, 1024+uint64(i), 53
		default:
			values[flow.Protocol], values[flow.SrcPort], values[flow.DstPort], values[flow.TCPFlags] = 6, 1024+uint64(i), 443, 0x1b
		}
		if six {
			values[flow.FlowLabel] = 0xabcde
		}
		for c, v := range values {
			b.SetUint(c, i, v)
		}
		for n, c := range []flow.Column{flow.SrcAddr, flow.DstAddr, flow.NextHop, flow.BGPNextHop} {
			b.SetAddr(c, i, flow.AddrFrom(addr(n+1)))
		}
	}
	return b
}

// inStyle is what an exporter of a style sends of rows.
func inStyle(t *testing.T, style string, b *flow.Batch, change func(*ExporterConfig)) [][]byte {
	t.Helper()
	tap := &wiretap{}
	cfg := ExporterConfig{
		Protocol: Styles[style], Style: style, Collectors: []string{"udp://192.0.2.9:2055"}, Agent: exporting, Boot: bootTime, Domain: 5,
		Sampling: SamplerConfig{Rate: 1000, Method: RandomInN}, Interfaces: ports, Active: time.Minute, Inactive: 15 * time.Second,
		Dial: func(context.Context, string, string) (net.Conn, error) { return tap, nil },
	}
	if change != nil {
		change(&cfg)
	}
	x, err := NewExporter(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := x.Flows(b, 0, b.Len(), exportTime); err != nil {
		t.Fatal(err)
	}
	return tap.sent
}

// What the records of each style can say, beyond what all say; six of IPv6.
var said = map[string]struct{ all, six []flow.Column }{
	IOSXR:     {all: []flow.Column{flow.BGPNextHop, flow.ForwardingStatus, flow.SamplerID}, six: []flow.Column{flow.FlowLabel}},
	Junos:     {all: []flow.Column{flow.NextHop, flow.BGPNextHop, flow.TTL, flow.FlowEndReason, flow.SrcVLAN}},
	NetStream: {all: []flow.Column{flow.NextHop, flow.BGPNextHop, flow.ForwardingStatus, flow.SrcVLAN}},
}

var saidByAll = []flow.Column{
	flow.Start, flow.End, flow.Packets, flow.Bytes, flow.SrcAddr, flow.DstAddr, flow.SrcPort, flow.DstPort, flow.Protocol, flow.TCPFlags,
	flow.TOS, flow.InIf, flow.OutIf, flow.Direction, flow.SrcAS, flow.DstAS, flow.SrcMask, flow.DstMask, flow.ICMPType, flow.ICMPCode,
}

// Our collector understands each style: all values, the sampling rate, and the
// interfaces' names.
func TestStylesAreCollected(t *testing.T) {
	want := routed(96)
	for style := range Styles {
		got, exporters := decoded(t, inStyle(t, style, want, nil))
		if got.Len() != want.Len() {
			t.Fatalf("%s: %d flows of %d", style, got.Len(), want.Len())
		}
		at := map[uint64]int{}
		for i := range got.Len() {
			at[got.U64(flow.Packets)[i]] = i
		}
		for i := range want.Len() {
			j, six := at[uint64(i+1)], !want.Addr(flow.SrcAddr)[i].Is4()
			columns := slices.Concat(saidByAll, said[style].all)
			if six {
				columns = slices.Concat(saidByAll, said[style].all, said[style].six)
			}
			for _, c := range columns {
				a, b := string(want.AppendText(nil, c, i)), string(got.AppendText(nil, c, j))
				if c == flow.SamplerID {
					a = "1"
				}
				if want.Present[i].Has(c) && a != b {
					t.Errorf("%s: flow %d: %s is %q, was %q", style, i, c, b, a)
				}
			}
			if rate, source := got.U32(flow.SamplingRate)[j], got.U8(flow.SamplingSource)[j]; rate != 1000 || source != flow.SamplingOptions {
				t.Errorf("%s: flow %d: sampling rate %d, source %d", style, i, rate, source)
			}
			if got.U32(flow.ObservationDomain)[j] != 5 {
				t.Errorf("%s: domain %d", style, got.U32(flow.ObservationDomain)[j])
			}
		}
		d, _ := exporters.Details(netip.MustParseAddr("127.0.0.1"))
		if len(d.Interfaces) != len(ports) {
			t.Fatalf("%s: interfaces %+v", style, d.Interfaces)
		}
		for n, i := range d.Interfaces {
			if got := (Interface{i.Index, i.Name, i.Description}); got != ports[n] {
				t.Errorf("%s: interface %+v, was %+v", style, got, ports[n])
			}
		}
		for _, s := range d.Skipped {
			if !slices.Contains([]string{"maximumTTL", "ipv6ExtensionHeaders"}, s.Name) {
				t.Errorf("%s: our collector has no use for %+v", style, s)
			}
		}
	}
}

// The caller's rows stay as they are, though records must name a sampler.
func TestStyleDoesNotTouchRows(t *testing.T) {
	b := routed(12)
	var before []string
	for i := range b.Len() {
		before = append(before, string(b.AppendJSON(nil, i)))
	}
	inStyle(t, IOSXR, b, nil)
	for i := range b.Len() {
		if after := string(b.AppendJSON(nil, i)); after != before[i] {
			t.Errorf("row %d was %s, is %s", i, before[i], after)
		}
	}
}

// A style that announces no rate has none, though its records name a sampler.
func TestStylesWithoutRate(t *testing.T) {
	for style := range Styles {
		got, _ := decoded(t, inStyle(t, style, routed(9), func(c *ExporterConfig) { c.Announce = AnnounceNone }))
		for i := range got.Len() {
			if got.U8(flow.SamplingSource)[i] != flow.SamplingAssumed {
				t.Errorf("%s: sampling source %d", style, got.U8(flow.SamplingSource)[i])
			}
		}
	}
}

// templatesIn are the sets of templates in datagrams, each as it stands.
func templatesIn(t *testing.T, datagrams [][]byte) (list [][]byte) {
	t.Helper()
	for _, d := range datagrams {
		d = d[map[uint16]int{9: 20, 10: 16}[binary.BigEndian.Uint16(d)]:]
		for len(d) >= 4 {
			id, length := binary.BigEndian.Uint16(d), binary.BigEndian.Uint16(d[2:])
			if id < 256 {
				list = append(list, d[:length])
			}
			d = d[length:]
		}
	}
	return list
}

// The templates are those of devices, byte by byte, of which recordings have
// them.
func TestStylesAreThoseOfDevices(t *testing.T) {
	dir := filepath.Join(fixtures.Dir(t), "logstash-codec-netflow")
	for _, c := range []struct{ style, file string }{
		{IOSXR, "netflow9_test_cisco_asr9k_opttpl257.dat"},
		{IOSXR, "netflow9_test_cisco_asr9k_tpl266.dat"},
		{Junos, "ipfix_test_juniper_mx240_junos151r6s3_opttpl512.dat"},
	} {
		recorded, err := os.ReadFile(filepath.Join(dir, c.file))
		if err != nil {
			t.Fatal(err)
		}
		ours := templatesIn(t, inStyle(t, c.style, routed(9), nil))
		for _, set := range templatesIn(t, [][]byte{recorded}) {
			if !slices.ContainsFunc(ours, func(o []byte) bool { return bytes.Equal(o, set) }) {
				t.Errorf("%s: none of %s's templates is %x", c.file, c.style, set)
			}
		}
	}
}

// Our template of IOS XR reads what an ASR 9000 sent by its own.
func TestStyleReadsDevice(t *testing.T) {
	recorded, err := os.ReadFile(filepath.Join(fixtures.Dir(t), "logstash-codec-netflow", "netflow9_test_cisco_asr9k_data260.dat"))
	if err != nil {
		t.Fatal(err)
	}
	domain := binary.BigEndian.Uint32(recorded[16:])
	sent := inStyle(t, IOSXR, routed(9), func(c *ExporterConfig) { c.Domain = domain })
	x := collect.NewExporters(collect.ExporterConfig{}, slog.New(slog.DiscardHandler))
	b := flow.NewBatch(64)
	for _, d := range append(sent, recorded) {
		if err := x.Decode(d, netip.MustParseAddr("127.0.0.1"), exportTime.UnixMilli(), b); err != nil {
			t.Fatal(err)
		}
	}
	if b.Len() != 9+21 {
		t.Fatalf("%d flows of 21", b.Len()-9)
	}
	for i := 9; i < b.Len(); i++ {
		lasted := b.Time(flow.End)[i] - b.Time(flow.Start)[i]
		perPacket := b.U64(flow.Bytes)[i] / b.U64(flow.Packets)[i]
		if p := b.U8(flow.Protocol)[i]; p != packet.TCP && p != packet.UDP || perPacket < 28 || perPacket > 1500 || lasted < 0 || lasted > 120_000 ||
			b.U8(flow.SrcMask)[i] > 32 || b.U8(flow.DstMask)[i] > 32 || b.U64(flow.SamplerID)[i] != 1 || b.U8(flow.Direction)[i] > 1 || b.U8(flow.ForwardingStatus)[i] != 64 {
			t.Errorf("a record of the device reads %s", b.AppendJSON(nil, i))
		}
	}
}

// tshark shows the values of fields, of all records in their order.
func tshark(t *testing.T, datagrams [][]byte, fields ...string) map[string][]string {
	t.Helper()
	need(t, "tshark")
	var file bytes.Buffer
	w, err := pcap.NewWriter(&file, packet.IPv4, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range datagrams {
		udp := binary.BigEndian.AppendUint16([]byte{0x08, 0x07, 0x08, 0x07}, uint16(8+len(d)))
		ip := binary.BigEndian.AppendUint16([]byte{0x45, 0}, uint16(28+len(d)))
		p := slices.Concat(ip, []byte{0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 9, 192, 0, 2, 1}, udp, []byte{0, 0}, d)
		if err := w.Write(&pcap.Packet{Time: exportTime.UnixNano(), Data: p}); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "exported.pcap")
	if err := os.WriteFile(path, file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"-n", "-r", path, "-d", "udp.port==2055,cflow", "-T", "fields", "-E", "occurrence=a", "-E", "aggregator=;", "-E", "separator=|"}
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	text, err := exec.Command("tshark", args...).Output()
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		columns := strings.Split(strings.TrimSuffix(line, "\n"), "|")
		if len(columns) != len(fields) {
			t.Fatalf("tshark said %q", line)
		}
		for n, f := range fields {
			if columns[n] != "" {
				shown[f] = append(shown[f], strings.Split(columns[n], ";")...)
			}
		}
	}
	return shown
}

// tshark reads each style as our collector does, and has nothing to complain
// about.
func TestStylesByTshark(t *testing.T) {
	b := routed(96)
	number := func(c flow.Column) func(int) string {
		return func(i int) string { return fmt.Sprint(b.Uint(c, i)) }
	}
	addr := func(c flow.Column) func(int) string {
		return func(i int) string { return b.Addr(c)[i].String() }
	}
	since := func(c flow.Column) func(int) string {
		return func(i int) string { return fmt.Sprintf("%.9f", float64(b.Time(c)[i]-bootTime.UnixMilli())/1000) }
	}
	date := func(c flow.Column) func(int) string {
		return func(i int) string {
			return time.UnixMilli(b.Time(c)[i]).UTC().Format("Jan _2, 2006 15:04:05.000000000 UTC")
		}
	}
	four := func(i int) bool { return b.Addr(flow.SrcAddr)[i].Is4() }
	only := func(is func(int) bool, f func(int) string) func(int) string {
		return func(i int) string {
			if !is(i) {
				return ""
			}
			return f(i)
		}
	}
	six := func(i int) bool { return !four(i) }
	port := func(i int) string { // of ICMP, type and code
		return fmt.Sprint(b.Uint(flow.DstPort, i) + b.Uint(flow.ICMPType, i)<<8 + b.Uint(flow.ICMPCode, i))
	}
	all := map[string]func(int) string{
		"cflow.packets": number(flow.Packets), "cflow.octets": number(flow.Bytes), "cflow.protocol": number(flow.Protocol),
		"cflow.srcport": number(flow.SrcPort), "cflow.dstport": port, "cflow.inputint": number(flow.InIf), "cflow.outputint": number(flow.OutIf),
		"cflow.srcas": number(flow.SrcAS), "cflow.dstas": number(flow.DstAS), "cflow.direction": number(flow.Direction),
		"cflow.srcaddr": only(four, addr(flow.SrcAddr)), "cflow.dstaddrv6": only(six, addr(flow.DstAddr)),
		"cflow.srcmask": only(four, number(flow.SrcMask)), "cflow.dstmaskv6": only(six, number(flow.DstMask)),
		"cflow.bgpnexthop": only(four, addr(flow.BGPNextHop)), "cflow.bgpnexthopv6": only(six, addr(flow.BGPNextHop)),
		"cflow.tos": func(i int) string { return fmt.Sprintf("0x%02x", b.Uint(flow.TOS, i)) },
	}
	styles := map[string]struct {
		flows   map[string]func(int) string
		options map[string]string // values, in their order
	}{
		IOSXR: {
			map[string]func(int) string{"cflow.timestart": since(flow.Start), "cflow.timeend": since(flow.End), "cflow.ingress_vrfid": func(int) string { return "0" }},
			map[string]string{"cflow.sampler_random_interval": "1000", "cflow.sampler_mode": "2", "cflow.sampler_name": "one-in-1000"},
		},
		Junos: {
			map[string]func(int) string{
				"cflow.abstimestart": date(flow.Start), "cflow.abstimeend": date(flow.End), "cflow.ttl_min": number(flow.TTL), "cflow.ttl_max": number(flow.TTL),
				"cflow.flow_end_reason": number(flow.FlowEndReason), "cflow.vlanid": number(flow.SrcVLAN), "cflow.dot1q_vlan_id": number(flow.SrcVLAN),
				"cflow.nexthop": only(four, addr(flow.NextHop)),
			},
			map[string]string{"cflow.sampling_interval": "1000;1000", "cflow.flow_active_timeout": "60;60", "cflow.flow_inactive_timeout": "15;15", "cflow.exporter_addr": "198.51.100.1;198.51.100.1", "cflow.export_protocol_version": "10;10", "cflow.exporter_protocol": "17;17"},
		},
		NetStream: {
			map[string]func(int) string{"cflow.timestart": since(flow.Start), "cflow.nexthopv6": only(six, addr(flow.NextHop)), "cflow.vlanid": number(flow.SrcVLAN)},
			map[string]string{"cflow.sampling_interval": "1000", "cflow.sampling_algorithm": "2"},
		},
	}
	for style, x := range styles {
		t.Run(style, func(t *testing.T) {
			want := map[string][]string{}
			for _, fields := range []map[string]func(int) string{all, x.flows} {
				for name, f := range fields {
					want[name] = nil
					for i := range b.Len() {
						if v := f(i); v != "" {
							want[name] = append(want[name], v)
						}
					}
					slices.Sort(want[name])
				}
			}
			if style != NetStream { // whose table of interfaces has them as scope
				want["cflow.inputint"] = append(want["cflow.inputint"], "7", "8")
				slices.Sort(want["cflow.inputint"])
			}
			for name, v := range x.options {
				want[name] = strings.Split(v, ";")
			}
			for _, p := range ports {
				want["cflow.if_name"] = append(want["cflow.if_name"], p.Name)
				want["cflow.if_descr"] = append(want["cflow.if_descr"], p.Description)
			}
			var names []string
			for name := range want {
				names = append(names, name)
			}
			names = append(names, "_ws.expert.message", "_ws.malformed")
			shown := tshark(t, inStyle(t, style, b, nil), names...)
			for _, name := range names {
				got := shown[name]
				if _, option := x.options[name]; !option && !strings.HasPrefix(name, "cflow.if_") {
					slices.Sort(got)
				}
				if !slices.Equal(got, want[name]) {
					t.Errorf("%s: tshark has %q, expected %q", name, got, want[name])
				}
			}
		})
	}
}

// Each version of IP has a template of its own, once in a time.
func TestStyleTemplates(t *testing.T) {
	for style, want := range map[string][]uint16{
		IOSXR:     {257, 256, 260, 266},
		Junos:     {512, 513, 520, 256, 257},
		NetStream: {1313, 1314, 1315, 1316},
	} {
		var ids []uint16
		for _, set := range templatesIn(t, inStyle(t, style, routed(96), nil)) {
			ids = append(ids, binary.BigEndian.Uint16(set[4:]))
		}
		if !slices.Equal(ids, want) {
			t.Errorf("%s: templates %v, expected %v", style, ids, want)
		}
	}
}
