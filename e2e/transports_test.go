package e2e

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// serveStream starts a server that also takes connections at a free port.
func serveStream(t *testing.T, data, scheme string, args ...string) (s *server, address string) {
	t.Helper()
	address = fmt.Sprintf("127.0.0.1:%d", freePort(t, "tcp"))
	return serve(t, data, append([]string{"--listen", scheme + "://" + address}, args...)...), address
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// softflowdTCP lets softflowd export a capture over TCP.
func softflowdTCP(t *testing.T, capture, to string) {
	t.Helper()
	dir := shortDir(t)
	control := filepath.Join(dir, "ctl")
	softflowd := start(t, "softflowd", "-d", "-r", capture, "-v", "10", "-P", "tcp", "-n", to, "-p", filepath.Join(dir, "pid"), "-c", control)
	eventually(t, "softflowd ends", func() bool { // see TestSoftflowdCapture
		if c, err := net.Dial("unix", control); err == nil {
			c.Close()
		}
		return !softflowd.running()
	})
	if status := softflowd.wait(t); status != 0 {
		t.Fatalf("softflowd ended with status %d", status)
	}
}

// recorded is what softflowd sends of a capture over TCP, byte for byte.
func recorded(t *testing.T, capture string) []byte {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	stream := make(chan []byte, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			stream <- nil
			return
		}
		defer conn.Close()
		all, _ := io.ReadAll(conn)
		stream <- all
	}()
	softflowdTCP(t, capture, l.Addr().String())
	return <-stream
}

// TestIPFIXOverTCPAndTLS sends one capture's flows by UDP to nfcapd, and by
// TCP, by TLS and as a file to Minamo: all are the same flows.
func TestIPFIXOverTCPAndTLS(t *testing.T) {
	need(t, "softflowd", "nfcapd", "openssl")
	traffic := someTraffic(t)
	peer := startNfcapd(t, "nfcapd")
	dir := shortDir(t)
	control := filepath.Join(dir, "ctl")
	softflowd := start(t, "softflowd", "-d", "-r", traffic, "-v", "10", "-n", fmt.Sprintf("127.0.0.1:%d", peer.port), "-p", filepath.Join(dir, "pid"), "-c", control)
	eventually(t, "softflowd ends", func() bool {
		if c, err := net.Dial("unix", control); err == nil {
			c.Close()
		}
		return !softflowd.running()
	})
	theirs := peer.ledger(t)
	total := theirs.sum().Flows

	t.Run("TCP", func(t *testing.T) {
		data := t.TempDir()
		s, address := serveStream(t, data, "tcp")
		softflowdTCP(t, traffic, address)
		eventually(t, "the connection ends", func() bool {
			return s.metric(t, "minamo_connections_ended_total", "reason=closed") == 1
		})
		if bad := s.metric(t, "minamo_exporter_problems_total", "kind=truncated"); bad != 0 {
			t.Errorf("%v messages were cut", bad)
		}
		s.stop(t)
		agree(t, stored(t, data), "nfcapd", theirs)
	})

	stream := recorded(t, traffic)
	t.Run("file", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "softflowd.ipfix")
		if err := os.WriteFile(file, stream, 0o644); err != nil {
			t.Fatal(err)
		}
		if rows, stderr, status := decode(t, file); status != 0 || uint64(len(rows)) != total {
			t.Errorf("status %d, %d rows, want %d: %s", status, len(rows), total, stderr)
		}
	})
	t.Run("TLS", func(t *testing.T) {
		files := certificates(t)
		config := filepath.Join(t.TempDir(), "minamo.yaml")
		text := fmt.Sprintf("collect:\n  tls: {certificate: %s, key: %s, client-ca: %s}\n", files["collector.pem"], files["collector.key"], files["ca.pem"])
		if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		data := t.TempDir()
		s, address := serveStream(t, data, "tls", "--config", config)
		client := func(more ...string) *process {
			cmd := exec.Command("openssl", append([]string{"s_client", "-quiet", "-connect", address, "-CAfile", files["ca.pem"], "-verify_return_error"}, more...)...)
			cmd.Stdin = strings.NewReader(string(stream))
			return startCmd(t, cmd)
		}
		stranger := client() // without a certificate
		eventually(t, "it is refused", func() bool { return s.metric(t, "minamo_connections_ended_total", "reason=tls") == 1 })
		stranger.kill()
		exporter := client("-cert", files["exporter.pem"], "-key", files["exporter.key"])
		eventually(t, "all flows come", func() bool { return s.metric(t, "minamo_exporter_flows_total") == float64(total) })
		exporter.kill()
		s.stop(t)
		agree(t, stored(t, data), "nfcapd", theirs)
		mentions(t, s.output.String(), "tls", "certificate")
	})
}

