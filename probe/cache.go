package probe

import (
	"time"

	"github.com/minamo-flow/minamo/flow"
)

// CacheConfig tells what a flow is and when it ends.
type CacheConfig struct {
	// Active ends a flow that goes on for so long (IPFIX flowActiveTimeout);
	// default 60 s. Its next packet begins another.
	Active time.Duration
	// Inactive ends a flow of which no packet came for so long (IPFIX
	// flowIdleTimeout); default 15 s.
	Inactive time.Duration
	// Linger is how long a TCP flow waits for stragglers after its FIN or RST:
	// the last acknowledgements. Default 1 s.
	Linger time.Duration
	// NoTCPEnd leaves it to the timers to end TCP flows.
	NoTCPEnd bool
	// Flows is the most flows that there are at a time; default 524,288. A flow
	// beyond that ends the idlest one.
	Flows int
	// Key is what the packets of a flow have in common; default DefaultKey.
	// Columns that are not Keyable are left out.
	Key flow.Mask
	// Values are the other columns of a flow. Their values are the first
	// packet's, but tcp_flags are all packets', and min_packet_length and
	// max_packet_length those of the shortest and the longest. The
	// handshake_time of a packet is its moment in µs, of any beginning; that of
	// a flow the time from its first SYN, without ACK, to its first ACK. Default
	// is all that is Keyable, and those three, but fragment_id, which is a
	// packet's and not a flow's. Room is taken only for columns that occur.
	Values flow.Mask
	// Biflow ends both directions of a conversation together (RFC 5103): two
	// rows, one behind the other, that of the first packet first; the column
	// biflow tells which is which. A conversation of one direction is one row
	// without it. Columns of the key that come in pairs (src_addr and dst_addr)
	// change places in the other direction if both are in the key; all others
	// are the same. The interfaces are either: the same for who sees both
	// directions come by (a SPAN port), exchanged for who sees one come in by
	// an interface and the other leave by it.
	Biflow bool
	// Rows bounds what a call of Expire or Flush appends, rounded up to a few
	// hundreds; 0 is no bound.
	Rows int
}

// DefaultKey is the 5-tuple, ToS, input interface and VLAN. ICMP's type and
// code are part of it: they are where others have their ports.
var DefaultKey = flow.MaskOf(flow.SrcAddr, flow.DstAddr, flow.Protocol, flow.SrcPort, flow.DstPort, flow.ICMPType, flow.ICMPCode,
	flow.TOS, flow.InIf, flow.SrcVLAN)

// Keyable tells whether c can be part of a key: neither a counter nor a time,
// nor a text, nor what the cache finds out by itself.
func Keyable(c flow.Column) bool {
	switch c {
	case flow.Packets, flow.Bytes, flow.DroppedPackets, flow.DroppedBytes, flow.AggregatedFlows,
		flow.MinPacketLength, flow.MaxPacketLength, flow.Biflow, flow.FlowEndReason, flow.HandshakeTime:
		return false
	}
	kind := flow.Schema[c].Kind
	return kind != flow.Time && kind != flow.Text
}

// Codes of flow.FlowEndReason (RFC 5102 §5.11.3).
const (
	IdleTimeout     = 1
	ActiveTimeout   = 2
	EndOfFlow       = 3 // FIN or RST
	ForcedEnd       = 4 // Flush, or the clock was set back
	LackOfResources = 5 // the cache was full
	numReasons      = 6
)

// CacheStats accounts for packets and flows. A flow is of one direction: a
// biflow is two.
type CacheStats struct {
	Packets, Bytes uint64             // added
	Created        uint64             // flows
	Ended          [numReasons]uint64 // flows by flow_end_reason
	Flows          int                // that are there now: created and not ended
	Peak           int                // the most there were
	SetBack        uint64             // times that a packet set the clock back
	Memory         int                // bytes
}

