package collect

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/minamo-flow/minamo/flow"
)

// running starts a collector and returns the address of its only listener
// without the scheme, and how to stop it.
func running(t *testing.T, cfg Config, sink Sink) (c *Collector, address string, stop func()) {
	t.Helper()
	c = New(cfg, sink, quiet())
	if err := c.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- c.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("still running 10 s after it was stopped")
		}
	}
	t.Cleanup(stop)
	_, address, _ = strings.Cut(c.Addresses()[0], "://")
	return c, address, stop
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

func send(t *testing.T, conn net.Conn, messages ...[]byte) {
	t.Helper()
	for _, m := range messages {
		if _, err := conn.Write(m); err != nil {
			t.Fatal(err)
		}
	}
}

// closedByPeer waits until the collector has closed the connection.
func closedByPeer(t *testing.T, conn net.Conn) {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.Copy(io.Discard, conn); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Errorf("the connection is not closed: %v", err)
	}
}

func until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain: " + what)
		}
	}
}

var (
	ingress10 = set(2, 256, 3, 10, 2, 2, 2, 1, 2) // ifIndex, packets, bytes
	wide10    = set(2, 256, 2, 1, 2, 2, 4)        // the same id: bytes, packets
)

func TestEachConnectionHasItsOwnTemplates(t *testing.T) {
	sink := &sums{}
	c, address, stop := running(t, Config{Listen: []string{"tcp://127.0.0.1:0"}}, sink)
	a, b := dial(t, address), dial(t, address)
	send(t, a, ipfix(0, 1, ingress10))
	send(t, b, ipfix(0, 1, wide10))
	send(t, a, ipfix(0, 1, set(256, 7, 3, 100)))
	send(t, b, ipfix(0, 1, set(256, 2000, 0, 5)))
	until(t, "both are decoded", func() bool { return c.Flows() == 2 })
	status := c.Exporters.Status()
	if len(status) != 1 || status[0].Connections != 2 || status[0].Templates != 2 || len(status[0].Problems) != 0 {
		t.Errorf("%+v", status)
	}
	if d := status[0].Domains[0]; d.MissingUnits != 0 || d.Restarts != 0 || d.Flows != 2 {
		t.Errorf("two sequences in one: %+v", d)
	}
	// A new connection knows nothing of the old one's templates, and its
	// sequence is a new one.
	a.Close()
	b.Close()
	until(t, "the sessions end", func() bool { return c.Exporters.Status()[0].Connections == 0 })
	if n := c.Exporters.Status()[0].Templates; n != 0 {
		t.Errorf("%d templates outlive their connections", n)
	}
	again := dial(t, address)
	send(t, again, ipfix(0, 1, set(256, 7, 3, 100)))
	until(t, "it waits", func() bool { return c.Exporters.Status()[0].Problems["template_waiting"] == 1 })
	send(t, again, ipfix(1, 1, ingress10))
	until(t, "it is decoded", func() bool { return c.Flows() == 3 })
	stop()
	if sink.bytes != 2200 {
		t.Errorf("%d bytes, want 100, 2000 and 100", sink.bytes)
	}
	if d := c.Exporters.Status()[0].Domains[0]; d.MissingUnits != 0 || d.Restarts != 0 {
		t.Errorf("a reconnect is neither loss nor restart: %+v", d)
	}
	if ended := c.Streams()[0].Ended; ended["closed"] != 2 || ended["stopped"] != 1 {
		t.Errorf("%v", ended)
	}
}

func TestMessagesAreFoundHoweverTheyAreCut(t *testing.T) {
	c, address, _ := running(t, Config{Listen: []string{"tcp://127.0.0.1:0"}}, &sums{})
	conn := dial(t, address)
	conn.(*net.TCPConn).SetNoDelay(true)
	var all []byte
	all = append(all, ipfix(0, 1, ingress10)...)
	for i := range 50 {
		all = append(all, ipfix(uint32(i), 1, set(256, 7, 3, 100))...)
	}
	for len(all) > 0 { // pieces of 1, 2, … bytes
		n := min(len(all), 1+len(all)%23)
		send(t, conn, all[:n])
		all = all[n:]
	}
	// The longest there is: 10,917 records, padded.
	big := make([]uint16, (65532-16-4)/2)
	for i := range big {
		big[i] = 1
	}
	send(t, conn, ipfix(50, 1, set(256, big...)))
	records := uint64(len(big) / 3)
	until(t, "all came", func() bool { return c.Flows() == 50+records })
	if s := c.Streams()[0]; s.Messages != 52 || s.Open != 1 {
		t.Errorf("%+v", s)
	}
	if p := c.Exporters.Status()[0].Problems; p["set_remainder"] > 1 || p["template_waiting"] > 0 {
		t.Errorf("%v", p)
	}
}

