package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/bits"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/delta"
	"github.com/parquet-go/parquet-go/encoding/rle"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/minamo-flow/minamo/flow"
)

// Range is some rows of a file, from First to before End.
type Range struct {
	Path       string
	First, End int64
}

// ErrMany says that Find found more flows than were asked for.
var ErrMany = errors.New("store: too many flows to find them one by one")

// Find looks for the flows between from and to in which one of the columns has
// one of its addresses; a zero time is no bound. It goes through the row groups
// in the order of storage. Where one has an index, it hands on the flows that
// have an address, in batches that are valid until flows returns; else, where a
// look into its dictionaries does not rule it out, the rows, which the caller
// reads in his own way. What it hands on is to be filtered all the same: also
// flows of other times are among it.
//
// It ends with ErrMany, or an error of a caller's function, when there are more
// than most flows.
func (s *Snapshot) Find(ctx context.Context, from, to time.Time, wanted map[flow.Column][]flow.Addr, most int64, flows func(*flow.Batch) error, rows func(Range) error) error {
	ctx, cancel := context.WithCancel(ctx)
	var workers sync.WaitGroup
	defer workers.Wait() // the files may be closed then
	defer cancel()
	var count atomic.Int64
	results := make([]chan []found, len(s.paths))
	for i := range results {
		results[i] = make(chan []found, 1)
	}
	// As many files are looked into as there are processors, and not many more
	// than are handed on.
	next, handed := make(chan int), make(chan struct{}, 4*runtime.GOMAXPROCS(0))
	workers.Go(func() {
		defer close(next)
		for i := range s.paths {
			select {
			case handed <- struct{}{}:
				next <- i
			case <-ctx.Done():
				return
			}
		}
	})
	for range min(runtime.GOMAXPROCS(0), len(s.paths)) {
		workers.Go(func() {
			f := newFinder(wanted, from, to)
			f.enough = func(n int) bool { return count.Add(int64(n)) > most || ctx.Err() != nil }
			defer f.zstd.Close()
			for i := range next {
				results[i] <- f.find(s.paths[i])
			}
		})
	}
	batch := flow.NewBatch(1)
	for i := range results {
		var parts []found
		select {
		case parts = <-results[i]:
			<-handed
		case <-ctx.Done():
			return ctx.Err()
		}
		if count.Load() > most {
			return ErrMany
		}
		for _, part := range parts {
			var err error
			if part.n == 0 {
				err = rows(part.Range)
			} else {
				batch.Reset()
				batch.Extend(part.n)
				for k := range part.vectors {
					c, _ := flow.Lookup(part.vectors[k].Name)
					setColumn(batch, c, &part.vectors[k])
				}
				err = flows(batch)
			}
			if err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// found is what Find hands on of a row group: n flows, or a range of rows.
type found struct {
	Range
	n       int
	vectors []flow.Vector
}

// finder looks into files, one after the other.
type finder struct {
	wanted   map[flow.Column][]flow.Addr
	from, to time.Time
	enough   func(n int) bool // tells of n more flows, and is told whether to go on
	zstd     *zstd.Decoder

	file   *os.File
	end    int64  // of the pages
	raw    []byte // of a page, as it is in the file
	levels []uint8
	rows   []int64 // of a row group, that have an address
	hits   []bool  // rows of a block
	chunk  chunkPages
}

func newFinder(wanted map[flow.Column][]flow.Addr, from, to time.Time) *finder {
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxPage))
	if err != nil {
		panic("store: " + err.Error()) // the options are wrong
	}
	return &finder{wanted: wanted, from: from, to: to, zstd: z}
}

// find looks into one file. Of a file that it cannot understand all rows may
// hold what is wanted: whoever reads them will say what is wrong with it.
func (f *finder) find(path string) (parts []found) {
	mixed := false
	everything := []found{{Range: Range{path, 0, 1 << 62}}}
	defer func() {
		if recover() != nil {
			parts = everything
		}
	}()
	var err error
	if f.file, err = os.Open(path); err != nil {
		return everything
	}
	defer f.file.Close()
	var meta *format.FileMetaData
	if meta, f.end, err = readFooter(f.file); err != nil {
		return everything
	}
	var old *parquet.File // made when first needed
	first := int64(0)
	for g := range meta.RowGroups {
		group := &meta.RowGroups[g]
		here := Range{path, first, first + group.NumRows}
		first = here.End
		if !within(meta, group, f.from, f.to) {
			continue
		}
		index, at, err := f.index(group)
		if err == nil && index != nil {
			var part found
			if part, err = f.look(meta.Schema, group, index, at); err == nil && part.n > 0 {
				part.Range = here
				parts = append(parts, part)
				if f.enough(part.n) {
					return parts
				}
			}
		}
		if err == nil && index != nil {
			continue
		}
		if old == nil {
			info, err := f.file.Stat()
			if err != nil {
				return everything
			}
			if old, err = parquet.OpenFile(f.file, info.Size(), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true)); err != nil {
				return everything
			}
		}
		if !groupHolds(f.file, old.RowGroups()[g], meta, f.wanted) {
			continue
		}
		if group.NumRows <= smallGroup {
			if part, err := f.small(meta, old.RowGroups()[g], group); err == nil {
				if part.n > 0 {
					part.Range = here
					parts = append(parts, part)
				}
				if f.enough(part.n) {
					return parts
				}
				continue
			}
		}
		parts = append(parts, found{Range: here})
		mixed = true
	}
	if mixed { // one way for the whole file keeps the order
		ranges := parts[:0]
		for _, part := range parts {
			if n := len(ranges); n > 0 && ranges[n-1].End == part.First {
				ranges[n-1].End = part.End
			} else {
				ranges = append(ranges, found{Range: part.Range})
			}
		}
		return ranges
	}
	return parts
}

