// Package config is the configuration file: what it may say, its defaults,
// and errors that name line and column.
//
// cmd/minamo reads it and lets command-line flags override it. The file is
// optional; default.yaml holds every key with its default and its
// explanation, and a test keeps the two together.
package config

import (
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/minamo-flow/minamo/collect"
	"github.com/minamo-flow/minamo/internal/span"
	"github.com/minamo-flow/minamo/snmp"
)

// DefaultText is the commented default configuration.
//
//go:embed default.yaml
var DefaultText string

// Config is the whole file. The yaml tags are its keys.
type Config struct {
	Data    string   `yaml:"data"`
	Listen  []string `yaml:"listen"`
	HTTP    string   `yaml:"http"`
	Collect Collect  `yaml:"collect"`
	Probe   Probe    `yaml:"probe"`
	Columns []Column `yaml:"columns"`
	Geo     Geo      `yaml:"geo"`
	SNMP    SNMP     `yaml:"snmp"`
	Store   Store    `yaml:"store"`
	Query   Query    `yaml:"query"`
	Budget  Budget   `yaml:"budget"`
	Log     Log      `yaml:"log"`
}

// Collect is the receiving side.
type Collect struct {
	Sockets       int         `yaml:"sockets"`
	ReceiveBuffer Size        `yaml:"receive-buffer"`
	MaxExporters  int         `yaml:"max-exporters"`
	Sampling      []Sampling  `yaml:"sampling"`
	Decapsulate   []Tunnel    `yaml:"decapsulate"`
	Connections   Connections `yaml:"connections"`
	TLS           TLS         `yaml:"tls"`
	Limits        Limits      `yaml:"limits"`
}

// Probe is what this machine meters itself.
type Probe struct {
	Interfaces  []string `yaml:"interfaces"` // none: nothing is metered
	Exporter    Address  `yaml:"exporter"`
	Domain      uint32   `yaml:"domain"`
	Direction   string   `yaml:"direction"`
	Promiscuous bool     `yaml:"promiscuous"`
	Sampling    uint32   `yaml:"sampling"`
	Random      bool     `yaml:"random"`
	Active      Duration `yaml:"active"`
	Inactive    Duration `yaml:"inactive"`
	Flows       int      `yaml:"flows"`
	Biflow      bool     `yaml:"biflow"`
	NonIP       bool     `yaml:"non-ip"`
	Fanout      int      `yaml:"fanout"`
	Ring        Size     `yaml:"ring"`
}

// Connections bounds those of exporters: TCP, TLS and SCTP.
type Connections struct {
	Max            int      `yaml:"max"`
	MaxPerExporter int      `yaml:"max-per-exporter"`
	IdleTimeout    Duration `yaml:"idle-timeout"`
}

// TLS names the files for tls:// addresses.
type TLS struct {
	Certificate File `yaml:"certificate"`
	Key         File `yaml:"key"`
	ClientCA    File `yaml:"client-ca"`
}

// Limits bounds what is remembered of one exporter.
type Limits struct {
	Domains      int  `yaml:"domains"`
	Templates    int  `yaml:"templates"`
	Fields       int  `yaml:"fields"`
	WaitingSets  int  `yaml:"waiting-sets"`
	WaitingBytes Size `yaml:"waiting-bytes"`
	Samples      int  `yaml:"samples"`
}

// Sampling is a rate for exporters that announce none.
type Sampling struct {
	Exporters Prefix `yaml:"exporters"`
	Interface uint32 `yaml:"interface"`
	Rate      uint32 `yaml:"rate"`
}

// Budget is how many flow records a second there may be.
type Budget struct {
	Collector int           `yaml:"collector"` // 0: any
	Exporters []FlowsBudget `yaml:"exporters"`
}

// FlowsBudget is what each of some exporters may send.
type FlowsBudget struct {
	Exporters Prefix `yaml:"exporters"`
	Flows     int    `yaml:"flows"` // records a second
}

// Geo names the databases of countries and ASes.
type Geo struct {
	Databases []string `yaml:"databases"`
}

// SNMP is whom to ask for interfaces' names and counters, and how.
type SNMP struct {
	Interval    Duration `yaml:"interval"`
	Timeout     Duration `yaml:"timeout"`
	Retries     int      `yaml:"retries"`
	Concurrency int      `yaml:"concurrency"`
	Devices     []Access `yaml:"devices"`
}

