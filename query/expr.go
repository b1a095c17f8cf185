package query

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/minamo-flow/minamo/flow"
)

// expr is a node of a parsed filter. Its SQL is made of column names and
// operators from our own tables and of literals rendered from typed values;
// text of the user's reaches it through textLiteral alone.
//
// A column that a flow lacks is NULL, and a comparison with NULL counts as
// false. SQL's AND and OR keep it so; only NOT would make NULL of NULL, so
// negation renders as IS NOT TRUE.
type expr interface {
	appendSQL(dst []byte) []byte
	// with is the same expression with every value put through to.
	with(to func(value) value) expr
}

// value is what a condition tests: an SQL expression over columns. The columns
// are its arguments, so that it can tell them and be told of others.
type value struct {
	format  string // of fmt, with a %s or %[n]s for each of the columns; as it is where there are none
	columns []flow.Column
}

func (v value) String() string {
	if len(v.columns) == 0 {
		return v.format
	}
	names := make([]any, len(v.columns))
	for i, c := range v.columns {
		names[i] = quote(c.String())
	}
	return fmt.Sprintf(v.format, names...)
}

// column is the value that is just a column.
func column(c flow.Column) value { return value{"%s", []flow.Column{c}} }

func columns(list ...flow.Column) []value {
	values := make([]value, len(list))
	for i, c := range list {
		values[i] = column(c)
	}
	return values
}

// constant is `any`.
type constant bool

func (c constant) appendSQL(dst []byte) []byte { return strconv.AppendBool(dst, bool(c)) }

func (c constant) with(func(value) value) expr { return c }

// negation is `not x`.
type negation struct{ of expr }

func (n negation) appendSQL(dst []byte) []byte {
	dst = append(dst, '(')
	dst = n.of.appendSQL(dst)
	return append(dst, ") IS NOT TRUE"...)
}

func (n negation) with(to func(value) value) expr { return negation{n.of.with(to)} }

// junction is two or more terms joined by one operator.
type junction struct {
	operator string // " AND " or " OR "
	terms    []expr
}

// join flattens: a OR (b OR c) is one junction of three, so that a long chain
// stays flat in SQL, whose parser bounds the depth of an expression.
func join(operator string, terms ...expr) expr {
	var flat []expr
	for _, t := range terms {
		if j, ok := t.(junction); ok && j.operator == operator {
			flat = append(flat, j.terms...)
		} else {
			flat = append(flat, t)
		}
	}
	if len(flat) == 1 {
		return flat[0]
	}
	return junction{operator, flat}
}

func (j junction) appendSQL(dst []byte) []byte {
	dst = append(dst, '(')
	for i, t := range j.terms {
		if i > 0 {
			dst = append(dst, j.operator...)
		}
		dst = t.appendSQL(dst)
	}
	return append(dst, ')')
}

func (j junction) with(to func(value) value) expr {
	terms := make([]expr, len(j.terms))
	for i, t := range j.terms {
		terms[i] = t.with(to)
	}
	return junction{j.operator, terms}
}

// holds is a value that is itself true or not.
type holds struct{ value value }

func (h holds) appendSQL(dst []byte) []byte { return append(dst, h.value.String()...) }

func (h holds) with(to func(value) value) expr { return holds{to(h.value)} }

// notNull tests that a value is present.
type notNull struct{ value value }

func (n notNull) appendSQL(dst []byte) []byte {
	return append(append(dst, n.value.String()...), " IS NOT NULL"...)
}

func (n notNull) with(to func(value) value) expr { return notNull{to(n.value)} }

// comparison is one value against one literal.
type comparison struct {
	value    value
	operator string // = < <= > >=
	literal  string // SQL
}

func (c comparison) appendSQL(dst []byte) []byte {
	dst = append(dst, c.value.String()...)
	dst = append(dst, ' ')
	dst = append(dst, c.operator...)
	dst = append(dst, ' ')
	return append(dst, c.literal...)
}

func (c comparison) with(to func(value) value) expr {
	c.value = to(c.value)
	return c
}

// membership is one value in a set of literals and closed ranges.
type membership struct {
	value    value
	literals []string    // SQL
	ranges   [][2]string // SQL
}