// Cache is the flow cache of a metering process: packets are added, flows come
// out when they end.
//
// Time is the packets': the clock stands at the latest one, or where Expire
// put it. A flow is due when the clock reaches its first packet + Active or
// its last + Inactive, and has ended then, even if a packet comes that very
// millisecond. Packets should come in order of time. One that is late counts
// for the flow that there is; one that is later than Inactive, and than a
// second, sets the clock back, and ends what was there.
//
// A TCP flow with a FIN or a RST in it ends when no packet came for Linger, or
// with the SYN of the next connection. The FIN is the flow's own, as in
// routers, which may see only one direction; a biflow needs both, or a RST.
//
// A packet costs a few memory accesses and no allocation. Flows lie in arrays
// without pointers, linked by their first and by their last packet: none is
// looked at before it is due. A Cache is not safe for concurrent use.
type Cache struct {
	active, inactive, linger int64 // ms
	late                     int64 // ms; a packet so late sets the clock back
	tcpEnd, biflow, lengths  bool
	flagsBit                 uint64 // of tcp_flags in a mask, if they are wanted
	room, rows               int

	now   int64
	era   uint8 // how often the clock was set back
	stats CacheStats

	columns // where a flow's columns lie
	table   // the flows, found by key

	idle    list // flows by last packet
	closing list // those with FIN or RST, by last packet
	aging   list // all, by first packet

	// Of the block of packets at hand.
	keys    []uint64
	hashes  [block]uint32
	mirror  []uint64 // the key of the other direction
	fresh   []fresh
	shaken  []shaken
	ended   []ended
	touched uint64 // what was read ahead; never used
}

// block is how many packets are looked up at a time: what their flows need
// comes from memory at once, not one after the other.
const block = 128

// fresh is a flow whose values are still in the packets' batch.
type fresh struct {
	row  int
	flow uint32
}

// shaken is a flow whose handshake was completed at a moment; that of its first
// packet is its value so far.
type shaken struct{ flow, moment uint32 }

// ended is a flow that is still to be written.
type ended struct {
	flow   uint32
	reason uint8
	half   uint8 // code of flow.Biflow, or 0
}

// NewCache returns an empty cache.
func NewCache(cfg CacheConfig) *Cache {
	ms := func(d, otherwise time.Duration) int64 {
		if d <= 0 {
			d = otherwise
		}
		return max(d.Milliseconds(), 1)
	}
	c := &Cache{
		active:   ms(cfg.Active, 60*time.Second),
		inactive: ms(cfg.Inactive, 15*time.Second),
		linger:   ms(cfg.Linger, time.Second),
		tcpEnd:   !cfg.NoTCPEnd,
		biflow:   cfg.Biflow,
		rows:     cfg.Rows,
		room:     cfg.Flows,
		idle:     list{none, none},
		closing:  list{none, none},
		aging:    list{none, none},
	}
	c.linger = min(c.linger, c.inactive)
	c.late = max(c.inactive, 1000)
	if c.room <= 0 {
		c.room = 1 << 19
	}
	if cfg.Key == (flow.Mask{}) {
		cfg.Key = DefaultKey
	}
	values := cfg.Values
	if values == (flow.Mask{}) {
		for v := range flow.Columns() {
			if Keyable(v) && v != flow.FragmentID {
				values.Add(v)
			}
		}
		values.Or(lengthColumns)
		values.Add(flow.HandshakeTime)
	}
	c.lengths = values[0]&lengthColumns[0]|values[1]&lengthColumns[1] != 0
	if values.Has(flow.TCPFlags) {
		c.flagsBit = 1 << (flow.TCPFlags & 63)
	}
	c.columns.init(cfg.Key, values)
	c.table.init(c.stride)
	c.keys = make([]uint64, block*c.keyWords)
	c.mirror = make([]uint64, c.keyWords)
	c.fresh = make([]fresh, 0, block)
	c.shaken = make([]shaken, 0, block)
	c.ended = make([]ended, 0, 8*block)
	return c
}

