package nfdump

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
)

var bufferFull = bufio.ErrBufferFull

// nextJSON reads the next object, from an array or from objects one after the
// other. nfdump's objects are flat: names with numbers or strings.
//
// nfdump escapes nothing. A string that holds a quote makes an object that
// cannot be read; that is an error with its record's number.
func (r *Reader) nextJSON() error {
	for {
		c, err := r.in.ReadByte()
		if err != nil {
			return err
		}
		switch c {
		case ' ', '\t', '\r', '\n', ',', '[', ']':
		case '{':
			r.number++
			return r.object()
		case 'N': // "No matching flows"
			line, err := r.in.ReadSlice('\n')
			if string(line) != "o matching flows\n" || err != nil {
				return errors.New("expected an object")
			}
		default:
			r.number++
			return fmt.Errorf("expected an object, found %q", rune(c))
		}
	}
}

// object reads what follows the opening brace.
func (r *Reader) object() error {
	text := &r.record.text
	text.begin()
	r.fields = r.fields[:0]
	for first := true; ; first = false {
		c, err := r.skipSpace()
		if err != nil {
			return err
		}
		switch {
		case c == '}':
			return nil
		case !first && c == ',':
			if c, err = r.skipSpace(); err != nil {
				return err
			}
			if c == '}' { // some versions end so
				return nil
			}
		case !first:
			return fmt.Errorf("expected a comma or } between fields, found %q", rune(c))
		}
		if c != '"' {
			return fmt.Errorf("expected the name of a field, found %q", rune(c))
		}
		name, err := r.str(text)
		if err != nil {
			return err
		}
		if c, err = r.skipSpace(); err != nil {
			return err
		}
		if c != ':' {
			return fmt.Errorf("expected : after %.60q, found %q", name, rune(c))
		}
		if c, err = r.skipSpace(); err != nil {
			return err
		}
		var value []byte
		if c == '"' {
			value, err = r.str(text)
		} else {
			value, err = r.scalar(c, text)
		}
		if err != nil {
			return fmt.Errorf("field %.60s: %w", name, err)
		}
		if r.ignore[string(name)] {
			continue
		}
		f := jsonFields[string(name)]
		if f == nil {
			return fmt.Errorf("field %.60q is not known: leave it out with --ignore", name)
		}
		if c != '"' && string(value) == "null" {
			continue
		}
		r.fields = append(r.fields, pair{f, value})
	}
}

// skipSpace returns the next character that is no space.
func (r *Reader) skipSpace() (byte, error) {
	for {
		c, err := r.in.ReadByte()
		if err != nil {
			return 0, unexpected(err)
		}
		if c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			return c, nil
		}
	}
}

// str reads a string whose opening quote is behind us.
func (r *Reader) str(text *arena) ([]byte, error) {
	from, escaped := text.len(), false
	for {
		c, err := r.in.ReadByte()
		if err != nil {
			return nil, unexpected(err)
		}
		if c == '"' {
			break
		}
		if err := text.add(c); err != nil {
			return nil, err
		}
		if c == '\\' {
			escaped = true
			if c, err = r.in.ReadByte(); err != nil {
				return nil, unexpected(err)
			}
			if err := text.add(c); err != nil {
				return nil, err
			}
		}
	}
	value := text.since(from)
	if !escaped {
		return value, nil
	}
	var plain string
	quoted := append(append([]byte{'"'}, value...), '"')
	if err := json.Unmarshal(quoted, &plain); err != nil {
		return nil, fmt.Errorf("the string %.60q: %w", value, err)
	}
	return []byte(plain), nil
}

// scalar reads a number, true, false or null, of which c is the first.
func (r *Reader) scalar(c byte, text *arena) ([]byte, error) {
	from := text.len()
	for {
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '-', c == '+', c == '.':
		case text.len() == from:
			return nil, fmt.Errorf("expected a number or a string, found %q: nfdump's objects are flat", rune(c))
		default:
			return text.since(from), r.in.UnreadByte()
		}
		if err := text.add(c); err != nil {
			return nil, err
		}
		var err error
		if c, err = r.in.ReadByte(); err != nil {
			return nil, unexpected(err)
		}
	}
}

// arena holds the texts of one record.
type arena struct{ bytes []byte }

func (a *arena) begin() {
	if a.bytes == nil {
		a.bytes = make([]byte, 0, maxRecord) // never moved: texts point into it
	}
	a.bytes = a.bytes[:0]
}

func (a *arena) len() int { return len(a.bytes) }

func (a *arena) since(from int) []byte { return a.bytes[from:len(a.bytes):len(a.bytes)] }

func (a *arena) add(c byte) error {
	if len(a.bytes) == cap(a.bytes) {
		return fmt.Errorf("longer than %d bytes: this is not nfdump's JSON", maxRecord)
	}
	a.bytes = append(a.bytes, c)
	return nil
}
