package simulate

import (
	"time"

	"github.com/minamo-flow/minamo/wire/sflow"
)

// An sFlow agent has no cache: each sampled packet goes out as it is, its first
// bytes and what the switch knows of its way; and from time to time what the
// interfaces count.
type samples struct {
	header   [128]byte
	sequence []uint32 // by interface
	polled   time.Time
	polls    uint32
	sample   sflow.FlowSample
	router   sflow.Router
	gateway  sflow.Gateway
	path     [1]sflow.PathSegment
	as       [2]uint32 // of path
}

// Reasons of discarded samples (sFlow v5, interface format 1).
const discardedACL, discardedUnroutable = 258, 256

// sample exports packets as samples, and counters when they are due.
func (r *Router) sample(sights []sight, now time.Time) error {
	if r.silent {
		return nil
	}
	a := &r.samples
	if a.sequence == nil {
		a.sequence = make([]uint32, len(r.Interfaces))
	}
	for i := range sights {
		v := &sights[i]
		w := &v.stream.path[v.hop]
		at := w.in
		if v.egress {
			at = w.out
		}
		a.sequence[at.number]++
		r.fill(&a.sample, v, w)
		a.sample.Source = sflow.Source{Index: r.indexOf(at)}
		a.sample.Sequence = a.sequence[at.number]
		// The pool is that of the packet's time: between two of them samples are many
		// or few as the sampler chose, and not as datagrams are sent.
		counted, moving := &r.counted[at.number], &r.moving[at.number]
		pool, more := counted.InPackets, moving.InPackets
		if v.egress {
			pool, more = counted.OutPackets, moving.OutPackets
		}
		a.sample.Pool = uint32(pool + uint64(float64(more)*float64(v.at-r.network.begun.UnixMilli())/float64(time.Minute.Milliseconds())))
		r.records++
		if err := r.exporter.Sample(&a.sample, now); err != nil {
			return err
		}
	}
	if now.Sub(a.polled) >= r.Vendor.Resend {
		a.polled = now
		a.polls++
		for _, e := range r.ifTable(nil) {
			if e.Role == Virtual {
				continue
			}
			c := sflow.InterfaceCounters{
				IfIndex: e.IfIndex, IfType: 6, Speed: e.Speed * 1e6, Direction: 1, Status: 3,
				InOctets: e.InOctets, InUnicast: uint32(e.InPackets), OutOctets: e.OutOctets, OutUnicast: uint32(e.OutPackets),
			}
			c.Source, c.Sequence = sflow.Source{Index: e.IfIndex}, a.polls
			if err := r.exporter.Counters(&c, e.Name, now); err != nil {
				return err
			}
		}
	}
	return r.exporter.Tick(now)
}

// fill writes what the switch says of a packet.
func (r *Router) fill(s *sflow.FlowSample, v *sight, w *hop) {
	a := &r.samples
	x := v.stream.relation
	c := x.conversation(v.at, v.chance)
	six := v.stream.from.is6()
	h := r.header(a.header[:0], v, &c)
	s.Packet = sflow.Packet{Protocol: sflow.HeaderEthernet, Length: uint32(frame(v.bytes)), Stripped: 4, Header: h}
	s.In, s.Out = sflow.Port{Value: sflow.Internal}, sflow.Port{Value: sflow.Internal}
	prevAS := uint32(0)
	if w.in != nil {
		s.In.Value, prevAS = r.indexOf(w.in), w.in.peerAS
	}
	s.Switch, s.Router, s.Gateway = nil, nil, nil
	last := int(v.hop) == v.stream.reach-1
	switch {
	case last && v.stream.end == unroutable:
		s.Out = sflow.Port{Format: sflow.PortDiscarded, Value: discardedUnroutable}
	case last && v.stream.end.dropped():
		s.Out = sflow.Port{Format: sflow.PortDiscarded, Value: discardedACL}
	case w.out != nil:
		s.Out = sflow.Port{Value: r.indexOf(w.out)}
		from, to := v.stream.from, v.stream.to
		a.router = sflow.Router{NextHop: w.out.neighbour(six), SrcMask: uint32(from.bits), DstMask: uint32(to.bits)}
		a.gateway = sflow.Gateway{NextHop: a.router.NextHop, AS: CarrierAS, SrcAS: from.AS, PrevAS: prevAS}
		if to.AS != CarrierAS {
			route := a.as[:0]
			if out := v.stream.path[len(v.stream.path)-1].out; out != nil && out.peerAS != to.AS {
				route = append(route, out.peerAS)
			}
			a.path[0].AS = append(route, to.AS)
			a.gateway.Path = a.path[:]
		}
		s.Router, s.Gateway = &a.router, &a.gateway
	}
}

// header writes a packet's first bytes as they were on the wire.
func (r *Router) header(p []byte, v *sight, c *conversation) []byte {
	x, dir := v.stream.relation, v.stream.dir
	a := x.app
	src, dst, sport, dport := c.client, c.server, c.clientPort, c.serverPort
	if dir == down {
		src, dst, sport, dport = dst, src, dport, sport
	}
	p = append(p, 2, 0, 0, 0, byte(r.number), 1, 2, 0, 0, 1, byte(r.number), byte(v.hop))
	length, ttl := uint16(v.bytes), c.ttl(dir, int(v.hop))
	payload := 0
	if v.stream.from.is6() {
		label := uint32(c.label) & 0xfffff
		p = append(p, 0x86, 0xdd, 0x60|a.tos>>4, a.tos<<4|byte(label>>16), byte(label>>8), byte(label))
		p = append(p, byte((length-40)>>8), byte(length-40), a.protocol, ttl)
		p = append(append(p, src[:]...), dst[:]...)
		payload = 40
	} else {
		id := uint16(v.chance)
		p = append(p, 0x08, 0x00, 0x45, a.tos, byte(length>>8), byte(length), byte(id>>8), byte(id), 0x40, 0, ttl, a.protocol, 0, 0)
		p = append(append(p, src[12:]...), dst[12:]...)
		sum := uint32(0)
		for i := len(p) - 20; i < len(p); i += 2 {
			sum += uint32(p[i])<<8 | uint32(p[i+1])
		}
		sum = ^(sum>>16 + sum&0xffff)
		p[len(p)-10], p[len(p)-9] = byte(sum>>8), byte(sum)
		payload = 20
	}
	rest := int(length) - payload
	switch a.protocol {
	case tcp:
		seq := uint32(v.chance >> 8)
		p = append(p, byte(sport>>8), byte(sport), byte(dport>>8), byte(dport), byte(seq>>24), byte(seq>>16), byte(seq>>8), byte(seq), 0, 0, 0, 1)
		p = append(p, 0x50, c.flags(a, dir, v.at, v.bytes), 0xff, 0xff, 0, 0, 0, 0)
		rest -= 20
	case udp, udpLite:
		p = append(p, byte(sport>>8), byte(sport), byte(dport>>8), byte(dport), byte(rest>>8), byte(rest), 0, 0)
		rest -= 8
	case sctp:
		p = append(p, byte(sport>>8), byte(sport), byte(dport>>8), byte(dport), 0, 0, 0, 1, 0, 0, 0, 0)
		rest -= 12
	case icmp:
		p = append(p, a.icmp[dir], 0, 0, 0, 0, 1, 0, 1)
		rest -= 8
	case gre: // of IPv4
		p = append(p, 0, 0, 8, 0)
		rest -= 4
	}
	room := min(max(rest, 0), cap(p)-len(p))
	from := len(p)
	p = p[:from+room]
	clear(p[from:])
	return p
}
