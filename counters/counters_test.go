package counters

import (
	"bytes"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/minamo-flow/minamo/enrich/numbers"
	"github.com/minamo-flow/minamo/internal/journal"
)

var (
	noon   = time.Date(2026, 11, 16, 12, 0, 0, 0, time.UTC)
	router = netip.MustParseAddr("192.0.2.1")
	quiet  = slog.New(slog.DiscardHandler)
)

func at(second int, in uint64) Interface {
	return Interface{Index: 7, At: noon.Add(time.Duration(second) * time.Second), Uptime: time.Hour + time.Duration(second)*time.Second, Speed: 1e9, Amounts: Amounts{InOctets: in, OutOctets: 2 * in}}
}

// TestBetween: what two readings tell, and what they don't.
func TestBetween(t *testing.T) {
	for _, x := range []struct {
		name   string
		was    Interface
		now    Interface
		change func(was, now *Interface)
		in     uint64
		what   outcome
	}{
		{name: "traffic", was: at(0, 1000), now: at(60, 61_000), in: 60_000},
		{name: "nothing", was: at(0, 1000), now: at(60, 1000)},
		{name: "no time", was: at(0, 1000), now: at(0, 1000), what: same},
		{name: "a restart", was: at(0, 1000), now: at(60, 2000), change: func(_, now *Interface) { now.Uptime = time.Second }, what: restarted},
		{name: "sysUpTime begins anew after 497 days", was: at(0, 1000), now: at(60, 2000), in: 1000, change: func(was, now *Interface) {
			was.Uptime, now.Uptime = wrap-30*time.Second, 30*time.Second
		}},
		{name: "counters were cleared", was: at(0, 1000), now: at(60, 900), what: reset},
		{name: "the device says so", was: at(0, 1000), now: at(60, 1900), change: func(_, now *Interface) { now.Broken = time.Minute }, what: reset},
		{name: "32 bits begin anew", was: at(0, 1<<31-1000), now: at(10, 1<<31-500), change: func(was, now *Interface) {
			was.Narrow, now.Narrow = true, true
			was.InOctets, now.InOctets = 1<<32-100, 400
		}, in: 500},
		{name: "32 bits on a fast line", was: at(0, 0), now: at(60, 100), change: func(was, now *Interface) {
			was.Narrow, now.Narrow, now.Speed = true, true, 10e9
		}, what: reset},
		{name: "more than the line can carry", was: at(0, 0), now: at(60, 1<<40), what: reset},
		{name: "after a night", was: at(0, 0), now: at(8*3600, 100), what: reset},
	} {
		if x.change != nil {
			x.change(&x.was, &x.now)
		}
		moved, what := between(&x.was, &x.now)
		if what != x.what || moved.InOctets != x.in {
			t.Errorf("%s: outcome %d, %d octets; expected %d, %d", x.name, what, moved.InOctets, x.what, x.in)
		}
	}
	// An answer that came ten seconds late: the device's clock tells how long it was.
	was, now := at(0, 0), at(70, 60_000)
	now.Uptime = was.Uptime + time.Minute
	if moved, _ := between(&was, &now); moved.To.Sub(moved.From) != time.Minute {
		t.Errorf("%v", moved.To.Sub(moved.From))
	}
}

