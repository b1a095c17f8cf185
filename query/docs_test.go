package query

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

//go:generate go test . -run PrimitivesInDocs -update

var update = flag.Bool("update", false, "write the generated parts of the documentation anew")

// TestPrimitivesInDocs holds docs/filter.md to the tables of primitives.
func TestPrimitivesInDocs(t *testing.T) {
	const file = "../docs/filter.md"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	table.WriteString("\n| begins with | followed by | tests |\n|---|---|---|\n")
	for _, p := range Primitives() {
		operand := ""
		if p.Operand != "" {
			operand = "`" + strings.ReplaceAll(p.Operand, "|", `\|`) + "`"
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s |\n", strings.Join(p.Words, "`, `"), operand, p.Doc)
	}
	table.WriteString("\n")
	want := between(t, string(text), "primitives", table.String())

	table.Reset()
	table.WriteString("\n| begins with | why not |\n|---|---|\n")
	for _, u := range unanswerable {
		fmt.Fprintf(&table, "| `%s` | %s. |\n", strings.ReplaceAll(u.phrases, "|", "`, `"), u.reason)
	}
	table.WriteString("\n")
	want = between(t, want, "unanswerable", table.String())

	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if want != string(text) {
		t.Errorf("%s is not what query.Primitives says: go test ./query -run PrimitivesInDocs -update", file)
	}
}

// between puts a part in its place in the documentation.
func between(t *testing.T, text, what, part string) string {
	t.Helper()
	begin, end := "<!-- "+what+": written by `go test ./query -run PrimitivesInDocs -update` -->\n", "<!-- end of "+what+" -->"
	before, rest, ok := strings.Cut(text, begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("docs/filter.md has no place for %s", what)
	}
	return before + begin + part + end + after
}
