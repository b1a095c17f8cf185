package counting

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/minamo-flow/minamo/enrich/roles"
)

func TestWordsTellRoles(t *testing.T) {
	for _, c := range []struct{ name, description, role, word string }{
		{"xe-0/0/1", "TRANSIT: Marlin Transit AS64497", roles.External, "TRANSIT"},
		{"xe-0/0/1", "IX: Lagoon-IX peering LAN", roles.External, "IX"},
		{"xe-0/0/1", "CUST: Fern Hosting AS64503", roles.Customer, "CUST"},
		{"xe-0/0/1", "to core2, not a customer", roles.Customer, "customer"}, // "core2" is somebody's name
		{"xe-0/0/1", "backbone to Osaka", roles.Core, "backbone"},
		{"xe-0/0/1", "SVC: CDN cache for customers", roles.Service, "SVC"},
		{"xe-0/0/1", "[cust] Acme", roles.Customer, "cust"},
		{"xe-0/0/1", "MGMT: operations", roles.Internal, "MGMT"},
		{"Null0", "", roles.Internal, "Null0"},
		{"Loopback0", "", roles.Internal, "Loopback0"},
		{"MgmtEth0/RP0/CPU0/0", "", "", ""},
		{"xe-0/0/1", "", "", ""},
		{"xe-0/0/1", "accessories, custard, scores", "", ""},
	} {
		e, ok := FromWords(c.name, c.description)
		if e.Role != c.role || e.Word != c.word || ok != (c.role != "") {
			t.Errorf("%s %q: %+v, want %s by %q", c.name, c.description, e, c.role, c.word)
		}
	}
	for name, want := range map[string]bool{"Null0": true, "NULL0": true, "dsc": true, "dsc.0": true, "xe-0/0/1": false, "Nullarbor": false, "Loopback0": false} {
		if Discard(name) != want {
			t.Errorf("%s: discards %v", name, !want)
		}
	}
}

// In a chain of routers with several interfaces at the boundary, the links, and
// nothing else, are found from flows that are seen at random.
func TestSameFlowsShowLinks(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 3))
		var sightings []Sighting
		for key := range 3000 {
			// Routers 1 to 3 in a row: 11 leads up, 12 leads down.
			from, to := byte(1+random.IntN(3)), byte(1+random.IntN(3))
			entry, exit := uint32(1+random.IntN(4)), uint32(1+random.IntN(4))
			if random.IntN(2) == 0 {
				entry = 1 // most comes by one of them
			}
			for r := from; ; {
				in, out, next := uint32(11), uint32(12), r+1
				if to < from {
					in, out, next = 12, 11, r-1
				}
				if r == from {
					in = entry
				}
				if r == to {
					out = exit
				}
				if random.IntN(3) > 0 {
					sightings = append(sightings, Sighting{address(r), in, out, fmt.Sprint(key)})
				}
				if r == to {
					break
				}
				r = next
			}
		}
		found := FromSameFlows(sightings)
		// As the chain goes up by 12 and down by 11.
		want := map[Interface]netip.Addr{at(1, 12): address(2), at(2, 11): address(1), at(2, 12): address(3), at(3, 11): address(2)}
		for i, peer := range want {
			if e := found[i]; e.Role != roles.Core || e.Peer != peer || e.Share < .95 {
				t.Errorf("seed %d: %v: %+v, want a link to %s", seed, i, e, peer)
			}
		}
		if len(found) != len(want) {
			t.Errorf("seed %d: %v", seed, found)
		}
	}
	// Behind a router with two interfaces nobody can tell which is the link.
	var few []Sighting
	for key := range 100 {
		few = append(few, Sighting{address(1), 1, 12, fmt.Sprint(key)}, Sighting{address(2), 11, uint32(1 + key%3), fmt.Sprint(key)})
	}
	if found := FromSameFlows(few); len(found) != 1 || found[at(2, 11)].Peer != address(1) {
		t.Errorf("%v", found)
	}
}

func TestSuggest(t *testing.T) {
	owner := func(a netip.Addr) netip.Addr {
		if a == netip.MustParseAddr("10.0.0.2") {
			return address(2)
		}
		return netip.Addr{}
	}
	hops := FromNextHops([]Hop{
		{at(1, 11), netip.MustParseAddr("10.0.0.2"), Amount{9, 9, 900}},
		{at(1, 11), netip.MustParseAddr("10.0.0.9"), Amount{1, 1, 100}},
		{at(1, 1), netip.MustParseAddr("10.0.0.2"), Amount{1, 1, 100}}, // a detour
		{at(1, 1), netip.MustParseAddr("203.0.113.1"), Amount{9, 9, 900}},
		{at(2, 3), netip.MustParseAddr("10.0.0.2"), Amount{1, 1, 1}}, // itself
		{at(1, 0), netip.MustParseAddr("10.0.0.2"), Amount{1, 1, 1}},
	}, owner)
	if len(hops) != 1 || hops[at(1, 11)].Share != .9 || hops[at(1, 11)].Peer != address(2) {
		t.Fatalf("%v", hops)
	}
	got := Suggest([]Named{
		{at(1, 11), "xe-0/0/1", "to Osaka", ""},
		{at(1, 1), "xe-0/0/0", "Transit: Marlin", ""},
		{at(1, 2), "xe-0/0/2", "Cust: Aster", roles.Service}, // somebody knows better
		{at(1, 3), "xe-0/0/3", "", ""},
		{at(2, 11), "xe-0/0/9", "", roles.Customer},
		{at(2, 12), "xe-0/0/9", "", roles.Core},
	}, hops, map[Interface]Evidence{at(2, 11): {Role: roles.Core, Kind: BySameFlows, Peer: address(1)}, at(2, 12): {Role: roles.Core, Kind: BySameFlows}})
	want := []string{"192.0.2.1 11 core ''", "192.0.2.2 11 core 'customer'", "192.0.2.1 1 external ''"}
	var lines []string
	for _, s := range got {
		lines = append(lines, fmt.Sprintf("%s %d %s '%s'", s.Exporter, s.Index, s.Role, s.Now))
	}
	if fmt.Sprint(lines) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", lines, want)
	}
}
