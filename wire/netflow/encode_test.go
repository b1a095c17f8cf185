package netflow

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/internal/fixtures"
	"github.com/minamo-flow/minamo/wire/pcap"
)

const testNow, testBoot = testExport*1000 + 789, testExport*1000 - 86_400_000

var standardTemplates = []*Template{&V9IPv4Template, &V9IPv6Template, &IPFIXIPv4Template, &IPFIXIPv6Template, &IPFIXTemplate}

// collected is what send was given.
type collected [][]byte

func (c *collected) send(d []byte) error { *c = append(*c, bytes.Clone(d)); return nil }

// decodeAll decodes datagrams, of which nothing may be wrong, and whose
// sequence numbers must follow one another.
func decodeAll(t testing.TB, s *Session, datagrams [][]byte) *flow.Batch {
	t.Helper()
	b, m := flow.NewBatch(1), &Message{}
	var next uint32
	for i, d := range datagrams {
		if err := s.Decode(d, 1, b, m); err != nil || problems(m) != "" {
			t.Fatalf("datagram %d: %v %s\n%x", i, err, problems(m), d)
		}
		if i > 0 && m.Sequence != next {
			t.Fatalf("datagram %d has the number %d, not %d", i, m.Sequence, next)
		}
		next = m.Sequence + m.Units
	}
	return b
}

// columnsOf are the columns that a template's records can hold, and how many
// bits of each.
func columnsOf(fields []TemplateField) map[flow.Column]int {
	m := map[flow.Column]int{}
	for _, f := range fields {
		if e, ok := byID[elementKey{f.Enterprise, f.Element}]; ok && e.to < flow.Columns() && e.as != asLabel {
			m[e.to] = max(m[e.to], 8*int(f.Length))
		} else if ok && e.to == icmpTypeCode {
			m[flow.ICMPType], m[flow.ICMPCode] = 8, 8
		}
	}
	return m
}

// agrees tells whether the rows of got have what want has in the columns.
func agrees(t testing.TB, want, got *flow.Batch, columns map[flow.Column]int) {
	t.Helper()
	if want.Len() != got.Len() {
		t.Fatalf("%d rows became %d", want.Len(), got.Len())
	}
	for i := range want.Len() {
		for c, bits := range columns {
			if !want.Present[i].Has(c) {
				continue
			}
			switch flow.Schema[c].Kind {
			case flow.Address:
				// The address that is none has no version.
				a, o := want.Addr(c)[i], got.Addr(c)[i]
				if zero(a[12:]) && (a.Is4() || a == flow.Addr{}) && zero(o[12:]) {
					continue
				}
			case flow.Time:
				if v := want.Time(c)[i]; v < 0 || bits < 64 && v >= 1<<bits {
					continue
				}
			case flow.Text:
			default:
				if v := want.Uint(c, i); bits < 64 && v >= 1<<bits {
					continue
				}
				if p := want.U8(flow.Protocol)[i]; (c == flow.ICMPType || c == flow.ICMPCode) && p != 1 && p != 58 {
					continue
				}
			}
			if a, o := string(want.AppendText(nil, c, i)), string(got.AppendText(nil, c, i)); a != o || !got.Present[i].Has(c) {
				t.Fatalf("row %d: %v %s became %s\n%s\n%s", i, c, a, o, want.AppendJSON(nil, i), got.AppendJSON(nil, i))
			}
		}
	}
}

