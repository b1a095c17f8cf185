package query

import (
	"fmt"
	"slices"
	"strings"

	"github.com/minamo-flow/minamo/flow"
)

// Limits of a filter. Lists of many thousand addresses fit; what exceeds them
// is a mistake or an attack.
const (
	maxFilterBytes = 4 << 20
	maxFilterDepth = 100
)

// Filter is a parsed filter, ready to be used in any number of queries at
// once. A nil *Filter matches every flow.
type Filter struct {
	text string
	root expr
}

// String returns the filter as it was written.
func (f *Filter) String() string {
	if f == nil {
		return ""
	}
	return f.text
}

// SQL returns the filter as a condition over the columns of flow.Schema.
func (f *Filter) SQL() string {
	if f == nil {
		return "true"
	}
	return string(f.root.appendSQL(nil))
}

// Columns are those that the filter looks at.
func (f *Filter) Columns() flow.Mask {
	var mask flow.Mask
	if f != nil {
		f.root.with(func(v value) value {
			mask.Or(flow.MaskOf(v.columns...))
			return v
		})
	}
	return mask
}

// Swapped is the filter of the other direction: it matches a flow just if f
// matches that flow with source and destination exchanged, and with them
// everything else that has two sides (the table is opposites). Its String is
// that of f.
func (f *Filter) Swapped() *Filter {
	if f == nil {
		return nil
	}
	return &Filter{f.text, f.root.with(func(v value) value {
		swapped := value{v.format, slices.Clone(v.columns)}
		for i, c := range swapped.columns {
			if opposite, ok := flow.Lookup(opposites[c.String()]); ok {
				swapped.columns[i] = opposite
			}
		}
		return swapped
	})}
}

// FilterError says which word of a filter is wrong and what should stand there.
type FilterError struct {
	File       string // that the word is in, where the filter includes files; "" in the filter itself
	Line       int    // within the file, from 1; 0 in the filter itself
	Column     int    // of the word's first character, from 1: in the filter, or in the file's line
	Word       string // as written; "" at the end of the filter
	Expected   string // what could stand there, a noun phrase
	Reason     string // why a condition that is understood cannot be answered, "" where the word is just wrong
	Suggestion string // the word that was probably meant, "" where none is near
}

func (e *FilterError) Error() string {
	place := fmt.Sprintf("filter, column %d", e.Column)
	if e.File != "" {
		place = fmt.Sprintf("filter, %s:%d:%d", e.File, e.Line, e.Column)
	}
	if e.Reason != "" {
		return fmt.Sprintf("%s: %q cannot be answered: %s", place, e.Word, e.Reason)
	}
	found := fmt.Sprintf("%q", e.Word)
	if e.Word == "" {
		found = "the end of the filter"
	}
	s := fmt.Sprintf("%s: found %s, expected %s", place, found, e.Expected)
	if e.Suggestion != "" {
		s += fmt.Sprintf("; did you mean %q?", e.Suggestion)
	}
	return s
}

// ParseFilter parses a filter in nfdump's syntax; docs/filter.md has the
// grammar. An empty filter matches every flow. An error is always a
// *FilterError. No file is read: the filter may come from anyone.
func ParseFilter(text string) (*Filter, error) { return ParseFilterIncluding(text, nil) }

// ParseFilterIncluding is ParseFilter for a filter whose author may read files:
// `@include file` stands for what include returns.
func ParseFilterIncluding(text string, include func(file string) (string, error)) (*Filter, error) {
	if len(text) > maxFilterBytes {
		return nil, &FilterError{Column: 1, Word: text[:20] + "…", Expected: fmt.Sprintf("a filter of at most %d bytes", maxFilterBytes)}
	}
	p := parser{grammar: language()}
	root, err := p.parse(text, include)
	if err != nil {
		return nil, err
	}
	return &Filter{text, root}, nil
}

