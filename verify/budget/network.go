package budget

import (
	"net/netip"
	"time"

	"github.com/minamo-flow/minamo/verify/quality"
)

// Network is the history of all exporters, and of the collector, of minutes that
// are given to Add in their order. NewNetwork makes one.
type Network struct {
	Collector *History
	Exporters map[netip.Addr]*History

	minute quality.Minute // of the last minute, all parts
}

// NewNetwork returns an empty one.
func NewNetwork() *Network {
	return &Network{Collector: &History{}, Exporters: map[netip.Addr]*History{}}
}

// Add takes a minute in, or a part of one: those of the same time are added up.
func (n *Network) Add(m *quality.Minute) {
	if !m.At.Equal(n.minute.At) {
		n.Settle()
		n.minute = quality.Minute{At: m.At}
	}
	n.minute.Span = max(n.minute.Span, m.Span)
	n.minute.Sockets = append(n.minute.Sockets, m.Sockets...)
	n.minute.Exporters = append(n.minute.Exporters, m.Exporters...)
}

// Settle takes in the last minute, which may have been added in part only.
func (n *Network) Settle() {
	m := &n.minute
	if m.Span <= 0 {
		return
	}
	seconds := m.Span.Seconds()
	var drops, datagrams uint64
	for _, s := range m.Sockets {
		drops += s.Drops
		datagrams += s.Datagrams
	}
	dropped := 0.0
	if drops > 0 {
		dropped = float64(drops) / float64(drops+datagrams)
	}
	type sum struct{ flows, missing float64 }
	sums := map[netip.Addr]sum{}
	var all float64
	for i := range m.Exporters {
		x := &m.Exporters[i]
		s := sums[x.Address]
		for j := range x.Domains {
			d := &x.Domains[j]
			s.flows += float64(d.Flows)
			if d.Units > 0 { // as many flows in each unit that is missing
				s.missing += float64(d.Flows) / float64(d.Units) * float64(max(d.Missing, 0))
			}
			all += float64(d.Flows)
		}
		sums[x.Address] = s
	}
	n.Collector.Add(m.At, m.Span, all/seconds, dropped)
	for address, s := range sums {
		lost := 0.0
		if s.missing > 0 { // what this machine dropped is missing, too, and not the exporter's fault
			lost = max(s.missing/(s.missing+s.flows)-dropped, 0)
		}
		h := n.Exporters[address]
		if h == nil {
			h = &History{}
			n.Exporters[address] = h
		}
		h.Add(m.At, m.Span, s.flows/seconds, lost)
	}
	*m = quality.Minute{}
}

// Merge takes another time's histories in; both are settled.
func (n *Network) Merge(other *Network) {
	n.Collector.Merge(other.Collector)
	for address, h := range other.Exporters {
		if n.Exporters[address] == nil {
			n.Exporters[address] = &History{}
		}
		n.Exporters[address].Merge(h)
	}
}

// Read is the history of a time. What is told of minutes before it is left out.
func Read(recorder *quality.Recorder, from, to time.Time) (*Network, error) {
	n := NewNetwork()
	err := recorder.Read(from, to, func(m *quality.Minute) error {
		if !m.At.Before(from) {
			n.Add(m)
		}
		return nil
	})
	n.Settle()
	return n, err
}

// RecentDays is how many days' peaks say what there is to be planned for: a
// week has every day of the week.
const RecentDays = 7

// Recent is the greatest minute of the last seven days before a moment, in flow
// records a second.
func (h *History) Recent(before time.Time) (peak float64) {
	for _, d := range h.days {
		if d.Date.After(before.AddDate(0, 0, -RecentDays)) {
			peak = max(peak, d.Peak)
		}
	}
	return peak
}
