package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/minamo-flow/minamo/flow"
)

// A day is 24 hours of the flows that the four routers of an access provider
// export, in the order in which they reach a collector. It is a function of
// its seed, its number of flows and its date alone.
//
// Clients and servers are popular after Zipf's law (shifted, so that no single
// one is everything), services have the ports, sizes and durations that one
// knows of them, a tenth is IPv6. Each connection makes a flow each way; one
// that outlives the active timer makes a flow a minute; other flows are
// exported when they were idle for 15 seconds, or at once at a FIN. The rate
// of flows follows the hours. At 03:05 someone scans the clients for twenty
// minutes; at 20:10 a client is flooded for ten, from addresses that are
// forged and never come twice. The fourth router samples one packet in 1000.
//
// Flows are made minute by minute; what memory holds is the flows of a minute
// and the connections that still last.
type day struct {
	date    time.Time
	flows   int
	random  *rand.Rand
	clients []host
	servers []host
	systems []system
	names   struct{ clients, servers, systems, services *zipf } // who comes how often

	minute  int // the next one
	end     int // the one that is not made any more; minutesOfDay
	emitted int
	buckets [][]record // by the minute of export, as a ring
	order   []uint64   // of the records of the minute, by the time of export
	batch   *flow.Batch
	queues  [2 * len(routers)][]record // datagrams that fill up: of a router, of a version of IP
}

const (
	minutesOfDay  = 24 * 60
	activeTimer   = 60_000 // ms
	inactiveTimer = 15_000
	longest       = 45 // minutes that a connection lasts at most

	homeAS      = 64500
	datagram4   = 17 // records of IPv4 that 1400 bytes hold
	datagram6   = 10
	accessPorts = 8 // interfaces of a router towards clients
	uplinks     = 5 // and towards the world
)

// routers are who exports. Their addresses are of the loopback network, so
// that other collectors can be sent the same flows from the same sources.
var routers = [4]struct {
	address  [4]byte
	protocol uint8
	rate     uint32
}{
	{[4]byte{127, 0, 1, 1}, flow.NetFlow9, 1},
	{[4]byte{127, 0, 1, 2}, flow.IPFIX, 1},
	{[4]byte{127, 0, 1, 3}, flow.IPFIX, 1},
	{[4]byte{127, 0, 1, 4}, flow.NetFlow9, 1000},
}

// host is a client or a server.
type host struct {
	addr         [2]flow.Addr // of IPv4, of IPv6
	as           uint32
	mask         [2]uint8
	ttl          uint8
	route        uint8 // selects the interface, the next hop, the router
	vlan         uint16
	bgp, nextHop byte
}

// system is an autonomous system: one /16 and one /32 are its own, and it
// announces a more specific prefix of each.
type system struct {
	number uint32
	block  [2]byte
	mask   [2]uint8
	ttl    uint8
}

// service is what servers offer.
type service struct {
	share            float64
	protocol         uint8
	port             uint16 // of the server; 0: both sides are ephemeral, or there are none
	servers          int    // that offer it; 0: other addresses of the world, each rarely
	request, answer  float64
	spread           float64 // of sizes: σ of the logarithm
	seconds, longer  float64 // median duration; share of connections that stay for minutes
	tos              uint8
	requestPacket    float64 // bytes a packet, where it is full
	answered, closed float64 // share of connections that are answered, that end with FIN
}

const icmp, tcp, udp, gre, esp, icmp6 = 1, 6, 17, 47, 50, 58