// randomFlows are rows that a device could have metered, of IPv4, IPv6 or either.
func randomFlows(random *rand.Rand, n int, version int) *flow.Batch {
	b := flow.NewBatch(n)
	for i := b.Extend(n); i < b.Len(); i++ {
		v := version
		if v == 0 {
			v = 4 + 2*random.IntN(2)
		}
		address := func() flow.Addr {
			if v == 4 {
				return flow.AddrFrom4([4]byte{192, 0, 2, byte(random.Uint32())})
			}
			return flow.Addr{0x20, 1, 0xd, 0xb8, 15: byte(1 + random.IntN(200))}
		}
		for _, c := range []flow.Column{flow.SrcAddr, flow.DstAddr, flow.NextHop} {
			b.SetAddr(c, i, address())
		}
		for _, c := range []flow.Column{flow.Packets, flow.Bytes} {
			b.SetUint(c, i, random.Uint64()>>random.IntN(64)|1)
		}
		for _, c := range []flow.Column{flow.InIf, flow.OutIf, flow.SrcAS, flow.DstAS} {
			b.SetUint(c, i, uint64(random.Uint32()>>random.IntN(32)))
		}
		for _, c := range []flow.Column{flow.SrcPort, flow.DstPort, flow.SrcVLAN, flow.DstVLAN} {
			b.SetUint(c, i, uint64(uint16(random.Uint32())))
		}
		for _, c := range []flow.Column{flow.TOS, flow.TCPFlags, flow.ForwardingStatus, flow.TTL, flow.FlowEndReason} {
			b.SetUint(c, i, uint64(byte(random.Uint32())))
		}
		b.SetUint(flow.Protocol, i, uint64([]int{1, 6, 17, 58, 47}[random.IntN(5)]))
		b.SetUint(flow.Direction, i, uint64(random.IntN(2)))
		b.SetUint(flow.SrcMask, i, uint64(random.IntN(33)))
		b.SetUint(flow.DstMask, i, uint64(random.IntN(33)))
		b.SetUint(flow.SrcMAC, i, random.Uint64()>>16)
		b.SetUint(flow.DstMAC, i, random.Uint64()>>16)
		b.SetUint(flow.SamplingRate, i, uint64(random.IntN(1000)))
		b.SetUint(flow.MPLSLabel1, i, uint64(random.IntN(1<<20)))
		b.SetText(flow.SrcUser, i, []byte(strings.Repeat("ü", random.IntN(300))))
		if p := b.U8(flow.Protocol)[i]; p == 1 || p == 58 {
			b.SetUint(flow.ICMPType, i, uint64(random.IntN(256)))
			b.SetUint(flow.ICMPCode, i, uint64(random.IntN(16)))
			b.SetUint(flow.DstPort, i, b.Uint(flow.ICMPType, i)<<8|b.Uint(flow.ICMPCode, i))
		}
		start := testNow - int64(random.IntN(3_600_000))
		b.SetUint(flow.Start, i, uint64(start))
		b.SetUint(flow.End, i, uint64(start+int64(random.IntN(int(testNow-start)+1))))
	}
	return b
}

// TestEncodeDecode: whatever rows there are, a session reads them again, from
// datagrams of any size.
func TestEncodeDecode(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for round := range 60 {
		e := Encoder{Domain: random.Uint32() >> 16, Sequence: random.Uint32(), Boot: testBoot, MaxSize: 300 + random.IntN(1200)}
		check := func(t *testing.T, template *Template, version int) {
			e := e
			e.Version = template.Version
			want := randomFlows(random, 1+random.IntN(100), version)
			var out collected
			if err := e.Flows(template, want, 0, want.Len(), testNow, out.send); err != nil {
				t.Fatal(err)
			}
			for _, d := range out {
				if len(d) > e.MaxSize {
					t.Fatalf("a datagram of %d bytes, %d are allowed", len(d), e.MaxSize)
				}
				if e.Version != flow.NetFlow5 && len(d)%4 != 0 {
					t.Fatalf("a datagram of %d bytes", len(d))
				}
			}
			got := decodeAll(t, NewSession(Config{}), out)
			agrees(t, want, got, columnsOf(template.Fields))
			if got.U32(flow.ObservationDomain)[0] != e.Domain {
				t.Fatal("another domain")
			}
		}
		for i, template := range standardTemplates {
			t.Run(fmt.Sprint("template ", i, round), func(t *testing.T) { check(t, template, []int{4, 6, 4, 6, 0}[i]) })
		}
		t.Run(fmt.Sprint("v5 ", round), func(t *testing.T) { check(t, &Template{Version: 5, Fields: v5Fields}, 4) })
	}
}

