package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/minamo-flow/minamo/capture"
	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/probe"
	"github.com/minamo-flow/minamo/wire/packet"
	"github.com/minamo-flow/minamo/wire/pcap"
	"github.com/minamo-flow/minamo/wire/sflow"
)

const probeUsage = `Usage: minamo probe -i INTERFACE --to udp://HOST:PORT [OPTIONS]
       minamo probe FILE --to udp://HOST:PORT [OPTIONS]

Meters packets as a router does, and exports the flows: NetFlow v5 or v9, IPFIX,
or sFlow's samples. The packets are those of interfaces (a SPAN port, a TAP, a
Linux router; Linux only, with CAP_NET_RAW), until it is interrupted; or those of
a capture file (pcap, pcapng; - is standard input). A file's flows have its
packets' own times; --now moves them to the present.

Options:
`

// probing is one run of minamo probe.
type probing struct {
	file    string
	now     bool
	rate    int // datagrams a second
	meter   probe.MeterConfig
	export  probe.ExporterConfig
	stderr  io.Writer
	log     *slog.Logger
	shift   int64 // ns
	packets int64

	interfaces []string // in place of a file
	capture    capture.Config
	every      time.Duration // between lines of statistics
}

func probeCommand(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	p := probing{stderr: stderr, log: slog.New(slog.NewTextHandler(stderr, nil))}
	flags := flag.NewFlagSet("minamo probe", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, probeUsage)
		flags.PrintDefaults()
	}
	flags.Func("to", "collector, `udp://HOST:PORT`, or tcp:// for IPFIX; may be given several times", func(text string) error {
		p.export.Collectors = append(p.export.Collectors, text)
		return nil
	})
	flags.StringVar(&p.export.Protocol, "protocol", probe.IPFIX, "`PROTOCOL`: "+strings.Join(probe.Protocols, ", "))
	flags.StringVar(&p.export.Style, "style", "", "`STYLE` of a maker's routers, with their templates, options and protocol: "+strings.Join(slices.Sorted(maps.Keys(probe.Styles)), ", "))
	flags.DurationVar(&p.meter.Cache.Active, "active", time.Minute, "active `TIMER`: a flow that goes on is exported so often")
	flags.DurationVar(&p.meter.Cache.Inactive, "inactive", 15*time.Second, "inactive `TIMER`: a flow that is silent for so long has ended")
	flags.IntVar(&p.meter.Cache.Flows, "flows", 1<<19, "room of the cache; beyond it the idlest flow ends early")
	flags.BoolVar(&p.meter.Cache.Biflow, "biflow", false, "end both directions of a conversation together")
	flags.BoolVar(&p.meter.NonIP, "non-ip", false, "meter packets that are not IP, too, by their MAC addresses")
	sample := flags.Uint("sample", 1, "look at one packet in `N`")
	random := flags.Bool("random", false, "choose sampled packets at random, one of each N, instead of every Nth")
	seed := flags.Uint64("seed", 1, "of random choices")
	domain := flags.Uint("domain", 1, "observation domain, source id, engine or sub-agent `ID`")
	source := flags.String("source", "", "`ADDRESS` to send from; of sFlow also the agent's")
	flags.DurationVar(&p.export.Resend, "resend", time.Minute, "templates and options are repeated so often, by the packets' clock")
	flags.Func("i", "`INTERFACE` to capture on; may be given several times", func(name string) error {
		p.interfaces = append(p.interfaces, name)
		return nil
	})
	flags.BoolVar(&p.capture.Promiscuous, "promiscuous", true, "capture what is addressed to others, too")
	flags.IntVar(&p.capture.Sockets, "fanout", 1, "threads for each interface")
	flags.IntVar(&p.capture.Ring, "ring", 32<<20, "`BYTES` for each thread, in which packets wait")
	flags.DurationVar(&p.every, "statistics", time.Minute, "how often to tell what was captured; 0 is only at the end")
	flags.BoolVar(&p.now, "now", false, "move all times so that the last packet is now")
	flags.IntVar(&p.rate, "rate", 5000, "of a file, datagrams a second at most; 0 is as fast as possible, which collectors by UDP may not bear")
	files, err := parseFiles(flags, args)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	wrong := func(format string, args ...any) int {
		fmt.Fprintf(stderr, "minamo probe: "+format+"; see: minamo probe --help\n", args...)
		return 2
	}
	given := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if protocol := probe.Styles[p.export.Style]; protocol != "" && !given["protocol"] {
		p.export.Protocol = protocol
	}
	switch {
	case len(files) != 1 && p.interfaces == nil:
		return wrong("expected one file, or interfaces (-i), found %d files", len(files))
	case len(files) != 0 && p.interfaces != nil:
		return wrong("expected a file or interfaces, found both")
	case p.interfaces != nil && p.now:
		return wrong("--now is for files")
	case p.capture.Sockets < 1 || p.capture.Sockets > 64:
		return wrong("--fanout: expected 1 to 64, found %d", p.capture.Sockets)
	case p.capture.Ring < 2<<20 || p.capture.Ring > 4<<30:
		return wrong("--ring: expected 2 MiB to 4 GiB, found %d", p.capture.Ring)
	case p.every < 0:
		return wrong("--statistics: expected a time, or 0")
	case len(p.export.Collectors) == 0:
		return wrong("--to: name a collector, such as --to udp://127.0.0.1:2055")
	case !slices.Contains(probe.Protocols, p.export.Protocol):
		return wrong("--protocol: expected one of %s, found %q", strings.Join(probe.Protocols, ", "), p.export.Protocol)
	case p.export.Style != "" && probe.Styles[p.export.Style] != p.export.Protocol:
		return wrong("--style: expected one of %s, without another --protocol, found %q of %s", strings.Join(slices.Sorted(maps.Keys(probe.Styles)), ", "), p.export.Style, p.export.Protocol)
	case *sample < 1 || *sample > math.MaxUint32:
		return wrong("--sample: expected a number from 1 on, found %d", *sample)
	case *domain > math.MaxUint32:
		return wrong("--domain: expected at most %d, found %d", uint32(math.MaxUint32), *domain)
	case p.meter.Cache.Active <= 0 || p.meter.Cache.Inactive <= 0 || p.export.Resend <= 0:
		return wrong("--active, --inactive, --resend: expected a time above zero")
	case p.meter.Cache.Flows < 1 || p.meter.Cache.Flows > 1<<26:
		return wrong("--flows: expected 1 to %d, found %d", 1<<26, p.meter.Cache.Flows)
	case p.rate < 0:
		return wrong("--rate: expected 0 or more, found %d", p.rate)
	case p.now && slices.Equal(files, []string{"-"}):
		return wrong("--now reads the file twice, which standard input cannot be: save it to a file first")
	}
	if *source != "" {
		var err error
		if p.export.Source, err = netip.ParseAddr(*source); err != nil {
			return wrong("--source: expected an address, found %q", *source)
		}
	}
	p.export.Domain = uint32(*domain)
	p.meter.Sampling = probe.SamplerConfig{Rate: uint32(*sample), Seed: *seed}
	if *random {
		p.meter.Sampling.Method = probe.RandomInN
	}
	p.meter.Cache.Rows = exportRows
	p.export.Sampling = p.meter.Sampling
	p.export.Active, p.export.Inactive = p.meter.Cache.Active, p.meter.Cache.Inactive
	run := p.live
	if p.interfaces == nil {
		p.file, run = files[0], p.run
	}
	if err := run(ctx, stdout); err != nil {
		fmt.Fprintf(stderr, "minamo probe: %v\n", err)
		return 1
	}
	return 0
}

