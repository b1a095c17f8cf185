// Package snmp asks exporters what their interfaces are called and what they
// have counted.
//
// cmd/minamo runs a Poller beside the collector. It asks those exporters that
// the operator gave access to, each on its own and one request at a time, so
// that a slow device delays nobody and flows never wait for it. What interfaces
// are called is kept in a file, and asked by server and commands; what they
// counted goes to counters.
//
//	access.go     who may be asked how; secrets
//	table.go      walking columns of a table side by side
//	device.go     a device: what is asked, and what its answers mean (SNMPv2-MIB, IF-MIB)
//	inventory.go  what is known of devices, kept over a restart
//	poller.go     when whom
package snmp
