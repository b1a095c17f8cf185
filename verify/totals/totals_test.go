package totals

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/minamo-flow/minamo/query"
	"github.com/minamo-flow/minamo/store"
)

// broken is an archive that cannot be read. It tells when somebody tries.
type broken chan struct{}

func (b broken) Pin(time.Time, time.Time, ...string) (query.Pinned, error) {
	b <- struct{}{}
	return nil, errors.New("the disk is gone")
}

func (b broken) Reach() (store.Kept, error) { return store.Kept{}, nil }

// TestRun: it looks once in every five minutes of its own clock, whatever the
// machine's says, and a look that fails is counted and not the last.
func TestRun(t *testing.T) {
	engine, err := query.Open(query.Config{TempDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	archive := make(broken)
	clock := make(chan time.Time)
	w := New(Config{Engine: engine, Archive: archive, Look: time.Millisecond, Clock: func() time.Time { return <-clock }}, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- w.Run(ctx) }()
	begin := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for _, minute := range []time.Duration{0, 5, 9, 10} {
		clock <- begin.Add(minute * time.Minute)
		if minute != 9 {
			<-archive
		}
	}
	clock <- begin.Add(10 * time.Minute) // the look before is over
	cancel()
	close(clock) // who asks has the year 1
	if err := <-done; err != nil {
		t.Error(err)
	}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(w)
	families, err := registry.Gather()
	if err != nil || len(families) != 1 || families[0].GetName() != "minamo_counting_failures_total" || families[0].Metric[0].Counter.GetValue() != 3 {
		t.Errorf("%v, %v", families, err)
	}
	if len(w.Alerts()) != 0 {
		t.Errorf("%v", w.Alerts())
	}
}
