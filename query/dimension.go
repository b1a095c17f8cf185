package query

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/rollup"
)

// Dimension is what flows are grouped by. Make one with ParseDimension.
type Dimension struct {
	Name string // in results: a column's name, or "ip", "port", "src_addr/24", "app" …
	Doc  string

	sql   []string        // of its value; two where both sides of a flow are credited
	join  string          // SQL that follows "FROM flows"
	value func(any) Value // from what DuckDB returns

	naming naming // whose names its values have

	v4, v6 int // lengths of a prefix dimension; 0 of others
}

// bothSides tells whether a flow counts for its source and its destination.
func (d *Dimension) bothSides() bool { return len(d.sql) == 2 }

// opposites are the columns that change places when a flow is looked at from
// its other end.
var opposites = func() map[string]string {
	m := map[string]string{}
	for _, name := range []string{"route", "customer", "site"} {
		m["src_"+name], m["dst_"+name] = "dst_"+name, "src_"+name
	}
	for _, pair := range [][2]flow.Column{
		{flow.SrcAddr, flow.DstAddr}, {flow.SrcPort, flow.DstPort}, {flow.InIf, flow.OutIf},
		{flow.SrcAS, flow.DstAS}, {flow.PrevAS, flow.NextAS}, {flow.SrcMask, flow.DstMask},
		{flow.SrcMAC, flow.DstMAC}, {flow.SrcVLAN, flow.DstVLAN}, {flow.InVRF, flow.OutVRF},
		{flow.SrcUser, flow.DstUser}, {flow.SrcNetwork, flow.DstNetwork}, {flow.SrcCountry, flow.DstCountry},
		{flow.SrcASSource, flow.DstASSource}, {flow.IngressACL, flow.EgressACL}, {flow.TunnelSrcAddr, flow.TunnelDstAddr},
		{flow.PostNATSrcAddr, flow.PostNATDstAddr}, {flow.PostNATSrcPort, flow.PostNATDstPort},
	} {
		m[pair[0].String()], m[pair[1].String()] = pair[1].String(), pair[0].String()
	}
	return m
}()

// Swapped is the dimension of the other direction: dst_addr/24 of src_addr/24.
// One without sides is its own.
func (d Dimension) Swapped() Dimension {
	base, lengths, isPrefix := strings.Cut(d.Name, "/")
	name, ok := opposites[base]
	if !ok {
		return d
	}
	if isPrefix {
		name += "/" + lengths
	}
	swapped, err := ParseDimension(name)
	if err != nil {
		return d // cannot be: every opposite is a dimension
	}
	return swapped
}

// dimensionRow is a dimension of the table and its other names.
type dimensionRow struct {
	Dimension
	synonyms []string // nfdump's names
	column   flow.Column
}

func (d *dimensionRow) called(name string) bool {
	return d.Name == name || slices.Contains(d.synonyms, name)
}