// certificates makes an authority and certificates of a collector and an
// exporter; the map tells the files.
func certificates(t *testing.T) map[string]string {
	t.Helper()
	dir := t.TempDir()
	files := map[string]string{}
	for _, name := range []string{"ca.pem", "ca.key", "collector.pem", "collector.key", "exporter.pem", "exporter.key"} {
		files[name] = filepath.Join(dir, name)
	}
	key := []string{"-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"}
	run(t, "openssl", append(append([]string{"req", "-x509", "-subj", "/CN=authority", "-days", "2"}, key...), "-keyout", files["ca.key"], "-out", files["ca.pem"])...)
	for _, who := range []string{"collector", "exporter"} {
		request := filepath.Join(dir, who+".csr")
		run(t, "openssl", append(append([]string{"req", "-subj", "/CN=" + who}, key...), "-keyout", files[who+".key"], "-out", request)...)
		run(t, "openssl", "x509", "-req", "-in", request, "-CA", files["ca.pem"], "-CAkey", files["ca.key"], "-CAcreateserial", "-days", "2", "-out", files[who+".pem"])
	}
	return files
}

// TestTCPSessions holds the rules of RFC 7011 §8.1 about connections: what a
// template id means is the connection's affair, and ends with it.
func TestTCPSessions(t *testing.T) {
	data := t.TempDir()
	s, address := serveStream(t, data, "tcp")
	record := func(packets, bytes uint32) []byte {
		return set(256, append([]byte{192, 0, 2, 1}, longs(packets, bytes)...))
	}
	swapped := words(256, 3, 8, 4, 1, 4, 2, 4) // bytes before packets
	a, b := dial(t, address), dial(t, address)
	a.Write(message(10, 0, set(2, template256)))
	b.Write(message(10, 0, set(2, swapped)))
	for i := range uint32(10) {
		a.Write(message(10, i, record(7, 700)))
		b.Write(message(10, i, record(700, 7)))
	}
	eventually(t, "20 flows", func() bool { return s.metric(t, "minamo_exporter_flows_total") == 20 })
	for name, want := range map[string]float64{"minamo_connections": 2, "minamo_exporter_missing_units_total": 0, "minamo_exporter_restarts_total": 0, "minamo_exporter_templates": 2} {
		if got := s.metric(t, name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}

	// What is no IPFIX is told its place; the others go on.
	c := dial(t, address)
	c.Write(netflow5(0, 3, time.Now()))
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Error("NetFlow v5 over TCP is not refused")
	}
	eventually(t, "it is counted", func() bool {
		return s.metric(t, "minamo_connections_ended_total", "reason=version") == 1 && s.metric(t, "minamo_datagrams_rejected_total", "version=5") == 1
	})
	mentions(t, s.output.String(), "NetFlow version 5 is for UDP only")

	// A crash, and a reconnect: the templates come anew, and flows go on.
	eventually(t, "what came is sealed", func() bool { return countOf(t, data) == 20 })
	syscall.Kill(s.cmd.Process.Pid, syscall.SIGKILL)
	<-s.done
	s = serve(t, data, "--listen", "tcp://"+address)
	a = dial(t, address)
	a.Write(message(10, 10, record(7, 700))) // waits
	a.Write(message(10, 11, set(2, template256), record(7, 700)))
	eventually(t, "2 more flows", func() bool { return s.metric(t, "minamo_exporter_flows_total") == 2 })
	// What is sent just before SIGTERM is stored.
	for i := range uint32(500) {
		a.Write(message(10, 12+i, record(7, 700)))
	}
	s.stop(t)
	if got, want := stored(t, data).sum(), (totals{522, 522 * 7, 522 * 700}); got != want {
		t.Errorf("stored are %+v, want %+v", got, want)
	}
}

