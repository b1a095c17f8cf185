package server

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/sse"
)

// mostListeners bounds connections that stay open: consoles on walls and in tabs.
const mostListeners = 500

// registerEvents declares what is told without being asked again.
func (s *Server) registerEvents(api huma.API) {
	op := operation("events", "/api/events", "The status again and again, as server-sent events")
	op.Description = "An event named status each time, with the body of /api/status. Flows that came by then can be asked when store.newest has moved."
	op.Middlewares = huma.Middlewares{func(ctx huma.Context, next func(huma.Context)) {
		if s.listeners.Add(1) > mostListeners {
			s.listeners.Add(-1)
			huma.WriteErr(api, ctx, http.StatusServiceUnavailable, "too many listen already: ask /api/status instead")
			return
		}
		defer s.listeners.Add(-1)
		next(ctx)
	}}
	sse.Register(api, op, map[string]any{"status": Status{}}, s.events)
}

type eventsInput struct {
	Every int `query:"every" default:"5" minimum:"1" maximum:"60" doc:"Seconds between events"`
}

// events sends until the listener is gone or the server ends.
func (s *Server) events(ctx context.Context, in *eventsInput, send sse.Sender) {
	tick := time.NewTicker(time.Duration(in.Every) * time.Second)
	defer tick.Stop()
	for {
		now, err := s.status(ctx, nil)
		if err != nil || send.Data(now.Body) != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
