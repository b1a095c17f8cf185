package server

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/verify/totals"
)

// TestAlertsOfTotals: a router that begins to drop what comes in by an interface,
// and to tell of what comes in by another as it goes out, too, is told of and
// counted, with the names that are known.
func TestAlertsOfTotals(t *testing.T) {
	s, web, _ := siteWith(t, Config{Cache: 1 << 20, Waiting: 64})
	now := time.Now().Truncate(totals.Step)
	exporter := netip.MustParseAddr("198.51.100.77")
	b := flow.NewBatch(512)
	add := func(at time.Time, in, out, direction, status uint64) {
		i := b.Len()
		b.Extend(1)
		b.SetAddr(flow.Exporter, i, flow.AddrFrom(exporter))
		for _, c := range []flow.Column{flow.Received, flow.Start, flow.End} {
			b.SetUint(c, i, uint64(at.UnixMilli()))
		}
		b.SetUint(flow.Packets, i, 1000)
		b.SetUint(flow.Bytes, i, 1e6)
		b.SetUint(flow.SamplingRate, i, 1)
		b.SetUint(flow.InIf, i, in)
		b.SetUint(flow.OutIf, i, out)
		b.SetUint(flow.Direction, i, direction)
		b.SetUint(flow.ForwardingStatus, i, status)
	}
	for minute := -90; minute < 0; minute++ {
		at := now.Add(time.Duration(minute) * time.Minute)
		add(at, 1, 2, flow.Ingress, 64)
		if minute < -20 {
			add(at, 3, 2, flow.Ingress, 64)
			continue
		}
		add(at, 3, 0, flow.Ingress, 131)
		add(at, 1, 2, flow.Egress, 64)
	}
	if err := s.Store.Write(b); err != nil {
		t.Fatal(err)
	}
	sealed, stop := context.WithCancel(t.Context())
	stop()
	if err := s.Store.Run(sealed); err != nil {
		t.Fatal(err)
	}
	put := func(roles string) {
		t.Helper()
		request, err := http.NewRequest(http.MethodPut, web.URL+"/api/interfaces/roles", strings.NewReader(roles))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/json")
		r, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode != http.StatusOK {
			t.Fatal(r.Status)
		}
	}
	w := s.WatchTotals(totals.Config{}, slog.New(slog.DiscardHandler))
	look := func() (said []string) {
		t.Helper()
		if err := w.At(t.Context(), now.Add(2*time.Minute)); err != nil {
			t.Fatal(err)
		}
		var answer struct{ Alerts []Alert }
		fetch(t, web, "/api/alerts", http.StatusOK, &answer)
		for _, a := range answer.Alerts {
			if a.Exporter != exporter || a.Since == nil || !a.Since.Equal(now.Add(-20*time.Minute)) || len(a.Interfaces) != 1 || a.Mend == "" {
				t.Errorf("%+v", a)
			}
			said = append(said, a.Kind+" "+a.What+" "+string(a.Interfaces[0].Direction)+" "+a.Words)
		}
		slices.Sort(said)
		return said
	}
	drops := "drops more_drops in 100 % of the packets that come in by interface 3 are dropped; before it was 0 %. Why, mostly: 131 dropped, unroutable."
	copies := "out 33 % of the packets that it tells of are in other records, too; before it was 0 %. They are metered as they go out by interface 2."
	if said := look(); !slices.Equal(said, []string{"counting no_roles " + copies + " No interface has a role: what the network's traffic is, nobody can tell.", drops}) {
		t.Errorf("%q", said)
	}
	metrics := func() []string {
		return regexp.MustCompile(`(?m)^minamo_(counting|dropped)_.*$`).FindAllString(fetch(t, web, "/metrics", http.StatusOK, nil), -1)
	}
	// A megabyte a minute is 8/60 Mbit/s; the site has some flows of another exporter, more
	// or less of them in the time that is looked at.
	if said := strings.Join(metrics(), "\n"); !strings.Contains(said, `minamo_counting_bits_per_second{scope="all"} 400`) || strings.Contains(said, "network") ||
		!strings.Contains(said, `minamo_dropped_bits_per_second{exporter="198.51.100.77"} 133333`) || !strings.Contains(said, "minamo_counting_failures_total 0") {
		t.Errorf("%s", said)
	}
	put(`{"rules": [], "interfaces": [{"exporter": "198.51.100.77", "index": 1, "role": "customer"}]}`)
	if said := look(); !slices.Equal(said, []string{"counting new_copies " + copies, drops}) {
		t.Errorf("with roles: %q", said)
	}
	if said := strings.Join(metrics(), "\n"); !strings.Contains(said, `scope="network"} 266`) || !strings.Contains(said, `scope="once"} 266`) {
		t.Errorf("%s", said)
	}
}
