package proof

import (
	"context"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/minamo-flow/minamo/counters"
	"github.com/minamo-flow/minamo/query"
	"github.com/minamo-flow/minamo/verify/counting"
	"github.com/minamo-flow/minamo/verify/quality"
)

// Sources are where a survey finds what it compares.
type Sources struct {
	Engine   *query.Engine
	Archive  query.Archive
	Counters *counters.History // nil: there is nothing to compare with
	Quality  *quality.Recorder // nil: timers, losses and rates are not known

	// Known tells what an interface is called, and whether it leads out of the
	// network, or nobody said.
	Known func(device netip.Addr, index uint32) (name string, boundary bool)
	// Renumbered tells when a device's interfaces got other numbers; zero: never.
	Renumbered func(device netip.Addr) time.Time
}

// Survey gathers what is known of all exporters whose interfaces count, or of
// one, between two times, in buckets of step: whole minutes. Judge takes them
// as they are, if step is Step.
func Survey(ctx context.Context, s *Sources, device netip.Addr, from, to time.Time, step time.Duration) (map[netip.Addr]*Exporter, query.Stats, error) {
	from, to = from.Truncate(step), to.Truncate(step)
	var stats query.Stats
	if s.Counters == nil {
		return nil, stats, nil
	}
	table, err := s.Counters.Table(device, 0, from, to, step)
	if err != nil || len(table) == 0 {
		return nil, stats, err
	}
	all := map[netip.Addr]*Exporter{}
	places := map[counters.Key]int{} // of its two directions, in Interfaces
	n := int(to.Sub(from) / step)
	for key, series := range table {
		x := all[key.Device]
		if x == nil {
			x = &Exporter{Address: key.Device, From: from, Step: step, Now: to}
			if s.Renumbered != nil {
				x.Renumbered = s.Renumbered(key.Device)
			}
			all[key.Device] = x
		}
		places[key] = len(x.Interfaces)
		name, boundary := "", true
		if s.Known != nil {
			name, boundary = s.Known(key.Device, key.Index)
		}
		for _, d := range []Direction{In, Out} {
			f := Interface{Index: key.Index, Name: name, Direction: d, Boundary: boundary, Discards: counting.Discard(name), Counter: make([]float64, n), Flow: make([]float64, n), Copies: make([]float64, n)}
			for i := range n {
				octets := series.Amounts[i].InOctets
				if d == Out {
					octets = series.Amounts[i].OutOctets
				}
				f.Counter[i] = math.NaN()
				if covered := series.Covered[i]; covered >= step/2 { // of the rest nobody knows otherwise
					f.Counter[i] = float64(octets) * float64(step) / float64(covered)
				}
			}
			x.Interfaces = append(x.Interfaces, f)
		}
	}
	for i, interfaces := range []string{"in_if", "out_if"} {
		one, err := s.flows(ctx, device, interfaces, from, to, step, func(of netip.Addr, index uint32) *Interface {
			if at, ok := places[counters.Key{Device: of, Index: index}]; ok {
				return &all[of].Interfaces[at+i]
			}
			return nil
		})
		if err != nil {
			return nil, stats, err
		}
		if stats.SQL == "" {
			stats = one
		}
	}
	if s.Quality != nil {
		if err := s.known(all, from, to); err != nil {
			return nil, stats, err
		}
	}
	for _, x := range all {
		slices.SortStableFunc(x.Interfaces, func(a, b Interface) int { return int(int64(a.Index) - int64(b.Index)) })
	}
	return all, stats, nil
}

// flows adds what flows estimate, as octets of layer 2.
func (s *Sources) flows(ctx context.Context, device netip.Addr, interfaces string, from, to time.Time, step time.Duration, place func(netip.Addr, uint32) *Interface) (query.Stats, error) {
	by, err := query.ParseDimensions("exporter," + interfaces + ",direction")
	if err != nil {
		return query.Stats{}, err
	}
	r := query.Report{From: from, To: to, By: by, Metric: query.L2BPS, Step: step}
	if device.IsValid() {
		f, err := query.ParseFilter("router " + device.String())
		if err != nil {
			return query.Stats{}, err
		}
		r.Filters = append(r.Filters, f)
	}
	a, err := s.Engine.Report(ctx, s.Archive, r)
	if err != nil {
		return query.Stats{}, err
	}
	width := max(1, int(a.Step/step)) // where only longer buckets are kept
	shift := make([]int, len(a.Times))
	for i, t := range a.Times {
		shift[i] = int(t.Sub(from) / step)
	}
	type sums struct{ all, variance float64 }
	of := map[*Interface]*sums{}
	for i := range a.Rows {
		row := &a.Rows[i]
		address, err := netip.ParseAddr(row.Key[0].Text)
		index, wrong := strconv.ParseUint(row.Key[1].Text, 10, 32)
		if err != nil || wrong != nil || index == 0 {
			continue // of none
		}
		f := place(address, uint32(index))
		if f == nil {
			continue
		}
		total := of[f]
		if total == nil {
			total = &sums{}
			of[f] = total
		}
		octets := 0.0
		copies := (row.Key[2].Label == "egress") == (f.Direction == In)
		for k, v := range row.Values {
			for at := max(0, shift[k]); at < min(len(f.Flow), shift[k]+width); at++ {
				f.Flow[at] += v * step.Seconds() / 8
				if copies {
					f.Copies[at] += v * step.Seconds() / 8
				}
				octets += v * step.Seconds() / 8
			}
		}
		total.all += octets
		total.variance += row.SamplingError * octets * row.SamplingError * octets
	}
	for f, total := range of {
		if total.all > 0 {
			f.Error = math.Sqrt(total.variance) / total.all
		}
	}
	return a.Stats, nil
}

