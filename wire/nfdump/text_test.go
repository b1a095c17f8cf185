package nfdump

import (
	"net/netip"
	"runtime"
	"strings"
	"testing"

	"github.com/minamo-flow/minamo/flow"
)

// old is the beginning of what nfdump 1.7.1 prints, as far as tests need it.
const old = "ts,te,td,sa,da,sp,dp,pr,flg,fwd,stos,ipkt,ibyt,opkt,obyt,in,out,ra\n"

var router = Config{Exporter: flow.AddrFrom(netip.MustParseAddr("192.0.2.9"))}

// rows are what a reader makes of a text, a JSON object a row.
func rows(t *testing.T, r *Reader) []string {
	t.Helper()
	b, err := readAll(r)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for i := range b.Len() {
		lines = append(lines, string(b.AppendJSON(nil, i)))
	}
	return lines
}

func TestCSV(t *testing.T) {
	const head = `"exporter":"192.0.2.1","export_protocol":"0","observation_domain":0,`
	for _, c := range []struct{ name, text, want string }{
		// Both directions are two rows, source and destination exchanged.
		{"both directions", old + "2026-11-22 10:00:00,2026-11-22 10:00:01,1.000,10.0.0.1,10.0.0.2,1000,443,TCP,...AP.SF,0,0,3,300,2,200,7,8,192.0.2.1\n",
			`{"received":"2026-11-22T10:00:01.000Z",` + head + `"start":"2026-11-22T10:00:00.000Z","end":"2026-11-22T10:00:01.000Z","packets":3,"bytes":300,"sampling_rate":1,"sampling_source":"assumed","src_addr":"10.0.0.1","dst_addr":"10.0.0.2","protocol":6,"src_port":1000,"dst_port":443,"tcp_flags":27,"in_if":7,"out_if":8,"tos":0,"biflow":"forward"}
{"received":"2026-11-22T10:00:01.000Z",` + head + `"start":"2026-11-22T10:00:00.000Z","end":"2026-11-22T10:00:01.000Z","packets":2,"bytes":200,"sampling_rate":1,"sampling_source":"assumed","src_addr":"10.0.0.2","dst_addr":"10.0.0.1","protocol":6,"src_port":443,"dst_port":1000,"in_if":8,"out_if":7,"biflow":"reverse"}`},
		// The seconds of both times and the duration leave only the last half second of the start.
		{"times", old + "2026-11-22 10:00:00,2026-11-22 10:00:02,1.500,10.0.0.1,10.0.0.2,1,2,UDP,........,0,0,1,1,0,0,0,0,192.0.2.1\n",
			`{"received":"2026-11-22T10:00:02.000Z",` + head + `"start":"2026-11-22T10:00:00.500Z","end":"2026-11-22T10:00:02.000Z","packets":1,"bytes":1,"sampling_rate":1,"sampling_source":"assumed","src_addr":"10.0.0.1","dst_addr":"10.0.0.2","protocol":17,"src_port":1,"dst_port":2,"tos":0}`},
		// nfdump prints such a duration where a flow ends before it begins.
		{"ends before it begins", old + "2026-11-22 10:00:00,1970-01-01 00:00:00,18446742604600520.000,10.0.0.1,10.0.0.2,0,2048,ICMP,........,0,0,1,1,0,0,0,0,192.0.2.1\n",
			`{"received":"2026-11-22T10:00:00.000Z",` + head + `"start":"2026-11-22T10:00:00.000Z","end":"2026-11-22T10:00:00.000Z","packets":1,"bytes":1,"sampling_rate":1,"sampling_source":"assumed","src_addr":"10.0.0.1","dst_addr":"10.0.0.2","protocol":1,"icmp_type":8,"icmp_code":0,"tos":0}`},
		// Versions from 1.7.3 on have other names, and milliseconds.
		{"new names", "firstSeen,duration,proto,srcAddr,srcPort,dstAddr,dstPort,packets,bytes,flows,routerIP\n2026-11-22 10:00:00.250,1.500,17,2001:db8::1,53,2001:db8::2,1024,4,400,3,192.0.2.1\n",
			`{"received":"2026-11-22T10:00:01.750Z",` + head + `"start":"2026-11-22T10:00:00.250Z","end":"2026-11-22T10:00:01.750Z","packets":4,"bytes":400,"aggregated_flows":3,"sampling_rate":1,"sampling_source":"assumed","src_addr":"2001:db8::1","dst_addr":"2001:db8::2","protocol":17,"src_port":53,"dst_port":1024}`},
		{"csv-fast", "cnt,af,firstSeen,lastSeen,proto,srcAddr,srcPort,dstAddr,dstPort,srcAS,dstAS,input,output,flags,srcTos,packets,bytes,routerIP\n1,2,1795000000123,1795000000323,6,10.0.0.1,1,10.0.0.2,2,64500,0,1,2,......S.,0,1,40,192.0.2.1\n",
			`{"received":"2026-11-18T11:06:40.323Z",` + head + `"start":"2026-11-18T11:06:40.123Z","end":"2026-11-18T11:06:40.323Z","packets":1,"bytes":40,"sampling_rate":1,"sampling_source":"assumed","src_addr":"10.0.0.1","dst_addr":"10.0.0.2","protocol":6,"src_port":1,"dst_port":2,"tcp_flags":2,"in_if":1,"out_if":2,"src_as":64500,"tos":0}`},
		{"a summary, and a second table", old + "2026-11-22 10:00:00,2026-11-22 10:00:00,0.000,10.0.0.1,10.0.0.2,0,0,GRE,........,0,0,3,300,0,0,0,0,192.0.2.1\nSummary\nflows,bytes,packets,avg_bps,avg_pps,avg_bpp\n1,300,3,0,0,100\n" + old + "No matching flows\nSummary\nflows,bytes,packets,avg_bps,avg_pps,avg_bpp\nNo matching flows\n",
			`{"received":"2026-11-22T10:00:00.000Z",` + head + `"start":"2026-11-22T10:00:00.000Z","end":"2026-11-22T10:00:00.000Z","packets":3,"bytes":300,"sampling_rate":1,"sampling_source":"assumed","src_addr":"10.0.0.1","dst_addr":"10.0.0.2","protocol":47,"tos":0}`},
	} {
		if got := strings.Join(rows(t, NewCSV(strings.NewReader(c.text), Config{})), "\n"); got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, got, c.want)
		}
	}
}

