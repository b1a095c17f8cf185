// Package query answers questions about stored flows: what matches a filter
// (ParseFilter, in nfdump's syntax), who is largest (Top), how it went over
// time (Series), and the flows themselves (Flows).
//
// It is called by the shell (`minamo flows`) and by the HTTP server. It reads
// the Parquet files of store, or any others with the same columns, through
// DuckDB within the process. Results are exact: sums are whole numbers, the
// remainder of a top list is counted, and a series adds up to its flows.
//
// Packets and bytes are multiplied by the sampling rate unless the request is
// Raw; that goes for filters too, which compare what the result shows.
package query

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/minamo-flow/minamo/flow"
)

// Source is a set of Parquet files that stay readable during a query;
// *store.Snapshot is one.
type Source interface {
	Paths() []string
}

// Files is a Source of plain paths.
type Files []string

func (f Files) Paths() []string { return f }

// Order tells by what rows are ranked; the greatest comes first except where
// noted. With ":a" behind its name the smallest comes first, with ":d" the
// greatest.
type Order string

const (
	ByFlows    Order = "flows"
	ByPackets  Order = "packets"
	ByBytes    Order = "bytes"
	ByPPS      Order = "pps"      // packets per second, from first start to last end
	ByBPS      Order = "bps"      // bits per second, likewise
	ByBPP      Order = "bpp"      // bytes per packet
	ByDuration Order = "duration" // from first start to last end
	ByStart    Order = "tstart"   // the earliest start first
	ByEnd      Order = "tend"     // the earliest end first
	ByNewest   Order = "newest"   // the latest start first

	// Of one direction, where both are folded into a row: in is from the first
	// side to the second.
	ByInPackets  Order = "ipackets"
	ByInBytes    Order = "ibytes"
	ByInPPS      Order = "ipps"
	ByInBPS      Order = "ibps"
	ByInBPP      Order = "ibpp"
	ByOutPackets Order = "opackets"
	ByOutBytes   Order = "obytes"
	ByOutPPS     Order = "opps"
	ByOutBPS     Order = "obps"
	ByOutBPP     Order = "obpp"
)

// ParseOrder returns the Order called name, which can have ":a" (ascending) or
// ":d" (descending) behind it.
func ParseOrder(name string) (Order, error) {
	base, direction, directed := strings.Cut(name, ":")
	if full, ok := orderSynonyms[base]; ok {
		base = full
	}
	if _, ok := orderings[Order(base)]; !ok {
		return "", fmt.Errorf("order %q is unknown: expected flows, packets, bytes, pps, bps, bpp, with i or o before them for one direction, duration, tstart, tend or newest", name)
	}
	if !directed {
		return Order(base), nil
	}
	if direction != "a" && direction != "d" {
		return "", fmt.Errorf("order %q: expected :a (ascending) or :d (descending) behind %s", name, base)
	}
	return Order(base + ":" + direction), nil
}

// orderSynonyms are nfdump's names.
var orderSynonyms = map[string]string{"ipkg": "ipackets", "opkg": "opackets", "ibyte": "ibytes", "obyte": "obytes"}

// ordering is a value to rank rows by.
type ordering struct {
	value     string // SQL over flows, packets, bytes, out_packets, out_bytes, first and last
	ascending bool   // the smallest comes first
}

var orderings = func() map[Order]ordering {
	m := map[Order]ordering{
		ByFlows:    {"flows", false},
		ByDuration: {`("last" - "first")`, false},
		ByStart:    {`"first"`, true},
		ByEnd:      {`"last"`, true},
		ByNewest:   {`"first"`, false},
	}
	for before, of := range map[string]func(counter string) string{
		"":  func(counter string) string { return counter },
		"i": func(counter string) string { return "(" + counter + " - least(" + counter + ", out_" + counter + "))" },
		"o": func(counter string) string { return "out_" + counter },
	} {
		rate := func(counter string) ordering {
			return ordering{`(CASE WHEN "last" > "first" THEN ` + of(counter) + `::DOUBLE / ("last" - "first") ELSE 0 END)`, false}
		}
		m[Order(before+"packets")] = ordering{of("packets"), false}
		m[Order(before+"bytes")] = ordering{of("bytes"), false}
		m[Order(before+"pps")] = rate("packets")
		m[Order(before+"bps")] = rate("bytes")
		m[Order(before+"bpp")] = ordering{"(CASE WHEN " + of("packets") + " > 0 THEN " + of("bytes") + "::DOUBLE / " + of("packets") + " ELSE 0 END)", false}
	}
	return m
}()