// TestEncodeFixtures decodes every recorded case, encodes the rows and decodes
// them again: with our template, then with each of the exporter's own that can
// be encoded.
func TestEncodeFixtures(t *testing.T) {
	dir := fixtures.Dir(t)
	files, err := filepath.Glob(filepath.Join(dir, "cases", "*.pcap"))
	if err != nil || len(files) == 0 {
		t.Fatal("no cases: ", err)
	}
	rows, templates := 0, 0
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		s, b, m := NewSession(Config{}), flow.NewBatch(1), &Message{}
		r, err := pcap.NewReader(f)
		if err != nil {
			t.Fatal(file, err)
		}
		udp := pcap.NewUDPReader(r)
		var d pcap.Datagram
		for {
			if err := udp.Next(&d); err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(file, err)
			}
			_ = s.Decode(d.Payload, 1, b, m) // sFlow is among them
		}
		f.Close()
		list := []Template{IPFIXTemplate}
		for _, own := range s.Templates() {
			own.ID = 1000
			if !own.Options {
				list = append(list, own)
			}
		}
		rows += b.Len()
		for _, template := range list {
			again := func(b *flow.Batch) *flow.Batch {
				e, out := Encoder{Version: template.Version, Boot: testBoot, MaxSize: 65000}, collected{}
				if err := e.Flows(&template, b, 0, b.Len(), testNow, out.send); errors.Is(err, ErrTemplate) {
					return nil
				} else if err != nil {
					t.Fatal(file, err)
				}
				return decodeAll(t, NewSession(Config{}), out)
			}
			once := again(b)
			if once == nil {
				continue
			}
			templates++
			if template.ID == IPFIXTemplate.ID {
				agrees(t, b, once, columnsOf(template.Fields))
			}
			if twice := again(once); once.Len() > 0 {
				for i := range once.Len() {
					if a, o := once.AppendJSON(nil, i), twice.AppendJSON(nil, i); !bytes.Equal(a, o) {
						t.Fatalf("%s, row %d of template %v:\n%s became\n%s", file, i, template.Fields, a, o)
					}
				}
			}
		}
	}
	t.Logf("%d rows of %d cases; %d templates", rows, len(files), templates)
	if rows < 2000 || templates < len(files) {
		t.Error("too few")
	}
}

// Every element of the table that can be encoded is read as it was written.
func TestEncodeElements(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	want := randomFlows(random, 40, 4)
	six := randomFlows(random, 40, 6)
	encoded := 0
	for _, element := range elements {
		for length := range uint16(17) {
			for _, b := range []*flow.Batch{want, six} {
				template := &Template{ID: 300, Fields: []TemplateField{{element.pen, element.id, length}, {0, 4, 1}}}
				e, out := Encoder{Version: flow.IPFIX, Boot: testBoot, Resend: 1}, collected{}
				err := e.Flows(template, b, 0, b.Len(), testNow, out.send)
				if errors.Is(err, ErrTemplate) || length == 0 {
					continue
				} else if err != nil {
					t.Fatal(err)
				}
				encoded++
				columns := columnsOf(template.Fields)
				four := element.as == asAddr4
				if four != (b == want) && (four || element.as == asAddr6) || element.as == asSeconds || element.as == asUptime ||
					element.as == asDSCP || element.as == asText || element.to == flow.SamplingRate || element.as == asNTP {
					delete(columns, element.to) // of another kind, or known less exactly
				}
				agrees(t, b, decodeAll(t, NewSession(Config{}), out), columns)
			}
		}
	}
	if encoded < 200 {
		t.Errorf("only %d fields", encoded)
	}
}

func TestEncodeText(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	want := randomFlows(random, 50, 4)
	template := &Template{ID: 300, Fields: []TemplateField{{0, 371, variable}, {0, 7, 2}, {0, 70, 3}, {0, 34, 4}}}
	e, out := Encoder{Version: flow.IPFIX}, collected{}
	if err := e.Flows(template, want, 0, want.Len(), testNow, out.send); err != nil {
		t.Fatal(err)
	}
	got := decodeAll(t, NewSession(Config{}), out)
	for i := range want.Len() {
		for _, c := range []flow.Column{flow.SrcUser, flow.SrcPort, flow.MPLSLabel1, flow.SamplingRate} {
			if a, b := want.AppendText(nil, c, i), got.AppendText(nil, c, i); !bytes.Equal(a, b) {
				t.Fatalf("row %d: %s became %s", i, a, b)
			}
		}
	}
	// A fixed length cuts behind a character.
	template.Fields[0].Length = 5
	out = nil
	if err := e.Flows(template, want, 0, want.Len(), testNow, out.send); err != nil {
		t.Fatal(err)
	}
	got = decodeAll(t, NewSession(Config{}), out)
	for i := range want.Len() {
		text := want.Text(flow.SrcUser, i)
		if got := got.Text(flow.SrcUser, i); !bytes.Equal(got, text[:min(len(text), 4)]) {
			t.Fatalf("row %d: %q became %q", i, text, got)
		}
	}
}

