package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// freePort finds a port of 127.0.0.1 that nobody has for network, udp or tcp.
func freePort(t *testing.T, network string) int {
	t.Helper()
	if network == "udp" {
		c, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.LocalAddr().(*net.UDPAddr).Port
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// udpQueue tells, of all sockets bound to a UDP port, how many bytes wait to
// be read and how many datagrams were dropped; bound is false without a socket.
func udpQueue(t *testing.T, port int) (waiting, drops int, bound bool) {
	t.Helper()
	// Not /proc/net: that is the main thread's, which may have been lent to a namespace.
	for _, table := range []string{"/proc/thread-self/net/udp", "/proc/thread-self/net/udp6"} {
		text, err := os.ReadFile(table)
		if err != nil {
			continue // no IPv6
		}
		for _, line := range strings.Split(string(text), "\n") {
			// sl local_address rem_address st tx_queue:rx_queue … drops
			f := strings.Fields(line)
			if len(f) < 13 || !strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) {
				continue
			}
			_, queue, _ := strings.Cut(f[4], ":")
			n, _ := strconv.ParseInt(queue, 16, 64)
			d, _ := strconv.Atoi(f[12])
			waiting, drops, bound = waiting+int(n), drops+d, true
		}
	}
	return waiting, drops, bound
}

// listening waits until a process has bound the UDP port.
func listening(t *testing.T, p *process, port int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s listens on UDP %d", p.cmd.Path, port), func() bool {
		if !p.running() {
			t.Fatalf("%s ended before it listened:\n%s", p.cmd, p.output)
		}
		_, _, bound := udpQueue(t, port)
		return bound
	})
}

// drained waits until everything sent to the port is read, and nothing was dropped.
func drained(t *testing.T, port int) {
	t.Helper()
	eventually(t, fmt.Sprintf("UDP %d is read empty", port), func() bool {
		waiting, _, _ := udpQueue(t, port)
		return waiting == 0
	})
	if _, drops, _ := udpQueue(t, port); drops > 0 {
		t.Fatalf("the kernel dropped %d datagrams on UDP %d: the comparison is void", drops, port)
	}
}

// sendAll sends datagrams to a UDP port, each when the one before it is read.
func sendAll(t *testing.T, port int, datagrams [][]byte) {
	t.Helper()
	conn, err := net.Dial("udp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, d := range datagrams {
		if _, err := conn.Write(d); err != nil {
			t.Fatal(err)
		}
		drained(t, port)
	}
}

// tee receives datagrams on one UDP port of 127.0.0.1 and sends each on to
// several others: two collectors get the same, in the same order, from one
// address and port. It keeps them, too.
type tee struct {
	namespace string
	port      int
	conn      *net.UDPConn
	flushed   chan struct{}

	mu        sync.Mutex
	datagrams [][]byte
}

// newTee listens in a namespace ("" is the test's own) and sends to ports of
// the test's own.
func newTee(t *testing.T, namespace string, ports ...int) *tee {
	t.Helper()
	x := &tee{namespace: namespace, flushed: make(chan struct{}, 1)}
	in(t, namespace, func() {
		conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Error(err)
			return
		}
		x.conn = conn
	})
	if x.conn == nil {
		t.FailNow()
	}
	x.port = x.conn.LocalAddr().(*net.UDPAddr).Port
	x.conn.SetReadBuffer(4 << 20)
	out, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() {
		x.conn.Close()
		<-done
		out.Close()
	})
	go func() {
		defer close(done)
		room := make([]byte, 1<<16)
		for {
			n, err := x.conn.Read(room)
			if err != nil {
				return
			}
			if string(room[:n]) == lastDatagram {
				x.flushed <- struct{}{}
				continue
			}
			for _, port := range ports {
				// A collector that is gone gives an error here; the totals will tell.
				out.WriteToUDP(room[:n], &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
			}
			x.mu.Lock()
			x.datagrams = append(x.datagrams, append([]byte(nil), room[:n]...))
			x.mu.Unlock()
		}
	}()
	return x
}

// lastDatagram goes no further than the tee.
const lastDatagram = "everything before this has been sent on"

