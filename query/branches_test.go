package query

import (
	"slices"
	"testing"

	"github.com/minamo-flow/minamo/flow"
)

// TestBranches: a filter that is asked in branches finds the same flows in the
// same order as one that is asked whole, and groups them alike.
func TestBranches(t *testing.T) {
	e := newEngine(t)
	var files Files
	for seed := range uint64(3) {
		files = append(files, writeParquet(t, e, randomFlows(20+seed, 700))...)
	}
	columns := []flow.Column{flow.Start, flow.SrcAddr, flow.DstAddr, flow.SrcPort, flow.Packets, flow.Bytes}
	for filter, branches := range map[string]int{
		"ip 10.0.0.1": 2, "ip in [10.0.0.1 10.1.1.1 2001:db8::1]": 2, "proto tcp and host 10.0.0.1 and not port 80": 2,
		"src ip 10.0.0.1 or dst ip 10.0.0.1 or next ip 192.0.2.1": 3,
		// These are no better off in branches.
		"src ip 10.0.0.1": 1, "net 10.0.0.0/16": 1, "port 53": 1, "ip 10.0.0.1 or proto udp": 1, "src and dst net 10.0.0.0/16": 1, "": 1, "any": 1,
		"ip in [10.0.0.1 10.1.0.0/16]": 1,
	} {
		f := filterOf(t, filter)
		if got := len(f.branches()); got != branches {
			t.Errorf("%s has %d branches, want %d", filter, got, branches)
		}
		whole := f
		if filter != "" {
			whole = filterOf(t, "not not ("+filter+")")
		}
		if got := len(whole.branches()); got != 1 {
			t.Errorf("%s is asked in %d branches", whole, got)
		}
		for _, limit := range []int{0, 7} {
			list := func(f *Filter) (rows []string) {
				_, err := e.Flows(t.Context(), files, Request{Filter: f, Limit: limit, Columns: columns}, func(b *flow.Batch) error {
					for i := range b.Len() {
						rows = append(rows, string(b.AppendJSON(nil, i)))
					}
					return nil
				})
				if err != nil {
					t.Fatalf("%s: %v", filter, err)
				}
				return rows
			}
			if got, want := list(f), list(whole); !slices.Equal(got, want) || len(want) == 0 {
				t.Errorf("%s: %d flows in branches, %d as a whole, or not in the same order", filter, len(got), len(want))
			}
			for _, by := range []string{"ip", "app"} {
				r := Request{By: dimensionsOf(t, by), First: limit, Filter: f}
				got, err := e.Top(t.Context(), files, r)
				if err != nil {
					t.Fatalf("%s by %s: %v", filter, by, err)
				}
				r.Filter = whole
				want, err := e.Top(t.Context(), files, r)
				if err != nil {
					t.Fatal(err)
				}
				if got.Total != want.Total || len(got.Rows) != len(want.Rows) || got.Other != want.Other {
					t.Errorf("%s by %s: %+v in branches, %+v as a whole", filter, by, got.Total, want.Total)
				}
			}
		}
	}
}
