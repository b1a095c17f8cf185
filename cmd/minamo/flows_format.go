package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/query"
)

// record is a line to print: a single flow, or a group in the shape of one.
type record struct {
	p      *printer
	b      *flow.Batch
	i      int
	number uint64
	flows  uint64
	out    query.Sums // of the packets and bytes, those from dst to src
	key    []query.Value
}

func (r *record) has(c flow.Column) bool { return r.b.Present[r.i].Has(c) }
func (r *record) packets() uint64        { return r.b.U64(flow.Packets)[r.i] }
func (r *record) bytes() uint64          { return r.b.U64(flow.Bytes)[r.i] }
func (r *record) start() time.Time       { return time.UnixMilli(r.b.Time(flow.Start)[r.i]) }
func (r *record) end() time.Time         { return time.UnixMilli(r.b.Time(flow.End)[r.i]) }

// tag is what a % in a format stands for.
type tag struct {
	names   string // after the %, several with a space between
	title   string // above the column
	width   int    // of the column at least; a negative one aligns to the left
	name    string // above the column in csv
	columns []flow.Column
	cell    func(dst []byte, r *record) []byte
}

// item is a piece of a format: a tag, or text where there is none.
type item struct {
	text string
	tag  *tag
}

// layout is a parsed format: how records are printed.
type layout struct {
	items []item
	csv   bool
}

// columns are what the tags read.
func (l *layout) columns() []flow.Column {
	var set flow.Mask
	for _, i := range l.items {
		if i.tag != nil {
			for _, c := range i.tag.columns {
				set.Add(c)
			}
		}
	}
	return set.Columns()
}

// formats are nfdump's predefined ones.
var formats = map[string]string{
	"line":     "%ts %td %pr %sap -> %dap %pkt %byt %fl",
	"long":     "%ts %td %pr %sap -> %dap %flg %tos %pkt %byt %fl",
	"extended": "%ts %td %pr %sap -> %dap %flg %tos %pkt %byt %pps %bps %bpp %fl",
	"biline":   "%ts %td %pr %sap <-> %dap %opkt %ipkt %obyt %ibyt %fl",
	"bilong":   "%ts %td %pr %sap <-> %dap %flg %tos %opkt %ipkt %obyt %ibyt %fl",
	"nsel":     "%ts %evt %xevt %pr %sap -> %dap %xsap -> %xdap %ibyt %obyt",
	"nel":      "%ts %nevt %pr %sap -> %dap %nsap -> %ndap",
}

