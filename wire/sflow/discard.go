package sflow

import (
	"github.com/minamo-flow/minamo/flow"
)

// discardSample decodes a discard notification (sFlow Dropped Packet
// Notification Structures) into a row.
func (r *run) discardSample(body []byte) {
	d := reader{body, true}
	s := Discard{Sequence: d.uint32(), Source: d.source(true), Drops: d.uint32()}
	in, out := d.uint32(), d.uint32()
	s.Reason = d.uint32()
	count := d.uint32()
	if !d.ok {
		r.Problems[SampleTruncated]++
		return
	}
	i := r.row(1)
	s.Row = i
	r.Discards = append(r.Discards, s)
	r.interfaces(i, s.Source, Port{PortIfIndex, in}, Port{PortIfIndex, out})
	r.b.Present[i].Add(flow.OutIf) // discarded before its output was known: 0
	status, _ := discarded(s.Reason)
	r.b.SetUint(flow.ForwardingStatus, i, uint64(status))
	r.b.SetUint(flow.DropReason, i, uint64(s.Reason))
	r.flowRecords(i, d.rest, count)
}

// dropped is the forwarding status of a packet dropped for a reason that
// RFC 7270 §4.12 has no code for.
const dropped = 128

// discarded gives the forwarding status that fits a reason best, and whether
// the reason is stated at all.
func discarded(reason uint32) (status uint8, stated bool) {
	switch reason {
	case 13, 258: // administratively prohibited, access list
		return 129, true // ACL deny
	case 0, 1, 6, 7, 11, 12: // the unreachables for want of a route
		return 131, true // unroutable
	case 279: // unresolved neighbour
		return 132, true // adjacency
	case 4, 262: // fragmentation needed, too big
		return 133, true // fragmentation and DF set
	case 257: // TTL exceeded
		return 137, true // bad TTL
	case 261: // traffic shaping
		return 138, true // policer
	case 260: // RED
		return 139, true // WRED
	case 280, 302, 335: // multicast, unicast, any
		return 140, true // RPF
	case 256: // unknown
		return dropped, false
	}
	return dropped, true
}
