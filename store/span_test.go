package store

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/rollup"
)

// TestSpan: buckets tell the time of flows only as far as nothing better does.
func TestSpan(t *testing.T) {
	dir := t.TempDir()
	minute := func(n int) time.Time {
		return time.UnixMilli(noon).UTC().Truncate(24 * time.Hour).Add(time.Duration(n) * time.Minute)
	}
	check := func(want bool, first, last time.Time) {
		t.Helper()
		a, b, ok, err := Span(dir)
		if err != nil || ok != want || ok && (!a.Equal(first) || !b.Equal(last)) {
			t.Errorf("from %v to %v, %v, %v; want from %v to %v", a, b, ok, err, first, last)
		}
	}
	part := func(table string, from, to time.Time) {
		t.Helper()
		s := Segment{Table: table, SealedFirst: from, SealedLast: to.Add(-time.Millisecond), Start: from, End: to, Rows: 1}
		path := s.path(dir)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("PAR1"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	check(false, time.Time{}, time.Time{})
	b := flow.NewBatch(1)
	for n := range 2 {
		i := b.Extend(1)
		b.SetUint(flow.Start, i, uint64(minute(75).UnixMilli())+7)
		b.SetUint(flow.End, i, uint64(minute(80+n).UnixMilli())+9)
		b.SetUint(flow.Received, i, uint64(minute(82).UnixMilli()))
	}
	if _, err := WriteSegment(dir, b, minute(82)); err != nil {
		t.Fatal(err)
	}
	first, last := minute(75).Add(7*time.Millisecond), minute(81).Add(9*time.Millisecond)
	check(true, first, last)
	traffic := rollup.Cubes[0]
	part(traffic.Table(rollup.Day), minute(0), minute(24*60))
	part(traffic.Table(rollup.Hour), minute(60), minute(120))
	part(traffic.Table(rollup.Minute), minute(75), minute(82))
	check(true, first, last)
	part(traffic.Table(rollup.Minute), minute(74), minute(75)) // flows of which are deleted
	check(true, minute(74), last)
	part(traffic.Table(rollup.Hour), minute(0), minute(60))
	check(true, minute(0), last)
	part(traffic.Table(rollup.Day), minute(-48*60), minute(-24*60))
	check(true, minute(-48*60), last)
}
