package netflow

import (
	"encoding/binary"

	"github.com/minamo-flow/minamo/flow"
)

// The versions without templates: their records are programs of templates
// that everyone knows. Layouts are those of Cisco's documents; 16-bit AS
// numbers and interfaces are all these versions have.

// fieldsOf are IANA's elements: element, length, element, length …
func fieldsOf(pairs ...uint16) (fields []TemplateField) {
	for i := 0; i < len(pairs); i += 2 {
		fields = append(fields, TemplateField{Element: pairs[i], Length: pairs[i+1]})
	}
	return fields
}

// layout compiles the template of a record.
func layout(pairs ...uint16) *program { return compile(&Template{Fields: fieldsOf(pairs...)}) }

const (
	// What a NetFlow v8 record has that is no column's: the ToS and the number
	// of packets beyond the traffic contract.
	markedToS, extraPackets = paddingOctets, paddingOctets

	ipv4RouterSc = 43
)

// v1 is the record of 48 bytes that all known exporters send; oldV1 has four
// more reserved bytes.
var v1, oldV1 = layoutV1(7), layoutV1(11)

func layoutV1(reserved uint16) *program {
	return layout(
		8, 4, 12, 4, 15, 4, // addresses, next hop
		10, 2, 14, 2, // interfaces
		2, 4, 1, 4, // packets, bytes
		22, 4, 21, 4, // first, last
		7, 2, 11, 2, // ports
		paddingOctets, 2, 4, 1, 5, 1, 6, 1, // protocol, ToS, flags
		paddingOctets, reserved,
	)
}

var v5 = compile(&Template{Fields: v5Fields})

var v5Fields = fieldsOf(
	8, 4, 12, 4, 15, 4, // addresses, next hop
	10, 2, 14, 2, // interfaces
	2, 4, 1, 4, // packets, bytes
	22, 4, 21, 4, // first, last
	7, 2, 11, 2, // ports
	paddingOctets, 1, 6, 1, 4, 1, 5, 1, // flags, protocol, ToS
	16, 2, 17, 2, // AS numbers
	9, 1, 13, 1, // masks
	paddingOctets, 2,
)

// v7 is v5 with the address of the router whose work a switch did. Bytes 36,
// 46 and 47 are flags that tell which fields are invalid: see decodeV7.
var v7 = layout(
	8, 4, 12, 4, 15, 4,
	10, 2, 14, 2,
	2, 4, 1, 4,
	22, 4, 21, 4,
	7, 2, 11, 2,
	paddingOctets, 1, 6, 1, 4, 1, 5, 1,
	16, 2, 17, 2,
	9, 1, 13, 1,
	paddingOctets, 2,
	ipv4RouterSc, 4,
)

// summed is the layout of what a router aggregated: flows, packets, bytes,
// first, last, then the fields.
func summed(fields ...uint16) *program {
	return layout(append([]uint16{3, 4, 2, 4, 1, 4, 22, 4, 21, 4}, fields...)...)
}

// v8 are the records of NetFlow v8 by aggregation scheme. Schemes 6 to 8 are
// those of switches.
var v8 = [...]*program{
	1: summed(16, 2, 17, 2, 10, 2, 14, 2),                                              // AS
	2: summed(4, 1, paddingOctets, 3, 7, 2, 11, 2),                                     // protocol and port
	3: summed(44, 4, 9, 1, paddingOctets, 1, 16, 2, 10, 2, paddingOctets, 2),           // source prefix
	4: summed(45, 4, 13, 1, paddingOctets, 1, 17, 2, 14, 2, paddingOctets, 2),          // destination prefix
	5: summed(44, 4, 45, 4, 9, 1, 13, 1, paddingOctets, 2, 16, 2, 17, 2, 10, 2, 14, 2), // prefix
	6: layout(12, 4, 2, 4, 1, 4, 22, 4, 21, 4, // destination
		14, 2, 5, 1, markedToS, 1, extraPackets, 4, ipv4RouterSc, 4),
	7: layout(12, 4, 8, 4, 2, 4, 1, 4, 22, 4, 21, 4, // source and destination
		14, 2, 10, 2, 5, 1, markedToS, 1, paddingOctets, 2, extraPackets, 4, ipv4RouterSc, 4),
	8: layout(12, 4, 8, 4, 11, 2, 7, 2, 2, 4, 1, 4, 22, 4, 21, 4, // full flow
		14, 2, 10, 2, 5, 1, 4, 1, markedToS, 1, paddingOctets, 1, extraPackets, 4, ipv4RouterSc, 4),
	9:  summed(16, 2, 17, 2, 10, 2, 14, 2, 5, 1, paddingOctets, 3),                            // AS and ToS
	10: summed(4, 1, 5, 1, paddingOctets, 2, 7, 2, 11, 2, 10, 2, 14, 2),                       // protocol, port and ToS
	11: summed(44, 4, 9, 1, 5, 1, 16, 2, 10, 2, paddingOctets, 2),                             // source prefix and ToS
	12: summed(45, 4, 13, 1, 5, 1, 17, 2, 14, 2, paddingOctets, 2),                            // destination prefix and ToS
	13: summed(44, 4, 45, 4, 9, 1, 13, 1, 5, 1, paddingOctets, 1, 16, 2, 17, 2, 10, 2, 14, 2), // prefix and ToS
	14: summed(44, 4, 45, 4, 9, 1, 13, 1, 5, 1, 4, 1, 7, 2, 11, 2, 10, 2, 14, 2),              // prefix and port
}

