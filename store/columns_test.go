package store

import (
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/minamo-flow/minamo/flow"
)

// TestOwnColumns is the life of the operator's own columns: each step is a
// process of its own, since flow.Define is for ever.
func TestOwnColumns(t *testing.T) {
	site := flow.Field{Name: "site", Kind: flow.Text, Doc: "Where it was seen."}
	colour := flow.Field{Name: "colour", Kind: flow.Uint16, Names: map[uint64]string{700: "red"}, Unit: "nm", Doc: "Its colour."}
	dir := os.Getenv("MINAMO_TEST_OWN_DIR")
	define := func(fields ...flow.Field) {
		if err := flow.Define(fields...); err != nil {
			t.Fatal(err)
		}
	}
	// flows of which two have both columns, if there are any.
	seal := func(s *Store) {
		b := numbered(0, 10)
		if c, ok := flow.Lookup("site"); ok {
			b.SetText(c, 3, []byte("Tōkyō"))
			b.SetText(c, 4, []byte("Tōkyō"))
			colour, _ := flow.Lookup("colour")
			b.SetUint(colour, 3, 700)
			b.SetUint(colour, 4, 1)
		}
		sealOne(t, s, b)
	}
	type step struct {
		name string
		run  func()
	}
	steps := []step{
		{"before", func() {
			s, _ := open(t, Config{Dir: dir})
			seal(s)
		}},
		{"defined", func() {
			elements() // made too early, and anew
			define(site, colour)
			s, _ := open(t, Config{Dir: dir})
			seal(s)
		}},
		{"dropped", func() {
			if err := DefineColumns(dir); err != nil {
				t.Fatal(err)
			}
			for _, want := range []flow.Field{site, colour} {
				c, ok := flow.Lookup(want.Name)
				if got := flow.Schema[c]; !ok || got.Kind != want.Kind || got.Doc != want.Doc || got.Unit != want.Unit || got.Names[700] != want.Names[700] {
					t.Errorf("%s: %+v", want.Name, got)
				}
			}
			s, _ := open(t, Config{Dir: dir})
			seal(s)
			if err := s.merge(t.Context(), s.manifest()); err != nil {
				t.Fatal(err)
			}
			sites := map[string]int{}
			for _, line := range fileText(t, duck(t), s.manifest()[0].Path) {
				columns := strings.Split(line, " ")
				sites[strings.Join(columns[len(columns)-2:], " ")]++
			}
			if len(sites) != 3 || sites["- -"] != 26 || sites["Tōkyō 700"] != 2 || sites["Tōkyō 1"] != 2 {
				t.Errorf("%v", sites)
			}
		}},
		{"another first", func() {
			define(flow.Field{Name: "mood", Kind: flow.Uint8, Doc: "Of the packet."}, colour)
			open(t, Config{Dir: dir})
			names := []string{}
			for _, f := range flow.Schema[flow.NumColumns:] {
				names = append(names, f.Name)
			}
			if !slices.Equal(names, []string{"mood", "colour", "site"}) {
				t.Errorf("columns %q", names)
			}
		}},
		{"of another type", func() {
			define(flow.Field{Name: "site", Kind: flow.Uint32, Doc: "By number."})
			_, err := Open(Config{Dir: dir}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
			if err == nil || !strings.Contains(err.Error(), "column site is of kind uint32 in the configuration") || !strings.Contains(err.Error(), "another name") {
				t.Errorf("%v", err)
			}
			if err := DefineColumns(dir); err == nil {
				t.Error("read all the same")
			}
		}},
		{"not readable", func() {
			path := filepath.Join(dir, columnsFile)
			if err := os.Truncate(path, 100); err != nil {
				t.Fatal(err)
			}
			if err := DefineColumns(dir); err == nil || !strings.Contains(err.Error(), "torn") {
				t.Errorf("%v", err)
			}
			if s, log := open(t, Config{Dir: dir}); !strings.Contains(log.String(), "written anew") || s.Stats().Rows != 30 {
				t.Errorf("%s", log)
			}
			if err := DefineColumns(dir); err != nil {
				t.Error(err)
			}
		}},
	}
	if name := os.Getenv("MINAMO_TEST_OWN"); name != "" {
		steps[slices.IndexFunc(steps, func(s step) bool { return s.name == name })].run()
		return
	}
	dir = t.TempDir()
	for _, step := range steps {
		child := exec.Command(os.Args[0], "-test.run=^TestOwnColumns$")
		child.Env = append(os.Environ(), "MINAMO_TEST_OWN="+step.name, "MINAMO_TEST_OWN_DIR="+dir)
		if out, err := child.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", step.name, err, out)
		}
	}
}
