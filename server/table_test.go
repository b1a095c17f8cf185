package server

import (
	"bytes"
	"database/sql"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/ipc"
	_ "github.com/duckdb/duckdb-go/v2"

	"github.com/minamo-flow/minamo/flow"
)

// sample is a table with every kind of column, in an order that is not theirs
// by name, and more rows than Arrow holds in a record.
func sample() *table {
	at := time.Date(2026, 1, 31, 12, 0, 0, 1500_000, time.UTC)
	return &table{
		name: "sample",
		columns: []column{
			{"when", instant}, {"text", text}, {"count", unsigned}, {"number", signed}, {"rate", real}, {"yes", truth},
			{"address", address}, {"octet", octet}, {"short", short}, {"word", word}, {"absent", unsigned},
		},
		rows: func(yield func([]any) error) error {
			for i := range rowsPerRecord + 5 {
				if err := yield([]any{at.Add(time.Duration(i) * time.Second), "a \"b\", c\n", ^uint64(0), int64(-i), 0.5, i%2 == 0,
					flow.AddrFrom(netip.MustParseAddr("192.0.2.1")), uint64(255), uint64(65535), uint64(1<<32 - 1), nil}); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// TestTablesAreReadByOthers lets DuckDB read what is written as CSV and
// Parquet, and the Arrow library what is written as Arrow.
func TestTablesAreReadByOthers(t *testing.T) {
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	files := map[string]string{}
	for _, e := range encodings {
		var b bytes.Buffer
		if err := e.write(&b, sample()); err != nil {
			t.Fatal(e.name, err)
		}
		files[e.name] = filepath.Join(t.TempDir(), "sample"+e.ending)
		if err := os.WriteFile(files[e.name], b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ask := func(question string) string {
		var answer string
		if err := db.QueryRow(question).Scan(&answer); err != nil {
			t.Fatalf("%s: %v", question, err)
		}
		return answer
	}
	const all = `SELECT concat_ws('|', count(*), epoch_us(min("when")), epoch_us(max("when")), min(text), max(count), sum(number), sum(rate), count(*) FILTER (yes), min(%s), min(octet), min(short), min(word), count(absent)) FROM %s`
	const want = "4101|1769860800001500|1769864900001500|a \"b\", c\n|18446744073709551615|-8407050|2050.5|2051|%s|255|65535|4294967295|0"
	if got := ask(fmt.Sprintf(all, "address", "read_csv('"+files["csv"]+"', types = {'count': 'UBIGINT', 'absent': 'UBIGINT'})")); got != fmt.Sprintf(want, "192.0.2.1") {
		t.Errorf("CSV: %q", got)
	}
	if got := ask(fmt.Sprintf(all, "address", "'"+files["parquet"]+"'")); got != fmt.Sprintf(want, "00000000-0000-0000-0000-ffffc0000201") {
		t.Errorf("Parquet: %q", got)
	}
	const types = "SELECT string_agg(column_name || ' ' || column_type, ', ') FROM (DESCRIBE SELECT * FROM '%s')"
	if got := ask(fmt.Sprintf(types, files["parquet"])); got != "when TIMESTAMP WITH TIME ZONE, text VARCHAR, count UBIGINT, number BIGINT, rate DOUBLE, yes BOOLEAN, address UUID, octet UTINYINT, short USMALLINT, word UINTEGER, absent UBIGINT" {
		t.Errorf("Parquet: %s", got)
	}

	f, err := os.Open(files["arrow"])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := ipc.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	rows := int64(0)
	var last string
	for r.Next() {
		record := r.RecordBatch()
		rows += record.NumRows()
		last = ""
		for _, c := range record.Columns() {
			last += c.ValueStr(int(record.NumRows())-1) + "|"
		}
	}
	if r.Err() != nil || rows != 4101 || last != "2026-01-31T13:08:20.0015Z|a \"b\", c\n|18446744073709551615|-4100|0.5|true|192.0.2.1|255|65535|4294967295|(null)|" {
		t.Errorf("Arrow: %d rows, the last %q, %v", rows, last, r.Err())
	}
}

// BenchmarkTables writes flows' rows in every form.
func BenchmarkTables(b *testing.B) {
	t := flowTable(true)
	line := make([]any, len(t.columns))
	for i, c := range t.columns {
		switch c.kind {
		case text:
			line[i] = "text"
		case instant:
			line[i] = time.Unix(1769860800, 0)
		case address:
			line[i] = flow.AddrFrom(netip.MustParseAddr("192.0.2.1"))
		default:
			line[i] = uint64(i)
		}
	}
	for _, e := range encodings {
		b.Run(e.name, func(b *testing.B) {
			s, err := e.sink(io.Discard, t.columns)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if err := s.row(line); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
