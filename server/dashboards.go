package server

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/minamo-flow/minamo/dashboards"
)

// registerDashboards declares the arrangements of panels that people keep.
func (s *Server) registerDashboards(api huma.API) {
	get(api, "dashboards", "/api/dashboards", "Arrangements of panels, by name", s.listDashboards)
	get(api, "dashboard", "/api/dashboards/{name}", "One of them", s.dashboard)
	put := operation("put-dashboard", "/api/dashboards/{name}", "Keep one")
	put.Description = "Of one that is there, updated must be what was read: nobody's work is overwritten unseen. The dashboard overview is the console's first page."
	put.Method, put.MaxBodyBytes = http.MethodPut, 512<<10
	huma.Register(api, put, s.putDashboard)
	del := operation("delete-dashboard", "/api/dashboards/{name}", "Forget one")
	del.Method, del.DefaultStatus = http.MethodDelete, http.StatusNoContent
	huma.Register(api, del, s.deleteDashboard)
}

type dashboardInput struct {
	Name string `path:"name"`
}

type dashboardOutput struct{ Body dashboards.Dashboard }

// DashboardList is all of them.
type DashboardList struct {
	Dashboards []dashboards.Dashboard `json:"dashboards"`
}

func (s *Server) listDashboards(context.Context, *struct{}) (*struct{ Body DashboardList }, error) {
	all, err := s.Dashboards.List()
	if err != nil {
		s.Log.Warn("some dashboards cannot be read", "error", err)
	}
	return &struct{ Body DashboardList }{DashboardList{all}}, nil
}

func (s *Server) dashboard(_ context.Context, in *dashboardInput) (*dashboardOutput, error) {
	d, err := s.Dashboards.Get(in.Name)
	if err != nil {
		return nil, s.dashboardProblem(err)
	}
	return &dashboardOutput{d}, nil
}

func (s *Server) putDashboard(_ context.Context, in *struct {
	Name string `path:"name"`
	Body struct {
		Title       string             `json:"title" maxLength:"80"`
		Description string             `json:"description,omitempty" maxLength:"400"`
		Panels      []dashboards.Panel `json:"panels" maxItems:"60"`
		Updated     time.Time          `json:"updated,omitzero" doc:"As it was read; left out of a new one"`
	}
}) (*dashboardOutput, error) {
	b := &in.Body
	d, err := s.Dashboards.Put(dashboards.Dashboard{Name: in.Name, Title: b.Title, Description: b.Description, Panels: b.Panels, Updated: b.Updated}, time.Now())
	if err != nil {
		return nil, s.dashboardProblem(err)
	}
	return &dashboardOutput{d}, nil
}

func (s *Server) deleteDashboard(_ context.Context, in *dashboardInput) (*struct{}, error) {
	if err := s.Dashboards.Delete(in.Name); err != nil {
		return nil, s.dashboardProblem(err)
	}
	return nil, nil
}

// dashboardProblem says to who asked what is wrong.
func (s *Server) dashboardProblem(err error) error {
	switch {
	case errors.Is(err, dashboards.ErrUnknown):
		return huma.Error404NotFound(err.Error())
	case errors.Is(err, dashboards.ErrChanged), errors.Is(err, dashboards.ErrFull):
		return huma.Error409Conflict(err.Error())
	case dashboards.IsWrong(err):
		return huma.Error422UnprocessableEntity(err.Error())
	}
	s.Log.Error("a dashboard could not be read or written", "error", err)
	return huma.Error500InternalServerError(err.Error())
}
