package collect

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// ErrVersion is the cause where a datagram's protocol is not one we decode;
// test with errors.Is. Perhaps it is no flow export at all.
var ErrVersion = errors.New("not NetFlow 1, 5, 7, 8 or 9, IPFIX, or sFlow 2, 4 or 5")

// DatagramError says that a datagram, or part of it, could not be used.
type DatagramError struct {
	Exporter netip.Addr
	Err      error
}

func (e *DatagramError) Error() string { return fmt.Sprintf("exporter %s: %v", e.Exporter, e.Err) }
func (e *DatagramError) Unwrap() error { return e.Err }

// MalformedError names the kinds of faults in a datagram that was otherwise decoded.
type MalformedError struct {
	Problems []string // the labels of minamo_exporter_problems_total
}

func (e *MalformedError) Error() string { return "malformed: " + strings.Join(e.Problems, ", ") }

// Stand-ins for versions that have no number of their own.
const (
	versionNone  = 0xffffffff // a datagram too short to have one
	versionOther = 0xfffffffe // more kinds than are counted one by one
)

func unknownVersion(version uint32) error {
	return fmt.Errorf("unknown version %d: %w", version, ErrVersion)
}

// versionLabel is the metric label of a rejected version.
func versionLabel(version uint32) string {
	switch version {
	case versionNone:
		return "none"
	case versionOther:
		return "other"
	}
	return fmt.Sprint(version)
}
