package query

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/verify/counting"
)

// ErrNoRoles says that nobody knows where the network's boundary is.
var ErrNoRoles = errors.New("the scope network counts what comes in by interfaces at the network's boundary, and no interface has a role: give them roles in the settings, or by PUT /api/interfaces/roles (docs/counting.md)")

// scopeSpan is a part of a report's range, and the SQL condition of flows that
// count in it; "" is all.
type scopeSpan struct {
	from, to int64 // milliseconds
	sql      string
}

func (s *scopeSpan) condition() string {
	if s.sql == "" {
		return "true"
	}
	return s.sql
}

// Conditions of flows by where they were metered.
const (
	meteredEgress = "direction IS NOT DISTINCT FROM 1"
	notEgress     = "direction IS DISTINCT FROM 1"
)

// clipped leaves of spans what is not before a time.
func clipped(spans []scopeSpan, from int64) (list []scopeSpan) {
	for _, s := range spans {
		if s.from = max(s.from, from); s.from < s.to {
			list = append(list, s)
		}
	}
	return list
}

// scopeAnswer is what a scope means for a range.
type scopeAnswer struct {
	spans []scopeSpan // nil: everything counts
	note  string
	stats Stats
}

// whole is a scope of one condition.
func (r *Report) whole(sql string) []scopeSpan {
	if sql == "" {
		return nil
	}
	return []scopeSpan{{r.From.UnixMilli(), r.To.UnixMilli(), sql}}
}

// scope finds what the Scope of a report that is prepared means for its range.
func (e *Engine) scope(ctx context.Context, archive Archive, r *Report) (a scopeAnswer, err error) {
	switch r.Scope {
	case ScopeIngress:
		a.spans = r.whole(notEgress)
		return a, nil
	case ScopeEgress:
		a.spans = r.whole(meteredEgress)
		return a, nil
	case ScopeOnce, ScopeNetwork:
	default:
		return a, nil
	}
	var sums []counting.Sum
	if sums, a.stats, err = e.coverage(ctx, archive, r); err != nil {
		return a, err
	}
	var rule counting.Rule
	if r.Scope == ScopeOnce {
		rule = counting.Once(sums)
	} else {
		role, known := e.roles()
		if !known {
			return a, ErrNoRoles
		}
		rule = counting.Network(sums, role)
		a.note = roleNote(sums, role, rule.Exit)
	}
	a.spans, err = e.spans(ctx, archive, r, &rule, sums, &a.stats)
	return a, err
}

// Coverage is what exporters metered in the range of a report, by the ways
// through them: what package counting judges by. Of the report, the range and
// FromFlows count.
func (e *Engine) Coverage(ctx context.Context, archive Archive, r Report) ([]counting.Sum, Stats, error) {
	if err := e.prepare(ctx, archive, &r); err != nil {
		return nil, Stats{}, err
	}
	return e.coverage(ctx, archive, &r)
}

func (e *Engine) coverage(ctx context.Context, archive Archive, r *Report) ([]counting.Sum, Stats, error) {
	by, err := ParseDimensions("exporter,in_if,out_if,direction")
	if err != nil {
		return nil, Stats{}, err
	}
	c, err := e.askCells(ctx, archive, cellQuery{by: by, from: r.From.UnixMilli(), to: r.To.UnixMilli(), metric: Flows, fromFlows: r.FromFlows})
	if err != nil {
		return nil, Stats{}, err
	}
	sums := make([]counting.Sum, 0, len(c.rows))
	for _, row := range c.rows {
		s := counting.Sum{Exporter: exporterOf(row.values[0]), Amount: counting.Amount(row.Sums)}
		in, _ := toUint(row.values[1])
		out, _ := toUint(row.values[2])
		s.In, s.Out, s.Direction = uint32(in), uint32(out), directionOf(row.values[3])
		sums = append(sums, s)
	}
	return sums, c.stats, nil
}

func directionOf(v any) counting.Direction {
	switch direction, present := toUint(v); {
	case present && direction == 0:
		return counting.Ingress
	case present && direction == 1:
		return counting.Egress
	}
	return counting.Unsaid
}

// roles tells what interfaces are for, and whether any has a role.
func (e *Engine) roles() (role func(counting.Interface) string, known bool) {
	n := e.names.Load()
	if n == nil || len(n.Roles) == 0 {
		return func(counting.Interface) string { return "" }, false
	}
	return func(i counting.Interface) string { return n.Roles[InterfaceID(i)] }, true
}

