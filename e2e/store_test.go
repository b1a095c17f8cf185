package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/minamo-flow/minamo/internal/fixtures"
)

// fails runs a program that must end with a status, and returns what it said
// on standard error.
func fails(t *testing.T, status int, name string, args ...string) string {
	t.Helper()
	var stdout, stderr strings.Builder
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Run()
	if got := cmd.ProcessState.ExitCode(); got != status {
		t.Fatalf("%s: status %d, want %d\n%s%s", cmd, got, status, stdout.String(), stderr.String())
	}
	if strings.Contains(stderr.String(), "goroutine ") {
		t.Fatalf("%s panicked:\n%s", cmd, stderr.String())
	}
	return stderr.String()
}

// TestStoreCommands looks after a directory as an operator would: while the
// server runs, and after it.
func TestStoreCommands(t *testing.T) {
	data := t.TempDir()
	s := serve(t, data)
	x := newSender(t, s.listen)
	x.flows(600)
	eventually(t, "the flows are stored", func() bool { return countOf(t, data) == 600 })

	// Under a running server: what reads works, what writes is refused.
	if rows := storeRows(t, data); rows != 600 {
		t.Errorf("stats counts %d rows, want 600", rows)
	}
	run(t, minamo, "store", "check", "--data", data)
	exported := filepath.Join(t.TempDir(), "all.parquet")
	run(t, minamo, "store", "export", "--data", data, "-w", exported)
	for _, args := range [][]string{{"compact"}, {"import", exported}} {
		mentions(t, fails(t, 1, minamo, append([]string{"store", args[0], "--data", data}, args[1:]...)...), data, fmt.Sprint(s.cmd.Process.Pid), "stop that server")
	}
	x.flows(300)
	s.stop(t)

	// Compacting changes no flow.
	before := dump(t, data)
	mentions(t, run(t, minamo, "store", "compact", "--data", data), "flows")
	if after := dump(t, data); after != before || strings.Count(after, "\n") != 900 {
		t.Errorf("compact left %d flows, or changed some", strings.Count(after, "\n"))
	}

	// What was exported is imported elsewhere, twice counts twice.
	other := t.TempDir()
	for n := range 2 {
		mentions(t, run(t, minamo, "store", "import", "--data", other, exported), "imported 600 flows")
		if got := countOf(t, other); got != uint64(600*(n+1)) {
			t.Errorf("%d flows after import %d", got, n+1)
		}
	}
	for _, name := range []string{other, filepath.Join(other, "flows")} {
		mentions(t, fails(t, 2, minamo, "store", "import", "--data", other, name), "count twice")
	}
	// A whole directory is, too: a backup that is restored.
	restored := t.TempDir()
	run(t, minamo, "store", "import", "--data", restored, data)
	if dump(t, restored) != before {
		t.Error("the flows of an imported directory differ")
	}

	// A damaged file is found, named, and set aside.
	files, err := filepath.Glob(filepath.Join(data, "flows", "*", "*.parquet"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%v %v", files, err)
	}
	content, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	content[len(content)/3] ^= 0x20
	if err := os.WriteFile(files[0], content, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{nil, {"--repair"}} {
		cmd := exec.Command(minamo, append([]string{"store", "check", "--data", data}, args...)...)
		out, _ := cmd.Output()
		if cmd.ProcessState.ExitCode() != 1 {
			t.Errorf("check %v of a damaged file: status %d\n%s", args, cmd.ProcessState.ExitCode(), out)
		}
		mentions(t, string(out), filepath.Base(files[0]), "WRONG")
	}
	if _, err := os.Stat(filepath.Join(data, "damaged", filepath.Base(files[0]))); err != nil {
		t.Error(err)
	}
	run(t, minamo, "store", "check", "--data", data, "--deep")
}

// storeRows is what stats counts.
func storeRows(t *testing.T, data string) (rows int64) {
	t.Helper()
	var stats struct {
		Tables []struct {
			Table string
			Rows  int64
		}
	}
	text := run(t, minamo, "store", "stats", "--data", data, "-o", "json", "--by", "column", "--table", "flows")
	if err := json.Unmarshal([]byte(text), &stats); err != nil || len(stats.Tables) != 1 {
		t.Fatalf("%v in %s", err, text)
	}
	return stats.Tables[0].Rows
}

// dump is every flow of a directory, sorted.
func dump(t *testing.T, data string) string {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(run(t, minamo, "store", "export", "--data", data, "-o", "ndjson", "--raw")), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n") + "\n"
}

// TestStoreExport demands of each format what minamo flows says of the same
// question, and that no half a file is ever left.
func TestStoreExport(t *testing.T) {
	recording := filepath.Join(fixtures.Dir(t), "cases", "ipfixcol_ipfix_data_02-odid0.pcap")
	data := t.TempDir()
	s := serve(t, data)
	run(t, minamo, "replay", recording, "--to", fmt.Sprintf("127.0.0.1:%d", s.listen), "--speed", "max")
	s.stop(t)
	dir := t.TempDir()
	for _, filter := range []string{"", "proto udp", "dst port 53 and bytes > 60"} {
		want := stored(t, data, filter)
		if len(want) == 0 {
			t.Fatalf("nothing matches %q", filter)
		}
		again := filepath.Join(dir, "again-"+filter)
		file := filepath.Join(dir, "x.parquet")
		run(t, minamo, "store", "export", "--data", data, "-w", file, filter)
		run(t, minamo, "store", "import", "--data", again, file)
		agree(t, stored(t, again), "the store it came from", want)
		text := run(t, minamo, "store", "export", "--data", data, "-o", "csv", "--columns", "packets,bytes", "--raw", filter)
		var sum totals
		for i, line := range strings.Split(strings.TrimSpace(text), "\n") {
			packets, bytes, _ := strings.Cut(line, ",")
			if i == 0 {
				if line != "packets,bytes" {
					t.Fatalf("header %q", line)
				}
				continue
			}
			p, err1 := strconv.ParseUint(packets, 10, 64)
			b, err2 := strconv.ParseUint(bytes, 10, 64)
			if err1 != nil || err2 != nil {
				t.Fatalf("line %q", line)
			}
			sum = sum.plus(totals{1, p, b})
		}
		if sum != want.sum() {
			t.Errorf("%q: csv has %+v, minamo flows %+v", filter, sum, want.sum())
		}
	}
	kept, _ := os.ReadFile(filepath.Join(dir, "x.parquet"))
	mentions(t, fails(t, 2, minamo, "store", "export", "--data", data, "-w", filepath.Join(dir, "x.parquet"), "prot udp"), "prot", "^^^^")
	fails(t, 2, minamo, "store", "export", "--data", data, "-w", filepath.Join(dir, "x.xls"))
	if now, _ := os.ReadFile(filepath.Join(dir, "x.parquet")); string(now) != string(kept) {
		t.Error("an export that failed changed the file")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

// TestStoreImportNfdump takes over what nfcapd stored of recordings, as csv and
// as json, and demands nfdump's own figures: of each conversation, and of all.
func TestStoreImportNfdump(t *testing.T) {
	need(t, "nfcapd", "nfdump")
	compared := 0
	for _, name := range []string{
		"ipfixcol_ipfix_data_02-odid0", "ipfixcol_ipfix_data_01-odid0", "telegraf_netflow_v5_example", "logstash_Netflow-9-Cisco-ASA-2",
		"logstash_Netflow-9-Cisco-1941-K9-release-15-1", "logstash_Netflow-9-Palo-Alto-PAN-OS-with-app-id", "logstash_IPFIX-Barracuda-extended-uniflow-template-256",
	} {
		recording := filepath.Join(fixtures.Dir(t), "cases", name+".pcap")
		if _, err := os.Stat(recording); err != nil {
			t.Errorf("%v", err)
			continue
		}
		t.Run(name, func(t *testing.T) {
			peer := startNfcapd(t, "nfcapd")
			run(t, minamo, "replay", recording, "--to", fmt.Sprintf("127.0.0.1:%d", peer.port), "--speed", "max")
			there, back := peer.ledgers(t)
			if len(there) == 0 {
				t.Fatal("nfcapd stored nothing")
			}
			for _, format := range []string{"csv", "json"} {
				data := t.TempDir()
				text := run(t, "nfdump", "-R", peer.dir, "-o", format)
				file := filepath.Join(t.TempDir(), "flows."+format)
				if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
				run(t, minamo, "store", "import", "--data", data, "--utc", file)
				agree(t, stored(t, data, "not biflow reverse"), "nfdump", there)
				if len(back) > 0 {
					agree(t, stored(t, data, "biflow reverse"), "nfdump, the way back", back)
				}
				run(t, minamo, "store", "check", "--data", data)

				// The same by a pipe, and not at all where it ends too soon.
				cmd := exec.Command(minamo, "store", "import", "--data", data, "--utc", "-")
				cmd.Stdin = strings.NewReader(text[:len(text)*2/3])
				if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "nothing was added") {
					t.Errorf("half of nfdump's %s: %v\n%s", format, err, out)
				}
				cmd = exec.Command(minamo, "store", "import", "--data", data, "--utc", "--format", "nfdump-"+format, "-")
				cmd.Stdin = strings.NewReader(text)
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Errorf("by a pipe: %v\n%s", err, out)
				}
				if got, want := stored(t, data, "not biflow reverse").sum().Flows, 2*there.sum().Flows; got != want {
					t.Errorf("%d flows after the second import, want %d", got, want)
				}
			}
			compared++
		})
	}
	if compared == 0 {
		t.Error("nothing was compared")
	}
}

// TestStoreHelp demands that every command explains itself, and refuses what
// it does not know.
func TestStoreHelp(t *testing.T) {
	mentions(t, run(t, minamo, "store", "--help"), "stats", "check", "compact", "export", "import")
	for _, command := range []string{"stats", "check", "compact", "export", "import"} {
		mentions(t, run(t, minamo, "store", command, "--help"), "Usage: minamo store "+command, "--data DIR", "Examples:", "Exit status:")
		mentions(t, fails(t, 2, minamo, "store", command, "--colour"), "--help", "colour")
		if command == "import" {
			continue // it makes the directory
		}
		args := []string{"store", command, "--data", "/nowhere"}
		if command == "export" {
			args = append(args, "-o", "csv")
		}
		mentions(t, fails(t, 1, minamo, args...), "/nowhere", "--data")
	}
	fails(t, 2, minamo, "store")
	mentions(t, fails(t, 2, minamo, "store", "defragment"), "defragment", "stats")
}
