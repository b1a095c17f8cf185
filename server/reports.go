package server

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/minamo-flow/minamo/query"
)

type reportInput struct {
	Range
	Form
	Name    string `query:"name" doc:"A standard report, of /api/reports; the other parameters change it"`
	By      string `query:"by" doc:"Dimensions, separated by commas; /api/fields lists them. None makes one row, of everything"`
	Metric  string `query:"metric" doc:"What to rank by, and to draw; /api/fields lists them. bytes, unless the standard report has another"`
	Limit   int    `query:"limit" default:"10" minimum:"1" maximum:"10000" doc:"Rows or series at most; the rest is other"`
	Step    string `query:"step" doc:"Also as a series, in buckets so long: seconds, a span such as 5m, or auto. None makes no series"`
	Compare string `query:"compare" doc:"Also the same range so much earlier: 24h, 7d"`
	Mirror  bool   `query:"mirror" doc:"Also the other direction: source and destination swapped"`
	Scope   string `query:"scope" enum:"all,ingress,egress,once,network" default:"all" doc:"Which records count where packets are exported twice: by a router as they come in and as they go out (once counts each byte once per router), and by several routers (network counts it once for all, where it enters the network; it needs roles of interfaces)"`
	Exact   bool   `query:"exact" doc:"From the flows themselves, as far as they are kept: rollups keep only the heaviest of many addresses"`
	Spread  bool   `query:"spread" default:"true" doc:"false counts each flow whole in the moment it ended, as tools do that do not spread its bytes over its time: to see what that makes of a chart; from the flows themselves"`

	Overhead uint64 `query:"overhead" maximum:"1000" doc:"Bytes that l2bps adds to a packet; 0 is Ethernet's 18"`
}

// Report is the answer to a report.
type Report struct {
	Name    string      `json:"name,omitempty" doc:"Of the standard report"`
	By      []string    `json:"by"`
	Metric  string      `json:"metric"`
	Unit    string      `json:"unit" doc:"Of value"`
	From    time.Time   `json:"from" doc:"As it was used: ranges are widened to whole minutes, hours or steps"`
	To      time.Time   `json:"to"`
	Step    int         `json:"step_seconds,omitempty"`
	Times   []time.Time `json:"times,omitempty" doc:"Start of each bucket of a series"`
	Rows    []ReportRow `json:"rows"`
	Other   *ReportRow  `json:"other" doc:"What the limit left out; null when it left out nothing"`
	Groups  uint64      `json:"other_groups" doc:"How many rows that would be"`
	Total   ReportRow   `json:"total" doc:"Every flow once; less than the sum of the rows where a dimension credits both sides of a flow"`
	Left    []ReportRow `json:"left,omitempty" doc:"Rows that were among the first in the earlier range and are not now"`
	Note    string      `json:"note,omitempty" doc:"Why the range is shorter than what was asked, or what the scope could not know"`
	Exact   bool        `json:"exact" doc:"Whether the rows are what the flows add up to"`
	Missing float64     `json:"missing,omitempty" doc:"Where not, how much a row may lack at most"`
	Earlier *Report     `json:"earlier,omitempty" doc:"The earlier range: the same rows in the same order"`
	Mirror  *Report     `json:"mirror,omitempty" doc:"The other direction: the same rows in the same order"`
	Meta    *Meta       `json:"meta,omitempty"`
}

// ReportRow is one group.
type ReportRow struct {
	Key   map[string]any `json:"key,omitempty" doc:"Value of each dimension; null where the flows lack it"`
	Label string         `json:"label" doc:"The key for people"`
	query.Sums
	Value         float64   `json:"value" doc:"Of the metric"`
	Share         float64   `json:"share" doc:"Of the total, 0 to 1; 0 where the metric does not add up"`
	SamplingError float64   `json:"sampling_error" doc:"How far what the metric counts, packets or bytes, may be off because of sampling (95 %), as a part of it"`
	Values        []float64 `json:"values,omitempty" doc:"Of the metric in each bucket"`
	Change        *Change   `json:"change,omitempty" doc:"Since the earlier range"`

	key []query.Value
}

