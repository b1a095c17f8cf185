package collect

import (
	"sync"

	"github.com/minamo-flow/minamo/flow"
)

// meterSeconds is how far back a Meter looks.
const meterSeconds = 60

// Meter keeps what was received in each of the last seconds, scaled by the
// sampling rate: the "now" of the console. The zero value is ready.
type Meter struct {
	mu      sync.Mutex
	seconds [meterSeconds + 1]meterSecond // by second modulo length; the running one is not read
	first   int64                         // second of the first batch ever
}

type meterSecond struct {
	at                    int64
	flows, packets, bytes uint64
}

// Rates are means per second over the last Window full seconds.
type Rates struct {
	Window                int // seconds; shorter than a minute just after the start
	Flows, Packets, Bytes float64
}

func (m *Meter) add(second int64, b *flow.Batch) {
	var packets, bytes uint64
	counted, octets, rates := b.U64(flow.Packets), b.U64(flow.Bytes), b.U32(flow.SamplingRate)
	for i, rate := range rates {
		packets += counted[i] * uint64(rate)
		bytes += octets[i] * uint64(rate)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.first == 0 {
		m.first = second
	}
	slot := &m.seconds[second%int64(len(m.seconds))]
	if slot.at != second {
		*slot = meterSecond{at: second}
	}
	slot.flows += uint64(b.Len())
	slot.packets += packets
	slot.bytes += bytes
}

// Rates returns the means over the full seconds before the given one.
func (m *Meter) Rates(second int64) Rates {
	m.mu.Lock()
	defer m.mu.Unlock()
	var sum meterSecond
	for _, s := range m.seconds {
		if s.at < second && s.at >= second-meterSeconds {
			sum.flows += s.flows
			sum.packets += s.packets
			sum.bytes += s.bytes
		}
	}
	window := int64(meterSeconds)
	if m.first != 0 {
		window = min(window, max(second-m.first, 1))
	}
	w := float64(window)
	return Rates{Window: int(window), Flows: float64(sum.flows) / w, Packets: float64(sum.packets) / w, Bytes: float64(sum.bytes) / w}
}
