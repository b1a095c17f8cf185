package query

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minamo-flow/minamo/flow"
)

func dimensionsOf(t *testing.T, list string) []Dimension {
	t.Helper()
	by, err := ParseDimensions(list)
	if err != nil {
		t.Fatal(err)
	}
	return by
}

func filterOf(t *testing.T, text string) *Filter {
	t.Helper()
	f, err := ParseFilter(text)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestTopFolds holds folded groups to flows that are counted one by one.
func TestTopFolds(t *testing.T) {
	b := randomFlows(11, 1500)
	e := newEngine(t)
	files := writeParquet(t, e, b)
	text := func(i int, columns ...flow.Column) string {
		s := ""
		for _, c := range columns {
			s += ","
			if b.Present[i].Has(c) {
				s += string(b.AppendText(nil, c, i))
			}
		}
		return s
	}
	class := func(i int, c flow.Column) int { // of a port
		v, n := b.Uint(c, i), 0
		for _, from := range []uint64{1024, 32768, 49152} {
			if b.Present[i].Has(c) && v >= from {
				n++
			}
		}
		return n
	}
	for _, c := range []struct {
		by       string
		fold     Fold
		src, dst []flow.Column
	}{
		{"srcip,dstip", FoldByStart, []flow.Column{flow.SrcAddr}, []flow.Column{flow.DstAddr}},
		{"dstas,inif,srcas,outif", FoldByStart, []flow.Column{flow.SrcAS, flow.InIf}, []flow.Column{flow.DstAS, flow.OutIf}},
		{"proto,srcip,dstip,srcport,dstport", FoldByStart, []flow.Column{flow.SrcAddr, flow.SrcPort}, []flow.Column{flow.DstAddr, flow.DstPort}},
		{"proto,srcip,dstip,srcport,dstport", FoldByPort, []flow.Column{flow.SrcAddr, flow.SrcPort}, []flow.Column{flow.DstAddr, flow.DstPort}},
	} {
		type connection struct {
			start, end int64
			forward    string // the direction that the first flow has
			sums, out  Sums   // out: against the first flow
			turn       bool
		}
		connections := map[string]*connection{}
		order := make([]int, b.Len())
		for i := range order {
			order[i] = i
		}
		slices.SortStableFunc(order, func(i, j int) int { return int(b.Time(flow.Start)[i] - b.Time(flow.Start)[j]) })
		neutral := ""
		for _, i := range order {
			if strings.HasPrefix(c.by, "proto") {
				neutral = text(i, flow.Protocol)
			}
			there, back := text(i, c.src...), text(i, c.dst...)
			key := neutral + min(there, back) + max(there, back)
			f := connections[key]
			if f == nil {
				f = &connection{start: b.Time(flow.Start)[i], forward: there}
				if c.fold == FoldByPort {
					f.turn = class(i, flow.SrcPort) < class(i, flow.DstPort)
				}
				connections[key] = f
			}
			f.end = max(f.end, b.Time(flow.End)[i])
			n := Sums{1, b.U64(flow.Packets)[i], b.U64(flow.Bytes)[i]}
			f.sums.add(n)
			if there != f.forward {
				f.out.add(Sums{0, n.Packets, n.Bytes})
			}
		}
		by := dimensionsOf(t, c.by)
		table, err := e.Top(t.Context(), files, Request{By: by, Fold: c.fold})
		if err != nil {
			t.Fatal(err)
		}
		if len(table.Rows) != len(connections) || table.Total.Flows != uint64(b.Len()) {
			t.Errorf("%s: %d groups of %d flows, want %d of %d", c.by, len(table.Rows), table.Total.Flows, len(connections), b.Len())
		}
		met := 0
		for _, row := range table.Rows {
			values := map[string]string{}
			for i, d := range by {
				values[d.Name] = row.Key[i].Text
			}
			side := func(columns []flow.Column) (s string) {
				for _, column := range columns {
					s += "," + values[column.String()]
				}
				return s
			}
			neutral := ""
			if strings.HasPrefix(c.by, "proto") {
				neutral = "," + values["protocol"]
			}
			there, back := side(c.src), side(c.dst)
			f := connections[neutral+min(there, back)+max(there, back)]
			if f == nil {
				t.Errorf("%s: %v is no connection", c.by, row.Label())
				continue
			}
			out := f.out
			if f.turn {
				out = Sums{0, f.sums.Packets - out.Packets, f.sums.Bytes - out.Bytes}
				there, back = back, there
			}
			if row.Sums != f.sums || row.Out != out || there != f.forward || row.First.UnixMilli() != f.start || row.Last.UnixMilli() != f.end {
				t.Errorf("%s: %s is %+v, out %+v, %v to %v, want %+v", c.by, row.Label(), row.Sums, row.Out, row.First.UnixMilli(), row.Last.UnixMilli(), *f)
			}
			if out.Packets > 0 && out.Packets < row.Packets {
				met++
			}
		}
		if met == 0 && !strings.Contains(c.by, "port") {
			t.Errorf("%s: no two directions meet: this proves nothing", c.by)
		}
	}
	for by, want := range map[string]string{
		"srcip": "with src_addr group by dst_addr too", "ip,srcip,dstip": "ip has no direction", "proto": "something of both sides", "srcip/24,dstip/25": "dst_addr/24",
	} {
		if _, err := e.Top(t.Context(), files, Request{By: dimensionsOf(t, by), Fold: FoldByStart}); !errors.Is(err, ErrRequest) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", by, err, want)
		}
	}
}

