// Package store keeps flows on disk: Parquet files that anyone may read, one
// sealed about every second, merged into bigger ones in the background, summed
// up into rollups, and deleted by age and size. docs/storage.md describes them.
//
// collect writes batches (Store.Write). Readers need no Store: Pin opens the
// files of a directory, from any process, and they stay readable whatever the
// server does to them meanwhile.
//
// What it promises: a sealed segment is whole, synced, and counted once by
// every reader at every moment. A crash loses what came since the last seal,
// about a second. A disk that is full or fails costs only what comes after
// memory's bound is reached, and that is counted; it recovers by itself.
package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/rollup"
)

// Config says where and how flows are kept. Only Dir is needed.
type Config struct {
	Dir      string        // created if missing
	Seal     time.Duration // how long rows stay in memory at most; default 1 s
	SealRows int           // seal earlier when there are so many; default 131072
	MaxAge   time.Duration // delete segments sealed longer ago; 0: never
	MaxBytes int64         // delete the oldest segments beyond this size of all; 0: no limit

	// Rollups are the limits of the tables of rollups, of each for itself.
	Rollups map[rollup.Level]Limits

	// Correct, if not nil, changes what rows claim before they are summed up:
	// sampling rates that were set by hand. It sees the columns rollup.Needs, and
	// the rows stay on disk as they are. After it has changed: Rework.
	Correct func(*flow.Batch)

	// MaxUnsealed bounds the rows in memory, which wait there while sealing
	// cannot keep up or the disk is full; default 4 × SealRows. A row takes
	// about 500 bytes.
	MaxUnsealed int

	// Patience is how long Write waits for room before it drops rows; default
	// 5 s. On a disk that fails it does not wait at all.
	Patience time.Duration
}

// Stats describes the store at one moment.
type Stats struct {
	Segments       int
	Rows, Bytes    int64     // in segments
	Oldest, Newest time.Time // earliest start and latest end of their flows; zero when there are none
	UnsealedRows   int64     // in memory
	LostRows       uint64    // dropped since Open
}

// Store is an open store; this process alone writes to its directory. Its
// methods are safe for concurrent use.
type Store struct {
	cfg     Config
	log     *slog.Logger
	metrics *metrics
	lock    *os.File

	mu       sync.Mutex // guards the rows in memory
	filling  *flow.Batch
	waiting  []*unsealed // full batches, oldest first; the sealer works on the first
	free     []*flow.Batch
	room     chan struct{} // closed and replaced whenever a batch has been sealed
	full     chan struct{} // wakes the sealer
	failure  error         // why the last seal failed
	reported time.Time     // when that, or a loss, was last logged
	closed   bool
	lost     uint64

	sealing sync.Mutex // held by who seals
	encoder *encoder
	stamp   time.Time // the last one given

	listing  sync.Mutex           // guards segments and parts; never held during I/O
	segments []Segment            // by seal time
	parts    map[string][]Segment // of rollups, by table, likewise

	rollups *encoder // of the goroutine that maintains

	maintenance sync.Mutex // held while rollups are made or thrown away

	merger merger
}

// unsealed is a batch on its way to disk. Its stamp stays the same however
// often sealing is tried, so that a file which was in place after all is
// replaced and not doubled.
type unsealed struct {
	batch *flow.Batch
	stamp time.Time
}

// ErrFull says that rows were dropped because memory's bound is reached and
// the disk does not take them. They are counted and logged already.
var ErrFull = errors.New("store: flows dropped: the disk does not take them and memory is full")

var errClosed = errors.New("store: write after close")

