package simulate

import (
	"net/netip"

	"github.com/minamo-flow/minamo/flow"
)

// Role is what is at the other end of an interface.
type Role string

const (
	Transit    Role = "transit"
	Exchange   Role = "ix"
	Customer   Role = "customer"
	Service    Role = "service" // the carrier's own servers
	Core       Role = "core"    // another of its routers
	Management Role = "management"
	Virtual    Role = "virtual" // no port: loopback, null
)

// External tells whether the network ends here: what comes in by such an
// interface enters the network.
func (r Role) External() bool { return r != Core && r != Virtual }

// Interface is one of a router's interfaces. Its fields do not change; what
// does is in the Router's IfTable.
type Interface struct {
	Router  *Router
	Name    string // ifName
	Descr   string // ifDescr
	Alias   string // ifAlias: its role, and who is there
	Speed   uint64 // ifHighSpeed: Mbit/s
	Role    Role
	IfIndex uint32 // as the router was set up; see Router.IfTable

	index  int        // in the network
	number int        // on its router
	far    *Interface // of a core link
	peer   flow.Addr  // who is at the other end
	peer6  flow.Addr
	peerAS uint32

	meterIn, meterOut bool // this minute
}

// layout is the network on one page: a router's interfaces in their order.
//
//	Transit A ─┐                                              ┌─ Transit B
//	CDN cache ─┤                                              ├─ homes, hosting, university
//	homes ─────┴─ tyo-edge1 ─── tyo-core1 ═════ osk-core1 ────┴─── osk-edge1 ─ offices
//	                                │
//	              Lagoon-IX ─── tyo-ix1
type layout struct {
	name   string
	vendor *Vendor
	rate   uint32 // it samples one packet in so many
	domain uint32
	ports  []port
}

type port struct {
	key   string // how others find it
	speed uint64 // Mbit/s
	alias string
	role  Role
	as    uint32 // the neighbour's
}

var routers = []layout{
	{"tyo-edge1", &iosXR, 8192, 0, []port{
		{"edge1-core1", 100_000, "CORE: tyo-core1 et-0/0/0", Core, 0},
		{"transit-a", 10_000, "TRANSIT: Marlin Transit AS64497", Transit, 64497},
		{"cust:Hotaru Home Tokyo", 10_000, "CUST: Hotaru Home Tokyo (residential access)", Customer, 0},
		{"svc:Hotaru CDN cache", 10_000, "SVC: CDN cache", Service, 0},
		{"cust:Aster Foods", 1_000, "CUST: Aster Foods", Customer, 0},
		{"cust:Heather Games", 10_000, "CUST: Heather Games AS64505", Customer, 64505},
	}},
	{"tyo-core1", &junos, 4096, 0x80000, []port{
		{"core1-edge1", 100_000, "CORE: tyo-edge1 HundredGigE0/0/0/0", Core, 0},
		{"core1-ix1", 100_000, "CORE: tyo-ix1 Ethernet1/1", Core, 0},
		{"core1-osk", 100_000, "CORE: osk-core1 100GE1/0/1", Core, 0},
		{"cust:Kapok Broadband", 10_000, "CUST: Kapok Broadband AS64500 (residential access)", Customer, 64500},
		{"cust:Birch Insurance", 1_000, "CUST: Birch Insurance AS64501", Customer, 64501},
		{"cust:Fern Hosting", 10_000, "CUST: Fern Hosting AS64503", Customer, 64503},
		{"svc:Hotaru resolver", 1_000, "SVC: DNS resolver", Service, 0},
		{"svc:Hotaru operations", 1_000, "MGMT: operations", Management, 0},
	}},
	{"tyo-ix1", &arista, 8192, 0, []port{
		{"ix1-core1", 100_000, "CORE: tyo-core1 et-0/0/1", Core, 0},
		{"ix", 100_000, "IX: Lagoon-IX peering LAN", Exchange, 64499},
		{"cust:Knotweed Studios", 10_000, "CUST: Knotweed Studios AS64506", Customer, 64506},
	}},
	{"osk-core1", &huawei, 4096, 0, []port{
		{"osk-core1", 100_000, "CORE: tyo-core1 et-0/0/2", Core, 0},
		{"osk-edge", 10_000, "CORE: osk-edge1 TenGigabitEthernet1/0", Core, 0},
		{"transit-b", 10_000, "TRANSIT: Sturgeon Backbone AS64498", Transit, 64498},
		{"cust:Hotaru Home Osaka", 10_000, "CUST: Hotaru Home Osaka (residential access)", Customer, 0},
		{"cust:Dahlia University", 10_000, "CUST: Dahlia University AS64502", Customer, 64502},
		{"cust:Ginseng Cloud", 10_000, "CUST: Ginseng Cloud AS64504", Customer, 64504},
	}},
	{"osk-edge1", &classicIOS, 1024, 0, []port{
		{"edge-osk", 10_000, "CORE: osk-core1 10GE1/0/2", Core, 0},
		{"cust:Cedar Logistics", 1_000, "CUST: Cedar Logistics", Customer, 0},
		{"cust:Elm City Hall", 1_000, "CUST: Elm City Hall", Customer, 0},
		{"cust:Iris Archive", 1_000, "CUST: Iris Archive", Customer, 0},
		{"cust:Jasmine Clinic", 1_000, "CUST: Jasmine Clinic", Customer, 0},
	}},
}

