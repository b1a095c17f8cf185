package budget

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/probe"
)

// What is predicted of coarser sampling is what a metering process does: a
// sampler, and a flow cache with timers of 60 and 15 seconds, over two minutes
// of conversations most of which are short, and some huge. Flows whose packets
// lie farther apart end by the inactive timer more often: somewhat more records
// may be left than predicted, but few.
func TestLeftOfAFlowCache(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	type packet struct {
		at   int64 // ms
		flow uint16
		port uint16
	}
	var packets []packet
	for i := range 20_000 {
		n := int(min(math.Pow(random.Float64(), -1/1.1), 20_000)) // Pareto
		begin, length := random.Float64()*110_000, random.Float64()*60_000
		for range n {
			packets = append(packets, packet{int64(begin + length*random.Float64()), uint16(i), uint16(i >> 8)})
		}
	}
	slices.SortFunc(packets, func(a, b packet) int { return int(a.at - b.at) })

	meter := func(rate uint32) (records float64, sizes Sizes) {
		sampler := probe.NewSampler(probe.SamplerConfig{Rate: rate, Method: probe.RandomInN, Seed: uint64(rate)})
		cache := probe.NewCache(probe.CacheConfig{})
		in, out := flow.NewBatch(1), flow.NewBatch(1024)
		for _, p := range packets {
			if !sampler.Next() {
				continue
			}
			in.Reset()
			in.Extend(1)
			in.SetUint(flow.Start, 0, uint64(1_700_000_000_000+p.at))
			in.SetUint(flow.Packets, 0, 1)
			in.SetUint(flow.Bytes, 0, 1000)
			in.SetUint(flow.SrcPort, 0, uint64(p.flow))
			in.SetUint(flow.DstPort, 0, uint64(p.port))
			in.SetUint(flow.Protocol, 0, 17)
			cache.Add(in, 0, 1, out)
		}
		for cache.Flush(out) {
		}
		shares := map[float64]float64{}
		for _, n := range out.U64(flow.Packets) {
			shares[float64(n)] += 1 / float64(out.Len())
		}
		for n, share := range shares {
			sizes = append(sizes, Size{n, share})
		}
		return float64(out.Len()), sizes
	}
	for _, rate := range []uint32{1, 10, 100} {
		records, sizes := meter(rate)
		for _, f := range []uint32{2, 4, 16} {
			left, _ := meter(rate * f)
			got, want := left/records, sizes.Left(float64(f))
			t.Logf("1/%d to 1/%d: %.0f records of %.1f packets become %.0f: %.3f, predicted %.3f", rate, rate*f, records, sizes.Mean(), left, got, want)
			noise := 3 / math.Sqrt(left)
			if got < want*(1-noise) || got > want*(1.15+noise) {
				t.Errorf("1/%d to 1/%d leaves %.3f of the records, predicted %.3f", rate, rate*f, got, want)
			}
			if got < (1-noise)/float64(f) {
				t.Errorf("1/%d to 1/%d leaves %.3f, fewer than one in %d", rate, rate*f, got, f)
			}
		}
	}
}
