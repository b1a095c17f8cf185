package nfdump

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/wire/netflow"
)

// epoch is the time about which the test's flows are: no whole second.
const epoch = 1_795_000_000_123

// some returns flows with a value in every column that NetFlow v9, nfdump's
// files and its text can all carry. Their byte counts tell them apart.
func some(n int) *flow.Batch {
	r := rand.New(rand.NewPCG(7, 7))
	b := flow.NewBatch(n)
	for i := b.Extend(n); i < n; i++ {
		set := func(c flow.Column, v uint64) { b.SetUint(c, i, v) }
		address := func(net4, net6 string) flow.Addr {
			text := fmt.Sprintf("%s.%d", net4, 1+r.IntN(250))
			if i%3 == 0 {
				text = fmt.Sprintf("%s::%x", net6, 1+r.IntN(60000))
			}
			return flow.AddrFrom(netip.MustParseAddr(text))
		}
		b.SetAddr(flow.SrcAddr, i, address("192.0.2", "2001:db8:1"))
		b.SetAddr(flow.DstAddr, i, address("198.51.100", "2001:db8:2"))
		start := epoch + uint64(r.IntN(3_600_000))
		set(flow.Start, start)
		set(flow.End, start+uint64(r.IntN(90_000)))
		set(flow.Packets, 1+r.Uint64N(1000))
		set(flow.Bytes, uint64(1_000_000+i))
		set(flow.InIf, 1+r.Uint64N(100000))
		set(flow.OutIf, 1+r.Uint64N(100))
		set(flow.SrcAS, 1+r.Uint64N(4_200_000_000))
		set(flow.DstAS, 1+r.Uint64N(65000))
		set(flow.SrcMask, 1+r.Uint64N(31))
		set(flow.DstMask, 1+r.Uint64N(31))
		set(flow.TOS, r.Uint64N(2)*184)
		set(flow.SrcVLAN, 1+r.Uint64N(4000))
		set(flow.DstVLAN, 1+r.Uint64N(4000))
		set(flow.SrcMAC, 1+r.Uint64N(1<<48-1))
		set(flow.DstMAC, 1+r.Uint64N(1<<48-1))
		set(flow.ForwardingStatus, 64)
		set(flow.MPLSLabel1, 1+r.Uint64N(1<<20-1))
		set(flow.MPLSLabel2, 1+r.Uint64N(1<<20-1))
		if r.IntN(2) == 0 {
			set(flow.Direction, 1)
		}
		b.SetAddr(flow.NextHop, i, flow.AddrFrom(netip.MustParseAddr("203.0.113.1")))
		b.SetAddr(flow.BGPNextHop, i, flow.AddrFrom(netip.MustParseAddr("203.0.113.2")))
		switch protocol := []uint64{6, 17, 1, 47, 132}[i%5]; protocol {
		case 1:
			if i%3 == 0 {
				protocol = 58
			}
			set(flow.Protocol, protocol)
			set(flow.ICMPType, r.Uint64N(200))
			set(flow.ICMPCode, r.Uint64N(10))
		case 47:
			set(flow.Protocol, protocol)
		default:
			set(flow.Protocol, protocol)
			set(flow.SrcPort, r.Uint64N(65536))
			set(flow.DstPort, r.Uint64N(65536))
			if protocol == 6 {
				set(flow.TCPFlags, r.Uint64N(256))
			}
		}
	}
	return b
}

// common are elements of both templates.
var common = []netflow.TemplateField{
	{Element: 22, Length: 4}, {Element: 21, Length: 4}, {Element: 2, Length: 8}, {Element: 1, Length: 8},
	{Element: 4, Length: 1}, {Element: 7, Length: 2}, {Element: 11, Length: 2}, {Element: 6, Length: 1}, {Element: 32, Length: 2},
	{Element: 10, Length: 4}, {Element: 14, Length: 4}, {Element: 61, Length: 1}, {Element: 89, Length: 1},
	{Element: 15, Length: 4}, {Element: 18, Length: 4}, {Element: 16, Length: 4}, {Element: 17, Length: 4},
	{Element: 9, Length: 1}, {Element: 13, Length: 1}, {Element: 5, Length: 1}, {Element: 58, Length: 2}, {Element: 59, Length: 2},
	{Element: 56, Length: 6}, {Element: 80, Length: 6}, {Element: 70, Length: 3}, {Element: 71, Length: 3},
}

// archive has nfcapd store the flows and returns its file.
func archive(t *testing.T, b *flow.Batch) string {
	t.Helper()
	for _, program := range []string{"nfcapd", "nfdump"} {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("%s is not installed: apt-get install nfdump", program)
			}
			t.Skipf("NOT COMPARED WITH NFDUMP: %s is not installed (apt-get install nfdump)", program)
		}
	}
	for range 10 { // on a busy machine nfcapd can lose datagrams
		if file := tryArchive(t, b); strings.Count(nfdump(t, file, "csv", "UTC"), "\n") == b.Len()+4 {
			return file
		}
	}
	t.Fatalf("nfcapd lost some of %d flows ten times", b.Len())
	return ""
}

