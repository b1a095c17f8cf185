package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/minamo-flow/minamo/flow"
)

// What a file may make a reader do. Ours stay far below; a file that goes
// beyond is refused before any of it is decoded, so that a hostile one costs no
// more memory than this.
const (
	maxFooter = 64 << 20
	maxItems  = 1 << 20 // of all lists in a footer
	maxPage   = 256 << 20
	maxGroup  = 16 << 20 // rows of a row group, and values of a page
)

// SegmentsUnder lists the segments of flows below a directory, wherever in it
// they are, without those that others cover: of a data directory, of its
// flows/, or of one day of it.
func SegmentsUnder(dir string) ([]Segment, error) {
	var all []Segment
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if path != dir && slices.Contains([]string{rollupsDir, "tmp", "damaged"}, entry.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		s, ok := parseSegment(path)
		if !ok {
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		s.Bytes = info.Size()
		all = append(all, s)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("store: list segments: %w", err)
	}
	segments, _ := uncover(all)
	return segments, nil
}

// DefineColumnsOf makes the operator's own columns that a file describes known
// to flow; see DefineColumns. A file that is not there describes none.
func DefineColumnsOf(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	err = vetFooter(f)
	f.Close()
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	own, err := readColumns(path)
	if err != nil {
		return err
	}
	return define(path, own)
}

// CheckImport tells whether a Parquet file can be read as flows, without fear
// of what it makes a reader do, and how many rows it has: Read can have it then.
// Columns that are not ours are an error unless they are to be left out.
func CheckImport(path string, dropUnknown bool) (rows int64, err error) {
	in, err := openVetted(path)
	if err != nil {
		return 0, err
	}
	defer in.file.Close()
	var unknown []string
	have := flow.Mask{}
	known := elements()
	for _, e := range in.meta.Schema[1:] {
		c, ok := flow.Lookup(e.Name)
		if !ok {
			unknown = append(unknown, e.Name)
			continue
		}
		if want := &known[c]; e.Type != want.Type || e.TypeLength.V != want.TypeLength.V {
			return 0, fmt.Errorf("column %s has another type than %s; docs/storage.md has the types", e.Name, flow.Schema[c].Kind)
		}
		have.Add(c)
	}
	if len(unknown) > 0 && !dropUnknown {
		return 0, fmt.Errorf("columns %s are not known: define them in the configuration (columns), or leave them out with --drop-unknown", strings.Join(unknown, ", "))
	}
	var missing []string
	for c := range flow.Required.All() {
		if !have.Has(c) && in.meta.NumRows > 0 {
			missing = append(missing, c.String())
		}
	}
	if missing != nil {
		return 0, fmt.Errorf("it has no columns %s, which every flow has", strings.Join(missing, ", "))
	}
	return in.meta.NumRows, nil
}

// vetted is an open file that is sound as far as can be told without reading
// its values.
type vetted struct {
	*input
	unsummed int64 // pages without a checksum
}

// openVetted opens a file whose pages are sound, and within bounds.
func openVetted(path string) (_ *vetted, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("the file is damaged: %v", fault)
		}
		if err != nil {
			f.Close()
		}
	}()
	in := &input{file: f}
	if err := vetFooter(f); err != nil {
		return nil, err
	}
	if in.meta, in.end, err = readFooter(f); err != nil {
		return nil, err
	}
	v := vetter{input: in}
	if err := v.vet(); err != nil {
		return nil, err
	}
	return &vetted{in, v.unsummed}, nil
}

// vetFooter makes sure that decoding a footer takes no more memory than its
// bytes can mean: a list that claims more items than there are bytes would.
func vetFooter(f *os.File) error {
	size, ok := wholeParquet(f)
	if !ok {
		return errors.New("it is torn: it does not end as a Parquet file does")
	}
	var length [4]byte
	if _, err := f.ReadAt(length[:], size-8); err != nil {
		return err
	}
	n := int64(binary.LittleEndian.Uint32(length[:]))
	if n > maxFooter {
		return fmt.Errorf("its footer has %d bytes, which is more than any of ours", n)
	}
	footer := make([]byte, n)
	if _, err := f.ReadAt(footer, size-8-n); err != nil {
		return err
	}
	w := thriftWalk{data: footer, items: maxItems}
	if err := w.structure(0); err != nil {
		return fmt.Errorf("its footer is damaged: %w", err)
	}
	return nil
}

// vetter goes through all pages of a file.
type vetter struct {
	*input
	zstd     *zstd.Decoder
	packed   []byte
	page     []byte
	unsummed int64 // pages without a checksum

	places []pagePlace // the pages of a column, as an index has them, if there is one
	first  int64       // where they count from
}

