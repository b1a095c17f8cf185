package query

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/store"
)

// The twin of Report counts in plain Go, flow by flow and bucket by bucket.

type twinCell struct {
	Sums
	variance float64
	items    map[string]bool
}

// twinReport is the cells of each group; the last one of a group is of the
// whole range. Flows count where keep lets them pass.
func twinReport(b *flow.Batch, keep func(i int) bool, keys func(i int) []string, item flow.Column, from, to, step int64, raw bool) map[string][]twinCell {
	buckets := int((to - from + step - 1) / step)
	groups := map[string][]twinCell{}
	for i := range b.Len() {
		if !keep(i) {
			continue
		}
		s, e := b.Time(flow.Start)[i], b.Time(flow.End)[i]
		rate := uint64(b.U32(flow.SamplingRate)[i])
		if raw {
			rate = 1
		}
		within := func(counter uint64, begin, end int64) uint64 {
			before := func(t int64) uint64 {
				if t <= s {
					return 0
				}
				if t >= e {
					return counter
				}
				v := new(big.Int).Mul(new(big.Int).SetUint64(counter), big.NewInt(t-s))
				return v.Div(v, big.NewInt(e-s)).Uint64()
			}
			return before(end) - before(begin)
		}
		packets, bytes := b.U64(flow.Packets)[i]*rate, b.U64(flow.Bytes)[i]*rate
		for _, key := range slices.Compact(keys(i)) {
			for n := range buckets + 1 {
				begin, end := from+int64(n)*step, min(from+int64(n+1)*step, to)
				if n == buckets {
					begin, end = from, to
				}
				sums := Sums{Packets: within(packets, begin, end), Bytes: within(bytes, begin, end)}
				if s >= begin && s < end {
					sums.Flows = 1
				}
				if sums == (Sums{}) {
					continue
				}
				if groups[key] == nil {
					groups[key] = make([]twinCell, buckets+1)
				}
				c := &groups[key][n]
				c.add(sums)
				c.variance += float64(within(packets*(rate-1), begin, end))
				if c.items == nil {
					c.items = map[string]bool{}
				}
				c.items[textOf(b, item, i)] = true
			}
		}
	}
	return groups
}

// twinValue is a metric of a group, in a bucket or in the whole range.
func twinValue(m Metric, group []twinCell, n int, seconds, bucket float64) float64 {
	c := group[n]
	switch m {
	case Bytes:
		return float64(c.Bytes)
	case Packets:
		return float64(c.Packets)
	case Flows:
		return float64(c.Flows)
	case BPS:
		return float64(c.Bytes) * 8 / seconds
	case L2BPS:
		return float64(c.Bytes+18*c.Packets) * 8 / seconds
	case PPS:
		return float64(c.Packets) / seconds
	case FPS:
		return float64(c.Flows) / seconds
	case PacketSize:
		if c.Packets == 0 {
			return 0
		}
		return float64(c.Bytes) / float64(c.Packets)
	case Sources, Destinations:
		return float64(len(c.items))
	}
	if n < len(group)-1 {
		return float64(c.Bytes) * 8 / seconds
	}
	var rates []float64
	for _, c := range group[:len(group)-1] {
		rates = append(rates, float64(c.Bytes)*8/bucket)
	}
	slices.Sort(rates)
	if m == Peak {
		return rates[len(rates)-1]
	}
	return rates[int(math.Ceil(0.95*float64(len(rates))))-1]
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-9*max(math.Abs(a), math.Abs(b)) }

func rowKey(r *ReportRow) string {
	var texts []string
	for _, v := range r.Key {
		texts = append(texts, v.Text)
	}
	return strings.Join(texts, "|")
}

// reportFlows are random flows of several routers, some longer than any range.
func reportFlows(seed uint64, n int) *flow.Batch {
	b := sampled(seed, n)
	r := rand.New(rand.NewPCG(seed, 3))
	for i := range b.Len() {
		b.SetAddr(flow.Exporter, i, flow.AddrFrom4([4]byte{192, 0, 2, byte(r.IntN(3))}))
		if r.IntN(30) == 0 {
			b.SetUint(flow.Start, i, epoch-3_600_000)
			b.SetUint(flow.End, i, epoch+uint64(r.IntN(7_200_000)))
		}
	}
	return b
}

