package server

import (
	"context"
	"time"

	"github.com/minamo-flow/minamo/query"
)

// renaming is how often it is looked after what exporters call their interfaces.
const renaming = 5 * time.Second

// keepNames tells the engine what numbers are called, until ctx ends.
func (s *Server) keepNames(ctx context.Context) {
	tick := time.NewTicker(renaming)
	defer tick.Stop()
	for {
		if err := s.rename(ctx); err != nil && ctx.Err() == nil {
			s.Log.Warn("answers have old names", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// rename gives the engine the names of networks, ASes and interfaces, as they
// are now, and the numbers that interfaces had once.
func (s *Server) rename(ctx context.Context) error {
	n := query.Names{Interfaces: map[query.InterfaceID]string{}, Roles: map[query.InterfaceID]string{}, ASes: s.Places.Names()}
	for _, w := range s.Networks.All() {
		n.Networks = append(n.Networks, query.NetworkName{Number: w.Number, Name: w.Name, Customer: w.Customer, Site: w.Site})
	}
	for _, i := range s.knownInterfaces() {
		id := query.InterfaceID{Exporter: i.Exporter, Index: i.Index}
		if i.Name != "" {
			n.Interfaces[id] = i.Name
		}
		if i.Role != "" {
			n.Roles[id] = i.Role
		}
	}
	if s.Poller != nil {
		eras := s.Poller.Eras()
		s.Engine.SetEras(eras)
		if s.Counters != nil {
			s.Counters.SetEras(eras)
		}
	}
	return s.Engine.SetNames(ctx, n)
}
