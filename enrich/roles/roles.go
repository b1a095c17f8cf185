// Package roles tells what an interface of the network is for: whether it leads
// to the outside, to a customer, or to the network's own core. The boundary of
// the network, and who stands on which side of it, follows from that.
//
// The operator writes rules, regular expressions on what interfaces are called
// and described as, of which the first that matches counts, and sets single
// interfaces by hand, which counts more. Roles are never stored with flows: the
// server and the commands hand them to the query engine with other names, so
// that a role of today is true of yesterday.
package roles

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/minamo-flow/minamo/internal/durable"
)

// Roles that an interface can have. External is upstream, peering and whatever
// else is not of the network; Service is a cache, a resolver, a data centre.
const (
	External = "external"
	Customer = "customer"
	Core     = "core"
	Internal = "internal"
	Service  = "service"
)

// All are all roles.
var All = []string{External, Customer, Core, Internal, Service}

// Rule gives a role to interfaces. What is empty matches everything.
type Rule struct {
	Name        string `json:"name,omitempty" maxLength:"200" doc:"Regular expression (RE2) on the name; upper and lower case are the same"`
	Description string `json:"description,omitempty" maxLength:"200" doc:"Regular expression on the description"`
	Exporter    string `json:"exporter,omitempty" maxLength:"50" doc:"Address or prefix of the exporter"`
	Role        string `json:"role" enum:"external,customer,core,internal,service"`
}

// Assignment is an interface whose role was set by hand.
type Assignment struct {
	Exporter netip.Addr `json:"exporter"`
	Index    uint32     `json:"index" doc:"ifIndex"`
	Role     string     `json:"role" enum:"external,customer,core,internal,service"`
}

// Config is what the operator wrote.
type Config struct {
	Rules      []Rule       `json:"rules" maxItems:"500"`
	Interfaces []Assignment `json:"interfaces" maxItems:"100000" doc:"By hand: they count more than rules"`
}

// Limits of a Config.
const (
	mostRules      = 500
	mostInterfaces = 100_000
	longest        = 200
)

// ByHand is what Of returns as the rule of an interface that was set by hand.
const ByHand = -1

// List is the operator's rules and interfaces, kept in a file. It is safe for
// concurrent use.
type List struct {
	path string

	mu    sync.RWMutex
	cfg   Config
	rules []rule
	hand  map[key]string
}

type key struct {
	exporter netip.Addr
	index    uint32
}

type rule struct {
	name, description *regexp.Regexp // nil matches everything
	exporter          netip.Prefix   // invalid matches everything
	role              string
}

// Open reads the file. That there is none yet is no error.
func Open(path string) (*List, error) {
	l := &List{path: path}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err != nil {
		return nil, err
	}
	var cfg Config
	if err := json.Unmarshal(text, &cfg); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := l.take(cfg); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return l, nil
}

// Config returns what the operator wrote.
func (l *List) Config() Config {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return Config{Rules: slices.Clone(l.cfg.Rules), Interfaces: slices.Clone(l.cfg.Interfaces)}
}

// ErrChanged says that somebody else has changed the list meanwhile.
var ErrChanged = errors.New("somebody else has changed this meanwhile: read it again")

// Revision names what the list is now: two lists of the same have the same one.
func (l *List) Revision() string {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return durable.Revision(l.cfg)
}

// Replace is Change of whatever there is.
func (l *List) Replace(cfg Config) error { return l.Change("", cfg) }

// Change checks a Config, keeps it, and uses it from then on. An error names
// the rule or interface that is wrong; it is ErrChanged where the list is no
// longer that of the revision, which "" does not ask.
func (l *List) Change(revision string, cfg Config) error {
	checked := &List{}
	if err := checked.take(cfg); err != nil {
		return err
	}
	text, err := json.MarshalIndent(checked.cfg, "", "  ")
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if revision != "" && revision != durable.Revision(l.cfg) {
		return ErrChanged
	}
	if err := durable.WriteFile(l.path, text); err != nil {
		return err
	}
	l.cfg, l.rules, l.hand = checked.cfg, checked.rules, checked.hand
	return nil
}