// Change compares a row with the earlier range.
type Change struct {
	Earlier float64 `json:"earlier" doc:"The value then"`
	By      float64 `json:"by" doc:"The value now less that"`
	Part    float64 `json:"part" doc:"The same as a part of the earlier value; 0 where that was 0"`
	New     bool    `json:"new" doc:"There was nothing then"`
	Gone    bool    `json:"gone" doc:"There is nothing now"`
}

func (s *Server) report(ctx context.Context, in *reportInput) (*Report, error) {
	u := understand(in.Range)
	var standard query.StandardReport
	if in.Name != "" {
		var names []string
		for _, r := range query.StandardReports() {
			names = append(names, r.Name)
			if r.Name == in.Name {
				standard = r
			}
		}
		if standard.Name == "" {
			u.fault("name", in.Name, unknown("report", in.Name, names))
		}
	}
	if in.By == "" {
		in.By = strings.Join(standard.By, ",")
	}
	if in.Metric == "" {
		in.Metric = string(standard.Metric)
	}
	r := query.Report{Limit: in.Limit, Mirror: in.Mirror, FromFlows: in.Exact, Unspread: !in.Spread, Overhead: in.Overhead}
	r.By = u.dimensions(in.By)
	r.Compare = u.span("compare", in.Compare)
	var err error
	if r.Metric, err = query.ParseMetric(in.Metric); err != nil {
		u.fault("metric", in.Metric, unknown("metric", in.Metric, metricNames()))
	}
	r.Scope = query.Scope(in.Scope)
	answer, err := s.askReport(ctx, "report", u, r, in.Step, in.Range)
	if err != nil {
		return nil, err
	}
	answer.Name = standard.Name
	return answer, nil
}

// askReport answers a report of a range that is not aligned yet.
func (s *Server) askReport(ctx context.Context, kind string, u *understood, r query.Report, step string, asked Range) (*Report, error) {
	if err := u.problem(); err != nil {
		return nil, err
	}
	r.Step = u.step(step)
	unit := r.Step
	if r.Step == 0 && (r.Metric == query.P95 || r.Metric == query.Peak) {
		unit = 5 * time.Minute
	}
	if u.align(unit); step == "auto" || step == "0" {
		r.Step = u.step(step) // of the range as it is now
	}
	if err := u.problem(); err != nil {
		return nil, err
	}
	r.From, r.To, r.Filters, r.Raw = u.from, u.to, u.filters, u.raw
	parameters := []any{names(r.By), r.Metric, r.From.UnixMilli(), r.To.UnixMilli(), asked.Filters, r.Limit, r.Step, r.Compare, r.Mirror, r.Scope, r.Raw, r.FromFlows, r.Unspread, r.Overhead}
	shared, how, err := ask(ctx, s, kind, parameters, r.From.Add(-r.Compare), r.To, func(ctx context.Context, files *archive) (*Report, query.Stats, error) {
		a, err := s.Engine.Report(ctx, files, r)
		if err != nil {
			return nil, query.Stats{}, err
		}
		return NewReport(a), a.Stats, nil
	})
	if err != nil {
		return nil, err
	}
	own := *shared
	how.Command = s.reportCommand(r, asked)
	own.Meta = &how
	return &own, nil
}

// reportCommand is the command line that answers the same.
func (s *Server) reportCommand(r query.Report, asked Range) string {
	words := []string{"minamo", "report", "--data", s.DataDir, "-t", commandTime(r.From) + "/" + commandTime(r.To), "--metric", string(r.Metric), "-n", strconv.Itoa(r.Limit)}
	if len(r.By) > 0 {
		words = append(words, "--by", strings.Join(names(r.By), ","))
	} else {
		words = append(words, "traffic")
	}
	if r.Step > 0 {
		words = append(words, "--series", r.Step.String())
	}
	if r.Compare > 0 {
		words = append(words, "--compare", r.Compare.String())
	}
	if r.Mirror {
		words = append(words, "--mirror")
	}
	if r.FromFlows {
		words = append(words, "--exact")
	}
	if r.Unspread {
		words = append(words, "--unspread")
	}
	if r.Overhead > 0 {
		words = append(words, "--overhead", strconv.FormatUint(r.Overhead, 10))
	}
	if r.Scope != "" && r.Scope != query.ScopeAll {
		words = append(words, "--scope", string(r.Scope))
	}
	if r.Raw {
		words = append(words, "--raw")
	}
	if filter := joinedFilter(asked.Filters); filter != "" {
		words = append(words, filter)
	}
	return commandLine(words...)
}