func TestJSON(t *testing.T) {
	// What nfdump 1.7.1 prints of a firewall's event, and what no column holds.
	const event = `[
{
	"type" : "EVENT",
	"sampled" : 1,
	"export_sysid" : 1,
	"first" : "2016-07-21T13:50:32.955",
	"last" : "1970-01-01T00:00:00.000",
	"received" : "2026-11-23T06:20:31.613",
	"in_packets" : 0,
	"in_bytes" : 81,
	"proto" : 6,
	"tcp_flags" : "........",
	"src_port" : 61775,
	"dst_port" : 80,
	"src_tos" : 0,
	"src4_addr" : "192.168.0.2",
	"dst4_addr" : "192.168.0.17",
	"src_mask" : 0,
	"src_net" : "",
	"ip4_router" : "127.0.0.2",
	"connect_id" : "742819709",
	"event_id" : "2",
	"event" : "DELETE",
	"xevent_id" : "2030",
	"t_event" : "2016-07-21T13:50:33.15",
	"src4_xlt_ip" : "192.168.0.2",
	"src_xlt_port" : "61775",
	"ingress_acl" : "0x3edcde49/0xaa62ac3/0x56e8512e",
	"egress_acl" : "0x0/0x0/0x0",
	"user_name" : "a \"quoted\" user",
	"label" : "<none>"
},
]
`
	const want = `{"received":"2026-11-23T06:20:31.613Z","exporter":"127.0.0.2","export_protocol":"0","observation_domain":0,"start":"2016-07-21T13:50:32.955Z","end":"2016-07-21T13:50:32.955Z","packets":0,"bytes":81,"sampling_rate":1,"sampling_source":"assumed","src_addr":"192.168.0.2","dst_addr":"192.168.0.17","protocol":6,"src_port":61775,"dst_port":80,"tcp_flags":0,"ingress_acl":"0x3edcde49/0xaa62ac3/0x56e8512e","tos":0,"src_user":"a \"quoted\" user","post_nat_src_addr":"192.168.0.2","post_nat_src_port":61775,"firewall_event":"deleted","firewall_ext_event":2030}`
	r := NewJSON(strings.NewReader(event), router)
	if got := strings.Join(rows(t, r), "\n"); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	stats := r.Stats()
	if stats.Mended != 1 || stats.Sampled != 1 || len(stats.Unheld) != 2 || stats.Unheld["connect_id"] != 1 || stats.Unheld["t_event"] != 1 {
		t.Errorf("%+v", stats)
	}
	if got := rows(t, NewJSON(strings.NewReader("[\nNo matching flows\n]\n"), router)); got != nil {
		t.Errorf("rows %v of nothing", got)
	}
}