// TestHistory: what was added can be asked, also by another after a restart.
func TestHistory(t *testing.T) {
	dir := t.TempDir()
	h := Open(Config{Dir: dir}, quiet)
	for second := 0; second <= 600; second += 60 {
		h.Add(&Reading{Device: router, Source: SNMP, Interfaces: []Interface{at(second, uint64(second)*1000)}})
		h.Add(&Reading{Device: router, Source: SFlow, Interfaces: []Interface{at(second, uint64(second)*5000)}}) // SNMP counts more
	}
	latest, ok := h.Latest(router, 7)
	if !ok || latest.Seconds != 300 || latest.InOctets != 300_000 || latest.OutOctets != 600_000 || latest.Source != SNMP {
		t.Errorf("%+v", latest)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	h = Open(Config{Dir: dir}, quiet)
	table, err := h.Table(router, 0, noon.Add(30*time.Second), noon.Add(10*time.Minute+30*time.Second), 2*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	s := table[Key{router, 7}]
	if s == nil || len(s.Amounts) != 5 {
		t.Fatalf("%+v", s)
	}
	for i, want := range []uint64{120_000, 120_000, 120_000, 120_000, 90_000} {
		if s.Amounts[i].InOctets != want || s.Covered[i] != time.Duration(want/1000)*time.Second {
			t.Errorf("bucket %d: %d octets in %v", i, s.Amounts[i].InOctets, s.Covered[i])
		}
	}
	if table, err := h.Table(netip.MustParseAddr("192.0.2.2"), 0, noon, noon.Add(time.Hour), time.Minute); err != nil || len(table) != 0 {
		t.Errorf("%v, %v", table, err)
	}
	// A restart: no amount between, and it is told.
	h.Add(&Reading{Device: router, Source: SNMP, Interfaces: []Interface{at(660, 660_000)}})
	after := at(720, 5)
	after.Uptime = time.Second
	h.Add(&Reading{Device: router, Source: SNMP, Interfaces: []Interface{after}})
	restarts := 0
	if err := h.Read(router, noon, noon.Add(time.Hour), func(r *Record) error {
		if r.Restarted {
			restarts++
		}
		return nil
	}); err != nil || restarts != 1 || h.Restarts() != 1 {
		t.Errorf("%d restarts, %v", restarts, err)
	}
}

// TestPartsSumToTheWhole: however an interval lies over buckets, nothing is lost.
func TestPartsSumToTheWhole(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		s := &Series{Step: time.Duration(1+random.IntN(400)) * time.Second, From: noon, Covered: make([]time.Duration, 200), Amounts: make([]Amounts, 200)}
		from := noon.Add(time.Duration(random.IntN(1000)) * time.Millisecond)
		i := Interval{From: from, To: from.Add(time.Duration(1+random.IntN(190_000)) * time.Millisecond), Amounts: Amounts{InOctets: random.Uint64N(1 << 50)}}
		s.add(&i)
		var sum uint64
		var covered time.Duration
		for k := range s.Amounts {
			sum += s.Amounts[k].InOctets
			covered += s.Covered[k]
		}
		if sum != i.InOctets || covered != i.To.Sub(i.From) {
			t.Fatalf("%v of %v, %d of %d", covered, i.To.Sub(i.From), sum, i.InOctets)
		}
	}
}

func FuzzRecord(f *testing.F) {
	r := Record{Device: router, Source: SNMP, Restarted: true, Intervals: []Interval{
		{Index: 7, From: noon, To: noon.Add(time.Minute), Amounts: Amounts{1, 2, 3, 4, 5, 6, 7, 1 << 63}},
		{Index: 3, From: noon.Add(time.Second), To: noon.Add(61 * time.Second)},
	}}
	f.Add(appendRecord(nil, &r)[8:])
	f.Fuzz(func(t *testing.T, payload []byte) {
		var one, two Record
		c := journal.Codec{Data: payload}
		if one.code(&c); c.Fault != nil || len(c.Data) > 0 {
			return
		}
		w := journal.Codec{Writing: true}
		one.code(&w)
		c = journal.Codec{Data: bytes.Clone(w.Data)}
		if two.code(&c); c.Fault != nil || !reflect.DeepEqual(one, two) {
			t.Errorf("%+v\n%+v, %v", one, two, c.Fault)
		}
	})
}

// TestDamage: a file that was cut off is read as far as it goes, and appended to.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	h := Open(Config{Dir: dir}, quiet)
	for second := 0; second <= 300; second += 60 {
		h.Add(&Reading{Device: router, Source: SNMP, Interfaces: []Interface{at(second, uint64(second))}})
	}
	h.Close()
	path := filepath.Join(dir, "2026-11-16.counters")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := os.WriteFile(path, data[:len(data)-3], 0o644); err != nil {
		t.Fatal(err)
	}
	h = Open(Config{Dir: dir}, quiet)
	count := func() (n int) {
		if err := h.Read(netip.Addr{}, noon, noon.Add(time.Hour), func(*Record) error { n++; return nil }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := count(); n != 3 {
		t.Errorf("%d of 5 records, of which one is damaged and one cut off", n)
	}
	h.Add(&Reading{Device: router, Source: SNMP, Interfaces: []Interface{at(600, 1)}})
	h.Add(&Reading{Device: router, Source: SNMP, Interfaces: []Interface{at(660, 2)}})
	if n := count(); n != 4 {
		t.Errorf("%d records", n)
	}
}

// BenchmarkTable reads a day of a thousand interfaces that are read each minute,
// as a survey of the network does.
func BenchmarkTable(b *testing.B) {
	h := Open(Config{Dir: b.TempDir()}, quiet)
	defer h.Close()
	begin := noon.Truncate(24 * time.Hour)
	random := rand.New(rand.NewPCG(1, 2))
	octets := make([]uint64, 50)
	for minute := range 1440 {
		at := begin.Add(time.Duration(minute) * time.Minute)
		for device := range 20 {
			r := Reading{Device: netip.AddrFrom4([4]byte{192, 0, 2, byte(device)}), Source: SNMP}
			for i := range octets {
				octets[i] += random.Uint64N(1e9)
				r.Interfaces = append(r.Interfaces, Interface{Index: uint32(i + 1), At: at, Uptime: at.Sub(begin) + time.Hour, Speed: 1e10,
					Amounts: Amounts{InOctets: octets[i], OutOctets: octets[i] / 2, InPackets: octets[i] / 800, OutPackets: octets[i] / 700}})
			}
			h.Add(&r)
		}
	}
	info, err := os.Stat(filepath.Join(h.cfg.Dir, begin.Format(time.DateOnly)+".counters"))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if table, err := h.Table(netip.Addr{}, 0, begin, begin.Add(24*time.Hour), 5*time.Minute); err != nil || len(table) != 1000 {
			b.Fatal(len(table), err)
		}
	}
	b.ReportMetric(float64(info.Size())/1440/1000, "B/interval")
}

// TestEras: what an interface counted is its own, whichever number it had.
func TestEras(t *testing.T) {
	h := Open(Config{Dir: t.TempDir()}, quiet)
	add := func(second int, index uint32, in uint64) {
		one := at(second, in)
		one.Index = index
		h.Add(&Reading{Device: router, Source: SNMP, Interfaces: []Interface{one}})
	}
	for second := 0; second <= 300; second += 60 {
		add(second, 3, uint64(second)*1000)
	}
	for second := 330; second <= 630; second += 60 {
		add(second, 7, uint64(second)*1000)
	}
	h.SetEras(numbers.Eras(router, []numbers.Change{{At: noon.Add(310 * time.Second), Now: map[uint32]uint32{3: 7, 7: 3}}}))
	for _, index := range []uint32{0, 7} {
		table, err := h.Table(router, index, noon, noon.Add(15*time.Minute), 15*time.Minute)
		if err != nil || len(table) != 1 || table[Key{router, 7}] == nil || table[Key{router, 7}].Amounts[0].InOctets != 600_000 {
			t.Errorf("%d: %v, %v", index, table, err)
		}
	}
	if table, err := h.Table(router, 3, noon, noon.Add(15*time.Minute), 15*time.Minute); err != nil || len(table) > 0 {
		t.Errorf("3 is none: %v, %v", table, err)
	}
}
