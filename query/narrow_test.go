package query

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/store"
)

// Only the row groups that have an address are read for its flows, and they
// are all of its flows.
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
	for _, c := range []struct {
		filter string
		to     time.Time
		rows   int64 // that are read: parts times rows
	}{
		{"host 203.0.113.77", time.Time{}, 2},
		{"src ip 203.0.113.77 and bytes > 10", time.Time{}, 2},
		{"dst ip 203.0.113.77", time.Time{}, 1},
		{"dst ip in [203.0.113.77 192.0.2.1] and proto tcp", time.Time{}, 1},
		{"host 203.0.113.77", rolledFrom.Add(150 * time.Second), 1},
		{"host 192.0.2.1", rolledFrom.Add(150 * time.Second), 0},
		{"host 10.0.0.5", time.Time{}, parts},
		{"not host 203.0.113.77", time.Time{}, parts},
		{"host 203.0.113.77 or bytes > 79990", time.Time{}, parts},
		{"src net 203.0.113.0/24", time.Time{}, parts},
	} {
		f := mustParse(t, c.filter)
		src, err := narrow(t.Context(), all, time.Time{}, c.to, f)
		if err != nil {
			t.Fatal(err)
		}
		if got := src.(interface{ Rows() int64 }).Rows(); got != c.rows*rows {
			t.Errorf("%s until %v: %d rows are read, want %d", c.filter, c.to, got, c.rows*rows)
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
