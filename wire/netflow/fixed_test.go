package netflow

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/wire/packet"
	"github.com/minamo-flow/minamo/wire/pcap"
)

// fixedHeader is the header of a version without templates, with engine type 3
// and engine id 4; for v8 of an aggregation scheme.
func fixedHeader(version, count, scheme int) []byte {
	h := join(u16(version, count), u32(testUptime, testExport, 250_000_000))
	switch version {
	case flow.NetFlow5:
		h = join(h, u32(77), []byte{3, 4, 0, 0})
	case flow.NetFlow7:
		h = join(h, u32(77, 0))
	case flow.NetFlow8:
		h = join(h, u32(77), []byte{3, 4, byte(scheme), 2}, u32(0))
	}
	return h
}

// Lengths of the records of v8, by scheme, as Cisco tells them.
var v8Lengths = []int{1: 28, 28, 32, 32, 40, 32, 40, 44, 32, 32, 32, 32, 40, 40}

// fixedDatagrams has a datagram of every version without templates and every
// scheme, of count records, whose bytes are random. Stamps lie before the
// uptime, and prefixes fit their masks.
func fixedDatagrams(count int, random *rand.Rand) (list [][]byte, names []string) {
	record := func(length, stamps int) []byte {
		r := make([]byte, length)
		for i := range r {
			r[i] = byte(random.Uint32())
		}
		first := random.IntN(testUptime)
		copy(r[stamps:], u32(first, first+random.IntN(testUptime-first)))
		return r
	}
	add := func(version, scheme, length, stamps int) {
		d := fixedHeader(version, count, scheme)
		for range count {
			r := record(length, stamps)
			if scheme == 5 || scheme >= 13 {
				copy(r[20:], []byte{10, r[21] | 1, 0, 0, 192, 168, r[26] | 1, 0, 16, 24})
			}
			if version == flow.NetFlow7 {
				r[36], r[46], r[47] = 0, 0, 0
			}
			d = append(d, r...)
		}
		list, names = append(list, d), append(names, strings.TrimSuffix(fmt.Sprintf("v%d.%d", version, scheme), ".0"))
	}
	add(flow.NetFlow1, 0, 48, 24)
	add(flow.NetFlow5, 0, 48, 24)
	add(flow.NetFlow7, 0, 52, 24)
	for scheme := 1; scheme < len(v8Lengths); scheme++ {
		add(flow.NetFlow8, scheme, v8Lengths[scheme], []int{6: 12, 7: 16, 8: 20, 14: 0}[scheme]+map[bool]int{true: 12}[scheme < 6 || scheme > 8])
	}
	return list, names
}

// tsharkRecords are the records of the datagrams as tshark dissects them, name
// by name.
func tsharkRecords(t *testing.T, datagrams [][]byte) (records [][]map[string]string) {
	t.Helper()
	if _, err := exec.LookPath("tshark"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("NOT TESTED: ", err)
	}
	path := filepath.Join(t.TempDir(), "netflow.pcap")
	writePcap(t, path, datagrams)
	out, err := exec.Command("tshark", "-r", path, "-d", "udp.port==2055,cflow", "-T", "json", "--no-duplicate-keys").Output()
	if err != nil {
		t.Fatal(err)
	}
	var packets []struct {
		Source struct {
			Layers struct {
				CFlow map[string]any `json:"cflow"`
			} `json:"layers"`
		} `json:"_source"`
	}
	if err := json.Unmarshal(out, &packets); err != nil {
		t.Fatal(err)
	}
	for _, p := range packets {
		var list []map[string]string
		for n := 1; ; n++ {
			pdu, ok := p.Source.Layers.CFlow[fmt.Sprintf("pdu %d/%v", n, p.Source.Layers.CFlow["cflow.count"])]
			if !ok {
				break
			}
			fields := map[string]string{}
			var flatten func(any)
			flatten = func(v any) {
				for name, v := range v.(map[string]any) {
					switch v := v.(type) {
					case string:
						fields[strings.TrimPrefix(name, "cflow.")] = v
					case map[string]any:
						flatten(v)
					}
				}
			}
			flatten(pdu)
			list = append(list, fields)
		}
		records = append(records, list)
	}
	return records
}

