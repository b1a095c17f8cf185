package simulate

import (
	"context"
	"math/rand/v2"
	"net"
	"time"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/probe"
	"github.com/minamo-flow/minamo/wire/sflow"
)

// link is the way of a router's datagrams to its collector. Some get lost on it.
type link struct {
	net.Conn
	router *Router
	random *rand.Rand
	room   float64   // bytes that have room now
	at     time.Time // when that was reckoned
}

// Write sends a datagram, or loses it; the sender does not know.
func (l *link) Write(datagram []byte) (int, error) {
	if l.lost(len(datagram)) {
		l.router.lost++
		return len(datagram), nil
	}
	l.router.sent++
	return l.Conn.Write(datagram)
}

func (l *link) lost(bytes int) bool {
	r := l.router
	if r.budget > 0 {
		const burst = 5 // seconds
		now := r.network.now
		l.room = min(l.room+r.budget*now.Sub(l.at).Seconds(), burst*r.budget)
		l.at = now
		if l.room < float64(bytes) {
			return true
		}
		l.room -= float64(bytes)
	}
	return r.loss > 0 && l.random.Float64() < r.loss
}

// open makes the router's exporter anew: its sequence numbers begin at 0, its
// templates are sent again.
func (r *Router) open() error {
	if r.exporter != nil {
		if err := r.exporter.Close(); err != nil {
			return err
		}
	}
	n := r.network
	collector := ""
	if n.cfg.Collector != nil {
		collector = n.cfg.Collector(r.Vendor.Protocol)
	}
	if collector == "" {
		r.exporter = mute{}
		return nil
	}
	cfg := probe.ExporterConfig{
		Protocol: r.Vendor.Protocol, Style: r.Vendor.Style, Collectors: []string{collector}, Source: r.Addr, Agent: r.Addr,
		Domain: r.domain, Boot: r.boot, Announce: r.announce, Resend: r.Vendor.Resend,
		Sampling: probe.SamplerConfig{Rate: r.announced, Method: probe.Probabilistic},
		Active:   r.active, Inactive: r.inactive,
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := n.dial(ctx, r.Addr, network, address)
			return &link{Conn: conn, router: r, random: r.random, at: n.now}, err
		},
	}
	for _, f := range r.Interfaces {
		cfg.Interfaces = append(cfg.Interfaces, probe.Interface{Index: r.told(f), Name: f.Name, Description: f.Alias})
	}
	x, err := probe.NewExporter(cfg, n.cfg.Log.With("router", r.Name))
	if err != nil {
		return err
	}
	r.exporter = x
	return nil
}

// mute is a router without a collector.
type mute struct{}

func (mute) Flows(*flow.Batch, int, int, time.Time) error               { return nil }
func (mute) Sample(*sflow.FlowSample, time.Time) error                  { return nil }
func (mute) Counters(*sflow.InterfaceCounters, string, time.Time) error { return nil }
func (mute) Tick(time.Time) error                                       { return nil }
func (mute) Close() error                                               { return nil }
