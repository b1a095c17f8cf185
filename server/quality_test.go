package server

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/minamo-flow/minamo/collect"
	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/verify/quality"
	"github.com/minamo-flow/minamo/wire/sflow"
)

// watched is a server beside a collector that got five sFlow datagrams of two
// samples, and missed three, in the minute before now; and of an exporter of
// which nothing is known but that it was there hours ago.
func watched(t *testing.T) (web *httptest.Server, s *Server, now time.Time) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	collector := collect.New(collect.Config{}, nil, log)
	now = time.Now().Truncate(time.Minute)
	clock := now.Add(-time.Minute)
	recorder := quality.Open(quality.Config{
		Dir: t.TempDir(), Clock: func() time.Time { return clock },
		Sockets: func() []collect.SocketStatus {
			return []collect.SocketStatus{{Address: "udp://:6343", Datagrams: 5, Drops: 1}}
		},
		Readings: collector.Exporters.Readings,
	}, log)
	send := func(agent string, at time.Time, skip int) {
		e := sflow.Encoder{Agent: flow.AddrFrom(netip.MustParseAddr(agent))}
		b := flow.NewBatch(8)
		for i := range 5 + skip {
			for range 2 {
				p := sflow.FlowSample{Packet: sflow.Packet{Protocol: sflow.HeaderEthernet, Length: 64, Header: make([]byte, 60)}}
				p.Source.Index, p.Rate = 3, 512
				if err := e.AppendFlow(&p); err != nil {
					t.Fatal(err)
				}
			}
			datagram := e.Datagram(uint32(i))
			if i > 0 && i <= skip {
				continue
			}
			if err := collector.Exporters.Decode(datagram, netip.MustParseAddr("192.0.2.1"), at.UnixMilli(), b); err != nil {
				t.Fatal(err)
			}
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	send("2001:db8::7", clock.Add(5*time.Second), 3)
	send("192.0.2.7", clock.Add(-5*time.Hour), 0)
	if err := recorder.Run(ctx); err != nil {
		t.Fatal(err)
	}
	s = New(Config{Version: "test"}, Deps{Collector: collector, Quality: recorder, Metrics: prometheus.NewRegistry(), Log: log})
	web = httptest.NewServer(s.handler)
	t.Cleanup(web.Close)
	return web, s, now
}

func TestQuality(t *testing.T) {
	web, _, now := watched(t)
	var a QualityAnswer
	text := fetch(t, web, "/api/quality?from=-10m&exporter=2001:DB8::7", 200, &a)
	if a.Step != 60 || len(a.Exporters) != 1 || len(a.Exporters[0].Domains) != 1 || !a.To.After(now.Add(-time.Second)) {
		t.Fatalf("%s", text)
	}
	at := int(now.Add(-time.Minute).Sub(a.From) / time.Minute)
	d := a.Exporters[0].Domains[0]
	if d.Protocol != "sflow5" || d.Unit != "datagrams" || d.Flows[at] != 10 || d.Datagrams[at] != 5 || d.Missing[at] != 3 || d.SamplingRate[at] != 512 || d.SamplingSource[at] != "record" || d.ClockOffsetMS[at] != nil {
		t.Errorf("%s", text)
	}
	for i := range a.Ran {
		if a.Ran[i] != (i == at) || len(d.Flows) != len(a.Ran) || i != at && (d.Flows[i] != 0 || a.Dropped[i] != 0) {
			t.Errorf("point %d: %s", i, text)
		}
	}
	if a.Dropped[at] != 1 || len(a.Intervals) != 2 {
		t.Fatalf("%+v", a.Intervals)
	}
	kernel, missing := a.Intervals[0], a.Intervals[1]
	if kernel.Kind != quality.LossKernel || kernel.Exporter != "" || missing.Kind != quality.LossMissing || missing.Exporter != "2001:db8::7" ||
		*missing.Share != 3.0/8 || !missing.From.Equal(now.Add(-time.Minute)) || !missing.To.Equal(now) {
		t.Errorf("%+v", a.Intervals)
	}
	// Coarser points have the same sums.
	fetch(t, web, "/api/quality?from=-1h&step=30m", 200, &a)
	var flows uint64
	for _, x := range a.Exporters {
		for _, n := range x.Domains[0].Flows {
			flows += n
		}
	}
	if a.Step != 1800 || len(a.Exporters) != 2 || flows != 20 {
		t.Errorf("%+v", a)
	}
	fetch(t, web, "/api/quality?exporter=192.0.2.9", 200, &a)
	if len(a.Exporters) != 0 || a.Intervals == nil {
		t.Errorf("%+v", a)
	}
	for _, wrong := range []string{"exporter=nonsense", "step=90s", "from=-30d&step=1m", "from=now&to=-1h", "step=x"} {
		fetch(t, web, "/api/quality?"+wrong, 422, nil)
	}
}

func TestExportersHaveAScore(t *testing.T) {
	web, s, _ := watched(t)
	var list struct{ Exporters []Exporter }
	fetch(t, web, "/api/exporters", 200, &list)
	if len(list.Exporters) != 2 {
		t.Fatalf("%+v", list)
	}
	var kinds []string
	sum := 0
	for _, r := range list.Exporters[1].Quality.Lost {
		kinds = append(kinds, r.Kind)
		sum += r.Points
	}
	if score := list.Exporters[1].Quality.Score; len(kinds) != 2 || score != 100-sum {
		t.Errorf("%d, %v", score, kinds)
	}
	var d ExporterDetails
	text := fetch(t, web, "/api/exporters/2001:db8::7", 200, &d)
	if d.Quality == nil || d.QualityDay == nil || d.Quality.Score != list.Exporters[1].Quality.Score || d.Timers.Active != nil ||
		len(d.Rates) != 1 || d.Rates[0] != (quality.RateShare{Protocol: "sflow5", Rate: 512, Source: "record", Flows: 10}) {
		t.Errorf("%s", text)
	}
	// Just after a start nobody is called silent.
	v := verdicts{of: map[netip.Addr]quality.Verdict{}, from: time.Now()}
	x := collect.ExporterStatus{Exporter: netip.MustParseAddr("192.0.2.8"), LastSeen: time.Now().Add(-2 * time.Hour)}
	if score := v.score(&x); score != nil {
		t.Errorf("%+v", score)
	}
	if v.settled = true; v.score(&x).Score != 0 {
		t.Errorf("%+v", v.score(&x))
	}
	// Without a history there is none, and no fault.
	s.Quality = nil
	text = fetch(t, web, "/api/exporters", 200, nil)
	if err := json.Unmarshal([]byte(text), &list); err != nil || list.Exporters[1].Quality != nil {
		t.Errorf("%s", text)
	}
	fetch(t, web, "/api/exporters/2001:db8::7", 200, nil)
	fetch(t, web, "/api/quality", 200, nil)
}
