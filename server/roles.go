package server

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/minamo-flow/minamo/enrich/interfaces"
	"github.com/minamo-flow/minamo/enrich/roles"
	"github.com/minamo-flow/minamo/query"
	"github.com/minamo-flow/minamo/snmp"
	"github.com/minamo-flow/minamo/verify/proof"
)

// registerRoles declares what interfaces are for.
func (s *Server) registerRoles(api huma.API) {
	get(api, "interfaces", "/api/interfaces", "The interfaces that exporters told of, and those with a role by hand: what each is for, and why", s.interfaces)
	get(api, "roles", "/api/interfaces/roles", "The rules that give interfaces a role, and those that have one by hand", s.roles)
	put := operation("put-roles", "/api/interfaces/roles", "Make these the rules, and the interfaces by hand")
	put.Description = "The first rule that matches counts; what is set by hand counts more. A role is true of the past, too. " + revisionDoc
	put.Method, put.MaxBodyBytes = http.MethodPut, 16<<20
	huma.Register(api, put, s.putRoles)
	get(api, "roles-csv", "/api/interfaces/roles.csv", "Interfaces as CSV: exporter, index, role by hand, role by a rule, name, description", s.rolesCSV)
	csv := put
	csv.OperationID, csv.Path, csv.Summary = "put-roles-csv", "/api/interfaces/roles.csv", "The interfaces by hand, from CSV"
	csv.Description = "Columns exporter, index and role, in any order, and whatever the download has beside. They take the place of all that were set by hand; rules stay."
	huma.Register(api, csv, s.putRolesCSV)
}

// Interface is an interface and what it is for.
type Interface struct {
	Exporter    netip.Addr `json:"exporter"`
	Index       uint32     `json:"index" doc:"ifIndex"`
	Name        string     `json:"name,omitempty"`
	Description string     `json:"description,omitempty"`
	Role        string     `json:"role,omitempty" doc:"Empty: none"`
	By          int        `json:"by" doc:"The number of the rule that gave it, from 1; -1: by hand; 0: nothing did"`

	NamedBy string `json:"named_by,omitempty" enum:"snmp,exporter" doc:"Who told the name: SNMP counts more than options data and sFlow"`
	Speed   uint64 `json:"speed" doc:"bit/s; 0: nobody told"`
	Up      *bool  `json:"up" doc:"ifOperStatus; null: nobody told"`

	InterfaceCounted
	InVerdict  proof.Verdict `json:"in_verdict" doc:"Of flows against counters (/api/proof), what comes in; empty: not compared"`
	OutVerdict proof.Verdict `json:"out_verdict"`
}

// InterfaceCounted is what an interface has counted in the newest five minutes; null
// where that is not known.
type InterfaceCounted struct {
	In          *float64 `json:"in_bps" doc:"Bits of layer 2 a second, of the newest five minutes that it counted; null: not known"`
	Out         *float64 `json:"out_bps"`
	InDiscards  *float64 `json:"in_discards_ps" doc:"Packets a second"`
	OutDiscards *float64 `json:"out_discards_ps"`
	InErrors    *float64 `json:"in_errors_ps"`
	OutErrors   *float64 `json:"out_errors_ps"`
}

// countedOld is how old counters may be to be told as of now.
const countedOld = 15 * time.Minute

func (s *Server) counted(f *Interface, now time.Time) (c InterfaceCounted) {
	if s.Counters == nil {
		return c
	}
	r, ok := s.Counters.Latest(f.Exporter, f.Index)
	if !ok || r.Seconds <= 0 || now.Sub(r.At) > countedOld {
		return c
	}
	rate := func(n uint64, times float64) *float64 {
		v := times * float64(n) / r.Seconds
		return &v
	}
	return InterfaceCounted{rate(r.InOctets, 8), rate(r.OutOctets, 8), rate(r.InDiscards, 1), rate(r.OutDiscards, 1), rate(r.InErrors, 1), rate(r.OutErrors, 1)}
}

// InterfaceList is all of them.
type InterfaceList struct {
	Interfaces []Interface `json:"interfaces"`
}

func (s *Server) interfaces(context.Context, *struct{}) (*struct{ Body InterfaceList }, error) {
	all := s.knownInterfaces()
	now := time.Now()
	for i := range all {
		f := &all[i]
		f.InterfaceCounted = s.counted(f, now)
		if s.watcher != nil {
			f.InVerdict, f.OutVerdict = s.watcher.Verdict(f.Exporter, f.Index, proof.In), s.watcher.Verdict(f.Exporter, f.Index, proof.Out)
		}
	}
	return &struct{ Body InterfaceList }{InterfaceList{all}}, nil
}