var services = []service{
	{24, tcp, 443, 30_000, 1_800, 9_000, 1.6, 4, .12, 0, 600, .97, .8},
	{14, udp, 443, 4_000, 2_500, 20_000, 1.7, 6, .15, 0, 1000, .98, 0},
	{5, tcp, 80, 20_000, 700, 4_000, 1.5, 1, .03, 0, 500, .95, .85},
	{27, udp, 53, 48, 68, 160, .4, .02, 0, 0, 80, .98, 0},
	{3, udp, 123, 400, 76, 76, 0, .03, 0, 0, 76, .95, 0},
	{1.2, tcp, 993, 300, 900, 3_000, 1.2, 8, .3, 0, 400, .98, .7},
	{.8, tcp, 25, 2_000, 12_000, 900, 1.6, 3, .02, 0, 1300, .8, .8},
	{.4, tcp, 587, 200, 15_000, 1_200, 1.5, 3, .02, 0, 1300, .97, .9},
	{.8, tcp, 22, 3_000, 3_000, 5_000, 1.8, 5, .25, 0x48, 200, .7, .6},
	{.3, tcp, 3389, 800, 6_000, 40_000, 1.5, 20, .5, 0, 200, .6, .5},
	{1.2, tcp, 8080, 2_500, 900, 3_000, 1.5, 2, .05, 0, 500, .9, .7},
	{.8, tcp, 8443, 1_500, 1_200, 5_000, 1.5, 3, .08, 0, 500, .95, .7},
	{1.2, udp, 3478, 200, 400, 500, 1, 5, .3, 0xb8, 120, .95, 0},
	{.5, udp, 51820, 900, 30_000, 90_000, 1.5, 30, .7, 0, 900, .99, 0},
	{.5, udp, 5060, 150, 900, 800, .6, 1, .1, 0x68, 700, .95, 0},
	{.9, udp, 27015, 300, 4_000, 9_000, 1.2, 30, .6, 0, 110, .9, 0},
	{.7, tcp, 1935, 120, 3_000, 400_000, 1.3, 60, .8, 0x28, 100, .95, .5},
	{.3, udp, 161, 60, 90, 120, .3, .01, 0, 0, 90, .6, 0},
	{1, tcp, 5228, 40, 500, 600, .8, 20, .5, 0, 150, .99, .3},
	{.2, tcp, 179, 40, 300, 300, .5, 50, .9, 0xc0, 80, .99, .1},
	{6, udp, 0, 0, 1_200, 3_000, 2, 5, .08, 0, 600, .5, 0},
	{4, tcp, 0, 0, 5_000, 20_000, 2, 8, .1, 0, 900, .4, .4},
	{1.6, icmp, 0, 5_000, 84, 84, .3, 1, .05, 0, 84, .7, 0},
	{.2, gre, 0, 60, 50_000, 50_000, 1, 60, .9, 0, 600, .99, 0},
	{.2, esp, 0, 120, 40_000, 80_000, 1, 60, .9, 0, 700, .99, 0},
}

// record is a flow that will be exported, one direction of a connection. What
// is left of it behind the active timer is the next record.
type record struct {
	export         int64 // ms
	start          int64
	left           int64 // ms from start to the end of all
	packets, bytes uint64
	srcPort        uint16
	dstPort        uint16
	server         host // or whoever is at the other end
	client         uint32
	out            bool // the client sends
	router         uint8
	protocol       uint8
	flags          uint8
	tos            uint8
	more           bool // pieces follow
	six            uint8
	kind           uint8 // ICMP
}

func newDay(seed uint64, flows int, date time.Time) *day {
	d := &day{
		date:    date,
		flows:   flows,
		end:     minutesOfDay,
		random:  rand.New(rand.NewPCG(seed, 24)),
		buckets: make([][]record, longest+2),
		batch:   flow.NewBatch(flows/minutesOfDay*2 + 1000),
	}
	d.makeSystems(3000)
	d.makeClients(200_000)
	d.makeServers(40_000)
	d.names.clients = newZipf(len(d.clients), .8, 20)
	d.names.servers = newZipf(len(d.servers), 1.1, 8)
	d.names.systems = newZipf(len(d.systems), .9, 4)
	shares := make([]float64, len(services))
	for i := range services {
		shares[i] = services[i].share
	}
	d.names.services = newAlias(shares)
	return d
}

