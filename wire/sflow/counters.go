package sflow

import (
	"encoding/binary"
	"math"
)

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

// Formats of counter records, enterprise 0.
const (
	ifCounters        = 1
	ethernetCounters  = 2
	tokenRingCounters = 3
	vgCounters        = 4
	vlanCounters      = 5
	wifiCounters      = 6
	lacpCounters      = 7
	transceiver       = 10
	processorCounters = 1001
	radioCounters     = 1002
	openFlowPort      = 1004
	portName          = 1005
	hostDescription   = 2000
	hostAdaptors      = 2001
	hostParent        = 2002
	hostCPU           = 2003
	hostMemory        = 2004
	hostDisk          = 2005
	hostNetwork       = 2006
	virtualNetwork    = 2104
	datapathCounters  = 2207
)

// counterSample keeps the records of a counter sample.
func (r *run) counterSample(body []byte, expanded bool) {
	r.CounterSamples++
	d := reader{body, true}
	o := Origin{Sequence: d.uint32(), Source: d.source(expanded)}
	count := d.uint32()
	if !d.ok {
		r.Problems[SampleTruncated]++
		return
	}
	records := d.rest
	for ; count > 0 && len(records) >= 8; count-- {
		format := binary.BigEndian.Uint32(records)
		fixed := uint32(0)
		if format == ifCounters {
			fixed = 88
		}
		var record []byte
		record, records = r.cut(records, fixed, RecordTruncated)
		d := reader{record, true}
		if !r.counterRecord(o, format, &d) {
			r.skip(CounterRecord, format)
		} else if !d.ok && fixed == 0 { // else cut has counted it
			r.Problems[RecordShort]++
		}
	}
	r.recordsEnd(count, records)
}

// counterRecord keeps a record that is all there, and tells whether its format
// is known.
func (m *Message) counterRecord(o Origin, format uint32, d *reader) (known bool) {
	switch format {
	case ifCounters:
		c := InterfaceCounters{Origin: o}
		d.uint32s(&c.IfIndex, &c.IfType)
		c.Speed = d.uint64()
		d.uint32s(&c.Direction, &c.Status)
		c.InOctets = d.uint64()
		d.uint32s(&c.InUnicast, &c.InMulticast, &c.InBroadcast, &c.InDiscards, &c.InErrors, &c.InUnknown)
		c.OutOctets = d.uint64()
		d.uint32s(&c.OutUnicast, &c.OutMulticast, &c.OutBroadcast, &c.OutDiscards, &c.OutErrors, &c.IsPromiscuous)
		keep(&m.Counters.Interfaces, c, d)
	case ethernetCounters:
		c := EthernetCounters{Origin: o}
		d.uint32s(&c.AlignmentErrors, &c.FCSErrors, &c.SingleCollisions, &c.MultipleCollisions, &c.SQETestErrors, &c.Deferred,
			&c.LateCollisions, &c.ExcessiveCollisions, &c.InternalTransmitErrors, &c.CarrierSenseErrors,
			&c.FramesTooLong, &c.InternalReceiveErrors, &c.SymbolErrors)
		keep(&m.Counters.Ethernet, c, d)
	case tokenRingCounters:
		c := TokenRingCounters{Origin: o}
		d.uint32s(&c.LineErrors, &c.BurstErrors, &c.ACErrors, &c.AbortTransErrors, &c.InternalErrors, &c.LostFrameErrors,
			&c.ReceiveCongestions, &c.FrameCopiedErrors, &c.TokenErrors, &c.SoftErrors, &c.HardErrors,
			&c.SignalLoss, &c.TransmitBeacons, &c.Recoveries, &c.LobeWires, &c.Removes, &c.Singles, &c.FreqErrors)
		keep(&m.Counters.TokenRing, c, d)
	case vgCounters:
		c := VGCounters{Origin: o}
		c.InHighPriorityFrames, c.InHighPriorityOctets = d.uint32(), d.uint64()
		c.InNormalPriorityFrames, c.InNormalPriorityOctets = d.uint32(), d.uint64()
		d.uint32s(&c.InIPMErrors, &c.InOversizeFrames, &c.InDataErrors, &c.InNullAddressed)
		c.OutHighPriorityFrames, c.OutHighPriorityOctets = d.uint32(), d.uint64()
		c.TransitionsIntoTraining = d.uint32()
		d.uint64s(&c.HCInHighPriorityOctets, &c.HCInNormalPriorityOctets, &c.HCOutHighPriorityOctets)
		keep(&m.Counters.VG, c, d)
	case vlanCounters:
		c := VLANCounters{Origin: o, VLAN: d.uint32(), Octets: d.uint64()}
		d.uint32s(&c.Unicast, &c.Multicast, &c.Broadcast, &c.Discards)
		keep(&m.Counters.VLANs, c, d)
	case wifiCounters:
		c := WiFiCounters{Origin: o}
		d.uint32s(&c.TransmittedFragments, &c.MulticastTransmitted, &c.Failed, &c.Retries, &c.MultipleRetries,
			&c.FrameDuplicates, &c.RTSSuccesses, &c.RTSFailures, &c.ACKFailures, &c.ReceivedFragments,
			&c.MulticastReceived, &c.FCSErrors, &c.TransmittedFrames, &c.WEPUndecryptable,
			&c.QoSDiscardedFragments, &c.AssociatedStations,
			&c.QoSPollsReceived, &c.QoSPollsUnused, &c.QoSPollsUnusable, &c.QoSPollsLost)
		keep(&m.Counters.WiFi, c, d)
	case lacpCounters:
		c := LACPCounters{Origin: o, ActorSystem: d.mac(), PartnerSystem: d.mac(), Aggregator: d.uint32()}
		state := d.uint32()
		c.ActorAdmin, c.ActorOper, c.PartnerAdmin, c.PartnerOper = uint8(state>>24), uint8(state>>16), uint8(state>>8), uint8(state)
		d.uint32s(&c.RxLACP, &c.RxMarkers, &c.RxMarkerResponses, &c.RxUnknown, &c.RxIllegal,
			&c.TxLACP, &c.TxMarkers, &c.TxMarkerResponses)
		keep(&m.Counters.LACP, c, d)
	case transceiver:
		m.transceiver(o, d)
	case processorCounters:
		c := ProcessorCounters{Origin: o}
		d.uint32s(&c.CPU5s, &c.CPU1m, &c.CPU5m)
		d.uint64s(&c.TotalMemory, &c.FreeMemory)
		keep(&m.Counters.Processors, c, d)
	case radioCounters:
		c := RadioCounters{Origin: o}
		d.uint32s(&c.Elapsed, &c.OnChannel, &c.OnChannelBusy)
		keep(&m.Counters.Radios, c, d)
	case openFlowPort:
		keep(&m.Counters.OpenFlow, OpenFlowPort{o, d.uint64(), d.uint32()}, d)
	case portName:
		keep(&m.Counters.PortNames, PortName{o, d.opaque()}, d)
	case datapathCounters:
		c := DatapathCounters{Origin: o}
		d.uint32s(&c.Hits, &c.Misses, &c.Lost, &c.MaskHits, &c.Flows, &c.Masks)
		keep(&m.Counters.Datapaths, c, d)
	default:
		return m.hostRecord(o, format, d)
	}
	return true
}

