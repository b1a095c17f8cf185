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
	"strings"
	"time"

	"github.com/parquet-go/parquet-go/format"

	"github.com/minamo-flow/minamo/flow"
)

// Description tells what is in a data directory.
type Description struct {
	Tables  []Table // flows first, then the rollups by name
	Damaged Pile    // set aside in damaged/
	Temp    Pile    // unfinished in tmp/
}

// Table is the raw flows, or a rollup.
type Table struct {
	Name    string
	Files   int
	Covered int // files whose rows others hold too: a merge has not finished deleting them
	Rows    int64
	Bytes   int64

	// The earliest start and latest end of flows, the first and last seal.
	// Zero where there is no file.
	Start, End              time.Time
	SealedFirst, SealedLast time.Time

	Days    []Day    // by seal time, oldest first
	Columns []Column // in the order of the files' schema; only where asked for
	Torn    int      // files whose footer could not be read, where columns were asked for
}

// Day is what was sealed on a day (UTC).
type Day struct {
	Day         string // 2006-01-02
	Files       int
	Rows, Bytes int64
	Start, End  time.Time // of flows
}

// Column is what a column takes in the files of a table.
type Column struct {
	Name         string
	Rows         int64 // that have a value
	Compressed   int64 // bytes on disk
	Uncompressed int64 // bytes of its pages, encoded but not compressed
	Encodings    []string
}

// Pile is a number of files.
type Pile struct {
	Files int
	Bytes int64
}

const rollupsDir = "rollups"

// Tables names the tables of the data directory dir: the flows, and every
// rollup that is there.
func Tables(dir string) ([]string, error) {
	names := []string{flowsDir}
	rollups, err := os.ReadDir(filepath.Join(dir, rollupsDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("store: read the rollups: %w", err)
	}
	for _, r := range rollups {
		if r.IsDir() {
			names = append(names, r.Name())
		}
	}
	return names, nil
}

// Describe tells what is in the data directory dir. It needs no lock, and
// works while a server runs. Sizes and times stand in the files' names;
// columns takes reading every footer, of which progress tells.
func Describe(ctx context.Context, dir string, columns bool, progress func(done, files int)) (*Description, error) {
	names, err := Tables(dir)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("store: read the data directory: %w", err)
	}
	d := &Description{}
	var all [][]Segment
	files := 0
	for _, name := range names {
		segments, err := segmentsOf(dir, name)
		if err != nil {
			return nil, err
		}
		_, covered, err := listOf(dir, name)
		if err != nil {
			return nil, err
		}
		d.Tables = append(d.Tables, describeTable(name, segments, covered))
		all = append(all, segments)
		files += len(segments)
	}
	if d.Damaged, err = pile(filepath.Join(dir, "damaged")); err != nil {
		return nil, err
	}
	if d.Temp, err = pile(filepath.Join(dir, "tmp")); err != nil {
		return nil, err
	}
	if !columns {
		return d, nil
	}
	done := 0
	for i, segments := range all {
		sums := columnSums{at: map[string]int{}}
		for _, s := range segments {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			switch err := sums.add(s.Path); {
			case errors.Is(err, fs.ErrNotExist): // merged meanwhile, or deleted
			case err != nil:
				d.Tables[i].Torn++
			}
			if done++; progress != nil {
				progress(done, files)
			}
		}
		d.Tables[i].Columns = sums.columns
	}
	return d, nil
}

func describeTable(name string, segments, covered []Segment) Table {
	t := Table{Name: name, Files: len(segments), Covered: len(covered)}
	for _, s := range segments {
		t.Rows += s.Rows
		t.Bytes += s.Bytes
		stretch(&t.Start, &t.End, s.Start, s.End)
		stretch(&t.SealedFirst, &t.SealedLast, s.SealedFirst, s.SealedLast)
		day := s.SealedFirst.Format(dayLayout)
		if n := len(t.Days); n == 0 || t.Days[n-1].Day != day {
			t.Days = append(t.Days, Day{Day: day})
		}
		last := &t.Days[len(t.Days)-1]
		last.Files++
		last.Rows += s.Rows
		last.Bytes += s.Bytes
		stretch(&last.Start, &last.End, s.Start, s.End)
	}
	return t
}

// stretch makes a range of times include another.
func stretch(first, last *time.Time, from, to time.Time) {
	if first.IsZero() || from.Before(*first) {
		*first = from
	}
	if last.IsZero() || to.After(*last) {
		*last = to
	}
}

// pile counts the files below a directory, which need not be there.
func pile(dir string) (p Pile, err error) {
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return ignoreMissing(err)
		}
		info, err := entry.Info()
		if err != nil {
			return ignoreMissing(err)
		}
		p.Files++
		p.Bytes += info.Size()
		return nil
	})
	return p, err
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// columnSums adds up what footers tell of columns.
type columnSums struct {
	columns []Column
	at      map[string]int
}

func (s *columnSums) add(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := vetFooter(f); err != nil {
		return err
	}
	meta, _, err := readFooter(f)
	if err != nil {
		return err
	}
	for g := range meta.RowGroups {
		for i := range meta.RowGroups[g].Columns {
			s.column(&meta.RowGroups[g].Columns[i].MetaData)
		}
	}
	slices.SortStableFunc(s.columns, func(a, b Column) int { return cmp.Compare(schemaOrder(a.Name), schemaOrder(b.Name)) })
	for i, c := range s.columns {
		s.at[c.Name] = i
	}
	return nil
}

func (s *columnSums) column(meta *format.ColumnMetaData) {
	name := strings.Join(meta.PathInSchema, ".")
	i, known := s.at[name]
	if !known {
		i = len(s.columns)
		s.at[name] = i
		s.columns = append(s.columns, Column{Name: name})
	}
	c := &s.columns[i]
	c.Rows += meta.NumValues - meta.Statistics.NullCount
	c.Compressed += meta.TotalCompressedSize
	c.Uncompressed += meta.TotalUncompressedSize
	for _, e := range meta.Encoding {
		// How it is told which rows have a value says nothing of the values.
		if name := e.String(); e != format.RLE && !slices.Contains(c.Encodings, name) {
			c.Encodings = append(c.Encodings, name)
		}
	}
}

// schemaOrder is a column's place in flow.Schema; unknown ones come last.
func schemaOrder(name string) int {
	if c, ok := flow.Lookup(name); ok {
		return int(c)
	}
	return 1 << 16
}
