package probe

import (
	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/wire/packet"
	"github.com/minamo-flow/minamo/wire/pcap"
)

// MeterConfig tells which packets are metered, and how.
type MeterConfig struct {
	Cache    CacheConfig
	Sampling SamplerConfig
	Parser   *packet.Parser // tunnels to look into, columns of the operator's own; nil for none
	// NonIP meters packets that are not IP too: by their MAC addresses and
	// EtherType, which are then in the default key; their bytes are those
	// behind the link layer.
	NonIP bool
}

// Point is where a packet was observed (RFC 7011 §2, observation point).
type Point struct {
	Interface uint32 // ifIndex; 0 if unknown
	Direction uint8  // flow.Ingress or flow.Egress: as it came in by the interface, or left by it
}

// Reason is why a packet that was sampled is in no flow.
type Reason uint8

const (
	UnknownLink Reason = iota // a link type that wire/packet does not read
	NotIP                     // ARP, LLDP, …
	Truncated                 // the capture cut it off in front of the addresses
	Malformed                 // an IP header that contradicts itself
	NumReasons
)

func (r Reason) String() string {
	return [...]string{"unknown link type", "not IP", "truncated", "malformed"}[r]
}

// MeterStats accounts for packets: Packets = PassedOver + Metered + all Skipped.
type MeterStats struct {
	Packets    uint64 // seen
	Bytes      uint64 // seen, on the wire, as capinfos has them
	PassedOver uint64 // by the sampler
	Metered    uint64 // in flows that ended, or that are in the cache
	Octets     uint64 // of those: bytes of layer 3, as flows have them
	Skipped    [NumReasons]uint64

	// Of the metered ones:
	Fragments uint64 // later fragments, which have no ports
	Portless  uint64 // the capture cut off, or somebody left out, the ports of TCP, UDP, SCTP, DCCP
}

// Meter is a metering process: packets in, flows out.
//
// Its default key is the Cache's with the output interface and the direction:
// a packet that is seen coming in and leaving is in two flows, which say so.
//
// Bytes are those of layer 3, as routers count them (IE 1, octetDeltaCount):
// the IP header's total length, whatever the capture cut off; without Ethernet's
// padding. Where the header does not say (segmentation offload, jumbograms) or
// claims more than was on the wire, they are what was on the wire behind the
// link layer. Looking into tunnels does not change them.
//
// The fragments of a packet behind its first have no ports: those between two
// hosts are a flow of their own, with src_port and dst_port absent, and the
// fragment_offset of its first packet.
//
// Rows say at what rate packets were sampled, and scale nothing. A Meter is
// not safe for concurrent use: one for each receiving thread.
type Meter struct {
	cache   *Cache
	sampler *Sampler
	parser  *packet.Parser
	nonIP   bool
	times   bool        // handshakes: all packets are seen
	rows    *flow.Batch // packets that are not in the cache yet
	now     int64       // ns, of the latest packet
	stats   MeterStats
}

// NewMeter returns a meter with an empty cache.
func NewMeter(cfg MeterConfig) *Meter {
	if cfg.Cache.Key == (flow.Mask{}) {
		cfg.Cache.Key = DefaultKey
		cfg.Cache.Key.Add(flow.OutIf)
		cfg.Cache.Key.Add(flow.Direction)
		if cfg.NonIP {
			cfg.Cache.Key.Or(flow.MaskOf(flow.SrcMAC, flow.DstMAC, flow.EtherType))
		}
	}
	return &Meter{
		cache:   NewCache(cfg.Cache),
		sampler: NewSampler(cfg.Sampling),
		parser:  cfg.Parser,
		nonIP:   cfg.NonIP,
		times:   cfg.Sampling.Rate <= 1,
		rows:    flow.NewBatch(block),
	}
}

// Stats tells what became of the packets so far.
func (m *Meter) Stats() MeterStats { return m.stats }

// CacheStats tells about the flows; packets of the last Adds may be missing
// until Expire.
func (m *Meter) CacheStats() CacheStats { return m.cache.Stats() }

