package rollup

import (
	"encoding/binary"
	"math"
	"math/bits"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/services"
)

// row is a flow, ready to be spread.
type row struct {
	batch          *flow.Batch
	index          int
	start, end     int64  // milliseconds; end is not before start
	packets, bytes uint64 // times the sampling rate
	variance       uint64 // of packets, for they are estimated from samples
}

func rowOf(b *flow.Batch, i int) row {
	r := row{batch: b, index: i, start: b.Time(flow.Start)[i], packets: b.U64(flow.Packets)[i], bytes: b.U64(flow.Bytes)[i]}
	r.end = max(r.start, b.Time(flow.End)[i])
	if rate := b.U32(flow.SamplingRate)[i]; rate != 1 {
		r.packets, r.bytes = scaled(r.packets, rate), scaled(r.bytes, rate)
		r.variance = scaled(r.packets, max(rate, 1)-1)
	}
	return r
}

// scaled is a counter times its sampling rate, or the greatest number.
func scaled(counter uint64, rate uint32) uint64 {
	high, low := bits.Mul64(counter, uint64(rate))
	if high != 0 {
		return math.MaxUint64
	}
	return low
}

// before is how much of a counter that grows evenly over the flow's time is
// there before a moment.
func (r *row) before(counter uint64, t int64) uint64 {
	switch {
	case t <= r.start:
		return 0
	case t >= r.end:
		return counter
	}
	high, low := bits.Mul64(counter, uint64(t-r.start))
	part, _ := bits.Div64(high, low, uint64(r.end-r.start))
	return part
}

func (r *row) has(c flow.Column) bool { return r.batch.Present[r.index].Has(c) }

func deriveApp(r *row) (uint64, bool) {
	if !r.has(flow.Protocol) {
		return 0, false
	}
	return uint64(services.Of(r.batch.U8(flow.Protocol)[r.index],
		r.batch.U16(flow.SrcPort)[r.index], r.batch.U16(flow.DstPort)[r.index], r.has(flow.SrcPort), r.has(flow.DstPort))), true
}

// PacketSizes are the ranges of packet sizes: each ends before one of these
// and begins at the one before it; the last has no end. They are the usual
// histogram up to Ethernet's MTU.
var PacketSizes = []uint64{64, 128, 256, 512, 1024, 1501}

func derivePacketSize(r *row) (uint64, bool) {
	if r.packets == 0 {
		return 0, false
	}
	return lowerBound(PacketSizes, r.bytes/r.packets), true
}

// Durations are the ranges of durations in milliseconds, likewise.
var Durations = []uint64{1, 100, 1000, 10_000, 60_000, 300_000, 1_800_000}

func deriveDuration(r *row) (uint64, bool) {
	return lowerBound(Durations, uint64(r.end-r.start)), true
}

// lowerBound is the beginning of the range that a value is in.
func lowerBound(ends []uint64, v uint64) (begin uint64) {
	for _, end := range ends {
		if v < end {
			break
		}
		begin = end
	}
	return begin
}

func deriveIPVersion(r *row) (uint64, bool) {
	if !r.has(flow.SrcAddr) {
		return 0, false
	}
	a := &r.batch.Addr(flow.SrcAddr)[r.index]
	if binary.BigEndian.Uint64(a[:8]) == 0 && binary.BigEndian.Uint32(a[8:]) == mapped {
		return 4, true
	}
	return 6, true
}