// smallGroup is how many rows of a row group without an index are decoded
// sooner than DuckDB is asked about them.
const smallGroup = 1 << 14

// small returns the flows of a row group that have an address, by decoding all
// of it.
func (f *finder) small(meta *format.FileMetaData, group parquet.RowGroup, described *format.RowGroup) (part found, err error) {
	var vectors []flow.Vector
	var leaves []leaf
	for i := range meta.Schema[1:] {
		e := &meta.Schema[1+i]
		kind, known := ours(e.Name)
		if !known {
			continue
		}
		units, isTime := perMillisecond(e)
		if want := physical[kind]; e.Type != want.Type || e.TypeLength.V != want.TypeLength.V || kind == flow.Time && (!isTime || units != 1) || wideDeltas(&described.Columns[i].MetaData) {
			return part, fmt.Errorf("column %s is to be read otherwise", e.Name)
		}
		vectors, leaves = append(vectors, flow.Vector{Name: e.Name, Kind: kind}), append(leaves, leaf{i, units})
	}
	err = readGroup(group, leaves, vectors, func(rows int, vectors []flow.Vector) error {
		f.hits = slices.Grow(f.hits[:0], rows)[:rows]
		clear(f.hits)
		for i := range vectors {
			c, _ := flow.Lookup(vectors[i].Name)
			next := 0
			for row, present := range vectors[i].Present {
				if present && f.wanted[c] != nil {
					f.hits[row] = f.hits[row] || slices.Contains(f.wanted[c], vectors[i].Addrs[next])
					next++
				}
			}
		}
		for _, hit := range f.hits {
			if hit {
				part.n++
			}
		}
		if part.n == 0 {
			return nil
		}
		for i := range vectors {
			v := &vectors[i]
			kept := flow.Vector{Name: v.Name, Kind: v.Kind}
			next := 0
			for row, present := range v.Present {
				if f.hits[row] {
					kept.Present = append(kept.Present, present)
				}
				if !present {
					continue
				}
				switch {
				case !f.hits[row]:
				case v.Kind == flow.Address:
					kept.Addrs = append(kept.Addrs, v.Addrs[next])
				case v.Kind == flow.Text:
					kept.Texts = append(kept.Texts, v.Texts[next])
				default:
					kept.Numbers = append(kept.Numbers, v.Numbers[next])
				}
				next++
			}
			part.vectors = append(part.vectors, kept)
		}
		return nil
	})
	return part, err
}

