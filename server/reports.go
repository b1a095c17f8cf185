package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/danielgtaylor/huma/v2"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/query"
	"github.com/minamo-flow/minamo/store"
)

// Scope is what every question has: when, which flows, how counted.
type Scope struct {
	From   string `query:"from" default:"-1h" doc:"Start: RFC 3339, now, or a span before now such as -15m, -24h, -7d"`
	To     string `query:"to" default:"now" doc:"End, likewise"`
	Filter string `query:"filter" doc:"Filter in nfdump's syntax"`
	Raw    bool   `query:"raw" doc:"Packets and bytes as exported, not multiplied by the sampling rate"`
}

// Grouping is what reports have beside it.
type Grouping struct {
	By     string `query:"by" default:"protocol" doc:"Dimensions, separated by commas; /api/fields lists them"`
	Metric string `query:"metric" default:"bytes" enum:"bytes,packets,flows" doc:"What to rank by, and to draw"`
}

// Meta tells how an answer was come by.
type Meta struct {
	Segments     int    `json:"segments" doc:"Files that were read"`
	Damaged      int    `json:"damaged" doc:"Files that could not be read, and are missing in the answer"`
	Rows         int64  `json:"rows_scanned" doc:"Flow records in those files"`
	Milliseconds int64  `json:"milliseconds" doc:"Time it took"`
	SQL          string `json:"sql" doc:"The query; flows in it is the union of the files"`
	Command      string `json:"command" doc:"The equal command line"`
}

// question is a Scope, understood.
type question struct {
	query.Request
	scope Scope
}

// understand checks what came in; faults name the parameter.
func understand(scope Scope, by string) (question, error) {
	q := question{scope: scope}
	var faults []error
	fault := func(parameter string, value any, err error) {
		faults = append(faults, &huma.ErrorDetail{Message: err.Error(), Location: "query." + parameter, Value: value})
	}
	var err error
	if q.From, q.To, err = parseRange(scope.From, scope.To, time.Now()); err != nil {
		fault("from", scope.From, err)
	}
	if q.Filter, err = query.ParseFilter(scope.Filter); err != nil {
		fault("filter", scope.Filter, err)
	}
	if by != "" {
		if q.By, err = query.ParseDimensions(by); err != nil {
			fault("by", by, err)
		}
	}
	q.Raw = scope.Raw
	if faults != nil {
		return q, huma.Error422UnprocessableEntity(faults[0].(*huma.ErrorDetail).Message, faults...)
	}
	return q, nil
}

// ask pins the segments that the question needs, runs f over them within the
// time limit, and completes the answer's meta.
func (s *Server) ask(ctx context.Context, kind string, q question, command string, f func(context.Context, *store.Snapshot) (query.Stats, error)) (Meta, error) {
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	begin := time.Now()
	snapshot, err := store.Pin(s.DataDir, q.From, q.To)
	if err != nil {
		return Meta{}, s.failed(kind, begin, err)
	}
	defer snapshot.Close()
	stats, err := f(ctx, snapshot)
	if err != nil {
		return Meta{}, s.failed(kind, begin, err)
	}
	s.queries.WithLabelValues(kind, "ok").Observe(time.Since(begin).Seconds())
	return Meta{
		Segments:     len(snapshot.Paths()),
		Damaged:      snapshot.Damaged(),
		Rows:         snapshot.Rows(),
		Milliseconds: time.Since(begin).Milliseconds(),
		SQL:          stats.SQL,
		Command:      command + q.arguments(),
	}, nil
}

// failed counts and logs a question that was not answered, and says it to who asked.
func (s *Server) failed(kind string, begin time.Time, err error) error {
	outcome, problem := "error", huma.Error500InternalServerError("the question could not be answered: "+err.Error())
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		outcome, problem = "timeout", huma.Error503ServiceUnavailable(fmt.Sprintf("the question took longer than %v and was ended: ask for a shorter time, or raise query.timeout", s.Timeout))
	case errors.Is(err, context.Canceled):
		outcome, problem = "canceled", huma.Error503ServiceUnavailable("the question was ended: the server stops, or the asker went away")
	default:
		s.Log.Error("question failed", "kind", kind, "error", err)
	}
	s.queries.WithLabelValues(kind, outcome).Observe(time.Since(begin).Seconds())
	return problem
}

