package simulate

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/probe"
	"github.com/minamo-flow/minamo/wire/sflow"
)

// Router is one of the carrier's routers: a sampler, a flow cache, an exporter,
// and interfaces that count. The fields do not change; methods may be called
// while Step runs.
type Router struct {
	Name         string
	Addr         netip.Addr // what it exports from and answers SNMP on: of 127/8
	Vendor       *Vendor
	Domain       uint32 // observation domain
	SamplingRate uint32 // as it should be: one packet in so many
	Interfaces   []*Interface

	network   *Network
	number    int
	loopback  flow.Addr
	loopback6 flow.Addr
	toward    []*Interface // by router: the interface that leads there

	// The metering process.
	sampler *probe.Sampler
	random  *rand.Rand
	cache   *probe.Cache
	chosen  []sight // of this slice, by stream
	keys    []uint64
	sights  []sight // the same by time
	seen    int     // how many of those the cache has
	packets *flow.Batch
	flows   *flow.Batch
	routes  bool // knows routes: has AS numbers and masks

	// The exporting process.
	exporter exporter
	boot     time.Time
	skew     int64     // ms that its clock is ahead
	drifting time.Time // since when its clock does what drift says
	samples  samples

	// What is wrong with it: see faults.go.
	faults

	loadRate uint32     // SamplingRate under a load
	records  uint64     // exported
	sent     uint64     // datagrams that arrive
	lost     uint64     // datagrams that do not
	counted  []Counters // by interface, until this minute: since the last restart
	moving   []Counters // of this minute
}

// exporter is what the simulator needs of probe.Exporter.
type exporter interface {
	Flows(b *flow.Batch, from, to int, now time.Time) error
	Sample(s *sflow.FlowSample, now time.Time) error
	Counters(c *sflow.InterfaceCounters, name string, now time.Time) error
	Tick(now time.Time) error
	Close() error
}

// indexOf is the ifIndex that an interface has now.
func (r *Router) indexOf(f *Interface) uint32 {
	if r.renumbered { // each has its neighbour's
		return r.Interfaces[(f.number+1)%len(r.Interfaces)].IfIndex
	}
	return f.IfIndex
}

// told is the ifIndex that the router's flows name an interface by.
func (r *Router) told(f *Interface) uint32 {
	if r.stale {
		return f.IfIndex
	}
	return r.indexOf(f)
}

// widest is the first of the router's fastest interfaces that lead out of the
// network.
func (r *Router) widest() (widest *Interface) {
	for _, f := range r.Interfaces {
		if f.Role.External() && (widest == nil || f.Speed > widest.Speed) {
			widest = f
		}
	}
	return widest
}

// neighbour is the next hop behind an interface.
func (f *Interface) neighbour(six bool) flow.Addr {
	if six {
		return f.peer6
	}
	return f.peer
}

func (r *Router) loopbackOf(six bool) flow.Addr {
	if six {
		return r.loopback6
	}
	return r.loopback
}

// cacheKey is what a flow of a router's has in common: of a packet that is seen
// coming in and going out there are two flows.
var cacheKey = func() flow.Mask {
	k := probe.DefaultKey
	k.Or(flow.MaskOf(flow.OutIf, flow.Direction))
	return k
}()

// run meters and exports all that the router saw before a time.
func (r *Router) run(until time.Time) error {
	from, to := r.seen, until.UnixMilli()
	for r.seen < len(r.sights) && r.sights[r.seen].at < to {
		r.seen++
	}
	sights := r.sights[from:r.seen]
	r.skew = int64(float64(until.Sub(r.drifting)) / float64(time.Minute) * float64(r.drift.Milliseconds()))
	now := until.Add(time.Duration(r.skew) * time.Millisecond)
	if r.Vendor.Protocol == probe.SFlow5 {
		return r.sample(sights, now)
	}
	for len(sights) > 0 {
		some := sights[:min(len(sights), 1024)]
		sights = sights[len(some):]
		r.packets.Reset()
		r.rows(some, r.packets)
		if r.network.cfg.Load == 0 {
			r.cache.Add(r.packets, 0, r.packets.Len(), r.flows)
		} else if err := r.send(r.packets, now); err != nil { // each packet is a flow
			return err
		}
	}
	r.cache.Expire(now.UnixMilli(), r.flows)
	if err := r.send(r.flows, now); err != nil {
		return err
	}
	r.flows.Reset()
	if r.silent {
		return nil
	}
	return r.exporter.Tick(now)
}

// send exports flows, unless the exporting process is dead.
func (r *Router) send(b *flow.Batch, now time.Time) error {
	if r.silent || b.Len() == 0 {
		return nil
	}
	r.records += uint64(b.Len())
	r.distort(b)
	return r.exporter.Flows(b, 0, b.Len(), now)
}
