package netflow

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxText bounds a name that an exporter gives.
const maxText = 256

// Text returns the value of an IANA or NetFlow v9 element as text: up to the
// zero that ends it, without control characters and what isn't UTF-8, without
// space around it, and no longer than 256 bytes.
func (r OptionRecord) Text(element uint16) string {
	f, _ := r.Find(0, element)
	return f.Text()
}

// Text returns the field's value as OptionRecord.Text does.
func (f OptionField) Text() string {
	v := f.Value
	for i, c := range v {
		if c == 0 {
			v = v[:i]
			break
		}
	}
	v = v[:min(len(v), maxText)]
	for len(v) > 0 { // a character cut in two
		if c, n := utf8.DecodeLastRune(v); c != utf8.RuneError || n != 1 || len(v) < maxText {
			break
		}
		v = v[:len(v)-1]
	}
	text := strings.Map(func(c rune) rune {
		if c == utf8.RuneError || unicode.IsControl(c) {
			return -1
		}
		return c
	}, string(v))
	return strings.TrimSpace(text)
}
