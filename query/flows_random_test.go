package query

import (
	"math/rand/v2"

	"github.com/minamo-flow/minamo/flow"
)

// epoch is when the flows of the tests begin: 2026-11-22T00:00:00Z.
const epoch = 1795305600000

func pick[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

// randomFlows makes flows with few distinct values a column, so that filters
// hit and groups fill. Ports are absent where the protocol has none, ICMP
// type and code where it is not ICMP, as decoders leave them.
func randomFlows(seed uint64, n int) *flow.Batch {
	r := rand.New(rand.NewPCG(seed, 1))
	b := flow.NewBatch(n)
	for range n {
		i := b.Extend(1)
		set := func(c flow.Column, v uint64) { b.SetUint(c, i, v) }
		v6 := r.IntN(4) == 0
		address := func() flow.Addr {
			if v6 {
				a := flow.Addr{0: 0x20, 1: 0x01, 2: 0x0d, 3: 0xb8}
				a[5], a[15] = byte(r.IntN(3)), byte(r.IntN(6))
				return a
			}
			if r.IntN(3) == 0 {
				return flow.AddrFrom4([4]byte{192, 168, byte(r.IntN(3)), byte(r.IntN(4))})
			}
			return flow.AddrFrom4([4]byte{10, byte(r.IntN(3)), byte(r.IntN(3)), byte(r.IntN(5))})
		}
		start := epoch + r.Int64N(3_600_000)
		duration := int64(0)
		if r.IntN(5) > 0 {
			duration = pick(r, r.Int64N(1000), r.Int64N(60_000), r.Int64N(600_000), 10_000)
		}
		packets := pick(r, 1, uint64(1+r.IntN(20)), uint64(r.IntN(100_000)))
		bytes := packets * uint64(40+r.IntN(1460))
		if r.IntN(20) == 0 {
			bytes = pick[uint64](r, 999, 1000, 1001, 1024, 1_000_000, 1_048_576)
		}
		protocol := pick[uint64](r, 6, 6, 6, 17, 17, 1, 47, 50)
		if v6 && protocol == 1 {
			protocol = 58
		}
		set(flow.Received, uint64(start+duration+1500))
		b.SetAddr(flow.Exporter, i, flow.AddrFrom4([4]byte{127, 0, 0, 1}))
		set(flow.ExportProtocol, flow.NetFlow9)
		set(flow.ObservationDomain, 7)
		set(flow.Start, uint64(start))
		set(flow.End, uint64(start+duration))
		set(flow.Packets, packets)
		set(flow.Bytes, bytes)
		set(flow.SamplingRate, 1)
		set(flow.SamplingSource, flow.SamplingAssumed)
		b.SetAddr(flow.SrcAddr, i, address())
		b.SetAddr(flow.DstAddr, i, address())
		set(flow.Protocol, protocol)
		switch protocol {
		case 6, 17:
			set(flow.SrcPort, pick(r, uint64(r.IntN(65536)), 53, 443, 1024))
			set(flow.DstPort, pick[uint64](r, 22, 53, 80, 123, 443, 1024, 8080, 65535))
		case 1, 58:
			set(flow.ICMPType, pick[uint64](r, 0, 3, 8, 11, 128))
			set(flow.ICMPCode, pick[uint64](r, 0, 1, 3))
		}
		if protocol == 6 {
			set(flow.TCPFlags, pick[uint64](r, 0x02, 0x12, 0x1b, 0x18, 0x04, 0x3f, 0x01, uint64(r.IntN(64))))
		}
		set(flow.InIf, uint64(r.IntN(5)))
		set(flow.OutIf, uint64(r.IntN(5)))
		set(flow.Direction, uint64(r.IntN(2)))
		set(flow.ForwardingStatus, pick[uint64](r, 0, 64, 66, 128, 130))
		b.SetAddr(flow.NextHop, i, flow.AddrFrom4([4]byte{192, 0, 2, byte(r.IntN(3))}))
		b.SetAddr(flow.BGPNextHop, i, flow.AddrFrom4([4]byte{198, 51, 100, byte(r.IntN(3))}))
		set(flow.SrcAS, pick[uint64](r, 0, 64500, 64501, 4200000000))
		set(flow.DstAS, pick[uint64](r, 0, 64500, 64502, 4200000001))
		for side, c := range []flow.Column{flow.SrcNetwork, flow.DstNetwork} { // no draw: what follows stays as it was
			if n := uint64(i * (3 + side) % 7); n > 0 {
				b.SetUint(c, i, n)
			}
		}
		for side, c := range []flow.Column{flow.SrcCountry, flow.DstCountry} {
			if n := i * (5 - side) % 11; n > 2 {
				b.SetUint(c, i, uint64(flow.Country('J', "JPEMO"[n%5])))
			}
		}
		set(flow.PrevAS, pick[uint64](r, 0, 64510, 64511, 4200000002))
		set(flow.NextAS, pick[uint64](r, 0, 64510, 64512, 4200000003))
		set(flow.MPLSLabel1, uint64(16+r.IntN(3)))
		set(flow.MPLSLabel4, uint64(16+r.IntN(3)))
		set(flow.MPLSLabel10, uint64(16+r.IntN(3)))
		set(flow.SrcMask, pick[uint64](r, 8, 16, 24))
		set(flow.DstMask, pick[uint64](r, 8, 22, 24))
		set(flow.TOS, pick[uint64](r, 0, 0, 16, 184, uint64(r.IntN(256))))
		set(flow.SrcVLAN, pick[uint64](r, 1, 2, 100, 4094))
		set(flow.DstVLAN, pick[uint64](r, 1, 3, 100))
		set(flow.SrcMAC, pick[uint64](r, 0x00005e005301, 0x00005e005302))
		set(flow.DstMAC, pick[uint64](r, 0x00005e005302, 0x00005e005303))
	}
	return b
}
