package sflow

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
	"strings"
	"testing"

	"github.com/minamo-flow/minamo/flow"
)

// leaf is a value that tshark shows, by its field's name.
type leaf struct{ name, value string }

// tshark shows the sFlow layer of datagrams, as leaves in their order.
func tshark(t *testing.T, datagrams [][]byte) (layers [][]leaf) {
	t.Helper()
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Skip("TSHARK IS NOT INSTALLED")
	}
	const linkIPv4 = 228
	file := binary.LittleEndian.AppendUint32(nil, 0xa1b2c3d4)
	file = append(file, 2, 0, 4, 0)
	for _, v := range []uint32{0, 0, 1 << 16, linkIPv4} {
		file = binary.LittleEndian.AppendUint32(file, v)
	}
	for _, d := range datagrams {
		udp := binary.BigEndian.AppendUint16([]byte{0x18, 0xc7, 0x18, 0xc7}, uint16(8+len(d)))
		ip := binary.BigEndian.AppendUint16([]byte{0x45, 0}, uint16(28+len(d)))
		p := join(ip, []byte{0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 9, 192, 0, 2, 1}, udp, []byte{0, 0}, d)
		for _, v := range []uint32{1, 0, uint32(len(p)), uint32(len(p))} {
			file = binary.LittleEndian.AppendUint32(file, v)
		}
		file = append(file, p...)
	}
	path := filepath.Join(t.TempDir(), "sflow.pcap")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	var complaint bytes.Buffer
	cmd := exec.Command("tshark", "-r", path, "-d", "udp.port==6343,sflow", "-T", "json", "-o", "tcp.desegment_tcp_streams:FALSE")
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tshark: %v: %s", err, &complaint)
	}
	j := json.NewDecoder(bytes.NewReader(out))
	walk(t, j, "", false, func(key, value string) {
		if key == "frame.number" {
			layers = append(layers, nil)
		} else {
			layers[len(layers)-1] = append(layers[len(layers)-1], leaf{key, value})
		}
	})
	if len(layers) != len(datagrams) {
		t.Fatalf("tshark shows %d packets of %d", len(layers), len(datagrams))
	}
	return layers
}

// walk gives the values within the sFlow layer and tshark's complaints. It goes
// by tokens, since keys come more than once.
func walk(t *testing.T, j *json.Decoder, key string, inside bool, give func(key, value string)) {
	token, err := j.Token()
	if err != nil {
		t.Fatal(err)
	}
	switch token {
	case json.Delim('{'):
		for j.More() {
			k, _ := j.Token()
			walk(t, j, k.(string), inside || k == "sflow", give)
		}
	case json.Delim('['):
		for j.More() {
			walk(t, j, "", inside, give)
		}
	default:
		if inside || key == "frame.number" || strings.HasPrefix(key, "_ws.") {
			give(key, fmt.Sprint(token))
		}
		return
	}
	j.Token() // the end
}

// TestTsharkAgreesOnCounters checks the width of each number of the formats
// that tshark knows.
func TestTsharkAgreesOnCounters(t *testing.T) {
	var datagrams [][]byte
	var want []string
	v := uint64(1001)
	for _, l := range counterLayouts {
		if l.format <= vlanCounters || l.format == wifiCounters || l.format == processorCounters || l.format == radioCounters {
			datagrams = append(datagrams, datagram(opaque(counterSample, u32(8, 4, 1), counterRecord(l.format, l.widths, v))))
			var values []string
			for k, width := range l.widths {
				x := v + uint64(k)
				if width == '8' {
					x |= x << 32
				}
				if l.format == ifCounters && k == 4 {
					continue // the status, which tshark shows by its bits
				}
				values = append(values, fmt.Sprint(x))
			}
			want = append(want, strings.Join(values, " "))
		}
		v += uint64(len(l.widths))
	}
	for n, leaves := range tshark(t, datagrams) {
		var got []string
		from := slices.IndexFunc(leaves, func(l leaf) bool {
			return l.name == "sflow_5.flow_data_length" || strings.HasSuffix(l.name, "flow_data_length")
		})
		for _, l := range leaves[from+1:] {
			if !strings.HasSuffix(l.name, "_status") {
				got = append(got, l.value)
			}
		}
		if got := strings.Join(got, " "); got != want[n] {
			t.Errorf("\ntshark %s\nwe     %s\n%v", got, want[n], leaves)
		}
	}
}

