package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"

	"github.com/minamo-flow/minamo/flow"
)

// open opens a store for a test; the log goes to the returned buffer.
func open(t testing.TB, cfg Config) (*Store, *logBuffer) {
	t.Helper()
	log := &logBuffer{}
	s, err := Open(cfg, slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, log
}

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// run starts Run and returns what stops it.
func run(t testing.TB, s *Store) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	return sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// eventually waits for what must come.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
	}
}

// numbered returns a batch whose rows carry the numbers from first on, as
// packets, and start at that many milliseconds after noon.
func numbered(first, n int) *flow.Batch {
	b := flow.NewBatch(n)
	b.Extend(n)
	for i := range n {
		b.SetUint(flow.Packets, i, uint64(first+i))
		b.SetUint(flow.Start, i, uint64(noon+first+i))
		b.SetUint(flow.End, i, uint64(noon+first+i))
	}
	return b
}

func sealOne(t testing.TB, s *Store, b *flow.Batch) {
	t.Helper()
	if err := s.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := s.sealAll(); err != nil {
		t.Fatal(err)
	}
}

// census counts the rows and the distinct rows that a reader sees now.
func census(t testing.TB, db *sql.DB, dir string) (rows, distinct int64) {
	t.Helper()
	snapshot, err := Pin(dir, time.Time{}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	defer snapshot.Close()
	if snapshot.Damaged() > 0 {
		t.Errorf("%d damaged segments", snapshot.Damaged())
	}
	rows, distinct = count(t, db, snapshot.Paths())
	if rows != snapshot.Rows() {
		t.Errorf("names promise %d rows, files hold %d", snapshot.Rows(), rows)
	}
	return rows, distinct
}

func count(t testing.TB, db *sql.DB, paths []string) (rows, distinct int64) {
	t.Helper()
	if len(paths) == 0 {
		return 0, 0
	}
	quoted := make([]string, len(paths))
	for i, p := range paths {
		quoted[i] = quote(p)
	}
	err := db.QueryRow("SELECT count(*), count(DISTINCT packets) FROM read_parquet(["+strings.Join(quoted, ", ")+"], union_by_name = true)").Scan(&rows, &distinct)
	if err != nil {
		t.Fatal(err)
	}
	return rows, distinct
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, Config{Dir: dir, Seal: 20 * time.Millisecond, SealRows: 1000, MaxUnsealed: 2000})
	stop := run(t, s)
	want := []string{}
	for i := range 10 {
		b := flow.NewBatch(1)
		scatter(b, 300, noon+int64(i), seeded())
		want = append(want, batchText(b)...)
		if err := s.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "everything sealed", func() bool { return s.Stats().UnsealedRows == 0 })
	stats := s.Stats()
	if stats.Rows != 3000 || stats.Segments < 3 || stats.Oldest.UnixMilli() < noon-100_000 || stats.Newest.UnixMilli() > noon+9 || stats.LostRows != 0 {
		t.Errorf("stats %+v", stats)
	}
	b := numbered(0, 5)
	want = append(want, batchText(b)...)
	if err := s.Write(b); err != nil {
		t.Fatal(err)
	}
	stop() // seals the rest
	snapshot, err := Pin(dir, time.Time{}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	defer snapshot.Close()
	got := fileText(t, duck(t), slices.Clone(snapshot.Paths())...)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%d rows read, %d written, or not the same", len(got), len(want))
	}
	s.Close()
	if err := s.Write(b); !errors.Is(err, errClosed) {
		t.Errorf("write after close: %v", err)
	}
}

