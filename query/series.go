package query

import (
	"context"
	"fmt"
	"time"
)

// maxBuckets bounds the length of a series; charts need some hundred.
const maxBuckets = 100_000

// SeriesTable is the answer of Series: groups of flows over time.
type SeriesTable struct {
	By       []Dimension
	From, To time.Time
	Step     time.Duration
	Times    []time.Time // starts of the buckets; the last one may end early, at To
	Series   []Series    // by Order, the greatest first
	Other    *Series     // all the rest; nil where there is none
	Stats    Stats
}

// Series is what a group of flows did in each bucket.
type Series struct {
	Key                   []Value // one for each dimension
	Flows, Packets, Bytes []uint64
	Total                 Sums // of all buckets
}

// Label names the series for people.
func (s *Series) Label() string { return label(s.Key) }

// KeyMap returns the key of a series by the names of the dimensions.
func (t *SeriesTable) KeyMap(s *Series) map[string]Value { return keyMap(t.By, s.Key) }

// Rates converts the values of a series to rates per second.
func (t *SeriesTable) Rates(values []uint64) []float64 {
	rates := make([]float64, len(values))
	for i, v := range values {
		end := t.Times[i].Add(t.Step)
		if end.After(t.To) {
			end = t.To
		}
		rates[i] = float64(v) / end.Sub(t.Times[i]).Seconds()
	}
	return rates
}

// Series cuts [From, To) into buckets of length Step and counts in each what
// flowed then. Packets and bytes of a flow are spread evenly from its start to
// its end, in whole numbers whose sum is the flow's own; the flow itself is
// counted in the bucket where it starts. Parts outside [From, To) do not
// count. Order is ByBytes, ByPackets or ByFlows.
func (e *Engine) Series(ctx context.Context, src Source, r Request) (*SeriesTable, error) {
	if r.Step < time.Millisecond {
		return nil, fmt.Errorf("a series needs a step of at least a millisecond")
	}
	q, err := r.cellQuery("a series", r.Step.Milliseconds())
	if err != nil {
		return nil, err
	}
	c, err := e.askCells(ctx, Of(src), q)
	if err != nil {
		return nil, err
	}
	t := &SeriesTable{By: r.By, From: time.UnixMilli(q.from).UTC(), To: time.UnixMilli(q.to).UTC(), Step: time.Duration(q.step) * time.Millisecond,
		Times: q.times(), Stats: c.stats}
	for i := range c.rows {
		t.Series = append(t.Series, seriesOf(&c.rows[i]))
		t.Series[i].Key = e.label(r.By, keyOf(r.By, c.rows[i].values))
	}
	if c.rest > 0 {
		other := seriesOf(&c.other)
		t.Other = &other
	}
	return t, nil
}

func seriesOf(c *cellRow) Series {
	s := Series{Total: c.Sums}
	for _, cell := range c.series {
		s.Flows, s.Packets, s.Bytes = append(s.Flows, cell.Flows), append(s.Packets, cell.Packets), append(s.Bytes, cell.Bytes)
	}
	return s
}
