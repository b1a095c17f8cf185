package query

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/store"
)

// Of the flows of an address no others are read where there is an index, and
// the answers are those of reading everything.
func TestNarrow(t *testing.T) {
	dir := t.TempDir()
	const parts, rows = 8, 80_000
	host := flow.AddrFrom4([4]byte{203, 0, 113, 77})
	for i := range parts {
		b := flow.NewBatch(rows)
		b.Extend(rows)
		for j := range rows {
			b.SetUint(flow.Start, j, uint64(rolledFrom.UnixMilli()+int64(i)*60_000))
			b.SetUint(flow.End, j, uint64(rolledFrom.UnixMilli()+int64(i)*60_000+int64(j%1000)))
			b.SetUint(flow.Packets, j, uint64(j))
			b.SetUint(flow.Bytes, j, uint64(j))
			b.SetUint(flow.SamplingRate, j, 1)
			b.SetAddr(flow.SrcAddr, j, flow.AddrFrom4([4]byte{10, 0, byte(j >> 8 & 15), byte(j)}))
			if i != 5 { // which lacks the column
				b.SetAddr(flow.DstAddr, j, flow.AddrFrom4([4]byte{10, 1, byte(j >> 8 & 15), byte(j)}))
			}
		}
		switch i {
		case 2:
			b.SetAddr(flow.SrcAddr, 77, host)
		case 3:
			b.SetAddr(flow.DstAddr, 40_000, host)
			b.SetAddr(flow.SrcAddr, 40_000, host)
		case 6: // too many different ones for a dictionary
			for j := range rows {
				b.SetAddr(flow.SrcAddr, j, flow.AddrFrom4([4]byte{11, byte(j >> 16), byte(j >> 8), byte(j)}))
			}
		}
		if _, err := store.WriteSegment(dir, b, rolledFrom.Add(time.Duration(i+1)*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	e := newEngine(t)
	all, err := store.Pin(dir, time.Time{}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	defer all.Close()
	type question struct {
		filter string
		to     time.Time
		rows   int64 // that are read; negative where it is not known
	}
	questions := []question{
		{"host 203.0.113.77", time.Time{}, 2},
		{"src ip 203.0.113.77 and bytes > 10", time.Time{}, 2},
		{"dst ip 203.0.113.77", time.Time{}, 1},
		{"dst ip in [203.0.113.77 192.0.2.1] and proto tcp", time.Time{}, 1},
		{"host 203.0.113.77", rolledFrom.Add(150 * time.Second), 1},
		{"host 192.0.2.1", rolledFrom.Add(150 * time.Second), 0},
		{"host 10.0.0.5", time.Time{}, 7 * 20},
		{"not host 203.0.113.77", time.Time{}, parts * rows},
		{"host 203.0.113.77 or bytes > 79990", time.Time{}, parts * rows},
		{"src net 203.0.113.0/24", time.Time{}, parts * rows},
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 10 {
		host := func() string { return fmt.Sprintf("10.%d.%d.%d", rng.IntN(2), rng.IntN(16), rng.IntN(256)) }
		questions = append(questions,
			question{"host " + host() + " and packets > 40000", rolledFrom.Add(time.Duration(rng.IntN(500)) * time.Second), -1},
			question{"src ip in [" + host() + " " + host() + "] or dst ip 11.0.1." + host()[3:4], time.Time{}, -1})
	}
	for _, c := range questions {
		f := mustParse(t, c.filter)
		src, done, err := narrow(t.Context(), all, time.Time{}, c.to, f)
		if err != nil {
			t.Fatal(err)
		}
		done()
		if got := src.(interface{ Rows() int64 }).Rows(); c.rows >= 0 && got != c.rows {
			t.Errorf("%s until %v: %d rows are read, want %d", c.filter, c.to, got, c.rows)
		}
		ask := func(src Source) (list []string, table *Table) {
			r := Request{Filter: f, To: c.to, By: mustDimensions(t, "ip"), Limit: 1000}
			if _, err := e.Flows(context.Background(), src, r, func(b *flow.Batch) error {
				for i := range b.Len() {
					list = append(list, string(b.AppendJSON(nil, i)))
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			table, err := e.Top(context.Background(), src, r)
			if err != nil {
				t.Fatal(err)
			}
			return list, table
		}
		got, gotTable := ask(all)
		want, wantTable := ask(Files(all.Paths()))
		if !slices.Equal(got, want) {
			t.Errorf("%s: %d flows, want %d", c.filter, len(got), len(want))
		}
		if gotTable.Total != wantTable.Total || len(gotTable.Rows) != len(wantTable.Rows) {
			t.Errorf("%s: %+v, want %+v", c.filter, gotTable.Total, wantTable.Total)
		}
	}
}