// decodeFixed decodes the records of a version without templates: as many as
// the header counts and the datagram has. The sequence numbers of these
// versions count records, for which a v8 router that aggregates has a number
// of its own in each scheme.
func decodeFixed(head, body []byte, h *header, b *flow.Batch, m *Message) {
	var p *program
	switch m.Version {
	case flow.NetFlow1:
		p = v1
	case flow.NetFlow5:
		p = v5
	case flow.NetFlow7:
		p = v7
	case flow.NetFlow8:
		if scheme := int(head[22]); scheme < len(v8) {
			p = v8[scheme]
		}
	}
	count := int(binary.BigEndian.Uint16(head[2:]))
	if m.Units = uint32(count); p == v1 && len(body) == count*oldV1.least {
		p = oldV1
	}
	if p == nil {
		m.Problems[SchemeUnknown]++
		return
	}
	if len(body) != count*p.least {
		m.Problems[CountMismatch]++
	}
	n := min(count, len(body)/p.least)
	p.layout(&m.rows, body[:n*p.least])
	first := b.Extend(n)
	p.run(b, first, &m.rows, h)
	m.Records += n
	switch m.Version {
	case flow.NetFlow5:
		fillSampling(binary.BigEndian.Uint16(head[22:]), b, first)
	case flow.NetFlow7:
		invalidateV7(&m.rows, b, first)
	case flow.NetFlow8:
		if binary.BigEndian.Uint16(head[26:]) == 0 { // else the word isn't what Cisco says, or wasn't filled in
			fillSampling(binary.BigEndian.Uint16(head[24:]), b, first)
		}
		if scheme := head[22]; scheme == 5 || scheme >= 13 {
			orderMasks(b, first)
		}
	}
}

// fillSampling fills in the sampling rate of the header; its upper two bits
// are the sampling mode, whatever it is.
func fillSampling(word uint16, b *flow.Batch, first int) {
	rate := word & 0x3fff
	if rate == 0 {
		return
	}
	fill(b.U32(flow.SamplingRate)[first:], uint32(rate))
	fill(b.U8(flow.SamplingSource)[first:], flow.SamplingHeader)
	learnt := flow.MaskOf(flow.SamplingRate, flow.SamplingSource)
	for row := first; row < b.Len(); row++ {
		b.Present[row].Or(learnt)
	}
}

// maybeInvalid are the columns that a switch fills in only by some of its
// flow masks, or never.
var maybeInvalid = [...]flow.Column{
	flow.SrcAddr, flow.NextHop, flow.InIf, flow.SrcPort, flow.DstPort, flow.Protocol, flow.TCPFlags,
	flow.SrcAS, flow.DstAS, flow.SrcMask, flow.DstMask, flow.BypassedRouter,
}

// invalidateV7 takes back the values that are no values. The flags of a v7
// record say that some fields are invalid; which bit says it of which field
// Cisco didn't publish, but a switch sends such fields as zero. So a zero
// counts where all flags are clear.
func invalidateV7(r *rows, b *flow.Batch, first int) {
	flags := [...]place{{offset: 36, length: 1}, {offset: 46, length: 2}}
	for i := range r.n {
		if number(r.at(i, flags[0]))|number(r.at(i, flags[1])) == 0 {
			continue
		}
		row := first + i
		for _, c := range maybeInvalid {
			if flow.Schema[c].Kind == flow.Address {
				if a := &b.Addr(c)[row]; *a == flow.AddrFrom4([4]byte{}) {
					*a = flow.Addr{}
					unset(&b.Present[row], c)
				}
			} else if b.Uint(c, row) == 0 {
				unset(&b.Present[row], c)
			}
		}
	}
}

// orderMasks exchanges the two masks of a v8 record where each fits only the
// other's prefix. Cisco's documents have the source's first; cflowd's old
// documentation had the destination's, and Junos does as that says unless it
// is told to be "caida-compliant".
func orderMasks(b *flow.Batch, first int) {
	sources, destinations := b.Addr(flow.SrcAddr), b.Addr(flow.DstAddr)
	masks, others := b.U8(flow.SrcMask), b.U8(flow.DstMask)
	for i := first; i < b.Len(); i++ {
		src, dst := number(sources[i][12:]), number(destinations[i][12:])
		if !(isPrefix(src, masks[i]) && isPrefix(dst, others[i])) && isPrefix(src, others[i]) && isPrefix(dst, masks[i]) {
			masks[i], others[i] = others[i], masks[i]
		}
	}
}

// isPrefix tells whether an IPv4 address has no bits beyond the mask.
func isPrefix(addr uint64, mask uint8) bool { return mask <= 32 && addr<<mask&0xffffffff == 0 }

// unset takes a column out of a row's mask.
func unset(m *flow.Mask, c flow.Column) { m[c>>6] &^= 1 << (c & 63) }
