package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/minamo-flow/minamo/query"
	"github.com/minamo-flow/minamo/store"
)

const flowsUsage = `Usage: minamo flows [OPTIONS] [FILTER]

Lists, aggregates and ranks stored flows, in nfdump's manner. It reads the data
directory itself, whether a server runs on it or not. Without -s and -A it
lists the flows that match FILTER, in the order of storage.

  --data DIR        the data directory that minamo serve writes (default ./data)
  -s ELEM[:p][/ORDER…]
                    rank by an element: srcip, dstip, ip, srcport, dstport,
                    port, proto, srcas, dstas, as, inif, outif, if, router,
                    next, tos, dscp, vlan, app, user, any column, also your
                    own, an address by prefix (srcip/24, dstip/24/64), or
                    record (5-tuple, or what -A names). With :p, by protocol
                    too. May be repeated.
  -A ELEM,ELEM…     aggregate by these elements
  -a                aggregate by protocol, addresses and ports
  -O ORDER          order: flows, packets, bytes, pps, bps, bpp, duration,
                    tstart, tend, newest (default: flows for -s, bytes for -A,
                    the order of storage for single flows)
  -n N              rows at most; 0 is all (default: 10 for -s, else all)
  -c N              single flows at most
  -t WINDOW         flows whose time overlaps the window:
                      2026/11/22.10:00:00-2026/11/22.11:00:00   (parts may be left out)
                      2026-11-22T10:00:00Z/2026-11-22T11:00:00Z
                      -15m, -1h, -2d     until now
                      -3h/-2h            between two times before now
                      +600, -600         the first or last 600 seconds of all flows
  -o FORMAT         line (default), long, csv or json
  --raw             packets and bytes as exported. Otherwise all output, and
                    the filter too, has them multiplied by the sampling rate.
  --utc             times of line and long in UTC, and of -t where it names no
                    zone; otherwise both are local. csv and json are always UTC.
  -N                plain numbers, not 1.5 M
  -q                no header and no summary
  -Z                only check the filter

FILTER is nfdump's: ip, net, port, proto, if, as, flags, bytes, packets and many
more, with and, or, not and parentheses; see docs/filter.md.

Examples:
  minamo flows -s srcip/bytes -n 20 -t -1h 'proto tcp and dst port 443'
  minamo flows -A srcip/24,dstport -O bytes -n 50 'src net 10.0.0.0/8'
  minamo flows -s app/bytes -s if/packets -t 2026/11/22.10-2026/11/22.11
  minamo flows -c 100 -o json 'flags S and not flags AFRPU'

Exit status: 0 done, 1 failed, 2 called wrongly (an option, the filter).
`

// flowsOptions are the arguments of `minamo flows`.
type flowsOptions struct {
	data       string
	stats      []statistic // -s
	aggregate  []query.Dimension
	order      query.Order
	rows       int // -n, negative when not given
	count      int // -c
	window     string
	format     string
	raw        bool
	utc        bool
	plain      bool
	quiet      bool
	checkOnly  bool
	filterText string
}

// statistic is one -s: a ranking, printed once for each order.
type statistic struct {
	title  string
	by     []query.Dimension
	orders []query.Order
}

// usageError is a mistake in the arguments.
type usageError struct{ error }

func flowsCommand(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parseFlowsOptions(args)
	if errors.Is(err, errHelp) {
		fmt.Fprint(stdout, flowsUsage)
		return 0
	}
	if err == nil {
		out := bufio.NewWriterSize(stdout, 64<<10)
		err = errors.Join(runFlows(ctx, o, out, stderr), out.Flush())
	}
	var wrong *query.FilterError
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &wrong):
		fmt.Fprintf(stderr, "minamo flows: %v\n%s", wrong, pointAt(o.filterText, wrong))
		return 2
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "minamo flows: %v\nminamo flows --help tells more.\n", err)
		return 2
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(stderr, "minamo flows: interrupted")
		return 1
	}
	fmt.Fprintf(stderr, "minamo flows: %v\n", err)
	return 1
}

// pointAt shows the line of the filter that is wrong, with carets under the word.
func pointAt(filter string, e *query.FilterError) string {
	runes := []rune(filter)
	at := min(e.Column-1, len(runes))
	first := at
	for first > 0 && runes[first-1] != '\n' {
		first--
	}
	last := at
	for last < len(runes) && runes[last] != '\n' {
		last++
	}
	line := strings.Map(func(r rune) rune {
		if r == '\t' || r == '\r' {
			return ' '
		}
		return r
	}, string(runes[first:last]))
	carets := max(1, min(utf8.RuneCountInString(e.Word), last-at))
	return "  " + line + "\n  " + strings.Repeat(" ", at-first) + strings.Repeat("^", carets) + "\n"
}

var errHelp = errors.New("help wanted")