// columnSynonyms are nfdump's names for columns.
var columnSynonyms = map[flow.Column][]string{
	flow.SrcAddr: {"srcip"}, flow.DstAddr: {"dstip"},
	flow.SrcPort: {"srcport"}, flow.DstPort: {"dstport"},
	flow.Protocol: {"proto"},
	flow.SrcAS:    {"srcas"}, flow.DstAS: {"dstas"},
	flow.InIf: {"inif"}, flow.OutIf: {"outif"},
	flow.Exporter: {"router"}, flow.ObservationDomain: {"odid"},
	flow.NextHop: {"next", "nhip"}, flow.BGPNextHop: {"bgpnext", "nhbip"},
	flow.TOS: {"srctos"}, flow.PostTOS: {"dsttos"},
	flow.Direction: {"dir"}, flow.ForwardingStatus: {"fwdstat"},
	flow.SrcVLAN: {"srcvlan"}, flow.DstVLAN: {"dstvlan"},
	flow.SrcMask: {"srcmask"}, flow.DstMask: {"dstmask"},
	flow.SrcMAC: {"srcmac", "insrcmac"}, flow.DstMAC: {"dstmac", "indstmac", "outdstmac"},
	flow.InVRF: {"vrf", "ivrf"}, flow.OutVRF: {"evrf"},
	flow.PrevAS: {"prevas"}, flow.NextAS: {"nextas"},
	flow.MPLSLabel1: {"mpls1"}, flow.MPLSLabel2: {"mpls2"}, flow.MPLSLabel3: {"mpls3"}, flow.MPLSLabel4: {"mpls4"}, flow.MPLSLabel5: {"mpls5"},
	flow.MPLSLabel6: {"mpls6"}, flow.MPLSLabel7: {"mpls7"}, flow.MPLSLabel8: {"mpls8"}, flow.MPLSLabel9: {"mpls9"}, flow.MPLSLabel10: {"mpls10"},
	flow.ApplicationID: {"nbar"}, flow.NATEvent: {"nevent"}, flow.FirewallEvent: {"event"}, flow.FirewallExtEvent: {"xevent"},
	flow.IngressACL: {"iacl"}, flow.EgressACL: {"eacl"},
	flow.PostNATSrcAddr: {"nsrcip", "xsrcip"}, flow.PostNATDstAddr: {"ndstip", "xdstip"},
	flow.PostNATSrcPort: {"nsrcport", "xsrcport"}, flow.PostNATDstPort: {"ndstport", "xdstport"},
	flow.TCPFlags: {"flags"},
}

// pairs are the dimensions that credit both sides of a flow.
var pairs = []struct {
	name     string
	src, dst flow.Column
	doc      string
}{
	{"ip", flow.SrcAddr, flow.DstAddr, "Address, as source or destination."},
	{"port", flow.SrcPort, flow.DstPort, "Port, as source or destination."},
	{"as", flow.SrcAS, flow.DstAS, "AS number, as source or destination."},
	{"if", flow.InIf, flow.OutIf, "Interface, as input or output."},
	{"vlan", flow.SrcVLAN, flow.DstVLAN, "VLAN, coming in or leaving."},
	{"mask", flow.SrcMask, flow.DstMask, "Prefix length, of source or destination."},
	{"mac", flow.SrcMAC, flow.DstMAC, "MAC address, as source or destination."},
	{"user", flow.SrcUser, flow.DstUser, "User, at the source or the destination."},
	{"network", flow.SrcNetwork, flow.DstNetwork, "Network of yours, of source or destination."},
	{"country", flow.SrcCountry, flow.DstCountry, "Country, of source or destination."},
}

