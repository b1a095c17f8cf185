package query

import (
	"fmt"
	"slices"
)

// StandardReport is a report that has a name: a question that network
// operators ask every day, and how to read its answer.
type StandardReport struct {
	Name   string
	Title  string
	By     []string // dimensions, as ParseDimension takes them; none is all traffic in one row
	Metric Metric   // unless who asks wants another
	Doc    string   // how to read it
}

// Dimensions are those of By.
func (s *StandardReport) Dimensions() []Dimension {
	by := make([]Dimension, len(s.By))
	for i, name := range s.By {
		d, err := ParseDimension(name)
		if err != nil {
			panic(fmt.Sprintf("query: standard report %s: %v", s.Name, err)) // a mistake in the table below
		}
		by[i] = d
	}
	return by
}

// StandardReports lists the standard reports. All of them are answered from
// cells, whatever the range, unless a filter asks for more.
func StandardReports() []StandardReport { return slices.Clone(standardReports) }

// ParseStandardReport finds a standard report by its name.
func ParseStandardReport(name string) (StandardReport, error) {
	names := make([]string, len(standardReports))
	for i, s := range standardReports {
		if names[i] = s.Name; s.Name == name {
			return s, nil
		}
	}
	if near := nearest(name, names); near != "" {
		return StandardReport{}, fmt.Errorf("report %q is unknown; did you mean %q?", name, near)
	}
	return StandardReport{}, fmt.Errorf("report %q is unknown", name)
}

