package store

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// TestMain is also the child of TestKill.
func TestMain(m *testing.M) {
	if dir := os.Getenv("MINAMO_TEST_KILL_ME"); dir != "" {
		first, _ := strconv.Atoi(os.Getenv("MINAMO_TEST_FIRST"))
		fmt.Fprintln(os.Stderr, fill(dir, first, os.Stdout))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

const crashBatch, crashSealRows = 500, 20_000

// fill writes into a directory as fast as it can, says what it has been
// promised, and does not end by itself.
func fill(dir string, next int, promises io.Writer) error {
	s, err := Open(Config{Dir: dir, Seal: 20 * time.Millisecond, SealRows: crashSealRows}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		return err
	}
	before := int(s.Stats().Rows)
	failed := make(chan error, 2)
	go func() { failed <- s.Run(context.Background()) }()
	go mergeEagerly(s, func(err error) { failed <- err }, nil)
	for written := 0; ; {
		if err := s.Write(numbered(next, crashBatch)); err != nil {
			return err
		}
		next, written = next+crashBatch, written+crashBatch
		fmt.Fprintln(promises, next, written, int(s.Stats().Rows)-before)
		select {
		case err := <-failed:
			return err
		default:
		}
	}
}

func TestKill(t *testing.T) {
	dir := t.TempDir()
	db := duck(t)
	next, seen, mostLost := 0, int64(0), 0
	for round := range 10 {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), "MINAMO_TEST_KILL_ME="+dir, fmt.Sprint("MINAMO_TEST_FIRST=", next))
		child.Stderr = os.Stderr
		out, err := child.StdoutPipe()
		if err == nil {
			err = child.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		if !lines.Scan() { // it has begun
			t.Fatal("the child said nothing")
		}
		time.AfterFunc(time.Duration(rand.IntN(300))*time.Millisecond, func() { child.Process.Kill() })
		var written, sealed int
		for more := true; more; more = lines.Scan() {
			if n, _ := fmt.Sscan(lines.Text(), &next, &written, &sealed); n != 3 {
				break // killed in mid-line
			}
		}
		child.Wait()

		rows, distinct := census(t, db, dir) // every file can be read
		if rows != distinct {
			t.Errorf("round %d: %d rows, %d distinct: counted twice", round, rows, distinct)
		}
		got := int(rows - seen)
		if got < sealed {
			t.Errorf("round %d: %d rows of %d sealed ones", round, got, sealed)
		}
		lost := written - got
		if lost > 4*crashSealRows {
			t.Errorf("round %d: %d rows lost, more than ever wait in memory", round, lost)
		}
		seen, mostLost, next = rows, max(mostLost, lost), next+2*crashBatch // one batch may have gone unreported
		s, _ := open(t, Config{Dir: dir})
		if stats := s.Stats(); stats.Rows != rows {
			t.Errorf("round %d: %d rows after the restart, %d before", round, stats.Rows, rows)
		}
		s.Close()
	}
	t.Logf("%d rows stored in 10 rounds, at most %d lost in one", seen, mostLost)
}
