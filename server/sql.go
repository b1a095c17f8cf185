package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/duckdb/duckdb-go/v2"

	"github.com/minamo-flow/minamo/query"
	"github.com/minamo-flow/minamo/rollup"
	"github.com/minamo-flow/minamo/store"
)

// SQLQuestion is a question in SQL, of the files that have flows of a time.
type SQLQuestion struct {
	Form
	From  string `query:"from" doc:"Leaves out files whose flows are all before: RFC 3339, now, or a span before now"`
	To    string `query:"to" doc:"Leaves out files whose flows are all after"`
	Limit int    `query:"limit" default:"1000" minimum:"1" maximum:"1000000" doc:"Rows at most"`
}

type sqlGet struct {
	SQLQuestion
	Q string `query:"q" required:"true" doc:"The question: one SELECT over flows"`
}

type sqlPost struct {
	SQLQuestion
	RawBody []byte `contentType:"application/sql" doc:"The question: one SELECT over flows"`
}

// SQLAnswer is what a SELECT found.
type SQLAnswer struct {
	Columns []SQLColumn      `json:"columns"`
	Rows    []map[string]any `json:"rows"`
	More    bool             `json:"more" doc:"The limit left rows out"`
	Meta    *Meta            `json:"meta"`

	found *query.SQLAnswer
}

// SQLColumn is a column of it.
type SQLColumn struct {
	Name string `json:"name"`
	Type string `json:"type" doc:"DuckDB's; UUID are addresses"`
}

// registerSQL declares the endpoint of experts, where the configuration has it.
func (s *Server) registerSQL(api huma.API) {
	const summary = "Ask in SQL"
	ask := operation("sql", "/api/sql", summary)
	ask.Description = "One SELECT over the view flows, which are the files as docs/storage.md describes them, packets and bytes as exported, and over the tables of rollups that there are. It can read nothing else. ip('192.0.2.1') makes an address of a text."
	forms(api, ask, func(ctx context.Context, in *sqlGet) (*SQLAnswer, error) { return s.sql(ctx, in.SQLQuestion, in.Q) })
	post := ask
	post.OperationID, post.Method, post.MaxBodyBytes = "sql-post", http.MethodPost, 1<<20
	forms(api, post, func(ctx context.Context, in *sqlPost) (*SQLAnswer, error) {
		return s.sql(ctx, in.SQLQuestion, string(in.RawBody))
	})
}

func (s *Server) sql(ctx context.Context, in SQLQuestion, question string) (*SQLAnswer, error) {
	u := &understood{}
	now := time.Now()
	for _, end := range []struct {
		name, text string
		at         *time.Time
	}{{"from", in.From, &u.from}, {"to", in.To, &u.to}} {
		if end.text == "" {
			continue
		}
		var err error
		if *end.at, err = parseTime(end.text, now); err != nil {
			u.fault(end.name, end.text, err)
		}
	}
	if err := u.problem(); err != nil {
		return nil, err
	}
	parameters := []any{in.Limit, u.from.UnixMilli(), u.to.UnixMilli(), question}
	found, how, err := ask(ctx, s, "sql", parameters, u.from, u.to, func(ctx context.Context, files *archive) (*query.SQLAnswer, query.Stats, error) {
		snapshot, err := store.Pin(s.DataDir, u.from, u.to)
		if err != nil {
			return nil, query.Stats{}, err
		}
		defer snapshot.Close()
		files.damaged = snapshot.Damaged()
		tables := map[string][]string{}
		for _, cube := range rollup.Cubes {
			for _, level := range rollup.Levels {
				name := cube.Table(level)
				parts, err := files.Pin(u.from, u.to, name)
				if err != nil {
					return nil, query.Stats{}, err
				}
				defer parts.Close()
				tables[name] = parts.Table(name)
			}
		}
		a, err := query.Select(ctx, s.SQLLimits, snapshot, tables, question, in.Limit)
		if err != nil {
			return nil, query.Stats{}, err
		}
		a.Stats.Rows = uint64(snapshot.Rows())
		return a, a.Stats, nil
	})
	if err != nil {
		return nil, err
	}
	a := &SQLAnswer{Rows: []map[string]any{}, More: found.More, Meta: &how, found: found}
	for _, c := range found.Columns {
		a.Columns = append(a.Columns, SQLColumn(c))
	}
	for _, values := range found.Rows {
		row := make(map[string]any, len(values))
		for i, v := range values {
			row[a.Columns[i].Name] = v
		}
		a.Rows = append(a.Rows, row)
	}
	return a, nil
}

func (a *SQLAnswer) how() *Meta { return a.Meta }

func (a *SQLAnswer) table() *table {
	t := &table{name: "minamo-sql"}
	for i, c := range a.Columns {
		t.columns = append(t.columns, column{c.Name, kindOf(a.found.Rows, i)})
	}
	t.rows = func(yield func([]any) error) error {
		for _, values := range a.found.Rows {
			line := slices.Clone(values)
			for i := range line {
				line[i] = converted(line[i], t.columns[i].kind)
			}
			if err := yield(line); err != nil {
				return err
			}
		}
		return nil
	}
	return t
}

// kindOf is the narrowest kind that holds all values of a column.
func kindOf(rows [][]any, i int) kind {
	found := map[kind]bool{}
	large := false
	for _, values := range rows {
		switch v := values[i].(type) {
		case nil:
		case bool:
			found[truth] = true
		case int64:
			found[signed] = true
		case uint64:
			found[unsigned] = true
			large = large || v > 1<<63-1
		case float64:
			found[real] = true
		case time.Time:
			found[instant] = true
		default:
			found[text] = true
		}
	}
	switch {
	case len(found) == 1:
		for k := range found {
			return k
		}
	case len(found) == 2 && found[signed] && found[unsigned] && !large:
		return signed
	}
	return text
}

func converted(v any, to kind) any {
	switch v := v.(type) {
	case nil:
		return nil
	case uint64:
		if to == signed {
			return int64(v)
		}
	}
	if _, is := v.(string); to == text && !is {
		return fmt.Sprint(v)
	}
	return v
}

// wrongSQL is what is wrong with a question in SQL; ok is false where
// something else is.
func wrongSQL(err error) (problem error, ok bool) {
	if errors.Is(err, query.ErrNotSelect) {
		return huma.Error422UnprocessableEntity("q: " + err.Error()), true
	}
	var engine *duckdb.Error
	if !errors.As(err, &engine) {
		return nil, false
	}
	switch engine.Type {
	case duckdb.ErrorTypeInternal, duckdb.ErrorTypeFatal, duckdb.ErrorTypeOutOfMemory:
		return nil, false
	}
	return huma.Error422UnprocessableEntity("q: " + strings.TrimSpace(engine.Msg)), true
}
