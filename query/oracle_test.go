package query

import (
	"context"
	"encoding/binary"
	"encoding/csv"
	"errors"
	"fmt"
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

	"github.com/minamo-flow/minamo/flow"
)

// oracleFilters are understood alike by nfdump 1.7.1 and here. In nfdump ICMP has ports (type and code), so comparisons of ports say tcp or
// udp, or mean ports that ICMP cannot have.
var oracleFilters = []string{
	"any",
	"not any",
	"ipv4", "inet", "ipv6", "inet6", "not ipv6",
	"proto tcp", "proto udp", "proto icmp", "proto icmp6", "proto gre", "proto esp", "proto 6", "proto 17", "proto 0x11", "PROTO TCP",
	"ip 10.0.0.1", "src ip 10.0.0.1", "dst ip 10.0.0.1", "host 10.1.1.1", "src host 10.1.1.1", "dst host 192.168.0.0",
	"src or dst ip 10.0.0.1", "src and dst ip 10.0.0.1", "not ip 10.0.0.1",
	"ip 2001:db8::1", "src ip 2001:db8:1::5", "dst ip 2001:db8:0:0::0",
	"net 10.0.0.0/8", "src net 10.1.0.0/16", "dst net 10.1.1.0/24", "net 10.1/16", "src net 10.2.2/24",
	"net 10.0.0.0 255.0.0.0", "src net 192.168.1.0 255.255.255.0", "net 192.168.0.0/23", "dst net 10.0.0.0/9",
	"net 2001:db8::/32", "src net 2001:db8:1::/48", "dst net 2001:db8:2::/47",
	"src or dst net 192.168.0.0/16", "src and dst net 192.168.0.0/16",
	"ip in [10.0.0.1 10.0.0.2]", "src ip in [10.0.0.0/16, 192.168.0.1]", "dst ip in [2001:db8::1 10.1.1.1]", "not ip in [10.0.0.0/8]",
	"port 53", "src port 53", "dst port 53", "port 443", "src or dst port 443", "src and dst port 443", "not port 53",
	"proto tcp and port > 1024", "proto tcp and src port >= 1024", "proto udp and dst port < 100", "proto udp and dst port <= 80",
	"proto tcp and src port lt 1024", "dst port = 65535", "dst port == 80", "dst port eq 80", "proto tcp and not port gt 1000",
	"port in [53 123]", "src port in [53, 443]", "dst port in [22 80 8080]", "not dst port in [22 80 8080]",
	"flags S", "flags SA", "flags A", "flags F", "flags R", "flags P", "flags U", "flags X", "flags ASRFPU",
	"flags S and not flags AFRPU", "not flags S", "proto tcp and not flags A", "not flags AF", "not (flags SA)", "! flags AFRPU", "flags 2", "flags 18",
	"if 1", "in if 1", "out if 2", "in if 1 and out if 2", "in if 0", "not in if 3",
	"vlan 100", "src vlan 2", "dst vlan 3", "not vlan 1",
	"mask 24", "src mask 8", "dst mask 22",
	"as 64500", "src as 64501", "dst as 64502", "not as 64500", "src as > 64500", "as in [64501 64502]",
	"prev as 64510", "next as 64512", "prev as 4200000002", "next as > 64511", "not next as 64510",
	"mpls label1 16", "mpls label4 17", "mpls label10 18", "mpls label4 > 16", "mpls label1 = 16 and not mpls label10 17",
	"next ip 192.0.2.1", "bgpnext ip 198.51.100.2", "router ip 127.0.0.1", "not next ip 192.0.2.0",
	"in src mac 00:00:5e:00:53:01", "in src mac 00:00:5e:00:53:02",
	"icmp-type 8", "icmp-type 3", "icmp-code 3", "icmp-type 3 and icmp-code 1", "icmp-type 128",
	"bytes > 1000", "bytes > 1k", "bytes = 1k", "bytes >= 1k", "bytes < 1k", "bytes <= 1k", "bytes > 1m", "bytes = 1m", "bytes 1024",
	"in bytes > 10k", "bytes lt 100", "bytes gt 100m", "bytes > 1g",
	"packets > 10", "packets = 1", "packets 1", "packets >= 20", "in packets < 2", "packets > 10k",
	"duration > 10000", "duration = 10000", "duration < 1000", "duration 0", "duration >= 1k",
	"bpp > 1000", "bpp < 60", "bpp = 40", "pps > 10", "pps = 0", "pps < 5", "bps > 1m", "bps > 100k", "bps = 0", "bps < 1000",
	"tos 16", "tos 184", "not tos 0", "src tos 16",
	"fwdstat 64", "fwdstat 130", "flowdir ingress", "flowdir egress", "flowdir 1",
	"proto tcp and dst port 443", "proto tcp && dst port 443", "proto tcp or proto udp", "proto tcp || proto udp", "! proto tcp",
	"not (proto tcp or proto udp)", "not proto tcp and not proto udp", "proto tcp and (port 80 or port 443)",
	"proto tcp and port 80 or port 53", "port 53 or proto tcp and port 80", "not port 53 and not port 80",
	"(src net 10.0.0.0/8 and dst port 443) or (src port 443 and dst net 10.0.0.0/8)",
	"src net 10.0.0.0/8 and not dst net 10.0.0.0/8 and proto udp and bytes > 1k # comment",
	"proto tcp # comment\n and dst port 80",
	"not not proto udp", "((((proto udp))))",
}

