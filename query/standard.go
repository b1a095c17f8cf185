package query

// StandardReport is a report that has a name: a question that network
// operators ask every day, and how to read its answer.
type StandardReport struct {
	Name   string
	Title  string
	By     []string // dimensions, as ParseDimension takes them
	Metric Metric   // unless who asks wants another
	Doc    string   // how to read it
}

// StandardReports lists the standard reports.
func StandardReports() []StandardReport { return standardReports }

var standardReports = []StandardReport{
	{"protocol", "Protocols", []string{"protocol"}, BPS,
		"Which IP protocols carry the traffic. TCP and UDP (QUIC) make up nearly all of it on most networks; much GRE, ESP or IP-in-IP is tunnels, whose inside this does not show. ICMP beyond a percent or so deserves a look."},
	{"application", "Applications", []string{"app"}, BPS,
		"Traffic by service: of the two ports the one that is well known, else the lower one. It is a guess from port numbers: who runs something else on 443 is counted as https. Many rows of high ports are peer-to-peer, media or a scan."},
	{"source", "Sources", []string{"src_addr"}, BPS, "Who sends most."},
}
