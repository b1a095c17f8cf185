package snmp

import (
	"log/slog"
	"net/netip"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/minamo-flow/minamo/enrich/numbers"
	"github.com/minamo-flow/minamo/internal/durable"
)

// TestWhoMayNotBeAskedIsKept: a device that the configuration leaves out for a while
// keeps what became of its numbers.
func TestWhoMayNotBeAskedIsKept(t *testing.T) {
	file := filepath.Join(t.TempDir(), "devices.json")
	text := `{"version":1,"devices":[{"address":"192.0.2.1","list":[{"index":2,"name":"a","up":true}],"changes":[{"at":"2026-11-20T05:30:00Z","now":{"1":2}}]}]}`
	if err := durable.WriteFile(file, []byte(text)); err != nil {
		t.Fatal(err)
	}
	p := New(Config{StateFile: file}, slog.New(slog.DiscardHandler))
	device := netip.MustParseAddr("192.0.2.1")
	if got := numbers.Of(p.Eras(), device, 1, time.Date(2026, 11, 20, 5, 0, 0, 0, time.UTC)); got != 2 {
		t.Errorf("1 is %d", got)
	}
	before, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.save(); err != nil {
		t.Fatal(err)
	}
	if after, err := Load(file); err != nil || len(after) != 1 || !reflect.DeepEqual(after, before) {
		t.Errorf("%v, %+v", err, after)
	}
}