// writePcap writes datagrams as if they came by UDP to port 2055.
func writePcap(t *testing.T, path string, datagrams [][]byte) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := pcap.NewWriter(f, packet.Raw, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range datagrams {
		udp := join(u16(2055, 2055, 8+len(d), 0), d)
		ip := join(u16(0x4500, 20+len(udp), 0, 0), []byte{64, 17}, u16(0), []byte{192, 0, 2, 1, 192, 0, 2, 2}, udp)
		var sum uint32
		for i := 0; i < 20; i += 2 {
			sum += uint32(binary.BigEndian.Uint16(ip[i:]))
		}
		binary.BigEndian.PutUint16(ip[10:], ^uint16(sum+sum>>16))
		if err := w.Write(&pcap.Packet{Time: testExport * 1e9, Length: len(ip), Data: ip}); err != nil {
			t.Fatal(err)
		}
	}
}

// tsharkColumns are tshark's names of columns of ours.
var tsharkColumns = map[string]flow.Column{
	"srcaddr": flow.SrcAddr, "dstaddr": flow.DstAddr, "srcnet": flow.SrcAddr, "dstnet": flow.DstAddr, "nexthop": flow.NextHop,
	"inputint": flow.InIf, "outputint": flow.OutIf, "packets": flow.Packets, "octets": flow.Bytes, "flows": flow.AggregatedFlows,
	"srcport": flow.SrcPort, "dstport": flow.DstPort, "protocol": flow.Protocol, "tos": flow.TOS, "tcpflags": flow.TCPFlags,
	"srcas": flow.SrcAS, "dstas": flow.DstAS, "srcmask": flow.SrcMask, "dstmask": flow.DstMask, "routersc": flow.BypassedRouter,
}

// TestFixedByTshark compares every field of every version without templates
// and every scheme with what tshark says.
func TestFixedByTshark(t *testing.T) {
	const count = 3
	datagrams, names := fixedDatagrams(count, rand.New(rand.NewPCG(1, 2)))
	theirs := tsharkRecords(t, datagrams)
	for i, d := range datagrams {
		t.Run(names[i], func(t *testing.T) {
			b, m := flow.NewBatch(1), &Message{}
			if err := fresh().Decode(d, 1, b, m); err != nil || problems(m) != "" || b.Len() != count || m.Records != count {
				t.Fatal(err, problems(m), b.Len(), m.Records)
			}
			if len(theirs[i]) != count {
				t.Fatalf("tshark has %d records", len(theirs[i]))
			}
			for row, fields := range theirs[i] {
				compared := flow.Mask{}
				for name, value := range fields {
					c, ok := tsharkColumns[name]
					if !ok {
						continue
					}
					got := string(b.AppendText(nil, c, row))
					if flow.Schema[c].Kind != flow.Address {
						n, err := strconv.ParseUint(value, 0, 64)
						if err != nil {
							t.Fatal(name, err)
						}
						value, got = fmt.Sprint(n), fmt.Sprint(b.Uint(c, row))
					}
					// Cisco's document of the scheme AS-ToS has the interfaces
					// at byte 24 and the ToS at byte 28; tshark 4 the other way.
					if names[i] == "v8.9" && (c == flow.TOS || c == flow.InIf || c == flow.OutIf) {
						compared.Add(c)
						continue
					}
					if compared.Add(c); got != value || !b.Present[row].Has(c) {
						t.Errorf("row %d: %v is %s, tshark's %s", row, c, got, value)
					}
				}
				for _, c := range b.Present[row].Columns() {
					switch c {
					case flow.Received, flow.ExportProtocol, flow.ObservationDomain, flow.Start, flow.End, flow.ICMPType, flow.ICMPCode:
					default:
						if !compared.Has(c) {
							t.Errorf("row %d: tshark has no %v", row, c)
						}
					}
				}
				for name, got := range map[string]int64{"timestart": b.Time(flow.Start)[row], "timeend": b.Time(flow.End)[row]} {
					seconds, err := strconv.ParseFloat(fields[name], 64) // since boot
					want := testExport*1000 + 250 - testUptime + int64(seconds*1000+0.5)
					if err != nil || got != want {
						t.Errorf("row %d: %s is %d, tshark's %d (%v)", row, name, got, want, err)
					}
				}
			}
		})
	}
}

