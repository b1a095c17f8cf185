package netflow

import "github.com/minamo-flow/minamo/flow"

// Message says what one datagram held. The caller owns it and uses it again
// for the next datagram: Decode resets it and keeps its memory.
type Message struct {
	Version    uint16 // 1, 5, 7, 8, 9 or 10 (IPFIX)
	Domain     uint32 // observation domain, v9 source id, v5 engine type × 256 + engine id; v8 the same + scheme × 65536
	Sequence   uint32 // the header's sequence number, in the protocol's own unit: see Units
	SysUptime  uint32 // milliseconds since the device booted; 0 for IPFIX, which has none
	ExportTime int64  // the header's clock, milliseconds since the epoch

	First, Flows int // rows [First, First+Flows) were appended, those of formerly waiting data sets included

	// Units is by how much this datagram advances the sequence: v5, v7 and v8
	// count records, v9 datagrams, IPFIX data records (options data too). Where
	// a set could not be decoded the number is not known; v1 has no sequence,
	// and so never a number.
	Units        uint32
	UnitsUnknown bool

	Records       int // flow records decoded; less than Flows where some told of both directions
	OptionRecords int // options data records decoded: len(Options)
	Templates     int // template records read
	NewTemplates  int // how many of them were new or differed from what was known: time to persist them
	Withdrawals   int // templates withdrawn
	Learnt        int // elements described and boot times told that were news, too

	// Options are the options data records. Their values alias the datagram,
	// or the copy of a set that waited, and are valid until the next Decode.
	Options []OptionRecord

	Problems [NumProblems]uint32 // what was wrong, or not understood, by kind

	// Room that is used again.
	fields   []OptionField // what the records' Fields are cut from
	template []TemplateField
	rows     rows
	reverse  rows     // those of rows with an opposite direction …
	both     []uint32 // … and their numbers
}

func (m *Message) reset() {
	m.Version, m.Domain, m.Sequence, m.SysUptime, m.ExportTime = 0, 0, 0, 0, 0
	m.First, m.Flows, m.Units, m.UnitsUnknown = 0, 0, 0, false
	m.Records, m.OptionRecords, m.Templates, m.NewTemplates, m.Withdrawals, m.Learnt = 0, 0, 0, 0, 0, 0
	m.Options, m.fields, m.template = m.Options[:0], m.fields[:0], m.template[:0]
	clear(m.Problems[:])
}

// Problem is a kind of trouble smaller than a datagram.
type Problem uint8

const (
	TemplateWaiting   Problem = iota // a data set was put aside until its template comes
	TemplateMissing                  // a data set was dropped: no template, and no room to wait
	TemplateMalformed                // a template contradicts itself, or overruns its set
	TemplateRefused                  // a template is beyond the Limits
	SetLength                        // a set's length is less than its own header: the rest of the datagram is lost
	SetUnknown                       // a set has a reserved id
	SetRemainder                     // bytes that aren't zero remain behind a set's last whole record
	Truncated                        // a set, or an IPFIX message, claims more bytes than there are
	TrailingBytes                    // bytes remain behind the last set, or behind an IPFIX message
	CountMismatch                    // the count in the header of v1 to v8 contradicts the datagram's length
	SchemeUnknown                    // a v8 datagram is of an unknown aggregation scheme, and was of no use
	RecordOverrun                    // a variable-length field reaches beyond its set
	ElementSkipped                   // an element of a new template that no column holds, or of an impossible length
	ValueTooGreat                    // a value does not fit its column, and was left out
	ReverseSkipped                   // a record told of the opposite direction (RFC 5103), but counted nothing there
	SectionSkipped                   // a record's packet section (elements 104, 313, 315) begins with no header that can be read
	ListOverrun                      // structured data (RFC 6313) reach beyond their field
	ListSkipped                      // structured data of an unknown template, or nested too deeply
	NumProblems
)

var problemNames = [NumProblems]string{
	TemplateWaiting:   "template_waiting",
	TemplateMissing:   "template_missing",
	TemplateMalformed: "template_malformed",
	TemplateRefused:   "template_refused",
	SetLength:         "set_length",
	SetUnknown:        "set_unknown",
	SetRemainder:      "set_remainder",
	Truncated:         "truncated",
	TrailingBytes:     "trailing_bytes",
	CountMismatch:     "count_mismatch",
	SchemeUnknown:     "scheme_unknown",
	RecordOverrun:     "record_overrun",
	ElementSkipped:    "element_skipped",
	ValueTooGreat:     "value_too_great",
	ReverseSkipped:    "reverse_skipped",
	SectionSkipped:    "section_skipped",
	ListOverrun:       "list_overrun",
	ListSkipped:       "list_skipped",
}

// String is the kind's stable name, fit for a metric's label.
func (p Problem) String() string { return problemNames[p] }

// Malformed tells whether the problem is the datagram's fault: not a matter
// of order (a template still to come) nor of what we keep.
func (p Problem) Malformed() bool {
	switch p {
	case TemplateMalformed, SetLength, SetUnknown, Truncated, CountMismatch, SchemeUnknown, RecordOverrun, ListOverrun:
		return true
	}
	return false
}

// OptionRecord is one record of options data: what the exporter says about
// itself, its samplers, its interfaces.
type OptionRecord struct {
	Domain   uint32
	Template uint16
	Fields   []OptionField // in the template's order, those of length zero left out
}

// ScopeV9 stands in OptionField.Enterprise for the number space of NetFlow v9
// scopes (RFC 3954 §6.1): 1 system, 2 interface, 3 line card, 4 cache,
// 5 template. Other elements in a v9 scope are ordinary ones.
const ScopeV9 = 1<<32 - 1

// OptionField is one field of an OptionRecord.
type OptionField struct {
	Enterprise uint32 // 0 for IANA's elements and all of NetFlow v9's, or ScopeV9
	Element    uint16
	Scope      bool // tells what the record is about, rather than something about it
	Value      []byte
}

// Uint returns the field's value as a number; false where it is longer than
// eight bytes.
func (f OptionField) Uint() (uint64, bool) {
	if len(f.Value) > 8 {
		return 0, false
	}
	return number(f.Value), true
}

// Find returns the first field of the given element.
func (r OptionRecord) Find(enterprise uint32, element uint16) (OptionField, bool) {
	for _, f := range r.Fields {
		if f.Element == element && f.Enterprise == enterprise {
			return f, true
		}
	}
	return OptionField{}, false
}

// Uint returns the value of an IANA or NetFlow v9 element as a number.
func (r OptionRecord) Uint(element uint16) (uint64, bool) {
	if f, ok := r.Find(0, element); ok {
		return f.Uint()
	}
	return 0, false
}

// header is what the rows of a datagram share. A waiting set keeps its own.
type header struct {
	protocol uint8 // flow.NetFlow1 … IPFIX
	domain   uint32
	received int64 // ms
	export   int64 // ms
	uptime   uint32
	booted   bool // uptime is known
}

func (h *header) ipfix() bool { return h.protocol == flow.IPFIX }