func TestStreamsThatAreNoIPFIXAreClosed(t *testing.T) {
	for name, tc := range map[string]struct {
		send []byte
		end  string
		log  string
	}{
		"NetFlow v9":      {append([]byte{0, 9, 0, 1}, make([]byte, 40)...), "version", "version 9 does not tell the length"},
		"NetFlow v5":      {v5(0, 0, 100), "version", "version 5 is for UDP only"},
		"sFlow":           {[]byte{0, 0, 0, 5, 0, 0, 0, 1}, "version", "sFlow is for UDP"},
		"TLS":             {[]byte{0x16, 3, 1, 2, 0, 1}, "version", "tls://"},
		"HTTP":            {[]byte("GET / HTTP/1.1\r\n\r\n"), "version", "this is version 18245"},
		"length 0":        {[]byte{0, 10, 0, 0}, "length", "0 bytes"},
		"length 15":       {[]byte{0, 10, 0, 15}, "length", "15 bytes"},
		"after a message": {append(ipfix(0, 1, ingress10), 0, 9, 0, 0), "version", "version 9"},
	} {
		t.Run(name, func(t *testing.T) {
			log, text := logged()
			c := New(Config{Listen: []string{"tcp://127.0.0.1:0"}}, &sums{}, log)
			if err := c.Listen(); err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan error)
			go func() { done <- c.Run(ctx) }()
			defer func() { stop(); <-done }()
			conn := dial(t, strings.TrimPrefix(c.Addresses()[0], "tcp://"))
			send(t, conn, tc.send)
			closedByPeer(t, conn)
			until(t, tc.end, func() bool { return c.Streams()[0].Ended[tc.end] == 1 })
			until(t, "the log", func() bool { return strings.Contains(text(), tc.log) })
			if tc.end == "version" && len(c.Exporters.Rejected()) != 1 {
				t.Error("the version is not counted")
			}
		})
	}
	t.Run("cut", func(t *testing.T) {
		c, address, _ := running(t, Config{Listen: []string{"tcp://127.0.0.1:0"}}, &sums{})
		conn := dial(t, address)
		send(t, conn, ipfix(0, 1, ingress10)[:20])
		conn.Close()
		until(t, "cut", func() bool { return c.Streams()[0].Ended["cut"] == 1 })
	})
	t.Run("idle", func(t *testing.T) {
		c, address, _ := running(t, Config{Listen: []string{"tcp://127.0.0.1:0"}, IdleTimeout: 50 * time.Millisecond}, &sums{})
		closedByPeer(t, dial(t, address))
		until(t, "idle", func() bool { return c.Streams()[0].Ended["idle"] == 1 })
	})
}

