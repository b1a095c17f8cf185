package server

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/minamo-flow/minamo/collect"
	"github.com/minamo-flow/minamo/dashboards"
	"github.com/minamo-flow/minamo/enrich/geo"
	"github.com/minamo-flow/minamo/enrich/networks"
	"github.com/minamo-flow/minamo/enrich/rates"
	"github.com/minamo-flow/minamo/enrich/roles"
	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/query"
	"github.com/minamo-flow/minamo/store"
	"github.com/minamo-flow/minamo/wire/sflow"
)

// site is a server over a store that holds three flows of the last minutes.
func site(t *testing.T) (*httptest.Server, time.Time) {
	t.Helper()
	_, web, now := siteWith(t, Config{Cache: 1 << 20, Waiting: 64})
	return web, now
}

// siteWith is the same with bounds of its own.
func siteWith(t *testing.T, c Config) (*Server, *httptest.Server, time.Time) {
	t.Helper()
	dir := t.TempDir()
	log := slog.New(slog.DiscardHandler)
	metrics := prometheus.NewRegistry()
	kept, err := store.Open(store.Config{Dir: dir}, log, metrics)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().Truncate(time.Second)
	b := flow.NewBatch(3)
	for i, f := range []struct {
		src            string
		port, protocol uint64
		bytes, rate    uint64
		start, end     time.Duration // before now
	}{
		{"192.0.2.1", 443, 6, 1001, 10, 50 * time.Second, 10 * time.Second},
		{"192.0.2.1", 53, 17, 200, 1, 20 * time.Second, 20 * time.Second},
		{"2001:db8::1", 443, 6, 5000, 1, 5 * time.Minute, 4 * time.Minute},
	} {
		b.Extend(1)
		b.SetUint(flow.Received, i, uint64(now.UnixMilli()))
		b.SetAddr(flow.Exporter, i, flow.AddrFrom(netip.MustParseAddr("198.51.100.1")))
		b.SetUint(flow.ExportProtocol, i, flow.IPFIX)
		b.SetUint(flow.ObservationDomain, i, 1)
		b.SetUint(flow.Start, i, uint64(now.Add(-f.start).UnixMilli()))
		b.SetUint(flow.End, i, uint64(now.Add(-f.end).UnixMilli()))
		b.SetUint(flow.Packets, i, 2)
		b.SetUint(flow.Bytes, i, f.bytes)
		b.SetUint(flow.SamplingRate, i, f.rate)
		b.SetUint(flow.SamplingSource, i, flow.SamplingRecord)
		b.SetAddr(flow.SrcAddr, i, flow.AddrFrom(netip.MustParseAddr(f.src)))
		b.SetUint(flow.DstPort, i, f.port)
		b.SetUint(flow.SrcPort, i, 50000)
		b.SetUint(flow.Protocol, i, f.protocol)
	}
	if err := kept.Write(b); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop() // seals what there is
	if err := kept.Run(ctx); err != nil {
		t.Fatal(err)
	}
	engine, err := query.Open(query.Config{TempDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	c.Version, c.DataDir, c.SQLLimits = "test", dir, query.Config{TempDir: t.TempDir(), Threads: 1, MemoryLimit: 64 << 20}
	if c.Timeout == 0 {
		c.Timeout = time.Minute
	}
	own, err := networks.Open(filepath.Join(dir, "networks.json"))
	if err != nil {
		t.Fatal(err)
	}
	parts, err := roles.Open(filepath.Join(dir, "interfaces.json"))
	if err != nil {
		t.Fatal(err)
	}
	byHand, err := rates.Open(filepath.Join(dir, "rates.json"))
	if err != nil {
		t.Fatal(err)
	}
	boards, err := dashboards.Open(filepath.Join(dir, "dashboards"))
	if err != nil {
		t.Fatal(err)
	}
	s := New(c, Deps{
		Collector: collect.New(collect.Config{}, kept, log),
		Store:     kept, Engine: engine, Metrics: metrics, Log: log,
		Networks: own, Roles: parts, Rates: byHand, Dashboards: boards, Places: geo.Open(geo.Config{Dir: filepath.Join(dir, "geo")}, log),
		Console: fstest.MapFS{"index.html": {Data: []byte(`<meta content="STYLE-NONCE"><title>console</title>`)}, "assets/a.js": {Data: []byte("1")}},
	})
	web := httptest.NewServer(s.handler)
	t.Cleanup(func() {
		web.Close()
		s.calls.Wait()
		engine.Close()
		kept.Close()
	})
	return s, web, now
}

// fetch gets a path and decodes its JSON into v, if not nil.
func fetch(t *testing.T, web *httptest.Server, path string, status int, v any) string {
	t.Helper()
	r, err := http.Get(web.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	if r.StatusCode != status {
		t.Fatalf("%s: status %d, want %d: %s", path, r.StatusCode, status, body)
	}
	if v != nil {
		if err := json.Unmarshal(body, v); err != nil {
			t.Fatalf("%s: %v in %.1000s", path, err, body)
		}
	}
	return string(body)
}

func TestTop(t *testing.T) {
	web, _ := site(t)
	var top Top
	fetch(t, web, "/api/top?by=srcip&metric=bytes&from=-1h&limit=1", 200, &top)
	if len(top.Rows) != 1 || top.Rows[0].Label != "192.0.2.1" || top.Rows[0].Bytes != 10210 || top.Rows[0].Flows != 2 {
		t.Errorf("rows: %+v", top.Rows)
	}
	if top.Other.Groups != 1 || top.Other.Bytes != 5000 || top.Total.Bytes != 15210 || top.Total.Packets != 24 || top.Total.Flows != 3 {
		t.Errorf("other %+v, total %+v", top.Other, top.Total)
	}
	if top.Meta.Segments != 1 || top.Meta.Rows != 3 || !strings.Contains(top.Meta.Command, "minamo report --data") {
		t.Errorf("meta %+v", top.Meta)
	}
	fetch(t, web, "/api/top?by=proto,dstport&metric=packets&from=-1h&raw=true&filter="+url.QueryEscape("proto tcp"), 200, &top)
	if len(top.Rows) != 1 || top.Rows[0].Label != "TCP, 443" || top.Rows[0].Bytes != 6001 {
		t.Errorf("raw: %+v", top.Rows)
	}
	// Outside of the range there is nothing, and that is no error.
	fetch(t, web, "/api/top?from=2001-01-01T00:00:00Z&to=2001-01-02T00:00:00Z", 200, &top)
	if len(top.Rows) != 0 || top.Total != (query.Sums{}) || top.Other.Groups != 0 {
		t.Errorf("nothing: %+v", top)
	}
}

func TestSeriesAddsUpToItsFlows(t *testing.T) {
	web, now := site(t)
	var s Series
	fetch(t, web, "/api/series?by=proto&step=10&limit=1&from="+now.Add(-time.Hour).UTC().Format(time.RFC3339)+"&to="+now.Add(10*time.Second).UTC().Format(time.RFC3339), 200, &s)
	if s.Unit != "bit/s" || s.Step != 10 || len(s.Series) != 1 || s.Series[0].Label != "TCP" || s.Other == nil || s.Other.Label != "Other" {
		t.Fatalf("%+v", s)
	}
	for _, line := range []struct {
		Line
		bytes float64
	}{{s.Series[0], 15010}, {*s.Other, 200}} {
		if len(line.Values) != len(s.Times) {
			t.Fatalf("%d values for %d times", len(line.Values), len(s.Times))
		}
		sum := 0.0
		for _, v := range line.Values {
			sum += v * 10 / 8
		}
		if sum < line.bytes-0.01 || sum > line.bytes+0.01 || line.Total.Bytes != uint64(line.bytes) {
			t.Errorf("%s: %v bytes in the buckets, want %v", line.Label, sum, line.bytes)
		}
	}
	// The server's own step makes a readable number of points.
	for _, span := range []string{"-1m", "-5m", "-1h", "-24h", "-7d", "-365d"} {
		fetch(t, web, "/api/series?from="+span, 200, &s)
		if n := len(s.Times); n > 302 || n < 60 {
			t.Errorf("%s: %d points", span, n)
		}
	}
}

func TestFlowsAreTheNewestFirst(t *testing.T) {
	web, _ := site(t)
	var out struct {
		Rows []map[string]any `json:"rows"`
	}
	fetch(t, web, "/api/flows?limit=2", 200, &out)
	if len(out.Rows) != 2 || out.Rows[0]["dst_port"] != 53.0 || out.Rows[0]["export_protocol"] != "ipfix" || out.Rows[1]["bytes"] != 10010.0 {
		t.Errorf("%v", out.Rows)
	}
	if _, has := out.Rows[0]["dst_addr"]; has {
		t.Error("a value that the exporter did not send is there")
	}
}

// A list that ends at its limit says so, in whatever form.
func TestFlowsSayWhetherThereAreMore(t *testing.T) {
	web, _ := site(t)
	for limit, want := range map[int]bool{2: true, 1000: false} {
		var out struct {
			Rows []any
			More bool
		}
		fetch(t, web, fmt.Sprint("/api/flows?limit=", limit), 200, &out)
		if out.More != want || len(out.Rows) > limit {
			t.Errorf("of %d: %d flows, more %v", limit, len(out.Rows), out.More)
		}
		answer, err := http.Get(fmt.Sprint(web.URL, "/api/flows?format=csv&order=stored&limit=", limit))
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		if got := answer.Trailer.Get("Minamo-More"); got != fmt.Sprint(want) || strings.Count(string(body), "\n") != len(out.Rows)+1 {
			t.Errorf("of %d as csv: %q in the trailer, and\n%s", limit, got, body)
		}
	}
}

func TestFaultsAreProblemsThatNameTheParameter(t *testing.T) {
	web, _ := site(t)
	for path, want := range map[string]string{
		"/api/top?filter=" + url.QueryEscape("proto tcp and prot 5"): "column 15",
		"/api/top?by=nothing":                        "nothing",
		"/api/top?from=yesterday":                    "RFC 3339",
		"/api/top?from=now&to=-1h":                   "empty",
		"/api/top?metric=love":                       "metric",
		"/api/top?limit=-1":                          "limit",
		"/api/series?step=1&from=-30d":               "too many",
		"/api/series?from=0001-01-01T00:00:00Z":      "200 years",
		"/api/top?from=-220000d":                     "RFC 3339",
		"/api/flows?limit=1000000":                   "limit",
		"/api/series?by=" + strings.Repeat("x", 500): "unknown",
	} {
		var p struct {
			Status int
			Detail string
			Errors []struct{ Message, Location string }
		}
		body := fetch(t, web, path, 422, &p)
		if p.Status != 422 || p.Detail == "" || !strings.Contains(body, want) {
			t.Errorf("%s: %s", path, body)
		}
	}
	if body := fetch(t, web, "/api/none", 404, nil); !strings.Contains(body, "openapi.json") {
		t.Error(body)
	}
	var check FilterCheck
	fetch(t, web, "/api/filter?filter=port", 200, &check)
	if check.OK || check.Column != 5 || check.Word != "" || check.Expected == "" {
		t.Errorf("%+v", check)
	}
	fetch(t, web, "/api/filter?filter=", 200, &check)
	if !check.OK {
		t.Error("an empty filter is right")
	}
}

func TestTheAPIIsDescribed(t *testing.T) {
	web, _ := site(t)
	var description struct {
		OpenAPI string
		Paths   map[string]any
	}
	fetch(t, web, "/api/openapi.json", 200, &description)
	for _, path := range []string{"/api/status", "/api/top", "/api/series", "/api/flows", "/api/exporters", "/api/fields", "/api/filter", "/api/report", "/api/reports", "/api/questions"} {
		if description.Paths[path] == nil {
			t.Errorf("%s is not described", path)
		}
		fetch(t, web, path, 200, nil)
	}
	var fields struct {
		Columns    []FieldInfo
		Dimensions []DimensionInfo
	}
	fetch(t, web, "/api/fields", 200, &fields)
	if len(fields.Columns) != int(flow.NumColumns) || len(fields.Dimensions) <= int(flow.NumColumns) {
		t.Errorf("%d columns, %d dimensions", len(fields.Columns), len(fields.Dimensions))
	}
}

func TestConsoleMetricsAndHealth(t *testing.T) {
	web, _ := site(t)
	for _, path := range []string{"/", "/explore", "/addresses/192.0.2.10", "/index.html", "/assets", "/assets/"} {
		r, err := http.Get(web.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(r.Body)
		r.Body.Close()
		if r.StatusCode != 200 || !strings.Contains(string(body), "console") || !strings.Contains(r.Header.Get("Content-Security-Policy"), "default-src 'self'") {
			t.Errorf("%s: %d %s", path, r.StatusCode, body)
		}
	}
	nonces := map[string]bool{}
	for range 3 { // a style sheet is allowed by a word that is new each time
		r, err := http.Get(web.URL + "/")
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(r.Body)
		r.Body.Close()
		nonce := regexp.MustCompile(`content="([A-Z2-7]{26})"`).FindSubmatch(body)
		if nonce == nil || !strings.Contains(r.Header.Get("Content-Security-Policy"), "'nonce-"+string(nonce[1])+"'") || nonces[string(nonce[1])] {
			t.Fatalf("%s with the policy %s", body, r.Header.Get("Content-Security-Policy"))
		}
		nonces[string(nonce[1])] = true
	}
	fetch(t, web, "/assets/gone.js", 404, nil)
	fetch(t, web, "/favicon.ico", 404, nil)
	fetch(t, web, "/healthz", 200, nil)
	if body := fetch(t, web, "/metrics", 200, nil); !strings.Contains(body, "minamo_query_seconds") && !strings.Contains(body, "minamo_store") {
		t.Error("no metrics of ours")
	}
}

func TestShellQuote(t *testing.T) {
	for text, want := range map[string]string{
		"/var/lib/minamo": "/var/lib/minamo", "my data": "'my data'", "": "''", "it's": `'it'\''s'`, "$HOME": "'$HOME'", "port 53": "'port 53'",
	} {
		if got := shellQuote(text); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestParseTime(t *testing.T) {
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"now": now, "-15m": now.Add(-15 * time.Minute), "-7d": now.Add(-7 * 24 * time.Hour), "-1h30m": now.Add(-90 * time.Minute), "-1d12h": now.Add(-36 * time.Hour), "-1w": now.Add(-7 * 24 * time.Hour),
		"2026-01-01T00:00:00Z": time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), "2026-01-01T00:00:00.5+09:00": time.Date(2025, 12, 31, 15, 0, 0, 5e8, time.UTC),
	} {
		if got, err := parseTime(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "-", "-d", "15m", "+1h", "2026-01-01", "--1h", "-1y"} {
		if got, err := parseTime(text, now); err == nil {
			t.Errorf("%q was accepted as %v", text, got)
		}
	}
}

func TestExporterDetails(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	collector := collect.New(collect.Config{}, nil, log)
	s := New(Config{Version: "test"}, Deps{Collector: collector, Metrics: prometheus.NewRegistry(), Log: log})
	web := httptest.NewServer(s.handler)
	defer web.Close()
	e := sflow.Encoder{Agent: flow.AddrFrom(netip.MustParseAddr("2001:db8::7"))}
	c := sflow.InterfaceCounters{IfIndex: 3, InOctets: 77}
	c.Source.Index = 3
	if err := e.AppendCounters(&c, "eth0"); err != nil {
		t.Fatal(err)
	}
	collector.Exporters.Decode(e.Datagram(1), netip.MustParseAddr("192.0.2.1"), time.Now().UnixMilli(), flow.NewBatch(1))
	var d collect.ExporterDetails
	fetch(t, web, "/api/exporters/2001:db8::7", 200, &d)
	if len(d.Interfaces) != 1 || d.Interfaces[0].Name != "eth0" || d.Interfaces[0].Counters.InBytes != 77 || len(d.Domains) != 1 {
		t.Errorf("%+v", d)
	}
	fetch(t, web, "/api/exporters/2001:DB8:0::7", 200, nil)
	fetch(t, web, "/api/exporters/192.0.2.9", 404, nil)
	fetch(t, web, "/api/exporters/nonsense", 404, nil)
}
