// Package sflow decodes sFlow datagrams of versions 2, 4 (RFC 3176) and 5
// straight into the columns of a flow.Batch, and encodes those of version 5.
// It is called by collect, which knows who sent the datagram, and the encoder
// by the probe and the simulator.
//
// # The protocol
//
// An sFlow agent is a switch, router or host. It looks at one packet in so
// many at each of its data sources (mostly interfaces), cuts off its first
// bytes, commonly 128, adds what it knows of the packet's way (interfaces,
// VLANs, routes), and sends that at once: there is no flow cache, and a sample
// is one packet. It also sends its interfaces' counters from time to time, and
// may tell of packets it discarded. A datagram is a header and a list of
// samples; a sample has a header and a list of records. From version 5 on each
// has its format's number and its length in front, so that what is unknown can
// be passed over; before, an unknown number ends the datagram.
//
// # What becomes of it
//
// Each flow sample becomes one row: one packet, the sampling rate, and the
// bytes of its IP packet (layer 3; of the frame behind its Ethernet and VLAN
// headers if it isn't IP; other collectors count the whole frame, its check
// sequence included). The packet's columns come from the sample's raw header
// through wire/packet, or from its own records; extended records add VLANs, next
// hop, AS path, communities, users, labels, NAT, queue and access lists.
//
// Each discard notification becomes a row too: one packet, seen itself and not
// as one of many, with a forwarding_status that says dropped and the drop_reason.
//
// Counters are kept in the Message.
//
// # Promises
//
// Decoding has no state, does no I/O and, once a Message has grown, no
// allocation; it takes time linear in the datagram's length. Lengths that lie
// are clipped to what is there and counted; decoding goes on with the rest.
package sflow

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/wire/packet"
)

// Why a whole datagram could not be used.
var (
	ErrShort   = errors.New("shorter than its header")
	ErrVersion = errors.New("not one of sFlow's 2, 4 and 5")
	ErrAgent   = errors.New("neither none, IPv4 nor IPv6")
)

// Formats of samples, enterprise 0.
const (
	flowSample = iota + 1
	counterSample
	expandedFlowSample
	expandedCounterSample
	discardSample
)

// Decoder is how to decode. Its zero value is fit for use, and it may be used
// by several goroutines at once.
type Decoder struct {
	// Packet reads the sampled packets' headers. nil is plain: no tunnels are
	// entered.
	Packet *packet.Parser

	// MaxSamples bounds the samples of a datagram that are decoded; the rest
	// is left and counted as SamplesOverLimit. 0 means 1000: more than fit a
	// UDP datagram with a packet's header each.
	MaxSamples int
}

const defaultMaxSamples = 1000

// Decode is Decoder's, with its zero value.
func Decode(datagram []byte, received int64, b *flow.Batch, m *Message) error {
	var c Decoder
	return c.Decode(datagram, received, b, m)
}

// Decode appends a row to b for each flow sample and each discard notification
// of the datagram, and fills m. received is in milliseconds; a sample without
// a time of its own has it as its start and end, too. Decode does not set the
// exporter. After an error nothing was appended.
func (c *Decoder) Decode(datagram []byte, received int64, b *flow.Batch, m *Message) error {
	m.reset()
	m.First = b.Len()
	d := reader{datagram, true}
	version := d.uint32()
	switch version {
	case 2:
		m.Protocol = flow.SFlow2
	case 4:
		m.Protocol = flow.SFlow4
	case 5:
		m.Protocol = flow.SFlow5
	default:
		if d.ok {
			return fmt.Errorf("sflow: version %d is %w", version, ErrVersion)
		}
	}
	kind := d.uint32()
	if d.ok && kind > 2 {
		return fmt.Errorf("sflow: agent address type %d is %w", kind, ErrAgent)
	}
	m.Agent, _ = d.address(kind)
	if version == 5 {
		m.SubAgent = d.uint32()
	}
	m.Sequence = d.uint32()
	m.SysUptime = d.uint32()
	count := d.uint32()
	if !d.ok {
		return fmt.Errorf("sflow: a datagram of %d bytes is %w", len(datagram), ErrShort)
	}

	limit := uint32(defaultMaxSamples)
	if c.MaxSamples > 0 {
		limit = uint32(c.MaxSamples)
	}
	r := run{Message: m, b: b, packet: c.Packet, received: received, version: version}
	var missing uint32
	if version == 5 {
		missing = r.samples(&d, min(count, limit))
	} else {
		missing = r.oldSamples(&d, min(count, limit))
	}
	m.Flows = b.Len() - m.First
	switch {
	case r.lost: // and counted
	case missing > 0:
		m.Problems[CountMismatch]++
	case count > limit && len(d.rest) > 0:
		m.Problems[SamplesOverLimit]++
	case count > limit:
		m.Problems[CountMismatch]++
	case len(d.rest) > 0:
		m.Problems[TrailingBytes]++
	}
	return nil
}

