package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/store"
)

var update = flag.Bool("update", false, "write the golden files anew")

// flowsData stores a few flows, sampled 1 in 10 from the second exporter on.
func flowsData(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	s, err := store.Open(store.Config{Dir: dir}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	base := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC).UnixMilli()
	b := flow.NewBatch(8)
	for _, f := range []struct {
		exporter, src, dst string
		protocol           uint64
		ports              []uint64 // or ICMP type and code
		flags              uint64
		start, duration    int64
		packets, bytes     uint64
		rate               uint64
	}{
		{"192.0.2.1", "10.0.0.1", "198.51.100.7", 6, []uint64{50000, 443}, 0x1b, 0, 30_000, 100, 120_000, 1},
		{"192.0.2.1", "10.0.0.2", "198.51.100.7", 6, []uint64{50001, 443}, 0x02, 1_500, 0, 1, 60, 1},
		{"192.0.2.1", "10.0.0.1", "10.0.0.2", 17, []uint64{40000, 53}, 0, 10_000, 250, 2, 180, 1},
		{"192.0.2.2", "10.0.1.1", "10.0.0.1", 1, []uint64{8, 0}, 0, 20_000, 4_000, 5, 420, 10},
		{"192.0.2.2", "2001:db8::1", "2001:db8:ffff::2", 6, []uint64{22, 60022}, 0x18, 60_000, 86_400_000, 9_000, 900_000, 10},
		{"192.0.2.2", "2001:db8::1", "2001:db8::1", 17, []uint64{123, 123}, 0, 70_000, 0, 1, 76, 10},
	} {
		i := b.Extend(1)
		set := func(c flow.Column, v uint64) { b.SetUint(c, i, v) }
		set(flow.Received, uint64(base+f.start+f.duration+500))
		b.SetAddr(flow.Exporter, i, flow.AddrFrom(netip.MustParseAddr(f.exporter)))
		set(flow.ExportProtocol, flow.IPFIX)
		set(flow.ObservationDomain, 1)
		set(flow.Start, uint64(base+f.start))
		set(flow.End, uint64(base+f.start+f.duration))
		set(flow.Packets, f.packets)
		set(flow.Bytes, f.bytes)
		set(flow.SamplingRate, f.rate)
		set(flow.SamplingSource, flow.SamplingOptions)
		b.SetAddr(flow.SrcAddr, i, flow.AddrFrom(netip.MustParseAddr(f.src)))
		b.SetAddr(flow.DstAddr, i, flow.AddrFrom(netip.MustParseAddr(f.dst)))
		set(flow.Protocol, f.protocol)
		if f.protocol == 1 {
			set(flow.ICMPType, f.ports[0])
			set(flow.ICMPCode, f.ports[1])
		} else {
			set(flow.SrcPort, f.ports[0])
			set(flow.DstPort, f.ports[1])
		}
		if f.protocol == 6 {
			set(flow.TCPFlags, f.flags)
		}
		set(flow.InIf, 3)
		set(flow.TOS, 0)
	}
	if err := s.Write(b); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := errors.Join(s.Run(ctx), s.Close()); err != nil {
		t.Fatal(err)
	}
	return dir
}

// costs is what differs from run to run.
var costs = regexp.MustCompile(`Bytes in them: .*|Sys: .*`)

// TestFlowsGolden runs the command lines of testdata/flows; each file holds the
// command and what it prints. `go test -run FlowsGolden -update` writes them anew.
func TestFlowsGolden(t *testing.T) {
	data := flowsData(t)
	files, err := filepath.Glob("testdata/flows/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			golden, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			command, _, _ := strings.Cut(string(golden), "\n")
			args := words(strings.TrimPrefix(command, "$ minamo "))
			args = append([]string{args[0], "--data", data, "--utc"}, args[1:]...)
			status, out, errs := minamo(t, args...)
			got := command + "\n" + costs.ReplaceAllStringFunc(out, func(s string) string { return s[:strings.Index(s, ":")] + ": …" }) + errs
			if status != 0 {
				got += "exit status " + string(rune('0'+status)) + "\n"
			}
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != string(golden) {
				t.Errorf("got\n%s\nwant\n%s", got, golden)
			}
		})
	}
}

// words splits a command line at spaces outside of single quotes.
func words(line string) (list []string) {
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			list = append(list, part)
		} else {
			list = append(list, strings.Fields(part)...)
		}
	}
	return list
}

func TestFlowsJSON(t *testing.T) {
	data := flowsData(t)
	for _, args := range [][]string{
		{"-o", "json"}, {"-o", "json", "-A", "srcip,dstport"}, {"-o", "json", "-s", "ip/bytes", "-n", "2"},
		{"-o", "json", "port 9999"}, {"-o", "json", "-A", "srcip/24,inif,outif", "port 9999"},
	} {
		status, out, errs := minamo(t, append([]string{"flows", "--data", data}, args...)...)
		var rows []map[string]any
		if err := json.Unmarshal([]byte(out), &rows); status != 0 || err != nil || rows == nil {
			t.Errorf("%q: status %d, %v\n%s%s", args, status, err, out, errs)
		}
	}
	empty := t.TempDir()
	if status, out, errs := minamo(t, "flows", "--data", empty, "-o", "json"); status != 0 || out != "[]\n" {
		t.Errorf("an empty directory gives %d %q %q", status, out, errs)
	}
}

