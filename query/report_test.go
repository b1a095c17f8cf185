package query

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/minamo-flow/minamo/flow"
)

// The twins below compute in plain Go, flow by flow, what DuckDB should say.

type group struct {
	Sums
	first, last int64
}

// twinTop groups rows [0, n) that keep lets pass; keys gives the keys of a row.
func twinTop(b *flow.Batch, keep func(i int) bool, keys func(i int) []string) (groups map[string]*group, total Sums) {
	groups = map[string]*group{}
	for i := range b.Len() {
		if !keep(i) {
			continue
		}
		rate := uint64(b.U32(flow.SamplingRate)[i])
		sums := Sums{1, b.U64(flow.Packets)[i] * rate, b.U64(flow.Bytes)[i] * rate}
		total.add(sums)
		for _, key := range slices.Compact(keys(i)) {
			g := groups[key]
			if g == nil {
				g = &group{first: b.Time(flow.Start)[i]}
				groups[key] = g
			}
			g.add(sums)
			g.first = min(g.first, b.Time(flow.Start)[i])
			g.last = max(g.last, b.Time(flow.End)[i])
		}
	}
	return groups, total
}

// sampled gives random flows random sampling rates.
func sampled(seed uint64, n int) *flow.Batch {
	b := randomFlows(seed, n)
	r := rand.New(rand.NewPCG(seed, 2))
	for i := range n {
		b.SetUint(flow.SamplingRate, i, pick[uint64](r, 1, 10, 1000))
	}
	return b
}

func textOf(b *flow.Batch, c flow.Column, i int) string {
	if !b.Present[i].Has(c) {
		return ""
	}
	return string(b.AppendText(nil, c, i))
}

func prefixOf(a flow.Addr, v4, v6 int) string {
	bits := v6
	if a.Is4() {
		bits = v4
	}
	p, _ := a.Netip().Prefix(bits)
	return p.String()
}

// route is an address cut to its mask's length.
func route(b *flow.Batch, address, mask flow.Column, i int) string {
	if !b.Present[i].Has(address) || !b.Present[i].Has(mask) {
		return ""
	}
	n := int(b.U8(mask)[i])
	return prefixOf(b.Addr(address)[i], n, n)
}

