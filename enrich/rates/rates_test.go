package rates

import (
	"errors"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/minamo-flow/minamo/flow"
)

var (
	one  = netip.MustParseAddr("192.0.2.1")
	noon = time.Date(2026, 11, 16, 12, 0, 0, 0, time.UTC)
)

func TestChange(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rates.json")
	l, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	first := Override{Exporter: one, Rate: 16384, From: &noon}
	changed, err := l.Change(l.Revision(), []Override{first})
	if err != nil || len(changed) != 1 {
		t.Fatalf("%v, %v", changed, err)
	}
	old := l.Revision()
	noted := first
	noted.Note = "the sampler was changed"
	if changed, err := l.Change(old, []Override{noted}); err != nil || len(changed) != 0 { // no flow changes by a note
		t.Errorf("%v, %v", changed, err)
	}
	if _, err := l.Change(old, nil); !errors.Is(err, ErrChanged) {
		t.Errorf("%v", err)
	}
	again, err := Open(path)
	if err != nil || len(again.All()) != 1 || again.All()[0].Note != noted.Note {
		t.Errorf("%v, %v", again.All(), err)
	}
	if changed, err := again.Change("", []Override{{Exporter: one, Interface: 7, Rate: 2}}); err != nil || len(changed) != 2 {
		t.Errorf("%v, %v", changed, err)
	}
	later := noon.Add(time.Hour)
	for words, o := range map[string]Override{
		"exporter is missing": {Rate: 1},
		"rate is missing":     {Exporter: one},
		"ends before":         {Exporter: one, Rate: 1, From: &later, To: &noon},
		"IPv4 is written":     {Exporter: netip.MustParseAddr("::ffff:192.0.2.1"), Rate: 1},
	} {
		if _, err := l.Change("", []Override{o}); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", words, err)
		}
	}
}

// TestCorrect: the first that fits counts, by exporter, input interface and start.
func TestCorrect(t *testing.T) {
	l, err := Open(filepath.Join(t.TempDir(), "rates.json"))
	if err != nil {
		t.Fatal(err)
	}
	end := noon.Add(time.Hour)
	if _, err := l.Change("", []Override{{Exporter: one, Interface: 7, From: &noon, To: &end, Rate: 100}, {Exporter: one, To: &end, Rate: 10}}); err != nil {
		t.Fatal(err)
	}
	b := flow.NewBatch(5)
	add := func(exporter netip.Addr, in uint32, at time.Time) {
		row := b.Extend(1)
		b.Addr(flow.Exporter)[row], b.U32(flow.InIf)[row], b.Time(flow.Start)[row], b.U32(flow.SamplingRate)[row] = flow.AddrFrom(exporter), in, at.UnixMilli(), 1
	}
	add(one, 7, noon)
	add(one, 8, noon)
	add(one, 7, noon.Add(-time.Millisecond))
	add(one, 7, end)
	add(netip.MustParseAddr("192.0.2.2"), 7, noon)
	l.Correct(b)
	for row, want := range []uint32{100, 10, 10, 1, 1} {
		if got := b.U32(flow.SamplingRate)[row]; got != want {
			t.Errorf("row %d: %d, expected %d", row, got, want)
		}
	}
}
