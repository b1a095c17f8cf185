package simulate

import (
	"fmt"
	"time"

	"github.com/minamo-flow/minamo/probe"
)

// Vendor is how a maker's devices present themselves: what they call and how
// they number their interfaces, and how they export. Names of makers are those
// by which operators know the conventions.
type Vendor struct {
	Name     string
	SysDescr string // no maker's: it does not exist
	ObjectID string // sysObjectID
	Protocol string // as probe.ExporterConfig has it
	Style    string // … of templates
	Active   time.Duration
	Inactive time.Duration
	Resend   time.Duration // of templates and options data

	ifName  func(speed uint64, n int) string
	ifDescr func(name string) string
	ifIndex func(n int) uint32
	virtual []string // interfaces that are no ports
}

// example is below the enterprise number that is kept for documentation (RFC
// 5612).
const example = "1.3.6.1.4.1.32473.1."

func same(name string) string { return name }

var iosXR = Vendor{
	Name: "Cisco IOS-XR", Protocol: probe.NetFlow9, Style: probe.IOSXR,
	SysDescr: "Kamome Carrier OS 7.11 (simulated, in the manner of IOS-XR)", ObjectID: example + "1",
	Active: 60 * time.Second, Inactive: 15 * time.Second, Resend: 60 * time.Second,
	ifName: func(speed uint64, n int) string {
		return fmt.Sprintf("%s0/0/0/%d", map[uint64]string{1000: "GigabitEthernet", 10_000: "TenGigE", 100_000: "HundredGigE"}[speed], n)
	},
	ifDescr: same,
	ifIndex: func(n int) uint32 { return 4 + uint32(n) },
	virtual: []string{"Null0", "Loopback0"},
}

var junos = Vendor{
	Name: "Juniper MX", Protocol: probe.IPFIX, Style: probe.Junos,
	SysDescr: "Tsubame Routing Engine 22.4 (simulated, in the manner of Junos)", ObjectID: example + "2",
	Active: 60 * time.Second, Inactive: 15 * time.Second, Resend: 60 * time.Second,
	ifName: func(speed uint64, n int) string {
		return fmt.Sprintf("%s-0/0/%d", map[uint64]string{1000: "ge", 10_000: "xe", 100_000: "et"}[speed], n)
	},
	ifDescr: same,
	ifIndex: func(n int) uint32 { return 513 + 2*uint32(n) },
	virtual: []string{"lo0", "dsc"},
}

var arista = Vendor{
	Name: "Arista EOS", Protocol: probe.SFlow5,
	SysDescr: "Hibari Switching OS 4.30 (simulated, in the manner of EOS)", ObjectID: example + "3",
	Resend:  20 * time.Second, // of counters
	ifName:  func(_ uint64, n int) string { return fmt.Sprintf("Ethernet%d/1", n+1) },
	ifDescr: same,
	ifIndex: func(n int) uint32 { return 1001 + 1000*uint32(n) },
	virtual: []string{"Loopback0"},
}

var huawei = Vendor{
	Name: "Huawei NE", Protocol: probe.NetFlow9, Style: probe.NetStream,
	SysDescr: "Sagi Routing Platform 8.22 (simulated, in the manner of VRP)", ObjectID: example + "4",
	Active: 60 * time.Second, Inactive: 30 * time.Second, Resend: 120 * time.Second,
	ifName: func(speed uint64, n int) string {
		return fmt.Sprintf("%s1/0/%d", map[uint64]string{1000: "GigabitEthernet", 10_000: "10GE", 100_000: "100GE"}[speed], n+1)
	},
	ifDescr: func(name string) string { return "HUAWEI, NE Series, " + name + " Interface" },
	ifIndex: func(n int) uint32 { return 6 + uint32(n) },
	virtual: []string{"NULL0", "LoopBack0"},
}

var classicIOS = Vendor{
	Name: "Cisco IOS", Protocol: probe.NetFlow5,
	SysDescr: "Suzume Router OS 12.4 (simulated, in the manner of IOS)", ObjectID: example + "5",
	Active: 60 * time.Second, Inactive: 15 * time.Second,
	ifName: func(speed uint64, n int) string {
		return fmt.Sprintf("%s%d/0", map[uint64]string{1000: "GigabitEthernet", 10_000: "TenGigabitEthernet"}[speed], n+1)
	},
	ifDescr: same,
	ifIndex: func(n int) uint32 { return 1 + uint32(n) },
	virtual: []string{"Null0", "Loopback0"},
}
