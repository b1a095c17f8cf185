package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/query"
)

// TestTagsInDocs holds docs/flows.md to the table of tags.
func TestTagsInDocs(t *testing.T) {
	const file = "../../docs/flows.md"
	const begin, end = "-run TagsInDocs -update` -->\n", "<!-- end of tags -->"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the tags", file)
	}
	var table strings.Builder
	table.WriteString("\n| tag | heading | of the columns | in `csv:` |\n|---|---|---|---|\n")
	for i := range tags {
		tag := finished(&tags[i])
		var columns []string
		for _, c := range tag.columns {
			columns = append(columns, "`"+c.String()+"`")
		}
		fmt.Fprintf(&table, "| `%%%s` | %s | %s | `%s` |\n", strings.ReplaceAll(tag.names, " ", "` `%"), tag.title, strings.Join(columns, ", "), tag.name)
	}
	table.WriteString("\n")
	want := before + begin + table.String() + end + after
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if want != string(text) {
		t.Errorf("%s is not what the table of tags says: go test ./cmd/minamo -run TagsInDocs -update", file)
	}
}

// TestTags: every tag and every column can be printed, of a flow that has
// everything and of one that has nothing but what is required; no name is
// given twice.
func TestTags(t *testing.T) {
	b := flow.NewBatch(2)
	b.Extend(2)
	for c := range flow.Columns() {
		for i := range 2 {
			if i == 1 && !flow.Required.Has(c) {
				continue
			}
			switch flow.Schema[c].Kind {
			case flow.Address:
				b.SetAddr(c, i, flow.AddrFrom4([4]byte{192, 0, 2, 1}))
			case flow.Text:
				b.SetText(c, i, []byte("text\x1b"))
			default:
				b.SetUint(c, i, 1)
			}
		}
	}
	names := map[string]bool{}
	for i := range tags {
		for name := range strings.SplitSeq(tags[i].names, " ") {
			c, isColumn := flow.Lookup(name)
			if isColumn && (tags[i].columns[0] == c || name == "end") { // %end is nfdump's, %te is the end
				isColumn = false
			}
			if names[name] || noTags[name] != "" || formats[name] != "" || isColumn {
				t.Errorf("%%%s has two meanings", name)
			}
			names[name] = true
		}
	}
	for c := range flow.Columns() {
		names[c.String()] = true
	}
	for name := range names {
		l, err := parseLayout("fmt:%"+name, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var out strings.Builder
		w := bufio.NewWriter(&out)
		p := &printer{out: w, location: time.UTC}
		newLines(p, l).print(b, nil)
		w.Flush()
		lines := strings.Split(out.String(), "\n")
		if len(lines) != 4 || strings.TrimSpace(lines[0]) == "" || strings.TrimSpace(lines[1]) == "" || strings.TrimSpace(lines[2]) == "" || strings.Contains(out.String(), "\x1b") {
			t.Errorf("%%%s prints\n%s", name, &out)
		}
	}
}

func TestParseLayoutRefuses(t *testing.T) {
	for _, c := range []struct {
		option string
		column int
		want   string
	}{
		{"fmt:%ts %sapp", 9, `did you mean "%sap"?`},
		{"fmt:→%foo", 6, "expected a tag"},
		{"fmt:%", 5, "expected a tag"},
		{"fmt:%sa%", 8, "expected a tag"},
		{"fmt:%sc", 5, "countries"},
		{"csv:%ts,%exp", 9, "addresses"},
		{"fmt:%src_prot", 5, `did you mean "%src_port"?`},
	} {
		_, err := parseLayout(c.option, nil)
		var placed *placedError
		if !errors.As(err, &placed) || placed.at.Column != c.column || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want column %d and %s", c.option, err, c.column, c.want)
		}
	}
	for _, option := range []string{"csv:%ts %sa", "csv:%ts,,%sa", "csv:,%sa", "csv:x", "csv:%line", "csv:", "fmt:"} {
		if _, err := parseLayout(option, nil); err == nil || !strings.Contains(err.Error(), "expected tags") {
			t.Errorf("%s: %v", option, err)
		}
	}
}

// FuzzLayout: whatever a format is, it is refused at a place within it, or
// prints lines of text.
func FuzzLayout(f *testing.F) {
	for _, text := range []string{"fmt:%ts %sap -> %dap", "csv:%ts,%byt", "fmt:%long%n%%%app%src_addr/24", "fmt:%é%", "csv:"} {
		f.Add(text)
	}
	by, err := query.ParseDimensions("app,srcip/24")
	if err != nil {
		f.Fatal(err)
	}
	b := flow.NewBatch(1)
	b.Extend(1)
	for _, c := range flow.Required.Columns() {
		if flow.Schema[c].Kind == flow.Address {
			b.SetAddr(c, 0, flow.AddrFrom4([4]byte{192, 0, 2, 1}))
		} else {
			b.SetUint(c, 0, 1)
		}
	}
	f.Fuzz(func(t *testing.T, option string) {
		l, err := parseLayout(option, by)
		var placed *placedError
		if errors.As(err, &placed) {
			if n := utf8.RuneCountInString(option); placed.at.Column < 1 || placed.at.Column > n+1 {
				t.Errorf("%q: %v is not within it", option, err)
			}
			pointAt(option, &placed.at)
		}
		if err != nil {
			return
		}
		l.columns()
		p := &printer{out: bufio.NewWriter(io.Discard), location: time.UTC}
		newLines(p, l).print(b, nil)
		newLines(p, l).print(flow.NewBatch(1), nil)
	})
}

// FuzzFlowsOptions: any words are options, a filter, or refused with a sentence.
func FuzzFlowsOptions(f *testing.F) {
	for _, line := range []string{
		"-s srcip:p/bytes:a/24 -n 5", "-s record/bytes -A srcip4/24,srcip6/64 -b", "-qN -O tstart -c3 proto tcp", "-A app,srcip -o fmt:%app%sa -P flows>3",
		"-t -1h/-2h", "-t 2026/11/22.10-", "-B -o csv:%ts,%obyt", "-I -X any", "-w x",
	} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		words := strings.Fields(line)
		for _, w := range words {
			if strings.HasPrefix(w, "-f") || strings.HasPrefix(w, "-data") || strings.HasPrefix(w, "--data") || len(w) > 2 && strings.Contains(w, "f") && w[0] == '-' {
				return // files are no matter of this
			}
		}
		o, err := parseFlowsOptions(append([]string{"--data", t.TempDir()}, words...))
		if err != nil && err.Error() == "" {
			t.Errorf("%q is refused without a word", line)
		}
		if err == nil && o.layout == nil && o.format == "" && len(o.stats) == 0 && o.aggregate == nil && !o.totals {
			t.Errorf("%q prints nothing", line)
		}
		parseWindow(o.window, time.Now(), time.UTC)
	})
}
