package server

import (
	"context"
	"errors"
	"slices"
	"testing"
)

func TestQueueServesAskersByTurns(t *testing.T) {
	q := newQueue(1, 6)
	ctx := t.Context()
	if err := q.enter(ctx, "first"); err != nil {
		t.Fatal(err)
	}
	served := make(chan string)
	wait := func(ctx context.Context, who string) chan error {
		_, before := q.counts()
		ended := make(chan error, 1)
		go func() {
			err := q.enter(ctx, who)
			ended <- err
			if err == nil {
				served <- who
			}
		}()
		for {
			if _, now := q.counts(); now > before {
				return ended
			}
		}
	}
	for range 3 {
		wait(ctx, "greedy")
	}
	gone, leave := context.WithCancel(ctx)
	ended := wait(gone, "impatient")
	wait(ctx, "modest")
	wait(ctx, "other")
	if err := q.enter(ctx, "late"); !errors.Is(err, errFull) {
		t.Errorf("a seventh waits: %v", err)
	}
	leave()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("who left was told %v", err)
	}
	var order []string
	for range 5 {
		q.leave()
		order = append(order, <-served)
	}
	if want := []string{"greedy", "modest", "other", "greedy", "greedy"}; !slices.Equal(order, want) {
		t.Errorf("%v, want %v", order, want)
	}
	q.leave()
	if running, waiting := q.counts(); running != 0 || waiting != 0 || len(q.lines) != 0 || len(q.turns) != 0 {
		t.Errorf("%d run, %d wait, %v, %v", running, waiting, q.lines, q.turns)
	}
}
