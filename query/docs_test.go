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

// TestPrimitivesInDocs holds docs/filter.md to the table of primitives.
func TestPrimitivesInDocs(t *testing.T) {
	const file = "../docs/filter.md"
	const begin, end = "-run PrimitivesInDocs -update` -->\n", "<!-- end of primitives -->"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the primitives", file)
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
	want := before + begin + table.String() + end + after
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if want != string(text) {
		t.Errorf("%s is not what query.Primitives says: go test ./query -run PrimitivesInDocs -update", file)
	}
}
