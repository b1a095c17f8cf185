package query

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/minamo-flow/minamo/flow"
)

func TestFilterSQL(t *testing.T) {
	const v4 = "00000000-0000-0000-0000-ffff"
	for _, c := range []struct{ filter, want string }{
		{"", "true"},
		{"  # nothing but a comment", "true"},
		{"src port 53", `"src_port" = 53`},
		{"port 53", `("src_port" = 53 OR "dst_port" = 53)`},
		{"src and dst port 53", `("src_port" = 53 AND "dst_port" = 53)`},
		{"in or out if 7", `("in_if" = 7 OR "out_if" = 7)`},
		{"SRC PORT EQ 53", `"src_port" = 53`},
		{"port != 53", `(("src_port" = 53 OR "dst_port" = 53)) IS NOT TRUE`},
		{"not port > 1k", `(("src_port" > 1000 OR "dst_port" > 1000)) IS NOT TRUE`},
		{"dst port in [53, 123 6000-6063]", `("dst_port" IN (53, 123) OR "dst_port" BETWEEN 6000 AND 6063)`},
		{"dst port 6000-6063", `"dst_port" BETWEEN 6000 AND 6063`},
		{"src ip 10.0.0.1", `"src_addr" = '` + v4 + `0a000001'::UUID`},
		{"src ip ::ffff:10.0.0.1", `"src_addr" = '` + v4 + `0a000001'::UUID`},
		{"dst net 10/8", `"dst_addr" BETWEEN '` + v4 + `0a000000'::UUID AND '` + v4 + `0affffff'::UUID`},
		{"dst net 10.0.0.0 255.0.0.0", `"dst_addr" BETWEEN '` + v4 + `0a000000'::UUID AND '` + v4 + `0affffff'::UUID`},
		{"src net 2001:db8::/33", `"src_addr" BETWEEN '20010db8-0000-0000-0000-000000000000'::UUID AND '20010db8-7fff-ffff-ffff-ffffffffffff'::UUID`},
		{"exporter ip 192.0.2.1", `"exporter" = '` + v4 + `c0000201'::UUID`},
		{"bytes>10k", `"bytes" > 10000`},
		{"bytes >= 3g", `"bytes" >= 3000000000`},
		{"proto ICMPv6", `"protocol" = 58`},
		{"protocol in [tcp 17]", `"protocol" IN (6, 17)`},
		{"flags SA", `("tcp_flags" & 18) = 18`},
		{"not flags SA", `(("tcp_flags" & 18) > 0) IS NOT TRUE`},
		{"flags 18", `"tcp_flags" = 18`},
		{"dscp ef", `("tos" // 4) = 46`},
		{"fwdstat dropped", `"forwarding_status" BETWEEN 128 AND 191`},
		{"ingress", `"direction" = 0`},
		{"direction egress", `"direction" = 1`},
		{"flags = S", `"tcp_flags" = 2`},
		{"flags =SA", `"tcp_flags" = 18`},
		{"not flags = S", `("tcp_flags" = 2) IS NOT TRUE`},
		{"flags in [S SA 24]", `"tcp_flags" IN (2, 18, 24)`},
		{"flags >= 16", `"tcp_flags" >= 16`},
		{"duration > 10s", `greatest(epoch_ms("end") - epoch_ms("start"), 0) > 10000`},
		{"duration 5min-1h", `greatest(epoch_ms("end") - epoch_ms("start"), 0) BETWEEN 300000 AND 3600000`},
		{"duration >= 1m", `greatest(epoch_ms("end") - epoch_ms("start"), 0) >= 1000000`},
		{"first seen > 2026-11-22T09", `"start" > '2026-11-22 09:00:00.000+00'::TIMESTAMPTZ`},
		{"last seen < 2026", `"end" < '2026-01-01 00:00:00.000+00'::TIMESTAMPTZ`},
		{"fwdstat noroute", `"forwarding_status" = 131`},
		{"fwdstat > 127", `"forwarding_status" > 127`},
		{"fwdstat in [policer dropped]", `("forwarding_status" = 138 OR "forwarding_status" BETWEEN 128 AND 191)`},
		{"src port in pblock", `"src_port" BETWEEN "nat_port_start" AND "nat_port_end"`},
		{"asa event denied egress", `("firewall_event" = 3 AND "firewall_ext_event" = 1002)`},
		{"asa event denied and tcp", `("firewall_event" = 3 AND "protocol" = 6)`},
		{"asa event term", `"firewall_event" = 2`},
		{"nat event add", `"nat_event" = 1`},
		{"src nat ip 10.0.0.1", `"post_nat_src_addr" = '` + v4 + `0a000001'::UUID`},
		{"ingress acl outside-in", `"ingress_acl" = 'outside-in'`},
		{"ingress acl 'x' or egress acl '5'", `("ingress_acl" = 'x' OR "egress_acl" = '5')`},
		{"ingress acl > 0x10", `TRY_CAST(split_part("ingress_acl", '/', 1) AS UBIGINT) > 16`},
		{"egress ace 5", `TRY_CAST(split_part("egress_acl", '/', 2) AS UBIGINT) = 5`},
		{"mpls any 5 and mpls label2 6", `(("mpls_label1" = 5 OR "mpls_label2" = 5 OR "mpls_label3" = 5 OR "mpls_label4" = 5 OR "mpls_label5" = 5 OR "mpls_label6" = 5 OR "mpls_label7" = 5 OR "mpls_label8" = 5 OR "mpls_label9" = 5 OR "mpls_label10" = 5) AND "mpls_label2" = 6)`},
		{"src and dst tos 3", `("tos" = 3 AND "post_tos" = 3)`},
		{"src and dst net in [10/8]", `("src_addr" BETWEEN '` + v4 + `0a000000'::UUID AND '` + v4 + `0affffff'::UUID AND "dst_addr" BETWEEN '` + v4 + `0a000000'::UUID AND '` + v4 + `0affffff'::UUID)`},
		{"udp or icmp type 8", `("protocol" = 17 OR "icmp_type" = 8)`},
		{"nfversion 9", `"export_protocol" = 9`},
		{"previous as 5", `"prev_as" = 5`},
		{"bgp next ip 10.0.0.1", `"bgp_next_hop" = '` + v4 + `0a000001'::UUID`},
		{"not udp or tcp", `(("protocol" = 17) IS NOT TRUE OR "protocol" = 6)`},
		{"not udp and tcp", `(("protocol" = 17) IS NOT TRUE AND "protocol" = 6)`},
		{"tcp and (not udp) or icmp", `(("protocol" = 6 AND ("protocol" = 17) IS NOT TRUE) OR "protocol" = 1)`},
		{"ingress vrf 5", `"in_vrf" = 5`},
		{"flow_end_reason 'idle timeout'", `"flow_end_reason" = 1`},
		{"flow_end_reason idle-timeout", `"flow_end_reason" = 1`},
		{"export_protocol ipfix", `"export_protocol" = 10`},
		{"src_mac 00:00:5e:00:53:01", `"src_mac" = 1577079553`},
		{"src mac 0:0:5e:0:53:1", `"src_mac" = 1577079553`},
		{"src mac 0000.5e00.5301", `"src_mac" = 1577079553`},
		{"src mac 0:0:5e:0:53", ""},
		{"src mac 0:0:5e:0:053:1", ""},
		{"start >= 2026-11-22T10:00:00+01:00", `"start" >= '2026-11-22 09:00:00.000+00'::TIMESTAMPTZ`},
		{"sampling_rate > 100", `"sampling_rate" > 100`},
		{"a_s 1", ""},
		{"proto tcp and dst port 80 or proto udp", `(("protocol" = 6 AND "dst_port" = 80) OR "protocol" = 17)`},
		{"proto tcp && ! dst port 80", `("protocol" = 6 AND ("dst_port" = 80) IS NOT TRUE)`},
		{"drop_reason present", `"drop_reason" IS NOT NULL`},
		{"not tunnel present", `("tunnel" IS NOT NULL) IS NOT TRUE`},
		{"as present", `("src_as" IS NOT NULL OR "dst_as" IS NOT NULL)`},
		{"src and dst user present", `("src_user" IS NOT NULL AND "dst_user" IS NOT NULL)`},
		{"flags present and src user 'present'", `("tcp_flags" IS NOT NULL AND "src_user" = 'present')`},
		{"flow_end_reason in [1-3]", `"flow_end_reason" BETWEEN 1 AND 3`},
		{"proto 6-17", `"protocol" BETWEEN 6 AND 17`},
		{"(proto tcp)", `"protocol" = 6`},
	} {
		f, err := ParseFilter(c.filter)
		switch {
		case c.want == "" && err == nil:
			t.Errorf("%q is not refused", c.filter)
		case c.want != "" && err != nil:
			t.Errorf("%q: %v", c.filter, err)
		case c.want != "" && f.SQL() != c.want:
			t.Errorf("%q\n got %s\nwant %s", c.filter, f.SQL(), c.want)
		}
	}
	var none *Filter
	if none.SQL() != "true" || none.String() != "" {
		t.Error("a nil filter does not match everything")
	}
}