// arguments are the command-line form of the scope.
func (q question) arguments() string {
	var b strings.Builder
	fmt.Fprintf(&b, " -t %s/%s", commandTime(q.From), commandTime(q.To))
	if q.Raw {
		b.WriteString(" --raw")
	}
	if q.scope.Filter != "" {
		b.WriteString(" " + shellQuote(q.scope.Filter))
	}
	return b.String()
}

// commandTime is a moment as `minamo flows -t` reads it.
func commandTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// shellQuote makes text one word of a command line.
func shellQuote(text string) string {
	if text != "" && !strings.ContainsFunc(text, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("/._-:,", r)
	}) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

type topInput struct {
	Scope
	Grouping
	Limit int `query:"limit" default:"10" minimum:"1" maximum:"10000" doc:"Rows at most"`
}

type topOutput struct{ Body Top }

// Top is a ranking.
type Top struct {
	By     []string   `json:"by"`
	Metric string     `json:"metric"`
	From   time.Time  `json:"from"`
	To     time.Time  `json:"to"`
	Rows   []TopRow   `json:"rows"`
	Other  Other      `json:"other" doc:"What the limit left out"`
	Total  query.Sums `json:"total" doc:"Every flow once; less than the sum of the rows where a dimension credits both sides of a flow"`
	Meta   Meta       `json:"meta"`
}

// TopRow is one group.
type TopRow struct {
	Key   map[string]any `json:"key" doc:"Value of each dimension; null where the flows lack it"`
	Label string         `json:"label" doc:"The key for people"`
	query.Sums
}

// Other sums the groups that the limit left out.
type Other struct {
	Groups uint64 `json:"groups"`
	query.Sums
}

func (s *Server) top(ctx context.Context, in *topInput) (*topOutput, error) {
	q, err := understand(in.Scope, in.By)
	if err != nil {
		return nil, err
	}
	q.Order, q.Limit = query.Order(in.Metric), in.Limit
	out := &topOutput{Top{By: names(q.By), Metric: in.Metric, From: q.From.UTC(), To: q.To.UTC(), Rows: []TopRow{}}}
	command := fmt.Sprintf("minamo flows --data %s -A %s -O %s -n %d", shellQuote(s.DataDir), strings.Join(names(q.By), ","), in.Metric, in.Limit)
	out.Body.Meta, err = s.ask(ctx, "top", q, command, func(ctx context.Context, snapshot *store.Snapshot) (query.Stats, error) {
		table, err := s.Engine.Top(ctx, snapshot, q.Request)
		if err != nil {
			return query.Stats{}, err
		}
		for i := range table.Rows {
			row := &table.Rows[i]
			out.Body.Rows = append(out.Body.Rows, TopRow{key(table.KeyMap(row)), row.Label(), row.Sums})
		}
		out.Body.Other, out.Body.Total = Other{table.Rest, table.Other}, table.Total
		return table.Stats, nil
	})
	return out, err
}

func key(values map[string]query.Value) map[string]any {
	m := make(map[string]any, len(values))
	for name, v := range values {
		m[name] = v
	}
	return m
}

func names(by []query.Dimension) []string {
	list := make([]string, len(by))
	for i, d := range by {
		list[i] = d.Name
	}
	return list
}

type seriesInput struct {
	Scope
	Grouping
	Limit int `query:"limit" default:"8" minimum:"1" maximum:"100" doc:"Series at most; the rest is Other"`
	Step  int `query:"step" default:"0" minimum:"0" maximum:"2678400" doc:"Seconds a point; 0 lets the server choose"`
}

type seriesOutput struct{ Body Series }