// links join interfaces. They make a tree: there is one way from here to there.
var links = [][2]string{
	{"edge1-core1", "core1-edge1"}, {"core1-ix1", "ix1-core1"}, {"core1-osk", "osk-core1"}, {"osk-edge", "edge-osk"},
}

// build makes routers and links of the layout.
func (n *Network) build() {
	n.interfaces = map[string]*Interface{}
	for i, l := range routers {
		r := &Router{
			Name: l.name, Vendor: l.vendor, SamplingRate: l.rate, Domain: l.domain,
			Addr:   netip.AddrFrom4([4]byte{127, 1, 0, byte(i + 1)}),
			number: i, network: n, loopback: flow.AddrFrom4([4]byte{198, 18, 0, byte(i + 1)}),
			loopback6: flow.AddrFrom(netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 15: byte(i + 1)})),
		}
		for j, p := range l.ports {
			n.interfaces[p.key] = r.add(n, l.vendor.ifName(p.speed, j), p)
		}
		for _, name := range l.vendor.virtual {
			r.add(n, name, port{role: Virtual})
		}
		n.routers = append(n.routers, r)
	}
	for _, l := range links {
		a, b := n.interfaces[l[0]], n.interfaces[l[1]]
		a.far, b.far = b, a
		a.peer, a.peer6, b.peer, b.peer6 = b.Router.loopback, b.Router.loopback6, a.Router.loopback, a.Router.loopback6
	}
	for _, r := range n.routers {
		r.toward = make([]*Interface, len(n.routers))
		r.route(r, nil)
	}
}

// add gives the router an interface.
func (r *Router) add(n *Network, name string, p port) *Interface {
	i := len(r.Interfaces)
	f := &Interface{
		Router: r, Name: name, Descr: r.Vendor.ifDescr(name), Alias: p.alias, Speed: p.speed, Role: p.role,
		IfIndex: r.Vendor.ifIndex(i), index: len(n.ports), number: i, peerAS: p.as,
	}
	if p.role != Core {
		// The neighbour's side of a link network of two.
		f.peer = flow.AddrFrom4([4]byte{192, 0, 2, byte(f.index*2 + 1)})
		f.peer6 = flow.AddrFrom(netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 0, 1, 7: byte(f.index), 15: 2}))
	}
	r.Interfaces = append(r.Interfaces, f)
	n.ports = append(n.ports, f)
	return f
}

// route notes, for whatever lies behind a router at, which interface of r leads
// there.
func (r *Router) route(at *Router, out *Interface) {
	r.toward[at.number] = out
	for _, f := range at.Interfaces {
		if f.far == nil || f.far.Router == r || r.toward[f.far.Router.number] != nil {
			continue
		}
		first := out
		if first == nil {
			first = f
		}
		r.route(f.far.Router, first)
	}
}

// hop is a packet's way through one router: in by an interface, nil if the
// router itself sent it, and out by another, nil if it stays there.
type hop struct {
	router  *Router
	in, out *Interface
}

// path is the way through the network from one interface, or router, to
// another.
func path(from *Router, in *Interface, to *Router, out *Interface) (way []hop) {
	for r := from; ; {
		if r == to {
			return append(way, hop{r, in, out})
		}
		next := r.toward[to.number]
		way = append(way, hop{r, in, next})
		in = next.far
		r = in.Router
	}
}