func TestFilterColumns(t *testing.T) {
	for filter, want := range map[string][]flow.Column{
		"":                 nil,
		"any":              nil,
		"not any":          nil,
		"src port 53":      {flow.SrcPort},
		"not (port != 53)": {flow.SrcPort, flow.DstPort},
		"src or dst ip in [10/8 192.0.2.1] or (proto tcp and bytes > 1k)": {flow.SrcAddr, flow.DstAddr, flow.Protocol, flow.Bytes},
		"inet6":                      {flow.SrcAddr, flow.DstAddr},
		"flags S and not flags A":    {flow.TCPFlags},
		"bps > 1m":                   {flow.Start, flow.End, flow.Bytes},
		"pps > 1 and bpp > 1":        {flow.Start, flow.End, flow.Bytes, flow.Packets},
		"vni 5":                      {flow.Tunnel, flow.TunnelID, flow.SegmentID},
		"engine-id 1":                {flow.ExportProtocol, flow.ObservationDomain},
		"tun proto gre":              {flow.Tunnel, flow.SrcAddr},
		"dst port in pblock":         {flow.DstPort, flow.NATPortStart, flow.NATPortEnd},
		"asa event denied ingress":   {flow.FirewallEvent, flow.FirewallExtEvent},
		"ingress acl 5":              {flow.IngressACL},
		"mpls eos 5":                 mplsLabels,
		"dscp ef":                    {flow.TOS},
		"user ~ a or acl present":    {flow.SrcUser, flow.DstUser, flow.IngressACL, flow.EgressACL},
		"egress or drop_reason != 3": {flow.Direction, flow.DropReason},
		"flows > 1":                  {flow.AggregatedFlows},
	} {
		if got := mustParse(t, filter).Columns(); got != flow.MaskOf(want...) {
			t.Errorf("%s: %v", filter, got.Columns())
		}
	}
	var none *Filter
	if none.Columns() != (flow.Mask{}) {
		t.Error("a nil filter has columns")
	}
}