// Records of v1 with four more bytes are known by the datagram's length.
func TestLongRecordsOfV1(t *testing.T) {
	d := fixedHeader(1, 2, 0)
	for n := range 2 {
		r := make([]byte, 52)
		copy(r[16:], u32(n+1))
		d = append(d, r...)
	}
	b, m := decode(t, fresh(), d)
	if b.Len() != 2 || b.U64(flow.Packets)[1] != 2 || problems(m) != "" {
		t.Error(b.Len(), problems(m))
	}
}

func TestFixedHeaders(t *testing.T) {
	for _, c := range []struct {
		version, scheme int
		domain          uint32
		sequence, units uint32
		unknown         bool
	}{
		{1, 0, 0, 0, 2, true},
		{5, 0, 3<<8 | 4, 77, 2, false},
		{7, 0, 0, 77, 2, false},
		{8, 3, 3<<16 | 3<<8 | 4, 77, 2, false},
		{8, 200, 200<<16 | 3<<8 | 4, 77, 2, false},
	} {
		d := join(fixedHeader(c.version, 2, c.scheme), make([]byte, 104))
		b, m := flow.NewBatch(1), &Message{}
		if err := fresh().Decode(d, 1, b, m); err != nil {
			t.Fatal(err)
		}
		if m.Domain != c.domain || m.Sequence != c.sequence || m.Units != c.units || m.UnitsUnknown != c.unknown ||
			m.ExportTime != testExport*1000+250 || m.SysUptime != testUptime {
			t.Errorf("v%d: %+v", c.version, m)
		}
		if unknown := c.scheme == 200; (m.Problems[SchemeUnknown] == 1) != unknown || (b.Len() == 0) != unknown {
			t.Errorf("v%d.%d: %s, %d rows", c.version, c.scheme, problems(m), b.Len())
		}
	}
	// No fraction of a second.
	d := fixedHeader(flow.NetFlow1, 0, 0)
	copy(d[12:], u32(1<<32-1))
	if _, m := decode(t, fresh(), d); m.ExportTime != testExport*1000 {
		t.Error(m.ExportTime)
	}
}

// The header tells the rate in v5 and v8, below the bits of the mode; other
// versions have none there.
func TestHeaderSampling(t *testing.T) {
	for _, c := range []struct {
		name       string
		version    int
		at         int
		word, rate int
	}{
		{"v5", 5, 22, 100, 100},
		{"v5 as Junos writes it, with a mode", 5, 22, 1<<14 | 1000, 1000},
		{"v8", 8, 24, 1<<14 | 512, 512},
		{"v8 with garbage", 8, 26, 512, 0},
		{"v7", 7, 20, 512, 0},
	} {
		d := join(fixedHeader(c.version, 1, 1), make([]byte, 52))
		copy(d[c.at:], u16(c.word))
		b, _ := decode(t, fresh(), d)
		rate, source := b.U32(flow.SamplingRate)[0], b.U8(flow.SamplingSource)[0]
		if int(rate) != c.rate || b.Present[0].Has(flow.SamplingRate) != (c.rate > 0) || (source == flow.SamplingHeader) != (c.rate > 0) {
			t.Errorf("%s: rate %d, source %d", c.name, rate, source)
		}
	}
}

