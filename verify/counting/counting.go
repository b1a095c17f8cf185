// Package counting tells which records of which routers tell of the same bytes
// again, and which of them count: for a router, each byte once; for the whole
// network, each byte once, where it enters.
//
// Its functions are pure. They are given sums of records by exporter, interfaces
// and direction, and what interfaces are for. The query engine asks them which
// records a scope takes (Once, Network); the server shows what each interface
// exports, and what to change (Cover). FindCopies and FindDrops are given the same
// over time, and tell what an operator should hear of; verify/totals asks them.
// docs/counting.md explains the rules to operators.
package counting

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/minamo-flow/minamo/enrich/roles"
)

// Interface is an exporter's interface. Index 0 is none: the packet came from
// the router itself or went nowhere, or the exporter did not say.
type Interface struct {
	Exporter netip.Addr
	Index    uint32
}

func (i Interface) compare(o Interface) int {
	return cmp.Or(i.Exporter.Compare(o.Exporter), cmp.Compare(i.Index, o.Index))
}

// Direction is where a record was metered (IE 61 flowDirection).
type Direction uint8

// Unsaid is that of exporters that do not tell.
const (
	Unsaid Direction = iota
	Ingress
	Egress
)

// Amount is what records count together, scaled by the sampling rate.
type Amount struct {
	Flows, Packets, Bytes uint64
}

func (a *Amount) add(o Amount) {
	a.Flows += o.Flows
	a.Packets += o.Packets
	a.Bytes += o.Bytes
}

// Sum is what an exporter's records of a way through it, metered at one end of
// it, add up to.
type Sum struct {
	Exporter  netip.Addr
	In, Out   uint32 // ifIndex; 0 as in Interface
	Direction Direction
	Amount
}

// Boundary tells whether packets enter and leave the network by an interface of
// this role. One without a role may be at the boundary: what it exports must not
// vanish from totals unseen.
func Boundary(role string) bool { return role != roles.Core && role != roles.Internal }

// Rule tells which records count. The zero Rule counts all.
type Rule struct {
	// Twice are input interfaces whose packets the exporter meters as they come
	// in: its egress records of them are copies. Index 0 stands for packets of
	// no input interface.
	Twice []Interface

	// Inside are interfaces within the network: what comes in by them has
	// entered it elsewhere. Where Exit is set: what goes out by them leaves it
	// elsewhere.
	Inside []Interface

	// Exit counts packets where they leave the network, and only there: no router
	// tells of what enters it.
	Exit bool

	// EgressUnsaid are exporters that meter what goes out and do not say so.
	EgressUnsaid []netip.Addr
}

// All tells whether the rule leaves nothing out.
func (r *Rule) All() bool { return len(r.Twice) == 0 && len(r.Inside) == 0 && !r.Exit }

// Counts returns the function that tells whether the rule counts records.
func (r *Rule) Counts() func(*Sum) bool {
	inside, twice := set(r.Inside), set(r.Twice)
	if r.Exit {
		return func(s *Sum) bool {
			return (s.Direction == Egress || s.Direction == Unsaid && slices.Contains(r.EgressUnsaid, s.Exporter)) && !inside[Interface{s.Exporter, s.Out}]
		}
	}
	return func(s *Sum) bool {
		in := Interface{s.Exporter, s.In}
		return !inside[in] && !(s.Direction == Egress && twice[in])
	}
}

// Total adds up what the rule counts.
func (r *Rule) Total(sums []Sum) (total Amount) {
	counts := r.Counts()
	for i := range sums {
		if counts(&sums[i]) {
			total.add(sums[i].Amount)
		}
	}
	return total
}

func set(list []Interface) map[Interface]bool {
	m := make(map[Interface]bool, len(list))
	for _, i := range list {
		m[i] = true
	}
	return m
}

func sorted(m map[Interface]bool) []Interface {
	var list []Interface
	for i, is := range m {
		if is {
			list = append(list, i)
		}
	}
	slices.SortFunc(list, Interface.compare)
	return list
}

