package sflow

// Counters are the records of a datagram's counter samples, by kind, in the
// order in which they came. An agent sends each interface's every 20 or 30
// seconds or so, and in between a host's.
//
// They are what SNMP would have said: each counts since the agent started and
// wraps, so it is differences that tell something, and a counter which the
// agent doesn't have is all ones. To hold flow samples against them, add up
// the samples of an ifIndex (bytes × sampling rate, with 18 bytes more a packet
// for Ethernet's header and check sequence, which ifInOctets counts) between
// two of its Interfaces.
type Counters struct {
	Interfaces   []InterfaceCounters // format 1
	Ethernet     []EthernetCounters  // 2
	TokenRing    []TokenRingCounters // 3
	VG           []VGCounters        // 4
	VLANs        []VLANCounters      // 5
	WiFi         []WiFiCounters      // 6
	LACP         []LACPCounters      // 7
	Transceivers []Transceiver       // 10
	Processors   []ProcessorCounters // 1001
	Radios       []RadioCounters     // 1002
	OpenFlow     []OpenFlowPort      // 1004
	PortNames    []PortName          // 1005
	Hosts        []Host              // 2000
	Adaptors     []Adaptor           // 2001, one for each address
	Parents      []Parent            // 2002
	HostCPU      []HostCPU           // 2003
	HostMemory   []HostMemory        // 2004
	HostDisk     []HostDisk          // 2005
	HostNetwork  []HostNetwork       // 2006
	VirtualNet   []HostNetwork       // 2104, of a virtual machine
	Datapaths    []DatapathCounters  // 2207
	lanes        []Lane              // room for Transceiver.Lanes
}

// emptied keeps the room.
func (c *Counters) emptied() Counters {
	return Counters{
		Interfaces:   c.Interfaces[:0],
		Ethernet:     c.Ethernet[:0],
		TokenRing:    c.TokenRing[:0],
		VG:           c.VG[:0],
		VLANs:        c.VLANs[:0],
		WiFi:         c.WiFi[:0],
		LACP:         c.LACP[:0],
		Transceivers: c.Transceivers[:0],
		Processors:   c.Processors[:0],
		Radios:       c.Radios[:0],
		OpenFlow:     c.OpenFlow[:0],
		PortNames:    c.PortNames[:0],
		Hosts:        c.Hosts[:0],
		Adaptors:     c.Adaptors[:0],
		Parents:      c.Parents[:0],
		HostCPU:      c.HostCPU[:0],
		HostMemory:   c.HostMemory[:0],
		HostDisk:     c.HostDisk[:0],
		HostNetwork:  c.HostNetwork[:0],
		VirtualNet:   c.VirtualNet[:0],
		Datapaths:    c.Datapaths[:0],
		lanes:        c.lanes[:0],
	}
}

// Origin is the counter sample that a record was in. The records of a sample
// share it; where Source.Class is 0 it tells their ifIndex.
type Origin struct {
	Source   Source
	Sequence uint32 // counts the source's counter samples
}

// InterfaceCounters are the generic counters of an interface (sFlow v5,
// if_counters), those of IF-MIB.
type InterfaceCounters struct {
	Origin
	IfIndex       uint32
	IfType        uint32 // IANAifType
	Speed         uint64 // bit/s
	Direction     uint32 // 0 unknown, 1 full duplex, 2 half duplex, 3 in, 4 out
	Status        uint32 // bit 0: admin up, bit 1: oper up
	InOctets      uint64
	InUnicast     uint32
	InMulticast   uint32
	InBroadcast   uint32
	InDiscards    uint32
	InErrors      uint32
	InUnknown     uint32 // packets of unknown protocols
	OutOctets     uint64
	OutUnicast    uint32
	OutMulticast  uint32
	OutBroadcast  uint32
	OutDiscards   uint32
	OutErrors     uint32
	IsPromiscuous uint32
}

// PortName is an interface's name, as in IF-MIB's ifName.
type PortName struct {
	Origin
	Name []byte // inside the datagram: not to be kept longer than that
}

// EthernetCounters are those of EtherLike-MIB (RFC 2358).
type EthernetCounters struct {
	Origin
	AlignmentErrors, FCSErrors                         uint32
	SingleCollisions, MultipleCollisions               uint32 // frames
	SQETestErrors, Deferred                            uint32
	LateCollisions, ExcessiveCollisions                uint32
	InternalTransmitErrors, CarrierSenseErrors         uint32
	FramesTooLong, InternalReceiveErrors, SymbolErrors uint32
}

// TokenRingCounters are those of RFC 1748.
type TokenRingCounters struct {
	Origin
	LineErrors, BurstErrors, ACErrors, AbortTransErrors, InternalErrors, LostFrameErrors uint32
	ReceiveCongestions, FrameCopiedErrors, TokenErrors, SoftErrors, HardErrors           uint32
	SignalLoss, TransmitBeacons, Recoveries, LobeWires, Removes, Singles, FreqErrors     uint32
}

