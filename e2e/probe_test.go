package e2e

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// captured is what capinfos says of a capture: packets, and bytes on the wire.
func captured(t *testing.T, file string) (packets, bytes uint64) {
	t.Helper()
	need(t, "capinfos")
	text := run(t, "capinfos", "-c", "-d", "-M", file)
	figures := regexp.MustCompile(`(?m)^(Number of packets|Data size):\s+(\d+)`).FindAllStringSubmatch(text, -1)
	if len(figures) != 2 {
		t.Fatalf("capinfos said %q", text)
	}
	packets, _ = strconv.ParseUint(figures[0][2], 10, 64)
	bytes, _ = strconv.ParseUint(figures[1][2], 10, 64)
	return packets, bytes
}

// TestProbe meters a capture, by each protocol, to Minamo and to nfdump's
// collectors; the totals are the capture's own.
func TestProbe(t *testing.T) {
	for _, protocol := range []string{"netflow5", "netflow9", "ipfix", "sflow5"} {
		t.Run(protocol, func(t *testing.T) {
			file := someTraffic(t)
			packets, bytes := captured(t, file)
			var said string
			probe := func(x *tee) {
				said = run(t, minamo, "probe", file, "--to", "udp://"+x.address(), "--protocol", protocol)
			}
			var sum totals
			if protocol == "sflow5" {
				// sfcapd counts Ethernet's header and check sequence as bytes.
				peer := startNfcapd(t, "sfcapd")
				s := serve(t, t.TempDir())
				x := newTee(t, "", s.listen, peer.port)
				probe(x)
				x.flush(t)
				s.stop(t)
				theirs := peer.ledger(t)
				for pair, n := range theirs {
					n.Bytes -= n.Packets * 18
					theirs[pair] = n
				}
				agree(t, stored(t, s.data), "sfcapd", theirs)
				sum = stored(t, s.data).sum()
			} else {
				data, _ := both(t, "", "nfcapd", probe)
				sum = stored(t, data).sum()
			}
			if want := fmt.Sprintf("%d, %d bytes on the wire", packets, bytes); !strings.Contains(said, want) {
				t.Errorf("capinfos has %s; the probe said %s", want, said)
			}
			// Its frames have 14 bytes of Ethernet, and no padding.
			want := totals{Packets: packets, Bytes: bytes - 14*packets}
			if protocol == "netflow5" {
				left := regexp.MustCompile(`IPv6, which NetFlow v5 cannot say, left out (\d+)`).FindStringSubmatch(said)
				if left == nil || sum.Packets >= want.Packets {
					t.Errorf("of IPv6 the probe said %s", said)
				}
				return
			}
			if sum.Packets != want.Packets || sum.Bytes != want.Bytes {
				t.Errorf("stored are %+v, the capture has %+v", sum, want)
			}
		})
	}
}

// TestProbeTimers: the timers cut what one long conversation is into flows.
func TestProbeTimers(t *testing.T) {
	c := newCapture()
	at := time.Now().Add(-time.Hour)
	from, to := netip.MustParseAddrPort("192.0.2.1:4000"), netip.MustParseAddrPort("198.51.100.1:53")
	for range 300 { // five minutes, a packet a second
		c.packet(at, 17, from, to, make([]byte, 72), 0)
		at = at.Add(time.Second)
	}
	at = at.Add(20 * time.Second)
	c.packet(at, 17, from, to, make([]byte, 72), 0)
	file := c.write(t)
	for _, x := range []struct {
		args  []string
		flows int
	}{
		{[]string{"--active", "1m", "--inactive", "15s"}, 6}, // five minutes, and after the silence
		{[]string{"--active", "1m", "--inactive", "30s"}, 6},
		{[]string{"--active", "10m", "--inactive", "15s"}, 2},
		{[]string{"--active", "10m", "--inactive", "30s"}, 1},
	} {
		s := serve(t, t.TempDir())
		run(t, minamo, append([]string{"probe", file, "--to", fmt.Sprintf("udp://127.0.0.1:%d", s.listen)}, x.args...)...)
		drained(t, s.listen)
		s.stop(t)
		if got := stored(t, s.data).sum(); got.Flows != uint64(x.flows) || got.Packets != 301 || got.Bytes != 301*100 {
			t.Errorf("%v: %+v, expected %d flows of 301 packets", x.args, got, x.flows)
		}
	}
}

// TestProbeSamples: the announced rate makes the estimate right, by TCP too.
func TestProbeSamples(t *testing.T) {
	file := someTraffic(t)
	packets, _ := captured(t, file)
	s, address := serveStream(t, t.TempDir(), "tcp")
	run(t, minamo, "probe", file, "--to", "tcp://"+address, "--sample", "10", "--now")
	eventually(t, "the connection has been read to its end", func() bool {
		var status struct {
			Connections []struct{ Open, Accepted int } `json:"connections"`
		}
		s.get(t, "/api/status", &status)
		for _, c := range status.Connections {
			if c.Accepted > 0 && c.Open == 0 {
				return true
			}
		}
		return false
	})
	s.stop(t)
	if got := stored(t, s.data).sum(); got.Packets < packets/10-1 || got.Packets > packets/10+1 {
		t.Errorf("%d packets were sampled of %d", got.Packets, packets)
	}
	for _, row := range flows(t, s.data, "-A", "sampling_rate,sampling_source") {
		if fmt.Sprintf("%v %v", row["sampling_rate"], row["sampling_source"]) != "10 options" {
			t.Errorf("%v", row)
		}
	}
}

