package netflow

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/internal/fixtures"
	"github.com/minamo-flow/minamo/wire/packet"
)

// seeds are datagrams of every kind, then those of the fixtures.
func seeds() [][]byte {
	port := []TemplateField{{0, 7, 2}}
	varlen := []TemplateField{{0, 8, 4}, {0, 82, variable}, {0, 1, variable}, {0, 22, 4}}
	list := [][]byte{
		v5Datagram(3),
		v9Datagram(1, templateSet(0, 256, usual), set(256, records(usual, 3))),
		v9Datagram(1, set(256, u16(1, 2, 3)), templateSet(0, 256, port)),
		v9Datagram(1, set(1, u16(257, 4, 4), specifiers([]TemplateField{{0, 1, 4}, {0, 34, 4}})), set(257, u32(1, 2))),
		ipfixMessage(1, templateSet(2, 256, varlen), set(256, records([]TemplateField{{0, 8, 4}, {0, 82, variable}, {0, 1, variable}, {0, 22, 4}}, 3))),
		ipfixMessage(1, templateSet(2, 256, usual), set(256, records(usual, 2)), set(2, u16(256, 0)), set(256, u16(1))),
		ipfixMessage(1, set(3, u16(300, 2, 1), specifiers([]TemplateField{{0, 160, 8}, {0, 34, 4}})), set(300, u32(1, 2, 3))),
		ipfixMessage(1, set(2, u16(2, 0)), set(3, u16(3, 0))),
		// Both directions, packet sections, lists in lists, a column of the operator's.
		v9Datagram(1, templateSet(0, 256, []TemplateField{{0, 8, 4}, {0, 12, 4}, {0, 231, 4}, {0, 232, 4}, {0, 33000, 12}, {0, 40000, 8}}), set(256, make([]byte, 12), u32(9, 1, 2, 3), []byte("somebody"))),
		ipfixMessage(1, templateSet(2, 256, []TemplateField{{0, 7, 2}, {0, 1, 2}, {reversePEN, 1, 2}, {0, 315, variable}}), set(256, u16(1, 2, 3), []byte{byte(len(sample))}, sample)),
		ipfixMessage(1, templateSet(2, 257, []TemplateField{{0, 56, 6}}), templateSet(2, 258, []TemplateField{{0, 292, variable}}),
			templateSet(2, 256, []TemplateField{{0, 291, variable}, {0, 293, variable}, {certPEN, 15, 1}, {reversePEN, 2, 1}}),
			set(256, []byte{10, 3}, u16(483, 4), u32(1), []byte{0}, []byte{25, 3}, u16(257, 10), make([]byte, 6), u16(258, 14), []byte{9, 3}, u16(257), make([]byte, 6), []byte{1, 2})),
	}
	dir, err := fixtures.Find()
	if err != nil {
		return list
	}
	for _, pattern := range []string{"logstash-codec-netflow/*.dat", "*/inline/*ipfix.bin", "*/inline/*nfv9.bin"} {
		files, _ := filepath.Glob(filepath.Join(dir, pattern))
		for _, file := range files {
			if b, err := os.ReadFile(file); err == nil && len(b) < 1500 {
				list = append(list, b)
			}
		}
	}
	return list
}

