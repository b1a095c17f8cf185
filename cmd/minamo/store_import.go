package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/store"
	"github.com/minamo-flow/minamo/wire/nfdump"
)

const importUsage = `Usage: minamo store import [OPTIONS] FILE…

Adds flows to the data directory: all of them, or none where anything goes
wrong. No server may run on it meanwhile. The same file imported twice counts
twice.

FILE is
  a Parquet file of ours: a segment, or what minamo store export wrote
  a directory of such files: a data directory, its flows/, or a day of it
  what nfdump printed with -o csv or -o json; - is standard input

  --data DIR        the data directory, made if it is missing (default ./data)
  --format FORMAT   parquet, nfdump-csv or nfdump-json (default: what the file
                    looks like)
  --dry-run         read and check everything, and add nothing
  --exporter ADDR   nfdump: the router of flows that name none
  --utc             nfdump: its times are UTC, because it ran with TZ=UTC.
                    Otherwise they are taken for local ones here.
  --ignore NAME,…   nfdump: fields to leave out
  --drop-unknown    parquet: leave out columns that are not ours

nfdump prints local times without a zone; an hour of autumn is twice in them.
Run it with TZ=UTC, and prefer json: csv has times only to the second, and lacks
much. nfcapd has multiplied counters by the sampling rate already, so the
rate of imported flows is 1. More is in docs/store.md.

Retention by age counts from the import.

Examples:
  minamo store import --data /var/lib/minamo backup.parquet
  minamo store import /backup/data/flows/2026-11-22
  TZ=UTC nfdump -R /var/nfdump/2026/11 -o json | minamo store import --utc -
  TZ=UTC nfdump -r nfcapd.202611221000 -o csv | minamo store import --utc --format nfdump-csv -

Exit status: 0 done, 1 failed (nothing was added), 2 called wrongly.
`

const (
	parquetFormat = "parquet"
	nfdumpCSV     = "nfdump-csv"
	nfdumpJSON    = "nfdump-json"
)

func storeImport(ctx context.Context, c *storeCall) error {
	im := importing{c: c, ctx: ctx, unheld: map[string]int64{}}
	format := c.flags.String("format", "", "")
	c.flags.BoolVar(&im.dry, "dry-run", false, "")
	exporter := c.flags.String("exporter", "", "")
	utc := c.flags.Bool("utc", false, "")
	ignore := c.flags.String("ignore", "", "")
	c.flags.BoolVar(&im.dropUnknown, "drop-unknown", false, "")
	names, err := c.parse()
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return usageError{errors.New("name the files to import")}
	}
	if *format != "" {
		if err := oneOf("--format", *format, parquetFormat, nfdumpCSV, nfdumpJSON); err != nil {
			return err
		}
	}
	if *exporter != "" {
		a, err := netip.ParseAddr(*exporter)
		if err != nil {
			return usageError{fmt.Errorf("--exporter %s: expected an IP address", *exporter)}
		}
		im.text.Exporter = flow.AddrFrom(a)
	}
	im.text.Location = time.Local
	if *utc {
		im.text.Location = time.UTC
	}
	if *ignore != "" {
		im.text.Ignore = strings.Split(*ignore, ",")
	}
	for _, name := range names {
		if err := im.add(name, *format); err != nil {
			return err
		}
	}
	return im.run()
}

// importing is one import, of all files.
type importing struct {
	c           *storeCall
	ctx         context.Context
	text        nfdump.Config
	dry         bool
	dropUnknown bool

	inputs   []importInput
	target   *store.Import // nil when nothing is to be added
	progress *progress
	behind   int64 // bytes of the inputs that are done

	rows, packets, bytes uint64
	first, last          int64
	mended, sampled      int64
	tunnels              int64
	unheld               map[string]int64
}

// importInput is one file.
type importInput struct {
	name, format string
	size         int64
	in           io.Reader // of nfdump's text; nil: to be opened
}