func TestFilterSwapped(t *testing.T) {
	for filter, want := range map[string]string{
		"src ip 192.0.2.1": "dst ip 192.0.2.1",
		"net 10/8":         "dst or src net 10/8",
		"src port 53 and not dst port in [80 443-445]": "dst port 53 and not src port in [80 443-445]",
		"in if 7 or out if 8":                          "out if 7 or in if 8",
		"src as > 5 and prev as 3":                     "dst as > 5 and next as 3",
		"src mask 24":                                  "dst mask 24",
		"src vlan 1":                                   "dst vlan 1",
		"src mac 00:00:5e:00:53:01":                    "dst mac 00:00:5e:00:53:01",
		"in vrf 1":                                     "out vrf 1",
		"src nip 192.0.2.1 and src nport 9":            "dst nip 192.0.2.1 and dst nport 9",
		"src user ~ '^a' and dst user has b":           "dst user ~ '^a' and src user has b",
		"src tunip 192.0.2.1":                          "dst tunip 192.0.2.1",
		"tunnel_src_addr present":                      "tunnel_dst_addr present",
		"flags S and proto tcp and bytes > 1k and bps > 1 and not flags A": "flags S and proto tcp and bytes > 1k and bps > 1 and not flags A",
		"src tos 1 and dst tos 2":                   "src tos 1 and dst tos 2",
		"next ip 192.0.2.1 and router ip 192.0.2.2": "next ip 192.0.2.1 and router ip 192.0.2.2",
		"": "",
	} {
		f := mustParse(t, filter)
		before := f.SQL()
		swapped := f.Swapped()
		if swapped.SQL() != mustParse(t, want).SQL() {
			t.Errorf("%s: %s", filter, swapped.SQL())
		}
		if f.SQL() != before || swapped.Swapped().SQL() != before {
			t.Errorf("%s: %s after it was swapped, %s swapped twice", filter, f.SQL(), swapped.Swapped().SQL())
		}
	}
	var none *Filter
	if none.Swapped() != nil {
		t.Error("a nil filter swapped is another")
	}
}

