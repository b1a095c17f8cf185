package server

import (
	"database/sql"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/minamo-flow/minamo/query"
)

func TestUnknownParametersAreRefused(t *testing.T) {
	web, _ := site(t)
	for path, want := range map[string]string{
		"/api/top?metrc=packets":           `parameter "metrc" is unknown; did you mean "metric"?`,
		"/api/flows?by=protocol":           `parameter "by" is unknown; known here: `,
		"/api/status?verbose=1":            `parameter "verbose" is unknown; there are none here`,
		"/api/top?limit=1&limit=2":         `parameter "limit" is given 2 times`,
		"/api/top?from=%zz":                `no list of parameters`,
		"/api/report?name=protocl":         `report "protocl" is unknown; did you mean "protocol`,
		"/api/report?metric=byte":          `metric "byte" is unknown; did you mean "bytes"?`,
		"/api/report?by=srcipp":            `did you mean "srcip"`,
		"/api/report?step=soon":            `expected auto`,
		"/api/report?step=200ms":           `whole seconds`,
		"/api/report?compare=yesterday":    `expected a span`,
		"/api/report?compare=0h":           `expected a span`,
		"/api/report?scope=twice":          `scope`,
		"/api/report?format=xml":           `format`,
		"/api/report?id=a%20b":             `id`,
		"/api/report?filter=x&filter=port": `x`,
		"/api/flows?limit=20000":           `10000 flows are the most in JSON`,
		"/api/flows?limit=2000000":         `1000000 are the most in this order`,
	} {
		var p struct {
			Status int
			Detail string
		}
		body := fetch(t, web, path, 422, &p)
		if p.Status != 422 || !strings.Contains(strings.ReplaceAll(body, `\"`, `"`), want) {
			t.Errorf("%s: want %s in\n%s", path, want, body)
		}
	}
}

func TestReport(t *testing.T) {
	web, _ := site(t)
	var r Report
	ask := func(parameters string) Report {
		t.Helper()
		r = Report{}
		fetch(t, web, "/api/report?from=-1h&"+parameters, 200, &r)
		return r
	}
	if r := ask("by=srcip&limit=1&metric=packets"); len(r.Rows) != 1 || r.Rows[0].Label != "192.0.2.1" || r.Rows[0].Value != 22 || r.Groups != 1 || r.Other == nil || r.Other.Label != "Other" || r.Other.Value != 2 || r.Total.Value != 24 || !r.Exact || r.Unit != "packets" {
		t.Errorf("%+v", r)
	}
	if r := ask(""); len(r.Rows) != 1 || r.Rows[0].Bytes != 15210 || r.Other != nil || r.Meta.Tables[0] != "flows" || r.Meta.Rows != 3 {
		t.Errorf("without dimensions: %+v", r)
	}
	if r := ask("by=proto&filter=proto+tcp&filter=src+ip+192.0.2.1"); r.Total.Bytes != 10010 {
		t.Errorf("two filters: %+v", r.Total)
	}
	if r := ask("by=dstport&step=auto&compare=7d&mirror=true&scope=once&raw=true"); len(r.Times) < 60 || len(r.Rows[0].Values) != len(r.Times) || r.Earlier == nil || len(r.Earlier.Rows) != len(r.Rows) || r.Mirror == nil || len(r.Mirror.By) != 1 || r.Mirror.By[0] != "src_port" || r.Rows[0].Change == nil || !r.Rows[0].Change.New {
		t.Errorf("everything: %+v", r)
	}
	if r := ask("step=5m&spread=false"); r.Total.Bytes != 15210 || !strings.Contains(r.Meta.Command, "--unspread") {
		t.Errorf("unspread: %+v", r)
	}
	if r := ask("step=1d&to=now&compare=1d"); r.Step != 86400 || len(r.Times) < 1 {
		t.Errorf("days: %+v", r)
	}
	var list struct{ Reports []StandardReport }
	fetch(t, web, "/api/reports", 200, &list)
	if len(list.Reports) != len(query.StandardReports()) {
		t.Errorf("%d standard reports", len(list.Reports))
	}
	for _, standard := range list.Reports {
		if r := ask("name=" + standard.Name); r.Name != standard.Name || r.Metric != standard.Metric || len(r.By) != len(standard.By) || r.Total.Bytes != 15210 || standard.Doc == "" {
			t.Errorf("%s: %+v", standard.Name, r)
		}
	}
	if r := ask("name=" + list.Reports[0].Name + "&metric=flows&by=dstport"); r.Metric != "flows" || r.By[0] != "dst_port" {
		t.Errorf("changed: %+v", r)
	}
}

