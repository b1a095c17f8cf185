package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// ifXTableMIB describes ifXTable (RFC 2863) as far as snmptable needs it; Debian
// ships no MIBs of the IETF.
const ifXTableMIB = `X-MIB DEFINITIONS ::= BEGIN
above OBJECT IDENTIFIER ::= { iso 3 6 1 2 1 31 1 }
table OBJECT-TYPE SYNTAX SEQUENCE OF Row MAX-ACCESS not-accessible STATUS current DESCRIPTION "" ::= { above 1 }
row OBJECT-TYPE SYNTAX Row MAX-ACCESS not-accessible STATUS current DESCRIPTION "" INDEX { index } ::= { table 1 }
Row ::= SEQUENCE { name OCTET STRING, alias OCTET STRING }
name OBJECT-TYPE SYNTAX OCTET STRING MAX-ACCESS read-only STATUS current DESCRIPTION "" ::= { row 1 }
alias OBJECT-TYPE SYNTAX OCTET STRING MAX-ACCESS read-only STATUS current DESCRIPTION "" ::= { row 18 }
END
`

const (
	sysUpTime = ".1.3.6.1.2.1.1.3.0"
	sysName   = ".1.3.6.1.2.1.1.5.0"
	ifNumber  = ".1.3.6.1.2.1.2.1.0"
	ifEntry   = ".1.3.6.1.2.1.2.2.1."
	ifXEntry  = ".1.3.6.1.2.1.31.1.1.1."
)

// device is a simulated router as net-snmp sees it.
type device struct {
	address string
	port    int
}

// variables asks with one of net-snmp's tools: names and values in their order.
func (d device) variables(t *testing.T, tool string, names ...string) (list [][2]string) {
	t.Helper()
	args := []string{"-v2c", "-c", "public", "-t", "10", "-m", "", "-OnQtU", fmt.Sprintf("%s:%d", d.address, d.port)}
	for line := range strings.Lines(run(t, tool, append(args, names...)...)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), " = ")
		if !ok {
			t.Fatalf("%s said %q", tool, line)
		}
		if !strings.HasPrefix(value, "No more variables left") { // how a walk ends
			list = append(list, [2]string{name, strings.Trim(value, `"`)})
		}
	}
	return list
}

func (d device) get(t *testing.T, names ...string) (values []string) {
	t.Helper()
	for i, v := range d.variables(t, "snmpget", names...) {
		if v[0] != names[i] {
			t.Fatalf("asked for %s, got %s", names[i], v[0])
		}
		values = append(values, v[1])
	}
	return values
}

