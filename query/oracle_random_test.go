package query

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/minamo-flow/minamo/flow"
)

// notInOracle are the conditions of the table that nfdump 1.7.1 is not asked,
// or not with that outcome, and why. Everything else is compared.
var notInOracle = map[string]string{
	"as path":     "nfdump has no such column",
	"community":   "nfdump has no such column",
	"vni":         "nfdump has no such column",
	"nbar":        "nfdump filters by no application",
	"acl":         "nfdump's are numbers with one side; wire's tests compare what is stored",
	"ingress acl": "the flows of this test have none: NetFlow v9 of 12 bytes each",
	"egress acl":  "as above",
	"ingress ace": "as above",
	"egress ace":  "as above", "ingress xace": "as above", "egress xace": "as above",
	"user": "since nfdump 1.7.5", "src user": "as above", "dst user": "as above",
	"tun ip": "nfcapd takes tunnels from IPFIX alone", "src tun ip": "as above", "dst tun ip": "as above", "tun proto": "as above",
	"received":              "nfdump does not filter by it",
	"first seen":            "since nfdump 1.7.6",
	"last seen":             "since nfdump 1.7.6",
	"ttl":                   "since nfdump 1.7.5",
	"ethertype":             "since nfdump 1.7.5",
	"mpls any":              "since nfdump 1.7.2",
	"dst tos":               "nfcapd 1.7.1 stores the ToS there, whatever it was re-marked to",
	"asa denied":            "since nfdump 1.7.5; asa event denied is compared",
	"vrf":                   "nfdump's have one side",
	"tcp":                   "nfdump has proto tcp",
	"udp":                   "as above",
	"icmp":                  "as above",
	"icmp6":                 "as above",
	"dscp":                  "nfdump has the whole byte",
	"ingress":               "ours",
	"egress":                "ours",
	"observation domain id": "nfcapd takes it from IPFIX alone",
	"country":               "nfdump has no such column", "src country": "as above", "dst country": "as above",
	"in role": "nfdump has no such column", "out role": "as above", "network": "as above", "src network": "as above", "dst network": "as above",
	"customer": "nfdump has no such column", "src customer": "as above", "dst customer": "as above",
	"site": "nfdump has no such column", "src site": "as above", "dst site": "as above",
	"router ip": "nfcapd's is where the datagrams came from: one address in this test, hand-written filters have it",
}

// oracleFlows are flows in which nothing is absent that nfdump stores as zero,
// so that both have the same to compare, each with a start of its own.
func oracleFlows(n int) *flow.Batch {
	b := randomFlows(7, n)
	r := rand.New(rand.NewPCG(8, 8))
	for i := range n {
		set := func(c flow.Column, v uint64) { b.SetUint(c, i, v) }
		duration := b.Uint(flow.End, i) - b.Uint(flow.Start, i)
		start := uint64(epoch + i*(3_600_000/n) + r.IntN(3_600_000/n))
		set(flow.Start, start)
		set(flow.End, start+duration)
		set(flow.ObservationDomain, pick[uint64](r, 7, 258, 515))
		switch {
		case b.Present[i].Has(flow.ICMPType):
			set(flow.SrcPort, 0)
			set(flow.DstPort, b.Uint(flow.ICMPType, i)<<8|b.Uint(flow.ICMPCode, i))
		case !b.Present[i].Has(flow.SrcPort):
			set(flow.SrcPort, 0)
			set(flow.DstPort, 0)
		}
		for _, c := range mplsLabels {
			set(c, uint64(16+r.IntN(5)))
		}
		set(flow.AggregatedFlows, pick[uint64](r, 1, 1, 2, 1000))
		set(flow.InVRF, uint64(r.IntN(4)))
		set(flow.OutVRF, uint64(r.IntN(4)))
		b.SetAddr(flow.PostNATSrcAddr, i, flow.AddrFrom4([4]byte{100, 64, byte(r.IntN(2)), byte(r.IntN(4))}))
		b.SetAddr(flow.PostNATDstAddr, i, flow.AddrFrom4([4]byte{100, 65, byte(r.IntN(2)), byte(r.IntN(4))}))
		set(flow.PostNATSrcPort, uint64(r.IntN(5)*1000))
		set(flow.PostNATDstPort, uint64(r.IntN(5)*1000))
		first := pick(r, b.Uint(flow.SrcPort, i), b.Uint(flow.DstPort, i), uint64(r.IntN(65536)))
		set(flow.NATPortStart, first-first%64)
		set(flow.NATPortEnd, min(first-first%64+pick[uint64](r, 31, 63, 999), 65535))
		set(flow.NATEvent, pick[uint64](r, 1, 2, 4, 5, 16))
		set(flow.FirewallEvent, uint64(r.IntN(6)))
		set(flow.FirewallExtEvent, 1000+uint64(r.IntN(6)))
	}
	return b
}