// tags are nfdump's, as far as there is a column that answers.
var tags = []tag{
	{"cnt", "Count", 7, "count", nil, func(dst []byte, r *record) []byte { return strconv.AppendUint(dst, r.number, 10) }},
	{"nfv", "Ver", -3, "export_protocol", cols(flow.ExportProtocol), exportVersion},
	{"ts tfs", "Date first seen", -23, "start", cols(flow.Start), moment(flow.Start)},
	{"te", "Date last seen", -23, "end", cols(flow.End), moment(flow.End)},
	{"tr", "Date flow received", -23, "received", cols(flow.Received), moment(flow.Received)},
	{"tsr", "Date first seen (raw)", -14, "start", cols(flow.Start), seconds(flow.Start)},
	{"ter", "Date last seen (raw)", -14, "end", cols(flow.End), seconds(flow.End)},
	{"trr", "Date flow received (raw)", -14, "received", cols(flow.Received), seconds(flow.Received)},
	{"tsg", "Date first seen GMT", -24, "start", cols(flow.Start), momentUTC(flow.Start)},
	{"teg", "Date last seen GMT", -24, "end", cols(flow.End), momentUTC(flow.End)},
	{"trg", "Date flow received GMT", -24, "received", cols(flow.Received), momentUTC(flow.Received)},
	{"td", "Duration", 16, "duration", cols(flow.Start, flow.End), func(dst []byte, r *record) []byte {
		return r.p.appendDuration(dst, r.end().Sub(r.start()))
	}},
	{"tds", "Duration", 16, "duration", cols(flow.Start, flow.End), func(dst []byte, r *record) []byte {
		return appendSeconds(dst, r.end().Sub(r.start()))
	}},
	{"pr", "Proto", -5, "protocol", cols(flow.Protocol), func(dst []byte, r *record) []byte {
		if !r.has(flow.Protocol) {
			return append(dst, '-')
		}
		return append(dst, r.p.protocol(r.b.U8(flow.Protocol)[r.i])...)
	}},
	{"eng", "engine", 7, "engine", cols(flow.ObservationDomain), func(dst []byte, r *record) []byte {
		if !r.has(flow.ObservationDomain) {
			return append(dst, '-')
		}
		domain := r.b.U32(flow.ObservationDomain)[r.i]
		return fmt.Appendf(dst, "%d/%d", domain>>8&255, domain&255)
	}},
	{"lbl", "Flow label", 10, "", cols(flow.FlowLabel), nil},
	{"sa", "Src IP Addr", 16, "", cols(flow.SrcAddr), nil},
	{"da", "Dst IP Addr", 16, "", cols(flow.DstAddr), nil},
	{"sap", "Src IP Addr:Port", 21, "", cols(flow.SrcAddr, flow.SrcPort), endpoint(flow.SrcAddr, flow.SrcPort)},
	{"dap", "Dst IP Addr:Port", -21, "", cols(flow.DstAddr, flow.DstPort, flow.ICMPType, flow.ICMPCode), endpoint(flow.DstAddr, flow.DstPort)},
	{"sp", "Src Pt", 6, "", cols(flow.SrcPort), nil},
	{"dp", "Dst Pt", 6, "dst_port", cols(flow.DstPort, flow.ICMPType, flow.ICMPCode), func(dst []byte, r *record) []byte {
		if r.has(flow.ICMPType) {
			return icmp(dst, r)
		}
		return plain(dst, r, flow.DstPort)
	}},
	{"it", "ICMP-T", 6, "", cols(flow.ICMPType), nil},
	{"ic", "ICMP-C", 6, "", cols(flow.ICMPCode), nil},
	{"sn", "Src Network", 19, "src_net", cols(flow.SrcAddr, flow.SrcMask), network(flow.SrcAddr, flow.SrcMask)},
	{"dn", "Dst Network", 19, "dst_net", cols(flow.DstAddr, flow.DstMask), network(flow.DstAddr, flow.DstMask)},
	{"nh", "Next-hop IP", 16, "", cols(flow.NextHop), nil},
	{"nhb", "BGP next-hop IP", 16, "", cols(flow.BGPNextHop), nil},
	{"ra", "Router IP", 16, "", cols(flow.Exporter), nil},
	{"sas", "Src AS", 6, "", cols(flow.SrcAS), nil},
	{"das", "Dst AS", 6, "", cols(flow.DstAS), nil},
	{"nas", "Next AS", 7, "", cols(flow.NextAS), nil},
	{"pas", "Prev AS", 7, "", cols(flow.PrevAS), nil},
	{"in", "Input", 6, "", cols(flow.InIf), nil},
	{"out", "Output", 6, "", cols(flow.OutIf), nil},
	{"pkt", "Packets", 8, "packets", cols(flow.Packets), counter(func(r *record) uint64 { return r.packets() - r.out.Packets })},
	{"ipkt", "In Pkt", 8, "in_packets", cols(flow.Packets), counter(func(r *record) uint64 { return r.packets() - r.out.Packets })},
	{"opkt", "Out Pkt", 8, "out_packets", nil, counter(func(r *record) uint64 { return r.out.Packets })},
	{"byt", "Bytes", 8, "bytes", cols(flow.Bytes), counter(func(r *record) uint64 { return r.bytes() - r.out.Bytes })},
	{"ibyt", "In Byte", 8, "in_bytes", cols(flow.Bytes), counter(func(r *record) uint64 { return r.bytes() - r.out.Bytes })},
	{"obyt", "Out Byte", 8, "out_bytes", nil, counter(func(r *record) uint64 { return r.out.Bytes })},
	{"fl", "Flows", 5, "flows", nil, counter(func(r *record) uint64 { return r.flows })},
	{"flg", "Flags", 8, "tcp_flags", cols(flow.TCPFlags), func(dst []byte, r *record) []byte {
		return append(dst, query.FlagsLabel(r.b.U16(flow.TCPFlags)[r.i])...) // also where there are none, as nfdump does
	}},
	{"tos", "Tos", 3, "", cols(flow.TOS), nil},
	{"stos", "STos", 4, "", cols(flow.TOS), nil},
	{"dtos", "DTos", 4, "", cols(flow.PostTOS), nil},
	{"dir", "Dir", 3, "direction", cols(flow.Direction), func(dst []byte, r *record) []byte {
		if !r.has(flow.Direction) {
			return append(dst, '-')
		}
		return append(dst, "IE"[r.b.U8(flow.Direction)[r.i]&1])
	}},
	{"bfd", "BiDir", 7, "", cols(flow.Biflow), nil},
	{"end", "Flow end", 8, "", cols(flow.FlowEndReason), nil},
	{"smk", "SMask", 5, "", cols(flow.SrcMask), nil},
	{"dmk", "DMask", 5, "", cols(flow.DstMask), nil},
	{"fwd", "Fwd", 3, "", cols(flow.ForwardingStatus), nil},
	{"svln", "SVlan", 5, "", cols(flow.SrcVLAN), nil},
	{"dvln", "DVlan", 5, "", cols(flow.DstVLAN), nil},
	{"ismc", "In src MAC Addr", 17, "", cols(flow.SrcMAC), nil},
	{"idmc", "In dst MAC Addr", 17, "", cols(flow.DstMAC), nil},
	{"odmc", "Out dst MAC Addr", 17, "", cols(flow.DstMAC), nil},
	{"mpls1", "MPLS lbl 1", 10, "", cols(flow.MPLSLabel1), nil},
	{"mpls2", "MPLS lbl 2", 10, "", cols(flow.MPLSLabel2), nil},
	{"mpls3", "MPLS lbl 3", 10, "", cols(flow.MPLSLabel3), nil},
	{"mpls4", "MPLS lbl 4", 10, "", cols(flow.MPLSLabel4), nil},
	{"mpls5", "MPLS lbl 5", 10, "", cols(flow.MPLSLabel5), nil},
	{"mpls6", "MPLS lbl 6", 10, "", cols(flow.MPLSLabel6), nil},
	{"mpls7", "MPLS lbl 7", 10, "", cols(flow.MPLSLabel7), nil},
	{"mpls8", "MPLS lbl 8", 10, "", cols(flow.MPLSLabel8), nil},
	{"mpls9", "MPLS lbl 9", 10, "", cols(flow.MPLSLabel9), nil},
	{"mpls10", "MPLS lbl 10", 11, "", cols(flow.MPLSLabel10), nil},
	{"mpls", "MPLS labels 1-10", 16, "mpls_labels", labels(), func(dst []byte, r *record) []byte {
		begin := len(dst)
		for _, c := range labels() {
			if r.has(c) {
				if len(dst) > begin {
					dst = append(dst, '/')
				}
				dst = plain(dst, r, c)
			}
		}
		if len(dst) == begin {
			dst = append(dst, '-')
		}
		return dst
	}},
	{"bps", "bps", 8, "bps", cols(flow.Bytes, flow.Start, flow.End), counter(func(r *record) uint64 { return perSecond(r.bytes(), 8, r.start(), r.end()) })},
	{"pps", "pps", 8, "pps", cols(flow.Packets, flow.Start, flow.End), counter(func(r *record) uint64 { return perSecond(r.packets(), 1, r.start(), r.end()) })},
	{"bpp", "Bpp", 6, "bpp", cols(flow.Bytes, flow.Packets), counter(func(r *record) uint64 { return r.bytes() / max(r.packets(), 1) })},
	{"ttl minttl", "TTL", 3, "", cols(flow.TTL), nil},
	{"eth", "EthType", 7, "ether_type", cols(flow.EtherType), func(dst []byte, r *record) []byte {
		if !r.has(flow.EtherType) {
			return append(dst, '-')
		}
		return fmt.Appendf(dst, "0x%04x", r.b.U16(flow.EtherType)[r.i])
	}},
	{"nbid", "nbar ID", 10, "", cols(flow.ApplicationID), nil},
	{"nbnam", "nbar name", 12, "", cols(flow.ApplicationName), nil},
	{"odid", "obsDomainID", 11, "", cols(flow.ObservationDomain), nil},
	{"evt", "Event", 7, "", cols(flow.FirewallEvent), nil},
	{"xevt", "XEvent", 6, "", cols(flow.FirewallExtEvent), nil},
	{"nevt", "Event", 7, "", cols(flow.NATEvent), nil},
	{"iacl", "Ingress ACL", 16, "", cols(flow.IngressACL), nil},
	{"eacl", "Egress ACL", 16, "", cols(flow.EgressACL), nil},
	{"xsa nsa", "X-late Src IP", 16, "", cols(flow.PostNATSrcAddr), nil},
	{"xda nda", "X-late Dst IP", 16, "", cols(flow.PostNATDstAddr), nil},
	{"xsp nsp", "XsPort", 6, "", cols(flow.PostNATSrcPort), nil},
	{"xdp ndp", "XdPort", 6, "", cols(flow.PostNATDstPort), nil},
	{"xsap nsap", "X-Src IP Addr:Port", 21, "", cols(flow.PostNATSrcAddr, flow.PostNATSrcPort), endpoint(flow.PostNATSrcAddr, flow.PostNATSrcPort)},
	{"xdap ndap", "X-Dst IP Addr:Port", -21, "", cols(flow.PostNATDstAddr, flow.PostNATDstPort), endpoint(flow.PostNATDstAddr, flow.PostNATDstPort)},
	{"uname", "UserName", -8, "", cols(flow.SrcUser), nil},
	{"ivrf vrf", "I-VRF-ID", 10, "", cols(flow.InVRF), nil},
	{"evrf", "E-VRF-ID", 10, "", cols(flow.OutVRF), nil},
	{"pbstart", "Pb-Start", 8, "", cols(flow.NATPortStart), nil},
	{"pbend", "Pb-End", 7, "", cols(flow.NATPortEnd), nil},
	{"pbsize", "Pb-Size", 7, "nat_port_count", cols(flow.NATPortStart, flow.NATPortEnd), func(dst []byte, r *record) []byte {
		if !r.has(flow.NATPortStart) || !r.has(flow.NATPortEnd) {
			return append(dst, '-')
		}
		return strconv.AppendInt(dst, int64(r.b.U16(flow.NATPortEnd)[r.i])-int64(r.b.U16(flow.NATPortStart)[r.i])+1, 10)
	}},
}

