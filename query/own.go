package query

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/minamo-flow/minamo/flow"
)

// Names are what the operator calls the numbers in flows. They are looked up
// when a question is asked, never stored with flows: a name of today is true
// of yesterday.
type Names struct {
	Networks   []NetworkName
	Interfaces map[InterfaceID]string
	Roles      map[InterfaceID]string // what interfaces are for
	Exporters  map[netip.Addr]string
	ASes       ASNames // nil knows none
}

// ASNames tell who holds an AS, "" where they do not know. Two that are equal
// tell the same.
type ASNames interface {
	ASName(asn uint32) string
}

// same tells whether nothing is called otherwise.
func (n *Names) same(o *Names) bool {
	return n.ASes == o.ASes && slices.Equal(n.Networks, o.Networks) && maps.Equal(n.Interfaces, o.Interfaces) && maps.Equal(n.Roles, o.Roles) && maps.Equal(n.Exporters, o.Exporters)
}

// NetworkName is what src_network and dst_network are called, by number.
type NetworkName struct {
	Number               uint32
	Name, Customer, Site string
}

// InterfaceID is an exporter's interface.
type InterfaceID struct {
	Exporter netip.Addr
	Index    uint32
}

// ownTables is the SQL of what the operator's names are kept in while questions
// are asked, and of the functions by which they name a column's numbers. DuckDB
// turns the function's question into a join.
const ownTables = `
CREATE TABLE own_networks (number UINTEGER, name VARCHAR, customer VARCHAR, site VARCHAR);
CREATE MACRO network_name(n) AS (SELECT name FROM own_networks WHERE number = n);
CREATE MACRO network_customer(n) AS (SELECT customer FROM own_networks WHERE number = n);
CREATE MACRO network_site(n) AS (SELECT site FROM own_networks WHERE number = n);
CREATE TABLE own_interfaces (device UUID, number UINTEGER, name VARCHAR, role VARCHAR);
CREATE MACRO interface_name(e, n) AS (SELECT name FROM own_interfaces WHERE device = e AND number = n);
CREATE MACRO interface_role(e, n) AS (SELECT role FROM own_interfaces WHERE device = e AND number = n);
`

