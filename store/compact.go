package store

import (
	"context"
	"errors"
	"time"
)

// Compact does at once what Run would do in the background until now: it rolls
// up, merges, and retains. Run must not be running. progress, if it is not
// nil, is told how many files there were more than will remain, about.
func (s *Store) Compact(ctx context.Context, progress func(done, total int64)) error {
	if progress == nil {
		progress = func(int64, int64) {}
	}
	begin := int64(len(s.manifest()))
	var failed []error
	for ctx.Err() == nil {
		now := time.Now()
		worked, err := s.maintainRollups(ctx, now)
		if err != nil {
			failed = append(failed, err)
		}
		if run := s.planMerge(now); run != nil {
			worked = true
			if err := s.merge(ctx, run); err != nil {
				failed = append(failed, err)
				s.leave(run)
			}
		}
		progress(begin-int64(len(s.manifest())), begin)
		if !worked && err == nil {
			break
		}
	}
	progress(begin, begin)
	return errors.Join(append(failed, ctx.Err(), s.retain(time.Now()))...)
}
