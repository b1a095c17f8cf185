package query

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/minamo-flow/minamo/rollup"
)

// Report is a question about a range of time: who, how much, how it went.
// Unlike a Request it counts only what flowed within the range.
type Report struct {
	// From and To are the range [From, To). From five minutes on they are
	// rounded to whole minutes, from two days on to whole hours, and for P95 and
	// Peak to whole buckets; where only hours or days are still kept, to those,
	// and Step with them. The answer has what was used. A zero time stands
	// for the earliest or the latest flow.
	From, To time.Time

	By      []Dimension // what to group by; none gives one row, of everything
	Metric  Metric      // ranks the rows, and is what a series draws; "" is Bytes
	Filters []*Filter   // all must match
	Limit   int         // rows or series at most, the rest is Other; 0 is no limit

	Step     time.Duration // length of a series' buckets, whole milliseconds; 0: a table only
	Compare  time.Duration // also the same range so much earlier; 0: not
	Mirror   bool          // also the other direction: source and destination of filters and dimensions swapped
	Scope    Scope         // which records of a router count
	Raw      bool          // packets and bytes as exported, not multiplied by the sampling rate
	Overhead uint64        // bytes a packet that L2BPS adds; 0 is EthernetOverhead

	// FromFlows reads the flows themselves and no rollups: slower, and exact
	// as far as flows are still kept.
	FromFlows bool

	// Unspread counts a flow whole in the moment it ended, as tools do that draw
	// records at their times: to show what that makes of a chart. It reads the flows.
	Unspread bool
}

// EthernetOverhead is what Ethernet adds to a packet: header and checksum, as
// interface counters of routers have it (SNMP's ifHCInOctets).
const EthernetOverhead = 18

// Scope tells which records count where a router exports a packet twice, as
// it comes in and as it goes out.
type Scope string

const (
	// ScopeAll counts every record.
	ScopeAll Scope = "all"

	// ScopeIngress counts records metered where packets come in, and those
	// that do not say: routers that export no direction meter there.
	ScopeIngress Scope = "ingress"

	// ScopeEgress counts records metered where packets go out.
	ScopeEgress Scope = "egress"

	// ScopeOnce counts a byte once per router: an egress record does not count
	// where its input interface exports ingress records in the same range.
	ScopeOnce Scope = "once"

	// ScopeNetwork counts a byte once for the whole network, where it enters it.
	// It takes roles of interfaces (Names) to tell where that is.
	ScopeNetwork Scope = "network"
)

// Scopes are all scopes.
var Scopes = []Scope{ScopeAll, ScopeIngress, ScopeEgress, ScopeOnce, ScopeNetwork}

// ParseScope returns the Scope called name; "" is ScopeAll.
func ParseScope(name string) (Scope, error) {
	switch s := Scope(name); {
	case s == "":
		return ScopeAll, nil
	case slices.Contains(Scopes, s):
		return s, nil
	}
	return "", fmt.Errorf("scope %q is unknown: expected all, ingress, egress, once or network", name)
}

// Answer is the answer to a Report.
type Answer struct {
	Report // as it was asked, with From and To as used and the Metric and Scope that held

	// Note says why the range is shorter than what was asked, or what a Scope
	// could not know; "" where there is no such thing.
	Note string

	Times []time.Time // beginnings of the buckets of a series; the last one may end early, at To

	// Rows are the groups with most of the metric. Those of Earlier and Mirror
	// are the same groups in the same order, so that Rows[i] and
	// Earlier.Rows[i] belong together, zero where there was nothing.
	Rows  []ReportRow
	Other *ReportRow // the groups beyond Limit together; nil where there are none
	Rest  uint64     // how many groups that is

	// Total counts every flow once. Rows can exceed it together where a
	// dimension such as ip credits both sides of a flow.
	Total ReportRow

	// Left are, in a comparison, the groups that were among the first then
	// and are not now.
	Left []ReportRow

	// Exact is whether rows are what the flows add up to. Where tables of cells
	// answered that keep only the heaviest of many, it is false, and a row may
	// lack as much as Missing, in the unit of the metric (0 of PacketSize, of which
	// that cannot be told).
	Exact   bool
	Missing float64
	Damaged int // files that could not be read

	Earlier *Answer // the range before, where Compare asks for it
	Mirror  *Answer // the other direction, where Mirror asks for it
	Stats   Stats   // of all queries it took
}