// TestTopHaving compares the groups of a condition with those of all that meet it.
func TestTopHaving(t *testing.T) {
	e := newEngine(t)
	files := writeParquet(t, e, randomFlows(12, 1500))
	second := func(r *Row) uint64 { return uint64(r.Last.Sub(r.First).Milliseconds()) }
	for _, c := range []struct {
		by, having string
		keeps      func(r *Row) bool
	}{
		{"srcip", "bytes > 10m", func(r *Row) bool { return r.Bytes > 10_000_000 }},
		{"srcip", "flows > 20 and not packets < 1000", func(r *Row) bool { return r.Flows > 20 && r.Packets >= 1000 }},
		{"srcip,dstport", "bps > 1k or pps > 10", func(r *Row) bool {
			ms := second(r)
			return ms > 0 && (r.Bytes*8000/ms > 1000 || r.Packets*1000/ms > 10)
		}},
		{"proto", "bpp < 600 or duration > 3600000", func(r *Row) bool { return r.Bytes/max(r.Packets, 1) < 600 || second(r) > 3_600_000 }},
		{"srcip,dstip", "src net 10.1.0.0/16 and dst ip in [10.0.0.0/8]", func(r *Row) bool {
			return strings.HasPrefix(r.Key[0].Text, "10.1.") && strings.HasPrefix(r.Key[1].Text, "10.")
		}},
		{"srcip/24/40", "src net 10.1.0.0/16 or src net 2001:db8::/32", func(r *Row) bool {
			return strings.HasPrefix(r.Key[0].Text, "10.1.") || strings.Contains(r.Key[0].Text, ":")
		}},
		{"ip", "ip 10.0.0.1", func(r *Row) bool { return r.Key[0].Text == "10.0.0.1" }},
		{"start", "start < 2026-11-22T00:30:00Z", func(r *Row) bool { return r.First.Before(time.UnixMilli(epoch).Add(30 * time.Minute)) }},
		{"dstport", "not dst port present", func(r *Row) bool { return !r.Key[0].Present }},
	} {
		by := dimensionsOf(t, c.by)
		all, err := e.Top(t.Context(), files, Request{By: by})
		if err != nil {
			t.Fatal(err)
		}
		got, err := e.Top(t.Context(), files, Request{By: by, Having: filterOf(t, c.having)})
		if err != nil {
			t.Errorf("%s: %v", c.having, err)
			continue
		}
		var want []string
		var kept Sums
		for i := range all.Rows {
			if c.keeps(&all.Rows[i]) {
				want = append(want, fmt.Sprint(all.Rows[i].Label(), all.Rows[i].Sums))
				kept.add(all.Rows[i].Sums)
			}
		}
		var rows []string
		for i := range got.Rows {
			rows = append(rows, fmt.Sprint(got.Rows[i].Label(), got.Rows[i].Sums))
		}
		if !slices.Equal(rows, want) || len(want) == 0 || len(want) == len(all.Rows) {
			t.Errorf("%s having %s: %d of %d groups, want %d", c.by, c.having, len(rows), len(all.Rows), len(want))
		}
		sum := got.Other
		sum.add(kept)
		var together Sums
		for _, row := range all.Rows {
			together.add(row.Sums)
		}
		if sum != together || got.Total != all.Total || got.Rest != uint64(len(all.Rows)-len(want)) {
			t.Errorf("%s having %s: kept and other make %+v of %+v, %d left out", c.by, c.having, sum, together, got.Rest)
		}
	}
	for having, want := range map[string]string{"dst port 80": "no dst_port to filter by: they have src_addr", "tos 0": "no tos", "flags S": "no tcp_flags"} {
		_, err := e.Top(t.Context(), files, Request{By: dimensionsOf(t, "srcip"), Having: filterOf(t, having)})
		if !errors.Is(err, ErrRequest) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", having, err, want)
		}
	}
}

