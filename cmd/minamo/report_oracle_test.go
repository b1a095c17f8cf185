package main

import (
	"encoding/csv"
	"slices"
	"strings"
	"testing"
)

// TestReportLikeNfdump: over all time, where nothing is cut at a border, a
// report counts what nfdump's statistics count. (Where both sides of a flow have
// the same key nfdump counts it twice, which no flow here has for ip and port.)
func TestReportLikeNfdump(t *testing.T) {
	o := newOracle(t, 700)
	table := func(text string, columns ...string) (rows []string) {
		lines := csv.NewReader(strings.NewReader(text))
		lines.FieldsPerRecord = -1
		all, err := lines.ReadAll()
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		var places []int
		for _, c := range columns {
			places = append(places, slices.Index(all[0], c))
		}
		if slices.Contains(places, -1) {
			t.Fatalf("%v lacks some of %v", all[0], columns)
		}
		for _, line := range all[1:] {
			if len(line) < len(all[0]) {
				break // nfdump's summary follows
			}
			var cells []string
			for _, p := range places {
				cells = append(cells, strings.TrimSpace(line[p]))
			}
			rows = append(rows, strings.Join(cells, " "))
		}
		slices.Sort(rows)
		return rows
	}
	const ports = "proto tcp or proto udp" // in nfdump all others have ports too: 0, or ICMP's type and code
	for _, c := range []struct{ element, column, filter string }{
		{"srcip", "src_addr", ""}, {"dstip", "dst_addr", "packets > 10"}, {"ip", "ip", ""},
		{"srcport", "src_port", ports}, {"dstport", "dst_port", ports}, {"port", "port", ports},
		{"proto", "protocol", "src net 10.0.0.0/8"}, {"router", "exporter", ""},
		{"srcas", "src_as", ""}, {"dstas", "dst_as", ""},
		{"inif", "in_if", "bytes > 1000"}, {"outif", "out_if", ""},
		{"srcmask", "src_mask", ""}, {"srctos", "tos", ""}, {"nhip", "next_hop", ""},
	} {
		theirs := table(o.nfdump(t, "-s", c.element+"/bytes", "-n", "0", "-N", "-o", "csv", c.filter), "val", "fl", "pkt", "byt")
		status, out, errs := minamo(t, "report", "--data", o.data, "--by", c.element, "--metric", "bytes", "-n", "0", "-o", "csv", c.filter)
		if status != 0 {
			t.Fatalf("%s: %s", c.element, errs)
		}
		ours := table(out, c.column, "flows", "packets", "bytes")
		if len(ours) == 0 || !slices.Equal(ours, theirs) {
			t.Errorf("%s %q: here\n%s\nnfdump\n%s", c.element, c.filter, strings.Join(ours, "\n"), strings.Join(theirs, "\n"))
		}
	}
}
