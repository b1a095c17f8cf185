package e2e

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestNetworkCountsOnce: whatever a carrier's routers are set to meter, the scope
// network gives what truly entered it, within the error that sampling allows; and
// without it the totals are as wrong as the scenario makes them.
func TestNetworkCountsOnce(t *testing.T) {
	start := time.Date(2026, 11, 20, 3, 0, 0, 0, time.UTC)
	from, to := start.Add(5*time.Minute), start.Add(55*time.Minute)
	window := from.Format("2006/01/02.15:04:05") + "-" + to.Format("2006/01/02.15:04:05")
	const part = "@2026-11-20T03:20:00Z..2026-11-20T03:40:00Z"
	for _, c := range []struct {
		what      string
		args      []string
		all, most float64 // how much of the truth all records are, from and to
	}{
		{"as it should be", nil, .98, 1.02},
		{"core interfaces too", []string{"--everywhere"}, 1.8, 3},
		{"double-count", []string{"--scenario", "double-count"}, 1.8, 3},
		{"ingress-egress", []string{"--scenario", "ingress-egress"}, 1.3, 2},
		{"egress-only", []string{"--scenario", "egress-only"}, 1.1, 2},
		{"egress only for a part of the time, at a router that meters both otherwise",
			[]string{"--everywhere", "--scenario", "ingress-egress", "--scenario", "egress-only:tyo-edge1" + part}, 1.8, 4},
	} {
		t.Run(c.what, func(t *testing.T) {
			dir := t.TempDir()
			data, file := filepath.Join(dir, "data"), filepath.Join(dir, "truth")
			run(t, minamo, append([]string{"demo", "--data", data, "--http", fmt.Sprintf("127.0.0.1:%d", freePort(t, "tcp")),
				"--start", start.Format(time.RFC3339), "--for", "1h", "--truth", file, "--seed", "7"}, c.args...)...)
			want := truth(t, file, from, to)
			ask := func(scope, by string) float64 {
				t.Helper()
				var answer struct {
					Total struct {
						Bytes float64 `json:"bytes"`
					} `json:"total"`
				}
				text := run(t, minamo, "report", "--data", data, "--utc", "-t", window, "--by", by, "--scope", scope, "-o", "json")
				if err := json.Unmarshal([]byte(text), &answer); err != nil {
					t.Fatalf("%v in %.500s", err, text)
				}
				return answer.Total.Bytes
			}
			entered := want.bytes["total "]
			bound := 5*math.Sqrt(want.variance["total "]) + entered/200 // as in TestDemo
			for _, by := range []string{"exporter", "src_addr/16"} {    // from sums, and from flows
				if got := ask("network", by); math.Abs(got-entered) > bound {
					t.Errorf("by %s %.0f bytes are counted, %.0f there were: %+.2f %%, expected ± %.2f %%", by, got, entered, (got/entered-1)*100, bound/entered*100)
				}
			}
			if all := ask("all", "exporter") / entered; all < c.all || all > c.most {
				t.Errorf("all records are %.2f of the truth, expected %v to %v: the test proves nothing", all, c.all, c.most)
			}
		})
	}
}

// TestDropsAreTold: an access list denies a customer everything. What is said to be
// dropped is what was dropped, it is that customer's, and it is not said of what
// was for routers themselves.
func TestDropsAreTold(t *testing.T) {
	dir := t.TempDir()
	data, file := filepath.Join(dir, "data"), filepath.Join(dir, "truth")
	begin := time.Date(2026, 11, 20, 3, 0, 0, 0, time.UTC)
	from, to := begin.Add(5*time.Minute), begin.Add(55*time.Minute)
	run(t, minamo, "demo", "--data", data, "--http", fmt.Sprintf("127.0.0.1:%d", freePort(t, "tcp")),
		"--start", begin.Format(time.RFC3339), "--for", "1h", "--truth", file, "--seed", "7", "--everywhere", "--scenario", "acl")
	var dropped, consumed, variance float64
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var m struct {
			Start             time.Time
			Dropped, Consumed amount
		}
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		if !m.Start.Before(from) && m.Start.Before(to) {
			dropped += float64(m.Dropped.Bytes)
			consumed += float64(m.Consumed.Bytes)
			variance += math.Pow(float64(m.Dropped.Bytes)*m.Dropped.Error/1.96, 2)
		}
	}
	web := fmt.Sprintf("127.0.0.1:%d", freePort(t, "tcp"))
	server := start(t, minamo, "serve", "--data", data, "--http", web, "--listen", fmt.Sprintf("udp://127.0.0.1:%d", freePort(t, "udp")))
	defer server.terminate(t)
	var answer struct {
		Fates []struct {
			Fate  string
			Bytes float64
		}
		Reasons []struct {
			Status *int
			Share  float64
		}
		Customers []struct {
			Key   string
			Share float64
		}
		Exporters []struct{ Exporter, Sight string }
	}
	eventually(t, "the server answers", func() bool {
		r, err := http.Get("http://" + web + "/api/drops?from=" + from.Format(time.RFC3339) + "&to=" + to.Format(time.RFC3339))
		if err != nil {
			return false
		}
		defer r.Body.Close()
		return r.StatusCode == 200 && json.NewDecoder(r.Body).Decode(&answer) == nil
	})
	got := map[string]float64{}
	for _, f := range answer.Fates {
		got[f.Fate] = f.Bytes
	}
	// The variance is that of where packets came in; the routers that drop them sample
	// as seldom or more often.
	if bound := 8*math.Sqrt(variance) + dropped/100; math.Abs(got["dropped"]-dropped) > bound {
		t.Errorf("%.0f bytes are said to be dropped, %.0f were: %+.1f %%, expected ± %.1f %%", got["dropped"], dropped, (got["dropped"]/dropped-1)*100, bound/dropped*100)
	}
	if got["to_router"]+got["unknown"] > consumed*4+dropped/20 {
		t.Errorf("%.0f bytes for routers and %.0f unknown; %.0f were for routers", got["to_router"], got["unknown"], consumed)
	}
	if len(answer.Reasons) == 0 || answer.Reasons[0].Status == nil || *answer.Reasons[0].Status != 129 || answer.Reasons[0].Share < .95 {
		t.Errorf("reasons: %+v", answer.Reasons)
	}
	if len(answer.Customers) == 0 || answer.Customers[0].Key != "Aster Foods" || answer.Customers[0].Share < .95 {
		t.Errorf("customers: %+v", answer.Customers)
	}
	t.Logf("%.0f bytes dropped, %.0f said: %+.2f %%", dropped, got["dropped"], (got["dropped"]/dropped-1)*100)
}
