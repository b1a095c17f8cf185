package span

import (
	"flag"
	"io"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"15m": 15 * time.Minute, "4h45m": 4*time.Hour + 45*time.Minute, "1d": day, "7d": 7 * day, "1d12h": 36 * time.Hour, "2w": 14 * day,
		"1w2d3h4m5s6ms": 9*day + 3*time.Hour + 4*time.Minute + 5*time.Second + 6*time.Millisecond, "1.5d": 36 * time.Hour, "0s": 0, "0d": 0,
		"90s": 90 * time.Second, "5m0s": 5 * time.Minute, "106751d": 106751 * day,
	} {
		if got, err := Parse(text); err != nil || got != want {
			t.Errorf("%q is %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "0", "5", "1.5", "d", "w", "-1h", "+1h", "-1d", "1d-1h", "1h1d", "1d1w", "1h2d", "1dd", "1w1w", "1d5", "x", "15y", "1e3d", "106752d", "15251w", "99999999999w", " 1h", "1h "} {
		if got, err := Parse(text); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}

func TestBefore(t *testing.T) {
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{"now": now, "-4h45m": now.Add(-4*time.Hour - 45*time.Minute), "-7d": now.AddDate(0, 0, -7)} {
		if got, ok := Before(text, now); !ok || !got.Equal(want) {
			t.Errorf("%q is %v, %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "-", "--1h", "1h", "+1h", "Now", "-15"} {
		if got, ok := Before(text, now); ok {
			t.Errorf("%q is %v", text, got)
		}
	}
}

// Whatever is read is no negative length, and reads the same as Go writes it.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"4h45m", "1w2d3h", "1.5d", "106751d", "-1h", "µ", "9999999999999999999h"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := Parse(text)
		if err != nil {
			if d != 0 || !strings.Contains(err.Error(), "time") && !strings.Contains(err.Error(), "long") {
				t.Errorf("%q: %v, %v", text, d, err)
			}
			return
		}
		if again, err := Parse(d.String()); d < 0 || err != nil || again != d {
			t.Errorf("%q is %v, which is %v, %v", text, d, again, err)
		}
	})
}

func TestValue(t *testing.T) {
	set := flag.NewFlagSet("", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	length := 6 * time.Hour
	set.Var((*Value)(&length), "length", "")
	for text, want := range map[string]time.Duration{"7d": 7 * 24 * time.Hour, "0": 0} {
		if err := set.Parse([]string{"--length", text}); err != nil || length != want {
			t.Errorf("%s: %v, %v", text, length, err)
		}
	}
	if err := set.Parse([]string{"--length", "-1h"}); err == nil {
		t.Error("a negative length")
	}
}