// ReportRow is one group.
type ReportRow struct {
	Key []Value // one for each dimension; nil of Other and Total
	Sums
	Value float64 // of the metric, in its unit
	Share float64 // of the total's value, 0 to 1; 0 where the metric is not Additive

	// SamplingError is how far what the metric counts may be off because only some
	// packets were looked at: half the width of the 95 % interval as a part of the
	// value (0.05 is ±5 %). Packets, and flows, have that of packets; metrics of
	// bytes have one that is greater, for packets differ in length: as much as can
	// be with that mean length. P95 and Peak have that of all bytes; that of their
	// bucket is greater. 0 where every packet was counted.
	SamplingError float64

	Values []float64 // of the metric in each bucket; nil without a series
	Change *Change   // since the earlier range; nil without a comparison, and of Other where the metric is not Additive

	values []any // the key as DuckDB gave it
}

// Label names the row for people.
func (r *ReportRow) Label() string { return label(r.Key) }

// KeyMap returns the key of a row by the names of the dimensions.
func (a *Answer) KeyMap(r *ReportRow) map[string]Value { return keyMap(a.By, r.Key) }

// Change compares a row with what it was in the earlier range.
type Change struct {
	Earlier float64 // the value then
	By      float64 // the value now less the value then
	Part    float64 // By as a part of Earlier (0.1 is 10 % more); 0 where Earlier is 0
	New     bool    // there was nothing then
	Gone    bool    // there is nothing now
}

// Report answers a report, from rollups where they can tell.
func (e *Engine) Report(ctx context.Context, archive Archive, r Report) (*Answer, error) {
	if err := e.prepare(ctx, archive, &r); err != nil {
		return nil, err
	}
	return e.report(ctx, archive, r, nil)
}

// prepare checks a report and completes it.
func (e *Engine) prepare(ctx context.Context, archive Archive, r *Report) error {
	var err error
	if r.Metric, err = ParseMetric(string(r.Metric)); err != nil {
		return err
	}
	if r.Scope, err = ParseScope(string(r.Scope)); err != nil {
		return err
	}
	if r.Overhead == 0 {
		r.Overhead = EthernetOverhead
	}
	if r.Step < 0 || r.Compare < 0 || r.Limit < 0 {
		return fmt.Errorf("a report's step, comparison and limit cannot be negative")
	}
	if r.From.IsZero() || r.To.IsZero() {
		first, last, ok, err := e.span(ctx, archive)
		if err != nil {
			return err
		}
		if !ok {
			first, last = time.Unix(0, 0), time.Unix(0, 0)
		}
		if r.From.IsZero() {
			r.From = first.Truncate(time.Minute)
		}
		if r.To.IsZero() {
			r.To = later(last, r.From).Truncate(time.Minute).Add(time.Minute)
		}
	}
	r.From, r.To = r.From.UTC().Truncate(time.Millisecond), r.To.UTC().Truncate(time.Millisecond)
	if !r.From.Before(r.To) {
		return fmt.Errorf("a report needs a time range that begins before it ends")
	}
	r.From, r.To = aligned(r.From, r.To, r.bucket())
	return r.coarsen(archive)
}

// coarsen makes the range and the buckets of a report such as the archive still
// tells of: whole hours or days, where minutes are no longer kept.
func (r *Report) coarsen(archive Archive) error {
	k, err := kept(archive)
	if err != nil {
		return err
	}
	level := finest(k, r.From.Add(-r.Compare))
	if level == rollup.Minute {
		return nil
	}
	unit := level.Step()
	if r.Compare%unit != 0 {
		return fmt.Errorf("of that time only sums by %s are kept: compare with a whole number of them", level)
	}
	if r.Step > 0 || r.bucket() > 0 {
		r.Step = (max(r.Step, 1) + unit - 1) / unit * unit
	}
	r.From, r.To = r.From.Truncate(unit), r.To.Add(unit-1).Truncate(unit)
	return nil
}