func (d *day) makeSystems(n int) {
	var blocks [][2]byte
	for a := byte(1); a < 224; a++ {
		switch a {
		case 10, 100, 127, 169, 172, 192, 198, 203: // parts of these have other uses
			continue
		}
		for b := range 256 {
			blocks = append(blocks, [2]byte{a, byte(b)})
		}
	}
	d.random.Shuffle(len(blocks), func(i, j int) { blocks[i], blocks[j] = blocks[j], blocks[i] })
	masks := []uint8{16, 18, 19, 20, 20, 21, 22, 22, 23, 24, 24, 24, 24, 24, 24, 24}
	number := uint32(174)
	for i := range n {
		d.systems = append(d.systems, system{
			number: number,
			block:  blocks[i],
			mask:   [2]uint8{masks[d.random.IntN(len(masks))], 32 + 4*uint8(d.random.IntN(5))},
			ttl:    uint8(44 + d.random.IntN(18)),
		})
		if number += 1 + d.random.Uint32N(40); i == n*2/3 {
			number = 196_608 // the range beyond 16 bits
		}
	}
	d.random.Shuffle(n, func(i, j int) { d.systems[i].number, d.systems[j].number = d.systems[j].number, d.systems[i].number })
}

// resident is an address of a system, within the prefix that it announces.
func (d *day) resident(system int) host {
	s := &d.systems[system]
	h := host{as: s.number, mask: s.mask, ttl: s.ttl, route: uint8(system % 251), bgp: byte(system % 61)}
	bits := uint16(d.random.Uint32()) & (1<<(32-s.mask[0]) - 1)
	h.addr[0] = flow.AddrFrom4([4]byte{s.block[0], s.block[1], byte(bits >> 8), byte(bits)})
	h.addr[1] = flow.Addr{0x2a, 0x00, s.block[0], s.block[1], 0, 0, byte(bits >> 8), 0, 15: byte(1 + bits)}
	return h
}

// Clients are in 100.64.0.0/14, shared by 16 networks, four of them customers
// with AS numbers of their own.
func (d *day) makeClients(n int) {
	for i := range n {
		at := uint32(i) * 40503 & (1<<18 - 1) // popularity is scattered over the addresses
		h := host{as: homeAS, mask: [2]uint8{18, 40}, ttl: 63, route: uint8(at >> 14), vlan: uint16(100 + at>>13)}
		if d.random.IntN(3) == 0 {
			h.ttl = 127
		}
		if network := at >> 14; network >= 12 {
			h.as = homeAS + network - 11
		}
		h.addr[0] = flow.AddrFrom4([4]byte{100, 64 + byte(at>>16), byte(at >> 8), byte(at)})
		h.addr[1] = flow.Addr{0x20, 0x01, 0x0d, 0xb8, byte(at >> 14), byte(at >> 10 & 15), byte(at >> 2), byte(at << 6)}
		for k := 8; k < 16; k++ {
			h.addr[1][k] = byte(d.random.Uint32())
		}
		d.clients = append(d.clients, h)
	}
}

func (d *day) makeServers(n int) {
	popular := newZipf(len(d.systems), .9, 4)
	taken := map[flow.Addr]bool{}
	for len(d.servers) < n {
		if h := d.resident(popular.draw(d.random)); !taken[h.addr[0]] {
			taken[h.addr[0]] = true
			d.servers = append(d.servers, h)
		}
	}
}

// hours is how the rate of flows goes over the day: lowest before five in the
// morning, highest at nine in the evening.
func hours(minute int) float64 {
	t := float64(minute) / 60
	return 1 + .5*math.Cos(2*math.Pi*(t-19.5)/24) + .15*math.Cos(4*math.Pi*(t-21)/24)
}

const (
	scanFrom, scanTo   = 3*60 + 5, 3*60 + 25
	floodFrom, floodTo = 20*60 + 10, 20*60 + 20
	scanShare          = .003 // of the day's flows
	floodShare         = .02
)