// TestChartAndTableAgree asks both for ranges in which flows lie across the ends.
func TestChartAndTableAgree(t *testing.T) {
	web, now := site(t)
	for _, scope := range []string{"from=-1h", "from=-24h", "from=-7d", "from=-2m", "from=-45s&to=-15s",
		"from=" + now.Add(-270e9).UTC().Format("2006-01-02T15:04:05Z") + "&to=" + now.Add(-15e9).UTC().Format("2006-01-02T15:04:05Z")} {
		var top Top
		var series Series
		fetch(t, web, "/api/top?by=srcip&"+scope, 200, &top)
		fetch(t, web, "/api/series?by=srcip&"+scope, 200, &series)
		if !top.From.Equal(series.From) || !top.To.Equal(series.To) {
			t.Errorf("%s: %v to %v, and %v to %v", scope, top.From, top.To, series.From, series.To)
		}
		if len(top.Rows) != len(series.Series) || len(top.Rows) == 0 {
			t.Fatalf("%s: %d rows, %d series", scope, len(top.Rows), len(series.Series))
		}
		for i, row := range top.Rows {
			line := series.Series[i]
			bytes := 0.0
			for _, v := range line.Values {
				bytes += v * float64(series.Step) / 8
			}
			if line.Total != row.Sums || line.Label != row.Label || bytes < float64(row.Bytes)-0.01 || bytes > float64(row.Bytes)+0.01 {
				t.Errorf("%s: %+v, and %s %+v with %v bytes under it", scope, row, line.Label, line.Total, bytes)
			}
		}
	}
}

