package collect

import (
	"encoding/binary"
	"fmt"
	"math"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minamo-flow/minamo/flow"
)

// network sends NetFlow v5 of several exporters, by the second.
type network struct {
	e        *Exporters
	b        *flow.Batch
	second   int64
	sequence map[netip.Addr]uint32
	octets   func(row uint32) uint32 // of each exporter's n-th flow

	sent, kept map[netip.Addr]uint64 // rows
	truth      map[netip.Addr]float64
	estimate   map[netip.Addr]float64 // bytes, scaled by their rates
}

func newNetwork(limit float64) *network {
	return &network{
		e: NewExporters(ExporterConfig{FlowLimit: limit}, quiet()), b: flow.NewBatch(64), second: received / 1000,
		sequence: map[netip.Addr]uint32{}, octets: func(uint32) uint32 { return 1000 },
		sent: map[netip.Addr]uint64{}, kept: map[netip.Addr]uint64{}, truth: map[netip.Addr]float64{}, estimate: map[netip.Addr]float64{},
	}
}

// run lets a second pass in which each exporter sends so many flows, 30 in a datagram.
func (n *network) run(t *testing.T, flows map[netip.Addr]int) {
	t.Helper()
	n.second++
	n.e.Balance(n.second * 1000)
	for addr, count := range flows {
		for count > 0 {
			octets := make([]uint32, min(count, 30))
			for i := range octets {
				octets[i] = n.octets(n.sequence[addr])
				n.sequence[addr]++
				n.truth[addr] += float64(octets[i]) * 100
			}
			count -= len(octets)
			n.sent[addr] += uint64(len(octets))
			if err := n.e.Decode(v5(n.sequence[addr]-uint32(len(octets)), 100, octets...), addr, n.second*1000, n.b); err != nil {
				t.Fatal(err)
			}
			n.kept[addr] += uint64(n.b.Len())
			for i, bytes := range n.b.U64(flow.Bytes) {
				n.estimate[addr] += float64(bytes) * float64(n.b.U32(flow.SamplingRate)[i])
			}
			n.b.Reset()
		}
	}
}

func (n *network) keptOneIn(addr netip.Addr) uint32 {
	for _, s := range n.e.Status() {
		if s.Exporter == addr {
			return s.KeptOneIn
		}
	}
	return 0
}

func address(i int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}) }

// What the small ones leave belongs to the great, and the limit is kept.
func TestThinningIsFair(t *testing.T) {
	n := newNetwork(1000)
	load := map[netip.Addr]int{address(1): 100, address(2): 390, address(3): 3000}
	for range 40 {
		n.run(t, load)
	}
	before := n.kept[address(1)] + n.kept[address(2)] + n.kept[address(3)]
	for range 10 {
		n.run(t, load)
	}
	after := n.kept[address(1)] + n.kept[address(2)] + n.kept[address(3)]
	if perSecond := (after - before) / 10; perSecond > 1000 || perSecond < 800 {
		t.Errorf("%d of 1000 flows/s are kept", perSecond)
	}
	if a, b, c := n.keptOneIn(address(1)), n.keptOneIn(address(2)), n.keptOneIn(address(3)); a != 1 || b != 1 || c != 6 {
		t.Errorf("one is kept in %d, %d, %d", a, b, c)
	}
	if l := n.e.Load(); math.Abs(l.Flows-3490) > 1 || l.Limit != 1000 || l.Thins != 1 || l.Fewest != 6 || l.Kept > 1000 {
		t.Errorf("%+v", l)
	}
	for _, s := range n.e.Status() {
		if lost := n.sent[s.Exporter] - n.kept[s.Exporter]; s.Problems["thinned"] != lost || s.Domains[0].Flows != n.sent[s.Exporter] || s.Domains[0].MissingUnits != 0 {
			t.Errorf("%s: %d rows were left out: %+v", s.Exporter, lost, s)
		}
	}
}

// Totals stay right on average, also of an exporter whose every k-th flow is an
// elephant, in step with the thinning.
func TestThinnedTotalsAreUnbiased(t *testing.T) {
	for _, k := range []int{2, 3, 4, 16} {
		t.Run(fmt.Sprint(k), func(t *testing.T) {
			n := newNetwork(1000)
			n.octets = func(row uint32) uint32 {
				if row%uint32(k) == 0 {
					return 100_000
				}
				return 100
			}
			x := address(1)
			const seconds = 100
			for range seconds { // 1000 − 30 per second, times k: with the mean's way there
				n.run(t, map[netip.Addr]int{x: 970 * k})
			}
			if got := n.keptOneIn(x); got != uint32(k) {
				t.Fatalf("one is kept in %d", got)
			}
			// Each group of k rows has one elephant, which stays with 1/k: the standard
			// error of the sum is that of so many draws.
			groups := float64(n.sent[x]) / float64(k)
			sigma := 100 * 99_900 * math.Sqrt(groups*float64(k-1))
			if off := n.estimate[x] - n.truth[x]; math.Abs(off) > 5*sigma {
				t.Errorf("the sum is %.4g instead of %.4g: off by %.1f standard errors", n.estimate[x], n.truth[x], off/sigma)
			} else {
				t.Logf("off by %.2f standard errors, %.3f %%", off/sigma, 100*off/n.truth[x])
			}
			if lost := 1 - float64(n.kept[x])/float64(n.sent[x]); lost < 0.9*(1-1/float64(k)) {
				t.Errorf("only %.2f of the rows were left out", lost)
			}
		})
	}
}

