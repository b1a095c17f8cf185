package pcap

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/minamo-flow/minamo/wire/packet"
)

func join(parts ...[]byte) (p []byte) {
	for _, part := range parts {
		p = append(p, part...)
	}
	return p
}

func be(v ...uint16) (p []byte) {
	for _, x := range v {
		p = binary.BigEndian.AppendUint16(p, x)
	}
	return p
}

// udp4 is an IPv4 packet from 192.0.2.1:1000 to 192.0.2.2:2055.
func udp4(payload string) []byte {
	return ip4(7, 0, be(1000, 2055, uint16(8+len(payload)), 0), []byte(payload))
}

// ip4 is an IPv4 packet of UDP; word is flags and fragment offset.
func ip4(id, word uint16, body ...[]byte) []byte {
	b := join(body...)
	return join([]byte{0x45, 0}, be(uint16(20+len(b)), id, word), []byte{64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2}, b)
}

// ip6 is an IPv6 packet from 2001:db8::1 to 2001:db8::2.
func ip6(next byte, body ...[]byte) []byte {
	b := join(body...)
	end := func(last byte) []byte { return []byte{0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last} }
	return join([]byte{0x60, 0, 0, 0}, be(uint16(len(b))), []byte{next, 64}, end(1), end(2), b)
}

// file writes packets one millisecond apart.
func file(link packet.Link, packets ...[]byte) []byte {
	var f bytes.Buffer
	w, err := NewWriter(&f, link, true)
	if err != nil {
		panic(err)
	}
	for i, p := range packets {
		if err := w.Write(&Packet{Time: 1e18 + int64(i)*1e6, Data: p}); err != nil {
			panic(err)
		}
	}
	return f.Bytes()
}

// payloads reads a capture to its end.
func payloads(t testing.TB, capture []byte) (found []string, stats Stats, err error) {
	r, err := NewReader(bytes.NewReader(capture))
	if err != nil {
		return nil, stats, err
	}
	u := NewUDPReader(r)
	var d Datagram
	for err = u.Next(&d); err == nil; err = u.Next(&d) {
		found = append(found, string(d.Payload))
	}
	if errors.Is(err, io.EOF) {
		err = nil
		if u.Offset() != int64(len(capture)) {
			t.Errorf("read %d of %d bytes", u.Offset(), len(capture))
		}
	}
	return found, u.Stats(), err
}

func TestLinkTypes(t *testing.T) {
	macs := make([]byte, 12)
	four, six := udp4("hello"), ip6(17, be(1000, 2055, 13, 0), []byte("hello"))
	for _, c := range []struct {
		name   string
		link   packet.Link
		packet []byte
	}{
		{"Ethernet", packet.Ethernet, join(macs, be(0x0800), four)},
		{"Ethernet, padded", packet.Ethernet, join(macs, be(0x0800), four, make([]byte, 20))},
		{"VLAN", packet.Ethernet, join(macs, be(0x8100, 7, 0x0800), four)},
		{"QinQ", packet.Ethernet, join(macs, be(0x88a8, 7, 0x8100, 8, 0x86dd), six)},
		{"raw IPv4", packet.Raw, four},
		{"raw IPv6", packet.Raw, six},
		{"raw of BSD", packet.RawBSD, four},
		{"raw of OpenBSD", packet.RawOBSD, six},
		{"IPv4", packet.IPv4, four},
		{"IPv6", packet.IPv6, six},
		{"null", packet.Null, join([]byte{2, 0, 0, 0}, four)},
		{"loop", packet.Loop, join([]byte{0, 0, 0, 24}, six)},
		{"SLL", packet.SLL, join(make([]byte, 14), be(0x0800), four)},
		{"SLL2", packet.SLL2, join(be(0x86dd), make([]byte, 18), six)},
		{"PPP", packet.PPP, join(be(0xff03, 0x21), four)},
		{"IPv4 options", packet.Raw, join([]byte{0x46}, four[1:2], be(37), four[4:20], []byte{1, 1, 1, 0}, four[20:])},
		{"IPv6 extension headers", packet.Raw, ip6(0, []byte{60, 0, 1, 4, 0, 0, 0, 0, 17, 0, 1, 4, 0, 0, 0, 0}, be(1000, 2055, 13, 0), []byte("hello"))},
	} {
		r, err := NewReader(bytes.NewReader(file(c.link, c.packet)))
		if err != nil {
			t.Fatal(err)
		}
		u := NewUDPReader(r)
		var d Datagram
		if err := u.Next(&d); err != nil {
			t.Errorf("%s: %v, %+v", c.name, err, u.Stats())
			continue
		}
		want := "192.0.2.1:1000 192.0.2.2:2055 hello"
		if d.Src.Addr().Is6() {
			want = "[2001:db8::1]:1000 [2001:db8::2]:2055 hello"
		}
		if got := fmt.Sprintf("%s %s %s", d.Src, d.Dst, d.Payload); got != want || d.Time != 1e18 {
			t.Errorf("%s: %s at %d", c.name, got, d.Time)
		}
	}
}

