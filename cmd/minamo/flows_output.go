package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/query"
)

// printer writes the answers of `minamo flows`.
type printer struct {
	flowsOptions
	out      *bufio.Writer
	location *time.Location
	begin    time.Time
	bytes    int64  // of the files
	show     func() // takes the progress bar away
}

// limit is how many groups to print, where without -n there are fallback.
func (p *printer) limit(fallback int) int {
	if p.rows >= 0 {
		return p.rows
	}
	return fallback
}

// statistics prints each -s. Its orders share one reading of the flows.
func (p *printer) statistics(ctx context.Context, e *query.Engine, src query.Source, r query.Request) error {
	var last *query.Table
	r.Limit, r.First = p.limit(10), p.count
	for _, s := range p.stats {
		r.By, r.Columns = s.by, p.groupColumns(s.layout)
		var write func(*query.Table, bool)
		tables, err := e.EachTop(ctx, src, r, func(i int, t *query.Table, end bool) error {
			p.show()
			if write == nil {
				if !p.quiet && p.format == "" {
					if r.Limit > 0 {
						fmt.Fprintf(p.out, "Top %d %s ordered by %s:\n", r.Limit, s.title, s.orders[i])
					} else {
						fmt.Fprintf(p.out, "%s ordered by %s:\n", s.title, s.orders[i])
					}
				}
				write = p.groups(s.layout, p.statisticColumns, true)
			}
			write(t, end)
			if end {
				write = nil
				if !p.quiet && p.format == "" {
					fmt.Fprintln(p.out)
				}
			}
			return nil
		}, s.orders...)
		if err != nil {
			return asked(err)
		}
		last = tables[0]
	}
	return p.summary(last.Total, last.First, last.Last, last.Stats)
}

// aggregated prints the groups of -A.
func (p *printer) aggregated(ctx context.Context, e *query.Engine, src query.Source, r query.Request) error {
	r.By, r.Limit, r.First = p.aggregate, p.limit(0), p.count
	r.Columns = p.groupColumns(p.layout)
	write := p.groups(p.layout, p.aggregateColumns, false)
	tables, err := e.EachTop(ctx, src, r, func(_ int, t *query.Table, end bool) error {
		p.show()
		write(t, end)
		return nil
	}, p.order)
	if err != nil {
		return asked(err)
	}
	t := tables[0]
	return p.summary(t.Total, t.First, t.Last, t.Stats)
}

// asked makes a mistake of the options of what a question was refused for.
func asked(err error) error {
	if errors.Is(err, query.ErrRequest) {
		return usageError{err}
	}
	return err
}

// groupColumns are what groups need beside their key.
func (p *printer) groupColumns(l *layout) []flow.Column {
	switch {
	case p.format == "raw":
		return []flow.Column{flow.TCPFlags}
	case l != nil:
		return l.columns()
	}
	return nil
}

// protocolTotals prints what -I asks for.
func (p *printer) protocolTotals(ctx context.Context, e *query.Engine, src query.Source, r query.Request) error {
	protocol, err := query.ParseDimension("proto")
	if err != nil {
		return err
	}
	r.By, r.First = []query.Dimension{protocol}, p.count
	t, err := e.Top(ctx, src, r)
	if err != nil {
		return err
	}
	p.show()
	names := []string{"tcp", "udp", "icmp", "other"}
	sums := map[string]query.Sums{}
	for _, row := range t.Rows {
		name, known := map[string]string{"6": "tcp", "17": "udp", "1": "icmp", "58": "icmp"}[row.Key[0].Text]
		if !known {
			name = "other"
		}
		of := sums[name]
		sums[name] = query.Sums{Flows: of.Flows + row.Flows, Packets: addUp(of.Packets, row.Packets), Bytes: addUp(of.Bytes, row.Bytes)}
	}
	for _, counter := range []struct {
		name string
		of   func(query.Sums) uint64
	}{
		{"Flows", func(s query.Sums) uint64 { return s.Flows }},
		{"Packets", func(s query.Sums) uint64 { return s.Packets }},
		{"Bytes", func(s query.Sums) uint64 { return s.Bytes }},
	} {
		fmt.Fprintf(p.out, "%s: %d\n", counter.name, counter.of(t.Total))
		for _, name := range names {
			fmt.Fprintf(p.out, "%s_%s: %d\n", counter.name, name, counter.of(sums[name]))
		}
	}
	first, last := t.First.UnixMilli(), t.Last.UnixMilli()
	if t.Total.Flows == 0 {
		first, last = 0, 0
	}
	fmt.Fprintf(p.out, "First: %d\nLast: %d\nmsec_first: %d\nmsec_last: %d\n", first/1000, last/1000, first%1000, last%1000)
	return nil
}

