// Package simulate is a small carrier with known truth: Hotaru Networks, two
// PoPs, five routers of five makers, two transits, an IX, fourteen customers, a
// CDN cache and a DNS resolver, and the Internet around it. Its routers meter
// sampled packets with probe's cache and export what they saw over real sockets
// with probe's exporters; what really went through them is counted beside.
// `minamo demo` runs it, and tests hold what Minamo says against its Truth.
//
//	plan.go, parties.go     who there is: ASes, prefixes, countries
//	network.go, vendor.go   routers, interfaces, links, the way of a packet
//	application.go          what applications' packets look like
//	traffic.go, curve.go    who talks to whom, how much, and when
//	conversation.go         which conversation a packet belongs to
//	router.go, sight.go     sampling, metering, exporting
//	sflow.go, link.go       packet samples with real headers; the way to a collector
//	counters.go             SNMP's view; simulate/snmp answers with it
//	account.go, truth*.go   what happened, minute by minute
//	scenario.go, faults.go  what can be wrong, and how that is done
//
// # How so much traffic costs so little
//
// Some Gbit/s are a million packets a second, which nobody wants to simulate.
// Traffic is a set of streams: packets of one application, from one prefix to
// another, by one path. How many packets of which sizes a stream has in a minute
// is decided once, in whole numbers; from that follow the truth and all
// interface counters, exactly. Only the packets that a router samples become
// packets: each router's sampler walks over the streams' packets and says how
// many it takes. A sampled packet then gets a time within the minute, and the
// conversation it belongs to is computed, not looked up: see conversation.go.
//
// Metering, export and the collectors are real: what a scenario breaks, breaks in
// the same code that runs in a probe.
//
// # What is to come
//
// Attacks and infected hosts are relations with a curve of their own, which a
// scenario switches on (as ipv6-unseen does); routes for BGP and BMP follow from
// AddressPlan and the interfaces' neighbours; names for DNS belong to parties.
//
// Everything follows from Config: the same seed gives the same bytes. Nothing
// here reads the clock.
package simulate
