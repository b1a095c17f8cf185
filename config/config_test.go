package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/wire/packet"
)

func TestDefaultTextNamesEveryKey(t *testing.T) {
	c := Default()
	if c.HTTP != "127.0.0.1:8080" || len(c.Listen) != 4 || time.Duration(c.Store.MaxAge) != 30*24*time.Hour || c.Collect.ReceiveBuffer != 16<<20 {
		t.Errorf("defaults not read: %+v", c)
	}
	// Every key of the struct stands in the text, so that the text is the reference.
	var inText map[string]any
	if err := yaml.Unmarshal([]byte(DefaultText), &inText); err != nil {
		t.Fatal(err)
	}
	again, err := yaml.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var inStruct map[string]any
	if err := yaml.Unmarshal(again, &inStruct); err != nil {
		t.Fatal(err)
	}
	sameKeys(t, "", inText, inStruct)
}

func sameKeys(t *testing.T, path string, text, structure map[string]any) {
	for k, v := range structure {
		inner, isMap := v.(map[string]any)
		other, has := text[k]
		if !has {
			t.Errorf("%s%s is not in default.yaml", path, k)
		} else if isMap {
			sameKeys(t, path+k+".", other.(map[string]any), inner)
		}
	}
}

func TestErrorsNameTheirPlace(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"second document": {"{}\n---\nlisten: []", `:2:1: a second YAML document`},
		"unknown key":     {"listem: []", `:1:1: unknown key "listem"`},
		"nested key":      {"store:\n  seel: 1s", `:2:3: unknown key "seel"; known here: seal, max-age, max-size`},
		"duration":        {"store:\n  seal: soon", `:2:9: store.seal: expected a duration`},
		"range":           {"store:\n  seal: 1ms", `:2:9: store.seal: expected between`},
		"truth":           {"query: {sql: maybe}", `:1:14: query.sql: expected true or false, found "maybe"`},
		"no room":         {"query: {concurrency: 0}", `:1:22: query.concurrency: expected 1 or more`},
		"negative":        {"query: {waiting: -1}", `:1:18: query.waiting: expected 0 or more`},
		"size":            {"query: {memory: 2XB}", `:1:17: query.memory: expected a size`},
		"no size":         {"store: {max-size: nan}", `:1:19: store.max-size: expected a size`},
		"too large":       {"collect:\n  receive-buffer: 4GiB", `:2:19: collect.receive-buffer: expected less than 1GiB`},
		"port":            {"listen:\n  - udp://:99999", `:2:5: listen: listen address`},
		"list":            {"listen: udp://:2055", `:1:9: listen: expected a list`},
		"scheme":          {"listen:\n  - dtls://:2055", `:2:5: listen: listen address`},
		"number":          {"collect:\n  sockets: many", `:2:12: collect.sockets: expected a whole number`},
		"prefix":          {"collect:\n  sampling:\n    - exporters: 10.0.0.0/99\n      rate: 5", `:3:18: collect.sampling.exporters: expected an address`},
		"missing rate":    {"collect:\n  sampling:\n    - exporters: 10.0.0.0/8", `:3:7: collect.sampling: rate is missing`},
		"interface twice": {"probe:\n  interfaces: [eth0, eth0]", `:2:15: probe.interfaces: eth0 is given twice`},
		"no interface":    {"probe: {interfaces: ['']}", `:1:22: probe.interfaces: expected the name of an interface`},
		"direction":       {"probe: {direction: sideways}", `:1:20: probe.direction: expected one of both, in, out`},
		"no sampling":     {"probe: {sampling: 0}", `:1:19: probe.sampling: expected 1 to 16777216`},
		"timer":           {"probe: {active: 0s}", `:1:17: probe.active: expected between 100ms and 24h`},
		"no cache":        {"probe: {flows: 0}", `:1:16: probe.flows: expected 1 to`},
		"threads":         {"probe: {fanout: 65}", `:1:17: probe.fanout: expected 1 to 64`},
		"small ring":      {"probe: {ring: 1MiB}", `:1:15: probe.ring: expected 2MiB to 2GiB`},
		"enumeration":     {"log:\n  level: loud", `:2:10: log.level: expected one of debug, info, warn, error`},
		"twice":           {"data: a\ndata: b", `:2:1`},
		"syntax":          {"data: [", `:1:1: `},
		"http":            {"http: localhost", `:1:7: http: expected HOST:PORT`},
		"not a mapping":   {"- 1", `:1:1: : expected keys`},
		"no such element": {"columns:\n  - {name: a, type: text, element: nonsense}", `:2:36: columns.element: expected an element`},
		"too narrow":      {"columns:\n  - name: a\n    type: uint8\n    element: octetDeltaCount", `:3:11: columns.type: a column of type uint8 cannot hold octetDeltaCount(1), which is of type unsigned64`},
		"text as address": {"columns:\n  - {name: a, type: address, element: cisco/applicationHttpHost}", `:2:21: columns.type: a column of type address cannot hold applicationHttpHost(9/12235)`},
		"no such type":    {"columns:\n  - {name: a, type: int, element: 1}", `:2:21: columns.type: expected one of uint8, `},
		"name taken":      {"columns:\n  - {name: bytes, type: uint64, element: 1}", `:2:12: columns.name: there is a column "bytes" already`},
		"name form":       {"columns:\n  - {name: Bytes, type: uint64, element: 1}", `:2:12: columns.name: expected lower-case`},
		"a filter's word": {"columns:\n  - {name: src, type: uint64, element: 1}", `:2:12: columns.name: `},
		"column twice":    {"columns:\n  - {name: a, type: uint64, element: 1}\n  - {name: a, type: uint64, element: 2}", `:3:12: columns.name: "a" is given twice`},
		"from nowhere":    {"columns:\n  - {name: a, type: uint64}", `:2:5: columns: element or packet is missing`},
		"from both":       {"columns:\n  - {name: a, type: uint64, element: 1, packet: {from: link, bits: 1}}", `:2:49: columns.packet: a column is of`},
		"without type":    {"columns:\n  - {name: a, element: 1}", `:2:5: columns: type is missing`},
		"base":            {"columns:\n  - {name: a, type: uint8, packet: {from: top, bits: 1}}", `:2:43: columns.packet.from: expected one of link, network, transport`},
		"too many bits":   {"columns:\n  - {name: a, type: uint8, packet: {from: link, bits: 9}}", `:2:36: columns.packet: 9 bits: a column of type uint8 holds 1 to 8`},
		"bits as text":    {"columns:\n  - {name: a, type: text, packet: {from: link, bits: 9}}", `holds 1 to 0`},
		"tunnel":          {"collect: {decapsulate: [vxlan, wireguard]}", `:1:32: collect.decapsulate: expected one of 6in4, geneve, gre`},
		"limit":           {"collect:\n  limits: {templates: 0}", `:2:23: collect.limits.templates: expected 1 or more`},
		"tls":             {"listen:\n  - tls://:4740", `:2:5: listen: tls://:4740 needs a certificate`},
		"no flows":        {"budget:\n  exporters:\n    - exporters: 192.0.2.1", `:3:7: budget.exporters: flows: expected more than 0`},
		"flows of nobody": {"budget: {exporters: [{flows: 5}]}", `:1:22: budget.exporters: exporters is missing`},
		"less than none":  {"budget: {collector: -1}", `:1:21: budget.collector: expected 0 or more`},
		"nobody's access": {"snmp:\n  devices:\n    - community: public", `:3:7: snmp.devices: exporters is missing`},
		"empty secret":    {"snmp: {devices: [{exporters: 192.0.2.1, community: \"\"}]}", `:1:52: snmp.devices.community: it is empty`},
		"no secret file":  {"snmp: {devices: [{exporters: 192.0.2.1, community: 'file:/nowhere'}]}", `:1:52: snmp.devices.community: open /nowhere`},
		"no variable":     {"snmp: {devices: [{exporters: 192.0.2.1, community: 'env:MINAMO_NOWHERE'}]}", `the environment has no variable MINAMO_NOWHERE`},
		"no password":     {"snmp: {devices: [{exporters: 192.0.2.1, user: a, auth: sha}]}", `:1:18: snmp.devices: auth-password: 8 characters`},
		"port too great":  {"snmp: {devices: [{exporters: 192.0.2.1, port: 70000}]}", `:1:47: snmp.devices.port: expected a whole number up to 65535`},
		"too often":       {"snmp: {interval: 1s}", `:1:18: snmp.interval: expected between 10s and 1h`},
		"section missing": {"store: 5", `:1:8: store: expected keys and values`},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "m.yaml")
			os.WriteFile(file, []byte(tc.text), 0o644)
			_, err := Load(file)
			if err == nil {
				t.Fatalf("%q was accepted", tc.text)
			}
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("%v is not an *Error", err)
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got  %v\nwant %s", err, tc.want)
			}
		})
	}
}

