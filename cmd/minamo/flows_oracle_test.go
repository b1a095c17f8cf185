package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/store"
	"github.com/minamo-flow/minamo/wire/netflow"
)

// oracleTemplates are NetFlow v9 templates of what nfcapd 1.7.1 stores too.
var oracleTemplates = func() (v4, v6 *netflow.Template) {
	field := func(pairs ...uint16) (fields []netflow.TemplateField) {
		for i := 0; i < len(pairs); i += 2 {
			fields = append(fields, netflow.TemplateField{Element: pairs[i], Length: pairs[i+1]})
		}
		return fields
	}
	common := field(22, 4, 21, 4, 2, 8, 1, 8, 4, 1, 7, 2, 11, 2, 6, 1, 32, 2, 10, 4, 14, 4, 61, 1, 89, 1,
		15, 4, 18, 4, 16, 4, 17, 4, 9, 1, 13, 1, 5, 1, 58, 2, 59, 2, 56, 6, 80, 6, 129, 4, 128, 4, 70, 3, 73, 3, 79, 3)
	v4 = &netflow.Template{Version: flow.NetFlow9, ID: 256, Fields: append(field(8, 4, 12, 4), common...)}
	v6 = &netflow.Template{Version: flow.NetFlow9, ID: 257, Fields: append(field(27, 16, 28, 16), common...)}
	return v4, v6
}

// oracleFlows makes conversations of a few hosts, most with flows both ways,
// so that groups fill and directions meet. Flows of IPv4 come first, as the
// two templates send them.
func oracleFlows(n int) *flow.Batch {
	r := rand.New(rand.NewPCG(7, 7))
	pick := func(list ...uint64) uint64 { return list[r.IntN(len(list))] }
	base := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC).UnixMilli()
	b := flow.NewBatch(n)
	for _, v6 := range []bool{false, true} {
		count := n * 4 / 5
		if v6 {
			count = n - count
		}
		host := func(side byte) flow.Addr {
			if v6 {
				return flow.Addr{0x20, 1, 0xd, 0xb8, 0, side, 14: byte(r.IntN(2)), 15: byte(1 + r.IntN(5))}
			}
			return flow.AddrFrom4([4]byte{10, side, byte(r.IntN(3)), byte(1 + r.IntN(6))})
		}
		for range count {
			i := b.Extend(1)
			set := func(c flow.Column, v uint64) { b.SetUint(c, i, v) }
			src, dst := host(1), host(2)
			srcPort, dstPort := pick(40000, 40001, 50000, 60123), pick(22, 53, 80, 443, 8080)
			back := r.IntN(2) == 0
			if back {
				src, dst, srcPort, dstPort = dst, src, dstPort, srcPort
			}
			start := base + r.Int64N(3_600_000)
			length := []int64{0, r.Int64N(1000), r.Int64N(60_000), r.Int64N(600_000), 10_000}[r.IntN(5)]
			packets := pick(1, uint64(1+r.IntN(20)), uint64(1+r.IntN(100_000)))
			protocol := pick(6, 6, 6, 17, 17, 1, 47)
			if v6 && protocol == 1 {
				protocol = 58
			}
			set(flow.Received, uint64(start+length+1500))
			b.SetAddr(flow.Exporter, i, flow.AddrFrom4([4]byte{127, 0, 0, 1}))
			set(flow.ExportProtocol, flow.NetFlow9)
			set(flow.ObservationDomain, 7)
			set(flow.Start, uint64(start))
			set(flow.End, uint64(start+length))
			set(flow.Packets, packets)
			set(flow.Bytes, packets*uint64(40+r.IntN(1460)))
			set(flow.SamplingRate, 1)
			set(flow.SamplingSource, flow.SamplingAssumed)
			b.SetAddr(flow.SrcAddr, i, src)
			b.SetAddr(flow.DstAddr, i, dst)
			set(flow.Protocol, protocol)
			switch protocol {
			case 6, 17:
				set(flow.SrcPort, srcPort)
				set(flow.DstPort, dstPort)
			case 1, 58:
				set(flow.ICMPType, pick(0, 3, 8, 128))
				set(flow.ICMPCode, pick(0, 1, 3))
			}
			if protocol == 6 {
				set(flow.TCPFlags, pick(0x02, 0x12, 0x1b, 0x18, 0x04, 0x3f))
			}
			set(flow.InIf, uint64(1+r.IntN(4)))
			set(flow.OutIf, uint64(1+r.IntN(4)))
			set(flow.Direction, uint64(r.IntN(2)))
			set(flow.ForwardingStatus, pick(0, 64, 130))
			b.SetAddr(flow.NextHop, i, flow.AddrFrom4([4]byte{192, 0, 2, byte(1 + r.IntN(3))}))
			b.SetAddr(flow.BGPNextHop, i, flow.AddrFrom4([4]byte{198, 51, 100, byte(1 + r.IntN(3))}))
			set(flow.SrcAS, pick(0, 64500, 64501, 4200000000))
			set(flow.DstAS, pick(0, 64500, 64502, 4200000001))
			set(flow.PrevAS, pick(64510, 64511))
			set(flow.NextAS, pick(64510, 64512))
			for _, c := range []flow.Column{flow.MPLSLabel1, flow.MPLSLabel4, flow.MPLSLabel10} {
				set(c, uint64(16+r.IntN(3)))
			}
			set(flow.SrcMask, pick(16, 24))
			set(flow.DstMask, pick(16, 22, 24))
			set(flow.TOS, pick(0, 0, 16, 184))
			set(flow.SrcVLAN, pick(1, 2, 100))
			set(flow.DstVLAN, pick(1, 3, 100))
			set(flow.SrcMAC, pick(0x00005e005301, 0x00005e005302))
			set(flow.DstMAC, pick(0x00005e005302, 0x00005e005303))
		}
	}
	return b
}

