package probe

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/internal/fixtures"
	"github.com/minamo-flow/minamo/wire/netflow"
	"github.com/minamo-flow/minamo/wire/packet"
	"github.com/minamo-flow/minamo/wire/pcap"
)

// need skips the test where a program is missing; never under CI=true.
func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, name := range programs {
		if _, err := exec.LookPath(name); err == nil {
			continue
		}
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not installed; scripts/install tells how to get it", name)
		}
		t.Skipf("SKIPPED: %s is not installed; scripts/install tells how to get it", name)
	}
}

// traffic is some minutes of everything: connections that end and that don't,
// answered and unanswered, echoes, fragments, VLANs, IPv6, and what is not IP.
func traffic(seed uint64) (packets []pcap.Packet) {
	random := rand.New(rand.NewPCG(seed, 3))
	ms := int64(1_700_000_000_000)
	put := func(p []byte) {
		ms += random.Int64N(40)
		packets = append(packets, captured(ms, p))
	}
	for n := range 600 {
		a, b := fmt.Sprintf("192.0.2.%d", 1+random.IntN(200)), fmt.Sprintf("198.51.100.%d", 1+random.IntN(9))
		echo, answer, protocol := byte(8), byte(0), byte(packet.ICMP)
		if random.IntN(3) == 0 {
			a, b = fmt.Sprintf("2001:db8::%x", 1+random.IntN(200)), fmt.Sprintf("2001:db8:1::%x", 1+random.IntN(9))
			echo, answer, protocol = 128, 129, packet.ICMPv6
		}
		port := uint16(10_000 + n)
		switch random.IntN(6) {
		case 0:
			for range 1 + random.IntN(4) {
				put(ip(a, b, protocol, 0, 0, icmp(echo, 0)))
				put(ip(b, a, protocol, 0, 0, icmp(answer, 0)))
			}
		case 1:
			put(ip(a, b, packet.UDP, 0, 0, udp(port, 53, 30)))
			put(ip(b, a, packet.UDP, 0, 0, udp(53, port, 30+random.IntN(300))))
		case 2:
			if strings.Contains(a, ".") {
				whole := udp(port, 2049, 3000)
				put(ip(a, b, packet.UDP, 0, 0x2000, whole[:1480]))
				put(ip(a, b, packet.UDP, 0, 0x2000|185, whole[1480:2960]))
				put(ip(a, b, packet.UDP, 0, 370, whole[2960:]))
			}
			put(frame(0x0806, make([]byte, 46)))
		case 3:
			put(ip(a, b, packet.TCP, 0, 0, tcp(port, 25, 2, 0)))
			put(ip(b, a, packet.TCP, 0, 0, tcp(25, port, 20, 0)))
		default:
			put(ip(a, b, packet.TCP, 0, 0, tcp(port, 443, 2, 0)))
			put(ip(b, a, packet.TCP, 0, 0, tcp(443, port, 18, 0)))
			for range random.IntN(30) {
				put(ip(a, b, packet.TCP, 0, 0, tcp(port, 443, 24, random.IntN(1000))))
				put(ip(b, a, packet.TCP, 0, 0, tcp(443, port, 16, random.IntN(1400))))
				if random.IntN(20) == 0 {
					ms += random.Int64N(20_000)
				}
			}
			if random.IntN(3) > 0 {
				put(ip(a, b, packet.TCP, 0, 0, tcp(port, 443, 17, 0)))
				put(ip(b, a, packet.TCP, 0, 0, tcp(443, port, 17, 0)))
				put(ip(a, b, packet.TCP, 0, 0, tcp(port, 443, 16, 0)))
			}
		}
	}
	return packets
}