// dimensions is the table of all dimensions, prefixes apart.
var dimensions = flow.Derived(func() []dimensionRow {
	var rows []dimensionRow
	for c := range flow.Columns() {
		rows = append(rows, dimensionRow{
			Dimension: Dimension{Name: c.String(), Doc: flow.Schema[c].Doc, sql: []string{columnSQL(c)}, value: columnValue(c), naming: namings[c]},
			synonyms:  columnSynonyms[c],
			column:    c,
		})
	}
	for _, p := range pairs {
		rows = append(rows, dimensionRow{
			Dimension: Dimension{Name: p.name, Doc: p.doc, sql: []string{columnSQL(p.src), columnSQL(p.dst)}, value: columnValue(p.src), naming: namings[p.src]},
			column:    p.src,
		})
	}
	return append(rows,
		dimensionRow{
			Dimension: Dimension{Name: "app", Doc: "Service: the well-known side of the port pair, else the lower port, with the protocol; its name is IANA's.",
				sql: []string{serviceSQL}, join: servicesJoin, value: serviceValue},
			synonyms: []string{"service"},
			column:   flow.MaxColumns,
		},
		dimensionRow{
			Dimension: Dimension{Name: "src_route", Doc: "Network of the source: its address cut to the length of its route's prefix, src_mask.",
				sql: []string{routeSQL(flow.SrcAddr, flow.SrcMask)}, value: routeValue},
			synonyms: []string{"srcnet"},
			column:   flow.MaxColumns,
		},
		dimensionRow{
			Dimension: Dimension{Name: "dst_route", Doc: "Network of the destination: its address cut to the length of its route's prefix, dst_mask.",
				sql: []string{routeSQL(flow.DstAddr, flow.DstMask)}, value: routeValue},
			synonyms: []string{"dstnet"},
			column:   flow.MaxColumns,
		},
		ownRow("src_customer", "Customer whose network the source is in.", networkCustomer(flow.SrcNetwork)),
		ownRow("dst_customer", "Customer whose network the destination is in.", networkCustomer(flow.DstNetwork)),
		ownRow("customer", "Customer, of source or destination.", networkCustomer(flow.SrcNetwork), networkCustomer(flow.DstNetwork)),
		ownRow("in_role", "What the interface that the packets came in by is for: external, customer, core, internal, service.", interfaceRole(flow.InIf)),
		ownRow("out_role", "What the interface that the packets left by is for.", interfaceRole(flow.OutIf)),
		ownRow("src_site", "Site that the source is at.", networkSite(flow.SrcNetwork)),
		ownRow("dst_site", "Site that the destination is at.", networkSite(flow.DstNetwork)),
		ownRow("site", "Site, of source or destination.", networkSite(flow.SrcNetwork), networkSite(flow.DstNetwork)),
		dimensionRow{
			Dimension: Dimension{Name: "dscp", Doc: "DSCP, the upper six bits of the ToS byte.",
				sql: []string{dscp.String()}, value: dscpValue},
			column: flow.MaxColumns,
		},
		dimensionRow{
			Dimension: Dimension{Name: "duration", Doc: "How long the flow lasted, in milliseconds, as the lower bound of its range.",
				sql: []string{rangesSQL(`greatest(epoch_ms("end") - epoch_ms("start"), 0)`, rollup.Durations) + "::UINTEGER"}, value: durationValue},
			column: flow.MaxColumns,
		},
		dimensionRow{
			Dimension: Dimension{Name: "packet_size", Doc: "Mean bytes per packet, as the lower bound of its range.",
				sql: []string{packetSizeSQL}, value: packetSizeValue},
			column: flow.MaxColumns,
		},
		dimensionRow{
			Dimension: Dimension{Name: "ip_version", Doc: "4 or 6, after the source address.",
				sql: []string{"(CASE WHEN src_addr IS NULL THEN NULL WHEN " + string(isIPv4(column(flow.SrcAddr)).appendSQL(nil)) + " THEN 4 ELSE 6 END)::UTINYINT"},
				value: func(v any) Value {
					n, ok := toUint(v)
					if !ok {
						return Value{Label: Absent}
					}
					return numberValue(n, "IPv"+strconv.FormatUint(n, 10))
				}},
			column: flow.MaxColumns,
		},
	)
})

// Dimensions lists what flows can be grouped by, without the prefixes.
func Dimensions() []Dimension {
	rows := dimensions()
	list := make([]Dimension, len(rows))
	for i, d := range rows {
		list[i] = d.Dimension
	}
	return list
}

// ParseDimension finds a dimension by its name or nfdump's, in any case. An
// address can have prefix lengths: srcip/24 takes IPv4 addresses by /24 and
// leaves IPv6 ones whole, srcip/64 the other way round, srcip/24/64 does both.
func ParseDimension(name string) (Dimension, error) {
	base, lengths, isPrefix := strings.Cut(strings.ToLower(strings.TrimSpace(name)), "/")
	family := ""
	if isPrefix {
		// nfdump's srcip4/24 and srcip6/64.
		for _, digit := range []string{"4", "6"} {
			if b, ok := strings.CutSuffix(base, digit); ok {
				base, family = b, digit
			}
		}
	}
	rows := dimensions()
	i := slices.IndexFunc(rows, func(d dimensionRow) bool { return d.called(base) })
	if i < 0 {
		err := fmt.Errorf("dimension %q is unknown: expected a column or one of ip, port, as, if, vlan, app …", name)
		var names []string
		for _, d := range rows {
			names = append(append(names, d.Name), d.synonyms...)
		}
		if near := nearest(base, names); near != "" {
			err = fmt.Errorf("dimension %q is unknown; did you mean %q?", name, near)
		}
		return Dimension{}, err
	}
	d := rows[i]
	if !isPrefix {
		return d.Dimension, nil
	}
	if d.column == flow.MaxColumns || flow.Schema[d.column].Kind != flow.Address {
		return Dimension{}, fmt.Errorf("dimension %q: only addresses have prefixes", name)
	}
	v4, v6, err := prefixLengths(lengths, family)
	if err != nil {
		return Dimension{}, fmt.Errorf("dimension %q: %w", name, err)
	}
	return prefixDimension(d.Dimension, v4, v6), nil
}

