package packet_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/wire/packet"
	"github.com/minamo-flow/minamo/wire/pcap"
)

// tsharkFields are what is asked of tshark. Each has a value for every header
// that has it, the outermost first.
var tsharkFields = []string{"frame.protocols",
	"eth.src", "eth.dst", "eth.type", "vlan.id", "vlan.etype", "ieee8021ad.id", "sll.etype", "mpls.label", "mpls.bottom",
	"ip.src", "ip.dst", "ip.dsfield", "ip.ttl", "ip.frag_offset", "ip.id", "ip.proto",
	"ipv6.src", "ipv6.dst", "ipv6.tclass", "ipv6.hlim", "ipv6.flow", "ipv6.fraghdr.offset", "ipv6.fraghdr.ident", "ipv6.fraghdr.nxt", "ipv6.routing.srh.addr",
	"tcp.srcport", "tcp.dstport", "tcp.flags", "udp.srcport", "udp.dstport", "sctp.srcport", "sctp.dstport", "dccp.srcport", "dccp.dstport",
	"icmp.type", "icmp.code", "icmpv6.type", "icmpv6.code",
	"gre.flags.key", "gre.key", "erspan.spanid", "vxlan.vni", "geneve.vni", "gtp.teid"}

// tshark dissects the packets of one link type.
func tshark(t *testing.T, link packet.Link, packets [][]byte) (rows []map[string][]string) {
	t.Helper()
	var file bytes.Buffer
	w, err := pcap.NewWriter(&file, link, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range packets {
		if err := w.Write(&pcap.Packet{Link: link, Length: len(p), Data: p}); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "matrix.pcap")
	if err := os.WriteFile(path, file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if rows = dissect(t, path); len(rows) != len(packets) {
		t.Fatalf("%d of %d packets were dissected", len(rows), len(packets))
	}
	return rows
}

// dissect has tshark dissect a capture file.
func dissect(t *testing.T, path string) (rows []map[string][]string) {
	t.Helper()
	args := []string{"-n", "-r", path, "-T", "fields", "-E", "occurrence=a", "-E", "aggregator=;",
		"-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE", "-d", "udp.port==8472,vxlan",
		"-d", "mpls.label==1001,pwethcw", "-d", "mpls.label==1002,pwethnocw"}
	for _, f := range tsharkFields {
		args = append(args, "-e", f)
	}
	var complaint bytes.Buffer
	command := exec.Command("tshark", args...)
	command.Stderr = &complaint
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, &complaint)
	}
	for line := range strings.Lines(string(out)) {
		row := map[string][]string{}
		for n, v := range strings.Split(strings.TrimSuffix(line, "\n"), "\t") {
			if v != "" {
				row[tsharkFields[n]] = strings.Split(v, ";")
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// tsharkTransport are the protocols with columns of their own, by tshark's names.
var tsharkTransport = map[string]string{"tcp": "6", "udp": "17", "sctp": "132", "dccp": "33", "udplite": "136",
	"icmp": "1", "icmpv6": "58", "igmp": "2", "gre": "47", "esp": "50"}

// ourColumns makes of a dissection what our columns should say.
func ourColumns(row map[string][]string) map[string]string {
	want := map[string]string{}
	seen := map[string]int{}
	take := func(field string) string { // the next header's value
		n := seen[field]
		seen[field]++
		if n < len(row[field]) {
			return number(row[field][n])
		}
		return "missing"
	}
	last := func(field string) string {
		if v := row[field]; len(v) > 0 {
			return number(v[len(v)-1])
		}
		return "missing"
	}
	tag := func(id string) {
		column := "src_vlan"
		if want["tags"] != "" {
			column = "customer_vlan"
		}
		want["tags"] += "x"
		if len(want["tags"]) <= 2 && id != "0" {
			want[column] = id
		}
	}

	var names []string // of headers
	if len(row["frame.protocols"]) > 0 {
		names = strings.Split(row["frame.protocols"][0], ":")
	}
	var wire, before bool // in a pseudowire's frame; there is IP before
	tunnel := ""
	for n, name := range names {
		switch name {
		case "eth":
			src, dst := take("eth.src"), take("eth.dst")
			if wire = n > 0 && names[n-1] == "mpls"; wire && want["src_mac"] != "" {
				if want["tags"] == "" {
					want["tags"] = "x" // the customer's tag is never the link's
				}
				break
			}
			want["src_mac"], want["dst_mac"] = src, dst
			delete(want, "src_vlan")
			delete(want, "customer_vlan")
			delete(want, "tags")
		case "ethertype":
			field := map[string]string{"eth": "eth.type", "vlan": "vlan.etype", "sll": "sll.etype"}[names[n-1]]
			if field == "" {
				break
			}
			if v := take(field); !wire {
				want["ether_type"] = v
			}
		case "ieee8021ad":
			tag(take("ieee8021ad.id"))
		case "vlan":
			tag(take("vlan.id"))
		case "mpls":
			for k := range 10 {
				delete(want, fmt.Sprintf("mpls_label%d", k+1))
			}
			for k := 0; ; k++ {
				if k < 10 {
					want[fmt.Sprintf("mpls_label%d", k+1)] = take("mpls.label")
				} else {
					take("mpls.label")
				}
				if bottom := take("mpls.bottom"); bottom != "0" {
					break
				}
			}
		case "gre":
			if tunnel = "gre"; take("gre.flags.key") == "1" {
				want["next_id"] = take("gre.key")
			}
		case "erspan":
			if id := take("erspan.spanid"); id != "missing" {
				want["next_id"] = id
			}
		case "vxlan", "geneve":
			tunnel, want["next_id"] = name, take(name+".vni")
		case "gtp":
			tunnel, want["next_id"] = "gtp-u", take("gtp.teid")
		case "ipv6.routing":
			tunnel = "srv6"
		case "ip", "ipv6":
			outer := want["version"]
			if before && names[n-1] == "udp" { // VXLAN-GPE is not among tshark's names
				tunnel, want["next_id"] = "vxlan", take("vxlan.vni")
			}
			if before {
				if tunnel == "" {
					if tunnel = "ipip"; outer == "ip" && name == "ipv6" {
						tunnel = "6in4"
					}
				}
				want["tunnel"], want["tunnel_src_addr"], want["tunnel_dst_addr"] = tunnel, want["src_addr"], want["dst_addr"]
				if tunnel == "srv6" {
					want["tunnel_dst_addr"] = row["ipv6.routing.srh.addr"][0]
				}
				delete(want, "tunnel_id")
				if id := want["next_id"]; id != "" {
					want["tunnel_id"] = id
				}
			}
			before, tunnel = true, ""
			delete(want, "next_id")
			delete(want, "flow_label")
			delete(want, "fragment_offset")
			delete(want, "fragment_id")
			delete(want, "protocol")
			want["version"] = name
			want["src_addr"], want["dst_addr"] = take(name+".src"), take(name+".dst")
			if name == "ip" {
				want["tos"], want["ttl"] = take("ip.dsfield"), take("ip.ttl")
				want["fragment_offset"], want["fragment_id"] = take("ip.frag_offset"), take("ip.id")
				want["protocol"] = take("ip.proto")
			} else {
				want["tos"], want["ttl"], want["flow_label"] = take("ipv6.tclass"), take("ipv6.hlim"), take("ipv6.flow")
			}
		case "ipv6.fraghdr":
			want["fragment_offset"], want["fragment_id"] = take("ipv6.fraghdr.offset"), take("ipv6.fraghdr.ident")
			want["protocol"] = take("ipv6.fraghdr.nxt")
		}
	}

	// What the innermost IP packet carries.
	for n := len(names) - 1; n >= 0 && names[n] != "ip" && names[n] != "ipv6"; n-- {
		if protocol := tsharkTransport[names[n]]; protocol != "" {
			want["protocol"] = protocol
			switch name := names[n]; name {
			case "tcp":
				want["tcp_flags"] = last("tcp.flags")
				fallthrough
			case "udp", "sctp", "dccp", "udplite":
				if name == "udplite" {
					name = "udp"
				}
				want["src_port"], want["dst_port"] = last(name+".srcport"), last(name+".dstport")
			case "icmp", "icmpv6":
				want["icmp_type"], want["icmp_code"] = last(name+".type"), last(name+".code")
			}
		}
	}
	for _, helper := range []string{"version", "tags", "next_id"} {
		delete(want, helper)
	}
	return want
}

// number makes a decimal one of tshark's hexadecimal ones.
func number(v string) string {
	if n, err := strconv.ParseUint(strings.TrimPrefix(v, "0x"), 16, 64); err == nil && strings.HasPrefix(v, "0x") {
		return strconv.FormatUint(n, 10)
	}
	return v
}

// TestAgreesWithTshark compares every column over a matrix of encapsulations,
// tunnels and what is inside.
func TestAgreesWithTshark(t *testing.T) {
	if _, err := exec.LookPath("tshark"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%v: apt-get install tshark", err)
		}
		t.Skipf("SKIPPED, NOTHING WAS COMPARED: %v: apt-get install tshark", err)
	}
	q := packet.Parser{Tunnels: packet.AllTunnels}
	var compared, agreed int
	for link, matrix := range packet.Matrix() {
		var packets [][]byte
		for _, m := range matrix {
			packets = append(packets, m.Packet)
		}
		for n, row := range tshark(t, link, packets) {
			compared++
			b := flow.NewBatch(1)
			b.Extend(1)
			q.Parse(b, 0, link, packets[n])
			want := ourColumns(row)
			wrong := ""
			for c := range flow.Columns() {
				if c == flow.EtherType && !strings.Contains(row["frame.protocols"][0], "ethertype") {
					continue
				}
				v, known := want[c.String()]
				if !known {
					v = "absent"
				}
				got := "absent"
				if b.Present[0].Has(c) {
					got = string(b.AppendText(nil, c, 0))
				}
				if got == v && known {
					agreed++
				} else if got != v {
					wrong += fmt.Sprintf("\n  %s is %s, of tshark %s", c, got, v)
				}
			}
			if wrong != "" {
				t.Errorf("%s (%s)%s\n  %x", matrix[n].Name, row["frame.protocols"][0], wrong, packets[n])
			}
		}
	}
	t.Logf("%d packets: %d values agree", compared, agreed)
}
