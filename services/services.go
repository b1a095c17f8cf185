// Package services knows the well-known services of IP protocols, by IANA's
// registry and habit: what port 443 of TCP is called, and which side of a
// connection is the service's.
//
// query names services by it, and rollup groups flows by it; both must mean
// the same, or answers from rollups would differ from those from flows.
package services

import (
	_ "embed"
	"fmt"
	"strings"
)

//go:embed services.txt
var text string

// Service is a port of a protocol.
type Service struct {
	Protocol uint8
	Port     uint16
}

// protocols are those that services.txt names.
var protocols = map[string]uint8{"tcp": 6, "udp": 17, "dccp": 33, "sctp": 132}

// Names are the well-known services.
var Names = func() map[Service]string {
	names := map[Service]string{}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		var port uint16
		var list, name string
		line = strings.Replace(line, "/", " ", 1)
		if _, err := fmt.Sscan(line, &port, &list, &name); err != nil {
			panic(fmt.Sprintf("services: services.txt: %q: %v", line, err))
		}
		for p := range strings.SplitSeq(list, ",") {
			protocol, ok := protocols[p]
			if !ok {
				panic(fmt.Sprintf("services: services.txt: %q: protocol %q is unknown", line, p))
			}
			names[Service{protocol, port}] = name
		}
	}
	return names
}()

// hasPorts tells which protocols have ports: TCP, UDP, DCCP, SCTP, UDPLite.
func hasPorts(protocol uint8) bool {
	switch protocol {
	case 6, 17, 33, 132, 136:
		return true
	}
	return false
}

// known has a bit for each port of TCP and UDP, so that a flow costs no look-up
// in a map.
var known = func() (bits [2][1 << 16 / 64]uint64) {
	for s := range Names {
		if i, ok := bitmap(s.Protocol); ok {
			bits[i][s.Port>>6] |= 1 << (s.Port & 63)
		}
	}
	return bits
}()

func bitmap(protocol uint8) (i int, ok bool) {
	switch protocol {
	case 6:
		return 0, true
	case 17:
		return 1, true
	}
	return 0, false
}

func isKnown(protocol uint8, port uint16) bool {
	if i, ok := bitmap(protocol); ok {
		return known[i][port>>6]&(1<<(port&63)) != 0
	}
	_, ok := Names[Service{protocol, port}]
	return ok
}

// Of is the service of a flow as one number: the protocol in the bits from 17
// on, bit 16 where it has a port, and the port: that of the side which is well
// known, else the lower one. A port that is absent is not counted.
func Of(protocol uint8, src, dst uint16, hasSrc, hasDst bool) uint32 {
	service := uint32(protocol) << 17
	if !hasPorts(protocol) || !hasSrc && !hasDst {
		return service
	}
	srcKnown, dstKnown := hasSrc && isKnown(protocol, src), hasDst && isKnown(protocol, dst)
	port := min(src, dst)
	switch {
	case srcKnown && !dstKnown, !hasDst:
		port = src
	case dstKnown && !srcKnown, !hasSrc:
		port = dst
	}
	return service | 1<<16 | uint32(port)
}