func TestConnectionsAreBounded(t *testing.T) {
	c, address, _ := running(t, Config{Listen: []string{"tcp://127.0.0.1:0"}, Connections: 5, ConnectionsPerExporter: 3}, &sums{})
	for range 3 {
		dial(t, address)
	}
	closedByPeer(t, dial(t, address)) // the fourth of this address
	other := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	for range 2 {
		conn, err := other.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	conn, err := other.Dial("tcp", address) // the sixth of all
	if err != nil {
		t.Fatal(err)
	}
	closedByPeer(t, conn)
	until(t, "two are refused", func() bool { s := c.Streams()[0]; return s.Ended["limit"] == 2 && s.Open == 5 })
}

// gate is a Sink that takes nothing until it is opened.
type gate struct {
	sums
	open chan struct{}
}

func (g *gate) Write(b *flow.Batch) error {
	<-g.open
	return g.sums.Write(b)
}

func TestASlowSinkSlowsTheExporterAndLosesNothing(t *testing.T) {
	sink := &gate{open: make(chan struct{})}
	c, address, stop := running(t, Config{Listen: []string{"tcp://127.0.0.1:0"}}, sink)
	conn := dial(t, address)
	send(t, conn, ipfix(0, 1, ingress10))
	message := ipfix(0, 1, set(256, make([]uint16, 30_000)...)) // 10,000 flows
	sent := uint64(0)
	for range 1000 {
		conn.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
		n, err := conn.Write(message)
		if n == len(message) {
			sent++
		}
		if err != nil { // the window is closed: what the exporter has to wait for
			rest := message[n:]
			go func() {
				conn.SetWriteDeadline(time.Time{})
				conn.Write(rest)
				conn.Close()
			}()
			sent++
			break
		}
	}
	if sent == 1000 {
		t.Fatal("60 MB were sent, though nobody took them")
	}
	close(sink.open)
	until(t, "all came", func() bool { return c.Streams()[0].Ended["closed"] == 1 })
	stop()
	if sink.flows != 10_000*sent {
		t.Errorf("%d flows, sent were %d", sink.flows, 10_000*sent)
	}
}

func TestStoppingHandsOnWhatTheKernelHolds(t *testing.T) {
	sink := &gate{open: make(chan struct{})}
	c, address, stop := running(t, Config{Listen: []string{"tcp://127.0.0.1:0"}}, sink)
	conn := dial(t, address)
	send(t, conn, ipfix(0, 1, ingress10), ipfix(0, 1, set(256, 7, 3, 100)))
	until(t, "the reader is busy", func() bool { return c.Flows() == 1 })
	const more = 500
	for i := range more {
		send(t, conn, ipfix(uint32(1+i), 1, set(256, 7, 3, 100)))
	}
	time.AfterFunc(50*time.Millisecond, func() { close(sink.open) })
	stop()
	if sink.flows != 1+more {
		t.Errorf("%d flows, want %d", sink.flows, 1+more)
	}
	if ended := c.Streams()[0].Ended; ended["stopped"] != 1 {
		t.Errorf("%v", ended)
	}
}

func TestSCTPSaysWhatToDo(t *testing.T) {
	c := New(Config{Listen: []string{"sctp://127.0.0.1:0"}}, &sums{}, quiet())
	err := c.Listen()
	if err == nil { // this kernel has it: e2e tries it
		c.closeSockets()
	} else if !strings.Contains(err.Error(), "modprobe sctp") {
		t.Error(err)
	}
}

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{}
	a.cert, a.key, a.pem = sign(t, nil, "authority")
	return a
}

func sign(t *testing.T, by *authority, name string) (*x509.Certificate, *ecdsa.PrivateKey, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true, IsCA: by == nil,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	parent, signer := c, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	c, err = x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// files writes a signed certificate and its key.
func (a *authority) files(t *testing.T, dir, name string) (certificate, key string) {
	t.Helper()
	_, private, cert := sign(t, a, name)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	certificate, key = filepath.Join(dir, "certificate.pem"), filepath.Join(dir, "key.pem")
	os.WriteFile(certificate, cert, 0o644)
	os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)
	return certificate, key
}

