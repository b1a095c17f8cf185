package server

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/minamo-flow/minamo/collect"
	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/verify/budget"
	"github.com/minamo-flow/minamo/verify/quality"
)

// planned is a server that knows ten days of three routers, whose daily peaks
// grow by a hundredth a day, up to 5,000, 3,000 and 2,000 flows a second
// yesterday, and that much two minutes ago.
func planned(t *testing.T, limits FlowLimits) *httptest.Server {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	routers := []struct {
		address netip.Addr
		flows   float64
		rate    uint32
	}{{netip.MustParseAddr("192.0.2.1"), 5000, 2000}, {netip.MustParseAddr("192.0.2.2"), 3000, 4000}, {netip.MustParseAddr("2001:db8::3"), 2000, 8000}}
	total := make([]uint64, len(routers))
	const step = 5 * time.Minute
	now := time.Now().UTC().Truncate(step)
	start := now.Truncate(24*time.Hour).AddDate(0, 0, -10)
	clock, told := start.Add(-step), start
	ctx, stop := context.WithCancel(t.Context())
	recorder := quality.Open(quality.Config{
		Dir: t.TempDir(), Poll: time.Microsecond,
		Clock: func() time.Time { // a step each time that the recorder looks
			if clock = clock.Add(step); clock.Before(now) {
				return clock
			}
			clock = now
			stop()
			return clock
		},
		Readings: func(bool) (readings []collect.Reading) {
			before, passed := told, clock.Sub(told)
			told = clock
			day := math.Floor(before.Sub(start).Hours() / 24)
			hour := before.Sub(before.Truncate(24 * time.Hour)).Hours()
			for i, r := range routers {
				flows := r.flows * (1 + 0.01*(day-9)) * (0.5 + 0.5*math.Sin(hour/24*math.Pi))
				total[i] += uint64(math.Round(flows * passed.Seconds()))
				readings = append(readings, collect.Reading{Exporter: r.address, Domains: []collect.DomainReading{{
					Protocol: flow.IPFIX, Datagrams: total[i] / 20, Flows: total[i], Units: total[i],
					Rates: []collect.RateReading{{Rate: r.rate, Source: flow.SamplingOptions, Flows: total[i]}},
				}}})
			}
			return readings
		},
	}, log)
	if err := recorder.Run(ctx); err != nil {
		t.Fatal(err)
	}
	s := New(Config{Version: "test", Limits: limits}, Deps{Collector: collect.New(collect.Config{}, nil, log), Quality: recorder, Metrics: prometheus.NewRegistry(), Log: log})
	web := httptest.NewServer(s.handler)
	t.Cleanup(web.Close)
	return web
}

func about(got, want float64) bool { return math.Abs(got-want) <= 0.03*math.Abs(want) }

func TestBudget(t *testing.T) {
	web := planned(t, FlowLimits{Collector: 20_000, Exporters: []ExporterLimit{
		{netip.MustParsePrefix("192.0.2.1/32"), 6000}, {netip.MustParsePrefix("192.0.2.0/24"), 2500},
	}})
	var a BudgetAnswer
	for range 2 { // the second time from what is kept of days that are over
		a = BudgetAnswer{}
		text := fetch(t, web, "/api/budget", 200, &a)
		if c := a.Collector; c.Limit != 20_000 || c.LimitSource != "configured" || !about(c.Peak, 10_000) || !about(c.Use, 0.5) || c.Verdict != budget.Fits || !about(c.Headroom, 10_000) || c.Now <= 0 || c.Now > c.Peak {
			t.Errorf("%s", text)
		}
		// A hundredth a day of 10,000 doubles it in a hundred days.
		c := a.Collector
		if c.GrowthPerDay == nil || !about(*c.GrowthPerDay, 100) || !c.Grows || c.Reached == nil {
			t.Fatalf("%s", text)
		}
		if days := time.Until(*c.Reached).Hours() / 24; days < 95 || days > 102 {
			t.Errorf("reached in %v days", days)
		}
		if len(c.Days) < 10 || len(c.Days) > 11 || c.Days[3].Minutes != 24*60 || !about(c.Days[9].Peak, 10_000) || !about(c.Days[0].Peak, 9100) {
			t.Errorf("%+v", c.Days)
		}
	}
	if len(a.Exporters) != 3 || a.Kept != nil {
		t.Fatalf("%+v", a.Exporters)
	}
	for i, want := range []struct {
		address string
		verdict budget.Verdict
		limit   float64
		source  string
		peak    float64
		rate    uint32
	}{{"192.0.2.2", budget.Over, 2500, "configured", 3000, 4000}, {"192.0.2.1", budget.Near, 6000, "configured", 5000, 2000}, {"2001:db8::3", budget.Unknown, 0, "none", 2000, 8000}} {
		x := a.Exporters[i]
		if x.Exporter.String() != want.address || x.Verdict != want.verdict || x.Limit != want.limit || x.LimitSource != want.source || !about(x.Peak, want.peak) || !about(x.Lossless, want.peak) ||
			len(x.Rates) != 1 || x.Rates[0] != (BudgetRate{want.rate, "options", 1}) || x.KeptOneIn != 1 {
			t.Errorf("%+v", x)
		}
	}
	fetch(t, web, "/api/budget?from=nonsense", 422, nil)
	var short BudgetAnswer
	if fetch(t, web, "/api/budget?from=-2d", 200, &short); short.Collector.GrowthPerDay != nil || short.Collector.Reached != nil {
		t.Errorf("%+v", short.Collector)
	}
}

