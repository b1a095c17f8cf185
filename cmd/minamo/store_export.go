package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/query"
	"github.com/minamo-flow/minamo/store"
)

const exportUsage = `Usage: minamo store export [OPTIONS] [FILTER]

Writes flows to a file that others can read. It reads only; a server may run,
and what it seals after the start is not in it. A file appears under its name
when it is complete, and not before.

  --data DIR       the data directory that minamo serve writes (default ./data)
  -w FILE          write to FILE; - or nothing is standard output (csv, ndjson)
  -o FORMAT        parquet, csv or ndjson (default: what FILE ends with)
  -t WINDOW        flows whose time overlaps the window, as in minamo flows:
                     2026/11/22.10:00:00-2026/11/22.11:00:00, -1h, -3h/-2h, +600
  --columns NAME,… only these columns, in the order of docs/columns.md
                   (default: all). What lacks a column that every flow has
                   cannot be imported again.
  --raw            csv, ndjson: packets and bytes as exported by the devices.
                   Otherwise they are multiplied by the sampling rate. Parquet
                   is always as exported, and has the rate beside.
  --utc            times of -t without a zone are UTC; otherwise local. Those
                   that are written are always UTC.

FILTER is that of minamo flows; docs/filter.md. It compares what is written:
of Parquet and with --raw, packets and bytes as exported.

Parquet files have the layout of the store's own (docs/storage.md):
minamo store import reads them again.

Examples:
  minamo store export -w backup.parquet
  minamo store export -t 2026/11/22-2026/11/23 -w 22.parquet
  minamo store export -w dns.csv --columns start,src_addr,dst_addr,bytes 'port 53'
  minamo store export -t -1h -o ndjson 'src net 10.0.0.0/8' | gzip > hour.ndjson.gz

Exit status: 0 done, 1 failed (no file is left), 2 called wrongly.
`

func storeExport(ctx context.Context, c *storeCall) error {
	x := exporting{c: c, ctx: ctx}
	c.flags.StringVar(&x.file, "w", "-", "")
	c.flags.StringVar(&x.format, "o", "", "")
	window := c.flags.String("t", "", "")
	columns := c.flags.String("columns", "", "")
	c.flags.BoolVar(&x.raw, "raw", false, "")
	utc := c.flags.Bool("utc", false, "")
	words, err := c.parse()
	if err != nil {
		return err
	}
	if err := x.chooseFormat(); err != nil {
		return err
	}
	if err := c.directory(); err != nil {
		return err
	}
	if err := store.DefineColumns(c.data); err != nil {
		return err
	}
	if err := x.chooseColumns(*columns); err != nil {
		return err
	}
	c.filterText = strings.Join(words, " ")
	if c.filterText != "" {
		if x.filter, err = parseFilter(c.filterText); err != nil {
			return err
		}
		if x.filter.SQL() == "true" {
			x.filter = nil
		}
	}
	location := time.Local
	if *utc {
		location = time.UTC
	}
	from, to, relative, err := parseWindow(*window, time.Now(), location)
	if err != nil {
		return usageError{err}
	}
	return x.run(from, to, relative)
}

// exporting is one export.
type exporting struct {
	c       *storeCall
	ctx     context.Context
	file    string
	format  string
	raw     bool
	columns []flow.Column
	mask    flow.Mask // of them
	filter  *query.Filter

	request  query.Request
	out      *bufio.Writer
	parquet  *store.Writer
	line     []byte
	rows     int64 // written
	seen     int64 // read
	progress *progress
}

// chooseFormat settles the format, by the file's name where it is not given.
func (x *exporting) chooseFormat() error {
	if x.format == "" {
		x.format = strings.TrimPrefix(filepath.Ext(x.file), ".")
		if x.file == "-" {
			return usageError{errors.New("name a format with -o, or a file with -w")}
		}
	}
	if err := oneOf("-o", x.format, "parquet", "csv", "ndjson"); err != nil {
		return err
	}
	if x.format == "parquet" {
		if x.file == "-" {
			return usageError{errors.New("Parquet goes to a file: name it with -w")}
		}
		x.raw = true
	}
	return nil
}