// add finds out what a name stands for.
func (im *importing) add(name, format string) error {
	if name == "-" {
		in := bufio.NewReaderSize(os.Stdin, 1<<16)
		if format == "" {
			format = looksLike(in)
		}
		if format == parquetFormat {
			return fmt.Errorf("Parquet cannot be read from a pipe: save it to a file first")
		}
		return im.addInput(importInput{name: "standard input", format: format, in: in})
	}
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	if within(im.c.data, name) {
		return usageError{fmt.Errorf("%s is in the data directory itself: its flows would count twice", name)}
	}
	if info.IsDir() {
		segments, err := store.SegmentsUnder(name)
		if err != nil {
			return err
		}
		if len(segments) == 0 {
			return fmt.Errorf("%s: no segments of flows in it", name)
		}
		for _, s := range segments {
			im.inputs = append(im.inputs, importInput{name: s.Path, format: parquetFormat, size: s.Bytes})
		}
		return store.DefineColumnsOf(filepath.Join(name, "columns.parquet"))
	}
	if format == "" {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		format = looksLike(bufio.NewReader(f))
		f.Close()
	}
	return im.addInput(importInput{name: name, format: format, size: info.Size()})
}

// within tells whether a path is a data directory, or among its flows.
func within(data, path string) bool {
	data, err1 := filepath.EvalSymlinks(data)
	path, err2 := filepath.EvalSymlinks(path)
	if err1 != nil || err2 != nil {
		return false
	}
	data, err1 = filepath.Abs(data)
	path, err2 = filepath.Abs(path)
	flows := filepath.Join(data, "flows")
	return err1 == nil && err2 == nil && (path == data || path == flows || strings.HasPrefix(path, flows+string(filepath.Separator)))
}

func (im *importing) addInput(in importInput) error {
	if in.format == "" {
		return fmt.Errorf("%s is neither a Parquet file, nor what nfdump prints with -o csv or -o json: --format tells what it is", in.name)
	}
	im.inputs = append(im.inputs, in)
	return nil
}

// looksLike guesses the format from the first bytes.
func looksLike(in *bufio.Reader) string {
	head, _ := in.Peek(4096)
	if bytes.HasPrefix(head, []byte("PAR1")) {
		return parquetFormat
	}
	head = bytes.TrimLeft(head, " \t\r\n")
	line, _, _ := bytes.Cut(head, []byte("\n"))
	switch {
	case bytes.HasPrefix(head, []byte("[")), bytes.HasPrefix(head, []byte("{")):
		return nfdumpJSON
	case bytes.Contains(line, []byte(",")), bytes.HasPrefix(head, []byte("No matching flows")):
		return nfdumpCSV
	}
	return ""
}

// run reads all inputs, and adds them at the end.
func (im *importing) run() error {
	begin := time.Now()
	var total int64
	for _, in := range im.inputs {
		if in.format == parquetFormat {
			// Before anything else: the columns of an operator's own.
			if err := store.DefineColumnsOf(in.name); err != nil {
				return err
			}
		}
		total += in.size
		if in.in != nil {
			total = 0
			break
		}
	}
	if !im.dry {
		target, err := store.BeginImport(im.c.data, quietLog(im.c.stderr))
		if err != nil {
			return err
		}
		im.target = target
	}
	im.progress = newTaskProgress(im.c.stderr, im.c.name, "flows", total)
	for i := range im.inputs {
		in := &im.inputs[i]
		if err := im.read(in); err != nil {
			im.progress.done()
			err = fmt.Errorf("%s: %w", in.name, err)
			if im.ctx.Err() != nil {
				err = im.ctx.Err()
			}
			if im.target != nil {
				err = errors.Join(err, im.target.Abort())
			}
			if errors.Is(err, context.Canceled) {
				return err
			}
			return fmt.Errorf("%w; nothing was added", err)
		}
		im.behind += in.size
	}
	im.progress.done()
	if im.target != nil {
		if _, err := im.target.Commit(); err != nil {
			return err
		}
	}
	im.summary(time.Since(begin))
	return nil
}

