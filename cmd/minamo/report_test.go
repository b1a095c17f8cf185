package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minamo-flow/minamo/query"
)

// reportCosts is what differs from run to run, and from layout to layout of the
// store.
var reportCosts = regexp.MustCompile(`(Answered from) .*`)

// TestReportGolden runs the command lines of testdata/report, as FlowsGolden does.
func TestReportGolden(t *testing.T) {
	data := flowsData(t)
	files, err := filepath.Glob("testdata/report/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			golden, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			command, _, _ := strings.Cut(string(golden), "\n")
			args := words(strings.TrimPrefix(command, "$ minamo "))
			if len(args) > 1 {
				args = append([]string{args[0], "--data", data, "--utc"}, args[1:]...)
			}
			status, out, errs := minamo(t, args...)
			got := command + "\n" + reportCosts.ReplaceAllString(out, "$1 …") + errs
			if status != 0 {
				got += "exit status " + string(rune('0'+status)) + "\n"
			}
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != string(golden) {
				t.Errorf("got\n%s\nwant\n%s", got, golden)
			}
		})
	}
}

func TestReportJSON(t *testing.T) {
	status, out, errs := minamo(t, "report", "--data", flowsData(t), "exporter", "-o", "json", "-n", "1", "--mirror", "-t", "2026-11-22T10:00:00Z/2026-11-22T11:00:00Z")
	var r struct {
		Name, Metric string
		From, To     time.Time
		Rows         []struct {
			Key   map[string]string
			Bytes uint64
		}
		Other, Total, Mirror *struct{ Flows uint64 }
		Exact                bool
		Meta                 struct {
			Tables []string
			Rows   int `json:"rows_scanned"`
		}
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil || status != 0 {
		t.Fatalf("%d, %v, %s", status, err, errs)
	}
	if r.Name != "exporter" || r.Metric != "bps" || r.To.Sub(r.From) != time.Hour || len(r.Rows) != 1 || r.Rows[0].Key["exporter"] != "192.0.2.2" || r.Rows[0].Bytes != 373710 ||
		r.Other.Flows != 3 || r.Total.Flows != 6 || r.Mirror == nil || !r.Exact || r.Meta.Rows != 6 || !slices.Contains(r.Meta.Tables, "flows") {
		t.Errorf("%+v", r)
	}
}

// TestReportHelp: every standard report is explained, and the options are those
// that are read.
func TestReportHelp(t *testing.T) {
	for _, s := range query.StandardReports() {
		status, out, _ := minamo(t, "report", s.Name, "--help")
		if status != 0 || !strings.HasPrefix(out, s.Name+": ") || strings.Join(strings.Fields(out), " ") == "" {
			t.Errorf("%s: %d, %q", s.Name, status, out)
		}
		for line := range strings.Lines(out) {
			if len([]rune(line)) > 80 {
				t.Errorf("%s: a line is too long: %q", s.Name, line)
			}
		}
	}
	_, help, _ := minamo(t, "report", "--help")
	for _, m := range query.Metrics() {
		if !strings.Contains(help, string(m)) {
			t.Errorf("the help lacks the metric %s", m)
		}
	}
}

func TestParseSpan(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"": 0, "5m": 5 * time.Minute, "1h30m": 90 * time.Minute, "1d": 24 * time.Hour, "2w": 14 * 24 * time.Hour, "1d12h": 36 * time.Hour, "5m0s": 5 * time.Minute, "1ms": time.Millisecond,
	} {
		if got, err := parseSpan(text); err != nil || got != want {
			t.Errorf("%q is %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"5", "d", "-1h", "0s", "1us", "99999w", "x"} {
		if got, err := parseSpan(text); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}

func TestSparkline(t *testing.T) {
	long := make([]float64, 121)
	for i := range long {
		long[i] = float64(i)
	}
	for _, c := range []struct {
		values []float64
		want   string
	}{
		{nil, ""}, {[]float64{0, 0}, "  "}, {[]float64{0, 1, 4, 8}, " ▁▄█"}, {[]float64{0.001, 1000}, "▁█"},
	} {
		if got := sparkline(c.values); got != c.want {
			t.Errorf("%v is drawn %q, want %q", c.values, got, c.want)
		}
	}
	if got := []rune(sparkline(long)); len(got) != 41 || got[40] != '█' {
		t.Errorf("121 values are drawn %q", string(got))
	}
}
