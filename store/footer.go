package store

import (
	"encoding/binary"
	"fmt"
	"os"
	"slices"

	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/minamo-flow/minamo/flow"
)

var compact = new(thrift.CompactProtocol)

// physical are the Parquet types of the kinds of columns. Every column is
// optional, so that segments of all ages and origins can be joined without
// touching their pages: a column that one of them lacks is absent in its rows.
var physical = [...]format.SchemaElement{
	flow.Uint8:   unsigned(format.Int32, 8, deprecated.Uint8),
	flow.Uint16:  unsigned(format.Int32, 16, deprecated.Uint16),
	flow.Uint32:  unsigned(format.Int32, 32, deprecated.Uint32),
	flow.Uint64:  unsigned(format.Int64, 64, deprecated.Uint64),
	flow.MAC:     unsigned(format.Int64, 64, deprecated.Uint64),
	flow.Time:    {Type: thrift.New(format.Int64), ConvertedType: thrift.New(deprecated.TimestampMillis), LogicalType: format.LogicalType{Value: &format.TimestampType{IsAdjustedToUTC: true, Unit: format.TimeUnit{Value: &format.MilliSeconds{}}}}},
	flow.Address: {Type: thrift.New(format.FixedLenByteArray), TypeLength: thrift.New[int32](16), LogicalType: format.LogicalType{Value: &format.UUIDType{}}},
	flow.Text:    {Type: thrift.New(format.ByteArray), ConvertedType: thrift.New(deprecated.UTF8), LogicalType: format.LogicalType{Value: &format.StringType{}}},
}

func unsigned(t format.Type, width int8, converted deprecated.ConvertedType) format.SchemaElement {
	return format.SchemaElement{
		Type:          thrift.New(t),
		ConvertedType: thrift.New(converted),
		LogicalType:   format.LogicalType{Value: &format.IntType{BitWidth: width}},
	}
}

// elements are the columns of flow.Schema as Parquet puts them.
var elements = flow.Derived(func() []format.SchemaElement {
	list := make([]format.SchemaElement, flow.Columns())
	for c := range flow.Columns() {
		list[c] = physical[flow.Schema[c].Kind]
		list[c].Name = c.String()
		list[c].RepetitionType = thrift.New(format.Optional)
	}
	return list
})

// perMillisecond is how many units of a column of times make a millisecond. Ours
// are milliseconds; those of earlier versions and of DuckDB are microseconds.
func perMillisecond(e *format.SchemaElement) (units int64, ok bool) {
	t, ok := e.LogicalType.Value.(*format.TimestampType)
	switch {
	case ok:
		switch t.Unit.Value.(type) {
		case *format.MilliSeconds:
			return 1, true
		case *format.MicroSeconds:
			return 1000, true
		}
	case e.ConvertedType == thrift.New(deprecated.TimestampMillis):
		return 1, true
	case e.ConvertedType == thrift.New(deprecated.TimestampMicros):
		return 1000, true
	}
	return 0, false
}

// root begins a file's schema of n columns.
func root(n int) format.SchemaElement {
	return format.SchemaElement{Name: "flow", NumChildren: thrift.New(int32(n))}
}

// columnOrders makes readers trust the least and greatest values of n columns.
func columnOrders(n int) []format.ColumnOrder {
	return slices.Repeat([]format.ColumnOrder{{Value: &format.TypeDefinedOrder{}}}, n)
}

// alike tells whether two columns of files have the same name and pages that
// mean the same, whoever wrote them.
func alike(a, b *format.SchemaElement) bool {
	return a.Name == b.Name && a.Type == b.Type && a.TypeLength.V == b.TypeLength.V && a.RepetitionType == b.RepetitionType && a.ConvertedType == b.ConvertedType
}

// readFooter returns what the end of a Parquet file tells about it, and where
// the pages end.
func readFooter(f *os.File) (meta *format.FileMetaData, end int64, err error) {
	size, ok := wholeParquet(f)
	if !ok {
		return nil, 0, fmt.Errorf("%s is torn: it does not end as a Parquet file does", f.Name())
	}
	var length [4]byte
	if _, err := f.ReadAt(length[:], size-8); err != nil {
		return nil, 0, err
	}
	footer := make([]byte, binary.LittleEndian.Uint32(length[:]))
	end = size - 8 - int64(len(footer))
	if _, err := f.ReadAt(footer, end); err != nil {
		return nil, 0, err
	}
	meta = &format.FileMetaData{}
	if err := thrift.Unmarshal(compact, footer, meta); err != nil {
		return nil, 0, fmt.Errorf("footer of %s: %w", f.Name(), err)
	}
	return meta, end, nil
}

// appendFooter ends a Parquet file.
func appendFooter(dst []byte, meta *format.FileMetaData) []byte {
	before := len(dst)
	dst = append(dst, marshal(meta)...)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(dst)-before))
	return append(dst, magic...)
}

// marshal cannot fail: the values are ours, and the buffer is memory.
func marshal(v any) []byte {
	data, err := thrift.Marshal(compact, v)
	if err != nil {
		panic("store: " + err.Error())
	}
	return data
}