// vet checks that the footer agrees with itself and with the file, that every
// page is whole, has the checksum it says and the size it says once it is
// decompressed, and that nothing is beyond the bounds.
func (v *vetter) vet() error {
	meta := v.meta
	if len(meta.Schema) == 0 {
		return errors.New("its footer has no schema")
	}
	for _, e := range meta.Schema[1:] {
		if e.NumChildren.Valid {
			return fmt.Errorf("column %s is nested: it is no file of flows", e.Name)
		}
		if e.RepetitionType.Valid && e.RepetitionType.V == format.Repeated {
			return fmt.Errorf("column %s is a list: it is no file of flows", e.Name)
		}
	}
	var rows int64
	for g := range meta.RowGroups {
		group := &meta.RowGroups[g]
		if group.NumRows < 0 || group.NumRows > maxGroup {
			return fmt.Errorf("row group %d claims %d rows", g, group.NumRows)
		}
		rows += group.NumRows
		if len(group.Columns) != len(meta.Schema)-1 {
			return fmt.Errorf("row group %d has %d columns, the schema has %d", g, len(group.Columns), len(meta.Schema)-1)
		}
		index, first, err := readIndex(v.file, v.end, group)
		if err != nil {
			return fmt.Errorf("row group %d: %w", g, err)
		}
		for i := range group.Columns {
			c := &group.Columns[i].MetaData
			if len(c.PathInSchema) != 1 || c.PathInSchema[0] != meta.Schema[1+i].Name || c.Type != meta.Schema[1+i].Type.V {
				return fmt.Errorf("row group %d: column %v is not that of the schema, %s", g, c.PathInSchema, meta.Schema[1+i].Name)
			}
			v.places, v.first = nil, c.DataPageOffset
			if index != nil {
				v.places, _ = index.pagesOf(c.DataPageOffset - first)
				v.first = first
			}
			if err := v.chunk(group, c); err != nil {
				return fmt.Errorf("row group %d, column %v: %w", g, c.PathInSchema, err)
			}
		}
	}
	if rows != meta.NumRows {
		return fmt.Errorf("its row groups have %d rows, its footer says %d", rows, meta.NumRows)
	}
	return nil
}

// chunk checks the pages of a column chunk, one after the other.
func (v *vetter) chunk(group *format.RowGroup, c *format.ColumnMetaData) error {
	from := c.DataPageOffset
	if c.DictionaryPageOffset > 0 {
		from = min(from, c.DictionaryPageOffset)
	}
	if from < int64(len(magic)) || c.TotalCompressedSize < 0 || c.TotalCompressedSize > v.end-from {
		return errors.New("points outside the file")
	}
	var values int64
	for at, end := from, from+c.TotalCompressedSize; at < end; {
		header, n, err := v.header(at, end)
		if err != nil {
			return err
		}
		size := int64(header.CompressedPageSize)
		if size < 0 || size > end-at-n {
			return errors.New("a page is longer than its column")
		}
		if header.UncompressedPageSize < 0 || header.UncompressedPageSize > maxPage {
			return fmt.Errorf("a page claims %d bytes", header.UncompressedPageSize)
		}
		begin := at
		v.packed = slices.Grow(v.packed[:0], int(size))[:size]
		if _, err := v.file.ReadAt(v.packed, at+n); err != nil {
			return err
		}
		at += n + size
		if header.CRC == 0 {
			v.unsummed++
		} else if uint32(header.CRC) != crc32.ChecksumIEEE(v.packed) {
			return errors.New("a page's checksum is wrong")
		}
		count, data, err := pageValues(header)
		if err != nil {
			return err
		}
		if count < 0 || count > maxGroup {
			return fmt.Errorf("a page claims %d values", count)
		}
		if data {
			if v.places != nil && !slices.Contains(v.places, pagePlace{values, count, begin - v.first, at - begin}) {
				return errors.New("the index of its row group has other pages")
			}
			values += count
		}
		if err := v.decompress(c.Codec, header); err != nil {
			return err
		}
	}
	if values != group.NumRows || c.NumValues != group.NumRows {
		return fmt.Errorf("its pages have %d values for %d rows", values, group.NumRows)
	}
	return nil
}

// header decodes the page header at an offset; n is its length.
func (v *vetter) header(at, end int64) (h format.PageHeader, n int64, err error) {
	v.page = slices.Grow(v.page[:0], maxHeader)[:min(maxHeader, end-at)]
	if _, err := v.file.ReadAt(v.page, at); err != nil {
		return h, 0, err
	}
	w := thriftWalk{data: v.page, items: 16}
	if err := w.structure(0); err != nil {
		return h, 0, fmt.Errorf("page header: %w", err)
	}
	r := &reader{data: v.page}
	if err := thrift.NewDecoder(compact.NewReader(r)).Decode(&h); err != nil {
		return h, 0, fmt.Errorf("page header: %w", err)
	}
	return h, int64(r.at), nil
}

// maxHeader bounds a page's header. Those of other writers may hold the
// greatest and the least value.
const maxHeader = 64 << 10