func (x *exporting) chooseColumns(names string) error {
	if names == "" {
		for c := range flow.Columns() {
			x.mask.Add(c)
		}
	} else {
		for _, name := range strings.Split(names, ",") {
			c, known := flow.Lookup(strings.TrimSpace(name))
			if !known {
				return usageError{fmt.Errorf("--columns: there is no column %q; docs/columns.md has them", name)}
			}
			x.mask.Add(c)
		}
	}
	x.columns = x.mask.Columns()
	return nil
}

func (x *exporting) run(from, to time.Time, relative time.Duration) error {
	snapshot, err := store.Pin(x.c.data, from, to)
	if err != nil {
		return err
	}
	defer snapshot.Close()
	if n := snapshot.Damaged(); n > 0 {
		return fmt.Errorf("%d damaged files are in the way: minamo store check --repair sets them aside", n)
	}
	x.request = query.Request{From: from, To: to, Filter: x.filter, Raw: x.raw, Columns: x.columns}
	var engine *query.Engine
	if x.filter != nil || relative != 0 {
		if engine, err = query.Open(query.Config{}); err != nil {
			return err
		}
		defer engine.Close()
		if err := setNames(x.ctx, engine, x.c.data); err != nil {
			return err
		}
	}
	if relative != 0 {
		first, last, ok, err := engine.Span(x.ctx, snapshot)
		switch {
		case err != nil:
			return err
		case !ok:
		case relative > 0:
			x.request.To = first.Add(relative)
		default:
			x.request.From = last.Add(relative)
		}
	}
	begin := time.Now()
	x.progress = newTaskProgress(x.c.stderr, x.c.name, "flows", snapshot.Rows())
	file, err := createAtomic(x.file, x.c.stdout)
	if err != nil {
		return err
	}
	defer file.abandon()
	x.out = bufio.NewWriterSize(file, 1<<20)
	err = x.write(engine, snapshot)
	x.progress.done()
	if err == nil {
		err = x.out.Flush()
	}
	if err == nil {
		err = file.commit()
	}
	if x.ctx.Err() != nil {
		return x.ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", x.file, err)
	}
	if x.file != "-" {
		scale := "packets and bytes as exported"
		if !x.raw {
			scale = "packets and bytes multiplied by the sampling rate"
		}
		fmt.Fprintf(x.c.stdout, "exported %d flows to %s (%s), %s, in %v\n", x.rows, x.file, sized(file.size), scale, time.Since(begin).Round(time.Millisecond))
	}
	return nil
}

func (x *exporting) write(engine *query.Engine, snapshot *store.Snapshot) error {
	switch x.format {
	case "parquet":
		x.parquet = store.NewWriter(x.out)
	case "csv":
		for i, c := range x.columns {
			if i > 0 {
				x.out.WriteByte(',')
			}
			x.out.WriteString(c.String())
		}
		x.out.WriteByte('\n')
	}
	var err error
	if x.filter != nil {
		err = x.filtered(engine, snapshot)
	} else {
		err = x.unfiltered(snapshot)
	}
	if err == nil && x.parquet != nil {
		err = x.parquet.Close()
	}
	return err
}

