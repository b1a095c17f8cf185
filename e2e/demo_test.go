package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// simulated is what truly happened: sums over minutes.
type simulated struct {
	bytes, variance map[string]float64 // by table and key, as in "protocols 6"
}

type amount struct {
	Bytes uint64  `json:"bytes"`
	Error float64 `json:"error"` // relative, in 95 of 100 cases
}

func (s *simulated) add(table, key string, a amount) {
	name := table + " " + key
	s.bytes[name] += float64(a.Bytes)
	s.variance[name] += math.Pow(float64(a.Bytes)*a.Error/1.96, 2)
}

// truth reads the minutes that begin in [from, to).
func truth(t *testing.T, file string, from, to time.Time) simulated {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := simulated{map[string]float64{}, map[string]float64{}}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<22)
	for lines.Scan() {
		var m struct {
			Start time.Time `json:"start"`
			In    amount    `json:"in"`

			Interfaces []struct {
				Address string `json:"address"`
				IfIndex uint32 `json:"ifIndex"`
				Role    string `json:"role"`
				In      amount `json:"in"`
			} `json:"interfaces"`
		}
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			t.Fatal(err)
		}
		if m.Start.Before(from) || !m.Start.Before(to) {
			continue
		}
		s.add("total", "", m.In)
		for _, i := range m.Interfaces {
			if i.Role != "core" && i.Role != "management" && i.Role != "virtual" { // what is metered
				s.add("interfaces", i.Address+" "+strconv.Itoa(int(i.IfIndex)), i.In)
			}
		}
		var all map[string]json.RawMessage
		json.Unmarshal(lines.Bytes(), &all) // as above
		for _, table := range []string{"protocols", "ipVersions", "dscp", "sourceAS", "destinationAS", "sourceCountry", "destinationCountry"} {
			var rows map[string]amount
			if err := json.Unmarshal(all[table], &rows); err != nil {
				t.Fatalf("%s: %v", table, err)
			}
			for key, a := range rows {
				s.add(table, key, a)
			}
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestDemo lets a carrier run for an hour of its time: what Minamo reports is
// what happened, within the error that sampling allows, and nothing was lost.
func TestDemo(t *testing.T) {
	dir := t.TempDir()
	data, file := filepath.Join(dir, "data"), filepath.Join(dir, "truth")
	start := time.Date(2026, 11, 20, 3, 0, 0, 0, time.UTC) // a Friday's noon, there
	said := run(t, minamo, "demo", "--data", data, "--http", fmt.Sprintf("127.0.0.1:%d", freePort(t, "tcp")),
		"--start", start.Format(time.RFC3339), "--for", "1h", "--truth", file, "--seed", "7")
	figures := regexp.MustCompile(`(\d+) flow records in (\d+) datagrams, (\d+) received, (\d+) dropped`).FindStringSubmatch(said)
	if figures == nil || figures[2] != figures[3] || figures[4] != "0" {
		t.Fatalf("the demo said %s", said)
	}
	t.Log(figures[0])
	if n := countOf(t, data); strconv.FormatUint(n, 10) != figures[1] {
		t.Errorf("%d flows are stored of %s", n, figures[1])
	}

	from, to := start.Add(5*time.Minute), start.Add(55*time.Minute)
	want := truth(t, file, from, to)
	window := from.Format("2006/01/02.15:04:05") + "-" + to.Format("2006/01/02.15:04:05")
	for _, c := range []struct {
		table, by string
		keys      []string
	}{
		{"total", "ip_version", nil},
		{"protocols", "protocol", []string{"protocol"}},
		{"ipVersions", "ip_version", []string{"ip_version"}},
		{"dscp", "dscp", []string{"dscp"}},
		{"sourceAS", "src_as", []string{"src_as"}},
		{"destinationAS", "dst_as", []string{"dst_as"}},
		{"sourceCountry", "src_country", []string{"src_country"}},
		{"destinationCountry", "dst_country", []string{"dst_country"}},
		{"interfaces", "exporter,in_if", []string{"exporter", "in_if"}},
	} {
		var answer struct {
			Rows []struct {
				Key   map[string]any `json:"key"`
				Bytes float64        `json:"bytes"`
			} `json:"rows"`
			Total struct {
				Bytes float64 `json:"bytes"`
			} `json:"total"`
		}
		text := run(t, minamo, "report", "--data", data, "--utc", "-t", window, "--by", c.by, "-n", "0", "-o", "json")
		numbers := json.NewDecoder(strings.NewReader(text))
		numbers.UseNumber() // an AS number is no 4.2e+09
		if err := numbers.Decode(&answer); err != nil {
			t.Fatalf("%s: %v in %.500s", c.by, err, text)
		}
		got := map[string]float64{"total ": answer.Total.Bytes}
		for _, row := range answer.Rows {
			var key []string
			for _, name := range c.keys {
				key = append(key, fmt.Sprint(row.Key[name]))
			}
			if c.keys != nil {
				got[c.table+" "+strings.Join(key, " ")] = row.Bytes
			}
		}
		compared := 0
		for name, bytes := range want.bytes {
			if !strings.HasPrefix(name, c.table+" ") {
				continue
			}
			// Five standard errors, and what flows that are spread carry over the
			// window's edges.
			bound := 5*math.Sqrt(want.variance[name]) + bytes/200
			if bound > bytes/2 {
				continue // too little was sampled of it to tell
			}
			compared++
			if math.Abs(got[name]-bytes) > bound {
				t.Errorf("%s: %.0f bytes are reported, %.0f there were: %+.1f %%, expected ± %.1f %%", name, got[name], bytes, (got[name]/bytes-1)*100, bound/bytes*100)
			}
		}
		for name, bytes := range got { // and nothing besides
			if strings.HasPrefix(name, c.table+" ") && want.bytes[name] == 0 && bytes > want.bytes["total "]/1000 {
				t.Errorf("%s: %.0f bytes are reported, there were none", name, bytes)
			}
		}
		if compared == 0 {
			t.Errorf("%s: nothing was compared", c.table)
		}
		t.Logf("by %s: %d amounts agree with the truth", c.by, compared)
	}
}

// TestDemoRefuses: wrong options are told, and what can go wrong is listed.
func TestDemoRefuses(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"now"}, `unexpected "now"`},
		{[]string{"--scenario", "nonsense"}, "nonsense"},
		{[]string{"--scale", "0"}, "--scale"},
		{[]string{"--start", "yesterday"}, "--start"},
		{[]string{"--http", "here"}, "--http"},
	} {
		mentions(t, fails(t, 2, minamo, append([]string{"demo"}, c.args...)...), c.want)
	}
	mentions(t, run(t, minamo, "demo", "--scenarios"), "wrong-rate", "double-count", "acl")
}