func (d device) number(t *testing.T, name string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(d.get(t, name)[0], 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// counted is what an interface had counted at a time of the network's.
type counted struct {
	address string
	index   uint32
	name    string
	since   time.Time // that counters began
	at      time.Time
	octets  [2]uint64 // in, out
	narrow  [2]uint64 // ifInOctets, ifOutOctets
}

// TestSNMP asks the demo's routers with net-snmp's tools: walks are complete and
// in order, and what interfaces have counted at a time is, to the byte, what
// went through them until then. Two routers restart, one of them with new
// ifIndexes.
func TestSNMP(t *testing.T) {
	mentions(t, fails(t, 2, minamo, "demo", "--snmp-port", "65536"), "--snmp-port")
	need(t, "snmpget", "snmpwalk", "snmpbulkwalk", "snmptable", "snmpset")
	dir := t.TempDir()
	file, port := filepath.Join(dir, "truth"), freePort(t, "udp")
	begin := time.Date(2026, 11, 20, 3, 0, 0, 0, time.UTC)
	restart := begin.Add(2 * time.Minute)
	during := fmt.Sprintf("@%s..%s", restart.Format(time.RFC3339), restart.Add(time.Minute).Format(time.RFC3339))
	demo := start(t, minamo, "demo", "--http", fmt.Sprintf("127.0.0.1:%d", freePort(t, "tcp")), "--truth", file, "--snmp-port", strconv.Itoa(port),
		"--start", begin.Format(time.RFC3339), "--speed", "60", "--scenario", "restart:osk-edge1"+during, "--scenario", "renumber:osk-core1@"+restart.Format(time.RFC3339)+"..")
	eventually(t, "the demo tells its routers", func() bool { return strings.Contains(demo.output.String(), "osk-edge1") })
	mentions(t, demo.output.String(), fmt.Sprintf("snmp       community public, port %d", port))
	var devices []device
	for _, found := range regexp.MustCompile(`(?m)^  \S+ +(127\.1\.0\.\d+) `).FindAllStringSubmatch(demo.output.String(), -1) {
		devices = append(devices, device{found[1], port})
	}
	if len(devices) != 5 {
		t.Fatalf("%d routers", len(devices))
	}
	const day = 24 * 360000 // in hundredths of a second
	last := devices[len(devices)-1]
	eventually(t, "the restart is over", func() bool { n := last.number(t, sysUpTime); return n > 100 && n < day })

	var readings []counted
	read := func() {
		for _, d := range devices {
			var indexes []string
			for _, v := range d.variables(t, "snmpbulkwalk", ifEntry+"1") {
				indexes = append(indexes, v[1])
			}
			for _, index := range indexes {
				values := d.get(t, sysUpTime, ifXEntry+"6."+index, ifXEntry+"10."+index, ifEntry+"10."+index, ifEntry+"16."+index, ifXEntry+"1."+index)
				var n [5]uint64
				for i := range n {
					var err error
					if n[i], err = strconv.ParseUint(values[i], 10, 64); err != nil {
						t.Fatal(err)
					}
				}
				number, _ := strconv.ParseUint(index, 10, 32)
				r := counted{address: d.address, index: uint32(number), name: values[5], since: restart, octets: [2]uint64{n[1], n[2]}, narrow: [2]uint64{n[3], n[4]}}
				if n[0] >= day { // it has run for whole days when the network begins
					n[0] %= day
					r.since = begin
				}
				r.at = r.since.Add(time.Duration(n[0]) * 10 * time.Millisecond)
				readings = append(readings, r)
			}
		}
	}
	read()

	names := map[string]bool{}
	for _, d := range devices {
		walked := d.variables(t, "snmpwalk", ".1")
		var previous []uint64
		rows := map[string][]string{}
		for _, v := range walked {
			var oid []uint64
			for part := range strings.SplitSeq(v[0][1:], ".") {
				n, _ := strconv.ParseUint(part, 10, 32)
				oid = append(oid, n)
			}
			if slices.Compare(previous, oid) >= 0 {
				t.Errorf("%s: %v after %v", d.address, oid, previous)
			}
			previous = oid
			if strings.HasPrefix(v[0], ifEntry) || strings.HasPrefix(v[0], ifXEntry) {
				dot := strings.LastIndexByte(v[0], '.')
				rows[v[0][:dot]] = append(rows[v[0][:dot]], v[0][dot+1:])
			}
		}
		var bulk []string
		for _, v := range d.variables(t, "snmpbulkwalk", ".1") {
			bulk = append(bulk, v[0])
		}
		if !slices.EqualFunc(walked, bulk, func(v [2]string, name string) bool { return v[0] == name }) {
			t.Errorf("%s: snmpwalk finds %d variables, snmpbulkwalk %d, or not the same", d.address, len(walked), len(bulk))
		}
		interfaces := rows[ifEntry+"1"]
		if n := d.number(t, ifNumber); n == 0 || int(n) != len(interfaces) || len(rows) != 18+19 {
			t.Errorf("%s: %d interfaces, ifNumber %d, %d columns", d.address, len(interfaces), n, len(rows))
		}
		for column, has := range rows {
			if !slices.Equal(has, interfaces) {
				t.Errorf("%s: column %s has the rows %v, not %v", d.address, column, has, interfaces)
			}
		}
		names[d.get(t, sysName)[0]] = true

		fails(t, 2, "snmpset", "-v2c", "-c", "public", "-m", "", fmt.Sprintf("%s:%d", d.address, port), sysName, "s", "mine")
		fails(t, 1, "snmpget", "-v2c", "-c", "private", "-m", "", "-t", "0.2", "-r", "0", fmt.Sprintf("%s:%d", d.address, port), sysName)
	}

	// A second demo has the same routers, and does without agents.
	other := start(t, minamo, "demo", "--http", fmt.Sprintf("127.0.0.1:%d", freePort(t, "tcp")), "--snmp-port", strconv.Itoa(port), "--backfill", "1m")
	eventually(t, "a second demo runs", func() bool { return strings.Contains(other.output.String(), "the past is written") })
	mentions(t, other.output.String(), "address already in use", "--snmp-port")
	if status := other.terminate(t); status != 0 {
		t.Errorf("the second demo ended with %d", status)
	}

	read()
	mibs := filepath.Join(dir, "mibs")
	if err := os.Mkdir(mibs, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(mibs, "X-MIB.txt"), []byte(ifXTableMIB), 0o644); err != nil {
		t.Fatal(err)
	}
	tables := map[string]string{}
	for _, d := range devices {
		tables[d.address] = "\n" + run(t, "snmptable", "-v2c", "-c", "public", "-M", mibs, "-m", "X-MIB", "-Ci", "-CH", "-Cf", "|", fmt.Sprintf("%s:%d", d.address, port), "X-MIB::table")
	}

	// The minute of the last reading must be over before the truth knows it.
	from := devices[0].number(t, sysUpTime)
	eventually(t, "a minute goes by", func() bool { return devices[0].number(t, sysUpTime) > from+12000 })
	if status := demo.terminate(t); status != 0 {
		t.Errorf("the demo ended with %d", status)
	}

	compared := 0
	minutes := readMinutes(t, file)
	for _, r := range readings {
		var sum [2]uint64
		var now *minuteOfInterface
		for i := range minutes {
			m := &minutes[i]
			if m.address != r.address || m.name != r.name || m.start.Before(r.since) {
				continue
			}
			if part := float64(r.at.Sub(m.start)) / float64(time.Minute); part >= 0 {
				now = m
				for k := range sum {
					sum[k] += uint64(float64(m.octets[k]) * min(part, 1))
				}
			}
		}
		if now == nil || r.at.Sub(now.start) >= time.Minute {
			t.Fatalf("%s %s: no truth of %v", r.address, r.name, r.at)
		}
		if now.index != r.index {
			t.Errorf("%s %s has ifIndex %d, in truth %d", r.address, r.name, r.index, now.index)
		}
		for k, direction := range []string{"In", "Out"} {
			// sysUpTime is cut to 10 ms.
			slack := uint64(float64(now.octets[k])/6000) + 1
			if got := r.octets[k]; got < sum[k] || got > sum[k]+slack {
				t.Errorf("%s %s: ifHC%sOctets at %v is %d, in truth %d", r.address, r.name, direction, r.at, got, sum[k])
			}
			if r.narrow[k] != r.octets[k]&math.MaxUint32 {
				t.Errorf("%s %s: if%sOctets is %d, ifHC%[3]sOctets %[5]d", r.address, r.name, direction, r.narrow[k], r.octets[k])
			}
			if r.octets[k] > 0 {
				compared++
			}
		}
		if want := fmt.Sprintf("\n%d|\"%s\"|\"%s\"\n", now.index, now.name, now.alias); !strings.Contains(tables[r.address], want) {
			t.Errorf("snmptable says\n%s\nexpected %s", tables[r.address], want)
		}
	}
	t.Logf("%d counters are the truth, of %d readings", compared, len(readings))
	if compared < 100 || len(names) != 5 {
		t.Errorf("%d counters were compared, of routers with %d names", compared, len(names))
	}
}

// minuteOfInterface is what truth says of an interface's minute.
type minuteOfInterface struct {
	start                time.Time
	address, name, alias string
	index                uint32
	octets               [2]uint64
}

func readMinutes(t *testing.T, file string) (list []minuteOfInterface) {
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<22)
	for lines.Scan() {
		var m struct {
			Start      time.Time
			Interfaces []struct {
				Address, Name, Alias string
				IfIndex              uint32
				In, Out              struct{ Octets uint64 }
			}
		}
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			t.Fatal(err)
		}
		for _, i := range m.Interfaces {
			list = append(list, minuteOfInterface{m.Start, i.Address, i.Name, i.Alias, i.IfIndex, [2]uint64{i.In.Octets, i.Out.Octets}})
		}
	}
	return list
}
