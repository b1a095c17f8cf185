package server

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/query"
	"github.com/minamo-flow/minamo/store"
)

type flowsInput struct {
	Range
	Form
	Order string `query:"order" enum:"newest,stored" default:"newest" doc:"The newest first; or as they are stored, about by time, which streams any number of them"`
	Limit int    `query:"limit" default:"100" minimum:"1" maximum:"100000000" doc:"Flows at most: 10,000 as JSON, 1,000,000 of the newest"`
}

// FlowList is a list of single flows.
type FlowList struct {
	Rows []json.RawMessage `json:"rows" doc:"Columns of each flow, as in docs/columns.md"`
	More bool              `json:"more" doc:"Whether there are more flows than limit. Of other forms the trailer Minamo-More tells"`
	Meta Meta              `json:"meta"`
}

const (
	maxListedFlows = 10_000    // of a list in JSON, which is one piece
	maxSortedFlows = 1_000_000 // in an order other than they are stored
)

// flows registers the list of single flows. As JSON it is kept like every
// other answer; its other forms are made while the flows are read.
func (s *Server) flows(api huma.API, op huma.Operation) {
	op.Responses = map[string]*huma.Response{"200": responses(api, reflect.TypeFor[FlowList]())}
	huma.Register(api, op, func(ctx context.Context, in *flowsInput) (*huma.StreamResponse, error) {
		u := understand(in.Range)
		r := query.Request{From: u.from, To: u.to, Raw: in.Raw, Limit: in.Limit}
		var err error
		if u.faults == nil {
			r.Filter, err = joinFilters(in.Filters)
		}
		if err != nil {
			u.fault("filter", in.Filters, err)
		}
		if in.Order == "newest" {
			r.Order = query.ByNewest
			if in.Limit > maxSortedFlows {
				u.fault("limit", in.Limit, fmt.Errorf("limit: %d are the most in this order: ask with order=stored", maxSortedFlows))
			}
		}
		if err := u.problem(); err != nil {
			return nil, err
		}
		return &huma.StreamResponse{Body: func(hc huma.Context) {
			hc.SetHeader("Vary", "Accept")
			var problem error
			if e := chosen(in.Format, hc.Header("Accept")); e == nil {
				problem = s.listFlows(ctx, hc, in, r)
			} else {
				problem = s.streamFlows(ctx, hc, *e, r)
			}
			if status := huma.StatusError(nil); errors.As(problem, &status) {
				writeProblem(api, hc, problem, status)
			}
		}}, nil
	})
}

// writeProblem answers with a problem where nothing was written yet.
func writeProblem(api huma.API, hc huma.Context, problem error, status huma.StatusError) {
	if h := huma.HeadersError(nil); errors.As(problem, &h) {
		for name, values := range h.GetHeaders() {
			for _, v := range values {
				hc.AppendHeader(name, v)
			}
		}
	}
	model := &huma.ErrorModel{Title: http.StatusText(status.GetStatus()), Status: status.GetStatus(), Detail: status.Error()}
	if m := (*huma.ErrorModel)(nil); errors.As(problem, &m) {
		model = m
	}
	hc.SetHeader("Content-Type", "application/problem+json")
	hc.SetStatus(model.Status)
	writeJSON(hc.BodyWriter(), model)
}

func (s *Server) listFlows(ctx context.Context, hc huma.Context, in *flowsInput, r query.Request) error {
	if in.Limit > maxListedFlows {
		return huma.Error422UnprocessableEntity(fmt.Sprintf("limit: %d flows are the most in JSON: ask for format=csv, parquet or arrow", maxListedFlows))
	}
	parameters := []any{r.From.UnixMilli(), r.To.UnixMilli(), in.Filters, r.Order, r.Limit, r.Raw}
	rows, how, err := ask(ctx, s, "flows", parameters, r.From, r.To, func(ctx context.Context, files *archive) ([]json.RawMessage, query.Stats, error) {
		snapshot, err := files.Pin(r.From, r.To)
		if err != nil {
			return nil, query.Stats{}, err
		}
		defer snapshot.Close()
		rows := []json.RawMessage{}
		asked := r
		asked.Limit++ // tells whether there are more
		stats, err := s.Engine.Flows(ctx, snapshot, asked, func(b *flow.Batch) error {
			for i := range b.Len() {
				rows = append(rows, b.AppendJSON(nil, i))
			}
			return nil
		})
		return rows, stats, err
	})
	if err != nil {
		return err
	}
	words := []string{"minamo", "flows", "--data", s.DataDir, "-t", commandTime(r.From) + "/" + commandTime(r.To), "-c", strconv.Itoa(r.Limit), "-o", "json"}
	if r.Order != "" {
		words = append(words, "-O", string(r.Order))
	}
	if r.Raw {
		words = append(words, "--raw")
	}
	if filter := joinedFilter(in.Filters); filter != "" {
		words = append(words, filter)
	}
	how.Command = commandLine(words...)
	how.headers(hc.SetHeader)
	hc.SetHeader("Content-Type", "application/json")
	hc.SetStatus(http.StatusOK)
	more := len(rows) > r.Limit
	finished(writeJSON(hc.BodyWriter(), FlowList{rows[:min(len(rows), r.Limit)], more, how}))
	return nil
}

