// Package interfaces tells what an exporter's interfaces are called, by
// everybody who told: SNMP, the exporter's own options data, sFlow.
//
// The server and the commands ask it. It holds nothing: names are kept by who
// learnt them (collect, snmp), so that a name of today is true of yesterday.
package interfaces

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/minamo-flow/minamo/snmp"
	"github.com/minamo-flow/minamo/wire/netflow"
)

// Who named an interface.
const (
	BySNMP     = "snmp"
	ByExporter = "exporter" // options data, or sFlow's port names
)

// Interface is what is known of an interface beside its traffic.
type Interface struct {
	Exporter    netip.Addr
	Index       uint32 // ifIndex
	Name        string // ifName
	Description string // what people wrote about it, or the device calls it at length
	Speed       uint64 // bit/s; 0 where nobody told
	Up          *bool  // nil where nobody told
	NamedBy     string
}

// Of puts together what an exporter told of its interfaces and what it answered
// to SNMP, in the order of ifIndex. SNMP counts more: it is asked for just this.
func Of(exporter netip.Addr, told []netflow.InterfaceName, asked []snmp.Interface) []Interface {
	all := make(map[uint32]*Interface, len(told)+len(asked))
	for _, n := range told {
		all[n.Index] = &Interface{Exporter: exporter, Index: n.Index, Name: n.Name, Description: n.Description, NamedBy: ByExporter}
	}
	for i := range asked {
		a := &asked[i]
		f := all[a.Index]
		if f == nil {
			f = &Interface{Exporter: exporter, Index: a.Index}
			all[a.Index] = f
		}
		if a.Name != "" {
			f.Name, f.NamedBy = a.Name, BySNMP
		}
		f.Description = cmp.Or(a.Alias, f.Description, a.Description)
		f.Speed, f.Up = a.Speed, &a.Up
	}
	list := make([]Interface, 0, len(all))
	for _, f := range all {
		list = append(list, *f)
	}
	slices.SortFunc(list, func(a, b Interface) int { return cmp.Compare(a.Index, b.Index) })
	return list
}