func columnKey(b *flow.Batch, list ...flow.Column) func(int) []string {
	return func(i int) []string {
		texts := make([]string, len(list))
		for n, c := range list {
			texts[n] = textOf(b, c, i)
		}
		return []string{strings.Join(texts, "|")}
	}
}

// TestReport holds all metrics to the twin: rows, other, total, series.
func TestReport(t *testing.T) {
	e := newEngine(t)
	b := reportFlows(21, 900)
	files := writeParquet(t, e, b)
	from, to := int64(epoch+600_000), int64(epoch+3_000_000)
	const step = 300_000
	everything := func(int) []string { return []string{""} }
	for by, keys := range map[string]func(int) []string{
		"":            everything,
		"proto":       columnKey(b, flow.Protocol),
		"srcip,proto": columnKey(b, flow.SrcAddr, flow.Protocol),
		"ip":          func(i int) []string { return []string{textOf(b, flow.SrcAddr, i), textOf(b, flow.DstAddr, i)} },
	} {
		for n, m := range Metrics() {
			raw := (n+len(by))%2 == 0
			r := Report{From: time.UnixMilli(from), To: time.UnixMilli(to), Metric: m, Limit: 4, Step: step * time.Millisecond, Raw: raw}
			if by != "" {
				r.By, _ = ParseDimensions(by)
			}
			f, _ := ParseFilter("not dst port 443")
			g, _ := ParseFilter("router ip 192.0.2.0/31")
			r.Filters = []*Filter{f, nil, g}
			keep := func(i int) bool {
				return (!b.Present[i].Has(flow.DstPort) || b.U16(flow.DstPort)[i] != 443) && b.Addr(flow.Exporter)[i][15] < 2
			}
			item := flow.SrcAddr
			if m == Destinations {
				item = flow.DstAddr
			}
			want := twinReport(b, keep, keys, item, from, to, step, raw)
			whole := twinReport(b, keep, everything, item, from, to, step, raw)[""]
			a, err := e.Report(context.Background(), Of(files), r)
			if err != nil {
				t.Fatal(err)
			}
			what := fmt.Sprintf("by %q, %s, raw %v", by, m, raw)
			checkReport(t, what, a, want, whole, step)
			r.Step = 0
			table, err := e.Report(context.Background(), Of(files), r)
			if err != nil {
				t.Fatal(err)
			}
			if m != P95 && m != Peak || table.bucket() == step*time.Millisecond {
				for i := range table.Rows {
					if table.Rows[i].Sums != a.Rows[i].Sums || table.Rows[i].Value != a.Rows[i].Value || rowKey(&table.Rows[i]) != rowKey(&a.Rows[i]) {
						t.Errorf("%s: the table's row %d is %+v, with a series %+v", what, i, table.Rows[i], a.Rows[i])
					}
				}
			}
		}
	}
}

