package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/rollup"
)

// Rollups are made of segments: a part of a table holds the cells of all flows
// within its range of seal stamps, and is named like a segment. What no part
// covers yet is read as flows. So nothing about rollups has to be remembered, a
// crash costs none of them, and a table that a new version brings is made of
// the old flows in the course of time.
//
// The flows that are too long to be spread (rollup.MaxSpan) are copied to the
// table longTable, where queries read them beside the parts.
//
// Segments are rolled up when there are unitRows of them, or when they wait for
// unitAge. After that they may be merged only with others under the same parts,
// or a merged segment would be half covered; parts are merged first.
const (
	longTable = "long"
	unitRows  = 1 << 19
	unitAge   = 5 * time.Minute

	// pieceRows bounds the flows that are summed up at once, and so the memory
	// for the pairs of their addresses. Of fewer, more would be cut too early.
	pieceRows = 1 << 18

	// partRows bounds the cells of a merged part, and so the memory to merge them.
	partRows = 1 << 18
)

// cover tells for every table of rollups which part covers a segment.
type cover [][]Segment // by table, in the order of rollupTables

// rollupTables are the tables that are kept.
var rollupTables = func() (names []string) {
	for _, c := range rollup.Cubes {
		for _, l := range rollup.Levels {
			names = append(names, c.Table(l))
		}
	}
	return names
}()

// partOf returns the part of a table that covers a segment.
func partOf(parts []Segment, s Segment) (Segment, bool) {
	i, found := slices.BinarySearchFunc(parts, s.SealedFirst, func(p Segment, at time.Time) int { return p.SealedFirst.Compare(at) })
	if !found {
		i--
	}
	if i < 0 || parts[i].SealedLast.Before(s.SealedLast) {
		return Segment{}, false
	}
	return parts[i], true
}

// lacks are the tables that do not have a segment's cells.
func (c cover) lacks(s Segment) (tables []int) {
	for t, parts := range c {
		if _, ok := partOf(parts, s); !ok {
			tables = append(tables, t)
		}
	}
	return tables
}

// together tells whether two segments are under the same parts in every table,
// or under none.
func (c cover) together(a, b Segment) bool {
	for _, parts := range c {
		p, ok1 := partOf(parts, a)
		q, ok2 := partOf(parts, b)
		if ok1 != ok2 || p.SealedFirst != q.SealedFirst {
			return false
		}
	}
	return true
}

// covers returns the parts as they are now. Lists are replaced, never changed.
func (s *Store) covers() cover {
	s.listing.Lock()
	defer s.listing.Unlock()
	c := make(cover, len(rollupTables))
	for i, name := range rollupTables {
		c[i] = s.parts[name]
	}
	return c
}

// planUnit returns the oldest run of segments to roll up, and the tables that
// want it; none while it is worth waiting for more.
//
// retired tells of a table when what was sealed before is no longer kept: it is
// not to be made again.
func planUnit(segments []Segment, c cover, now time.Time, retired []time.Time, avoid func(Segment) bool) (run []Segment, tables []int) {
	rows := int64(0)
	for _, s := range segments {
		lacks := slices.DeleteFunc(c.lacks(s), func(t int) bool { return s.SealedLast.Before(retired[t]) })
		sameDay := len(run) == 0 || s.SealedFirst.Format(dayLayout) == run[0].SealedFirst.Format(dayLayout)
		if len(run) > 0 && (!slices.Equal(lacks, tables) || avoid(s) || rows+s.Rows > unitRows || !sameDay) {
			return run, tables
		}
		if len(lacks) == 0 || avoid(s) {
			continue
		}
		run, tables, rows = append(run, s), lacks, rows+s.Rows
	}
	if len(run) == 0 || rows >= unitRows {
		return run, tables
	}
	if now.Sub(run[0].SealedFirst) < unitAge {
		return nil, nil
	}
	// The minute that is not over is left: its segments are about to be merged.
	open := now.Add(-grace).Truncate(time.Minute)
	for len(run) > 0 && !run[len(run)-1].SealedLast.Before(open) {
		run = run[:len(run)-1]
	}
	return run, tables
}

