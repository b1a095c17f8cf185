package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestOpenVSwitch lets a switch between two hosts export what passes. What
// passes is known: datagrams of 512 bytes, so that the collectors are held to
// the truth as well as to each other.
func TestOpenVSwitch(t *testing.T) {
	needRoot(t)
	need(t, "ovs-vswitchd", "ovsdb-server", "ovs-vsctl", "ovsdb-tool", "ethtool", "ip", "tshark")
	const transfers, each = 10, 30
	truth := totals{Packets: transfers * each, Bytes: transfers * each * (512 + 8 + 20)}

	for _, c := range []struct {
		name, collector, table string
		settings               []string
		ours, theirs           uint64 // bytes counted on top of each IP packet
	}{
		// Open vSwitch puts the bytes of Ethernet frames into NetFlow v5.
		{"NetFlow v5", "nfcapd", "netflow", []string{"active_timeout=1"}, 14, 14},
		{"IPFIX", "tshark", "ipfix", []string{"sampling=1", "cache_active_timeout=1", "obs_domain_id=7"}, 0, 0},
		// sfcapd counts the Ethernet frame, checksum included.
		{"sFlow", "sfcapd", "sflow", []string{"agent=lo", "sampling=1", "polling=1"}, 0, 18},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := startSwitch(t)
			data := t.TempDir()
			s := serve(t, data)
			ports := []int{s.listen}
			var peer *nfcapd
			if c.collector != "tshark" {
				peer = startNfcapd(t, c.collector)
				ports = append(ports, peer.port)
			}
			x := newTee(t, v.namespace, ports...)

			v.configure(t, append([]string{"set", "bridge", "br0", c.table + "=@x", "--", "--id=@x", "create", c.table,
				`targets="` + x.address() + `"`}, c.settings...)...)
			for i := range transfers {
				traffic(t, v.hosts[0], v.hosts[1], "192.0.2.2", transfer{"udp", 7000 + i, each * 512})
			}
			// The switch exports when its timers say so.
			eventually(t, "the switch exports all packets", func() bool {
				return stored(t, data, "not egress").sum().Packets >= truth.Packets
			})
			x.flush(t)
			s.stop(t)

			ours := stored(t, data)
			// IPFIX tells of each packet where it came in, and again wherever
			// it left; the others know no direction.
			if sum := stored(t, data, "not egress").sum(); sum.Packets != truth.Packets || sum.Bytes != truth.Bytes+truth.Packets*c.ours {
				t.Errorf("minamo has %+v, the switch passed %+v", sum, truth)
			}
			var theirs ledger
			if peer != nil {
				theirs = peer.ledger(t)
			} else {
				// Debian's nfdump takes packetTotalCount, a figure of the
				// whole switch, for the flow's packets.
				theirs = tshark(t, x.passed())
			}
			for pair, n := range theirs {
				n.Bytes -= n.Packets * (c.theirs - c.ours)
				theirs[pair] = n
			}
			agree(t, ours, c.collector, theirs)
		})
	}
}

// vswitch is an Open vSwitch of its own, forwarding in user space: its
// processes, database and sockets are the test's, no system service's.
type vswitch struct {
	namespace string
	hosts     [2]string // namespaces; 192.0.2.1 and 192.0.2.2
	dir       string
}

func startSwitch(t *testing.T) *vswitch {
	t.Helper()
	v := &vswitch{namespace: namespace(t, "switch"), dir: shortDir(t)}
	quiet(t, v.namespace)
	for i := range v.hosts {
		host := namespace(t, fmt.Sprintf("host%d", i+1))
		quiet(t, host)
		port := fmt.Sprintf("port%d", i+1)
		run(t, "ip", "-n", v.namespace, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", host)
		run(t, "ip", "-n", v.namespace, "link", "set", port, "up")
		run(t, "ip", "-n", host, "link", "set", "eth0", "address", fmt.Sprintf("02:00:00:00:00:%02x", i+1), "up")
		run(t, "ip", "-n", host, "addr", "add", fmt.Sprintf("192.0.2.%d/24", i+1), "dev", "eth0")
		// No ARP among what passes.
		run(t, "ip", "-n", host, "neigh", "add", fmt.Sprintf("192.0.2.%d", 2-i), "lladdr", fmt.Sprintf("02:00:00:00:00:%02x", 2-i), "dev", "eth0")
		// Checksums would be left to a network card that is not there.
		run(t, "ip", "netns", "exec", host, "ethtool", "-K", "eth0", "tx", "off")
		v.hosts[i] = host
	}
	database := filepath.Join(v.dir, "conf.db")
	run(t, "ovsdb-tool", "create", database, "/usr/share/openvswitch/vswitch.ovsschema")
	v.start(t, "db.ctl", "ovsdb-server", database, "--remote=punix:"+v.socket(), "--unixctl="+filepath.Join(v.dir, "db.ctl"))
	v.configure(t, "--no-wait", "init")
	v.start(t, "switch.ctl", "ip", "netns", "exec", v.namespace, "ovs-vswitchd", "unix:"+v.socket(), "--unixctl="+filepath.Join(v.dir, "switch.ctl"))
	v.configure(t, "add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev",
		"--", "add-port", "br0", "port1", "--", "add-port", "br0", "port2",
		"--", "set", "Open_vSwitch", ".", "other_config:max-idle=500")
	return v
}

func (v *vswitch) socket() string { return filepath.Join(v.dir, "db.sock") }

// start starts one of the switch's processes and waits for its control socket.
func (v *vswitch) start(t *testing.T, control, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "OVS_RUNDIR="+v.dir, "OVS_LOGDIR="+v.dir, "OVS_DBDIR="+v.dir, "OVS_SYSCONFDIR="+v.dir)
	listens(t, startCmd(t, cmd), filepath.Join(v.dir, control))
}

func (v *vswitch) configure(t *testing.T, args ...string) {
	t.Helper()
	run(t, "ovs-vsctl", append([]string{"--timeout=30", "--db=unix:" + v.socket()}, args...)...)
}

// quiet keeps IPv6, which talks unasked, out of a namespace.
func quiet(t *testing.T, namespace string) {
	t.Helper()
	run(t, "ip", "netns", "exec", namespace, "sh", "-c",
		"test ! -d /proc/sys/net/ipv6 || echo 1 | tee /proc/sys/net/ipv6/conf/all/disable_ipv6 /proc/sys/net/ipv6/conf/default/disable_ipv6")
}
