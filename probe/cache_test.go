package probe

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/wire/packet"
)

// A pkt is a packet of the tests: its time, its flow and its TCP flags.
type pkt struct {
	ms    int64
	port  uint16 // of the source; it names the flow
	flags string // "" is UDP
	back  bool   // in the other direction
}

func addr(s string) flow.Addr { return flow.AddrFrom(netip.MustParseAddr(s)) }

var flagBits = map[rune]uint16{'F': 1, 'S': 2, 'R': 4, 'P': 8, 'A': 16}

// put appends p to b, as a packet of 100 bytes.
func (p pkt) put(b *flow.Batch) {
	i := b.Extend(1)
	b.SetUint(flow.Start, i, uint64(p.ms))
	b.SetUint(flow.Packets, i, 1)
	b.SetUint(flow.Bytes, i, 100)
	src, dst := addr("192.0.2.1"), addr("198.51.100.2")
	sport, dport := uint64(p.port), uint64(443)
	if p.back {
		src, dst, sport, dport = dst, src, dport, sport
	}
	b.SetAddr(flow.SrcAddr, i, src)
	b.SetAddr(flow.DstAddr, i, dst)
	b.SetUint(flow.SrcPort, i, sport)
	b.SetUint(flow.DstPort, i, dport)
	if p.flags == "" {
		b.SetUint(flow.Protocol, i, packet.UDP)
		return
	}
	b.SetUint(flow.Protocol, i, packet.TCP)
	var flags uint16
	for _, f := range p.flags {
		flags |= flagBits[f]
	}
	b.SetUint(flow.TCPFlags, i, uint64(flags))
}

// told is a flow in a word: port, first and last packet, packets, why it ended.
func told(b *flow.Batch, i int) string {
	port, half := b.U16(flow.SrcPort)[i], ""
	switch b.U8(flow.Biflow)[i] {
	case flow.BiflowForward:
		half = ">"
	case flow.BiflowReverse:
		half, port = "<", b.U16(flow.DstPort)[i]
	}
	return fmt.Sprintf("%s%d %d-%d %d %d", half, port, b.Time(flow.Start)[i], b.Time(flow.End)[i],
		b.U64(flow.Packets)[i], b.U8(flow.FlowEndReason)[i])
}

