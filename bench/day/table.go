package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// markdown is a table that people can read as it is.
type markdown struct{ rows [][]string }

func (t *markdown) add(cells ...string) { t.rows = append(t.rows, cells) }

// String aligns the columns; the first row is the head. Columns in which every
// other row begins with a digit are numbers, and stand to the right.
func (t *markdown) String() string {
	var b strings.Builder
	widths := make([]int, len(t.rows[0]))
	numbers := make([]bool, len(widths))
	for c := range widths {
		numbers[c] = true
		for i, row := range t.rows {
			widths[c] = max(widths[c], utf8.RuneCountInString(row[c]), 3)
			if i > 0 && row[c] != "" && !strings.ContainsAny(row[c][:1], "0123456789<") {
				numbers[c] = false
			}
		}
	}
	line := func(cells []string) {
		for c, cell := range cells {
			space := strings.Repeat(" ", widths[c]-utf8.RuneCountInString(cell))
			if numbers[c] {
				b.WriteString("| " + space + cell + " ")
			} else {
				b.WriteString("| " + cell + space + " ")
			}
		}
		b.WriteString("|\n")
	}
	line(t.rows[0])
	for c, width := range widths {
		if numbers[c] {
			b.WriteString("|" + strings.Repeat("-", width+1) + ":")
		} else {
			b.WriteString("|" + strings.Repeat("-", width+2))
		}
	}
	b.WriteString("|\n")
	for _, row := range t.rows[1:] {
		line(row)
	}
	return b.String()
}

// short writes a time as people read it, with at most three digits.
func short(d time.Duration) string {
	switch ms := float64(d) / 1e6; {
	case d == 0:
		return ""
	case ms < 10:
		return fmt.Sprintf("%.1f ms", ms)
	case ms < 1000:
		return fmt.Sprintf("%.0f ms", ms)
	case ms < 10_000:
		return fmt.Sprintf("%.2f s", ms/1000)
	default:
		return fmt.Sprintf("%.1f s", ms/1000)
	}
}

// times is how many times as long b took as a.
func times(a, b time.Duration) string {
	if a == 0 || b == 0 {
		return ""
	}
	if r := float64(b) / float64(a); r < 10 {
		return fmt.Sprintf("%.1f", r)
	} else {
		return fmt.Sprintf("%.0f", r)
	}
}

// thousands groups the digits of a number.
func thousands[N int | int64 | uint64](n N) string {
	digits := fmt.Sprint(n)
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}

// percentile is the value that p percent are not above, 0 of none.
func percentile(values []time.Duration, p int) time.Duration {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[(len(sorted)*p+99)/100-1]
}
