package counting

import (
	"net/netip"
	"regexp"
	"slices"

	"github.com/minamo-flow/minamo/enrich/roles"
)

// Evidence is why an interface may have a role.
type Evidence struct {
	Role string `json:"role" enum:"external,customer,core,internal,service"`
	Kind Kind   `json:"kind" enum:"word,next_hop,same_flows" doc:"word: its name or description says so; next_hop: packets that go out by it go to another exporter; same_flows: another exporter sees the same flows, and nearly all of them pass by it"`

	Word  string     `json:"word,omitempty" doc:"Of kind word: which"`
	Peer  netip.Addr `json:"peer,omitzero" doc:"Of the other kinds: the exporter at the far end"`
	Share float64    `json:"share,omitempty" doc:"Of kind next_hop, of the bytes that go out by it, those that go to the peer; of kind same_flows, of the flows that the peer sees too, those that pass by it"`
	Flows uint64     `json:"flows,omitempty" doc:"Flows that were looked at"`
}

// Kind is where evidence comes from.
type Kind string

// Kinds of evidence.
const (
	ByWord      Kind = "word"
	ByNextHop   Kind = "next_hop"
	BySameFlows Kind = "same_flows"
)

// words by which operators tell what is at the far end. Each is a whole word;
// the one that comes first in the text counts: "SVC: CDN cache for customers".
var words = []struct {
	role    string
	pattern *regexp.Regexp
}{
	{roles.External, whole(`transit|upstream|ixp?|ix-[a-z0-9]+|peer|peering|pni|isp|internet|wan`)},
	{roles.Customer, whole(`cust|customers?|clients?|subscribers?|tenants?|access|cpe|cx`)},
	{roles.Core, whole(`core|backbone|bb|trunk|p2p|ibgp|interconnect|infra|infrastructure|intra`)},
	{roles.Service, whole(`svc|services?|servers?|cdn|cache|caches|dns|resolvers?|dc|data ?cent(?:er|re)|hosting`)},
	{roles.Internal, whole(`mgmt|management|oob|out-of-band`)},
}

func whole(alternatives string) *regexp.Regexp {
	return regexp.MustCompile(`(?i)(?:^|[^a-z0-9])(` + alternatives + `)(?:$|[^a-z0-9])`)
}

// virtual are names of interfaces that are no ports: null routes, loopbacks, and
// what leads to the router's own management.
var virtual = regexp.MustCompile(`(?i)^(null|lo|loopback|dsc|fxp|em|me|mgmt|mgmteth|management|nve|meth)[0-9/._-]*$`)

// Discards are names of interfaces to which routers send what they throw away.
var discards = regexp.MustCompile(`(?i)^(null|dsc|discard|blackhole)[0-9/._-]*$`)

// Discard tells whether an interface of this name is none to go out by: Null0 of
// Cisco, dsc of Junos.
func Discard(name string) bool { return discards.MatchString(name) }

// FromWords reads an interface's name and description; ok is false where they
// say nothing.
func FromWords(name, description string) (e Evidence, ok bool) {
	first := -1
	for _, w := range words {
		if at := w.pattern.FindStringSubmatchIndex(description); at != nil && (first < 0 || at[2] < first) {
			first, e = at[2], Evidence{Role: w.role, Kind: ByWord, Word: description[at[2]:at[3]]}
		}
	}
	if first < 0 && virtual.MatchString(name) {
		return Evidence{Role: roles.Internal, Kind: ByWord, Word: name}, true
	}
	return e, first >= 0
}

// Hop is what went out by an interface to a next hop.
type Hop struct {
	Out     Interface
	NextHop netip.Addr
	Amount
}

// FromNextHops finds interfaces by which packets go to another exporter; owner
// is whose address it is, invalid for nobody's.
func FromNextHops(hops []Hop, owner func(netip.Addr) netip.Addr) map[Interface]Evidence {
	type sent struct {
		all Amount
		to  map[netip.Addr]uint64
	}
	by := map[Interface]*sent{}
	for _, h := range hops {
		if h.Out.Index == 0 || !h.NextHop.IsValid() || h.NextHop.IsUnspecified() {
			continue
		}
		s := by[h.Out]
		if s == nil {
			s = &sent{to: map[netip.Addr]uint64{}}
			by[h.Out] = s
		}
		s.all.add(h.Amount)
		if peer := owner(h.NextHop); peer.IsValid() && peer != h.Out.Exporter {
			s.to[peer] += h.Bytes
		}
	}
	found := map[Interface]Evidence{}
	for out, s := range by {
		for peer, bytes := range s.to {
			share := float64(bytes) / float64(max(s.all.Bytes, 1))
			if e, has := found[out]; share >= .5 && (!has || share > e.Share) {
				found[out] = Evidence{Role: roles.Core, Kind: ByNextHop, Peer: peer, Share: share, Flows: s.all.Flows}
			}
		}
	}
	return found
}

