package store

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/minamo-flow/minamo/flow"
)

// check runs Check, and CheckRollups where deep.
func check(t *testing.T, dir string, deep bool) *Checked {
	t.Helper()
	c, err := Check(context.Background(), dir, nil)
	if err == nil && deep {
		err = CheckRollups(context.Background(), dir, c, nil, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// rolledUp is a directory with segments, merged and not, and all rollups.
func rolledUp(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	fillDay(t, dir, 2, 500)
	s, _ := open(t, Config{Dir: dir})
	settle(t, s, time.UnixMilli(noon).Add(26*time.Hour))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	b := flow.NewBatch(1)
	scatter(b, 700, noon+30*3_600_000, seeded())
	if _, err := WriteSegment(dir, b, time.UnixMilli(noon).Add(30*time.Hour)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestCheckSound demands that nothing is wrong with what a server leaves, and
// that all of it is looked at.
func TestCheckSound(t *testing.T) {
	dir := rolledUp(t)
	d, err := Describe(context.Background(), dir, true, nil)
	if err != nil {
		t.Fatal(err)
	}
	var files int
	var rows int64
	for _, table := range d.Tables {
		files += table.Files
		rows += table.Rows
		if table.Name == flowsDir && table.Rows != 2*6*500+700 || table.Torn > 0 || len(table.Columns) == 0 {
			t.Errorf("%+v", table)
		}
	}
	if len(d.Tables) < 20 {
		t.Errorf("only %d tables: the rollups are not there", len(d.Tables))
	}
	c := check(t, dir, true)
	for _, f := range c.Findings {
		t.Errorf("%+v", f)
	}
	if c.Files != files || c.Rows != rows || c.Wrong() {
		t.Errorf("%d files and %d rows checked, there are %d and %d", c.Files, c.Rows, files, rows)
	}
}

// TestCheckColumnBytes demands that the columns' bytes add up to the files but
// for their footers.
func TestCheckColumnBytes(t *testing.T) {
	dir := t.TempDir()
	b := flow.NewBatch(1)
	generate(b, 20_000, noon, seeded())
	s, err := WriteSegment(dir, b, time.UnixMilli(noon))
	if err != nil {
		t.Fatal(err)
	}
	d, err := Describe(context.Background(), dir, true, nil)
	if err != nil {
		t.Fatal(err)
	}
	var sum int64
	for _, c := range d.Tables[0].Columns {
		sum += c.Compressed
		if at, _ := flow.Lookup(c.Name); at == flow.TCPFlags && (c.Rows == 0 || c.Rows == s.Rows) || at == flow.Start && c.Rows != s.Rows {
			t.Errorf("%+v", c)
		}
	}
	if sum >= s.Bytes || float64(sum) < 0.95*float64(s.Bytes) {
		t.Errorf("the columns have %d of %d bytes", sum, s.Bytes)
	}
}

// TestCheckFinds damages a directory in every way, one after the other.
func TestCheckFinds(t *testing.T) {
	flip := func(part float64) func(t *testing.T, path string) {
		return func(t *testing.T, path string) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			data[int(part*float64(len(data)))] ^= 0x10
			rewrite(t, path, data)
		}
	}
	rename := func(old, new string) func(t *testing.T, path string) {
		return func(t *testing.T, path string) {
			if !strings.Contains(path, old) {
				t.Fatalf("%s has no %s", path, old)
			}
			if err := os.Rename(path, strings.Replace(path, old, new, 1)); err != nil {
				t.Fatal(err)
			}
		}
	}
	dir := t.TempDir()
	b := flow.NewBatch(1)
	generate(b, 300, noon, seeded())
	segment, err := WriteSegment(dir, b, time.UnixMilli(noon))
	if err != nil {
		t.Fatal(err)
	}
	original, err := os.ReadFile(segment.Path)
	if err != nil {
		t.Fatal(err)
	}
	sealed := segment.SealedFirst.Format(stampLayout)
	for _, c := range []struct {
		name   string
		break_ func(t *testing.T, path string)
		want   string
		aside  int
		rename int
	}{
		{"a page", flip(0.3), "row group 0, column [", 1, 0},
		{"the footer", flip(0.97), "", 1, 0},
		{"torn", func(t *testing.T, path string) { rewrite(t, path, original[:len(original)/2]) }, "torn", 1, 0},
		{"empty", func(t *testing.T, path string) { rewrite(t, path, nil) }, "torn", 1, 0},
		{"rows", rename("_300.", "_301."), "it has 300 rows, and its name says 301", 1, 0},
		{"times", rename("_"+segment.Start.Format(stampLayout), "_"+segment.End.Format(stampLayout)), "queries miss some of them", 0, 1},
		{"day", func(t *testing.T, path string) {
			elsewhere := filepath.Join(filepath.Dir(filepath.Dir(path)), "2020-01-01")
			if err := os.Mkdir(elsewhere, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(path, filepath.Join(elsewhere, filepath.Base(path))); err != nil {
				t.Fatal(err)
			}
		}, "is in the directory 2020-01-01", 0, 1},
		{"overlap", func(t *testing.T, path string) {
			for _, seals := range []string{"20200101T000000.000Z-" + sealed, sealed + "-20300101T000000.000Z"} {
				name := filepath.Join(filepath.Dir(path), seals+filepath.Base(path)[41:])
				rewrite(t, name, original)
			}
		}, "overlaps", 0, 1},
		{"stranger", func(t *testing.T, path string) {
			rewrite(t, filepath.Join(filepath.Dir(path), "notes.parquet"), original)
		}, "not that of a segment", 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, sub := range []string{flowsDir, "damaged"} {
				os.RemoveAll(filepath.Join(dir, sub))
			}
			os.MkdirAll(filepath.Dir(segment.Path), 0o755)
			rewrite(t, segment.Path, original)
			if c := check(t, dir, false); c.Wrong() {
				t.Fatalf("wrong before: %+v", c.Findings)
			}
			c.break_(t, segment.Path)
			got := check(t, dir, false)
			if !got.Wrong() {
				t.Fatal("nothing was found")
			}
			var said []string
			for _, f := range got.Findings {
				said = append(said, f.Problem)
				if f.Advice == "" || f.Path == "" {
					t.Errorf("%+v", f)
				}
			}
			if !strings.Contains(strings.Join(said, "\n"), c.want) {
				t.Errorf("found %q, want %s", said, c.want)
			}
			aside, renamed, err := Repair(dir, got.Findings)
			if err != nil || aside != c.aside || renamed != c.rename {
				t.Fatalf("%d set aside, %d renamed, want %d and %d; %v", aside, renamed, c.aside, c.rename, err)
			}
			if after := check(t, dir, false); after.Wrong() && aside+renamed > 0 && c.name != "overlap" {
				t.Errorf("wrong after the repair: %+v", after.Findings)
			}
		})
	}
	held, err := lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if _, _, err := Repair(dir, nil); err == nil || !strings.Contains(err.Error(), "in use by") {
		t.Errorf("repaired under a running server: %v", err)
	}
}

func rewrite(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestCheckMissesNothing flips bits all over a file, one at a time. Either
// that is found, or every value is still what it was.
func TestCheckMissesNothing(t *testing.T) {
	dir := t.TempDir()
	b := flow.NewBatch(1)
	scatter(b, 200, noon, seeded())
	s, err := WriteSegment(dir, b, time.UnixMilli(noon))
	if err != nil {
		t.Fatal(err)
	}
	original, err := os.ReadFile(s.Path)
	if err != nil {
		t.Fatal(err)
	}
	want := valuesOf(t, s.Path)
	missed, found := 0, 0
	for i := 0; i < len(original); i += 31 {
		data := bytes.Clone(original)
		data[i] ^= 1 << (i % 8)
		rewrite(t, s.Path, data)
		if check(t, dir, false).Wrong() {
			found++
			continue
		}
		missed++
		if got := valuesOf(t, s.Path); !bytes.Equal(got, want) {
			t.Fatalf("bit %d of byte %d of %d changes values, and is not found", i%8, i, len(original))
		}
	}
	t.Logf("%d flipped bits were found, %d change nothing", found, missed)
	if found < 9*missed {
		t.Errorf("only %d of %d flipped bits were found", found, found+missed)
	}
}

// valuesOf are all values of a file, as JSON.
func valuesOf(t *testing.T, path string) (all []byte) {
	t.Helper()
	err := Read(path, flow.Mask{}, func(b *flow.Batch) error {
		for i := range b.Len() {
			all = append(b.AppendJSON(all, i), '\n')
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestCheckRollups takes flows away from under a part, and gives it others.
func TestCheckRollups(t *testing.T) {
	dir := rolledUp(t)
	segments, err := Segments(dir)
	if err != nil {
		t.Fatal(err)
	}
	under := segments[0]
	hidden := filepath.Join(t.TempDir(), "hidden")
	if err := os.Rename(under.Path, hidden); err != nil {
		t.Fatal(err)
	}
	c := check(t, dir, true)
	if c.Wrong() || len(c.Findings) != 1 || !strings.Contains(c.Findings[0].Problem, fmt.Sprintf("%d of ", len(rollupTables))) {
		t.Errorf("deleted flows are no fault of the parts, but should be told once: %+v", c.Findings)
	}

	// The same segment with one more packet in one flow.
	b := flow.NewBatch(1)
	if err := Read(hidden, flow.Mask{}, func(r *flow.Batch) error { b.Append(r, 0, r.Len()); return nil }); err != nil {
		t.Fatal(err)
	}
	b.U64(flow.Packets)[17]++
	rewrite(t, under.Path, newEncoder().encode(b))
	c = check(t, dir, true)
	wrong := map[string]bool{}
	for _, f := range c.Findings {
		if f.Damaged && strings.Contains(f.Problem, "the flows themselves have") {
			wrong[f.Table] = true
		}
	}
	if len(wrong) != len(rollupTables) {
		t.Errorf("the packet is missed in %d of %d tables: %+v", len(rollupTables)-len(wrong), len(rollupTables), c.Findings)
	}
}