func TestTop(t *testing.T) {
	e := newEngine(t)
	b := sampled(7, 1200)
	files := writeParquet(t, e, b, flow.SamplerID)
	half := 600 // and the same rows as two files
	one, two := flow.NewBatch(half), flow.NewBatch(half)
	one.Append(b, 0, half)
	two.Append(b, half, b.Len())
	split := append(writeParquet(t, e, one), writeParquet(t, e, two, flow.InVRF)...)

	column := func(list ...flow.Column) func(int) []string {
		return func(i int) []string {
			var keys []string
			for _, c := range list {
				keys = append(keys, textOf(b, c, i))
			}
			return keys
		}
	}
	for by, keys := range map[string]func(int) []string{
		"srcip": column(flow.SrcAddr), "dstport": column(flow.DstPort), "proto": column(flow.Protocol), "sampler_id": column(flow.SamplerID),
		"ip": column(flow.SrcAddr, flow.DstAddr), "port": column(flow.SrcPort, flow.DstPort), "as": column(flow.SrcAS, flow.DstAS),
		"if": column(flow.InIf, flow.OutIf), "vlan": column(flow.SrcVLAN, flow.DstVLAN), "srcmac": column(flow.SrcMAC), "start": column(flow.Start),
		"srcip/24":   func(i int) []string { return []string{prefixOf(b.Addr(flow.SrcAddr)[i], 24, 128)} },
		"srcip4/23":  func(i int) []string { return []string{prefixOf(b.Addr(flow.SrcAddr)[i], 23, 128)} },
		"dstip/47":   func(i int) []string { return []string{prefixOf(b.Addr(flow.DstAddr)[i], 32, 47)} },
		"dstip/9/41": func(i int) []string { return []string{prefixOf(b.Addr(flow.DstAddr)[i], 9, 41)} },
		"dstip/0/0":  func(i int) []string { return []string{prefixOf(b.Addr(flow.DstAddr)[i], 0, 0)} },
		"ip/31/126": func(i int) []string {
			return []string{prefixOf(b.Addr(flow.SrcAddr)[i], 31, 126), prefixOf(b.Addr(flow.DstAddr)[i], 31, 126)}
		},
		"srcip,proto": func(i int) []string { return []string{textOf(b, flow.SrcAddr, i) + "|" + textOf(b, flow.Protocol, i)} },
		"ip,port": func(i int) []string {
			return []string{textOf(b, flow.SrcAddr, i) + "|" + textOf(b, flow.SrcPort, i), textOf(b, flow.DstAddr, i) + "|" + textOf(b, flow.DstPort, i)}
		},
		"app": func(i int) []string { return []string{twinApp(b, i)} },
		"duration": func(i int) []string {
			ms, lower := b.Time(flow.End)[i]-b.Time(flow.Start)[i], int64(0)
			for _, upper := range []int64{1, 100, 1000, 10_000, 60_000, 300_000, 1_800_000} {
				if ms >= upper {
					lower = upper
				}
			}
			return []string{fmt.Sprint(lower)}
		},
		"srcnet": func(i int) []string { return []string{route(b, flow.SrcAddr, flow.SrcMask, i)} },
		"dstnet": func(i int) []string { return []string{route(b, flow.DstAddr, flow.DstMask, i)} },
		"packet_size": func(i int) []string {
			if b.U64(flow.Packets)[i] == 0 {
				return []string{""}
			}
			mean, lower := b.U64(flow.Bytes)[i]/b.U64(flow.Packets)[i], uint64(0)
			for _, upper := range []uint64{64, 128, 256, 512, 1024, 1501} {
				if mean >= upper {
					lower = upper
				}
			}
			return []string{fmt.Sprint(lower)}
		},
	} {
		dimensions, err := ParseDimensions(by)
		if err != nil {
			t.Fatal(err)
		}
		from, to := int64(epoch+600_000), int64(epoch+1800_000)
		f, err := ParseFilter("not dst port 443")
		if err != nil {
			t.Fatal(err)
		}
		want, total := twinTop(b, func(i int) bool {
			return b.Time(flow.Start)[i] < to && b.Time(flow.End)[i] >= from && b.U16(flow.DstPort)[i] != 443
		}, keys)
		for _, limit := range []int{0, 3} {
			for _, src := range []Files{files, split} {
				table, err := e.Top(context.Background(), src, Request{
					By: dimensions, Filter: f, From: time.UnixMilli(from), To: time.UnixMilli(to), Limit: limit, Order: ByPackets,
				})
				if err != nil {
					t.Fatal(err)
				}
				checkTop(t, by, table, want, total, limit)
				if table.Stats.Rows != uint64(b.Len()) || table.Stats.Files != len(src) {
					t.Errorf("%s: stats %+v", by, table.Stats)
				}
			}
		}
	}
}

func checkTop(t *testing.T, by string, table *Table, want map[string]*group, total Sums, limit int) {
	t.Helper()
	if table.Total != total {
		t.Errorf("%s: total %+v, want %+v", by, table.Total, total)
	}
	rows := len(want)
	if limit > 0 {
		rows = min(rows, limit)
	}
	if len(table.Rows) != rows || table.Rest != uint64(len(want)-rows) {
		t.Fatalf("%s: %d rows and %d more, want %d and %d", by, len(table.Rows), table.Rest, rows, len(want)-rows)
	}
	var other, shown Sums
	var packets []uint64
	for _, g := range want {
		other.add(g.Sums)
		packets = append(packets, g.Packets)
	}
	sort.Slice(packets, func(i, j int) bool { return packets[i] > packets[j] })
	for i, row := range table.Rows {
		var texts []string
		for _, v := range row.Key {
			texts = append(texts, v.Text)
		}
		g := want[strings.Join(texts, "|")]
		if g == nil || g.Sums != row.Sums || g.first != row.First.UnixMilli() || g.last != row.Last.UnixMilli() || row.Packets != packets[i] {
			t.Errorf("%s: row %d is %+v, want %+v", by, i, row, g)
		}
		shown.add(row.Sums)
	}
	other.subtract(shown)
	if table.Other != other {
		t.Errorf("%s: other %+v, want %+v", by, table.Other, other)
	}
}

func twinApp(b *flow.Batch, i int) string {
	protocol := b.U8(flow.Protocol)[i]
	name := strings.ToLower(ProtocolLabel(protocol))
	if !b.Present[i].Has(flow.SrcPort) {
		return name
	}
	src, dst := b.U16(flow.SrcPort)[i], b.U16(flow.DstPort)[i]
	port := min(src, dst)
	switch srcKnown, dstKnown := ServiceName(protocol, src) != "", ServiceName(protocol, dst) != ""; {
	case srcKnown && !dstKnown:
		port = src
	case dstKnown && !srcKnown:
		port = dst
	}
	return strings.TrimSpace(fmt.Sprintf("%d/%s %s", port, name, ServiceName(protocol, port)))
}