// attacks is how many of the day's flows are of the scan or the flood.
func (d *day) attacks(minute int) int {
	switch {
	case minute >= scanFrom && minute < scanTo:
		return int(scanShare * float64(d.flows) / (scanTo - scanFrom))
	case minute >= floodFrom && minute < floodTo:
		return int(floodShare * float64(d.flows) / (floodTo - floodFrom))
	}
	return 0
}

// until is how many flows there are before the end of a minute.
func (d *day) until(minute int) int {
	if minute == minutesOfDay-1 {
		return d.flows
	}
	attacks, weight, all := 0, 0.0, 0.0
	for m := range minutesOfDay {
		if all += hours(m); m <= minute {
			attacks, weight = attacks+d.attacks(m), all
		}
	}
	return attacks + int(weight/all*float64(d.flows)*(1-scanShare-floodShare))
}

// next returns the flows of the next minute, which are valid until the next
// call; ok is false when the day is over.
func (d *day) next() (b *flow.Batch, ok bool) {
	if d.minute == d.end {
		return nil, false
	}
	begin := d.date.UnixMilli() + int64(d.minute)*60_000
	due := &d.buckets[d.minute%len(d.buckets)]
	quota := d.until(d.minute) - d.emitted
	attacks := d.attacks(d.minute)
	for len(*due) < quota {
		if attacks > 0 {
			attacks--
			d.attack(begin)
		} else {
			d.connection(begin)
		}
	}
	// One connection too many, or more that last than the minute can take.
	*due = (*due)[:max(quota, 0)]

	d.order = d.order[:0]
	for i := range *due {
		d.order = append(d.order, uint64((*due)[i].export-begin)<<32|uint64(i))
	}
	slices.Sort(d.order)
	d.batch.Reset()
	for _, o := range d.order {
		r := &(*due)[uint32(o)]
		if r.left > activeTimer {
			d.later(r.cut())
		}
		queue := 2*int(r.router) + int(r.six)
		d.queues[queue] = append(d.queues[queue], *r)
		if len(d.queues[queue]) == []int{datagram4, datagram6}[r.six] {
			d.datagram(queue, r.export)
		}
	}
	for queue := range d.queues {
		d.datagram(queue, begin+59_999)
	}
	*due = (*due)[:0]
	d.emitted += d.batch.Len()
	d.minute++
	return d.batch, true
}

// cut makes the record the piece until the active timer, with an even share of
// packets and bytes, and returns what follows.
func (r *record) cut() record {
	rest := *r
	pieces := uint64((r.left + activeTimer - 1) / activeTimer)
	r.packets, r.bytes = max(r.packets/pieces, 1), max(r.bytes/pieces, 28)
	r.left, r.more = activeTimer, true
	r.flags &^= 0x01
	rest.packets, rest.bytes = max(rest.packets-r.packets, 1), max(rest.bytes-r.bytes, 28)
	rest.start += activeTimer
	rest.left -= activeTimer
	rest.flags &^= 0x02
	return rest
}

// later puts the rest of a long flow where its next piece will be due.
func (d *day) later(r record) {
	r.export = r.start + min(r.left, activeTimer) + d.random.Int64N(1000)
	if r.left <= activeTimer && r.flags&0x01 == 0 {
		r.export += inactiveTimer
	}
	if next := d.date.UnixMilli() + int64(d.minute+1)*60_000; r.export < next {
		r.export = next + d.random.Int64N(10_000)
	}
	if at := int((r.export - d.date.UnixMilli()) / 60_000); at < minutesOfDay {
		d.buckets[at%len(d.buckets)] = append(d.buckets[at%len(d.buckets)], r)
	}
}