// roleNote says what the network's scope could not know, where it matters.
func roleNote(sums []counting.Sum, role func(counting.Interface) string, exit bool) string {
	if exit {
		return "No router meters what enters the network: what leaves it is counted, and what was dropped is not."
	}
	var all, unknown uint64
	interfaces := map[counting.Interface]bool{}
	for _, s := range sums {
		i := counting.Interface{Exporter: s.Exporter, Index: s.In}
		if all += s.Bytes; s.In != 0 && role(i) == "" {
			unknown += s.Bytes
			interfaces[i] = true
		}
	}
	if unknown < all/1000 || unknown == 0 {
		return "" // it changes nothing
	}
	return fmt.Sprintf("Interfaces without a role (%d) have %.2g %% of the bytes, and count as the network's boundary.", len(interfaces), float64(unknown)/float64(all)*100)
}

// spans says when which records count. Where nothing is told twice everything
// does, and sums of anything answer for that time. And which records are copies
// because their router meters them as they come in, too, may change: a router
// that meters only what goes out for an hour is not left out for this hour.
func (e *Engine) spans(ctx context.Context, archive Archive, r *Report, rule *counting.Rule, sums []counting.Sum, stats *Stats) ([]scopeSpan, error) {
	span := r.To.Sub(r.From)
	if rule.All() || rule.Exit || span < 5*time.Minute {
		return r.whole(ruleSQL(rule, sums)), nil
	}
	k, err := kept(archive)
	if err != nil {
		return nil, err
	}
	step := time.Hour
	switch {
	case span <= 6*time.Hour:
		step = time.Minute
	case span <= 48*time.Hour:
		step = 5 * time.Minute
	}
	step = max(step, finest(k, r.From).Step())
	for span/step > 10_000 {
		step *= 4
	}
	m := &meteredOverTime{e: e, ctx: ctx, archive: archive, r: r, step: step, stats: stats}
	m.look(rule)
	if m.err != nil {
		return nil, m.err
	}
	var spans []scopeSpan
	add := func(from, to int, sql string) {
		begin, end := r.From.Add(time.Duration(from)*step).UnixMilli(), min(r.To.UnixMilli(), r.From.Add(time.Duration(to)*step).UnixMilli())
		if n := len(spans); n > 0 && spans[n-1].sql == sql {
			spans[n-1].to = end
			return
		}
		spans = append(spans, scopeSpan{begin, end, sql})
	}
	buckets := len(m.inside)
	short := max(2, buckets/48) // what is not worth a span of its own
	for i, last := 0, ""; i < buckets; {
		end := i + 1
		for end < buckets && m.same(i, end) {
			end++
		}
		sql := ruleSQL(m.rule(rule, i), sums)
		if sql == "" && end-i < short {
			sql = last // which counts everything here, too
		}
		add(i, end, sql)
		i, last = end, sql
	}
	switch {
	case len(spans) > maxSpans:
		return r.whole(ruleSQL(rule, sums)), nil
	case len(spans) == 1:
		return r.whole(spans[0].sql), nil
	}
	return spans, nil
}

// meteredOverTime is when what was metered, in buckets of a report's range.
type meteredOverTime struct {
	e       *Engine
	ctx     context.Context
	archive Archive
	r       *Report
	step    time.Duration
	stats   *Stats
	err     error

	inside  []bool         // something came in by an interface within the network
	copies  [][]netip.Addr // who told of what came in by Rule.Twice as it went out
	without [][]netip.Addr // who metered nothing that came in
}

// look asks for what a rule depends on.
func (m *meteredOverTime) look(rule *counting.Rule) {
	buckets := int((m.r.To.Sub(m.r.From) + m.step - 1) / m.step)
	m.inside, m.copies, m.without = make([]bool, buckets), make([][]netip.Addr, buckets), make([][]netip.Addr, buckets)
	if len(rule.Inside) > 0 {
		m.ask("", interfacesSQL("in_if", rule.Inside), func(_ []any, series []cell) {
			for i := range series {
				m.inside[i] = series[i].Sums != Sums{}
			}
		})
	}
	if len(rule.Twice) == 0 {
		return
	}
	m.ask("exporter", meteredEgress+" AND ("+interfacesSQL("in_if", rule.Twice)+")", func(key []any, series []cell) {
		for i := range series {
			if (series[i].Sums != Sums{}) {
				m.copies[i] = append(m.copies[i], exporterOf(key[0]))
			}
		}
	})
	type metered struct{ ingress, egress []uint64 } // packets and flows: a flow counts only where it begins
	exporters := map[netip.Addr]*metered{}
	m.ask("exporter,direction", "", func(key []any, series []cell) {
		exporter := exporterOf(key[0])
		x := exporters[exporter]
		if x == nil {
			x = &metered{make([]uint64, buckets), make([]uint64, buckets)}
			exporters[exporter] = x
		}
		for i, c := range series {
			switch directionOf(key[1]) {
			case counting.Ingress:
				x.ingress[i] += c.Packets
			case counting.Egress:
				x.egress[i] += c.Flows
			}
		}
	})
	for exporter, x := range exporters {
		for i := 0; i < buckets; i++ {
			end, flows := i, uint64(0)
			for ; end < buckets && x.ingress[end] == 0; end++ {
				flows += x.egress[end]
			}
			// Of a few records it may be chance that none is of ingress.
			for ; i < end; i++ {
				if flows >= 20 {
					m.without[i] = append(m.without[i], exporter)
				}
			}
		}
	}
	for i := range m.without {
		slices.SortFunc(m.without[i], netip.Addr.Compare)
		// Whose copies do not count as such are not looked at.
		m.copies[i] = slices.DeleteFunc(m.copies[i], func(a netip.Addr) bool { return slices.Contains(m.without[i], a) })
	}
}

