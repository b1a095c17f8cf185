package simulate

import (
	"net/netip"

	"github.com/minamo-flow/minamo/flow"
)

// CarrierAS is the carrier's own AS number.
const CarrierAS = 64496

// AddressPlan tells whose every address is: what a database of places and ASes
// says of this world. All of it is invented: addresses are of ranges for
// benchmarks, documentation and "future use" (RFC 2544, RFC 1112, RFC 3849, RFC
// 9637), AS numbers of those for documentation and private use (RFC 5398, RFC
// 6996). Countries are real, so that maps work.
type AddressPlan struct {
	Prefixes []Prefix
	ASes     []AS
}

// Prefix is an announced prefix. A more specific one counts before a wider one.
type Prefix struct {
	Prefix  netip.Prefix
	AS      uint32
	Name    string // of its holder: a customer, or the AS
	Country string // ISO 3166-1 alpha-2
	City    string
}

// AS is an autonomous system.
type AS struct {
	Number  uint32
	Name    string
	Country string
}

// prefix is a Prefix as packets are made of it.
type prefix struct {
	Prefix
	index   int    // in the plan
	party   *party // its holder
	base    flow.Addr
	bits    uint8   // as written in a routing table
	hosts   uint64  // addresses in use
	lnHosts float64 // ln(hosts)
}

func (p *prefix) is6() bool { return p.Prefix.Prefix.Addr().Is6() }

// host is the nth popular address of the prefix. Neighbours in popularity are no
// neighbours in the prefix.
func (p *prefix) host(n uint64) flow.Addr {
	a := p.base
	if p.is6() { // subnets of 64 bits with an interface identifier each
		h := mix(n ^ uint64(p.index)<<40)
		room := uint(64 - p.bits)
		net := h & (1<<room - 1)
		for i := range 8 {
			a[7-i] |= byte(net >> (8 * i))
		}
		h = mix(h)
		for i := range 8 {
			a[15-i] = byte(h >> (8 * i))
		}
		a[8] &^= 3
		return a
	}
	size := uint64(1) << (32 - p.bits)
	// An odd factor permutes the numbers below a power of two. The first and
	// the last address stay free.
	n = (n*2654435761 + uint64(p.index)*97) % size
	if n == 0 || n == size-1 {
		n = size / 2
	}
	for i := range 4 {
		a[15-i] |= byte(n >> (8 * i))
	}
	return a
}

// mix scatters the bits of a number (splitmix64's finaliser).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// unit makes a number in [0, 1) of scattered bits.
func unit(x uint64) float64 { return float64(x>>11) / (1 << 53) }