// NewReport is an answer as the API gives it, without meta.
func NewReport(a *query.Answer) *Report {
	if a == nil {
		return nil
	}
	r := &Report{
		By: names(a.By), Metric: string(a.Metric), Unit: a.Metric.Unit(), From: a.From.UTC(), To: a.To.UTC(), Step: int(a.Step / time.Second),
		Times: a.Times, Rows: newRows(a, a.Rows), Groups: a.Rest, Total: newRow(a, &a.Total, "Total"), Left: newRows(a, a.Left),
		Note: a.Note, Exact: a.Exact, Missing: a.Missing, Earlier: NewReport(a.Earlier), Mirror: NewReport(a.Mirror),
	}
	if a.Other != nil {
		other := newRow(a, a.Other, "Other")
		r.Other = &other
	}
	return r
}

func newRows(a *query.Answer, rows []query.ReportRow) []ReportRow {
	list := make([]ReportRow, len(rows))
	for i := range rows {
		list[i] = newRow(a, &rows[i], "")
	}
	return list
}

// newRow makes a row; one without a key of its own has a label instead.
func newRow(a *query.Answer, row *query.ReportRow, label string) ReportRow {
	r := ReportRow{Label: label, Sums: row.Sums, Value: row.Value, Share: row.Share, SamplingError: row.SamplingError, Values: row.Values}
	if label == "" {
		r.Key, r.Label, r.key = keyMap(a.KeyMap(row)), row.Label(), row.Key
	}
	if c := row.Change; c != nil {
		r.Change = &Change{c.Earlier, c.By, c.Part, c.New, c.Gone}
	}
	return r
}

func keyMap(values map[string]query.Value) map[string]any {
	m := make(map[string]any, len(values))
	for name, v := range values {
		m[name] = v
	}
	return m
}

func (r *Report) how() *Meta { return r.Meta }

// WriteCSV writes the report as the API's CSV.
func (r *Report) WriteCSV(w io.Writer) error { return encoding{sink: newCSVSink}.write(w, r.table()) }

// table has a line for each row and for other; as a series, for each bucket of each.
func (r *Report) table() *table {
	rows := slices.Clone(r.Rows)
	if r.Other != nil {
		rows = append(rows, *r.Other)
	}
	t := &table{name: fileName("report", r.From, r.By)}
	keys := keyColumns(r.By, rows)
	if r.Step > 0 {
		t.columns = append(append([]column{{"time", instant}, {"label", text}}, keys...), column{"value", real})
		t.rows = func(yield func([]any) error) error {
			for i, at := range r.Times {
				for n := range rows {
					line := append(append([]any{at, rows[n].Label}, keyCells(keys, &rows[n])...), rows[n].Values[i])
					if err := yield(line); err != nil {
						return err
					}
				}
			}
			return nil
		}
		return t
	}
	t.columns = append(append([]column{{"label", text}}, keys...),
		column{"flows", unsigned}, column{"packets", unsigned}, column{"bytes", unsigned}, column{"value", real}, column{"share", real}, column{"sampling_error", real})
	if r.Earlier != nil {
		t.columns = append(t.columns, column{"earlier", real})
	}
	if r.Mirror != nil {
		t.columns = append(t.columns, column{"mirror", real})
	}
	t.rows = func(yield func([]any) error) error {
		for i := range rows {
			row := &rows[i]
			line := append(append([]any{row.Label}, keyCells(keys, row)...), row.Flows, row.Packets, row.Bytes, row.Value, row.Share, row.SamplingError)
			for _, other := range []*Report{r.Earlier, r.Mirror} {
				switch {
				case other == nil:
				case i < len(other.Rows):
					line = append(line, other.Rows[i].Value)
				case other.Other != nil:
					line = append(line, other.Other.Value)
				default:
					line = append(line, nil)
				}
			}
			if err := yield(line); err != nil {
				return err
			}
		}
		return nil
	}
	return t
}

