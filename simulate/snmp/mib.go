package snmp

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/minamo-flow/minamo/simulate"
)

// object is an object type: a scalar, whose one instance is 0, or a column of a
// table, whose instances are ifIndexes.
type object struct {
	name   oid
	scalar func(*view) value
	column func(*simulate.IfEntry) value
}

// Values of enumerations: TruthValue (RFC 2579), ifAdminStatus and ifOperStatus
// (RFC 2863), ifType (IANAifType-MIB).
const (
	yes, no  = 1, 2
	up, down = 1, 2

	other, ethernetCsmacd, softwareLoopback = 1, 6, 24
)

// objects are all that an agent knows, in the order of their names:
// SNMPv2-MIB's groups system and snmp (RFC 3418), and IF-MIB (RFC 2863) but for
// what is deprecated in it.
var objects = slices.Concat(
	scalars("1.3.6.1.2.1.1", map[uint32]func(*view) value{
		1: func(v *view) value { return text(v.router.Vendor.SysDescr) },
		2: func(v *view) value { return identifier(parse(v.router.Vendor.ObjectID)) },
		3: func(v *view) value { return ticks(int64(v.uptime / (10 * time.Millisecond))) },
		4: func(v *view) value { return text("noc@hotaru.example") },
		5: func(v *view) value { return text(v.router.Name) },
		6: func(v *view) value { return text(place[v.router.Name[:3]]) },
		7: func(v *view) value { return integer(4) }, // sysServices: it forwards layer 3
	}),
	scalars("1.3.6.1.2.1.2", map[uint32]func(*view) value{
		1: func(v *view) value { return integer(len(v.table)) },
	}),
	columns("1.3.6.1.2.1.2.2.1", map[uint32]func(*simulate.IfEntry) value{
		1:  func(f *simulate.IfEntry) value { return integer(int(f.IfIndex)) },
		2:  func(f *simulate.IfEntry) value { return text(f.Descr) },
		3:  func(f *simulate.IfEntry) value { return integer(kind(f)) },
		4:  func(f *simulate.IfEntry) value { return integer(1500) },        // ifMtu
		5:  func(f *simulate.IfEntry) value { return gauge(f.Speed * 1e6) }, // all ones: see ifHighSpeed
		6:  func(f *simulate.IfEntry) value { return text(physicalAddress(f)) },
		7:  func(f *simulate.IfEntry) value { return integer(up) }, // ifAdminStatus
		8:  func(f *simulate.IfEntry) value { return integer(choose(f.Up, up, down)) },
		9:  func(f *simulate.IfEntry) value { return ticks(0) }, // ifLastChange: before it was initialised
		10: func(f *simulate.IfEntry) value { return counter(f.InOctets) },
		11: func(f *simulate.IfEntry) value { return counter(f.InPackets) },
		13: func(f *simulate.IfEntry) value { return counter(f.InDiscards) },
		14: func(f *simulate.IfEntry) value { return counter(0) }, // ifInErrors: links are good
		15: func(f *simulate.IfEntry) value { return counter(0) }, // ifInUnknownProtos
		16: func(f *simulate.IfEntry) value { return counter(f.OutOctets) },
		17: func(f *simulate.IfEntry) value { return counter(f.OutPackets) },
		19: func(f *simulate.IfEntry) value { return counter(0) }, // ifOutDiscards
		20: func(f *simulate.IfEntry) value { return counter(0) }, // ifOutErrors
	}),
	scalars("1.3.6.1.2.1.11", map[uint32]func(*view) value{
		1:  func(v *view) value { return counter(v.Packets.Load()) },
		3:  func(v *view) value { return counter(v.BadVersions.Load()) },
		4:  func(v *view) value { return counter(v.BadCommunities.Load()) },
		6:  func(v *view) value { return counter(v.Malformed.Load()) },
		30: func(v *view) value { return integer(no) }, // snmpEnableAuthenTraps
	}),
	columns("1.3.6.1.2.1.31.1.1.1", map[uint32]func(*simulate.IfEntry) value{
		1:  func(f *simulate.IfEntry) value { return text(f.Name) },
		2:  func(f *simulate.IfEntry) value { return counter(0) }, // multicast and broadcast: there is none
		3:  func(f *simulate.IfEntry) value { return counter(0) },
		4:  func(f *simulate.IfEntry) value { return counter(0) },
		5:  func(f *simulate.IfEntry) value { return counter(0) },
		6:  func(f *simulate.IfEntry) value { return wide(f.InOctets) },
		7:  func(f *simulate.IfEntry) value { return wide(f.InPackets) },
		8:  func(f *simulate.IfEntry) value { return wide(0) },
		9:  func(f *simulate.IfEntry) value { return wide(0) },
		10: func(f *simulate.IfEntry) value { return wide(f.OutOctets) },
		11: func(f *simulate.IfEntry) value { return wide(f.OutPackets) },
		12: func(f *simulate.IfEntry) value { return wide(0) },
		13: func(f *simulate.IfEntry) value { return wide(0) },
		14: func(f *simulate.IfEntry) value { return integer(no) }, // ifLinkUpDownTrapEnable: disabled
		15: func(f *simulate.IfEntry) value { return gauge(f.Speed) },
		16: func(f *simulate.IfEntry) value { return integer(no) }, // ifPromiscuousMode
		17: func(f *simulate.IfEntry) value { return integer(choose(f.Role == simulate.Virtual, no, yes)) },
		18: func(f *simulate.IfEntry) value { return text(f.Alias) },
		19: func(f *simulate.IfEntry) value { return ticks(0) }, // ifCounterDiscontinuityTime: since it started, there was none
	}),
	scalars("1.3.6.1.2.1.31.1", map[uint32]func(*view) value{
		5: func(v *view) value { return ticks(0) }, // ifTableLastChange: interfaces come and go with a restart
	}),
)

