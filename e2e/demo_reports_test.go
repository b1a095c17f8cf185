package e2e

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/gaissmai/bart"

	"github.com/minamo-flow/minamo/probe"
	"github.com/minamo-flow/minamo/simulate"
)

// A beside is a standard report beside the truth: into which groups streams fall
// that the truth knows, and in which of them a row of the report belongs.
type beside struct {
	report string
	filter string // of the report; only then
	only   func(s *simulate.Stream) bool

	// truth is the key of a stream, as the report's rows have it: the values of its
	// dimensions with spaces between, — for none.
	truth func(s *simulate.Stream) string
	// parts, in place of truth, is that of a part of a stream.
	parts func(s *simulate.Stream, p *simulate.Part) string
	// row is the key of the truth that a row belongs to, false if it can be none's;
	// without it that is the row's own. why tells why rows are summed up: what the
	// truth does not know of a packet that nobody sampled.
	row        func(w *world, r *answered) (string, bool)
	why        string
	percentile bool // its value is the 95th percentile of buckets
}

// answered is a row of a report, or several together.
type answered struct {
	values []string // of its dimensions
	key    string
	label  string

	packets, bytes, value float64
	stated                float64 // how far off the value may be, in 95 of 100 cases
}

// world is the address plan, by address.
type world struct{ holders bart.Table[simulate.Prefix] }

func router(s *simulate.Stream) string { return s.In.Router.Addr.String() }

func exports(s *simulate.Stream, protocols ...string) bool {
	for _, p := range protocols {
		if s.In.Router.Vendor.Protocol == p {
			return true
		}
	}
	return false
}

func forwarded(s *simulate.Stream) bool { return s.Status>>6 == 1 }

func dropped(s *simulate.Stream) bool { return s.Status>>6 == 2 }

// own is a word of one of the carrier's own prefixes: that is its list of networks.
func own(p simulate.Prefix, word string) string {
	if p.AS != simulate.CarrierAS || word == "" {
		return "—"
	}
	return word
}

// text is values as the key of a row.
func text(values ...any) string {
	words := make([]string, len(values))
	for i, v := range values {
		if words[i] = "—"; v != nil {
			words[i] = fmt.Sprint(v)
		}
	}
	return strings.Join(words, " ")
}

func together(*world, *answered) (string, bool) { return "", true }

