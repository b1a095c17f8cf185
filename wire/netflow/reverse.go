package netflow

import "github.com/minamo-flow/minamo/flow"

// Records for both directions (RFC 5103; the initiator and the responder of
// Cisco's firewalls) become two rows. The second is there if anything was
// counted on the way back, and only then do both have the column biflow; a
// record that tells of a connection without any traffic yet stays one row.

// ends are the columns that the opposite direction exchanges.
var ends = [...][2]flow.Column{
	{flow.SrcAddr, flow.DstAddr}, {flow.SrcPort, flow.DstPort}, {flow.SrcMask, flow.DstMask},
	{flow.SrcAS, flow.DstAS}, {flow.PrevAS, flow.NextAS}, {flow.InIf, flow.OutIf}, {flow.InVRF, flow.OutVRF},
	{flow.SrcMAC, flow.DstMAC}, {flow.SrcVLAN, flow.DstVLAN}, {flow.SrcUser, flow.DstUser},
	{flow.PostNATSrcAddr, flow.PostNATDstAddr}, {flow.PostNATSrcPort, flow.PostNATDstPort},
}

// shared are the values that hold for both directions. Others, such as
// counters and what a header said, are one direction's only.
var shared = map[target]bool{
	flow.Start: true, flow.End: true, duration: true, eventTime: true, bootTime: true,
	flow.SamplingRate: true, rateSpace: true, rateInterval: true, rateSize: true, ratePopulation: true, rateProbability: true, flow.SamplerID: true,
	flow.Protocol: true, ipVersion: true, flow.EtherType: true, flow.CustomerVLAN: true, flow.SegmentID: true,
	flow.ApplicationID: true, flow.ApplicationName: true, flow.FlowEndReason: true,
	flow.FirewallEvent: true, flow.FirewallExtEvent: true, flow.IngressACL: true, flow.EgressACL: true,
	flow.NATEvent: true, flow.NATPortStart: true, flow.NATPortEnd: true,
}

// mirrored returns what a value is for the opposite direction.
func mirrored(to target) (target, bool) {
	for _, pair := range ends {
		switch to {
		case pair[0]:
			return pair[1], true
		case pair[1]:
			return pair[0], true
		}
	}
	return to, shared[to]
}

// mirror returns the template's program for the opposite direction.
func (t *template) mirror(s *Session) *program {
	if t.mirrored == nil {
		t.mirrored = s.compile(&t.Template, true)
	}
	return t.mirrored
}

// decodeReverse appends the opposite direction of those records of m.rows
// that counted something there.
func (s *Session) decodeReverse(t *template, d *domain, first int, h *header, b *flow.Batch, m *Message) {
	m.both = m.both[:0]
	for i := range m.rows.n {
		for _, f := range t.program.opposite {
			if m.rows.number(i, f) > 0 {
				m.both = append(m.both, uint32(i))
				break
			}
		}
	}
	if len(m.both) == 0 {
		return
	}
	m.rows.only(&m.reverse, m.both)
	p, back := t.mirror(s), b.Extend(len(m.both))
	p.run(b, back, &m.reverse, h)
	s.fillIn(p, d, &m.reverse, back, true, h, b, m)
	for k, i := range m.both {
		b.SetUint(flow.Biflow, first+int(i), flow.BiflowForward)
		b.SetUint(flow.Biflow, back+k, flow.BiflowReverse)
	}
}
