package wire_test

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// counterFormat is a kind of sFlow counter records.
type counterFormat struct {
	kind   string // the field of sflow.Counters
	fields []counterField
}

// counterField is a field of such records by every decoder's name.
type counterField struct{ field, sflowtool, tshark, telegraf, tcpdump string }

// counterFormats are the kinds by enterprise and format.
var counterFormats = map[string]counterFormat{
	"0:1": {"Interfaces", []counterField{
		{"IfIndex", "ifIndex", "sflow_245.ifindex", "interface", "ifindex"},
		{"IfType", "networkType", "sflow_245.iftype", "interface_type", "iftype"},
		{"Speed", "ifSpeed", "sflow_245.ifspeed", "speed", "ifspeed"},
		{"Direction", "ifDirection", "sflow_245.ifdirection", "", "ifdirection"},
		{"Status", "ifStatus", "", "", "ifstatus"},
		{"admin", "", "sflow_245.ifadmin_status", "", ""},
		{"oper", "", "sflow_245.ifoper_status", "", ""},
		{"InOctets", "ifInOctets", "sflow_245.ifinoct", "in_bytes", "In octets"},
		{"InUnicast", "ifInUcastPkts", "sflow_245.ifinpkt", "in_unicast_packets_total", "In unicast pkts"},
		{"InMulticast", "ifInMulticastPkts", "sflow_245.ifinmcast", "in_mcast_packets_total", "In multicast pkts"},
		{"InBroadcast", "ifInBroadcastPkts", "sflow_245.ifinbcast", "in_broadcast_packets_total", "In broadcast pkts"},
		{"InDiscards", "ifInDiscards", "sflow_245.ifindisc", "in_dropped_packets", "In discards"},
		{"InErrors", "ifInErrors", "sflow_245.ifinerr", "in_errors", "In errors"},
		{"InUnknown", "ifInUnknownProtos", "sflow_245.ifinunk", "in_unknown_protocol", "In unknown protos"},
		{"OutOctets", "ifOutOctets", "sflow_245.ifoutoct", "out_bytes", "Out octets"},
		{"OutUnicast", "ifOutUcastPkts", "sflow_245.ifoutpkt", "out_unicast_packets_total", "Out unicast pkts"},
		{"OutMulticast", "ifOutMulticastPkts", "sflow_245.ifoutmcast", "out_mcast_packets_total", "Out multicast pkts"},
		{"OutBroadcast", "ifOutBroadcastPkts", "sflow_245.ifoutbcast", "out_broadcast_packets_total", "Out broadcast pkts"},
		{"OutDiscards", "ifOutDiscards", "sflow_245.ifoutdisc", "out_dropped_packets", "Out discards"},
		{"OutErrors", "ifOutErrors", "sflow_245.ifouterr", "out_errors", "Out errors"},
		{"IsPromiscuous", "ifPromiscuousMode", "sflow_245.ifpromisc", "promiscuous", "Out promisc mode"},
	}},
	"0:2": {"Ethernet", []counterField{
		{"AlignmentErrors", "dot3StatsAlignmentErrors", "sflow_245.dot3StatsAlignmentErrors", "errors_alignment", "align errors"},
		{"FCSErrors", "dot3StatsFCSErrors", "sflow_245.dot3StatsFCSErrors", "errors_fcs", "fcs errors"},
		{"SingleCollisions", "dot3StatsSingleCollisionFrames", "sflow_245.dot3StatsSingleCollisionFrames", "collision_frames_single", "single collision"},
		{"MultipleCollisions", "dot3StatsMultipleCollisionFrames", "sflow_245.dot3StatsMultipleCollisionFrames", "collision_frames_multi", "multiple collision"},
		{"SQETestErrors", "dot3StatsSQETestErrors", "sflow_245.dot3StatsSQETestErrors", "errors_sqetest", "test error"},
		{"Deferred", "dot3StatsDeferredTransmissions", "sflow_245.dot3StatsDeferredTransmissions", "deferred", "deferred"},
		{"LateCollisions", "dot3StatsLateCollisions", "sflow_245.dot3StatsLateCollisions", "collisions_late", "late collision"},
		{"ExcessiveCollisions", "dot3StatsExcessiveCollisions", "sflow_245.dot3StatsExcessiveCollisions", "collisions_excessive", "excessive collision"},
		{"InternalTransmitErrors", "dot3StatsInternalMacTransmitErrors", "sflow_245.dot3StatsInternalMacTransmitErrors", "errors_internal_mac_tx", "mac trans error"},
		{"CarrierSenseErrors", "dot3StatsCarrierSenseErrors", "sflow_245.dot3StatsCarrierSenseErrors", "errors_carrier_sense", "carrier error"},
		{"FramesTooLong", "dot3StatsFrameTooLongs", "sflow_245.dot3StatsFrameTooLongs", "errors_frame_too_long", "frames too long"},
		{"InternalReceiveErrors", "dot3StatsInternalMacReceiveErrors", "sflow_245.dot3StatsInternalMacReceiveErrors", "errors_internal_mac_rx", "mac receive errors"},
		{"SymbolErrors", "dot3StatsSymbolErrors", "sflow_245.dot3StatsSymbolErrors", "errors_symbols", "symbol errors"},
	}},
	"0:4": {"VG", []counterField{
		{field: "InHighPriorityFrames", tshark: "sflow_245.dot12InHighPriorityFrames"},
		{field: "InHighPriorityOctets", tshark: "sflow_245.dot12InHighPriorityOctets"},
		{field: "InNormalPriorityFrames", tshark: "sflow_245.dot12InNormPriorityFrames"},
		{field: "InNormalPriorityOctets", tshark: "sflow_245.dot12InNormPriorityOctets"},
		{field: "InIPMErrors", tshark: "sflow_245.dot12InIPMErrors"},
		{field: "InOversizeFrames", tshark: "sflow_245.dot12InOversizeFrameErrors"},
		{field: "InDataErrors", tshark: "sflow_245.dot12InDataErrors"},
		{field: "InNullAddressed", tshark: "sflow_245.dot12InNullAddressedFrames"},
		{field: "OutHighPriorityFrames", tshark: "sflow_245.dot12OutHighPriorityFrames"},
		{field: "OutHighPriorityOctets", tshark: "sflow_245.dot12OutHighPriorityOctets"},
		{field: "TransitionsIntoTraining", tshark: "sflow_245.dot12TransitionIntoTrainings"},
		{field: "HCInHighPriorityOctets", tshark: "sflow_245.dot12HCInHighPriorityOctets"},
		{field: "HCInNormalPriorityOctets", tshark: "sflow_245.dot12HCInNormPriorityOctets"},
		{field: "HCOutHighPriorityOctets", tshark: "sflow_245.dot12HCOutHighPriorityOctets"},
	}},
	"0:7": {"LACP", []counterField{
		{field: "ActorSystem", sflowtool: "actorSystemID", tshark: "sflow.lag_port.actor_system_id"},
		{field: "PartnerSystem", sflowtool: "partnerSystemID", tshark: "sflow.lag_port.partner_oper_system_id"},
		{field: "Aggregator", sflowtool: "attachedAggID", tshark: "sflow.lag_port.attached_agg_id"},
		{field: "ActorAdmin", sflowtool: "actorAdminPortState"},
		{field: "ActorOper", sflowtool: "actorOperPortState"},
		{field: "PartnerAdmin", sflowtool: "partnerAdminPortState"},
		{field: "PartnerOper", sflowtool: "partnerOperPortState"},
		{field: "RxLACP", sflowtool: "LACPDUsRx", tshark: "sflow.lag_port.lacpdus.rx"},
		{field: "RxMarkers", sflowtool: "markerPDUsRx", tshark: "sflow.lag_port.marker_pdus.rx"},
		{field: "RxMarkerResponses", sflowtool: "markerResponsePDUsRx", tshark: "sflow.lag_port.marker_response_pdus.rx"},
		{field: "RxUnknown", sflowtool: "unknownRx", tshark: "sflow.lag_port.unknown.rx"},
		{field: "RxIllegal", sflowtool: "illegalRx", tshark: "sflow.lag_port.illegal.rx"},
		{field: "TxLACP", sflowtool: "LACPDUsTx", tshark: "sflow.lag_port.lacpdus.tx"},
		{field: "TxMarkers", sflowtool: "markerPDUsTx", tshark: "sflow.lag_port.marker_pdus.tx"},
		{field: "TxMarkerResponses", sflowtool: "markerResponsePDUsTx", tshark: "sflow.lag_port.marker_response_pdus.tx"},
	}},
	"0:1001": {"Processors", []counterField{
		{field: "CPU5s", sflowtool: "5s_cpu", tshark: "sflow_5.cpu_5s"},
		{field: "CPU1m", sflowtool: "1m_cpu", tshark: "sflow_5.cpu_1m"},
		{field: "CPU5m", sflowtool: "5m_cpu", tshark: "sflow_5.cpu_5m"},
		{field: "TotalMemory", sflowtool: "total_memory_bytes", tshark: "sflow_5.total_memory"},
		{field: "FreeMemory", sflowtool: "free_memory_bytes", tshark: "sflow_5.free_memory"},
	}},
	"0:1004": {"OpenFlow", []counterField{
		{field: "Datapath", sflowtool: "openflow_datapath_id"},
		{field: "Port", sflowtool: "openflow_port"},
	}},
	"0:1005": {"PortNames", []counterField{{field: "Name", sflowtool: "ifName"}}},
	"0:2000": {"Hosts", []counterField{
		{field: "Name", sflowtool: "hostname"},
		{field: "Machine", sflowtool: "machine_type"},
		{field: "OS", sflowtool: "os_name"},
		{field: "Release", sflowtool: "os_release"},
	}},
	"0:2003": {"HostCPU", []counterField{
		{field: "Load1", sflowtool: "cpu_load_one"},
		{field: "Load5", sflowtool: "cpu_load_five"},
		{field: "Load15", sflowtool: "cpu_load_fifteen"},
		{field: "Running", sflowtool: "cpu_proc_run"},
		{field: "Processes", sflowtool: "cpu_proc_total"},
		{field: "Cores", sflowtool: "cpu_num"},
		{field: "MHz", sflowtool: "cpu_speed"},
		{field: "Uptime", sflowtool: "cpu_uptime"},
		{field: "User", sflowtool: "cpu_user"},
		{field: "Nice", sflowtool: "cpu_nice"},
		{field: "System", sflowtool: "cpu_system"},
		{field: "Idle", sflowtool: "cpu_idle"},
		{field: "Wait", sflowtool: "cpu_wio"},
		{field: "Interrupt", sflowtool: "cpuintr"},
		{field: "SoftIRQ", sflowtool: "cpu_sintr"},
		{field: "Interrupts", sflowtool: "cpuinterrupts"},
		{field: "ContextSwitches", sflowtool: "cpu_contexts"},
	}},
	"0:2004": {"HostMemory", []counterField{
		{field: "Total", sflowtool: "mem_total"},
		{field: "Free", sflowtool: "mem_free"},
		{field: "Shared", sflowtool: "mem_shared"},
		{field: "Buffers", sflowtool: "mem_buffers"},
		{field: "Cached", sflowtool: "mem_cached"},
		{field: "SwapTotal", sflowtool: "swap_total"},
		{field: "SwapFree", sflowtool: "swap_free"},
		{field: "PageIn", sflowtool: "page_in"},
		{field: "PageOut", sflowtool: "page_out"},
		{field: "SwapIn", sflowtool: "swap_in"},
		{field: "SwapOut", sflowtool: "swap_out"},
	}},
	"0:2005": {"HostDisk", []counterField{
		{field: "Total", sflowtool: "disk_total"},
		{field: "Free", sflowtool: "disk_free"},
		{field: "FullestUsed", sflowtool: "disk_partition_max_used"},
		{field: "Reads", sflowtool: "disk_reads"},
		{field: "BytesRead", sflowtool: "disk_bytes_read"},
		{field: "ReadTime", sflowtool: "disk_read_time"},
		{field: "Writes", sflowtool: "disk_writes"},
		{field: "BytesWritten", sflowtool: "disk_bytes_written"},
		{field: "WriteTime", sflowtool: "disk_write_time"},
	}},
	"0:2006": {"HostNetwork", []counterField{
		{field: "InOctets", sflowtool: "nio_bytes_in"},
		{field: "InPackets", sflowtool: "nio_pkts_in"},
		{field: "InErrors", sflowtool: "nio_errs_in"},
		{field: "InDiscards", sflowtool: "nio_drops_in"},
		{field: "OutOctets", sflowtool: "nio_bytes_out"},
		{field: "OutPackets", sflowtool: "nio_pkts_out"},
		{field: "OutErrors", sflowtool: "nio_errs_out"},
		{field: "OutDiscards", sflowtool: "nio_drops_out"},
	}},
	"0:2207": {"Datapaths", []counterField{
		{field: "Hits", sflowtool: "OVS_dp_hits"},
		{field: "Misses", sflowtool: "OVS_dp_misses"},
		{field: "Lost", sflowtool: "OVS_dp_lost"},
		{field: "MaskHits", sflowtool: "OVS_dp_mask_hits"},
		{field: "Flows", sflowtool: "OVS_dp_flows"},
		{field: "Masks", sflowtool: "OVS_dp_masks"},
	}},
}

// text brings a decoder's text of a field into ours.
func (c counterField) text(v string) string {
	switch c.field {
	case "ActorSystem", "PartnerSystem", "Datapath":
		n, _ := strconv.ParseUint(strings.ReplaceAll(v, ":", ""), 16, 64)
		return strconv.FormatUint(n, 10)
	case "Load1", "Load5", "Load15":
		n, _ := strconv.ParseFloat(v, 32)
		return fmt.Sprint(float32(n))
	case "FullestUsed", "CPU5s", "CPU1m", "CPU5m": // hundredths, that some write as fractions
		if n, err := strconv.ParseFloat(v, 64); err == nil && strings.Contains(v, ".") {
			return strconv.Itoa(int(math.Round(n * 100)))
		}
	}
	return v
}