func TestCacheTimers(t *testing.T) {
	timers := CacheConfig{Active: 60 * time.Second, Inactive: 15 * time.Second, Linger: time.Second}
	with := func(change func(*CacheConfig)) CacheConfig {
		cfg := timers
		change(&cfg)
		return cfg
	}
	every := func(port uint16, from, to, step int64) (list []pkt) {
		for ms := from; ms <= to; ms += step {
			list = append(list, pkt{ms: ms, port: port})
		}
		return list
	}
	for _, test := range []struct {
		name    string
		cfg     CacheConfig
		packets []pkt
		expire  int64    // where the clock is put behind the last packet
		flows   []string // that ended by then
		rest    []string // that a flush ends
	}{
		{"one millisecond before the inactive timer", timers, []pkt{{ms: 0, port: 1}, {ms: 14999, port: 1}}, 0, nil, []string{"1 0-14999 2 4"}},
		{"at the inactive timer", timers, []pkt{{ms: 0, port: 1}, {ms: 15000, port: 1}}, 0, []string{"1 0-0 1 1"}, []string{"1 15000-15000 1 4"}},
		{"the clock reaches the inactive timer", timers, []pkt{{ms: 7, port: 1}}, 15007, []string{"1 7-7 1 1"}, nil},
		{"the clock does not", timers, []pkt{{ms: 7, port: 1}}, 15006, nil, []string{"1 7-7 1 4"}},
		{"another flow's packet moves the clock", timers, []pkt{{ms: 0, port: 1}, {ms: 15000, port: 2}}, 0, []string{"1 0-0 1 1"}, []string{"2 15000-15000 1 4"}},
		{"the active timer", timers, every(1, 0, 70_000, 10_000), 0, []string{"1 0-50000 6 2"}, []string{"1 60000-70000 2 4"}},
		{"one millisecond before the active timer", timers, append(every(1, 0, 50_000, 10_000), pkt{ms: 59_999, port: 1}), 59_999, nil, []string{"1 0-59999 7 4"}},
		{"the clock reaches the active timer", timers, append(every(1, 0, 50_000, 10_000), pkt{ms: 59_999, port: 1}), 60_000, []string{"1 0-59999 7 2"}, nil},
		{"both timers, the inactive one first", timers, []pkt{{ms: 0, port: 1}, {ms: 10_000, port: 1}, {ms: 90_000, port: 2}}, 0, []string{"1 0-10000 2 1"}, []string{"2 90000-90000 1 4"}},
		{"both timers, the active one first", timers, append(every(1, 0, 50_000, 10_000), pkt{ms: 90_000, port: 2}), 0, []string{"1 0-50000 6 2"}, []string{"2 90000-90000 1 4"}},
		{"both at once", with(func(c *CacheConfig) { c.Active = 15 * time.Second }), []pkt{{ms: 0, port: 1}}, 15_000, []string{"1 0-0 1 1"}, nil},
		{"the inactive timers of several", timers, []pkt{{ms: 0, port: 1}, {ms: 1, port: 2}, {ms: 2, port: 3}, {ms: 3, port: 1}}, 15_002, []string{"2 1-1 1 1", "3 2-2 1 1"}, []string{"1 0-3 2 4"}},

		{"FIN", timers, []pkt{{ms: 0, port: 1, flags: "S"}, {ms: 5, port: 1, flags: "FA"}}, 1005, []string{"1 0-5 2 3"}, nil},
		{"FIN and stragglers", timers, []pkt{{ms: 0, port: 1, flags: "FA"}, {ms: 999, port: 1, flags: "A"}, {ms: 1998, port: 1, flags: "A"}}, 2998, []string{"1 0-1998 3 3"}, nil},
		{"FIN, and too late a straggler", timers, []pkt{{ms: 0, port: 1, flags: "FA"}, {ms: 1000, port: 1, flags: "A"}}, 1000, []string{"1 0-0 1 3"}, []string{"1 1000-1000 1 4"}},
		{"FIN, and the next connection", timers, []pkt{{ms: 0, port: 1, flags: "FA"}, {ms: 10, port: 1, flags: "S"}}, 0, []string{"1 0-0 1 3"}, []string{"1 10-10 1 4"}},
		{"FIN, and stragglers up to the active timer", with(func(c *CacheConfig) { c.Active = 1500 * time.Millisecond }), []pkt{{ms: 0, port: 1, flags: "FA"}, {ms: 900, port: 1, flags: "A"}, {ms: 1500, port: 1, flags: "A"}}, 0, []string{"1 0-900 2 2"}, []string{"1 1500-1500 1 4"}},
		{"RST", timers, []pkt{{ms: 0, port: 1, flags: "S"}, {ms: 5, port: 1, flags: "R"}}, 1005, []string{"1 0-5 2 3"}, nil},
		{"no end by FIN", with(func(c *CacheConfig) { c.NoTCPEnd = true }), []pkt{{ms: 0, port: 1, flags: "FA"}, {ms: 10, port: 1, flags: "S"}}, 15_009, nil, []string{"1 0-10 2 4"}},
		{"linger above the inactive timer", with(func(c *CacheConfig) { c.Linger = time.Hour }), []pkt{{ms: 0, port: 1, flags: "R"}}, 15_000, []string{"1 0-0 1 3"}, nil},

		{"a full cache ends the idlest", with(func(c *CacheConfig) { c.Flows = 2 }), []pkt{{ms: 0, port: 1}, {ms: 1, port: 2}, {ms: 2, port: 1}, {ms: 3, port: 3}}, 0, []string{"2 1-1 1 5"}, []string{"1 0-2 2 4", "3 3-3 1 4"}},
		{"a full cache ends what is due", with(func(c *CacheConfig) { c.Flows = 2 }), []pkt{{ms: 0, port: 1}, {ms: 14_000, port: 2}, {ms: 15_000, port: 3}}, 0, []string{"1 0-0 1 1"}, []string{"2 14000-14000 1 4", "3 15000-15000 1 4"}},
		{"a full cache ends closed connections first", with(func(c *CacheConfig) { c.Flows = 2 }), []pkt{{ms: 0, port: 1}, {ms: 1, port: 2, flags: "F"}, {ms: 2, port: 3}}, 0, []string{"2 1-1 1 3"}, []string{"1 0-0 1 4", "3 2-2 1 4"}},
		{"room for one", with(func(c *CacheConfig) { c.Flows = 1 }), []pkt{{ms: 0, port: 1}, {ms: 1, port: 2}, {ms: 2, port: 1}}, 0, []string{"1 0-0 1 5", "2 1-1 1 5"}, []string{"1 2-2 1 4"}},

		{"a late packet", timers, []pkt{{ms: 10_000, port: 1}, {ms: 9_000, port: 1}, {ms: 9_500, port: 2}}, 0, nil, []string{"1 9000-10000 2 4", "2 9500-9500 1 4"}},
		{"the clock is set back", timers, []pkt{{ms: 100_000, port: 1}, {ms: 85_000, port: 1}}, 0, []string{"1 100000-100000 1 4"}, []string{"1 85000-85000 1 4"}},
		{"the clock is set back, and on", timers, []pkt{{ms: 100_000, port: 1}, {ms: 85_000, port: 2}, {ms: 100_001, port: 1}}, 0, []string{"1 100000-100000 1 4", "2 85000-85000 1 1"}, []string{"1 100001-100001 1 4"}},

		{"biflow", with(func(c *CacheConfig) { c.Biflow = true }), []pkt{{ms: 0, port: 1}, {ms: 1, port: 1, back: true}, {ms: 14_999, port: 1, back: true}, {ms: 20_000, port: 1}}, 35_000,
			[]string{">1 0-20000 2 1", "<1 1-14999 2 1"}, nil},
		{"biflow of one direction", with(func(c *CacheConfig) { c.Biflow = true }), []pkt{{ms: 0, port: 1}}, 0, nil, []string{"1 0-0 1 4"}},
		{"biflow, active timer", with(func(c *CacheConfig) { c.Biflow = true; c.Active = 20 * time.Second }), []pkt{{ms: 0, port: 1}, {ms: 10_000, port: 1, back: true}, {ms: 20_000, port: 1, back: true}, {ms: 20_001, port: 1}}, 0,
			[]string{">1 0-0 1 2", "<1 10000-10000 1 2"}, []string{">443 20000-20000 1 4", "<443 20001-20001 1 4"}},
		{"biflow, half closed", with(func(c *CacheConfig) { c.Biflow = true }), []pkt{{ms: 0, port: 1, flags: "S"}, {ms: 1, port: 1, flags: "SA", back: true}, {ms: 2, port: 1, flags: "FA"}}, 15_000, nil, []string{">1 0-2 2 4", "<1 1-1 1 4"}},
		{"biflow, FINs of both", with(func(c *CacheConfig) { c.Biflow = true }), []pkt{{ms: 0, port: 1, flags: "S"}, {ms: 1, port: 1, flags: "SA", back: true}, {ms: 2, port: 1, flags: "FA"}, {ms: 5000, port: 1, flags: "FA", back: true}, {ms: 5999, port: 1, flags: "A"}}, 6999, []string{">1 0-5999 3 3", "<1 1-5000 2 3"}, nil},
		{"biflow, RST", with(func(c *CacheConfig) { c.Biflow = true }), []pkt{{ms: 0, port: 1, flags: "S"}, {ms: 1, port: 1, flags: "RA", back: true}}, 1001, []string{">1 0-0 1 3", "<1 1-1 1 3"}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, in, out := NewCache(test.cfg), flow.NewBatch(16), flow.NewBatch(16)
			for _, p := range test.packets {
				p.put(in)
			}
			c.Add(in, 0, in.Len(), out)
			c.Expire(test.expire, out)
			ended := out.Len()
			c.Flush(out)
			var flows, rest []string
			for i := range out.Len() {
				if i < ended {
					flows = append(flows, told(out, i))
				} else {
					rest = append(rest, told(out, i))
				}
			}
			if !slices.Equal(flows, test.flows) || !slices.Equal(rest, test.rest) {
				t.Errorf("flows\n\t%s\nand at the end\n\t%s\nexpected\n\t%s\nand at the end\n\t%s", strings.Join(flows, "\n\t"), strings.Join(rest, "\n\t"),
					strings.Join(test.flows, "\n\t"), strings.Join(test.rest, "\n\t"))
			}
			if s := c.Stats(); s.Flows != 0 || s.Created != uint64(out.Len()) || s.Packets != uint64(len(test.packets)) || s.Bytes != 100*s.Packets {
				t.Errorf("%+v do not account for %d packets and %d flows", s, len(test.packets), out.Len())
			}
		})
	}
}

