package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"

	"github.com/minamo-flow/minamo/collect"
	"github.com/minamo-flow/minamo/config"
	"github.com/minamo-flow/minamo/enrich/networks"
	"github.com/minamo-flow/minamo/enrich/roles"
	"github.com/minamo-flow/minamo/internal/durable"
	"github.com/minamo-flow/minamo/internal/span"
	"github.com/minamo-flow/minamo/probe"
	"github.com/minamo-flow/minamo/simulate"
	agents "github.com/minamo-flow/minamo/simulate/snmp"
	"github.com/minamo-flow/minamo/snmp"
)

const demoUsage = `Usage: minamo demo [OPTIONS]

Starts the server with an empty temporary store, and beside it a small carrier
that does not exist: its routers meter and export as real ones do, over sockets.
First it writes the last hours, then it goes on in real time, until it is
interrupted. Nothing leaves this machine.

Options:
`

// demonstration is one run of minamo demo.
type demonstration struct {
	simulate  simulate.Config
	backfill  time.Duration
	speed     float64 // 0: as fast as the collector
	last      time.Duration
	truth     string
	port      uint // of SNMP agents; 0: none
	agents    agents.Agents
	data      string
	temporary bool
	stderr    io.Writer
	stdout    io.Writer

	network atomic.Pointer[simulate.Network]
	cancel  context.CancelFunc
}

// tour is the day of --tour, told by docs/demo.md.
var tour = []string{
	"wrong-rate@-20h..-18h", "loss@-16h..-15h", "acl@-12h..-10h", "double-count@-8h..-7h",
	"egress-only@-6h..-5h", "active-timer@-4h..-2h", "restart@-1h..-30m",
}

func demoCommand(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	d := demonstration{stdout: stdout, stderr: stderr}
	cfg := config.Default()
	flags := flag.NewFlagSet("minamo demo", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, demoUsage)
		flags.PrintDefaults()
	}
	flags.StringVar(&d.data, "data", "", "`DIR` to keep the flows in; default is a temporary one, which is deleted at the end")
	flags.StringVar(&cfg.HTTP, "http", cfg.HTTP, "`HOST:PORT` of console, API and metrics")
	d.backfill = 6 * time.Hour
	flags.Var((*span.Value)(&d.backfill), "backfill", "how much of the past is written first: a `SPAN` such as 6h or 7d")
	flags.Float64Var(&d.speed, "speed", 0, "how many `TIMES` faster than real time the past is written; 0 is as fast as it goes")
	flags.Var((*span.Value)(&d.last), "for", "end after a `SPAN` of simulated time; 0 is never")
	flags.Uint64Var(&d.simulate.Seed, "seed", 1, "another `SEED` is another week of the same network")
	flags.Float64Var(&d.simulate.Scale, "scale", 1, "how much traffic; 1 is about 100 flow records a second")
	flags.IntVar(&d.simulate.Load, "load", 0, "`FLOWS` a second, from now on and without the past, to see what a machine bears")
	flags.BoolVar(&d.simulate.Everywhere, "everywhere", false, "meter core interfaces too: what crosses several routers is exported by each")
	flags.StringVar(&d.truth, "truth", "", "`FILE` for what really happened, a line of JSON a minute; - is standard output")
	flags.UintVar(&d.port, "snmp-port", 1161, "UDP `PORT` of the routers' SNMP agents (community public); 0 is none")
	guided := flags.Bool("tour", false, "a day of the past in which seven things go wrong, one after the other; docs/demo.md tells what to look at")
	list := flags.Bool("scenarios", false, "list what can go wrong")
	start := flags.String("start", "", "`TIME` (RFC 3339) to begin at, in place of --backfill")
	now := time.Now()
	var wrong []string
	flags.Func("scenario", "`NAME[:ROUTER][@FROM..TO]` goes wrong, at times or -3h..-1h before now; may be given several times", func(text string) error {
		s, err := simulate.ParseScenario(text, now)
		d.simulate.Scenarios = append(d.simulate.Scenarios, s)
		return err
	})
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	if *guided {
		d.backfill = 24 * time.Hour
		for _, text := range tour {
			s, err := simulate.ParseScenario(text, now)
			if err != nil {
				fmt.Fprintln(stderr, "minamo demo:", err)
				return 1
			}
			d.simulate.Scenarios = append(d.simulate.Scenarios, s)
		}
	}
	d.simulate.Start = now.Add(-d.backfill)
	if *start != "" {
		var err error
		if d.simulate.Start, err = time.Parse(time.RFC3339, *start); err != nil || d.simulate.Start.After(now) {
			wrong = append(wrong, fmt.Sprintf("--start: expected a time of the past such as 2026-11-22T10:00:00Z, found %q", *start))
		}
	}
	if d.simulate.Load > 0 {
		d.simulate.Start = now.Truncate(time.Minute)
	}
	switch {
	case flags.NArg() > 0:
		wrong = append(wrong, fmt.Sprintf("unexpected %q", flags.Arg(0)))
	case d.speed < 0:
		wrong = append(wrong, "--speed: expected 0 or more")
	case !(d.simulate.Scale > 0 && d.simulate.Scale <= 1000):
		wrong = append(wrong, "--scale: expected more than 0, at most 1000")
	case d.port > 65535:
		wrong = append(wrong, "--snmp-port: expected 0 to 65535")
	case d.simulate.Load < 0:
		wrong = append(wrong, "--load: expected 0 or more")
	}
	if problem := config.CheckHTTP(cfg.HTTP); problem != "" {
		wrong = append(wrong, "--http: "+problem)
	}
	if wrong != nil {
		fmt.Fprintf(stderr, "minamo demo: %s; see: minamo demo --help\n", strings.Join(wrong, "; "))
		return 2
	}
	if *list {
		for _, s := range simulate.Scenarios() {
			fmt.Fprintf(stdout, "%s\n    wrong  %s\n    truth  %s\n    look   %s\n", s.Name, s.Wrong, s.Truth, s.Look)
		}
		return 0
	}
	if err := d.run(ctx, cfg); err != nil {
		fmt.Fprintln(stderr, "minamo demo:", err)
		return 1
	}
	return 0
}

