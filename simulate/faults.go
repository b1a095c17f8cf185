package simulate

import (
	"time"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/probe"
)

// faults is how a router is set up, rightly or wrongly, for a minute.
type faults struct {
	rate       uint32 // one packet in so many is sampled
	announced  uint32 // and so many are said
	announce   probe.Announce
	domain     uint32
	active     time.Duration // active timer
	inactive   time.Duration
	egress     bool       // meters what leaves, by all interfaces
	noIngress  bool       // does not meter what comes in
	core       bool       // meters what comes in from other routers
	oddPorts   bool       // every second interface is not metered
	bundle     *Interface // of two links, of which only one is metered; nil: none
	fourOnly   bool       // meters IPv4 alone
	multiplied bool       // multiplies counters by the rate itself, and announces it nevertheless
	silent     bool       // its exporting process is dead
	loss       float64    // of datagrams, on their way
	budget     float64    // bytes a second that its way has room for; 0: all
	renumbered bool
	stale      bool          // exports the numbers that interfaces had before
	drift      time.Duration // that its clock gains a minute
}

// healthy is how the router should be set up.
func (r *Router) healthy() faults {
	n := r.network
	f := faults{rate: r.SamplingRate, domain: r.Domain, active: r.Vendor.Active, inactive: r.Vendor.Inactive, core: n.cfg.Everywhere}
	if n.cfg.Load > 0 {
		f.rate = r.loadRate
	}
	f.announced = f.rate
	return f
}

// expect is how many packets a second all routers sample on the mean of a week,
// set up as they should be.
func (n *Network) expect(rate func(*Router) uint32) (samples float64) {
	for _, x := range n.relations {
		for dir := range x.streams {
			s := &x.streams[dir]
			for _, h := range s.path {
				if h.in != nil && (h.in.Role.External() || n.cfg.Everywhere) && x.curve != newcomers {
					samples += x.perSecond * s.perDown / float64(rate(h.router))
				}
			}
		}
	}
	return samples
}

// burden makes samplers choose so many packets a second as the load asks for.
// Rates are whole numbers: traffic makes up for what they miss.
func (n *Network) burden() {
	load := float64(n.cfg.Load)
	samples := n.expect(func(r *Router) uint32 { return r.SamplingRate })
	for _, r := range n.routers {
		r.loadRate = max(1, uint32(float64(r.SamplingRate)*samples/load+.5))
	}
	factor := load / n.expect(func(r *Router) uint32 { return r.loadRate })
	for _, x := range n.relations {
		x.perSecond *= factor
		x.slots *= factor
	}
}

// afflict puts every router into the state that this minute's scenarios ask
// for.
func (n *Network) afflict() error {
	n.newcomers, n.blocked = false, nil
	for _, r := range n.routers {
		want, reboot := r.healthy(), false
		for i := range n.cfg.Scenarios {
			s := &n.cfg.Scenarios[i]
			info, _ := ScenarioNamed(s.Name)
			if s.on(n.now) && s.at(info, r.Name) {
				reboot = info.apply(n, r, &want, s) || reboot
			}
		}
		if want.renumbered != r.renumbered && n.ran() {
			reboot = true
		}
		if err := r.become(want, reboot); err != nil {
			return err
		}
	}
	return nil
}

// ran tells whether any time was simulated.
func (n *Network) ran() bool { return n.minuteTruth != nil }

// become changes the router's set-up.
func (r *Router) become(want faults, reboot bool) error {
	was, now := r.faults, r.network.now
	r.faults = want
	if want.drift != was.drift {
		r.drifting, r.skew = now, 0
	}
	for _, f := range r.Interfaces {
		metered := (f.Role.External() || want.core) && !(want.oddPorts && f.number%2 == 1)
		f.meterIn, f.meterOut = metered && !want.noIngress, want.egress
	}
	switch {
	case reboot:
		r.boot = now
		r.cache = nil // with all that is in it
		clear(r.counted)
	case (want.active != was.active || want.inactive != was.inactive) && r.cache != nil: // changed by hand
		r.cache.Flush(r.flows)
		if err := r.send(r.flows, now); err != nil {
			return err
		}
		r.flows.Reset()
		r.cache = nil
	}
	if r.cache == nil {
		r.cache = probe.NewCache(probe.CacheConfig{Active: want.active, Inactive: want.inactive, Key: cacheKey})
	}
	if r.sampler == nil || want.rate != was.rate {
		r.sampler = probe.NewSampler(probe.SamplerConfig{Rate: want.rate, Method: probe.Probabilistic, Seed: r.random.Uint64()})
	}
	if r.exporter == nil || reboot || want.domain != was.domain || want.renumbered != was.renumbered {
		return r.open()
	}
	return nil
}

// distort changes flows on their way to the exporter as a faulty device does.
func (r *Router) distort(b *flow.Batch) {
	if !r.multiplied {
		return
	}
	packets, bytes := b.U64(flow.Packets), b.U64(flow.Bytes)
	for i := range packets {
		packets[i] *= uint64(r.rate)
		bytes[i] *= uint64(r.rate)
	}
}