func checkReport(t *testing.T, what string, a *Answer, want map[string][]twinCell, whole []twinCell, step int64) {
	t.Helper()
	buckets := len(a.Times)
	seconds, bucket := a.To.Sub(a.From).Seconds(), float64(step)/1000
	check := func(name string, row *ReportRow, group []twinCell) {
		t.Helper()
		c := group[buckets]
		if row.Sums != c.Sums || !near(row.Value, twinValue(a.Metric, group, buckets, seconds, bucket)) {
			t.Errorf("%s: %s has %+v and %v, want %+v and %v", what, name, row.Sums, row.Value, c.Sums, twinValue(a.Metric, group, buckets, seconds, bucket))
		}
		want := 1.96 * math.Sqrt(c.variance) / float64(max(c.Packets, 1)) * a.Metric.spread(c.Sums) // see TestSpread
		if math.Abs(row.SamplingError-want) > 1e-6*want {
			t.Errorf("%s: %s has a sampling error of %v, want %v", what, name, row.SamplingError, want)
		}
		for n := range buckets {
			if v := twinValue(a.Metric, group, n, bucket, bucket); !near(row.Values[n], v) {
				t.Errorf("%s: %s has %v in bucket %d, want %v", what, name, row.Values[n], n, v)
				break
			}
		}
		if share := row.Value / a.Total.Value; a.Metric.Additive() && row.Share != share || !a.Metric.Additive() && row.Share != 0 {
			t.Errorf("%s: %s has a share of %v", what, name, row.Share)
		}
	}
	check("total", &a.Total, whole)
	rest := make([]twinCell, buckets+1)
	for n := range rest {
		rest[n].items = map[string]bool{}
	}
	left := maps.Clone(want)
	for i := range a.Rows {
		key := rowKey(&a.Rows[i])
		group := left[key]
		if group == nil {
			t.Errorf("%s: there is no group %q", what, key)
			return
		}
		check(key, &a.Rows[i], group)
		delete(left, key)
		if i > 0 && a.Rows[i].Value > a.Rows[i-1].Value {
			t.Errorf("%s: row %d is greater than the one before", what, i)
		}
	}
	for key, group := range left {
		if v := twinValue(a.Metric, group, buckets, seconds, bucket); len(a.Rows) > 0 && v > a.Rows[len(a.Rows)-1].Value*(1+1e-9) {
			t.Errorf("%s: %q has %v and is not among the rows", what, key, v)
		}
		for n := range group {
			rest[n].add(group[n].Sums)
			rest[n].variance += group[n].variance
			maps.Copy(rest[n].items, group[n].items)
		}
	}
	if a.Rest != uint64(len(left)) || (a.Other == nil) != (len(left) == 0) {
		t.Fatalf("%s: %d groups are left out, want %d", what, a.Rest, len(left))
	}
	if a.Other != nil {
		check("other", a.Other, rest)
	}
}

// TestTableIsSumOfSeries: on random data with flows over both borders, by any
// step and any range, a table has exactly what its series has.
func TestTableIsSumOfSeries(t *testing.T) {
	e := newEngine(t)
	b := reportFlows(23, 1500)
	files := writeParquet(t, e, b)
	random := rand.New(rand.NewPCG(23, 4))
	for n := range 40 {
		from := int64(epoch + random.IntN(3_600_000))
		r := Request{From: time.UnixMilli(from), To: time.UnixMilli(from + 1 + random.Int64N(4_000_000)),
			Step: time.Duration(1000+random.IntN(900_000)) * time.Millisecond, Limit: random.IntN(5),
			Order: pick(random, ByBytes, ByPackets, ByFlows), Raw: random.IntN(2) == 0}
		if by := pick(random, "", "proto", "ip", "srcip/24,app", "if"); by != "" {
			r.By, _ = ParseDimensions(by)
		}
		table, err := e.Table(context.Background(), files, r)
		if err != nil {
			t.Fatal(err)
		}
		series, err := e.Series(context.Background(), files, r)
		if err != nil {
			t.Fatal(err)
		}
		if len(table.Rows) != len(series.Series) || (table.Rest > 0) != (series.Other != nil) {
			t.Fatalf("%d: %d rows, %d series", n, len(table.Rows), len(series.Series))
		}
		check := func(what string, sums Sums, s *Series) {
			t.Helper()
			var total Sums
			for i := range s.Bytes {
				total.add(Sums{s.Flows[i], s.Packets[i], s.Bytes[i]})
			}
			if sums != total || s.Total != total {
				t.Errorf("%d: %s has %+v, its series %+v and %+v", n, what, sums, total, s.Total)
			}
		}
		for i := range table.Rows {
			if label(table.Rows[i].Key) != label(series.Series[i].Key) {
				t.Fatalf("%d: row %d is %s, series %s", n, i, label(table.Rows[i].Key), label(series.Series[i].Key))
			}
			check(label(table.Rows[i].Key), table.Rows[i].Sums, &series.Series[i])
		}
		if series.Other != nil {
			check("other", table.Other, series.Other)
		}
	}
}