func TestTLS(t *testing.T) {
	ca, dir := newAuthority(t), t.TempDir()
	cert, key := ca.files(t, dir, "collector")
	authorities := filepath.Join(dir, "ca.pem")
	os.WriteFile(authorities, ca.pem, 0o644)
	sink := &sums{}
	c, address, _ := running(t, Config{Listen: []string{"tls://127.0.0.1:0"}, TLS: TLS{cert, key, authorities}}, sink)

	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	client := &tls.Config{RootCAs: pool}
	connect := func(client *tls.Config) (*tls.Conn, error) {
		conn, err := tls.Dial("tcp", address, client)
		if err != nil {
			return nil, err
		}
		t.Cleanup(func() { conn.Close() })
		return conn, nil
	}
	own := func(by *authority) []tls.Certificate {
		pair, err := tls.LoadX509KeyPair(by.files(t, t.TempDir(), "exporter"))
		if err != nil {
			t.Fatal(err)
		}
		return []tls.Certificate{pair}
	}

	client.Certificates = own(ca)
	conn, err := connect(client)
	if err != nil {
		t.Fatal(err)
	}
	send(t, conn, ipfix(0, 1, ingress10, set(256, 7, 3, 100)))
	until(t, "a flow comes by TLS", func() bool { return c.Flows() == 1 })

	// No certificate, a stranger's, an old version, and no TLS at all.
	refused := uint64(0)
	for name, client := range map[string]*tls.Config{
		"none":     {RootCAs: pool},
		"stranger": {RootCAs: pool, Certificates: own(newAuthority(t))},
		"old":      {RootCAs: pool, Certificates: client.Certificates, MaxVersion: tls.VersionTLS11},
	} {
		if conn, err := connect(client); err == nil { // TLS 1.3 tells a client only when it reads
			closedByPeerTLS(t, name, conn)
		}
		refused++
		until(t, name, func() bool { return c.Streams()[0].Ended["tls"] == refused })
	}
	plain := dial(t, address)
	send(t, plain, ipfix(0, 1, ingress10))
	closedByPeer(t, plain)
	until(t, "plain", func() bool { return c.Streams()[0].Ended["tls"] == refused+1 })

	// Renewed files count at once; unusable ones change nothing.
	serial := func() string {
		conn, err := connect(client)
		if err != nil {
			t.Fatal(err)
		}
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	before := serial()
	ca.files(t, dir, "collector")
	later := time.Now().Add(time.Second)
	os.Chtimes(cert, later, later)
	renewed := serial()
	if renewed == before {
		t.Error("the old certificate is still in use")
	}
	os.WriteFile(cert, []byte("half written"), 0o644)
	if serial() != renewed {
		t.Error("an unusable file changed the certificate")
	}
	if c.Exporters.Status()[0].Templates != 1 {
		t.Error("the first connection is gone")
	}
}

func closedByPeerTLS(t *testing.T, name string, conn *tls.Conn) {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := conn.Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "timeout") {
		t.Errorf("%s: the connection stands: %v", name, err)
	}
}

func TestTLSFilesAreChecked(t *testing.T) {
	ca, dir := newAuthority(t), t.TempDir()
	cert, key := ca.files(t, dir, "collector")
	for want, files := range map[string]TLS{
		"collect.tls.certificate": {},
		"no such file":            {Certificate: cert, Key: key + "x"},
		"in PEM form":             {cert, key, key},
	} {
		err := New(Config{Listen: []string{"tls://127.0.0.1:0"}, TLS: files}, &sums{}, quiet()).Listen()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// FuzzStream holds the reading of a stream against the obvious way, whatever
// the bytes, and however they are cut.
func FuzzStream(f *testing.F) {
	good := ipfix(0, 1, ingress10, set(256, 7, 3, 100))
	f.Add(good, uint8(1))
	f.Add(append(ipfix(0, 1, ingress10), good...), uint8(7))
	f.Add(append(good, 0, 10, 0, 3), uint8(20))
	f.Add(good[:len(good)-1], uint8(0))
	f.Add(v5(0, 0, 100), uint8(9))
	f.Fuzz(func(t *testing.T, stream []byte, piece uint8) {
		want, messages := endClosed, uint64(0)
		for rest := stream; len(rest) > 0; messages++ {
			if len(rest) < 4 {
				want = endCut
				break
			}
			length := int(rest[2])<<8 | int(rest[3])
			if rest[0] != 0 || rest[1] != 10 {
				want = endVersion
				break
			}
			if length < 16 {
				want = endLength
				break
			}
			if length > len(rest) {
				want = endCut
				break
			}
			rest = rest[length:]
		}
		c := New(Config{}, &sums{}, quiet())
		s := &streams{}
		near, far := net.Pipe()
		go func() {
			defer far.Close()
			for rest := stream; len(rest) > 0; {
				n := min(len(rest), 1+int(piece))
				if _, err := far.Write(rest[:n]); err != nil {
					return
				}
				rest = rest[n:]
			}
		}()
		end, _ := c.serve(s, newConnection(near))
		near.Close()
		if end != want || s.messages.Load() != messages {
			t.Errorf("ended by %s after %d messages, want %s after %d", endingNames[end], s.messages.Load(), endingNames[want], messages)
		}
		if known := c.Exporters.all(); len(known) > 0 && known[0].stays() {
			t.Error("the session outlives its connection")
		}
	})
}
