package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var (
	minamo string // the binary under test
	root   string // of the project
)

func TestMain(m *testing.M) {
	os.Exit(func() int {
		// Debian keeps ip, softflowd and ovs-vswitchd where only root's PATH looks.
		os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin")
		// nfdump prints, and reads, local times.
		os.Setenv("TZ", "UTC")
		var err error
		if root, err = filepath.Abs(".."); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		if minamo = os.Getenv("MINAMO"); minamo == "" {
			dir, err := os.MkdirTemp("", "minamo-e2e-")
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				return 1
			}
			defer os.RemoveAll(dir)
			minamo = filepath.Join(dir, "minamo")
			build := exec.Command("go", "build", "-buildvcs=false", "-o", minamo, "./cmd/minamo")
			build.Dir, build.Stderr = root, os.Stderr
			if err := build.Run(); err != nil {
				fmt.Fprintln(os.Stderr, "building the binary under test:", err)
				return 1
			}
		}
		return m.Run()
	}())
}

// skip leaves a test out because the machine lacks something; never under CI.
func skip(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("CI=true, where nothing may be skipped: "+format, args...)
	}
	t.Skipf("SKIPPED: "+format, args...)
}

// need skips a test for which a program is missing.
func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, name := range programs {
		if _, err := exec.LookPath(name); err != nil {
			skip(t, "%s is not installed; scripts/install tells how to get it", name)
		}
	}
}

// needRoot skips a test that makes namespaces or mounts.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		skip(t, "only root may do what this test does")
	}
}

// patience is for machines that are slow, or busy.
const patience = 30 * time.Second

// eventually polls until the condition holds; it fails the test when it never does.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v in vain: %s", patience, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// run runs a program to its end and returns its standard output; any other
// exit status than 0 fails the test.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	var stdout, stderr strings.Builder
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, stderr.String())
	}
	return stdout.String()
}