// twinSeries spreads each flow over its time with big numbers, bucket by bucket.
func twinSeries(b *flow.Batch, key func(int) string, from, to, step int64) map[string][]Sums {
	buckets := int((to - from + step - 1) / step)
	series := map[string][]Sums{}
	for i := range b.Len() {
		s, e := b.Time(flow.Start)[i], b.Time(flow.End)[i]
		if s >= to || e < from {
			continue
		}
		rate := uint64(b.U32(flow.SamplingRate)[i])
		before := func(counter uint64, t int64) uint64 {
			if t <= s {
				return 0
			}
			if t >= e {
				return counter
			}
			v := new(big.Int).Mul(new(big.Int).SetUint64(counter), big.NewInt(t-s))
			return v.Div(v, big.NewInt(e-s)).Uint64()
		}
		line := series[key(i)]
		if line == nil {
			line = make([]Sums, buckets)
			series[key(i)] = line
		}
		for n := range line {
			begin := from + int64(n)*step
			end := min(begin+step, to)
			packets, bytes := b.U64(flow.Packets)[i]*rate, b.U64(flow.Bytes)[i]*rate
			line[n].Packets += before(packets, end) - before(packets, begin)
			line[n].Bytes += before(bytes, end) - before(bytes, begin)
			if s >= begin && s < end {
				line[n].Flows++
			}
		}
	}
	return series
}

func TestSeries(t *testing.T) {
	e := newEngine(t)
	b := sampled(9, 700)
	// Some flows on the borders of buckets, one that is longer than the range,
	// one that ends before it starts, and one with the greatest counters.
	for _, c := range []struct{ s, e int64 }{{600_000, 600_000}, {600_000, 660_000}, {540_000, 600_000}, {0, 7_200_000}, {700_000, 690_000}, {659_999, 660_000}, {1_199_999, 1_200_001}} {
		i := b.Extend(1)
		b.SetUint(flow.Start, i, uint64(epoch+c.s))
		b.SetUint(flow.End, i, uint64(epoch+c.e))
		b.SetUint(flow.Packets, i, 1_000_003)
		b.SetUint(flow.Bytes, i, 1<<61+7)
		b.SetUint(flow.SamplingRate, i, 1)
		b.SetUint(flow.Protocol, i, 132)
	}
	files := writeParquet(t, e, b)
	key := func(i int) string { return textOf(b, flow.Protocol, i) }
	for _, c := range []struct {
		from, to, step int64
		limit          int
	}{
		{600_000, 1_200_000, 60_000, 0},
		{600_000, 1_200_000, 60_000, 2},
		{600_000, 1_230_001, 60_000, 1}, // a short last bucket
		{0, 3_600_000, 3_600_000, 3},
		{601_003, 607_001, 7, 4},
		{-3_600_000, 9_000_000, 600_000, 100},
	} {
		by, _ := ParseDimensions("proto")
		from, to := epoch+c.from, epoch+c.to
		for _, order := range []Order{ByBytes, ByPackets, ByFlows} {
			r := Request{From: time.UnixMilli(from), To: time.UnixMilli(to), Step: time.Duration(c.step) * time.Millisecond, By: by, Limit: c.limit, Order: order}
			got, err := e.Series(context.Background(), files, r)
			if err != nil {
				t.Fatal(err)
			}
			want := twinSeries(b, key, from, to, c.step)
			metric := func(s Sums) uint64 {
				return map[Order]uint64{ByBytes: s.Bytes, ByPackets: s.Packets, ByFlows: s.Flows}[order]
			}
			rest := make([]Sums, len(got.Times))
			for name, line := range want {
				at := slices.IndexFunc(got.Series, func(s Series) bool { return s.Key[0].Text == name })
				if at >= 0 {
					checkSeries(t, fmt.Sprintf("%+v by %s: %s", c, order, name), &got.Series[at], line)
					continue
				}
				for n := range line {
					rest[n].add(line[n])
				}
			}
			if sumOf(rest) != (Sums{}) || got.Other != nil {
				if got.Other == nil {
					t.Fatalf("%+v by %s: no other", c, order)
				}
				checkSeries(t, fmt.Sprintf("%+v by %s: other", c, order), got.Other, rest)
			}
			for n := 1; n < len(got.Series); n++ {
				if metric(got.Series[n].Total) > metric(got.Series[n-1].Total) {
					t.Errorf("%+v by %s: series %d is greater than the one before", c, order, n)
				}
			}

			// Without dimensions there is one series, of everything.
			r.By = nil
			all, err := e.Series(context.Background(), files, r)
			if err != nil {
				t.Fatal(err)
			}
			total := make([]Sums, len(got.Times))
			for _, line := range want {
				for n := range line {
					total[n].add(line[n])
				}
			}
			if len(all.Series) != 1 || all.Other != nil {
				t.Fatalf("%d series of everything", len(all.Series))
			}
			checkSeries(t, "everything", &all.Series[0], total)
		}
	}
}

