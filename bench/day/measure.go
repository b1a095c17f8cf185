package main

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/duckdb/duckdb-go/v2"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/query"
	"github.com/minamo-flow/minamo/store"
)

// measurement asks the questions.
type measurement struct {
	*options
	engine *query.Engine
	duckdb *sql.DB
	out    strings.Builder
}

// asker answers a question and says what the answer is, for comparison.
type asker func() (answer string, err error)

// timing is the median of several answers.
type timing struct {
	took   time.Duration
	answer string
}

// measure writes its tables to DIR/measure.md, and to stdout.
func measure(o *options) error {
	m := &measurement{options: o}
	var err error
	if m.engine, err = query.Open(query.Config{Threads: o.threads, MemoryLimit: 2 << 30, TempDir: filepath.Join(o.dir, "tmp")}); err != nil {
		return err
	}
	defer m.engine.Close()
	connector, err := duckdb.NewConnector("?threads="+strconv.Itoa(o.threads), nil)
	if err != nil {
		return err
	}
	m.duckdb = sql.OpenDB(connector)
	defer m.duckdb.Close()

	fmt.Fprintf(&m.out, "%s flows over 24 hours, seed %d; %s, %d processors, %d threads; median of %d; %s.\n",
		thousands(o.flows), o.seed, processor(), runtime.NumCPU(), o.threads, o.repeat, time.Now().UTC().Format(time.RFC3339))
	for _, part := range []func() error{m.warm, m.totals, m.sizes, m.sealing, m.reports, m.rawQuestions, m.firstLine} {
		if err := part(); err != nil {
			return err
		}
	}
	return o.publish("measure", m.out.String())
}

func processor() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// slow is what takes so long to answer that being asked for the first time
// makes no difference: it is asked once.
const slow = 10 * time.Second

// timed asks once to warm up, and then as often as wanted. A question that
// fails is told of and leaves an empty cell: the others are worth knowing.
func (m *measurement) timed(title string, ask asker) (t timing) {
	if ask == nil {
		return t
	}
	var all []time.Duration
	for i := range m.repeat + 1 {
		begin := time.Now()
		answer, err := ask()
		if err != nil {
			fmt.Fprintf(os.Stderr, "measure: %s: %v\n", title, err)
			return timing{answer: "failed"}
		}
		t.answer = answer
		if took := time.Since(begin); i > 0 {
			all = append(all, took)
		} else if took > slow {
			all = append(all, took)
			break
		}
	}
	t.took = percentile(all, 50)
	fmt.Fprintf(os.Stderr, "measure: %s: %s\n", title, short(t.took))
	return t
}

// pinned runs a question over the segments between two times, as the server
// does: each question lists and opens the files anew.
func (m *measurement) pinned(from, to time.Time, ask func(context.Context, *store.Snapshot) (string, error)) asker {
	return func() (string, error) {
		snapshot, err := store.Pin(m.data(), from, to)
		if err != nil {
			return "", err
		}
		defer snapshot.Close()
		return ask(context.Background(), snapshot)
	}
}

// plain asks DuckDB over all raw segments. "flows" in the statement is they,
// "IP(…)" an address.
func (m *measurement) plain(statement string) asker {
	if statement == "" {
		return nil
	}
	return func() (string, error) {
		rows, err := m.duckdb.Query(strings.ReplaceAll(statement, "flows", "read_parquet('"+m.data()+"/flows/*/*.parquet', union_by_name = true, hive_partitioning = false)"))
		if err != nil {
			return "", err
		}
		defer rows.Close()
		columns, err := rows.Columns()
		if err != nil {
			return "", err
		}
		values, target := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			target[i] = &values[i]
		}
		n := 0
		for ; rows.Next(); n++ {
			if err := rows.Scan(target...); err != nil {
				return "", err
			}
		}
		return strconv.Itoa(n), rows.Err()
	}
}

