package budget

import "math"

// Size tells which share of an exporter's flow records were made of how many
// sampled packets.
type Size struct {
	Packets float64
	Share   float64
}

// Sizes are those of an exporter's flow records; the shares add up to 1. None
// stands for records of one packet each.
type Sizes []Size

// Left is the part of the flow records that is left when the sampling gets f
// times as coarse (f ≥ 1).
//
// Of a record's n packets each stays with the probability 1/f. The record is
// gone when none does, so (1-1/f)ⁿ of such records are gone. Where sampling is
// coarse for the traffic, nearly all records are of one packet, and halving the
// sampling halves the records. An elephant's record stays, with half its
// packets: the more of those, the less a coarser rate helps. sFlow's samples are
// one packet each, always.
//
// What this leaves out: packets of a flow lie farther apart when fewer are
// sampled, so that the inactive timer ends more flows between them. A few more
// records are left then, and never more than one for each packet.
func (s Sizes) Left(f float64) float64 {
	if f <= 1 {
		return 1
	}
	if len(s) == 0 {
		return 1 / f
	}
	gone := 0.0
	for _, size := range s {
		gone += size.Share * math.Pow(1-1/f, max(size.Packets, 1))
	}
	return 1 - gone
}

// Mean is the mean number of sampled packets of a record.
func (s Sizes) Mean() float64 {
	if len(s) == 0 {
		return 1
	}
	mean := 0.0
	for _, size := range s {
		mean += size.Share * max(size.Packets, 1)
	}
	return mean
}