// Sighting is that an exporter saw a flow, which Key tells from others.
type Sighting struct {
	Exporter netip.Addr
	In, Out  uint32
	Key      string
}

// least is from how many common flows on two exporters are compared.
const least = 20

// FromSameFlows finds interfaces that lead to another exporter. Of all flows that
// two exporters see, each passes by the interface that leads from the one to the
// other, and by another one of the same router, which differs from flow to flow.
// So where one interface has nearly all of them, and no other has, it is the link.
func FromSameFlows(sightings []Sighting) map[Interface]Evidence {
	type seen struct{ interfaces []uint32 }
	by := map[string]map[netip.Addr]*seen{} // key, exporter
	for _, s := range sightings {
		of := by[s.Key]
		if of == nil {
			of = map[netip.Addr]*seen{}
			by[s.Key] = of
		}
		x := of[s.Exporter]
		if x == nil {
			x = &seen{}
			of[s.Exporter] = x
		}
		for _, i := range [2]uint32{s.In, s.Out} {
			if i != 0 && !slices.Contains(x.interfaces, i) && len(x.interfaces) < 8 {
				x.interfaces = append(x.interfaces, i)
			}
		}
	}
	type pair struct{ own, peer netip.Addr }
	type common struct {
		flows uint64
		by    map[uint32]uint64
	}
	pairs := map[pair]*common{}
	for _, of := range by {
		if len(of) < 2 {
			continue
		}
		for own, x := range of {
			for peer := range of {
				if peer == own {
					continue
				}
				c := pairs[pair{own, peer}]
				if c == nil {
					c = &common{by: map[uint32]uint64{}}
					pairs[pair{own, peer}] = c
				}
				c.flows++
				for _, i := range x.interfaces {
					c.by[i]++
				}
			}
		}
	}
	found := map[Interface]Evidence{}
	for p, c := range pairs {
		if c.flows < least {
			continue
		}
		var first, second uint64
		var link uint32
		for i, n := range c.by {
			switch {
			case n > first:
				first, second, link = n, first, i
			case n > second:
				second = n
			}
		}
		share := float64(first) / float64(c.flows)
		if share < .95 || float64(second) > .9*float64(first) {
			continue
		}
		// Of several peers behind one link, the one with most in common is nearest.
		i := Interface{p.own, link}
		if e, has := found[i]; !has || c.flows > e.Flows || c.flows == e.Flows && p.peer.Less(e.Peer) {
			found[i] = Evidence{Role: roles.Core, Kind: BySameFlows, Peer: p.peer, Share: share, Flows: c.flows}
		}
	}
	return found
}

// Suggestion is a role that an interface may have.
type Suggestion struct {
	Interface
	Role     string // what it should be
	Now      string // what it is, "" for nothing
	Evidence []Evidence
}

// Named is an interface with what it is called, and for.
type Named struct {
	Interface
	Name, Description, Role string
}

// Suggest weighs evidence: what flows show counts more than what somebody wrote.
// An interface that has a role keeps it, unless flows show that it leads to
// another exporter while it counts as the boundary: then everything that comes
// in by it counts twice.
func Suggest(interfaces []Named, shown ...map[Interface]Evidence) (list []Suggestion) {
	for _, n := range interfaces {
		if n.Index == 0 {
			continue
		}
		var evidence []Evidence
		for _, by := range shown {
			if e, has := by[n.Interface]; has {
				evidence = append(evidence, e)
			}
		}
		if n.Role != "" && (len(evidence) == 0 || !Boundary(n.Role)) {
			continue
		}
		if e, has := FromWords(n.Name, n.Description); has {
			evidence = append(evidence, e)
		}
		if len(evidence) > 0 {
			list = append(list, Suggestion{n.Interface, evidence[0].Role, n.Role, evidence})
		}
	}
	slices.SortFunc(list, func(a, b Suggestion) int {
		if words := a.Evidence[0].Kind == ByWord; words != (b.Evidence[0].Kind == ByWord) {
			if words {
				return 1
			}
			return -1
		}
		return a.compare(b.Interface)
	})
	return list
}
