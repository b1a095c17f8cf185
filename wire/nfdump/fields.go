package nfdump

import (
	"bytes"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"time"

	"github.com/minamo-flow/minamo/flow"
)

// field is what a name of nfdump's stands for.
type field struct {
	name string
	role role
	read func(r *record, text []byte, from *Reader) error
}

// role marks the fields without which there is no flow.
type role uint8

const (
	isOther role = iota
	isStart
	isEnd
	isDuration
	isSource
	isDestination
	isProtocol
	isPackets
	isBytes
)

var needed = []struct {
	role        role
	what, names string
}{
	{isStart, "the start of flows", "ts, firstSeen"},
	{isSource, "their source address", "sa, srcAddr"},
	{isDestination, "their destination address", "da, dstAddr"},
	{isProtocol, "their protocol", "pr, proto"},
	{isPackets, "their packets", "ipkt, packets, inPackets"},
	{isBytes, "their bytes", "ibyt, bytes, inBytes"},
}

// Fields by the names of csv: those of versions 1.6 and 1.7.1, then those that
// versions from 1.7.3 on use.
var csvFields = byName(
	fields(start, "ts", "firstSeen"), fields(end, "te", "lastSeen"), fields(received, "tr", "received"), fields(duration, "td", "duration"),
	fields(source, "sa", "srcAddr"), fields(destination, "da", "dstAddr"), fields(protocol, "pr", "proto"),
	fields(sourcePort, "sp", "srcPort"), fields(destinationPort, "dp", "dstPort"), fields(tcpFlags, "flg", "flags"),
	fields(icmpType, "icmpTYpe", "icmpType"), fields(icmpCode, "icmpCode"),
	fields(packets, "ipkt", "packets", "inPackets"), fields(octets, "ibyt", "bytes", "inBytes"),
	fields(outPackets, "opkt", "outPackets"), fields(outOctets, "obyt", "outBytes"), fields(aggregated, "flows"),
	fields(said(flow.TOS), "stos", "srcTos", "tos"), fields(number(flow.PostTOS), "dtos", "dstTos"),
	fields(number(flow.ForwardingStatus), "fwd", "fwdStatus"), fields(direction, "dir", "direction"),
	fields(number(flow.InIf), "in", "input"), fields(number(flow.OutIf), "out", "output"),
	fields(number(flow.SrcAS), "sas", "srcAS"), fields(number(flow.DstAS), "das", "dstAS"), fields(number(flow.PrevAS), "prevAS"), fields(number(flow.NextAS), "nextAS"),
	fields(number(flow.SrcMask), "smk", "srcMask"), fields(number(flow.DstMask), "dmk", "dstMask"),
	fields(address(flow.NextHop), "nh", "nextIP"), fields(address(flow.BGPNextHop), "bgpNextIP"), fields(bgpNextHopOfCSV, "nhb"),
	fields(number(flow.SrcVLAN), "svln", "srcVlan"), fields(number(flow.DstVLAN), "dvln", "dstVlan"),
	fields(mac(flow.SrcMAC), "ismc", "inSrcMac"), fields(outDestinationMAC, "odmc", "outDstMac"), fields(mac(flow.DstMAC), "idmc", "inDstMac"), fields(unheldMAC, "osmc", "outSrcMac"),
	mplsFields("mpls%d"), mplsFields("mplsLabel%d"),
	fields(unheld, "cl", "sl", "al", "clientLatency", "serverLatency", "appLatency"),
	fields(exporter, "ra", "routerIP"), fields(engine, "eng", "engine"), fields(domain, "obsDomainID"), fields(unheld, "obsPointID"),
	fields(exportVersion, "version"),
	fields(number(flow.FlowEndReason), "endReason"),
	fields(number(flow.FirewallExtEvent), "xEvent"), fields(address(flow.PostNATSrcAddr), "srcXIP"), fields(address(flow.PostNATDstAddr), "dstXIP"),
	fields(number(flow.PostNATSrcPort), "srcXPort"), fields(number(flow.PostNATDstPort), "dstXPort"),
	fields(accessList(flow.IngressACL), "ingressACL"), fields(accessList(flow.EgressACL), "egressACL"), fields(text(flow.SrcUser), "nselUser"),
	fields(number(flow.NATPortStart), "pbStart"), fields(number(flow.NATPortEnd), "pbEnd"),
	fields(number(flow.InVRF), "ingressVrfID"), fields(number(flow.OutVRF), "egressVrfID"), fields(number(flow.TTL), "minTTL"),
	fields(unheld, "connectionID", "eventTime", "event", "pbStep", "pbSize", "nbarID", "nbarName", "flowID", "inSrvID", "outSrvID", "natString", "ja3", "ja4", "sniName", "tlsVersion", "label", "maxTTL", "Frag", "inIfName", "outIfName", "biDirection"),
	// What other fields say, too, or what nfdump looked up elsewhere.
	fields(passOver, "exid", "exporterID", "count", "cnt", "af", "Ident", "bps", "pps", "bpp", "srcNet", "dstNet", "srcGeo", "dstGeo", "srcLocation", "dstLocation", "srcOrg", "dstOrg", "srcTor", "dstTor"),
)