// nfdumped runs nfdump over the files of [from, to) of the day, minutes, to
// its last line of output. The answer is how many lines of flows that were.
func (m *measurement) nfdumped(from, to int, args ...string) asker {
	files := filepath.Join(m.nfdump(), nfdumpName(date, from)) + ":" + nfdumpName(date, to-1)
	return func() (string, error) {
		out, err := m.command("nfdump", append([]string{"-R", files, "-q", "-N", "-6"}, args...)...)
		lines := 0
		for line := range bytes.Lines(out) {
			if line[0] >= '0' && line[0] <= '9' { // not "No matching flows"
				lines++
			}
		}
		return strconv.Itoa(lines), err
	}
}

// command runs a program with the times of the day in UTC.
func (m *measurement) command(name string, args ...string) ([]byte, error) {
	c := exec.Command(name, args...)
	c.Env = append(os.Environ(), "TZ=UTC")
	out, err := c.Output()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		err = fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, failed.Stderr)
	}
	return out, err
}

// warm reads every file once.
func (m *measurement) warm() error {
	for _, dir := range []string{m.data(), m.nfdump()} {
		err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() {
				return err
			}
			f, err := os.Open(path)
			if err != nil {
				return err
			}
			_, err = io.Copy(io.Discard, f)
			return errors.Join(err, f.Close())
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// totals makes sure that all sides have the same flows before any is timed.
func (m *measurement) totals() error {
	flows, packets, bytes, err := nfdumpTotals(m.nfdump())
	if err != nil {
		return err
	}
	_, err = m.pinned(time.Time{}, time.Time{}, func(ctx context.Context, s *store.Snapshot) (string, error) {
		t, err := m.engine.Top(ctx, s, query.Request{Raw: true})
		if err != nil {
			return "", err
		}
		if other := (query.Sums{Flows: flows, Packets: packets, Bytes: bytes}); t.Total != other || t.Total.Flows != uint64(m.flows) {
			return "", fmt.Errorf("the store holds %+v, nfdump %+v, the day has %d flows", t.Total, other, m.flows)
		}
		return "", nil
	})()
	fmt.Fprintf(&m.out, "All sides hold %s flows, %s packets, %s bytes.\n\n", thousands(flows), thousands(packets), thousands(bytes))
	return err
}

// sizes tells what a flow takes on the disk.
func (m *measurement) sizes() error {
	flows := float64(m.flows)
	t := &markdown{}
	t.add("On disk", "Files", "Bytes", "Bytes a flow")
	tables := map[string][2]int64{}
	var names []string
	for _, root := range []string{"flows", "rollups"} {
		err := filepath.WalkDir(filepath.Join(m.data(), root), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				if errors.Is(err, fs.ErrNotExist) {
					return nil
				}
				return err
			}
			info, err := entry.Info()
			if err != nil {
				return err
			}
			name := root
			if rel, _ := filepath.Rel(m.data(), path); root == "rollups" {
				name = strings.Join(strings.Split(rel, string(filepath.Separator))[:2], "/")
			}
			if _, known := tables[name]; !known {
				names = append(names, name)
			}
			tables[name] = [2]int64{tables[name][0] + 1, tables[name][1] + info.Size()}
			return nil
		})
		if err != nil {
			return err
		}
	}
	add := func(name string, files, size int64) {
		t.add(name, thousands(files), thousands(size), fmt.Sprintf("%.2f", float64(size)/flows))
	}
	for _, name := range names {
		add(name, tables[name][0], tables[name][1])
	}
	var files, size int64
	entries, err := os.ReadDir(m.nfdump())
	if err != nil {
		return err
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			files, size = files+1, size+info.Size()
		}
	}
	add("nfdump -z", files, size)
	m.out.WriteString(t.String() + "\n")

	rows, err := m.duckdb.Query("SELECT path_in_schema, sum(total_compressed_size)::BIGINT FROM parquet_metadata('" + m.data() + "/flows/*/*.parquet') GROUP BY ALL ORDER BY 2 DESC")
	if err != nil {
		return err
	}
	defer rows.Close()
	var columns []string
	for rows.Next() {
		var name string
		var size int64
		if err := rows.Scan(&name, &size); err != nil {
			return err
		}
		columns = append(columns, fmt.Sprintf("%s %.2f", name, float64(size)/flows))
	}
	fmt.Fprintf(&m.out, "Bytes a flow, by column (%d): %s.\n\n", len(columns), strings.Join(columns, ", "))
	return rows.Err()
}

