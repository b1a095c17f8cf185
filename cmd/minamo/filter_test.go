package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/minamo-flow/minamo/query"
)

// TestFiltersIncludeFiles: on the command line, as in nfdump.
func TestFiltersIncludeFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ports := write("ports", "dst port in [\n\t80 # web\n\t443\n]\n")
	f, err := parseFilter("proto tcp and (@include " + ports + "\n)")
	if err != nil || !strings.Contains(f.SQL(), `"dst_port" IN (80, 443)`) {
		t.Errorf("%v, %v", f.SQL(), err)
	}
	bad := write("bad", "proto tcp\nand prt 80")
	_, err = parseFilter("@include " + bad)
	var wrong *query.FilterError
	if !errors.As(err, &wrong) || wrong.File != bad || wrong.Line != 2 || wrong.Column != 5 || pointAt("@include "+bad, wrong) != "" {
		t.Errorf("%+v", wrong)
	}
	_, err = parseFilter("udp or @include " + filepath.Join(dir, "none"))
	if !errors.As(err, &wrong) || wrong.Column != 17 || !strings.Contains(err.Error(), "no such file") || pointAt("udp or @include x", wrong) == "" {
		t.Errorf("%v", err)
	}
}
