package query

import (
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/minamo-flow/minamo/flow"
)

// ebnf is the grammar of docs/filter.md: rules of tokens, those of values apart,
// whose tokens stand without space between.
type ebnf struct {
	rules  map[string][]string
	values map[string]bool
}

var ebnfToken = regexp.MustCompile(`"[^"]*"|\?[^?]*\?|[][(){}|,;=]|[A-Za-z][A-Za-z ]*[A-Za-z]|[A-Za-z]`)

func readGrammar(t *testing.T) *ebnf {
	text, err := os.ReadFile("../docs/filter.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "```ebnf\n")
	grammar, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("docs/filter.md has no grammar")
	}
	syntax, values, ok := strings.Cut(grammar, "(* Values.")
	if !ok {
		t.Fatal("the grammar has no values")
	}
	_, values, _ = strings.Cut(values, "*)")
	g := &ebnf{map[string][]string{}, map[string]bool{}}
	for i, part := range []string{syntax, values} {
		tokens := ebnfToken.FindAllString(part, -1)
		for len(tokens) > 0 {
			end := slices.Index(tokens, ";")
			if end < 3 || tokens[1] != "=" {
				t.Fatalf("a rule of the grammar: %q", tokens[:min(len(tokens), 10)])
			}
			g.rules[tokens[0]] = tokens[2:end]
			g.values[tokens[0]] = i == 1
			tokens = tokens[end+1:]
		}
	}
	return g
}

// derivation makes filters of the grammar at random.
type derivation struct {
	*ebnf
	t     *testing.T
	r     *rand.Rand
	depth int
	used  map[string]bool
	of    *Primitive // that the last phrase began
}

// rule derives a rule.
func (d *derivation) rule(name string) string {
	d.used[name] = true
	tokens, ok := d.rules[name]
	if !ok {
		d.t.Fatalf("the grammar has no rule %q", name)
	}
	d.depth++
	defer func() { d.depth-- }()
	words := d.sequence(tokens)
	separator := " "
	if d.values[name] {
		separator = ""
	}
	return strings.Join(words, separator)
}

// sequence derives alternatives of tokens.
func (d *derivation) sequence(tokens []string) []string {
	alternatives := [][]string{nil}
	depth := 0
	for _, t := range tokens {
		switch {
		case strings.Contains("([{", t):
			depth++
		case strings.Contains(")]}", t):
			depth--
		case t == "|" && depth == 0:
			alternatives = append(alternatives, nil)
			continue
		}
		alternatives[len(alternatives)-1] = append(alternatives[len(alternatives)-1], t)
	}
	// Deep down, only the last ends: it is the simplest, or not recursive.
	tokens = pick(d.r, alternatives...)
	if d.depth > 7 {
		tokens = alternatives[len(alternatives)-1]
	}
	var words []string
	for i := 0; i < len(tokens); i++ {
		t := tokens[i]
		switch {
		case t == ",":
		case strings.Contains("([{", t):
			end, depth := i, 0
			for ; ; end++ {
				if strings.Contains("([{", tokens[end]) {
					depth++
				} else if strings.Contains(")]}", tokens[end]) {
					depth--
				}
				if depth == 0 {
					break
				}
			}
			times := 1
			switch {
			case t == "[":
				times = d.r.IntN(2)
			case t == "{":
				times = d.r.IntN(3)
			}
			if d.depth > 7 && t != "(" {
				times = 0
			}
			for range times {
				words = append(words, d.sequence(tokens[i+1:end])...)
			}
			i = end
		case t[0] == '"':
			words = append(words, strings.Trim(t, `"`))
		case t[0] == '?':
			// The rule that it stands in is all of it.
			words = append(words, t)
		default:
			words = append(words, d.rule(t))
		}
	}
	return words
}

// special derives what the grammar tells in words.
func (d *derivation) special(name string) string {
	d.used[name] = true
	switch name {
	case "address":
		return pick(d.r, "192.0.2.1", "2001:db8::1", "10/8", "::/0")
	case "prefix":
		return pick(d.r, "192.0.2.0/24", "10.0.0.0 255.0.0.0", "2001:db8::/32", "172.16/12")
	case "MAC address":
		return "00:00:5e:00:53:01"
	case "time":
		return pick(d.r, "2026-11-22T10:00:00Z", "'2026-11-22 10:00'", "2026-11", "2026")
	case "protocol":
		return pick(d.r, "tcp", "ospf", "17", "IPv6-ICMP")
	case "DSCP":
		return pick(d.r, "ef", "AF41", "46")
	case "status":
		return pick(d.r, "dropped", "acl-deny", "130")
	case "event":
		return pick(d.r, "create", "delete", "3")
	case "reason":
		return pick(d.r, "ingress", "nosyn", "1001")
	case "name or number":
		return pick(d.r, "1", "2")
	case "quoted name":
		return pick(d.r, "'xe-0/0/0'", `"Ethernet7"`, "'7'")
	case "text", "word", "regex":
		return pick(d.r, "alice", `"o'brien"`, "'in'", "64496:100")
	}
	if d.values[name] {
		text := d.rule(name)
		if name == "number" || name == "duration" || name == "flags" && text[0] <= '9' {
			return pick(d.r, "0", "1", "0x1") // any number is of the grammar, but of some columns too great
		}
		return text
	}
	d.t.Fatalf("the table names %q, and the grammar has no rule for it", name)
	return ""
}

