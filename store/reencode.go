package store

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"slices"

	"github.com/parquet-go/parquet-go/format"

	"github.com/minamo-flow/minamo/flow"
)

// groupRows is how many rows a row group has at least that is made of smaller
// ones. Bigger ones take a little less room (docs/storage.md has the table), but
// a query for one address or five minutes reads whole row groups.
const groupRows = 1 << 17

// decodable tells whether Read understands all that a segment holds, so that
// nothing of it is lost by writing it anew.
func decodable(in *input) bool {
	known := elements()
	for i := range in.meta.Schema[1:] {
		e := &in.meta.Schema[1+i]
		c, is := flow.Lookup(e.Name)
		if !is || e.NumChildren.Valid || e.Type != known[c].Type || e.TypeLength.V != known[c].TypeLength.V {
			return false
		}
		if _, isTime := perMillisecond(e); !isTime && flow.Schema[c].Kind == flow.Time {
			return false
		}
	}
	for g := range in.meta.RowGroups {
		for i := range in.meta.RowGroups[g].Columns {
			if wideDeltas(&in.meta.RowGroups[g].Columns[i].MetaData) {
				return false
			}
		}
	}
	return true
}

// undecodable is what is wrong with one of the inputs.
type undecodable struct {
	input int
	err   error
}

func (u *undecodable) Error() string { return u.err.Error() }
func (u *undecodable) Unwrap() error { return u.err }

// reencode writes the rows of the inputs into one file of big row groups, and
// makes sure that it holds what they hold. Row groups follow each other in the
// order of the inputs, which is that of time; within them rows are sorted.
func (e *encoder) reencode(ctx context.Context, path string, inputs []input) (err error) {
	some := flow.Mask{}
	for i := range inputs {
		for _, column := range inputs[i].meta.Schema[1:] {
			if c, ok := flow.Lookup(column.Name); ok {
				some.Add(c)
			}
		}
	}
	columns := some.Columns()
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	w := bufio.NewWriterSize(out, 1<<18)
	w.WriteString(magic)
	meta := format.FileMetaData{
		Version: 2, Schema: []format.SchemaElement{root(len(columns))}, RowGroups: []format.RowGroup{},
		CreatedBy: "minamo", ColumnOrders: columnOrders(len(columns)),
	}
	known := elements()
	for _, c := range columns {
		meta.Schema = append(meta.Schema, known[c])
	}
	group := newRows(columns)
	read, at := make(checksum, len(columns)), int64(len(magic))
	flush := func() error {
		if group.n == 0 {
			return nil
		}
		group.sort()
		e.out = append(e.out[:0], magic...) // no offset is 0
		described := e.group(group.vectors, 0, group.n, make([]int, len(columns)), group.n >= indexRows)
		described.Ordinal = int16(len(meta.RowGroups))
		shift(&described, at-int64(len(magic)))
		meta.RowGroups = append(meta.RowGroups, described)
		meta.NumRows += int64(group.n)
		at += int64(len(e.out) - len(magic))
		_, err := w.Write(e.out[len(magic):])
		group.reset()
		return errors.Join(err, ctx.Err())
	}
	for i := range inputs {
		var wrote error // which says nothing about the input
		if err := readVectors(inputs[i].file, ours, func(rows int, vectors []flow.Vector) error {
			read.add(columns, vectors)
			group.add(rows, vectors)
			if group.n >= groupRows {
				wrote = flush()
			}
			return wrote
		}); wrote != nil {
			return wrote
		} else if err != nil {
			return &undecodable{i, err}
		}
	}
	if err := flush(); err != nil {
		return err
	}
	if _, err := w.Write(appendFooter(nil, &meta)); err != nil {
		return err
	}
	if err := errors.Join(w.Flush(), out.Sync()); err != nil {
		return err
	}
	written := make(checksum, len(columns))
	if err := readFile(path, func(_ int, vectors []flow.Vector) error {
		written.add(columns, vectors)
		return ctx.Err()
	}); err != nil {
		return err
	}
	if !slices.Equal(read, written) {
		return fmt.Errorf("%s does not hold what was written: the parts stay", path)
	}
	return nil
}

// ours are the columns that readVectors should decode: all we know.
func ours(name string) (flow.Kind, bool) {
	c, known := flow.Lookup(name)
	if !known {
		return 0, false
	}
	return flow.Schema[c].Kind, true
}

func readFile(path string, yield func(rows int, vectors []flow.Vector) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return readVectors(f, ours, yield)
}

