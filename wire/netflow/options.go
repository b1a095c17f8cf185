package netflow

import (
	"cmp"
	"fmt"
	"net/netip"
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
	text := strings.Map(func(c rune) rune {
		if c == utf8.RuneError || unicode.IsControl(c) {
			return -1
		}
		return c
	}, string(v))
	return strings.TrimSpace(text)
}

// Elements of options data.
const (
	interfaceName             = 82
	interfaceDescription      = 83
	samplerName               = 84
	mplsVpnRouteDistinguisher = 90
	applicationDescription    = 94
	applicationID             = 95
	applicationName           = 96
	ingressVRFID              = 234
	egressVRFID               = 235
	vrfName                   = 236
	selectorName              = 335
	applicationCategoryName   = 372
	applicationSubCategory    = 373
	applicationGroupName      = 374
)

// interfaceElements are the elements by whose value an interface is known.
var interfaceElements = [...]uint16{10, 14, 252, 253} // ingressInterface, egressInterface, and the physical ones

// scopeInterface is the type of a NetFlow v9 scope (RFC 3954 §6.1).
const scopeInterface = 2

// InterfaceName is what an exporter calls one of its interfaces.
type InterfaceName struct {
	Index       uint32 // ifIndex, as in flow.InIf and flow.OutIf
	Name        string // "GigabitEthernet0/0/1"
	Description string // what the operator wrote there, or the long form of the name
}

// Interface reads a record that names an interface: of the interface tables
// that Cisco, Huawei and others send. The names of things without an ifIndex
// (a VLAN, softflowd's capture) are none.
func (r OptionRecord) Interface() (InterfaceName, bool) {
	index, ok := r.interfaceIndex()
	n := InterfaceName{Index: uint32(index), Name: r.Text(interfaceName), Description: r.Text(interfaceDescription)}
	return n, ok && index < 1<<32 && (n.Name != "" || n.Description != "")
}

func (r OptionRecord) interfaceIndex() (uint64, bool) {
	for _, element := range interfaceElements {
		if index, ok := r.Uint(element); ok {
			return index, true
		}
	}
	if f, ok := r.Find(ScopeV9, scopeInterface); ok && len(f.Value) > 0 {
		return f.Uint()
	}
	return 0, false
}

// VRFName is what an exporter calls one of its routing tables.
type VRFName struct {
	ID                 uint32 // as in flow.InVRF and flow.OutVRF
	Name               string
	RouteDistinguisher string // "64496:100"; "" where it is not told
}

// VRF reads a record that names a routing table.
func (r OptionRecord) VRF() (VRFName, bool) {
	id, ok := r.Uint(ingressVRFID)
	if !ok {
		id, ok = r.Uint(egressVRFID)
	}
	v := VRFName{ID: uint32(id), Name: r.Text(vrfName)}
	if f, ok := r.Find(0, mplsVpnRouteDistinguisher); ok && len(f.Value) == 8 && number(f.Value) != 0 {
		v.RouteDistinguisher = routeDistinguisher([8]byte(f.Value))
	}
	return v, ok && id < 1<<32 && v.Name != ""
}

// routeDistinguisher writes one as people do (RFC 4364 §4.2).
func routeDistinguisher(rd [8]byte) string {
	switch kind, value := number(rd[:2]), rd[2:]; kind {
	case 0:
		return fmt.Sprintf("%d:%d", number(value[:2]), number(value[2:]))
	case 1:
		return fmt.Sprintf("%v:%d", netip.AddrFrom4([4]byte(value)), number(value[4:]))
	case 2:
		return fmt.Sprintf("%d:%d", number(value[:4]), number(value[4:]))
	default:
		return fmt.Sprintf("%d:%x", kind, value)
	}
}

// Application is what an exporter calls an application it recognises.
type Application struct {
	ID          uint64 // as in flow.ApplicationID
	Name        string // "youtube"
	Description string
	Category    string
	SubCategory string
	Group       string
}

// Application reads a record that names or classifies an application: Cisco's
// NBAR tables, its wireless controllers', Fortinet's. Names and attributes may
// come in records of their own.
func (r OptionRecord) Application() (Application, bool) {
	f, ok := r.Find(0, applicationID)
	if !ok {
		return Application{}, false
	}
	a := Application{
		Name:        r.Text(applicationName),
		Description: r.Text(applicationDescription),
		Category:    cmp.Or(r.Text(applicationCategoryName), r.cisco(12232)),
		SubCategory: cmp.Or(r.Text(applicationSubCategory), r.cisco(12233)),
		Group:       cmp.Or(r.Text(applicationGroupName), r.cisco(12234)),
	}
	a.ID, ok = ApplicationID(f.Value)
	return a, ok && a != Application{ID: a.ID}
}

// cisco is the text of an element of Cisco's, which NetFlow v9 has elsewhere.
func (r OptionRecord) cisco(element uint16) string {
	f, ok := r.Find(ciscoPEN, element)
	if !ok {
		f, _ = r.Find(0, ciscoBase+element)
	}
	return f.Text()
}

// ApplicationID makes a number of an applicationId (RFC 6759 §4). The nine
// bytes of a vendor's own engine (20, then the enterprise number, then the
// selector) lose the first, so that they fit.
func ApplicationID(value []byte) (uint64, bool) {
	const engineWithEnterprise = 20
	if len(value) == 9 && value[0] == engineWithEnterprise {
		value = value[1:]
	}
	return number(value), len(value) > 0 && len(value) <= 8
}

// Float returns the field's value as a floating-point number; false where it
// has not the length of one.
func (f OptionField) Float() (float64, bool) {
	if !asFloat.fits(len(f.Value)) {
		return 0, false
	}
	return float(f.Value), true
}

// Statistic is one counter that an exporter keeps of its own work.
type Statistic struct {
	Information
	Value uint64
}

// Statistics returns the counters of a record: how much was exported, ignored,
// not sent (40 to 42, 163 to 168 and their like, a vendor's own too).
func (r OptionRecord) Statistics() (list []Statistic) {
	for _, f := range r.Fields {
		if f.Enterprise == ScopeV9 {
			continue
		}
		e, _ := Lookup(f.Enterprise, f.Element)
		switch e.Semantics {
		case SemanticsTotalCounter, SemanticsDeltaCounter, SemanticsSnmpCounter:
			if v, ok := f.Uint(); ok {
				list = append(list, Statistic{e, v})
			}
		}
	}
	return list
}
