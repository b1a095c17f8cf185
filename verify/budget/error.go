package budget

import "math"

// Traffic is an amount of traffic to be seen through sampling.
type Traffic struct {
	Name  string  `json:"name"`
	Bytes float64 `json:"bytes"`
}

// Usual are amounts that tell what a rate is good for.
var Usual = []Traffic{
	{"1 MB", 1e6},
	{"100 MB", 100e6},
	{"1 GB", 1e9},
	{"1 Mbit/s for 5 min", 1e6 / 8 * 300},
}

// Precision is how exactly an amount of traffic shows.
type Precision struct {
	Packets float64 `json:"packets" doc:"Sampled packets to be expected of it"`
	Error   float64 `json:"error" doc:"Of its estimate, 95 of 100 lie within this part of the truth: 1.96/√packets"`
	Seen    float64 `json:"seen" doc:"The probability that any of it is seen"`
}

// Precise tells how exactly bytes of traffic show at a sampling rate, in packets
// of a mean size.
func Precise(bytes, packetSize float64, rate uint32) Precision {
	packets := bytes / packetSize / float64(max(rate, 1))
	return Precision{packets, 1.96 / math.Sqrt(packets), 1 - math.Exp(-packets)}
}
