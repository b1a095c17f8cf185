package store

import (
	"bufio"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// input is an open segment and what its footer says.
type input struct {
	file *os.File
	meta *format.FileMetaData
	end  int64 // where its pages end
}

// join writes the row groups of the inputs into one file as they are: no page
// is decoded, only checksums are verified and offsets moved. All inputs have
// the current schema.
func join(path string, inputs []input) (err error) {
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	w := bufio.NewWriterSize(out, 1<<20)
	w.WriteString(magic)
	meta := format.FileMetaData{Version: 2, Schema: parquetSchema, CreatedBy: "minamo", ColumnOrders: columnOrders}
	at := int64(len(magic))
	for _, in := range inputs {
		pages := in.end - int64(len(magic))
		if _, err := io.Copy(w, io.NewSectionReader(in.file, int64(len(magic)), pages)); err != nil {
			return err
		}
		move := at - int64(len(magic))
		for _, group := range in.meta.RowGroups {
			shift(&group, move)
			group.Ordinal = int16(len(meta.RowGroups))
			meta.RowGroups = append(meta.RowGroups, group)
		}
		meta.NumRows += in.meta.NumRows
		at += pages
	}
	if _, err := w.Write(appendFooter(nil, &meta)); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return out.Sync()
}

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

// verify checks the checksums of all pages that have one.
func (in *input) verify() error {
	var buffer []byte
	for g := range in.meta.RowGroups {
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
