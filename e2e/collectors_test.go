package e2e

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// totals are the figures that two collectors must agree on.
type totals struct{ Flows, Packets, Bytes uint64 }

func (a totals) plus(b totals) totals {
	return totals{a.Flows + b.Flows, a.Packets + b.Packets, a.Bytes + b.Bytes}
}

// conversation is what totals are compared by.
type conversation struct {
	src, dst netip.Addr
	protocol uint64
}

// ledger is what one collector made of an export.
type ledger map[conversation]totals

func (l ledger) sum() (sum totals) {
	for _, x := range l {
		sum = sum.plus(x)
	}
	return sum
}

// agree fails the test where two ledgers differ, and shows where.
func agree(t *testing.T, ours ledger, name string, theirs ledger) {
	t.Helper()
	if len(theirs) == 0 {
		t.Errorf("%s has no flows: nothing was compared", name)
	}
	t.Logf("%s: minamo %+v, %s %+v, in %d conversations", t.Name(), ours.sum(), name, theirs.sum(), len(theirs))
	for c, want := range theirs {
		if got := ours[c]; got != want {
			t.Errorf("%v > %v protocol %d: minamo %+v, %s %+v", c.src, c.dst, c.protocol, got, name, want)
		}
	}
	for c, got := range ours {
		if _, ok := theirs[c]; !ok {
			t.Errorf("%v > %v protocol %d: minamo %+v, %s has none", c.src, c.dst, c.protocol, got, name)
		}
	}
}

// server is a running `minamo serve`.
type server struct {
	*process
	data   string
	listen int // UDP port
	url    string
	client http.Client // of its API
}

// serve starts a server on free ports and waits until it is well.
func serve(t *testing.T, data string, args ...string) *server {
	t.Helper()
	s := launch(t, data, args...)
	eventually(t, "the server is well", func() bool {
		if !s.running() {
			t.Fatalf("minamo serve ended:\n%s", s.output)
		}
		r, err := http.Get(s.url + "/healthz")
		if err != nil {
			return false
		}
		r.Body.Close()
		return r.StatusCode == http.StatusOK
	})
	listening(t, s.process, s.listen)
	return s
}

// launch starts a server and waits for nothing.
func launch(t *testing.T, data string, args ...string) *server {
	t.Helper()
	s := &server{data: data, listen: freePort(t, "udp")}
	console := fmt.Sprintf("127.0.0.1:%d", freePort(t, "tcp"))
	s.url = "http://" + console
	s.process = start(t, minamo, append([]string{"serve", "--data", data,
		"--listen", fmt.Sprintf("udp://127.0.0.1:%d", s.listen), "--http", console}, args...)...)
	return s
}

// stop asks the server to end, which it must do with everything sealed.
func (s *server) stop(t *testing.T) {
	t.Helper()
	drained(t, s.listen)
	if status := s.terminate(t); status != 0 {
		t.Fatalf("minamo serve ended with status %d after SIGTERM", status)
	}
}

// get reads JSON from the API.
func (s *server) get(t *testing.T, path string, into any) {
	t.Helper()
	status, body := s.fetch(t, path)
	if status != http.StatusOK {
		t.Fatalf("GET %s: status %d: %s", path, status, body)
	}
	if err := json.Unmarshal(body, into); err != nil {
		t.Fatalf("GET %s: %v in %s", path, err, body)
	}
}

func (s *server) fetch(t *testing.T, path string) (status int, body []byte) {
	t.Helper()
	r, err := s.client.Get(s.url + path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if body, err = io.ReadAll(r.Body); err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, body
}

// metrics reads /metrics as Prometheus would.
func (s *server) metrics(t *testing.T) map[string]*dto.MetricFamily {
	t.Helper()
	_, body := s.fetch(t, "/metrics")
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(string(body)))
	if err != nil {
		t.Fatalf("/metrics: %v", err)
	}
	return families
}

