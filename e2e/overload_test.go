package e2e

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestOverloadIsThinned sends more flows than the collector is to take, and
// demands that it stores the fewer, that they count for all, and that it says so.
func TestOverloadIsThinned(t *testing.T) {
	file := filepath.Join(t.TempDir(), "minamo.yaml")
	if err := os.WriteFile(file, []byte("budget: {collector: 500}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	data := t.TempDir()
	s := serve(t, data, "--config", file)
	x := newSender(t, s.listen)
	var sent, thinned uint64
	var keptOneIn int
	for deadline := time.Now().Add(patience); thinned < 5000; {
		if time.Now().After(deadline) {
			t.Fatalf("of %d flows %d were thinned out; one in %d is kept", sent, thinned, keptOneIn)
		}
		x.flows(300)
		sent += 300
		time.Sleep(100 * time.Millisecond)
		var list struct {
			Exporters []struct {
				KeptOneIn int `json:"kept_one_in"`
				Problems  map[string]uint64
			}
		}
		if s.get(t, "/api/exporters", &list); len(list.Exporters) == 1 {
			keptOneIn, thinned = list.Exporters[0].KeptOneIn, list.Exporters[0].Problems["thinned"]
		}
	}
	if keptOneIn < 2 || !strings.Contains(s.output.String(), "rows are thinned") {
		t.Errorf("one in %d is kept:\n%s", keptOneIn, s.output)
	}
	var now struct{ Kept *float64 }
	if s.get(t, "/api/budget", &now); now.Kept == nil || *now.Kept > 600 {
		t.Errorf("kept: %v", now.Kept)
	}
	var kept uint64
	eventually(t, "everything that came is stored or counted", func() bool {
		kept, thinned = countOf(t, data), uint64(s.metric(t, "minamo_exporter_problems_total"))
		return kept+thinned == sent
	})
	var top struct {
		Total struct{ Packets, Bytes uint64 }
	}
	s.get(t, "/api/top?by=exporter&metric=packets&from=-1h", &top)
	// Whole groups count exactly; each time that k changes, one is cut short.
	if off := float64(top.Total.Packets)/recordPackets - float64(sent); math.Abs(off) > 100 {
		t.Errorf("the %d kept flows count as %d packets, off by %.0f flows of %d", kept, top.Total.Packets, off, sent)
	}
	var budget struct {
		Collector struct {
			Limit  float64
			Source string `json:"limit_source"`
		}
	}
	if s.get(t, "/api/budget", &budget); budget.Collector.Limit != 500 || budget.Collector.Source != "configured" {
		t.Errorf("%+v", budget)
	}
	// When less comes, all is kept again.
	eventually(t, "every flow is kept", func() bool { return s.metric(t, "minamo_exporter_kept_one_in") == 1 })
}