// noTags are nfdump's tags that nothing in a flow record of ours answers.
var noTags = map[string]string{
	"exp": noSysID, "sysid": noSysID, "inam": noInterfaceNames, "onam": noInterfaceNames, "ivrfnam": noVRFNames, "evrfnam": noVRFNames,
	"sc": noCountries, "dc": noCountries, "sloc": noCountries, "dloc": noCountries, "gsa": noCountries, "gda": noCountries,
	"gsap": noCountries, "gdap": noCountries, "gra": noCountries, "gline": noCountries, "glong": noCountries,
	"sasn": noNames, "dasn": noNames, "stor": noTor, "dtor": noTor,
	"ipl": noPayload, "opl": noPayload, "ja3": noPayload, "ja4": noPayload, "sni": noPayload, "tls": noPayload,
	"cl": noLatency, "sl": noLatency, "al": noLatency, "osmc": noMAC, "maxttl": noTTL,
	"opid": "observation points are not stored", "frag": "fragment_offset and fragment_id are stored",
	"sgt": "security group tags are not stored", "nfc": "connection ids are not stored", "idt": "files have no ident label",
	"msec": "an event's time is the start of its flow, %tsr", "tevt": "an event's time is the start of its flow, %ts",
	"pbstep": "the step of a port block is not stored; %pbstart, %pbend and %pbsize are there",
}