func tryArchive(t *testing.T, b *flow.Batch) string {
	dir := t.TempDir()
	free, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	to := free.LocalAddr().String()
	_, port, _ := net.SplitHostPort(to)
	free.Close()
	collector := exec.Command("nfcapd", "-w", dir, "-b", "127.0.0.1", "-p", port, "-t", "3600")
	if err := collector.Start(); err != nil {
		t.Fatal(err)
	}
	defer collector.Process.Kill()
	number, _ := strconv.Atoi(port)
	for bound := fmt.Sprintf(": 0100007F:%04X ", number); ; time.Sleep(5 * time.Millisecond) {
		if sockets, _ := os.ReadFile("/proc/net/udp"); strings.Contains(string(sockets), bound) {
			break
		}
	}
	conn, err := net.Dial("udp4", to)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	send := func(d []byte) error {
		time.Sleep(time.Millisecond) // the socket's buffer is small
		_, err := conn.Write(d)
		return err
	}
	const exported = epoch + 7_200_000
	e := netflow.Encoder{Version: 9, Boot: epoch - 1_000_000}
	four := netflow.Template{Version: 9, ID: 256, Fields: append([]netflow.TemplateField{{Element: 8, Length: 4}, {Element: 12, Length: 4}}, common...)}
	six := netflow.Template{Version: 9, ID: 257, Fields: append([]netflow.TemplateField{{Element: 27, Length: 16}, {Element: 28, Length: 16}}, common...)}
	for i := range b.Len() {
		template := &four
		if !b.Addr(flow.SrcAddr)[i].Is4() {
			template = &six
		}
		if err := e.Flows(template, b, i, i+1, exported, send); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(200 * time.Millisecond)
	collector.Process.Signal(syscall.SIGTERM)
	collector.Wait()
	found, _ := filepath.Glob(filepath.Join(dir, "nfcapd.2*"))
	if len(found) != 1 {
		t.Fatalf("nfcapd left %d files", len(found))
	}
	return found[0]
}

func nfdump(t *testing.T, file, format, zone string) string {
	t.Helper()
	cmd := exec.Command("nfdump", "-r", file, "-o", format)
	cmd.Env = append(os.Environ(), "TZ="+zone)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", cmd, err)
	}
	return string(out)
}

// readAll reads until the end, a record at a time.
func readAll(r *Reader) (*flow.Batch, error) {
	b := flow.NewBatch(16)
	for {
		if err := r.Read(b); err == io.EOF {
			return b, nil
		} else if err != nil {
			return b, err
		}
	}
}

// TestNfdump sends flows through nfcapd and nfdump, and demands that they come
// out as they were sent, column by column.
func TestNfdump(t *testing.T) {
	const n = 500
	sent := some(n)
	file := archive(t, sent)
	tokyo, err := time.LoadLocation("Asia/Tokyo")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		format, zone string
		location     *time.Location
	}{
		{"json", "UTC", nil}, {"json", "Asia/Tokyo", tokyo}, {"csv", "UTC", nil}, {"csv", "Asia/Tokyo", tokyo},
	} {
		t.Run(c.format+" "+c.zone, func(t *testing.T) {
			text := strings.NewReader(nfdump(t, file, c.format, c.zone))
			r := NewJSON(text, Config{Location: c.location})
			if c.format == "csv" {
				r = NewCSV(text, Config{Location: c.location})
			}
			got, err := readAll(r)
			if err != nil {
				t.Fatal(err)
			}
			if got.Len() != n {
				t.Fatalf("%d rows of %d", got.Len(), n)
			}
			if stats := r.Stats(); stats.Records != n || stats.Rows != n || stats.Mended+stats.Sampled+stats.Tunnels != 0 || len(stats.Unheld) != 0 {
				t.Errorf("%+v", stats)
			}
			seen := map[int]bool{}
			for i := range n {
				want := int(got.U64(flow.Bytes)[i]) - 1_000_000
				if want < 0 || want >= n || seen[want] {
					t.Fatalf("row %d has %d bytes", i, got.U64(flow.Bytes)[i])
				}
				seen[want] = true
				compare(t, got, i, sent, want, c.format == "csv")
				if t.Failed() {
					t.Fatalf("row %d\n%s\n%s", i, got.AppendJSON(nil, i), sent.AppendJSON(nil, want))
				}
			}
		})
	}
}

// compare holds a row against the one that was sent.
func compare(t *testing.T, got *flow.Batch, i int, sent *flow.Batch, want int, seconds bool) {
	for c := range flow.Columns() {
		ours, theirs := string(got.AppendText(nil, c, i)), string(sent.AppendText(nil, c, want))
		has, had := got.Present[i].Has(c), sent.Present[want].Has(c)
		switch {
		case c == flow.Exporter:
			had, theirs = true, "127.0.0.1"
		case c == flow.Received:
			at := time.UnixMilli(got.Time(c)[i])
			if age := time.Since(at); age < -time.Second || age > time.Minute {
				t.Errorf("received %v", at)
			}
			continue
		case c == flow.ExportProtocol || c == flow.ObservationDomain || c == flow.SamplingRate || c == flow.SamplingSource:
			had, theirs = true, map[flow.Column]string{flow.SamplingRate: "1", flow.SamplingSource: "assumed"}[c]
			if theirs == "" {
				theirs = "0"
			}
		case (c == flow.Start || c == flow.End) && seconds:
			// To the second, and with the very duration.
			if ours[:19] != theirs[:19] || got.Time(flow.End)[i]-got.Time(flow.Start)[i] != sent.Time(flow.End)[want]-sent.Time(flow.Start)[want] {
				t.Errorf("%s is %s, was %s", c, ours, theirs)
			}
			continue
		}
		if has != had || has && ours != theirs {
			t.Errorf("%s is %s (%v), was %s (%v)", c, ours, has, theirs, had)
		}
	}
}
