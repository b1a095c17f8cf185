package collect

import (
	"net/netip"
	"time"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/wire/netflow"
)

// Local is an observation domain whose flows come by no protocol: a probe in
// this process meters them. It is an exporter like others in all that is told,
// asked and judged of exporters; its units, of which some are missing when the
// kernel dropped them, are packets. It is safe for concurrent use.
type Local struct {
	collector *Collector
	exporter  *exporter
	key       domainKey
}

// Local returns the domain of an exporter of this machine. It is never
// forgotten to make room for others.
func (c *Collector) Local(addr netip.Addr, domain uint32) *Local {
	for {
		x := c.Exporters.exporter(addr)
		x.mu.Lock()
		if x.evicted {
			x.mu.Unlock()
			continue
		}
		defer x.mu.Unlock()
		x.locals++
		return &Local{c, x, domainKey{flow.Probe, domain}}
	}
}

// Name tells what an interface of the exporter is called.
func (l *Local) Name(n netflow.InterfaceName) {
	e, x := l.collector.Exporters, l.exporter
	x.mu.Lock()
	defer x.mu.Unlock()
	news, ok := x.names.interfaces.set(uint64(n.Index), n)
	e.named(x, "interfaces", len(x.names.interfaces.by), news, ok)
}

// Observe counts packets: those that were seen, and those that the kernel
// dropped before anybody could.
func (l *Local) Observe(seen, dropped uint64) {
	l.exporter.mu.Lock()
	defer l.exporter.mu.Unlock()
	d := l.exporter.domain(l.key.protocol, l.key.id)
	d.observed.units += seen
	d.loss.missing += dropped
}

// Write completes flows that have ended by now, hands them on, and empties the
// batch. It fails as the sink does; that is counted and logged already.
func (l *Local) Write(b *flow.Batch, now time.Time) error {
	if b.Len() == 0 {
		return nil
	}
	e, x, received := l.collector.Exporters, l.exporter, now.UnixMilli()
	e.Balance(received)
	times, protocols, domains := b.Time(flow.Received), b.U8(flow.ExportProtocol), b.U32(flow.ObservationDomain)
	for i := range b.Len() {
		times[i], protocols[i], domains[i] = received, l.key.protocol, l.key.id
		b.Present[i].Or(written)
	}
	x.mu.Lock()
	d := x.domain(l.key.protocol, l.key.id)
	x.lastSeen, d.lastSeen = received, received
	d.datagrams++
	d.flows += uint64(b.Len())
	e.finish(b, 0, b.Len(), x, d, received)
	x.mu.Unlock()
	return l.collector.deliver(b)
}

var written = flow.MaskOf(flow.Received, flow.ExportProtocol, flow.ObservationDomain)