// streamFlows writes flows while they are read. Parquet is the form in which
// they are stored, with packets and bytes as exported.
func (s *Server) streamFlows(ctx context.Context, hc huma.Context, e encoding, r query.Request) error {
	begin := time.Now()
	q, ctx, err := s.questions.begin(ctx, "flows")
	if err != nil {
		return err
	}
	defer s.questions.end(q)
	snapshot, err := store.Pin(s.DataDir, r.From, r.To)
	if err != nil {
		return s.failed("flows", begin, err)
	}
	defer snapshot.Close()
	stored := e.name == "parquet"
	r.Raw = r.Raw || stored
	var progress query.Progress
	q.follow(&progress)
	t := flowTable(stored)
	t.name = fileName("flows", r.From, nil)
	out := &lateWriter{hc: hc, before: func() {
		m := Meta{Question: q.id, Tables: []string{"flows"}, Segments: len(snapshot.Paths()), Damaged: snapshot.Damaged(), Rows: snapshot.Rows(), Milliseconds: q.ran().Milliseconds()}
		m.headers(hc.SetHeader)
		hc.SetHeader("Trailer", "Minamo-More")
		e.describe(hc, t)
		hc.SetStatus(http.StatusOK)
	}}
	w := bufio.NewWriterSize(out, 1<<16)
	more := false
	err = s.run(ctx, q, &progress, func(ctx context.Context) error {
		t.rows = func(yield func([]any) error) error {
			line := make([]any, len(t.columns))
			left := r.Limit
			asked := r
			asked.Limit++ // tells whether there are more
			_, err := s.Engine.Flows(ctx, snapshot, asked, func(b *flow.Batch) error {
				for i := range b.Len() {
					if left--; left < 0 {
						more = true
						break
					}
					flowCells(line, b, i, stored)
					if err := yield(line); err != nil {
						return err
					}
				}
				return nil
			})
			return err
		}
		if err := e.write(w, t); err != nil {
			return err
		}
		return w.Flush()
	})
	if err == nil {
		hc.SetHeader("Minamo-More", strconv.FormatBool(more)) // the trailer
		s.queries.WithLabelValues("flows", "ok").Observe(time.Since(begin).Seconds())
		return nil
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	problem := s.failed("flows", begin, err)
	finished(out.err()) // a part is out already
	return problem
}

// lateWriter begins the response with its first byte: until then, it can still
// become a problem.
type lateWriter struct {
	hc     huma.Context
	before func()
	begun  bool
}

func (w *lateWriter) Write(p []byte) (int, error) {
	if !w.begun {
		w.begun = true
		w.before()
	}
	return w.hc.BodyWriter().Write(p)
}

// err is not nil when something was written.
func (w *lateWriter) err() error {
	if w.begun {
		return errors.New("begun")
	}
	return nil
}

// storedKinds are those of flows as they are stored.
var storedKinds = [...]kind{
	flow.Uint8: octet, flow.Uint16: short, flow.Uint32: word, flow.Uint64: unsigned,
	flow.Time: instant, flow.Address: address, flow.MAC: unsigned, flow.Text: text,
}

// flowTable has every column of a flow: as it is stored, or as people read it.
func flowTable(stored bool) *table {
	t := &table{}
	for _, f := range flow.Schema {
		k := storedKinds[f.Kind]
		if !stored {
			switch {
			case f.Kind == flow.MAC || f.Kind == flow.Address || f.Names != nil:
				k = text
			case f.Kind < flow.Uint64:
				k = unsigned
			}
		}
		t.columns = append(t.columns, column{f.Name, k})
	}
	return t
}

// flowCells fills a line of that table.
func flowCells(line []any, b *flow.Batch, i int, stored bool) {
	for c := range flow.Columns() {
		line[c] = nil
		if !b.Present[i].Has(c) {
			continue
		}
		f := &flow.Schema[c]
		switch {
		case f.Kind == flow.Time:
			line[c] = time.UnixMilli(b.Time(c)[i])
		case f.Kind == flow.Address && stored:
			line[c] = b.Addr(c)[i]
		case f.Kind == flow.Address || f.Kind == flow.Text || !stored && (f.Kind == flow.MAC || f.Names != nil):
			line[c] = string(b.AppendText(nil, c, i))
		default:
			line[c] = b.Uint(c, i)
		}
	}
}