// retired returns for every table the moment before which its limits have
// taken what was sealed.
func (s *Store) retired(c cover, now time.Time) []time.Time {
	moments := make([]time.Time, len(c))
	for t, table := range rollupTables {
		_, level, _ := rollup.Find(table)
		limits := s.cfg.Rollups[level]
		if limits.MaxAge > 0 {
			moments[t] = now.Add(-limits.MaxAge)
		}
		if limits.MaxBytes > 0 && len(c[t]) > 0 && c[t][0].SealedFirst.After(moments[t]) {
			moments[t] = c[t][0].SealedFirst
		}
	}
	return moments
}

// rollUp makes the parts of a run of segments that tables lack.
func (s *Store) rollUp(ctx context.Context, run []Segment, tables []int) error {
	begin := time.Now()
	// A big segment is summed up piece by piece: its pairs of addresses would
	// take gigabytes.
	builder, inBuilder, rows := rollup.NewBuilder(), 0, int64(0)
	sums := make([]*rollup.Cells, len(rollupTables))
	long := flow.NewBatch(1)
	sumUp := func() error {
		long.Append(builder.Long, 0, builder.Long.Len())
		err := builder.Tables(func(cells *rollup.Cells) error {
			t := slices.Index(rollupTables, cells.Cube.Table(cells.Level))
			switch {
			case !slices.Contains(tables, t):
			case sums[t] == nil:
				sums[t] = cells
			default:
				sums[t].Merge(cells)
				sums[t].Cut()
			}
			return ctx.Err()
		})
		inBuilder = 0
		return err
	}
	for _, segment := range run {
		err := Read(segment.Path, rollup.Needs, func(b *flow.Batch) error {
			if s.cfg.Correct != nil {
				s.cfg.Correct(b)
			}
			builder.Add(b)
			rows += int64(b.Len())
			if inBuilder += b.Len(); inBuilder >= pieceRows {
				return sumUp()
			}
			return ctx.Err()
		})
		if err != nil && ctx.Err() == nil && isDamage(err) {
			return s.setAside(segment, err) // without it, it is another run
		}
		if err != nil {
			return fmt.Errorf("roll up %s: %w", segment.Path, err)
		}
	}
	first, last := run[0], run[len(run)-1]
	within := func(table string) Segment {
		return Segment{Table: table, SealedFirst: first.SealedFirst, SealedLast: last.SealedLast}
	}
	if err := sumUp(); err != nil {
		return err
	}
	// The long flows come first: a part without them would hide them.
	if long.Len() > 0 {
		part := within(longTable)
		part.Start, part.End = timeRange(long)
		part.Rows = int64(long.Len())
		if err := s.placePart(&part, s.rollups.encode(long)); err != nil {
			return err
		}
	}
	for _, t := range tables {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.placeCells(within(rollupTables[t]), sums[t]); err != nil {
			return err
		}
	}
	s.metrics.rollupSeconds.Observe(time.Since(begin).Seconds())
	s.metrics.rolledUp.Add(float64(rows))
	s.log.Debug("segments rolled up", "segments", len(run), "flows", rows, "tables", len(tables), "took", time.Since(begin))
	return nil
}

// placeCells writes a table's part.
func (s *Store) placeCells(part Segment, cells *rollup.Cells, replaces ...Segment) error {
	rows, vectors := cells.Vectors()
	part.Rows = int64(rows)
	if start, end, ok := cells.Span(); ok {
		part.Start, part.End = stampTime(start), stampTime(end-1)
	} else {
		part.Start, part.End = part.SealedFirst, part.SealedFirst
	}
	return s.placePart(&part, s.rollups.encodeVectors(rows, vectors), replaces...)
}

