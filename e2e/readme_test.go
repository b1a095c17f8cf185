package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// shellBlock is a block of shell commands in a Markdown file.
var shellBlock = regexp.MustCompile("(?ms)^```sh\n(.*?)^```")

// TestReadme runs the commands of the README as they stand there, beside a
// server started as `make run` starts it: in a namespace, where the default
// ports are free.
func TestReadme(t *testing.T) {
	ns := namespace(t, "readme")
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(minamo, filepath.Join(dir, "bin", "minamo")); err != nil {
		t.Fatal(err)
	}
	recording, err := os.ReadFile(datagramCapture(t, 2055, [][]byte{netflow5(0, 30, time.Now().Add(-1000*time.Hour))}))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "capture.pcap"), recording, 0o644); err != nil {
		t.Fatal(err)
	}
	inside := func(args ...string) *exec.Cmd {
		cmd := exec.Command("ip", append([]string{"netns", "exec", ns}, args...)...)
		cmd.Dir = dir
		return cmd
	}
	s := startCmd(t, inside("bin/minamo", "serve", "--data", "./data"))
	eventually(t, "the server listens", func() (bound bool) {
		in(t, ns, func() { _, _, bound = udpQueue(t, 2055) })
		return bound
	})

	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, block := range shellBlock.FindAllStringSubmatch(string(text), -1) {
		for _, line := range strings.Split(block[1], "\n") {
			if !strings.HasPrefix(line, "bin/minamo ") {
				continue
			}
			ran++
			if out, err := inside("sh", "-c", line).CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", line, err, out)
			}
		}
	}
	if ran < 4 {
		t.Errorf("the README has only %d commands", ran)
	}
	// One of them replayed the recording as if it came now.
	data := filepath.Join(dir, "data")
	eventually(t, "the replayed flows are stored", func() bool { return stored(t, data, "-t", "-15m").sum().Flows == 30 })
	mentions(t, s.output.String(), "2055", "4739", "6343", "http://127.0.0.1:8080/", data)
	if status := s.terminate(t); status != 0 {
		t.Errorf("the server ended with status %d", status)
	}
}
