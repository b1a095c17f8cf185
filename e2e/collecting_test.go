package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestKernelDrops stops the server for a moment, until its receive buffer
// overflows, and demands that it tells how much it lost.
func TestKernelDrops(t *testing.T) {
	file := filepath.Join(t.TempDir(), "minamo.yaml")
	if err := os.WriteFile(file, []byte("collect:\n  receive-buffer: 64KiB\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	data := t.TempDir()
	s := serve(t, data, "--config", file)
	x := newSender(t, s.listen)
	syscall.Kill(s.cmd.Process.Pid, syscall.SIGSTOP)
	const sent = 1000
	x.flows(sent * 30)
	_, drops, _ := udpQueue(t, s.listen)
	syscall.Kill(s.cmd.Process.Pid, syscall.SIGCONT)
	if drops == 0 {
		t.Fatal("nothing was dropped")
	}
	// The kernel tells with the next datagram that it keeps.
	eventually(t, "all is read", func() bool {
		waiting, _, _ := udpQueue(t, s.listen)
		return waiting == 0
	})
	x.flows(30)
	eventually(t, "the drops are counted", func() bool { return s.metric(t, "minamo_socket_drops_total") == float64(drops) })
	// What the kernel dropped is missing in the exporter's sequence, too.
	eventually(t, "the gap is counted", func() bool {
		return s.metric(t, "minamo_exporter_missing_units_total") == float64(drops*30)
	})
	if status := s.terminate(t); status != 0 {
		t.Errorf("status %d", status)
	}
	if got, want := countOf(t, data), uint64((sent+1-drops)*30); got != want {
		t.Errorf("%d flows stored, want %d", got, want)
	}
}

// TestTemplatesSurvive sends a template, restarts the server, and sends data.
// The other way round, data wait for their template.
func TestTemplatesSurvive(t *testing.T) {
	data := t.TempDir()
	record := append([]byte{192, 0, 2, 1}, longs(7, 700)...)
	for i, version := range []int{9, 10} {
		templates := []uint16{0, 2}[i] // the id of the set that holds them
		s := serve(t, data)
		conn, err := net.Dial("udp4", fmt.Sprintf("127.0.0.1:%d", s.listen))
		if err != nil {
			t.Fatal(err)
		}
		conn.Write(message(version, 0, set(templates, template256)))
		s.stop(t)
		conn.Close()

		s = serve(t, data)
		if conn, err = net.Dial("udp4", fmt.Sprintf("127.0.0.1:%d", s.listen)); err != nil {
			t.Fatal(err)
		}
		conn.Write(message(version, 1, set(256, record)))
		conn.Write(message(version, 2, set(300, record)))
		conn.Write(message(version, 3, set(templates, append(words(300), template256[2:]...))))
		s.stop(t)
		conn.Close()
		if got := countOf(t, data); got != uint64(2*(i+1)) {
			t.Errorf("version %d: %d flows in all, want one of the template before the restart and one that waited", version, got)
		}
	}
}

// TestSampling demands that figures are scaled by the rate that the exporter
// announces, unless asked for as exported.
func TestSampling(t *testing.T) {
	data := t.TempDir()
	s := serve(t, data)
	conn, err := net.Dial("udp4", fmt.Sprintf("127.0.0.1:%d", s.listen))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	d := netflow5(0, 30, time.Now())
	d[22], d[23] = 0x40, 100 // mode 1, one packet in 100
	conn.Write(d)
	s.stop(t)
	for rate, args := range map[uint64][]string{1: {"--raw"}, 100: nil} {
		rows := flows(t, data, append(args, "-A", "sampling_rate,sampling_source")...)
		if len(rows) != 1 || number(t, rows[0], "flows") != 30 || number(t, rows[0], "packets") != 30*recordPackets*rate || number(t, rows[0], "bytes") != 30*recordBytes*rate || number(t, rows[0], "sampling_rate") != 100 {
			t.Errorf("%v: %v", args, rows)
		}
	}
}
