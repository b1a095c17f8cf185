package rollup

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/minamo-flow/minamo/flow"
)

const noon = 1_795_435_200_000 // 2026-11-23T12:00:00Z

// random flows: durations of nothing to hours, absent columns, rates, huge counters.
func random(n int, r *rand.Rand) *flow.Batch {
	b := flow.NewBatch(n)
	b.Extend(n)
	for i := range n {
		start := noon + r.Int64N(3*3_600_000)
		if r.IntN(20) == 0 {
			start -= start % 60_000
		}
		length := []int64{0, 1, 999, 60_000, r.Int64N(120_000), r.Int64N(8 * 3_600_000), -5000}[r.IntN(7)]
		b.SetUint(flow.Start, i, uint64(start))
		b.SetUint(flow.End, i, uint64(start+length))
		b.SetUint(flow.Packets, i, r.Uint64()>>(20+r.IntN(44)))
		b.SetUint(flow.Bytes, i, r.Uint64()>>(20+r.IntN(44)))
		b.SetUint(flow.SamplingRate, i, []uint64{1, 1, 100, 4096}[r.IntN(4)])
		for c := range Needs.All() {
			if flow.Schema[c].Required || r.IntN(5) == 0 {
				continue
			}
			if flow.Schema[c].Kind == flow.Address {
				b.SetAddr(c, i, flow.AddrFrom4([4]byte{10, 0, byte(r.IntN(2)), byte(r.IntN(5))}))
				if r.IntN(4) == 0 {
					b.SetAddr(c, i, flow.Addr{0x20, 1, 5: byte(r.IntN(2)), 7: byte(r.IntN(3)), 15: byte(r.IntN(3))})
				}
			} else {
				b.SetUint(c, i, []uint64{0, 6, 17, 443, 1 << 40}[r.IntN(5)])
			}
		}
		b.SetAddr(flow.Exporter, i, flow.AddrFrom4([4]byte{192, 0, 2, byte(r.IntN(2))}))
	}
	return b
}

// total of all cells.
func (t *Cells) total() (s Sums) {
	for _, b := range t.buckets {
		for _, c := range b.kept.sums {
			s.add(c)
		}
		for _, c := range b.rest.sums {
			s.add(c)
		}
	}
	return s
}

func TestEveryTableHoldsEverything(t *testing.T) {
	b := random(20_000, rand.New(rand.NewPCG(1, 1)))
	var want Sums
	for i := range b.Len() {
		r := rowOf(b, i)
		want.add(Sums{1, r.packets, r.bytes, r.variance})
	}
	builder := NewBuilder()
	builder.Add(b)
	tables := 0
	err := builder.Tables(func(c *Cells) error {
		tables++
		if got := c.total(); got != want {
			t.Errorf("%s: %+v, want %+v", c.Cube.Table(c.Level), got, want)
		}
		return nil
	})
	if err != nil || tables != len(Cubes)*len(Levels) {
		t.Errorf("%d tables, %v", tables, err)
	}
}

