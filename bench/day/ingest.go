package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/minamo-flow/minamo/bench/loopback"
	"github.com/minamo-flow/minamo/query"
)

// askers is how many people ask at once, each the next question as soon as the
// last one is answered.
const askers = 10

// ingest runs a server on a copy of the day, and sends it flows as routers
// would: first alone, then while people ask for reports over the day. What it
// finds goes to DIR/ingest.md, and to stdout.
func ingest(o *options) error {
	dir := filepath.Join(o.dir, "ingest")
	defer os.RemoveAll(dir)
	if err := errors.Join(os.RemoveAll(dir), linkAll(o.data(), dir)); err != nil {
		return err
	}
	s, err := startServer(o, dir)
	if err != nil {
		return err
	}
	begin := time.Now()
	load := loopback.NewLoad()
	t := &markdown{}
	t.add("", "Flows sent", "flows/s", "Lost", "CPU-s a million flows", "Processors used")
	answers := map[string]*latencies{}
	for _, people := range []int{0, askers} {
		title := "ingest alone"
		if people > 0 {
			title = fmt.Sprintf("while %d people ask", people)
		}
		fmt.Fprintf(os.Stderr, "ingest: %s, %d s\n", title, o.seconds)
		before, cpu, since := s.received(), s.cpu(), time.Now()
		stop := ask(s.url, people, o.seed, answers)
		sent, took, err := load.Send(s.receiver.Port, o.rate, time.Duration(o.seconds)*time.Second)
		stop()
		s.receiver.Drain()
		time.Sleep(2 * time.Second) // until the last second is sealed
		used, elapsed := s.cpu()-cpu, time.Since(since)
		if err != nil {
			s.receiver.Kill()
			return err
		}
		lost := sent - (s.received() - before)
		t.add(title, thousands(sent), fmt.Sprintf("%.0f", float64(sent)/took.Seconds()), thousands(lost),
			fmt.Sprintf("%.2f", used.Seconds()*1e6/float64(sent)), fmt.Sprintf("%.2f", used.Seconds()/elapsed.Seconds()))
	}
	total := s.received()
	cost, err := s.receiver.Stop()
	if err != nil {
		return err
	}
	kept, err := storedSince(o, dir, begin)
	if err != nil {
		return err
	}
	var out strings.Builder
	fmt.Fprintf(&out, "A server on %s flows, %s more a second for %d s each, NetFlow v9; at most %d MB of memory. It received %s of them, and keeps %s.\n\n%s\n",
		thousands(o.flows), thousands(o.rate), o.seconds, cost.Memory>>20, thousands(total), thousands(kept), t)
	t = &markdown{}
	t.add(fmt.Sprintf("Questions of %d people, meanwhile", askers), "Asked", "Not answered", "p50", "p95", "Greatest")
	add := func(name string, l *latencies) {
		t.add(name, thousands(len(l.took)+l.failed), thousands(l.failed),
			short(percentile(l.took, 50)), short(percentile(l.took, 95)), short(percentile(l.took, 100)))
	}
	var all latencies
	for _, l := range answers {
		all.took, all.failed = append(all.took, l.took...), all.failed+l.failed
	}
	add("all", &all)
	for _, kind := range questions() {
		if l := answers[kind.name]; l != nil {
			add(kind.name, l)
		}
	}
	out.WriteString(t.String())
	return o.publish("ingest", out.String())
}

// linkAll makes a copy of a data directory, of hard links: files never change.
func linkAll(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		switch {
		case err != nil:
			return err
		case entry.IsDir():
			return os.MkdirAll(filepath.Join(to, rel), 0o755)
		case filepath.Ext(path) != ".parquet":
			return nil // a lock, and the like
		}
		return os.Link(path, filepath.Join(to, rel))
	})
}

// server is a running `minamo serve`.
type server struct {
	receiver *loopback.Receiver
	url      string
}

