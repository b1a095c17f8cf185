package netflow

import (
	"slices"
	"testing"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/wire/packet"
)

// sample is an Ethernet frame with UDP from 192.0.2.1:53 to 198.51.100.9:5000,
// and outer around another such packet in IPIP.
var (
	udpPacket = join(u16(0x45b8, 78, 1, 0), []byte{64, 17}, u16(0), u32(0xc0000201, 0xc6336409), u16(53, 5000, 58, 0))
	sample    = join([]byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1}, u16(0x800), udpPacket)
	outer     = join(u16(0x4500, 98, 1, 0), []byte{64, 4}, u16(0), u32(0x0a000001, 0x0a000002), udpPacket)
)

func TestSections(t *testing.T) {
	f := func(specs ...int) (fields []TemplateField) {
		for i := 0; i < len(specs); i += 2 {
			fields = append(fields, TemplateField{Element: uint16(specs[i]), Length: uint16(specs[i+1])})
		}
		return fields
	}
	const (
		ip    = `"src_addr":"192.0.2.1","dst_addr":"198.51.100.9","protocol":17,"src_port":53,"dst_port":5000,"tos":184,"ttl":64,"fragment_offset":0,"fragment_id":1`
		frame = ip + `,"ether_type":2048,"src_mac":"02:00:00:00:00:01","dst_mac":"02:00:00:00:00:02"}`
	)
	var ipfields = ip + `}`
	counted := func(packets, bytes string) string { return `{"packets":` + packets + `,"bytes":` + bytes + `,` }
	varying := func(v []byte) []byte { return join([]byte{byte(len(v))}, v) }
	for _, c := range []struct {
		name   string
		fields []TemplateField
		record []byte
		want   string
	}{
		{"a frame", f(315, variable), varying(sample), counted("1", "78") + frame},
		{"layer2packetSectionData", f(104, len(sample)), sample, counted("1", "78") + frame},
		{"an IP header", f(313, variable), varying(udpPacket), counted("1", "78") + ipfields},
		{"the type is told", f(408, 2, 315, variable), join(u16(1), varying(sample)), counted("1", "78") + frame},
		{"filled up", f(410, 2, 315, 50), join(u16(12), sample, make([]byte, 8)), `{"packets":1,"bytes":0,"src_mac":"02:00:00:00:00:01","dst_mac":"02:00:00:00:00:02"}`},
		{"counted by the record", f(1, 4, 2, 4, 313, variable), join(u32(1000, 10), varying(udpPacket)), counted("10", "1000") + ipfields},
		{"the size is told", f(312, 2, 313, variable), join(u16(92), varying(udpPacket[:12])), `{"packets":1,"bytes":78,"protocol":17,"tos":184,"ttl":64,"fragment_offset":0,"fragment_id":1}`},
		{"only the size", f(312, 2), u16(92), `{"packets":1,"bytes":92}`},
		{"ipTotalLength", f(224, 2), u16(78), `{"packets":1,"bytes":78}`},
		{"an empty section", f(312, 2, 315, variable), join(u16(92), []byte{0}), `{"packets":1,"bytes":92}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, m := rowsOf(t, NewSession(Config{}), true, c.fields, c.record)
			if len(got) != 1 || got[0] != c.want || problems(m) != "" {
				t.Errorf("%v\nwant %s\n%s", got, c.want, problems(m))
			}
		})
	}
}

// The record's own fields win, of whatever length and order.
func TestSectionsFillGaps(t *testing.T) {
	fields := []TemplateField{{0, 27, 16}, {0, 315, variable}, {0, 11, variable}, {0, 5, 1}}
	record := join(u32(0x20010db8, 0, 0, 1), []byte{byte(len(sample))}, sample, []byte{1, 9}, []byte{0})
	b, _ := decode(t, NewSession(Config{}), ipfixMessage(7, templateSet(2, 300, fields), set(300, record, record)))
	for row := range 2 {
		if src, port, tos, ttl := b.Addr(flow.SrcAddr)[row].String(), b.Uint(flow.DstPort, row), b.Uint(flow.TOS, row), b.Uint(flow.TTL, row); src != "2001:db8::1" || port != 9 || tos != 0 || ttl != 64 {
			t.Error(src, port, tos, ttl)
		}
	}
}

// A session's parser reads the sections.
func TestSectionsOfTunnels(t *testing.T) {
	p := &packet.Parser{Tunnels: packet.TunnelsOf(flow.TunnelIPIP)}
	got, _ := rowsOf(t, NewSession(Config{Packet: p}), true, []TemplateField{{0, 313, variable}}, join([]byte{byte(len(outer))}, outer))
	want := []string{`{"packets":1,"bytes":98,"src_addr":"192.0.2.1","dst_addr":"198.51.100.9","protocol":17,"src_port":53,"dst_port":5000,"tos":184,"ttl":64,"fragment_offset":0,"fragment_id":1,"tunnel":"ipip","tunnel_src_addr":"10.0.0.1","tunnel_dst_addr":"10.0.0.2"}`}
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}
