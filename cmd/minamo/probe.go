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
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/minamo-flow/minamo/capture"
	"github.com/minamo-flow/minamo/config"
	"github.com/minamo-flow/minamo/probe"
	"github.com/minamo-flow/minamo/wire/pcap"
)

const probeUsage = `Usage: minamo probe -i INTERFACE --to udp://HOST:PORT [OPTIONS]
       minamo probe FILE --to udp://HOST:PORT [OPTIONS]
       minamo probe -i INTERFACE or FILE --store DIR [OPTIONS]

Meters packets as a router does, and exports the flows: NetFlow v5 or v9, IPFIX,
or sFlow's samples; or puts them into a data directory, to be asked with
minamo flows --data DIR. The packets are those of interfaces (a SPAN port, a TAP,
a Linux router; Linux only, with CAP_NET_RAW), until it is interrupted; or those
of a capture file (pcap, pcapng; - is standard input). A file's flows have its
packets' own times; --now moves them to the present.

A server meters interfaces itself by the section probe of its configuration.

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

	store string // in place of collectors: a data directory

	interfaces []string // in place of a file
	capture    capture.Config
	direction  string
	every      time.Duration // between lines of statistics
	metrics    string        // where they are served; "" nowhere
	registry   *prometheus.Registry
}

func probeCommand(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	p := probing{stderr: stderr, log: slog.New(slog.NewTextHandler(stderr, nil)), registry: prometheus.NewRegistry()}
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
	flags.StringVar(&p.store, "store", "", "in place of collectors, the data `DIR` that takes the flows, made if it is missing; no server may run on it")
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
	source := flags.String("source", "", "`ADDRESS` to send from; of sFlow also the agent's, and in a store the exporter's (default there 127.0.0.1)")
	flags.DurationVar(&p.export.Resend, "resend", time.Minute, "templates and options are repeated so often, by the packets' clock")
	flags.Func("i", "`INTERFACE` to capture on; may be given several times", func(name string) error {
		if slices.Contains(p.interfaces, name) {
			return errors.New("is given twice: its packets would count twice")
		}
		p.interfaces = append(p.interfaces, name)
		return nil
	})
	flags.StringVar(&p.direction, "direction", bothWays, "of interfaces, which packets: those that come `in`, those that go out, or both")
	flags.BoolVar(&p.capture.Promiscuous, "promiscuous", true, "capture what is addressed to others, too")
	flags.IntVar(&p.capture.Sockets, "fanout", 1, "threads for each interface")
	flags.IntVar(&p.capture.Ring, "ring", 32<<20, "`BYTES` for each thread, in which packets wait")
	flags.DurationVar(&p.every, "statistics", time.Minute, "how often to tell what was captured; 0 is only at the end")
	flags.StringVar(&p.metrics, "metrics", "", "of interfaces, serve Prometheus metrics on `HOST:PORT` at /metrics")
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
	case p.direction != bothWays && p.direction != onlyComing && p.direction != onlyLeaving:
		return wrong("--direction: expected in, out or both, found %q", p.direction)
	case p.metrics != "" && p.interfaces == nil:
		return wrong("--metrics is for interfaces (-i): a file tells its totals at the end")
	case p.metrics != "" && config.CheckHTTP(p.metrics) != "":
		return wrong("--metrics: %s", config.CheckHTTP(p.metrics))
	case given["store"] && p.store == "":
		return wrong("--store: expected a directory")
	case p.store != "" && (p.export.Collectors != nil || given["protocol"] || given["style"]):
		return wrong("--store is in place of --to, --protocol and --style")
	case p.store == "" && len(p.export.Collectors) == 0:
		return wrong("--to: name a collector, such as --to udp://127.0.0.1:2055; or a data directory with --store")
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
	to, err := p.target()
	if err != nil {
		return err
	}
	defer to.close()

	progress := newProgress(p.stderr, "packets", size)
	defer progress.done()
	r := p.metering(to)
	var cut error
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
		} else if err != nil { // what came before it counts
			cut = fmt.Errorf("%s, after %d packets: %w", p.file, p.packets, err)
			break
		}
		if pkt.Time != 0 {
			pkt.Time += p.shift
		}
	}
	if err := r.end(); err != nil {
		return err
	}
	progress.done()
	if ctx.Err() != nil && p.store != "" {
		return fmt.Errorf("%w; nothing was stored", ctx.Err())
	}
	r.tell(stdout)
	return errors.Join(cut, to.end(stdout), ctx.Err())
}

// target is the destination of a run.
type target struct {
	destination
	exporter *exportingProcess            // nil for a store
	name     string                       // for people
	end      func(stdout io.Writer) error // tells what became of all; what is stored is there from now on
	close    func()                       // after end, or without it where something failed
}

func (p *probing) target() (*target, error) {
	switch {
	case p.store == "":
		x, err := newExportingProcess(p.export, p.log)
		if err != nil {
			return nil, err
		}
		return &target{
			destination: x,
			exporter:    x,
			name:        strings.Join(p.export.Collectors, ", "),
			end:         func(w io.Writer) error { tellExport(w, x.stats()); return nil },
			close:       func() { x.exporter.Close() },
		}, nil
	case p.interfaces == nil:
		return p.importing()
	default:
		return p.storing()
	}
}

// metering makes what the protocol asks for: flows, or samples.
func (p *probing) metering(to *target) metering {
	if to.exporter != nil && p.export.Protocol == probe.SFlow5 {
		return newSampling(p.meter.Sampling, to.exporter)
	}
	return newCaching(p.meter, to)
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
