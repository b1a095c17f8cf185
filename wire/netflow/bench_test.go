package netflow

import (
	"bytes"
	"slices"
	"testing"

	"github.com/minamo-flow/minamo/flow"
)

// usual is a template as routers send it: 21 fields of fixed length.
var usual = []TemplateField{
	{0, 8, 4}, {0, 12, 4}, {0, 15, 4}, {0, 10, 4}, {0, 14, 4}, {0, 2, 4}, {0, 1, 4}, {0, 22, 4}, {0, 21, 4},
	{0, 7, 2}, {0, 11, 2}, {0, 6, 1}, {0, 4, 1}, {0, 5, 1}, {0, 16, 4}, {0, 17, 4}, {0, 9, 1}, {0, 13, 1}, {0, 61, 1}, {0, 89, 1}, {0, 48, 2},
}

func benchmark(b *testing.B, flows int, template, data []byte) {
	s := NewSession(Config{})
	batch := flow.NewBatch(4096)
	var m Message
	if template != nil {
		if err := s.Decode(template, 0, batch, &m); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		if err := s.Decode(data, 1, batch, &m); err != nil || m.Flows != flows {
			b.Fatal(err, m.Flows)
		}
		if batch.Len() > 4000 {
			batch.Reset()
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(flows), "ns/flow")
}

func BenchmarkV5(b *testing.B) {
	benchmark(b, 30, nil, v5Datagram(30))
}

func BenchmarkV9(b *testing.B) {
	benchmark(b, 18, v9Datagram(7, templateSet(v9Templates, 256, usual)), v9Datagram(7, dataSet(256, records(usual, 18))))
}

func BenchmarkIPFIX(b *testing.B) {
	fields := slices.Clone(usual)
	for i, f := range fields {
		switch f.Element {
		case 22, 21:
			fields[i] = TemplateField{0, 174 - f.Element, 8} // flowStartMilliseconds, flowEndMilliseconds
		case 1, 2:
			fields[i].Length = 8
		}
	}
	benchmark(b, 18, ipfixMessage(7, templateSet(ipfixTemplates, 256, fields)), ipfixMessage(7, dataSet(256, records(fields, 18))))
}

func BenchmarkIPFIXVariableLength(b *testing.B) {
	fields := append([]TemplateField{{0, 82, variable}}, usual...)
	benchmark(b, 18, ipfixMessage(7, templateSet(ipfixTemplates, 256, fields)), ipfixMessage(7, dataSet(256, records(fields, 18))))
}

// BenchmarkHostile decodes datagrams that cost the most for their bytes that we
// could think of: ns/byte must not grow with the datagram.
func BenchmarkHostile(b *testing.B) {
	many := func(n int, f func(i int) []byte) (all []byte) {
		for i := range n {
			all = append(all, f(i)...)
		}
		return all
	}
	protocol := []TemplateField{{0, 4, 1}}
	wide := make([]TemplateField, 500)
	for i := range wide {
		wide[i] = TemplateField{0, 82, 0}
	}
	wide = append(wide, TemplateField{0, 4, 1})
	for _, c := range []struct {
		name  string
		first []byte
		sets  func(bytes int) []byte
	}{
		{"templates of zeros, but for the last byte", nil, func(n int) []byte {
			zeros := make([]byte, n)
			zeros[n-1] = 1
			return set(2, zeros)
		}},
		{"one-byte records", nil, func(n int) []byte {
			return join(templateSet(2, 256, protocol), set(256, make([]byte, n)))
		}},
		{"one-byte options", nil, func(n int) []byte {
			return join(set(3, u16(256, len(wide), 1), specifiers(wide)), set(256, make([]byte, n)))
		}},
		{"both directions in a byte", nil, func(n int) []byte {
			return join(templateSet(2, 256, []TemplateField{{reversePEN, 1, 1}}), set(256, bytes.Repeat([]byte{1}, n)))
		}},
		{"empty sections", nil, func(n int) []byte {
			return join(templateSet(2, 256, []TemplateField{{0, 313, variable}}), set(256, make([]byte, n)))
		}},
		{"sections of a byte", nil, func(n int) []byte {
			return join(templateSet(2, 256, []TemplateField{{0, 313, variable}}), set(256, bytes.Repeat([]byte{1, 0x45}, n/2)))
		}},
		{"sections of nothing but tags", nil, func(n int) []byte {
			frame := join(make([]byte, 12), bytes.Repeat([]byte{0x81, 0, 0, 1}, n/4))
			return join(templateSet(2, 256, []TemplateField{{0, 313, variable}, {0, 315, variable}}), set(256, []byte{0, 255}, u16(len(frame)), frame))
		}},
		{"one list of one-byte records", nil, func(n int) []byte {
			return join(templateSet(2, 256, []TemplateField{{0, 293, variable}}), templateSet(2, 257, protocol),
				set(256, []byte{255}, u16(n+5), []byte{3}, u16(257, n+4), make([]byte, n)))
		}},
		{"many lists of one-byte records", nil, func(n int) []byte {
			return join(templateSet(2, 256, []TemplateField{{0, 292, variable}}), templateSet(2, 257, protocol),
				set(256, bytes.Repeat(join([]byte{4, 3}, u16(257), []byte{6}), n/5)))
		}},
		{"lists in one list, nested", nil, func(n int) []byte {
			inner := bytes.Repeat(join([]byte{4, 3}, u16(257), []byte{6}), n/5)
			return join(templateSet(2, 256, []TemplateField{{0, 292, variable}}), templateSet(2, 257, protocol),
				set(256, []byte{255}, u16(3+len(inner)), []byte{3}, u16(256), inner))
		}},
		{"lists of nothing", nil, func(n int) []byte {
			return join(templateSet(2, 256, []TemplateField{{0, 293, variable}}), set(256, []byte{255}, u16(1+n/4*4), []byte{3}, bytes.Repeat(u16(999, 4), n/4)))
		}},
		{"a basicList of empty strings", nil, func(n int) []byte {
			return join(templateSet(2, 256, []TemplateField{{0, 291, variable}}), set(256, []byte{255}, u16(5+n), []byte{3}, u16(82, variable), make([]byte, n)))
		}},
		{"empty sets", nil, func(n int) []byte {
			return join(templateSet(2, 256, protocol), many(n/4, func(int) []byte { return set(256) }))
		}},
		{"sets that wait", nil, func(n int) []byte {
			return many(n/5, func(int) []byte { return set(300, []byte{1}) })
		}},
		{"templates anew", nil, func(n int) []byte {
			return many(n/12, func(i int) []byte { return templateSet(2, 256, []TemplateField{{0, uint16(1 + i%2), 4}}) })
		}},
		{"many templates", nil, func(n int) []byte {
			return many(n/12, func(i int) []byte { return templateSet(2, 256+i, protocol) })
		}},
		{"withdrawals of all", nil, func(n int) []byte {
			return many(n/20, func(i int) []byte { return join(set(2, u16(2, 0)), templateSet(2, 256+i%9, protocol)) })
		}},
		{"a template, then its data, waiting", nil, func(n int) []byte {
			return many(n/17, func(i int) []byte { return join(set(256+i, []byte{1}), templateSet(2, 256+i, protocol)) })
		}},
	} {
		for _, bytes := range []int{4_000, 60_000} {
			datagram := ipfixMessage(1, c.sets(bytes))
			b.Run(c.name+"/"+map[int]string{4_000: "4k", 60_000: "60k"}[bytes], func(b *testing.B) {
				batch, m := flow.NewBatch(1<<16), &Message{}
				s := NewSession(Config{})
				for b.Loop() {
					batch.Reset()
					if err := s.Decode(slices.Clone(datagram), 0, batch, m); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(datagram)), "ns/byte")
			})
		}
	}
}
