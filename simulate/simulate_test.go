package simulate

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/minamo-flow/minamo/flow"
)

// digest is a hash of all datagrams of some minutes: who sent them, when, and what.
func digest(t *testing.T, cfg Config, length, step time.Duration) string {
	t.Helper()
	sum := sha256.New()
	d := simulate(t, cfg)
	d.each = func(source netip.Addr, p []byte) {
		fmt.Fprintln(sum, source, d.network.Now().Unix(), len(p))
		sum.Write(p)
	}
	for d.network.Now().Before(start.Add(length)) {
		d.run(step)
	}
	if d.datagrams < 100 {
		t.Fatalf("%d datagrams", d.datagrams)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

func TestSameSeedSameBytes(t *testing.T) {
	cfg := Config{Seed: 5, Scenarios: []Scenario{{Name: "loss"}, {Name: "restart", Router: "osk-core1", From: start.Add(5 * time.Minute)}}}
	const length = 20 * time.Minute
	a := digest(t, cfg, length, time.Minute)
	if b := digest(t, cfg, length, time.Minute); a != b {
		t.Error("the same seed gives other bytes")
	}
	if b := digest(t, cfg, length, 4*time.Second); a != b {
		t.Error("smaller steps give other bytes")
	}
	cfg.Seed = 6
	if b := digest(t, cfg, length, time.Minute); a == b {
		t.Error("another seed gives the same bytes")
	}
}

// Whatever goes wrong, goes wrong in the same way each time, and differs from what
// is right.
func TestSameScenarioSameBytes(t *testing.T) {
	const length = 12 * time.Minute
	cfg := Config{Seed: 5, Scale: .2, Start: start}
	healthy := digest(t, cfg, length, time.Minute)
	check := func(what string, cfg Config) {
		a := digest(t, cfg, length, time.Minute)
		if b := digest(t, cfg, length, 8*time.Second); a != b {
			t.Errorf("%s: the same seed gives other bytes", what)
		}
		if a == healthy {
			t.Errorf("%s: it changes nothing", what)
		}
	}
	for _, s := range Scenarios() {
		cfg := cfg
		cfg.Scenarios = []Scenario{{Name: s.Name, From: start.Add(4 * time.Minute), To: start.Add(10 * time.Minute)}}
		check(s.Name, cfg)
	}
	everywhere := cfg
	everywhere.Everywhere = true
	check("everywhere", everywhere)
	all := cfg
	for _, s := range Scenarios() {
		all.Scenarios = append(all.Scenarios, Scenario{Name: s.Name, From: start.Add(2 * time.Minute)})
	}
	check("everything at once", all)
	load := cfg
	load.Load = 500
	check("load", load)
}

// Scale 1 is about 100 records a second, and traffic that a small carrier has.
func TestScale(t *testing.T) {
	const hours, scale = 168, .02
	d := simulate(t, Config{Seed: 1, Scale: scale, Keep: hours * 60, Zone: time.UTC})
	d.each = func(netip.Addr, []byte) {}
	for range hours {
		d.run(time.Hour)
	}
	records := uint64(0)
	for _, r := range d.network.Routers() {
		records += r.Records()
		t.Logf("%s: %.1f records/s", r.Name, float64(r.Records())/3600/hours/scale)
		if r.Records() < hours*3600*scale*3 {
			t.Errorf("%s exports %d records in a week", r.Name, r.Records())
		}
	}
	if rate := float64(records) / 3600 / hours / scale; rate < 90 || rate > 125 {
		t.Errorf("%.1f records a second at Scale 1", rate)
	}
	expected := d.network.expect(func(r *Router) uint32 { return r.SamplingRate }) * hours * 3600
	if ratio := float64(records) / expected; ratio < .85 || ratio > 1 {
		t.Errorf("%d records of %.0f packets that are expected to be sampled: ratio %.2f", records, expected, ratio)
	}
	bits := float64(d.truth().In.Bytes) * 8 / 3600 / hours / scale
	if bits < 3e9 || bits > 5e9 {
		t.Errorf("%.2f Gbit/s at Scale 1", bits/1e9)
	}
	day := func(at, length int) float64 {
		from := start.Add(time.Duration(at) * time.Hour)
		return float64(d.network.Truth().Between(from, from.Add(time.Duration(length)*time.Hour)).In.Bytes) / float64(length)
	}
	if evening, night := day(20, 2), day(4, 2); evening < 3*night {
		t.Errorf("the evening has %.1f times the traffic of the night", evening/night)
	}
	customer := func(at int) float64 { // of an enterprise: 10 to 16 o'clock of a day
		from := start.Add(time.Duration(at*24+10) * time.Hour)
		return float64(d.network.Truth().Between(from, from.Add(6*time.Hour)).Report().Customers["Birch Insurance"].To.Bytes)
	}
	if work, weekend := customer(2), customer(5); work < 3*weekend {
		t.Errorf("an enterprise has %.1f times as much on a Wednesday as on a Saturday", work/weekend)
	}
}

// A demo may run for weeks: what is kept does not grow.
func TestMemoryIsBounded(t *testing.T) {
	minutes := 0
	d := simulate(t, Config{Seed: 1, Scale: .02, Keep: 60, OnMinute: func(m *Minute) error { minutes++; return nil }})
	d.each = func(netip.Addr, []byte) {}
	live := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	d.run(24 * time.Hour)
	before := live()
	d.run(6 * 24 * time.Hour)
	if after := live(); after > before+before/4 {
		t.Errorf("%d MB live after a day, %d MB after a week", before>>20, after>>20)
	}
	if kept := len(d.network.Truth().Minutes()); kept != 60 || minutes != 7*24*60 {
		t.Errorf("%d minutes kept, %d told", kept, minutes)
	}
}

// A load is so many records a second, each a packet, and the truth still holds.
func TestLoad(t *testing.T) {
	const load, seconds = 20_000, 60
	d := simulate(t, Config{Seed: 1, Load: load, Start: start.Add(3 * time.Hour)})
	for range seconds * 5 { // as the demo does
		d.run(time.Second / 5)
	}
	m := d.truth()
	rate := float64(d.flows.Len()) / seconds
	if math.Abs(rate/load-1) > .02 {
		t.Errorf("%.0f records a second", rate)
	}
	for _, e := range d.exporters.Status() {
		if n := e.Problems["sampling_mismatch"]; n > 0 {
			t.Errorf("%v: %d times the sample pool and the sampling rate did not agree", e.Exporter, n)
		}
	}
	packets, bytes := d.sum(func(*flow.Batch, int) bool { return true })
	for _, x := range []struct {
		what             string
		is, truth, error float64
	}{
		{"packets", packets, float64(m.In.Packets), m.In.PacketsError()},
		{"bytes", bytes, float64(m.In.Bytes), m.In.Error()},
	} {
		if off := math.Abs(x.is/x.truth - 1); off > 2*x.error {
			t.Errorf("%s: %.3g, truth %.3g: off by %.2g, error %.2g", x.what, x.is, x.truth, off, x.error)
		}
	}
}

func BenchmarkHour(b *testing.B) {
	d := simulate(b, Config{Seed: 1, Start: start.Add(3 * time.Hour)})
	d.each = func(netip.Addr, []byte) {}
	for b.Loop() {
		d.run(time.Hour)
	}
	records := uint64(0)
	for _, r := range d.network.Routers() {
		records += r.Records()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(records), "ns/record")
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/60, "µs/minute")
}

func BenchmarkLoad(b *testing.B) {
	d := simulate(b, Config{Seed: 1, Load: 200_000, Start: start.Add(3 * time.Hour)})
	d.each = func(netip.Addr, []byte) {}
	for b.Loop() {
		d.run(time.Second)
	}
	records := uint64(0)
	for _, r := range d.network.Routers() {
		records += r.Records()
	}
	b.ReportMetric(float64(records)/b.Elapsed().Seconds(), "records/s")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(records), "ns/record")
}