// Fields by the keys of JSON.
var jsonFields = byName(
	fields(start, "first"), fields(end, "last"), fields(received, "received"),
	fields(packets, "in_packets"), fields(octets, "in_bytes"), fields(outPackets, "out_packets"), fields(outOctets, "out_bytes"), fields(aggregated, "aggr_flows"),
	fields(protocol, "proto"), fields(tcpFlags, "tcp_flags"), fields(sourcePort, "src_port"), fields(destinationPort, "dst_port"),
	fields(icmpType, "icmp_type"), fields(icmpCode, "icmp_code"), fields(said(flow.TOS), "src_tos"), fields(number(flow.PostTOS), "dst_tos"),
	fields(source, "src4_addr", "src6_addr"), fields(destination, "dst4_addr", "dst6_addr"),
	fields(number(flow.InIf), "input_snmp"), fields(number(flow.OutIf), "output_snmp"),
	fields(number(flow.SrcMask), "src_mask"), fields(number(flow.DstMask), "dst_mask"), fields(number(flow.ForwardingStatus), "fwd_status"), fields(direction, "direction"),
	fields(number(flow.SrcVLAN), "src_vlan", "vlanID"), fields(number(flow.DstVLAN), "dst_vlan", "post_vlanID"), fields(number(flow.CustomerVLAN), "cust_vlanID"), fields(number(flow.EtherType), "ethertype"),
	fields(number(flow.SrcAS), "src_as"), fields(number(flow.DstAS), "dst_as"), fields(number(flow.PrevAS), "prev_as"), fields(number(flow.NextAS), "next_as"),
	fields(address(flow.BGPNextHop), "bgp4_next_hop", "bgp6_next_hop"), fields(address(flow.NextHop), "ip4_next_hop", "ip6_next_hop"),
	fields(exporter, "ip4_router", "ip6_router"), mplsFields("mpls_%d"),
	fields(mac(flow.SrcMAC), "in_src_mac"), fields(outDestinationMAC, "out_dst_mac"), fields(mac(flow.DstMAC), "in_dst_mac"), fields(unheldMAC, "out_src_mac"),
	fields(domain, "observationDoaminID", "observationDomainID"), // 1.7.1 spells it so
	fields(number(flow.InVRF), "ingress_vrf"), fields(number(flow.OutVRF), "egress_vrf"),
	fields(tunnelProtocol, "tun proto", "tun_proto"), fields(address(flow.TunnelSrcAddr), "src4_tun_ip", "src6_tun_ip"), fields(address(flow.TunnelDstAddr), "dst4_tun_ip", "dst6_tun_ip"),
	fields(said(flow.FirewallEvent), "event_id"), fields(number(flow.FirewallExtEvent), "xevent_id"),
	fields(address(flow.PostNATSrcAddr), "src4_xlt_ip", "src6_xlt_ip"), fields(address(flow.PostNATDstAddr), "dst4_xlt_ip", "dst6_xlt_ip"),
	fields(number(flow.PostNATSrcPort), "src_xlt_port"), fields(number(flow.PostNATDstPort), "dst_xlt_port"),
	fields(accessList(flow.IngressACL), "ingress_acl"), fields(accessList(flow.EgressACL), "egress_acl"), fields(text(flow.SrcUser), "user_name"),
	fields(number(flow.NATEvent), "nat_event_id"), fields(number(flow.NATPortStart), "pblock_start"), fields(number(flow.NATPortEnd), "pblock_end"),
	fields(number(flow.TTL), "ip_minttl"), fields(sampled, "sampled"),
	fields(unheld, "observationPointID", "connect_id", "t_event", "pblock_step", "pblock_size", "nat_pool_id", "cli_latency", "srv_latency", "app_latency", "ja3", "ja3 hash", "ja4 hash", "ja4s hash", "sni", "label",
		"ip_maxttl", "ip_fragment", "post_cust_vlanID", "phys_ingress", "phys_egress", "flowID", "inServiceID", "outServiceID", "natString"),
	fields(passOver, "type", "cnt", "ident", "export_sysid", "src_net", "dst_net", "event", "nat_event", "ip_version", "src4_geo", "dst4_geo", "src6_geo", "dst6_geo"),
)

