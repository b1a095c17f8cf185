package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/minamo-flow/minamo/rollup"
)

// PinTables opens what tells of the time between from and to: the parts of the
// given tables of rollups, and the flows that no part covers yet. Every flow is
// in one of them and in one only: a part counts when all of its segments are
// covered in every one of the tables. Without tables it is Pin.
func PinTables(dir string, from, to time.Time, tables ...string) (*Snapshot, error) {
	opened := map[string]*os.File{}
	defer closeAll(opened) // what is left there, at the end
	for range attempts {
		// The parts are listed first: segments that are merged meanwhile stay
		// under their parts, and those that are rolled up meanwhile are read as flows.
		parts := make(cover, len(tables))
		for i, table := range tables {
			var err error
			if parts[i], err = partsOf(dir, table); err != nil {
				return nil, err
			}
		}
		var long []Segment
		if len(tables) > 0 {
			var err error
			if long, err = partsOf(dir, longTable); err != nil {
				return nil, err
			}
		}
		segments, _, err := list(dir)
		if err != nil {
			return nil, err
		}
		segments = slices.DeleteFunc(segments, func(s Segment) bool { return !overlaps(s, from, to) })
		torn := 0
		for i := range parts {
			parts[i] = slices.DeleteFunc(parts[i], func(p Segment) bool {
				if !overlaps(p, from, to) || whole(p.Path) {
					return false
				}
				torn++
				return true // its flows answer, as far as they are kept
			})
		}
		flows := parts.settle(segments)
		s, err := pin(flows, from, to, opened)
		if err == nil {
			s.damaged += torn
			err = s.pinParts(tables, parts, long, from, to, opened)
		}
		if errors.Is(err, fs.ErrNotExist) {
			if s != nil {
				s.Close()
			}
			continue // merged or deleted since it was listed
		}
		if err != nil {
			return nil, fmt.Errorf("store: open rollups: %w", err)
		}
		return s, nil
	}
	return nil, fmt.Errorf("store: open rollups in %s: %w", dir, errVanished)
}

// whole tells whether a file was written to its end; one that is gone is not
// torn, and is noticed when it is opened.
func whole(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	defer f.Close()
	_, ok := wholeParquet(f)
	return ok
}

func overlaps(s Segment, from, to time.Time) bool {
	return (from.IsZero() || !s.End.Before(from)) && (to.IsZero() || !s.Start.After(to))
}

// partsOf lists a table's parts; a table that is not there has none.
func partsOf(dir, table string) ([]Segment, error) {
	if _, err := os.Stat(tableDir(dir, table)); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	parts, _, err := listOf(dir, table)
	return parts, err
}

// settle drops the parts that cannot be used because another table lacks some
// of their segments, and returns the segments to be read as flows.
func (c cover) settle(segments []Segment) (flows []Segment) {
	if len(c) == 0 {
		return segments
	}
	left := slices.Clone(segments)
	for changed := true; changed; {
		changed = false
		left = slices.DeleteFunc(left, func(s Segment) bool {
			lacks := c.lacks(s)
			if len(lacks) == 0 {
				return false
			}
			flows = append(flows, s)
			for t := range c {
				if p, ok := partOf(c[t], s); ok {
					c[t] = slices.DeleteFunc(c[t], func(x Segment) bool { return x.Path == p.Path })
					changed = true
				}
			}
			return true
		})
	}
	return flows
}

// pinParts adds the parts that overlap the time to a snapshot, and the long
// flows of the time that they cover.
func (s *Snapshot) pinParts(tables []string, parts cover, long []Segment, from, to time.Time, opened map[string]*os.File) error {
	s.tables = map[string][]string{}
	for i, table := range tables {
		p, err := pin(parts[i], from, to, opened)
		if err != nil {
			return err
		}
		s.tables[table] = p.paths
		s.absorb(p)
	}
	if len(tables) == 0 {
		return nil
	}
	covered := slices.DeleteFunc(slices.Clone(long), func(l Segment) bool { return len(parts.lacks(l)) > 0 })
	p, err := pin(covered, from, to, opened)
	if err != nil {
		return err
	}
	s.paths = append(s.paths, p.paths...)
	s.absorb(p)
	return nil
}

// absorb takes over the open files of another snapshot.
func (s *Snapshot) absorb(p *Snapshot) {
	s.files = append(s.files, p.files...)
	s.rows, s.bytes, s.damaged = s.rows+p.rows, s.bytes+p.bytes, s.damaged+p.damaged
}

// Table names the files of a table of rollups, like Paths those of flows.
func (s *Snapshot) Table(name string) []string { return s.tables[name] }

// Span returns the earliest start and the latest end of what is in dir, flows
// or rollups, as far as names tell; ok is false when there is nothing. A bucket
// does not tell when within it flows were: where flows or shorter buckets reach
// into a bucket, they tell.
func Span(dir string) (first, last time.Time, ok bool, err error) {
	segments, _, err := list(dir)
	if err != nil {
		return first, last, false, err
	}
	include := func(parts []Segment, step time.Duration) {
		for _, s := range parts {
			if !ok || !s.Start.Add(step).After(first) {
				first = s.Start
			}
			if !ok || !s.End.Add(-step).Before(last) {
				last = s.End
			}
			ok = true
		}
	}
	include(segments, 0)
	for _, level := range rollup.Levels {
		for _, table := range rollupTables {
			if _, l, _ := rollup.Find(table); l != level {
				continue
			}
			parts, err := partsOf(dir, table)
			if err != nil {
				return first, last, false, err
			}
			include(parts, level.Step())
		}
	}
	return first, last, ok, nil
}

// Kept tells what retention left.
type Kept struct {
	// Flows is from when on all flows are there. It is zero where none were
	// deleted that rollups still tell of.
	Flows   time.Time
	NoFlows bool // none are there at all, but rollups

	Levels map[rollup.Level]time.Time // when the rollups of each level begin; zero where there are none
}

// Reach returns what is kept in dir.
func Reach(dir string) (Kept, error) {
	k := Kept{Levels: map[rollup.Level]time.Time{}}
	segments, _, err := list(dir)
	if err != nil {
		return k, err
	}
	for _, level := range rollup.Levels {
		parts, err := partsOf(dir, rollup.Cubes[0].Table(level))
		if err != nil {
			return k, err
		}
		for _, p := range parts {
			if first := k.Levels[level]; first.IsZero() || p.Start.Before(first) {
				k.Levels[level] = p.Start
			}
		}
		if len(segments) == 0 {
			k.NoFlows = k.NoFlows || len(parts) > 0
		} else if k.Flows.IsZero() { // shorter buckets tell more exactly
			k.Flows = completeFrom(segments[0].SealedFirst, parts)
		}
	}
	if !k.Flows.IsZero() {
		long, err := partsOf(dir, longTable)
		if err != nil {
			return k, err
		}
		if from := completeFrom(segments[0].SealedFirst, long); from.After(k.Flows) {
			k.Flows = from
		}
	}
	return k, nil
}

// completeFrom is from when on no flow is missing that parts have, when the
// oldest flows that are left were sealed at a moment; zero where none is.
func completeFrom(sealed time.Time, parts []Segment) (from time.Time) {
	for _, p := range parts {
		if !p.SealedFirst.Before(sealed) {
			continue
		}
		end := p.End.Add(time.Millisecond)
		// Some flows of the part are left: those of a running server are sealed
		// as they come, and what was imported later tells nothing.
		if !p.SealedLast.Before(sealed) && sealed.After(p.Start) && sealed.Before(p.End) {
			end = sealed
		}
		if end.After(from) {
			from = end
		}
	}
	return from
}