// groups returns what prints the rows of a table, piece by piece: in a format
// that has no layout, as records by a layout, or as a table of columns, with
// the rest below it if that is wanted.
func (p *printer) groups(l *layout, columns func(*query.Table) []column, rest bool) func(t *query.Table, last bool) {
	switch p.format {
	case "json":
		list := newJSONArray(p.out)
		return func(t *query.Table, last bool) {
			for i := range t.Rows {
				list.next()
				p.out.Write(p.appendRowJSON(nil, t, &t.Rows[i]))
			}
			if last {
				list.end()
			}
		}
	case "ndjson":
		return func(t *query.Table, _ bool) {
			for i := range t.Rows {
				p.out.Write(append(p.appendRowJSON(nil, t, &t.Rows[i]), '\n'))
			}
		}
	case "csv":
		headed := p.quiet
		return func(t *query.Table, _ bool) {
			if !headed {
				headed = true
				p.csvHeading(t)
			}
			for i := range t.Rows {
				p.csvRow(&t.Rows[i])
			}
		}
	case "raw":
		b := flow.NewBatch(1)
		return func(t *query.Table, _ bool) {
			for i := range t.Rows {
				b.Reset()
				t.AppendTo(b, i, i+1)
				p.rawRecord(b, 0, &t.Rows[i])
			}
		}
	case "null":
		return func(*query.Table, bool) {}
	}
	if l == nil {
		return p.table(columns, rest)
	}
	w, b := newLines(p, l), flow.NewBatch(1)
	return func(t *query.Table, _ bool) {
		switch {
		case len(t.Rows) == 0 && w.started:
			return
		case len(t.Rows) == 0 && !l.csv:
			fmt.Fprintln(p.out, "No matching flows")
			return
		}
		b.Reset()
		t.AppendTo(b, 0, len(t.Rows))
		w.print(b, t.Rows)
	}
}

func (p *printer) csvHeading(t *query.Table) {
	for _, d := range t.By {
		p.out.WriteString(csvField(d.Name) + ",")
	}
	p.out.WriteString("flows,packets,bytes,")
	if p.fold != query.NoFold {
		p.out.WriteString("in_packets,in_bytes,out_packets,out_bytes,")
	}
	p.out.WriteString("start,end\n")
}

func (p *printer) csvRow(row *query.Row) {
	for _, v := range row.Key {
		p.out.WriteString(csvField(v.Text) + ",")
	}
	fmt.Fprintf(p.out, "%d,%d,%d,", row.Flows, row.Packets, row.Bytes)
	if p.fold != query.NoFold {
		fmt.Fprintf(p.out, "%d,%d,%d,%d,", row.Packets-row.Out.Packets, row.Bytes-row.Out.Bytes, row.Out.Packets, row.Out.Bytes)
	}
	fmt.Fprintf(p.out, "%s,%s\n", utcTime(row.First), utcTime(row.Last))
}

