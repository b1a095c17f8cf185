package query

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/minamo-flow/minamo/flow"
)

// newEngine opens an engine for a test.
func newEngine(t testing.TB) *Engine {
	t.Helper()
	e, err := Open(Config{Threads: 2, MemoryLimit: 512 << 20, TempDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// writeParquet writes a batch as a file like those of store, but without
// store: DuckDB writes it. Columns in without are left out of the file.
func writeParquet(t testing.TB, e *Engine, b *flow.Batch, without ...flow.Column) Files {
	t.Helper()
	path := filepath.Join(t.TempDir(), "flows.parquet")
	skip := flow.MaskOf(without...)
	var selects []string
	for c := range flow.Columns() {
		if !skip.Has(c) {
			selects = append(selects, "CAST("+quote(c.String())+" AS "+columnTypes[flow.Schema[c].Kind]+") AS "+quote(c.String()))
		}
	}
	var sqlText strings.Builder
	fmt.Fprintf(&sqlText, "COPY (SELECT %s FROM (SELECT * FROM no_flows UNION ALL BY NAME SELECT * FROM staged)) TO '%s' (FORMAT parquet)", strings.Join(selects, ", "), path)
	conn, err := e.db.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	exec := func(text string, args ...any) {
		if _, err := conn.ExecContext(context.Background(), text, args...); err != nil {
			t.Fatalf("%s: %v", text[:min(len(text), 200)], err)
		}
	}
	exec("CREATE OR REPLACE TEMP TABLE staged AS SELECT * FROM no_flows LIMIT 0")
	const chunk = 500
	for first := 0; first < b.Len(); first += chunk {
		var rows []string
		for i := first; i < min(b.Len(), first+chunk); i++ {
			values := make([]string, 0, flow.Columns())
			for c := range flow.Columns() {
				values = append(values, sqlValue(b, c, i))
			}
			rows = append(rows, "("+strings.Join(values, ", ")+")")
		}
		exec("INSERT INTO staged VALUES " + strings.Join(rows, ", "))
	}
	exec(sqlText.String())
	return Files{path}
}

func sqlValue(b *flow.Batch, c flow.Column, i int) string {
	switch {
	case !b.Present[i].Has(c):
		return "NULL"
	case flow.Schema[c].Kind == flow.Address:
		return addrLiteral(b.Addr(c)[i])
	case flow.Schema[c].Kind == flow.Time:
		return fmt.Sprintf("make_timestamptz(%d)", b.Time(c)[i]*1000)
	case flow.Schema[c].Kind == flow.Text:
		return textLiteral(string(b.Text(c, i)))
	}
	return uintLiteral(b.Uint(c, i))
}
