package main

import (
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/store"
)

// TestFlowsOfOwnColumns: a server whose configuration has columns of the
// operator's own writes them, and the command, which knows no configuration,
// shows them. Both are processes of their own: flow.Define is for ever.
func TestFlowsOfOwnColumns(t *testing.T) {
	data := os.Getenv("MINAMO_TEST_OWN_DIR")
	switch os.Getenv("MINAMO_TEST_OWN") {
	case "write":
		if err := flow.Define(flow.Field{Name: "hall", Kind: flow.Text, Doc: "A hall."}, flow.Field{Name: "shelf", Kind: flow.Uint16, Doc: "A shelf."}); err != nil {
			t.Fatal(err)
		}
		hall, _ := flow.Lookup("hall")
		shelf, _ := flow.Lookup("shelf")
		s, err := store.Open(store.Config{Dir: data}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		b := flow.NewBatch(1)
		for i, name := range []string{`Tōkyō "1", east`, "Ōsaka\x1b[2J", "-"} {
			b.Extend(1)
			for _, c := range flow.Required.Columns() {
				if flow.Schema[c].Kind == flow.Address {
					b.SetAddr(c, i, flow.AddrFrom4([4]byte{192, 0, 2, 1}))
				} else {
					b.SetUint(c, i, uint64(i+1))
				}
			}
			if name != "-" {
				b.SetText(hall, i, []byte(name))
				b.SetUint(shelf, i, uint64(40+i))
			}
		}
		if err := errors.Join(s.Write(b), s.Close()); err != nil {
			t.Fatal(err)
		}
	case "read":
		for _, c := range []struct {
			args []string
			want string
		}{
			{[]string{"-o", "csv", "-A", "hall,shelf", "-O", "flows", "hall contains 1"}, "hall,shelf,flows,packets,bytes,start,end\n\"Tōkyō \"\"1\"\", east\",40,1,"},
			{[]string{"-o", "csv", "shelf 40"}, `,"Tōkyō ""1"", east",40` + "\n"},
			{[]string{"-o", "json", "-s", "hall", "shelf > 40"}, `[` + "\n" + `{"hall":"Ōsaka\u001b[2J","flows":1,`},
			{[]string{"-o", "json", "hall ~ '^Ō'"}, `"hall":"Ōsaka\u001b[2J","shelf":41}`},
			{[]string{"-s", "hall/bytes"}, "Ōsaka�[2J"},
			{[]string{"-o", "csv", "-A", "shelf", "not hall contains ō and hall ~ ."}, "shelf,flows,packets,bytes,start,end\n41,1,"},
			{[]string{"-o", "csv", "-A", "shelf", "not hall ~ ."}, "shelf,flows,packets,bytes,start,end\n,1,"},
		} {
			status, out, errs := minamo(t, append([]string{"flows", "--data", data}, c.args...)...)
			if status != 0 || !strings.Contains(out, c.want) {
				t.Errorf("%q: status %d\n%s%s\nwant\n%s", c.args, status, out, errs, c.want)
			}
		}
		if status, _, errs := minamo(t, "flows", "--data", data, "-s", "halls"); status != 2 || !strings.Contains(errs, `did you mean "hall"`) {
			t.Errorf("status %d, %s", status, errs)
		}
	default:
		data = t.TempDir()
		for _, step := range []string{"write", "read"} {
			child := exec.Command(os.Args[0], "-test.run=^TestFlowsOfOwnColumns$")
			child.Env = append(os.Environ(), "MINAMO_TEST_OWN="+step, "MINAMO_TEST_OWN_DIR="+data)
			if out, err := child.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", step, err, out)
			}
		}
	}
}