// sealing measures the processor time from a decoded batch to a durable
// segment, of a second at 100,000 flows/s and at 10,000.
func (m *measurement) sealing() error {
	t := &markdown{}
	t.add("Sealing", "CPU-s a million flows", "Bytes a flow")
	for _, rows := range []int{100_000, 10_000, 1_000} {
		d := newDay(m.seed, 100_000_000, date)
		b := flow.NewBatch(rows)
		for b.Len() < rows {
			next, _ := d.next()
			b.Append(next, 0, min(next.Len(), rows-b.Len()))
		}
		dir, err := os.MkdirTemp(m.dir, "seal-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		var size int64
		before := processorTime()
		const rounds = 20
		for i := range rounds {
			segment, err := store.WriteSegment(dir, b, date.Add(time.Duration(i)*time.Second))
			if err != nil {
				return err
			}
			size += segment.Bytes
		}
		cpu := processorTime() - before
		t.add("segments of "+thousands(rows)+" flows", fmt.Sprintf("%.2f", cpu.Seconds()*1e6/float64(rounds*rows)),
			fmt.Sprintf("%.1f", float64(size)/float64(rounds*rows)))
	}
	m.out.WriteString(t.String() + "\n")
	return nil
}

// processorTime is what this process has used.
func processorTime() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// peers are the nearest that nfdump and SQL have to a standard report: nfdump's
// options, and the expressions that DuckDB groups by. Where a report is not
// here, nfdump has none, and DuckDB groups by the report's columns.
var peers = map[string]struct{ nfdump, sql string }{
	"traffic":            {"-s proto/bytes", "1"},
	"protocol":           {"-s proto/bytes -n 10", ""},
	"application":        {"-s port/bytes -n 10", "least(src_port, dst_port), protocol"},
	"packet-size":        {"", "width_bucket"},
	"ip-version":         {"", "src_addr < '00000000-0000-0001-0000-000000000000'::UUID"},
	"dscp":               {"-s srctos/bytes -n 10", "tos >> 2"},
	"source":             {"-s srcip/bytes -n 10", ""},
	"destination":        {"-s dstip/bytes -n 10", ""},
	"conversation":       {"-A srcip,dstip -O bytes -n 10", ""},
	"subnet-source":      {"-A srcip4/24 -O bytes -n 10", "(src_addr::VARCHAR)[1:34]"},
	"subnet-destination": {"-A dstip4/24 -O bytes -n 10", "(dst_addr::VARCHAR)[1:34]"},
	"as-source":          {"-s srcas/bytes -n 10", ""},
	"as-destination":     {"-s dstas/bytes -n 10", ""},
	"as-pair":            {"-A srcas,dstas -O bytes -n 10", ""},
	"exporter":           {"-s router/bytes -n 10", ""},
	"interface-in":       {"-A router,inif -O bytes -n 10", ""},
	"interface-out":      {"-A router,outif -O bytes -n 10", ""},
	"direction":          {"-s dir/flows", ""},
}

// reports asks for every standard report: over the whole day, which is one of
// the store's own buckets, from minute to minute, as people ask for the last
// 24 hours, and as a curve.
func (m *measurement) reports() error {
	t := &markdown{}
	t.add("Standard report, top 10", "the day", "00:07 to 23:52", "the day in 5 min", "from", "nfdump", "×", "DuckDB", "×")
	for _, s := range query.StandardReports() {
		var from []string
		ask := func(title string, begin, end, step time.Duration) timing {
			r := query.Report{From: date.Add(begin), To: date.Add(end), By: s.Dimensions(), Metric: s.Metric, Limit: 10, Step: step}
			var tables string
			t := m.timed(s.Name+", "+title, func() (string, error) {
				a, err := m.engine.Report(context.Background(), query.Dir(m.data()), r)
				if err == nil {
					tables = strings.Join(a.Stats.Tables, ", ")
				}
				return "", err
			})
			if !slices.Contains(from, tables) {
				from = append(from, tables)
			}
			return t
		}
		table := ask("the day", 0, 24*time.Hour, 0)
		minutes := ask("minutes", 7*time.Minute, 24*time.Hour-8*time.Minute, 0)
		series := ask("series", 0, 24*time.Hour, 5*time.Minute)
		peer := peers[s.Name]
		var dump asker
		if peer.nfdump != "" {
			dump = m.nfdumped(0, minutesOfDay, strings.Fields(peer.nfdump)...)
		}
		dumped := m.timed(s.Name+", nfdump", dump)
		plain := m.timed(s.Name+", DuckDB", m.plain(groupSQL(&s, peer.sql)))
		t.add(s.Name, short(table.took), short(minutes.took), short(series.took), strings.Join(from, "; "),
			short(dumped.took), times(minutes.took, dumped.took), short(plain.took), times(minutes.took, plain.took))
	}
	m.out.WriteString(t.String() + "\n")
	return nil
}

// groupSQL is what somebody writes who asks DuckDB for the report.
func groupSQL(s *query.StandardReport, by string) string {
	switch {
	case strings.HasPrefix(s.Name, "neighbour"):
		return "" // the day has no such columns
	case by == "width_bucket":
		by = "CASE WHEN packets > 0 THEN (bytes // packets) // 64 END"
	case s.Name == "duration":
		by = `(epoch_ms("end") - epoch_ms(start)) // 1000`
	case s.Metric == query.P95:
		columns := strings.Join(s.By, ", ")
		return `SELECT ` + columns + `, quantile_disc(v, .95) q FROM (SELECT ` + columns + `, time_bucket(INTERVAL 5 minute, start) t, sum(bytes * sampling_rate) v FROM flows GROUP BY ALL) GROUP BY ALL ORDER BY q DESC LIMIT 10`
	case by == "":
		by = strings.Join(s.By, ", ")
	}
	order := "b"
	switch s.Metric {
	case query.Flows:
		order = "n"
	case query.Packets, query.PPS:
		order = "p"
	}
	return "SELECT " + by + ", count(*) n, sum(packets * sampling_rate) p, sum(bytes * sampling_rate) b FROM flows GROUP BY ALL ORDER BY " + order + " DESC LIMIT 10"
}

// rawQuestions asks what only the flows themselves can answer.
func (m *measurement) rawQuestions() error {
	t := &markdown{}
	t.add("Over the flows themselves", "Flows", "Goal", "Minamo", "nfdump", "×", "DuckDB", "×")
	row := func(title, goal string, minamo, nfdump, plain asker) {
		a := m.timed(title, minamo)
		b := m.timed(title+", nfdump", nfdump)
		c := m.timed(title+", DuckDB", plain)
		if b.answer != a.answer {
			a.answer += fmt.Sprintf(" (nfdump: %s)", b.answer)
		}
		if c.answer != a.answer && !strings.HasPrefix(a.answer, c.answer+" ") {
			a.answer += fmt.Sprintf(" (DuckDB: %s)", c.answer)
		}
		t.add(title, a.answer, goal, short(a.took), short(b.took), times(a.took, b.took), short(c.took), times(a.took, c.took))
	}

	by, err := query.ParseDimensions("srcip")
	if err != nil {
		return err
	}
	row("top 10 source addresses by bytes", "5 s",
		m.pinned(time.Time{}, time.Time{}, func(ctx context.Context, s *store.Snapshot) (string, error) {
			t, err := m.engine.Top(ctx, s, query.Request{By: by, Limit: 10, Raw: true})
			if err != nil {
				return "", err
			}
			return strconv.Itoa(len(t.Rows)), nil
		}),
		m.nfdumped(0, minutesOfDay, "-s", "srcip/bytes", "-n", "10"),
		m.plain("SELECT src_addr, count(*), sum(packets), sum(bytes) b FROM flows GROUP BY ALL ORDER BY b DESC LIMIT 10"))

	clients := newDay(m.seed, m.flows, date).clients
	evening := date.Add(21 * time.Hour)
	for _, who := range []struct {
		name string
		rank int
	}{{"popular", 10}, {"middling", 5_000}, {"rare", 150_000}} {
		address := clients[who.rank].addr[0]
		for _, window := range []struct {
			name, goal string
			from, to   time.Time
		}{
			{"5 minutes", "50 ms", evening, evening.Add(5 * time.Minute)},
			{"24 h", "1 s", date, date.AddDate(0, 0, 1)},
		} {
			filter, err := query.ParseFilter("ip " + address.String())
			if err != nil {
				return err
			}
			first, last := int(window.from.Sub(date).Minutes()), int(window.to.Sub(date).Minutes())
			const layout = "2006/01/02.15:04:05"
			row("all flows of a "+who.name+" address, "+window.name, window.goal,
				m.pinned(window.from, window.to, func(ctx context.Context, s *store.Snapshot) (string, error) {
					flows := 0
					_, err := m.engine.Flows(ctx, s, query.Request{From: window.from, To: window.to, Filter: filter, Raw: true}, func(b *flow.Batch) error {
						flows += b.Len()
						return nil
					})
					return strconv.Itoa(flows), err
				}),
				// The files that can hold flows of the window: some end later than it.
				m.nfdumped(first, min(last+2*fileMinutes, minutesOfDay), "-t", window.from.Format(layout)+"-"+window.to.Add(-time.Millisecond).Format(layout), "-o", "csv", "ip "+address.String()),
				m.plain(fmt.Sprintf(`SELECT * FROM flows WHERE (src_addr = '%[1]s'::UUID OR dst_addr = '%[1]s'::UUID) AND start < '%[2]s'::TIMESTAMPTZ AND "end" >= '%[3]s'::TIMESTAMPTZ`,
					uuid(address), window.to.Format(time.RFC3339), window.from.Format(time.RFC3339))))
		}
	}
	m.out.WriteString(t.String() + "\n")
	return nil
}

// uuid writes an address as DuckDB reads it.
func uuid(a flow.Addr) string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", a[:4], a[4:6], a[6:8], a[8:10], a[10:])
}

