package query

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// token is one word or sign of a filter. A word is a run of characters that
// can stand in names, numbers, addresses, prefixes and times; what it means
// depends on where it stands, so the lexer leaves that to the parser.
type token struct {
	kind   tokenKind
	text   string // as written; of a quoted string, what is between the quotes
	offset int    // of its first byte in the text it is from
	from   *source
}

// source is a text that tokens are from: the filter, or a file that it includes.
type source struct {
	file string // its name, "" of the filter itself
	text string
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

// lexer splits a filter into tokens, and the files that it includes.
type lexer struct {
	tokens  []token
	include func(file string) (string, error) // nil where files are not to be read
	depth   int                               // of files that include files
	bytes   int                               // of all texts so far
	comment bool                              // the text ends within a comment
}

const maxIncludeDepth = 10

// lex appends the tokens of a text.
func (l *lexer) lex(from *source) *FilterError {
	text := from.text
	l.bytes += len(text)
	l.comment = false
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
		case c == '#':
			end := strings.IndexByte(text[i:], '\n')
			if l.comment = end < 0; l.comment {
				end = len(text) - i
			}
			i += end
		case c == '"' || c == '\'':
			length := strings.IndexByte(text[i+1:], c)
			if length < 0 {
				return errorAt(token{word, text[i:], i, from}, "a closing "+string(c))
			}
			l.tokens = append(l.tokens, token{quoted, text[i+1 : i+1+length], i, from})
			i += length + 2
		case isWordByte(c):
			start := i
			i = endOfWord(text, i)
			t := token{word, text[start:i], start, from}
			if !t.is("@include") {
				l.tokens = append(l.tokens, t)
				continue
			}
			for i < len(text) && (text[i] == ' ' || text[i] == '\t') {
				i++
			}
			name := i
			for i < len(text) && strings.IndexByte(" \t\r\n", text[i]) < 0 {
				i++
			}
			if err := l.file(t, token{word, text[name:i], name, from}); err != nil {
				return err
			}
		default:
			found := false
			for _, s := range signs {
				if strings.HasPrefix(text[i:], s) {
					l.tokens = append(l.tokens, token{sign, s, i, from})
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
				return errorAt(token{word, text[i : i+1], i, from}, expected)
			}
		}
	}
	return nil
}

// file puts the tokens of a file in the place of `@include file`.
func (l *lexer) file(at, name token) *FilterError {
	switch {
	case l.include == nil:
		return refusal(at, "only `minamo` on the command line reads files")
	case name.text == "":
		return errorAt(name, "the name of a file after @include")
	case l.depth == maxIncludeDepth:
		return errorAt(name, fmt.Sprintf("files that include files at most %d deep", maxIncludeDepth))
	}
	text, err := l.include(name.text)
	if err != nil {
		return refusal(name, err.Error())
	}
	if l.bytes+len(text) > maxFilterBytes {
		return errorAt(name, fmt.Sprintf("files of at most %d bytes together", maxFilterBytes))
	}
	l.depth++
	wrong := l.lex(&source{name.text, text})
	l.depth--
	l.comment = false
	return wrong
}

// endOfWord is where the word ends that goes on at an offset.
func endOfWord(text string, at int) int {
	for at < len(text) && isWordByte(text[at]) {
		at++
	}
	return at
}

// errorAt makes the error for a token.
func errorAt(t token, expected string) *FilterError {
	err := &FilterError{File: t.from.file, Word: t.text, Expected: expected}
	before := t.from.text[:t.offset]
	if err.File != "" {
		err.Line = 1 + strings.Count(before, "\n")
		before = before[strings.LastIndexByte(before, '\n')+1:]
	}
	err.Column = 1 + utf8.RuneCountInString(before)
	return err
}

// refusal makes the error for a word that is understood and cannot be answered.
func refusal(t token, reason string) *FilterError {
	err := errorAt(t, "another condition")
	err.Reason = reason
	return err
}
