package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"github.com/minamo-flow/minamo/query"
)

const storeUsage = `Usage: minamo store COMMAND [OPTIONS]

Looks after the data directory that minamo serve writes.

`

const storeUsageEnd = `
Every command takes --data DIR (default ./data). stats, check and export read
only and work while a server runs; the others need the directory for themselves.
minamo store COMMAND --help tells more. docs/store.md shows how to back up,
restore, move and exchange flows.

Exit status: 0 done, 1 failed or something is wrong, 2 called wrongly.
`

// storeCommands are the words after `minamo store`.
var storeCommands = []storeSubcommand{
	{"stats", "rows, bytes and times, by table, column, day or exporter", statsUsage, storeStats},
	{"compact", "merge small files and make rollups now", compactUsage, storeCompact},
	{"check", "verify every file, and set damaged ones aside", checkUsage, storeCheck},
	{"export", "write flows as Parquet, CSV or NDJSON", exportUsage, storeExport},
	{"import", "add flows from Parquet files of ours, or from nfdump", importUsage, storeImport},
}

type storeSubcommand struct {
	name, summary, usage string
	run                  func(ctx context.Context, c *storeCall) error
}

// storeCall is one call of a subcommand. Its flags are read by parse.
type storeCall struct {
	name       string
	flags      *flag.FlagSet
	args       []string
	data       string
	stdout     *bufio.Writer
	stderr     io.Writer
	filterText string // where the command takes a filter
}

func storeCommand(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		storeHelp(stderr)
		return 2
	}
	switch args[0] {
	case "help", "-h", "-help", "--help":
		if len(args) > 1 {
			return storeCommand(ctx, []string{args[1], "--help"}, stdout, stderr)
		}
		storeHelp(stdout)
		return 0
	}
	for _, sub := range storeCommands {
		if sub.name == args[0] {
			return sub.call(ctx, args[1:], stdout, stderr)
		}
	}
	fmt.Fprintf(stderr, "minamo store: there is no command %q\n\n", args[0])
	storeHelp(stderr)
	return 2
}

func storeHelp(w io.Writer) {
	fmt.Fprint(w, storeUsage)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, sub := range storeCommands {
		fmt.Fprintf(t, "  %s\t%s\n", sub.name, sub.summary)
	}
	t.Flush()
	fmt.Fprint(w, storeUsageEnd)
}

// errWrong says that a command did its work, found something wrong and told it.
var errWrong = errors.New("something is wrong")

// call runs a subcommand and tells what went wrong, as `minamo flows` does.
func (sub storeSubcommand) call(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	name := "minamo store " + sub.name
	c := &storeCall{name: name, flags: flag.NewFlagSet(name, flag.ContinueOnError), args: args, stdout: bufio.NewWriterSize(stdout, 1<<16), stderr: stderr}
	c.flags.SetOutput(io.Discard)
	c.flags.StringVar(&c.data, "data", "./data", "")
	err := sub.run(ctx, c)
	if err == nil || errors.Is(err, errWrong) {
		if flushed := c.stdout.Flush(); flushed != nil {
			err = flushed
		}
	}
	var filter *query.FilterError
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errHelp):
		fmt.Fprint(stdout, sub.usage)
		return 0
	case errors.Is(err, errWrong):
		return 1
	case errors.As(err, &filter):
		fmt.Fprintf(stderr, "%s: %v\n%s", name, filter, pointAt(c.filterText, filter))
		return 2
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "%s: %v\n%s --help tells more.\n", name, err, name)
		return 2
	case errors.Is(err, context.Canceled):
		fmt.Fprintf(stderr, "%s: interrupted\n", name)
		return 1
	}
	fmt.Fprintf(stderr, "%s: %v\n", name, err)
	return 1
}

// parse reads the flags, which may stand before, between and after the other
// words, and returns those.
func (c *storeCall) parse() (words []string, err error) {
	for rest := c.args; ; {
		// - is a file's name, not a flag.
		if err := c.flags.Parse(rest); errors.Is(err, flag.ErrHelp) {
			return nil, errHelp
		} else if err != nil {
			return nil, usageError{err}
		}
		left := c.flags.Args()
		if len(left) == 0 {
			return words, nil
		}
		if used := len(rest) - len(left); used > 0 && rest[used-1] == "--" {
			return append(words, left...), nil
		}
		words = append(words, left[0])
		rest = left[1:]
	}
}

// parseNoWords is parse for a command that takes only flags.
func (c *storeCall) parseNoWords() error {
	words, err := c.parse()
	if err == nil && len(words) > 0 {
		err = usageError{fmt.Errorf("unexpected %q", strings.Join(words, " "))}
	}
	return err
}

// directory makes sure that the data directory is one.
func (c *storeCall) directory() error {
	if info, err := os.Stat(c.data); err != nil {
		return fmt.Errorf("open the data directory: %w: name the directory that minamo serve writes with --data", err)
	} else if !info.IsDir() {
		return fmt.Errorf("open the data directory: %s is a file: name the directory that minamo serve writes with --data", c.data)
	}
	return nil
}

// oneOf checks the value of a flag.
func oneOf(name, value string, allowed ...string) error {
	for _, a := range allowed {
		if value == a {
			return nil
		}
	}
	list := strings.Join(allowed[:len(allowed)-1], ", ") + " or " + allowed[len(allowed)-1]
	return usageError{fmt.Errorf("%s %s: expected %s", name, value, list)}
}

// json writes an answer for programs.
func (c *storeCall) json(v any) error {
	e := json.NewEncoder(c.stdout)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// grouped writes a number with a space between thousands.
func grouped(n int64) string {
	digits := fmt.Sprint(n)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 && digits[i-1] != '-' {
			b.WriteByte(' ')
		}
		b.WriteRune(d)
	}
	return b.String()
}

// sized writes a number of bytes in the unit that suits it.
func sized(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
	v, u := float64(n), 0
	for v >= 1024 && u < len(units)-1 {
		v, u = v/1024, u+1
	}
	if u == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", v, units[u])
}

// ratio is a/b, 0 where b is.
func ratio(a, b int64) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

func percent(a, b int64) string { return fmt.Sprintf("%.1f %%", 100*ratio(a, b)) }

// grid is a table of texts, the first row its titles. The first column is
// aligned to the left, and cells that begin with a space are; numbers and
// times are aligned to the right.
type grid [][]string

func (g *grid) add(cells ...string) { *g = append(*g, cells) }

func (g grid) print(w io.Writer) {
	widths := make([]int, len(g[0]))
	for _, row := range g {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range g {
		var line strings.Builder
		for i, cell := range row {
			space := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			switch {
			case i == 0:
				line.WriteString(cell + space)
			case strings.HasPrefix(cell, " "):
				line.WriteString(" " + cell + space)
			default:
				line.WriteString("  " + space + cell)
			}
		}
		fmt.Fprintln(w, strings.TrimRight(line.String(), " "))
	}
}
