package snmp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/gosnmp/gosnmp"

	"github.com/minamo-flow/minamo/counters"
)

// What is asked: SNMPv2-MIB (RFC 3418) and IF-MIB (RFC 2863).
const (
	sysDescr  = ".1.3.6.1.2.1.1.1"
	sysUpTime = ".1.3.6.1.2.1.1.3"
	sysName   = ".1.3.6.1.2.1.1.5"

	ifTable  = ".1.3.6.1.2.1.2.2.1"
	ifXTable = ".1.3.6.1.2.1.31.1.1.1"
)

// Columns of names and of counters, in the order of the constants below them.
var (
	described = []string{ifTable + ".2", ifTable + ".3", ifTable + ".5", ifXTable + ".1", ifXTable + ".15", ifXTable + ".18"}

	counted = []string{
		ifXTable + ".6", ifXTable + ".10", // ifHCInOctets, ifHCOutOctets
		ifXTable + ".7", ifXTable + ".8", ifXTable + ".9", // ifHCIn…Pkts: unicast, multicast, broadcast
		ifXTable + ".11", ifXTable + ".12", ifXTable + ".13", // ifHCOut…Pkts
		ifTable + ".13", ifTable + ".19", ifTable + ".14", ifTable + ".20", // discards, errors: in, out
		ifTable + ".8", ifXTable + ".19", // ifOperStatus, ifCounterDiscontinuityTime
	}
	countedNarrow = []string{
		ifTable + ".10", ifTable + ".16", // ifInOctets, ifOutOctets
		ifTable + ".11", ifXTable + ".2", ifXTable + ".3",
		ifTable + ".17", ifXTable + ".4", ifXTable + ".5",
		ifTable + ".13", ifTable + ".19", ifTable + ".14", ifTable + ".20",
		ifTable + ".8", ifXTable + ".19",
	}
)

const (
	ifDescr = iota
	ifType
	ifSpeed
	ifName
	ifHighSpeed
	ifAlias
)

const (
	inOctets = iota
	outOctets
	inUnicast
	inMulticast
	inBroadcast
	outUnicast
	outMulticast
	outBroadcast
	inDiscards
	outDiscards
	inErrors
	outErrors
	operStatus
	discontinuity
)

// session is an open conversation with a device.
type session struct {
	*gosnmp.GoSNMP
	repetitions uint32
	clock       func() time.Time
	requests    int
}

func (s *session) bulk(oids []string, nonRepeaters uint8, repetitions uint32) (*gosnmp.SnmpPacket, error) {
	s.requests++
	return s.GetBulk(oids, nonRepeaters, repetitions)
}

// system asks who the device is.
func (s *session) system(d *Device) error {
	s.requests++
	p, err := s.Get([]string{sysDescr + ".0", sysUpTime + ".0", sysName + ".0"})
	if err != nil {
		return err
	}
	for _, v := range p.Variables {
		switch v.Name {
		case sysDescr + ".0":
			d.Description = words(v)
		case sysName + ".0":
			d.Name = words(v)
		case sysUpTime + ".0":
			if up, ok := ticks(v); ok {
				d.Uptime = up.Seconds()
			}
		}
	}
	return nil
}

// interfaces asks what there is.
func (s *session) interfaces() ([]Interface, error) {
	all := map[uint32]*Interface{}
	err := walk(s.bulk, described, s.repetitions, func() {}, func(c cell) {
		i := all[c.index]
		if i == nil {
			i = &Interface{Index: c.index}
			all[c.index] = i
		}
		n, _ := number(c.value)
		switch c.column {
		case ifDescr:
			i.Description = words(c.value)
		case ifType:
			i.Type = uint32(n)
		case ifSpeed:
			if i.Speed == 0 && n < 1<<32-1 { // more does not fit: ifHighSpeed tells
				i.Speed = n
			}
		case ifName:
			i.Name = words(c.value)
		case ifHighSpeed:
			if n*1_000_000 > i.Speed {
				i.Speed = n * 1_000_000
			}
		case ifAlias:
			i.Alias = words(c.value)
		}
	})
	var list []Interface
	for _, i := range all {
		if i.Name == "" { // old devices have no ifXTable
			i.Name = i.Description
		}
		list = append(list, *i)
	}
	slices.SortFunc(list, func(a, b Interface) int { return int(int64(a.Index) - int64(b.Index)) })
	return list, err
}

// counters asks what interfaces have counted; up tells which are.
func (s *session) counters(device netip.Addr, speeds map[uint32]uint64) (r *counters.Reading, up map[uint32]bool, err error) {
	for _, narrow := range []bool{false, true} {
		columns := counted
		if narrow {
			columns = countedNarrow
		}
		all := map[uint32]*counters.Interface{}
		up = map[uint32]bool{}
		octets := map[uint32]int{}
		var at time.Time
		err = walk(s.bulk, columns, s.repetitions, func() { at = s.clock() }, func(c cell) {
			i := all[c.index]
			if i == nil {
				i = &counters.Interface{Index: c.index, Narrow: narrow, Speed: speeds[c.index]}
				all[c.index] = i
			}
			n, ok := number(c.value)
			if !ok {
				return
			}
			switch c.column {
			case inOctets: // it is of this moment
				i.InOctets, i.At, i.Uptime = n, at, c.uptime
				octets[c.index]++
			case outOctets:
				i.OutOctets = n
				octets[c.index]++
			case inUnicast, inMulticast, inBroadcast:
				i.InPackets += n
			case outUnicast, outMulticast, outBroadcast:
				i.OutPackets += n
			case inDiscards:
				i.InDiscards = n
			case outDiscards:
				i.OutDiscards = n
			case inErrors:
				i.InErrors = n
			case outErrors:
				i.OutErrors = n
			case operStatus:
				up[c.index] = n == 1
			case discontinuity:
				i.Broken = time.Duration(n) * 10 * time.Millisecond
			}
		})
		if err != nil {
			return nil, nil, err
		}
		r = &counters.Reading{Device: device, Source: counters.SNMP}
		for index, i := range all {
			if octets[index] == 2 {
				r.Interfaces = append(r.Interfaces, *i)
			}
		}
		slices.SortFunc(r.Interfaces, func(a, b counters.Interface) int { return int(int64(a.Index) - int64(b.Index)) })
		if len(r.Interfaces) > 0 {
			return r, up, nil
		}
	}
	return nil, nil, errors.New("it answers, but has no interface counters: does its view of SNMP hold IF-MIB?")
}

// explain says what an error means for who has to mend it.
func explain(err error, a *Access, timeout time.Duration, retries int) error {
	var network net.Error
	text := err.Error()
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &network) && network.Timeout(), strings.Contains(text, "timeout"):
		what := "the community"
		if a.version() == "3" {
			what = "the user"
		}
		return fmt.Errorf("no answer in %d tries of %v each: is SNMP on, does its access list let this machine in, is %s right?", retries+1, timeout, what)
	case strings.Contains(text, "connection refused"):
		return errors.New("connection refused: no SNMP agent listens there")
	case a.version() == "3" && (strings.Contains(text, "authentic") || strings.Contains(text, "user") || strings.Contains(text, "digest")):
		return fmt.Errorf("%s: are the user, its auth and privacy, and the passwords right?", text)
	}
	return err
}