// operand derives what the table says to follow a phrase.
func (d *derivation) operand(notation string) string {
	if notation == "" {
		return ""
	}
	var alternatives []string
	for depth, start, i := 0, 0, 0; i <= len(notation); i++ {
		switch {
		case i == len(notation), depth == 0 && notation[i] == '|':
			alternatives = append(alternatives, strings.TrimSpace(notation[start:i]))
			start = i + 1
		case notation[i] == '[':
			depth++
		case notation[i] == ']':
			depth--
		}
	}
	one := pick(d.r, alternatives...)
	if value, ok := strings.CutPrefix(one, "in [ "); ok {
		value = strings.TrimSuffix(value, " … ]")
		values := make([]string, 1+d.r.IntN(3))
		for i := range values {
			values[i] = d.special(value)
		}
		return "in [" + strings.Join(values, pick(d.r, " ", ", ", ",")) + "]"
	}
	if value, ok := strings.CutPrefix(one, "[= | !=] "); ok {
		return pick(d.r, "", "= ", "!= ") + d.special(value)
	}
	if value, ok := strings.CutPrefix(one, "[comparator] "); ok {
		comparator := pick(d.r, "", d.rule("comparator")+" ")
		value = d.special(value)
		if comparator != "" && slices.Contains([]string{"dropped"}, value) {
			comparator = "= " // a class is several values
		}
		return comparator + value
	}
	for _, word := range []string{"contains", "has", "~", "denied"} {
		if value, ok := strings.CutPrefix(one, word+" "); ok {
			return word + " " + d.special(value)
		}
	}
	if one == "present" || one == "in pblock" {
		return one
	}
	return d.special(one)
}

// condition puts a phrase of the table and its operand in the place of what the
// grammar says of both.
func (d *derivation) condition(text string) string {
	table := Primitives()
	for strings.Contains(text, "?") {
		before, rest, _ := strings.Cut(text, "?")
		_, rest, _ = strings.Cut(rest, "?") // the phrase's words
		_, after, _ := strings.Cut(rest, "?")
		_, after, _ = strings.Cut(after, "?") // the operand's
		words := strings.Fields(before)
		p := pick(d.r, table...)
		phrase := pick(d.r, p.Words...)
		// With two sides before it, a phrase must go with both.
		if n := len(words); n >= 3 && isSide(token{kind: word, text: words[n-1]}) {
			before = strings.Join(words[:n-3], " ") + pick(d.r, " src or dst ", " DST && src ", " in || out ")
			phrase = "vlan"
			p = table[slices.IndexFunc(table, func(p Primitive) bool { return slices.Contains(p.Words, phrase) })]
		}
		text = before + phrase + " " + d.operand(p.Operand) + after
	}
	return text
}

// TestGrammarInDocs holds the parser to the grammar of docs/filter.md: all that
// is derived from it parses, all that the table names is in it, and no rule is
// idle.
func TestGrammarInDocs(t *testing.T) {
	d := &derivation{ebnf: readGrammar(t), t: t, r: rand.New(rand.NewPCG(2, 2)), used: map[string]bool{}}
	for range 2000 {
		text := d.condition(d.rule("filter"))
		f, err := ParseFilter(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if f.Columns() == (flow.Mask{}) && strings.Contains(text, "src") {
			t.Errorf("%s has no columns", text)
		}
	}
	for _, p := range Primitives() {
		for range 20 {
			if text := strings.TrimSpace(p.Words[0] + " " + d.operand(p.Operand)); text != "" {
				if _, err := ParseFilter(text); err != nil {
					t.Errorf("%s: %v", text, err)
				}
			}
		}
	}
	for range 200 {
		for _, text := range []string{"bytes " + d.rule("integer"), "duration " + d.rule("span"), "flags " + d.special("flags")} {
			if _, err := ParseFilter(text); err != nil {
				t.Errorf("%s: %v", text, err)
			}
		}
	}
	for name := range d.rules {
		if !d.used[name] {
			t.Errorf("nothing is derived from the grammar's rule %q", name)
		}
	}
	for sign := range comparators {
		if !slices.Contains(d.rules["comparator"], fmt.Sprintf("%q", sign)) {
			t.Errorf("comparator %s is not in the grammar", sign)
		}
	}
}
