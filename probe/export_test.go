package probe

import (
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/minamo-flow/minamo/collect"
	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/wire/sflow"
)

// wiretap is a collector that keeps what is sent to it.
type wiretap struct {
	net.Conn
	sent [][]byte
}

func (w *wiretap) Write(p []byte) (int, error) {
	w.sent = append(w.sent, append([]byte(nil), p...))
	return len(p), nil
}
func (w *wiretap) Close() error { return nil }

var exportTime = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// exported are flows of both versions of IP, with and without interfaces.
func exported() *flow.Batch {
	b := flow.NewBatch(64)
	for i := range 64 {
		b.Extend(1)
		src, dst := "192.0.2.1", "198.51.100.7"
		if i%3 == 0 {
			src, dst = "2001:db8::1", "2001:db8::2"
		}
		b.SetAddr(flow.SrcAddr, i, flow.AddrFrom(netip.MustParseAddr(src)))
		b.SetAddr(flow.DstAddr, i, flow.AddrFrom(netip.MustParseAddr(dst)))
		start := exportTime.Add(-time.Duration(i+10) * time.Second).UnixMilli()
		values := map[flow.Column]uint64{
			flow.Start: uint64(start), flow.End: uint64(start + 5000), flow.Packets: uint64(i + 1), flow.Bytes: uint64(100 * (i + 1)),
			flow.Protocol: 6, flow.TOS: 0xb8, flow.TTL: 57, flow.MinPacketLength: 40, flow.MaxPacketLength: 1500, flow.FlowEndReason: EndOfFlow,
		}
		switch i % 8 {
		case 0:
			values[flow.Protocol], values[flow.ICMPType], values[flow.ICMPCode] = 1, 3, 1
			if i%3 == 0 {
				values[flow.Protocol] = 58
			}
		case 1:
			values[flow.Protocol] = 17
			values[flow.SrcPort], values[flow.DstPort] = uint64(1024+i), 53
		case 2:
			values[flow.Protocol] = 89
		default:
			values[flow.SrcPort], values[flow.DstPort], values[flow.TCPFlags] = uint64(1024+i), 443, 0x1b
		}
		for c, v := range values {
			b.SetUint(c, i, v)
		}
		if i%4 != 0 {
			b.SetUint(flow.InIf, i, 7)
			b.SetUint(flow.Direction, i, flow.Ingress)
		}
		if i%7 == 0 {
			b.SetUint(flow.SrcVLAN, i, 12)
			b.SetUint(flow.SrcMAC, i, 0x020000000001)
			b.SetUint(flow.DstMAC, i, 0x020000000002)
		}
		if i%5 == 0 {
			b.SetUint(flow.OutIf, i, 8)
		}
	}
	return b
}

// decoded are the flows that a collector makes of what was sent.
func decoded(t *testing.T, sent [][]byte) (*flow.Batch, *collect.Exporters) {
	t.Helper()
	x := collect.NewExporters(collect.ExporterConfig{}, slog.New(slog.DiscardHandler))
	b := flow.NewBatch(64)
	for _, d := range sent {
		if len(d) > 1400 {
			t.Errorf("a datagram of %d bytes", len(d))
		}
		if err := x.Decode(d, netip.MustParseAddr("127.0.0.1"), exportTime.UnixMilli(), b); err != nil {
			t.Fatal(err)
		}
	}
	return b, x
}

// collected are columns that a collector adds.
var collected = flow.MaskOf(flow.Received, flow.Exporter, flow.ExportProtocol, flow.ObservationDomain, flow.SamplingRate, flow.SamplingSource)

