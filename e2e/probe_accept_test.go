package e2e

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// pmacct is a collector of pmacct's, nfacctd or sfacctd, that adds its sums to
// a file each second.
type pmacct struct {
	*process
	port int
	file string
}

// startPmacct starts one. Like Debian's nfcapd it scales by the announced
// sampling rate. What comes before its plugin is at work it may lose: it is
// sent a packet's flow until it has counted that.
func startPmacct(t *testing.T, name, protocol string) *pmacct {
	t.Helper()
	need(t, name)
	dir := t.TempDir()
	c := &pmacct{port: freePort(t, "udp"), file: filepath.Join(dir, "sums.csv")}
	config := filepath.Join(dir, "pmacct.conf")
	text := fmt.Sprintf("plugins: print\n%[1]s_ip: 127.0.0.1\n%[1]s_port: %[2]d\n%[1]s_renormalize: true\naggregate: src_host, dst_host, proto\n"+
		"print_output: csv\nprint_output_file: %[3]s\nprint_output_file_append: true\nprint_refresh_time: 1\n", name, c.port, c.file)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	c.process = start(t, name, "-f", config)
	listening(t, c.process, c.port)
	knock := newCapture()
	knock.packet(time.Now(), 17, netip.AddrPortFrom(knocking.src, 1), netip.AddrPortFrom(knocking.dst, 1), nil, 0)
	file, to := knock.write(t), fmt.Sprintf("udp://127.0.0.1:%d", c.port)
	eventually(t, name+" is at work", func() bool {
		run(t, minamo, "probe", file, "--to", to, "--protocol", protocol, "--domain", "99")
		time.Sleep(100 * time.Millisecond)
		return c.written(t)[knocking].Packets > 0
	})
	return c
}

var knocking = conversation{netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("203.0.113.2"), 17}

// ledger waits until the collector has counted so many packets and returns
// what it has. It does not count flows.
func (c *pmacct) ledger(t *testing.T, packets uint64) (l ledger) {
	t.Helper()
	drained(t, c.port)
	eventually(t, fmt.Sprintf("pmacct has counted %d packets", packets), func() bool {
		l = c.written(t)
		delete(l, knocking)
		return l.sum().Packets >= packets
	})
	return l
}

// protocols are those that pmacct has names for.
var protocols = map[string]uint64{"icmp": 1, "tcp": 6, "udp": 17, "ipv6-icmp": 58}

// written is what the collector has written so far, in whole lines.
func (c *pmacct) written(t *testing.T) ledger {
	t.Helper()
	text, _ := os.ReadFile(c.file)
	l := ledger{}
	for line := range strings.Lines(string(text[:bytes.LastIndexByte(text, '\n')+1])) {
		f := strings.Split(strings.TrimSpace(line), ",")
		if f[0] == "SRC_IP" {
			continue
		}
		if len(f) != 5 || protocols[f[2]] == 0 {
			t.Fatalf("pmacct wrote %q", f)
		}
		packets, err1 := strconv.ParseUint(f[3], 10, 64)
		octets, err2 := strconv.ParseUint(f[4], 10, 64)
		if err1 != nil || err2 != nil {
			t.Fatalf("pmacct wrote %q", f)
		}
		pair := conversation{netip.MustParseAddr(f[0]), netip.MustParseAddr(f[1]), protocols[f[2]]}
		l[pair] = l[pair].plus(totals{0, packets, octets})
	}
	return l
}

// uncounted is a ledger whose flows are not counted.
func uncounted(l ledger) ledger {
	out := ledger{}
	for pair, n := range l {
		out[pair] = totals{0, n.Packets, n.Bytes}
	}
	return out
}

// layer3 is what tshark says of a capture's packets that a display filter
// passes, by the IP header.
func layer3(t *testing.T, file, filter string) (sum totals) {
	t.Helper()
	need(t, "tshark")
	for line := range strings.Lines(run(t, "tshark", "-n", "-r", file, "-Y", filter, "-T", "fields", "-e", "ip.len", "-e", "ipv6.plen")) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		length, err := strconv.ParseUint(f[0]+f[1], 10, 64)
		if err != nil {
			t.Fatalf("tshark said %q", line)
		}
		if f[1] != "" {
			length += 40
		}
		sum = sum.plus(totals{0, 1, length})
	}
	return sum
}

