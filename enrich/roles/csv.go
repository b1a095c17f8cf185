package roles

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// columns of a CSV file. Each row is an interface; what is not needed is for
// whoever reads it.
var columns = []string{"exporter", "index", "role", "by_rule", "name", "description"}

// Line is an interface in CSV.
type Line struct {
	Assignment               // its role by hand, "" for none
	ByRule            string // the role that a rule gives it
	Name, Description string
}

// ReadCSV reads interfaces by hand. The first line names the columns: exporter,
// index and role, in any order, and whatever WriteCSV writes beside. A row
// without a role gives none. Errors tell the line.
func ReadCSV(r io.Reader) ([]Assignment, error) {
	in := csv.NewReader(r)
	in.TrimLeadingSpace = true
	head, err := in.Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("line 1: expected the names of the columns: " + strings.Join(columns[:3], ","))
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
	for _, name := range columns[:3] {
		if _, ok := at[name]; !ok {
			return nil, fmt.Errorf("line 1: column %q is missing", name)
		}
	}
	list := []Assignment{}
	for {
		row, err := in.Read()
		if errors.Is(err, io.EOF) {
			return list, nil
		}
		if err != nil {
			return nil, err
		}
		line, _ := in.FieldPos(0)
		field := func(name string) string { return strings.TrimSpace(row[at[name]]) }
		role := strings.ToLower(field("role"))
		if role == "" {
			continue
		}
		if err := known(role); err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		exporter, err := netip.ParseAddr(field("exporter"))
		if err != nil {
			return nil, fmt.Errorf("line %d: the exporter %q: expected an address", line, field("exporter"))
		}
		index, err := strconv.ParseUint(field("index"), 10, 32)
		if err != nil {
			return nil, fmt.Errorf("line %d: the index %q: expected a number up to 4294967295", line, field("index"))
		}
		if len(list) == mostInterfaces {
			return nil, fmt.Errorf("line %d: more than %d interfaces", line, mostInterfaces)
		}
		list = append(list, Assignment{exporter, uint32(index), role})
	}
}

// WriteCSV writes what ReadCSV reads.
func WriteCSV(w io.Writer, list []Line) error {
	out := csv.NewWriter(w)
	out.Write(columns) // errors are kept until Flush
	for _, l := range list {
		out.Write([]string{l.Exporter.String(), strconv.FormatUint(uint64(l.Index), 10), l.Role, l.ByRule, l.Name, l.Description})
	}
	out.Flush()
	return out.Error()
}
