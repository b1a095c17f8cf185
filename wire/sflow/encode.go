package sflow

import (
	"encoding/binary"
	"errors"

	"github.com/minamo-flow/minamo/flow"
)

// Why a sample was not appended.
var (
	ErrFull  = errors.New("sflow: the datagram has no room for the sample: take it and append again")
	ErrLarge = errors.New("sflow: the sample fits no datagram")
)

// Encoder writes datagrams of version 5. Samples are appended until one
// answers ErrFull; then the datagram is taken and the sample appended again:
//
//	if err := e.AppendFlow(&s); err == sflow.ErrFull {
//		send(e.Datagram(uptime))
//		err = e.AppendFlow(&s)
//	}
//
// What it writes follows from what it is given alone: it has no clock. Set its
// fields before the first sample. It is not safe for concurrent use.
type Encoder struct {
	Agent    flow.Addr // the device; zero says nothing
	SubAgent uint32
	Sequence uint32 // of the next datagram; Datagram counts it up
	MaxSize  int    // of a datagram, in bytes; 0 means 1400, as agents have it

	// Expanded writes every sample in the form with room for large numbers.
	// Without it only those are written so that need it: some agents number
	// their interfaces from 2^24 on.
	Expanded bool

	p       []byte // the datagram
	samples uint32
}

// FlowSample is one sampled packet and what the device knows of it.
type FlowSample struct {
	Sample         // but for its Row
	In, Out Port   // its way through the device
	Packet  Packet // its first bytes
	Switch  *Switch
	Router  *Router
	Gateway *Gateway
}

// Packet is a packet's beginning.
type Packet struct {
	Protocol uint32 // of the first header: HeaderEthernet …
	Length   uint32 // on the wire; of an Ethernet frame with its check sequence
	Stripped uint32 // bytes of Length that were taken off before the header was copied: 4 for the check sequence
	Header   []byte
}

// Switch is what a switch knows: the packet's VLANs and 802.1p priorities, on
// its way in and out.
type Switch struct{ InVLAN, InPriority, OutVLAN, OutPriority uint32 }

// Router is what a router knows.
//
// A next hop that is unknown is the zero Addr. The protocol has a type of its
// own for that, which sfcapd and sflowtool do not read; for them say 0.0.0.0,
// as many agents do.
type Router struct {
	NextHop          flow.Addr
	SrcMask, DstMask uint32 // bits
}

// Gateway is what a BGP router knows. Of an unknown next hop, see Router.
type Gateway struct {
	NextHop     flow.Addr
	AS          uint32 // its own
	SrcAS       uint32 // where the packet is from
	PrevAS      uint32 // the neighbour on the way to there
	Path        []PathSegment
	Communities []uint32
	LocalPref   uint32
}

// PathSegment is a part of an AS path: in order, or a set without any.
type PathSegment struct {
	IsSet bool
	AS    []uint32
}

// AppendFlow appends a flow sample.
func (e *Encoder) AppendFlow(s *FlowSample) error {
	e.begin()
	start := len(e.p)
	if e.Expanded || s.Source.large() || s.In.large() || s.Out.large() {
		e.words(expandedFlowSample, 0, s.Sequence, s.Source.Class, s.Source.Index, s.Rate, s.Pool, s.Drops,
			s.In.Format, s.In.Value, s.Out.Format, s.Out.Value)
	} else {
		e.words(flowSample, 0, s.Sequence, s.Source.word(), s.Rate, s.Pool, s.Drops, s.In.word(), s.Out.word())
	}
	records := uint32(1)
	for _, present := range [...]bool{s.Switch != nil, s.Router != nil, s.Gateway != nil} {
		if present {
			records++
		}
	}
	e.words(records)

	at := e.open(rawHeader)
	e.words(s.Packet.Protocol, s.Packet.Length, s.Packet.Stripped)
	e.opaque(s.Packet.Header)
	e.close(at)
	if w := s.Switch; w != nil {
		at := e.open(extendedSwitch)
		e.words(w.InVLAN, w.InPriority, w.OutVLAN, w.OutPriority)
		e.close(at)
	}
	if r := s.Router; r != nil {
		at := e.open(extendedRouter)
		e.address(r.NextHop)
		e.words(r.SrcMask, r.DstMask)
		e.close(at)
	}
	if g := s.Gateway; g != nil {
		at := e.open(extendedGateway)
		e.gateway(g)
		e.close(at)
	}
	return e.end(start)
}

