package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Merging keeps the number of files small, since each costs a query about a
// millisecond. The policy:
//
//   - Segments sealed within the same minute (UTC) are merged once the minute
//     is over; then those of an hour, then those of a day. Windows nest and
//     belong to the clock, so nothing about merging has to be remembered.
//   - A merged segment has at most 4M rows and 128 MB. At 1,000 flows a second
//     hours are about that big, and days are no longer merged; at 100,000, minutes.
//     A row is thus rewritten three times at low rates and once at high ones.
//   - Small parts are re-encoded into big row groups, whose rows are sorted
//     (storageOrder). Parts with big row groups are joined by copying their
//     pages: that costs no more than reading and writing the file. So
//     re-encoding, at roughly a CPU-second per million rows, happens only where
//     there are few.
//
// A merge puts its verified, synced result in place first and deletes the
// parts after; readers and restarts prefer whoever covers whom.
const (
	mergeRows  = 4 << 20
	mergeBytes = 128 << 20

	// Row groups this big, on average, are joined as they are. A batch this big
	// is sorted when it is sealed.
	bigGroup = 1 << 16
)

// merger is what merging keeps in mind.
type merger struct {
	encoder *encoder             // made when first needed
	avoid   map[string]time.Time // segments whose merge failed, until when to leave them
}

// retryMerge is how long segments are left alone after their merge failed.
const retryMerge = 5 * time.Minute

// maintain merges and retains until ctx ends.
func (s *Store) maintain(ctx context.Context) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	spared := s.spare(time.Now())
	for ctx.Err() == nil {
		if time.Now().After(spared) {
			if err := s.retain(time.Now()); err != nil {
				s.maintenanceFailed("retain", err)
			}
		}
		if worked, err := s.maintainRollups(ctx, time.Now()); err != nil && ctx.Err() == nil {
			s.maintenanceFailed("roll up", err)
		} else if worked {
			continue
		}
		if run := s.planMerge(time.Now()); run != nil {
			if err := s.merge(ctx, run); err == nil {
				continue
			} else if ctx.Err() == nil {
				s.leave(run)
				s.maintenanceFailed("merge", err)
			}
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}

func (s *Store) planMerge(now time.Time) []Segment {
	covers := s.covers()
	return planRun(s.manifest(), now, mergeRows, mergeBytes, covers.together, func(x Segment) bool { return now.Before(s.merger.avoid[x.Path]) })
}

// leave keeps the segments of a failed merge from being tried over and over,
// and from holding up all others.
func (s *Store) leave(run []Segment) {
	now := time.Now()
	if s.merger.avoid == nil {
		s.merger.avoid = map[string]time.Time{}
	}
	maps.DeleteFunc(s.merger.avoid, func(_ string, until time.Time) bool { return now.After(until) })
	for _, segment := range run {
		s.merger.avoid[segment.Path] = now.Add(retryMerge)
	}
}

func (s *Store) maintenanceFailed(task string, err error) {
	s.metrics.errors.WithLabelValues(task).Inc()
	s.log.Warn("cannot "+task+" segments: they stay as they are, and it is tried again", "error", err, "help", advice(err))
}

// merge replaces the segments of run, or those of them that can be read, by one.
func (s *Store) merge(ctx context.Context, run []Segment) error {
	begin := time.Now()
	inputs, run, err := s.openInputs(run)
	defer func() {
		for _, in := range inputs {
			in.file.Close()
		}
	}()
	if err != nil || len(run) < 2 {
		return err
	}
	merged := Segment{SealedFirst: run[0].SealedFirst, SealedLast: run[len(run)-1].SealedLast, Start: run[0].Start, End: run[0].End}
	groups := 0
	for i, in := range inputs {
		groups += len(in.meta.RowGroups)
		merged.Rows += in.meta.NumRows
		if run[i].Start.Before(merged.Start) {
			merged.Start = run[i].Start
		}
		if run[i].End.After(merged.End) {
			merged.End = run[i].End
		}
	}
	merged.Path = merged.path(s.cfg.Dir)
	temporary := filepath.Join(s.cfg.Dir, "tmp", filepath.Base(merged.Path))
	defer os.Remove(temporary) // gone by then, unless something failed

	how := "reencode"
	all := !slices.ContainsFunc(inputs, func(in input) bool { return !decodable(&in) })
	switch schema, ok := common(inputs); {
	case ok && (!all || merged.Rows/int64(max(groups, 1)) >= bigGroup):
		how = "join"
		err = join(temporary, inputs, schema)
	case all:
		if s.merger.encoder == nil {
			s.merger.encoder = newEncoder()
		}
		err = s.merger.encoder.reencode(ctx, temporary, inputs)
		if problem := (*undecodable)(nil); errors.As(err, &problem) && isDamage(problem.err) {
			return s.setAside(run[problem.input], problem.err) // without it, it is another merge
		}
	default:
		err = errors.New("some have columns that this version does not know, and others the same columns of another type")
	}
	if err != nil {
		return fmt.Errorf("merge %d segments into %s: %w", len(run), temporary, err)
	}
	if merged.Bytes, err = checkMerged(temporary, merged.Rows); err != nil {
		return err
	}
	if err := place(temporary, merged.Path); err != nil {
		return fmt.Errorf("place merged segment: %w", err)
	}
	s.replace(run, merged)
	var errs []error
	for _, part := range run {
		if err := os.Remove(part.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err) // covered: no reader counts it, the next start deletes it
		}
	}
	s.metrics.mergeSeconds.WithLabelValues(how).Observe(time.Since(begin).Seconds())
	s.metrics.mergedRows.Add(float64(merged.Rows))
	s.log.Debug("segments merged", "how", how, "segments", len(run), "flows", merged.Rows, "bytes", merged.Bytes, "took", time.Since(begin))
	return errors.Join(errs...)
}

