package query

import (
	"encoding/binary"
	"fmt"
	"maps"
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

// literal is one value of an operand.
type literal struct {
	what  string   // in the notation of docs/filter.md
	names []string // that it can have, for completion
	// read gives its SQL, or for a prefix or a span the SQL of its two ends.
	read func(p *parser) (first, last string, err *FilterError)
}

func (l *literal) parse(p *parser) (first, last string, err *FilterError) {
	p.offerValue(l.what, l.names...)
	return l.read(p)
}

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

// comparator consumes a comparator; without one, "=" is meant.
func (p *parser) comparator(what string, ordered bool) (operator string, err *FilterError) {
	p.offer("=", "!=")
	if ordered {
		p.offer("<", "<=", ">", ">=")
	}
	t := p.peek()
	operator, ok := comparators[strings.ToLower(t.text)]
	if !ok || t.kind == quoted {
		return "=", nil
	}
	if !ordered && operator != "=" && operator != "!=" {
		return "", p.unexpected("=, != or in: " + what + " has no order")
	}
	p.next++
	return operator, nil
}

// compare makes an operand of `[comparator] value` and `in [value …]`. Values
// without an order know only equality.
func compare(l literal, ordered bool) operand {
	syntax := "[= | !=] " + l.what + " | in [ " + l.what + " … ]"
	if ordered {
		syntax = "[comparator] " + l.what + " | in [ " + l.what + " … ]"
	}
	return operand{syntax, func(p *parser, values []value, all bool) (expr, *FilterError) {
		if p.accept("in") {
			return p.list(values, all, l)
		}
		operator, err := p.comparator(l.what, ordered)
		if err != nil {
			return nil, err
		}
		start := p.next
		first, last, err := l.parse(p)
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
func (p *parser) list(values []value, all bool, l literal) (expr, *FilterError) {
	if !p.accept("[") {
		return nil, p.unexpected("[ and a list of values")
	}
	var m membership
	for {
		if p.peek().is(",") {
			p.next++
		}
		if p.peek().is("]") && len(m.literals)+len(m.ranges) == 0 {
			return nil, p.unexpected("at least one value in the list")
		}
		if len(m.literals)+len(m.ranges) > 0 && p.accept("]") {
			break
		}
		first, last, err := l.parse(p)
		if err != nil {
			if p.peek().kind == endOfFilter {
				err = p.unexpected("a closing ]")
			}
			return nil, err
		}
		if first == last {
			m.literals = append(m.literals, first)
		} else {
			m.ranges = append(m.ranges, [2]string{first, last})
		}
	}
	return forEach(values, all, func(v value) expr {
		m := m
		m.value = v
		return m
	}), nil
}

// number is a whole number up to limit, with the suffixes k, m, g and t, which
// multiply by powers of 1000; or a span such as 6000-6063.
func number(limit uint64) operand { return compare(numberLiteral(limit), true) }

func numberLiteral(limit uint64) literal {
	expected := fmt.Sprintf("a number from 0 to %d", limit)
	if limit >= math.MaxUint32 {
		expected = "a number, such as 1500 or 10k"
	}
	return spanLiteral("number", expected, nil, func(text string) (uint64, bool) { return parseNumber(text, limit) })
}

// spanLiteral reads a number, or two with a hyphen between. A name may have
// hyphens too: the whole is tried first.
func spanLiteral(what, expected string, names []string, parse func(string) (uint64, bool)) literal {
	return literal{what, names, func(p *parser) (string, string, *FilterError) {
		t := p.peek()
		if t.kind == word || t.kind == quoted && names != nil {
			first, ok := parse(t.text)
			last := first
			if from, to, isSpan := strings.Cut(t.text, "-"); !ok && isSpan {
				var ok2 bool
				first, ok = parse(from)
				last, ok2 = parse(to)
				ok = ok && ok2 && first <= last
			}
			if ok {
				p.next++
				return uintLiteral(first), uintLiteral(last), nil
			}
		}
		return "", "", p.unexpected(expected, names...)
	}}
}

// portOperand also asks whether a port is in a NAT's block of ports.
var portOperand = func() operand {
	numbers := number(math.MaxUint16)
	return operand{numbers.syntax + " | in pblock", func(p *parser, values []value, all bool) (expr, *FilterError) {
		if p.peek().is("in") {
			start := p.next
			p.next++
			p.offer("pblock")
			if p.peek().is("nat") {
				p.next++
			}
			if p.accept("pblock") {
				return forEach(values, all, func(v value) expr {
					return holds{value{"%s BETWEEN %s AND %s", append(slices.Clone(v.columns), flow.NATPortStart, flow.NATPortEnd)}}
				}), nil
			}
			p.next = start
		}
		return numbers.parse(p, values, all)
	}}
}()

// durationOperand reads milliseconds, or a number with a unit.
var durationOperand = compare(spanLiteral("duration", "a duration in milliseconds, or with a unit: 500ms, 10s, 5min, 2h, 1d", nil, func(text string) (uint64, bool) {
	text = strings.ToLower(text)
	for _, unit := range []struct {
		name   string
		millis uint64
	}{{"ms", 1}, {"min", 60_000}, {"s", 1000}, {"h", 3_600_000}, {"d", 86_400_000}} {
		if digits, ok := strings.CutSuffix(text, unit.name); ok && !strings.HasPrefix(text, "0x") {
			v, err := strconv.ParseUint(digits, 10, 64)
			return v * unit.millis, err == nil && v <= math.MaxInt64/unit.millis
		}
	}
	return parseNumber(text, math.MaxInt64)
}), true)

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

var addressOperand = compare(literal{"address", nil, func(p *parser) (string, string, *FilterError) {
	t := p.peek()
	if t.kind == word {
		if prefix, ok := parsePrefix(t.text); ok {
			p.next++
			first, last := prefixRange(prefix)
			return addrLiteral(first), addrLiteral(last), nil
		}
	}
	expected := "an IPv4 or IPv6 address, such as 192.0.2.1 or 2001:db8::1"
	if t.kind == word && hostName.MatchString(t.text) {
		expected += ": names are not looked up"
	}
	return "", "", p.unexpected(expected)
}}, false)

// hostName is what looks like the name of a host and like no address.
var hostName = regexp.MustCompile(`^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*\.[A-Za-z]+$`)

var prefixOperand = compare(literal{"prefix", nil, func(p *parser) (string, string, *FilterError) {
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
	if !strings.Contains(t.text, "/") {
		p.offerValue("netmask")
	}
	if mask, isMask := parseNetmask(p.peek()); isMask && prefix.Addr().Is4() && !strings.Contains(t.text, "/") {
		p.next++
		prefix = netip.PrefixFrom(prefix.Addr(), mask)
	} else if !strings.Contains(t.text, "/") {
		return "", "", p.unexpected("a netmask after the network's address, or " + t.text + "/" + strconv.Itoa(prefix.Bits()) + " in its place")
	}
	first, last := prefixRange(prefix)
	return addrLiteral(first), addrLiteral(last), nil
}}, false)

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

var macOperand = compare(literal{"MAC address", nil, func(p *parser) (string, string, *FilterError) {
	t := p.peek()
	if t.kind == word {
		if mac, ok := parseMAC(t.text); ok {
			p.next++
			return uintLiteral(mac), uintLiteral(mac), nil
		}
	}
	return "", "", p.unexpected("a MAC address, such as 00:00:5e:00:53:01")
}}, false)

var timeOperand = compare(literal{"time", nil, func(p *parser) (string, string, *FilterError) {
	t := p.peek()
	if t.kind == word || t.kind == quoted {
		for _, layout := range timeLayouts {
			if at, err := time.Parse(layout, t.text); err == nil && at.Year() > 0 && at.Year() < 9999 {
				p.next++
				v := timeLiteral(at)
				return v, v, nil
			}
		}
	}
	return "", "", p.unexpected("a time in UTC, such as 2026-11-22T10:00:00Z")
}}, true)

// parseMAC reads a MAC address; as in nfdump, bytes may lack a leading zero.
func parseMAC(text string) (mac uint64, ok bool) {
	if b, err := net.ParseMAC(text); err == nil && len(b) == 6 {
		return binary.BigEndian.Uint64(append([]byte{0, 0}, b...)), true
	}
	parts := strings.Split(text, ":")
	for _, part := range parts {
		b, err := strconv.ParseUint(part, 16, 8)
		if err != nil || len(part) > 2 {
			return 0, false
		}
		mac = mac<<8 | b
	}
	return mac, len(parts) == 6
}

// timeLayouts are ISO 8601's; the end may be left out, up to the year.
var timeLayouts = []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02T15", "2006-01-02", "2006-01", "2006"}

// textOperand compares text as it is, in upper and lower case; a test for a part
// of it has a word of its own.
var textOperand = func() operand {
	equal := compare(literal{"text", nil, func(p *parser) (string, string, *FilterError) {
		text, err := p.someText("a text, in quotes unless it is a single word")
		return textLiteral(text), textLiteral(text), err
	}}, false)
	return operand{equal.syntax + " | contains text | has word | ~ regex", func(p *parser, values []value, all bool) (expr, *FilterError) {
		var function, pattern string
		var err *FilterError
		switch {
		case p.accept("contains", "content"):
			function = "contains"
			p.offerValue("text")
			pattern, err = p.someText("a text that is contained")
		case p.accept("has"):
			function = "regexp_matches"
			p.offerValue("word")
			pattern, err = p.someText("a word that is one of those in the text")
			pattern = `(^|[ {])` + regexp.QuoteMeta(pattern) + `($|[ }])`
		case p.accept("~", "matches", "regex"):
			function = "regexp_matches"
			p.offerValue("regex")
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

// named reads a number up to limit or a name; some values have several.
func named(what string, limit uint64, ordered bool, names map[string]uint64, expected string) operand {
	list := slices.Sorted(maps.Keys(names))
	return compare(spanLiteral(what, expected, list, func(text string) (uint64, bool) {
		if v, ok := names[nameKey(text)]; ok {
			return v, true
		}
		return parseNumber(text, limit)
	}), ordered)
}

// nameKey is the form in which names are compared: idle timeout, idle-timeout
// and IDLE_TIMEOUT are the same.
func nameKey(text string) string {
	return strings.NewReplacer(" ", "-", "_", "-").Replace(strings.ToLower(text))
}

// enumeration is the operand of a column whose codes have names.
func enumeration(c flow.Column) operand {
	names := map[string]uint64{}
	for v, name := range flow.Schema[c].Names {
		names[nameKey(name)] = v
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
	return named("name or number", limit, false, names, "one of "+few(slices.Sorted(maps.Keys(names)))+", or a number")
}

var protocolOperand = named("protocol", math.MaxUint8, false, protocolNumbers, "a protocol, such as tcp, udp, icmp, or a number from 0 to 255")

var dscpOperand = named("DSCP", 63, false, dscpNames(), "a DSCP from 0 to 63 or a name, such as ef, af41, cs6")

var natEventOperand = named("event", math.MaxUint8, true, natEvents, "a NAT event, such as nat44-session-create or add, or a number from 0 to 255")

var deniedOperand = named("reason", math.MaxUint16, true, deniedReasons, "ingress, egress, interface, nosyn, or a number")

// firewallOperand reads a firewall's event; of denied flows, also why.
var firewallOperand = func() operand {
	events := named("event", math.MaxUint8, true, firewallEvents, "ignore, create, delete, denied, alert, update, or a number")
	return operand{events.syntax + " | denied reason", func(p *parser, values []value, all bool) (expr, *FilterError) {
		denied := p.peek().is("denied")
		e, err := events.parse(p, values, all)
		if err != nil || !denied {
			return e, err
		}
		p.offerValue("reason", slices.Sorted(maps.Keys(deniedReasons))...)
		t := p.peek()
		_, isName := deniedReasons[nameKey(t.text)]
		if _, isNumber := parseNumber(t.text, math.MaxUint16); t.kind != word || !isName && !isNumber {
			return e, nil
		}
		reason, err := deniedOperand.parse(p, columns(flow.FirewallExtEvent), false)
		return join(" AND ", e, reason), err
	}}
}()

// accessListOperand is for access lists that are called by a text. Cisco ASA
// has three numbers for that: the list's, its entry's and the extended entry's;
// part tells which. Where it is the list's, it may be any other text too.
func accessListOperand(part int) operand {
	numbers := number(math.MaxUint32)
	parse := func(p *parser, values []value, all bool) (expr, *FilterError) {
		of := make([]value, len(values))
		for i, v := range values {
			of[i] = value{fmt.Sprintf("TRY_CAST(split_part(%s, '/', %d) AS UBIGINT)", v.format, part), v.columns}
		}
		return numbers.parse(p, of, all)
	}
	if part > 1 {
		return operand{numbers.syntax, parse}
	}
	return operand{textOperand.syntax + " | [comparator] number", func(p *parser, values []value, all bool) (expr, *FilterError) {
		number := p.peek()
		if _, compared := comparators[strings.ToLower(number.text)]; compared && number.kind != quoted {
			number = p.ahead(1)
		}
		if _, ok := parseNumber(number.text, math.MaxUint32); ok && number.kind == word {
			return parse(p, values, all)
		}
		return textOperand.parse(p, values, all)
	}}
}

// interfaceOperand takes an interface's name, in quotes, in place of its number: so
// 7 is a number always.
var interfaceOperand = func() operand {
	numbers := number(math.MaxUint32)
	return operand{numbers.syntax + " | " + strings.Replace(textOperand.syntax, "text", "quoted name", 2), func(p *parser, values []value, all bool) (expr, *FilterError) {
		name := p.peek()
		if _, compared := comparators[strings.ToLower(name.text)]; compared {
			name = p.ahead(1)
		} else if name.is("in") {
			name = p.ahead(2) // behind the bracket
		}
		part := slices.ContainsFunc([]string{"contains", "content", "has", "~", "matches", "regex"}, p.peek().is)
		if name.kind != quoted && !part {
			return numbers.parse(p, values, all)
		}
		names := make([]value, len(values))
		for i, v := range values {
			names[i] = interfaceName(v.columns[0])
		}
		return textOperand.parse(p, names, all)
	}}
}()

// forwardOperand reads a forwarding status: a number or a reason means just
// that status, a name the whole class, which is the upper two bits (RFC 7270
// §4.12).
var forwardOperand = func() operand {
	names := slices.Sorted(maps.Keys(forwardReasons))
	for class := range forwardClasses {
		names = append(names, class)
	}
	return compare(literal{"status", names, func(p *parser) (string, string, *FilterError) {
		t := p.peek()
		if t.kind == word || t.kind == quoted {
			key := nameKey(t.text)
			if class, ok := forwardClasses[key]; ok {
				p.next++
				return uintLiteral(class << 6), uintLiteral(class<<6 | 63), nil
			}
			status, ok := forwardReasons[key]
			if !ok {
				status, ok = parseNumber(t.text, math.MaxUint8)
			}
			if ok {
				p.next++
				return uintLiteral(status), uintLiteral(status), nil
			}
		}
		return "", "", p.unexpected("unknown, forwarded, dropped, consumed, a reason such as acl-deny, or a number from 0 to 255", names...)
	}}, true)
}()

// flagsOperand reads TCP flags by their letters, which must all be set; or,
// after a comparator and as a number, just these flags.
var flagsOperand = func() operand {
	const expected = "TCP flags, any of the letters U A P R S F E C X, or their sum as a number"
	exact := compare(spanLiteral("flags", expected, []string{}, func(text string) (uint64, bool) {
		if v, ok := parseNumber(text, math.MaxUint16); ok {
			return v, true
		}
		return parseFlags(text)
	}), true)
	return operand{"flags | " + exact.syntax, func(p *parser, values []value, all bool) (expr, *FilterError) {
		if t := p.peek(); t.kind == word {
			if mask, ok := parseFlags(t.text); ok {
				p.next++
				return forEach(values, all, func(v value) expr { return maskTest{v, mask} }), nil
			}
		}
		return exact.parse(p, values, all)
	}}
}()

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
	return mask, text != ""
}