// onlyFlows shortens the range of a question that only flows can answer from a
// time on to that of which they are all kept, and returns a note that says so.
func (r *Report) onlyFlows(archive Archive, first time.Time) (note string, err error) {
	k, err := kept(archive)
	if err != nil {
		return "", err
	}
	switch {
	case k.NoFlows || !k.Flows.Before(r.To):
		since := "none are left"
		if !k.NoFlows {
			since = "those before " + k.Flows.UTC().Format(time.RFC3339) + " are deleted"
		}
		return "", &NotKeptError{"only flows can tell that, and " + since + ": ask for a later time, or for what rollups tell (docs/rollups.md)"}
	case !k.Flows.After(first):
		return "", nil
	}
	unit := r.Step
	if unit == 0 {
		unit = max(r.bucket(), time.Minute)
	}
	missing := k.Flows.Sub(r.From)
	r.From = r.From.Add((missing + unit - 1) / unit * unit)
	if !r.From.Before(r.To) {
		return "", &NotKeptError{"only flows can tell that, and those before " + k.Flows.UTC().Format(time.RFC3339) + " are deleted: ask for a later time, or in shorter steps"}
	}
	return "Only flows can tell that, and they are kept from " + k.Flows.UTC().Format(time.RFC3339) + " on: nothing before that is counted.", nil
}

// NotKeptError says that what a report asks for is no longer kept.
type NotKeptError struct{ problem string }

func (e *NotKeptError) Error() string { return e.problem }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// bucket is the length of the buckets that P95 and Peak are taken of; 0 for
// other metrics.
func (r *Report) bucket() time.Duration {
	switch {
	case r.Metric != P95 && r.Metric != Peak:
		return 0
	case r.Step > 0:
		return r.Step
	}
	return 5 * time.Minute
}

// aligned rounds a range as Report says.
func aligned(from, to time.Time, bucket time.Duration) (time.Time, time.Time) {
	unit := bucket
	if unit == 0 {
		switch span := to.Sub(from); {
		case span > 48*time.Hour:
			unit = time.Hour
		case span >= 5*time.Minute:
			unit = time.Minute
		default:
			return from, to
		}
	}
	from, to = from.Round(unit), to.Round(unit)
	if !from.Before(to) {
		to = from.Add(unit)
	}
	return from, to
}