func (d *demonstration) run(ctx context.Context, cfg config.Config) error {
	if d.data == "" {
		dir, err := os.MkdirTemp("", "minamo-demo-")
		if err != nil {
			return err
		}
		d.data, d.temporary = dir, true
		defer os.RemoveAll(dir)
	}
	cfg.Data = d.data
	cfg.Listen = []string{"udp://127.0.0.1:0"}
	cfg.Collect.Sockets = 1 // a free port is one socket's
	cfg.Store.MaxAge, cfg.Store.Rollups = 0, config.Rollups{}
	cfg.Log.Level = "warn"
	if err := d.world(); err != nil {
		return err
	}
	defer d.agents.Close()
	if d.agents != nil {
		cfg.SNMP = config.SNMP{
			Interval: config.Duration(time.Minute), Timeout: config.Duration(time.Second), Concurrency: 8,
			Devices: []config.Access{{Exporters: config.Prefix{Prefix: netip.MustParsePrefix("127.1.0.0/16")}, Port: uint16(d.port)}},
		}
	}
	log := newLogger(d.stderr, cfg.Log)
	d.simulate.Log = log.With("component", "simulate")
	d.simulate.Keep = 1 // who wants the truth writes it down
	ctx, d.cancel = context.WithCancel(ctx)
	defer d.cancel()
	return serve(ctx, cfg, log, d.stdout, company{
		clock: func() time.Time {
			if n := d.network.Load(); n != nil {
				return n.Now()
			}
			return time.Now()
		},
		run: d.simulateBeside,
		greet: func(_ *collect.Collector, console string) {
			fmt.Fprintf(d.stdout, "Minamo %s: a network that does not exist\n\n  console    http://%s/\n  data       %s", version, console, d.data)
			if d.temporary {
				fmt.Fprint(d.stdout, " (deleted at the end)")
			}
			if d.agents != nil {
				fmt.Fprintf(d.stdout, "\n  snmp       community public, port %d of each router (v2c)", d.port)
			}
			fmt.Fprintf(d.stdout, "\n  shell      %s report protocol --data %s\n\n", os.Args[0], d.data)
		},
	})
}

