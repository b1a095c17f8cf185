package server

import (
	"fmt"
	"time"

	"github.com/minamo-flow/minamo/internal/span"
)

// parseTime reads a moment: RFC 3339, "now", or a span before now such as
// -15m, -4h45m, -7d.
func parseTime(text string, now time.Time) (time.Time, error) {
	if t, ok := span.Before(text, now); ok {
		return t, nil
	}
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return t, nil
	}
	return time.Time{}, fmt.Errorf("expected RFC 3339 (2026-01-31T12:00:00Z), now, or a span before now such as -15m, -4h45m or -7d; found %q", text)
}

// parseRange reads both ends of a range.
func parseRange(from, to string, now time.Time) (time.Time, time.Time, error) {
	start, err := parseTime(from, now)
	if err != nil {
		return start, start, fmt.Errorf("from: %w", err)
	}
	end, err := parseTime(to, now)
	if err != nil {
		return start, end, fmt.Errorf("to: %w", err)
	}
	if !start.Before(end) {
		return start, end, fmt.Errorf("the range from %s to %s is empty", from, to)
	}
	return start, end, nil
}