// tsharkNames are tshark's names of what becomes a column. Where a name
// comes more than once, its last value is meant.
var tsharkNames = map[string]flow.Column{
	"sflow.flow_sample.sampling_rate":   flow.SamplingRate,
	"sflow.flow_sample.input_interface": flow.InIf,
	"sflow_245.vlan.in":                 flow.SrcVLAN, "sflow_245.vlan.out": flow.DstVLAN,
	"sflow_245.nexthop": flow.NextHop, "sflow_245.nexthop.src_mask": flow.SrcMask, "sflow_245.nexthop.dst_mask": flow.DstMask,
	"sflow_245.nexthop.v6": flow.BGPNextHop,
	"sflow_245.srcAS":      flow.SrcAS, "sflow_245.peerAS": flow.PrevAS,
	"sflow_5.extended_user.source_user": flow.SrcUser, "sflow_5.extended_user.destination_user": flow.DstUser,
	"sflow_245.ipv4_src": flow.PostNATSrcAddr, "sflow_245.ipv4_dst": flow.PostNATDstAddr,
	"eth.src": flow.SrcMAC, "eth.dst": flow.DstMAC,
	"ip.src": flow.SrcAddr, "ip.dst": flow.DstAddr, "ip.proto": flow.Protocol, "ip.ttl": flow.TTL, "ip.len": flow.Bytes,
	"tcp.srcport": flow.SrcPort, "tcp.dstport": flow.DstPort,
}

// TestTsharkAgreesOnRecords compares columns by their names, in versions 4 and 5.
func TestTsharkAgreesOnRecords(t *testing.T) {
	router := join(addr("192.0.2.254"), u32(24, 16))
	gateway := u32(64500, 64501, 64502, 2, 2, 2, 64503, 64504, 1, 2, 64505, 64506, 2, 0xfde80001, 0xfde80002, 100)
	datagrams := [][]byte{
		datagram(sample(raw(1, 1522, 4, frame), opaque(extendedSwitch, u32(100, 1, 200, 2)), opaque(extendedRouter, router),
			opaque(extendedGateway, addr("2001:db8::9"), gateway), opaque(extendedUser, u32(106), str("alice"), u32(106), str("bob")),
			opaque(extendedNAT, addr("203.0.113.1"), addr("203.0.113.2")))),
		oldDatagram(4, oldSample(3, 4, oldHeader(1, 1522, frame), u32(1, 100, 1, 200, 2), join(u32(2), router), join(u32(3), gateway))),
	}
	compared := 0
	for n, leaves := range tshark(t, datagrams) {
		var m Message
		b := flow.NewBatch(1)
		if err := Decode(datagrams[n], 1000, b, &m); err != nil {
			t.Fatal(err)
		}
		last := map[string]string{}
		var ases []string
		for _, l := range leaves {
			last[l.name] = l.value
			if l.name == "sflow_245.dstAS" {
				ases = append(ases, l.value)
			}
		}
		for name, value := range last {
			if c, ok := tsharkNames[name]; ok {
				compared++
				if got := string(b.AppendText(nil, c, 0)); !b.Present[0].Has(c) || got != value {
					t.Errorf("datagram %d, %s: we say %s, tshark %s", n, name, got, value)
				}
			}
		}
		// tshark calls communities ASes, too.
		want := fmt.Sprintf("%s %s {%s %s} %s", ases[0], ases[1], ases[2], ases[3], fmt.Sprint(ases[4:]))
		if got := fmt.Sprintf("%s [%d %d]", b.Text(flow.ASPath, 0), 0xfde80001, 0xfde80002); got != want {
			t.Errorf("datagram %d: we say %s, tshark %s", n, got, want)
		}
	}
	if compared < 35 {
		t.Errorf("only %d values were compared", compared)
	}
}

// TestTsharkReadsTheEncoder checks that tshark finds nothing to complain of
// in what the encoder writes, and as many samples.
func TestTsharkReadsTheEncoder(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	var samples written
	for len(samples) < 400 {
		s := randomSample(r)
		if c, ok := s.(named); ok {
			c.name = "" // tshark does not know port names, and stumbles
			s = c
		} else if f := s.(*FlowSample); len(f.Packet.Header) < len(frame) {
			f.Packet.Header = frame // tshark finds IP without bytes "bogus"
		}
		samples = append(samples, s)
	}
	e := Encoder{Agent: flow.AddrFrom4([4]byte{192, 0, 2, 9})}
	datagrams, err := write(&e, 5000, samples)
	if err != nil {
		t.Fatal(err)
	}
	cut := datagrams[0][:len(datagrams[0])-10] // to see that tshark does complain
	found := 0
	for n, leaves := range tshark(t, append(datagrams, cut)) {
		complaint := ""
		for _, l := range leaves {
			switch {
			case strings.HasSuffix(l.name, "expert.message"):
				complaint = l.value
			case l.name == "sflow_245.sampletype" && n < len(datagrams):
				found++
			}
		}
		if (complaint != "") != (n == len(datagrams)) {
			t.Errorf("datagram %d of %d: tshark says %q", n, len(datagrams), complaint)
		}
	}
	if found != len(samples) {
		t.Errorf("tshark finds %d samples of %d", found, len(samples))
	}
}