// Series is how something went over time.
type Series struct {
	By     []string    `json:"by"`
	Metric string      `json:"metric"`
	Unit   string      `json:"unit" doc:"Of the values"`
	From   time.Time   `json:"from"`
	To     time.Time   `json:"to"`
	Step   int         `json:"step_seconds"`
	Times  []time.Time `json:"times" doc:"Start of each bucket"`
	Series []Line      `json:"series"`
	Other  *Line       `json:"other" doc:"Everything that the limit left out; null when it left out nothing"`
	Meta   Meta        `json:"meta"`
}

// Line is one series of a chart.
type Line struct {
	Key    map[string]any `json:"key,omitempty"`
	Label  string         `json:"label"`
	Values []float64      `json:"values" doc:"Mean rate in each bucket. A flow's packets and bytes are spread over its time"`
	Total  query.Sums     `json:"total" doc:"Within the range"`
}

// units are the rates that metrics are drawn as, and the factor to them.
var units = map[string]struct {
	name   string
	factor float64
}{
	"bytes":   {"bit/s", 8},
	"packets": {"packets/s", 1},
	"flows":   {"flows/s", 1},
}

const (
	buckets    = 200  // about how many the server chooses
	maxBuckets = 5000 // a series may have

	maxSpan = 200 * 365 * 24 * time.Hour // of a series; a time.Duration holds 292 years
)

// steps are the lengths of a bucket that people can read off an axis.
var steps = []time.Duration{
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 30 * time.Second,
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour,
}

// chooseStep picks the shortest of them that needs few enough buckets.
func chooseStep(span time.Duration) time.Duration {
	const most = buckets * 3 / 2
	for _, step := range steps {
		if span <= step*most {
			return step
		}
	}
	const day = 24 * time.Hour
	return (span + day*most - 1) / (day * most) * day
}

func (s *Server) series(ctx context.Context, in *seriesInput) (*seriesOutput, error) {
	q, err := understand(in.Scope, in.By)
	if err != nil {
		return nil, err
	}
	if q.To.Sub(q.From) > maxSpan {
		return nil, huma.Error422UnprocessableEntity("from: a series spans 200 years at most: choose a later start or an earlier end")
	}
	q.Order, q.Limit, q.Step = query.Order(in.Metric), in.Limit, time.Duration(in.Step)*time.Second
	if q.Step == 0 {
		q.Step = chooseStep(q.To.Sub(q.From))
	}
	// Buckets begin at whole steps, so that a chart that moves on keeps its shape.
	q.From, q.To = q.From.Truncate(q.Step), q.To.Add(q.Step-1).Truncate(q.Step)
	if n := q.To.Sub(q.From) / q.Step; n > maxBuckets {
		return nil, huma.Error422UnprocessableEntity(fmt.Sprintf("step: %d points are too many, expected at most %d: choose a longer step or a shorter time", n, maxBuckets))
	}
	unit := units[in.Metric]
	out := &seriesOutput{Series{
		By: names(q.By), Metric: in.Metric, Unit: unit.name, From: q.From.UTC(), To: q.To.UTC(),
		Step: int(q.Step / time.Second), Series: []Line{},
	}}
	command := fmt.Sprintf("minamo flows --data %s -A %s -O %s -n %d", shellQuote(s.DataDir), strings.Join(names(q.By), ","), in.Metric, in.Limit)
	out.Body.Meta, err = s.ask(ctx, "series", q, command, func(ctx context.Context, snapshot *store.Snapshot) (query.Stats, error) {
		table, err := s.Engine.Series(ctx, snapshot, q.Request)
		if err != nil {
			return query.Stats{}, err
		}
		line := func(from *query.Series) Line {
			values := map[string][]uint64{"bytes": from.Bytes, "packets": from.Packets, "flows": from.Flows}[in.Metric]
			l := Line{Label: from.Label(), Values: table.Rates(values), Total: from.Total}
			for i := range l.Values {
				l.Values[i] *= unit.factor
			}
			return l
		}
		out.Body.Times = table.Times
		for i := range table.Series {
			l := line(&table.Series[i])
			l.Key = key(table.KeyMap(&table.Series[i]))
			out.Body.Series = append(out.Body.Series, l)
		}
		if table.Other != nil {
			other := line(table.Other)
			other.Label = "Other"
			out.Body.Other = &other
		}
		return table.Stats, nil
	})
	return out, err
}