// TestReportComparesAndMirrors holds both to reports that ask the same directly.
func TestReportComparesAndMirrors(t *testing.T) {
	e := newEngine(t)
	b := reportFlows(25, 700)
	files := writeParquet(t, e, b)
	ask := func(r Report) *Answer {
		t.Helper()
		a, err := e.Report(context.Background(), Of(files), r)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	find := func(a *Answer, key string) ReportRow {
		for _, r := range a.Rows {
			if rowKey(&r) == key {
				return r
			}
		}
		return ReportRow{}
	}
	filter, _ := ParseFilter("src net 10.0.0.0/8 and (in if 2 or dst port > 100 or not src as 64500)")
	turned, _ := ParseFilter("dst net 10.0.0.0/8 and (out if 2 or src port > 100 or not dst as 64500)")
	for n, by := range []string{"srcip,dstport", "srcas,app", "srcnet", "inif", ""} {
		for _, m := range [][]Metric{{BPS, Sources}, {Flows, P95}}[n%2] {
			r := Report{From: time.UnixMilli(epoch + 1_800_000), To: time.UnixMilli(epoch + 3_000_000), Metric: m, Limit: 5, Compare: 20 * time.Minute, Mirror: true, Step: 5 * time.Minute, Filters: []*Filter{filter}}
			if by != "" {
				r.By, _ = ParseDimensions(by)
			}
			got := ask(r)

			plain := r
			plain.Compare, plain.Mirror, plain.Limit = 0, false, 0
			now := ask(plain)
			then := plain
			then.From, then.To = r.From.Add(-r.Compare), r.To.Add(-r.Compare)
			before := ask(then)
			opposite := plain
			opposite.By, opposite.Filters = nil, []*Filter{turned}
			for _, d := range r.By {
				opposite.By = append(opposite.By, d.Swapped())
			}
			other := ask(opposite)

			what := fmt.Sprintf("by %q, %s", by, m)
			for i, row := range got.Rows {
				key := rowKey(&row)
				was, back := find(before, key), find(other, key)
				if got.Earlier.Rows[i].Sums != was.Sums || got.Mirror.Rows[i].Sums != back.Sums || rowKey(&got.Mirror.Rows[i]) != key {
					t.Errorf("%s: %s was %+v and is mirrored %+v, want %+v and %+v", what, key, got.Earlier.Rows[i], got.Mirror.Rows[i], was, back)
				}
				if !slices.Equal(got.Mirror.Rows[i].Values, back.Values) && back.Values != nil {
					t.Errorf("%s: %s is mirrored %v, want %v", what, key, got.Mirror.Rows[i].Values, back.Values)
				}
				c := *row.Change
				if c.Earlier != was.Value || c.By != row.Value-was.Value || c.New != (was.Sums == Sums{}) || was.Value > 0 && c.Part != c.By/was.Value {
					t.Errorf("%s: %s changed %+v from %v to %v", what, key, c, was.Value, row.Value)
				}
			}
			if rest := before.Total.Value; got.Other != nil && m.Additive() {
				for _, row := range got.Rows {
					rest -= find(before, rowKey(&row)).Value
				}
				if c := got.Other.Change; math.Abs(c.Earlier-rest) > 1e-9*before.Total.Value || c.By != got.Other.Value-c.Earlier {
					t.Errorf("%s: others changed %+v, from %v", what, *c, rest)
				}
			}
			// Who was among the first five then and is not now.
			var gone []string
			for _, row := range before.Rows[:min(5, len(before.Rows))] {
				if find(got, rowKey(&row)).Key == nil && by != "" {
					gone = append(gone, rowKey(&row))
				}
			}
			var left []string
			for _, row := range got.Left {
				left = append(left, rowKey(&row))
				is := find(now, rowKey(&row))
				if row.Sums != is.Sums || row.Change.Gone != (is.Sums == Sums{}) || row.Change.Earlier != find(before, rowKey(&row)).Value {
					t.Errorf("%s: %s left with %+v %+v, is %+v", what, rowKey(&row), row.Sums, row.Change, is.Sums)
				}
			}
			if !slices.Equal(gone, left) {
				t.Errorf("%s: %v left, want %v", what, left, gone)
			}
			if got.Earlier.Total.Sums != before.Total.Sums || got.Total.Change.Earlier != before.Total.Value {
				t.Errorf("%s: total then %+v, want %+v", what, got.Earlier.Total, before.Total)
			}
		}
	}
}

// TestScope counts by hand which egress records are second copies.
func TestScope(t *testing.T) {
	e := newEngine(t)
	b := flow.NewBatch(1)
	add := func(router byte, inIf, direction int, bytes uint64) {
		i := b.Extend(1)
		b.SetAddr(flow.Exporter, i, flow.AddrFrom4([4]byte{192, 0, 2, router}))
		b.SetUint(flow.Start, i, epoch)
		b.SetUint(flow.End, i, epoch+1000)
		b.SetUint(flow.Packets, i, 1)
		b.SetUint(flow.Bytes, i, bytes)
		b.SetUint(flow.SamplingRate, i, 1)
		if inIf >= 0 {
			b.SetUint(flow.InIf, i, uint64(inIf))
		}
		if direction >= 0 {
			b.SetUint(flow.Direction, i, uint64(direction))
		}
	}
	ask := func(s Scope) uint64 {
		t.Helper()
		a, err := e.Report(context.Background(), Of(writeParquet(t, e, b)), Report{Scope: s, From: time.UnixMilli(epoch), To: time.UnixMilli(epoch + 2000)})
		if err != nil {
			t.Fatal(err)
		}
		return a.Total.Bytes
	}
	check := func(all, ingress, egress, once uint64) {
		t.Helper()
		if got := [4]uint64{ask(ScopeAll), ask(ScopeIngress), ask(ScopeEgress), ask(ScopeOnce)}; got != [4]uint64{all, ingress, egress, once} {
			t.Errorf("all, ingress, egress, once count %v, want %v", got, [4]uint64{all, ingress, egress, once})
		}
	}
	check(0, 0, 0, 0)
	add(1, 7, -1, 1) // says nothing
	check(1, 1, 0, 1)
	add(1, 7, 0, 10)
	check(11, 11, 0, 11)
	add(1, 7, 1, 100) // a second copy: all egress records are
	check(111, 11, 100, 11)
	add(1, 8, 1, 1000) // nobody else tells of interface 8
	check(1111, 11, 1100, 1011)
	add(2, 7, 1, 10_000) // nor of this router's interface 7
	check(11_111, 11, 11_100, 11_011)
	add(3, -1, 0, 100_000) // a router without input interfaces
	add(3, -1, 1, 1_000_000)
	check(1_111_111, 100_011, 1_011_100, 111_011)
}

// TestMetricsFromRollups: from rollups all metrics are what they are from
// flows, of rows, of what is left out, and of all.
func TestMetricsFromRollups(t *testing.T) {
	dir := rolledUp(t, 3000)
	e := newEngine(t)
	for i, by := range []string{"proto", "exporter,in_if", ""} {
		for j, m := range Metrics() {
			if m == Sources || m == Destinations || (i+j)%2 == 0 {
				continue // only flows tell; time enough for half of them
			}
			r := Report{From: rolledFrom.Add(30 * time.Minute), To: rolledFrom.Add(27 * time.Hour), Metric: m, Limit: 2, Compare: 5 * time.Hour}
			if by != "" {
				r.By, _ = ParseDimensions(by)
			}
			if j%4 == 0 {
				r.Step = time.Hour
			}
			got, err := e.Report(context.Background(), Dir(dir), r)
			if err != nil {
				t.Fatal(err)
			}
			r.FromFlows = true
			want, err := e.Report(context.Background(), Dir(dir), r)
			if err != nil {
				t.Fatal(err)
			}
			plain := func(a *Answer) string {
				text := fmt.Sprint(plainAnswer(a), plainAnswer(a.Earlier))
				if a.Other != nil {
					text += fmt.Sprint(a.Other.Value, a.Other.Share)
				}
				return text
			}
			if g, w := plain(got), plain(want); g != w {
				t.Errorf("by %q, %s, from %v\n%s\nfrom flows\n%s", by, m, got.Stats.Tables, g, w)
			}
			if len(got.Stats.Tables) < 2 || !slices.Equal(want.Stats.Tables, []string{"flows"}) || !got.Exact {
				t.Errorf("by %q, %s: answered by %v and %v, exact %v", by, m, got.Stats.Tables, want.Stats.Tables, got.Exact)
			}
		}
	}
}

// TestPeakLacksAsTold: of addresses that rollups cut, no peak is greater than
// the truth, or less by more than the answer says; all others and the total
// have everything.
func TestPeakLacksAsTold(t *testing.T) {
	const n = 20_000 // more pairs in a minute than rollups keep
	random := rand.New(rand.NewPCG(31, 5))
	b := flow.NewBatch(n)
	for range n {
		i := b.Extend(1)
		start := uint64(rolledFrom.UnixMilli() + random.Int64N(600_000))
		b.SetUint(flow.Received, i, start)
		b.SetUint(flow.Start, i, start)
		b.SetUint(flow.End, i, start+random.Uint64N(60_000))
		b.SetUint(flow.SamplingRate, i, 1)
		b.SetUint(flow.Packets, i, 1)
		b.SetUint(flow.Bytes, i, 40+random.Uint64N(1400)*random.Uint64N(1400))
		host := min(random.IntN(2500), random.IntN(2500))
		b.SetAddr(flow.SrcAddr, i, flow.AddrFrom4([4]byte{10, 0, byte(host >> 8), byte(host)}))
		b.SetAddr(flow.DstAddr, i, flow.AddrFrom4([4]byte{10, 1, byte(random.IntN(256)), byte(random.IntN(256))}))
	}
	dir := t.TempDir()
	if _, err := store.WriteSegment(dir, b, rolledFrom.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(store.Config{Dir: dir}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Compact(context.Background(), nil), s.Close()); err != nil {
		t.Fatal(err)
	}
	e := newEngine(t)
	by, _ := ParseDimensions("srcip,dstip")
	r := Report{From: rolledFrom, To: rolledFrom.Add(10 * time.Minute), Metric: Peak, By: by}
	got, err := e.Report(context.Background(), Dir(dir), r)
	if err != nil {
		t.Fatal(err)
	}
	r.FromFlows = true
	want, err := e.Report(context.Background(), Dir(dir), r)
	if err != nil {
		t.Fatal(err)
	}
	if got.Exact || got.Missing <= 0 || !want.Exact || len(got.Rows) == 0 || len(got.Rows) >= len(want.Rows) {
		t.Fatalf("from rollups exact %v with %d rows, from flows %v with %d", got.Exact, len(got.Rows), want.Exact, len(want.Rows))
	}
	truth := map[string]float64{}
	for i := range want.Rows {
		truth[rowKey(&want.Rows[i])] = want.Rows[i].Value
	}
	for i := range got.Rows {
		row := &got.Rows[i]
		if v := truth[rowKey(row)]; row.Value > v || row.Value+got.Missing < v {
			t.Errorf("%s has a peak of %v and lacks %v at most, truly it is %v", rowKey(row), row.Value, got.Missing, v)
		}
	}
	if got.Total.Value != want.Total.Value || got.Total.Sums != want.Total.Sums || got.Other == nil || got.Other.Value > got.Total.Value {
		t.Errorf("total %v, truly %v; other %v", got.Total.Value, want.Total.Value, got.Other)
	}
}

// TestReportRange: the range is rounded as Report says, and the answer tells.
func TestReportRange(t *testing.T) {
	e := newEngine(t)
	b := reportFlows(27, 50)
	files := writeParquet(t, e, b)
	at := func(text string) time.Time {
		v, err := time.Parse("2006-01-02T15:04:05.000", text)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, c := range []struct {
		from, to, usedFrom, usedTo string
		metric                     Metric
		step                       time.Duration
	}{
		{"2026-01-01T10:00:10.500", "2026-01-01T10:00:40.000", "2026-01-01T10:00:10.500", "2026-01-01T10:00:40.000", BPS, 0},
		{"2026-01-01T10:00:10.500", "2026-01-01T10:05:40.000", "2026-01-01T10:00:00.000", "2026-01-01T10:06:00.000", BPS, 0},
		{"2026-01-01T10:29:00.000", "2026-01-03T10:31:00.000", "2026-01-01T10:00:00.000", "2026-01-03T11:00:00.000", BPS, 0},
		{"2026-01-01T10:29:00.000", "2026-01-03T10:29:00.000", "2026-01-01T10:29:00.000", "2026-01-03T10:29:00.000", BPS, 0},
		{"2026-01-01T10:02:00.000", "2026-01-01T10:58:00.000", "2026-01-01T10:00:00.000", "2026-01-01T11:00:00.000", P95, 0},
		{"2026-01-01T10:02:00.000", "2026-01-01T10:03:00.000", "2026-01-01T10:00:00.000", "2026-01-01T10:05:00.000", Peak, 0},
		{"2026-01-01T10:02:00.000", "2026-01-01T10:29:00.000", "2026-01-01T10:00:00.000", "2026-01-01T10:30:00.000", P95, 15 * time.Minute},
	} {
		a, err := e.Report(context.Background(), Of(files), Report{From: at(c.from), To: at(c.to), Metric: c.metric, Step: c.step})
		if err != nil {
			t.Fatal(err)
		}
		if !a.From.Equal(at(c.usedFrom)) || !a.To.Equal(at(c.usedTo)) {
			t.Errorf("%s to %s became %v to %v", c.from, c.to, a.From, a.To)
		}
	}
	a, err := e.Report(context.Background(), Of(files), Report{})
	if err != nil {
		t.Fatal(err)
	}
	var want Sums
	for i := range b.Len() {
		rate := uint64(b.U32(flow.SamplingRate)[i])
		want.add(Sums{1, b.U64(flow.Packets)[i] * rate, b.U64(flow.Bytes)[i] * rate})
	}
	if a.Total.Sums != want || a.From.Second() != 0 || a.To.Second() != 0 {
		t.Errorf("without a range: %+v from %v to %v, want %+v", a.Total.Sums, a.From, a.To, want)
	}
	if a, err = e.Report(context.Background(), Of(Files(nil)), Report{}); err != nil || a.Total.Sums != (Sums{}) {
		t.Errorf("without flows: %+v, %v", a, err)
	}
	for _, r := range []Report{
		{Metric: "bits"}, {Scope: "twice"}, {Limit: -1}, {Step: -1}, {Compare: -1},
		{From: at("2026-01-01T10:00:00.000"), To: at("2026-01-01T10:00:00.000")},
		{From: at("2026-01-01T10:00:00.000"), To: at("2026-01-03T10:00:00.000"), Step: time.Second},
	} {
		if _, err := e.Report(context.Background(), Of(files), r); err == nil {
			t.Errorf("%+v is not refused", r)
		}
	}
}

// TestStandardReports asks each of them, and its mirror.
func TestStandardReports(t *testing.T) {
	e := newEngine(t)
	files := writeParquet(t, e, reportFlows(29, 300))
	for _, s := range StandardReports() {
		if found, err := ParseStandardReport(s.Name); err != nil || found.Title != s.Title {
			t.Errorf("%s is not found: %v", s.Name, err)
		}
		if s.Title == "" || len(s.Doc) < 80 || !strings.HasSuffix(s.Doc, ".") {
			t.Errorf("%s is not explained", s.Name)
		}
		if _, err := ParseMetric(string(s.Metric)); err != nil || s.Metric == "" {
			t.Errorf("%s: %v", s.Name, err)
		}
		a, err := e.Report(context.Background(), Of(files), Report{By: s.Dimensions(), Metric: s.Metric, Limit: 3, Mirror: true})
		if err != nil {
			t.Errorf("%s: %v", s.Name, err)
		} else if len(a.Rows) == 0 || len(a.Mirror.Rows) != len(a.Rows) {
			t.Errorf("%s: %d rows, mirrored %d", s.Name, len(a.Rows), len(a.Mirror.Rows))
		}
	}
	if _, err := ParseStandardReport("aplication"); err == nil || !strings.Contains(err.Error(), `"application"`) {
		t.Errorf("a misspelt name gives %v", err)
	}
}
