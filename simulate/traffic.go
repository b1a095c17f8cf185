package simulate

import (
	"math/rand/v2"
	"time"

	"github.com/minamo-flow/minamo/probe"
)

// A relation is an application's traffic between the clients of a prefix and
// the servers of another: two streams, up and down.
type relation struct {
	app            *application
	client, server *prefix
	curve          curve
	perSecond      float64 // packets down (up, if there are none down), mean of a week
	slots, alive   float64 // conversations at a time, on the mean of a week and now: see conversation.go
	seed           uint64
	wobble         wobble
	streams        [2]stream
}

const (
	up   = 0 // from the client
	down = 1
)

// A stream is one direction of a relation: packets from a prefix to another, by
// one path, of a few lengths.
type stream struct {
	relation *relation
	dir      int
	from, to *prefix
	path     []hop
	mix      mixture
	perDown  float64 // packets for each one down
	fate     fate    // at the end of the path
	measured [3]measured

	carry   [3]float64 // packets that were less than one, by part of the mixture
	packets [3]uint64  // of the minute, by part
	taken   [3]uint64  // of those, what slices have dealt with
	reach   int        // hops that the minute's packets get to
	end     fate       // what becomes of them at the last of those
}

// fate is what becomes of packets at the last router: forwarding status (RFC
// 7270 §4.12).
type fate uint8

const (
	forwarded  fate = 64
	unroutable fate = 131
	aclDenied  fate = 129
	forUs      fate = 195 // consumed: terminated here
)

func (f fate) dropped() bool { return f>>6 == 2 }

// A demand is a share of what a kind of customer does.
type demand struct {
	app   string
	share float64 // of the customer's bytes
	other kind    // with whom
	serve bool    // the customer is the server
	fan   int     // with how many prefixes of each version of IP
	curve curve
}

// demands are what customers want of the network, by kind. Shares sum up to 1.
var demands = map[kind][]demand{
	home: {
		{"video", .30, cache, false, 1, evening},
		{"video", .15, video, false, 3, evening},
		{"https", .165, content, false, 10, evening},
		{"quic", .165, content, false, 7, evening},
		{"https", .075, cloud, false, 5, evening},
		{"download", .05, cache, false, 1, evening},
		{"game", .025, gaming, false, 4, evening},
		{"http", .014, content, false, 6, evening},
		{"ipsec-nat-t", .016, cloud, false, 3, workday},
		{"https", .016, home, true, 8, evening},
		{"dns", .003, resolver, false, 1, evening},
		{"rtp", .005, home, false, 4, evening},
		{"imaps", .003, mail, false, 2, evening},
		{"ntp", .0002, timeServers, false, 1, constant},
		{"ping", .0003, gaming, false, 2, evening},
		{"ipv6-in-ipv4", .0005, cloud, false, 1, evening},
	},
	office: {
		{"https", .40, cloud, false, 6, workday},
		{"quic", .10, content, false, 5, workday},
		{"https", .12, content, false, 6, workday},
		{"esp", .10, office, false, 2, workday},
		{"gre", .03, office, false, 1, workday},
		{"backup", .12, hosting, false, 1, night},
		{"rtp", .03, home, false, 3, workday},
		{"sip", .002, home, false, 2, workday},
		{"ssh", .01, hosting, false, 2, workday},
		{"rdp", .03, home, true, 3, workday},
		{"smtp", .02, mail, false, 2, workday},
		{"imaps", .02, mail, false, 2, workday},
		{"dns", .003, resolver, false, 1, workday},
		{"l2tp", .002, home, true, 2, workday},
		{"ah", .0005, office, false, 1, workday},
		{"ntp", .0002, timeServers, false, 1, constant},
		{"ping", .0005, cloud, false, 1, constant},
	},
	hosting: {
		{"https", .37, home, true, 12, allDay},
		{"quic", .16, home, true, 8, allDay},
		{"http", .08, home, true, 8, allDay},
		{"download", .09, home, true, 4, allDay},
		{"backup", .10, cloud, false, 2, night},
		{"replication", .09, hosting, false, 1, constant},
		{"ssh", .02, home, true, 3, allDay},
		{"smtp", .02, mail, false, 2, allDay},
		{"mysql", .03, cloud, true, 2, allDay},
		{"dns", .003, resolver, false, 1, allDay},
		{"udp-lite", .001, home, true, 1, allDay},
		{"sctp", .002, cloud, false, 1, constant},
		{"ntp", .0005, timeServers, false, 1, constant},
	},
	gaming: {
		{"game", .70, home, true, 14, evening},
		{"https", .20, home, true, 8, evening},
		{"download", .09, home, true, 3, evening},
		{"ping", .004, home, true, 3, evening},
		{"dns", .002, resolver, false, 1, evening},
	},
}

