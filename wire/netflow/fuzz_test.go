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
	if b.Len()-before > len(datagram)+waited || len(m.Options) > len(datagram)+waited {
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

func FuzzDecode(f *testing.F) {
	for _, seed := range seeds() {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, datagram []byte) {
		check(t, NewSession(Config{}), datagram, flow.NewBatch(1), &Message{})
	})
}

// FuzzSession decodes a sequence of datagrams, each behind two bytes of
// length, in one session with tight limits; then again in a session with the
// templates of the first.
func FuzzSession(f *testing.F) {
	var all []byte
	for i, seed := range seeds() {
		framed := join(u16(len(seed)), seed)
		f.Add(framed)
		if all = append(all, framed...); i%4 == 3 {
			f.Add(bytes.Clone(all))
			all = all[:0]
		}
	}
	f.Fuzz(func(t *testing.T, sequence []byte) {
		limits := Limits{Templates: 8, Fields: 40, WaitingSets: 4, WaitingBytes: 256}
		s, b, m := NewSession(Config{Limits: limits}), flow.NewBatch(1), &Message{}
		for rest := sequence; len(rest) >= 2; {
			n := min(int(binary.BigEndian.Uint16(rest)), len(rest)-2)
			check(t, s, rest[2:2+n], b, m)
			rest = rest[2+n:]
			if b.Len() > 5000 {
				b.Reset()
			}
		}
		restored := NewSession(Config{Limits: limits})
		restored.Restore(s.Templates())
		if len(s.Templates()) > 0 && !reflect.DeepEqual(restored.Templates(), s.Templates()) {
			t.Fatal("templates changed by a restart")
		}
	})
}
