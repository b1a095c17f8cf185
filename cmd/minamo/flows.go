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
	"sync"
	"time"
	"unicode/utf8"

	"github.com/minamo-flow/minamo/internal/span"
	"github.com/minamo-flow/minamo/query"
	"github.com/minamo-flow/minamo/store"
)

const flowsUsage = `Usage: minamo flows [OPTIONS] [FILTER]

Lists, aggregates and ranks stored flows, in nfdump's manner. It reads the data
directory itself, whether a server runs on it or not. Without -s and -A it
lists the flows that match FILTER, in the order of storage.

What
  --data DIR        the data directory that minamo serve writes (default ./data)
  -t WINDOW         flows whose time overlaps the window:
                      2026/11/22.10:00:00-2026/11/22.11:00:00   (parts may be left out)
                      2026-11-22T10:00:00Z/2026-11-22T11:00:00Z
                      -15m, -4h45m, -2d  until now
                      -5h/-4h45m         between two times before now
                      +600, -600         the first or last 600 seconds of all flows
  -c N              only the first N flows that match
  -f FILE           read the filter from a file, if there is none in the arguments
  --raw             packets and bytes as exported. Otherwise all output, and
                    the filter too, has them multiplied by the sampling rate.

Rank, aggregate
  -s ELEM[:p][/ORDER…]
                    rank by an element: srcip, dstip, ip, srcport, dstport,
                    port, proto, srcas, dstas, as, inif, outif, if, router,
                    next, tos, dscp, vlan, app, user, any column, also your
                    own, an address by prefix (srcip/24, dstip/24/64), or
                    record (5-tuple, or what -A names). With :p, by protocol
                    too. May be repeated.
  -A ELEM,ELEM…     aggregate by these elements
  -a                aggregate by protocol, addresses and ports
  -b                the same, both directions of a connection in one row;
                    with -A, by those elements
  -B                the same, with the well-known port on the right
  -P FILTER         of what -s or -A make, only the rows that match:
                    'bytes > 1g and flows > 100'
  -O ORDER          order: flows, packets, bytes, pps, bps, bpp (with i or o
                    before them for one direction of -b), duration, tstart,
                    tend, newest; :a behind it turns it round, :d is descending
                    (default: flows for -s, bytes for -A, the order of storage
                    for single flows)
  -n N              rows at most; 0 is all (default: 10 for -s, else all)
  -I                only totals, by protocol

Output
  -o FORMAT         line (default), long, extended, biline, bilong, nsel, nel;
                    fmt:'%ts %sap -> %dap %byt', of nfdump's tags and any
                    %column; csv, csv:'%ts,%sa,%byt', json, ndjson, raw, null
  --utc             times of tables in UTC, and of -t where it names no zone;
                    otherwise both are local. csv and json are always UTC.
  -N                plain numbers: not 1.5 M, not TCP, durations in seconds
  -q                no header and no summary
  -Z, -X            only check the filter; show it as SQL

FILTER is nfdump's: ip, net, port, proto, if, as, flags, bytes, packets and many
more, with and, or, not and parentheses; see docs/filter.md.

Examples:
  minamo flows -s srcip/bytes -n 20 -t -1h 'proto tcp and dst port 443'
  minamo flows -A srcip/24,dstport -O bytes -n 50 'src net 10.0.0.0/8'
  minamo flows -s app/bytes -s if/packets -t 2026/11/22.10-2026/11/22.11
  minamo flows -b -O duration -n 20 -P 'bytes > 1g'
  minamo flows -c 100 -o json 'flags S and not flags AFRPU'

Exit status: 0 done, 1 failed, 2 called wrongly (an option, the filter).
`

// flowsOptions are the arguments of `minamo flows`.
type flowsOptions struct {
	data       string
	stats      []statistic // -s
	aggregate  []query.Dimension
	fold       query.Fold
	order      query.Order
	rows       int // -n, negative when not given
	count      int // -c
	window     string
	format     string  // of machine formats, raw and null; "" for tables and layouts
	layout     *layout // how records are printed; nil for tables of groups
	raw        bool
	utc        bool
	plain      bool
	quiet      bool
	checkOnly  bool
	showSQL    bool
	totals     bool // -I
	filterText string
	having     *query.Filter
	warning    string
}

