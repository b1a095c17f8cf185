package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// dialer makes connections within a namespace.
func dialer(t *testing.T, namespace string) http.Client {
	return http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(_ context.Context, network, address string) (conn net.Conn, err error) {
			in(t, namespace, func() { conn, err = net.Dial(network, address) })
			return conn, err
		},
	}}
}

// serveMetering starts a server in a namespace that meters its eth0.
func serveMetering(t *testing.T, namespace, section string) *server {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "minamo.yaml")
	if err := os.WriteFile(file, []byte("probe:\n  interfaces: [eth0]\n"+section), 0o644); err != nil {
		t.Fatal(err)
	}
	s := &server{data: filepath.Join(dir, "data"), url: "http://127.0.0.1:8080", client: dialer(t, namespace)}
	s.process = start(t, "ip", "netns", "exec", namespace, minamo, "serve", "--config", file, "--data", s.data)
	eventually(t, "the server meters", func() bool {
		if !s.running() {
			t.Fatalf("minamo serve ended:\n%s", s.output)
		}
		return strings.Contains(s.output.String(), "metering")
	})
	return s
}

type exporterDetails struct {
	Domains []struct {
		Protocol     string `json:"protocol"`
		Domain       int    `json:"domain"`
		Flows        uint64 `json:"flows"`
		MissingUnits uint64 `json:"missing_units"`
	} `json:"domains"`
	Interfaces []struct {
		Index int    `json:"index"`
		Name  string `json:"name"`
	} `json:"interfaces"`
}

// TestServeMeters: a server stores what its own interface sees, with all that
// collected flows have; when the interface goes and comes back it goes on.
func TestServeMeters(t *testing.T) {
	needRoot(t)
	need(t, "ip", "ethtool")
	left, right := link(t)
	s := serveMetering(t, right, "  exporter: 192.0.2.2\n  domain: 7\n  inactive: 500ms\n  biflow: true\n")
	traffic(t, left, right, "192.0.2.2", known, transfer{"tcp", 5001, 200_000})
	const mine = "src ip 192.0.2.1 and dst port 5353"
	eventually(t, "the flows are stored", func() bool { return stored(t, s.data, mine).sum().Packets >= 40 })

	run(t, "ip", "-n", right, "link", "set", "eth0", "down")
	eventually(t, "the probe sees it go", func() bool { return strings.Contains(s.output.String(), "not metered until it is back") })
	run(t, "ip", "-n", right, "link", "set", "eth0", "up")
	eventually(t, "the probe sees it come", func() bool { return strings.Contains(s.output.String(), "metered again") })
	traffic(t, left, right, "192.0.2.2", known)
	eventually(t, "it has seen those packets", func() bool { return s.metric(t, "minamo_probe_metered_packets_total", "interface=eth0") >= 80 })

	var details exporterDetails
	s.get(t, "/api/exporters/192.0.2.2", &details)
	if len(details.Domains) != 1 || details.Domains[0].Protocol != "probe" || details.Domains[0].Domain != 7 || details.Domains[0].Flows == 0 {
		t.Errorf("the exporter's domains are %+v", details.Domains)
	}
	if len(details.Interfaces) != 1 || details.Interfaces[0].Name != "eth0" {
		t.Errorf("its interfaces are %+v", details.Interfaces)
	}
	packets, metered := s.metric(t, "minamo_probe_packets_total"), s.metric(t, "minamo_probe_metered_packets_total")
	if rest := s.metric(t, "minamo_probe_skipped_packets_total"); packets != metered+rest {
		t.Errorf("%v packets, %v metered and %v skipped", packets, metered, rest)
	}
	if status := s.terminate(t); status != 0 {
		t.Fatalf("status %d", status)
	}

	want := totals{Packets: 80, Bytes: 80 * 540}
	if got := stored(t, s.data, mine+" and ingress and router ip 192.0.2.2").sum(); got.Packets != want.Packets || got.Bytes != want.Bytes {
		t.Errorf("stored are %+v, expected %+v", got, want)
	}
	for _, row := range flows(t, s.data, "-A", "export_protocol,observation_domain,sampling_rate,sampling_source", mine) {
		if got := fmt.Sprintf("%v %v %v %v", row["export_protocol"], row["observation_domain"], row["sampling_rate"], row["sampling_source"]); got != "probe 7 1 record" {
			t.Errorf("flows are of %s", got)
		}
	}
	if got := stored(t, s.data, "dst ip 192.0.2.2 and dst port 5001 and biflow forward").sum(); got.Bytes < 200_000 {
		t.Errorf("by TCP came %+v", got)
	}
}