const (
	noSysID          = "exporters have no numbers, but addresses (router, %ra)"
	noInterfaceNames = "flows have the indices of interfaces, not their names (inif, outif, %in, %out)"
	noVRFNames       = "flows have the ids of VRFs, not their names (ivrf, evrf)"
	noNames          = "flows have AS numbers without names (srcas, dstas)"
	noCountries      = "countries and places are not stored"
	noTor            = "flows are not compared with lists of Tor exits"
	noPayload        = "payload is not stored"
	noLatency        = "latencies are not stored"
	noMAC            = "one source and one destination MAC address are stored (insrcmac, indstmac, %ismc, %idmc)"
	noTTL            = "one TTL is stored, the least (ttl)"
	noACE            = "an access list's name is stored as one text (iacl, eacl)"
)

func cols(list ...flow.Column) []flow.Column { return list }

func labels() []flow.Column {
	var list []flow.Column
	for c := flow.MPLSLabel1; c <= flow.MPLSLabel10; c++ {
		list = append(list, c)
	}
	return list
}

// plain appends a value as files and JSON have it, "-" where it is absent.
func plain(dst []byte, r *record, c flow.Column) []byte {
	if !r.has(c) {
		return append(dst, '-')
	}
	if flow.Schema[c].Kind == flow.Text {
		return append(dst, printable(string(r.b.Text(c, r.i)))...)
	}
	return r.b.AppendText(dst, c, r.i)
}