func sumOf(line []Sums) (total Sums) {
	for _, s := range line {
		total.add(s)
	}
	return total
}

func checkSeries(t *testing.T, what string, got *Series, want []Sums) {
	t.Helper()
	for n, w := range want {
		if g := (Sums{got.Flows[n], got.Packets[n], got.Bytes[n]}); g != w {
			t.Errorf("%s: bucket %d is %+v, want %+v", what, n, g, w)
			return
		}
	}
	if got.Total != sumOf(want) {
		t.Errorf("%s: total %+v, want %+v", what, got.Total, sumOf(want))
	}
}

// TestSeriesBothSides holds a dimension of two sides to crediting both.
func TestSeriesBothSides(t *testing.T) {
	e := newEngine(t)
	files := writeParquet(t, e, sampled(11, 300))
	by, _ := ParseDimensions("ip")
	r := Request{By: by, From: time.UnixMilli(epoch - 3_600_000), To: time.UnixMilli(epoch + 9_000_000), Step: 10 * time.Minute}
	series, err := e.Series(context.Background(), files, r)
	if err != nil {
		t.Fatal(err)
	}
	table, err := e.Top(context.Background(), files, r)
	if err != nil {
		t.Fatal(err)
	}
	if len(series.Series) == 0 || len(series.Series) > len(table.Rows) {
		t.Fatalf("%d series, %d rows", len(series.Series), len(table.Rows))
	}
	for i := range series.Series {
		if series.Series[i].Total.Bytes != table.Rows[i].Bytes {
			t.Errorf("series %d: %+v, row %+v", i, series.Series[i].Total, table.Rows[i])
		}
	}
	if rates := series.Rates([]uint64{600, 1200}); rates[0] != 1 || rates[1] != 2 {
		t.Errorf("rates %v", rates)
	}
}

func TestSeriesRefuses(t *testing.T) {
	e := newEngine(t)
	at := time.UnixMilli(epoch)
	for _, r := range []Request{
		{To: at, Step: time.Second},
		{From: at, To: at, Step: time.Second},
		{From: at, To: at.Add(time.Hour)},
		{From: at, To: at.Add(time.Hour), Step: time.Microsecond},
		{From: at, To: at.Add(1000 * time.Hour), Step: time.Second},
		{From: at, To: at.Add(time.Hour), Step: time.Minute, Order: ByBPS},
	} {
		if _, err := e.Series(context.Background(), Files(nil), r); err == nil {
			t.Errorf("%+v is not refused", r)
		}
	}
}

// TestGreatCounters: sums that exceed 64 bits stay at the greatest number.
func TestGreatCounters(t *testing.T) {
	e := newEngine(t)
	b := flow.NewBatch(1)
	for range 3 {
		i := b.Extend(1)
		b.SetUint(flow.Start, i, epoch)
		b.SetUint(flow.End, i, epoch+1000)
		b.SetUint(flow.Packets, i, 1)
		b.SetUint(flow.Bytes, i, 1<<64-1)
		b.SetUint(flow.SamplingRate, i, 1<<32-1)
	}
	files := writeParquet(t, e, b)
	for _, raw := range []bool{false, true} {
		table, err := e.Top(context.Background(), files, Request{Raw: raw})
		if err != nil {
			t.Fatal(err)
		}
		packets := uint64(3 * (1<<32 - 1))
		if raw {
			packets = 3
		}
		if want := (Sums{3, packets, 1<<64 - 1}); table.Total != want {
			t.Errorf("raw %v: %+v, want %+v", raw, table.Total, want)
		}
	}
}