// ParseDimensions parses a list separated by commas.
func ParseDimensions(list string) ([]Dimension, error) {
	var by []Dimension
	for name := range strings.SplitSeq(list, ",") {
		d, err := ParseDimension(name)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(by, func(o Dimension) bool { return o.Name == d.Name }) {
			return nil, fmt.Errorf("dimension %q is named twice", d.Name)
		}
		by = append(by, d)
	}
	return by, nil
}

func prefixLengths(text, family string) (v4, v6 int, err error) {
	v4, v6 = 32, 128
	first, second, both := strings.Cut(text, "/")
	n, err := strconv.Atoi(first)
	if err != nil || n < 0 || n > 128 || family == "4" && n > 32 || family != "" && both {
		return 0, 0, fmt.Errorf("%q is not a prefix length", text)
	}
	switch {
	case family == "6" || !both && family == "" && n > 32:
		v6 = n
	case n > 32:
		return 0, 0, fmt.Errorf("%d is too long for IPv4", n)
	default:
		v4 = n
	}
	if both {
		if v6, err = strconv.Atoi(second); err != nil || v6 < 0 || v6 > 128 {
			return 0, 0, fmt.Errorf("%q is not an IPv6 prefix length", second)
		}
	}
	return v4, v6, nil
}

// prefixDimension groups addresses by prefix. DuckDB has no bit operations on
// UUID, but its text is hexadecimal: a prefix is its first digits, the last of
// them masked.
func prefixDimension(d Dimension, v4, v6 int) Dimension {
	sql := make([]string, len(d.sql))
	for i, column := range d.sql {
		sql[i] = fmt.Sprintf("(CASE WHEN %s THEN %s ELSE %s END)",
			isIPv4(value{format: column}).appendSQL(nil), prefixText(column, 96+v4), prefixText(column, v6))
	}
	suffix := fmt.Sprintf("/%d/%d", v4, v6)
	switch {
	case v6 == 128:
		suffix = fmt.Sprintf("/%d", v4)
	case v4 == 32 && v6 > 32:
		suffix = fmt.Sprintf("/%d", v6)
	}
	return Dimension{Name: d.Name + suffix, Doc: d.Doc, sql: sql, v4: v4, v6: v6, value: func(v any) Value {
		text, ok := v.(string)
		if !ok {
			return Value{Label: Absent}
		}
		return prefixValue(strings.ReplaceAll(text, "-", ""), v4, v6)
	}}
}

// prefixValue is the prefix of an address whose first hexadecimal digits are
// given, by the length of its family.
func prefixValue(digits string, v4, v6 int) Value {
	raw, err := hex.DecodeString(digits + strings.Repeat("0", max(0, 32-len(digits))))
	if err != nil || len(raw) != 16 {
		return Value{Label: Absent}
	}
	a, bits := flow.Addr(raw), v6
	if a.Is4() {
		bits = v4
	}
	return textValue(netip.PrefixFrom(a.Netip(), bits).String())
}

// prefixText is the SQL of the first bits of an address as hexadecimal text.
func prefixText(column string, bits int) string {
	text := column + "::VARCHAR"
	whole, rest := bits/4, bits%4
	sql := fmt.Sprintf("left(%s, %d)", text, textLength(whole))
	if rest == 0 {
		return sql
	}
	return sql + " || " + maskedDigit(fmt.Sprintf("substr(%s, %d, 1)", text, textLength(whole+1)), rest)
}

