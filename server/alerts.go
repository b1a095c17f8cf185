package server

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/minamo-flow/minamo/verify/proof"
)

// registerAlerts declares what is wrong now.
func (s *Server) registerAlerts(api huma.API) {
	get(api, "alerts", "/api/alerts", "What is wrong now: with flows against interface counters, and with what exporters tell; the newest first", s.alerts)
}

type alertsOutput struct {
	Body struct {
		Alerts []Alert `json:"alerts"`
	}
}

// Alert is something that is wrong with an exporter.
type Alert struct {
	Kind       string           `json:"kind" enum:"proof,quality" doc:"What found it: the comparison with interface counters, or what the exporter's datagrams tell"`
	What       string           `json:"what" doc:"The verdict of /api/proof, or the kind of a reason of the exporter's score"`
	Exporter   netip.Addr       `json:"exporter"`
	Interfaces []AlertInterface `json:"interfaces" doc:"Of proof: which, in which direction"`
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
				names[a.Exporter] = map[uint32]string{}
				for _, i := range s.interfacesOf(a.Exporter) {
					names[a.Exporter][i.Index] = i.Name
				}
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