// sql returns what ORDER BY needs: a value and a direction; ok is false for an
// order that is none.
func (o Order) sql() (value, direction string, ok bool) {
	base, turn, _ := strings.Cut(string(o), ":")
	by, ok := orderings[Order(base)]
	if turn == "a" || turn == "" && by.ascending {
		return by.value, "", ok
	}
	return by.value, " DESC", ok
}

// Request is a question. Which fields count depends on the method.
type Request struct {
	// From and To bound the flows: those count whose time overlaps [From, To),
	// that is, which start before To and end at From or later. A zero time
	// leaves that side open; Series needs both.
	From, To time.Time

	Filter *Filter     // nil matches every flow
	By     []Dimension // what to group by; may be empty (Top, Series)
	Order  Order       // "" is bytes for Top and Series, the order of storage for Flows
	Limit  int         // rows or series at most; 0 is no limit
	Raw    bool        // packets and bytes as exported, not multiplied by the sampling rate

	Step    time.Duration // length of a bucket, whole milliseconds (Series)
	Columns []flow.Column // columns to fetch: nil is all (Flows), or none beside the keys (Top)

	// Of Top:
	Having *Filter // groups that do not match are part of the rest; it sees their sums, times and keys
	Fold   Fold    // both directions of a connection make one group
	First  int     // only the first so many of the flows that match, in the order of storage; 0 is all

	few bool // nearly all flows that are read match: to look twice does not pay
}

// Fold tells which side of a connection stands first, where both directions
// are folded into one group.
type Fold uint8

const (
	NoFold      Fold = iota
	FoldByStart      // the side whose flow began first
	FoldByPort       // the client, by the ranges of the ports; the same as FoldByStart where they do not tell
)

// Sums are what is counted of a set of flows. A sum that exceeds 64 bits stays
// at the greatest number.
type Sums struct {
	Flows   uint64 `json:"flows"`
	Packets uint64 `json:"packets"`
	Bytes   uint64 `json:"bytes"`
}

// Stats tells what an answer cost and how it was found.
type Stats struct {
	Files    int           // Parquet files in the snapshot
	Tables   []string      // that answered, the coarsest first; "flows" for single flows
	Rows     uint64        // flows and cells in the files, whether they matched or not
	Duration time.Duration // of the query
	SQL      string        // the statement; "flows" in it is the union of the files
}

// Value is one value of a dimension.
type Value struct {
	Text    string // "" where the flow lacks it; as flow.Batch.AppendText writes it
	Label   string // for people: "TCP" where Text is "6"
	Name    string // what the operator calls it, "" where he does not; it is in Label, too
	Present bool   // false where the flow lacks it
	numeric bool
}

// MarshalJSON gives a number, a string, or null where the flow lacks the value.
func (v Value) MarshalJSON() ([]byte, error) {
	switch {
	case !v.Present:
		return []byte("null"), nil
	case v.numeric:
		return []byte(v.Text), nil
	}
	return json.Marshal(v.Text)
}

// Absent is the label of a value that the flow lacks.
const Absent = "—"

func numberValue(v uint64, label string) Value {
	text := strconv.FormatUint(v, 10)
	if label == "" {
		label = text
	}
	return Value{Text: text, Label: label, Present: true, numeric: true}
}

func textValue(text string) Value { return Value{Text: text, Label: text, Present: true} }

// label joins the labels of a key.
func label(key []Value) string {
	switch len(key) {
	case 0:
		return "Total"
	case 1:
		return key[0].Label
	}
	s := key[0].Label
	for _, v := range key[1:] {
		s += ", " + v.Label
	}
	return s
}

// keyMap is the JSON form of a key: names of dimensions to values.
func keyMap(by []Dimension, key []Value) map[string]Value {
	m := make(map[string]Value, len(by))
	for i, d := range by {
		m[d.Name] = key[i]
	}
	return m
}
