package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/minamo-flow/minamo/config"
	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/wire/netflow"
	"github.com/minamo-flow/minamo/wire/packet"
	"github.com/minamo-flow/minamo/wire/pcap"
)

// minamo runs a command as main does.
func minamo(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = run(t.Context(), args, &out, &errs)
	return status, out.String(), errs.String()
}

func TestEveryCommandHelpsAndRefuses(t *testing.T) {
	status, out, _ := minamo(t, "help")
	if status != 0 {
		t.Errorf("help: %d", status)
	}
	for _, c := range commands {
		if !strings.Contains(out, c.name) {
			t.Errorf("help does not name %s", c.name)
		}
		if c.name == "version" {
			continue
		}
		status, out, errs := minamo(t, c.name, "--help")
		if status != 0 || !strings.Contains(out+errs, "Usage: minamo "+c.name) {
			t.Errorf("%s --help: status %d\n%s%s", c.name, status, out, errs)
		}
		if status, out, errs := minamo(t, c.name, "--no-such-option"); status != 2 || out != "" || errs == "" {
			t.Errorf("%s with a wrong option: status %d\n%s%s", c.name, status, out, errs)
		}
	}
	for _, args := range [][]string{nil, {"sreve"}, {"version", "x"}} {
		if status, _, errs := minamo(t, args...); status != 2 || errs == "" {
			t.Errorf("%q: status %d, %s", args, status, errs)
		}
	}
}

func TestConfigCommand(t *testing.T) {
	status, text, _ := minamo(t, "config", "default")
	file := filepath.Join(t.TempDir(), "minamo.yaml")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil || status != 0 {
		t.Fatal(err, status)
	}
	if status, _, errs := minamo(t, "config", "check", file); status != 0 {
		t.Errorf("the default is wrong: %s", errs)
	}
	os.WriteFile(file, []byte("store:\n  max-age: long\nhtpp: x\n"), 0o644)
	status, _, errs := minamo(t, "config", "check", file)
	if status != 1 || !strings.Contains(errs, file+":2:12: ") || !strings.Contains(errs, file+":3:1: ") {
		t.Errorf("status %d: %s", status, errs)
	}
	if status, _, errs := minamo(t, "serve", "--config", file); status != 2 || !strings.Contains(errs, ":2:12: ") {
		t.Errorf("serve with a wrong file: %d, %s", status, errs)
	}
}

func TestServeRefusesWhatCannotBe(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	os.WriteFile(file, nil, 0o644)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for name, tc := range map[string]struct {
		args   []string
		status int
		want   string
	}{
		"scheme":      {[]string{"--listen", "dtls://:2055"}, 2, "tls://"},
		"http":        {[]string{"--http", "nowhere"}, 2, "HOST:PORT"},
		"level":       {[]string{"--log-level", "loud"}, 2, "debug, info"},
		"two wrong":   {[]string{"--http", "nowhere", "--listen", "udp://:0", "--log-level", "loud"}, 2, "minamo serve: --http: expected HOST:PORT, such as 127.0.0.1:8080, found \"nowhere\"\nminamo serve: --log-level: "},
		"no data":     {[]string{"--data", "", "--http", "nowhere"}, 2, "--data: expected a directory"},
		"port":        {[]string{"--listen", "udp://:99999", "--http", "nowhere"}, 2, "port"},
		"argument":    {[]string{"data"}, 2, `unexpected "data"`},
		"data a file": {[]string{"--data", filepath.Join(file, "x"), "--listen", "udp://127.0.0.1:0", "--http", "127.0.0.1:0"}, 1, file},
		"busy http":   {[]string{"--data", filepath.Join(dir, "d"), "--listen", "udp://127.0.0.1:0", "--http", taken.Addr().String()}, 1, "--http"},
	} {
		t.Run(name, func(t *testing.T) {
			status, _, errs := minamo(t, append([]string{"serve"}, tc.args...)...)
			if status != tc.status || !strings.Contains(errs, tc.want) {
				t.Errorf("status %d: %s", status, errs)
			}
		})
	}
}

