package netflow

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/minamo-flow/minamo/flow"
)

// TestTypeRecords lets an exporter describe elements of its own (RFC 5610).
func TestTypeRecords(t *testing.T) {
	s := NewSession(Config{})
	var b flow.Batch
	var m Message
	decode := func(sets ...[]byte) {
		t.Helper()
		if err := s.Decode(ipfixMessage(1, sets...), 0, &b, &m); err != nil {
			t.Fatal(err)
		}
	}
	decode(
		templateSet(2, 256, []TemplateField{{0, 7, 2}, {64496, 3, 4}, {9, 12235, variable}, {64496, 3, 4}, {0, 1234, 2}}),
		templateSet(2, 257, []TemplateField{{64496, 3, 4}, {0, 27, 5}}),
	)
	check := func(want string) {
		t.Helper()
		if got := fmt.Sprint(s.Skipped()); got != want {
			t.Errorf("skipped %s, want %s", got, want)
		}
	}
	check("[sourceIPv6Address(27) 1234 applicationHttpHost(9/12235) 64496/3]")

	fields := []TemplateField{{0, 346, 4}, {0, 303, 2}, {0, 339, 1}, {0, 344, 1}, {0, 345, 2}, {0, 341, variable}}
	record := func(pen, id, kind, semantics, units int, name string) []byte {
		r := []byte{byte(pen >> 24), byte(pen >> 16), byte(pen >> 8), byte(pen), byte(id >> 8), byte(id), byte(kind), byte(semantics), byte(units >> 8), byte(units), byte(len(name))}
		return append(r, name...)
	}
	var records []byte
	for _, r := range [][]byte{
		record(64496, 3, 10, 1, 6, "lag\x00\x00"),
		record(64496, 4, 200, 200, 999, "odd"), // from registries later than ours
		record(9, 12235, 4, 0, 0, "notThis"),   // known better
		record(0, 1234, 4, 0, 0, "notThisEither"),
		record(64496, 5, 0, 0, 0, ""),
	} {
		records = append(records, r...)
	}
	decode(set(3, u16(300, len(fields), 2), specifiers(fields)), set(300, records))
	check("[sourceIPv6Address(27) 1234 applicationHttpHost(9/12235) lag(64496/3)]")
	for _, want := range []Information{
		{Enterprise: 64496, ID: 3, Type: TypeFloat64, Semantics: SemanticsQuantity, Units: UnitsMilliseconds, Name: "lag"},
		{Enterprise: 64496, ID: 4, Name: "odd"},
		{Enterprise: 9, ID: 12235, Type: TypeString, Name: "applicationHttpHost"},
	} {
		if got, ok := s.Lookup(want.Enterprise, want.ID); !ok || got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	if got, ok := s.Lookup(64496, 5); ok {
		t.Errorf("%+v", got)
	}

	decode(set(300, record(64496, 3, 13, 0, 0, "lagText")))
	if got, _ := s.Lookup(64496, 3); got.Name != "lagText" || got.Type != TypeString {
		t.Errorf("told again it is %+v", got)
	}
	for pen := 100000; pen < 100000+2*maxLearnt; pen += 100 {
		records = records[:0]
		for i := range 100 {
			records = append(records, record(pen+i, 1, 1, 0, 0, "x")...)
		}
		decode(set(300, records))
	}
	if len(s.learnt) != maxLearnt {
		t.Errorf("%d elements learnt, the bound is %d", len(s.learnt), maxLearnt)
	}
}

// lag is a column of the operator's own.
var lag = func() flow.Column {
	if err := flow.Define(flow.Field{Name: "learn_lag", Kind: flow.Uint64}); err != nil {
		panic(err)
	}
	c, _ := flow.Lookup("learn_lag")
	return c
}()

// TestTypeRecordsAfterTemplates: a type that is told late counts from then on.
func TestTypeRecordsAfterTemplates(t *testing.T) {
	s := NewSession(Config{Custom: []CustomElement{{Enterprise: 64496, Element: 3, Column: lag}}})
	var b flow.Batch
	var m Message
	value := binary.BigEndian.AppendUint64(nil, math.Float64bits(41.7))
	kind := func(id, kind int) []byte { return set(300, u32(64496), u16(id), []byte{byte(kind)}) }
	for _, datagram := range [][]byte{
		ipfixMessage(1, templateSet(2, 256, []TemplateField{{0, 4, 1}, {64496, 3, 8}}), set(256, []byte{6}, value)),
		ipfixMessage(1, set(3, u16(300, 3, 2), specifiers([]TemplateField{{0, 346, 4}, {0, 303, 2}, {0, 339, 1}})), kind(4, 1)), // another
		ipfixMessage(1, set(256, []byte{6}, value)),
		ipfixMessage(1, kind(3, int(TypeFloat64)), set(256, []byte{6}, value)),
	} {
		if err := s.Decode(datagram, 0, &b, &m); err != nil {
			t.Fatal(err)
		}
	}
	bits := math.Float64bits(41.7)
	if got, want := b.U64(lag), []uint64{bits, bits, 42}; !slices.Equal(got, want) {
		t.Errorf("%d, want %d", got, want)
	}
}
