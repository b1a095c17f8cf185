// Package flow is the flow record: one declarative table of columns (Schema)
// and the column vectors that hold many records (Batch).
//
// Everything else derives from the table: the Parquet files of store, the
// fields of query's filter language, the JSON of the API and the shell, and
// the column reference in docs/columns.md. To add a column, add a constant
// and its row here; a test holds the two together.
//
// An operator's configuration may add columns of its own, once, before the
// first batch: Define.
//
// The package imports nothing of ours. Decoders (wire/…) fill batches, collect
// completes them, everyone after that only reads.
package flow

import (
	"fmt"
	"regexp"
)

// Column names a column of the Schema. Constants are grouped by Kind only
// within a Batch; here they stand in reading order, which is also the order
// of every file and every JSON object.
type Column uint8

const (
	// Who said so, and when.
	Received Column = iota
	Exporter
	ExportProtocol
	ObservationDomain
	Start
	End

	// What was counted, and out of how much.
	Packets
	Bytes
	DroppedPackets
	DroppedBytes
	AggregatedFlows
	SamplingRate
	SamplingSource
	SamplerID

	// Between whom.
	SrcAddr
	DstAddr
	Protocol
	SrcPort
	DstPort
	TCPFlags
	ICMPType
	ICMPCode

	// Through where.
	InIf
	OutIf
	Direction
	ForwardingStatus
	DropReason
	NextHop
	BGPNextHop
	SrcAS
	DstAS
	PrevAS
	NextAS
	ASPath
	Communities
	SrcMask
	DstMask
	InVRF
	OutVRF
	BypassedRouter
	EgressQueue
	IngressACL
	EgressACL

	// The rest of the packet's headers.
	TOS
	PostTOS
	TTL
	MinPacketLength
	MaxPacketLength
	FragmentOffset
	FragmentID
	FlowLabel
	EtherType
	SrcMAC
	DstMAC
	SrcVLAN
	DstVLAN
	CustomerVLAN
	MPLSLabel1
	MPLSLabel2
	MPLSLabel3
	MPLSLabel4
	MPLSLabel5
	MPLSLabel6
	MPLSLabel7
	MPLSLabel8
	MPLSLabel9
	MPLSLabel10
	MPLSTopLabelType
	MPLSTopLabelAddr
	Tunnel
	TunnelID
	TunnelSrcAddr
	TunnelDstAddr

	// What else the device knew.
	ApplicationID
	ApplicationName
	SrcUser
	DstUser
	Biflow
	FlowEndReason
	HandshakeTime
	NATEvent
	PostNATSrcAddr
	PostNATDstAddr
	PostNATSrcPort
	PostNATDstPort
	NATPortStart
	NATPortEnd
	FirewallEvent
	FirewallExtEvent
	SegmentID

	// What the operator knows of the ends (package enrich).
	SrcNetwork
	DstNetwork
	SrcCountry
	DstCountry
	SrcASSource
	DstASSource

	NumColumns // of ours; those of Define follow
)

// MaxColumns bounds all columns together: a row's Mask has a bit for each.
const MaxColumns = 128

// Field describes one column.
type Field struct {
	Name     string            // in files, JSON, SQL and the documentation: stable
	Kind     Kind              // storage type
	Required bool              // every row has a value; other columns may be absent
	Unit     string            // "" where the value is a code or an identifier
	Element  string            // IPFIX information elements it comes from (RFC 7012, IANA), "" for our own
	Doc      string            // one sentence for the column reference
	Names    map[uint64]string // names of the codes of an enumeration, shown in place of numbers
}

// quoted tells whether the column's text form is a JSON string.
func (f *Field) quoted() bool { return f.Names != nil || f.Kind >= Time }

// Codes of ExportProtocol: versions, of sFlow + 60.
const (
	NetFlow1 = 1
	NetFlow5 = 5
	NetFlow7 = 7
	NetFlow8 = 8
	NetFlow9 = 9
	IPFIX    = 10
	SFlow2   = 62
	SFlow4   = 64
	SFlow5   = 65
	Probe    = 128 // none: this process metered the packets itself
)

