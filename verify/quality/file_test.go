package quality

import (
	"bytes"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/minamo-flow/minamo/collect"
	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/internal/journal"
)

var (
	noon  = time.Date(2026, 11, 16, 12, 0, 0, 0, time.UTC)
	one   = netip.MustParseAddr("192.0.2.1")
	two   = netip.MustParseAddr("2001:db8::2")
	quiet = slog.New(slog.DiscardHandler)
)

// full is a minute in which everything happened.
func full(at time.Time) *Minute {
	h := &collect.Histogram{0: 3, 17: 1, collect.HistogramLen - 1: 1 << 31}
	return &Minute{
		At: at, Span: 2 * time.Minute, Started: true,
		Sockets: []Socket{{"udp://[::]:2055", 100, 3}, {"tcp://:4739", 0, 0}},
		Exporters: []Exporter{
			{Address: one, Malformed: 1, MalformedParts: 2, Waited: 3, Forlorn: 4, Clamped: 5, RateRejected: 6, RateMismatch: 7, Templates: 8, TemplateChanges: 9, Thinned: 10, Domains: []Domain{
				{
					Protocol: flow.IPFIX, Domain: 1 << 31, Flows: 1 << 40, Datagrams: 2, Bytes: 3, Units: 4, Missing: -5, MissingSamples: 6,
					Reordered: 7, Duplicates: 8, Restarts: 9, Ingress: 10, Egress: 11, Scaled: 12, Unscaled: 13, IPv6: 15, MPLS: 16, Longest: 14, HasOffset: true, Offset: -3_600_000,
					Rates:     []collect.RateReading{{Rate: 4096, Source: flow.SamplingOptions, Flows: 7}, {Rate: 1, Source: flow.SamplingAssumed, Flows: 1}},
					Durations: h, Delays: h,
				},
				{Protocol: flow.NetFlow5, Flows: 1},
			}},
			{Address: two, Malformed: 1},
		},
	}
}

func minutes(t *testing.T, dir string, from, to time.Time) (list []*Minute, damaged int) {
	t.Helper()
	damaged, err := read(dir, from, to, func(m *Minute) error {
		list = append(list, m)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list, damaged
}

func TestMinutesComeBackAsTheyWere(t *testing.T) {
	a := journal.Appender{Form: files, Dir: filepath.Join(t.TempDir(), "quality")}
	want := []*Minute{full(noon), {At: noon.Add(time.Minute), Span: time.Minute, Exporters: []Exporter{{Address: one, Thinned: 3}}}, full(noon.Add(12 * time.Hour))}
	for _, m := range want {
		if err := a.Append(m.At, appendMinute(nil, m), 1<<20); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if got, damaged := minutes(t, a.Dir, noon, noon.Add(24*time.Hour)); damaged != 0 || !reflect.DeepEqual(got, want) {
		t.Errorf("%d damaged: %+v", damaged, got)
	}
	if list, err := files.Days(a.Dir); err != nil || !reflect.DeepEqual(list, []string{"2026-11-16", "2026-11-17"}) {
		t.Errorf("%v, %v", list, err)
	}
	// A minute that reaches into the range is in it; one that begins at its end is not.
	if got, _ := minutes(t, a.Dir, noon.Add(90*time.Second), noon.Add(12*time.Hour)); len(got) != 2 {
		t.Errorf("%d minutes", len(got))
	}
	if got, _ := minutes(t, a.Dir, noon.Add(2*time.Minute), noon.Add(12*time.Hour)); len(got) != 0 {
		t.Errorf("%d minutes", len(got))
	}
	if err := a.Append(noon.Add(13*time.Hour), appendMinute(nil, full(noon.Add(13*time.Hour))), 10); err == nil {
		t.Error("a full file took more")
	}
}

// Many exporters are several records; each is read alone, and all add up.
func TestManyExportersAreSeveralRecords(t *testing.T) {
	m := full(noon)
	for i := range 20_000 {
		x := m.Exporters[0]
		x.Address = netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
		m.Exporters = append(m.Exporters, x)
	}
	data := append([]byte(files.Mark), appendMinute(nil, m)...)
	var exporters, records, sockets, started int
	good, damaged, err := readRecords(bytes.NewReader(data), func(*Minute) bool { return true }, func(part *Minute) error {
		records++
		exporters += len(part.Exporters)
		sockets += len(part.Sockets)
		if part.Started {
			started++
		}
		return nil
	})
	if err != nil || damaged != 0 || good != int64(len(data)) || exporters != len(m.Exporters) || records < 2 || sockets != 2 || started != 1 {
		t.Errorf("%d of %d exporters in %d records, %d sockets, started %d, %v", exporters, len(m.Exporters), records, sockets, started, err)
	}
}

// Wherever a crash cuts the file, what was whole is read, and what is appended
// after it, too.
func TestTornTails(t *testing.T) {
	whole := []byte(files.Mark)
	var ends []int
	for i := range 3 {
		whole = appendMinute(whole, full(noon.Add(time.Duration(i)*time.Minute)))
		ends = append(ends, len(whole))
	}
	for cut := range len(whole) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "2026-11-16"+files.Extension), whole[:cut], 0o644); err != nil {
			t.Fatal(err)
		}
		want := 0
		for _, end := range ends {
			if cut >= end {
				want++
			}
		}
		if got, _ := minutes(t, dir, noon, noon.Add(time.Hour)); len(got) != want {
			t.Fatalf("cut at %d: %d minutes, expected %d", cut, len(got), want)
		}
		if cut%7 > 0 { // syncing takes its time
			continue
		}
		a := journal.Appender{Form: files, Dir: dir}
		if err := a.Append(noon.Add(9*time.Minute), appendMinute(nil, full(noon.Add(9*time.Minute))), 1<<20); err != nil {
			t.Fatal(err)
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		if got, damaged := minutes(t, dir, noon, noon.Add(time.Hour)); len(got) != want+1 || damaged != 0 {
			t.Fatalf("cut at %d: %d minutes after another one, %d damaged", cut, len(got), damaged)
		}
	}
}

func TestDamageIsPassedOver(t *testing.T) {
	first := appendMinute([]byte(files.Mark), full(noon))
	data := appendMinute(bytes.Clone(first), full(noon.Add(time.Minute)))
	data[len(first)-5] ^= 1
	n := 0
	good, damaged, err := readRecords(bytes.NewReader(data), func(*Minute) bool { return true }, func(m *Minute) error {
		n++
		return nil
	})
	if n != 1 || damaged != 1 || good != int64(len(data)) || err != nil {
		t.Errorf("%d minutes, %d damaged, good up to %d of %d, %v", n, damaged, good, len(data), err)
	}
}

func TestAForeignFileIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "2026-11-16"+files.Extension)
	text := []byte("somebody's notes")
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	a := journal.Appender{Form: files, Dir: dir}
	if err := a.Append(noon, appendMinute(nil, full(noon)), 1<<20); err == nil {
		t.Error("appended to it")
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, text) {
		t.Errorf("it is %q, %v", got, err)
	}
}