// TestTotalsAreCapinfos compares with capinfos, which counts packets and their
// lengths on the wire, and with tshark, which reads the IP headers' own.
func TestTotalsAreCapinfos(t *testing.T) {
	need(t, "capinfos", "tshark")
	paths := []string{save(t, traffic(1)), save(t, cutOff(traffic(2), 60)), save(t, cutOff(traffic(3), 30))}
	if dir, err := fixtures.Find(); err == nil {
		cases, _ := filepath.Glob(filepath.Join(dir, "cases", "*.pcap"))
		for n := 0; n < len(cases); n += 10 { // tshark takes its time to start
			paths = append(paths, cases[n])
		}
	}
	for _, path := range paths {
		file, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		m, out := read(t, MeterConfig{Cache: CacheConfig{Active: 10 * time.Second, Inactive: 2 * time.Second}}, bytes.NewReader(file))
		s := m.Stats()
		if packets, length := capinfos(t, path); s.Packets != packets || s.Bytes != length {
			t.Errorf("%s: %d packets, %d bytes; capinfos: %d and %d", path, s.Packets, s.Bytes, packets, length)
		}
		var skipped uint64
		for _, n := range s.Skipped {
			skipped += n
		}
		packets, octets := sums(out)
		if packets != s.Metered || octets != s.Octets || s.Metered+skipped != s.Packets {
			t.Errorf("%s: flows have %d packets, %d bytes: %+v", path, packets, octets, s)
		}
		if packets, octets := tsharkIP(t, path); s.Metered != packets || s.Octets != octets {
			t.Errorf("%s: %d packets, %d bytes of IP; tshark: %d and %d (%+v)", path, s.Metered, s.Octets, packets, octets, s)
		}
	}
}

// cutOff are packets as a capture with a limit has them.
func cutOff(packets []pcap.Packet, limit int) []pcap.Packet {
	for n := range packets {
		packets[n].Data = packets[n].Data[:min(limit, len(packets[n].Data))]
	}
	return packets
}

func capinfos(t *testing.T, path string) (packets, length uint64) {
	t.Helper()
	text, err := exec.Command("capinfos", "-T", "-r", "-M", "-c", "-d", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Split(strings.TrimSpace(string(text)), "\t")
	for n, into := range []*uint64{&packets, &length} {
		if *into, err = strconv.ParseUint(fields[1+n], 10, 64); err != nil {
			t.Fatalf("capinfos: %q", text)
		}
	}
	return packets, length
}

// tsharkIP counts the packets with both addresses, and adds up their lengths
// by the outermost IP header.
func tsharkIP(t *testing.T, path string) (packets, octets uint64) {
	t.Helper()
	text, err := exec.Command("tshark", "-n", "-r", path, "-T", "fields", "-E", "occurrence=f", "-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE",
		"-e", "ip.dst", "-e", "ip.len", "-e", "ipv6.dst", "-e", "ipv6.plen", "-e", "frame.protocols").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		four, six := strings.Index(f[4], ":ip:"), strings.Index(f[4], ":ipv6:")
		if six >= 0 && f[2] != "" && (four < 0 || six < four) {
			length, _ := strconv.ParseUint(f[3], 10, 64)
			packets, octets = packets+1, octets+40+length
		} else if f[0] != "" {
			length, _ := strconv.ParseUint(f[1], 10, 64)
			packets, octets = packets+1, octets+length
		}
	}
	return packets, octets
}

// A conversation is what softflowd knows of a flow, which is of both
// directions: the 5-tuple and sums, as sent in records of one direction.
type conversation struct {
	start, end     int64
	packets, bytes uint64
	flags          uint16
}

func (c *conversation) add(b *flow.Batch, i int) {
	if c.packets == 0 {
		c.start = b.Time(flow.Start)[i]
	}
	c.start = min(c.start, b.Time(flow.Start)[i])
	c.end = max(c.end, b.Time(flow.End)[i])
	c.packets += b.U64(flow.Packets)[i]
	c.bytes += b.U64(flow.Bytes)[i]
	c.flags |= b.U16(flow.TCPFlags)[i]
}

// fiveTuple names a row's flow as softflowd does.
func fiveTuple(b *flow.Batch, i int) string {
	sport, dport := b.U16(flow.SrcPort)[i], b.U16(flow.DstPort)[i]
	if kind, code := b.U8(flow.ICMPType)[i], b.U8(flow.ICMPCode)[i]; kind != 0 || code != 0 {
		dport = uint16(kind)<<8 | uint16(code)
	}
	return fmt.Sprintf("%v,%d>%v,%d/%d", b.Addr(flow.SrcAddr)[i], sport, b.Addr(flow.DstAddr)[i], dport, b.U8(flow.Protocol)[i])
}

