package query

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/minamo-flow/minamo/enrich/numbers"
	"github.com/minamo-flow/minamo/flow"
)

// Table groups what flowed within [From, To) and returns the groups that come
// first by Order, which is ByBytes, ByPackets or ByFlows. Unlike Top it counts
// of a flow only what was in the range: packets and bytes spread evenly over
// its time as Series spreads them, the flow itself where it starts. So a table
// is the sum of its series. First and Last of rows are not known.
func (e *Engine) Table(ctx context.Context, src Source, r Request) (*Table, error) {
	q, err := r.cellQuery("a table", 0)
	if err != nil {
		return nil, err
	}
	c, err := e.askCells(ctx, Of(src), q)
	if err != nil {
		return nil, err
	}
	t := &Table{By: r.By, Other: c.other.Sums, Rest: c.rest, Total: c.total.Sums, Stats: c.stats}
	for i := range c.rows {
		t.Rows = append(t.Rows, Row{Key: e.label(r.By, keyOf(r.By, c.rows[i].values)), Sums: c.rows[i].Sums})
	}
	return t, nil
}

// cellQuery is the request as a question about cells.
func (r *Request) cellQuery(what string, step int64) (cellQuery, error) {
	q := cellQuery{
		by: r.By, filters: []*Filter{r.Filter}, raw: r.Raw,
		from: r.From.UnixMilli(), to: r.To.UnixMilli(), step: step, metric: Metric(r.Order), limit: r.Limit,
	}
	switch r.Order {
	case "":
		q.metric = Bytes
	case ByBytes, ByPackets, ByFlows:
	default:
		return q, fmt.Errorf("order %q does not rank %s: expected bytes, packets or flows", r.Order, what)
	}
	if r.From.IsZero() || r.To.IsZero() || q.from >= q.to {
		return q, fmt.Errorf("%s needs a time range that begins before it ends", what)
	}
	return q, nil
}

// cellQuery is a question about what flowed in a range: who had most of it,
// and how it went. Table, Series and Report ask it.
//
// It is answered from cells: a relation of what flowed, by group and, for a
// series, by bucket. Its columns are key1, key2 … (the dimensions), item (what
// the metric counts once each, if it does), bucket (its number from the range's
// beginning, if buckets are asked for), flows, packets, bytes and variance (see
// cell). There can be several cells of the same keys: they add up.
type cellQuery struct {
	by       []Dimension
	filters  []*Filter
	scope    []scopeSpan // which records count, over the whole range and in its order; nil: all
	raw      bool
	from, to int64 // milliseconds
	step     int64 // of a series, milliseconds; 0: none
	metric   Metric
	overhead uint64 // of L2BPS
	slot     int64  // length of the buckets that P95 and Peak are taken of
	limit    int
	wanted   *wantedGroups // nil: those that come first
	rollups  plan
	eras     []numbers.Era // of interfaces' numbers that the question is about
	cuts     []int64       // milliseconds, in order: where those begin and end

	fromFlows bool // not from rollups
	unspread  bool // a flow counts where it ends
}

// wantedGroups are the groups that a question is about.
type wantedGroups struct {
	keys   [][]any // as DuckDB gave them
	ranked bool    // besides, those that come first
}

// cell is what is counted of a group, or of a group in a bucket.
type cell struct {
	Sums

	// variance is that of Packets as an estimate: of a flow whose packets were
	// sampled one in rate it is its packets, scaled, times rate - 1. So it is
	// zero where every packet was counted.
	variance uint64
	extra    uint64 // different items; or bytes of the P95 or Peak bucket
}

func (c *cell) add(o cell) {
	c.Sums.add(o.Sums)
	c.variance = saturatingAdd(c.variance, o.variance)
}

// cellRow is a group.
type cellRow struct {
	values []any // the key
	cell
	series []cell // by bucket; nil without a series
}

// cellAnswer is what askCells found.
type cellAnswer struct {
	rows         []cellRow // the first first
	other, total cellRow
	rest         uint64 // groups in other
	hidden       int64  // of those, cells that rollups do not keep apart
	missing      cell   // what a group may have in them, at most
	damaged      int    // files that could not be read
	stats        Stats
}

// buckets is how many the series has.
func (q *cellQuery) buckets() int64 {
	if q.step == 0 {
		return 0
	}
	return (q.to-q.from-1)/q.step + 1
}

// times are the beginnings of the buckets.
func (q *cellQuery) times() (times []time.Time) {
	for i := range q.buckets() {
		times = append(times, time.UnixMilli(q.from+i*q.step).UTC())
	}
	return times
}