func TestFilterErrors(t *testing.T) {
	for _, c := range []struct {
		filter     string
		column     int
		word       string
		expected   string // a part of it
		suggestion string
	}{
		{"prot tcp", 1, "prot", "a condition", "proto"},
		{"src prt 53", 5, "prt", "port", "port"},
		{"proto tpc", 7, "tpc", "a protocol", "tcp"},
		{"port", 5, "", "a number from 0 to 65535", ""},
		{"port 70000", 6, "70000", "a number from 0 to 65535", ""},
		{"ip 10.0.0.300", 4, "10.0.0.300", "an IPv4 or IPv6 address", ""},
		{"net 10.0.0.0", 13, "", "a netmask", ""},
		{"net 10.0.0.0/33", 5, "10.0.0.0/33", "a network", ""},
		{"net 10.0.0.0 255.0.255.0", 14, "255.0.255.0", "a netmask", ""},
		{"proto tcp port 80", 11, "port", "and, or", ""},
		{"proto tcp adn port 80", 11, "adn", "and, or", "and"},
		{"(proto tcp", 11, "", "a closing )", ""},
		{"proto tcp)", 10, ")", "no ( is open", ""},
		{"proto tcp and", 14, "", "a condition", ""},
		{"port in 53", 9, "53", "[", ""},
		{"port in [53", 12, "", "a closing ]", ""},
		{"port in []", 10, "]", "at least one value", ""},
		{"ip > 10.0.0.1", 4, ">", "has no order", ""},
		{"bytes > 10q", 9, "10q", "a number", ""},
		{"bytes > 99999999999g", 9, "99999999999g", "a number", ""},
		{"flags Z", 7, "Z", "TCP flags", ""},
		{"proto tcp & port 80", 11, "&", "&&", ""},
		{"flow_end_reason 'idle", 17, "'idle", "a closing '", ""},
		{"日本 and port 53", 1, "日本", "a condition", ""},
		{"proto tcp and 日本", 15, "日本", "a condition", ""},
		{"src or dst proto tcp", 12, "proto", "after src", "port"},
		{"next asn 65000", 6, "asn", "one of as, ip", "as"},
		{"src_user", 9, "", "a text", ""},
		{"drop_reason unknown-vni", 13, "unknown-vni", ", …, or a number", ""},
		{"any present", 5, "present", "and, or", ""},
		{"flow_end_reason 3-1", 17, "3-1", "or a number", ""},
		{"user > alice", 6, ">", "text has no order", ""},
		{"user contains", 14, "", "a text that is contained", ""},
		{"user ~ '('", 8, "(", "a regular expression (RE2): error parsing regexp: missing closing )", ""},
		{"user ~ '(\\pL{500}){2}'", 8, "(\\pL{500}){2}", "a shorter regular expression", ""},
		{"ip www.example.com", 4, "www.example.com", "names are not looked up", ""},
		{"src or ", 8, "", "one of src, dst, in, out after or", ""},
		{"in or out bytes 5", 11, "bytes", "another condition", ""},
		{"proto tcp and in or out byte 5", 25, "byte", "one of if, role, vlan", ""},
		{"port in pblok", 9, "pblok", "[", ""},
		{"asa event denied because", 18, "because", "and, or", ""},
		{"duration > 10parsecs", 12, "10parsecs", "a duration", ""},
		{"duration > 200000000000d", 12, "200000000000d", "a duration", ""},
		{"flags", 6, "", "TCP flags", ""},
		{"flags = ''", 9, "", "TCP flags", ""},
		{"first seen 2026-13", 12, "2026-13", "a time", ""},
		{"user 'a\x00b'", 6, "a\x00b", "UTF-8 without zero bytes", ""},
		{"user in [a \xff]", 12, "\xff", "UTF-8", ""},
		{"as path has [1 2]", 13, "[", "a word", ""},
		{"dst port > 6000-6063", 12, "6000-6063", "a single value", ""},
		{strings.Repeat("(", 200) + "any" + strings.Repeat(")", 200), 101, "(", "nested", ""},
	} {
		_, err := ParseFilter(c.filter)
		var wrong *FilterError
		if !errors.As(err, &wrong) {
			t.Errorf("%q: %v", c.filter, err)
			continue
		}
		if wrong.Column != c.column || wrong.Word != c.word || !strings.Contains(wrong.Expected, c.expected) || wrong.Suggestion != c.suggestion {
			t.Errorf("%q: got %+v, want %+v", c.filter, *wrong, c)
		}
	}
}

// TestFilterAbsentColumns holds NOT to two values: a flow that lacks a column
// fails every test of it and passes every negated one.
func TestFilterAbsentColumns(t *testing.T) {
	e := newEngine(t)
	b := flow.NewBatch(1)
	for _, ports := range [][]uint64{{53, 1000}, {1000, 2000}, nil} {
		i := b.Extend(1)
		b.SetUint(flow.Start, i, epoch)
		b.SetUint(flow.End, i, epoch)
		b.SetUint(flow.Packets, i, 1)
		b.SetUint(flow.Bytes, i, 0)
		b.SetUint(flow.SamplingRate, i, 1)
		if ports != nil {
			b.SetUint(flow.SrcPort, i, ports[0])
			b.SetUint(flow.DstPort, i, ports[1])
		}
	}
	// A file written before the column existed is like a flow that lacks it.
	files := writeParquet(t, e, b, flow.InIf, flow.TCPFlags)
	for filter, want := range map[string]uint64{
		"port 53": 1, "not port 53": 2, "not not port 53": 1, "port != 53": 2,
		"not (port 53 or port 2000)": 1, "not (port 53 and in if 1)": 3, "not src port > 0": 1,
		"in if 1": 0, "not in if 1": 3, "flags S": 0, "not flags S": 3, "bpp 0": 3, "bps 0": 3,
		"ipv4": 0, "ipv6": 0, "not ipv4": 3,
	} {
		if got := count(t, e, files, filter); got != want {
			t.Errorf("%s matches %d flows, want %d", filter, got, want)
		}
		if got := count(t, e, nil, filter); got != 0 {
			t.Errorf("%s matches %d flows of none", filter, got)
		}
	}
}

func count(t *testing.T, e *Engine, files Files, filter string) uint64 {
	t.Helper()
	f, err := ParseFilter(filter)
	if err != nil {
		t.Fatal(err)
	}
	table, err := e.Top(context.Background(), files, Request{Filter: f})
	if err != nil {
		t.Fatal(err)
	}
	return table.Total.Flows
}

