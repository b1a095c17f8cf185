package collect

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/wire/sflow"
)

var exporterA = netip.MustParseAddr("192.0.2.1")

const received = 1_700_000_000_000 // ms; what the datagrams below call now

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// v5 is a NetFlow v5 datagram of one flow each for the given byte counts.
func v5(sequence uint32, sampling uint16, octets ...uint32) []byte {
	d := binary.BigEndian.AppendUint16(nil, 5)
	d = binary.BigEndian.AppendUint16(d, uint16(len(octets)))
	d = binary.BigEndian.AppendUint32(d, 100_000)       // sysUptime, ms
	d = binary.BigEndian.AppendUint32(d, received/1000) // unix seconds
	d = binary.BigEndian.AppendUint32(d, 0)             // nanoseconds
	d = binary.BigEndian.AppendUint32(d, sequence)
	d = append(d, 0, 0)
	d = binary.BigEndian.AppendUint16(d, sampling)
	for _, n := range octets {
		r := make([]byte, 48)
		copy(r[0:], []byte{10, 0, 0, 1})
		copy(r[4:], []byte{10, 0, 0, 2})
		binary.BigEndian.PutUint16(r[12:], 7) // input
		binary.BigEndian.PutUint32(r[16:], 1) // packets
		binary.BigEndian.PutUint32(r[20:], n)
		binary.BigEndian.PutUint32(r[24:], 90_000)
		binary.BigEndian.PutUint32(r[28:], 99_000)
		binary.BigEndian.PutUint16(r[34:], 443)
		r[38] = 6
		d = append(d, r...)
	}
	return d
}

// set is an IPFIX or v9 set; words are appended as 16-bit numbers.
func set(id uint16, words ...uint16) []byte {
	s := binary.BigEndian.AppendUint16(nil, id)
	s = binary.BigEndian.AppendUint16(s, uint16(4+2*len(words)))
	for _, w := range words {
		s = binary.BigEndian.AppendUint16(s, w)
	}
	return s
}

func ipfix(sequence, domain uint32, sets ...[]byte) []byte {
	d := binary.BigEndian.AppendUint16(nil, 10)
	d = append(d, 0, 0)
	d = binary.BigEndian.AppendUint32(d, received/1000)
	d = binary.BigEndian.AppendUint32(d, sequence)
	d = binary.BigEndian.AppendUint32(d, domain)
	for _, s := range sets {
		d = append(d, s...)
	}
	binary.BigEndian.PutUint16(d[2:], uint16(len(d)))
	return d
}

// A flow template with ifIndex, sampler id, packets and bytes (2 bytes each),
// and an options template: sampler id in scope, interval and space.
var (
	flowTemplate    = set(2, 256, 4, 10, 2, 302, 2, 2, 2, 1, 2)
	samplerTemplate = set(3, 257, 3, 1, 302, 2, 305, 2, 306, 2)
)

func TestSamplingRateIsLearntAndItsSourceKept(t *testing.T) {
	e := NewExporters(ExporterConfig{Sampling: []SamplingRule{
		{Exporters: netip.MustParsePrefix("192.0.2.0/24"), Interface: 9, Rate: 50},
	}}, quiet())
	b := flow.NewBatch(8)
	decode := func(datagram []byte) {
		t.Helper()
		if err := e.Decode(datagram, exporterA, received, b); err != nil {
			t.Fatal(err)
		}
	}
	decode(ipfix(0, 1, flowTemplate, samplerTemplate, set(256, 7, 3, 1, 100))) // nothing announced yet
	decode(ipfix(1, 1, set(256, 9, 3, 1, 100)))                                // configured for interface 9
	decode(ipfix(2, 1, set(257, 3, 1, 999, 4, 0, 5), set(256, 7, 3, 1, 100)))  // 1:1000 for sampler 3; sampler 4 absurd
	decode(ipfix(5, 1, set(256, 9, 3, 1, 100)))                                // options go before configuration
	decode(ipfix(6, 2, flowTemplate, set(256, 7, 3, 1, 100)))                  // another domain knows nothing
	decode(v5(0, 0x4000|200, 1000))                                            // header, mode bits apart
	for i, want := range []struct{ rate, source uint64 }{
		{1, flow.SamplingAssumed}, {50, flow.SamplingConfigured}, {1000, flow.SamplingOptions},
		{1000, flow.SamplingOptions}, {1, flow.SamplingAssumed}, {200, flow.SamplingHeader},
	} {
		if rate, source := b.Uint(flow.SamplingRate, i), b.Uint(flow.SamplingSource, i); rate != want.rate || source != want.source {
			t.Errorf("row %d: rate %d source %d, want %+v", i, rate, source, want)
		}
		if b.Addr(flow.Exporter)[i] != flow.AddrFrom(exporterA) {
			t.Errorf("row %d: no exporter", i)
		}
		if missing := flow.Required; !has(b.Present[i], missing) {
			t.Errorf("row %d lacks required columns: has %v", i, b.Present[i].Columns())
		}
	}
	status := e.Status()
	if len(status) != 1 || status[0].Problems["sampling_rejected"] != 1 || len(status[0].Domains) != 3 {
		t.Errorf("status: %+v", status)
	}
}