func TestFlows(t *testing.T) {
	e := newEngine(t)
	b := sampled(5, 2600)
	files := writeParquet(t, e, b)
	fetch := func(r Request) *flow.Batch {
		t.Helper()
		all := flow.NewBatch(1)
		if _, err := e.Flows(context.Background(), files, r, func(b *flow.Batch) error {
			all.Append(b, 0, b.Len())
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return all
	}
	raw := fetch(Request{Raw: true})
	if raw.Len() != b.Len() {
		t.Fatalf("%d flows, want %d", raw.Len(), b.Len())
	}
	for i := range b.Len() {
		if got, want := string(raw.AppendJSON(nil, i)), string(b.AppendJSON(nil, i)); got != want {
			t.Fatalf("flow %d\n got %s\nwant %s", i, got, want)
		}
	}
	scaled := fetch(Request{})
	for i := range b.Len() {
		if scaled.U64(flow.Bytes)[i] != b.U64(flow.Bytes)[i]*uint64(b.U32(flow.SamplingRate)[i]) {
			t.Fatalf("flow %d is not scaled", i)
		}
	}
	if n := fetch(Request{Limit: 2345}).Len(); n != 2345 {
		t.Errorf("%d flows, want 2345", n)
	}
	newest := fetch(Request{Order: ByNewest, Limit: 100})
	for i := 1; i < newest.Len(); i++ {
		if newest.Time(flow.Start)[i] > newest.Time(flow.Start)[i-1] {
			t.Fatal("not the newest first")
		}
	}
	if newest.Len() != 100 || newest.Time(flow.Start)[0] != slices.Max(b.Time(flow.Start)) {
		t.Error("not the newest")
	}

	stop := fmt.Errorf("enough")
	if _, err := e.Flows(context.Background(), files, Request{}, func(*flow.Batch) error { return stop }); err != stop {
		t.Errorf("an error of the caller comes back as %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := e.Flows(ctx, files, Request{}, func(*flow.Batch) error { return nil }); err == nil {
		t.Error("a cancelled query goes on")
	}
	if _, err := e.Top(context.Background(), Files{"/nonexistent/x.parquet"}, Request{}); err == nil {
		t.Error("a missing file is not an error")
	}
}

// TestCancel ends a query that would take minutes.
func TestCancel(t *testing.T) {
	e := newEngine(t)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		for e.db.Stats().InUse == 0 {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	s := statement{body: "SELECT sum(hash(range)) FROM range(1000000000000)"}
	if err := e.run(ctx, s, Files(nil), true, func(*sql.Rows) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled query ends with %v", err)
	}
}

func TestSlices(t *testing.T) {
	files := []fileSize{{"a", 0, 10}, {"b", 0, 10}, {"c", 0, 100}, {"d", 0, 5}, {"e", 0, 0}}
	var got []string
	for rows := uint64(25); len(files) > 0; rows += 10 {
		var s slice
		s, files = cut(files, rows)
		got = append(got, fmt.Sprint(s.Files, s.first, s.last))
	}
	want := []string{"[a b] 0 0", "[c] 0 34", "[c] 35 79", "[c] 80 99", "[d e] 0 0"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSpan(t *testing.T) {
	e := newEngine(t)
	if _, _, ok, err := e.Span(context.Background(), Files(nil)); ok || err != nil {
		t.Errorf("no flows have a span: %v", err)
	}
	b := randomFlows(1, 50)
	first, last, ok, err := e.Span(context.Background(), writeParquet(t, e, b))
	if !ok || err != nil || first.UnixMilli() != slices.Min(b.Time(flow.Start)) || last.UnixMilli() != slices.Max(b.Time(flow.End)) {
		t.Errorf("%v to %v, %v", first, last, err)
	}
}

func TestDimensionErrors(t *testing.T) {
	for name, want := range map[string]string{
		"srcpi": `did you mean "srcip"`, "srcport/24": "only addresses", "srcip/129": "not a prefix", "srcip4/33": "not a prefix",
		"srcip/24/129": "IPv6", "srcip/33/64": "too long", "srcip/x": "not a prefix", "proto,protocol": "twice", "": "unknown",
	} {
		if _, err := ParseDimensions(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", name, err, want)
		}
	}
	for _, d := range Dimensions() {
		if d.Doc == "" || d.Name == "" {
			t.Errorf("%q has no description", d.Name)
		}
	}
}

func TestValueJSON(t *testing.T) {
	for _, c := range []struct {
		v    Value
		want string
	}{{numberValue(6, "TCP"), "6"}, {textValue("192.0.2.1"), `"192.0.2.1"`}, {Value{Label: Absent}, "null"}} {
		if got, err := json.Marshal(c.v); err != nil || string(got) != c.want {
			t.Errorf("%+v: %s, %v", c.v, got, err)
		}
	}
}
