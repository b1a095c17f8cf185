package query

import (
	"strings"
	"unicode/utf8"
)

// Completion is what can stand at a position of a filter: what an editor shows
// while somebody types.
type Completion struct {
	From  int    // the span that a word takes the place of: characters of the filter, from 0
	To    int    //
	Value string // the kind of value expected, as in docs/filter.md: "number", "address", "text" …; "" for none
	Words []Word // that can stand there
}

// Word is one that can stand in a filter.
type Word struct {
	Text string // as it is to be inserted
	Kind WordKind
	Doc  string // a line, "" where the word says it all
}

// WordKind tells what a word of the language is.
type WordKind string

const (
	phraseKind  WordKind = "condition" // it begins or continues a condition
	columnKind  WordKind = "column"    // a condition that is called as a column of the flow record
	keywordKind WordKind = "keyword"   // and, or, not, in, comparators, brackets
	valueKind   WordKind = "value"     // a name that the condition knows
)

// Complete tells what can stand at a position of a filter, in characters from 0.
// Where a word stands already, its beginning up to the position chooses among
// what can, and the whole is replaced. What it offers, the parser takes: a text
// that ends with an offered word is a filter, or the beginning of one. Behind a
// mistake there is nothing to offer.
func Complete(text string, at int) Completion {
	// From characters to bytes, and the word there.
	position := len(text)
	for i := range text {
		if at <= 0 {
			position = i
			break
		}
		at--
	}
	before, begun, end := text[:position], "", position
	l := lexer{}
	whole := &source{text: before}
	if err := l.lex(whole); err != nil || l.comment || len(before) > maxFilterBytes {
		return Completion{From: utf8.RuneCountInString(before), To: utf8.RuneCountInString(before)}
	}
	if n := len(l.tokens) - 1; n >= 0 {
		if t := l.tokens[n]; t.kind == word && t.offset+len(t.text) == position {
			before, begun, end = text[:t.offset], t.text, endOfWord(text, position)
		}
	}

	p := parser{grammar: language(), offers: &offers{}}
	p.parse(before, nil)
	c := Completion{
		From:  utf8.RuneCountInString(before),
		To:    utf8.RuneCountInString(text[:end]),
		Value: p.offers.value,
		Words: []Word{},
	}
	for _, w := range p.offers.words {
		if len(w.Text) >= len(begun) && strings.EqualFold(w.Text[:len(begun)], begun) {
			c.Words = append(c.Words, w)
		}
	}
	return c
}

// offers are what a parser would have taken in place of the end of the filter.
type offers struct {
	words []Word
	value string
}

// offering tells whether what could stand here is asked for.
func (p *parser) offering() bool { return p.offers != nil && p.peek().kind == endOfFilter }

// offer takes down keywords and signs.
func (p *parser) offer(words ...string) {
	if p.offering() {
		for _, w := range words {
			p.offers.add(Word{w, keywordKind, keywordDocs[w]})
		}
	}
}

// offerPhrases takes down the words that continue a phrase.
func (p *parser) offerPhrases(begin string, words []string) {
	if !p.offering() {
		return
	}
	for _, w := range words {
		key := strings.TrimSpace(begin + " " + w)
		ph, complete := p.phrases[key]
		switch {
		case w == "not":
			p.offer(w)
		case complete && ph.primitive >= len(primitives):
			p.offers.add(Word{w, columnKind, p.primitives[ph.primitive].doc})
		case complete:
			p.offers.add(Word{w, phraseKind, p.primitives[ph.primitive].doc})
		default:
			p.offers.add(Word{w, phraseKind, key + " " + strings.Join(p.following[key], ", ") + " …"})
		}
	}
}

// offerValue takes down that a value is expected, and the names it can have.
func (p *parser) offerValue(what string, names ...string) {
	if !p.offering() {
		return
	}
	p.offers.value = what
	for _, name := range names {
		if endOfWord(name, 0) < len(name) {
			name = "'" + name + "'"
		}
		p.offers.add(Word{Text: name, Kind: valueKind})
	}
}

func (o *offers) add(w Word) {
	for _, known := range o.words {
		if known.Text == w.Text {
			return
		}
	}
	o.words = append(o.words, w)
}

var keywordDocs = map[string]string{
	"and":      "Both conditions hold; binds closer than or.",
	"or":       "Either condition holds.",
	"not":      "The condition does not hold.",
	"in":       "One of a list: in [ … ].",
	"pblock":   "The block of ports that a NAT gave to the subscriber.",
	"present":  "The device told it.",
	"contains": "The text is somewhere in it.",
	"has":      "One of its words, between spaces and braces.",
	"~":        "The regular expression matches some of it.",
	"src":      "The source's side.",
	"dst":      "The destination's side.",
	"out":      "The side that the packets left by.",
}