// examples gives operands for every kind of primitive.
var examples = map[string][]string{
	"": {""},
	"flags | [comparator] flags | in [ flags … ]": {"SA", "18", "= S", "> 0x10", "in [S SA 24]"},
	"[comparator] number | in [ number … ]":       {"> 1", "1", "in [1 2, 3-4]", "!= 1"},
	"[comparator] number | in [ number … ] | [= | !=] quoted name | in [ quoted name … ] | contains text | has word | ~ regex": {"lt 1", "in [1 2]", "'xe-0/0/0'", `!= "7"`, "in ['a' 'b']", "contains xe", "has lo0", "~ '^ge'"},
	"[comparator] number | in [ number … ] | in pblock":                                                                        {"lt 1", "in [1 2]", "in pblock", "in nat pblock"},
	"[comparator] duration | in [ duration … ]":                                                                                {"> 1", "< 10s", "in [5ms 1min-2h 1d]"},
	"[= | !=] address | in [ address … ]":                                                                                      {"in [192.0.2.1 2001:db8::/32]", "192.0.2.1"},
	"[= | !=] prefix | in [ prefix … ]":                                                                                        {"192.0.2.0/24", "192.0.2.0 255.255.255.0", "in [10/8]"},
	"[= | !=] protocol | in [ protocol … ]":                                                                                    {"tcp", "in [6-17 ospf]", "!= 0x11"},
	"[= | !=] MAC address | in [ MAC address … ]":                                                                              {"!= 00:00:5e:00:53:01"},
	"[= | !=] DSCP | in [ DSCP … ]":                                                                                            {"af41", "46"},
	"[comparator] status | in [ status … ]":                                                                                    {"in [forwarded 130 noroute]", "> 127", "policer"},
	"[comparator] event | in [ event … ]":                                                                                      {"add", "> 3", "in [nat44-session-create 5]"},
	"[comparator] event | in [ event … ] | denied reason":                                                                      {"deny", "< 3", "denied", "denied ingress", "denied 1004", "in [create 2]"},
	"[comparator] reason | in [ reason … ]":                                                                                    {"nosyn", "> 1001"},
	"[= | !=] name or number | in [ name or number … ]":                                                                        {"in [1 2]"},
	"[= | !=] text | in [ text … ] | contains text | has word | ~ regex":                                                       {"has 64496", "!= x", "contains 'a b'", "~ '^a'", "in [a 'b c']"},
	"[= | !=] text | in [ text … ] | contains text | has word | ~ regex | [comparator] number":                                 {"outside-in", "5", "> 0x10", "~ '^a'"},
	"[comparator] time | in [ time … ]":                                                                                        {"< 2026-11-22", ">= 2026", "= '2026-11-22 10:00'"},
}

// TestEveryPrimitive parses each phrase of the table and has DuckDB accept it.
func TestEveryPrimitive(t *testing.T) {
	e := newEngine(t)
	names := map[string]bool{}
	accept := func(text string) {
		f, err := ParseFilter("not " + text + " or any")
		if err != nil {
			t.Errorf("%s: %v", text, err)
			return
		}
		explain(t, e, f)
		explain(t, e, f.Swapped())
		for c := range f.Columns().All() {
			if !strings.Contains(f.SQL(), quote(c.String())) {
				t.Errorf("%s: column %s is not in %s", text, c, f.SQL())
			}
		}
	}
	for _, p := range Primitives() {
		syntax, presence := strings.CutSuffix(p.Operand, " | present")
		operands, ok := examples[syntax]
		if !ok || p.Doc == "" {
			t.Errorf("%v: operand %q, doc %q", p.Words, p.Operand, p.Doc)
		}
		for _, words := range p.Words {
			names[words] = true
			for _, operand := range operands {
				accept(words + " " + operand)
			}
			if presence {
				accept(words + " present")
			}
		}
	}
	for c := range flow.Columns() {
		if !names[c.String()] {
			t.Errorf("column %s cannot be filtered by its name", c)
		}
	}
}

func explain(t testing.TB, e *Engine, f *Filter) {
	t.Helper()
	if _, err := e.db.Exec("EXPLAIN SELECT count(*) FROM no_flows WHERE " + f.SQL()); err != nil {
		t.Errorf("%q gives SQL that DuckDB refuses: %v\n%s", f, err, f.SQL())
	}
}

func TestLongFilters(t *testing.T) {
	e := newEngine(t)
	var list, chain []string
	for i := range 1500 {
		list = append(list, fmt.Sprintf("10.%d.%d.0/24", i>>8, i&255), fmt.Sprintf("192.0.%d.%d", i>>8, i&255))
		chain = append(chain, fmt.Sprintf("port %d", i))
	}
	for _, text := range []string{
		"src ip in [" + strings.Join(list, " ") + "]",
		strings.Join(chain[:1000], " or "),
		strings.Repeat("not ", 90) + "any",
		strings.Repeat("(", 90) + "any" + strings.Repeat(")", 90),
	} {
		f, err := ParseFilter(text)
		if err != nil {
			t.Fatalf("%.60s…: %v", text, err)
		}
		if _, err := e.db.Exec("EXPLAIN SELECT count(*) FROM no_flows WHERE " + f.SQL()); err != nil {
			t.Errorf("%.60s…: %.300v", text, err)
		}
	}
}

