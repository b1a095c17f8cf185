package counting

import (
	"net/netip"
	"slices"
)

// Coverage is what an interface exports, and what that lets one see.
type Coverage struct {
	Interface
	Role string
	Said bool // the exporter tells the direction; otherwise it was concluded

	Ingress, Egress Amount // of records that were metered here: of what came in, of what went out
	In, Out         Amount // what the router's records, each byte once, name as having come in and gone out by it
	Copies          Amount // of Ingress and Egress: what the network's totals leave out

	Unseen []Unseen
	Advice []Advice
}

// Unseen is something that the flows of an interface cannot tell.
type Unseen string

const (
	// UnseenIn: nothing that comes in by it is metered, so it lacks in every total.
	UnseenIn Unseen = "in"

	// UnseenInPart: what comes in by it is metered only where it leaves the
	// router by an interface that exports egress.
	UnseenInPart Unseen = "in_part"

	// UnseenDrops: packets that came in and were dropped, or were for the router
	// itself. They leave by no interface, and egress records cannot have them.
	UnseenDrops Unseen = "drops"

	// UnseenOut: of what goes out by it only that is known which came in by an
	// interface of the same router that is metered.
	UnseenOut Unseen = "out"
)

// Advice is what to change at an interface.
type Advice string

const (
	AdviceRole           Advice = "role"            // give it a role
	AdviceEnableIngress  Advice = "enable_ingress"  // meter what comes in: nobody else does
	AdviceDisableEgress  Advice = "disable_egress"  // the router meters all of it as it comes in
	AdviceDisableIngress Advice = "disable_ingress" // within the network: metered at the boundary
)

// Exports names what the interface exports: ingress, egress, both or nothing.
func (c *Coverage) Exports() string {
	switch in, out := c.Ingress.Flows > 0, c.Egress.Flows > 0; {
	case in && out:
		return "both"
	case in:
		return "ingress"
	case out:
		return "egress"
	}
	return "nothing"
}

// Cover tells of each interface that records or known name what it exports, in
// the order of exporters and ifIndexes. What an interface exports of which
// nothing crossed it in the time of the sums cannot be told.
func Cover(sums []Sum, known []Interface, role func(Interface) string) []Coverage {
	all := map[Interface]*Coverage{}
	get := func(i Interface) *Coverage {
		c := all[i]
		if c == nil {
			c = &Coverage{Interface: i, Role: role(i)}
			all[i] = c
		}
		return c
	}
	for _, i := range known {
		if i.Index != 0 {
			get(i)
		}
	}
	once, network := Once(sums), Network(sums, role)
	first, counts := once.Counts(), network.Counts()
	type metering struct{ ingress, egress bool }
	exporters := map[netip.Addr]*metering{}
	original := map[Interface]uint64{} // bytes metered where they go out, and nowhere else
	for i := range sums {
		s := &sums[i]
		in, out := Interface{s.Exporter, s.In}, Interface{s.Exporter, s.Out}
		if s.In != 0 && first(s) {
			get(in).In.add(s.Amount)
		}
		if s.Out != 0 && first(s) {
			get(out).Out.add(s.Amount)
		}
		m := exporters[s.Exporter]
		if m == nil {
			m = &metering{}
			exporters[s.Exporter] = m
		}
		var at *Coverage
		if s.Direction == Egress || s.Direction == Unsaid && slices.Contains(network.EgressUnsaid, s.Exporter) {
			m.egress = true
			if s.Out == 0 {
				continue
			}
			at = get(out)
			at.Egress.add(s.Amount)
			if first(s) {
				original[out] += s.Bytes
			}
		} else {
			m.ingress = true
			if s.In == 0 {
				continue
			}
			at = get(in)
			at.Ingress.add(s.Amount)
		}
		at.Said = at.Said || s.Direction != Unsaid
		if !counts(s) {
			at.Copies.add(s.Amount)
		}
	}
	list := make([]Coverage, 0, len(all))
	for _, c := range all {
		list = append(list, *c)
	}
	slices.SortFunc(list, func(a, b Coverage) int { return a.compare(b.Interface) })
	partly := map[netip.Addr]bool{} // exporters some of whose busy interfaces export nothing that comes in
	for i := range list {
		c := &list[i]
		partly[c.Exporter] = partly[c.Exporter] || c.Ingress.Flows == 0 && (c.In.Bytes > 0 || c.Out.Bytes > 0)
	}
	for i := range list {
		c := &list[i]
		m := exporters[c.Exporter]
		if m == nil || c.In == (Amount{}) && c.Out == (Amount{}) {
			continue // nothing crossed it, or nobody told
		}
		boundary := Boundary(c.Role)
		switch {
		case c.Ingress.Flows > 0:
		case c.In.Flows > 0 && c.Egress.Flows > 0 && !m.ingress:
			c.Unseen = append(c.Unseen, UnseenDrops)
		case c.In.Flows > 0:
			c.Unseen = append(c.Unseen, UnseenInPart, UnseenDrops)
		default:
			c.Unseen = append(c.Unseen, UnseenIn)
		}
		if c.Egress.Flows == 0 && partly[c.Exporter] {
			c.Unseen = append(c.Unseen, UnseenOut)
		}
		if c.Role == "" {
			c.Advice = append(c.Advice, AdviceRole)
			continue
		}
		if network.Exit {
			continue // one place is as good as the other
		}
		if boundary && c.Ingress.Flows == 0 {
			c.Advice = append(c.Advice, AdviceEnableIngress)
		}
		if !boundary && c.Ingress.Flows > 0 {
			c.Advice = append(c.Advice, AdviceDisableIngress)
		}
		// A router's own packets are nowhere else, and few.
		if c.Egress.Flows > 0 && original[c.Interface] <= c.Egress.Bytes/100 {
			c.Advice = append(c.Advice, AdviceDisableEgress)
		}
	}
	return list
}