// Open takes the directory for this process and finds what is in it, the
// operator's own columns too (DefineColumns): it comes after the configuration
// has defined its columns and before the first batch. No flow is written
// before Run.
func Open(cfg Config, log *slog.Logger, reg prometheus.Registerer) (*Store, error) {
	if cfg.Seal <= 0 {
		cfg.Seal = time.Second
	}
	if cfg.SealRows <= 0 {
		cfg.SealRows = 1 << 17
	}
	cfg.MaxUnsealed = max(cfg.MaxUnsealed, 0)
	if cfg.MaxUnsealed == 0 {
		cfg.MaxUnsealed = 4 * cfg.SealRows
	}
	if cfg.Patience <= 0 {
		cfg.Patience = 5 * time.Second
	}
	s := &Store{
		cfg:     cfg,
		log:     log,
		room:    make(chan struct{}),
		full:    make(chan struct{}, 1),
		encoder: newEncoder(),
		rollups: newEncoder(),
	}
	s.encoder.sorts = true
	for _, sub := range []string{flowsDir, "tmp"} {
		if err := os.MkdirAll(filepath.Join(cfg.Dir, sub), 0o755); err != nil {
			return nil, unusable(cfg.Dir, err)
		}
	}
	var err error
	if s.lock, err = lock(cfg.Dir); err != nil {
		return nil, err
	}
	if err := errors.Join(s.recover(), s.keepColumns()); err != nil {
		s.lock.Close()
		return nil, err
	}
	s.filling = flow.NewBatch(min(cfg.SealRows, 4096))
	s.metrics = newMetrics(reg, s)
	stats := s.Stats()
	log.Info("store open", "dir", cfg.Dir, "segments", stats.Segments, "flows", stats.Rows, "bytes", stats.Bytes)
	return s, nil
}

// recover finds the segments, and removes what a killed server left unfinished.
func (s *Store) recover() error {
	if err := removeUnfinished(filepath.Join(s.cfg.Dir, "tmp")); err != nil {
		return unusable(s.cfg.Dir, err)
	}
	_, covered, err := list(s.cfg.Dir)
	if err != nil {
		return unusable(s.cfg.Dir, err)
	}
	for _, c := range covered {
		if err := os.Remove(c.Path); err != nil {
			return unusable(s.cfg.Dir, err)
		}
	}
	if s.segments, err = Segments(s.cfg.Dir); err != nil {
		return unusable(s.cfg.Dir, err)
	}
	for _, segment := range s.segments {
		if segment.SealedLast.After(s.stamp) {
			s.stamp = segment.SealedLast
		}
	}
	if err := s.recoverParts(); err != nil {
		return unusable(s.cfg.Dir, err)
	}
	return nil
}

// removeUnfinished deletes segments that never got their place. Others may keep
// temporary files there too.
func removeUnfinished(tmp string) error {
	files, err := filepath.Glob(filepath.Join(tmp, "*"+suffix))
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := os.RemoveAll(f); err != nil {
			return err
		}
	}
	return nil
}

// Write copies the rows of b. It returns before they are on disk. While
// sealing cannot keep up it waits, as long as Config.Patience; then, or at
// once while the disk fails, it drops what finds no room and returns ErrFull.
func (s *Store) Write(b *flow.Batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var patience <-chan time.Time
	for from := 0; from < b.Len(); {
		if s.closed {
			return errClosed
		}
		if n := min(b.Len()-from, s.cfg.SealRows-s.filling.Len()); n > 0 {
			s.filling.Append(b, from, from+n)
			from += n
			continue
		}
		if (len(s.waiting)+2)*s.cfg.SealRows <= s.cfg.MaxUnsealed || len(s.waiting) == 0 {
			s.rotate()
			select {
			case s.full <- struct{}{}:
			default:
			}
			continue
		}
		if s.failure != nil {
			return s.lose(b.Len() - from)
		}
		if patience == nil {
			timer := time.NewTimer(s.cfg.Patience)
			defer timer.Stop()
			patience = timer.C
		}
		room := s.room
		s.mu.Unlock()
		expired := false
		select {
		case <-room:
		case <-patience:
			expired = true
		}
		s.mu.Lock()
		if expired {
			return s.lose(b.Len() - from)
		}
	}
	return nil
}

