package counting

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/minamo-flow/minamo/enrich/roles"
)

// A small network: packets take a way through routers, and every router meters
// them where its interfaces are set to. Each kind of interface numbers alike:
// from 1 boundary, from 11 core.
type hop struct {
	router  byte
	in, out uint32 // 0: nowhere
}

type network struct {
	ingress, egress func(Interface) bool
	unsaid          bool
	sums            []Sum
}

func address(router byte) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, router}) }

func at(router byte, index uint32) Interface { return Interface{address(router), index} }

func (n *network) send(bytes uint64, way ...hop) {
	for _, h := range way {
		s := Sum{Exporter: address(h.router), In: h.in, Out: h.out, Amount: Amount{Flows: 1, Packets: bytes / 100, Bytes: bytes}}
		for direction, metered := range map[Direction]bool{
			Ingress: h.in != 0 && n.ingress(at(h.router, h.in)),
			Egress:  h.out != 0 && n.egress(at(h.router, h.out)),
		} {
			if metered {
				s.Direction = direction
				if n.unsaid {
					s.Direction = Unsaid
				}
				n.sums = append(n.sums, s)
			}
		}
	}
}

func byNumber(i Interface) string {
	switch {
	case i.Index >= 11:
		return roles.Core
	case i.Index == 1:
		return roles.External
	}
	return roles.Customer
}

func everywhere(Interface) bool { return true }
func nowhere(Interface) bool    { return false }
func boundary(i Interface) bool { return i.Index < 11 }
func (n *network) total(r Rule) uint64 {
	return r.Total(n.sums).Bytes
}

// The same 100 Mbit/s through two exporters are 200 without the rule, and 100
// with it.
func TestSameBytesThroughTwoExporters(t *testing.T) {
	n := network{ingress: everywhere, egress: nowhere}
	n.send(100e6/8, hop{1, 1, 11}, hop{2, 11, 2})
	if all := (&Rule{}).Total(n.sums).Bytes; all != 200e6/8 {
		t.Errorf("%d bytes without a rule", all)
	}
	if got := n.total(Network(n.sums, byNumber)); got != 100e6/8 {
		t.Errorf("%d bytes of the network", got)
	}
	if got := n.total(Once(n.sums)); got != 200e6/8 {
		t.Errorf("%d bytes once a router", got)
	}
}

// ways are packets through a chain of three routers, with how many bytes enter
// the network with each. Of drops nobody can tell whose records are of egress.
var ways = []struct {
	bytes   uint64
	dropped bool
	way     []hop
}{
	{1000, false, []hop{{1, 1, 11}, {2, 11, 12}, {3, 11, 2}}},
	{2000, false, []hop{{3, 2, 11}, {2, 12, 11}, {1, 11, 1}}},
	{4000, false, []hop{{2, 2, 11}, {1, 11, 1}}},
	{8000, false, []hop{{1, 1, 2}}}, // from one interface of the boundary to another
	{16000, false, []hop{{3, 2, 3}}},
	{32000, true, []hop{{1, 1, 0}}},              // dropped where it came in
	{64000, true, []hop{{1, 1, 11}, {2, 11, 0}}}, // dropped within
	{128000, false, []hop{{2, 3, 12}, {3, 11, 3}}},
	{256000, false, []hop{{1, 2, 11}, {2, 11, 2}}},
	{512000, false, []hop{{3, 3, 11}, {2, 12, 2}}},
	{1024000, false, []hop{{2, 3, 2}}},
	{2048000, false, []hop{{3, 3, 11}, {2, 12, 11}, {1, 11, 2}}},
	{4096000, false, []hop{{1, 1, 11}, {2, 11, 3}}},
}

