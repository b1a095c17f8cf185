package collect

import "github.com/minamo-flow/minamo/flow"

const (
	// aheadLimit is how far in the future a flow may end, by our clock: a
	// device whose clock runs a little fast is believed.
	aheadLimit = 10 * 60 * 1000

	// earliest is 2000-01-01. A flow before it comes from a device whose clock
	// was never set (Cisco boots in 1993, others in 1970). A recording of any
	// real network is younger, and keeps its own times.
	earliest = 946_684_800_000

	// latest keeps differences within 64 bits.
	latest = 1 << 62

	// longest is the 49.7 days after which sysUptime wraps: no NetFlow can
	// tell of a longer flow.
	longest = 1 << 32
)

// clampTimes mends the rows [from, to) whose times cannot be true and returns
// how many: a flow that ends in the future, or before flow export existed,
// is moved to end when it was received, keeping its duration; one that ends before
// it starts, or lasts longer than sysUptime can tell, has no duration.
func clampTimes(b *flow.Batch, from, to int) (clamped uint64) {
	start, end, received := b.Time(flow.Start), b.Time(flow.End), b.Time(flow.Received)
	for i := from; i < to; i++ {
		first, last := start[i], end[i]
		if first >= earliest && last <= received[i]+aheadLimit && first <= last && last-first <= longest {
			continue
		}
		clamped++
		// Only of times that can be does a difference mean something.
		duration := int64(0)
		if first >= 0 && last <= latest && first <= last && last-first <= longest {
			duration = last - first
		}
		if last > received[i]+aheadLimit || last < earliest {
			last = received[i]
		}
		start[i], end[i] = max(last-duration, earliest), last
	}
	return clamped
}
