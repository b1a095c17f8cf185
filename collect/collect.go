// Package collect receives export datagrams and turns them into complete flow
// records.
//
// Sockets (several per address, read in batches) hand each datagram to
// Exporters, which keeps what must be remembered about every exporter:
// templates, sampling rates, sequence numbers, its clock. The wire packages do
// the decoding; this package finishes each row (exporter, sampling rate and
// its source, sane times) and gives batches to a Sink.
//
// cmd/minamo wires a Collector to the store; `minamo decode` uses Exporters
// alone, on captured datagrams. A flow is never dropped because something is
// unknown about it: the gap is marked in the row. Everything that goes wrong
// is counted, per exporter and kind.
package collect

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/minamo-flow/minamo/flow"
)

// Sink takes complete batches. Write copies what it keeps: the batch is
// reused after it returns. It may block to slow the reader down; the kernel's
// socket buffer then fills and what overflows is counted as kernel drops.
type Sink interface {
	Write(*flow.Batch) error
}

// Config of a Collector. The zero value of a field means its default.
type Config struct {
	Listen        []string       // addresses such as udp://:2055; default DefaultListen
	Sockets       int            // sockets per address, by SO_REUSEPORT; default one per processor
	ReceiveBuffer int            // bytes asked of the kernel per socket; default 16 MiB
	StateFile     string         // templates and sampling rates kept across restarts; "" keeps none
	Exporters     ExporterConfig // what is remembered per exporter
}

// DefaultListen are the ports of NetFlow, IPFIX and sFlow. Each accepts every protocol.
var DefaultListen = []string{"udp://:2055", "udp://:4739", "udp://:6343"}

func (c *Config) setDefaults() {
	if len(c.Listen) == 0 {
		c.Listen = DefaultListen
	}
	if c.Sockets <= 0 {
		c.Sockets = runtime.NumCPU()
	}
	if c.ReceiveBuffer <= 0 {
		c.ReceiveBuffer = 16 << 20
	}
}

// stateInterval is how soon news get into the state file.
const stateInterval = 2 * time.Second

// Collector receives from sockets. New, then Listen, then Run.
type Collector struct {
	Exporters *Exporters
	Meter     Meter

	cfg     Config
	sink    Sink
	log     *slog.Logger
	sockets []*socket

	flows      atomic.Uint64 // decoded, since the start
	sinkErrors atomic.Uint64
}

// New returns an inert collector.
func New(cfg Config, sink Sink, log *slog.Logger) *Collector {
	cfg.setDefaults()
	return &Collector{Exporters: NewExporters(cfg.Exporters, log), cfg: cfg, sink: sink, log: log}
}

// ParseListen checks a listen address of the form udp://HOST:PORT, where HOST
// may be empty (all addresses, IPv4 and IPv6).
func ParseListen(text string) (network, address string, err error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Path != "" {
		return "", "", fmt.Errorf("listen address %q: expected udp://HOST:PORT, such as udp://0.0.0.0:2055", text)
	}
	if u.Scheme != "udp" {
		return "", "", fmt.Errorf("listen address %q: scheme %q is not supported, expected udp://", text, u.Scheme)
	}
	host, port := u.Hostname(), u.Port()
	if port == "" {
		return "", "", fmt.Errorf("listen address %q: no port, expected udp://HOST:PORT", text)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", "", fmt.Errorf("listen address %q: expected a port up to 65535, found %s", text, port)
	}
	network = "udp"
	if a, err := netip.ParseAddr(host); err == nil && a.Is4() {
		network = "udp4" // 0.0.0.0 means IPv4 only; an empty host means both
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return network, host + ":" + port, nil
}

// Listen opens all sockets and restores the state file. After an error
// nothing is left open.
func (c *Collector) Listen() (err error) {
	defer func() {
		if err != nil {
			c.closeSockets()
		}
	}()
	for _, text := range c.cfg.Listen {
		network, address, err := ParseListen(text)
		if err != nil {
			return err
		}
		opened, err := openSockets(network, address, c.cfg.Sockets, c.cfg.ReceiveBuffer)
		if err != nil {
			return fmt.Errorf("cannot listen on %s: %w", text, err)
		}
		c.sockets = append(c.sockets, opened...)
	}
	for _, s := range c.sockets {
		if s.buffer < c.cfg.ReceiveBuffer {
			c.log.Warn("the kernel gives a smaller receive buffer than asked for: bursts may be lost; raise net.core.rmem_max",
				"asked", c.cfg.ReceiveBuffer, "got", s.buffer)
			break
		}
	}
	if c.cfg.StateFile == "" {
		return nil
	}
	if err := c.Exporters.load(c.cfg.StateFile); err != nil {
		c.log.Warn("starting without remembered templates", "error", err)
	}
	return nil
}

// Addresses are the addresses that Listen opened, as udp://HOST:PORT.
func (c *Collector) Addresses() []string {
	var all []string
	for _, s := range c.sockets {
		if a := "udp://" + s.address; len(all) == 0 || all[len(all)-1] != a {
			all = append(all, a)
		}
	}
	return all
}

// Run receives until ctx ends; then it has handed on every flow that it took
// from the kernel, closed the sockets and written the state file.
func (c *Collector) Run(ctx context.Context) error {
	var readers sync.WaitGroup
	for _, s := range c.sockets {
		readers.Go(func() { c.read(s) })
	}
	ticker := time.NewTicker(stateInterval)
	defer ticker.Stop()
	for running := true; running; {
		select {
		case <-ticker.C:
			c.saveState()
		case <-ctx.Done():
			running = false
		}
	}
	for _, s := range c.sockets {
		s.stop()
	}
	readers.Wait()
	c.closeSockets()
	c.saveState()
	return nil
}

// read is one socket's loop. Datagrams that the kernel already holds when the
// socket is stopped are still taken.
func (c *Collector) read(s *socket) {
	batch := flow.NewBatch(4096)
	for {
		n, err := s.receive()
		if err != nil {
			if !errors.Is(err, errStopped) {
				c.log.Error("socket failed: the other sockets of its address go on without it", "address", s.address, "error", err)
			}
			s.close() // the kernel must not give it what nobody reads
			return
		}
		now := time.Now()
		received := now.UnixMilli()
		for i := range n {
			data, source := s.datagram(i)
			c.Exporters.Decode(data, source, received, batch)
		}
		if batch.Len() == 0 {
			continue
		}
		c.flows.Add(uint64(batch.Len()))
		c.Meter.add(now.Unix(), batch)
		if err := c.sink.Write(batch); err != nil {
			c.sinkErrors.Add(1)
			c.log.Error("flows were not stored", "flows", batch.Len(), "error", err)
		}
		batch.Reset()
	}
}

func (c *Collector) closeSockets() {
	for _, s := range c.sockets {
		s.close()
	}
}

func (c *Collector) saveState() {
	if c.cfg.StateFile == "" || !c.Exporters.news.Swap(false) {
		return
	}
	if err := c.Exporters.save(c.cfg.StateFile); err != nil {
		c.Exporters.news.Store(true)
		c.log.Warn("templates could not be kept for the next start", "error", err)
	}
}
