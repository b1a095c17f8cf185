package main

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/wire/netflow"
	"github.com/minamo-flow/minamo/wire/pcap"
)

const replayUsage = `Usage: minamo replay FILE [OPTIONS]

Sends the flow export datagrams in a capture file (pcap, pcapng) again. Several
exporters in one file stay apart: towards a loopback address each gets a source
address of its own, from 127.0.0.2 on: 127.0.0.1 is left to exporters that run
here, whose templates a recording would replace. Else each gets a source port.

Options:
`

func replayCommand(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("minamo replay", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, replayUsage)
		flags.PrintDefaults()
	}
	to := flags.String("to", "127.0.0.1:2055", "`HOST:PORT` to send to")
	now := flags.Bool("now", false, "shift the clocks in the datagrams so that the flows appear at the present")
	pace := flags.String("speed", "1", "`X` times as fast as recorded, or max")
	file := flags.String("config", "", "configuration `FILE`: its limits on templates count")
	files, err := parseFiles(flags, args)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	if len(files) != 1 {
		fmt.Fprintf(stderr, "minamo replay: expected one file, found %d\n", len(files))
		flags.Usage()
		return 2
	}
	speed := 0.0 // as fast as possible
	if *pace != "max" {
		var err error
		if speed, err = strconv.ParseFloat(*pace, 64); err != nil || !(speed > 0 && speed <= 1e9) {
			fmt.Fprintf(stderr, "minamo replay: --speed: expected a number above 0, or max, found %q\n", *pace)
			return 2
		}
	}
	cfg, err := decodingConfig(*file)
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 2
	}
	target, err := net.ResolveUDPAddr("udp", *to)
	if err == nil && target.Port == 0 {
		err = errors.New("no port")
	}
	if err != nil {
		fmt.Fprintf(stderr, "minamo replay: --to: expected HOST:PORT, found %q: %v\n", *to, err)
		return 2
	}
	if target.IP == nil {
		target.IP = net.IPv4(127, 0, 0, 1) // no host is this one
	}
	r := replay{file: files[0], target: netip.AddrPortFrom(target.AddrPort().Addr().Unmap(), uint16(target.Port)), now: *now, speed: speed, netflow: cfg.NetFlow, exporters: map[netip.Addr]*replayed{}, stderr: stderr}
	defer r.close()
	if err := r.run(ctx); err != nil {
		fmt.Fprintf(stderr, "minamo replay: %s: %v\n", r.file, err)
		return 1
	}
	fmt.Fprintln(stdout, r.summary())
	return 0
}

// parseFiles parses options that may stand before files and behind them.
func parseFiles(flags *flag.FlagSet, args []string) (files []string, err error) {
	for rest := args; ; rest = flags.Args()[1:] {
		if err := flags.Parse(rest); err != nil {
			return nil, err
		}
		if flags.NArg() == 0 {
			return files, nil
		}
		files = append(files, flags.Arg(0))
	}
}

// replay reads the file twice: first to learn templates, clocks and the span,
// then to send.
type replay struct {
	file    string
	target  netip.AddrPort
	now     bool
	speed   float64 // 0 is as fast as possible
	netflow netflow.Config
	stderr  io.Writer

	exporters   map[netip.Addr]*replayed
	first, last int64 // capture times of the first and last export datagram, ns
	size        int64
	begin       time.Time

	stats                              pcap.Stats // of the file
	datagrams, bytes, other, unshifted int
}

// replayed is one exporter of the recording.
type replayed struct {
	conn     *net.UDPConn
	netflow  *netflow.Session
	clock    int64 // ms, of its last header
	captured int64 // ns, when that was
	shift    int64 // ms
}

// isExport tells flow export datagrams from others by their version.
func isExport(payload []byte) bool {
	if len(payload) < 4 {
		return false
	}
	switch version := binary.BigEndian.Uint16(payload); version {
	case 1, 5, 7, 8, 9, 10:
		return true
	case 0:
		v := binary.BigEndian.Uint32(payload)
		return v == 2 || v == 4 || v == 5
	}
	return false
}

