package e2e

import (
	"bufio"
	"encoding/json"
	"math"
	"os"
	"strconv"
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
			if i.Role != "core" && i.Role != "virtual" { // what is metered
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