func counter(of func(*record) uint64) func([]byte, *record) []byte {
	return func(dst []byte, r *record) []byte { return r.p.appendNumber(dst, of(r)) }
}

func moment(c flow.Column) func([]byte, *record) []byte {
	return func(dst []byte, r *record) []byte {
		if !r.has(c) {
			return append(dst, '-')
		}
		return time.UnixMilli(r.b.Time(c)[r.i]).In(r.p.location).AppendFormat(dst, momentLayout)
	}
}

func momentUTC(c flow.Column) func([]byte, *record) []byte {
	return func(dst []byte, r *record) []byte {
		if !r.has(c) {
			return append(dst, '-')
		}
		return time.UnixMilli(r.b.Time(c)[r.i]).UTC().AppendFormat(dst, momentLayout+"Z")
	}
}

func seconds(c flow.Column) func([]byte, *record) []byte {
	return func(dst []byte, r *record) []byte {
		if !r.has(c) {
			return append(dst, '-')
		}
		ms := r.b.Time(c)[r.i]
		return fmt.Appendf(dst, "%d.%03d", ms/1000, ms%1000)
	}
}

// exportVersion is nfdump's short form: Nv9, IPFIX as Nv10, sFlow as Sv5; "-"
// where there was no protocol.
func exportVersion(dst []byte, r *record) []byte {
	if !r.has(flow.ExportProtocol) {
		return append(dst, '-')
	}
	switch v := r.b.U8(flow.ExportProtocol)[r.i]; v {
	case flow.SFlow2, flow.SFlow4, flow.SFlow5:
		return strconv.AppendUint(append(dst, "Sv"...), uint64(v-60), 10)
	case flow.Probe:
		return append(dst, '-')
	default:
		return strconv.AppendUint(append(dst, "Nv"...), uint64(v), 10)
	}
}

// endpoint is an address and its port, or for a destination the ICMP type and
// code. A point tells the port from an IPv6 address.
func endpoint(address, port flow.Column) func([]byte, *record) []byte {
	return func(dst []byte, r *record) []byte {
		separator := byte(':')
		if r.has(address) {
			a := r.b.Addr(address)[r.i]
			dst = a.Netip().AppendTo(dst)
			if !a.Is4() {
				separator = '.'
			}
		} else {
			dst = append(dst, '-')
		}
		switch {
		case port == flow.DstPort && r.has(flow.ICMPType):
			return icmp(append(dst, separator), r)
		case r.has(port):
			return strconv.AppendUint(append(dst, separator), uint64(r.b.U16(port)[r.i]), 10)
		}
		return dst
	}
}

func icmp(dst []byte, r *record) []byte {
	dst = strconv.AppendUint(dst, uint64(r.b.U8(flow.ICMPType)[r.i]), 10)
	return strconv.AppendUint(append(dst, '.'), uint64(r.b.U8(flow.ICMPCode)[r.i]), 10)
}