// connection makes the flows of a connection of which the first is exported
// in the minute that begins then.
func (d *day) connection(begin int64) {
	kind := d.names.services.draw(d.random)
	s := &services[kind]
	r := record{protocol: s.protocol, tos: s.tos, out: true, client: uint32(d.names.clients.draw(d.random))}
	if d.random.IntN(10) == 0 {
		r.six = 1
	}
	if s.servers == 0 {
		r.server = d.resident(d.names.systems.draw(d.random))
	} else { // each service has a ranking of its own among the servers
		r.server = d.servers[(d.names.servers.draw(d.random)%s.servers+kind*1511)%len(d.servers)]
	}
	client := &d.clients[r.client]
	// The router that the client is connected to; the sampling one sees some of all.
	r.router = []uint8{0, 0, 0, 1, 1, 1, 2, 2, 0, 1, 2, 0, 1, 2, 0, 1}[client.route&15]
	if d.random.IntN(10) == 0 {
		r.router = 3
	}

	length := int64(1000 * s.seconds * math.Exp(d.random.NormFloat64()))
	if d.random.Float64() < s.longer {
		length = 60_000 + int64(240_000*d.random.ExpFloat64())
	}
	r.left = min(length, (longest-1)*60_000)
	answered := d.random.Float64() < s.answered
	closed := answered && d.random.Float64() < s.closed
	request, answer := d.size(s.request, s), d.size(s.answer, s)
	if length > activeTimer { // who stays has more to say
		factor := float64(length) / activeTimer * 4
		request, answer = request*factor, answer*factor
	}

	switch s.protocol {
	case tcp, udp:
		r.srcPort, r.dstPort = uint16(32768+d.random.Uint32N(28232)), s.port
		if s.port == 0 {
			r.dstPort = uint16(10_000 + d.random.Uint32N(50_000))
		}
	case icmp:
		r.kind = 8
		if r.six == 1 {
			r.protocol, r.kind = icmp6, 128
		}
	}
	requestPackets := math.Ceil(request / s.requestPacket)
	answerPackets := math.Ceil(answer / 1250)
	if s.protocol == tcp {
		r.flags = 0x1a
		if closed {
			r.flags = 0x1b
		}
		requestPackets += math.Ceil(answerPackets/2) + 3 // acknowledgements
		request += 52 * requestPackets
		answerPackets += 3
		answer += 52 * answerPackets
	}
	if !answered {
		requestPackets = 1 + float64(d.random.IntN(3))
		request = requestPackets * min(s.requestPacket, 60)
		r.left = int64(requestPackets-1) * 1000
		r.flags &= 0x02
	}
	r.packets, r.bytes = uint64(requestPackets), uint64(request)

	// Backwards from the export, which is in this minute.
	r.export = begin + d.random.Int64N(60_000)
	r.start = r.export - min(r.left, activeTimer) - d.random.Int64N(1000)
	if !closed && r.left <= activeTimer {
		r.start -= inactiveTimer
	}
	if routers[r.router].rate > 1 {
		d.sampled(r, answered, answer/answerPackets)
		return
	}
	d.put(r)
	if answered {
		r.packets, r.bytes = uint64(max(answerPackets, 1)), uint64(answer)
		d.put(d.reverse(r))
	}
}

// size is how many bytes one side sends, logarithmically normal.
func (d *day) size(median float64, s *service) float64 {
	return max(28, median*math.Exp(s.spread*d.random.NormFloat64()))
}

// reverse is the other direction.
func (d *day) reverse(r record) record {
	r.out = false
	r.srcPort, r.dstPort = r.dstPort, r.srcPort
	r.start += 5 + d.random.Int64N(40)
	r.left = max(r.left-45, 0)
	if r.flags&0x10 != 0 {
		r.flags |= 0x02
	}
	switch r.kind {
	case 8:
		r.kind = 0
	case 128:
		r.kind = 129
	}
	return r
}

// sampled makes what one sees of a connection who looks at a packet in 1000:
// seldom more than one of a flow.
func (d *day) sampled(r record, answered bool, answerPacket float64) {
	size := float64(r.bytes) / float64(r.packets)
	if answered && d.random.IntN(5) < 3 {
		r, size = d.reverse(r), answerPacket
	}
	r.packets, r.left = 1, 0
	for d.random.IntN(8) == 0 {
		r.packets++
		r.left += d.random.Int64N(5000)
	}
	r.bytes = r.packets * uint64(min(max(size, 40), 1500))
	if r.flags&0x10 != 0 && d.random.IntN(10) > 0 {
		r.flags = 0x10
	}
	r.start = r.export - r.left - inactiveTimer
	d.put(r)
}

