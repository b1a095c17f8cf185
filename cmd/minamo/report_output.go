package main

import (
	"bufio"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/minamo-flow/minamo/query"
)

// reportPrinter writes the answer of a report as a table.
type reportPrinter struct {
	reportOptions
	*query.Answer
	out *bufio.Writer
}

// reportLine is a line of the table: a row, with what the comparison and the
// mirror have of it.
type reportLine struct {
	name   string // in the place of the key of a line that has none
	row    *query.ReportRow
	mirror *query.ReportRow // nil where it has none
}

// reportColumn is a column of the table.
type reportColumn struct {
	title string
	left  bool
	cell  func(*reportLine) string
}

func printReport(out *bufio.Writer, o reportOptions, a *query.Answer) {
	p := reportPrinter{o, a, out}
	p.title()
	if a.Total.Sums == (query.Sums{}) && len(a.Left) == 0 {
		fmt.Fprintln(out, "No matching flows")
	} else {
		p.table()
	}
	fmt.Fprintln(out)
	p.notes()
}

// title says what it is, and of when.
func (p *reportPrinter) title() {
	title := p.standard.Title
	if title == "" {
		title = "All traffic"
		if names := names(p.Answer.By); len(names) > 0 {
			title = "By " + strings.Join(names, ", ")
		}
	}
	metric := p.Answer.Metric.Title()
	fmt.Fprintf(p.out, "%s: %s\n", title, strings.ToLower(metric[:1])+metric[1:])
	fmt.Fprintf(p.out, "%s (%s)\n", p.span(p.Answer.From, p.Answer.To), lasting(p.Answer.To.Sub(p.Answer.From)))
	if p.filterText != "" {
		fmt.Fprintf(p.out, "Filter: %s\n", printable(p.filterText))
	}
	fmt.Fprintln(p.out)
}

func names(by []query.Dimension) []string {
	list := make([]string, len(by))
	for i, d := range by {
		list[i] = d.Name
	}
	return list
}

// span writes a range of time, as short as it can be.
func (p *reportPrinter) span(from, to time.Time) string {
	from, to = from.In(p.location), to.In(p.location)
	clock := "15:04"
	if from.Second() != 0 || to.Second() != 0 || from.Nanosecond() != 0 || to.Nanosecond() != 0 {
		clock = "15:04:05.999"
	}
	end := "2006-01-02 " + clock
	if from.Format(time.DateOnly) == to.Format(time.DateOnly) {
		end = clock
	}
	return from.Format("2006-01-02 "+clock) + " – " + to.Format(end+" MST")
}

