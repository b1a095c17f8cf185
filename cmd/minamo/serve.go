package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/minamo-flow/minamo/collect"
	"github.com/minamo-flow/minamo/config"
	"github.com/minamo-flow/minamo/counters"
	"github.com/minamo-flow/minamo/dashboards"
	"github.com/minamo-flow/minamo/enrich"
	"github.com/minamo-flow/minamo/enrich/geo"
	"github.com/minamo-flow/minamo/enrich/networks"
	"github.com/minamo-flow/minamo/enrich/rates"
	"github.com/minamo-flow/minamo/enrich/roles"
	"github.com/minamo-flow/minamo/query"
	"github.com/minamo-flow/minamo/rollup"
	"github.com/minamo-flow/minamo/server"
	"github.com/minamo-flow/minamo/snmp"
	"github.com/minamo-flow/minamo/store"
	"github.com/minamo-flow/minamo/verify/proof"
	"github.com/minamo-flow/minamo/verify/quality"
	"github.com/minamo-flow/minamo/verify/totals"
	"github.com/minamo-flow/minamo/web"
)

const serveUsage = `Usage: minamo serve [OPTIONS]

Receives NetFlow, IPFIX and sFlow of every version by UDP, and IPFIX by TCP, TLS
and SCTP; stores the flows, and serves the console. Needs no configuration.

Options:
`

func serveCommand(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	cfg, err := serveConfig(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(stderr, err)
		return 2
	}
	log := newLogger(stderr, cfg.Log)
	if err := serve(ctx, cfg, log, stdout, company{}); err != nil {
		fmt.Fprintln(stderr, "minamo serve:", err)
		return 1
	}
	return 0
}

// serveConfig is the configuration file, overridden by flags.
func serveConfig(args []string, stderr io.Writer) (config.Config, error) {
	defaults := config.Default()
	flags := flag.NewFlagSet("minamo serve", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, serveUsage)
		flags.PrintDefaults()
	}
	file := flags.String("config", "", "configuration `FILE` (see: minamo config default)")
	data := flags.String("data", defaults.Data, "`DIR` where flow data are kept")
	http := flags.String("http", defaults.HTTP, "`HOST:PORT` of console, API and metrics")
	level := flags.String("log-level", defaults.Log.Level, "`LEVEL`: debug, info, warn or error")
	var listen []string
	flags.Func("listen", "`udp://HOST:PORT` to receive on, or tcp://, tls://, sctp:// for IPFIX; may be given several times (default "+strings.Join(defaults.Listen, ", ")+")", func(text string) error {
		if _, err := collect.ParseListen(text); err != nil {
			return err
		}
		listen = append(listen, text)
		return nil
	})
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return defaults, err
		}
		return defaults, errors.New("see: minamo serve --help")
	}
	if flags.NArg() > 0 {
		return defaults, fmt.Errorf("minamo serve: unexpected %q; see: minamo serve --help", flags.Arg(0))
	}
	cfg := defaults
	if *file != "" {
		var err error
		if cfg, err = config.Load(*file); err != nil {
			return cfg, err
		}
		if err := cfg.CheckFiles(); err != nil {
			return cfg, err
		}
	}
	var wrong []error
	flags.Visit(func(f *flag.Flag) {
		var problem string
		switch f.Name {
		case "data":
			cfg.Data = *data
			if *data == "" {
				problem = "expected a directory"
			}
		case "http":
			cfg.HTTP = *http
			problem = config.CheckHTTP(*http)
		case "listen":
			cfg.Listen = listen
		case "log-level":
			cfg.Log.Level = *level
			if new(slog.Level).UnmarshalText([]byte(*level)) != nil {
				problem = fmt.Sprintf("expected debug, info, warn or error, found %q", *level)
			}
		}
		if problem != "" {
			wrong = append(wrong, fmt.Errorf("minamo serve: --%s: %s", f.Name, problem))
		}
	})
	return cfg, errors.Join(wrong...)
}

// company is what minamo demo runs beside the server.
type company struct {
	clock func() time.Time                                              // the collector's; nil is the machine's
	run   func(context.Context, *collect.Collector, *snmp.Poller) error // nil for nobody
	greet func(collector *collect.Collector, console string)            // in place of greet
}