// AppendCounters appends a counter sample: an interface's counters and, unless
// it is empty, the interface's name.
func (e *Encoder) AppendCounters(c *InterfaceCounters, name string) error {
	e.begin()
	start := len(e.p)
	if e.Expanded || c.Source.large() {
		e.words(expandedCounterSample, 0, c.Sequence, c.Source.Class, c.Source.Index)
	} else {
		e.words(counterSample, 0, c.Sequence, c.Source.word())
	}
	records := uint32(1)
	if name != "" {
		records++
	}
	e.words(records)

	at := e.open(ifCounters)
	e.words(c.IfIndex, c.IfType)
	e.uint64(c.Speed)
	e.words(c.Direction, c.Status)
	e.uint64(c.InOctets)
	e.words(c.InUnicast, c.InMulticast, c.InBroadcast, c.InDiscards, c.InErrors, c.InUnknown)
	e.uint64(c.OutOctets)
	e.words(c.OutUnicast, c.OutMulticast, c.OutBroadcast, c.OutDiscards, c.OutErrors, c.IsPromiscuous)
	e.close(at)
	if name != "" {
		at := e.open(portName)
		e.opaque([]byte(name))
		e.close(at)
	}
	return e.end(start)
}

// Datagram completes the datagram and returns it, or nil if it has no sample.
// uptime is how long the device has run, in milliseconds. The bytes are valid
// until the next sample is appended.
func (e *Encoder) Datagram(uptime uint32) []byte {
	if e.samples == 0 {
		return nil
	}
	head := e.p[:e.head()]
	binary.BigEndian.PutUint32(head[len(head)-12:], e.Sequence)
	binary.BigEndian.PutUint32(head[len(head)-8:], uptime)
	binary.BigEndian.PutUint32(head[len(head)-4:], e.samples)
	e.Sequence++
	e.samples = 0
	return e.p
}

// begin writes the datagram's header, unless the datagram has begun.
func (e *Encoder) begin() {
	if e.samples > 0 {
		return
	}
	e.p = e.p[:0]
	e.words(5)
	e.address(e.Agent)
	e.words(e.SubAgent, 0, 0, 0)
}

// head is the header's length.
func (e *Encoder) head() int {
	switch {
	case e.Agent == flow.Addr{}:
		return 24
	case e.Agent.Is4():
		return 28
	}
	return 40
}

// end completes the sample that starts at start, or takes it back.
func (e *Encoder) end(start int) error {
	e.close(start)
	most := e.MaxSize
	if most <= 0 {
		most = 1400
	}
	switch {
	case len(e.p) <= most:
		e.samples++
		return nil
	case e.samples > 0:
		e.p = e.p[:start]
		return ErrFull
	}
	return ErrLarge
}

// open begins a record, close puts its length in front.
func (e *Encoder) open(format uint32) (at int) {
	at = len(e.p)
	e.words(format, 0)
	return at
}

func (e *Encoder) close(at int) {
	binary.BigEndian.PutUint32(e.p[at+4:], uint32(len(e.p)-at-8))
}

func (e *Encoder) gateway(g *Gateway) {
	const set, sequence = 1, 2
	e.address(g.NextHop)
	e.words(g.AS, g.SrcAS, g.PrevAS, uint32(len(g.Path)))
	for _, s := range g.Path {
		kind := uint32(sequence)
		if s.IsSet {
			kind = set
		}
		e.words(kind, uint32(len(s.AS)))
		e.words(s.AS...)
	}
	e.words(uint32(len(g.Communities)))
	e.words(g.Communities...)
	e.words(g.LocalPref)
}

func (e *Encoder) words(v ...uint32) {
	for _, v := range v {
		e.p = binary.BigEndian.AppendUint32(e.p, v)
	}
}

func (e *Encoder) uint64(v uint64) { e.p = binary.BigEndian.AppendUint64(e.p, v) }

// opaque writes bytes behind their number, padded.
func (e *Encoder) opaque(v []byte) {
	e.words(uint32(len(v)))
	e.p = append(e.p, v...)
	e.p = append(e.p, make([]byte, -len(v)&3)...)
}

// address writes an address behind its type.
func (e *Encoder) address(a flow.Addr) {
	switch {
	case a == flow.Addr{}:
		e.words(0)
	case a.Is4():
		e.words(1)
		e.p = append(e.p, a[12:]...)
	default:
		e.words(2)
		e.p = append(e.p, a[:]...)
	}
}

// large tells whether a source does not fit one number, and word is that number.
func (s Source) large() bool  { return s.Class > 0xff || s.Index > 0xffffff }
func (s Source) word() uint32 { return s.Class<<24 | s.Index }

func (p Port) large() bool  { return p.Format > 3 || p.Value > Internal }
func (p Port) word() uint32 { return p.Format<<30 | p.Value }
