package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/minamo-flow/minamo/collect"
	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/wire/pcap"
)

const decodeUsage = `Usage: minamo decode [--config FILE] FILE…

Prints each flow in files as one JSON object a line, in file order, with the
column names of docs/columns.md. A file is a capture (pcap, pcapng), of which
every UDP datagram is looked at, whatever its port; or IPFIX messages one after
the other (RFC 5655), as connections carry them: tcpflow makes such files of a
captured connection. - is standard input. Templates and sampling rates are
remembered from one file to the next. Values are as exported: packets and bytes
are not multiplied by the sampling rate, times are the device's own.

What could not be decoded is told on standard error. Exit status: 0; 1 if any
datagram was malformed, a file could not be read, or held no flow export at all;
2 when called wrongly.

Options:
`

func decodeCommand(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("minamo decode", flag.ContinueOnError)
	flags.SetOutput(stderr)
	help := func(w io.Writer) {
		flags.SetOutput(w)
		fmt.Fprint(w, decodeUsage)
		flags.PrintDefaults()
	}
	flags.Usage = func() {}
	file := flags.String("config", "", "configuration `FILE`: its columns and collect.sampling, .decapsulate and .limits count")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		help(stdout)
		return 0
	case err != nil:
		return 2
	case flags.NArg() == 0:
		help(stderr)
		return 2
	}
	cfg, err := decodingConfig(*file)
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 2
	}
	cfg.KeepClock = true
	d := decoding{
		exporters: collect.NewExporters(cfg, slog.New(slog.DiscardHandler)),
		batch:     flow.NewBatch(1024),
		out:       bufio.NewWriterSize(stdout, 1<<16),
		stderr:    stderr,
	}
	args = flags.Args()
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
	buffered := bufio.NewReaderSize(in, 1<<16)
	if head, err := buffered.Peek(4); err == nil && binary.BigEndian.Uint16(head) == flow.IPFIX {
		return d.messages(ctx, name, buffered)
	}
	head, _ := buffered.Peek(4)
	instead := otherFile(string(head))
	packets, err := pcap.NewReader(buffered)
	if errors.Is(err, pcap.ErrFormat) {
		return fmt.Errorf("neither a capture (pcap, pcapng) nor an IPFIX file%s: %w", instead, err)
	}
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

// otherFile says what a file that begins so is instead, and what reads it.
func otherFile(head string) string {
	switch {
	case strings.HasPrefix(head, "\x1f\x8b"):
		return ", but gzip: decompress it first, gzip -dc FILE | minamo decode -"
	case head == "PAR1":
		return ", but Parquet: minamo flows reads what minamo serve has stored"
	case strings.HasPrefix(head, "\x0c\xa5"), strings.HasPrefix(head, "\xa5\x0c"):
		return ", but a file of nfcapd's: nfdump reads it"
	}
	return ""
}

// messages decodes an IPFIX file (RFC 5655). It does not tell who exported;
// received is when the exporter sent. The session stays for the summary.
func (d *decoding) messages(ctx context.Context, name string, in *bufio.Reader) error {
	session := d.exporters.Connect(netip.IPv4Unspecified())
	for number := 1; ctx.Err() == nil; number++ {
		head, err := in.Peek(8)
		if err == io.EOF && len(head) == 0 {
			return nil
		} else if err != nil {
			return fmt.Errorf("message %d: %w", number, io.ErrUnexpectedEOF)
		}
		length, err := collect.MessageLength(head)
		if err != nil {
			return fmt.Errorf("message %d: %w", number, err)
		}
		message, err := in.Peek(length)
		if err != nil {
			return fmt.Errorf("message %d: %d bytes of %d: %w", number, len(message), length, io.ErrUnexpectedEOF)
		}
		if err := session.Decode(message, 1000*int64(binary.BigEndian.Uint32(message[4:])), d.batch); err != nil {
			fmt.Fprintf(d.stderr, "%s: message %d: %v\n", name, number, errors.Unwrap(err))
			d.failed = true
		}
		in.Discard(length)
		if err := d.print(); err != nil {
			return err
		}
	}
	return ctx.Err()
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

// summary tells for each exporter what was not used, by kind, and which
// elements an operator could map to columns.
func (d *decoding) summary() {
	for _, x := range d.exporters.Status() {
		var parts []string
		for _, kind := range slices.Sorted(maps.Keys(x.Problems)) {
			parts = append(parts, fmt.Sprintf("%s %d", kind, x.Problems[kind]))
		}
		if parts != nil {
			fmt.Fprintf(d.stderr, "exporter %s: %s\n", x.Exporter, strings.Join(parts, ", "))
		}
		if x.Waiting > 0 {
			fmt.Fprintf(d.stderr, "exporter %s: %d data sets never got their template: their flows are missing\n", x.Exporter, x.Waiting)
		}
		details, _ := d.exporters.Details(x.Exporter)
		var elements []string
		for _, e := range details.Skipped {
			elements = append(elements, strings.TrimSpace(e.Element+" "+e.Name))
		}
		if elements != nil {
			fmt.Fprintf(d.stderr, "exporter %s: no column holds %s\n", x.Exporter, strings.Join(elements, ", "))
		}
	}
}
