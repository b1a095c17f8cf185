// Package sflow decodes sFlow version 5 datagrams straight into the columns of
// a flow.Batch. It is called by collect, which knows who sent the datagram.
//
// Each flow sample becomes one row: one packet, and the bytes of its IP packet
// (layer 3; of the frame behind its Ethernet and VLAN headers if it isn't IP;
// other collectors count the whole frame, its check sequence included).
// The packet's columns come from the sample's raw header through wire/packet,
// or from its own records. Interface counters are kept in the Message.
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
	ErrVersion = errors.New("not sFlow v5")
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

// Decode appends a row to b for each flow sample of the datagram, and fills m.
// received is in milliseconds; a sample has no time of its own, so it is also
// the row's start and end. It does not set the exporter. After an error
// nothing was appended.
func Decode(datagram []byte, received int64, b *flow.Batch, m *Message) error {
	var d Decoder
	return d.Decode(datagram, received, b, m)
}

// Decoder is how to decode. Its zero value is fit for use, and it may be used
// by several goroutines at once.
type Decoder struct {
	// MaxSamples bounds the samples of a datagram that are decoded; the rest
	// is left and counted as SamplesOverLimit. 0 means 1000: more than fit a
	// UDP datagram with a packet's header each.
	MaxSamples int
}

const defaultMaxSamples = 1000

// Decode is as the package's Decode.
func (c *Decoder) Decode(datagram []byte, received int64, b *flow.Batch, m *Message) error {
	m.reset()
	m.Protocol = flow.SFlow5
	m.First = b.Len()
	d := reader{datagram, true}
	if version := d.uint32(); d.ok && version != 5 {
		return fmt.Errorf("sflow: version %d is %w", version, ErrVersion)
	}
	kind := d.uint32()
	if d.ok && kind > 2 {
		return fmt.Errorf("sflow: agent address type %d is %w", kind, ErrAgent)
	}
	m.Agent, _ = d.address(kind)
	m.SubAgent = d.uint32()
	m.Sequence = d.uint32()
	m.SysUptime = d.uint32()
	count := d.uint32()
	if !d.ok {
		return fmt.Errorf("sflow: a datagram of %d bytes is %w", len(datagram), ErrShort)
	}
	limit := c.MaxSamples
	if limit <= 0 {
		limit = defaultMaxSamples
	}
	if over := len(d.rest) / 8; count > uint32(limit) && over > limit {
		m.Problems[SamplesOverLimit]++
	}
	m.decode(b, d.rest, min(count, uint32(limit)), received)
	return nil
}

// decode takes the samples apart. Rows are made once for all of them, since
// growing a batch costs per column.
func (m *Message) decode(b *flow.Batch, samples []byte, count uint32, received int64) {
	rows := flowSamples(samples, count)
	if rows > 0 {
		b.Extend(rows)
	}
	row := m.First
	for ; count > 0 && len(samples) >= 8; count-- {
		format := binary.BigEndian.Uint32(samples)
		var body []byte
		body, samples = m.cut(samples, 0, SampleTruncated)
		switch format {
		case flowSample, expandedFlowSample:
			if m.flowSample(b, row, body, format == expandedFlowSample, received) {
				row++
			}
		case counterSample, expandedCounterSample:
			m.counterSample(body, format == expandedCounterSample)
		case discardSample:
			m.Discards = append(m.Discards, Discard{})
		default:
			m.Problems[SampleUnknown]++
		}
	}
	m.Flows = row - m.First
	if m.Flows < rows {
		b.Truncate(row)
	}
	if count > 0 {
		m.Problems[CountMismatch]++
	} else if len(samples) > 0 {
		m.Problems[TrailingBytes]++
	}
}