// A cell is what its flows had in that minute: computed anew, flow by flow.
func TestCellsAreWhatFlowsHad(t *testing.T) {
	b := random(500, rand.New(rand.NewPCG(2, 2)))
	type cell struct {
		at       int64
		protocol string
	}
	want := map[cell]Sums{}
	for i := range b.Len() {
		protocol := "-"
		if b.Present[i].Has(flow.Protocol) {
			protocol = fmt.Sprint(b.U8(flow.Protocol)[i])
		}
		start, end := b.Time(flow.Start)[i], max(b.Time(flow.Start)[i], b.Time(flow.End)[i])
		rate := uint64(b.U32(flow.SamplingRate)[i])
		part := func(counter uint64, upTo int64) uint64 { // in floating point it would not be exact
			if upTo >= end {
				return counter
			}
			whole, rest := counter/uint64(end-start), counter%uint64(end-start)
			return whole*uint64(upTo-start) + rest*uint64(upTo-start)/uint64(end-start)
		}
		for at := start / 60_000 * 60_000; at < max(end, start+1); at += 60_000 {
			from := max(at, start)
			s := Sums{Packets: part(b.U64(flow.Packets)[i]*rate, at+60_000), Bytes: part(b.U64(flow.Bytes)[i]*rate, at+60_000)}
			if from > start {
				s.Packets -= part(b.U64(flow.Packets)[i]*rate, from)
				s.Bytes -= part(b.U64(flow.Bytes)[i]*rate, from)
			} else {
				s.Flows = 1
			}
			sum := want[cell{at, protocol}]
			s.Variance = 0
			sum.add(s)
			want[cell{at, protocol}] = sum
		}
	}
	builder := NewBuilder()
	builder.Add(b)
	builder.Tables(func(c *Cells) error {
		if c.Cube.Name != "traffic" || c.Level != Minute {
			return nil
		}
		got := map[cell]Sums{}
		for at, bucket := range c.buckets {
			for i, s := range bucket.kept.sums {
				protocol := "-"
				if v, ok := c.Cube.layout.uint(bucket.kept.key(i), 0); ok {
					protocol = fmt.Sprint(v)
				}
				s.Variance = 0
				sum := got[cell{at, protocol}]
				sum.add(s)
				got[cell{at, protocol}] = sum
			}
		}
		if len(got) != len(want) {
			t.Errorf("%d cells, want %d", len(got), len(want))
		}
		for k, w := range want {
			if got[k] != w {
				t.Errorf("%v: %+v, want %+v", k, got[k], w)
			}
		}
		return nil
	})
}

// A table that went through columns and back, in parts, is the same.
func TestPartsAddUp(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	whole := NewBuilder()
	parts := map[string]*Cells{}
	for range 4 {
		b := random(700, r)
		whole.Add(b)
		part := NewBuilder()
		part.Add(b)
		part.Tables(func(c *Cells) error {
			name := c.Cube.Table(c.Level)
			if parts[name] == nil {
				parts[name] = NewCells(c.Cube, c.Level)
			}
			parts[name].Add(c.Vectors())
			return nil
		})
	}
	whole.Tables(func(c *Cells) error {
		name := c.Cube.Table(c.Level)
		wantRows, want := c.Vectors()
		gotRows, got := parts[name].Vectors()
		if gotRows != wantRows {
			t.Errorf("%s: %d cells, want %d", name, gotRows, wantRows)
		}
		for i := range want {
			if !slices.Equal(got[i].Present, want[i].Present) || !slices.Equal(got[i].Numbers, want[i].Numbers) || !slices.Equal(got[i].Addrs, want[i].Addrs) {
				t.Errorf("%s: column %s differs", name, want[i].Name)
			}
		}
		return nil
	})
}

// What is cut is the lightest, and the rest tells how much nobody in it exceeds.
func TestTheHeaviestAreKept(t *testing.T) {
	const hosts = 5000
	r := rand.New(rand.NewPCG(4, 4))
	truth := map[flow.Addr]uint64{}
	sum := NewCells(srcAddresses, Minute)
	for range 3 {
		b := flow.NewBatch(20_000)
		b.Extend(20_000)
		zipf := rand.NewZipf(r, 1.2, 3, hosts-1)
		for i := range b.Len() {
			host := zipf.Uint64()
			a := flow.AddrFrom4([4]byte{10, 0, byte(host >> 8), byte(host)})
			b.SetAddr(flow.SrcAddr, i, a)
			b.SetUint(flow.Start, i, noon)
			b.SetUint(flow.End, i, noon)
			b.SetUint(flow.Packets, i, 1)
			b.SetUint(flow.Bytes, i, 40+r.Uint64N(1400))
			b.SetUint(flow.SamplingRate, i, 1)
			truth[a] += b.U64(flow.Bytes)[i]
		}
		builder := NewBuilder()
		builder.Add(b)
		builder.Tables(func(c *Cells) error {
			if c.Cube == srcAddresses && c.Level == Minute {
				if c.Len() > srcAddresses.Most[Minute]+1 {
					t.Errorf("%d cells", c.Len())
				}
				sum.Add(c.Vectors())
			}
			return nil
		})
	}
	sum.Cut()
	b := sum.buckets[noon]
	if len(b.info) != 1 || b.info[0].Cells == 0 {
		t.Fatalf("the rest: %+v", b.info)
	}
	kept := 0
	for i, s := range b.kept.sums {
		high, low, _ := srcAddresses.layout.addr(b.kept.key(i), 0)
		a := address(high, low)
		if s.Bytes > truth[a] || s.Bytes+b.info[0].Most.Bytes < truth[a] {
			t.Errorf("%v: %d and at most %d more, truly %d", a, s.Bytes, b.info[0].Most.Bytes, truth[a])
		}
		delete(truth, a)
		kept++
	}
	for a, bytes := range truth {
		if bytes > b.info[0].Most.Bytes {
			t.Errorf("%v is in the rest with %d, more than the most there, %d", a, bytes, b.info[0].Most.Bytes)
		}
	}
	if kept < srcAddresses.Most[Minute]/2 {
		t.Errorf("only %d are kept", kept)
	}
}

