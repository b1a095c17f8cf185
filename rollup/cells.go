package rollup

import (
	"cmp"
	"maps"
	"math"
	"math/bits"
	"slices"

	"github.com/minamo-flow/minamo/flow"
)

// Sums is what a cell counts.
type Sums struct {
	Flows, Packets, Bytes uint64
	Variance              uint64 // of Packets, as an estimate from samples; 0 where all were counted
}

func (s *Sums) add(o Sums) {
	s.Flows = add(s.Flows, o.Flows)
	s.Packets = add(s.Packets, o.Packets)
	s.Bytes = add(s.Bytes, o.Bytes)
	s.Variance = add(s.Variance, o.Variance)
}

// add stays at the greatest number.
func add(a, b uint64) uint64 {
	sum, carry := bits.Add64(a, b, 0)
	return sum | -carry
}

// cells are those of one bucket: an open-addressing table from packed keys to
// sums.
type cells struct {
	words int
	keys  []uint64 // words of each cell
	sums  []Sums
	table []int32 // index of a cell plus one, 0 is free; a power of two long
	last  int     // the cell that was asked for last: flows come sorted, mostly
}

// spare are tables that are no longer in use, by the length of their keys, for
// their room: the cells of all pairs of addresses are many megabytes, made and
// cut several times a minute.
type spare map[int][]cells

// take returns an empty table with the most room there is.
func (s spare) take(words int) *cells {
	had := s[words]
	if len(had) == 0 {
		return &cells{words: words}
	}
	most := 0
	for i := range had {
		if cap(had[i].sums) > cap(had[most].sums) {
			most = i
		}
	}
	c := had[most]
	s[words] = slices.Delete(had, most, most+1)
	return &cells{words: words, keys: c.keys[:0], sums: c.sums[:0], table: c.table[:0]}
}

func (s spare) put(c cells) { s[c.words] = append(s[c.words], c) }

func (c *cells) clone() cells {
	return cells{words: c.words, keys: slices.Clone(c.keys), sums: slices.Clone(c.sums), table: slices.Clone(c.table)}
}

func (c *cells) key(i int) []uint64 { return c.keys[i*c.words : (i+1)*c.words] }

// at returns the cell of a key, a new one if there is none.
func (c *cells) at(key []uint64) int {
	if c.last < len(c.sums) && same(c.keys[c.last*c.words:], key) {
		return c.last
	}
	c.last = c.find(key)
	return c.last
}

func (c *cells) find(key []uint64) int {
	if 2*len(c.sums) >= len(c.table) {
		c.grow()
	}
	mask := uint64(len(c.table) - 1)
	for slot := hash(key) & mask; ; slot = (slot + 1) & mask {
		i := int(c.table[slot]) - 1
		if i < 0 {
			c.keys = append(c.keys, key...)
			c.sums = append(c.sums, Sums{})
			c.table[slot] = int32(len(c.sums))
			return len(c.sums) - 1
		}
		if same(c.keys[i*c.words:], key) {
			return i
		}
	}
}

// add adds to the cell of a key.
func (c *cells) add(key []uint64, s Sums) {
	i := c.at(key)
	c.sums[i].add(s)
}

func same(a, b []uint64) bool {
	for i, w := range b {
		if a[i] != w {
			return false
		}
	}
	return true
}

// reserve makes room for about n further cells.
func (c *cells) reserve(n int) {
	c.keys = slices.Grow(c.keys, n*c.words)
	c.sums = slices.Grow(c.sums, n)
	c.index(len(c.sums) + n)
}

func (c *cells) grow() { c.index(max(32, 2*len(c.sums))) }

// index makes a table for n cells.
func (c *cells) index(n int) {
	size := 1 << bits.Len(uint(2*n))
	if cap(c.table) < size {
		c.table = make([]int32, size)
	} else {
		c.table = c.table[:size]
		clear(c.table)
	}
	mask := uint64(len(c.table) - 1)
	for i := range c.sums {
		slot := hash(c.key(i)) & mask
		for c.table[slot] != 0 {
			slot = (slot + 1) & mask
		}
		c.table[slot] = int32(i) + 1
	}
}

