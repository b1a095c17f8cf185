package e2e

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/wire/sflow"
)

// TestSFlowEncoder sends what our encoder writes to Minamo and to sfcapd. The
// packets are known, so both are held to the truth.
func TestSFlowEncoder(t *testing.T) {
	peer := startNfcapd(t, "sfcapd")
	data := t.TempDir()
	s := serve(t, data)

	const rate, frameOverhead = 100, 14 + 4
	truth := ledger{}
	e := sflow.Encoder{Agent: flow.AddrFrom(netip.MustParseAddr("192.0.2.9")), MaxSize: 1000}
	var datagrams [][]byte
	take := func() {
		if d := e.Datagram(5000); d != nil {
			datagrams = append(datagrams, append([]byte(nil), d...))
		}
	}
	for i := range uint32(500) {
		src, dst := netip.AddrFrom4([4]byte{192, 0, 2, byte(1 + i%5)}), netip.AddrFrom4([4]byte{198, 51, 100, byte(1 + i%7)})
		length := 60 + i
		sample := sflow.FlowSample{
			Sample: sflow.Sample{Source: sflow.Source{Index: 3}, Sequence: 1 + i, Rate: rate, Pool: rate * (1 + i)},
			In:     sflow.Port{Value: 3}, Out: sflow.Port{Value: 4},
			Packet:  sflow.Packet{Protocol: sflow.HeaderEthernet, Length: length + frameOverhead, Stripped: 4, Header: udpFrame(src, dst, length)},
			Switch:  &sflow.Switch{InVLAN: 10, OutVLAN: 20},
			Router:  &sflow.Router{NextHop: flow.AddrFrom(dst), SrcMask: 24, DstMask: 24},
			Gateway: &sflow.Gateway{NextHop: flow.AddrFrom(dst), AS: 64500, SrcAS: 64501, PrevAS: 64502, Path: []sflow.PathSegment{{AS: []uint32{64503, 64504}}}},
		}
		err := e.AppendFlow(&sample)
		if err == sflow.ErrFull {
			take()
			err = e.AppendFlow(&sample)
		}
		if err != nil {
			t.Fatal(err)
		}
		c := conversation{src, dst, 17}
		truth[c] = truth[c].plus(totals{1, 1, uint64(length)})
	}
	take()
	for _, port := range []int{s.listen, peer.port} {
		sendAll(t, port, datagrams)
	}
	s.stop(t)

	for name, l := range map[string]ledger{"minamo": stored(t, data), "sfcapd": peer.ledger(t)} {
		if len(l) != len(truth) {
			t.Errorf("%s has %d conversations, want %d", name, len(l), len(truth))
		}
		for c, want := range truth {
			if name == "sfcapd" { // scales, and counts the frame, its check sequence included
				want.Bytes = rate * (want.Bytes + want.Packets*frameOverhead)
				want.Packets *= rate
			}
			if got := l[c]; got.Packets != want.Packets || got.Bytes != want.Bytes {
				t.Errorf("%s has %+v of %v, want %+v", name, got, c, want)
			}
		}
	}
}

// udpFrame is an Ethernet frame's headers, its IP packet of the given length.
func udpFrame(src, dst netip.Addr, length uint32) []byte {
	p := []byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0}
	p = binary.BigEndian.AppendUint16(p, uint16(length))
	p = append(p, 0, 0, 0, 0, 64, 17, 0, 0)
	p = append(append(p, src.AsSlice()...), dst.AsSlice()...)
	return append(p, 0x30, 0x39, 0, 53, byte((length-20)>>8), byte(length-20), 0, 0)
}
