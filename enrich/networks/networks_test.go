package networks

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/minamo-flow/minamo/flow"
)

func prefixes(texts ...string) (list []netip.Prefix) {
	for _, text := range texts {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}

func open(t *testing.T, path string) *List {
	t.Helper()
	l, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func numbers(l *List) map[string]uint32 {
	m := map[string]uint32{}
	for _, n := range l.All() {
		name := n.Name
		if n.Retired {
			name += " (retired)"
		}
		m[name] = n.Number
	}
	return m
}

func TestNumbersAreForEver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "networks.json")
	l := open(t, path)
	steps := []struct {
		what string
		list []Network
		want map[string]uint32
	}{
		{"two new ones", []Network{
			{Name: "office", Prefixes: prefixes("10.0.0.0/8")},
			{Name: "lab", Prefixes: prefixes("2001:db8::/32")},
		}, map[string]uint32{"office": 1, "lab": 2}},
		{"renamed by number", []Network{
			{Number: 1, Name: "head office", Prefixes: prefixes("10.0.0.0/8")},
			{Name: "lab", Prefixes: prefixes("2001:db8::/32")},
		}, map[string]uint32{"head office": 1, "lab": 2}},
		{"one removed, one new", []Network{
			{Name: "lab", Prefixes: prefixes("2001:db8::/32")},
			{Name: "depot", Prefixes: prefixes("10.0.0.0/8")},
		}, map[string]uint32{"head office (retired)": 1, "lab": 2, "depot": 3}},
		{"the removed one comes back", []Network{
			{Name: "head office", Prefixes: prefixes("10.0.0.0/8")},
		}, map[string]uint32{"head office": 1, "lab (retired)": 2, "depot (retired)": 3}},
		{"a name that another one had, beside that one", []Network{
			{Number: 1, Name: "lab", Prefixes: prefixes("10.0.0.0/8")},
			{Number: 2, Name: "old lab", Prefixes: prefixes("10.1.0.0/16")},
			{Name: "new", Prefixes: prefixes("10.2.0.0/16")},
		}, map[string]uint32{"lab": 1, "old lab": 2, "depot (retired)": 3, "new": 4}},
	}
	for _, s := range steps {
		if err := l.Replace(s.list); err != nil {
			t.Fatalf("%s: %v", s.what, err)
		}
		if got := numbers(l); !reflect.DeepEqual(got, s.want) {
			t.Fatalf("%s: %v, expected %v", s.what, got, s.want)
		}
		if got := numbers(open(t, path)); !reflect.DeepEqual(got, s.want) {
			t.Fatalf("%s, after a restart: %v, expected %v", s.what, got, s.want)
		}
	}
}

func TestWrongLists(t *testing.T) {
	for _, c := range []struct {
		list []Network
		want string
	}{
		{[]Network{{Prefixes: prefixes("10.0.0.0/8")}}, "no name"},
		{[]Network{{Name: "a"}}, "no prefix"},
		{[]Network{{Name: "a", Prefixes: []netip.Prefix{{}}}}, "a prefix is missing"},
		{[]Network{{Name: "a", Prefixes: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/8")}}}, "expected 10.0.0.0/8"},
		{[]Network{{Name: "a", Prefixes: prefixes("::ffff:10.0.0.0/104")}}, "write IPv4 as IPv4"},
		{[]Network{{Name: "a", Prefixes: prefixes("10.0.0.0/8", "10.0.0.0/8")}}, "given twice"},
		{[]Network{{Name: "a", Prefixes: prefixes("10.0.0.0/8")}, {Name: "a", Prefixes: prefixes("11.0.0.0/8")}}, "named twice"},
		{[]Network{{Name: "a", Prefixes: prefixes("10.0.0.0/8")}, {Name: "b", Prefixes: prefixes("10.0.0.0/8")}}, `of network "a" and of "b"`},
		{[]Network{{Name: "a", Number: 7, Prefixes: prefixes("10.0.0.0/8")}}, "none with number 7"},
		{[]Network{{Name: strings.Repeat("a", 81), Prefixes: prefixes("10.0.0.0/8")}}, "at most 80"},
		{[]Network{{Name: "a", Site: "x\ny", Prefixes: prefixes("10.0.0.0/8")}}, "its site"},
	} {
		l := open(t, filepath.Join(t.TempDir(), "networks.json"))
		if err := l.Replace(c.list); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, expected %q", c.list, err, c.want)
		}
		if len(l.All()) != 0 {
			t.Errorf("%+v: a wrong list has been taken", c.list)
		}
	}
}

func TestDamagedFileIsSaid(t *testing.T) {
	for text, want := range map[string]string{"{": "unexpected end", `{"version": 9}`: "version 9"} {
		path := filepath.Join(t.TempDir(), "networks.json")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%q: %v, expected %q", text, err, want)
		}
	}
}

func TestCSV(t *testing.T) {
	list, err := ReadCSV(strings.NewReader("\ufeffName, Prefix,site\nlab,10.0.0.0/8,Tokyo\nlab,2001:db8::/32,Tokyo\n\"a, b\",192.0.2.1,\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []Network{
		{Name: "lab", Site: "Tokyo", Prefixes: prefixes("10.0.0.0/8", "2001:db8::/32")},
		{Name: "a, b", Prefixes: prefixes("192.0.2.1/32")},
	}
	if !reflect.DeepEqual(list, want) {
		t.Fatalf("%+v, expected %+v", list, want)
	}
	var b bytes.Buffer
	if err := WriteCSV(&b, list); err != nil {
		t.Fatal(err)
	}
	if again, err := ReadCSV(&b); err != nil || !reflect.DeepEqual(again, want) {
		t.Errorf("written and read again: %+v, %v", again, err)
	}

	for text, want := range map[string]string{
		"":                                    "line 1",
		"prefix,who\n":                        `line 1: column "who"`,
		"prefix,prefix,name\n":                `line 1: column "prefix"`,
		"name\n":                              `line 1: column "prefix" is missing`,
		"prefix,name\n10.0.0.0/8,a\n10/8,b\n": `line 3: prefix "10/8"`,
		"prefix,name\n10.0.0.1/8,a\n":         "line 2: network \"a\": prefix 10.0.0.1/8 has bits",
		"prefix,name\n10.0.0.0/8\n":           "line 2",
		"prefix,name\n10.0.0.0/8,\n":          "line 2: a network has no name",
		"prefix,name,site\n10.0.0.0/8,a,Tokyo\n11.0.0.0/8,a,Osaka\n": "line 3: network \"a\" has another",
		"prefix,name\n10.0.0.0/8,\"a\n":                              "line 2",
	} {
		if _, err := ReadCSV(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, expected %q", text, err, want)
		}
	}
}

func FuzzReadCSV(f *testing.F) {
	f.Add("prefix,name,customer,site\n10.0.0.0/8,a,b,c\n")
	f.Add("name,prefix\n\"a\",2001:db8::/32\n")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := ReadCSV(strings.NewReader(text))
		if err != nil {
			return
		}
		var b bytes.Buffer
		if err := WriteCSV(&b, list); err != nil {
			t.Fatal(err)
		}
		if again, err := ReadCSV(&b); err != nil || !reflect.DeepEqual(again, list) {
			t.Fatalf("%+v was written and read again as %+v, %v", list, again, err)
		}
	})
}