func TestTemplatesAreSentAgain(t *testing.T) {
	b := randomFlows(rand.New(rand.NewPCG(1, 1)), 3, 4)
	for _, c := range []struct {
		resend int64
		want   string
	}{{0, "1000"}, {2000, "1010"}, {1, "1111"}} {
		e, got := Encoder{Version: flow.NetFlow9, Resend: c.resend}, ""
		s := NewSession(Config{})
		for i := range int64(4) {
			var out collected
			if err := e.Flows(&V9IPv4Template, b, 0, 3, testNow+1000*i, out.send); err != nil || len(out) != 1 {
				t.Fatal(err, len(out))
			}
			m := &Message{}
			if err := s.Decode(out[0], 1, flow.NewBatch(1), m); err != nil || m.Flows != 3 {
				t.Fatal(err, m.Flows)
			}
			got += fmt.Sprint(m.Templates)
			if count := binary.BigEndian.Uint16(out[0][2:]); int(count) != m.Templates+3 {
				t.Errorf("the header counts %d records", count)
			}
		}
		if got != c.want {
			t.Errorf("resent after %d ms: %s, want %s", c.resend, got, c.want)
		}
	}
}

func TestWithdraw(t *testing.T) {
	b := randomFlows(rand.New(rand.NewPCG(1, 1)), 3, 4)
	e, out := Encoder{Version: flow.IPFIX}, collected{}
	options := &Template{ID: 400, Options: true, Scopes: 1, Fields: fieldsOf(149, 4, 34, 4)}
	records := []OptionRecord{{Fields: []OptionField{{Value: u32(1)}, {Value: u32(100)}}}}
	for _, err := range []error{
		e.Flows(&IPFIXTemplate, b, 0, 3, testNow, out.send),
		e.Options(options, records, testNow, out.send),
		e.Withdraw(IPFIXTemplate.ID, testNow, out.send),
		e.Withdraw(400, testNow, out.send),
		e.Flows(&IPFIXTemplate, b, 0, 3, testNow, out.send), // described anew
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	s, withdrawals := NewSession(Config{}), 0
	m, rows := &Message{}, flow.NewBatch(1)
	for i, d := range out {
		if err := s.Decode(d, 1, rows, m); err != nil || problems(m) != "" {
			t.Fatal(i, err, problems(m))
		}
		withdrawals += m.Withdrawals
		if m.Sequence != []uint32{0, 3, 4, 4, 4}[i] {
			t.Errorf("message %d has the number %d", i, m.Sequence)
		}
	}
	if withdrawals != 2 || rows.Len() != 6 || len(s.Templates()) != 1 {
		t.Errorf("%d withdrawals, %d rows, %d templates", withdrawals, rows.Len(), len(s.Templates()))
	}
	if err := e.Withdraw(999, testNow, out.send); !errors.Is(err, ErrTemplate) {
		t.Error(err)
	}
}

// Options data are read as they were written, in both versions.
func TestEncodeOptions(t *testing.T) {
	for version, fields := range map[uint16][]TemplateField{
		flow.NetFlow9: fieldsOf(1, 4, 48, 1, 34, 4, 84, 7),
		flow.IPFIX:    {{0, 149, 4}, {0, 48, 1}, {0, 34, 4}, {0, 335, variable}, {9, 12235, 2}},
	} {
		template := &Template{ID: 500, Options: true, Scopes: 1, Fields: fields}
		var records []OptionRecord
		for n := range 100 {
			r := OptionRecord{}
			for _, f := range fields {
				length := int(f.Length)
				if f.Length == variable {
					length = n * 4
				}
				r.Fields = append(r.Fields, OptionField{Value: bytes.Repeat([]byte{byte(n)}, length)})
			}
			records = append(records, r)
		}
		e, out := Encoder{Version: version, Domain: 3, MaxSize: 600}, collected{}
		if err := e.Options(template, append(records, OptionRecord{}), testNow, out.send); err == nil || len(out) > 0 {
			t.Fatalf("a record without fields: %v, after %d datagrams", err, len(out))
		}
		if err := e.Options(template, records, testNow, out.send); err != nil {
			t.Fatal(err)
		}
		s, m, n := NewSession(Config{}), &Message{}, 0
		for _, d := range out {
			if err := s.Decode(d, 1, flow.NewBatch(1), m); err != nil || problems(m) != "" || len(d) > 600 {
				t.Fatal(err, problems(m), len(d))
			}
			for _, o := range m.Options {
				for i, f := range o.Fields {
					if !bytes.Equal(f.Value, records[n].Fields[i].Value) || f.Element != fields[i].Element || f.Scope != (i == 0) {
						t.Fatalf("version %d, record %d, field %d: %+v", version, n, i, f)
					}
				}
				n++
			}
		}
		if n != len(records) {
			t.Errorf("version %d: %d records", version, n)
		}
		if err := e.Options(template, []OptionRecord{{}}, testNow, out.send); !errors.Is(err, ErrTemplate) {
			t.Error(err)
		}
	}
}

func TestInexpressible(t *testing.T) {
	b := randomFlows(rand.New(rand.NewPCG(1, 1)), 4, 6)
	nothing := func([]byte) error { t.Error("something was sent"); return nil }
	for _, c := range []struct {
		name     string
		e        Encoder
		template Template
		want     error
	}{
		{"an unknown element", Encoder{Version: 10}, Template{ID: 256, Fields: fieldsOf(999, 4)}, ErrTemplate},
		{"an address of five bytes", Encoder{Version: 10}, Template{ID: 256, Fields: fieldsOf(8, 5)}, ErrTemplate},
		{"an ASA's element in IPFIX", Encoder{Version: 10}, Template{ID: 256, Fields: fieldsOf(40001, 4)}, ErrTemplate},
		{"a low id", Encoder{Version: 10}, Template{ID: 255, Fields: fieldsOf(8, 4)}, ErrTemplate},
		{"no field", Encoder{Version: 10}, Template{ID: 256}, ErrTemplate},
		{"empty records", Encoder{Version: 10}, Template{ID: 256, Fields: fieldsOf(1, 0)}, ErrTemplate},
		{"variable length in v9", Encoder{Version: 9}, Template{ID: 256, Fields: fieldsOf(371, variable)}, ErrTemplate},
		{"an enterprise in v9", Encoder{Version: 9}, Template{ID: 256, Fields: []TemplateField{{9, 12236, 4}}}, ErrTemplate},
		{"options", Encoder{Version: 9}, Template{ID: 256, Options: true, Fields: fieldsOf(1, 4)}, ErrTemplate},
		{"too small", Encoder{Version: 9, MaxSize: 100}, V9IPv4Template, ErrLarge},
		{"too small", Encoder{Version: 5, MaxSize: 70}, Template{}, ErrLarge},
		{"another version", Encoder{Version: 7}, V9IPv4Template, ErrTemplate},
	} {
		if err := c.e.Flows(&c.template, b, 0, b.Len(), testNow, nothing); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	e := Encoder{Version: flow.NetFlow5}
	if err := e.Flows(nil, b, 0, b.Len(), testNow, nothing); err != nil || e.Skipped != 4 {
		t.Errorf("IPv6 in v5: %v, %d rows were skipped", err, e.Skipped)
	}
	stop := errors.New("stop")
	e = Encoder{Version: flow.IPFIX}
	if err := e.Flows(&IPFIXTemplate, b, 0, 4, testNow, func([]byte) error { return stop }); err != stop {
		t.Error(err)
	}
	// A great AS number is AS_TRANS where there is no room for it.
	v4 := randomFlows(rand.New(rand.NewPCG(1, 1)), 1, 4)
	v4.SetUint(flow.SrcAS, 0, 70000)
	v4.SetUint(flow.InIf, 0, 70000)
	var out collected
	e = Encoder{Version: flow.NetFlow5, Sampling: 1<<14 | 100}
	if err := e.Flows(nil, v4, 0, 1, testNow, out.send); err != nil {
		t.Fatal(err)
	}
	if got := decodeAll(t, NewSession(Config{}), out); got.U32(flow.SrcAS)[0] != 23456 || got.U32(flow.InIf)[0] != 65535 || got.U32(flow.SamplingRate)[0] != 100 {
		t.Errorf("%s", got.AppendJSON(nil, 0))
	}
}

// tshark has nothing to complain about.
func TestEncoderByTshark(t *testing.T) {
	if _, err := exec.LookPath("tshark"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("NOT TESTED: ", err)
	}
	var out collected
	random := rand.New(rand.NewPCG(9, 9))
	flows := 0
	for i, template := range append(slices.Clone(standardTemplates), &Template{Version: 5}) {
		e := Encoder{Version: template.Version, Domain: uint32(i + 1), Boot: testBoot}
		b := randomFlows(random, 100, []int{4, 6, 4, 6, 0, 4}[i])
		if err := e.Flows(template, b, 0, b.Len(), testNow, out.send); err != nil {
			t.Fatal(err)
		}
		flows += b.Len()
		if template.Version == 5 {
			continue
		}
		options := &Template{ID: 500, Options: true, Scopes: 1, Fields: fieldsOf(1, 4, 48, 1, 34, 4)}
		if template.Version == flow.IPFIX {
			options.Fields[0].Element = 149
		}
		records := []OptionRecord{{Fields: []OptionField{{Value: u32(1)}, {Value: []byte{1}}, {Value: u32(100)}}}}
		if err := e.Options(options, records, testNow, out.send); err != nil {
			t.Fatal(err)
		}
		if template.Version == flow.IPFIX {
			// Of flows: tshark finds a withdrawal of options too short, but
			// RFC 7011 §8.1 gives both the same four bytes.
			if err := e.Withdraw(template.ID, testNow, out.send); err != nil {
				t.Fatal(err)
			}
		}
	}
	path := filepath.Join(t.TempDir(), "encoded.pcap")
	writePcap(t, path, out)
	complaints, err := exec.Command("tshark", "-r", path, "-d", "udp.port==2055,cflow", "-Y", "_ws.expert || _ws.malformed || cflow.template_frame == 0", "-T", "fields", "-e", "frame.number", "-e", "_ws.expert.message").Output()
	if err != nil || len(complaints) > 0 {
		t.Errorf("%v: %s", err, complaints)
	}
	packets, err := exec.Command("tshark", "-r", path, "-d", "udp.port==2055,cflow", "-T", "fields", "-e", "cflow.packets", "-E", "occurrence=a").Output()
	if n := len(strings.FieldsFunc(string(packets), func(r rune) bool { return r == ',' || r == '\n' })); err != nil || n != flows {
		t.Errorf("tshark sees %d flows of %d (%v)", n, flows, err)
	}
}

// FuzzEncode takes bytes for a template: whatever can be encoded is decoded
// without a problem, row for row.
func FuzzEncode(f *testing.F) {
	for _, template := range standardTemplates {
		f.Add(specifiers(template.Fields), uint64(1), template.Version == flow.IPFIX, uint16(500))
	}
	f.Add(specifiers([]TemplateField{{0, 371, variable}, {0, 96, 3}, {0, 70, 3}}), uint64(1), true, uint16(1000))
	f.Fuzz(func(t *testing.T, fields []byte, seed uint64, ipfix bool, size uint16) {
		template := &Template{Version: flow.NetFlow9, ID: 256}
		if ipfix {
			template.Version = flow.IPFIX
		}
		for ; len(fields) >= 4 && len(template.Fields) < 100; fields = fields[4:] {
			template.Fields = append(template.Fields, TemplateField{Element: binary.BigEndian.Uint16(fields) & 0x7fff, Length: binary.BigEndian.Uint16(fields[2:])})
		}
		b := randomFlows(rand.New(rand.NewPCG(seed, 0)), int(seed%50), 0)
		e, out := Encoder{Version: template.Version, Boot: testBoot, MaxSize: int(size)}, collected{}
		if err := e.Flows(template, b, 0, b.Len(), testNow, out.send); err != nil {
			return
		}
		if got := decodeAll(t, NewSession(Config{}), out); got.Len() != b.Len() {
			t.Fatalf("%d rows became %d", b.Len(), got.Len())
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	for _, template := range []*Template{{Version: 5}, &V9IPv4Template, &IPFIXTemplate} {
		b.Run(fmt.Sprint("v", template.Version), func(b *testing.B) {
			const n = 1000
			batch := randomFlows(rand.New(rand.NewPCG(1, 1)), n, 4)
			e := Encoder{Version: template.Version}
			send := func([]byte) error { return nil }
			b.ReportAllocs()
			for b.Loop() {
				if err := e.Flows(template, batch, 0, n, testNow, send); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/flow")
		})
	}
}
