package query

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/minamo-flow/minamo/enrich/numbers"
	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/rollup"
)

// plan is how a question about cells is answered from rollups: by which cube,
// and which level of it for which time. The zero plan is to read flows.
//
// Where a report's scope asks in a part of its range for what no cube knows,
// cubes answer for the rest, and flows for that part.
type plan struct {
	faces  []face
	pieces []stretch
	again  []scopeSpan // of which all flows are read, rolled up or not
}

// face is a cube with what the question's dimensions are in it. There are two
// where a dimension credits both ends of a flow and each has a cube.
type face struct {
	cube  *rollup.Cube
	by    []Dimension
	where string // a condition of this face, "" for none
	whole bool   // no heavy key is asked for: the rest of a bucket is as good as its other cells
	loose bool   // groups take several cells, or cells are chosen: what is missing of a group is not bounded by one cell
}

// stretch is a time that one level answers for.
type stretch struct {
	from, to int64 // milliseconds
	level    rollup.Level
	scope    string // which records count then, "" for all
}

// plan finds the first cube that knows all that the question
// asks for. Only flows tell what was not scaled, and whose addresses differ.
func (q *cellQuery) plan() plan {
	if q.raw || q.metric.row().item != "" {
		return plan{}
	}
	pieces, ok := q.stretches()
	if !ok {
		return plan{}
	}
	conditions := q.conditions()
	for _, span := range q.scope {
		if span.sql != "" {
			conditions = append(conditions, span.sql)
		}
	}
	if faces := q.faces(conditions); faces != nil {
		return plan{faces: faces, pieces: pieces}
	}
	p := plan{pieces: slices.DeleteFunc(pieces, func(s stretch) bool { return s.scope != "" })}
	if len(p.pieces) == 0 {
		return plan{}
	}
	for _, span := range q.scope {
		if span.sql != "" {
			p.again = append(p.again, span)
		}
	}
	if p.faces = q.faces(q.conditions()); p.faces == nil {
		return plan{}
	}
	return p
}

// faces are of the first cube that knows all that the question and some
// conditions ask for; nil where there is none.
func (q *cellQuery) faces(conditions []string) []face {
	if faces := q.ends(conditions); faces != nil {
		return faces
	}
	for _, cube := range rollup.Cubes {
		if f, ok := faceOf(cube, q.by, conditions); ok {
			return []face{f}
		}
	}
	return nil
}

// conditions are those of flows that the question's filters set, as SQL.
func (q *cellQuery) conditions() (terms []string) {
	for _, f := range q.filters {
		if sql := f.SQL(); sql != "true" {
			terms = append(terms, sql)
		}
	}
	return terms
}

// ends are the two faces of a question by address that credits both sides: who
// sent, and who received, but for those who sent to themselves.
func (q *cellQuery) ends(conditions []string) []face {
	if len(q.by) != 1 || !q.by[0].bothSides() {
		return nil
	}
	var faces []face
	for side, sql := range q.by[0].sql {
		d := q.by[0]
		d.sql = []string{sql}
		i := slices.IndexFunc(rollup.Cubes, func(c *rollup.Cube) bool {
			f, ok := faceOf(c, []Dimension{d}, conditions)
			if _, loops := c.Key(rollup.Loop); !ok || !loops {
				return false
			}
			if side == 1 {
				f.where = quote(rollup.Loop) + " IS NULL"
			}
			// By prefix, a flow within the prefix would count twice.
			if f.loose {
				return false
			}
			faces = append(faces, f)
			return true
		})
		if i < 0 {
			return nil
		}
	}
	return faces
}

