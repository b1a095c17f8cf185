package e2e

import (
	"log/slog"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/minamo-flow/minamo/counters"
)

// TestSwitchCounters: what Open vSwitch's sFlow counter samples say its ports
// counted is what was sent to them, to the byte, and the proof has it.
func TestSwitchCounters(t *testing.T) {
	needRoot(t)
	need(t, "ovs-vswitchd", "ovsdb-server", "ovs-vsctl", "ovsdb-tool", "ethtool", "ip")
	const packets, length = 300, 512 + 8 + 20 + 14 // with the headers of UDP, IPv4 and Ethernet
	v := startSwitch(t)
	data := t.TempDir()
	s := serve(t, data)
	x := newTee(t, v.namespace, s.listen)
	v.configure(t, "set", "bridge", "br0", "sflow=@x", "--", "--id=@x", "create", "sflow", `targets="`+x.address()+`"`, "agent=lo", "sampling=1", "polling=1")

	interfaces := func() (agent netip.Addr, counted map[uint32]float64) {
		var list struct {
			Interfaces []struct {
				Exporter netip.Addr
				Index    uint32
				In       *float64 `json:"in_bps"`
			}
		}
		s.get(t, "/api/interfaces", &list)
		counted = map[uint32]float64{}
		for _, i := range list.Interfaces {
			if i.In != nil {
				agent, counted[i.Index] = i.Exporter, *i.In
			}
		}
		return agent, counted
	}
	// A switch tells its counters with samples, or every few seconds without.
	eventually(t, "the switch's ports are read twice", func() bool {
		traffic(t, v.hosts[1], v.hosts[0], "192.0.2.1", transfer{"udp", 9, 512})
		_, counted := interfaces()
		return len(counted) >= 2
	})
	began := time.Now()
	traffic(t, v.hosts[0], v.hosts[1], "192.0.2.2", transfer{"udp", 7000, packets * 512})
	history := func() (in, out uint64) {
		agent, _ := interfaces()
		h := counters.Open(counters.Config{Dir: filepath.Join(data, "counters")}, slog.New(slog.DiscardHandler))
		table, err := h.Table(agent, 0, began.Add(-time.Hour), time.Now().Add(time.Hour), 3*time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		for _, series := range table {
			for _, a := range series.Amounts {
				if a.InOctets >= packets*length { // of the port that took them in
					in = a.InOctets
				}
				if a.OutOctets >= packets*length {
					out = a.OutOctets
				}
			}
		}
		return in, out
	}
	var in, out uint64
	eventually(t, "what was sent is counted", func() bool {
		in, out = history()
		return in > 0 && out > 0
	})
	if in != packets*length || out != packets*length {
		t.Errorf("%d octets in, %d out, %d were sent", in, out, packets*length)
	}
	s.stop(t)
}
