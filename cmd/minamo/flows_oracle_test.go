package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
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
		for k := range count {
			i := b.Extend(1)
			set := func(c flow.Column, v uint64) { b.SetUint(c, i, v) }
			src, dst := host(1), host(2)
			srcPort, dstPort := pick(40000, 40001, 50000, 60123), pick(22, 53, 80, 443, 8080)
			back := r.IntN(2) == 0
			if back {
				src, dst, srcPort, dstPort = dst, src, dstPort, srcPort
			}
			start := base + int64(k)*3_600_000/int64(count) // of two, the first in the file began first
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

// fields cuts the lines of a table, without its heading and summary, at spaces.
// What nfdump writes otherwise is made alike: "13( 1.3)", and MPLS labels,
// whose other bits we do not keep.
func fields(text string) (table [][]string) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(strings.ReplaceAll(line, "( ", "("))
		for _, no := range []string{"Date first seen", "ordered by", "Summary: ", "Time window: ", "Total flows processed: ", "Sys: "} {
			if strings.Contains(line, no) {
				line = ""
			}
		}
		if line == "" {
			continue
		}
		words := strings.Fields(strings.ReplaceAll(line, "( ", "("))
		for i, w := range words {
			words[i] = label.ReplaceAllString(w, "$1")
		}
		table = append(table, words)
	}
	return table
}

var label = regexp.MustCompile(`^(\d+)-\d-\d$`)

// agree compares two tables line by line.
func agree(t *testing.T, what string, ours, theirs [][]string) {
	t.Helper()
	if len(ours) != len(theirs) || len(ours) == 0 {
		t.Errorf("%s: %d lines here, %d in nfdump", what, len(ours), len(theirs))
		return
	}
	wrong := 0
	for i := range ours {
		if a, b := strings.Join(ours[i], " "), strings.Join(theirs[i], " "); a != b {
			t.Errorf("%s, line %d:\nhere   %s\nnfdump %s", what, i+1, a, b)
			if wrong++; wrong == 3 {
				return
			}
		}
	}
}

// sorted orders lines, where the order of equals is not the same.
func sorted(table [][]string) [][]string {
	slices.SortFunc(table, slices.Compare)
	return table
}

