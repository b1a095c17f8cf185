package netflow

import "github.com/minamo-flow/minamo/flow"

// target is where an element's value goes: a column of the schema, or one of
// the values below, from which columns are computed.
type target = flow.Column

const (
	duration        target = flow.MaxColumns + iota // of the flow
	eventTime                                       // when what the record tells of happened
	bootTime                                        // the zero of 21 and 22
	ipVersion                                       // which of two addresses counts
	icmpTypeCode                                    // both in 16 bits
	rateSpace                                       // packets skipped between two samples of samplingPacketInterval
	rateInterval                                    // packets taken at a time
	rateSize                                        // packets taken …
	ratePopulation                                  // … out of this many
	rateProbability                                 // of a packet to be taken
	reverseDelay                                    // from the first packet to the first of the opposite direction
	frameSize                                       // of the one packet that the record tells of
	numTargets
)

// conversion is how the bytes become the target's value.
type conversion uint8

const (
	asNumber      conversion = iota // big-endian, of any length up to eight bytes
	asAddr4                         // four bytes
	asAddr6                         // sixteen bytes
	asMAC                           // six bytes
	asLabel                         // the top 20 bits of a label stack entry
	asDSCP                          // six bits, to be shifted to where the ToS byte has them
	asSeconds                       // times since the epoch …
	asMillis                        //
	asNTP                           // seconds and fraction since 1900 (RFC 7011 §6.1.9, §6.1.10)
	asBefore                        // microseconds before the export time
	asUptime                        // milliseconds since boot
	asMicros                        // a duration in microseconds
	asApplication                   // engine and selector, up to nine bytes: see ApplicationID
	asFlags                         // bits, to be united with those of the element's twin
	asText                          // text as it stands
	asCommunities                   // a basicList of BGP communities, as text
	asACL                           // three numbers of 32 bits, as text: "0x433a1af1/0x1/0x0"
	// What only columns of the operator's own need.
	asSigned     // two's complement; nothing below zero
	asFloat      // of four or eight bytes
	asDigits     // a number, as text
	asSignedText // as text
	asFloatText  // as text
	asOctets     // text, if the bytes look like it, else hexadecimal digits
	asAddrText   // an address of either length, as text
	asMACText    // as text
	asAddr       // an address of either length
	asSomeMillis // a time in seconds, if it has four bytes, else in milliseconds
)

// element says what becomes of an information element.
type element struct {
	pen     uint32 // the enterprise; 0 for IANA's and NetFlow v9's own
	id      uint16
	to      target
	as      conversion
	reverse bool // tells of the opposite direction
	twin    bool // counts where another element for the same column gives nothing: the IPv6 one of a pair, the UDP port beside the TCP port
	ordinal int  // place in the table: the lower one wins where two feed a column
}

