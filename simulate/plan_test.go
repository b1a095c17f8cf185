package simulate

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/wire/packet"
)

// Nobody's real address, AS or name is used, and every address is somebody's.
func TestPlan(t *testing.T) {
	n := simulate(t, Config{Seed: 1}).network
	reserved := []netip.Prefix{
		netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("192.0.2.0/24"),
		netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("3fff::/20"),
	}
	plan := n.Plan()
	for i, p := range plan.Prefixes {
		if !slices.ContainsFunc(reserved, func(r netip.Prefix) bool { return r.Overlaps(p.Prefix) && r.Bits() <= p.Prefix.Bits() }) {
			t.Errorf("%v is somebody's", p.Prefix)
		}
		if p.Prefix != p.Prefix.Masked() || len(p.Country) != 2 {
			t.Errorf("%+v", p)
		}
		for _, q := range plan.Prefixes[:i] {
			if p.Prefix.Overlaps(q.Prefix) {
				t.Errorf("%v of %s and %v of %s overlap", p.Prefix, p.Name, q.Prefix, q.Name)
			}
		}
		x := n.prefixes[i]
		addresses := map[flow.Addr]bool{}
		for k := range min(x.hosts, 1000) {
			a := x.host(k)
			if !p.Prefix.Contains(a.Netip()) {
				t.Fatalf("%v is not in %v", a, p.Prefix)
			}
			addresses[a] = true
		}
		if most := min(x.hosts, 1000); uint64(len(addresses)) < most*95/100 {
			t.Errorf("%v: %d addresses of %d hosts", p.Prefix, len(addresses), most)
		}
	}
	countries := map[string]bool{}
	for _, a := range plan.ASes {
		countries[a.Country] = true
		doc := a.Number >= 64496 && a.Number <= 64511 || a.Number >= 65536 && a.Number <= 65551
		if !doc && (a.Number < 4200000000 || a.Number > 4294967294) {
			t.Errorf("AS%d is somebody's", a.Number)
		}
	}
	if len(plan.ASes) < 40 || len(countries) < 20 || len(n.customers) < 12 {
		t.Errorf("%d ASes, %d countries, %d customers", len(plan.ASes), len(countries), len(n.customers))
	}
}

// Demands are shares of a whole, and mixtures, too.
func TestShares(t *testing.T) {
	for k, list := range demands {
		sum := 0.0
		for _, d := range list {
			sum += d.share
			if applications[d.app] == nil {
				t.Errorf("no application %q", d.app)
			}
		}
		near(t, "shares of customers", sum, 1, .04)
		_ = k
	}
	for _, a := range applications {
		for _, m := range []mixture{a.up, a.down} {
			sum := 0.0
			for _, s := range m {
				sum += s.share
				if sizeClass(s.lo) != sizeClass(s.hi) || s.lo < 46 && s.lo != s.hi || (s.lo+s.hi)%2 != 0 {
					t.Errorf("%s: a part from %d to %d bytes cannot be counted exactly", a.name, s.lo, s.hi)
				}
			}
			if len(m) > 0 {
				near(t, a.name, sum, 1, 1e-9)
			}
			if len(m) > 3 {
				t.Errorf("%s has %d parts", a.name, len(m))
			}
		}
	}
}

// Everybody reaches everybody, each router's interface leads to the next one's,
// and no link is fuller than it can be.
func TestNetwork(t *testing.T) {
	n := simulate(t, Config{Seed: 1, Start: start.Add(11 * time.Hour)}).network
	longest := 0
	for _, x := range n.relations {
		for _, s := range x.streams {
			for h := 1; h < len(s.path); h++ {
				if s.path[h-1].out.far != s.path[h].in || s.path[h].in.Router != s.path[h].router {
					t.Fatalf("%s to %s: a gap at %s", s.from.Name, s.to.Name, s.path[h].router.Name)
				}
			}
			longest = max(longest, len(s.path))
		}
	}
	if longest != 4 {
		t.Errorf("the longest way has %d routers", longest)
	}
	names := map[string]bool{}
	if err := n.Step(n.Now().Add(10 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	m := n.Truth().Between(start, n.Now())
	for _, f := range n.ports {
		if key := f.Router.Name + f.Name; names[key] {
			t.Errorf("%s twice", key)
		} else {
			names[key] = true
		}
		for dir, v := range m.interfaces[f.index] {
			use := float64(v.Octets) * 8 / m.Length.Seconds()
			if f.Role != Virtual && (use > .9*float64(f.Speed)*1e6 || use == 0) {
				t.Errorf("%s %s, direction %d: %.0f of %d Mbit/s", f.Router.Name, f.Name, dir, use/1e6, f.Speed)
			}
		}
	}
}

// Both directions and all routers agree which conversation a packet is of.
func TestConversations(t *testing.T) {
	n := simulate(t, Config{Seed: 1}).network
	at := start.UnixMilli()
	for _, x := range n.relations {
		if x.app.name != "video" {
			continue
		}
		seen := map[conversation]int{}
		for i := range uint64(300) {
			seen[x.conversation(at, i)]++
		}
		for c := range seen {
			if at < c.start || at >= c.start+c.length || !x.client.Prefix.Prefix.Contains(c.client.Netip()) || !x.server.Prefix.Prefix.Contains(c.server.Netip()) {
				t.Fatalf("%+v", c)
			}
		}
		again := 0
		for i := range uint64(300) {
			if seen[x.conversation(at+1000, i)] > 0 {
				again++
			}
		}
		if again < 280 { // of conversations of seven minutes nearly all go on
			t.Errorf("%d of 300 packets a second later are of the same conversations", again)
		}
	}
}

// A sampled header is what the sight says: wire/packet reads the same as rows
// tell.
func TestHeaders(t *testing.T) {
	d := simulate(t, Config{Seed: 1, Everywhere: true})
	d.run(time.Minute)
	r := d.router("tyo-ix1")
	r.routes = true
	if len(r.sights) < 500 {
		t.Fatalf("%d packets", len(r.sights))
	}
	said, read := flow.NewBatch(0), flow.NewBatch(0)
	r.rows(r.sights, said)
	read.Extend(said.Len())
	var buffer [128]byte
	for i := range r.sights {
		v := &r.sights[i]
		c := v.stream.relation.conversation(v.at, v.chance)
		h := r.header(buffer[:0], v, &c)
		packet.Parse(read, i, packet.Ethernet, h)
		for _, column := range []flow.Column{flow.SrcAddr, flow.DstAddr, flow.Protocol, flow.SrcPort, flow.DstPort, flow.TCPFlags, flow.TOS, flow.TTL, flow.ICMPType, flow.FlowLabel} {
			a, b := string(said.AppendText(nil, column, i)), string(read.AppendText(nil, column, i))
			if said.Present[i].Has(column) && a != b {
				t.Fatalf("%s is %s, %s in the header: %s", flow.Schema[column].Name, a, b, said.AppendJSON(nil, i))
			}
		}
	}
}
