package query

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/minamo-flow/minamo/flow"
)

// flowsPerBatch is how many flows are handed on at once.
const flowsPerBatch = 1024

// Flows hands the flows of a request to yield, in batches that are valid
// until it returns; an error of yield ends the query and is returned.
//
// Without an Order, flows come in the order of storage, a file at a time, so
// that the first are there at once whatever follows. Packets and bytes are
// already multiplied by the sampling rate, unless the request is Raw.
func (e *Engine) Flows(ctx context.Context, src Source, r Request, yield func(*flow.Batch) error) (Stats, error) {
	columns := r.Columns
	if columns == nil {
		columns = make([]flow.Column, flow.NumColumns)
		for c := range flow.NumColumns {
			columns[c] = c
		}
	}
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = columnSQL(c)
	}
	s := statement{body: "SELECT " + strings.Join(names, ", ") + " FROM flows WHERE " + r.where()}
	if r.Order != "" {
		order, ok := flowOrderSQL[r.Order]
		if !ok {
			return Stats{}, fmt.Errorf("order %q is unknown", r.Order)
		}
		s.body += " ORDER BY " + order
	}

	f := &fetcher{columns: columns, batch: flow.NewBatch(flowsPerBatch), yield: yield, left: -1}
	f.values, f.target = make([]any, len(columns)), make([]any, len(columns))
	for i := range f.values {
		f.target[i] = &f.values[i]
	}
	if r.Limit > 0 {
		f.left = r.Limit
	}
	parts := []Source{src}
	if r.Order == "" {
		parts = parts[:0]
		for _, path := range src.Paths() {
			parts = append(parts, Files{path})
		}
	}
	total := Stats{Files: len(src.Paths()), SQL: s.text() + limit(r.Limit)}
	for _, part := range parts {
		if f.left == 0 {
			break
		}
		limited := s
		limited.body += limit(f.left)
		stats, err := e.run(ctx, limited, part, r.Raw, f.scan)
		if err == nil {
			err = f.flush()
		}
		if err != nil {
			return Stats{}, err
		}
		total.Duration += stats.Duration
	}
	return total, nil
}

// flowOrderSQL are the orders of single flows; where two are equal the earlier
// one comes first.
var flowOrderSQL = func() map[Order]string {
	named := strings.NewReplacer(`"last"`, `epoch_ms("end")`, `"first"`, `epoch_ms("start")`)
	m := make(map[Order]string, len(orderSQL))
	for o, s := range orderSQL {
		m[o] = named.Replace(s) + `, "start"`
	}
	m[ByFlows] = `"start"`
	m[ByStart] = `"start"`
	m[ByNewest] = `"start" DESC`
	m[ByEnd] = `"end", "start"`
	return m
}()

// fetcher turns rows of DuckDB into batches.
type fetcher struct {
	columns []flow.Column
	values  []any
	target  []any
	batch   *flow.Batch
	left    int // flows to come, negative for no limit
	yield   func(*flow.Batch) error
}

func (f *fetcher) scan(rows *sql.Rows) error {
	if err := rows.Scan(f.target...); err != nil {
		return err
	}
	i := f.batch.Extend(1)
	for n, c := range f.columns {
		switch v := f.values[n].(type) {
		case nil:
		case []byte:
			if len(v) == 16 {
				f.batch.SetAddr(c, i, flow.Addr(v))
			}
		default:
			if u, ok := toUint(v); ok {
				f.batch.SetUint(c, i, u)
			}
		}
	}
	f.left--
	if f.batch.Len() == flowsPerBatch {
		return f.flush()
	}
	return nil
}

// flush hands on what is there.
func (f *fetcher) flush() error {
	if f.batch.Len() == 0 {
		return nil
	}
	defer f.batch.Reset()
	return f.yield(f.batch)
}