// each calls f for every export datagram of the file.
func (r *replay) each(ctx context.Context, f func(d *pcap.Datagram, offset int64) error) error {
	file, err := os.Open(r.file)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if info.Mode()&(fs.ModeNamedPipe|fs.ModeSocket) != 0 {
		return errors.New("it is read twice, which a pipe cannot be: save it to a file first")
	}
	r.size = info.Size()
	packets, err := pcap.NewReader(file)
	if err != nil {
		return err
	}
	datagrams := pcap.NewUDPReader(packets)
	var d pcap.Datagram
	r.other = 0
	for ctx.Err() == nil {
		if err := datagrams.Next(&d); err == io.EOF {
			r.stats = datagrams.Stats()
			return nil
		} else if err != nil {
			return err
		}
		if !isExport(d.Payload) {
			r.other++
			continue
		}
		if err := f(&d, datagrams.Offset()); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (r *replay) run(ctx context.Context) error {
	if err := r.learn(ctx); err != nil {
		return err
	}
	skipped(r.stderr, r.file, r.stats)
	if len(r.exporters) == 0 {
		return fmt.Errorf("no flow export in it (%d other datagrams)", r.other)
	}
	r.begin = time.Now()
	for _, x := range r.exporters {
		if x.clock == 0 {
			continue // sFlow has no clock, and unusable datagrams none we know
		}
		// Its last header is to say the time at which it will be sent. Whole
		// seconds, as most header clocks count, and never in the future.
		sent := r.begin.Add(r.delay(x.captured))
		x.shift = (sent.UnixMilli() - x.clock) / 1000 * 1000
	}
	return r.send(ctx)
}

// learn is the first reading.
func (r *replay) learn(ctx context.Context) error {
	scratch := flow.NewBatch(1024)
	var message netflow.Message
	return r.each(ctx, func(d *pcap.Datagram, _ int64) error {
		x := r.exporters[d.Src.Addr()]
		if x == nil {
			x = &replayed{netflow: netflow.NewSession(r.netflow)}
			if err := r.dial(x); err != nil {
				return err
			}
			r.exporters[d.Src.Addr()] = x
		}
		if r.first == 0 {
			r.first = d.Time
		}
		r.last = max(r.last, d.Time)
		if err := x.netflow.Decode(d.Payload, d.Time/1e6, scratch, &message); err == nil && message.ExportTime >= x.clock {
			x.clock, x.captured = message.ExportTime, d.Time
		}
		scratch.Reset()
		return nil
	})
}

// dial gives an exporter its own socket.
func (r *replay) dial(x *replayed) error {
	var local *net.UDPAddr
	if r.target.Addr().Is4() && r.target.Addr().IsLoopback() && len(r.exporters) < 250 {
		local = &net.UDPAddr{IP: net.IPv4(127, 0, 0, byte(2+len(r.exporters)))}
	}
	conn, err := net.DialUDP("udp", local, net.UDPAddrFromAddrPort(r.target))
	x.conn = conn
	return err
}

// delay is when after the begin a datagram captured at t is sent.
func (r *replay) delay(t int64) time.Duration {
	if r.speed == 0 {
		return 0
	}
	return time.Duration(float64(max(t-r.first, 0)) / r.speed)
}

// send is the second reading.
func (r *replay) send(ctx context.Context) error {
	progress := newProgress(r.stderr, "datagrams", r.size)
	defer progress.done()
	payload := make([]byte, 0, 1<<16)
	scratch := flow.NewBatch(1024)
	var message netflow.Message
	refused := 0
	return r.each(ctx, func(d *pcap.Datagram, offset int64) error {
		x := r.exporters[d.Src.Addr()]
		payload = append(payload[:0], d.Payload...)
		if r.now && x.shift != 0 {
			// Decoded again, so that a template redefined on the way counts from there.
			x.netflow.Decode(payload, d.Time/1e6, scratch, &message)
			scratch.Reset()
			r.unshifted += x.netflow.ShiftClock(payload, x.shift)
		}
		if wait := time.Until(r.begin.Add(r.delay(d.Time))); wait > 0 {
			progress.show(offset, int64(r.datagrams))
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if _, err := x.conn.Write(payload); err != nil {
			// The answer to an earlier datagram: nobody listens there (yet).
			if refused++; refused > 3 {
				return fmt.Errorf("nobody takes the datagrams at %s: %w", r.target, err)
			}
			if _, err = x.conn.Write(payload); err != nil {
				return err
			}
		}
		r.datagrams++
		r.bytes += len(payload)
		progress.show(offset, int64(r.datagrams))
		return nil
	})
}

func (r *replay) summary() string {
	took := time.Since(r.begin)
	s := fmt.Sprintf("sent %d datagrams (%d bytes) of %d exporters to %s in %v", r.datagrams, r.bytes, len(r.exporters), r.target, took.Round(time.Millisecond))
	if r.other > 0 {
		s += fmt.Sprintf("; %d other datagrams left out", r.other)
	}
	if r.unshifted > 0 {
		s += fmt.Sprintf("; %d data sets without template keep their own times", r.unshifted)
	}
	return s
}

func (r *replay) close() {
	for _, x := range r.exporters {
		if x.conn != nil {
			x.conn.Close()
		}
	}
}
