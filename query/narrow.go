package query

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/store"
)

// narrowed is a Source of which only some rows can matter.
type narrowed struct {
	Source
	ranges []store.Range
}

// Paths names the files that have such rows.
func (n narrowed) Paths() (paths []string) {
	for _, r := range n.ranges {
		if len(paths) == 0 || paths[len(paths)-1] != r.Path {
			paths = append(paths, r.Path)
		}
	}
	return paths
}

// Rows counts them.
func (n narrowed) Rows() (rows int64) {
	for _, r := range n.ranges {
		rows += r.End - r.First
	}
	return rows
}

// maxRanges bounds the parts of a narrowed query, each of which takes DuckDB
// about a millisecond to prepare.
const maxRanges = 500

// narrow leaves of a source what may hold the addresses that all of the filters
// together ask for, where they ask for some, and where it pays.
func narrow(ctx context.Context, src Source, from, to time.Time, filters ...*Filter) (Source, error) {
	holder, ok := src.(interface {
		Holding(context.Context, time.Time, time.Time, map[flow.Column][]flow.Addr) ([]store.Range, error)
		Rows() int64
	})
	if !ok || holder.Rows() < minNarrow {
		return src, nil
	}
	var wanted map[flow.Column][]flow.Addr
	for _, f := range filters {
		if wanted == nil {
			wanted = f.addresses()
		}
	}
	if wanted == nil {
		return src, nil
	}
	ranges, err := holder.Holding(ctx, from, to, wanted)
	if err != nil {
		return nil, err
	}
	n := narrowed{src, ranges}
	if len(ranges) > maxRanges || n.Rows() > holder.Rows()/2 {
		return src, nil
	}
	return n, nil
}

// minNarrow is how many rows are read as fast as they are looked into.
const minNarrow = 500_000

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
	n, ok := src.(narrowed)
	if !ok {
		return "SELECT * FROM read_parquet(" + pathList(src.Paths()) + options
	}
	var parts []string
	for _, r := range n.ranges {
		parts = append(parts, fmt.Sprintf("SELECT * FROM read_parquet(%s%s WHERE file_row_number BETWEEN %d AND %d", pathList([]string{r.Path}), options, r.First, r.End-1))
	}
	return strings.Join(slices.Clip(parts), "\nUNION ALL BY NAME ")
}
