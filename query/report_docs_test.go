package query

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

//go:generate go test . -run ReportsInDocs -update

// TestReportsInDocs holds docs/reports.md to the tables of metrics and of
// standard reports.
func TestReportsInDocs(t *testing.T) {
	const file = "../docs/reports.md"
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var metrics, reports strings.Builder
	metrics.WriteString("\n| metric | unit | meaning |\n|---|---|---|\n")
	for _, m := range Metrics() {
		fmt.Fprintf(&metrics, "| `%s` | %s | %s |\n", m, m.Unit(), m.Doc())
	}
	metrics.WriteString("\n")
	for _, s := range StandardReports() {
		by := "everything in one row"
		if len(s.By) > 0 {
			by = "by `" + strings.Join(s.By, "`, `") + "`"
		}
		fmt.Fprintf(&reports, "\n### `%s`: %s\n\n%s; %s.\n\n%s\n", s.Name, s.Title, strings.ToUpper(by[:1])+by[1:], "`"+string(s.Metric)+"`", s.Doc)
	}
	reports.WriteString("\n")

	text := string(data)
	for _, part := range []struct{ end, want string }{{"<!-- end of metrics -->", metrics.String()}, {"<!-- end of standard reports -->", reports.String()}} {
		const begin = "-run ReportsInDocs -update` -->\n"
		before, after, ok := strings.Cut(text, part.end)
		at := strings.LastIndex(before, begin)
		if !ok || at < 0 {
			t.Fatalf("%s has no place for what stands before %s", file, part.end)
		}
		text = before[:at+len(begin)] + part.want + part.end + after
	}
	if *update {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if text != string(data) {
		t.Errorf("%s is not what query.Metrics and query.StandardReports say: go test ./query -run ReportsInDocs -update", file)
	}
}
