package simulate

// IP protocols that occur.
const (
	icmp       = 1
	tcp        = 6
	udp        = 17
	ipv6InIPv4 = 41
	gre        = 47
	esp        = 50
	ah         = 51
	icmp6      = 58
	ospf       = 89
	l2tp       = 115
	sctp       = 132
	udpLite    = 136
)

// application is what packets of a kind look like. A conversation is of a
// client with a server: up is the way of the requests, down that of the answers.
type application struct {
	name      string
	index     int // among the applications
	protocol  uint8
	port      uint16 // the server's; 0 where the protocol has none
	tos       uint8
	down, up  mixture
	upPerDown float64  // packets
	packets   float64  // of a conversation, down
	seconds   float64  // that it lasts, on average
	skew      int      // how unequal conversations are: 1 not at all, up to 3
	both      bool     // both sides use the server's port
	ranges    bool     // of ports: port is but where they begin
	icmp      [2]uint8 // types, up and down
}

// size is a part of a direction's packets: their lengths (layer 3) are spread
// evenly from lo to hi. A part does not cross a limit of a size class.
type size struct {
	share  float64
	lo, hi uint32
}

type mixture []size

// mean is the mean length.
func (m mixture) mean() (bytes float64) {
	for _, s := range m {
		bytes += s.share * float64(s.lo+s.hi) / 2
	}
	return bytes
}

var (
	bulk = mixture{{.80, 1500, 1500}, {.08, 600, 1000}, {.12, 52, 52}}
	acks = mixture{{.88, 52, 52}, {.12, 300, 500}}
	web  = mixture{{.66, 1500, 1500}, {.16, 300, 500}, {.18, 52, 52}}
	asks = mixture{{.74, 52, 52}, {.20, 300, 500}, {.06, 1100, 1400}}
	chat = mixture{{.6, 52, 52}, {.4, 80, 120}}
)

// of6 is the mixture in IPv6: where packets are hardly more than their headers,
// those are 20 bytes longer.
func (m mixture) of6() (six mixture) {
	for _, s := range m {
		if s.hi <= 64 {
			s.lo, s.hi = s.lo+20, s.hi+20
		}
		six = append(six, s)
	}
	return six
}

// flat is packets of one length.
func flat(bytes uint32) mixture { return mixture{{1, bytes, bytes}} }

func between(lo, hi uint32) mixture { return mixture{{1, lo, hi}} }