// Access is how some exporters are asked.
type Access struct {
	Exporters       Prefix  `yaml:"exporters"`
	Address         Address `yaml:"address"`
	Port            uint16  `yaml:"port"`
	Version         string  `yaml:"version"`
	Community       Secret  `yaml:"community"`
	User            string  `yaml:"user"`
	Auth            string  `yaml:"auth"`
	AuthPassword    Secret  `yaml:"auth-password"`
	Privacy         string  `yaml:"privacy"`
	PrivacyPassword Secret  `yaml:"privacy-password"`
	Context         string  `yaml:"context"`
	Repetitions     uint32  `yaml:"repetitions"`
}

// SNMP is the same for package snmp.
func (a *Access) SNMP() snmp.Access {
	return snmp.Access{
		Exporters: a.Exporters.Prefix, Address: a.Address.Addr, Port: a.Port, Version: a.Version, Community: a.Community.Secret,
		User: a.User, Auth: a.Auth, AuthPassword: a.AuthPassword.Secret, Privacy: a.Privacy, PrivPassword: a.PrivacyPassword.Secret,
		Context: a.Context, Repetitions: a.Repetitions,
	}
}

// Store is how flow data are kept.
type Store struct {
	Seal    Duration `yaml:"seal"`
	MaxAge  Duration `yaml:"max-age"`
	MaxSize Size     `yaml:"max-size"`
	Rollups Rollups  `yaml:"rollups"`
}

// Rollups are how long sums are kept, by the length of their buckets.
type Rollups struct {
	Minute Retention `yaml:"minute"`
	Hour   Retention `yaml:"hour"`
	Day    Retention `yaml:"day"`
}

// Retention is that of a table of rollups.
type Retention struct {
	MaxAge  Duration `yaml:"max-age"`
	MaxSize Size     `yaml:"max-size"`
}

// Query bounds what questions may use.
type Query struct {
	Memory      Size     `yaml:"memory"`
	Threads     int      `yaml:"threads"`
	Timeout     Duration `yaml:"timeout"`
	Concurrency int      `yaml:"concurrency"`
	Waiting     int      `yaml:"waiting"`
	Cache       Size     `yaml:"cache"`
	Spill       Size     `yaml:"spill"`
	SQL         bool     `yaml:"sql"`
}

// Log is what is logged.
type Log struct {
	Level  string `yaml:"level"`
	Format string `yaml:"format"`
}

// Error says what is wrong, and where.
type Error struct {
	File         string // "" for a text without a name
	Line, Column int    // counted from 1
	Problem      string
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Problem)
}

// Default is the configuration without any file.
func Default() Config {
	var c Config
	if err := c.parse("default.yaml", DefaultText); err != nil {
		panic(err) // the text is part of the program, and tested
	}
	return c
}

// Load reads a file over the defaults. Where it is wrong, the error joins an
// *Error for each fault.
func Load(path string) (Config, error) {
	c := Default()
	text, err := os.ReadFile(path)
	if err != nil {
		return c, fmt.Errorf("configuration: %w", err)
	}
	return c, c.parse(path, string(text))
}

func (c *Config) parse(file, text string) error {
	var document yaml.Node
	documents := yaml.NewDecoder(strings.NewReader(text))
	if err := documents.Decode(&document); err != nil && !errors.Is(err, io.EOF) {
		return syntaxError(file, err)
	}
	var second yaml.Node
	if err := documents.Decode(&second); err == nil {
		return &Error{file, second.Line, second.Column, "a second YAML document begins here: a configuration is one"}
	} else if !errors.Is(err, io.EOF) {
		return syntaxError(file, err)
	}
	if len(document.Content) == 0 {
		return nil // empty: all defaults
	}
	d := decoder{file: file}
	d.value(document.Content[0], reflect.ValueOf(c).Elem(), "")
	return errors.Join(d.faults...)
}