func TestRetention(t *testing.T) {
	dir := t.TempDir()
	for day := range 10 {
		name := noon.AddDate(0, 0, -day).Format(time.DateOnly) + files.Extension
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, 1000), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "notes.txt"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		age  time.Duration
		most int64
		left int
	}{{7 * 24 * time.Hour, 1 << 20, 8}, {7 * 24 * time.Hour, 5500, 5}, {0, 0, 1}} {
		if err := files.Retain(dir, x.age, x.most, noon); err != nil {
			t.Fatal(err)
		}
		if list, err := files.Days(dir); err != nil || len(list) != x.left || list[len(list)-1] != "2026-11-16" {
			t.Errorf("%v, %d bytes: %v, %v", x.age, x.most, list, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "notes.txt")); err != nil {
		t.Error(err)
	}
}

// FuzzRead: whatever a file holds, reading ends, in bounded room, and what it
// took for good is read again as the same.
func FuzzRead(f *testing.F) {
	f.Add(appendMinute([]byte(files.Mark), full(noon)))
	f.Add(appendMinute(appendMinute([]byte(files.Mark), &Minute{At: noon, Span: time.Minute}), full(noon)))
	f.Add([]byte(files.Mark + "\xff\xff\xff\x03\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		all := func(*Minute) bool { return true }
		var first []*Minute
		good, _, err := readRecords(bytes.NewReader(data), all, func(m *Minute) error {
			first = append(first, m)
			return nil
		})
		if err != nil {
			return
		}
		if good > int64(len(data)) {
			t.Fatalf("good up to %d of %d", good, len(data))
		}
		again := []byte(files.Mark)
		for _, m := range first {
			again = appendMinute(again, m)
		}
		var second []*Minute
		if _, damaged, err := readRecords(bytes.NewReader(again), all, func(m *Minute) error {
			second = append(second, m)
			return nil
		}); err != nil || damaged > 0 || !reflect.DeepEqual(first, second) {
			t.Fatalf("%v, %d damaged\n%+v\n%+v", err, damaged, first, second)
		}
		var losses Losses
		a := NewAssessment(noon.Add(-time.Hour), noon.Add(time.Hour))
		for _, m := range first {
			losses.Add(m)
			a.Add(m)
		}
		losses.Intervals(noon, noon.Add(time.Hour))
		for _, v := range a.Exporters() {
			if v.Score.Score < 0 || v.Score.Score > 100 {
				t.Fatalf("%+v", v.Score)
			}
		}
	})
}

// FuzzPayload is the same behind the checksum, which a fuzzer does not find.
func FuzzPayload(f *testing.F) {
	for _, m := range []*Minute{full(noon), {At: noon, Span: time.Minute}} {
		f.Add(appendMinute(nil, m)[8:])
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		m, c := Minute{}, journal.Codec{Data: payload}
		m.head(&c)
		if m.body(&c); c.Fault != nil {
			return
		}
		w := journal.Codec{Writing: true}
		m.head(&w)
		m.body(&w)
		again, c := Minute{}, journal.Codec{Data: w.Data}
		again.head(&c)
		if again.body(&c); c.Fault != nil || !reflect.DeepEqual(m, again) {
			t.Fatalf("%v\n%+v\n%+v", c.Fault, m, again)
		}
	})
}

// BenchmarkRead reads a day of a hundred exporters.
func BenchmarkRead(b *testing.B) {
	data := []byte(files.Mark)
	m := full(noon)
	m.Exporters[0].Domains = m.Exporters[0].Domains[1:]
	for i := range 100 {
		x := m.Exporters[0]
		x.Address = netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})
		m.Exporters = append(m.Exporters, x)
	}
	for i := range 1440 {
		m.At = noon.Add(time.Duration(i) * time.Minute)
		data = appendMinute(data, m)
	}
	for name, want := range map[string]bool{"all": true, "none": false} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				a := NewAssessment(noon, noon.Add(24*time.Hour))
				if _, _, err := readRecords(bytes.NewReader(data), func(*Minute) bool { return want }, func(m *Minute) error { a.Add(m); return nil }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
