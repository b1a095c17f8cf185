// Package networks tells which of the operator's own networks an address is
// in: a name, a customer and a site for each prefix, by the longest match.
//
// Flows keep a network's number. Numbers are given once and never to another
// network, so that renaming one, or moving it to another site, is true of the
// past too; a network that is removed is kept as retired, and old flows still
// have its name. A prefix that moves to another network moves for flows that
// come from then on.
package networks

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"unicode"
	"unicode/utf8"

	"github.com/gaissmai/bart"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/internal/durable"
)

// Network is one of the operator's networks.
type Network struct {
	Number   uint32         `json:"number" doc:"Its number in flows; 0 of a new one"`
	Name     string         `json:"name" minLength:"1" maxLength:"80"`
	Customer string         `json:"customer,omitempty" maxLength:"80"`
	Site     string         `json:"site,omitempty" maxLength:"80"`
	Prefixes []netip.Prefix `json:"prefixes" doc:"CIDR prefixes; they may lie within those of other networks, then the longest counts"`
	Retired  bool           `json:"retired,omitempty" doc:"It has been removed; old flows still have its number"`
}

// Limits of a list.
const (
	MostNetworks = 100_000
	MostPrefixes = 1_000_000
	longestName  = 80
)

// List is the operator's list of networks, kept in a file. It is safe for
// concurrent use.
type List struct {
	path string

	mu       sync.Mutex
	networks []Network // by number
	last     uint32    // the greatest number ever given

	match atomic.Pointer[bart.Fast[uint32]]
}

// content is the file's.
type content struct {
	Version  int       `json:"version"`
	Last     uint32    `json:"last"`
	Networks []Network `json:"networks"`
}

const version = 1

// Open reads the list. That there is no file yet is no error: the list is empty.
func Open(path string) (*List, error) {
	l := &List{path: path}
	l.match.Store(new(bart.Fast[uint32]))
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err != nil {
		return nil, err
	}
	var c content
	if err := json.Unmarshal(text, &c); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if c.Version != version {
		return nil, fmt.Errorf("%s: version %d, expected %d", path, c.Version, version)
	}
	l.networks, l.last = c.Networks, c.Last
	l.match.Store(table(c.Networks))
	return l, nil
}

// All is the list by number, with those that are retired.
func (l *List) All() []Network {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.networks)
}

// ErrChanged says that somebody else has changed the list meanwhile.
var ErrChanged = errors.New("somebody else has changed this meanwhile: read it again")

// Revision names what the list is now: two lists of the same have the same one.
func (l *List) Revision() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return durable.Revision(l.networks)
}

// Replace is Change of whatever there is.
func (l *List) Replace(list []Network) error { return l.Change("", list) }

// Change makes the given networks the whole list. One that bears a number
// keeps it, whatever it is called now; one without bears that of the network of
// its name, or else a new one. Those that are not given any more are retired.
// The error is ErrChanged where the list is no longer that of the revision, which
// "" does not ask.
func (l *List) Change(revision string, list []Network) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if revision != "" && revision != durable.Revision(l.networks) {
		return ErrChanged
	}
	next, last, err := number(list, l.networks, l.last)
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(content{version, last, next}, "", " ")
	if err != nil {
		return err
	}
	if err := durable.WriteFile(l.path, append(text, '\n')); err != nil {
		return err
	}
	l.networks, l.last = next, last
	l.match.Store(table(next))
	return nil
}