// index reads the index of a row group, nil where it has none that tells of
// the columns that are wanted.
func (f *finder) index(group *format.RowGroup) (x *groupIndex, at int64, err error) {
	for c := range f.wanted {
		if c != flow.SrcAddr && c != flow.DstAddr {
			return nil, 0, nil
		}
	}
	return readIndex(f.file, f.end, group)
}

// look returns the flows of a row group that have an address. Its first page
// is at an offset.
func (f *finder) look(schema []format.SchemaElement, group *format.RowGroup, index *groupIndex, at int64) (part found, err error) {
	var blocks uint32
	for _, addrs := range f.wanted {
		for _, a := range addrs {
			blocks |= index.blocks(a)
		}
	}
	f.rows = f.rows[:0]
	for ; blocks != 0; blocks &= blocks - 1 {
		first := int64(bits.TrailingZeros32(blocks)) * index.blockRows
		n := min(index.blockRows, group.NumRows-first)
		if n <= 0 {
			break
		}
		f.hits = slices.Grow(f.hits[:0], int(n))[:n]
		clear(f.hits)
		for c, addrs := range f.wanted {
			for i := range group.Columns {
				if schema[1+i].Name != c.String() {
					continue
				}
				if err := f.open(&schema[1+i], &group.Columns[i].MetaData, flow.Address, index, at, group.NumRows); err != nil {
					return part, err
				}
				if err := f.compare(first, addrs); err != nil {
					return part, err
				}
			}
		}
		for i, hit := range f.hits {
			if hit {
				f.rows = append(f.rows, first+int64(i))
			}
		}
	}
	if len(f.rows) == 0 {
		return part, nil
	}
	part.n = len(f.rows)
	for i := range group.Columns {
		c, known := flow.Lookup(schema[1+i].Name)
		if !known {
			continue
		}
		if err := f.open(&schema[1+i], &group.Columns[i].MetaData, flow.Schema[c].Kind, index, at, group.NumRows); err != nil {
			return part, err
		}
		v := flow.Vector{Name: schema[1+i].Name, Kind: flow.Schema[c].Kind}
		if err := f.take(&v); err != nil {
			return part, fmt.Errorf("column %s: %w", v.Name, err)
		}
		part.vectors = append(part.vectors, v)
	}
	return part, nil
}

// chunkPages is a column of a row group that single values are read of.
type chunkPages struct {
	meta       *format.ColumnMetaData
	kind       flow.Kind
	size       int   // of a plain value, bytes; 0 where they differ
	units      int64 // that make a millisecond, of a time
	begin      int64 // of the data pages in the file
	places     []pagePlace
	dictionary []byte // plain values, when first needed
	page       []byte // the one that was read last
	indexes    []int32
	numbers    []int64
}

// open turns to a column of a row group.
func (f *finder) open(e *format.SchemaElement, meta *format.ColumnMetaData, kind flow.Kind, index *groupIndex, at, rows int64) error {
	want := physical[kind]
	units, isTime := perMillisecond(e)
	if e.Type != want.Type || e.TypeLength.V != want.TypeLength.V || kind == flow.Time && !isTime || meta.Codec != format.Zstd {
		return fmt.Errorf("column %s is not as it was written", e.Name)
	}
	c := &f.chunk
	c.meta, c.kind, c.units, c.begin = meta, kind, units, meta.DataPageOffset
	c.dictionary = c.dictionary[:0]
	switch c.size = 4; {
	case kind == flow.Address:
		c.size = 16
	case kind == flow.Text:
		c.size = 0
	case meta.Type == format.Int64:
		c.size = 8
	}
	var ok bool
	if c.places, ok = index.pagesOf(c.begin - at); ok {
		c.begin = at
	} else { // it was added when files were joined: one page without values
		c.places = []pagePlace{{0, rows, 0, meta.TotalCompressedSize}}
	}
	return nil
}