// filtered asks the query engine, a hundredth of the files at a time, which is
// what tells how far it is.
func (x *exporting) filtered(engine *query.Engine, snapshot *store.Snapshot) error {
	paths := snapshot.Paths()
	x.progress.total = int64(len(paths))
	step := max(1, len(paths)/100)
	for i := 0; i < len(paths); i += step {
		_, err := engine.Flows(x.ctx, query.Files(paths[i:min(i+step, len(paths))]), x.request, func(b *flow.Batch) error {
			x.progress.show(int64(i), x.rows)
			return x.batch(b, 0, b.Len())
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// unfiltered reads the files one after the other, without the query engine:
// that is several times faster.
func (x *exporting) unfiltered(snapshot *store.Snapshot) error {
	need := x.mask
	for _, c := range []flow.Column{flow.Start, flow.End, flow.SamplingRate} {
		need.Add(c)
	}
	for _, path := range snapshot.Paths() {
		readable, forget, err := store.Readable(x.ctx, path, "")
		if err != nil {
			return err
		}
		err = store.Read(readable, need, x.choose)
		forget()
		if err != nil {
			return err
		}
	}
	return nil
}

// choose writes the flows of a batch that overlap the window, as
// query.Request has it.
func (x *exporting) choose(b *flow.Batch) error {
	if err := x.ctx.Err(); err != nil {
		return err
	}
	x.seen += int64(b.Len())
	x.progress.show(x.seen, x.rows)
	from, to := x.request.From, x.request.To
	starts, ends := b.Time(flow.Start), b.Time(flow.End)
	fits := func(i int) bool {
		return (to.IsZero() || time.UnixMilli(starts[i]).Before(to)) && (from.IsZero() || !time.UnixMilli(ends[i]).Before(from))
	}
	if !x.raw {
		rates := b.U32(flow.SamplingRate)
		for _, c := range []flow.Column{flow.Packets, flow.Bytes} {
			if x.mask.Has(c) {
				scale(b.U64(c), rates)
			}
		}
	}
	for i := 0; i < b.Len(); {
		first := i
		for i < b.Len() && fits(i) {
			i++
		}
		if err := x.batch(b, first, i); err != nil {
			return err
		}
		for i < b.Len() && !fits(i) {
			i++
		}
	}
	return nil
}

// scale multiplies counters by sampling rates; what does not fit becomes the
// greatest number, as in query.
func scale(counters []uint64, rates []uint32) {
	for i, rate := range rates {
		high, low := bits.Mul64(counters[i], uint64(rate))
		if high > 0 {
			low = ^uint64(0)
		}
		counters[i] = low
	}
}

// batch writes the rows [from, to) of b, of the columns asked for.
func (x *exporting) batch(b *flow.Batch, from, to int) error {
	if from == to {
		return nil
	}
	// The masks are put back: by them the batch knows what to clear.
	whole := slices.Clone(b.Present[from:to])
	defer copy(b.Present[from:to], whole)
	for i := range whole {
		m := &b.Present[from+i]
		m[0], m[1] = m[0]&x.mask[0], m[1]&x.mask[1]
	}
	x.rows += int64(to - from)
	if x.parquet != nil {
		if from == 0 && to == b.Len() {
			return x.parquet.Write(b)
		}
		part := flow.NewBatch(to - from)
		part.Append(b, from, to)
		return x.parquet.Write(part)
	}
	for i := from; i < to; i++ {
		if x.format == "csv" {
			x.line = x.appendCSV(x.line[:0], b, i)
		} else {
			x.line = append(b.AppendJSON(x.line[:0], i), '\n')
		}
		if _, err := x.out.Write(x.line); err != nil {
			return err
		}
	}
	return nil
}

func (x *exporting) appendCSV(line []byte, b *flow.Batch, i int) []byte {
	for n, c := range x.columns {
		if n > 0 {
			line = append(line, ',')
		}
		switch {
		case !b.Present[i].Has(c):
		case flow.Schema[c].Kind == flow.Text:
			line = append(line, csvField(string(b.Text(c, i)))...)
		default:
			line = b.AppendText(line, c, i)
		}
	}
	return append(line, '\n')
}

// atomicFile is written beside its place and takes it when it is complete.
type atomicFile struct {
	io.Writer
	file *os.File // nil for standard output
	name string
	size int64
}

func createAtomic(name string, stdout io.Writer) (*atomicFile, error) {
	if name == "-" {
		return &atomicFile{Writer: stdout}, nil
	}
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		f, err := os.OpenFile(name, os.O_WRONLY, 0) // a pipe, /dev/null
		return &atomicFile{Writer: f}, err
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return nil, err
	}
	return &atomicFile{Writer: f, file: f, name: name}, nil
}

// commit makes the file durable and gives it its name.
func (f *atomicFile) commit() error {
	if f.file == nil {
		return nil
	}
	info, err := f.file.Stat()
	if err != nil {
		return err
	}
	f.size = info.Size()
	// As a new file of the user's would be; temporary ones are private.
	if err := errors.Join(f.file.Chmod(0o644), f.file.Sync(), f.file.Close()); err != nil {
		return err
	}
	return os.Rename(f.file.Name(), f.name)
}

// abandon removes what was not committed.
func (f *atomicFile) abandon() {
	if f.file != nil {
		f.file.Close()
		os.Remove(f.file.Name()) // gone by then, if it was
	}
}
