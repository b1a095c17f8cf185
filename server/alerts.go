package server

import (
	"cmp"
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/minamo-flow/minamo/query"
	"github.com/minamo-flow/minamo/verify/counting"
	"github.com/minamo-flow/minamo/verify/proof"
	"github.com/minamo-flow/minamo/verify/totals"
)

// registerAlerts declares what is wrong now.
func (s *Server) registerAlerts(api huma.API) {
	get(api, "alerts", "/api/alerts", "What is wrong now: with flows against interface counters, with what exporters tell, with what totals count, and with what routers drop; the newest first", s.alerts)
}

// WatchTotals makes the Watcher that looks at what is counted twice and at what
// is dropped, while the server runs.
func (s *Server) WatchTotals(cfg totals.Config, log *slog.Logger) *totals.Watcher {
	cfg.Engine, cfg.Archive = s.Engine, query.Dir(s.DataDir)
	cfg.Known = func() (list []counting.Named) {
		for _, i := range s.knownInterfaces() {
			list = append(list, counting.Named{Interface: counting.Interface{Exporter: i.Exporter, Index: i.Index}, Name: i.Name, Description: i.Description, Role: i.Role})
		}
		return list
	}
	s.totals = totals.New(cfg, log)
	s.Metrics.MustRegister(s.totals)
	return s.totals
}

type alertsOutput struct {
	Body struct {
		Alerts []Alert `json:"alerts"`
	}
}

// Alert is something that is wrong with an exporter.
type Alert struct {
	Kind       string           `json:"kind" enum:"proof,quality,counting,drops" doc:"What found it: the comparison with interface counters; what the exporter's datagrams tell; what is counted twice (/api/counting); what is dropped (/api/drops)"`
	What       string           `json:"what" doc:"Of proof the verdict of /api/proof; of quality the kind of a reason of the exporter's score; of counting new_copies (it began to tell of packets that count elsewhere) or no_roles (it tells of packets twice, and no interface has a role); of drops more_drops"`
	Exporter   netip.Addr       `json:"exporter"`
	Interfaces []AlertInterface `json:"interfaces" doc:"Which, in which direction; of quality none"`
	Since      *time.Time       `json:"since" doc:"Since when, as far as that is known"`
	Words      string           `json:"words"`
	Mend       string           `json:"mend" doc:"What to do"`
}

// AlertInterface is a direction of an interface.
type AlertInterface struct {
	Index     uint32          `json:"index" doc:"ifIndex"`
	Name      string          `json:"name,omitempty"`
	Direction proof.Direction `json:"direction" enum:"in,out"`
}

// alarming is how many points of its score an exporter must have lost by
// something for an alert.
const alarming = 20

// alertsOfTotals are those of what is counted twice, and of drops.
func (s *Server) alertsOfTotals() (list []Alert) {
	for _, a := range s.totals.Alerts() {
		one := Alert{Kind: "counting", What: string(a.What), Exporter: a.Exporter, Interfaces: []AlertInterface{}, Words: a.Words, Mend: a.Mend}
		if a.What == counting.MoreDrops {
			one.Kind = "drops"
		}
		if since := a.Since.UTC(); !since.IsZero() {
			one.Since = &since
		}
		names := s.namesOf(a.Exporter)
		for _, p := range a.Places {
			direction := proof.In
			if p.Direction == counting.Egress {
				direction = proof.Out
			}
			one.Interfaces = append(one.Interfaces, AlertInterface{p.Index, names[p.Index], direction})
		}
		list = append(list, one)
	}
	return list
}

// namesOf are the names of an exporter's interfaces, by ifIndex.
func (s *Server) namesOf(exporter netip.Addr) map[uint32]string {
	names := map[uint32]string{}
	for _, i := range s.interfacesOf(exporter) {
		names[i.Index] = i.Name
	}
	return names
}

func (s *Server) alerts(context.Context, *struct{}) (*alertsOutput, error) {
	out := &alertsOutput{}
	list := []Alert{}
	type group struct {
		exporter netip.Addr
		what     proof.Verdict
	}
	places := map[group]int{}
	names := map[netip.Addr]map[uint32]string{}
	if s.watcher != nil {
		for _, a := range s.watcher.Alerts() {
			if names[a.Exporter] == nil {
				names[a.Exporter] = s.namesOf(a.Exporter)
			}
			at, known := places[group{a.Exporter, a.Verdict}]
			if !known {
				at = len(list)
				places[group{a.Exporter, a.Verdict}] = at
				since := a.Since.UTC()
				list = append(list, Alert{Kind: "proof", What: string(a.Verdict), Exporter: a.Exporter, Interfaces: []AlertInterface{}, Since: &since, Words: a.Words, Mend: a.Mend})
			}
			list[at].Interfaces = append(list[at].Interfaces, AlertInterface{a.Index, names[a.Exporter][a.Index], a.Direction})
		}
	}
	if s.totals != nil {
		list = append(list, s.alertsOfTotals()...)
	}
	hour := s.verdicts(time.Hour)
	for _, x := range s.Collector.Exporters.Status() {
		score := hour.score(&x)
		if score == nil {
			continue
		}
		for _, r := range score.Lost {
			if r.Points >= alarming {
				list = append(list, Alert{Kind: "quality", What: r.Kind, Exporter: x.Exporter, Interfaces: []AlertInterface{}, Words: r.Words, Mend: r.Mend})
			}
		}
	}
	slices.SortStableFunc(list, func(a, b Alert) int {
		at := func(x Alert) time.Time {
			if x.Since == nil {
				return time.Time{}
			}
			return *x.Since
		}
		return cmp.Or(at(b).Compare(at(a)), a.Exporter.Compare(b.Exporter))
	})
	out.Body.Alerts = list
	return out, nil
}
