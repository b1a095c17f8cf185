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

// Columns of one's own: the host that Cisco's application recognition saw in
// HTTP requests. A record for both directions becomes two rows.
func ExampleCustomElement() {
	if err := flow.Define(flow.Field{Name: "http_host", Kind: flow.Text, Doc: "Host of the HTTP request."}); err != nil {
		fmt.Println(err)
	}
	host, _ := flow.Lookup("http_host")
	element, _ := netflow.ByName("cisco/applicationHttpHost")
	session := netflow.NewSession(netflow.Config{
		Custom: []netflow.CustomElement{{Enterprise: element.Enterprise, Element: element.ID, Column: host}},
	})
	message := []byte{
		0, 10, 0, 79, 0x65, 0x53, 0xf1, 0, 0, 0, 0, 1, 0, 0, 0, 7, // header: 79 bytes, observation domain 7
		0, 2, 0, 32, 1, 0, 0, 5, // template 256 of five fields:
		0, 8, 0, 4, 0, 12, 0, 4, 0, 231, 0, 4, 0, 232, 0, 4, // addresses, octets of initiator and responder
		0xaf, 0xcb, 0xff, 0xff, 0, 0, 0, 9, // 9/12235, of variable length
		1, 0, 0, 31, // data
		192, 0, 2, 1, 198, 51, 100, 9, 0, 0, 0, 100, 0, 0, 0x10, 0, 10, 'e', 'x', 'a', 'm', 'p', 'l', 'e', '.', 'o', 'r',
	}
	batch := flow.NewBatch(1024)
	var m netflow.Message
	if err := session.Decode(message, 1700000000500, batch, &m); err != nil {
		fmt.Println(err)
	}
	for row := m.First; row < m.First+m.Flows; row++ {
		fmt.Printf("%s %v > %v %d bytes %s\n", batch.AppendText(nil, flow.Biflow, row), batch.Addr(flow.SrcAddr)[row],
			batch.Addr(flow.DstAddr)[row], batch.U64(flow.Bytes)[row], batch.Text(host, row))
	}
	// Output:
	// forward 192.0.2.1 > 198.51.100.9 100 bytes example.or
	// reverse 198.51.100.9 > 192.0.2.1 4096 bytes example.or
}