// parseFlowsOptions reads the arguments. Options can stand before and after
// the filter, whose words are all that is left. What they name can be a column
// of the operator's own, which the data directory knows.
func parseFlowsOptions(args []string) (flowsOptions, error) {
	o := flowsOptions{data: "./data", rows: -1, format: "line"}
	var words, elements []string
	var aggregate string
	fail := func(format string, a ...any) (flowsOptions, error) {
		return o, usageError{fmt.Errorf(format, a...)}
	}
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		if arg == "--" {
			words = append(words, args...)
			break
		}
		if !strings.HasPrefix(arg, "-") || arg == "-" {
			words = append(words, arg)
			continue
		}
		name, value, hasValue := strings.Cut(arg, "=")
		if !strings.HasPrefix(arg, "--") {
			name, value, hasValue = arg, "", false
			// -n20 as well as -n 20; long names with one dash as well as with two.
			if len(arg) > 2 && strings.Contains("sAOnctoh", arg[1:2]) && !slices.Contains(longFlags, "-"+arg) {
				name, value, hasValue = arg[:2], arg[2:], true
			} else if len(arg) > 2 {
				name, value, hasValue = strings.Cut("-"+arg, "=")
			}
		}
		need := func() error {
			if hasValue {
				return nil
			}
			if len(args) == 0 {
				return usageError{fmt.Errorf("%s needs a value", name)}
			}
			value, args = args[0], args[1:]
			return nil
		}
		number := func() (int, error) {
			if err := need(); err != nil {
				return 0, err
			}
			n, err := strconv.Atoi(value)
			if err != nil || n < 0 {
				return 0, usageError{fmt.Errorf("%s %s: expected a number from 0", name, value)}
			}
			return n, nil
		}
		var err error
		switch name {
		case "-h", "--help":
			return o, errHelp
		case "--data":
			err = need()
			o.data = value
		case "-s":
			err = need()
			elements = append(elements, value)
		case "-A":
			err = need()
			aggregate = value
		case "-a":
			if aggregate == "" {
				aggregate = fiveTuple
			}
		case "-O":
			if err = need(); err == nil {
				if o.order, err = query.ParseOrder(value); err != nil {
					err = usageError{fmt.Errorf("-O: %w", err)}
				}
			}
		case "-n":
			o.rows, err = number()
		case "-c":
			o.count, err = number()
		case "-t":
			err = need()
			o.window = value
		case "-o":
			err = need()
			o.format = value
		case "--raw":
			o.raw = true
		case "--utc":
			o.utc = true
		case "-N":
			o.plain = true
		case "-q":
			o.quiet = true
		case "-Z":
			o.checkOnly = true
		default:
			return fail("there is no option %s", arg)
		}
		if err != nil {
			return o, err
		}
	}
	o.filterText = strings.Join(words, " ")
	if err := store.DefineColumns(o.data); err != nil {
		return o, err
	}

	if !slices.Contains([]string{"line", "long", "csv", "json"}, o.format) {
		return fail("-o %s: expected line, long, csv or json", o.format)
	}
	if aggregate != "" {
		var err error
		if o.aggregate, err = query.ParseDimensions(aggregate); err != nil {
			return fail("-A: %w", err)
		}
	}
	for _, e := range elements {
		s, err := parseStatistic(e, o.aggregate)
		if err != nil {
			return fail("-s %s: %w", e, err)
		}
		if len(s.orders) == 0 {
			s.orders = []query.Order{o.order}
			if o.order == "" {
				s.orders[0] = query.ByFlows
			}
		}
		o.stats = append(o.stats, s)
	}
	tables := 0
	for _, s := range o.stats {
		tables += len(s.orders)
	}
	if tables > 1 && (o.format == "json" || o.format == "csv") {
		return fail("-o %s holds one table: name one -s with one order", o.format)
	}
	if o.format == "json" || o.format == "csv" {
		by := slices.Clone(o.aggregate)
		for _, s := range o.stats {
			by = append(by, s.by...)
		}
		for _, d := range by {
			if slices.Contains([]string{"flows", "packets", "bytes", "start", "end"}, d.Name) {
				return fail("-o %s cannot group by %s: a sum has that name", o.format, d.Name)
			}
		}
	}
	return o, nil
}

var longFlags = []string{"--data", "--raw", "--utc", "--help"}

const fiveTuple = "proto,srcip,dstip,srcport,dstport"

