package collect

import (
	"math/bits"
	"net/netip"

	"github.com/minamo-flow/minamo/flow"
)

// observation is what is seen of how a domain meters and exports, besides what
// is counted. The exporter's mutex guards it. Taking it in costs a sweep over
// three columns, and allocates nothing but the two histograms, once.
type observation struct {
	bytes, units uint64

	durations, delays *Histogram // since they were last read; nil before the first flow with a time
	longest           int64      // ms, since last read

	rates [8]RateReading // in force since last read; the last takes what has no room

	// Of every datagram one row is looked at more closely.
	ingress, egress  uint64 // by IE 61
	sizes            recordSizes
	scaled, unscaled uint64 // sampled, and its packets a multiple of the rate, or not
	ipv6, mpls       uint64

	offsets   [offsetRoom]int64 // ms, one in offsetEvery, since last read
	offsetLen int
	offsetAt  int64
}

const (
	offsetRoom  = 15
	offsetEvery = 4000 // ms
)

// Histogram counts spans of time by their length: the first bucket holds all
// below 1.024 s, then each power of two has sixteen, up to the last, of 2.3
// hours and more.
type Histogram [HistogramLen]uint32

// HistogramLen is the number of buckets.
const HistogramLen = 2 + 13*16

// bucket is where a span of ms is counted. It has no branch: what is below
// 992 ms is counted as that is, in the last sixteenth of its power of two, which
// is bucket 0.
func bucket(ms int64) uint {
	v := uint64(max(ms, 992))
	n := uint(bits.Len64(v))
	return min((n-11)*16+uint(v>>((n-5)&63))&15+1, HistogramLen-1)
}

// HistogramFrom is the shortest span that bucket i counts, in ms.
func HistogramFrom(i int) int64 {
	if i == 0 {
		return 0
	}
	return int64(16+(i-1)%16) << (6 + (i-1)/16)
}

// datagram takes in what a datagram or message is, beside its flows.
func (o *observation) datagram(length int, units uint32) {
	o.bytes += uint64(length)
	o.units += uint64(units)
}

// clock takes in by how much the exporter's clock is ahead.
func (o *observation) clock(offset, received int64) {
	if since := received - o.offsetAt; o.offsetLen < offsetRoom && (since >= offsetEvery || since < 0) {
		o.offsets[o.offsetLen], o.offsetAt = offset, received
		o.offsetLen++
	}
}

// flows takes in the rows [from, to) of a datagram; exported is the time of its
// header, in ms, and 0 where there is none.
func (o *observation) flows(b *flow.Batch, from, to int, exported int64) {
	if from == to {
		return
	}
	rates, sources := b.U32(flow.SamplingRate)[from:to], b.U8(flow.SamplingSource)[from:to]
	run := 0
	for i := 1; i < len(rates); i++ {
		if rates[i] != rates[run] || sources[i] != sources[run] {
			o.rate(rates[run], sources[run], uint64(i-run))
			run = i
		}
	}
	o.rate(rates[run], sources[run], uint64(len(rates)-run))

	row := from + int(o.units%uint64(to-from)) // another one each time
	if b.Present[row].Has(flow.Direction) {
		if b.U8(flow.Direction)[row] == flow.Egress {
			o.egress++
		} else {
			o.ingress++
		}
	}
	if b.Present[row].Has(flow.SrcAddr) && !b.Addr(flow.SrcAddr)[row].Is4() {
		o.ipv6++
	}
	if b.Present[row].Has(flow.MPLSLabel1) {
		o.mpls++
	}
	packets := b.U64(flow.Packets)[row]
	o.sizes.one(packets, b.U64(flow.Bytes)[row], uint64(to-from))
	if rate := uint64(b.U32(flow.SamplingRate)[row]); rate > 1 && packets > 0 {
		if packets%rate == 0 {
			o.scaled++
		} else {
			o.unscaled++
		}
	}
	if exported == 0 {
		return // sFlow has packets, not flows
	}
	if o.durations == nil {
		o.durations, o.delays = &Histogram{}, &Histogram{}
	}
	o.times(b.Time(flow.Start)[from:to], b.Time(flow.End)[from:to], exported)
}

