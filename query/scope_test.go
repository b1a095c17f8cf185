package query

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/store"
	"github.com/minamo-flow/minamo/verify/counting"
)

// Two routers with an interface 1 to the outside and an interface 11 to each
// other; what comes in by the first one's goes out by the second's.
var twoRoles = Names{Roles: map[InterfaceID]string{
	{netip.MustParseAddr("192.0.2.1"), 1}: "external", {netip.MustParseAddr("192.0.2.1"), 11}: "core",
	{netip.MustParseAddr("192.0.2.2"), 1}: "customer", {netip.MustParseAddr("192.0.2.2"), 11}: "core",
}}

// metered adds what a router says of a minute in which so many bits a second went
// through it.
func metered(b *flow.Batch, router byte, in, out uint64, direction int, minute time.Time, bps uint64) {
	const parts = 4
	for part := range parts {
		i := b.Extend(1)
		b.SetAddr(flow.Exporter, i, flow.AddrFrom4([4]byte{192, 0, 2, router}))
		b.SetAddr(flow.SrcAddr, i, flow.AddrFrom4([4]byte{198, 51, 100, byte(part)}))
		b.SetAddr(flow.DstAddr, i, flow.AddrFrom4([4]byte{203, 0, 113, 1}))
		start := minute.Add(time.Duration(part) * time.Minute / parts)
		b.SetUint(flow.Start, i, uint64(start.UnixMilli()))
		b.SetUint(flow.End, i, uint64(start.Add(time.Minute/parts).UnixMilli()))
		b.SetUint(flow.Packets, i, 60)
		b.SetUint(flow.Bytes, i, bps*60/8/parts)
		b.SetUint(flow.SamplingRate, i, 1)
		b.SetUint(flow.InIf, i, in)
		b.SetUint(flow.OutIf, i, out)
		if direction >= 0 {
			b.SetUint(flow.Direction, i, uint64(direction))
		}
	}
}

