package sflow

import "github.com/minamo-flow/minamo/flow"

// Message is what a datagram says besides its flow records. It is the
// caller's, to be reused: Decode resets it and keeps its room.
type Message struct {
	Agent     flow.Addr // the device's own idea of its address; zero if it names none
	SubAgent  uint32
	Sequence  uint32 // counts the sub-agent's datagrams
	SysUptime uint32 // milliseconds

	First, Flows int // rows [First, First+Flows) were appended to the batch

	Samples        []Sample   // one for each row, in the same order
	Counters       []Counters // interface counters
	CounterSamples int
	Discards       int // discarded-packet samples (format 5); counted, not yet kept

	Problems [NumProblems]uint32 // what was wrong, or not understood, by kind
}

// Sample is the header of a flow sample: what it takes to find lost samples
// and to check the sampling rate. The effective rate over a while is the
// increase of Pool over the increase of Sequence, while Drops stands still.
type Sample struct {
	Source   Source
	Sequence uint32 // counts the source's flow samples
	Rate     uint32 // one packet in this many
	Pool     uint32 // packets that could have been sampled, so far
	Drops    uint32 // samples lost in the device, so far
}

// Source is a data source of an agent.
type Source struct {
	Class uint32 // 0 ifIndex, 1 smonVlanDataSource, 2 entPhysicalEntry
	Index uint32
}

// Counters are the generic counters of an interface (sFlow v5 §5.4,
// if_counters): those of IF-MIB, which wrap. A counter the agent doesn't have
// is all ones.
type Counters struct {
	Source        Source
	Sequence      uint32 // counts the source's counter samples
	IfIndex       uint32
	IfType        uint32 // IANAifType
	Speed         uint64 // bit/s
	Direction     uint32 // 0 unknown, 1 full duplex, 2 half duplex, 3 in, 4 out
	Status        uint32 // bit 0: admin up, bit 1: oper up
	InOctets      uint64
	InUnicast     uint32
	InMulticast   uint32
	InBroadcast   uint32
	InDiscards    uint32
	InErrors      uint32
	InUnknown     uint32 // packets of unknown protocols
	OutOctets     uint64
	OutUnicast    uint32
	OutMulticast  uint32
	OutBroadcast  uint32
	OutDiscards   uint32
	OutErrors     uint32
	IsPromiscuous uint32
}

func (m *Message) reset() {
	*m = Message{Samples: m.Samples[:0], Counters: m.Counters[:0]}
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