// parser is a recursive-descent parser with one token of look-ahead (a few
// where phrases such as `src or dst port` need them).
type parser struct {
	*grammar
	tokens []token
	next   int
	depth  int
	offers *offers // where not nil, takes down what the end of the filter could be instead
}

// parse parses a whole filter.
func (p *parser) parse(text string, include func(string) (string, error)) (expr, *FilterError) {
	l := lexer{include: include}
	whole := &source{text: text}
	if err := l.lex(whole); err != nil {
		return nil, err
	}
	p.tokens = append(l.tokens, token{endOfFilter, "", len(text), whole})
	if len(l.tokens) == 0 && p.offers == nil {
		return constant(true), nil
	}
	root, err := p.disjunction()
	if err != nil {
		return nil, err
	}
	if t := p.peek(); t.kind != endOfFilter {
		if t.is(")") {
			return nil, p.unexpected("and, or, or the end of the filter: no ( is open")
		}
		return nil, p.unexpected("and, or, or the end of the filter", "and", "or")
	}
	return root, nil
}

func (p *parser) peek() token { return p.tokens[p.next] }

// ahead returns the token n places after the next one.
func (p *parser) ahead(n int) token {
	return p.tokens[min(p.next+n, len(p.tokens)-1)]
}

func (p *parser) advance() token {
	t := p.peek()
	if t.kind != endOfFilter {
		p.next++
	}
	return t
}

// accept consumes the next token if it is one of the given signs or keywords,
// the usual one first.
func (p *parser) accept(texts ...string) bool {
	p.offer(texts[0])
	for _, text := range texts {
		if p.peek().is(text) {
			p.next++
			return true
		}
	}
	return false
}

// unexpected makes the error for the next token. Of the candidates, the one
// nearest to it is suggested.
func (p *parser) unexpected(expected string, candidates ...string) *FilterError {
	t := p.peek()
	err := errorAt(t, expected)
	if t.kind == word {
		err.Suggestion = nearest(t.text, candidates)
	}
	return err
}

// disjunction = conjunction { ("or" | "||") conjunction }
func (p *parser) disjunction() (expr, *FilterError) {
	return p.chain(" OR ", (*parser).conjunction, "or", "||")
}

// conjunction = factor { ("and" | "&&") factor }
func (p *parser) conjunction() (expr, *FilterError) {
	return p.chain(" AND ", (*parser).factor, "and", "&&")
}

func (p *parser) chain(operator string, operand func(*parser) (expr, *FilterError), keywords ...string) (expr, *FilterError) {
	first, err := operand(p)
	if err != nil {
		return nil, err
	}
	terms := []expr{first}
	for p.accept(keywords...) {
		term, err := operand(p)
		if err != nil {
			return nil, err
		}
		terms = append(terms, term)
	}
	return join(operator, terms...), nil
}

// factor = ("not" | "!") factor | "(" disjunction ")" | primitive
func (p *parser) factor() (expr, *FilterError) {
	p.depth++
	defer func() { p.depth-- }()
	if p.depth > maxFilterDepth {
		return nil, p.unexpected(fmt.Sprintf("a filter nested at most %d deep", maxFilterDepth))
	}
	switch {
	case p.accept("not", "!"):
		of, err := p.factor()
		if err != nil {
			return nil, err
		}
		return negation{opposedFlags(of)}, nil
	case p.accept("("):
		inner, err := p.disjunction()
		if err != nil {
			return nil, err
		}
		if !p.accept(")") {
			return nil, p.unexpected("and, or, or a closing )", "and", "or")
		}
		return inner, nil
	}
	return p.primitive()
}

// primitive = phrase [operand]; see the table in primitive.go.
func (p *parser) primitive() (expr, *FilterError) {
	// `src or dst port 53`: two sides before one subject.
	if first, op := p.peek(), p.ahead(1); isSide(first) && (op.is("or") || op.is("||") || op.is("and") || op.is("&&")) {
		p.next += 2
		second := p.peek()
		if !isSide(second) {
			p.offer(sides...)
			return nil, p.unexpected("one of "+strings.Join(sides, ", ")+" after "+op.text, sides...)
		}
		p.next++
		return p.operand(op.is("and") || op.is("&&"), first.text, second.text)
	}
	return p.operand(false, "")
}