// TestStreamsAreRefusedClearly starts servers that cannot listen.
func TestStreamsAreRefusedClearly(t *testing.T) {
	taken, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir := t.TempDir()
	missing := filepath.Join(dir, "missing.yaml")
	if err := os.WriteFile(missing, []byte("collect:\n  tls:\n    certificate: /nowhere/c.pem\n    key: /nowhere/k.pem\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args   []string
		status int
		words  []string
	}{
		"busy TCP port":       {[]string{"--listen", "tcp://" + taken.Addr().String()}, 1, []string{taken.Addr().String(), "busy", "--listen"}},
		"TLS without files":   {[]string{"--listen", "tls://127.0.0.1:0"}, 1, []string{"collect.tls.certificate"}},
		"TLS files not there": {[]string{"--config", missing}, 2, []string{missing + ":3:18: ", missing + ":4:10: ", "/nowhere/k.pem"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, minamo, append([]string{"serve", "--data", filepath.Join(dir, "data"), "--http", "127.0.0.1:0"}, c.args...)...)
			if status := s.wait(t); status != c.status {
				t.Errorf("status %d, want %d", status, c.status)
			}
			mentions(t, s.output.String(), c.words...)
		})
	}
}

// TestSCTP sends by SCTP where the kernel has it; elsewhere the server must
// say what to do.
func TestSCTP(t *testing.T) {
	const sctp = 132
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, sctp)
	if err != nil {
		s := start(t, minamo, "serve", "--data", t.TempDir(), "--http", "127.0.0.1:0", "--listen", "sctp://127.0.0.1:0")
		if status := s.wait(t); status != 1 {
			t.Errorf("status %d, want 1", status)
		}
		mentions(t, s.output.String(), "modprobe sctp", "tcp://")
		return
	}
	defer syscall.Close(fd)
	port := freePort(t, "tcp")
	s := serve(t, t.TempDir(), "--listen", fmt.Sprintf("sctp://127.0.0.1:%d", port))
	if err := syscall.Connect(fd, &syscall.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	syscall.Write(fd, message(10, 0, set(2, template256)))
	syscall.Write(fd, message(10, 0, set(256, append([]byte{192, 0, 2, 1}, longs(7, 700)...))))
	eventually(t, "a flow comes by SCTP", func() bool { return s.metric(t, "minamo_exporter_flows_total") == 1 })
	s.stop(t)
}

