package netflow

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

//go:generate go run ./elements
//go:generate go test . -run ElementsInDocs -update

// Information is what is known of an information element.
type Information struct {
	Enterprise uint32    `json:"enterprise"` // 0 for IANA's elements and all of NetFlow v9's
	ID         uint16    `json:"id"`
	Type       DataType  `json:"type"`
	Semantics  Semantics `json:"semantics,omitempty"`
	Units      Units     `json:"units,omitempty"`
	Deprecated bool      `json:"deprecated,omitempty"`
	Name       string    `json:"name"`
}

// DataType is an element's abstract data type, by its number in IANA's
// registry (RFC 7012 §3.1, RFC 5610 §3.1).
type DataType uint8

const (
	TypeOctetArray DataType = iota // also where the type is not known
	TypeUnsigned8
	TypeUnsigned16
	TypeUnsigned32
	TypeUnsigned64
	TypeSigned8
	TypeSigned16
	TypeSigned32
	TypeSigned64
	TypeFloat32
	TypeFloat64
	TypeBoolean
	TypeMacAddress
	TypeString
	TypeDateTimeSeconds
	TypeDateTimeMilliseconds
	TypeDateTimeMicroseconds
	TypeDateTimeNanoseconds
	TypeIpv4Address
	TypeIpv6Address
	TypeBasicList
	TypeSubTemplateList
	TypeSubTemplateMultiList
	TypeUnsigned256
	numTypes
)

var typeNames = [numTypes]string{
	"octetArray", "unsigned8", "unsigned16", "unsigned32", "unsigned64",
	"signed8", "signed16", "signed32", "signed64", "float32", "float64", "boolean",
	"macAddress", "string", "dateTimeSeconds", "dateTimeMilliseconds",
	"dateTimeMicroseconds", "dateTimeNanoseconds", "ipv4Address", "ipv6Address",
	"basicList", "subTemplateList", "subTemplateMultiList", "unsigned256",
}

// String is the type's name in the registry.
func (t DataType) String() string { return nameOf(typeNames[:], uint8(t)) }

// lengths of values in bytes (RFC 7011 §6.1); 0 for the types that have none
// of their own.
var lengths = [numTypes]uint16{
	TypeUnsigned8: 1, TypeUnsigned16: 2, TypeUnsigned32: 4, TypeUnsigned64: 8, TypeUnsigned256: 32,
	TypeSigned8: 1, TypeSigned16: 2, TypeSigned32: 4, TypeSigned64: 8, TypeFloat32: 4, TypeFloat64: 8,
	TypeBoolean: 1, TypeMacAddress: 6, TypeIpv4Address: 4, TypeIpv6Address: 16,
	TypeDateTimeSeconds: 4, TypeDateTimeMilliseconds: 8, TypeDateTimeMicroseconds: 8, TypeDateTimeNanoseconds: 8,
}

// Length is how long a value of the type is in bytes, unless it is exported
// with fewer; 0 for strings and other types of any length.
func (t DataType) Length() uint16 {
	if t < numTypes {
		return lengths[t]
	}
	return 0
}

// Fits tells whether a template may give a value of the type this length:
// numbers may be exported with fewer bytes (RFC 7011 §6.2).
func (t DataType) Fits(length uint16) bool {
	full := t.Length()
	switch {
	case full == 0:
		return true
	case t >= TypeUnsigned8 && t <= TypeSigned64, t == TypeUnsigned256:
		return length > 0 && length <= full
	case t == TypeFloat64:
		return length == full || length == 4
	}
	return length == full
}

// Semantics says what may be done with an element's values (RFC 7012 §3.2).
type Semantics uint8

const (
	SemanticsDefault Semantics = iota
	SemanticsQuantity
	SemanticsTotalCounter
	SemanticsDeltaCounter
	SemanticsIdentifier
	SemanticsFlags
	SemanticsList
	SemanticsSnmpCounter
	SemanticsSnmpGauge
	numSemantics
)

var semanticsNames = [numSemantics]string{
	"default", "quantity", "totalCounter", "deltaCounter", "identifier", "flags",
	"list", "snmpCounter", "snmpGauge",
}

// String is the name in the registry.
func (s Semantics) String() string { return nameOf(semanticsNames[:], uint8(s)) }

// Units are what an element's values count (RFC 5610 §3.4).
type Units uint8

const (
	UnitsNone Units = iota
	UnitsBits
	UnitsOctets
	UnitsPackets
	UnitsFlows
	UnitsSeconds
	UnitsMilliseconds
	UnitsMicroseconds
	UnitsNanoseconds
	UnitsWords
	UnitsMessages
	UnitsHops
	UnitsEntries
	UnitsFrames
	UnitsPorts
	UnitsInferred
	numUnits
)

var unitNames = [numUnits]string{
	"none", "bits", "octets", "packets", "flows", "seconds", "milliseconds",
	"microseconds", "nanoseconds", "4-octet words", "messages", "hops", "entries",
	"frames", "ports", "inferred",
}

// String is the name in the registry.
func (u Units) String() string { return nameOf(unitNames[:], uint8(u)) }