func TestSkippedPackets(t *testing.T) {
	good := udp4("hello")
	tcp := slices.Clone(good)
	tcp[9] = 6
	short := slices.Clone(good)
	short[25] = 40 // UDP's length
	for _, c := range []struct {
		name   string
		link   packet.Link
		packet []byte
		length int
		want   Reason
	}{
		{"802.11", 105, good, 0, UnknownLink},
		{"ARP", packet.Ethernet, join(make([]byte, 12), be(0x0806), good), 0, NotUDP},
		{"TCP", packet.Raw, tcp, 0, NotUDP},
		{"cut in the payload", packet.Raw, good[:30], 33, Truncated},
		{"cut in the IP header", packet.Raw, good[:12], 33, Truncated},
		{"cut in the Ethernet header", packet.Ethernet, make([]byte, 10), 60, Truncated},
		{"IP longer than the packet", packet.Raw, good[:30], 0, Malformed},
		{"UDP longer than IP", packet.Raw, short, 0, Malformed},
		{"half a UDP header", packet.Raw, ip4(1, 0, be(1, 2)), 0, Malformed},
	} {
		var f bytes.Buffer
		w, _ := NewWriter(&f, c.link, false)
		w.Write(&Packet{Data: c.packet, Length: c.length})
		found, stats, err := payloads(t, f.Bytes())
		want := Stats{Packets: 1}
		want.Skipped[c.want]++
		if len(found) != 0 || err != nil || stats != want {
			t.Errorf("%s: %q, %v, %+v, want one %s", c.name, found, err, stats, c.want)
		}
	}
}

func TestFragments(t *testing.T) {
	whole := join(be(1000, 2055, 32, 0), []byte("aaaaaaaabbbbbbbbcccccccc"))
	const more = 0x2000
	a, b, c, d := ip4(1, more, whole[:8]), ip4(1, more|1, whole[8:16]), ip4(1, more|2, whole[16:24]), ip4(1, 3, whole[24:])
	other := ip4(1, more|2, []byte("XXXXXXXXYYYYYYYY")) // overlaps c and d's place
	six := func(word uint16, body []byte) []byte {
		return ip6(44, []byte{17, 0}, be(word, 0, 9), body)
	}
	for _, k := range []struct {
		name       string
		packets    [][]byte
		want       []string
		incomplete uint64
		malformed  uint64
	}{
		{"in order", [][]byte{a, b, c, d}, []string{"aaaaaaaabbbbbbbbcccccccc"}, 0, 0},
		{"in reverse", [][]byte{d, c, b, a}, []string{"aaaaaaaabbbbbbbbcccccccc"}, 0, 0},
		{"others between, twice", [][]byte{a, udp4("x"), b, b, c, ip4(2, more, whole[:8]), d}, []string{"x", "aaaaaaaabbbbbbbbcccccccc"}, 1, 0},
		{"overlap: the first stays", [][]byte{a, c, other, b, d}, []string{"aaaaaaaabbbbbbbbYYYYYYYY"}, 0, 0},
		{"the id again, afterwards", [][]byte{a, b, c, d, d, c, b, a}, []string{"aaaaaaaabbbbbbbbcccccccc", "aaaaaaaabbbbbbbbcccccccc"}, 0, 0},
		{"one missing", [][]byte{a, b, d}, nil, 3, 0},
		{"beyond the end", [][]byte{ip4(1, 1, whole[8:16]), c}, nil, 1, 1},
		{"an end before what came", [][]byte{a, c, ip4(1, 1, whole[8:16])}, nil, 2, 1},
		{"not a multiple of eight", [][]byte{ip4(1, more, whole[:7])}, nil, 0, 1},
		{"beyond 64 KiB", [][]byte{ip4(1, 0x1fff, whole)}, nil, 0, 1},
		{"IPv6", [][]byte{six(1, whole[:16]), six(16, whole[16:])}, []string{"aaaaaaaabbbbbbbbcccccccc"}, 0, 0},
		{"IPv6, an atomic fragment", [][]byte{six(0, whole)}, []string{"aaaaaaaabbbbbbbbcccccccc"}, 0, 0},
	} {
		found, stats, err := payloads(t, file(packet.Raw, k.packets...))
		if err != nil || !slices.Equal(found, k.want) || stats.Skipped[Incomplete] != k.incomplete || stats.Skipped[Malformed] != k.malformed {
			t.Errorf("%s: %q, %+v, %v", k.name, found, stats, err)
		}
	}
}