// placePart puts a part into its place, and on the list.
func (s *Store) placePart(part *Segment, data []byte, replaces ...Segment) error {
	if err := os.MkdirAll(tableDir(s.cfg.Dir, part.Table), 0o755); err != nil {
		return err
	}
	part.Path, part.Bytes = part.path(s.cfg.Dir), int64(len(data))
	temporary := filepath.Join(s.cfg.Dir, "tmp", part.Table+"_"+filepath.Base(part.Path))
	if err := errors.Join(writeSynced(temporary, data)); err != nil {
		os.Remove(temporary)
		return fmt.Errorf("write rollup: %w", err)
	}
	if err := place(temporary, part.Path); err != nil {
		os.Remove(temporary)
		return fmt.Errorf("place rollup: %w", err)
	}
	s.listing.Lock()
	defer s.listing.Unlock()
	s.parts[part.Table] = replaceIn(s.parts[part.Table], replaces, *part)
	return nil
}

// planParts returns a table's first run of parts to merge. There must be no
// segment between them that the table lacks: it would be taken for covered.
func planParts(parts, segments []Segment, now time.Time, avoid func(Segment) bool) []Segment {
	if len(parts) < 2 {
		return nil
	}
	lacking := func(a, b Segment) bool { // between two parts
		i, _ := slices.BinarySearchFunc(segments, a.SealedLast, func(s Segment, at time.Time) int {
			return cmp.Or(s.SealedFirst.Compare(at), -1) // the first after it
		})
		return i < len(segments) && segments[i].SealedFirst.Before(b.SealedFirst)
	}
	return planRun(parts, now, partRows, mergeBytes, func(a, b Segment) bool { return !lacking(a, b) }, avoid)
}

