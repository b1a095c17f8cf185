package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Two hosts on a link: traffic from 192.0.2.1 to 192.0.2.2, and nothing else.
func link(t *testing.T) (left, right string) {
	t.Helper()
	left, right = namespace(t, "left"), namespace(t, "right")
	quiet(t, left)
	quiet(t, right)
	run(t, "ip", "-n", left, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", right)
	for ns, address := range map[string]string{left: "192.0.2.1/24", right: "192.0.2.2/24"} {
		run(t, "ip", "-n", ns, "addr", "add", address, "dev", "eth0")
		run(t, "ip", "-n", ns, "link", "set", "eth0", "up")
		// Packets pass as they are sent: none put together for a network card.
		run(t, "ip", "netns", "exec", ns, "ethtool", "-K", "eth0", "tso", "off", "gso", "off", "gro", "off")
	}
	return left, right
}

// known is what a test sends over a link, and what of it must be stored.
var known = transfer{"udp", 5353, 40 * 512}

func knownArrived(t *testing.T, s *server) bool {
	t.Helper()
	return stored(t, s.data, "src ip 192.0.2.1 and dst port 5353").sum().Packets >= 40
}

// TestFprobe receives the old versions of NetFlow from a program that still
// speaks them.
func TestFprobe(t *testing.T) {
	needRoot(t)
	need(t, "fprobe", "nfcapd", "ip", "ethtool")
	for _, version := range []string{"1", "7"} {
		t.Run("NetFlow v"+version, func(t *testing.T) {
			left, right := link(t)
			exported(t, left, "nfcapd", func(x *tee, s *server) {
				start(t, "ip", "netns", "exec", left, "fprobe", "-i", "eth0", "-p", "-u", "root", "-l", "2", "-n", version,
					"-s", "1", "-d", "1", "-e", "2", x.address())
				// fprobe counts what it sees only once it listens, and tells nobody.
				eventually(t, "fprobe exports", func() bool {
					traffic(t, left, right, "192.0.2.2", transfer{"udp", 9, 512})
					return len(x.passed()) > 0
				})
				traffic(t, left, right, "192.0.2.2", known, transfer{"tcp", 5001, 20_000})
				eventually(t, "fprobe exports all of it", func() bool { return knownArrived(t, s) })
			})
		})
	}
}

// TestPmacct meters with pmacctd and receives its NetFlow, IPFIX and sFlow.
func TestPmacct(t *testing.T) {
	needRoot(t)
	need(t, "pmacctd", "nfcapd", "sfcapd", "ip", "ethtool")
	for _, c := range []struct {
		name, collector string
		settings        []string
		frame           uint64 // bytes that the collector counts beyond the IP packet
	}{
		{"NetFlow v9", "nfcapd", []string{"plugins: nfprobe", "nfprobe_version: 9"}, 0},
		{"IPFIX", "nfcapd", []string{"plugins: nfprobe", "nfprobe_version: 10"}, 0},
		{"sFlow", "sfcapd", []string{"plugins: sfprobe", "sampling_rate: 1", "sfprobe_agentip: 192.0.2.1"}, 18},
	} {
		t.Run(c.name, func(t *testing.T) {
			left, right := link(t)
			exported(t, left, c.collector, func(x *tee, s *server) {
				settings := append([]string{"daemonize: false", "pcap_interface: eth0", "promisc: false",
					"aggregate: src_host, dst_host, src_port, dst_port, proto, tos, tcpflags",
					"nfprobe_timeouts: tcp=1:tcp.rst=1:tcp.fin=1:udp=1:icmp=1:general=1:maxlife=2:expint=1",
					"nfprobe_receiver: " + x.address(), "sfprobe_receiver: " + x.address()}, c.settings...)
				file := filepath.Join(t.TempDir(), "pmacctd.conf")
				if err := os.WriteFile(file, []byte(strings.Join(settings, "\n")+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
				start(t, "ip", "netns", "exec", left, "pmacctd", "-f", file)
				eventually(t, "pmacctd exports", func() bool {
					traffic(t, left, right, "192.0.2.2", transfer{"udp", 9, 512})
					return len(stored(t, s.data)) > 0
				})
				traffic(t, left, right, "192.0.2.2", known, transfer{"tcp", 5001, 20_000})
				eventually(t, "pmacctd exports all of it", func() bool {
					// Its sFlow datagrams leave when they are full.
					traffic(t, left, right, "192.0.2.2", transfer{"udp", 9, 8 * 512})
					return knownArrived(t, s)
				})
			}, c.frame)
		})
	}
}

// exported runs an exporter against Minamo and a peer, as both does, for
// exporters that must be watched while they run. Packets of the known transfer
// must be there to the last byte. frame is what the peer counts on top of each
// IP packet.
func exported(t *testing.T, namespace, collector string, export func(x *tee, s *server), frame ...uint64) {
	t.Helper()
	peer := startNfcapd(t, collector)
	s := serve(t, t.TempDir())
	x := newTee(t, namespace, s.listen, peer.port)
	export(x, s)
	x.flush(t)
	s.stop(t)
	theirs := peer.ledger(t)
	for pair, n := range theirs {
		for _, bytes := range frame {
			n.Bytes -= n.Packets * bytes
		}
		theirs[pair] = n
	}
	agree(t, stored(t, s.data), collector, theirs)
	got := stored(t, s.data, "src ip 192.0.2.1 and dst port 5353").sum()
	if want := fmt.Sprint(40, 40*(512+28)); fmt.Sprint(got.Packets, got.Bytes) != want {
		t.Errorf("40 datagrams of 512 bytes were sent, stored are %+v", got)
	}
}
