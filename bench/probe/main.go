// Probe measures what metering costs: it writes a capture file of the smallest
// packets (64 bytes on the wire) of many flows at a time, meters it with
// package probe in one thread, the file in memory, then with softflowd, and
// prints for both the processor time of a packet.
//
// `make benchprobe` runs it. Neither of the two exports anything. The file is
// the same for the same flags.
package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/probe"
	"github.com/minamo-flow/minamo/wire/packet"
	"github.com/minamo-flow/minamo/wire/pcap"
)

func main() {
	packets := flag.Int("packets", 3_000_000, "packets in the file")
	flows := flag.Int("flows", 100_000, "flows that live at a time")
	flag.Parse()
	if *packets < 1 || *packets > 50_000_000 || *flows < 1 || *flows > 1<<24 {
		fmt.Fprintln(os.Stderr, "probe: expected up to 50000000 packets and 16777216 flows")
		os.Exit(2)
	}
	if err := run(*packets, *flows); err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(1)
	}
}

// result is what a program made of the file.
type result struct {
	cpu            time.Duration
	packets, flows uint64
	memory         int64 // bytes for each flow; 0 if unknown
}

func run(packets, flows int) error {
	dir, err := os.MkdirTemp("", "minamo-bench-probe-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "packets.pcap")
	file, err := capture(packets, flows)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, file, 0o600); err != nil {
		return err
	}
	fmt.Printf("%d packets of 64 bytes, %d flows, 1 µs between packets, %d processors, %s\n\n", packets, flows, runtime.NumCPU(), time.Now().UTC().Format(time.RFC3339))
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "program\tpackets\tflows\tns a packet\tmillion packets per CPU-s\tbytes a flow\t")
	line := func(name string, r result) {
		memory := "-"
		if r.memory > 0 {
			memory = strconv.FormatInt(r.memory, 10)
		}
		fmt.Fprintf(table, "%s\t%d\t%d\t%.0f\t%.2f\t%s\t\n", name, r.packets, r.flows, float64(r.cpu.Nanoseconds())/float64(r.packets), float64(r.packets)/r.cpu.Seconds()/1e6, memory)
	}
	ours, err := meter(file)
	if err != nil {
		return err
	}
	line("minamo", ours)
	theirs, err := softflowd(path, dir)
	if errors.Is(err, exec.ErrNotFound) {
		fmt.Println("softflowd is not installed; scripts/install tells how to get it")
	} else if err != nil {
		return err
	} else {
		line("softflowd", theirs)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if err == nil && theirs.packets > 0 && (theirs.packets != ours.packets || theirs.flows != ours.flows) {
		return errors.New("the two do not agree on the packets and flows in the file")
	}
	return nil
}

// capture is a capture file: every flow once, then any of them.
func capture(packets, flows int) ([]byte, error) {
	file := bytes.NewBuffer(make([]byte, 0, 24+76*packets))
	w, err := pcap.NewWriter(file, packet.Ethernet, false)
	if err != nil {
		return nil, err
	}
	// Ethernet, IPv4, UDP; 64 bytes are these 60 and the check sequence, which
	// captures don't have.
	p := make([]byte, 60)
	copy(p, []byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 46, 0, 0, 0x40, 0, 64, packet.UDP})
	p[39] = 26
	random := rand.New(rand.NewPCG(1, 2))
	for n := range packets {
		flow := uint32(n)
		if n >= flows {
			flow = random.Uint32N(uint32(flows))
		}
		binary.BigEndian.PutUint32(p[26:], 198<<24|18<<16|flow>>4)
		binary.BigEndian.PutUint32(p[30:], 203<<24|113<<8|flow&15)
		binary.BigEndian.PutUint16(p[34:], uint16(1024+flow%50_000))
		binary.BigEndian.PutUint16(p[36:], 443)
		if err := w.Write(&pcap.Packet{Time: 1_700_000_000e9 + int64(n)*1000, Data: p}); err != nil {
			return nil, err
		}
	}
	return file.Bytes(), nil
}

// meter meters the file with package probe.
func meter(file []byte) (r result, err error) {
	runtime.GOMAXPROCS(1)
	defer runtime.GOMAXPROCS(runtime.NumCPU())
	reader, err := pcap.NewReader(bytes.NewReader(file))
	if err != nil {
		return r, err
	}
	runtime.GC()
	began := used()
	m, out := probe.NewMeter(probe.MeterConfig{Cache: probe.CacheConfig{Rows: 4096}}), flow.NewBatch(8192)
	var p pcap.Packet
	for {
		if err := reader.Next(&p); err == io.EOF {
			break
		} else if err != nil {
			return r, err
		}
		if m.Add(&p, probe.Point{}, out); out.Len() > 4096 {
			out.Reset()
		}
	}
	cache := m.CacheStats()
	r.memory = int64(cache.Memory / max(cache.Peak, 1))
	for more := true; more; {
		out.Reset()
		more = m.Flush(out)
	}
	r.cpu = used() - began
	r.packets, r.flows = m.Stats().Metered, m.CacheStats().Created
	return r, nil
}

// used is the processor time of this process so far.
func used() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // can't fail
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

var (
	saidPackets = regexp.MustCompile(`Packets processed: (\d+)`)
	saidFlows   = regexp.MustCompile(`Flows expired: (\d+)`)
)

// softflowd meters the file with softflowd, which reports what it did.
func softflowd(path, dir string) (r result, err error) {
	control := filepath.Join(dir, "ctl")
	command := exec.Command("softflowd", "-d", "-r", path, "-m", "20000000", "-p", filepath.Join(dir, "pid"), "-c", control)
	var said bytes.Buffer
	command.Stdout, command.Stderr = &said, &said
	if err := command.Start(); err != nil {
		return r, err
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	// At the end of a file it may wait for someone on its control socket.
	for running := true; running; {
		select {
		case err := <-ended:
			if err != nil {
				return r, fmt.Errorf("softflowd: %w\n%s", err, &said)
			}
			running = false
		case <-time.After(200 * time.Millisecond):
			if c, err := net.Dial("unix", control); err == nil {
				c.Close()
			}
		}
	}
	r.cpu = command.ProcessState.UserTime() + command.ProcessState.SystemTime()
	for pattern, into := range map[*regexp.Regexp]*uint64{saidPackets: &r.packets, saidFlows: &r.flows} {
		number := pattern.FindSubmatch(said.Bytes())
		if number == nil {
			return r, fmt.Errorf("softflowd said nothing of %v:\n%s", pattern, &said)
		}
		*into, _ = strconv.ParseUint(string(number[1]), 10, 64)
	}
	return r, nil
}
