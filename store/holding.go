package store

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding"
	"github.com/parquet-go/parquet-go/format"

	"github.com/minamo-flow/minamo/flow"
)

// Range is some rows of a file, from First to before End.
type Range struct {
	Path       string
	First, End int64
}

// Holding returns the rows that may hold flows between from and to in which one
// of the columns has one of its addresses; a zero time is no bound. It looks
// into the row groups' dictionaries, which is a small part of reading the
// columns: a host is in few row groups of a day. Rows that it cannot tell of
// are among them, so what it returns has to be filtered all the same.
func (s *Snapshot) Holding(ctx context.Context, from, to time.Time, wanted map[flow.Column][]flow.Addr) ([]Range, error) {
	found := make([][]Range, len(s.paths))
	next := make(chan int)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := range next {
				found[i] = holding(s.paths[i], from, to, wanted)
			}
		})
	}
	for i := range s.paths {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	workers.Wait()
	return slices.Concat(found...), ctx.Err()
}

// holding looks into one file. Of a file that it cannot understand all rows may
// hold what is wanted: whoever reads them will say what is wrong with it.
func holding(path string, from, to time.Time, wanted map[flow.Column][]flow.Addr) (ranges []Range) {
	defer func() {
		if recover() != nil {
			ranges = []Range{{path, 0, 1 << 62}}
		}
	}()
	f, err := os.Open(path)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		panic(err)
	}
	file, err := parquet.OpenFile(f, info.Size(), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		panic(err)
	}
	meta := file.Metadata()
	row := int64(0)
	for g, group := range file.RowGroups() {
		first, end := row, row+group.NumRows()
		row = end
		if !within(meta, &meta.RowGroups[g], from, to) || !groupHolds(f, group, meta, wanted) {
			continue
		}
		if n := len(ranges); n > 0 && ranges[n-1].End == first {
			ranges[n-1].End = end
		} else {
			ranges = append(ranges, Range{path, first, end})
		}
	}
	return ranges
}

// within tells whether a row group may have flows between from and to, by the
// least and greatest of its times.
func within(meta *format.FileMetaData, group *format.RowGroup, from, to time.Time) bool {
	for i := range group.Columns {
		e := &meta.Schema[1+i]
		units, isTime := perMillisecond(e)
		if !isTime {
			continue
		}
		bound := func(b []byte) (time.Time, bool) {
			v, ok := statistic(flow.Time, units, b)
			return time.UnixMilli(int64(v ^ 1<<63)), ok
		}
		s := &group.Columns[i].MetaData.Statistics
		switch e.Name {
		case flow.Start.String():
			if least, ok := bound(s.MinValue); ok && !to.IsZero() && !least.Before(to) {
				return false
			}
		case flow.End.String():
			if most, ok := bound(s.MaxValue); ok && !from.IsZero() && most.Before(from) {
				return false
			}
		}
	}
	return true
}

func groupHolds(f *os.File, group parquet.RowGroup, meta *format.FileMetaData, wanted map[flow.Column][]flow.Addr) bool {
	for c, addrs := range wanted {
		i := slices.IndexFunc(meta.Schema[1:], func(e format.SchemaElement) bool { return e.Name == c.String() })
		if i < 0 {
			continue // the column is absent
		}
		chunk, ok := group.ColumnChunks()[i].(*parquet.FileColumnChunk)
		if !ok {
			return true
		}
		pages := chunk.PagesFrom(f)
		held, known := chunkHolds(pages, addrs)
		pages.Close()
		if held || !known {
			return true
		}
	}
	return false
}

// chunkHolds looks for addresses in the dictionary of a column, or, where there
// is none because hardly one comes twice, among its values.
func chunkHolds(pages *parquet.FilePages, addrs []flow.Addr) (held, known bool) {
	dictionary, err := pages.ReadDictionary()
	if err != nil {
		return false, false
	}
	if dictionary != nil {
		return valuesHold(dictionary.Page(), addrs)
	}
	for {
		page, err := pages.ReadPage()
		if errors.Is(err, io.EOF) {
			return false, true
		} else if err != nil {
			return false, false
		}
		held, known := valuesHold(page, addrs)
		parquet.Release(page)
		if held || !known {
			return held, known
		}
	}
}

func valuesHold(page parquet.Page, addrs []flow.Addr) (held, known bool) {
	data := page.Data()
	if data.Kind() != encoding.FixedLenByteArray {
		return false, false
	}
	values, size := data.FixedLenByteArray()
	if size != 16 {
		return false, false
	}
	for _, a := range addrs {
		// The end of an address tells more than its beginning.
		high, low := binary.LittleEndian.Uint64(a[:8]), binary.LittleEndian.Uint64(a[8:])
		for rest := values; len(rest) >= 16; rest = rest[16:] {
			if binary.LittleEndian.Uint64(rest[8:]) == low && binary.LittleEndian.Uint64(rest) == high {
				return true, true
			}
		}
	}
	return false, true
}
