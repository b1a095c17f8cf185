package server

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/netip"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/minamo-flow/minamo/enrich/rates"
)

// registerRates declares sampling rates by hand.
func (s *Server) registerRates(api huma.API) {
	get(api, "overrides", "/api/sampling/overrides", "The sampling rates that were set by hand, in place of what flows claim", s.overrides)
	put := operation("put-overrides", "/api/sampling/overrides", "Make these the sampling rates by hand")
	put.Description = "Of several that fit a flow the first counts. Flows stay as they were exported; charts and tables of the past are right at once, and fast again when sums have been made anew in the background. " + revisionDoc
	put.Method, put.MaxBodyBytes = http.MethodPut, 1<<20
	huma.Register(api, put, s.putOverrides)
}

// OverrideList is the operator's list.
type OverrideList struct {
	Overrides []rates.Override `json:"overrides" maxItems:"200"`
	Revision  string           `json:"revision,omitempty" doc:"Of what was read; left out: whatever there is"`
}

type overridesBody struct {
	ETag string `header:"ETag"`
	Body OverrideList
}

func (s *Server) overrides(context.Context, *struct{}) (*overridesBody, error) {
	revision := s.Rates.Revision()
	out := &overridesBody{quoted(revision), OverrideList{s.Rates.All(), revision}}
	if out.Body.Overrides == nil {
		out.Body.Overrides = []rates.Override{}
	}
	return out, nil
}

type putOverridesInput struct {
	Condition
	Body OverrideList
}

func (s *Server) putOverrides(ctx context.Context, in *putOverridesInput) (*overridesBody, error) {
	changed, err := s.Rates.Change(cmp.Or(in.Body.Revision, in.revision()), in.Body.Overrides)
	if errors.Is(err, rates.ErrChanged) {
		return nil, huma.Error409Conflict(err.Error())
	} else if err != nil {
		return nil, huma.Error422UnprocessableEntity(err.Error())
	}
	s.Engine.SetRates(s.Rates.All())
	if len(changed) > 0 {
		from, to := timeOf(changed)
		parts, err := s.Store.Rework(from, to)
		if err != nil {
			return nil, huma.Error500InternalServerError(err.Error())
		}
		s.Log.Info("sampling rates were set by hand", "rates", len(in.Body.Overrides), "changed", len(changed), "sums made anew", parts)
	}
	return s.overrides(ctx, nil)
}

// timeOf is the time that overrides are of; zero is the beginning or the end of
// everything.
func timeOf(list []rates.Override) (from, to time.Time) {
	for i, o := range list {
		if o.From == nil {
			from = time.Time{}
		} else if i == 0 || !from.IsZero() && o.From.Before(from) {
			from = *o.From
		}
		if o.To == nil {
			to = time.Time{}
		} else if i == 0 || !to.IsZero() && o.To.After(to) {
			to = *o.To
		}
	}
	return from, to
}

// override is that of an interface's flows before a time; nil where there is
// none.
func (s *Server) override(exporter netip.Addr, index uint32, before time.Time) *rates.Override {
	if o, ok := s.Rates.Of(exporter, index, before.Add(-time.Millisecond)); ok {
		return &o
	}
	return nil
}
