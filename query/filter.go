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
	Column     int    // of the word's first character, from 1
	Word       string // as written; "" at the end of the filter
	Expected   string // what could stand there, a noun phrase
	Suggestion string // the word that was probably meant, "" where none is near
}

func (e *FilterError) Error() string {
	found := fmt.Sprintf("%q", e.Word)
	if e.Word == "" {
		found = "the end of the filter"
	}
	s := fmt.Sprintf("filter, column %d: found %s, expected %s", e.Column, found, e.Expected)
	if e.Suggestion != "" {
		s += fmt.Sprintf("; did you mean %q?", e.Suggestion)
	}
	return s
}

// ParseFilter parses a filter in nfdump's syntax; docs/filter.md has the
// grammar. An empty filter matches every flow. An error is always a
// *FilterError.
func ParseFilter(text string) (*Filter, error) {
	if len(text) > maxFilterBytes {
		return nil, &FilterError{Column: 1, Word: text[:20] + "…", Expected: fmt.Sprintf("a filter of at most %d bytes", maxFilterBytes)}
	}
	tokens, err := lex(text)
	if err != nil {
		return nil, err
	}
	p := parser{grammar: language(), text: text, tokens: tokens}
	if p.peek().kind == endOfFilter {
		return &Filter{text: text, root: constant(true)}, nil
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
	return &Filter{text: text, root: root}, nil
}

// parser is a recursive-descent parser with one token of look-ahead (a few
// where phrases such as `src or dst port` need them).
type parser struct {
	*grammar
	text   string
	tokens []token
	next   int
	depth  int
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

// accept consumes the next token if it is one of the given signs or keywords.
func (p *parser) accept(texts ...string) bool {
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
	err := errorAt(p.text, t.offset, t.text, expected)
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
		if flags, ok := of.(maskTest); ok {
			return negation{anyBit(flags)}, nil
		}
		return negation{of}, nil
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
	if first, op, second := p.peek(), p.ahead(1), p.ahead(2); isSide(first) && isSide(second) {
		all := op.is("and") || op.is("&&")
		if all || op.is("or") || op.is("||") {
			p.next += 3
			return p.twoSided(strings.ToLower(first.text), strings.ToLower(second.text), all)
		}
	}
	ph, err := p.phrase("")
	if err != nil {
		return nil, err
	}
	return p.operand(ph, ph.values, false)
}

// twoSided parses the rest of `src or dst SUBJECT …` once, for both sides.
func (p *parser) twoSided(first, second string, all bool) (expr, *FilterError) {
	start := p.next
	a, err := p.phrase(first)
	if err != nil {
		return nil, err
	}
	after := p.next
	p.next = start
	b, err := p.phrase(second)
	if err != nil {
		return nil, err
	}
	if p.next != after || a.primitive != b.primitive {
		p.next = start
		return nil, p.unexpected("a word that goes with both " + first + " and " + second)
	}
	values := append(append([]value(nil), a.values...), b.values...)
	return p.operand(a, values, all)
}

// operand parses what follows a phrase: `present`, or what its values are
// compared with. A text that is just that word is quoted.
func (p *parser) operand(ph phrase, values []value, all bool) (expr, *FilterError) {
	if len(values) > 0 && p.accept("present") {
		return forEach(values, all, func(v value) expr { return notNull{v} }), nil
	}
	return ph.parse(p, values, all)
}

// isSide tells whether t can stand before a subject: `src port`, `in if`.
func isSide(t token) bool {
	return t.is("src") || t.is("dst") || t.is("in") || t.is("out")
}

// phrase consumes the longest run of words that names a primitive. side is
// what stands before, already consumed, or "".
func (p *parser) phrase(side string) (phrase, *FilterError) {
	longest, length := phrase{}, 0
	key := side
	known := 0 // words that begin some phrase
	for n := 0; n < p.maxWords; n++ {
		t := p.ahead(n)
		if t.kind != word {
			break
		}
		if key != "" {
			key += " "
		}
		key += strings.ToLower(t.text)
		if ph, ok := p.phrases[key]; ok {
			longest, length = ph, n+1
		}
		if _, ok := p.following[key]; !ok {
			break
		}
		known = n + 1
	}
	if length == 0 {
		p.next += known
		begin := strings.ToLower(side + " " + joinWords(p.tokens[p.next-known:p.next]))
		candidates := p.following[strings.TrimSpace(begin)]
		return phrase{}, p.unexpected(expectedAfter(strings.TrimSpace(begin), candidates), candidates...)
	}
	p.next += length
	return longest, nil
}

func joinWords(tokens []token) string {
	words := make([]string, len(tokens))
	for i, t := range tokens {
		words[i] = t.text
	}
	return strings.Join(words, " ")
}

func expectedAfter(begin string, candidates []string) string {
	if begin == "" {
		return "a condition such as ip, net, port, proto, if, as, bytes, packets or a column's name"
	}
	return "one of " + strings.Join(candidates, ", ") + " after " + begin
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