// Codes of SamplingSource: where a row's sampling rate was learnt, the most
// trusted last.
const (
	SamplingAssumed    = 0 // nobody told: 1
	SamplingConfigured = 1 // the operator's configuration
	SamplingHeader     = 2 // the NetFlow v5 header
	SamplingOptions    = 3 // options data (RFC 3954 §6.1, RFC 7011 §3.4.2.2)
	SamplingRecord     = 4 // the flow record, or the sFlow sample
)

// Codes of Direction (IPFIX element 61).
const (
	Ingress = 0
	Egress  = 1
)

// Codes of Biflow.
const (
	BiflowForward = 1
	BiflowReverse = 2
)

// Codes of Tunnel.
const (
	TunnelIPIP   = 1 // IPv4 in IPv4, IPv4 or IPv6 in IPv6 (RFC 2003, RFC 2473)
	Tunnel6in4   = 2 // IPv6 in IPv4 (RFC 4213)
	TunnelGRE    = 3 // RFC 2784, RFC 2890; NVGRE (RFC 7637)
	TunnelVXLAN  = 4 // RFC 7348
	TunnelGeneve = 5 // RFC 8926
	TunnelGTPU   = 6 // 3GPP TS 29.281
	TunnelSRv6   = 7 // RFC 8986
)

// Codes of SrcASSource and DstASSource: where an AS number was learnt that the
// exporter did not know.
const (
	ASGeo = 1 // the operator's database of address ranges
)

// Country is the code of an ISO 3166-1 country, two upper-case letters.
func Country(a, b byte) uint16 { return uint16(a)<<8 | uint16(b) }

// countries are all pairs of letters: which of them are countries is the
// database's to say.
var countries = func() map[uint64]string {
	m := make(map[uint64]string, 26*26)
	for a := byte('A'); a <= 'Z'; a++ {
		for b := byte('A'); b <= 'Z'; b++ {
			m[uint64(Country(a, b))] = string([]byte{a, b})
		}
	}
	return m
}()

var asSources = map[uint64]string{ASGeo: "geo"}

