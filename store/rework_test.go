package store

import (
	"context"
	"testing"
	"time"

	"github.com/minamo-flow/minamo/flow"
)

// TestRework: sums that are made anew have the rates that were set by hand, of
// just the time that is meant, and every flow once; taken back, all is as before.
func TestRework(t *testing.T) {
	dir := t.TempDir()
	flows := fillDay(t, dir, 4, 500)
	rate, from, to := uint32(0), time.Time{}, time.Time{}
	correct := func(b *flow.Batch) {
		if rate == 0 {
			return
		}
		for i, start := range b.Time(flow.Start) {
			if at := time.UnixMilli(start); !at.Before(from) && at.Before(to) {
				b.U32(flow.SamplingRate)[i] = rate
			}
		}
	}
	s, _ := open(t, Config{Dir: dir, Correct: correct})
	defer s.Close()
	segments := s.manifest()
	begin, end := segments[0].Start, segments[len(segments)-1].End
	later := time.Now().Add(48 * time.Hour)
	settle(t, s, later)
	count, packets, _ := sums(t, dir, "interfaces_hour")
	check := func(name, wantPackets string, differ bool) {
		t.Helper()
		settle(t, s, later)
		for _, table := range []string{"interfaces_minute", "interfaces_hour", "interfaces_day", "pairs_hour"} {
			n, p, _ := sums(t, dir, table)
			if n != count || (p == wantPackets) == differ {
				t.Errorf("%s, %s: %s flows of %s, %s packets, it was %s", name, table, n, count, p, wantPackets)
			}
		}
		checked, err := Check(context.Background(), dir, nil)
		if err == nil {
			err = CheckRollups(context.Background(), dir, checked, correct, nil)
		}
		if err != nil || checked.Wrong() {
			t.Errorf("%s: %v, %+v", name, err, checked.Findings)
		}
	}
	check("as they were exported", packets, false)

	rate, from, to = 10, begin.Add(time.Hour), begin.Add(2*time.Hour)
	parts, err := s.Rework(from, to)
	if err != nil || parts == 0 {
		t.Fatalf("%d parts, %v", parts, err)
	}
	check("an hour", packets, true)

	rate, from, to = 10, begin.Add(-time.Hour), end.Add(time.Hour)
	if _, err := s.Rework(time.Time{}, time.Time{}); err != nil {
		t.Fatal(err)
	}
	check("everything", packets, true)

	rate = 0
	if _, err := s.Rework(begin, time.Time{}); err != nil {
		t.Fatal(err)
	}
	check("taken back", packets, false)
	if flows == 0 {
		t.Error("there are no flows")
	}
	// What nobody has flows of any more stays.
	if parts, err := s.Rework(end.Add(100*time.Hour), time.Time{}); err != nil || parts != 0 {
		t.Errorf("%d parts of a time without flows, %v", parts, err)
	}
}
