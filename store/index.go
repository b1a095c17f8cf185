package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"github.com/parquet-go/parquet-go/format"

	"github.com/minamo-flow/minamo/flow"
)

// A sorted row group has an index behind its pages: where the pages of each
// column are, and in which of its 32 blocks of rows an address is, as source or
// as destination. With it, the flows of one address are read without the rest of
// the row group. Other readers pass over it. It is a part of the file, found
// through the footer, and everything in it is relative to its row group: it is
// there when the row group is, and is copied together with it.
//
//	version       1
//	rows of a block, columns               as varints, like all numbers here
//	for each column: where its data pages begin, behind those of the first;
//	  how many they are; for each: rows, bytes
//	entries, and how many bits of an address's hash (hashAddr) select a bucket
//	for each bucket a 1 for each of its entries, then a 0
//	for each entry five bits: the block
//	CRC-32 of all that, little-endian
//
// Bits stand in little-endian words of 64. An entry says that an address with
// such a hash is in a block. Another address may have the same: that costs
// reading two pages in vain.
const (
	indexVersion = 1
	indexRows    = 1 << 13        // that a row group has at least to get one
	indexKey     = "minamo.index" // of the first column's metadata: distance from its data pages, and length
	blockBits    = 5
	maxBlocks    = 1 << blockBits // a page holds one of them, or several:
	smallPage    = 512            // below so many bytes, twice as many rows make a page
)

// indexer collects what the index of a row group will say.
type indexer struct {
	columns   [][]int64 // where their data pages are, and of each page the rows and bytes
	blockRows int
	entries   []uint64        // hash, with the block for its low bits
	recent    [1 << 13]uint64 // entries that need not be added again
	ends      []uint32        // of the buckets
	sorted    []uint64        // entries by bucket
}

func (x *indexer) reset(rows int) {
	x.columns, x.entries = x.columns[:0], x.entries[:0]
	x.blockRows = (rows + maxBlocks - 1) / maxBlocks
	clear(x.recent[:])
}

// column begins the next column, whose data pages are at an offset.
func (x *indexer) column(at int64) {
	x.columns = slices.Grow(x.columns, 1)[:len(x.columns)+1]
	c := &x.columns[len(x.columns)-1]
	*c = append((*c)[:0], at)
}

// page adds a page to the column.
func (x *indexer) page(rows, size int) {
	c := &x.columns[len(x.columns)-1]
	*c = append(*c, int64(rows), int64(size))
}

// add notes in which blocks addresses are; levels tells which rows, from one on,
// have them: nothing means that all have.
func (x *indexer) add(addrs []flow.Addr, levels []uint8, row int) {
	first := row
	var last flow.Addr
	lastBlock := -1
	for i := range addrs {
		for len(levels) > 0 && levels[row-first] == 0 {
			row++
		}
		block := row / x.blockRows
		row++
		if block == lastBlock && addrs[i] == last {
			continue
		}
		last, lastBlock = addrs[i], block
		h := hashAddr(last)
		entry := h&^(maxBlocks-1) | uint64(block)
		if recent := &x.recent[h>>51]; *recent != entry {
			*recent = entry
			x.entries = append(x.entries, entry)
		}
	}
}

// appendTo appends the index to the row group's pages.
func (x *indexer) appendTo(dst []byte) []byte {
	from := len(dst)
	dst = append(dst, indexVersion)
	dst = binary.AppendUvarint(dst, uint64(x.blockRows))
	dst = binary.AppendUvarint(dst, uint64(len(x.columns)))
	for _, c := range x.columns {
		dst = binary.AppendUvarint(dst, uint64(c[0]-x.columns[0][0]))
		dst = binary.AppendUvarint(dst, uint64(len(c)/2))
		for _, n := range c[1:] {
			dst = binary.AppendUvarint(dst, uint64(n))
		}
	}
	dst = x.appendEntries(dst)
	return binary.LittleEndian.AppendUint32(dst, crc32.ChecksumIEEE(dst[from:]))
}