// times counts durations, and how long after its last packet each flow of less
// than a second was told: those end by the inactive timer, not by the active one.
func (o *observation) times(start, end []int64, exported int64) {
	durations, delays, longest := o.durations, o.delays, o.longest
	start = start[:len(end)]
	for i, last := range end {
		duration := last - start[i]
		longest = max(longest, duration)
		length := bucket(duration)
		durations[length]++
		delays[bucket(exported-last)] += uint32((uint64(length) - 1) >> 63) // 1 in bucket 0, without a branch
	}
	o.longest = longest
}

// rate counts flows under a sampling rate.
func (o *observation) rate(rate uint32, source uint8, flows uint64) {
	for i := range o.rates {
		r := &o.rates[i]
		if r.Flows == 0 {
			r.Rate, r.Source = rate, source
		}
		if r.Rate == rate && r.Source == source || i == len(o.rates)-1 {
			r.Flows += flows
			return
		}
	}
}

// Reading is what the package quality keeps of an exporter. Counters are those
// since the collector began to know it.
type Reading struct {
	Exporter        netip.Addr
	Malformed       uint64 // datagrams of no use at all
	MalformedParts  uint64 // what was wrong in the others
	Problems        map[string]uint64
	Templates       int
	TemplateChanges uint64
	Domains         []DomainReading
}

// DomainReading is the same of an observation domain. What has a comment "since
// last read" begins anew with each reading.
type DomainReading struct {
	Protocol       uint8 // flow.ExportProtocol
	Domain         uint32
	Datagrams      uint64
	Flows          uint64
	Bytes          uint64 // of datagrams and messages
	Units          uint64 // in which loss is told: see flow.Schema
	Missing        uint64
	MissingSamples uint64 // sFlow
	Reordered      uint64 // late, or twice
	Duplicates     uint64 // of those, the ones that surely came twice
	Restarts       uint64
	Ingress        uint64 // datagrams whose flow, chosen by turns, was metered there
	Egress         uint64
	Scaled         uint64 // the same: its packets are a multiple of its sampling rate
	Unscaled       uint64 // or are not
	IPv6           uint64 // the same: it is of IPv6
	MPLS           uint64 // it has labels

	Longest   int64         // ms: the longest flow, since last read
	Offsets   []int64       // ms, exporter minus collector: some, since last read
	Rates     []RateReading // since last read
	Durations *Histogram    // since last read with histograms
	Delays    *Histogram    // from the last packet of a flow shorter than 1.024 s to its export, likewise
}

// RateReading is a sampling rate, where it was learnt, and how many flows came
// under it.
type RateReading struct {
	Rate   uint32
	Source uint8 // flow.SamplingSource
	Flows  uint64
}

// Readings reads all exporters; histograms hold back until they are asked for.
// There is one reader: the package quality.
func (e *Exporters) Readings(histograms bool) []Reading {
	list := []Reading{}
	for _, x := range e.all() {
		list = append(list, x.reading(histograms))
	}
	return list
}

func (x *exporter) reading(histograms bool) Reading {
	x.mu.Lock()
	defer x.mu.Unlock()
	r := Reading{Exporter: x.addr, Malformed: x.malformed, Problems: map[string]uint64{}, MalformedParts: x.malformedParts, TemplateChanges: x.templateChanges}
	for kind, n := range x.problems {
		r.Problems[kind] = n
	}
	for s := range x.sessions {
		r.Templates += len(s.netflow.Templates())
	}
	for key, d := range x.domains {
		o := &d.observed
		reading := DomainReading{
			Protocol: key.protocol, Domain: key.id, Datagrams: d.datagrams, Flows: d.flows, Bytes: o.bytes, Units: o.units,
			Missing: d.loss.missing, MissingSamples: d.sources.missing(), Reordered: d.loss.reorders, Duplicates: d.loss.duplicates, Restarts: d.loss.restarts,
			Ingress: o.ingress, Egress: o.egress, Scaled: o.scaled, Unscaled: o.unscaled, IPv6: o.ipv6, MPLS: o.mpls,
			Longest: o.longest, Offsets: append([]int64(nil), o.offsets[:o.offsetLen]...),
		}
		for _, rate := range o.rates {
			if rate.Flows > 0 {
				reading.Rates = append(reading.Rates, rate)
			}
		}
		o.longest, o.offsetLen, o.rates = 0, 0, [len(o.rates)]RateReading{}
		if histograms && o.durations != nil {
			durations, delays := *o.durations, *o.delays
			reading.Durations, reading.Delays = &durations, &delays
			*o.durations, *o.delays = Histogram{}, Histogram{}
		}
		r.Domains = append(r.Domains, reading)
	}
	return r
}
