package simulate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/minamo-flow/minamo/flow"
)

// Config tells what is to be simulated. Of Start and Seed follows every byte.
type Config struct {
	Seed  uint64
	Start time.Time      // cut to the minute
	Zone  *time.Location // by which people get up and go to bed; default UTC+9
	// Scale is how much traffic there is: 1, the default, is some Gbit/s, of
	// which all routers together export about 100 flow records a second.
	Scale     float64
	Scenarios []Scenario
	// Everywhere meters core interfaces too, so that every router sees all that
	// comes in: interfaces are complete in both directions, and what crosses
	// several routers is exported by each. Without it only what comes in by
	// external interfaces is metered: everything once.
	Everywhere bool
	// Load, if not 0, is flow records a second over all routers, at all hours:
	// samplers choose that much, and each sampled packet is a record, without a
	// flow cache.
	Load int

	// Collector is where a router's exports go, by protocol, as in
	// "udp://127.0.0.1:2055". A router without a collector is mute.
	Collector func(protocol string) string
	// Dial opens a router's connection to its collector; nil is the network's,
	// from source.
	Dial func(ctx context.Context, source netip.Addr, network, address string) (net.Conn, error)

	// OnMinute is given the truth of each minute as it is over; it must not call
	// the Network.
	OnMinute func(*Minute) error
	// OnStream is given what comes into the network in each minute, stream by
	// stream, as the minute begins: any breakdown of the truth is a grouping of
	// these. The Stream is overwritten by the next; it must not call the Network.
	OnStream func(minute time.Time, s *Stream)
	// Keep is how many minutes of truth stay in memory; default a day's.
	Keep int
	Log  *slog.Logger
}

// Network is the carrier. Step is for one caller; the other methods may be called
// meanwhile.
type Network struct {
	cfg Config

	mu         sync.Mutex
	plan       AddressPlan
	prefixes   []*prefix
	parties    []*party
	customers  []*party
	routers    []*Router
	ports      []*Interface
	interfaces map[string]*Interface
	relations  []*relation
	random     *rand.Rand
	lands      []string // countries
	newcomers  bool     // IPv6 behind the router that knows none
	blocked    []*party // by an access list

	now         time.Time    // simulated up to here
	clock       atomic.Int64 // now, in ns: for who may not wait
	begun       time.Time    // the minute that is on
	slices      int          // of a minute
	slice       int          // that samplers have looked at
	truth       Truth
	minuteTruth *Minute
	told        Stream // for OnStream
}

// New builds the network as it stands at the start. It opens the exporters'
// sockets.
func New(cfg Config) (*Network, error) {
	if cfg.Zone == nil {
		cfg.Zone = time.FixedZone("JST", 9*3600)
	}
	if cfg.Scale == 0 {
		cfg.Scale = 1
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Keep <= 0 {
		cfg.Keep = 24 * 60
	}
	switch {
	case cfg.Start.IsZero():
		return nil, fmt.Errorf("simulate: no time to start at")
	case cfg.Scale < 0 || cfg.Load < 0:
		return nil, fmt.Errorf("simulate: scale and load cannot be negative")
	}
	for i := range cfg.Scenarios {
		if err := cfg.Scenarios[i].check(); err != nil {
			return nil, fmt.Errorf("simulate: %w", err)
		}
	}
	n := &Network{cfg: cfg, random: rand.New(rand.NewPCG(cfg.Seed, 'n')), slices: 1}
	if cfg.Load > 2000 {
		n.slices = min(600, cfg.Load/100) // a slice is some thousand packets
	}
	n.now = cfg.Start.UTC().Truncate(time.Minute)
	n.clock.Store(n.now.UnixNano())
	n.build()
	n.populate()
	n.plant()
	n.countries()
	if cfg.Load > 0 {
		n.burden()
	}
	n.truth.keep = cfg.Keep
	for _, r := range n.routers {
		r.drifting = n.now
		r.random = rand.New(rand.NewPCG(cfg.Seed, uint64('r'+r.number)))
		r.packets, r.flows = flow.NewBatch(1024), flow.NewBatch(1024)
		r.routes = r.Vendor.Protocol != "netflow5"
		r.counted, r.moving = make([]Counters, len(r.Interfaces)), make([]Counters, len(r.Interfaces))
		r.boot = n.now.Add(-time.Duration(20+7*r.number) * 24 * time.Hour)
	}
	if err := n.begin(); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

// dial connects a router with its collector.
func (n *Network) dial(ctx context.Context, source netip.Addr, network, address string) (net.Conn, error) {
	if n.cfg.Dial != nil {
		return n.cfg.Dial(ctx, source, network, address)
	}
	d := net.Dialer{LocalAddr: &net.UDPAddr{IP: source.AsSlice()}}
	if network == "tcp" {
		d.LocalAddr = &net.TCPAddr{IP: source.AsSlice()}
	}
	return d.DialContext(ctx, network, address)
}

// Close closes the exporters. What their caches hold is lost, as in a router
// that is switched off.
func (n *Network) Close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	var err error
	for _, r := range n.routers {
		if r.exporter != nil {
			err = r.exporter.Close()
			r.exporter = nil
		}
	}
	return err
}

// Step simulates up to a time, and exports what the routers export until then.
// It is the caller who paces it.
func (n *Network) Step(to time.Time) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	for n.now.Before(to) {
		length := time.Minute / time.Duration(n.slices)
		end := n.begun.Add(time.Duration(n.slice) * length)
		if !n.now.Before(end) { // look at the next slice
			n.slice++
			next := n.begun.Add(time.Duration(n.slice) * length)
			n.look(end.UnixMilli(), next.UnixMilli(), float64(n.slice)/float64(n.slices))
			end = next
		}
		next := n.now.Truncate(time.Second).Add(time.Second)
		for _, t := range []time.Time{end, to} {
			if t.Before(next) {
				next = t
			}
		}
		n.now = next
		n.clock.Store(next.UnixNano())
		for _, r := range n.routers {
			if err := r.run(next); err != nil {
				return fmt.Errorf("simulate: %s: %w", r.Name, err)
			}
		}
		if n.now.Equal(n.begun.Add(time.Minute)) {
			if err := n.finish(); err != nil {
				return err
			}
			if err := n.begin(); err != nil {
				return err
			}
		}
	}
	return nil
}

// begin begins a minute: what is wrong, what is said, what becomes of it.
func (n *Network) begin() error {
	n.begun, n.slice = n.now, 0
	if err := n.afflict(); err != nil {
		return err
	}
	n.minute(n.now)
	n.block()
	n.account()
	return nil
}

// finish ends a minute: counters have moved, truth is known.
func (n *Network) finish() error {
	for _, r := range n.routers {
		for i := range r.counted {
			r.counted[i].add(&r.moving[i])
			r.moving[i] = Counters{}
		}
	}
	m := n.minuteTruth
	n.truth.push(m)
	if n.cfg.OnMinute != nil {
		return n.cfg.OnMinute(m)
	}
	return nil
}

// part is how much of the minute is over.
func (n *Network) part() float64 { return float64(n.now.Sub(n.begun)) / float64(time.Minute) }

// Now is the time that it is in the network. It may be asked at any moment, also
// by who receives a datagram while Step runs: that is the collector's clock.
func (n *Network) Now() time.Time { return time.Unix(0, n.clock.Load()).UTC() }

// Routers are the carrier's routers.
func (n *Network) Routers() []*Router { return n.routers }

// Plan tells whose every address is.
func (n *Network) Plan() *AddressPlan { return &n.plan }

// Truth is what happened, as far as it is kept: whole minutes.
func (n *Network) Truth() *Truth { return &n.truth }