// lasting writes a length of time without units that are zero.
func lasting(d time.Duration) string {
	if d >= 48*time.Hour && d%time.Hour == 0 {
		text := fmt.Sprintf("%d d", d/(24*time.Hour))
		if hours := d % (24 * time.Hour) / time.Hour; hours > 0 {
			text += fmt.Sprintf(" %d h", hours)
		}
		return text
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// table prints the rows, what is left out, what left, and the total.
func (p *reportPrinter) table() {
	a := p.Answer
	var lines []*reportLine
	for i := range a.Rows {
		line := &reportLine{row: &a.Rows[i]}
		if a.Mirror != nil {
			line.mirror = &a.Mirror.Rows[i]
		}
		lines = append(lines, line)
	}
	if a.Other != nil {
		line := &reportLine{name: fmt.Sprintf("%d others", a.Rest), row: a.Other}
		if a.Mirror != nil {
			line.mirror = a.Mirror.Other
		}
		switch {
		case !a.Exact:
			line.name = "all others" // rollups know how many only by bucket
		case a.Rest == 1:
			line.name = "1 other"
		}
		lines = append(lines, line)
	}
	if len(a.By) > 0 {
		line := &reportLine{name: "Total", row: &a.Total}
		if a.Mirror != nil {
			line.mirror = &a.Mirror.Total
		}
		lines = append(lines, line)
	}
	gap := -1 // before this line
	if len(a.Left) > 0 {
		gap = len(lines)
		for i := range a.Left {
			lines = append(lines, &reportLine{row: &a.Left[i]})
		}
	}

	columns := p.columns()
	cells := make([][]string, len(lines)+1)
	for _, c := range columns {
		cells[0] = append(cells[0], c.title)
		for n, line := range lines {
			cells[n+1] = append(cells[n+1], c.cell(line))
		}
	}
	widths := make([]int, len(columns))
	for _, line := range cells {
		for n, cell := range line {
			widths[n] = max(widths[n], utf8.RuneCountInString(cell))
		}
	}
	for n, line := range cells {
		if n == gap+1 && gap >= 0 {
			fmt.Fprintf(p.out, "\nAmong the first %d then (%s earlier), and not now:\n", len(a.Rows), lasting(a.Compare))
		}
		var b strings.Builder
		for i, cell := range line {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i > 0 {
				b.WriteString("  ")
			}
			if columns[i].left {
				b.WriteString(cell + pad)
			} else {
				b.WriteString(pad + cell)
			}
		}
		fmt.Fprintln(p.out, strings.TrimRight(b.String(), " "))
	}
}

// columns are the key, the metric, and what else there is to tell.
func (p *reportPrinter) columns() (columns []reportColumn) {
	a := p.Answer
	add := func(title string, left bool, cell func(*reportLine) string) {
		columns = append(columns, reportColumn{title, left, cell})
	}
	for i, d := range a.By {
		add(title(d), true, func(l *reportLine) string {
			switch {
			case l.name == "":
				return printable(l.row.Key[i].Label)
			case i == 0:
				return l.name
			}
			return ""
		})
	}
	value := func(of func(*reportLine) *query.ReportRow) func(*reportLine) string {
		return func(l *reportLine) string {
			row := of(l)
			if row == nil {
				return ""
			}
			return p.number(row.Value)
		}
	}
	unit := a.Metric.Unit()
	add(strings.ToUpper(unit[:1])+unit[1:], false, value(func(l *reportLine) *query.ReportRow { return l.row }))
	if a.Metric.Additive() && len(a.By) > 0 {
		add("Share", false, func(l *reportLine) string { return fmt.Sprintf("%.1f %%", 100*l.row.Share) })
	}
	if a.Step > 0 {
		add("Every "+lasting(a.Step), true, func(l *reportLine) string { return sparkline(l.row.Values) })
		add("Greatest", false, func(l *reportLine) string { return p.number(slices.Max(l.row.Values)) })
	}
	if a.Earlier != nil {
		add(lasting(a.Compare)+" earlier", false, func(l *reportLine) string {
			if l.row.Change == nil {
				return ""
			}
			return p.number(l.row.Change.Earlier)
		})
		add("Change", false, func(l *reportLine) string { return change(l.row.Change) })
	}
	if a.Mirror != nil {
		add("Other way", false, value(func(l *reportLine) *query.ReportRow { return l.mirror }))
		if a.Step > 0 {
			add("", true, func(l *reportLine) string {
				if l.mirror == nil {
					return ""
				}
				return sparkline(l.mirror.Values)
			})
		}
	}
	if a.Total.SamplingError > 0 || slices.ContainsFunc(a.Rows, func(r query.ReportRow) bool { return r.SamplingError > 0 }) {
		add("±", false, func(l *reportLine) string {
			if l.row.SamplingError == 0 {
				return ""
			}
			return fmt.Sprintf("%.1f %%", math.Ceil(1000*l.row.SamplingError)/10)
		})
	}
	for _, sum := range []struct {
		metric query.Metric
		title  string
		of     func(query.Sums) uint64
	}{
		{query.Bytes, "Bytes", func(s query.Sums) uint64 { return s.Bytes }},
		{query.Packets, "Packets", func(s query.Sums) uint64 { return s.Packets }},
		{query.Flows, "Flows", func(s query.Sums) uint64 { return s.Flows }},
	} {
		if sum.metric != a.Metric {
			add(sum.title, false, func(l *reportLine) string { return p.number(float64(sum.of(l.row.Sums))) })
		}
	}
	return columns
}

// change writes how a row changed.
func change(c *query.Change) string {
	switch {
	case c == nil:
		return ""
	case c.New && c.Gone:
		return ""
	case c.New:
		return "new"
	case c.Gone:
		return "gone"
	case c.Earlier == 0:
		return ""
	}
	return fmt.Sprintf("%+.1f %%", 100*c.Part)
}

// widest is how many characters a chart has at most.
const widest = 60

// sparkline draws values from zero to their greatest, a character each; of more
// than fit, a character is the mean of neighbours.
func sparkline(values []float64) string {
	each := (len(values) + widest - 1) / widest
	var means []float64
	for part := range slices.Chunk(values, max(each, 1)) {
		sum := 0.0
		for _, v := range part {
			sum += v
		}
		means = append(means, sum/float64(len(part)))
	}
	if len(means) == 0 {
		return ""
	}
	greatest := slices.Max(means)
	bars := []rune(" ▁▂▃▄▅▆▇█")
	line := make([]rune, len(means))
	for i, v := range means {
		line[i] = bars[0]
		if v > 0 {
			line[i] = bars[max(1, int(math.Round(v/greatest*float64(len(bars)-1))))]
		}
	}
	return string(line)
}

// number writes a value with three digits or so and a prefix, 1.5 M, or as it is.
func (p *reportPrinter) number(v float64) string {
	if p.plain {
		return strconv.FormatFloat(math.Round(v*1000)/1000, 'f', -1, 64)
	}
	units := []string{"", " k", " M", " G", " T", " P", " E"}
	for len(units) > 1 && math.Abs(v) >= 999.95 {
		v, units = v/1000, units[1:]
	}
	if v == math.Trunc(v) && units[0] == "" {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.1f%s", v, units[0])
}

// notes tell how the numbers were come by, and how far to trust them.
func (p *reportPrinter) notes() {
	a := p.Answer
	switch a.Scope {
	case query.ScopeIngress:
		fmt.Fprintln(p.out, "Counted as packets come in (--scope ingress).")
	case query.ScopeEgress:
		fmt.Fprintln(p.out, "Counted as packets go out (--scope egress).")
	case query.ScopeOnce:
		fmt.Fprintln(p.out, "Counted once per router (--scope once).")
	case query.ScopeNetwork:
		fmt.Fprintln(p.out, "Counted once for the whole network (--scope network).")
	}
	if a.Raw {
		fmt.Fprintln(p.out, "Packets and bytes as exported (--raw).")
	}
	if a.Metric == query.L2BPS {
		fmt.Fprintf(p.out, "With %d bytes of layer 2 a packet.\n", a.Overhead)
	}
	shares := 0.0
	for _, row := range a.Rows {
		shares += row.Share
	}
	if a.Other != nil {
		shares += a.Other.Share
	}
	if shares > 1.0001 {
		fmt.Fprintln(p.out, "A flow counts for both of its ends, so the rows are more than the total.")
	}
	if a.Total.SamplingError > 0 {
		what := map[string]string{"bit/s": "bytes", "bytes": "bytes", "bytes/packet": "the mean"}[a.Metric.Unit()]
		if what == "" {
			what = "packets"
		}
		fmt.Fprintf(p.out, "±: packets are sampled; so far off may %s be (95 %%).\n", what)
	}
	if a.Step != p.reportOptions.Step {
		fmt.Fprintf(p.out, "Of that time nothing shorter than %s is kept.\n", lasting(a.Step))
	}
	if a.Note != "" {
		fmt.Fprintln(p.out, a.Note)
	}
	if !a.Exact && a.Damaged > 0 {
		fmt.Fprintf(p.out, "Not exact: %d files cannot be read, and are missing; see minamo store check.\n", a.Damaged)
	} else if !a.Exact {
		lack := ""
		if a.Missing > 0 {
			lack = fmt.Sprintf(", and a row may lack up to %s %s", p.number(a.Missing), a.Metric.Unit())
		}
		fmt.Fprintf(p.out, "Not exact: rollups keep the heaviest only%s; --exact reads the flows.\n", lack)
	}
	tables := strings.Join(a.Stats.Tables, ", ")
	if tables == "" {
		tables = "no table"
	}
	fmt.Fprintf(p.out, "Answered from %s: %s rows, %.3f s.\n", tables, grouped(int64(a.Stats.Rows)), a.Stats.Duration.Seconds())
}
