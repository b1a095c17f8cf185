package simulate

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// Report is a Minute with names, as it is written in JSON. Packets and bytes are
// of layer 3; an error is the relative error (0.05 is 5 %) that an estimate from
// the sampled packets stays within in 95 of 100 cases, 0 where nothing was
// counted. Tables but Interfaces are of what came into the network by external
// interfaces, each packet once.
type Report struct {
	Start   time.Time `json:"start"`
	Seconds float64   `json:"seconds"`

	// in + originated = out + dropped + consumed
	In         Amount `json:"in"`         // came into the network
	Out        Amount `json:"out"`        // left it
	Originated Amount `json:"originated"` // of Out: routers themselves sent it
	Dropped    Amount `json:"dropped"`    // of In
	Consumed   Amount `json:"consumed"`   // of In: was for routers themselves

	Interfaces   []InterfaceReport `json:"interfaces"`
	Applications map[string]Amount `json:"applications"` // by the simulator's names
	Services     map[string]Amount `json:"services"`     // by protocol/port: "tcp/443"; of fixed ports
	Protocols    map[string]Amount `json:"protocols"`    // by number
	Versions     map[string]Amount `json:"ipVersions"`   // "4", "6"
	DSCP         map[string]Amount `json:"dscp"`         // by number
	PacketSizes  map[string]Amount `json:"packetSizes"`  // by the greatest length: see SizeClasses

	SourceAS           map[string]Amount `json:"sourceAS"`
	DestinationAS      map[string]Amount `json:"destinationAS"`
	SourceCountry      map[string]Amount `json:"sourceCountry"`
	DestinationCountry map[string]Amount `json:"destinationCountry"`
	SourcePrefix       map[string]Amount `json:"sourcePrefix"`
	DestinationPrefix  map[string]Amount `json:"destinationPrefix"`

	Customers map[string]CustomerReport `json:"customers"`
}

// Amount is a Count in JSON.
type Amount struct {
	Packets      uint64  `json:"packets"`
	Bytes        uint64  `json:"bytes"`
	Error        float64 `json:"error"`
	PacketsError float64 `json:"packetsError"`
}

// InterfaceReport is what went through an interface. Errors are those of its
// router's sampler, if the direction is metered.
type InterfaceReport struct {
	Router  string     `json:"router"`
	Address string     `json:"address"` // of the router
	IfIndex uint32     `json:"ifIndex"` // at the end
	Name    string     `json:"name"`
	Alias   string     `json:"alias"`
	Role    Role       `json:"role"`
	In      FlowReport `json:"in"`
	Out     FlowReport `json:"out"`
}

// FlowReport is a direction of an interface.
type FlowReport struct {
	Amount
	Octets         uint64 `json:"octets"` // layer 2, as ifHCInOctets and ifHCOutOctets count
	DroppedPackets uint64 `json:"droppedPackets,omitempty"`
	DroppedBytes   uint64 `json:"droppedBytes,omitempty"`
}

// CustomerReport is what a customer got and sent.
type CustomerReport struct {
	To   Amount `json:"to"`   // reached the customer
	From Amount `json:"from"` // came from the customer, even if it was dropped
}

func (c *Count) amount() Amount {
	a := Amount{Packets: c.Packets, Bytes: c.Bytes}
	if c.Packets > 0 {
		a.Error, a.PacketsError = c.Error(), c.PacketsError()
	}
	return a
}

func (f *Flow) report() FlowReport {
	return FlowReport{f.amount(), f.Octets, f.DroppedPackets, f.DroppedBytes}
}

// MarshalJSON writes the Report.
func (m *Minute) MarshalJSON() ([]byte, error) { return json.Marshal(m.Report()) }

// Report is the minute with names. Tables have entries only of what there was.
func (m *Minute) Report() *Report {
	n := m.world
	r := &Report{
		Start: m.Start, Seconds: m.Length.Seconds(),
		In: m.In.amount(), Out: m.Out.amount(), Originated: m.Originated.amount(), Dropped: m.Dropped.amount(), Consumed: m.Consumed.amount(),
		Protocols:          table(m.protocols, strconv.Itoa),
		PacketSizes:        table(m.sizes, func(i int) string { return strconv.Itoa(SizeClasses[i]) }),
		SourceAS:           table(m.srcAS, n.asNumber),
		DestinationAS:      table(m.dstAS, n.asNumber),
		SourceCountry:      table(m.srcCountry, func(i int) string { return n.lands[i] }),
		DestinationCountry: table(m.dstCountry, func(i int) string { return n.lands[i] }),
		SourcePrefix:       table(m.srcPrefix, n.prefixText),
		DestinationPrefix:  table(m.dstPrefix, n.prefixText),
		Customers:          map[string]CustomerReport{},
	}
	for i, f := range n.ports {
		r.Interfaces = append(r.Interfaces, InterfaceReport{
			Router: f.Router.Name, Address: f.Router.Addr.String(), IfIndex: m.indexes[i], Name: f.Name, Alias: f.Alias, Role: f.Role,
			In: m.interfaces[i][0].report(), Out: m.interfaces[i][1].report(),
		})
	}
	names := make([]string, len(applications))
	services, dscp, versions := map[string]Count{}, map[string]Count{}, map[string]Count{}
	for _, a := range applications {
		names[a.index] = a.name
		c := m.applications[a.index]
		gather(dscp, strconv.Itoa(int(a.tos>>2)), c)
		if a.port != 0 && !a.ranges {
			gather(services, fmt.Sprintf("%s/%d", protocolNames[a.protocol], a.port), c)
		}
	}
	for i, p := range n.prefixes {
		gather(versions, map[bool]string{false: "4", true: "6"}[p.is6()], m.srcPrefix[i])
	}
	r.Applications = table(m.applications, func(i int) string { return names[i] })
	r.Services, r.DSCP, r.Versions = amounts(services), amounts(dscp), amounts(versions)
	for i, c := range n.customers {
		r.Customers[c.name] = CustomerReport{To: m.customers[i][0].amount(), From: m.customers[i][1].amount()}
	}
	return r
}

var protocolNames = map[uint8]string{tcp: "tcp", udp: "udp", sctp: "sctp", udpLite: "udp-lite"}

func (n *Network) asNumber(i int) string {
	return strconv.FormatUint(uint64(n.plan.ASes[i].Number), 10)
}

func (n *Network) prefixText(i int) string { return n.prefixes[i].Prefix.Prefix.String() }

// table is what was counted, by name.
func table(counts []Count, name func(int) string) map[string]Amount {
	t := map[string]Amount{}
	for i := range counts {
		if counts[i].Packets > 0 {
			t[name(i)] = counts[i].amount()
		}
	}
	return t
}

func gather(t map[string]Count, name string, c Count) {
	if c.Packets > 0 {
		sum := t[name]
		sum.Add(&c)
		t[name] = sum
	}
}

func amounts(t map[string]Count) map[string]Amount {
	r := map[string]Amount{}
	for name, c := range t {
		r[name] = c.amount()
	}
	return r
}