// hash mixes well in the low bits. Who forges flows to make keys collide makes
// the building of cells slow, which happens apart from receiving.
func hash(key []uint64) uint64 {
	h := uint64(0x9e3779b97f4a7c15)
	for _, w := range key {
		high, low := bits.Mul64(h^w, 0xff51afd7ed558ccd)
		h = high ^ low
	}
	return h ^ h>>29
}

// Rest is what a cell of the rest knows of those it holds.
type Rest struct {
	Cells uint64
	Most  Sums // the greatest of each among them
}

// bucket is the cells of a moment: those that are kept, and the rest, by the
// keys that it still has.
type bucket struct {
	kept cells
	rest cells
	info []Rest // of rest
}

// Cells is a table, or a part of one.
type Cells struct {
	Cube    *Cube
	Level   Level
	buckets map[int64]*bucket // by their time in milliseconds
}

// NewCells returns a table without cells.
func NewCells(c *Cube, l Level) *Cells {
	return &Cells{c, l, map[int64]*bucket{}}
}

func (t *Cells) bucket(at int64) *bucket {
	b := t.buckets[at]
	if b == nil {
		w := t.Cube.layout.words
		b = &bucket{kept: cells{words: w}, rest: cells{words: w}}
		t.buckets[at] = b
	}
	return b
}

// floor is the bucket of a moment.
func floor(at, step int64) int64 {
	at -= at % step
	if at < 0 && at%step != 0 {
		at -= step
	}
	return at
}

// rise sums the cells up to a longer level. The table is of no use after that:
// of the buckets that become one, the greatest is taken over, and the others
// are added to it. Of a day there often is a single hour.
func (t *Cells) rise(l Level, room spare) *Cells {
	up := NewCells(t.Cube, l)
	for at, b := range t.buckets {
		to := floor(at, steps[l])
		sum := up.buckets[to]
		switch {
		case sum == nil:
			up.buckets[to] = b
			continue
		case len(sum.kept.sums) < len(b.kept.sums):
			up.buckets[to], sum, b = b, b, sum
		}
		sum.kept.addAll(&b.kept)
		room.put(b.kept)
	}
	return up
}

// fold sums the cells up to a smaller cube.
func (t *Cells) fold(c *Cube, room spare) *Cells {
	folded := NewCells(c, t.Level)
	key := make([]uint64, c.layout.words)
	for at, b := range t.buckets {
		to := room.take(c.layout.words)
		for i := range b.kept.sums {
			clear(key)
			c.fold(t.Cube, c, b.kept.key(i), key)
			to.add(key, b.kept.sums[i])
		}
		folded.buckets[at] = &bucket{kept: *to, rest: cells{words: to.words}}
	}
	return folded
}

// heaviest is what Cut would leave of a table that has no rest yet; the table
// stays whole.
func (t *Cells) heaviest() *Cells {
	h := NewCells(t.Cube, t.Level)
	for at, b := range t.buckets {
		of := &bucket{kept: b.kept, rest: cells{words: b.kept.words}}
		if most := t.Cube.Most[t.Level]; len(b.kept.sums) > most {
			of.cut(t.Cube, most)
		} else {
			of.kept = b.kept.clone()
		}
		h.buckets[at] = of
	}
	return h
}

// release gives back the room of a table that is of no use any more.
func (t *Cells) release(room spare) {
	for _, b := range t.buckets {
		room.put(b.kept)
	}
}

// Merge adds the cells of another table of the same cube and level.
func (t *Cells) Merge(o *Cells) {
	for at, from := range o.buckets {
		b := t.bucket(at)
		b.kept.addAll(&from.kept)
		for i := range from.rest.sums {
			b.addRest(from.rest.key(i), from.rest.sums[i], from.info[i])
		}
	}
}

func (c *cells) addAll(o *cells) {
	for i := range o.sums {
		c.add(o.key(i), o.sums[i])
	}
}