// TestFlowsAreSoftflowds meters the same file with softflowd.
//
// It has peculiarities. Of a file it ends flows when it has read all of it:
// its timers run only on a live interface. So with timers that never fire our
// flows are its flows, one by one; with timers that do, those of ours that
// follow one another in a conversation are together its flow. Both directions
// of a conversation have the times of the whole. ToS is not in its key. ICMP's
// type and code are the destination port, of both directions. It counts
// Ethernet's padding as bytes of the packet; there is none in this file.
func TestFlowsAreSoftflowds(t *testing.T) {
	need(t, "softflowd")
	packets := traffic(4)
	theirs := softflowd(t, save(t, packets))
	key := flow.MaskOf(flow.SrcAddr, flow.DstAddr, flow.Protocol, flow.SrcPort, flow.DstPort, flow.ICMPType, flow.ICMPCode)
	for _, test := range []struct {
		name string
		cfg  CacheConfig
		same bool // number of flows
	}{
		{"timers beyond the file", CacheConfig{Active: time.Hour, Inactive: time.Hour, NoTCPEnd: true}, true},
		{"timers", CacheConfig{Active: 20 * time.Second, Inactive: 3 * time.Second}, false},
		{"a small cache", CacheConfig{Flows: 20}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.cfg.Key = key
			m, out := metered(MeterConfig{Cache: test.cfg}, packets)
			ours := map[string]*conversation{}
			for i := range out.Len() {
				name := fiveTuple(out, i)
				if ours[name] == nil {
					ours[name] = &conversation{}
				}
				ours[name].add(out, i)
			}
			if same := out.Len() == len(theirs); same != test.same {
				t.Errorf("%d flows, %d of softflowd's", out.Len(), len(theirs))
			}
			if len(ours) != len(theirs) {
				t.Errorf("%d conversations of one direction, %d of softflowd's", len(ours), len(theirs))
			}
			for _, name := range slices.Sorted(maps.Keys(theirs)) {
				us, them := ours[name], theirs[name]
				if us == nil {
					t.Errorf("%s is not there", name)
					continue
				}
				whole := *us // with the times of both directions
				if back := ours[backward(name)]; back != nil {
					whole.start, whole.end = min(whole.start, back.start), max(whole.end, back.end)
				}
				if whole != *them {
					t.Errorf("%s: %+v, softflowd's %+v", name, whole, *them)
				}
			}
			t.Logf("%d flows, %d of softflowd's, of %d packets; ended: %v", out.Len(), len(theirs), m.Stats().Metered, m.CacheStats().Ended)
		})
	}
}

// backward is the other direction of a fiveTuple, whose ICMP goes on being
// another type's.
func backward(name string) string {
	name, protocol, _ := strings.Cut(name, "/")
	src, dst, _ := strings.Cut(name, ">")
	if protocol == "1" || protocol == "58" {
		return ""
	}
	return dst + ">" + src + "/" + protocol
}

// softflowd meters a file and returns its flows, which it sends here as IPFIX.
func softflowd(t *testing.T, path string) map[string]*conversation {
	t.Helper()
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	if err := socket.SetReadBuffer(4 << 20); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	control := filepath.Join(dir, "ctl")
	command := exec.Command("softflowd", "-d", "-r", path, "-v", "10", "-A", "milli", "-m", "100000", "-t", "maxlife=0",
		"-n", socket.LocalAddr().String(), "-p", filepath.Join(dir, "pid"), "-c", control)
	var complaint bytes.Buffer
	command.Stderr = &complaint
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	// Reading a file it looks at a poll result that it never set, and may then
	// wait for someone on its control socket.
	for running := true; running; {
		select {
		case err := <-ended:
			if err != nil {
				t.Fatalf("softflowd: %v: %s", err, &complaint)
			}
			running = false
		case <-time.After(100 * time.Millisecond):
			if c, err := net.Dial("unix", control); err == nil {
				c.Close()
			}
		}
	}
	session, b := netflow.NewSession(netflow.Config{}), flow.NewBatch(4096)
	buffer := make([]byte, 65536)
	for {
		_ = socket.SetReadDeadline(time.Now().Add(200 * time.Millisecond)) // everything was sent
		n, err := socket.Read(buffer)
		if err != nil {
			break
		}
		var m netflow.Message
		if err := session.Decode(buffer[:n], time.Now().UnixMilli(), b, &m); err != nil {
			t.Fatal(err)
		}
	}
	flows := map[string]*conversation{}
	for i := range b.Len() {
		name := fiveTuple(b, i)
		if flows[name] != nil {
			t.Errorf("softflowd has two flows %s", name)
		}
		flows[name] = &conversation{}
		flows[name].add(b, i)
	}
	return flows
}