// statistic is one -s: a ranking, printed once for each order.
type statistic struct {
	title  string
	by     []query.Dimension
	orders []query.Order
	layout *layout // of -s record, which prints records
}

// usageError is a mistake in the arguments.
type usageError struct{ error }

func flowsCommand(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parseFlowsOptions(args)
	switch {
	case errors.Is(err, errHelp):
		io.WriteString(stdout, flowsUsage)
		return 0
	case errors.Is(err, errVersion):
		return versionCommand(ctx, nil, stdout, stderr)
	}
	if err == nil {
		out := bufio.NewWriterSize(stdout, 64<<10)
		err = errors.Join(runFlows(ctx, o, out, stderr), out.Flush())
	}
	var wrong *query.FilterError
	var placed *placedError
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &wrong):
		fmt.Fprintf(stderr, "minamo flows: %v\n%s", wrong, pointAt(o.filterText, wrong))
		return 2
	case errors.As(err, &placed):
		fmt.Fprintf(stderr, "minamo flows: %v\n%s", placed, pointAt(placed.text, &placed.at))
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

// pointAt shows the line of a text that is wrong, with carets under the word;
// nothing if the word is in a file that the text includes.
func pointAt(text string, e *query.FilterError) string {
	if e.File != "" {
		return ""
	}
	runes := []rune(text)
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

// The letters of options: those that stand alone, and those with a value.
const (
	flagLetters  = "abBqNZX6mIhVT"
	valueLetters = "sAOncftoP"
)

// notHere are nfdump's options that have no place here, and what to use.
var notHere = map[string]string{
	"-r": "flows are read from the data directory: --data DIR, and -t for the time", "-R": "flows are read from the data directory: --data DIR, and -t for the time",
	"-M": "flows are read from the data directory: --data DIR; 'router ADDRESS' in the filter is one exporter",
	"-w": "minamo store export writes flows to files", "-C": "there is no file of options", "-D": "names are not looked up",
	"-G": "countries are not stored", "-H": "flows are not compared with lists of Tor exits", "-T": "addresses are not tagged",
	"-i": "files have no ident label", "-J": "files are compressed as they are written", "-z": "files are compressed as they are written",
	"-y": "files are compressed as they are written", "-j": "files are compressed as they are written",
	"-l": "write it as a filter: packets > N", "-L": "write it as a filter: bytes > N", "-g": "minamo report gives series",
	"-E": "-s router ranks the exporters", "-v": "minamo store check verifies files", "-x": "minamo store check verifies files",
	"-W": "all processors are used", "-K": "addresses are not made anonymous",
}

// parseFlowsOptions reads the arguments. Options can stand before and after
// the filter, whose words are all that is left. What they name can be a column
// of the operator's own, which the data directory knows.
func parseFlowsOptions(args []string) (flowsOptions, error) {
	o := flowsOptions{data: "./data", rows: -1}
	var words, elements []string
	var aggregate, format, having, file, order string
	connections := false // -a
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
		if !strings.HasPrefix(arg, "--") && len(arg) > 2 {
			// -n20 as well as -n 20, -qN as well as -q -N; long names with one
			// dash as well as with two.
			switch letter := arg[1:2]; {
			case slices.Contains(longFlags, "-"+name):
				name = "-" + name
			case strings.Contains(valueLetters, letter) || notHere["-"+letter] != "":
				name, value, hasValue = arg[:2], arg[2:], true
			case strings.Contains(flagLetters, letter):
				name, hasValue = arg[:2], false
				args = append([]string{"-" + arg[2:]}, args...)
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
		case "-V":
			return o, errVersion
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
			connections = true
		case "-b":
			o.fold = max(o.fold, query.FoldByStart)
		case "-B":
			o.fold = query.FoldByPort
		case "-P":
			err = need()
			having = value
		case "-O":
			err = need()
			order = value
		case "-m":
			order = string(query.ByStart)
		case "-n":
			o.rows, err = number()
		case "-c":
			o.count, err = number()
		case "-t":
			err = need()
			o.window = value
		case "-f":
			err = need()
			file = value
		case "-o":
			err = need()
			format = value
		case "--raw":
			o.raw = true
		case "--utc":
			o.utc = true
		case "-N":
			o.plain = true
		case "-q":
			o.quiet = true
		case "-I":
			o.totals = true
		case "-Z":
			o.checkOnly = true
		case "-X":
			o.showSQL = true
		case "-6": // addresses are never shortened
		default:
			if reason := notHere[name]; reason != "" {
				return fail("%s is not here: %s", name, reason)
			}
			return fail("there is no option %s", arg)
		}
		if err != nil {
			return o, err
		}
	}
	o.filterText = strings.Join(words, " ")
	if o.filterText == "" && file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return o, fmt.Errorf("-f: %w", err)
		}
		o.filterText = string(text)
	}
	if err := store.DefineColumns(o.data); err != nil {
		return o, err
	}
	if order != "" {
		var err error
		if o.order, err = query.ParseOrder(order); err != nil {
			return fail("-O: %w", err)
		}
	}

	// What to group by.
	custom := aggregate != ""
	switch {
	case custom:
		var err error
		if o.aggregate, err = parseElements(bothFamilies(aggregate)); err != nil {
			return fail("-A: %w", err)
		}
	case connections || o.fold != query.NoFold:
		o.aggregate = connectionKey(o.fold)
	}
	tables := 0
	for _, e := range elements {
		s, err := parseStatistic(e, o.aggregate)
		if err != nil {
			return fail("-s %s: %w", e, err)
		}
		if s.title != recordTitle {
			switch {
			case o.fold != query.NoFold:
				return fail("-s %s: -b and -B fold records: -s record, or -A without -s", e)
			case custom:
				o.warning = fmt.Sprintf("-A is not used: -s %s ranks by that alone; -s record ranks by what -A names", e)
			}
		}
		if len(s.orders) == 0 {
			s.orders = []query.Order{o.order}
			if o.order == "" {
				s.orders[0] = query.ByFlows
			}
		}
		tables += len(s.orders)
		o.stats = append(o.stats, s)
	}

	// How to print it.
	var err error
	switch kind, _, _ := strings.Cut(format, ":"); {
	case format == "json-log":
		o.format = "ndjson"
	case slices.Contains([]string{"json", "ndjson", "csv", "raw", "null"}, format):
		o.format = format
	case formats[format] != "":
		o.layout, err = parseLayout("fmt:%"+format, nil)
	case kind == "fmt" || kind == "csv":
		by := o.aggregate
		for _, s := range o.stats {
			if s.title != recordTitle {
				return fail("-o %s: prints records: -s record, or -A without -s", format)
			}
			by = s.by
		}
		if o.layout, err = parseLayout(format, by); err != nil && !errors.As(err, new(*placedError)) {
			return fail("%w", err)
		}
	case format == "pipe":
		return fail("-o pipe is not here: use csv or json")
	case format != "":
		return fail("-o %s: expected line, long, extended, biline, bilong, nsel, nel, fmt:…, csv, csv:…, json, ndjson, raw or null%s", format, meant(format))
	}
	if err != nil {
		return o, err
	}
	// Connections are printed as flows are, other groups as a table.
	connection := o.layout
	if !custom && connection == nil {
		name := "line"
		if o.fold != query.NoFold {
			name = "biline"
		}
		if connection, err = parseLayout("fmt:%"+name, nil); err != nil {
			return o, err
		}
	}
	for i, s := range o.stats {
		if s.title == recordTitle {
			o.stats[i].layout = connection
		}
	}
	if len(o.stats) == 0 {
		o.layout = connection
	}
	if machine := o.format == "json" || o.format == "csv" || o.format == "ndjson"; machine {
		if tables > 1 {
			return fail("-o %s holds one table: name one -s with one order", o.format)
		}
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

	if having != "" {
		if len(o.stats) == 0 && o.aggregate == nil {
			return fail("-P filters what is aggregated: it needs -s, -A, -a or -b")
		}
		filter, err := parseFilter(having)
		if err != nil {
			wrong := err.(*query.FilterError)
			return o, &placedError{having, *wrong, "-P: " + wrong.Error()}
		}
		o.having = filter
	}
	if o.totals && (len(o.stats) > 0 || o.aggregate != nil) {
		return fail("-I gives the totals alone: without -s and -A")
	}
	return o, nil
}

