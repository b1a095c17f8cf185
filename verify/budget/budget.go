// Package budget reckons with flow records per second: how much of its limit
// each exporter and the collector use, when growth will reach it, and which
// sampling rate on which router keeps all of them under theirs.
//
// It reckons with the minutes that package quality wrote down (package server), and with
// what is typed (`minamo plan`). Nothing here changes how anything is
// collected; what happens when a limit is exceeded all the same stands in
// package collect (thin.go).
//
//	budget.go   use of a limit, its verdict
//	history.go  daily peaks, a measured limit, growth and forecast
//	network.go  those of all exporters, from minutes of package quality
//	decline.go  how many records are left when sampling gets coarser
//	plan.go     which rate on which router, at the least loss of precision
//	error.go    what a rate costs for a flow of a given size
//	lines.go    configuration of routers
package budget

// Verdict tells how a load lies to its limit.
type Verdict string

// The verdicts.
const (
	Fits    Verdict = "fits"
	Near    Verdict = "near"    // more than three quarters of the limit
	Over    Verdict = "over"    // more than the limit
	Unknown Verdict = "unknown" // no limit is known
)

// Reserve is the part of a limit that is to stay free: daily peaks differ, and
// who has to change a router wants to know some time before.
const Reserve = 0.25

// Judge tells how flow records a second lie to a limit; 0 is none.
func Judge(flows, limit float64) Verdict {
	switch {
	case limit <= 0:
		return Unknown
	case flows > limit:
		return Over
	case flows > limit*(1-Reserve):
		return Near
	}
	return Fits
}
