package e2e

import (
	"encoding/csv"
	"fmt"
	"math"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/minamo-flow/minamo/simulate"
)

// lived is what truly happened for some time: streams, each with the sum of its
// minutes, and with each bucket of five.
type lived struct {
	world
	from, to time.Time
	streams  map[streamKey]*stream
}

type streamKey struct {
	application string
	from, to    netip.Prefix
	icmp        uint8
	in          *simulate.Interface
	status      uint8
}

type stream struct {
	simulate.Stream
	buckets []simulate.Count
}

const bucket = 5 * time.Minute

// relive simulates what a demo simulates, without routers that export: of seed
// and start follows all that happens.
func relive(t *testing.T, cfg simulate.Config, from, to time.Time) *lived {
	t.Helper()
	s := &lived{from: from, to: to, streams: map[streamKey]*stream{}}
	cfg.OnStream = func(minute time.Time, m *simulate.Stream) {
		if minute.Before(from) || !minute.Before(to) {
			return
		}
		key := streamKey{m.Application, m.From.Prefix, m.To.Prefix, m.ICMPType, m.In, m.Status}
		sum := s.streams[key]
		if sum == nil {
			sum = &stream{Stream: *m, buckets: make([]simulate.Count, to.Sub(from)/bucket)}
			sum.Count, sum.Parts = simulate.Count{}, nil
			s.streams[key] = sum
		}
		sum.Count.Add(&m.Count)
		sum.buckets[minute.Sub(from)/bucket].Add(&m.Count)
		for _, p := range m.Parts {
			i := slices.IndexFunc(sum.Parts, func(q simulate.Part) bool { return q.Shortest == p.Shortest && q.Longest == p.Longest })
			if i < 0 {
				i = len(sum.Parts)
				sum.Parts = append(sum.Parts, simulate.Part{Shortest: p.Shortest, Longest: p.Longest})
			}
			sum.Parts[i].Count.Add(&p.Count)
		}
	}
	network, err := simulate.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer network.Close()
	if err := network.Step(to); err != nil {
		t.Fatal(err)
	}
	for _, p := range network.Plan().Prefixes {
		s.holders.Insert(p.Prefix, p)
	}
	return s
}

// group is the truth of a group.
type group struct {
	simulate.Count
	buckets []simulate.Count
}

// groups are the truth as a report groups it.
func (s *lived) groups(b *beside) map[string]*group {
	groups := map[string]*group{}
	add := func(key string, c *simulate.Count, buckets []simulate.Count) {
		g := groups[key]
		if g == nil {
			g = &group{buckets: make([]simulate.Count, len(buckets))}
			groups[key] = g
		}
		g.Count.Add(c)
		for i := range buckets {
			g.buckets[i].Add(&buckets[i])
		}
	}
	for _, x := range s.streams {
		switch {
		case b.only != nil && !b.only(&x.Stream):
		case b.parts != nil:
			for i := range x.Parts {
				add(b.parts(&x.Stream, &x.Parts[i]), &x.Parts[i].Count, nil)
			}
		default:
			add(b.truth(&x.Stream), &x.Count, x.buckets)
		}
	}
	return groups
}

// samples is how many packets are sampled of a group, about.
func (g *group) samples() float64 { return float64(g.Packets) * float64(g.Packets) / g.PacketsVar }

// percentile is the 95th percentile of the group's bits per second, and how far off
// the buckets that it is taken of may be, at the very most.
func (g *group) percentile() (bps, off float64) {
	of := func(bytes float64) float64 { return bytes * 8 / bucket.Seconds() }
	var rates []float64
	for _, c := range g.buckets {
		rates, off = append(rates, of(float64(c.Bytes))), max(off, of(5*math.Sqrt(c.BytesVar)))
	}
	slices.Sort(rates)
	return rates[int(math.Ceil(.95*float64(len(rates))))-1], off
}

