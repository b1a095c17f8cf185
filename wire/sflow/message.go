package sflow

import (
	"fmt"

	"github.com/minamo-flow/minamo/flow"
)

// Message is what a datagram says besides its flow records. It is the
// caller's, to be reused: Decode resets it and keeps its room. What it says of
// texts lies inside the datagram.
type Message struct {
	Protocol  uint8     // flow.SFlow2, flow.SFlow4 or flow.SFlow5
	Agent     flow.Addr // the device's own idea of its address; zero if it names none
	SubAgent  uint32    // 0 before version 5
	Sequence  uint32    // counts the sub-agent's datagrams
	SysUptime uint32    // milliseconds

	First, Flows int // rows [First, First+Flows) were appended to the batch

	Samples  []Sample  // the headers of flow samples, in the order of their rows
	Discards []Discard // those of discard notifications

	CounterSamples int
	Counters       Counters // what was in them

	Skipped  []Skipped           // formats of records that were passed over
	Problems [NumProblems]uint32 // what was wrong, or not understood, by kind

	text []byte // room for a text column's value
}

// Sample is the header of a flow sample: what it takes to find lost samples
// and to check the sampling rate. The effective rate over a while is the
// increase of Pool over the increase of Sequence, while Drops stands still.
type Sample struct {
	Row      int // in the batch
	Source   Source
	Sequence uint32 // counts the source's flow samples
	Rate     uint32 // one packet in this many
	Pool     uint32 // packets that could have been sampled, so far
	Drops    uint32 // samples lost in the device, so far
}

// Discard is the header of a discard notification. The device tells of every
// packet it discards, but of no more than so many a second: the rest is in
// Drops.
type Discard struct {
	Row      int // in the batch
	Source   Source
	Sequence uint32 // counts the source's notifications
	Drops    uint32 // notifications lost in the device, so far
	Reason   uint32 // as the row's drop_reason, which 65535 ends
}

// Source is a data source of an agent.
type Source struct {
	Class uint32 // 0 ifIndex, 1 smonVlanDataSource, 2 entPhysicalEntry, 3 logical entity
	Index uint32
}

// Skipped is a format of records that no column and no counter holds.
type Skipped struct {
	Enterprise uint32 // 0 is sFlow.org, others are IANA's private enterprise numbers
	Format     uint32
	Kind       Kind
	Count      uint32
}

// String names the format, fit for a metric's label: "Broadcom counter record 3".
func (s Skipped) String() string {
	return fmt.Sprintf("%s %s %d", enterprise(s.Enterprise), [...]string{FlowRecord: "flow record", CounterRecord: "counter record", SampleFormat: "sample"}[s.Kind], s.Format)
}

// enterprise names those who have formats of their own.
func enterprise(number uint32) string {
	switch number {
	case 0:
		return "sFlow"
	case 9:
		return "Cisco"
	case 1991:
		return "Foundry"
	case 2636:
		return "Juniper"
	case 4300:
		return "InMon"
	case 4413:
		return "Broadcom"
	case 5703:
		return "NVIDIA"
	case 6527:
		return "Nokia"
	case 25506:
		return "H3C"
	case 30065:
		return "Arista"
	case 33049:
		return "Mellanox"
	}
	return fmt.Sprintf("enterprise %d", number)
}

// Kind is where a format's number counts.
type Kind uint8

const (
	FlowRecord Kind = iota
	CounterRecord
	SampleFormat
)

// reset empties m, field by field: the counters' room is much to copy, and most
// datagrams have none.
func (m *Message) reset() {
	m.Protocol, m.Agent, m.SubAgent, m.Sequence, m.SysUptime = 0, flow.Addr{}, 0, 0, 0
	m.First, m.Flows = 0, 0
	m.Samples = m.Samples[:0]
	m.Discards = m.Discards[:0]
	m.Skipped = m.Skipped[:0]
	if m.CounterSamples > 0 {
		m.CounterSamples = 0
		m.Counters = m.Counters.emptied()
	}
	m.Problems = [NumProblems]uint32{}
}

// skip counts a structure that is passed over. What a datagram says is no
// bound on room: formats beyond the sixteenth are counted as a problem alone.
func (m *Message) skip(kind Kind, tag uint32) {
	if kind != SampleFormat {
		m.Problems[RecordSkipped]++
	}
	enterprise, format := tag>>12, tag&0xfff
	for n := range m.Skipped {
		if s := &m.Skipped[n]; s.Enterprise == enterprise && s.Format == format && s.Kind == kind {
			s.Count++
			return
		}
	}
	if len(m.Skipped) < 16 {
		m.Skipped = append(m.Skipped, Skipped{enterprise, format, kind, 1})
	}
}

// Problem is a kind of trouble smaller than a datagram.
type Problem uint8

const (
	CountMismatch    Problem = iota // the header promises more samples than there are
	TrailingBytes                   // bytes remain behind the last sample
	SampleTruncated                 // a sample claims more bytes than the datagram has, or has no room for its own header
	SampleUnknown                   // a sample of a format we don't know
	SampleRemainder                 // bytes remain behind a sample's last record
	RecordTruncated                 // a record claims more bytes than its sample has, or a header more than its record
	RecordShort                     // a record is shorter than its format
	RecordSkipped                   // a record of a format that no column holds
	HeaderMissing                   // a flow sample without a packet: its row has no addresses, and 0 bytes
	SamplingRateZero                // a flow sample says it is one of 0 packets: its rate is absent
	SamplesOverLimit                // a datagram has more samples than Decoder.MaxSamples
	NumProblems
)

var problemNames = [NumProblems]string{
	CountMismatch:    "count_mismatch",
	TrailingBytes:    "trailing_bytes",
	SampleTruncated:  "sample_truncated",
	SampleUnknown:    "sample_unknown",
	SampleRemainder:  "sample_remainder",
	RecordTruncated:  "record_truncated",
	RecordShort:      "record_short",
	RecordSkipped:    "record_skipped",
	HeaderMissing:    "header_missing",
	SamplingRateZero: "sampling_rate_zero",
	SamplesOverLimit: "samples_over_limit",
}

// String is the kind's stable name, fit for a metric's label.
func (p Problem) String() string { return problemNames[p] }

// Malformed tells whether the problem breaks the format; the others are
// matters of what the device chose to send, or of what we keep.
func (p Problem) Malformed() bool {
	switch p {
	case CountMismatch, SampleTruncated, RecordTruncated, RecordShort:
		return true
	}
	return false
}
