package netflow

import (
	"encoding/binary"
	"testing"

	"github.com/minamo-flow/minamo/flow"
)

// A datagram decoded after a shift says the same, later.
func TestShiftClock(t *testing.T) {
	const by = 86_400_000 * 365
	for name, datagrams := range shiftCases() {
		t.Run(name, func(t *testing.T) {
			plain, shifted := NewSession(Config{}), NewSession(Config{})
			want, got := flow.NewBatch(8), flow.NewBatch(8)
			var m Message
			for _, d := range datagrams {
				if err := plain.Decode(d, 0, want, &m); err != nil {
					t.Fatal(err)
				}
				if unknown := plain.ShiftClock(d, by); unknown != 0 {
					t.Fatalf("%d sets are unknown", unknown)
				}
				if err := shifted.Decode(d, 0, got, &m); err != nil {
					t.Fatal(err)
				}
			}
			if want.Len() == 0 || want.Len() != got.Len() {
				t.Fatalf("%d rows, then %d", want.Len(), got.Len())
			}
			for i := range want.Len() {
				for _, c := range []flow.Column{flow.Start, flow.End} {
					if moved := got.Time(c)[i] - want.Time(c)[i]; moved != by {
						t.Errorf("row %d: %v moved by %d ms, want %d", i, c, moved, int64(by))
					}
				}
			}
		})
	}
}

func shiftCases() map[string][][]byte {
	be := binary.BigEndian
	v5 := make([]byte, v5Header+v5.least)
	be.PutUint16(v5, 5)
	be.PutUint16(v5[2:], 1)
	be.PutUint32(v5[4:], 100_000)
	be.PutUint32(v5[8:], 1_500_000_000)
	be.PutUint32(v5[12:], 999_500_000)
	be.PutUint32(v5[v5Header+24:], 90_000)
	be.PutUint32(v5[v5Header+28:], 95_000)

	set := func(id uint16, body ...byte) []byte {
		return append(be.AppendUint16(be.AppendUint16(nil, id), uint16(4+len(body))), body...)
	}
	words := func(values ...uint16) (b []byte) {
		for _, v := range values {
			b = be.AppendUint16(b, v)
		}
		return b
	}
	datagram := func(version uint16, sets ...[]byte) []byte {
		length := map[uint16]int{9: v9Header, 10: ipfixHeader}[version]
		d := make([]byte, length)
		be.PutUint16(d, version)
		if version == 9 {
			be.PutUint32(d[4:], 100_000)
			be.PutUint32(d[8:], 1_500_000_000)
		} else {
			be.PutUint32(d[4:], 1_500_000_000)
		}
		for _, s := range sets {
			d = append(d, s...)
		}
		if version == 10 {
			be.PutUint16(d[2:], uint16(len(d)))
		}
		return d
	}
	const at = 1_500_000_000
	millis := be.AppendUint64(be.AppendUint64(nil, at*1000-5000), at*1000-250)
	seconds := be.AppendUint32(be.AppendUint32(nil, at-5), at-1)
	ntp := be.AppendUint64(be.AppendUint64(nil, (at-5+ntpEpoch)<<32|1<<31), (at-1+ntpEpoch)<<32)
	uptime := be.AppendUint32(be.AppendUint32(nil, 80_000), 90_000)
	booted := append(append([]byte{}, uptime...), be.AppendUint64(nil, at*1000-100_000)...)
	return map[string][][]byte{
		"v5":                   {v5},
		"v9 uptime":            {datagram(9, set(0, words(256, 2, 22, 4, 21, 4)...), set(256, uptime...))},
		"v9 absolute":          {datagram(9, set(0, words(256, 2, 152, 8, 153, 8)...), set(256, millis...))},
		"ipfix milliseconds":   {datagram(10, set(2, words(256, 2, 152, 8, 153, 8)...)), datagram(10, set(256, millis...))},
		"ipfix seconds":        {datagram(10, set(2, words(256, 2, 150, 4, 151, 4)...), set(256, seconds...))},
		"ipfix microseconds":   {datagram(10, set(2, words(256, 2, 154, 8, 155, 8)...), set(256, ntp...))},
		"ipfix uptime, booted": {datagram(10, set(2, words(256, 3, 22, 4, 21, 4, 160, 8)...), set(256, booted...))},
		"ipfix, booted in options": {
			datagram(10, set(3, words(257, 2, 1, 149, 4, 160, 8)...), set(257, append([]byte{0, 0, 0, 0}, be.AppendUint64(nil, at*1000-100_000)...)...)),
			datagram(10, set(2, words(256, 2, 22, 4, 21, 4)...), set(256, uptime...)),
		},
		"ipfix without times": {datagram(10, set(2, words(256, 1, 1, 4)...), set(256, 0, 0, 0, 9))},
	}
}

func TestShiftClockLeavesTheUnknownAlone(t *testing.T) {
	s := NewSession(Config{})
	d := shiftCases()["ipfix milliseconds"][1]
	if unknown := s.ShiftClock(d, 5000); unknown != 1 {
		t.Errorf("%d sets are unknown, want 1", unknown)
	}
	for _, d := range [][]byte{nil, {0}, {0, 9}, {0, 10, 0, 0}, {0, 0, 0, 5}} {
		s.ShiftClock(d, 5000)
	}
}
