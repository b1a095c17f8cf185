package query

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/duckdb/duckdb-go/v2"

	"github.com/minamo-flow/minamo/enrich/numbers"
	"github.com/minamo-flow/minamo/flow"
)

// Config bounds what queries may use. Its zero value is ready.
type Config struct {
	MemoryLimit int64  // bytes; default 1 GiB. Beyond it queries spill to TempDir, or fail.
	Threads     int    // default: as many as there are processors
	TempDir     string // default: one of this process in the system's temporary directory; DuckDB makes it when it spills
	SpillLimit  int64  // bytes in TempDir; default: as much as there is, nearly. Beyond it queries fail.
}

// Engine runs queries. It is safe for concurrent use; Close ends it.
type Engine struct {
	db *sql.DB

	naming sync.Mutex // one takes over names at a time
	names  atomic.Pointer[names]
	named  atomic.Uint64
	rates  atomic.Pointer[string] // sampling rates by hand, as SQL
	eras   atomic.Pointer[[]numbers.Era]
}

// Open starts DuckDB in the process, with nothing in it but the definitions
// that queries need.
func Open(c Config) (*Engine, error) {
	if c.MemoryLimit <= 0 {
		c.MemoryLimit = 1 << 30
	}
	if c.Threads <= 0 {
		c.Threads = runtime.GOMAXPROCS(0)
	}
	if c.TempDir == "" {
		c.TempDir = filepath.Join(os.TempDir(), "minamo-query-"+strconv.Itoa(os.Getpid()))
	}
	options := url.Values{
		"memory_limit":   {strconv.FormatInt(c.MemoryLimit, 10) + "B"},
		"threads":        {strconv.Itoa(c.Threads)},
		"temp_directory": {c.TempDir},
		// Snapshots name files by descriptor, and a descriptor's number is
		// soon used for another file: nothing may be remembered by name.
		"enable_external_file_cache":   {"false"},
		"autoinstall_known_extensions": {"false"},
		"autoload_known_extensions":    {"false"},
		"allow_community_extensions":   {"false"},
		// Order costs memory, which large groups then lack; who wants one says so.
		"preserve_insertion_order": {"false"},
	}
	connector, err := duckdb.NewConnector("?"+options.Encode(), func(conn driver.ExecerContext) error {
		_, err := conn.ExecContext(context.Background(), "SET TimeZone = 'UTC'; "+progressSettings, nil)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open the query engine: %w", err)
	}
	e := &Engine{db: sql.OpenDB(connector)}
	if _, err := e.db.Exec(definitions() + c.spillLimit()); err != nil {
		return nil, errors.Join(fmt.Errorf("prepare the query engine: %w", err), e.Close())
	}
	return e, nil
}

// spillLimit is the SQL that bounds the temporary directory. As an option of
// the connection, DuckDB would show the limit and not keep it.
func (c *Config) spillLimit() string {
	if c.SpillLimit <= 0 {
		return ""
	}
	return ";\nSET max_temp_directory_size = '" + strconv.FormatInt(c.SpillLimit, 10) + "B'"
}

// Close ends the engine; running queries fail.
func (e *Engine) Close() error { return e.db.Close() }

// columnTypes are DuckDB's types for the kinds of columns.
var columnTypes = [...]string{
	flow.Uint8:   "UTINYINT",
	flow.Uint16:  "USMALLINT",
	flow.Uint32:  "UINTEGER",
	flow.Uint64:  "UBIGINT",
	flow.Time:    "TIMESTAMPTZ",
	flow.Address: "UUID",
	flow.MAC:     "UBIGINT",
	flow.Text:    "VARCHAR",
}

// extremes are the least and the greatest value of the kinds of columns, as SQL.
var extremes = [...][2]string{
	flow.Uint8:   {"0", "255"},
	flow.Uint16:  {"0", "65535"},
	flow.Uint32:  {"0", "4294967295"},
	flow.Uint64:  {"0", "18446744073709551615"},
	flow.Time:    {"'-infinity'", "'infinity'"},
	flow.Address: {"'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'"},
	flow.MAC:     {"0", "18446744073709551615"},
	flow.Text:    {"''", "chr(1114111)"},
}

// definitions is the SQL that every query relies on.
func definitions() string {
	var b strings.Builder
	// The empty union partner of the files gives every column its type, also
	// where all files are older than the column or there are none.
	b.WriteString("CREATE TABLE no_flows (")
	for c := range flow.Columns() {
		if c > 0 {
			b.WriteString(", ")
		}
		b.WriteString(quote(c.String()) + " " + columnTypes[flow.Schema[c].Kind])
	}
	b.WriteString(");\n")
	// DuckDB leaves out a table that has never held what is looked for, and then
	// cannot tell how far a question is: so it has held everything.
	for _, end := range []int{0, 1} {
		b.WriteString("INSERT INTO no_flows VALUES (")
		for c := range flow.Columns() {
			if c > 0 {
				b.WriteString(", ")
			}
			b.WriteString(extremes[flow.Schema[c].Kind][end])
		}
		b.WriteString(");\n")
	}
	b.WriteString("DELETE FROM no_flows;\n")
	// A counter times its sampling rate, in 64 bits as long as it fits.
	b.WriteString(`CREATE MACRO scaled(counter, rate) AS CASE WHEN counter <= 4294967295 THEN counter * rate
		ELSE least(counter::UHUGEINT * rate, 18446744073709551615)::UBIGINT END;` + "\n")
	// A sum in 64 bits, at its greatest number when it exceeds them.
	b.WriteString("CREATE MACRO total(v) AS least(coalesce(sum(v), 0), 18446744073709551615)::UBIGINT;\n")
	// How much of a counter that grows evenly from s to e is there before t.
	b.WriteString(`CREATE MACRO spread(counter, s, e, t) AS CASE WHEN t <= s THEN 0 WHEN t >= e THEN counter
		ELSE (counter::HUGEINT * (t - s) // (e - s))::UBIGINT END;` + "\n")
	b.WriteString(servicesTable() + ownTables)
	return b.String()
}

// statement is a query over the relation "flows".
type statement struct {
	with  []string // further named relations, in order
	body  string
	again Source // whose flows are the relation "flows_again"; nil: there is none
}

// text is what people are shown.
func (s statement) text() string {
	if len(s.with) == 0 {
		return s.body
	}
	return "WITH " + strings.Join(s.with, ",\n") + "\n" + s.body
}

// over completes the statement with the definition of flows. rates is the
// sampling rate that counts, as SQL; eras are those of interfaces' numbers.
func (s statement) over(src Source, raw bool, rates string, eras []numbers.Era) string {
	if !ofInterfaces(s.text()) {
		eras = nil
	}
	relation := func(name string, src Source) string {
		flows := "SELECT * FROM no_flows"
		if len(src.Paths()) > 0 {
			flows += "\nUNION ALL BY NAME " + readParquet(src)
		}
		if !raw {
			if rates != "" {
				flows = "SELECT * REPLACE (" + rates + " AS sampling_rate) FROM (\n" + flows + ")"
			}
			flows = "SELECT * REPLACE (scaled(packets, sampling_rate) AS packets, scaled(bytes, sampling_rate) AS bytes) FROM (\n" + flows + ")"
		}
		return name + " AS NOT MATERIALIZED (" + today(flows, eras, quote(flow.Start.String())) + ")"
	}
	with := []string{relation("flows", src)}
	if s.again != nil {
		with = append(with, relation("flows_again", s.again))
	}
	return statement{with: append(with, s.with...), body: s.body}.text()
}

// pathList renders paths as a list of SQL strings.
func pathList(paths []string) string {
	quoted := make([]string, len(paths))
	for i, p := range paths {
		quoted[i] = "'" + strings.ReplaceAll(p, "'", "''") + "'"
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// run executes a statement and hands each row to scan.
func (e *Engine) run(ctx context.Context, s statement, src Source, raw bool, scan func(*sql.Rows) error) error {
	paths := src.Paths()
	conn, err := e.db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("query %d files: %w", len(paths), err)
	}
	defer conn.Close()
	defer progressOf(ctx).watch(conn)()
	rows, err := conn.QueryContext(ctx, s.over(src, raw, e.byHand(), e.numbered()))
	if err == nil {
		defer rows.Close()
		for rows.Next() {
			if err := scan(rows); err != nil {
				return err // the caller's own
			}
		}
		err = errors.Join(rows.Err(), rows.Close())
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("query %d files: %w", len(paths), err)
	}
	return nil
}

// answer runs a statement and tells what it cost.
func (e *Engine) answer(ctx context.Context, s statement, src Source, raw bool, scan func(*sql.Rows) error) (Stats, error) {
	begin := time.Now()
	if err := e.run(ctx, s, src, raw, scan); err != nil {
		return Stats{}, err
	}
	rows, err := e.rows(ctx, src)
	return Stats{Files: len(src.Paths()), Rows: rows, SQL: s.text(), Duration: time.Since(begin)}, err
}

// rows counts the flows in the files; a *store.Snapshot knows without looking.
func (e *Engine) rows(ctx context.Context, src Source) (uint64, error) {
	if counted, ok := src.(interface{ Rows() int64 }); ok {
		return uint64(counted.Rows()), nil
	}
	sizes, err := e.fileSizes(ctx, src.Paths())
	var rows uint64
	for _, size := range sizes {
		rows += size.rows
	}
	return rows, err
}

// where is the condition of a request's time window and filter.
func (r *Request) where() string {
	var terms []string
	if !r.To.IsZero() {
		terms = append(terms, `"start" < `+timeLiteral(r.To))
	}
	if !r.From.IsZero() {
		terms = append(terms, `"end" >= `+timeLiteral(r.From))
	}
	if condition := r.Filter.SQL(); condition != "true" || len(terms) == 0 {
		terms = append(terms, condition)
	}
	return strings.Join(terms, " AND ")
}

// Span returns the earliest start and the latest end of all flows; ok is
// false when there are none.
func (e *Engine) Span(ctx context.Context, src Source) (first, last time.Time, ok bool, err error) {
	var a, b sql.NullInt64
	s := statement{body: `SELECT epoch_ms(min("start")), epoch_ms(max("end")) FROM flows`}
	err = e.run(ctx, s, src, true, func(rows *sql.Rows) error { return rows.Scan(&a, &b) })
	if err != nil || !a.Valid {
		return time.Time{}, time.Time{}, false, err
	}
	return time.UnixMilli(a.Int64).UTC(), time.UnixMilli(b.Int64).UTC(), true, nil
}