// read unpacks a page: its size and checksum are in its header.
func (f *finder) read(dst []byte, at, size int64) (page []byte, header format.PageHeader, err error) {
	if at < 0 || size < 0 || size > f.end-at {
		return nil, header, errIndex
	}
	f.raw = slices.Grow(f.raw[:0], int(size))[:size]
	if _, err := f.file.ReadAt(f.raw, at); err != nil {
		return nil, header, err
	}
	r := &reader{data: f.raw}
	if err := thrift.NewDecoder(compact.NewReader(r)).Decode(&header); err != nil {
		return nil, header, err
	}
	packed := f.raw[r.at:]
	if int(header.CompressedPageSize) != len(packed) || uint32(header.CRC) != crc32.ChecksumIEEE(packed) {
		return nil, header, errors.New("a page is damaged")
	}
	page, err = f.zstd.DecodeAll(packed, dst[:0])
	return page, header, err
}

// turn unpacks a data page of the column, and tells how its values are encoded.
// f.levels tells which rows have one, nothing where all have; values is what is
// behind the levels.
func (f *finder) turn(p pagePlace) (encoding format.Encoding, values []byte, err error) {
	c := &f.chunk
	var header format.PageHeader
	if c.page, header, err = f.read(c.page, c.begin+p.at, p.size); err != nil {
		return 0, nil, err
	}
	data := header.DataPageHeader
	if header.Type != format.DataPage || !data.Valid || int64(data.V.NumValues) != p.rows || len(c.page) < 4 {
		return 0, nil, errIndex
	}
	n := binary.LittleEndian.Uint32(c.page)
	if int64(n) > int64(len(c.page)-4) {
		return 0, nil, errIndex
	}
	levels := c.page[4 : 4+n]
	values = c.page[4+n:]
	f.levels = f.levels[:0]
	if run, k := binary.Uvarint(levels); k > 0 && run == uint64(p.rows)<<1 && len(levels) == k+1 && levels[k] == 1 {
		return data.V.Encoding, values, nil
	}
	if f.levels, err = (&rle.Encoding{BitWidth: 1}).DecodeLevels(f.levels, levels); err != nil {
		return 0, nil, err
	}
	if int64(len(f.levels)) < p.rows {
		return 0, nil, errIndex
	}
	f.levels = f.levels[:p.rows]
	return data.V.Encoding, values, nil
}

// lookUp unpacks what the values of a page refer to.
func (f *finder) lookUp(encoding format.Encoding, values []byte) (err error) {
	c := &f.chunk
	switch encoding {
	case format.Plain:
	case format.DeltaBinaryPacked:
		if c.size != 8 {
			return errIndex
		}
		c.numbers, _, err = decodeDeltas(c.numbers, values)
	case format.RLEDictionary:
		if len(c.dictionary) == 0 {
			at := c.meta.DictionaryPageOffset
			if c.dictionary, _, err = f.read(c.dictionary, at, c.meta.DataPageOffset-at); err != nil {
				return err
			}
		}
		if len(values) == 0 {
			c.indexes = c.indexes[:0]
			return nil
		}
		c.indexes, err = (&rle.Encoding{BitWidth: int(values[0])}).DecodeInt32(c.indexes[:0], values[1:])
	default:
		return fmt.Errorf("pages encoded as %v are not understood", encoding)
	}
	return err
}

func decodeDeltas(dst []int64, values []byte) ([]int64, []byte, error) {
	dst, err := (&delta.BinaryPackedEncoding{}).DecodeInt64(dst[:0], values)
	return dst, values, err
}