// oracleFields are sent beside v9Fields. nfcapd 1.7.1 has one place for the
// events of NAT and of firewalls: they go into different files.
var (
	oracleFields = []v9Field{
		{3, 4, flow.AggregatedFlows}, {234, 4, flow.InVRF}, {235, 4, flow.OutVRF},
		{225, 4, flow.PostNATSrcAddr}, {226, 4, flow.PostNATDstAddr}, {227, 2, flow.PostNATSrcPort}, {228, 2, flow.PostNATDstPort},
		{361, 2, flow.NATPortStart}, {362, 2, flow.NATPortEnd}, {364, 2, flow.NATPortStart},
	}
	natFields      = append(slices.Clone(oracleFields), v9Field{230, 1, flow.NATEvent})
	firewallFields = append(slices.Clone(oracleFields), v9Field{233, 1, flow.FirewallEvent}, v9Field{33002, 2, flow.FirewallExtEvent})
)

// oracle asks nfdump and the engine for sets of flows.
type oracle struct {
	t      *testing.T
	r      *rand.Rand
	flows  *flow.Batch
	nat    string // nfcapd's files
	fire   string
	places string // see TestNfdumpOracle
	engine *Engine
	files  Files

	spelling map[string]string // of a subject in nfdump, by what it is here
}

// question is a filter for both.
type question struct {
	ours, theirs string
	firewall     bool // asks for the firewall's events
	nat          bool // asks for the NAT's
}

func (o *oracle) here(text string) ([]int64, error) {
	f, err := ParseFilter(text)
	if err != nil {
		return nil, err
	}
	return matching(o.t, o.engine, o.files, f), nil
}

// matching gives the starts of the flows that match.
func matching(t *testing.T, e *Engine, files Files, f *Filter) []int64 {
	t.Helper()
	starts := []int64{}
	if _, err := e.Flows(t.Context(), files, Request{Filter: f, Columns: []flow.Column{flow.Start}}, func(b *flow.Batch) error {
		starts = append(starts, b.Time(flow.Start)[:b.Len()]...)
		return nil
	}); err != nil {
		t.Errorf("%s: %v", f, err)
	}
	slices.Sort(starts)
	return starts
}

var errNotInNfdump = errors.New("nfdump does not take it")