// TestTops: several orders give what each alone gives, also turned round.
func TestTops(t *testing.T) {
	e := newEngine(t)
	files := writeParquet(t, e, randomFlows(13, 600))
	by := dimensionsOf(t, "srcip,dstip")
	var orders []Order
	for o := range orderings {
		for _, direction := range []string{"", ":a", ":d"} {
			parsed, err := ParseOrder(string(o) + direction)
			if err != nil {
				t.Fatal(err)
			}
			orders = append(orders, parsed)
		}
	}
	tables, err := e.Tops(t.Context(), files, Request{By: by, Limit: 20, Fold: FoldByStart}, orders...)
	if err != nil {
		t.Fatal(err)
	}
	labels := func(table *Table) (s []string) {
		for i := range table.Rows {
			s = append(s, table.Rows[i].Label())
		}
		return s
	}
	for i, o := range orders {
		alone := tables[i]
		if i%7 == 0 { // of all it takes too long
			alone, err = e.Top(t.Context(), files, Request{By: by, Limit: 20, Fold: FoldByStart, Order: o})
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := labels(tables[i]); !slices.Equal(got, labels(alone)) || len(got) != 20 || tables[i].Other != alone.Other {
			t.Errorf("%s: %v with others, %v alone", o, got, labels(alone))
		}
		var values []float64
		for _, row := range tables[i].Rows {
			values = append(values, float64(map[string]uint64{
				"flows": row.Flows, "packets": row.Packets, "bytes": row.Bytes, "obytes": row.Out.Bytes, "ibytes": row.Bytes - row.Out.Bytes,
				"duration": uint64(row.Last.Sub(row.First)), "tstart": uint64(row.First.UnixMilli()), "newest": uint64(row.First.UnixMilli()),
			}[strings.TrimSuffix(strings.TrimSuffix(string(o), ":a"), ":d")]))
		}
		if o == ByStart || strings.HasSuffix(string(o), ":a") {
			slices.Reverse(values)
		}
		slices.Reverse(values)
		if !slices.IsSorted(values) && o != ByEnd {
			t.Errorf("%s: out of order: %v", o, values)
		}
	}
	for _, name := range []string{"byts", "bytes:x", "bytes:", ""} {
		if o, err := ParseOrder(name); err == nil {
			t.Errorf("%q is the order %q", name, o)
		}
	}
}

// TestTopOfTheFirst counts the flows that are listed first.
func TestTopOfTheFirst(t *testing.T) {
	e := newEngine(t)
	files := writeParquet(t, e, randomFlows(14, 1000))
	r := Request{Filter: filterOf(t, "proto tcp"), Limit: 100}
	var want Sums
	if _, err := e.Flows(t.Context(), files, r, func(b *flow.Batch) error {
		for i := range b.Len() {
			want.add(Sums{1, b.U64(flow.Packets)[i], b.U64(flow.Bytes)[i]})
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, by := range []string{"proto", "srcip", "ip"} {
		table, err := e.Top(t.Context(), files, Request{Filter: r.Filter, First: 100, By: dimensionsOf(t, by)})
		if err != nil || table.Total != want {
			t.Errorf("by %s: %+v, %v, want %+v", by, table.Total, err, want)
		}
	}
}

// TestGroupsAsFlows: further columns have a value where all flows agree.
func TestGroupsAsFlows(t *testing.T) {
	b := randomFlows(15, 400)
	e := newEngine(t)
	files := writeParquet(t, e, b)
	columns := []flow.Column{flow.TCPFlags, flow.InIf, flow.SrcMAC, flow.NextHop, flow.ICMPType, flow.DstAddr, flow.Bytes}
	table, err := e.Top(t.Context(), files, Request{By: dimensionsOf(t, "srcip,dstip,srcip/24/48"), Columns: columns})
	if err != nil {
		t.Fatal(err)
	}
	got := flow.NewBatch(1)
	table.AppendTo(got, 0, len(table.Rows))
	if got.Len() != len(table.Rows) {
		t.Fatalf("%d rows of %d groups", got.Len(), len(table.Rows))
	}
	agreed, differed := 0, 0
	for i, row := range table.Rows {
		values := map[flow.Column]map[string]bool{}
		var flags uint64
		for k := range b.Len() {
			// The prefix came later and is what src_addr was set to last.
			if b.Addr(flow.SrcAddr)[k].String() != row.Key[0].Text || b.Addr(flow.DstAddr)[k].String() != row.Key[1].Text {
				continue
			}
			flags |= b.Uint(flow.TCPFlags, k)
			for _, c := range columns {
				if values[c] == nil {
					values[c] = map[string]bool{}
				}
				text := ""
				if b.Present[k].Has(c) {
					text = string(b.AppendText(nil, c, k))
				}
				values[c][text] = true
			}
		}
		if got.Uint(flow.TCPFlags, i) != flags || got.U64(flow.Bytes)[i] != row.Bytes || string(got.AppendText(nil, flow.DstAddr, i)) != row.Key[1].Text {
			t.Errorf("%s: flags %#x, want %#x", row.Label(), got.Uint(flow.TCPFlags, i), flags)
		}
		for _, c := range []flow.Column{flow.InIf, flow.SrcMAC, flow.NextHop, flow.ICMPType} {
			want := ""
			if len(values[c]) == 1 {
				for want = range values[c] {
				}
				agreed++
			} else {
				differed++
			}
			text := ""
			if got.Present[i].Has(c) {
				text = string(got.AppendText(nil, c, i))
			}
			if text != want {
				t.Errorf("%s: %s is %q, want %q of %v", row.Label(), c, text, want, values[c])
			}
		}
	}
	if agreed < 20 || differed < 20 {
		t.Errorf("%d agree, %d differ: this proves little", agreed, differed)
	}
}