func has(m, all flow.Mask) bool {
	for _, c := range all.Columns() {
		if !m.Has(c) {
			return false
		}
	}
	return true
}

func TestStateOutlivesARestart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state", "exporters.json")
	before := NewExporters(ExporterConfig{}, quiet())
	b := flow.NewBatch(8)
	before.Decode(ipfix(0, 1, flowTemplate, samplerTemplate, set(257, 3, 1, 99)), exporterA, received, b)
	if err := before.save(file); err != nil {
		t.Fatal(err)
	}
	after := NewExporters(ExporterConfig{}, quiet())
	if err := after.load(file); err != nil {
		t.Fatal(err)
	}
	if err := after.Decode(ipfix(1, 1, set(256, 7, 3, 2, 100)), exporterA, received, b); err != nil {
		t.Fatal(err)
	}
	if b.Len() != 1 || b.Uint(flow.SamplingRate, 0) != 100 || b.Uint(flow.Packets, 0) != 2 {
		t.Errorf("after the restart: %d rows", b.Len())
	}
}

func TestSamplePoolTellsTheEffectiveRate(t *testing.T) {
	for name, tc := range map[string]struct {
		perSample, rate, drops uint32
		wrong                  bool
	}{
		"as claimed":       {100, 100, 0, false},
		"a little off":     {120, 100, 0, false},
		"five times more":  {500, 100, 0, true},
		"five times less":  {20, 100, 0, true},
		"pool not kept":    {0, 100, 0, false},
		"samples got lost": {500, 100, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			var p sources
			faults := 0
			for i := range uint32(2 * rateSamples) {
				s := sflow.Sample{Sequence: 0xffffff00 + i, Rate: tc.rate, Pool: 0xfffffff0 + i*tc.perSample, Drops: i * tc.drops}
				if p.follow(s) != nil {
					faults++
				}
			}
			if tc.wrong != (faults == 1) {
				t.Errorf("%d faults", faults)
			}
		})
	}
}

func TestMissingSamplesAreCountedBySource(t *testing.T) {
	var s sources
	for _, h := range []struct{ source, sequence uint32 }{{1, 10}, {2, 500}, {1, 11}, {2, 503}, {1, 12}, {2, 504}} {
		s.follow(sflow.Sample{Source: sflow.Source{Index: h.source}, Sequence: h.sequence, Rate: 1})
	}
	if got := s.missing(); got != 2 {
		t.Errorf("%d missing, want 2", got)
	}
	for i := range uint32(2 * maxSources) {
		s.follow(sflow.Sample{Source: sflow.Source{Index: i}})
	}
	if len(s) != maxSources {
		t.Errorf("%d sources are kept", len(s))
	}
}