// faceOf tells how a cube answers, if it does.
func faceOf(cube *rollup.Cube, by []Dimension, conditions []string) (face, bool) {
	f := face{cube: cube}
	heavy, parted := 0, false // heavy keys that are dimensions as they are, and whether dimensions are made of some
	for _, d := range by {
		if key, ok := cube.Key(d.rolled()); ok {
			d.sql, d.join = []string{quote(key.Name)}, ""
			if key.Heavy {
				heavy++
			}
			f.by = append(f.by, d)
			continue
		}
		if d.join != "" {
			return face{}, false
		}
		d.sql = slices.Clone(d.sql)
		for i := range d.sql {
			if network, ok := d.network(cube); ok {
				d.sql[i] = strings.ReplaceAll(d.sql[i], quote(network[0]), quote(network[1]))
				if d.v4 == 24 && d.v6 == 48 {
					heavy++ // it is the key, in another form
				} else {
					f.loose = true
				}
			}
			known, some := knows(cube, d.sql[i])
			if !known {
				return face{}, false
			}
			parted = parted || some
			if key, ok := cube.Key(strings.Trim(d.sql[i], `"`)); ok && key.Heavy {
				heavy++
			}
		}
		f.by = append(f.by, d)
	}
	conditional := false
	for _, c := range conditions {
		known, chosen := knows(cube, c)
		if !known {
			return face{}, false
		}
		conditional = conditional || chosen
	}
	keys := 0
	for _, k := range cube.Keys {
		if k.Heavy {
			keys++
		}
	}
	f.whole = !parted && !conditional && heavy == 0
	f.loose = f.loose || conditional || heavy < keys
	return f, true
}

// rolled is the name of the key that has the dimension's very values.
func (d *Dimension) rolled() string {
	switch d.Name {
	case "duration":
		return rollup.DurationClass
	}
	return d.Name
}

// network tells which column of a cube of networks stands for the addresses
// that a dimension takes by prefix: those of prefixes up to /24 and /48.
func (d *Dimension) network(cube *rollup.Cube) (names [2]string, ok bool) {
	for _, names := range [][2]string{{flow.SrcAddr.String(), rollup.SrcNet}, {flow.DstAddr.String(), rollup.DstNet}} {
		if _, has := cube.Key(names[1]); has && strings.HasPrefix(d.Name, names[0]+"/") && d.v4 <= 24 && d.v6 <= 48 {
			return names, true
		}
	}
	return names, false
}

var (
	sqlText = regexp.MustCompile(`'[^']*'`)
	sqlWord = regexp.MustCompile(`[a-z_][a-z0-9_]*`)
)

// knows tells whether all columns of flows that an SQL expression names are
// keys of a cube, and whether heavy ones are among them. Columns' names are in
// lower case, the words of SQL in upper.
func knows(cube *rollup.Cube, sql string) (all, heavy bool) {
	for _, w := range sqlWord.FindAllString(sqlText.ReplaceAllString(sql, ""), -1) {
		if _, is := flow.Lookup(w); !is {
			if key, is := cube.Key(w); is {
				heavy = heavy || key.Heavy
			}
			continue
		}
		key, has := cube.Key(w)
		if !has {
			return false, false
		}
		heavy = heavy || key.Heavy
	}
	return true, heavy
}

// stretches cuts the question's range among the levels: days where whole days
// are in it, hours where whole hours, minutes; ok is false where it does not
// begin and end with a minute.
func (q *cellQuery) stretches() (pieces []stretch, ok bool) {
	fits := func(l rollup.Level) bool { // whether buckets of the question are made of whole ones of the level
		unit := l.Step().Milliseconds()
		for _, step := range []int64{q.step, q.slot} {
			if step > 0 && (step%unit != 0 || q.from%unit != 0) {
				return false
			}
		}
		return true
	}
	minute := rollup.Minute.Step().Milliseconds()
	if !fits(rollup.Minute) || q.from%minute != 0 || q.to%minute != 0 {
		return nil, false
	}
	top := 0
	for i, l := range rollup.Levels {
		if fits(l) {
			top = i
		}
	}
	if len(q.scope) == 0 {
		return q.cover(q.from, q.to, top), true
	}
	for _, span := range q.scope {
		if span.from%minute != 0 || span.to%minute != 0 {
			return nil, false
		}
		first := len(pieces)
		pieces = append(pieces, q.cover(span.from, span.to, top)...)
		for i := first; i < len(pieces); i++ {
			pieces[i].scope = span.sql
		}
	}
	return pieces, true
}

// fill covers a time with the levels up to one: shorter levels take what whole
// buckets of it leave on both sides.
func fill(from, to int64, level int) []stretch {
	for ; level >= 0 && from < to; level-- {
		unit := rollup.Levels[level].Step().Milliseconds()
		first, last := (from+unit-1)/unit*unit, to/unit*unit
		if first < last {
			return append(append(fill(from, first, level-1), stretch{from: first, to: last, level: rollup.Levels[level]}), fill(last, to, level-1)...)
		}
	}
	return nil
}

