package main

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/minamo-flow/minamo/config"
)

// newLogger logs to w as configured, at a limited rate.
func newLogger(w io.Writer, cfg config.Log) *slog.Logger {
	var level slog.Level
	level.UnmarshalText([]byte(cfg.Level)) // checked by config
	options := &slog.HandlerOptions{Level: level}
	var handler slog.Handler = slog.NewTextHandler(w, options)
	if cfg.Format == "json" {
		handler = slog.NewJSONHandler(w, options)
	}
	return slog.New(&limitedHandler{Handler: handler, limits: &limits{seen: map[string]*limit{}}})
}

const (
	logBurst  = 10          // lines of one message that pass
	logWindow = time.Minute // in this time

	// logMessages bounds how many messages are told apart. Ours are constants;
	// those of libraries may not be.
	logMessages = 1000
)

// limitedHandler lets only a few lines with the same message through in a
// window: a storm of bad datagrams must not fill the disk. The first line
// of the next window tells how many were left out.
type limitedHandler struct {
	slog.Handler
	*limits
}

type limits struct {
	mu   sync.Mutex
	seen map[string]*limit // by message
}

type limit struct {
	since      time.Time
	passed     int
	suppressed int
}

func (h *limitedHandler) Handle(ctx context.Context, r slog.Record) error {
	suppressed, pass := h.pass(r.Message, r.Time)
	if !pass {
		return nil
	}
	if suppressed > 0 {
		r = r.Clone()
		r.AddAttrs(slog.Int("like_this_left_out", suppressed))
	}
	return h.Handler.Handle(ctx, r)
}

func (l *limits) pass(message string, now time.Time) (suppressed int, pass bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := l.seen[message]
	if m == nil {
		if len(l.seen) >= logMessages {
			clear(l.seen)
		}
		m = &limit{since: now}
		l.seen[message] = m
	}
	if now.Sub(m.since) >= logWindow {
		suppressed = m.suppressed
		*m = limit{since: now}
	}
	if m.passed >= logBurst {
		m.suppressed++
		return 0, false
	}
	m.passed++
	return suppressed, true
}

func (h *limitedHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &limitedHandler{h.Handler.WithAttrs(attrs), h.limits}
}

func (h *limitedHandler) WithGroup(name string) slog.Handler {
	return &limitedHandler{h.Handler.WithGroup(name), h.limits}
}
