package flow

import "math/bits"

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
func (m Mask) Columns() []Column {
	columns := make([]Column, 0, bits.OnesCount64(m[0])+bits.OnesCount64(m[1]))
	for w, word := range m {
		for ; word != 0; word &= word - 1 {
			columns = append(columns, Column(w<<6+bits.TrailingZeros64(word)))
		}
	}
	return columns
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
// A Batch is not safe for concurrent use. Once handed on it is read-only.
type Batch struct {
	Present []Mask // one mask a row

	n    int
	u8   [NumColumns][]uint8
	u16  [NumColumns][]uint16
	u32  [NumColumns][]uint32
	u64  [NumColumns][]uint64
	time [NumColumns][]int64
	addr [NumColumns][]Addr
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

// The vectors of a column, Len long, by the column's Kind; for a column of
// another kind they are empty. They are invalid after the next Extend.
func (b *Batch) U8(c Column) []uint8   { return b.u8[c] }
func (b *Batch) U16(c Column) []uint16 { return b.u16[c] }
func (b *Batch) U32(c Column) []uint32 { return b.u32[c] }

// U64 holds the columns of kind Uint64 and MAC.
func (b *Batch) U64(c Column) []uint64 { return b.u64[c] }

// Time holds milliseconds since the epoch.
func (b *Batch) Time(c Column) []int64 { return b.time[c] }

// Addr holds addresses.
func (b *Batch) Addr(c Column) []Addr { return b.addr[c] }

// Uint returns a numeric, time or MAC value of row i, whatever its width.
func (b *Batch) Uint(c Column, i int) uint64 {
	switch Schema[c].Kind {
	case Uint8:
		return uint64(b.u8[c][i])
	case Uint16:
		return uint64(b.u16[c][i])
	case Uint32:
		return uint64(b.u32[c][i])
	case Time:
		return uint64(b.time[c][i])
	default:
		return b.u64[c][i]
	}
}

// SetUint sets a numeric, time or MAC value of row i and marks it present.
// Where v does not fit the column, the column's greatest value is stored: a
// counter that saturates is nearer to the truth than one that wraps.
func (b *Batch) SetUint(c Column, i int, v uint64) {
	switch Schema[c].Kind {
	case Uint8:
		b.u8[c][i] = uint8(min(v, 0xff))
	case Uint16:
		b.u16[c][i] = uint16(min(v, 0xffff))
	case Uint32:
		b.u32[c][i] = uint32(min(v, 0xffffffff))
	case Time:
		b.time[c][i] = int64(v)
	default:
		b.u64[c][i] = v
	}
	b.Present[i].Add(c)
}

// SetAddr sets an address of row i and marks it present.
func (b *Batch) SetAddr(c Column, i int, a Addr) {
	b.addr[c][i] = a
	b.Present[i].Add(c)
}

// Extend appends n rows without any value and returns the index of the first.
func (b *Batch) Extend(n int) int {
	first := b.n
	if first+n > cap(b.Present) {
		b.grow(max(first+n, 2*cap(b.Present)))
	}
	b.resize(first + n)
	return first
}

// Truncate drops all rows from n on: the undo of Extend.
func (b *Batch) Truncate(n int) {
	var dirty Mask
	for _, m := range b.Present[n:b.n] {
		dirty.Or(m)
	}
	for _, c := range dirty.Columns() {
		switch Schema[c].Kind {
		case Uint8:
			clear(b.u8[c][n:])
		case Uint16:
			clear(b.u16[c][n:])
		case Uint32:
			clear(b.u32[c][n:])
		case Time:
			clear(b.time[c][n:])
		case Address:
			clear(b.addr[c][n:])
		default:
			clear(b.u64[c][n:])
		}
	}
	clear(b.Present[n:])
	b.resize(n)
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
	for _, c := range present.Columns() {
		switch Schema[c].Kind {
		case Uint8:
			copy(b.u8[c][first:], src.u8[c][from:to])
		case Uint16:
			copy(b.u16[c][first:], src.u16[c][from:to])
		case Uint32:
			copy(b.u32[c][first:], src.u32[c][from:to])
		case Time:
			copy(b.time[c][first:], src.time[c][from:to])
		case Address:
			copy(b.addr[c][first:], src.addr[c][from:to])
		default:
			copy(b.u64[c][first:], src.u64[c][from:to])
		}
	}
}

// grow gives every vector room for capacity rows.
func (b *Batch) grow(capacity int) {
	b.Present = regrow(b.Present, capacity)
	for c := range NumColumns {
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
	grown := make([]T, len(v), capacity)
	copy(grown, v)
	return grown
}

// resize sets the length of every vector; capacity suffices.
func (b *Batch) resize(n int) {
	b.n = n
	b.Present = b.Present[:n]
	for c := range NumColumns {
		switch Schema[c].Kind {
		case Uint8:
			b.u8[c] = b.u8[c][:n]
		case Uint16:
			b.u16[c] = b.u16[c][:n]
		case Uint32:
			b.u32[c] = b.u32[c][:n]
		case Time:
			b.time[c] = b.time[c][:n]
		case Address:
			b.addr[c] = b.addr[c][:n]
		default:
			b.u64[c] = b.u64[c][:n]
		}
	}
}
