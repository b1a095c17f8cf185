package query

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/minamo-flow/minamo/flow"
)

// Table is the answer of Top.
type Table struct {
	By    []Dimension
	Rows  []Row
	Other Sums   // what the limit and Having left out; zero when they left out nothing
	Rest  uint64 // how many groups that is

	// Total counts every flow once. It can be less than the rows together,
	// where a dimension such as ip credits both sides of a flow.
	Total       Sums
	First, Last time.Time // of the total: earliest start, latest end; zero without flows
	Stats       Stats

	columns []flow.Column // further columns that were asked for
}

// Row is one group of flows.
type Row struct {
	Key []Value // one for each dimension
	Sums
	First, Last time.Time // earliest start and latest end
	Out         Sums      // of the row's packets and bytes, those from the second side to the first; flows are not told apart

	values []any // what DuckDB returned: the key, then the further columns
}

// Label names the row for people.
func (r *Row) Label() string { return label(r.Key) }

// KeyMap returns the key of a row by the names of the dimensions.
func (t *Table) KeyMap(r *Row) map[string]Value { return keyMap(t.By, r.Key) }

// AppendTo appends the rows from, … to-1 to a batch as if they were flows:
// with the times, the sums, and the columns of their keys, where a prefix is
// its first address. Further columns that the request named have a value where
// all flows of the group agree in it; TCP flags are the union of theirs.
func (t *Table) AppendTo(b *flow.Batch, from, to int) {
	for _, row := range t.Rows[from:to] {
		i := b.Extend(1)
		b.SetUint(flow.Start, i, uint64(row.First.UnixMilli()))
		b.SetUint(flow.End, i, uint64(row.Last.UnixMilli()))
		b.SetUint(flow.Packets, i, row.Packets)
		b.SetUint(flow.Bytes, i, row.Bytes)
		for k, d := range t.By {
			name, _, isPrefix := strings.Cut(d.Name, "/")
			c, isColumn := flow.Lookup(name)
			switch {
			case !isColumn || isSum(c):
			case isPrefix:
				if prefix, err := netip.ParsePrefix(row.Key[k].Text); err == nil {
					b.SetAddr(c, i, flow.AddrFrom(prefix.Addr()))
				}
			default:
				setValue(b, c, i, row.values[k])
			}
		}
		for k, c := range t.columns {
			setValue(b, c, i, row.values[len(t.By)+k])
		}
	}
}

// isSum tells whether a column is among those that every group has.
func isSum(c flow.Column) bool {
	return c == flow.Start || c == flow.End || c == flow.Packets || c == flow.Bytes
}

// ErrRequest is what a request is refused for that contradicts itself.
var ErrRequest = errors.New("request")

// requestError is a mistake in a request.
type requestError string

func (e requestError) Error() string        { return string(e) }
func (e requestError) Is(target error) bool { return target == ErrRequest }

func refuse(format string, a ...any) error { return requestError(fmt.Sprintf(format, a...)) }

// Top groups the flows of a request and returns the groups that come first by
// its Order, with exact sums for them, for the rest, and for all.
func (e *Engine) Top(ctx context.Context, src Source, r Request) (*Table, error) {
	tables, err := e.Tops(ctx, src, r, r.Order)
	if err != nil {
		return nil, err
	}
	return tables[0], nil
}

// Tops is Top for several orders at once: the flows are read and grouped once.
func (e *Engine) Tops(ctx context.Context, src Source, r Request, orders ...Order) ([]*Table, error) {
	rows := make([][]Row, len(orders))
	tables, err := e.EachTop(ctx, src, r, func(i int, t *Table, _ bool) error {
		rows[i] = append(rows[i], t.Rows...)
		return nil
	}, orders...)
	for i, t := range tables {
		t.Rows = rows[i]
	}
	return tables, err
}

// rowsPerYield is how many groups are handed on at once.
const rowsPerYield = 1024

