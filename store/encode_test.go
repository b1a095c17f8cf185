package store

import (
	"database/sql"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/duckdb/duckdb-go/v2"

	"github.com/minamo-flow/minamo/flow"
)

const noon = 1_795_435_200_000 // 2026-11-23T12:00:00Z

func seeded() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

func duck(t testing.TB) *sql.DB {
	t.Helper()
	db, err := sql.Open("duckdb", "?enable_external_file_cache=false&threads=2")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// everyColumn makes a file without rows that has all columns: segments leave
// out those that none of their flows has.
func everyColumn(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), columnsFile)
	if err := os.WriteFile(path, columnsTable(), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// fileText is what DuckDB reads from files, as a text a row.
func fileText(t testing.TB, db *sql.DB, paths ...string) []string {
	t.Helper()
	var columns []string
	for c := range flow.Columns() {
		name := `"` + c.String() + `"`
		if flow.Schema[c].Kind == flow.Time {
			name = "epoch_us(" + name + ")"
		}
		columns = append(columns, "coalesce("+name+"::VARCHAR, '-')")
	}
	paths = append([]string{everyColumn(t)}, paths...)
	for i := range paths {
		paths[i] = quote(paths[i])
	}
	rows, err := db.Query("SELECT concat_ws(' ', " + strings.Join(columns, ", ") + ") FROM read_parquet([" + strings.Join(paths, ", ") + "], union_by_name = true)")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var texts []string
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			t.Fatal(err)
		}
		texts = append(texts, text)
	}
	if rows.Err() != nil {
		t.Fatal(rows.Err())
	}
	return texts
}

// batchText is the same of a batch.
func batchText(b *flow.Batch) []string {
	texts := make([]string, b.Len())
	var values [flow.MaxColumns]string
	for i := range texts {
		for c := range flow.Columns() {
			switch {
			case !b.Present[i].Has(c):
				values[c] = "-"
			case flow.Schema[c].Kind == flow.Address:
				a := b.Addr(c)[i]
				h := hex.EncodeToString(a[:])
				values[c] = h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
			case flow.Schema[c].Kind == flow.Time:
				values[c] = fmt.Sprint(b.Time(c)[i] * 1000)
			case flow.Schema[c].Kind == flow.Text:
				values[c] = string(b.Text(c, i))
			default:
				values[c] = fmt.Sprint(b.Uint(c, i))
			}
		}
		texts[i] = strings.Join(values[:flow.Columns()], " ")
	}
	return texts
}

func TestEncodedFilesReadBackEqual(t *testing.T) {
	db := duck(t)
	e := newEncoder()
	path := filepath.Join(t.TempDir(), "x.parquet")
	cases := map[string]*flow.Batch{}
	for _, n := range []int{1, 2, 7, 8, 9, 100, 1500} {
		b := flow.NewBatch(n)
		scatter(b, n, noon, seeded())
		cases[fmt.Sprintf("scatter %d", n)] = b
	}
	for _, n := range []int{1, 10_000} {
		b := flow.NewBatch(n)
		generate(b, n, noon, seeded())
		cases[fmt.Sprintf("generate %d", n)] = b
	}
	for name, b := range cases {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(path, e.encode(b), 0o644); err != nil {
				t.Fatal(err)
			}
			got, want := fileText(t, db, path), batchText(b)
			if len(got) != len(want) {
				t.Fatalf("%d rows, want %d", len(got), len(want))
			}
			for i := range got {
				if got[i] != want[i] {
					t.Fatalf("row %d:\ngot  %s\nwant %s", i, got[i], want[i])
				}
			}
		})
	}
}

func BenchmarkEncode(b *testing.B) {
	for _, n := range []int{10, 100, 1000, 10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			batch := flow.NewBatch(n)
			generate(batch, n, noon, seeded())
			e := newEncoder()
			var size int
			start := time.Now()
			for b.Loop() {
				size = len(e.encode(batch))
			}
			b.ReportMetric(float64(time.Since(start).Nanoseconds())/float64(b.N)/float64(n), "ns/row")
			b.ReportMetric(float64(size)/float64(n), "bytes/row")
		})
	}
}

// Texts cost memory by what they are, not by how many rows have them.
func TestTextsAreEncodedInPlace(t *testing.T) {
	e := newEncoder()
	allocations := func(rows int) float64 {
		b := numbered(0, rows)
		for i := range rows {
			b.SetText(flow.SrcUser, i, fmt.Append(nil, "user", i%100))
			b.SetText(flow.ASPath, i, fmt.Append(nil, "64496 ", i)) // all differ
		}
		e.encode(b) // the encoder's own buffers grow
		return testing.AllocsPerRun(3, func() { e.encode(b) })
	}
	few, many := allocations(1000), allocations(20_000)
	if many > few+100 {
		t.Errorf("%v allocations for 1,000 rows, %v for 20,000", few, many)
	}
}