// metric sums the values of a counter or gauge whose labels include the given
// ones ("kind=truncated").
func (s *server) metric(t *testing.T, name string, labels ...string) float64 {
	t.Helper()
	sum := 0.0
	for _, m := range s.metrics(t)[name].GetMetric() {
		has := map[string]bool{}
		for _, l := range m.GetLabel() {
			has[l.GetName()+"="+l.GetValue()] = true
		}
		fits := true
		for _, l := range labels {
			fits = fits && has[l]
		}
		if fits {
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return sum
}

// flows asks `minamo flows` for JSON.
func flows(t *testing.T, data string, args ...string) []map[string]any {
	t.Helper()
	text := run(t, minamo, append([]string{"flows", "--data", data, "-o", "json"}, args...)...)
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var rows []map[string]any
	if err := decoder.Decode(&rows); err != nil {
		t.Fatalf("minamo flows %s: %v in %.300q", strings.Join(args, " "), err, text)
	}
	return rows
}

// number reads a whole number of a JSON row; absent is 0.
func number(t *testing.T, row map[string]any, name string) uint64 {
	t.Helper()
	value, ok := row[name]
	if !ok || value == nil {
		return 0
	}
	n, err := strconv.ParseUint(fmt.Sprint(value), 10, 64)
	if err != nil {
		t.Fatalf("%s of %v is no number", name, row)
	}
	return n
}

// address reads an address of a JSON row; absent is "::".
func address(t *testing.T, row map[string]any, name string) netip.Addr {
	t.Helper()
	text, _ := row[name].(string)
	a, err := netip.ParseAddr(cmp.Or(text, "::"))
	if err != nil {
		t.Fatalf("%s of %v is no address", name, row)
	}
	return normal(a)
}

// normal is one form for all ways to say "no address".
func normal(a netip.Addr) netip.Addr {
	if a = a.Unmap(); a.IsUnspecified() {
		return netip.IPv6Unspecified()
	}
	return a
}

// stored is what `minamo flows` says of a data directory, as exported.
func stored(t *testing.T, data string, args ...string) ledger {
	t.Helper()
	l := ledger{}
	args = append([]string{"--raw", "-A", "src_addr,dst_addr,protocol"}, args...)
	for _, row := range flows(t, data, args...) {
		c := conversation{address(t, row, "src_addr"), address(t, row, "dst_addr"), number(t, row, "protocol")}
		l[c] = l[c].plus(totals{number(t, row, "flows"), number(t, row, "packets"), number(t, row, "bytes")})
	}
	return l
}

// nfcapd is nfdump's collector, for NetFlow and IPFIX; sfcapd the one for sFlow.
type nfcapd struct {
	*process
	port int
	dir  string
}

// startNfcapd starts nfcapd or sfcapd. Both scale by a sampling rate that an
// exporter announces.
func startNfcapd(t *testing.T, name string, more ...string) *nfcapd {
	t.Helper()
	need(t, name, "nfdump")
	n := &nfcapd{port: freePort(t, "udp"), dir: t.TempDir()}
	args := append([]string{"-b", "127.0.0.1", "-p", strconv.Itoa(n.port), "-w", n.dir, "-t", "3600", "-B", "8000000"}, more...)
	n.process = start(t, name, args...)
	listening(t, n.process, n.port)
	return n
}

// ledger ends the collector and returns what it has stored.
func (n *nfcapd) ledger(t *testing.T) ledger {
	t.Helper()
	there, _ := n.ledgers(t)
	return there
}

// ledgers tells the way back apart, of records with counters for both.
func (n *nfcapd) ledgers(t *testing.T) (there, back ledger) {
	t.Helper()
	drained(t, n.port)
	n.terminate(t)
	return nfdump(t, n.dir)
}

// nfdump reads a folder of nfcapd files. What it calls "out" is the way back.
func nfdump(t *testing.T, dir string) (there, back ledger) {
	t.Helper()
	text := run(t, "nfdump", "-R", dir, "-q", "-6", "-N", "-o", "fmt:%sa|%da|%pr|%pkt|%byt|%opkt|%obyt")
	there, back = ledger{}, ledger{}
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		f := strings.Split(line, "|")
		if len(f) != 7 {
			if line != "" {
				t.Fatalf("nfdump said %q", line)
			}
			continue
		}
		var n [7]uint64
		for i := 2; i < 7; i++ {
			var err error
			if n[i], err = strconv.ParseUint(strings.TrimSpace(f[i]), 10, 64); err != nil {
				t.Fatalf("nfdump said %q", line)
			}
		}
		src, err1 := netip.ParseAddr(strings.TrimSpace(f[0]))
		dst, err2 := netip.ParseAddr(strings.TrimSpace(f[1]))
		if err1 != nil || err2 != nil {
			t.Fatalf("nfdump said %q", line)
		}
		c := conversation{normal(src), normal(dst), n[2]}
		there[c] = there[c].plus(totals{1, n[3], n[4]})
		if n[5]+n[6] > 0 {
			c.src, c.dst = c.dst, c.src
			back[c] = back[c].plus(totals{1, n[5], n[6]})
		}
	}
	return there, back
}

// tshark decodes datagrams of NetFlow v9 or IPFIX: a second opinion where
// nfdump is known to be wrong.
func tshark(t *testing.T, datagrams [][]byte) ledger {
	t.Helper()
	need(t, "tshark")
	text := run(t, "tshark", "-r", datagramCapture(t, 4739, datagrams), "-d", "udp.port==4739,cflow", "-T", "fields",
		"-e", "cflow.srcaddr", "-e", "cflow.dstaddr", "-e", "cflow.protocol", "-e", "cflow.packets", "-e", "cflow.octets",
		"-E", "occurrence=a", "-E", "aggregator=,", "-E", "separator=|")
	l := ledger{}
	for _, line := range strings.Split(text, "\n") {
		var columns [][]string
		for _, column := range strings.Split(line, "|") {
			columns = append(columns, strings.Split(column, ","))
		}
		if len(columns) != 5 || columns[0][0] == "" {
			continue // templates, options
		}
		for i := range columns[0] {
			var n [5]uint64
			for c := 2; c < 5; c++ {
				if len(columns[c]) != len(columns[0]) {
					t.Fatalf("tshark said %q", line)
				}
				var err error
				if n[c], err = strconv.ParseUint(columns[c][i], 10, 64); err != nil {
					t.Fatalf("tshark said %q", line)
				}
			}
			c := conversation{netip.MustParseAddr(columns[0][i]), netip.MustParseAddr(columns[1][i]), n[2]}
			l[c] = l[c].plus(totals{1, n[3], n[4]})
		}
	}
	return l
}

// both runs an exporter against Minamo and nfcapd (or sfcapd) at once, with
// the same datagrams, and demands equal ledgers. export returns when it has
// sent all. It returns the data directory of Minamo, which has stopped.
func both(t *testing.T, namespace, collector string, export func(x *tee)) (data string, x *tee) {
	t.Helper()
	peer := startNfcapd(t, collector)
	data = t.TempDir()
	s := serve(t, data)
	x = newTee(t, namespace, s.listen, peer.port)
	export(x)
	x.flush(t)
	if len(x.passed()) == 0 {
		t.Fatal("the exporter sent nothing")
	}
	s.stop(t)
	agree(t, stored(t, data), collector, peer.ledger(t))
	return data, x
}

// softflowctl and the like leave sockets; their folder must have a short path.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "m")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}