// syntaxError finds the line in the parser's message; it does not tell the column.
func syntaxError(file string, err error) error {
	e := &Error{File: file, Line: 1, Column: 1, Problem: strings.TrimPrefix(err.Error(), "yaml: ")}
	if rest, ok := strings.CutPrefix(e.Problem, "line "); ok {
		if number, problem, ok := strings.Cut(rest, ": "); ok {
			e.Line, _ = strconv.Atoi(number)
			e.Problem = problem
		}
	}
	return e
}

// decoder fills structs from YAML nodes, strictly, and collects every fault
// with its place.
type decoder struct {
	file   string
	faults []error
}

func (d *decoder) fault(n *yaml.Node, format string, args ...any) {
	d.faults = append(d.faults, &Error{d.file, n.Line, n.Column, fmt.Sprintf(format, args...)})
}

// scalar is implemented by the types below that read themselves from text.
type scalar interface{ parse(text string) error }

func (d *decoder) value(n *yaml.Node, v reflect.Value, key string) {
	if s, ok := v.Addr().Interface().(scalar); ok {
		if n.Kind != yaml.ScalarNode {
			d.fault(n, "%s: expected a single value", key)
		} else if err := s.parse(n.Value); err != nil {
			d.fault(n, "%s: %v", key, err)
		} else if problem := check(key, v); problem != "" {
			d.fault(n, "%s: %s", key, problem)
		}
		if f, ok := s.(*File); ok {
			f.at = Error{File: d.file, Line: n.Line, Column: n.Column}
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.mapping(n, v, key)
	case reflect.Slice:
		if n.Kind != yaml.SequenceNode {
			d.fault(n, "%s: expected a list", key)
			return
		}
		list := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
		for i, item := range n.Content {
			d.value(item, list.Index(i), key)
		}
		v.Set(list)
		if columns, ok := list.Interface().([]Column); ok {
			d.columns(n, columns)
		}
	default:
		if err := n.Decode(v.Addr().Interface()); err != nil {
			expected := map[reflect.Kind]string{reflect.Int: "a whole number", reflect.Uint16: "a whole number up to 65535", reflect.Uint32: "a whole number, not negative", reflect.String: "text", reflect.Bool: "true or false"}[v.Kind()]
			d.fault(n, "%s: expected %s, found %q", key, expected, n.Value)
			return
		}
	}
	if problem := check(key, v); problem != "" {
		d.fault(n, "%s: %s", key, problem)
	}
}

func (d *decoder) mapping(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		d.fault(n, "%s: expected keys and values", strings.TrimSuffix(path, "."))
		return
	}
	faults := len(d.faults)
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		var known []string
		field := -1
		for f := range v.NumField() {
			tag := v.Type().Field(f).Tag.Get("yaml")
			known = append(known, tag)
			if tag == name.Value {
				field = f
			}
		}
		switch {
		case field < 0:
			d.fault(name, "unknown key %q; known here: %s", name.Value, strings.Join(known, ", "))
		case seen[name.Value]:
			d.fault(name, "key %q is given twice", name.Value)
		default:
			d.value(value, v.Field(field), strings.TrimPrefix(path+"."+name.Value, "."))
		}
		seen[name.Value] = true
	}
	switch s := v.Interface().(type) {
	case Sampling:
		if !s.Exporters.IsValid() {
			d.fault(n, "%s: exporters is missing", path)
		}
		if s.Rate == 0 {
			d.fault(n, "%s: rate is missing or 0", path)
		}
	case FlowsBudget:
		if !s.Exporters.IsValid() {
			d.fault(n, "%s: exporters is missing", path)
		}
		if s.Flows <= 0 {
			d.fault(child(n, "flows"), "%s: flows: expected more than 0 a second", path)
		}
	case Access:
		if len(d.faults) > faults {
			return
		}
		if a := s.SNMP(); a.Check() != nil {
			d.fault(n, "%s: %v", path, a.Check())
		}
	case Column:
		if len(d.faults) > faults {
			return // of its keys; more would only follow from them
		}
		if key, err := s.problem(); err != nil {
			d.fault(child(n, key), "%s: %v", strings.TrimSuffix(path+"."+key, "."), err)
		}
	case Config:
		if listen := child(n, "listen"); listen.Kind == yaml.SequenceNode && s.Collect.TLS.Certificate.Path == "" {
			for _, address := range listen.Content {
				if strings.HasPrefix(address.Value, "tls://") {
					d.fault(address, "listen: %s needs a certificate and its key: set collect.tls", address.Value)
				}
			}
		}
	}
}

