package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/bits"
	"os"
	"path/filepath"
	"slices"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/rollup"
)

// CheckRollups holds every part of a rollup against the flows it was made of,
// bucket by bucket: how many flows, packets and bytes. It spreads the flows by
// itself, in the plainest way, so that it shares no mistake with package
// rollup. Flows that are deleted already cannot be compared; how many parts
// that concerns is a note. What it finds is added to checked, whose damaged
// files it leaves out. correct is Config.Correct; nil changes nothing.
func CheckRollups(ctx context.Context, dir string, checked *Checked, correct func(*flow.Batch), progress func(done, total, rows int64)) error {
	if progress == nil {
		progress = func(_, _, _ int64) {}
	}
	segments, err := Segments(dir)
	if err != nil {
		return err
	}
	d := deepCheck{ctx: ctx, damaged: map[string]bool{}, spread: map[string]*spreadFlows{}, progress: progress, segments: segments, correct: correct}
	for _, f := range checked.Findings {
		d.damaged[f.Path] = d.damaged[f.Path] || f.Damaged
	}
	for _, s := range segments {
		d.total += s.Bytes
	}
	deleted, all := 0, 0
	for _, table := range append(slices.Clone(rollupTables), longTable) {
		parts, err := segmentsOf(dir, table)
		if err != nil {
			return err
		}
		all += len(parts)
		for _, part := range parts {
			if d.damaged[part.Path] {
				continue
			}
			switch err := d.part(table, part); {
			case errors.Is(err, errDeleted):
				deleted++
			case errors.Is(err, fs.ErrNotExist): // merged meanwhile
			case ctx.Err() != nil:
				return ctx.Err()
			case err != nil:
				checked.Findings = append(checked.Findings, Finding{Path: part.Path, Table: table, Problem: err.Error(), Damaged: true, Rows: part.Rows,
					Advice: "set it aside with minamo store check --repair: it is made anew of the flows that are kept"})
			}
		}
	}
	if deleted > 0 {
		checked.Findings = append(checked.Findings, Finding{Path: filepath.Join(dir, rollupsDir), Note: true,
			Problem: fmt.Sprintf("%d of %d parts cannot be held against their flows", deleted, all), Advice: "these flows are deleted already, or damaged"})
	}
	return nil
}

// errDeleted says that the flows a part was made of are not all there.
var errDeleted = errors.New("its flows are deleted")

type deepCheck struct {
	ctx      context.Context
	segments []Segment // of flows
	damaged  map[string]bool
	spread   map[string]*spreadFlows // by segment

	done, total, rows int64
	progress          func(done, total, rows int64)
	correct           func(*flow.Batch) // nil: nothing
}

// spreadFlows are the sums of a segment's flows by minute, those that are too
// long to be spread apart.
type spreadFlows struct {
	minutes map[int64]bucketSums
	flows   uint64
	long    uint64
	err     error
}

type bucketSums struct{ flows, packets, bytes uint64 }

func (a bucketSums) plus(b bucketSums) bucketSums {
	return bucketSums{addUp(a.flows, b.flows), addUp(a.packets, b.packets), addUp(a.bytes, b.bytes)}
}

// addUp adds, and stays at the greatest number.
func addUp(a, b uint64) uint64 {
	sum, carry := bits.Add64(a, b, 0)
	if carry > 0 {
		return math.MaxUint64
	}
	return sum
}

// part holds one part against the segments within its seal range.
func (d *deepCheck) part(table string, part Segment) error {
	var flows, long uint64
	minutes := map[int64]bucketSums{}
	damaged := false
	for _, s := range d.segments {
		if s.SealedLast.Before(part.SealedFirst) || s.SealedFirst.After(part.SealedLast) {
			continue
		}
		if s.SealedFirst.Before(part.SealedFirst) || s.SealedLast.After(part.SealedLast) {
			return fmt.Errorf("its seal range ends within that of %s: flows count twice, or not at all", s.Path)
		}
		x := d.flows(s)
		if d.ctx.Err() != nil {
			return d.ctx.Err()
		}
		if x.err != nil {
			damaged = true
			continue
		}
		flows, long = flows+x.flows, long+x.long
		for at, sums := range x.minutes {
			minutes[at] = minutes[at].plus(sums)
		}
	}
	if table == longTable {
		switch {
		case long < uint64(part.Rows):
			return errDeleted
		case long > uint64(part.Rows):
			return fmt.Errorf("%d long flows are within its range, it has %d", long, part.Rows)
		}
		return nil
	}
	cube, level, ok := rollup.Find(table)
	if !ok {
		return nil
	}
	cells, err := bucketsOf(part.Path, cube)
	if err != nil {
		return err
	}
	var counted bucketSums
	for _, sums := range cells {
		counted = counted.plus(sums)
	}
	switch {
	case flows < counted.flows, damaged:
		return errDeleted
	case flows > counted.flows:
		return fmt.Errorf("%d flows are within its range, it has %d", flows, counted.flows)
	}
	step := level.Step().Milliseconds()
	want := map[int64]bucketSums{}
	for at, sums := range minutes {
		bucket := floorTo(at, step)
		want[bucket] = want[bucket].plus(sums)
	}
	for at, sums := range want {
		if cells[at] != sums {
			return fmt.Errorf("the bucket of %s has %d flows, %d packets, %d bytes; the flows themselves have %d, %d, %d",
				stampTime(at).Format(stampLayout), cells[at].flows, cells[at].packets, cells[at].bytes, sums.flows, sums.packets, sums.bytes)
		}
	}
	for at := range cells {
		if _, there := want[at]; !there && cells[at] != (bucketSums{}) {
			return fmt.Errorf("the bucket of %s has flows, and should not be there", stampTime(at).Format(stampLayout))
		}
	}
	return nil
}

