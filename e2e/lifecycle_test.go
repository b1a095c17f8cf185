package e2e

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// countOf is the number of flows stored.
func countOf(t *testing.T, data string) uint64 { return stored(t, data).sum().Flows }

// TestSealedOnTerm demands that whatever was received is there after SIGTERM,
// although it came just before.
func TestSealedOnTerm(t *testing.T) {
	data := t.TempDir()
	for round := range 3 {
		s := serve(t, data)
		newSender(t, s.listen).flows(300)
		s.stop(t)
		if got, want := stored(t, data).sum(), uint64(300*(round+1)); got != (totals{want, want * recordPackets, want * recordBytes}) {
			t.Fatalf("after round %d: %+v, want %d flows", round, got, want)
		}
	}
}

// TestKilled demands that a crash loses about a second, and nothing before it.
func TestKilled(t *testing.T) {
	data := t.TempDir()
	s := serve(t, data)
	x := newSender(t, s.listen)
	sent := map[time.Time]uint32{} // flows sent so far, and when
	var last time.Time
	for begin := time.Now(); time.Since(begin) < 5*time.Second; time.Sleep(10 * time.Millisecond) {
		x.flows(5)
		last = time.Now()
		sent[last] = x.sequence
	}
	s.kill()
	// Sealing goes every second and takes a while; twice that is generous.
	var safe uint32
	for at, n := range sent {
		if last.Sub(at) > 2*time.Second {
			safe = max(safe, n)
		}
	}
	kept := countOf(t, data)
	t.Logf("sent %d flows, %d of them more than 2 s before the kill; kept %d", x.sequence, safe, kept)
	if kept < uint64(safe) || kept > uint64(x.sequence) || safe == 0 {
		t.Fatalf("kept %d flows of %d, where %d were safe", kept, x.sequence, safe)
	}

	s = serve(t, data)
	newSender(t, s.listen).flows(90)
	s.stop(t)
	if got := countOf(t, data); got != kept+90 {
		t.Errorf("%d flows after the restart, want %d and 90 new ones", got, kept)
	}
}

// TestSecondServer demands a clear refusal, and that the first is not disturbed.
func TestSecondServer(t *testing.T) {
	data := t.TempDir()
	first := serve(t, data)
	second := launch(t, data)
	if status := second.wait(t); status != 1 {
		t.Errorf("the second server ended with status %d, want 1", status)
	}
	mentions(t, second.output.String(), data, fmt.Sprint(first.cmd.Process.Pid))
	newSender(t, first.listen).flows(30)
	first.stop(t)
	if got := countOf(t, data); got != 30 {
		t.Errorf("%d flows in the first server's data, want 30", got)
	}
}

func TestBusyPorts(t *testing.T) {
	udp, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	s := start(t, minamo, "serve", "--data", t.TempDir(), "--listen", "udp://"+udp.LocalAddr().String(), "--http", "127.0.0.1:0")
	if status := s.wait(t); status != 1 {
		t.Errorf("status %d with a busy UDP port, want 1", status)
	}
	mentions(t, s.output.String(), udp.LocalAddr().String(), "busy", "--listen")

	tcp, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	s = start(t, minamo, "serve", "--data", t.TempDir(), "--listen", "udp://127.0.0.1:0", "--http", tcp.Addr().String())
	if status := s.wait(t); status != 1 {
		t.Errorf("status %d with a busy TCP port, want 1", status)
	}
	mentions(t, s.output.String(), tcp.Addr().String(), "in use", "--http")
}

// TestUnusableDirectory tries a place where no directory can be made, for
// which even root finds no permission, and questions to what is not there.
func TestUnusableDirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("not a directory"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, data := range []string{file, filepath.Join(file, "below"), "/proc/minamo"} {
		s := start(t, minamo, "serve", "--data", data, "--listen", "udp://127.0.0.1:0", "--http", "127.0.0.1:0")
		if status := s.wait(t); status != 1 {
			t.Errorf("status %d with --data %s, want 1", status, data)
		}
		mentions(t, s.output.String(), data)
	}
	if text, _ := os.ReadFile(file); string(text) != "not a directory" {
		t.Error("the file in the way was changed")
	}
	missing := filepath.Join(t.TempDir(), "missing")
	q := start(t, minamo, "flows", "--data", missing)
	if status := q.wait(t); status != 1 {
		t.Errorf("minamo flows: status %d for a directory that is not there, want 1", status)
	}
	mentions(t, q.output.String(), missing)
}