// A load about the limit does not let k flutter, and a lasting ease ends it.
func TestThinningHasHysteresis(t *testing.T) {
	n := newNetwork(1000)
	x := address(1)
	run := func(seconds, flows int) (changes int) {
		for range seconds {
			was := n.keptOneIn(x)
			n.run(t, map[netip.Addr]int{x: flows})
			if n.keptOneIn(x) != was {
				changes++
			}
		}
		return changes
	}
	run(60, 1500)
	if k := n.keptOneIn(x); k != 2 {
		t.Fatalf("one is kept in %d", k)
	}
	changes := 0
	for range 60 { // means between 900 and 1000
		changes += run(1, 1000) + run(1, 920)
	}
	if k := n.keptOneIn(x); changes != 0 || k != 2 {
		t.Errorf("%d changes around the limit; one in %d", changes, k)
	}
	run(60, 500)
	if k := n.keptOneIn(x); k != 1 {
		t.Errorf("half the limit comes, and one is kept in %d", k)
	}
	if changes := run(60, 950); changes != 0 {
		t.Errorf("%d changes below the limit", changes)
	}
}

// Whatever the clock does, there are no absurd loads, and none stays for ever.
func TestThinningAndTheClock(t *testing.T) {
	n := newNetwork(1000)
	x := address(1)
	for range 30 {
		n.run(t, map[netip.Addr]int{x: 5000})
	}
	n.second -= 86_400 // back a day
	for range 30 {
		n.run(t, map[netip.Addr]int{x: 5000})
	}
	if l := n.e.Load(); math.Abs(l.Flows-5000) > 50 || l.Fewest != 5 {
		t.Errorf("%+v", l)
	}
	n.second += 3600 // silence
	for range 12 {
		n.run(t, map[netip.Addr]int{x: 10})
	}
	if l := n.e.Load(); l.Flows > 20 || l.Fewest != 1 || l.Thins != 0 {
		t.Errorf("%+v", l)
	}
}

// No limit, and below it: nothing is left out, and nothing said.
func TestNothingIsThinnedBelowTheLimit(t *testing.T) {
	for _, limit := range []float64{0, 10_000} {
		n := newNetwork(limit)
		log, text := logged()
		n.e.log = log
		for range 30 {
			n.run(t, map[netip.Addr]int{address(1): 3000, address(2): 6000})
		}
		if n.kept[address(1)] != n.sent[address(1)] || n.kept[address(2)] != n.sent[address(2)] || strings.Contains(text(), "thinned") {
			t.Errorf("limit %v: %v of %v are kept\n%s", limit, n.kept, n.sent, text())
		}
	}
}

// The log is told when it begins and ends, and once a minute between.
func TestThinningIsSaidSeldom(t *testing.T) {
	n := newNetwork(1000)
	log, text := logged()
	n.e.log = log
	for range 150 {
		n.run(t, map[netip.Addr]int{address(1): 3000})
	}
	for range 60 {
		n.run(t, map[netip.Addr]int{address(1): 300})
	}
	if begun, ended := strings.Count(text(), "rows are thinned"), strings.Count(text(), "every flow is kept again"); begun != 3 || ended != 1 {
		t.Errorf("said %d times, and %d times that it is over:\n%s", begun, ended, text())
	}
}

