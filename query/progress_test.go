package query

import (
	"context"
	"errors"
	"testing"
	"time"
)

// slow is a statement that takes minutes, and whose progress DuckDB can tell:
// it counts the rows of a table.
func slow(t *testing.T, e *Engine) statement {
	t.Helper()
	if _, err := e.db.Exec("CREATE TABLE IF NOT EXISTS many AS SELECT range AS a FROM range(1_000_000)"); err != nil {
		t.Fatal(err)
	}
	return statement{body: "SELECT sum(m.a + n.a * 3) FROM many m, many n"}
}

func TestProgressIsToldWhileAQuestionRuns(t *testing.T) {
	e, err := Open(Config{TempDir: t.TempDir(), Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	s := slow(t, e)
	var p Progress
	if p.Fraction() != 0 {
		t.Error("done before it began")
	}
	ctx, cancel := context.WithCancel(WithProgress(t.Context(), &p))
	ended := make(chan error)
	go func() { ended <- e.run(ctx, s, Files(nil), true, nil) }()
	for before := 0.0; before < 0.002; time.Sleep(time.Millisecond) {
		now := p.Fraction()
		if now < before || now > 1 {
			t.Fatalf("%v after %v", now, before)
		}
		before = now
		select {
		case err := <-ended:
			t.Fatalf("it ended: %v", err)
		default:
		}
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	p.span(0.5, 1)
	if f := p.Fraction(); f < 0.5 || f >= 1 { // a busy machine may have seen more than half before
		t.Errorf("%v at the second half", f)
	}
}
