package simulate

import (
	"math"

	"github.com/minamo-flow/minamo/flow"
)

// A conversation is a client with a port and a server, for some time. There are
// many at a time, and nobody keeps a list of them: a relation has a number of
// slots, and in each slot one conversation follows the other. Which one it is at
// a time follows from the slot's length and phase; who its parties are follows
// from its number. So a conversation is the same whichever router asks, in
// whichever direction, and costs no memory.
type conversation struct {
	client, server         flow.Addr
	clientPort, serverPort uint16
	label                  uint64 // scattered bits for whatever else is its own
	start, length          int64  // ms
}

// conversation is the one that a packet of the time at (ms) belongs to; chance
// chooses among those alive.
func (x *relation) conversation(at int64, chance uint64) (c conversation) {
	a := x.app
	u := unit(mix(chance))
	share := u
	for range a.skew - 1 {
		share *= u
	}
	h := mix(x.seed ^ uint64(x.alive*share))
	c.length = max(1, int64(a.seconds*1000*(.4+1.2*unit(h))))
	phase := int64(h>>1) % c.length
	turn := (at + phase) / c.length
	c.start = turn*c.length - phase
	h = mix(h ^ uint64(turn))
	c.label = h

	// Clients are many and not so different; of servers few have nearly all.
	u = unit(mix(h + 1))
	c.client = x.client.host(uint64(float64(x.client.hosts) * u * u))
	c.server = x.server.popular(unit(mix(h + 2)))
	c.clientPort, c.serverPort = 32768+uint16(h>>20%28232), a.port
	switch {
	case a.name == "scan":
		c.serverPort = [8]uint16{23, 23, 2323, 445, 22, 3389, 5555, 8080}[h>>50&7]
		c.server = x.server.host(h >> 9 % x.server.hosts)
	case a.name == "rtp":
		c.serverPort += uint16(h>>40&0xfff) * 2
		c.clientPort = 16384 + uint16(h>>20&0xfff)*2
	case a.name == "bgp" && h&1 == 0: // either side may have opened the session
		c.clientPort, c.serverPort = c.serverPort, c.clientPort
	case a.both:
		c.clientPort = c.serverPort
	}
	return c
}

// popular is an address by Zipf's law: u of [0, 1) is which of all conversations.
func (p *prefix) popular(u float64) flow.Addr { return p.host(uint64(math.Exp(u*p.lnHosts)) - 1) }

// flags are the TCP flags of a packet of so many bytes at a time.
func (c *conversation) flags(a *application, dir int, at int64, bytes uint32) uint8 {
	const fin, syn, psh, ack = 1, 2, 8, 16
	if a.packets == 1 {
		return syn
	}
	if bytes > 72 {
		if (c.label^uint64(at))&3 == 0 {
			return ack | psh
		}
		return ack
	}
	// The first and the last of a conversation's small packets open and close it.
	age, packets := float64(at-c.start)/float64(c.length), a.packets/4
	switch {
	case age*packets < 1 && dir == up:
		return syn
	case age*packets < 1:
		return syn | ack
	case (1-age)*packets < 1:
		return fin | ack
	}
	return ack
}

// ttl is the packet's at a router that it reaches after so many hops.
func (c *conversation) ttl(dir, hops int) uint8 {
	initial := [4]uint8{64, 64, 128, 255}[c.label>>(30+2*dir)&3]
	return initial - uint8(c.label>>(34+4*dir)&15) - uint8(hops)
}
