package e2e

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/wire/netflow"
)

// TestNetFlowEncoder sends what our encoder writes to Minamo, to nfcapd and to
// tshark. The flows are known, so all three are held to the truth.
func TestNetFlowEncoder(t *testing.T) {
	need(t, "nfcapd", "tshark")
	for _, c := range []struct {
		name     string
		template *netflow.Template
		version  uint16
		six      bool // flows of IPv6
	}{
		{"v5", nil, flow.NetFlow5, false},
		{"v9 of IPv4", &netflow.V9IPv4Template, flow.NetFlow9, false},
		{"v9 of IPv6", &netflow.V9IPv6Template, flow.NetFlow9, true},
		{"IPFIX of IPv4", &netflow.IPFIXIPv4Template, flow.IPFIX, false},
		{"IPFIX of IPv6", &netflow.IPFIXIPv6Template, flow.IPFIX, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			peer := startNfcapd(t, "nfcapd")
			data := t.TempDir()
			s := serve(t, data)

			now := time.Now().UnixMilli()
			b, truth := flow.NewBatch(1), ledger{}
			for i := b.Extend(500); i < b.Len(); i++ {
				pair := conversation{netip.AddrFrom4([4]byte{192, 0, 2, byte(1 + i%5)}), netip.AddrFrom4([4]byte{198, 51, 100, byte(1 + i%7)}), 17}
				if c.six {
					pair.src, pair.dst = netip.MustParseAddr(fmt.Sprintf("2001:db8::%d", 1+i%5)), netip.MustParseAddr(fmt.Sprintf("2001:db8:1::%d", 1+i%7))
				}
				n := totals{1, uint64(1 + i), uint64(100 * (1 + i))}
				truth[pair] = truth[pair].plus(n)
				b.SetAddr(flow.SrcAddr, i, flow.AddrFrom(pair.src))
				b.SetAddr(flow.DstAddr, i, flow.AddrFrom(pair.dst))
				for column, v := range map[flow.Column]uint64{
					flow.Start: uint64(now) - 5000, flow.End: uint64(now) - 1000 + uint64(i), flow.Packets: n.Packets, flow.Bytes: n.Bytes,
					flow.Protocol: 17, flow.SrcPort: 1024 + uint64(i), flow.DstPort: 53, flow.InIf: 1, flow.OutIf: 2, flow.SrcAS: 64500, flow.DstAS: 64501,
				} {
					b.SetUint(column, i, v)
				}
			}
			e := netflow.Encoder{Version: c.version, Boot: now - 3_600_000, MaxSize: 1000}
			var datagrams [][]byte
			if err := e.Flows(c.template, b, 0, b.Len(), now, func(d []byte) error {
				datagrams = append(datagrams, bytes.Clone(d))
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			for _, port := range []int{s.listen, peer.port} {
				sendAll(t, port, datagrams)
			}
			s.stop(t)
			agree(t, truth, "minamo", stored(t, data))
			agree(t, truth, "nfcapd", peer.ledger(t))
			if said := fmt.Sprint(peer.output); !strings.Contains(said, "Flows: 500, ") || !strings.Contains(said, "Sequence Errors: 0, Bad Packets: 0") {
				t.Errorf("nfcapd complains:\n%s", said)
			}
			if !c.six { // the helper asks tshark for IPv4 only
				agree(t, truth, "tshark", tshark(t, datagrams))
			}
		})
	}
}
