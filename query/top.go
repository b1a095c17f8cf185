package query

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Table is the answer of Top.
type Table struct {
	By    []Dimension
	Rows  []Row
	Other Sums   // what the limit left out; zero when it left out nothing
	Rest  uint64 // how many groups that is

	// Total counts every flow once. It can be less than the rows together,
	// where a dimension such as ip credits both sides of a flow.
	Total       Sums
	First, Last time.Time // of the total: earliest start, latest end; zero without flows
	Stats       Stats
}

// Row is one group of flows.
type Row struct {
	Key []Value // one for each dimension
	Sums
	First, Last time.Time // earliest start and latest end
}

// Label names the row for people.
func (r *Row) Label() string { return label(r.Key) }

// KeyMap returns the key of a row by the names of the dimensions.
func (t *Table) KeyMap(r *Row) map[string]Value { return keyMap(t.By, r.Key) }

// Top groups the flows of a request and returns the groups that come first by
// its Order, with exact sums for them, for the rest, and for all.
func (e *Engine) Top(ctx context.Context, src Source, r Request) (*Table, error) {
	order := r.Order
	if order == "" {
		order = ByBytes
	}
	if _, ok := orderSQL[order]; !ok {
		return nil, fmt.Errorf("order %q is unknown", order)
	}
	keys := keyNames(len(r.By))
	columns := strings.Join(append(slices.Clone(keys), "flows", "packets", "bytes", `"first"`, `"last"`), ", ")
	groups := `groups AS MATERIALIZED (
	SELECT ` + list(keys, "") + `count(*)::UBIGINT AS flows, total(packets) AS packets, total(bytes) AS bytes,
		epoch_ms(min("start")) AS "first", epoch_ms(max("end")) AS "last"
	FROM selected` + groupBy(keys) + ")"
	top := `top AS (SELECT * FROM groups ORDER BY ` + strings.Join(append([]string{orderSQL[order]}, keys...), ", ") + limit(r.Limit) + ")"
	// The total of all groups is that of all flows, unless flows are in two of them.
	all := "count(*)::UBIGINT AS groups, total(flows) AS flows, total(packets) AS packets, total(bytes) AS bytes, min(\"first\") AS \"first\", max(\"last\") AS \"last\" FROM groups"
	s := statement{
		with: []string{"selected AS (" + selected(r, `packets, bytes, "start", "end"`) + ")", groups, top},
		body: "SELECT 1 AS part, NULL::UBIGINT AS groups, " + columns + " FROM top\n" +
			"UNION ALL SELECT 2, " + nulls("groups", len(keys)) + `flows, packets, bytes, "first", "last" FROM (SELECT ` + all + ")",
	}
	if slices.ContainsFunc(r.By, func(d Dimension) bool { return d.bothSides() }) {
		s.body += "\nUNION ALL SELECT 3, " + nulls("NULL", len(keys)) + `count(*)::UBIGINT, total(packets), total(bytes), epoch_ms(min("start")), epoch_ms(max("end")) FROM flows WHERE ` + r.where()
	}

	t := &Table{By: r.By}
	var inGroups Sums
	var groupCount uint64
	var rows []Row
	values := make([]any, len(r.By))
	var err error
	t.Stats, err = e.answer(ctx, s, src, r.Raw, func(result *sql.Rows) error {
		var part int
		var groups sql.Null[uint64]
		var sums Sums
		var first, last sql.NullInt64
		target := []any{&part, &groups}
		for i := range values {
			target = append(target, &values[i])
		}
		if err := result.Scan(append(target, &sums.Flows, &sums.Packets, &sums.Bytes, &first, &last)...); err != nil {
			return err
		}
		switch part {
		case 1:
			rows = append(rows, Row{keyOf(r.By, values), sums, milliTime(first), milliTime(last)})
			return nil
		case 2:
			inGroups, groupCount = sums, groups.V
		}
		t.Total, t.First, t.Last = sums, milliTime(first), milliTime(last)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if t.Total.Flows > 0 {
		t.Rows = rows // without a dimension, no flows still make one empty group
	}
	t.Other = inGroups
	for i := range t.Rows {
		t.Other.subtract(t.Rows[i].Sums)
	}
	t.Rest = groupCount - uint64(len(rows))
	return t, nil
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
		return sql + columns + " FROM flows" + join + " WHERE " + r.where()
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
