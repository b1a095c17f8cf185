package server

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"runtime/debug"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/duckdb/duckdb-go/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/minamo-flow/minamo/query"
	"github.com/minamo-flow/minamo/store"
)

// Meta tells how an answer was come by.
type Meta struct {
	Question     string   `json:"question" doc:"Its id, for /api/questions"`
	Tables       []string `json:"tables" doc:"Tables that answered, the coarsest first; flows is every single flow"`
	Segments     int      `json:"segments" doc:"Files that were read"`
	Damaged      int      `json:"damaged" doc:"Files that could not be read, and are missing in the answer"`
	Rows         int64    `json:"rows_scanned" doc:"Rows in those files"`
	Milliseconds int64    `json:"milliseconds" doc:"Time it took, without waiting; that of the first time when it is cached"`
	Waited       int64    `json:"waited_milliseconds" doc:"Time it waited until others were answered"`
	Cached       bool     `json:"cached" doc:"Others asked the same before, or at the same time"`
	SQL          string   `json:"sql" doc:"The query; flows in it is the union of the files"`
	Command      string   `json:"command" doc:"The equal command line"`
}

// headers are the meta of answers that have no other place for it.
func (m *Meta) headers(set func(name, value string)) {
	set("Minamo-Question", m.Question)
	set("Minamo-Tables", joined(m.Tables))
	set("Minamo-Files", fmt.Sprint(m.Segments))
	set("Minamo-Files-Damaged", fmt.Sprint(m.Damaged))
	set("Minamo-Rows-Scanned", fmt.Sprint(m.Rows))
	set("Minamo-Milliseconds", fmt.Sprint(m.Milliseconds))
	set("Minamo-Cached", fmt.Sprint(m.Cached))
}

// archive is where a question finds its files; it notes which cannot be read.
type archive struct {
	dir            string
	files, damaged int
}

// Pin holds files open, as store.PinTables does.
func (a *archive) Pin(from, to time.Time, tables ...string) (query.Pinned, error) {
	s, err := store.PinTables(a.dir, from, to, tables...)
	if err != nil {
		return nil, err
	}
	a.damaged = max(a.damaged, s.Damaged())
	a.files += len(s.Paths())
	for _, table := range tables {
		a.files += len(s.Table(table))
	}
	return s, nil
}

// Reach tells what is kept.
func (a *archive) Reach() (store.Kept, error) { return store.Reach(a.dir) }

// meta is what a question cost.
func (a *archive) meta(stats query.Stats) Meta {
	tables := stats.Tables
	if tables == nil {
		tables = []string{"flows"}
	}
	return Meta{Tables: tables, Segments: max(a.files, stats.Files), Damaged: a.damaged, Rows: int64(stats.Rows), SQL: stats.SQL}
}

// reply is an answer before its meta belongs to one asker.
type reply[T any] struct {
	body T
	meta Meta
}

// ask answers a question about the time between from and to, unless somebody
// asks the same right now or did before: then the answer is shared, and must
// not be changed. What makes questions the same is kind and parameters, which
// have to name all that f depends on but the flows.
func ask[T any](ctx context.Context, s *Server, kind string, parameters any, from, to time.Time, f func(context.Context, *archive) (T, query.Stats, error)) (T, Meta, error) {
	var none T
	begin := time.Now()
	q, ctx, err := s.questions.begin(ctx, kind)
	if err != nil {
		return none, Meta{}, err
	}
	defer s.questions.end(q)
	state, err := fingerprint(s.DataDir, from, to)
	if err != nil {
		return none, Meta{}, s.failed(kind, begin, err)
	}
	exactly, err := json.Marshal(parameters)
	if err != nil {
		return none, Meta{}, s.failed(kind, begin, err)
	}
	key := fmt.Sprintf("%s %s %x %d", kind, exactly, state, s.Engine.Named())
	if kept, ok := s.answers.cached(key); ok {
		s.queries.WithLabelValues(kind, "cached").Observe(time.Since(begin).Seconds())
		r := kept.(reply[T])
		r.meta.Question, r.meta.Cached, r.meta.Waited = q.id, true, 0
		return r.body, r.meta, nil
	}
	c, calling, first := s.answers.join(ctx, key)
	q.follow(&c.progress)
	if first {
		s.calls.Go(func() {
			r := reply[T]{}
			err := s.run(calling, q, &c.progress, func(ctx context.Context) error {
				files := &archive{dir: s.DataDir}
				body, stats, err := f(ctx, files)
				r.body, r.meta = body, files.meta(stats)
				return err
			})
			r.meta.Milliseconds, r.meta.Waited = q.ran().Milliseconds(), q.waited().Milliseconds()
			bytes := int64(0)
			if kind != "sql" { // which can ask what the time is
				bytes = size(r, s.answers.limit)
			}
			s.answers.finish(key, c, r, bytes, err)
		})
	}
	select {
	case <-c.done:
	case <-ctx.Done():
		s.answers.leave(key, c)
		return none, Meta{}, s.failed(kind, begin, context.Cause(ctx))
	}
	if c.err != nil {
		return none, Meta{}, s.failed(kind, begin, c.err)
	}
	outcome := "ok"
	if !first {
		outcome = "shared"
	}
	s.queries.WithLabelValues(kind, outcome).Observe(time.Since(begin).Seconds())
	r := c.value.(reply[T])
	r.meta.Question, r.meta.Cached = q.id, !first
	return r.body, r.meta, nil
}

