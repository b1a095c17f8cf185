package store

import (
	"encoding/binary"
	"hash/crc32"
	"hash/maphash"
	"math/bits"
	"unsafe"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/encoding/delta"
	"github.com/parquet-go/parquet-go/encoding/rle"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/minamo-flow/minamo/flow"
)

// encoder turns batches into Parquet files of one row group: a page of values
// a column, where rows are sorted several, preceded by a dictionary where few
// values repeat. It writes the pages itself, straight from the batch's vectors: there is no row, no boxed
// value and no reflection on the way, which makes it several times cheaper
// than a general writer. It keeps its buffers from file to file, and is not
// safe for concurrent use.
type encoder struct {
	zstd *zstd.Encoder
	out  []byte // the file

	numbers index[uint64]
	addrs   index[flow.Addr]
	texts   index[string] // in the batch's memory: not to be kept

	seed maphash.Seed

	sorts   bool    // big batches
	order   []int32 // of the rows; nil is as they came
	indexed bool    // the row group gets an index, and small pages
	index   indexer

	levels []uint8 // 1 where a row has a value; nothing where all have
	plain  []byte  // the values of a column, or those of its dictionary
	width  int     // of an index into that, bits
	page   []byte  // a page before compression
	packed []byte  // and after
	part   []byte  // what the encodings append to
	int64s []int64
}

func newEncoder() *encoder {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20), zstd.WithEncoderCRC(false))
	if err != nil {
		panic("store: " + err.Error()) // the options are wrong
	}
	return &encoder{zstd: z, seed: maphash.MakeSeed()}
}

// encode returns b as a Parquet file, valid until the next call.
func (e *encoder) encode(b *flow.Batch) []byte {
	e.out = append(e.out[:0], magic...)
	e.order = nil
	if e.sorts && b.Len() >= bigGroup { // no merge will do it
		e.order = storageOrder(b.Len(), b.Addr)
	}
	e.beginIndex(b.Len(), e.order != nil)
	some, all := flow.Mask{}, flow.Mask{^uint64(0), ^uint64(0)}
	for i := range b.Present {
		m := &b.Present[i]
		some[0], some[1] = some[0]|m[0], some[1]|m[1]
		all[0], all[1] = all[0]&m[0], all[1]&m[1]
	}
	// Of a column that no row has, not even the name is written: in segments
	// of a second at low rates, that would take more room than the flows.
	columns := some.Columns()
	known := elements()
	schema := append(make([]format.SchemaElement, 0, 1+len(columns)), root(len(columns)))
	group := format.RowGroup{NumRows: int64(b.Len()), Columns: make([]format.ColumnChunk, len(columns))}
	for i, c := range columns {
		schema = append(schema, known[c])
		chunk := &group.Columns[i].MetaData
		e.column(b, c, all.Has(c), chunk)
		group.TotalByteSize += chunk.TotalUncompressedSize
		group.TotalCompressedSize += chunk.TotalCompressedSize
	}
	group.FileOffset = int64(len(magic))
	e.endIndex(&group)
	e.out = appendFooter(e.out, &format.FileMetaData{
		Version:      2,
		Schema:       schema,
		NumRows:      group.NumRows,
		RowGroups:    []format.RowGroup{group},
		CreatedBy:    "minamo",
		ColumnOrders: columnOrders(len(columns)),
	})
	return e.out
}

// column appends the pages of column c, which some rows have or all, and
// describes them in meta.
func (e *encoder) column(b *flow.Batch, c flow.Column, all bool, meta *format.ColumnMetaData) {
	e.levels = e.levels[:0]
	if !all {
		e.gatherLevels(b, c)
	}
	switch flow.Schema[c].Kind {
	case flow.Text:
		e.gatherTexts(b, c)
	case flow.Address:
		e.addrs.values = gather(e.addrs.values[:0], b.Addr(c), b.Present, e.order, c, all, func(a flow.Addr) flow.Addr { return a })
	default:
		e.gatherNumbers(b, c, all)
	}
	e.pages(c.String(), flow.Schema[c].Kind, b.Len(), meta)
}