// manualFilters are the conditions of nfdump(1), of 1.7.1 and 1.7.8, one by
// one. What they mean is TestNfdumpSets' matter; here it is that each is
// known. Those with a * are known to be without an answer.
var manualFilters = []string{
	"any", "inet", "ipv4", "inet6", "ipv6", "*count > 10", "*ident none", "*@include file",
	"proto tcp", "proto 17", "proto ipip", "tun proto udp", "min ttl > 5", "*max ttl > 5", "ttl 64", "*ttl equal", "etherType 0x800",
	"ip 10.0.0.1", "src ip 10.0.0.1", "dst ip ::1", "host 10.0.0.1", "ip in [10.0.0.1 10.1.0.0/16]", "src ip in [10.0.0.1, ::1]",
	"net 10.0.0.0 255.0.0.0", "src net 10.0.0.0 255.0.0.0", "dst net 10.0.0.0/8", "net fe80::/10",
	"*geo CH", "*src geo CH", "*dst geo 'IN'", "tunip 10.0.0.1", "src tunip 10.0.0.1", "dst tun ip 10.0.0.1", "tun ip ::1",
	"port > 1024", "src port 80", "dst port LT 80", "port in [80 443]", "src port in [80]", "dst port in [80, 443]",
	"icmp-type 8", "icmp-code 1", "icmp type > 8", "icmp code 1", "engine-type 1", "engine-id > 5", "engine type 1", "engine id 5",
	"*sysid 1", "*exporter id 1", "*exporter sysid 1", "if 5", "in if 5", "out if 5",
	"as 64500", "src as > 64500", "dst as LE 64500", "prev as 64500", "previous as 64500", "next as 64500", "as in [64500 64501]", "src as in [64500]", "prev as in [64500]", "next as in [64500]",
	"mask 24", "src mask 24", "dst mask 24", "vlan 5", "src vlan 5", "dst vlan 5",
	"flags S", "flags AS", "flags X", "flags S and not flags AFRPU", "flags = 18", "flags =SA", "flags > 0x10",
	"router ip 10.0.0.1", "exporter ip 10.0.0.1", "next ip 10.0.0.1", "next ip in [10.0.0.1]", "bgpnext ip 10.0.0.1", "bgp next ip ::1",
	"mac 00:00:5e:00:53:01", "in mac 00:00:5e:00:53:01", "in src mac 00:00:5e:00:53:01", "in dst mac 00:00:5e:00:53:01",
	"out mac 00:00:5e:00:53:01", "*out src mac 00:00:5e:00:53:01", "out dst mac 00:00:5e:00:53:01", "src mac 0:0:5e:0:53:1", "dst mac 00:00:5e:00:53:01",
	"mpls label1 5", "mpls label10 > 5", "mpls any 5", "mpls eos 5", "*mpls exp1 5",
	"packets > 1k", "in packets > 1k", "*out packets > 1k", "bytes > 1m", "in bytes 1g", "*out bytes 1T", "flows > 1", "flow > 1",
	"tos 8", "src tos 8", "dst tos > 8", "src or dst tos 8", "flowdir ingress", "flowdir egress", "flowdir 0", "dir 1",
	"duration > 1000", "first seen > 2024-07-11T09:15:10.020", "last seen < 2024-07-11T09", "first seen > 2024",
	"pps > 1k", "bps > 1m", "bpp < 100", "nfversion 9", "fwdstat 64", "fwdstat Noroute", "fwdstat Dpolicy", "fwdstat >= 128",
	"observation domain id 5", "*observation point id 5", "*flowlabel x",
	"*payload content 'GET'", "*payload regex 'a|b' i", "*payload ja3 defined", "*payload dns name x", "*in payload ssl defined", "*payload tls sni x",
	"*pf action block", "*client latency > 5", "*server latency > 5", "*app latency > 5",
	"asa event ignore", "asa event create", "asa event term", "asa event delete", "asa event deny", "asa event alert", "asa event update", "asa event > 2",
	"asa event denied ingress", "asa event denied egress", "asa event denied interface", "asa event denied nosyn", "asa event denied 1004",
	"asa denied I-ACL", "asa user bob", "asa xevent 1001", "asa xevent > 2000",
	"xip 10.0.0.1", "src xip 10.0.0.1", "dst xip 10.0.0.1", "xnet 10.0.0.0/8", "src xnet 10.0.0.0/8", "dst xnet 10.0.0.0/8", "xport 5", "src xport > 5", "dst xport 5",
	"ingress ACL 5", "ingress ACE > 5", "ingress XACE 5", "egress ACL 0x5", "egress ACE 5", "egress XACE 5",
	"nat event add", "nat event create", "nat event delete", "nat event ADD44", "nat event > 3",
	"nip 10.0.0.1", "src nip 10.0.0.1", "dst nip 10.0.0.1", "nat ip 10.0.0.1", "src nat ip 10.0.0.1", "dst xlate ip ::1", "nat net 10.0.0.0/8", "dst nat net 10.0.0.0/8",
	"nport 5", "src nport > 5", "nat port 5", "dst nat port 5", "ingress vrf 5", "egress vrf > 5",
	"pblock start 5", "pblock end > 5", "*pblock step 5", "pblock size 5", "nat pblock start > 5", "*nat pblock step 5", "nat pblock size 64",
	"port in pblock", "src port in pblock", "dst port in nat pblock",
}

