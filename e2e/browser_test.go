package e2e

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// reading is what a person reads on the console's overview, or what a step showed.
type reading struct {
	Address                       string
	Filter                        string
	Flows, Packets, Bytes         string // exact totals
	NowFlows, NowPackets, NowBits string
	Rows                          []readRow
	Charts                        int
	Message, Column               string // of a wrong filter
	Key                           string // of the row whose menu was opened
	Dimensions                    []string
	Metric, Chart, Top            string
	Compare, Mirror               string
	Headings                      []string
	HTML                          int
}

type readRow struct {
	Panel, Key string
	Other      bool
	sums
}

// onPage is what a page showed in one language.
type onPage struct {
	Title  string
	Rows   []readRow
	Texts  int
	Wide   bool
	Errors int
	Value  string
}

// TestConsole opens every page of the console in a browser, on an hour of an
// office's traffic, and compares figures with what `minamo flows` says.
func TestConsole(t *testing.T) {
	need(t, "node", "npm", "chromium")
	driver := filepath.Join(root, "e2e", "browser")
	for _, module := range []string{"playwright-core", "axe-core"} {
		if _, err := os.Stat(filepath.Join(driver, "node_modules", module)); err != nil {
			run(t, "npm", "--prefix", driver, "ci", "--no-audit", "--no-fund")
		}
	}
	data := t.TempDir()
	s := serve(t, data)
	o := newOffice(t, s.listen)
	// Nothing leaves the last hour while the pages are walked, which takes minutes.
	for minute := 45; minute >= 1; minute-- {
		o.export(t, time.Now().Add(-time.Duration(minute)*time.Minute), time.Minute, 60)
	}
	eventually(t, "the flows are stored", func() bool { return countOf(t, data) == o.sent() })
	// Beside the test, so that the browser ends with it.
	p := startCmd(t, exec.Command("node", filepath.Join(driver, "drive.mjs"), s.url, "127.0.0.1"))
	deadline := time.Now().Add(5 * time.Minute)
	for p.running() && time.Now().Before(deadline) {
		time.Sleep(100 * time.Millisecond)
	}
	if p.running() || p.wait(t) != 0 {
		t.Fatalf("the browser's driver failed: %s", p.output)
	}
	var seen struct {
		Errors, Elsewhere, Faults []string
		Steps                     map[string]reading
		Pages                     map[string]onPage
	}
	if err := json.Unmarshal([]byte(p.output.String()), &seen); err != nil {
		t.Fatalf("%v in %s", err, p.output)
	}
	for _, e := range seen.Errors {
		t.Errorf("an error in the browser's console: %s", e)
	}
	for _, e := range seen.Elsewhere {
		t.Errorf("the page asked another host: %s", e)
	}
	for _, e := range seen.Faults {
		t.Errorf("hard to use for some: %s", e)
	}
	for name, filter := range map[string]string{"open": "", "filtered": "proto udp", "reloaded": "proto udp", "back": ""} {
		t.Run(name, func(t *testing.T) {
			r := seen.Steps[name]
			if r.Filter != filter {
				t.Errorf("the filter box has %q, want %q", r.Filter, filter)
			}
			if r.Charts == 0 {
				t.Error("there is no chart")
			}
			want := stored(t, data, filter).sum()
			if got := fmt.Sprint(r.Flows, " ", r.Packets, " ", r.Bytes); got != fmt.Sprint(want.Flows, " ", want.Packets, " ", want.Bytes) {
				t.Errorf("totals on the page %s, minamo flows has %+v", got, want)
			}
			for _, panel := range []string{"applications", "sources", "destinations", "source-ases", "interfaces-in", "interfaces-out"} {
				if got := total(r.Rows, panel); got != sums(want) {
					t.Errorf("the rows of %s add up to %+v, minamo flows has %+v", panel, got, want)
				}
			}
			compareRows(t, ofPanel(r.Rows, "sources"), func(row readRow) string { return "src ip " + row.Key }, filter, data, 5)
			port := func(side string) func(row readRow) string {
				return func(row readRow) string {
					exporter, index, _ := strings.Cut(row.Key, ", if ")
					return fmt.Sprintf("router ip %s and %s if %s", exporter, side, index)
				}
			}
			compareRows(t, ofPanel(r.Rows, "interfaces-in"), port("in"), filter, data, 4)
			compareRows(t, ofPanel(r.Rows, "interfaces-out"), port("out"), filter, data, 4)
		})
	}
	// The rates depend on the moment, but not in proportion to each other:
	// everything came at once.
	open, all := seen.Steps["open"], stored(t, data).sum()
	flows := decimal(t, open.NowFlows)
	if flows <= 0 {
		t.Error("no flows per second now")
	}
	if got, want := decimal(t, open.NowPackets)/flows, float64(all.Packets)/float64(all.Flows); math.Abs(got-want) > 0.01*want {
		t.Errorf("%f packets per flow now, want %f", got, want)
	}
	if got, want := decimal(t, open.NowBits)/flows, 8*float64(all.Bytes)/float64(all.Flows); math.Abs(got-want) > 0.01*want {
		t.Errorf("%f bits per flow now, want %f", got, want)
	}
	if wrong := seen.Steps["wrong"]; wrong.Column != "15" || !strings.Contains(wrong.Message, "prot") || wrong.Flows != seen.Steps["filtered"].Flows {
		t.Errorf("after a wrong filter: column %q, message %q, %s flows; the last figures should stay", wrong.Column, wrong.Message, wrong.Flows)
	}
	if a := seen.Steps["filtered"].Address; !strings.Contains(a, "filter=proto") {
		t.Errorf("the address %s does not hold the filter", a)
	}

	t.Run("a link restores what it says", func(t *testing.T) {
		l := seen.Steps["link"]
		got := fmt.Sprint(l.Dimensions, l.Metric, l.Chart, l.Top, l.Compare, l.Mirror, l.Filter)
		if want := fmt.Sprint([]string{"src_as"}, "pps", "lines", "5", "24h", "true", "proto udp"); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	})
	t.Run("only this, and back", func(t *testing.T) {
		only, back := seen.Steps["only"], seen.Steps["backAgain"]
		if only.Filter == "" || len(only.Rows) != 1 || only.Rows[0].Key != only.Key || only.Rows[0].sums != sums(stored(t, data, only.Filter).sum()) {
			t.Errorf("only %s with the filter %q: %+v", only.Key, only.Filter, only.Rows)
		}
		if back.Filter != "" || len(back.Rows) < 5 {
			t.Errorf("back: filter %q, %d rows", back.Filter, len(back.Rows))
		}
	})
	t.Run("the filter is completed, and its terms switched off", func(t *testing.T) {
		list := seen.Steps["completed"].Headings
		if !slices.Contains(list, "64500") || !slices.Contains(list, "64503") || slices.Contains(list, "0") {
			t.Errorf("offered after src as 6450: %v", list)
		}
		typed, off := seen.Steps["typed"], seen.Steps["off"]
		if want := "src as " + list[0]; typed.Filter != want+" and proto udp" || strings.Join(typed.Headings, "|") != want+"|proto udp" {
			t.Errorf("%q with the terms %q, chose %q", typed.Filter, typed.Headings, list[0])
		} else if off.Filter != want || strings.Join(off.Headings, "|") != "proto udp" || total(off.Rows, "explore") != sums(stored(t, data, want).sum()) {
			t.Errorf("switched off: %q, off %q, rows %+v", off.Filter, off.Headings, total(off.Rows, "explore"))
		}
	})
	t.Run("a dashboard is kept", func(t *testing.T) {
		b := seen.Steps["board"]
		if !strings.Contains(b.Address, "/dashboards/test-b-board-b") || strings.Join(b.Headings, "|") != "Test <b>board</b>|<i>apps</i>" || b.HTML != 0 {
			t.Errorf("%+v", b)
		}
	})
	if got := seen.Steps["rule"].Headings; len(got) != 1 || got[0] != "external" {
		t.Errorf("the rule that was kept: %v", got)
	}
	t.Run("whether flows are right", func(t *testing.T) {
		list := seen.Steps["exporters"].Headings
		slices.Sort(list)
		if len(list) != 2 || !strings.HasPrefix(list[0], "127.0.0.1 ") || !strings.HasPrefix(list[1], "127.0.0.2 ") {
			t.Errorf("exporters: %v", list)
		}
		of := seen.Steps["exporter"]
		if want := fmt.Sprint("netflow5 0 0 ", stored(t, data, "router ip 127.0.0.1").sum().Flows); len(of.Headings) != 1 || of.Headings[0] != want || of.Charts < 3 {
			t.Errorf("an exporter's domain, what is missing and what was sent: %v, want %s; %d charts", of.Headings, want, of.Charts)
		}
		ports := seen.Steps["interfaces"].Headings
		if len(ports) != 10 {
			t.Errorf("interfaces: %v", ports)
		}
		for _, port := range ports {
			word := strings.Split(port, " ")
			for i, side := range []string{"in", "out"} {
				filter := fmt.Sprintf("router ip %s and %s if %s", word[0], side, word[1])
				bits := float64(stored(t, data, filter).sum().Bytes) * 8
				// The hour is widened to whole minutes.
				if seconds := bits / decimal(t, word[2+i]); math.Abs(seconds-3600) > 1 && math.Abs(seconds-3660) > 1 {
					t.Errorf("%s: %s bit/s on the page, minamo flows has %f bits", filter, word[2+i], bits)
				}
			}
		}
		if timers := seen.Steps["timers"]; timers.Charts != 2 || decimal(t, timers.Headings[0]) < 0.05 {
			t.Errorf("flows of up to 100 s, spread and not, differ by %v in %d charts", timers.Headings, timers.Charts)
		}
		if got := seen.Steps["proof"].Headings[0]; got != "0" {
			t.Errorf("%s directions compared, where nobody counts", got)
		}
	})
	t.Run("every page", func(t *testing.T) {
		everything := sums(all)
		for name, p := range seen.Pages {
			if p.Errors > 0 || p.Texts < 20 || p.Wide || !strings.HasSuffix(p.Title, "Minamo") {
				t.Errorf("%s: %+v", name, p)
			}
		}
		for _, language := range []string{"en", "ja"} {
			for name, want := range map[string]sums{
				"explore": everything, "treemap": everything, "heatmap": everything, "share": everything, "bars": everything, "report": everything, "size": everything,
			} {
				var got sums
				for _, row := range seen.Pages[name+" "+language].Rows {
					got = sums{got.Flows + row.Flows, got.Packets + row.Packets, got.Bytes + row.Bytes}
				}
				if got != want {
					t.Errorf("%s in %s adds up to %+v, want %+v", name, language, got, want)
				}
			}
			for page, filters := range map[string]map[string]string{
				"address":   {"to": "src ip 192.0.2.10", "from": "dst ip 192.0.2.10", "services": "ip 192.0.2.10"},
				"as":        {"in": "src as 64500", "out": "dst as 64500"},
				"interface": {"in-sources": "router ip 127.0.0.1 and in if 1", "out-as": "router ip 127.0.0.1 and out if 1"},
				"exporter":  {"applications": "router ip 127.0.0.1"},
			} {
				for panel, filter := range filters {
					if got, want := total(seen.Pages[page+" "+language].Rows, panel), sums(stored(t, data, filter).sum()); got != want || want.Flows == 0 {
						t.Errorf("%s of %s in %s: %+v, minamo flows %q: %+v", panel, page, language, got, filter, want)
					}
				}
			}
		}
		// Flows that came after the networks were written have their number; there are none.
		if rows := seen.Pages["ownNetwork en"].Rows; len(rows) != 0 {
			t.Errorf("a network that was added later: %+v", rows)
		}
		if got := seen.Pages["flows en"].Value; got != "200" {
			t.Errorf("%s flows on the first page", got)
		}
	})
}