func (m *Message) hostRecord(o Origin, format uint32, d *reader) (known bool) {
	switch format {
	case hostDescription:
		c := Host{Origin: o, Name: d.opaque()}
		copy(c.UUID[:], d.bytes(16))
		d.uint32s(&c.Machine, &c.OS)
		c.Release = d.opaque()
		keep(&m.Counters.Hosts, c, d)
	case hostAdaptors:
		for n := d.uint32(); n > 0 && d.ok; n-- {
			index := d.uint32()
			for n := d.uint32(); n > 0 && d.ok; n-- {
				keep(&m.Counters.Adaptors, Adaptor{o, index, d.mac()}, d)
			}
		}
	case hostParent:
		keep(&m.Counters.Parents, Parent{o, d.source(true)}, d)
	case hostCPU:
		c := HostCPU{Origin: o}
		c.Load1, c.Load5, c.Load15 = d.float32(), d.float32(), d.float32()
		d.uint32s(&c.Running, &c.Processes, &c.Cores, &c.MHz, &c.Uptime,
			&c.User, &c.Nice, &c.System, &c.Idle, &c.Wait, &c.Interrupt, &c.SoftIRQ, &c.Interrupts, &c.ContextSwitches)
		if d.ok && len(d.rest) == 0 {
			c.Steal, c.Guest, c.GuestNice = math.MaxUint32, math.MaxUint32, math.MaxUint32
		} else {
			d.uint32s(&c.Steal, &c.Guest, &c.GuestNice)
		}
		keep(&m.Counters.HostCPU, c, d)
	case hostMemory:
		c := HostMemory{Origin: o}
		d.uint64s(&c.Total, &c.Free, &c.Shared, &c.Buffers, &c.Cached, &c.SwapTotal, &c.SwapFree)
		d.uint32s(&c.PageIn, &c.PageOut, &c.SwapIn, &c.SwapOut)
		keep(&m.Counters.HostMemory, c, d)
	case hostDisk:
		c := HostDisk{Origin: o}
		d.uint64s(&c.Total, &c.Free)
		d.uint32s(&c.FullestUsed, &c.Reads)
		c.BytesRead = d.uint64()
		d.uint32s(&c.ReadTime, &c.Writes)
		c.BytesWritten, c.WriteTime = d.uint64(), d.uint32()
		keep(&m.Counters.HostDisk, c, d)
	case hostNetwork, virtualNetwork:
		c := HostNetwork{Origin: o, InOctets: d.uint64()}
		d.uint32s(&c.InPackets, &c.InErrors, &c.InDiscards)
		c.OutOctets = d.uint64()
		d.uint32s(&c.OutPackets, &c.OutErrors, &c.OutDiscards)
		if format == hostNetwork {
			keep(&m.Counters.HostNetwork, c, d)
		} else {
			keep(&m.Counters.VirtualNet, c, d)
		}
	default:
		return false
	}
	return true
}

func (m *Message) transceiver(o Origin, d *reader) {
	c := Transceiver{Origin: o}
	d.uint32s(&c.Module, &c.TotalLanes, &c.Voltage)
	c.Temperature = int32(d.uint32())
	from := len(m.Counters.lanes)
	for n := d.uint32(); n > 0 && d.ok; n-- {
		var l Lane
		d.uint32s(&l.Index, &l.TxBias, &l.TxPower, &l.TxPowerMin, &l.TxPowerMax, &l.TxWavelength,
			&l.RxPower, &l.RxPowerMin, &l.RxPowerMax, &l.RxWavelength)
		keep(&m.Counters.lanes, l, d)
	}
	c.Lanes = m.Counters.lanes[from:]
	keep(&m.Counters.Transceivers, c, d)
}

// keep appends what was read whole.
func keep[T any](to *[]T, v T, d *reader) {
	if d.ok {
		*to = append(*to, v)
	}
}
