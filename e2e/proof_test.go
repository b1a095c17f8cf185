package e2e

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// proven is a line of `minamo proof -o json`.
type proven struct {
	Exporter  string    `json:"exporter"`
	Index     uint32    `json:"index"`
	Direction string    `json:"direction"`
	Verdict   string    `json:"verdict"`
	Implied   uint32    `json:"implied_rate"`
	Since     time.Time `json:"since"`
	Words     string    `json:"words"`
}

// Routers of the simulated network.
const (
	tyoEdge1, tyoCore1, tyoIX1 = "127.1.0.1", "127.1.0.2", "127.1.0.3"
	oskCore1, oskEdge1         = "127.1.0.4", "127.1.0.5"
)

// TestProof: each thing that goes wrong in the simulated network gets its verdict,
// on the routers where it happens and on no other, from SNMP and flows alone. And
// where a wrong rate is found, setting it by hand makes the past right.
func TestProof(t *testing.T) {
	begin := time.Date(2026, 11, 20, 3, 0, 0, 0, time.UTC)
	wrong, end := begin.Add(150*time.Minute), begin.Add(5*time.Hour)
	window := begin.Format("2006/01/02.15:04:05") + "-" + end.Format("2006/01/02.15:04:05")
	live := func(t *testing.T, args ...string) (data string, all []proven) {
		data = filepath.Join(t.TempDir(), "data")
		run(t, minamo, append([]string{"demo", "--data", data, "--http", "127.0.0.1:0", "--snmp-port", fmt.Sprint(freePort(t, "udp")),
			"--start", begin.Format(time.RFC3339), "--for", "5h"}, args...)...)
		// 3 tells that something is wrong.
		out, err := exec.Command(minamo, "proof", "--data", data, "-a", "-o", "json", "--utc", "-t", window).Output()
		if e, is := err.(*exec.ExitError); err != nil && (!is || e.ExitCode() != 3) {
			t.Fatalf("minamo proof: %v", err)
		}
		if err := json.Unmarshal(out, &all); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return data, all
	}
	// judge holds verdicts against what is expected of each router: the one that
	// its wrong interfaces have, "" for none.
	judge := func(t *testing.T, all []proven, want map[string]string) {
		t.Helper()
		least := map[string]int{"half_missing": 1} // it happens to one interface; the others to all
		healthy, found, timely := map[string]int{}, map[string]int{}, map[string]int{}
		for _, p := range all {
			switch p.Verdict {
			case "healthy":
				healthy[p.Exporter]++
			case "idle", "unknown", "not_metered":
			case want[p.Exporter]:
				found[p.Exporter]++
				if p.Since.After(wrong.Add(-15*time.Minute)) && p.Since.Before(wrong.Add(time.Hour)) {
					timely[p.Exporter]++ // of small traffic nobody can tell so exactly
				}
			default:
				t.Errorf("%s %d %s: %s, expected %q: %s", p.Exporter, p.Index, p.Direction, p.Verdict, want[p.Exporter], p.Words)
			}
		}
		for _, router := range []string{tyoEdge1, tyoCore1, tyoIX1, oskCore1, oskEdge1} {
			if want[router] == "" && healthy[router] < 2 || want[router] != "" && found[router] < cmp.Or(least[want[router]], 2) {
				t.Errorf("%s: %d are healthy, %d are %q", router, healthy[router], found[router], want[router])
			}
			if want[router] != "sawtooth" && 2*timely[router] < found[router] { // which is of the newest time
				t.Errorf("%s: of %d that are %q since %v only %d tell so", router, found[router], want[router], wrong, timely[router])
			}
		}
		t.Logf("healthy: %v, wrong: %v", healthy, found)
	}
	from := "@" + wrong.Format(time.RFC3339) + ".."

	t.Run("rates", func(t *testing.T) {
		data, all := live(t, "--scenario", "wrong-rate:osk-core1"+from, "--scenario", "no-rate:tyo-core1"+from,
			"--scenario", "ingress-egress:tyo-edge1"+from, "--scenario", "silent:tyo-ix1"+from, "--scenario", "ipv6-unseen"+from)
		judge(t, all, map[string]string{oskCore1: "rate_wrong", tyoCore1: "rate_not_applied", tyoEdge1: "double_count", tyoIX1: "silent", oskEdge1: "protocol_missing"})
		for _, p := range all {
			if want := map[string]uint32{"rate_wrong": 16384, "rate_not_applied": 4096}[p.Verdict]; want != 0 && p.Implied != want {
				t.Errorf("%s %d %s: one in %d, in truth one in %d", p.Exporter, p.Index, p.Direction, p.Implied, want)
			}
		}
		correct(t, data, begin, wrong, end)
	})
	t.Run("losses", func(t *testing.T) {
		_, all := live(t, "--scenario", "applied-twice:osk-core1"+from, "--scenario", "loss:tyo-core1"+from, "--scenario", "half-metered:tyo-edge1"+from)
		judge(t, all, map[string]string{oskCore1: "rate_applied_twice", tyoCore1: "loss", tyoEdge1: "direction_missing"})
	})
	t.Run("kinds", func(t *testing.T) {
		_, all := live(t, "--scenario", "slow-timers:tyo-edge1"+from, "--scenario", "ipv4-only:tyo-core1"+from,
			"--scenario", "half-bundle:tyo-ix1"+from, "--scenario", "stale-numbers:osk-core1"+from)
		judge(t, all, map[string]string{tyoEdge1: "sawtooth", tyoCore1: "protocol_missing", tyoIX1: "half_missing", oskCore1: "renumbered"})
	})
	t.Run("healthy", func(t *testing.T) {
		_, all := live(t, "--everywhere", "--scenario", "egress-only:osk-core1"+from, "--scenario", "clock-drift:tyo-core1"+from,
			"--scenario", "acl:tyo-edge1"+from, "--scenario", "restart:osk-edge1"+from, "--scenario", "renumber:tyo-ix1"+from)
		judge(t, all, nil)
		for _, p := range all { // an interface is the same whichever number it has
			if p.Exporter == tyoIX1 && p.Verdict == "healthy" && p.Since.After(begin.Add(30*time.Minute)) {
				t.Errorf("%s %d %s is compared only since %v", p.Exporter, p.Index, p.Direction, p.Since)
			}
		}
	})
}