// inspected is what tshark says of exported datagrams: the sums of two fields,
// one for packets ("": as many as there are of the other) and one for bytes.
// A complaint of its fails the test, and so does data without a template.
func inspected(t *testing.T, dissector string, datagrams [][]byte, packets, octets string) (sum totals) {
	t.Helper()
	need(t, "tshark")
	const port = 4739
	decode := fmt.Sprintf("udp.port==%d,%s", port, dissector)
	file := datagramCapture(t, port, datagrams)
	complain := "_ws.malformed || !" + dissector
	if dissector == "cflow" { // in samples it has much to say of the packets themselves
		complain += " || _ws.expert || (cflow.flowset_id > 255 && !cflow.template_frame)"
	}
	complaints := run(t, "tshark", "-n", "-r", file, "-d", decode, "-Y", complain,
		"-T", "fields", "-e", "frame.number", "-e", "_ws.expert.message")
	if complaints != "" {
		t.Errorf("tshark complains of %s", complaints)
	}
	fields := []string{octets}
	if packets != "" {
		fields = append(fields, packets)
	}
	for n, field := range fields {
		text := run(t, "tshark", "-n", "-r", file, "-d", decode, "-T", "fields", "-E", "aggregator=,", "-e", field)
		for _, value := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == '\n' }) {
			v, err := strconv.ParseUint(value, 10, 64)
			if err != nil {
				t.Fatalf("tshark said %q", text)
			}
			if n == 0 {
				sum = sum.plus(totals{1, 0, v})
			} else {
				sum = sum.plus(totals{0, v, 0})
			}
		}
	}
	if packets == "" {
		sum.Packets = sum.Flows
	}
	return sum
}

// shown are the values of a field that tshark reads in datagrams, each once.
func shown(t *testing.T, datagrams [][]byte, field string) (values []string) {
	t.Helper()
	need(t, "tshark")
	const port = 4739
	text := run(t, "tshark", "-n", "-r", datagramCapture(t, port, datagrams), "-d", fmt.Sprintf("udp.port==%d,cflow", port), "-T", "fields", "-E", "aggregator=,", "-e", field)
	for _, value := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == '\n' }) {
		if !slices.Contains(values, value) {
			values = append(values, value)
		}
	}
	return values
}

// TestProbeIsAccepted: pmacct and tshark take what the probe exports, by each
// protocol and in each style; sums are the capture's own. Of nfcapd TestProbe
// asks it for the protocols.
func TestProbeIsAccepted(t *testing.T) {
	for _, c := range []struct {
		option, value, peer, filter string
	}{
		{"--protocol", "netflow5", "nfacctd", "ip"},
		{"--protocol", "netflow9", "nfacctd", "frame"},
		{"--protocol", "ipfix", "nfacctd", "frame"},
		{"--protocol", "sflow5", "sfacctd", "frame"},
		{"--style", "ios-xr", "nfacctd", "frame"},
		{"--style", "junos", "nfacctd", "frame"},
		{"--style", "netstream", "nfacctd", "frame"},
	} {
		t.Run(c.value, func(t *testing.T) {
			need(t, "tshark", "capinfos")
			file := someTraffic(t)
			want := layer3(t, file, c.filter)
			packets, octets := captured(t, file)
			if whole := (totals{0, packets, octets - 14*packets}); c.filter == "frame" && want != whole {
				t.Fatalf("tshark reads %+v, capinfos %+v", want, whole)
			}
			knock := "ipfix"
			if c.peer == "sfacctd" {
				knock = "sflow5"
			}
			peer := startPmacct(t, c.peer, knock)
			ports := []int{peer.port}
			var second *nfcapd
			if c.option == "--style" {
				second = startNfcapd(t, "nfcapd")
				ports = append(ports, second.port)
			}
			x := newTee(t, "", ports...)
			run(t, minamo, "probe", file, "--to", "udp://"+x.address(), c.option, c.value)
			x.flush(t)

			theirs := peer.ledger(t, want.Packets)
			sum := theirs.sum()
			if c.value == "sflow5" { // of which it counts the frames: Ethernet's header and check sequence, too
				sum.Bytes -= 18 * sum.Packets
			}
			if sum != want {
				t.Errorf("%s has %+v, the capture %+v", c.peer, sum, want)
			}
			if second != nil {
				agree(t, theirs, "nfcapd", uncounted(second.ledger(t)))
			}
			var shown totals
			if c.value == "sflow5" { // so does tshark
				shown = inspected(t, "sflow", x.passed(), "", "sflow_245.header.frame_length")
				shown.Bytes -= 18 * shown.Packets
			} else {
				shown = inspected(t, "cflow", x.passed(), "cflow.packets", "cflow.octets")
			}
			if shown.Flows = 0; shown != want {
				t.Errorf("tshark shows %+v, the capture has %+v", shown, want)
			}
		})
	}
}

