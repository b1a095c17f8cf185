package snmp

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/minamo-flow/minamo/counters"
)

var (
	localhost = netip.MustParseAddr("127.0.0.1")
	quiet     = slog.New(slog.DiscardHandler)
)

// agentOf starts net-snmp's snmpd as an agent with users of every kind, and
// returns its port.
func agentOf(t *testing.T) uint16 {
	t.Helper()
	path, err := exec.LookPath("snmpd")
	if err != nil {
		path = "/usr/sbin/snmpd"
		if _, err := os.Stat(path); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatal("net-snmp's snmpd is not installed")
			}
			t.Skip("SKIPPED: net-snmp's snmpd is not installed (Debian: snmpd)")
		}
	}
	free, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := free.LocalAddr().(*net.UDPAddr).Port
	free.Close()
	dir := t.TempDir()
	conf := fmt.Sprintf(`agentaddress udp:127.0.0.1:%d
rocommunity secret-community
sysName agent.example.net
createUser nobody
createUser reader SHA "reader-password"
createUser keeper SHA-256 "keeper-password" AES "keeper-privacy"
createUser old MD5 "old-password-1" DES "old-privacy-1"
rouser nobody noauth
rouser reader auth
rouser keeper priv
rouser old priv
`, port)
	file := filepath.Join(dir, "snmpd.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	daemon := exec.Command(path, "-f", "-Lo", "-C", "-c", file)
	daemon.Env = append(os.Environ(), "SNMP_PERSISTENT_DIR="+dir)
	var out strings.Builder
	daemon.Stdout, daemon.Stderr = &out, &out
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		daemon.Process.Kill()
		daemon.Wait()
		if t.Failed() {
			t.Log(out.String())
		}
	})
	for begin := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		g, err := (&Access{Port: uint16(port), Community: "secret-community"}).connect(localhost, 200*time.Millisecond, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, err = g.Get([]string{sysName + ".0"})
		g.Conn.Close()
		if err == nil {
			return uint16(port)
		}
		if time.Since(begin) > 20*time.Second {
			t.Fatal("snmpd does not answer: ", err)
		}
	}
}

// once asks a device once.
func once(t *testing.T, p *Poller) Device {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- p.Run(ctx) }()
	for {
		if d := p.Devices(); len(d) == 1 && !d[0].LastPolled.IsZero() {
			cancel()
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			return d[0]
		}
		time.Sleep(time.Millisecond)
	}
}

func poller(t *testing.T, a Access, h *counters.History, state string) *Poller {
	a.Exporters = netip.MustParsePrefix("127.0.0.0/8")
	if err := a.Check(); err != nil {
		t.Fatal(err)
	}
	return New(Config{Access: []Access{a}, Interval: 100 * time.Millisecond, Timeout: 500 * time.Millisecond, StateFile: state, Look: time.Millisecond,
		Exporters: func() []netip.Addr { return []netip.Addr{localhost} }, Counters: h}, quiet)
}

// TestAgent: net-snmp's agent tells of this machine's interfaces what the kernel
// does, in each version and by users of every kind.
func TestAgent(t *testing.T) {
	port := agentOf(t)
	for name, a := range map[string]Access{
		"2c":           {Community: "secret-community"},
		"noAuthNoPriv": {User: "nobody"},
		"authNoPriv":   {User: "reader", Auth: "sha", AuthPassword: "reader-password"},
		"authPriv":     {User: "keeper", Auth: "sha256", AuthPassword: "keeper-password", Privacy: "aes", PrivPassword: "keeper-privacy", Repetitions: 1},
	} {
		t.Run(name, func(t *testing.T) {
			a.Port = port
			state := filepath.Join(t.TempDir(), "snmp.json")
			h := counters.Open(counters.Config{Dir: t.TempDir()}, quiet)
			defer h.Close()
			p := poller(t, a, h, state)
			d := once(t, p)
			if d.Error != "" || !d.Reachable || d.Name != "agent.example.net" || !strings.Contains(d.Description, "Linux") || d.Uptime <= 0 {
				t.Fatalf("%+v", d)
			}
			system, err := net.Interfaces()
			if err != nil {
				t.Fatal(err)
			}
			known := map[uint32]Interface{}
			for _, i := range p.Interfaces(localhost) {
				known[i.Index] = i
			}
			for _, s := range system {
				if i := known[uint32(s.Index)]; i.Name != s.Name || i.Up != (s.Flags&net.FlagRunning != 0) && s.Name == "lo" {
					t.Errorf("%+v, the kernel has %+v", i, s)
				}
			}
			if len(known) < len(system) {
				t.Errorf("%d of %d interfaces", len(known), len(system))
			}
			// What is known outlives us, and commands read it.
			if kept, err := Load(state); err != nil || len(kept[localhost].Interfaces) != len(known) {
				t.Errorf("%v, %v", kept, err)
			}
			if again := poller(t, a, h, state); len(again.Interfaces(localhost)) != len(known) {
				t.Error("a new poller does not know what was known")
			}
			text, err := os.ReadFile(state)
			for _, s := range []Secret{a.Community, a.AuthPassword, a.PrivPassword} {
				if err != nil || s != "" && strings.Contains(string(text), string(s)) {
					t.Error("a secret in the file")
				}
			}
		})
	}
}

