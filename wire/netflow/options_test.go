package netflow

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/internal/fixtures"
	"github.com/minamo-flow/minamo/wire/pcap"
)

// options decodes one record of options data in the given dialect.
func options(t *testing.T, version uint16, scopes int, fields []TemplateField, values ...[]byte) OptionRecord {
	t.Helper()
	for i := range fields {
		fields[i].Length = uint16(len(values[i]))
	}
	var datagram []byte
	data := set(300, append(values, make([]byte, 3))...)
	if version == flow.IPFIX {
		datagram = ipfixMessage(1, set(3, u16(300, len(fields), scopes), specifiers(fields)), data)
	} else {
		datagram = v9Datagram(1, set(1, u16(300, 4*scopes, 4*(len(fields)-scopes)), specifiers(fields)), data)
	}
	var m Message
	if err := NewSession(Config{}).Decode(datagram, 0, &flow.Batch{}, &m); err != nil || len(m.Options) != 1 {
		t.Fatal(err, m.Options)
	}
	return m.Options[0]
}

func ids(numbers ...uint16) (fields []TemplateField) {
	for _, id := range numbers {
		fields = append(fields, TemplateField{Element: id})
	}
	return fields
}

// padded is a text in a field that is longer.
func padded(text string, length int) []byte {
	return append([]byte(text), make([]byte, length-len(text))...)
}

