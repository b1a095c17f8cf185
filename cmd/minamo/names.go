package main

import (
	"context"
	"log/slog"
	"path/filepath"
	"sync"

	"github.com/minamo-flow/minamo/collect"
	"github.com/minamo-flow/minamo/enrich/geo"
	"github.com/minamo-flow/minamo/enrich/networks"
	"github.com/minamo-flow/minamo/enrich/roles"
	"github.com/minamo-flow/minamo/query"
)

// setNames tells an engine what numbers are called, by the files of a data
// directory.
func setNames(ctx context.Context, engine *query.Engine, data string) error {
	own, err := networks.Open(networksFile(data))
	if err != nil {
		return err
	}
	exporters, err := collect.InterfaceNames(stateFile(data))
	if err != nil {
		return err
	}
	parts, err := roles.Open(rolesFile(data))
	if err != nil {
		return err
	}
	n := query.Names{Interfaces: map[query.InterfaceID]string{}, Roles: map[query.InterfaceID]string{}, ASes: &lazyASes{data: data}}
	for _, w := range own.All() {
		n.Networks = append(n.Networks, query.NetworkName{Number: w.Number, Name: w.Name, Customer: w.Customer, Site: w.Site})
	}
	for exporter, interfaces := range exporters {
		for _, i := range interfaces {
			id := query.InterfaceID{Exporter: exporter, Index: i.Index}
			if i.Name != "" {
				n.Interfaces[id] = i.Name
			}
			if role, _ := parts.Of(exporter, i.Index, i.Name, i.Description); role != "" {
				n.Roles[id] = role
			}
		}
	}
	for _, i := range parts.Config().Interfaces { // also those that have no name
		n.Roles[query.InterfaceID{Exporter: i.Exporter, Index: i.Index}] = i.Role
	}
	return engine.SetNames(ctx, n)
}

// Files of a data directory, beside the flows.
func networksFile(data string) string { return filepath.Join(data, "networks.json") }
func rolesFile(data string) string    { return filepath.Join(data, "interfaces.json") }
func stateFile(data string) string    { return filepath.Join(data, "exporters.json") }
func devicesFile(data string) string  { return filepath.Join(data, "devices.json") }
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
