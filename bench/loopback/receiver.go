package loopback

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Receiver is a running collector.
type Receiver struct {
	Port   int // of UDP, at 127.0.0.1
	Output strings.Builder

	cmd *exec.Cmd
}

// Cost is what a collector took from start to end.
type Cost struct {
	CPU    time.Duration
	Memory int64 // greatest resident size, bytes
}

// FreePort is a UDP port that nobody has bound now.
func FreePort() (int, error) {
	c, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).Port, nil
}

// Start starts a program and waits until it has bound the UDP port that its
// arguments name.
func Start(port int, name string, args ...string) (*Receiver, error) {
	r := &Receiver{Port: port, cmd: exec.Command(name, args...)}
	r.cmd.Stdout, r.cmd.Stderr = &r.Output, &r.Output
	if err := r.cmd.Start(); err != nil {
		return nil, err
	}
	for range 500 {
		if _, bound := Queued(port); bound {
			return r, nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	r.Kill()
	return nil, fmt.Errorf("%s does not listen:\n%s", name, &r.Output)
}

// PID is the process id.
func (r *Receiver) PID() int { return r.cmd.Process.Pid }

// Kill ends the collector at once.
func (r *Receiver) Kill() {
	r.cmd.Process.Kill()
	r.cmd.Wait()
}

// Drain waits until the collector has read everything, ten seconds at most.
func (r *Receiver) Drain() {
	for range 500 {
		if n, _ := Queued(r.Port); n == 0 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Stop lets the collector finish, in a minute at most.
func (r *Receiver) Stop() (Cost, error) {
	r.cmd.Process.Signal(syscall.SIGTERM)
	force := time.AfterFunc(time.Minute, func() { r.cmd.Process.Kill() })
	defer force.Stop()
	if err := r.cmd.Wait(); err != nil {
		return Cost{}, fmt.Errorf("it ended badly: %w\n%s", err, &r.Output)
	}
	state := r.cmd.ProcessState
	return Cost{state.UserTime() + state.SystemTime(), state.SysUsage().(*syscall.Rusage).Maxrss << 10}, nil
}

// Queued is how many bytes wait on the sockets of a UDP port.
func Queued(port int) (bytes int, bound bool) {
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