// What is exported is what the collector has, and no more: by packets, whose
// number tells the rows apart.
func TestExportedIsCollected(t *testing.T) {
	want := exported()
	for _, protocol := range []string{NetFlow5, NetFlow9, IPFIX} {
		for _, method := range []Method{Systematic, RandomInN} {
			tap := &wiretap{}
			x, err := NewExporter(ExporterConfig{
				Protocol: protocol, Collectors: []string{"udp://192.0.2.9:2055"}, Boot: exportTime.Add(-time.Hour), Domain: 5,
				Sampling:   SamplerConfig{Rate: 1000, Method: method},
				Interfaces: []Interface{{7, "eth0", "uplink"}, {8, "eth1", strings.Repeat("x", 300)}},
				Dial:       func(context.Context, string, string) (net.Conn, error) { return tap, nil },
			}, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			if err := x.Flows(want, 0, want.Len(), exportTime); err != nil {
				t.Fatal(err)
			}
			got, exporters := decoded(t, tap.sent)
			skipped := 0
			rows := map[uint64]int{}
			for i := range got.Len() {
				rows[got.U64(flow.Packets)[i]] = i
			}
			for i := range want.Len() {
				six := !want.Addr(flow.SrcAddr)[i].Is4()
				j, ok := rows[want.U64(flow.Packets)[i]]
				if protocol == NetFlow5 && six {
					skipped++
					continue
				}
				if !ok {
					t.Fatalf("%s: flow %d did not come", protocol, i)
				}
				if known := got.Present[j]; protocol != NetFlow5 {
					known[0] &^= collected[0]
					known[1] &^= collected[1]
					if known != want.Present[i] {
						t.Errorf("%s: flow %d has %v, had %v", protocol, i, known.Columns(), want.Present[i].Columns())
					}
				}
				columns := []flow.Column{flow.Start, flow.End, flow.Packets, flow.Bytes, flow.SrcAddr, flow.DstAddr, flow.Protocol, flow.TOS}
				if want.Present[i].Has(flow.TCPFlags) {
					columns = append(columns, flow.SrcPort, flow.DstPort, flow.TCPFlags)
				}
				if protocol != NetFlow5 {
					columns = append(columns, flow.InIf, flow.OutIf, flow.TTL, flow.MinPacketLength, flow.MaxPacketLength, flow.FlowEndReason)
				}
				for _, c := range columns {
					a, b := string(want.AppendText(nil, c, i)), string(got.AppendText(nil, c, j))
					if want.Present[i].Has(c) != got.Present[j].Has(c) || a != b {
						t.Errorf("%s: flow %d: %s is %q (%v), was %q (%v)", protocol, i, c, b, got.Present[j].Has(c), a, want.Present[i].Has(c))
					}
				}
				source := uint8(flow.SamplingOptions)
				if protocol == NetFlow5 {
					source = flow.SamplingHeader
				}
				if rate := got.U32(flow.SamplingRate)[j]; rate != 1000 || got.U8(flow.SamplingSource)[j] != source {
					t.Errorf("%s: sampling rate %d, source %d", protocol, rate, got.U8(flow.SamplingSource)[j])
				}
			}
			if got.Len() != want.Len()-skipped || x.Stats().Skipped != uint64(skipped) {
				t.Errorf("%s: %d flows, %d skipped, expected %d and %d", protocol, got.Len(), x.Stats().Skipped, want.Len()-skipped, skipped)
			}
			if protocol != NetFlow5 {
				d, _ := exporters.Details(netip.MustParseAddr("127.0.0.1"))
				if len(d.Interfaces) != 2 || d.Interfaces[0].Name != "eth0" || d.Interfaces[0].Description != "uplink" {
					t.Errorf("%s: interfaces %+v", protocol, d.Interfaces)
				}
			}
		}
	}
}

// Templates and options are repeated over UDP, when it is time.
func TestTemplatesAreRepeated(t *testing.T) {
	tap := &wiretap{}
	x, err := NewExporter(ExporterConfig{
		Protocol: IPFIX, Collectors: []string{"udp://192.0.2.9:2055"}, Sampling: SamplerConfig{Rate: 7}, Resend: time.Minute,
		Dial: func(context.Context, string, string) (net.Conn, error) { return tap, nil },
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	b := exported()
	if err := x.Flows(b, 0, b.Len(), exportTime); err != nil {
		t.Fatal(err)
	}
	tap.sent = nil
	if err := x.Flows(b, 0, b.Len(), exportTime.Add(59*time.Second)); err != nil {
		t.Fatal(err)
	}
	if got, _ := decoded(t, tap.sent); got.Len() != 0 {
		t.Errorf("%d flows are read without their templates", got.Len())
	}
	tap.sent = nil
	if err := x.Flows(b, 0, b.Len(), exportTime.Add(60*time.Second)); err != nil {
		t.Fatal(err)
	}
	if got, _ := decoded(t, tap.sent); got.Len() != b.Len() || got.U32(flow.SamplingRate)[0] != 7 {
		t.Errorf("a collector that comes later reads %d flows of %d", got.Len(), b.Len())
	}
}

func TestSamplesAreCollected(t *testing.T) {
	tap := &wiretap{}
	x, err := NewExporter(ExporterConfig{
		Protocol: SFlow5, Collectors: []string{"udp://192.0.2.9:6343"}, Boot: exportTime.Add(-time.Hour), Agent: netip.MustParseAddr("198.51.100.1"),
		Sampling: SamplerConfig{Rate: 512}, Dial: func(context.Context, string, string) (net.Conn, error) { return tap, nil },
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	header := append(make([]byte, 12), 8, 0, 0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2, 4, 0, 0, 53, 0, 8, 0, 0)
	const n = 50
	for range n {
		s := sflow.FlowSample{Sample: sflow.Sample{Source: sflow.Source{Index: 7}}, In: sflow.Port{Value: 7}, Packet: sflow.Packet{Protocol: sflow.HeaderEthernet, Length: 64, Stripped: 4, Header: header}}
		if err := x.Sample(&s, exportTime); err != nil {
			t.Fatal(err)
		}
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	got, _ := decoded(t, tap.sent)
	for _, d := range tap.sent { // behind version, address, sub-agent and sequence number
		if up := binary.BigEndian.Uint32(d[20:]); up != uint32(time.Hour.Milliseconds()) {
			t.Errorf("a datagram of uptime %d ms", up)
		}
	}
	if got.Len() != n || got.U32(flow.SamplingRate)[0] != 512 || got.U16(flow.DstPort)[n-1] != 53 || got.Addr(flow.Exporter)[0].String() != "198.51.100.1" {
		t.Errorf("%d samples, %s", got.Len(), got.AppendJSON(nil, 0))
	}
	if stats := x.Stats(); stats.Samples != n || stats.Datagrams != uint64(len(tap.sent)) || len(tap.sent) >= n {
		t.Errorf("%+v", stats)
	}
}

// A connection that breaks is made anew, and everything is told again on it.
func TestConnectionsAreMadeAnew(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	accepted := make(chan net.Conn)
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	x, err := NewExporter(ExporterConfig{Protocol: IPFIX, Collectors: []string{"tcp://" + listener.Addr().String()}, Sampling: SamplerConfig{Rate: 9}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	first := <-accepted
	b := exported()
	first.(*net.TCPConn).SetLinger(0)
	first.Close() // the collector goes away
	for x.Stats().Lost == 0 {
		if err := x.Flows(b, 0, b.Len(), exportTime); err != nil {
			t.Fatal(err)
		}
	}
	x.collectors[0].tried = time.Time{} // it is time to try again
	if err := x.Flows(b, 0, b.Len(), exportTime); err != nil {
		t.Fatal(err)
	}
	second := <-accepted
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	stream, err := io.ReadAll(second)
	if err != nil {
		t.Fatal(err)
	}
	exporters := collect.NewExporters(collect.ExporterConfig{}, slog.New(slog.DiscardHandler))
	session := exporters.Connect(netip.MustParseAddr("127.0.0.1"))
	defer session.Close()
	got := flow.NewBatch(0)
	for len(stream) > 0 {
		n, err := collect.MessageLength(stream)
		if err != nil {
			t.Fatal(err)
		}
		if err := session.Decode(stream[:n], exportTime.UnixMilli(), got); err != nil {
			t.Fatal(err)
		}
		stream = stream[n:]
	}
	if got.Len() != b.Len() || got.U32(flow.SamplingRate)[0] != 9 {
		t.Errorf("%d flows of %d on the second connection", got.Len(), b.Len())
	}
	if s := x.Stats(); s.Connections != 2 || s.Lost == 0 {
		t.Errorf("%+v", s)
	}
}

func TestWrongExporters(t *testing.T) {
	for _, c := range []struct {
		cfg  ExporterConfig
		want string
	}{
		{ExporterConfig{Protocol: "netflow6", Collectors: []string{"udp://192.0.2.1:1"}}, "expected one of"},
		{ExporterConfig{Protocol: IPFIX}, "no collector"},
		{ExporterConfig{Protocol: IPFIX, Style: "eos", Collectors: []string{"udp://192.0.2.1:1"}}, "expected one of ios-xr"},
		{ExporterConfig{Protocol: IPFIX, Style: IOSXR, Collectors: []string{"udp://192.0.2.1:1"}}, "of netflow9, not of ipfix"},
		{ExporterConfig{Protocol: IPFIX, Collectors: []string{"192.0.2.1:4739"}}, "expected udp://HOST:PORT"},
		{ExporterConfig{Protocol: IPFIX, Collectors: []string{"udp://192.0.2.1"}}, "expected udp://HOST:PORT"},
		{ExporterConfig{Protocol: NetFlow9, Collectors: []string{"tcp://192.0.2.1:2055"}}, "only IPFIX goes by TCP"},
		{ExporterConfig{Protocol: NetFlow5, Collectors: []string{"udp://192.0.2.1:2055"}, Sampling: SamplerConfig{Rate: 20000}}, "16383"},
	} {
		if _, err := NewExporter(c.cfg, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, expected %q", c.cfg, err, c.want)
		}
	}
}

func BenchmarkExport(b *testing.B) {
	for _, protocol := range []string{NetFlow5, NetFlow9, IPFIX} {
		b.Run(protocol, func(b *testing.B) {
			x, err := NewExporter(ExporterConfig{Protocol: protocol, Collectors: []string{"udp://192.0.2.9:2055"},
				Dial: func(context.Context, string, string) (net.Conn, error) { return discard{}, nil }}, slog.New(slog.DiscardHandler))
			if err != nil {
				b.Fatal(err)
			}
			batch := exported()
			b.ReportAllocs()
			for b.Loop() {
				if err := x.Flows(batch, 0, batch.Len(), exportTime); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch.Len()), "ns/flow")
		})
	}
}

type discard struct{ net.Conn }

func (discard) Write(p []byte) (int, error) { return len(p), nil }
