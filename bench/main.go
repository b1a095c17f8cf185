// Bench measures what receiving costs: it sends the same NetFlow v9 datagrams,
// at the same pace, over the loopback interface to `minamo serve` and then to
// nfcapd, and prints for both how many flows arrived and what processor time
// a million of them took, from the first byte to the last sealed file.
//
// `make bench` runs it. It is bounded in time (two programs, a few seconds
// for each rate), and sends to 127.0.0.1 only. Sender and receiver share the
// machine's processors, so losses at high rates are of both.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/minamo-flow/minamo/bench/loopback"
)

func main() {
	minamo := flag.String("minamo", "bin/minamo", "the `program` to measure")
	rates := flag.String("rates", "100000,300000", "flows per second to send, separated by commas")
	seconds := flag.Int("seconds", 15, "how long to send at each rate")
	flag.Parse()
	if err := run(*minamo, *rates, *seconds); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// result is what one program made of one rate.
type result struct {
	loopback.Cost
	sent     int
	took     time.Duration // of sending
	received int
	disk     int64 // bytes
}

func run(minamo, rates string, seconds int) error {
	if seconds < 1 || seconds > 120 {
		return fmt.Errorf("-seconds: expected 1 to 120, found %d", seconds)
	}
	traffic := loopback.NewLoad()
	fmt.Printf("NetFlow v9, %d fields, %d flows a datagram of %d bytes, loopback, %d s a rate, %d processors, %s\n\n",
		len(loopback.Fields), loopback.FlowsPerDatagram, traffic.Size(), seconds, runtime.NumCPU(), time.Now().UTC().Format(time.RFC3339))
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "sent flows/s\tprogram\treceived flows/s\tlost\tCPU-s per million flows\tmemory\tdisk bytes per flow\t")
	for _, text := range strings.Split(rates, ",") {
		rate, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil || rate < loopback.FlowsPerDatagram || rate > 5_000_000 {
			return fmt.Errorf("-rates: expected whole numbers of flows per second, found %q", text)
		}
		for _, p := range []struct {
			name    string
			measure func(*loopback.Load, int, time.Duration) (result, error)
		}{
			{"minamo", func(l *loopback.Load, rate int, d time.Duration) (result, error) {
				return measureMinamo(minamo, l, rate, d)
			}},
			{"nfcapd -z", measureNfcapd},
		} {
			r, err := p.measure(traffic, rate, time.Duration(seconds)*time.Second)
			if err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
			fmt.Fprintf(table, "%.0f\t%s\t%.0f\t%.3f %%\t%.2f\t%d MB\t%.1f\t\n",
				float64(r.sent)/r.took.Seconds(), p.name, float64(r.received)/r.took.Seconds(),
				100*float64(r.sent-r.received)/float64(r.sent), r.CPU.Seconds()*1e6/float64(max(r.received, 1)),
				r.Memory>>20, float64(r.disk)/float64(max(r.received, 1)))
		}
	}
	return table.Flush()
}

// measure starts a collector on a directory of its own, sends, lets it finish,
// and takes its costs. Then count tells how many flows it has.
func measure(l *loopback.Load, rate int, d time.Duration, name string, args func(dir string, port int) []string, count func(dir, output string) (int, error)) (result, error) {
	var x result
	dir, err := os.MkdirTemp("", "minamo-bench-")
	if err != nil {
		return x, err
	}
	defer os.RemoveAll(dir)
	port, err := loopback.FreePort()
	if err != nil {
		return x, err
	}
	r, err := loopback.Start(port, name, args(dir, port)...)
	if err != nil {
		return x, err
	}
	if x.sent, x.took, err = l.Send(port, rate, d); err != nil {
		r.Kill()
		return x, err
	}
	r.Drain()
	if x.Cost, err = r.Stop(); err != nil {
		return x, err
	}
	filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			if info, err := entry.Info(); err == nil {
				x.disk += info.Size()
			}
		}
		return nil
	})
	x.received, err = count(dir, r.Output.String())
	return x, err
}

func measureMinamo(program string, l *loopback.Load, rate int, d time.Duration) (result, error) {
	return measure(l, rate, d, program, func(dir string, port int) []string {
		return []string{"serve", "--data", dir, "--listen", fmt.Sprintf("udp://127.0.0.1:%d", port), "--http", "127.0.0.1:0"}
	}, func(dir, _ string) (int, error) {
		text, err := exec.Command(program, "flows", "--data", dir, "--raw", "-A", "export_protocol", "-o", "json").Output()
		if err != nil {
			return 0, fmt.Errorf("asking for the flows: %w", err)
		}
		var rows []struct{ Flows int }
		if err := json.Unmarshal(text, &rows); err != nil {
			return 0, err
		}
		flows := 0
		for _, row := range rows {
			flows += row.Flows
		}
		return flows, nil
	})
}

var nfcapdCount = regexp.MustCompile(`Flows: (\d+),`)

func measureNfcapd(l *loopback.Load, rate int, d time.Duration) (result, error) {
	return measure(l, rate, d, "nfcapd", func(dir string, port int) []string {
		// Its longest interval: the count that it prints at its end is of all.
		return []string{"-b", "127.0.0.1", "-p", strconv.Itoa(port), "-w", dir, "-z", "-t", "3600", "-B", "16777216"}
	}, func(_, output string) (flows int, err error) {
		for _, m := range nfcapdCount.FindAllStringSubmatch(output, -1) {
			n, _ := strconv.Atoi(m[1])
			flows += n
		}
		if flows == 0 {
			return 0, fmt.Errorf("it tells no count:\n%s", output)
		}
		return flows, nil
	})
}
