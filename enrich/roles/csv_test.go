package roles

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestCSV(t *testing.T) {
	lines := []Line{
		{Assignment{one, 5, Service}, "", "xe-0/0/5", `SVC: "cache", with a comma`},
		{Assignment{Exporter: one, Index: 6}, Core, "xe-0/0/6", ""},
		{Assignment{two, 4294967295, External}, Customer, "", ""},
	}
	var b bytes.Buffer
	if err := WriteCSV(&b, lines); err != nil {
		t.Fatal(err)
	}
	got, err := ReadCSV(&b)
	if err != nil || !slices.Equal(got, []Assignment{lines[0].Assignment, lines[2].Assignment}) {
		t.Errorf("%+v, %v", got, err)
	}
	// As a spreadsheet may write it.
	got, err = ReadCSV(strings.NewReader("\ufeffRole,Index,Exporter\r\nCORE, 7 ,192.0.2.1\r\n"))
	if err != nil || !slices.Equal(got, []Assignment{{one, 7, Core}}) {
		t.Errorf("%+v, %v", got, err)
	}
	for want, text := range map[string]string{
		"line 1: expected":                "",
		`line 1: column "port"`:           "exporter,port,role\n",
		`line 1: column "role" is`:        "exporter,index\n",
		`line 3: the role "edge"`:         "exporter,index,role\n192.0.2.1,1,core\n192.0.2.1,2,edge\n",
		`line 2: the exporter "tokyo"`:    "exporter,index,role\ntokyo,1,core\n",
		`line 2: the index "-1"`:          "exporter,index,role\n192.0.2.1,-1,core\n",
		"record on line 2: wrong number ": "exporter,index,role\n192.0.2.1,1\n",
	} {
		if _, err := ReadCSV(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %v", want, err)
		}
	}
}

func FuzzCSV(f *testing.F) {
	f.Add([]byte("exporter,index,role\n192.0.2.1,7,core\n"))
	f.Add([]byte("role,index,exporter,name\n,7,192.0.2.1,\"a\nb\"\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := ReadCSV(bytes.NewReader(text))
		if err != nil {
			return
		}
		lines := make([]Line, len(list))
		for i, a := range list {
			lines[i].Assignment = a
		}
		var b bytes.Buffer
		if err := WriteCSV(&b, lines); err != nil {
			t.Fatal(err)
		}
		again, err := ReadCSV(&b)
		if err != nil || !slices.Equal(again, list) {
			t.Fatalf("%v came back as %v, %v", list, again, err)
		}
	})
}

// Of two who read the same and change it, the second one is told.
func TestNobodysWorkIsOverwritten(t *testing.T) {
	l, err := Open(filepath.Join(t.TempDir(), "interfaces.json"))
	if err != nil {
		t.Fatal(err)
	}
	read := l.Revision()
	if err := l.Change(read, config); err != nil {
		t.Fatal(err)
	}
	if err := l.Change(read, Config{}); err != ErrChanged {
		t.Errorf("the second one: %v", err)
	}
	again, err := Open(l.path)
	if err != nil {
		t.Fatal(err)
	}
	if again.Revision() != l.Revision() || l.Revision() == read {
		t.Errorf("revisions %s, after reading anew %s, at first %s", l.Revision(), again.Revision(), read)
	}
	if err := again.Change(l.Revision(), Config{}); err != nil || again.Revision() != read {
		t.Errorf("%v: what is as at first has the revision %s, not %s", err, again.Revision(), read)
	}
}