// TestRefusedConditions holds what nfdump knows and we do not to answers that
// say why, at the word.
func TestRefusedConditions(t *testing.T) {
	for filter, want := range map[string]string{
		"geo US":                             `filter, column 1: "geo" cannot be answered: the countries`,
		"proto tcp and src geo US":           `filter, column 15: "src" cannot be answered: the countries`,
		"not src nat geo CH":                 `filter, column 5: "src" cannot be answered: the countries`,
		"payload content 'GET /'":            `column 1: "payload" cannot be answered: nothing of the packets' payload is kept`,
		"(payload ja3 defined)":              `column 2: "payload"`,
		"count < 10":                         `column 1: "count"`,
		"ident router1":                      `column 1: "ident"`,
		"exporter id 5":                      `column 1: "exporter"`,
		"sysid 5":                            "router ip",
		"out bytes > 5 or in if 3":           "biflow reverse",
		"out src mac 00:00:5e:00:53:01":      "only the destination",
		"observation point id 5":             "observation points",
		"max ttl 64":                         "the least TTL",
		"ttl equal":                          "the least TTL",
		"mpls exp10 3":                       "experimental bits",
		"client latency > 5":                 "latencies",
		"app latency > 5":                    "latencies",
		"nat pblock step 5":                  "step of port blocks",
		"flowlabel x":                        "flow_label",
		"pf action block":                    "pflog",
		"@include /etc/passwd":               `column 1: "@include" cannot be answered: only`,
		"proto tcp and (@include hosts.txt)": `column 16: "@include" cannot be answered: only`,
	} {
		_, err := ParseFilter(filter)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", filter, err)
		}
	}
	for _, u := range unanswerable {
		for words := range strings.SplitSeq(u.phrases, "|") {
			var wrong *FilterError
			if _, err := ParseFilter(words + " 5"); !errors.As(err, &wrong) || wrong.Reason != u.reason || wrong.Column != 1 {
				t.Errorf("%s: %v", words, err)
			}
		}
	}
}