var (
	errVersion = errors.New("version wanted")
	longFlags  = []string{"--data", "--raw", "--utc", "--help"}
)

// meant suggests a format.
func meant(format string) string {
	names := []string{"csv", "json", "ndjson", "raw", "null"}
	for name := range formats {
		names = append(names, name)
	}
	slices.Sort(names)
	if near := query.Nearest(format, names); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return ""
}

// recordTitle is what a ranking of records is called.
const recordTitle = "flows"

// connectionKey is what -a groups by; folded, ICMP's messages and their
// answers belong together.
func connectionKey(fold query.Fold) []query.Dimension {
	key := "proto,srcip,dstip,srcport,dstport"
	if fold == query.NoFold {
		key += ",icmp_type,icmp_code"
	}
	by, err := query.ParseDimensions(key)
	if err != nil {
		panic(err)
	}
	return by
}

// parseElements reads a list of elements, of which nfdump has more names than
// dimensions have.
func parseElements(list string) ([]query.Dimension, error) {
	elements := strings.Split(list, ",")
	for i, e := range elements {
		e = strings.ToLower(strings.TrimSpace(e))
		if reason := noElements[e]; reason != "" {
			return nil, fmt.Errorf("%s is not here: %s", e, reason)
		}
		if name := elementNames[e]; name != "" {
			elements[i] = name
		}
	}
	return query.ParseDimensions(strings.Join(elements, ","))
}