// TestFlowsLikeNfdump has nfdump and `minamo flows` print the same flows.
func TestFlowsLikeNfdump(t *testing.T) {
	const flows = 900
	o := newOracle(t, flows)
	const ports = "proto tcp or proto udp" // in nfdump all others have ports too: 0, or ICMP's type and code

	lines := 0
	for _, format := range []string{
		"%nfv %eng %ts %te %td %tds %tsr %pr %sa %da %sap -> %dap %sp %dp",
		"%ts %sn %dn %nh %nhb %ra %sas %das %nas %pas %in %out %smk %dmk",
		"%ts %pkt %ipkt %opkt %byt %ibyt %obyt %fl %bps %pps %bpp",
		"%ts %flg %tos %stos %dir %fwd %svln %dvln %ismc %idmc %mpls1 %mpls4",
		"%line", "%long", "%extended", "%biline", "%bilong", "%long %ra",
	} {
		for _, plain := range []bool{false, true} {
			args := []string{"-6", "-o", "fmt:" + format}
			if plain {
				args = append(args, "-N")
			}
			ours := fields(o.minamo(t, append(args, ports)...))
			agree(t, strings.Join(args, " "), ours, fields(o.nfdump(t, append(args, ports)...)))
			lines += len(ours)
		}
	}
	const icmp = "fmt:%ts %pr %da %dap %dp %it %ic"
	agree(t, icmp, fields(o.minamo(t, "-o", icmp, "proto icmp")), fields(o.nfdump(t, "-6", "-o", icmp, "proto icmp")))
	const count = "fmt:%cnt %ts" // nfdump counts what it reads, we count what is printed
	agree(t, count, fields(o.minamo(t, "-o", count)), fields(o.nfdump(t, "-o", count)))
	t.Logf("%d lines of flows compared", lines)

	for _, element := range []string{
		"srcip", "dstip", "ip", "srcport", "dstport", "proto", "srcas", "dstas", "inif", "outif", "srcvlan", "dstvlan",
		"srcmask", "dstmask", "tos", "srctos", "nhip", "nhbip", "router", "insrcmac", "mpls1", "srcip:p", "dstport:p",
	} {
		orders := []string{"bytes"}
		if element == "srcip" || element == "dstport:p" {
			orders = []string{"flows", "packets", "bytes", "pps", "bps", "bpp"}
		}
		for _, order := range orders {
			args := []string{"-N", "-n", "0", "-s", element + "/" + order, ports}
			ours, theirs := fields(o.minamo(t, args...)), fields(o.nfdump(t, append([]string{"-6"}, args...)...))
			if !strings.HasSuffix(element, ":p") && element != "proto" {
				for i := range theirs {
					theirs[i] = slices.Delete(theirs[i], 3, 4) // "any"
				}
			} else if element == "proto" {
				for i := range theirs {
					theirs[i] = slices.Delete(theirs[i], 3, 4) // twice
				}
			}
			for _, table := range [][][]string{ours, theirs} {
				ranked(t, strings.Join(args, " "), table, order)
			}
			agree(t, strings.Join(args, " "), sorted(ours), sorted(theirs))
		}
	}

	for _, c := range []struct{ elements, filter string }{
		{"proto", "any"}, {"srcip", "any"}, {"srcip,dstip", "any"}, {"proto,srcip,dstip,srcport,dstport", ports}, {"srcip,dstport", ports},
		{"srcas,dstas", "any"}, {"prevas,nextas", "any"}, {"inif,outif,tos", "any"}, {"next,bgpnext", "any"}, {"srcvlan,dstvlan", "any"},
		{"srcmask,dstmask", "any"}, {"insrcmac,indstmac", "any"}, {"mpls1,mpls4", "any"}, {"router", "any"}, {"srctos", "any"},
		{"srcip4/24", "ipv4"}, {"srcip4/24,dstip4/15", "ipv4"}, {"srcip4/30,dstport", "ipv4 and (" + ports + ")"}, {"srcip6/64,dstip6/64", "ipv6"}, {"dstip6/126", "ipv6"},
	} {
		args := []string{"-N", "-A", c.elements, c.filter}
		ours := fields(o.minamo(t, args...))
		for _, line := range ours {
			for i, w := range line {
				line[i], _, _ = strings.Cut(w, "/") // nfdump leaves the prefix's length out
			}
		}
		agree(t, strings.Join(args, " "), sorted(ours), sorted(fields(o.nfdump(t, append([]string{"-6"}, args...)...))))
	}

	for _, args := range [][]string{
		{"-a", "-o", "long"}, {"-a", "-o", "fmt:%ts %te %td %pr %sap %dap %flg %pkt %byt %fl %bps %pps %bpp"}, {"-s", "record/bytes", "-n", "0", "-o", "line"},
		{"-a", "-A", "srcip,dstip", "-o", "fmt:%sa %da %pkt %byt %fl"},
		{"-b", "-o", "biline"}, {"-b"}, {"-b", "-o", "fmt:%ts %te %td %pr %sap %dap %opkt %ipkt %obyt %ibyt %pkt %byt %fl"},
		{"-B", "-o", "fmt:%ts %td %sap %dap %opkt %ipkt %obyt %ibyt %fl"},
	} {
		args := append(args, "-N", "-6", ports)
		ours, theirs := fields(o.minamo(t, args...)), fields(o.nfdump(t, args...))
		if slices.Contains(args, "long") { // nfdump shows the first flow's ToS, we show it where all agree
			for _, table := range [][][]string{ours, theirs} {
				for i := range table {
					table[i] = slices.Delete(table[i], 8, 9)
				}
			}
		}
		agree(t, strings.Join(args, " "), sorted(ours), sorted(theirs))
	}

	// What is sorted by comes in the same order, also turned round. nfdump 1.7.1
	// does not sort by bps.
	for order, tag := range map[string]string{
		"packets": "pkt", "bytes": "byt", "flows": "fl", "pps": "pps", "bpp": "bpp", "duration": "td", "tstart": "ts", "tend": "te",
		"ipkg": "pkt", "ibyte": "byt", "opkg": "opkt", "obyte": "obyt",
	} {
		for _, direction := range []string{"", ":a", ":d"} {
			if direction != "" && strings.HasPrefix(order, "t") {
				continue // nfdump 1.7.1 does not turn times
			}
			args := []string{"-b", "-6", "-N", "-n", "40", "-O", order + direction, "-o", "fmt:%" + tag, ports}
			agree(t, strings.Join(args, " "), fields(o.minamo(t, args...)), fields(o.nfdump(t, args...)))
		}
	}

	for _, args := range [][]string{{}, {ports}, {"-c", "100"}, {"-c", "100", "-A", "srcip"}, {"-c", "200", "-s", "srcip", "dst port 53"}, {"-N", "src net 10.1.0.0/16"}} {
		if ours, theirs := summaryLine(o.minamo(t, args...)), summaryLine(o.nfdump(t, args...)); ours != theirs || ours == "" {
			t.Errorf("%q:\nhere   %s\nnfdump %s", args, ours, theirs)
		}
	}
	theirs := strings.NewReplacer("Ident: none\n", "", "Sequence failures: 0\n", "").Replace(o.nfdump(t, "-I"))
	if ours := o.minamo(t, "-I"); ours != theirs {
		t.Errorf("-I:\n%s\nnfdump:\n%s", ours, theirs)
	}
}

func summaryLine(text string) string {
	_, rest, _ := strings.Cut(text, "Summary: ")
	line, _, _ := strings.Cut(rest, "\n")
	return line
}

// ranked holds a table of -s to its order.
func ranked(t *testing.T, what string, table [][]string, order string) {
	t.Helper()
	column := map[string]int{"flows": 6, "packets": 5, "bytes": 4, "pps": 3, "bps": 2, "bpp": 1}[order] // from the right
	last := math.Inf(1)
	for i, line := range table {
		text, _, _ := strings.Cut(line[len(line)-column], "(")
		v, err := strconv.ParseFloat(text, 64)
		if err != nil || v > last {
			t.Errorf("%s: line %d is out of order: %q %v", what, i+1, line, err)
			return
		}
		last = v
	}
}
