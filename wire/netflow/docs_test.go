package netflow

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/minamo-flow/minamo/flow"
)

var update = flag.Bool("update", false, "write the generated documentation anew")

// TestElementsInDocs holds docs/elements.md to the tables.
func TestElementsInDocs(t *testing.T) {
	const file = "../../docs/elements.md"
	want := elementReference()
	for _, e := range elements {
		if info, _ := Lookup(e.pen, e.id); e.to >= flow.MaxColumns && indirect[e.to] == nil {
			t.Errorf("%v leads to no column: complete the table indirect", info)
		}
	}
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the tables say: go generate ./wire/netflow", file)
	}
}

// indirect are the columns to which values lead that are not copied into one.
var indirect = map[target][]flow.Column{
	duration:       {flow.Start, flow.End},
	eventTime:      {flow.Start, flow.End},
	bootTime:       {flow.Start, flow.End},
	ipVersion:      {flow.SrcAddr, flow.DstAddr},
	icmpTypeCode:   {flow.ICMPType, flow.ICMPCode},
	rateSpace:      {flow.SamplingRate},
	rateInterval:   {flow.SamplingRate},
	rateSize:       {flow.SamplingRate},
	ratePopulation: {flow.SamplingRate}, rateProbability: {flow.SamplingRate},
	reverseDelay: {flow.Start},
	frameSize:    {flow.Bytes},
}

func elementReference() string {
	feeds := map[flow.Column][]string{}
	for _, e := range elements {
		columns := indirect[e.to]
		if e.to < flow.MaxColumns {
			columns = []flow.Column{e.to}
		}
		info, _ := Lookup(e.pen, e.id)
		for _, c := range columns {
			number := fmt.Sprint(e.id)
			if e.pen != 0 {
				number = fmt.Sprintf("%d/%d", e.pen, e.id)
			}
			if e.reverse {
				number += "*"
			}
			feeds[c] = append(feeds[c], info.Name+" "+number)
		}
	}

	var b strings.Builder
	fmt.Fprintf(&b, `# Information elements

Generated from the tables in `+"`wire/netflow`"+`. What NetFlow v9 and IPFIX export is
made of information elements (field types): a number, and an enterprise's number
before it where it is not one of IANA's. Minamo knows %d of them by name and
type, and the reverse ones (29305, RFC 5103) of all of IANA's. An exporter that
describes its own elements (RFC 5610) is listened to.

An element that no column holds costs nothing but its own value: the rest of the
record is kept, and the element is counted once for each new template.
`+"`/api/exporters/ADDRESS`"+` lists those of an exporter, each with the line of
configuration that keeps it in a column of your own; see [exporters.md](exporters.md).

## Which elements feed which column

Where several feed one column, the first one in this order that the template has
is taken: the flow's own counters before running totals, those before what was
counted on the way out; absolute times before relative ones. Of pairs for IPv4 and
IPv6 each flow has what is not zero. Elements with a star tell of the opposite
direction: they, and the reverse ones, go into that direction's own row.
[columns.md](columns.md) says what the columns mean.

| column | elements |
|---|---|
`, len(registry))
	for c := range flow.NumColumns {
		if list := feeds[c]; list != nil {
			fmt.Fprintf(&b, "| `%s` | %s |\n", flow.Schema[c].Name, strings.Join(list, ", "))
		}
	}

	b.WriteString(`
The beginnings of packets (104, 313, 315) fill what the record itself leaves open,
and so do the records of structured data (RFC 6313).

Options data are read for sampling rates (34, 50, 305 and 306, 307 and 308, 309 and
310, 311), names of interfaces (82, 83), of VRFs (236), of applications (94, 96,
372 to 374 and Cisco's), and the exporter's own counters (40 to 42, 163 to 168, and
every other element that the registry calls a counter).

## Elements of enterprises

An element is written by its name (` + "`applicationName`" + `), with its enterprise's number or
keyword before it (` + "`9/applicationHttpHost`, `cisco/applicationHttpHost`" + `), or by numbers
alone (` + "`96`, `9/12235`" + `). A name alone means IANA's element, or the one enterprise's
that has it. Elements that nobody has listed yet are written by numbers.

NetFlow v9 has no enterprises. It has Cisco's elements at 32768 and ntop's at
57472 above their own numbers: 45003 is 9/12235, 57590 is 35632/118.

| enterprise | keyword | number | elements |
|---|---|---|---|
`)
	for _, e := range enterprises {
		n := 0
		for _, r := range registry {
			if r.Enterprise == e.number {
				n++
			}
		}
		count := fmt.Sprint(n)
		switch {
		case e.number == reversePEN:
			count = "those of IANA, such as `reverseOctetDeltaCount`, which is `29305/1`"
		case n == 0:
			count = "by number"
		}
		name := e.name
		if e.number == 0 {
			name += ", and NetFlow v9's own"
		}
		fmt.Fprintf(&b, "| %s | `%s` | %d | %s |\n", name, e.keyword, e.number, count)
	}
	b.WriteString(`
To add elements, add lines to the lists in ` + "`wire/netflow/elements`" + `; its README says how.
`)
	return b.String()
}
