package main

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestLooksLike(t *testing.T) {
	for text, want := range map[string]string{
		"PAR1....":               parquetFormat,
		"[\n{\n\t\"type\" : ":    nfdumpJSON,
		`{"cnt":1,"type":"FLOW"`: nfdumpJSON,
		"ts,te,td,sa,da\n":       nfdumpCSV,
		"firstSeen,duration\n":   nfdumpCSV,
		"No matching flows\n":    nfdumpCSV,
		"":                       "",
		"hello world\n":          "",
		"\x00\x01\x02":           "",
	} {
		if got := looksLike(bufio.NewReader(strings.NewReader(text))); got != want {
			t.Errorf("%q looks like %q, want %q", text, got, want)
		}
	}
}

func TestNumbersForPeople(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1 000", 1234567: "1 234 567", -1234: "-1 234"} {
		if got := grouped(n); got != want {
			t.Errorf("grouped(%d) is %q, want %q", n, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1536: "1.5 KiB", 5 << 30: "5.0 GiB", 1 << 62: "4096.0 PiB"} {
		if got := sized(n); got != want {
			t.Errorf("sized(%d) is %q, want %q", n, got, want)
		}
	}
}

func TestGrid(t *testing.T) {
	var out strings.Builder
	g := grid{{"name", "bytes", " how"}}
	g.add("流", "1 000", " plain")
	g.add("flows", "5", " delta dictionary")
	g.print(&out)
	const want = "name   bytes  how\n流      1 000  plain\nflows      5  delta dictionary\n"
	if out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}

// TestTaskProgress demands a line now and then where nobody has a terminal, and
// nothing of a task that is done soon.
func TestTaskProgress(t *testing.T) {
	var out bytes.Buffer
	p := newTaskProgress(&out, "minamo store check", "rows", 200)
	p.show(50, 5000)
	if out.Len() > 0 {
		t.Errorf("%q at once", &out)
	}
	p.started = time.Now().Add(-20 * time.Second)
	p.show(50, 5000)
	p.show(51, 5001)
	p.done()
	if got := out.String(); got != "minamo store check:  25 %  5000 rows, 250/s, 1m0s left\n" {
		t.Errorf("%q", got)
	}
}

// TestAtomicFile demands that a file is there when it is complete, not before,
// and that what was there stays until then.
func TestAtomicFile(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "x.csv")
	for _, complete := range []bool{true, false, true} {
		before, _ := os.ReadFile(name)
		f, err := createAtomic(name, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte("content " + time.Now().String())); err != nil {
			t.Fatal(err)
		}
		if now, _ := os.ReadFile(name); !bytes.Equal(now, before) {
			t.Fatal("it changed before it was complete")
		}
		if complete {
			if err := f.commit(); err != nil {
				t.Fatal(err)
			}
		}
		f.abandon()
		if now, _ := os.ReadFile(name); bytes.Equal(now, before) == complete {
			t.Fatalf("%q after %q", now, before)
		}
		if all, _ := os.ReadDir(dir); len(all) != 1 {
			t.Fatalf("%v", all)
		}
	}
}
