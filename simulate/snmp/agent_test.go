package snmp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/gosnmp/gosnmp"

	"github.com/minamo-flow/minamo/simulate"
)

// Here answers are read with gosnmp, which knows nothing of how they were
// written; net-snmp's tools ask the agents of a whole demo in e2e.

var start = time.Date(2026, 11, 16, 9, 0, 0, 0, time.UTC)

func network(t testing.TB, scenarios ...simulate.Scenario) *simulate.Network {
	n, err := simulate.New(simulate.Config{Seed: 1, Start: start, Scenarios: scenarios, Collector: func(string) string { return "" }, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

func agentOf(t testing.TB, n *simulate.Network, name string) *agent {
	for _, r := range n.Routers() {
		if r.Name == name {
			return &agent{router: r, community: []byte("hotaru")}
		}
	}
	t.Fatalf("no router %s", name)
	return nil
}

type question struct {
	kind        gosnmp.PDUType
	once        uint8
	repetitions uint32
	names       []string
}

func (q question) bytes(t testing.TB, version gosnmp.SnmpVersion, community string) []byte {
	p := gosnmp.SnmpPacket{Version: version, Community: community, PDUType: q.kind, RequestID: 0x7ffffffe, NonRepeaters: q.once, MaxRepetitions: q.repetitions}
	for _, name := range q.names {
		p.Variables = append(p.Variables, gosnmp.SnmpPDU{Name: name, Type: gosnmp.Null})
	}
	b, err := p.MarshalMsg()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// ask sends a question and reads the answer; nil for none.
func (a *agent) ask(t testing.TB, q question) *gosnmp.SnmpPacket {
	t.Helper()
	answer := a.answer(q.bytes(t, gosnmp.Version2c, string(a.community)))
	if answer == nil {
		return nil
	}
	if len(answer) > mostAnswer {
		t.Errorf("an answer of %d bytes", len(answer))
	}
	p, err := (&gosnmp.GoSNMP{Version: gosnmp.Version2c}).SnmpDecodePacket(answer)
	if err != nil {
		t.Fatalf("%v: % x", err, answer)
	}
	if p.RequestID != 0x7ffffffe || p.PDUType != gosnmp.GetResponse || p.Community != "hotaru" {
		t.Errorf("the answer is %+v", p)
	}
	return p
}

func (a *agent) value(t testing.TB, name string) gosnmp.SnmpPDU {
	t.Helper()
	return a.ask(t, question{kind: gosnmp.GetRequest, names: []string{name}}).Variables[0]
}

const (
	system   = ".1.3.6.1.2.1.1"
	ifTable  = ".1.3.6.1.2.1.2.2.1"
	group    = ".1.3.6.1.2.1.11" // snmp
	ifXTable = ".1.3.6.1.2.1.31.1.1.1"
)

// TestValues: what there is, and what an interface's values are.
func TestValues(t *testing.T) {
	if !slices.IsSortedFunc(objects, func(a, b object) int { return slices.Compare(a.name, b.name) }) {
		t.Error("objects are out of order")
	}
	n := network(t)
	if err := n.Step(start.Add(3*time.Minute + 30*time.Second)); err != nil {
		t.Fatal(err)
	}
	a := agentOf(t, n, "tyo-ix1")
	var f simulate.IfEntry
	for _, e := range a.router.IfTable() {
		if e.Speed == 100_000 && e.Role == simulate.Exchange {
			f = e
		}
	}
	if f.InOctets <= math.MaxUint32 || f.InOctets == f.OutOctets {
		t.Fatalf("%d and %d octets tell nothing of counters that begin anew", f.InOctets, f.OutOctets)
	}
	row := func(table string, column int) string { return fmt.Sprintf("%s.%d.%d", table, column, f.IfIndex) }
	for _, c := range []struct {
		name string
		kind gosnmp.Asn1BER
		want any
	}{
		{system + ".1.0", gosnmp.OctetString, []byte(a.router.Vendor.SysDescr)},
		{system + ".2.0", gosnmp.ObjectIdentifier, ".1.3.6.1.4.1.32473.1.3"},
		{system + ".3.0", gosnmp.TimeTicks, uint32(34*24*360000 + 21000)},
		{system + ".4.0", gosnmp.OctetString, []byte("noc@hotaru.example")},
		{system + ".5.0", gosnmp.OctetString, []byte("tyo-ix1")},
		{system + ".6.0", gosnmp.OctetString, []byte("Tokyo")},
		{system + ".7.0", gosnmp.Integer, 4},
		{".1.3.6.1.2.1.2.1.0", gosnmp.Integer, 4},
		{row(ifTable, 1), gosnmp.Integer, 2001},
		{row(ifTable, 2), gosnmp.OctetString, []byte("Ethernet2/1")},
		{row(ifTable, 3), gosnmp.Integer, 6},
		{ifTable + ".3.4001", gosnmp.Integer, 24}, // Loopback0
		{row(ifTable, 4), gosnmp.Integer, 1500},
		{row(ifTable, 5), gosnmp.Gauge32, uint(math.MaxUint32)},
		{row(ifTable, 6), gosnmp.OctetString, []byte{2, 0, 0, 0, 2, 1}},
		{ifTable + ".6.4001", gosnmp.OctetString, []byte{}},
		{row(ifTable, 7), gosnmp.Integer, 1},
		{row(ifTable, 8), gosnmp.Integer, 1},
		{row(ifTable, 9), gosnmp.TimeTicks, uint32(0)},
		{row(ifTable, 10), gosnmp.Counter32, uint(uint32(f.InOctets))},
		{row(ifTable, 11), gosnmp.Counter32, uint(uint32(f.InPackets))},
		{row(ifTable, 12), gosnmp.NoSuchObject, nil}, // ifInNUcastPkts: deprecated
		{row(ifTable, 13), gosnmp.Counter32, uint(f.InDiscards)},
		{row(ifTable, 16), gosnmp.Counter32, uint(uint32(f.OutOctets))},
		{row(ifTable, 17), gosnmp.Counter32, uint(uint32(f.OutPackets))},
		{row(ifXTable, 1), gosnmp.OctetString, []byte("Ethernet2/1")},
		{row(ifXTable, 6), gosnmp.Counter64, f.InOctets},
		{row(ifXTable, 7), gosnmp.Counter64, f.InPackets},
		{row(ifXTable, 8), gosnmp.Counter64, uint64(0)},
		{row(ifXTable, 10), gosnmp.Counter64, f.OutOctets},
		{row(ifXTable, 11), gosnmp.Counter64, f.OutPackets},
		{row(ifXTable, 15), gosnmp.Gauge32, uint(100_000)},
		{row(ifXTable, 16), gosnmp.Integer, 2},
		{row(ifXTable, 17), gosnmp.Integer, 1},
		{ifXTable + ".17.4001", gosnmp.Integer, 2},
		{row(ifXTable, 18), gosnmp.OctetString, []byte("IX: Lagoon-IX peering LAN")},
		{row(ifXTable, 19), gosnmp.TimeTicks, uint32(0)},
		{".1.3.6.1.2.1.31.1.5.0", gosnmp.TimeTicks, uint32(0)},

		{system + ".5", gosnmp.NoSuchInstance, nil},
		{system + ".5.1", gosnmp.NoSuchInstance, nil},
		{system + ".5.0.0", gosnmp.NoSuchInstance, nil},
		{ifTable + ".10.4002", gosnmp.NoSuchInstance, nil},
		{ifTable + ".10.2001.0", gosnmp.NoSuchInstance, nil},
		{system + ".8.0", gosnmp.NoSuchObject, nil},
		{ifTable, gosnmp.NoSuchObject, nil},
		{".1.3", gosnmp.NoSuchObject, nil},
		{".0.0", gosnmp.NoSuchObject, nil},
		{".1.3.6.1.4.1.9.1", gosnmp.NoSuchObject, nil},
	} {
		got := a.value(t, c.name)
		if b, ok := got.Value.([]byte); ok {
			got.Value = append([]byte{}, b...)
		}
		if got.Name != c.name || got.Type != c.kind || fmt.Sprintf("%T %v", got.Value, got.Value) != fmt.Sprintf("%T %v", c.want, c.want) {
			t.Errorf("%s: %s %v %T %v, expected %v %T %v", c.name, got.Name, got.Type, got.Value, got.Value, c.kind, c.want, c.want)
		}
	}
}

// TestNext: GetNext goes through everything once, in order, and so does GetBulk;
// each value is what Get says.
func TestNext(t *testing.T) {
	n := network(t)
	if err := n.Step(start.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	for _, r := range n.Routers() {
		a := agentOf(t, n, r.Name)
		var all []gosnmp.SnmpPDU
		var last oid
		for name := ".0.0"; ; {
			v := a.ask(t, question{kind: gosnmp.GetNextRequest, names: []string{name}}).Variables[0]
			if v.Type == gosnmp.EndOfMibView {
				if v.Name != name {
					t.Errorf("the end is at %s, not %s", v.Name, name)
				}
				break
			}
			number := parse(v.Name[1:])
			if slices.Compare(last, number) >= 0 {
				t.Fatalf("%v after %v", number, last)
			}
			if got := a.value(t, v.Name); got.Type != v.Type {
				t.Errorf("Get %s: %v, GetNext %v", v.Name, got.Type, v.Type)
			}
			all, last, name = append(all, v), number, v.Name
		}
		want := 0
		for _, o := range objects {
			if want++; o.column != nil {
				want += len(r.Interfaces) - 1
			}
		}
		if len(all) != want {
			t.Errorf("%s: %d values, expected %d", r.Name, len(all), want)
		}
		at := 0
		for name := ".0.0"; at < len(all); {
			p := a.ask(t, question{kind: gosnmp.GetBulkRequest, repetitions: 50, names: []string{name}})
			for _, v := range p.Variables {
				if v.Type == gosnmp.EndOfMibView {
					break
				}
				if v.Name != all[at].Name {
					t.Fatalf("GetBulk has %s, expected %s", v.Name, all[at].Name)
				}
				at++
				name = v.Name
			}
		}
	}
	// Between instances, and behind them.
	a := agentOf(t, n, "tyo-ix1") // 1001, 2001, 3001, 4001
	for from, to := range map[string]string{
		".1.3":                     system + ".1.0",
		system + ".1.0":            system + ".2.0",
		system + ".1.5":            system + ".2.0",
		system + ".7.0":            ".1.3.6.1.2.1.2.1.0",
		ifTable:                    ifTable + ".1.1001",
		ifTable + ".10":            ifTable + ".10.1001",
		ifTable + ".10.1500":       ifTable + ".10.2001",
		ifTable + ".10.2001":       ifTable + ".10.3001",
		ifTable + ".10.2001.7":     ifTable + ".10.3001",
		ifTable + ".10.4001":       ifTable + ".11.1001",
		ifTable + ".11.4001":       ifTable + ".13.1001",
		ifXTable + ".19.4001":      ".1.3.6.1.2.1.31.1.5.0",
		ifTable + ".20.4294967295": ".1.3.6.1.2.1.11.1.0",
	} {
		if v := a.ask(t, question{kind: gosnmp.GetNextRequest, names: []string{from}}).Variables[0]; v.Name != to {
			t.Errorf("behind %s is %s, expected %s", from, v.Name, to)
		}
	}
}

// TestBulk: non-repeaters, repetitions and the room there is.
func TestBulk(t *testing.T) {
	a := agentOf(t, network(t), "tyo-edge1")
	names := func(q question) (list []string) {
		q.kind = gosnmp.GetBulkRequest
		for _, v := range a.ask(t, q).Variables {
			list = append(list, v.Name)
		}
		return list
	}
	uptime, in, out := system+".3", ifXTable+".6", ifXTable+".10"
	if got, want := names(question{once: 1, repetitions: 2, names: []string{uptime, in, out}}), []string{uptime + ".0", in + ".4", out + ".4", in + ".5", out + ".5"}; !slices.Equal(got, want) {
		t.Errorf("%v, expected %v", got, want)
	}
	if got := names(question{once: 1, names: []string{uptime, in}}); len(got) != 1 {
		t.Errorf("without repetitions: %v", got)
	}
	if got := names(question{once: 9, repetitions: 9, names: []string{uptime}}); len(got) != 1 {
		t.Errorf("nothing is to be repeated: %v", got)
	}
	if got := names(question{}); len(got) != 0 {
		t.Errorf("nothing was asked: %v", got)
	}
	if got := names(question{repetitions: 1 << 30, names: []string{in, out}}); len(got) < 50 || len(got) > 100 || got[len(got)-1] == got[0] {
		t.Errorf("%d values, as many as there is room for: 60 to 70", len(got))
	}
	// It ends with the first repetition in which nothing is left.
	if got := names(question{repetitions: 9, names: []string{ifXTable + ".19.10", ".1.4"}}); len(got) != 6 {
		t.Errorf("at the end: %v", got)
	}
}

// TestRefused: what gets an error, and what gets nothing, is counted.
func TestRefused(t *testing.T) {
	a := agentOf(t, network(t), "osk-core1")
	get := question{kind: gosnmp.GetRequest, names: []string{system + ".1.0"}}
	if a.answer(get.bytes(t, gosnmp.Version2c, "public")) != nil || a.answer(get.bytes(t, gosnmp.Version1, "hotaru")) != nil {
		t.Error("another community or version was answered")
	}
	if a.answer([]byte("GET / HTTP/1.0\r\n\r\n")) != nil || a.answer(nil) != nil || a.answer(append(get.bytes(t, gosnmp.Version2c, "hotaru"), 0)) != nil {
		t.Error("what is no SNMP was answered")
	}
	if a.ask(t, question{kind: gosnmp.GetResponse, names: get.names}) != nil {
		t.Error("a response was answered")
	}
	for _, c := range []struct {
		name string
		q    question
		code gosnmp.SNMPError
		left int
	}{
		{"Set", question{kind: gosnmp.SetRequest, names: []string{system + ".5.0"}}, gosnmp.NotWritable, 1},
		{"Set of nothing", question{kind: gosnmp.SetRequest}, gosnmp.NoError, 0},
		{"Get of too much", question{kind: gosnmp.GetRequest, names: slices.Repeat(get.names, 30)}, gosnmp.TooBig, 0},
		{"GetNext of too much", question{kind: gosnmp.GetNextRequest, names: slices.Repeat([]string{system}, 30)}, gosnmp.TooBig, 0},
	} {
		if p := a.ask(t, c.q); p.Error != c.code || len(p.Variables) != c.left {
			t.Errorf("%s: %v with %d variables, expected %v with %d", c.name, p.Error, len(p.Variables), c.code, c.left)
		}
	}
	for column, want := range map[int]uint{3: 1, 4: 1, 6: 3} {
		if got := a.value(t, fmt.Sprintf("%s.%d.0", group, column)); got.Value != want {
			t.Errorf("snmp.%d is %v, expected %d", column, got.Value, want)
		}
	}
	if a.Unexpected.Load() != 1 {
		t.Errorf("%d were no requests, expected 1", a.Unexpected.Load())
	}
}

// TestNumbers: requests that other software would write in other ways.
func TestNumbers(t *testing.T) {
	a := agentOf(t, network(t), "osk-core1")
	name := []byte{0x30, 0x0c, 0x06, 0x08, 0x2b, 6, 1, 2, 1, 1, 5, 0, 5, 0}
	message := func(id []byte, lengths ...byte) []byte {
		pdu := slices.Concat(id, []byte{2, 1, 0, 2, 1, 0}, append([]byte{0x30}, lengths...), name)
		body := slices.Concat([]byte{2, 1, 1, 4, 6}, []byte("hotaru"), []byte{0xa0, byte(len(pdu))}, pdu)
		return append([]byte{0x30, byte(len(body))}, body...)
	}
	for _, c := range []struct {
		what string
		in   []byte
		id   []byte // in the answer; nil for none
	}{
		{"a negative id", message([]byte{2, 1, 0xff}, 14), []byte{2, 1, 0xff}},
		{"an id of all bits", message([]byte{2, 4, 0x80, 0, 0, 0}, 14), []byte{2, 4, 0x80, 0, 0, 0}},
		{"an id with zeros before it", message([]byte{2, 4, 0, 0, 0, 0x80}, 14), []byte{2, 2, 0, 0x80}},
		{"a long form of length", message([]byte{2, 1, 7}, 0x82, 0, 14), []byte{2, 1, 7}},
		{"an id of five bytes", message([]byte{2, 5, 0, 0, 0, 0, 1}, 14), nil},
		{"an id without bytes", message([]byte{2, 0}, 14), nil},
		{"an indefinite length", message([]byte{2, 1, 7}, 0x80), nil},
		{"a length behind the end", message([]byte{2, 1, 7}, 15), nil},
		{"a length before the end", message([]byte{2, 1, 7}, 13), nil},
	} {
		answer := a.answer(c.in)
		if answer == nil || c.id == nil {
			if (answer == nil) != (c.id == nil) {
				t.Errorf("%s: % x", c.what, answer)
			}
			continue
		}
		if !bytes.Contains(answer, append([]byte{0xa2}, answer[14])) || !bytes.Contains(answer, append(c.id, 2, 1, 0, 2, 1, 0, 0x30)) || !bytes.Contains(answer, []byte("osk-core1")) {
			t.Errorf("%s: % x", c.what, answer)
		}
	}
	// Object identifiers there and back.
	for _, name := range []oid{{0, 0}, {1, 39}, {2, 999, 1}, {1, 3, 127, 128, 16383, 16384, math.MaxUint32}} {
		content := appendOID(nil, name)
		r := reader(appendBytes(nil, tagOID, content))
		if got, err := r.oid(); err != nil || !slices.Equal(got, name) {
			t.Errorf("%v: %v %v", name, got, err)
		}
	}
	for _, content := range [][]byte{{}, {0x2b, 0x80}, {0x2b, 0x80, 1}, {0x2b, 0x90, 0x80, 0x80, 0x80, 0}, bytes.Repeat([]byte{1}, mostNumbers)} {
		r := reader(appendBytes(nil, tagOID, content))
		if got, err := r.oid(); err == nil {
			t.Errorf("% x is %v", content, got)
		}
	}
}

// TestRenumber: with a restart sysUpTime and counters begin anew, and interfaces
// are found at other numbers.
func TestRenumber(t *testing.T) {
	for _, scenario := range []string{"renumber", "restart"} {
		n := network(t, simulate.Scenario{Name: scenario, Router: "osk-core1", From: start.Add(5 * time.Minute)})
		a := agentOf(t, n, "osk-core1")
		look := func(at time.Duration) (up uint32, octets uint64, names []string) {
			if err := n.Step(start.Add(at)); err != nil {
				t.Fatal(err)
			}
			for _, f := range a.router.Interfaces {
				names = append(names, string(a.value(t, fmt.Sprintf("%s.1.%d", ifXTable, f.IfIndex)).Value.([]byte)))
				octets += a.value(t, fmt.Sprintf("%s.6.%d", ifXTable, f.IfIndex)).Value.(uint64)
			}
			return a.value(t, system+".3.0").Value.(uint32), octets, names
		}
		_, octets, names := look(5*time.Minute - time.Second)
		up, octets2, names2 := look(6 * time.Minute)
		if up != 6000 || octets2 == 0 || octets2 > octets/2 {
			t.Errorf("%s: sysUpTime %d; octets %d, then %d", scenario, up, octets, octets2)
		}
		if renumbered := !slices.Equal(names, names2); renumbered != (scenario == "renumber") {
			t.Errorf("%s: %q were %q", scenario, names2, names)
		}
		slices.Sort(names)
		slices.Sort(names2)
		if !slices.Equal(names, names2) {
			t.Errorf("%s: not the same interfaces: %q", scenario, names2)
		}
	}
}

// TestSockets: each router answers on its own address, until the end; who finds
// the port taken is told.
func TestSockets(t *testing.T) {
	n := network(t)
	var addresses []netip.Addr
	for _, r := range n.Routers() {
		addresses = append(addresses, r.Addr)
	}
	free, err := net.ListenPacket("udp4", addresses[0].String()+":0")
	if err != nil {
		t.Fatal(err)
	}
	port := free.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	if _, err := Listen(addresses, port, "hotaru"); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("the port is taken, and Listen says %v", err)
	}
	free.Close()
	all, err := Listen(addresses, port, "hotaru")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- all.Run(ctx, n.Routers()) }()
	for _, r := range n.Routers() {
		g := gosnmp.GoSNMP{Target: r.Addr.String(), Port: port, Version: gosnmp.Version2c, Community: "hotaru", Timeout: 10 * time.Second, MaxOids: 60}
		if err := g.Connect(); err != nil {
			t.Fatal(err)
		}
		defer g.Conn.Close()
		p, err := g.Get([]string{system + ".5.0"})
		if err != nil || string(p.Variables[0].Value.([]byte)) != r.Name {
			t.Errorf("%s: %v %+v", r.Name, err, p)
		}
		if list, err := g.BulkWalkAll(ifXTable); err != nil || len(list) != 19*len(r.Interfaces) {
			t.Errorf("%s: %v, %d variables", r.Name, err, len(list))
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if all, err = Listen(addresses, port, "hotaru"); err != nil {
		t.Errorf("the port is not free again: %v", err)
	}
	all.Close()
}

func FuzzAnswer(f *testing.F) {
	a := agentOf(f, network(f), "tyo-core1")
	for _, kind := range []gosnmp.PDUType{gosnmp.GetRequest, gosnmp.GetNextRequest, gosnmp.GetBulkRequest, gosnmp.SetRequest} {
		f.Add(question{kind: kind, once: 1, repetitions: 30, names: []string{system + ".3.0", ifTable, ifXTable + ".6.513"}}.bytes(f, gosnmp.Version2c, "hotaru"))
	}
	decoder := &gosnmp.GoSNMP{Version: gosnmp.Version2c}
	f.Fuzz(func(t *testing.T, datagram []byte) {
		answer := a.answer(datagram)
		if answer == nil {
			return
		}
		if len(answer) > mostAnswer {
			t.Errorf("an answer of %d bytes", len(answer))
		}
		if _, err := readMessage(answer); err != nil {
			t.Errorf("% x: %v", answer, err)
		}
		if p, err := decoder.SnmpDecodePacket(answer); err != nil && len(p.Variables) > 0 {
			t.Errorf("% x: %v", answer, err)
		}
	})
}

func BenchmarkAnswer(b *testing.B) {
	a := agentOf(b, network(b), "tyo-core1")
	request := question{kind: gosnmp.GetBulkRequest, once: 1, repetitions: 20, names: []string{system + ".3", ifXTable + ".6", ifXTable + ".10", ifXTable + ".7", ifXTable + ".8", ifTable + ".13"}}.bytes(b, gosnmp.Version2c, "hotaru")
	b.ReportAllocs()
	for b.Loop() {
		if a.answer(request) == nil {
			b.Fatal("no answer")
		}
	}
}
