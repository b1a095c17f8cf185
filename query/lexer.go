package query

import (
	"strings"
	"unicode/utf8"
)

// token is one word or sign of a filter. A word is a run of characters that
// can stand in names, numbers, addresses, prefixes and times; what it means
// depends on where it stands, so the lexer leaves that to the parser.
type token struct {
	kind   tokenKind
	text   string // as written; of a quoted string, what is between the quotes
	offset int    // of its first byte in the filter
}

type tokenKind uint8

const (
	endOfFilter tokenKind = iota
	word
	quoted
	sign
)

// is tells whether t is the given sign, or the given keyword in any case.
func (t token) is(text string) bool {
	return (t.kind == sign || t.kind == word) && strings.EqualFold(t.text, text)
}

// signs, the longer ones first where one begins another.
var signs = []string{"==", "!=", ">=", "<=", "&&", "||", "=", ">", "<", "!", "~", "(", ")", "[", "]", ","}

func isWordByte(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' ||
		c >= utf8.RuneSelf || strings.IndexByte("._:/-+*%@", c) >= 0
}

// lex splits a filter into tokens; the last one is always endOfFilter.
func lex(text string) ([]token, *FilterError) {
	var tokens []token
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
		case c == '#':
			end := strings.IndexByte(text[i:], '\n')
			if end < 0 {
				end = len(text) - i
			}
			i += end
		case c == '"' || c == '\'':
			length := strings.IndexByte(text[i+1:], c)
			if length < 0 {
				return nil, errorAt(text, i, text[i:], "a closing "+string(c))
			}
			tokens = append(tokens, token{quoted, text[i+1 : i+1+length], i})
			i += length + 2
		case isWordByte(c):
			start := i
			for i < len(text) && isWordByte(text[i]) {
				i++
			}
			tokens = append(tokens, token{word, text[start:i], start})
		default:
			found := false
			for _, s := range signs {
				if strings.HasPrefix(text[i:], s) {
					tokens = append(tokens, token{sign, s, i})
					i += len(s)
					found = true
					break
				}
			}
			if !found {
				expected := "a word, a number, an address or one of ( ) [ ] , ! = == != < <= > >= ~ && ||"
				switch c {
				case '&', '|':
					expected = string(c) + string(c)
				}
				return nil, errorAt(text, i, text[i:i+1], expected)
			}
		}
	}
	return append(tokens, token{kind: endOfFilter, offset: len(text)}), nil
}

// errorAt makes the error for the word that starts at a byte offset of text.
func errorAt(text string, offset int, word, expected string) *FilterError {
	return &FilterError{
		Column:   1 + utf8.RuneCountInString(text[:offset]),
		Word:     word,
		Expected: expected,
	}
}
