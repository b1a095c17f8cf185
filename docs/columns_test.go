// Package docs holds the documentation; its tests keep true what of it can be
// derived from the code. `go test ./docs -update` writes it anew.
package docs

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/minamo-flow/minamo/flow"
)

//go:generate go test . -update

var update = flag.Bool("update", false, "write the generated pages anew")

func TestColumnReference(t *testing.T) {
	want := columnReference()
	if *update {
		if err := os.WriteFile("columns.md", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile("columns.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("columns.md is not what the schema says: go test ./docs -update")
	}
}

func columnReference() string {
	var b strings.Builder
	b.WriteString(`# Columns of a flow record

Generated from the table in ` + "`flow/schema.go`" + `; these names are stable. They are the
columns of the Parquet files, the keys of ` + "`minamo decode` and `minamo flows -o json`" + `,
fields of the [filter language](filter.md) and dimensions of the API.

A column that is not marked *always* is absent where the exporter said nothing:
null in the files, no key in JSON. In JSON numbers are numbers, and times
(RFC 3339, UTC, milliseconds), addresses, MAC addresses, texts and named codes are
strings. Columns that a configuration defines stand behind these.

| column | type | unit | | meaning | IPFIX elements |
|---|---|---|---|---|---|
`)
	for c := range flow.Columns() {
		f := flow.Schema[c]
		always := ""
		if f.Required {
			always = "always"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s%s | %s |\n", f.Name, f.Kind, f.Unit, always, f.Doc, codes(f.Names), f.Element)
	}
	return b.String()
}

func codes(names map[uint64]string) string {
	if names == nil || len(names) > 500 { // countries, whose names are their codes
		return ""
	}
	var parts []string
	var values []uint64
	for v := range names {
		values = append(values, v)
	}
	slices.Sort(values)
	for _, v := range values {
		parts = append(parts, fmt.Sprintf("%d %s", v, names[v]))
	}
	return " Codes: " + strings.Join(parts, ", ") + "."
}