func TestNfdumpManual(t *testing.T) {
	for _, text := range manualFilters {
		text, unanswered := strings.CutPrefix(text, "*")
		_, err := ParseFilter(text)
		var wrong *FilterError
		if refused := errors.As(err, &wrong) && wrong.Reason != ""; refused != unanswered || !refused && err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestNfdumpOracle sends the same flows to nfcapd and to a Parquet file and
// asks nfdump and the engine the same: how many flows, packets and bytes.
func TestNfdumpOracle(t *testing.T) {
	file := nfcapdFile(t, randomFlows(42, 2500))
	// Filters over AS numbers want a geolocation database; a file of no flows does.
	places, _ := nfcapdOnce(t, flow.NewBatch(1))
	e := newEngine(t)
	files := writeParquet(t, e, randomFlows(42, 2500))

	matching := 0
	for _, text := range oracleFilters {
		f, err := ParseFilter(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		table, err := e.Top(context.Background(), files, Request{Filter: f})
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		want := nfdumpSums(t, file, text, "-G", places)
		if table.Total != want {
			t.Errorf("%s: %+v here, %+v in nfdump\n%s", text, table.Total, want, f.SQL())
		}
		if want.Flows > 0 && want.Flows < 2500 {
			matching++
		}
	}
	t.Logf("%d filters compared with nfdump, %d of them match some flows and not all", len(oracleFilters), matching)
	if matching < 150 {
		t.Errorf("only %d filters match some flows and not all: the data no longer tell filters apart", matching)
	}

	for _, element := range []string{"srcip", "dstip", "srcport", "dstport", "proto", "inif", "outif", "srcas", "dstas", "srctos", "srcvlan", "dstvlan", "srcmask", "nhip", "nhbip", "dir"} {
		// Ports of ICMP: see above.
		const text = "proto tcp or proto udp"
		f, _ := ParseFilter(text)
		by, err := ParseDimensions(element)
		if err != nil {
			t.Fatal(err)
		}
		table, err := e.Top(context.Background(), files, Request{By: by, Filter: f})
		if err != nil {
			t.Fatal(err)
		}
		want := nfdumpStatistic(t, file, element, text)
		got := map[string]Sums{}
		for _, row := range table.Rows {
			got[statisticKey(row.Key[0])] = row.Sums
		}
		if len(got) != len(want) {
			t.Errorf("-s %s: %d groups here, %d in nfdump", element, len(got), len(want))
		}
		for key, sums := range want {
			if got[key] != sums {
				t.Errorf("-s %s: %s is %+v here, %+v in nfdump", element, key, got[key], sums)
			}
		}
	}
}

// statisticKey is a value as nfdump writes it.
func statisticKey(v Value) string {
	switch v.Text {
	case "ingress":
		return "0"
	case "egress":
		return "1"
	}
	return v.Text
}

var summary = regexp.MustCompile(`Summary: total flows: (\d+), total bytes: (\d+), total packets: (\d+)`)

func nfdump(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("nfdump", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("nfdump %q: %v\n%s", args, err, out)
	}
	return string(out)
}

func nfdumpSums(t *testing.T, file, filter string, more ...string) Sums {
	t.Helper()
	out := nfdump(t, append(more, "-C", "none", "-r", file, "-N", "-A", "proto", filter)...)
	found := summary.FindStringSubmatch(out)
	if found == nil {
		t.Fatalf("nfdump %q has no summary:\n%s", filter, out)
	}
	var n [3]uint64
	for i := range n {
		n[i], _ = strconv.ParseUint(found[i+1], 10, 64)
	}
	return Sums{Flows: n[0], Bytes: n[1], Packets: n[2]}
}

func nfdumpStatistic(t *testing.T, file, element, filter string) map[string]Sums {
	t.Helper()
	out := nfdump(t, "-C", "none", "-r", file, "-N", "-s", element+"/bytes", "-n", "0", "-o", "csv", filter)
	r := csv.NewReader(strings.NewReader(strings.TrimSpace(out)))
	r.FieldsPerRecord = -1
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	table := map[string]Sums{}
	for _, row := range rows {
		if len(row) != 14 || row[0] == "ts" {
			continue
		}
		var s Sums
		s.Flows, _ = strconv.ParseUint(row[5], 10, 64)
		s.Packets, _ = strconv.ParseUint(row[7], 10, 64)
		s.Bytes, _ = strconv.ParseUint(row[9], 10, 64)
		table[strings.TrimSpace(row[4])] = s
	}
	return table
}

// nfcapdFile has nfcapd store the flows and returns its file. On a busy machine
// nfcapd can lose datagrams; then it gets them anew.
func nfcapdFile(t *testing.T, b *flow.Batch, more ...v9Field) string {
	t.Helper()
	for _, program := range []string{"nfcapd", "nfdump"} {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("%s is not installed: apt-get install nfdump", program)
			}
			t.Skipf("NOT COMPARED WITH NFDUMP: %s is not installed (apt-get install nfdump)", program)
		}
	}
	for range 10 {
		if file, stored := nfcapdOnce(t, b, more...); stored == uint64(b.Len()) {
			return file
		}
	}
	t.Fatalf("nfcapd lost some of %d flows ten times", b.Len())
	return ""
}

func nfcapdOnce(t *testing.T, b *flow.Batch, more ...v9Field) (file string, stored uint64) {
	t.Helper()
	dir := t.TempDir()
	port := freePort(t)
	var log strings.Builder
	nfcapd := exec.Command("nfcapd", "-w", dir, "-b", "127.0.0.1", "-p", strconv.Itoa(port), "-t", "3600")
	nfcapd.Stdout, nfcapd.Stderr = &log, &log
	if err := nfcapd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- nfcapd.Wait() }()
	defer nfcapd.Process.Kill()
	for !bound(port) {
		select {
		case err := <-exited:
			t.Fatalf("nfcapd ended: %v\n%s", err, &log)
		case <-time.After(5 * time.Millisecond):
		}
	}
	conn, err := net.Dial("udp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for i, datagram := range netflow9(b, more...) {
		if _, err := conn.Write(datagram); err != nil {
			t.Fatal(err)
		}
		if i%10 == 0 {
			time.Sleep(5 * time.Millisecond) // the socket's buffer is small
		}
	}
	time.Sleep(200 * time.Millisecond)
	if err := nfcapd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-exited
	found, _ := filepath.Glob(filepath.Join(dir, "nfcapd.2*"))
	if len(found) != 1 {
		t.Fatalf("nfcapd left %d files:\n%s", len(found), &log)
	}
	records := nfdump(t, "-C", "none", "-r", found[0], "-q", "-o", "fmt:%pr", "any")
	return found[0], uint64(strings.Count(records, "\n"))
}

