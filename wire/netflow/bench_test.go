package netflow

import (
	"testing"

	"github.com/minamo-flow/minamo/flow"
)

// usual is a template as routers send it: 21 fields of fixed length.
var usual = []TemplateField{
	{0, 8, 4}, {0, 12, 4}, {0, 15, 4}, {0, 10, 4}, {0, 14, 4}, {0, 2, 4}, {0, 1, 4}, {0, 22, 4}, {0, 21, 4},
	{0, 7, 2}, {0, 11, 2}, {0, 6, 1}, {0, 4, 1}, {0, 5, 1}, {0, 16, 4}, {0, 17, 4}, {0, 9, 1}, {0, 13, 1}, {0, 61, 1}, {0, 89, 1}, {0, 48, 2},
}

func benchmark(b *testing.B, flows int, template, data []byte) {
	s := NewSession(Limits{})
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
	fields := append([]TemplateField(nil), usual...)
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