// A v7 record with flags has only the values that are there.
func TestInvalidFieldsOfV7(t *testing.T) {
	record := make([]byte, 52)
	copy(record[4:], []byte{192, 0, 2, 1})
	copy(record[16:], u32(2, 3))
	columns := func(flags ...byte) int {
		r := slices.Clone(record)
		copy(r[36:], flags[:1])
		copy(r[46:], flags[1:])
		b, _ := decode(t, fresh(), join(fixedHeader(7, 1, 0), r))
		if b.Addr(flow.DstAddr)[0].String() != "192.0.2.1" || b.U64(flow.Packets)[0] != 2 || !b.Present[0].Has(flow.TOS) {
			t.Error(string(b.AppendJSON(nil, 0)))
		}
		absent := 0
		for _, c := range maybeInvalid {
			if !b.Present[0].Has(c) {
				absent++
			}
		}
		return absent
	}
	if n := columns(0, 0, 0); n != 0 {
		t.Errorf("%d columns are absent though all flags are clear", n)
	}
	for _, flags := range [][]byte{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}} {
		if n := columns(flags...); n != len(maybeInvalid) {
			t.Errorf("%v: %d of %d columns are absent", flags, n, len(maybeInvalid))
		}
	}
}

// Either order of the masks is understood where the prefixes tell it.
func TestMasksOfV8(t *testing.T) {
	for _, scheme := range []int{5, 13, 14} {
		for _, c := range []struct{ src, dst, masks, want []byte }{
			{[]byte{10, 1, 0, 0}, []byte{192, 168, 7, 0}, []byte{16, 24}, []byte{16, 24}},
			{[]byte{10, 1, 0, 0}, []byte{192, 168, 7, 0}, []byte{24, 16}, []byte{16, 24}},
			{[]byte{10, 0, 0, 0}, []byte{192, 0, 0, 0}, []byte{24, 16}, []byte{24, 16}},   // both fit
			{[]byte{10, 1, 1, 1}, []byte{192, 168, 7, 0}, []byte{24, 16}, []byte{24, 16}}, // neither
			{[]byte{10, 1, 1, 1}, []byte{0, 0, 0, 0}, []byte{0, 32}, []byte{32, 0}},
			{[]byte{10, 0, 0, 0}, []byte{0, 0, 0, 0}, []byte{200, 8}, []byte{200, 8}}, // no mask
		} {
			r := join(make([]byte, 20), c.src, c.dst, c.masks, make([]byte, 10))
			b, _ := decode(t, fresh(), join(fixedHeader(8, 1, scheme), r))
			if got := []byte{b.U8(flow.SrcMask)[0], b.U8(flow.DstMask)[0]}; !bytes.Equal(got, c.want) {
				t.Errorf("scheme %d: %v %v %v: %v", scheme, c.src, c.dst, c.masks, got)
			}
		}
	}
}

// FuzzFixed decodes anything as the versions without templates.
func FuzzFixed(f *testing.F) {
	datagrams, _ := fixedDatagrams(2, rand.New(rand.NewPCG(1, 1)))
	for _, d := range datagrams {
		f.Add(d)
		f.Add(d[:len(d)-1])
	}
	for _, seed := range seeds() {
		if len(seed) > 1 && seed[0] == 0 && seed[1] == 5 {
			f.Add(seed)
		}
	}
	versions := []byte{flow.NetFlow1, flow.NetFlow5, flow.NetFlow7, flow.NetFlow8}
	f.Fuzz(func(t *testing.T, datagram []byte) {
		datagram = bytes.Clone(datagram)
		b, m := flow.NewBatch(1), &Message{}
		for _, version := range versions {
			if len(datagram) > 1 {
				datagram[0], datagram[1] = 0, version
			}
			s := fresh()
			check(t, s, datagram, b, m)
			if m.Flows > len(datagram)/28 {
				t.Fatal("more records than there is room for")
			}
			for row := m.First; row < m.First+m.Flows; row++ {
				if p := b.U8(flow.ExportProtocol)[row]; p != version {
					t.Fatalf("row %d is of version %d, not %d", row, p, version)
				}
			}
		}
	})
}

// fresh is a session that knows nothing.
func fresh() *Session { return NewSession(Config{}) }
