package simulate

import (
	"math"
	"sync"
	"time"
)

// Truth is what really happened, minute by minute. It may be read while the
// network is stepped.
type Truth struct {
	mu      sync.Mutex
	keep    int
	minutes []*Minute
}

// Minutes are the minutes that are kept, the oldest first.
func (t *Truth) Minutes() []*Minute {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]*Minute(nil), t.minutes...)
}

// Between sums up the minutes that begin in [from, to).
func (t *Truth) Between(from, to time.Time) *Minute {
	var sum *Minute
	for _, m := range t.Minutes() {
		if m.Start.Before(from) || !m.Start.Before(to) {
			continue
		}
		if sum == nil {
			sum = m.blank()
			sum.Length = 0
		}
		sum.add(m)
	}
	return sum
}

func (t *Truth) push(m *Minute) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.minutes) >= t.keep {
		t.minutes = append(t.minutes[:0], t.minutes[len(t.minutes)-t.keep+1:]...)
	}
	t.minutes = append(t.minutes, m)
}

// Count is packets and their bytes (layer 3), and what sampling lets one know
// of them: the variances of the estimates Σ rate and Σ rate × length over sampled
// packets, where each is chosen with the probability 1/rate: for a packet of b
// bytes (rate-1)·b².
type Count struct {
	Packets, Bytes       uint64
	PacketsVar, BytesVar float64
}

func (c *Count) add(o *Count) {
	c.Packets += o.Packets
	c.Bytes += o.Bytes
	c.PacketsVar += o.PacketsVar
	c.BytesVar += o.BytesVar
}

// Error is the relative error that an estimate of the bytes stays within in 95
// of 100 cases.
func (c *Count) Error() float64 { return 1.96 * math.Sqrt(c.BytesVar) / float64(c.Bytes) }

// PacketsError is Error for packets.
func (c *Count) PacketsError() float64 { return 1.96 * math.Sqrt(c.PacketsVar) / float64(c.Packets) }

// Flow is what went through an interface in one direction.
type Flow struct {
	Count
	Octets         uint64 // layer 2, as the interface counts them
	DroppedPackets uint64 // of what came in: dropped by this router
	DroppedBytes   uint64
}

func (f *Flow) add(o *Flow) {
	f.Count.add(&o.Count)
	f.Octets += o.Octets
	f.DroppedPackets += o.DroppedPackets
	f.DroppedBytes += o.DroppedBytes
}

// Minute is the truth of a minute, or of several. What is not of an interface is
// of the network's boundary: of packets that came in by an external interface,
// each counted once, wherever it went; errors are those of its ingress router's
// sampling. Entries of tables belong to the names of the world.
type Minute struct {
	Start  time.Time
	Length time.Duration

	// In + Originated = Out + Dropped + Consumed.
	In         Count // came into the network by external interfaces
	Out        Count // left it by them; errors as if egress were metered
	Originated Count // of Out: routers themselves sent it
	Dropped    Count // of In
	Consumed   Count // of In: was for the routers themselves

	world *Network

	indexes                []uint32  // ifIndex, by interface
	interfaces             [][2]Flow // in, out
	applications           []Count
	protocols              []Count // 256
	sizes                  []Count
	srcAS, dstAS           []Count
	srcCountry, dstCountry []Count
	customers              [][2]Count // to the customer, from it
	srcPrefix, dstPrefix   []Count
}