// TestOptionViews reads the dialects that vendors document.
func TestOptionViews(t *testing.T) {
	const v9, ipfix = flow.NetFlow9, flow.IPFIX
	for _, c := range []struct {
		name   string
		record OptionRecord
		want   string
	}{
		{"Cisco IOS interface-table", options(t, v9, 1, ids(1, 10, 82, 83), u32(0), u32(7), padded("Gi0/1", 32), padded("uplink to Tokyo", 64)),
			"interface {7 Gi0/1 uplink to Tokyo}"},
		{"Cisco IOS-XR interface table", options(t, v9, 1, ids(2, 83), u32(70), padded("HundredGigE0/0/0/1", 64)),
			"interface {70  HundredGigE0/0/0/1}"},
		{"IPFIX interface table", options(t, ipfix, 1, ids(14, 82), u16(9), []byte("xe-0/0/0.0")),
			"interface {9 xe-0/0/0.0 }"},
		{"physical interface", options(t, ipfix, 1, ids(253, 82), u32(9), []byte("xe-0/0/0")),
			"interface {9 xe-0/0/0 }"},
		{"an empty name is none", options(t, v9, 1, ids(1, 10, 82), u32(0), u32(7), padded("", 32)), ""},
		{"a VLAN has no ifIndex", options(t, v9, 1, ids(1, 58, 82), u32(0), u16(7), padded("guests", 32)), ""},
		{"an ifIndex of eight bytes", options(t, ipfix, 1, ids(10, 82), u32(1, 7), []byte("x")), ""},
		{"Cisco vrf-table", options(t, v9, 1, ids(1, 234, 236), u32(0), u32(3), padded("customer-a", 32)),
			"vrf {3 customer-a }"},
		{"vrf-table of IPFIX with route distinguisher", options(t, ipfix, 1, ids(234, 236, 90), u32(3), []byte("customer-a"), append(u16(0, 64496), u32(100)...)),
			"vrf {3 customer-a 64496:100}"},
		{"egress", options(t, ipfix, 1, ids(235, 236, 90), u32(3), []byte("b"), []byte{0, 1, 192, 0, 2, 1, 0, 5}),
			"vrf {3 b 192.0.2.1:5}"},
		{"four-byte AS number", options(t, ipfix, 1, ids(235, 236, 90), u32(3), []byte("b"), append(u16(2), u16(1, 0, 5)...)),
			"vrf {3 b 65536:5}"},
		{"NBAR application-table", options(t, v9, 1, ids(1, 95, 96, 94), u32(0), []byte{13, 0, 0, 80}, padded("youtube", 24), padded("YouTube videos", 55)),
			"application {218103888 youtube YouTube videos   }"},
		{"application-attributes of IOS, v9", options(t, v9, 1, ids(1, 95, 45000, 45001, 45002), u32(0), []byte{13, 0, 0, 80}, padded("video", 32), padded("streaming", 32), padded("google-group", 32)),
			"application {218103888   video streaming google-group}"},
		{"application-attributes, IPFIX", options(t, ipfix, 1, []TemplateField{{0, 95, 0}, {9, 12232, 0}, {0, 373, 0}}, []byte{13, 0, 0, 80}, []byte("video"), []byte("streaming")),
			"application {218103888   video streaming }"},
		{"Fortinet", options(t, v9, 1, ids(1, 95, 96, 94, 372), u16(1), []byte{20, 0, 0, 0x30, 0x44, 0, 0, 0x3f, 0x9a}, padded("HTTPS.BROWSER", 64), padded("", 64), padded("Web.Client", 32)),
			"application {53068615925658 HTTPS.BROWSER  Web.Client  }"},
		{"Cisco IOS-XR sampler", options(t, v9, 1, ids(1, 48, 50, 49, 84), u32(0), u16(2), u32(1000), []byte{2}, padded("one-in-1000", 32)),
			"sampling {1 2 1000 one-in-1000 random}"},
		{"a sampler beside the interface it runs on", options(t, v9, 1, ids(2, 48, 50), u32(70), u16(2), u32(1000)),
			"sampling {1 2 1000  }"},
		{"interface scope", options(t, v9, 1, ids(2, 34, 35), u32(70), u32(100), []byte{1}),
			"sampling {2 70 100  deterministic}"},
		{"PSAMP count-based", options(t, ipfix, 1, ids(302, 304, 305, 306), u32(5), u16(1), u32(1), u32(99)),
			"sampling {1 5 100  count-based}"},
		{"PSAMP time-based", options(t, ipfix, 1, ids(302, 304, 307, 308), u32(5), u16(2), u32(10), u32(90)),
			"sampling {1 5 10  time-based}"},
		{"PSAMP random", options(t, ipfix, 1, ids(302, 304, 309, 310), u32(5), u16(3), u32(3), u32(3000)),
			"sampling {1 5 1000  n-out-of-N}"},
		{"PSAMP probabilistic", options(t, ipfix, 1, ids(302, 304, 311), u32(5), u16(4), binary.BigEndian.AppendUint64(nil, math.Float64bits(1./512))),
			"sampling {1 5 512  uniform probabilistic}"},
		{"a probability in half the bytes", options(t, ipfix, 1, ids(149, 311), u32(5), binary.BigEndian.AppendUint32(nil, math.Float32bits(1./512))),
			"sampling {0 0 512  }"},
		{"impossible probability", options(t, ipfix, 1, ids(149, 311), u32(5), binary.BigEndian.AppendUint32(nil, math.Float32bits(float32(math.NaN())))),
			"sampling {0 0 0  }"},
		{"interval of nothing", options(t, ipfix, 1, ids(149, 305, 306), u32(5), u32(0), u32(9)),
			"sampling {0 0 0  }"},
		{"Juniper MX", options(t, ipfix, 1, ids(144, 41, 42, 34, 36), u32(2), u32(0, 76), u32(0, 75), u32(1000), u16(60)),
			"sampling {0 0 1000  }, exportedMessageTotalCount(41)=76, exportedFlowRecordTotalCount(42)=75"},
		{"YAF", options(t, ipfix, 1, []TemplateField{{0, 144, 0}, {0, 167, 0}, {6871, 100, 0}, {6871, 105, 0}}, u32(2), u32(0, 5), u32(6), u32(7)),
			"notSentPacketTotalCount(167)=5, yafExpiredFragmentCount(6871/100)=6"},
		{"counters of scopes are none", options(t, v9, 2, ids(1, 2, 36), u32(9), u32(8), u16(60)), ""},
		{"a type record", options(t, ipfix, 2, ids(346, 303, 339, 344, 341), u32(64496), u16(7), []byte{13}, []byte{0}, []byte("mood")),
			"element mood(64496/7) string"},
	} {
		var got []string
		if v, ok := c.record.Interface(); ok {
			got = append(got, fmt.Sprint("interface ", v))
		}
		if v, ok := c.record.VRF(); ok {
			got = append(got, fmt.Sprint("vrf ", v))
		}
		if v, ok := c.record.Application(); ok {
			got = append(got, fmt.Sprint("application ", v))
		}
		if v, ok := c.record.Sampling(); ok {
			got = append(got, fmt.Sprint("sampling ", v))
		}
		for _, v := range c.record.Statistics() {
			got = append(got, fmt.Sprint(v.Information, "=", v.Value))
		}
		if v, ok := c.record.Information(); ok {
			got = append(got, fmt.Sprint("element ", v, " ", v.Type))
		}
		if got := strings.Join(got, ", "); got != c.want {
			t.Errorf("%s: %s\nwant %s", c.name, got, c.want)
		}
	}
}

