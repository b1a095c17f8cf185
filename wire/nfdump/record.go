package nfdump

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"unicode"

	"github.com/minamo-flow/minamo/flow"
)

// record is what is known of a record before its row is complete. What has a
// column of its own, and needs nothing else, is in the batch already.
type record struct {
	batch *flow.Batch
	row   int
	text  arena // of JSON

	start, end, received int64 // milliseconds; 0 where not told
	whole                bool  // start is cut to the second
	duration             int64 // milliseconds; negative where not told

	exporter                    netip.Addr
	domain, version             uint64
	protocol                    uint64
	sourcePort, destinationPort uint64
	icmpType, icmpCode          uint64
	flags                       uint64
	packets, bytes              uint64
	outPackets, outBytes        uint64
	aggregated                  uint64
	outMAC                      uint64
	sampled                     bool
}

func (r *record) begin(b *flow.Batch) {
	*r = record{batch: b, row: b.Extend(1), text: r.text, duration: -1}
}

func (r *record) moment(into *int64, t []byte, from *Reader) (err error) {
	*into, err = parseTime(t, from.cfg.Location)
	if into == &r.start {
		r.whole = len(t) == len("2006-01-02 15:04:05") && t[4] == '-'
	}
	return err
}

// readDuration reads seconds with milliseconds. nfdump prints nonsense where a
// flow ends before it starts; that is as good as nothing.
func (r *record) readDuration(t []byte, _ *Reader) error {
	seconds, fraction, _ := bytes.Cut(t, []byte("."))
	s, err := parseUint(seconds, math.MaxUint64)
	if err != nil || len(fraction) != 3 {
		return fmt.Errorf("%.40q is no duration in seconds, such as 1.250", t)
	}
	ms, err := parseUint(fraction, 999)
	if err == nil && s < 1<<32 {
		r.duration = int64(1000*s + ms)
	}
	return err
}

// readProtocol reads a number, or a name as nfdump has them.
func (r *record) readProtocol(t []byte, _ *Reader) (err error) {
	if n, named := protocols[string(t)]; named {
		r.protocol = n
	} else if r.protocol, err = parseUint(t, math.MaxUint8); err != nil {
		return fmt.Errorf("%.40q is no protocol that nfdump names", t)
	}
	r.batch.SetUint(flow.Protocol, r.row, r.protocol)
	return nil
}

// readFlags reads ...AP.SF, or a number.
func (r *record) readFlags(t []byte, _ *Reader) (err error) {
	const letters = "CEUAPRSF"
	if len(t) != len(letters) {
		digits, base := strings.CutPrefix(string(t), "0x")
		r.flags, err = strconv.ParseUint(digits, map[bool]int{true: 16, false: 10}[base], 16)
		if err != nil {
			return fmt.Errorf("%.40q are no TCP flags", t)
		}
		return nil
	}
	for i, c := range t {
		switch rune(c) {
		case rune(letters[i]):
			r.flags |= 0x80 >> i
		case '.':
		default:
			return fmt.Errorf("%.40q are no TCP flags, such as ...AP.SF", t)
		}
	}
	return nil
}

// readEngine reads type/id of NetFlow v5 and v7.
func (r *record) readEngine(t []byte, _ *Reader) error {
	kind, id, _ := bytes.Cut(t, []byte("/"))
	k, err1 := parseUint(kind, math.MaxUint8)
	n, err2 := parseUint(id, math.MaxUint8)
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("%.40q is no engine, such as 0/1", t)
	}
	if k|n > 0 {
		r.domain = k<<8 | n
	}
	return nil
}

// readVersion reads how the flow was exported. nfdump has its own numbers for
// what did not come by NetFlow.
func (r *record) readVersion(t []byte, _ *Reader) error {
	v, err := strconv.ParseUint(strings.TrimLeftFunc(string(t), unicode.IsLetter), 10, 8)
	if err != nil {
		return nil // "sFlow" and the like
	}
	if _, known := flow.Schema[flow.ExportProtocol].Names[v]; known {
		r.version = v
	}
	return nil
}

// readDirection reads I or E, 0 or 1. What says ingress may say nothing at all.
func (r *record) readDirection(t []byte, _ *Reader) error {
	switch string(t) {
	case "0", "I", "":
	case "1", "E":
		r.batch.SetUint(flow.Direction, r.row, 1)
	default:
		return fmt.Errorf("%.40q is no direction", t)
	}
	return nil
}

