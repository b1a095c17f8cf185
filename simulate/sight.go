package simulate

import (
	"slices"

	"github.com/minamo-flow/minamo/flow"
)

// A sight is a packet that a router's sampler chose.
type sight struct {
	at     int64 // ms
	chance uint64
	stream *stream
	bytes  uint32 // layer 3
	hop    int16
	egress bool
}

// look lets the samplers of all routers choose among the packets of the slice
// of time from from to to (ms), of which it is the fraction done of the minute's
// whole that has passed at its end.
func (n *Network) look(from, to int64, done float64) {
	for _, r := range n.routers {
		r.chosen, r.sights, r.seen = r.chosen[:0], r.sights[:0], 0
	}
	for _, x := range n.relations {
		for dir := range x.streams {
			s := &x.streams[dir]
			var due [3]uint64
			some := false
			for i := range s.mix {
				until := s.packets[i]
				if done < 1 {
					until = uint64(float64(until) * done)
				}
				due[i] = until - s.taken[i]
				s.taken[i] = until
				some = some || due[i] > 0
			}
			if !some {
				continue
			}
			for h := range s.reach {
				w := &s.path[h]
				if w.in != nil && w.in.meterIn {
					w.router.choose(s, h, false, &due, from, to)
				}
				if w.out != nil && w.out.meterOut && !(h == s.reach-1 && s.end.dropped()) {
					w.router.choose(s, h, true, &due, from, to)
				}
			}
		}
	}
	for _, r := range n.routers {
		r.order(from)
	}
}

// order puts sights in order of time. Numbers are sorted faster than sights.
func (r *Router) order(from int64) {
	r.keys = r.keys[:0]
	for i := range r.chosen {
		r.keys = append(r.keys, uint64(r.chosen[i].at-from)<<40|uint64(i))
	}
	slices.Sort(r.keys)
	for _, k := range r.keys {
		r.sights = append(r.sights, r.chosen[k&(1<<40-1)])
	}
}

// choose lets the router's sampler choose among packets of a stream.
func (r *Router) choose(s *stream, h int, egress bool, due *[3]uint64, from, to int64) {
	if r.fourOnly && s.from.is6() {
		return
	}
	at := s.path[h].in
	if egress {
		at = s.path[h].out
	}
	for i, part := range s.mix {
		for range r.sampler.Take(due[i]) {
			c := r.random.Uint64()
			bytes := part.lo
			if part.hi > part.lo {
				bytes += uint32(c >> 40 % uint64(part.hi-part.lo+1))
			}
			when := from + int64(mix(c)>>16%uint64(to-from))
			if at == r.bundle {
				if other := s.relation.conversation(when, c).label&1 == 1; other {
					continue // by the other link
				}
			}
			r.chosen = append(r.chosen, sight{at: when, chance: c, stream: s, bytes: bytes, hop: int16(h), egress: egress})
		}
	}
}

