package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
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
		"unknown key":     {"listem: []", `:1:1: unknown key "listem"`},
		"nested key":      {"store:\n  seel: 1s", `:2:3: unknown key "seel"; known here: seal, max-age, max-size`},
		"duration":        {"store:\n  seal: soon", `:2:9: store.seal: expected a duration`},
		"range":           {"store:\n  seal: 1ms", `:2:9: store.seal: expected between`},
		"size":            {"query: {memory: 2XB}", `:1:17: query.memory: expected a size`},
		"no size":         {"store: {max-size: nan}", `:1:19: store.max-size: expected a size`},
		"too large":       {"collect:\n  receive-buffer: 4GiB", `:2:19: collect.receive-buffer: expected less than 1GiB`},
		"port":            {"listen:\n  - udp://:99999", `:2:5: listen: listen address`},
		"list":            {"listen: udp://:2055", `:1:9: listen: expected a list`},
		"scheme":          {"listen:\n  - dtls://:2055", `:2:5: listen: listen address`},
		"number":          {"collect:\n  sockets: many", `:2:12: collect.sockets: expected a whole number`},
		"prefix":          {"collect:\n  sampling:\n    - exporters: 10.0.0.0/99\n      rate: 5", `:3:18: collect.sampling.exporters: expected an address`},
		"missing rate":    {"collect:\n  sampling:\n    - exporters: 10.0.0.0/8", `:3:7: collect.sampling: rate is missing`},
		"enumeration":     {"log:\n  level: loud", `:2:10: log.level: expected one of debug, info, warn, error`},
		"twice":           {"data: a\ndata: b", `:2:1`},
		"syntax":          {"data: [", `:1:1: `},
		"http":            {"http: localhost", `:1:7: http: expected HOST:PORT`},
		"not a mapping":   {"- 1", `:1:1: : expected keys`},
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
