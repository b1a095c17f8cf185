package simulate

import (
	"fmt"
	"math"
	"net/netip"

	"github.com/minamo-flow/minamo/flow"
)

// kind is what somebody does on the Internet: it decides which traffic he has.
type kind int

const (
	home       kind = iota // access networks
	office                 // enterprises
	hosting                // servers for rent
	content                // web sites
	video                  // video platforms
	cloud                  // other people's computers
	gaming                 // game servers
	mail                   // mail providers
	dnsServers             // authoritative name servers
	timeServers
	cache      // the CDN cache in the carrier's network
	resolver   // the carrier's DNS resolver
	management // the carrier's own hosts
	control    // routers themselves
	unused     // address space that nobody routes further
)

// party is somebody with addresses, behind one interface of one router.
type party struct {
	index        int
	name         string
	as           uint32
	asIndex      int // in the plan
	country      string
	countryIndex int
	city         string
	kind         kind
	prefixes     []*prefix
	port         *Interface // behind which it is; nil for a router itself
	router       *Router    // that it is, if so
	customer     int        // index among the customers; -1 for others
	mbps         float64    // to it and from it together, mean of a week: customers
	weight       float64    // popularity among its kind
}

// of returns its prefixes of one version of IP.
func (p *party) of(six bool) (of []*prefix) {
	for _, x := range p.prefixes {
		if x.is6() == six {
			of = append(of, x)
		}
	}
	return of
}

// A customer as it stands in the contract.
type customer struct {
	name   string
	as     uint32 // 0: the carrier's
	kind   kind
	city   string
	router string // where the line ends
	mbps   float64
	v4     string
	v6     string
}

// customers are named after plants.
var customers = []customer{
	{"Hotaru Home Tokyo", 0, home, "Tokyo", "tyo-edge1", 1300, "198.19.0.0/18", "2001:db8:1000::/36"},
	{"Hotaru Home Osaka", 0, home, "Osaka", "osk-core1", 700, "198.19.64.0/18", "2001:db8:2000::/36"},
	{"Kapok Broadband", 64500, home, "Nagoya", "tyo-core1", 420, "198.19.128.0/18", "2001:db8:3000::/36"},
	{"Aster Foods", 0, office, "Tokyo", "tyo-edge1", 60, "198.18.32.0/24", "2001:db8:4000::/48"},
	{"Birch Insurance", 64501, office, "Tokyo", "tyo-core1", 90, "198.18.36.0/22", "2001:db8:4100::/48"},
	{"Cedar Logistics", 0, office, "Osaka", "osk-edge1", 45, "198.18.40.0/24", "2001:db8:4400::/48"},
	{"Dahlia University", 64502, office, "Kyoto", "osk-core1", 180, "198.18.48.0/20", "2001:db8:4200::/44"},
	{"Elm City Hall", 0, office, "Osaka", "osk-edge1", 25, "198.18.41.0/24", "2001:db8:4401::/48"},
	{"Fern Hosting", 64503, hosting, "Tokyo", "tyo-core1", 380, "198.18.64.0/20", "2001:db8:5000::/40"},
	{"Ginseng Cloud", 64504, hosting, "Osaka", "osk-core1", 300, "198.18.80.0/20", "2001:db8:5100::/40"},
	{"Heather Games", 64505, gaming, "Tokyo", "tyo-edge1", 110, "198.18.96.0/22", "2001:db8:5200::/44"},
	{"Iris Archive", 0, hosting, "Osaka", "osk-edge1", 70, "198.18.42.0/24", "2001:db8:5300::/48"},
	{"Jasmine Clinic", 0, office, "Kobe", "osk-edge1", 15, "198.18.43.0/25", "2001:db8:4402::/48"},
	{"Knotweed Studios", 64506, office, "Tokyo", "tyo-ix1", 130, "198.18.100.0/22", "2001:db8:4300::/48"},
}

// An outside AS, behind a transit or the IX.
type outside struct {
	name    string
	country string
	kind    kind
	via     string // interface: "transit-a", "transit-b", "ix"
	weight  float64
}

// world is the Internet: named after birds.
var world = []outside{
	{"Albatross Video", "US", video, "ix", 10},
	{"Bittern Stream", "US", video, "transit-a", 5},
	{"Curlew TV", "JP", video, "ix", 3},
	{"Dunlin Films", "KR", video, "transit-b", 2},
	{"Egret Search", "US", content, "ix", 10},
	{"Finch Social", "US", content, "ix", 8},
	{"Gannet Shop", "US", content, "transit-a", 5},
	{"Heron News", "JP", content, "ix", 4},
	{"Ibis Market", "CN", content, "transit-b", 3},
	{"Jackdaw Photos", "SG", content, "transit-a", 3},
	{"Kestrel Portal", "JP", content, "ix", 3},
	{"Lapwing Forum", "GB", content, "transit-b", 1.5},
	{"Magpie Auctions", "DE", content, "transit-b", 1},
	{"Nuthatch Travel", "FR", content, "transit-a", 1},
	{"Osprey Cloud", "US", cloud, "ix", 8},
	{"Petrel Compute", "US", cloud, "transit-a", 6},
	{"Quail Storage", "IE", cloud, "transit-b", 4},
	{"Robin Office", "NL", cloud, "transit-a", 3},
	{"Skua Hosting", "DE", cloud, "transit-b", 2},
	{"Tern Servers", "PL", cloud, "transit-a", 1},
	{"Umbrella Bird Games", "US", gaming, "transit-a", 4},
	{"Vulture Arena", "SE", gaming, "transit-b", 2},
	{"Wagtail Play", "JP", gaming, "ix", 3},
	{"Xenops Studio", "CA", gaming, "transit-a", 1},
	{"Yellowhammer Mail", "US", mail, "ix", 4},
	{"Zebra Finch Post", "CH", mail, "transit-b", 1},
	{"Auk Names", "US", dnsServers, "transit-a", 3},
	{"Bunting Registry", "NL", dnsServers, "transit-b", 2},
	{"Crane Root", "JP", dnsServers, "ix", 2},
	{"Dove Time", "JP", timeServers, "ix", 1},
	{"Eider Access", "JP", home, "ix", 8},
	{"Falcon Mobile", "JP", home, "ix", 7},
	{"Goose Cable", "US", home, "transit-a", 4},
	{"Hoopoe Telecom", "IN", home, "transit-b", 4},
	{"Ibisbill Net", "ID", home, "transit-b", 3},
	{"Jay Fibre", "GB", home, "transit-a", 2},
	{"Kiwi Online", "NZ", home, "transit-a", 1},
	{"Lark DSL", "FR", home, "transit-b", 2},
	{"Macaw Internet", "BR", home, "transit-a", 3},
	{"Nightjar Wireless", "ZA", home, "transit-b", 1},
	{"Oriole Net", "MX", home, "transit-a", 1.5},
	{"Pelican Access", "AU", home, "transit-a", 2},
	{"Rook Telecom", "TR", home, "transit-b", 1},
	{"Starling Net", "VN", home, "transit-b", 2},
	{"Thrush Broadband", "TW", home, "ix", 2},
	{"Wren Online", "IT", home, "transit-b", 1},
	{"Swift Exchange", "HK", home, "transit-a", 1.5},
	{"Swallow Link", "ES", home, "transit-b", 1},
}