// rawRecord prints all that is known of a record, a value a line.
func (p *printer) rawRecord(b *flow.Batch, i int, row *query.Row) {
	fmt.Fprintln(p.out, "\nFlow Record:")
	line := func(name, value string) { fmt.Fprintf(p.out, "  %-22s = %s\n", name, value) }
	for c := range b.Present[i].All() {
		value := printable(string(b.AppendText(nil, c, i)))
		switch c {
		case flow.Protocol:
			value += " " + query.ProtocolLabel(b.U8(c)[i])
		case flow.TCPFlags:
			value += " " + query.FlagsLabel(b.U16(c)[i])
		}
		line(c.String(), value)
	}
	if row != nil {
		line("flows", fmt.Sprint(row.Flows))
		if p.fold != query.NoFold {
			line("out_packets", fmt.Sprint(row.Out.Packets))
			line("out_bytes", fmt.Sprint(row.Out.Bytes))
		}
	}
}

func utcTime(t time.Time) string { return string(flow.AppendTime(nil, t.UnixMilli())) }

// appendRowJSON appends a group: its dimensions, then its sums.
func (p *printer) appendRowJSON(dst []byte, t *query.Table, row *query.Row) []byte {
	dst = append(dst, '{')
	for i, d := range t.By {
		name, _ := json.Marshal(d.Name)
		value, _ := json.Marshal(row.Key[i])
		dst = append(append(append(append(dst, name...), ':'), value...), ',')
	}
	dst = fmt.Appendf(dst, `"flows":%d,"packets":%d,"bytes":%d,`, row.Flows, row.Packets, row.Bytes)
	if p.fold != query.NoFold {
		dst = fmt.Appendf(dst, `"in_packets":%d,"in_bytes":%d,"out_packets":%d,"out_bytes":%d,`,
			row.Packets-row.Out.Packets, row.Bytes-row.Out.Bytes, row.Out.Packets, row.Out.Bytes)
	}
	return fmt.Appendf(dst, `"start":"%s","end":"%s"}`, utcTime(row.First), utcTime(row.Last))
}

// jsonArray writes the brackets and commas of an array, an element a line.
type jsonArray struct {
	w     io.Writer
	empty bool
}

func newJSONArray(w io.Writer) *jsonArray { return &jsonArray{w, true} }

func (a *jsonArray) next() {
	separator := ",\n"
	if a.empty {
		separator = "[\n"
	}
	a.empty = false
	io.WriteString(a.w, separator)
}

func (a *jsonArray) end() {
	if a.empty {
		io.WriteString(a.w, "[]\n")
	} else {
		io.WriteString(a.w, "\n]\n")
	}
}

// csvField quotes a value where RFC 4180 asks for it.
func csvField(s string) string {
	if strings.ContainsAny(s, ",\"\r\n") {
		return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
	}
	return s
}

// column is a column of a printed table.
type column struct {
	title string
	left  bool // aligned to the left
	cell  func(row *query.Row) string
}

func (p *printer) statisticColumns(t *query.Table) []column {
	share := func(title string, of func(query.Sums) uint64) column {
		return column{title: title + "(%)", cell: func(r *query.Row) string {
			percent := 0.0
			if all := of(t.Total); all > 0 {
				percent = 100 * float64(of(r.Sums)) / float64(all)
			}
			return fmt.Sprintf("%s(%5.1f)", p.number(of(r.Sums)), percent)
		}}
	}
	columns := append(p.timeColumns(), p.keyColumns(t)...)
	return append(columns,
		share("Flows", func(s query.Sums) uint64 { return s.Flows }),
		share("Packets", func(s query.Sums) uint64 { return s.Packets }),
		share("Bytes", func(s query.Sums) uint64 { return s.Bytes }),
		column{title: "pps", cell: func(r *query.Row) string { return p.number(perSecond(r.Packets, 1, r.First, r.Last)) }},
		p.bpsColumn(), p.bppColumn("bpp"))
}

