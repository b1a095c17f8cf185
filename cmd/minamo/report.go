package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/minamo-flow/minamo/internal/span"
	"github.com/minamo-flow/minamo/query"
	"github.com/minamo-flow/minamo/server"
	"github.com/minamo-flow/minamo/store"
)

const reportUsage = `Usage: minamo report [OPTIONS] NAME [FILTER]
       minamo report [OPTIONS] --by DIMENSIONS [FILTER]

Who, how much, and how it went, in a table to paste into a mail. It counts what
flowed within the time, so a long flow counts in part, and answers from
rollups where they can tell. Without arguments it lists the standard reports;
minamo report NAME --help tells how to read one.

  --data DIR        the data directory that minamo serve writes (default ./data)
  -t WINDOW         the time, as in minamo flows: -1h, -7d, -3h/-2h, +600,
                    2026/11/22.10-2026/11/22.11, …; rounded to whole minutes
                    from five minutes on, to whole hours from two days on
                    (default: all there is)
  --by DIMENSIONS   instead of NAME: any columns, prefixes such as srcip/24,
                    app, dscp, duration, packet_size, …, with commas between
  --metric METRIC   what to rank by, and to draw: bytes, packets, flows; bps,
                    l2bps, pps, fps (means); packet_size; src_addresses,
                    dst_addresses (how many); p95, peak (of the bits per second
                    in buckets of --series, or 5 minutes)
  -n N              rows at most; 0 is all (default 10)
  --series STEP     also how it went, in buckets of 5m, 1h, 1d, …
  --compare SPAN    also what it was so much earlier: 1h, 1d, 1w
  --mirror          also the other direction of the same rows: source and
                    destination of the dimensions and the filter swapped
  --scope SCOPE     which records count where routers export packets twice, as
                    they come in and as they go out: all (default), ingress,
                    egress, once, which counts a byte once per router, or
                    network, which counts it once for all of them, where it
                    enters the network (by the roles of interfaces)
  --overhead BYTES  what l2bps adds to a packet (default 18: Ethernet's header
                    and checksum)
  --exact           from the flows themselves, as far as they are kept: rollups
                    keep only the heaviest of many addresses (then it says so)
  --unspread        each flow whole in the moment it ended, not spread over its
                    time: to see what timers make of a chart
  --raw             packets and bytes as exported, not multiplied by the
                    sampling rate
  -o FORMAT         table (default), csv or json: those of the HTTP API
  -N                plain numbers, not 1.5 M
  --utc             times of the table in UTC, and of -t where it names no zone

FILTER is nfdump's; see docs/filter.md. docs/reports.md tells what is counted.

Examples:
  minamo report application -t -1d --compare 1w
  minamo report interface-in -t -1d --series 1h --metric l2bps
  minamo report destination -t -10m --metric src_addresses 'proto udp'
  minamo report --by srcip/24,app -t -7d --mirror 'dst port 443' -o csv

Exit status: 0 done, 1 failed, 2 called wrongly.
`

// reportOptions are the arguments of `minamo report`.
type reportOptions struct {
	query.Report
	standard   query.StandardReport // Name is "" with --by
	data       string
	filterText string
	format     string
	plain, utc bool
	location   *time.Location
}

func reportCommand(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	out := bufio.NewWriterSize(stdout, 64<<10)
	o, err := parseReportOptions(args, time.Now())
	switch {
	case err == nil:
		err = errors.Join(runReport(ctx, o, out, stderr), out.Flush())
	case errors.Is(err, errHelp) && o.standard.Name != "":
		fmt.Fprint(stdout, explained(o.standard))
		return 0
	case errors.Is(err, errHelp):
		fmt.Fprint(stdout, reportUsage)
		return 0
	case errors.Is(err, errList):
		listReports(stdout)
		return 0
	}
	var wrong *query.FilterError
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &wrong):
		fmt.Fprintf(stderr, "minamo report: %v\n%s", wrong, pointAt(o.filterText, wrong))
		return 2
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "minamo report: %v\nminamo report --help tells more.\n", err)
		return 2
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(stderr, "minamo report: interrupted")
		return 1
	}
	fmt.Fprintf(stderr, "minamo report: %v\n", err)
	return 1
}

var errList = errors.New("the list is wanted")

