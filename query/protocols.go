package query

import "strconv"

// protocolNumbers are the names of IP protocols that the filter knows, in
// lower case, after IANA's registry; some have a second, habitual name.
var protocolNumbers = map[string]uint64{
	"hopopt": 0, "icmp": 1, "igmp": 2, "ggp": 3, "ipip": 4, "ipv4": 4, "tcp": 6,
	"egp": 8, "igp": 9, "udp": 17, "rdp": 27, "dccp": 33, "ipv6": 41,
	"ipv6-route": 43, "ipv6-frag": 44, "rsvp": 46, "gre": 47, "esp": 50, "ah": 51,
	"icmp6": 58, "ipv6-icmp": 58, "icmpv6": 58, "ipv6-nonxt": 59, "ipv6-opts": 60,
	"eigrp": 88, "ospf": 89, "etherip": 97, "pim": 103, "ipcomp": 108,
	"vrrp": 112, "l2tp": 115, "isis": 124, "sctp": 132, "fc": 133, "mobility": 135,
	"udplite": 136, "mpls-in-ip": 137, "manet": 138, "shim6": 139, "rohc": 142,
	"ethernet": 143,
}

// protocolLabels are the usual spellings, for tables and charts.
var protocolLabels = map[uint64]string{
	0: "HOPOPT", 1: "ICMP", 2: "IGMP", 4: "IPIP", 6: "TCP", 8: "EGP", 17: "UDP",
	33: "DCCP", 41: "IPv6", 43: "IPv6-Route", 44: "IPv6-Frag", 46: "RSVP",
	47: "GRE", 50: "ESP", 51: "AH", 58: "ICMPv6", 59: "IPv6-NoNxt",
	60: "IPv6-Opts", 88: "EIGRP", 89: "OSPF", 97: "EtherIP", 103: "PIM",
	108: "IPComp", 112: "VRRP", 115: "L2TP", 124: "IS-IS", 132: "SCTP",
	136: "UDPLite", 137: "MPLS-in-IP",
}

// ProtocolLabel returns the usual name of an IP protocol, or its number.
func ProtocolLabel(protocol uint8) string {
	if label, ok := protocolLabels[uint64(protocol)]; ok {
		return label
	}
	return strconv.Itoa(int(protocol))
}