// report asks the binary for all rows of a standard report.
func (s *lived) report(t *testing.T, data string, b *beside) (rows []answered) {
	t.Helper()
	args := []string{"report", "--data", data, "--utc", "-t", s.from.Format("2006/01/02.15:04:05") + "-" + s.to.Format("2006/01/02.15:04:05"), "-n", "0", "-o", "csv", b.report}
	if b.filter != "" {
		args = append(args, b.filter)
	}
	lines, err := csv.NewReader(strings.NewReader(run(t, minamo, args...))).ReadAll()
	if err != nil || len(lines) < 2 {
		t.Fatalf("%s: %d lines, %v", b.report, len(lines), err)
	}
	number := func(text string) float64 {
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Fatalf("%s: %v", b.report, err)
		}
		return n
	}
	by := slices.Index(lines[0], "flows") - 1 // after the label
	for _, line := range lines[1:] {
		values, figures := line[1:1+by], line[1+by:]
		for i := range values {
			if values[i] == "" {
				values[i] = "—"
			}
		}
		r := answered{label: line[0], values: values, key: strings.Join(values, " "), packets: number(figures[1]), bytes: number(figures[2]), value: number(figures[3])}
		r.stated = number(figures[5]) * r.value
		rows = append(rows, r)
	}
	return rows
}

// judge holds a report against the truth. It returns how many groups were sampled
// enough to tell, and how many of those are off by more than the report says.
func (s *lived) judge(t *testing.T, data string, b *beside, metric string) (groups, off int) {
	t.Helper()
	truth, said, sum := s.groups(b), map[string]*answered{}, answered{}
	for _, r := range s.report(t, data, b) {
		sum.packets += r.packets
		sum.bytes += r.bytes
		key, ok := r.key, true
		if b.row != nil {
			key, ok = b.row(&s.world, &r)
		}
		if !ok || truth[key] == nil {
			t.Errorf("%q: %.0f packets are reported, there was nothing of it", r.key, r.packets)
			continue
		}
		g := said[key]
		if g == nil {
			g = &answered{key: key}
			said[key] = g
		}
		g.packets += r.packets
		g.bytes += r.bytes
		g.value += r.value
		g.stated = math.Hypot(g.stated, r.stated)
	}
	var all simulate.Count
	for key, g := range truth {
		all.Add(&g.Count)
		r := said[key]
		if r == nil {
			r = &answered{key: key}
		}
		// What is off by more than this is wrong, and not unlucky. Of what is sampled
		// hardly ever, a few more packets can be.
		few := 0.0
		if g.samples() < 30 {
			few = 6 * (g.PacketsVar/float64(g.Packets) + 1)
		}
		packets, bytes := r.packets-float64(g.Packets), r.bytes-float64(g.Bytes)
		if math.Abs(packets) > 5*math.Sqrt(g.PacketsVar)+few || math.Abs(bytes) > 5*math.Sqrt(g.BytesVar)+1500*few {
			t.Errorf("%q: %.0f packets, %.0f bytes are reported; there were %d, %d; expected ± %.0f, ± %.0f", key, r.packets, r.bytes, g.Packets, g.Bytes, 1.96*math.Sqrt(g.PacketsVar), 1.96*math.Sqrt(g.BytesVar))
		}
		if g.samples() < 30 {
			continue // then what is stated is a guess, too
		}
		groups++
		seconds := s.to.Sub(s.from).Seconds()
		switch metric {
		case "bps":
			if math.Abs(r.value-float64(g.Bytes)*8/seconds) > r.stated {
				off++
			}
		case "pps":
			if math.Abs(r.value-float64(g.Packets)/seconds) > r.stated {
				off++
			}
		case "packets", "flows": // of flows, how many there should be is up to routers
			if metric == "flows" {
				r.stated *= r.packets / r.value
			}
			if math.Abs(r.packets-float64(g.Packets)) > r.stated {
				off++
			}
		case "p95":
			if bps, most := g.percentile(); math.Abs(r.value-bps) > most {
				t.Errorf("%q: the percentile is %.0f bit/s, there were %.0f ± %.0f at most", key, r.value, bps, most)
			}
			if math.Abs(r.bytes-float64(g.Bytes)) > r.stated/r.value*r.bytes {
				off++
			}
		default:
			t.Fatalf("nobody wrote how %s is held against the truth", metric)
		}
	}
	// The total: of everything, that is.
	if math.Abs(sum.packets-float64(all.Packets)) > 1.96*math.Sqrt(all.PacketsVar) || math.Abs(sum.bytes-float64(all.Bytes)) > 1.96*math.Sqrt(all.BytesVar) {
		t.Errorf("%.0f packets, %.0f bytes in total; there were %d ± %.0f, %d ± %.0f", sum.packets, sum.bytes, all.Packets, 1.96*math.Sqrt(all.PacketsVar), all.Bytes, 1.96*math.Sqrt(all.BytesVar))
	}
	return groups, off
}

