package store

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/rollup"
)

// fillDay writes segments of every ten minutes for some hours, as a server would have.
func fillDay(t testing.TB, dir string, hours, rows int) (flows int) {
	t.Helper()
	random := seeded()
	for minute := 0; minute < hours*60; minute += 10 {
		at := noon + int64(minute)*60_000
		b := flow.NewBatch(rows)
		generate(b, rows, at, random)
		if _, err := WriteSegment(dir, b, time.UnixMilli(at)); err != nil {
			t.Fatal(err)
		}
		flows += rows
	}
	return flows
}

// settle does all that the background would do until now.
func settle(t testing.TB, s *Store, now time.Time) {
	t.Helper()
	for {
		worked, err := s.maintainRollups(context.Background(), now)
		if err != nil {
			t.Fatal(err)
		}
		covers := s.covers()
		run := planRun(s.manifest(), now, mergeRows, mergeBytes, covers.together, func(Segment) bool { return false })
		if run != nil {
			if err := s.merge(context.Background(), run); err != nil {
				t.Fatal(err)
			}
		}
		if run == nil && !worked {
			return
		}
	}
}

// sums adds up a table.
func sums(t testing.TB, dir, table string) (flows, packets, bytes string) {
	t.Helper()
	db := duck(t)
	from := filepath.Join(dir, rollupsDir, table, "*", "*.parquet")
	if err := db.QueryRow("SELECT sum(flows)::VARCHAR, sum(packets)::VARCHAR, sum(bytes)::VARCHAR FROM read_parquet("+quote(from)+")").Scan(&flows, &packets, &bytes); err != nil {
		t.Fatal(err)
	}
	return flows, packets, bytes
}

func TestRollupsHoldAllFlows(t *testing.T) {
	dir := t.TempDir()
	flows := fillDay(t, dir, 3, 700)
	db := duck(t)
	var packets, bytes string
	if err := db.QueryRow("SELECT sum(packets * sampling_rate)::VARCHAR, sum(bytes * sampling_rate)::VARCHAR FROM read_parquet("+quote(filepath.Join(dir, "flows", "*", "*.parquet"))+")").Scan(&packets, &bytes); err != nil {
		t.Fatal(err)
	}
	s, log := open(t, Config{Dir: dir})
	check := func(when string) {
		t.Helper()
		for _, table := range rollupTables {
			f, p, b := sums(t, dir, table)
			if f != fmt.Sprint(flows) || p != packets || b != bytes {
				t.Errorf("%s: %s holds %s flows, %s packets, %s bytes of %d, %s, %s", when, table, f, p, b, flows, packets, bytes)
			}
		}
		covers := s.covers()
		for _, segment := range s.manifest() {
			if lacks := covers.lacks(segment); len(lacks) > 0 {
				t.Errorf("%s: %s is not covered by %d tables", when, segment.Path, len(lacks))
			}
		}
	}
	settle(t, s, time.UnixMilli(noon).Add(26*time.Hour))
	check("at first")
	parts, _ := filepath.Glob(filepath.Join(dir, rollupsDir, "traffic_minute", "*", "*.parquet"))
	if len(parts) != 1 {
		t.Errorf("%d parts of a day remain", len(parts))
	}

	// A part that is gone or damaged, and a table that is new, are made anew.
	os.RemoveAll(filepath.Join(dir, rollupsDir, "flags_hour"))
	os.WriteFile(parts[0], []byte("no Parquet"), 0o644)
	s.Close()
	s, log = open(t, Config{Dir: dir})
	path := s.parts["traffic_minute"][0]
	if err := s.mergeParts(context.Background(), "traffic_minute", []Segment{path, path}); err == nil {
		t.Error("a damaged part was merged")
	}
	settle(t, s, time.UnixMilli(noon).Add(26*time.Hour))
	check("after damage")
	_ = log
}