// openInputs opens a run. Segments that are gone are forgotten, damaged ones
// set aside; it returns what is left.
func (s *Store) openInputs(run []Segment) (inputs []input, left []Segment, err error) {
	for _, segment := range run {
		f, err := os.Open(segment.Path)
		if errors.Is(err, fs.ErrNotExist) {
			s.log.Warn("a segment is gone: someone else deleted it", "segment", segment.Path)
			s.replace([]Segment{segment})
			continue
		}
		if err != nil {
			// It is left for a while, and with it a gap that nothing is merged across.
			s.leave([]Segment{segment})
			s.maintenanceFailed("merge", err)
			return inputs, nil, nil
		}
		in := input{file: f}
		in.meta, in.end, err = readFooter(f)
		if err == nil {
			err = in.verify()
		}
		if err != nil {
			f.Close()
			if err := s.setAside(segment, err); err != nil {
				return inputs, nil, err
			}
			continue
		}
		inputs, left = append(inputs, in), append(left, segment)
	}
	return inputs, left, nil
}

// setAside moves a damaged segment out of every reader's way.
func (s *Store) setAside(segment Segment, cause error) error {
	dir := filepath.Join(s.cfg.Dir, "damaged")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	to := filepath.Join(dir, filepath.Base(segment.Path))
	if err := os.Rename(segment.Path, to); err != nil {
		return err
	}
	s.replace([]Segment{segment})
	s.metrics.damaged.Inc()
	s.log.Error("a segment is damaged and was set aside: its flows are missing from now on; check the disk",
		"segment", to, "flows", segment.Rows, "error", cause)
	return nil
}

// isDamage tells whether an error of reading says something about what the file
// holds. That it could not be got at does not.
func isDamage(err error) bool {
	var path *fs.PathError
	return !errors.As(err, &path) && !errors.Is(err, errWideDeltas)
}

// checkMerged makes sure of a merge's result before anything is deleted for it.
func checkMerged(path string, rows int64) (size int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	meta, _, err := readFooter(f)
	if err != nil {
		return 0, err
	}
	if meta.NumRows != rows {
		return 0, fmt.Errorf("merged segment %s has %d flows instead of %d: the parts stay", path, meta.NumRows, rows)
	}
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