// TestOwnColumns maps elements to columns of the operator's own, receives
// them, and finds them in every place: the shell, decode, the API.
func TestOwnColumns(t *testing.T) {
	dir := t.TempDir()
	config := filepath.Join(dir, "minamo.yaml")
	if err := os.WriteFile(config, []byte(`
columns:
  - {name: http_host, type: text, element: cisco/applicationHttpHost}
  - {name: round_trip, type: uint32, element: 12345/6}
  - {name: ttl_bits, type: uint8, packet: {from: network, bit: 64, bits: 8}}
collect:
  decapsulate: [ipip]
`), 0o644); err != nil {
		t.Fatal(err)
	}
	const enterprise = 0x8000
	template := words(256, 5, 8, 4, 2, 4, 1, 4, enterprise|12235, 0xffff, 0, 9, enterprise|6, 4, 0, 12345)
	record := append(append([]byte{192, 0, 2, 1}, longs(7, 700)...), "\x0bexample.com"...)
	export := append(message(10, 0, set(2, template)), message(10, 0, set(256, append(record, longs(250)...)))...)

	file := filepath.Join(dir, "export.ipfix")
	if err := os.WriteFile(file, export, 0o644); err != nil {
		t.Fatal(err)
	}
	rows, stderr, status := decode(t, "--config", config, file)
	if status != 0 || len(rows) != 1 || rows[0]["http_host"] != "example.com" || number(t, rows[0], "round_trip") != 250 {
		t.Errorf("minamo decode: status %d, %v\n%s", status, rows, stderr)
	}
	if rows, stderr, _ = decode(t, file); len(rows) != 1 || rows[0]["http_host"] != nil {
		t.Errorf("without the configuration: %v", rows)
	}
	mentions(t, stderr, "12345/6", "applicationHttpHost")

	// Of sampled packets: bits, and what is inside of a tunnel.
	ip := func(length, ttl, protocol, host byte) []byte {
		return []byte{0x45, 0, 0, length, 0, 0, 0, 0, ttl, protocol, 0, 0, 192, 0, 2, host, 198, 51, 100, host}
	}
	packet := append(append(ip(48, 64, 4, 1), ip(28, 33, 17, 2)...), words(1000, 53, 8, 0)...)
	sampled := append(longs(1, 16+48, 11, 48, 0, 48), packet...)
	sample := append(longs(1, uint32(32+len(sampled)), 1, 3, 100, 1000, 0, 1, 2, 1), sampled...)
	sflow := append(longs(5, 1, 0x7f000001, 0, 1, 1000, 1), sample...)
	capture := datagramCapture(t, 6343, [][]byte{sflow})
	rows, stderr, status = decode(t, "--config", config, capture)
	if status != 0 || len(rows) != 1 || number(t, rows[0], "ttl_bits") != 33 || rows[0]["src_addr"] != "192.0.2.2" || rows[0]["tunnel"] != "ipip" || rows[0]["tunnel_src_addr"] != "192.0.2.1" {
		t.Errorf("packet bits behind a tunnel: status %d, %v\n%s", status, rows, stderr)
	}
	if rows, _, _ = decode(t, capture); len(rows) != 1 || rows[0]["src_addr"] != "192.0.2.1" || rows[0]["tunnel"] != nil {
		t.Errorf("a tunnel is entered although nobody asked for it: %v", rows)
	}

	data := t.TempDir()
	s, address := serveStream(t, data, "tcp")
	conn := dial(t, address)
	conn.Write(export)
	var details struct {
		Connections int
		Skipped     []struct{ Element, Name, Column string }
	}
	eventually(t, "the API tells which elements no column holds", func() bool {
		status, _ := s.fetch(t, "/api/exporters/127.0.0.1")
		if status != 200 {
			return false
		}
		s.get(t, "/api/exporters/127.0.0.1", &details)
		return len(details.Skipped) == 2
	})
	if details.Connections != 1 || details.Skipped[0].Element != "12345/6" || !strings.Contains(details.Skipped[1].Column, "type: text, element: 9/12235") {
		t.Errorf("%+v", details)
	}
	s.stop(t)

	data = t.TempDir()
	s, address = serveStream(t, data, "tcp", "--config", config)
	conn = dial(t, address)
	conn.Write(export)
	eventually(t, "it is stored", func() bool { return countOf(t, data) == 1 })
	s.stop(t)
	got := flows(t, data, "-A", "http_host,round_trip")
	if len(got) != 1 || got[0]["http_host"] != "example.com" || number(t, got[0], "round_trip") != 250 {
		t.Errorf("minamo flows: %v", got)
	}
}