// Schema is the table of columns, indexed by Column: NumColumns of ours, then
// those of Define.
var Schema = []Field{
	Received:          {Name: "received", Kind: Time, Required: true, Doc: "When the datagram reached this collector."},
	Exporter:          {Name: "exporter", Kind: Address, Required: true, Element: "exporterIPv4Address, exporterIPv6Address", Doc: "The device that exported the flow: the datagram's source address; for sFlow the agent address, where it names one."},
	ExportProtocol:    {Name: "export_protocol", Kind: Uint8, Required: true, Doc: "The protocol that carried the flow; probe where none did, because the collector itself metered the packets.", Names: map[uint64]string{NetFlow1: "netflow1", NetFlow5: "netflow5", NetFlow7: "netflow7", NetFlow8: "netflow8", NetFlow9: "netflow9", IPFIX: "ipfix", SFlow2: "sflow2", SFlow4: "sflow4", SFlow5: "sflow5", Probe: "probe"}},
	ObservationDomain: {Name: "observation_domain", Kind: Uint32, Required: true, Element: "observationDomainId", Doc: "IPFIX observation domain, NetFlow v9 source id, NetFlow v5 engine type × 256 + engine id, NetFlow v8 the same + aggregation scheme × 65536, sFlow sub-agent."},
	Start:             {Name: "start", Kind: Time, Required: true, Element: "flowStartMilliseconds and its kin", Doc: "First packet of the flow, by the exporter's clock."},
	End:               {Name: "end", Kind: Time, Required: true, Element: "flowEndMilliseconds and its kin", Doc: "Last packet of the flow, by the exporter's clock."},

	Packets:         {Name: "packets", Kind: Uint64, Required: true, Unit: "packets", Element: "packetDeltaCount", Doc: "Packets as exported, not multiplied by the sampling rate."},
	Bytes:           {Name: "bytes", Kind: Uint64, Required: true, Unit: "bytes", Element: "octetDeltaCount", Doc: "Layer-3 bytes as exported, not multiplied by the sampling rate."},
	DroppedPackets:  {Name: "dropped_packets", Kind: Uint64, Unit: "packets", Element: "droppedPacketDeltaCount", Doc: "Packets of the flow that the device dropped; they are not among its packets."},
	DroppedBytes:    {Name: "dropped_bytes", Kind: Uint64, Unit: "bytes", Element: "droppedOctetDeltaCount", Doc: "Bytes of the flow that the device dropped."},
	AggregatedFlows: {Name: "aggregated_flows", Kind: Uint64, Unit: "flows", Element: "deltaFlowCount", Doc: "Flows that the device summed up in this one (NetFlow v8, aggregation caches)."},
	SamplingRate:    {Name: "sampling_rate", Kind: Uint32, Required: true, Element: "samplingInterval, samplingPacketInterval and samplingPacketSpace, samplerRandomInterval", Doc: "One packet in this many was looked at. Queries multiply by it. Where rows were thinned (budget.collector) it is as many times greater as rows stand for."},
	SamplingSource:  {Name: "sampling_source", Kind: Uint8, Required: true, Doc: "Where the sampling rate was learnt.", Names: map[uint64]string{SamplingAssumed: "assumed", SamplingConfigured: "configured", SamplingHeader: "header", SamplingOptions: "options", SamplingRecord: "record"}},
	SamplerID:       {Name: "sampler_id", Kind: Uint64, Element: "samplerId, selectorId", Doc: "The exporter's sampler that chose the packets."},

	SrcAddr:  {Name: "src_addr", Kind: Address, Element: "sourceIPv4Address, sourceIPv6Address", Doc: "Source address."},
	DstAddr:  {Name: "dst_addr", Kind: Address, Element: "destinationIPv4Address, destinationIPv6Address", Doc: "Destination address."},
	Protocol: {Name: "protocol", Kind: Uint8, Element: "protocolIdentifier", Doc: "IP protocol number: 1 ICMP, 6 TCP, 17 UDP, 58 ICMPv6."},
	SrcPort:  {Name: "src_port", Kind: Uint16, Element: "sourceTransportPort", Doc: "Source port of TCP, UDP, SCTP."},
	DstPort:  {Name: "dst_port", Kind: Uint16, Element: "destinationTransportPort", Doc: "Destination port of TCP, UDP, SCTP."},
	TCPFlags: {Name: "tcp_flags", Kind: Uint16, Element: "tcpControlBits", Doc: "Union of the flow's TCP flags: 1 FIN, 2 SYN, 4 RST, 8 PSH, 16 ACK, 32 URG, 64 ECE, 128 CWR."},
	ICMPType: {Name: "icmp_type", Kind: Uint8, Element: "icmpTypeCodeIPv4, icmpTypeIPv4, icmpTypeIPv6", Doc: "ICMP or ICMPv6 type."},
	ICMPCode: {Name: "icmp_code", Kind: Uint8, Element: "icmpTypeCodeIPv4, icmpCodeIPv4, icmpCodeIPv6", Doc: "ICMP or ICMPv6 code."},

	InIf:             {Name: "in_if", Kind: Uint32, Element: "ingressInterface", Doc: "ifIndex of the interface the packets came in by."},
	OutIf:            {Name: "out_if", Kind: Uint32, Element: "egressInterface", Doc: "ifIndex of the interface the packets left by; 0 where the device said 0 (dropped, or for itself), absent where it said nothing."},
	Direction:        {Name: "direction", Kind: Uint8, Element: "flowDirection", Doc: "Where the flow was metered; of sFlow by the interface that sampled.", Names: map[uint64]string{Ingress: "ingress", Egress: "egress"}},
	ForwardingStatus: {Name: "forwarding_status", Kind: Uint8, Element: "forwardingStatus", Doc: "Top two bits: 0 unknown, 1 forwarded, 2 dropped, 3 consumed; the rest is the reason (RFC 7270 §4.12)."},
	DropReason:       {Name: "drop_reason", Kind: Uint16, Doc: "Why the device discarded the packet (sFlow discard notifications, by the codes of sFlow's drop reasons).", Names: dropReasons},
	NextHop:          {Name: "next_hop", Kind: Address, Element: "ipNextHopIPv4Address, ipNextHopIPv6Address", Doc: "Next hop of the route."},
	BGPNextHop:       {Name: "bgp_next_hop", Kind: Address, Element: "bgpNextHopIPv4Address, bgpNextHopIPv6Address", Doc: "BGP next hop of the route."},
	SrcAS:            {Name: "src_as", Kind: Uint32, Element: "bgpSourceAsNumber", Doc: "Source AS number, as the exporter knew it; where it said none or 0, src_as_source tells who did."},
	DstAS:            {Name: "dst_as", Kind: Uint32, Element: "bgpDestinationAsNumber", Doc: "Destination AS number, as the exporter knew it; where it said none or 0, dst_as_source tells who did."},
	PrevAS:           {Name: "prev_as", Kind: Uint32, Element: "bgpPrevAdjacentAsNumber", Doc: "Neighbour AS that the packets came from, by the route to the source."},
	NextAS:           {Name: "next_as", Kind: Uint32, Element: "bgpNextAdjacentAsNumber", Doc: "Neighbour AS that the packets went to, by the route to the destination."},
	ASPath:           {Name: "as_path", Kind: Text, Doc: "AS path of the route to the destination: numbers with a space between, sets in braces."},
	Communities:      {Name: "communities", Kind: Text, Element: "bgpCommunity", Doc: "BGP communities of the route to the destination: AS:value with a space between."},
	SrcMask:          {Name: "src_mask", Kind: Uint8, Unit: "bits", Element: "sourceIPv4PrefixLength, sourceIPv6PrefixLength", Doc: "Length of the source route's prefix."},
	DstMask:          {Name: "dst_mask", Kind: Uint8, Unit: "bits", Element: "destinationIPv4PrefixLength, destinationIPv6PrefixLength", Doc: "Length of the destination route's prefix."},
	InVRF:            {Name: "in_vrf", Kind: Uint32, Element: "ingressVRFID", Doc: "VRF the packets came in by."},
	OutVRF:           {Name: "out_vrf", Kind: Uint32, Element: "egressVRFID", Doc: "VRF the packets left by."},
	BypassedRouter:   {Name: "bypassed_router", Kind: Address, Doc: "Router whose forwarding decision the switch used as a shortcut (NetFlow v7 and v8, router_sc)."},
	EgressQueue:      {Name: "egress_queue", Kind: Uint32, Doc: "Queue that the packet left by (sFlow)."},
	IngressACL:       {Name: "ingress_acl", Kind: Text, Doc: "Access list that permitted or denied the flow on its way in, as the device names it."},
	EgressACL:        {Name: "egress_acl", Kind: Text, Doc: "Access list that permitted or denied the flow on its way out, as the device names it."},

	TOS:              {Name: "tos", Kind: Uint8, Element: "ipClassOfService", Doc: "IPv4 ToS or IPv6 traffic class; DSCP is its upper six bits."},
	PostTOS:          {Name: "post_tos", Kind: Uint8, Element: "postIpClassOfService", Doc: "ToS after the device re-marked it."},
	TTL:              {Name: "ttl", Kind: Uint8, Element: "ipTTL, minimumTTL", Doc: "IPv4 TTL or IPv6 hop limit; the least, where the device gives a range."},
	MinPacketLength:  {Name: "min_packet_length", Kind: Uint16, Unit: "bytes", Element: "minimumIpTotalLength", Doc: "Length of the flow's shortest packet."},
	MaxPacketLength:  {Name: "max_packet_length", Kind: Uint16, Unit: "bytes", Element: "maximumIpTotalLength", Doc: "Length of the flow's longest packet."},
	FragmentOffset:   {Name: "fragment_offset", Kind: Uint16, Unit: "8 bytes", Element: "fragmentOffset", Doc: "Offset field of an IP fragment."},
	FragmentID:       {Name: "fragment_id", Kind: Uint32, Element: "fragmentIdentification", Doc: "Identification field of an IP packet."},
	FlowLabel:        {Name: "flow_label", Kind: Uint32, Element: "flowLabelIPv6", Doc: "IPv6 flow label."},
	EtherType:        {Name: "ether_type", Kind: Uint16, Element: "ethernetType", Doc: "EtherType of the frame's payload, behind VLAN tags; also where a packet was taken out of a tunnel in that frame."},
	SrcMAC:           {Name: "src_mac", Kind: MAC, Element: "sourceMacAddress", Doc: "Source MAC address of the incoming frame."},
	DstMAC:           {Name: "dst_mac", Kind: MAC, Element: "destinationMacAddress, postDestinationMacAddress", Doc: "Destination MAC address of the incoming frame; of the outgoing one where the device gives only that."},
	SrcVLAN:          {Name: "src_vlan", Kind: Uint16, Element: "vlanId, dot1qVlanId", Doc: "VLAN the packets came in by."},
	DstVLAN:          {Name: "dst_vlan", Kind: Uint16, Element: "postVlanId, postDot1qVlanId", Doc: "VLAN the packets left by."},
	CustomerVLAN:     {Name: "customer_vlan", Kind: Uint16, Element: "dot1qCustomerVlanId", Doc: "VLAN of the inner tag (IEEE 802.1ad, QinQ)."},
	MPLSLabel1:       {Name: "mpls_label1", Kind: Uint32, Element: "mplsTopLabelStackSection", Doc: "Top MPLS label (20 bits)."},
	MPLSLabel2:       {Name: "mpls_label2", Kind: Uint32, Element: "mplsLabelStackSection2", Doc: "Second MPLS label (20 bits)."},
	MPLSLabel3:       {Name: "mpls_label3", Kind: Uint32, Element: "mplsLabelStackSection3", Doc: "Third MPLS label (20 bits)."},
	MPLSLabel4:       {Name: "mpls_label4", Kind: Uint32, Element: "mplsLabelStackSection4", Doc: "Fourth MPLS label (20 bits)."},
	MPLSLabel5:       {Name: "mpls_label5", Kind: Uint32, Element: "mplsLabelStackSection5", Doc: "Fifth MPLS label (20 bits)."},
	MPLSLabel6:       {Name: "mpls_label6", Kind: Uint32, Element: "mplsLabelStackSection6", Doc: "Sixth MPLS label (20 bits)."},
	MPLSLabel7:       {Name: "mpls_label7", Kind: Uint32, Element: "mplsLabelStackSection7", Doc: "Seventh MPLS label (20 bits)."},
	MPLSLabel8:       {Name: "mpls_label8", Kind: Uint32, Element: "mplsLabelStackSection8", Doc: "Eighth MPLS label (20 bits)."},
	MPLSLabel9:       {Name: "mpls_label9", Kind: Uint32, Element: "mplsLabelStackSection9", Doc: "Ninth MPLS label (20 bits)."},
	MPLSLabel10:      {Name: "mpls_label10", Kind: Uint32, Element: "mplsLabelStackSection10", Doc: "Tenth MPLS label (20 bits)."},
	MPLSTopLabelType: {Name: "mpls_top_label_type", Kind: Uint8, Element: "mplsTopLabelType", Doc: "Protocol that gave the top label.", Names: map[uint64]string{0: "unknown", 1: "te-midpt", 2: "pseudowire", 3: "vpn", 4: "bgp", 5: "ldp"}},
	MPLSTopLabelAddr: {Name: "mpls_top_label_addr", Kind: Address, Element: "mplsTopLabelIPv4Address, mplsTopLabelIPv6Address", Doc: "Where the label-switched path of the top label ends, or its forwarding equivalence class."},
	Tunnel:           {Name: "tunnel", Kind: Uint8, Doc: "Tunnel that the packet was taken out of; its addresses, ports and the like are those of the packet inside, its bytes those on the wire.", Names: map[uint64]string{TunnelIPIP: "ipip", Tunnel6in4: "6in4", TunnelGRE: "gre", TunnelVXLAN: "vxlan", TunnelGeneve: "geneve", TunnelGTPU: "gtp-u", TunnelSRv6: "srv6"}},
	TunnelID:         {Name: "tunnel_id", Kind: Uint32, Doc: "The tunnel's own number: VXLAN and Geneve VNI, GRE key, GTP-U TEID."},
	TunnelSrcAddr:    {Name: "tunnel_src_addr", Kind: Address, Doc: "Address at which the tunnel begins."},
	TunnelDstAddr:    {Name: "tunnel_dst_addr", Kind: Address, Doc: "Address at which the tunnel ends."},

	ApplicationID:    {Name: "application_id", Kind: Uint64, Element: "applicationId", Doc: "The device's own application id (RFC 6759), engine in the top byte of the exported length."},
	ApplicationName:  {Name: "application_name", Kind: Text, Element: "applicationName", Doc: "Application, as the record names it."},
	SrcUser:          {Name: "src_user", Kind: Text, Element: "userName", Doc: "User at the source, as the device knows him."},
	DstUser:          {Name: "dst_user", Kind: Text, Doc: "User at the destination."},
	Biflow:           {Name: "biflow", Kind: Uint8, Element: "biflowDirection", Doc: "Which half of a record for both directions (RFC 5103; Cisco ASA's initiator and responder) this flow is; absent where the record had one direction.", Names: map[uint64]string{BiflowForward: "forward", BiflowReverse: "reverse"}},
	FlowEndReason:    {Name: "flow_end_reason", Kind: Uint8, Element: "flowEndReason", Doc: "Why the flow record ended.", Names: map[uint64]string{1: "idle timeout", 2: "active timeout", 3: "end of flow", 4: "forced end", 5: "lack of resources"}},
	HandshakeTime:    {Name: "handshake_time", Kind: Uint32, Unit: "µs", Doc: "From the first SYN of a TCP client to the ACK that completes its handshake: the round-trip time between the two ends. Known of packets that Minamo metered itself, unsampled."},
	NATEvent:         {Name: "nat_event", Kind: Uint8, Element: "natEvent", Doc: "NAT event (RFC 8158): 1 NAT translation create, 2 delete, and others."},
	PostNATSrcAddr:   {Name: "post_nat_src_addr", Kind: Address, Element: "postNATSourceIPv4Address, postNATSourceIPv6Address", Doc: "Source address after NAT."},
	PostNATDstAddr:   {Name: "post_nat_dst_addr", Kind: Address, Element: "postNATDestinationIPv4Address, postNATDestinationIPv6Address", Doc: "Destination address after NAT."},
	PostNATSrcPort:   {Name: "post_nat_src_port", Kind: Uint16, Element: "postNAPTSourceTransportPort", Doc: "Source port after NAT."},
	PostNATDstPort:   {Name: "post_nat_dst_port", Kind: Uint16, Element: "postNAPTDestinationTransportPort", Doc: "Destination port after NAT."},
	NATPortStart:     {Name: "nat_port_start", Kind: Uint16, Element: "portRangeStart", Doc: "First port of the block that a NAT gave to a subscriber (RFC 8158)."},
	NATPortEnd:       {Name: "nat_port_end", Kind: Uint16, Element: "portRangeEnd", Doc: "Last port of the block."},
	FirewallEvent:    {Name: "firewall_event", Kind: Uint8, Element: "firewallEvent", Doc: "Firewall event.", Names: map[uint64]string{0: "ignore", 1: "created", 2: "deleted", 3: "denied", 4: "alert", 5: "updated"}},
	FirewallExtEvent: {Name: "firewall_ext_event", Kind: Uint16, Doc: "Reason of the firewall event (Cisco ASA NF_F_FW_EXT_EVENT): 1001 denied by ingress access list, 1002 by egress access list, 1003 by the firewall itself, 1004 not TCP SYN; above 2000 the flow's end."},
	SegmentID:        {Name: "segment_id", Kind: Uint64, Element: "layer2SegmentId", Doc: "Virtual network identifier of an overlay (VXLAN VNI, NVGRE TNI), encapsulation type in the top byte."},

	SrcNetwork:  {Name: "src_network", Kind: Uint32, Doc: "Number of the operator's network that the source address is in."},
	DstNetwork:  {Name: "dst_network", Kind: Uint32, Doc: "Number of the operator's network that the destination address is in."},
	SrcCountry:  {Name: "src_country", Kind: Uint16, Doc: "Country of the source address, by the operator's database: ISO 3166-1's two letters.", Names: countries},
	DstCountry:  {Name: "dst_country", Kind: Uint16, Doc: "Country of the destination address, by the operator's database: ISO 3166-1's two letters.", Names: countries},
	SrcASSource: {Name: "src_as_source", Kind: Uint8, Doc: "Where src_as was learnt, if not from the exporter.", Names: asSources},
	DstASSource: {Name: "dst_as_source", Kind: Uint8, Doc: "Where dst_as was learnt, if not from the exporter.", Names: asSources},
}

