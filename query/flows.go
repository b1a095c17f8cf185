package query

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/minamo-flow/minamo/flow"
)

// flowsPerBatch is how many flows are handed on at once.
const flowsPerBatch = 1024

// Flows hands the flows of a request to yield, in batches that are valid
// until it returns; an error of yield ends the query and is returned.
//
// Without an Order, flows come in the order of storage, a slice at a time, so
// that the first are there at once whatever follows. Packets and bytes are
// already multiplied by the sampling rate, unless the request is Raw. The rows
// of Stats are those that were read until the limit was reached.
func (e *Engine) Flows(ctx context.Context, src Source, r Request, yield func(*flow.Batch) error) (Stats, error) {
	src, done, err := narrow(ctx, src, r.From, r.To, r.Filter)
	if err != nil {
		return Stats{}, err
	}
	defer done()
	r.few = allCopied(src)
	columns := r.Columns
	if columns == nil {
		if columns, err = e.columnsOf(ctx, src.Paths()); err != nil {
			return Stats{}, err
		}
	}
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = columnSQL(c)
	}
	s := statement{body: "SELECT " + strings.Join(names, ", ") + " FROM " + r.from("")}
	if r.Order != "" {
		order, err := flowOrder(r.Order)
		if err != nil {
			return Stats{}, err
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
	narrow, isFew := src.(*narrowed)
	if isFew && r.Order == "" {
		s.body += storageOrder(narrow.Paths())
	}
	if isFew || r.Order != "" {
		s.body += limit(r.Limit)
		stats, err := e.answer(ctx, s, src, r.Raw, f.scan)
		if err == nil {
			err = f.flush()
		}
		return stats, err
	}

	begin := time.Now()
	sizes, err := e.fileSizes(ctx, src.Paths())
	if err != nil {
		return Stats{}, err
	}
	stats := Stats{Files: len(sizes), SQL: s.text() + limit(r.Limit)}
	all := rowsOf(sizes)
	progress := progressOf(ctx)
	rows := uint64(firstSlice)
	for len(sizes) > 0 && f.left != 0 {
		var next slice
		next, sizes = cut(sizes, rows)
		part := func(rows uint64) float64 { return float64(rows) / float64(max(all, 1)) }
		progress.span(part(stats.Rows), part(all-rowsOf(sizes)))
		stats.Rows = all - rowsOf(sizes)
		limited := statement{body: "SELECT " + strings.Join(names, ", ") + " FROM " + r.from(next.where()) +
			storageOrder(next.Files) + limit(f.left)}
		before := f.count
		if err := e.run(ctx, limited, next, r.Raw, f.scan); err != nil {
			return Stats{}, err
		}
		if err := f.flush(); err != nil {
			return Stats{}, err
		}
		switch matched := f.count - before; {
		case matched < idealSlice/4:
			rows = min(4*rows, maxSlice)
		case matched > idealSlice:
			rows = max(rows/4, idealSlice)
		}
	}
	stats.Duration = time.Since(begin)
	return stats, nil
}

// columnsOf returns the columns that some of the files have: to fetch those that
// no flow has would take longer than to fetch the others. Of very many files it
// is all columns, for to ask them takes long, too.
func (e *Engine) columnsOf(ctx context.Context, paths []string) (columns []flow.Column, err error) {
	const few = 500
	has := flow.Mask{^uint64(0), ^uint64(0)}
	if len(paths) > 0 && len(paths) <= few {
		has = flow.Mask{}
		rows, err := e.db.QueryContext(ctx, "SELECT DISTINCT name FROM parquet_schema("+pathList(paths)+")")
		if err != nil {
			return nil, fmt.Errorf("read the columns of %d files: %w", len(paths), err)
		}
		defer rows.Close()
		for rows.Next() {
			var name string
			if err := rows.Scan(&name); err != nil {
				return nil, err
			}
			if c, ok := flow.Lookup(name); ok {
				has.Add(c)
			}
		}
		if err := rows.Err(); err != nil {
			return nil, err
		}
	}
	for c := range flow.Columns() {
		if has.Has(c) {
			columns = append(columns, c)
		}
	}
	return columns, nil
}

// storageOrder puts flows in the order of files, and in the order of each.
func storageOrder(paths []string) string {
	if len(paths) == 0 {
		return ""
	}
	return " ORDER BY list_position(" + pathList(paths) + `, "segment path"), file_row_number`
}

// Flows are fetched a slice of the files at a time, because the driver holds
// the whole result of a query: the first slice is small, so that something is
// there soon, later ones so large that about idealSlice flows match.
const (
	firstSlice = 2_000
	idealSlice = 200_000
	maxSlice   = 20_000_000
)

// fileSize is a file of which the rows from first on are still to come.
type fileSize struct {
	path        string
	first, rows uint64
}

// fileSizes asks the files how many rows they have.
func (e *Engine) fileSizes(ctx context.Context, paths []string) ([]fileSize, error) {
	if len(paths) == 0 {
		return nil, nil
	}
	rows, err := e.db.QueryContext(ctx, "SELECT file_name, num_rows FROM parquet_file_metadata("+pathList(paths)+")")
	if err != nil {
		return nil, fmt.Errorf("read the sizes of %d files: %w", len(paths), err)
	}
	defer rows.Close()
	counts := make(map[string]uint64, len(paths))
	for rows.Next() {
		var path string
		var n uint64
		if err := rows.Scan(&path, &n); err != nil {
			return nil, err
		}
		counts[path] = n
	}
	sizes := make([]fileSize, len(paths))
	for i, path := range paths {
		sizes[i] = fileSize{path: path, rows: counts[path]}
	}
	return sizes, rows.Err()
}

// rowsOf is how many rows are still to come.
func rowsOf(sizes []fileSize) (rows uint64) {
	for _, size := range sizes {
		rows += size.rows - size.first
	}
	return rows
}

// slice is either some whole files, or a part of one.
type slice struct {
	Files
	first, last uint64 // rows of the one file; last is 0 for whole files
}

// where is the further condition that a part of a file needs.
func (s slice) where() string {
	if s.last == 0 {
		return ""
	}
	return fmt.Sprintf("file_row_number BETWEEN %d AND %d", s.first, s.last)
}

// cut takes about so many rows from the front of the files.
func cut(files []fileSize, rows uint64) (slice, []fileSize) {
	if f := files[0]; f.first > 0 || f.rows > rows {
		last := min(f.first+rows, f.rows) - 1
		if last+1 == f.rows {
			return slice{Files{f.path}, f.first, last}, files[1:]
		}
		rest := slices.Clone(files)
		rest[0].first = last + 1
		return slice{Files{f.path}, f.first, last}, rest
	}
	var s slice
	var taken uint64
	for len(files) > 0 && len(s.Files) < maxSliceFiles {
		taken += files[0].rows
		if taken > rows && len(s.Files) > 0 {
			break
		}
		s.Files = append(s.Files, files[0].path)
		files = files[1:]
	}
	return s, files
}

const maxSliceFiles = 200

// flowOrder is the ORDER BY of single flows; where two are equal the earlier
// one comes first.
func flowOrder(o Order) (string, error) {
	value, direction, ok := o.sql()
	if !ok {
		return "", fmt.Errorf("order %q is unknown", o)
	}
	// A single flow is one flow, and has one direction.
	value = strings.NewReplacer(`"last"`, `epoch_ms("end")`, `"first"`, `epoch_ms("start")`,
		"out_packets", "0", "out_bytes", "0", "flows", "1::INT").Replace(value)
	return value + direction + `, "start"`, nil
}

// fetcher turns rows of DuckDB into batches.
type fetcher struct {
	columns []flow.Column
	values  []any
	target  []any
	batch   *flow.Batch
	left    int // flows to come, negative for no limit
	count   int // flows so far
	yield   func(*flow.Batch) error
}

func (f *fetcher) scan(rows *sql.Rows) error {
	if err := rows.Scan(f.target...); err != nil {
		return err
	}
	i := f.batch.Extend(1)
	for n, c := range f.columns {
		setValue(f.batch, c, i, f.values[n])
	}
	f.left--
	f.count++
	if f.batch.Len() == flowsPerBatch {
		return f.flush()
	}
	return nil
}

// setValue puts a value of DuckDB's into a row; NULL leaves it absent.
func setValue(b *flow.Batch, c flow.Column, i int, value any) {
	switch v := value.(type) {
	case nil:
	case []byte:
		if len(v) == 16 {
			b.SetAddr(c, i, flow.Addr(v))
		}
	case string:
		b.SetText(c, i, []byte(v))
	default:
		if u, ok := toUint(v); ok {
			b.SetUint(c, i, u)
		}
	}
}

// flush hands on what is there.
func (f *fetcher) flush() error {
	if f.batch.Len() == 0 {
		return nil
	}
	defer f.batch.Reset()
	return f.yield(f.batch)
}
