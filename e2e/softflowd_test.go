package e2e

import (
	"net"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var softflowdVersions = []struct{ name, version string }{
	{"NetFlow v5", "5"}, {"NetFlow v9", "9"}, {"IPFIX", "10"},
}

// TestSoftflowdCapture exports the same capture in each protocol.
func TestSoftflowdCapture(t *testing.T) {
	need(t, "softflowd")
	for _, v := range softflowdVersions {
		t.Run(v.name, func(t *testing.T) {
			file := someTraffic(t)
			data, _ := both(t, "", "nfcapd", func(x *tee) {
				dir := shortDir(t)
				control := filepath.Join(dir, "ctl")
				softflowd := start(t, "softflowd", "-d", "-r", file, "-v", v.version, "-n", x.address(),
					"-p", filepath.Join(dir, "pid"), "-c", control)
				// Reading a file, softflowd looks at a poll result that it never
				// set, and may then wait for someone on its control socket.
				eventually(t, "softflowd ends", func() bool {
					if c, err := net.Dial("unix", control); err == nil {
						c.Close()
					}
					return !softflowd.running()
				})
				if status := softflowd.wait(t); status != 0 {
					t.Fatalf("softflowd ended with status %d", status)
				}
			})
			// NetFlow v5 has no IPv6; the others have both.
			sixes := len(flows(t, data, "src net 2001:db8::/32"))
			if has := sixes > 0; has != (v.version != "5") {
				t.Errorf("%d flows between IPv6 addresses", sixes)
			}
		})
	}
}

// TestSoftflowdNetwork meters live traffic on a link between two namespaces.
func TestSoftflowdNetwork(t *testing.T) {
	needRoot(t)
	need(t, "softflowd", "ip")
	for _, v := range softflowdVersions {
		t.Run(v.name, func(t *testing.T) {
			left, right := namespace(t, "left"), namespace(t, "right")
			run(t, "ip", "-n", left, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", right)
			for ns, address := range map[string]string{left: "192.0.2.1/24", right: "192.0.2.2/24"} {
				run(t, "ip", "-n", ns, "addr", "add", address, "dev", "eth0")
				run(t, "ip", "-n", ns, "link", "set", "eth0", "up")
			}
			data, _ := both(t, left, "nfcapd", func(x *tee) {
				dir := shortDir(t)
				control := filepath.Join(dir, "ctl")
				softflowd := start(t, "ip", "netns", "exec", left, "softflowd", "-d", "-i", "eth0", "-v", v.version,
					"-n", x.address(), "-p", filepath.Join(dir, "pid"), "-c", control)
				listens(t, softflowd, control)
				traffic(t, left, right, "192.0.2.2",
					transfer{"tcp", 5001, 200_000}, transfer{"udp", 5353, 40 * 512}, transfer{"tcp", 8080, 1000})
				metered(t, left, right, "192.0.2.2", control)
				run(t, "softflowctl", "-c", control, "shutdown")
				softflowd.wait(t)
			})
			got := stored(t, data, "src ip 192.0.2.1 and dst port 5353").sum()
			if got.Packets != 40 || got.Bytes != 40*(512+28) {
				t.Errorf("40 datagrams of 512 bytes were sent, stored are %+v", got)
			}
		})
	}
}

// metered waits until softflowd has seen every packet that its interface has
// so far. What it has not read when it ends it does not export; and Debian's
// reads only full blocks of the capture buffer, so more packets push it on.
func metered(t *testing.T, from, to, address, control string) {
	t.Helper()
	passed := 0
	for _, counter := range []string{"rx_packets", "tx_packets"} {
		text := run(t, "ip", "netns", "exec", from, "cat", "/sys/class/net/eth0/statistics/"+counter)
		n, _ := strconv.Atoi(strings.TrimSpace(text))
		passed += n
	}
	processed := regexp.MustCompile(`Packets processed: (\d+)`)
	eventually(t, "softflowd sees all packets", func() bool {
		traffic(t, from, to, address, transfer{"udp", 9, 100 * 512})
		m := processed.FindStringSubmatch(run(t, "softflowctl", "-c", control, "statistics"))
		if m == nil {
			t.Fatal("softflowd tells no number of packets")
		}
		seen, _ := strconv.Atoi(m[1])
		return seen >= passed
	})
}