// check looks at values that any text or number would fill, but not rightly.
func check(key string, v reflect.Value) string {
	oneOf := func(allowed ...string) string {
		if !slices.Contains(allowed, v.String()) {
			return fmt.Sprintf("expected one of %s, found %q", strings.Join(allowed, ", "), v.String())
		}
		return ""
	}
	switch key {
	case "log.level":
		return oneOf("debug", "info", "warn", "error")
	case "log.format":
		return oneOf("text", "json")
	case "data":
		if v.String() == "" {
			return "expected a directory"
		}
	case "http":
		return CheckHTTP(v.String())
	case "listen":
		if v.Kind() != reflect.String {
			if v.Len() == 0 {
				return "expected at least one address"
			}
			return ""
		}
		if _, err := collect.ParseListen(v.String()); err != nil {
			return err.Error()
		}
	case "store.seal":
		if d := time.Duration(v.Int()); d < 100*time.Millisecond || d > time.Minute {
			return "expected between 100ms and 1m"
		}
	case "query.timeout":
		if v.Int() <= 0 {
			return "expected more than 0"
		}
	case "query.memory":
		if v.Int() < 64<<20 {
			return "expected 64MiB at least"
		}
	case "collect.receive-buffer":
		if v.Int() >= 1<<30 {
			return "expected less than 1GiB" // the kernel doubles it, in 32 bits
		}
	case "probe.interfaces":
		if v.Kind() == reflect.String && v.String() == "" {
			return "expected the name of an interface"
		}
		if list, ok := v.Interface().([]string); ok {
			for i, name := range list {
				if slices.Contains(list[:i], name) {
					return fmt.Sprintf("%s is given twice: its packets would count twice", name)
				}
			}
		}
	case "probe.direction":
		return oneOf("both", "in", "out")
	case "probe.sampling":
		if v.Uint() < 1 || v.Uint() > 1<<24 {
			return "expected 1 to 16777216: one packet in so many is looked at"
		}
	case "probe.active", "probe.inactive":
		if d := time.Duration(v.Int()); d < 100*time.Millisecond || d > 24*time.Hour {
			return "expected between 100ms and 24h"
		}
	case "probe.flows":
		if v.Int() < 1 || v.Int() > 1<<26 {
			return fmt.Sprintf("expected 1 to %d", 1<<26)
		}
	case "probe.fanout":
		if v.Int() < 1 || v.Int() > 64 {
			return "expected 1 to 64"
		}
	case "probe.ring":
		if v.Int() < 2<<20 || v.Int() > 2<<30 {
			return "expected 2MiB to 2GiB"
		}
	case "collect.sockets", "query.threads":
		if v.Int() < 0 || v.Int() > 256 {
			return "expected 0 to 256"
		}
	case "snmp.interval":
		if d := time.Duration(v.Int()); d < 10*time.Second || d > time.Hour {
			return "expected between 10s and 1h"
		}
	case "snmp.timeout":
		if d := time.Duration(v.Int()); d < 10*time.Millisecond || d > time.Minute {
			return "expected between 10ms and 1m"
		}
	case "snmp.retries":
		if v.Int() < 0 || v.Int() > 10 {
			return "expected 0 to 10"
		}
	case "snmp.concurrency":
		if v.Int() < 1 || v.Int() > 1000 {
			return "expected 1 to 1000"
		}
	case "query.waiting", "budget.collector":
		if v.Int() < 0 {
			return "expected 0 or more"
		}
	case "query.concurrency", "collect.max-exporters", "collect.connections.max", "collect.connections.max-per-exporter",
		"collect.limits.domains", "collect.limits.templates", "collect.limits.fields", "collect.limits.waiting-sets", "collect.limits.waiting-bytes", "collect.limits.samples":
		if v.Int() < 1 {
			return "expected 1 or more"
		}
	}
	return ""
}

// CheckHTTP tells what is wrong with an HTTP listen address; "" if nothing.
func CheckHTTP(address string) string {
	_, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return fmt.Sprintf("expected HOST:PORT, such as 127.0.0.1:8080, found %q", address)
	}
	return ""
}

