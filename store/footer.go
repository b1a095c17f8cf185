package store

import (
	"encoding/binary"
	"fmt"
	"os"

	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/minamo-flow/minamo/flow"
)

var compact = new(thrift.CompactProtocol)

// physical are the Parquet types of the kinds of columns. Every column is
// optional, so that segments of all ages and origins have the same schema and
// can be joined without touching their pages.
var physical = [...]format.SchemaElement{
	flow.Uint8:   unsigned(format.Int32, 8, deprecated.Uint8),
	flow.Uint16:  unsigned(format.Int32, 16, deprecated.Uint16),
	flow.Uint32:  unsigned(format.Int32, 32, deprecated.Uint32),
	flow.Uint64:  unsigned(format.Int64, 64, deprecated.Uint64),
	flow.MAC:     unsigned(format.Int64, 64, deprecated.Uint64),
	flow.Time:    {Type: thrift.New(format.Int64), ConvertedType: thrift.New(deprecated.TimestampMicros), LogicalType: format.LogicalType{Value: &format.TimestampType{IsAdjustedToUTC: true, Unit: format.TimeUnit{Value: &format.MicroSeconds{}}}}},
	flow.Address: {Type: thrift.New(format.FixedLenByteArray), TypeLength: thrift.New[int32](16), LogicalType: format.LogicalType{Value: &format.UUIDType{}}},
}

func unsigned(t format.Type, width int8, converted deprecated.ConvertedType) format.SchemaElement {
	return format.SchemaElement{
		Type:          thrift.New(t),
		ConvertedType: thrift.New(converted),
		LogicalType:   format.LogicalType{Value: &format.IntType{BitWidth: width}},
	}
}

// parquetSchema is flow.Schema as Parquet puts it; the first element is the root.
var parquetSchema = func() []format.SchemaElement {
	schema := []format.SchemaElement{{Name: "flow", NumChildren: thrift.New(int32(flow.Columns()))}}
	for c := range flow.Columns() {
		e := physical[flow.Schema[c].Kind]
		e.Name = c.String()
		e.RepetitionType = thrift.New(format.Optional)
		schema = append(schema, e)
	}
	return schema
}()

// columnOrders makes readers trust the least and greatest values.
var columnOrders = func() []format.ColumnOrder {
	orders := make([]format.ColumnOrder, flow.Columns())
	for i := range orders {
		orders[i].Value = &format.TypeDefinedOrder{}
	}
	return orders
}()

// current tells whether a file's columns are those that this version writes,
// whoever wrote it.
func current(schema []format.SchemaElement) bool {
	if len(schema) != len(parquetSchema) {
		return false
	}
	for i := 1; i < len(schema); i++ {
		a, b := &schema[i], &parquetSchema[i]
		if a.Name != b.Name || a.Type != b.Type || a.TypeLength.V != b.TypeLength.V || a.RepetitionType != b.RepetitionType || a.ConvertedType != b.ConvertedType {
			return false
		}
	}
	return true
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
