package docs

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/minamo-flow/minamo/rollup"
)

func TestRollupReference(t *testing.T) {
	want := rollupReference()
	if *update {
		if err := os.WriteFile("rollups.md", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile("rollups.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("rollups.md is not what the cubes are: go test ./docs -update")
	}
}

func rollupReference() string {
	var b strings.Builder
	b.WriteString(`# Rollups

Generated from the table in ` + "`rollup/rollup.go`" + `. A report over a year cannot read a year
of flows. So the server sums flows up, by minute, hour and day, into small tables, a
family of reports each, and answers from them whatever they can tell; the answer
says which tables it came from. Nobody has to set anything up.

- **They are exact.** Packets and bytes, multiplied by the sampling rate, are laid
  evenly over a flow's time, in whole numbers whose sum is the flow's own; a flow is
  counted where it starts. A report gives the same from rollups and from flows, to
  the byte. Two things only flows tell: what was not multiplied, and how many
  different addresses there were.
- **Or they say that they are not.** Of a bucket with very many cells, the heaviest
  are kept (by bytes, packets or flows, whichever share is greatest), and the rest is
  one cell. A report then tells how much a row may lack at most.
- **Late flows** land where they belong: cells are counted by the time of the
  flows, not by when they came.
- **New flows** are in the answer at once: what is not summed up yet is read as flows.
  That is half a million of them, or five minutes, about.
- **They outlive the flows.** ` + "`store.rollups`" + ` in the configuration says how long they are
  kept. Where the flows are gone, only rollups answer.
- **A table that a new version brings** is made of the flows that are still kept,
  in the background. So is one whose files were deleted or damaged.

## On disk

` + "```" + `
data/rollups/<table>_<minute|hour|day>/2026-11-22/<seals>_<times>_<rows>.parquet
data/rollups/long/2026-11-22/…
` + "```" + `

The files are named like those of flows ([storage.md](storage.md)), and the rule of
covered files holds. A file has the cells of all flows that were sealed within
its range: who reads rollups and flows together leaves out the flows whose files lie within
a rollup file's range. Cells of the same bucket and keys stand in several files, and add up.
` + "`long`" + ` has the flows that last over twelve hours, as flows: a broken clock must not fill the
disk with cells. They are not in the other tables.

Every table has the columns ` + "`bucket`" + ` (its beginning, UTC), the keys below, null where
flows have no such value, and

| column | |
|---|---|
| ` + "`flows`" + ` | flows that started in the bucket |
| ` + "`packets`, `bytes`" + ` | of all flows in the bucket, multiplied by the sampling rate |
| ` + "`variance`" + ` | of packets, as an estimate from samples: packets × (rate − 1); the 95 % error is 1.96 × its root |
| ` + "`rest`" + ` | null, but in the cell of the rest: how many cells it holds |
| ` + "`most_flows`, `most_packets`, `most_bytes`" + ` | likewise: no cell in it had more |

`)
	for _, c := range rollup.Cubes {
		fmt.Fprintf(&b, "## %s\n\n%s Cells kept of a bucket: %d by minute, %d by hour, %d by day.\n\n| key | type | |\n|---|---|---|\n",
			c.Name, c.Doc, c.Most[rollup.Minute], c.Most[rollup.Hour], c.Most[rollup.Day])
		for _, k := range c.Keys {
			rest := ""
			if k.Heavy {
				rest = " Null in the rest."
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s%s |\n", k.Name, k.Kind, k.Doc, rest)
		}
		b.WriteString("\n")
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}