// sides can stand before a subject: `src port`, `in if`.
var sides = []string{"src", "dst", "in", "out"}

func isSide(t token) bool { return t.kind == word && slices.ContainsFunc(sides, t.is) }

// operand parses a phrase and what follows it: `present`, or what its values
// are compared with. A text that is just that word is quoted. What stands
// before the phrase is consumed already; all values or one must pass the test.
func (p *parser) operand(all bool, before ...string) (expr, *FilterError) {
	ph, err := p.phrase(before)
	if err != nil {
		return nil, err
	}
	if len(ph.values) > 0 && p.accept("present") {
		return forEach(ph.values, all, func(v value) expr { return notNull{v} }), nil
	}
	return ph.parse(p, ph.values, all)
}

// phrase consumes the longest run of words that names a primitive after each of
// what stands before, and has the values of all of them.
func (p *parser) phrase(before []string) (longest phrase, err *FilterError) {
	keys := make([]string, len(before))
	for i, b := range before {
		keys[i] = strings.ToLower(b)
	}
	// next are the words that can follow now, after all of the keys.
	next := func() []string {
		return slices.DeleteFunc(slices.Clone(p.following[keys[0]]), func(w string) bool {
			return slices.ContainsFunc(keys[1:], func(key string) bool { return !slices.Contains(p.following[key], w) })
		})
	}
	start, length, read := p.next, 0, slices.Clone(keys)
	for known := true; known; {
		copy(read, keys)
		if p.offering() {
			p.offerPhrases(keys[0], next())
		}
		t := p.peek()
		if t.kind != word {
			break
		}
		found := phrase{primitive: -1}
		named := true
		for i := range keys {
			keys[i] = strings.TrimSpace(keys[i] + " " + strings.ToLower(t.text))
			if reason, refused := p.refused[keys[i]]; refused {
				return phrase{}, refusal(p.tokens[start], reason)
			}
			ph, ok := p.phrases[keys[i]]
			named = named && ok && (i == 0 || ph.primitive == found.primitive)
			found = phrase{ph.primitive, slices.Concat(found.values, ph.values), ph.parse}
			known = known && p.begins[keys[i]]
		}
		if named || known {
			p.next++
		}
		if named {
			longest, length = found, p.next-start
		}
	}
	if length == 0 {
		copy(keys, read) // without the word that is wrong
		return phrase{}, p.unexpected(expectedAfter(strings.Join(keys, " or "), next()), next()...)
	}
	p.next = start + length
	return longest, nil
}

func expectedAfter(begin string, candidates []string) string {
	if begin == "" {
		return "a condition such as ip, net, port, proto, if, as, bytes, packets or a column's name"
	}
	return "one of " + few(candidates) + " after " + begin
}

// few lists the first of some words, as many as fit into an error.
func few(words []string) string {
	const most = 12
	if len(words) > most {
		words = append(words[:most-1:most-1], "…")
	}
	return strings.Join(words, ", ")
}

// nearest returns the candidate that differs least from what was written, of
// several the one that begins alike for longest, or "" where all differ too
// much to be meant.
func nearest(written string, candidates []string) string {
	written = strings.ToLower(written)
	best, least, alike := "", min(2, (len(written)-1)/2)+1, 0
	for _, c := range candidates {
		prefix := 0
		for prefix < min(len(written), len(c)) && written[prefix] == c[prefix] {
			prefix++
		}
		if d := editDistance(written, c, least+1); d < least || d == least && best != "" && prefix > alike {
			best, least, alike = c, d, prefix
		}
	}
	return best
}

// editDistance counts insertions, deletions, replacements and swaps of
// neighbours that make a of b; it gives up at limit.
func editDistance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	var before []int
	last := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
