// Package rollup sums flows up into cells: how much of what passed in each
// minute, hour and day. A year of flows is too much to read for a chart; a
// year of cells is not.
//
// The table Cubes says what cells are told apart by, a cube for each family of
// reports. store builds cells from segments in the background (Builder), merges
// them (Cells) and keeps them beside the flows; query answers from them what
// they can answer, and takes the names of their columns from here.
//
// What it promises: cells are spread as query.Series spreads flows. Packets and
// bytes of a flow, multiplied by its sampling rate, are laid evenly over its
// time, in whole numbers whose sum is the flow's own; the flow itself is counted
// where it starts. So answers from cells and from flows are equal, to the byte.
// Of a bucket with too many cells the heaviest are kept, and the rest is one
// cell that says so, and how heavy the heaviest of them was.
package rollup

import (
	"slices"
	"time"

	"github.com/minamo-flow/minamo/flow"
)

// Level is the length of the buckets of a table.
type Level uint8

const (
	Minute Level = iota
	Hour
	Day
	levels
)

// Levels are all of them, the finest first.
var Levels = []Level{Minute, Hour, Day}

var steps = [levels]int64{Minute: 60_000, Hour: 3_600_000, Day: 86_400_000}

// Step is the length of a bucket. Buckets begin at multiples of it (UTC).
func (l Level) Step() time.Duration { return time.Duration(steps[l]) * time.Millisecond }

// String is the level's part in the name of a table.
func (l Level) String() string { return [levels]string{"minute", "hour", "day"}[l] }

// Key is a column that tells cells apart.
type Key struct {
	Name   string // in files and in SQL: a flow column's own name, where it is one
	Kind   flow.Kind
	Doc    string
	Heavy  bool // the rest of a bucket has none: it is of many values
	column flow.Column
	derive func(*row) (value uint64, present bool)
}

// Cube is a table of cells, one for each level.
type Cube struct {
	Name string
	Doc  string
	Keys []Key

	// Most is how many cells a bucket of a level keeps, the rest apart.
	Most [levels]int

	// From is the cube that this one sums up further, whose cells it is made
	// from; nil is flows. Its keys are then made by fold.
	From *Cube
	fold func(from, to *Cube, cell, sum []uint64)

	layout layout
	same   []int // of each key, the one of the same name in From; -1 for none
}

// Table is the name of a cube at a level, and of its directory.
func (c *Cube) Table(l Level) string { return c.Name + "_" + l.String() }

// Measures are the columns of a cell beside its bucket and its keys. The last
// four are absent but in the cell of the rest: how many cells it holds, and the
// greatest of each measure among them, so that who is not in a bucket can be
// told to have had no more than that.
var Measures = []string{"flows", "packets", "bytes", "variance", "rest", "most_flows", "most_packets", "most_bytes"}

// Bucket is the name of the column with a cell's time.
const Bucket = "bucket"

func column(c flow.Column, heavy bool) Key {
	f := flow.Schema[c]
	return Key{Name: f.Name, Kind: f.Kind, Doc: f.Doc, Heavy: heavy, column: c}
}

// Names of the keys that are not columns of flows.
const (
	App           = "app"
	PacketSize    = "packet_size"
	DurationClass = "duration_class"
	IPVersion     = "ip_version"
	Loop          = "loop"
	SrcNet        = "src_net"
	DstNet        = "dst_net"
)

var (
	app        = Key{Name: App, Kind: flow.Uint32, Doc: "Service: protocol × 131072, + 65536 and the port where it has one.", Heavy: true, derive: deriveApp}
	packetSize = Key{Name: PacketSize, Kind: flow.Uint16, Doc: "Mean bytes a packet, as the lower bound of its range.", derive: derivePacketSize}
	duration   = Key{Name: DurationClass, Kind: flow.Uint32, Doc: "Duration in milliseconds, as the lower bound of its range.", derive: deriveDuration}
	ipVersion  = Key{Name: IPVersion, Kind: flow.Uint8, Doc: "4 or 6, after the source address.", derive: deriveIPVersion}
	loop       = Key{Name: Loop, Kind: flow.Uint8, Doc: "1 where source and destination are the same address."}
)

// How many cells are kept by minute, hour and day: where they are few by
// nature, unless somebody scans; where some are many; and where they are many
// everywhere.
var (
	few      = [levels]int{1 << 13, 1 << 14, 1 << 15}
	some     = [levels]int{1 << 11, 1 << 13, 1 << 14}
	heaviest = [levels]int{1 << 10, 1 << 13, 1 << 14}
)