// elements lists the elements that feed columns, where several feed one in
// the order of preference: the flow's own counters before totals, before what
// was counted on the way out, before layer 2; absolute times before relative.
// Numbers are IANA's, which NetFlow v9 shares below 128; ids above 32767
// occur in v9 only and are the vendors' own (Cisco ASA, Palo Alto). Of the
// elements of enterprises only those are here that mean what the column does
// beyond doubt.
var elements = [...]element{
	{id: 1, to: flow.Bytes},   // octetDeltaCount
	{id: 85, to: flow.Bytes},  // octetTotalCount
	{id: 231, to: flow.Bytes}, // initiatorOctets
	{id: 23, to: flow.Bytes},  // postOctetDeltaCount
	{id: 171, to: flow.Bytes}, // postOctetTotalCount
	{id: 352, to: flow.Bytes}, // layer2OctetDeltaCount
	{id: 353, to: flow.Bytes}, // layer2OctetTotalCount
	{id: 224, to: flow.Bytes}, // ipTotalLength
	{id: 312, to: frameSize},  // dataLinkFrameSize

	{id: 2, to: flow.Packets},   // packetDeltaCount
	{id: 86, to: flow.Packets},  // packetTotalCount
	{id: 298, to: flow.Packets}, // initiatorPackets
	{id: 24, to: flow.Packets},  // postPacketDeltaCount
	{id: 172, to: flow.Packets}, // postPacketTotalCount

	{id: 232, to: flow.Bytes, reverse: true},              // responderOctets
	{id: 299, to: flow.Packets, reverse: true},            // responderPackets
	{pen: 3054, id: 176, to: flow.Bytes, reverse: true},   // Ixia revOctetDeltaCount
	{pen: 3054, id: 177, to: flow.Packets, reverse: true}, // Ixia revPacketDeltaCount

	{id: 132, to: flow.DroppedBytes},   // droppedOctetDeltaCount
	{id: 134, to: flow.DroppedBytes},   // droppedOctetTotalCount
	{id: 133, to: flow.DroppedPackets}, // droppedPacketDeltaCount
	{id: 135, to: flow.DroppedPackets}, // droppedPacketTotalCount
	{id: 3, to: flow.AggregatedFlows},  // deltaFlowCount

	{id: 152, to: flow.Start, as: asMillis},  // flowStartMilliseconds
	{id: 154, to: flow.Start, as: asNTP},     // flowStartMicroseconds
	{id: 156, to: flow.Start, as: asNTP},     // flowStartNanoseconds
	{id: 158, to: flow.Start, as: asBefore},  // flowStartDeltaMicroseconds
	{id: 22, to: flow.Start, as: asUptime},   // flowStartSysUpTime
	{id: 150, to: flow.Start, as: asSeconds}, // flowStartSeconds
	{id: 153, to: flow.End, as: asMillis},    // flowEndMilliseconds
	{id: 155, to: flow.End, as: asNTP},       // flowEndMicroseconds
	{id: 157, to: flow.End, as: asNTP},       // flowEndNanoseconds
	{id: 159, to: flow.End, as: asBefore},    // flowEndDeltaMicroseconds
	{id: 21, to: flow.End, as: asUptime},     // flowEndSysUpTime
	{id: 151, to: flow.End, as: asSeconds},   // flowEndSeconds
	{id: 161, to: duration},                  // flowDurationMilliseconds
	{id: 162, to: duration, as: asMicros},    // flowDurationMicroseconds
	{id: 323, to: eventTime, as: asMillis},   // observationTimeMilliseconds
	{id: 324, to: eventTime, as: asNTP},      // observationTimeMicroseconds
	{id: 325, to: eventTime, as: asNTP},      // observationTimeNanoseconds
	{id: 322, to: eventTime, as: asSeconds},  // observationTimeSeconds
	{id: 160, to: bootTime},                  // systemInitTimeMilliseconds

	{pen: certPEN, id: 21, to: reverseDelay, reverse: true}, // reverseFlowDeltaMilliseconds

	{id: 305, to: rateInterval},                 // samplingPacketInterval
	{id: 306, to: rateSpace},                    // samplingPacketSpace
	{id: 34, to: flow.SamplingRate},             // samplingInterval
	{id: 50, to: flow.SamplingRate, twin: true}, // samplerRandomInterval
	{id: 309, to: rateSize},                     // samplingSize
	{id: 310, to: ratePopulation},               // samplingPopulation
	{id: 311, to: rateProbability, as: asFloat}, // samplingProbability
	{id: 48, to: flow.SamplerID},                // samplerId
	{id: 302, to: flow.SamplerID},               // selectorId

	{id: 60, to: ipVersion},                                // ipVersion
	{id: 8, to: flow.SrcAddr, as: asAddr4},                 // sourceIPv4Address
	{id: 27, to: flow.SrcAddr, as: asAddr6, twin: true},    // sourceIPv6Address
	{id: 44, to: flow.SrcAddr, as: asAddr4},                // sourceIPv4Prefix
	{id: 170, to: flow.SrcAddr, as: asAddr6, twin: true},   // sourceIPv6Prefix
	{id: 12, to: flow.DstAddr, as: asAddr4},                // destinationIPv4Address
	{id: 28, to: flow.DstAddr, as: asAddr6, twin: true},    // destinationIPv6Address
	{id: 45, to: flow.DstAddr, as: asAddr4},                // destinationIPv4Prefix
	{id: 169, to: flow.DstAddr, as: asAddr6, twin: true},   // destinationIPv6Prefix
	{id: 15, to: flow.NextHop, as: asAddr4},                // ipNextHopIPv4Address
	{id: 62, to: flow.NextHop, as: asAddr6, twin: true},    // ipNextHopIPv6Address
	{id: 43, to: flow.BypassedRouter, as: asAddr4},         // ipv4RouterSc
	{id: 18, to: flow.BGPNextHop, as: asAddr4},             // bgpNextHopIPv4Address
	{id: 63, to: flow.BGPNextHop, as: asAddr6, twin: true}, // bgpNextHopIPv6Address
	// Of Cisco's performance monitor, which tells client from server.
	{pen: ciscoPEN, id: 12236, to: flow.SrcAddr, as: asAddr4},             // clientIPv4Address
	{pen: ciscoPEN, id: 12238, to: flow.SrcAddr, as: asAddr6, twin: true}, // clientIPv6Address
	{pen: ciscoPEN, id: 12237, to: flow.DstAddr, as: asAddr4},             // serverIPv4Address
	{pen: ciscoPEN, id: 12239, to: flow.DstAddr, as: asAddr6, twin: true}, // serverIPv6Address

	{id: 4, to: flow.Protocol},                                         // protocolIdentifier
	{id: 193, to: flow.Protocol},                                       // nextHeaderIPv6
	{id: 7, to: flow.SrcPort},                                          // sourceTransportPort
	{id: 182, to: flow.SrcPort},                                        // tcpSourcePort
	{id: 180, to: flow.SrcPort, twin: true},                            // udpSourcePort
	{id: 11, to: flow.DstPort},                                         // destinationTransportPort
	{id: 183, to: flow.DstPort},                                        // tcpDestinationPort
	{id: 181, to: flow.DstPort, twin: true},                            // udpDestinationPort
	{pen: ciscoPEN, id: 12240, to: flow.SrcPort},                       // clientTransportPort
	{pen: ciscoPEN, id: 12241, to: flow.DstPort},                       // serverTransportPort
	{id: 6, to: flow.TCPFlags},                                         // tcpControlBits
	{pen: certPEN, id: 14, to: flow.TCPFlags, as: asFlags},             // initialTCPFlags: the first packet's
	{pen: certPEN, id: 15, to: flow.TCPFlags, as: asFlags, twin: true}, // unionTCPFlags: the others'
	{id: 32, to: icmpTypeCode},                                         // icmpTypeCodeIPv4
	{id: 139, to: icmpTypeCode, twin: true},                            // icmpTypeCodeIPv6
	{id: 176, to: flow.ICMPType},                                       // icmpTypeIPv4
	{id: 178, to: flow.ICMPType, twin: true},                           // icmpTypeIPv6
	{id: 177, to: flow.ICMPCode},                                       // icmpCodeIPv4
	{id: 179, to: flow.ICMPCode, twin: true},                           // icmpCodeIPv6
	{id: 10, to: flow.InIf},                                            // ingressInterface
	{id: 252, to: flow.InIf},                                           // ingressPhysicalInterface
	{id: 14, to: flow.OutIf},                                           // egressInterface
	{id: 253, to: flow.OutIf},                                          // egressPhysicalInterface
	{id: 61, to: flow.Direction},                                       // flowDirection
	{id: 89, to: flow.ForwardingStatus},
	{id: 16, to: flow.SrcAS},               // bgpSourceAsNumber
	{id: 17, to: flow.DstAS},               // bgpDestinationAsNumber
	{id: 129, to: flow.PrevAS},             // bgpPrevAdjacentAsNumber
	{id: 128, to: flow.NextAS},             // bgpNextAdjacentAsNumber
	{id: 9, to: flow.SrcMask},              // sourceIPv4PrefixLength
	{id: 29, to: flow.SrcMask, twin: true}, // sourceIPv6PrefixLength
	{id: 13, to: flow.DstMask},             // destinationIPv4PrefixLength
	{id: 30, to: flow.DstMask, twin: true}, // destinationIPv6PrefixLength
	{id: 234, to: flow.InVRF},              // ingressVRFID
	{id: 235, to: flow.OutVRF},             // egressVRFID

	{id: 5, to: flow.TOS},                                          // ipClassOfService
	{id: 195, to: flow.TOS, as: asDSCP},                            // ipDiffServCodePoint
	{id: 55, to: flow.PostTOS},                                     // postIpClassOfService
	{id: 98, to: flow.PostTOS, as: asDSCP},                         // postIpDiffServCodePoint
	{id: 192, to: flow.TTL},                                        // ipTTL
	{id: 52, to: flow.TTL},                                         // minimumTTL
	{id: 25, to: flow.MinPacketLength},                             // minimumIpTotalLength
	{id: 26, to: flow.MaxPacketLength},                             // maximumIpTotalLength
	{id: 88, to: flow.FragmentOffset},                              // fragmentOffset
	{id: 54, to: flow.FragmentID},                                  // fragmentIdentification
	{id: 31, to: flow.FlowLabel},                                   // flowLabelIPv6
	{id: 256, to: flow.EtherType},                                  // ethernetType
	{id: 56, to: flow.SrcMAC, as: asMAC},                           // sourceMacAddress
	{id: 81, to: flow.SrcMAC, as: asMAC},                           // postSourceMacAddress
	{id: 80, to: flow.DstMAC, as: asMAC},                           // destinationMacAddress
	{id: 57, to: flow.DstMAC, as: asMAC},                           // postDestinationMacAddress
	{id: 58, to: flow.SrcVLAN},                                     // vlanId
	{id: 243, to: flow.SrcVLAN},                                    // dot1qVlanId
	{id: 59, to: flow.DstVLAN},                                     // postVlanId
	{id: 254, to: flow.DstVLAN},                                    // postDot1qVlanId
	{id: 70, to: flow.MPLSLabel1, as: asLabel},                     // mplsTopLabelStackSection
	{id: 71, to: flow.MPLSLabel2, as: asLabel},                     // mplsLabelStackSection2
	{id: 72, to: flow.MPLSLabel3, as: asLabel},                     // mplsLabelStackSection3
	{id: 73, to: flow.MPLSLabel4, as: asLabel},                     // mplsLabelStackSection4
	{id: 74, to: flow.MPLSLabel5, as: asLabel},                     // mplsLabelStackSection5
	{id: 75, to: flow.MPLSLabel6, as: asLabel},                     // mplsLabelStackSection6
	{id: 76, to: flow.MPLSLabel7, as: asLabel},                     // mplsLabelStackSection7
	{id: 77, to: flow.MPLSLabel8, as: asLabel},                     // mplsLabelStackSection8
	{id: 78, to: flow.MPLSLabel9, as: asLabel},                     // mplsLabelStackSection9
	{id: 79, to: flow.MPLSLabel10, as: asLabel},                    // mplsLabelStackSection10
	{id: 46, to: flow.MPLSTopLabelType},                            // mplsTopLabelType
	{id: 47, to: flow.MPLSTopLabelAddr, as: asAddr4},               // mplsTopLabelIPv4Address
	{id: 140, to: flow.MPLSTopLabelAddr, as: asAddr6, twin: true},  // mplsTopLabelIPv6Address
	{id: 245, to: flow.CustomerVLAN},                               // dot1qCustomerVlanId
	{pen: vmwarePEN, id: 893, to: flow.TunnelSrcAddr, as: asAddr4}, // tunnelSourceIPv4Address
	{pen: vmwarePEN, id: 894, to: flow.TunnelDstAddr, as: asAddr4}, // tunnelDestinationIPv4Address

	{id: 95, to: flow.ApplicationID, as: asApplication},                // applicationId
	{id: 96, to: flow.ApplicationName, as: asText},                     // applicationName
	{id: 56701, to: flow.ApplicationName, as: asText},                  // Palo Alto App-ID
	{pen: ntopPEN, id: 119, to: flow.ApplicationName, as: asText},      // nProbe L7_PROTO_NAME
	{pen: 3054, id: 111, to: flow.ApplicationName, as: asText},         // Ixia L7AppName
	{pen: netscalerPEN, id: 152, to: flow.ApplicationName, as: asText}, // NetScaler appName
	{id: 371, to: flow.SrcUser, as: asText},                            // userName
	{id: 40000, to: flow.SrcUser, as: asText},                          // ASA NF_F_USERNAME
	{id: 56702, to: flow.SrcUser, as: asText},                          // Palo Alto User-ID
	{pen: netscalerPEN, id: 205, to: flow.SrcUser, as: asText},         // NetScaler aaaUsername
	{id: 33000, to: flow.IngressACL, as: asACL},                        // ASA NF_F_INGRESS_ACL_ID
	{id: 33001, to: flow.EgressACL, as: asACL},                         // ASA NF_F_EGRESS_ACL_ID
	{id: 485, to: flow.Communities, as: asCommunities},                 // bgpDestinationCommunityList
	{id: 361, to: flow.NATPortStart},                                   // portRangeStart
	{id: 362, to: flow.NATPortEnd},                                     // portRangeEnd
	{id: 33002, to: flow.FirewallExtEvent},                             // ASA NF_F_FW_EXT_EVENT
	{id: 136, to: flow.FlowEndReason},                                  // flowEndReason
	{id: 230, to: flow.NATEvent},                                       // natEvent
	{id: 225, to: flow.PostNATSrcAddr, as: asAddr4},                    // postNATSourceIPv4Address
	{id: 281, to: flow.PostNATSrcAddr, as: asAddr6, twin: true},        // postNATSourceIPv6Address
	{id: 226, to: flow.PostNATDstAddr, as: asAddr4},                    // postNATDestinationIPv4Address
	{id: 282, to: flow.PostNATDstAddr, as: asAddr6, twin: true},        // postNATDestinationIPv6Address
	{id: 227, to: flow.PostNATSrcPort},                                 // postNAPTSourceTransportPort
	{id: 228, to: flow.PostNATDstPort},                                 // postNAPTDestinationTransportPort
	{id: 233, to: flow.FirewallEvent},                                  // firewallEvent
	{id: 351, to: flow.SegmentID},                                      // layer2SegmentId
	{id: 40001, to: flow.PostNATSrcAddr, as: asAddr4},                  // ASA NF_F_XLATE_SRC_ADDR_IPV4
	{id: 40002, to: flow.PostNATDstAddr, as: asAddr4},                  // ASA NF_F_XLATE_DST_ADDR_IPV4
	{id: 40003, to: flow.PostNATSrcPort},                               // ASA NF_F_XLATE_SRC_PORT
	{id: 40004, to: flow.PostNATDstPort},                               // ASA NF_F_XLATE_DST_PORT
	{id: 40005, to: flow.FirewallEvent},                                // ASA NF_F_FW_EVENT
}

