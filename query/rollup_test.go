package query

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
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
			start := rolledFrom.UnixMilli() + int64(i)*3*3_600_000 + r.Int64N(3*3_600_000)
			length := []int64{0, 10, 40_000, r.Int64N(600_000), r.Int64N(5 * 3_600_000), 14 * 3_600_000}[min(r.IntN(12), r.IntN(6))]
			b.SetUint(flow.Start, j, uint64(start))
			b.SetUint(flow.End, j, uint64(start+length))
			b.SetUint(flow.SamplingRate, j, []uint64{1, 1, 1, 1000}[r.IntN(4)])
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
		{"forwarding_status", "", "interfaces"},
		{"src_as,dst_as", "", "as"},
		{"as", "not as 64500", "as"},
		{"next_as", "prev as 64510", "as"},
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
