package query

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/duckdb/duckdb-go/v2"

	"github.com/minamo-flow/minamo/flow"
)

// SQLAnswer is what SELECT found.
type SQLAnswer struct {
	Columns []SQLColumn
	Rows    [][]any // nil, bool, int64, uint64, float64, string or time.Time
	More    bool    // the limit left rows out
	Stats   Stats
}

// SQLColumn is a column of it. Its name is unlike all others.
type SQLColumn struct{ Name, Type string }

// ErrNotSelect says that a text is not what Select takes.
var ErrNotSelect = errors.New("expected one SELECT, and nothing else")

// Select answers a question that an expert wrote in SQL, over views of files:
// "flows" is those of src, as they are stored, and there is one for each of
// tables. It is one SELECT, and can read nothing but these files: not others,
// not the network, no extension. Every question has a DuckDB of its own, which
// keeps within c. At most limit rows are returned.
//
// Addresses, which DuckDB knows as UUID, are returned as text; ip('192.0.2.1')
// makes one of IPv4. What has no simple type is JSON, in text.
func Select(ctx context.Context, c Config, src Source, tables map[string][]string, question string, limit int) (*SQLAnswer, error) {
	begin := time.Now()
	db, err := openSelect(ctx, c, src, tables)
	if err != nil {
		return nil, err
	}
	defer db.close()
	question = strings.TrimRight(question, "; \t\r\n")
	if err := db.check(question); err != nil {
		return nil, err
	}
	defer progressOf(ctx).watch(db.conn)()
	// On a line of its own, for the question may end in a comment.
	rows, err := db.conn.QueryContext(ctx, "SELECT * FROM (\n"+question+"\n) LIMIT "+strconv.Itoa(limit+1))
	if err != nil {
		return nil, cmp.Or(ctx.Err(), err)
	}
	defer rows.Close()
	a := &SQLAnswer{}
	types, err := rows.ColumnTypes()
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, t := range types {
		name := t.Name()
		for n := 2; seen[name]; n++ {
			name = t.Name() + "_" + strconv.Itoa(n)
		}
		seen[name] = true
		a.Columns = append(a.Columns, SQLColumn{name, t.DatabaseTypeName()})
	}
	for rows.Next() {
		if len(a.Rows) == limit {
			a.More = true
			break
		}
		values, targets := make([]any, len(types)), make([]any, len(types))
		for i := range values {
			targets[i] = &values[i]
		}
		if err := rows.Scan(targets...); err != nil {
			return nil, err
		}
		for i, v := range values {
			values[i] = simple(v, a.Columns[i].Type)
		}
		a.Rows = append(a.Rows, values)
	}
	if err := cmp.Or(ctx.Err(), rows.Err()); err != nil {
		return nil, err
	}
	a.Stats = Stats{Files: len(src.Paths()), Duration: time.Since(begin), SQL: question}
	return a, nil
}

// selectDB is a DuckDB for one question.
type selectDB struct {
	db   *sql.DB
	conn *sql.Conn
	temp string
}

func (s *selectDB) close() error {
	var errs []error
	if s.conn != nil {
		errs = append(errs, s.conn.Close())
	}
	if s.db != nil {
		errs = append(errs, s.db.Close())
	}
	return errors.Join(append(errs, os.RemoveAll(s.temp))...)
}

// openSelect opens it, defines the views, and shuts everything else off.
func openSelect(ctx context.Context, c Config, src Source, tables map[string][]string) (*selectDB, error) {
	s := &selectDB{}
	if err := s.open(ctx, c, src, tables); err != nil {
		s.close()
		return nil, fmt.Errorf("open a database for the question: %w", err)
	}
	return s, nil
}