func TestLoadOverridesDefaults(t *testing.T) {
	file := filepath.Join(t.TempDir(), "m.yaml")
	os.WriteFile(file, []byte("collect:\n  sampling:\n    - {exporters: 192.0.2.1, rate: 100}\nstore: {max-size: 1.5GB, max-age: 0}\n"), 0o644)
	c, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Collect.Sampling) != 1 || c.Collect.Sampling[0].Rate != 100 || c.Collect.Sampling[0].Exporters.String() != "192.0.2.1/32" {
		t.Errorf("sampling: %+v", c.Collect.Sampling)
	}
	if c.Store.MaxSize != 1_500_000_000 || c.Store.MaxAge != 0 || c.Data != "./data" {
		t.Errorf("%+v", c)
	}
}

// TestSecrets: they come from where it is said, and are not shown.
func TestSecrets(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "m.yaml")
	t.Setenv("MINAMO_TEST_PRIVACY", "of-the-environment")
	os.WriteFile(filepath.Join(dir, "secret"), []byte("of-the-file\r\nmore\n"), 0o600)
	os.WriteFile(file, []byte("snmp:\n  devices:\n    - {exporters: 192.0.2.0/24, user: u, auth: sha256, auth-password: 'file:"+dir+"/secret', privacy: aes, privacy-password: 'env:MINAMO_TEST_PRIVACY'}\n    - {exporters: '::/0', community: plain-text}\n"), 0o644)
	c, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := c.SNMP.Devices[0].SNMP(), c.SNMP.Devices[1].SNMP(); a.AuthPassword != "of-the-file" || a.PrivPassword != "of-the-environment" || b.Community != "plain-text" {
		t.Errorf("%q %q %q", string(a.AuthPassword), string(a.PrivPassword), string(b.Community))
	}
	text, err := json.Marshal(c.SNMP)
	shown := fmt.Sprintf("%v %+v %#v %s", c.SNMP, c.SNMP, c.SNMP, text)
	if err != nil || strings.Contains(shown, "of-the-") || strings.Contains(shown, "plain-text") {
		t.Errorf("%s, %v", shown, err)
	}
}