// firstLine measures how long it takes from the start of a program to its
// first flow, of an hour.
func (m *measurement) firstLine() error {
	const window = "2026/06/01.12:00:00-2026/06/01.13:00:00"
	t := &markdown{}
	t.add("From the start to the first line", "Goal", "Minamo", "nfdump", "×")
	hour := filepath.Join(m.nfdump(), nfdumpName(date, 12*60)) + ":" + nfdumpName(date, 13*60-1)
	for _, q := range []struct{ title, filter string }{
		{"an hour", "any"},
		{"an hour, TCP to port 179", "proto tcp and dst port 179"},
	} {
		minamo := m.timed(q.title, m.first(m.minamo, "flows", "--data", m.data(), "--utc", "-t", window, q.filter))
		dump := m.timed(q.title+", nfdump", m.first("nfdump", "-R", hour, "-t", window, q.filter))
		t.add("minamo flows, "+q.title, "100 ms", short(minamo.took), short(dump.took), times(minamo.took, dump.took))
	}
	m.out.WriteString(t.String() + "\n")
	return nil
}

// first runs a program to its first line of flows, which follows the head.
func (m *measurement) first(name string, args ...string) asker {
	return func() (string, error) {
		ctx, cancel := context.WithCancel(context.Background())
		c := exec.CommandContext(ctx, name, args...)
		c.Env = append(os.Environ(), "TZ=UTC")
		var problems strings.Builder
		c.Stderr = &problems
		out, err := c.StdoutPipe()
		if err != nil {
			cancel()
			return "", err
		}
		if err := c.Start(); err != nil {
			cancel()
			return "", err
		}
		lines := bufio.NewReader(out)
		_, err = lines.ReadString('\n')
		if err == nil {
			_, err = lines.ReadString('\n')
		}
		// The rest of its life does not count.
		go func() {
			cancel()
			io.Copy(io.Discard, out)
			c.Wait()
		}()
		if err != nil {
			return "", fmt.Errorf("%s: %w\n%s", name, err, &problems)
		}
		return "", nil
	}
}