// elementKey identifies an element.
type elementKey struct {
	pen uint32
	id  uint16
}

// byID finds an element of the table when a template is compiled.
var byID = func() map[elementKey]element {
	m := make(map[elementKey]element, len(elements))
	for i, e := range elements {
		e.ordinal = i
		m[elementKey{e.pen, e.id}] = e
	}
	return m
}()

// identify returns the element that a field of a template is, in the space of
// numbers where the tables have it, and whether it tells of the opposite
// direction.
func identify(f TemplateField) (key elementKey, reverse bool) {
	key = elementKey{f.Enterprise, f.Element}
	switch {
	case f.Enterprise == reversePEN:
		return elementKey{0, f.Element}, true
	case f.Enterprise == certPEN && f.Element&certReverse != 0:
		return elementKey{certPEN, f.Element &^ certReverse}, true
	case f.Enterprise == 0 && f.Element > ciscoBase:
		if _, own := byID[key]; own {
			break
		}
		if f.Element > ntopBase {
			return elementKey{ntopPEN, f.Element - ntopBase}, false
		}
		return elementKey{ciscoPEN, f.Element - ciscoBase}, false
	}
	return key, byID[key].reverse
}

// reversePEN is the enterprise number under which RFC 5103 puts every
// element's value for the opposite direction.
const reversePEN = 29305

// Other enterprises of the table.
const (
	netscalerPEN = 5951
	vmwarePEN    = 6876
)

// paddingOctets stands for nothing.
const paddingOctets = 210

// fits tells whether a value of this length can be what the element is.
func (c conversion) fits(length int) bool {
	switch c {
	case asAddr4:
		return length == 4
	case asAddr6:
		return length == 16
	case asAddr, asAddrText:
		return length == 4 || length == 16
	case asMAC, asMACText:
		return length == 6
	case asNTP:
		return length == 8
	case asLabel:
		return length >= 3 && length <= 4
	case asFloat, asFloatText:
		return length == 4 || length == 8
	case asACL:
		return length == 12
	case asApplication:
		return length <= 9
	case asText, asOctets, asCommunities:
		return true
	default:
		return length <= 8
	}
}
