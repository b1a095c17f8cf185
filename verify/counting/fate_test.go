package counting

import "testing"

func TestFates(t *testing.T) {
	for _, c := range []struct {
		what string
		o    Outcome
		want Fate
	}{
		{"nothing is said", Outcome{}, Forwarded},
		{"forwarded", Outcome{Status: 64}, Forwarded},
		{"forwarded to a group, without output", Outcome{Status: 64, OutZero: true}, Forwarded},
		{"denied by an access list", Outcome{Status: 129, OutZero: true}, Dropped},
		{"Junos names the output it would have had", Outcome{Status: 138}, Dropped},
		{"consumed", Outcome{Status: 195, OutZero: true}, ToRouter},
		{"a null route", Outcome{Discards: true}, Dropped},
		{"a null route that the router calls forwarding", Outcome{Status: 64, Discards: true}, Dropped},
		{"status unknown, output 0", Outcome{Status: 0, OutZero: true}, Unknown},
		{"to a group", Outcome{OutZero: true, ToGroup: true}, Multicast},
		{"to a router", Outcome{OutZero: true, ToLocal: true}, ToRouter},
		{"to a group, by an interface", Outcome{ToGroup: true}, Forwarded},
		{"to a router, and dropped by its policer", Outcome{Status: 138, OutZero: true, ToLocal: true}, Dropped},
	} {
		if got := c.o.Fate(); got != c.want {
			t.Errorf("%s: %s, want %s", c.what, got, c.want)
		}
	}
}
