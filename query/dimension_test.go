package query

import "testing"

// FuzzParseDimension: what is understood has a name that means the same, and a
// direction that can be turned and turned back.
func FuzzParseDimension(f *testing.F) {
	for _, d := range Dimensions() {
		f.Add(d.Name)
	}
	for _, name := range []string{"srcip/24", "ip/9/41", "dstip6/64", "srcip4/0", "srcnet", "DSTIP/128", "src_addr/33", "app/3", "/", "srcip/24/48/1", "srcip4/24/48", "nhip/32"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		d, err := ParseDimension(name)
		if err != nil {
			return
		}
		again, err := ParseDimension(d.Name)
		if err != nil || again.Name != d.Name || again.v4 != d.v4 || again.v6 != d.v6 {
			t.Errorf("%q is %q, which is %q (%v)", name, d.Name, again.Name, err)
		}
		if back := d.Swapped().Swapped(); back.Name != d.Name || d.Swapped().v4 != d.v4 || d.Swapped().v6 != d.v6 {
			t.Errorf("%q turned twice is %q", d.Name, back.Name)
		}
	})
}

// TestSwapped: every dimension with a side has the other one, and none else.
func TestSwapped(t *testing.T) {
	for name, want := range map[string]string{
		"srcip": "dst_addr", "dstport": "src_port", "srcip/24/48": "dst_addr/24/48", "inif": "out_if", "nextas": "prev_as",
		"srcnet": "dst_route", "srcmac": "dst_mac", "ivrf": "out_vrf", "ip": "ip", "app": "app", "tos": "tos", "exporter": "exporter", "dstmask": "src_mask",
	} {
		d, err := ParseDimension(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := d.Swapped().Name; got != want {
			t.Errorf("%s turned is %s, want %s", name, got, want)
		}
	}
}
