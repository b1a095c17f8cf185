package numbers

import (
	"net/netip"
	"testing"
	"time"
)

var (
	router = netip.MustParseAddr("192.0.2.1")
	noon   = time.Date(2026, 11, 16, 12, 0, 0, 0, time.UTC)
)

// TestEras: an interface is followed through all changes, and one that is no more
// is nobody else.
func TestEras(t *testing.T) {
	hour := func(n int) time.Time { return noon.Add(time.Duration(n) * time.Hour) }
	eras := Eras(router, []Change{
		{At: hour(1).Add(20 * time.Second), Now: map[uint32]uint32{1: 2, 2: 3, 3: 1}},
		{At: hour(2), Now: map[uint32]uint32{1: 4}, Gone: map[uint32]string{2: "ge-0/0/2"}},
		{At: hour(3), Now: map[uint32]uint32{4: 3, 3: 2}},
	})
	for _, x := range []struct {
		hour     int
		index    uint32
		expected uint32
	}{
		{0, 1, Gone | 2}, // 1, 2, and then no more
		{0, 2, 2},        // 2, 3, 3, 2
		{0, 3, 3},        // 3, 1, 4, 3
		{0, 7, 7},
		{1, 1, 3},
		{1, 2, Gone | 2},
		{1, 3, 2},
		{2, 3, 2},
		{2, 4, 3},
		{2, 2, 2},
		{3, 2, 2},
		{3, 3, 3},
		{9, 4, 4},
	} {
		if got := Of(eras, router, x.index, hour(x.hour).Add(time.Minute)); got != x.expected {
			t.Errorf("%d after %d hours is %d today, expected %d", x.index, x.hour, got, x.expected)
		}
	}
	if got := Of(eras, netip.MustParseAddr("192.0.2.2"), 1, noon); got != 1 {
		t.Errorf("another device's 1 is %d", got)
	}
	if first := eras[0]; !first.From.IsZero() || !first.To.Equal(hour(1).Add(20*time.Second)) {
		t.Errorf("from %v to %v", first.From, first.To)
	}
}

// TestBack: an interface that was no more comes back.
func TestBack(t *testing.T) {
	eras := Eras(router, []Change{
		{At: noon, Now: map[uint32]uint32{1: 2}, Gone: map[uint32]string{2: "ge-0/0/2"}},
		{At: noon.Add(time.Hour), Now: map[uint32]uint32{Gone | 2: 5}},
	})
	if got := Of(eras, router, 2, noon.Add(-time.Hour)); got != 5 {
		t.Errorf("it is %d today", got)
	}
}

// TestThereAndBack: what is as it was needs nothing.
func TestThereAndBack(t *testing.T) {
	eras := Eras(router, []Change{
		{At: noon, Now: map[uint32]uint32{1: 2, 2: 1}},
		{At: noon.Add(time.Hour), Now: map[uint32]uint32{1: 2, 2: 1}},
	})
	if len(eras) != 1 || !eras[0].From.Equal(noon) || eras[0].Today[1] != 2 {
		t.Errorf("%+v", eras)
	}
}
