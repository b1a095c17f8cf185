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

// Add adds what another count has.
func (c *Count) Add(o *Count) {
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
	f.Count.Add(&o.Count)
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

// Stream is what came into the network in a minute of one application, from one
// prefix to another: as much as is certain of packets of which nobody samples most.
// A packet's very addresses, its client's port, its flags and the flow that it
// belongs to are decided when it is sampled. Errors are as in Minute's tables.
type Stream struct {
	Application string
	Protocol    uint8
	Port        uint16 // the server's, 0 where the protocol has none
	Ports       bool   // there are many, from Port on
	ICMPType    uint8
	TOS         uint8
	From, To    Prefix

	In     *Interface // by which it came
	Out    *Interface // by which it left that router; nil: it did not
	Status uint8      // what became of it there: forwarding status (RFC 7270)
	PrevAS uint32     // neighbour AS by which it came into the network; 0: none
	NextAS uint32     // neighbour AS to which it is routed out of it
	Parts  []Part
	Count
}

// Part is the packets of a Stream of which the lengths (layer 3) are spread evenly
// between two.
type Part struct {
	Shortest, Longest uint32
	Count
}

// set makes it say what a stream of the simulation has in this minute.
func (t *Stream) set(s *stream) {
	a, w := s.relation.app, &s.path[0]
	*t = Stream{
		Application: a.name, Protocol: a.protocol, Port: a.port, Ports: a.ranges, ICMPType: a.icmp[s.dir], TOS: a.tos,
		From: s.from.Prefix, To: s.to.Prefix, In: w.in, Out: w.out, Status: uint8(forwarded), PrevAS: w.in.peerAS, Parts: t.Parts[:0],
	}
	if s.reach == 1 {
		t.Status = uint8(s.end)
		if s.end.dropped() {
			t.Out = nil
		}
	}
	if out := s.path[len(s.path)-1].out; out != nil {
		t.NextAS = out.peerAS
	}
	for i, p := range s.mix {
		if s.packets[i] > 0 {
			c := s.part(i)
			t.Parts = append(t.Parts, Part{p.lo, p.hi, c})
			t.Count.Add(&c)
		}
	}
}
