package netflow_test

import (
	"fmt"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/wire/netflow"
)

// A NetFlow v9 datagram with a template and one record of it.
func Example() {
	datagram := []byte{
		0, 9, 0, 2, 0, 0, 0x27, 0x10, 0x65, 0x53, 0xf1, 0, 0, 0, 0, 1, 0, 0, 0, 7, // header: uptime 10 s, source id 7
		0, 0, 0, 28, 1, 0, 0, 5, // template 256 of five fields:
		0, 8, 0, 4, 0, 12, 0, 4, 0, 11, 0, 2, 0, 1, 0, 4, 0, 22, 0, 4, // addresses, port, bytes, first switched
		1, 0, 0, 22, // data
		192, 0, 2, 1, 198, 51, 100, 9, 1, 0xbb, 0, 0, 5, 0xdc, 0, 0, 0x23, 0x28,
	}
	session := netflow.NewSession(netflow.Config{}) // one for each exporter
	batch := flow.NewBatch(1024)
	var message netflow.Message
	if err := session.Decode(datagram, 1700000000500, batch, &message); err != nil {
		fmt.Println(err)
	}
	for row := message.First; row < message.First+message.Flows; row++ {
		fmt.Printf("%v > %v port %d, %d bytes at %s\n", batch.Addr(flow.SrcAddr)[row], batch.Addr(flow.DstAddr)[row],
			batch.U16(flow.DstPort)[row], batch.U64(flow.Bytes)[row], batch.AppendText(nil, flow.Start, row))
	}
	fmt.Println(message.Templates, "template,", message.Problems[netflow.TemplateWaiting], "sets waiting")
	// Output:
	// 192.0.2.1 > 198.51.100.9 port 443, 1500 bytes at 2023-11-14T22:13:19.000Z
	// 1 template, 0 sets waiting
}