// dropReasons are the codes of sFlow's drop reasons. Up to 255 they are ICMP's
// of "unreachable", up to 262 sFlow version 5's, up to 303 those of sFlow
// Dropped Packet Notification Structures; the rest came later, from hsflowd
// and the Linux kernel.
var dropReasons = map[uint64]string{
	0: "net unreachable", 1: "host unreachable", 2: "protocol unreachable", 3: "port unreachable", 4: "fragmentation needed", 5: "source route failed",
	6: "destination network unknown", 7: "destination host unknown", 8: "source host isolated", 9: "destination network prohibited",
	10: "destination host prohibited", 11: "destination network unreachable for ToS", 12: "destination host unreachable for ToS",
	13: "communication prohibited", 14: "host precedence violation", 15: "precedence cutoff",
	256: "unknown", 257: "TTL exceeded", 258: "access list", 259: "no buffer space", 260: "RED", 261: "traffic shaping", 262: "packet too big",
	263: "source MAC is multicast", 264: "VLAN tag mismatch", 265: "ingress VLAN filter", 266: "ingress spanning tree filter", 267: "port list is empty",
	268: "port loopback filter", 269: "blackhole route", 270: "not IP", 271: "unicast destination IP over multicast destination MAC",
	272: "destination IP is loopback", 273: "source IP is multicast", 274: "source IP is loopback", 275: "IP header corrupted",
	276: "IPv4 source is limited broadcast", 277: "IPv6 multicast destination of reserved scope", 278: "IPv6 multicast destination of interface-local scope",
	279: "unresolved neighbour", 280: "multicast reverse path forwarding", 281: "packet not routable", 282: "decapsulation error",
	283: "overlay source MAC is multicast", 284: "other layer-2 reason", 285: "other layer-3 reason", 286: "other layer-3 exception", 287: "other buffer reason",
	288: "other tunnel reason", 289: "other layer-4 reason", 290: "source IP is unspecified", 291: "MLAG port isolation", 292: "blackhole neighbour",
	293: "source MAC is destination MAC", 294: "destination MAC is reserved", 295: "source IP is class E", 296: "multicast destination MAC mismatch",
	297: "source IP is destination IP", 298: "destination IP is local network", 299: "destination IP is link-local",
	300: "overlay source MAC is destination MAC", 301: "egress VLAN filter", 302: "unicast reverse path forwarding", 303: "split horizon",
	304: "locked port", 305: "destination MAC filter", 306: "blackhole next hop", 307: "VXLAN parsing", 308: "LLC/SNAP parsing", 309: "VLAN parsing",
	310: "PPPoE parsing", 311: "MPLS parsing", 312: "ARP parsing", 313: "outer IP parsing", 314: "inner IP parsing", 315: "GRE parsing",
	316: "UDP parsing", 317: "TCP parsing", 318: "IPsec parsing", 319: "SCTP parsing", 320: "DCCP parsing", 321: "GTP parsing", 322: "ESP parsing",
	323: "other parsing error", 324: "packet too small", 325: "unhandled protocol", 326: "IPv6 disabled", 327: "invalid protocol",
	328: "no such IP protocol", 329: "checksum", 330: "copy to user failed", 331: "device not ready", 332: "device header", 333: "duplicate fragment",
	334: "segmentation failed", 335: "reverse path forwarding", 336: "ICMP parsing", 337: "TCP MD5 missing", 338: "TCP MD5 unexpected",
	339: "TCP MD5 failure", 340: "TCP flags", 341: "TCP zero window", 342: "TCP old data", 343: "TCP beyond window", 344: "TCP merged out of order",
	345: "TCP PAWS", 346: "TCP invalid sequence", 347: "TCP reset", 348: "TCP invalid SYN", 349: "TCP closed", 350: "TCP fast open", 351: "TCP old ACK",
	352: "TCP too old ACK", 353: "TCP ACK of unsent data", 354: "TCP out-of-order queue pruned", 355: "TCP out-of-order drop", 356: "TCP minimum TTL",
	357: "IPv6 bad extension header", 358: "IPv6 ND fragmented", 359: "IPv6 ND hop limit", 360: "IPv6 ND bad code", 361: "IPv6 ND bad options",
	362: "IPv6 ND for another host", 363: "TAP filter", 364: "TAP transmit filter", 365: "tc ingress", 366: "tc egress", 367: "XDP", 368: "CPU backlog",
	369: "BPF cgroup egress", 370: "XFRM policy", 371: "socket filter", 372: "BGP flowspec",
}

