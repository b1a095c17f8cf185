package store

import (
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/parquet-go/parquet-go/format"
)

// uniform returns a file, and its size, as parquet-go can read it: it takes it
// that all pages of a column are compressed alike. That is not so in files
// which earlier versions joined of others, one of which lacked a column: its
// rows there are a page without values, uncompressed. Such pages are replaced
// by compressed ones behind the file's end, and the footer by one that names them.
func uniform(f *os.File) (io.ReaderAt, int64, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	meta, end, err := readFooter(f)
	if err != nil {
		return nil, 0, err
	}
	codecs := map[string]format.CompressionCodec{} // of the columns' values
	empty := func(c *format.ColumnMetaData) bool {
		return c.Codec == format.Uncompressed && c.NumValues > 0 && c.Statistics.NullCount == c.NumValues && len(c.PathInSchema) == 1
	}
	found := false
	for g := range meta.RowGroups {
		for i := range meta.RowGroups[g].Columns {
			c := &meta.RowGroups[g].Columns[i].MetaData
			if empty(c) {
				found = true
				continue
			}
			name := fmt.Sprint(c.PathInSchema)
			if codec, known := codecs[name]; known && codec != c.Codec {
				return nil, 0, fmt.Errorf("%s: column %v is compressed by %v here and by %v there, which is not understood", f.Name(), c.PathInSchema, codec, c.Codec)
			}
			codecs[name] = c.Codec
		}
	}
	if !found {
		return f, info.Size(), nil
	}
	var tail []byte
	for g := range meta.RowGroups {
		group := &meta.RowGroups[g]
		group.Columns = slices.DeleteFunc(group.Columns, func(c format.ColumnChunk) bool {
			return empty(&c.MetaData) && codecs[fmt.Sprint(c.MetaData.PathInSchema)] == format.Zstd
		})
		tail = append(tail, complete(group, meta.Schema, end+int64(len(tail)))...)
	}
	tail = appendFooter(tail, meta)
	return &extended{f, end, tail}, end + int64(len(tail)), nil
}

// extended is a file up to an offset, and then something else.
type extended struct {
	file *os.File
	end  int64
	tail []byte
}

func (x *extended) ReadAt(p []byte, at int64) (n int, err error) {
	if at < x.end {
		if n, err = x.file.ReadAt(p[:min(int64(len(p)), x.end-at)], at); err != nil || n == len(p) {
			return n, err
		}
	}
	from := at + int64(n) - x.end
	if from > int64(len(x.tail)) {
		return n, io.EOF
	}
	n += copy(p[n:], x.tail[from:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