// mergeParts makes one part of several.
func (s *Store) mergeParts(ctx context.Context, table string, run []Segment) error {
	if table == longTable {
		return nil
	}
	cube, level, ok := rollup.Find(table)
	if !ok {
		return fmt.Errorf("there is no table %s", table)
	}
	cells := rollup.NewCells(cube, level)
	for _, part := range run {
		if err := readCells(part.Path, cells); err != nil {
			if ctx.Err() == nil && !errors.Is(err, fs.ErrNotExist) {
				return errors.Join(err, s.dropPart(part))
			}
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	cells.Cut()
	merged := Segment{Table: table, SealedFirst: run[0].SealedFirst, SealedLast: run[len(run)-1].SealedLast}
	if err := s.placeCells(merged, cells, run...); err != nil {
		return err
	}
	var errs []error
	for _, part := range run {
		if err := os.Remove(part.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// dropPart deletes a part that cannot be read. As long as its flows are kept it
// is made anew.
func (s *Store) dropPart(part Segment) error {
	if err := os.Remove(part.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	s.forget(part)
	s.metrics.damaged.Inc()
	s.log.Error("a part of a rollup is damaged and was deleted: it is made anew from the flows that are kept", "part", part.Path)
	return nil
}

// Rework throws away the sums of what flowed between two times, as far as the
// flows are kept that they were made of: they are made anew in the background,
// and until then questions read the flows. A zero time is the beginning or the
// end of everything. It returns how many parts that were.
func (s *Store) Rework(from, to time.Time) (parts int, err error) {
	s.maintenance.Lock()
	defer s.maintenance.Unlock()
	segments := s.manifest()
	if len(segments) == 0 {
		return 0, nil
	}
	var all []Segment // parts of all tables; they go together, or long flows would be there twice or never
	s.listing.Lock()
	for _, table := range append([]string{longTable}, rollupTables...) {
		all = append(all, s.parts[table]...)
	}
	s.listing.Unlock()
	// grown is the time of sealing that parts have which overlap it.
	grown := func(first, last time.Time, of func(Segment) bool) (time.Time, time.Time) {
		for more := true; more; {
			more = false
			for _, p := range all {
				if of(p) && !p.SealedFirst.After(last) && !p.SealedLast.Before(first) && (p.SealedFirst.Before(first) || p.SealedLast.After(last)) {
					first, last, more = minTime(first, p.SealedFirst), maxTime(last, p.SealedLast), true
				}
			}
		}
		return first, last
	}
	// What was made of flows that are gone stays.
	_, gone := grown(time.Time{}, segments[0].SealedFirst.Add(-1), func(Segment) bool { return true })
	var first, last time.Time
	for _, x := range segments {
		if x.SealedFirst.After(gone) && (from.IsZero() || !x.End.Before(from)) && (to.IsZero() || x.Start.Before(to)) {
			if first.IsZero() {
				first = x.SealedFirst
			}
			first, last = minTime(first, x.SealedFirst), maxTime(last, x.SealedLast)
		}
	}
	if first.IsZero() {
		return 0, nil
	}
	kept := func(p Segment) bool { return p.SealedFirst.After(gone) }
	first, last = grown(first, last, kept)
	for _, part := range all {
		if !kept(part) || part.SealedFirst.After(last) || part.SealedLast.Before(first) {
			continue
		}
		if e := os.Remove(part.Path); e != nil && !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
			continue
		}
		s.forget(part)
		parts++
	}
	s.log.Info("sums of flows are made anew", "parts", parts, "sealed from", first, "to", last)
	return parts, err
}

func minTime(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func maxTime(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// readCells adds a part to cells. Keys that a part of an older version lacks
// are absent.
func readCells(path string, cells *rollup.Cells) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	want := cells.Cube.Names()
	return readVectors(f, func(name string) (flow.Kind, bool) {
		i := slices.IndexFunc(want, func(v flow.Vector) bool { return v.Name == name })
		if i < 0 {
			return 0, false
		}
		return want[i].Kind, true
	}, func(rows int, vectors []flow.Vector) error {
		ordered := slices.Clone(want)
		for i := range ordered {
			if j := slices.IndexFunc(vectors, func(v flow.Vector) bool { return v.Name == ordered[i].Name }); j >= 0 {
				ordered[i] = vectors[j]
			} else {
				ordered[i].Present = make([]bool, rows)
			}
		}
		cells.Add(rows, ordered)
		return nil
	})
}

// recoverParts finds the parts, and deletes those that others cover.
func (s *Store) recoverParts() error {
	s.parts = map[string][]Segment{}
	for _, table := range append(slices.Clone(rollupTables), longTable) {
		if _, err := os.Stat(tableDir(s.cfg.Dir, table)); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		parts, covered, err := listOf(s.cfg.Dir, table)
		if err != nil {
			return err
		}
		for _, c := range covered {
			if err := os.Remove(c.Path); err != nil {
				return err
			}
		}
		if len(parts) > 0 {
			if parts, err = segmentsOf(s.cfg.Dir, table); err != nil {
				return err
			}
		}
		s.parts[table] = parts
		for _, p := range parts {
			if p.SealedLast.After(s.stamp) {
				s.stamp = p.SealedLast
			}
		}
	}
	return nil
}

// replaceIn takes old segments off a list and puts new ones on, by seal time.
func replaceIn(list, old []Segment, new ...Segment) []Segment {
	gone := map[string]bool{}
	for _, o := range old {
		gone[o.Path] = true
	}
	list = slices.DeleteFunc(slices.Clone(list), func(x Segment) bool { return gone[x.Path] })
	list = append(list, new...)
	slices.SortFunc(list, func(a, b Segment) int { return a.SealedFirst.Compare(b.SealedFirst) })
	return list
}

// maintainRollups does one piece of work, if there is any.
func (s *Store) maintainRollups(ctx context.Context, now time.Time) (worked bool, err error) {
	s.maintenance.Lock()
	defer s.maintenance.Unlock()
	avoid := func(x Segment) bool { return now.Before(s.merger.avoid[x.Path]) }
	segments, covers := s.manifest(), s.covers()
	if run, tables := planUnit(segments, covers, now, s.retired(covers, now), avoid); len(run) > 0 {
		if err := s.rollUp(ctx, run, tables); err != nil {
			if ctx.Err() == nil {
				s.leave(run)
			}
			return false, err
		}
		return true, nil
	}
	for i, table := range rollupTables {
		if run := planParts(covers[i], segments, now, avoid); run != nil {
			if err := s.mergeParts(ctx, table, run); err != nil {
				if ctx.Err() == nil {
					s.leave(run)
				}
				return false, err
			}
			return true, nil
		}
	}
	return false, nil
}