// six is the share of IPv6 where both sides have it.
const six = .35

// plant makes the relations of all customers, and of the carrier itself.
func (n *Network) plant() {
	r := rand.New(rand.NewPCG(n.cfg.Seed, 'p'))
	for _, c := range n.customers {
		for _, d := range demands[c.kind] {
			n.demand(r, c, d)
		}
		n.scans(r, c)
	}
	n.household(r)
}

// demand spreads a customer's demand over partners, the popular ones first.
func (n *Network) demand(r *rand.Rand, c *party, d demand) {
	app := applications[d.app]
	bytes := c.mbps * 1e6 / 8 * d.share * n.cfg.Scale
	partners := n.partners(c, d.other)
	if c.late6() {
		n.spread(r, app, c, partners, d, false, bytes)
		d.curve = newcomers
		n.spread(r, app, c, partners, d, true, bytes*six)
		return
	}
	n.spread(r, app, c, partners, d, false, bytes*(1-six))
	n.spread(r, app, c, partners, d, true, bytes*six)
}

// late6 tells whether a party does not use IPv6 yet: it is behind the router whose
// exports know none. See the scenario ipv6-unseen.
func (p *party) late6() bool { return p.port.Router.Vendor.Protocol == probe.NetFlow5 }

// spread shares bytes a second out to relations with prefixes of partners.
func (n *Network) spread(r *rand.Rand, app *application, c *party, partners []*party, d demand, v6 bool, bytes float64) {
	switch app.protocol {
	case ipv6InIPv4, icmp, ah: // IPv6 has others, or knows them as extension headers
		if v6 {
			return
		}
	}
	var theirs []*prefix
	var weights []float64
	for i, p := range partners {
		if v6 && p.late6() && d.curve != newcomers {
			continue
		}
		for j, x := range p.of(v6) {
			theirs = append(theirs, x)
			weights = append(weights, p.weight/float64(1+i/4)/float64(1+j)*(.5+r.Float64()))
		}
	}
	// Some prefixes of many, by weight: those with the greatest w·u.
	for len(theirs) > d.fan {
		least := 0
		for i := range weights {
			if weights[i] < weights[least] {
				least = i
			}
		}
		theirs = append(theirs[:least], theirs[least+1:]...)
		weights = append(weights[:least], weights[least+1:]...)
	}
	total := 0.0
	for _, w := range weights {
		total += w
	}
	for _, mine := range c.of(v6) {
		for i, x := range theirs {
			share := bytes * weights[i] / total / float64(len(c.of(v6)))
			if d.serve {
				n.relate(app, x, mine, d.curve, share)
			} else {
				n.relate(app, mine, x, d.curve, share)
			}
		}
	}
}

// partners are the parties of a kind that a customer may talk to.
func (n *Network) partners(c *party, k kind) (ps []*party) {
	for _, p := range n.parties {
		if p.kind == k && p.port != nil && p.port != c.port {
			ps = append(ps, p)
		}
	}
	return ps
}

// scans are the Internet's noise: somebody tries every address for telnet.
func (n *Network) scans(r *rand.Rand, c *party) {
	app := applications["scan"]
	for range 2 {
		from := n.partners(c, home)
		p := from[r.IntN(len(from))]
		n.relate(app, p.of(false)[0], c.of(false)[0], constant, 40*3*n.cfg.Scale)
	}
}

// household is what the carrier does for itself: look-ups of its resolver, fills
// of its cache, routing protocols, supervision.
func (n *Network) household(r *rand.Rand) {
	byKind := func(k kind) *party {
		for _, p := range n.parties {
			if p.kind == k && p.as == CarrierAS {
				return p
			}
		}
		return nil
	}
	res, cdn, ops, lost := byKind(resolver), byKind(cache), byKind(management), byKind(unused)
	for _, v6 := range []bool{false, true} {
		n.spread(r, applications["dns"], res, n.partners(res, dnsServers), demand{fan: 3}, v6, 150e3*n.cfg.Scale)
		n.spread(r, applications["https"], cdn, n.partners(cdn, video), demand{fan: 4, curve: allDay}, v6, 3e6*n.cfg.Scale)
	}
	// Noise for addresses that nobody has ends at the router it reaches first.
	for _, p := range n.parties {
		if p.port != nil && p.kind == home && p.customer < 0 {
			n.relate(applications["scan"], p.of(false)[0], lost.prefixes[0], constant, 40*2*n.cfg.Scale)
		}
	}
	for _, c := range n.customers {
		if c.kind == office && c.port.Router != ops.port.Router {
			n.relate(applications["syslog"], c.of(false)[0], ops.of(false)[0], constant, 20e3*n.cfg.Scale)
			n.relate(applications["radius"], c.of(false)[0], ops.of(false)[0], constant, 2e3*n.cfg.Scale)
		}
	}
	n.control(ops)
}