// Stats tells what became of the packets so far.
func (c *Cache) Stats() CacheStats {
	s := c.stats
	s.Flows = c.live
	s.Memory = c.memory()
	return s
}

// Add adds the packets in rows [from, to): a row is a packet, or several equal
// ones at once. Its time is start; packets and bytes are all there is of
// counters; a column that is absent is so in the flow. Flows that end are
// appended to out, at most a few for each packet: after a long silence, others
// that are due follow with the next call, or with Expire.
func (c *Cache) Add(packets *flow.Batch, from, to int, out *flow.Batch) {
	seen := c.learn(packets, from, to)
	in := counters{
		present: packets.Present,
		start:   packets.Time(flow.Start),
		packets: packets.U64(flow.Packets),
		bytes:   packets.U64(flow.Bytes),
		flags:   packets.U16(flow.TCPFlags),
	}
	if c.handshake.kind == flow.Uint32 && seen.Has(flow.HandshakeTime) {
		in.moments = packets.U32(flow.HandshakeTime)
	}
	for ; from < to; from += block {
		end := min(from+block, to)
		c.pack(c.keys, packets, from, end, seen)
		c.look(end - from)
		for row := from; row < end; row++ {
			c.add(&in, row, row-from)
		}
		c.expire(2 * block)
		c.settle(packets, out)
	}
}

// counters are the vectors that every packet has.
type counters struct {
	present        []flow.Mask
	start          []int64
	packets, bytes []uint64
	flags          []uint16
	moments        []uint32 // nil if no packet has one
}

// look hashes the keys of the block and reads ahead what lies where they point.
func (c *Cache) look(n int) {
	w := c.keyWords
	var at [block]uint32
	for r := range n {
		c.hashes[r] = c.hash(c.keys[r*w : r*w+w])
	}
	mask := uint32(len(c.index) - 1)
	for r, h := range c.hashes[:n] {
		at[r] = uint32(c.index[h&mask])
	}
	touched := uint64(0)
	for _, i := range at[:n] {
		if i > 0 {
			e, words, l := c.at(i - 1)
			touched += e.packets + words[0] + words[w-1] + uint64(l.older)
		}
	}
	c.touched += touched
}

// add adds the packets of one row, the k-th of the block.
func (c *Cache) add(in *counters, row, k int) {
	t := in.start[row]
	if t > c.now {
		c.now = t
	} else if c.now-t >= c.late {
		c.now = t
		c.era++
		c.stats.SetBack++
	}
	c.stats.Packets += in.packets[row]
	c.stats.Bytes += in.bytes[row]
	present := in.present[row]
	flags := in.flags[row]
	key, hash := c.keys[k*c.keyWords:(k+1)*c.keyWords], c.hashes[k]

	i := c.find(hash, key, c.keyOf(present), c.keyMask)
	if i != none {
		first := c.first(i)
		if reason := c.due(first); reason != 0 {
			c.end(first, reason)
			i = none
		} else if flags&syn != 0 && c.entry(first).list == inClosing {
			c.end(first, EndOfFlow)
			i = none
		}
	}
	if i == none {
		i = c.create(hash, key)
		c.fresh = append(c.fresh, fresh{row, i})
		e := c.entry(i)
		e.present = c.known(present)
		e.start, e.end = t, t
		e.least, e.era = 1<<16-1, c.era
		c.enter(i, key, flags)
	}
	e := c.entry(i)
	if flags&(syn|rst|ack) == ack && e.flags&(syn|ack) == syn && in.moments != nil {
		c.shake(i, e, t, in.moments[row])
	}
	e.packets += in.packets[row]
	e.bytes += in.bytes[row]
	e.flags |= flags
	e.present[flow.TCPFlags>>6] |= present[flow.TCPFlags>>6] & c.flagsBit
	e.start = min(e.start, t)
	e.end = max(e.end, t)
	if c.lengths {
		length := in.bytes[row]
		if n := in.packets[row]; n > 1 {
			length /= n
		}
		e.least = min(e.least, uint16(min(length, 1<<16-1)))
		e.most = max(e.most, uint16(min(length, 1<<16-1)))
	}
	c.touch(i, e)
}