// addRest adds what a rest has of a key.
func (b *bucket) addRest(key []uint64, s Sums, r Rest) {
	n := b.rest.at(key)
	if n == len(b.info) {
		b.info = append(b.info, Rest{})
	}
	b.rest.sums[n].add(s)
	b.info[n].Cells = add(b.info[n].Cells, r.Cells)
	b.info[n].Most.add(r.Most)
}

// Cut keeps of each bucket the heaviest cells, as many as the cube wants, and
// adds what goes to the bucket's rest.
func (t *Cells) Cut() {
	for _, b := range t.buckets {
		if len(b.kept.sums) > t.Cube.Most[t.Level] {
			b.cut(t.Cube, t.Cube.Most[t.Level])
		}
	}
}

func (b *bucket) cut(c *Cube, most int) {
	var total Sums
	for i := range b.kept.sums {
		total.add(b.kept.sums[i])
	}
	// A cell is as heavy as the greatest of its shares.
	share := func(part, of uint64) float64 { return float64(part) / float64(max(of, 1)) }
	weights := make([]float64, len(b.kept.sums))
	for i, s := range b.kept.sums {
		weights[i] = max(share(s.Flows, total.Flows), share(s.Packets, total.Packets), share(s.Bytes, total.Bytes))
	}
	bar := heaviestBut(weights, most) // of those as heavy as this, none is kept: a scan would fill the room

	kept := cells{words: b.kept.words}
	kept.reserve(most)
	key := make([]uint64, b.kept.words)
	most0 := make([]Rest, len(b.info)) // of those that go now
	for i, w := range weights {
		s := b.kept.sums[i]
		if w > bar {
			kept.add(b.kept.key(i), s)
			continue
		}
		copy(key, b.kept.key(i))
		c.layout.lighten(key, c.Keys)
		n := b.rest.at(key)
		if n == len(b.info) {
			b.info, most0 = append(b.info, Rest{}), append(most0, Rest{})
		}
		b.rest.sums[n].add(s)
		b.info[n].Cells++
		m := &most0[n].Most
		m.Flows, m.Packets, m.Bytes = max(m.Flows, s.Flows), max(m.Packets, s.Packets), max(m.Bytes, s.Bytes)
	}
	// Who goes now may have been in an earlier rest too, with as much as anyone there.
	for n := range most0 {
		b.info[n].Most.add(most0[n].Most)
	}
	b.kept = kept
}

// heaviestBut is the heaviest of some weights but so many, of which there are more.
func heaviestBut(weights []float64, most int) float64 {
	// Numbers that are not negative are in the order of their bits: what begins
	// like the one that is wanted is all that has to be sorted.
	var bins [1 << 15]int32
	for _, w := range weights {
		bins[math.Float64bits(w)>>48]++
	}
	bin := len(bins) - 1
	for ; int(bins[bin]) <= most; bin-- {
		most -= int(bins[bin])
	}
	alike := make([]float64, 0, bins[bin])
	for _, w := range weights {
		if int(math.Float64bits(w)>>48) == bin {
			alike = append(alike, w)
		}
	}
	slices.Sort(alike)
	return alike[len(alike)-1-most]
}

// lighten removes the heavy keys.
func (l *layout) lighten(key []uint64, keys []Key) {
	for i, k := range keys {
		if !k.Heavy {
			continue
		}
		f := &l.fields[i]
		key[f.word] &^= (f.mask<<1 | 1) << f.shift
		if k.Kind == flow.Address {
			key[f.address], key[f.address+1] = 0, 0
		}
	}
}

// Span is the first bucket's beginning and the last one's end; ok is false
// when there are none.
func (t *Cells) Span() (first, end int64, ok bool) {
	for at := range t.buckets {
		if !ok {
			first, end, ok = at, at, true
		}
		first, end = min(first, at), max(end, at)
	}
	return first, end + steps[t.Level], ok
}

// Len is the number of cells, those of rests included.
func (t *Cells) Len() (n int) {
	for _, b := range t.buckets {
		n += len(b.kept.sums) + len(b.rest.sums)
	}
	return n
}

