// Package decode measures Minamo's decoders beside goflow2's library, on the
// same datagrams in the same run:
//
//	make bench
//
// Minamo's figure is from the bytes to complete columns. goflow2 has two:
// "decode" takes the datagram apart, "record" also makes a flow record of each
// part, which is the one to compare with; nothing is written in either.
package decode

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/netsampler/goflow2/v2/decoders/netflow"
	"github.com/netsampler/goflow2/v2/decoders/netflowlegacy"
	peersflow "github.com/netsampler/goflow2/v2/decoders/sflow"
	"github.com/netsampler/goflow2/v2/producer"
	protoproducer "github.com/netsampler/goflow2/v2/producer/proto"

	"github.com/minamo-flow/minamo/flow"
	ours "github.com/minamo-flow/minamo/wire/netflow"
	oursflow "github.com/minamo-flow/minamo/wire/sflow"
)

// The datagrams of each benchmark: what comes first, and what is measured.
var cases = []struct {
	name        string
	first, data []byte
	flows       int
}{
	{"NetFlow5", nil, v5(30), 30},
	{"NetFlow9", template(9, usual), records(9, usual, 18), 18},
	{"IPFIX", template(10, modern), records(10, modern, 14), 14},
	{"IPFIXVariableLength", template(10, named), records(10, named, 14), 14},
	{"SFlow", nil, sflow(7), 7},
}

func BenchmarkDecode(b *testing.B) {
	for _, c := range cases {
		b.Run(c.name+"/minamo", func(b *testing.B) {
			batch := flow.NewBatch(4096)
			session := ours.NewSession(ours.Config{})
			var netflow ours.Message
			var sflow oursflow.Message
			decode := func(datagram []byte) (int, error) {
				if c.name == "SFlow" {
					err := oursflow.Decode(datagram, 1, batch, &sflow)
					return sflow.Flows, err
				}
				err := session.Decode(datagram, 1, batch, &netflow)
				return netflow.Flows, err
			}
			measure(b, c.first, c.data, c.flows, decode, func() {
				if batch.Len() > 4000 {
					batch.Reset()
				}
			})
		})
		b.Run(c.name+"/goflow2-decode", func(b *testing.B) {
			templates := netflow.CreateTemplateSystem()
			measure(b, c.first, c.data, c.flows, func(datagram []byte) (int, error) {
				_, err := peer(c.name, datagram, templates)
				return c.flows, err
			}, func() {})
		})
		b.Run(c.name+"/goflow2-record", func(b *testing.B) {
			templates := netflow.CreateTemplateSystem()
			config, err := (&protoproducer.ProducerConfig{}).Compile()
			if err != nil {
				b.Fatal(err)
			}
			p, err := protoproducer.CreateProtoProducer(config, protoproducer.CreateSamplingSystem)
			if err != nil {
				b.Fatal(err)
			}
			from := netip.MustParseAddr("192.0.2.9")
			args := &producer.ProduceArgs{Src: netip.AddrPortFrom(from, 2055), SamplerAddress: from, TimeReceived: time.Unix(exported, 0)}
			var records []producer.ProducerMessage
			measure(b, c.first, c.data, c.flows, func(datagram []byte) (int, error) {
				message, err := peer(c.name, datagram, templates)
				if err != nil {
					return 0, err
				}
				records, err = p.Produce(message, args)
				return len(records), err
			}, func() { p.Commit(records) })
		})
	}
}

// measure decodes data over and over, and reports the time of a flow.
func measure(b *testing.B, first, data []byte, flows int, decode func([]byte) (int, error), done func()) {
	if first != nil {
		if _, err := decode(first); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		n, err := decode(data)
		if err != nil || n != flows {
			b.Fatalf("%d flows instead of %d: %v", n, flows, err)
		}
		done()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(flows), "ns/flow")
	b.ReportMetric(0, "ns/op") // of a datagram: says less
}

// peer takes a datagram apart with goflow2.
func peer(name string, datagram []byte, templates netflow.NetFlowTemplateSystem) (any, error) {
	payload := bytes.NewBuffer(datagram)
	switch name {
	case "NetFlow5":
		var packet netflowlegacy.PacketNetFlowV5
		return &packet, netflowlegacy.DecodeMessageVersion(payload, &packet)
	case "NetFlow9":
		var packet netflow.NFv9Packet
		return &packet, netflow.DecodeMessageVersion(payload, templates, &packet, nil)
	case "SFlow":
		var packet peersflow.Packet
		return &packet, peersflow.DecodeMessageVersion(payload, &packet)
	default:
		var packet netflow.IPFIXPacket
		return &packet, netflow.DecodeMessageVersion(payload, templates, nil, &packet)
	}
}