// flush waits until all that was sent to the tee is sent on.
func (x *tee) flush(t *testing.T) {
	t.Helper()
	in(t, x.namespace, func() {
		conn, err := net.Dial("udp4", x.address())
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		conn.Write([]byte(lastDatagram))
	})
	select {
	case <-x.flushed:
	case <-time.After(30 * time.Second):
		t.Fatal("the tee did not come to the end")
	}
}

func (x *tee) address() string { return fmt.Sprintf("127.0.0.1:%d", x.port) }

// passed is a copy of what went through so far.
func (x *tee) passed() [][]byte {
	x.mu.Lock()
	defer x.mu.Unlock()
	return append([][]byte(nil), x.datagrams...)
}

// namespace makes a network namespace with its loopback interface up, and
// removes it after the test.
func namespace(t *testing.T, name string) string {
	t.Helper()
	needRoot(t)
	need(t, "ip")
	full := fmt.Sprintf("minamo-%d-%s", os.Getpid(), name)
	run(t, "ip", "netns", "add", full)
	t.Cleanup(func() { exec.Command("ip", "netns", "del", full).Run() })
	run(t, "ip", "-n", full, "link", "set", "lo", "up")
	return full
}

// in calls f on a thread that is in the namespace, so that the sockets it
// opens are there, whoever uses them later. f must not end the test.
func in(t *testing.T, namespace string, f func()) {
	t.Helper()
	if namespace == "" {
		f()
		return
	}
	failure := make(chan error, 1)
	go func() {
		// Never unlocked: the thread ends with the goroutine, and no other
		// goroutine finds itself in the namespace.
		runtime.LockOSThread()
		failure <- func() error {
			file, err := os.Open("/run/netns/" + namespace)
			if err != nil {
				return err
			}
			defer file.Close()
			if err := unix.Setns(int(file.Fd()), unix.CLONE_NEWNET); err != nil {
				return fmt.Errorf("entering namespace %s: %w", namespace, err)
			}
			f()
			return nil
		}()
	}()
	if err := <-failure; err != nil {
		t.Fatal(err)
	}
}

// transfer is one exchange between two hosts: size bytes from client to
// server, over TCP, or over UDP in datagrams of 512.
type transfer struct {
	network string // tcp or udp
	port    int
	size    int
}

// traffic makes the transfers, one after the other, from the namespace client
// to the address, which the namespace server has.
func traffic(t *testing.T, client, server, address string, transfers ...transfer) {
	t.Helper()
	for _, x := range transfers {
		target := net.JoinHostPort(address, strconv.Itoa(x.port))
		var listener net.Listener
		var packets net.PacketConn
		var conn net.Conn
		var err error
		in(t, server, func() {
			if x.network == "tcp" {
				listener, err = net.Listen("tcp", target)
			} else {
				packets, err = net.ListenPacket("udp", target)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		received := make(chan int, 1)
		go func() {
			room, total := make([]byte, 1<<16), 0
			if packets != nil {
				for total < x.size {
					n, _, err := packets.ReadFrom(room)
					if err != nil {
						break
					}
					total += n
				}
			} else if c, err := listener.Accept(); err == nil {
				defer c.Close()
				for {
					n, err := c.Read(room)
					total += n
					if err != nil {
						break
					}
				}
			}
			received <- total
		}()
		in(t, client, func() { conn, err = net.Dial(x.network, target) })
		if err != nil {
			t.Fatal(err)
		}
		chunk := make([]byte, 512)
		for sent := 0; sent < x.size; {
			if x.network == "udp" {
				time.Sleep(time.Millisecond) // a switch in user space is slow
			}
			n, err := conn.Write(chunk[:min(len(chunk), x.size-sent)])
			if err != nil {
				t.Fatal(err)
			}
			sent += n
		}
		conn.Close()
		got := 0
		eventually(t, "the transfer arrives", func() bool {
			select {
			case got = <-received:
				return true
			default:
				return false
			}
		})
		if got != x.size {
			t.Fatalf("%s transfer of %d bytes: %d arrived", x.network, x.size, got)
		}
		if listener != nil {
			listener.Close()
		} else {
			packets.Close()
		}
	}
}
