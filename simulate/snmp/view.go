package snmp

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gosnmp/gosnmp"

	"github.com/minamo-flow/minamo/simulate"
)

// view is all that an agent knows at a moment, in the order of its names.
type view struct {
	entries []entry
}

type entry struct {
	oid   []uint32
	value gosnmp.SnmpPDU
}

const (
	system   = ".1.3.6.1.2.1.1"
	ifNumber = ".1.3.6.1.2.1.2.1"
	ifTable  = ".1.3.6.1.2.1.2.2.1"
	ifXTable = ".1.3.6.1.2.1.31.1.1.1"

	tableChanged = ".1.3.6.1.2.1.31.1.5"

	// objectID is of an enterprise number that IANA keeps for examples (RFC 5612).
	objectID = ".1.3.6.1.4.1.32473.1"
)

// softwareLoopback and ethernetCsmacd are interface types (IANAifType-MIB).
const (
	ethernetCsmacd   = 6
	softwareLoopback = 24
)

// viewOf is what a router says now.
func viewOf(r *simulate.Router) *view {
	up, table := r.Uptime(), r.IfTable()
	v := &view{}
	v.system(r, up)
	v.interfaces(table)
	slices.SortFunc(v.entries, func(a, b entry) int { return slices.Compare(a.oid, b.oid) })
	return v
}

func (v *view) add(name string, kind gosnmp.Asn1BER, value any) {
	v.entries = append(v.entries, entry{numbers(name), gosnmp.SnmpPDU{Name: name, Type: kind, Value: value}})
}

func ticks(d time.Duration) uint32 { return uint32(d / (10 * time.Millisecond)) } // begins anew after 497 days

func (v *view) system(r *simulate.Router, up time.Duration) {
	text := func(id int, value string) { v.add(fmt.Sprintf("%s.%d.0", system, id), gosnmp.OctetString, value) }
	text(1, fmt.Sprintf("%s: a router of minamo demo, which exports %s", r.Vendor.Name, r.Vendor.Protocol))
	v.add(system+".2.0", gosnmp.ObjectIdentifier, objectID)
	v.add(system+".3.0", gosnmp.TimeTicks, ticks(up))
	text(4, "noc@example.net")
	text(5, r.Name)
	text(6, map[string]string{"tyo": "Tokyo", "osk": "Osaka"}[r.Name[:3]])
	v.add(system+".7.0", gosnmp.Integer, 4) // internet: layer 3
}

func (v *view) interfaces(table []simulate.IfEntry) {
	v.add(ifNumber+".0", gosnmp.Integer, len(table))
	v.add(tableChanged+".0", gosnmp.TimeTicks, uint32(0))
	for i := range table {
		f := &table[i]
		at := "." + strconv.FormatUint(uint64(f.IfIndex), 10)
		number := func(table string, column int, kind gosnmp.Asn1BER, value uint64) {
			name := fmt.Sprintf("%s.%d%s", table, column, at)
			switch kind {
			case gosnmp.Counter64:
				v.add(name, kind, value)
			case gosnmp.Integer:
				v.add(name, kind, int(value))
			default: // counters of 32 bits begin anew
				v.add(name, kind, uint32(value))
			}
		}
		text := func(table string, column int, value string) {
			v.add(fmt.Sprintf("%s.%d%s", table, column, at), gosnmp.OctetString, value)
		}
		kind, connector, status := uint64(ethernetCsmacd), uint64(1), uint64(1)
		mac := string([]byte{2, 0, byte(f.IfIndex >> 24), byte(f.IfIndex >> 16), byte(f.IfIndex >> 8), byte(f.IfIndex)}) // locally administered
		if f.Role == simulate.Virtual {
			kind, connector, mac = softwareLoopback, 2, ""
		}
		if !f.Up {
			status = 2
		}
		number(ifTable, 1, gosnmp.Integer, uint64(f.IfIndex))
		text(ifTable, 2, f.Descr)
		number(ifTable, 3, gosnmp.Integer, kind)
		number(ifTable, 4, gosnmp.Integer, 1500)
		number(ifTable, 5, gosnmp.Gauge32, min(f.Speed*1_000_000, math.MaxUint32))
		text(ifTable, 6, mac)
		number(ifTable, 7, gosnmp.Integer, 1)
		number(ifTable, 8, gosnmp.Integer, status)
		number(ifTable, 9, gosnmp.TimeTicks, 0)
		number(ifTable, 10, gosnmp.Counter32, f.InOctets)
		number(ifTable, 11, gosnmp.Counter32, f.InPackets)
		number(ifTable, 13, gosnmp.Counter32, f.InDiscards)
		number(ifTable, 14, gosnmp.Counter32, 0)
		number(ifTable, 15, gosnmp.Counter32, 0)
		number(ifTable, 16, gosnmp.Counter32, f.OutOctets)
		number(ifTable, 17, gosnmp.Counter32, f.OutPackets)
		number(ifTable, 19, gosnmp.Counter32, 0)
		number(ifTable, 20, gosnmp.Counter32, 0)

		text(ifXTable, 1, f.Name)
		for _, column := range []int{2, 3, 4, 5} { // multicast and broadcast: there is none
			number(ifXTable, column, gosnmp.Counter32, 0)
		}
		number(ifXTable, 6, gosnmp.Counter64, f.InOctets)
		number(ifXTable, 7, gosnmp.Counter64, f.InPackets)
		number(ifXTable, 8, gosnmp.Counter64, 0)
		number(ifXTable, 9, gosnmp.Counter64, 0)
		number(ifXTable, 10, gosnmp.Counter64, f.OutOctets)
		number(ifXTable, 11, gosnmp.Counter64, f.OutPackets)
		number(ifXTable, 12, gosnmp.Counter64, 0)
		number(ifXTable, 13, gosnmp.Counter64, 0)
		number(ifXTable, 14, gosnmp.Integer, 2) // no traps of it
		number(ifXTable, 15, gosnmp.Gauge32, f.Speed)
		number(ifXTable, 16, gosnmp.Integer, 2)
		number(ifXTable, 17, gosnmp.Integer, connector)
		text(ifXTable, 18, f.Alias)
		number(ifXTable, 19, gosnmp.TimeTicks, 0)
	}
}

