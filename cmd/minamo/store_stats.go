package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/minamo-flow/minamo/query"
	"github.com/minamo-flow/minamo/store"
)

const statsUsage = `Usage: minamo store stats [OPTIONS]

Tells what is in the data directory: rows, bytes, bytes per row and times, of
the flows and of every rollup. It reads only; a server may run.

  --data DIR       the data directory that minamo serve writes (default ./data)
  --by WHAT        more, by
                     column    what each column takes on disk, and how many rows
                               have it; reads the end of every file
                     day       by day of sealing (UTC)
                     exporter  flows, and their packets and bytes as exported, by
                               exporter; reads three columns of all flows
  --table NAME     only this table: flows, or a directory under rollups/; or
                   all. By column and by day only flows are told otherwise.
  -o FORMAT        text (default) or json

Bytes per row of a column are its bytes on disk divided by all rows of the
table, so that they add up to those of the table. Times of flows are by the
exporters' clocks, times of sealing by the server's; both UTC.

Examples:
  minamo store stats
  minamo store stats --data /var/lib/minamo --by column
  minamo store stats --by day --table flows -o json

Exit status: 0 done, 1 failed, 2 called wrongly.
`

func storeStats(ctx context.Context, c *storeCall) error {
	by := c.flags.String("by", "", "")
	table := c.flags.String("table", "", "")
	format := c.flags.String("o", "text", "")
	if err := c.parseNoWords(); err != nil {
		return err
	}
	if err := oneOf("-o", *format, "text", "json"); err != nil {
		return err
	}
	if *by != "" {
		if err := oneOf("--by", *by, "column", "day", "exporter"); err != nil {
			return err
		}
	}
	if err := c.directory(); err != nil {
		return err
	}
	if err := store.DefineColumns(c.data); err != nil {
		return err
	}
	p := newTaskProgress(c.stderr, c.name, "files", 0)
	d, err := store.Describe(ctx, c.data, *by == "column", func(done, files int) {
		p.total = int64(files)
		p.show(int64(done), int64(done))
	})
	p.done()
	if err != nil {
		return err
	}
	s := storeStatistics{Description: d, by: *by}
	if *table == "" && (*by == "column" || *by == "day") {
		*table = "flows"
	}
	if *table != "" && *table != "all" {
		if s.Tables, err = onlyTable(d.Tables, *table); err != nil {
			return err
		}
	}
	if *by == "exporter" {
		if s.exporters, err = c.exporters(ctx); err != nil {
			return err
		}
	}
	if *format == "json" {
		return c.json(s.machine())
	}
	s.print(c)
	return nil
}

func onlyTable(tables []store.Table, name string) ([]store.Table, error) {
	var names []string
	for _, t := range tables {
		if t.Name == name {
			return []store.Table{t}, nil
		}
		names = append(names, t.Name)
	}
	return nil, usageError{fmt.Errorf("--table %s: there is only %s", name, strings.Join(names, ", "))}
}

// exporters asks who exported how much.
func (c *storeCall) exporters(ctx context.Context) ([]query.Row, error) {
	snapshot, err := store.Pin(c.data, time.Time{}, time.Time{})
	if err != nil {
		return nil, err
	}
	defer snapshot.Close()
	engine, err := query.Open(query.Config{})
	if err != nil {
		return nil, err
	}
	defer engine.Close()
	by, err := query.ParseDimensions("exporter")
	if err != nil {
		return nil, err
	}
	t, err := engine.Top(ctx, snapshot, query.Request{By: by, Order: query.ByFlows, Raw: true})
	if err != nil {
		return nil, err
	}
	return t.Rows, nil
}

// storeStatistics is an answer of `minamo store stats`.
type storeStatistics struct {
	*store.Description
	by        string
	exporters []query.Row
}

func (s *storeStatistics) print(c *storeCall) {
	var all store.Table
	for _, t := range s.Tables {
		all.Bytes += t.Bytes
		all.Files += t.Files
	}
	g := grid{{"table", "files", "rows", "bytes", "B/row", "share", "first flow", "last flow", "first seal", "last seal"}}
	for _, t := range s.Tables {
		g.add(t.Name, grouped(int64(t.Files)), grouped(t.Rows), sized(t.Bytes), fmt.Sprintf("%.1f", ratio(t.Bytes, t.Rows)), percent(t.Bytes, all.Bytes),
			shortTime(t.Start), shortTime(t.End), shortTime(t.SealedFirst), shortTime(t.SealedLast))
	}
	if len(s.Tables) > 1 {
		g.add("all", grouped(int64(all.Files)), "", sized(all.Bytes), "", "", "", "", "", "")
	}
	g.print(c.stdout)
	for _, t := range s.Tables {
		switch s.by {
		case "column":
			printColumns(c, t)
		case "day":
			printDays(c, t)
		}
	}
	if s.by == "exporter" {
		printExporters(c, s.exporters)
	}
	for _, t := range s.Tables {
		if t.Covered > 0 {
			fmt.Fprintf(c.stdout, "\n%s: %d more files are parts of merged ones, and not counted: a merge is under way, or the next start deletes them.\n", t.Name, t.Covered)
		}
		if t.Torn > 0 {
			fmt.Fprintf(c.stdout, "\n%s: %d files could not be read: minamo store check tells which.\n", t.Name, t.Torn)
		}
	}
	if s.Damaged.Files > 0 {
		fmt.Fprintf(c.stdout, "\ndamaged/: %d files, %s, that could not be read and were set aside.\n", s.Damaged.Files, sized(s.Damaged.Bytes))
	}
	if s.Temp.Files > 0 {
		fmt.Fprintf(c.stdout, "\ntmp/: %d unfinished files, %s.\n", s.Temp.Files, sized(s.Temp.Bytes))
	}
}

