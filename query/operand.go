package query

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"net"
	"net/netip"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/minamo-flow/minamo/flow"
)

// literal reads one value of an operand: its SQL, or for a prefix or a span
// the SQL of its two ends.
type literal func(p *parser) (first, last string, err *FilterError)

// nothing is the operand of a primitive that is complete by itself.
func nothing(e expr) operand {
	return operand{"", func(*parser, []value, bool) (expr, *FilterError) { return e, nil }}
}

var comparators = map[string]string{
	"=": "=", "==": "=", "eq": "=",
	"!=": "!=", "ne": "!=",
	"<": "<", "lt": "<",
	"<=": "<=", "le": "<=",
	">": ">", "gt": ">",
	">=": ">=", "ge": ">=",
}

// compare makes an operand of `[comparator] value` and `in [value …]`. Values
// without an order know only equality.
func compare(what string, ordered bool, read literal) operand {
	syntax := "[= | !=] " + what + " | in [ " + what + " … ]"
	if ordered {
		syntax = "[comparator] " + what + " | in [ " + what + " … ]"
	}
	return operand{syntax, func(p *parser, values []value, all bool) (expr, *FilterError) {
		if p.accept("in") {
			return p.list(values, all, read)
		}
		operator := "="
		if t := p.peek(); t.kind != quoted {
			if op, ok := comparators[strings.ToLower(t.text)]; ok {
				if !ordered && op != "=" && op != "!=" {
					return nil, p.unexpected("=, != or in: " + what + " has no order")
				}
				operator = op
				p.next++
			}
		}
		start := p.next
		first, last, err := read(p)
		if err != nil {
			return nil, err
		}
		test := operator
		if operator == "!=" {
			test = "="
		}
		if test != "=" && first != last {
			p.next = start
			return nil, p.unexpected("a single value after " + operator)
		}
		e := forEach(values, all, func(v value) expr {
			if first != last {
				return membership{value: v, ranges: [][2]string{{first, last}}}
			}
			return comparison{v, test, first}
		})
		if operator == "!=" {
			return negation{e}, nil
		}
		return e, nil
	}}
}

// forEach makes one test of each value and joins them.
func forEach(values []value, all bool, test func(value) expr) expr {
	operator := " OR "
	if all {
		operator = " AND "
	}
	terms := make([]expr, len(values))
	for i, v := range values {
		terms[i] = test(v)
	}
	return join(operator, terms...)
}

// list parses `[ value value, value … ]`.
func (p *parser) list(values []value, all bool, read literal) (expr, *FilterError) {
	if !p.accept("[") {
		return nil, p.unexpected("[ and a list of values")
	}
	var m membership
	for {
		p.accept(",")
		if p.accept("]") {
			break
		}
		if p.peek().kind == endOfFilter {
			return nil, p.unexpected("a closing ]")
		}
		first, last, err := read(p)
		if err != nil {
			return nil, err
		}
		if first == last {
			m.literals = append(m.literals, first)
		} else {
			m.ranges = append(m.ranges, [2]string{first, last})
		}
	}
	if len(m.literals)+len(m.ranges) == 0 {
		p.next--
		return nil, p.unexpected("at least one value in the list")
	}
	return forEach(values, all, func(v value) expr {
		m := m
		m.value = v
		return m
	}), nil
}

// number is a whole number up to limit, with the suffixes k, m, g and t, which
// multiply by powers of 1000; within a list also a span such as 6000-6063.
func number(limit uint64) operand {
	what := fmt.Sprintf("a number from 0 to %d", limit)
	switch {
	case limit >= math.MaxUint32:
		what = "a number, such as 1500 or 10k"
	case limit == math.MaxUint16:
		what = "a number from 0 to 65535"
	}
	o := compare("number", true, func(p *parser) (string, string, *FilterError) {
		t := p.peek()
		if t.kind == word {
			from, to, isSpan := strings.Cut(t.text, "-")
			first, ok := parseNumber(from, limit)
			last, ok2 := first, true
			if isSpan {
				last, ok2 = parseNumber(to, limit)
			}
			if ok && ok2 && first <= last {
				p.next++
				return uintLiteral(first), uintLiteral(last), nil
			}
		}
		return "", "", p.unexpected(what)
	})
	return o
}