// VGCounters are those of 100BaseVG, IEEE 802.12 (RFC 2020). The three last
// are the same octets as those of the same name, in counters meant for 64 bits.
type VGCounters struct {
	Origin
	InHighPriorityFrames                                                      uint32
	InHighPriorityOctets                                                      uint64
	InNormalPriorityFrames                                                    uint32
	InNormalPriorityOctets                                                    uint64
	InIPMErrors, InOversizeFrames, InDataErrors, InNullAddressed              uint32
	OutHighPriorityFrames                                                     uint32
	OutHighPriorityOctets                                                     uint64
	TransitionsIntoTraining                                                   uint32
	HCInHighPriorityOctets, HCInNormalPriorityOctets, HCOutHighPriorityOctets uint64
}

// VLANCounters are those of a VLAN, across the device.
type VLANCounters struct {
	Origin
	VLAN                                    uint32
	Octets                                  uint64
	Unicast, Multicast, Broadcast, Discards uint32
}

// WiFiCounters are those of IEEE 802.11's MIB (sFlow 802.11 Structures).
type WiFiCounters struct {
	Origin
	TransmittedFragments, MulticastTransmitted, Failed, Retries, MultipleRetries uint32
	FrameDuplicates, RTSSuccesses, RTSFailures, ACKFailures, ReceivedFragments   uint32
	MulticastReceived, FCSErrors, TransmittedFrames, WEPUndecryptable            uint32
	QoSDiscardedFragments, AssociatedStations                                    uint32
	QoSPollsReceived, QoSPollsUnused, QoSPollsUnusable, QoSPollsLost             uint32
}

// RadioCounters tell how busy a radio's channel was.
type RadioCounters struct {
	Origin
	Elapsed, OnChannel, OnChannelBusy uint32 // ms
}

// LACPCounters are those of a port in a link aggregation group (IEEE8023-LAG-MIB).
type LACPCounters struct {
	Origin
	ActorSystem, PartnerSystem                                 uint64 // MAC addresses
	Aggregator                                                 uint32 // ifIndex of the group
	ActorAdmin, ActorOper, PartnerAdmin, PartnerOper           uint8  // LACP port state
	RxLACP, RxMarkers, RxMarkerResponses, RxUnknown, RxIllegal uint32 // PDUs
	TxLACP, TxMarkers, TxMarkerResponses                       uint32
}

// Transceiver is the state of a pluggable optical module (sFlow Optical
// Interface Structures).
type Transceiver struct {
	Origin
	Module      uint32
	TotalLanes  uint32
	Voltage     uint32 // mV
	Temperature int32  // thousandths of a degree Celsius
	Lanes       []Lane // those in use; valid until the Message is used again
}

// Lane is one laser and its receiver. Currents are in µA, powers in µW,
// wavelengths in nm.
type Lane struct {
	Index, TxBias                                 uint32
	TxPower, TxPowerMin, TxPowerMax, TxWavelength uint32
	RxPower, RxPowerMin, RxPowerMax, RxWavelength uint32
}

// ProcessorCounters are a device's load: averages in hundredths of a percent,
// memory in bytes.
type ProcessorCounters struct {
	Origin
	CPU5s, CPU1m, CPU5m     uint32
	TotalMemory, FreeMemory uint64
}

// OpenFlowPort tells which OpenFlow port an interface is.
type OpenFlowPort struct {
	Origin
	Datapath uint64
	Port     uint32
}

// DatapathCounters are those of an Open vSwitch datapath.
type DatapathCounters struct {
	Origin
	Hits, Misses, Lost, MaskHits, Flows, Masks uint32
}

// Host is what a host says of itself (sFlow Host Structures). Its texts lie
// inside the datagram: they are not to be kept longer than that.
type Host struct {
	Origin
	Name    []byte
	UUID    [16]byte
	Machine uint32 // 2 x86, 3 x86-64, 11 ARM …
	OS      uint32 // 2 Linux, 3 Windows, 8 FreeBSD …
	Release []byte // of the OS
}

// Adaptor is one MAC address of one of a host's interfaces.
type Adaptor struct {
	Origin
	IfIndex uint32
	MAC     uint64
}

// Parent is what contains the source: of a virtual machine its hypervisor.
type Parent struct {
	Origin
	Container Source
}

// HostCPU is a host's load; times are in milliseconds, summed over its cores.
// The last three came later and are all ones where an agent lacks them.
type HostCPU struct {
	Origin
	Load1, Load5, Load15                               float32 // as uptime shows them
	Running, Processes, Cores, MHz                     uint32
	Uptime                                             uint32 // seconds
	User, Nice, System, Idle, Wait, Interrupt, SoftIRQ uint32 // ms
	Interrupts, ContextSwitches                        uint32
	Steal, Guest, GuestNice                            uint32 // ms
}

// HostMemory is a host's memory, in bytes and, the last four, pages.
type HostMemory struct {
	Origin
	Total, Free, Shared, Buffers, Cached, SwapTotal, SwapFree uint64
	PageIn, PageOut, SwapIn, SwapOut                          uint32
}

// HostDisk is all disks of a host together.
type HostDisk struct {
	Origin
	Total, Free  uint64 // bytes
	FullestUsed  uint32 // of the fullest partition, hundredths of a percent
	Reads        uint32
	BytesRead    uint64
	ReadTime     uint32 // ms
	Writes       uint32
	BytesWritten uint64
	WriteTime    uint32 // ms
}

// HostNetwork is all interfaces of a host together.
type HostNetwork struct {
	Origin
	InOctets                           uint64
	InPackets, InErrors, InDiscards    uint32
	OutOctets                          uint64
	OutPackets, OutErrors, OutDiscards uint32
}