func byName(groups ...[]*field) map[string]*field {
	m := map[string]*field{}
	for _, g := range groups {
		for _, f := range g {
			m[f.name] = f
		}
	}
	return m
}

func fields(f field, names ...string) []*field {
	list := make([]*field, len(names))
	for i, name := range names {
		list[i] = &field{name, f.role, f.read}
		if f.read == nil {
			list[i].read = countUnheld(name)
		}
	}
	return list
}

// mplsFields are the labels from the top of the stack on.
func mplsFields(form string) (list []*field) {
	for i := range 10 {
		list = append(list, fields(mplsLabel(flow.MPLSLabel1+flow.Column(i)), fmt.Sprintf(form, i+1))...)
	}
	return list
}

var (
	start    = field{role: isStart, read: func(r *record, t []byte, from *Reader) error { return r.moment(&r.start, t, from) }}
	end      = field{role: isEnd, read: func(r *record, t []byte, from *Reader) error { return r.moment(&r.end, t, from) }}
	received = field{read: func(r *record, t []byte, from *Reader) error { return r.moment(&r.received, t, from) }}
	duration = field{role: isDuration, read: (*record).readDuration}

	source          = field{role: isSource, read: address(flow.SrcAddr).read}
	destination     = field{role: isDestination, read: address(flow.DstAddr).read}
	protocol        = field{role: isProtocol, read: (*record).readProtocol}
	sourcePort      = intoUint(func(r *record) *uint64 { return &r.sourcePort }, math.MaxUint16)
	destinationPort = intoUint(func(r *record) *uint64 { return &r.destinationPort }, math.MaxUint16)
	icmpType        = intoUint(func(r *record) *uint64 { return &r.icmpType }, math.MaxUint8)
	icmpCode        = intoUint(func(r *record) *uint64 { return &r.icmpCode }, math.MaxUint8)
	tcpFlags        = field{read: (*record).readFlags}

	packets    = field{role: isPackets, read: intoUint(func(r *record) *uint64 { return &r.packets }, math.MaxUint64).read}
	octets     = field{role: isBytes, read: intoUint(func(r *record) *uint64 { return &r.bytes }, math.MaxUint64).read}
	outPackets = intoUint(func(r *record) *uint64 { return &r.outPackets }, math.MaxUint64)
	outOctets  = intoUint(func(r *record) *uint64 { return &r.outBytes }, math.MaxUint64)
	aggregated = intoUint(func(r *record) *uint64 { return &r.aggregated }, math.MaxUint64)

	exporter = field{read: func(r *record, t []byte, _ *Reader) (err error) {
		r.exporter, err = parseAddr(t)
		return err
	}}
	domain        = intoUint(func(r *record) *uint64 { return &r.domain }, math.MaxUint32)
	engine        = field{read: (*record).readEngine}
	exportVersion = field{read: (*record).readVersion}
	direction     = field{read: (*record).readDirection}

	// Devices that tell only where the frame went to.
	outDestinationMAC = field{read: func(r *record, t []byte, _ *Reader) (err error) {
		r.outMAC, err = parseMAC(t)
		return err
	}}
	unheldMAC      = field{}
	tunnelProtocol = field{read: (*record).readTunnel}
	sampled        = field{read: func(r *record, t []byte, _ *Reader) error {
		n, err := parseUint(t, math.MaxUint64)
		r.sampled = n > 0
		return err
	}}

	// csv of nfdump 1.7.1 prints the next hop in place of BGP's where that is
	// of IPv6: better nothing than that.
	bgpNextHopOfCSV = field{read: func(r *record, t []byte, from *Reader) error {
		if bytes.IndexByte(t, ':') >= 0 {
			return nil
		}
		return address(flow.BGPNextHop).read(r, t, from)
	}}

	unheld   = field{}
	passOver = field{read: func(*record, []byte, *Reader) error { return nil }}
)