const (
	fin = 1
	syn = 2
	rst = 4
	ack = 16
)

// shake notes that the flow's handshake is complete. Moments are of 32 bits: a
// handshake that took half an hour is none.
func (c *Cache) shake(i uint32, e *entry, t int64, moment uint32) {
	if took := t - e.start; took >= 0 && took < 1<<31/1000 {
		c.shaken = append(c.shaken, shaken{i, moment})
		e.present.Add(flow.HandshakeTime)
	}
}

// enter puts the new flow i into the lists, unless it is the other direction
// of one that is there.
func (c *Cache) enter(i uint32, key []uint64, flags uint16) {
	e := c.entry(i)
	if c.biflow {
		copy(c.mirror, key)
		present := c.turn(c.mirror, c.keyOf(e.present))
		if c.pair(i, present, flags) {
			return
		}
		if c.inIf >= 0 && c.outIf >= 0 && c.pair(i, c.turnInterfaces(c.mirror, present), flags) {
			return
		}
	}
	e.list = inIdle
	c.append(&c.idle, i, byLast)
	c.append(&c.aging, i, byFirst)
}

// pair makes the new flow i the other direction of the one whose key is in
// mirror, if that is there and has none.
func (c *Cache) pair(i uint32, present flow.Mask, flags uint16) bool {
	p := c.find(c.hash(c.mirror), c.mirror, present, c.keyMask)
	if p == none || p == i || c.entry(p).peer != none {
		return false
	}
	if reason := c.due(p); reason != 0 {
		c.end(p, reason)
		return false
	}
	if flags&syn != 0 && c.entry(p).list == inClosing {
		c.end(p, EndOfFlow)
		return false
	}
	c.entry(p).peer, c.entry(i).peer = i, p
	return true
}

// first is the flow that is in the lists for i: itself, or that of the first
// packet if it is the other direction.
func (c *Cache) first(i uint32) uint32 {
	if e := c.entry(i); e.list == inNone {
		return e.peer
	}
	return i
}

// touch moves the flow i, of which a packet came, to the end of its list.
func (c *Cache) touch(i uint32, e *entry) {
	i = c.first(i)
	first := c.entry(i)
	if first.list == inClosing {
		c.remove(&c.closing, i, byLast)
		c.append(&c.closing, i, byLast)
		return
	}
	if c.tcpEnd && e.flags&(fin|rst) != 0 && c.over(first) {
		c.remove(&c.idle, i, byLast)
		first.list = inClosing
		c.append(&c.closing, i, byLast)
		return
	}
	if c.idle.last != i {
		c.remove(&c.idle, i, byLast)
		c.append(&c.idle, i, byLast)
	}
}

// over tells whether the connection has come to its end.
func (c *Cache) over(e *entry) bool {
	if e.peer == none {
		return true
	}
	other := c.entry(e.peer).flags
	return (e.flags|other)&rst != 0 || e.flags&other&fin != 0
}

// due tells why the flow i, which is in the lists, has ended by now; 0 if it
// has not.
func (c *Cache) due(i uint32) uint8 {
	e := c.entry(i)
	start, last := e.start, e.end
	if e.peer != none {
		p := c.entry(e.peer)
		start, last = min(start, p.start), max(last, p.end)
	}
	reason, silence := uint8(IdleTimeout), last+c.inactive
	if e.list == inClosing {
		reason, silence = EndOfFlow, last+c.linger
	}
	switch age := start + c.active; {
	case e.era != c.era:
		return ForcedEnd
	case silence <= c.now && silence <= age:
		return reason
	case age <= c.now:
		return ActiveTimeout
	}
	return 0
}