// world writes what the operator of the network would have told Minamo: whose
// networks are whose, and databases of countries and ASes. It opens the routers'
// SNMP agents.
func (d *demonstration) world() error {
	mute := d.simulate
	mute.Collector = func(string) string { return "" }
	mute.Log, mute.Scenarios = slog.New(slog.DiscardHandler), nil
	network, err := simulate.New(mute)
	if err != nil {
		return err
	}
	defer network.Close()
	d.listen(network)
	plan := network.Plan()
	tree, err := mmdbwriter.New(mmdbwriter.Options{
		DatabaseType: "Minamo-Demo", RecordSize: 28, IncludeReservedNetworks: true, BuildEpoch: d.simulate.Start.Unix(),
		Description: map[string]string{"en": "Invented networks, for minamo demo"},
	})
	if err != nil {
		return err
	}
	names := map[uint32]string{}
	for _, as := range plan.ASes {
		names[as.Number] = as.Name
	}
	prefixes := slices.Clone(plan.Prefixes)
	slices.SortStableFunc(prefixes, func(a, b simulate.Prefix) int { return a.Prefix.Bits() - b.Prefix.Bits() }) // the more specific one counts
	var own []networks.Network
	for _, p := range prefixes {
		record := mmdbtype.Map{
			"country":                        mmdbtype.Map{"iso_code": mmdbtype.String(p.Country)},
			"autonomous_system_number":       mmdbtype.Uint32(p.AS),
			"autonomous_system_organization": mmdbtype.String(names[p.AS]),
		}
		if err := tree.Insert(ipNet(p.Prefix), record); err != nil {
			return fmt.Errorf("%s: %w", p.Prefix, err)
		}
		if p.AS != simulate.CarrierAS {
			continue
		}
		if i := slices.IndexFunc(own, func(n networks.Network) bool { return n.Name == p.Name }); i >= 0 {
			own[i].Prefixes = append(own[i].Prefixes, p.Prefix)
		} else {
			own = append(own, networks.Network{Name: p.Name, Customer: p.Name, Site: p.City, Prefixes: []netip.Prefix{p.Prefix}})
		}
	}
	var b bytes.Buffer
	if _, err := tree.WriteTo(&b); err != nil {
		return err
	}
	if err := durable.WriteFile(filepath.Join(geoDir(d.data), "demo.mmdb"), b.Bytes()); err != nil {
		return err
	}
	list, err := networks.Open(networksFile(d.data))
	if err != nil {
		return err
	}
	if err := list.Replace(own); err != nil {
		return err
	}
	return d.roles(network)
}

// listen opens the SNMP agents' sockets. When another demo has them, this one does
// without, and asks nobody: the others' counters are not those of its routers.
func (d *demonstration) listen(network *simulate.Network) {
	if d.port == 0 {
		return
	}
	var addresses []netip.Addr
	for _, r := range network.Routers() {
		addresses = append(addresses, r.Addr)
	}
	var err error
	if d.agents, err = agents.Listen(addresses, uint16(d.port), "public"); err != nil {
		fmt.Fprintf(d.stderr, "minamo demo: %v; routers do not answer SNMP. Another port: --snmp-port\n", err)
	}
}

