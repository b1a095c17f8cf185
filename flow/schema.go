// Package flow is the flow record: one declarative table of columns (Schema)
// and the column vectors that hold many records (Batch).
//
// Everything else derives from the table: the Parquet files of store, the
// fields of query's filter language, the JSON of the API and the shell, and
// the column reference in docs/columns.md. To add a column, add a constant
// and its row here; a test holds the two together.
//
// The package imports nothing of ours. Decoders (wire/…) fill batches, collect
// completes them, everyone after that only reads.
package flow

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
	NextHop
	BGPNextHop
	SrcAS
	DstAS
	SrcMask
	DstMask
	InVRF
	OutVRF

	// The rest of the packet's headers.
	TOS
	PostTOS
	TTL
	FragmentOffset
	FragmentID
	FlowLabel
	EtherType
	SrcMAC
	DstMAC
	SrcVLAN
	DstVLAN
	MPLSLabel1
	MPLSLabel2
	MPLSLabel3

	// What else the device knew.
	ApplicationID
	FlowEndReason
	NATEvent
	PostNATSrcAddr
	PostNATDstAddr
	PostNATSrcPort
	PostNATDstPort
	FirewallEvent
	SegmentID

	NumColumns
)

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

// Codes of ExportProtocol.
const (
	NetFlow5 = 5
	NetFlow9 = 9
	IPFIX    = 10
	SFlow5   = 65
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

// Schema is the table of columns, indexed by Column.
var Schema = [NumColumns]Field{
	Received:          {Name: "received", Kind: Time, Required: true, Doc: "When the datagram reached this collector."},
	Exporter:          {Name: "exporter", Kind: Address, Required: true, Element: "exporterIPv4Address, exporterIPv6Address", Doc: "The device that exported the flow: the datagram's source address; for sFlow the agent address, where it names one."},
	ExportProtocol:    {Name: "export_protocol", Kind: Uint8, Required: true, Doc: "The protocol that carried the flow.", Names: map[uint64]string{NetFlow5: "netflow5", NetFlow9: "netflow9", IPFIX: "ipfix", SFlow5: "sflow5"}},
	ObservationDomain: {Name: "observation_domain", Kind: Uint32, Required: true, Element: "observationDomainId", Doc: "IPFIX observation domain, NetFlow v9 source id, NetFlow v5 engine type × 256 + engine id, sFlow sub-agent."},
	Start:             {Name: "start", Kind: Time, Required: true, Element: "flowStartMilliseconds and its kin", Doc: "First packet of the flow, by the exporter's clock."},
	End:               {Name: "end", Kind: Time, Required: true, Element: "flowEndMilliseconds and its kin", Doc: "Last packet of the flow, by the exporter's clock."},

	Packets:        {Name: "packets", Kind: Uint64, Required: true, Unit: "packets", Element: "packetDeltaCount", Doc: "Packets as exported, not multiplied by the sampling rate."},
	Bytes:          {Name: "bytes", Kind: Uint64, Required: true, Unit: "bytes", Element: "octetDeltaCount", Doc: "Layer-3 bytes as exported, not multiplied by the sampling rate."},
	SamplingRate:   {Name: "sampling_rate", Kind: Uint32, Required: true, Element: "samplingInterval, samplingPacketInterval and samplingPacketSpace, samplerRandomInterval", Doc: "One packet in this many was looked at. Queries multiply by it."},
	SamplingSource: {Name: "sampling_source", Kind: Uint8, Required: true, Doc: "Where the sampling rate was learnt.", Names: map[uint64]string{SamplingAssumed: "assumed", SamplingConfigured: "configured", SamplingHeader: "header", SamplingOptions: "options", SamplingRecord: "record"}},
	SamplerID:      {Name: "sampler_id", Kind: Uint64, Element: "samplerId, selectorId", Doc: "The exporter's sampler that chose the packets."},

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
	Direction:        {Name: "direction", Kind: Uint8, Element: "flowDirection", Doc: "Where the flow was metered.", Names: map[uint64]string{Ingress: "ingress", Egress: "egress"}},
	ForwardingStatus: {Name: "forwarding_status", Kind: Uint8, Element: "forwardingStatus", Doc: "Top two bits: 0 unknown, 1 forwarded, 2 dropped, 3 consumed; the rest is the reason (RFC 7270 §4.12)."},
	NextHop:          {Name: "next_hop", Kind: Address, Element: "ipNextHopIPv4Address, ipNextHopIPv6Address", Doc: "Next hop of the route."},
	BGPNextHop:       {Name: "bgp_next_hop", Kind: Address, Element: "bgpNextHopIPv4Address, bgpNextHopIPv6Address", Doc: "BGP next hop of the route."},
	SrcAS:            {Name: "src_as", Kind: Uint32, Element: "bgpSourceAsNumber", Doc: "Source AS number, as the exporter knew it."},
	DstAS:            {Name: "dst_as", Kind: Uint32, Element: "bgpDestinationAsNumber", Doc: "Destination AS number, as the exporter knew it."},
	SrcMask:          {Name: "src_mask", Kind: Uint8, Unit: "bits", Element: "sourceIPv4PrefixLength, sourceIPv6PrefixLength", Doc: "Length of the source route's prefix."},
	DstMask:          {Name: "dst_mask", Kind: Uint8, Unit: "bits", Element: "destinationIPv4PrefixLength, destinationIPv6PrefixLength", Doc: "Length of the destination route's prefix."},
	InVRF:            {Name: "in_vrf", Kind: Uint32, Element: "ingressVRFID", Doc: "VRF the packets came in by."},
	OutVRF:           {Name: "out_vrf", Kind: Uint32, Element: "egressVRFID", Doc: "VRF the packets left by."},

	TOS:            {Name: "tos", Kind: Uint8, Element: "ipClassOfService", Doc: "IPv4 ToS or IPv6 traffic class; DSCP is its upper six bits."},
	PostTOS:        {Name: "post_tos", Kind: Uint8, Element: "postIpClassOfService", Doc: "ToS after the device re-marked it."},
	TTL:            {Name: "ttl", Kind: Uint8, Element: "ipTTL, minimumTTL", Doc: "IPv4 TTL or IPv6 hop limit; the least, where the device gives a range."},
	FragmentOffset: {Name: "fragment_offset", Kind: Uint16, Unit: "8 bytes", Element: "fragmentOffset", Doc: "Offset field of an IP fragment."},
	FragmentID:     {Name: "fragment_id", Kind: Uint32, Element: "fragmentIdentification", Doc: "Identification field of an IP packet."},
	FlowLabel:      {Name: "flow_label", Kind: Uint32, Element: "flowLabelIPv6", Doc: "IPv6 flow label."},
	EtherType:      {Name: "ether_type", Kind: Uint16, Element: "ethernetType", Doc: "EtherType of the payload, behind VLAN tags."},
	SrcMAC:         {Name: "src_mac", Kind: MAC, Element: "sourceMacAddress", Doc: "Source MAC address of the incoming frame."},
	DstMAC:         {Name: "dst_mac", Kind: MAC, Element: "destinationMacAddress, postDestinationMacAddress", Doc: "Destination MAC address of the incoming frame; of the outgoing one where the device gives only that."},
	SrcVLAN:        {Name: "src_vlan", Kind: Uint16, Element: "vlanId, dot1qVlanId", Doc: "VLAN the packets came in by."},
	DstVLAN:        {Name: "dst_vlan", Kind: Uint16, Element: "postVlanId, postDot1qVlanId", Doc: "VLAN the packets left by."},
	MPLSLabel1:     {Name: "mpls_label1", Kind: Uint32, Element: "mplsTopLabelStackSection", Doc: "Top MPLS label (20 bits)."},
	MPLSLabel2:     {Name: "mpls_label2", Kind: Uint32, Element: "mplsLabelStackSection2", Doc: "Second MPLS label (20 bits)."},
	MPLSLabel3:     {Name: "mpls_label3", Kind: Uint32, Element: "mplsLabelStackSection3", Doc: "Third MPLS label (20 bits)."},

	ApplicationID:  {Name: "application_id", Kind: Uint64, Element: "applicationId", Doc: "The device's own application id (RFC 6759), engine in the top byte of the exported length."},
	FlowEndReason:  {Name: "flow_end_reason", Kind: Uint8, Element: "flowEndReason", Doc: "Why the flow record ended.", Names: map[uint64]string{1: "idle timeout", 2: "active timeout", 3: "end of flow", 4: "forced end", 5: "lack of resources"}},
	NATEvent:       {Name: "nat_event", Kind: Uint8, Element: "natEvent", Doc: "NAT event (RFC 8158): 1 NAT translation create, 2 delete, and others."},
	PostNATSrcAddr: {Name: "post_nat_src_addr", Kind: Address, Element: "postNATSourceIPv4Address, postNATSourceIPv6Address", Doc: "Source address after NAT."},
	PostNATDstAddr: {Name: "post_nat_dst_addr", Kind: Address, Element: "postNATDestinationIPv4Address, postNATDestinationIPv6Address", Doc: "Destination address after NAT."},
	PostNATSrcPort: {Name: "post_nat_src_port", Kind: Uint16, Element: "postNAPTSourceTransportPort", Doc: "Source port after NAT."},
	PostNATDstPort: {Name: "post_nat_dst_port", Kind: Uint16, Element: "postNAPTDestinationTransportPort", Doc: "Destination port after NAT."},
	FirewallEvent:  {Name: "firewall_event", Kind: Uint8, Element: "firewallEvent", Doc: "Firewall event.", Names: map[uint64]string{0: "ignore", 1: "created", 2: "deleted", 3: "denied", 4: "alert", 5: "updated"}},
	SegmentID:      {Name: "segment_id", Kind: Uint64, Element: "layer2SegmentId", Doc: "Virtual network identifier of an overlay (VXLAN VNI, NVGRE TNI), encapsulation type in the top byte."},
}

// byName finds columns by their stable names.
var byName = func() map[string]Column {
	m := make(map[string]Column, NumColumns)
	for c := range NumColumns {
		m[Schema[c].Name] = c
	}
	return m
}()

// Lookup returns the column called name.
func Lookup(name string) (Column, bool) {
	c, ok := byName[name]
	return c, ok
}

func (c Column) String() string { return Schema[c].Name }