func TestProbeRefuses(t *testing.T) {
	nothing := newCapture().write(t)
	garbage := t.TempDir() + "/garbage"
	if err := os.WriteFile(garbage, []byte("this is no capture file"), 0o644); err != nil {
		t.Fatal(err)
	}
	const to = "udp://127.0.0.1:9"
	for _, c := range []struct {
		status int
		args   []string
		want   string
	}{
		{2, nil, "expected one file"},
		{2, []string{nothing}, "--to"},
		{2, []string{nothing, "--to", to, "--protocol", "netflow6"}, "expected one of"},
		{2, []string{nothing, "--to", to, "--sample", "0"}, "--sample"},
		{2, []string{nothing, "--to", to, "--active", "0s"}, "--active"},
		{2, []string{"-", "--to", to, "--now"}, "standard input"},
		{2, []string{nothing, "--to", to, "--source", "here"}, "--source"},
		{1, []string{nothing, "--to", to}, "no packet"},
		{1, []string{garbage, "--to", to}, "not a pcap"},
		{1, []string{"/nowhere.pcap", "--to", to}, "no such file"},
		{1, []string{someTraffic(t), "--to", "192.0.2.1"}, "udp://HOST:PORT"},
		{1, []string{someTraffic(t), "--to", to, "--protocol", "netflow5", "--sample", "20000"}, "16383"},
	} {
		if said := fails(t, c.status, minamo, append([]string{"probe"}, c.args...)...); !strings.Contains(said, c.want) {
			t.Errorf("%v: %q, expected %q", c.args, said, c.want)
		}
	}
}

// TestProbeLive meters a link between two hosts, with packets in a VLAN too.
func TestProbeLive(t *testing.T) {
	needRoot(t)
	need(t, "ip", "ethtool")
	for _, args := range [][]string{nil, {"--fanout", "2"}} {
		t.Run(fmt.Sprint(args), func(t *testing.T) {
			left, right := link(t)
			data, _ := both(t, right, "nfcapd", func(x *tee) {
				probe := start(t, "ip", append([]string{"netns", "exec", right, minamo, "probe", "-i", "eth0", "--to", "udp://" + x.address()}, args...)...)
				eventually(t, "the probe meters", func() bool { return strings.Contains(probe.output.String(), "metering eth0") })
				traffic(t, left, right, "192.0.2.2", known, transfer{"tcp", 5001, 200_000})
				tagged(t, left, 30)
				if status := probe.terminate(t); status != 0 {
					t.Errorf("status %d", status)
				}
				if said := probe.output.String(); strings.Count(said, "of which the kernel dropped 0\n") != max(1, len(args)) {
					t.Errorf("the probe said %s", said)
				}
			})
			for filter, want := range map[string]totals{
				"src ip 192.0.2.1 and dst port 5353 and ingress":                    {Packets: 40, Bytes: 40 * 540},
				"src ip 192.0.2.1 and in if present and not out if present and udp": {Packets: 40, Bytes: 40 * 540},
				"src ip 198.51.100.1 and dst port 5354 and vlan 7":                  {Packets: 30, Bytes: 30 * 128},
			} {
				if got := stored(t, data, filter).sum(); got.Packets != want.Packets || got.Bytes != want.Bytes {
					t.Errorf("%s: %+v, expected %+v", filter, got, want)
				}
			}
			if got := stored(t, data, "src ip 192.0.2.2 and src port 5001 and egress and flags F and out if present").sum(); got.Packets == 0 {
				t.Error("nothing went back by TCP")
			}
		})
	}
	said := fails(t, 1, minamo, "probe", "-i", "nowhere0", "--to", "udp://127.0.0.1:9")
	mentions(t, said, "nowhere0", "lo")
}

// tagged sends packets of VLAN 7 from a host's eth0, as they are. The receiving
// kernel takes the tag out before anybody sees the packet.
func tagged(t *testing.T, namespace string, n int) {
	t.Helper()
	c := newCapture()
	c.packet(time.Now(), 17, netip.MustParseAddrPort("198.51.100.1:4000"), netip.MustParseAddrPort("198.51.100.2:5354"), make([]byte, 100), 0)
	frame := c.bytes[24+16:] // behind the headers of the file and of the packet
	frame = slices.Concat([]byte{255, 255, 255, 255, 255, 255}, frame[6:12], []byte{0x81, 0, 0, 7}, frame[12:])
	var failed error
	in(t, namespace, func() {
		failed = func() error {
			fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0)
			if err != nil {
				return err
			}
			defer unix.Close(fd)
			i, err := net.InterfaceByName("eth0")
			if err != nil {
				return err
			}
			for range n {
				if err := unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: i.Index}); err != nil {
					return err
				}
			}
			return nil
		}()
	})
	if failed != nil {
		t.Fatal(failed)
	}
}
