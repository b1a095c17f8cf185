package probe

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/wire/packet"
	"github.com/minamo-flow/minamo/wire/pcap"
)

// smallest is the UDP packet in an Ethernet frame of 64 bytes (60 without
// check sequence) of a flow.
func smallest(flow uint32) []byte {
	p := make([]byte, 60)
	copy(p, []byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 46, 0, 0, 0x40, 0, 64, packet.UDP})
	binary.BigEndian.PutUint32(p[26:], 198<<24|18<<16|flow>>4)
	copy(p[30:], []byte{203, 0, 113, byte(flow)})
	binary.BigEndian.PutUint16(p[34:], uint16(1024+flow%50_000))
	binary.BigEndian.PutUint16(p[36:], 443)
	p[39] = 26
	return p
}

// capture is a file of packets of flows chosen at random, 1 µs apart.
func capture(flows, packets int) []byte {
	var file bytes.Buffer
	w, err := pcap.NewWriter(&file, packet.Ethernet, true)
	if err != nil {
		panic(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for n := range packets {
		if err := w.Write(&pcap.Packet{Time: 1_700_000_000e9 + int64(n)*1000, Data: smallest(random.Uint32N(uint32(flows)))}); err != nil {
			panic(err)
		}
	}
	return file.Bytes()
}

// BenchmarkMeter is a capture file in memory, metered: 64-byte packets,
// 100,000 live flows.
func BenchmarkMeter(b *testing.B) {
	file := capture(100_000, 2_000_000)
	out := flow.NewBatch(4096)
	b.ResetTimer()
	for b.Loop() {
		m := NewMeter(MeterConfig{})
		r, err := pcap.NewReader(bytes.NewReader(file))
		if err != nil {
			b.Fatal(err)
		}
		var p pcap.Packet
		for {
			if err := r.Next(&p); err == io.EOF {
				break
			} else if err != nil {
				b.Fatal(err)
			}
			m.Add(&p, Point{}, out)
			out.Reset()
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/2e6/float64(b.N), "ns/packet")
}

// BenchmarkCache is the cache alone, at several numbers of live flows.
func BenchmarkCache(b *testing.B) {
	for _, flows := range []int{1000, 100_000, 1_000_000} {
		b.Run(map[int]string{1000: "1k", 100_000: "100k", 1_000_000: "1M"}[flows], func(b *testing.B) {
			c := NewCache(CacheConfig{Flows: flows})
			in, out := flow.NewBatch(block), flow.NewBatch(4096)
			random := rand.New(rand.NewPCG(1, 2))
			fill := func(some func(int) uint32) {
				in.Reset()
				in.Extend(block)
				for i := range block {
					packet.Parse(in, i, packet.Ethernet, smallest(some(i)))
					in.SetUint(flow.Start, i, 1_700_000_000e3)
					in.SetUint(flow.Packets, i, 1)
					in.SetUint(flow.Bytes, i, 46)
				}
			}
			for n := 0; n < flows; n += block {
				fill(func(i int) uint32 { return uint32(min(n+i, flows-1)) })
				c.Add(in, 0, block, out)
			}
			// Batches enough to miss the processor's caches.
			batches := make([]*flow.Batch, 256)
			for n := range batches {
				fill(func(int) uint32 { return random.Uint32N(uint32(flows)) })
				batches[n] = flow.NewBatch(block)
				batches[n].Append(in, 0, block)
			}
			runtime.GC()
			b.ResetTimer()
			n := 0
			for b.Loop() {
				c.Add(batches[n%len(batches)], 0, block, out)
				n++
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/block/float64(b.N), "ns/packet")
		})
	}
}
