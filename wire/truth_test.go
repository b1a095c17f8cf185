package wire_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/internal/fixtures"
	"github.com/minamo-flow/minamo/wire/netflow"
	"github.com/minamo-flow/minamo/wire/pcap"
	"github.com/minamo-flow/minamo/wire/sflow"
)

// record is what a decoder says of one record: values, as text, by name. Of a
// flow the names are those of its columns, of a record for both directions
// "reverse bytes" and so on besides; of options data IANA's; of sFlow's
// counters those of the fields of package sflow.
type record map[string]string

// records are those of a case by kind, in the order of the recording.
type records map[string][]record

// Kinds of records; every kind of sFlow's counters is one more, by the name of
// its field in sflow.Counters.
const (
	flows     = "flow"     // NetFlow's and IPFIX's
	options   = "option"   // options data
	events    = "event"    // both, as they come
	datagrams = "datagram" // sFlow's headers
	samples   = "sample"   // sFlow's flow samples
	discards  = "discard"  // its discard notifications
)

// put notes a value, unless there is one already that means something.
func (r record) put(name, text string) {
	if nothing[r[name]] {
		r[name] = text
	}
}

// nothing are the values by which decoders mean that there is none.
var nothing = map[string]bool{
	"": true, "0": true, "0.0.0.0": true, "::": true, "00:00:00:00:00:00": true, "<empty>": true, "0x0/0x0/0x0": true,
}

// oracle is a decoder that isn't ours, and how to read its answers.
type oracle struct {
	name string
	file func(fixtures.Case) string // "" if it was not asked about the case
	read func(t *testing.T, file string) records
}

func suffix(s string) func(fixtures.Case) string {
	return func(c fixtures.Case) string { return c.Oracle(s) }
}

func golden(project, s string) func(fixtures.Case) string {
	return func(c fixtures.Case) string {
		if strings.HasPrefix(c.Name, project) {
			return c.Golden(s)
		}
		return ""
	}
}

var oracles = []oracle{
	{"nfdump", suffix(".nfdump.json"), readNfdump},
	{"tshark", suffix(".tshark.json"), readTshark},
	{"sflowtool", suffix(".sflowtool.jsonl"), readSflowtool},
	{"logstash", golden("logstash/", ".golden.json"), readLogstash},
	{"telegraf", golden("telegraf/", "expected.out"), readTelegraf},
	{"netflow_parser", golden("netflow_parser/", ".snap"), readSnapshot},
	{"tcpdump", golden("tcpdump/", "_pdus.out"), readTcpdump},
}

// TestTruth decodes every recorded case and compares each record, value by
// value, with what every other decoder made of it. Where they differ, either
// the test fails or disagreements says who is right, and by what; an entry
// there that is no longer needed fails the test, too.
//
// Recordings of protocols that have no decoder yet must be refused whole.
func TestTruth(t *testing.T) {
	var sum struct{ run, withFlows, refused, flows, options, samples, counters, agree, known int }
	compared := map[string]*[2]int{} // values of an oracle: all, those that agree
	for _, o := range oracles {
		compared[o.name] = new([2]int)
	}
	for i := range disagreements {
		disagreements[i].met = 0
	}
	cases := fixtures.Cases(t)
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			sum.run++
			d := newDecoder()
			d.recording(t, c)
			if !hasDecoder(c) {
				if d.taken > 0 {
					t.Errorf("%d datagrams of %s were taken for flows", d.taken, c.Column("protocols"))
				}
				sum.refused++
				return
			}
			h := comparison{t: t, c: c, ours: d.records, same: d.same, worst: map[place]int{}}
			h.count(flows, len(d.records[flows]), "flow_records")
			h.count(options, len(d.records[options]), "option_records")
			h.count("sFlow samples", len(d.records[samples])+len(d.records[discards])+d.counterSamples, "sflow_samples")
			for _, o := range oracles {
				if file := o.file(c); file != "" {
					h.oracle, h.compared = o.name, compared[o.name]
					h.with(o.read(t, file))
				}
			}
			for _, kind := range []string{flows, samples, discards} {
				for i := range d.records[kind] {
					switch h.worst[place{kind, i}] {
					case agreed:
						sum.agree++
					case excused:
						sum.known++
					}
				}
			}
			if len(d.records[flows])+len(d.records[samples])+len(d.records[discards]) > 0 {
				sum.withFlows++
			}
			sum.flows += len(d.records[flows])
			sum.options += len(d.records[options])
			sum.samples += len(d.records[samples]) + len(d.records[discards])
			sum.counters += d.counterSamples
		})
	}
	t.Logf("%d cases: %d of protocols without a decoder yet, %d with flows", sum.run, sum.refused, sum.withFlows)
	t.Logf("%d flow records, %d sampled or discarded packets, %d options records, %d counter samples", sum.flows, sum.samples, sum.options, sum.counters)
	t.Logf("%d flows agree with every oracle on every compared value, %d but for the disagreements below", sum.agree, sum.known)
	for _, o := range oracles {
		t.Logf("%s: %d values compared, %d agree", o.name, compared[o.name][0], compared[o.name][1])
	}
	for _, d := range disagreements {
		t.Logf("%s, %s, %s (%d times): %s; %s: %s", d.oracle, d.fixture, d.value, d.met, d.bytes, d.right, d.why)
		if d.met == 0 && sum.run == len(cases) {
			t.Error("this disagreement did not occur")
		}
	}
}