// control is what routers themselves send and take: BGP with neighbours and
// among each other, OSPF on core links, SNMP's polling.
func (n *Network) control(ops *party) {
	for _, r := range n.routers {
		me := n.party(r.Name, CarrierAS, "JP", "", control, nil)
		me.router = r
		own := n.prefix(me, r.loopback.String()+"/32")
		n.relate(applications["snmp"], ops.of(false)[0], own, constant, 8e3)
		for _, f := range r.Interfaces {
			switch {
			case f.peerAS != 0:
				p := n.party("AS link "+f.Name, f.peerAS, "JP", "", control, f)
				n.relate(applications["bgp"], n.prefix(p, f.peer.String()+"/32"), own, constant, 4e3)
			case f.far != nil && f.far.Router.number < r.number:
				for _, other := range n.parties {
					if other.router == f.far.Router {
						n.relate(applications["bgp"], own, other.prefixes[0], constant, 1e3)
						n.relate(applications["ospf"], own, other.prefixes[0], constant, 30)
					}
				}
			}
		}
	}
}

// relate adds a relation that has so many bytes a second, both ways together,
// on the mean of a week.
func (n *Network) relate(app *application, client, server *prefix, c curve, bytes float64) {
	if bytes <= 0 {
		return
	}
	x := &relation{app: app, client: client, server: server, curve: c, seed: mix(n.cfg.Seed ^ uint64(len(n.relations))<<20)}
	parts := [2]mixture{app.up, app.down}
	if client.is6() {
		parts = [2]mixture{app.up.of6(), app.down.of6()}
	}
	each := parts[down].mean() + app.upPerDown*parts[up].mean()
	perDown := [2]float64{app.upPerDown, 1}
	if len(app.down) == 0 {
		each, perDown = parts[up].mean(), [2]float64{1, 0}
	}
	x.perSecond = bytes / each
	x.slots = max(1, x.perSecond*app.seconds/app.packets)
	for dir, ends := range [2][2]*prefix{{client, server}, {server, client}} {
		s := &x.streams[dir]
		*s = stream{relation: x, dir: dir, from: ends[0], to: ends[1], perDown: perDown[dir], mix: parts[dir]}
		s.measure()
		s.path, s.fate = way(ends[0].party, ends[1].party)
		for i := range s.carry { // minutes of small streams differ
			s.carry[i] = unit(mix(x.seed + uint64(dir*4+i)))
		}
	}
	n.relations = append(n.relations, x)
}

// way is how packets get from somebody to somebody, and what becomes of them at
// the end.
func way(from, to *party) ([]hop, fate) {
	src, dst := from.router, to.router
	if from.port != nil {
		src = from.port.Router
	}
	switch {
	case src == nil:
		return nil, forwarded // nobody is there to answer
	case to.port != nil:
		return path(src, from.port, to.port.Router, to.port), forwarded
	case dst != nil:
		return path(src, from.port, dst, nil), forUs
	}
	return []hop{{src, from.port, nil}}, unroutable
}

// minute decides how many packets each stream has in the minute that begins at
// t.
func (n *Network) minute(t time.Time) {
	var now [len(byHour)]float64
	for c := range now {
		if now[c] = 1; n.cfg.Load == 0 {
			now[c] = curve(c).at(t.In(n.cfg.Zone))
		}
	}
	for _, x := range n.relations {
		rate := x.perSecond * now[x.curve] * 60
		if x.curve != constant && n.cfg.Load == 0 {
			rate *= x.wobble.next(n.random.NormFloat64())
		}
		if x.curve == newcomers && !n.newcomers {
			rate = 0
		}
		x.alive = max(1, x.slots*now[x.curve])
		for dir := range x.streams {
			s := &x.streams[dir]
			s.reach, s.end, s.taken = len(s.path), s.fate, [3]uint64{}
			for i, part := range s.mix {
				exact := rate*s.perDown*part.share + s.carry[i]
				whole := uint64(exact)
				s.carry[i] = exact - float64(whole)
				s.packets[i] = whole
			}
		}
	}
}