// SetNames replaces what the operator's numbers are called. Questions that are
// being answered keep the names they began with. Where nothing is called
// otherwise it does nothing.
func (e *Engine) SetNames(ctx context.Context, n Names) error {
	e.naming.Lock()
	defer e.naming.Unlock()
	if old := e.names.Load(); old != nil && old.same(&n) {
		return nil
	}
	tx, err := e.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("take over names: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // nothing is left of it, or it was committed
	if _, err := tx.ExecContext(ctx, "DELETE FROM own_networks; DELETE FROM own_interfaces"); err != nil {
		return fmt.Errorf("take over names: %w", err)
	}
	var interfaces []string
	add := func(id InterfaceID) {
		interfaces = append(interfaces, fmt.Sprintf("(%s, %d, %s, %s)", addrLiteral(flow.AddrFrom(id.Exporter)), id.Index, orNull(n.Interfaces[id]), orNull(n.Roles[id])))
	}
	for id := range n.Interfaces {
		add(id)
	}
	for id := range n.Roles {
		if _, named := n.Interfaces[id]; !named {
			add(id)
		}
	}
	slices.Sort(interfaces) // the same names make the same table
	for some := range slices.Chunk(interfaces, 1000) {
		if _, err := tx.ExecContext(ctx, "INSERT INTO own_interfaces VALUES "+strings.Join(some, ", ")); err != nil {
			return fmt.Errorf("take over names: %w", err)
		}
	}
	named := make(map[uint32]NetworkName, len(n.Networks))
	const atOnce = 1000
	for first := 0; first < len(n.Networks); first += atOnce {
		rows := make([]string, 0, atOnce)
		for _, w := range n.Networks[first:min(first+atOnce, len(n.Networks))] {
			if _, twice := named[w.Number]; twice {
				return fmt.Errorf("take over names: network %d has two", w.Number)
			}
			named[w.Number] = w
			rows = append(rows, fmt.Sprintf("(%d, %s, %s, %s)", w.Number, textLiteral(w.Name), orNull(w.Customer), orNull(w.Site)))
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO own_networks VALUES "+strings.Join(rows, ", ")); err != nil {
			return fmt.Errorf("take over names: %w", err)
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("take over names: %w", err)
	}
	e.names.Store(&names{n, named})
	e.named.Add(1)
	return nil
}

// Named counts how often names, or sampling rates by hand, were replaced: answers
// before and after differ.
func (e *Engine) Named() uint64 { return e.named.Load() }

func orNull(text string) string {
	if text == "" {
		return "NULL"
	}
	return textLiteral(text)
}

// names are Names, by number.
type names struct {
	Names
	networks map[uint32]NetworkName
}

// label gives the values of a key the operator's names.
func (e *Engine) label(by []Dimension, key []Value) []Value {
	n := e.names.Load()
	if n == nil {
		n = &names{}
	}
	var exporter netip.Addr
	for i := range by {
		if by[i].Name == flow.Exporter.String() {
			exporter, _ = netip.ParseAddr(key[i].Text)
		}
	}
	for i := range by {
		if v := &key[i]; v.Present {
			name := n.of(&by[i], exporter, v.Text)
			if by[i].naming == nameOfInterface && name == "" {
				name = e.once(exporter, v)
			}
			if name != "" {
				v.Name = name
				v.Label = by[i].named(v.Label, name)
			}
		}
	}
	return key
}

// of is the name of a dimension's value; "" where it has none.
func (n *names) of(d *Dimension, exporter netip.Addr, text string) string {
	if d.naming == nameless {
		return ""
	}
	if d.naming == nameOfExporter {
		return n.Exporters[exporter]
	}
	number, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return ""
	}
	switch d.naming {
	case nameOfNetwork:
		return n.networks[uint32(number)].Name
	case nameOfInterface:
		return n.Interfaces[InterfaceID{exporter, uint32(number)}]
	case nameOfAS:
		if n.ASes != nil {
			return n.ASes.ASName(uint32(number))
		}
	}
	return ""
}

// naming is whose names the values of a dimension have.
type naming uint8

const (
	nameless naming = iota
	nameOfExporter
	nameOfInterface
	nameOfNetwork
	nameOfAS
)

// namings are those of columns.
var namings = map[flow.Column]naming{
	flow.Exporter: nameOfExporter,
	flow.InIf:     nameOfInterface, flow.OutIf: nameOfInterface,
	flow.SrcNetwork: nameOfNetwork, flow.DstNetwork: nameOfNetwork,
	flow.SrcAS: nameOfAS, flow.DstAS: nameOfAS, flow.PrevAS: nameOfAS, flow.NextAS: nameOfAS,
}

// named is the label of a value that has a name: a network's is its name alone,
// for its number means nothing to anybody; others show both.
func (d *Dimension) named(label, name string) string {
	switch d.naming {
	case nameOfNetwork:
		return name
	case nameOfInterface:
		return name + " (" + label + ")"
	}
	return label + " " + name
}

// What a network's number tells beside its name.
func networkName(c flow.Column) value     { return value{"network_name(%s)", []flow.Column{c}} }
func networkCustomer(c flow.Column) value { return value{"network_customer(%s)", []flow.Column{c}} }
func networkSite(c flow.Column) value     { return value{"network_site(%s)", []flow.Column{c}} }

// interfaceName is what an exporter's interface is called, and interfaceRole what
// it is for.
func interfaceName(c flow.Column) value {
	return value{"interface_name(%s, %s)", []flow.Column{flow.Exporter, c}}
}

func interfaceRole(c flow.Column) value {
	return value{"interface_role(%s, %s)", []flow.Column{flow.Exporter, c}}
}

// ownRow is a dimension of texts of the operator's.
func ownRow(name, doc string, values ...value) dimensionRow {
	d := Dimension{Name: name, Doc: doc, value: func(v any) Value {
		if text, ok := v.(string); ok {
			return textValue(text)
		}
		return Value{Label: Absent}
	}}
	for _, v := range values {
		d.sql = append(d.sql, v.String())
	}
	return dimensionRow{Dimension: d, column: flow.MaxColumns}
}
