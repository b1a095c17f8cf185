package flow

import (
	"bytes"
	"iter"
	"math/bits"
	"slices"
	"unicode/utf8"
)

// Mask is a set of columns: which values of a row are present.
type Mask [2]uint64

// MaskOf returns the set of the given columns.
func MaskOf(columns ...Column) Mask {
	var m Mask
	for _, c := range columns {
		m.Add(c)
	}
	return m
}

// Has tells whether c is in the set.
func (m *Mask) Has(c Column) bool { return m[c>>6]&(1<<(c&63)) != 0 }

// Add puts c into the set.
func (m *Mask) Add(c Column) { m[c>>6] |= 1 << (c & 63) }

// Or puts all columns of o into the set.
func (m *Mask) Or(o Mask) { m[0] |= o[0]; m[1] |= o[1] }

// Columns returns the members in the order of the Schema.
func (m Mask) Columns() []Column { return slices.Collect(m.All()) }

// All goes through the members in the order of the Schema; it allocates nothing.
func (m Mask) All() iter.Seq[Column] {
	return func(yield func(Column) bool) {
		for w, word := range m {
			for ; word != 0; word &= word - 1 {
				if !yield(Column(w<<6 + bits.TrailingZeros64(word))) {
					return
				}
			}
		}
	}
}

// Required is the set of columns that every row has once collect is done with it.
var Required = func() Mask {
	var m Mask
	for c := range NumColumns {
		if Schema[c].Required {
			m.Add(c)
		}
	}
	return m
}()

// Batch holds flow records as column vectors, all of the same length.
//
// Rows are appended with Extend and filled in place through the typed
// vectors. A value counts only where the row's mask in Present has its
// column; where it has not, the vector holds zero. Who writes a value sets
// its bit before the batch is truncated or reset: that is how the batch knows
// what to clear, and why appending costs nothing.
//
// A Batch is not safe for concurrent use, not even to be read: a vector is made
// when it is first asked for. Once handed on it is read-only.
type Batch struct {
	Present []Mask // one mask a row

	// A vector is made when it is first asked for: of a hundred columns a
	// device sends thirty. Then it is as long as there is room, so that appending
	// is no more than counting; who asks gets the n values that are in use.
	n    int
	u8   [MaxColumns][]uint8
	u16  [MaxColumns][]uint16
	u32  [MaxColumns][]uint32
	u64  [MaxColumns][]uint64
	time [MaxColumns][]int64
	addr [MaxColumns][]Addr
	text []byte // what the columns of kind Text point into
}

// NewBatch returns an empty batch with room for capacity rows; it grows when
// it needs more.
func NewBatch(capacity int) *Batch {
	b := &Batch{}
	b.grow(max(capacity, 1))
	return b
}

// Len is the number of rows.
func (b *Batch) Len() int { return b.n }

// The vectors of a column, Len long, by the Kind of the column: to ask for another
// is a panic. They are invalid after the next Extend.
func (b *Batch) U8(c Column) []uint8 {
	if b.u8[c] == nil {
		b.allot(c)
	}
	return b.u8[c][:b.n]
}

func (b *Batch) U16(c Column) []uint16 {
	if b.u16[c] == nil {
		b.allot(c)
	}
	return b.u16[c][:b.n]
}

func (b *Batch) U32(c Column) []uint32 {
	if b.u32[c] == nil {
		b.allot(c)
	}
	return b.u32[c][:b.n]
}

// U64 holds the columns of kind Uint64 and MAC.
func (b *Batch) U64(c Column) []uint64 {
	if b.u64[c] == nil {
		b.allot(c)
	}
	return b.u64[c][:b.n]
}

// Time holds milliseconds since the epoch.
func (b *Batch) Time(c Column) []int64 {
	if b.time[c] == nil {
		b.allot(c)
	}
	return b.time[c][:b.n]
}

// Addr holds addresses.
func (b *Batch) Addr(c Column) []Addr {
	if b.addr[c] == nil {
		b.allot(c)
	}
	return b.addr[c][:b.n]
}

// Text returns the value of a column of kind Text in row i: empty where it is
// absent. It is valid until the batch is reset, and not to be written to.
func (b *Batch) Text(c Column, i int) []byte {
	at := b.U64(c)[i]
	return b.text[at>>16:][:at&maxText]
}

// SetText sets a value of a column of kind Text and marks it present. What is
// kept is UTF-8 up to the first zero byte, which devices fill fields up with;
// bytes that are not UTF-8 become U+FFFD, and 65,535 bytes are the most.
func (b *Batch) SetText(c Column, i int, v []byte) {
	if end := bytes.IndexByte(v, 0); end >= 0 {
		v = v[:end]
	}
	from := len(b.text)
	for len(v) > 0 && len(b.text)-from < maxText {
		r, size := utf8.DecodeRune(v)
		if grown := utf8.AppendRune(b.text, r); len(grown)-from <= maxText {
			b.text = grown
		} else {
			break
		}
		v = v[size:]
	}
	b.U64(c)[i] = uint64(from)<<16 | uint64(len(b.text)-from)
	b.Present[i].Add(c)
}

const maxText = 1<<16 - 1

// Uint returns a numeric, time or MAC value of row i, whatever its width.
func (b *Batch) Uint(c Column, i int) uint64 {
	switch Schema[c].Kind {
	case Uint8:
		return uint64(b.U8(c)[i])
	case Uint16:
		return uint64(b.U16(c)[i])
	case Uint32:
		return uint64(b.U32(c)[i])
	case Time:
		return uint64(b.Time(c)[i])
	default:
		return b.U64(c)[i]
	}
}