func TestMergesKeepRowsAndTypes(t *testing.T) {
	for _, how := range []string{"reencode", "join"} {
		t.Run(how, func(t *testing.T) {
			dir := t.TempDir()
			s, log := open(t, Config{Dir: dir})
			rng := seeded()
			for i := range 3 {
				b := flow.NewBatch(1)
				if how == "join" {
					b = numbered(i*bigGroup, bigGroup)
				}
				generate(b, 300, noon+int64(i), rng)
				scatter(b, 10, noon, rng)
				sealOne(t, s, b)
			}
			db := duck(t)
			before := s.manifest()
			var paths []string
			for _, segment := range before {
				paths = append(paths, segment.Path)
			}
			want, fresh := digest(t, db, paths...), columnTypes(t, db, paths[0])
			if err := s.merge(t.Context(), before); err != nil {
				t.Fatal(err)
			}
			after, err := Segments(dir)
			if err != nil || len(after) != 1 || !slices.Equal(after, s.manifest()) {
				t.Fatalf("after the merge: %v, %v; manifest %v", after, err, s.manifest())
			}
			if got := columnTypes(t, db, after[0].Path); got != fresh {
				t.Errorf("types changed:\nfresh\n%s\nmerged\n%s", fresh, got)
			}
			for _, must := range []string{"src_addr FIXED_LEN_BYTE_ARRAY 16 OPTIONAL UUIDType", "start INT64 0 OPTIONAL TIMESTAMP_MILLIS", "protocol INT32 0 OPTIONAL UINT_8", "bytes INT64 0 OPTIONAL UINT_64"} {
				if !strings.Contains(fresh, must) {
					t.Errorf("no %q in\n%s", must, fresh)
				}
			}
			if got := digest(t, db, after[0].Path); got != want {
				t.Errorf("after the merge %s, before it %s", got, want)
			}
			if !strings.Contains(log.String(), "how="+how) {
				t.Errorf("merged otherwise: %s", log)
			}
			// What the merge made can be merged on, by pages too.
			sealOne(t, s, numbered(0, 2*bigGroup))
			paths = []string{s.manifest()[0].Path, s.manifest()[1].Path}
			want = digest(t, db, paths...)
			if err := s.merge(t.Context(), s.manifest()); err != nil {
				t.Fatal(err)
			}
			if got := digest(t, db, s.manifest()[0].Path); got != want {
				t.Errorf("after the second merge %s, before it %s", got, want)
			}
		})
	}
}