// exporterAddresses are those of all that export or are asked by SNMP.
func (s *Server) exporterAddresses() []netip.Addr {
	list := s.Collector.Exporters.Addresses()
	for _, d := range s.deviceList() {
		if !slices.Contains(list, d.Address) {
			list = append(list, d.Address)
		}
	}
	return list
}

// interfacesOf are an exporter's, with what they are for, by ifIndex.
func (s *Server) interfacesOf(exporter netip.Addr) []Interface {
	var asked []snmp.Interface
	if s.Poller != nil {
		asked = s.Poller.Interfaces(exporter)
	}
	var list []Interface
	for _, i := range interfaces.Of(exporter, s.Collector.Exporters.InterfaceNames(exporter), asked) {
		one := Interface{Exporter: exporter, Index: i.Index, Name: i.Name, Description: i.Description, NamedBy: i.NamedBy, Speed: i.Speed, Up: i.Up}
		one.Role, one.By = s.Roles.Of(exporter, i.Index, i.Name, i.Description)
		list = append(list, one)
	}
	return list
}

// knownInterfaces are those that have a name or a role by hand.
func (s *Server) knownInterfaces() []Interface {
	all := []Interface{}
	seen := map[query.InterfaceID]bool{}
	for _, x := range s.exporterAddresses() {
		for _, one := range s.interfacesOf(x) {
			all = append(all, one)
			seen[query.InterfaceID{Exporter: x, Index: one.Index}] = true
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

// RolesConfig is what the operator wrote.
type RolesConfig struct {
	roles.Config
	Revision string `json:"revision,omitempty" doc:"Of what was read; left out: whatever there is"`
}

type rolesBody struct {
	ETag string `header:"ETag"`
	Body RolesConfig
}

func (s *Server) roles(context.Context, *struct{}) (*rolesBody, error) {
	revision := s.Roles.Revision() // before: a change in between is told, not hidden
	cfg := RolesConfig{s.Roles.Config(), revision}
	if cfg.Rules == nil {
		cfg.Rules = []roles.Rule{}
	}
	if cfg.Interfaces == nil {
		cfg.Interfaces = []roles.Assignment{}
	}
	return &rolesBody{quoted(revision), cfg}, nil
}

type putRolesInput struct {
	Condition
	Body RolesConfig
}

func (s *Server) putRoles(ctx context.Context, in *putRolesInput) (*rolesBody, error) {
	return s.changeRoles(ctx, cmp.Or(in.Body.Revision, in.revision()), in.Body.Config)
}

func (s *Server) changeRoles(ctx context.Context, revision string, cfg roles.Config) (*rolesBody, error) {
	if err := s.Roles.Change(revision, cfg); errors.Is(err, roles.ErrChanged) {
		return nil, huma.Error409Conflict(err.Error())
	} else if err != nil {
		return nil, huma.Error422UnprocessableEntity(err.Error())
	}
	if err := s.rename(ctx); err != nil {
		return nil, huma.Error500InternalServerError(err.Error())
	}
	s.Log.Info("the roles of interfaces were replaced", "rules", len(cfg.Rules), "by hand", len(cfg.Interfaces))
	return s.roles(ctx, nil)
}

func (s *Server) rolesCSV(context.Context, *struct{}) (*csvBody, error) {
	revision := s.Roles.Revision()
	var lines []roles.Line
	for _, i := range s.knownInterfaces() {
		line := roles.Line{Assignment: roles.Assignment{Exporter: i.Exporter, Index: i.Index}, Name: i.Name, Description: i.Description}
		if i.By == roles.ByHand {
			line.Role = i.Role
		} else {
			line.ByRule = i.Role
		}
		lines = append(lines, line)
	}
	var b bytes.Buffer
	err := roles.WriteCSV(&b, lines)
	return &csvBody{csvType, quoted(revision), b.Bytes()}, err
}

func (s *Server) putRolesCSV(ctx context.Context, in *struct {
	Condition
	RawBody []byte `contentType:"text/csv" doc:"The first line names the columns"`
}) (*rolesBody, error) {
	list, err := roles.ReadCSV(bytes.NewReader(in.RawBody))
	if err != nil {
		return nil, huma.Error422UnprocessableEntity(err.Error())
	}
	return s.changeRoles(ctx, in.revision(), roles.Config{Rules: s.Roles.Config().Rules, Interfaces: list})
}