func TestPlan(t *testing.T) {
	web := planned(t, FlowLimits{Collector: 10_100, Exporters: []ExporterLimit{{netip.MustParsePrefix("192.0.2.1/32"), 6000}}})
	plan := func(path, body string, status int) (p SamplingPlan) {
		t.Helper()
		if body == "" {
			fetch(t, web, path, status, &p)
			return p
		}
		r, err := http.Post(web.URL+path, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		text, _ := io.ReadAll(r.Body)
		if err := json.NewDecoder(bytes.NewReader(text)).Decode(&p); r.StatusCode != status || err != nil {
			t.Fatalf("%d: %s", r.StatusCode, text)
		}
		return p
	}
	router := func(p SamplingPlan, name string) PlannedRouter {
		for _, r := range p.Routers {
			if r.Name == name {
				return r
			}
		}
		t.Fatalf("no %s in %+v", name, p)
		return PlannedRouter{}
	}
	// They fill the collector, and may when nothing has to stay free.
	p := plan("/api/budget/plan?reserve=0", "", 200)
	if !p.Possible || len(p.Routers) != 3 || !about(p.After, 10_000) || p.Before != p.After || router(p, "192.0.2.1").NewRate != 2000 || len(router(p, "192.0.2.1").Configuration) != 0 {
		t.Errorf("%+v", p)
	}
	// With a quarter free the finest has to be made coarser.
	p = plan("/api/budget/plan?bytes=5e6", "", 200)
	r := router(p, "192.0.2.1")
	if !p.Possible || r.NewRate != 4000 || !about(r.NowAfter, 2500) || router(p, "2001:db8::3").NewRate != 8000 || r.Words == "" || p.Words == "" {
		t.Errorf("%+v", p)
	}
	if !r.Assumed || r.PacketBytes != 800 || len(r.Costs) != 5 || r.Costs[4].Bytes != 5e6 || r.Costs[2].Name != "1 GB" || !about(r.Costs[2].Before.Error, 1.96/math.Sqrt(625)) || !about(r.Costs[2].After.Packets, 312.5) {
		t.Errorf("%+v", r.Costs)
	}
	if len(r.Configuration) != len(budget.Vendors) || !strings.Contains(r.Configuration[0].Lines, "random 1 out-of 4000") {
		t.Errorf("%+v", r.Configuration)
	}
	// What if another router came, one had a lower limit, and all doubled?
	p = plan("/api/budget/plan", `{"collector": 100000, "growth": 2, "reserve": 0, "routers": [
		{"name": "new", "flows": 8000, "rate": 65536, "limit": 9000},
		{"name": "192.0.2.1", "limit": 20000, "packet_bytes": 1000},
		{"name": "2001:db8::3", "limit": 1500}]}`, 200)
	if x := router(p, "new"); p.Possible || x.Why != budget.Impossible || x.NewRate != 65536 {
		t.Errorf("%+v", x)
	}
	if x := router(p, "192.0.2.1"); x.NewRate != 2000 || x.Why != budget.Kept || x.PacketBytes != 1000 || x.Assumed || !about(x.After, 10_000) {
		t.Errorf("%+v", x)
	}
	if x := router(p, "2001:db8::3"); x.NewRate != 32_000 || x.Why != budget.OwnLimit || !about(x.After, 1000) {
		t.Errorf("%+v", x)
	}
	// The worked case, of no router that there is.
	p = plan("/api/budget/plan", `{"collector": 10000, "only": true, "routers": [{"name": "r", "flows": 8000, "rate": 1000}]}`, 200)
	if len(p.Routers) != 1 || p.Routers[0].NewRate != 2000 || p.Routers[0].NowAfter != 4000 || p.Reserve != 0.25 {
		t.Errorf("%+v", p)
	}
	fetch(t, web, "/api/budget/plan?reserve=1", 422, nil)
	fetch(t, web, "/api/budget/plan?growth=0", 422, nil)
	plan("/api/budget/plan", `{"routers": [{"name": ""}]}`, 422)
	plan("/api/budget/plan", `{"routers": [{"name": "r", "rate": 0}]}`, 422)
}

// Where nothing is known there is nothing to plan, and no error.
func TestBudgetOfNobody(t *testing.T) {
	web, _ := site(t)
	var a BudgetAnswer
	if text := fetch(t, web, "/api/budget", 200, &a); len(a.Exporters) != 0 || a.Exporters == nil || a.Collector.LimitSource != "none" || a.Collector.Verdict != budget.Unknown {
		t.Errorf("%s", text)
	}
	var p SamplingPlan
	if text := fetch(t, web, "/api/budget/plan", 200, &p); !p.Possible || p.Routers == nil || p.Words == "" {
		t.Errorf("%s", text)
	}
}
