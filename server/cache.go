package server

import (
	"container/list"
	"context"
	"sync"

	"github.com/minamo-flow/minamo/query"
)

// answers computes each answer once for all who ask the same at the same time,
// and keeps it for those who ask later. What is the same is told by a key that
// holds the question and what the files are that it reads: an answer does not
// grow old, its key falls out of use.
type answers struct {
	limit int64 // bytes that are kept at most

	mu     sync.Mutex
	calls  map[string]*call // under way
	kept   map[string]*list.Element
	recent list.List // of *keptAnswer, the latest used first
	bytes  int64
}

type keptAnswer struct {
	key   string
	value any
	bytes int64
}

// call is an answer under way.
type call struct {
	progress query.Progress
	asked    int // who waits for it; the last one who leaves ends it
	cancel   context.CancelFunc
	done     chan struct{} // closed when the rest is there
	value    any
	err      error
}

func newAnswers(limit int64) *answers {
	return &answers{limit: limit, calls: map[string]*call{}, kept: map[string]*list.Element{}}
}

// cached returns a kept answer.
func (a *answers) cached(key string) (any, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	e, ok := a.kept[key]
	if !ok {
		return nil, false
	}
	a.recent.MoveToFront(e)
	return e.Value.(*keptAnswer).value, true
}

// join returns the call for key, and whether it is new: then the caller has to
// see to it that finish is called, and ctx is the call's own, which ends when
// nobody waits any more.
func (a *answers) join(parent context.Context, key string) (c *call, ctx context.Context, first bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c := a.calls[key]; c != nil {
		c.asked++
		return c, nil, false
	}
	c = &call{asked: 1, done: make(chan struct{})}
	ctx, c.cancel = context.WithCancel(context.WithoutCancel(parent))
	a.calls[key] = c
	return c, ctx, true
}

// finish hands the answer to all who wait, and keeps it if it is of so many
// bytes; 0 is not kept.
func (a *answers) finish(key string, c *call, value any, bytes int64, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c.value, c.err = value, err
	close(c.done)
	c.cancel()
	if a.calls[key] == c {
		delete(a.calls, key)
	}
	if err != nil || bytes == 0 || bytes > a.limit/4 || a.kept[key] != nil {
		return
	}
	a.kept[key] = a.recent.PushFront(&keptAnswer{key, value, bytes})
	a.bytes += bytes
	for a.bytes > a.limit {
		oldest := a.recent.Remove(a.recent.Back()).(*keptAnswer)
		delete(a.kept, oldest.key)
		a.bytes -= oldest.bytes
	}
}

// leave is for those who no longer wait.
func (a *answers) leave(key string, c *call) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c.asked--; c.asked == 0 {
		c.cancel()
		if a.calls[key] == c { // who asks from now on begins anew
			delete(a.calls, key)
		}
	}
}

// size tells how many answers are kept, and their bytes.
func (a *answers) size() (n int, bytes int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.kept), a.bytes
}