// The longest prefix counts: compared with a search through all of them.
func TestLongestPrefixCounts(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	address := func() netip.Addr {
		if random.IntN(2) == 0 {
			return netip.AddrFrom4([4]byte{10, byte(random.IntN(4)), byte(random.IntN(4)), byte(random.IntN(8))})
		}
		return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 4: byte(random.IntN(4)), 15: byte(random.IntN(8))})
	}
	taken := map[netip.Prefix]bool{}
	var list []Network
	for i := range 200 {
		a := address()
		p, _ := a.Prefix(random.IntN(a.BitLen() + 1))
		if !taken[p] {
			taken[p] = true
			list = append(list, Network{Name: string(rune('a'+i%26)) + string(rune('a'+i/26)), Prefixes: []netip.Prefix{p}})
		}
	}
	l := open(t, filepath.Join(t.TempDir(), "networks.json"))
	if err := l.Replace(list); err != nil {
		t.Fatal(err)
	}
	list = l.All()

	const rows = 2000
	b := flow.NewBatch(rows)
	b.Extend(rows)
	for i := range rows {
		if i%10 != 0 { // without addresses now and then
			b.SetAddr(flow.SrcAddr, i, flow.AddrFrom(address()))
			b.SetAddr(flow.DstAddr, i, flow.AddrFrom(address()))
		}
	}
	l.Annotate(b)
	for i := range rows {
		for _, side := range [][2]flow.Column{{flow.SrcAddr, flow.SrcNetwork}, {flow.DstAddr, flow.DstNetwork}} {
			var want uint32
			longest := -1
			for _, n := range list {
				p := n.Prefixes[0]
				if b.Present[i].Has(side[0]) && p.Contains(b.Addr(side[0])[i].Netip()) && p.Bits() > longest {
					want, longest = n.Number, p.Bits()
				}
			}
			if got := b.U32(side[1])[i]; got != want || b.Present[i].Has(side[1]) != (longest >= 0) {
				t.Fatalf("row %d: %s is %d, expected %d", i, side[1], got, want)
			}
		}
	}
}

func BenchmarkAnnotate(b *testing.B) {
	var list []Network
	for i := range 10_000 {
		list = append(list, Network{Name: netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i)}).String(), Prefixes: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i)}), 24)}})
	}
	l, err := Open(filepath.Join(b.TempDir(), "networks.json"))
	if err != nil {
		b.Fatal(err)
	}
	if err := l.Replace(list); err != nil {
		b.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	const rows = 4096
	batch := flow.NewBatch(rows)
	batch.Extend(rows)
	for i := range rows {
		batch.SetAddr(flow.SrcAddr, i, flow.AddrFrom4([4]byte{10, byte(random.IntN(64)), byte(random.IntN(256)), 1}))
		batch.SetAddr(flow.DstAddr, i, flow.AddrFrom4([4]byte{198, 18, byte(random.IntN(256)), 1}))
	}
	b.ReportAllocs()
	for b.Loop() {
		l.Annotate(batch)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/flow")
}