func TestEachByteOnce(t *testing.T) {
	var all, seenLeaving, leaving uint64 // what entered; of it, what left its first router; what left the network
	for _, w := range ways {
		all += w.bytes
		if w.way[0].out != 0 {
			seenLeaving += w.bytes
		}
		if !w.dropped {
			leaving += w.bytes
		}
	}
	only := func(router byte, then, otherwise func(Interface) bool) func(Interface) bool {
		return func(i Interface) bool {
			if i.Exporter == address(router) {
				return then(i)
			}
			return otherwise(i)
		}
	}
	for _, c := range []struct {
		what            string
		ingress, egress func(Interface) bool
		want            uint64
		exit            bool
	}{
		{"ingress at the boundary", boundary, nowhere, all, false},
		{"ingress everywhere", everywhere, nowhere, all, false},
		{"ingress and egress everywhere", everywhere, everywhere, all, false},
		{"ingress and egress at the boundary", boundary, boundary, all, false},
		{"egress everywhere", nowhere, everywhere, seenLeaving, false},
		{"egress at the boundary", nowhere, boundary, leaving, true},
		{"one router by egress, the others by ingress", only(3, nowhere, boundary), only(3, everywhere, nowhere), all, false},
		{"one router by both", boundary, only(2, everywhere, nowhere), all, false},
		{"ingress everywhere, one router by egress", only(2, nowhere, everywhere), only(2, everywhere, nowhere), all, false},
		{"ingress in the core, egress at the boundary", func(i Interface) bool { return !boundary(i) }, boundary, leaving, true},
	} {
		n := network{ingress: c.ingress, egress: c.egress}
		for _, w := range ways {
			n.send(w.bytes, w.way...)
		}
		r := Network(n.sums, byNumber)
		if got := n.total(r); got != c.want || r.Exit != c.exit {
			t.Errorf("%s: %d bytes, by exit %v; want %d, %v", c.what, got, r.Exit, c.want, c.exit)
		}
	}
}

// Where exporters say no direction, what they name tells where they meter.
func TestDirectionFromWhatIsNamed(t *testing.T) {
	for _, c := range []struct {
		what            string
		ingress, egress func(Interface) bool
		concluded       []netip.Addr
	}{
		{"ingress at the boundary", boundary, nowhere, nil},
		{"ingress everywhere", everywhere, nowhere, nil}, // cannot be told from egress: it is as routers are set up
		{"egress at the boundary", nowhere, boundary, []netip.Addr{address(1), address(2), address(3)}},
	} {
		n := network{ingress: c.ingress, egress: c.egress, unsaid: true}
		for _, w := range ways {
			n.send(w.bytes, w.way...)
		}
		for router, pair := range map[byte][2]uint32{1: {1, 2}, 2: {2, 3}, 3: {2, 3}} {
			n.send(500, hop{router, pair[0], pair[1]})
			n.send(500, hop{router, pair[1], pair[0]})
		}
		if got := unsaidEgress(n.sums); !slices.Equal(got, c.concluded) {
			t.Errorf("%s: by egress %v, want %v", c.what, got, c.concluded)
		}
	}
}

// Whatever the routers meter, nothing counts twice, and what an interface at the
// boundary meters as it comes in always counts.
func TestNeverTwice(t *testing.T) {
	for seed := range uint64(2000) {
		random := rand.New(rand.NewPCG(seed, 1))
		metered := map[string]bool{}
		choose := func(kind string) func(Interface) bool {
			return func(i Interface) bool {
				k := kind + fmt.Sprint(i)
				if _, is := metered[k]; !is {
					metered[k] = random.IntN(2) == 0
				}
				return metered[k]
			}
		}
		n := network{ingress: choose("in"), egress: choose("out")}
		marks := map[uint64]int{} // of a way's first metering at the boundary
		for _, w := range ways {
			n.send(w.bytes, w.way...)
			if n.ingress(at(w.way[0].router, w.way[0].in)) {
				marks[w.bytes] = 1
			}
		}
		r := Network(n.sums, byNumber)
		counts, times := r.Counts(), map[uint64]int{}
		for i := range n.sums {
			if counts(&n.sums[i]) {
				times[n.sums[i].Bytes]++
			}
		}
		for _, w := range ways {
			if times[w.bytes] > 1 || times[w.bytes] < marks[w.bytes] {
				t.Fatalf("seed %d: the way of %d bytes counts %d times, metered at the boundary: %d (by exit: %v)", seed, w.bytes, times[w.bytes], marks[w.bytes], r.Exit)
			}
		}
	}
}

