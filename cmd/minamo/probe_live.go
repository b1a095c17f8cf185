package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/minamo-flow/minamo/capture"
	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/probe"
	"github.com/minamo-flow/minamo/wire/pcap"
)

// tap is a socket, and what becomes of its packets.
type tap struct {
	*capture.Socket
	name     string
	metering metering
}

// live meters interfaces until it is interrupted; then all flows are exported,
// and it tells the totals.
func (p *probing) live(ctx context.Context, stdout io.Writer) error {
	p.export.Boot = time.Now()
	for _, name := range p.interfaces {
		if i, err := net.InterfaceByName(name); err == nil {
			alias, _ := os.ReadFile("/sys/class/net/" + name + "/ifalias")
			p.export.Interfaces = append(p.export.Interfaces, probe.Interface{Index: uint32(i.Index), Name: name, Description: strings.TrimSpace(string(alias))})
		}
	}
	exporter, err := newExportingProcess(p.export, p.log)
	if err != nil {
		return err
	}
	defer exporter.Close()
	var taps []*tap
	defer func() {
		for _, t := range taps {
			t.Close()
		}
	}()
	for i, name := range p.interfaces {
		cfg := p.capture
		cfg.Interface, cfg.Group = name, uint16(os.Getpid()+i)
		sockets, err := capture.Open(cfg)
		if err != nil {
			return err
		}
		for _, s := range sockets {
			taps = append(taps, &tap{s, name, p.metering(exporter)})
		}
	}
	fmt.Fprintf(stdout, "metering %s to %s; interrupt to end\n", strings.Join(p.interfaces, ", "), strings.Join(p.export.Collectors, ", "))

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var running sync.WaitGroup
	failed := make(chan error, len(taps))
	for _, t := range taps {
		running.Go(func() {
			if err := t.run(ctx); err != nil {
				failed <- fmt.Errorf("%s: %w", t.name, err)
				cancel() // what there is of the others is exported
			}
		})
	}
	if p.every > 0 {
		running.Go(func() { p.watch(ctx, taps) })
	}
	running.Wait()
	close(failed)
	err = nil
	for one := range failed {
		err = errors.Join(err, one)
	}
	for _, t := range taps {
		s, _ := t.Stats()
		fmt.Fprintf(stdout, "captured  %s: %d packets, of which the kernel dropped %d\n", t.name, s.Packets, s.Drops)
		t.metering.tell(stdout)
	}
	tellExport(stdout, exporter.Stats())
	return err
}

// run meters until ctx ends, then exports all there is.
func (t *tap) run(ctx context.Context) error {
	var failed error
	swept := time.Now()
	for ctx.Err() == nil && failed == nil {
		err := t.Read(250*time.Millisecond, func(packet *pcap.Packet, outgoing bool) {
			at := probe.Point{Interface: t.Index, Direction: flow.Ingress}
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

// watch tells now and then what the kernel counted.
func (p *probing) watch(ctx context.Context, taps []*tap) {
	tick := time.NewTicker(p.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, t := range taps {
			s, err := t.Stats()
			if err != nil {
				p.log.Warn("no statistics", "interface", t.name, "error", err)
				continue
			}
			p.log.Info("captured", "interface", t.name, "packets", s.Packets, "dropped", s.Drops)
		}
	}
}