// TestErrors demands that what is not understood is refused, with its place.
func TestErrors(t *testing.T) {
	const line = "2026-11-22 10:00:00,2026-11-22 10:00:00,0.000,10.0.0.1,10.0.0.2,1,2,UDP,........,0,0,3,300,0,0,0,0,192.0.2.1\n"
	const object = `{"first":"2026-11-22T10:00:00.000","last":"2026-11-22T10:00:00.000","in_packets":1,"in_bytes":2,"proto":17,"src4_addr":"10.0.0.1","dst4_addr":"10.0.0.2","ip4_router":"192.0.2.1"`
	for _, c := range []struct{ csv, json, want string }{
		{csv: strings.Replace(old, ",fwd,", ",colour,", 1) + line, want: `line 1: column "colour" is not known`},
		{csv: strings.Replace(old, ",fwd,", ",ts,", 1) + line, want: "line 1: column ts is there twice"},
		{csv: strings.Replace(old, ",ibyt,", ",osmc,", 1) + line, want: "line 1: no column has their bytes"},
		{csv: line, want: "line 1: a line of values before the header"},
		{csv: "hello\n", want: `line 1: "hello" is neither`},
		{csv: old + "1,2,3\n", want: "line 2: 3 values where the header names 18"},
		{csv: old + strings.Replace(line, "300", "3.5 M", 1), want: `line 2: field ibyt: "3.5 M" is no whole number`},
		{csv: old + strings.Replace(line, "300", "18446744073709551616", 1), want: "too great"},
		{csv: old + strings.Replace(line, ",1,2,", ",65536,2,", 1), want: "line 2: field sp: 65536 is too great"},
		{csv: old + strings.Replace(line, "UDP", "QUIC", 1), want: `field pr: "QUIC" is no protocol`},
		{csv: old + strings.Replace(line, "10.0.0.2", "10.0..0.2", 1), want: `field da: "10.0..0.2" is no address`},
		{csv: old + strings.Replace(line, "2026-11-22", "2026-13-22", 1), want: `field ts: "2026-13-22 10:00:00" is no time`},
		{csv: old + strings.Replace(line, "........", "...X....", 1), want: "field flg:"},
		{csv: old + strings.Replace(line, "192.0.2.1", "0.0.0.0", 1), want: "line 2: the flow does not name the router it came from: name it with --exporter"},
		{csv: old + line[:len(line)-9], want: "line 2: it ends within this line"},
		{csv: old + line + "Summary\nflows,bytes,packets\n2,600,6\n", want: "line 5: nfdump's summary has 2 flows, 6 packets, 600 bytes, but its lines add up to 1, 3, 300"},
		{csv: old + strings.Repeat("1", maxRecord+1) + "\n", want: "line 2: longer than"},
		{json: object + `,"colour":1}`, want: `record 1: field "colour" is not known`},
		{json: object + `,"proto":{}}`, want: "nfdump's objects are flat"},
		{json: object + "}\n" + object, want: "record 2: unexpected EOF"},
		{json: object + "}\n[1]", want: `record 2: expected an object, found '1'`},
		{json: `{"in_packets":1}`, want: "record 1: the flow has no addresses"},
		{json: strings.Replace(object, `"proto":17,`, "", 1) + "}", want: "record 1: the flow has no protocol"},
		{json: object + `,"label":"` + strings.Repeat("x", maxRecord) + `"}`, want: "record 1: field label: longer than"},
	} {
		r := NewCSV(strings.NewReader(c.csv), Config{})
		if c.json != "" {
			r = NewJSON(strings.NewReader(c.json), Config{})
		}
		if _, err := readAll(r); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v\nwant %s", err, c.want)
		}
	}
}