// tables are those that the plan reads, the coarsest first.
func (p *plan) tables() (names []string) {
	for i := len(rollup.Levels) - 1; i >= 0; i-- {
		l := rollup.Levels[i]
		if !slices.ContainsFunc(p.pieces, func(s stretch) bool { return s.level == l }) {
			continue
		}
		for _, f := range p.faces {
			names = append(names, f.cube.Table(l))
		}
	}
	return names
}

// answered names the tables that there was something of, the coarsest first,
// and flows last.
func (p *plan) answered(src Pinned) (names []string) {
	for _, name := range p.tables() {
		if len(src.Table(name)) > 0 {
			names = append(names, name)
		}
	}
	if len(src.Paths()) > 0 || p.again != nil || names == nil {
		names = append(names, "flows")
	}
	return names
}

// cells is the SQL of the cells of the question that come from rollups: key1 …,
// bucket where step is not 0, flows, packets, bytes, variance, rest and most.
func (p *plan) cells(q *cellQuery, step int64) (parts []string) {
	var filters []string
	for _, c := range q.conditions() {
		filters = append(filters, "("+c+")")
	}
	for _, f := range p.faces {
		for _, s := range p.pieces {
			terms := slices.Clone(filters)
			if s.scope != "" {
				terms = append(terms, "("+s.scope+")")
			}
			chosen := strings.Join(append(terms, "true"), " AND ")
			where := fmt.Sprintf("bucket >= %s AND bucket < %s", timeLiteral(time.UnixMilli(s.from)), timeLiteral(time.UnixMilli(s.to)))
			if f.where != "" {
				where += " AND " + f.where
			}
			// The rest of a bucket lacks the keys that a condition may ask for. It
			// is never left out: it tells how much may be missing.
			columns := "flows, packets, bytes, variance, "
			if f.whole {
				where += " AND " + chosen
			} else if len(terms) > 0 {
				where += " AND (" + chosen + " OR rest IS NOT NULL)"
				columns = ""
				for _, m := range []string{"flows", "packets", "bytes", "variance"} {
					columns += "CASE WHEN rest IS NULL OR (" + chosen + ") THEN " + m + " ELSE 0 END::UBIGINT AS " + m + ", "
				}
			}
			most := []string{"most_flows", "most_packets", "most_bytes"}
			if f.loose {
				most = []string{"flows", "packets", "bytes"}
			}
			if f.whole {
				columns += "0::UBIGINT AS rest"
				most = []string{"0", "0", "0"}
			} else {
				columns += "coalesce(rest, 0) AS rest"
			}
			for i, m := range most {
				columns += fmt.Sprintf(", CASE WHEN rest IS NULL THEN 0 ELSE %s END::UBIGINT AS missing_%s", m, []string{"flows", "packets", "bytes"}[i])
			}
			if step > 0 {
				columns = fmt.Sprintf("(epoch_ms(bucket) - %d) // %d AS bucket, ", q.from, step) + columns
			}
			parts = append(parts, selectedFrom(f.cube.Table(s.level)+" WHERE "+where, Request{By: f.by}, columns))
		}
	}
	return parts
}

// relations define the tables for a statement, from the files that are pinned, with
// interfaces' numbers of today.
func (p *plan) relations(src Pinned, eras []numbers.Era) (with []string) {
	for _, name := range p.tables() {
		cube, _, _ := rollup.Find(name)
		// The empty first part gives the columns their types.
		var types []string
		for _, v := range cube.Names() {
			types = append(types, "NULL::"+columnTypes[v.Kind]+" AS "+quote(v.Name))
		}
		sql := "SELECT * FROM (SELECT " + strings.Join(types, ", ") + " LIMIT 0)"
		if paths := src.Table(name); len(paths) > 0 {
			sql += "\nUNION ALL BY NAME SELECT * FROM read_parquet(" + pathList(paths) + ", union_by_name = true, hive_partitioning = false)"
		}
		if _, has := cube.Key(flow.InIf.String()); has {
			sql = today(sql, eras, rollup.Bucket)
		}
		with = append(with, name+" AS NOT MATERIALIZED ("+sql+")")
	}
	return with
}