func printColumns(c *storeCall, t store.Table) {
	if len(t.Columns) == 0 {
		return
	}
	fmt.Fprintf(c.stdout, "\n%s by column:\n", t.Name)
	g := grid{{"column", "bytes", "share", "B/row", "encoded", "rows with it", " encodings"}}
	rest := t.Bytes
	for _, x := range t.Columns {
		g.add(x.Name, sized(x.Compressed), percent(x.Compressed, t.Bytes), fmt.Sprintf("%.2f", ratio(x.Compressed, t.Rows)),
			sized(x.Uncompressed), grouped(x.Rows), " "+strings.ToLower(strings.Join(x.Encodings, " ")))
		rest -= x.Compressed
	}
	g.add("(footers)", sized(rest), percent(rest, t.Bytes), fmt.Sprintf("%.2f", ratio(rest, t.Rows)), "", "", "")
	g.print(c.stdout)
}

func printDays(c *storeCall, t store.Table) {
	if len(t.Days) == 0 {
		return
	}
	fmt.Fprintf(c.stdout, "\n%s by day:\n", t.Name)
	g := grid{{"day", "files", "rows", "bytes", "B/row", "first flow", "last flow"}}
	for _, d := range t.Days {
		g.add(d.Day, grouped(int64(d.Files)), grouped(d.Rows), sized(d.Bytes), fmt.Sprintf("%.1f", ratio(d.Bytes, d.Rows)), shortTime(d.Start), shortTime(d.End))
	}
	g.print(c.stdout)
}

func printExporters(c *storeCall, rows []query.Row) {
	fmt.Fprint(c.stdout, "\nflows by exporter, packets and bytes as exported:\n")
	g := grid{{"exporter", "flows", "packets", "bytes", "first flow", "last flow"}}
	for _, r := range rows {
		g.add(r.Key[0].Label, fmt.Sprint(r.Flows), fmt.Sprint(r.Packets), fmt.Sprint(r.Bytes), shortTime(r.First), shortTime(r.Last))
	}
	g.print(c.stdout)
}

// shortTime is a time to the second, UTC; nothing for none.
func shortTime(t time.Time) string {
	if t.IsZero() {
		return "—"
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}

// machine is the answer for programs. Its keys are part of the documented
// interface (docs/store.md).
func (s *storeStatistics) machine() any {
	type object = map[string]any
	moment := func(t time.Time) any {
		if t.IsZero() {
			return nil
		}
		return utcTime(t)
	}
	tables := []object{}
	for _, t := range s.Tables {
		o := object{
			"table": t.Name, "files": t.Files, "covered_files": t.Covered, "rows": t.Rows, "bytes": t.Bytes, "bytes_per_row": ratio(t.Bytes, t.Rows),
			"start": moment(t.Start), "end": moment(t.End), "sealed_first": moment(t.SealedFirst), "sealed_last": moment(t.SealedLast),
		}
		switch s.by {
		case "day":
			days := []object{}
			for _, d := range t.Days {
				days = append(days, object{"day": d.Day, "files": d.Files, "rows": d.Rows, "bytes": d.Bytes, "start": moment(d.Start), "end": moment(d.End)})
			}
			o["days"] = days
		case "column":
			columns := []object{}
			for _, x := range t.Columns {
				columns = append(columns, object{
					"column": x.Name, "rows": x.Rows, "bytes": x.Compressed, "uncompressed_bytes": x.Uncompressed,
					"bytes_per_row": ratio(x.Compressed, t.Rows), "encodings": x.Encodings,
				})
			}
			o["columns"], o["unreadable_files"] = columns, t.Torn
		}
		tables = append(tables, o)
	}
	answer := object{
		"tables":  tables,
		"damaged": object{"files": s.Damaged.Files, "bytes": s.Damaged.Bytes},
		"tmp":     object{"files": s.Temp.Files, "bytes": s.Temp.Bytes},
	}
	if s.by == "exporter" {
		exporters := []object{}
		for _, r := range s.exporters {
			exporters = append(exporters, object{"exporter": r.Key[0].Text, "flows": r.Flows, "packets": r.Packets, "bytes": r.Bytes, "start": moment(r.First), "end": moment(r.Last)})
		}
		answer["exporters"] = exporters
	}
	return answer
}