// rows writes sights as the rows that a metering process makes of packets.
func (r *Router) rows(sights []sight, b *flow.Batch) {
	first := b.Extend(len(sights))
	start, end := b.Time(flow.Start), b.Time(flow.End)
	packets, bytes := b.U64(flow.Packets), b.U64(flow.Bytes)
	src, dst := b.Addr(flow.SrcAddr), b.Addr(flow.DstAddr)
	sport, dport := b.U16(flow.SrcPort), b.U16(flow.DstPort)
	protocol, tos, ttl := b.U8(flow.Protocol), b.U8(flow.TOS), b.U8(flow.TTL)
	flags := b.U16(flow.TCPFlags)
	icmpType, icmpCode := b.U8(flow.ICMPType), b.U8(flow.ICMPCode)
	label := b.U32(flow.FlowLabel)
	inIf, outIf := b.U32(flow.InIf), b.U32(flow.OutIf)
	direction, status := b.U8(flow.Direction), b.U8(flow.ForwardingStatus)
	nextHop, bgpNextHop := b.Addr(flow.NextHop), b.Addr(flow.BGPNextHop)
	srcAS, dstAS := b.U32(flow.SrcAS), b.U32(flow.DstAS)
	prevAS, nextAS := b.U32(flow.PrevAS), b.U32(flow.NextAS)
	srcMask, dstMask := b.U8(flow.SrcMask), b.U8(flow.DstMask)
	rate, sampler := b.U32(flow.SamplingRate), b.U64(flow.SamplerID)
	for j := range sights {
		v, i := &sights[j], first+j
		s, x := v.stream, v.stream.relation
		a, w := x.app, &s.path[v.hop]
		c := x.conversation(v.at, v.chance)
		has := always
		start[i], end[i] = v.at+r.skew, v.at+r.skew
		packets[i], bytes[i] = 1, uint64(v.bytes)
		rate[i], sampler[i] = r.announced, 1
		protocol[i], tos[i], ttl[i] = a.protocol, a.tos, c.ttl(s.dir, int(v.hop))
		src[i], dst[i], sport[i], dport[i] = c.client, c.server, c.clientPort, c.serverPort
		if s.dir == down {
			src[i], dst[i], sport[i], dport[i] = dst[i], src[i], dport[i], sport[i]
		}
		six := s.from.is6()
		if six {
			label[i] = uint32(c.label) & 0xfffff
			has.Or(ofIPv6)
		}
		switch {
		case a.port != 0:
			has.Or(withPorts)
			if a.protocol == tcp {
				flags[i] = uint16(c.flags(a, s.dir, v.at, v.bytes))
				has.Add(flow.TCPFlags)
			}
		case a.protocol == icmp:
			sport[i], dport[i] = 0, 0
			icmpType[i], icmpCode[i] = a.icmp[s.dir], 0
			has.Or(ofICMP)
		default:
			sport[i], dport[i] = 0, 0
		}
		if w.in != nil {
			inIf[i] = r.told(w.in)
			if r.routes && w.in.peerAS != 0 {
				prevAS[i] = w.in.peerAS
				has.Add(flow.PrevAS)
			}
		}
		status[i], outIf[i] = uint8(forwarded), 0
		if int(v.hop) == s.reach-1 {
			status[i] = uint8(s.end)
		}
		if w.out != nil && !fate(status[i]).dropped() {
			outIf[i] = r.told(w.out)
			nextHop[i] = w.out.neighbour(six)
			has.Add(flow.NextHop)
			if r.routes {
				last := s.path[len(s.path)-1]
				bgpNextHop[i] = last.router.loopbackOf(six)
				if last.router == r {
					bgpNextHop[i] = w.out.neighbour(six)
				}
				has.Add(flow.BGPNextHop)
				if last.out != nil && last.out.peerAS != 0 {
					nextAS[i] = last.out.peerAS
					has.Add(flow.NextAS)
				}
			}
		}
		if v.egress {
			direction[i] = flow.Egress
		}
		if r.routes {
			srcAS[i], dstAS[i] = s.from.AS, s.to.AS
			srcMask[i], dstMask[i] = s.from.bits, s.to.bits
			has.Or(withRoutes)
		}
		b.Present[i].Or(has)
	}
}

// Columns that packets have.
var (
	always = flow.MaskOf(flow.Start, flow.End, flow.Packets, flow.Bytes, flow.SamplingRate, flow.SamplerID, flow.SrcAddr, flow.DstAddr,
		flow.Protocol, flow.TOS, flow.TTL, flow.InIf, flow.OutIf, flow.Direction, flow.ForwardingStatus)
	withPorts  = flow.MaskOf(flow.SrcPort, flow.DstPort)
	withRoutes = flow.MaskOf(flow.SrcAS, flow.DstAS, flow.SrcMask, flow.DstMask)
	ofICMP     = flow.MaskOf(flow.ICMPType, flow.ICMPCode)
	ofIPv6     = flow.MaskOf(flow.FlowLabel)
)