// Vectors returns the table as columns: bucket, keys, measures; by bucket and
// within it by key, the rest last.
func (t *Cells) Vectors() (rows int, vectors []flow.Vector) {
	keys := len(t.Cube.Keys)
	vectors = make([]flow.Vector, 1+keys+len(Measures))
	vectors[0] = flow.Vector{Name: Bucket, Kind: flow.Time}
	for i, k := range t.Cube.Keys {
		vectors[1+i] = flow.Vector{Name: k.Name, Kind: k.Kind}
	}
	for i, m := range Measures {
		vectors[1+keys+i] = flow.Vector{Name: m, Kind: flow.Uint64}
	}
	for i, n := 0, t.Len(); i < len(vectors) && n > 0; i++ {
		v := &vectors[i]
		v.Present = make([]bool, 0, n)
		switch {
		case v.Kind == flow.Address:
			v.Addrs = make([]flow.Addr, 0, n)
		case i < 1+keys+4: // the rest has the others, which is a cell or two
			v.Numbers = make([]uint64, 0, n)
		}
	}
	l := &t.Cube.layout
	put := func(at int64, key []uint64, s Sums, rest *Rest) {
		rows++
		vectors[0].Add(uint64(at), true)
		for i, k := range t.Cube.Keys {
			if k.Kind == flow.Address {
				high, low, ok := l.addr(key, i)
				vectors[1+i].AddAddr(address(high, low), ok)
			} else {
				v, ok := l.uint(key, i)
				vectors[1+i].Add(v, ok)
			}
		}
		is := rest != nil
		if !is {
			rest = &Rest{}
		}
		for i, v := range []uint64{s.Flows, s.Packets, s.Bytes, s.Variance, rest.Cells, rest.Most.Flows, rest.Most.Packets, rest.Most.Bytes} {
			vectors[1+keys+i].Add(v, i < 4 || is)
		}
	}
	for _, at := range slices.Sorted(maps.Keys(t.buckets)) {
		b := t.buckets[at]
		order := make([]int, len(b.kept.sums))
		for i := range order {
			order[i] = i
		}
		slices.SortFunc(order, func(x, y int) int { return slices.CompareFunc(b.kept.key(x), b.kept.key(y), cmp.Compare) })
		for _, i := range order {
			put(at, b.kept.key(i), b.kept.sums[i], nil)
		}
		for i := range b.rest.sums {
			put(at, b.rest.key(i), b.rest.sums[i], &b.info[i])
		}
	}
	return rows, vectors
}

// Names are the columns of a table and their kinds, in the order of Vectors.
func (c *Cube) Names() []flow.Vector {
	_, vectors := NewCells(c, Minute).Vectors()
	return vectors
}

// Add adds rows as Vectors gives them, of the columns in that order.
func (t *Cells) Add(rows int, vectors []flow.Vector) {
	next := make([]int, len(vectors)) // of each column's values
	number := func(column, row int) (uint64, bool) {
		v := &vectors[column]
		if !v.Present[row] {
			return 0, false
		}
		next[column]++
		return v.Numbers[next[column]-1], true
	}
	l := &t.Cube.layout
	key := make([]uint64, l.words)
	for r := range rows {
		at, _ := number(0, r)
		clear(key)
		for i, k := range t.Cube.Keys {
			if k.Kind != flow.Address {
				if v, ok := number(1+i, r); ok {
					l.setUint(key, i, v)
				}
			} else if v := &vectors[1+i]; v.Present[r] {
				high, low := words(v.Addrs[next[1+i]])
				next[1+i]++
				l.setAddr(key, i, high, low)
			}
		}
		var m [8]uint64
		rest := false
		for i := range m {
			m[i], rest = number(1+len(t.Cube.Keys)+i, r)
		}
		s := Sums{m[0], m[1], m[2], m[3]}
		b := t.bucket(int64(at))
		if !rest {
			b.kept.add(key, s)
			continue
		}
		b.addRest(key, s, Rest{m[4], Sums{Flows: m[5], Packets: m[6], Bytes: m[7]}})
	}
}