var standardReports = []StandardReport{
	{"traffic", "All traffic", nil, BPS,
		"Everything in one row; with a series, the curve of the whole network. Compare it with a week ago before anything else: what is unusual there has a cause in one of the other reports. " +
			"Routers that export packets as they come in and again as they go out count twice here; the scope once counts them once per router."},
	{"protocol", "Protocols", []string{"protocol"}, BPS,
		"Which IP protocols carry the traffic. TCP and UDP, with QUIC in it, are nearly all of it on most networks. " +
			"Much GRE, ESP or IP in IP is tunnels, whose inside this does not show; ICMP above a percent or so, by packets, deserves a look."},
	{"application", "Applications", []string{"app"}, BPS,
		"Traffic by service: of the two ports the one that is well known, else the lower one, with IANA's name. It follows port numbers, not contents: whatever runs on 443 is https here. " +
			"Much UDP from 53, 123, 389 or 11211 that nobody asked for is a reflection attack; many rows of high ports are peer-to-peer, media, or a scan."},
	{"packet-size", "Packet sizes", []string{"packet_size"}, PPS,
		"Flows by their mean packet size. Usual traffic has two humps: acknowledgements below 128 bytes and full packets above 1024. " +
			"A hump below 64 bytes that grows alone is a flood of SYNs or of small UDP, which loads routers by packets long before it loads lines by bits."},
	{"duration", "Flow durations", []string{"duration"}, Flows,
		"How long flows last, as exported. Long connections are cut at the exporter's active timeout, often one or thirty minutes, so a peak there is the timeout and not the users. " +
			"Nearly only flows of one packet, of no duration, mean heavy sampling, a scan or a flood."},
	{"ip-version", "IP versions", []string{"ip_version"}, BPS,
		"IPv4 against IPv6. The share of IPv6 moves slowly; a step in it means that a large service, a customer or a tunnel changed family, or that one family has lost its route."},
	{"dscp", "Traffic classes", []string{"dscp"}, BPS,
		"Traffic by DSCP, as the packets were marked when they were metered. Voice belongs in EF, routing protocols in CS6; much EF from an edge that should not be trusted takes the priority queue from those who pay for it. " +
			"Everything in best effort on a network with classes means that markings are lost on the way."},
	{"tcp-flags", "TCP flags", []string{"tcp_flags"}, Flows,
		"Flows by the union of their TCP flags, a letter for each that is set. Whole connections have S, A, F or R, and P where there was data (...AP.SF); S alone is a connection that nobody answered: a scan, a flood, or a server that is down. " +
			"R and A alone is the answer of closed ports. Cut at an active timeout, the middle of a connection has A and P only. Flows without flags are not TCP, or the exporter does not tell."},
	{"icmp", "ICMP", []string{"protocol", "icmp_type", "icmp_code"}, Packets,
		"ICMP by type and code. Echo (8, 0) in proportion is monitoring; much destination unreachable (3) points at the victims of scans and of forged sources, time exceeded (11) at routing loops or traceroute, " +
			"and fragmentation needed (3, 4) or packet too big (ICMPv6 2) at a link with a small MTU. The row without a type is everything else."},
	{"source", "Sources", []string{"src_addr"}, BPS,
		"Who sends most. Set beside destinations it tells servers from clients; one source far above its own past is a new service, a backup, or an infected host. " +
			"Where most traffic is in Other, no single sender matters: look at applications and networks instead."},
	{"destination", "Destinations", []string{"dst_addr"}, BPS,
		"Who receives most. An address of your own network that jumps up, above all by packets per second or by the number of different sources, may be under attack; mirror it to see whether it answers."},
	{"conversation", "Conversations", []string{"src_addr", "dst_addr"}, BPS,
		"Who talks to whom, each direction apart. A backup or a replication is one great pair; an attack from many sources is none at all. " +
			"The mirror shows what flows back: a large transfer brings a few percent of it as acknowledgements, and nothing back is a one-way flow or an asymmetric route."},
	{"subnet-source", "Source networks", []string{"src_addr/24/48"}, BPS,
		"Sources by network, /24 of IPv4 and /48 of IPv6: customers and sites rather than hosts. It shows what single addresses hide, such as a data centre's many servers or a botnet's neighbourhood."},
	{"subnet-destination", "Destination networks", []string{"dst_addr/24/48"}, BPS,
		"Destinations by network, /24 of IPv4 and /48 of IPv6. An attack that sprays a whole customer network (carpet bombing) stays small on each address and is great here."},
	{"as-source", "Source ASes", []string{"src_as"}, BPS,
		"Which networks the traffic comes from, as the exporter's routes say; candidates for peering are near the top. " +
			"AS 0 is the exporter's own AS or a route it does not know: many routers report 0 for local prefixes, and all do where origin AS is not configured."},
	{"as-destination", "Destination ASes", []string{"dst_as"}, BPS,
		"Which networks the traffic goes to, as the exporter's routes say. AS 0 is the exporter's own AS or an unknown route. Together with as-source it shows who is out of balance, which is what peering talks are about."},
	{"as-pair", "AS pairs", []string{"src_as", "dst_as"}, BPS,
		"Traffic from AS to AS. On a transit network this is the traffic matrix of customers; pairs of foreign ASes on a network that sells no transit are a leak."},
	{"country-source", "Source countries", []string{"src_country"}, BPS,
		"Which countries the traffic comes from, by the address ranges of your database (geo.databases, or *.mmdb files in the data directory's geo folder). It tells where an address is registered, not where the packet began: CDNs, VPNs and forged sources are elsewhere. " +
			"Flows that came before there was a database, and private addresses, have no country."},
	{"country-destination", "Destination countries", []string{"dst_country"}, BPS,
		"Which countries the traffic goes to. A country that is new near the top, above all at night, is a new service, a leak or an infected host: look at who sends there."},
	{"network-source", "Your networks, sending", []string{"src_network"}, BPS,
		"Traffic from each of your networks, by the longest prefix of your list (/api/networks). The row without a network is everything that is not yours. Flows are told apart when they are received: a prefix that is added today names flows from today on, a name that is changed changes for the past, too."},
	{"network-destination", "Your networks, receiving", []string{"dst_network"}, BPS,
		"Traffic to each of your networks. One that rises alone while its own sending does not is a download, a backup, or an attack: look at its sources and at packets per second."},
	{"customer-source", "Customers, sending", []string{"src_customer"}, BPS,
		"Traffic from each customer, all its networks together. Networks without a customer, and what is not yours, are one row."},
	{"customer-destination", "Customers, receiving", []string{"dst_customer"}, BPS,
		"Traffic to each customer, all its networks together: with the 95th percentile (metric p95) a bill's figure; scope once keeps from counting twice what two interfaces of a router metered."},
	{"site", "Sites", []string{"src_site", "dst_site"}, BPS,
		"Traffic between your sites. The row from no site is what comes from outside; a site that talks to another more than to the outside is a candidate for a line of its own."},
	{"neighbour-source", "Neighbour ASes, in", []string{"prev_as"}, BPS,
		"Through which neighbour the traffic came, judged by the route back to its source. Routes are often asymmetric, so trust interface-in where the two differ; exporters must be set to report peer ASes."},
	{"neighbour-destination", "Neighbour ASes, out", []string{"next_as"}, BPS,
		"To which neighbour the traffic goes. Watch it while you change announcements or local preference: traffic must move from one row to another, and the total stay."},
	{"exporter", "Exporters", []string{"exporter"}, BPS,
		"How much each router reports. One that falls to nothing, while its interfaces carry on, exports no more: look at its flow cache, at the path to the collector and at the sampling rate. A jump by ten or a hundred is a sampling rate that changed."},
	{"interface-in", "Input interfaces", []string{"exporter", "in_if"}, BPS,
		"Traffic by the interface it came in by. Compare it with the interface's own counters (metric l2bps, which adds Ethernet's overhead): less is loss or a wrong sampling rate, double is an interface that exports in both directions."},
	{"interface-out", "Output interfaces", []string{"exporter", "out_if"}, BPS,
		"Traffic by the interface it left by. Interface 0 is what the router dropped or kept for itself; the report forwarding tells more of that. The mirror shows the same interfaces' input."},
	{"percentile-in", "95th percentile, in", []string{"exporter", "in_if"}, P95,
		"The 95th percentile of the bits per second of each input interface, over buckets of five minutes, the nearest rank as in billing; buckets without traffic count as zero. It ignores a day and a half of peaks a month, so compare it with the peak before you believe that a line is large enough."},
	{"percentile-out", "95th percentile, out", []string{"exporter", "out_if"}, P95,
		"The 95th percentile of each output interface, likewise. Bills take the greater of the two directions, over a calendar month and from the other side's counters: expect a few percent of difference, more with heavy sampling."},
	{"forwarding", "Forwarding", []string{"exporter", "forwarding_status"}, Packets,
		"What became of the packets, by router: from 64 on forwarded, from 128 on dropped, from 192 on kept by the router itself, with the reason (RFC 7270). " +
			"Drops by an access list or a policer are what somebody configured; unroutable, adjacency and hardware are faults. Routers that say nothing of it are one row each."},
	{"direction", "Directions", []string{"exporter", "direction"}, Flows,
		"Whether routers meter packets as they come in, as they go out, or both. Where a router does both, all traffic that crosses it is there twice: use the scope once or ingress for totals. Routers without a direction meter what comes in."},
}
