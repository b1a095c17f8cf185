package store

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/minamo-flow/minamo/flow"
)

// TestWriter writes row groups that have different columns, and demands the
// same flows of our reader, and the same table of DuckDB.
func TestWriter(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "all.parquet")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := NewWriter(f)
	random := seeded()
	var want []byte
	var segments []string
	for i, n := range []int{writerRows, 1, writerRows - 1, 500} {
		b := flow.NewBatch(1)
		if i == 3 {
			scatter(b, n, noon, random) // has columns that the others lack
		} else {
			generate(b, n, noon, random)
		}
		for row := range b.Len() {
			want = append(b.AppendJSON(want, row), '\n')
		}
		s, err := WriteSegment(dir, b, time.UnixMilli(noon+int64(i)))
		if err != nil {
			t.Fatal(err)
		}
		segments = append(segments, s.Path)
		if err := w.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if rows, err := CheckImport(path, false); err != nil || rows != 2*writerRows+500 {
		t.Fatalf("%d rows, %v", rows, err)
	}
	if !bytes.Equal(valuesOf(t, path), want) {
		t.Error("flows differ")
	}
	db := duck(t)
	if ours, theirs := digest(t, db, path), digest(t, db, segments...); ours != theirs {
		t.Errorf("DuckDB reads %s of the file, %s of the segments", ours, theirs)
	}
}

// TestWriterOfNothing demands a file that can be read, with every column.
func TestWriterOfNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none.parquet")
	var out bytes.Buffer
	if err := NewWriter(&out).Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	if rows, err := CheckImport(path, false); rows != 0 || err != nil {
		t.Errorf("%d rows, %v", rows, err)
	}
	var rows, columns int
	db := duck(t)
	if err := db.QueryRow("SELECT (SELECT count(*) FROM read_parquet("+quote(path)+")), (SELECT count(*) FROM (DESCRIBE FROM read_parquet("+quote(path)+")))").Scan(&rows, &columns); err != nil {
		t.Fatal(err)
	}
	if rows != 0 || columns != int(flow.Columns()) {
		t.Errorf("%d rows, %d columns", rows, columns)
	}
}

func BenchmarkWriter(b *testing.B) {
	batch := flow.NewBatch(1)
	generate(batch, 50_000, noon, seeded())
	for b.Loop() {
		w := NewWriter(io.Discard)
		for range 10 {
			if err := w.Write(batch); err != nil {
				b.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*500_000/b.Elapsed().Seconds(), "flows/s")
}