// pages appends the pages of a column of which the values and levels are
// gathered, and describes them in meta.
func (e *encoder) pages(name string, kind flow.Kind, rows int, meta *format.ColumnMetaData) {
	*meta = format.ColumnMetaData{
		Type:         physical[kind].Type.V,
		PathInSchema: []string{name},
		NumValues:    int64(rows),
		Codec:        format.Zstd,
	}
	values, size := rows, 4 // of the values in e.plain
	for _, level := range e.levels {
		values -= int(1 - level)
	}
	meta.Statistics.NullCount = int64(rows - values)
	encoding, indexes := format.Plain, []int32(nil)
	switch {
	case values == 0:
	case kind == flow.Text:
		encoding, size = e.strings(meta), 0
		indexes = e.texts.indexes
		e.forgetTexts()
	case kind == flow.Address:
		encoding, size = e.addresses(meta), 16
		indexes = e.addrs.indexes
		if e.indexed && (name == flow.SrcAddr.String() || name == flow.DstAddr.String()) {
			e.index.add(e.addrs.values, e.levels, 0)
		}
	default:
		encoding = e.integers(kind, meta)
		indexes = e.numbers.indexes
		if meta.Type == format.Int64 {
			size = 8
		}
	}
	meta.Encoding = []format.Encoding{format.RLE, encoding}
	if encoding == format.RLEDictionary {
		meta.Encoding = append(meta.Encoding, format.Plain)
	}
	meta.DataPageOffset = int64(len(e.out))

	// fill makes e.page a page of n rows and returns how many values it has.
	fill := func(row, n, value int) (count int) {
		if len(e.levels) == 0 {
			count = n
			e.part = append(binary.AppendUvarint(e.part[:0], uint64(n)<<1), 1)
		} else {
			for _, level := range e.levels[row : row+n] {
				count += int(level)
			}
			e.part, _ = (&rle.Encoding{BitWidth: 1}).EncodeLevels(e.part[:0], e.levels[row:row+n])
		}
		e.page = append(binary.LittleEndian.AppendUint32(e.page[:0], uint32(len(e.part))), e.part...)
		switch {
		case values == 0:
		case encoding == format.RLEDictionary:
			e.part, _ = (&rle.Encoding{BitWidth: e.width}).EncodeInt32(e.part[:0], indexes[value:value+count])
			e.page = append(append(e.page, byte(e.width)), e.part...)
		case encoding == format.DeltaBinaryPacked:
			e.part, _ = (&delta.BinaryPackedEncoding{}).EncodeInt64(e.part[:0], e.int64s[value:value+count])
			e.page = append(e.page, e.part...)
		case size == 0:
			e.page = append(e.page, e.plain...)
		default:
			e.page = append(e.page, e.plain[value*size:(value+count)*size]...)
		}
		return count
	}
	most := rows
	if e.indexed && (size > 0 || encoding == format.RLEDictionary) {
		most = e.index.blockRows
	}
	e.index.column(meta.DataPageOffset)
	for row, value := 0, 0; row < rows; {
		n := min(most, rows-row)
		count := fill(row, n, value)
		for len(e.page) < smallPage && row+n < rows {
			n = min(2*n, rows-row)
			count = fill(row, n, value)
		}
		before := len(e.out)
		e.appendPage(meta, e.page, dataPage(int64(n), encoding))
		e.index.page(n, len(e.out)-before)
		row, value = row+n, value+count
	}
}

func dataPage(rows int64, encoding format.Encoding) format.PageHeader {
	return format.PageHeader{
		Type: format.DataPage,
		DataPageHeader: thrift.New(format.DataPageHeader{
			NumValues:               int32(rows),
			Encoding:                encoding,
			DefinitionLevelEncoding: format.RLE,
			RepetitionLevelEncoding: format.RLE,
		}),
	}
}

// gatherLevels tells which rows have a value.
func (e *encoder) gatherLevels(b *flow.Batch, c flow.Column) {
	word, shift := c>>6, c&63
	if e.order == nil {
		for i := range b.Present {
			e.levels = append(e.levels, uint8(b.Present[i][word]>>shift)&1)
		}
	}
	for _, i := range e.order {
		e.levels = append(e.levels, uint8(b.Present[i][word]>>shift)&1)
	}
}

// gatherNumbers collects the present values of a column of numbers.
func (e *encoder) gatherNumbers(b *flow.Batch, c flow.Column, all bool) {
	v := e.numbers.values[:0]
	switch flow.Schema[c].Kind {
	case flow.Uint8:
		v = gather(v, b.U8(c), b.Present, e.order, c, all, widen[uint8])
	case flow.Uint16:
		v = gather(v, b.U16(c), b.Present, e.order, c, all, widen[uint16])
	case flow.Uint32:
		v = gather(v, b.U32(c), b.Present, e.order, c, all, widen[uint32])
	case flow.Time:
		v = gather(v, b.Time(c), b.Present, e.order, c, all, func(ms int64) uint64 { return uint64(ms) })
	default:
		v = gather(v, b.U64(c), b.Present, e.order, c, all, widen[uint64])
	}
	e.numbers.values = v
}