// TestConsoleStops holds the console to what it says of questions that take
// long: it shows that one waits, stops it when told, and ends it when its reader
// goes away. The server may answer one at a time, and is busy with another.
func TestConsoleStops(t *testing.T) {
	need(t, "node", "npm", "chromium")
	driver := filepath.Join(root, "e2e", "browser")
	if _, err := os.Stat(filepath.Join(driver, "node_modules", "playwright-core")); err != nil {
		run(t, "npm", "--prefix", driver, "ci", "--no-audit", "--no-fund")
	}
	config := filepath.Join(t.TempDir(), "minamo.yaml")
	if err := os.WriteFile(config, []byte("query:\n  sql: true\n  concurrency: 1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s := serve(t, t.TempDir(), "--config", config)
	o := newOffice(t, s.listen)
	o.export(t, time.Now(), time.Minute, 20)
	slow := "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE hash(a.range, b.range) = 1"
	busy, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/api/sql?id=busy&q="+url.QueryEscape(slow), nil)
	if err != nil {
		t.Fatal(err)
	}
	go http.DefaultClient.Do(busy) //nolint:errcheck,bodyclose // it ends with the test
	eventually(t, "the server is busy", func() bool {
		r, err := http.Get(s.url + "/api/questions/busy")
		if err != nil {
			return false
		}
		defer r.Body.Close()
		return r.StatusCode == http.StatusOK
	})
	p := startCmd(t, exec.Command("node", filepath.Join(driver, "stop.mjs"), s.url))
	deadline := time.Now().Add(2 * time.Minute)
	for p.running() && time.Now().Before(deadline) {
		time.Sleep(100 * time.Millisecond)
	}
	if p.running() || p.wait(t) != 0 {
		t.Fatalf("the browser's driver failed: %s", p.output)
	}
	var seen struct {
		Steps map[string]struct {
			Text  string
			Asked int
		}
	}
	if err := json.Unmarshal([]byte(p.output.String()), &seen); err != nil {
		t.Fatalf("%v in %s", err, p.output)
	}
	if got := seen.Steps["waiting"]; got.Asked != 1 || !strings.Contains(got.Text, "waiting for its turn") {
		t.Errorf("while it waits: %+v", got)
	}
	if got := seen.Steps["stopped"]; got.Asked != 0 || !strings.Contains(got.Text, "stopped") {
		t.Errorf("after stopping: %+v", got)
	}
	if got := seen.Steps["again"]; got.Asked != 1 {
		t.Errorf("another: %+v", got)
	}
	if got := seen.Steps["left"]; got.Asked != 0 {
		t.Errorf("after leaving the page: %+v", got)
	}
}

// ofPanel are the rows of a panel, without Other.
func ofPanel(rows []readRow, panel string) []readRow {
	var out []readRow
	for _, row := range rows {
		if row.Panel == panel && !row.Other {
			out = append(out, row)
		}
	}
	return out
}

// total adds up the rows of a panel, Other with them.
func total(rows []readRow, panel string) sums {
	var s sums
	for _, row := range rows {
		if row.Panel == panel {
			s = sums{s.Flows + row.Flows, s.Packets + row.Packets, s.Bytes + row.Bytes}
		}
	}
	return s
}

func decimal(t *testing.T, text string) float64 {
	t.Helper()
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatalf("%q on the page is no number", text)
	}
	return n
}

// compareRows holds rows of a table on the page to `minamo flows`.
func compareRows(t *testing.T, rows []readRow, filterOf func(readRow) string, filter, data string, least int) {
	t.Helper()
	if len(rows) < least {
		t.Errorf("a table has %d rows, want %d or more: %+v", len(rows), least, rows)
	}
	for _, row := range rows {
		of := filterOf(row)
		if want := sums(stored(t, data, join(filter, of)).sum()); row.sums != want {
			t.Errorf("%s: the page has %+v, minamo flows %+v", of, row.sums, want)
		}
	}
}

// office is the traffic of an office with two routers: a believable picture,
// with a fixed seed.
type office struct {
	random  *rand.Rand
	port    int
	routers [2]struct {
		conn     net.Conn
		sequence uint32
	}
}

func newOffice(t *testing.T, port int) *office {
	t.Helper()
	o := &office{random: rand.New(rand.NewPCG(2, 1)), port: port}
	for i := range o.routers {
		conn, err := net.DialUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, byte(1+i))}, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		o.routers[i].conn = conn
	}
	return o
}