// A segment that is summed up in pieces has the same cells, but for what is cut.
func TestBigSegmentsAreRolledUpInPieces(t *testing.T) {
	dir := t.TempDir()
	const rows = 2*unitRows + 1000
	b := flow.NewBatch(rows)
	generate(b, rows, noon, seeded())
	b.SetUint(flow.Start, 7, uint64(noon-20*3_600_000)) // too long to be spread
	if _, err := WriteSegment(dir, b, time.UnixMilli(noon)); err != nil {
		t.Fatal(err)
	}
	var packets uint64
	for i, p := range b.U64(flow.Packets) {
		if i != 7 {
			packets += p * uint64(b.U32(flow.SamplingRate)[i])
		}
	}
	s, _ := open(t, Config{Dir: dir})
	settle(t, s, time.UnixMilli(noon).Add(time.Hour))
	for _, table := range []string{"traffic_minute", "interfaces_hour", "pairs_day", "src_networks_minute"} {
		if f, p, _ := sums(t, dir, table); f != fmt.Sprint(rows-1) || p != fmt.Sprint(packets) {
			t.Errorf("%s holds %s flows and %s packets of %d and %d", table, f, p, rows-1, packets)
		}
	}
	if long := s.parts[longTable]; len(long) != 1 || long[0].Rows != 1 {
		t.Errorf("long flows: %v", long)
	}
}

// Segments that a part does not cover stay apart from those that it covers.
func TestNothingIsHalfCovered(t *testing.T) {
	dir := t.TempDir()
	fillDay(t, dir, 1, 50)
	s, _ := open(t, Config{Dir: dir})
	segments := s.manifest()
	all := make([]int, len(rollupTables))
	for i := range all {
		all[i] = i
	}
	if err := s.rollUp(context.Background(), segments[:2], all); err != nil {
		t.Fatal(err)
	}
	run := planRun(s.manifest(), time.UnixMilli(noon).Add(26*time.Hour), mergeRows, mergeBytes, s.covers().together, func(Segment) bool { return false })
	if len(run) != 2 || run[0].Path != segments[0].Path {
		t.Errorf("merged would be %v", run)
	}
	if run := planParts(s.covers()[0], s.manifest(), time.UnixMilli(noon).Add(26*time.Hour), func(Segment) bool { return false }); run != nil {
		t.Errorf("parts to merge: %v", run)
	}
	if err := s.rollUp(context.Background(), segments[3:5], all); err != nil {
		t.Fatal(err)
	}
	if run := planParts(s.covers()[0], s.manifest(), time.UnixMilli(noon).Add(26*time.Hour), func(Segment) bool { return false }); run != nil {
		t.Errorf("parts would be merged over a segment between them: %v", run)
	}
	if err := s.rollUp(context.Background(), segments[2:3], all); err != nil {
		t.Fatal(err)
	}
	if run := planParts(s.covers()[0], s.manifest(), time.UnixMilli(noon).Add(26*time.Hour), func(Segment) bool { return false }); len(run) != 3 {
		t.Errorf("parts to merge: %v", run)
	}
}