func (im *importing) read(in *importInput) error {
	if in.format == parquetFormat {
		return im.parquet(in)
	}
	if in.in == nil {
		f, err := os.Open(in.name)
		if err != nil {
			return err
		}
		defer f.Close()
		in.in = f
	}
	counted := &countingReader{Reader: in.in}
	text := nfdump.NewJSON(counted, im.text)
	if in.format == nfdumpCSV {
		text = nfdump.NewCSV(counted, im.text)
	}
	batch := flow.NewBatch(4096)
	for {
		err := text.Read(batch)
		if batch.Len() >= 4000 || err == io.EOF {
			if err := im.write(batch, counted.n); err != nil {
				return err
			}
			batch.Reset()
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	stats := text.Stats()
	im.mended += stats.Mended
	im.sampled += stats.Sampled
	im.tunnels += stats.Tunnels
	for name, n := range stats.Unheld {
		im.unheld[name] += n
	}
	return nil
}

// parquet imports a file of ours.
func (im *importing) parquet(in *importInput) error {
	rows, err := store.CheckImport(in.name, im.dropUnknown)
	if err != nil {
		return err
	}
	path, forget, err := store.Readable(im.ctx, in.name, "")
	if err != nil {
		return err
	}
	defer forget()
	var done int64
	err = store.Read(path, flow.Mask{}, func(b *flow.Batch) error {
		for i := range b.Present {
			for c := range flow.Required.All() {
				if !b.Present[i].Has(c) {
					return fmt.Errorf("row %d has no %s, which every flow has", done+int64(i)+1, c)
				}
			}
		}
		done += int64(b.Len())
		return im.write(b, int64(float64(in.size)*float64(done)/float64(max(rows, 1))))
	})
	if err == nil && done != rows {
		err = fmt.Errorf("it has %d rows, and should have %d", done, rows)
	}
	return err
}

// write adds a batch; read is how many bytes of the input were read for it.
func (im *importing) write(b *flow.Batch, read int64) error {
	if err := im.ctx.Err(); err != nil {
		return err
	}
	if im.target != nil {
		if err := im.target.Write(b); err != nil {
			return err
		}
	}
	packets, octets, starts, ends := b.U64(flow.Packets), b.U64(flow.Bytes), b.Time(flow.Start), b.Time(flow.End)
	for i := range b.Len() {
		im.packets = addUp(im.packets, packets[i])
		im.bytes = addUp(im.bytes, octets[i])
		if im.rows == 0 && i == 0 {
			im.first, im.last = starts[i], ends[i]
		}
		im.first, im.last = min(im.first, starts[i]), max(im.last, ends[i])
	}
	im.rows += uint64(b.Len())
	im.progress.show(im.behind+read, int64(im.rows))
	return nil
}

// summary tells what was done, and what could not be taken over.
func (im *importing) summary(took time.Duration) {
	w := im.c.stdout
	verb := "imported"
	if im.dry {
		verb = "read, and not imported,"
	}
	fmt.Fprintf(w, "%s %d flows, %d packets, %d bytes as exported, in %v (%.0f flows/s)\n", verb, im.rows, im.packets, im.bytes,
		took.Round(time.Millisecond), float64(im.rows)/max(took.Seconds(), 0.001))
	if im.rows > 0 {
		fmt.Fprintf(w, "from %s to %s\n", flow.AppendTime(nil, im.first), flow.AppendTime(nil, im.last))
	}
	if im.sampled > 0 {
		fmt.Fprintf(w, "%d of them were sampled: nfcapd has multiplied their counters already, and their rate is not known\n", im.sampled)
	}
	if im.mended > 0 {
		fmt.Fprintf(w, "%d of them had no times, or ended before they began: the nearest possible times were taken\n", im.mended)
	}
	if im.tunnels > 0 {
		fmt.Fprintf(w, "%d lines of csv for the ends of a tunnel were left out: json has them with their flows\n", im.tunnels)
	}
	for _, name := range slices.SortedFunc(maps.Keys(im.unheld), func(a, b string) int { return cmp.Compare(im.unheld[b], im.unheld[a]) }) {
		fmt.Fprintf(w, "no column holds %s, which %d flows had\n", name, im.unheld[name])
	}
}

// countingReader counts what is read through it.
type countingReader struct {
	io.Reader
	n int64
}

func (r *countingReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.n += int64(n)
	return n, err
}
