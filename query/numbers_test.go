package query

import (
	"context"
	"fmt"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/minamo-flow/minamo/enrich/numbers"
	"github.com/minamo-flow/minamo/flow"
)

// Interfaces of a device got other numbers after 21 h 7 min and after 50 h 30 min;
// 4 is no more since then.
var (
	renumberedDevice  = netip.MustParseAddr("192.0.2.1")
	renumberedChanges = []numbers.Change{
		{At: rolledFrom.Add(21*time.Hour + 7*time.Minute), Now: map[uint32]uint32{1: 2, 2: 3, 3: 1}},
		{At: rolledFrom.Add(50*time.Hour + 30*time.Minute), Now: map[uint32]uint32{1: 4, 2: 1}, Gone: map[uint32]string{4: "ge-0/0/4"}},
	}
	renumberedEras = numbers.Eras(renumberedDevice, renumberedChanges)
)

// renumbered is an archive of flows through those interfaces; number tells which one
// they have.
func renumbered(t *testing.T, number func(index uint32, at time.Time) uint32) (dir string) {
	return rolledUpAs(t, 6000, func(b *flow.Batch, i int) {
		of := netip.AddrFrom4([4]byte{192, 0, 2, byte(1 + i%2)})
		b.Addr(flow.Exporter)[i] = flow.AddrFrom(of)
		b.Present[i].Add(flow.Exporter)
		start, end := b.Time(flow.Start)[i], b.Time(flow.End)[i]
		for _, c := range renumberedChanges { // no flow outlives a restart
			if at := c.At.UnixMilli(); start < at && end >= at {
				b.SetUint(flow.End, i, uint64(at-1))
			}
		}
		for k, c := range []flow.Column{flow.InIf, flow.OutIf} {
			index := uint32(1 + (i/2+k)%5)
			if of == renumberedDevice {
				index = number(index, time.UnixMilli(start))
			}
			b.SetUint(c, i, uint64(index))
		}
	})
}

func ofThen(index uint32, _ time.Time) uint32 { return index }

func ofToday(index uint32, at time.Time) uint32 {
	return numbers.Of(renumberedEras, renumberedDevice, index, at)
}

// TestInterfacesHaveTheNumbersOfToday: whatever is asked, of sums and of flows.
func TestInterfacesHaveTheNumbersOfToday(t *testing.T) {
	then, now := renumbered(t, ofThen), renumbered(t, ofToday)
	e, plain := newEngine(t), newEngine(t)
	e.SetEras(renumberedEras)
	if before := e.Named(); before != 1 {
		t.Errorf("names changed %d times", before)
	}
	if e.SetEras(renumberedEras); e.Named() != 1 {
		t.Error("the same eras are news")
	}
	hour := func(h float64) time.Time { return rolledFrom.Add(time.Duration(h * float64(time.Hour))) }
	for _, r := range []struct {
		from, to time.Time
		step     time.Duration
	}{{hour(0), hour(72), 0}, {hour(20), hour(68), 24 * time.Hour}, {hour(12), hour(60), 6 * time.Hour}, {hour(21), hour(22), time.Minute}, {hour(55), hour(70), 0}} {
		for _, c := range []struct{ by, filter, tables string }{
			{"exporter,in_if", "", "interfaces"},
			{"exporter,in_if,out_if", "", "interfaces"},
			{"if", "router 192.0.2.1", "interfaces"},
			{"", "router 192.0.2.1 and in if 1", "interfaces"},
			{"out_if", "in if 3 or out if 5", "interfaces"},
			{"in_if,protocol", "", "flows"},
			{"protocol", "out if 2", "flows"},
			{"protocol", "", "traffic"},
		} {
			t.Run(fmt.Sprintf("%s, %s, %v to %v", c.by, c.filter, r.from, r.to), func(t *testing.T) {
				ask := func(e *Engine, dir string) *Answer {
					q := Report{From: r.from, To: r.to, Step: r.step}
					if c.by != "" {
						q.By = mustDimensions(t, c.by)
					}
					if c.filter != "" {
						q.Filters = append(q.Filters, mustParse(t, c.filter))
					}
					a, err := e.Report(context.Background(), Dir(dir), q)
					if err != nil {
						t.Fatal(err)
					}
					return a
				}
				got, want := ask(e, then), ask(plain, now)
				if !strings.HasPrefix(got.Stats.Tables[0], c.tables) || len(want.Rows) == 0 && want.Total.Sums == (Sums{}) {
					t.Errorf("answered by %v, %d rows", got.Stats.Tables, len(want.Rows))
				}
				// Only who knows eras knows what is no more was called.
				if got, want := fmt.Sprintf("%+v", plainAnswer(got)), fmt.Sprintf("%+v", plainAnswer(want)); strings.Contains(c.by, "exporter,in_if") && strings.Contains(want, "if 2147483652") != strings.Contains(got, "ge-0/0/4 (4 once)") || strings.ReplaceAll(got, "ge-0/0/4 (4 once)", "if 2147483652") != want {
					t.Errorf("%s\nwant\n%s", got, want)
				}
			})
		}
	}
}