// digest tells whether files hold the same rows, in whatever order.
func digest(t testing.TB, db *sql.DB, paths ...string) string {
	t.Helper()
	quoted := []string{quote(everyColumn(t))}
	for _, p := range paths {
		quoted = append(quoted, quote(p))
	}
	var text string
	err := db.QueryRow("SELECT concat(count(*), ' rows, digest ', sum(hash(t))) FROM read_parquet([" + strings.Join(quoted, ", ") + "], union_by_name = true) t").Scan(&text)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// columnTypes is the schema of a file, in short.
func columnTypes(t testing.TB, db *sql.DB, path string) string {
	t.Helper()
	var text string
	err := db.QueryRow("SELECT string_agg(concat_ws(' ', name, type, coalesce(type_length, '0'), repetition_type, coalesce(converted_type, regexp_extract(logical_type, '[A-Za-z]+'))), chr(10)) FROM parquet_schema(" + quote(path) + ") WHERE type IS NOT NULL").Scan(&text)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Segments of other versions lack columns, have more, or times in microseconds.
func TestSegmentsOfOtherVersionsAreMerged(t *testing.T) {
	future := "7 AS from_the_future, *, 'x' AS more_of_it"
	for name, c := range map[string]struct {
		rows    int
		columns [3]string // of the parts; before is a version of 54 columns
		how     string
	}{
		"small":                  {100, [3]string{"before", "*", "ours"}, "reencode"},
		"big":                    {bigGroup, [3]string{"before", "*", "ours"}, "reencode"}, // once: times are other ones
		"big of the same":        {bigGroup, [3]string{"before", "*", "*"}, "join"},
		"small of a newer one":   {100, [3]string{"before", future, "*"}, "join"}, // or its columns would be lost
		"big of a newer version": {bigGroup, [3]string{"before", future, "*"}, "join"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s, log := open(t, Config{Dir: dir})
			for range 3 {
				b := numbered(0, c.rows)
				scatter(b, 10, noon, seeded())
				sealOne(t, s, b)
			}
			db := duck(t)
			segments := s.manifest()
			var before []string
			for c := range flow.Columns() {
				switch c {
				case flow.NextAS, flow.ASPath, flow.Tunnel, flow.TunnelSrcAddr, flow.SrcUser, flow.SegmentID:
				default:
					before = append(before, quoteName(c))
				}
			}
			for i, columns := range c.columns {
				switch columns {
				case "ours":
					continue
				case "before":
					columns = strings.Join(before, ", ")
				}
				path := segments[i].Path
				_, err := db.Exec("COPY (SELECT " + columns + " FROM read_parquet(" + quote(path) + ")) TO " + quote(path+".new") + " (FORMAT parquet, ROW_GROUP_SIZE 1000000)")
				if err == nil {
					err = os.Rename(path+".new", path)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			want := digest(t, db, segments[0].Path, segments[1].Path, segments[2].Path)
			if err := s.merge(t.Context(), segments); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(log.String(), "how="+c.how) {
				t.Errorf("merged otherwise: %s", log)
			}
			merged := s.manifest()[0].Path
			if got := digest(t, db, merged); got != want {
				t.Errorf("after the merge %s, before it %s", got, want)
			}
			if types := columnTypes(t, db, merged); c.columns[1] == future && !strings.HasSuffix(types, "\nfrom_the_future INT32 0 OPTIONAL INT_32\nmore_of_it BYTE_ARRAY 0 OPTIONAL UTF8") {
				t.Errorf("columns:\n%s", types)
			}
			var absent int
			if err := db.QueryRow("SELECT count(*) FROM read_parquet(" + quote(merged) + ") WHERE as_path IS NULL AND next_as IS NULL AND tunnel_src_addr IS NULL").Scan(&absent); err != nil || absent < 3*c.rows+10 {
				t.Errorf("%d rows without the columns that came later, %v", absent, err)
			}
			if rows, _ := census(t, db, dir); rows != int64(3*c.rows+30) {
				t.Errorf("%d rows", rows)
			}
		})
	}
}

// A column that is another thing in one of the segments cannot be copied.
func TestColumnsThatDifferAreNotJoined(t *testing.T) {
	db := duck(t)
	write := func(query string) input {
		path := filepath.Join(t.TempDir(), "x.parquet")
		if _, err := db.Exec("COPY (" + query + ") TO " + quote(path) + " (FORMAT parquet)"); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		in := input{file: f}
		if in.meta, in.end, err = readFooter(f); err != nil {
			t.Fatal(err)
		}
		return in
	}
	plain := write("SELECT 1::UBIGINT AS bytes, 'a' AS extra")
	for query, want := range map[string]bool{
		"SELECT 2::UBIGINT AS bytes, 'b' AS extra": true,
		"SELECT 'b' AS extra":                      true,
		"SELECT 2::UBIGINT AS bytes":               true,
		"SELECT 2::UINTEGER AS bytes":              false,
		"SELECT 2 AS extra":                        false,
		"SELECT [2] AS list":                       false,
		"SELECT 1 AS src_user":                     false,
	} {
		if _, ok := common([]input{plain, write(query)}); ok != want {
			t.Errorf("%s: %v", query, ok)
		}
	}
}

func quoteName(c flow.Column) string { return `"` + c.String() + `"` }

func TestPlan(t *testing.T) {
	day := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	make := func(rows int64, from, to time.Duration) Segment {
		return Segment{SealedFirst: day.Add(from), SealedLast: day.Add(to), Rows: rows, Bytes: rows * 30}
	}
	s, m, h := time.Second, time.Minute, time.Hour
	const avoided = 13
	cases := map[string]struct {
		segments []Segment
		now      time.Duration
		want     []int
	}{
		"nothing":                  {nil, h, nil},
		"the minute is not over":   {[]Segment{make(1, 1*s, 1*s), make(1, 2*s, 2*s)}, 61 * s, nil},
		"the minute is over":       {[]Segment{make(1, 1*s, 1*s), make(1, 2*s, 2*s)}, 63 * s, []int{0, 1}},
		"one is not a run":         {[]Segment{make(1, 1*s, 1*s), make(1, 61*s, 61*s)}, 130 * s, nil},
		"minutes before hours":     {[]Segment{make(1, 0, 59*s), make(1, 1*m, 1*m), make(1, 61*s, 61*s)}, 2 * h, []int{1, 2}},
		"hours":                    {[]Segment{make(1, 0, 59*s), make(1, 1*m, 61*s)}, h + 6*m + 3*s, []int{0, 1}},
		"hours wait for rollups":   {[]Segment{make(1, 0, 59*s), make(1, 1*m, 61*s)}, h + 5*m, nil},
		"days":                     {[]Segment{make(1, 0, h-1), make(1, h, 2*h-1)}, 24*h + 6*m + 3*s, []int{0, 1}},
		"never across days":        {[]Segment{make(1, 23*h, 24*h-1), make(1, 24*h, 24*h+s)}, 100 * h, nil},
		"up to the size":           {[]Segment{make(3<<20, 1*s, 1*s), make(1<<20, 2*s, 2*s), make(1, 3*s, 3*s)}, 1 * h, []int{0, 1}},
		"big ones are left":        {[]Segment{make(3<<20, 1*s, 1*s), make(3<<20, 2*s, 2*s), make(1<<19, 3*s, 3*s)}, 1 * h, []int{1, 2}},
		"an avoided one is a gap":  {[]Segment{make(1, 1*s, 1*s), make(avoided, 2*s, 2*s), make(1, 3*s, 3*s), make(1, 4*s, 4*s)}, h, []int{2, 3}},
		"the size parts hours too": {[]Segment{make(3<<20, 0, m-1), make(3<<20, m, 2*m-1)}, 100 * h, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var want []Segment
			for _, i := range c.want {
				want = append(want, c.segments[i])
			}
			if got := planRun(c.segments, day.Add(c.now), mergeRows, mergeBytes, cover{}.together, func(s Segment) bool { return s.Rows == avoided }); !slices.Equal(got, want) {
				t.Errorf("got %v\nwant %v", got, want)
			}
		})
	}
}

func TestInterruptedMergeCountsOnce(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, Config{Dir: dir})
	for i := range 3 {
		sealOne(t, s, numbered(10*i, 10))
	}
	saved := map[string][]byte{}
	for _, part := range s.manifest() {
		data, err := os.ReadFile(part.Path)
		if err != nil {
			t.Fatal(err)
		}
		saved[part.Path] = data
	}
	if err := s.merge(t.Context(), s.manifest()); err != nil {
		t.Fatal(err)
	}
	s.Close()
	// As if it had been killed before it deleted the parts.
	for path, data := range saved {
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	unfinished := filepath.Join(dir, "tmp", "unfinished.parquet")
	os.WriteFile(unfinished, []byte("PAR1"), 0o644)
	db := duck(t)
	if rows, distinct := census(t, db, dir); rows != 30 || distinct != 30 {
		t.Errorf("%d rows, %d distinct, beside the parts", rows, distinct)
	}
	again, _ := open(t, Config{Dir: dir})
	if stats := again.Stats(); stats.Segments != 1 || stats.Rows != 30 {
		t.Errorf("after the restart: %+v", stats)
	}
	for path := range saved {
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Errorf("%s is still there", path)
		}
	}
	if _, err := os.Stat(unfinished); !os.IsNotExist(err) {
		t.Error("the unfinished file is still there")
	}
}

func TestStampsIncreaseWhateverTheClockDoes(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, Config{Dir: dir})
	now := time.Now()
	a, b, c := s.nextStamp(now), s.nextStamp(now), s.nextStamp(now.Add(-time.Hour))
	if !b.After(a) || !c.After(b) {
		t.Errorf("stamps %v %v %v", a, b, c)
	}
	s.stamp = time.Now().Add(time.Hour).UTC().Truncate(time.Millisecond)
	sealOne(t, s, numbered(0, 1))
	ahead := s.manifest()[0].SealedLast
	s.Close()
	again, _ := open(t, Config{Dir: dir})
	sealOne(t, again, numbered(1, 1))
	if got := again.manifest()[1].SealedFirst; !got.After(ahead) {
		t.Errorf("after a restart %v, before it %v", got, ahead)
	}
}

