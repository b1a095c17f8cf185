package query

import (
	"database/sql"
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/duckdb/duckdb-go/v2"
)

// TestMemoryIsBounded asks for more than the limit holds: what can use the
// disk does, what cannot fails, and the process stays small.
func TestMemoryIsBounded(t *testing.T) {
	e, err := Open(Config{TempDir: t.TempDir(), Threads: 1, MemoryLimit: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	before := peakMemory(t)
	ask := func(question string) (answer string, err error) {
		err = e.run(t.Context(), statement{body: question}, Files(nil), true, func(rows *sql.Rows) error { return rows.Scan(&answer) })
		return answer, err
	}
	// To number five million rows by their hash needs about 160 MB at once.
	got, err := ask("SELECT count(DISTINCT n)::VARCHAR FROM (SELECT row_number() OVER (ORDER BY hash(range)) % 7 AS n, range AS r FROM range(5_000_000)) WHERE r % 3 < 5")
	if err != nil || got != "7" {
		t.Errorf("what can use the disk: %q, %v", got, err)
	}
	_, err = ask("SELECT length(list(range::VARCHAR)::VARCHAR)::VARCHAR FROM range(50_000_000)")
	var engine *duckdb.Error
	if !errors.As(err, &engine) || engine.Type != duckdb.ErrorTypeOutOfMemory {
		t.Errorf("what cannot: %v", err)
	}
	if after := peakMemory(t); before > 0 && after > before+256<<20 {
		t.Errorf("the process had up to %d MiB more", (after-before)>>20)
	}
	if _, err := ask("SELECT 'fine'"); err != nil {
		t.Errorf("after that: %v", err)
	}
}

// peakMemory is the most memory that the process had since it was last asked;
// 0 where that cannot be known.
func peakMemory(t *testing.T) int64 {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	defer os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) // begins anew
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	kilobytes, err := strconv.ParseInt(strings.TrimSpace(strings.SplitN(rest, "kB", 2)[0]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kilobytes << 10
}

func TestWhatGoesToTheDiskIsBounded(t *testing.T) {
	e, err := Open(Config{TempDir: t.TempDir(), Threads: 1, MemoryLimit: 64 << 20, SpillLimit: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	err = e.run(t.Context(), statement{body: "SELECT max(n) FROM (SELECT row_number() OVER (ORDER BY hash(range)) AS n FROM range(6_000_000))"}, Files(nil), true, func(*sql.Rows) error { return nil })
	var engine *duckdb.Error
	if !errors.As(err, &engine) || engine.Type != duckdb.ErrorTypeOutOfMemory {
		t.Error(err)
	}
}

func TestASelectThatSpills(t *testing.T) {
	a, err := selectFrom(t, Files(nil), "SELECT max(n) FROM (SELECT row_number() OVER (ORDER BY hash(range)) AS n FROM range(6_000_000))", 1)
	if err != nil || a.Rows[0][0] != int64(6_000_000) {
		t.Errorf("%+v, %v", a, err)
	}
	_, err = Select(t.Context(), Config{TempDir: t.TempDir(), MemoryLimit: 64 << 20, Threads: 1, SpillLimit: 8 << 20}, Files(nil), nil, "SELECT max(n) FROM (SELECT row_number() OVER (ORDER BY hash(range)) AS n FROM range(6_000_000))", 1)
	var engine *duckdb.Error
	if !errors.As(err, &engine) || engine.Type != duckdb.ErrorTypeOutOfMemory {
		t.Errorf("with 8 MiB of disk: %v", err)
	}
}