func (m membership) appendSQL(dst []byte) []byte {
	terms := len(m.ranges)
	if len(m.literals) > 0 {
		terms++
	}
	if terms > 1 {
		dst = append(dst, '(')
	}
	switch len(m.literals) {
	case 0:
	case 1:
		dst = comparison{m.value, "=", m.literals[0]}.appendSQL(dst)
	default:
		dst = append(dst, m.value.String()...)
		dst = append(dst, " IN ("...)
		dst = append(dst, strings.Join(m.literals, ", ")...)
		dst = append(dst, ')')
	}
	for i, r := range m.ranges {
		if i > 0 || len(m.literals) > 0 {
			dst = append(dst, " OR "...)
		}
		dst = fmt.Appendf(dst, "%s BETWEEN %s AND %s", m.value, r[0], r[1])
	}
	if terms > 1 {
		dst = append(dst, ')')
	}
	return dst
}

func (m membership) with(to func(value) value) expr {
	m.value = to(m.value)
	return m
}

// maskTest is `flags SA`: all bits of the mask are set.
type maskTest struct {
	value value
	mask  uint64
}

func (m maskTest) with(to func(value) value) expr {
	m.value = to(m.value)
	return m
}

func (m maskTest) appendSQL(dst []byte) []byte {
	return fmt.Appendf(dst, "(%s & %d) = %d", m.value, m.mask, m.mask)
}

// anyBit is that any bit of the mask is set. Its negation is what `not flags
// SA` means: none of them. That is not the complement of `flags SA`, but
// nfdump's manual teaches `flags S and not flags AFRPU` for a lone SYN.
type anyBit maskTest

func (a anyBit) appendSQL(dst []byte) []byte {
	return fmt.Appendf(dst, "(%s & %d) > 0", a.value, a.mask)
}

func (a anyBit) with(to func(value) value) expr {
	a.value = to(a.value)
	return a
}

// opposedFlags is what `not` negates: an expression in which tests of all bits
// and of any bit have changed places, so that under an odd number of nots
// flags are none of those named, and not not x is x.
func opposedFlags(e expr) expr {
	switch e := e.(type) {
	case maskTest:
		return anyBit(e)
	case anyBit:
		return maskTest(e)
	case negation:
		return negation{opposedFlags(e.of)}
	case junction:
		terms := make([]expr, len(e.terms))
		for i, t := range e.terms {
			terms[i] = opposedFlags(t)
		}
		return junction{e.operator, terms}
	}
	return e
}

// call is a function of SQL, of one value and one literal, that is true or not.
type call struct {
	function string
	value    value
	literal  string // SQL
}

func (c call) appendSQL(dst []byte) []byte {
	return fmt.Appendf(dst, "%s(%s, %s)", c.function, c.value, c.literal)
}

func (c call) with(to func(value) value) expr {
	c.value = to(c.value)
	return c
}

// The literals of SQL.

// textLiteral renders text, which has no zero byte: in a string of standard
// SQL nothing but the quote is special.
func textLiteral(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

func uintLiteral(v uint64) string { return strconv.FormatUint(v, 10) }

// addrLiteral renders an address as the UUID that the Parquet files hold.
func addrLiteral(a flow.Addr) string {
	return fmt.Sprintf("'%x-%x-%x-%x-%x'::UUID", a[:4], a[4:6], a[6:8], a[8:10], a[10:])
}

func timeLiteral(t time.Time) string {
	return t.UTC().Format("'2006-01-02 15:04:05.000+00'::TIMESTAMPTZ")
}

// quote renders a column's name; some are reserved words of SQL.
func quote(name string) string { return `"` + name + `"` }

// prefixRange gives the first and the last address of a prefix.
func prefixRange(p netip.Prefix) (first, last flow.Addr) {
	first = flow.AddrFrom(p.Masked().Addr())
	last = first
	length := p.Bits()
	if p.Addr().Is4() {
		length += 96
	}
	for bit := length; bit < 128; bit++ {
		last[bit>>3] |= 0x80 >> (bit & 7)
	}
	return first, last
}

// isIPv4 tests whether an address is one of IPv4.
func isIPv4(address value) membership {
	first, last := prefixRange(netip.PrefixFrom(netip.AddrFrom4([4]byte{}), 0))
	return membership{value: address, ranges: [][2]string{{addrLiteral(first), addrLiteral(last)}}}
}
