package server

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"github.com/minamo-flow/minamo/flow"
)

// table is an answer in rows and columns, as spreadsheets and data frames
// want it. Its rows are made while they are written, so that their number is
// not bound by memory.
type table struct {
	name    string // of the file, without its ending
	columns []column
	rows    func(yield func([]any) error) error // each is valid until yield returns
}

type column struct {
	name string
	kind kind
}

// kind is what the values of a column are. Every value may also be nil.
type kind int

const (
	text     kind = iota // string
	unsigned             // uint64
	signed               // int64
	real                 // float64
	truth                // bool
	instant              // time.Time, to the microsecond
	address              // flow.Addr
	octet                // uint64, of 8, 16 and 32 bits
	short
	word
)

// encoding is a form in which a table can be had.
type encoding struct {
	name, mime, ending string
	sink               func(io.Writer, []column) (sink, error)
}

// encodings are these forms; JSON is no table, and apart.
var encodings = []encoding{
	{"csv", "text/csv", ".csv", newCSVSink},
	{"parquet", "application/vnd.apache.parquet", ".parquet", newParquetSink},
	{"arrow", "application/vnd.apache.arrow.stream", ".arrows", newArrowSink},
}

// sink writes the rows of a table.
type sink interface {
	row([]any) error
	close() error
}

// write makes the whole of it.
func (e encoding) write(w io.Writer, t *table) error {
	s, err := e.sink(w, t.columns)
	if err != nil {
		return err
	}
	if err := t.rows(s.row); err != nil {
		return err
	}
	return s.close()
}

// csvSink writes RFC 4180, a line of names first. What is absent is empty.
type csvSink struct {
	w     *csv.Writer
	words []string
}

func newCSVSink(w io.Writer, columns []column) (sink, error) {
	s := &csvSink{w: csv.NewWriter(w), words: make([]string, len(columns))}
	for i, c := range columns {
		s.words[i] = c.name
	}
	return s, s.w.Write(s.words)
}

func (s *csvSink) row(values []any) error {
	for i, v := range values {
		switch v := v.(type) {
		case nil:
			s.words[i] = ""
		case string:
			s.words[i] = v
		case uint64:
			s.words[i] = strconv.FormatUint(v, 10)
		case int64:
			s.words[i] = strconv.FormatInt(v, 10)
		case float64:
			s.words[i] = strconv.FormatFloat(v, 'f', -1, 64)
		case time.Time:
			s.words[i] = v.UTC().Format("2006-01-02T15:04:05.999999Z07:00")
		default:
			s.words[i] = fmt.Sprint(v)
		}
	}
	return s.w.Write(s.words)
}

func (s *csvSink) close() error {
	s.w.Flush()
	return s.w.Error()
}

// parquetSink writes a Parquet file. It holds rowsPerGroup rows at most.
type parquetSink struct {
	w       *parquet.Writer
	narrow  []bool // columns whose numbers Parquet keeps in 32 bits
	rows    []parquet.Row
	waiting int // of rows: those that are not written yet
	held    int // in the group
}

const (
	rowsPerGroup = 100_000
	rowsAtOnce   = 256
)

// columnsNode is a group whose columns keep their order; parquet.Group sorts them.
type columnsNode struct {
	parquet.Group
	fields []parquet.Field
}

func (n columnsNode) Fields() []parquet.Field { return n.fields }

var parquetNodes = map[kind]func() parquet.Node{
	text:     parquet.String,
	unsigned: func() parquet.Node { return parquet.Uint(64) },
	octet:    func() parquet.Node { return parquet.Uint(8) },
	short:    func() parquet.Node { return parquet.Uint(16) },
	word:     func() parquet.Node { return parquet.Uint(32) },
	signed:   func() parquet.Node { return parquet.Int(64) },
	real:     func() parquet.Node { return parquet.Leaf(parquet.DoubleType) },
	truth:    func() parquet.Node { return parquet.Leaf(parquet.BooleanType) },
	instant:  func() parquet.Node { return parquet.Timestamp(parquet.Microsecond) },
	address:  parquet.UUID,
}

func newParquetSink(w io.Writer, columns []column) (sink, error) {
	group := parquet.Group{}
	for _, c := range columns {
		group[c.name] = parquet.Optional(parquetNodes[c.kind]())
	}
	byName := map[string]parquet.Field{}
	for _, f := range group.Fields() {
		byName[f.Name()] = f
	}
	s := &parquetSink{rows: make([]parquet.Row, rowsAtOnce)}
	fields := make([]parquet.Field, len(columns))
	for i, c := range columns {
		fields[i] = byName[c.name]
		s.narrow = append(s.narrow, fields[i].Type().Kind() == parquet.Int32)
	}
	s.w = parquet.NewWriter(w, parquet.NewSchema("minamo", columnsNode{group, fields}), parquet.Compression(&zstd.Codec{}))
	return s, nil
}

