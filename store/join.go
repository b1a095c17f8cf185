package store

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/minamo-flow/minamo/flow"
)

// input is an open segment and what its footer says.
type input struct {
	file *os.File
	meta *format.FileMetaData
	end  int64 // where its pages end
}

// common returns the schema of a file joined of the inputs: all their columns,
// first those of flow.Schema in its order. ok is false where a column is not
// the same thing in all of them, or not what this version takes it for.
func common(inputs []input) (schema []format.SchemaElement, ok bool) {
	known := elements()
	inMicroseconds := slices.Clone(known) // as earlier versions had times
	for c := range inMicroseconds {
		inMicroseconds[c].ConvertedType = thrift.New(deprecated.TimestampMicros)
		inMicroseconds[c].LogicalType = format.LogicalType{Value: &format.TimestampType{IsAdjustedToUTC: true, Unit: format.TimeUnit{Value: &format.MicroSeconds{}}}}
	}
	var found [flow.MaxColumns]*format.SchemaElement
	var others []format.SchemaElement // of a newer version, or of nobody we know
	for _, in := range inputs {
		if len(in.meta.Schema) == 0 {
			return nil, false
		}
		for _, e := range in.meta.Schema[1:] {
			var same *format.SchemaElement
			if c, is := flow.Lookup(e.Name); is {
				if found[c] == nil {
					if found[c] = &known[c]; flow.Schema[c].Kind == flow.Time && alike(&e, &inMicroseconds[c]) {
						found[c] = &inMicroseconds[c]
					}
				}
				same = found[c]
			} else if i := slices.IndexFunc(others, func(o format.SchemaElement) bool { return o.Name == e.Name }); i >= 0 {
				same = &others[i]
			} else if !e.NumChildren.Valid && e.RepetitionType == thrift.New(format.Optional) {
				others = append(others, e)
				continue
			}
			if same == nil || !alike(&e, same) {
				return nil, false
			}
		}
	}
	schema = append(schema, root(0))
	for _, e := range found {
		if e != nil {
			schema = append(schema, *e)
		}
	}
	schema = append(schema, others...)
	schema[0] = root(len(schema) - 1)
	return schema, true
}

// join writes the row groups of the inputs into one file as they are: no page
// is decoded, only offsets are moved. schema is what is common to them; a
// column that an input lacks gets a page without values.
func join(path string, inputs []input, schema []format.SchemaElement) (err error) {
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	w := bufio.NewWriterSize(out, 1<<20)
	w.WriteString(magic)
	meta := format.FileMetaData{Version: 2, Schema: schema, CreatedBy: "minamo", ColumnOrders: columnOrders(len(schema) - 1)}
	at := int64(len(magic))
	for _, in := range inputs {
		pages := in.end - int64(len(magic))
		if _, err := io.Copy(w, io.NewSectionReader(in.file, int64(len(magic)), pages)); err != nil {
			return err
		}
		move := at - int64(len(magic))
		at += pages
		for _, group := range in.meta.RowGroups {
			shift(&group, move)
			absent := complete(&group, schema, at)
			if _, err := w.Write(absent); err != nil {
				return err
			}
			at += int64(len(absent))
			group.Ordinal = int16(len(meta.RowGroups))
			meta.RowGroups = append(meta.RowGroups, group)
		}
		meta.NumRows += in.meta.NumRows
	}
	if _, err := w.Write(appendFooter(nil, &meta)); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return out.Sync()
}

// complete brings the columns of a row group into the order of the schema. It
// returns the pages of those that are missing, which will stand at an offset.
func complete(group *format.RowGroup, schema []format.SchemaElement, at int64) (pages []byte) {
	there := make(map[string]format.ColumnChunk, len(group.Columns))
	for _, chunk := range group.Columns {
		there[strings.Join(chunk.MetaData.PathInSchema, ".")] = chunk
	}
	group.Columns = make([]format.ColumnChunk, len(schema)-1)
	e := encoder{zstd: absentPages()}
	for i := range group.Columns {
		name := schema[1+i].Name
		if chunk, ok := there[name]; ok {
			group.Columns[i] = chunk
			continue
		}
		meta := &group.Columns[i].MetaData
		*meta = format.ColumnMetaData{
			Type:           schema[1+i].Type.V,
			Encoding:       []format.Encoding{format.RLE, format.Plain},
			PathInSchema:   []string{name},
			Codec:          format.Zstd, // as elsewhere in the file: some readers take it that a column has one
			NumValues:      group.NumRows,
			DataPageOffset: at + int64(len(e.out)),
			Statistics:     format.Statistics{NullCount: group.NumRows},
		}
		run := append(binary.AppendUvarint(nil, uint64(group.NumRows)<<1), 0)
		page := append(binary.LittleEndian.AppendUint32(nil, uint32(len(run))), run...)
		e.appendPage(meta, page, dataPage(group.NumRows, format.Plain))
		group.TotalByteSize += meta.TotalUncompressedSize
		group.TotalCompressedSize += meta.TotalCompressedSize
	}
	return e.out
}

