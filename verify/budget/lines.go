package budget

import (
	"fmt"
	"strings"
)

// Vendor is a kind of router, and how it is told its sampling rate.
type Vendor struct {
	Name     string
	Coarsest uint32 // the greatest rate that it takes; 0 where none is near
	Note     string // what to heed
	lines    string // with RATE for the rate
}

// Vendors are those whose configuration is known, in the forms of our README.
var Vendors = []Vendor{
	{"Cisco IOS-XR", 65535, "Each interface and family that is metered wants the new sampler; remove the old sampler-map when none has it any more.",
		`sampler-map ONE-IN-RATE
 random 1 out-of RATE
!
interface HundredGigE0/0/0/1
 no flow ipv4 monitor MINAMO-IPV4 ingress
 flow ipv4 monitor MINAMO-IPV4 sampler ONE-IN-RATE ingress`},
	{"Cisco IOS-XE", 32768, "A monitor has to be taken off the interface before it comes back with another sampler. Some Catalyst switches sample one packet in 1024 at most.",
		`sampler ONE-IN-RATE
 mode random 1 out-of RATE
interface GigabitEthernet0/0/1
 no ip flow monitor MINAMO-IN input
 ip flow monitor MINAMO-IN sampler ONE-IN-RATE input`},
	{"Juniper Junos", 0, "The rate is that of the whole sampling instance.",
		`set forwarding-options sampling instance MINAMO input rate RATE`},
	{"Huawei", 65535, "On each interface that is metered.",
		`interface GigabitEthernet0/0/1
 ip netstream sampler fix-packets RATE inbound`},
	{"Arista (sFlow)", 0, "",
		`sflow sample RATE`},
	{"softflowd", 0, "softflowd has to be started again.",
		`softflowd -i eth0 -v 9 -n 198.51.100.9:2055 -t maxlife=30 -t expint=5 -s RATE`},
}

// Lines configure a sampling rate. The error tells that the router takes no such
// rate.
func (v *Vendor) Lines(rate uint32) (string, error) {
	if v.Coarsest > 0 && rate > v.Coarsest {
		return "", fmt.Errorf("%s samples one packet in %d at most", v.Name, v.Coarsest)
	}
	return strings.ReplaceAll(v.lines, "RATE", fmt.Sprint(rate)), nil
}
