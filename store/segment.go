package store

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Segment is one Parquet file of flows, or of the cells of a table of rollups.
// Everything but its size on disk stands in its name, so that a listing answers
// what would else need opening:
//
//	flows/YYYY-MM-DD/<sealedFirst>-<sealedLast>_<start>-<end>_<rows>.parquet
//	rollups/<table>/YYYY-MM-DD/…
//
// Seal stamps are unique and strictly increasing, whatever the clock does. A
// fresh segment has one; a merged segment spans those of its parts. So a
// segment whose seal range lies within another's is a part of that one, left
// behind by a merge that has not finished deleting, and is not to be read.
type Segment struct {
	Path                    string
	Table                   string    // of rollups; "" for flows
	SealedFirst, SealedLast time.Time // when its rows were sealed
	Start, End              time.Time // the earliest start and the latest end of its flows
	Rows                    int64
	Bytes                   int64
}

const (
	flowsDir = "flows"
	suffix   = ".parquet"

	// stampLayout has no '-' and no '_', which separate the parts of a name.
	stampLayout = "20060102T150405.000Z"
	dayLayout   = "2006-01-02"
)

// path is where the segment belongs within dir. Merges never cross midnight
// (UTC) of the seal stamps, so a day's directory can be understood, copied or
// deleted on its own.
func (s *Segment) path(dir string) string {
	name := s.SealedFirst.Format(stampLayout) + "-" + s.SealedLast.Format(stampLayout) + "_" +
		s.Start.Format(stampLayout) + "-" + s.End.Format(stampLayout) + "_" +
		strconv.FormatInt(s.Rows, 10) + suffix
	return filepath.Join(tableDir(dir, s.Table), s.SealedFirst.Format(dayLayout), name)
}

// tableDir is where the segments of a table are.
func tableDir(dir, table string) string {
	if table == "" || table == flowsDir {
		return filepath.Join(dir, flowsDir)
	}
	return filepath.Join(dir, rollupsDir, table)
}

// parseSegment reads what the name of a file tells.
func parseSegment(path string) (Segment, bool) {
	s := Segment{Path: path}
	name, ok := strings.CutSuffix(filepath.Base(path), suffix)
	parts := strings.Split(name, "_")
	if !ok || len(parts) != 3 {
		return s, false
	}
	var err error
	if s.Rows, err = strconv.ParseInt(parts[2], 10, 64); err != nil || s.Rows < 0 {
		return s, false
	}
	return s, parseRange(parts[0], &s.SealedFirst, &s.SealedLast) && parseRange(parts[1], &s.Start, &s.End)
}

func parseRange(text string, from, to *time.Time) bool {
	first, last, ok := strings.Cut(text, "-")
	if !ok {
		return false
	}
	var errs [2]error
	*from, errs[0] = time.Parse(stampLayout, first)
	*to, errs[1] = time.Parse(stampLayout, last)
	return errs[0] == nil && errs[1] == nil && !to.Before(*from)
}

// stampTime turns milliseconds into a time that a name can carry: years 0 to
// 9999. Only a device clock beyond all sense leaves that range.
func stampTime(ms int64) time.Time {
	const least, most = -62167219200000, 253402300799999
	return time.UnixMilli(min(max(ms, least), most)).UTC()
}

// errVanished says that files were merged or deleted while they were listed.
var errVanished = errors.New("the store kept changing while it was read; try again")

// attempts bounds how often a listing is repeated. A server changes a
// directory about once a second; a listing takes milliseconds.
const attempts = 100

// Segments lists the segments of the store in dir, oldest first. It needs no
// lock and no server. Covered segments are left out.
func Segments(dir string) ([]Segment, error) { return segmentsOf(dir, flowsDir) }

// segmentsOf lists those of a table.
func segmentsOf(dir, table string) ([]Segment, error) {
	for range attempts {
		segments, _, err := listOf(dir, table)
		if err != nil {
			return nil, err
		}
		complete := true
		for i := range segments {
			info, err := os.Lstat(segments[i].Path)
			if errors.Is(err, fs.ErrNotExist) {
				complete = false
				break
			}
			if err != nil {
				return nil, fmt.Errorf("store: list segments: %w", err)
			}
			segments[i].Bytes = info.Size()
		}
		if complete {
			return segments, nil
		}
	}
	return nil, fmt.Errorf("store: list segments in %s: %w", dir, errVanished)
}

// list returns the segments in dir without their sizes, oldest first, and
// apart from them those that others cover.
func list(dir string) (segments, covered []Segment, err error) { return listOf(dir, flowsDir) }

func listOf(dir, table string) (segments, covered []Segment, err error) {
	root := tableDir(dir, table)
	days, err := os.ReadDir(root)
	if errors.Is(err, fs.ErrNotExist) {
		_, err = os.Stat(dir) // an empty store is fine, a mistyped directory is not
		days = nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("store: read the data directory: %w", err)
	}
	for _, day := range days {
		if !day.IsDir() {
			continue
		}
		path := filepath.Join(root, day.Name())
		names, err := listDay(path)
		if err != nil {
			return nil, nil, err
		}
		for _, name := range names {
			if s, ok := parseSegment(filepath.Join(path, name)); ok {
				if table != flowsDir {
					s.Table = table
				}
				segments = append(segments, s)
			}
		}
	}
	segments, covered = uncover(segments)
	return segments, covered, nil
}

// listDay returns the names in a day's directory as they were at one moment.
//
// Reading a directory is not atomic: one pass may miss both a merged file that
// came while it ran and the parts that went. So it reads until two passes in a
// row agree; a merge names its result before it deletes anything, hence the
// second pass has seen whatever replaced what the first one missed.
func listDay(path string) ([]string, error) {
	var before []string
	for i := range attempts {
		names, err := dirNames(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil // retention took the whole day
		}
		if err != nil {
			return nil, fmt.Errorf("store: list segments: %w", err)
		}
		slices.Sort(names)
		if i > 0 && slices.Equal(before, names) {
			return names, nil
		}
		before = names
	}
	return nil, fmt.Errorf("store: list %s: %w", path, errVanished)
}

func dirNames(path string) ([]string, error) {
	d, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Readdirnames(-1)
}

// uncover sorts segments by seal time and parts those to read from those
// whose rows another one holds too.
func uncover(all []Segment) (segments, covered []Segment) {
	slices.SortFunc(all, func(a, b Segment) int {
		return cmp.Or(a.SealedFirst.Compare(b.SealedFirst), b.SealedLast.Compare(a.SealedLast), strings.Compare(a.Path, b.Path))
	})
	for _, s := range all {
		if n := len(segments); n > 0 && !s.SealedLast.After(segments[n-1].SealedLast) {
			covered = append(covered, s)
		} else {
			segments = append(segments, s)
		}
	}
	return segments, covered
}