// run is the decoding of one datagram.
type run struct {
	*Message
	b        *flow.Batch
	packet   *packet.Parser
	received int64
	version  uint32
	stacks   stacks
	lost     bool // the rest can't be found (before version 5)
}

// samples decodes count samples of version 5 and tells how many are missing.
func (r *run) samples(d *reader, count uint32) (missing uint32) {
	for ; count > 0 && len(d.rest) >= 8; count-- {
		format := binary.BigEndian.Uint32(d.rest)
		var body []byte
		body, d.rest = r.cut(d.rest, 0, SampleTruncated)
		switch format {
		case flowSample, expandedFlowSample:
			r.flowSample(body, format == expandedFlowSample)
		case counterSample, expandedCounterSample:
			r.counterSample(body, format == expandedCounterSample)
		case discardSample:
			r.discardSample(body)
		default:
			r.skip(SampleFormat, format)
			r.Problems[SampleUnknown]++
		}
	}
	return count
}

// cut splits the body of a structure (its format, its length, its body, padded
// to four bytes) off the front of p, which has eight bytes at least. A body
// that p doesn't hold is clipped, and counted as the given problem. One that
// claims less than its format's fixed size lies: its format shows where it ends.
func (m *Message) cut(p []byte, fixed uint32, truncated Problem) (body, rest []byte) {
	size := binary.BigEndian.Uint32(p[4:])
	if size < fixed {
		m.Problems[RecordShort]++
		size = fixed
	}
	body, rest = clip(p[8:], size)
	if uint32(len(body)) < size {
		m.Problems[truncated]++
	}
	return body, rest
}

// clip takes size bytes and their padding off the front of p, or what there is.
func clip(p []byte, size uint32) (body, rest []byte) {
	if uint64(size) >= uint64(len(p)) {
		return p, nil
	}
	padded := min((int(size)+3)&^3, len(p))
	return p[:size], p[padded:]
}

// recordsEnd counts what does not add up behind a sample's last record.
func (m *Message) recordsEnd(missing uint32, rest []byte) {
	if missing > 0 {
		m.Problems[RecordTruncated]++
	} else if len(rest) > 0 {
		m.Problems[SampleRemainder]++
	}
}

// The columns that a row always has.
var rowColumns = flow.MaskOf(flow.Received, flow.ExportProtocol, flow.ObservationDomain, flow.Start, flow.End, flow.Packets, flow.Bytes)

var rateColumns = flow.MaskOf(flow.SamplingRate, flow.SamplingSource)

// row appends the row of a packet that is one of rate.
func (r *run) row(rate uint32) int {
	b := r.b
	i := b.Extend(1)
	b.Time(flow.Received)[i] = r.received
	b.Time(flow.Start)[i] = r.received
	b.Time(flow.End)[i] = r.received
	b.U8(flow.ExportProtocol)[i] = r.Protocol
	b.U32(flow.ObservationDomain)[i] = r.SubAgent
	b.U64(flow.Packets)[i] = 1
	present := &b.Present[i]
	present.Or(rowColumns)
	if rate == 0 {
		r.Problems[SamplingRateZero]++
		return i
	}
	b.U32(flow.SamplingRate)[i] = rate
	b.U8(flow.SamplingSource)[i] = flow.SamplingRecord
	present.Or(rateColumns)
	return i
}

