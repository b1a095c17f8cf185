package probe

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/wire/packet"
)

// model is the slow, obvious twin of Cache: a map of flows, all of which are
// looked at for every packet.
type model struct {
	cfg   CacheConfig
	flows map[string]*modelFlow // by key; of a biflow, by that of the first packet
	now   int64
	steps int // every touch has a number: the idlest flow has the least
	ended []string
}

type modelFlow struct {
	directions []*modelDirection
	keys       []string
	closing    bool
	touched    int
}

type modelDirection struct {
	row            *flow.Batch // the first packet
	start, end     int64
	packets, bytes uint64
	flags          uint64
	hasFlags       bool
	least, most    uint64
}

func (f *modelFlow) start() int64 {
	s := f.directions[0].start
	for _, d := range f.directions {
		s = min(s, d.start)
	}
	return s
}

func (f *modelFlow) last() int64 {
	s := f.directions[0].end
	for _, d := range f.directions {
		s = max(s, d.end)
	}
	return s
}

// keyOf is the key of a packet in text; of the other direction, if mirrored,
// with the interfaces exchanged too if they are to be.
func (m *model) keyOf(b *flow.Batch, i int, mirrored, interfaces bool) string {
	other := map[flow.Column]flow.Column{}
	exchange := func(x, y flow.Column) {
		if m.cfg.Key.Has(x) && m.cfg.Key.Has(y) {
			other[x], other[y] = y, x
		}
	}
	if mirrored {
		exchange(flow.SrcAddr, flow.DstAddr)
		exchange(flow.SrcPort, flow.DstPort)
		exchange(flow.SrcMAC, flow.DstMAC)
	}
	if interfaces {
		exchange(flow.InIf, flow.OutIf)
	}
	var text []byte
	for c := range m.cfg.Key.All() {
		of := c
		if o, ok := other[c]; ok {
			of = o
		}
		if !b.Present[i].Has(of) {
			text = append(text, "-|"...)
			continue
		}
		if c == flow.ICMPType && mirrored {
			answers := map[uint64]uint64{8: 0, 0: 8}
			if t, ok := answers[b.Uint(of, i)]; ok {
				text = fmt.Appendf(text, "%d|", t)
				continue
			}
		}
		text = append(b.AppendText(text, of, i), '|')
	}
	return string(text)
}

// find returns the flow of the packet, and which of its directions it is.
func (m *model) find(b *flow.Batch, i int) (f *modelFlow, direction int) {
	key := m.keyOf(b, i, false, false)
	for _, f := range m.flows {
		if n := slices.Index(f.keys, key); n >= 0 {
			return f, n
		}
	}
	if !m.cfg.Biflow {
		return nil, 0
	}
	for _, interfaces := range []bool{false, true} {
		if interfaces && !(m.cfg.Key.Has(flow.InIf) && m.cfg.Key.Has(flow.OutIf)) {
			continue
		}
		if f := m.flows[m.keyOf(b, i, true, interfaces)]; f != nil && len(f.directions) == 1 {
			return f, 1
		}
	}
	return nil, 0
}

func (m *model) expire() {
	for _, f := range m.flows {
		idle, silence := IdleTimeout, f.last()+m.cfg.Inactive.Milliseconds()
		if f.closing {
			idle, silence = EndOfFlow, f.last()+m.cfg.Linger.Milliseconds()
		}
		age := f.start() + m.cfg.Active.Milliseconds()
		if silence <= m.now && silence <= age {
			m.end(f, idle)
		} else if age <= m.now {
			m.end(f, ActiveTimeout)
		}
	}
}

// live is the flows of one direction.
func (m *model) live() (n int) {
	for _, f := range m.flows {
		n += len(f.directions)
	}
	return n
}

func (m *model) add(b *flow.Batch, i int) {
	t := b.Time(flow.Start)[i]
	if m.now-t >= max(m.cfg.Inactive.Milliseconds(), 1000) {
		for _, f := range m.flows {
			m.end(f, ForcedEnd)
		}
		m.now = t
	}
	m.now = max(m.now, t)
	m.expire()
	flags := b.Uint(flow.TCPFlags, i)
	f, direction := m.find(b, i)
	if f != nil && f.closing && flags&2 != 0 && direction < len(f.directions) {
		m.end(f, EndOfFlow)
		f = nil
	}
	if f == nil || direction == len(f.directions) {
		for m.live() >= m.cfg.Flows {
			m.endIdlest()
		}
		// Room was made: for the other direction of a flow, too.
		for f, direction = m.find(b, i); f != nil && f.closing && flags&2 != 0; f, direction = m.find(b, i) {
			m.end(f, EndOfFlow)
		}
		if f == nil {
			f = &modelFlow{}
			m.flows[m.keyOf(b, i, false, false)] = f
		}
		row := flow.NewBatch(1)
		row.Append(b, i, i+1)
		f.directions = append(f.directions, &modelDirection{row: row, start: t, end: t, least: 1 << 16})
		f.keys = append(f.keys, m.keyOf(b, i, false, false))
	}
	d := f.directions[direction]
	d.packets += b.Uint(flow.Packets, i)
	d.bytes += b.Uint(flow.Bytes, i)
	d.start, d.end = min(d.start, t), max(d.end, t)
	d.flags |= flags
	d.hasFlags = d.hasFlags || b.Present[i].Has(flow.TCPFlags)
	length := b.Uint(flow.Bytes, i) / b.Uint(flow.Packets, i)
	d.least, d.most = min(d.least, length), max(d.most, length)
	m.steps++
	f.touched = m.steps
	if !m.cfg.NoTCPEnd && flags&5 != 0 {
		all, both := f.directions[0].flags, f.directions[0].flags
		for _, d := range f.directions {
			all, both = all|d.flags, both&d.flags
		}
		f.closing = f.closing || all&4 != 0 || both&1 != 0
	}
}