// report answers a report that is prepared. With wanted, its rows are those
// groups.
func (e *Engine) report(ctx context.Context, archive Archive, r Report, wanted *wantedGroups) (*Answer, error) {
	scope, err := e.scope(ctx, archive, &r)
	if err != nil {
		return nil, err
	}
	q := cellQuery{
		by: r.By, filters: r.Filters, scope: scope.spans, raw: r.Raw,
		from: r.From.UnixMilli(), to: r.To.UnixMilli(), step: r.Step.Milliseconds(),
		metric: r.Metric, overhead: r.Overhead, slot: r.bucket().Milliseconds(),
		limit: r.Limit, wanted: wanted, fromFlows: r.FromFlows || r.Unspread, unspread: r.Unspread,
	}
	var note string
	first, needed := r.From, q.fromFlows // from when on flows are needed
	if p := q.plan(); p.faces == nil {
		needed = true
	} else if p.again != nil && !needed {
		first, needed = time.UnixMilli(p.again[0].from), true
	}
	if needed {
		if note, err = r.onlyFlows(archive, first); err != nil {
			return nil, err
		}
		q.from = r.From.UnixMilli()
		q.scope = clipped(q.scope, q.from)
	}
	c, err := e.askCells(ctx, archive, q)
	if err != nil {
		return nil, err
	}
	a := &Answer{Report: r, Note: strings.TrimSpace(scope.note + " " + note), Times: q.times(), Rest: c.rest, Exact: c.hidden == 0 && c.missing.Sums == Sums{} && c.damaged == 0, Damaged: c.damaged, Stats: scope.stats}
	if r.Metric != PacketSize {
		a.Missing = a.row(&cellRow{cell: c.missing}).Value
	}
	a.Stats.include(c.stats)
	whole := a.row(&c.total).Value
	share := func(c *cellRow) ReportRow {
		row := a.row(c)
		if r.Metric.Additive() && whole > 0 {
			row.Share = row.Value / whole
		}
		return row
	}
	a.Total = share(&c.total)
	for i := range c.rows {
		row := share(&c.rows[i])
		row.Key = e.label(r.By, keyOf(r.By, row.values))
		a.Rows = append(a.Rows, row)
	}
	if c.rest > 0 {
		other := share(&c.other)
		a.Other = &other
	}
	if r.Compare > 0 {
		if err := e.compare(ctx, archive, a, wanted == nil); err != nil {
			return nil, err
		}
	}
	if r.Mirror {
		if err := e.mirror(ctx, archive, a); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// row makes a row of a group, but for its key and its share.
func (a *Answer) row(c *cellRow) ReportRow {
	row := ReportRow{Sums: c.Sums, values: c.values}
	row.Value = a.Metric.of(c.cell, &a.Report, a.To.Sub(a.From))
	if c.Packets > 0 {
		row.SamplingError = 1.96 * math.Sqrt(float64(c.variance)) / float64(c.Packets) * a.Metric.spread(c.Sums)
	}
	for i, cell := range c.series {
		end := a.Times[i].Add(a.Step)
		if end.After(a.To) {
			end = a.To
		}
		row.Values = append(row.Values, a.Metric.drawn().of(cell, &a.Report, end.Sub(a.Times[i])))
	}
	return row
}

// compare asks for the earlier range, too.
func (e *Engine) compare(ctx context.Context, archive Archive, a *Answer, ranked bool) error {
	r := a.Report
	r.Compare, r.Mirror = 0, false
	before := r
	before.From, before.To = r.From.Add(-a.Compare), r.To.Add(-a.Compare)
	var err error
	if a.Earlier, err = e.report(ctx, archive, before, a.groups(ranked)); err != nil {
		return err
	}
	if a.Earlier.From != before.From {
		return &NotKeptError{"the earlier range is no longer kept as far as this question needs it: " + a.Earlier.Note}
	}
	a.Stats.include(a.Earlier.Stats)
	a.Earlier.complete(a)
	then := a.Earlier.Rows
	for i := range a.Rows {
		a.Rows[i].Change = changed(&a.Rows[i], &then[i])
	}
	a.Total.Change = changed(&a.Total, &a.Earlier.Total)
	then = then[len(a.Rows):]
	if a.Other != nil && a.Metric.Additive() {
		var rest ReportRow // what was not of the rows
		if a.Earlier.Other != nil {
			rest.Sums, rest.Value = a.Earlier.Other.Sums, a.Earlier.Other.Value
		}
		for _, row := range then {
			rest.Sums.add(row.Sums)
			rest.Value += row.Value
		}
		a.Other.Change = changed(a.Other, &rest)
	}
	if len(then) == 0 {
		return nil
	}
	now, err := e.report(ctx, archive, r, (&Answer{Report: r, Rows: then}).groups(false))
	if err != nil {
		return err
	}
	a.Stats.include(now.Stats)
	a.Left = now.Rows
	for i := range a.Left {
		a.Left[i].Change = changed(&a.Left[i], &then[i])
	}
	return nil
}

// changed compares a row with the same one of an earlier range.
func changed(now, then *ReportRow) *Change {
	c := &Change{Earlier: then.Value, By: now.Value - then.Value, New: then.Sums == Sums{}, Gone: now.Sums == Sums{}}
	if then.Value != 0 {
		c.Part = c.By / then.Value
	}
	return c
}

// mirror asks for the other direction, too.
func (e *Engine) mirror(ctx context.Context, archive Archive, a *Answer) error {
	r := a.Report
	r.Mirror = false
	r.By = make([]Dimension, len(a.By))
	for i, d := range a.By {
		r.By[i] = d.Swapped()
	}
	r.Filters = make([]*Filter, len(a.Filters))
	for i, f := range a.Filters {
		r.Filters[i] = f.Swapped()
	}
	var err error
	if a.Mirror, err = e.report(ctx, archive, r, a.groups(false)); err != nil {
		return err
	}
	a.Stats.include(a.Mirror.Stats)
	a.Mirror.complete(a)
	return nil
}

// complete gives an answer without dimensions, which has no row where there
// was nothing, the one row that the other answer has.
func (a *Answer) complete(other *Answer) {
	if len(a.By) == 0 && len(a.Rows) < len(other.Rows) {
		a.Rows = []ReportRow{{Values: make([]float64, len(a.Times))}}
	}
}

// groups are those of the rows. With ranked, those that come first by
// themselves are wanted beside.
func (a *Answer) groups(ranked bool) *wantedGroups {
	if len(a.By) == 0 {
		return nil
	}
	w := &wantedGroups{ranked: ranked}
	for _, row := range a.Rows {
		w.keys = append(w.keys, row.values)
	}
	return w
}

// include adds what a further query cost.
func (s *Stats) include(o Stats) {
	s.Files, s.Rows = max(s.Files, o.Files), max(s.Rows, o.Rows)
	s.Duration += o.Duration
	for _, t := range o.Tables {
		if !slices.Contains(s.Tables, t) {
			s.Tables = append(s.Tables, t)
		}
	}
	if s.SQL != "" && o.SQL != "" {
		s.SQL += ";\n\n"
	}
	s.SQL += o.SQL
}