// TestCounters: what the loopback counted between two polls is what went through
// it.
func TestCounters(t *testing.T) {
	kernel := func() uint64 {
		text, err := os.ReadFile("/sys/class/net/lo/statistics/rx_bytes")
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := kernel() // earlier than what the agent remembers
	port := agentOf(t)
	h := counters.Open(counters.Config{Dir: t.TempDir()}, quiet)
	defer h.Close()
	a := Access{Port: port, Community: "secret-community"}
	p := poller(t, a, h, "")
	index := uint32(0)
	if lo, err := net.InterfaceByName("lo"); err == nil {
		index = uint32(lo.Index)
	} else {
		t.Fatal(err)
	}
	begin := time.Now()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- p.Run(ctx) }()
	conn, err := net.Dial("udp4", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	payload := make([]byte, 1000)
	for n := 0; ; n++ { // snmpd looks at the kernel's counters every few seconds
		if r, ok := h.Latest(localhost, index); ok && r.InOctets > 1_000_000 {
			break
		}
		if time.Since(begin) > 60*time.Second {
			t.Fatal("counters do not move")
		}
		conn.Write(payload) // no SNMP: thrown away, but counted
		time.Sleep(500 * time.Microsecond)
	}
	cancel()
	<-done
	after := kernel()
	table, err := h.Table(localhost, index, begin.Add(-time.Hour), time.Now().Add(time.Hour), 3*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	var counted uint64
	for _, a := range table[counters.Key{Device: localhost, Index: index}].Amounts {
		counted += a.InOctets
	}
	if counted < 1_000_000 || counted > after-before {
		t.Errorf("SNMP counted %d octets, the kernel %d", counted, after-before)
	}
}

// TestRefused: what is wrong is said, without the secret.
func TestRefused(t *testing.T) {
	port := agentOf(t)
	for name, x := range map[string]struct {
		Access
		words string
	}{
		"wrong community": {Access{Port: port, Community: "not-the-community"}, "is the community right?"},
		"unknown user":    {Access{Port: port, User: "stranger", Auth: "sha", AuthPassword: "stranger-password"}, "user"},
		"wrong password":  {Access{Port: port, User: "reader", Auth: "sha", AuthPassword: "wrong-password"}, ""},
		"nobody listens":  {Access{Port: 1, Community: "not-the-community"}, "no SNMP agent listens there"},
	} {
		t.Run(name, func(t *testing.T) {
			h := counters.Open(counters.Config{Dir: t.TempDir()}, quiet)
			var logged strings.Builder
			p := poller(t, x.Access, h, "")
			p.log = slog.New(slog.NewTextHandler(&logged, nil))
			d := once(t, p)
			if d.Reachable || !strings.Contains(d.Error, x.words) || d.Error == "" {
				t.Errorf("%+v", d)
			}
			told, _ := json.Marshal(d)
			for _, text := range []string{logged.String(), string(told), fmt.Sprintf("%v %+v %#v", x.Access, x.Access, x.Access)} {
				if strings.Contains(text, "not-the") || strings.Contains(text, "-password") {
					t.Errorf("a secret: %s", text)
				}
			}
			if logged.Len() == 0 {
				t.Error("nothing was logged")
			}
			t.Log(d.Error)
		})
	}
}

func TestAccessCheck(t *testing.T) {
	all := netip.MustParsePrefix("192.0.2.0/24")
	for words, a := range map[string]Access{
		"exporters is missing":      {},
		"exporters has many":        {Exporters: all, Address: localhost},
		"expected 2c or 3":          {Exporters: all, Version: "1"},
		"are of version 3":          {Exporters: all, Version: "2c", User: "x"},
		"user is missing":           {Exporters: all, Version: "3"},
		"community is of":           {Exporters: all, User: "x", Community: "y"},
		"auth: expected one of md5": {Exporters: all, User: "x", Auth: "rot13"},
		"privacy: expected one of":  {Exporters: all, User: "x", Auth: "sha", AuthPassword: "12345678", Privacy: "rot13"},
		"privacy needs auth":        {Exporters: all, User: "x", Privacy: "aes"},
		"auth-password: 8":          {Exporters: all, User: "x", Auth: "sha", AuthPassword: "short"},
		"privacy-password: 8":       {Exporters: all, User: "x", Auth: "sha", AuthPassword: "12345678", Privacy: "aes"},
		"100 at most":               {Exporters: all, Repetitions: 101},
	} {
		if err := a.Check(); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", words, err)
		}
	}
}
