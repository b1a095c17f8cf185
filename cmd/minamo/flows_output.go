package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/bits"
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
}

// statistics prints each -s.
func (p *printer) statistics(ctx context.Context, e *query.Engine, src query.Source, r query.Request) error {
	var last *query.Table
	for _, s := range p.stats {
		for _, order := range s.orders {
			r.By, r.Order, r.Limit = s.by, order, 10
			if p.rows >= 0 {
				r.Limit = p.rows
			}
			t, err := e.Top(ctx, src, r)
			if err != nil {
				return err
			}
			if p.machine(t) {
				return nil
			}
			if !p.quiet {
				if r.Limit > 0 {
					fmt.Fprintf(p.out, "Top %d %s ordered by %s:\n", r.Limit, s.title, order)
				} else {
					fmt.Fprintf(p.out, "%s ordered by %s:\n", s.title, order)
				}
			}
			p.table(p.statisticColumns(t), t, true)
			if !p.quiet {
				fmt.Fprintln(p.out)
			}
			last = t
		}
	}
	return p.summary(last.Total, last.First, last.Last, last.Stats)
}

// aggregated prints the groups of -A.
func (p *printer) aggregated(ctx context.Context, e *query.Engine, src query.Source, r query.Request) error {
	r.By, r.Order, r.Limit = p.aggregate, p.order, max(p.rows, 0)
	t, err := e.Top(ctx, src, r)
	if err != nil {
		return err
	}
	if p.machine(t) {
		return nil
	}
	p.table(p.aggregateColumns(t), t, false)
	return p.summary(t.Total, t.First, t.Last, t.Stats)
}

// machine prints a table as JSON or CSV, if that is wanted.
func (p *printer) machine(t *query.Table) bool {
	switch p.format {
	case "json":
		list := newJSONArray(p.out)
		for i := range t.Rows {
			list.next()
			p.out.Write(appendRowJSON(nil, t, &t.Rows[i]))
		}
		list.end()
	case "csv":
		if !p.quiet {
			for _, d := range t.By {
				p.out.WriteString(csvField(d.Name) + ",")
			}
			p.out.WriteString("flows,packets,bytes,start,end\n")
		}
		for _, row := range t.Rows {
			for _, v := range row.Key {
				p.out.WriteString(csvField(v.Text) + ",")
			}
			fmt.Fprintf(p.out, "%d,%d,%d,%s,%s\n", row.Flows, row.Packets, row.Bytes, utcTime(row.First), utcTime(row.Last))
		}
	default:
		return false
	}
	return true
}

func utcTime(t time.Time) string { return string(flow.AppendTime(nil, t.UnixMilli())) }

// appendRowJSON appends a group: its dimensions, then its sums.
func appendRowJSON(dst []byte, t *query.Table, row *query.Row) []byte {
	dst = append(dst, '{')
	for i, d := range t.By {
		name, _ := json.Marshal(d.Name)
		value, _ := json.Marshal(row.Key[i])
		dst = append(append(append(append(dst, name...), ':'), value...), ',')
	}
	return fmt.Appendf(dst, `"flows":%d,"packets":%d,"bytes":%d,"start":"%s","end":"%s"}`,
		row.Flows, row.Packets, row.Bytes, utcTime(row.First), utcTime(row.Last))
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
	columns := append(p.timeColumns(), p.keyColumns(t)...)
	return append(columns,
		column{title: "Packets", cell: func(r *query.Row) string { return p.number(r.Packets) }},
		column{title: "Bytes", cell: func(r *query.Row) string { return p.number(r.Bytes) }},
		p.bpsColumn(), p.bppColumn("Bpp"),
		column{title: "Flows", cell: func(r *query.Row) string { return p.number(r.Flows) }})
}

func (p *printer) timeColumns() []column {
	columns := []column{{title: "Date first seen", left: true, cell: func(r *query.Row) string { return p.moment(r.First) }}}
	if p.format == "long" {
		columns = append(columns, column{title: "Date last seen", left: true, cell: func(r *query.Row) string { return p.moment(r.Last) }})
	}
	return append(columns, column{title: "Duration", cell: func(r *query.Row) string { return duration(r.Last.Sub(r.First)) }})
}

