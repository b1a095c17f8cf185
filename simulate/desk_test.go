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

// start is a Monday, midnight in London and nine o'clock in Tokyo.
var start = time.Date(2026, 11, 16, 0, 0, 0, 0, time.UTC)

// desk is a collector in memory: datagrams come to it without sockets, and what
// they say is appended to flows, by the same code that serves.
type desk struct {
	t         testing.TB
	network   *Network
	exporters *collect.Exporters
	flows     *flow.Batch
	datagrams int
	bytes     int
	each      func(source netip.Addr, datagram []byte) // instead of decoding
}

// simulate builds a network that exports to a desk.
func simulate(t testing.TB, cfg Config) *desk {
	t.Helper()
	d := &desk{t: t, exporters: collect.NewExporters(collect.ExporterConfig{}, slog.New(slog.DiscardHandler)), flows: flow.NewBatch(1 << 12)}
	if cfg.Start.IsZero() {
		cfg.Start = start
	}
	cfg.Dial = func(_ context.Context, source netip.Addr, _, _ string) (net.Conn, error) {
		return &wire{desk: d, source: source}, nil
	}
	cfg.Collector = func(string) string { return "udp://192.0.2.200:2055" }
	var err error
	if d.network, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	return d
}

// run simulates for a while.
func (d *desk) run(length time.Duration) {
	d.t.Helper()
	if err := d.network.Step(d.network.Now().Add(length)); err != nil {
		d.t.Fatal(err)
	}
}

// drain makes the caches tell what they hold.
func (d *desk) drain() {
	d.t.Helper()
	for _, r := range d.network.routers {
		r.cache.Flush(r.flows)
		if err := r.send(r.flows, d.network.now); err != nil {
			d.t.Fatal(err)
		}
		r.flows.Reset()
	}
}

// truth is all that happened.
func (d *desk) truth() *Minute {
	return d.network.Truth().Between(time.Time{}, d.network.Now().Add(time.Hour))
}

// wire is a connection to the desk.
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
	if err := d.exporters.Decode(p, w.source, d.network.Now().UnixMilli(), d.flows); err != nil {
		d.t.Errorf("%v: %v", w.source, err)
	}
	return len(p), nil
}

// sum adds up what flows say, scaled by their sampling rate.
func (d *desk) sum(of func(b *flow.Batch, i int) bool) (packets, bytes float64) {
	b := d.flows
	for i := range b.Len() {
		if of(b, i) {
			rate := float64(b.U32(flow.SamplingRate)[i])
			packets += rate * float64(b.U64(flow.Packets)[i])
			bytes += rate * float64(b.U64(flow.Bytes)[i])
		}
	}
	return packets, bytes
}

// by is the exporter of a row.
func by(r *Router) func(b *flow.Batch, i int) bool {
	addr := flow.AddrFrom(r.Addr)
	return func(b *flow.Batch, i int) bool { return b.Addr(flow.Exporter)[i] == addr }
}

// router finds a router by its name.
func (d *desk) router(name string) *Router {
	for _, r := range d.network.Routers() {
		if r.Name == name {
			return r
		}
	}
	d.t.Fatalf("no router %s", name)
	return nil
}