// listReports writes the names of the standard reports.
func listReports(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "NAME\tTITLE\tBY\tMETRIC\n")
	for _, s := range query.StandardReports() {
		by := strings.Join(s.By, ",")
		if by == "" {
			by = "—"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", s.Name, s.Title, by, s.Metric)
	}
	t.Flush()
	fmt.Fprint(w, "\nminamo report NAME --help tells how to read one, minamo report --help the options.\n")
}

// explained tells how to read a standard report.
func explained(s query.StandardReport) string {
	by := "not grouped"
	if len(s.By) > 0 {
		by = "by " + strings.Join(s.By, ", ")
	}
	return fmt.Sprintf("%s: %s\n%s, measured in %s (%s)\n\n%s\n", s.Name, s.Title, by, s.Metric.Unit(), s.Metric, wrapped(s.Doc, 78))
}

// wrapped breaks a text into lines of at most so many characters.
func wrapped(text string, width int) string {
	var b strings.Builder
	at := 0
	for i, word := range strings.Fields(text) {
		switch n := len([]rune(word)); {
		case i == 0:
			at = n
		case at+1+n > width:
			b.WriteByte('\n')
			at = n
		default:
			b.WriteByte(' ')
			at += 1 + n
		}
		b.WriteString(word)
	}
	return b.String()
}

// parseReportOptions reads the arguments. Options can stand before and after
// the other words, of which the first is the report's name unless --by is
// given.
func parseReportOptions(args []string, now time.Time) (reportOptions, error) {
	o := reportOptions{}
	c := storeCall{flags: flag.NewFlagSet("report", flag.ContinueOnError), args: args}
	c.flags.SetOutput(io.Discard)
	var window, by, metric, series, compare, scope string
	c.flags.StringVar(&o.data, "data", "./data", "")
	c.flags.StringVar(&window, "t", "", "")
	c.flags.StringVar(&by, "by", "", "")
	c.flags.StringVar(&metric, "metric", "", "")
	c.flags.IntVar(&o.Limit, "n", 10, "")
	c.flags.StringVar(&series, "series", "", "")
	c.flags.StringVar(&series, "step", "", "") // as the API calls it
	c.flags.StringVar(&compare, "compare", "", "")
	c.flags.BoolVar(&o.Mirror, "mirror", false, "")
	c.flags.StringVar(&scope, "scope", "", "")
	c.flags.Uint64Var(&o.Overhead, "overhead", 0, "")
	c.flags.BoolVar(&o.FromFlows, "exact", false, "")
	c.flags.BoolVar(&o.Unspread, "unspread", false, "")
	c.flags.BoolVar(&o.Raw, "raw", false, "")
	c.flags.StringVar(&o.format, "o", "table", "")
	c.flags.BoolVar(&o.plain, "N", false, "")
	c.flags.BoolVar(&o.utc, "utc", false, "")
	words, err := c.parse()
	help := errors.Is(err, errHelp)
	if help {
		// Of a report, or of the command?
		for _, word := range args {
			if s, err := query.ParseStandardReport(word); err == nil {
				o.standard = s
			}
		}
	}
	if err != nil {
		return o, err
	}
	if err := store.DefineColumns(o.data); err != nil {
		return o, err
	}
	wrong := func(err error) (reportOptions, error) { return o, usageError{err} }
	byGiven := false
	c.flags.Visit(func(f *flag.Flag) { byGiven = byGiven || f.Name == "by" })
	switch {
	case byGiven && by != "":
		if o.By, err = query.ParseDimensions(by); err != nil {
			return wrong(fmt.Errorf("--by: %w", err))
		}
	case byGiven: // one row, of everything
	case len(words) == 0 && len(args) == 0:
		return o, errList
	case len(words) == 0:
		return wrong(errors.New("which report? minamo report lists them; or name dimensions with --by"))
	default:
		if o.standard, err = query.ParseStandardReport(words[0]); err != nil {
			return wrong(fmt.Errorf("%w; minamo report lists them", err))
		}
		words = words[1:]
		o.By, o.Metric = o.standard.Dimensions(), o.standard.Metric
	}
	if metric != "" || o.Metric == "" {
		if metric == "" {
			metric = string(query.BPS)
		}
		if o.Metric, err = query.ParseMetric(metric); err != nil {
			return wrong(fmt.Errorf("--metric: %w", err))
		}
	}
	if o.Scope, err = query.ParseScope(scope); err != nil {
		return wrong(fmt.Errorf("--scope: %w", err))
	}
	if o.Limit < 0 {
		return wrong(fmt.Errorf("-n %d: expected a number from 0", o.Limit))
	}
	for _, span := range []struct {
		flag, text string
		value      *time.Duration
	}{{"--series", series, &o.Step}, {"--compare", compare, &o.Compare}} {
		if *span.value, err = parseSpan(span.text); err != nil {
			return wrong(fmt.Errorf("%s: %w", span.flag, err))
		}
	}
	if err := oneOf("-o", o.format, "table", "csv", "json"); err != nil {
		return o, err
	}
	o.location = time.Local
	if o.utc {
		o.location = time.UTC
	}
	var relative time.Duration
	if o.From, o.To, relative, err = parseWindow(window, now, o.location); err != nil {
		return wrong(err)
	}
	switch {
	case o.From.IsZero():
		if err := o.wholeTime(relative, now); err != nil {
			return o, err
		}
	case o.To.IsZero():
		o.To = now
	}
	o.filterText = strings.Join(words, " ")
	filter, err := parseFilter(o.filterText)
	if err != nil {
		return o, err
	}
	o.Filters = []*query.Filter{filter}
	return o, nil
}