// present returns the clock of who compares what flows and counters tell: while
// the past is written, a second's delay of either is minutes. It stands still then
// and until what came is stored. It is for one caller.
func (c company) present() func() time.Time {
	if c.clock == nil {
		return time.Now
	}
	var arrived time.Time
	return func() time.Time {
		now := c.clock()
		switch {
		case time.Since(now) > time.Minute:
			arrived = time.Time{}
		case arrived.IsZero():
			arrived = time.Now()
		case time.Since(arrived) > 20*time.Second:
			return now
		}
		return time.Time{}
	}
}

// serve builds every piece, runs them in the direction of the data, and stops
// them in it too: first the sockets, then the store, which seals what came.
func serve(ctx context.Context, cfg config.Config, log *slog.Logger, stdout io.Writer, with company) error {
	if os.Getenv("GOGC") == "" {
		// What is in memory is rows without pointers: to look through it more often
		// costs 3 % of receiving, and saves a fifth of the memory.
		debug.SetGCPercent(50)
	}
	// Before everything that is derived from the columns.
	exporters, err := exporterConfig(cfg)
	if err != nil {
		return err
	}
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))

	byHand, err := rates.Open(ratesFile(cfg.Data))
	if err != nil {
		return err
	}
	kept, err := store.Open(store.Config{
		Correct:  byHand.Correct,
		Dir:      cfg.Data,
		Seal:     time.Duration(cfg.Store.Seal),
		MaxAge:   time.Duration(cfg.Store.MaxAge),
		MaxBytes: int64(cfg.Store.MaxSize),
		Rollups: map[rollup.Level]store.Limits{
			rollup.Minute: retention(cfg.Store.Rollups.Minute),
			rollup.Hour:   retention(cfg.Store.Rollups.Hour),
			rollup.Day:    retention(cfg.Store.Rollups.Day),
		},
	}, log.With("component", "store"), metrics)
	if err != nil {
		return err
	}
	defer kept.Close()

	var engine *query.Engine
	query.Background(func() { // below what receives and stores
		engine, err = query.Open(query.Config{
			MemoryLimit: int64(cfg.Query.Memory),
			Threads:     cfg.Query.Threads,
			TempDir:     filepath.Join(cfg.Data, "tmp"),
			SpillLimit:  int64(cfg.Query.Spill),
		})
	})
	if err != nil {
		return err
	}
	defer engine.Close()

	engine.SetRates(byHand.All())

	own, err := networks.Open(networksFile(cfg.Data))
	if err != nil {
		return err
	}
	parts, err := roles.Open(rolesFile(cfg.Data))
	if err != nil {
		return err
	}
	places := geo.Open(geo.Config{Files: cfg.Geo.Databases, Dir: geoDir(cfg.Data)}, log.With("component", "geo"))
	enriched := &enrich.Pipeline{Annotators: []enrich.Annotator{own, places}, Next: kept}

	collector := collect.New(collect.Config{
		Listen:        cfg.Listen,
		Sockets:       cfg.Collect.Sockets,
		ReceiveBuffer: int(cfg.Collect.ReceiveBuffer),
		StateFile:     stateFile(cfg.Data),
		Exporters:     exporters,
		Clock:         with.clock,

		TLS:                    cfg.Collect.TLS.Files(),
		Connections:            cfg.Collect.Connections.Max,
		ConnectionsPerExporter: cfg.Collect.Connections.MaxPerExporter,
		IdleTimeout:            time.Duration(cfg.Collect.Connections.IdleTimeout),
	}, enriched, log.With("component", "collect"))
	if err := collector.Listen(); err != nil {
		return err
	}
	metrics.MustRegister(collector)
	meter, err := openProbe(cfg.Probe, exporters.NetFlow.Packet, collector, log.With("component", "probe"))
	if err != nil {
		return err
	}
	if meter != nil {
		metrics.MustRegister(meter)
	}
	recorded := quality.Config{
		Dir:      filepath.Join(cfg.Data, "quality"),
		Clock:    with.clock,
		Sockets:  collector.Sockets,
		Readings: collector.Exporters.Readings,
	}
	if with.clock != nil {
		recorded.Poll = 2 * time.Millisecond // a minute of its may be as short
	}
	recorder := quality.Open(recorded, log.With("component", "quality"))
	metrics.MustRegister(recorder)

	counted := counters.Open(counters.Config{Dir: countersDir(cfg.Data)}, log.With("component", "counters"))
	defer counted.Close()
	asking := snmp.Config{
		Interval:    time.Duration(cfg.SNMP.Interval),
		Timeout:     time.Duration(cfg.SNMP.Timeout),
		Retries:     cfg.SNMP.Retries,
		Concurrency: cfg.SNMP.Concurrency,
		StateFile:   devicesFile(cfg.Data),
		Clock:       with.clock,
		Exporters:   collector.Exporters.Addresses,
		Counters:    counted,
	}
	for i := range cfg.SNMP.Devices {
		asking.Access = append(asking.Access, cfg.SNMP.Devices[i].SNMP())
	}
	every := 5 * time.Second // counter samples are looked at
	if with.clock != nil {
		asking.Look, every = time.Millisecond, 2*time.Millisecond
	}
	poller := snmp.New(asking, log.With("component", "snmp"))
	metrics.MustRegister(counted, poller)

	console, err := net.Listen("tcp", cfg.HTTP)
	if err != nil {
		return fmt.Errorf("cannot serve the console on %s: %w; choose another address with --http", cfg.HTTP, err)
	}
	boards, err := dashboards.Open(filepath.Join(cfg.Data, "dashboards"))
	if err != nil {
		return err
	}
	site := server.New(server.Config{
		Version: version,
		DataDir: cfg.Data,
		Timeout: time.Duration(cfg.Query.Timeout),

		Concurrency: cfg.Query.Concurrency,
		Waiting:     cfg.Query.Waiting,
		Cache:       int64(cfg.Query.Cache),

		Limits: flowLimits(cfg.Budget),

		SQL: cfg.Query.SQL,
		SQLLimits: query.Config{
			MemoryLimit: max(int64(cfg.Query.Memory)/4, 64<<20),
			Threads:     cfg.Query.Threads,
			TempDir:     filepath.Join(cfg.Data, "tmp"),
			SpillLimit:  int64(cfg.Query.Spill),
		},
	}, server.Deps{
		Collector:  collector,
		Store:      kept,
		Engine:     engine,
		Networks:   own,
		Roles:      parts,
		Dashboards: boards,
		Places:     places,
		Rates:      byHand,
		Quality:    recorder,
		Counters:   counted,
		Poller:     poller,
		Metrics:    metrics,
		Console:    web.Dist(),
		Log:        log.With("component", "server"),
	})

	if with.greet != nil {
		with.greet(collector, reachable(console.Addr()))
	} else {
		greet(stdout, cfg, collector.Addresses(), console.Addr())
	}

	// Whatever ends badly ends all.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	storing, stopStoring := context.WithCancel(context.WithoutCancel(ctx))
	defer stopStoring()
	var storeDone, rest sync.WaitGroup
	failures := make(chan error, 11) // one of each at most; also those of stopping
	run := func(group *sync.WaitGroup, ctx context.Context, f func(context.Context) error) {
		group.Go(func() {
			if err := f(ctx); err != nil {
				failures <- err
				cancel()
			}
		})
	}
	run(&storeDone, storing, kept.Run)
	run(&storeDone, storing, recorder.Run) // the last minute is what came until the end
	run(&rest, ctx, collector.Run)
	if meter != nil {
		run(&rest, ctx, meter.Run)
	}
	run(&rest, ctx, places.Run)
	run(&rest, ctx, poller.Run)
	run(&rest, ctx, site.Watch(proof.WatcherConfig{Clock: with.present(), File: filepath.Join(cfg.Data, "proof.json")}, log.With("component", "proof")).Run)
	run(&rest, ctx, site.WatchTotals(totals.Config{Clock: with.present()}, log.With("component", "totals")).Run)
	run(&rest, ctx, func(ctx context.Context) error { return countSamples(ctx, collector, counted, every) })
	if with.run != nil {
		run(&rest, ctx, func(ctx context.Context) error { return with.run(ctx, collector, poller) })
	}
	run(&rest, ctx, func(ctx context.Context) error { return site.Serve(ctx, console) })
	rest.Wait()
	stopStoring()
	storeDone.Wait()
	close(failures)
	var failed []error
	for err := range failures {
		failed = append(failed, err)
	}
	if failed != nil {
		return errors.Join(failed...)
	}
	log.Info("stopped: everything received is stored")
	return nil
}

