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
	discarded(r.b, i, s.Reason)
	r.flowRecords(i, d.rest, count)
}

// discarded sets why the packet went nowhere: as sFlow has it, and by the
// code of RFC 7270 §4.12 that fits best.
func discarded(b *flow.Batch, i int, reason uint32) {
	status := uint64(128) // dropped, unknown
	switch reason {
	case 13, 258: // administratively prohibited, access list
		status = 129 // ACL deny
	case 0, 1, 6, 7, 11, 12: // the unreachables for want of a route
		status = 131 // unroutable
	case 279: // unresolved neighbour
		status = 132 // adjacency
	case 4, 262: // fragmentation needed, packet too big
		status = 133 // fragmentation and DF set
	case 257: // TTL exceeded
		status = 137 // bad TTL
	case 261: // traffic shaping
		status = 138 // policer
	case 260: // RED
		status = 139 // WRED
	case 280, 302, 335: // multicast, unicast, any reverse path forwarding
		status = 140 // RPF
	}
	b.SetUint(flow.ForwardingStatus, i, status)
	b.SetUint(flow.DropReason, i, uint64(reason))
}
