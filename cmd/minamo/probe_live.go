package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/minamo-flow/minamo/capture"
	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/probe"
	"github.com/minamo-flow/minamo/wire/pcap"
)

// Directions of packets that are metered.
const (
	bothWays    = "both"
	onlyComing  = "in"
	onlyLeaving = "out"
)

// port is an interface that is captured, by one socket or by several that share
// it.
type port struct {
	capture.Config
	direction string // which packets are metered
	taps      []*tap
}

// tap is one socket of a port, and what becomes of its packets. Sockets come and
// go; what was counted stays.
type tap struct {
	metering metering
	turned   atomic.Uint64 // packets of the direction that is not metered

	mu     sync.Mutex
	socket *capture.Socket // nil while there is none
	gone   capture.Stats   // of sockets before
}

// openPorts opens interfaces, each socket with a metering of its own. It opens
// all or none.
func openPorts(names []string, cfg capture.Config, direction string, meter func() metering) (ports []*port, err error) {
	for i, name := range names {
		p := &port{Config: cfg, direction: direction}
		p.Interface, p.Group = name, uint16(os.Getpid()+i)
		for range max(cfg.Sockets, 1) {
			p.taps = append(p.taps, &tap{metering: meter()})
		}
		if err := p.open(); err != nil {
			closePorts(ports)
			return nil, err
		}
		ports = append(ports, p)
	}
	return ports, nil
}

func closePorts(ports []*port) {
	for _, p := range ports {
		p.close()
	}
}

func (p *port) open() error {
	sockets, err := capture.Open(p.Config)
	if err != nil {
		return err
	}
	for i, t := range p.taps {
		t.mu.Lock()
		t.socket = sockets[i]
		t.mu.Unlock()
	}
	return nil
}

func (p *port) close() {
	for _, t := range p.taps {
		t.mu.Lock()
		if t.socket != nil {
			s, _ := t.socket.Stats()
			t.gone.Packets += s.Packets
			t.gone.Drops += s.Drops
			t.socket.Close()
			t.socket = nil
		}
		t.mu.Unlock()
	}
}

// stats is what the kernel counted.
func (t *tap) stats() capture.Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.gone
	if t.socket != nil {
		now, _ := t.socket.Stats() // when it fails, what it was before
		s.Packets += now.Packets
		s.Drops += now.Drops
	}
	return s
}

// index is the interface's ifIndex; 0 while it is not open.
func (p *port) index() uint32 {
	t := p.taps[0]
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.socket == nil {
		return 0
	}
	return t.socket.Index
}

func (p *port) stats() (sum capture.Stats) {
	for _, t := range p.taps {
		s := t.stats()
		sum.Packets += s.Packets
		sum.Drops += s.Drops
	}
	return sum
}

// describe is an interface as an exporter names it.
func describe(name string, index uint32) probe.Interface {
	alias, _ := os.ReadFile("/sys/class/net/" + name + "/ifalias")
	return probe.Interface{Index: index, Name: name, Description: strings.TrimSpace(string(alias))}
}

// run meters until ctx ends, or the interface is gone; then all flows are handed
// on.
func (p *port) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var running sync.WaitGroup
	failed := make([]error, len(p.taps))
	for i, t := range p.taps {
		running.Go(func() {
			if failed[i] = t.run(ctx, p.direction); failed[i] != nil {
				cancel()
			}
		})
	}
	running.Wait()
	if err := cmp.Or(failed...); err != nil {
		return fmt.Errorf("%s: %w", p.Interface, err)
	}
	return nil
}

func (t *tap) run(ctx context.Context, direction string) error {
	var failed error
	swept := time.Now()
	for ctx.Err() == nil && failed == nil {
		err := t.socket.Read(250*time.Millisecond, func(packet *pcap.Packet, outgoing bool) {
			if outgoing && direction == onlyComing || !outgoing && direction == onlyLeaving {
				t.turned.Add(1)
				return
			}
			at := probe.Point{Interface: t.socket.Index, Direction: flow.Ingress}
			if outgoing {
				at.Direction = flow.Egress
			}
			if err := t.metering.add(packet, at); err != nil {
				failed = err
			}
		})
		if failed = errors.Join(failed, err); failed != nil {
			break
		}
		if now := time.Now(); now.Sub(swept) >= time.Second {
			swept, failed = now, t.metering.sweep(now.UnixMilli())
		}
	}
	return errors.Join(failed, t.metering.end())
}

// live meters interfaces until it is interrupted; then all flows are handed on,
// and it tells the totals.
func (p *probing) live(ctx context.Context, stdout io.Writer) error {
	p.export.Boot = time.Now()
	for _, name := range p.interfaces {
		if i, err := net.InterfaceByName(name); err == nil {
			p.export.Interfaces = append(p.export.Interfaces, describe(name, uint32(i.Index)))
		}
	}
	to, err := p.target()
	if err != nil {
		return err
	}
	defer to.close()
	ports, err := openPorts(p.interfaces, p.capture, p.direction, func() metering { return p.metering(to) })
	if err != nil {
		return err
	}
	defer closePorts(ports)
	if p.metrics != "" {
		p.registry.MustRegister(&probeMetrics{ports: ports, room: p.meter.Cache.Flows, exporter: to.exporter})
		stop, err := serveMetrics(p.metrics, p.registry, stdout)
		if err != nil {
			return err
		}
		defer stop()
	}
	fmt.Fprintf(stdout, "metering %s to %s; interrupt to end\n", strings.Join(p.interfaces, ", "), to.name)

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var running sync.WaitGroup
	failed := make([]error, len(ports))
	for i, port := range ports {
		running.Go(func() {
			if failed[i] = port.run(ctx); failed[i] != nil {
				cancel() // what there is of the others is handed on
			}
		})
	}
	if p.every > 0 {
		running.Go(func() { tellCaptured(ctx, ports, p.every, p.log) })
	}
	running.Wait()
	closePorts(ports)
	for _, port := range ports {
		for _, t := range port.taps {
			s := t.stats()
			fmt.Fprintf(stdout, "captured  %s: %d packets, of which the kernel dropped %d", port.Interface, s.Packets, s.Drops)
			turned := t.turned.Load()
			if turned > 0 {
				fmt.Fprintf(stdout, ", %d were of the other direction", turned)
			}
			if read := t.metering.counted().meter.Packets + turned + s.Drops; s.Packets > read {
				fmt.Fprintf(stdout, ", and %d came too late to be read", s.Packets-read)
			}
			fmt.Fprintln(stdout)
			t.metering.tell(stdout)
		}
	}
	return errors.Join(errors.Join(failed...), to.end(stdout))
}

// tellCaptured tells now and then what the kernel counted.
func tellCaptured(ctx context.Context, ports []*port, every time.Duration, log *slog.Logger) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, p := range ports {
			s := p.stats()
			log.Info("captured", "interface", p.Interface, "packets", s.Packets, "dropped", s.Drops)
		}
	}
}
