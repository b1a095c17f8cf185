package store

import (
	"encoding/binary"
	"unsafe"

	"github.com/parquet-go/parquet-go/encoding/rle"
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
		group := e.group(vectors, from, min(from+vectorRows, rows), taken)
		group.Ordinal = int16(len(meta.RowGroups))
		meta.RowGroups = append(meta.RowGroups, group)
	}
	e.out = appendFooter(e.out, &meta)
	return e.out
}

// group appends a row group of some rows of vectors; taken is how many values
// of each stand before, and is moved on.
func (e *encoder) group(vectors []flow.Vector, from, to int, taken []int) format.RowGroup {
	group := format.RowGroup{NumRows: int64(to - from), Columns: make([]format.ColumnChunk, len(vectors)), FileOffset: int64(len(e.out))}
	for i := range vectors {
		chunk := &group.Columns[i].MetaData
		taken[i] += e.vector(&vectors[i], from, to, taken[i], chunk)
		group.TotalByteSize += chunk.TotalUncompressedSize
		group.TotalCompressedSize += chunk.TotalCompressedSize
	}
	return group
}

// vector appends the pages of some rows of a column, whose values begin at
// first. It returns how many values they have.
func (e *encoder) vector(v *flow.Vector, from, to, first int, meta *format.ColumnMetaData) (values int) {
	*meta = format.ColumnMetaData{
		Type:         physical[v.Kind].Type.V,
		PathInSchema: []string{v.Name},
		NumValues:    int64(to - from),
		Codec:        format.Zstd,
		Encoding:     []format.Encoding{format.RLE, format.Plain},
	}
	e.levels = e.levels[:0]
	for _, present := range v.Present[from:to] {
		level := uint8(0)
		if present {
			level = 1
			values++
		}
		e.levels = append(e.levels, level)
	}
	meta.Statistics.NullCount = int64(to - from - values)
	e.part, _ = (&rle.Encoding{BitWidth: 1}).EncodeLevels(e.part[:0], e.levels)
	e.page = binary.LittleEndian.AppendUint32(e.page[:0], uint32(len(e.part)))
	e.page = append(e.page, e.part...)
	encoding := format.Plain
	switch {
	case values == 0:
	case v.Kind == flow.Address:
		e.addrs.values = append(e.addrs.values[:0], v.Addrs[first:first+values]...)
		encoding = e.addresses(meta)
	case v.Kind == flow.Text:
		for _, text := range v.Texts[first : first+values] {
			e.texts.values = append(e.texts.values, unsafe.String(unsafe.SliceData(text), len(text)))
		}
		encoding = e.strings(meta)
		e.forgetTexts()
	default:
		e.numbers.values = append(e.numbers.values[:0], v.Numbers[first:first+values]...)
		encoding = e.integers(v.Kind, meta)
	}
	meta.Encoding[1] = encoding
	if encoding == format.RLEDictionary {
		meta.Encoding = append(meta.Encoding, format.Plain)
	}
	meta.DataPageOffset = int64(len(e.out))
	e.appendPage(meta, e.page, dataPage(meta.NumValues, encoding))
	return values
}
