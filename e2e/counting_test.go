package e2e

import (
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
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
