package netflow

import (
	"slices"
	"strings"
	"testing"

	"github.com/minamo-flow/minamo/flow"
)

// rowsOf decodes records of a template and returns the rows as JSON, without
// what every row has.
func rowsOf(t *testing.T, s *Session, ipfix bool, fields []TemplateField, records ...[]byte) (list []string, m *Message) {
	t.Helper()
	datagram := v9Datagram(7, templateSet(0, 300, fields), set(300, records...))
	if ipfix {
		datagram = ipfixMessage(7, templateSet(2, 300, fields), set(300, records...))
	}
	b, m := decode(t, s, datagram)
	return texts(b), m
}

func texts(b *flow.Batch) (list []string) {
	for row := range b.Len() {
		for _, c := range []flow.Column{flow.Received, flow.ExportProtocol, flow.ObservationDomain} {
			b.Present[row][c>>6] &^= 1 << (c & 63)
		}
		for _, c := range []flow.Column{flow.Start, flow.End} {
			if b.Time(c)[row] == exportMS {
				b.Present[row][c>>6] &^= 1 << (c & 63)
			}
		}
		list = append(list, string(b.AppendJSON(nil, row)))
	}
	return list
}

func TestReverse(t *testing.T) {
	r := func(element, length uint16) TemplateField { return TemplateField{reversePEN, element, length} }
	f := func(element, length uint16) TemplateField { return TemplateField{0, element, length} }
	a, b := u32(0x0a000001), u32(0x0a000002)
	ms := func(v int) []byte { return join(u32(v>>32), u32(v)) }
	for _, c := range []struct {
		name    string
		ipfix   bool
		fields  []TemplateField
		records [][]byte
		want    []string
	}{
		{"RFC 5103", true,
			[]TemplateField{f(8, 4), f(12, 4), f(7, 2), f(11, 2), f(1, 4), f(2, 4), r(1, 4), r(2, 4), f(6, 1), r(6, 1), f(5, 1), f(10, 2), f(14, 2), f(9, 1), f(16, 4)},
			[][]byte{join(a, b, u16(5000, 443), u32(100, 1, 200, 2), []byte{2, 18, 8}, u16(3, 4), []byte{24}, u32(64500))},
			[]string{
				`{"packets":1,"bytes":100,"src_addr":"10.0.0.1","dst_addr":"10.0.0.2","src_port":5000,"dst_port":443,"tcp_flags":2,"in_if":3,"out_if":4,"src_as":64500,"src_mask":24,"tos":8,"biflow":"forward"}`,
				`{"packets":2,"bytes":200,"src_addr":"10.0.0.2","dst_addr":"10.0.0.1","src_port":443,"dst_port":5000,"tcp_flags":18,"in_if":4,"out_if":3,"dst_as":64500,"dst_mask":24,"biflow":"reverse"}`,
			}},
		{"an element of its own beats the exchanged one", true,
			[]TemplateField{f(10, 2), f(14, 2), r(10, 2), f(58, 2), r(58, 2), r(1, 8)},
			[][]byte{join(u16(3, 4, 9, 100, 200), ms(5))},
			[]string{
				`{"packets":0,"bytes":0,"in_if":3,"out_if":4,"src_vlan":100,"biflow":"forward"}`,
				`{"packets":0,"bytes":5,"in_if":9,"out_if":3,"src_vlan":200,"dst_vlan":100,"biflow":"reverse"}`,
			}},
		{"nothing came back", true,
			[]TemplateField{f(8, 4), f(1, 4), r(1, 4)}, [][]byte{join(a, u32(7, 0))},
			[]string{`{"packets":0,"bytes":7,"src_addr":"10.0.0.1"}`}},
		{"some records have two directions", true,
			[]TemplateField{f(7, 2), f(1, 2), r(1, 2)}, [][]byte{u16(1, 10, 0), u16(2, 20, 21), u16(3, 30, 0), u16(4, 40, 41)},
			[]string{
				`{"packets":0,"bytes":10,"src_port":1}`,
				`{"packets":0,"bytes":20,"src_port":2,"biflow":"forward"}`,
				`{"packets":0,"bytes":30,"src_port":3}`,
				`{"packets":0,"bytes":40,"src_port":4,"biflow":"forward"}`,
				`{"packets":0,"bytes":21,"dst_port":2,"biflow":"reverse"}`,
				`{"packets":0,"bytes":41,"dst_port":4,"biflow":"reverse"}`,
			}},
		{"of variable length", true,
			[]TemplateField{f(82, variable), f(7, 2), r(1, variable), f(8, 4)}, [][]byte{join([]byte{2, 'l', 'o'}, u16(1), []byte{0}, a), join([]byte{0}, u16(2), []byte{2, 1, 0}, b)},
			[]string{
				`{"packets":0,"bytes":0,"src_addr":"10.0.0.1","src_port":1}`,
				`{"packets":0,"bytes":0,"src_addr":"10.0.0.2","src_port":2,"biflow":"forward"}`,
				`{"packets":0,"bytes":256,"dst_addr":"10.0.0.2","dst_port":2,"biflow":"reverse"}`,
			}},
		{"ASA: a deleted connection", false,
			[]TemplateField{f(8, 4), f(12, 4), f(7, 2), f(11, 2), f(4, 1), f(40001, 4), f(40003, 2), f(40005, 1), f(33002, 2), f(231, 4), f(232, 4), f(33000, 12), f(40000, 20)},
			[][]byte{join(a, b, u16(5000, 443), []byte{6}, u32(0xc0000201), u16(6000), []byte{2}, u16(2030), u32(100, 200), u32(0x3edcde49, 0xaa62ac3, 0), []byte("ada\x00"), make([]byte, 16))},
			[]string{
				`{"packets":0,"bytes":100,"src_addr":"10.0.0.1","dst_addr":"10.0.0.2","protocol":6,"src_port":5000,"dst_port":443,"ingress_acl":"0x3edcde49/0xaa62ac3/0x0","src_user":"ada","biflow":"forward","post_nat_src_addr":"192.0.2.1","post_nat_src_port":6000,"firewall_event":"deleted","firewall_ext_event":2030}`,
				`{"packets":0,"bytes":200,"src_addr":"10.0.0.2","dst_addr":"10.0.0.1","protocol":6,"src_port":443,"dst_port":5000,"ingress_acl":"0x3edcde49/0xaa62ac3/0x0","dst_user":"ada","biflow":"reverse","post_nat_dst_addr":"192.0.2.1","post_nat_dst_port":6000,"firewall_event":"deleted","firewall_ext_event":2030}`,
			}},
		{"ASA: a created connection", false,
			[]TemplateField{f(8, 4), f(40005, 1), f(231, 4), f(232, 4)}, [][]byte{join(a, []byte{1}, u32(0, 0))},
			[]string{`{"packets":0,"bytes":0,"src_addr":"10.0.0.1","firewall_event":"created"}`}},
		{"YAF's delay", true,
			[]TemplateField{f(152, 8), f(153, 8), {certPEN, 21, 4}, r(86, 8), {certPEN, 14, 1}, {certPEN, 15, 1}, {certPEN, 14 | certReverse, 1}},
			[][]byte{join(ms(exportMS-3000), ms(exportMS-1000), u32(250), ms(3), []byte{2, 17, 18})},
			[]string{
				`{"start":"2023-11-14T22:13:17.000Z","end":"2023-11-14T22:13:19.000Z","packets":0,"bytes":0,"tcp_flags":19,"biflow":"forward"}`,
				`{"start":"2023-11-14T22:13:17.250Z","end":"2023-11-14T22:13:19.000Z","packets":3,"bytes":0,"tcp_flags":18,"biflow":"reverse"}`,
			}},
		{"times of both directions", true,
			[]TemplateField{f(152, 8), f(153, 8), r(152, 8), r(153, 8), r(1, 1)},
			[][]byte{join(ms(exportMS-3000), ms(exportMS-1000), ms(exportMS-2000), ms(exportMS-500), []byte{1})},
			[]string{
				`{"start":"2023-11-14T22:13:17.000Z","end":"2023-11-14T22:13:19.000Z","packets":0,"bytes":0,"biflow":"forward"}`,
				`{"start":"2023-11-14T22:13:18.000Z","end":"2023-11-14T22:13:19.500Z","packets":0,"bytes":1,"biflow":"reverse"}`,
			}},
		{"the answer's ICMP type is not known", true,
			[]TemplateField{f(4, 1), f(32, 2), r(1, 1)}, [][]byte{{1, 8, 0, 1}},
			[]string{
				`{"packets":0,"bytes":0,"protocol":1,"icmp_type":8,"icmp_code":0,"biflow":"forward"}`,
				`{"packets":0,"bytes":1,"protocol":1,"biflow":"reverse"}`,
			}},
		{"the answer's ICMP type is known", true,
			[]TemplateField{f(4, 1), f(32, 2), r(32, 2), r(1, 1)}, [][]byte{{1, 8, 0, 0, 0, 1}},
			[]string{
				`{"packets":0,"bytes":0,"protocol":1,"icmp_type":8,"icmp_code":0,"biflow":"forward"}`,
				`{"packets":0,"bytes":1,"protocol":1,"icmp_type":0,"icmp_code":0,"biflow":"reverse"}`,
			}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, m := rowsOf(t, NewSession(Config{}), c.ipfix, c.fields, c.records...)
			if !slices.Equal(got, c.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
			units := uint32(len(c.records))
			if !c.ipfix {
				units = 1
			}
			if m.Records != len(c.records) || m.Flows != len(c.want) || m.Units != units || m.UnitsUnknown {
				t.Errorf("%d records, %d flows, %d units", m.Records, m.Flows, m.Units)
			}
		})
	}
}
