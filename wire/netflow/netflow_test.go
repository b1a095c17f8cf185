package netflow

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/minamo-flow/minamo/flow"
)

const exportMS = testExport * 1000

// decode decodes datagrams one after the other in one session; the message is
// the last one's.
func decode(t *testing.T, s *Session, datagrams ...[]byte) (*flow.Batch, *Message) {
	t.Helper()
	b, m := flow.NewBatch(1), &Message{}
	for _, d := range datagrams {
		if err := s.Decode(d, exportMS+500, b, m); err != nil {
			t.Fatal(err)
		}
	}
	return b, m
}

func problems(m *Message) string {
	text := ""
	for p, n := range m.Problems {
		if n > 0 {
			text += fmt.Sprintf("%v=%d ", Problem(p), n)
		}
	}
	return text
}

// one decodes a single record of the given fields.
func one(t *testing.T, ipfix bool, fields []TemplateField, record []byte) string {
	t.Helper()
	datagram := v9Datagram(7, templateSet(0, 300, fields), set(300, record))
	if ipfix {
		datagram = ipfixMessage(7, templateSet(2, 300, fields), set(300, record))
	}
	b, m := decode(t, NewSession(Config{}), datagram)
	if b.Len() != 1 {
		t.Fatalf("%d rows; %s", b.Len(), problems(m))
	}
	if !b.Present[0].Has(flow.Received) || !b.Present[0].Has(flow.Packets) || !b.Present[0].Has(flow.Bytes) || b.Uint(flow.ObservationDomain, 0) != 7 {
		t.Error("a row lacks what every row has")
	}
	// Leave the common part out of what is compared.
	for _, c := range b.Present[0].Columns() {
		if c < flow.Start || flow.Schema[c].Kind <= flow.Uint64 && c <= flow.Bytes && b.Uint(c, 0) == 0 || flow.Schema[c].Kind == flow.Time && b.Time(c)[0] == exportMS {
			b.Present[0][c>>6] &^= 1 << (c & 63)
		}
	}
	return string(b.AppendJSON(nil, 0))
}

