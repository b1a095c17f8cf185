package server

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// parseTime reads a moment: RFC 3339, "now", or a span before now such as
// -15m, -24h, -7d.
func parseTime(text string, now time.Time) (time.Time, error) {
	if text == "now" {
		return now, nil
	}
	if span, ok := strings.CutPrefix(text, "-"); ok {
		if d, err := parseSpan(span); err == nil {
			return now.Add(-d), nil
		}
	}
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return t, nil
	}
	return time.Time{}, fmt.Errorf("expected RFC 3339 (2026-01-31T12:00:00Z), now, or a span before now such as -15m, -24h or -7d; found %q", text)
}

// parseSpan reads a length of time: Go's forms, and days.
func parseSpan(text string) (time.Duration, error) {
	days, ok := strings.CutSuffix(text, "d")
	if !ok {
		return time.ParseDuration(text)
	}
	d, err := time.ParseDuration(days + "h")
	if err == nil && (d > math.MaxInt64/24 || d < math.MinInt64/24) {
		err = fmt.Errorf("%s is too long", text)
	}
	return 24 * d, err
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