// countUnheld counts a field that no column holds, where it says something.
func countUnheld(name string) func(*record, []byte, *Reader) error {
	return func(_ *record, t []byte, from *Reader) error {
		if !saysNothing(t) {
			from.stats.Unheld[name]++
		}
		return nil
	}
}

// saysNothing tells the values that nfdump fills in where there is none.
func saysNothing(t []byte) bool {
	switch string(t) {
	case "<none>", "<empty>", "none", "null":
		return true
	}
	return len(bytes.Trim(t, "0.:-")) == 0
}

// number is a column in which 0 stands for nothing.
func number(c flow.Column) field {
	return field{read: func(r *record, t []byte, _ *Reader) error {
		v, err := parseUint(t, flow.Schema[c].Kind.Greatest())
		if v > 0 && err == nil {
			r.batch.SetUint(c, r.row, v)
		}
		return err
	}}
}

// said is a column in which 0 is a value like others: whoever exports flows
// tells it.
func said(c flow.Column) field {
	return field{read: func(r *record, t []byte, _ *Reader) error {
		v, err := parseUint(t, flow.Schema[c].Kind.Greatest())
		if err == nil {
			r.batch.SetUint(c, r.row, v)
		}
		return err
	}}
}

func intoUint(into func(*record) *uint64, greatest uint64) field {
	return field{read: func(r *record, t []byte, _ *Reader) (err error) {
		*into(r), err = parseUint(t, greatest)
		return err
	}}
}

// address is a column in which 0.0.0.0 and :: stand for nothing; but as source
// or destination they are what the flow had.
func address(c flow.Column) field {
	return field{read: func(r *record, t []byte, _ *Reader) error {
		a, err := parseAddr(t)
		if err == nil && (!a.IsUnspecified() || c == flow.SrcAddr || c == flow.DstAddr) && a.IsValid() {
			r.batch.SetAddr(c, r.row, flow.AddrFrom(a))
		}
		return err
	}}
}

func mac(c flow.Column) field {
	return field{read: func(r *record, t []byte, _ *Reader) error {
		v, err := parseMAC(t)
		if v > 0 && err == nil {
			r.batch.SetUint(c, r.row, v)
		}
		return err
	}}
}