// applications by name. Those of the end are rare, and there nevertheless: a
// tool that shows only the big ones has lost them.
var applications = func() map[string]*application {
	all := map[string]*application{}
	for _, a := range []application{
		{name: "https", protocol: tcp, port: 443, down: web, up: asks, upPerDown: .55, packets: 300, seconds: 15, skew: 3},
		{name: "quic", protocol: udp, port: 443, down: mixture{{.86, 1280, 1380}, {.14, 66, 120}}, up: mixture{{.84, 66, 120}, {.16, 1280, 1380}}, upPerDown: .32, packets: 600, seconds: 25, skew: 3},
		{name: "video", protocol: tcp, port: 443, tos: 0x88, down: bulk, up: acks, upPerDown: .4, packets: 150_000, seconds: 420, skew: 1},
		{name: "http", protocol: tcp, port: 80, down: web, up: asks, upPerDown: .55, packets: 80, seconds: 6, skew: 2},
		{name: "download", protocol: tcp, port: 80, down: bulk, up: acks, upPerDown: .4, packets: 200_000, seconds: 90, skew: 2},
		{name: "dns", protocol: udp, port: 53, down: mixture{{.7, 130, 250}, {.3, 260, 480}}, up: between(66, 100), upPerDown: 1, packets: 1, seconds: .05, skew: 1},
		{name: "ntp", protocol: udp, port: 123, down: flat(76), up: flat(76), upPerDown: 1, packets: 1, seconds: .1, skew: 1, both: true},
		{name: "ssh", protocol: tcp, port: 22, tos: 0x10, down: mixture{{.5, 52, 52}, {.4, 100, 120}, {.1, 600, 1000}}, up: chat, upPerDown: 1, packets: 3000, seconds: 900, skew: 2},
		{name: "smtp", protocol: tcp, port: 25, down: mixture{{.8, 52, 52}, {.2, 66, 120}}, up: mixture{{.7, 1500, 1500}, {.3, 66, 120}}, upPerDown: 1.3, packets: 40, seconds: 6, skew: 2},
		{name: "imaps", protocol: tcp, port: 993, down: mixture{{.4, 1500, 1500}, {.3, 140, 240}, {.3, 52, 52}}, up: chat, upPerDown: .8, packets: 90, seconds: 300, skew: 2},
		{name: "game", protocol: udp, port: 3074, down: between(130, 250), up: between(66, 120), upPerDown: .9, packets: 40_000, seconds: 1500, skew: 1},
		{name: "rtp", protocol: udp, port: 16384, tos: 0xb8, down: flat(200), up: flat(200), upPerDown: 1, packets: 9000, seconds: 180, skew: 1, ranges: true, both: true},
		{name: "sip", protocol: udp, port: 5060, tos: 0x68, down: between(520, 900), up: between(520, 900), upPerDown: 1, packets: 4, seconds: 8, skew: 1, both: true},
		{name: "ipsec-nat-t", protocol: udp, port: 4500, down: mixture{{.6, 1300, 1440}, {.4, 130, 250}}, up: mixture{{.4, 1300, 1440}, {.6, 130, 250}}, upPerDown: .8, packets: 2_000_000, seconds: 28_800, skew: 1, both: true},
		{name: "esp", protocol: esp, down: mixture{{.6, 1300, 1440}, {.4, 130, 250}}, up: mixture{{.4, 1300, 1440}, {.6, 130, 250}}, upPerDown: .8, packets: 5_000_000, seconds: 86_400, skew: 1},
		{name: "gre", protocol: gre, down: mixture{{.6, 1300, 1476}, {.4, 130, 250}}, up: mixture{{.4, 1300, 1476}, {.6, 130, 250}}, upPerDown: .7, packets: 4_000_000, seconds: 86_400, skew: 1},
		{name: "backup", protocol: tcp, port: 873, tos: 0x20, down: acks, up: bulk, upPerDown: 2.2, packets: 2_000_000, seconds: 3600, skew: 1},
		{name: "replication", protocol: tcp, port: 3260, tos: 0x20, down: acks, up: bulk, upPerDown: 2.2, packets: 25_000_000, seconds: 28_800, skew: 1},
		{name: "rdp", protocol: tcp, port: 3389, down: mixture{{.3, 1100, 1400}, {.7, 70, 120}}, up: chat, upPerDown: .7, packets: 30_000, seconds: 1800, skew: 2},
		{name: "mysql", protocol: tcp, port: 3306, down: mixture{{.5, 300, 500}, {.5, 52, 52}}, up: asks, upPerDown: .9, packets: 2000, seconds: 300, skew: 2},
		{name: "ping", protocol: icmp, down: flat(84), up: flat(84), upPerDown: 1, packets: 5, seconds: 5, skew: 1, icmp: [2]uint8{8, 0}},
		{name: "scan", protocol: tcp, port: 23, down: mixture{}, up: flat(40), packets: 1, seconds: .01, skew: 1, ranges: true},
		{name: "bgp", protocol: tcp, port: 179, tos: 0xc0, down: mixture{{.5, 52, 52}, {.3, 71, 71}, {.2, 130, 250}}, up: mixture{{.5, 52, 52}, {.3, 71, 71}, {.2, 130, 250}}, upPerDown: 1, packets: 1_000_000, seconds: 864_000, skew: 1},
		{name: "snmp", protocol: udp, port: 161, tos: 0x40, down: between(260, 500), up: between(70, 120), upPerDown: 1, packets: 300, seconds: 60, skew: 1},
		{name: "ospf", protocol: ospf, tos: 0xc0, down: flat(80), up: flat(80), upPerDown: 1, packets: 100_000, seconds: 864_000, skew: 1},
		{name: "ipv6-in-ipv4", protocol: ipv6InIPv4, down: between(600, 1000), up: between(130, 250), upPerDown: .7, packets: 5000, seconds: 600, skew: 1},
		{name: "l2tp", protocol: l2tp, down: between(600, 1000), up: between(130, 250), upPerDown: .7, packets: 50_000, seconds: 7200, skew: 1},
		{name: "sctp", protocol: sctp, port: 2905, down: between(130, 250), up: between(130, 250), upPerDown: 1, packets: 20_000, seconds: 7200, skew: 1, both: true},
		{name: "ah", protocol: ah, down: between(130, 250), up: between(130, 250), upPerDown: 1, packets: 20_000, seconds: 7200, skew: 1},
		{name: "radius", protocol: udp, port: 1812, down: between(130, 250), up: between(130, 250), upPerDown: 1, packets: 1, seconds: .1, skew: 1},
		{name: "syslog", protocol: udp, port: 514, down: mixture{}, up: between(130, 250), packets: 1, seconds: 30, skew: 1, both: true},
		{name: "tftp", protocol: udp, port: 69, down: flat(544), up: flat(46), upPerDown: 1, packets: 200, seconds: 5, skew: 1},
		{name: "udp-lite", protocol: udpLite, port: 5004, down: between(130, 250), up: between(130, 250), upPerDown: 1, packets: 3000, seconds: 60, skew: 1, both: true},
	} {
		a.index = len(all)
		all[a.name] = &a
	}
	return all
}()
