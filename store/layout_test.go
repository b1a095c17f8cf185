package store

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/minamo-flow/minamo/flow"
)

// The benchmarks behind the choices of layout; docs/storage.md has the table.
// With MINAMO_LAYOUT they work on segments of that directory, such as the
// flows/DAY that bench/day makes, else on generated ones.

// layoutSegments are files with a million flows or more.
func layoutSegments(b *testing.B) (paths []string) {
	if dir := os.Getenv("MINAMO_LAYOUT"); dir != "" {
		paths, _ = filepath.Glob(filepath.Join(dir, "*.parquet"))
		if paths = paths[len(paths)/2:]; len(paths) > 15 {
			paths = paths[:15]
		}
		return paths
	}
	dir, rng, e := b.TempDir(), seeded(), newEncoder()
	for i := range 40 {
		batch := flow.NewBatch(1)
		generate(batch, 30_000, noon+int64(i)*30_000, rng)
		path := filepath.Join(dir, fmt.Sprint(i, ".parquet"))
		if err := os.WriteFile(path, e.encode(batch), 0o644); err != nil {
			b.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}

// processorTime is what the process has used: neighbours on the machine do not
// count, which a clock would.
func processorTime() time.Duration {
	var u unix.Rusage
	unix.Getrusage(unix.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkSeal is a batch on its way to a file: sorted, encoded, compressed.
func BenchmarkSeal(b *testing.B) {
	paths := layoutSegments(b)
	batch := flow.NewBatch(1)
	for _, path := range paths {
		if err := Read(path, flow.Mask{}, func(more *flow.Batch) error {
			batch.Append(more, 0, min(more.Len(), 1<<17-batch.Len()))
			return nil
		}); err != nil {
			b.Fatal(err)
		}
	}
	for _, sorts := range []bool{false, true} {
		b.Run(fmt.Sprint("sorts=", sorts), func(b *testing.B) {
			e := newEncoder()
			e.sorts = sorts
			size := len(e.encode(batch))
			runtime.GC()
			begin := processorTime()
			for b.Loop() {
				e.encode(batch)
			}
			rows := float64(b.N) * float64(batch.Len())
			b.ReportMetric(float64(processorTime()-begin)/rows, "cpu-ns/row")
			b.ReportMetric(float64(size)/float64(batch.Len()), "bytes/row")
		})
	}
}

// BenchmarkMerge is small segments becoming a big one, with the check of what
// was written; and how long DuckDB then takes for the typical questions.
func BenchmarkMerge(b *testing.B) {
	var inputs []input
	rows := 0.0
	for _, path := range layoutSegments(b) {
		f, err := os.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { f.Close() })
		in := input{file: f}
		if in.meta, in.end, err = readFooter(f); err != nil {
			b.Fatal(err)
		}
		rows += float64(in.meta.NumRows)
		inputs = append(inputs, in)
	}
	path, e := filepath.Join(b.TempDir(), "merged.parquet"), newEncoder()
	b.Run("reencode", func(b *testing.B) {
		begin := processorTime()
		for b.Loop() {
			if err := e.reencode(context.Background(), path, inputs); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(processorTime()-begin)/float64(b.N)/rows, "cpu-ns/row")
		info, _ := os.Stat(path)
		b.ReportMetric(float64(info.Size())/rows, "bytes/row")
	})
	db := duck(b)
	var parts string
	for i, in := range inputs {
		if i > 0 {
			parts += ", "
		}
		parts += quote(in.file.Name())
	}
	b.Run("duckdb", func(b *testing.B) { // how it was done before
		begin := processorTime()
		for b.Loop() {
			if _, err := db.Exec("COPY (FROM read_parquet([" + parts + "], union_by_name = true)) TO " + quote(path+".duckdb") + " (FORMAT parquet, COMPRESSION zstd, PARQUET_VERSION v2)"); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(processorTime()-begin)/float64(b.N)/rows, "cpu-ns/row")
		info, _ := os.Stat(path + ".duckdb")
		b.ReportMetric(float64(info.Size())/rows, "bytes/row")
	})
	var one string
	if err := db.QueryRow("SELECT src_addr::VARCHAR FROM read_parquet(" + quote(path) + ") GROUP BY 1 HAVING count(*) > 30 ORDER BY count(*), 1 LIMIT 1").Scan(&one); err != nil {
		b.Fatal(err)
	}
	for _, q := range []struct{ name, sql string }{
		{"top 10 sources", "SELECT src_addr, sum(bytes * sampling_rate) AS b FROM %s GROUP BY 1 ORDER BY b DESC LIMIT 10"},
		{"by minute", "SELECT time_bucket(INTERVAL 1 minute, start), sum(bytes * sampling_rate) FROM %s GROUP BY 1"},
		{"one source", "SELECT sum(bytes), count(*) FROM %s WHERE src_addr = '" + one + "'"},
		{"one address", "SELECT sum(bytes), count(*) FROM %s WHERE src_addr = '" + one + "' OR dst_addr = '" + one + "'"},
	} {
		for how, file := range map[string]string{"reencoded": path, "by duckdb": path + ".duckdb"} {
			b.Run(q.name+"/"+how, func(b *testing.B) {
				for b.Loop() {
					if _, err := db.Exec(fmt.Sprintf(q.sql, "read_parquet("+quote(file)+")")); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(rows*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mrows/s")
			})
		}
	}
}
