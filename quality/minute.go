package quality

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"github.com/minamo-flow/minamo/collect"
	"github.com/minamo-flow/minamo/flow"
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

// codec goes over a record's fields, and writes or reads them: one list of
// fields for both. After a fault it reads zeros.
type codec struct {
	data    []byte
	writing bool
	fault   error
}

func (c *codec) uint(v *uint64) {
	if c.writing {
		c.data = binary.AppendUvarint(c.data, *v)
		return
	}
	n := 0
	if *v, n = binary.Uvarint(c.data); n <= 0 {
		c.fail("a number is cut off")
		*v = 0
		return
	}
	c.data = c.data[n:]
}

func (c *codec) int(v *int64) {
	u := uint64(*v)<<1 ^ uint64(*v>>63)
	c.uint(&u)
	*v = int64(u>>1) ^ -int64(u&1)
}

func (c *codec) uint8(v *uint8) {
	u := uint64(*v)
	c.uint(&u)
	*v = uint8(u)
}

func (c *codec) uint32(v *uint32) {
	u := uint64(*v)
	c.uint(&u)
	*v = uint32(u)
}

func (c *codec) bool(v *bool) {
	u := uint64(0)
	if *v {
		u = 1
	}
	c.uint(&u)
	*v = u != 0
}

// text is of 255 bytes at most; each takes room, so that reading is bounded.
func (c *codec) text(v *string) {
	n := uint64(min(len(*v), 255))
	c.uint(&n)
	if c.writing {
		c.data = append(c.data, (*v)[:n]...)
		return
	}
	if n > 255 || n > uint64(len(c.data)) {
		c.fail("a text is cut off")
		return
	}
	*v, c.data = string(c.data[:n]), c.data[n:]
}

func (c *codec) address(v *netip.Addr) {
	var text string
	if c.writing {
		text = string(v.AsSlice())
	}
	c.text(&text)
	if c.writing || c.fault != nil {
		return
	}
	ok := false
	if *v, ok = netip.AddrFromSlice([]byte(text)); !ok && text != "" {
		c.fail("an address of %d bytes", len(text))
	}
}

func (c *codec) fail(format string, args ...any) {
	if c.fault == nil {
		c.fault = fmt.Errorf(format, args...)
	}
	c.data = nil
}

// list goes over a list. Each element takes a byte at least.
func list[E any](c *codec, elements *[]E, most int, element func(*codec, *E)) {
	n := uint64(len(*elements))
	c.uint(&n)
	if !c.writing {
		if n > uint64(most) || n > uint64(len(c.data)) {
			c.fail("a list of %d is too long", n)
			return
		}
		*elements = nil
		for range n {
			if c.fault != nil {
				return
			}
			*elements = append(*elements, *new(E))
			element(c, &(*elements)[len(*elements)-1])
		}
		return
	}
	for i := range *elements {
		element(c, &(*elements)[i])
	}
}

func (m *Minute) head(c *codec) {
	at, span := m.At.Unix()/60, uint64(m.Span/time.Minute)
	c.int(&at)
	c.uint(&span)
	if span > mostSpan || at > 1<<40 || at < -1<<40 {
		c.fail("a minute of %d minutes", span)
		return
	}
	m.At, m.Span = time.Unix(at*60, 0).UTC(), time.Duration(span)*time.Minute
}

func (m *Minute) body(c *codec) {
	c.bool(&m.Started)
	list(c, &m.Sockets, mostSockets, func(c *codec, s *Socket) {
		c.text(&s.Address)
		c.uint(&s.Datagrams)
		c.uint(&s.Drops)
	})
	list(c, &m.Exporters, mostExporters, (*codec).exporter)
}

func (c *codec) exporter(x *Exporter) {
	c.address(&x.Address)
	for _, v := range []*uint64{&x.Malformed, &x.MalformedParts, &x.Waited, &x.Forlorn, &x.Clamped, &x.RateRejected, &x.RateMismatch, &x.Templates, &x.TemplateChanges} {
		c.uint(v)
	}
	list(c, &x.Domains, mostDomains, (*codec).domain)
}

func (c *codec) domain(d *Domain) {
	c.uint8(&d.Protocol)
	c.uint32(&d.Domain)
	for _, v := range []*uint64{&d.Flows, &d.Datagrams, &d.Bytes, &d.Units, &d.Reordered, &d.Duplicates, &d.Restarts, &d.Ingress, &d.Egress, &d.Scaled, &d.Unscaled} {
		c.uint(v)
	}
	c.int(&d.Missing)
	c.int(&d.MissingSamples)
	c.int(&d.Longest)
	c.bool(&d.HasOffset)
	if d.HasOffset {
		c.int(&d.Offset)
	}
	list(c, &d.Rates, mostRates, func(c *codec, r *collect.RateReading) {
		c.uint32(&r.Rate)
		c.uint8(&r.Source)
		c.uint(&r.Flows)
	})
	c.histogram(&d.Durations)
	c.histogram(&d.Delays)
}

// filled is a bucket that is not empty.
type filled struct {
	bucket uint8
	count  uint32
}

func (c *codec) histogram(h **collect.Histogram) {
	var buckets []filled
	if *h != nil {
		for i, n := range *h {
			if n > 0 {
				buckets = append(buckets, filled{uint8(i), n})
			}
		}
	}
	list(c, &buckets, collect.HistogramLen, func(c *codec, b *filled) {
		c.uint8(&b.bucket)
		c.uint32(&b.count)
	})
	if c.writing || len(buckets) == 0 {
		return
	}
	*h = new(collect.Histogram)
	for _, b := range buckets {
		if int(b.bucket) >= collect.HistogramLen || b.count == 0 || (*h)[b.bucket] > 0 {
			c.fail("a histogram has no such bucket")
			return
		}
		(*h)[b.bucket] = b.count
	}
}
