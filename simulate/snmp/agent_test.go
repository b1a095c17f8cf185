package snmp

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gosnmp/gosnmp"

	"github.com/minamo-flow/minamo/simulate"
)

var start = time.Date(2026, 11, 16, 9, 0, 0, 0, time.UTC)

func network(t testing.TB, scenarios ...simulate.Scenario) *simulate.Network {
	n, err := simulate.New(simulate.Config{Seed: 1, Start: start, Scenarios: scenarios, Collector: func(string) string { return "" }, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

// run starts agents on a free port.
func run(t *testing.T, n *simulate.Network) (all *Agents, port string) {
	free, err := net.ListenPacket("udp4", "127.1.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	number := free.LocalAddr().(*net.UDPAddr).Port
	free.Close()
	if all, err = Listen(n, uint16(number), "hotaru"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- all.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return all, strconv.Itoa(number)
}

// tool runs one of net-snmp's.
func tool(t *testing.T, name string, args ...string) []string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("SKIPPED: net-snmp's %s is not installed (Debian: snmp)", name)
	}
	out, err := exec.CommandContext(t.Context(), name, append([]string{"-v2c", "-On", "-t", "2", "-m", ""}, args...)...).Output()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

// TestNetSNMP: net-snmp's tools read what the network knows.
func TestNetSNMP(t *testing.T) {
	n := network(t)
	if err := n.Step(start.Add(10 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	all, port := run(t, n)
	for _, r := range n.Routers() {
		at := r.Addr.String() + ":" + port
		if got := tool(t, "snmpget", "-c", "hotaru", at, ".1.3.6.1.2.1.1.5.0"); got[0] != `.1.3.6.1.2.1.1.5.0 = STRING: "`+r.Name+`"` {
			t.Errorf("sysName: %s", got)
		}
		want := map[string]string{}
		for _, f := range r.IfTable() {
			index := fmt.Sprint(f.IfIndex)
			want[ifXTable+".1."+index] = `STRING: "` + f.Name + `"`
			want[ifXTable+".18."+index] = `STRING: "` + f.Alias + `"`
			want[ifXTable+".6."+index] = fmt.Sprintf("Counter64: %d", f.InOctets)
			want[ifXTable+".10."+index] = fmt.Sprintf("Counter64: %d", f.OutOctets)
			want[ifXTable+".15."+index] = fmt.Sprintf("Gauge32: %d", f.Speed)
			want[ifTable+".2."+index] = `STRING: "` + f.Descr + `"`
			want[ifTable+".10."+index] = fmt.Sprintf("Counter32: %d", uint32(f.InOctets))
			want[ifTable+".8."+index] = "INTEGER: 1"
		}
		for _, walker := range []string{"snmpwalk", "snmpbulkwalk"} {
			got := map[string]string{}
			var last []uint32
			for _, line := range tool(t, walker, "-c", "hotaru", at, ".1.3.6.1.2.1") {
				name, value, ok := strings.Cut(line, " = ")
				if strings.Contains(value, "No more variables left") {
					continue
				}
				if !ok {
					t.Errorf("%s", line)
				}
				got[name] = value
				if oid := numbers(name); slices.Compare(last, oid) >= 0 {
					t.Errorf("%v after %v", oid, last)
				} else {
					last = oid
				}
			}
			for name, value := range want {
				if got[name] != value && !(strings.HasSuffix(value, `""`) && got[name] == `""`) {
					t.Errorf("%s %s: %s is %s, expected %s", walker, r.Name, name, got[name], value)
				}
			}
			// 7 of the system and two that stand alone; 18 and 19 of each interface.
			if expected := 7 + 2 + 37*len(r.Interfaces); len(got) != expected {
				t.Errorf("%s: %d values, expected %d", walker, len(got), expected)
			}
		}
		if got := tool(t, "snmpget", "-c", "hotaru", at, ifTable+".10.999", ".1.3.6.1.2.1.99.1.0"); !strings.Contains(got[0], "No Such Instance") || !strings.Contains(got[1], "No Such Object") {
			t.Errorf("%s", got)
		}
	}
	if all.Stats.Malformed.Load() != 0 || all.Stats.Refused.Load() != 0 {
		t.Errorf("%d malformed, %d refused", all.Stats.Malformed.Load(), all.Stats.Refused.Load())
	}
}

func ask(t testing.TB, all *Agents, v *view, kind gosnmp.PDUType, community string, repetitions uint32, oids ...string) *gosnmp.SnmpPacket {
	g := gosnmp.GoSNMP{Version: gosnmp.Version2c, Community: community}
	var pdus []gosnmp.SnmpPDU
	for _, o := range oids {
		pdus = append(pdus, gosnmp.SnmpPDU{Name: o, Type: gosnmp.Null})
	}
	request, err := g.SnmpEncodePacket(kind, pdus, 0, repetitions)
	if err != nil {
		t.Fatal(err)
	}
	answer := all.answer(request, func() *view { return v })
	if answer == nil {
		return nil
	}
	if len(answer) > mostAnswer {
		t.Errorf("an answer of %d bytes", len(answer))
	}
	p, err := g.SnmpDecodePacket(answer)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestAnswers: errors and limits.
func TestAnswers(t *testing.T) {
	n := network(t)
	all := &Agents{community: "hotaru"}
	v := viewOf(n.Routers()[1])
	if p := ask(t, all, v, gosnmp.GetRequest, "public", 0, system+".5.0"); p != nil || all.Stats.Refused.Load() != 1 {
		t.Error("a wrong community was answered")
	}
	if p := ask(t, all, v, gosnmp.GetBulkRequest, "hotaru", 1000, ifTable, ifXTable); p == nil || len(p.Variables) < 40 {
		t.Errorf("%+v", p)
	}
	if p := ask(t, all, v, gosnmp.SetRequest, "hotaru", 0, system+".5.0"); p == nil || p.Error != gosnmp.NotWritable {
		t.Errorf("%+v", p)
	}
	if p := ask(t, all, v, gosnmp.GetNextRequest, "hotaru", 0, ".1.3.6.1.3"); p == nil || p.Variables[0].Type != gosnmp.EndOfMibView {
		t.Errorf("%+v", p)
	}
	if p := ask(t, all, v, gosnmp.GetRequest, "hotaru", 0, slices.Repeat([]string{system + ".1.0"}, 60)...); p == nil || p.Error != gosnmp.TooBig || len(p.Variables) > 0 {
		t.Errorf("%+v", p)
	}
}

// TestRestart: a restart's counters and sysUpTime begin anew, and interfaces that
// were numbered anew have their names at other numbers.
func TestRestart(t *testing.T) {
	n := network(t, simulate.Scenario{Name: "renumber", From: start.Add(5 * time.Minute)})
	i := slices.IndexFunc(n.Routers(), func(r *simulate.Router) bool { return r.Name == "osk-core1" })
	r := n.Routers()[i]
	look := func(minutes int) (up uint32, octets uint64, names []string) {
		if err := n.Step(start.Add(time.Duration(minutes) * time.Minute)); err != nil {
			t.Fatal(err)
		}
		v := viewOf(r)
		for _, f := range r.Interfaces {
			at := fmt.Sprintf(".%d", f.IfIndex)
			names = append(names, v.get(ifXTable+".1"+at).Value.(string))
			octets += v.get(ifXTable + ".6" + at).Value.(uint64)
		}
		return v.get(system + ".3.0").Value.(uint32), octets, names
	}
	up, octets, names := look(4)
	up2, octets2, names2 := look(6)
	if up2 >= up || octets2 >= octets || up2 > 12000 {
		t.Errorf("sysUpTime %d, then %d; octets %d, then %d", up, up2, octets, octets2)
	}
	if slices.Equal(names, names2) {
		t.Error("the interfaces have their old numbers")
	}
}

func FuzzAnswer(f *testing.F) {
	n := network(f)
	v := viewOf(n.Routers()[0])
	all := &Agents{community: "public"}
	for _, kind := range []gosnmp.PDUType{gosnmp.GetRequest, gosnmp.GetNextRequest, gosnmp.GetBulkRequest, gosnmp.SetRequest} {
		g := gosnmp.GoSNMP{Version: gosnmp.Version2c, Community: "public"}
		request, err := g.SnmpEncodePacket(kind, []gosnmp.SnmpPDU{{Name: ifTable, Type: gosnmp.Null}}, 0, 10)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(request)
	}
	f.Fuzz(func(t *testing.T, request []byte) {
		if answer := all.answer(request, func() *view { return v }); len(answer) > 1<<16 {
			t.Errorf("an answer of %d bytes", len(answer))
		}
	})
}