// absentPages compresses pages without values; it is safe for concurrent use.
var absentPages = sync.OnceValue(func() *zstd.Encoder { return newEncoder().zstd })

// shift moves the absolute offsets of a row group. Page indexes hold more of
// them: they are not carried over (neither we nor DuckDB write them).
func shift(group *format.RowGroup, by int64) {
	move := func(offset *int64) {
		if *offset != 0 {
			*offset += by
		}
	}
	move(&group.FileOffset)
	for i := range group.Columns {
		c := &group.Columns[i]
		c.OffsetIndexOffset, c.OffsetIndexLength, c.ColumnIndexOffset, c.ColumnIndexLength = 0, 0, 0, 0
		move(&c.FileOffset)
		move(&c.MetaData.DataPageOffset)
		move(&c.MetaData.IndexPageOffset)
		move(&c.MetaData.DictionaryPageOffset)
		move(&c.MetaData.BloomFilterOffset)
	}
}

// verify checks the checksums of all indexes, and of all pages that have one.
func (in *input) verify() error {
	var buffer []byte
	for g := range in.meta.RowGroups {
		if _, _, err := readIndex(in.file, in.end, &in.meta.RowGroups[g]); err != nil {
			return fmt.Errorf("%s: %w", in.file.Name(), err)
		}
		for i := range in.meta.RowGroups[g].Columns {
			c := &in.meta.RowGroups[g].Columns[i].MetaData
			from := c.DataPageOffset
			if c.DictionaryPageOffset > 0 {
				from = min(from, c.DictionaryPageOffset)
			}
			if from < int64(len(magic)) || c.TotalCompressedSize < 0 || c.TotalCompressedSize > in.end-from {
				return fmt.Errorf("%s: column %v points outside the file", in.file.Name(), c.PathInSchema)
			}
			if int64(cap(buffer)) < c.TotalCompressedSize {
				buffer = make([]byte, c.TotalCompressedSize)
			}
			chunk := buffer[:c.TotalCompressedSize]
			if _, err := in.file.ReadAt(chunk, from); err != nil {
				return err
			}
			if err := verifyPages(chunk); err != nil {
				return fmt.Errorf("%s: column %v: %w", in.file.Name(), c.PathInSchema, err)
			}
		}
	}
	return nil
}

// verifyPages walks the pages of a column chunk.
func verifyPages(chunk []byte) error {
	for len(chunk) > 0 {
		var header format.PageHeader
		r := &reader{data: chunk}
		if err := thrift.NewDecoder(compact.NewReader(r)).Decode(&header); err != nil {
			return fmt.Errorf("page header: %w", err)
		}
		chunk = chunk[r.at:]
		size := int(header.CompressedPageSize)
		if size < 0 || size > len(chunk) {
			return errors.New("a page is longer than its column")
		}
		if header.CRC != 0 && uint32(header.CRC) != crc32.ChecksumIEEE(chunk[:size]) {
			return errors.New("a page's checksum is wrong")
		}
		chunk = chunk[size:]
	}
	return nil
}

// reader counts what the decoder of a page header takes: being an
// io.ByteReader, it is not read ahead of.
type reader struct {
	data []byte
	at   int
}

func (r *reader) Read(p []byte) (int, error) {
	if r.at == len(r.data) {
		return 0, io.EOF
	}
	n := copy(p, r.data[r.at:])
	r.at += n
	return n, nil
}

func (r *reader) ReadByte() (byte, error) {
	if r.at == len(r.data) {
		return 0, io.EOF
	}
	r.at++
	return r.data[r.at-1], nil
}