// archived keeps flows, and sums them up.
func archived(t *testing.T, b *flow.Batch) string {
	t.Helper()
	dir := t.TempDir()
	if _, err := store.WriteSegment(dir, b, rolledFrom.Add(24*time.Hour)); err != nil {
		t.Fatal(err)
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

// The same 100 Mbit/s through two exporters: 200 without the scope, and 100 with
// it.
func TestScopeNetworkCountsOnce(t *testing.T) {
	e := newEngine(t)
	b := flow.NewBatch(1)
	for m := range 60 {
		minute := rolledFrom.Add(time.Duration(m) * time.Minute)
		metered(b, 1, 1, 11, -1, minute, 100e6)
		metered(b, 2, 11, 1, 0, minute, 100e6)
	}
	archive := Dir(archived(t, b))
	r := Report{From: rolledFrom, To: rolledFrom.Add(time.Hour), Metric: BPS, Step: time.Minute, Scope: ScopeNetwork}
	if _, err := e.Report(t.Context(), archive, r); !errors.Is(err, ErrNoRoles) {
		t.Errorf("without roles: %v", err)
	}
	if err := e.SetNames(t.Context(), twoRoles); err != nil {
		t.Fatal(err)
	}
	for scope, want := range map[Scope]float64{ScopeAll: 200e6, ScopeOnce: 200e6, ScopeIngress: 200e6, ScopeEgress: 0, ScopeNetwork: 100e6} {
		r.Scope = scope
		a, err := e.Report(t.Context(), archive, r)
		if err != nil {
			t.Fatal(err)
		}
		if a.Total.Value != want || len(a.Rows) > 0 && slices.ContainsFunc(a.Rows[0].Values, func(v float64) bool { return v != want }) {
			t.Errorf("scope %s: %v bit/s, want %v", scope, a.Total.Value, want)
		}
	}
	// By who is known of interfaces' sums, these answer; by others, flows.
	for by, table := range map[string]string{"exporter": "interfaces_hour", "in_role": "interfaces_hour", "src_addr": "flows"} {
		r.By, r.Step, r.Scope = mustDimensions(t, by), 0, ScopeNetwork
		a, err := e.Report(t.Context(), archive, r)
		if err != nil {
			t.Fatal(err)
		}
		if a.Total.Value != 100e6 || !slices.Contains(a.Stats.Tables, table) {
			t.Errorf("by %s: %v bit/s, by %v", by, a.Total.Value, a.Stats.Tables)
		}
	}
	// An interface that has lost its role counts, and is told of.
	partly := Names{Roles: map[InterfaceID]string{{netip.MustParseAddr("192.0.2.1"), 1}: "external"}}
	if err := e.SetNames(t.Context(), partly); err != nil {
		t.Fatal(err)
	}
	r.By = nil
	if a, err := e.Report(t.Context(), archive, r); err != nil || a.Total.Value != 200e6 || !strings.Contains(a.Note, "Interfaces without a role (1) have 50 %") {
		t.Errorf("%v bit/s, %q, %v", a.Total.Value, a.Note, err)
	}
}

// Where nothing is copied, the scope adds no condition: all sums answer.
func TestScopeNetworkOfWhatIsOnceAnyway(t *testing.T) {
	e := newEngine(t)
	b := flow.NewBatch(1)
	metered(b, 1, 1, 11, 0, rolledFrom, 100e6)
	metered(b, 2, 1, 11, 0, rolledFrom, 50e6)
	if err := e.SetNames(t.Context(), twoRoles); err != nil {
		t.Fatal(err)
	}
	a, err := e.Report(t.Context(), Dir(archived(t, b)), Report{From: rolledFrom, To: rolledFrom.Add(time.Hour), By: mustDimensions(t, "src_addr"), Metric: Bytes, Scope: ScopeNetwork})
	if err != nil || a.Total.Value != 150e6*60/8 || slices.Contains(a.Stats.Tables, "flows") {
		t.Errorf("%v bytes by %v: %v", a.Total.Value, a.Stats.Tables, err)
	}
}

// A router that meters both ways, then only what goes out, then both again: its
// egress records count exactly while nothing else tells of them, by all the
// dimensions, from sums and from flows.
func TestScopeFollowsARouterThatChanges(t *testing.T) {
	e := newEngine(t)
	if err := e.SetNames(t.Context(), twoRoles); err != nil {
		t.Fatal(err)
	}
	b := flow.NewBatch(1)
	for m := range 120 {
		minute := rolledFrom.Add(time.Duration(m) * time.Minute)
		if m < 40 || m >= 80 {
			metered(b, 1, 1, 11, 0, minute, 80e6)
		}
		metered(b, 1, 1, 11, 1, minute, 80e6)
		metered(b, 2, 11, 1, 0, minute, 80e6)
	}
	archive := Dir(archived(t, b))
	for _, scope := range []Scope{ScopeOnce, ScopeNetwork} {
		want := map[Scope]float64{ScopeOnce: 160e6, ScopeNetwork: 80e6}[scope]
		for _, by := range []string{"", "exporter", "src_addr"} {
			for _, m := range []Metric{BPS, P95, Sources} {
				r := Report{From: rolledFrom, To: rolledFrom.Add(2 * time.Hour), Metric: m, Step: 5 * time.Minute, Scope: scope}
				if by != "" {
					r.By = mustDimensions(t, by)
				}
				got, err := e.Report(t.Context(), archive, r)
				if err != nil {
					t.Fatal(err)
				}
				flows, err := e.Report(t.Context(), unrolled{archive}, r)
				if err != nil {
					t.Fatal(err)
				}
				if g, w := fmt.Sprintf("%+v", plainAnswer(got)), fmt.Sprintf("%+v", plainAnswer(flows)); g != w {
					t.Errorf("%s by %q, %s, from sums:\n%s\nfrom flows:\n%s", scope, by, m, g, w)
				}
				if m != BPS {
					continue
				}
				sum := make([]float64, len(got.Times))
				for _, row := range got.Rows {
					for i, v := range row.Values {
						sum[i] += v
					}
				}
				for i, v := range sum {
					if math.Abs(v-want) > 1 {
						t.Errorf("%s by %q: %v bit/s in bucket %d, want %v", scope, by, v, i, want)
					}
				}
			}
		}
	}
}

// Core interfaces are metered for a part of the range only: there flows answer,
// for the rest the sums of anything do, and together they are what flows tell.
func TestScopeReadsFlowsWhereBytesAreToldTwice(t *testing.T) {
	e := newEngine(t)
	if err := e.SetNames(t.Context(), twoRoles); err != nil {
		t.Fatal(err)
	}
	b := flow.NewBatch(1)
	for m := range 360 {
		minute := rolledFrom.Add(time.Duration(m) * time.Minute)
		metered(b, 1, 1, 11, 0, minute, 80e6)
		if m >= 95 && m < 133 || m >= 300 && m < 302 {
			metered(b, 2, 11, 1, 0, minute, 80e6)
		}
	}
	// One that lasts from before the first change to after it.
	metered(b, 2, 11, 1, 0, rolledFrom.Add(95*time.Minute), 1e6)
	last := b.Len() - 1
	b.SetUint(flow.Start, last, uint64(rolledFrom.Add(94*time.Minute+30*time.Second).UnixMilli()))
	b.SetUint(flow.End, last, uint64(rolledFrom.Add(140*time.Minute+30*time.Second).UnixMilli()))
	archive := Dir(archived(t, b))
	for i, by := range []string{"", "src_addr", "ip", "dst_addr/24", "app,direction", "src_port"} {
		for j, m := range []Metric{BPS, P95, Flows} {
			for k, step := range []time.Duration{0, 15 * time.Minute} {
				if (i+j+k)%2 == 1 {
					continue // time enough for half of them
				}
				r := Report{From: rolledFrom.Add(7 * time.Minute), To: rolledFrom.Add(6 * time.Hour), Metric: m, Step: step, Scope: ScopeNetwork}
				if by != "" {
					r.By = mustDimensions(t, by)
				}
				got, err := e.Report(t.Context(), archive, r)
				if err != nil {
					t.Fatal(err)
				}
				flows, err := e.Report(t.Context(), unrolled{archive}, r)
				if err != nil {
					t.Fatal(err)
				}
				if g, w := fmt.Sprintf("%+v", plainAnswer(got)), fmt.Sprintf("%+v", plainAnswer(flows)); g != w {
					t.Errorf("by %q, %s, from %v:\n%s\nfrom flows:\n%s", by, m, got.Stats.Tables, g, w)
				}
				if tables := got.Stats.Tables; by != "src_port" && by != "" && (len(tables) < 2 || !slices.Contains(tables, "flows") || !got.Exact) {
					t.Errorf("by %q: answered by %v, exact %v", by, tables, got.Exact)
				}
				if m == BPS && step == 0 && by != "" && math.Abs(got.Total.Value-80e6) > 1 {
					t.Errorf("by %q: %v bit/s", by, got.Total.Value)
				}
			}
		}
	}
}

// What the SQL of a scope counts is what its rule counts of the sums, whatever
// records lack: of small random networks, of which some meter only what goes out.
func TestScopesAreTheirRules(t *testing.T) {
	e := newEngine(t)
	exits, unsaid := 0, 0
	for seed := range uint64(60) {
		random := rand.New(rand.NewPCG(seed, 5))
		names := Names{Roles: map[InterfaceID]string{}}
		var sums []counting.Sum
		b := flow.NewBatch(1)
		for router := range byte(3) {
			exporter := netip.AddrFrom4([4]byte{192, 0, 2, router})
			for index := range uint32(5) {
				names.Roles[InterfaceID{exporter, index + 1}] = pick(random, "core", "core", "external", "customer", "internal")
			}
			style := random.IntN(4) // ingress, egress, both, or unsaid egress
			if seed%4 == 0 {
				style = 1 + 2*random.IntN(2)
			}
			for range 12 {
				in, out := random.IntN(7)-1, random.IntN(6)
				if style == 1 || style == 3 {
					in = pick(random, 1, 2, 3, 4, 5)
					out = 1
					for out < 5 && names.Roles[InterfaceID{exporter, uint32(out)}] == "core" {
						out++
					}
				}
				i := b.Extend(1)
				b.SetAddr(flow.Exporter, i, flow.AddrFrom(exporter))
				b.SetUint(flow.Start, i, epoch)
				b.SetUint(flow.End, i, epoch+1000)
				b.SetUint(flow.Packets, i, 1)
				b.SetUint(flow.Bytes, i, random.Uint64N(1e6))
				b.SetUint(flow.SamplingRate, i, 10)
				s := counting.Sum{Exporter: exporter, Amount: counting.Amount{Flows: 1, Packets: 10, Bytes: b.U64(flow.Bytes)[i] * 10}}
				if in >= 0 {
					b.SetUint(flow.InIf, i, uint64(in))
					s.In = uint32(in)
				}
				if out > 0 || random.IntN(2) == 0 {
					b.SetUint(flow.OutIf, i, uint64(out))
					s.Out = uint32(out)
				}
				switch {
				case style == 1 || style == 2 && random.IntN(2) == 0:
					b.SetUint(flow.Direction, i, flow.Egress)
					s.Direction = counting.Egress
				case style != 3 && random.IntN(4) > 0:
					b.SetUint(flow.Direction, i, flow.Ingress)
					s.Direction = counting.Ingress
				}
				sums = append(sums, s)
			}
		}
		if err := e.SetNames(t.Context(), names); err != nil {
			t.Fatal(err)
		}
		network := counting.Network(sums, func(i counting.Interface) string { return names.Roles[InterfaceID(i)] })
		if network.Exit {
			exits++
		}
		if len(network.EgressUnsaid) > 0 {
			unsaid++
		}
		files := Of(writeParquet(t, e, b))
		for scope, rule := range map[Scope]counting.Rule{ScopeAll: {}, ScopeOnce: counting.Once(sums), ScopeNetwork: network} {
			a, err := e.Report(t.Context(), files, Report{Scope: scope, From: time.UnixMilli(epoch), To: time.UnixMilli(epoch + 2000)})
			if err != nil {
				t.Fatal(err)
			}
			if want := Sums(rule.Total(sums)); a.Total.Sums != want {
				t.Errorf("seed %d, %s: %+v, want %+v by %+v", seed, scope, a.Total.Sums, want, rule)
			}
		}
	}
	if exits == 0 || unsaid == 0 {
		t.Errorf("%d networks were counted where packets leave, %d had exporters that meter what goes out and do not say so", exits, unsaid)
	}
	t.Logf("%d by exit, %d with unsaid egress", exits, unsaid)
}
