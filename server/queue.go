package server

import (
	"context"
	"errors"
	"sync"
)

// queue bounds how many questions run at once and how many wait. It is fair
// among those who ask: who waits with a hundred questions is served by turns
// with who waits with one.
type queue struct {
	run, wait int // at most

	mu      sync.Mutex
	running int
	waiting int
	lines   map[string][]*place // those who wait, by who asks
	turns   []string            // who has places in lines; the first is served next
}

// place is one question's in a line.
type place struct {
	turn chan struct{} // closed when the question may run
}

// errFull says that too many wait already.
var errFull = errors.New("too many questions wait already")

func newQueue(run, wait int) *queue {
	return &queue{run: run, wait: wait, lines: map[string][]*place{}}
}

// enter returns when the question of who may run, for which leave is due; or
// an error, when too many wait or ctx ends.
func (q *queue) enter(ctx context.Context, who string) error {
	q.mu.Lock()
	if q.running < q.run {
		q.running++
		q.mu.Unlock()
		return nil
	}
	if q.waiting >= q.wait {
		q.mu.Unlock()
		return errFull
	}
	p := &place{make(chan struct{})}
	if len(q.lines[who]) == 0 {
		q.turns = append(q.turns, who)
	}
	q.lines[who] = append(q.lines[who], p)
	q.waiting++
	q.mu.Unlock()

	select {
	case <-p.turn:
		return nil
	case <-ctx.Done():
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	select {
	case <-p.turn: // just now, too late
		q.next()
	default:
		q.remove(who, p)
	}
	return ctx.Err()
}

// leave makes room for the next question.
func (q *queue) leave() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.next()
}

// next hands the room of a question that has ended to who has waited, or
// keeps it free.
func (q *queue) next() {
	if len(q.turns) == 0 {
		q.running--
		return
	}
	who := q.turns[0]
	p := q.lines[who][0]
	q.remove(who, p)
	if len(q.lines[who]) > 0 { // behind all others
		q.turns = append(q.turns[1:], who)
	}
	close(p.turn)
}

// remove takes a place out of its line, and an empty line out of the turns.
func (q *queue) remove(who string, p *place) {
	q.waiting--
	line := q.lines[who]
	for i := range line {
		if line[i] == p {
			line = append(line[:i], line[i+1:]...)
			break
		}
	}
	if q.lines[who] = line; len(line) > 0 {
		return
	}
	delete(q.lines, who)
	for i := range q.turns {
		if q.turns[i] == who {
			q.turns = append(q.turns[:i], q.turns[i+1:]...)
			return
		}
	}
}

// counts tells how many run and wait.
func (q *queue) counts() (running, waiting int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.running, q.waiting
}