// lose counts rows that are dropped; mu is held.
func (s *Store) lose(rows int) error {
	s.lost += uint64(rows)
	s.metrics.lost.Add(float64(rows))
	if s.reportable() {
		s.log.Error("flows are lost: memory is full and the disk takes nothing; see the errors of sealing",
			"lost_flows", s.lost, "unsealed_flows", s.unsealedRows(), "error", s.failure)
	}
	return ErrFull
}

// reportable limits a lasting trouble to a line each ten seconds; mu is held.
func (s *Store) reportable() bool {
	if time.Since(s.reported) < 10*time.Second {
		return false
	}
	s.reported = time.Now()
	return true
}

// rotate hands the open batch to the sealer; mu is held.
func (s *Store) rotate() {
	s.waiting = append(s.waiting, &unsealed{batch: s.filling})
	if n := len(s.free); n > 0 {
		s.filling, s.free = s.free[n-1], s.free[:n-1]
	} else {
		s.filling = flow.NewBatch(min(s.cfg.SealRows, 4096))
	}
}

func (s *Store) unsealedRows() (rows int64) {
	rows = int64(s.filling.Len())
	for _, w := range s.waiting {
		rows += int64(w.batch.Len())
	}
	return rows
}

// Run seals, merges and retains until ctx ends; then it seals everything.
func (s *Store) Run(ctx context.Context) error {
	var background sync.WaitGroup
	background.Go(func() { s.maintain(ctx) })
	defer background.Wait()
	timer := time.NewTimer(s.cfg.Seal)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return s.drain()
		case <-s.full:
			s.sealFull()
			continue // the open batch is young
		case <-timer.C:
		}
		if err := s.sealAll(); err != nil {
			timer.Reset(time.Second)
		} else {
			timer.Reset(s.cfg.Seal)
		}
	}
}

// drain seals everything, and does not give up at the first failure.
func (s *Store) drain() error {
	err := s.sealAll()
	for range 3 {
		if err == nil {
			return nil
		}
		time.Sleep(time.Second)
		err = s.sealAll()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	rows := s.unsealedRows()
	s.lost += uint64(rows)
	s.metrics.lost.Add(float64(rows))
	return fmt.Errorf("store: the last %d flows are lost: %w", rows, err)
}

// Close seals what is left and frees the directory.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	return errors.Join(s.sealAll(), s.lock.Close())
}

// Healthy says what keeps flows from being stored, nil when nothing does.
func (s *Store) Healthy() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != nil {
		return fmt.Errorf("flows are not being stored: %w", s.failure)
	}
	return nil
}

// Stats returns what the store holds.
func (s *Store) Stats() Stats {
	s.mu.Lock()
	t := Stats{UnsealedRows: s.unsealedRows(), LostRows: s.lost}
	s.mu.Unlock()
	s.listing.Lock()
	defer s.listing.Unlock()
	t.Segments = len(s.segments)
	for _, segment := range s.segments {
		t.Rows += segment.Rows
		t.Bytes += segment.Bytes
		if t.Oldest.IsZero() || segment.Start.Before(t.Oldest) {
			t.Oldest = segment.Start
		}
		if segment.End.After(t.Newest) {
			t.Newest = segment.End
		}
	}
	return t
}

// manifest returns a copy of the list of segments.
func (s *Store) manifest() []Segment {
	s.listing.Lock()
	defer s.listing.Unlock()
	return slices.Clone(s.segments)
}

// replace takes old segments off the manifest and puts new ones on.
func (s *Store) replace(old []Segment, new ...Segment) {
	s.listing.Lock()
	defer s.listing.Unlock()
	s.segments = replaceIn(s.segments, old, new...)
}

// Limits returns how long and how big the flows may grow, and each table of
// rollups of a level.
func (s *Store) Limits() (flows Limits, rollups map[rollup.Level]Limits) {
	return Limits{MaxAge: s.cfg.MaxAge, MaxBytes: s.cfg.MaxBytes}, s.cfg.Rollups
}