// checksum sum up rows in whatever order, by column: how many have a value, and
// what these come to.
type checksum []struct{ values, sum uint64 }

func (s checksum) add(columns []flow.Column, vectors []flow.Vector) {
	for i := range vectors {
		v := &vectors[i]
		c, _ := flow.Lookup(v.Name)
		at := slices.Index(columns, c)
		x := &s[at]
		x.values += uint64(len(v.Numbers) + len(v.Addrs) + len(v.Texts))
		for _, n := range v.Numbers {
			x.sum += n
		}
		for k := range v.Addrs {
			a := &v.Addrs[k]
			x.sum += 3*binary.BigEndian.Uint64(a[:]) + binary.BigEndian.Uint64(a[8:])
		}
		for _, text := range v.Texts {
			x.sum += uint64(crc32.ChecksumIEEE(text))<<16 + uint64(len(text))
		}
	}
}

// rows are rows on their way into a row group, by column.
type rows struct {
	n       int
	columns []flow.Column
	vectors []flow.Vector

	sorted  flow.Vector // room for the next sorted column
	offsets []int32
	at      []int32
}

func newRows(columns []flow.Column) *rows {
	r := &rows{columns: columns, vectors: make([]flow.Vector, len(columns))}
	for i, c := range columns {
		r.vectors[i].Name, r.vectors[i].Kind = c.String(), flow.Schema[c].Kind
	}
	return r
}

func (r *rows) reset() {
	r.n = 0
	for i := range r.vectors {
		r.vectors[i].Reset()
	}
}

// add appends rows of which some columns may be missing.
func (r *rows) add(n int, vectors []flow.Vector) {
	r.n += n
	for i := range r.vectors {
		v := &r.vectors[i]
		k := slices.IndexFunc(vectors, func(x flow.Vector) bool { return x.Name == v.Name })
		if k < 0 {
			v.Present = append(v.Present, make([]bool, n)...)
			continue
		}
		x := &vectors[k]
		v.Present = append(v.Present, x.Present...)
		v.Numbers = append(v.Numbers, x.Numbers...)
		v.Addrs = append(v.Addrs, x.Addrs...)
		v.Texts = append(v.Texts, x.Texts...) // no memory of the file's
	}
}

// sort brings the rows into the order of storage.
func (r *rows) sort() {
	order := storageOrder(r.n, func(c flow.Column) []flow.Addr {
		i := slices.Index(r.columns, c)
		if i < 0 {
			return nil
		}
		v := &r.vectors[i]
		if len(v.Addrs) == r.n {
			return v.Addrs
		}
		dense := make([]flow.Addr, 0, r.n)
		next := 0
		for _, present := range v.Present {
			if present {
				dense = append(dense, v.Addrs[next])
				next++
			} else {
				dense = append(dense, flow.Addr{})
			}
		}
		return dense
	})
	for i := range r.vectors {
		v, s := &r.vectors[i], &r.sorted
		values := len(v.Numbers) + len(v.Addrs) + len(v.Texts)
		if values == 0 {
			continue
		}
		s.Reset()
		s.Name, s.Kind = v.Name, v.Kind
		at := order // where the rows have their values
		if values == r.n {
			s.Present = append(s.Present, v.Present...)
		} else {
			at = r.valuesOf(v, order)
		}
		switch v.Kind {
		case flow.Address:
			for _, k := range at {
				s.Addrs = append(s.Addrs, v.Addrs[k])
			}
		case flow.Text:
			for _, k := range at {
				s.Texts = append(s.Texts, v.Texts[k])
			}
		default:
			for _, k := range at {
				s.Numbers = append(s.Numbers, v.Numbers[k])
			}
		}
		r.vectors[i], r.sorted = *s, *v
	}
}

// valuesOf returns where the rows of an order have their values, those that
// have one, and sorts which have into r.sorted.
func (r *rows) valuesOf(v *flow.Vector, order []int32) []int32 {
	r.offsets = r.offsets[:0]
	next := int32(0)
	for _, present := range v.Present {
		r.offsets = append(r.offsets, next)
		if present {
			next++
		}
	}
	r.at = r.at[:0]
	for _, row := range order {
		r.sorted.Present = append(r.sorted.Present, v.Present[row])
		if v.Present[row] {
			r.at = append(r.at, r.offsets[row])
		}
	}
	return r.at
}