// readTunnel reads the IP protocol of a tunnel.
func (r *record) readTunnel(t []byte, from *Reader) error {
	n, err := parseUint(t, math.MaxUint8)
	if err != nil {
		return err
	}
	if kind, known := map[uint64]uint64{4: 1, 41: 2, 47: 3}[n]; known {
		r.batch.SetUint(flow.Tunnel, r.row, kind)
	} else if n > 0 {
		from.stats.Unheld["tun proto"]++
	}
	return nil
}

// finish completes the row, and adds the one for the way back.
func (r *record) finish(from *Reader) error {
	b, row := r.batch, r.row
	if !b.Present[row].Has(flow.SrcAddr) || !b.Present[row].Has(flow.DstAddr) {
		return errors.New("the flow has no addresses")
	}
	if !b.Present[row].Has(flow.Protocol) {
		return errors.New("the flow has no protocol")
	}
	address := from.cfg.Exporter
	if r.exporter.IsValid() && !r.exporter.IsUnspecified() {
		address = flow.AddrFrom(r.exporter)
	}
	if address == (flow.Addr{}) {
		return errors.New("the flow does not name the router it came from: name it with --exporter ADDRESS")
	}
	if r.mendTimes() {
		from.stats.Mended++
	}
	if r.sampled {
		from.stats.Sampled++
	}
	b.SetAddr(flow.Exporter, row, address)
	b.SetUint(flow.Received, row, uint64(r.received))
	b.SetUint(flow.Start, row, uint64(r.start))
	b.SetUint(flow.End, row, uint64(r.end))
	b.SetUint(flow.ExportProtocol, row, r.version)
	b.SetUint(flow.ObservationDomain, row, r.domain)
	b.SetUint(flow.Packets, row, r.packets)
	b.SetUint(flow.Bytes, row, r.bytes)
	b.SetUint(flow.SamplingRate, row, 1)
	b.SetUint(flow.SamplingSource, row, flow.SamplingAssumed)
	if r.aggregated > 1 {
		b.SetUint(flow.AggregatedFlows, row, r.aggregated)
	}
	if r.outMAC > 0 && !b.Present[row].Has(flow.DstMAC) {
		b.SetUint(flow.DstMAC, row, r.outMAC)
	}
	r.transport()
	if r.outPackets > 0 || r.outBytes > 0 {
		r.reverse()
	}
	return nil
}

// transport sets what depends on the protocol. nfdump keeps type and code of
// ICMP in the destination port.
func (r *record) transport() {
	b, row := r.batch, r.row
	switch r.protocol {
	case 1, 58:
		kind, code := r.icmpType, r.icmpCode
		if kind == 0 && code == 0 {
			kind, code = r.destinationPort>>8, r.destinationPort&0xff
		}
		b.SetUint(flow.ICMPType, row, kind)
		b.SetUint(flow.ICMPCode, row, code)
		return
	case 6, 17, 33, 132, 136: // TCP, UDP, DCCP, SCTP, UDPLite have ports, 0 or not
		b.SetUint(flow.SrcPort, row, r.sourcePort)
		b.SetUint(flow.DstPort, row, r.destinationPort)
	default:
		if r.sourcePort|r.destinationPort > 0 {
			b.SetUint(flow.SrcPort, row, r.sourcePort)
			b.SetUint(flow.DstPort, row, r.destinationPort)
		}
	}
	if r.protocol == 6 || r.flags > 0 {
		b.SetUint(flow.TCPFlags, row, r.flags)
	}
}

// mendTimes makes times that a flow can have, and tells whether it had to
// invent any.
//
// csv cuts both times to the second, but has the duration to the millisecond:
// the start is moved to the earliest moment within its second at which both
// seconds and the duration are right.
func (r *record) mendTimes() (mended bool) {
	switch {
	case r.start == 0 && r.end == 0:
		r.start, r.end, mended = r.received, r.received, true
	case r.duration >= 0 && r.whole:
		if r.end > (r.start+r.duration)/1000*1000 {
			r.start += 1000 - r.duration%1000
		}
		r.end = r.start + r.duration
	case r.duration >= 0 && r.end == 0:
		r.end = r.start + r.duration
	}
	if r.end < r.start {
		r.end, mended = r.start, true
	}
	if r.received == 0 {
		r.received = r.end // the nearest that is known
	}
	return mended
}