// ask asks for a series of what is metered under a condition, "" for none.
func (m *meteredOverTime) ask(dimensions, condition string, each func(key []any, series []cell)) {
	if m.err != nil {
		return
	}
	var by []Dimension
	if dimensions != "" {
		if by, m.err = ParseDimensions(dimensions); m.err != nil {
			return
		}
	}
	var c *cellAnswer
	c, m.err = m.e.askCells(m.ctx, m.archive, cellQuery{
		by: by, scope: m.r.whole(condition), from: m.r.From.UnixMilli(), to: m.r.To.UnixMilli(), step: m.step.Milliseconds(), metric: Flows, fromFlows: m.r.FromFlows,
	})
	if m.err != nil {
		return
	}
	m.stats.include(c.stats)
	for i := range c.rows {
		each(c.rows[i].values, c.rows[i].series)
	}
}

// same tells whether the same counts in two buckets.
func (m *meteredOverTime) same(i, j int) bool {
	return m.inside[i] == m.inside[j] && (len(m.copies[i]) > 0) == (len(m.copies[j]) > 0) && slices.Equal(m.without[i], m.without[j])
}

// rule is what of a rule matters in a bucket.
func (m *meteredOverTime) rule(rule *counting.Rule, bucket int) *counting.Rule {
	part := &counting.Rule{}
	if m.inside[bucket] {
		part.Inside = rule.Inside
	}
	if len(m.copies[bucket]) > 0 {
		for _, i := range rule.Twice {
			if !slices.Contains(m.without[bucket], i.Exporter) {
				part.Twice = append(part.Twice, i)
			}
		}
	}
	return part
}

func exporterOf(v any) (a netip.Addr) {
	if exporter, ok := v.([]byte); ok {
		a = flow.Addr(exporter).Netip()
	}
	return a
}

// maxSpans bounds how often what counts may change in a range: a question grows
// with it.
const maxSpans = 32

// ruleSQL is the condition of flows that a rule counts, "" for all. sums are
// what there is to count.
func ruleSQL(rule *counting.Rule, sums []counting.Sum) string {
	if rule.Exit {
		metered := meteredEgress
		if len(rule.EgressUnsaid) > 0 {
			var list []string
			for _, a := range rule.EgressUnsaid {
				list = append(list, addrLiteral(flow.AddrFrom(a)))
			}
			metered = "(" + meteredEgress + " OR direction IS NULL AND exporter IN (" + strings.Join(list, ", ") + "))"
		}
		if inside := interfacesSQL("out_if", rule.Inside); inside != "" {
			metered += " AND (" + inside + ") IS NOT TRUE"
		}
		return metered
	}
	var terms []string
	if len(rule.Inside) > 0 {
		terms = append(terms, "("+interfacesSQL("in_if", rule.Inside)+") IS NOT TRUE")
	}
	if len(rule.Twice) > 0 {
		counts := rule.Counts()
		if slices.ContainsFunc(sums, func(s counting.Sum) bool { return s.Direction == counting.Egress && counts(&s) }) {
			terms = append(terms, "("+meteredEgress+" AND ("+interfacesSQL("in_if", rule.Twice)+")) IS NOT TRUE")
		} else { // which sums of anything know
			terms = append(terms, notEgress)
		}
	}
	return strings.Join(terms, " AND ")
}

// interfacesSQL is the condition that a column names one of interfaces, which
// are in order; "" where there are none. Index 0 is also where it names none.
func interfacesSQL(column string, interfaces []counting.Interface) string {
	var terms []string
	for len(interfaces) > 0 {
		exporter := interfaces[0].Exporter
		var indexes []string
		for len(interfaces) > 0 && interfaces[0].Exporter == exporter {
			indexes = append(indexes, fmt.Sprint(interfaces[0].Index))
			interfaces = interfaces[1:]
		}
		which := column
		if indexes[0] == "0" {
			which = "coalesce(" + column + ", 0)"
		}
		of := "exporter IS NULL"
		if exporter.IsValid() {
			of = "exporter = " + addrLiteral(flow.AddrFrom(exporter))
		}
		terms = append(terms, "("+of+" AND "+which+" IN ("+strings.Join(indexes, ", ")+"))")
	}
	return strings.Join(terms, " OR ")
}
