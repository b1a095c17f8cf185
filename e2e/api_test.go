package e2e

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/url"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// minamoCommand is a call of the binary, not yet run.
func minamoCommand(args ...string) *exec.Cmd { return exec.Command(minamo, args...) }

// sums are totals as the API writes them.
type sums struct{ Flows, Packets, Bytes uint64 }

// TestAPI compares what the API says with what `minamo flows` says, which
// reads the files without the server.
func TestAPI(t *testing.T) {
	data := t.TempDir()
	s := serve(t, data)
	newSender(t, s.listen).flows(1200)
	eventually(t, "the flows are stored", func() bool { return countOf(t, data) == 1200 })

	for _, filter := range []string{"", "proto udp", "src ip 192.0.2.7 or dst port 53", "src ip 203.0.113.1"} {
		t.Run("filter "+filter, func(t *testing.T) {
			want := sums(stored(t, data, filter).sum())
			q := "?from=-1h&to=now&filter=" + url.QueryEscape(filter)

			var top struct {
				Rows []struct {
					sums
					Key map[string]any
				}
				Other, Total sums
			}
			s.get(t, "/api/top"+q+"&by=src_addr&limit=5", &top)
			rows := top.Other
			for _, r := range top.Rows {
				rows = sums{rows.Flows + r.Flows, rows.Packets + r.Packets, rows.Bytes + r.Bytes}
			}
			if top.Total != want || rows != want {
				t.Errorf("/api/top: total %+v, rows and other %+v, want %+v", top.Total, rows, want)
			}
			if len(top.Rows) > 0 {
				address := fmt.Sprint(top.Rows[0].Key["src_addr"])
				of := stored(t, data, join(filter, "src ip "+address)).sum()
				if sums(of) != top.Rows[0].sums {
					t.Errorf("/api/top: %s has %+v, minamo flows says %+v", address, top.Rows[0].sums, of)
				}
			}

			var series struct {
				Times  []time.Time
				Step   int `json:"step_seconds"`
				Series []struct {
					Values []float64
					Total  sums
				}
				Other *struct {
					Values []float64
					Total  sums
				}
			}
			s.get(t, "/api/series"+q+"&by=protocol", &series)
			var total sums
			bits := 0.0
			for _, line := range series.Series {
				total = sums{total.Flows + line.Total.Flows, total.Packets + line.Total.Packets, total.Bytes + line.Total.Bytes}
				if len(line.Values) != len(series.Times) {
					t.Errorf("%d values for %d times", len(line.Values), len(series.Times))
				}
				for _, v := range line.Values {
					bits += v * float64(series.Step)
				}
			}
			if total != want {
				t.Errorf("/api/series: %+v, want %+v", total, want)
			}
			// The first and last buckets may reach beyond the range, where rates
			// are over less than a whole step; the flows are not there.
			if got := bits / 8; got < 0.999*float64(want.Bytes) || got > 1.001*float64(want.Bytes) {
				t.Errorf("/api/series: the area under the lines is %.0f bytes, want %d", got, want.Bytes)
			}

			// As a report, in CSV: each line of which is a row, and the last other.
			code, text := s.fetch(t, "/api/report"+q+"&by=src_addr&limit=5&format=csv")
			lines, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
			if code != 200 || err != nil || len(lines) == 0 {
				t.Fatalf("/api/report in CSV: status %d, %v, %s", code, err, text)
			}
			total = sums{}
			for _, line := range lines[1:] {
				for i, sum := range []*uint64{&total.Flows, &total.Packets, &total.Bytes} {
					n, err := strconv.ParseUint(line[2+i], 10, 64)
					if err != nil {
						t.Errorf("/api/report in CSV: %v in %q", err, line)
					}
					*sum += n
				}
			}
			if total != want {
				t.Errorf("/api/report in CSV: %+v, want %+v of\n%s", total, want, text)
			}

			// Parquet of flows is what the store keeps: minamo store import takes it back.
			code, file := s.fetch(t, "/api/flows"+q+"&limit=10000&format=parquet&order=stored")
			if code != 200 || !bytes.HasPrefix(file, []byte("PAR1")) || !bytes.HasSuffix(file, []byte("PAR1")) {
				t.Errorf("/api/flows in Parquet: status %d, %d bytes", code, len(file))
			}

			var list struct{ Rows []map[string]any }
			s.get(t, "/api/flows"+q+"&limit=10000", &list)
			if len(list.Rows) != int(want.Flows) {
				t.Errorf("/api/flows: %d rows, want %d", len(list.Rows), want.Flows)
			}
		})
	}

	var status struct {
		Flows     uint64   `json:"flows_total"`
		Datagrams uint64   `json:"datagrams_total"`
		PerSecond float64  `json:"flows_per_second"`
		Bits      float64  `json:"bits_per_second"`
		Window    int      `json:"rate_window_seconds"`
		Listen    []string `json:"listen"`
		Exporters int
		Store     struct{ Rows uint64 }
		Problems  []struct{ Kind string }
	}
	s.get(t, "/api/status", &status)
	if status.Flows != 1200 || status.Datagrams != 40 || status.Store.Rows != 1200 || status.Exporters != 1 || len(status.Listen) != 1 || len(status.Problems) != 0 {
		t.Errorf("/api/status: %+v", status)
	}
	if status.Window <= 0 || status.PerSecond*float64(status.Window) < 1199 || status.Bits/status.PerSecond < recordBytes*8*0.999 {
		t.Errorf("/api/status: rates of %+v", status)
	}
	if n := s.metric(t, "minamo_exporter_flows_total"); n != 1200 {
		t.Errorf("/metrics: %v flows", n)
	}
	for _, name := range []string{"minamo_socket_datagrams_total", "minamo_socket_drops_total", "minamo_store_segments", "minamo_store_seal_seconds", "minamo_query_seconds"} {
		if s.metrics(t)[name] == nil {
			t.Errorf("/metrics: no %s", name)
		}
	}

	var exporters struct {
		Exporters []struct {
			Exporter string
			Domains  []struct {
				Protocol string
				Flows    uint64
				Missing  uint64 `json:"missing_units"`
			}
		}
	}
	s.get(t, "/api/exporters", &exporters)
	if got := fmt.Sprint(exporters.Exporters); got != "[{127.0.0.1 [{netflow5 1200 0}]}]" {
		t.Errorf("/api/exporters: %s", got)
	}

	var description struct {
		OpenAPI string
		Paths   map[string]any
	}
	s.get(t, "/api/openapi.json", &description)
	for _, path := range []string{"/api/status", "/api/report", "/api/reports", "/api/top", "/api/series", "/api/flows", "/api/exporters", "/api/fields", "/api/filter", "/api/questions", "/api/questions/{id}"} {
		if description.Paths[path] == nil {
			t.Errorf("/api/openapi.json does not describe %s", path)
		}
	}
	if !strings.HasPrefix(description.OpenAPI, "3.") {
		t.Errorf("/api/openapi.json: version %q", description.OpenAPI)
	}

	// A wrong filter: the word, the column and what was expected, everywhere.
	const wrong = "proto udp and prot tcp"
	code, body := s.fetch(t, "/api/top?filter="+url.QueryEscape(wrong))
	if code != 422 || !json.Valid(body) {
		t.Errorf("a wrong filter: status %d, %s", code, body)
	}
	mentions(t, string(body), "prot", "column 15")
	var check struct {
		OK     bool
		Column int
		Word   string
	}
	s.get(t, "/api/filter?filter="+url.QueryEscape(wrong), &check)
	if check.OK || check.Column != 15 || check.Word != "prot" {
		t.Errorf("/api/filter: %+v", check)
	}
	shell := start(t, minamo, "flows", "--data", data, wrong)
	if shell.wait(t) == 0 {
		t.Error("minamo flows takes a wrong filter")
	}
	mentions(t, shell.output.String(), "prot", "column 15")
	// A mistyped parameter is not left out in silence.
	if code, body := s.fetch(t, "/api/top?filtre=proto+udp"); code != 422 || !strings.Contains(string(body), "filter") {
		t.Errorf("a mistyped parameter: status %d, %s", code, body)
	}
	// Every standard report has an answer; nobody may ask in SQL unless told so.
	var standard struct{ Reports []struct{ Name string } }
	s.get(t, "/api/reports", &standard)
	if len(standard.Reports) < 10 {
		t.Errorf("%d standard reports", len(standard.Reports))
	}
	for _, r := range standard.Reports {
		var report struct {
			Total sums
			Meta  struct{ Tables []string }
		}
		s.get(t, "/api/report?from=-1h&name="+r.Name, &report)
		if report.Total.Flows != 1200 || len(report.Meta.Tables) == 0 {
			t.Errorf("/api/report?name=%s: %+v", r.Name, report)
		}
	}
	// The command line that an answer names gives the same answer.
	for _, parameters := range []string{"by=src_addr/24,app&limit=3&metric=pps&mirror=true&scope=once", "step=300&compare=24h", "by=protocol&raw=true&filter=proto+udp&filter=src+net+192.0.2.0/24&exact=true&overhead=38&metric=l2bps"} {
		var there struct {
			Meta struct{ Command string }
		}
		s.get(t, "/api/report?from=-1h&"+parameters, &there)
		words := exec.Command("sh", "-c", strings.Replace(there.Meta.Command, "minamo", minamo, 1)+" -o csv")
		here, err := words.Output()
		if err != nil {
			t.Errorf("%s: %v", there.Meta.Command, err)
		}
		if code, answer := s.fetch(t, "/api/report?from=-1h&format=csv&"+parameters); code != 200 || string(answer) != string(here) {
			t.Errorf("%s\nsays\n%s\n/api/report says\n%s", there.Meta.Command, here, answer)
		}
	}
	if code, _ := s.fetch(t, "/api/sql?q=SELECT+1"); code != 404 {
		t.Errorf("GET /api/sql: status %d, want 404", code)
	}
	if code, _ := s.fetch(t, "/api/nothing"); code != 404 {
		t.Errorf("GET /api/nothing: status %d, want 404", code)
	}
}

// join is both filters, either of which may be empty.
func join(a, b string) string {
	if a == "" {
		return b
	}
	return "(" + a + ") and (" + b + ")"
}