// fileName is that of an answer: what it is of, and when.
func fileName(kind string, from time.Time, by []string) string {
	name := "minamo-" + kind
	for _, b := range by {
		name += "-" + strings.ReplaceAll(b, "/", "_")
	}
	return name + "-" + from.UTC().Format("20060102T1504Z")
}

// keyColumns are the columns of a key. One is of numbers where all values are.
func keyColumns(by []string, rows []ReportRow) []column {
	columns := make([]column, len(by))
	for i := range by {
		columns[i] = column{by[i], unsigned}
		for n := range rows {
			if rows[n].key == nil {
				continue
			}
			if _, ok := keyCell(rows[n].key[i]).(string); ok {
				columns[i].kind = text
			}
		}
		if taken := []string{"label", "time", "flows", "packets", "bytes", "value", "share", "earlier", "mirror", "sampling_error"}; slices.Contains(taken, by[i]) {
			columns[i].name = "key_" + by[i] // such as the distribution of bytes
		}
	}
	return columns
}

func keyCells(columns []column, row *ReportRow) []any {
	cells := make([]any, len(columns))
	for i := range cells {
		if row.key == nil {
			continue
		}
		cells[i] = keyCell(row.key[i])
		if n, ok := cells[i].(uint64); ok && columns[i].kind == text {
			cells[i] = strconv.FormatUint(n, 10)
		}
	}
	return cells
}

// keyCell is a value as JSON has it: nothing, a number or a text.
func keyCell(v query.Value) any {
	data, err := json.Marshal(v)
	if err != nil || !v.Present {
		return nil
	}
	if n, err := strconv.ParseUint(string(data), 10, 64); err == nil {
		return n
	}
	return v.Text
}

func names(by []query.Dimension) []string {
	list := make([]string, len(by))
	for i, d := range by {
		list[i] = d.Name
	}
	return list
}

func metricNames() []string {
	var list []string
	for _, m := range query.Metrics() {
		list = append(list, string(m))
	}
	return list
}

// unknown is a fault that names what might have been meant.
func unknown(what, name string, known []string) error {
	if near := query.Nearest(name, known); near != "" {
		return fmt.Errorf("%s %q is unknown; did you mean %q?", what, name, near)
	}
	return fmt.Errorf("%s %q is unknown: expected one of %s", what, name, strings.Join(known, ", "))
}

// Grouping is what rankings and series have beside the range.
type Grouping struct {
	By     string `query:"by" default:"protocol" doc:"Dimensions, separated by commas; /api/fields lists them"`
	Metric string `query:"metric" default:"bytes" enum:"bytes,packets,flows" doc:"What to rank by, and to draw"`
	Scope  string `query:"scope" enum:"all,ingress,egress,once,network" default:"all" doc:"As of /api/report"`
}

type topInput struct {
	Range
	Form
	Grouping
	Limit int `query:"limit" default:"10" minimum:"1" maximum:"10000" doc:"Rows at most"`
}