// reverse appends the way back, as the decoders of NetFlow do: source and
// destination exchanged, and of the rest what holds for both directions.
func (r *record) reverse() {
	b, row := r.batch, r.row
	back := b.Extend(1)
	for _, pair := range ends {
		r.copy(pair[0], back, pair[1])
		r.copy(pair[1], back, pair[0])
	}
	for _, c := range shared {
		r.copy(c, back, c)
	}
	b.SetUint(flow.Packets, back, r.outPackets)
	b.SetUint(flow.Bytes, back, r.outBytes)
	b.SetUint(flow.Biflow, row, flow.BiflowForward)
	b.SetUint(flow.Biflow, back, flow.BiflowReverse)
}

var ends = [][2]flow.Column{
	{flow.SrcAddr, flow.DstAddr}, {flow.SrcPort, flow.DstPort}, {flow.SrcMask, flow.DstMask},
	{flow.SrcAS, flow.DstAS}, {flow.PrevAS, flow.NextAS}, {flow.InIf, flow.OutIf}, {flow.InVRF, flow.OutVRF},
	{flow.SrcMAC, flow.DstMAC}, {flow.SrcVLAN, flow.DstVLAN}, {flow.SrcUser, flow.DstUser},
	{flow.PostNATSrcAddr, flow.PostNATDstAddr}, {flow.PostNATSrcPort, flow.PostNATDstPort},
}

var shared = []flow.Column{
	flow.Received, flow.Exporter, flow.ExportProtocol, flow.ObservationDomain, flow.Start, flow.End, flow.SamplingRate, flow.SamplingSource,
	flow.Protocol, flow.EtherType, flow.CustomerVLAN, flow.FlowEndReason,
	flow.FirewallEvent, flow.FirewallExtEvent, flow.IngressACL, flow.EgressACL, flow.NATEvent, flow.NATPortStart, flow.NATPortEnd,
}

// copy gives a row the value that another column has in the record's.
func (r *record) copy(from flow.Column, row int, to flow.Column) {
	b := r.batch
	if !b.Present[r.row].Has(from) {
		return
	}
	switch flow.Schema[from].Kind {
	case flow.Address:
		b.SetAddr(to, row, b.Addr(from)[r.row])
	case flow.Text:
		b.SetText(to, row, bytes.Clone(b.Text(from, r.row)))
	default:
		b.SetUint(to, row, b.Uint(from, r.row))
	}
}

// protocols are the names that nfdump prints, which are not IANA's.
var protocols = func() map[string]uint64 {
	// In the order of their numbers; - where nfdump prints the number. IDPR
	// stands for two, 35 and 38: the first is taken.
	const names = `- ICMP IGMP GGP IPIP ST TCP CBT EGP IGP BBN NVPII PUP ARGUS ENCOM XNET CHAOS UDP MUX DCN HMP PRM XNS Trnk1 Trnk2 Leaf1
		Leaf2 RDP IRTP ISO-4 NETBK MFESP MEINP DCCP 3PC IDPR XTP DDP IDPR TP++ IL IPv6 SDRP Rte6 Frag6 IDRP RSVP GRE MHRP BNA ESP
		AH INLSP SWIPE NARP MOBIL TLSP SKIP ICMP6 NOHE6 OPTS6 HOST CFTP NET SATNT KLAN RVD IPPC FS SATM VISA IPCV CPNX CPHB WSN
		PVP BSATM SUNND WBMON WBEXP ISOIP VMTP SVMTP VINES TTP NSIGP DGP TCF EIGRP OSPF S-RPC LARP MTP AX.25 OS MICP SCCSP ETHIP ENCAP -
		GMTP IFMP PNNI PIM ARIS SCPS QNX A/N IPcmp SNP CpqPP IPXIP VRRP PGM 0hop L2TP DDX IATP STP SRP UTI SMP SM PTP ISIS4
		FIRE CRTP CRUDP - IPLT SPS PIPE SCTP FC - MHEAD UDP-L MPLS`
	m := map[string]uint64{}
	for n, name := range strings.Fields(names) {
		if _, taken := m[name]; !taken && name != "-" {
			m[name] = uint64(n)
		}
	}
	return m
}()
