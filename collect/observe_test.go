package collect

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/minamo-flow/minamo/flow"
)

// Buckets lie side by side, each holds what begins in it, and none is wider than
// a sixteenth of what it counts.
func TestHistogram(t *testing.T) {
	for i := range HistogramLen {
		from := HistogramFrom(i)
		if b := bucket(from); b != uint(i) {
			t.Errorf("%d ms is in bucket %d, expected %d", from, b, i)
		}
		if i > 0 {
			if b := bucket(from - 1); b != uint(i-1) {
				t.Errorf("%d ms is in bucket %d, expected %d", from-1, b, i-1)
			}
			if width := from - HistogramFrom(i-1); i > 1 && width*16 > from {
				t.Errorf("bucket %d is %d ms wide at %d ms", i-1, width, from)
			}
		}
	}
	for _, ms := range []int64{-1 << 63, -1, 0, 1023} {
		if b := bucket(ms); b != 0 {
			t.Errorf("%d ms is in bucket %d", ms, b)
		}
	}
	if b := bucket(1<<63 - 1); b != HistogramLen-1 {
		t.Errorf("the longest is in bucket %d", b)
	}
}

// rows is a batch of flows as a datagram brings them, complete.
func rows(n int) *flow.Batch {
	b := flow.NewBatch(n)
	b.Extend(n)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range n {
		start := 1_700_000_000_000 + random.Uint64N(60_000)
		b.SetUint(flow.Start, i, start)
		b.SetUint(flow.End, i, start+random.Uint64N(60_000))
		b.SetUint(flow.Packets, i, 1+random.Uint64N(100))
		b.SetUint(flow.SamplingRate, i, 1000)
		b.SetUint(flow.SamplingSource, i, flow.SamplingOptions)
		b.SetUint(flow.Direction, i, flow.Ingress)
	}
	return b
}

func TestObservation(t *testing.T) {
	b := rows(100)
	b.SetUint(flow.Start, 7, 1_700_000_000_000)
	b.SetUint(flow.End, 7, 1_700_000_000_000+77_000)
	for i, ms := range []uint64{0, 500, 1023, 1024} {
		b.SetUint(flow.Start, 20+i, 1_700_000_000_000)
		b.SetUint(flow.End, 20+i, 1_700_000_000_000+ms)
	}
	for i := range 30 { // in two runs
		row := i
		if i >= 10 {
			row = 50 + i
		}
		b.SetUint(flow.SamplingRate, row, 1)
		b.SetUint(flow.SamplingSource, row, flow.SamplingAssumed)
	}
	var o observation
	exported := int64(1_700_000_000_000 + 200_000)
	o.flows(b, 0, 100, exported)
	rates := []RateReading{{1, flow.SamplingAssumed, 30}, {1000, flow.SamplingOptions, 70}}
	if !reflect.DeepEqual(o.rates[:2], rates) || o.rates[2].Flows != 0 {
		t.Errorf("rates %+v", o.rates)
	}
	var durations, delays Histogram
	for i := range 100 {
		duration := b.Time(flow.End)[i] - b.Time(flow.Start)[i]
		durations[bucket(duration)]++
		if duration < 1024 {
			delays[bucket(exported-b.Time(flow.End)[i])]++
		}
	}
	if *o.durations != durations || *o.delays != delays || o.longest != 77_000 || o.ingress != 1 || o.egress != 0 {
		t.Errorf("%+v", o)
	}

	// More rates than there is room for: all flows are counted.
	for i := range 100 {
		b.SetUint(flow.SamplingRate, i, uint64(1+i))
	}
	o = observation{}
	o.flows(b, 0, 100, 0)
	sum := uint64(0)
	for _, r := range o.rates {
		sum += r.Flows
	}
	if sum != 100 || o.durations != nil {
		t.Errorf("%d flows have a rate; %v", sum, o.durations)
	}

	// Counters that are multiplied by the rate already, and such as are not.
	for row := range 100 {
		o.units = uint64(row)
		b.SetUint(flow.SamplingRate, row, 1000)
		b.SetUint(flow.Packets, row, uint64(1000+row/50))
		o.scaled, o.unscaled = 0, 0
		o.flows(b, 0, 100, 0)
		if scaled := uint64(1 - row/50); o.scaled != scaled || o.unscaled != 1-scaled {
			t.Fatalf("row %d: %d scaled, %d not", row, o.scaled, o.unscaled)
		}
	}
}

// Offsets are taken from all over the minute, however many datagrams come.
func TestOffsets(t *testing.T) {
	var o observation
	for ms := range int64(60_000) {
		o.clock(ms/1000, 1_700_000_000_000+ms)
	}
	if o.offsetLen != 15 || o.offsets[0] != 0 || o.offsets[14] != 56 {
		t.Errorf("%v", o.offsets)
	}
}

