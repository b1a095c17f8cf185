package server

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/minamo-flow/minamo/collect"
	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/store"
)

// register declares every operation of the API.
func (s *Server) register(api huma.API) {
	get(api, "status", "/api/status", "What is received and stored now", s.status)
	s.registerEvents(api)
	s.registerExporters(api)
	s.registerBudget(api)
	forms(api, operation("report", "/api/report", "A report: who, how much, how it went, what changed"), s.report)
	get(api, "reports", "/api/reports", "The standard reports, and how to read them", s.reports)
	forms(api, operation("top", "/api/top", "Totals by any dimensions, the greatest first"), s.top)
	forms(api, operation("series", "/api/series", "The same over time, as rates"), s.series)
	s.flows(api, operation("flows", "/api/flows", "Single flow records"))
	get(api, "fields", "/api/fields", "Columns of a flow record, what can be grouped by, and metrics", s.fields)
	get(api, "filter", "/api/filter", "Is this filter right?", s.filter)
	get(api, "complete", "/api/complete", "What can stand at a position of a filter", s.complete)
	get(api, "questions", "/api/questions", "The questions that are being answered", s.listQuestions)
	get(api, "question", "/api/questions/{id}", "How far one of them is", s.question)
	stop := operation("stop", "/api/questions/{id}", "Stop it")
	stop.Method = http.MethodDelete
	huma.Register(api, stop, s.stopQuestion)
	s.registerOwn(api)
	s.registerRoles(api)
	s.registerCounting(api)
	s.registerDrops(api)
	s.registerAlerts(api)
	s.registerProof(api)
	s.registerRates(api)
	s.registerDashboards(api)
	s.registerStorage(api)
	if s.SQL {
		s.registerSQL(api)
	}
}

func operation(id, path, summary string) huma.Operation {
	return huma.Operation{OperationID: id, Method: http.MethodGet, Path: path, Summary: summary}
}

func get[I, O any](api huma.API, id, path, summary string, handler func(context.Context, *I) (*O, error)) {
	huma.Register(api, operation(id, path, summary), handler)
}

type statusOutput struct{ Body Status }

// Status is the state of the whole.
type Status struct {
	Version           string                 `json:"version"`
	Started           time.Time              `json:"started"`
	Now               time.Time              `json:"now"`
	FlowsPerSecond    float64                `json:"flows_per_second" doc:"Flow records received per second, without those thinned out"`
	PacketsPerSecond  float64                `json:"packets_per_second" doc:"Packets per second in those flows, scaled by the sampling rate"`
	BitsPerSecond     float64                `json:"bits_per_second" doc:"Layer-3 bits per second in those flows, scaled by the sampling rate"`
	RateWindowSeconds int                    `json:"rate_window_seconds" doc:"The rates are means over this time"`
	FlowsTotal        uint64                 `json:"flows_total" doc:"Flow records received since the start, without those thinned out"`
	DatagramsTotal    uint64                 `json:"datagrams_total" doc:"Datagrams received since the start, and messages by connections"`
	Listen            []string               `json:"listen" doc:"Where exporters may send"`
	Connections       []collect.StreamStatus `json:"connections" doc:"Of the addresses that take connections"`
	Exporters         int                    `json:"exporters"`
	Store             StoreStatus            `json:"store"`
	Problems          []ProblemStat          `json:"problems" doc:"What went wrong since the start; empty when nothing did"`
}

// StoreStatus is what is kept.
type StoreStatus struct {
	Dir      string     `json:"dir"`
	Segments int        `json:"segments"`
	Rows     int64      `json:"rows"`
	Bytes    int64      `json:"bytes"`
	Oldest   *time.Time `json:"oldest" doc:"Start of the oldest flow, null when there is none"`
	Newest   *time.Time `json:"newest" doc:"End of the newest flow"`
}

// ProblemStat is a count of things that went wrong.
type ProblemStat struct {
	Kind  string `json:"kind"`
	Count uint64 `json:"count"`
	Help  string `json:"help" doc:"What it means and what to do"`
}