// wholeTime sets the time to that of everything stored, or its first (positive)
// or last part.
func (o *reportOptions) wholeTime(part time.Duration, now time.Time) error {
	first, last, ok, err := store.Span(o.data)
	if err != nil {
		return err
	}
	if !ok { // as good as any
		first, last = now.Add(-time.Hour), now
	}
	last = last.Add(time.Millisecond) // the end is not within a range
	switch {
	case part > 0:
		o.From, o.To = first, first.Add(part)
	case part < 0:
		o.From, o.To = last.Add(part), last
	default:
		o.From, o.To = first.Truncate(time.Minute), last.Add(time.Minute-time.Nanosecond).Truncate(time.Minute)
	}
	return nil
}

// reportArchive is a data directory of which it is noted how many files could
// not be read.
type reportArchive struct {
	query.Dir
	damaged int
}

func (r *reportArchive) Pin(from, to time.Time, tables ...string) (query.Pinned, error) {
	s, err := store.PinTables(string(r.Dir), from, to, tables...)
	if err != nil {
		return nil, err
	}
	r.damaged = max(r.damaged, s.Damaged())
	return s, nil
}

// parseSpan reads a length of time of at least a millisecond; "" is none.
func parseSpan(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	length, err := span.Parse(text)
	if err == nil && length < time.Millisecond {
		err = fmt.Errorf("%s is too short: expected a millisecond or more", text)
	}
	return length, err
}

// runReport asks and prints.
func runReport(ctx context.Context, o reportOptions, out *bufio.Writer, stderr io.Writer) error {
	c := storeCall{data: o.data}
	if err := c.directory(); err != nil {
		return err
	}
	engine, err := query.Open(query.Config{})
	if err != nil {
		return err
	}
	defer engine.Close()
	if err := setNames(ctx, engine, o.data); err != nil {
		return err
	}
	watched, shown := watch(ctx, stderr, 100)
	defer shown()
	begin := time.Now()
	files := reportArchive{Dir: query.Dir(o.data)}
	a, err := engine.Report(watched, &files, o.Report)
	shown()
	if err != nil {
		return err
	}
	if files.damaged > 0 {
		fmt.Fprintf(stderr, "minamo report: %d damaged files in %s are left out\n", files.damaged, o.data)
	}
	a.Stats.Duration = time.Since(begin)
	switch o.format {
	case "csv":
		return server.NewReport(a).WriteCSV(out)
	case "json":
		r := server.NewReport(a)
		r.Name = o.standard.Name
		r.Meta = &server.Meta{Tables: a.Stats.Tables, Segments: a.Stats.Files, Rows: int64(a.Stats.Rows), Milliseconds: a.Stats.Duration.Milliseconds(), SQL: a.Stats.SQL}
		e := json.NewEncoder(out)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	printReport(out, o, a)
	return nil
}