func TestAssemblyIsBounded(t *testing.T) {
	var a assembly
	body := make([]byte, 8)
	for i := range 3 * maxAssembling {
		if _, _, err := a.add(fragmentKey{id: uint32(i)}, 0, 0, true, body); err != nil {
			t.Fatal(err)
		}
	}
	if len(a.waiting) != maxAssembling {
		t.Errorf("%d datagrams wait, more than %d", len(a.waiting), maxAssembling)
	}
	if _, lost, _ := a.add(fragmentKey{id: 1 << 30}, maxWait+1, 0, true, body); lost != maxAssembling || len(a.waiting) != 1 {
		t.Errorf("%d of %d given up after a minute", lost, maxAssembling)
	}
}

func TestPcapVariants(t *testing.T) {
	data := []byte("abc")
	for _, order := range []interface {
		binary.ByteOrder
		binary.AppendByteOrder
	}{binary.LittleEndian, binary.BigEndian} {
		for _, nanos := range []bool{false, true} {
			magic, want := uint32(0xa1b2c3d4), int64(1700000000_123456000)
			if nanos {
				magic, want = 0xa1b23c4d, 1700000000_000123456
			}
			f := order.AppendUint32(nil, magic)
			f = order.AppendUint16(order.AppendUint16(f, 2), 4)
			f = append(f, make([]byte, 8)...)
			f = order.AppendUint32(order.AppendUint32(f, 65535), 4<<28|1) // frame check sequence of 4 bytes
			for _, v := range []uint32{1700000000, 123456, 3, 60} {
				f = order.AppendUint32(f, v)
			}
			f = append(f, data...)
			r, err := NewReader(bytes.NewReader(f))
			if err != nil {
				t.Fatal(err)
			}
			var p Packet
			if err := r.Next(&p); err != nil {
				t.Fatal(err)
			}
			if p.Time != want || p.Link != packet.Ethernet || p.Length != 60 || !p.Truncated() || string(p.Data) != "abc" {
				t.Errorf("%v, nanoseconds %v: %+v", order, nanos, p)
			}
			if err := r.Next(&p); err != io.EOF {
				t.Errorf("at the end: %v", err)
			}
		}
	}
}

// block is a pcapng block.
func block(order binary.AppendByteOrder, kind uint32, body ...[]byte) []byte {
	b := join(body...)
	b = append(b, make([]byte, -len(b)&3)...)
	size := uint32(12 + len(b))
	return order.AppendUint32(join(order.AppendUint32(order.AppendUint32(nil, kind), size), b), size)
}

func ng(order binary.AppendByteOrder, v ...uint32) (p []byte) {
	for _, x := range v {
		p = order.AppendUint32(p, x)
	}
	return p
}

