package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// template256 describes records of 12 bytes: source address, packets, bytes.
var template256 = words(256, 3, 8, 4, 2, 4, 1, 4)

// TestBadInput sends what no exporter should, and what nobody could
// understand, to one server. Each is counted, and the server goes on.
func TestBadInput(t *testing.T) {
	data := t.TempDir()
	s := serve(t, data)
	conn, err := net.Dial("udp4", fmt.Sprintf("127.0.0.1:%d", s.listen))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()

	record := append([]byte{192, 0, 2, 1}, longs(7, 700)...)
	for _, c := range []struct {
		name     string
		datagram []byte
		metric   string
		labels   []string
	}{
		{"one byte", []byte{0}, "minamo_datagrams_rejected_total", nil},
		{"text", []byte("GET / HTTP/1.1\r\n\r\n"), "minamo_datagrams_rejected_total", nil},
		{"NetFlow v6, which nothing ever sent", append(words(6, 1), make([]byte, 100)...), "minamo_datagrams_rejected_total", []string{"version=6"}},
		{"NetFlow v5 cut in its header", netflow5(0, 1, time.Now())[:20], "minamo_exporter_malformed_datagrams_total", nil},
		{"NetFlow v5 with fewer records than it says", netflow5(0, 30, time.Now())[:24+48], "minamo_exporter_problems_total", nil},
		{"IPFIX longer than its datagram", append(words(10, 400), longs(uint32(time.Now().Unix()), 0, 1)...), "minamo_exporter_problems_total", nil},
		{"a set that ends behind the message", message(10, 0, append(words(2, 400), template256...)), "minamo_exporter_problems_total", nil},
		{"a set shorter than its own header", message(10, 0, words(2, 3)), "minamo_exporter_problems_total", nil},
		{"a set of length 0", message(9, 0, words(0, 0)), "minamo_exporter_problems_total", nil},
		{"a template that ends behind its set", message(10, 0, set(2, words(256, 200, 8, 4))), "minamo_exporter_problems_total", nil},
		{"data of an unknown template", message(10, 0, set(999, record)), "minamo_exporter_problems_total", []string{"kind=template_waiting"}},
		{"a field longer than its set", message(10, 0, set(2, words(300, 2, 8, 4, 1, 4000)), set(300, record)), "minamo_exporter_problems_total", nil},
		{"a variable field longer than its set", message(10, 0, set(2, words(301, 2, 8, 4, 82, 65535)), set(301, []byte{192, 0, 2, 1, 250, 'x'})), "minamo_exporter_problems_total", nil},
		{"a template of 60,000 fields", message(9, 0, set(0, append(words(302, 60000), make([]byte, 4000)...))), "minamo_exporter_problems_total", nil},
		{"sFlow cut in its header", longs(5, 1, 0x7f000001), "minamo_exporter_malformed_datagrams_total", nil},
		{"an sFlow sample longer than its datagram", longs(5, 1, 0x7f000001, 0, 1, 1000, 1, 1, 4000, 1), "minamo_exporter_problems_total", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := s.metric(t, c.metric, c.labels...)
			if _, err := conn.Write(c.datagram); err != nil {
				t.Fatal(err)
			}
			deadline := time.Now().Add(5 * time.Second)
			for s.metric(t, c.metric, c.labels...) == before {
				if !s.running() {
					t.Fatalf("the server ended:\n%s", s.output)
				}
				if time.Now().After(deadline) {
					t.Fatalf("%s%v did not count it", c.metric, c.labels)
				}
				time.Sleep(10 * time.Millisecond)
			}
		})
	}

	// Noise, and real datagrams with some bytes changed: fixed seed, so that
	// what fails once fails again.
	random := rand.New(rand.NewPCG(1, 2))
	good := [][]byte{
		netflow5(0, 20, time.Now()),
		message(9, 1, set(0, template256), set(256, record)),
		message(10, 1, set(2, template256), set(256, record)),
		longs(5, 1, 0x7f000001, 0, 1, 1000, 1, 1, 8, 1, 1),
	}
	for i := range 4000 {
		d := append([]byte(nil), good[i%len(good)]...)
		for range 1 + random.IntN(6) {
			d[random.IntN(len(d))] = byte(random.Uint32())
		}
		conn.Write(d[:1+random.IntN(len(d))])
		if i%64 == 0 {
			drained(t, s.listen)
		}
	}
	drained(t, s.listen)

	// A healthy exporter from another address is not affected.
	healthy, err := net.DialUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 2)}, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: s.listen})
	if err != nil {
		t.Fatal(err)
	}
	defer healthy.Close()
	(&sender{conn: healthy}).flows(90)
	s.stop(t)
	if got := stored(t, data, "router ip 127.0.0.2").sum(); got.Flows != 90 || got.Packets != 90*recordPackets {
		t.Errorf("the healthy exporter has %+v, sent 90 flows", got)
	}
	mentions(t, s.output.String(), "127.0.0.1")
	if lines := strings.Count(s.output.String(), "\n"); lines > 200 {
		t.Errorf("%d lines of log for a storm of bad datagrams", lines)
	}
}

