package query

import (
	"testing"
	"time"

	"github.com/minamo-flow/minamo/flow"
)

// TestUnspread counts each flow whole where it ends, and compares with that in
// plain Go: nothing is lost, and nothing is where it is not told.
func TestUnspread(t *testing.T) {
	e := newEngine(t)
	b := sampled(31, 500)
	files := writeParquet(t, e, b)
	from, step, n := int64(epoch+300_000), int64(60_000), 12
	want := make([]Sums, n)
	for i := range b.Len() {
		end := max(b.Time(flow.Start)[i], b.Time(flow.End)[i])
		if bucket := (end - from) / step; end >= from && bucket < int64(n) {
			rate := uint64(b.U32(flow.SamplingRate)[i])
			want[bucket].add(Sums{1, b.U64(flow.Packets)[i] * rate, b.U64(flow.Bytes)[i] * rate})
		}
	}
	r := Report{From: time.UnixMilli(from), To: time.UnixMilli(from + int64(n)*step), Metric: Bytes, Step: time.Minute, Unspread: true}
	a, err := e.Report(t.Context(), Of(files), r)
	if err != nil {
		t.Fatal(err)
	}
	var total Sums
	for i, w := range want {
		total.add(w)
		if got := a.Rows[0].Values[i]; got != float64(w.Bytes) {
			t.Errorf("minute %d: %v bytes, want %d", i, got, w.Bytes)
		}
	}
	if a.Total.Sums != total || total.Flows < 50 {
		t.Errorf("%+v in all, want %+v", a.Total.Sums, total)
	}
	r.Unspread = false
	spread, err := e.Report(t.Context(), Of(files), r)
	if err != nil || spread.Total.Bytes == total.Bytes {
		t.Errorf("spread: %+v, %v", spread.Total.Sums, err)
	}
}
