package budget

import (
	"math"
	"slices"
	"time"
)

// History is what came of an exporter, or of all of them, minute by minute. The
// zero value is ready. Histories of different days can be merged.
type History struct {
	days     []Day // in their order
	lossless float64
	lossy    [someLossy]float64 // the greatest loads under which something was lost, the greatest first
}

// Day is a day of UTC.
type Day struct {
	Date    time.Time
	Peak    float64 // flow records a second in its greatest minute
	Minutes int     // of which anything is known
}

const (
	// someLossy is how many minutes have to be lossy under a load before the load
	// is believed to be why.
	someLossy = 3

	// noLoss is the part of what was sent that may be missing: a datagram here
	// and there is lost under any load.
	noLoss = 0.001
)

// Add takes a minute in, or a longer time of which no more is known than the
// mean: flow records a second that came, and which part of what was sent is
// missing.
func (h *History) Add(at time.Time, length time.Duration, flows, lost float64) {
	date := at.UTC().Truncate(24 * time.Hour)
	i, found := slices.BinarySearchFunc(h.days, date, func(d Day, date time.Time) int { return d.Date.Compare(date) })
	if !found {
		h.days = slices.Insert(h.days, i, Day{Date: date})
	}
	d := &h.days[i]
	d.Minutes += int(length / time.Minute)
	d.Peak = max(d.Peak, flows)
	if lost <= noLoss {
		h.lossless = max(h.lossless, flows)
		return
	}
	h.lose(flows / (1 - min(lost, 0.99)))
}

func (h *History) lose(load float64) {
	for i := range h.lossy {
		if load > h.lossy[i] {
			load, h.lossy[i] = h.lossy[i], load
		}
	}
}

// Merge takes another history in.
func (h *History) Merge(other *History) {
	for _, d := range other.days {
		i, found := slices.BinarySearchFunc(h.days, d.Date, func(a Day, date time.Time) int { return a.Date.Compare(date) })
		if !found {
			h.days = slices.Insert(h.days, i, Day{Date: d.Date})
		}
		h.days[i].Minutes += d.Minutes
		h.days[i].Peak = max(h.days[i].Peak, d.Peak)
	}
	h.lossless = max(h.lossless, other.lossless)
	for _, load := range other.lossy {
		h.lose(load)
	}
}

// Days are the days of which anything is known.
func (h *History) Days() []Day { return h.days }

// Peak is the greatest minute of all, in flow records a second.
func (h *History) Peak() (peak float64) {
	for _, d := range h.days {
		peak = max(peak, d.Peak)
	}
	return peak
}

// Lossless is the greatest minute of which nothing is missing, in flow records
// a second: so much can be received at least.
func (h *History) Lossless() float64 { return h.lossless }

// Measured is the limit that shows in the history: the greatest minute without
// loss, where three minutes with as much or more lost something. Loss under
// lesser loads has other reasons, and tells of no limit.
func (h *History) Measured() (limit float64, known bool) {
	if h.lossless > 0 && h.lossy[someLossy-1] >= h.lossless {
		return h.lossless, true
	}
	return 0, false
}

// Trend is a straight line through daily peaks.
type Trend struct {
	Days   int       // that it goes through
	PerDay float64   // growth, flow records a second per day
	Error  float64   // the standard error of that
	Last   time.Time // the last of the days
	Level  float64   // of the line on that day
}

const (
	leastDays   = 5       // that make a line
	mostOfDay   = 12 * 60 // minutes: a day of which less is known may lack its peak
	farthest    = 2 * 365 // days: further ahead nobody knows
	significant = 2       // standard errors
)

// Trend fits a line by least squares. today is left out, for its peak may be to
// come, and so are days of which less than half is known. From two weeks on it
// takes whole weeks, so that no weekend tilts the line. It is not known of
// fewer than five days.
func (h *History) Trend(today time.Time) (t Trend, known bool) {
	var days []Day
	for _, d := range h.days {
		if d.Minutes >= mostOfDay && d.Date.Before(today.UTC().Truncate(24*time.Hour)) {
			days = append(days, d)
		}
	}
	if len(days) < leastDays {
		return t, false
	}
	t.Last = days[len(days)-1].Date
	since := func(d Day) float64 { return d.Date.Sub(t.Last).Hours() / 24 } // 0 or less
	if span := 1 - since(days[0]); span >= 14 {
		weeks := 7 * math.Floor(span/7)
		days = slices.DeleteFunc(days, func(d Day) bool { return since(d) <= -weeks })
		if len(days) < leastDays {
			return t, false
		}
	}
	n := float64(len(days))
	t.Days = len(days)
	var x, y float64
	for _, d := range days {
		x += since(d) / n
		y += d.Peak / n
	}
	var xx, xy float64
	for _, d := range days {
		xx += (since(d) - x) * (since(d) - x)
		xy += (since(d) - x) * (d.Peak - y)
	}
	t.PerDay = xy / xx // no two days are the same one
	t.Level = y - t.PerDay*x
	var rest float64
	for _, d := range days {
		off := d.Peak - t.Level - t.PerDay*since(d)
		rest += off * off
	}
	t.Error = math.Sqrt(rest / (n - 2) / xx)
	return t, true
}

// Sure tells whether the growth is more than the peaks' own unsteadiness.
func (t Trend) Sure() bool { return math.Abs(t.PerDay) > significant*t.Error }

// Reaches tells the day on which the line reaches a limit. It is not known where
// the peaks don't surely grow, or not within two years.
func (t Trend) Reaches(limit float64) (day time.Time, known bool) {
	if limit <= 0 || t.PerDay <= 0 || !t.Sure() {
		return day, false
	}
	ahead := math.Ceil(max(limit-t.Level, 0) / t.PerDay)
	if ahead > farthest {
		return day, false
	}
	return t.Last.AddDate(0, 0, int(ahead)), true
}