// oracle has the same flows in a data directory of ours and in a file of nfcapd.
type oracle struct{ data, file string }

// newOracle stores flows both ways. Flows are in the same order in both.
func newOracle(t *testing.T, n int) *oracle {
	t.Helper()
	for _, program := range []string{"nfcapd", "nfdump"} {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("%s is not installed: apt-get install nfdump", program)
			}
			t.Skipf("NOT COMPARED WITH NFDUMP: %s is not installed (apt-get install nfdump)", program)
		}
	}
	b := oracleFlows(n)
	o := &oracle{data: t.TempDir()}
	s, err := store.Open(store.Config{Dir: o.data}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Write(b), s.Close()); err != nil {
		t.Fatal(err)
	}
	// On a busy machine nfcapd can lose datagrams; then it gets them anew.
	for range 10 {
		o.file = nfcapdFile(t, b)
		if strings.Contains(o.nfdump(t, "-A", "proto"), fmt.Sprintf("total flows: %d,", n)) {
			return o
		}
	}
	t.Fatalf("nfcapd lost some of %d flows ten times", n)
	return nil
}

// nfcapdFile sends the flows to an nfcapd of its own and returns its file.
func nfcapdFile(t *testing.T, b *flow.Batch) string {
	t.Helper()
	dir := t.TempDir()
	probe, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := probe.LocalAddr().(*net.UDPAddr).Port
	probe.Close()
	nfcapd := exec.Command("nfcapd", "-w", dir, "-b", "127.0.0.1", "-p", fmt.Sprint(port), "-t", "3600")
	nfcapd.Stdout, nfcapd.Stderr = io.Discard, io.Discard
	if err := nfcapd.Start(); err != nil {
		t.Fatal(err)
	}
	defer nfcapd.Process.Kill()
	listening := fmt.Sprintf(": 0100007F:%04X ", port)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if sockets, _ := os.ReadFile("/proc/net/udp"); strings.Contains(string(sockets), listening) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("nfcapd does not listen")
		}
	}
	conn, err := net.Dial("udp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	now := b.Time(flow.End)[0] + 7200_000
	e := netflow.Encoder{Version: flow.NetFlow9, Domain: 7, Boot: now - 4_000_000_000}
	sent := 0
	send := func(d []byte) error {
		if sent++; sent%10 == 0 {
			time.Sleep(5 * time.Millisecond) // the socket's buffer is small
		}
		_, err := conn.Write(d)
		return err
	}
	six := 0
	for six < b.Len() && b.Addr(flow.SrcAddr)[six].Is4() {
		six++
	}
	v4, v6 := oracleTemplates()
	if err := errors.Join(e.Flows(v4, b, 0, six, now, send), e.Flows(v6, b, six, b.Len(), now, send)); err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond)
	if err := nfcapd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	nfcapd.Wait()
	found, _ := filepath.Glob(filepath.Join(dir, "nfcapd.2*"))
	if len(found) != 1 {
		t.Fatalf("nfcapd left %d files", len(found))
	}
	return found[0]
}

// nfdump runs nfdump over the file, with times in UTC.
func (o *oracle) nfdump(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command("nfdump", append([]string{"-C", "none", "-r", o.file}, args...)...)
	cmd.Env = append(os.Environ(), "TZ=UTC")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("nfdump %q: %v\n%s", args, err, out)
	}
	return string(out)
}

// minamo runs `minamo flows` over the data directory, with times in UTC.
func (o *oracle) minamo(t *testing.T, args ...string) string {
	t.Helper()
	status, out, errs := minamo(t, append([]string{"flows", "--data", o.data, "--utc"}, args...)...)
	if status != 0 {
		t.Fatalf("minamo flows %q: status %d\n%s", args, status, errs)
	}
	return out
}