func TestSequence(t *testing.T) {
	type step struct{ number, units uint32 }
	for name, tc := range map[string]struct {
		steps                       []step
		missing, reorders, restarts uint64
	}{
		"in order":        {[]step{{10, 5}, {15, 5}, {20, 1}}, 0, 0, 0},
		"lost":            {[]step{{10, 5}, {20, 5}, {25, 1}}, 5, 0, 0},
		"late":            {[]step{{10, 5}, {20, 5}, {15, 5}, {25, 5}}, 0, 1, 0},
		"one late, lost":  {[]step{{10, 5}, {30, 5}, {20, 5}, {35, 5}}, 10, 1, 0},
		"twice":           {[]step{{10, 5}, {15, 5}, {15, 5}, {20, 5}}, 0, 1, 0},
		"an old one":      {[]step{{10, 5}, {15, 5}, {20, 5}, {15, 5}, {25, 5}, {30, 5}}, 0, 1, 0},
		"first two swap":  {[]step{{15, 5}, {10, 5}, {20, 5}}, 0, 1, 0},
		"restarted soon":  {[]step{{10, 5}, {15, 5}, {0, 5}, {5, 5}, {10, 5}}, 0, 0, 1},
		"restarted":       {[]step{{5_000_000, 5}, {0, 5}, {5, 5}}, 0, 0, 1},
		"far ahead":       {[]step{{10, 5}, {2_000_000_000, 5}}, 0, 0, 1},
		"wraps around":    {[]step{{0xfffffffe, 4}, {2, 4}}, 0, 0, 0},
		"lost over wrap":  {[]step{{0xfffffffe, 1}, {1, 4}}, 2, 0, 0},
		"first is no gap": {[]step{{77777, 1}}, 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var s sequence
			for _, x := range tc.steps {
				s.follow(x.number, x.units, true, 3000)
			}
			if s.missing != tc.missing || s.reorders != tc.reorders || s.restarts != tc.restarts {
				t.Errorf("missing %d, reorders %d, restarts %d; want %d, %d, %d", s.missing, s.reorders, s.restarts, tc.missing, tc.reorders, tc.restarts)
			}
		})
	}
	t.Run("unknown units set the expectation anew", func(t *testing.T) {
		var s sequence
		s.follow(10, 0, false, 3000)
		s.follow(500, 5, true, 3000)
		s.follow(505, 5, true, 3000)
		if s.missing != 0 || s.restarts != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestClampTimes(t *testing.T) {
	const minute = 60_000
	for name, tc := range map[string]struct{ start, end, wantStart, wantEnd int64 }{
		"as it is":          {received - minute, received, received - minute, received},
		"recorded long ago": {1_300_000_000_000, 1_300_000_060_000, 1_300_000_000_000, 1_300_000_060_000},
		"a little fast":     {received, received + minute, received, received + minute},
		"in the future":     {received + 99*minute, received + 100*minute, received - minute, received},
		"clock never set":   {5000, 9000, received - 4000, received},
		"backwards":         {received, received - minute, received - minute, received - minute},
		"too long":          {received - longest - 1, received, received, received},
		"an absurd start":   {math.MinInt64, received, received, received},
		"an absurd end":     {received, math.MaxInt64, received, received},
		"both absurd":       {math.MinInt64, math.MaxInt64, received, received},
		"both far ahead":    {math.MaxInt64 - 5, math.MaxInt64, received, received},
	} {
		t.Run(name, func(t *testing.T) {
			b := flow.NewBatch(1)
			b.Extend(1)
			b.SetUint(flow.Start, 0, uint64(tc.start))
			b.SetUint(flow.End, 0, uint64(tc.end))
			b.SetUint(flow.Received, 0, received)
			clamped := clampTimes(b, 0, 1)
			if b.Time(flow.Start)[0] != tc.wantStart || b.Time(flow.End)[0] != tc.wantEnd {
				t.Errorf("%d to %d", b.Time(flow.Start)[0], b.Time(flow.End)[0])
			}
			if changed := tc.start != tc.wantStart || tc.end != tc.wantEnd; changed != (clamped == 1) {
				t.Errorf("counted %d", clamped)
			}
		})
	}
}

func TestUnusableDatagramsAreCounted(t *testing.T) {
	e := NewExporters(ExporterConfig{}, quiet())
	b := flow.NewBatch(1)
	for _, d := range [][]byte{{}, {0, 9}, {0, 2, 0, 0}, {0, 6, 0, 0}, {0, 0, 0, 3}, {0xde, 0xad, 0xbe, 0xef}, {0, 5, 0, 1}} {
		var wrong *DatagramError
		if err := e.Decode(d, exporterA, received, b); !errors.As(err, &wrong) || wrong.Exporter != exporterA {
			t.Errorf("%x: %v", d, err)
		}
	}
	rejected := e.Rejected()
	for version, want := range map[string]uint64{"none": 2, "2": 1, "6": 1, "3": 1, "57005": 1} {
		if rejected[version] != want {
			t.Errorf("version %s counted %d, want %d", version, rejected[version], want)
		}
	}
	if status := e.Status(); len(status) != 1 || status[0].Malformed != 1 || b.Len() != 0 {
		t.Errorf("%+v", status)
	}
	for i := range 1000 {
		e.Decode([]byte{0x70, byte(i), byte(i >> 8), 0}, exporterA, received, b)
	}
	if n := len(e.Rejected()); n > 70 {
		t.Errorf("%d versions are kept", n)
	}
}

func TestExportersAreBounded(t *testing.T) {
	e := NewExporters(ExporterConfig{Max: 32}, quiet())
	b := flow.NewBatch(64)
	for i := range 500 {
		source := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
		if err := e.Decode(v5(0, 0, 1), source, received+int64(i), b); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(e.Status()); n > 32 {
		t.Errorf("%d exporters are kept", n)
	}
	if b.Len() != 500 {
		t.Errorf("%d of 500 flows", b.Len())
	}
}

// sums is a Sink.
type sums struct {
	mu           sync.Mutex
	flows, bytes uint64
}

func (s *sums) Write(b *flow.Batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flows += uint64(b.Len())
	for _, n := range b.U64(flow.Bytes) {
		s.bytes += n
	}
	return nil
}

func TestEverySocketHandsOnAllItGot(t *testing.T) {
	sink := &sums{}
	c := New(Config{Listen: []string{"udp://127.0.0.1:0", "udp://[::1]:0"}, Sockets: 2, ReceiveBuffer: 8 << 20}, sink, quiet())
	if err := c.Listen(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	ctx, stop := context.WithCancel(t.Context())
	go func() { done <- c.Run(ctx) }()
	const perSender = 200
	for _, address := range c.Addresses() {
		for range 4 { // several ports, so that several sockets get some
			conn, err := net.Dial("udp", strings.TrimPrefix(address, "udp://"))
			if err != nil {
				t.Fatal(err)
			}
			for i := range perSender {
				if _, err := conn.Write(v5(uint32(2*i), 0, 100, 200)); err != nil {
					t.Fatal(err)
				}
			}
			conn.Close()
		}
	}
	// Stopping does not lose what the kernel holds.
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	const datagrams = 2 * 4 * perSender
	var drops uint64
	for _, s := range c.Sockets() {
		drops += s.Drops
	}
	if drops != 0 && os.Getenv("CI") != "true" {
		t.Skipf("SKIPPED: this machine's receive buffers are too small, the kernel dropped %d datagrams", drops)
	}
	if sink.flows != 2*datagrams || sink.bytes != 300*datagrams {
		t.Errorf("%d flows, %d bytes; want %d, %d", sink.flows, sink.bytes, 2*datagrams, 300*datagrams)
	}
	if status := c.Exporters.Status(); len(status) != 2 {
		t.Errorf("%d exporters, want 127.0.0.1 and ::1", len(status))
	}
	if _, err := netip.ParseAddrPort(strings.TrimPrefix(c.Addresses()[0], "udp://")); err != nil {
		t.Error(err)
	}
}

// slowSink leaves the kernel time to fill its buffer again.
type slowSink struct{}

func (slowSink) Write(*flow.Batch) error {
	time.Sleep(5 * time.Millisecond)
	return nil
}

func TestRunEndsThoughExportersGoOnSending(t *testing.T) {
	c := New(Config{Listen: []string{"udp://127.0.0.1:0"}, Sockets: 1, ReceiveBuffer: 64 << 10}, slowSink{}, quiet())
	if err := c.Listen(); err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("udp", strings.TrimPrefix(c.Addresses()[0], "udp://"))
	if err != nil {
		t.Fatal(err)
	}
	flood, endFlood := context.WithCancel(t.Context())
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		defer conn.Close()
		for flood.Err() == nil {
			conn.Write(v5(0, 0, 100))
		}
	}()
	defer func() { endFlood(); <-sent }()

	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	time.Sleep(200 * time.Millisecond)
	stop()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(5 * time.Second):
		t.Error("still receiving 5 s after it was stopped")
		endFlood()
		<-ended
	}
}

func TestBusyPortIsAnError(t *testing.T) {
	taken, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	c := New(Config{Listen: []string{"udp://" + taken.LocalAddr().String()}}, &sums{}, quiet())
	if err := c.Listen(); err == nil || !strings.Contains(err.Error(), "busy") {
		t.Errorf("got %v", err)
	}
	away := New(Config{Listen: []string{"udp://192.0.2.77:0"}}, &sums{}, quiet())
	if err := away.Listen(); err == nil || !strings.Contains(err.Error(), "no such address") {
		t.Errorf("an address elsewhere: %v", err)
	}
	// Also where the other one would share the port, as we do among ourselves.
	first := New(Config{Listen: []string{"udp://127.0.0.1:0"}}, &sums{}, quiet())
	if err := first.Listen(); err != nil {
		t.Fatal(err)
	}
	defer first.closeSockets()
	second := New(Config{Listen: first.Addresses()}, &sums{}, quiet())
	if err := second.Listen(); err == nil {
		t.Error("two collectors share a port")
	}
}

func TestParseListen(t *testing.T) {
	for text, want := range map[string]string{
		"udp://:2055": "udp :2055", "udp://0.0.0.0:2055": "udp4 0.0.0.0:2055", "udp://[::1]:1": "udp [::1]:1", "udp://localhost:1": "udp localhost:1",
		"tcp://:4739": "tcp :4739", "tls://192.0.2.1:4740": "tcp4 192.0.2.1:4740", "sctp://[::]:4739": "tcp [::]:4739",
	} {
		e, err := ParseListen(text)
		if got := e.Network + " " + e.Address; err != nil || got != want || e.String() != text {
			t.Errorf("%s: %s, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "2055", "udp://", "udp://host", "tcp://", "dtls://:1", "udp://:1/x", "udp://:65536"} {
		if _, err := ParseListen(text); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}

func TestMeterForgetsAndScales(t *testing.T) {
	var m Meter
	b := flow.NewBatch(1)
	b.Extend(1)
	b.SetUint(flow.Packets, 0, 3)
	b.SetUint(flow.Bytes, 0, 1500)
	b.SetUint(flow.SamplingRate, 0, 10)
	for second := int64(1000); second < 1010; second++ {
		m.add(second, b)
	}
	if r := m.Rates(1010); r.Window != 10 || r.Flows != 1 || r.Packets != 30 || r.Bytes != 15000 {
		t.Errorf("%+v", r)
	}
	if r := m.Rates(1070); r.Flows != 0 || r.Window != 60 {
		t.Errorf("a minute later: %+v", r)
	}
}

func BenchmarkDecodeV5(b *testing.B) {
	e := NewExporters(ExporterConfig{}, quiet())
	octets := make([]uint32, 30)
	datagram := v5(0, 0, octets...)
	batch := flow.NewBatch(4096)
	b.ReportAllocs()
	for i := uint32(0); b.Loop(); i++ {
		binary.BigEndian.PutUint32(datagram[16:], i*30)
		if err := e.Decode(datagram, exporterA, received, batch); err != nil {
			b.Fatal(err)
		}
		if batch.Len() > 4000 {
			batch.Reset()
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/30, "ns/flow")
}

// logged is a logger, and what it wrote.
func logged() (log *slog.Logger, text func() string) {
	var mu sync.Mutex
	var b strings.Builder
	w := writer(func(p []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return b.Write(p)
	})
	return slog.New(slog.NewTextHandler(w, nil)), func() string {
		mu.Lock()
		defer mu.Unlock()
		return b.String()
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

func TestDomainsAreBounded(t *testing.T) {
	e := NewExporters(ExporterConfig{Domains: 8}, quiet())
	b := flow.NewBatch(64)
	for i := range uint32(50) {
		e.Decode(ipfix(0, i), exporterA, received+int64(i), b)
	}
	if s := e.Status()[0]; len(s.Domains) != 8 || s.Problems["domains_forgotten"] != 42 {
		t.Errorf("%d domains, %v", len(s.Domains), s.Problems)
	}
}

// TestReceivedIsByTheConfiguredClock: datagrams and messages are received when
// the configured clock says, not the machine's.
func TestReceivedIsByTheConfiguredClock(t *testing.T) {
	past := time.UnixMilli(received)
	for _, scheme := range []string{"udp", "tcp"} {
		stamps := make(chan int64, 1)
		c := New(Config{Listen: []string{scheme + "://127.0.0.1:0"}, Sockets: 1, Clock: func() time.Time { return past }}, stamped(stamps), quiet())
		if err := c.Listen(); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { c.Run(ctx) })
		conn, err := net.Dial(scheme, strings.TrimPrefix(c.Addresses()[0], scheme+"://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		// A template of octets alone, and a flow of it.
		if _, err := conn.Write(ipfix(0, 1, set(2, 256, 1, 1, 4), set(256, 0, 1000))); err != nil {
			t.Fatal(err)
		}
		if got := <-stamps; got != received {
			t.Errorf("%s: received at %d, expected %d", scheme, got, int64(received))
		}
		cancel()
		running.Wait()
	}
}

// stamped tells when the first flow of each batch was received.
type stamped chan int64

func (s stamped) Write(b *flow.Batch) error {
	s <- b.Time(flow.Received)[0]
	return nil
}