func widen[T uint8 | uint16 | uint32 | uint64](v T) uint64 { return uint64(v) }

func gather[V, S any](dst []V, src []S, present []flow.Mask, order []int32, c flow.Column, all bool, convert func(S) V) []V {
	if all && order == nil {
		for _, v := range src {
			dst = append(dst, convert(v))
		}
		return dst
	}
	word, shift := c>>6, c&63
	if order == nil {
		for i, v := range src {
			if present[i][word]>>shift&1 != 0 {
				dst = append(dst, convert(v))
			}
		}
		return dst
	}
	for _, i := range order {
		if all || present[i][word]>>shift&1 != 0 {
			dst = append(dst, convert(src[i]))
		}
	}
	return dst
}

// addresses puts the gathered addresses into e.plain, through a dictionary where
// half of them repeat; where there is an index, to which a dictionary would be a
// large page to unpack for one flow, only where nearly all do.
func (e *encoder) addresses(meta *format.ColumnMetaData) format.Encoding {
	values := e.addrs.values
	limit := len(values)/2 + 1
	if e.indexed {
		limit = len(values)/16 + 1
	}
	dictionary := e.addrs.build(limit, hashAddr)
	if dictionary {
		values = e.addrs.distinct
	}
	least, most := values[0], values[0]
	e.plain = e.plain[:0]
	for i := range values {
		v := &values[i]
		if lessAddr(v, &least) {
			least = *v
		} else if lessAddr(&most, v) {
			most = *v
		}
		e.plain = append(e.plain, v[:]...)
	}
	meta.Statistics.MinValue, meta.Statistics.MaxValue = least[:], most[:]
	return e.finish(meta, dictionary, len(values))
}

func lessAddr(a, b *flow.Addr) bool {
	ha, hb := binary.BigEndian.Uint64(a[:]), binary.BigEndian.Uint64(b[:])
	if ha != hb {
		return ha < hb
	}
	return binary.BigEndian.Uint64(a[8:]) < binary.BigEndian.Uint64(b[8:])
}

// gatherTexts collects the present values of a column of texts, as strings in
// the batch's memory: to copy them would cost more than to encode them.
func (e *encoder) gatherTexts(b *flow.Batch, c flow.Column) {
	e.texts.values = e.texts.values[:0]
	take := func(i int) {
		if b.Present[i].Has(c) {
			text := b.Text(c, i)
			e.texts.values = append(e.texts.values, unsafe.String(unsafe.SliceData(text), len(text)))
		}
	}
	if e.order == nil {
		for i := range b.Present {
			take(i)
		}
	}
	for _, i := range e.order {
		take(int(i))
	}
}

// forgetTexts lets go of memory that is not the encoder's.
func (e *encoder) forgetTexts() {
	clear(e.texts.values)
	clear(e.texts.distinct)
	e.texts.values = e.texts.values[:0]
}

// strings puts the gathered texts into e.plain, through a dictionary where
// half of them repeat.
func (e *encoder) strings(meta *format.ColumnMetaData) format.Encoding {
	values := e.texts.values
	dictionary := e.texts.build(len(values)/2+1, func(s string) uint64 { return maphash.String(e.seed, s) })
	if dictionary {
		values = e.texts.distinct
	}
	least, most := values[0], values[0]
	e.plain = e.plain[:0]
	for _, v := range values {
		least, most = min(least, v), max(most, v)
		e.plain = append(binary.LittleEndian.AppendUint32(e.plain, uint32(len(v))), v...)
	}
	if len(least) <= longBound && len(most) <= longBound {
		meta.Statistics.MinValue, meta.Statistics.MaxValue = []byte(least), []byte(most)
	}
	return e.finish(meta, dictionary, len(values))
}

// Texts longer than this are not worth their place in a footer.
const longBound = 64