// TestServeCountsDrops: what the kernel dropped because the probe did not read is
// told, and is the rest of what was sent.
func TestServeCountsDrops(t *testing.T) {
	needRoot(t)
	need(t, "ip", "ethtool")
	left, right := link(t)
	s := serveMetering(t, right, "  ring: 2MiB\n")
	if err := s.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	const sent = 30_000
	tagged(t, left, sent)
	if err := s.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	var seen, drops float64
	eventually(t, "all packets are accounted for", func() bool {
		seen, drops = s.metric(t, "minamo_probe_packets_total"), s.metric(t, "minamo_probe_kernel_drops_total")
		return seen+drops >= sent
	})
	if drops == 0 || seen == 0 || seen+drops > sent+100 { // the hosts have a little to say of their own
		t.Errorf("%v packets were seen, %v dropped, %d sent", seen, drops, sent)
	}
	var details exporterDetails
	eventually(t, "the exporter has missing packets", func() bool {
		s.get(t, "/api/exporters/127.0.0.1", &details)
		return len(details.Domains) == 1 && float64(details.Domains[0].MissingUnits) == drops
	})
	var status struct {
		Problems []struct {
			Kind  string  `json:"kind"`
			Count float64 `json:"count"`
		} `json:"problems"`
	}
	s.get(t, "/api/status", &status)
	if len(status.Problems) != 1 || status.Problems[0].Kind != "packets_dropped" || status.Problems[0].Count != drops {
		t.Errorf("problems are %+v", status.Problems)
	}
	mentions(t, s.output.String(), "the kernel drops packets", "probe.ring")
	s.terminate(t)
}

func TestServeRefusesToMeter(t *testing.T) {
	dir := t.TempDir()
	config := func(name string) string {
		file := filepath.Join(dir, name+".yaml")
		if err := os.WriteFile(file, fmt.Appendf(nil, "probe: {interfaces: [%s]}\n", name), 0o644); err != nil {
			t.Fatal(err)
		}
		return file
	}
	address := func() string { return fmt.Sprintf("127.0.0.1:%d", freePort(t, "tcp")) }
	listen := func() string { return fmt.Sprintf("udp://127.0.0.1:%d", freePort(t, "udp")) }
	said := fails(t, 1, minamo, "serve", "--config", config("nowhere0"), "--data", filepath.Join(dir, "data"), "--http", address(), "--listen", listen())
	mentions(t, said, "probe:", "nowhere0", "lo")
	needRoot(t)
	need(t, "setpriv")
	said = fails(t, 1, "setpriv", "--bounding-set=-net_raw", minamo, "serve", "--config", config("lo"), "--data", filepath.Join(dir, "data"), "--http", address(), "--listen", listen())
	mentions(t, said, "CAP_NET_RAW", "setcap")
	need(t, "ip")
	down := namespace(t, "down")
	run(t, "ip", "-n", down, "link", "set", "lo", "down")
	said = fails(t, 1, "ip", "netns", "exec", down, minamo, "probe", "-i", "lo", "--to", "udp://127.0.0.1:9")
	mentions(t, said, "it is down", "ip link set lo up")
}