func TestText(t *testing.T) {
	long := strings.Repeat("é", maxText)
	for in, want := range map[string]string{
		"":                       "",
		"\x00\x00":               "",
		"Gi0/1\x00\x00":          "Gi0/1",
		"Gi0/1\x00old rubbish":   "Gi0/1",
		"  padded by spaces   ":  "padded by spaces",
		"two\r\nlines\x1b[31m":   "twolines[31m",
		"caf\xe9, latin-1":       "caf, latin-1",
		"東京":                     "東京",
		"cut \xe6\x9d":           "cut",
		long:                     long[:maxText],
		"x" + long:               "x" + long[:maxText-2],
		strings.Repeat("x", 999): strings.Repeat("x", maxText),
	} {
		if got := (OptionField{Value: []byte(in)}).Text(); got != want || !utf8.ValidString(got) {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
}

// TestOptionsBesideTshark compares the views of every recorded options record
// with what tshark dissected.
func TestOptionsBesideTshark(t *testing.T) {
	compared := map[string]int{}
	for _, c := range fixtures.Cases(t, "nfv9", "ipfix") {
		oracle := c.Oracle(".tshark.json")
		if c.Pcap == "" || oracle == "" {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			theirs := tsharkOptions(t, oracle)
			if len(theirs) == 0 {
				return
			}
			_, ours := recorded(t, c.Pcap)
			if len(ours) != len(theirs) {
				t.Skipf("%d records, tshark has %d", len(ours), len(theirs)) // how many there are is not this test's matter
			}
			for i, record := range ours {
				for field, want := range theirs[i] {
					got, ok := view(record, field)
					if !ok {
						continue
					}
					compared[field]++
					if got != want {
						t.Errorf("record %d: %s is %q, tshark has %q", i, field, got, want)
					}
				}
			}
		})
	}
	t.Log("values compared:", compared)
	for _, field := range []string{"appl_name", "appl_desc", "appl_id", "application_category_name", "sampler_name", "sampler_id", "sampler_random_interval", "sampling_interval", "sampler_mode", "flowsexp", "packetsexp"} {
		if compared[field] == 0 {
			t.Errorf("no %s was compared", field)
		}
	}
}

// view is what our views say where tshark has the field; ok is false where
// they say nothing by intent.
func view(r OptionRecord, field string) (string, bool) {
	a, _ := r.Application()
	s, _ := r.Sampling()
	i, named := r.Interface()
	statistic := func(id uint16) (string, bool) {
		for _, s := range r.Statistics() {
			if s.Enterprise == 0 && s.ID == id {
				return strconv.FormatUint(s.Value, 10), true
			}
		}
		return "", true
	}
	algorithm := func(names []string) (string, bool) {
		for code, name := range names {
			if name == s.Algorithm {
				return strconv.Itoa(code), true
			}
		}
		return s.Algorithm, true
	}
	switch field {
	case "appl_id":
		return strconv.FormatUint(a.ID, 10), true
	case "appl_name":
		return a.Name, true
	case "appl_desc":
		return a.Description, true
	case "application_category_name":
		return a.Category, true
	case "sampler_name":
		return s.Name, true
	case "sampling_interval", "sampler_random_interval":
		return fmt.Sprint(s.Rate), true
	case "sampler_id", "selector_id":
		return strconv.FormatUint(s.ID, 10), s.Scope == SamplingOfSampler
	case "sampler_mode", "sampling_algorithm":
		return algorithm(samplerModes[:])
	case "selector_algorithm":
		return algorithm(selectorAlgorithms[:])
	case "if_name":
		return i.Name, named
	case "flowsexp":
		return statistic(42)
	case "packetsexp":
		return statistic(41)
	case "permanent_packets":
		return statistic(86)
	case "ignore_packets":
		return statistic(164)
	case "notsent_packets":
		return statistic(167)
	}
	return "", false
}

// recorded decodes a capture and returns the session after it, and the options
// records, whose values are copies.
func recorded(t *testing.T, file string) (s *Session, list []OptionRecord) {
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := pcap.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	datagrams := pcap.NewUDPReader(r)
	s = NewSession(Config{})
	for {
		var d pcap.Datagram
		if err := datagrams.Next(&d); errors.Is(err, io.EOF) {
			return s, list
		} else if err != nil {
			t.Fatal(err)
		}
		var m Message
		if s.Decode(append([]byte(nil), d.Payload...), 0, &flow.Batch{}, &m) == nil {
			list = append(list, m.Options...)
		}
	}
}

// tsharkOptions are the options records in tshark's dissection of a capture:
// each a map of the fields' names behind "cflow." to what is shown.
func tsharkOptions(t *testing.T, file string) (list []map[string]string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Packets []struct{ PDUs [][2]any }
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	template := regexp.MustCompile(`^Options Template \(Id = (\d+)\)`)
	dataSet := regexp.MustCompile(`^(?:Flow)?Set \d+ \[id=(\d+)\]`)
	known := map[string]bool{}
	var walk func(tree any)
	walk = func(tree any) {
		nodes, _ := tree.([]any)
		for _, n := range nodes {
			node, _ := n.([]any)
			if len(node) < 3 {
				continue
			}
			shown := fmt.Sprint(node[1])
			if m := template.FindStringSubmatch(shown); m != nil {
				known[m[1]] = true
			}
			if m := dataSet.FindStringSubmatch(shown); m != nil && known[m[1]] {
				for _, r := range node[2].([]any) {
					if record := r.([]any); len(record) > 2 && strings.HasPrefix(fmt.Sprint(record[1]), "Flow ") {
						list = append(list, tsharkRecord(record[2].([]any)))
					}
				}
			}
			walk(node[2])
		}
	}
	for _, p := range doc.Packets {
		for _, pdu := range p.PDUs {
			walk(pdu[1])
		}
	}
	return list
}

func tsharkRecord(fields []any) map[string]string {
	record := map[string]string{}
	for _, f := range fields {
		field := f.([]any)
		record[strings.TrimPrefix(fmt.Sprint(field[0]), "cflow.")] = strings.TrimSpace(fmt.Sprint(field[1]))
	}
	if engine, ok := record["appl_id.classification_engine_id"]; ok { // tshark shows the number in parts
		selector, _ := strconv.ParseUint(strings.ReplaceAll(record["appl_id.selector_id"], ":", ""), 16, 64)
		e, _ := strconv.ParseUint(engine, 10, 8)
		record["appl_id"] = strconv.FormatUint(e<<24|selector, 10)
	}
	return record
}

// FuzzOptions reads whatever a datagram may say in options data: nothing
// panics, texts are printable, and learning is bounded.
func FuzzOptions(f *testing.F) {
	every := []TemplateField{{0, 346, 4}, {0, 303, 2}, {0, 339, 1}, {0, 341, variable}, {0, 95, 9}, {0, 96, variable}, {0, 90, 8}, {0, 234, 4}, {0, 236, 8}, {0, 10, 4}, {0, 82, 8}, {0, 311, 8}, {0, 304, 2}}
	f.Add(ipfixMessage(1, set(3, u16(300, len(every), 2), specifiers(every)), set(300, records(every, 3))))
	f.Add(v9Datagram(1, set(1, u16(300, 4, 8), u16(2, 4, 82, 8, 34, 4)), set(300, make([]byte, 16))))
	f.Fuzz(func(t *testing.T, datagram []byte) {
		s := NewSession(Config{})
		var m Message
		s.Decode(datagram, 0, &flow.Batch{}, &m)
		texts := func(list ...string) {
			for _, text := range list {
				if len(text) > maxText || !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
					t.Errorf("text %q", text)
				}
			}
		}
		for _, r := range m.Options {
			if i, ok := r.Interface(); ok {
				texts(i.Name, i.Description)
			}
			if v, ok := r.VRF(); ok {
				texts(v.Name, v.RouteDistinguisher)
			}
			if a, ok := r.Application(); ok {
				texts(a.Name, a.Description, a.Category, a.SubCategory, a.Group)
			}
			if s, ok := r.Sampling(); ok {
				texts(s.Name, s.Algorithm)
				if !(s.Rate >= 0) {
					t.Errorf("rate %v", s.Rate)
				}
			}
			for _, v := range r.Statistics() {
				texts(v.String())
			}
			if e, ok := r.Information(); ok {
				texts(e.Name)
				s.Lookup(e.Enterprise, e.ID)
			}
		}
		for _, e := range s.Skipped() {
			texts(e.String())
		}
	})
}