func freePort(t *testing.T) int {
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).Port
}

// bound tells whether someone listens on the port. Trying to bind it would
// get in nfcapd's way.
func bound(port int) bool {
	sockets, _ := os.ReadFile("/proc/net/udp")
	return strings.Contains(string(sockets), fmt.Sprintf(": 0100007F:%04X ", port))
}

// v9Field is a NetFlow v9 field and where its value comes from.
type v9Field struct {
	id, length uint16
	column     flow.Column
}

var v9Fields = []v9Field{
	{22, 4, flow.Start}, {21, 4, flow.End}, {2, 8, flow.Packets}, {1, 8, flow.Bytes},
	{4, 1, flow.Protocol}, {7, 2, flow.SrcPort}, {11, 2, flow.DstPort}, {6, 1, flow.TCPFlags}, {32, 2, flow.ICMPType},
	{10, 4, flow.InIf}, {14, 4, flow.OutIf}, {61, 1, flow.Direction}, {89, 1, flow.ForwardingStatus},
	{15, 4, flow.NextHop}, {18, 4, flow.BGPNextHop}, {16, 4, flow.SrcAS}, {17, 4, flow.DstAS},
	{9, 1, flow.SrcMask}, {13, 1, flow.DstMask}, {5, 1, flow.TOS}, {58, 2, flow.SrcVLAN}, {59, 2, flow.DstVLAN},
	{56, 6, flow.SrcMAC}, {80, 6, flow.DstMAC}, {129, 4, flow.PrevAS}, {128, 4, flow.NextAS},
	{70, 3, flow.MPLSLabel1}, {71, 3, flow.MPLSLabel2}, {72, 3, flow.MPLSLabel3}, {73, 3, flow.MPLSLabel4}, {74, 3, flow.MPLSLabel5},
	{75, 3, flow.MPLSLabel6}, {76, 3, flow.MPLSLabel7}, {77, 3, flow.MPLSLabel8}, {78, 3, flow.MPLSLabel9}, {79, 3, flow.MPLSLabel10},
}