var place = map[string]string{"tyo": "Tokyo", "osk": "Osaka"}

func kind(f *simulate.IfEntry) int {
	switch {
	case f.Role != simulate.Virtual:
		return ethernetCsmacd
	case strings.HasPrefix(strings.ToLower(f.Name), "lo"):
		return softwareLoopback
	}
	return other
}

// physicalAddress is the router's, to which frames are addressed that it samples.
func physicalAddress(f *simulate.IfEntry) string {
	if f.Role == simulate.Virtual {
		return ""
	}
	return string([]byte{2, 0, 0, 0, f.Router.Addr.As4()[3] - 1, 1})
}

func choose(which bool, a, b int) int {
	if which {
		return a
	}
	return b
}

// scalars are objects below a name.
func scalars(below string, what map[uint32]func(*view) value) (list []object) {
	for last, of := range what {
		list = append(list, object{name: append(parse(below), last), scalar: of})
	}
	return ordered(list)
}

// columns are those of a table.
func columns(entry string, what map[uint32]func(*simulate.IfEntry) value) (list []object) {
	for last, of := range what {
		list = append(list, object{name: append(parse(entry), last), column: of})
	}
	return ordered(list)
}

func ordered(list []object) []object {
	slices.SortFunc(list, func(a, b object) int { return slices.Compare(a.name, b.name) })
	return list
}

// parse reads an object identifier that is written with dots.
func parse(dotted string) (name oid) {
	for part := range strings.SplitSeq(dotted, ".") {
		n, err := strconv.ParseUint(part, 10, 32)
		if err != nil {
			panic(err) // it is one of ours
		}
		name = append(name, uint32(n))
	}
	return name
}

// view is what a router says of itself at one moment.
type view struct {
	*Statistics
	router *simulate.Router
	uptime time.Duration
	table  []simulate.IfEntry // by ifIndex
}

func (a *agent) look() *view {
	v := &view{Statistics: &a.Statistics, router: a.router}
	v.uptime, v.table = a.router.Reading()
	slices.SortFunc(v.table, func(a, b simulate.IfEntry) int { return int(a.IfIndex) - int(b.IfIndex) })
	return v
}

// at finds the last object whose name is not after a name; -1 for none. If it
// has the name, or what is before its instance, rest is the instance.
func at(name oid) (i int, rest oid, within bool) {
	i, exact := slices.BinarySearchFunc(objects, name, func(o object, name oid) int { return slices.Compare(o.name, name) })
	if !exact {
		i--
	}
	if i < 0 || len(objects[i].name) > len(name) || !slices.Equal(objects[i].name, name[:len(objects[i].name)]) {
		return i, nil, false
	}
	return i, name[len(objects[i].name):], true
}

// get is the value of that very name (RFC 3416 §4.2.1).
func (v *view) get(name oid) value {
	i, rest, ok := at(name)
	if !ok {
		return value{tag: noSuchObject}
	}
	if len(rest) == 1 {
		if o := &objects[i]; o.column == nil && rest[0] == 0 {
			return o.scalar(v)
		} else if o.column != nil {
			if row, ok := v.row(rest[0]); ok {
				return o.column(&v.table[row])
			}
		}
	}
	return value{tag: noSuchInstance}
}

// next is what follows a name (RFC 3416 §4.2.2).
func (v *view) next(name oid) (oid, value) {
	i, rest, within := at(name)
	if !within {
		i, rest = i+1, nil
	}
	for ; i < len(objects); i, rest = i+1, nil {
		o := &objects[i]
		if o.column == nil {
			if len(rest) == 0 {
				return slices.Concat(o.name, oid{0}), o.scalar(v)
			}
			continue
		}
		row := 0
		if len(rest) > 0 {
			var exact bool
			if row, exact = v.row(rest[0]); exact {
				row++
			}
		}
		if row < len(v.table) {
			return slices.Concat(o.name, oid{v.table[row].IfIndex}), o.column(&v.table[row])
		}
	}
	return name, value{tag: endOfMibView}
}

// row is where an ifIndex is in the table, or would be.
func (v *view) row(index uint32) (int, bool) {
	return slices.BinarySearchFunc(v.table, index, func(f simulate.IfEntry, index uint32) int {
		return int(f.IfIndex) - int(index)
	})
}
