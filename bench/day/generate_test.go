package main

import (
	"context"
	"fmt"
	"hash/fnv"
	"io/fs"
	"path/filepath"
	"testing"
	"time"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/query"
	"github.com/minamo-flow/minamo/store"
	"github.com/minamo-flow/minamo/wire/netflow"
)

const few = 50_000

// digest is a sum over every value of a day's rows, in their order.
func digest(d *day) (sums query.Sums, hash uint64) {
	h := fnv.New64a()
	for {
		b, ok := d.next()
		if !ok {
			return sums, h.Sum64()
		}
		for i := range b.Len() {
			sums.Flows++
			sums.Packets += b.U64(flow.Packets)[i]
			sums.Bytes += b.U64(flow.Bytes)[i]
			h.Write(b.AppendJSON(nil, i))
		}
	}
}

func TestDayIsAFunctionOfItsSeed(t *testing.T) {
	sums, first := digest(newDay(7, few, date))
	if sums.Flows != few {
		t.Errorf("%d flows, not %d", sums.Flows, few)
	}
	if again, second := digest(newDay(7, few, date)); again != sums || second != first {
		t.Errorf("the same seed made %v and %v", sums, again)
	}
	if _, other := digest(newDay(8, few, date)); other == first {
		t.Error("another seed made the same day")
	}
}

// The store gives back what the generator made, also when writing was ended in
// the middle. Two hours are enough: every segment is synced.
func TestStoreGivesBackTheDay(t *testing.T) {
	dir := t.TempDir()
	for _, minutes := range []int{40, 120} {
		d := newDay(7, 12*few, date)
		d.end = minutes
		if err := writeSegments(d, dir, newProgress("test", 12*few)); err != nil {
			t.Fatal(err)
		}
	}
	engine, err := query.Open(query.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	snapshot, err := store.Pin(dir, time.Time{}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	defer snapshot.Close()
	table, err := engine.Top(context.Background(), snapshot, query.Request{Raw: true})
	if err != nil {
		t.Fatal(err)
	}
	d := newDay(7, 12*few, date)
	d.end = 120
	if want, _ := digest(d); table.Total != want || want.Flows < few/2 {
		t.Errorf("the store has %+v, the day %+v", table.Total, want)
	}
}

// What is sent to nfcapd decodes to the rows that are written to the store.
func TestDatagramsCarryTheRows(t *testing.T) {
	d := newDay(7, few, date)
	var exporters [len(routers)]exporter
	var sessions [len(routers)]*netflow.Session
	for i := range routers {
		exporters[i], sessions[i] = newExporter(date, routers[i].protocol), netflow.NewSession(netflow.Config{})
	}
	// What the collector adds, and what is sent without its options.
	others := flow.MaskOf(flow.Received, flow.Exporter, flow.SamplingRate, flow.SamplingSource, flow.SamplerID)
	var m netflow.Message
	rows := 0
	for range 30 {
		b, _ := d.next()
		decoded := flow.NewBatch(b.Len())
		err := datagrams(b, &exporters, func(router int, datagram []byte) error {
			return sessions[router].Decode(datagram, 0, decoded, &m)
		})
		if err != nil || decoded.Len() != b.Len() {
			t.Fatalf("%d rows became %d: %v", b.Len(), decoded.Len(), err)
		}
		for i := range b.Len() {
			for c := range b.Present[i].All() {
				if others.Has(c) {
					continue
				}
				want, got := fmt.Sprintf("%s", b.AppendText(nil, c, i)), fmt.Sprintf("%s", decoded.AppendText(nil, c, i))
				if want != got {
					t.Fatalf("row %d of %d: %s is %s, decoded %s", i, b.Len(), c, want, got)
				}
			}
			for c := range decoded.Present[i].All() {
				if !b.Present[i].Has(c) {
					t.Fatalf("row %d has no %s, decoded it has %s", i, c, decoded.AppendText(nil, c, i))
				}
			}
			rows++
		}
	}
	if rows == 0 {
		t.Fatal("no rows")
	}
}

func BenchmarkGenerate(b *testing.B) {
	flows := 0
	for b.Loop() {
		for d := newDay(1, 2_000_000, date); ; {
			batch, ok := d.next()
			if !ok {
				break
			}
			flows += batch.Len()
		}
	}
	b.ReportMetric(b.Elapsed().Seconds()*1e9/float64(flows), "ns/flow")
}

// BenchmarkSegment measures what a flow costs from a decoded batch to a
// durable segment of a second at 70,000 flows a second.
func BenchmarkSegment(b *testing.B) {
	d := newDay(1, 100_000_000, date)
	batch, _ := d.next()
	dir := b.TempDir()
	sealed := date
	for b.Loop() {
		sealed = sealed.Add(time.Second)
		if _, err := store.WriteSegment(dir, batch, sealed); err != nil {
			b.Fatal(err)
		}
	}
	rows, bytes := float64(b.N*batch.Len()), 0.0
	filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if info, infoErr := entry.Info(); err == nil && infoErr == nil && !entry.IsDir() {
			bytes += float64(info.Size())
		}
		return nil
	})
	b.ReportMetric(b.Elapsed().Seconds()*1e9/rows, "ns/flow")
	b.ReportMetric(bytes/rows, "B/flow")
}