func (s *Server) status(context.Context, *struct{}) (*statusOutput, error) {
	now := time.Now().UTC()
	rates := s.Collector.Meter.Rates(now.Unix())
	kept := s.Store.Stats()
	sockets, streams, exporters := s.Collector.Sockets(), s.Collector.Streams(), s.Collector.Exporters.Status()
	out := &statusOutput{Status{
		Version:           s.Version,
		Started:           s.started.UTC(),
		Now:               now,
		FlowsPerSecond:    rates.Flows,
		PacketsPerSecond:  rates.Packets,
		BitsPerSecond:     rates.Bytes * 8,
		FlowsTotal:        s.Collector.Flows(),
		RateWindowSeconds: rates.Window,
		Listen:            s.Collector.Addresses(),
		Connections:       streams,
		Exporters:         len(exporters),
		Store: StoreStatus{
			Dir: s.DataDir, Segments: kept.Segments, Rows: kept.Rows, Bytes: kept.Bytes,
			Oldest: moment(kept.Oldest), Newest: moment(kept.Newest),
		},
		Problems: problems(sockets, streams, exporters, s.Collector.Exporters.Rejected(), kept),
	}}
	for _, socket := range sockets {
		out.Body.DatagramsTotal += socket.Datagrams
	}
	for _, stream := range streams {
		out.Body.DatagramsTotal += stream.Messages
	}
	return out, nil
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// problemHelp says what each kind of problem means, and what to do.
var problemHelp = map[string]string{
	"kernel_drops":        "The kernel dropped datagrams because its receive buffer was full: raise net.core.rmem_max and collect.receive-buffer, or give the collector more processors.",
	"rejected":            "Datagrams of an unknown or unsupported protocol version: see the log for the sender.",
	"connections_broken":  "Connections of exporters were refused, or broken off within a message: minamo_connections_ended_total and the log tell why.",
	"malformed_datagrams": "Datagrams that could not be used at all: see the log for the exporter.",
	"lost_flows":          "Flows that could not be written: the disk is full or fails. See the log.",
	"missing_units":       "Sequence numbers are missing: datagrams were lost on the way. The charts show too little.",
	"packets_dropped":     "The kernel dropped packets before the probe of this server could read them: give it threads (probe.fanout), room (probe.ring), or sample (probe.sampling).",
	"template_missing":    "Data came whose template never did: shorten the exporter's template interval.",
	"template_waiting":    "Data waits for its template: common just after a start.",
	"sampling_mismatch":   "An sFlow agent samples at another rate than it claims: its volumes are wrong by that factor. See the log.",
	"template_refused":    "An exporter sent templates beyond the bounds of what is remembered; their data is lost.",
	"scheme_unknown":      "NetFlow v8 records of an aggregation scheme that nobody has described; their flows are lost.",
	"set_remainder":       "Bytes are left behind the records of a set: the exporter's template and data may not agree.",
	"time_clamped":        "Flows with impossible times were moved to when they were received: set the exporter's clock (NTP).",
	"names_refused":       "An exporter names more interfaces, routing tables or applications than are kept of one.",
	"counters_refused":    "An exporter tells the counters of more interfaces than are kept of one.",
	"samples_over_limit":  "sFlow datagrams hold more samples than collect.limits.samples: the rest of each was left.",
	"domains_forgotten":   "An exporter has more observation domains than collect.limits.domains: those silent the longest were forgotten.",
	"thinned":             "More flows came than budget.collector allows: of some exporters only one row in k was kept, and its sampling rate multiplied. /api/budget/plan tells which sampling rates would keep the limit.",
	"sampling_rejected":   "An exporter announced a sampling rate that cannot be: the flows are counted as not sampled.",
}

// quietEndings are those of connections that ended as they should.
var quietEndings = []string{"closed", "stopped", "idle"}

// quietProblems are kinds that are worth a counter, but no operator's attention.
var quietProblems = []string{"element_skipped", "reverse_skipped", "list_skipped", "record_skipped", "section_skipped", "template_waiting", "trailing_bytes"}

func problems(sockets []collect.SocketStatus, streams []collect.StreamStatus, exporters []collect.ExporterStatus, rejected map[string]uint64, kept store.Stats) []ProblemStat {
	counts := map[string]uint64{"lost_flows": kept.LostRows}
	for _, socket := range sockets {
		counts["kernel_drops"] += socket.Drops
	}
	for _, stream := range streams {
		for reason, n := range stream.Ended {
			if !slices.Contains(quietEndings, reason) {
				counts["connections_broken"] += n
			}
		}
	}
	for _, n := range rejected {
		counts["rejected"] += n
	}
	for _, x := range exporters {
		counts["malformed_datagrams"] += x.Malformed
		for kind, n := range x.Problems {
			counts[kind] += n
		}
		for _, d := range x.Domains {
			if d.Protocol == flow.Schema[flow.ExportProtocol].Names[flow.Probe] {
				counts["packets_dropped"] += d.MissingUnits
			} else {
				counts["missing_units"] += d.MissingUnits
			}
		}
	}
	list := []ProblemStat{}
	for kind, n := range counts {
		if n == 0 || slices.Contains(quietProblems, kind) {
			continue
		}
		help := problemHelp[kind]
		if help == "" {
			help = "Parts of datagrams were not as the protocol demands: see the log for the exporter."
		}
		list = append(list, ProblemStat{kind, n, help})
	}
	slices.SortFunc(list, func(a, b ProblemStat) int { return strings.Compare(a.Kind, b.Kind) })
	return list
}