// endIdlest ends the flow that rests longest, of the closing ones if there are.
func (m *model) endIdlest() {
	var idlest *modelFlow
	for _, f := range m.flows {
		if idlest == nil || f.closing && !idlest.closing || f.closing == idlest.closing && f.touched < idlest.touched {
			idlest = f
		}
	}
	if idlest.closing {
		m.end(idlest, EndOfFlow)
	} else {
		m.end(idlest, LackOfResources)
	}
}

func (m *model) end(f *modelFlow, reason int) {
	delete(m.flows, f.keys[0])
	text := ""
	for n, d := range f.directions {
		b := d.row
		allowed := m.cfg.Key
		allowed.Or(m.cfg.Values)
		b.Present[0] = flow.Mask{b.Present[0][0] & allowed[0], b.Present[0][1] & allowed[1]}
		b.SetUint(flow.Start, 0, uint64(d.start))
		b.SetUint(flow.End, 0, uint64(d.end))
		b.SetUint(flow.Packets, 0, d.packets)
		b.SetUint(flow.Bytes, 0, d.bytes)
		if d.hasFlags {
			b.SetUint(flow.TCPFlags, 0, d.flags)
		}
		b.SetUint(flow.MinPacketLength, 0, d.least)
		b.SetUint(flow.MaxPacketLength, 0, d.most)
		b.SetUint(flow.FlowEndReason, 0, uint64(reason))
		if len(f.directions) == 2 {
			b.SetUint(flow.Biflow, 0, uint64(n+1))
		}
		text += string(b.AppendJSON(nil, 0)) + "\n"
	}
	m.ended = append(m.ended, text)
}

// written are the flows of b in text, the halves of a biflow together.
func written(b *flow.Batch) (list []string) {
	for i := range b.Len() {
		text := string(b.AppendJSON(nil, i)) + "\n"
		if b.U8(flow.Biflow)[i] == flow.BiflowReverse {
			list[len(list)-1] += text
		} else {
			list = append(list, text)
		}
	}
	return list
}

// randomPacket appends a packet of few possible flows.
func randomPacket(random *rand.Rand, b *flow.Batch, ms int64) {
	i := b.Extend(1)
	b.SetUint(flow.Start, i, uint64(ms))
	b.SetUint(flow.Packets, i, 1+random.Uint64N(2)*random.Uint64N(1000))
	b.SetUint(flow.Bytes, i, b.Uint(flow.Packets, i)*(20+random.Uint64N(1481)))
	few := func(n uint64) uint64 { return random.Uint64N(n) }
	ends := []string{"192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"}
	version := few(2)
	src := few(2)
	b.SetAddr(flow.SrcAddr, i, addr(ends[2*version+src]))
	b.SetAddr(flow.DstAddr, i, addr(ends[2*version+1-src]))
	switch few(4) {
	case 0:
		b.SetUint(flow.Protocol, i, packet.ICMP)
		b.SetUint(flow.ICMPType, i, []uint64{0, 8, 3}[few(3)])
		b.SetUint(flow.ICMPCode, i, few(2))
	case 1:
		b.SetUint(flow.Protocol, i, packet.UDP)
		if few(3) > 0 { // else a fragment
			b.SetUint(flow.SrcPort, i, few(2)*53)
			b.SetUint(flow.DstPort, i, few(2)*53)
		}
	default:
		b.SetUint(flow.Protocol, i, packet.TCP)
		b.SetUint(flow.SrcPort, i, few(2)*80)
		b.SetUint(flow.DstPort, i, few(2)*80)
		b.SetUint(flow.TCPFlags, i, []uint64{16, 16, 16, 24, 2, 18, 17, 4}[few(8)])
	}
	b.SetUint(flow.TOS, i, few(2)*184)
	maybe := func(c flow.Column, v uint64) {
		if few(3) > 0 {
			b.SetUint(c, i, v)
		}
	}
	maybe(flow.InIf, few(2))
	maybe(flow.OutIf, few(2))
	maybe(flow.SrcVLAN, few(2)*100)
	maybe(flow.TTL, few(256))
	maybe(flow.SrcMAC, few(2)<<40|few(2))
	maybe(flow.DstMAC, few(2)<<40|few(2))
	maybe(flow.FlowLabel, few(1<<20))
	maybe(flow.MPLSLabel1, few(3))
	maybe(flow.ApplicationID, random.Uint64())
	maybe(flow.FragmentID, random.Uint64())
	if few(3) == 0 {
		b.SetAddr(flow.NextHop, i, addr(fmt.Sprintf("2001:db8:1::%x", few(1000))))
	}
}