// netflow9 encodes flows as datagrams of their observation domains; template
// 256 is for IPv4, 257 for IPv6.
func netflow9(b *flow.Batch, more ...v9Field) [][]byte {
	const uptime = 4_000_000_000 // at the moment of export, which is an hour and a half after epoch
	const exported = epoch/1000 + 5400
	be := binary.BigEndian
	fields := slices.Concat(v9Fields, more)
	templates := map[bool][]v9Field{
		false: append([]v9Field{{8, 4, flow.SrcAddr}, {12, 4, flow.DstAddr}}, fields...),
		true:  append([]v9Field{{27, 16, flow.SrcAddr}, {28, 16, flow.DstAddr}}, fields...),
	}
	var datagrams [][]byte
	sequence := map[uint64]int{}
	datagram := func(domain uint64, set uint16, records int, body []byte) {
		d := be.AppendUint16(nil, 9)
		d = be.AppendUint16(d, uint16(records))
		d = be.AppendUint32(d, uptime)
		d = be.AppendUint32(d, exported)
		d = be.AppendUint32(d, uint32(sequence[domain]))
		d = be.AppendUint32(d, uint32(domain))
		d = be.AppendUint16(d, set)
		d = be.AppendUint16(d, uint16(4+len(body)))
		datagrams = append(datagrams, append(d, body...))
		sequence[domain]++
	}
	var domains []uint64
	for i := range b.Len() {
		if d := b.Uint(flow.ObservationDomain, i); !slices.Contains(domains, d) {
			domains = append(domains, d)
		}
	}
	for _, domain := range domains {
		for set, v6 := range map[uint16]bool{256: false, 257: true} {
			t := be.AppendUint16(nil, set)
			t = be.AppendUint16(t, uint16(len(templates[v6])))
			for _, f := range templates[v6] {
				t = be.AppendUint16(be.AppendUint16(t, f.id), f.length)
			}
			datagram(domain, 0, 1, t)
			var body []byte
			records := 0
			for i := range b.Len() {
				if b.Addr(flow.SrcAddr)[i].Is4() == v6 || b.Uint(flow.ObservationDomain, i) != domain {
					continue
				}
				for _, f := range templates[v6] {
					if flow.Schema[f.column].Kind == flow.Address {
						a := b.Addr(f.column)[i]
						body = append(body, a[16-f.length:]...)
						continue
					}
					v := b.Uint(f.column, i)
					switch {
					case f.id >= 70 && f.id < 80:
						v <<= 4 // experimental bits, bottom of the stack
						if f.column == flow.MPLSLabel10 {
							v |= 1
						}
					case f.id == 364: // portRangeNumPorts
						v = b.Uint(flow.NATPortEnd, i) - v + 1
					case f.column == flow.Start || f.column == flow.End:
						v = uptime - (exported*1000 - v)
					case f.column == flow.ICMPType || f.column == flow.DstPort && b.Present[i].Has(flow.ICMPType):
						v = uint64(b.U8(flow.ICMPType)[i])<<8 | uint64(b.U8(flow.ICMPCode)[i])
					}
					body = append(body, be.AppendUint64(nil, v)[8-f.length:]...)
				}
				if records++; records == 8 {
					datagram(domain, set, records, body)
					body, records = nil, 0
				}
			}
			if records > 0 {
				datagram(domain, set, records, body)
			}
		}
	}
	return datagrams
}