func parseNumber(text string, limit uint64) (uint64, bool) {
	if hex, ok := strings.CutPrefix(strings.ToLower(text), "0x"); ok {
		v, err := strconv.ParseUint(hex, 16, 64)
		return v, err == nil && v <= limit
	}
	scale := uint64(1)
	if text != "" {
		switch text[len(text)-1] | 0x20 {
		case 'k':
			scale = 1e3
		case 'm':
			scale = 1e6
		case 'g':
			scale = 1e9
		case 't':
			scale = 1e12
		}
		if scale > 1 {
			text = text[:len(text)-1]
		}
	}
	v, err := strconv.ParseUint(text, 10, 64)
	if err != nil || text[0] == '+' {
		return 0, false
	}
	high, low := bits.Mul64(v, scale)
	return low, high == 0 && low <= limit
}

var addressOperand = compare("address", false, func(p *parser) (string, string, *FilterError) {
	t := p.peek()
	if t.kind == word {
		if prefix, ok := parsePrefix(t.text); ok {
			p.next++
			first, last := prefixRange(prefix)
			return addrLiteral(first), addrLiteral(last), nil
		}
	}
	return "", "", p.unexpected("an IPv4 or IPv6 address, such as 192.0.2.1 or 2001:db8::1")
})

var prefixOperand = compare("prefix", false, func(p *parser) (string, string, *FilterError) {
	const expected = "a network, such as 10.0.0.0/8, 10.0/16 or 2001:db8::/32"
	t := p.peek()
	if t.kind != word {
		return "", "", p.unexpected(expected)
	}
	prefix, ok := parsePrefix(t.text)
	if !ok {
		return "", "", p.unexpected(expected)
	}
	p.next++
	if mask, isMask := parseNetmask(p.peek()); isMask && prefix.Addr().Is4() && !strings.Contains(t.text, "/") {
		p.next++
		prefix = netip.PrefixFrom(prefix.Addr(), mask)
	} else if !strings.Contains(t.text, "/") {
		return "", "", p.unexpected("a netmask after the network's address, or " + t.text + "/" + strconv.Itoa(prefix.Bits()) + " in its place")
	}
	first, last := prefixRange(prefix)
	return addrLiteral(first), addrLiteral(last), nil
})

// parsePrefix reads an address or a prefix; IPv4 prefixes may leave out zero
// bytes at the end, as in 10/8 and 172.16/12.
func parsePrefix(text string) (netip.Prefix, bool) {
	address, length, hasLength := strings.Cut(text, "/")
	if hasLength && !strings.Contains(address, ":") {
		for strings.Count(address, ".") < 3 {
			address += ".0"
		}
	}
	a, err := netip.ParseAddr(address)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, false
	}
	if a.Is4In6() && !hasLength {
		a = a.Unmap()
	}
	n := a.BitLen()
	if hasLength {
		v, err := strconv.ParseUint(length, 10, 8)
		if err != nil || int(v) > n {
			return netip.Prefix{}, false
		}
		n = int(v)
	}
	return netip.PrefixFrom(a, n), true
}

// parseNetmask reads a mask such as 255.255.0.0.
func parseNetmask(t token) (length int, ok bool) {
	if t.kind != word {
		return 0, false
	}
	a, err := netip.ParseAddr(t.text)
	if err != nil || !a.Is4() {
		return 0, false
	}
	b := a.As4()
	mask := binary.BigEndian.Uint32(b[:])
	length = bits.LeadingZeros32(^mask)
	return length, mask == uint32(math.MaxUint32<<(32-uint(length)))
}

var macOperand = compare("MAC address", false, func(p *parser) (string, string, *FilterError) {
	t := p.peek()
	if t.kind == word {
		if mac, err := net.ParseMAC(t.text); err == nil && len(mac) == 6 {
			p.next++
			v := uintLiteral(binary.BigEndian.Uint64(append([]byte{0, 0}, mac...)))
			return v, v, nil
		}
	}
	return "", "", p.unexpected("a MAC address, such as 00:00:5e:00:53:01")
})

