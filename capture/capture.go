// Package capture takes packets from a machine's network interfaces, for the
// metering process of probe: from a SPAN or TAP port, or those that a Linux
// router forwards.
//
// Packets are read where the kernel wrote them, block by block (AF_PACKET with
// a ring of TPACKET_V3, packet(7)): no copy, no allocation and hardly a system
// call for each. Several sockets may share an interface; the kernel hands all
// packets of a flow to the same one, either direction. What the kernel had to
// drop because nobody read in time is counted.
package capture

import (
	"errors"
	"fmt"
	"net"
	"strings"
)

// Config tells what to capture.
type Config struct {
	Interface   string
	Promiscuous bool   // also what is addressed to others: a SPAN port's packets all are
	Sockets     int    // that share the interface; default 1
	Group       uint16 // of sockets that share: another one for each interface
	Ring        int    // bytes for each socket; default 32 MiB
}

// Stats counts since the socket was opened.
type Stats struct {
	Packets uint64 // seen, those dropped included
	Drops   uint64 // for want of room in the ring
}

// ErrPermission says what the process lacks.
var ErrPermission = errors.New("capturing needs CAP_NET_RAW: run as root, or once: setcap cap_net_raw+ep minamo")

// find looks up an interface; the error names those that there are.
func find(name string) (*net.Interface, error) {
	i, err := net.InterfaceByName(name)
	if err == nil {
		return i, nil
	}
	var names []string
	if all, err := net.Interfaces(); err == nil {
		for _, i := range all {
			names = append(names, i.Name)
		}
	}
	return nil, fmt.Errorf("there is no interface %q; there are %s", name, strings.Join(names, ", "))
}