// parseStatistic reads ELEM[:p][/ORDER…]. A slash also begins the prefix
// length of an address, but lengths are numbers and orders are not.
func parseStatistic(text string, aggregate []query.Dimension) (statistic, error) {
	parts := strings.Split(text, "/")
	element := parts[0]
	parts = parts[1:]
	element, byProtocol := strings.CutSuffix(element, ":p")
	for len(parts) > 0 {
		length, ok := strings.CutSuffix(parts[0], ":p")
		if _, err := strconv.Atoi(length); err != nil {
			break
		}
		element += "/" + length
		byProtocol = byProtocol || ok
		parts = parts[1:]
	}
	s := statistic{title: "flows"}
	switch {
	case element != "record":
		d, err := query.ParseDimension(element)
		if err != nil {
			return s, err
		}
		s.title, s.by = title(d), []query.Dimension{d}
	case aggregate != nil:
		s.by = aggregate
	default:
		s.by, _ = query.ParseDimensions(fiveTuple)
	}
	if byProtocol {
		protocol, _ := query.ParseDimension("proto")
		if !slices.ContainsFunc(s.by, func(d query.Dimension) bool { return d.Name == protocol.Name }) {
			s.by = append([]query.Dimension{protocol}, s.by...)
		}
	}
	for _, p := range parts {
		order, err := query.ParseOrder(p)
		if err != nil {
			return s, err
		}
		s.orders = append(s.orders, order)
	}
	return s, nil
}

// runFlows answers what the options ask.
func runFlows(ctx context.Context, o flowsOptions, out *bufio.Writer, stderr io.Writer) error {
	filter, err := query.ParseFilter(o.filterText)
	if err != nil {
		return err
	}
	location := time.Local
	if o.utc {
		location = time.UTC
	}
	from, to, relative, err := parseWindow(o.window, time.Now(), location)
	if err != nil {
		return usageError{err}
	}
	if o.checkOnly {
		fmt.Fprintln(out, "The filter is right.")
		return nil
	}

	if info, err := os.Stat(o.data); err != nil {
		return fmt.Errorf("open the data directory: %w: name the directory that minamo serve writes with --data", err)
	} else if !info.IsDir() {
		return fmt.Errorf("open the data directory: %s is a file: name the directory that minamo serve writes with --data", o.data)
	}
	snapshot, err := store.Pin(o.data, from, to)
	if err != nil {
		return err
	}
	defer snapshot.Close()
	if n := snapshot.Damaged(); n > 0 {
		fmt.Fprintf(stderr, "minamo flows: %d damaged files in %s are left out\n", n, o.data)
	}
	engine, err := query.Open(query.Config{})
	if err != nil {
		return err
	}
	defer engine.Close()
	r := query.Request{From: from, To: to, Filter: filter, Raw: o.raw}
	if relative != 0 {
		first, last, ok, err := engine.Span(ctx, snapshot)
		if err != nil {
			return err
		}
		switch {
		case !ok:
		case relative > 0:
			r.To = first.Add(relative)
		default:
			r.From = last.Add(relative)
		}
	}
	p := printer{flowsOptions: o, out: out, location: location, begin: time.Now()}
	switch {
	case len(o.stats) > 0:
		return p.statistics(ctx, engine, snapshot, r)
	case o.aggregate != nil:
		return p.aggregated(ctx, engine, snapshot, r)
	}
	return p.flows(ctx, engine, snapshot, r)
}

// parseWindow reads the -t option. relative is not zero where the window
// counts from the first flow (positive) or the last one (negative).
func parseWindow(text string, now time.Time, location *time.Location) (from, to time.Time, relative time.Duration, err error) {
	if text == "" {
		return from, to, 0, nil
	}
	if n, err := strconv.Atoi(text); err == nil && (text[0] == '+' || text[0] == '-') && n != 0 {
		return from, to, time.Duration(n) * time.Second, nil
	}
	if from, ok := parseMoment(text, now, location); ok {
		return from, to, 0, nil
	}
	for i, c := range text {
		if c != '-' && c != '/' && c != ',' {
			continue
		}
		from, ok1 := parseMoment(text[:i], now, location)
		to, ok2 := parseMoment(text[i+1:], now, location)
		if ok1 && ok2 {
			if !from.Before(to) {
				return from, to, 0, fmt.Errorf("-t %s: the window ends before it begins", text)
			}
			return from, to, 0, nil
		}
	}
	return from, to, 0, fmt.Errorf("-t %s: expected a window such as 2026/11/22.10:00:00-2026/11/22.11:00:00, 2026-11-22T10:00:00Z/2026-11-22T11:00:00Z, -15m, +600 or -600", text)
}

// parseMoment reads one end of a window.
func parseMoment(text string, now time.Time, location *time.Location) (time.Time, bool) {
	if text == "now" {
		return now, true
	}
	if rest, ok := strings.CutPrefix(text, "-"); ok && rest != "" {
		unit, known := map[byte]time.Duration{
			's': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour,
		}[rest[len(rest)-1]]
		n, err := strconv.ParseUint(rest[:len(rest)-1], 10, 24)
		return now.Add(-time.Duration(n) * unit), known && err == nil
	}
	for _, layout := range []string{
		"2006/01/02.15:04:05", "2006/01/02.15:04", "2006/01/02.15", "2006/01/02",
		time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02",
	} {
		if t, err := time.ParseInLocation(layout, text, location); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}