func TestFilterIncluding(t *testing.T) {
	files := map[string]string{
		"web": "dst port in [80 443] # the web\n",
		"all": "proto tcp and\n  @include web\n",
		"bad": "proto tcp and\n  prt 5",
		"me":  "any or @include me",
		"big": strings.Repeat(" ", maxFilterBytes/2),
		"two": "@include big\n@include big\n@include big",
		"end": "any # no line after this",
	}
	parse := func(text string) (*Filter, error) {
		return ParseFilterIncluding(text, func(name string) (string, error) {
			if text, ok := files[name]; ok {
				return text, nil
			}
			return "", fmt.Errorf("there is no file %s", name)
		})
	}
	for text, want := range map[string]string{
		"not (@include all\n) or udp":       "not (proto tcp and dst port in [80 443]) or udp",
		"@include web":                      "dst port in [80 443]",
		"@INCLUDE end\nor udp":              "any or udp",
		"user '@include' and @include\tend": "user '@include' and any",
	} {
		f, err := parse(text)
		if err != nil || f.SQL() != mustParse(t, want).SQL() || f.String() != text {
			t.Errorf("%s: %v, %v", text, f.SQL(), err)
		}
	}
	for text, want := range map[string]string{
		"@include bad":          `filter, bad:2:3: found "prt", expected a condition`,
		"udp and @include no":   `filter, column 18: "no" cannot be answered: there is no file no`,
		"@include ":             "column 10: found the end of the filter, expected the name of a file",
		"@include me":           `me:1:17: found "me", expected files that include files at most 10 deep`,
		"@include two":          "files of at most",
		"@include web\nand prt": `filter, column 18: found "prt"`,
	} {
		if _, err := parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func FuzzParseFilter(f *testing.F) {
	for _, text := range oracleFilters {
		f.Add(text)
	}
	for _, p := range Primitives() {
		for _, words := range p.Words {
			for _, operand := range examples[strings.TrimSuffix(p.Operand, " | present")] {
				f.Add(words + " " + operand)
			}
		}
	}
	for _, regex := range []string{"^a$", "(?im)^a.b$", `\A\pL+\z`, `(?s).*?x{2,5}`, `[^\d\x{1f600}-\x{1f64f}]`, "(?P<n>a|b)*", `\bword\B`, "(?U)a+", "[[:alpha:]]{1000}", "a||", `\Qa.b\E`} {
		f.Add("user ~ '" + regex + "'")
	}
	f.Add("src or dst port in [1 2-3,] and ((not x")
	f.Add("ip in [::/0 10/8] '\" # \x00\xff")
	e := newEngine(f)
	f.Fuzz(func(t *testing.T, text string) {
		filter, err := ParseFilter(text)
		if err != nil {
			var wrong *FilterError
			if !errors.As(err, &wrong) || wrong.Column < 1 || wrong.Column > len(text)+1 || wrong.Expected == "" {
				t.Fatalf("%q: %+v", text, err)
			}
			return
		}
		explain(t, e, filter)
	})
}

// TestTextFilters asks for texts that SQL, LIKE and regular expressions could
// take for something else.
func TestTextFilters(t *testing.T) {
	e := newEngine(t)
	values := []string{"alice", "Alice", "o'brien", "50%_", `a\b"c`, "64496 64497 {64498 64499}", "164497", "山田", "", "line\nbreak", "'; DROP TABLE flows --", "$1 ?"}
	b := flow.NewBatch(1)
	for _, v := range values {
		i := b.Extend(1)
		for _, c := range flow.Required.Columns() {
			if flow.Schema[c].Kind == flow.Address {
				b.SetAddr(c, i, flow.Addr{})
			} else {
				b.SetUint(c, i, 1)
			}
		}
		b.SetText(flow.SrcUser, i, []byte(v))
	}
	b.Append(b, 0, 1) // and one without
	b.Present[len(values)] = flow.Required
	files := writeParquet(t, e, b)
	for filter, want := range map[string][]string{
		"user alice":                         {"alice"},
		"user = alice":                       {"alice"},
		"src_user != alice":                  append(slices.Clone(values[1:]), "-"),
		`src user "o'brien"`:                 {"o'brien"},
		"user '50%_'":                        {"50%_"},
		"user contains %":                    {"50%_"},
		"user contains a":                    {"alice", `a\b"c`, "line\nbreak"},
		`user contains 'a\b"'`:               {`a\b"c`},
		"user in [alice Alice, '山田' nobody]": {"alice", "Alice", "山田"},
		"user ''":                            {""},
		"user has 64497":                     {"64496 64497 {64498 64499}"},
		"user has 64498":                     {"64496 64497 {64498 64499}"},
		"user has 4497":                      {},
		"user has '50%_'":                    {"50%_"},
		"user ~ '(?i)^ALICE$'":               {"alice", "Alice"},
		"user regex '^[0-9]+$'":              {"164497"},
		"user matches '\\p{Han}'":            {"山田"},
		`user "'; DROP TABLE flows --"`:      {"'; DROP TABLE flows --"},
		"user '$1 ?'":                        {"$1 ?"},
		"not user ~ .":                       {"", "-"},
		"src and dst user alice":             {},
	} {
		f, err := ParseFilter(filter)
		if err != nil {
			t.Errorf("%s: %v", filter, err)
			continue
		}
		got := []string{}
		if _, err := e.Flows(t.Context(), files, Request{Filter: f}, func(b *flow.Batch) error {
			for i := range b.Len() {
				if b.Present[i].Has(flow.SrcUser) {
					got = append(got, string(b.Text(flow.SrcUser, i)))
				} else {
					got = append(got, "-")
				}
			}
			return nil
		}); err != nil {
			t.Errorf("%s: %v", filter, err)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", filter, got, want)
		}
	}

	by, err := ParseDimensions("user")
	if err != nil {
		t.Fatal(err)
	}
	table, err := e.Top(t.Context(), files, Request{By: by, Order: ByFlows})
	if err != nil {
		t.Fatal(err)
	}
	groups := map[string]bool{}
	for _, row := range table.Rows {
		text, _ := json.Marshal(row.Key[0])
		groups[string(text)] = true
	}
	if len(groups) != len(values)+1 || !groups[`"o'brien"`] || !groups["null"] || !groups[`""`] {
		t.Errorf("groups %v", groups)
	}
}

// TestNumbersInColumns counts flows by values that are computed from columns:
// access lists as Cisco ASA numbers them, blocks of ports, tunnels, engines.
func TestNumbersInColumns(t *testing.T) {
	e := newEngine(t)
	b := flow.NewBatch(1)
	row := func(set func(i int)) {
		i := b.Extend(1)
		for c := range flow.Required.All() {
			if flow.Schema[c].Kind == flow.Address {
				b.SetAddr(c, i, flow.Addr{})
			} else {
				b.SetUint(c, i, 1)
			}
		}
		set(i)
	}
	for _, acl := range []string{"0x433a1af1/0x10/0x0", "outside-in", "7", "0x7/0x1/0x2"} {
		row(func(i int) { b.SetText(flow.IngressACL, i, []byte(acl)) })
	}
	row(func(i int) {
		b.SetUint(flow.SrcPort, i, 1030)
		b.SetUint(flow.DstPort, i, 53)
		b.SetUint(flow.NATPortStart, i, 1024)
		b.SetUint(flow.NATPortEnd, i, 1087)
	})
	row(func(i int) {
		b.SetUint(flow.NATPortStart, i, 65535)
		b.SetUint(flow.NATPortEnd, i, 1) // it cannot be
	})
	for tunnel := uint64(flow.TunnelIPIP); tunnel <= flow.TunnelSRv6; tunnel++ {
		row(func(i int) {
			b.SetUint(flow.Tunnel, i, tunnel)
			b.SetAddr(flow.SrcAddr, i, flow.AddrFrom4([4]byte{10, 0, 0, 1}))
		})
	}
	row(func(i int) {
		b.SetUint(flow.Tunnel, i, flow.TunnelIPIP)
		b.SetAddr(flow.SrcAddr, i, flow.Addr{0: 0x20})
	})
	for _, protocol := range []uint64{flow.NetFlow5, flow.NetFlow8, flow.NetFlow9, flow.IPFIX} {
		row(func(i int) {
			b.SetUint(flow.ExportProtocol, i, protocol)
			b.SetUint(flow.ObservationDomain, i, 0x50203)
		})
	}
	row(func(i int) {
		b.SetUint(flow.MPLSLabel1, i, 16)
		b.SetUint(flow.MPLSLabel2, i, 17)
	})
	files := writeParquet(t, e, b)
	for filter, want := range map[string]uint64{
		"ingress acl 7":               2,
		"acl > 0x10":                  1,
		"ingress acl 0x433a1af1":      1,
		"ingress acl outside-in":      1,
		"ingress acl '7'":             1,
		"ingress ace 16":              1,
		"ingress xace < 3":            2,
		"egress acl 7":                0,
		"port in pblock":              1,
		"dst port in pblock":          0,
		"not port in pblock":          uint64(b.Len()) - 1,
		"pblock size 64":              1,
		"pblock size < 64":            0,
		"tun proto ipip":              1,
		"tun proto 41":                2,
		"tun proto gre":               1,
		"tun proto udp":               3,
		"engine-type 2":               3,
		"engine-id 3 and nfversion 9": 1,
		"mpls eos 17 and mpls any 16": 1,
		"mpls eos 16":                 0,
		"engine-id present and udp":   0,
		"not engine-id present":       uint64(b.Len()) - 3,
	} {
		if got := count(t, e, files, filter); got != want {
			t.Errorf("%s matches %d flows, want %d", filter, got, want)
		}
	}
}

func TestCheckColumnName(t *testing.T) {
	for name, want := range map[string]string{
		"building": "", "vni2": "",
		"vni": "filter", "src": "filter", "not": "filter", "in": "filter", "eq": "filter", "has": "filter", "src_addr": "filter",
		"app": "ranked", "srcip": "ranked", "record": "ranked", "flows": "filter",
	} {
		err := CheckColumnName(name)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestOwnColumns, in a process of its own, since flow.Define is for ever: what
// was asked before the definition does not keep the column from being known.
func TestOwnColumns(t *testing.T) {
	if os.Getenv("MINAMO_TEST_OWN") == "" {
		child := exec.Command(os.Args[0], "-test.run=^TestOwnColumns$")
		child.Env = append(os.Environ(), "MINAMO_TEST_OWN=yes")
		if out, err := child.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	if _, err := ParseFilter("building 7"); err == nil {
		t.Error("building is known before it is defined")
	}
	if _, err := ParseDimension("building"); err == nil {
		t.Error("building is a dimension before it is defined")
	}
	b := randomFlows(5, 100)
	old := writeParquet(t, newEngine(t), b) // before the column was defined
	for _, kind := range []flow.Kind{flow.Uint8, flow.Uint16, flow.Uint32, flow.Uint64, flow.Time, flow.Address, flow.MAC, flow.Text} {
		if err := flow.Define(flow.Field{Name: "own_" + kind.String(), Kind: kind, Doc: "Own."}); err != nil {
			t.Fatal(err)
		}
	}
	e := newEngine(t)
	b = randomFlows(5, 100)
	for c := flow.NumColumns; c < flow.Columns(); c++ {
		switch flow.Schema[c].Kind {
		case flow.Address:
			b.SetAddr(c, 7, flow.AddrFrom4([4]byte{192, 0, 2, 7}))
		case flow.Text:
			b.SetText(c, 7, []byte("seven"))
		default:
			b.SetUint(c, 7, 77)
		}
	}
	files := append(writeParquet(t, e, b), old...)
	for name, value := range map[string]string{
		"own_uint8": "77", "own_uint16": "77", "own_uint32": "77", "own_uint64": "77", "own_time": "1970-01-01T00:00:00.077Z",
		"own_address": "192.0.2.7", "own_mac": "00:00:00:00:00:4d", "own_text": "seven",
	} {
		filter := name + " " + value
		if name == "own_time" {
			filter = "own_time < 1970-01-02"
		}
		f, err := ParseFilter(filter)
		if err != nil {
			t.Errorf("%s: %v", filter, err)
			continue
		}
		by, err := ParseDimensions(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		table, err := e.Top(t.Context(), files, Request{By: by, Filter: f})
		if err != nil || len(table.Rows) != 1 || table.Rows[0].Key[0].Text != value {
			t.Errorf("%s: %+v, %v", filter, table, err)
		}
		if table, err = e.Top(t.Context(), files, Request{By: by}); err != nil || len(table.Rows) != 2 || table.Total.Flows != 200 {
			t.Errorf("%s: %+v, %v", name, table, err)
		}
		column, _ := flow.Lookup(name)
		var seen []string
		if _, err := e.Flows(t.Context(), files, Request{Filter: f}, func(b *flow.Batch) error {
			for i := range b.Len() {
				seen = append(seen, string(b.AppendText(nil, column, i)))
			}
			return nil
		}); err != nil || !slices.Equal(seen, []string{value}) {
			t.Errorf("%s: flows with %q, %v", filter, seen, err)
		}
	}
}
