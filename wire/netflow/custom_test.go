package netflow

import (
	"math"
	"testing"

	"github.com/minamo-flow/minamo/flow"
)

func TestCustomElements(t *testing.T) {
	columns := map[flow.Kind]flow.Column{}
	for kind, name := range map[flow.Kind]string{flow.Uint8: "my_u8", flow.Uint64: "my_u64", flow.Time: "my_time", flow.Address: "my_addr", flow.MAC: "my_mac", flow.Text: "my_text"} {
		if err := flow.Define(flow.Field{Name: name, Kind: kind}); err != nil {
			t.Fatal(err)
		}
		columns[kind], _ = flow.Lookup(name)
	}
	const unknownPEN = 32473 // RFC 5612
	float := u32(int(math.Float32bits(2.5)))
	double := func(v float64) []byte {
		return join(u32(int(math.Float64bits(v)>>32)), u32(int(math.Float64bits(v)&0xffffffff)))
	}
	for _, c := range []struct {
		name   string
		custom CustomElement // of which Column is a Kind
		v9     bool
		field  TemplateField
		value  []byte
		want   string
	}{
		{"a number", CustomElement{unknownPEN, 1, flow.Column(flow.Uint64)}, false, TemplateField{unknownPEN, 1, 4}, u32(7), `"my_u64":7`},
		{"of seven bytes", CustomElement{unknownPEN, 1, flow.Column(flow.Uint64)}, false, TemplateField{unknownPEN, 1, 7}, []byte{1, 0, 0, 0, 0, 0, 0}, `"my_u64":281474976710656`},
		{"of variable length", CustomElement{unknownPEN, 1, flow.Column(flow.Uint64)}, false, TemplateField{unknownPEN, 1, variable}, []byte{3, 1, 0, 0}, `"my_u64":65536`},
		{"too great", CustomElement{unknownPEN, 1, flow.Column(flow.Uint8)}, false, TemplateField{unknownPEN, 1, 2}, u16(256), ``},
		{"too long", CustomElement{unknownPEN, 1, flow.Column(flow.Uint64)}, false, TemplateField{unknownPEN, 1, 9}, make([]byte, 9), ``},
		{"one that feeds a column of ours", CustomElement{0, 4, flow.Column(flow.Uint64)}, true, TemplateField{0, 4, 1}, []byte{6}, `"protocol":6,"my_u64":6`},
		{"signed", CustomElement{0, 434, flow.Column(flow.Uint64)}, false, TemplateField{0, 434, 4}, u32(5), `"my_u64":5`},
		{"negative", CustomElement{0, 434, flow.Column(flow.Uint64)}, false, TemplateField{0, 434, 4}, u32(-5), ``},
		{"negative as text", CustomElement{0, 434, flow.Column(flow.Text)}, false, TemplateField{0, 434, 4}, u32(-5), `"my_text":"-5"`},
		{"reduced and negative", CustomElement{0, 434, flow.Column(flow.Text)}, false, TemplateField{0, 434, 2}, u16(-5), `"my_text":"-5"`},
		{"a fraction as text", CustomElement{0, 320, flow.Column(flow.Text)}, false, TemplateField{0, 320, 8}, double(0.25), `"my_text":"0.25"`},
		{"float64 in four bytes", CustomElement{0, 320, flow.Column(flow.Uint64)}, false, TemplateField{0, 320, 4}, float, `"my_u64":2`},
		{"float64", CustomElement{0, 320, flow.Column(flow.Uint8)}, false, TemplateField{0, 320, 8}, double(1e9), ``},
		{"a float below zero", CustomElement{0, 320, flow.Column(flow.Uint64)}, false, TemplateField{0, 320, 8}, double(-1), ``},
		{"infinity", CustomElement{0, 320, flow.Column(flow.Uint64)}, false, TemplateField{0, 320, 8}, double(math.Inf(1)), `"my_u64":18446744073709551615`},
		{"no number", CustomElement{0, 320, flow.Column(flow.Uint64)}, false, TemplateField{0, 320, 8}, double(math.NaN()), ``},
		{"seconds", CustomElement{0, 322, flow.Column(flow.Time)}, false, TemplateField{0, 322, 4}, u32(testExport), `"my_time":"2023-11-14T22:13:20.000Z"`},
		{"NTP", CustomElement{0, 154, flow.Column(flow.Time)}, false, TemplateField{0, 154, 8}, u32(testExport+ntpEpoch, 1<<31), `"start":"2023-11-14T22:13:20.500Z","end":"2023-11-14T22:13:20.500Z","my_time":"2023-11-14T22:13:20.500Z"`},
		{"some time", CustomElement{unknownPEN, 2, flow.Column(flow.Time)}, false, TemplateField{unknownPEN, 2, 4}, u32(testExport), `"my_time":"2023-11-14T22:13:20.000Z"`},
		{"IPv4", CustomElement{unknownPEN, 3, flow.Column(flow.Address)}, false, TemplateField{unknownPEN, 3, 4}, u32(0xc0000201), `"my_addr":"192.0.2.1"`},
		{"IPv6", CustomElement{unknownPEN, 3, flow.Column(flow.Address)}, false, TemplateField{unknownPEN, 3, 16}, u32(0x20010db8, 0, 0, 1), `"my_addr":"2001:db8::1"`},
		{"an address of variable length", CustomElement{unknownPEN, 3, flow.Column(flow.Address)}, false, TemplateField{unknownPEN, 3, variable}, join([]byte{4}, u32(0xc0000201)), `"my_addr":"192.0.2.1"`},
		{"no address", CustomElement{unknownPEN, 3, flow.Column(flow.Address)}, false, TemplateField{unknownPEN, 3, 5}, make([]byte, 5), ``},
		{"a MAC", CustomElement{0, 414, flow.Column(flow.MAC)}, false, TemplateField{0, 414, 6}, []byte{2, 0, 0, 0, 0, 1}, `"my_mac":"02:00:00:00:00:01"`},
		{"a string", CustomElement{9, 12235, flow.Column(flow.Text)}, false, TemplateField{9, 12235, variable}, []byte("\x0bexample.com"), `"my_text":"example.com"`},
		{"in v9", CustomElement{9, 12235, flow.Column(flow.Text)}, true, TemplateField{0, 45003, 8}, []byte("a.b\x00\x00\x00\x00\x00"), `"my_text":"a.b"`},
		{"the other way round", CustomElement{0, 45003, flow.Column(flow.Text)}, false, TemplateField{9, 12235, 3}, []byte("a.b"), `"my_text":"a.b"`},
		{"bytes", CustomElement{unknownPEN, 4, flow.Column(flow.Text)}, false, TemplateField{unknownPEN, 4, 3}, []byte{0, 1, 0xff}, `"my_text":"0001ff"`},
		{"bytes that are text", CustomElement{unknownPEN, 4, flow.Column(flow.Text)}, false, TemplateField{unknownPEN, 4, 4}, []byte("Zür"), `"my_text":"Zür"`},
		{"a number as text", CustomElement{0, 58, flow.Column(flow.Text)}, false, TemplateField{0, 58, 2}, u16(100), `"src_vlan":100,"my_text":"100"`},
		{"an address as text", CustomElement{0, 8, flow.Column(flow.Text)}, false, TemplateField{0, 8, 4}, u32(0xc0000201), `"src_addr":"192.0.2.1","my_text":"192.0.2.1"`},
		{"a MAC as text", CustomElement{0, 414, flow.Column(flow.Text)}, false, TemplateField{0, 414, 6}, []byte{2, 0, 0, 0, 0, 1}, `"my_text":"02:00:00:00:00:01"`},
		{"an empty string", CustomElement{9, 12235, flow.Column(flow.Text)}, false, TemplateField{9, 12235, variable}, []byte{0}, ``},
		{"the opposite direction's", CustomElement{reversePEN, 52, flow.Column(flow.Uint64)}, false, TemplateField{reversePEN, 52, 1}, []byte{64}, `"my_u64":64`},
		{"not the opposite direction's", CustomElement{0, 52, flow.Column(flow.Uint64)}, false, TemplateField{reversePEN, 52, 1}, []byte{64}, ``},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.custom.Column = columns[flow.Kind(c.custom.Column)]
			want := `{"packets":0,"bytes":0`
			if c.want != "" {
				want += "," + c.want
			}
			if c.want != "" && c.want[1] == 's' && c.want[2] == 't' { // times stand before the counters
				want = `{` + c.want[:len(`"start":"2023-11-14T22:13:20.500Z","end":"2023-11-14T22:13:20.500Z",`)] + `"packets":0,"bytes":0` + c.want[len(`"start":"2023-11-14T22:13:20.500Z","end":"2023-11-14T22:13:20.500Z"`):]
			}
			got, m := rowsOf(t, NewSession(Config{Custom: []CustomElement{c.custom}}), !c.v9, []TemplateField{c.field}, c.value)
			if len(got) != 1 || got[0] != want+"}" {
				t.Errorf("got  %v\nwant %s}", got, want)
			}
			if skipped := m.Problems[ElementSkipped]; c.want != "" && skipped != 0 {
				t.Errorf("%d elements skipped", skipped)
			}
		})
	}
}