// number checks a list and gives its networks their numbers.
func number(list, old []Network, last uint32) ([]Network, uint32, error) {
	if len(list) > MostNetworks {
		return nil, 0, fmt.Errorf("%d networks: there can be %d at most", len(list), MostNetworks)
	}
	byName, known := map[string]uint32{}, map[uint32]bool{}
	for _, n := range old {
		known[n.Number] = true
		if of, taken := byName[n.Name]; !taken || of < n.Number {
			byName[n.Name] = n.Number // of those retired the latest
		}
	}
	claimed := map[uint32]bool{}
	for _, n := range list {
		if n.Number != 0 && !known[n.Number] {
			return nil, 0, fmt.Errorf("network %q: there is none with number %d; leave the number out for a new one", n.Name, n.Number)
		}
		if n.Number != 0 && claimed[n.Number] {
			return nil, 0, fmt.Errorf("network %q: number %d is given twice", n.Name, n.Number)
		}
		claimed[n.Number] = n.Number != 0
	}
	next := make([]Network, 0, len(list))
	names, owner := map[string]bool{}, map[netip.Prefix]string{}
	for _, n := range list {
		n.Retired, n.Prefixes = false, slices.Clone(n.Prefixes)
		if err := n.check(); err != nil {
			return nil, 0, err
		}
		if names[n.Name] {
			return nil, 0, fmt.Errorf("network %q is named twice", n.Name)
		}
		names[n.Name] = true
		for _, p := range n.Prefixes {
			if other, taken := owner[p]; taken {
				return nil, 0, fmt.Errorf("prefix %s is of network %q and of %q", p, other, n.Name)
			}
			owner[p] = n.Name
		}
		if len(owner) > MostPrefixes {
			return nil, 0, fmt.Errorf("more than %d prefixes", MostPrefixes)
		}
		if n.Number == 0 {
			if n.Number = byName[n.Name]; n.Number == 0 || claimed[n.Number] {
				last++
				n.Number = last
			}
			claimed[n.Number] = true
		}
		next = append(next, n)
	}
	for _, n := range old {
		if !claimed[n.Number] {
			n.Retired, n.Prefixes = true, []netip.Prefix{}
			next = append(next, n)
		}
	}
	slices.SortFunc(next, func(a, b Network) int { return cmp.Compare(a.Number, b.Number) })
	return next, last, nil
}

// check tells what is wrong with a network by itself.
func (n *Network) check() error {
	if n.Name == "" {
		return errors.New("a network has no name")
	}
	for what, text := range map[string]string{"name": n.Name, "customer": n.Customer, "site": n.Site} {
		if utf8.RuneCountInString(text) > longestName || !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) || strings.TrimSpace(text) != text {
			return fmt.Errorf("network %q: its %s: expected at most %d characters, without control characters or spaces around", n.Name, what, longestName)
		}
	}
	if len(n.Prefixes) == 0 {
		return fmt.Errorf("network %q has no prefix", n.Name)
	}
	for i, p := range n.Prefixes {
		if !p.IsValid() || p.Addr().Zone() != "" {
			return fmt.Errorf("network %q: a prefix is missing", n.Name)
		}
		if p.Addr().Is4In6() {
			return fmt.Errorf("network %q: prefix %s: write IPv4 as IPv4", n.Name, p)
		}
		if p != p.Masked() {
			return fmt.Errorf("network %q: prefix %s has bits beyond its length: expected %s", n.Name, p, p.Masked())
		}
		if slices.Contains(n.Prefixes[:i], p) {
			return fmt.Errorf("network %q: prefix %s is given twice", n.Name, p)
		}
	}
	return nil
}

func table(list []Network) *bart.Fast[uint32] {
	t := new(bart.Fast[uint32])
	for _, n := range list {
		for _, p := range n.Prefixes {
			t.Insert(p, n.Number)
		}
	}
	return t
}

// Annotate fills src_network and dst_network.
func (l *List) Annotate(b *flow.Batch) {
	t := l.match.Load()
	if t.Size() == 0 {
		return
	}
	annotate(t, b, flow.SrcAddr, flow.SrcNetwork)
	annotate(t, b, flow.DstAddr, flow.DstNetwork)
}

func annotate(t *bart.Fast[uint32], b *flow.Batch, addr, network flow.Column) {
	addrs, numbers := b.Addr(addr), b.U32(network)
	for i := range addrs {
		if b.Present[i].Has(addr) {
			if n, ok := t.Lookup(addrs[i].Netip()); ok {
				numbers[i] = n
				b.Present[i].Add(network)
			}
		}
	}
}
