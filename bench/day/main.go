// Day measures how fast questions are answered: it makes the flows of a day,
// leaves them in a data directory of Minamo as a server would have, and in
// files of nfdump, and asks both, and plain DuckDB over the same Parquet
// files, the same questions.
//
//	go build -o bin/minamo ./cmd/minamo
//	go run ./bench/day --flows 100000000 --dir DIR
//
// needs nfcapd and nfdump, and about 100 bytes a flow on the disk of DIR. Its
// steps are
//
//	generate  the segments, one for each minute          DIR/minamo
//	nfdump    the same flows, sent to nfcapd             DIR/nfdump
//	compact   `minamo store compact`: merges and rollups
//	measure   the questions                              DIR/measure.md
//	ingest    the questions, by ten people, while 100,000 flows/s come in
//	                                                     DIR/ingest.md
//
// and --doc docs/performance.md puts the figures into that page, too. Each step
// can be repeated; generate and nfdump go on where they were ended. The flows are
// a function of --seed and --flows alone (see day). It sends to 127.0.0.1 only.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/minamo-flow/minamo/store"
)

// options are the arguments.
type options struct {
	dir, minamo string
	doc         string
	seed        uint64
	flows       int
	repeat      int
	threads     int
	rate        int
	seconds     int
}

// date is the day of the flows.
var date = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)

func (o *options) data() string   { return filepath.Join(o.dir, "minamo") }
func (o *options) nfdump() string { return filepath.Join(o.dir, "nfdump") }

type step struct {
	name string
	run  func(*options) error
}

var steps = []step{
	{"generate", func(o *options) error {
		p := newProgress("generate", o.flows)
		defer p.done()
		return writeSegments(newDay(o.seed, o.flows, date), o.data(), p)
	}},
	{"nfdump", func(o *options) error {
		p := newProgress("nfdump", o.flows)
		defer p.done()
		return writeNfdump(newDay(o.seed, o.flows, date), o.nfdump(), p)
	}},
	{"compact", compact},
	{"measure", measure},
	{"ingest", ingest},
}

func main() {
	var o options
	flag.StringVar(&o.dir, "dir", "", "`directory` for everything")
	flag.StringVar(&o.minamo, "minamo", "bin/minamo", "the `program` to measure")
	flag.StringVar(&o.doc, "doc", "", "`page` whose figures are to be replaced, docs/performance.md")
	flag.Uint64Var(&o.seed, "seed", 1, "of the flows")
	flag.IntVar(&o.flows, "flows", 3_000_000, "how many")
	flag.IntVar(&o.repeat, "repeat", 3, "how often a question is asked after it was asked once; the median counts")
	flag.IntVar(&o.threads, "threads", 2, "of Minamo's query engine and of DuckDB")
	flag.IntVar(&o.rate, "rate", 100_000, "flows per second to send in the step ingest")
	flag.IntVar(&o.seconds, "seconds", 60, "how long to send them")
	names := make([]string, len(steps))
	for i, s := range steps {
		names[i] = s.name
	}
	only := flag.String("steps", strings.Join(names, ","), "which `steps`")
	flag.Parse()
	if err := run(&o, strings.Split(*only, ",")); err != nil {
		fmt.Fprintln(os.Stderr, "day:", err)
		os.Exit(1)
	}
}

func run(o *options, only []string) error {
	if o.dir == "" || o.flows < minutesOfDay || o.repeat < 1 || o.seconds < 1 {
		return fmt.Errorf("expected --dir, --flows from %d, --repeat and --seconds from 1", minutesOfDay)
	}
	if err := os.MkdirAll(o.dir, 0o755); err != nil {
		return err
	}
	if err := o.same(); err != nil {
		return err
	}
	for _, name := range only {
		if !slices.ContainsFunc(steps, func(s step) bool { return s.name == name }) {
			return fmt.Errorf("there is no step %q", name)
		}
	}
	for _, s := range steps {
		if slices.Contains(only, s.name) {
			if err := s.run(o); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
	}
	return nil
}

// same makes sure that the directory is of these flows and of no others.
func (o *options) same() error {
	path := filepath.Join(o.dir, "day.json")
	want, _ := json.Marshal(map[string]any{"seed": o.seed, "flows": o.flows})
	have, err := os.ReadFile(path)
	switch {
	case os.IsNotExist(err):
		return os.WriteFile(path, want, 0o644)
	case err == nil && string(have) != string(want):
		return fmt.Errorf("%s holds the flows of %s, not of %s: name another --dir", o.dir, have, want)
	}
	return err
}

// writeSegments writes a segment for each minute, under the stamp of its last
// millisecond. Minutes that are there, by themselves or merged, stay.
func writeSegments(d *day, dir string, p *progress) error {
	var done time.Time
	if _, err := os.Stat(dir); err == nil {
		segments, err := store.Segments(dir)
		if err != nil {
			return err
		}
		if len(segments) > 0 {
			done = segments[len(segments)-1].SealedLast
		}
	}
	for {
		b, ok := d.next()
		if !ok {
			return nil
		}
		sealed := d.date.Add(time.Duration(d.minute)*time.Minute - time.Millisecond)
		if sealed.After(done) && b.Len() > 0 {
			if _, err := store.WriteSegment(dir, b, sealed); err != nil {
				return err
			}
		}
		p.add(b.Len())
	}
}

// compact brings the directory to the state in which a server keeps it.
func compact(o *options) error {
	c := exec.Command(o.minamo, "store", "compact", "--data", o.data())
	c.Stdout, c.Stderr = os.Stderr, os.Stderr
	return c.Run()
}

// publish hands out the figures of a step: on stdout, in DIR/STEP.md, and where
// it is wanted in the page of the documentation, between its marks.
func (o *options) publish(step, text string) error {
	fmt.Print(text)
	if err := os.WriteFile(filepath.Join(o.dir, step+".md"), []byte(text), 0o644); err != nil || o.doc == "" {
		return err
	}
	page, err := os.ReadFile(o.doc)
	if err != nil {
		return err
	}
	begin, end := "<!-- "+step+": written by bench/day -->\n", "<!-- end of "+step+" -->"
	before, rest, ok1 := strings.Cut(string(page), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		return fmt.Errorf("%s has no place for the figures: %s…%s", o.doc, begin, end)
	}
	return os.WriteFile(o.doc, []byte(before+begin+"\n"+text+"\n"+end+after), 0o644)
}

// progress tells on stderr how far a step is.
type progress struct {
	name        string
	count, all  int
	begin, told time.Time
}

func newProgress(name string, all int) *progress {
	return &progress{name: name, all: all, begin: time.Now()}
}

func (p *progress) add(n int) {
	p.count += n
	if now := time.Now(); now.Sub(p.told) > 2*time.Second {
		p.told = now
		p.tell()
	}
}

func (p *progress) tell() {
	took := time.Since(p.begin)
	fmt.Fprintf(os.Stderr, "%s: %d of %d, %.0f %%, %v, %.0f a second\n", p.name, p.count, p.all,
		100*float64(p.count)/float64(max(p.all, 1)), took.Round(time.Second), float64(p.count)/took.Seconds())
}

func (p *progress) done() { p.tell() }