// maskedDigit is the SQL of a hexadecimal digit of which only the first bits
// are kept.
func maskedDigit(digit string, bits int) string {
	const all = "0123456789abcdef"
	masked := []byte(all)
	for i := range masked {
		masked[i] = all[i&(0xf0>>bits)]
	}
	return fmt.Sprintf("translate(%s, '%s', '%s')", digit, all, masked)
}

// textLength is how many characters of a UUID's text hold its first n digits.
func textLength(n int) int {
	length := n
	for _, dash := range []int{8, 12, 16, 20} {
		if n > dash {
			length++
		}
	}
	return length
}

// columnSQL is what is fetched of a column: times as milliseconds.
func columnSQL(c flow.Column) string {
	if flow.Schema[c].Kind == flow.Time {
		return "epoch_ms(" + quote(c.String()) + ")"
	}
	return quote(c.String())
}

// columnValue reads what DuckDB returns for columnSQL.
func columnValue(c flow.Column) func(any) Value {
	f := flow.Schema[c]
	if f.Kind == flow.Text {
		return func(v any) Value {
			if text, ok := v.(string); ok {
				return textValue(text)
			}
			return Value{Label: Absent}
		}
	}
	return func(v any) Value {
		if b, ok := v.([]byte); ok && len(b) == 16 {
			return textValue(flow.Addr(b).String())
		}
		n, ok := toUint(v)
		switch {
		case !ok:
			return Value{Label: Absent}
		case f.Kind == flow.Time:
			return textValue(string(flow.AppendTime(nil, int64(n))))
		case f.Kind == flow.MAC:
			return textValue(string(flow.AppendMAC(nil, n)))
		case f.Names != nil:
			return textValue(string(flow.AppendUint(nil, c, n)))
		case c == flow.Protocol:
			return numberValue(n, ProtocolLabel(uint8(n)))
		case c == flow.InIf || c == flow.OutIf:
			return numberValue(n, "if "+strconv.FormatUint(n, 10))
		case c == flow.SrcAS || c == flow.DstAS || c == flow.PrevAS || c == flow.NextAS:
			return numberValue(n, "AS"+strconv.FormatUint(n, 10))
		case c == flow.ForwardingStatus:
			return numberValue(n, forwardingLabel(n))
		case c == flow.TCPFlags:
			return numberValue(n, FlagsLabel(uint16(n)))
		}
		return numberValue(n, "")
	}
}

// FlagsLabel writes TCP flags as nfdump does: a letter for each that is set,
// in the places CEUAPRSF, and dots between.
func FlagsLabel(flags uint16) string {
	text := []byte("CEUAPRSF")
	for i := range text {
		if flags&(0x80>>i) == 0 {
			text[i] = '.'
		}
	}
	return string(text)
}

// toUint converts the integer types that the driver returns.
func toUint(v any) (uint64, bool) {
	switch n := v.(type) {
	case uint8:
		return uint64(n), true
	case uint16:
		return uint64(n), true
	case uint32:
		return uint64(n), true
	case uint64:
		return n, true
	case int64:
		return uint64(n), true
	case int32:
		return uint64(n), true
	}
	return 0, false
}

// routeSQL is the SQL of an address cut to a length that another column has:
// hexadecimal digits, a slash, and the length.
func routeSQL(address, mask flow.Column) string {
	a, m := quote(address.String()), quote(mask.String())
	bits := fmt.Sprintf("(CASE WHEN %s THEN 96 + least(%s, 32) ELSE least(%[2]s, 128) END)", isIPv4(column(address)).appendSQL(nil), m)
	digits := "replace(" + a + "::VARCHAR, '-', '')"
	sql := fmt.Sprintf("left(%s, %s // 4) || (CASE %[2]s %% 4 WHEN 0 THEN ''", digits, bits)
	for rest := 1; rest < 4; rest++ {
		sql += fmt.Sprintf(" WHEN %d THEN %s", rest, maskedDigit("substr("+digits+", "+bits+" // 4 + 1, 1)", rest))
	}
	return "(" + sql + " END) || '/' || " + m + ")"
}

