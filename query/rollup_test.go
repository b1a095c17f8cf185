package query

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/store"
)

// rolledUp makes a data directory of which all but the last segment is rolled
// up, with flows of three days.
func rolledUp(t testing.TB, flows int) (dir string) {
	t.Helper()
	return rolledUpAs(t, flows, func(*flow.Batch, int) {})
}

// rolledUpAs does so with flows that are changed before.
func rolledUpAs(t testing.TB, flows int, change func(b *flow.Batch, i int)) (dir string) {
	t.Helper()
	dir = t.TempDir()
	r := rand.New(rand.NewPCG(11, 12))
	const segments = 24
	for i := range segments {
		sealed := rolledFrom.Add(time.Duration(i+1) * 3 * time.Hour)
		if i == segments-1 {
			sealed = time.Now() // not yet rolled up
		}
		b := randomFlows(uint64(i), flows/segments)
		for j := range b.Len() {
			end := rolledFrom.UnixMilli() + int64(i)*3*3_600_000 + r.Int64N(3*3_600_000) // before it is sealed
			length := []int64{0, 10, 40_000, r.Int64N(600_000), r.Int64N(5 * 3_600_000), 14 * 3_600_000}[min(r.IntN(12), r.IntN(6))]
			b.SetUint(flow.Start, j, uint64(end-length))
			b.SetUint(flow.End, j, uint64(end))
			b.SetUint(flow.SamplingRate, j, []uint64{1, 1, 1, 1000}[r.IntN(4)])
			change(b, j)
		}
		if _, err := store.WriteSegment(dir, b, sealed); err != nil {
			t.Fatal(err)
		}
	}
	s, err := store.Open(store.Config{Dir: dir}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Compact(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	return dir
}

var rolledFrom = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// unrolled is the same archive, of flows alone.
type unrolled struct{ Dir }

func (u unrolled) Pin(from, to time.Time, _ ...string) (Pinned, error) { return u.Dir.Pin(from, to) }

// From rollups and from flows, answers are equal.
func TestRollupsTellWhatFlowsTell(t *testing.T) {
	dir := rolledUp(t, 12_000)
	e := newEngine(t)
	if err := e.SetNames(t.Context(), ownNames); err != nil {
		t.Fatal(err)
	}
	hour := func(h float64) time.Time { return rolledFrom.Add(time.Duration(h * float64(time.Hour))) }
	ranges := []struct {
		name     string
		from, to time.Time
		step     time.Duration
	}{
		{"all", hour(0), hour(72), 0},
		{"some minutes", hour(1.25), hour(1.75), time.Minute},
		{"hours and rests", hour(5.5), hour(30.1), 0},
		{"days and rests", hour(20), hour(68), 0},
		{"a day by minutes", hour(24), hour(48), 5 * time.Minute},
		{"days by hours", hour(0), hour(72), 6 * time.Hour},
		{"days by days", hour(0), hour(72), 24 * time.Hour},
		{"the newest", hour(60), hour(80), time.Hour},
	}
	cases := []struct {
		by, filter string
		tables     string // the cube that answers
	}{
		{"", "", "traffic"},
		{"protocol", "", "traffic"},
		{"app", "proto tcp", "traffic"},
		{"packet_size,dscp", "not proto udp", "traffic"},
		{"ip_version", "", "traffic"},
		{"tcp_flags", "proto tcp", "flags"},
		{"duration", "", "flags"},
		{"icmp_type,icmp_code", "proto icmp", "flags"},
		{"exporter", "", "interfaces"},
		{"in_if,out_if", "out if 2", "interfaces"},
		{"if", "", "interfaces"},
		{"", "in role external", "interfaces"},
		{"in_role,out_role", "", "interfaces"},
		{"forwarding_status", "", "interfaces"},
		{"exporter,in_if,out_if,forwarding_status,direction", "", "interfaces"}, // what verify/totals asks every five minutes
		{"src_as,dst_as", "", "as"},
		{"src_as", "not src as 64500", "src_as"},
		{"dst_as", "", "dst_as"},
		{"as", "not as 64500", "as"},
		{"next_as", "prev as 64510", "as"},
		{"src_network", "", "src_own_networks"},
		{"dst_network", "dst customer Acme", "dst_own_networks"},
		{"src_network,dst_network", "", "own_networks"},
		{"src_customer", "", "src_own_networks"},
		{"site", "", "own_networks"},
		{"src_country", "not src country JP", "countries"},
		{"country", "", "countries"},
		{"src_addr", "", "src_addresses"},
		{"dst_addr", "not dst net 10.0.0.0/8", "dst_addresses"},
		{"src_addr,dst_addr", "", "pairs"},
		{"ip", "", "src_addresses"},
		{"src_addr/24/48", "", "src_networks"},
		{"dst_addr/16/32", "", "dst_networks"},
		{"src_addr/28", "", "src_addresses"},
		{"direction", "ingress", "traffic"},
	}
	for i, c := range cases {
		for j, span := range ranges {
			if (i+j)%3 != 0 {
				continue // time enough for a third of them
			}
			t.Run(c.by+" "+c.filter+" "+span.name, func(t *testing.T) {
				r := Report{From: span.from, To: span.to, Step: span.step, Metric: Bytes, Limit: 7}
				if c.by != "" {
					by, err := ParseDimensions(c.by)
					if err != nil {
						t.Fatal(err)
					}
					r.By = by
				}
				f, err := ParseFilter(c.filter)
				if err != nil {
					t.Fatal(err)
				}
				r.Filters = []*Filter{f}
				got, err := e.Report(context.Background(), Dir(dir), r)
				if err != nil {
					t.Fatal(err)
				}
				want, err := e.Report(context.Background(), unrolled{Dir(dir)}, r)
				if err != nil {
					t.Fatal(err)
				}
				if !slices.Contains(got.Stats.Tables, "flows") && len(got.Stats.Tables) == 0 || len(got.Stats.Tables[0]) < len(c.tables) || got.Stats.Tables[0][:len(c.tables)] != c.tables {
					t.Errorf("answered by %v, not %s", got.Stats.Tables, c.tables)
				}
				if !got.Exact {
					t.Error("it is not exact")
				}
				if g, w := fmt.Sprintf("%+v", plainAnswer(got)), fmt.Sprintf("%+v", plainAnswer(want)); g != w {
					t.Errorf("from %v:\n%s\nfrom flows:\n%s", got.Stats.Tables, g, w)
				}
			})
		}
	}
}

// plainAnswer is what counts of an answer.
func plainAnswer(a *Answer) any {
	rows := []any{}
	for _, r := range append(a.Rows, a.Total) {
		rows = append(rows, r.Label(), r.Sums, r.Value, r.SamplingError, r.Values)
	}
	if a.Other != nil {
		rows = append(rows, "other", a.Other.Sums, a.Other.Values)
	}
	return []any{a.Rest, rows}
}

// Where rollups cannot tell, flows do, and the answer says so.
func TestWhatOnlyFlowsTell(t *testing.T) {
	dir := rolledUp(t, 1200)
	e := newEngine(t)
	for name, r := range map[string]Report{
		"a port":            {Filters: []*Filter{mustParse(t, "port 53")}},
		"raw":               {Raw: true},
		"seconds":           {Step: time.Second, From: rolledFrom.Add(time.Hour), To: rolledFrom.Add(time.Hour + 10*time.Minute)},
		"half a minute":     {From: rolledFrom.Add(time.Hour + time.Second), To: rolledFrom.Add(time.Hour + 2*time.Minute)},
		"distinct":          {Metric: Sources},
		"flags of a router": {By: mustDimensions(t, "exporter,tcp_flags")},
	} {
		if r.From.IsZero() {
			r.From, r.To = rolledFrom, rolledFrom.Add(24*time.Hour)
		}
		a, err := e.Report(context.Background(), Dir(dir), r)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !slices.Equal(a.Stats.Tables, []string{"flows"}) || !a.Exact {
			t.Errorf("%s: answered by %v, exact %v", name, a.Stats.Tables, a.Exact)
		}
	}
}

func mustParse(t *testing.T, text string) *Filter {
	f, err := ParseFilter(text)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func mustDimensions(t *testing.T, list string) []Dimension {
	by, err := ParseDimensions(list)
	if err != nil {
		t.Fatal(err)
	}
	return by
}

// Where rollups keep only the heaviest, totals are still right, no row says
// too much, and none lacks more than the answer says.
func TestWhatRollupsLackIsTold(t *testing.T) {
	dir := t.TempDir()
	r := rand.New(rand.NewPCG(13, 14))
	zipf := rand.NewZipf(r, 1.1, 5, 30_000)
	for i := range 3 {
		const n = 30_000
		b := flow.NewBatch(n)
		b.Extend(n)
		for j := range n {
			host := zipf.Uint64()
			start := rolledFrom.UnixMilli() + r.Int64N(150_000)
			b.SetUint(flow.Received, j, uint64(start))
			b.SetUint(flow.Start, j, uint64(start))
			b.SetUint(flow.End, j, uint64(start+r.Int64N(20_000)))
			b.SetUint(flow.SamplingRate, j, 1)
			b.SetUint(flow.Packets, j, 1+r.Uint64N(10))
			b.SetUint(flow.Bytes, j, 40+r.Uint64N(15000))
			b.SetUint(flow.Protocol, j, []uint64{6, 17}[r.IntN(2)])
			b.SetUint(flow.SrcPort, j, 50_000+host%10_000)
			b.SetUint(flow.DstPort, j, 50_000+r.Uint64N(10_000))
			b.SetUint(flow.Direction, j, r.Uint64N(2))
			b.SetAddr(flow.SrcAddr, j, flow.AddrFrom4([4]byte{10, 0, byte(host >> 8), byte(host)}))
			b.SetAddr(flow.DstAddr, j, flow.AddrFrom4([4]byte{10, 1, byte(r.IntN(256)), byte(r.IntN(256))}))
		}
		if _, err := store.WriteSegment(dir, b, rolledFrom.Add(time.Duration(i+1)*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	s, err := store.Open(store.Config{Dir: dir}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Compact(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	s.Close()
	e := newEngine(t)
	for _, c := range []struct {
		by, filter string
		exact      bool
	}{
		{"src_addr", "", false},
		{"src_addr,dst_addr", "", false},
		{"ip", "", false},
		{"src_addr/24/48", "", true}, // few networks
		{"src_addr/28", "", false},
		{"src_addr", "src net 10.0.0.0/17", false},
		{"src_addr", "ingress", false},
		{"", "src net 10.0.0.0/20", false},
		{"", "", true},
		{"app", "", false},
		{"protocol", "", true}, // the rest of a bucket still has it
		{"protocol,direction", "proto udp", true},
		{"direction", "egress", true},
	} {
		t.Run(c.by+" "+c.filter, func(t *testing.T) {
			report := Report{From: rolledFrom, To: rolledFrom.Add(4 * time.Minute), Step: time.Minute, Metric: Bytes, Filters: []*Filter{mustParse(t, c.filter)}, Limit: 20}
			if c.by != "" {
				report.By = mustDimensions(t, c.by)
			}
			got, err := e.Report(context.Background(), Dir(dir), report)
			if err != nil {
				t.Fatal(err)
			}
			report.Limit = 0
			want, err := e.Report(context.Background(), unrolled{Dir(dir)}, report)
			if err != nil {
				t.Fatal(err)
			}
			if got.Exact != c.exact || got.Exact != (got.Missing == 0) {
				t.Errorf("exact %v, %v may be missing, by %v", got.Exact, got.Missing, got.Stats.Tables)
			}
			truth := map[string]ReportRow{}
			for _, row := range want.Rows {
				truth[row.Label()] = row
			}
			for _, row := range got.Rows {
				true := truth[row.Label()]
				if row.Bytes > true.Bytes || float64(row.Bytes)+got.Missing < float64(true.Bytes) {
					t.Errorf("%s has %d and at most %.0f more, truly %d", row.Label(), row.Bytes, got.Missing, true.Bytes)
				}
			}
			if c.filter == "" && got.Total.Sums != want.Total.Sums {
				t.Errorf("total %+v, truly %+v", got.Total.Sums, want.Total.Sums)
			}
			if got.Total.Bytes > want.Total.Bytes || float64(got.Total.Bytes)+got.Missing < float64(want.Total.Bytes) {
				t.Errorf("total %d and at most %.0f more, truly %d", got.Total.Bytes, got.Missing, want.Total.Bytes)
			}
			rows := append(slices.Clone(got.Rows), got.Total)
			if got.Other != nil {
				rows = append(rows, *got.Other)
			}
			for _, row := range rows {
				sum := 0.0
				for _, v := range row.Values {
					sum += v
				}
				if sum != float64(row.Bytes) {
					t.Errorf("%s: the buckets have %.0f, the row %d", row.Label(), sum, row.Bytes)
				}
			}
		})
	}
}

// Where flows and minutes are gone, hours answer, and the answer says for what
// range; where those are gone too, days.
func TestOldTimesAreToldByWhatIsKept(t *testing.T) {
	dir := rolledUp(t, 2400)
	e := newEngine(t)
	r := Report{From: rolledFrom.Add(25*time.Hour + 10*time.Minute), To: rolledFrom.Add(40*time.Hour + 20*time.Minute), Step: 10 * time.Minute, By: mustDimensions(t, "protocol")}
	hours := r
	hours.From, hours.To, hours.Step = rolledFrom.Add(25*time.Hour), rolledFrom.Add(41*time.Hour), time.Hour
	days := r
	days.From, days.To, days.Step = rolledFrom.Add(24*time.Hour), rolledFrom.Add(48*time.Hour), 24*time.Hour
	want := map[string]string{}
	for table, r := range map[string]Report{"traffic_hour": hours, "traffic_day": days} {
		a, err := e.Report(context.Background(), Dir(dir), r)
		if err != nil {
			t.Fatal(err)
		}
		want[table] = fmt.Sprintf("%v %v %v %+v", a.From, a.To, a.Step, plainAnswer(a))
	}
	for _, gone := range []string{"flows", "rollups/traffic_minute"} {
		if err := os.RemoveAll(filepath.Join(dir, gone)); err != nil {
			t.Fatal(err)
		}
	}
	check := func(table string) {
		t.Helper()
		a, err := e.Report(context.Background(), Dir(dir), r)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%v %v %v %+v", a.From, a.To, a.Step, plainAnswer(a)); got != want[table] || a.Stats.Tables[0] != table {
			t.Errorf("by %v:\n%s\nwant\n%s", a.Stats.Tables, got, want[table])
		}
	}
	check("traffic_hour")
	if err := os.RemoveAll(filepath.Join(dir, "rollups/traffic_hour")); err != nil {
		t.Fatal(err)
	}
	check("traffic_day")
}

// Where some flows are gone, a question that only they can answer is of the
// time of which they are left, and says so; a damaged part is made up for.
func TestFlowsThatAreGoneAreToldOf(t *testing.T) {
	dir := rolledUp(t, 4800)
	e := newEngine(t)
	segments, err := store.Segments(dir)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(r Report) (*Answer, error) {
		r.From, r.To, r.By = rolledFrom, rolledFrom.Add(72*time.Hour), mustDimensions(t, "protocol")
		return e.Report(context.Background(), Dir(dir), r)
	}
	before, err := ask(Report{})
	if err != nil {
		t.Fatal(err)
	}
	// The oldest part of a day that is damaged: its flows answer in its place.
	parts, _ := filepath.Glob(filepath.Join(dir, "rollups/traffic_day/*/*.parquet"))
	whole, _ := os.ReadFile(parts[0])
	if err := os.WriteFile(parts[0], whole[:len(whole)/2], 0o644); err != nil {
		t.Fatal(err)
	}
	a, err := ask(Report{})
	if err != nil || a.Total.Sums != before.Total.Sums || a.Exact || a.Damaged != 1 {
		t.Errorf("with a damaged part: %+v, exact %v, %v; %+v without", a.Total.Sums, a.Exact, err, before.Total.Sums)
	}
	os.WriteFile(parts[0], whole, 0o644)

	for _, s := range segments[:1] { // a day
		if err := os.Remove(s.Path); err != nil {
			t.Fatal(err)
		}
	}
	if a, err = ask(Report{}); err != nil || a.Total.Sums != before.Total.Sums || a.Note != "" || !a.Exact {
		t.Errorf("rollups tell %+v %q, %v", a.Total.Sums, a.Note, err)
	}
	a, err = ask(Report{FromFlows: true})
	if err != nil {
		t.Fatal(err)
	}
	if a.Note == "" || !a.From.After(rolledFrom.Add(12*time.Hour)) || !a.From.Before(rolledFrom.Add(48*time.Hour)) {
		t.Errorf("flows tell from %v on: %q", a.From, a.Note)
	}
	rolled, err := e.Report(context.Background(), Dir(dir), Report{From: a.From, To: a.To, By: a.By})
	if err != nil || rolled.Total.Sums != a.Total.Sums {
		t.Errorf("of that time flows tell %+v, rollups %+v, %v", a.Total.Sums, rolled.Total.Sums, err)
	}
	if _, err := ask(Report{FromFlows: true, Compare: 24 * time.Hour}); !errors.As(err, new(*NotKeptError)) {
		t.Errorf("a comparison with what is gone: %v", err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "flows")); err != nil {
		t.Fatal(err)
	}
	if _, err := ask(Report{FromFlows: true}); !errors.As(err, new(*NotKeptError)) {
		t.Errorf("without any flow: %v", err)
	}
}