// correct sets the rate that the proof found, asks again, and takes it back.
func correct(t *testing.T, data string, begin, wrong, end time.Time) {
	web := fmt.Sprintf("http://127.0.0.1:%d", freePort(t, "tcp"))
	start(t, minamo, "serve", "--data", data, "--http", strings.TrimPrefix(web, "http://"), "--listen", fmt.Sprintf("udp://127.0.0.1:%d", freePort(t, "udp")))
	eventually(t, "the server answers", func() bool {
		r, err := http.Get(web + "/healthz")
		if err == nil {
			r.Body.Close()
		}
		return err == nil
	})
	between := url.Values{"from": {begin.Format(time.RFC3339)}, "to": {end.Format(time.RFC3339)}}.Encode()
	ask := func(path string, v any) {
		t.Helper()
		r, err := http.Get(web + path)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		text, _ := io.ReadAll(r.Body)
		if err := json.Unmarshal(text, v); err != nil || r.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s, %v: %.300s", path, r.Status, err, text)
		}
	}
	// Of osk-core1: verdicts, and its bytes in all the time.
	look := func() (verdicts map[string]int, overridden int, bytes float64) {
		var proof struct {
			Interfaces []struct {
				Exporter, Verdict string
				Override          *struct{ Rate uint32 }
			}
		}
		ask("/api/proof?"+between, &proof)
		verdicts = map[string]int{}
		for _, p := range proof.Interfaces {
			if p.Exporter == oskCore1 {
				verdicts[p.Verdict]++
				if p.Override != nil {
					overridden++
				}
			}
		}
		var report struct{ Total struct{ Bytes float64 } }
		ask("/api/report?by=exporter&scope=ingress&filter="+url.QueryEscape("router "+oskCore1)+"&from="+url.QueryEscape(wrong.Add(10*time.Minute).Format(time.RFC3339))+"&to="+url.QueryEscape(end.Add(-10*time.Minute).Format(time.RFC3339)), &report)
		return verdicts, overridden, report.Total.Bytes
	}
	set := func(body string) {
		t.Helper()
		request, err := http.NewRequest(http.MethodPut, web+"/api/sampling/overrides", bytes.NewReader([]byte(body)))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/json")
		r, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		if text, _ := io.ReadAll(r.Body); r.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s", r.Status, text)
		}
	}
	verdicts, _, claimed := look()
	if verdicts["rate_wrong"] < 3 {
		t.Fatalf("%v", verdicts)
	}
	set(fmt.Sprintf(`{"overrides": [{"exporter": %q, "from": %q, "rate": 16384, "note": "the sampler was changed"}]}`, oskCore1, wrong.Format(time.RFC3339)))
	verdicts, overridden, bytes := look()
	if verdicts["rate_wrong"] > 0 || verdicts["healthy"] < 3 || overridden == 0 || math.Abs(bytes/claimed-4) > 1e-6 {
		t.Errorf("with the rate by hand: %v, %d have it, %.0f bytes of %.0f that were claimed", verdicts, overridden, bytes, claimed)
	}
	eventually(t, "sums are made anew", func() bool {
		var report struct{ Meta struct{ Tables []string } }
		ask("/api/report?by=exporter&"+between, &report)
		return len(report.Meta.Tables) > 0 && report.Meta.Tables[0] != "flows"
	})
	if _, _, again := look(); again != bytes {
		t.Errorf("%.0f bytes from sums, %.0f from flows", again, bytes)
	}
	run(t, minamo, "store", "check", "--deep", "--data", data)
	if said := run(t, minamo, "report", "exporter", "--data", data, "--utc", "router "+oskCore1); !strings.Contains(said, oskCore1) {
		t.Errorf("%s", said)
	}
	set(`{"overrides": []}`)
	if verdicts, _, back := look(); verdicts["rate_wrong"] < 3 || back != claimed {
		t.Errorf("taken back: %v, %.0f bytes of %.0f", verdicts, back, claimed)
	}
}
