// Package snmp is the SNMP agents of the simulated network: what its routers say
// of themselves and of their interfaces' counters, which are those of the truth.
//
// `minamo demo` runs them, so that Minamo can ask routers as it asks real ones.
// An agent speaks SNMPv2c (RFC 3416) on its router's own address, and knows the
// groups system and snmp (RFC 3418) and IF-MIB (RFC 2863), read-only. What it
// answers is of the network's clock at that moment, and all of an answer is of
// one moment. Who has another community, or speaks another version, is not
// answered but counted; so is what is no SNMP.
//
//	agent.go  sockets; Get, GetNext, GetBulk
//	mib.go    what there is to ask for
//	ber.go    messages as bytes
package snmp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"

	"github.com/minamo-flow/minamo/simulate"
)

// Agents are those of all routers of a network.
type Agents []*agent

// agent is one router's.
type agent struct {
	Statistics
	community []byte
	conn      *net.UDPConn
	router    *simulate.Router
}

// Statistics counts what came to an agent. The group snmp has them too.
type Statistics struct {
	Packets        atomic.Uint64 // snmpInPkts
	BadVersions    atomic.Uint64 // snmpInBadVersions
	BadCommunities atomic.Uint64 // snmpInBadCommunityNames
	Malformed      atomic.Uint64 // snmpInASNParseErrs
	Unexpected     atomic.Uint64 // no requests: responses, traps, informs
}

const (
	mostRequest = 4096 // longer ones are cut, and no SNMP then
	mostAnswer  = 1472 // what Ethernet carries in one packet
)

// Listen opens a socket on each address. Nothing is answered before Run.
func Listen(addresses []netip.Addr, port uint16, community string) (Agents, error) {
	var all Agents
	for _, address := range addresses {
		conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(address, port)))
		if err != nil {
			all.Close()
			return nil, fmt.Errorf("no SNMP agent on %s: %w", address, err)
		}
		all = append(all, &agent{community: []byte(community), conn: conn})
	}
	return all, nil
}

// Close closes the sockets; Run does it, too.
func (all Agents) Close() {
	for _, a := range all {
		a.conn.Close()
	}
}

// Run answers for the routers that have the addresses, until ctx ends.
func (all Agents) Run(ctx context.Context, routers []*simulate.Router) error {
	defer context.AfterFunc(ctx, all.Close)()
	done := make(chan error, len(all))
	for _, a := range all {
		for _, r := range routers {
			if r.Addr == a.conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr() {
				a.router = r
			}
		}
		go func() { done <- a.serve() }()
	}
	var failed []error
	for range all {
		failed = append(failed, <-done)
	}
	if ctx.Err() != nil {
		return nil // they were closed
	}
	return errors.Join(failed...)
}

func (a *agent) serve() error {
	room := make([]byte, mostRequest+1)
	for {
		n, from, err := a.conn.ReadFromUDPAddrPort(room)
		if err != nil {
			return err
		}
		if answer := a.answer(room[:n]); answer != nil {
			a.conn.WriteToUDPAddrPort(answer, from) // who does not get it asks again
		}
	}
}

// answer is what a datagram gets; nil for nothing.
func (a *agent) answer(datagram []byte) []byte {
	a.Packets.Add(1)
	m, err := readMessage(datagram)
	switch {
	case err == errVersion:
		a.BadVersions.Add(1)
		return nil
	case err == nil && !bytes.Equal(m.community, a.community):
		a.BadCommunities.Add(1)
		return nil
	}
	var q request
	if err == nil {
		q, err = m.request()
	}
	if err != nil || len(datagram) > mostRequest {
		a.Malformed.Add(1)
		return nil
	}
	room := mostAnswer - len(a.respond(&q, noError, 0, nil)) - 3*2 // three lengths that grow
	var variables []byte
	status, index, fits := noError, 0, true
	add := func(name oid, v value) (ok bool) {
		before := len(variables)
		if variables = appendVariable(variables, name, v); len(variables) > room {
			variables, fits = variables[:before], false
		}
		return fits
	}
	switch q.kind {
	case getRequest:
		v := a.look()
		for _, name := range q.names {
			if !add(name, v.get(name)) {
				break
			}
		}
	case getNextRequest:
		v := a.look()
		for _, name := range q.names {
			if !add(v.next(name)) {
				break
			}
		}
	case getBulkRequest:
		a.look().bulk(&q, add)
		fits = true // as much as does is an answer
	case setRequest:
		if len(q.names) > 0 {
			status, index, variables = notWritable, 1, q.variables
			fits = len(variables) <= room
		}
	default:
		a.Unexpected.Add(1)
		return nil
	}
	if !fits {
		return a.respond(&q, tooBig, 0, nil)
	}
	return a.respond(&q, status, index, variables)
}

func (a *agent) respond(q *request, status, index int, variables []byte) []byte {
	return appendResponse(make([]byte, 0, len(variables)+len(a.community)+48), a.community, q.id, status, index, variables)
}

// bulk answers GetBulk, until no more fits (RFC 3416 §4.2.3).
func (v *view) bulk(q *request, add func(oid, value) bool) {
	once := min(max(int(q.first), 0), len(q.names))
	for _, name := range q.names[:once] {
		if !add(v.next(name)) {
			return
		}
	}
	repeated := q.names[once:]
	for range max(int(q.second), 0) {
		ended := true
		for i, name := range repeated {
			name, value := v.next(name)
			if !add(name, value) {
				return
			}
			repeated[i] = name
			ended = ended && value.tag == endOfMibView
		}
		if ended { // also: nothing to repeat
			return
		}
	}
}
