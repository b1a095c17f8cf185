package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strconv"
	"time"
)

// Snapshot is a set of segments held open: what it saw stays readable until
// Close, whatever a server merges or deletes meanwhile.
type Snapshot struct {
	files   []*os.File
	paths   []string
	rows    int64
	bytes   int64
	damaged int
	tables  map[string][]string // paths of the parts of each
}

// Pin opens the segments in dir that may hold flows between from and to; a
// zero time is no bound. It needs no lock, and works with or without a
// server, also from another process. Files that are damaged, or not readable for
// this user, are left out and counted.
func Pin(dir string, from, to time.Time) (*Snapshot, error) {
	opened := map[string]*os.File{} // kept from one attempt to the next: a segment never changes
	for range attempts {
		segments, _, err := list(dir)
		if err != nil {
			closeAll(opened)
			return nil, err
		}
		s, err := pin(segments, from, to, opened)
		if errors.Is(err, fs.ErrNotExist) {
			continue // merged or deleted since it was listed
		}
		closeAll(opened) // what the last attempt had no use for
		if err != nil {
			return nil, fmt.Errorf("store: open segments: %w", err)
		}
		return s, nil
	}
	closeAll(opened)
	return nil, fmt.Errorf("store: open segments in %s: %w", dir, errVanished)
}

// pin moves the files it needs from opened into a snapshot, all or none.
func pin(segments []Segment, from, to time.Time, opened map[string]*os.File) (*Snapshot, error) {
	s := &Snapshot{}
	for _, segment := range segments {
		if !from.IsZero() && segment.End.Before(from) || !to.IsZero() && segment.Start.After(to) {
			continue
		}
		f := opened[segment.Path]
		if f == nil {
			var err error
			f, err = os.Open(segment.Path)
			if errors.Is(err, fs.ErrPermission) {
				s.damaged++ // the rest can be read
				continue
			}
			if err != nil {
				return nil, err
			}
			opened[segment.Path] = f
		}
		size, ok := wholeParquet(f)
		if !ok {
			s.damaged++
			continue
		}
		s.files = append(s.files, f)
		s.rows += segment.Rows
		s.bytes += size
	}
	for _, f := range s.files {
		delete(opened, f.Name())
		path := f.Name()
		if runtime.GOOS == "linux" {
			path = "/proc/self/fd/" + strconv.Itoa(int(f.Fd()))
		}
		s.paths = append(s.paths, path)
	}
	return s, nil
}

func closeAll(files map[string]*os.File) {
	for _, f := range files {
		f.Close()
	}
}

const magic = "PAR1"

// wholeParquet looks for the marks of a file that was written to its end, at
// the price of one short read.
func wholeParquet(f *os.File) (size int64, ok bool) {
	info, err := f.Stat()
	if err != nil || info.Size() < int64(len(magic)+8) {
		return 0, false
	}
	var tail [8]byte
	if _, err := f.ReadAt(tail[:], info.Size()-8); err != nil {
		return 0, false
	}
	footer := int64(binary.LittleEndian.Uint32(tail[:]))
	return info.Size(), string(tail[4:]) == magic && footer > 0 && footer <= info.Size()-int64(len(magic)+8)
}

// Paths names the files for a reader in this process. On Linux they go
// through the open descriptors. A descriptor's number is used for another file
// later: a reader must not remember anything by these names after Close
// (DuckDB: enable_external_file_cache = false).
func (s *Snapshot) Paths() []string { return s.paths }

// Rows is the number of flow records in the files.
func (s *Snapshot) Rows() int64 { return s.rows }

// Bytes is the size of the files.
func (s *Snapshot) Bytes() int64 { return s.bytes }

// Damaged counts the files left out because they are torn or may not be read.
func (s *Snapshot) Damaged() int { return s.damaged }

// Close lets go of the files.
func (s *Snapshot) Close() error {
	var errs []error
	for _, f := range s.files {
		errs = append(errs, f.Close())
	}
	s.files, s.paths = nil, nil
	return errors.Join(errs...)
}