// TestNumbersWhereMinutesAreGone: where only hours are kept, numbers change with an
// hour.
func TestNumbersWhereMinutesAreGone(t *testing.T) {
	then := renumbered(t, ofThen)
	minutes, _ := filepath.Glob(filepath.Join(then, "rollups/*_minute"))
	for _, gone := range append(minutes, filepath.Join(then, "flows")) {
		if err := os.RemoveAll(gone); err != nil {
			t.Fatal(err)
		}
	}
	e, plain := newEngine(t), newEngine(t)
	e.SetEras(renumberedEras)
	ask := func(e *Engine, from, to int) *Answer {
		a, err := e.Report(context.Background(), Dir(then), Report{From: rolledFrom.Add(time.Duration(from) * time.Hour), To: rolledFrom.Add(time.Duration(to) * time.Hour), By: mustDimensions(t, "in_if"), Filters: []*Filter{mustParse(t, "router 192.0.2.1")}})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	bytes := func(a *Answer, number string) uint64 {
		for _, r := range a.Rows {
			if r.Key[0].Text == number {
				return r.Bytes
			}
		}
		return 0
	}
	all := ask(e, 0, 30)
	if want := ask(plain, 0, 30).Total.Sums; all.Total.Sums != want {
		t.Errorf("in all %+v, expected %+v", all.Total.Sums, want)
	}
	// 3 was 1 once it had changed for the first time, and is 4 today; from 21 h on it is 1.
	if got, want := bytes(all, "4"), bytes(ask(plain, 0, 21), "3")+bytes(ask(plain, 21, 30), "1"); math.Abs(float64(got)/float64(want)-1) > 1e-6 { // long flows are kept as they are: those change with the minute
		t.Errorf("4 has %d bytes, expected %d", got, want)
	}
}

// TestManyChangesAreTakenTogether: a question's time is not cut for each.
func TestManyChangesAreTakenTogether(t *testing.T) {
	var eras []numbers.Era
	for device := range 200 {
		at := rolledFrom.Add(time.Duration(device)*20*time.Minute + 7*time.Minute)
		eras = append(eras, numbers.Eras(netip.AddrFrom4([4]byte{10, 0, 0, byte(device)}), []numbers.Change{{At: at, Now: map[uint32]uint32{1: 2, 2: 1}}})...)
	}
	q := cellQuery{from: rolledFrom.UnixMilli(), to: rolledFrom.Add(72 * time.Hour).UnixMilli(), by: mustDimensions(t, "exporter,in_if")}
	if err := q.renumber(Dir(t.TempDir()), eras); err != nil || len(q.eras) != 198 || // all but those of the first half hour
		len(q.cuts) > mostCuts || len(q.cuts) < 60 {
		t.Errorf("%d eras, %d cuts, %v", len(q.eras), len(q.cuts), err)
	}
	q.by = mustDimensions(t, "protocol")
	if err := q.renumber(Dir(t.TempDir()), eras); err != nil || len(q.eras)+len(q.cuts) > 0 {
		t.Errorf("a question about something else: %d eras, %d cuts, %v", len(q.eras), len(q.cuts), err)
	}
}