func network(address, mask flow.Column) func([]byte, *record) []byte {
	return func(dst []byte, r *record) []byte {
		if !r.has(address) || !r.has(mask) {
			return append(dst, '-')
		}
		prefix, err := r.b.Addr(address)[r.i].Netip().Prefix(int(r.b.U8(mask)[r.i]))
		if err != nil {
			return append(dst, '-')
		}
		return prefix.AppendTo(dst)
	}
}

// placedError is a mistake at a place in the value of an option.
type placedError struct {
	text    string
	at      query.FilterError // the place and the word
	message string
}

func (e *placedError) Error() string { return e.message }

// parseLayout reads a format, behind the word that begins it: "fmt:" or
// "csv:". Beside nfdump's tags every column can be named, and every dimension
// of the groups that are printed.
func parseLayout(option string, by []query.Dimension) (*layout, error) {
	kind, text, _ := strings.Cut(option, ":")
	l := &layout{csv: kind == "csv"}
	offset := len(kind) + 1
	for text != "" {
		at := strings.IndexByte(text, '%')
		if at < 0 {
			at = len(text)
		}
		if at > 0 {
			l.items = append(l.items, item{text: text[:at]})
			text, offset = text[at:], offset+at
			continue
		}
		name, items, reason := parseTag(text[1:], by)
		if items == nil {
			at := query.FilterError{Column: utf8.RuneCountInString(option[:offset]) + 1, Word: "%" + name}
			return nil, &placedError{option, at, fmt.Sprintf("-o, column %d: there is no %%%s: %s", at.Column, name, reason)}
		}
		l.items = append(l.items, items...)
		text, offset = text[1+len(name):], offset+1+len(name)
	}
	if len(l.items) == 0 {
		return nil, fmt.Errorf("-o %s: expected tags behind it, such as %%ts or %%sa", option)
	}
	if !l.csv {
		return l, nil
	}
	var tagged []item
	for i, it := range l.items {
		if (it.tag != nil) != (i%2 == 0) || it.tag == nil && strings.TrimSpace(it.text) != "," {
			return nil, fmt.Errorf("-o %s: expected tags with a comma between, such as csv:%%ts,%%sa,%%byt", option)
		}
		if it.tag != nil {
			tagged = append(tagged, it)
		}
	}
	l.items = tagged
	return l, nil
}

