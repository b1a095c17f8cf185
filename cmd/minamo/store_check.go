package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/minamo-flow/minamo/enrich/rates"
	"github.com/minamo-flow/minamo/store"
)

const checkUsage = `Usage: minamo store check [OPTIONS]

Verifies every file of the data directory: that it is what its name says, that
its pages are whole and have their checksums, that every value can be read, and
that times and values are within what the file claims, by which queries choose
what to read. It reads only; a server may run, which it does not slow down much:
one processor, one file after the other.

  --data DIR       the data directory that minamo serve writes (default ./data)
  --deep           also hold the rollups against the flows they were made of, as
                   far as these are still kept
  --repair         set damaged files aside, into damaged/, where no reader minds
                   them, and give sound ones their names back; a damaged part
                   of a rollup is made anew by the next server. No server may
                   run meanwhile.
  -o FORMAT        text (default) or json

Examples:
  minamo store check
  minamo store check --data /var/lib/minamo --deep
  minamo store check --repair

Exit status: 0 all is well, 1 something is wrong (with --repair too) or the
check failed, 2 called wrongly.
`

func storeCheck(ctx context.Context, c *storeCall) error {
	deep := c.flags.Bool("deep", false, "")
	repair := c.flags.Bool("repair", false, "")
	format := c.flags.String("o", "text", "")
	if err := c.parseNoWords(); err != nil {
		return err
	}
	if err := oneOf("-o", *format, "text", "json"); err != nil {
		return err
	}
	if err := c.directory(); err != nil {
		return err
	}
	if err := store.DefineColumns(c.data); err != nil {
		return err
	}
	begin := time.Now()
	p := newTaskProgress(c.stderr, c.name, "rows", 0)
	checked, err := store.Check(ctx, c.data, func(done, total, rows int64) {
		p.total = total
		p.show(done, rows)
	})
	p.done()
	if err != nil {
		return err
	}
	if *deep {
		p := newTaskProgress(c.stderr, c.name+" --deep", "rows", 0)
		byHand, err := rates.Open(ratesFile(c.data))
		if err != nil {
			return err
		}
		err = store.CheckRollups(ctx, c.data, checked, byHand.Correct, func(done, total, rows int64) {
			p.total = total
			p.show(done, rows)
		})
		p.done()
		if err != nil {
			return err
		}
	}
	var moved repaired
	if *repair && checked.Wrong() {
		moved.aside, moved.renamed, err = store.Repair(c.data, checked.Findings)
		if err != nil {
			err = fmt.Errorf("nothing more is repaired: %w", err)
		}
	}
	if *format == "json" {
		err = errors.Join(err, c.json(machineCheck(c.data, checked, moved)))
	} else {
		printCheck(c, checked, moved, time.Since(begin))
	}
	if err == nil && checked.Wrong() {
		err = errWrong
	}
	return err
}

// repaired counts what --repair has done.
type repaired struct{ aside, renamed int }

func printCheck(c *storeCall, checked *store.Checked, moved repaired, took time.Duration) {
	wrong := 0
	var lost int64
	for _, f := range checked.Findings {
		kind := "note"
		if !f.Note {
			kind = "WRONG"
			wrong++
		}
		if f.Damaged && f.Table == "flows" {
			lost += f.Rows
		}
		fmt.Fprintf(c.stdout, "%s: %s\n  %s\n  → %s\n", kind, f.Named(c.data), f.Problem, f.Advice)
	}
	fmt.Fprintf(c.stdout, "%s files, %s rows, %s checked in %v: ", grouped(int64(checked.Files)), grouped(checked.Rows), sized(checked.Bytes), took.Round(time.Millisecond))
	if wrong == 0 {
		fmt.Fprintln(c.stdout, "all is well")
	} else {
		fmt.Fprintf(c.stdout, "%d wrong\n", wrong)
	}
	if lost > 0 {
		fmt.Fprintf(c.stdout, "%s flows are in damaged files\n", grouped(lost))
	}
	if moved.aside > 0 {
		fmt.Fprintf(c.stdout, "%d files were set aside, into damaged/\n", moved.aside)
	}
	if moved.renamed > 0 {
		fmt.Fprintf(c.stdout, "%d files were given their names back\n", moved.renamed)
	}
	if checked.Unsummed > 0 {
		fmt.Fprintf(c.stdout, "%s pages have no checksum: another program wrote them, or an older version\n", grouped(checked.Unsummed))
	}
}

// machineCheck is the answer for programs.
func machineCheck(dir string, checked *store.Checked, moved repaired) any {
	type object = map[string]any
	findings := []object{}
	for _, f := range checked.Findings {
		findings = append(findings, object{"file": f.Named(dir), "table": f.Table, "problem": f.Problem, "advice": f.Advice, "wrong": !f.Note, "damaged": f.Damaged, "rows": f.Rows})
	}
	return object{
		"files": checked.Files, "rows": checked.Rows, "bytes": checked.Bytes, "pages_without_checksum": checked.Unsummed,
		"wrong": checked.Wrong(), "set_aside": moved.aside, "renamed": moved.renamed, "findings": findings,
	}
}