func (p *printer) aggregateColumns(t *query.Table) []column {
	counter := func(title string, of func(*query.Row) uint64) column {
		return column{title: title, cell: func(r *query.Row) string { return p.number(of(r)) }}
	}
	columns := append(p.timeColumns(), p.keyColumns(t)...)
	if p.fold != query.NoFold {
		columns = append(columns,
			counter("Out Pkt", func(r *query.Row) uint64 { return r.Out.Packets }),
			counter("In Pkt", func(r *query.Row) uint64 { return r.Packets - r.Out.Packets }),
			counter("Out Byte", func(r *query.Row) uint64 { return r.Out.Bytes }),
			counter("In Byte", func(r *query.Row) uint64 { return r.Bytes - r.Out.Bytes }))
	} else {
		columns = append(columns,
			counter("Packets", func(r *query.Row) uint64 { return r.Packets }),
			counter("Bytes", func(r *query.Row) uint64 { return r.Bytes }))
	}
	return append(columns, p.bpsColumn(), p.bppColumn("Bpp"), counter("Flows", func(r *query.Row) uint64 { return r.Flows }))
}

func (p *printer) timeColumns() []column {
	columns := []column{{title: "Date first seen", left: true, cell: func(r *query.Row) string { return p.moment(r.First) }}}
	if p.layout != nil { // -o long and the like, of a -s that prints no records
		columns = append(columns, column{title: "Date last seen", left: true, cell: func(r *query.Row) string { return p.moment(r.Last) }})
	}
	return append(columns, column{title: "Duration", cell: func(r *query.Row) string { return p.duration(r.Last.Sub(r.First)) }})
}

func (p *printer) keyColumns(t *query.Table) []column {
	var columns []column
	for i, d := range t.By {
		columns = append(columns, column{title: title(d), left: d.Name == "protocol", cell: func(r *query.Row) string {
			if r.Key == nil { // the row of what is left out
				return ""
			}
			if p.plain && d.Name == "protocol" && r.Key[i].Present {
				return r.Key[i].Text
			}
			return keyText(d, r.Key[i])
		}})
	}
	return columns
}

func (p *printer) bpsColumn() column {
	return column{title: "bps", cell: func(r *query.Row) string { return p.number(perSecond(r.Bytes, 8, r.First, r.Last)) }}
}

func (p *printer) bppColumn(title string) column {
	return column{title: title, cell: func(r *query.Row) string { return p.number(r.Bytes / max(r.Packets, 1)) }}
}

// keyText is a value in a table: names for protocols and flags, else what the
// value is.
func keyText(d query.Dimension, v query.Value) string {
	switch {
	case !v.Present:
		return "-"
	case d.Name == "protocol" || d.Name == "tcp_flags" || d.Name == "packet_size":
		return v.Label
	}
	return printable(v.Text)
}

// printable replaces what would move a terminal's cursor or worse: the texts in
// flows are whatever some device sent.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return utf8.RuneError
		}
		return r
	}, text)
}

// titles are nfdump's names of elements.
var titles = map[string]string{
	"src_addr": "Src IP Addr", "dst_addr": "Dst IP Addr", "ip": "IP Addr",
	"src_port": "Src Port", "dst_port": "Dst Port", "port": "Port",
	"protocol": "Proto", "src_as": "Src AS", "dst_as": "Dst AS", "as": "AS",
	"in_if": "Input If", "out_if": "Output If", "if": "In/Out If",
	"exporter": "Router IP", "next_hop": "Next Hop IP", "bgp_next_hop": "BGP Next Hop IP",
	"tos": "Tos", "post_tos": "Dst Tos", "direction": "Dir", "tcp_flags": "Flags",
	"src_vlan": "Src Vlan", "dst_vlan": "Dst Vlan", "vlan": "Vlan",
	"src_mask": "Src Mask", "dst_mask": "Dst Mask", "mask": "Mask",
	"src_mac": "Src MAC", "dst_mac": "Dst MAC", "app": "Service", "dscp": "DSCP",
	"packet_size": "Packet size", "forwarding_status": "Fwd",
	"prev_as": "Prev AS", "next_as": "Next AS", "as_path": "AS path", "communities": "Communities",
	"icmp_type": "ICMP type", "icmp_code": "ICMP code", "ttl": "TTL", "ether_type": "Ethertype", "tunnel": "Tunnel",
	"src_route": "Src Network", "dst_route": "Dst Network",
	"in_vrf": "I-VRF-ID", "out_vrf": "E-VRF-ID", "nat_event": "NAT event", "firewall_event": "Event", "firewall_ext_event": "XEvent",
	"post_nat_src_addr": "X-late Src IP", "post_nat_dst_addr": "X-late Dst IP", "post_nat_src_port": "X-late Src Port", "post_nat_dst_port": "X-late Dst Port",
	"ingress_acl": "Ingress ACL", "egress_acl": "Egress ACL", "application_id": "Nbar ID", "observation_domain": "Obs domain",
	"mpls_label1": "MPLS label 1", "mpls_label2": "MPLS label 2", "mpls_label3": "MPLS label 3", "mpls_label4": "MPLS label 4", "mpls_label5": "MPLS label 5",
	"mpls_label6": "MPLS label 6", "mpls_label7": "MPLS label 7", "mpls_label8": "MPLS label 8", "mpls_label9": "MPLS label 9", "mpls_label10": "MPLS label 10",
	"src_user": "Src User", "dst_user": "Dst User", "user": "User", "application_name": "Application",
}