// TestForms has the same answers as tables, and lets DuckDB read them.
func TestForms(t *testing.T) {
	_, web, _ := siteWith(t, Config{SQL: true})
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, c := range []struct{ name, path, file, question, want string }{
		{"top", "/api/top?by=srcip,proto&from=-1h", "minamo-top-src_addr-protocol-", "SELECT string_agg(concat_ws(' ', src_addr, protocol, flows, packets, bytes, value::BIGINT), ', ' ORDER BY bytes, flows, packets DESC) FROM '%s'",
			"192.0.2.1 17 1 2 200 200, 2001:db8::1 6 1 2 5000 5000, 192.0.2.1 6 1 20 10010 10010"},
		{"other", "/api/report?by=dstport&from=-1h&limit=1&metric=fps", "minamo-report-dst_port-", "SELECT string_agg(concat_ws(' ', label, dst_port, flows), ', ' ORDER BY flows DESC) FROM '%s'", "443 443 2, Other 1"},
		{"series", "/api/series?by=proto&from=-1h&step=60", "minamo-series-protocol-", `SELECT concat_ws(' ', count(*), count(DISTINCT "time"), round(sum(value) * 60 / 8), string_agg(DISTINCT label, '+' ORDER BY label)) FROM '%s'`, "122 61 15210.0 TCP+UDP"},
		{"compared", "/api/report?by=proto&from=-1h&compare=24h&mirror=true", "minamo-report-protocol-", "SELECT string_agg(concat_ws(' ', protocol, bytes, earlier::BIGINT, mirror::BIGINT), ', ' ORDER BY bytes) FROM '%s'", "17 200 0 200, 6 15010 0 15010"},
		{"flows", "/api/flows?from=-1h&raw=true", "minamo-flows-", `SELECT concat_ws(' ', count(*), sum(bytes), min(dst_port), max(sampling_rate), count(dst_addr), max(epoch_ms("end") - epoch_ms("start"))) FROM '%s'`, "3 6201 53 10 0 60000"},
		{"sql", "/api/sql?q=" + url.QueryEscape("SELECT src_addr, sum(bytes) AS b FROM flows GROUP BY 1"), "minamo-sql", "SELECT string_agg(concat_ws(' ', src_addr, b), ', ' ORDER BY b) FROM '%s'", "192.0.2.1 1201, 2001:db8::1 5000"},
	} {
		for _, form := range []struct{ format, accept, mime, ending string }{
			{"csv", "", "text/csv", ".csv"},
			{"", "text/csv", "text/csv", ".csv"},
			{"parquet", "application/json", "application/vnd.apache.parquet", ".parquet"},
			{"", "application/vnd.apache.parquet, */*;q=0.1", "application/vnd.apache.parquet", ".parquet"},
		} {
			t.Run(c.name+form.ending, func(t *testing.T) {
				path := c.path
				if form.format != "" {
					path += "&format=" + form.format
				}
				r, body := get2(t, web.URL+path, form.accept)
				if r.StatusCode != 200 || r.Header.Get("Content-Type") != form.mime || !strings.Contains(r.Header.Get("Content-Disposition"), c.file) || !strings.HasSuffix(r.Header.Get("Content-Disposition"), form.ending+`"`) {
					t.Fatalf("%d, %v, %s", r.StatusCode, r.Header, body)
				}
				if r.Header.Get("Minamo-Tables") != "flows" || r.Header.Get("Minamo-Rows-Scanned") != "3" || r.Header.Get("Minamo-Question") == "" {
					t.Errorf("%v", r.Header)
				}
				file := filepath.Join(t.TempDir(), "answer"+form.ending)
				if err := os.WriteFile(file, []byte(body), 0o600); err != nil {
					t.Fatal(err)
				}
				var got string
				if err := db.QueryRow(fmt.Sprintf(c.question, file)).Scan(&got); err != nil || got != c.want {
					t.Errorf("%q, %v, want %q of\n%s", got, err, c.want, body)
				}
			})
		}
		t.Run(c.name+".arrow", func(t *testing.T) {
			r, body := get2(t, web.URL+c.path+"&format=arrow", "")
			if r.StatusCode != 200 || r.Header.Get("Content-Type") != "application/vnd.apache.arrow.stream" || !strings.HasPrefix(body, "\xff\xff\xff\xff") {
				t.Errorf("%d, %v", r.StatusCode, r.Header)
			}
		})
	}
	for accept, want := range map[string]string{"": "application/json", "text/html,application/xhtml+xml,*/*;q=0.8": "application/json", "image/png": "application/json", "*/*": "application/json", "text/csv;q=0.5, application/json": "application/json"} {
		if r, _ := get2(t, web.URL+"/api/top", accept); r.Header.Get("Content-Type") != want {
			t.Errorf("%q: %s", accept, r.Header.Get("Content-Type"))
		}
	}
	for _, path := range []string{"/api/flows?format=parquet", "/api/report?format=parquet&by=app", "/api/sql?format=parquet&q=SELECT+1"} {
		r, err := http.Head(web.URL + path)
		if err != nil || r.StatusCode != 200 || r.Header.Get("Content-Type") != "application/vnd.apache.parquet" || r.Header.Get("Minamo-Question") != "" {
			t.Errorf("HEAD %s: %v, %v", path, r, err)
		}
	}
	if r, err := http.Head(web.URL + "/api/flows?formt=csv"); err != nil || r.StatusCode != 422 {
		t.Errorf("HEAD of what cannot be asked: %v, %v", r, err)
	}
	// Parquet of flows is as they are stored: addresses, and bytes as exported.
	_, body := get2(t, web.URL+"/api/flows?from=-1h&format=parquet&order=stored", "")
	file := filepath.Join(t.TempDir(), "flows.parquet")
	if err := os.WriteFile(file, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	var got string
	if err := db.QueryRow(`SELECT concat_ws(' ', count(*), sum(bytes), max(src_addr), any_value(typeof(src_addr)), any_value(typeof("start")), any_value(typeof(protocol)), min(export_protocol)) FROM '` + file + "'").Scan(&got); err != nil || got != "3 6201 20010db8-0000-0000-0000-000000000001 UUID TIMESTAMP WITH TIME ZONE UTINYINT 10" {
		t.Errorf("%q, %v", got, err)
	}
}

// get2 is a GET with an Accept header.
func get2(t *testing.T, address, accept string) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), "GET", address, nil)
	if err != nil {
		t.Fatal(err)
	}
	if accept != "" {
		request.Header.Set("Accept", accept)
	}
	return do(t, request)
}
