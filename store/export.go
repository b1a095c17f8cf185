package store

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/minamo-flow/minamo/flow"
)

// Writer writes any number of flows as one Parquet file in the layout of
// segments, a row group at a time, so that it takes bounded memory. The file
// describes the operator's own columns that are in it (DefineColumnsOf). It is
// not safe for concurrent use.
type Writer struct {
	w       io.Writer
	encoder *encoder
	batch   *flow.Batch
	at      int64   // bytes written
	groups  []input // only their footers, moved to where they are
	rows    int64
}

// writerRows is how many rows a row group has: those of a segment's.
const writerRows = 1 << 17

// NewWriter returns a Writer to w. Nothing is complete before Close.
func NewWriter(w io.Writer) *Writer {
	return &Writer{w: w, encoder: newEncoder(), batch: flow.NewBatch(4096)}
}

// Write copies the rows of b, as far as they are present.
func (w *Writer) Write(b *flow.Batch) error {
	for from := 0; from < b.Len(); {
		n := min(b.Len()-from, writerRows-w.batch.Len())
		w.batch.Append(b, from, from+n)
		from += n
		if w.batch.Len() == writerRows {
			if err := w.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// flush writes the rows in memory as a row group: the pages of the file that
// the encoder makes of them.
func (w *Writer) flush() error {
	if w.batch.Len() == 0 {
		return nil
	}
	data := w.encoder.encode(w.batch)
	footer := int(binary.LittleEndian.Uint32(data[len(data)-8:]))
	end := len(data) - 8 - footer
	meta := &format.FileMetaData{}
	if err := thrift.Unmarshal(compact, data[end:len(data)-8], meta); err != nil {
		return err
	}
	if w.at == 0 {
		if err := w.put([]byte(magic)); err != nil {
			return err
		}
	}
	move := w.at - int64(len(magic))
	for g := range meta.RowGroups {
		shift(&meta.RowGroups[g], move)
	}
	if err := w.put(data[len(magic):end]); err != nil {
		return err
	}
	w.groups = append(w.groups, input{meta: meta})
	w.rows += meta.NumRows
	w.batch.Reset()
	return nil
}

func (w *Writer) put(data []byte) error {
	n, err := w.w.Write(data)
	w.at += int64(n)
	return err
}

// Close completes the file. It does not close what is written to.
func (w *Writer) Close() error {
	if err := w.flush(); err != nil {
		return err
	}
	if w.at == 0 { // no flow: all columns without a row
		return w.put(columnsTable())
	}
	schema, ok := common(w.groups)
	if !ok {
		return errors.New("store: row groups of one writer differ") // they are all of one encoder
	}
	meta := format.FileMetaData{
		Version: 2, Schema: schema, NumRows: w.rows, CreatedBy: "minamo", ColumnOrders: columnOrders(len(schema) - 1),
		KeyValueMetadata: describe(schema[1:]),
	}
	for _, in := range w.groups {
		for _, group := range in.meta.RowGroups {
			if err := w.put(complete(&group, schema, w.at)); err != nil {
				return err
			}
			group.Ordinal = int16(min(len(meta.RowGroups), 1<<15-1))
			meta.RowGroups = append(meta.RowGroups, group)
		}
	}
	return w.put(appendFooter(nil, &meta))
}

// describe tells what the operator's own columns among some are.
func describe(elements []format.SchemaElement) []format.KeyValue {
	own := []ownColumn{}
	for _, e := range elements {
		if c, known := flow.Lookup(e.Name); known && c >= flow.NumColumns {
			f := flow.Schema[c]
			own = append(own, ownColumn{f.Name, f.Kind.String(), f.Unit, f.Element, f.Doc, f.Names})
		}
	}
	text, _ := json.Marshal(own) // cannot fail: there are only texts
	return []format.KeyValue{{Key: ownColumns, Value: string(text)}}
}