var (
	elementNames = map[string]string{
		"inmac": "mac", "ethertype": "ether_type", "minttl": "ttl", "tunproto": "tunnel", "nat": "nat_event",
		"natsrcip": "post_nat_src_addr", "natdstip": "post_nat_dst_addr", "natsrcport": "post_nat_src_port", "natdstport": "post_nat_dst_port",
	}
	noElements = map[string]string{
		"geo": noCountries, "srcgeo": noCountries, "dstgeo": noCountries,
		"asn": noNames, "srcasn": noNames, "dstasn": noNames,
		"inam": noInterfaceNames, "onam": noInterfaceNames, "ivrfnam": noVRFNames, "evrfnam": noVRFNames,
		"ja3": noPayload, "ja4": noPayload, "ja4s": noPayload, "cl": noLatency, "sl": noLatency, "al": noLatency,
		"sysid": noSysID, "exp": noSysID, "outsrcmac": noMAC, "outmac": noMAC, "opid": noTags["opid"], "maxttl": noTTL,
		"iace": noACE, "ixace": noACE, "eace": noACE, "exace": noACE,
		"natip": "use natsrcip and natdstip", "natport": "use natsrcport and natdstport",
	}
)

// bothFamilies makes one element of nfdump's two for an address's prefixes:
// srcip/24/64 of srcip4/24,srcip6/64.
func bothFamilies(list string) string {
	elements := strings.Split(list, ",")
	for i := 0; i < len(elements); i++ {
		name, length, ok := strings.Cut(strings.TrimSpace(elements[i]), "4/")
		if !ok {
			continue
		}
		for j, other := range elements {
			if length6, ok := strings.CutPrefix(strings.TrimSpace(other), name+"6/"); ok && length6 != "" {
				elements[i] = name + "/" + length + "/" + length6
				elements = slices.Delete(elements, j, j+1)
				break
			}
		}
	}
	return strings.Join(elements, ",")
}