// What is read of an exporter that comes with NetFlow v5.
func TestReadings(t *testing.T) {
	e := NewExporters(ExporterConfig{}, slog.New(slog.DiscardHandler))
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	source := netip.MustParseAddr("192.0.2.1")
	b := flow.NewBatch(8)
	bytes := 0
	send := func(sequence uint32) {
		datagram := v5Datagram(at, sequence, 30_000)
		if sequence == 5 {
			datagram = v5Datagram(at, sequence, 0)
		}
		bytes += len(datagram)
		if err := e.Decode(datagram, source, at.UnixMilli()-3000, b); err != nil {
			t.Fatal(err)
		}
	}
	send(0)
	send(1)
	send(1) // twice
	send(2)
	send(5) // 3 and 4 are missing
	e.Decode([]byte{0, 5, 0, 9}, source, at.UnixMilli(), b)
	got := e.Readings(true)
	if len(got) != 1 || len(got[0].Domains) != 1 {
		t.Fatalf("%+v", got)
	}
	x, d := got[0], got[0].Domains[0]
	if x.Exporter != source || x.Malformed != 1 || d.Protocol != flow.NetFlow5 || d.Datagrams != 5 || d.Flows != 5 || d.Units != 5 || d.Bytes != uint64(bytes) ||
		d.Missing != 2 || d.Reordered != 1 || d.Duplicates != 1 || d.Restarts != 0 || d.Longest != 30_000 || fmt.Sprint(d.Offsets) != "[3000]" ||
		!reflect.DeepEqual(d.Rates, []RateReading{{100, flow.SamplingHeader, 5}}) {
		t.Errorf("%+v", x)
	}
	if d.Durations[bucket(30_000)] != 4 || d.Durations[0] != 1 || d.Delays[bucket(10_000)] != 1 {
		t.Errorf("%v, %v", d.Durations, d.Delays)
	}
	// Counters stay; what is of a span begins anew.
	d = e.Readings(true)[0].Domains[0]
	if d.Datagrams != 5 || d.Longest != 0 || d.Offsets != nil || d.Rates != nil || *d.Durations != (Histogram{}) {
		t.Errorf("%+v", d)
	}
}

// v5Datagram is of one flow, sampled 1 in 100, so many ms long, that ended ten
// seconds before it was told.
func v5Datagram(at time.Time, sequence, ms uint32) []byte {
	b := make([]byte, 24+48)
	be := func(at int, v uint32) {
		b[at], b[at+1], b[at+2], b[at+3] = byte(v>>24), byte(v>>16), byte(v>>8), byte(v)
	}
	b[1], b[3] = 5, 1
	be(4, 100_000) // sysUptime
	be(8, uint32(at.Unix()))
	be(16, sequence)
	b[22], b[23] = 1<<6, 100
	be(24+16, 3)         // packets
	be(24+20, 3000)      // bytes
	be(24+24, 90_000-ms) // first
	be(24+28, 90_000)    // last
	b[24+38] = 17
	return b
}

// BenchmarkObserve is what the sweep over a datagram's thirty rows costs, by flow.
func BenchmarkObserve(b *testing.B) {
	batch := rows(30)
	var o observation
	o.flows(batch, 0, 30, 1_700_000_100_000)
	b.ReportAllocs()
	for b.Loop() {
		o.units++
		o.flows(batch, 0, 30, 1_700_000_100_000)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/30, "ns/flow")
}

// TestKinds: of every datagram one flow is looked at, each time another.
func TestKinds(t *testing.T) {
	b := rows(4)
	six := flow.AddrFrom(netip.MustParseAddr("2001:db8::1"))
	for row, address := range []flow.Addr{six, six, six, flow.AddrFrom4([4]byte{192, 0, 2, 1})} {
		b.Addr(flow.SrcAddr)[row] = address
		b.Present[row].Add(flow.SrcAddr)
	}
	b.Present[2].Add(flow.MPLSLabel1)
	var o observation
	for range 400 {
		o.datagram(1400, 1)
		o.flows(b, 0, 4, 1_700_000_100_000)
	}
	if o.ipv6 != 300 || o.mpls != 100 {
		t.Errorf("%d flows of 400 are IPv6, %d have labels", o.ipv6, o.mpls)
	}
}

func TestObserveAllocatesNothing(t *testing.T) {
	batch := rows(30)
	var o observation
	o.flows(batch, 0, 30, 1_700_000_100_000)
	if n := testing.AllocsPerRun(100, func() {
		o.datagram(1400, 1)
		o.clock(3, int64(o.units)*offsetEvery)
		o.flows(batch, 0, 30, 1_700_000_100_000)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