func TestIgnore(t *testing.T) {
	text := strings.Replace(old, ",fwd,", ",colour,", 1) + "2026-11-22 10:00:00,2026-11-22 10:00:00,0.000,10.0.0.1,10.0.0.2,1,2,UDP,........,blue,0,3,300,0,0,0,0,192.0.2.1\n"
	if got := rows(t, NewCSV(strings.NewReader(text), Config{Ignore: []string{"colour"}})); len(got) != 1 {
		t.Errorf("%v", got)
	}
}

// FuzzCSV and FuzzJSON demand that no input panics, or makes rows that lack
// what every flow has.
func FuzzCSV(f *testing.F) {
	f.Add(old + "2026-11-22 10:00:00,2026-11-22 10:00:01,1.000,10.0.0.1,10.0.0.2,1000,443,TCP,...AP.SF,0,0,3,300,2,200,7,8,192.0.2.1\nSummary\nflows,bytes,packets\n1,500,5\n")
	f.Add("firstSeen,duration,proto,srcAddr,srcPort,dstAddr,dstPort,packets,bytes,flows\n2026-11-22 10:00:00.250,1.500,17,2001:db8::1,53,2001:db8::2,1024,4,400,3\n")
	f.Add("ts,td,sa,da,pr,ipkt,ibyt,mpls1,ismc,eng,dir,nselUser\n1795000000.123,0.000,::,fe80::1,1,1,1,16-0-1,00:00:5e:00:53:01,1/2,E,\"a,\"\"b\"\n")
	f.Fuzz(func(t *testing.T, text string) { fuzzed(t, NewCSV(strings.NewReader(text), router)) })
}

func FuzzJSON(f *testing.F) {
	f.Add(`[{"first":"2026-11-22T10:00:00.000","last":"2026-11-22T10:00:00.000","in_packets":1,"in_bytes":2,"out_bytes":5,"proto":17,"src4_addr":"10.0.0.1","dst4_addr":"10.0.0.2","ip4_router":"192.0.2.1","mpls_1":"16-0-1","user_name":"\u00e9\\","x":null}]`)
	f.Fuzz(func(t *testing.T, text string) { fuzzed(t, NewJSON(strings.NewReader(text), router)) })
}

func fuzzed(t *testing.T, r *Reader) {
	b, _ := readAll(r)
	for i := range b.Len() {
		for c := range flow.Required.All() {
			if !b.Present[i].Has(c) {
				t.Fatalf("row %d lacks %s", i, c)
			}
		}
		if b.Time(flow.End)[i] < b.Time(flow.Start)[i] {
			t.Fatalf("row %d ends before it begins", i)
		}
	}
	if int64(b.Len()) != r.Stats().Rows {
		t.Fatalf("%d rows, %+v", b.Len(), r.Stats())
	}
}

// TestBounded reads an endless line, and an endless object.
func TestBounded(t *testing.T) {
	for _, r := range []*Reader{
		NewCSV(&endless{text: "x"}, Config{}), NewJSON(&endless{head: `{"a":"`, text: "x"}, Config{}), NewJSON(&endless{head: "{", text: `"proto":1,`}, Config{}),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := readAll(r); err == nil {
			t.Error("no error")
		}
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > 4<<20 {
			t.Errorf("took %d bytes", took)
		}
	}
}

// endless is a reader of a text again and again.
type endless struct{ head, text string }

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.head)
	e.head = e.head[n:]
	for n+len(e.text) <= len(p) {
		n += copy(p[n:], e.text)
	}
	return n, nil
}