type flowsInput struct {
	Scope
	Limit int `query:"limit" default:"100" minimum:"1" maximum:"10000" doc:"Flows at most"`
}

type flowsOutput struct {
	Body struct {
		Rows []json.RawMessage `json:"rows" doc:"Columns of each flow, as in docs/columns.md; the newest first"`
		Meta Meta              `json:"meta"`
	}
}

func (s *Server) flows(ctx context.Context, in *flowsInput) (*flowsOutput, error) {
	q, err := understand(in.Scope, "")
	if err != nil {
		return nil, err
	}
	q.Order, q.Limit = query.ByNewest, in.Limit
	out := &flowsOutput{}
	out.Body.Rows = []json.RawMessage{}
	command := fmt.Sprintf("minamo flows --data %s -O newest -c %d -o json", shellQuote(s.DataDir), in.Limit)
	out.Body.Meta, err = s.ask(ctx, "flows", q, command, func(ctx context.Context, snapshot *store.Snapshot) (query.Stats, error) {
		return s.Engine.Flows(ctx, snapshot, q.Request, func(b *flow.Batch) error {
			for i := range b.Len() {
				out.Body.Rows = append(out.Body.Rows, b.AppendJSON(nil, i))
			}
			return nil
		})
	})
	return out, err
}

type fieldsOutput struct {
	Body struct {
		Columns    []FieldInfo     `json:"columns"`
		Dimensions []DimensionInfo `json:"dimensions" doc:"What flows can be grouped by; addresses also by prefix, such as src_addr/24"`
	}
}

// FieldInfo is a column of a flow record.
type FieldInfo struct {
	Name     string            `json:"name"`
	Kind     string            `json:"kind"`
	Unit     string            `json:"unit,omitempty"`
	Required bool              `json:"required" doc:"Every flow has it"`
	Element  string            `json:"element,omitempty" doc:"IPFIX elements it comes from"`
	Doc      string            `json:"doc"`
	Names    map[string]string `json:"names,omitempty" doc:"Names of its codes"`
}

// DimensionInfo is something to group by.
type DimensionInfo struct {
	Name string `json:"name"`
	Doc  string `json:"doc"`
}

func (s *Server) fields(context.Context, *struct{}) (*fieldsOutput, error) {
	out := &fieldsOutput{}
	for _, f := range flow.Schema {
		info := FieldInfo{Name: f.Name, Kind: f.Kind.String(), Unit: f.Unit, Required: f.Required, Element: f.Element, Doc: f.Doc}
		for code, name := range f.Names {
			if info.Names == nil {
				info.Names = map[string]string{}
			}
			info.Names[strconv.FormatUint(code, 10)] = name
		}
		out.Body.Columns = append(out.Body.Columns, info)
	}
	for _, d := range query.Dimensions() {
		out.Body.Dimensions = append(out.Body.Dimensions, DimensionInfo{d.Name, d.Doc})
	}
	return out, nil
}

type filterInput struct {
	Filter string `query:"filter" doc:"The filter to check"`
}

type filterOutput struct{ Body FilterCheck }

// FilterCheck says whether a filter is right, or what is wrong where.
type FilterCheck struct {
	OK       bool   `json:"ok"`
	Column   int    `json:"column,omitempty" doc:"Of the wrong word, from 1"`
	Word     string `json:"word,omitempty" doc:"The wrong word; empty at the end of the filter"`
	Expected string `json:"expected,omitempty" doc:"What should stand there"`
	Message  string `json:"message,omitempty" doc:"All of it in a sentence"`
}

func (s *Server) filter(_ context.Context, in *filterInput) (*filterOutput, error) {
	_, err := query.ParseFilter(in.Filter)
	var wrong *query.FilterError
	if !errors.As(err, &wrong) {
		return &filterOutput{FilterCheck{OK: true}}, nil
	}
	return &filterOutput{FilterCheck{Column: wrong.Column, Word: wrong.Word, Expected: wrong.Expected, Message: wrong.Error()}}, nil
}
