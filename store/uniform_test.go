package store

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/minamo-flow/minamo/flow"
)

// TestFilesJoinedBefore reads a file as earlier versions joined them: a column
// that one part lacks is an uncompressed page there, a compressed one elsewhere.
func TestFilesJoinedBefore(t *testing.T) {
	random := seeded()
	first, second := flow.NewBatch(1), flow.NewBatch(1)
	generate(first, 300, noon, random)
	scatter(second, 200, noon, random)
	var want []byte
	out := []byte(magic)
	var inputs []input
	for _, b := range []*flow.Batch{first, second} {
		for i := range b.Len() {
			want = append(b.AppendJSON(want, i), '\n')
		}
		data := newEncoder().encode(b)
		end := len(data) - 8 - int(binary.LittleEndian.Uint32(data[len(data)-8:]))
		meta := &format.FileMetaData{}
		if err := thrift.Unmarshal(compact, data[end:len(data)-8], meta); err != nil {
			t.Fatal(err)
		}
		for g := range meta.RowGroups {
			shift(&meta.RowGroups[g], int64(len(out)-len(magic)))
		}
		out = append(out, data[len(magic):end]...)
		inputs = append(inputs, input{meta: meta})
	}
	schema, ok := common(inputs)
	if !ok {
		t.Fatal("the parts have nothing in common")
	}
	joined := format.FileMetaData{Version: 2, Schema: schema, CreatedBy: "minamo", ColumnOrders: columnOrders(len(schema) - 1)}
	lacking := 0
	for _, in := range inputs {
		group := in.meta.RowGroups[0]
		there := map[string]format.ColumnChunk{}
		for _, c := range group.Columns {
			there[c.MetaData.PathInSchema[0]] = c
		}
		group.Columns = nil
		for _, e := range schema[1:] {
			chunk, ok := there[e.Name]
			if !ok {
				lacking++
				page := append(binary.LittleEndian.AppendUint32(nil, 3), append(binary.AppendUvarint(nil, uint64(group.NumRows)<<1), 0)...)
				plain := encoder{}
				chunk.MetaData = format.ColumnMetaData{Type: e.Type.V, Encoding: []format.Encoding{format.RLE, format.Plain}, PathInSchema: []string{e.Name},
					Codec: format.Uncompressed, NumValues: group.NumRows, DataPageOffset: int64(len(out)), Statistics: format.Statistics{NullCount: group.NumRows}}
				plain.appendPage(&chunk.MetaData, page, dataPage(group.NumRows, format.Plain))
				out = append(out, plain.out...)
			}
			group.Columns = append(group.Columns, chunk)
		}
		joined.RowGroups = append(joined.RowGroups, group)
		joined.NumRows += group.NumRows
	}
	if lacking == 0 {
		t.Fatal("no part lacks a column")
	}
	path := filepath.Join(t.TempDir(), "joined.parquet")
	if err := os.WriteFile(path, appendFooter(out, &joined), 0o644); err != nil {
		t.Fatal(err)
	}
	if rows, err := CheckImport(path, false); rows != 500 || err != nil {
		t.Fatalf("%d rows, %v", rows, err)
	}
	if got := valuesOf(t, path); !bytes.Equal(got, want) {
		t.Error("flows differ")
	}
}