// most is how many of n may be off by more than is said in 95 of 100 cases, but in
// one case of a thousand.
func most(n int) int { return int(.05*float64(n) + 3.3*math.Sqrt(.05*.95*float64(n)) + 1) }

// TestDemo lets a carrier run for an hour of its time: what all standard reports
// say is what happened, within the error that they state, and nothing was lost.
func TestDemo(t *testing.T) {
	dir := t.TempDir()
	data, file := filepath.Join(dir, "data"), filepath.Join(dir, "truth")
	start := time.Date(2026, 11, 20, 3, 0, 0, 0, time.UTC) // a Friday's noon, there
	said := run(t, minamo, "demo", "--data", data, "--http", fmt.Sprintf("127.0.0.1:%d", freePort(t, "tcp")), "--snmp-port", "0",
		"--start", start.Format(time.RFC3339), "--for", "1h", "--truth", file, "--seed", "7")
	figures := regexp.MustCompile(`(\d+) flow records in (\d+) datagrams, (\d+) received, (\d+) dropped`).FindStringSubmatch(said)
	if figures == nil || figures[2] != figures[3] || figures[4] != "0" {
		t.Fatalf("the demo said %s", said)
	}
	t.Log(figures[0])
	if n := countOf(t, data); strconv.FormatUint(n, 10) != figures[1] {
		t.Errorf("%d flows are stored of %s", n, figures[1])
	}
	from, to := start.Add(5*time.Minute), start.Add(55*time.Minute)
	happened := relive(t, simulate.Config{Seed: 7, Start: start}, from, to)

	metrics := map[string]string{} // of all standard reports
	list, _, _ := strings.Cut(run(t, minamo, "report"), "\n\n")
	for _, line := range strings.Split(list, "\n")[1:] { // after the heads of its columns
		words := strings.Fields(line)
		metrics[words[0]] = words[len(words)-1]
	}
	for name := range metrics {
		if !slices.ContainsFunc(besides, func(b beside) bool { return b.report == name }) {
			t.Errorf("the report %s is not held against the truth: add it to besides", name)
		}
	}
	groups, off := 0, 0
	for i := range besides {
		b := &besides[i]
		t.Run(strings.ReplaceAll(strings.TrimSpace(b.report+" "+b.filter), " ", "-"), func(t *testing.T) {
			n, wrong := happened.judge(t, data, b, metrics[b.report])
			if n == 0 || wrong > most(n) {
				t.Errorf("%d of %d groups are off by more than the report says, which may be %d", wrong, n, most(n))
			}
			t.Logf("%d groups, %d off by more than the report says; %s", n, wrong, b.why)
			groups, off = groups+n, off+wrong
		})
	}
	t.Logf("%d groups, %.1f %% off by more than reports say", groups, 100*float64(off)/float64(groups))
	if off*100 > groups*6 || off*100 < groups {
		t.Errorf("of %d groups %d are off by more than reports say: 5 %% should be, or somewhat less", groups, off)
	}

	// The truth that is written for others is the same.
	written := truth(t, file, from, to)
	for table, report := range map[string]string{
		"total": "traffic", "protocols": "protocol", "ipVersions": "ip-version", "dscp": "dscp", "interfaces": "interface-in",
		"sourceAS": "as-source", "destinationAS": "as-destination", "sourceCountry": "country-source", "destinationCountry": "country-destination",
	} {
		b := besides[slices.IndexFunc(besides, func(b beside) bool { return b.report == report })]
		for key, g := range happened.groups(&b) {
			if bytes := written.bytes[table+" "+key]; bytes != float64(g.Bytes) {
				t.Errorf("the truth has %.0f bytes of %s %s, there were %d", bytes, table, key, g.Bytes)
			}
		}
	}
}

// TestDemoRefuses: wrong options are told, and what can go wrong is listed.
func TestDemoRefuses(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"now"}, `unexpected "now"`},
		{[]string{"--scenario", "nonsense"}, "nonsense"},
		{[]string{"--scale", "0"}, "--scale"},
		{[]string{"--start", "yesterday"}, "--start"},
		{[]string{"--http", "here"}, "--http"},
	} {
		mentions(t, fails(t, 2, minamo, append([]string{"demo"}, c.args...)...), c.want)
	}
	mentions(t, run(t, minamo, "demo", "--scenarios"), "wrong-rate", "double-count", "acl")
}
