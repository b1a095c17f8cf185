package collect

import (
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/wire/netflow"
)

// rowsSink keeps what it is given.
type rowsSink struct{ *flow.Batch }

func (s rowsSink) Write(b *flow.Batch) error {
	s.Append(b, 0, b.Len())
	return nil
}

// TestLocal: flows that this process metered are complete, and their exporter is
// told of as others are; it is not forgotten among many.
func TestLocal(t *testing.T) {
	sink := rowsSink{flow.NewBatch(0)}
	c := New(Config{Listen: []string{}, Exporters: ExporterConfig{Max: 4}}, sink, slog.New(slog.DiscardHandler))
	address := netip.MustParseAddr("192.0.2.1")
	l := c.Local(address, 7)
	l.Name(netflow.InterfaceName{Index: 2, Name: "eth0"})
	for i := range 20 {
		c.Exporters.Decode([]byte{0, 9, 0, 0}, netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}), int64(i), flow.NewBatch(1))
	}
	now := time.UnixMilli(1_700_000_060_000)
	b := flow.NewBatch(1)
	row := b.Extend(1)
	for column, v := range map[flow.Column]uint64{
		flow.Start: 1_700_000_000_000, flow.End: 1_700_000_059_000, flow.Packets: 10, flow.Bytes: 1000,
		flow.SamplingRate: 100, flow.SamplingSource: flow.SamplingRecord, flow.InIf: 2,
	} {
		b.SetUint(column, row, v)
	}
	l.Observe(990, 10)
	if err := l.Write(b, now); err != nil || b.Len() != 0 {
		t.Fatalf("%v, %d rows left", err, b.Len())
	}
	if sink.Len() != 1 || sink.Addr(flow.Exporter)[0].Netip() != address {
		t.Fatalf("%d rows", sink.Len())
	}
	for column, want := range map[flow.Column]uint64{
		flow.Received: 1_700_000_060_000, flow.ExportProtocol: flow.Probe, flow.ObservationDomain: 7,
		flow.SamplingRate: 100, flow.SamplingSource: flow.SamplingRecord, flow.End: 1_700_000_059_000,
	} {
		if got := sink.Uint(column, 0); got != want {
			t.Errorf("%s is %d, expected %d", column, got, want)
		}
	}
	for column := range flow.Required.All() {
		if !sink.Present[0].Has(column) {
			t.Errorf("there is no %s", column)
		}
	}
	d, ok := c.Exporters.Details(address)
	if !ok || len(d.Domains) != 1 || len(d.Interfaces) != 1 || d.Interfaces[0].Name != "eth0" {
		t.Fatalf("%+v", d)
	}
	if got := d.Domains[0]; got.Protocol != "probe" || got.Domain != 7 || got.Flows != 1 || got.MissingUnits != 10 {
		t.Errorf("%+v", got)
	}
	for _, r := range c.Exporters.Readings(true) {
		if r.Exporter == address && (r.Domains[0].Units != 990 || r.Domains[0].Longest != 59_000) {
			t.Errorf("%+v", r.Domains[0])
		}
	}
	if c.Flows() != 1 {
		t.Errorf("%d flows", c.Flows())
	}
}
