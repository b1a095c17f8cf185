package netflow

import (
	"encoding/hex"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"unicode"
	"unicode/utf8"

	"github.com/minamo-flow/minamo/flow"
)

// CustomElement gives an element a column of the operator's own (flow.Define),
// beside the column of ours that it may feed. Several may name one element, or
// one column: then a template's first field for the column counts.
//
// Enterprise 0 means IANA's elements and NetFlow v9's own field types; those
// above 32767 are also found under the enterprise that they stand for in
// IPFIX, and the other way round: 45003 is 9/12235. An element of the opposite
// direction (RFC 5103) is one of enterprise 29305. Both rows of a record for
// two directions have what the record says.
//
// What the column holds follows from its kind and the element's data type, as
// the registry or the exporter itself (RFC 5610) knows it:
//
//   - numbers: those of up to eight bytes, a MAC address among them. They have
//     no sign: what is below zero is absent, as what is too great for the column
//     is; fractions are rounded.
//   - time: any of the four date types; numbers of four bytes are seconds,
//     others milliseconds.
//   - address and MAC: values of their length.
//   - text: strings as they are; numbers (signs and fractions too), addresses
//     and MACs in their usual form; other bytes as they are if they are printable, else the first 256
//     in hexadecimal digits.
//
// An absent, empty or ill-fitting value leaves the column absent.
type CustomElement struct {
	Enterprise uint32
	Element    uint16
	Column     flow.Column
}

// custom is a CustomElement in the tables' own space of numbers.
type custom struct {
	CustomElement
	key     elementKey
	reverse bool
}

func identified(list []CustomElement) (known []custom) {
	for _, c := range list {
		key, reverse := identify(TemplateField{Enterprise: c.Enterprise, Element: c.Element})
		known = append(known, custom{c, key, reverse})
	}
	return known
}

// customs adds what fills the operator's columns from a field.
func (s *Session) customs(p *program, key elementKey, reverse bool, f TemplateField, at place) (found bool) {
	for _, c := range s.custom {
		if c.key != key || c.reverse != reverse {
			continue
		}
		info, _ := s.Lookup(f.Enterprise, f.Element)
		as := conversionTo(flow.Schema[c.Column].Kind, info.Type, f.Length)
		if f.Length != variable && !as.fits(int(f.Length)) {
			continue
		}
		found = true
		if slices.ContainsFunc(p.ops, func(o op) bool { return o.column == c.Column }) {
			continue // the first of several for a column counts
		}
		p.ops = append(p.ops, op{field: field{at, as}, column: c.Column})
	}
	return found
}

// conversionTo is how values of a data type become those of a kind of column.
func conversionTo(kind flow.Kind, t DataType, length uint16) conversion {
	switch kind {
	case flow.MAC:
		return asMAC
	case flow.Address:
		switch length {
		case 4:
			return asAddr4
		case 16:
			return asAddr6
		}
		return asAddr
	case flow.Time:
		switch t {
		case TypeDateTimeSeconds:
			return asSeconds
		case TypeDateTimeMilliseconds:
			return asMillis
		case TypeDateTimeMicroseconds, TypeDateTimeNanoseconds:
			return asNTP
		}
		return asSomeMillis
	case flow.Text:
		switch {
		case t == TypeString:
			return asText
		case t == TypeIpv4Address || t == TypeIpv6Address:
			return asAddrText
		case t == TypeMacAddress:
			return asMACText
		case t >= TypeUnsigned8 && t <= TypeUnsigned64:
			return asDigits
		case t >= TypeSigned8 && t <= TypeSigned64:
			return asSignedText
		case t == TypeFloat32 || t == TypeFloat64:
			return asFloatText
		}
		return asOctets
	}
	switch t {
	case TypeSigned8, TypeSigned16, TypeSigned32, TypeSigned64:
		return asSigned
	case TypeFloat32, TypeFloat64:
		return asFloat
	}
	return asNumber
}

// setCustom sets a value of a column of the operator's own.
func (r *rows) setCustom(b *flow.Batch, row int, o *op, v []byte) {
	fit := func(n uint64) {
		if n > o.kind.Greatest() {
			r.tooGreat++
			return
		}
		b.SetUint(o.column, row, n)
	}
	switch o.as {
	case asSigned:
		if n := signed(v); n >= 0 {
			fit(uint64(n))
		}
	case asFloat:
		if n, ok := fromFloat(v); ok {
			fit(n)
		}
	case asSeconds:
		b.SetUint(o.column, row, min(number(v), math.MaxInt64/1000)*1000)
	case asMillis:
		b.SetUint(o.column, row, min(number(v), math.MaxInt64))
	case asNTP:
		b.SetUint(o.column, row, uint64(fromNTP(number(v))))
	case asSomeMillis:
		n := min(number(v), math.MaxInt64)
		if len(v) <= 4 {
			n *= 1000
		}
		b.SetUint(o.column, row, n)
	case asAddr:
		b.SetAddr(o.column, row, address(v))
	case asDigits:
		b.SetText(o.column, row, strconv.AppendUint(make([]byte, 0, 20), number(v), 10))
	case asSignedText:
		b.SetText(o.column, row, strconv.AppendInt(make([]byte, 0, 20), signed(v), 10))
	case asFloatText:
		b.SetText(o.column, row, strconv.AppendFloat(make([]byte, 0, 32), float(v), 'g', -1, 8*len(v)))
	case asAddrText:
		a, _ := netip.AddrFromSlice(v)
		b.SetText(o.column, row, a.AppendTo(make([]byte, 0, 40)))
	case asMACText:
		text := make([]byte, 0, 17)
		for i, c := range v {
			if i > 0 {
				text = append(text, ':')
			}
			text = hex.AppendEncode(text, []byte{c})
		}
		b.SetText(o.column, row, text)
	case asOctets:
		if printable(v) {
			b.SetText(o.column, row, v)
			return
		}
		var text [512]byte
		b.SetText(o.column, row, text[:hex.Encode(text[:], v[:min(len(v), len(text)/2)])])
	}
}

// address is a value of four or sixteen bytes.
func address(v []byte) flow.Addr {
	if len(v) == 4 {
		return flow.AddrFrom4([4]byte(v))
	}
	return flow.Addr(v)
}

// signed reads two's complement of any length up to eight bytes.
func signed(v []byte) int64 {
	shift := 64 - 8*len(v)
	return int64(number(v)<<shift) >> shift
}

// float reads a number of four or eight bytes (IEEE 754).
func float(v []byte) float64 {
	if len(v) == 4 {
		return float64(math.Float32frombits(uint32(number(v))))
	}
	return math.Float64frombits(number(v))
}

// fromFloat rounds; false where there is no number, or one below zero.
func fromFloat(v []byte) (uint64, bool) {
	switch f := math.RoundToEven(float(v)); {
	case f != f || f < 0:
		return 0, false
	case f >= 1<<64:
		return math.MaxUint64, true
	default:
		return uint64(f), true
	}
}

// printable tells whether the bytes, up to zeros at the end, are text.
func printable(v []byte) bool {
	for len(v) > 0 && v[len(v)-1] == 0 {
		v = v[:len(v)-1]
	}
	for at := 0; at < len(v); {
		c, size := utf8.DecodeRune(v[at:])
		if c == utf8.RuneError && size == 1 || !unicode.IsPrint(c) {
			return false
		}
		at += size
	}
	return len(v) > 0
}