// newly is how much of the past tells which rates hold now, and lately, which
// timers.
const (
	newly  = 20 * time.Minute
	lately = time.Hour
)

// known adds what the quality of exporters tells: timers, rates, losses,
// restarts, protocols.
func (s *Sources) known(all map[netip.Addr]*Exporter, from, to time.Time) error {
	now, err := s.Quality.Assess(to.Add(-newly), to)
	if err != nil {
		return err
	}
	hour, err := s.Quality.Assess(to.Add(-lately), to)
	if err != nil {
		return err
	}
	var losses quality.Losses
	kinds := newKinds(all)
	err = s.Quality.Read(from, to, func(m *quality.Minute) error {
		losses.Add(m)
		for i := range m.Exporters {
			q := &m.Exporters[i]
			kinds.add(m.At, q)
			x := all[q.Address]
			if x == nil {
				continue
			}
			for k := range q.Domains {
				d := &q.Domains[k]
				if d.Restarts > 0 {
					x.Restarts = append(x.Restarts, m.At)
				}
				if p := d.ProtocolName(); d.Flows > 0 && m.End().After(to.Add(-lately)) && !slices.Contains(x.Protocols, p) {
					x.Protocols = append(x.Protocols, p)
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	kinds.compare()
	for _, i := range losses.Intervals(from, to) {
		share := 0.0
		if i.Share != nil {
			share = *i.Share
		}
		for _, x := range all {
			if i.Exporter == "" || i.Exporter == x.Address.String() {
				if i.Kind == quality.LossStopped || i.Kind == quality.LossRestart {
					x.Restarts = append(x.Restarts, i.From)
				} else if i.Kind != quality.LossSilent {
					x.Losses = append(x.Losses, Lost{i.From, i.To, share})
				}
			}
		}
	}
	for address, x := range all {
		if t := hour[address].Timers.Active; t != nil && t.Confidence >= 0.3 {
			x.Active = time.Duration(t.Seconds) * time.Second
		}
		if t := hour[address].Timers.Inactive; t != nil && t.Confidence >= 0.3 {
			x.Inactive = time.Duration(t.Seconds) * time.Second
		}
		var flows uint64
		for _, r := range now[address].Rates {
			flows += r.Flows
		}
		for _, r := range now[address].Rates {
			x.Rates = append(x.Rates, Rate{r.Rate, r.Source, float64(r.Flows) / float64(flows)})
		}
	}
	return nil
}

// kinds sums up which kinds of packets exporters tell of. They are of exporters that
// count, and of all others, too: what those meter, these might.
type kinds struct {
	of     map[netip.Addr]*Exporter
	looked map[netip.Addr]float64
	seen   map[netip.Addr][len(kindNames)]float64
}

var kindNames = [...]string{"IPv6", "MPLS"}

func newKinds(of map[netip.Addr]*Exporter) *kinds {
	for _, x := range of {
		n := len(x.Interfaces[0].Flow)
		for _, name := range kindNames {
			x.Kinds = append(x.Kinds, Kind{Name: name, Looked: make([]float64, n), Seen: make([]float64, n)})
		}
	}
	return &kinds{of: of, looked: map[netip.Addr]float64{}, seen: map[netip.Addr][len(kindNames)]float64{}}
}

func (k *kinds) add(at time.Time, q *quality.Exporter) {
	x := k.of[q.Address]
	for i := range q.Domains {
		d := &q.Domains[i]
		seen := k.seen[q.Address]
		k.looked[q.Address] += float64(d.Datagrams)
		for kind, n := range [len(kindNames)]uint64{d.IPv6, d.MPLS} {
			seen[kind] += float64(n)
			if x == nil || at.Before(x.From) {
				continue
			}
			if bucket := int(at.Sub(x.From) / x.Step); bucket < len(x.Kinds[kind].Seen) {
				x.Kinds[kind].Looked[bucket] += float64(d.Datagrams)
				x.Kinds[kind].Seen[bucket] += float64(n)
			}
		}
		k.seen[q.Address] = seen
	}
}

// compare tells each exporter of all others.
func (k *kinds) compare() {
	for address, x := range k.of {
		for kind := range x.Kinds {
			var looked, seen float64
			for other, n := range k.looked {
				if other != address {
					looked += n
					seen += k.seen[other][kind]
				}
			}
			if looked >= fewLooked {
				x.Kinds[kind].Elsewhere = seen / looked
			}
		}
	}
}