func TestColumns(t *testing.T) {
	file := filepath.Join(t.TempDir(), "m.yaml")
	os.WriteFile(file, []byte(`
columns:
  - {name: http_host, type: text, element: 9/12235}
  - {name: client_net, type: address, element: "12345/7"}   # nobody knows it
  - {name: seen, type: time, element: observationTimeMilliseconds}
  - {name: ecn, type: uint8, packet: {from: network, bit: 14, bits: 2}}
collect:
  decapsulate: [vxlan, gtp-u]
`), 0o644)
	c, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Columns) != 4 || c.Columns[0].Element.Name != "applicationHttpHost" || c.Columns[1].Element.Enterprise != 12345 ||
		c.Columns[2].Type.Kind != flow.Time || c.Columns[3].Packet != (Packet{Base{packet.NetworkHeader, true}, 14, 2}) {
		t.Errorf("%+v", c.Columns)
	}
	if len(c.Collect.Decapsulate) != 2 || c.Collect.Decapsulate[1] != flow.TunnelGTPU {
		t.Errorf("%v", c.Collect.Decapsulate)
	}
	// The names that are let through are those that can be defined.
	for _, name := range []string{"a", "a_1", strings.Repeat("a", 40), strings.Repeat("a", 41), "_a", "1a", "a-b", ""} {
		_, problem := (&Column{Name: name, Type: Kind{flow.Uint8, true}, Element: Element{given: true}}).problem()
		if defined := flow.Define(flow.Field{Name: name, Kind: flow.Uint8}); (problem == nil) != (defined == nil) {
			t.Errorf("%q: %v, but defining it: %v", name, problem, defined)
		}
	}
}

func TestFilesAreChecked(t *testing.T) {
	dir := t.TempDir()
	here := filepath.Join(dir, "here.pem")
	os.WriteFile(here, []byte("nothing"), 0o644)
	for text, want := range map[string]string{
		"collect:\n  tls:\n    certificate: " + here + "\n    key: /nowhere.pem": ":4:10: collect.tls.key: open /nowhere.pem: no such file",
		"collect: {tls: {certificate: " + here + ", key: " + here + "}}":         ":1:30: collect.tls: certificate ",
		"collect:\n  tls: {certificate: " + here + "}":                           ":2:22: collect.tls: TLS needs a certificate and its key",
	} {
		file := filepath.Join(dir, "m.yaml")
		os.WriteFile(file, []byte(text), 0o644)
		c, err := Load(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.CheckFiles(); err == nil || !strings.HasPrefix(err.Error(), file+want) {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
	c := Default()
	if err := c.CheckFiles(); err != nil {
		t.Error(err)
	}
}