// What cannot be stored at the end is said, and is no success.
func TestServeFailsWhenTheLastFlowsAreLost(t *testing.T) {
	probe, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listen := probe.LocalAddr().String()
	probe.Close()
	cfg := config.Default()
	cfg.Data, cfg.HTTP, cfg.Listen = t.TempDir(), "127.0.0.1:0", []string{"udp://" + listen}
	cfg.Store.Seal = config.Duration(time.Minute)
	ctx, stop := context.WithCancel(t.Context())
	logged := make(chan struct{}, 1)
	log := slog.New(slog.NewTextHandler(writerFunc(func(line []byte) (int, error) {
		if strings.Contains(string(line), "new exporter") {
			logged <- struct{}{}
		}
		return len(line), nil
	}), nil))
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, cfg, log, io.Discard, company{}) }()
	conn, err := net.Dial("udp", listen)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for waiting := true; waiting; {
		conn.Write(v5(time.Now(), 100)) // refused until serve listens
		select {
		case <-logged:
			waiting = false
		case err := <-ended:
			t.Fatal("serve ended: ", err)
		case <-time.After(50 * time.Millisecond):
		}
	}
	flows := filepath.Join(cfg.Data, "flows")
	if err := os.RemoveAll(flows); err != nil {
		t.Fatal(err)
	}
	os.WriteFile(flows, nil, 0o644) // no segment can be placed in a file
	stop()
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "lost") {
		t.Errorf("serve ended with %v", err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// v5 is a NetFlow v5 datagram with one flow of the last second.
func v5(clock time.Time, octets uint32) []byte {
	be := binary.BigEndian
	d := make([]byte, 24+48)
	be.PutUint16(d, 5)
	be.PutUint16(d[2:], 1)
	be.PutUint32(d[4:], 100_000)
	be.PutUint32(d[8:], uint32(clock.Unix()))
	r := d[24:]
	copy(r, []byte{192, 0, 2, 7, 192, 0, 2, 8})
	be.PutUint32(r[16:], 1)
	be.PutUint32(r[20:], octets)
	be.PutUint32(r[24:], 99_000)
	be.PutUint32(r[28:], 100_000)
	r[38] = 17
	return d
}

// capture writes datagrams into a pcap file, a second apart, from the given
// exporters in turn.
func captureFile(t *testing.T, begin time.Time, exporters []string, payloads ...[]byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "export.pcap")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := pcap.NewWriter(f, packet.Raw, false)
	if err != nil {
		t.Fatal(err)
	}
	for i, payload := range payloads {
		src := netip.MustParseAddr(exporters[i%len(exporters)]).As4()
		ip := make([]byte, 28, 28+len(payload))
		ip[0], ip[8], ip[9] = 0x45, 64, 17
		binary.BigEndian.PutUint16(ip[2:], uint16(28+len(payload)))
		copy(ip[12:], src[:])
		copy(ip[16:], []byte{198, 51, 100, 9})
		binary.BigEndian.PutUint16(ip[20:], 40000)
		binary.BigEndian.PutUint16(ip[22:], 9999)
		binary.BigEndian.PutUint16(ip[24:], uint16(8+len(payload)))
		if err := w.Write(&pcap.Packet{Time: begin.Add(time.Duration(i) * time.Second).UnixNano(), Data: append(ip, payload...)}); err != nil {
			t.Fatal(err)
		}
	}
	return name
}

func TestDecodeCommand(t *testing.T) {
	at := time.Unix(1_300_000_000, 0)
	good := captureFile(t, at, []string{"192.0.2.1"}, v5(at, 100), []byte("not an export"), v5(at, 200))
	status, out, errs := minamo(t, "decode", good)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if status != 0 || len(lines) != 2 {
		t.Fatalf("status %d, %d lines: %s", status, len(lines), errs)
	}
	var row map[string]any
	if err := json.Unmarshal([]byte(lines[1]), &row); err != nil {
		t.Fatal(err)
	}
	for column, want := range map[string]any{
		"exporter": "192.0.2.1", "export_protocol": "netflow5", "src_addr": "192.0.2.7", "bytes": 200.0, "protocol": 17.0,
		"start": "2011-03-13T07:06:39.000Z", "end": "2011-03-13T07:06:40.000Z", "received": "2011-03-13T07:06:42.000Z", "sampling_source": "assumed",
	} {
		if row[column] != want {
			t.Errorf("%s is %v, want %v", column, row[column], want)
		}
	}
	if !strings.Contains(errs, "unknown version") {
		t.Errorf("nothing is said of the other datagram: %s", errs)
	}

	bad := captureFile(t, at, []string{"192.0.2.1"}, v5(at, 100)[:60])
	if status, _, errs := minamo(t, "decode", bad); status != 1 || !strings.Contains(errs, "datagram 1") || !strings.Contains(errs, "count_mismatch") {
		t.Errorf("malformed: status %d: %s", status, errs)
	}
	other := captureFile(t, at, []string{"192.0.2.1"}, []byte("nothing of ours"))
	if status, _, errs := minamo(t, "decode", other); status != 1 || !strings.Contains(errs, "no flow export") {
		t.Errorf("no export: status %d: %s", status, errs)
	}
	for head, want := range map[string]string{"\x1f\x8b\x08\x00": "gzip", "PAR1....": "Parquet", "\x0c\xa5\x02\x00": "nfcapd", "# Minamo": "nor an IPFIX file"} {
		file := filepath.Join(t.TempDir(), "wrong")
		os.WriteFile(file, []byte(head+strings.Repeat(".", 100)), 0o644)
		if status, _, errs := minamo(t, "decode", file); status != 1 || !strings.Contains(errs, want) {
			t.Errorf("%q: status %d: %s", head, status, errs)
		}
	}
	waiting := captureFile(t, at, []string{"192.0.2.1"}, []byte{0, 10, 0, 24, 0x4d, 0x7c, 0x6d, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 8, 192, 0, 2, 7})
	if _, _, errs := minamo(t, "decode", waiting); !strings.Contains(errs, "1 data sets never got their template") {
		t.Errorf("waiting: %s", errs)
	}
	if status, _, errs := minamo(t, "decode", filepath.Join(t.TempDir(), "none")); status != 1 || !strings.Contains(errs, "none") {
		t.Errorf("no file: status %d: %s", status, errs)
	}
	// IPFIX messages one after the other (RFC 5655), the last one cut.
	message := []byte{0, 10, 0, 16 + 20 + 14, 0x4d, 0x7c, 0x6d, 0, 0, 0, 0, 0, 0, 0, 0, 1,
		0, 2, 0, 20, 1, 0, 0, 3, 0, 8, 0, 4, 0, 1, 0, 4, 0x27, 0x0f, 0, 2,
		1, 0, 0, 14, 192, 0, 2, 7, 0, 0, 1, 44, 0, 9}
	stream := filepath.Join(t.TempDir(), "stream.ipfix")
	os.WriteFile(stream, slices.Concat(message, message, message[:30]), 0o644)
	status, out, errs = minamo(t, "decode", stream)
	if lines := strings.Split(strings.TrimSpace(out), "\n"); status != 1 || len(lines) != 2 ||
		!strings.Contains(lines[1], `"received":"2011-03-13T07:06:40.000Z"`) || !strings.Contains(lines[1], `"bytes":300`) || !strings.Contains(errs, "message 3: 30 bytes of 50") {
		t.Errorf("IPFIX file: status %d: %s%s", status, out, errs)
	}
	if !strings.Contains(errs, "no column holds 0/9999") {
		t.Errorf("the element that is not kept is not named: %s", errs)
	}

	text := filepath.Join(t.TempDir(), "text")
	os.WriteFile(text, []byte("hello, this is no capture file"), 0o644)
	if status, _, errs := minamo(t, "decode", text); status != 1 || !strings.Contains(errs, "pcap") {
		t.Errorf("no capture: status %d: %s", status, errs)
	}
}

func TestReplayCommand(t *testing.T) {
	collector, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer collector.Close()
	to := collector.LocalAddr().String()
	recorded := time.Unix(1_300_000_000, 0)
	file := captureFile(t, recorded, []string{"192.0.2.1", "192.0.2.2"}, v5(recorded, 100), v5(recorded.Add(time.Second), 200), []byte("other"), v5(recorded.Add(3*time.Second), 300))

	// take decodes what arrives, by the address it comes from.
	take := func(n int) map[string]*flow.Batch {
		got := map[string]*flow.Batch{}
		sessions := map[string]*netflow.Session{}
		buffer := make([]byte, 1<<16)
		for range n {
			collector.SetReadDeadline(time.Now().Add(10 * time.Second))
			size, from, err := collector.ReadFromUDP(buffer)
			if err != nil {
				t.Fatal(err)
			}
			who := from.IP.String()
			if got[who] == nil {
				got[who], sessions[who] = flow.NewBatch(4), netflow.NewSession(netflow.Config{})
			}
			var m netflow.Message
			if err := sessions[who].Decode(buffer[:size], 0, got[who], &m); err != nil {
				t.Fatal(err)
			}
		}
		return got
	}

	status, out, errs := minamo(t, "replay", file, "--to", to, "--speed", "max")
	if status != 0 || !strings.Contains(out, "sent 3 datagrams") || !strings.Contains(out, "1 other") {
		t.Fatalf("status %d: %s%s", status, out, errs)
	}
	got := take(3)
	if len(got) != 2 {
		t.Fatalf("%d exporters, want 2 apart", len(got))
	}
	for _, b := range got {
		if end := b.Time(flow.End)[0]; end < recorded.UnixMilli() || end > recorded.UnixMilli()+5000 {
			t.Errorf("without --now the time is %d", end)
		}
	}

	status, out, errs = minamo(t, "replay", "--now", "--speed=1000", "--to", to, file)
	if status != 0 {
		t.Fatalf("status %d: %s%s", status, out, errs)
	}
	now := time.Now()
	for who, b := range take(3) {
		for i, end := range b.Time(flow.End) {
			if age := now.Sub(time.UnixMilli(end)); age < 0 || age > time.Minute {
				t.Errorf("%s, flow %d ended %v ago", who, i, age)
			}
		}
	}

	for _, args := range [][]string{{}, {file, file}, {file, "--speed", "0"}, {file, "--speed", "fast"}, {file, "--to", "nowhere"}} {
		if status, _, errs := minamo(t, append([]string{"replay"}, args...)...); status != 2 || errs == "" {
			t.Errorf("%q: status %d: %s", args, status, errs)
		}
	}
	// No host is this one, where exporters stay apart too.
	port := to[strings.LastIndex(to, ":"):]
	if status, out, errs := minamo(t, "replay", file, "--to", port, "--speed", "max"); status != 0 || !strings.Contains(out, "to "+to) || len(take(3)) != 2 {
		t.Errorf("--to %s: status %d: %s%s", port, status, out, errs)
	}
	// Packets that the capture cut off cannot be sent: that is said.
	recording, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	binary.LittleEndian.PutUint32(recording[24+12:], 1500) // the first packet's length on the wire
	binary.BigEndian.PutUint16(recording[24+16+2:], 1500)  // and what its IP and UDP headers say
	binary.BigEndian.PutUint16(recording[24+16+24:], 1480)
	cut := filepath.Join(t.TempDir(), "cut.pcap")
	os.WriteFile(cut, recording, 0o644)
	if status, out, errs := minamo(t, "replay", cut, "--to", to, "--speed", "max"); status != 0 || !strings.Contains(out, "sent 2 datagrams") || !strings.Contains(errs, "1 packets left out: truncated") {
		t.Errorf("cut: status %d: %s%s", status, out, errs)
	}
	take(2)
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	go os.WriteFile(pipe, recording, 0o600)
	if status, _, errs := minamo(t, "replay", pipe, "--to", to); status != 1 || !strings.Contains(errs, "pipe") {
		t.Errorf("a pipe: status %d: %s", status, errs)
	}
	if status, _, errs := minamo(t, "replay", file+".gone", "--to", to); status != 1 || !strings.Contains(errs, "gone") {
		t.Errorf("no file: status %d: %s", status, errs)
	}
}

func TestLogIsLimited(t *testing.T) {
	var out bytes.Buffer
	log := newLogger(&out, config.Log{Level: "warn", Format: "json"})
	for range 1000 {
		log.Warn("a storm", "of", "datagrams")
		log.Info("not shown")
	}
	log.With("component", "x").Warn("something else")
	lines := strings.Count(out.String(), "\n")
	if lines != logBurst+1 || !json.Valid([]byte(strings.SplitN(out.String(), "\n", 2)[0])) {
		t.Errorf("%d lines:\n%s", lines, out.String())
	}
	// The next window tells what was left out.
	l := &limits{seen: map[string]*limit{}}
	begin := time.Now()
	for range logBurst + 7 {
		l.pass("m", begin)
	}
	if suppressed, pass := l.pass("m", begin.Add(logWindow)); !pass || suppressed != 7 {
		t.Errorf("%d left out, passed %v", suppressed, pass)
	}
}