// Top is a ranking: a report in fewer words.
type Top struct {
	By     []string   `json:"by"`
	Metric string     `json:"metric"`
	From   time.Time  `json:"from" doc:"As it was used: ranges are widened to whole minutes or hours"`
	To     time.Time  `json:"to"`
	Rows   []TopRow   `json:"rows"`
	Other  Other      `json:"other" doc:"What the limit left out"`
	Total  query.Sums `json:"total" doc:"Every flow once; less than the sum of the rows where a dimension credits both sides of a flow"`
	Meta   *Meta      `json:"meta"`

	report *Report
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

func (s *Server) top(ctx context.Context, in *topInput) (*Top, error) {
	u := understand(in.Range)
	r := query.Report{By: u.dimensions(in.By), Metric: query.Metric(in.Metric), Limit: in.Limit, Scope: query.Scope(in.Scope)}
	report, err := s.askReport(ctx, "top", u, r, "", in.Range)
	if err != nil {
		return nil, err
	}
	t := &Top{By: report.By, Metric: in.Metric, From: report.From, To: report.To, Rows: []TopRow{}, Total: report.Total.Sums, Meta: report.Meta, report: report}
	for i := range report.Rows {
		t.Rows = append(t.Rows, TopRow{report.Rows[i].Key, report.Rows[i].Label, report.Rows[i].Sums})
	}
	if report.Other != nil {
		t.Other = Other{report.Groups, report.Other.Sums}
	}
	return t, nil
}

func (t *Top) how() *Meta { return t.Meta }

func (t *Top) table() *table {
	table := t.report.table()
	table.name = fileName("top", t.From, t.By)
	return table
}

type seriesInput struct {
	Range
	Form
	Grouping
	Limit int    `query:"limit" default:"8" minimum:"1" maximum:"100" doc:"Series at most; the rest is other"`
	Step  string `query:"step" default:"auto" doc:"Length of a bucket: seconds, a span such as 5m, or auto"`
}

// Series is how something went over time: a report in fewer words.
type Series struct {
	By     []string    `json:"by"`
	Metric string      `json:"metric"`
	Unit   string      `json:"unit" doc:"Of the values"`
	From   time.Time   `json:"from" doc:"As it was used: ranges are widened to whole minutes, hours or steps"`
	To     time.Time   `json:"to"`
	Step   int         `json:"step_seconds"`
	Times  []time.Time `json:"times" doc:"Start of each bucket"`
	Series []Line      `json:"series"`
	Other  *Line       `json:"other" doc:"Everything that the limit left out; null when it left out nothing"`
	Meta   *Meta       `json:"meta"`

	report *Report
}

// Line is one series of a chart.
type Line struct {
	Key    map[string]any `json:"key,omitempty"`
	Label  string         `json:"label"`
	Values []float64      `json:"values" doc:"Mean rate in each bucket. A flow's packets and bytes are spread over its time"`
	Total  query.Sums     `json:"total" doc:"Within the range"`
}

// drawn is what is drawn of a count.
var drawn = map[string]query.Metric{"bytes": query.BPS, "packets": query.PPS, "flows": query.FPS}

func (s *Server) series(ctx context.Context, in *seriesInput) (*Series, error) {
	u := understand(in.Range)
	r := query.Report{By: u.dimensions(in.By), Metric: drawn[in.Metric], Limit: in.Limit, Scope: query.Scope(in.Scope)}
	report, err := s.askReport(ctx, "series", u, r, in.Step, in.Range)
	if err != nil {
		return nil, err
	}
	series := &Series{
		By: report.By, Metric: in.Metric, Unit: report.Unit, From: report.From, To: report.To, Step: report.Step,
		Times: report.Times, Series: []Line{}, Meta: report.Meta, report: report,
	}
	for i := range report.Rows {
		series.Series = append(series.Series, newLine(&report.Rows[i]))
	}
	if report.Other != nil {
		other := newLine(report.Other)
		series.Other = &other
	}
	return series, nil
}

func newLine(r *ReportRow) Line { return Line{r.Key, r.Label, r.Values, r.Sums} }

func (s *Series) how() *Meta { return s.Meta }

func (s *Series) table() *table {
	table := s.report.table()
	table.name = fileName("series", s.From, s.By)
	return table
}

type reportsOutput struct {
	Body struct {
		Reports []StandardReport `json:"reports"`
	}
}

// StandardReport is a report that has a name.
type StandardReport struct {
	Name   string   `json:"name"`
	Title  string   `json:"title"`
	By     []string `json:"by"`
	Metric string   `json:"metric" doc:"Unless another is asked for"`
	Doc    string   `json:"doc" doc:"How to read it"`
}

func (s *Server) reports(context.Context, *struct{}) (*reportsOutput, error) {
	out := &reportsOutput{}
	for _, r := range query.StandardReports() {
		out.Body.Reports = append(out.Body.Reports, StandardReport{r.Name, r.Title, r.By, string(r.Metric), r.Doc})
	}
	return out, nil
}