// SetUint sets a numeric, time or MAC value of row i and marks it present.
// Where v does not fit the column, the column's greatest value is stored: a
// counter that saturates is nearer to the truth than one that wraps.
func (b *Batch) SetUint(c Column, i int, v uint64) {
	switch Schema[c].Kind {
	case Uint8:
		b.U8(c)[i] = uint8(min(v, 0xff))
	case Uint16:
		b.U16(c)[i] = uint16(min(v, 0xffff))
	case Uint32:
		b.U32(c)[i] = uint32(min(v, 0xffffffff))
	case Time:
		b.Time(c)[i] = int64(v)
	default:
		b.U64(c)[i] = v
	}
	b.Present[i].Add(c)
}

// SetAddr sets an address of row i and marks it present.
func (b *Batch) SetAddr(c Column, i int, a Addr) {
	b.Addr(c)[i] = a
	b.Present[i].Add(c)
}

// Extend appends n rows without any value and returns the index of the first.
func (b *Batch) Extend(n int) int {
	first := b.n
	if first+n > cap(b.Present) {
		b.grow(max(first+n, 2*cap(b.Present)))
	}
	b.n += n
	b.Present = b.Present[:b.n]
	return first
}

// Truncate drops all rows from n on: the undo of Extend.
func (b *Batch) Truncate(n int) {
	var dirty Mask
	for _, m := range b.Present[n:b.n] {
		dirty.Or(m)
	}
	for c := range dirty.All() {
		switch Schema[c].Kind {
		case Uint8:
			wipe(b.u8[c], n, b.n)
		case Uint16:
			wipe(b.u16[c], n, b.n)
		case Uint32:
			wipe(b.u32[c], n, b.n)
		case Time:
			wipe(b.time[c], n, b.n)
		case Address:
			wipe(b.addr[c], n, b.n)
		default:
			wipe(b.u64[c], n, b.n)
		}
	}
	clear(b.Present[n:])
	b.n = n
	b.Present = b.Present[:n]
	if n == 0 {
		b.text = b.text[:0]
	}
}

// Keep drops the rows from from on but those listed, which are in their order.
func (b *Batch) Keep(from int, rows []int32) {
	var present Mask
	for _, m := range b.Present[from:b.n] {
		present.Or(m)
	}
	for c := range present.All() {
		switch Schema[c].Kind {
		case Uint8:
			gather(b.U8(c), from, rows)
		case Uint16:
			gather(b.U16(c), from, rows)
		case Uint32:
			gather(b.U32(c), from, rows)
		case Time:
			gather(b.Time(c), from, rows)
		case Address:
			gather(b.Addr(c), from, rows)
		default:
			gather(b.U64(c), from, rows)
		}
	}
	gather(b.Present, from, rows)
	b.Truncate(from + len(rows))
}

// gather moves the listed values to from and behind.
func gather[T any](v []T, from int, rows []int32) {
	for i, row := range rows {
		v[from+i] = v[row]
	}
}

// Reset drops all rows and keeps the room.
func (b *Batch) Reset() { b.Truncate(0) }

// Append copies the rows [from, to) of src to the end of b.
func (b *Batch) Append(src *Batch, from, to int) {
	first := b.Extend(to - from)
	var present Mask
	for _, m := range src.Present[from:to] {
		present.Or(m)
	}
	copy(b.Present[first:], src.Present[from:to])
	for c := range present.All() {
		switch Schema[c].Kind {
		case Uint8:
			copy(b.U8(c)[first:], src.U8(c)[from:to])
		case Uint16:
			copy(b.U16(c)[first:], src.U16(c)[from:to])
		case Uint32:
			copy(b.U32(c)[first:], src.U32(c)[from:to])
		case Time:
			copy(b.Time(c)[first:], src.Time(c)[from:to])
		case Address:
			copy(b.Addr(c)[first:], src.Addr(c)[from:to])
		case Text:
			for i := from; i < to; i++ {
				if src.Present[i].Has(c) {
					text := src.Text(c, i)
					b.U64(c)[first+i-from] = uint64(len(b.text))<<16 | uint64(len(text))
					b.text = append(b.text, text...)
				}
			}
		default:
			copy(b.U64(c)[first:], src.U64(c)[from:to])
		}
	}
}

// wipe clears some values of a vector, if it was made.
func wipe[T any](v []T, from, to int) {
	if v != nil {
		clear(v[from:to])
	}
}

// allot makes the vector of a column, if there is none.
func (b *Batch) allot(c Column) {
	switch room := cap(b.Present); Schema[c].Kind {
	case Uint8:
		fresh(&b.u8[c], room)
	case Uint16:
		fresh(&b.u16[c], room)
	case Uint32:
		fresh(&b.u32[c], room)
	case Time:
		fresh(&b.time[c], room)
	case Address:
		fresh(&b.addr[c], room)
	default:
		fresh(&b.u64[c], room)
	}
}

func fresh[T any](v *[]T, room int) {
	if *v == nil {
		*v = make([]T, room)
	}
}

// grow gives every vector that was made room for capacity rows.
func (b *Batch) grow(capacity int) {
	present := make([]Mask, b.n, capacity)
	copy(present, b.Present)
	b.Present = present
	for c := range Columns() {
		switch Schema[c].Kind {
		case Uint8:
			b.u8[c] = regrow(b.u8[c], capacity)
		case Uint16:
			b.u16[c] = regrow(b.u16[c], capacity)
		case Uint32:
			b.u32[c] = regrow(b.u32[c], capacity)
		case Time:
			b.time[c] = regrow(b.time[c], capacity)
		case Address:
			b.addr[c] = regrow(b.addr[c], capacity)
		default:
			b.u64[c] = regrow(b.u64[c], capacity)
		}
	}
}

func regrow[T any](v []T, capacity int) []T {
	if v == nil {
		return nil
	}
	grown := make([]T, capacity)
	copy(grown, v)
	return grown
}