// appendEntries appends what the index says of addresses: the same for the same
// rows, in whatever order they were added.
func (x *indexer) appendEntries(dst []byte) []byte {
	width := min(bits.Len(uint(len(x.entries))), 64-blockBits)
	x.sort(width)
	dst = binary.AppendUvarint(dst, uint64(len(x.entries)))
	dst = binary.AppendUvarint(dst, uint64(width))
	word, n := uint64(0), 0
	push := func(bit uint64) {
		word |= bit << (n & 63)
		if n++; n&63 == 0 {
			dst, word = binary.LittleEndian.AppendUint64(dst, word), 0
		}
	}
	align := func() {
		for n&63 != 0 {
			push(0)
		}
	}
	next := 0
	for bucket := range uint64(1) << width {
		for ; next < len(x.entries) && x.entries[next]>>(64-width) == bucket; next++ {
			push(1)
		}
		push(0)
	}
	align()
	for _, entry := range x.entries {
		for bit := range blockBits {
			push(entry >> bit & 1)
		}
	}
	align()
	return dst
}

// sort brings the entries into the order of their buckets and blocks, and drops
// those that say the same.
func (x *indexer) sort(width int) {
	if buckets := 1 << width; cap(x.ends) < buckets+1 {
		x.ends = make([]uint32, buckets+1)
	}
	ends := x.ends[:1<<width+1]
	clear(ends)
	for _, entry := range x.entries {
		ends[entry>>(64-width)+1]++
	}
	for i := 1; i < len(ends); i++ {
		ends[i] += ends[i-1]
	}
	x.sorted = append(x.sorted[:0], x.entries...)
	for _, entry := range x.entries {
		at := &ends[entry>>(64-width)] // where the bucket begins, in the end where it ends
		x.sorted[*at] = entry
		*at++
	}
	x.entries = x.entries[:0]
	begin := uint32(0)
	for bucket, end := range ends[:1<<width] {
		blocks := uint32(0)
		for _, entry := range x.sorted[begin:end] {
			blocks |= 1 << (entry & (maxBlocks - 1))
		}
		for ; blocks != 0; blocks &= blocks - 1 {
			x.entries = append(x.entries, uint64(bucket)<<(64-width)|uint64(bits.TrailingZeros32(blocks)))
		}
		begin = end
	}
}

// beginIndex prepares for a row group of so many rows, which gets an index or not.
func (e *encoder) beginIndex(rows int, indexed bool) {
	e.indexed = indexed
	e.index.reset(rows)
}

// endIndex appends the index, behind the pages of the row group.
func (e *encoder) endIndex(group *format.RowGroup) {
	if !e.indexed || len(group.Columns) == 0 {
		return
	}
	before := len(e.out)
	e.out = e.index.appendTo(e.out)
	first := &group.Columns[0].MetaData
	first.KeyValueMetadata = []format.KeyValue{{Key: indexKey, Value: fmt.Sprintf("%d,%d", int64(before)-first.DataPageOffset, len(e.out)-before)}}
}

// groupIndex is an index that was read.
type groupIndex struct {
	blockRows int64
	columns   []columnPages
	told      []byte // of addresses: how many entries and what follows
	width     int    // of a bucket's number, bits
	buckets   []byte
	entries   []byte
}

// pagesOf returns the data pages of a column which begin at an offset, behind
// the row group's first.
func (x *groupIndex) pagesOf(at int64) ([]pagePlace, bool) {
	for i := range x.columns {
		if x.columns[i].at == at {
			return x.columns[i].pages, true
		}
	}
	return nil, false
}

// columnPages are the data pages of a column, behind the first column's.
type columnPages struct {
	at    int64
	pages []pagePlace
}

type pagePlace struct{ row, rows, at, size int64 }

var errIndex = errors.New("the index of a row group is damaged")

// indexOf tells where the index of a row group is, if it has one, and where
// the data pages begin that it counts from.
func indexOf(group *format.RowGroup) (first, at, length int64, ok bool) {
	for i := range group.Columns {
		c := &group.Columns[i].MetaData
		for _, kv := range c.KeyValueMetadata {
			if kv.Key != indexKey {
				continue
			}
			distance, size, _ := strings.Cut(kv.Value, ",")
			d, err1 := strconv.ParseInt(distance, 10, 48)
			n, err2 := strconv.ParseInt(size, 10, 32)
			if err1 == nil && err2 == nil && d > 0 && n > 4 {
				return c.DataPageOffset, c.DataPageOffset + d, n, true
			}
		}
	}
	return 0, 0, 0, false
}