// sent is the number of flows sent so far.
func (o *office) sent() uint64 {
	return uint64(o.routers[0].sequence) + uint64(o.routers[1].sequence)
}

// export sends, from each router, the given number of conversations that
// ended within span before at. A minute has about 60.
func (o *office) export(t *testing.T, at time.Time, span time.Duration, conversations int) {
	t.Helper()
	services := []struct {
		protocol byte
		port     uint16
		weight   float64 // of its bytes
		packet   uint32
	}{
		{6, 443, 30, 1100}, {17, 443, 22, 1200}, {6, 80, 5, 900}, {17, 53, 1, 110}, {6, 22, 3, 400},
		{6, 993, 2, 600}, {17, 4500, 6, 800}, {6, 445, 4, 1000}, {17, 123, 0.1, 76}, {1, 0, 0.1, 84}, {50, 0, 5, 900},
	}
	servers := []struct {
		address string
		as      uint16
	}{
		{"203.0.113.10", 64500}, {"203.0.113.80", 64500}, {"198.51.100.7", 64501}, {"198.51.100.25", 64501},
		{"198.51.100.53", 64502}, {"203.0.113.200", 64503},
	}
	random := o.random
	for i := range o.routers {
		router := &o.routers[i]
		wave := 1 + 0.45*math.Sin(float64(at.Unix())/420+float64(i)) + 0.15*random.Float64()
		var records []record5
		for range conversations {
			service := services[random.IntN(len(services))]
			server := servers[min(random.IntN(len(servers)), random.IntN(len(servers)))]
			host := netip.AddrFrom4([4]byte{192, 0, 2, byte(10 + min(random.IntN(40), random.IntN(40)))})
			bytes := uint32(service.weight * wave * (0.2 + min(random.ExpFloat64(), 2)) * 400_000)
			end := at.Add(-time.Duration(random.Int64N(int64(span))))
			up := record5{
				src: host, dst: netip.MustParseAddr(server.address), srcPort: uint16(32768 + random.IntN(28000)), dstPort: service.port,
				protocol: service.protocol, in: uint16(1 + random.IntN(3)), out: uint16(10 + random.IntN(2)),
				bytes: 80 + bytes/12, packets: 1 + bytes/12/200, dstAS: server.as,
				start: end.Add(-time.Duration(1+random.IntN(100)) * time.Second), end: end,
			}
			down := up
			down.src, down.dst, down.srcPort, down.dstPort = up.dst, up.src, up.dstPort, up.srcPort
			down.in, down.out, down.srcAS, down.dstAS = up.out, up.in, up.dstAS, 0
			down.bytes, down.packets = service.packet+bytes, 1+bytes/service.packet
			if service.port == 0 {
				up.srcPort, down.dstPort = 0, 0
			}
			records = append(records, up, down)
		}
		for len(records) > 0 {
			some := records[:min(30, len(records))]
			router.conn.Write(datagram5(router.sequence, at, some))
			router.sequence += uint32(len(some))
			records = records[len(some):]
		}
	}
	drained(t, o.port)
}
