package server

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/minamo-flow/minamo/counters"
	"github.com/minamo-flow/minamo/enrich/rates"
	"github.com/minamo-flow/minamo/verify/proof"
)

func proofSite(t *testing.T) (*Server, *httptest.Server) {
	s, web, _ := siteWith(t, Config{Cache: 1 << 20, Waiting: 64})
	return s, web
}

// TestProofOfNothing: without counters there is nothing to compare, which is no
// error; what cannot be asked is.
func TestProofOfNothing(t *testing.T) {
	s, web := proofSite(t)
	for path, want := range map[string]string{
		"/api/proof?from=-2h":               `"interfaces":[]`,
		"/api/proof/192.0.2.1/7?from=-2h":   `"directions":[]`,
		"/api/devices":                      `"devices":[]`,
		"/api/alerts":                       `"alerts":[]`,
		"/api/sampling/overrides":           `"overrides":[]`,
		"/api/proof?from=-2h&to=2026-11-01": "",
	} {
		status := http.StatusOK
		if want == "" {
			status = http.StatusUnprocessableEntity
		}
		if text := fetch(t, web, path, status, nil); !strings.Contains(text, want) {
			t.Errorf("%s: %s", path, text)
		}
	}
	fetch(t, web, "/api/proof/nobody/7", http.StatusNotFound, nil)
	if w := s.Watch(proof.WatcherConfig{Every: time.Nanosecond, Look: time.Millisecond}, slog.New(slog.DiscardHandler)); len(w.Alerts()) != 0 {
		t.Error("an alert of nothing")
	}
}

// TestProofOfCounters: an exporter that counts and exports nothing is silent, and
// that is an alert.
func TestProofOfCounters(t *testing.T) {
	s, web := proofSite(t)
	log := slog.New(slog.DiscardHandler)
	s.Counters = counters.Open(counters.Config{Dir: t.TempDir()}, log)
	defer s.Counters.Close()
	device := netip.MustParseAddr("203.0.113.99")
	now := time.Now()
	for minute := -120; minute <= 0; minute++ {
		at := now.Add(time.Duration(minute) * time.Minute)
		s.Counters.Add(&counters.Reading{Device: device, Source: counters.SNMP, Interfaces: []counters.Interface{{
			Index: 7, At: at, Uptime: at.Sub(now.Add(-24 * time.Hour)), Speed: 1e9, Amounts: counters.Amounts{InOctets: uint64(minute+200) * 75_000_000},
		}}})
	}
	var one struct {
		Compared   int
		Interfaces []struct {
			Exporter, Direction, Verdict string
			Counter                      float64 `json:"counter_bps"`
		}
	}
	fetch(t, web, "/api/proof?from=-2h", http.StatusOK, &one)
	if len(one.Interfaces) != 2 || one.Compared != 1 || one.Interfaces[0].Verdict != "silent" || one.Interfaces[0].Direction != "in" || one.Interfaces[0].Counter < 9.9e6 || one.Interfaces[0].Counter > 10.1e6 {
		t.Errorf("%+v", one)
	}
	var lines struct {
		Step       int `json:"step_seconds"`
		Times      []int64
		Directions []struct {
			Direction, Verdict string
			Counter            []*float64 `json:"counter_bps"`
			Flow               []float64  `json:"flow_bps"`
		}
	}
	fetch(t, web, "/api/proof/203.0.113.99/7?from=-2h", http.StatusOK, &lines)
	if lines.Step != 300 || len(lines.Directions) != 2 || len(lines.Directions[0].Counter) != len(lines.Times) || len(lines.Times) < 24 {
		t.Errorf("%+v", lines)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	w := s.Watch(proof.WatcherConfig{Look: time.Millisecond}, log)
	go func() { done <- w.Run(ctx) }()
	for len(w.Alerts()) == 0 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	<-done
	if text := fetch(t, web, "/api/alerts", http.StatusOK, nil); !strings.Contains(text, `"what":"silent"`) || !strings.Contains(text, device.String()) {
		t.Errorf("%s", text)
	}
	if text := fetch(t, web, "/metrics", http.StatusOK, nil); !strings.Contains(text, `minamo_proof_interfaces{verdict="silent"} 1`) {
		t.Error("no metric of it")
	}
	if changes := w.Changes(now.Add(-time.Hour), now.Add(time.Hour)); len(changes) != 1 || changes[0].Verdict != proof.Silent {
		t.Errorf("%+v", changes)
	}
}

// TestOverrides: a rate by hand multiplies in every answer, is refused where it
// makes no sense or somebody was faster, and goes without a trace.
func TestOverrides(t *testing.T) {
	_, web := proofSite(t)
	total := func() (bytes float64) {
		var answer struct{ Total struct{ Bytes float64 } }
		fetch(t, web, "/api/report?from=-2h&name=traffic", http.StatusOK, &answer)
		return answer.Total.Bytes
	}
	var exporters struct {
		Rows []struct {
			Label string
			Bytes float64
		}
	}
	fetch(t, web, "/api/report?from=-2h&by=exporter", http.StatusOK, &exporters)
	put := func(body string, status int) string {
		t.Helper()
		request, err := http.NewRequest(http.MethodPut, web.URL+"/api/sampling/overrides", bytes.NewReader([]byte(body)))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/json")
		r, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		if r.StatusCode != status {
			t.Errorf("%s: %s", body, r.Status)
		}
		return r.Header.Get("ETag")
	}
	before := total()
	if len(exporters.Rows) == 0 || before == 0 {
		t.Fatalf("%+v, %f", exporters, before)
	}
	exporter := exporters.Rows[0]
	put(`{"overrides": [{"exporter": "`+exporter.Label+`", "rate": 0}]}`, http.StatusUnprocessableEntity)
	put(`{"overrides": [{"exporter": "nobody", "rate": 1}]}`, http.StatusUnprocessableEntity)
	put(fmt.Sprintf(`{"overrides": [{"exporter": %q, "rate": 1}]}`, exporter.Label), http.StatusOK)
	one := total()
	put(fmt.Sprintf(`{"overrides": [{"exporter": %q, "rate": 1000}]}`, exporter.Label), http.StatusOK)
	thousand := total()
	// What is of this exporter, as exported.
	raw := (thousand - one) / 999
	if raw <= 0 || thousand <= one {
		t.Errorf("%f, then %f bytes", one, thousand)
	}
	put(`{"overrides": [], "revision": "old"}`, http.StatusConflict)
	put(`{"overrides": []}`, http.StatusOK)
	if after := total(); after != before {
		t.Errorf("%f bytes, it was %f", after, before)
	}
	if from, to := timeOf([]rates.Override{{}, {}}); !from.IsZero() || !to.IsZero() {
		t.Errorf("%v %v", from, to)
	}
}
