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
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
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
	sent     int
	took     time.Duration // of sending
	received int
	cpu      time.Duration
	memory   int64 // greatest resident size, bytes
	disk     int64
}

func run(minamo, rates string, seconds int) error {
	if seconds < 1 || seconds > 120 {
		return fmt.Errorf("-seconds: expected 1 to 120, found %d", seconds)
	}
	traffic := newLoad()
	fmt.Printf("NetFlow v9, %d fields, %d flows a datagram of %d bytes, loopback, %d s a rate, %d processors, %s\n\n",
		len(fields), flowsPerDatagram, len(traffic.datagrams[0]), seconds, runtime.NumCPU(), time.Now().UTC().Format(time.RFC3339))
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "sent flows/s\tprogram\treceived flows/s\tlost\tCPU-s per million flows\tmemory\tdisk bytes per flow\t")
	for _, text := range strings.Split(rates, ",") {
		rate, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil || rate < flowsPerDatagram || rate > 5_000_000 {
			return fmt.Errorf("-rates: expected whole numbers of flows per second, found %q", text)
		}
		for _, p := range []struct {
			name    string
			measure func(*load, int, time.Duration) (result, error)
		}{
			{"minamo", func(l *load, rate int, d time.Duration) (result, error) { return measureMinamo(minamo, l, rate, d) }},
			{"nfcapd -z", measureNfcapd},
		} {
			r, err := p.measure(traffic, rate, time.Duration(seconds)*time.Second)
			if err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
			fmt.Fprintf(table, "%.0f\t%s\t%.0f\t%.3f %%\t%.2f\t%d MB\t%.1f\t\n",
				float64(r.sent)/r.took.Seconds(), p.name, float64(r.received)/r.took.Seconds(),
				100*float64(r.sent-r.received)/float64(r.sent), r.cpu.Seconds()*1e6/float64(max(r.received, 1)),
				r.memory>>20, float64(r.disk)/float64(max(r.received, 1)))
		}
	}
	return table.Flush()
}

// receiver is a running collector.
type receiver struct {
	cmd    *exec.Cmd
	port   int
	dir    string
	output strings.Builder
}

// startReceiver starts a program and waits until it has bound its UDP port.
func startReceiver(name string, args func(dir string, port int) []string) (*receiver, error) {
	c, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &receiver{port: c.LocalAddr().(*net.UDPAddr).Port}
	c.Close()
	if r.dir, err = os.MkdirTemp("", "minamo-bench-"); err != nil {
		return nil, err
	}
	r.cmd = exec.Command(name, args(r.dir, r.port)...)
	r.cmd.Stdout, r.cmd.Stderr = &r.output, &r.output
	if err := r.cmd.Start(); err != nil {
		os.RemoveAll(r.dir)
		return nil, err
	}
	for range 500 {
		if _, bound := queued(r.port); bound {
			return r, nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	r.cmd.Process.Kill()
	r.cmd.Wait()
	r.remove()
	return nil, fmt.Errorf("it does not listen:\n%s", &r.output)
}

func (r *receiver) remove() { os.RemoveAll(r.dir) }

// measure sends, waits until the receiver has read everything, ends it, and
// takes its costs.
func (r *receiver) measure(l *load, rate int, d time.Duration) (result, error) {
	var x result
	var err error
	if x.sent, x.took, err = l.send(r.port, rate, d); err != nil {
		r.cmd.Process.Kill()
		r.cmd.Wait()
		return x, err
	}
	for range 500 {
		if n, _ := queued(r.port); n == 0 {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	r.cmd.Process.Signal(syscall.SIGTERM)
	force := time.AfterFunc(time.Minute, func() { r.cmd.Process.Kill() })
	err = r.cmd.Wait()
	force.Stop()
	if err != nil {
		return x, fmt.Errorf("it ended badly: %w\n%s", err, &r.output)
	}
	x.cpu = r.cmd.ProcessState.UserTime() + r.cmd.ProcessState.SystemTime()
	x.memory = r.cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10
	filepath.WalkDir(r.dir, func(_ string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			if info, err := entry.Info(); err == nil {
				x.disk += info.Size()
			}
		}
		return nil
	})
	return x, nil
}

func measureMinamo(program string, l *load, rate int, d time.Duration) (result, error) {
	r, err := startReceiver(program, func(dir string, port int) []string {
		return []string{"serve", "--data", dir, "--listen", fmt.Sprintf("udp://127.0.0.1:%d", port), "--http", "127.0.0.1:0"}
	})
	if err != nil {
		return result{}, err
	}
	defer r.remove()
	x, err := r.measure(l, rate, d)
	if err != nil {
		return x, err
	}
	text, err := exec.Command(program, "flows", "--data", r.dir, "--raw", "-A", "export_protocol", "-o", "json").Output()
	if err != nil {
		return x, fmt.Errorf("asking for the flows: %w", err)
	}
	var rows []struct{ Flows int }
	if err := json.Unmarshal(text, &rows); err != nil {
		return x, err
	}
	for _, row := range rows {
		x.received += row.Flows
	}
	return x, nil
}

var nfcapdCount = regexp.MustCompile(`Flows: (\d+),`)

func measureNfcapd(l *load, rate int, d time.Duration) (result, error) {
	r, err := startReceiver("nfcapd", func(dir string, port int) []string {
		// Its longest interval: the count that it prints at its end is of all.
		return []string{"-b", "127.0.0.1", "-p", strconv.Itoa(port), "-w", dir, "-z", "-t", "3600", "-B", "16777216"}
	})
	if err != nil {
		return result{}, err
	}
	defer r.remove()
	x, err := r.measure(l, rate, d)
	if err != nil {
		return x, err
	}
	for _, m := range nfcapdCount.FindAllStringSubmatch(r.output.String(), -1) {
		n, _ := strconv.Atoi(m[1])
		x.received += n
	}
	if x.received == 0 {
		return x, fmt.Errorf("it tells no count:\n%s", &r.output)
	}
	return x, nil
}

// queued is how many bytes wait on the sockets of a UDP port.
func queued(port int) (bytes int, bound bool) {
	for _, table := range []string{"/proc/net/udp", "/proc/net/udp6"} {
		text, _ := os.ReadFile(table)
		for _, line := range strings.Split(string(text), "\n") {
			f := strings.Fields(line) // sl, local address, remote address, state, tx:rx queues …
			if len(f) > 4 && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) {
				_, queue, _ := strings.Cut(f[4], ":")
				n, _ := strconv.ParseInt(queue, 16, 64)
				bytes, bound = bytes+int(n), true
			}
		}
	}
	return bytes, bound
}
