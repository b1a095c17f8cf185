package store

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/minamo-flow/minamo/flow"
)

// TestMain is also the child of TestKill.
func TestMain(m *testing.M) {
	if dir := os.Getenv("MINAMO_TEST_KILL_ME"); dir != "" {
		first, _ := strconv.Atoi(os.Getenv("MINAMO_TEST_FIRST"))
		fmt.Fprintln(os.Stderr, fill(dir, first, os.Getenv("MINAMO_TEST_STEADY") != "", os.Stdout))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

const crashBatch, crashSealRows = 500, 20_000

// fill writes into a directory, says what it has been promised, and does not
// end by itself: as fast as it can, or steadily into a store as servers have
// it. Rows carry in their bytes what the witness counted when they were written.
func fill(dir string, next int, steady bool, promises io.Writer) error {
	cfg := Config{Dir: dir, Seal: 20 * time.Millisecond, SealRows: crashSealRows}
	if steady {
		cfg = Config{Dir: dir}
	}
	s, err := Open(cfg, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		return err
	}
	before := int(s.Stats().Rows)
	failed := make(chan error, 3)
	var usable atomic.Int64
	go func() { failed <- witness(filepath.Join(dir, "witness"), &usable) }()
	go func() { failed <- s.Run(context.Background()) }()
	go mergeEagerly(s, func(err error) { failed <- err }, nil)
	for written := 0; ; {
		b, now := numbered(next, crashBatch), usable.Load()
		for i := range b.Len() {
			b.SetUint(flow.Bytes, i, uint64(now))
		}
		if err := s.Write(b); err != nil {
			return err
		}
		next, written = next+crashBatch, written+crashBatch
		fmt.Fprintln(promises, next, written, int(s.Stats().Rows)-before, now)
		if steady {
			time.Sleep(5 * time.Millisecond)
		}
		select {
		case err := <-failed:
			return err
		default:
		}
	}
}

// witness counts the milliseconds that the store could use: over and over it
// sleeps a little and syncs a few bytes to the same disk, and of what that took
// it counts no more than is usual. So on a machine or a disk that stalls, it
// stalls with the store, where a clock would go on and blame the store for it.
func witness(path string, usable *atomic.Int64) error {
	const most = 40
	for {
		begin := time.Now()
		time.Sleep(10 * time.Millisecond)
		if err := writeSynced(path, []byte("here")); err != nil {
			return err
		}
		usable.Add(min(time.Since(begin).Milliseconds(), most))
	}
}

// TestKill kills a server at random moments, again and again in the same
// directory. In most rounds it seals and merges as often as it can, so that
// kills hit every step; in some it runs as it does by default, and what may be
// lost is what came in the last second and a half.
func TestKill(t *testing.T) {
	const rounds, steadyEvery = 50, 10
	dir := t.TempDir()
	db := duck(t)
	next, seen, mostLost, longest := 0, int64(0), 0, int64(0)
	for round := range rounds {
		steady := round%steadyEvery == steadyEvery-1
		first := next
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), "MINAMO_TEST_KILL_ME="+dir, fmt.Sprint("MINAMO_TEST_FIRST=", next))
		life := rand.N(200 * time.Millisecond)
		if steady {
			child.Env = append(child.Env, "MINAMO_TEST_STEADY=1")
			life = time.Second + rand.N(1500*time.Millisecond)
		}
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
		time.AfterFunc(life, func() { child.Process.Kill() })
		var written, sealed int
		var now int64 // of the witness, when the last rows were taken
		for more := true; more; more = lines.Scan() {
			if n, _ := fmt.Sscan(lines.Text(), &next, &written, &sealed, &now); n != 4 {
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
		if !steady && lost > 4*crashSealRows {
			t.Errorf("round %d: %d rows lost, more than ever wait in memory", round, lost)
		}
		if steady {
			gap := now - newest(t, db, dir, first)
			if gap > 1500 {
				t.Errorf("round %d: what came within %d ms is lost", round, gap)
			}
			longest = max(longest, gap)
		}
		seen, mostLost, next = rows, max(mostLost, lost), next+2*crashBatch // one batch may have gone unreported
		s, _ := open(t, Config{Dir: dir})
		if stats := s.Stats(); stats.Rows != rows {
			t.Errorf("round %d: %d rows after the restart, %d before", round, stats.Rows, rows)
		}
		s.Close()
	}
	t.Logf("%d rows stored in %d rounds, at most %d lost in one, and at most %d ms", seen, rounds, mostLost, longest)
}

// newest is what the witness had counted when the newest row that is stored
// was written, of those numbered from first on; 0 when there is none.
func newest(t *testing.T, db *sql.DB, dir string, first int) (now int64) {
	t.Helper()
	snapshot, err := Pin(dir, time.Time{}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	defer snapshot.Close()
	if len(snapshot.Paths()) == 0 {
		return 0
	}
	err = db.QueryRow(fmt.Sprintf("SELECT coalesce(max(bytes), 0) FROM read_parquet(['%s'], union_by_name = true) WHERE packets >= %d", strings.Join(snapshot.Paths(), "', '"), first)).Scan(&now)
	if err != nil {
		t.Fatal(err)
	}
	return now
}
