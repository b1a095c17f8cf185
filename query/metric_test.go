package query

import (
	"math"
	"math/rand/v2"
	"testing"
)

// However packets of up to 1500 bytes are mixed, bytes are not less certain than
// spread says; and where they are full or very short, not much more.
func TestSpread(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	for round := range 1000 {
		var sums Sums
		squares := 0.0
		for range 1 + random.IntN(4) {
			length, packets := 1+random.Uint64N(1500), random.Uint64N(1000)
			sums.Packets += packets
			sums.Bytes += packets * length
			squares += float64(packets) * float64(length*length)
		}
		if sums.Packets == 0 {
			continue
		}
		n, bytes := float64(sums.Packets), float64(sums.Bytes)
		ofBytes, ofMean := math.Sqrt(n*squares)/bytes, math.Sqrt(max(n*squares/bytes/bytes-1, 0))
		if said := BPS.spread(sums); said < ofBytes*(1-1e-9) || said < 1 {
			t.Errorf("round %d: bytes are %.3f times less certain than packets, %.3f is said", round, ofBytes, said)
		}
		if said := PacketSize.spread(sums); said < ofMean*(1-1e-6) {
			t.Errorf("round %d: the mean is %.3f times less certain than packets, %.3f is said", round, ofMean, said)
		}
		if PPS.spread(sums) != 1 {
			t.Errorf("packets are as uncertain as packets")
		}
	}
	// Half of the packets full, half of 52 bytes.
	if said := Bytes.spread(Sums{Packets: 1000, Bytes: 500*1500 + 500*52}); said > 1.05*math.Sqrt(2*(1500*1500+52*52))/1552 {
		t.Errorf("%.3f is said of a mixture of full and short packets", said)
	}
	for _, s := range []Sums{{}, {Packets: 5}, {Packets: 1, Bytes: 9000}, {Packets: 1, Bytes: math.MaxUint64}} {
		for _, m := range Metrics() {
			if v := m.spread(s); math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
				t.Errorf("%s of %+v: %v", m, s, v)
			}
		}
	}
}
