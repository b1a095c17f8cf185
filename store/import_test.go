package store

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minamo-flow/minamo/flow"
)

func beginImport(t *testing.T, dir string) *Import {
	t.Helper()
	im, err := BeginImport(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return im
}

// TestImport demands that flows are there after Commit, all of them and in
// order, and not a moment before; and that no trace is left of those that were
// given up.
func TestImport(t *testing.T) {
	dir := t.TempDir()
	want := flow.NewBatch(1)
	generate(want, 150_000, noon, seeded())
	for _, end := range []string{"abort", "kill", "commit"} {
		im := beginImport(t, dir)
		if _, err := BeginImport(dir, im.store.log); err == nil {
			t.Fatal("two imports at once")
		}
		for from := 0; from < want.Len(); from += 7_000 {
			b := flow.NewBatch(1)
			b.Append(want, from, min(from+7_000, want.Len()))
			if err := im.Write(b); err != nil {
				t.Fatal(err)
			}
		}
		if segments, _ := Segments(dir); len(segments) > 0 {
			t.Fatalf("%s: flows are seen before the end", end)
		}
		switch end {
		case "abort":
			if err := im.Abort(); err != nil {
				t.Fatal(err)
			}
		case "kill": // the kernel would free the lock
			im.store.lock.Close()
			if left, _ := filepath.Glob(filepath.Join(dir, "tmp", "*")); len(left) == 0 {
				t.Fatal("nothing was written yet: the test is worthless")
			}
			s, _ := open(t, Config{Dir: dir})
			s.Close()
		case "commit":
			segments, err := im.Commit()
			if err != nil || len(segments) != 2 {
				t.Fatalf("%d segments, %v", len(segments), err)
			}
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "tmp", "*")); len(left) > 0 {
			t.Errorf("%s left %v", end, left)
		}
	}
	segments, err := Segments(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got, sent []string // big segments are sorted
	for i := range want.Len() {
		sent = append(sent, string(want.AppendJSON(nil, i)))
	}
	for _, s := range segments {
		err := Read(s.Path, flow.Mask{}, func(b *flow.Batch) error {
			for i := range b.Len() {
				got = append(got, string(b.AppendJSON(nil, i)))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(got)
	slices.Sort(sent)
	if !slices.Equal(got, sent) {
		t.Errorf("%d rows of %d, or others", len(got), len(sent))
	}
	if c := check(t, dir, true); len(c.Findings) > 0 {
		t.Errorf("%+v", c.Findings)
	}
}

// TestCheckImport tries files that are none of ours.
func TestCheckImport(t *testing.T) {
	dir := t.TempDir()
	db := duck(t)
	for _, c := range []struct{ sql, want string }{
		{"SELECT 1::UINTEGER AS colour", "columns colour are not known"},
		{"SELECT 1::UINTEGER AS in_if", "it has no columns received, exporter, "},
		{"SELECT 'a' AS in_if", "column in_if has another type than uint32"},
		{"SELECT 1.5 AS packets", "column packets has another type than uint64"},
		{"SELECT [1, 2] AS in_if", "it is no file of flows"},
		{"SELECT {a: 1} AS in_if", "it is no file of flows"},
	} {
		path := filepath.Join(dir, "x.parquet")
		if _, err := db.Exec("COPY (" + c.sql + ") TO " + quote(path) + " (FORMAT parquet)"); err != nil {
			t.Fatal(err)
		}
		if _, err := CheckImport(path, false); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %s", c.sql, err, c.want)
		}
	}
}

// TestReadable has DuckDB write what Read does not understand, and demands
// that its copy has the same values.
func TestReadable(t *testing.T) {
	dir := t.TempDir()
	b := flow.NewBatch(1)
	generate(b, 3000, noon, seeded())
	s, err := WriteSegment(dir, b, time.UnixMilli(noon))
	if err != nil {
		t.Fatal(err)
	}
	for i := range b.Len() {
		b.U32(flow.ObservationDomain)[i] = uint32(i) * 2654435761 // all 32 bits
	}
	if s, err = WriteSegment(dir, b, time.UnixMilli(noon+1)); err != nil {
		t.Fatal(err)
	}
	want := valuesOf(t, s.Path)
	wide := filepath.Join(dir, "wide.parquet")
	if _, err := duck(t).Exec("COPY (SELECT * FROM read_parquet(" + quote(s.Path) + ", hive_partitioning = false)) TO " + quote(wide) + " (FORMAT parquet, COMPRESSION zstd, PARQUET_VERSION v2)"); err != nil {
		t.Fatal(err)
	}
	if yes, err := isWide(wide); !yes || err != nil {
		t.Fatalf("DuckDB writes no such file any more: %v", err)
	}
	path, done, err := Readable(t.Context(), wide, dir)
	if err != nil {
		t.Fatal(err)
	}
	if path == wide || !bytes.Equal(valuesOf(t, path), want) {
		t.Error("the copy has other values")
	}
	done()
	if _, err := os.Stat(path); err == nil {
		t.Error("the copy is left behind")
	}
	if path, _, err := Readable(t.Context(), s.Path, dir); path != s.Path || err != nil {
		t.Errorf("%s is copied, %v", s.Path, err)
	}
}

// FuzzCheckImport demands that no file panics, or takes more memory than it
// may, and that what is let in can be read to its end, or is an error.
func FuzzCheckImport(f *testing.F) {
	dir := f.TempDir()
	b := flow.NewBatch(1)
	scatter(b, 20, noon, seeded())
	s, err := WriteSegment(dir, b, time.UnixMilli(noon))
	if err != nil {
		f.Fatal(err)
	}
	data, err := os.ReadFile(s.Path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(columnsTable())
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "x.parquet")
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if rows, err := CheckImport(path, true); err == nil && rows < 1<<16 {
			verifyFile(t.Context(), flowsDir, Segment{Path: path, Rows: rows}, func(int64) {})
		}
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > 2*maxPage {
			t.Errorf("took %d bytes for a file of %d", took, len(data))
		}
	})
}
