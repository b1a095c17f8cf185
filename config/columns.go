package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/query"
	"github.com/minamo-flow/minamo/wire/netflow"
	"github.com/minamo-flow/minamo/wire/packet"
)

// Column is a column of the operator's own: of an element, or of bits of the
// sampled packets.
type Column struct {
	Name    string  `yaml:"name"`
	Type    Kind    `yaml:"type"`
	Element Element `yaml:"element"`
	Packet  Packet  `yaml:"packet"`
}

// Packet is where in a packet the bits of a column are.
type Packet struct {
	From Base `yaml:"from"`
	Bit  int  `yaml:"bit"`
	Bits int  `yaml:"bits"`
}

// Kind is a column's type, by its name.
type Kind struct {
	flow.Kind
	given bool
}

func (k *Kind) parse(text string) error {
	var names []string
	for kind := flow.Uint8; kind <= flow.Text; kind++ {
		if names = append(names, kind.String()); kind.String() == text {
			*k = Kind{kind, true}
			return nil
		}
	}
	return fmt.Errorf("expected one of %s, found %q", strings.Join(names, ", "), text)
}

// Element is an information element, by name or number.
type Element struct {
	netflow.Information
	given bool
}

func (e *Element) parse(text string) error {
	found, ok := netflow.ByName(text)
	if !ok {
		return fmt.Errorf("expected an element of the registry such as applicationName or cisco/applicationHttpHost, or ENTERPRISE/ID, found %q", text)
	}
	*e = Element{found, true}
	return nil
}

// Base is a header that bits are counted from.
type Base struct {
	packet.Base
	given bool
}

var bases = []string{packet.LinkHeader: "link", packet.NetworkHeader: "network", packet.TransportHeader: "transport"}

func (b *Base) parse(text string) error {
	i := slices.Index(bases, text)
	if i < 0 {
		return fmt.Errorf("expected one of %s, found %q", strings.Join(bases, ", "), text)
	}
	*b = Base{packet.Base(i), true}
	return nil
}

// Tunnel is a kind of tunnel, by its name.
type Tunnel uint8

func (t *Tunnel) parse(text string) error {
	code, ok := packet.ParseTunnel(text)
	if !ok {
		var names []string
		for _, name := range flow.Schema[flow.Tunnel].Names {
			names = append(names, name)
		}
		slices.Sort(names)
		return fmt.Errorf("expected one of %s, found %q", strings.Join(names, ", "), text)
	}
	*t = Tunnel(code)
	return nil
}

var columnName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,39}$`) // as flow.Define has it

// problem tells what is wrong with a column, and under which key.
func (c *Column) problem() (key string, err error) {
	if !columnName.MatchString(c.Name) {
		return "name", fmt.Errorf("expected lower-case letters, digits and _, a letter first, at most 40, found %q", c.Name)
	}
	if of, taken := flow.Lookup(c.Name); taken && of < flow.NumColumns {
		return "name", fmt.Errorf("there is a column %q already", c.Name)
	}
	if err := query.CheckColumnName(c.Name); err != nil {
		return "name", err
	}
	if !c.Type.given {
		return "", errors.New("type is missing")
	}
	fromPacket := c.Packet != Packet{}
	switch {
	case c.Element.given && fromPacket:
		return "packet", errors.New("a column is of an element or of packet bits, not of both")
	case c.Element.given:
		if !holds(c.Type.Kind, c.Element.Type) {
			return "type", fmt.Errorf("a column of type %s cannot hold %s, which is of type %s", c.Type, c.Element.Information, c.Element.Type)
		}
	case !fromPacket:
		return "", errors.New("element or packet is missing: where does the column come from?")
	case !c.Packet.From.given:
		return "packet", errors.New("from is missing")
	case c.Packet.Bit < 0 || c.Packet.Bit > 1<<16:
		return "packet", fmt.Errorf("bit %d: expected 0 to 65536", c.Packet.Bit)
	case c.Packet.Bits < 1 || c.Packet.Bits > bitsOf(c.Type.Kind):
		return "packet", fmt.Errorf("%d bits: a column of type %s holds 1 to %d", c.Packet.Bits, c.Type, bitsOf(c.Type.Kind))
	}
	return "", nil
}

// bitsOf is how many bits of a packet a column holds.
func bitsOf(kind flow.Kind) int {
	return map[flow.Kind]int{flow.Uint8: 8, flow.Uint16: 16, flow.Uint32: 32, flow.Uint64: 64, flow.MAC: 48}[kind]
}

// holds tells whether a column can hold what an element of the type says; see
// netflow.CustomElement. Of an element that is not known anything may come.
func holds(kind flow.Kind, t netflow.DataType) bool {
	bits := 0 // of a number
	switch t {
	case netflow.TypeOctetArray:
		return true
	case netflow.TypeBasicList, netflow.TypeSubTemplateList, netflow.TypeSubTemplateMultiList, netflow.TypeUnsigned256:
		return false
	case netflow.TypeString:
		return kind == flow.Text
	case netflow.TypeIpv4Address, netflow.TypeIpv6Address:
		return kind == flow.Text || kind == flow.Address
	case netflow.TypeMacAddress:
		return kind == flow.Text || kind == flow.MAC || kind == flow.Uint64
	case netflow.TypeDateTimeSeconds, netflow.TypeDateTimeMilliseconds, netflow.TypeDateTimeMicroseconds, netflow.TypeDateTimeNanoseconds:
		return kind == flow.Time
	case netflow.TypeUnsigned8, netflow.TypeSigned8, netflow.TypeBoolean:
		bits = 8
	case netflow.TypeUnsigned16, netflow.TypeSigned16:
		bits = 16
	case netflow.TypeUnsigned32, netflow.TypeSigned32:
		bits = 32
	case netflow.TypeUnsigned64, netflow.TypeSigned64, netflow.TypeFloat32, netflow.TypeFloat64:
		bits = 64
	}
	switch kind {
	case flow.Text:
		return t >= netflow.TypeUnsigned8 && t <= netflow.TypeFloat64
	case flow.Time:
		return t == netflow.TypeUnsigned32 || t == netflow.TypeUnsigned64
	case flow.Address, flow.MAC:
		return false
	}
	return bitsOf(kind) >= bits
}

// columns checks the list as a whole.
func (d *decoder) columns(n *yaml.Node, list []Column) {
	if most := int(flow.MaxColumns - flow.NumColumns); len(list) > most {
		d.fault(n.Content[most], "columns: there can be %d at most", most)
	}
	seen := map[string]bool{}
	for i, c := range list {
		if seen[c.Name] {
			d.fault(child(n.Content[i], "name"), "columns.name: %q is given twice", c.Name)
		}
		seen[c.Name] = true
	}
}

// child is the value of a key, or the mapping itself where the key is absent.
func child(n *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return n
}