// integers puts the gathered numbers into e.plain: through a dictionary
// where few values repeat; else times into e.int64s, for their differences, numbers as they are,
// whose many small values zstd squeezes better than any packing of bits (ports:
// 1.9 bytes, where a dictionary takes 2.8 and differences 2.2).
func (e *encoder) integers(kind flow.Kind, meta *format.ColumnMetaData) format.Encoding {
	values := e.numbers.values
	limit := len(values)/16 + 1
	if kind == flow.Time {
		limit = len(values)/4 + 1
	}
	dictionary := e.numbers.build(limit, hashUint)
	if dictionary {
		values = e.numbers.distinct
	}
	// Unsigned numbers keep their order under signed comparison with the top bit flipped.
	var flip uint64
	if kind == flow.Time {
		flip = 1 << 63
	}
	least, most := values[0]^flip, values[0]^flip
	for _, v := range values {
		least, most = min(least, v^flip), max(most, v^flip)
	}
	wide := meta.Type == format.Int64
	meta.Statistics.MinValue = appendInt(nil, least^flip, wide)
	meta.Statistics.MaxValue = appendInt(nil, most^flip, wide)

	if kind == flow.Time && !dictionary {
		e.int64s = e.int64s[:0]
		for _, v := range values {
			e.int64s = append(e.int64s, int64(v))
		}
		return format.DeltaBinaryPacked
	}
	e.plain = e.plain[:0]
	if wide {
		for _, v := range values {
			e.plain = binary.LittleEndian.AppendUint64(e.plain, v)
		}
	} else {
		for _, v := range values {
			e.plain = binary.LittleEndian.AppendUint32(e.plain, uint32(v))
		}
	}
	return e.finish(meta, dictionary, len(values))
}

func appendInt(dst []byte, v uint64, wide bool) []byte {
	if wide {
		return binary.LittleEndian.AppendUint64(dst, v)
	}
	return binary.LittleEndian.AppendUint32(dst, uint32(v))
}

// finish appends the dictionary page, of n values, where there is one.
func (e *encoder) finish(meta *format.ColumnMetaData, dictionary bool, n int) format.Encoding {
	if !dictionary {
		return format.Plain
	}
	meta.DictionaryPageOffset = int64(len(e.out))
	e.appendPage(meta, e.plain, format.PageHeader{
		Type:                 format.DictionaryPage,
		DictionaryPageHeader: thrift.New(format.DictionaryPageHeader{NumValues: int32(n), Encoding: format.Plain}),
	})
	e.width = bits.Len(uint(n - 1))
	return format.RLEDictionary
}

// appendPage compresses a page, with its checksum, onto the file.
func (e *encoder) appendPage(meta *format.ColumnMetaData, page []byte, header format.PageHeader) {
	packed := page
	if meta.Codec == format.Zstd {
		e.packed = e.zstd.EncodeAll(page, e.packed[:0])
		packed = e.packed
	}
	header.UncompressedPageSize = int32(len(page))
	header.CompressedPageSize = int32(len(packed))
	header.CRC = int32(crc32.ChecksumIEEE(packed))
	head := marshal(&header)
	e.out = append(append(e.out, head...), packed...)
	meta.TotalUncompressedSize += int64(len(head) + len(page))
	meta.TotalCompressedSize += int64(len(head) + len(packed))
}

// index finds the distinct values of a column and numbers them in the order
// of their first appearance.
type index[T comparable] struct {
	values   []T
	distinct []T
	indexes  []int32 // of values in distinct
	table    []int32 // open addressing: index in distinct plus one, 0 is free
}

// build fills distinct and indexes, or gives up when there are more than limit.
func (x *index[T]) build(limit int, hash func(T) uint64) bool {
	x.distinct, x.indexes = x.distinct[:0], x.indexes[:0]
	size := 1 << bits.Len(uint(2*limit))
	if cap(x.table) < size {
		x.table = make([]int32, size)
	}
	table := x.table[:size]
	clear(table)
	shift := 64 - bits.Len(uint(size-1))
	var last T
	current := int32(-1)
	for _, v := range x.values {
		if v == last && current >= 0 { // the records of a datagram have much in common
			x.indexes = append(x.indexes, current)
			continue
		}
		slot := hash(v) >> shift
		for {
			if current = table[slot] - 1; current < 0 {
				if len(x.distinct) == limit {
					return false
				}
				current = int32(len(x.distinct))
				x.distinct = append(x.distinct, v)
				table[slot] = current + 1
				break
			}
			if x.distinct[current] == v {
				break
			}
			slot = (slot + 1) & uint64(size-1)
		}
		last = v
		x.indexes = append(x.indexes, current)
	}
	return true
}

// The hashes spread over the top bits. Who can forge flows can make them
// collide; it costs him more to send them than us to probe a table of at most
// a batch, and it changes nothing in the result.
func hashUint(v uint64) uint64 { return v * 0x9e3779b97f4a7c15 }

func hashAddr(a flow.Addr) uint64 {
	h := binary.LittleEndian.Uint64(a[:8])*0xff51afd7ed558ccd ^ binary.LittleEndian.Uint64(a[8:])
	h ^= h >> 32
	return h * 0x9e3779b97f4a7c15
}