func TestPinPrunesByFlowTime(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, Config{Dir: dir})
	for i := range 4 {
		sealOne(t, s, numbered(i*1000, 500)) // noon + i seconds, for half a second
	}
	at := func(ms int64) time.Time { return time.UnixMilli(noon + ms) }
	for _, c := range []struct {
		from, to time.Time
		rows     int64
	}{
		{time.Time{}, time.Time{}, 2000},
		{at(1000), at(1999), 500},
		{at(499), at(1000), 1000},
		{at(500), at(999), 0},
		{at(1200), time.Time{}, 1500},
		{time.Time{}, at(1200), 1000},
	} {
		snapshot, err := Pin(dir, c.from, c.to)
		if err != nil {
			t.Fatal(err)
		}
		if snapshot.Rows() != c.rows {
			t.Errorf("from %v to %v: %d rows, want %d", c.from, c.to, snapshot.Rows(), c.rows)
		}
		snapshot.Close()
	}
}

func TestPinnedFilesOutliveTheirNames(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, Config{Dir: dir})
	db := duck(t)
	db.SetMaxOpenConns(1)
	sealOne(t, s, numbered(0, 100))
	first, err := Pin(dir, time.Time{}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	sealOne(t, s, numbered(100, 11))
	if err := s.merge(t.Context(), s.manifest()); err != nil {
		t.Fatal(err)
	}
	if rows, _ := count(t, db, first.Paths()); rows != 100 {
		t.Errorf("a deleted segment gives %d rows", rows)
	}
	// The same descriptor numbers, other files: DuckDB must not mix them up.
	name := first.Paths()[0]
	first.Close()
	var second *Snapshot
	for range 100 { // until the number comes round, should something else have taken it
		if second, err = Pin(dir, time.Time{}, time.Time{}); err != nil {
			t.Fatal(err)
		}
		defer second.Close()
		if second.Paths()[0] == name {
			break
		}
	}
	if second.Paths()[0] != name {
		t.Fatalf("descriptor not reused: %s, %s", name, second.Paths()[0])
	}
	if rows, distinct := count(t, db, second.Paths()); rows != 111 || distinct != 111 {
		t.Errorf("a reused descriptor gives %d rows, %d distinct", rows, distinct)
	}
}