// TestProbeStores: a capture's flows are stored without a server, its totals are
// those of capinfos; or none of them, and never beside a server.
func TestProbeStores(t *testing.T) {
	file := someTraffic(t)
	packets, bytes := captured(t, file)
	data := filepath.Join(t.TempDir(), "data")
	said := run(t, minamo, "probe", file, "--store", data, "--source", "203.0.113.7", "--domain", "3")
	mentions(t, said, fmt.Sprintf("%d, %d bytes on the wire", packets, bytes), "minamo flows --data "+data)
	want := totals{Packets: packets, Bytes: bytes - 14*packets} // of Ethernet, without padding
	got := stored(t, data, "router ip 203.0.113.7").sum()
	if got.Packets != want.Packets || got.Bytes != want.Bytes {
		t.Errorf("stored are %+v, the capture has %+v", got, want)
	}
	for _, row := range flows(t, data, "-A", "export_protocol,observation_domain") {
		if row["export_protocol"] != "probe" || fmt.Sprint(row["observation_domain"]) != "3" {
			t.Errorf("%v", row)
		}
	}
	// By way of a collector they are the same.
	other, _ := both(t, "", "nfcapd", func(x *tee) { run(t, minamo, "probe", file, "--to", "udp://"+x.address()) })
	agree(t, stored(t, data), "a collector", stored(t, other))

	// The same again is twice, old times stay, and what is cut off counts so far.
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(t.TempDir(), "cut.pcap")
	if err := os.WriteFile(cut, whole[:len(whole)/2], 0o644); err != nil {
		t.Fatal(err)
	}
	said = fails(t, 1, minamo, "probe", cut, "--store", data, "--sample", "10", "--random")
	mentions(t, said, "cut.pcap, after")
	if again := stored(t, data).sum(); again.Packets <= got.Packets || again.Packets > got.Packets+packets/10 {
		t.Errorf("after half of it, one in ten, there are %+v", again)
	}
	if rows := flows(t, data, "-A", "sampling_rate,sampling_source", "sampling_rate 10"); len(rows) != 1 || rows[0]["sampling_source"] != "record" {
		t.Errorf("sampled are %v", rows)
	}

	s := serve(t, data)
	before := stored(t, data).sum()
	mentions(t, fails(t, 1, minamo, "probe", file, "--store", data), "in use by process", "stop that server")
	s.stop(t)
	if after := stored(t, data).sum(); after != before {
		t.Errorf("beside a server %+v became %+v", before, after)
	}
	for _, args := range [][]string{{"--to", "udp://127.0.0.1:9"}, {"--protocol", "ipfix"}, {"--metrics", "127.0.0.1:0"}} {
		fails(t, 2, minamo, append([]string{"probe", file, "--store", data}, args...)...)
	}
}

// TestProbeStoresLive: what an interface sees is there while the probe runs; its
// metrics agree with what is stored.
func TestProbeStoresLive(t *testing.T) {
	needRoot(t)
	need(t, "ip", "ethtool")
	left, right := link(t)
	data := filepath.Join(t.TempDir(), "data")
	probe := start(t, "ip", "netns", "exec", right, minamo, "probe", "-i", "eth0", "--store", data, "--direction", "in",
		"--inactive", "500ms", "--metrics", "127.0.0.1:9469")
	eventually(t, "the probe meters", func() bool { return strings.Contains(probe.output.String(), "metering eth0") })
	traffic(t, left, right, "192.0.2.2", known, transfer{"tcp", 5001, 100_000})
	eventually(t, "its flows are there already", func() bool { return stored(t, data, "dst port 5353").sum().Packets == 40 })
	s := &server{url: "http://127.0.0.1:9469", client: dialer(t, right)}
	eventually(t, "all has been counted", func() bool {
		return s.metric(t, "minamo_probe_cache_flows") == 0 && s.metric(t, "minamo_probe_flows_total") >= 2
	})
	packets, octets := s.metric(t, "minamo_probe_metered_packets_total", "interface=eth0"), s.metric(t, "minamo_probe_metered_bytes_total", "interface=eth0")
	ended, begun := s.metric(t, "minamo_probe_flows_ended_total"), s.metric(t, "minamo_probe_flows_total")
	if s.metric(t, "minamo_probe_other_direction_packets_total") == 0 || ended != begun || s.metric(t, "minamo_probe_cache_flows_limit") != 1<<19 {
		t.Errorf("%v flows begun, %v ended", begun, ended)
	}
	if status := probe.terminate(t); status != 0 {
		t.Errorf("status %d", status)
	}
	if got := stored(t, data).sum(); got.Packets != uint64(packets) || got.Bytes != uint64(octets) || got.Flows != uint64(begun) {
		t.Errorf("stored are %+v, the metrics had %v packets, %v bytes, %v flows", got, packets, octets, begun)
	}
	if n := stored(t, data, "egress").sum().Packets; n != 0 {
		t.Errorf("%d packets went out", n)
	}
	names, err := os.ReadFile(filepath.Join(data, "exporters.json"))
	if err != nil || !json.Valid(names) || !strings.Contains(string(names), `"eth0"`) {
		t.Errorf("of names there are %s, %v", names, err)
	}
}