// exportRows is how many flows are exported at once.
const exportRows = 1024

func (p *probing) run(ctx context.Context, stdout io.Writer) error {
	if p.now {
		last, err := lastPacket(ctx, p.file)
		if err != nil {
			return fmt.Errorf("%s: %w", p.file, err)
		}
		p.shift = time.Now().UnixNano() - last
	}
	in, size := io.Reader(os.Stdin), int64(0)
	if p.file != "-" {
		file, err := os.Open(p.file)
		if err != nil {
			return err
		}
		defer file.Close()
		if info, err := file.Stat(); err == nil {
			size = info.Size()
		}
		in = file
	}
	packets, err := pcap.NewReader(in)
	if err != nil {
		return fmt.Errorf("%s: %w", p.file, err)
	}
	var first pcap.Packet
	err = packets.Next(&first)
	if err == io.EOF {
		return fmt.Errorf("%s: there is no packet in it", p.file)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", p.file, err)
	}
	first.Time += p.shift
	p.export.Boot = time.Unix(0, first.Time).Add(-time.Minute)
	pace := &pace{rate: p.rate}
	p.export.Dial = pace.dial(p.export.Source)
	exporter, err := newExportingProcess(p.export, p.log)
	if err != nil {
		return err
	}
	defer exporter.Close()

	progress := newProgress(p.stderr, "packets", size)
	defer progress.done()
	r := p.metering(exporter)
	for pkt := &first; ctx.Err() == nil; {
		p.packets++
		if err := r.add(pkt, probe.Point{}); err != nil {
			return err
		}
		if p.packets%1024 == 0 {
			progress.show(packets.Offset(), p.packets)
		}
		if err := packets.Next(pkt); err == io.EOF {
			break
		} else if err != nil { // what came before it is told
			return errors.Join(fmt.Errorf("%s, after %d packets: %w", p.file, p.packets, err), r.end())
		}
		if pkt.Time != 0 {
			pkt.Time += p.shift
		}
	}
	if err := r.end(); err != nil {
		return err
	}
	progress.done()
	r.tell(stdout)
	tellExport(stdout, exporter.Stats())
	return ctx.Err()
}

