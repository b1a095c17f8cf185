package quality

import (
	"net/netip"
	"slices"
	"time"

	"github.com/minamo-flow/minamo/collect"
	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/internal/journal"
)

// Minute is what happened in a minute. That there is one tells that a
// collector ran. A minute may come in several, to be added up.
type Minute struct {
	At        time.Time     // its beginning
	Span      time.Duration // longer than a minute where the clock went on faster than it was read
	Started   bool          // the collector was started within it
	Sockets   []Socket
	Exporters []Exporter // those of which anything came
}

// End is when the minute ends.
func (m *Minute) End() time.Time { return m.At.Add(m.Span) }

// Socket is what came to a listen address.
type Socket struct {
	Address          string
	Datagrams, Drops uint64 // drops by the kernel
}

// Exporter is what came of an exporter.
type Exporter struct {
	Address         netip.Addr
	Malformed       uint64 // datagrams of no use at all
	MalformedParts  uint64 // things wrong in datagrams of use
	Waited          uint64 // data sets that waited for their template
	Forlorn         uint64 // data sets whose template never came: lost
	Clamped         uint64 // flows of impossible times
	RateRejected    uint64 // announced rates that cannot be
	RateMismatch    uint64 // sFlow sources that sampled at another rate than they claimed
	Templates       uint64 // known at the end
	TemplateChanges uint64
	Thinned         uint64 // flows left out, for more came than budget.collector allows
	Domains         []Domain
}

// Domain is what came of an observation domain.
type Domain struct {
	Protocol                        uint8 // flow.ExportProtocol
	Domain                          uint32
	Flows, Datagrams, Bytes, Units  uint64
	Missing                         int64 // units; negative where late ones came of what was missing before
	MissingSamples                  int64
	Reordered, Duplicates, Restarts uint64
	Ingress, Egress                 uint64 // of a choice of flows
	Scaled, Unscaled                uint64 // likewise
	IPv6, MPLS                      uint64 // likewise
	Longest                         int64  // ms
	HasOffset                       bool
	Offset                          int64 // ms, the median
	Rates                           []collect.RateReading
	Durations, Delays               *collect.Histogram // of several minutes, in some
}

// ProtocolName is what the protocol is called in the API.
func (d *Domain) ProtocolName() string { return protocolName(d.Protocol) }

func protocolName(protocol uint8) string {
	return flow.Schema[flow.ExportProtocol].Names[uint64(protocol)]
}

// SourceName is what the source of a sampling rate is called in the API.
func SourceName(source uint8) string {
	return flow.Schema[flow.SamplingSource].Names[uint64(source)]
}

// bounds of what is read: what a file says of lengths is not believed.
const (
	mostSockets   = 1 << 10
	mostExporters = 1 << 16
	mostDomains   = 1 << 16
	mostRates     = 1 << 8
	mostSpan      = 366 * 24 * 60 // minutes
)

func (m *Minute) head(c *journal.Codec) {
	at, span := m.At.Unix()/60, uint64(m.Span/time.Minute)
	c.Int(&at)
	c.Uint(&span)
	if span > mostSpan || at > 1<<40 || at < -1<<40 {
		c.Fail("a minute of %d minutes", span)
		return
	}
	m.At, m.Span = time.Unix(at*60, 0).UTC(), time.Duration(span)*time.Minute
}

func (m *Minute) body(c *journal.Codec) {
	c.Bool(&m.Started)
	journal.List(c, &m.Sockets, mostSockets, func(c *journal.Codec, s *Socket) {
		c.Text(&s.Address)
		c.Uint(&s.Datagrams)
		c.Uint(&s.Drops)
	})
	journal.List(c, &m.Exporters, mostExporters, codeExporter)

	// What was not kept at first: records of old files end before, and so do those of
	// which there is nothing to tell.
	thinned := func(x Exporter) bool { return x.Thinned > 0 }
	kinds := func(x Exporter) bool {
		return slices.ContainsFunc(x.Domains, func(d Domain) bool { return d.IPv6+d.MPLS > 0 })
	}
	more := func(some func(Exporter) bool) bool {
		return c.Writing && slices.ContainsFunc(m.Exporters, some) || !c.Writing && len(c.Data) > 0
	}
	if more(thinned) || more(kinds) {
		for i := range m.Exporters {
			c.Uint(&m.Exporters[i].Thinned)
		}
	}
	if more(kinds) {
		for i := range m.Exporters {
			for k := range m.Exporters[i].Domains {
				d := &m.Exporters[i].Domains[k]
				c.Uint(&d.IPv6)
				c.Uint(&d.MPLS)
			}
		}
	}
}

func codeExporter(c *journal.Codec, x *Exporter) {
	c.Address(&x.Address)
	for _, v := range []*uint64{&x.Malformed, &x.MalformedParts, &x.Waited, &x.Forlorn, &x.Clamped, &x.RateRejected, &x.RateMismatch, &x.Templates, &x.TemplateChanges} {
		c.Uint(v)
	}
	journal.List(c, &x.Domains, mostDomains, codeDomain)
}

func codeDomain(c *journal.Codec, d *Domain) {
	c.Uint8(&d.Protocol)
	c.Uint32(&d.Domain)
	for _, v := range []*uint64{&d.Flows, &d.Datagrams, &d.Bytes, &d.Units, &d.Reordered, &d.Duplicates, &d.Restarts, &d.Ingress, &d.Egress, &d.Scaled, &d.Unscaled} {
		c.Uint(v)
	}
	c.Int(&d.Missing)
	c.Int(&d.MissingSamples)
	c.Int(&d.Longest)
	c.Bool(&d.HasOffset)
	if d.HasOffset {
		c.Int(&d.Offset)
	}
	journal.List(c, &d.Rates, mostRates, func(c *journal.Codec, r *collect.RateReading) {
		c.Uint32(&r.Rate)
		c.Uint8(&r.Source)
		c.Uint(&r.Flows)
	})
	codeHistogram(c, &d.Durations)
	codeHistogram(c, &d.Delays)
}

// filled is a bucket that is not empty.
type filled struct {
	bucket uint8
	count  uint32
}

func codeHistogram(c *journal.Codec, h **collect.Histogram) {
	var buckets []filled
	if *h != nil {
		for i, n := range *h {
			if n > 0 {
				buckets = append(buckets, filled{uint8(i), n})
			}
		}
	}
	journal.List(c, &buckets, collect.HistogramLen, func(c *journal.Codec, b *filled) {
		c.Uint8(&b.bucket)
		c.Uint32(&b.count)
	})
	if c.Writing || len(buckets) == 0 {
		return
	}
	*h = new(collect.Histogram)
	for _, b := range buckets {
		if int(b.bucket) >= collect.HistogramLen || b.count == 0 || (*h)[b.bucket] > 0 {
			c.Fail("a histogram has no such bucket")
			return
		}
		(*h)[b.bucket] = b.count
	}
}