// title is the heading of a dimension.
func title(d query.Dimension) string {
	if t, ok := titles[d.Name]; ok {
		return t
	}
	if name, length, ok := strings.Cut(d.Name, "/"); ok {
		return titles[name] + "/" + length
	}
	return d.Name
}

// table prints groups in columns, as wide as the first piece of them needs.
func (p *printer) table(columnsOf func(*query.Table) []column, rest bool) func(t *query.Table, last bool) {
	var columns []column
	var widths []int
	return func(t *query.Table, last bool) {
		if columns == nil && len(t.Rows) == 0 {
			fmt.Fprintln(p.out, "No matching flows")
			return
		}
		lines := make([][]string, 0, len(t.Rows)+2)
		add := func(cell func(n int, c column) string) {
			line := make([]string, len(columns))
			for n, c := range columns {
				line[n] = cell(n, c)
			}
			lines = append(lines, line)
		}
		if columns == nil {
			columns = columnsOf(t)
			if !p.quiet {
				add(func(_ int, c column) string { return c.title })
			}
		}
		for i := range t.Rows {
			add(func(_ int, c column) string { return c.cell(&t.Rows[i]) })
		}
		if last && rest && t.Rest > 0 && !p.quiet {
			other := &query.Row{Sums: t.Other, First: t.First, Last: t.Last}
			add(func(n int, c column) string {
				switch {
				case n == 0:
					return fmt.Sprintf("%d others", t.Rest)
				case strings.HasSuffix(c.title, "(%)"):
					return c.cell(other)
				}
				return ""
			})
		}
		if widths == nil {
			widths = make([]int, len(columns))
			for _, line := range lines {
				for n, cell := range line {
					widths[n] = max(widths[n], utf8.RuneCountInString(cell))
				}
			}
		}
		for _, line := range lines {
			writeLine(p.out, columns, widths, line)
		}
	}
}

func writeLine(w *bufio.Writer, columns []column, widths []int, cells []string) {
	var b strings.Builder
	for n, cell := range cells {
		pad := strings.Repeat(" ", max(0, widths[n]-utf8.RuneCountInString(cell)))
		if n > 0 {
			b.WriteByte(' ')
		}
		if columns[n].left {
			b.WriteString(cell + pad)
		} else {
			b.WriteString(pad + cell)
		}
	}
	w.WriteString(strings.TrimRight(b.String(), " ") + "\n")
}