// hasDecoder tells whether a case holds a protocol of package wire; dnstap, MRT,
// BGP and BMP are still to come.
func hasDecoder(c fixtures.Case) bool {
	return strings.Contains(c.Column("protocols"), "nfv") || strings.Contains(c.Column("protocols"), "ipfix") || strings.Contains(c.Column("protocols"), "sflow")
}

// TestSamples gives every single recording, in a case or not, to the decoders
// as one datagram: none may upset them.
func TestSamples(t *testing.T) {
	n := 0
	for _, file := range fixtures.Samples(t) {
		p, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		d := newDecoder()
		for len(p) > 0 {
			q := p[:min(len(p), 65535)]
			d.datagram(q, netip.Addr{})
			p = p[len(q):]
			n++
		}
	}
	t.Logf("%d pieces", n)
}

// decoder is ours: datagrams in, records out.
type decoder struct {
	records
	sessions       map[netip.Addr]*netflow.Session
	batch          *flow.Batch
	same           []place // where the events are among the flows or options
	netflow        netflow.Message
	sflow          sflow.Message
	taken          int // datagrams that were of use
	counterSamples int
}

func newDecoder() *decoder {
	return &decoder{records: records{}, sessions: map[netip.Addr]*netflow.Session{}, batch: flow.NewBatch(64)}
}

