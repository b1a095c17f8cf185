package main

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"

	"github.com/minamo-flow/minamo/collect"
	"github.com/minamo-flow/minamo/enrich/geo"
	"github.com/minamo-flow/minamo/enrich/interfaces"
	"github.com/minamo-flow/minamo/enrich/networks"
	"github.com/minamo-flow/minamo/enrich/numbers"
	"github.com/minamo-flow/minamo/enrich/rates"
	"github.com/minamo-flow/minamo/enrich/roles"
	"github.com/minamo-flow/minamo/query"
	"github.com/minamo-flow/minamo/snmp"
	"github.com/minamo-flow/minamo/verify/counting"
)

// setNames tells an engine what numbers are called, what interfaces' numbers were
// once, and which sampling rates were set by hand, by the files of a data directory.
func setNames(ctx context.Context, engine *query.Engine, data string) error {
	own, err := networks.Open(networksFile(data))
	if err != nil {
		return err
	}
	known, err := knownInterfaces(data)
	if err != nil {
		return err
	}
	byHand, err := rates.Open(ratesFile(data))
	if err != nil {
		return err
	}
	engine.SetRates(byHand.All())
	engine.SetEras(known.eras())
	n := query.Names{Interfaces: map[query.InterfaceID]string{}, Roles: map[query.InterfaceID]string{}, ASes: &lazyASes{data: data}}
	for _, w := range own.All() {
		n.Networks = append(n.Networks, query.NetworkName{Number: w.Number, Name: w.Name, Customer: w.Customer, Site: w.Site})
	}
	for _, list := range known.of {
		for _, i := range list {
			id := query.InterfaceID{Exporter: i.Exporter, Index: i.Index}
			if i.Name != "" {
				n.Interfaces[id] = i.Name
			}
			if role, _ := known.roles.Of(i.Exporter, i.Index, i.Name, i.Description); role != "" {
				n.Roles[id] = role
			}
		}
	}
	for _, i := range known.roles.Config().Interfaces { // also those that have no name
		n.Roles[query.InterfaceID{Exporter: i.Exporter, Index: i.Index}] = i.Role
	}
	return engine.SetNames(ctx, n)
}

// interfaceBook is what a data directory knows of interfaces.
type interfaceBook struct {
	of      map[netip.Addr][]interfaces.Interface
	devices map[netip.Addr]snmp.Known
	roles   *roles.List
}

func knownInterfaces(data string) (book interfaceBook, err error) {
	told, err := collect.InterfaceNames(stateFile(data))
	if err != nil {
		return book, err
	}
	if book.devices, err = snmp.Load(devicesFile(data)); err != nil {
		return book, err
	}
	if book.roles, err = roles.Open(rolesFile(data)); err != nil {
		return book, err
	}
	book.of = map[netip.Addr][]interfaces.Interface{}
	for x := range told {
		book.of[x] = interfaces.Of(x, told[x], book.devices[x].Interfaces)
	}
	for x, d := range book.devices {
		if book.of[x] == nil {
			book.of[x] = interfaces.Of(x, nil, d.Interfaces)
		}
	}
	return book, nil
}

// eras are the times in which interfaces had other numbers.
func (b interfaceBook) eras() (eras []numbers.Era) {
	for _, device := range slices.SortedFunc(maps.Keys(b.devices), netip.Addr.Compare) {
		eras = append(eras, numbers.Eras(device, b.devices[device].Changes)...)
	}
	return eras
}

// boundary tells what an interface is called, and whether it leads out of the
// network, or nobody said.
func (b interfaceBook) boundary(exporter netip.Addr, index uint32) (name string, boundary bool) {
	i, known := slices.BinarySearchFunc(b.of[exporter], index, func(i interfaces.Interface, index uint32) int { return cmp.Compare(i.Index, index) })
	description := ""
	if known {
		name, description = b.of[exporter][i].Name, b.of[exporter][i].Description
	}
	role, _ := b.roles.Of(exporter, index, name, description)
	return name, counting.Boundary(role)
}

// Files of a data directory, beside the flows.
func networksFile(data string) string { return filepath.Join(data, "networks.json") }
func rolesFile(data string) string    { return filepath.Join(data, "interfaces.json") }
func stateFile(data string) string    { return filepath.Join(data, "exporters.json") }
func devicesFile(data string) string  { return filepath.Join(data, "devices.json") }
func ratesFile(data string) string    { return filepath.Join(data, "rates.json") }
func countersDir(data string) string  { return filepath.Join(data, "counters") }
func geoDir(data string) string       { return filepath.Join(data, "geo") }

// lazyASes reads the databases when the first AS is named: it takes longer than
// most answers.
type lazyASes struct {
	data  string
	once  sync.Once
	names *geo.Names
}

// ASName is the holder of an AS.
func (l *lazyASes) ASName(asn uint32) string {
	l.once.Do(func() {
		l.names = geo.Open(geo.Config{Dir: geoDir(l.data)}, slog.New(slog.DiscardHandler)).Names()
	})
	return l.names.ASName(asn)
}