// flows spreads a segment's flows, once.
func (d *deepCheck) flows(s Segment) *spreadFlows {
	if x := d.spread[s.Path]; x != nil {
		return x
	}
	x := &spreadFlows{minutes: map[int64]bucketSums{}}
	d.spread[s.Path] = x
	if d.damaged[s.Path] {
		x.err = errDeleted
		return x
	}
	path, forget, err := Readable(d.ctx, s.Path, "")
	if err == nil {
		defer forget()
		err = Read(path, flow.MaskOf(flow.Start, flow.End, flow.Packets, flow.Bytes, flow.SamplingRate, flow.Exporter, flow.InIf), func(b *flow.Batch) error {
			if d.correct != nil {
				d.correct(b)
			}
			for i := range b.Len() {
				x.add(b, i)
			}
			d.rows += int64(b.Len())
			d.progress(d.done, d.total, d.rows)
			return d.ctx.Err()
		})
	}
	x.err = err
	d.done += s.Bytes
	d.progress(d.done, d.total, d.rows)
	return x
}

// add lays a flow over its minutes: of each counter so much as the part of the
// flow's time that is behind at the minute's end, less what was there before.
func (x *spreadFlows) add(b *flow.Batch, i int) {
	const minute = 60_000
	start := b.Time(flow.Start)[i]
	end := max(start, b.Time(flow.End)[i])
	if end-start > rollup.MaxSpan {
		x.long++
		return
	}
	x.flows++
	rate := uint64(b.U32(flow.SamplingRate)[i])
	packets, octets := times(b.U64(flow.Packets)[i], rate), times(b.U64(flow.Bytes)[i], rate)
	at := floorTo(start, minute)
	sums := bucketSums{flows: 1}
	var before bucketSums
	for {
		until := bucketSums{0, packets, octets}
		if next := at + minute; next < end {
			until = bucketSums{0, share(packets, next-start, end-start), share(octets, next-start, end-start)}
		}
		sums.packets, sums.bytes = until.packets-before.packets, until.bytes-before.bytes
		x.minutes[at] = x.minutes[at].plus(sums)
		if at += minute; at >= end {
			return
		}
		before, sums = until, bucketSums{}
	}
}

// times is a product that stays at the greatest number.
func times(a, b uint64) uint64 {
	high, low := bits.Mul64(a, b)
	if high > 0 {
		return math.MaxUint64
	}
	return low
}

// share is n × part / whole, where part is less than whole.
func share(n uint64, part, whole int64) uint64 {
	high, low := bits.Mul64(n, uint64(part))
	quotient, _ := bits.Div64(high, low, uint64(whole))
	return quotient
}

func floorTo(at, step int64) int64 {
	r := at % step
	if r < 0 {
		r += step
	}
	return at - r
}

// bucketsOf adds up the cells of a part by bucket.
func bucketsOf(path string, cube *rollup.Cube) (map[int64]bucketSums, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	kinds := map[string]flow.Kind{}
	for _, v := range cube.Names() {
		if slices.Contains([]string{rollup.Bucket, "flows", "packets", "bytes"}, v.Name) {
			kinds[v.Name] = v.Kind
		}
	}
	buckets := map[int64]bucketSums{}
	err = readVectors(f, func(name string) (flow.Kind, bool) {
		kind, ok := kinds[name]
		return kind, ok
	}, func(rows int, vectors []flow.Vector) error {
		columns := map[string][]uint64{}
		for _, v := range vectors {
			if len(v.Numbers) != rows {
				return fmt.Errorf("some cells have no %s", v.Name)
			}
			columns[v.Name] = v.Numbers
		}
		if len(columns) != len(kinds) {
			return errors.New("its cells lack a sum, or their bucket")
		}
		for i := range rows {
			at := int64(columns[rollup.Bucket][i])
			buckets[at] = buckets[at].plus(bucketSums{columns["flows"][i], columns["packets"][i], columns["bytes"][i]})
		}
		return nil
	})
	return buckets, err
}