func (o *oracle) there(q question) ([]int64, error) {
	file := o.nat
	if q.firewall {
		file = o.fire
	}
	out, err := exec.Command("nfdump", "-G", o.places, "-C", "none", "-r", file, "-q", "-o", "fmt:%tsr", q.theirs).CombinedOutput()
	if err != nil {
		if strings.HasPrefix(string(out), "Line 1:") {
			err = errNotInNfdump
		}
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	starts := []int64{}
	if strings.TrimSpace(string(out)) == "No matching flows" {
		return starts, nil
	}
	for field := range strings.FieldsSeq(string(out)) {
		ms, err := strconv.ParseInt(strings.Replace(field, ".", "", 1), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%q in the place of a flow's start", field)
		}
		starts = append(starts, ms)
	}
	slices.Sort(starts)
	return starts, nil
}

// agree tells whether both know the same flows; discerning is that these are
// some and not all.
func (o *oracle) agree(q question) (discerning bool, err error) {
	want, err := o.there(q)
	if err != nil {
		return false, err
	}
	got, err := o.here(q.ours)
	if err != nil {
		o.t.Errorf("%s: %v", q.ours, err)
		return false, nil
	}
	if !slices.Equal(got, want) {
		o.t.Errorf("%s (in nfdump %s): %d flows here, %d in nfdump", q.ours, q.theirs, len(got), len(want))
	}
	return len(want) > 0 && len(want) < o.flows.Len(), nil
}

// number is a value as some flow has it, or next to that.
func (o *oracle) number(v value) uint64 {
	i := o.r.IntN(o.flows.Len())
	u := func(c flow.Column) uint64 { return o.flows.Uint(c, i) }
	millis := u(flow.End) - u(flow.Start)
	n := u(v.columns[0])
	switch v.format {
	case flowDuration.format:
		n = millis
	case bytesPerPacket.format:
		n = u(flow.Bytes) / max(u(flow.Packets), 1)
	case packetsPerSecond.format:
		n = u(flow.Packets) * 1000 / max(millis, 1)
	case bitsPerSecond.format:
		n = u(flow.Bytes) * 8000 / max(millis, 1)
	case engineType.format:
		n = u(flow.ObservationDomain) >> 8
	case engineID.format:
		n = u(flow.ObservationDomain) & 255
	case portBlockSize.format:
		n = u(flow.NATPortEnd) - u(flow.NATPortStart) + 1
	}
	switch o.r.IntN(5) {
	case 0:
		n++
	case 1:
		n = max(n, 1) - 1
	}
	if v.format == column(v.columns[0]).format {
		switch flow.Schema[v.columns[0]].Kind {
		case flow.Uint8:
			n = min(n, 1<<8-1)
		case flow.Uint16:
			n = min(n, 1<<16-1)
		}
	}
	return n
}

func (o *oracle) spelled(n uint64) string {
	switch {
	case n > 0 && n%1000 == 0 && o.r.IntN(2) == 0:
		return strconv.FormatUint(n/1000, 10) + pick(o.r, "k", "K")
	case o.r.IntN(8) == 0:
		return fmt.Sprintf("0x%x", n)
	}
	return strconv.FormatUint(n, 10)
}

// operand makes an operand of a primitive from what flows have. The ones of
// list are in brackets.
func (o *oracle) operand(p *primitive, v value, compared, list bool) string {
	if list {
		n := 1 + o.r.IntN(4)
		values := make([]string, n)
		for i := range values {
			values[i] = o.operand(p, v, false, false)
		}
		return "in [" + strings.Join(values, pick(o.r, " ", ", ")) + "]"
	}
	comparator := ""
	if compared {
		comparator = pick(o.r, "=", "==", "eq", "<", "lt", "<=", "le", ">", "gt", ">=", "GE") + " "
	}
	row := o.r.IntN(o.flows.Len())
	switch syntax := p.operand.syntax; {
	case strings.Contains(syntax, "MAC"):
		return strings.Trim(string(o.flows.AppendText(nil, v.columns[0], row)), `"`)
	case strings.Contains(syntax, "address"), strings.Contains(syntax, "prefix"):
		a := o.flows.Addr(v.columns[0])[row]
		if o.r.IntN(4) == 0 {
			a[15]++
		}
		length := 0
		if strings.Contains(syntax, "prefix") || o.r.IntN(3) == 0 && list {
			length = 1 + o.r.IntN(a.Netip().BitLen()-1)
			return fmt.Sprintf("%s/%d", a, length)
		}
		return a.String()
	case strings.Contains(syntax, "protocol"):
		return pick(o.r, "tcp", "UDP", "icmp", "icmp6", "gre", "esp", "6", "0x11", "ospf")
	case strings.HasPrefix(syntax, "flags"):
		if !compared && o.r.IntN(3) > 0 {
			letters := ""
			for _, l := range "UAPRSF" {
				if o.r.IntN(3) == 0 {
					letters += string(l)
				}
			}
			if letters == "" {
				letters = "S"
			}
			return letters
		}
		return comparator + strconv.FormatUint(o.number(v)&63, 10)
	case strings.HasPrefix(syntax, "[comparator] event") && v.columns[0] == flow.NATEvent && !compared:
		return pick(o.r, "add", "delete", "create", "4", "16")
	case strings.HasPrefix(syntax, "[comparator] event") && !compared:
		return pick(o.r, "ignore", "create", "term", "delete", "deny", "denied ingress", "denied egress", "denied interface", "denied nosyn", "2")
	case strings.Contains(syntax, "name or number") && v.columns[0] != flow.Direction:
		return string(o.flows.AppendText(nil, v.columns[0], row))
	case strings.Contains(syntax, "name or number"):
		return pick(o.r, "ingress", "egress", "0", "1")
	}
	n := o.number(v)
	if strings.Contains(p.operand.syntax, "DSCP") {
		n &= 63
	}
	if strings.HasSuffix(p.operand.syntax, "in pblock") && o.r.IntN(8) == 0 && !compared {
		return "in pblock"
	}
	return comparator + o.spelled(n)
}

// term makes a question of one condition.
func (o *oracle) term(p *primitive, subject string, values []value, compared, list bool) (question, error) {
	operand := ""
	if p.operand.syntax != "" {
		operand = " " + o.operand(p, pick(o.r, values...), compared, list)
	}
	synonyms := strings.Split(subject, "|")
	q := question{ours: pick(o.r, synonyms...) + operand}
	for _, v := range values {
		q.firewall = q.firewall || slices.Contains(v.columns, flow.FirewallEvent) || slices.Contains(v.columns, flow.FirewallExtEvent)
		q.nat = q.nat || slices.Contains(v.columns, flow.NATEvent)
	}
	if known, ok := o.spelling[subject]; ok {
		q.theirs = known + operand
		_, err := o.agree(q)
		return q, err
	}
	var err error
	for _, s := range synonyms {
		q.theirs = s + operand
		if _, err = o.agree(q); err == nil {
			o.spelling[subject] = s
			return q, nil
		}
		if !errors.Is(err, errNotInNfdump) {
			o.t.Errorf("%s: %v", q.theirs, err)
		}
	}
	return q, err
}

// combine makes a question of terms.
func (o *oracle) combine(terms []question, depth int) question {
	if depth == 0 || o.r.IntN(4) == 0 {
		return pick(o.r, terms...)
	}
	join := func(format string, of ...question) question {
		var ours, theirs []any
		q := question{}
		for _, part := range of {
			ours, theirs = append(ours, part.ours), append(theirs, part.theirs)
			q.firewall, q.nat = q.firewall || part.firewall, q.nat || part.nat
		}
		q.ours, q.theirs = fmt.Sprintf(format, ours...), fmt.Sprintf(format, theirs...)
		return q
	}
	a := o.combine(terms, depth-1)
	switch o.r.IntN(8) {
	case 0:
		return join("not (%s)", a)
	case 1:
		return join("not %s", pick(o.r, terms...))
	}
	format := pick(o.r, "%s and %s", "%s && %s", "%s or %s", "%s || %s", "(%s) and (%s)", "(%s) or not (%s)", "! (%s) AND %s", "%s and (not %s)")
	return join(format, a, o.combine(terms, depth-1))
}

var oracleSeed = flag.Uint64("oracle-seed", 5, "of the filters that nfdump is asked")

// TestNfdumpSets generates filters over the table of primitives, with operands
// from the flows, alone and combined, and asks nfdump for the same: the sets of
// flows are the same, not just their sums.
func TestNfdumpSets(t *testing.T) {
	rounds, combined := 2, 300
	if testing.Short() {
		rounds, combined = 1, 50
	}
	const n = 1200
	o := &oracle{t: t, r: rand.New(rand.NewPCG(*oracleSeed, 5)), flows: oracleFlows(n), spelling: map[string]string{}}
	o.nat = nfcapdFile(t, o.flows, natFields...)
	o.fire = nfcapdFile(t, o.flows, firewallFields...)
	o.places, _ = nfcapdOnce(t, flow.NewBatch(1))
	o.engine = newEngine(t)
	o.files = writeParquet(t, o.engine, o.flows)

	var terms []question
	compared := map[string]bool{}
	for i := range primitives {
		p := &primitives[i]
		subjects := slices.Clone(p.subjects)
		// Both sides at once.
		for _, s := range p.subjects {
			if side, rest, ok := strings.Cut(strings.Split(s.phrases, "|")[0], " "); ok && side == "src" {
				for _, other := range p.subjects {
					if slices.Contains(strings.Split(other.phrases, "|"), "dst "+rest) && notInOracle["dst "+rest] == "" {
						both := slices.Concat(s.values, other.values)
						subjects = append(subjects, subject{"src or dst " + rest, both}, subject{"dst and src " + rest, both})
					}
				}
			}
		}
		for _, s := range subjects {
			name := strings.Split(s.phrases, "|")[0]
			if _, excepted := notInOracle[name]; excepted {
				continue
			}
			for range rounds {
				for _, form := range []struct{ compared, list bool }{{}, {compared: true}, {list: true}} {
					if form.compared && !strings.Contains(p.operand.syntax, "[comparator]") || form.list && !strings.Contains(p.operand.syntax, "in [") || p.operand.syntax == "" && form.list {
						continue
					}
					q, err := o.term(p, s.phrases, s.values, form.compared, form.list)
					if err == nil {
						compared[name] = true
						terms = append(terms, q)
					}
				}
			}
			if !compared[name] && !strings.Contains(name, " and ") && !strings.Contains(name, " or ") {
				t.Errorf("nfdump takes no condition of %q: compare it, or say in notInOracle why not", name)
			}
		}
	}
	alone := len(terms)
	discerning := 0
	for range combined {
		of := slices.DeleteFunc(slices.Clone(terms), func(q question) bool { return q.nat })
		if o.r.IntN(2) == 0 {
			of = slices.DeleteFunc(slices.Clone(terms), func(q question) bool { return q.firewall })
		}
		d, err := o.agree(o.combine(of, 3))
		if err != nil {
			t.Error(err)
		}
		if d {
			discerning++
		}
	}
	t.Logf("%d conditions of %d kinds agree alone, %d filters of them combined, %d of which match some flows and not all", alone, len(compared), combined, discerning)
	if !testing.Short() && (alone < 250 || discerning < 200) {
		t.Error("too few filters were compared")
	}
}

// TestSwappedFlows turns flows round instead of filters: the outcome is the same.
func TestSwappedFlows(t *testing.T) {
	const n = 400
	r := rand.New(rand.NewPCG(6, 6))
	b := oracleFlows(n)
	for i := range n {
		for _, c := range []flow.Column{flow.SrcUser, flow.DstUser} {
			b.SetText(c, i, []byte(pick(r, "alice", "bob", "SA")))
		}
		b.SetAddr(flow.TunnelSrcAddr, i, flow.AddrFrom4([4]byte{192, 0, 2, byte(r.IntN(3))}))
		b.SetUint(flow.Tunnel, i, uint64(1+r.IntN(7)))
		for _, c := range []flow.Column{flow.SrcNetwork, flow.DstNetwork} {
			b.SetUint(c, i, uint64(1+r.IntN(3)))
		}
		for _, c := range []flow.Column{flow.SrcCountry, flow.DstCountry} {
			b.SetUint(c, i, uint64(flow.Country('J', "EOP"[r.IntN(3)])))
		}
	}
	turned := flow.NewBatch(n)
	turned.Append(b, 0, n)
	for i := range n {
		for name, opposite := range opposites {
			c, ok := flow.Lookup(name)
			from, _ := flow.Lookup(opposite)
			switch {
			case !ok:
			case !b.Present[i].Has(from):
				turned.Present[i][c>>6] &^= 1 << (c & 63)
			case flow.Schema[c].Kind == flow.Address:
				turned.SetAddr(c, i, b.Addr(from)[i])
			case flow.Schema[c].Kind == flow.Text:
				turned.SetText(c, i, b.Text(from, i))
			default:
				turned.SetUint(c, i, b.Uint(from, i))
			}
		}
	}
	o := &oracle{t: t, r: r, flows: b, engine: newEngine(t)}
	names := Names{Networks: []NetworkName{{1, "alice", "bob", "carol"}, {2, "bob", "alice", "bob"}, {3, "carol", "", "alice"}}}
	if err := o.engine.SetNames(t.Context(), names); err != nil {
		t.Fatal(err)
	}
	flows, round := writeParquet(t, o.engine, b), writeParquet(t, o.engine, turned)
	discerning := 0
	for i := range primitives {
		p := &primitives[i]
		for _, s := range p.subjects {
			text := strings.Split(s.phrases, "|")[0]
			switch {
			case len(s.values) == 0:
			case strings.Contains(p.operand.syntax, "text") && !strings.Contains(p.operand.syntax, "quoted name"):
				text += " alice"
			case strings.Contains(p.operand.syntax, "time"):
				text += " present"
			default:
				text += " " + o.operand(p, pick(r, s.values...), false, r.IntN(3) == 0 && !strings.Contains(p.operand.syntax, "event"))
			}
			f := mustParse(t, "not "+text+" and bytes > 1k")
			if !slices.ContainsFunc(f.Columns().Columns(), func(c flow.Column) bool { return opposites[c.String()] != "" }) {
				continue
			}
			got, want := matching(t, o.engine, flows, f.Swapped()), matching(t, o.engine, round, f)
			if !slices.Equal(got, want) {
				t.Errorf("%s: %d flows swapped, %d of swapped flows", text, len(got), len(want))
			}
			if !slices.Equal(want, matching(t, o.engine, flows, f)) {
				discerning++
			}
		}
	}
	if discerning < 20 {
		t.Errorf("only %d filters tell the sides apart", discerning)
	}
}