// attack makes a flow of the scan, or of the flood.
func (d *day) attack(begin int64) {
	r := record{protocol: tcp, flags: 0x02, packets: 1, bytes: 40, router: uint8(d.random.IntN(3))}
	r.export = begin + d.random.Int64N(60_000)
	r.start = r.export - inactiveTimer
	if d.minute < scanTo {
		r.server = d.servers[len(d.servers)-1]
		r.client = d.random.Uint32N(uint32(len(d.clients)))
		r.srcPort, r.dstPort = 54321, 23
	} else {
		r.server = d.resident(d.random.IntN(len(d.systems)))
		r.server.addr[0] = flow.AddrFrom4([4]byte{byte(1 + d.random.Uint32N(222)), byte(d.random.Uint32()), byte(d.random.Uint32()), byte(d.random.Uint32())})
		r.server.mask[0] = 0 // the default route
		r.server.as = 0
		r.client, r.router = 4711, 1
		r.srcPort, r.dstPort = uint16(1024+d.random.Uint32N(64000)), 443
		r.packets = 1 + d.random.Uint64N(3)
		r.bytes = 40 * r.packets
	}
	d.put(r)
}

// put appends a record to those of the minute.
func (d *day) put(r record) {
	due := &d.buckets[d.minute%len(d.buckets)]
	*due = append(*due, r)
}

// datagram writes what is queued as rows that arrived together.
func (d *day) datagram(queue int, received int64) {
	records := d.queues[queue]
	b, first := d.batch, d.batch.Extend(len(records))
	for i := range records {
		d.row(b, first+i, &records[i], received)
	}
	d.queues[queue] = records[:0]
}

var (
	always = flow.MaskOf(flow.Received, flow.Exporter, flow.ExportProtocol, flow.ObservationDomain, flow.Start, flow.End,
		flow.Packets, flow.Bytes, flow.SamplingRate, flow.SamplingSource, flow.SrcAddr, flow.DstAddr, flow.Protocol,
		flow.SrcPort, flow.DstPort, flow.TCPFlags, flow.InIf, flow.OutIf, flow.Direction, flow.ForwardingStatus,
		flow.NextHop, flow.BGPNextHop, flow.SrcAS, flow.DstAS, flow.SrcMask, flow.DstMask, flow.TOS, flow.TTL,
		flow.SrcVLAN, flow.DstVLAN, flow.FlowEndReason)
	whenICMP = flow.MaskOf(flow.ICMPType, flow.ICMPCode)
)