// check decodes a datagram and checks what must hold whatever its bytes are.
func check(t *testing.T, s *Session, datagram []byte, b *flow.Batch, m *Message) {
	before := b.Len()
	waited := s.waitingBytes
	err := s.Decode(datagram, 1, b, m)
	if err != nil && b.Len() != before {
		t.Fatal("rows of an unusable datagram")
	}
	if err == nil && (m.First != before || m.First+m.Flows != b.Len()) {
		t.Fatalf("rows %d to %d, but the message says %d+%d", before, b.Len(), m.First, m.Flows)
	}
	if b.Len()-before > 2*(len(datagram)+waited) || len(m.Options) > len(datagram)+waited {
		t.Fatal("more records than bytes")
	}
	for row := before; row < b.Len(); row++ {
		need := flow.MaskOf(flow.Received, flow.ExportProtocol, flow.ObservationDomain, flow.Start, flow.End, flow.Packets, flow.Bytes)
		for _, c := range need.Columns() {
			if !b.Present[row].Has(c) {
				t.Fatalf("row %d has no %v", row, c)
			}
		}
		for c := range flow.Columns() { // absent values are zero
			if b.Present[row].Has(c) {
				continue
			}
			if flow.Schema[c].Kind == flow.Address {
				if b.Addr(c)[row] != (flow.Addr{}) {
					t.Fatalf("row %d: absent %v is not zero", row, c)
				}
			} else if b.Uint(c, row) != 0 {
				t.Fatalf("row %d: absent %v is not zero", row, c)
			}
		}
	}
	for _, o := range m.Options {
		for _, f := range o.Fields {
			f.Uint()
		}
	}
	// The books are right, and within the limits.
	size, templates := 0, s.Templates()
	for _, w := range s.waiting {
		size += len(w.data)
	}
	if size != s.waitingBytes || size > s.limits.WaitingBytes || len(s.waiting) > s.limits.WaitingSets {
		t.Fatalf("%d bytes in %d sets wait, the books say %d", size, len(s.waiting), s.waitingBytes)
	}
	if len(templates) != s.count || s.count > s.limits.Templates || len(s.domains) > s.count {
		t.Fatalf("%d templates in %d domains, the books say %d", len(templates), len(s.domains), s.count)
	}
}

// FuzzV9 and FuzzIPFIX decode a sequence of datagrams of their protocol, each
// behind two bytes of length, in one session with tight limits: templates and
// data in any order, withdrawals, templates that change while data wait. Then
// a session begins anew with the templates of the first.
func FuzzV9(f *testing.F)    { fuzzSession(f, flow.NetFlow9) }
func FuzzIPFIX(f *testing.F) { fuzzSession(f, flow.IPFIX) }

func fuzzSession(f *testing.F, version int) {
	var all []byte
	for i, seed := range seeds() {
		if len(seed) < 2 || binary.BigEndian.Uint16(seed) != uint16(version) {
			continue
		}
		framed := join(u16(len(seed)), seed)
		f.Add(framed)
		if all = append(all, framed...); i%4 == 3 {
			f.Add(bytes.Clone(all))
			all = all[:0]
		}
	}
	if err := flow.Define(flow.Field{Name: "fuzz_text", Kind: flow.Text}, flow.Field{Name: "fuzz_number", Kind: flow.Uint16}); err != nil {
		f.Fatal(err)
	}
	text, _ := flow.Lookup("fuzz_text")
	short, _ := flow.Lookup("fuzz_number")
	config := Config{
		Limits: Limits{Templates: 8, Fields: 40, WaitingSets: 4, WaitingBytes: 256},
		Packet: &packet.Parser{Tunnels: packet.TunnelsOf(flow.TunnelIPIP, flow.TunnelVXLAN)},
		Custom: []CustomElement{{0, 82, text}, {0, 8, text}, {0, 1, short}, {reversePEN, 1, short}, {9, 1, text}},
	}
	f.Fuzz(func(t *testing.T, sequence []byte) {
		s, b, m := NewSession(config), flow.NewBatch(1), &Message{}
		for rest := sequence; len(rest) >= 2; {
			n := min(int(binary.BigEndian.Uint16(rest)), len(rest)-2)
			datagram := bytes.Clone(rest[2 : 2+n])
			if n >= 2 {
				binary.BigEndian.PutUint16(datagram, uint16(version))
			}
			check(t, s, datagram, b, m)
			rest = rest[2+n:]
			if b.Len() > 5000 {
				b.Reset()
			}
		}
		s.ShiftClock(bytes.Clone(sequence), 1000)
		restored := NewSession(config)
		restored.Restore(s.State())
		if len(s.Templates()) > 0 && !reflect.DeepEqual(restored.State(), s.State()) {
			t.Fatal("templates changed by a restart")
		}
	})
}
