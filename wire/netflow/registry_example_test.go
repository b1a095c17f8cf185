package netflow_test

import (
	"fmt"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/wire/netflow"
)

func ExampleByName() {
	for _, name := range []string{"applicationName", "cisco/applicationHttpHost", "9/12235", "64496/1"} {
		e, ok := netflow.ByName(name)
		fmt.Println(e, e.Type, ok)
	}
	// Output:
	// applicationName(96) string true
	// applicationHttpHost(9/12235) string true
	// applicationHttpHost(9/12235) string true
	// 64496/1 octetArray true
}

// An exporter names its interfaces in options data.
func ExampleOptionRecord_Interface() {
	datagram := []byte{
		0, 10, 0, 56, 0x65, 0x53, 0xf1, 0, 0, 0, 0, 1, 0, 0, 0, 7, // header of IPFIX
		0, 3, 0, 18, 1, 0, 0, 2, 0, 1, 0, 10, 0, 4, 0, 82, 0xff, 0xff, // options template 256: ingressInterface → interfaceName
		1, 0, 0, 22, 0, 0, 0, 5, 4, 'x', 'e', '-', '0', 0, 0, 0, 6, 4, 'x', 'e', '-', '1', // two records of it
	}
	session := netflow.NewSession(netflow.Config{})
	var batch flow.Batch
	var message netflow.Message
	if err := session.Decode(datagram, 0, &batch, &message); err != nil {
		fmt.Println(err)
	}
	for _, record := range message.Options {
		if i, ok := record.Interface(); ok {
			fmt.Println(i.Index, i.Name)
		}
	}
	// Output:
	// 5 xe-0
	// 6 xe-1
}
