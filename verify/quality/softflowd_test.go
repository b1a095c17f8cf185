package quality

import (
	"context"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/minamo-flow/minamo/collect"
	"github.com/minamo-flow/minamo/flow"
)

type discard struct{}

func (discard) Write(*flow.Batch) error { return nil }

// TestSoftflowdTimers meters conversations on the loopback interface with
// softflowd, whose timers are set to what nobody would guess, and finds them out.
func TestSoftflowdTimers(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIP: softflowd's timers take 22 s")
	}
	softflowd, err := exec.LookPath("softflowd")
	if err != nil || os.Getuid() != 0 {
		why := "SKIP: timers are not tried against softflowd, which is not installed (scripts/install), or may not capture packets without root"
		if os.Getenv("CI") == "true" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	t.Parallel()

	collector := collect.New(collect.Config{Listen: []string{"udp://127.0.0.1:0"}, Sockets: 1}, discard{}, quiet)
	if err := collector.Listen(); err != nil {
		t.Fatal(err)
	}
	recorder := Open(Config{Dir: t.TempDir(), Sockets: collector.Sockets, Readings: collector.Exporters.Readings}, quiet)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { collector.Run(ctx) })

	server, err := net.ListenPacket("udp", "127.0.0.1:0") // to whom all is sent; nobody reads
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	_, port, _ := net.SplitHostPort(server.LocalAddr().String())
	dir, err := os.MkdirTemp("", "m") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	control := filepath.Join(dir, "ctl")
	metering := exec.Command(softflowd, "-d", "-i", "lo", "-v", "5", "-n", strings.TrimPrefix(collector.Addresses()[0], "udp://"),
		"-t", "maxlife=7", "-t", "udp=5", "-t", "expint=1", "-p", filepath.Join(dir, "pid"), "-c", control, "udp and dst port "+port)
	var said strings.Builder
	metering.Stdout, metering.Stderr = &said, &said
	if err := metering.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		metering.Process.Kill()
		metering.Wait()
		if t.Failed() {
			t.Log(said.String())
		}
	}()
	for begin := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		if _, err := os.Stat(control); err == nil {
			break
		}
		if time.Since(begin) > 10*time.Second {
			t.Fatal("softflowd does not begin: ", said.String())
		}
	}

	// Conversations of all lengths up to 14 s, and many of a single packet.
	var talking sync.WaitGroup
	for i := range 300 {
		talking.Go(func() {
			c, err := net.Dial("udp", server.LocalAddr().String())
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			end := time.Now().Add(time.Duration(max(0, i-150)/10) * time.Second)
			for c.Write([]byte("hello")); time.Now().Before(end); c.Write([]byte("hello")) {
				time.Sleep(200 * time.Millisecond)
			}
		})
	}
	talking.Wait()
	time.Sleep(7 * time.Second) // the last idle out
	stop()
	running.Wait()
	if err := recorder.Run(ctx); err != nil {
		t.Fatal(err)
	}
	verdicts, _, _, err := recorder.Latest(time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	v := verdicts[netip.MustParseAddr("127.0.0.1")]
	// softflowd counts whole seconds, from the beginning of the last packet's, and
	// looks at its flows when it gets to it: on a busy machine timers are longer.
	if a := v.Timers.Active; a == nil || a.Seconds < 7 || a.Seconds > 9 || a.AtLeast || a.Warning != "" {
		t.Errorf("active timer %+v, it is 7 s", a)
	}
	if i := v.Timers.Inactive; i == nil || i.Seconds < 4 || i.Seconds > 7 {
		t.Errorf("inactive timer %+v, it is 4 to 5 s", i)
	}
	t.Logf("%+v, %+v, %d flows, the longest of %.1f s", v.Timers.Active, v.Timers.Inactive, v.Timers.Durations, v.Timers.Longest)
}