// take checks a Config and makes ready to answer by it.
func (l *List) take(cfg Config) error {
	if len(cfg.Rules) > mostRules || len(cfg.Interfaces) > mostInterfaces {
		return fmt.Errorf("%d rules and %d interfaces: there may be %d and %d", len(cfg.Rules), len(cfg.Interfaces), mostRules, mostInterfaces)
	}
	l.cfg, l.rules, l.hand = cfg, nil, map[key]string{}
	for i, r := range cfg.Rules {
		made, err := r.compile()
		if err != nil {
			return fmt.Errorf("rule %d: %w", i+1, err)
		}
		l.rules = append(l.rules, made)
	}
	for i := range cfg.Interfaces {
		f := &cfg.Interfaces[i]
		f.Exporter = f.Exporter.Unmap()
		k := key{f.Exporter, f.Index}
		if !f.Exporter.IsValid() {
			return fmt.Errorf("interface %d: no exporter", i+1)
		}
		if f.Exporter.Zone() != "" { // flows do not know it
			return fmt.Errorf("interface %d of %s: expected an address without a zone", f.Index, f.Exporter)
		}
		if err := known(f.Role); err != nil {
			return fmt.Errorf("interface %d of %s: %w", f.Index, f.Exporter, err)
		}
		if _, twice := l.hand[k]; twice {
			return fmt.Errorf("interface %d of %s is there twice", f.Index, f.Exporter)
		}
		l.hand[k] = f.Role
	}
	slices.SortFunc(cfg.Interfaces, func(a, b Assignment) int {
		return cmp.Or(a.Exporter.Compare(b.Exporter), cmp.Compare(a.Index, b.Index))
	})
	return nil
}

func (r Rule) compile() (rule, error) {
	made := rule{role: r.Role}
	if err := known(r.Role); err != nil {
		return made, err
	}
	if r.Name == "" && r.Description == "" && r.Exporter == "" {
		return made, errors.New("it says nothing of name, description or exporter, and would match every interface; write .* as the name if that is meant")
	}
	for _, e := range []struct {
		what, text string
		to         **regexp.Regexp
	}{{"name", r.Name, &made.name}, {"description", r.Description, &made.description}} {
		if e.text == "" {
			continue
		}
		if utf8.RuneCountInString(e.text) > longest || !utf8.ValidString(e.text) || strings.ContainsFunc(e.text, unicode.IsControl) {
			return made, fmt.Errorf("the %s: expected up to %d characters of text", e.what, longest)
		}
		compiled, err := regexp.Compile("(?i)" + e.text)
		if err != nil {
			return made, fmt.Errorf("the %s: %w", e.what, err)
		}
		*e.to = compiled
	}
	if r.Exporter != "" {
		prefix, err := netip.ParsePrefix(r.Exporter)
		if addr, bad := netip.ParseAddr(r.Exporter); bad == nil {
			prefix, err = netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen()), nil
		}
		if err != nil {
			return made, fmt.Errorf("the exporter %q: expected an address or a prefix", r.Exporter)
		}
		if prefix.Addr().Is4In6() || prefix.Addr().Zone() != "" {
			return made, fmt.Errorf("the exporter %q: write IPv4 as IPv4, and no zone", r.Exporter)
		}
		made.exporter = prefix.Masked()
	}
	return made, nil
}

func known(role string) error {
	if !slices.Contains(All, role) {
		return fmt.Errorf("the role %q: expected one of %s", role, strings.Join(All, ", "))
	}
	return nil
}

// Of returns an interface's role, "" for none, and what gave it: the number of
// the rule, from 1, or ByHand; 0 for none.
func (l *List) Of(exporter netip.Addr, index uint32, name, description string) (role string, by int) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	exporter = exporter.Unmap()
	if role := l.hand[key{exporter, index}]; role != "" {
		return role, ByHand
	}
	for i := range l.rules {
		if l.rules[i].matches(exporter, name, description) {
			return l.rules[i].role, i + 1
		}
	}
	return "", 0
}

func (r *rule) matches(exporter netip.Addr, name, description string) bool {
	if r.exporter.IsValid() && !r.exporter.Contains(exporter) {
		return false
	}
	return (r.name == nil || r.name.MatchString(name)) && (r.description == nil || r.description.MatchString(description))
}