// run lets a question wait for its turn and answers it, below what receives
// and stores, within the time limit.
func (s *Server) run(ctx context.Context, q *question, progress *query.Progress, f func(context.Context) error) error {
	waiting, cancel := context.WithTimeoutCause(ctx, s.Timeout, errWaited)
	err := s.queue.enter(waiting, q.who)
	if waiting.Err() != nil && err != nil {
		err = context.Cause(waiting)
	}
	cancel()
	if err != nil {
		return err
	}
	defer s.queue.leave()
	q.start()
	ctx, cancel = context.WithTimeout(query.WithProgress(ctx, progress), s.Timeout)
	defer cancel()
	query.Background(func() {
		defer func() { // a fault in a question must not end the collector
			if p := recover(); p != nil {
				s.Log.Error("a question hit a fault of the program: please report it", "kind", q.kind, "fault", p, "stack", string(debug.Stack()))
				err = fmt.Errorf("a fault of the program, which the log tells more of: %v", p)
			}
		}()
		err = f(ctx)
	})
	if ctx.Err() != nil {
		err = ctx.Err() // whatever else an interrupted query says
	}
	return err
}

// errWaited says that a question's turn did not come within the time limit.
var errWaited = errors.New("the question waited too long")

// fingerprint stands for the flows between from and to, by the names of their
// files: what is under a name never changes. Rollups say nothing else than the
// flows do.
func fingerprint(dir string, from, to time.Time) ([]byte, error) {
	segments, err := store.Segments(dir)
	if err != nil {
		return nil, err
	}
	h := sha256.New()
	for _, s := range segments {
		if !s.End.Before(from) && !s.Start.After(to) {
			fmt.Fprintln(h, filepath.Base(s.Path))
		}
	}
	return h.Sum(nil), nil
}

// size is about how much memory an answer needs; 0 where none is kept at all.
func size[T any](r reply[T], limit int64) int64 {
	if limit == 0 {
		return 0
	}
	text, err := json.Marshal(r.body)
	if err != nil {
		return 0
	}
	return int64(2*len(text) + len(r.meta.SQL) + 1024)
}

// failed counts and logs a question that was not answered, and says it to who asked.
func (s *Server) failed(kind string, begin time.Time, err error) error {
	outcome, problem := "error", error(huma.Error500InternalServerError("the question could not be answered: "+err.Error()))
	var engine *duckdb.Error
	var gone *query.NotKeptError
	wrong, isWrong := error(nil), false
	if kind == "sql" {
		wrong, isWrong = wrongSQL(err)
	}
	switch {
	case isWrong:
		s.queries.WithLabelValues(kind, "wrong").Observe(time.Since(begin).Seconds())
		return wrong
	case errors.Is(err, query.ErrNoRoles), errors.As(err, &gone):
		outcome, problem = "wrong", huma.Error422UnprocessableEntity(err.Error())
	case errors.Is(err, errFull):
		outcome, problem = "refused", again(fmt.Sprintf("%d questions run and %d wait already: ask again in a few seconds, or raise query.waiting", s.Concurrency, s.Waiting))
	case errors.Is(err, errWaited):
		outcome, problem = "refused", again(fmt.Sprintf("the question waited longer than %v for others to end: ask again in a few seconds, or raise query.concurrency", s.Timeout))
	case errors.Is(err, errStopped):
		outcome, problem = "stopped", huma.Error409Conflict("the question was stopped, as /api/questions was told")
	case errors.Is(err, context.DeadlineExceeded):
		outcome, problem = "timeout", huma.Error503ServiceUnavailable(fmt.Sprintf("the question took longer than %v and was ended: ask for a shorter time, or raise query.timeout", s.Timeout))
	case errors.Is(err, context.Canceled):
		outcome, problem = "canceled", huma.Error503ServiceUnavailable("the question was ended: the server stops, or the asker went away")
	case errors.As(err, &engine) && engine.Type == duckdb.ErrorTypeOutOfMemory:
		outcome, problem = "memory", huma.NewError(http.StatusInsufficientStorage, "the question needs more than its memory and its room on disk: ask for a shorter time or fewer dimensions, or raise query.memory or query.spill. "+engine.Msg)
	default:
		s.Log.Error("question failed", "kind", kind, "error", err)
	}
	s.queries.WithLabelValues(kind, outcome).Observe(time.Since(begin).Seconds())
	return problem
}

// again is a problem that passes.
func again(detail string) error {
	return huma.ErrorWithHeaders(huma.Error503ServiceUnavailable(detail), http.Header{"Retry-After": {"5"}})
}

// registerMetrics declares what Prometheus sees of questions.
func (s *Server) registerMetrics(metrics *prometheus.Registry) {
	s.queries = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "minamo_query_seconds",
		Help:    "Time that questions took, waiting included, by kind and outcome.",
		Buckets: prometheus.ExponentialBuckets(0.001, 4, 9),
	}, []string{"kind", "outcome"})
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	metrics.MustRegister(s.queries,
		gauge("minamo_query_running", "Questions that run now.", func() float64 { n, _ := s.queue.counts(); return float64(n) }),
		gauge("minamo_query_waiting", "Questions that wait for their turn.", func() float64 { _, n := s.queue.counts(); return float64(n) }),
		gauge("minamo_query_cache_answers", "Answers that are kept.", func() float64 { n, _ := s.answers.size(); return float64(n) }),
		gauge("minamo_query_cache_bytes", "About how much memory they need.", func() float64 { _, n := s.answers.size(); return float64(n) }),
	)
}

func joined(list []string) string {
	out := ""
	for _, s := range slices.Compact(list) {
		if out != "" {
			out += ", "
		}
		out += s
	}
	return out
}
