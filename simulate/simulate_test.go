package simulate

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/minamo-flow/minamo/collect"
	"github.com/minamo-flow/minamo/flow"
)

// start is a Monday.
var start = time.Date(2026, 11, 16, 0, 0, 0, 0, time.UTC)

// desk is a collector in memory: what datagrams say is appended to flows.
type desk struct {
	t         testing.TB
	now       func() time.Time
	exporters *collect.Exporters
	flows     *flow.Batch
	datagrams int
	bytes     int
	each      func(source netip.Addr, datagram []byte)
}

func newDesk(t testing.TB) *desk {
	return &desk{t: t, exporters: collect.NewExporters(collect.ExporterConfig{}, slog.New(slog.DiscardHandler)), flows: flow.NewBatch(1 << 12)}
}

func (d *desk) dial(_ context.Context, source netip.Addr, _, _ string) (net.Conn, error) {
	return &wire{desk: d, source: source}, nil
}

type wire struct {
	net.Conn
	desk   *desk
	source netip.Addr
}

func (w *wire) Close() error { return nil }

func (w *wire) Write(p []byte) (int, error) {
	d := w.desk
	d.datagrams++
	d.bytes += len(p)
	if d.each != nil {
		d.each(w.source, p)
		return len(p), nil
	}
	if err := d.exporters.Decode(p, w.source, d.now().UnixMilli(), d.flows); err != nil {
		d.t.Errorf("%v: %v", w.source, err)
	}
	return len(p), nil
}

func (d *desk) network(cfg Config) *Network {
	d.t.Helper()
	if cfg.Start.IsZero() {
		cfg.Start = start
	}
	cfg.Dial = d.dial
	cfg.Collector = func(string) string { return "udp://192.0.2.200:2055" }
	var n *Network
	d.now = func() time.Time {
		if n == nil {
			return cfg.Start
		}
		return n.now
	}
	n, err := New(cfg)
	if err != nil {
		d.t.Fatal(err)
	}
	return n
}

func TestSmoke(t *testing.T) {
	d := newDesk(t)
	n := d.network(Config{Seed: 1, Start: start.Add(3*time.Hour)})
	began := time.Now()
	if err := n.Step(n.Now().Add(10*time.Minute)); err != nil {
		t.Fatal(err)
	}
	t.Log(time.Since(began), d.flows.Len(), d.datagrams, d.bytes, len(n.relations))
	for _, r := range n.Routers() {
		t.Log(r.Name, r.Records(), r.cache.Stats(), float64(r.Records())/600)
	}
	m := n.Truth().Between(start, start.Add(24*time.Hour))
	t.Log(m.In.Bytes*8/600/1e6, m.In.Packets/600, m.Out, m.In.Error())
}
