package e2e

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/minamo-flow/minamo/internal/fixtures"
)

// nfdumpDiffers names the recordings that Debian's nfdump reads in another way
// than the protocol's text has it, and why. Ours are checked elsewhere, record
// by record.
var nfdumpDiffers = map[string]string{
	"logstash/IPFIX-Procera": "IPv4 and IPv6 addresses in one record, the IPv6 ones zero: nfdump keeps those",
	"fluent/v9-mpls":         "IPv4 and IPv6 addresses in one record, the IPv6 ones made of the IPv4 ones: nfdump keeps those",
	"netflow_parser/inline/it_parses_ipfix_enterprise_bit_template_and_data": "counters in the elements 231 and 232 (initiatorOctets…): nfdump has no use for them",
}

// ixia counts the way back in elements of its own, which nfdump does not know.
const ixia = "logstash-codec-netflow/ipfix_test_ixia_tpldata271"

// TestRecordings replays what real devices sent to Minamo and to nfcapd, one
// recording after the other, so that templates do not mix.
func TestRecordings(t *testing.T) {
	need(t, "nfcapd", "nfdump")
	compared, bothWays := 0, 0
	for _, c := range fixtures.Cases(t, "nfv5", "nfv9", "ipfix") {
		name, protocols := c.Name, c.Column("protocols")
		if n, _ := strconv.Atoi(c.Column("nfdump_records")); n == 0 {
			continue // not NetFlow or IPFIX, or only templates
		}
		if why := nfdumpDiffers[name]; why != "" {
			t.Logf("not compared: %s: %s", name, why)
			continue
		}
		compared++
		t.Run(name, func(t *testing.T) {
			// nfcapd scales by the sampling rate, unless told a fixed one; told
			// so, it spoils the counters of IPFIX.
			var args []string
			if !strings.Contains(protocols, "ipfix") {
				args = []string{"-s", "-1"}
			}
			peer := startNfcapd(t, "nfcapd", args...)
			data := t.TempDir()
			s := serve(t, data)
			x := newTee(t, "", s.listen, peer.port)
			run(t, minamo, "replay", c.Pcap, "--to", x.address(), "--speed", "max")
			x.flush(t)
			s.stop(t)
			there, back := peer.ledgers(t)
			agree(t, stored(t, data, "not biflow reverse"), "nfcapd", there)
			if reverse := stored(t, data, "biflow reverse"); len(reverse) > 0 && name != ixia {
				bothWays++
				agree(t, reverse, "nfcapd, the way back", back)
			}
		})
	}
	if bothWays < 2 {
		t.Errorf("only %d recordings had records for both directions", bothWays)
	}
	if compared < 20 {
		t.Errorf("only %d recordings were compared", compared)
	}
}

// TestReplayNow demands that a recording of years ago appears at the present,
// with the same figures, and that a paced replay does what it says.
func TestReplayNow(t *testing.T) {
	recording := filepath.Join(fixtures.Dir(t), "cases", "ipfixcol_ipfix_data_02-odid0.pcap")
	data := t.TempDir()
	s := serve(t, data)
	to := fmt.Sprintf("127.0.0.1:%d", s.listen)
	run(t, minamo, "replay", recording, "--to", to, "--speed", "max")
	drained(t, s.listen)
	eventually(t, "the recording is stored", func() bool { return countOf(t, data) == 121 })
	then := stored(t, data)
	if n := stored(t, data, "-t", "-1d").sum().Flows; n != 0 {
		t.Errorf("%d flows of the old recording are from the last day", n)
	}

	run(t, minamo, "replay", recording, "--to", to, "--speed", "max", "--now")
	eventually(t, "the recording is stored again", func() bool { return countOf(t, data) == 242 })
	s.stop(t)
	now := stored(t, data, "-t", "-1d")
	if fmt.Sprint(now) != fmt.Sprint(then) {
		t.Errorf("with --now %+v, without %+v", now.sum(), then.sum())
	}
	for _, row := range flows(t, data, "--raw", "-t", "-1d") {
		end, err := time.Parse(time.RFC3339, fmt.Sprint(row["end"]))
		if err != nil || time.Since(end) < -time.Minute {
			t.Fatalf("end of %v", row)
		}
	}
}