// Once counts a byte once for each router: an egress record does not count
// where its input interface exports ingress records, too.
func Once(sums []Sum) Rule {
	ingress, egress := map[Interface]bool{}, map[Interface]bool{}
	for i := range sums {
		in := Interface{sums[i].Exporter, sums[i].In}
		switch sums[i].Direction {
		case Ingress:
			ingress[in] = true
		case Egress:
			egress[in] = true
		}
	}
	for in := range egress {
		if !ingress[in] {
			delete(egress, in)
		}
	}
	return Rule{Twice: sorted(egress)}
}

// Network counts a byte once for the whole network: where it enters it, by an
// interface at its boundary. Where that interface exports what comes in, these
// records count, and elsewhere what the same router meters as it goes out. Only
// where no router at all tells of what enters the network, what leaves it by
// the boundary counts instead. role is what an interface is for, "" for nobody
// knows.
func Network(sums []Sum, role func(Interface) string) Rule {
	r := Once(sums)
	r.EgressUnsaid = unsaidEgress(sums)
	unsaid := map[netip.Addr]bool{}
	for _, a := range r.EgressUnsaid {
		unsaid[a] = true
	}
	ingress := map[netip.Addr]bool{} // who meters what comes in
	insideIn, insideOut := map[Interface]bool{}, map[Interface]bool{}
	enters, leaves := false, false
	for i := range sums {
		s := &sums[i]
		in, out := Interface{s.Exporter, s.In}, Interface{s.Exporter, s.Out}
		fromInside, toInside := s.In != 0 && !Boundary(role(in)), s.Out != 0 && !Boundary(role(out))
		if fromInside {
			insideIn[in] = true
		}
		if toInside {
			insideOut[out] = true
		}
		egress := s.Direction == Egress || unsaid[s.Exporter]
		if !egress {
			ingress[s.Exporter] = true
		}
		enters = enters || s.In != 0 && !fromInside && (!egress || toInside)
		leaves = leaves || egress && fromInside && s.Out != 0 && !toInside
	}
	if leaves && !enters {
		r.Exit, r.Twice, r.Inside = true, nil, sorted(insideOut)
		return r
	}
	r.Inside = sorted(insideIn)
	// What no interface is named for on its way in, a router that meters what
	// comes in may have told already.
	twice := set(r.Twice)
	for i := range sums {
		if s := &sums[i]; s.Direction == Egress && s.In == 0 && ingress[s.Exporter] {
			twice[Interface{s.Exporter, 0}] = true
		}
	}
	for in := range insideIn {
		delete(twice, in) // none of it counts
	}
	r.Twice = sorted(twice)
	return r
}

// unsaidEgress finds the exporters that say no direction and meter what goes
// out, by what their records name. A router that meters some interfaces as
// packets come in names only these as input, and any as output; one that meters
// them as packets go out, the other way round. It must be plain: an output of 0
// is never metered there, each output is an input of other records, and an
// input that has at least a twentieth of the bytes is never an output.
func unsaidEgress(sums []Sum) (list []netip.Addr) {
	type named struct {
		all     uint64
		in, out map[uint32]uint64
		nowhere bool
		said    bool
	}
	exporters := map[netip.Addr]*named{}
	for i := range sums {
		s := &sums[i]
		n := exporters[s.Exporter]
		if n == nil {
			n = &named{in: map[uint32]uint64{}, out: map[uint32]uint64{}}
			exporters[s.Exporter] = n
		}
		n.all += s.Bytes
		n.in[s.In] += s.Bytes
		n.out[s.Out] += s.Bytes
		n.nowhere = n.nowhere || s.Out == 0
		n.said = n.said || s.Direction != Unsaid
	}
	for exporter, n := range exporters {
		if n.nowhere || n.said {
			continue
		}
		within, apart := true, false
		for out := range n.out {
			within = within && n.in[out] > 0
		}
		for in, bytes := range n.in {
			apart = apart || in != 0 && n.out[in] == 0 && bytes >= n.all/20 && bytes > 0
		}
		if within && apart {
			list = append(list, exporter)
		}
	}
	slices.SortFunc(list, netip.Addr.Compare)
	return list
}
