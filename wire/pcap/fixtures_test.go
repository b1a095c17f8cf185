package pcap

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fixtures is the directory of recorded captures; the test is skipped where
// there is none.
func fixtures(t testing.TB) string {
	dir := os.Getenv("MINAMO_FIXTURES")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "fixtures")
	}
	if _, err := os.Stat(dir); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("no fixtures: %v; set MINAMO_FIXTURES", err)
		}
		t.Skipf("SKIPPED, NO FIXTURES: %v; set MINAMO_FIXTURES", err)
	}
	return dir
}

// captures lists the capture files among the fixtures.
func captures(t testing.TB) (paths []string) {
	err := filepath.WalkDir(fixtures(t), func(path string, e fs.DirEntry, err error) error {
		if ext := filepath.Ext(path); ext == ".pcap" || ext == ".pcapng" || strings.HasSuffix(path, ".pcapng.cap") {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil || len(paths) == 0 {
		t.Fatalf("no captures among the fixtures: %v", err)
	}
	return paths
}

func TestFixturesAreReadToTheirEnd(t *testing.T) {
	var total Stats
	for _, path := range captures(t) {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		r, err := NewReader(f)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		u := NewUDPReader(r)
		var d Datagram
		for err = u.Next(&d); err == nil; err = u.Next(&d) {
			if d.Time == 0 || !d.Src.IsValid() || !d.Dst.IsValid() {
				t.Errorf("%s: datagram without time or addresses: %+v", path, d)
			}
		}
		info, _ := f.Stat()
		if !errors.Is(err, io.EOF) || u.Offset() != info.Size() {
			t.Errorf("%s: ended at %d of %d bytes: %v", path, u.Offset(), info.Size(), err)
		}
		s := u.Stats()
		if s.Skipped[Malformed]+s.Skipped[UnknownLink]+s.Skipped[Truncated]+s.Skipped[Incomplete] > 0 {
			t.Errorf("%s: packets that should have been read: %+v", path, s)
		}
		total.Packets += s.Packets
		total.Datagrams += s.Datagrams
		total.Fragments += s.Fragments
		for i, n := range s.Skipped {
			total.Skipped[i] += n
		}
	}
	t.Logf("%+v", total)
}