var timeOperand = compare("time", true, func(p *parser) (string, string, *FilterError) {
	t := p.peek()
	if t.kind == word || t.kind == quoted {
		for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02"} {
			if at, err := time.Parse(layout, t.text); err == nil && at.Year() > 0 && at.Year() < 9999 {
				p.next++
				v := timeLiteral(at)
				return v, v, nil
			}
		}
	}
	return "", "", p.unexpected("a time in UTC, such as 2026-11-22T10:00:00Z")
})

// textOperand compares text as it is, in upper and lower case; a test for a part
// of it has a word of its own.
var textOperand = func() operand {
	equal := compare("text", false, func(p *parser) (string, string, *FilterError) {
		text, err := p.someText("a text, in quotes unless it is a single word")
		return textLiteral(text), textLiteral(text), err
	})
	return operand{equal.syntax + " | contains text | has word | ~ regex", func(p *parser, values []value, all bool) (expr, *FilterError) {
		var function, pattern string
		var err *FilterError
		switch {
		case p.accept("contains", "content"):
			function = "contains"
			pattern, err = p.someText("a text that is contained")
		case p.accept("has"):
			function = "regexp_matches"
			pattern, err = p.someText("a word that is one of those in the text")
			pattern = `(^|[ {])` + regexp.QuoteMeta(pattern) + `($|[ }])`
		case p.accept("~", "matches", "regex"):
			function = "regexp_matches"
			pattern, err = p.regex()
		default:
			return equal.parse(p, values, all)
		}
		if err != nil {
			return nil, err
		}
		return forEach(values, all, func(v value) expr { return call{function, v, textLiteral(pattern)} }), nil
	}}
}()

// someText reads a text.
func (p *parser) someText(expected string) (string, *FilterError) {
	t := p.peek()
	if t.kind != word && t.kind != quoted {
		return "", p.unexpected(expected)
	}
	if strings.ContainsRune(t.text, 0) || !utf8.ValidString(t.text) {
		return "", p.unexpected("UTF-8 without zero bytes")
	}
	p.next++
	return t.text, nil
}

// regex reads a regular expression. It is given to DuckDB as Go understood it,
// in the syntax that both have in common (RE2).
func (p *parser) regex() (string, *FilterError) {
	text, wrong := p.someText("a regular expression, in quotes")
	if wrong != nil {
		return "", wrong
	}
	refuse := func(expected string) (string, *FilterError) {
		p.next--
		return "", p.unexpected(expected)
	}
	re, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return refuse(fmt.Sprintf("a regular expression (RE2): %v", err))
	}
	program, err := syntax.Compile(re.Simplify())
	if err != nil {
		return refuse(fmt.Sprintf("a regular expression (RE2): %v", err))
	}
	size := 0
	for _, instruction := range program.Inst {
		size += 1 + len(instruction.Rune)
	}
	if size > maxRegex {
		return refuse("a shorter regular expression, with fewer repetitions")
	}
	return re.String(), nil
}

// maxRegex is how many steps and ranges of characters a regular expression may
// have: fewer than what DuckDB refuses.
const maxRegex = 20_000

// named reads a number or one of some names.
func named(what string, limit uint64, names map[string]uint64, expected string) operand {
	candidates := make([]string, 0, len(names))
	for n := range names {
		candidates = append(candidates, n)
	}
	slices.Sort(candidates)
	return compare(what, false, func(p *parser) (string, string, *FilterError) {
		t := p.peek()
		if t.kind == word || t.kind == quoted {
			v, ok := names[nameKey(t.text)]
			if !ok {
				v, ok = parseNumber(t.text, limit)
			}
			last := v
			if from, to, isSpan := strings.Cut(t.text, "-"); !ok && isSpan {
				var ok2 bool
				v, ok = parseNumber(from, limit)
				last, ok2 = parseNumber(to, limit)
				ok = ok && ok2 && v <= last
			}
			if ok {
				p.next++
				return uintLiteral(v), uintLiteral(last), nil
			}
		}
		return "", "", p.unexpected(expected, candidates...)
	})
}

