package netflow

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/minamo-flow/minamo/flow"
)

// TestStateSurvivesARestart demands that the same bytes mean the same in a
// session that has only the state of an earlier one.
func TestStateSurvivesARestart(t *testing.T) {
	config := Config{Custom: []CustomElement{{32473, 7, flow.TunnelID}}}
	const boot = exportMS - 600_000
	types := []TemplateField{{0, 346, 4}, {0, 303, 2}, {0, 339, 1}}
	described := func(kind DataType) []byte { return set(400, u32(32473), u16(7), []byte{byte(kind)}) }
	flows := templateSet(2, 300, []TemplateField{{32473, 7, 4}, {0, 22, 4}, {0, 21, 4}})
	data := set(300, u32(0x40490fdb, 10_000, 20_000)) // 3.14159, or 1078530011

	s := NewSession(config)
	b, m := decode(t, s, ipfixMessage(1, flows, set(3, u16(400, len(types), 2), specifiers(types)), described(TypeFloat32),
		set(3, u16(401, 2, 1), specifiers([]TemplateField{{0, 149, 4}, {0, 160, 8}})), set(401, u32(1, boot>>32, boot&0xffffffff)), data))
	if m.Learnt != 2 || b.U32(flow.TunnelID)[0] != 3 || b.Time(flow.Start)[0] != boot+10_000 {
		t.Fatalf("%s, learnt %d", b.AppendJSON(nil, 0), m.Learnt)
	}
	text, err := json.Marshal(s.State())
	if err != nil {
		t.Fatal(err)
	}
	var state State
	if err := json.Unmarshal(text, &state); err != nil || !reflect.DeepEqual(state, s.State()) {
		t.Fatalf("%v: %s", err, text)
	}
	again := NewSession(config)
	again.Restore(state)
	restored, _ := decode(t, again, ipfixMessage(1, data))
	if got, want := string(restored.AppendJSON(nil, 0)), string(b.AppendJSON(nil, 0)); got != want {
		t.Errorf("after a restart %s, before %s", got, want)
	}

	// A type that is corrected counts from then on; the same once more is no news.
	corrected, m := decode(t, again, ipfixMessage(1, described(TypeUnsigned32), data))
	if corrected.U32(flow.TunnelID)[0] != 0x40490fdb || m.Learnt != 1 {
		t.Errorf("%s, learnt %d", corrected.AppendJSON(nil, 0), m.Learnt)
	}
	if _, m := decode(t, again, ipfixMessage(1, described(TypeUnsigned32))); m.Learnt != 0 {
		t.Error("the same type is news")
	}
}

// TestWaitingRowsAreBounded lets a megabyte of data sets wait for a template
// whose records have one byte.
func TestWaitingRowsAreBounded(t *testing.T) {
	s := NewSession(Config{})
	total, datagrams := 0, 0
	for range 16 {
		decode(t, s, ipfixMessage(1, set(300, make([]byte, 60_000))))
	}
	for template := ipfixMessage(1, templateSet(2, 300, []TemplateField{{0, 4, 1}})); len(s.waiting) > 0; datagrams++ {
		b, _ := decode(t, s, template)
		if total += b.Len(); b.Len() == 0 || b.Len() >= 2*rowsAtOnce {
			t.Fatalf("datagram %d gives %d rows", datagrams, b.Len())
		}
	}
	if total != 16*60_000 || s.waitingBytes != 0 {
		t.Errorf("%d rows in the end, %d bytes still wait", total, s.waitingBytes)
	}
}

func TestLimitsBelowZeroAreTheDefault(t *testing.T) {
	s := NewSession(Config{Limits: Limits{-1, -1, -1, -1}})
	if decode(t, s, v9Datagram(1, set(300, u32(1)))); s.limits != (Limits{}).withDefaults() {
		t.Errorf("%+v", s.limits)
	}
}

// TestFirstOfTwoForAColumn has two addresses for one column of the operator's.
func TestFirstOfTwoForAColumn(t *testing.T) {
	s := NewSession(Config{Custom: []CustomElement{{32473, 1, flow.TunnelSrcAddr}, {32473, 2, flow.TunnelSrcAddr}}})
	v6 := []byte{0x20, 1, 0xd, 0xb8, 15: 1}
	b, _ := decode(t, s, ipfixMessage(1, templateSet(2, 256, []TemplateField{{32473, 1, 16}, {32473, 1, 4}, {32473, 2, 4}}), set(256, v6, []byte{192, 0, 2, 1}, []byte{192, 0, 2, 2})))
	if got := b.Addr(flow.TunnelSrcAddr)[0].String(); got != "2001:db8::1" {
		t.Error(got)
	}
}

// TestMessageIsReset fills every field of a message and demands that Decode
// leaves nothing of it: reset names the fields one by one, for speed.
func TestMessageIsReset(t *testing.T) {
	m := Message{
		Version: 1, Domain: 1, Sequence: 1, SysUptime: 1, ExportTime: 1, First: 1, Flows: 1, Units: 1, UnitsUnknown: true,
		Records: 1, OptionRecords: 1, Templates: 1, NewTemplates: 1, Withdrawals: 1, Learnt: 1, Options: make([]OptionRecord, 1),
	}
	for i := range m.Problems {
		m.Problems[i] = 1
	}
	for v, i := reflect.ValueOf(m), 0; i < v.NumField(); i++ {
		if v.Type().Field(i).IsExported() && v.Field(i).IsZero() {
			t.Errorf("%s is not filled here", v.Type().Field(i).Name)
		}
	}
	m.reset()
	for v, i := reflect.ValueOf(m), 0; i < v.NumField(); i++ {
		if f := v.Field(i); v.Type().Field(i).IsExported() && !f.IsZero() && !(f.Kind() == reflect.Slice && f.Len() == 0) {
			t.Errorf("%s is not reset", v.Type().Field(i).Name)
		}
	}
}