func TestCacheIsItsModel(t *testing.T) {
	values := flow.MaskOf(flow.MinPacketLength, flow.MaxPacketLength)
	for c := range flow.NumColumns {
		if Keyable(c) && c != flow.FragmentID {
			values.Add(c)
		}
	}
	keys := []flow.Mask{DefaultKey, flow.MaskOf(flow.Protocol), flow.MaskOf(flow.SrcAddr, flow.DstAddr),
		flow.MaskOf(flow.SrcAddr, flow.SrcMAC, flow.DstMAC, flow.MPLSLabel1, flow.ApplicationID),
		flow.MaskOf(flow.SrcAddr, flow.DstAddr, flow.Protocol, flow.SrcPort, flow.DstPort, flow.ICMPType, flow.ICMPCode, flow.InIf, flow.OutIf)}
	for seed := range uint64(100) {
		random := rand.New(rand.NewPCG(seed, 7))
		cfg := CacheConfig{
			Active:   time.Duration(1+random.IntN(20_000)) * time.Millisecond,
			Inactive: time.Duration(1+random.IntN(5000)) * time.Millisecond,
			NoTCPEnd: random.IntN(4) == 0,
			Biflow:   random.IntN(2) == 0,
			Flows:    1 << 20,
			Key:      keys[random.IntN(len(keys))],
			Values:   values,
		}
		cfg.Linger = min(cfg.Inactive, time.Duration(1+random.IntN(1000))*time.Millisecond)
		// Either packets are late, or the cache is full: which flows a full
		// cache ends is only defined while the clock goes on.
		late, setBack := random.IntN(3) == 0, false
		if late {
			setBack = random.IntN(2) == 0
		} else if random.IntN(3) > 0 {
			cfg.Flows = 1 + random.IntN(30)
		}
		c, m := NewCache(cfg), &model{cfg: cfg, flows: map[string]*modelFlow{}}
		in, out := flow.NewBatch(1024), flow.NewBatch(1024)
		now := int64(1_000_000)
		var packets, octets uint64
		pace := []int64{1, 10, 100, 1000}[random.IntN(4)]
		for range 4 {
			in.Reset()
			for range random.IntN(1000) {
				now += random.Int64N(pace)
				if random.IntN(200) == 0 {
					now += random.Int64N(10_000)
				}
				t := now
				if late && random.IntN(4) == 0 {
					t -= random.Int64N(min(cfg.Inactive.Milliseconds(), 300))
				}
				if setBack && random.IntN(300) == 0 {
					now -= random.Int64N(100_000)
				}
				randomPacket(random, in, t)
				i := in.Len() - 1
				packets += in.Uint(flow.Packets, i)
				octets += in.Uint(flow.Bytes, i)
				m.add(in, i)
			}
			from := min(random.IntN(10), in.Len())
			c.Add(in, 0, from, out)
			c.Add(in, from, in.Len(), out)
			if random.IntN(2) == 0 {
				now += random.Int64N(3000)
				m.now = max(m.now, now)
				m.expire()
				c.Expire(now, out)
			}
			if live := c.Stats().Flows; live > cfg.Flows {
				t.Fatalf("seed %d: %d flows in a cache for %d", seed, live, cfg.Flows)
			}
		}
		c.Flush(out)
		m.expire()
		for _, f := range m.flows {
			m.end(f, ForcedEnd)
		}
		got := written(out)
		if setBack {
			// Flows of the time before end as they are found: some that a
			// timer had ended already in the model.
			for _, list := range [][]string{got, m.ended} {
				for n := range list {
					for _, reason := range flow.Schema[flow.FlowEndReason].Names {
						list[n] = strings.ReplaceAll(list[n], reason, "")
					}
				}
			}
		}
		slices.Sort(got)
		slices.Sort(m.ended)
		if !slices.Equal(got, m.ended) {
			for n := range min(len(got), len(m.ended)) {
				if got[n] != m.ended[n] {
					t.Fatalf("seed %d: %+v: %d flows, %d expected; the first to differ is\n%sexpected\n%s", seed, cfg, len(got), len(m.ended), got[n], m.ended[n])
				}
			}
			t.Fatalf("seed %d: %d flows, %d expected", seed, len(got), len(m.ended))
		}
		var flowPackets, flowOctets, ended uint64
		for i := range out.Len() {
			flowPackets += out.U64(flow.Packets)[i]
			flowOctets += out.U64(flow.Bytes)[i]
		}
		s := c.Stats()
		for _, n := range s.Ended {
			ended += n
		}
		if flowPackets != packets || flowOctets != octets || s.Packets != packets || s.Bytes != octets || ended != s.Created || ended != uint64(out.Len()) {
			t.Fatalf("seed %d: %d packets, %d bytes in; %d, %d out: %+v", seed, packets, octets, flowPackets, flowOctets, s)
		}
	}
}
