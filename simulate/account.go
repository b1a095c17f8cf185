package simulate

import (
	"slices"
	"time"
)

// SizeClasses are the classes of packet lengths (layer 3) that truth knows, by
// their greatest length.
var SizeClasses = []int{64, 128, 256, 512, 1024, 1518}

func sizeClass(bytes uint32) int {
	for i, most := range SizeClasses {
		if int(bytes) <= most {
			return i
		}
	}
	return len(SizeClasses) - 1
}

// measured is a part of a stream as accounts need it.
type measured struct {
	square float64 // mean of the squares of its lengths
	frame  uint64  // twice the mean frame
	class  int
}

// newMinute is an empty account.
func (n *Network) newMinute(start time.Time) *Minute {
	m := &Minute{Start: start, Length: time.Minute, world: n}
	m.make()
	return m
}

func (m *Minute) blank() *Minute {
	return m.world.newMinute(m.Start)
}

func (m *Minute) make() {
	n := m.world
	m.indexes, m.interfaces = make([]uint32, len(n.ports)), make([][2]Flow, len(n.ports))
	for _, t := range []struct {
		to *[]Count
		n  int
	}{
		{&m.applications, len(applications)}, {&m.protocols, 256}, {&m.sizes, len(SizeClasses)},
		{&m.srcAS, len(n.plan.ASes)}, {&m.dstAS, len(n.plan.ASes)},
		{&m.srcCountry, len(n.lands)}, {&m.dstCountry, len(n.lands)},
		{&m.srcPrefix, len(n.prefixes)}, {&m.dstPrefix, len(n.prefixes)},
	} {
		*t.to = make([]Count, t.n)
	}
	m.customers = make([][2]Count, len(n.customers))
}

func (m *Minute) add(o *Minute) {
	m.Length += o.Length
	copy(m.indexes, o.indexes)
	m.In.Add(&o.In)
	m.Out.Add(&o.Out)
	m.Originated.Add(&o.Originated)
	m.Dropped.Add(&o.Dropped)
	m.Consumed.Add(&o.Consumed)
	for i := range o.interfaces {
		m.interfaces[i][0].add(&o.interfaces[i][0])
		m.interfaces[i][1].add(&o.interfaces[i][1])
	}
	for i := range o.customers {
		m.customers[i][0].Add(&o.customers[i][0])
		m.customers[i][1].Add(&o.customers[i][1])
	}
	theirs := o.tables()
	for k, t := range m.tables() {
		for i := range *t {
			(*t)[i].Add(&(*theirs[k])[i])
		}
	}
}

func (m *Minute) tables() []*[]Count {
	return []*[]Count{&m.applications, &m.protocols, &m.sizes, &m.srcAS, &m.dstAS, &m.srcCountry, &m.dstCountry, &m.srcPrefix, &m.dstPrefix}
}

// account counts all packets of the minute: exactly, whether anybody samples
// them or not.
func (n *Network) account() {
	m := n.newMinute(n.begun)
	n.minuteTruth = m
	for i, f := range n.ports {
		m.indexes[i] = f.Router.indexOf(f)
	}
	for _, x := range n.relations {
		for dir := range x.streams {
			s := &x.streams[dir]
			var c Count
			var octets uint64
			var squares float64
			for i, part := range s.mix {
				p := s.packets[i]
				if p == 0 {
					continue
				}
				d := &s.measured[i]
				c.Packets += p
				c.Bytes += p * uint64(part.lo+part.hi) / 2
				octets += p * d.frame / 2
				squares += float64(p) * d.square
			}
			if c.Packets == 0 {
				continue
			}
			m.stream(s, c, octets, squares)
			if n.cfg.OnStream != nil && s.enters() {
				n.told.set(s)
				n.cfg.OnStream(n.begun, &n.told)
			}
		}
	}
}

// stream counts a stream's packets of the minute.
func (m *Minute) stream(s *stream, c Count, octets uint64, squares float64) {
	seenBy := func(r *Router) Count {
		others := float64(r.rate - 1)
		return Count{c.Packets, c.Bytes, others * float64(c.Packets), others * squares}
	}
	last := s.reach - 1
	for h := range s.reach {
		w := &s.path[h]
		r := w.router
		seen := seenBy(r)
		stays := h == last && (s.end.dropped() || w.out == nil)
		if w.in != nil {
			f, k := &m.interfaces[w.in.index][0], &r.moving[w.in.number]
			f.Count.Add(&seen)
			f.Octets += octets
			k.InPackets += c.Packets
			k.InOctets += octets
			if stays && s.end.dropped() {
				f.DroppedPackets += c.Packets
				f.DroppedBytes += c.Bytes
				if s.end == aclDenied {
					k.InDiscards += c.Packets
				}
			}
		}
		if w.out != nil && !stays {
			f, k := &m.interfaces[w.out.index][1], &r.moving[w.out.number]
			f.Count.Add(&seen)
			f.Octets += octets
			k.OutPackets += c.Packets
			k.OutOctets += octets
			if w.out.Role.External() {
				m.Out.Add(&seen)
				if s.path[0].in == nil {
					m.Originated.Add(&seen)
				}
			}
		}
	}
	if !s.enters() {
		return
	}
	first := &s.path[0]
	c = seenBy(first.router)
	m.In.Add(&c)
	switch {
	case s.end.dropped():
		m.Dropped.Add(&c)
	case s.path[last].out == nil:
		m.Consumed.Add(&c)
	}
	a := s.relation.app
	m.applications[a.index].Add(&c)
	m.protocols[a.protocol].Add(&c)
	m.srcAS[s.from.party.asIndex].Add(&c)
	m.dstAS[s.to.party.asIndex].Add(&c)
	m.srcCountry[s.from.party.countryIndex].Add(&c)
	m.dstCountry[s.to.party.countryIndex].Add(&c)
	m.srcPrefix[s.from.index].Add(&c)
	m.dstPrefix[s.to.index].Add(&c)
	if i := s.to.party.customer; i >= 0 && s.reach == len(s.path) && !s.end.dropped() {
		m.customers[i][0].Add(&c)
	}
	if i := s.from.party.customer; i >= 0 {
		m.customers[i][1].Add(&c)
	}
	for i := range s.mix {
		if s.packets[i] > 0 {
			c := s.part(i)
			m.sizes[s.measured[i].class].Add(&c)
		}
	}
}

// enters tells whether a stream comes into the network by an external interface,
// and not from a router itself.
func (s *stream) enters() bool { return s.path[0].in != nil && s.path[0].in.Role.External() }

// part counts the minute's packets of a part of the stream, as the sampling of the
// router where it enters lets one know them.
func (s *stream) part(i int) Count {
	p, others := s.packets[i], float64(s.path[0].router.rate-1)
	return Count{p, p * uint64(s.mix[i].lo+s.mix[i].hi) / 2, others * float64(p), others * s.measured[i].square * float64(p)}
}

// measure prepares the accounts: what a part's packets are on average.
func (s *stream) measure() {
	for i, p := range s.mix {
		lo, hi := float64(p.lo), float64(p.hi)
		n := hi - lo + 1
		s.measured[i] = measured{
			square: (lo+hi)*(lo+hi)/4 + (n*n-1)/12, // of whole numbers, evenly
			frame:  frame(p.lo) + frame(p.hi),
			class:  sizeClass(p.hi),
		}
	}
}

// countries numbers the countries that there are.
func (n *Network) countries() {
	for _, p := range n.parties {
		i := slices.Index(n.lands, p.country)
		if i < 0 {
			i = len(n.lands)
			n.lands = append(n.lands, p.country)
		}
		p.countryIndex = i
	}
}