// row writes a record as a row, with all that a router says of it.
func (d *day) row(b *flow.Batch, i int, r *record, received int64) {
	router := &routers[r.router]
	client, server := &d.clients[r.client], &r.server
	b.Present[i] = always
	b.Time(flow.Received)[i] = received
	b.Addr(flow.Exporter)[i] = flow.AddrFrom4(router.address)
	b.U8(flow.ExportProtocol)[i] = router.protocol
	b.U32(flow.ObservationDomain)[i] = 1
	b.Time(flow.Start)[i], b.Time(flow.End)[i] = r.start, r.start+r.left
	b.U64(flow.Packets)[i], b.U64(flow.Bytes)[i] = r.packets, r.bytes
	b.U32(flow.SamplingRate)[i] = router.rate
	if router.rate > 1 {
		b.U8(flow.SamplingSource)[i] = flow.SamplingOptions
		b.U64(flow.SamplerID)[i] = 1
		b.Present[i].Add(flow.SamplerID)
	}
	b.U8(flow.Protocol)[i] = r.protocol
	b.U16(flow.SrcPort)[i], b.U16(flow.DstPort)[i] = r.srcPort, r.dstPort
	b.U16(flow.TCPFlags)[i] = uint16(r.flags)
	if r.protocol == icmp || r.protocol == icmp6 {
		b.U8(flow.ICMPType)[i] = r.kind
		b.Present[i].Or(whenICMP)
	}

	access := uint32(100*int(r.router) + 1 + int(client.route)%accessPorts)
	uplink := uint32(100*int(r.router) + 11 + int(server.route)%uplinks)
	src, dst := client, server
	if r.out {
		b.U32(flow.InIf)[i], b.U32(flow.OutIf)[i] = access, uplink
		b.U16(flow.SrcVLAN)[i] = client.vlan
		b.Addr(flow.NextHop)[i] = flow.AddrFrom4([4]byte{10, 255, r.router, byte(uplink)})
		b.Addr(flow.BGPNextHop)[i] = flow.AddrFrom4([4]byte{10, 254, 0, server.bgp})
	} else {
		src, dst = server, client
		b.U32(flow.InIf)[i], b.U32(flow.OutIf)[i] = uplink, access
		b.U16(flow.DstVLAN)[i] = client.vlan
		b.Addr(flow.NextHop)[i] = flow.AddrFrom4([4]byte{10, 253, r.router, byte(access)})
		b.Addr(flow.BGPNextHop)[i] = flow.AddrFrom4([4]byte{10, 253, 255, 1 + r.router})
	}
	b.Addr(flow.SrcAddr)[i], b.Addr(flow.DstAddr)[i] = src.addr[r.six], dst.addr[r.six]
	b.U32(flow.SrcAS)[i], b.U32(flow.DstAS)[i] = src.as, dst.as
	b.U8(flow.SrcMask)[i], b.U8(flow.DstMask)[i] = src.mask[r.six], dst.mask[r.six]
	b.U8(flow.TTL)[i] = src.ttl
	b.U8(flow.TOS)[i] = r.tos
	b.U8(flow.ForwardingStatus)[i] = 64
	// The third router counts what leaves as well as what enters.
	if r.router == 2 && r.start&1 == 1 {
		b.U8(flow.Direction)[i] = flow.Egress
	}
	switch {
	case r.more:
		b.U8(flow.FlowEndReason)[i] = 2 // the active timer
	case r.flags&1 == 1:
		b.U8(flow.FlowEndReason)[i] = 3 // the flow's end was seen
	default:
		b.U8(flow.FlowEndReason)[i] = 1 // the inactive timer
	}
}

// zipf draws ranks from 0 of which rank k comes in proportion to (k+q)^-s, or
// to any weights: Walker's alias method, of constant cost.
type zipf struct {
	keep  []float64
	other []uint32
}

func newZipf(n int, s, q float64) *zipf {
	weights := make([]float64, n)
	for k := range weights {
		weights[k] = math.Pow(float64(k+1)+q, -s)
	}
	return newAlias(weights)
}

func newAlias(weights []float64) *zipf {
	z := &zipf{make([]float64, len(weights)), make([]uint32, len(weights))}
	sum := 0.0
	for _, w := range weights {
		sum += w
	}
	var small, large []uint32
	for i, w := range weights {
		z.keep[i] = w / sum * float64(len(weights))
		if z.keep[i] < 1 {
			small = append(small, uint32(i))
		} else {
			large = append(large, uint32(i))
		}
	}
	for len(small) > 0 && len(large) > 0 {
		s, l := small[len(small)-1], large[len(large)-1]
		small = small[:len(small)-1]
		z.other[s] = l
		if z.keep[l] -= 1 - z.keep[s]; z.keep[l] < 1 {
			small, large = append(small, l), large[:len(large)-1]
		}
	}
	for _, i := range append(small, large...) {
		z.keep[i] = 1 // but for rounding it is
	}
	return z
}

func (z *zipf) draw(r *rand.Rand) int {
	i := r.IntN(len(z.keep))
	if r.Float64() < z.keep[i] {
		return i
	}
	return int(z.other[i])
}