// block decides what becomes of the minute's packets where an access list
// forbids them.
func (n *Network) block() {
	for _, x := range n.relations {
		for dir := range x.streams {
			s := &x.streams[dir]
			for _, p := range n.blocked {
				switch p {
				case s.from.party:
					s.reach, s.end = 1, aclDenied
				case s.to.party:
					s.reach, s.end = len(s.path), aclDenied
				}
			}
		}
	}
}

// scenarios, each with what it does to a minute. apply tells whether the router
// restarts with it.
var scenarios = []ScenarioInfo{
	{
		Name: "wrong-rate", Router: "osk-core1",
		Wrong: "The router samples one packet in 16384 and says it were one in 4096: somebody changed the sampler and not what is announced.",
		Truth: "Traffic does not change; all that this router reports is a quarter of it.",
		Look:  "Its interfaces: flows against SNMP's counters, ratio 0.25. Charts of Osaka fall to a quarter at once, at all hours and for all applications alike.",
		apply: func(n *Network, r *Router, f *faults, s *Scenario) bool { f.rate *= 4; return false },
	}, {
		Name: "no-rate", Router: "tyo-core1",
		Wrong: "A new line card exports as an observation domain of its own, and no options data tell its sampling rate.",
		Truth: "Traffic does not change; packets are sampled one in 2048.",
		Look:  "The exporter's second observation domain, whose sampling source is \"assumed\"; its traffic is 1/2048 of what SNMP counts.",
		apply: func(n *Network, r *Router, f *faults, s *Scenario) bool {
			f.domain, f.announce = r.Domain+1, probe.AnnounceNone
			return false
		},
	}, {
		Name: "applied-twice", flows: true, Router: "osk-core1",
		Wrong: "The router multiplies packets and bytes by its sampling rate itself, and announces the rate nevertheless.",
		Truth: "Traffic does not change.",
		Look:  "Flows against SNMP: ratio 4096, the sampling rate.",
		apply: func(n *Network, r *Router, f *faults, s *Scenario) bool { f.multiplied = true; return false },
	}, {
		Name: "loss", Router: "osk-core1",
		Wrong: "Three of ten datagrams are lost on their way to the collector.",
		Truth: "Traffic does not change; the datagrams' sequence numbers tell how many are missing.",
		Look:  "The exporter's missing datagrams; flows against SNMP: ratio 0.7.",
		apply: func(n *Network, r *Router, f *faults, s *Scenario) bool { f.loss = .3; return false },
	}, {
		Name: "overload", Router: "tyo-core1",
		Wrong: "The way to the collector has room for the mean of a day, not for the evening.",
		Truth: "Traffic does not change.",
		Look:  "Missing records that come and go with the load; flows against SNMP are right at night and too low in the evening.",
		apply: func(n *Network, r *Router, f *faults, s *Scenario) bool {
			f.budget = 1600 * n.cfg.Scale
			return false
		},
	}, {
		Name:  "double-count",
		Wrong: "Somebody enables metering on core interfaces, too: what crosses three routers is exported three times.",
		Truth: "Traffic does not change; the network's boundary counts it once.",
		Look:  "The sum over all exporters more than doubles; each single interface is still right.",
		apply: func(n *Network, r *Router, f *faults, s *Scenario) bool { f.core = true; return false },
	}, {
		Name: "ingress-egress", Router: "tyo-edge1",
		Wrong: "The router meters at ingress and at egress: what comes in and leaves again is exported twice.",
		Truth: "Traffic does not change.",
		Look:  "Flows of direction egress appear; flows against SNMP: ratio 2 on its external interfaces.",
		apply: func(n *Network, r *Router, f *faults, s *Scenario) bool { f.egress = true; return false },
	}, {
		Name: "egress-only", Router: "osk-core1",
		Wrong: "The router meters only what leaves: what it drops is invisible.",
		Truth: "Traffic does not change.",
		Look:  "All its flows are of direction egress, none has output interface 0; what came in by other routers is exported a second time.",
		apply: func(n *Network, r *Router, f *faults, s *Scenario) bool {
			f.egress, f.noIngress = true, true
			return false
		},
	}, {
		Name: "half-metered", Router: "osk-core1",
		Wrong: "Every second interface is not metered: a line card was forgotten.",
		Truth: "Traffic does not change.",
		Look:  "Interfaces that SNMP counts on and that no flow comes in by.",
		apply: func(n *Network, r *Router, f *faults, s *Scenario) bool { f.oddPorts = true; return false },
	}, {
		Name: "half-bundle", Router: "osk-core1",
		Wrong: "The router's widest line is a bundle of two links on two cards, and one card does not meter.",
		Truth: "Traffic does not change; whole conversations go by one link or by the other.",
		Look:  "Flows against SNMP: ratio about 0.5 on that one interface, whose counters are those of both links.",
		apply: func(n *Network, r *Router, f *faults, s *Scenario) bool { f.bundle = r.widest(); return false },
	}, {
		Name: "ipv4-only", Router: "tyo-core1",
		Wrong: "Somebody binds the metering of interfaces anew and forgets IPv6, which needs a monitor of its own.",
		Truth: "Traffic does not change; a third of it is IPv6.",
		Look:  "SNMP counts more than flows, and none of the router's flows is IPv6 any more.",
		apply: func(n *Network, r *Router, f *faults, s *Scenario) bool { f.fourOnly = true; return false },
	}, {
		Name: "acl", Router: "tyo-edge1",
		Wrong: "An access list denies the router's first enterprise (Aster Foods) all traffic, in both directions.",
		Truth: "What the customer sends still comes in by its interface and is dropped there; what is for it crosses the network and is dropped in front of it.",
		Look:  "Flows with forwarding status \"dropped\" and output interface 0; SNMP counts the customer's packets in, and none out.",
		apply: func(n *Network, r *Router, f *faults, s *Scenario) bool {
			for _, c := range n.customers {
				if c.port.Router == r && c.kind == office {
					n.blocked = append(n.blocked, c)
					break
				}
			}
			return false
		},
	}, {
		Name: "active-timer", flows: true, Router: "osk-core1",
		Wrong: "The active timer is 30 minutes: long flows are told half an hour late.",
		Truth: "Traffic does not change.",
		Look:  "Durations of up to 30 minutes. Charts that spread bytes over a flow's time are right in the end; the last half hour lacks them, and a chart by time of export is a saw.",
		apply: func(n *Network, r *Router, f *faults, s *Scenario) bool { f.active = 30 * time.Minute; return false },
	}, {
		Name: "slow-timers", flows: true, Router: "osk-core1",
		Wrong: "Both timers are at their greatest: 30 minutes active, and 10 inactive.",
		Truth: "Traffic does not change.",
		Look:  "Flows against SNMP: right in the end, but of the newest half hour most is still to come.",
		apply: func(n *Network, r *Router, f *faults, s *Scenario) bool {
			f.active, f.inactive = 30*time.Minute, 10*time.Minute
			return false
		},
	}, {
		Name: "restart", Router: "osk-edge1",
		Wrong: "The router restarts, at the beginning and every 30 minutes after.",
		Truth: "Traffic does not change (the line cards forward on). Flows that were in the cache are lost; counters begin at 0.",
		Look:  "sysUptime and sequence numbers begin anew: a restart, not a loss. SNMP's counters fall to 0, which is neither a wrap nor traffic.",
		apply: func(n *Network, r *Router, f *faults, s *Scenario) bool {
			from := s.From.Truncate(time.Minute)
			if s.From.IsZero() {
				from = n.cfg.Start.Truncate(time.Minute)
			}
			return n.now.Sub(from)%(30*time.Minute) == 0 && n.ran()
		},
	}, {
		Name: "renumber", Router: "osk-core1",
		Wrong: "The router restarts and numbers its interfaces anew: each has the ifIndex that another had. At the end it restarts once more, and they are as before.",
		Truth: "Traffic does not change. SNMP's ifTable has the new numbers at once.",
		Look:  "Interfaces that swap their traffic. Names must follow: transit yesterday is transit today.",
		apply: func(n *Network, r *Router, f *faults, s *Scenario) bool { f.renumbered = true; return false },
	}, {
		Name: "stale-numbers", flows: true, Router: "osk-core1",
		Wrong: "The router numbers its interfaces anew, as in renumber, and its exporting process keeps the old numbers.",
		Truth: "Traffic does not change.",
		Look:  "Flows against SNMP: what flows tell of one interface is what another one counted.",
		apply: func(n *Network, r *Router, f *faults, s *Scenario) bool {
			f.renumbered, f.stale = true, true
			return false
		},
	}, {
		Name: "clock-drift", flows: true, Router: "tyo-core1",
		Wrong: "The router's clock gains a second a minute; at the end it is set right.",
		Truth: "Traffic does not change.",
		Look:  "The exporter's clock offset, which grows; without correction its traffic is in the future.",
		apply: func(n *Network, r *Router, f *faults, s *Scenario) bool { f.drift = time.Second; return false },
	}, {
		Name: "silent", Router: "tyo-ix1",
		Wrong: "The exporting process is dead; the router forwards on.",
		Truth: "Traffic does not change.",
		Look:  "An exporter that was last seen then; SNMP's counters go on.",
		apply: func(n *Network, r *Router, f *faults, s *Scenario) bool { f.silent = true; return false },
	}, {
		Name: "ipv6-unseen", fixed: true, Router: "osk-edge1",
		Wrong: "Customers begin to use IPv6 behind a router that exports NetFlow v5, which knows no IPv6.",
		Truth: "Their traffic grows by a third.",
		Look:  "SNMP counts more than flows: ratio about 0.74 on osk-edge1's interfaces.",
		apply: func(n *Network, r *Router, f *faults, s *Scenario) bool { n.newcomers = true; return false },
	},
}