// expire ends flows that are due, about n at most, and tells whether it ended
// as many.
func (c *Cache) expire(n int) bool {
	for _, l := range [...]*list{&c.closing, &c.idle, &c.aging} {
		for l.first != none {
			reason := c.due(l.first)
			if reason == 0 {
				break
			}
			if n--; n < 0 {
				return true
			}
			c.end(l.first, reason)
		}
	}
	return false
}

// makeRoom ends a flow: one that is due, or else the idlest.
func (c *Cache) makeRoom() {
	if c.expire(1); c.live < c.room {
		return
	}
	if c.closing.first != none {
		c.end(c.closing.first, EndOfFlow)
	} else {
		c.end(c.idle.first, LackOfResources)
	}
}

// end takes the flow i, which is in the lists, out of the cache; settle writes
// it.
func (c *Cache) end(i uint32, reason uint8) {
	e := c.entry(i)
	if e.list == inClosing {
		c.remove(&c.closing, i, byLast)
	} else {
		c.remove(&c.idle, i, byLast)
	}
	c.remove(&c.aging, i, byFirst)
	c.forget(i)
	c.stats.Ended[reason]++
	if e.peer == none {
		c.ended = append(c.ended, ended{flow: i, reason: reason})
		return
	}
	c.forget(e.peer)
	c.stats.Ended[reason]++
	c.ended = append(c.ended, ended{i, reason, flow.BiflowForward}, ended{e.peer, reason, flow.BiflowReverse})
}

// create makes a flow, which is in no list yet.
func (c *Cache) create(hash uint32, key []uint64) uint32 {
	for c.live >= c.room {
		c.makeRoom()
	}
	i := c.insert(hash, key)
	c.stats.Created++
	c.stats.Peak = max(c.stats.Peak, c.live)
	return i
}

// settle copies the values of new flows out of the packets' batch, and writes
// those that ended.
func (c *Cache) settle(packets, out *flow.Batch) {
	if len(c.fresh) > 0 {
		c.fill(packets, c.fresh)
		c.fresh = c.fresh[:0]
	}
	for _, x := range c.shaken {
		words := c.wordsOf(x.flow)
		took := int32(x.moment - uint32(c.handshake.get(words)))
		c.handshake.set(words, uint64(max(took, 0))) // within a millisecond packets may change places
	}
	c.shaken = c.shaken[:0]
	if len(c.ended) > 0 {
		c.write(out)
		for _, e := range c.ended {
			c.release(e.flow)
		}
		c.ended = c.ended[:0]
	}
}

// Expire sets the clock to now, in ms UTC, unless it is later already, and
// appends the flows that are due to out. The clock is the packets': who reads a
// file has no use for it. It tells whether there may be more, where
// CacheConfig.Rows bounds them.
func (c *Cache) Expire(now int64, out *flow.Batch) (more bool) {
	c.now = max(c.now, now)
	return c.drain(out, c.expire)
}

// Flush ends all flows, the oldest first, and appends them to out. It tells
// whether there are more, where CacheConfig.Rows bounds them.
func (c *Cache) Flush(out *flow.Batch) (more bool) {
	return c.drain(out, func(n int) bool {
		for ; c.aging.first != none; n-- {
			if n == 0 {
				return true
			}
			reason := c.due(c.aging.first)
			if reason == 0 {
				reason = ForcedEnd
			}
			c.end(c.aging.first, reason)
		}
		return false
	})
}

// drain writes what some ends, a block at a time.
func (c *Cache) drain(out *flow.Batch, some func(n int) bool) (more bool) {
	for written := 0; ; written += block {
		if c.rows > 0 && written >= c.rows {
			return true
		}
		more = some(block)
		c.settle(nil, out)
		if !more {
			return false
		}
	}
}
