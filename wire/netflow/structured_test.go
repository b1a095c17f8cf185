package netflow

import (
	"slices"
	"testing"
)

func TestStructuredData(t *testing.T) {
	const allOf = 3 // the semantic
	f := func(element, length uint16) TemplateField { return TemplateField{0, element, length} }
	mac := func(last byte) []byte { return []byte{2, 0, 0, 0, 0, last} }
	inner := join(
		templateSet(2, 400, []TemplateField{f(56, 6), f(80, 6)}),
		templateSet(2, 401, []TemplateField{{certPEN, 15, 1}, {certPEN, 15 | certReverse, 1}, f(7, 2)}),
		templateSet(2, 402, []TemplateField{f(292, variable)}),
		templateSet(2, 403, []TemplateField{f(82, variable), f(96, variable)}),
	)
	varying := func(parts ...[]byte) []byte {
		v := join(parts...)
		return join([]byte{255}, u16(len(v)), v)
	}
	multi := func(id int, records ...[]byte) []byte {
		v := join(records...)
		return join(u16(id, 4+len(v)), v)
	}
	nest := func(v []byte, levels int) []byte {
		for range levels {
			v = join([]byte{allOf}, u16(402), varying(v))
		}
		return v
	}
	macs := join(mac(1), mac(2))
	for _, c := range []struct {
		name     string
		fields   []TemplateField
		record   []byte
		want     []string
		problems string
	}{
		{"subTemplateMultiList", []TemplateField{f(7, 2), f(293, variable)},
			join(u16(9), varying([]byte{allOf}, multi(400, macs), multi(401, []byte{17, 0}, u16(8)))),
			[]string{`{"packets":0,"bytes":0,"src_port":9,"tcp_flags":17,"src_mac":"02:00:00:00:00:01","dst_mac":"02:00:00:00:00:02"}`}, ""},
		{"the opposite direction, too", []TemplateField{f(7, 2), {reversePEN, 1, 1}, f(293, variable)},
			join(u16(9), []byte{5}, varying([]byte{allOf}, multi(400, macs), multi(401, []byte{17, 18}, u16(8)))),
			[]string{
				`{"packets":0,"bytes":0,"src_port":9,"tcp_flags":17,"src_mac":"02:00:00:00:00:01","dst_mac":"02:00:00:00:00:02","biflow":"forward"}`,
				`{"packets":0,"bytes":5,"dst_port":9,"tcp_flags":18,"src_mac":"02:00:00:00:00:02","dst_mac":"02:00:00:00:00:01","biflow":"reverse"}`,
			}, ""},
		{"subTemplateList, of fixed length", []TemplateField{f(292, 27)}, join([]byte{allOf}, u16(400), macs, mac(3), mac(4)),
			[]string{`{"packets":0,"bytes":0,"src_mac":"02:00:00:00:00:01","dst_mac":"02:00:00:00:00:02"}`}, ""},
		{"of variable length", []TemplateField{f(292, variable)}, varying([]byte{allOf}, u16(403), []byte{0, 3}, []byte("ssh"), []byte{1, 'x', 0}),
			[]string{`{"packets":0,"bytes":0,"application_name":"ssh"}`}, ""},
		{"nested", []TemplateField{f(292, variable)}, varying(nest(join([]byte{allOf}, u16(400), macs), 2)),
			[]string{`{"packets":0,"bytes":0,"src_mac":"02:00:00:00:00:01","dst_mac":"02:00:00:00:00:02"}`}, ""},
		{"nested too deeply", []TemplateField{f(292, variable)}, varying(nest(join([]byte{allOf}, u16(400), macs), 4)),
			[]string{`{"packets":0,"bytes":0}`}, "list_skipped=1 "},
		{"a basicList of lists", []TemplateField{f(291, variable)}, varying([]byte{allOf}, u16(292, 15), []byte{allOf}, u16(400), macs),
			[]string{`{"packets":0,"bytes":0,"src_mac":"02:00:00:00:00:01","dst_mac":"02:00:00:00:00:02"}`}, ""},
		{"communities", []TemplateField{f(485, variable)}, varying([]byte{allOf}, u16(483, 4), u16(64496, 1, 64497, 2)),
			[]string{`{"packets":0,"bytes":0,"communities":"64496:1 64497:2"}`}, ""},
		{"an enterprise's basicList", []TemplateField{{certPEN, 338, variable}}, varying([]byte{allOf}, u16(0x8000|110, variable), u32(certPEN), []byte{2, 'a', 'b', 0}),
			[]string{`{"packets":0,"bytes":0}`}, ""},
		{"an unknown template", []TemplateField{f(292, variable)}, varying([]byte{allOf}, u16(999), macs), []string{`{"packets":0,"bytes":0}`}, "list_skipped=1 "},
		{"empty lists", []TemplateField{f(291, variable), f(292, variable), f(293, variable)},
			join(varying([]byte{allOf}, u16(82, variable)), varying([]byte{allOf}, u16(400)), varying([]byte{allOf})), []string{`{"packets":0,"bytes":0}`}, ""},
		{"no list at all", []TemplateField{f(291, variable), f(292, 0), f(293, variable)}, []byte{0, 0}, []string{`{"packets":0,"bytes":0}`}, ""},
		{"too short", []TemplateField{f(291, 1), f(292, 2), f(293, 3)}, make([]byte, 6), []string{`{"packets":0,"bytes":0}`}, "list_overrun=3 "},
		{"a list of templates overruns", []TemplateField{f(293, variable)}, varying([]byte{allOf}, u16(400, 17), macs), []string{`{"packets":0,"bytes":0}`}, "list_overrun=1 "},
		{"a nested record overruns", []TemplateField{f(292, variable)}, varying([]byte{allOf}, u16(403), []byte{9, 9}), []string{`{"packets":0,"bytes":0}`}, "list_overrun=1 "},
		{"a basicList overruns", []TemplateField{f(291, variable)}, varying([]byte{allOf}, u16(82, variable), []byte{3, 'a'}), []string{`{"packets":0,"bytes":0}`}, "list_overrun=1 "},
		{"a basicList of nothing", []TemplateField{f(291, variable)}, varying([]byte{allOf}, u16(82, 0), []byte{3, 'a'}), []string{`{"packets":0,"bytes":0}`}, "list_overrun=1 "},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, m := decode(t, NewSession(Config{}), ipfixMessage(7, inner), ipfixMessage(7, templateSet(2, 300, c.fields), set(300, c.record)))
			if got := texts(b); !slices.Equal(got, c.want) {
				t.Errorf("got  %v\nwant %v", got, c.want)
			}
			m.Problems[ElementSkipped] = 0
			if problems(m) != c.problems {
				t.Errorf("%s, want %s", problems(m), c.problems)
			}
		})
	}
}
