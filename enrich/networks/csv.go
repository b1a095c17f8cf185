package networks

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
)

// columns of a CSV file. Each row is a prefix; rows of one name are one network.
var columns = []string{"prefix", "name", "customer", "site"}

// ReadCSV reads a list of prefixes. The first line names the columns: prefix
// and name, and if you like customer and site, in any order. An address
// without a length is a prefix of its own. Errors tell the line.
func ReadCSV(r io.Reader) ([]Network, error) {
	in := csv.NewReader(r)
	in.TrimLeadingSpace = true
	head, err := in.Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("line 1: expected the names of the columns: " + strings.Join(columns, ","))
	}
	if err != nil {
		return nil, err
	}
	at := map[string]int{}
	for i, name := range head {
		name = strings.ToLower(strings.TrimSpace(strings.TrimPrefix(name, "\ufeff"))) // a byte order mark, as spreadsheets write it
		if _, twice := at[name]; twice || !slices.Contains(columns, name) {
			return nil, fmt.Errorf("line 1: column %q: expected each of %s once", name, strings.Join(columns, ", "))
		}
		at[name] = i
	}
	for _, name := range columns[:2] {
		if _, ok := at[name]; !ok {
			return nil, fmt.Errorf("line 1: column %q is missing", name)
		}
	}
	var list []Network
	index := map[string]int{}
	for {
		row, err := in.Read()
		if errors.Is(err, io.EOF) {
			return list, nil
		}
		if err != nil {
			return nil, err
		}
		line, _ := in.FieldPos(0)
		field := func(name string) string {
			if i, ok := at[name]; ok {
				return strings.TrimSpace(row[i])
			}
			return ""
		}
		prefix, err := parsePrefix(field("prefix"))
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		n := Network{Name: field("name"), Customer: field("customer"), Site: field("site"), Prefixes: []netip.Prefix{prefix}}
		if err := n.check(); err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		i, known := index[n.Name]
		switch {
		case !known:
			index[n.Name] = len(list)
			list = append(list, n)
		case list[i].Customer != n.Customer || list[i].Site != n.Site:
			return nil, fmt.Errorf("line %d: network %q has another customer or site than before", line, n.Name)
		default:
			list[i].Prefixes = append(list[i].Prefixes, prefix)
		}
		if len(list) > MostNetworks {
			return nil, fmt.Errorf("line %d: more than %d networks", line, MostNetworks)
		}
	}
}

func parsePrefix(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return p, fmt.Errorf("prefix %q: expected one such as 192.0.2.0/24 or 2001:db8::/32", text)
	}
	return p, nil
}

// WriteCSV writes what ReadCSV reads, without those that are retired.
func WriteCSV(w io.Writer, list []Network) error {
	out := csv.NewWriter(w)
	out.Write(columns) // errors are kept until Flush
	for _, n := range list {
		for _, p := range n.Prefixes {
			out.Write([]string{p.String(), n.Name, n.Customer, n.Site})
		}
	}
	out.Flush()
	return out.Error()
}