// whose is whoever has an address, or a network.
func whose(w *world, value string, bits4, bits6 int) (string, bool) {
	p, err := netip.ParsePrefix(value)
	if err != nil {
		a, err := netip.ParseAddr(value)
		if err != nil {
			return "", false
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	if h, ok := w.holders.LookupPrefix(p); ok {
		return around(h, bits4, bits6), true
	}
	return p.String(), true // several holders have parts of it
}

// around is a prefix of the plan, or the network of so many bits that it is in.
func around(p simulate.Prefix, bits4, bits6 int) string {
	bits := bits4
	if p.Prefix.Addr().Is6() {
		bits = bits6
	}
	q, _ := p.Prefix.Addr().Prefix(min(bits, p.Prefix.Bits()))
	return q.String()
}

// scanned are the ports that scans try, of which some are others' too.
var scanned = map[int]bool{22: true, 23: true, 445: true, 2323: true, 3389: true, 5555: true, 8080: true}

const whoever = "which address of a prefix a packet has is decided when it is sampled"

// besides are all standard reports.
var besides = []beside{
	{report: "traffic", truth: func(*simulate.Stream) string { return "" }},
	{report: "protocol", truth: func(s *simulate.Stream) string { return text(s.Protocol) }},
	{
		report: "application",
		truth: func(s *simulate.Stream) string {
			switch {
			case s.Application == "rtp":
				return "17 rtp"
			case s.Application == "scan" || s.Protocol == 6 && scanned[int(s.Port)]:
				return "6 scanned"
			}
			return text(s.Protocol, s.Port)
		},
		row: func(_ *world, r *answered) (string, bool) {
			port, protocol := 0, ""
			if n, _ := fmt.Sscanf(r.key, "%d/%s", &port, &protocol); n != 2 {
				protocol = r.key
			}
			number, ok := map[string]int{"tcp": 6, "udp": 17, "sctp": 132, "udplite": 136, "icmp": 1, "ipv6": 41, "gre": 47, "esp": 50, "ah": 51, "ospf": 89, "l2tp": 115}[protocol]
			switch {
			case protocol == "udp" && port >= 16384 && port < 16384+2*4096 && port%2 == 0:
				return "17 rtp", ok
			case protocol == "tcp" && scanned[port]:
				return "6 scanned", ok
			}
			return text(number, port), ok
		},
		why: "a call has one of 4096 ports, a scan one of eight: which one is decided when a packet is sampled",
	},
	{
		report: "packet-size",
		truth:  func(*simulate.Stream) string { return "" },
		row:    together,
		why:    "it groups flows by the mean of their packets, and which packets are one flow is up to routers",
	},
	{
		report: "packet-size", filter: "router 127.1.0.3", // sFlow: each packet is a flow
		only: func(s *simulate.Stream) bool { return exports(s, probe.SFlow5) },
		parts: func(_ *simulate.Stream, p *simulate.Part) string {
			class := 0
			for _, from := range []int{64, 128, 256, 512, 1024, 1501} {
				if int(p.Shortest) >= from {
					class = from
				}
			}
			return text(class)
		},
	},
	{
		report: "duration",
		truth:  func(*simulate.Stream) string { return "" },
		row: func(_ *world, r *answered) (string, bool) {
			from, err := strconv.Atoi(r.key)
			return "", err == nil && from < 60_000 // routers' active timer
		},
		why: "how long a flow is depends on which of its packets are sampled",
	},
	{
		report: "duration", filter: "router 127.1.0.3",
		only:  func(s *simulate.Stream) bool { return exports(s, probe.SFlow5) },
		truth: func(*simulate.Stream) string { return "0" },
	},
	{report: "ip-version", truth: func(s *simulate.Stream) string {
		if s.From.Prefix.Addr().Is6() {
			return "6"
		}
		return "4"
	}},
	{report: "dscp", truth: func(s *simulate.Stream) string { return text(s.TOS >> 2) }},
	{
		report: "tcp-flags",
		truth:  func(s *simulate.Stream) string { return text(s.Protocol == 6) },
		row: func(_ *world, r *answered) (string, bool) {
			flags, _ := strconv.Atoi(r.key)
			return text(flags != 0), flags&^0x1b == 0 // FIN, SYN, PSH, ACK
		},
		why: "which flags a packet has is decided when it is sampled; only TCP has any",
	},
	{report: "icmp", truth: func(s *simulate.Stream) string {
		if s.Protocol == 1 {
			return text(1, s.ICMPType, 0)
		}
		return text(s.Protocol, nil, nil)
	}},
	{
		report: "source", why: whoever,
		truth: func(s *simulate.Stream) string { return around(s.From, 32, 128) },
		row:   func(w *world, r *answered) (string, bool) { return whose(w, r.values[0], 32, 128) },
	},
	{
		report: "destination", why: whoever,
		truth: func(s *simulate.Stream) string { return around(s.To, 32, 128) },
		row:   func(w *world, r *answered) (string, bool) { return whose(w, r.values[0], 32, 128) },
	},
	{
		report: "conversation", why: whoever,
		truth: func(s *simulate.Stream) string { return text(around(s.From, 32, 128), around(s.To, 32, 128)) },
		row: func(w *world, r *answered) (string, bool) {
			from, ok := whose(w, r.values[0], 32, 128)
			to, ok2 := whose(w, r.values[1], 32, 128)
			return text(from, to), ok && ok2
		},
	},
	{
		report: "subnet-source", why: whoever,
		truth: func(s *simulate.Stream) string { return around(s.From, 24, 48) },
		row:   func(w *world, r *answered) (string, bool) { return whose(w, r.values[0], 24, 48) },
	},
	{
		report: "subnet-destination", why: whoever,
		truth: func(s *simulate.Stream) string { return around(s.To, 24, 48) },
		row:   func(w *world, r *answered) (string, bool) { return whose(w, r.values[0], 24, 48) },
	},
	{report: "as-source", truth: func(s *simulate.Stream) string { return text(s.From.AS) }},
	{report: "as-destination", truth: func(s *simulate.Stream) string { return text(s.To.AS) }},
	{report: "as-pair", truth: func(s *simulate.Stream) string { return text(s.From.AS, s.To.AS) }},
	{report: "country-source", truth: func(s *simulate.Stream) string { return s.From.Country }},
	{report: "country-destination", truth: func(s *simulate.Stream) string { return s.To.Country }},
	{report: "network-source", truth: func(s *simulate.Stream) string { return own(s.From, s.From.Name) }, row: labelled},
	{report: "network-destination", truth: func(s *simulate.Stream) string { return own(s.To, s.To.Name) }, row: labelled},
	{report: "customer-source", truth: func(s *simulate.Stream) string { return own(s.From, s.From.Name) }, row: labelled},
	{report: "customer-destination", truth: func(s *simulate.Stream) string { return own(s.To, s.To.Name) }, row: labelled},
	{report: "site", truth: func(s *simulate.Stream) string { return text(own(s.From, s.From.City), own(s.To, s.To.City)) }},
	{report: "neighbour-source", truth: func(s *simulate.Stream) string { // of these devices only sFlow's tells it
		if exports(s, probe.SFlow5) && forwarded(s) {
			return text(s.PrevAS)
		}
		return "—"
	}},
	{report: "neighbour-destination", truth: func(s *simulate.Stream) string {
		if exports(s, probe.SFlow5) && forwarded(s) && s.NextAS != 0 {
			return text(s.NextAS)
		}
		return "—"
	}},
	{report: "exporter", truth: router},
	{report: "interface-in", truth: func(s *simulate.Stream) string { return text(router(s), s.In.IfIndex) }},
	{report: "interface-out", truth: outBy},
	{report: "percentile-in", percentile: true, truth: func(s *simulate.Stream) string { return text(router(s), s.In.IfIndex) }},
	{report: "percentile-out", percentile: true, truth: outBy},
	{report: "forwarding", truth: func(s *simulate.Stream) string {
		switch {
		case exports(s, probe.NetFlow9):
			return text(router(s), s.Status)
		case exports(s, probe.SFlow5) && dropped(s):
			return text(router(s), 128)
		}
		return text(router(s), nil) // Junos and NetFlow v5 do not tell, sFlow of what it dropped only
	}},
	{report: "direction", truth: func(s *simulate.Stream) string {
		if exports(s, probe.NetFlow5) {
			return text(router(s), nil)
		}
		return text(router(s), "ingress")
	}},
}

func labelled(_ *world, r *answered) (string, bool) { return r.label, true }

func outBy(s *simulate.Stream) string {
	if s.Out == nil {
		return text(router(s), 0)
	}
	return text(router(s), s.Out.IfIndex)
}