// An interface that has no role counts as if it were at the boundary, and a
// router's own packets count unless the router meters what comes in.
func TestWithoutRole(t *testing.T) {
	n := network{ingress: everywhere, egress: nowhere}
	n.send(100, hop{1, 1, 11}, hop{2, 11, 2})
	r := Network(n.sums, func(Interface) string { return "" })
	if got := n.total(r); got != 200 || !r.All() {
		t.Errorf("%d bytes, %+v", got, r)
	}
	own := Sum{Exporter: address(3), Out: 11, Direction: Egress, Amount: Amount{1, 1, 50}}
	n.sums = append(n.sums, own)
	if got := n.total(Network(n.sums, byNumber)); got != 150 {
		t.Errorf("with a router's own packets %d bytes, want 150", got)
	}
	n.sums = append(n.sums, Sum{Exporter: address(3), In: 1, Direction: Ingress, Amount: Amount{1, 1, 7}})
	if got := n.total(Network(n.sums, byNumber)); got != 107 {
		t.Errorf("of a router that meters what comes in: %d bytes, want 107", got)
	}
}

func TestCover(t *testing.T) {
	n := network{
		ingress: func(i Interface) bool { return i.Exporter != address(3) && i != at(2, 3) },
		egress:  func(i Interface) bool { return i.Exporter == address(3) || i == at(1, 1) },
	}
	for _, w := range ways {
		n.send(w.bytes, w.way...)
	}
	got := map[Interface]Coverage{}
	for _, c := range Cover(n.sums, []Interface{at(1, 9), at(9, 1)}, byNumber) {
		got[c.Interface] = c
	}
	for _, want := range []struct {
		Interface
		exports string
		unseen  []Unseen
		advice  []Advice
	}{
		{at(1, 1), "both", nil, []Advice{AdviceDisableEgress}},
		{at(1, 11), "ingress", nil, []Advice{AdviceDisableIngress}},
		{at(1, 2), "ingress", nil, nil},
		{at(2, 3), "nothing", []Unseen{UnseenIn, UnseenOut}, []Advice{AdviceEnableIngress}},
		{at(2, 2), "ingress", []Unseen{UnseenOut}, nil},
		{at(3, 2), "egress", []Unseen{UnseenDrops}, []Advice{AdviceEnableIngress}},
		{at(3, 11), "egress", []Unseen{UnseenDrops}, nil},
		{at(1, 9), "nothing", nil, nil}, // nothing crossed it
		{at(9, 1), "nothing", nil, nil}, // its router exports nothing
	} {
		c, ok := got[want.Interface]
		if !ok || c.Exports() != want.exports || !slices.Equal(c.Unseen, want.unseen) || !slices.Equal(c.Advice, want.advice) {
			t.Errorf("%v: exports %s, unseen %v, advice %v; want %s, %v, %v", want.Interface, c.Exports(), c.Unseen, c.Advice, want.exports, want.unseen, want.advice)
		}
	}
	if c := got[at(1, 11)]; c.Copies.Bytes != 2000+4000+2048000 || c.Copies != c.Ingress {
		t.Errorf("of a core interface %+v are copies", c.Copies)
	}
	if c := got[at(1, 1)]; c.Copies.Bytes != 2000+4000 || c.Out.Bytes != 2000+4000 {
		t.Errorf("of an interface metered both ways %+v are copies, and %+v went out", c.Copies, c.Out)
	}
}
