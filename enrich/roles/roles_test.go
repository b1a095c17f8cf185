package roles

import (
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var one, two = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::2")

var config = Config{
	Rules: []Rule{
		{Description: "^(transit|ix)\\b", Role: External},
		{Name: "^(Null|Loopback)", Role: Internal},
		{Description: "^cust", Exporter: "192.0.2.0/24", Role: Customer},
		{Exporter: "2001:db8::2", Role: Core},
	},
	Interfaces: []Assignment{{two, 9, External}, {one, 5, Service}},
}

func TestFirstRuleCountsAndTheHandMore(t *testing.T) {
	l, err := Open(filepath.Join(t.TempDir(), "interfaces.json"))
	if err != nil {
		t.Fatal(err)
	}
	if role, by := l.Of(one, 1, "a", "TRANSIT b"); role != "" || by != 0 {
		t.Errorf("without rules: %q by %d", role, by)
	}
	if err := l.Replace(config); err != nil {
		t.Fatal(err)
	}
	again, err := Open(l.path)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range []*List{l, again} {
		for _, c := range []struct {
			exporter          netip.Addr
			index             uint32
			name, description string
			role              string
			by                int
		}{
			{one, 1, "xe-0/0/1", "Transit: Marlin", External, 1},
			{one, 1, "Loopback0", "", Internal, 2},
			{one, 1, "xe-0/0/2", "CUST: Aster", Customer, 3},
			{two, 1, "xe-0/0/2", "CUST: Aster", Core, 4}, // not in the third rule's prefix
			{netip.MustParseAddr("::ffff:192.0.2.1"), 5, "", "transit", Service, ByHand},
			{two, 9, "", "", External, ByHand},
			{one, 1, "xe-0/0/3", "transits", "", 0},
		} {
			if role, by := l.Of(c.exporter, c.index, c.name, c.description); role != c.role || by != c.by {
				t.Errorf("%s %d %q %q: %q by %d, want %q by %d", c.exporter, c.index, c.name, c.description, role, by, c.role, c.by)
			}
		}
		if got := l.Config(); !slices.Equal(got.Rules, config.Rules) || len(got.Interfaces) != 2 {
			t.Errorf("%+v", got)
		}
	}
}

func TestRefused(t *testing.T) {
	l, err := Open(filepath.Join(t.TempDir(), "interfaces.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Replace(config); err != nil {
		t.Fatal(err)
	}
	for want, cfg := range map[string]Config{
		"rule 2: the name":            {Rules: []Rule{config.Rules[0], {Name: "(", Role: Core}}},
		"rule 1: the role \"edge\"":   {Rules: []Rule{{Name: "a", Role: "edge"}}},
		"would match every interface": {Rules: []Rule{{Role: Core}}},
		"the exporter \"tokyo\"":      {Rules: []Rule{{Exporter: "tokyo", Role: Core}}},
		"without a zone":              {Interfaces: []Assignment{{netip.MustParseAddr("fe80::1%a"), 7, Core}}},
		"write IPv4 as IPv4":          {Rules: []Rule{{Exporter: "::ffff:192.0.2.0/120", Role: Core}}},
		"up to 200 characters":        {Rules: []Rule{{Name: strings.Repeat("a", 201), Role: Core}}},
		"interface 7 of 192.0.2.1 is": {Interfaces: []Assignment{{one, 7, Core}, {netip.MustParseAddr("::ffff:192.0.2.1"), 7, Core}}},
		"no exporter":                 {Interfaces: []Assignment{{Index: 7, Role: Core}}},
		"501 rules and 0 interfaces":  {Rules: make([]Rule, 501)},
		"the role \"\"":               {Interfaces: []Assignment{{one, 7, ""}}},
	} {
		if err := l.Replace(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %v", want, err)
		}
	}
	if role, _ := l.Of(one, 5, "", ""); role != Service {
		t.Error("a refused list has changed what is known")
	}
}
