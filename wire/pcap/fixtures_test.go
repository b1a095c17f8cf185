package pcap

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/minamo-flow/minamo/internal/fixtures"
)

// captures lists the capture files among the fixtures.
func captures(t testing.TB) (paths []string) {
	err := filepath.WalkDir(fixtures.Dir(t), func(path string, e fs.DirEntry, err error) error {
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
