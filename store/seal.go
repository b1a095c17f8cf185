package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/minamo-flow/minamo/flow"
)

// sealAll seals every row in memory, oldest first, until one batch fails.
func (s *Store) sealAll() error {
	if err := s.sealFull(); err != nil {
		return err
	}
	s.mu.Lock()
	if s.filling.Len() > 0 {
		s.rotate()
	}
	s.mu.Unlock()
	return s.sealFull()
}

// sealFull seals the batches that wait, until one fails.
func (s *Store) sealFull() error {
	s.sealing.Lock()
	defer s.sealing.Unlock()
	for {
		s.mu.Lock()
		if len(s.waiting) == 0 {
			s.mu.Unlock()
			return nil
		}
		next := s.waiting[0]
		s.mu.Unlock()

		err := s.seal(next)

		s.mu.Lock()
		if err != nil {
			s.sealFailed(err)
			s.mu.Unlock()
			return err
		}
		if s.failure != nil {
			s.log.Info("sealing works again", "unsealed_flows", s.unsealedRows(), "lost_flows", s.lost)
			s.failure = nil
		}
		s.waiting = s.waiting[1:]
		next.batch.Reset()
		s.free = append(s.free, next.batch)
		close(s.room)
		s.room = make(chan struct{})
		s.mu.Unlock()
	}
}

// sealFailed remembers and reports the failure; mu is held.
func (s *Store) sealFailed(err error) {
	s.metrics.errors.WithLabelValues("seal").Inc()
	first := s.failure == nil
	s.failure = err
	if s.reportable() || first {
		s.log.Error("cannot seal flows: they wait in memory and sealing is retried each second",
			"error", err, "help", advice(err), "unsealed_flows", s.unsealedRows(), "bound", s.cfg.MaxUnsealed)
	}
}

// advice is the operator's next step.
func advice(err error) string {
	switch {
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return "free space on the disk, or lower store.max-size or store.max-age"
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM), errors.Is(err, unix.EROFS):
		return "make the data directory writable for the server's user"
	default:
		return "check the disk and the kernel log"
	}
}

// seal writes a batch as a segment.
func (s *Store) seal(u *unsealed) error {
	begin := time.Now()
	if u.stamp.IsZero() {
		u.stamp = s.nextStamp(begin)
	}
	segment, err := writeSegment(s.cfg.Dir, s.encoder, u.batch, u.stamp)
	if err != nil {
		return err
	}
	s.replace(nil, segment)
	s.metrics.sealSeconds.Observe(time.Since(begin).Seconds())
	s.metrics.sealedRows.Add(float64(segment.Rows))
	return nil
}

// writeSegment encodes a batch and gives it its place, durably.
func writeSegment(dir string, e *encoder, b *flow.Batch, sealed time.Time) (Segment, error) {
	start, end := timeRange(b)
	segment := Segment{SealedFirst: sealed, SealedLast: sealed, Start: start, End: end, Rows: int64(b.Len())}
	segment.Path = segment.path(dir)
	data := e.encode(b)
	segment.Bytes = int64(len(data))
	temporary := filepath.Join(dir, "tmp", filepath.Base(segment.Path))
	if err := writeSynced(temporary, data); err != nil {
		os.Remove(temporary)
		return segment, fmt.Errorf("write segment: %w", err)
	}
	if err := place(temporary, segment.Path); err != nil {
		os.Remove(temporary)
		return segment, fmt.Errorf("place segment: %w", err)
	}
	return segment, nil
}

// WriteSegment writes flows as one segment with the given seal stamp, for
// generators and tests. The stamp must be later than all in dir, and no server
// may be running there. dir is made if it is missing.
func WriteSegment(dir string, b *flow.Batch, sealed time.Time) (Segment, error) {
	for _, sub := range []string{flowsDir, "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return Segment{}, unusable(dir, err)
		}
	}
	e := newEncoder()
	e.sorts = true
	return writeSegment(dir, e, b, stampTime(sealed.UnixMilli()))
}

// nextStamp is now, or just after the last stamp when the clock stands still
// or went back.
func (s *Store) nextStamp(now time.Time) time.Time {
	now = stampTime(now.UnixMilli())
	if !now.After(s.stamp) {
		now = s.stamp.Add(time.Millisecond)
	}
	s.stamp = now
	return now
}

// timeRange is the earliest start and the latest end of flows, also where a
// device has them the wrong way round.
func timeRange(b *flow.Batch) (start, end time.Time) {
	starts, ends := b.Time(flow.Start), b.Time(flow.End)
	first, last := min(starts[0], ends[0]), max(starts[0], ends[0])
	for i := range starts {
		first = min(first, starts[i], ends[i])
		last = max(last, starts[i], ends[i])
	}
	return stampTime(first), stampTime(last)
}

func writeSynced(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

// place gives a finished, synced file its name, durably, making its day's
// directory where needed.
func place(temporary, path string) error {
	day := filepath.Dir(path)
	if err := os.Mkdir(day, 0o755); err == nil {
		if err := syncDir(filepath.Dir(day)); err != nil {
			return err
		}
	} else if !errors.Is(err, os.ErrExist) {
		return err
	}
	if err := os.Rename(temporary, path); err != nil {
		return err
	}
	return syncDir(day)
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
