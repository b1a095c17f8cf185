// Package snmp is the SNMP agents of the simulated network: what its routers say
// of themselves and of their interfaces' counters, which are those of the truth.
//
// `minamo demo` runs them, so that Minamo can ask routers as it asks real ones.
// An agent speaks SNMPv2c (RFC 3416) on its router's own address, and knows the
// system group (RFC 3418) and IF-MIB's tables (RFC 2863), read-only. What it
// answers is of the network's clock at that moment. A wrong community is not
// answered, as it should be.
package snmp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"

	"github.com/gosnmp/gosnmp"

	"github.com/minamo-flow/minamo/simulate"
)

// Agents are those of all routers of a network.
type Agents struct {
	community string
	agents    []*agent

	// Stats counts what came.
	Stats Stats
}

// Stats counts what agents were asked.
type Stats struct {
	Requests  atomic.Uint64
	Malformed atomic.Uint64 // were no requests
	Refused   atomic.Uint64 // of another community or version: not answered
}

// agent is one router's.
type agent struct {
	router *simulate.Router
	conn   *net.UDPConn
}

// mostAnswer is how long a datagram may be: Ethernet's MTU without headers.
const mostAnswer = 1472

// Listen opens an agent on each router's address. Nothing is answered before Run.
func Listen(network *simulate.Network, port uint16, community string) (*Agents, error) {
	all := &Agents{community: community}
	for _, r := range network.Routers() {
		conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(r.Addr, port)))
		if err != nil {
			all.close()
			return nil, fmt.Errorf("SNMP agent of %s: %w", r.Name, err)
		}
		all.agents = append(all.agents, &agent{r, conn})
	}
	return all, nil
}

func (all *Agents) close() {
	for _, a := range all.agents {
		a.conn.Close()
	}
}

// Run answers until ctx ends.
func (all *Agents) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, all.close)
	defer stop()
	done := make(chan error, len(all.agents))
	for _, a := range all.agents {
		go func() { done <- a.serve(all) }()
	}
	var failed []error
	for range all.agents {
		failed = append(failed, <-done)
	}
	if ctx.Err() != nil {
		return nil // they were closed
	}
	return errors.Join(failed...)
}

func (a *agent) serve(all *Agents) error {
	room := make([]byte, 1<<16)
	for {
		n, from, err := a.conn.ReadFromUDPAddrPort(room)
		if err != nil {
			return err
		}
		if answer := all.answer(room[:n], func() *view { return viewOf(a.router) }); answer != nil {
			a.conn.WriteToUDPAddrPort(answer, from) // who does not get it asks again
		}
	}
}

// answer is what a request gets; nil for nothing.
func (all *Agents) answer(request []byte, look func() *view) []byte {
	codec := gosnmp.GoSNMP{Version: gosnmp.Version2c}
	p, err := codec.SnmpDecodePacket(request)
	switch {
	case err != nil:
		all.Stats.Malformed.Add(1)
		return nil
	case p.Version != gosnmp.Version2c || p.Community != all.community:
		all.Stats.Refused.Add(1)
		return nil
	}
	answer := &gosnmp.SnmpPacket{Version: p.Version, Community: p.Community, PDUType: gosnmp.GetResponse, RequestID: p.RequestID, Logger: codec.Logger}
	refuse := func(what gosnmp.SNMPError, index int) {
		answer.Error, answer.ErrorIndex = what, uint8(min(index, 255))
		answer.Variables = p.Variables
		for i := range answer.Variables {
			answer.Variables[i].Type, answer.Variables[i].Value = gosnmp.Null, nil
		}
	}
	switch p.PDUType {
	case gosnmp.GetRequest:
		v := look()
		for _, asked := range p.Variables {
			answer.Variables = append(answer.Variables, v.get(asked.Name))
		}
	case gosnmp.GetNextRequest:
		v := look()
		for _, asked := range p.Variables {
			answer.Variables = append(answer.Variables, v.next(asked.Name))
		}
	case gosnmp.GetBulkRequest:
		answer.Variables = look().bulk(p)
	case gosnmp.SetRequest:
		refuse(gosnmp.NotWritable, 1)
	default:
		all.Stats.Malformed.Add(1)
		return nil
	}
	all.Stats.Requests.Add(1)
	for {
		text, err := answer.MarshalMsg()
		switch {
		case err != nil:
			refuse(gosnmp.GenErr, 0)
		case len(text) <= mostAnswer || answer.Error != gosnmp.NoError:
			return text
		case p.PDUType == gosnmp.GetBulkRequest && len(answer.Variables) > 1:
			// As many as fit (RFC 3416 §4.2.3).
			fit := len(answer.Variables) * mostAnswer / len(text)
			answer.Variables = answer.Variables[:max(1, min(fit, len(answer.Variables)-1))]
		default:
			refuse(gosnmp.TooBig, 0)
			answer.Variables = nil
		}
		if err != nil && answer.Error == gosnmp.GenErr && text == nil {
			if text, err = answer.MarshalMsg(); err != nil {
				return nil
			}
			return text
		}
	}
}
