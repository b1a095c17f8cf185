package probe

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/wire/netflow"
	"github.com/minamo-flow/minamo/wire/sflow"
)

// Protocols that an Exporter speaks.
const (
	NetFlow5 = "netflow5"
	NetFlow9 = "netflow9"
	IPFIX    = "ipfix"
	SFlow5   = "sflow5"
)

// Protocols are all of them.
var Protocols = []string{NetFlow5, NetFlow9, IPFIX, SFlow5}

// Announce is how an Exporter tells its sampling rate.
type Announce uint8

const (
	AnnounceUsual Announce = iota // in the header of v5, in the samples of sFlow, by options of the others
	AnnounceNone                  // not at all, as some devices do
)

// ExporterConfig tells as what device to speak, and to whom.
type ExporterConfig struct {
	Protocol   string        // one of Protocols
	Style      string        // "": Minamo's own; else one of Styles, which is of the protocol
	Collectors []string      // udp://HOST:PORT, and for IPFIX tcp://HOST:PORT
	Source     netip.Addr    // the address to send from; zero leaves it to the system
	Agent      netip.Addr    // of sFlow: the agent's own address; default Source
	Domain     uint32        // observation domain; source id; engine type × 256 + engine id; sub-agent
	Boot       time.Time     // when sysUptime was zero
	Sampling   SamplerConfig // what is told of it; see Announce
	Announce   Announce
	Resend     time.Duration // of templates and options, over UDP; default 60 s
	Interfaces []Interface   // whose names are told, by options data
	Active     time.Duration // timers of the cache, which Junos tells
	Inactive   time.Duration
	Patience   time.Duration // of writing to a connection; default 1 s. What takes longer is lost, and the connection is made anew.
	// Dial makes the connections; default is net.Dialer's, from Source.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Interface is a port of the device.
type Interface struct {
	Index       uint32 // ifIndex
	Name        string // ifName
	Description string // ifAlias
}

// ExporterStats counts what went out.
type ExporterStats struct {
	Flows, Samples uint64 // taken; each goes to every collector
	Skipped        uint64 // flows that the protocol cannot say: IPv6 in NetFlow v5

	CollectorStats                  // of all collectors together
	Collectors     []CollectorStats // in the order of the configuration
}

// CollectorStats counts what went out to a collector.
type CollectorStats struct {
	Collector   string // as configured; "" for all together
	Datagrams   uint64 // sent, and messages on connections
	Bytes       uint64
	Lost        uint64 // datagrams that could not be sent
	Connections uint64 // made
}

// Exporter is an exporting process: it sends flows, or sFlow's samples, to
// collectors. All times are given, none is read from a clock, so that it can
// tell of a time that is simulated, or of a file's.
//
// A collector that cannot be reached costs what is sent to it meanwhile, which
// is counted; connections are tried again, the longer the later. Templates and
// options are repeated over UDP, and told once on each connection.
//
// An Exporter is not safe for concurrent use.
type Exporter struct {
	cfg        ExporterConfig
	collectors []*collector
	style      *style
	templates  map[class]*netflow.Template // that were needed so far
	parts      map[class]*flow.Batch       // the rows of a batch that has several classes
	order      []class                     // of the parts
	rows       *flow.Batch                 // see named
	stats      ExporterStats
	samples    map[sflow.Source]uint32 // so far
}

// NewExporter fails where the configuration makes no sense or a UDP collector's
// name is not found.
func NewExporter(cfg ExporterConfig, log *slog.Logger) (*Exporter, error) {
	if !slices.Contains(Protocols, cfg.Protocol) {
		return nil, fmt.Errorf("protocol %q: expected one of %v", cfg.Protocol, Protocols)
	}
	if len(cfg.Collectors) == 0 {
		return nil, errors.New("no collector to export to")
	}
	if cfg.Protocol == NetFlow5 && cfg.Sampling.Rate > 1<<14-1 && cfg.Announce != AnnounceNone {
		return nil, fmt.Errorf("a sampling rate of %d does not fit the header of NetFlow v5, which has room for 16383", cfg.Sampling.Rate)
	}
	if cfg.Resend <= 0 {
		cfg.Resend = time.Minute
	}
	if cfg.Patience <= 0 {
		cfg.Patience = time.Second
	}
	if cfg.Dial == nil {
		cfg.Dial = DialFrom(cfg.Source)
	}
	if !cfg.Agent.IsValid() {
		cfg.Agent = cfg.Source
	}
	style, err := styleOf(cfg.Style, cfg.Protocol)
	if err != nil {
		return nil, err
	}
	x := &Exporter{cfg: cfg, style: style, templates: map[class]*netflow.Template{}, parts: map[class]*flow.Batch{}, samples: map[sflow.Source]uint32{}}
	for _, text := range cfg.Collectors {
		c, err := newCollector(text, x, log)
		if err != nil {
			return nil, errors.Join(err, x.Close())
		}
		x.collectors = append(x.collectors, c)
	}
	return x, nil
}

// Flows sends the rows [from, to) of b, which have ended by now. It fails only
// where the rows cannot be said at all; what is lost on the way is counted.
func (x *Exporter) Flows(b *flow.Batch, from, to int, now time.Time) error {
	if from >= to {
		return nil
	}
	x.stats.Flows += uint64(to - from)
	if x.cfg.Protocol == NetFlow5 {
		return x.each(func(c *collector) error { return c.flows(nil, b, from, to, now) })
	}
	if x.style.samplers {
		b, from, to = x.named(b, from, to)
	}
	// A template is of one class of rows. They are parted first: a datagram for
	// every turn would be a datagram for every flow.
	if x.style.uniform(b, from, to) {
		return x.part(x.style.class(b, from), b, from, to, now)
	}
	for i := from; i < to; {
		k, begin := x.style.class(b, i), i
		for i++; i < to && x.style.class(b, i) == k; i++ {
		}
		if x.parts[k] == nil {
			x.parts[k] = flow.NewBatch(0)
			x.order = append(x.order, k)
			slices.Sort(x.order)
		}
		x.parts[k].Append(b, begin, i)
	}
	for _, k := range x.order {
		part := x.parts[k]
		if part.Len() == 0 {
			continue
		}
		err := x.part(k, part, 0, part.Len(), now)
		part.Reset()
		if err != nil {
			return err
		}
	}
	return nil
}

// part sends rows of one class.
func (x *Exporter) part(k class, b *flow.Batch, from, to int, now time.Time) error {
	t := x.templates[k]
	if t == nil {
		t = x.style.template(k)
		x.templates[k] = t
	}
	return x.each(func(c *collector) error { return c.flows(t, b, from, to, now) })
}

// Sample sends a packet that was sampled, by sFlow. Its rate and, unless the
// caller knows better, its sequence number and its pool are filled in.
func (x *Exporter) Sample(s *sflow.FlowSample, now time.Time) error {
	x.stats.Samples++
	x.samples[s.Source]++
	s.Rate = max(x.cfg.Sampling.Rate, 1)
	sequence, pool := s.Sequence, s.Pool
	if sequence == 0 {
		s.Sequence = x.samples[s.Source]
	}
	if pool == 0 {
		s.Pool = s.Rate * s.Sequence
	}
	defer func() { s.Sequence, s.Pool = sequence, pool }()
	return x.each(func(c *collector) error { return c.sample(s, now) })
}

// Counters sends the counters of an interface, by sFlow.
func (x *Exporter) Counters(i *sflow.InterfaceCounters, name string, now time.Time) error {
	return x.each(func(c *collector) error { return c.counters(i, name, now) })
}

// Tick is to be called about every second: it sends what waits for company in
// a datagram, and repeats what is due.
func (x *Exporter) Tick(now time.Time) error {
	return x.each(func(c *collector) error { return c.tick(now) })
}

func (x *Exporter) each(do func(*collector) error) error {
	for _, c := range x.collectors {
		if err := do(c); err != nil {
			return fmt.Errorf("export to %s: %w", c.stats.Collector, err)
		}
	}
	return nil
}

// Stats tells what was sent so far.
func (x *Exporter) Stats() ExporterStats {
	s := x.stats
	for _, c := range x.collectors {
		s.Collectors = append(s.Collectors, c.stats)
		s.Datagrams += c.stats.Datagrams
		s.Bytes += c.stats.Bytes
		s.Lost += c.stats.Lost
		s.Connections += c.stats.Connections
	}
	if len(x.collectors) > 0 {
		s.Skipped = uint64(x.collectors[0].netflow.Skipped)
	}
	return s
}

// Close sends what waits and closes the connections.
func (x *Exporter) Close() error {
	var errs []error
	for _, c := range x.collectors {
		errs = append(errs, c.close())
	}
	return errors.Join(errs...)
}

// DialFrom connects from an address of this machine; the zero one leaves it to
// the system.
func DialFrom(source netip.Addr) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		var d net.Dialer
		if source.IsValid() {
			d.LocalAddr = &net.UDPAddr{IP: source.AsSlice()}
			if network == "tcp" {
				d.LocalAddr = &net.TCPAddr{IP: source.AsSlice()}
			}
		}
		return d.DialContext(ctx, network, address)
	}
}
