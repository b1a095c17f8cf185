package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/minamo-flow/minamo/capture"
	"github.com/minamo-flow/minamo/collect"
	"github.com/minamo-flow/minamo/config"
	"github.com/minamo-flow/minamo/probe"
	"github.com/minamo-flow/minamo/wire/packet"
)

// serverProbe meters interfaces within a server, by the section probe of the
// configuration: into its pipeline, without a socket between.
type serverProbe struct {
	prometheus.Collector
	ports []*port
	to    local
	log   *slog.Logger
}

// openProbe opens the interfaces; with none configured it returns nil.
func openProbe(cfg config.Probe, parser *packet.Parser, collector *collect.Collector, log *slog.Logger) (*serverProbe, error) {
	if len(cfg.Interfaces) == 0 {
		return nil, nil
	}
	meter := probe.MeterConfig{
		Cache: probe.CacheConfig{
			Active: time.Duration(cfg.Active), Inactive: time.Duration(cfg.Inactive),
			Flows: cfg.Flows, Biflow: cfg.Biflow, Rows: exportRows,
		},
		Sampling: probe.SamplerConfig{Rate: cfg.Sampling, Seed: uint64(time.Now().UnixNano())},
		Parser:   parser,
		NonIP:    cfg.NonIP,
	}
	if cfg.Random {
		meter.Sampling.Method = probe.RandomInN
	}
	p := &serverProbe{to: local{Local: collector.Local(cfg.Exporter.Addr, cfg.Domain)}, log: log}
	var err error
	p.ports, err = openPorts(cfg.Interfaces, capture.Config{Promiscuous: cfg.Promiscuous, Sockets: cfg.Fanout, Ring: int(cfg.Ring)}, cfg.Direction, func() metering {
		meter.Sampling.Seed++ // threads that take turns would sample the same packets of each
		return newCaching(meter, p.to)
	})
	if err != nil {
		return nil, fmt.Errorf("probe: %w", err)
	}
	p.Collector = &probeMetrics{ports: p.ports, room: cfg.Flows}
	for _, port := range p.ports {
		p.name(port)
	}
	return p, nil
}

func (p *serverProbe) name(port *port) { p.to.name(describe(port.Interface, port.index())) }

// reopening is the pause before an interface that is gone is tried again.
const reopening = 2 * time.Second

// Run meters until ctx ends; then all flows are handed on.
func (p *serverProbe) Run(ctx context.Context) error {
	var running sync.WaitGroup
	for _, port := range p.ports {
		p.log.Info("metering", "interface", port.Interface)
		running.Go(func() { p.meter(ctx, port) })
	}
	counting, stop := context.WithCancel(context.Background())
	var counted sync.WaitGroup
	counted.Go(func() { p.count(counting) })
	running.Wait()
	stop()
	counted.Wait()
	return nil
}

// meter meters an interface, again and again when it goes and comes.
func (p *serverProbe) meter(ctx context.Context, port *port) {
	defer port.close()
	for gone := false; ; {
		if !gone {
			err := port.run(ctx)
			if ctx.Err() != nil {
				return
			}
			p.log.Error("interface is not metered until it is back", "error", err)
			port.close()
			gone = true
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(reopening):
		}
		if err := port.open(); err == nil {
			p.log.Info("interface is metered again", "interface", port.Interface)
			p.name(port)
			gone = false
		}
	}
}

// count tells the pipeline what the kernel saw and dropped, until ctx ends.
func (p *serverProbe) count(ctx context.Context) {
	told := make([]capture.Stats, len(p.ports))
	reported := make([]time.Time, len(p.ports))
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for running := true; running; {
		select {
		case <-ctx.Done():
			running = false
		case <-tick.C:
		}
		for i, port := range p.ports {
			s := port.stats()
			drops := s.Drops - told[i].Drops
			p.to.Observe(s.Packets-told[i].Packets-drops, drops)
			told[i] = s
			if drops > 0 && time.Since(reported[i]) > time.Minute {
				reported[i] = time.Now()
				p.log.Warn("the kernel drops packets before they are metered: raise probe.fanout or probe.ring, or sample (probe.sampling)",
					"interface", port.Interface, "dropped", s.Drops, "packets", s.Packets)
			}
		}
	}
}
