package query

import (
	"context"
	"database/sql"
	"reflect"
	"sync"

	"github.com/duckdb/duckdb-go/v2"
	"github.com/duckdb/duckdb-go/v2/mapping"
)

// Progress tells, while a question is answered, how much of it is done. Give
// it to the question with WithProgress; its zero value is ready, and a nil one
// is for questions that nobody watches. It is safe for concurrent use.
type Progress struct {
	mu       sync.Mutex
	conn     mapping.Connection // of the statement that runs now
	from, to float64            // what that statement is of the whole; to is 0 for all
	least    float64            // what was told already: a bar does not go back
}

type progressKey struct{}

// WithProgress lets the questions that are asked with the context report to p.
func WithProgress(ctx context.Context, p *Progress) context.Context {
	return context.WithValue(ctx, progressKey{}, p)
}

func progressOf(ctx context.Context) *Progress {
	p, _ := ctx.Value(progressKey{}).(*Progress)
	return p
}

// Fraction is how much is done, from 0 to 1. It is DuckDB's own estimate,
// made from the rows that were read, and only grows.
func (p *Progress) Fraction() float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	done := 0.0
	if p.conn.Ptr != nil {
		report := mapping.QueryProgress(p.conn)
		percent, _, _ := mapping.QueryProgressTypeMembers(&report)
		done = min(max(percent/100, 0), 1) // -1 before it knows
	}
	to := p.to
	if to == 0 {
		to = 1
	}
	p.least = max(p.least, p.from+(to-p.from)*done)
	return p.least
}

// span says what part of the whole the following statements are, for questions
// that are answered piece by piece.
func (p *Progress) span(from, to float64) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.from, p.to, p.least = from, to, max(p.least, from)
}

// watch makes a connection's progress that of p, until the function that it
// returns is called; the connection must live so long.
func (p *Progress) watch(conn *sql.Conn) (stop func()) {
	if p == nil {
		return func() {}
	}
	set := func(c mapping.Connection) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.conn = c
	}
	conn.Raw(func(driver any) error {
		if c, ok := driver.(*duckdb.Conn); ok {
			set(handle(c))
		}
		return nil
	})
	return func() { set(mapping.Connection{}) }
}

// handle is the C connection within the driver's, which offers no way to ask
// it for progress. Should the driver change, there is none, and a test fails.
func handle(c *duckdb.Conn) mapping.Connection {
	field := reflect.ValueOf(c).Elem().FieldByName("conn")
	if !field.IsValid() || field.Type() != reflect.TypeFor[mapping.Connection]() {
		return mapping.Connection{}
	}
	return mapping.Connection{Ptr: field.FieldByName("Ptr").UnsafePointer()}
}

// progressSettings make DuckDB count from the first moment, and print nothing.
const progressSettings = "SET enable_progress_bar = true; SET enable_progress_bar_print = false; SET progress_bar_time = 0"
