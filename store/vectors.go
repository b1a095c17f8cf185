package store

import (
	"unsafe"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/minamo-flow/minamo/flow"
)

// vectorRows is how many rows a row group of vectors has: cells come by their
// bucket, so that small groups let a query pass over other times.
const vectorRows = 1 << 15

// encodeVectors returns rows of columns as a Parquet file, valid until the next
// call.
func (e *encoder) encodeVectors(rows int, vectors []flow.Vector) []byte {
	e.out = append(e.out[:0], magic...)
	meta := format.FileMetaData{
		Version: 2, Schema: []format.SchemaElement{root(len(vectors))}, RowGroups: []format.RowGroup{},
		NumRows: int64(rows), CreatedBy: "minamo", ColumnOrders: columnOrders(len(vectors)),
	}
	for _, v := range vectors {
		element := physical[v.Kind]
		element.Name, element.RepetitionType = v.Name, thrift.New(format.Optional)
		meta.Schema = append(meta.Schema, element)
	}
	taken := make([]int, len(vectors)) // of each column's values
	for from := 0; from < rows; from += vectorRows {
		group := e.group(vectors, from, min(from+vectorRows, rows), taken, false)
		group.Ordinal = int16(len(meta.RowGroups))
		meta.RowGroups = append(meta.RowGroups, group)
	}
	e.out = appendFooter(e.out, &meta)
	return e.out
}

// group appends a row group of some rows of vectors, which get an index where
// that is wanted; taken is how many values of each stand before, and is moved on.
func (e *encoder) group(vectors []flow.Vector, from, to int, taken []int, indexed bool) format.RowGroup {
	group := format.RowGroup{NumRows: int64(to - from), Columns: make([]format.ColumnChunk, len(vectors)), FileOffset: int64(len(e.out))}
	e.beginIndex(to-from, indexed)
	for i := range vectors {
		chunk := &group.Columns[i].MetaData
		taken[i] += e.vector(&vectors[i], from, to, taken[i], chunk)
		group.TotalByteSize += chunk.TotalUncompressedSize
		group.TotalCompressedSize += chunk.TotalCompressedSize
	}
	e.endIndex(&group)
	return group
}

// vector appends the pages of some rows of a column, whose values begin at
// first. It returns how many values they have.
func (e *encoder) vector(v *flow.Vector, from, to, first int, meta *format.ColumnMetaData) (values int) {
	e.levels = e.levels[:0]
	for _, present := range v.Present[from:to] {
		level := uint8(0)
		if present {
			level = 1
			values++
		}
		e.levels = append(e.levels, level)
	}
	if values == to-from {
		e.levels = e.levels[:0]
	}
	switch v.Kind {
	case flow.Address:
		e.addrs.values = append(e.addrs.values[:0], v.Addrs[first:first+values]...)
	case flow.Text:
		for _, text := range v.Texts[first : first+values] {
			e.texts.values = append(e.texts.values, unsafe.String(unsafe.SliceData(text), len(text)))
		}
	default:
		e.numbers.values = append(e.numbers.values[:0], v.Numbers[first:first+values]...)
	}
	e.pages(v.Name, v.Kind, to-from, meta)
	return values
}