// EachTop is Tops for any number of groups. It hands the tables to yield, one
// order after the other, each in pieces: Rows are the next ones, valid until it
// returns, Other and Rest what is still to come, at the last piece what is left
// out. An error of yield ends the query and is returned. The tables that
// EachTop returns have no rows, and yield does not see their Stats.
func (e *Engine) EachTop(ctx context.Context, src Source, r Request, yield func(i int, t *Table, last bool) error, orders ...Order) ([]*Table, error) {
	src, done, err := narrow(ctx, src, r.From, r.To, r.Filter)
	if err != nil {
		return nil, err
	}
	defer done()
	r.few = allCopied(src)
	keys := keyNames(len(r.By))
	var extra []flow.Column // that are not there anyway
	for _, c := range r.Columns {
		if !isSum(c) && !slices.ContainsFunc(r.By, func(d Dimension) bool { return d.Name == c.String() }) {
			extra = append(extra, c)
		}
	}
	s := statement{with: []string{}}
	if r.First > 0 {
		s.with = append(s.with, "chosen AS (SELECT * FROM flows WHERE "+r.where()+storageOrder(src.Paths())+limit(r.First)+")")
	}
	groups, err := groups(r, keys, extra)
	if err != nil {
		return nil, err
	}
	s.with = append(s.with, groups...)
	kept := "groups"
	if r.Having != nil {
		having, err := having(r)
		if err != nil {
			return nil, err
		}
		s.with = append(s.with, "kept AS (SELECT * FROM groups WHERE "+having+")")
		kept = "kept"
	}
	columns := slices.Concat(keys, extraNames(len(extra)), []string{"flows", "packets", "bytes", "out_packets", "out_bytes", `"first"`, `"last"`})
	unused := nulls("", len(keys)+len(extra))[2:]
	// The parts of the answer come one after the other, the totals first, each
	// in its order.
	sorted := []string{"part"}
	for i, order := range orders {
		if order == "" {
			order = ByBytes
		}
		value, direction, ok := order.sql()
		if !ok {
			return nil, fmt.Errorf("order %q is unknown", order)
		}
		top := kept
		if r.Limit > 0 {
			top = fmt.Sprintf("top%d", i+1)
			s.with = append(s.with, top+" AS (SELECT * FROM "+kept+" ORDER BY "+strings.Join(append([]string{value + direction}, keys...), ", ")+limit(r.Limit)+")")
		}
		s.body += fmt.Sprintf("SELECT %d AS part, NULL::UBIGINT AS groups, %s FROM %s\nUNION ALL ", i, strings.Join(columns, ", "), top)
		sorted = append(sorted, fmt.Sprintf("CASE part WHEN %d THEN %s END%s", i, value, direction))
	}
	// The total of all groups is that of all flows, unless flows are in two of them.
	s.body += "SELECT -1, groups, " + unused + `flows, packets, bytes, 0, 0, "first", "last" FROM (SELECT count(*)::UBIGINT AS groups, total(flows) AS flows, total(packets) AS packets, total(bytes) AS bytes, min("first") AS "first", max("last") AS "last" FROM groups)`
	if slices.ContainsFunc(r.By, func(d Dimension) bool { return d.bothSides() }) {
		s.body += "\nUNION ALL SELECT -2, NULL, " + unused + `count(*)::UBIGINT, total(packets), total(bytes), 0, 0, epoch_ms(min("start")), epoch_ms(max("end")) FROM ` + r.counted()
	}
	s.body = "SELECT * FROM (\n" + s.body + "\n) ORDER BY " + strings.Join(append(sorted, keys...), ", ")

	tables := make([]*Table, len(orders))
	for i := range tables {
		tables[i] = &Table{By: r.By, columns: extra}
	}
	current := 0 // the table that rows come for
	hand := func(last bool) error {
		t := tables[current]
		err := yield(current, t, last)
		t.Rows = t.Rows[:0]
		return err
	}
	values := make([]any, len(r.By)+len(extra))
	stats, err := e.answer(ctx, s, src, r.Raw, func(result *sql.Rows) error {
		var part int
		var groups sql.Null[uint64]
		var row Row
		var first, last sql.NullInt64
		target := []any{&part, &groups}
		for i := range values {
			target = append(target, &values[i])
		}
		if err := result.Scan(append(target, &row.Flows, &row.Packets, &row.Bytes, &row.Out.Packets, &row.Out.Bytes, &first, &last)...); err != nil {
			return err
		}
		row.First, row.Last = milliTime(first), milliTime(last)
		if part < 0 {
			for _, t := range tables {
				if part == -1 {
					t.Other, t.Rest = row.Sums, groups.V
				}
				if part == -2 || t.Total.Flows == 0 { // -2 comes first, where groups overlap
					t.Total, t.First, t.Last = row.Sums, row.First, row.Last
				}
			}
			return nil
		}
		for ; current < part; current++ {
			if err := hand(true); err != nil {
				return err
			}
		}
		t := tables[part]
		t.Rest--
		if t.Total.Flows == 0 {
			return nil // without a dimension, no flows still make one empty group
		}
		t.Other.subtract(row.Sums)
		row.Key, row.values = e.label(r.By, keyOf(r.By, values)), slices.Clone(values)
		t.Rows = append(t.Rows, row)
		if len(t.Rows) == rowsPerYield {
			return hand(false)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for ; current < len(tables); current++ {
		if err := hand(true); err != nil {
			return nil, err
		}
	}
	for _, t := range tables {
		t.Rows, t.Stats = nil, stats
	}
	return tables, nil
}

// counted is what stands behind FROM for the flows that are grouped.
func (r *Request) counted() string {
	if r.First > 0 {
		return "chosen"
	}
	return r.from("")
}

// groups returns the relations that end in "groups", which has the keys, the
// extra columns and the sums of every group.
func groups(r Request, keys []string, extra []flow.Column) ([]string, error) {
	columns := `packets, bytes, "start", "end"`
	var united string
	for i, c := range extra {
		name := extraNames(len(extra))[i]
		columns += ", " + columnSQL(c) + " AS " + name
		switch {
		case c == flow.TCPFlags:
			united += "bit_or(" + name + ")"
		case r.Fold != NoFold: // the two directions hardly agree
			united += "NULL"
		default:
			united += fmt.Sprintf("CASE WHEN count(%[1]s) = count(*) AND min(%[1]s) = max(%[1]s) THEN min(%[1]s) END", name)
		}
		united += " AS " + name + ", "
	}
	sums := united + `count(*)::UBIGINT AS flows, total(packets) AS packets, total(bytes) AS bytes,
		epoch_ms(min("start")) AS "first", epoch_ms(max("end")) AS "last"`
	from := "selected AS (" + selectedFrom(r.counted(), r, columns) + ")"
	if r.Fold == NoFold {
		return []string{from, `groups AS MATERIALIZED (
	SELECT ` + list(keys, "") + sums + `, 0::UBIGINT AS out_packets, 0::UBIGINT AS out_bytes
	FROM selected` + groupBy(keys) + ")"}, nil
	}

	// Every flow is turned so that its lesser side comes first: then both
	// directions have one key. What stands first in the end is known only when
	// they are grouped.
	twins, err := twins(r.By)
	if err != nil {
		return nil, err
	}
	swapped := func(condition string) string {
		sql := ""
		for i, k := range keys {
			if twins[i] == i {
				sql += k + ", "
			} else {
				sql += fmt.Sprintf("CASE WHEN %s THEN %s ELSE %s END AS %s, ", condition, keys[twins[i]], k, k)
			}
		}
		return sql
	}
	greater, equal := "", ""
	for i, k := range keys {
		if twin := twins[i]; twin > i {
			greater += fmt.Sprintf("%scoalesce(%[2]s > %[3]s, %[2]s IS NOT NULL AND %[3]s IS NULL)", equal, k, keys[twin])
			equal = fmt.Sprintf(" OR %s IS NOT DISTINCT FROM %s AND (", k, keys[twin])
		}
	}
	pairs := strings.Count(greater, "coalesce")
	greater += strings.Repeat(")", pairs-1)
	turn := "outFirst"
	if r.Fold == FoldByPort {
		src := slices.IndexFunc(r.By, func(d Dimension) bool { return d.Name == flow.SrcPort.String() })
		if src < 0 {
			return nil, refuse("no ports to tell clients from servers by: group by src_port and dst_port too")
		}
		turn = fmt.Sprintf("CASE WHEN %[2]s < %[1]s THEN true WHEN %[1]s < %[2]s THEN false ELSE outFirst END", portRange(keys[twins[src]]), portRange(keys[src]))
	}
	return []string{
		from,
		"turned AS (SELECT " + swapped("turn") + strings.Join(append([]string{"turn", "packets", "bytes", `"start"`, `"end"`}, extraNames(len(extra))...), ", ") + " FROM (SELECT *, " + greater + " AS turn FROM selected))",
		`folded AS (
	SELECT ` + list(keys, "") + sums + `, total(CASE WHEN turn THEN packets END) AS back_packets, total(CASE WHEN turn THEN bytes END) AS back_bytes,
		total(CASE WHEN NOT turn THEN packets END) AS forth_packets, total(CASE WHEN NOT turn THEN bytes END) AS forth_bytes,
		coalesce(min(CASE WHEN turn THEN "start" END) < min(CASE WHEN NOT turn THEN "start" END), bool_and(turn)) AS outFirst
	FROM turned` + groupBy(keys) + ")",
		`groups AS MATERIALIZED (
	SELECT ` + swapped("turn") + list(extraNames(len(extra)), "") + `flows, packets, bytes, "first", "last",
		CASE WHEN turn THEN forth_packets ELSE back_packets END AS out_packets, CASE WHEN turn THEN forth_bytes ELSE back_bytes END AS out_bytes
	FROM (SELECT *, ` + turn + " AS turn FROM folded))",
	}, nil
}

// portRange is the SQL of how likely a port is a client's: 0 where IANA gives
// it to a service of the system, more where systems take ports of their own.
func portRange(port string) string {
	return fmt.Sprintf("((%[1]s >= 1024)::INT + (%[1]s >= 32768)::INT + (%[1]s >= 49152)::INT)", port)
}

// twins tells for each dimension which one is the same of the other side:
// itself where it has no side.
func twins(by []Dimension) ([]int, error) {
	twins := make([]int, len(by))
	sides := false
	for i, d := range by {
		name := d.Swapped().Name
		twins[i] = slices.IndexFunc(by, func(o Dimension) bool { return o.Name == name })
		if d.bothSides() {
			return nil, refuse("%s has no direction that could be folded", d.Name)
		}
		if twins[i] < 0 {
			return nil, refuse("folding both directions needs both sides: with %s group by %s too", d.Name, name)
		}
		sides = sides || twins[i] != i
	}
	if !sides {
		return nil, refuse("folding both directions needs something of both sides to group by, such as src_addr and dst_addr")
	}
	return twins, nil
}

// having is the condition of a request's groups, over the relation "groups".
func having(r Request) (string, error) {
	columns := map[string]string{ // SQL of what a filter can name
		"packets": "packets", "bytes": "bytes", "aggregated_flows": "flows",
		"start": `epoch_ms("first")::TIMESTAMPTZ`, "end": `epoch_ms("last")::TIMESTAMPTZ`,
	}
	names := []string{}
	for i, d := range r.By {
		names = append(names, d.Name)
		name, _, isPrefix := strings.Cut(d.Name, "/")
		sides := []string{name}
		for _, p := range pairs {
			if p.name == name {
				sides = []string{p.src.String(), p.dst.String()}
			}
		}
		for _, side := range sides {
			c, isColumn := flow.Lookup(side)
			if !isColumn || isSum(c) {
				continue
			}
			value := keyNames(len(r.By))[i]
			switch {
			case isPrefix: // its digits, see prefixDimension
				value = "rpad(replace(" + value + ", '-', ''), 32, '0')::UUID"
			case flow.Schema[c].Kind == flow.Time:
				value = "epoch_ms(" + value + ")::TIMESTAMPTZ"
			}
			columns[side] = value
		}
	}
	needed := r.Having.Columns()
	for c := range needed.All() {
		if _, ok := columns[c.String()]; !ok {
			return "", refuse("the groups have no %s to filter by: they have %s, flows, packets, bytes, start, end, duration, bps, pps and bpp", c, strings.Join(names, ", "))
		}
	}
	of := r.Having.root.with(func(v value) value {
		arguments := make([]any, len(v.columns))
		for i, c := range v.columns {
			arguments[i] = columns[c.String()]
		}
		if len(arguments) == 0 {
			return v
		}
		return value{format: fmt.Sprintf(v.format, arguments...)}
	})
	return string(of.appendSQL(nil)), nil
}

func (s *Sums) subtract(o Sums) {
	// Only a sum that met its limit can be less than its parts.
	s.Flows -= min(s.Flows, o.Flows)
	s.Packets -= min(s.Packets, o.Packets)
	s.Bytes -= min(s.Bytes, o.Bytes)
}

func (s *Sums) add(o Sums) {
	s.Flows = saturatingAdd(s.Flows, o.Flows)
	s.Packets = saturatingAdd(s.Packets, o.Packets)
	s.Bytes = saturatingAdd(s.Bytes, o.Bytes)
}

func saturatingAdd(a, b uint64) uint64 {
	if sum := a + b; sum >= a {
		return sum
	}
	return 1<<64 - 1
}

func milliTime(ms sql.NullInt64) time.Time {
	if !ms.Valid {
		return time.Time{}
	}
	return time.UnixMilli(ms.Int64).UTC()
}

// keyOf reads the values of a key.
func keyOf(by []Dimension, values []any) []Value {
	key := make([]Value, len(by))
	for i, d := range by {
		key[i] = d.value(values[i])
	}
	return key
}

// keyNames are the names of a request's dimensions within SQL.
func keyNames(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("key%d", i+1)
	}
	return names
}

// extraNames are the names of further columns within SQL.
func extraNames(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("extra%d", i+1)
	}
	return names
}

// list renders names, each with a prefix and followed by a comma.
func list(names []string, prefix string) string {
	var b strings.Builder
	for _, n := range names {
		b.WriteString(prefix + n + ", ")
	}
	return b.String()
}

// nulls renders first and n NULLs, each followed by a comma.
func nulls(first string, n int) string { return first + ", " + strings.Repeat("NULL, ", n) }

func groupBy(keys []string) string {
	if len(keys) == 0 {
		return ""
	}
	return " GROUP BY " + strings.Join(keys, ", ")
}

func limit(n int) string {
	if n <= 0 {
		return ""
	}
	return fmt.Sprintf(" LIMIT %d", n)
}

// selected is the SELECT of the flows that a request counts: the keys of its
// dimensions and the given columns. Where a dimension credits both sides of a
// flow, the flow comes twice, for its source and for its destination, unless
// the two sides have the same key.
func selected(r Request, columns string) string {
	return selectedFrom("flows WHERE "+r.where(), r, columns)
}

// selectedFrom is selected of a relation: its name and a condition, its name
// alone, or a query in parentheses.
func selectedFrom(from string, r Request, columns string) string {
	relation, condition := from, "true"
	if name, where, ok := strings.Cut(from, " WHERE "); ok && from[0] != '(' {
		relation, condition = name, where
	}
	join, twice := "", false
	for _, d := range r.By {
		if !strings.Contains(join, d.join) {
			join += d.join
		}
		twice = twice || d.bothSides()
	}
	side := func(s int) string {
		sql := "SELECT "
		for i, d := range r.By {
			sql += d.side(s) + fmt.Sprintf(" AS key%d, ", i+1)
		}
		return sql + columns + " FROM " + relation + join + " WHERE " + condition
	}
	if !twice {
		return side(0)
	}
	var differ []string
	for _, d := range r.By {
		if d.bothSides() {
			differ = append(differ, d.side(0)+" IS DISTINCT FROM "+d.side(1))
		}
	}
	return side(0) + "\nUNION ALL " + side(1) + " AND (" + strings.Join(differ, " OR ") + ")"
}

// side is the SQL of a dimension's value for the source (0) or destination (1).
func (d *Dimension) side(s int) string { return d.sql[min(s, len(d.sql)-1)] }