func TestDamagedSegments(t *testing.T) {
	dir := t.TempDir()
	s, log := open(t, Config{Dir: dir})
	for i := range 6 {
		sealOne(t, s, numbered(10*i, 10))
	}
	segments := s.manifest()
	corrupt := func(i int, change func([]byte) []byte) {
		data, err := os.ReadFile(segments[i].Path)
		if err == nil {
			err = os.WriteFile(segments[i].Path, change(data), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	corrupt(0, func(data []byte) []byte { return nil })
	corrupt(2, func(data []byte) []byte { return data[:len(data)/2] })
	snapshot, err := Pin(dir, time.Time{}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	defer snapshot.Close()
	if snapshot.Damaged() != 2 || snapshot.Rows() != 40 {
		t.Errorf("%d damaged, %d rows", snapshot.Damaged(), snapshot.Rows())
	}
	corrupt(4, func(data []byte) []byte { data[220] ^= 1; return data })
	if err := os.Remove(segments[5].Path); err != nil { // by a person
		t.Fatal(err)
	}
	if err := s.merge(t.Context(), segments); err != nil {
		t.Fatal(err)
	}
	if rows, distinct := census(t, duck(t), dir); rows != 20 || distinct != 20 {
		t.Errorf("%d rows, %d distinct of the two whole segments", rows, distinct)
	}
	aside, _ := os.ReadDir(filepath.Join(dir, "damaged"))
	if len(aside) != 3 || strings.Count(log.String(), "was set aside") != 3 || s.Stats().Rows != 20 {
		t.Errorf("%d files set aside; %+v; log:\n%s", len(aside), s.Stats(), log)
	}
}

// Whatever happened to a file: readers leave it out or fail on it alone, the
// server sets it aside or leaves it alone, and all others are merged and rolled
// up as if it were not there.
func TestEveryKindOfDamage(t *testing.T) {
	change := func(f func([]byte) []byte) func(string) error {
		return func(path string) error {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			return os.WriteFile(path, f(data), 0o644)
		}
	}
	for name, c := range map[string]struct {
		damage func(path string) error
		hidden bool // from readers, before the server has found it
		left   bool // where it is, for whoever repairs it
		rollUp bool // finds it first
	}{
		"nothing in it":     {damage: change(func([]byte) []byte { return nil }), hidden: true},
		"torn":              {damage: change(func(data []byte) []byte { return data[:len(data)*2/3] }), hidden: true},
		"no end mark":       {damage: change(func(data []byte) []byte { copy(data[len(data)-4:], "PAR2"); return data }), hidden: true},
		"no footer":         {damage: change(func(data []byte) []byte { clear(data[len(data)-60 : len(data)-8]); return data })},
		"a flipped bit":     {damage: change(func(data []byte) []byte { data[300] ^= 4; return data })},
		"a flipped bit too": {damage: change(func(data []byte) []byte { data[300] ^= 4; return data }), rollUp: true},
		"a directory":       {damage: func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o755)) }, hidden: true},
		"gone":              {damage: os.Remove, hidden: true, left: true},
		"forbidden":         {damage: func(path string) error { return os.Chmod(path, 0) }, hidden: true, left: true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s, log := open(t, Config{Dir: dir})
			s.stamp = time.Now().UTC().Truncate(time.Minute).Add(time.Minute) // all in the same minute
			for i := range 5 {
				sealOne(t, s, numbered(1000*i, 1000))
			}
			bad := s.manifest()[2]
			if err := c.damage(bad.Path); err != nil {
				t.Fatal(err)
			}
			if name == "forbidden" {
				asNobody(t, dir)
			}
			db := duck(t)
			if c.hidden {
				snapshot, err := Pin(dir, time.Time{}, time.Time{})
				if err != nil {
					t.Fatal(err)
				}
				if snapshot.Rows() != 4000 || (snapshot.Damaged() == 1) != (name != "gone") {
					t.Errorf("readers see %d rows and %d damaged files", snapshot.Rows(), snapshot.Damaged())
				}
				snapshot.Close()
			}
			later := time.Now().Add(4 * time.Minute)
			if c.rollUp {
				for range 100 {
					if worked, err := s.maintainRollups(t.Context(), later.Add(time.Hour)); err != nil {
						t.Fatal(err)
					} else if !worked {
						break
					}
				}
			}
			// As maintain does.
			for range 10 {
				run := s.planMerge(later)
				if run == nil {
					break
				}
				if err := s.merge(t.Context(), run); err != nil {
					s.leave(run)
				}
			}
			if !c.left {
				aside, err := os.ReadDir(filepath.Join(dir, "damaged"))
				if err != nil || len(aside) != 1 || strings.Count(log.String(), "was set aside") != 1 {
					t.Errorf("set aside: %v, %v; log:\n%s", aside, err, log)
				}
			}
			want := 1
			if name == "forbidden" { // nothing may be merged across it
				if want = 3; !strings.Contains(log.String(), "permission denied") {
					t.Errorf("the log does not say why:\n%s", log)
				}
			}
			if left := s.manifest(); len(left) != want {
				t.Errorf("%d segments are left: %v", len(left), left)
			}
			snapshot, err := Pin(dir, time.Time{}, time.Time{})
			if err != nil {
				t.Fatal(err)
			}
			defer snapshot.Close()
			if rows, distinct := count(t, db, snapshot.Paths()); rows != 4000 || distinct != 4000 {
				t.Errorf("%d rows, %d distinct", rows, distinct)
			}
		})
	}
}

