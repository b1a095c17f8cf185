package store

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"slices"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding"
	"github.com/parquet-go/parquet-go/format"

	"github.com/minamo-flow/minamo/flow"
)

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
