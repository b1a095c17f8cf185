package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/minamo-flow/minamo/flow"
)

// readBack is all that Read gives of a file, as a text a row.
func readBack(t testing.TB, path string) []string {
	t.Helper()
	var texts []string
	if err := Read(path, flow.Mask{}, func(b *flow.Batch) error {
		texts = append(texts, batchText(b)...)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return texts
}

// inOrder makes texts of rows comparable: big row groups are sorted.
func inOrder(texts []string) []string {
	slices.Sort(texts)
	return texts
}

func TestReadGivesBackWhatWasWritten(t *testing.T) {
	db := duck(t)
	for name, n := range map[string]int{"one": 1, "some": 1500, "more than one batch": readRows + 7} {
		t.Run(name, func(t *testing.T) {
			b := flow.NewBatch(n)
			scatter(b, n, noon, seeded())
			own := filepath.Join(t.TempDir(), "own.parquet")
			if err := os.WriteFile(own, newEncoder().encode(b), 0o644); err != nil {
				t.Fatal(err)
			}
			want := inOrder(batchText(b))
			if !slices.Equal(inOrder(readBack(t, own)), want) {
				t.Error("our own file differs")
			}
			for _, version := range []string{"v1", "v2"} {
				other := filepath.Join(t.TempDir(), version+".parquet")
				if _, err := db.Exec(fmt.Sprintf("COPY (FROM read_parquet(%s)) TO %s (FORMAT parquet, COMPRESSION zstd, PARQUET_VERSION %s)", quote(own), quote(other), version)); err != nil {
					t.Fatal(err)
				}
				if version == "v2" {
					// Numbers over all 32 bits are too far apart for the decoder; it must say so.
					if err := Read(other, flow.Mask{}, func(*flow.Batch) error { return nil }); !errors.Is(err, errWideDeltas) {
						t.Errorf("DuckDB's file (v2): %v", err)
					}
					continue
				}
				if !slices.Equal(inOrder(readBack(t, other)), want) {
					t.Errorf("DuckDB's file (%s) differs", version)
				}
			}
		})
	}
}

// A merged segment of an older version, by DuckDB in its second format.
func TestReadOlderSegments(t *testing.T) {
	db := duck(t)
	b := flow.NewBatch(200_000)
	generate(b, 200_000, noon, seeded())
	own, other := filepath.Join(t.TempDir(), "own.parquet"), filepath.Join(t.TempDir(), "other.parquet")
	if err := os.WriteFile(own, newEncoder().encode(b), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(fmt.Sprintf("COPY (FROM read_parquet(%s)) TO %s (FORMAT parquet, COMPRESSION zstd, PARQUET_VERSION v2)", quote(own), quote(other))); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(inOrder(readBack(t, other)), inOrder(batchText(b))) {
		t.Error("it differs")
	}
}

func TestReadSomeColumns(t *testing.T) {
	b := numbered(0, 100)
	path := filepath.Join(t.TempDir(), "x.parquet")
	if err := os.WriteFile(path, newEncoder().encode(b), 0o644); err != nil {
		t.Fatal(err)
	}
	err := Read(path, flow.MaskOf(flow.Packets), func(got *flow.Batch) error {
		for i := range got.Len() {
			if !got.Present[i].Has(flow.Packets) || got.Present[i].Has(flow.Start) || got.U64(flow.Packets)[i] != b.U64(flow.Packets)[i] {
				t.Fatalf("row %d differs", i)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A bit that flips anywhere in a page is noticed.
func TestReadNoticesDamage(t *testing.T) {
	b := flow.NewBatch(2000)
	generate(b, 2000, noon, seeded())
	whole := slices.Clone(newEncoder().encode(b))
	path := filepath.Join(t.TempDir(), "x.parquet")
	random := seeded()
	noticed := 0
	for range 200 {
		data := slices.Clone(whole)
		data[4+random.IntN(len(data)-8)] ^= 1 << random.IntN(8)
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		if Read(path, flow.Mask{}, func(*flow.Batch) error { return nil }) != nil {
			noticed++
		}
	}
	if noticed < 180 { // the rest hits statistics, which Read does not use
		t.Errorf("%d of 200 flipped bits were noticed", noticed)
	}
}

func BenchmarkRead(b *testing.B) {
	const n = 100_000
	batch := flow.NewBatch(n)
	generate(batch, n, noon, seeded())
	path := filepath.Join(b.TempDir(), "x.parquet")
	if err := os.WriteFile(path, newEncoder().encode(batch), 0o644); err != nil {
		b.Fatal(err)
	}
	start := time.Now()
	for b.Loop() {
		if err := Read(path, flow.Mask{}, func(*flow.Batch) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(time.Since(start).Nanoseconds())/float64(b.N)/n, "ns/row")
}