func TestFields(t *testing.T) {
	f := func(specs ...int) (fields []TemplateField) { // element, length, …
		for i := 0; i < len(specs); i += 2 {
			fields = append(fields, TemplateField{Element: uint16(specs[i]), Length: uint16(specs[i+1])})
		}
		return fields
	}
	v4, v6 := u32(0xc0000201), slices.Concat(u32(0x20010db8), make([]byte, 11), []byte{1})
	zero16 := make([]byte, 16)
	ms := func(v int) []byte { return join(u32(v>>32), u32(v)) }
	ntp := func(ms int) []byte { return join(u32(ms/1000+ntpEpoch), u32(ms%1000<<32/1000)) }
	for _, c := range []struct {
		name   string
		ipfix  bool
		fields []TemplateField
		record []byte
		want   string
	}{
		{"counters of every length", true, f(1, 3, 2, 5), join([]byte{1, 0, 0}, []byte{1, 0, 0, 0, 0}), `{"packets":4294967296,"bytes":65536}`},
		{"a counter of nine bytes is none", true, f(1, 9, 2, 1), join(make([]byte, 9), []byte{2}), `{"packets":2}`},
		{"delta before total", true, f(85, 4, 1, 4), u32(5, 6), `{"bytes":6}`},
		{"total, where there is no delta", false, f(85, 4, 86, 4), u32(5, 6), `{"packets":6,"bytes":5}`},
		{"the initiator's", true, f(232, 4, 231, 4, 299, 4, 298, 4), u32(0, 2, 0, 4), `{"packets":4,"bytes":2}`},
		{"layer 2, where there is nothing else", true, f(352, 8), ms(9), `{"bytes":9}`},
		{"interfaces in 2 and 8 bytes", true, f(10, 2, 14, 8), join(u16(3), ms(4)), `{"in_if":3,"out_if":4}`},
		{"too great for the column", true, f(14, 8), u32(1, 0), `{}`},
		{"a long field with a small value", true, f(14, 8, 7, 4), u32(0, 7, 443), `{"src_port":443,"out_if":7}`},
		{"the label stack ends", false, f(70, 3, 71, 3, 72, 3), []byte{0, 1, 0, 0, 2, 1, 0, 0, 0}, `{"mpls_label1":16,"mpls_label2":32}`},
		{"sampled with a probability", true, f(311, 4), u32(0x3d4ccccd), `{"sampling_rate":20,"sampling_source":"record"}`},
		{"AS in 2 and 4", false, f(16, 2, 17, 4), join(u16(64500), u32(4200000000)), `{"src_as":64500,"dst_as":4200000000}`},
		{"forwardingStatus in 4", false, f(89, 4), u32(0x86), `{"forwarding_status":134}`},
		{"samplerId in 1", false, f(48, 1), []byte{9}, `{"sampler_id":9}`},
		{"samplerId in 4", false, f(48, 4), u32(9), `{"sampler_id":9}`},
		{"labels", false, f(70, 3, 71, 3), join([]byte{0x05, 0xdc, 0x21}, []byte{0, 0, 0x31}), `{"mpls_label1":24002,"mpls_label2":3}`},
		{"IPv4", false, f(8, 4, 12, 4), join(v4, v4), `{"src_addr":"192.0.2.1","dst_addr":"192.0.2.1"}`},
		{"both, IPv4 is zero", false, f(8, 4, 27, 16), join(u32(0), v6), `{"src_addr":"2001:db8::1"}`},
		{"both, IPv6 is zero", false, f(27, 16, 8, 4), join(zero16, v4), `{"src_addr":"192.0.2.1"}`},
		{"both zero, ipVersion says 6", false, f(8, 4, 27, 16, 60, 1), join(u32(0), zero16, []byte{6}), `{"src_addr":"::"}`},
		{"both set, ipVersion says 6", false, f(60, 1, 8, 4, 27, 16), join([]byte{6}, v4, v6), `{"src_addr":"2001:db8::1"}`},
		{"both set, ipVersion says 4", false, f(60, 1, 8, 4, 27, 16), join([]byte{4}, v4, v6), `{"src_addr":"192.0.2.1"}`},
		{"a packet and the one inside", true, f(27, 16, 28, 16, 7, 2, 4, 1, 5, 1, 8, 4, 12, 4, 7, 2, 4, 1), join(v6, v6, u16(0), []byte{4, 0}, v4, v4, u16(53), []byte{17}), `{"src_addr":"192.0.2.1","dst_addr":"192.0.2.1","protocol":17,"src_port":53,"tunnel_src_addr":"2001:db8::1","tunnel_dst_addr":"2001:db8::1"}`},
		{"the protocol twice", true, f(4, 1, 8, 4, 4, 1), join([]byte{6}, v4, []byte{6}), `{"src_addr":"192.0.2.1","protocol":6}`},
		{"an address of five bytes is none", true, f(8, 5, 4, 1), join(v4, []byte{1, 6}), `{"protocol":6}`},
		{"masks of both versions", false, f(9, 1, 29, 1), []byte{0, 64}, `{"src_mask":64}`},
		{"ports of TCP and UDP", true, f(182, 2, 180, 2, 181, 2, 183, 2), u16(0, 53, 54, 0), `{"src_port":53,"dst_port":54}`},
		{"ICMP in one element", false, f(4, 1, 11, 2, 32, 2), join([]byte{1}, u16(0, 0x0301)), `{"protocol":1,"dst_port":0,"icmp_type":3,"icmp_code":1}`},
		{"ICMPv6 in two elements", true, f(4, 1, 176, 1, 178, 1, 179, 1), []byte{58, 0, 128, 0}, `{"protocol":58,"icmp_type":128,"icmp_code":0}`},
		{"ICMP in the port", false, f(4, 1, 11, 2), join([]byte{1}, u16(0x0800)), `{"protocol":1,"dst_port":2048,"icmp_type":8,"icmp_code":0}`},
		{"no ICMP in the port", false, f(4, 1, 11, 2), join([]byte{1}, u16(0x08f0)), `{"protocol":1,"dst_port":2288}`},
		{"not ICMP", false, f(4, 1, 11, 2, 32, 2), join([]byte{6}, u16(443, 0)), `{"protocol":6,"dst_port":443}`},
		{"ToS and DSCP", true, f(195, 1, 5, 1), []byte{1, 0xb8}, `{"tos":184}`},
		{"DSCP alone", true, f(195, 1), []byte{46}, `{"tos":184}`},
		{"MACs", false, f(56, 6, 57, 6), []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2}, `{"src_mac":"02:00:00:00:00:01","dst_mac":"02:00:00:00:00:02"}`},
		{"rate", false, f(34, 4), u32(100), `{"sampling_rate":100,"sampling_source":"record"}`},
		{"rate 0 is none", false, f(34, 4), u32(0), `{}`},
		{"rate 0, then a random interval", false, f(34, 4, 50, 1), join(u32(0), []byte{64}), `{"sampling_rate":64,"sampling_source":"record"}`},
		{"interval and space", true, f(306, 4, 305, 4), u32(1998, 2), `{"sampling_rate":1000,"sampling_source":"record"}`},
		{"interval without space is no rate", true, f(305, 4), u32(10), `{}`},
		{"size and population", true, f(309, 4, 310, 4), u32(1, 512), `{"sampling_rate":512,"sampling_source":"record"}`},
		{"random interval", false, f(50, 2), u16(256), `{"sampling_rate":256,"sampling_source":"record"}`},
		{"ASA event and NAT", false, f(40005, 1, 40001, 4, 40004, 2), join([]byte{2}, v4, u16(80)), `{"post_nat_src_addr":"192.0.2.1","post_nat_dst_port":80,"firewall_event":"deleted"}`},
		{"unknown elements", false, f(57590, 2, 4, 1, 33000, 12), join(u16(1), []byte{17}, make([]byte, 12)), `{"protocol":17}`},
		{"zero-length fields", false, f(82, 0, 4, 1, 1, 0, 7, 2), join([]byte{17}, u16(53)), `{"protocol":17,"src_port":53}`},
		{"application id", false, f(95, 4), []byte{13, 0, 1, 2}, `{"application_id":218104066}`},
		{"a varlen value", true, f(82, variable, 95, variable, 7, 2), join([]byte{3}, []byte("eth"), []byte{255, 0, 4, 13, 0, 1, 2}, u16(53)), `{"src_port":53,"application_id":218104066}`},
		{"an empty varlen value", true, f(95, variable, 7, 2), join([]byte{0}, u16(53)), `{"src_port":53}`},

		{"uptime", false, f(22, 4, 21, 4), u32(testUptime-2500, testUptime-500), `{"start":"2023-11-14T22:13:17.500Z","end":"2023-11-14T22:13:19.500Z"}`},
		{"the end is ahead of the header", false, f(22, 4, 21, 4), u32(testUptime-2500, testUptime+700), `{"start":"2023-11-14T22:13:17.500Z","end":"2023-11-14T22:13:20.700Z"}`},
		{"the uptime wrapped meanwhile", false, f(22, 4, 21, 4), u32(-1000, testUptime-500), `{"start":"2023-11-14T21:56:39.000Z","end":"2023-11-14T22:13:19.500Z"}`},
		{"a flow of thirty days", false, f(22, 4, 21, 4), u32(testUptime-30*86400*1000, testUptime-500), `{"start":"2023-10-15T22:13:20.000Z","end":"2023-11-14T22:13:19.500Z"}`},
		{"both a week ahead of the header", false, f(22, 4, 21, 4), u32(testUptime+7*86400*1000-9000, testUptime+7*86400*1000), `{"start":"2023-11-21T22:13:11.000Z","end":"2023-11-21T22:13:20.000Z"}`},
		{"milliseconds", true, f(153, 8, 152, 8), join(ms(exportMS-1), ms(exportMS-1001)), `{"start":"2023-11-14T22:13:18.999Z","end":"2023-11-14T22:13:19.999Z"}`},
		{"seconds", true, f(150, 4, 151, 4), u32(testExport-9, testExport-1), `{"start":"2023-11-14T22:13:11.000Z","end":"2023-11-14T22:13:19.000Z"}`},
		{"NTP", true, f(154, 8, 157, 8), join(ntp(exportMS-877), ntp(exportMS-1)), `{"start":"2023-11-14T22:13:19.123Z","end":"2023-11-14T22:13:19.999Z"}`},
		{"before the export", true, f(158, 4, 159, 4), u32(2_500_000, 500_000), `{"start":"2023-11-14T22:13:17.500Z","end":"2023-11-14T22:13:19.500Z"}`},
		{"start and duration", true, f(152, 8, 161, 4), join(ms(exportMS-1001), u32(1000)), `{"start":"2023-11-14T22:13:18.999Z","end":"2023-11-14T22:13:19.999Z"}`},
		{"duration and end", true, f(162, 4, 153, 8), join(u32(1_000_000), ms(exportMS-1)), `{"start":"2023-11-14T22:13:18.999Z","end":"2023-11-14T22:13:19.999Z"}`},
		{"ASA: start and event", false, f(323, 8, 152, 8), join(ms(exportMS-1), ms(exportMS-1001)), `{"start":"2023-11-14T22:13:18.999Z","end":"2023-11-14T22:13:19.999Z"}`},
		{"an event", true, f(322, 4), u32(testExport - 1), `{"start":"2023-11-14T22:13:19.000Z","end":"2023-11-14T22:13:19.000Z"}`},
		{"uptime since a boot in the record", true, f(22, 4, 21, 4, 160, 8), join(u32(1000, 3000), ms(exportMS-4000)), `{"start":"2023-11-14T22:13:17.000Z","end":"2023-11-14T22:13:19.000Z"}`},
		{"uptime since nobody knows when", true, f(22, 4, 21, 4), u32(1000, 3000), `{"start":"2023-11-14T22:13:18.000Z"}`},
		{"no time at all", true, f(4, 1), []byte{6}, `{"protocol":6}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := one(t, c.ipfix, c.fields, c.record); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// Each of the usual fields must say the same whether its template is of fixed
// length, or has a variable-length field in front, or has all of them so.
func TestVariableLengthIsTheSame(t *testing.T) {
	fixed := records(usual, 3)
	b, _ := decode(t, NewSession(Config{}), ipfixMessage(7, templateSet(2, 300, usual), set(300, fixed)))
	want := string(b.AppendJSON(nil, 2))

	front := append([]TemplateField{{0, 82, variable}}, usual...)
	b, m := decode(t, NewSession(Config{}), ipfixMessage(7, templateSet(2, 300, front), set(300, records(front, 3))))
	if got := string(b.AppendJSON(nil, 2)); got != want || problems(m) != "element_skipped=1 " {
		t.Errorf("got  %s %s\nwant %s", got, problems(m), want)
	}

	all := slices.Clone(usual)
	var record []byte
	for i, f := range all {
		if f.Element == 22 || f.Element == 21 {
			record = append(record, 1, 1, 1, 1)
			continue
		}
		all[i].Length = variable
		record = append(record, 255, 0, byte(f.Length))
		record = append(record, records([]TemplateField{f}, 1)...)
	}
	b, m = decode(t, NewSession(Config{}), ipfixMessage(7, templateSet(2, 300, all), set(300, record, record, record)))
	if b.Len() != 3 {
		t.Fatal(b.Len(), problems(m))
	}
	if got := string(b.AppendJSON(nil, 2)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestV5(t *testing.T) {
	record := join(u32(0x0a000001, 0x0a000002, 0), u16(3, 4), u32(10, 1500, testUptime-2000, testUptime-1000),
		u16(1234, 443), []byte{0, 0x1b, 6, 0xb8}, u16(64500, 64501), []byte{24, 25, 0, 0})
	datagram := func(count, sampling int) []byte {
		return join(u16(5, count), u32(testUptime, testExport, 250_000_000, 42), []byte{1, 2}, u16(sampling), record, record)
	}
	for _, c := range []struct {
		count, sampling int
		want            string
	}{
		{2, 0x4000 | 100, `"sampling_rate":100,"sampling_source":"header",`},
		{2, 0, ``},
		{163, 0, ``},
	} {
		b, m := decode(t, NewSession(Config{}), datagram(c.count, c.sampling))
		want := `{"received":"2023-11-14T22:13:20.500Z","export_protocol":"netflow5","observation_domain":258,` +
			`"start":"2023-11-14T22:13:18.250Z","end":"2023-11-14T22:13:19.250Z","packets":10,"bytes":1500,` + c.want +
			`"src_addr":"10.0.0.1","dst_addr":"10.0.0.2","protocol":6,"src_port":1234,"dst_port":443,"tcp_flags":27,"in_if":3,"out_if":4,` +
			`"next_hop":"0.0.0.0","src_as":64500,"dst_as":64501,"src_mask":24,"dst_mask":25,"tos":184}`
		if b.Len() != 2 || string(b.AppendJSON(nil, 1)) != want {
			t.Errorf("got  %s\nwant %s", b.AppendJSON(nil, 1), want)
		}
		if m.Sequence != 42 || m.Units != uint32(c.count) || m.Flows != 2 || (m.Problems[CountMismatch] == 1) != (c.count != 2) {
			t.Errorf("%+v", m)
		}
	}
	b, m := decode(t, NewSession(Config{}), datagram(1, 0))
	if b.Len() != 1 || m.Problems[CountMismatch] != 1 {
		t.Errorf("%d rows, %s", b.Len(), problems(m))
	}
}

func TestUnusableDatagrams(t *testing.T) {
	for _, c := range []struct {
		datagram []byte
		want     error
	}{
		{nil, ErrShort}, {[]byte{0}, ErrShort}, {u16(5, 1), ErrShort}, {u16(9, 1), ErrShort}, {u16(10, 16), ErrShort},
		{u16(0, 5), ErrVersion}, {u16(6, 1), ErrVersion}, {u16(1, 1), ErrShort}, {u16(7, 1), ErrShort}, {u16(8, 1), ErrShort},
	} {
		b := flow.NewBatch(1)
		if err := NewSession(Config{}).Decode(c.datagram, 0, b, &Message{}); !errors.Is(err, c.want) || b.Len() > 0 {
			t.Errorf("%x: %v", c.datagram, err)
		}
	}
}

func TestSets(t *testing.T) {
	port := []TemplateField{{0, 7, 2}}
	template9, template10 := templateSet(0, 256, port), templateSet(2, 256, port)
	long := slices.Clone(ipfixMessage(1, template10, set(256, u16(1, 2))))
	long[3] += 8
	for _, c := range []struct {
		name     string
		datagram []byte
		rows     int
		problems string
		units    string
	}{
		{"padding", v9Datagram(1, template9, set(256, u16(1), []byte{0})), 1, "", "1"},
		{"a remainder", v9Datagram(1, template9, set(256, u16(1), []byte{9})), 1, "set_remainder=1 ", "1"},
		{"an odd set, then another", v9Datagram(1, template9, set(256, u16(1), []byte{0}), set(256, u16(1))), 2, "", "1"},
		{"zeros behind the sets", v9Datagram(1, template9, set(256, u16(1)), make([]byte, 40)), 1, "trailing_bytes=1 ", "1"},
		{"three bytes behind the sets", v9Datagram(1, template9, []byte{1, 2, 3}), 0, "trailing_bytes=1 ", "1"},
		{"a set longer than the datagram", v9Datagram(1, template9, u16(256, 99, 1, 2, 3)), 3, "truncated=1 ", "1"},
		{"a set shorter than its header", v9Datagram(1, template9, u16(256, 3, 1, 2), template9), 0, "set_length=1 ", "1"},
		{"a reserved set id", v9Datagram(1, template9, set(77, u16(1)), set(256, u16(1))), 1, "set_unknown=1 ", "1"},
		{"IPFIX units", ipfixMessage(1, template10, set(256, u16(1, 2, 3))), 3, "", "3"},
		{"IPFIX units unknown", ipfixMessage(1, set(256, u16(1, 2, 3))), 0, "template_waiting=1 ", "0?"},
		{"an IPFIX message longer than its datagram", long, 2, "truncated=1 ", "2"},
		{"bytes behind an IPFIX message", join(ipfixMessage(1, template10, set(256, u16(1))), u16(256, 6, 1)), 1, "trailing_bytes=1 ", "1"},
		{"a template of zero-length records", ipfixMessage(1, templateSet(2, 256, []TemplateField{{0, 7, 0}, {0, 11, 0}}), set(256, u16(1))), 0, "template_malformed=1 set_remainder=1 ", "0?"},
		{"a template overruns its set", ipfixMessage(1, set(2, u16(256, 9), specifiers(port)), set(256, u16(1))), 0, "template_waiting=1 template_malformed=1 ", "0?"},
		{"a template id of a set", ipfixMessage(1, set(2, u16(3, 1), specifiers(port), u16(256, 1), specifiers(port)), set(256, u16(1))), 1, "template_malformed=1 ", "1"},
		{"padding behind a template", ipfixMessage(1, set(2, u16(256, 1), specifiers(port), make([]byte, 6)), set(256, u16(1))), 1, "", "1"},
		{"a v9 template without fields", v9Datagram(1, set(0, u16(256, 0))), 0, "template_malformed=1 ", "1"},
		{"more scopes than fields", ipfixMessage(1, set(3, u16(256, 1, 2), specifiers(port))), 0, "template_malformed=1 ", "0"},
		{"odd v9 scopes", v9Datagram(1, set(1, u16(256, 3, 4), specifiers(port))), 0, "template_malformed=1 ", "1"},
		{"a varlen field overruns its set", ipfixMessage(1, templateSet(2, 256, []TemplateField{{0, 82, variable}, {0, 7, 2}}), set(256, []byte{1, 'a', 0, 1, 200, 'b', 0, 2})), 1, "record_overrun=1 element_skipped=1 ", "1?"},
		{"the 255 form overruns its set", ipfixMessage(1, templateSet(2, 256, []TemplateField{{0, 4, 1}, {0, 82, variable}}), set(256, []byte{1, 255})), 0, "record_overrun=1 element_skipped=1 ", "0?"},
		{"reverse elements", ipfixMessage(1, templateSet(2, 256, []TemplateField{{0, 7, 2}, {reversePEN, 1, 2}}), set(256, u16(1, 2, 3, 4))), 4, "", "2"},
		{"reverse elements without a count", ipfixMessage(1, templateSet(2, 256, []TemplateField{{0, 7, 2}, {reversePEN, 6, 2}}), set(256, u16(1, 2, 3, 4))), 2, "reverse_skipped=2 ", "2"},
		{"packet sections", ipfixMessage(1, templateSet(2, 256, []TemplateField{{0, 7, 2}, {0, 315, variable}}), set(256, []byte{0, 1, 2, 0xff, 0xff})), 1, "", "1"},
		{"sections of wireless frames", ipfixMessage(1, templateSet(2, 256, []TemplateField{{0, 408, 2}, {0, 315, variable}}), set(256, []byte{0, 2, 2, 0xff, 0xff})), 1, "section_skipped=1 ", "1"},
		{"the middle of a packet", ipfixMessage(1, templateSet(2, 256, []TemplateField{{0, 409, 2}, {0, 313, variable}}), set(256, []byte{0, 20, 2, 0xff, 0xff})), 1, "section_skipped=1 ", "1"},
		{"enterprise elements", ipfixMessage(1, templateSet(2, 256, []TemplateField{{0, 7, 2}, {9, 1, 2}, {0, 210, 2}}), set(256, u16(1, 2, 3))), 1, "element_skipped=1 ", "1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, m := decode(t, NewSession(Config{}), c.datagram)
			units := fmt.Sprint(m.Units)
			if m.UnitsUnknown {
				units += "?"
			}
			if b.Len() != c.rows || m.Flows != c.rows || problems(m) != c.problems || units != c.units {
				t.Errorf("%d rows, %s units, %q; want %d, %s, %q", b.Len(), units, problems(m), c.rows, c.units, c.problems)
			}
		})
	}
}

func TestDataWaitsForItsTemplate(t *testing.T) {
	s := NewSession(Config{})
	b, m := flow.NewBatch(1), &Message{}
	step := func(datagram []byte, received int64) {
		t.Helper()
		if err := s.Decode(datagram, received, b, m); err != nil {
			t.Fatal(err)
		}
	}
	fields := []TemplateField{{0, 7, 2}, {0, 22, 4}}
	early := v9Datagram(1, set(256, u16(1), u32(testUptime-1000)))
	step(early, 1)
	step(v9Datagram(2, set(256, u16(2), u32(testUptime))), 2) // another domain's
	step(ipfixMessage(1, set(256, u16(3), u32(testUptime))), 3)
	if b.Len() != 0 || s.waitingBytes != 18 {
		t.Fatalf("%d rows, %d bytes wait", b.Len(), s.waitingBytes)
	}
	late := v9Datagram(1, templateSet(0, 256, fields), set(256, u16(4), u32(testUptime)))
	copy(late[8:], u32(testExport+60))
	step(late, 4)
	if m.First != 0 || m.Flows != 2 || b.U16(flow.SrcPort)[0] != 4 || b.U16(flow.SrcPort)[1] != 1 {
		t.Fatalf("%+v", m)
	}
	if b.Time(flow.Received)[1] != 1 || b.Time(flow.Start)[1] != exportMS-1000 {
		t.Error("the waiting set lost its header")
	}
	if len(s.waiting) != 2 || s.waitingBytes != 12 {
		t.Errorf("%d sets wait", len(s.waiting))
	}
	step(late, 5)
	if m.Flows != 1 {
		t.Error("a set was decoded twice")
	}
	// Options data wait too.
	options := set(3, u16(300, 2, 1), specifiers([]TemplateField{{0, 302, 4}, {0, 34, 4}}))
	step(ipfixMessage(5, set(300, u32(9, 1000))), 6)
	step(ipfixMessage(5, options), 7)
	if rate, ok := m.Options[0].Uint(34); m.OptionRecords != 1 || !ok || rate != 1000 {
		t.Errorf("%+v", m.Options)
	}
}

func TestLimits(t *testing.T) {
	s := NewSession(Config{Limits: Limits{Templates: 2, Fields: 3, WaitingSets: 3, WaitingBytes: 10}})
	port := []TemplateField{{0, 7, 2}}
	b, m := decode(t, s, v9Datagram(1, templateSet(0, 256, port), templateSet(0, 257, port), templateSet(0, 258, port), templateSet(0, 256, append(port, port...))))
	if m.Problems[TemplateRefused] != 1 || m.NewTemplates != 3 || m.Templates != 4 || s.count != 2 {
		t.Errorf("%s; %d templates", problems(m), s.count)
	}
	decode(t, s, v9Datagram(1, templateSet(0, 256, append(port, usual...))))
	if len(s.Templates()) != 1 {
		t.Error("the template that a refused one replaced is still there")
	}
	_, m = decode(t, s, v9Datagram(1, set(300, u16(1)), set(300, u16(2)), set(300, u16(3)), set(300, u16(4)), set(301, make([]byte, 8)), set(302, make([]byte, 11))))
	if m.Problems[TemplateWaiting] != 5 || m.Problems[TemplateMissing] != 4 || s.waitingBytes != 10 || len(s.waiting) != 2 {
		t.Errorf("%s; %d bytes in %d sets wait", problems(m), s.waitingBytes, len(s.waiting))
	}
	_ = b
}

func TestRedefinitionAndWithdrawal(t *testing.T) {
	s := NewSession(Config{})
	src, dst := []TemplateField{{0, 7, 2}}, []TemplateField{{0, 11, 2}}
	options := set(3, u16(300, 1, 1), specifiers(src))
	b, m := decode(t, s, ipfixMessage(1, templateSet(2, 256, src), templateSet(2, 257, src), options),
		ipfixMessage(1, templateSet(2, 256, dst), set(256, u16(5))))
	if b.U16(flow.DstPort)[0] != 5 || m.NewTemplates != 1 || m.Templates != 1 {
		t.Errorf("%+v", m)
	}
	b, m = decode(t, s, ipfixMessage(1, set(2, u16(256, 0)), set(256, u16(6)), set(257, u16(7))))
	if m.Withdrawals != 1 || b.Len() != 1 || b.U16(flow.SrcPort)[0] != 7 || m.Problems[TemplateWaiting] != 1 {
		t.Errorf("%+v", m)
	}
	_, m = decode(t, s, ipfixMessage(1, set(2, u16(2, 0))))
	if m.Withdrawals != 1 || len(s.Templates()) != 1 {
		t.Errorf("%+v", m)
	}
	_, m = decode(t, s, ipfixMessage(1, set(3, u16(3, 0))))
	if m.Withdrawals != 1 || s.count != 0 || len(s.domains) != 0 {
		t.Errorf("%+v", m)
	}
	b, _ = decode(t, s, ipfixMessage(1, templateSet(2, 256, src)))
	if b.Len() != 1 || b.U16(flow.SrcPort)[0] != 6 {
		t.Error("the data that waited are lost")
	}
}

// An id that changes its kind, or that means two things in two domains or
// protocols, never means the wrong one.
func TestTemplateIDsAreUsedAgain(t *testing.T) {
	s := NewSession(Config{})
	src, dst := []TemplateField{{0, 7, 2}}, []TemplateField{{0, 11, 2}}
	options := set(3, u16(256, 1, 1), specifiers(src))
	b, m := decode(t, s, ipfixMessage(1, templateSet(2, 256, src)), ipfixMessage(2, templateSet(2, 256, dst)), v9Datagram(1, templateSet(0, 256, dst)),
		ipfixMessage(1, options, set(256, u16(1))))
	if b.Len() != 0 || len(m.Options) != 1 || s.count != 3 {
		t.Errorf("%d rows, %d options, %d templates", b.Len(), len(m.Options), s.count)
	}
	b, m = decode(t, s, ipfixMessage(1, templateSet(2, 256, src), set(256, u16(1))), ipfixMessage(2, set(256, u16(2))), v9Datagram(1, set(256, u16(3))))
	if b.Len() != 3 || b.U16(flow.SrcPort)[0] != 1 || b.U16(flow.DstPort)[1] != 2 || b.U16(flow.DstPort)[2] != 3 || len(m.Options) != 0 || s.count != 3 {
		t.Errorf("%d rows, %d options, %d templates", b.Len(), len(m.Options), s.count)
	}
	// Data wait for what was withdrawn, and take what comes, be it options.
	b, m = decode(t, s, ipfixMessage(1, set(2, u16(256, 0)), set(256, u16(4))), ipfixMessage(1, options))
	if b.Len() != 0 || len(m.Options) != 1 || len(s.waiting) != 0 {
		t.Errorf("%d rows, %d options, %d sets waiting", b.Len(), len(m.Options), len(s.waiting))
	}
}

func TestOptions(t *testing.T) {
	// v9: scope interface, then a sampler; and a system scope of no length.
	s := NewSession(Config{})
	_, m := decode(t, s, v9Datagram(1,
		set(1, u16(256, 8, 8), specifiers([]TemplateField{{0, 1, 0}, {0, 2, 4}, {0, 48, 1}, {0, 34, 4}}), u16(0)),
		set(256, u32(7), []byte{3}, u32(100), []byte{0, 0, 0})))
	if len(m.Options) != 1 {
		t.Fatal(problems(m))
	}
	o := m.Options[0]
	scope, _ := o.Find(ScopeV9, 2)
	ifIndex, _ := scope.Uint()
	sampler, _ := o.Uint(48)
	rate, _ := o.Uint(34)
	if !scope.Scope || ifIndex != 7 || sampler != 3 || rate != 100 || len(o.Fields) != 3 || o.Template != 256 || o.Domain != 1 {
		t.Errorf("%+v", o)
	}
	if _, ok := o.Uint(2); ok {
		t.Error("a v9 scope type was taken for an element")
	}

	// IPFIX: no scope at all, and the device's boot time, which 21 and 22 need.
	s = NewSession(Config{})
	b, m := decode(t, s, ipfixMessage(1,
		set(3, u16(256, 1, 0), specifiers([]TemplateField{{0, 160, 8}})), set(256, u32(0), u32(0)),
		set(256, join(u32((exportMS-5000)>>32), u32(exportMS-5000))),
		templateSet(2, 257, []TemplateField{{0, 22, 4}, {0, 21, 4}}), set(257, u32(1000, 2000))))
	if m.Units != 3 || m.UnitsUnknown || b.Time(flow.Start)[0] != exportMS-4000 || b.Time(flow.End)[0] != exportMS-3000 {
		t.Errorf("%+v", m)
	}
}

func TestTemplatesSurviveARestart(t *testing.T) {
	s := NewSession(Config{})
	decode(t, s, v9Datagram(1, templateSet(0, 256, usual), set(1, u16(257, 4, 4), specifiers([]TemplateField{{0, 1, 4}, {0, 34, 4}}))),
		ipfixMessage(1, templateSet(2, 256, []TemplateField{{29305, 1, 4}, {0, 82, variable}})))
	kept := s.Templates()
	restarted := NewSession(Config{})
	restarted.Restore(State{Templates: append(kept, Template{Version: 7, ID: 300}, Template{Version: 9, ID: 3}, Template{Version: 9, ID: 300, Scopes: 2})})
	if got := restarted.Templates(); len(kept) != 3 || !reflect.DeepEqual(got, kept) {
		t.Errorf("got  %+v\nwant %+v", got, kept)
	}
	b, _ := decode(t, restarted, v9Datagram(1, set(256, records(usual, 2))))
	if b.Len() != 2 {
		t.Error("a restored template does not decode")
	}
}

func TestDecodeDoesNotAllocate(t *testing.T) {
	fields := append(slices.Clone(usual), TemplateField{0, 82, variable})
	s := NewSession(Config{})
	b, m := flow.NewBatch(64), &Message{}
	datagrams := [][]byte{
		v5Datagram(30),
		v9Datagram(1, templateSet(0, 256, usual), set(256, records(usual, 20))),
		ipfixMessage(1, templateSet(2, 256, fields), set(256, records(fields, 12))),
		v9Datagram(1, set(1, u16(257, 4, 4), specifiers([]TemplateField{{0, 1, 4}, {0, 34, 4}})), set(257, u32(1, 2))),
		ipfixMessage(1, templateSet(2, 258, []TemplateField{{0, 7, 2}, {reversePEN, 1, 2}, {0, 96, variable}, {0, 313, variable}}),
			set(258, u16(1, 2), []byte{3}, []byte("ssh"), []byte{byte(len(udpPacket))}, udpPacket)),
		ipfixMessage(1, templateSet(2, 259, []TemplateField{{0, 56, 6}}), templateSet(2, 260, []TemplateField{{0, 292, variable}, {0, 485, variable}}),
			set(260, []byte{9, 3}, u16(259), make([]byte, 6), []byte{9, 3}, u16(483, 4, 64496, 1))),
	}
	run := func() {
		for _, d := range datagrams {
			b.Reset()
			if err := s.Decode(d, 0, b, m); err != nil {
				t.Fatal(err)
			}
		}
	}
	run()
	if n := testing.AllocsPerRun(100, run); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestNames(t *testing.T) {
	seen := map[string]bool{}
	for p := range NumProblems {
		if name := p.String(); name == "" || seen[name] {
			t.Errorf("problem %d is called %q", p, name)
		}
		seen[p.String()] = true
	}
	ids := map[elementKey]bool{}
	for _, e := range elements {
		key := elementKey{e.pen, e.id}
		if ids[key] {
			t.Errorf("element %v stands twice in the table", key)
		}
		ids[key] = true
	}
}
