package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"github.com/minamo-flow/minamo/flow"
)

// readRows is how many rows are decoded at once.
const readRows = 1 << 16

// Read decodes the rows of a Parquet file of flows, whoever wrote it, and
// hands them to yield in batches that are valid until it returns; an error of
// yield ends the reading and is returned. columns are those to read, the zero
// Mask is all. Columns that the file lacks are absent, those that flow.Schema
// lacks are passed over. Checksums of pages are verified where there are some.
func Read(path string, columns flow.Mask, yield func(*flow.Batch) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	batch := flow.NewBatch(1) // grows: most segments are small
	return readVectors(f, func(name string) (kind flow.Kind, wanted bool) {
		c, known := flow.Lookup(name)
		if !known || columns != (flow.Mask{}) && !columns.Has(c) {
			return kind, false
		}
		return flow.Schema[c].Kind, true
	}, func(rows int, vectors []flow.Vector) error {
		batch.Reset()
		batch.Extend(rows)
		for i := range vectors {
			c, _ := flow.Lookup(vectors[i].Name)
			setColumn(batch, c, &vectors[i])
		}
		return yield(batch)
	})
}

// setColumn sets a column of a batch that has as many rows.
func setColumn(b *flow.Batch, c flow.Column, v *flow.Vector) {
	n := 0
	for i, present := range v.Present {
		if !present {
			continue
		}
		switch v.Kind {
		case flow.Address:
			b.SetAddr(c, i, v.Addrs[n])
		case flow.Text:
			b.SetText(c, i, v.Texts[n])
		default:
			b.SetUint(c, i, v.Numbers[n])
		}
		n++
	}
}

// readVectors decodes those columns of a file that kind knows, some rows at
// a time. A damaged file is an error, whatever the library makes of it.
func readVectors(f *os.File, kind func(name string) (flow.Kind, bool), yield func(rows int, vectors []flow.Vector) error) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("%s is damaged: %v", f.Name(), fault)
		}
	}()
	source, size, err := uniform(f)
	if err != nil {
		return err
	}
	file, err := parquet.OpenFile(source, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true), parquet.ReadBufferSize(1<<18))
	if err != nil {
		return fmt.Errorf("%s: %w", f.Name(), err)
	}
	schema := file.Metadata().Schema
	var vectors []flow.Vector
	var leaves []leaf
	for i, e := range schema[1:] {
		if e.NumChildren.Valid {
			return fmt.Errorf("%s: column %s is nested: it is no file of flows", f.Name(), e.Name)
		}
		k, wanted := kind(e.Name)
		if !wanted {
			continue
		}
		want := physical[k]
		units, isTime := perMillisecond(&e)
		if e.Type != want.Type || e.TypeLength.V != want.TypeLength.V || k == flow.Time && !isTime {
			return fmt.Errorf("%s: column %s has another type than %s", f.Name(), e.Name, k)
		}
		vectors, leaves = append(vectors, flow.Vector{Name: e.Name, Kind: k}), append(leaves, leaf{i, units})
	}
	for g, group := range file.RowGroups() {
		for i, l := range leaves {
			if meta := &file.Metadata().RowGroups[g].Columns[l.column].MetaData; wideDeltas(meta) {
				return fmt.Errorf("%s: column %s: %w", f.Name(), vectors[i].Name, errWideDeltas)
			}
		}
		if err := readGroup(group, leaves, vectors, yield); err != nil {
			return fmt.Errorf("%s: %w", f.Name(), err)
		}
	}
	return nil
}

// errWideDeltas says that a file is sound, and yet cannot be decoded here.
var errWideDeltas = errors.New("differences between numbers of all 32 bits, as DuckDB writes them, are not understood; rewrite the file with PARQUET_VERSION v1")

// wideDeltas tells whether a column may hold differences that the library
// would take for others: of numbers that take all 32 bits.
func wideDeltas(meta *format.ColumnMetaData) bool {
	if meta.Type != format.Int32 || !slices.Contains(meta.Encoding, format.DeltaBinaryPacked) {
		return false
	}
	least, most := meta.Statistics.MinValue, meta.Statistics.MaxValue
	return len(least) != 4 || len(most) != 4 || binary.LittleEndian.Uint32(most) > math.MaxInt32
}

// leaf is a column of a file that is read.
type leaf struct {
	column int
	units  int64 // that make a millisecond, of a time
}

