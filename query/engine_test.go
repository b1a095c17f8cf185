package query

import (
	"context"
	"database/sql"
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
	var names, selects []string
	for c := range flow.NumColumns {
		if !skip.Has(c) {
			names = append(names, quote(c.String()))
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
			values := make([]string, 0, flow.NumColumns)
			for c := range flow.NumColumns {
				values = append(values, sqlValue(b, c, i))
			}
			rows = append(rows, "("+strings.Join(values, ", ")+")")
		}
		exec("INSERT INTO staged VALUES " + strings.Join(rows, ", "))
	}
	_ = names
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
	}
	return uintLiteral(b.Uint(c, i))
}

func TestSmoke(t *testing.T) {
	e := newEngine(t)
	b := flow.NewBatch(1)
	base := int64(1795305600000)
	for n := range 20 {
		i := b.Extend(1)
		b.SetUint(flow.Start, i, uint64(base+int64(n)*700))
		b.SetUint(flow.End, i, uint64(base+int64(n)*700+int64(n)*300))
		b.SetUint(flow.Packets, i, 7)
		b.SetUint(flow.Bytes, i, 1000)
		b.SetUint(flow.SamplingRate, i, 10)
		b.SetUint(flow.Protocol, i, 6)
		b.SetUint(flow.SrcPort, i, uint64(40000+n))
		b.SetUint(flow.DstPort, i, 443)
		b.SetAddr(flow.SrcAddr, i, flow.AddrFrom4([4]byte{10, 0, byte(n), byte(n)}))
		b.SetAddr(flow.DstAddr, i, flow.AddrFrom4([4]byte{10, 0, 0, 1}))
	}
	files := writeParquet(t, e, b, flow.InIf)
	for _, by := range []string{"srcip", "ip", "srcip/23", "app", "proto", "packet_size", "inif", "ip_version", "flags", "port", "ip,port"} {
		dims, err := ParseDimensions(by)
		if err != nil {
			t.Fatal(err)
		}
		table, err := e.Top(context.Background(), files, Request{By: dims, Limit: 3})
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s %+v", by, table)
		r := Request{By: dims, Limit: 2, Step: 5e9}
		r.From, r.To = milliTime(sqlInt(base)), milliTime(sqlInt(base+22000))
		series, err := e.Series(context.Background(), files, r)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%+v %+v", series.Series, series.Other)
	}
	_, err := e.Flows(context.Background(), files, Request{Limit: 3}, func(b *flow.Batch) error {
		t.Logf("%s", b.AppendJSON(nil, 0))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func sqlInt(v int64) sql.NullInt64 { return sql.NullInt64{Int64: v, Valid: true} }