// twice tells whether flows can count for two groups.
func (q *cellQuery) twice() bool {
	return slices.ContainsFunc(q.by, func(d Dimension) bool { return d.bothSides() })
}

// askCells answers a question about cells.
func (e *Engine) askCells(ctx context.Context, archive Archive, q cellQuery) (*cellAnswer, error) {
	buckets := q.buckets()
	if buckets > maxBuckets {
		return nil, fmt.Errorf("a step of %v makes %d buckets of the time range; at most %d are possible", time.Duration(q.step)*time.Millisecond, buckets, maxBuckets)
	}
	a := &cellAnswer{}
	found := map[int64]*cellRow{} // by rank
	get := func(rank int64) *cellRow {
		if found[rank] == nil {
			found[rank] = &cellRow{series: make([]cell, buckets)}
		}
		return found[rank]
	}
	a.other.series, a.total.series = make([]cell, buckets), make([]cell, buckets)
	found[0] = &a.other
	var groups, ranked int64
	var inGroups, hidden cell
	values := make([]any, len(q.by))
	if !q.fromFlows {
		if err := q.renumber(archive, e.numbered()); err != nil {
			return nil, err
		}
		q.rollups = q.plan()
	}
	src, err := archive.Pin(time.UnixMilli(q.from), time.UnixMilli(q.to), q.rollups.tables()...)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	reading, done, err := narrow(ctx, src, time.UnixMilli(q.from), time.UnixMilli(q.to), q.filters...)
	if err != nil {
		return nil, err
	}
	defer done()
	s := q.statement(src)
	if spans := q.rollups.again; spans != nil {
		from, to := time.UnixMilli(spans[0].from), time.UnixMilli(spans[len(spans)-1].to)
		again, err := archive.Pin(from, to)
		if err != nil {
			return nil, err
		}
		defer again.Close()
		var done func()
		if s.again, done, err = narrow(ctx, again, from, to, q.filters...); err != nil {
			return nil, err
		}
		defer done()
	}
	a.stats, err = e.answer(ctx, s, reading, q.raw, func(rows *sql.Rows) error {
		var part, rank int64
		var bucket sql.NullInt64
		var c cell
		target := []any{&part, &rank, &bucket}
		for i := range values {
			target = append(target, &values[i])
		}
		if err := rows.Scan(append(target, &c.Flows, &c.Packets, &c.Bytes, &c.variance, &c.extra)...); err != nil {
			return err
		}
		switch part {
		case partRow:
			row := get(rank)
			row.cell, row.values = c, slices.Clone(values)
			ranked = max(ranked, rank)
		case partGroups:
			groups, inGroups = rank, c
		case partOther:
			a.other.extra = c.extra
		case partRest:
			a.hidden, hidden = rank, c
		case partMissing:
			a.missing = c
		case partSeries:
			get(rank).series[bucket.Int64] = c
		case partTotal:
			if bucket.Valid {
				a.total.series[bucket.Int64] = c
			} else {
				a.total.cell = c
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	a.stats.Tables = q.rollups.answered(src)
	if d, ok := src.(interface{ Damaged() int }); ok {
		a.damaged = d.Damaged()
	}
	for _, table := range q.rollups.tables() {
		a.stats.Files += len(src.Table(table))
	}
	groups += a.hidden
	inGroups.add(hidden)
	a.other.Sums, a.other.variance = inGroups.Sums, inGroups.variance
	present := int64(0)
	for rank := int64(1); rank <= ranked; rank++ {
		row := *found[rank]
		a.rows = append(a.rows, row)
		a.other.Sums.subtract(row.Sums)
		a.other.variance -= min(a.other.variance, row.variance)
		if row.Sums != (Sums{}) {
			present++
		}
	}
	a.rest = uint64(groups - present)

	switch {
	case q.twice(): // the groups are more than the total
		q.by, q.limit, q.wanted = nil, 0, nil
		whole, err := e.askCells(ctx, archive, q)
		if err != nil {
			return nil, err
		}
		a.total = whole.total
		a.stats.include(whole.stats)
	case len(q.by) == 0:
		if len(a.rows) > 0 {
			a.total = a.rows[0]
		}
	default:
		extra := a.total.extra
		a.total.cell, a.total.extra = inGroups, extra
		for _, row := range found {
			for i := range row.series {
				a.total.series[i].add(row.series[i])
			}
		}
	}
	return a, nil
}

// Parts of the statement's result.
const (
	partRow    = 1 // a group: rank, key, sums
	partGroups = 2 // all groups: how many in the place of rank, their sums
	partOther  = 3 // what does not follow from the others of the groups that are no rows
	partSeries = 4 // rank (0 is all others), bucket, sums

	partRest    = 5 // cells that rollups do not keep apart: how many in the place of rank, their sums
	partMissing = 6 // what a group may have in them at most

	partTotal = 7 // what does not follow from the others of all, or of a bucket of all
)

// statement reads the cells to rank the groups and, for a series, once more by
// bucket.
func (q *cellQuery) statement(src Pinned) statement {
	keys := keyNames(len(q.by))
	m := q.metric.row()
	apart := "cells" // those that are of a group
	if q.rollups.faces != nil && len(keys) > 0 {
		apart = "cells WHERE rest = 0"
	}
	with := q.rollups.relations(src, q.eras)
	if again := q.rollups.again; again != nil {
		with = append(with, "selected_again AS NOT MATERIALIZED ("+q.selected("flows_again", again[0].from, again[len(again)-1].to)+")")
	}
	s := statement{with: append(with,
		"selected AS NOT MATERIALIZED ("+q.selected("flows", q.from, q.to)+")",
		"cells AS NOT MATERIALIZED ("+q.cells(q.slot)+")",
		"groups AS MATERIALIZED ("+q.grouped(apart, keys)+"\nHAVING flows > 0 OR packets > 0 OR bytes > 0)",
	)}
	s.with = append(s.with, q.ranked(keys)...)

	sums := "flows, packets, bytes, variance, extra"
	totals := "total(flows), total(packets), total(bytes), total(variance), 0::UBIGINT"
	s.body = fmt.Sprintf("SELECT %d AS part, rank, NULL::BIGINT AS bucket, %s%s FROM ranked\n", partRow, list(keys, ""), sums) +
		fmt.Sprintf("UNION ALL SELECT %d, count(*), %s%s FROM groups", partGroups, nulls("NULL", len(keys)), totals)
	if q.rollups.faces != nil {
		worst := "0" // what a bucket may lack
		if q.slot > 0 {
			worst = "(SELECT coalesce(max(lacking), 0) FROM (SELECT total(missing_bytes) AS lacking FROM cells GROUP BY bucket))"
		}
		hidden := "cells WHERE rest > 0"
		if len(keys) == 0 {
			hidden += " AND false" // they are in the one group
		}
		s.body += fmt.Sprintf("\nUNION ALL SELECT %d, coalesce(sum(rest), 0)::BIGINT, %s%s FROM %s", partRest, nulls("NULL", len(keys)), totals, hidden)
		s.body += fmt.Sprintf("\nUNION ALL SELECT %d, 0, %stotal(missing_flows), total(missing_packets), total(missing_bytes), 0, %s FROM cells", partMissing, nulls("NULL", len(keys)), worst)
	}
	if len(keys) == 0 {
		if q.step > 0 {
			s.with = append(s.with, "placed AS NOT MATERIALIZED (SELECT 1 AS rank, * FROM ("+q.cells(q.step)+"))")
		}
	} else {
		same := sameKeys(keys, "c", "ranked")
		rank := "coalesce(rank, 0)"
		if q.rollups.faces != nil {
			rank = "CASE WHEN rest > 0 THEN 0 ELSE coalesce(rank, 0) END"
		}
		if m.item != "" || q.slot > 0 {
			other := same
			if q.rollups.faces != nil {
				other += " AND c.rest = 0" // what is not kept apart is of nobody
			}
			s.with = append(s.with, "others AS NOT MATERIALIZED (SELECT c.* FROM cells AS c ANTI JOIN ranked ON "+other+")")
			s.body += fmt.Sprintf("\nUNION ALL SELECT %d, 0, %s%s FROM (%s)", partOther, nulls("NULL", len(keys)), sums, q.grouped("others", nil))
			if !q.twice() {
				s.body += fmt.Sprintf("\nUNION ALL SELECT %d, 0, %s%s FROM (%s)", partTotal, nulls("NULL", len(keys)), sums, q.grouped("cells", nil))
			}
		}
		if q.step > 0 {
			s.with = append(s.with, "placed AS NOT MATERIALIZED (SELECT "+rank+" AS rank, c.* FROM ("+q.cells(q.step)+") AS c LEFT JOIN ranked ON "+same+")")
		}
	}
	if q.step > 0 {
		plain := *q
		plain.slot = 0
		s.body += fmt.Sprintf("\nUNION ALL SELECT %d, rank, bucket, %s%s FROM (%s)", partSeries,
			nulls("", len(keys))[2:], sums, plain.grouped("placed", []string{"rank", "bucket"}))
		if len(keys) > 0 && m.item != "" && !q.twice() {
			s.body += fmt.Sprintf("\nUNION ALL SELECT %d, 0, bucket, %s%s FROM (%s)", partTotal,
				nulls("", len(keys))[2:], sums, q.grouped("placed", []string{"bucket"}))
		}
	}
	return s
}

// grouped sums up the cells of a relation by columns.
func (q *cellQuery) grouped(relation string, columns []string) string {
	sums := "total(flows) AS flows, total(packets) AS packets, total(bytes) AS bytes, total(variance) AS variance"
	if q.slot == 0 {
		extra := "0::UBIGINT"
		if q.metric.row().item != "" {
			extra = "count(DISTINCT item) FILTER (flows > 0 OR packets > 0 OR bytes > 0)::UBIGINT"
		}
		return "SELECT " + list(columns, "") + sums + ", " + extra + " AS extra FROM " + relation + groupBy(columns)
	}
	// Buckets without traffic are not there, and count as zero: the nearest
	// rank from below is the nth greatest.
	n := int64(1)
	if q.metric == P95 {
		slots := (q.to-q.from-1)/q.slot + 1
		n = slots - (95*slots+99)/100 + 1
	}
	inner := "SELECT " + list(columns, "") + "bucket, " + sums + " FROM " + relation + groupBy(append(slices.Clone(columns), "bucket"))
	return "SELECT " + list(columns, "") + sums + fmt.Sprintf(", coalesce(max(bytes, %d)[%d], 0)::UBIGINT AS extra FROM (%s)", n, n, inner) + groupBy(columns)
}

// ranked defines the groups that are rows, with their rank from 1.
func (q *cellQuery) ranked(keys []string) []string {
	order := q.metric.row().rank
	if strings.Contains(order, "%d") {
		order = fmt.Sprintf(order, q.overhead)
	}
	order = "ORDER BY " + strings.Join(append([]string{order + " DESC"}, keys...), ", ")
	// The heaviest are chosen before they are numbered: to number all would sort all.
	chosen := "groups"
	if q.limit > 0 {
		chosen = "(SELECT * FROM groups " + order + limit(q.limit) + ")"
	}
	first := "SELECT *, row_number() OVER (" + order + ") AS rank FROM " + chosen
	if q.wanted == nil {
		return []string{"ranked AS MATERIALIZED (" + first + ")"}
	}
	wanted := "(SELECT " + list(keys, "") + "0 AS rank FROM groups LIMIT 0)" // gives the columns their types
	for i, key := range q.wanted.keys {
		wanted += "\nUNION ALL SELECT "
		for _, v := range key {
			wanted += keyLiteral(v) + ", "
		}
		wanted += fmt.Sprint(i + 1)
	}
	ranked := "SELECT " + list(keys, "wanted.")
	for _, sum := range []string{"flows", "packets", "bytes", "variance", "extra"} {
		ranked += fmt.Sprintf("coalesce(%[1]s, 0) AS %[1]s, ", sum)
	}
	ranked += "wanted.rank FROM wanted LEFT JOIN groups ON " + sameKeys(keys, "wanted", "groups")
	if q.wanted.ranked {
		ranked += "\nUNION ALL SELECT " + list(keys, "f.") + fmt.Sprintf("flows, packets, bytes, variance, extra, %d + row_number() OVER (ORDER BY f.rank) FROM (%s) AS f ANTI JOIN wanted ON %s",
			len(q.wanted.keys), first, sameKeys(keys, "f", "wanted"))
	}
	return []string{"wanted AS MATERIALIZED (" + wanted + ")", "ranked AS MATERIALIZED (" + ranked + ")"}
}

func sameKeys(keys []string, a, b string) string {
	same := make([]string, len(keys))
	for i, k := range keys {
		same[i] = a + "." + k + " IS NOT DISTINCT FROM " + b + "." + k
	}
	return strings.Join(same, " AND ")
}

// keyLiteral is the SQL of a value that DuckDB gave.
func keyLiteral(v any) string {
	switch v := v.(type) {
	case nil:
		return "NULL"
	case []byte:
		return addrLiteral(flow.Addr(v))
	case string:
		return textLiteral(v)
	}
	return fmt.Sprint(v)
}

// cells is the SQL of the relation of cells, with buckets of length step, or
// without buckets where it is 0.
func (q *cellQuery) cells(step int64) string {
	raw := q.rawCells("selected", q.from, q.to, step, "")
	if len(q.scope) > 1 {
		parts := make([]string, len(q.scope))
		for i, span := range q.scope {
			from := "selected"
			if q.rollups.again != nil && span.sql != "" {
				from = "selected_again"
			}
			parts[i] = q.rawCells(from, span.from, span.to, step, fmt.Sprintf(" AND counts%d", i))
		}
		raw = strings.Join(parts, "\nUNION ALL\n")
	}
	if q.rollups.faces == nil {
		return raw
	}
	raw = "SELECT *, 0::UBIGINT AS rest, 0::UBIGINT AS missing_flows, 0::UBIGINT AS missing_packets, 0::UBIGINT AS missing_bytes FROM (" + raw + ")"
	return strings.Join(append([]string{raw}, q.rollups.cells(q, step)...), "\nUNION ALL BY NAME ")
}

// selected is the SQL of the flows of a relation that may have something in a
// range: key1 …, item, packets, bytes, variance, their start s and end e, and
// of several spans, whether they count in each.
func (q *cellQuery) selected(flows string, from, to int64) string {
	terms := []string{fmt.Sprintf(`"start" < %s AND "end" >= %s`, timeLiteral(time.UnixMilli(to)), timeLiteral(time.UnixMilli(from)))}
	terms = append(terms, q.conditions()...)
	item := ""
	if m := q.metric.row(); m.item != "" {
		item = m.item + " AS item, "
	}
	switch len(q.scope) {
	case 0:
	case 1:
		terms = append(terms, q.scope[0].condition())
	default: // a flow may count for a part of its time
		for i, span := range q.scope {
			item += fmt.Sprintf("(%s) AS counts%d, ", span.condition(), i)
		}
	}
	variance := "0::UBIGINT"
	if !q.raw {
		variance = "scaled(packets, greatest(sampling_rate, 1::UINTEGER) - 1::UINTEGER)"
	}
	begin := `epoch_ms("start")`
	if q.unspread {
		begin = `greatest(epoch_ms("start"), epoch_ms("end"))`
	}
	return selectedFrom(flows+" WHERE "+strings.Join(terms, " AND "), Request{By: q.by},
		item+"packets, bytes, "+variance+" AS variance, "+begin+` AS s, greatest(epoch_ms("start"), epoch_ms("end")) AS e`)
}

// rawCells is the SQL of cells made of a relation as selected makes it: of what
// flowed from from to to, which are within the range, of flows of which holds what is
// given. A flow gives a cell of its own to each bucket that it was in.
func (q *cellQuery) rawCells(selected string, from, to, step int64, holds string) string {
	keys := list(keyNames(len(q.by)), "")
	if q.metric.row().item != "" {
		keys += "item, "
	}
	// Of each counter, what is in the range and in the bucket. Most flows are
	// wholly within, and need no spreading.
	var within, part []string
	for _, counter := range []string{"packets", "bytes", "variance"} {
		within = append(within, fmt.Sprintf("CASE WHEN s >= %[3]d AND e <= %[2]d THEN %[1]s ELSE spread(%[1]s, s, e, %[2]d) - spread(%[1]s, s, e, %[3]d) END AS %[1]s", counter, to, from))
		part = append(part, fmt.Sprintf("spread(%[1]s, s, e, least(%[2]d + (bucket + 1) * %[3]d, %[4]d)) - spread(%[1]s, s, e, greatest(%[2]d + bucket * %[3]d, %[5]d)) AS %[1]s",
			counter, q.from, step, to, from))
	}
	// A flow that ended just when the range begins has nothing in it.
	inside := fmt.Sprintf("s < %d AND (e > %d OR s >= %d)%s", to, from, from, holds)
	if step == 0 {
		return fmt.Sprintf("SELECT %s(s >= %d)::UBIGINT AS flows, %s FROM %s WHERE %s", keys, from, strings.Join(within, ", "), selected, inside)
	}
	// Most flows are in one bucket, and cheap.
	placed := fmt.Sprintf(`(SELECT *, (greatest(s, %[1]d) - %[2]d) // %[3]d AS first_bucket,
		(CASE WHEN e > s THEN least(e, %[4]d) - 1 ELSE s END - %[2]d) // %[3]d AS last_bucket FROM %[6]s WHERE %[5]s)`, from, q.from, step, to, inside, selected)
	return fmt.Sprintf(`SELECT %sfirst_bucket AS bucket, (s >= %d)::UBIGINT AS flows, %s FROM %s WHERE first_bucket = last_bucket
	UNION ALL
	SELECT %sbucket, (bucket = first_bucket AND s >= %d)::UBIGINT, %s
	FROM (SELECT *, unnest(range(first_bucket, last_bucket + 1)) AS bucket FROM %s WHERE first_bucket < last_bucket)`,
		keys, from, strings.Join(within, ", "), placed,
		keys, from, strings.Join(part, ", "), placed)
}
