package geo

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"

	"github.com/minamo-flow/minamo/flow"
)

// write makes a database of prefixes and what is said of them.
func write(t testing.TB, path, kind string, networks map[string]mmdbtype.Map) {
	t.Helper()
	tree, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: kind, BuildEpoch: 1_700_000_000, RecordSize: 24, IncludeReservedNetworks: true})
	if err != nil {
		t.Fatal(err)
	}
	for prefix, data := range networks {
		_, network, err := net.ParseCIDR(prefix)
		if err != nil {
			t.Fatal(err)
		}
		if err := tree.Insert(network, data); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	if _, err := tree.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

func inCountry(code string) mmdbtype.Map {
	return mmdbtype.Map{"country": mmdbtype.Map{"iso_code": mmdbtype.String(code)}}
}

func ofAS(asn uint32, name string) mmdbtype.Map {
	return mmdbtype.Map{"autonomous_system_number": mmdbtype.Uint32(asn), "autonomous_system_organization": mmdbtype.String(name)}
}

// lookup annotates a flow from src, whose exporter said as.
func lookup(d *Databases, src string, as uint64) string {
	b := flow.NewBatch(1)
	b.Extend(1)
	b.SetAddr(flow.SrcAddr, 0, flow.AddrFrom(netip.MustParseAddr(src)))
	if as != 0 {
		b.SetUint(flow.SrcAS, 0, as)
	}
	d.Annotate(b)
	return string(b.AppendJSON(nil, 0))
}

func TestPlaces(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a-country.mmdb"), "Test-Country", map[string]mmdbtype.Map{
		"192.0.2.0/24":    inCountry("JP"),
		"2001:db8::/32":   inCountry("DE"),
		"198.51.100.0/25": {"registered_country": mmdbtype.Map{"iso_code": mmdbtype.String("BR")}},
	})
	write(t, filepath.Join(dir, "b-asn.mmdb"), "Test-ASN", map[string]mmdbtype.Map{
		"192.0.2.0/25":  ofAS(64496, "Example Net"),
		"2001:db8::/33": ofAS(65550, "Sixth"),
	})
	// As IPinfo has it: flat, and the AS as text. The country of 192.0.2.0/24
	// is known already.
	write(t, filepath.Join(dir, "c-lite.mmdb"), "ipinfo lite", map[string]mmdbtype.Map{
		"192.0.2.0/24":   {"country_code": mmdbtype.String("FR"), "country": mmdbtype.String("France"), "asn": mmdbtype.String("AS64499"), "as_name": mmdbtype.String("Lite")},
		"203.0.113.0/24": {"country_code": mmdbtype.String("FR"), "country": mmdbtype.String("France"), "asn": mmdbtype.String("AS64499"), "as_name": mmdbtype.String("Lite")},
	})
	d := Open(Config{Dir: dir}, slog.New(slog.DiscardHandler))
	for _, c := range []struct {
		src  string
		as   uint64
		want string
	}{
		{"192.0.2.1", 0, `"src_as":64496,"src_country":"JP","src_as_source":"geo"`},
		{"192.0.2.1", 64510, `"src_as":64510,"src_country":"JP"}`}, // the exporter knew better
		{"192.0.2.200", 0, `"src_as":64499,"src_country":"JP","src_as_source":"geo"`},
		{"2001:db8::1", 0, `"src_as":65550,"src_country":"DE"`},
		{"2001:db8:8000::1", 0, `{"src_addr":"2001:db8:8000::1","src_country":"DE"}`},
		{"198.51.100.1", 0, `"src_country":"BR"}`},
		{"203.0.113.9", 0, `"src_as":64499,"src_country":"FR"`},
		{"198.51.100.200", 0, `{"src_addr":"198.51.100.200"}`},
	} {
		for range 2 { // from the database, and from the cache
			if got := lookup(d, c.src, c.as); !strings.Contains(got, c.want) {
				t.Errorf("%s: %s, expected %s", c.src, got, c.want)
			}
		}
	}
	for asn, want := range map[uint32]string{64496: "Example Net", 64499: "Lite", 1: ""} {
		if got := d.Names().ASName(asn); got != want {
			t.Errorf("AS%d: %q, expected %q", asn, got, want)
		}
	}
	status := d.Status()
	if len(status) != 3 || !status[0].Countries || status[0].ASes || !status[1].ASes || status[1].Type != "Test-ASN" || status[1].Built.Unix() != 1_700_000_000 {
		t.Errorf("%+v", status)
	}
}

// Files are replaced, damaged, mended and taken away while flows go on.
func TestFilesChange(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.mmdb")
	d := Open(Config{Dir: filepath.Join(dir, "none"), Files: []string{path}}, slog.New(slog.DiscardHandler))
	expect := func(what, country, problem string) {
		t.Helper()
		got := lookup(d, "192.0.2.1", 0)
		if country == "" && strings.Contains(got, "country") || !strings.Contains(got, country) {
			t.Errorf("%s: %s", what, got)
		}
		if s := d.Status(); len(s) != 1 || (s[0].Problem == "") != (problem == "") || !strings.Contains(s[0].Problem, problem) {
			t.Errorf("%s: %+v", what, s)
		}
	}
	expect("no file", "", "no such file")

	put := func(country string, age time.Duration) {
		write(t, path, "Test", map[string]mmdbtype.Map{"192.0.2.0/24": inCountry(country)})
		at := time.Now().Add(-age) // clocks of file systems are coarse
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
		d.reload()
	}
	var flows sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	for range 2 {
		flows.Go(func() {
			for ctx.Err() == nil {
				lookup(d, "192.0.2.1", 0)
			}
		})
	}
	put("JP", 3*time.Hour)
	expect("a new file", "JP", "")
	put("SE", 2*time.Hour)
	expect("a newer one", "SE", "")
	if err := os.WriteFile(path, []byte("nonsense"), 0o644); err != nil {
		t.Fatal(err)
	}
	d.reload()
	expect("a damaged one", "SE", "not a database")
	put("NO", time.Hour)
	expect("a mended one", "NO", "")
	write(t, path, "Test", map[string]mmdbtype.Map{"192.0.2.0/24": {"city": mmdbtype.String("Oslo")}})
	d.reload()
	expect("one of other things", "NO", "neither countries nor AS numbers")
	stop()
	flows.Wait()
}

func BenchmarkAnnotate(b *testing.B) {
	path := filepath.Join(b.TempDir(), "x.mmdb")
	networks := map[string]mmdbtype.Map{}
	for i := range 4096 {
		m := ofAS(uint32(64512+i%500), "Example")
		m["country"] = mmdbtype.Map{"iso_code": mmdbtype.String(string([]byte{'A' + byte(i%26), 'A' + byte(i/26%26)}))}
		networks[netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 4), byte(i << 4), 0}), 20).String()] = m
	}
	write(b, path, "Test", networks)
	d := Open(Config{Files: []string{path}}, slog.New(slog.DiscardHandler))
	const rows = 4096
	for name, hosts := range map[string]int{"few addresses": 1000, "each another address": 1 << 22} {
		b.Run(name, func(b *testing.B) {
			batch := flow.NewBatch(rows)
			batch.Extend(rows)
			n := 0
			b.ReportAllocs()
			for b.Loop() {
				for i := range rows {
					n++
					h := n % hosts
					batch.SetAddr(flow.SrcAddr, i, flow.AddrFrom4([4]byte{10, byte(h >> 16), byte(h >> 8), byte(h)}))
				}
				d.Annotate(batch)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/address")
		})
	}
}