// Cubes are all there are; of two that tell the same, the smaller one stands
// first. A new one is made of the flows that are still kept,
// without anybody's doing; one that has changed needs a new name.
var Cubes = []*Cube{
	{
		Name: "traffic", Doc: "What kind of traffic: protocol, service, packet size, ToS.",
		Keys: []Key{column(flow.Protocol, false), app, packetSize, column(flow.TOS, false), ipVersion, column(flow.Direction, false)},
		Most: some,
	},
	{
		Name: "flags", Doc: "What the flows looked like: TCP flags, ICMP types, duration.",
		Keys: []Key{column(flow.Protocol, false), column(flow.TCPFlags, true), column(flow.ICMPType, true), column(flow.ICMPCode, true), duration, column(flow.Direction, false)},
		Most: few,
	},
	{
		Name: "interfaces", Doc: "Through where: exporter and interfaces, and what became of it.",
		Keys: []Key{column(flow.Exporter, true), column(flow.InIf, true), column(flow.OutIf, true), column(flow.ForwardingStatus, true), column(flow.Direction, false)},
		Most: few,
	},
	{
		Name: "src_as", Doc: "Which ASes sent.",
		Keys: []Key{column(flow.SrcAS, true), column(flow.Direction, false)},
		Most: few, From: as, fold: foldSame,
	},
	{
		Name: "dst_as", Doc: "Which ASes received.",
		Keys: []Key{column(flow.DstAS, true), column(flow.Direction, false)},
		Most: few, From: as, fold: foldSame,
	},
	as,
	{
		Name: "src_own_networks", Doc: "Which networks of the operator's sent.",
		Keys: []Key{column(flow.SrcNetwork, true), column(flow.Direction, false)},
		Most: few, From: ownNetworks, fold: foldSame,
	},
	{
		Name: "dst_own_networks", Doc: "Which networks of the operator's received.",
		Keys: []Key{column(flow.DstNetwork, true), column(flow.Direction, false)},
		Most: few, From: ownNetworks, fold: foldSame,
	},
	ownNetworks,
	{
		Name: "countries", Doc: "Between which countries.",
		Keys: []Key{column(flow.SrcCountry, true), column(flow.DstCountry, true), column(flow.Direction, false)},
		Most: few,
	},
	{
		Name: "src_networks", Doc: "Source networks: /24 of IPv4, /48 of IPv6.",
		Keys: []Key{{Name: SrcNet, Kind: flow.Address, Doc: "First address of the source's /24 or /48.", Heavy: true}, column(flow.Direction, false)},
		Most: heaviest, From: srcAddresses, fold: foldNetwork,
	},
	{
		Name: "dst_networks", Doc: "Destination networks: /24 of IPv4, /48 of IPv6.",
		Keys: []Key{{Name: DstNet, Kind: flow.Address, Doc: "First address of the destination's /24 or /48.", Heavy: true}, column(flow.Direction, false)},
		Most: heaviest, From: dstAddresses, fold: foldNetwork,
	},
	srcAddresses,
	dstAddresses,
	pairs,
}

var as = &Cube{
	Name: "as", Doc: "Between which ASes, and through which neighbours.",
	Keys: []Key{column(flow.SrcAS, true), column(flow.DstAS, true), column(flow.PrevAS, true), column(flow.NextAS, true), column(flow.Direction, false)},
	Most: some,
}

var ownNetworks = &Cube{
	Name: "own_networks", Doc: "Between which networks of the operator's.",
	Keys: []Key{column(flow.SrcNetwork, true), column(flow.DstNetwork, true), column(flow.Direction, false)},
	Most: some,
}

var pairs = &Cube{
	Name: "pairs", Doc: "Who talked to whom.",
	Keys: []Key{column(flow.SrcAddr, true), column(flow.DstAddr, true), column(flow.Direction, false)},
	Most: heaviest,
}

var srcAddresses = &Cube{
	Name: "src_addresses", Doc: "Who sent.",
	Keys: []Key{column(flow.SrcAddr, true), loop, column(flow.Direction, false)},
	Most: heaviest, From: pairs, fold: foldEnd,
}

var dstAddresses = &Cube{
	Name: "dst_addresses", Doc: "Who received.",
	Keys: []Key{column(flow.DstAddr, true), loop, column(flow.Direction, false)},
	Most: heaviest, From: pairs, fold: foldEnd,
}

func init() {
	for _, c := range Cubes {
		c.layout = layoutOf(c.Keys)
		for _, k := range c.Keys {
			same := -1
			if c.From != nil {
				same = slices.IndexFunc(c.From.Keys, func(o Key) bool { return o.Name == k.Name })
			}
			c.same = append(c.same, same)
		}
	}
}

// Find returns the cube and the level of a table.
func Find(table string) (*Cube, Level, bool) {
	for _, c := range Cubes {
		for _, l := range Levels {
			if c.Table(l) == table {
				return c, l, true
			}
		}
	}
	return nil, 0, false
}

// Needs are the columns of flows that cells are made from.
var Needs = flow.MaskOf(flow.Start, flow.End, flow.Packets, flow.Bytes, flow.SamplingRate,
	flow.Protocol, flow.SrcPort, flow.DstPort, flow.TOS, flow.Direction, flow.TCPFlags, flow.ICMPType, flow.ICMPCode,
	flow.Exporter, flow.InIf, flow.OutIf, flow.ForwardingStatus, flow.SrcAS, flow.DstAS, flow.PrevAS, flow.NextAS,
	flow.SrcAddr, flow.DstAddr, flow.SrcNetwork, flow.DstNetwork, flow.SrcCountry, flow.DstCountry)

// Key returns the cube's key of that name.
func (c *Cube) Key(name string) (Key, bool) {
	i := slices.IndexFunc(c.Keys, func(k Key) bool { return k.Name == name })
	if i < 0 {
		return Key{}, false
	}
	return c.Keys[i], true
}