// recording decodes a case: the capture, or files that are no capture.
func (d *decoder) recording(t *testing.T, c fixtures.Case) {
	if c.Pcap == "" {
		for _, file := range c.Files() {
			p, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			d.datagram(p[:min(len(p), 65535)], netip.Addr{})
		}
		return
	}
	f, err := os.Open(c.Pcap)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := pcap.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	u := pcap.NewUDPReader(r)
	for {
		var g pcap.Datagram
		if err := u.Next(&g); err == io.EOF {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		if err := d.datagram(g.Payload, g.Src.Addr()); err != nil {
			t.Log(err)
		}
	}
}

// datagram decodes one datagram, dispatched by its version as package collect
// does it: any protocol may come at any port.
func (d *decoder) datagram(p []byte, source netip.Addr) error {
	if len(p) < 4 {
		return errors.New("no version")
	}
	d.batch.Reset()
	if binary.BigEndian.Uint16(p) == 0 {
		return d.decodeSFlow(p)
	}
	s := d.sessions[source]
	if s == nil {
		s = netflow.NewSession(config)
		d.sessions[source] = s
	}
	m := &d.netflow
	if err := s.Decode(p, 0, d.batch, m); err != nil {
		return err
	}
	d.taken++
	for _, r := range d.units(m.First, m.First+m.Flows) {
		d.same = append(d.same, place{flows, len(d.records[flows])})
		d.add(flows, r)
		d.add(events, r)
	}
	for _, o := range m.Options {
		r := option(o)
		d.same = append(d.same, place{options, len(d.records[options])})
		d.add(options, r)
		e := record{}
		for name, text := range r {
			e["option "+name] = text
		}
		d.add(events, e)
	}
	return nil
}

func (d *decoder) add(kind string, r record) { d.records[kind] = append(d.records[kind], r) }

func (d *decoder) decodeSFlow(p []byte) error {
	m := &d.sflow
	if err := sflow.Decode(p, 0, d.batch, m); err != nil {
		return err
	}
	d.taken++
	d.counterSamples += m.CounterSamples
	d.add(datagrams, record{
		"agent": m.Agent.String(), "sub-agent": decimal(m.SubAgent), "sequence": decimal(m.Sequence), "uptime": decimal(m.SysUptime),
		"flow samples": strconv.Itoa(len(m.Samples)), "counter samples": strconv.Itoa(m.CounterSamples), "discards": strconv.Itoa(len(m.Discards)),
	})
	for _, s := range m.Samples {
		r := record{"sequence": decimal(s.Sequence), "source": source(s.Source), "pool": decimal(s.Pool), "drops": decimal(s.Drops)}
		d.row(s.Row, "", r)
		d.add(samples, r)
	}
	for _, s := range m.Discards {
		r := record{"sequence": decimal(s.Sequence), "source": source(s.Source), "drops": decimal(s.Drops), "reason": decimal(s.Reason)}
		d.row(s.Row, "", r)
		d.add(discards, r)
	}
	v := reflect.ValueOf(m.Counters)
	for i := range v.NumField() {
		if f := v.Type().Field(i); f.IsExported() && f.Type.Kind() == reflect.Slice {
			for j := range v.Field(i).Len() {
				r := record{}
				fields(r, v.Field(i).Index(j))
				d.add(f.Name, r)
			}
		}
	}
	return nil
}

// fields notes the fields of one of package sflow's records.
func fields(r record, v reflect.Value) {
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		switch x := v.Field(i).Interface().(type) {
		case sflow.Origin:
			r["source"], r["sequence"] = source(x.Source), decimal(x.Sequence)
		case []byte:
			r[name] = string(x)
		default:
			r[name] = fmt.Sprint(x)
		}
	}
	if s := v.FieldByName("Status"); s.IsValid() {
		r["admin"], r["oper"] = decimal(uint32(s.Uint())&1), decimal(uint32(s.Uint())>>1&1)
	}
}

func source(s sflow.Source) string { return fmt.Sprintf("%d:%d", s.Class, s.Index) }
func decimal(v uint32) string      { return strconv.FormatUint(uint64(v), 10) }

// units returns the rows [from, to), the two of a record for both directions
// as one.
func (d *decoder) units(from, to int) (list []record) {
	var forward []int // rows of the list that may have another half
	for i := from; i < to; i++ {
		if d.batch.Present[i].Has(flow.Biflow) && d.batch.Uint(flow.Biflow, i) == flow.BiflowReverse {
			at := slices.IndexFunc(forward, func(j int) bool { return d.mirrors(i, j) })
			if at < 0 {
				list, forward = append(list, record{"reverse half": "without the other"}), append(forward, -1)
				continue
			}
			d.row(i, "reverse ", list[at])
			forward[at] = -1
			continue
		}
		r := record{}
		d.row(i, "", r)
		list = append(list, r)
		forward = append(forward, i)
	}
	return list
}

// mirrors tells whether row i tells of the direction opposite to row j's.
func (d *decoder) mirrors(i, j int) bool {
	if j < 0 || d.batch.Uint(flow.Biflow, j) != flow.BiflowForward {
		return false
	}
	src, dst := d.batch.Addr(flow.SrcAddr), d.batch.Addr(flow.DstAddr)
	from, to := d.batch.U16(flow.SrcPort), d.batch.U16(flow.DstPort)
	return src[i] == dst[j] && dst[i] == src[j] && from[i] == to[j] && to[i] == from[j]
}

// row notes the values of a row.
func (d *decoder) row(i int, prefix string, r record) {
	for c := range flow.Columns() {
		if d.batch.Present[i].Has(c) {
			r[prefix+flow.Schema[c].Name] = value(d.batch, c, i)
		}
	}
}

// value is a column's value as other decoders write it: codes as numbers.
func value(b *flow.Batch, c flow.Column, i int) string {
	switch flow.Schema[c].Kind {
	case flow.Time, flow.Address, flow.MAC, flow.Text:
		return string(b.AppendText(nil, c, i))
	}
	return strconv.FormatUint(b.Uint(c, i), 10)
}