func readGroup(group parquet.RowGroup, leaves []leaf, vectors []flow.Vector, yield func(rows int, vectors []flow.Vector) error) error {
	readers := make([]chunkReader, len(leaves))
	defer func() {
		for i := range readers {
			readers[i].close()
		}
	}()
	for i, l := range leaves {
		readers[i].pages = group.ColumnChunks()[l.column].Pages()
	}
	for left := group.NumRows(); left > 0; {
		rows := min(left, readRows)
		for i := range vectors {
			if err := readers[i].read(&vectors[i], rows); err != nil {
				return fmt.Errorf("column %s: %w", vectors[i].Name, err)
			}
			if vectors[i].Kind == flow.Time && leaves[i].units > 1 {
				for n, at := range vectors[i].Numbers {
					vectors[i].Numbers[n] = uint64(int64(at) / leaves[i].units)
				}
			}
		}
		if err := yield(int(rows), vectors); err != nil {
			return err
		}
		left -= rows
	}
	return nil
}

// chunkReader goes through the pages of a column chunk.
type chunkReader struct {
	pages parquet.Pages
	page  parquet.Page
	at    int64 // rows of the page that were taken
}

func (r *chunkReader) close() {
	if r.page != nil {
		parquet.Release(r.page)
		r.page = nil
	}
	if r.pages != nil {
		r.pages.Close()
	}
}

// read takes the next rows.
func (r *chunkReader) read(v *flow.Vector, rows int64) error {
	v.Reset()
	for rows > 0 {
		if r.page == nil || r.at == r.page.NumRows() {
			if r.page != nil {
				parquet.Release(r.page)
				r.page = nil
			}
			page, err := r.pages.ReadPage()
			if errors.Is(err, io.EOF) {
				return fmt.Errorf("%d rows are missing", rows)
			} else if err != nil {
				return err
			}
			r.page, r.at = page, 0
			continue
		}
		n := min(rows, r.page.NumRows()-r.at)
		if err := take(v, r.page.Slice(r.at, r.at+n), n); err != nil {
			return err
		}
		r.at, rows = r.at+n, rows-n
	}
	return nil
}

// take appends the rows of a page.
func take(v *flow.Vector, page parquet.Page, rows int64) error {
	values := int(rows)
	if levels := page.DefinitionLevels(); len(levels) > 0 {
		values = 0
		for _, level := range levels {
			v.Present = append(v.Present, level > 0)
			values += int(level)
		}
	} else {
		for range rows {
			v.Present = append(v.Present, true)
		}
	}
	if values == 0 {
		return nil
	}
	dictionary := page.Dictionary()
	if dictionary == nil {
		return takePlain(v, page, values)
	}
	// The values of the dictionary, once, and then those of the rows from it.
	d := flow.Vector{Kind: v.Kind}
	if err := takePlain(&d, dictionary.Page(), dictionary.Len()); err != nil {
		return err
	}
	data := page.Data()
	for _, i := range data.Int32()[:values] {
		switch v.Kind {
		case flow.Address:
			v.Addrs = append(v.Addrs, d.Addrs[i])
		case flow.Text:
			v.Texts = append(v.Texts, d.Texts[i])
		default:
			v.Numbers = append(v.Numbers, d.Numbers[i])
		}
	}
	return nil
}

// plain appends n values of a page without a dictionary.
func takePlain(v *flow.Vector, page parquet.Page, n int) error {
	data := page.Data()
	switch v.Kind {
	case flow.Address:
		bytes, size := data.FixedLenByteArray()
		if size != 16 || len(bytes) < 16*n {
			return fmt.Errorf("a page has %d bytes for %d addresses", len(bytes), n)
		}
		for i := range n {
			v.Addrs = append(v.Addrs, flow.Addr(bytes[16*i:]))
		}
	case flow.Text:
		bytes, offsets := data.ByteArray()
		for i := range n {
			// The page is gone when the next one is read.
			v.Texts = append(v.Texts, append([]byte(nil), bytes[offsets[i]:offsets[i+1]]...))
		}
	case flow.Time, flow.Uint64, flow.MAC:
		for _, x := range data.Int64()[:n] {
			v.Numbers = append(v.Numbers, uint64(x))
		}
	default:
		for _, x := range data.Int32()[:n] {
			v.Numbers = append(v.Numbers, uint64(uint32(x)))
		}
	}
	return nil
}