func routeValue(v any) Value {
	text, _ := v.(string)
	digits, length, ok := strings.Cut(text, "/")
	n, err := strconv.Atoi(length)
	if !ok || err != nil {
		return Value{Label: Absent}
	}
	return prefixValue(digits, n, n)
}

// rangesSQL is the SQL of the lower bound of the range that a value is in.
// Ranges end before the given ends; the first begins at zero.
func rangesSQL(value string, ends []uint64) string {
	sql, begin := "(CASE", uint64(0)
	for _, end := range ends {
		sql += fmt.Sprintf(" WHEN %s < %d THEN %d", value, end, begin)
		begin = end
	}
	return sql + fmt.Sprintf(" ELSE %d END)", begin)
}

// rangeValue reads a range; name writes it, and end is 0 where it has none.
func rangeValue(v any, ends []uint64, name func(begin, end uint64) string) Value {
	begin, ok := toUint(v)
	if !ok {
		return Value{Label: Absent}
	}
	end := uint64(0)
	if i := slices.IndexFunc(ends, func(e uint64) bool { return begin < e }); i >= 0 {
		end = ends[i]
	}
	return numberValue(begin, name(begin, end))
}

var packetSizeSQL = "(CASE WHEN packets > 0 THEN " + rangesSQL("bytes // packets", rollup.PacketSizes) + " END)::USMALLINT"

func packetSizeValue(v any) Value {
	return rangeValue(v, rollup.PacketSizes, func(begin, end uint64) string {
		if end == 0 {
			return fmt.Sprintf("over %d bytes", begin-1)
		}
		return fmt.Sprintf("%d–%d bytes", begin, end-1)
	})
}

func durationValue(v any) Value {
	return rangeValue(v, rollup.Durations, func(begin, end uint64) string {
		switch b, e := shortDuration(begin), shortDuration(end); {
		case begin == 0:
			return "under " + e
		case end == 0:
			return b + " and more"
		default:
			return b + " to " + e
		}
	})
}

// shortDuration writes milliseconds in the greatest unit that they fill: 5 min.
func shortDuration(ms uint64) string {
	switch {
	case ms >= 60_000:
		return fmt.Sprintf("%d min", ms/60_000)
	case ms >= 1000:
		return fmt.Sprintf("%d s", ms/1000)
	}
	return fmt.Sprintf("%d ms", ms)
}

// dscpLabel names a code point as RFC 2474, 2597, 3246, 5865 and 8622 do.
func dscpLabel(n uint64) string {
	switch class, drop := n/8, n%8/2; {
	case n == 0:
		return "0 best effort"
	case n == 1:
		return "1 LE"
	case n == 44:
		return "44 VOICE-ADMIT"
	case n == 46:
		return "46 EF"
	case n%8 == 0:
		return fmt.Sprintf("%d CS%d", n, class)
	case n%2 == 0 && class >= 1 && class <= 4:
		return fmt.Sprintf("%d AF%d%d", n, class, drop)
	}
	return ""
}

// forwardingLabel names a forwarding status as RFC 7270 does.
func forwardingLabel(n uint64) string {
	reasons := map[uint64]string{
		65: "fragmented", 66: "not fragmented",
		129: "ACL deny", 130: "ACL drop", 131: "unroutable", 132: "adjacency", 133: "fragmentation and DF set",
		134: "bad header checksum", 135: "bad total length", 136: "bad header length", 137: "bad TTL", 138: "policer",
		139: "WRED", 140: "RPF", 141: "for us", 142: "bad output interface", 143: "hardware",
		193: "punt adjacency", 194: "incomplete adjacency", 195: "for us",
	}
	label := fmt.Sprintf("%d %s", n, [4]string{"unknown", "forwarded", "dropped", "consumed"}[n>>6&3])
	if reason, ok := reasons[n]; ok {
		label += ", " + reason
	}
	return label
}

func dscpValue(v any) Value {
	n, ok := toUint(v)
	if !ok {
		return Value{Label: Absent}
	}
	return numberValue(n, dscpLabel(n))
}