// flows prints single flows as they come.
func (p *printer) flows(ctx context.Context, e *query.Engine, src query.Source, r query.Request) error {
	r.Order, r.Limit = p.order, p.count
	if p.rows > 0 && (r.Limit == 0 || p.rows < r.Limit) {
		r.Limit = p.rows
	}
	var sums query.Sums
	var first, last int64
	var write func(*flow.Batch)
	finish := func() {}
	switch p.format {
	case "json":
		list := newJSONArray(p.out)
		var buffer []byte
		write = func(b *flow.Batch) {
			for i := range b.Len() {
				list.next()
				buffer = b.AppendJSON(buffer[:0], i)
				p.out.Write(buffer)
			}
		}
		finish = list.end
	case "ndjson":
		var buffer []byte
		write = func(b *flow.Batch) {
			for i := range b.Len() {
				buffer = append(b.AppendJSON(buffer[:0], i), '\n')
				p.out.Write(buffer)
			}
		}
	case "csv":
		if !p.quiet {
			names := make([]string, flow.Columns())
			for c := range flow.Columns() {
				names[c] = c.String()
			}
			p.out.WriteString(strings.Join(names, ",") + "\n")
		}
		write = p.csvFlows
	case "raw":
		write = func(b *flow.Batch) {
			for i := range b.Len() {
				p.rawRecord(b, i, nil)
			}
		}
	case "null":
		write = func(*flow.Batch) {}
		r.Columns = sumColumns
	default:
		r.Columns = p.layout.columns()
		for _, c := range sumColumns {
			if !slices.Contains(r.Columns, c) {
				r.Columns = append(r.Columns, c)
			}
		}
		lines := newLines(p, p.layout)
		write = func(b *flow.Batch) { lines.print(b, nil) }
		if p.layout.csv {
			finish = func() { lines.print(flow.NewBatch(1), nil) } // the heading, where nothing matched
		}
	}
	stats, err := e.Flows(ctx, src, r, func(b *flow.Batch) error {
		p.show()
		write(b)
		start, end := b.Time(flow.Start), b.Time(flow.End)
		if sums.Flows == 0 {
			first, last = start[0], end[0]
		}
		for i := range b.Len() {
			sums.Packets = addUp(sums.Packets, b.U64(flow.Packets)[i])
			sums.Bytes = addUp(sums.Bytes, b.U64(flow.Bytes)[i])
			first, last = min(first, start[i]), max(last, end[i])
		}
		sums.Flows += uint64(b.Len())
		return p.out.Flush()
	})
	if err != nil {
		return err
	}
	p.show()
	finish()
	if sums.Flows == 0 {
		if !p.forMachines() {
			fmt.Fprintln(p.out, "No matching flows")
		}
		return p.summary(sums, time.Time{}, time.Time{}, stats)
	}
	return p.summary(sums, time.UnixMilli(first), time.UnixMilli(last), stats)
}

// sumColumns are what the summary needs.
var sumColumns = []flow.Column{flow.Start, flow.End, flow.Packets, flow.Bytes}

// forMachines tells whether the output is data alone, without a summary.
func (p *printer) forMachines() bool {
	return p.format == "json" || p.format == "ndjson" || p.format == "csv" || p.layout != nil && p.layout.csv
}

// addUp adds and stays at the greatest number.
func addUp(a, b uint64) uint64 {
	sum, carry := bits.Add64(a, b, 0)
	return sum | -carry
}

func (p *printer) csvFlows(b *flow.Batch) {
	var buffer []byte
	for i := range b.Len() {
		buffer = buffer[:0]
		for c := range flow.Columns() {
			if c > 0 {
				buffer = append(buffer, ',')
			}
			if b.Present[i].Has(c) {
				if flow.Schema[c].Kind == flow.Text {
					buffer = append(buffer, csvField(string(b.Text(c, i)))...)
				} else {
					buffer = b.AppendText(buffer, c, i) // has no comma and no quote
				}
			}
		}
		p.out.Write(append(buffer, '\n'))
	}
}

