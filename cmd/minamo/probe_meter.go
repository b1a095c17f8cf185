package main

import (
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/probe"
	"github.com/minamo-flow/minamo/wire/packet"
	"github.com/minamo-flow/minamo/wire/pcap"
	"github.com/minamo-flow/minamo/wire/sflow"
)

// destination is where flows go: to collectors, or into a store. Several meters
// may share one.
type destination interface {
	flows(b *flow.Batch, now time.Time) error // which have ended by now; empties b
	tick(now time.Time) error                 // about every second
}

// exportingProcess is an Exporter that several meters share.
type exportingProcess struct {
	mu       sync.Mutex
	exporter *probe.Exporter
}

func newExportingProcess(cfg probe.ExporterConfig, log *slog.Logger) (*exportingProcess, error) {
	x, err := probe.NewExporter(cfg, log)
	return &exportingProcess{exporter: x}, err
}

func (x *exportingProcess) do(f func(*probe.Exporter) error) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	return f(x.exporter)
}

func (x *exportingProcess) flows(b *flow.Batch, now time.Time) error {
	defer b.Reset()
	return x.do(func(x *probe.Exporter) error { return x.Flows(b, 0, b.Len(), now) })
}

func (x *exportingProcess) tick(now time.Time) error {
	return x.do(func(x *probe.Exporter) error { return x.Tick(now) })
}

func (x *exportingProcess) stats() (s probe.ExporterStats) {
	x.do(func(x *probe.Exporter) error { s = x.Stats(); return nil })
	return s
}

// metering is what becomes of packets: flows, or samples.
type metering interface {
	add(*pcap.Packet, probe.Point) error
	sweep(clock int64) error // ms; about every second
	end() error
	counted() *tally // as of the last sweep, or of the end; for anyone to read
	tell(io.Writer)
}

// tally is what a metering process has counted.
type tally struct {
	meter probe.MeterStats
	cache probe.CacheStats
}

// caching makes flows of packets, and hands on those that ended.
type caching struct {
	to    destination
	meter *probe.Meter
	batch *flow.Batch
	clock int64 // ms, the packets'
	swept int64 // when flows were looked for that are due
	tally atomic.Pointer[tally]
}

func newCaching(cfg probe.MeterConfig, to destination) *caching {
	c := &caching{to: to, meter: probe.NewMeter(cfg), batch: flow.NewBatch(exportRows)}
	c.count()
	return c
}

func (c *caching) add(p *pcap.Packet, at probe.Point) error {
	c.meter.Add(p, at, c.batch)
	c.clock = max(c.clock, p.Time/1e6)
	if c.clock >= c.swept+1000 {
		return c.sweep(c.clock)
	}
	if c.batch.Len() < exportRows {
		return nil
	}
	return c.to.flows(c.batch, time.UnixMilli(c.clock))
}

func (c *caching) sweep(clock int64) error {
	c.clock, c.swept = clock, clock
	for more := true; more; {
		more = c.meter.Expire(clock, c.batch)
		if err := c.to.flows(c.batch, time.UnixMilli(clock)); err != nil {
			return err
		}
	}
	c.count()
	return c.to.tick(time.UnixMilli(clock))
}

func (c *caching) end() error {
	defer c.count()
	for more := true; more; {
		more = c.meter.Flush(c.batch)
		if err := c.to.flows(c.batch, time.UnixMilli(c.clock)); err != nil {
			return err
		}
	}
	return nil
}

func (c *caching) count()          { c.tally.Store(&tally{c.meter.Stats(), c.meter.CacheStats()}) }
func (c *caching) counted() *tally { return c.tally.Load() }

func (c *caching) tell(w io.Writer) {
	t := c.counted()
	m, s := &t.meter, &t.cache
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
			fmt.Fprintf(w, "; %s %d", endReason(reason), n)
		}
	}
	fmt.Fprintf(w, "; %d at once at most\n", s.Peak)
}

// endReason is what a code of flow_end_reason is called.
func endReason(code int) string { return flow.Schema[flow.FlowEndReason].Names[uint64(code)] }

// sampling sends sampled packets' headers, by sFlow.
type sampling struct {
	to             *exportingProcess
	sampler        *probe.Sampler
	stats          probe.MeterStats // metered are the samples
	clock, flushed int64            // ms, the packets'
	tally          atomic.Pointer[tally]
}

func newSampling(cfg probe.SamplerConfig, to *exportingProcess) *sampling {
	s := &sampling{to: to, sampler: probe.NewSampler(cfg)}
	s.count()
	return s
}

// headerBytes is how much of a packet goes into a sample, as agents have it.
const headerBytes = 128

// headers are the protocols of sFlow's raw headers, by link type.
var headers = map[packet.Link]uint32{packet.Ethernet: sflow.HeaderEthernet, packet.IPv4: sflow.HeaderIPv4, packet.IPv6: sflow.HeaderIPv6}

func (s *sampling) add(p *pcap.Packet, at probe.Point) error {
	length := max(p.Length, len(p.Data))
	s.stats.Packets++
	s.stats.Bytes += uint64(length)
	s.clock = max(s.clock, p.Time/1e6)
	if s.clock >= s.flushed+1000 {
		if err := s.sweep(s.clock); err != nil {
			return err
		}
	}
	if !s.sampler.Next() {
		s.stats.PassedOver++
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
		s.stats.Skipped[probe.UnknownLink]++
		return nil
	}
	s.stats.Metered++
	sample := sflow.FlowSample{
		Sample: sflow.Sample{Pool: uint32(s.stats.Packets)},
		Packet: sflow.Packet{Protocol: protocol, Length: uint32(length), Header: p.Data[:min(len(p.Data), headerBytes)]},
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
	return s.to.do(func(x *probe.Exporter) error { return x.Sample(&sample, time.UnixMilli(s.clock)) })
}

func (s *sampling) sweep(clock int64) error {
	s.clock, s.flushed = clock, clock
	s.count()
	return s.to.tick(time.UnixMilli(clock))
}

func (s *sampling) end() error { return s.sweep(s.clock) }

func (s *sampling) count()          { s.tally.Store(&tally{meter: s.stats}) }
func (s *sampling) counted() *tally { return s.tally.Load() }

func (s *sampling) tell(w io.Writer) {
	m := s.counted().meter
	fmt.Fprintf(w, "packets   %d, %d bytes on the wire\nsampled   %d", m.Packets, m.Bytes, m.Metered)
	if n := m.Skipped[probe.UnknownLink]; n > 0 {
		fmt.Fprintf(w, "; of link types that sFlow has none for, left out, %d", n)
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
