// Package collect receives flow export and turns it into complete flow records.
//
// UDP sockets (several per address, read in batches) and connections (IPFIX
// over TCP, TLS and SCTP) hand each datagram or message to Exporters, which
// keeps what must be remembered about every exporter: templates, sampling
// rates, names, sequence numbers, its clock. The wire packages do
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
	"runtime"
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
	Listen        []string       // addresses such as udp://:2055; default, where it is nil, DefaultListen
	Sockets       int            // sockets per UDP address, by SO_REUSEPORT; default one per processor
	ReceiveBuffer int            // bytes asked of the kernel per UDP socket; default 16 MiB
	StateFile     string         // what exporters told of themselves, kept across restarts; "" keeps none
	Exporters     ExporterConfig // what is remembered per exporter

	// Clock tells when a datagram or a message is received; default time.Now. A
	// simulated network brings its own, so that it can tell of the past.
	Clock func() time.Time

	TLS                    TLS           // of tls:// addresses
	Connections            int           // open at once; default 1024. Each may cost 64 KiB, and its templates
	ConnectionsPerExporter int           // from one address; default 64
	IdleTimeout            time.Duration // ends a connection by which nothing comes; 0 never does
}

func (c *Config) setDefaults() {
	if c.Listen == nil {
		c.Listen = DefaultListen
	}
	if c.Sockets <= 0 {
		c.Sockets = runtime.NumCPU()
	}
	if c.ReceiveBuffer <= 0 {
		c.ReceiveBuffer = 16 << 20
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Connections <= 0 {
		c.Connections = 1024
	}
	if c.ConnectionsPerExporter <= 0 {
		c.ConnectionsPerExporter = 64
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
	sockets []*socket  // UDP
	streams []*streams // TCP, TLS, SCTP

	connections connections

	flows      atomic.Uint64 // decoded, since the start
	sinkErrors atomic.Uint64
}

// New returns an inert collector.
func New(cfg Config, sink Sink, log *slog.Logger) *Collector {
	cfg.setDefaults()
	c := &Collector{Exporters: NewExporters(cfg.Exporters, log), cfg: cfg, sink: sink, log: log}
	c.connections.open = map[*connection]struct{}{}
	c.connections.from = map[netip.Addr]int{}
	c.connections.batches.New = func() any { return flow.NewBatch(256) }
	return c
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
		endpoint, err := ParseListen(text)
		if err != nil {
			return err
		}
		if err := c.open(endpoint); err != nil {
			return fmt.Errorf("cannot listen on %s: %w", text, err)
		}
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

// open opens one address.
func (c *Collector) open(e Endpoint) error {
	if e.Scheme == "udp" {
		opened, err := openSockets(e.Network, e.Address, c.cfg.Sockets, c.cfg.ReceiveBuffer)
		c.sockets = append(c.sockets, opened...)
		return err
	}
	s := &streams{endpoint: e}
	var err error
	if e.Scheme == "tls" {
		if s.certificates, err = newCertificates(c.cfg.TLS, c.log); err != nil {
			return err
		}
	}
	if s.listener, err = listenStream(e); err != nil {
		return err
	}
	s.endpoint.Address = s.listener.Addr().String() // port 0 becomes a real one
	c.streams = append(c.streams, s)
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
	for _, s := range c.streams {
		all = append(all, s.endpoint.String())
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
	for _, s := range c.streams {
		readers.Go(func() { c.accept(s) })
	}
	ticker := time.NewTicker(stateInterval)
	defer ticker.Stop()
	for running := true; running; {
		select {
		case <-ticker.C:
			c.Exporters.Balance(c.cfg.Clock().UnixMilli()) // also when nothing comes any more
			c.saveState()
		case <-ctx.Done():
			running = false
		}
	}
	for _, s := range c.sockets {
		s.stop()
	}
	for _, s := range c.streams {
		s.listener.Close()
	}
	c.connections.stop()
	readers.Wait()
	c.connections.running.Wait()
	c.closeSockets()
	c.saveState()
	return nil
}

// batchRows is after how many rows a batch is handed on although more is there.
const batchRows = 4096

// read is one socket's loop. Datagrams that the kernel already holds when the
// socket is stopped are still taken.
func (c *Collector) read(s *socket) {
	batch := flow.NewBatch(batchRows)
	for {
		n, err := s.receive()
		if err != nil {
			if !errors.Is(err, errStopped) {
				c.log.Error("socket failed: the other sockets of its address go on without it", "address", s.address, "error", err)
			}
			s.close() // the kernel must not give it what nobody reads
			return
		}
		received := c.cfg.Clock().UnixMilli()
		c.Exporters.Balance(received)
		for i := range n {
			data, source := s.datagram(i)
			c.Exporters.Decode(data, source, received, batch)
			if batch.Len() >= batchRows {
				c.deliver(batch)
			}
		}
		c.deliver(batch)
		if cap(batch.Present) > 4*batchRows {
			batch = flow.NewBatch(batchRows) // a burst of tiny records does not hold its room for ever
		}
	}
}

// deliver hands the batch on, and empties it. That the sink fails is counted and
// logged here.
func (c *Collector) deliver(batch *flow.Batch) error {
	if batch.Len() == 0 {
		return nil
	}
	c.flows.Add(uint64(batch.Len()))
	c.Meter.add(c.cfg.Clock().Unix(), batch)
	err := c.sink.Write(batch)
	if err != nil {
		c.sinkErrors.Add(1)
		c.log.Error("flows were not stored", "flows", batch.Len(), "error", err)
	}
	batch.Reset()
	return err
}

func (c *Collector) closeSockets() {
	for _, s := range c.sockets {
		s.close()
	}
	for _, s := range c.streams {
		s.listener.Close()
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