// nameKey is the form in which names are compared: idle timeout, idle-timeout
// and IDLE_TIMEOUT are the same.
func nameKey(text string) string {
	return strings.NewReplacer(" ", "-", "_", "-").Replace(strings.ToLower(text))
}

// enumeration is the operand of a column whose codes have names.
func enumeration(c flow.Column) operand {
	names := map[string]uint64{}
	var list []string
	for v, name := range flow.Schema[c].Names {
		names[nameKey(name)] = v
		list = append(list, nameKey(name))
	}
	slices.Sort(list)
	const most = 12 // names in an error
	if len(list) > most {
		list = append(list[:most-1:most-1], "…")
	}
	limit := uint64(math.MaxUint8)
	switch flow.Schema[c].Kind {
	case flow.Uint16:
		limit = math.MaxUint16
	case flow.Uint32:
		limit = math.MaxUint32
	case flow.Uint64:
		limit = math.MaxUint64
	}
	return named("name or number", limit, names, "one of "+strings.Join(list, ", ")+", or a number")
}

var protocolOperand = named("protocol", math.MaxUint8, protocolNumbers, "a protocol, such as tcp, udp, icmp, or a number from 0 to 255")

var dscpOperand = named("DSCP", 63, dscpNames(), "a DSCP from 0 to 63 or a name, such as ef, af41, cs6")

// dscpNames are the code points that RFC 2474, 2597, 3246, 5865 and 8622 name.
func dscpNames() map[string]uint64 {
	names := map[string]uint64{"be": 0, "default": 0, "le": 1, "ef": 46, "va": 44, "voice-admit": 44}
	for class := range uint64(8) {
		names[fmt.Sprintf("cs%d", class)] = class * 8
	}
	for class := uint64(1); class <= 4; class++ {
		for drop := uint64(1); drop <= 3; drop++ {
			names[fmt.Sprintf("af%d%d", class, drop)] = class*8 + drop*2
		}
	}
	return names
}

// forwardOperand reads a forwarding status: a number means just that status, a
// name the whole class, which is the upper two bits (RFC 7270 §4.12).
var forwardOperand = func() operand {
	classes := map[string]uint64{"unknown": 0, "forwarded": 1, "dropped": 2, "consumed": 3}
	candidates := []string{"unknown", "forwarded", "dropped", "consumed"}
	return compare("status", false, func(p *parser) (string, string, *FilterError) {
		t := p.peek()
		if t.kind == word {
			if class, ok := classes[strings.ToLower(t.text)]; ok {
				p.next++
				return uintLiteral(class << 6), uintLiteral(class<<6 | 63), nil
			}
			if v, ok := parseNumber(t.text, math.MaxUint8); ok {
				p.next++
				return uintLiteral(v), uintLiteral(v), nil
			}
		}
		return "", "", p.unexpected("unknown, forwarded, dropped, consumed, or a number from 0 to 255", candidates...)
	})
}()

// flagsOperand reads TCP flags by their letters, which must all be set, or a
// number, which must be all the flags.
var flagsOperand = operand{"flags | number", func(p *parser, values []value, all bool) (expr, *FilterError) {
	t := p.peek()
	if t.kind == word {
		if exact, ok := parseNumber(t.text, math.MaxUint16); ok {
			p.next++
			return forEach(values, all, func(v value) expr { return comparison{v, "=", uintLiteral(exact)} }), nil
		}
		if mask, ok := parseFlags(t.text); ok {
			p.next++
			return forEach(values, all, func(v value) expr { return maskTest{v, mask} }), nil
		}
	}
	return nil, p.unexpected("TCP flags, any of the letters U A P R S F E C X, or their sum as a number")
}}

func parseFlags(text string) (mask uint64, ok bool) {
	const letters = "FSRPAUEC" // in the order of their bits
	for _, c := range strings.ToUpper(text) {
		switch bit := strings.IndexRune(letters, c); {
		case c == 'X':
			mask |= 63
		case bit >= 0:
			mask |= 1 << bit
		default:
			return 0, false
		}
	}
	return mask, true
}