// countSamples hands the counters that sFlow's counter samples tell to the
// history of them, until ctx ends.
func countSamples(ctx context.Context, collector *collect.Collector, history *counters.History, every time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		collector.Exporters.InterfaceCounters(func(exporter netip.Addr, list []collect.InterfaceCounters) {
			r := counters.Reading{Device: exporter, Source: counters.SFlow}
			for i := range list {
				r.Interfaces = append(r.Interfaces, counterSample(&list[i]))
			}
			history.Add(&r)
		})
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// counterSample is a counter sample in the words of counters. What a device does
// not keep is all ones there.
func counterSample(c *collect.InterfaceCounters) counters.Interface {
	kept := func(values ...uint32) (sum uint64) {
		for _, v := range values {
			if v != math.MaxUint32 {
				sum += uint64(v)
			}
		}
		return sum
	}
	return counters.Interface{
		Index: c.IfIndex, At: time.UnixMilli(c.Received), Speed: c.Speed,
		Amounts: counters.Amounts{
			InOctets: c.InOctets, OutOctets: c.OutOctets,
			InPackets: kept(c.InUnicast, c.InMulticast, c.InBroadcast), OutPackets: kept(c.OutUnicast, c.OutMulticast, c.OutBroadcast),
			InDiscards: kept(c.InDiscards), OutDiscards: kept(c.OutDiscards), InErrors: kept(c.InErrors), OutErrors: kept(c.OutErrors),
		},
	}
}

func retention(l config.Retention) store.Limits {
	return store.Limits{MaxAge: time.Duration(l.MaxAge), MaxBytes: int64(l.MaxSize)}
}

func flowLimits(b config.Budget) server.FlowLimits {
	limits := server.FlowLimits{Collector: float64(b.Collector)}
	for _, x := range b.Exporters {
		limits.Exporters = append(limits.Exporters, server.ExporterLimit{Exporters: x.Exporters.Prefix, Flows: float64(x.Flows)})
	}
	return limits
}

// greet tells where to point exporters, where the console is, where data go.
func greet(w io.Writer, cfg config.Config, listening []string, console net.Addr) {
	fmt.Fprintf(w, "Minamo %s\n\n", version)
	for _, scheme := range []string{"udp", "tcp", "tls", "sctp"} {
		what := "IPFIX"
		if scheme == "udp" {
			what = "NetFlow, IPFIX or sFlow"
		}
		var ports, elsewhere []string
		for _, text := range listening {
			host, ok := strings.CutPrefix(text, scheme+"://")
			if !ok {
				continue
			}
			if address, err := netip.ParseAddrPort(host); err == nil && address.Addr().IsUnspecified() {
				ports = append(ports, strconv.Itoa(int(address.Port())))
			} else {
				elsewhere = append(elsewhere, text)
			}
		}
		if ports != nil {
			fmt.Fprintf(w, "  exporters  send %s to %s port %s of this machine", what, strings.ToUpper(scheme), strings.Join(ports, ", "))
			if addresses := ownAddresses(); addresses != nil {
				fmt.Fprintf(w, " (%s)", strings.Join(addresses, ", "))
			}
			fmt.Fprintln(w)
		}
		if elsewhere != nil {
			fmt.Fprintf(w, "  exporters  send %s to %s\n", what, strings.Join(elsewhere, ", "))
		}
	}
	if len(cfg.Probe.Interfaces) > 0 {
		fmt.Fprintf(w, "  probe      meters %s\n", strings.Join(cfg.Probe.Interfaces, ", "))
	}
	fmt.Fprintf(w, "  console    http://%s/\n", reachable(console))
	data, err := filepath.Abs(cfg.Data)
	if err != nil {
		data = cfg.Data
	}
	fmt.Fprintf(w, "  data       %s\n", data)
	fmt.Fprintf(w, "  shell      %s flows --data %s -s srcip/bytes\n\n", os.Args[0], cfg.Data)
}

// reachable is an address at which this machine finds the listener itself.
func reachable(a net.Addr) string {
	if tcp, ok := a.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", strconv.Itoa(tcp.Port))
	}
	return a.String()
}

// ownAddresses are the addresses at which others reach this machine.
func ownAddresses() []string {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var texts []string
	for _, a := range addresses {
		if ip, ok := a.(*net.IPNet); ok && ip.IP.IsGlobalUnicast() {
			texts = append(texts, ip.IP.String())
		}
	}
	return texts
}