// byName finds columns by their stable names.
var byName = func() map[string]Column {
	m := make(map[string]Column, len(Schema))
	for c := range Schema {
		m[Schema[c].Name] = Column(c)
	}
	return m
}()

// Columns is how many columns there are, those of Define included: to range
// over all of them.
func Columns() Column { return Column(len(Schema)) }

// Define adds columns behind those of the Schema. It is for the start of a
// program, before the first batch and before anyone derives something from
// the Schema; it is not safe for concurrent use. A field equal in name and
// kind to one that was defined before is that one.
func Define(fields ...Field) error {
	for _, f := range fields {
		if !nameForm.MatchString(f.Name) {
			return fmt.Errorf("column name %q: expected lower-case letters, digits and _, a letter first, at most 40", f.Name)
		}
		if c, known := byName[f.Name]; known {
			if c >= NumColumns && Schema[c].Kind == f.Kind {
				continue
			}
			return fmt.Errorf("column %q is there already", f.Name)
		}
		if len(Schema) == MaxColumns {
			return fmt.Errorf("column %q: there can be at most %d columns of one's own", f.Name, MaxColumns-NumColumns)
		}
		f.Required = false
		byName[f.Name] = Columns()
		Schema = append(Schema, f)
	}
	return nil
}

var nameForm = regexp.MustCompile(`^[a-z][a-z0-9_]{0,39}$`)

// Lookup returns the column called name.
func Lookup(name string) (Column, bool) {
	c, ok := byName[name]
	return c, ok
}

func (c Column) String() string { return Schema[c].Name }