// Add meters a packet and appends flows that ended to out: none most of the
// times, some hundreds at once now and then. A packet without a time has that
// of the one before. Nothing of p is kept.
func (m *Meter) Add(p *pcap.Packet, at Point, out *flow.Batch) {
	m.stats.Packets++
	m.stats.Bytes += uint64(max(p.Length, len(p.Data)))
	if !m.sampler.Next() {
		m.stats.PassedOver++
		return
	}
	if p.Time != 0 {
		m.now = p.Time
	}
	if !p.Link.Known() {
		m.stats.Skipped[UnknownLink]++
		return
	}
	b := m.rows
	i := b.Extend(1)
	l := m.parser.Parse(b, i, p.Link, p.Data)
	present := &b.Present[i]
	if reason := verdict(&l, present, p); reason != NumReasons && !(m.nonIP && reason == NotIP) {
		m.stats.Skipped[reason]++
		b.Truncate(i)
		return
	}
	if l.FragmentOffset > 0 {
		m.stats.Fragments++
	} else if l.HasProtocol && hasPorts(l.Protocol) && !present.Has(flow.DstPort) {
		m.stats.Portless++
	}
	octets := uint64(l.Length)
	if room := max(p.Length, len(p.Data)) - l.Outermost; l.Length < 20 || l.Length > room {
		octets = uint64(room)
	}
	m.stats.Metered++
	m.stats.Octets += octets
	b.Time(flow.Start)[i] = m.now / 1e6
	b.U64(flow.Packets)[i] = 1
	b.U64(flow.Bytes)[i] = octets
	if m.times && present.Has(flow.TCPFlags) {
		b.SetUint(flow.HandshakeTime, i, uint64(uint32(m.now/1e3)))
	}
	if at.Interface != 0 {
		if at.Direction == flow.Egress {
			b.U32(flow.OutIf)[i] = at.Interface
			present.Or(leaving)
		} else {
			b.U32(flow.InIf)[i] = at.Interface
			present.Or(coming)
		}
		b.U8(flow.Direction)[i] = at.Direction
	}
	present.Or(counted)
	if i+1 == block {
		m.feed(out)
	}
}

var (
	counted = flow.MaskOf(flow.Start, flow.Packets, flow.Bytes)
	coming  = flow.MaskOf(flow.InIf, flow.Direction)
	leaving = flow.MaskOf(flow.OutIf, flow.Direction)
	ends    = flow.MaskOf(flow.SrcAddr, flow.DstAddr)
)

// verdict tells why the packet is none for the cache; NumReasons if it is one.
func verdict(l *packet.Layout, present *flow.Mask, p *pcap.Packet) Reason {
	if l.Version == 0 {
		announced := l.EtherType == 0x0800 || l.EtherType == 0x86dd || p.Link == packet.IPv4 || p.Link == packet.IPv6 || p.Link == packet.Raw
		switch {
		case l.Network >= len(p.Data) && (announced || l.EtherType == 0):
			return Truncated
		case announced:
			return Malformed
		}
		return NotIP
	}
	if present[0]&ends[0] != ends[0] || present[1]&ends[1] != ends[1] {
		return Truncated
	}
	if l.Version == 4 && p.Data[l.Network]&15 < 5 {
		return Malformed
	}
	return NumReasons
}

func hasPorts(protocol uint8) bool {
	switch protocol {
	case packet.TCP, packet.UDP, packet.SCTP, packet.DCCP, packet.UDPLite:
		return true
	}
	return false
}

// feed adds the packets at hand to the cache.
func (m *Meter) feed(out *flow.Batch) {
	from := out.Len()
	m.cache.Add(m.rows, 0, m.rows.Len(), out)
	m.rows.Reset()
	m.sign(out, from)
}

// sign notes the sampling in the flows from row from on.
func (m *Meter) sign(out *flow.Batch, from int) {
	rates, sources := out.U32(flow.SamplingRate), out.U8(flow.SamplingSource)
	for i := from; i < out.Len(); i++ {
		rates[i], sources[i] = m.sampler.Rate(), flow.SamplingRecord
		out.Present[i].Or(sampled)
	}
}

var sampled = flow.MaskOf(flow.SamplingRate, flow.SamplingSource)

// Expire is Cache.Expire, with all packets in it.
func (m *Meter) Expire(now int64, out *flow.Batch) (more bool) {
	m.feed(out)
	from := out.Len()
	more = m.cache.Expire(now, out)
	m.sign(out, from)
	return more
}

// Flush is Cache.Flush, with all packets in it.
func (m *Meter) Flush(out *flow.Batch) (more bool) {
	m.feed(out)
	from := out.Len()
	more = m.cache.Flush(out)
	m.sign(out, from)
	return more
}
