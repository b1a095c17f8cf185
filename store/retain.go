package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// retain deletes the oldest segments: those past their age, and those beyond
// the size of all. Age counts from sealing, which no device's clock can bend.
func (s *Store) retain(now time.Time) error {
	segments := s.manifest()
	var total int64
	for _, segment := range segments {
		total += segment.Bytes
	}
	deleted, flows := 0, int64(0)
	for _, segment := range segments {
		old := s.cfg.MaxAge > 0 && segment.SealedLast.Before(now.Add(-s.cfg.MaxAge))
		big := s.cfg.MaxBytes > 0 && total > s.cfg.MaxBytes
		if !old && !big {
			break
		}
		if err := os.Remove(segment.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		s.replace([]Segment{segment})
		total -= segment.Bytes
		deleted, flows = deleted+1, flows+segment.Rows
		s.metrics.deleted.Inc()
		if day := filepath.Dir(segment.Path); filepath.Base(day) < now.UTC().AddDate(0, 0, -1).Format(dayLayout) {
			os.Remove(day) // works when this was its last
		}
	}
	if deleted > 0 {
		s.log.Info("old segments deleted", "segments", deleted, "flows", flows, "bytes_left", total)
	}
	return nil
}