// roles writes what interfaces are for: rules on what routers tell of them, and
// by hand those of which their protocol tells nothing.
func (d *demonstration) roles(network *simulate.Network) error {
	cfg := roles.Config{Rules: []roles.Rule{
		{Description: `^(TRANSIT|IX)\b`, Role: roles.External},
		{Description: `^CUST\b`, Role: roles.Customer},
		{Description: `^CORE\b`, Role: roles.Core},
		{Description: `^SVC\b`, Role: roles.Service},
		{Name: `^(Null|Loopback|lo|dsc)`, Role: roles.Internal},
	}}
	for _, router := range network.Routers() {
		if told := router.Vendor.Protocol; told != probe.SFlow5 && told != probe.NetFlow5 {
			continue // it tells descriptions, which the rules read
		}
		for _, i := range router.Interfaces {
			cfg.Interfaces = append(cfg.Interfaces, roles.Assignment{Exporter: router.Addr, Index: i.IfIndex, Role: map[simulate.Role]string{
				simulate.Transit: roles.External, simulate.Exchange: roles.External, simulate.Customer: roles.Customer,
				simulate.Core: roles.Core, simulate.Service: roles.Service, simulate.Management: roles.Internal, simulate.Virtual: roles.Internal,
			}[i.Role]})
		}
	}
	list, err := roles.Open(rolesFile(d.data))
	if err != nil {
		return err
	}
	return list.Replace(cfg)
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// simulateBeside runs the network. It never outruns the collector: what was
// sent is received before the clock goes on, so that no datagram is lost but
// those of scenarios.
func (d *demonstration) simulateBeside(ctx context.Context, collector *collect.Collector, poller *snmp.Poller) error {
	defer d.cancel()
	address := collector.Addresses()[0]
	d.simulate.Collector = func(string) string { return address }
	minutes, err := d.openTruth()
	if err != nil {
		return err
	}
	if minutes != nil {
		defer minutes.Close()
		out := bufio.NewWriter(minutes)
		defer out.Flush()
		lines := json.NewEncoder(out)
		d.simulate.OnMinute = func(m *simulate.Minute) error { return lines.Encode(m) }
	}
	network, err := simulate.New(d.simulate)
	if err != nil {
		return err
	}
	defer network.Close()
	go d.agents.Run(ctx, network.Routers()) // it ends with ctx alone
	d.network.Store(network)
	d.introduce(network)

	begin, start := time.Now(), network.Now()
	end := time.Time{}
	if d.last > 0 {
		end = start.Add(d.last)
	}
	whole := time.Since(start)
	if d.last > 0 {
		whole = min(whole, d.last)
	}
	progress := newTaskProgress(d.stderr, "minamo demo", "records", int64(whole))
	past := d.simulate.Load == 0 // a load has but the begun minute
	const step = time.Second     // sFlow's samples have the time at which they are received
	told := begin
	for ctx.Err() == nil {
		to := network.Now().Add(step)
		limit := time.Now()
		if d.speed > 0 {
			if paced := start.Add(time.Duration(float64(time.Since(begin)) * d.speed)); paced.Before(limit) {
				limit = paced
			}
		}
		if !end.IsZero() && end.Before(limit) {
			limit = end
		}
		if to.After(limit) {
			to = limit
		}
		if err := network.Step(to); err != nil {
			return err
		}
		if err := d.caughtUp(ctx, network, collector, poller); err != nil {
			return err
		}
		if !end.IsZero() && !network.Now().Before(end) {
			break
		}
		if past {
			progress.show(int64(network.Now().Sub(start)), int64(records(network)))
		}
		if behind := limit.Sub(network.Now()); behind <= 0 { // nothing to do until time has gone on
			if past && time.Since(network.Now()) < time.Second {
				past = false
				progress.done()
				fmt.Fprintf(d.stdout, "the past is written: %s in %v, %d flow records; now it goes on in real time. Ctrl-C ends it.\n", network.Now().Sub(start).Round(time.Second), time.Since(begin).Round(time.Second), records(network))
			}
			select {
			case <-ctx.Done():
			case <-time.After(200 * time.Millisecond):
			}
		}
		if d.simulate.Load > 0 && time.Since(told) >= 5*time.Second {
			d.tell(network, collector, begin)
			told = time.Now()
		}
	}
	progress.done()
	d.tell(network, collector, begin)
	return nil
}

// openTruth is where the truth goes; nil for nowhere.
func (d *demonstration) openTruth() (io.WriteCloser, error) {
	switch d.truth {
	case "":
		return nil, nil
	case "-":
		return struct {
			io.Writer
			io.Closer
		}{d.stdout, io.NopCloser(nil)}, nil
	}
	return os.Create(d.truth)
}

// introduce tells who there is.
func (d *demonstration) introduce(network *simulate.Network) {
	w := tabwriter.NewWriter(d.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "  router\taddress\texports\tsampling\tinterfaces")
	for _, r := range network.Routers() {
		fmt.Fprintf(w, "  %s\t%s\t%s (%s)\t1 in %d\t%d\n", r.Name, r.Addr, r.Vendor.Protocol, r.Vendor.Name, r.SamplingRate, len(r.Interfaces))
	}
	w.Flush()
	fmt.Fprintln(d.stdout)
	for _, s := range d.simulate.Scenarios {
		fmt.Fprintf(d.stdout, "  %s", s.Name)
		if !s.From.IsZero() {
			fmt.Fprintf(d.stdout, " from %s", s.From.Format(time.DateTime))
		}
		if !s.To.IsZero() {
			fmt.Fprintf(d.stdout, " to %s", s.To.Format(time.DateTime))
		}
		if info, ok := simulate.ScenarioNamed(s.Name); ok {
			fmt.Fprintf(d.stdout, ": %s\n      look: %s", info.Wrong, info.Look)
		}
		fmt.Fprintln(d.stdout)
	}
}

// caughtUp waits until all that was sent has been received, and all routers that
// are due have been asked for their counters.
func (d *demonstration) caughtUp(ctx context.Context, network *simulate.Network, collector *collect.Collector, poller *snmp.Poller) error {
	for begin := time.Now(); ; {
		sent, received, dropped := datagrams(network, collector)
		if received+dropped >= sent && poller.Settled(network.Now()) || ctx.Err() != nil {
			return nil
		}
		if received+dropped < sent && time.Since(begin) > 10*time.Second {
			return fmt.Errorf("of %d datagrams %d were received, and no more come", sent, received)
		}
		time.Sleep(20 * time.Microsecond)
	}
}

// datagrams are those that left the routers, and what became of them.
func datagrams(network *simulate.Network, collector *collect.Collector) (sent, received, dropped uint64) {
	for _, r := range network.Routers() {
		all, lost := r.Datagrams()
		sent += all - lost
	}
	for _, s := range collector.Sockets() {
		received += s.Datagrams
		dropped += s.Drops
	}
	return sent, received, dropped
}

func records(network *simulate.Network) (n uint64) {
	for _, r := range network.Routers() {
		n += r.Records()
	}
	return n
}

// tell says how it went so far.
func (d *demonstration) tell(network *simulate.Network, collector *collect.Collector, begin time.Time) {
	sent, received, dropped := datagrams(network, collector)
	took := time.Since(begin)
	fmt.Fprintf(d.stdout, "%d flow records in %d datagrams, %d received, %d dropped; %v in the network took %v (%.0f records/s)\n",
		records(network), sent, received, dropped, network.Now().Sub(d.simulate.Start).Round(time.Second), took.Round(100*time.Millisecond), float64(records(network))/took.Seconds())
}