func (s *parquetSink) row(values []any) error {
	row := s.rows[s.waiting][:0]
	for i, v := range values {
		var p parquet.Value
		switch v := v.(type) {
		case nil:
			row = append(row, parquet.NullValue().Level(0, 0, i))
			continue
		case string:
			p = parquet.ByteArrayValue([]byte(v))
		case uint64:
			if s.narrow[i] {
				p = parquet.Int32Value(int32(uint32(v)))
			} else {
				p = parquet.Int64Value(int64(v))
			}
		case int64:
			p = parquet.Int64Value(v)
		case float64:
			p = parquet.DoubleValue(v)
		case bool:
			p = parquet.BooleanValue(v)
		case time.Time:
			p = parquet.Int64Value(v.UnixMicro())
		case flow.Addr:
			p = parquet.FixedLenByteArrayValue(v[:])
		default:
			return fmt.Errorf("a %T in Parquet", v)
		}
		row = append(row, p.Level(0, 1, i))
	}
	s.rows[s.waiting] = row
	if s.waiting++; s.waiting == rowsAtOnce {
		return s.write()
	}
	return nil
}

// write hands on the rows that wait.
func (s *parquetSink) write() error {
	if _, err := s.w.WriteRows(s.rows[:s.waiting]); err != nil {
		return err
	}
	s.held += s.waiting
	s.waiting = 0
	if s.held < rowsPerGroup {
		return nil
	}
	s.held = 0
	return s.w.Flush()
}

func (s *parquetSink) close() error {
	if err := s.write(); err != nil {
		return err
	}
	return s.w.Close()
}

// arrowSink writes Arrow's streaming format.
type arrowSink struct {
	w       *ipc.Writer
	builder *array.RecordBuilder
	held    int
}

const rowsPerRecord = 4096

var arrowTypes = map[kind]arrow.DataType{
	text:     arrow.BinaryTypes.String,
	address:  arrow.BinaryTypes.String,
	unsigned: arrow.PrimitiveTypes.Uint64,
	octet:    arrow.PrimitiveTypes.Uint64,
	short:    arrow.PrimitiveTypes.Uint64,
	word:     arrow.PrimitiveTypes.Uint64,
	signed:   arrow.PrimitiveTypes.Int64,
	real:     arrow.PrimitiveTypes.Float64,
	truth:    arrow.FixedWidthTypes.Boolean,
	instant:  arrow.FixedWidthTypes.Timestamp_us,
}

func newArrowSink(w io.Writer, columns []column) (sink, error) {
	fields := make([]arrow.Field, len(columns))
	for i, c := range columns {
		fields[i] = arrow.Field{Name: c.name, Type: arrowTypes[c.kind], Nullable: true}
	}
	schema := arrow.NewSchema(fields, nil)
	return &arrowSink{
		w:       ipc.NewWriter(w, ipc.WithSchema(schema)),
		builder: array.NewRecordBuilder(memory.DefaultAllocator, schema),
	}, nil
}

func (s *arrowSink) row(values []any) error {
	for i, v := range values {
		b := s.builder.Field(i)
		switch v := v.(type) {
		case nil:
			b.AppendNull()
		case string:
			b.(*array.StringBuilder).Append(v)
		case flow.Addr:
			b.(*array.StringBuilder).Append(v.String())
		case uint64:
			b.(*array.Uint64Builder).Append(v)
		case int64:
			b.(*array.Int64Builder).Append(v)
		case float64:
			b.(*array.Float64Builder).Append(v)
		case bool:
			b.(*array.BooleanBuilder).Append(v)
		case time.Time:
			b.(*array.TimestampBuilder).Append(arrow.Timestamp(v.UnixMicro()))
		default:
			return fmt.Errorf("a %T in Arrow", v)
		}
	}
	if s.held++; s.held == rowsPerRecord {
		return s.flush()
	}
	return nil
}

func (s *arrowSink) flush() error {
	s.held = 0
	record := s.builder.NewRecordBatch()
	defer record.Release()
	return s.w.Write(record)
}

func (s *arrowSink) close() error {
	if s.held > 0 {
		if err := s.flush(); err != nil {
			return err
		}
	}
	return s.w.Close()
}