// TestProbeMetrics: what is exported, and to whom, and what nobody took.
func TestProbeMetrics(t *testing.T) {
	needRoot(t)
	need(t, "ip", "ethtool")
	left, right := link(t)
	var listener net.PacketConn
	var err error
	in(t, right, func() { listener, err = net.ListenPacket("udp", "127.0.0.1:4739") })
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	probe := start(t, "ip", "netns", "exec", right, minamo, "probe", "-i", "eth0", "--inactive", "200ms", "--fanout", "2", "--metrics", "127.0.0.1:9469",
		"--to", "udp://127.0.0.1:4739", "--to", "tcp://127.0.0.1:4740")
	eventually(t, "the probe meters", func() bool { return strings.Contains(probe.output.String(), "metering eth0") })
	traffic(t, left, right, "192.0.2.2", known)
	s := &server{url: "http://127.0.0.1:9469", client: dialer(t, right)}
	const udp, tcp = "collector=udp://127.0.0.1:4739", "collector=tcp://127.0.0.1:4740"
	eventually(t, "flows were exported", func() bool { return s.metric(t, "minamo_probe_exported_flows_total") > 0 })
	eventually(t, "losses are told", func() bool { return s.metric(t, "minamo_probe_lost_datagrams_total", tcp) > 0 })
	if sent, lost, came := s.metric(t, "minamo_probe_datagrams_total", udp), s.metric(t, "minamo_probe_lost_datagrams_total", udp), s.metric(t, "minamo_probe_datagrams_total", tcp); sent == 0 || lost != 0 || came != 0 {
		t.Errorf("by UDP %v sent, %v lost; by TCP %v sent", sent, lost, came)
	}
	if n := s.metric(t, "minamo_probe_cache_flows_limit"); n != 2<<19 {
		t.Errorf("two threads have room for %v flows", n)
	}
	probe.terminate(t)
}

// TestHandshakeTime: of real connections it is what tshark finds in the same
// packets, to the microsecond.
func TestHandshakeTime(t *testing.T) {
	needRoot(t)
	need(t, "ip", "ethtool", "tshark")
	left, right := link(t)
	file := filepath.Join(t.TempDir(), "tcp.pcap")
	recorder := start(t, "ip", "netns", "exec", right, "tshark", "-i", "eth0", "-F", "pcap", "-w", file, "-f", "tcp")
	eventually(t, "tshark records", func() bool {
		traffic(t, left, right, "192.0.2.2", transfer{"tcp", 5000, 100})
		info, err := os.Stat(file)
		return err == nil && info.Size() > 24
	})
	for port := range 8 {
		traffic(t, left, right, "192.0.2.2", transfer{"tcp", 5001 + port, 3000})
	}
	port := "5008"
	eventually(t, "tshark has recorded all", func() bool {
		return strings.Contains(run(t, "tshark", "-n", "-r", file, "-Y", "tcp.dstport=="+port+" && tcp.flags.fin==1"), port)
	})
	recorder.terminate(t)
	want := map[string]uint64{}
	for line := range strings.Lines(run(t, "tshark", "-n", "-r", file, "-Y", "tcp.analysis.initial_rtt && tcp.dstport>=5000 && tcp.dstport<=5008", "-T", "fields", "-e", "tcp.srcport", "-e", "tcp.dstport", "-e", "tcp.analysis.initial_rtt")) {
		f := strings.Fields(line)
		seconds, err := strconv.ParseFloat(f[2], 64)
		if err != nil {
			t.Fatalf("tshark said %q", line)
		}
		want[f[0]+" "+f[1]] = uint64(math.Round(seconds * 1e6))
	}
	data := filepath.Join(t.TempDir(), "data")
	run(t, minamo, "probe", file, "--store", data)
	got := map[string]uint64{}
	for _, row := range flows(t, data, "handshake_time present") {
		got[fmt.Sprint(row["src_port"], " ", row["dst_port"])] = number(t, row, "handshake_time")
	}
	if len(want) < 9 || !maps.Equal(got, want) {
		t.Errorf("handshakes took %v, tshark has %v", got, want)
	}
}