// flowSample decodes a flow sample into a row, unless it is too short to be one.
func (r *run) flowSample(body []byte, expanded bool) {
	size := 32
	if expanded {
		size = 44
	}
	if len(body) < size {
		r.Problems[SampleTruncated]++
		return
	}
	word := func(n int) uint32 { return binary.BigEndian.Uint32(body[4*n:]) }
	r.Samples = append(r.Samples, Sample{})
	s := &r.Samples[len(r.Samples)-1] // filled where it is: a copy would wait for the writes
	s.Sequence = word(0)
	var in, out Port
	if expanded {
		s.Source = Source{word(1), word(2)}
		s.Rate, s.Pool, s.Drops = word(3), word(4), word(5)
		in, out = Port{word(6), word(7)}, Port{word(8), word(9)}
	} else {
		s.Source = sourceOf(word(1))
		s.Rate, s.Pool, s.Drops = word(2), word(3), word(4)
		in, out = portOf(word(5)), portOf(word(6))
	}
	s.Row = r.row(s.Rate)
	r.interfaces(s.Row, s.Source, in, out)
	r.flowRecords(s.Row, body[size:], word(size/4-1))
}

// Port is an interface as samples name it: by its ifIndex, or by a reason why
// there is no single one. The zero Port is unknown.
type Port struct {
	Format uint32 // PortIfIndex, PortDiscarded or PortSeveral
	Value  uint32
}

// Formats of a Port.
const (
	PortIfIndex   = 0 // Value is an ifIndex, or Internal
	PortDiscarded = 1 // the packet went nowhere: Value is the reason
	PortSeveral   = 2 // Value is how many interfaces it went to, 0 if that is unknown
)

// Internal stands in an ifIndex's place for the device itself.
const Internal = 0x3fffffff

// portOf takes the two numbers out of one, as unexpanded samples have it.
func portOf(v uint32) Port { return Port{Format: v >> 30, Value: v & 0x3fffffff} }

// interfaces sets the columns of the sample's way through the device. An
// ifIndex of 0 means "unknown" here and is left absent; the device itself and
// the discarded packet's output are 0, as in NetFlow.
func (r *run) interfaces(i int, source Source, in, out Port) {
	b := r.b
	present := &b.Present[i]
	if in.Format == PortIfIndex && in.Value != 0 {
		if in.Value != Internal {
			b.U32(flow.InIf)[i] = in.Value
		}
		present.Add(flow.InIf)
	}
	switch {
	case out.Format == PortIfIndex && out.Value != 0:
		if out.Value != Internal {
			b.U32(flow.OutIf)[i] = out.Value
		}
		present.Add(flow.OutIf)
	case out.Format == PortDiscarded:
		present.Add(flow.OutIf)
		discarded(b, i, out.Value)
	}
	if source.Class != 0 || source.Index == 0 || in == out {
		return
	}
	switch at := (Port{PortIfIndex, source.Index}); at {
	case in:
		present.Add(flow.Direction) // ingress is 0
	case out:
		b.U8(flow.Direction)[i] = flow.Egress
		present.Add(flow.Direction)
	}
}

// Header protocols: what a sampled packet's first header is. The others of the
// specification (token ring, frame relay, 802.11 …) are passed over.
const (
	HeaderEthernet = 1
	HeaderPPP      = 7
	HeaderAAL5IP   = 10 // IP, with nothing between it and ATM
	HeaderIPv4     = 11
	HeaderIPv6     = 12
	HeaderMPLS     = 13
	HeaderPOS      = 14 // PPP in HDLC-like framing (RFC 2615)
)

// linkOf gives the link type of a raw header's protocol.
func linkOf(headerProtocol uint32) (packet.Link, bool) {
	switch headerProtocol {
	case HeaderEthernet:
		return packet.Ethernet, true
	case HeaderPPP, HeaderPOS:
		return packet.PPP, true
	case HeaderAAL5IP:
		return packet.Raw, true
	case HeaderIPv4:
		return packet.IPv4, true
	case HeaderIPv6:
		return packet.IPv6, true
	case HeaderMPLS:
		return packet.MPLS, true
	}
	return 0, false
}
