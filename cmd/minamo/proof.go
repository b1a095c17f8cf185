package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/minamo-flow/minamo/counters"
	"github.com/minamo-flow/minamo/query"
	"github.com/minamo-flow/minamo/verify/proof"
	"github.com/minamo-flow/minamo/verify/quality"
)

const proofUsage = `Usage: minamo proof [OPTIONS] [EXPORTER]

Are the numbers right? Compares what flows say went through each interface with
what the interface counted itself (SNMP, sFlow counter samples), and says in
words what is wrong where they differ. It judges the newest time of the window,
and takes the rest to tell how it was before.

  --data DIR   the data directory that minamo serve writes (default ./data)
  -t WINDOW    the time, as in minamo flows: -1d, -3h/-2h, … (default -1d)
  -a           also what is healthy, idle or not metered
  -o FORMAT    table (default) or json
  --utc        times in UTC

Exit status: 0 nothing is wrong, 1 failed, 2 called wrongly, 3 something is wrong.
`

// proofRow is a line of the answer.
type proofRow struct {
	Exporter netip.Addr `json:"exporter"`
	Index    uint32     `json:"index"` // ifIndex
	Name     string     `json:"name,omitempty"`
	proof.Answer
	Counter float64 `json:"counter_bps"` // layer 2, in the time that was judged
	Flow    float64 `json:"flow_bps"`
}

func proofCommand(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("minamo proof", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	data := flags.String("data", "./data", "")
	window := flags.String("t", "-1d", "")
	all := flags.Bool("a", false, "")
	format := flags.String("o", "table", "")
	utc := flags.Bool("utc", false, "")
	fail := func(err error) int {
		fmt.Fprintf(stderr, "minamo proof: %v\nminamo proof --help tells more.\n", err)
		return 2
	}
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, proofUsage)
		return 0
	} else if err != nil {
		return fail(err)
	}
	var device netip.Addr
	var err error
	switch {
	case flags.NArg() > 1:
		return fail(fmt.Errorf("unexpected %q", flags.Arg(1)))
	case flags.NArg() == 1:
		if device, err = netip.ParseAddr(flags.Arg(0)); err != nil {
			return fail(fmt.Errorf("expected an exporter's address, found %q", flags.Arg(0)))
		}
	}
	if *format != "table" && *format != "json" {
		return fail(fmt.Errorf("-o: expected table or json, found %q", *format))
	}
	location, now := time.Local, time.Now()
	if *utc {
		location = time.UTC
	}
	from, to, relative, err := parseWindow(*window, now, location)
	if err != nil {
		return fail(fmt.Errorf("-t: %w", err))
	}
	if to.IsZero() {
		to = now
	}
	if from.IsZero() {
		from = to.Add(-relative.Abs())
	}
	rows, err := proofRows(ctx, *data, device, from, to)
	if err != nil {
		fmt.Fprintln(stderr, "minamo proof:", err)
		return 1
	}
	wrong := 0
	shown := []proofRow{}
	for _, r := range rows {
		if r.Wrong {
			wrong++
		}
		if *all || r.Wrong {
			shown = append(shown, r)
		}
	}
	out := bufio.NewWriter(stdout)
	defer out.Flush()
	if *format == "json" {
		text, err := json.MarshalIndent(shown, "", "  ")
		if err != nil {
			fmt.Fprintln(stderr, "minamo proof:", err)
			return 1
		}
		fmt.Fprintf(out, "%s\n", text)
	} else {
		proofTable(out, rows, shown, wrong, location)
	}
	if wrong > 0 {
		return 3
	}
	return 0
}

func proofTable(out io.Writer, rows, shown []proofRow, wrong int, location *time.Location) {
	if len(rows) == 0 {
		fmt.Fprintln(out, "There are no interface counters of that time: is SNMP set up (see minamo config default)?")
		return
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	for i, r := range shown {
		if i == 0 {
			fmt.Fprintln(w, "exporter\tinterface\t\tcounter Mbit/s\tflows Mbit/s\tflows/counter\t±\tverdict\t")
		}
		ratio := "-" // nothing was counted
		if r.Ratio != nil {
			ratio = fmt.Sprintf("%.4g", *r.Ratio)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%.2f\t%.2f\t%s\t%.1f %%\t%s\t\n", r.Exporter, cmp.Or(r.Name, fmt.Sprint(r.Index)), r.Direction, r.Counter/1e6, r.Flow/1e6, ratio, 100*r.Error, r.Verdict)
	}
	w.Flush()
	type group struct {
		exporter netip.Addr
		verdict  proof.Verdict
	}
	told := map[group]int{}
	for _, r := range shown {
		told[group{r.Exporter, r.Verdict}]++
	}
	for _, r := range shown {
		n := told[group{r.Exporter, r.Verdict}]
		if !r.Wrong || n == 0 {
			continue
		}
		told[group{r.Exporter, r.Verdict}] = 0
		fmt.Fprintf(out, "\n%s %s %s, since %s: %s\n  %s\n", r.Exporter, cmp.Or(r.Name, fmt.Sprint(r.Index)), r.Direction, r.Since.In(location).Format(time.DateTime), r.Words, r.Mend)
		if n > 1 {
			fmt.Fprintf(out, "  And %d more of its interfaces.\n", n-1)
		}
	}
	compared := 0
	for _, r := range rows {
		if r.Verdict == proof.Healthy || r.Wrong {
			compared++
		}
	}
	fmt.Fprintf(out, "\n%d of %d directions of interfaces could be compared, %d are wrong.\n", compared, len(rows), wrong)
}

// proofRows judges what a data directory holds.
func proofRows(ctx context.Context, data string, device netip.Addr, from, to time.Time) ([]proofRow, error) {
	quiet := slog.New(slog.DiscardHandler)
	engine, err := query.Open(query.Config{})
	if err != nil {
		return nil, err
	}
	defer engine.Close()
	if err := setNames(ctx, engine, data); err != nil {
		return nil, err
	}
	known, err := knownInterfaces(data)
	if err != nil {
		return nil, err
	}
	counted := counters.Open(counters.Config{Dir: countersDir(data)}, quiet)
	counted.SetEras(known.eras())
	sources := &proof.Sources{
		Engine:   engine,
		Archive:  query.Dir(data),
		Counters: counted,
		Quality:  quality.Open(quality.Config{Dir: filepath.Join(data, "quality")}, quiet),
		Known:    known.boundary,
		Renumbered: func(device netip.Addr) (at time.Time) {
			if r := known.devices[device].Renumbered; r != nil {
				at = *r
			}
			return at
		},
	}
	exporters, _, err := proof.Survey(ctx, sources, device, from, to, proof.Step)
	if err != nil {
		return nil, err
	}
	var rows []proofRow
	for _, address := range slices.SortedFunc(maps.Keys(exporters), netip.Addr.Compare) {
		for _, f := range proof.Judge(exporters[address]) {
			name, _ := known.boundary(address, f.Index)
			rows = append(rows, proofRow{address, f.Index, name, f.Answer(), f.Counter, f.Flow})
		}
	}
	slices.SortStableFunc(rows, func(a, b proofRow) int {
		switch {
		case a.Wrong == b.Wrong:
			return 0
		case a.Wrong:
			return -1
		}
		return 1
	})
	return rows, nil
}
