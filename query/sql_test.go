package query

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"
)

func selectFrom(t *testing.T, src Source, question string, limit int) (*SQLAnswer, error) {
	t.Helper()
	return Select(t.Context(), Config{TempDir: t.TempDir(), MemoryLimit: 128 << 20, Threads: 1}, src, nil, question, limit)
}

func TestSelectValues(t *testing.T) {
	a, err := selectFrom(t, Files(nil), `SELECT 1 AS a, 2::UTINYINT AS a, sum(18446744073709551615::UBIGINT) AS big, sum(1) AS small, 0.5::DECIMAL(4, 2) AS d, 'x' AS s, true AS b,
		TIMESTAMPTZ '2026-01-31 12:00:00+09' AS t, ip('192.0.2.1') AS ip, [1, 2] AS l, {'k': NULL} AS o, NULL AS n, 'a'::BLOB AS blob -- a comment`, 10)
	if err != nil {
		t.Fatal(err)
	}
	want := []any{int64(1), uint64(2), uint64(18446744073709551615), int64(1), 0.5, "x", true, time.Date(2026, 1, 31, 3, 0, 0, 0, time.UTC), "192.0.2.1", "[1,2]", `{"k":null}`, nil, "61"}
	if len(a.Rows) != 1 || !reflect.DeepEqual(a.Rows[0], want) {
		t.Errorf("%#v", a.Rows)
	}
	if a.Columns[0].Name != "a" || a.Columns[1].Name == "a" || a.More {
		t.Errorf("%+v", a.Columns)
	}
	if a, err := selectFrom(t, Files(nil), "SELECT * FROM range(10) ORDER BY range DESC;\n", 3); err != nil || !a.More || len(a.Rows) != 3 || a.Rows[0][0] != int64(9) {
		t.Errorf("%+v, %v", a, err)
	}
	if a, err := selectFrom(t, Files(nil), "FROM flows", 3); err != nil || len(a.Rows) != 0 || len(a.Columns) < 30 {
		t.Errorf("no flows: %+v, %v", a, err)
	}
}

// TestSelectOnlyReadsItsFiles tries to get at what is not part of the question.
func TestSelectOnlyReadsItsFiles(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret.csv")
	if err := os.WriteFile(secret, []byte("word\nxyzzy\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("MINAMO_SECRET", "xyzzy")
	for _, attempt := range []string{
		"SELECT * FROM read_csv('" + secret + "')",
		"SELECT * FROM '" + secret + "'",
		"SELECT * FROM read_text('" + secret + "')",
		"SELECT * FROM read_blob('/etc/passwd')",
		"SELECT * FROM read_parquet('/proc/self/fd/../../self/environ')",
		"SELECT * FROM read_text('/proc/self/environ')",
		"SELECT * FROM glob('" + dir + "/*')",
		"SELECT * FROM sniff_csv('" + secret + "')",
		"SELECT * FROM parquet_metadata('" + secret + "')",
		"SELECT * FROM query('COPY (SELECT 1) TO ''" + dir + "/out.csv''')",
		"SELECT getenv('MINAMO_SECRET')",
		"SELECT * FROM duckdb_secrets() WHERE secret_string LIKE '%xyzzy%' UNION ALL SELECT 1, 2, 3, 4, 5, 6, 7",
		"COPY (SELECT 1) TO '" + dir + "/out.csv'",
		"COPY flows FROM '" + secret + "'",
		"EXPORT DATABASE '" + dir + "/out'",
		"ATTACH '" + dir + "/other.db'",
		"ATTACH ':memory:' AS other",
		"INSTALL httpfs",
		"LOAD httpfs",
		"LOAD '" + secret + "'",
		"PRAGMA database_list",
		"PRAGMA enable_profiling",
		"SET enable_external_access = true",
		"SET lock_configuration = false",
		"RESET allowed_paths",
		"SET memory_limit = '100GB'",
		"CALL pragma_version()",
		"CREATE TABLE t AS SELECT 1",
		"CREATE OR REPLACE VIEW flows AS SELECT 1",
		"INSERT INTO no_flows (packets) VALUES (1)",
		"DELETE FROM no_flows",
		"DROP VIEW flows",
		"CREATE SECRET s (TYPE s3)",
		"EXPLAIN ANALYZE SELECT 1",
		"SELECT 1; SELECT 2",
		"SELECT 1; COPY (SELECT 1) TO '" + dir + "/out.csv'",
		"COPY (SELECT 1) TO '" + dir + "/out.csv'; SELECT 1",
		"SELECT 1) TO '" + dir + "/out.csv'; COPY (SELECT 1",
		"SELECT 1) UNION ALL (SELECT 2",
		"BEGIN", "CHECKPOINT", "VACUUM", "", ";", "-- nothing", "/*",
	} {
		if a, err := selectFrom(t, Files(nil), attempt, 10); err == nil {
			t.Errorf("%s\nwas answered: %v", attempt, a.Rows)
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("something was written: %v, %v", left, err)
	}
	if _, err := selectFrom(t, Files(nil), "DROP VIEW flows", 10); !errors.Is(err, ErrNotSelect) {
		t.Error(err)
	}
}