// exportingProcess is an Exporter that several meters share.
type exportingProcess struct {
	mu sync.Mutex
	*probe.Exporter
}

func newExportingProcess(cfg probe.ExporterConfig, log *slog.Logger) (*exportingProcess, error) {
	x, err := probe.NewExporter(cfg, log)
	return &exportingProcess{Exporter: x}, err
}

func (x *exportingProcess) do(f func(*probe.Exporter) error) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	return f(x.Exporter)
}

// metering makes what the protocol asks for: flows, or samples.
func (p *probing) metering(x *exportingProcess) metering {
	if p.export.Protocol == probe.SFlow5 {
		return &sampling{exporter: x, sampler: probe.NewSampler(p.meter.Sampling)}
	}
	return &caching{exporter: x, meter: probe.NewMeter(p.meter), flows: flow.NewBatch(exportRows)}
}

// metering is what becomes of packets: flows, or samples.
type metering interface {
	add(*pcap.Packet, probe.Point) error
	sweep(clock int64) error // ms; about every second
	end() error
	tell(io.Writer)
}

// caching makes flows of packets, and exports those that ended.
type caching struct {
	exporter *exportingProcess
	meter    *probe.Meter
	flows    *flow.Batch
	clock    int64 // ms, the packets'
	swept    int64 // when flows were looked for that are due
}

func (c *caching) add(p *pcap.Packet, at probe.Point) error {
	c.meter.Add(p, at, c.flows)
	c.clock = max(c.clock, p.Time/1e6)
	if c.clock >= c.swept+1000 {
		return c.sweep(c.clock)
	}
	if c.flows.Len() < exportRows {
		return nil
	}
	return c.export()
}

func (c *caching) sweep(clock int64) error {
	c.clock, c.swept = clock, clock
	for more := true; more; {
		more = c.meter.Expire(clock, c.flows)
		if err := c.export(); err != nil {
			return err
		}
	}
	return c.exporter.do(func(x *probe.Exporter) error { return x.Tick(time.UnixMilli(clock)) })
}

func (c *caching) export() error {
	err := c.exporter.do(func(x *probe.Exporter) error {
		return x.Flows(c.flows, 0, c.flows.Len(), time.UnixMilli(c.clock))
	})
	c.flows.Reset()
	return err
}

func (c *caching) end() error {
	for more := true; more; {
		more = c.meter.Flush(c.flows)
		if err := c.export(); err != nil {
			return err
		}
	}
	return nil
}

func (c *caching) tell(w io.Writer) {
	m, s := c.meter.Stats(), c.meter.CacheStats()
	fmt.Fprintf(w, "packets   %d, %d bytes on the wire\n", m.Packets, m.Bytes)
	fmt.Fprintf(w, "metered   %d, %d bytes of layer 3", m.Metered, m.Octets)
	if m.PassedOver > 0 {
		fmt.Fprintf(w, "; passed over by the sampler %d", m.PassedOver)
	}
	for reason, n := range m.Skipped {
		if n > 0 {
			fmt.Fprintf(w, "; %s %d", probe.Reason(reason), n)
		}
	}
	if m.Fragments > 0 {
		fmt.Fprintf(w, "; later fragments, without ports, %d", m.Fragments)
	}
	if m.Portless > 0 {
		fmt.Fprintf(w, "; cut off before their ports %d", m.Portless)
	}
	fmt.Fprintf(w, "\nflows     %d", s.Created)
	for reason, n := range s.Ended {
		if n > 0 {
			fmt.Fprintf(w, "; %s %d", flow.Schema[flow.FlowEndReason].Names[uint64(reason)], n)
		}
	}
	fmt.Fprintf(w, "; %d at once at most\n", s.Peak)
}

// sampling sends sampled packets' headers, by sFlow.
type sampling struct {
	exporter         *exportingProcess
	sampler          *probe.Sampler
	packets, bytes   uint64
	samples, unknown uint64
	clock, flushed   int64 // ms, the packets'
}