func TestFlowsRefuses(t *testing.T) {
	for want, args := range map[string][]string{
		"there is no option --frobnicate":                {"--frobnicate"},
		"-n needs a value":                               {"-n"},
		"-n x: expected a number":                        {"-n", "x"},
		"-o yaml: expected line":                         {"-o", "yaml"},
		"-s srcpi: dimension \"srcpi\" is unknown; did":  {"-s", "srcpi"},
		"-s srcip/byte: order \"byte\" is unknown":       {"-s", "srcip/byte"},
		"-A: dimension":                                  {"-A", "srcip,foo"},
		"-t yesterday: expected a window":                {"-t", "yesterday"},
		"ends before it begins":                          {"-t", "-1h/-2h"},
		"-r is not here: flows are read from":            {"-r", "nfcapd.current"},
		"-w is not here: minamo store export":            {"-w/tmp/x"},
		"-o pipe is not here: use csv":                   {"-o", "pipe"},
		"did you mean \"extended\"":                      {"-o", "extnded"},
		"-s srcip,dstip: one element; to rank by":        {"-s", "srcip,dstip"},
		"-s srcgeo: srcgeo is not here: countries":       {"-s", "srcgeo"},
		"-s srcip: -b and -B fold records":               {"-b", "-s", "srcip"},
		"-P filters what is aggregated":                  {"-P", "bytes > 1"},
		"-P: filter, column 7: found \"x\"":              {"-a", "-P", "bytes x"},
		"-I gives the totals alone":                      {"-I", "-a"},
		"-o csv:%ts;%sa: expected tags":                  {"-o", "csv:%ts;%sa"},
		"prints records: -s record":                      {"-s", "srcip", "-o", "fmt:%sa"},
		"-O: order \"bytes:x\"":                          {"-O", "bytes:x"},
		"-o json holds one table":                        {"-o", "json", "-s", "ip", "-s", "port"},
		"a sum has that name":                            {"-o", "json", "-A", "bytes"},
		"src prt 53\n      ^^^":                          {"src prt 53"},
		"found the end of the filter, expected a number": {"port"},
	} {
		status, out, errs := minamo(t, append([]string{"flows"}, args...)...)
		if status != 2 || out != "" || !strings.Contains(errs, want) {
			t.Errorf("%q: status %d, %q, want %q", args, status, errs, want)
		}
	}
	status, _, errs := minamo(t, "flows", "--data", filepath.Join(t.TempDir(), "nowhere"))
	if status != 1 || !strings.Contains(errs, "--data") || !strings.Contains(errs, "no such file or directory") {
		t.Errorf("a missing directory: %d %q", status, errs)
	}
}

func TestParseWindow(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	east := time.FixedZone("east", 9*3600)
	at := func(h, m, s int) time.Time { return time.Date(2026, 11, 22, h, m, s, 0, time.UTC) }
	for _, c := range []struct {
		text     string
		from, to time.Time
		relative time.Duration
	}{
		{"", time.Time{}, time.Time{}, 0},
		{"2026/11/22.10:00:00-2026/11/22.11:00:00", at(1, 0, 0), at(2, 0, 0), 0},
		{"2026/11/22.10-2026/11/22.11:30", at(1, 0, 0), at(2, 30, 0), 0},
		{"2026/11/22.10:00", at(1, 0, 0), time.Time{}, 0},
		{"2026-11-22T10:00:00Z/2026-11-22T11:00:00Z", at(10, 0, 0), at(11, 0, 0), 0},
		{"2026-11-22T10:00:00Z-2026-11-22T11:00:00Z", at(10, 0, 0), at(11, 0, 0), 0},
		{"2026-11-22T10:00:00-2026-11-22T11:00:00", at(1, 0, 0), at(2, 0, 0), 0},
		{"2026-11-22T10:00:00+01:00", at(9, 0, 0), time.Time{}, 0},
		{"-15m", at(11, 45, 0), time.Time{}, 0},
		{"-3h/-2h", at(9, 0, 0), at(10, 0, 0), 0},
		{"-5h/-4h45m", at(7, 0, 0), at(7, 15, 0), 0},
		{"-4h45m", at(7, 15, 0), time.Time{}, 0},
		{"-1d2h--1d", at(-14, 0, 0), at(-12, 0, 0), 0},
		{"-3h-now", at(9, 0, 0), now, 0},
		{"+600", time.Time{}, time.Time{}, 10 * time.Minute},
		{"-600", time.Time{}, time.Time{}, -10 * time.Minute},
	} {
		from, to, relative, err := parseWindow(c.text, now, east)
		if err != nil || !from.Equal(c.from) || !to.Equal(c.to) || relative != c.relative {
			t.Errorf("%q: %v, %v, %v, %v", c.text, from, to, relative, err)
		}
	}
	for _, text := range []string{"-", "+", "-15", "x", "-15y", "0", "2026/11/22.10-2026/11/22.10"} {
		if _, _, relative, err := parseWindow(text, now, east); err == nil && relative == 0 {
			t.Errorf("%q is a window", text)
		}
	}
}

func TestNumbers(t *testing.T) {
	p := printer{}
	for n, want := range map[uint64]string{0: "0", 999_999: "999999", 1_502_024: "1.5 M", 2_000_000_000: "2.0 G", 1<<64 - 1: "18.4 E"} {
		if got := p.number(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{0: "00:00:00.000", 30*time.Second + time.Millisecond: "00:00:30.001", 49 * time.Hour: "2d 01:00:00.000", -time.Second: "00:00:00.000"} {
		if got := p.duration(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
	if got := perSecond(1<<63, 8, time.UnixMilli(0), time.UnixMilli(1)); got != 1<<64-1 {
		t.Errorf("a rate beyond 64 bits: %d", got)
	}
}