// asNobody takes root's rights over files in dir from the goroutine of a test
// until it ends: its thread is thrown away with it.
func asNobody(t *testing.T, dir string) {
	t.Helper()
	const nobody = 65534
	if os.Geteuid() != 0 {
		return
	}
	err := filepath.WalkDir(filepath.Dir(dir), func(path string, _ os.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(path, nobody, nobody))
	})
	if err != nil {
		t.Fatal(err)
	}
	runtime.LockOSThread()
	for range 2 { // the second tells what the first did
		if was, _ := unix.SetfsuidRetUid(nobody); was == nobody {
			return
		}
	}
	t.Fatal("cannot lay down the rights of root")
}

// Pages that DuckDB wrote, as in the merged files of earlier versions, carry no
// checksum: whoever decodes them notices.
func TestDamagedMergedSegment(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, Config{Dir: dir})
	b := flow.NewBatch(1)
	generate(b, 2000, noon, seeded())
	sealOne(t, s, b)
	path := s.manifest()[0].Path
	if _, err := duck(t).Exec("COPY (FROM read_parquet(" + quote(path) + ")) TO " + quote(path+".new") + " (FORMAT parquet, COMPRESSION zstd)"); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path + ".new")
	if err != nil {
		t.Fatal(err)
	}
	for i := 100; i < len(data)/2; i++ {
		data[i] = 0xa5
	}
	if err := errors.Join(os.Remove(path+".new"), os.WriteFile(path, data, 0o644)); err != nil {
		t.Fatal(err)
	}
	sealOne(t, s, numbered(0, 10))
	sealOne(t, s, numbered(10, 10))
	for range 2 { // one to find it, one without it
		if err := s.merge(t.Context(), s.manifest()); err != nil {
			t.Fatal(err)
		}
	}
	if stats := s.Stats(); stats.Segments != 1 || stats.Rows != 20 {
		t.Errorf("%+v", stats)
	}
	if aside, _ := os.ReadDir(filepath.Join(dir, "damaged")); len(aside) != 1 {
		t.Errorf("%d files set aside", len(aside))
	}
}

func TestRetention(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, Config{Dir: dir, MaxAge: time.Hour})
	s.stamp = time.Now().Add(-2 * time.Hour).UTC().Truncate(time.Millisecond)
	for i := range 3 { // the clock stood still: stamps are one millisecond apart
		u := &unsealed{batch: numbered(i, 1), stamp: s.stamp.Add(time.Duration(i) * time.Millisecond)}
		if err := s.seal(u); err != nil {
			t.Fatal(err)
		}
	}
	sealOne(t, s, numbered(3, 1))
	sealOne(t, s, numbered(4, 1))
	if err := s.retain(time.Now()); err != nil {
		t.Fatal(err)
	}
	if stats := s.Stats(); stats.Rows != 2 {
		t.Errorf("by age: %+v", stats)
	}
	s.cfg.MaxBytes = s.Stats().Bytes - 1
	if err := s.retain(time.Now()); err != nil {
		t.Fatal(err)
	}
	left, err := Segments(dir)
	if err != nil || len(left) != 1 || left[0].Start.UnixMilli() != noon+4 {
		t.Errorf("by size: %v, %v", left, err)
	}
}

func TestSecondServerIsToldWhoHoldsTheDirectory(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, Config{Dir: dir})
	_, err := Open(Config{Dir: dir}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err == nil || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), fmt.Sprintf("process %d:", os.Getpid())) {
		t.Errorf("second server: %v", err)
	}
	s.Close()
	open(t, Config{Dir: dir})
}

func TestUnusableDirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	os.WriteFile(file, nil, 0o644)
	_, err := Open(Config{Dir: file}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err == nil || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "choose another") {
		t.Errorf("a file as directory: %v", err)
	}
	if _, err := Segments(file + ".missing"); err == nil {
		t.Error("a missing directory is listed")
	}
	if _, err := Pin(file+".missing", time.Time{}, time.Time{}); err == nil {
		t.Error("a missing directory is pinned")
	}
	snapshot, err := Pin(t.TempDir(), time.Time{}, time.Time{})
	if err != nil || len(snapshot.Paths()) != 0 {
		t.Errorf("an empty directory: %v, %v", snapshot, err)
	}
}

// Nothing can be written while a file stands where the temporary directory
// should be; later it can.
func TestRowsWaitWhileTheDiskFails(t *testing.T) {
	dir := t.TempDir()
	s, log := open(t, Config{Dir: dir, Seal: 10 * time.Millisecond, SealRows: 100, MaxUnsealed: 300})
	sealOne(t, s, numbered(0, 10))
	tmp := filepath.Join(dir, "tmp")
	if err := errors.Join(os.Remove(tmp), os.WriteFile(tmp, nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	stop := run(t, s)
	if err := s.Write(numbered(10, 1)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the failure is noticed", func() bool { return s.Healthy() != nil })
	var lost uint64
	for i := 11; i < 1011; i++ {
		if err := s.Write(numbered(i, 1)); errors.Is(err, ErrFull) {
			lost++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	stats := s.Stats()
	if stats.LostRows != lost || lost == 0 || stats.UnsealedRows+int64(lost) != 1001 || stats.UnsealedRows > 300 {
		t.Errorf("stats %+v, lost %d", stats, lost)
	}
	if err := errors.Join(os.Remove(tmp), os.Mkdir(tmp, 0o755)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "everything sealed", func() bool { return s.Stats().UnsealedRows == 0 && s.Healthy() == nil })
	stop()
	want := int64(1011) - int64(lost)
	if rows, distinct := census(t, duck(t), dir); rows != want || distinct != want {
		t.Errorf("%d rows, %d distinct, want %d", rows, distinct, want)
	}
	if n := strings.Count(log.String(), "level=ERROR"); n == 0 || n > 3 || !strings.Contains(log.String(), "help=") {
		t.Errorf("%d errors logged:\n%s", n, log)
	}
}

// smallDisk mounts a disk of a size, and returns what resizes it.
func smallDisk(t *testing.T, size string) (dir string, resize func(size string)) {
	t.Helper()
	dir = t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("cannot mount a small disk: %v", err)
		}
		t.Skipf("SKIPPED: a full disk needs root to mount one: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	return dir, func(size string) {
		if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT, "size="+size); err != nil {
			t.Fatal(err)
		}
	}
}

// A disk fills up under load: what was sealed stays whole and readable, memory
// keeps its bound, the loss is counted and said; and when there is room again,
// made by a person or by retention, it goes on by itself.
func TestFullDisk(t *testing.T) {
	for _, how := range []string{"room is made", "retention"} {
		t.Run(how, func(t *testing.T) {
			dir, resize := smallDisk(t, "1m")
			const bound = 20_000
			s, log := open(t, Config{Dir: dir, Seal: 10 * time.Millisecond, SealRows: 5000, MaxUnsealed: bound})
			rng, accepted, refused := seeded(), 0, 0
			batch := func() *flow.Batch {
				b := flow.NewBatch(1)
				generate(b, 1000, noon, rng)
				return b
			}
			stop := run(t, s)
			for s.Healthy() == nil || refused < 5 {
				switch err := s.Write(batch()); {
				case err == nil:
					accepted += 1000
				case errors.Is(err, ErrFull):
					refused++
				default:
					t.Fatal(err)
				}
			}
			stats := s.Stats()
			if stats.LostRows == 0 || stats.LostRows > uint64(1000*refused) || stats.UnsealedRows > bound {
				t.Errorf("%d batches were refused: %+v", refused, stats)
			}
			if err := s.Healthy(); !errors.Is(err, unix.ENOSPC) {
				t.Errorf("healthy on a full disk: %v", err)
			}
			if !strings.Contains(log.String(), "free space on the disk") {
				t.Errorf("no advice:\n%s", log)
			}
			db := duck(t)
			if rows, _ := census(t, db, dir); rows < stats.Rows {
				t.Errorf("%d rows of %d survive on the full disk", rows, stats.Rows)
			}
			if left, _ := filepath.Glob(filepath.Join(dir, "tmp", "*")); len(left) > 1 { // one is tried at this moment, perhaps
				t.Errorf("unfinished files stay on the full disk: %v", left)
			}
			lost := s.Stats().LostRows
			kept := int64(0)
			if how == "room is made" {
				resize("64m")
				kept = int64(accepted)
			}
			settled := func() bool {
				if how == "retention" { // as maintain does, with a size that the disk has room for
					if err := s.retainTable(flowsDir, s.manifest(), Limits{MaxBytes: 200 << 10}, time.Now()); err != nil {
						t.Fatal(err)
					}
				}
				return s.Stats().UnsealedRows == 0 && s.Healthy() == nil
			}
			eventually(t, "everything sealed", settled)
			if err := s.Write(batch()); err != nil {
				t.Errorf("with room again: %v", err)
			}
			eventually(t, "what came then is sealed", settled)
			stop()
			stats = s.Stats()
			if rows, _ := census(t, db, dir); rows != stats.Rows || rows < kept || stats.LostRows < lost {
				t.Errorf("%d rows; want at least %d; %+v", rows, kept, stats)
			}
			s.Close()
		})
	}
}

// A merge that finds no room leaves its parts where they are, and nothing else.
func TestMergeOnAFullDisk(t *testing.T) {
	for _, rows := range []int{5000, bigGroup} { // re-encoded, joined
		dir, resize := smallDisk(t, "64m")
		s, log := open(t, Config{Dir: dir})
		rng := seeded()
		for range 3 {
			b := flow.NewBatch(1)
			generate(b, rows, noon, rng)
			sealOne(t, s, b)
		}
		parts := s.manifest()
		used := int64(0)
		for _, part := range parts {
			used += part.Bytes
		}
		resize(fmt.Sprintf("%dk", (used+used/3)>>10))
		db := duck(t)
		if err := s.merge(t.Context(), parts); !errors.Is(err, unix.ENOSPC) {
			t.Fatalf("a merge without room: %v", err)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "tmp", "*")); len(left) > 0 {
			t.Errorf("it left %v", left)
		}
		if got, _ := census(t, db, dir); got != int64(3*rows) || !slices.Equal(s.manifest(), parts) {
			t.Errorf("%d rows of %d", got, 3*rows)
		}
		resize("64m")
		if err := s.merge(t.Context(), parts); err != nil {
			t.Fatal(err)
		}
		if got, _ := census(t, db, dir); got != int64(3*rows) || len(s.manifest()) != 1 {
			t.Errorf("%d rows of %d, in %d segments\n%s", got, 3*rows, len(s.manifest()), log)
		}
		s.Close()
	}
}

// Writers, seals, merges and readers at once: what is sealed is seen, once.
func TestReadersAlwaysSeeEachSealedRowOnce(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, Config{Dir: dir, Seal: 5 * time.Millisecond, SealRows: 2000})
	stop := run(t, s)
	var next atomic.Int64
	finished := make(chan struct{})
	var workers, readers sync.WaitGroup
	for range 2 {
		workers.Go(func() {
			for range 150 {
				if err := s.Write(numbered(int(next.Add(20))-20, 20)); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
	merged := 0
	readers.Go(func() {
		merged = mergeEagerly(s, func(err error) { t.Error(err) }, finished)
	})
	db := duck(t)
	readers.Go(func() {
		for {
			least := s.Stats().Rows
			rows, distinct := census(t, db, dir)
			if rows < least || rows != distinct {
				t.Errorf("%d rows, %d distinct, at least %d were sealed", rows, distinct, least)
			}
			segments, err := Segments(dir)
			if err != nil {
				t.Error(err)
			}
			var named int64
			for _, segment := range segments {
				named += segment.Rows
			}
			if named < least {
				t.Errorf("%d rows listed, at least %d were sealed", named, least)
			}
			select {
			case <-finished:
				return
			default:
			}
		}
	})
	workers.Wait()
	close(finished)
	readers.Wait()
	stop()
	if rows, distinct := census(t, db, dir); rows != 6000 || distinct != 6000 {
		t.Errorf("%d rows, %d distinct in the end", rows, distinct)
	}
	if merged == 0 {
		t.Error("nothing was merged")
	}
}

// mergeEagerly merges whatever there is, much more often than the policy does.
func mergeEagerly(s *Store, failed func(error), finished <-chan struct{}) (merges int) {
	for {
		if all := s.manifest(); len(all) > 3 && sameDay(all[:4]) {
			if err := s.merge(context.Background(), all[:4]); err != nil {
				failed(err)
			}
			merges++
		}
		select {
		case <-finished:
			return merges
		case <-time.After(time.Millisecond):
		}
	}
}

func sameDay(segments []Segment) bool {
	return filepath.Dir(segments[0].Path) == filepath.Dir(segments[len(segments)-1].Path)
}