func nameOf(names []string, i uint8) string {
	if int(i) < len(names) {
		return names[i]
	}
	return strconv.Itoa(int(i))
}

type enterprise struct {
	number  uint32
	keyword string // one word, lower case
	name    string
}

// EnterpriseName returns the name of an enterprise known to the registry;
// false for others.
func EnterpriseName(number uint32) (string, bool) {
	if i, ok := slices.BinarySearchFunc(enterprises[:], number, func(e enterprise, n uint32) int {
		return cmp.Compare(e.number, n)
	}); ok {
		return enterprises[i].name, true
	}
	return "", false
}

// Spaces of numbers that follow from others.
const (
	certPEN       = 6871
	certReverse   = 0x4000 // this bit makes an element of CERT's the opposite direction's
	ciscoPEN      = 9
	ciscoBase     = 32768 // Cisco's elements begin here in NetFlow v9, which has no enterprise numbers
	ntopPEN       = 35632
	ntopBase      = 57472 // … and ntop's here
	reversePrefix = "reverse"
)

// Lookup returns what is known of an element; where that is nothing, only its
// numbers are set. Elements of NetFlow v9 are
// those of enterprise 0: below 128 the numbers are the same, above 32767,
// where IPFIX has none, they are the vendors' own.
func Lookup(enterprise uint32, id uint16) (Information, bool) {
	i, ok := slices.BinarySearchFunc(registry[:], Information{Enterprise: enterprise, ID: id}, compareElements)
	switch {
	case ok:
		return registry[i], true
	case enterprise == reversePEN && id < ciscoBase:
		return derive(enterprise, id, 0, id, reversePrefix)
	case enterprise == certPEN && id&certReverse != 0:
		return derive(enterprise, id, certPEN, id&^certReverse, reversePrefix)
	case enterprise == 0 && id >= ntopBase:
		return derive(enterprise, id, ntopPEN, id-ntopBase, "")
	case enterprise == 0 && id > ciscoBase:
		return derive(enterprise, id, ciscoPEN, id-ciscoBase, "")
	}
	return Information{Enterprise: enterprise, ID: id}, false
}

// derive makes an element from another one.
func derive(enterprise uint32, id uint16, ofEnterprise uint32, of uint16, prefix string) (Information, bool) {
	e, ok := Lookup(ofEnterprise, of)
	e.Enterprise, e.ID = enterprise, id
	if ok && prefix != "" {
		e.Name = prefix + strings.ToUpper(e.Name[:1]) + e.Name[1:]
	}
	return e, ok
}

// ByName finds an element by what people write in a configuration: its name in
// any case ("applicationName"), with its enterprise's number or keyword before
// it where the name alone is not enough ("9/applicationHttpHost",
// "cisco/applicationHttpHost"), or by its numbers ("96", "9/12235"). An
// element that is given by numbers need not be known: its Name is empty then.
// A name that stands in several enterprises' lists means IANA's element; where
// it isn't IANA's, the enterprise must be told.
func ByName(name string) (Information, bool) {
	var number uint32
	element, anywhere := name, true
	if owner, rest, ok := strings.Cut(name, "/"); ok {
		if number, ok = enterpriseByName(owner); !ok {
			return Information{}, false
		}
		element, anywhere = rest, false
	}
	if id, err := strconv.ParseUint(element, 10, 16); err == nil {
		e, _ := Lookup(number, uint16(id))
		return e, true
	}
	var found Information
	matches := 0
	for _, e := range registry {
		if strings.EqualFold(e.Name, element) && (anywhere || e.Enterprise == number) {
			if e.Enterprise == number {
				return e, true
			}
			found = e
			matches++
		}
	}
	if matches == 1 {
		return found, true
	}
	if n := len(reversePrefix); matches == 0 && len(element) > n && element[n] > '9' && strings.EqualFold(element[:n], reversePrefix) {
		forward, reverse, bit := uint32(0), uint32(reversePEN), uint16(0)
		if number == certPEN {
			forward, reverse, bit = certPEN, certPEN, certReverse
		}
		if anywhere || number == reverse {
			if e, ok := ByName(fmt.Sprintf("%d/%s", forward, element[n:])); ok && e.Name != "" {
				return Lookup(reverse, e.ID|bit)
			}
		}
	}
	return Information{}, false
}

func enterpriseByName(name string) (uint32, bool) {
	if n, err := strconv.ParseUint(name, 10, 32); err == nil {
		return uint32(n), true
	}
	for _, e := range enterprises {
		if strings.EqualFold(e.keyword, name) {
			return e.number, true
		}
	}
	return 0, false
}

// String names the element for people: "applicationName(96)",
// "applicationHttpHost(9/12235)", or only "9/12235" where there is no name.
func (e Information) String() string {
	number := strconv.Itoa(int(e.ID))
	if e.Enterprise != 0 {
		number = fmt.Sprintf("%d/%d", e.Enterprise, e.ID)
	}
	if e.Name == "" {
		return number
	}
	return e.Name + "(" + number + ")"
}

// String names the element as Information.String does.
func (f TemplateField) String() string {
	e, _ := Lookup(f.Enterprise, f.Element)
	return e.String()
}