// CheckFiles reads the files that the configuration names. It is apart from
// Load because not everyone who reads the configuration may read the key.
func (c *Config) CheckFiles() error {
	t := c.Collect.TLS
	if t.Certificate.Path == "" && t.Key.Path == "" && t.ClientCA.Path == "" {
		return nil
	}
	var faults []error
	for _, f := range [...]struct {
		key string
		File
	}{{"certificate", t.Certificate}, {"key", t.Key}, {"client-ca", t.ClientCA}} {
		if f.Path == "" {
			continue
		}
		if _, err := os.ReadFile(f.Path); err != nil {
			faults = append(faults, f.fault("collect.tls."+f.key+": %v", err))
		}
	}
	if faults != nil {
		return errors.Join(faults...)
	}
	if _, err := t.Files().Config(); err != nil {
		return t.Certificate.fault("collect.tls: %v", err)
	}
	return nil
}

// Files are the files' names.
func (t TLS) Files() collect.TLS {
	return collect.TLS{Certificate: t.Certificate.Path, Key: t.Key.Path, ClientCA: t.ClientCA.Path}
}

// File is the name of a file, and where the configuration says so.
type File struct {
	Path string
	at   Error
}

func (f *File) parse(text string) error {
	f.Path = text
	return nil
}

func (f File) fault(format string, args ...any) error {
	e := f.at
	e.Problem = fmt.Sprintf(format, args...)
	return &e
}

// MarshalText writes it as it was read.
func (f File) MarshalText() ([]byte, error) { return []byte(f.Path), nil }

// Duration is a length of time: 90s, 1h30m, 30d.
type Duration time.Duration

func (d *Duration) parse(text string) error {
	v, err := span.Parse(text)
	if err != nil && text != "0" {
		return fmt.Errorf("expected a duration such as 90s, 12h or 30d, found %q", text)
	}
	*d = Duration(v)
	return nil
}

// Size is a number of bytes: plain, or with B, kB, MB, GB, TB (powers of
// 1000) or KiB, MiB, GiB, TiB (powers of 1024).
type Size int64

var sizeUnits = map[string]float64{
	"": 1, "B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12,
	"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40,
}

func (s *Size) parse(text string) error {
	digits := strings.TrimRight(text, "kKMGTiB ")
	unit, known := sizeUnits[strings.TrimSpace(text[len(digits):])]
	n, err := strconv.ParseFloat(digits, 64)
	if err != nil || !known || !(n >= 0 && n*unit <= 1<<60) { // NaN is neither
		return fmt.Errorf("expected a size such as 500MB or 2GiB, found %q", text)
	}
	*s = Size(n * unit)
	return nil
}

// Prefix is an address prefix, or one address.
type Prefix struct{ netip.Prefix }

func (p *Prefix) parse(text string) error {
	if a, err := netip.ParseAddr(text); err == nil {
		p.Prefix = netip.PrefixFrom(a, a.BitLen())
		return nil
	}
	v, err := netip.ParsePrefix(text)
	if err != nil {
		return fmt.Errorf("expected an address or a prefix such as 192.0.2.0/24, found %q", text)
	}
	p.Prefix = v.Masked()
	return nil
}

// Address is an IP address.
type Address struct{ netip.Addr }

func (a *Address) parse(text string) (err error) {
	if a.Addr, err = netip.ParseAddr(text); err != nil {
		return fmt.Errorf("expected an address, found %q", text)
	}
	return nil
}

// Secret is a community or a password: the text itself, file:PATH for the first
// line of a file, or env:NAME for a variable of the environment. It is never
// shown.
type Secret struct{ snmp.Secret }

func (s *Secret) parse(text string) error {
	if path, ok := strings.CutPrefix(text, "file:"); ok {
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		text, _, _ = strings.Cut(string(content), "\n")
		text = strings.TrimRight(text, "\r")
	} else if name, ok := strings.CutPrefix(text, "env:"); ok {
		if text, ok = os.LookupEnv(name); !ok {
			return fmt.Errorf("the environment has no variable %s", name)
		}
	}
	if text == "" {
		return errors.New("it is empty")
	}
	s.Secret = snmp.Secret(text)
	return nil
}
