package store

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/minamo-flow/minamo/flow"
)

// Import appends many flows to a data directory at once, all of them or none:
// what Write takes stands in tmp/ until Commit gives it its place, and the
// next Open removes what never got there. It has the directory for itself from
// BeginImport to Commit or Abort. It is not safe for concurrent use.
type Import struct {
	store    *Store
	batch    *flow.Batch
	segments []Segment // in tmp/ so far
	rows     int64
}

// BeginImport takes the data directory dir, which is made if it is missing. It
// fails where a server runs on it.
func BeginImport(dir string, log *slog.Logger) (*Import, error) {
	s, err := Open(Config{Dir: dir}, log, prometheus.NewRegistry())
	if err != nil {
		return nil, err
	}
	return &Import{store: s, batch: flow.NewBatch(4096)}, nil
}

// Write copies the rows of b.
func (im *Import) Write(b *flow.Batch) error {
	for from := 0; from < b.Len(); {
		n := min(b.Len()-from, im.store.cfg.SealRows-im.batch.Len())
		im.batch.Append(b, from, from+n)
		from += n
		if im.batch.Len() == im.store.cfg.SealRows {
			if err := im.seal(); err != nil {
				return err
			}
		}
	}
	return nil
}

// seal writes a segment that nobody sees yet.
func (im *Import) seal() error {
	if im.batch.Len() == 0 {
		return nil
	}
	start, end := timeRange(im.batch)
	stamp := im.store.nextStamp(time.Now())
	segment := Segment{Table: flowsDir, SealedFirst: stamp, SealedLast: stamp, Start: start, End: end, Rows: int64(im.batch.Len())}
	segment.Path = segment.path(im.store.cfg.Dir)
	data := im.store.encoder.encode(im.batch)
	segment.Bytes = int64(len(data))
	if err := writeSynced(im.temporary(segment), data); err != nil {
		return fmt.Errorf("write segment: %w; %s", err, advice(err))
	}
	im.segments = append(im.segments, segment)
	im.rows += segment.Rows
	im.batch.Reset()
	return nil
}

func (im *Import) temporary(s Segment) string {
	return filepath.Join(im.store.cfg.Dir, "tmp", filepath.Base(s.Path))
}

// Commit makes the flows visible, durably, and lets go of the directory. It
// returns the segments they are in. Where it fails, an error tells whether
// some of the flows are there already.
func (im *Import) Commit() ([]Segment, error) {
	if err := im.seal(); err != nil {
		return nil, errors.Join(err, im.Abort())
	}
	var placed int64
	for _, segment := range im.segments {
		if err := place(im.temporary(segment), segment.Path); err != nil {
			if placed > 0 {
				err = fmt.Errorf("the first %d of %d flows are stored, the rest is not: %w", placed, im.rows, err)
			}
			return nil, errors.Join(err, im.Abort())
		}
		im.store.replace(nil, segment)
		placed += segment.Rows
	}
	return im.segments, im.store.Close()
}

// Abort forgets the flows and lets go of the directory.
func (im *Import) Abort() error {
	for _, segment := range im.segments {
		os.Remove(im.temporary(segment)) // the next Open does it where this fails
	}
	return im.store.Close()
}
