package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/minamo-flow/minamo/collect"
	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/wire/pcap"
)

const decodeUsage = `Usage: minamo decode FILE…

Prints each flow in capture files (pcap, pcapng; - is standard input) as one
JSON object a line, in file order, with the column names of docs/columns.md.
Every UDP datagram is looked at, whatever its port; templates and sampling
rates are remembered from one file to the next. Values are as exported: packets
and bytes are not multiplied by the sampling rate, times are the device's own.

What could not be decoded is told on standard error. Exit status: 0; 1 if any
datagram was malformed, a file could not be read, or held no flow export at all;
2 when called wrongly.
`

func decodeCommand(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 1 && (args[0] == "-h" || args[0] == "--help") {
		fmt.Fprint(stdout, decodeUsage)
		return 0
	}
	if len(args) == 0 || slices.ContainsFunc(args, func(a string) bool { return len(a) > 1 && a[0] == '-' }) {
		fmt.Fprint(stderr, decodeUsage)
		return 2
	}
	d := decoding{
		exporters: collect.NewExporters(collect.ExporterConfig{KeepClock: true}, slog.New(slog.DiscardHandler)),
		batch:     flow.NewBatch(1024),
		out:       bufio.NewWriterSize(stdout, 1<<16),
		stderr:    stderr,
	}
	for _, name := range args {
		if err := d.file(ctx, name); err != nil {
			fmt.Fprintf(stderr, "minamo decode: %s: %v\n", name, err)
			d.failed = true
		}
	}
	d.summary()
	if err := d.out.Flush(); err != nil {
		fmt.Fprintln(stderr, "minamo decode:", err)
		return 1
	}
	if d.failed {
		return 1
	}
	return 0
}

// decoding is the state over all files of a call.
type decoding struct {
	exporters *collect.Exporters
	batch     *flow.Batch
	line      []byte
	out       *bufio.Writer
	stderr    io.Writer
	failed    bool
}

func (d *decoding) file(ctx context.Context, name string) error {
	in := io.Reader(os.Stdin)
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	packets, err := pcap.NewReader(in)
	if err != nil {
		return err
	}
	datagrams := pcap.NewUDPReader(packets)
	var datagram pcap.Datagram
	understood := false
	for number := 1; ctx.Err() == nil; number++ {
		if err := datagrams.Next(&datagram); err == io.EOF {
			break
		} else if err != nil {
			return err
		}
		err := d.exporters.Decode(datagram.Payload, datagram.Src.Addr().Unmap(), datagram.Time/1e6, d.batch)
		if err != nil {
			fmt.Fprintf(d.stderr, "%s: datagram %d from %s: %v\n", name, number, datagram.Src, errors.Unwrap(err))
		}
		if !errors.Is(err, collect.ErrVersion) {
			understood = true
			d.failed = d.failed || err != nil
		}
		if err := d.print(); err != nil {
			return err
		}
	}
	skipped(d.stderr, name, datagrams.Stats())
	if err := ctx.Err(); err != nil {
		return err
	}
	if !understood {
		return errors.New("no flow export in it: neither NetFlow nor IPFIX nor sFlow")
	}
	return nil
}

// print writes the rows of the batch and empties it.
func (d *decoding) print() error {
	for i := range d.batch.Len() {
		d.line = append(d.batch.AppendJSON(d.line[:0], i), '\n')
		if _, err := d.out.Write(d.line); err != nil {
			return err
		}
	}
	d.batch.Reset()
	return nil
}

// skipped tells of packets in which no datagram was to be found, where they
// might have held one.
func skipped(w io.Writer, name string, stats pcap.Stats) {
	for reason, n := range stats.Skipped {
		if r := pcap.Reason(reason); n > 0 && r != pcap.NotUDP {
			fmt.Fprintf(w, "%s: %d packets left out: %s\n", name, n, r)
		}
	}
}

// summary tells for each exporter what was not used, by kind.
func (d *decoding) summary() {
	for _, x := range d.exporters.Status() {
		var parts []string
		for _, kind := range slices.Sorted(maps.Keys(x.Problems)) {
			parts = append(parts, fmt.Sprintf("%s %d", kind, x.Problems[kind]))
		}
		if parts != nil {
			fmt.Fprintf(d.stderr, "exporter %s: %s\n", x.Exporter, strings.Join(parts, ", "))
		}
	}
}