// summary is the footer: what matched, and what it took.
func (p *printer) summary(sums query.Sums, first, last time.Time, stats query.Stats) error {
	if p.quiet || p.forMachines() {
		return nil
	}
	fmt.Fprintf(p.out, "Summary: total flows: %d, total bytes: %s, total packets: %s, avg bps: %s, avg pps: %s, avg bpp: %s\n",
		sums.Flows, p.number(sums.Bytes), p.number(sums.Packets),
		p.number(perSecond(sums.Bytes, 8, first, last)), p.number(perSecond(sums.Packets, 1, first, last)),
		p.number(sums.Bytes/max(sums.Packets, 1)))
	if sums.Flows > 0 {
		fmt.Fprintf(p.out, "Time window: %s - %s\n", p.moment(first), p.moment(last))
	}
	fmt.Fprintf(p.out, "Total flows processed: %d, passed: %d, Files read: %d, Bytes in them: %s\n",
		stats.Rows, sums.Flows, stats.Files, p.number(uint64(p.bytes)))
	system, user := processorTime()
	wall := time.Since(p.begin).Seconds()
	fmt.Fprintf(p.out, "Sys: %.4fs User: %.4fs Wall: %.4fs flows/second: %.1f\n",
		system.Seconds(), user.Seconds(), wall, float64(stats.Rows)/max(wall, 1e-6))
	return nil
}

const momentLayout = "2006-01-02 15:04:05.000"

// moment writes a time to the millisecond, in the printer's zone.
func (p *printer) moment(t time.Time) string { return t.In(p.location).Format(momentLayout) }

// duration writes 00:00:30.000; days stand before, as in 2d 00:00:30.000. Plain
// it is 30.000 seconds.
func (p *printer) duration(d time.Duration) string { return string(p.appendDuration(nil, d)) }

func (p *printer) appendDuration(dst []byte, d time.Duration) []byte {
	if p.plain {
		return appendSeconds(dst, d)
	}
	ms := max(d, 0).Milliseconds()
	if days := ms / 86400_000; days > 0 {
		dst = append(strconv.AppendInt(dst, days, 10), 'd', ' ')
	}
	dst = append(appendDigits(dst, ms/3600_000%24, 2), ':')
	dst = append(appendDigits(dst, ms/60_000%60, 2), ':')
	dst = append(appendDigits(dst, ms/1000%60, 2), '.')
	return appendDigits(dst, ms%1000, 3)
}

func appendSeconds(dst []byte, d time.Duration) []byte {
	ms := max(d, 0).Milliseconds()
	return appendDigits(append(strconv.AppendInt(dst, ms/1000, 10), '.'), ms%1000, 3)
}

// appendDigits appends a number with as many digits, or zeros before it.
func appendDigits(dst []byte, n int64, digits int) []byte {
	for unit := int64(math.Pow10(digits - 1)); unit > 0; unit /= 10 {
		dst = append(dst, '0'+byte(n/unit%10))
	}
	return dst
}

// protocol is a name, or plain a number.
func (p *printer) protocol(v uint8) string {
	if p.plain {
		return strconv.Itoa(int(v))
	}
	return query.ProtocolLabel(v)
}

// number writes numbers from a million on with a prefix, 1.5 M, as nfdump does.
func (p *printer) number(n uint64) string { return string(p.appendNumber(nil, n)) }

func (p *printer) appendNumber(dst []byte, n uint64) []byte {
	if n < 1_000_000 || p.plain || p.layout != nil && p.layout.csv {
		return strconv.AppendUint(dst, n, 10)
	}
	units := "MGTPE"
	scaled := float64(n) / 1e6
	for len(units) > 1 && scaled >= 1000 {
		scaled, units = scaled/1000, units[1:]
	}
	dst = strconv.AppendFloat(dst, scaled, 'f', 1, 64)
	return append(append(dst, ' '), units[0])
}

// perSecond is n × factor over a time, rounded down; 0 where the time is zero.
func perSecond(n, factor uint64, first, last time.Time) uint64 {
	ms := last.Sub(first).Milliseconds()
	if ms <= 0 {
		return 0
	}
	high, low := bits.Mul64(n, factor*1000)
	if high >= uint64(ms) {
		return 1<<64 - 1
	}
	quotient, _ := bits.Div64(high, low, uint64(ms))
	return quotient
}