func (p *printer) keyColumns(t *query.Table) []column {
	var columns []column
	for i, d := range t.By {
		columns = append(columns, column{title: title(d), left: d.Name == "protocol", cell: func(r *query.Row) string {
			if r.Key == nil { // the row of what is left out
				return ""
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

// table prints the groups with columns as wide as they need to be.
func (p *printer) table(columns []column, t *query.Table, rest bool) {
	if len(t.Rows) == 0 {
		fmt.Fprintln(p.out, "No matching flows")
		return
	}
	lines := make([][]string, 0, len(t.Rows)+2)
	if !p.quiet {
		heading := make([]string, len(columns))
		for i, c := range columns {
			heading[i] = c.title
		}
		lines = append(lines, heading)
	}
	rows := t.Rows
	for i := range rows {
		line := make([]string, len(columns))
		for n, c := range columns {
			line[n] = c.cell(&rows[i])
		}
		lines = append(lines, line)
	}
	if rest && t.Rest > 0 && !p.quiet {
		other := &query.Row{Sums: t.Other, First: t.First, Last: t.Last}
		line := make([]string, len(columns))
		for n, c := range columns {
			if strings.HasSuffix(c.title, "(%)") {
				line[n] = c.cell(other)
			}
		}
		line[0] = fmt.Sprintf("%d others", t.Rest)
		lines = append(lines, line)
	}
	widths := make([]int, len(columns))
	for _, line := range lines {
		for n, cell := range line {
			widths[n] = max(widths[n], utf8.RuneCountInString(cell))
		}
	}
	for _, line := range lines {
		writeLine(p.out, columns, widths, line)
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
	case "csv":
		if !p.quiet {
			names := make([]string, flow.Columns())
			for c := range flow.Columns() {
				names[c] = c.String()
			}
			p.out.WriteString(strings.Join(names, ",") + "\n")
		}
		write = p.csvFlows
	default:
		r.Columns = flowColumns
		write = p.lineFlows()
	}
	stats, err := e.Flows(ctx, src, r, func(b *flow.Batch) error {
		write(b)
		if p.format == "line" || p.format == "long" {
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
		}
		return p.out.Flush()
	})
	if err != nil {
		return err
	}
	finish()
	if p.format == "json" || p.format == "csv" {
		return nil
	}
	if sums.Flows == 0 {
		fmt.Fprintln(p.out, "No matching flows")
		return p.summary(sums, time.Time{}, time.Time{}, stats)
	}
	return p.summary(sums, time.UnixMilli(first), time.UnixMilli(last), stats)
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

// flowColumns are what line and long show.
var flowColumns = []flow.Column{
	flow.Start, flow.End, flow.Protocol, flow.SrcAddr, flow.DstAddr, flow.SrcPort, flow.DstPort,
	flow.ICMPType, flow.ICMPCode, flow.TCPFlags, flow.TOS, flow.Packets, flow.Bytes,
}

// lineFlows prints flows in columns. The first batch decides how wide the
// addresses are; what comes later and is wider shifts its line.
func (p *printer) lineFlows() func(*flow.Batch) {
	columns := []column{
		{title: "Date first seen", left: true}, {title: "Duration"}, {title: "Proto", left: true},
		{title: "Src IP Addr:Port"}, {title: "", left: true}, {title: "Dst IP Addr:Port", left: true},
	}
	if p.format == "long" {
		columns = append(columns, column{title: "Flags"}, column{title: "Tos"})
	}
	columns = append(columns, column{title: "Packets"}, column{title: "Bytes"}, column{title: "Flows"})
	widths := []int{23, 12, 5, 21, 2, 21}
	if p.format == "long" {
		widths = append(widths, 8, 3)
	}
	widths = append(widths, 8, 8, 5)

	started := false
	return func(b *flow.Batch) {
		lines := make([][]string, b.Len())
		for i := range lines {
			lines[i] = p.lineFlow(b, i)
		}
		if !started {
			started = true
			for _, line := range lines {
				for n, cell := range line {
					widths[n] = max(widths[n], len(cell))
				}
			}
			if !p.quiet {
				heading := make([]string, len(columns))
				for n, c := range columns {
					heading[n] = c.title
				}
				writeLine(p.out, columns, widths, heading)
			}
		}
		for _, line := range lines {
			writeLine(p.out, columns, widths, line)
		}
	}
}

func (p *printer) lineFlow(b *flow.Batch, i int) []string {
	start, end := time.UnixMilli(b.Time(flow.Start)[i]), time.UnixMilli(b.Time(flow.End)[i])
	has := func(c flow.Column) bool { return b.Present[i].Has(c) }
	protocol := "-"
	if has(flow.Protocol) {
		protocol = query.ProtocolLabel(b.U8(flow.Protocol)[i])
	}
	endpoint := func(address, port flow.Column) string {
		s := "-"
		if has(address) {
			s = b.Addr(address)[i].String()
		}
		separator := ":"
		if strings.Contains(s, ":") {
			separator = "." // as nfdump writes it, to tell the port from the address
		}
		switch {
		case address == flow.DstAddr && has(flow.ICMPType):
			return fmt.Sprintf("%s%s%d.%d", s, separator, b.U8(flow.ICMPType)[i], b.U8(flow.ICMPCode)[i])
		case has(port):
			return fmt.Sprintf("%s%s%d", s, separator, b.U16(port)[i])
		}
		return s
	}
	line := []string{
		p.moment(start), duration(end.Sub(start)), protocol,
		endpoint(flow.SrcAddr, flow.SrcPort), "->", endpoint(flow.DstAddr, flow.DstPort),
	}
	if p.format == "long" {
		flags, tos := "........", "-"
		if has(flow.TCPFlags) {
			flags = query.FlagsLabel(b.U16(flow.TCPFlags)[i])
		}
		if has(flow.TOS) {
			tos = fmt.Sprint(b.U8(flow.TOS)[i])
		}
		line = append(line, flags, tos)
	}
	return append(line, p.number(b.U64(flow.Packets)[i]), p.number(b.U64(flow.Bytes)[i]), "1")
}

// summary is the footer: what matched, and what it took.
func (p *printer) summary(sums query.Sums, first, last time.Time, stats query.Stats) error {
	if p.quiet {
		return nil
	}
	fmt.Fprintf(p.out, "Summary: total flows: %d, total bytes: %s, total packets: %s, avg bps: %s, avg pps: %s, avg bpp: %s\n",
		sums.Flows, p.number(sums.Bytes), p.number(sums.Packets),
		p.number(perSecond(sums.Bytes, 8, first, last)), p.number(perSecond(sums.Packets, 1, first, last)),
		p.number(sums.Bytes/max(sums.Packets, 1)))
	if sums.Flows > 0 {
		fmt.Fprintf(p.out, "Time window: %s - %s\n", p.moment(first), p.moment(last))
	}
	wall := time.Since(p.begin)
	files := "files"
	if stats.Files == 1 {
		files = "file"
	}
	fmt.Fprintf(p.out, "Flows read: %d in %d %s, wall: %.3fs, flows/second: %.0f\n",
		stats.Rows, stats.Files, files, wall.Seconds(), float64(stats.Rows)/max(wall.Seconds(), 1e-6))
	return nil
}

// moment writes a time to the millisecond, in the printer's zone.
func (p *printer) moment(t time.Time) string {
	return t.In(p.location).Format("2006-01-02 15:04:05.000")
}

// duration writes 00:00:30.000; days stand before, as in 2d 00:00:30.000.
func duration(d time.Duration) string {
	d = max(d, 0)
	ms := d.Milliseconds()
	text := fmt.Sprintf("%02d:%02d:%02d.%03d", ms/3600_000%24, ms/60_000%60, ms/1000%60, ms%1000)
	if days := ms / 86400_000; days > 0 {
		text = fmt.Sprintf("%dd %s", days, text)
	}
	return text
}

// number writes numbers from a million on with a prefix, 1.5 M, as nfdump does.
func (p *printer) number(n uint64) string {
	if n < 1_000_000 || p.plain {
		return fmt.Sprint(n)
	}
	units := []string{"M", "G", "T", "P", "E"}
	scaled := float64(n) / 1e6
	for len(units) > 1 && scaled >= 1000 {
		scaled, units = scaled/1000, units[1:]
	}
	return fmt.Sprintf("%.1f %s", scaled, units[0])
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