// flowSamples counts the flow samples among the first count samples.
func flowSamples(samples []byte, count uint32) (n int) {
	for ; count > 0 && len(samples) >= 8; count-- {
		format := binary.BigEndian.Uint32(samples)
		if format == flowSample || format == expandedFlowSample {
			n++
		}
		_, samples = clip(samples[8:], binary.BigEndian.Uint32(samples[4:]))
	}
	return n
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

// The columns that a flow sample always sets.
var sampleColumns = flow.MaskOf(flow.Received, flow.ExportProtocol, flow.ObservationDomain, flow.Start, flow.End, flow.Packets, flow.Bytes)

var rateColumns = flow.MaskOf(flow.SamplingRate, flow.SamplingSource)

// flowSample decodes a flow sample into row i, unless it is too short to be one.
func (m *Message) flowSample(b *flow.Batch, i int, body []byte, expanded bool, received int64) bool {
	var s Sample
	var in, out port
	var records []byte
	var count uint32
	switch word := func(n int) uint32 { return binary.BigEndian.Uint32(body[4*n:]) }; {
	case expanded && len(body) >= 44:
		s = Sample{Row: i, Sequence: word(0), Source: Source{word(1), word(2)}, Rate: word(3), Pool: word(4), Drops: word(5)}
		in, out = port{word(6), word(7)}, port{word(8), word(9)}
		count, records = word(10), body[44:]
	case !expanded && len(body) >= 32:
		s = Sample{Row: i, Sequence: word(0), Source: sourceOf(word(1)), Rate: word(2), Pool: word(3), Drops: word(4)}
		in, out = portOf(word(5)), portOf(word(6))
		count, records = word(7), body[32:]
	default:
		m.Problems[SampleTruncated]++
		return false
	}
	m.Samples = append(m.Samples, s)

	b.Time(flow.Received)[i] = received
	b.Time(flow.Start)[i] = received
	b.Time(flow.End)[i] = received
	b.U8(flow.ExportProtocol)[i] = flow.SFlow5
	b.U32(flow.ObservationDomain)[i] = m.SubAgent
	b.U64(flow.Packets)[i] = 1
	present := &b.Present[i]
	present.Or(sampleColumns)
	if s.Rate > 0 {
		b.U32(flow.SamplingRate)[i] = s.Rate
		b.U8(flow.SamplingSource)[i] = flow.SamplingRecord
		present.Or(rateColumns)
	} else {
		m.Problems[SamplingRateZero]++
	}
	interfaces(b, i, s.Source, in, out)
	m.flowRecords(b, i, records, count)
	return true
}

// port is an interface as samples name it: by its ifIndex, or by a reason
// why there is no single one.
type port struct{ format, value uint32 }

// portOf takes the two numbers out of one, as unexpanded samples have it.
func portOf(v uint32) port { return port{format: v >> 30, value: v & 0x3fffffff} }

// Formats of a port, and the value of format 0 that means the device itself.
const (
	portIfIndex   = 0
	portDiscarded = 1
	internal      = 0x3fffffff
)

// dropped is the forwarding status of a packet dropped for an unstated reason.
const dropped = 128

// interfaces sets the columns of the sample's way through the device. An
// ifIndex of 0 means "unknown" here and is left absent; the device itself and
// the discarded packet's output are 0, as in NetFlow.
func interfaces(b *flow.Batch, i int, source Source, in, out port) {
	present := &b.Present[i]
	if in.format == portIfIndex && in.value != 0 {
		if in.value != internal {
			b.U32(flow.InIf)[i] = in.value
		}
		present.Add(flow.InIf)
	}
	switch {
	case out.format == portIfIndex && out.value != 0:
		if out.value != internal {
			b.U32(flow.OutIf)[i] = out.value
		}
		present.Add(flow.OutIf)
	case out.format == portDiscarded:
		b.U8(flow.ForwardingStatus)[i] = dropped
		present.Add(flow.OutIf)
		present.Add(flow.ForwardingStatus)
	}
	if source.Class != 0 || in == out {
		return
	}
	switch at := (port{portIfIndex, source.Index}); at {
	case in:
		present.Add(flow.Direction) // ingress is 0
	case out:
		b.U8(flow.Direction)[i] = flow.Egress
		present.Add(flow.Direction)
	}
}

// counterSample keeps the generic counters of a counter sample.
func (m *Message) counterSample(body []byte, expanded bool) {
	m.CounterSamples++
	d := reader{body, true}
	c := InterfaceCounters{Origin: Origin{Sequence: d.uint32(), Source: d.source(expanded)}}
	count := d.uint32()
	if !d.ok {
		m.Problems[SampleTruncated]++
		return
	}
	records := d.rest
	for ; count > 0 && len(records) >= 8; count-- {
		const generic, size = 1, 88
		if binary.BigEndian.Uint32(records) != generic {
			_, records = m.cut(records, 0, RecordTruncated)
			m.Problems[RecordSkipped]++
			continue
		}
		var record []byte
		record, records = m.cut(records, size, RecordTruncated)
		d := reader{record, true}
		c.IfIndex, c.IfType, c.Speed = d.uint32(), d.uint32(), d.uint64()
		c.Direction, c.Status = d.uint32(), d.uint32()
		c.InOctets = d.uint64()
		c.InUnicast, c.InMulticast, c.InBroadcast = d.uint32(), d.uint32(), d.uint32()
		c.InDiscards, c.InErrors, c.InUnknown = d.uint32(), d.uint32(), d.uint32()
		c.OutOctets = d.uint64()
		c.OutUnicast, c.OutMulticast, c.OutBroadcast = d.uint32(), d.uint32(), d.uint32()
		c.OutDiscards, c.OutErrors = d.uint32(), d.uint32()
		c.IsPromiscuous = d.uint32()
		if !d.ok {
			continue
		}
		m.Counters.Interfaces = append(m.Counters.Interfaces, c)
	}
	m.recordsEnd(count, records)
}

// recordsEnd counts what does not add up behind a sample's last record.
func (m *Message) recordsEnd(missing uint32, rest []byte) {
	if missing > 0 {
		m.Problems[RecordTruncated]++
	} else if len(rest) > 0 {
		m.Problems[SampleRemainder]++
	}
}

// linkOf gives the link type of a raw header's protocol.
func linkOf(headerProtocol uint32) (packet.Link, bool) {
	switch headerProtocol {
	case 1:
		return packet.Ethernet, true
	case 7:
		return packet.PPP, true
	case 11:
		return packet.IPv4, true
	case 12:
		return packet.IPv6, true
	case 13:
		return packet.MPLS, true
	}
	return 0, false
}