// option notes the values of a record of options data.
func option(o netflow.OptionRecord) record {
	r := record{"observation_domain": decimal(o.Domain)}
	for _, f := range o.Fields {
		if f.Enterprise == netflow.ScopeV9 {
			r["scope "+strconv.Itoa(int(f.Element))] = number(f.Value)
			continue
		}
		i, ok := netflow.Lookup(f.Enterprise, f.Element)
		if !ok {
			i.Name = fmt.Sprintf("%d/%d", f.Enterprise, f.Element)
		}
		r.put(i.Name, typed(i.Type, f.Value))
	}
	return r
}

// typed is a value of options data as text.
func typed(kind netflow.DataType, v []byte) string {
	switch kind {
	case netflow.TypeString:
		return string(bytes.TrimRight(v, "\x00"))
	case netflow.TypeIpv4Address, netflow.TypeIpv6Address:
		a, _ := netip.AddrFromSlice(v)
		return a.String()
	case netflow.TypeDateTimeMilliseconds:
		return string(flow.AppendTime(nil, int64(uint64Of(v))))
	}
	return number(v)
}

// number is a value of up to eight bytes in decimal digits, else hexadecimal.
func number(v []byte) string {
	if len(v) > 8 {
		return fmt.Sprintf("%x", v)
	}
	return strconv.FormatUint(uint64Of(v), 10)
}

func uint64Of(v []byte) (n uint64) {
	for _, b := range v {
		n = n<<8 | uint64(b)
	}
	return n
}

// comparison compares ours with an oracle's answers.
type comparison struct {
	t        *testing.T
	c        fixtures.Case
	oracle   string
	compared *[2]int
	ours     records
	same     []place
	worst    map[place]int
	errors   int
}

// place is a record of a case.
type place struct {
	kind string
	i    int
}

// What became of a record's values at the worst.
const (
	unknown = iota
	agreed
	excused
	wrong
)

// count compares the number of records with that in CASES.tsv.
func (h *comparison) count(kind string, ours int, column string) {
	h.oracle = "CASES.tsv"
	if theirs := h.c.Column(column); strconv.Itoa(ours) != theirs && !h.excused(kind+"s", "", "") {
		h.t.Errorf("%d %s, want %s", ours, column, theirs)
	}
}

func (h *comparison) with(theirs records) {
	for kind, list := range theirs {
		mine := h.ours[kind]
		if len(list) != len(mine) {
			if !h.excused(kind+"s", "", "") {
				h.t.Errorf("%s has %d %ss, we %d", h.oracle, len(list), kind, len(mine))
			}
			continue
		}
		for i, r := range list {
			worst := unknown
			_, isOption := mine[i]["option observation_domain"]
			for name, text := range r {
				if kind == events && strings.HasPrefix(name, "option ") != isOption {
					continue // a field of what holds no flow, or that no column holds
				}
				h.compared[0]++
				switch v := mine[i][name]; {
				case v == text || nothing[v] && nothing[text]:
					h.compared[1]++
					worst = max(worst, agreed)
				case h.excused(name, v, text):
					worst = max(worst, excused)
				default:
					worst = wrong
					if h.errors++; h.errors < 20 {
						h.t.Errorf("%s %d: %s is %q, %s says %q", kind, i, name, v, h.oracle, text)
					}
				}
			}
			at := place{kind, i}
			if kind == events {
				at = h.same[i]
			}
			h.worst[at] = max(h.worst[at], worst)
		}
	}
}

// excused tells whether disagreements has it that ours and theirs differ.
func (h *comparison) excused(value, ours, theirs string) bool {
	for i := range disagreements {
		d := &disagreements[i]
		if d.oracle == h.oracle && d.value == value && (d.fixture == h.c.Name || strings.HasSuffix(d.fixture, "*") && strings.HasPrefix(h.c.Name, d.fixture[:len(d.fixture)-1])) && (d.only == nil || d.only(ours, theirs)) {
			d.met++
			return true
		}
	}
	return false
}

func readJSON(t *testing.T, file string, v any) {
	b, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(b, v)
	}
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// name is a column's, behind the prefix of a reverse half.
func name(c flow.Column) string { return flow.Schema[c].Name }