// parseTag finds the tag at the beginning of a text that follows a %; the
// longest that fits. Without items it says why there is none.
func parseTag(text string, by []query.Dimension) (name string, items []item, reason string) {
	if strings.HasPrefix(text, "%") {
		return "%", []item{{text: "%"}}, ""
	}
	for i, d := range by {
		if _, isColumn := flow.Lookup(d.Name); !isColumn && strings.HasPrefix(text, d.Name) {
			return d.Name, []item{{tag: &tag{title: title(d), width: len(title(d)), name: d.Name, cell: func(dst []byte, r *record) []byte {
				if r.key == nil {
					return append(dst, '-')
				}
				return append(dst, keyText(d, r.key[i])...)
			}}}}, ""
		}
	}
	end := strings.IndexFunc(text, func(c rune) bool {
		return !(c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z')
	})
	if end < 0 {
		end = len(text)
	}
	name = text[:end]
	if name == "n" {
		return name, []item{{text: "\n"}}, ""
	}
	if predefined, ok := formats[name]; ok {
		l, err := parseLayout("fmt:"+predefined, nil)
		if err != nil {
			panic(err)
		}
		return name, l.items, ""
	}
	candidates := []string{}
	for i := range tags {
		t := &tags[i]
		for n := range strings.SplitSeq(t.names, " ") {
			if n == name {
				return name, []item{{tag: finished(t)}}, ""
			}
			candidates = append(candidates, n)
		}
	}
	if c, ok := flow.Lookup(name); ok {
		return name, []item{{tag: finished(&tag{names: name, title: name, width: len(name), columns: cols(c)})}}, ""
	}
	if reason, ok := noTags[name]; ok {
		return name, nil, reason
	}
	for c := range flow.Columns() {
		candidates = append(candidates, c.String())
	}
	reason = "expected a tag such as %ts, %sap or %byt, or a column's name"
	if near := query.Nearest(name, candidates); near != "" {
		reason += fmt.Sprintf("; did you mean %q?", "%"+near)
	}
	return name, nil, reason
}

// finished completes a tag that prints one column as it is.
func finished(t *tag) *tag {
	done := *t
	c := t.columns
	if done.name == "" {
		done.name = c[0].String()
		if len(c) > 1 {
			done.name = strings.Fields(t.names)[0]
		}
	}
	if done.cell == nil {
		done.cell = func(dst []byte, r *record) []byte { return plain(dst, r, c[0]) }
	}
	return &done
}

// lines prints records by a layout. The first lot of them decides how wide
// the columns are, at least as wide as nfdump's; what comes later and is wider
// shifts its line.
type lines struct {
	*layout
	p       *printer
	widths  []int
	started bool
	number  uint64
	buffer  []byte
	ends    []int
	line    []byte
}

func newLines(p *printer, l *layout) *lines {
	return &lines{layout: l, p: p, widths: make([]int, len(l.items))}
}

// print prints the rows of a batch; with groups, these are their rows.
func (w *lines) print(b *flow.Batch, groups []query.Row) {
	w.buffer, w.ends = w.buffer[:0], w.ends[:0]
	for i := range b.Len() {
		w.number++
		r := record{p: w.p, b: b, i: i, number: w.number, flows: 1}
		if groups != nil {
			r.flows, r.out, r.key = groups[i].Flows, groups[i].Out, groups[i].Key
		}
		for _, it := range w.items {
			if it.tag != nil {
				w.buffer = it.tag.cell(w.buffer, &r)
			}
			w.ends = append(w.ends, len(w.buffer))
		}
	}
	if !w.started {
		w.heading(b.Len())
	}
	begin := 0
	for i := range b.Len() {
		w.line = w.line[:0]
		for n, it := range w.items {
			end := w.ends[i*len(w.items)+n]
			w.append(n, it, w.buffer[begin:end])
			begin = end
		}
		w.flush()
	}
}

// heading finds the widths of the columns and prints what stands above them.
func (w *lines) heading(rows int) {
	w.started = true
	for n, it := range w.items {
		if it.tag == nil || w.csv {
			continue
		}
		w.widths[n] = max(it.tag.width, -it.tag.width, len(it.tag.title))
		for i := range rows {
			k := i*len(w.items) + n
			begin := 0
			if k > 0 {
				begin = w.ends[k-1]
			}
			w.widths[n] = max(w.widths[n], utf8.RuneCount(w.buffer[begin:w.ends[k]]))
		}
	}
	if w.p.quiet {
		return
	}
	w.line = w.line[:0]
	for n, it := range w.items {
		switch {
		case it.tag == nil:
			for _, c := range it.text { // arrows and the like stand between values only
				if c != '\n' {
					c = ' '
				}
				w.line = utf8.AppendRune(w.line, c)
			}
		case w.csv:
			w.append(n, it, []byte(it.tag.name))
		default:
			w.append(n, it, []byte(it.tag.title))
		}
	}
	w.flush()
}

// append adds an item to the line.
func (w *lines) append(n int, it item, cell []byte) {
	switch {
	case it.tag == nil:
		w.line = append(w.line, it.text...)
		return
	case w.csv:
		if n > 0 {
			w.line = append(w.line, ',')
		}
		if string(cell) != "-" { // absent
			w.line = append(w.line, csvField(string(cell))...)
		}
		return
	}
	pad := w.widths[n] - utf8.RuneCount(cell)
	if it.tag.width < 0 {
		w.line = append(w.line, cell...)
	}
	for ; pad > 0; pad-- {
		w.line = append(w.line, ' ')
	}
	if it.tag.width >= 0 {
		w.line = append(w.line, cell...)
	}
}

// flush writes the line without the spaces at its end.
func (w *lines) flush() {
	end := len(w.line)
	for end > 0 && w.line[end-1] == ' ' {
		end--
	}
	w.p.out.Write(append(w.line[:end], '\n'))
}