// numbers are those of an object identifier; what is none ends it.
func numbers(name string) (oid []uint32) {
	for part := range strings.SplitSeq(strings.TrimPrefix(name, "."), ".") {
		n, err := strconv.ParseUint(part, 10, 32)
		if err != nil {
			break
		}
		oid = append(oid, uint32(n))
	}
	return oid
}

func (v *view) find(name string) (int, bool) {
	return slices.BinarySearchFunc(v.entries, numbers(name), func(e entry, oid []uint32) int { return slices.Compare(e.oid, oid) })
}

// get is the value of that very name.
func (v *view) get(name string) gosnmp.SnmpPDU {
	if i, ok := v.find(name); ok {
		return v.entries[i].value
	}
	// An object that there is has entries with its name before theirs.
	oid := numbers(name)
	for n := len(oid); n > 8; n-- { // longer than mib-2's groups
		at, _ := slices.BinarySearchFunc(v.entries, oid[:n], func(e entry, oid []uint32) int { return slices.Compare(e.oid, oid) })
		if at < len(v.entries) && len(v.entries[at].oid) > n && slices.Equal(v.entries[at].oid[:n], oid[:n]) {
			return gosnmp.SnmpPDU{Name: name, Type: gosnmp.NoSuchInstance}
		}
	}
	return gosnmp.SnmpPDU{Name: name, Type: gosnmp.NoSuchObject}
}

// next is what follows a name.
func (v *view) next(name string) gosnmp.SnmpPDU {
	i, found := v.find(name)
	if found {
		i++
	}
	if i >= len(v.entries) {
		return gosnmp.SnmpPDU{Name: name, Type: gosnmp.EndOfMibView}
	}
	return v.entries[i].value
}

// mostVariables bounds an answer before it is cut to fit.
const mostVariables = 512

// bulk answers GetBulk (RFC 3416 §4.2.3).
func (v *view) bulk(p *gosnmp.SnmpPacket) (list []gosnmp.SnmpPDU) {
	once := min(int(p.NonRepeaters), len(p.Variables))
	for _, asked := range p.Variables[:once] {
		list = append(list, v.next(asked.Name))
	}
	var last []string
	for _, asked := range p.Variables[once:] {
		last = append(last, asked.Name)
	}
	for range p.MaxRepetitions {
		ended := true
		for i := range last {
			if len(list) >= mostVariables {
				return list
			}
			value := v.next(last[i])
			last[i] = value.Name
			ended = ended && value.Type == gosnmp.EndOfMibView
			list = append(list, value)
		}
		if ended {
			return list
		}
	}
	return list
}
