package server

import (
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/minamo-flow/minamo/counters"
)

// TestInterfacesTellWhatTheyCount reads two readings a minute apart: rates are what
// moved, and what nobody counted lately is null, not nought.
func TestInterfacesTellWhatTheyCount(t *testing.T) {
	h := counters.Open(counters.Config{Dir: t.TempDir()}, slog.New(slog.DiscardHandler))
	t.Cleanup(func() { h.Close() })
	device := netip.MustParseAddr("192.0.2.1")
	now := time.Now()
	for i := range uint64(2) {
		h.Add(&counters.Reading{Device: device, Source: counters.SNMP, Interfaces: []counters.Interface{{
			Index: 7, At: now.Add(time.Duration(i)*time.Minute - 2*time.Minute),
			Amounts: counters.Amounts{InOctets: 1000 + 7500*i, OutOctets: 15_000 * i, InPackets: 10 * i, OutDiscards: 30 * i},
		}}})
	}
	s := &Server{Deps: Deps{Counters: h}}
	c := s.counted(&Interface{Exporter: device, Index: 7}, now)
	if c.In == nil || *c.In != 1000 || *c.Out != 2000 || *c.OutDiscards != 0.5 || *c.InDiscards != 0 || *c.InErrors != 0 {
		t.Errorf("%+v", c)
	}
	if c := s.counted(&Interface{Exporter: device, Index: 7}, now.Add(time.Hour)); c != (InterfaceCounted{}) {
		t.Errorf("an hour old: %+v", c)
	}
	if c := s.counted(&Interface{Exporter: device, Index: 8}, now); c != (InterfaceCounted{}) {
		t.Errorf("another one: %+v", c)
	}
}