// parseStatistic reads ELEM[:p][/ORDER…]. A slash also begins the prefix
// length of an address, but lengths are numbers and orders are not.
func parseStatistic(text string, aggregate []query.Dimension) (statistic, error) {
	if strings.Contains(text, ",") {
		return statistic{}, fmt.Errorf("one element; to rank by several, write -s record/ORDER and name them with -A")
	}
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
	s := statistic{title: recordTitle}
	switch {
	case element != "record":
		by, err := parseElements(element)
		if err != nil {
			return s, err
		}
		d := by[0]
		s.title, s.by = title(d), []query.Dimension{d}
	case aggregate != nil:
		s.by = aggregate
	default:
		s.by = connectionKey(query.NoFold)
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
	filter, err := parseFilter(o.filterText)
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
	switch {
	case o.checkOnly:
		fmt.Fprintln(out, "The filter is right.")
		return nil
	case o.showSQL:
		fmt.Fprintln(out, filter.SQL())
		return nil
	}
	if o.warning != "" {
		fmt.Fprintf(stderr, "minamo flows: %s\n", o.warning)
	}

	if info, err := os.Stat(o.data); err != nil {
		return fmt.Errorf("open the data directory: %w: name the directory that minamo serve writes with --data", err)
	} else if !info.IsDir() {
		return fmt.Errorf("open the data directory: %s is a file: name the directory that minamo serve writes with --data", o.data)
	}
	if relative != 0 {
		first, last, err := spanOf(o.data)
		if err != nil {
			return err
		}
		if relative > 0 {
			to = first.Add(relative)
		} else {
			from = last.Add(relative)
		}
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
	if err := setNames(ctx, engine, o.data); err != nil {
		return err
	}
	r := query.Request{From: from, To: to, Filter: filter, Raw: o.raw, Having: o.having, Fold: o.fold}
	p := printer{flowsOptions: o, out: out, location: location, begin: time.Now(), bytes: snapshot.Bytes()}
	ctx, p.show = watch(ctx, stderr, snapshot.Rows())
	defer p.show()
	switch {
	case o.totals:
		return p.protocolTotals(ctx, engine, snapshot, r)
	case len(o.stats) > 0:
		return p.statistics(ctx, engine, snapshot, r)
	case o.aggregate != nil:
		return p.aggregated(ctx, engine, snapshot, r)
	}
	return p.flows(ctx, engine, snapshot, r)
}

// spanOf is the time from the first flow to the last one, zero where there is
// none. The names of the segments tell it.
func spanOf(data string) (first, last time.Time, err error) {
	segments, err := store.Segments(data)
	for i, s := range segments {
		if i == 0 || s.Start.Before(first) {
			first = s.Start
		}
		if s.End.After(last) {
			last = s.End
		}
	}
	return first, last, err
}

// watch shows on a terminal how far the query is, until done is called for the
// first time: before anything is printed there.
func watch(ctx context.Context, stderr io.Writer, rows int64) (watched context.Context, done func()) {
	bar := newProgress(stderr, "flows", rows)
	if bar.w == nil {
		return ctx, func() {}
	}
	var question query.Progress
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				bar.done()
				return
			case <-tick.C:
				at := int64(question.Fraction() * float64(rows))
				bar.show(at, at)
			}
		}
	}()
	return query.WithProgress(ctx, &question), sync.OnceFunc(func() {
		close(stop)
		<-ended
	})
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
	return from, to, 0, fmt.Errorf("-t %s: expected a window such as 2026/11/22.10:00:00-2026/11/22.11:00:00, 2026-11-22T10:00:00Z/2026-11-22T11:00:00Z, -15m, -5h/-4h45m, +600 or -600", text)
}

// parseMoment reads one end of a window.
func parseMoment(text string, now time.Time, location *time.Location) (time.Time, bool) {
	if t, ok := span.Before(text, now); ok {
		return t, true
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