func (s *selectDB) open(ctx context.Context, c Config, src Source, tables map[string][]string) (err error) {
	// DuckDB's files have the same names everywhere.
	if err := os.MkdirAll(cmp.Or(c.TempDir, os.TempDir()), 0o750); err != nil {
		return err
	}
	if s.temp, err = os.MkdirTemp(c.TempDir, "sql-"); err != nil {
		return err
	}
	options := url.Values{
		"memory_limit":   {strconv.FormatInt(cmp.Or(c.MemoryLimit, 1<<30), 10) + "B"},
		"threads":        {strconv.Itoa(cmp.Or(c.Threads, runtime.GOMAXPROCS(0)))},
		"temp_directory": {s.temp},

		"enable_external_file_cache":   {"false"},
		"autoinstall_known_extensions": {"false"},
		"autoload_known_extensions":    {"false"},
		"allow_community_extensions":   {"false"},
		"allow_unsigned_extensions":    {"false"},
	}
	connector, err := duckdb.NewConnector("?"+options.Encode(), func(driver.ExecerContext) error { return nil })
	if err != nil {
		return err
	}
	s.db = sql.OpenDB(connector)
	if s.conn, err = s.db.Conn(ctx); err != nil {
		return err
	}
	statements := definitions() + c.spillLimit() + ";\n" + progressSettings + `; SET TimeZone = 'UTC';
CREATE MACRO ip(a) AS printf('00000000-0000-0000-0000-ffff%02x%02x%02x%02x', split_part(a, '.', 1)::UTINYINT, split_part(a, '.', 2)::UTINYINT, split_part(a, '.', 3)::UTINYINT, split_part(a, '.', 4)::UTINYINT)::UUID;
CREATE VIEW flows AS SELECT * FROM no_flows`
	paths := src.Paths()
	if len(paths) > 0 {
		statements += "\nUNION ALL BY NAME SELECT * FROM read_parquet(" + pathList(paths) + ", union_by_name = true, hive_partitioning = false)"
	}
	allowed := paths
	for name, parts := range tables {
		if len(parts) > 0 {
			statements += ";\nCREATE VIEW " + quote(name) + " AS SELECT * FROM read_parquet(" + pathList(parts) + ", union_by_name = true, hive_partitioning = false)"
			allowed = append(allowed[:len(allowed):len(allowed)], parts...)
		}
	}
	statements += ";\nSET allowed_paths = " + pathList(allowed) + ";\nSET enable_external_access = false;\nSET lock_configuration = true"
	_, err = s.conn.ExecContext(ctx, statements)
	return err
}

// check tells what is wrong with a question, before any of it is run.
func (s *selectDB) check(question string) error {
	if strings.TrimSpace(question) == "" {
		return ErrNotSelect
	}
	return s.conn.Raw(func(d any) error {
		// Unlike PrepareContext it takes one statement only, and so runs none.
		prepared, err := d.(*duckdb.Conn).Prepare(question)
		var wrong *duckdb.Error
		if errors.As(err, &wrong) {
			return err
		}
		if err != nil {
			return ErrNotSelect
		}
		defer prepared.Close()
		if kind, err := prepared.(*duckdb.Stmt).StatementType(); err != nil || kind != duckdb.STATEMENT_TYPE_SELECT {
			return ErrNotSelect
		}
		return nil
	})
}

// simple makes a value one of the types that SQLAnswer has.
func simple(v any, typeName string) any {
	switch v := v.(type) {
	case nil, bool, int64, uint64, float64, string, time.Time:
		return v
	case int8:
		return int64(v)
	case int16:
		return int64(v)
	case int32:
		return int64(v)
	case uint8:
		return uint64(v)
	case uint16:
		return uint64(v)
	case uint32:
		return uint64(v)
	case float32:
		return float64(v)
	case *big.Int:
		switch {
		case v.IsInt64():
			return v.Int64()
		case v.IsUint64():
			return v.Uint64()
		}
		return v.String()
	case duckdb.Decimal:
		return v.Float64()
	case []byte:
		if typeName == "UUID" && len(v) == 16 {
			return flow.Addr(v).String()
		}
		return fmt.Sprintf("%x", v)
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}