// A service is in the carrier's own network.
type service struct {
	name   string
	kind   kind
	city   string
	router string
	v4, v6 string
}

var services = []service{
	{"Hotaru CDN cache", cache, "Tokyo", "tyo-edge1", "198.18.8.0/26", "2001:db8:8::/48"},
	{"Hotaru resolver", resolver, "Tokyo", "tyo-core1", "198.18.8.64/29", "2001:db8:53::/48"},
	{"Hotaru operations", management, "Tokyo", "tyo-core1", "198.18.8.128/26", "2001:db8:9::/48"},
}

// asOf numbers the outside ASes: the first few are documentation's of 16 bits,
// then those of 32 bits, then private ones.
func asOf(i int) uint32 {
	switch {
	case i < 4:
		return 64508 + uint32(i)
	case i < 20:
		return 65536 + uint32(i-4)
	}
	return 4200000000 + uint32(i-20)
}

// populate makes parties of the contracts and of the world.
func (n *Network) populate() {
	n.as(CarrierAS, "Hotaru Networks", "JP")
	for i, c := range customers {
		as := c.as
		if as == 0 {
			as = CarrierAS
		}
		p := n.party(c.name, as, "JP", c.city, c.kind, n.interfaces["cust:"+c.name])
		p.customer, p.mbps, p.weight = i, c.mbps, c.mbps
		n.prefix(p, c.v4)
		n.prefix(p, c.v6)
		n.customers = append(n.customers, p)
	}
	for _, s := range services {
		p := n.party(s.name, CarrierAS, "JP", s.city, s.kind, n.interfaces["svc:"+s.name])
		n.prefix(p, s.v4)
		n.prefix(p, s.v6)
	}
	for i, o := range world {
		p := n.party(o.name, asOf(i), o.country, "", o.kind, n.interfaces[o.via])
		p.weight = o.weight
		n.prefix(p, fmt.Sprintf("%d.%d.0.0/16", 241+i%4, 10+i))
		if o.weight >= 3 {
			n.prefix(p, fmt.Sprintf("%d.%d.0.0/19", 246+i%4, 100+i))
		}
		n.prefix(p, fmt.Sprintf("3fff:%x::/32", 0x100+i))
	}
	lost := n.party("Hotaru unused space", CarrierAS, "JP", "Tokyo", unused, nil)
	n.prefix(lost, "198.18.112.0/20")
}

// as adds an AS to the plan, once.
func (n *Network) as(number uint32, name, country string) int {
	for i, a := range n.plan.ASes {
		if a.Number == number {
			return i
		}
	}
	n.plan.ASes = append(n.plan.ASes, AS{Number: number, Name: name, Country: country})
	return len(n.plan.ASes) - 1
}

func (n *Network) party(name string, as uint32, country, city string, k kind, port *Interface) *party {
	p := &party{index: len(n.parties), name: name, as: as, country: country, city: city, kind: k, port: port, customer: -1, weight: 1}
	p.asIndex = n.as(as, name, country)
	n.parties = append(n.parties, p)
	return p
}

// prefix gives a party a prefix.
func (n *Network) prefix(p *party, text string) *prefix {
	x := netip.MustParsePrefix(text)
	q := &prefix{
		Prefix: Prefix{Prefix: x, AS: p.as, Name: p.name, Country: p.country, City: p.city},
		index:  len(n.plan.Prefixes), party: p, base: flow.AddrFrom(x.Addr()), bits: uint8(x.Bits()),
	}
	switch q.hosts = 3000; {
	case x.IsSingleIP():
		q.hosts = 1
	case x.Addr().Is4() && x.Bits() > 20:
		q.hosts = uint64(1)<<(32-x.Bits()) - 2
	case p.kind == home:
		q.hosts = 20_000
	}
	if p.kind == cache || p.kind == resolver {
		q.hosts = 4
	}
	q.lnHosts = math.Log(float64(q.hosts))
	n.plan.Prefixes = append(n.plan.Prefixes, q.Prefix)
	n.prefixes = append(n.prefixes, q)
	p.prefixes = append(p.prefixes, q)
	return q
}
