package collect

import "github.com/minamo-flow/minamo/flow"

// sequence follows the sequence numbers of one observation domain and tells
// loss from reordering and restarts. Units differ by protocol: NetFlow v5, v7
// and v8 count flows, v9 and sFlow datagrams, IPFIX data records; v1 has none.
type sequence struct {
	loss

	started bool
	next    uint32 // expected
	late    uint32 // units of the last gaps that may still come

	stepped bool   // the last datagram lay a little back, and filled no gap
	before  uint32 // what was expected before it
}

// loss is what a sequence tells.
type loss struct {
	missing    uint64 // units that never came
	reorders   uint64 // datagrams that came late, or twice
	duplicates uint64 // of those, the ones that filled no gap
	restarts   uint64
}

// add adds what a sequence told since it told before; it may take back
// something, too.
func (l *loss) add(now, before loss) {
	l.missing += now.missing - before.missing
	l.reorders += now.reorders - before.reorders
	l.duplicates += now.duplicates - before.duplicates
	l.restarts += now.restarts - before.restarts
}

// maxGap is the longest jump forward that is believed to be loss, in units;
// beyond it the exporter has restarted its numbering.
const maxGap = 1 << 20

// reorderUnits is how far back a datagram may lie and still be called late
// rather than a restart: about a hundred datagrams.
func reorderUnits(protocol uint8) uint32 {
	switch protocol {
	case flow.NetFlow9, flow.SFlow2, flow.SFlow4, flow.SFlow5:
		return 100
	}
	return 3000 // a hundred datagrams of thirty records
}

// follow takes the number of a datagram and the units it carries. known is
// false where the units could not be counted (a data set without its
// template): then the next datagram only sets the expectation anew.
func (s *sequence) follow(number, units uint32, known bool, reorder uint32) {
	expected, started := s.next, s.started
	s.started = known
	if s.stepped && number == s.before {
		// It went on as before: that one came twice, or late; it was no restart.
		s.restarts--
		s.reorders++
		s.duplicates++
		expected = number
	}
	s.stepped = false
	ahead := int32(number - expected)
	switch {
	case !started || ahead == 0:
	case ahead > 0 && ahead < maxGap:
		s.missing += uint64(ahead)
		s.late = min(s.late+uint32(ahead), reorder)
	case ahead < 0 && uint32(-ahead) <= reorder && s.late > 0:
		// It fills a gap: these units are not missing after all.
		came := min(units, s.late)
		s.late -= came
		s.missing -= uint64(came)
		s.reorders++
		s.started = true
		return // the expectation stands
	default:
		s.restarts++
		s.late = 0
		s.stepped, s.before = ahead < 0 && uint32(-ahead) <= reorder, expected
	}
	s.next = number + units
}
