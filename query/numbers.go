package query

import (
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/minamo-flow/minamo/enrich/numbers"
	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/rollup"
)

// SetEras tells which numbers interfaces had once. From now on an interface has the
// number of today in all answers, and is asked for by it. Only Select shows what
// is stored.
func (e *Engine) SetEras(eras []numbers.Era) {
	if old := e.eras.Load(); old == nil && len(eras) == 0 || old != nil && reflect.DeepEqual(*old, eras) {
		return
	}
	e.eras.Store(&eras)
	e.named.Add(1)
}

func (e *Engine) numbered() []numbers.Era {
	if eras := e.eras.Load(); eras != nil {
		return *eras
	}
	return nil
}

// ofInterfaces tells whether SQL is about numbers of interfaces.
func ofInterfaces(sql string) bool {
	return strings.Contains(sql, flow.InIf.String()) || strings.Contains(sql, flow.OutIf.String())
}

// today is the SQL of a relation whose interfaces have the numbers of today; at is
// the column that tells of when a row is.
func today(relation string, eras []numbers.Era, at string) string {
	if len(eras) == 0 {
		return relation
	}
	var columns []string
	for _, c := range []flow.Column{flow.InIf, flow.OutIf} {
		column := columnSQL(c)
		sql := "CASE"
		for i := range eras {
			x := &eras[i]
			sql += fmt.Sprintf(" WHEN %s = %s AND %s >= %s AND %s < %s THEN CASE %s", columnSQL(flow.Exporter), addrLiteral(flow.AddrFrom(x.Device)),
				at, timeLiteral(x.From), at, timeLiteral(x.To), column)
			for _, was := range slices.Sorted(maps.Keys(x.Today)) {
				sql += fmt.Sprintf(" WHEN %d THEN %d", was, x.Today[was])
			}
			sql += " ELSE " + column + " END"
		}
		columns = append(columns, "("+sql+" ELSE "+column+" END)::UINTEGER AS "+column)
	}
	return "SELECT * REPLACE (" + strings.Join(columns, ", ") + ") FROM (\n" + relation + ")"
}

// mostCuts is how often at most the time of a question is cut for the sake of
// numbers that changed: each costs some parts of the statement.
const mostCuts = 100

// renumber prepares a question about interfaces that had other numbers once: eras
// begin and end with buckets, of the finest level that is still kept and does not
// cut the time too often, and no bucket that rollups answer with is of two.
func (q *cellQuery) renumber(archive Archive, eras []numbers.Era) error {
	q.eras, q.cuts = nil, nil
	sql := strings.Join(q.conditions(), " ")
	for _, d := range q.by {
		sql += strings.Join(d.sql, " ")
	}
	for _, span := range q.scope {
		sql += span.sql
	}
	if len(eras) == 0 || !ofInterfaces(sql) {
		return nil
	}
	k, err := kept(archive)
	if err != nil {
		return err
	}
	for _, level := range rollup.Levels {
		q.eras, q.cuts = nil, nil
		begins := func(t time.Time) time.Time {
			if t.IsZero() {
				return t
			}
			t = t.Round(max(level, finest(k, t)).Step())
			if at := t.UnixMilli(); at > q.from && at < q.to {
				q.cuts = append(q.cuts, at)
			}
			return t
		}
		for _, x := range eras {
			if x.From, x.To = begins(x.From), begins(x.To); x.From.UnixMilli() < q.to && x.To.UnixMilli() > q.from {
				q.eras = append(q.eras, x)
			}
		}
		slices.Sort(q.cuts)
		if q.cuts = slices.Compact(q.cuts); len(q.cuts) <= mostCuts {
			break
		}
	}
	return nil
}

// cover covers a time with the levels up to one, so that no bucket reaches over a
// cut.
func (q *cellQuery) cover(from, to int64, top int) (pieces []stretch) {
	for _, cut := range q.cuts {
		if cut > from && cut < to && cut%rollup.Levels[top].Step().Milliseconds() != 0 {
			pieces = append(pieces, fill(from, cut, top)...)
			from = cut
		}
	}
	return append(pieces, fill(from, to, top)...)
}

// once is what an interface was called that is no more; it is shown with the
// number that it had.
func (e *Engine) once(exporter netip.Addr, v *Value) (name string) {
	number, err := strconv.ParseUint(v.Text, 10, 32)
	if err != nil || number < numbers.Gone {
		return ""
	}
	for _, x := range e.numbered() {
		if x.Device == exporter && x.Gone[uint32(number)] != "" {
			name = x.Gone[uint32(number)]
			v.Label = fmt.Sprintf("%d once", number&^numbers.Gone)
		}
	}
	return name
}