// pageValues is how many values a page claims, and whether they are rows'.
func pageValues(h format.PageHeader) (count int64, data bool, err error) {
	switch {
	case h.Type == format.DataPage && h.DataPageHeader.Valid:
		return int64(h.DataPageHeader.V.NumValues), true, nil
	case h.Type == format.DataPageV2 && h.DataPageHeaderV2.Valid:
		return int64(h.DataPageHeaderV2.V.NumValues), true, nil
	case h.Type == format.DictionaryPage && h.DictionaryPageHeader.Valid:
		return int64(h.DictionaryPageHeader.V.NumValues), false, nil
	}
	return 0, false, fmt.Errorf("a page is of type %v without a header of it", h.Type)
}

// decompress makes sure that a page becomes as big as it says, and no bigger.
func (v *vetter) decompress(codec format.CompressionCodec, h format.PageHeader) (err error) {
	packed, want := v.packed, int(h.UncompressedPageSize)
	if h.Type == format.DataPageV2 { // its levels are not compressed
		levels := int64(h.DataPageHeaderV2.V.DefinitionLevelsByteLength) + int64(h.DataPageHeaderV2.V.RepetitionLevelsByteLength)
		if levels < 0 || levels > int64(len(packed)) || levels > int64(want) {
			return errors.New("a page's levels are longer than the page")
		}
		packed, want = packed[levels:], want-int(levels)
		if c := h.DataPageHeaderV2.V.IsCompressed; c.Valid && !c.V {
			codec = format.Uncompressed
		}
	}
	var got int
	switch codec {
	case format.Uncompressed:
		got = len(packed)
	case format.Zstd:
		if want == 0 && len(packed) == 0 {
			return nil
		}
		if v.zstd == nil {
			if v.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxPage)); err != nil {
				return err
			}
		}
		if v.page, err = v.zstd.DecodeAll(packed, v.page[:0]); err != nil {
			return fmt.Errorf("a page cannot be decompressed: %w", err)
		}
		got = len(v.page)
	case format.Snappy:
		if want == 0 && len(packed) == 0 {
			return nil
		}
		if got, err = snappy.DecodedLen(packed); err != nil {
			return fmt.Errorf("a page cannot be decompressed: %w", err)
		}
	default:
		return fmt.Errorf("it is compressed by %v: write it with zstd", codec)
	}
	if got != want {
		return fmt.Errorf("a page has %d bytes, and says %d", got, want)
	}
	return nil
}

// thriftWalk goes through a structure of thrift's compact protocol without
// making anything of it, and finds out whether its parts fit into its bytes.
type thriftWalk struct {
	data  []byte
	items int // that lists may still have
}

var errThrift = errors.New("its parts do not fit into its bytes")

func (w *thriftWalk) structure(depth int) error {
	if depth > 16 {
		return errThrift
	}
	for {
		head, err := w.byte()
		if err != nil {
			return err
		}
		if head == 0 {
			return nil
		}
		if head>>4 == 0 { // the field's number does not follow from the last one
			if _, err := w.varint(); err != nil {
				return err
			}
		}
		if err := w.value(head&15, depth, false); err != nil {
			return err
		}
	}
}

// value passes over a value of a type.
func (w *thriftWalk) value(kind byte, depth int, item bool) error {
	switch kind {
	case 1, 2: // true, false: a byte of its own only in a list
		if item {
			return w.skip(1)
		}
		return nil
	case 3:
		return w.skip(1)
	case 4, 5, 6:
		_, err := w.varint()
		return err
	case 7:
		return w.skip(8)
	case 8:
		n, err := w.varint()
		if err != nil {
			return err
		}
		if n > uint64(len(w.data)) {
			return errThrift
		}
		return w.skip(int(n))
	case 9, 10:
		return w.list(depth)
	case 12:
		return w.structure(depth + 1)
	}
	return fmt.Errorf("a field is of type %d, which is not in Parquet", kind)
}

func (w *thriftWalk) list(depth int) error {
	if depth > 16 {
		return errThrift
	}
	head, err := w.byte()
	if err != nil {
		return err
	}
	n := uint64(head >> 4)
	if n == 15 {
		if n, err = w.varint(); err != nil {
			return err
		}
	}
	if n > uint64(len(w.data)) || n > uint64(w.items) {
		return errThrift
	}
	w.items -= int(n)
	for range n {
		if err := w.value(head&15, depth+1, true); err != nil {
			return err
		}
	}
	return nil
}

func (w *thriftWalk) byte() (byte, error) {
	if len(w.data) == 0 {
		return 0, errThrift
	}
	b := w.data[0]
	w.data = w.data[1:]
	return b, nil
}

func (w *thriftWalk) varint() (uint64, error) {
	v, n := binary.Uvarint(w.data)
	if n <= 0 {
		return 0, errThrift
	}
	w.data = w.data[n:]
	return v, nil
}

func (w *thriftWalk) skip(n int) error {
	if n > len(w.data) {
		return errThrift
	}
	w.data = w.data[n:]
	return nil
}