// value returns the plain form of a page's value, by its number among those
// that are there.
func (c *chunkPages) value(encoding format.Encoding, values []byte, i int) []byte {
	if encoding == format.RLEDictionary {
		values, i = c.dictionary, int(c.indexes[i])
	}
	if c.size > 0 {
		return values[i*c.size : (i+1)*c.size]
	}
	for ; i > 0; i-- {
		values = values[4+binary.LittleEndian.Uint32(values):]
	}
	return values[4:][:binary.LittleEndian.Uint32(values)]
}

// compare marks in f.hits the rows of a block that have one of the addresses.
// The block begins with a row.
func (f *finder) compare(first int64, addrs []flow.Addr) error {
	c := &f.chunk
	last := first + int64(len(f.hits))
	is := func(b []byte) bool {
		// The end of an address tells more than its beginning.
		for i := range addrs {
			if a := &addrs[i]; binary.LittleEndian.Uint64(b[8:]) == binary.LittleEndian.Uint64(a[8:]) && binary.LittleEndian.Uint64(b) == binary.LittleEndian.Uint64(a[:]) {
				return true
			}
		}
		return false
	}
	for _, p := range c.places {
		if p.row+p.rows <= first || p.row >= last {
			continue
		}
		encoding, values, err := f.turn(p)
		if err == nil {
			err = f.lookUp(encoding, values)
		}
		if err != nil {
			return err
		}
		if encoding == format.Plain && len(f.levels) == 0 { // as a rule
			if int64(len(values)) < p.rows*16 {
				return errIndex
			}
			for row := max(p.row, first); row < min(p.row+p.rows, last); row++ {
				if is(values[(row-p.row)*16:][:16]) {
					f.hits[row-first] = true
				}
			}
			continue
		}
		i := 0 // of the values
		for row := p.row; row < min(p.row+p.rows, last); row++ {
			if len(f.levels) > 0 && f.levels[row-p.row] == 0 {
				continue
			}
			if row >= first && is(c.value(encoding, values, i)) {
				f.hits[row-first] = true
			}
			i++
		}
	}
	return nil
}

// take appends the values of f.rows.
func (f *finder) take(v *flow.Vector) error {
	c := &f.chunk
	next := 0
	for _, p := range c.places {
		if next == len(f.rows) {
			break
		}
		if f.rows[next] >= p.row+p.rows {
			continue
		}
		encoding, values, err := f.turn(p)
		if err != nil {
			return err
		}
		looked := false
		row, value := int64(0), 0
		for ; next < len(f.rows) && f.rows[next] < p.row+p.rows; next++ {
			at := f.rows[next] - p.row
			if len(f.levels) == 0 {
				value = int(at)
			} else {
				for ; row < at; row++ {
					value += int(f.levels[row])
				}
				if f.levels[at] == 0 {
					v.Present = append(v.Present, false)
					continue
				}
			}
			if !looked {
				if err := f.lookUp(encoding, values); err != nil {
					return err
				}
				looked = true
			}
			v.Present = append(v.Present, true)
			if encoding == format.DeltaBinaryPacked {
				v.Numbers = append(v.Numbers, f.number(uint64(c.numbers[value])))
				continue
			}
			switch b := c.value(encoding, values, value); {
			case v.Kind == flow.Address:
				v.Addrs = append(v.Addrs, flow.Addr(b))
			case v.Kind == flow.Text:
				v.Texts = append(v.Texts, slices.Clone(b))
			case c.size == 8:
				v.Numbers = append(v.Numbers, f.number(binary.LittleEndian.Uint64(b)))
			default:
				v.Numbers = append(v.Numbers, uint64(binary.LittleEndian.Uint32(b)))
			}
		}
	}
	if next < len(f.rows) {
		return errIndex
	}
	return nil
}

// number is a number as a flow has it: a time in milliseconds.
func (f *finder) number(n uint64) uint64 {
	if f.chunk.kind == flow.Time && f.chunk.units > 1 {
		return uint64(int64(n) / f.chunk.units)
	}
	return n
}
