package store

import (
	"math/rand/v2"
	"strings"

	"github.com/minamo-flow/minamo/flow"
)

// generate appends n rows as a router would export them in the second before
// now: datagrams of 24 records from few exporters, popular and rare addresses,
// ports of services and ephemeral ones, small and big flows. 32 columns.
func generate(b *flow.Batch, n int, now int64, rng *rand.Rand) {
	hosts := rand.NewZipf(rng, 1.1, 8, 200_000)
	servers := rand.NewZipf(rng, 1.3, 4, 20_000)
	sizes := rand.NewZipf(rng, 1.5, 2, 100_000)
	services := []uint64{443, 443, 443, 443, 80, 53, 53, 53, 123, 22, 25, 993, 8080, 3478, 51820}
	all := flow.MaskOf(flow.Received, flow.Exporter, flow.ExportProtocol, flow.ObservationDomain, flow.Start, flow.End,
		flow.Packets, flow.Bytes, flow.SamplingRate, flow.SamplingSource, flow.SamplerID, flow.SrcAddr, flow.DstAddr,
		flow.Protocol, flow.SrcPort, flow.DstPort, flow.TCPFlags, flow.InIf, flow.OutIf, flow.Direction, flow.ForwardingStatus,
		flow.NextHop, flow.SrcAS, flow.DstAS, flow.SrcMask, flow.DstMask, flow.TOS, flow.TTL, flow.SrcVLAN, flow.DstVLAN, flow.FlowEndReason)
	first := b.Extend(n)
	for i := first; i < first+n; i++ {
		if (i-first)%24 == 0 || i == first {
			b.Time(flow.Received)[i] = now - 1000 + int64((i-first)*1000/n)
			b.U32(flow.ObservationDomain)[i] = rng.Uint32N(4)
			b.Addr(flow.Exporter)[i] = flow.AddrFrom4([4]byte{10, 0, 0, byte(rng.IntN(4))})
		} else {
			b.Time(flow.Received)[i] = b.Time(flow.Received)[i-1]
			b.U32(flow.ObservationDomain)[i] = b.U32(flow.ObservationDomain)[i-1]
			b.Addr(flow.Exporter)[i] = b.Addr(flow.Exporter)[i-1]
		}
		b.U8(flow.ExportProtocol)[i] = flow.NetFlow9
		end := b.Time(flow.Received)[i] - rng.Int64N(15_000)
		b.Time(flow.End)[i] = end
		packets := sizes.Uint64() + 1
		if packets > 1 {
			b.Time(flow.Start)[i] = end - rng.Int64N(60_000)
		} else {
			b.Time(flow.Start)[i] = end
		}
		b.U64(flow.Packets)[i] = packets
		mean := 40 + rng.Uint64N(200)
		if rng.IntN(3) == 0 {
			mean = 1200 + rng.Uint64N(300)
		}
		b.U64(flow.Bytes)[i] = packets * mean
		b.U32(flow.SamplingRate)[i] = 1000
		b.U8(flow.SamplingSource)[i] = flow.SamplingOptions
		b.U64(flow.SamplerID)[i] = 1
		client, server := hosts.Uint64(), servers.Uint64()
		protocol := uint8(6)
		service := services[rng.IntN(len(services))]
		if service == 53 || service == 123 || rng.IntN(5) == 0 {
			protocol = 17
		}
		ephemeral := uint16(32768 + rng.IntN(28232))
		out := rng.IntN(2) == 0
		src, dst := flow.SrcAddr, flow.DstAddr
		srcPort, dstPort := flow.SrcPort, flow.DstPort
		srcAS, dstAS := flow.SrcAS, flow.DstAS
		if !out {
			src, dst, srcPort, dstPort, srcAS, dstAS = dst, src, dstPort, srcPort, dstAS, srcAS
		}
		b.Addr(src)[i] = flow.AddrFrom4([4]byte{100, 64 + byte(client>>16), byte(client >> 8), byte(client)})
		h := server * 2654435761
		b.Addr(dst)[i] = flow.AddrFrom4([4]byte{byte(h>>24)%200 + 1, byte(h >> 16), byte(h >> 8), byte(server)})
		b.U8(flow.Protocol)[i] = protocol
		b.U16(srcPort)[i], b.U16(dstPort)[i] = ephemeral, uint16(service)
		b.U32(srcAS)[i], b.U32(dstAS)[i] = 64500, uint32(h>>20)%3000+1
		if protocol == 6 {
			b.U16(flow.TCPFlags)[i] = []uint16{2, 16, 24, 27, 19}[rng.IntN(5)]
		}
		b.U32(flow.InIf)[i], b.U32(flow.OutIf)[i] = rng.Uint32N(12)+1, rng.Uint32N(12)+1
		b.U8(flow.Direction)[i] = uint8(rng.IntN(2))
		b.U8(flow.ForwardingStatus)[i] = 64
		b.Addr(flow.NextHop)[i] = flow.AddrFrom4([4]byte{10, 255, 0, byte(h >> 29)})
		b.U8(flow.SrcMask)[i], b.U8(flow.DstMask)[i] = uint8(8+h%17), 22
		b.U8(flow.TOS)[i] = []uint8{0, 0, 0, 0, 0x28, 0xb8}[rng.IntN(6)]
		b.U8(flow.TTL)[i] = uint8(50 + rng.IntN(14))
		b.U16(flow.SrcVLAN)[i] = uint16(rng.IntN(5)) * 100
		b.U8(flow.FlowEndReason)[i] = uint8(1 + rng.IntN(3))
		b.Present[i] = all
		if protocol == 6 {
			continue
		}
		b.U16(flow.TCPFlags)[i] = 0
		m := flow.MaskOf(flow.TCPFlags)
		b.Present[i][0] &^= m[0]
		b.Present[i][1] &^= m[1]
	}
}

// scatter appends n rows in which every column is present in some rows and
// absent in others, with extreme values among them.
func scatter(b *flow.Batch, n int, now int64, rng *rand.Rand) {
	first := b.Extend(n)
	for i := first; i < first+n; i++ {
		for c := range flow.Columns() {
			if !flow.Schema[c].Required && rng.IntN(3) == 0 {
				continue
			}
			switch flow.Schema[c].Kind {
			case flow.Address:
				var a flow.Addr
				for k := range a {
					a[k] = byte(rng.Uint32())
				}
				if rng.IntN(4) == 0 {
					a = flow.Addr{15: 0xff}
				}
				b.SetAddr(c, i, a)
			case flow.Text:
				b.SetText(c, i, []byte(texts[rng.IntN(len(texts))]+strings.Repeat("x", rng.IntN(3)*rng.IntN(50))))
			case flow.Time:
				b.SetUint(c, i, uint64(now-rng.Int64N(100_000)))
			default:
				v := rng.Uint64() >> rng.IntN(64)
				if rng.IntN(4) == 0 {
					v = ^uint64(0)
				}
				b.SetUint(c, i, v)
			}
		}
	}
}

var texts = []string{"", "64496 64497 {64498 64499}", "64496:1", "ごあいさつ", "'; DROP TABLE flows", "a\tb\"c"}
