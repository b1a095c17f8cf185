package rollup

import (
	"encoding/binary"

	"github.com/minamo-flow/minamo/flow"
)

// Builder makes cells of flows.
type Builder struct {
	// Long are the flows that last too long to be spread over minutes: a broken
	// clock must not fill a disk. They are kept as they are, and read as flows.
	Long *flow.Batch

	minutes map[int64]int // index of a bucket
	times   []int64       // of the buckets
	direct  []*direct     // the cubes that are made of flows

	part   *flow.Batch
	rows   []row
	pieces []piece
	packed []uint64

	spare spare
}

// direct is a cube and its cells by bucket.
type direct struct {
	cube  *Cube
	cells []*cells
}

// piece is what of a flow falls into a bucket.
type piece struct {
	row, bucket int32
	sums        Sums
}

// MaxSpan is how long a flow may last to be among the cells. Exporters end
// flows after half an hour at most, unless told otherwise.
const MaxSpan = 12 * 60 * 60_000 // milliseconds

// NewBuilder returns a Builder without flows.
func NewBuilder() *Builder {
	b := &Builder{Long: flow.NewBatch(1), minutes: map[int64]int{}, part: flow.NewBatch(chunk), spare: spare{}}
	for _, c := range Cubes {
		if c.From == nil {
			b.direct = append(b.direct, &direct{cube: c})
		}
	}
	return b
}

// chunk is how many rows are worked on at once: their pieces and keys fit a
// processor's cache.
const chunk = 2048

// Add takes the flows of a batch that has the columns Needs.
func (b *Builder) Add(flows *flow.Batch) {
	for from := 0; from < flows.Len(); from += chunk {
		b.part.Reset()
		b.part.Append(flows, from, min(from+chunk, flows.Len()))
		b.add(b.part)
	}
}

func (b *Builder) add(flows *flow.Batch) {
	b.rows, b.pieces = b.rows[:0], b.pieces[:0]
	for i := range flows.Len() {
		b.rows = append(b.rows, rowOf(flows, i))
		if r := &b.rows[i]; r.end-r.start > MaxSpan {
			b.Long.Append(flows, i, i+1)
		} else {
			b.spread(r)
		}
	}
	for _, d := range b.direct {
		words := d.cube.layout.words
		b.packed = d.cube.pack(b.packed[:0], flows, b.rows)
		for len(d.cells) < len(b.times) {
			d.cells = append(d.cells, b.spare.take(words))
		}
		for i := range b.pieces {
			p := &b.pieces[i]
			d.cells[p.bucket].add(b.packed[int(p.row)*words:int(p.row+1)*words], p.sums)
		}
	}
}

// spread cuts a flow at the borders of minutes.
func (b *Builder) spread(r *row) {
	const step = int64(60_000)
	at := floor(r.start, step)
	flows := uint64(1)
	var before Sums
	for {
		next := at + step
		until := Sums{Packets: r.before(r.packets, next), Bytes: r.before(r.bytes, next), Variance: r.before(r.variance, next)}
		b.pieces = append(b.pieces, piece{int32(r.index), int32(b.index(at)), Sums{
			flows, until.Packets - before.Packets, until.Bytes - before.Bytes, until.Variance - before.Variance,
		}})
		if next >= r.end {
			return
		}
		before, at, flows = until, next, 0
	}
}

// index finds a bucket.
func (b *Builder) index(at int64) int {
	i, ok := b.minutes[at]
	if !ok {
		i = len(b.times)
		b.minutes[at] = i
		b.times = append(b.times, at)
	}
	return i
}

// Tables hands every table to yield: all cubes at all levels, already cut. After
// that the Builder is without flows again.
func (b *Builder) Tables(yield func(*Cells) error) error {
	for _, d := range b.direct {
		minutes := NewCells(d.cube, Minute)
		for i, c := range d.cells {
			minutes.buckets[b.times[i]] = &bucket{kept: *c, rest: cells{words: c.words}}
		}
		d.cells = d.cells[:0]
		if err := b.tables(minutes, yield); err != nil {
			return err
		}
	}
	clear(b.minutes)
	b.times = b.times[:0]
	b.Long.Reset()
	return nil
}

// tables hands on a table of minutes at all levels, and before it those of the
// cubes that are made from it: what is summed up further must be whole.
func (b *Builder) tables(whole *Cells, yield func(*Cells) error) error {
	for _, c := range Cubes {
		if c.From == whole.Cube {
			if err := b.tables(whole.fold(c, b.spare), yield); err != nil {
				return err
			}
		}
	}
	for _, l := range Levels {
		if l > whole.Level {
			whole = whole.rise(l, b.spare)
		}
		if err := yield(whole.heaviest()); err != nil {
			return err
		}
	}
	whole.release(b.spare)
	return nil
}

func words(a flow.Addr) (high, low uint64) {
	return binary.BigEndian.Uint64(a[:8]), binary.BigEndian.Uint64(a[8:])
}