// An entry fills a cache line.
func TestEntrySize(t *testing.T) {
	if size := unsafe.Sizeof(entry{}); size != 64 {
		t.Errorf("an entry has %d bytes", size)
	}
}

// Who asks for it gets many flows in pieces.
func TestExpireAndFlushAreBounded(t *testing.T) {
	const flows = 10_000
	c, in, out := NewCache(CacheConfig{Rows: 1000}), flow.NewBatch(flows), flow.NewBatch(2000)
	for n := range flows {
		pkt{ms: 0, port: uint16(n)}.put(in)
	}
	c.Add(in, 0, flows, out)
	in.Reset()
	pkt{ms: 20_000, port: 1}.put(in)
	c.Add(in, 0, 1, out)
	if out.Len() == 0 || out.Len() > 1000 {
		t.Errorf("a packet behind a silence ends %d flows at once", out.Len())
	}
	total := out.Len()
	for _, some := range []func(*flow.Batch) bool{func(b *flow.Batch) bool {
		return c.Expire(20_000, b)
	}, c.Flush} {
		for more := true; more; {
			out.Reset()
			more = some(out)
			if total += out.Len(); out.Len() > 1200 {
				t.Errorf("%d flows in one call", out.Len())
			}
		}
	}
	if total != flows+1 {
		t.Errorf("%d flows ended", total)
	}
}

// A key of what can't be one is a key of the rest, and values are those that
// are wanted.
func TestKeyAndValuesAreChosen(t *testing.T) {
	c := NewCache(CacheConfig{Key: flow.MaskOf(flow.Protocol, flow.Bytes, flow.Start, flow.ASPath, flow.Biflow), Values: flow.MaskOf(flow.DstPort, flow.ASPath)})
	in, out := flow.NewBatch(4), flow.NewBatch(4)
	pkt{ms: 5, port: 1, flags: "S"}.put(in)
	pkt{ms: 6, port: 2, flags: "A"}.put(in)
	c.Add(in, 0, 2, out)
	c.Flush(out)
	want := `[{"start":"1970-01-01T00:00:00.005Z","end":"1970-01-01T00:00:00.006Z","packets":2,"bytes":200,"protocol":6,"dst_port":443,"flow_end_reason":"forced end"}]`
	if got := fmt.Sprint(rows(out)); got != want {
		t.Errorf("%s, expected %s", got, want)
	}
}