// TestProbeStylesSample: Minamo, pmacct and nfcapd apply the sampling rate that
// the probe announces, and tshark reads it. Of makers' styles nfcapd cannot:
// Debian's 1.7.1 takes no rate from options of NetFlow v9 that tell of the sampler
// or have the algorithm (35), as those of devices do.
func TestProbeStylesSample(t *testing.T) {
	const rate = 10
	for _, c := range []struct{ option, style, shown string }{
		{"--protocol", "netflow9", "cflow.sampling_interval"},
		{"--protocol", "ipfix", "cflow.sampling_interval"},
		{"--style", "ios-xr", "cflow.sampler_random_interval"},
		{"--style", "junos", "cflow.sampling_interval"},
		{"--style", "netstream", "cflow.sampling_interval"},
	} {
		style := c.style
		t.Run(style, func(t *testing.T) {
			first, second := startPmacct(t, "nfacctd", "ipfix"), startNfcapd(t, "nfcapd")
			data := t.TempDir()
			s := serve(t, data)
			x := newTee(t, "", s.listen, first.port, second.port)
			run(t, minamo, "probe", someTraffic(t), "--to", "udp://"+x.address(), c.option, style, "--sample", strconv.Itoa(rate))
			x.flush(t)
			s.stop(t)
			scaled := ledger{}
			for pair, n := range stored(t, data) {
				scaled[pair] = totals{0, rate * n.Packets, rate * n.Bytes}
			}
			if rates := shown(t, x.passed(), c.shown); !slices.Equal(rates, []string{strconv.Itoa(rate)}) {
				t.Errorf("tshark shows sampling of %v", rates)
			}
			if theirs := uncounted(second.ledger(t)); style != "ios-xr" && style != "netstream" {
				agree(t, scaled, "nfcapd", theirs)
			} else if n := scaled.sum(); theirs.sum() != n && theirs.sum() != (totals{0, n.Packets / rate, n.Bytes / rate}) {
				t.Errorf("nfcapd has %+v", theirs.sum())
			}
			agree(t, scaled, "pmacct", first.ledger(t, scaled.sum().Packets))
			for _, row := range flows(t, data, "-A", "sampling_rate,sampling_source") {
				if got := fmt.Sprintf("%v %v", row["sampling_rate"], row["sampling_source"]); got != "10 options" {
					t.Errorf("Minamo has sampling %s", got)
				}
			}
		})
	}
}

func TestProbeRefusesStyles(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--style", "eos"}, "expected one of ios-xr, junos, netstream"},
		{[]string{"--style", "junos", "--protocol", "netflow9"}, "without another --protocol"},
	} {
		args := append([]string{"probe", someTraffic(t), "--to", "udp://127.0.0.1:9"}, c.args...)
		if said := fails(t, 2, minamo, args...); !strings.Contains(said, c.want) {
			t.Errorf("%v: %q, expected %q", c.args, said, c.want)
		}
	}
}