// TestApplicationID holds the flows' column and the names' key together.
func TestApplicationID(t *testing.T) {
	for _, c := range []struct {
		id   []byte
		want string
	}{
		{[]byte{13, 0, 0, 80}, "218103888"},
		{[]byte{3, 80}, "848"},
		{[]byte{1, 2, 3, 4, 5, 6, 7, 8}, "72623859790382856"},
		{[]byte{20, 0, 0, 0x30, 0x44, 0, 0, 0x8f, 0x34}, "53068615946036"}, // Fortinet's: 12356 and 36660
		{[]byte{13, 0, 0, 0x30, 0x44, 0, 0, 0x8f, 0x34}, ""},
		{[]byte{}, ""},
	} {
		for _, length := range []int{len(c.id), variable} {
			if length == 0 {
				continue
			}
			data := c.id
			if length == variable {
				data = append([]byte{byte(len(c.id))}, c.id...)
			}
			var b flow.Batch
			var m Message
			fields := []TemplateField{{0, 4, 1}, {0, 95, uint16(length)}}
			NewSession(Config{}).Decode(ipfixMessage(1, templateSet(2, 256, fields), set(256, []byte{6}, data)), 0, &b, &m)
			if b.Len() != 1 {
				t.Fatalf("%x: %d rows", c.id, b.Len())
			}
			got := ""
			if id := b.Uint(flow.ApplicationID, 0); id != 0 {
				got = strconv.FormatUint(id, 10)
			}
			if got != c.want {
				t.Errorf("%x of length %d is %q, want %q", c.id, length, got, c.want)
			}
		}
	}
}