// readIndex reads the index of a row group, nil where it has none that is
// understood, and tells where its first data page is. The file's pages end at end.
func readIndex(f io.ReaderAt, end int64, group *format.RowGroup) (x *groupIndex, first int64, err error) {
	first, at, length, ok := indexOf(group)
	if !ok {
		return nil, 0, nil
	}
	if first < 0 || at > end || length > end-at {
		return nil, 0, errIndex
	}
	data := make([]byte, length)
	if _, err := f.ReadAt(data, at); err != nil {
		return nil, 0, err
	}
	x, err = parseIndex(data, group.NumRows, at-first)
	return x, first, err
}

// parseIndex understands an index, and believes none of it: every page that it
// names is within the size bytes between the first page and it. rows are those
// of the row group. Of an index of another version it returns nil.
func parseIndex(data []byte, rows, size int64) (*groupIndex, error) {
	if len(data) < 5 || binary.LittleEndian.Uint32(data[len(data)-4:]) != crc32.ChecksumIEEE(data[:len(data)-4]) {
		return nil, fmt.Errorf("%w: its checksum is wrong", errIndex)
	}
	if data[0] != indexVersion {
		return nil, nil
	}
	data = data[1 : len(data)-4]
	bad := false
	number := func(most int64) int64 {
		v, n := binary.Uvarint(data)
		if n <= 0 || v > uint64(most) {
			bad = true
			return 0
		}
		data = data[n:]
		return int64(v)
	}
	x := &groupIndex{blockRows: number(maxGroup)}
	if columns := number(flow.MaxColumns * 4); !bad {
		x.columns = make([]columnPages, columns)
	}
	for i := range x.columns {
		c := &x.columns[i]
		c.at = number(size)
		n := number(int64(len(data)) / 2)
		c.pages = make([]pagePlace, 0, n)
		row, at := int64(0), c.at
		for range n {
			p := pagePlace{row, number(rows - row), at, number(size - at)}
			row, at = row+p.rows, at+p.size
			c.pages = append(c.pages, p)
		}
		if bad || row != rows {
			return nil, errIndex
		}
	}
	x.told = data
	entries := number(int64(len(data)) * 2)
	x.width = int(number(40))
	words := (entries + 1<<x.width + 63) / 64 * 8 // at most 2^37
	blocks := (entries*blockBits + 63) / 64 * 8
	if bad || x.blockRows == 0 || rows > x.blockRows*maxBlocks || int64(len(data)) != words+blocks {
		return nil, errIndex
	}
	x.buckets, x.entries = data[:words], data[words:]
	return x, nil
}

// blocks are those that may have an address: bit i stands for the rows from
// i times blockRows on.
func (x *groupIndex) blocks(a flow.Addr) (blocks uint32) {
	bucket := int(hashAddr(a) >> (64 - x.width))
	at := 0 // the bit behind the zeros of all buckets before
	for zeros := bucket; zeros > 0; {
		if at/8 >= len(x.buckets) {
			return 0
		}
		word := ^binary.LittleEndian.Uint64(x.buckets[at/8:])
		if n := bits.OnesCount64(word); n < zeros {
			zeros, at = zeros-n, at+64
			continue
		}
		for ; zeros > 1; zeros-- {
			word &= word - 1
		}
		zeros, at = 0, at+bits.TrailingZeros64(word)+1
	}
	bit := func(words []byte, i int) uint32 { return uint32(words[i/8]>>(i&7)) & 1 }
	for ; at/8 < len(x.buckets) && bit(x.buckets, at) != 0; at++ {
		block, first := uint32(0), (at-bucket)*blockBits
		if first+blockBits > 8*len(x.entries) {
			break
		}
		for i := range blockBits {
			block |= bit(x.entries, first+i) << i
		}
		blocks |= 1 << block
	}
	return blocks
}