// sections is a pcapng file of two sections and four interfaces.
func sections() []byte {
	le, bigEndian := binary.LittleEndian, binary.BigEndian
	section := func(order binary.AppendByteOrder) []byte {
		return block(order, blockSection, ng(order, magicSection), order.AppendUint16(order.AppendUint16(nil, 1), 0), ng(order, 1<<32-1, 1<<32-1))
	}
	return join(
		section(le),
		block(le, blockInterface, ng(le, uint32(packet.Raw), 4)),                                                                               // microseconds
		block(le, blockInterface, ng(le, uint32(packet.Ethernet), 0), []byte{2, 0, 3, 0, 'e', 't', 'h', 0, 9, 0, 1, 0, 9, 0, 0, 0}, ng(le, 0)), // nanoseconds
		block(le, 5, ng(le, 0, 1, 2)), // statistics
		block(le, blockEnhanced, ng(le, 1, 0x17979cfe, 0x362a0000+5, 3, 9), []byte("abc"), ng(le, 1|2<<16, 0)),
		block(le, blockSimple, ng(le, 6), []byte("abcd")),
		block(le, blockObsolete, ng(le, 0, 0, 7, 2, 2), []byte("xy")),
		section(bigEndian),
		block(bigEndian, blockInterface, ng(bigEndian, uint32(packet.SLL)<<16, 0), be(9, 1), []byte{0x80 | 10, 0, 0, 0}, be(14, 8), ng(bigEndian, 0, 100), be(0, 0)),
		block(bigEndian, blockEnhanced, ng(bigEndian, 0, 0, 1<<10+1<<9, 1, 1), []byte("z")),
	)
}

func TestPcapngSections(t *testing.T) {
	r, err := NewReader(bytes.NewReader(sections()))
	if err != nil {
		t.Fatal(err)
	}
	want := []Packet{
		{Time: 1700000000_000000005, Link: packet.Ethernet, Length: 9, Data: []byte("abc")},
		{Link: packet.Raw, Length: 6, Data: []byte("abcd")},
		{Time: 7000, Link: packet.Raw, Length: 2, Data: []byte("xy")},
		{Time: 101_500000000, Link: packet.SLL, Length: 1, Data: []byte("z")},
	}
	for i := range want {
		var p Packet
		if err := r.Next(&p); err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(p) != fmt.Sprint(want[i]) {
			t.Errorf("packet %d: %+v, want %+v", i, p, want[i])
		}
	}
	var p Packet
	if err := r.Next(&p); err != io.EOF || r.Offset() != int64(len(sections())) {
		t.Errorf("at the end: %v, offset %d of %d", err, r.Offset(), len(sections()))
	}
}

func TestTimeResolution(t *testing.T) {
	for _, c := range []struct {
		resolution byte
		count      uint64
		want       int64
	}{
		{0, 3, 3e9}, {3, 1500, 1500e6}, {6, 1, 1000}, {9, 1, 1}, {12, 1700, 1}, {127, 1 << 63, 0},
		{0x80, 3, 3e9}, {0x80 | 32, 1 << 31, 5e8}, {0x80 | 64, 1 << 63, 5e8}, {0, 1 << 63, 0},
	} {
		f := iface{resolution: c.resolution}
		if got := f.time(c.count); got != c.want {
			t.Errorf("%d of resolution %#x: %d ns, want %d", c.count, c.resolution, got, c.want)
		}
	}
}