// TestUnreadableDirectory needs a user who is not root: nobody.
func TestUnreadableDirectory(t *testing.T) {
	needRoot(t)
	data := shortDir(t) // 0700, root's
	p := startAs(t, 65534, minamo, "serve", "--data", filepath.Join(data, "flows"), "--listen", "udp://127.0.0.1:0", "--http", "127.0.0.1:0")
	if status := p.wait(t); status != 1 {
		t.Errorf("status %d with a directory that may not be read, want 1", status)
	}
	mentions(t, p.output.String(), data, "permission denied")
}

// TestFullDisk fills the file system under a running server.
func TestFullDisk(t *testing.T) {
	needRoot(t)
	need(t, "mount", "umount")
	data := shortDir(t)
	run(t, "mount", "-t", "tmpfs", "-o", "size=16m", "minamo-test", data)
	t.Cleanup(func() { syscall.Unmount(data, syscall.MNT_DETACH) })

	s := serve(t, data)
	x := newSender(t, s.listen)
	x.flows(300)
	eventually(t, "the first flows are stored", func() bool { return countOf(t, data) == 300 })

	ballast, err := os.Create(filepath.Join(data, "ballast"))
	if err != nil {
		t.Fatal(err)
	}
	block := make([]byte, 4096)
	for err == nil {
		_, err = ballast.Write(block)
	}
	ballast.Close()
	x.flows(300)
	eventually(t, "/healthz tells that the disk is full", func() bool {
		status, body := s.fetch(t, "/healthz")
		return status == http.StatusServiceUnavailable && strings.Contains(string(body), "no space left")
	})
	mentions(t, s.output.String(), "no space left on device", data)
	if s.metric(t, "minamo_store_errors_total") == 0 {
		t.Error("the failure is not counted")
	}
	if got := countOf(t, data); got != 300 {
		t.Errorf("%d flows can be read while the disk is full, want 300", got)
	}

	if err := os.Remove(ballast.Name()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the flows that waited are stored", func() bool { return countOf(t, data) == 600 })
	eventually(t, "/healthz is well again", func() bool {
		status, _ := s.fetch(t, "/healthz")
		return status == http.StatusOK
	})
	x.flows(300)
	s.stop(t)
	if got := countOf(t, data); got != 900 {
		t.Errorf("%d flows in the end, want 900", got)
	}
}

// TestRetention demands that what is too old, or too much, goes by itself,
// and that what is new stays.
func TestRetention(t *testing.T) {
	for _, c := range []struct{ name, settings string }{
		{"age", "store:\n  max-age: 3s\n"},
		{"size", "store:\n  max-size: 12KiB\n"}, // about one of the files below
	} {
		t.Run(c.name, func(t *testing.T) {
			data := t.TempDir()
			for range 3 {
				s := serve(t, data)
				newSender(t, s.listen).flows(300)
				s.stop(t)
			}
			if got := countOf(t, data); got != 900 {
				t.Fatalf("%d flows stored, want 900", got)
			}
			file := filepath.Join(t.TempDir(), "minamo.yaml")
			if err := os.WriteFile(file, []byte(c.settings), 0o644); err != nil {
				t.Fatal(err)
			}
			s := serve(t, data, "--config", file)
			eventually(t, "old flows are deleted", func() bool { return countOf(t, data) < 900 })
			if s.metric(t, "minamo_store_retired_segments_total") == 0 {
				t.Error("the deletion is not counted")
			}
			before := countOf(t, data)
			newSender(t, s.listen).flows(60)
			eventually(t, "new flows are stored", func() bool {
				got := countOf(t, data) // more of the old may have gone
				return got == before+60 || got == 60
			})
			s.stop(t)
		})
	}
}

// mentions demands that a message for people names all of this.
func mentions(t *testing.T, message string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(message, w) {
			t.Errorf("expected %q to be named in:\n%s", w, message)
		}
	}
	if strings.Contains(message, "panic") || strings.Contains(message, "goroutine ") {
		t.Errorf("it panicked:\n%s", message)
	}
}
