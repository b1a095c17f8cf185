package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/minamo-flow/minamo/rollup"
)

// Limits are how long and how big a table may grow.
type Limits struct {
	MaxAge   time.Duration // delete segments sealed longer ago; 0: never
	MaxBytes int64         // delete the oldest segments beyond this size of all; 0: no limit
}

// retain deletes the oldest segments of every table: those past their age, and
// those beyond the size of all. Age counts from sealing, which no device's
// clock can bend.
func (s *Store) retain(now time.Time) error {
	errs := []error{s.retainTable(flowsDir, s.manifest(), Limits{s.cfg.MaxAge, s.cfg.MaxBytes}, now)}
	covers := s.covers()
	for i, table := range rollupTables {
		_, level, _ := rollup.Find(table)
		errs = append(errs, s.retainTable(table, covers[i], s.cfg.Rollups[level], now))
	}
	// The long flows belong to all tables.
	s.listing.Lock()
	long := slices.Clone(s.parts[longTable])
	s.listing.Unlock()
	var longest time.Duration
	for _, level := range rollup.Levels {
		limits := s.cfg.Rollups[level]
		if limits.MaxAge == 0 {
			longest = 0
			break
		}
		longest = max(longest, limits.MaxAge)
	}
	errs = append(errs, s.retainTable(longTable, long, Limits{MaxAge: longest}, now))
	return errors.Join(errs...)
}

// reprieve is how long a server that would begin with deleting all flows waits.
const reprieve = 2 * time.Minute

// spare returns until when nothing is deleted: for a while, where all flows are
// older than they may be. That is an archive or a backup more often than a
// server that was off for a month, and somebody may want to stop it.
func (s *Store) spare(now time.Time) (until time.Time) {
	segments := s.manifest()
	if s.cfg.MaxAge < 24*time.Hour || len(segments) == 0 || !segments[len(segments)-1].SealedLast.Before(now.Add(-s.cfg.MaxAge)) {
		return until
	}
	s.log.Warn("all flows here are older than store.max-age and are about to be deleted: stop the server and raise it to keep them",
		"newest_sealed", segments[len(segments)-1].SealedLast, "max_age", s.cfg.MaxAge, "deleted_in", reprieve)
	return now.Add(reprieve)
}

func (s *Store) retainTable(table string, segments []Segment, limits Limits, now time.Time) error {
	var total int64
	for _, segment := range segments {
		total += segment.Bytes
	}
	deleted, rows := 0, int64(0)
	for i, segment := range segments {
		if table != flowsDir && i == len(segments)-1 {
			limits.MaxBytes = 0 // the newest part stays: it tells from when on there are some
		}
		old := limits.MaxAge > 0 && segment.SealedLast.Before(now.Add(-limits.MaxAge))
		big := limits.MaxBytes > 0 && total > limits.MaxBytes
		if !old && !big {
			break
		}
		if err := os.Remove(segment.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		s.forget(segment)
		total -= segment.Bytes
		deleted, rows = deleted+1, rows+segment.Rows
		s.metrics.deleted.Inc()
		if day := filepath.Dir(segment.Path); filepath.Base(day) < now.UTC().AddDate(0, 0, -1).Format(dayLayout) {
			os.Remove(day) // works when this was its last
		}
	}
	if deleted > 0 {
		s.log.Info("old segments deleted", "table", table, "segments", deleted, "rows", rows, "bytes_left", total)
	}
	return nil
}

// forget takes a segment off its list.
func (s *Store) forget(segment Segment) {
	s.listing.Lock()
	defer s.listing.Unlock()
	if segment.Table == "" {
		s.segments = replaceIn(s.segments, []Segment{segment})
	} else {
		s.parts[segment.Table] = replaceIn(s.parts[segment.Table], []Segment{segment})
	}
}