// headerBytes is how much of a packet goes into a sample, as agents have it.
const headerBytes = 128

// headers are the protocols of sFlow's raw headers, by link type.
var headers = map[packet.Link]uint32{packet.Ethernet: sflow.HeaderEthernet, packet.IPv4: sflow.HeaderIPv4, packet.IPv6: sflow.HeaderIPv6}

func (s *sampling) add(p *pcap.Packet, at probe.Point) error {
	s.packets++
	s.bytes += uint64(max(p.Length, len(p.Data)))
	s.clock = max(s.clock, p.Time/1e6)
	if s.clock >= s.flushed+1000 {
		if err := s.sweep(s.clock); err != nil {
			return err
		}
	}
	if !s.sampler.Next() {
		return nil
	}
	protocol, known := headers[p.Link]
	if p.Link == packet.Raw && len(p.Data) > 0 {
		protocol, known = sflow.HeaderIPv4, true
		if p.Data[0]>>4 == 6 {
			protocol = sflow.HeaderIPv6
		}
	}
	if !known {
		s.unknown++
		return nil
	}
	s.samples++
	sample := sflow.FlowSample{
		Sample: sflow.Sample{Pool: uint32(s.packets)},
		Packet: sflow.Packet{Protocol: protocol, Length: uint32(max(p.Length, len(p.Data))), Header: p.Data[:min(len(p.Data), headerBytes)]},
	}
	if protocol == sflow.HeaderEthernet { // captures lack the check sequence, which the wire had
		sample.Packet.Length, sample.Packet.Stripped = sample.Packet.Length+4, 4
	}
	if at.Interface != 0 {
		sample.Source.Index = at.Interface
		if at.Direction == flow.Egress {
			sample.Out.Value = at.Interface
		} else {
			sample.In.Value = at.Interface
		}
	}
	return s.exporter.do(func(x *probe.Exporter) error { return x.Sample(&sample, time.UnixMilli(s.clock)) })
}

func (s *sampling) sweep(clock int64) error {
	s.clock, s.flushed = clock, clock
	return s.exporter.do(func(x *probe.Exporter) error { return x.Tick(time.UnixMilli(clock)) })
}

func (s *sampling) end() error { return s.sweep(s.clock) }

func (s *sampling) tell(w io.Writer) {
	fmt.Fprintf(w, "packets   %d, %d bytes on the wire\nsampled   %d", s.packets, s.bytes, s.samples)
	if s.unknown > 0 {
		fmt.Fprintf(w, "; of link types that sFlow has none for, left out, %d", s.unknown)
	}
	fmt.Fprintln(w)
}

func tellExport(w io.Writer, s probe.ExporterStats) {
	fmt.Fprintf(w, "exported  %d datagrams, %d bytes", s.Datagrams, s.Bytes)
	if s.Skipped > 0 {
		fmt.Fprintf(w, "; flows of IPv6, which NetFlow v5 cannot say, left out %d", s.Skipped)
	}
	if s.Lost > 0 {
		fmt.Fprintf(w, "; datagrams lost, for nobody took them, %d", s.Lost)
	}
	fmt.Fprintln(w)
}

// lastPacket is the latest time of a capture, in ns.
func lastPacket(ctx context.Context, path string) (last int64, err error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	packets, err := pcap.NewReader(file)
	if err != nil {
		return 0, err
	}
	var p pcap.Packet
	for ctx.Err() == nil {
		if err := packets.Next(&p); err == io.EOF {
			return last, nil
		} else if err != nil {
			return last, nil // the second reading says so
		}
		last = max(last, p.Time)
	}
	return last, ctx.Err()
}

// pace lets so many datagrams a second out.
type pace struct {
	rate int // 0 is no bound
	next time.Time
}

func (p *pace) dial(source netip.Addr) func(context.Context, string, string) (net.Conn, error) {
	dial := probe.DialFrom(source)
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil || network != "udp" || p.rate == 0 {
			return conn, err
		}
		return pacedConn{conn, p}, nil
	}
}

type pacedConn struct {
	net.Conn
	pace *pace
}

func (c pacedConn) Write(datagram []byte) (int, error) {
	c.pace.wait()
	return c.Conn.Write(datagram)
}

// wait lets up to ten milliseconds' datagrams go together: sleeping for each
// would be slower than the rate.
func (p *pace) wait() {
	const together = 10 * time.Millisecond
	now := time.Now()
	if p.next.Before(now) {
		p.next = now
	}
	p.next = p.next.Add(time.Second / time.Duration(p.rate))
	if ahead := p.next.Sub(now); ahead > together {
		time.Sleep(ahead)
	}
}
