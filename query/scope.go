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
	const egress = "direction IS NOT DISTINCT FROM 1"
	switch r.Scope {
	case ScopeIngress:
		a.spans = r.whole("direction IS DISTINCT FROM 1")
		return a, nil
	case ScopeEgress:
		a.spans = r.whole(egress)
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
		s := counting.Sum{Amount: counting.Amount(row.Sums)}
		if exporter, ok := row.values[0].([]byte); ok {
			s.Exporter = flow.Addr(exporter).Netip()
		}
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

// spans says when which records count. Which are copies because their router
// meters them as they come in, too, may change within the range: a router that
// meters only what goes out for an hour is not left out for this hour.
func (e *Engine) spans(ctx context.Context, archive Archive, r *Report, rule *counting.Rule, sums []counting.Sum, stats *Stats) ([]scopeSpan, error) {
	from, to := r.From.UnixMilli(), r.To.UnixMilli()
	span := r.To.Sub(r.From)
	var step time.Duration
	switch {
	case len(rule.Twice) == 0 || span < 5*time.Minute:
		return r.whole(ruleSQL(rule, nil, sums)), nil
	case span <= 6*time.Hour:
		step = time.Minute
	case span <= 48*time.Hour:
		step = 5 * time.Minute
	default:
		step = time.Hour
	}
	k, err := kept(archive)
	if err != nil {
		return nil, err
	}
	step = max(step, finest(k, r.From).Step())
	by, err := ParseDimensions("exporter,direction")
	if err != nil {
		return nil, err
	}
	for span/step > 10_000 {
		step *= 4
	}
	c, err := e.askCells(ctx, archive, cellQuery{by: by, from: from, to: to, step: step.Milliseconds(), metric: Flows, fromFlows: r.FromFlows})
	if err != nil {
		return nil, err
	}
	stats.include(c.stats)
	buckets := int((to-from-1)/step.Milliseconds() + 1)
	type metered struct{ ingress, egress []uint64 } // packets by bucket: a flow counts only where it begins
	exporters := map[netip.Addr]*metered{}
	for _, row := range c.rows {
		var exporter netip.Addr
		if a, ok := row.values[0].([]byte); ok {
			exporter = flow.Addr(a).Netip()
		}
		m := exporters[exporter]
		if m == nil {
			m = &metered{make([]uint64, buckets), make([]uint64, buckets)}
			exporters[exporter] = m
		}
		for i, c := range row.series {
			switch directionOf(row.values[1]) {
			case counting.Ingress:
				m.ingress[i] += c.Packets
			case counting.Egress:
				m.egress[i] += c.Flows
			}
		}
	}
	without := make([][]netip.Addr, buckets) // exporters that meter nothing that comes in
	for exporter, m := range exporters {
		for i := 0; i < buckets; {
			end, flows := i, uint64(0)
			for ; end < buckets && m.ingress[end] == 0; end++ {
				flows += m.egress[end]
			}
			// Of a few records it may be chance that none is of ingress.
			for ; i < end; i++ {
				if flows >= 20 {
					without[i] = append(without[i], exporter)
				}
			}
			i++
		}
	}
	var spans []scopeSpan
	for i := range without {
		slices.SortFunc(without[i], netip.Addr.Compare)
		sql := ""
		if i > 0 && slices.Equal(without[i], without[i-1]) {
			sql = spans[len(spans)-1].sql
		} else {
			sql = ruleSQL(rule, without[i], sums)
		}
		end := min(to, from+int64(i+1)*step.Milliseconds())
		if n := len(spans); n > 0 && spans[n-1].sql == sql {
			spans[n-1].to = end
			continue
		}
		spans = append(spans, scopeSpan{from + int64(i)*step.Milliseconds(), end, sql})
	}
	switch {
	case len(spans) > maxSpans:
		return r.whole(ruleSQL(rule, nil, sums)), nil
	case len(spans) == 1:
		return r.whole(spans[0].sql), nil
	}
	return spans, nil
}

// maxSpans bounds how often what counts may change in a range: a question grows
// with it.
const maxSpans = 32

// ruleSQL is the condition of flows that a rule counts, "" for all. Egress
// records of the exporters without are no copies.
func ruleSQL(rule *counting.Rule, without []netip.Addr, sums []counting.Sum) string {
	const egress = "direction IS NOT DISTINCT FROM 1"
	if rule.Exit {
		metered := egress
		if len(rule.EgressUnsaid) > 0 {
			var list []string
			for _, a := range rule.EgressUnsaid {
				list = append(list, addrLiteral(flow.AddrFrom(a)))
			}
			metered = "(" + egress + " OR direction IS NULL AND exporter IN (" + strings.Join(list, ", ") + "))"
		}
		if inside := interfacesSQL("out_if", rule.Inside); inside != "" {
			metered += " AND (" + inside + ") IS NOT TRUE"
		}
		return metered
	}
	var twice []counting.Interface
	for _, i := range rule.Twice {
		if !slices.Contains(without, i.Exporter) {
			twice = append(twice, i)
		}
	}
	var terms []string
	if inside := interfacesSQL("in_if", rule.Inside); inside != "" {
		terms = append(terms, "("+inside+") IS NOT TRUE")
	}
	if len(twice) > 0 {
		remaining := counting.Rule{Twice: twice, Inside: rule.Inside}
		counts := remaining.Counts()
		if slices.ContainsFunc(sums, func(s counting.Sum) bool { return s.Direction == counting.Egress && counts(&s) }) {
			terms = append(terms, "("+egress+" AND ("+interfacesSQL("in_if", twice)+")) IS NOT TRUE")
		} else { // which sums of anything know
			terms = append(terms, "direction IS DISTINCT FROM 1")
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
