package server

import (
	"cmp"
	"context"
	"net/http"
	"net/netip"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/minamo-flow/minamo/enrich/roles"
	"github.com/minamo-flow/minamo/query"
)

// registerRoles declares what interfaces are for.
func (s *Server) registerRoles(api huma.API) {
	get(api, "interfaces", "/api/interfaces", "The interfaces that exporters told of, and those with a role by hand: what each is for, and why", s.interfaces)
	get(api, "roles", "/api/interfaces/roles", "The rules that give interfaces a role, and those that have one by hand", s.roles)
	put := operation("put-roles", "/api/interfaces/roles", "Make these the rules, and the interfaces by hand")
	put.Description = "The first rule that matches counts; what is set by hand counts more. A role is true of the past, too."
	put.Method, put.MaxBodyBytes = http.MethodPut, 16<<20
	huma.Register(api, put, s.putRoles)
}

// Interface is an interface and what it is for.
type Interface struct {
	Exporter    netip.Addr `json:"exporter"`
	Index       uint32     `json:"index" doc:"ifIndex"`
	Name        string     `json:"name,omitempty"`
	Description string     `json:"description,omitempty"`
	Role        string     `json:"role,omitempty" doc:"Empty: none"`
	By          int        `json:"by" doc:"The number of the rule that gave it, from 1; -1: by hand; 0: nothing did"`
}

// InterfaceList is all of them.
type InterfaceList struct {
	Interfaces []Interface `json:"interfaces"`
}

func (s *Server) interfaces(context.Context, *struct{}) (*struct{ Body InterfaceList }, error) {
	return &struct{ Body InterfaceList }{InterfaceList{s.knownInterfaces()}}, nil
}

// knownInterfaces are those that have a name or a role by hand.
func (s *Server) knownInterfaces() []Interface {
	all := []Interface{}
	seen := map[query.InterfaceID]bool{}
	for _, x := range s.Collector.Exporters.Status() {
		d, _ := s.Collector.Exporters.Details(x.Exporter)
		for _, i := range d.Interfaces {
			one := Interface{Exporter: x.Exporter, Index: i.Index, Name: i.Name, Description: i.Description}
			one.Role, one.By = s.Roles.Of(x.Exporter, i.Index, i.Name, i.Description)
			all = append(all, one)
			seen[query.InterfaceID{Exporter: x.Exporter, Index: i.Index}] = true
		}
	}
	for _, i := range s.Roles.Config().Interfaces {
		if !seen[query.InterfaceID{Exporter: i.Exporter, Index: i.Index}] {
			all = append(all, Interface{Exporter: i.Exporter, Index: i.Index, Role: i.Role, By: roles.ByHand})
		}
	}
	slices.SortFunc(all, func(a, b Interface) int { return cmp.Or(a.Exporter.Compare(b.Exporter), cmp.Compare(a.Index, b.Index)) })
	return all
}

type rolesBody struct{ Body roles.Config }

func (s *Server) roles(context.Context, *struct{}) (*rolesBody, error) {
	cfg := s.Roles.Config()
	if cfg.Rules == nil {
		cfg.Rules = []roles.Rule{}
	}
	if cfg.Interfaces == nil {
		cfg.Interfaces = []roles.Assignment{}
	}
	return &rolesBody{cfg}, nil
}

func (s *Server) putRoles(ctx context.Context, in *rolesBody) (*rolesBody, error) {
	if err := s.Roles.Replace(in.Body); err != nil {
		return nil, huma.Error422UnprocessableEntity(err.Error())
	}
	if err := s.rename(ctx); err != nil {
		return nil, huma.Error500InternalServerError(err.Error())
	}
	s.Log.Info("the roles of interfaces were replaced", "rules", len(in.Body.Rules), "by hand", len(in.Body.Interfaces))
	return s.roles(ctx, nil)
}