func startServer(o *options, dir string) (*server, error) {
	port, err := loopback.FreePort()
	if err != nil {
		return nil, err
	}
	http, err := loopback.FreePort()
	if err != nil {
		return nil, err
	}
	config := filepath.Join(o.dir, "ingest.yaml")
	// The day is long ago: nothing of it may be too old. And each question counts.
	text := fmt.Sprintf(`data: %q
listen: ["udp://127.0.0.1:%d"]
http: "127.0.0.1:%d"
store: {max-age: 0, rollups: {minute: {max-age: 0}, hour: {max-age: 0}}}
query: {cache: 0}
`, dir, port, http)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return nil, err
	}
	r, err := loopback.Start(port, o.minamo, "serve", "--config", config)
	if err != nil {
		return nil, err
	}
	s := &server{r, fmt.Sprintf("http://127.0.0.1:%d", http)}
	for range 100 {
		if _, err = get(s.url + "/api/status"); err == nil {
			return s, nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	r.Kill()
	return nil, fmt.Errorf("the server does not answer: %w\n%s", err, &r.Output)
}

func get(url string) ([]byte, error) {
	resp, err := http.Get(url)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %.300s", url, resp.Status, body)
	}
	return body, err
}

// received is how many flows the server has received since its start.
func (s *server) received() int {
	var status struct {
		Flows int `json:"flows_total"`
	}
	if body, err := get(s.url + "/api/status"); err == nil {
		json.Unmarshal(body, &status)
	}
	return status.Flows
}

// cpu is the processor time that the server has used.
func (s *server) cpu() time.Duration {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.receiver.PID()))
	_, after, _ := strings.Cut(string(text), ") ") // state is the first field then
	fields := strings.Fields(after)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond // of 100 Hz, as Linux tells it
}

// storedSince counts the flows that were sent to a server which began then.
func storedSince(o *options, dir string, begin time.Time) (int, error) {
	m := &measurement{options: o}
	window := begin.Add(-3*time.Minute).UTC().Format(time.RFC3339) + "/" + time.Now().UTC().Add(time.Minute).Format(time.RFC3339)
	text, err := m.command(o.minamo, "flows", "--data", dir, "--raw", "-t", window, "-A", "export_protocol", "-o", "json")
	if err != nil {
		return 0, err
	}
	var rows []struct{ Flows int }
	if err := json.Unmarshal(text, &rows); err != nil {
		return 0, err
	}
	flows := 0
	for _, row := range rows {
		flows += row.Flows
	}
	return flows, nil
}

// questionKind is a question that people ask, of an hour that is never the same.
type questionKind struct {
	name   string
	length time.Duration
	path   string
	values url.Values
}

// questions are the standard reports over some hours or the day, some with
// their series, and single flows.
func questions() (kinds []questionKind) {
	for i, s := range query.StandardReports() {
		k := questionKind{"report " + s.Name, []time.Duration{time.Hour, 6 * time.Hour, 23 * time.Hour}[i%3], "/api/report", url.Values{"name": {s.Name}}}
		k.name += fmt.Sprintf(", %.0f h", k.length.Hours())
		if i%2 == 0 {
			k.values.Set("step", "auto")
			k.name += ", series"
		}
		kinds = append(kinds, k)
	}
	return append(kinds, questionKind{"flows to a port, 5 minutes", 5 * time.Minute, "/api/flows", url.Values{"filter": {"dst port 22"}, "limit": {"100"}}})
}

// latencies are those of one kind of question.
type latencies struct {
	took   []time.Duration
	failed int
}

// ask lets people ask until stop is called, and collects how long it took.
func ask(base string, people int, seed uint64, into map[string]*latencies) (stop func()) {
	var group sync.WaitGroup
	var mu sync.Mutex
	told := false // of a failure
	done := make(chan struct{})
	kinds := questions()
	for person := range people {
		random := rand.New(rand.NewPCG(seed, uint64(person)))
		group.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				k := kinds[random.IntN(len(kinds))]
				from := date.Add(time.Duration(random.Int64N(int64(24*time.Hour - k.length)))).Truncate(time.Second)
				values := url.Values{"from": {from.Format(time.RFC3339)}, "to": {from.Add(k.length).Format(time.RFC3339)}}
				for name, v := range k.values {
					values[name] = v
				}
				begin := time.Now()
				_, err := get(base + k.path + "?" + values.Encode())
				took := time.Since(begin)
				mu.Lock()
				l := into[k.name]
				if l == nil {
					l = &latencies{}
					into[k.name] = l
				}
				if err == nil {
					l.took = append(l.took, took)
				} else {
					l.failed++
					if !told {
						fmt.Fprintln(os.Stderr, "ingest: a question was not answered:", err)
					}
					told = true
				}
				mu.Unlock()
			}
		})
	}
	return func() {
		close(done)
		group.Wait()
	}
}
