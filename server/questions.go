package server

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/minamo-flow/minamo/query"
)

// questions are those that are being answered, by their ids, so that they can
// be watched and stopped.
type questions struct {
	mu   sync.Mutex
	open map[string]*question
}

// question is one of them. An id that the asker chose lets him watch it before
// the answer, which tells the id too, is there.
type question struct {
	id, kind, who string
	asked         time.Time
	stop          context.CancelCauseFunc

	mu       sync.Mutex
	progress *query.Progress // of who computes the answer
	started  time.Time       // zero while it waits
}

// errStopped is why a question ended that somebody stopped.
var errStopped = errors.New("stopped")

// asker is who asks, and the id he gave; it is in the context of each request.
type asker struct{ who, id string }

type askerKey struct{}

// withAsker notes who asks.
func withAsker(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.RemoteAddr)
		if err != nil {
			host = r.RemoteAddr
		}
		a := asker{host, r.URL.Query().Get("id")}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), askerKey{}, a)))
	})
}

// begin registers a question; the context that it returns ends when the
// question is stopped.
func (qs *questions) begin(ctx context.Context, kind string) (*question, context.Context, error) {
	a, _ := ctx.Value(askerKey{}).(asker)
	q := &question{id: cmp.Or(a.id, rand.Text()), kind: kind, who: a.who, asked: time.Now()}
	qs.mu.Lock()
	defer qs.mu.Unlock()
	if qs.open[q.id] != nil {
		return nil, nil, huma.Error409Conflict("id: a question with the id " + q.id + " is being answered already: choose another")
	}
	if qs.open == nil {
		qs.open = map[string]*question{}
	}
	qs.open[q.id] = q
	ctx, q.stop = context.WithCancelCause(ctx)
	return q, ctx, nil
}

func (qs *questions) end(q *question) {
	qs.mu.Lock()
	defer qs.mu.Unlock()
	q.stop(nil)
	delete(qs.open, q.id)
}

func (qs *questions) get(id string) (*question, error) {
	qs.mu.Lock()
	defer qs.mu.Unlock()
	if q := qs.open[id]; q != nil {
		return q, nil
	}
	return nil, huma.Error404NotFound("no question " + id + " is being answered: it has ended, or was never asked")
}

// follow makes the progress of an answer that of the question.
func (q *question) follow(p *query.Progress) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.progress = p
}

// start notes that it does not wait any more.
func (q *question) start() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.started = time.Now()
}

// waited and ran are for how long it did.
func (q *question) waited() time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.started.IsZero() {
		return time.Since(q.asked)
	}
	return q.started.Sub(q.asked)
}

func (q *question) ran() time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.started.IsZero() {
		return 0
	}
	return time.Since(q.started)
}

// QuestionStatus is how far a question is.
type QuestionStatus struct {
	ID      string    `json:"id"`
	Kind    string    `json:"kind"`
	Asked   time.Time `json:"asked"`
	State   string    `json:"state" enum:"waiting,running" doc:"Whether it waits for its turn"`
	Done    float64   `json:"done" doc:"How much of it, from 0 to 1: an estimate that only grows"`
	Seconds float64   `json:"seconds" doc:"Since it was asked"`
}

func (q *question) status() QuestionStatus {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := QuestionStatus{ID: q.id, Kind: q.kind, Asked: q.asked.UTC(), State: "running", Seconds: time.Since(q.asked).Seconds()}
	if q.progress != nil {
		s.Done = q.progress.Fraction()
	}
	if q.started.IsZero() && s.Done == 0 { // who shares another's answer never starts himself
		s.State = "waiting"
	}
	return s
}

type questionsOutput struct {
	Body struct {
		Questions []QuestionStatus `json:"questions" doc:"The oldest first"`
	}
}

func (s *Server) listQuestions(context.Context, *struct{}) (*questionsOutput, error) {
	out := &questionsOutput{}
	out.Body.Questions = []QuestionStatus{}
	s.questions.mu.Lock()
	open := make([]*question, 0, len(s.questions.open))
	for _, q := range s.questions.open {
		open = append(open, q)
	}
	s.questions.mu.Unlock()
	for _, q := range open {
		out.Body.Questions = append(out.Body.Questions, q.status())
	}
	slices.SortFunc(out.Body.Questions, func(a, b QuestionStatus) int { return a.Asked.Compare(b.Asked) })
	return out, nil
}

type questionInput struct {
	ID string `path:"id" doc:"As the question gave it with id=, or as the list tells it"`
}

type questionOutput struct{ Body QuestionStatus }

func (s *Server) question(_ context.Context, in *questionInput) (*questionOutput, error) {
	q, err := s.questions.get(in.ID)
	if err != nil {
		return nil, err
	}
	return &questionOutput{q.status()}, nil
}

func (s *Server) stopQuestion(_ context.Context, in *questionInput) (*struct{}, error) {
	q, err := s.questions.get(in.ID)
	if err != nil {
		return nil, err
	}
	q.stop(errStopped)
	return nil, nil
}