// TestDecode holds `minamo decode` to its promises, of which others' scripts
// make use.
func TestDecode(t *testing.T) {
	template, record := set(2, template256), append([]byte{192, 0, 2, 1}, longs(7, 700)...)
	for _, c := range []struct {
		name      string
		datagrams [][]byte
		status    int
		packets   []uint64 // of the flows, in order
		errors    bool
	}{
		{"in file order", [][]byte{netflow5(0, 2, time.Now()), message(10, 0, template, set(256, record)), netflow5(2, 1, time.Now())}, 0, []uint64{recordPackets, recordPackets, 7, recordPackets}, false},
		{"one is malformed", [][]byte{netflow5(0, 2, time.Now()), netflow5(2, 1, time.Now())[:30], netflow5(2, 1, time.Now())}, 1, []uint64{recordPackets, recordPackets, recordPackets}, true},
		{"no flow export", [][]byte{[]byte("hello"), []byte("world")}, 1, nil, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			stdout, stderr, status := decode(t, datagramCapture(t, 9999, c.datagrams))
			if status != c.status {
				t.Errorf("status %d, want %d", status, c.status)
			}
			if (stderr != "") != c.errors {
				t.Errorf("on standard error: %q", stderr)
			}
			var packets []uint64
			for _, row := range stdout {
				packets = append(packets, number(t, row, "packets"))
				if address(t, row, "src_addr").String()[:8] != "192.0.2." {
					t.Errorf("src_addr of %v", row)
				}
			}
			if fmt.Sprint(packets) != fmt.Sprint(c.packets) {
				t.Errorf("packets of the flows: %v, want %v", packets, c.packets)
			}
		})
	}
	if _, stderr, status := decode(t, "/does/not/exist.pcap"); status != 1 || !strings.Contains(stderr, "/does/not/exist.pcap") {
		t.Errorf("a missing file: status %d, %q", status, stderr)
	}
}

// decode runs `minamo decode` and parses every line of its output.
func decode(t *testing.T, files ...string) (rows []map[string]any, stderr string, status int) {
	t.Helper()
	cmd := minamoCommand(append([]string{"decode"}, files...)...)
	var out, errors strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errors
	cmd.Run()
	for _, line := range strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n") {
		if line == "" {
			continue
		}
		decoder := json.NewDecoder(strings.NewReader(line))
		decoder.UseNumber()
		var row map[string]any
		if err := decoder.Decode(&row); err != nil {
			t.Fatalf("minamo decode wrote %q: %v", line, err)
		}
		rows = append(rows, row)
	}
	return rows, errors.String(), cmd.ProcessState.ExitCode()
}

// TestConfig holds `minamo config` to its promises.
func TestConfig(t *testing.T) {
	text := run(t, minamo, "config", "default")
	file := t.TempDir() + "/minamo.yaml"
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(text)
	run(t, minamo, "config", "check", file)
	write("data: ./data\nstore:\n  max-age: 1d\n  max-sise: 1GiB\n")
	p := start(t, minamo, "config", "check", file)
	if status := p.wait(t); status != 1 {
		t.Errorf("status %d for a wrong key, want 1", status)
	}
	mentions(t, p.output.String(), file+":4:3", "max-sise")
}