func text(c flow.Column) field {
	return field{read: func(r *record, t []byte, _ *Reader) error {
		if !saysNothing(t) {
			r.batch.SetText(c, r.row, t)
		}
		return nil
	}}
}

// accessList is three numbers: 0x3edcde49/0xaa62ac3/0x56e8512e.
func accessList(c flow.Column) field {
	return field{read: func(r *record, t []byte, _ *Reader) error {
		if len(bytes.Trim(t, "0x/")) > 0 {
			r.batch.SetText(c, r.row, t)
		}
		return nil
	}}
}

// mplsLabel is label-experimental-bottom: 16-0-1.
func mplsLabel(c flow.Column) field {
	return field{read: func(r *record, t []byte, _ *Reader) error {
		label, _, _ := bytes.Cut(t, []byte("-"))
		v, err := parseUint(label, 1<<20-1)
		if err == nil && len(bytes.Trim(t, "0-")) > 0 {
			r.batch.SetUint(c, r.row, v)
		}
		return err
	}}
}

func parseUint(t []byte, greatest uint64) (uint64, error) {
	var v uint64
	if len(t) == 0 || len(t) > 20 {
		return 0, fmt.Errorf("%.40q is no number", t)
	}
	for _, c := range t {
		d := uint64(c - '0')
		if d > 9 {
			return 0, fmt.Errorf("%.40q is no whole number", t)
		}
		if v > (math.MaxUint64-d)/10 {
			return 0, fmt.Errorf("%.40q is too great", t)
		}
		v = 10*v + d
	}
	if v > greatest {
		return 0, fmt.Errorf("%d is too great", v)
	}
	return v, nil
}

func parseAddr(t []byte) (netip.Addr, error) {
	if len(t) == 0 {
		return netip.Addr{}, nil
	}
	a, err := netip.ParseAddr(string(t))
	if err != nil || a.Zone() != "" {
		return a, fmt.Errorf("%.60q is no address", t)
	}
	return a, nil
}

func parseMAC(t []byte) (v uint64, err error) {
	if len(t) != 17 {
		return 0, fmt.Errorf("%.40q is no MAC address", t)
	}
	for i := 0; i < 17; i += 3 {
		n, err := strconv.ParseUint(string(t[i:i+2]), 16, 8)
		if err != nil || i > 0 && t[i-1] != ':' {
			return 0, fmt.Errorf("%.40q is no MAC address", t)
		}
		v = v<<8 | n
	}
	return v, nil
}

// parseTime returns milliseconds since the epoch, of 2026-11-22 23:57:00 or
// with T, with milliseconds or without, with a zone or without; or of seconds
// with a point, or milliseconds without one, since the epoch. A date of zeros
// is 0.
func parseTime(t []byte, location *time.Location) (int64, error) {
	s := string(t)
	if len(bytes.Trim(t, "0-:. T")) == 0 && len(t) > 0 {
		return 0, nil
	}
	if len(s) > 10 && s[4] == '-' {
		for _, layout := range []string{"2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006-01-02 15:04:05Z07:00", "2006-01-02T15:04:05Z07:00"} {
			// A fraction is read whether the layout has one or not.
			if at, err := time.ParseInLocation(layout, s, location); err == nil {
				return at.UnixMilli(), nil
			}
		}
		return 0, fmt.Errorf("%.40q is no time", t)
	}
	seconds, fraction, point := bytes.Cut(t, []byte("."))
	v, err := parseUint(seconds, latest)
	if err != nil {
		return 0, fmt.Errorf("%.40q is no time", t)
	}
	if !point {
		return int64(v), nil
	}
	ms, err := parseUint(fraction, 999)
	if err != nil || len(fraction) != 3 || v > latest/1000 {
		return 0, fmt.Errorf("%.40q is no time", t)
	}
	return int64(1000*v + ms), nil
}

// latest is the end of the year 9999, in milliseconds.
const latest = 253402300799999