// A collector thins what comes by its sockets and connections.
func TestWhatIsReceivedIsThinned(t *testing.T) {
	for _, scheme := range []string{"udp", "tcp"} {
		var clock atomic.Int64
		clock.Store(received)
		var got sums
		c, address, stop := running(t, Config{
			Listen: []string{scheme + "://127.0.0.1:0"}, Sockets: 1, Exporters: ExporterConfig{FlowLimit: 300},
			Clock: func() time.Time { return time.UnixMilli(clock.Load()) },
		}, &got)
		conn, err := net.Dial(scheme, address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		const seconds = 20
		sent := uint64(0)
		for range seconds {
			clock.Add(1000)
			for range 30 {
				flows := make([]uint16, 2*30) // of a template with nothing but octets
				if _, err := conn.Write(ipfix(uint32(sent), 1, set(2, 256, 1, 1, 4), set(256, flows...))); err != nil {
					t.Fatal(err)
				}
				sent += 30
				until(t, "they are decoded", func() bool {
					s := c.Exporters.Status()
					return len(s) == 1 && len(s[0].Domains) == 1 && s[0].Domains[0].Flows == sent
				})
			}
		}
		stop()
		status := c.Exporters.Status()[0]
		if status.KeptOneIn != 3 || got.flows+status.Problems["thinned"] != sent || got.flows < sent/3 || got.flows > sent/2 {
			t.Errorf("%s: %d of %d are stored; %+v", scheme, got.flows, sent, status)
		}
	}
}

// Rows of several columns keep theirs.
func TestKeptRowsKeepTheirColumns(t *testing.T) {
	b := flow.NewBatch(8)
	from := b.Extend(2)
	b.Extend(6)
	for i := range 8 {
		b.U64(flow.Bytes)[i] = uint64(i)
		b.Present[i].Add(flow.Bytes)
		if i%2 == 1 {
			b.U16(flow.SrcPort)[i] = uint16(i)
			b.Present[i].Add(flow.SrcPort)
		}
	}
	b.Keep(from+2, []int32{2, 5, 6})
	want := []struct {
		bytes uint64
		port  uint16
	}{{0, 0}, {1, 1}, {2, 0}, {5, 5}, {6, 0}}
	if b.Len() != len(want) {
		t.Fatalf("%d rows", b.Len())
	}
	for i, w := range want {
		if b.U64(flow.Bytes)[i] != w.bytes || b.U16(flow.SrcPort)[i] != w.port || b.Present[i].Has(flow.SrcPort) != (w.port > 0) {
			t.Errorf("row %d: %d, %d", i, b.U64(flow.Bytes)[i], b.U16(flow.SrcPort)[i])
		}
	}
	b.Extend(3) // what was left out is not seen again
	for i := len(want); i < b.Len(); i++ {
		if b.U64(flow.Bytes)[i] != 0 || b.U16(flow.SrcPort)[i] != 0 || b.Present[i] != (flow.Mask{}) {
			t.Errorf("row %d is not empty", i)
		}
	}
}

func TestRecordSizes(t *testing.T) {
	for _, c := range []struct {
		packets uint64
		mean    float64
	}{{1, 1}, {8, 8}, {9, 11.3}, {16, 11.3}, {17, 22.6}, {32, 22.6}, {33, 45.3}, {1 << 27, 8 * math.Sqrt2 * (1 << 19)}} {
		var s recordSizes
		s.one(c.packets, 500*c.packets, 3)
		if r := s.read(); len(r.Packets) != 1 || math.Abs(r.Packets[0].Packets/c.mean-1) > 0.01 || r.Packets[0].Records != 3 || r.PacketBytes != 500 {
			t.Errorf("%d packets: %+v", c.packets, r)
		}
	}
	var s recordSizes
	for range 3 << 20 { // old ones fade
		s.one(1, 100, 1)
	}
	for range 3 << 20 {
		s.one(4, 4000, 1)
	}
	r := s.read()
	if len(r.Packets) != 2 || r.Packets[0].Records > r.Packets[1].Records/8 || s.all > forgetAfter || r.PacketBytes < 950 {
		t.Errorf("%+v", r)
	}
	s.one(0, 100, 1) // tells nothing
	n := newNetwork(0)
	n.run(t, map[netip.Addr]int{address(1): 900})
	if r := n.e.RecordSizes()[address(1)]; len(r.Packets) != 1 || r.Packets[0].Packets != 1 || r.Packets[0].Records != 900 || r.PacketBytes != 1000 {
		t.Errorf("%+v", r)
	}
}

// BenchmarkThin decodes a datagram of 30 flows: without a limit, below it, and
// with rows left out.
func BenchmarkThin(b *testing.B) {
	octets := make([]uint32, 30)
	for i := range octets {
		octets[i] = 1000
	}
	datagram := v5(0, 100, octets...)
	for _, c := range []struct {
		name  string
		limit float64
		keep  uint32
	}{{"off", 0, 1}, {"all", 1e9, 1}, {"half", 1e9, 2}, {"tenth", 1e9, 10}} {
		b.Run(c.name, func(b *testing.B) {
			e := NewExporters(ExporterConfig{FlowLimit: c.limit}, quiet())
			e.exporter(exporterA).arrivals.keep.Store(c.keep)
			batch := flow.NewBatch(64)
			b.ReportAllocs()
			sequence := uint32(0)
			for b.Loop() {
				binary.BigEndian.PutUint32(datagram[16:], sequence)
				sequence += 30
				e.Decode(datagram, exporterA, received, batch)
				batch.Reset()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/30, "ns/flow")
		})
	}
}