func TestPlanUnit(t *testing.T) {
	at := func(seconds int, rows int64) Segment {
		stamp := time.UnixMilli(noon).Add(time.Duration(seconds) * time.Second)
		return Segment{Path: fmt.Sprint(seconds), SealedFirst: stamp, SealedLast: stamp, Rows: rows}
	}
	none := func(Segment) bool { return false }
	now := func(seconds int) time.Time { return time.UnixMilli(noon).Add(time.Duration(seconds) * time.Second) }
	part := Segment{SealedFirst: now(0), SealedLast: now(10)}
	cases := map[string]struct {
		segments []Segment
		cover    cover
		now      int
		want     []int
	}{
		"nothing":              {nil, cover{{}}, 0, nil},
		"young":                {[]Segment{at(0, 1), at(1, 1)}, cover{{}}, 60, nil},
		"old":                  {[]Segment{at(0, 1), at(59, 1), at(301, 1)}, cover{{}}, 304, []int{0, 1}},
		"many":                 {[]Segment{at(0, unitRows/2), at(1, unitRows/2), at(2, 1)}, cover{{}}, 3, []int{0, 1}},
		"one that is too big":  {[]Segment{at(0, 3*unitRows), at(1, 1)}, cover{{}}, 2, []int{0}},
		"covered ones are not": {[]Segment{at(0, 1), at(5, 1), at(11, 1)}, cover{{part}}, 1000, []int{2}},
		"one table lacks them": {[]Segment{at(0, 1), at(5, 1), at(11, 1)}, cover{{part}, {}}, 20, []int{0, 1}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			run, _ := planUnit(c.segments, c.cover, now(c.now), make([]time.Time, len(c.cover)), none)
			if len(run) != len(c.want) {
				t.Fatalf("got %v, want %v", run, c.want)
			}
			for i, n := range c.want {
				if run[i].Path != c.segments[n].Path {
					t.Errorf("got %v, want %v", run, c.want)
				}
			}
		})
	}
}

// What retention took of a table is not made again from flows that are kept longer.
func TestRetiredRollupsStayAway(t *testing.T) {
	for name, limits := range map[string]Limits{"age": {MaxAge: 90 * time.Minute}, "bytes": {MaxBytes: 1}} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			fillDay(t, dir, 3, 50)
			s, _ := open(t, Config{Dir: dir, Rollups: map[rollup.Level]Limits{rollup.Minute: limits}})
			now := time.UnixMilli(noon).Add(3*time.Hour + 10*time.Minute)
			for range 3 {
				settle(t, s, now)
				if err := s.retain(now); err != nil {
					t.Fatal(err)
				}
			}
			before := len(s.parts["traffic_minute"])
			if worked, err := s.maintainRollups(context.Background(), now); worked || err != nil {
				t.Errorf("what was deleted is made again: %v", err)
			}
			if hours := s.parts["traffic_hour"]; before > 1 || len(hours) == 0 || hours[0].SealedFirst.UnixMilli() != noon {
				t.Errorf("%d parts by minute, %d by hour", before, len(hours))
			}
		})
	}
}

func BenchmarkRollUp(b *testing.B) {
	dir := b.TempDir()
	batch := flow.NewBatch(unitRows)
	generate(batch, unitRows, noon, seeded())
	if _, err := WriteSegment(dir, batch, time.UnixMilli(noon)); err != nil {
		b.Fatal(err)
	}
	s, _ := open(b, Config{Dir: dir})
	all := make([]int, len(rollupTables))
	for i := range all {
		all[i] = i
	}
	begin := time.Now()
	for b.Loop() {
		if err := s.rollUp(context.Background(), s.manifest(), all); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(time.Since(begin).Nanoseconds())/float64(b.N)/unitRows, "ns/flow")
	var size int64
	for _, parts := range s.parts {
		for _, p := range parts {
			size += p.Bytes
		}
	}
	b.ReportMetric(float64(size)/float64(len(rollup.Cubes))/1e3, "kB/cube")
}

// Who starts a server over an old backup has time to stop it.
func TestAnArchiveIsSpared(t *testing.T) {
	dir := t.TempDir()
	fillDay(t, dir, 1, 20)
	s, log := open(t, Config{Dir: dir, MaxAge: 30 * 24 * time.Hour})
	now := time.UnixMilli(noon).AddDate(0, 6, 0)
	if until := s.spare(now); !until.Equal(now.Add(reprieve)) || !strings.Contains(log.String(), "about to be deleted") {
		t.Errorf("spared until %v:\n%s", until, log)
	}
	if until := s.spare(time.UnixMilli(noon).AddDate(0, 0, 20)); !until.IsZero() {
		t.Errorf("spared until %v, though some may stay", until)
	}
}
