package query

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/store"
)

// narrowed is what matters of a Source: copies of some of its flows, in files
// of this process, and some rows of its own files, in the order of storage.
type narrowed struct {
	Source
	ranges []store.Range
	rows   int64
	files  []*os.File // of the copies
}

// Paths names the files that have such rows.
func (n *narrowed) Paths() (paths []string) {
	for _, r := range n.ranges {
		if len(paths) == 0 || paths[len(paths)-1] != r.Path {
			paths = append(paths, r.Path)
		}
	}
	return paths
}

// Rows counts them.
func (n *narrowed) Rows() int64 { return n.rows }

// allCopied tells whether a source is nothing but copies of flows that were found.
func allCopied(src Source) bool {
	n, ok := src.(*narrowed)
	return ok && len(n.files) == len(n.ranges)
}

// close forgets the copies.
func (n *narrowed) close() {
	for _, f := range n.files {
		f.Close()
		os.Remove(f.Name()) // on Linux there is none
	}
}

const (
	// maxRanges bounds the parts of a narrowed query, each of which takes DuckDB
	// about a millisecond to prepare.
	maxRanges = 500

	// minNarrow is how many rows are read as fast as they are looked into.
	minNarrow = 500_000

	// rareFlows is how many flows at least are few, and one in rareShare of all
	// is: of an address that has more, nearly every page has one.
	rareFlows, maxRareFlows, rareShare = 50_000, 1_000_000, 200

	// copiedFlows is how many make a file.
	copiedFlows = 1 << 17
)

var errManyRanges = errors.New("too many parts")

// narrow leaves of a source what may hold the addresses that all of the filters
// together ask for, where they ask for some, and where it pays. done has to be
// called when the source is no longer needed.
func narrow(ctx context.Context, src Source, from, to time.Time, filters ...*Filter) (_ Source, done func(), err error) {
	done = func() {}
	finder, ok := src.(interface {
		Find(ctx context.Context, from, to time.Time, wanted map[flow.Column][]flow.Addr, most int64, flows func(*flow.Batch) error, rows func(store.Range) error) error
		Rows() int64
	})
	if !ok || finder.Rows() < minNarrow {
		return src, done, nil
	}
	var wanted map[flow.Column][]flow.Addr
	for _, f := range filters {
		if wanted == nil {
			wanted = f.addresses()
		}
	}
	if wanted == nil {
		return src, done, nil
	}
	n := &narrowed{Source: src}
	var w *store.Writer
	copied := int64(0) // by w
	flush := func() error {
		if w == nil {
			return nil
		}
		n.ranges[len(n.ranges)-1].End = copied
		err := w.Close()
		w, copied = nil, 0
		return err
	}
	most := min(max(finder.Rows()/rareShare, rareFlows), maxRareFlows)
	err = finder.Find(ctx, from, to, wanted, most, func(b *flow.Batch) error {
		if w == nil {
			f, path, err := memoryFile()
			if err != nil {
				return fmt.Errorf("copy what was found: %w", err)
			}
			n.files, n.ranges = append(n.files, f), append(n.ranges, store.Range{Path: path})
			w = store.NewWriter(f)
		}
		if err := w.Write(b); err != nil {
			return fmt.Errorf("copy what was found: %w", err)
		}
		n.rows += int64(b.Len())
		if copied += int64(b.Len()); copied >= copiedFlows {
			return flush()
		}
		return nil
	}, func(r store.Range) error {
		if err := flush(); err != nil {
			return err
		}
		n.ranges = append(n.ranges, r)
		n.rows += r.End - r.First
		if len(n.ranges) > maxRanges || n.rows > finder.Rows()/2 {
			return errManyRanges
		}
		return nil
	})
	if err == nil {
		err = flush()
	}
	if err != nil {
		n.close()
		if errors.Is(err, store.ErrMany) || errors.Is(err, errManyRanges) {
			return src, done, nil
		}
		return nil, done, err
	}
	return n, n.close, nil
}

// addresses are those that flows must have in one of the columns to match, nil
// where the filter does not name some.
func (f *Filter) addresses() map[flow.Column][]flow.Addr {
	if f == nil || f.root == nil {
		return nil
	}
	terms := []expr{f.root}
	if all, ok := f.root.(junction); ok && all.operator == " AND " {
		terms = all.terms
	}
	for _, term := range terms {
		choice, ok := term.(junction)
		if !ok {
			choice = junction{" OR ", []expr{term}}
		}
		if choice.operator != " OR " || !isAddressChoice(choice) {
			continue
		}
		wanted := map[flow.Column][]flow.Addr{}
		for _, one := range choice.terms {
			var c flow.Column
			var literals []string
			switch t := one.(type) {
			case comparison:
				c, literals = t.value.columns[0], []string{t.literal}
			case membership:
				c, literals = t.value.columns[0], t.literals
			}
			for _, literal := range literals {
				raw, err := hex.DecodeString(strings.NewReplacer("'", "", "-", "", "::UUID", "").Replace(literal))
				if err != nil || len(raw) != 16 {
					return nil
				}
				wanted[c] = append(wanted[c], flow.Addr(raw))
			}
		}
		return wanted
	}
	return nil
}

// readParquet is the SQL of all rows of a source's files, or of those that matter.
func readParquet(src Source) string {
	const options = `, union_by_name = true, hive_partitioning = false, file_row_number = true, filename = 'segment path')`
	n, ok := src.(*narrowed)
	if !ok {
		return "SELECT * FROM read_parquet(" + pathList(src.Paths()) + options
	}
	var parts []string
	for _, r := range n.ranges {
		parts = append(parts, fmt.Sprintf("SELECT * FROM read_parquet(%s%s WHERE file_row_number BETWEEN %d AND %d", pathList([]string{r.Path}), options, r.First, r.End-1))
	}
	return strings.Join(slices.Clip(parts), "\nUNION ALL BY NAME ")
}