func TestDamagedFiles(t *testing.T) {
	good := file(packet.Raw, udp4("one"), udp4("two"))
	huge := slices.Clone(good)
	huge[24+8+3] = 0x7f
	ngFile := sections()
	le := binary.LittleEndian
	for _, c := range []struct {
		name string
		file []byte
		want string
	}{
		{"empty", nil, "not a pcap"},
		{"text", []byte("hello, world, this is no capture"), "not a pcap"},
		{"half a header", good[:20], "unexpected EOF"},
		{"ends in a packet", good[:len(good)-1], "unexpected EOF"},
		{"ends in a packet's header", good[:30], "unexpected EOF"},
		{"a packet of 2 GiB", huge, "damaged"},
		{"pcapng ends in a block", ngFile[:len(ngFile)-2], "unexpected EOF"},
		{"pcapng of no byte order", join(ngFile[:8], make([]byte, 20)), "byte order"},
		{"a block of 4 bytes", join(ngFile[:28], ng(le, 77, 4, 0, 0)), "damaged"},
		{"an unknown block beyond the end", join(ngFile[:28], ng(le, 77, 1<<31)), "unexpected EOF"},
		{"a packet without interface", join(ngFile[:28], block(le, blockEnhanced, ng(le, 0, 0, 0, 0, 0))), "interface 0"},
		{"lengths that differ", join(ngFile[:28], ng(le, blockInterface, 20, 0, 0, 24)), "differ"},
		{"a packet larger than its block", join(ngFile[:28], block(le, blockInterface, ng(le, 1, 0)), block(le, blockEnhanced, ng(le, 0, 0, 0, 9, 9))), "damaged"},
	} {
		_, _, err := payloads(t, c.file)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	found, _, err := payloads(t, good[:len(good)-1])
	if !slices.Equal(found, []string{"one"}) || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("before the damage: %q, %v", found, err)
	}
}

// FuzzReader checks that files of any bytes are safe, and come to an end in as
// many steps as they have bytes.
func FuzzReader(f *testing.F) {
	f.Add(sections())
	f.Add(file(packet.Ethernet, join(make([]byte, 12), be(0x0800), udp4("hello"))))
	f.Add(file(packet.Raw, ip4(1, 0x2000, be(1000, 2055, 16, 0)), ip4(1, 1, make([]byte, 8)), ip6(44, []byte{17, 0}, be(1, 0, 9), make([]byte, 8))))
	f.Fuzz(func(t *testing.T, p []byte) {
		r, err := NewReader(bytes.NewReader(p))
		if err != nil {
			return
		}
		u := NewUDPReader(r)
		var d Datagram
		var last int64
		for {
			if err := u.Next(&d); err != nil {
				break
			}
			if u.Offset() <= last || !d.Src.IsValid() || len(d.Payload) > maxDatagram {
				t.Fatalf("offset %d after %d; %+v", u.Offset(), last, d)
			}
			last = u.Offset()
		}
		if u.Offset() > int64(len(p)) {
			t.Fatalf("offset %d of %d bytes", u.Offset(), len(p))
		}
		s := u.Stats()
		if s.Datagrams > s.Packets || s.Packets > uint64(len(p))/16 {
			t.Fatalf("%d bytes: %+v", len(p), s)
		}
	})
}

func BenchmarkReader(b *testing.B) {
	packets := make([][]byte, 1000)
	for i := range packets {
		packets[i] = join(make([]byte, 12), be(0x0800), udp4(strings.Repeat("x", 1400)))
	}
	capture := file(packet.Ethernet, packets...)
	b.SetBytes(int64(len(capture)))
	b.ReportAllocs()
	for b.Loop() {
		r, _ := NewReader(bytes.NewReader(capture))
		u := NewUDPReader(r)
		var d Datagram
		for u.Next(&d) == nil {
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/datagram")
}

func ExampleUDPReader() {
	capture := bytes.NewReader(file(packet.Raw, udp4("a flow export")))
	r, err := NewReader(capture)
	if err != nil {
		fmt.Println(err)
		return
	}
	u := NewUDPReader(r)
	var d Datagram
	for err = u.Next(&d); err == nil; err = u.Next(&d) {
		fmt.Printf("%s to %s: %s\n", d.Src, d.Dst, d.Payload)
	}
	fmt.Println(err, u.Offset(), u.Stats().Packets)
	// Output:
	// 192.0.2.1:1000 to 192.0.2.2:2055: a flow export
	// EOF 81 1
}

func ExampleWriter() {
	var f bytes.Buffer
	w, err := NewWriter(&f, packet.Raw, true)
	if err != nil {
		fmt.Println(err)
		return
	}
	err = w.Write(&Packet{Time: 1700000000_000000001, Data: udp4("hello")})
	fmt.Println(err, f.Len(), "bytes")
	// Output: <nil> 73 bytes
}
