// Package server is the HTTP side of Minamo: the JSON API (described by
// OpenAPI at /api/openapi.json), the console, /metrics and /healthz.
//
// cmd/minamo builds one over the collector, the store and the query engine,
// and runs it. Nothing that comes in by HTTP changes the flows that are stored,
// and pages of other sites can change nothing at all. Every answer tells how it was come by (segments, rows, time, SQL),
// and every fault is an RFC 9457 problem.
package server

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/minamo-flow/minamo/collect"
	"github.com/minamo-flow/minamo/counters"
	"github.com/minamo-flow/minamo/dashboards"
	"github.com/minamo-flow/minamo/enrich/geo"
	"github.com/minamo-flow/minamo/enrich/networks"
	"github.com/minamo-flow/minamo/enrich/rates"
	"github.com/minamo-flow/minamo/enrich/roles"
	"github.com/minamo-flow/minamo/query"
	"github.com/minamo-flow/minamo/snmp"
	"github.com/minamo-flow/minamo/store"
	"github.com/minamo-flow/minamo/verify/proof"
	"github.com/minamo-flow/minamo/verify/quality"
	"github.com/minamo-flow/minamo/verify/totals"
)

// Config of a Server.
type Config struct {
	Version string        // shown in the status
	DataDir string        // whose segments are asked
	Timeout time.Duration // of a question

	Concurrency int   // questions that run at once; default 4
	Waiting     int   // questions that wait; more are refused
	Cache       int64 // bytes of answers that are kept; 0 keeps none

	Limits FlowLimits // of flow records a second

	SQL       bool         // whether experts may ask in SQL
	SQLLimits query.Config // of each such question
}

// Deps are the pieces a Server shows.
type Deps struct {
	Collector  *collect.Collector
	Store      *store.Store
	Engine     *query.Engine
	Networks   *networks.List
	Roles      *roles.List
	Dashboards *dashboards.Store
	Places     *geo.Databases
	Rates      *rates.List
	Quality    *quality.Recorder // nil: nothing is known of quality
	Counters   *counters.History // nil: nobody's counters are known
	Poller     *snmp.Poller      // nil: nobody is asked by SNMP
	Metrics    *prometheus.Registry
	Console    fs.FS // the built console; nil where it was not built
	Log        *slog.Logger
}

// Server answers HTTP requests. New is inert; Serve runs it.
type Server struct {
	Config
	Deps
	started time.Time
	handler http.Handler

	budgetDays budgetDays
	watcher    *proof.Watcher  // nil until Watch
	totals     *totals.Watcher // nil until WatchTotals

	queue     *queue
	questions questions
	answers   *answers
	calls     sync.WaitGroup // answers under way
	listeners atomic.Int64   // connections of /api/events
	queries   *prometheus.HistogramVec
}

// New builds a server.
func New(cfg Config, deps Deps) *Server {
	s := &Server{Config: cfg, Deps: deps, started: time.Now()}
	if s.Concurrency <= 0 {
		s.Concurrency = 4
	}
	s.queue, s.answers = newQueue(s.Concurrency, s.Waiting), newAnswers(s.Cache)
	s.registerMetrics(deps.Metrics)

	mux := http.NewServeMux()
	api := humago.New(mux, apiConfig(cfg.Version))
	api.UseMiddleware(refuseUnknown(api), headOnly)
	s.register(api)
	mux.Handle("GET /metrics", promhttp.HandlerFor(deps.Metrics, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", s.health)
	mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) {
		problem(w, http.StatusNotFound, "there is no "+r.URL.Path+"; the API is described at /api/openapi.json")
	})
	mux.Handle("/", console(deps.Console))
	s.handler = guard(http.NewCrossOriginProtection().Handler(withAsker(mux)))
	return s
}

// apiConfig describes the API. The documentation page that the library offers
// would load its script from elsewhere, so there is none: no request leaves
// the machine.
func apiConfig(version string) huma.Config {
	c := huma.DefaultConfig("Minamo", version)
	c.Info.Description = "What the network is doing, from the stored flows. Times are RFC 3339, or relative to now: now, -15m, -24h."
	c.OpenAPIPath = "/api/openapi"
	c.DocsPath = ""
	c.SchemasPath = "/api/schemas"
	return c
}

// Serve answers on the listener until ctx ends, then finishes what runs.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	web := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    1 << 16,
		ErrorLog:          slog.NewLogLogger(s.Log.Handler(), slog.LevelWarn),
		BaseContext:       func(net.Listener) context.Context { return ctx }, // the end of the server ends its questions
	}
	s.calls.Go(func() { s.keepNames(ctx) })
	stopped := make(chan struct{})
	context.AfterFunc(ctx, func() {
		defer close(stopped)
		grace, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		if web.Shutdown(grace) != nil {
			web.Close()
		}
	})
	if err := web.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("console: %w", err)
	}
	<-stopped
	s.calls.Wait() // interrupted, for nobody waits for them any more
	return nil
}

// health is for supervisors: 200 while flows are stored, 503 when not.
func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	if err := s.Store.Healthy(); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.Write([]byte("ok\n"))
}

// policy is what a page may do: everything is its own, pictures may be made by
// it, and it is shown in nobody else's frame.
const policy = "default-src 'self'; img-src 'self' blob:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"

// guard sets the headers that keep a browser from doing more than it must.
func guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		next.ServeHTTP(w, r)
	})
}

// console serves the built files; every path without a file is the console's
// own, and gets its one page.
func console(built fs.FS) http.Handler {
	if built == nil {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			problem(w, http.StatusNotFound, "this binary was built without the console: build it with `make build`")
		})
	}
	files := http.FileServerFS(built)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
		if strings.HasPrefix(name, "assets/") {
			w.Header().Set("Cache-Control", "public, max-age=31536000, immutable") // their names carry a hash
		} else {
			w.Header().Set("Cache-Control", "no-cache")
			info, err := fs.Stat(built, name)
			// A page's address may end in one of IP, which looks like a file's; files
			// that are no assets lie at the top. Lists of folders are nobody's page.
			if err == nil && info.IsDir() || err != nil && (path.Ext(name) == "" || strings.Contains(name, "/")) || name == "index.html" {
				page(w, r, built)
				return
			}
		}
		files.ServeHTTP(w, r)
	})
}

// page serves the console's one page. The filter's editor makes a style sheet
// when it runs, which the policy allows by a word that is new each time.
func page(w http.ResponseWriter, r *http.Request, built fs.FS) {
	text, err := fs.ReadFile(built, "index.html")
	if err != nil {
		problem(w, http.StatusInternalServerError, err.Error())
		return
	}
	nonce := rand.Text()
	w.Header().Set("Content-Security-Policy", policy+"; style-src 'self' 'nonce-"+nonce+"'")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(bytes.ReplaceAll(text, []byte("STYLE-NONCE"), []byte(nonce))))
}

// problem answers with an RFC 9457 problem, as the API does.
func problem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(huma.ErrorModel{Title: http.StatusText(status), Status: status, Detail: detail})
}