func TestLongFlowsAreKeptAside(t *testing.T) {
	b := random(3, rand.New(rand.NewPCG(5, 5)))
	b.SetUint(flow.End, 1, uint64(b.Time(flow.Start)[1]+MaxSpan+1))
	builder := NewBuilder()
	builder.Add(b)
	if builder.Long.Len() != 1 || builder.Long.U64(flow.Bytes)[0] != b.U64(flow.Bytes)[1] {
		t.Errorf("%d flows aside", builder.Long.Len())
	}
}

func BenchmarkBuild(b *testing.B) {
	for _, n := range []int{100_000, 500_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			r := rand.New(rand.NewPCG(6, 6))
			flows := flow.NewBatch(n)
			flows.Extend(n)
			clients, servers := rand.NewZipf(r, 1.1, 8, 200_000), rand.NewZipf(r, 1.3, 4, 20_000)
			for i := range n {
				client, server := clients.Uint64(), servers.Uint64()
				start := noon + int64(i)*60_000*5/int64(n)
				flows.SetUint(flow.Start, i, uint64(start))
				flows.SetUint(flow.End, i, uint64(start+r.Int64N(40_000)))
				flows.SetUint(flow.Packets, i, 1+r.Uint64N(20))
				flows.SetUint(flow.Bytes, i, 100+r.Uint64N(20_000))
				flows.SetUint(flow.SamplingRate, i, 1)
				flows.SetAddr(flow.SrcAddr, i, flow.AddrFrom4([4]byte{100, byte(client >> 16), byte(client >> 8), byte(client)}))
				flows.SetAddr(flow.DstAddr, i, flow.AddrFrom4([4]byte{200, 0, byte(server >> 8), byte(server)}))
				flows.SetAddr(flow.Exporter, i, flow.AddrFrom4([4]byte{10, 0, 0, byte(i / 24 % 4)}))
				flows.SetUint(flow.Protocol, i, []uint64{6, 6, 6, 17}[r.IntN(4)])
				flows.SetUint(flow.SrcPort, i, 32768+r.Uint64N(20000))
				flows.SetUint(flow.DstPort, i, []uint64{443, 443, 80, 53, 22}[r.IntN(5)])
				flows.SetUint(flow.TOS, i, []uint64{0, 0, 0xb8}[r.IntN(3)])
				flows.SetUint(flow.TCPFlags, i, []uint64{2, 16, 24, 27}[r.IntN(4)])
				flows.SetUint(flow.InIf, i, 1+r.Uint64N(12))
				flows.SetUint(flow.OutIf, i, 1+r.Uint64N(12))
				flows.SetUint(flow.SrcAS, i, 64500)
				flows.SetUint(flow.DstAS, i, server%3000)
				flows.SetUint(flow.Direction, i, 0)
			}
			b.ReportAllocs()
			begin := time.Now()
			adding := time.Duration(0)
			cells := 0
			builder := NewBuilder()
			for b.Loop() {
				started := time.Now()
				builder.Add(flows)
				adding += time.Since(started)
				cells = 0
				builder.Tables(func(c *Cells) error { rows, _ := c.Vectors(); cells += rows; return nil })
			}
			b.ReportMetric(float64(time.Since(begin).Nanoseconds())/float64(b.N)/float64(n), "ns/flow")
			b.ReportMetric(float64(adding.Nanoseconds())/float64(b.N)/float64(n), "ns/flow-adding")
			b.ReportMetric(float64(cells), "cells")
		})
	}
}
