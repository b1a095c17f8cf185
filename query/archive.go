package query

import (
	"context"
	"time"

	"github.com/minamo-flow/minamo/rollup"
	"github.com/minamo-flow/minamo/store"
)

// Archive is where reports find flows, and rollups of them. A report pins what
// it needs for each of its questions.
type Archive interface {
	// Pin holds open what tells of the time between from and to: the given
	// tables of rollups, and the flows that are not in them.
	Pin(from, to time.Time, tables ...string) (Pinned, error)
}

// Pinned is a Source that holds files open; *store.Snapshot is one.
type Pinned interface {
	Source
	Table(name string) []string // paths of the parts of a table of rollups
	Close() error
}

// Dir is the Archive in a data directory.
type Dir string

func (d Dir) Pin(from, to time.Time, tables ...string) (Pinned, error) {
	return store.PinTables(string(d), from, to, tables...)
}

// Reach tells what is kept.
func (d Dir) Reach() (store.Kept, error) { return store.Reach(string(d)) }

// kept is what retention left in an archive; everything, where it does not know.
func kept(a Archive) (k store.Kept, err error) {
	if limited, is := a.(interface{ Reach() (store.Kept, error) }); is {
		return limited.Reach()
	}
	return k, nil
}

// finest is the finest level at which an archive tells of a time: where flows
// and short buckets are no longer kept, longer ones may be.
func finest(k store.Kept, from time.Time) rollup.Level {
	if k.Flows.IsZero() && !k.NoFlows {
		return rollup.Minute
	}
	begin := k.Flows
	for i, level := range rollup.Levels {
		if first := k.Levels[level]; begin.IsZero() || !first.IsZero() && first.Before(begin) {
			begin = first
		}
		longer := false
		for _, l := range rollup.Levels[i+1:] {
			// The first bucket of a level begins somewhat before what is in it.
			first := k.Levels[l]
			longer = longer || !first.IsZero() && (begin.IsZero() || first.Add(l.Step()).Before(begin))
		}
		if !longer || !begin.IsZero() && !from.Before(begin) {
			return level
		}
	}
	return rollup.Day
}

// Files are an Archive too, of no rollups.
func (f Files) Pin(time.Time, time.Time, ...string) (Pinned, error) { return f, nil }
func (f Files) Table(string) []string                               { return nil }
func (f Files) Close() error                                        { return nil }

// Of is an Archive of what a Source has, whatever the time, without rollups.
func Of(src Source) Archive { return only{src} }

type only struct{ Source }

func (o only) Pin(time.Time, time.Time, ...string) (Pinned, error) { return o, nil }
func (o only) Table(string) []string                               { return nil }
func (o only) Close() error                                        { return nil }

// span is the time of the earliest and the latest flow of an archive.
func (e *Engine) span(ctx context.Context, a Archive) (first, last time.Time, ok bool, err error) {
	if d, is := a.(Dir); is {
		return store.Span(string(d))
	}
	all, err := a.Pin(time.Time{}, time.Time{})
	if err != nil {
		return first, last, false, err
	}
	defer all.Close()
	return e.Span(ctx, all)
}
