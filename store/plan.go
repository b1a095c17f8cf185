package store

import "time"

// Segments are merged within windows that nest and belong to the clock (UTC),
// so nothing about merging has to be remembered.
var windows = []time.Duration{time.Minute, time.Hour, 24 * time.Hour}

// grace lets a window's last batch reach the disk, and an hour's or day's last
// segments be rolled up, so that what is merged then is merged once.
const grace = 3 * time.Second

func settled(window time.Duration, from, now time.Time) bool {
	wait := grace
	if window > time.Minute {
		wait += unitAge + time.Minute
	}
	return !now.Before(from.Truncate(window).Add(window + wait))
}

// planRun returns the first run of segments to merge, nil when there is none.
// Segments are by seal time. A run has no gaps, since a merge would cover them:
// those to avoid end it, and so do two neighbours that do not go together.
func planRun(segments []Segment, now time.Time, maxRows, maxBytes int64, together func(a, b Segment) bool, avoid func(Segment) bool) []Segment {
	for _, window := range windows {
		var run []Segment
		var rows, bytes int64
		for _, s := range segments {
			avoided := avoid(s)
			in := len(run) > 0 && !avoided && s.SealedFirst.Truncate(window).Equal(run[0].SealedFirst.Truncate(window)) && together(run[len(run)-1], s)
			if in && rows+s.Rows <= maxRows && bytes+s.Bytes <= maxBytes {
				run, rows, bytes = append(run, s), rows+s.Rows, bytes+s.Bytes
				continue
			}
			if len(run) > 1 {
				return run
			}
			run, rows, bytes = nil, 0, 0
			if !avoided && settled(window, s.SealedFirst, now) {
				run, rows, bytes = append(run, s), s.Rows, s.Bytes
			}
		}
		if len(run) > 1 {
			return run
		}
	}
	return nil
}
