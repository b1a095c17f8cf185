// Package span reads lengths of time as people write them: 15m, 4h45m, 1d12h, 2w.
// Command line, API and scenarios of the demo all read them here, so that what one
// of them understands the others do, too.
package span

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Parse reads a length of time: numbers with a unit each, of weeks (w) and days
// (d) and what Go's durations have (h, m, s, ms, us, ns), the greatest first. A day
// is 24 hours. A sign is none of it, and a number without a unit is refused.
func Parse(text string) (time.Duration, error) {
	wrong := fmt.Errorf("expected a length of time such as 15m, 4h45m, 7d or 2w, found %q", text)
	rest, sum := text, 0.0 // sum is whole, where that has no room for it
	var whole time.Duration
	for _, unit := range []struct {
		letter string
		hours  time.Duration
	}{{"w", 7 * 24}, {"d", 24}} {
		number, after, ok := strings.Cut(rest, unit.letter)
		if !ok {
			continue
		}
		if number == "" || strings.Trim(number, "0123456789.") != "" {
			return 0, wrong
		}
		d, err := time.ParseDuration(number + "h")
		if err != nil {
			return 0, wrong
		}
		whole += d * unit.hours
		sum += float64(d) * float64(unit.hours)
		rest = after
	}
	switch {
	case rest == "" && rest != text:
	case rest == "" || rest[0] == '-' || rest[0] == '+' || strings.Trim(rest, "0123456789.") == "":
		return 0, wrong
	default:
		d, err := time.ParseDuration(rest)
		if err != nil {
			return 0, wrong
		}
		whole += d
		sum += float64(d)
	}
	if sum >= math.MaxInt64 {
		return 0, fmt.Errorf("%s is too long: more than 292 years", text)
	}
	return whole, nil
}

// Before reads a moment that is told from now: "now", or a span before it, "-15m".
func Before(text string, now time.Time) (time.Time, bool) {
	if text == "now" {
		return now, true
	}
	if length, ok := strings.CutPrefix(text, "-"); ok {
		if d, err := Parse(length); err == nil {
			return now.Add(-d), true
		}
	}
	return time.Time{}, false
}

// Value is a flag of a command that is a span, or 0.
type Value time.Duration

func (v *Value) String() string { return time.Duration(*v).String() }

// Set reads the flag.
func (v *Value) Set(text string) error {
	if text == "0" {
		text = "0s"
	}
	d, err := Parse(text)
	*v = Value(d)
	return err
}