// storageOrder is the order in which the rows of a big row group stand: by
// exporter, and then by the address of one end and that of the other. What
// belongs together then stands together, which saves a quarter of the room; the
// time that a row group spans is the same, and so is what a query can pass over.
//
// The end that comes first is the one that more of the rows have, because to them belong
// the networks, the AS numbers, the interfaces. But an address that many rows
// have, fewer than have its peer's, comes before it: its flows are then in few pages,
// and would else be in all. Flows from the end that comes first stand apart from
// those to it. addresses returns a column with an address for every row, or nothing.
func storageOrder(n int, addresses func(flow.Column) []flow.Addr) []int32 {
	exporters, dst, src := addresses(flow.Exporter), addresses(flow.DstAddr), addresses(flow.SrcAddr)
	bySource := sourceFirst(src, dst)
	ends := func(i int32) (first, second *flow.Addr) {
		if bySource[i] {
			return &src[i], &dst[i]
		}
		return &dst[i], &src[i]
	}
	places := make([]spot, n)
	numbers := map[flow.Addr]uint64{} // of exporters
	var last flow.Addr
	number := uint64(0)
	for i := range places {
		if exporters != nil && (i == 0 || exporters[i] != last) {
			last = exporters[i]
			var known bool
			if number, known = numbers[last]; !known {
				number = uint64(len(numbers))
				numbers[last] = number
			}
		}
		key := number << 50
		if bySource != nil {
			if bySource[i] {
				key |= 1 << 49
			}
			if first, second := ends(int32(i)); first.Is4() {
				key |= uint64(binary.BigEndian.Uint32(first[12:]))<<16 | uint64(binary.BigEndian.Uint16(second[12:]))
			} else {
				key |= 1<<48 | binary.BigEndian.Uint64(first[:])<<8>>16 // most begin alike
			}
		}
		places[i] = spot{key, int32(i)}
	}
	places = byKey(places)
	for from := 0; from < n && bySource != nil; { // and where keys are the same, by the addresses
		to := from + 1
		for to < n && places[to].key == places[from].key {
			to++
		}
		if to > from+1 {
			slices.SortStableFunc(places[from:to], func(a, b spot) int {
				firstA, secondA := ends(a.row)
				firstB, secondB := ends(b.row)
				return cmp.Or(bytes.Compare(firstA[:], firstB[:]), bytes.Compare(secondA[:], secondB[:]))
			})
		}
		from = to
	}
	order := make([]int32, n)
	for i, p := range places {
		order[i] = p.row
	}
	return order
}

// manyRows is how many rows of a row group must have an address for it to come
// before one that more of them have: as many pages are read at most for
// an address that comes second.
const manyRows = 8

// sourceFirst tells of each row whether its source comes before its destination
// in the order of storage; nothing where one of them has no column.
func sourceFirst(src, dst []flow.Addr) []bool {
	if src == nil || dst == nil {
		return nil
	}
	// How many rows have an address, about: some share a place.
	const slots = 17
	counts := make([]uint32, 1<<slots)
	slot := func(a flow.Addr) uint64 { return hashAddr(a) >> (64 - slots) }
	for i := range src {
		counts[slot(src[i])]++
		counts[slot(dst[i])]++
	}
	first := make([]bool, len(src))
	for i := range src {
		s, d := slot(src[i]), slot(dst[i])
		fewer := counts[s] < counts[d] || counts[s] == counts[d] && s < d
		first[i] = fewer == (min(counts[s], counts[d]) >= manyRows)
	}
	return first
}

// spot is where a row belongs: the key tells nearly all apart.
type spot struct {
	key uint64
	row int32
}

// byKey sorts places, digit by digit from the last; those of the same key stay
// as they are. It may return another slice.
func byKey(places []spot) []spot {
	if len(places) < 2 {
		return places
	}
	const bits = 11
	var counts [(64 + bits - 1) / bits][1 << bits]int32
	for i := range places {
		for d := range counts {
			counts[d][places[i].key>>(d*bits)&(1<<bits-1)]++
		}
	}
	other := make([]spot, len(places))
	for d := range counts {
		count := &counts[d]
		if int(count[places[0].key>>(d*bits)&(1<<bits-1)]) == len(places) {
			continue // all have the same
		}
		at := int32(0)
		for i, n := range count {
			count[i], at = at, at+n
		}
		for _, p := range places {
			to := &count[p.key>>(d*bits)&(1<<bits-1)]
			other[*to] = p
			*to++
		}
		places, other = other, places
	}
	return places
}
