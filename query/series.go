package query

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
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
	order := r.Order
	if order == "" {
		order = ByBytes
	}
	if order != ByBytes && order != ByPackets && order != ByFlows {
		return nil, fmt.Errorf("order %q does not rank series: expected bytes, packets or flows", order)
	}
	from, to, step := r.From.UnixMilli(), r.To.UnixMilli(), r.Step.Milliseconds()
	if r.From.IsZero() || r.To.IsZero() || from >= to {
		return nil, fmt.Errorf("a series needs a time range that begins before it ends")
	}
	if step <= 0 {
		return nil, fmt.Errorf("a series needs a step of at least a millisecond")
	}
	buckets := (to-from-1)/step + 1
	if buckets > maxBuckets {
		return nil, fmt.Errorf("a step of %s makes %d buckets of the time range; at most %d are possible", r.Step, buckets, maxBuckets)
	}

	t := &SeriesTable{By: r.By, From: time.UnixMilli(from).UTC(), To: time.UnixMilli(to).UTC(), Step: time.Duration(step) * time.Millisecond}
	for i := range buckets {
		t.Times = append(t.Times, time.UnixMilli(from+i*step).UTC())
	}
	found := map[int]*Series{}
	get := func(rank int) *Series {
		s := found[rank]
		if s == nil {
			s = &Series{Flows: make([]uint64, buckets), Packets: make([]uint64, buckets), Bytes: make([]uint64, buckets)}
			found[rank] = s
		}
		return s
	}
	values := make([]any, len(r.By))
	target := make([]any, 0, len(r.By)+5)
	var err error
	t.Stats, err = e.answer(ctx, seriesStatement(r, order, from, to, step), src, r.Raw, func(rows *sql.Rows) error {
		var rank int // 0 is Other
		var bucket sql.NullInt64
		var sums Sums
		target = append(target[:0], &rank, &bucket)
		for i := range values {
			target = append(target, &values[i])
		}
		if err := rows.Scan(append(target, &sums.Flows, &sums.Packets, &sums.Bytes)...); err != nil {
			return err
		}
		s := get(rank)
		if !bucket.Valid {
			s.Key = keyOf(r.By, values)
			return nil
		}
		i := bucket.Int64
		s.Flows[i], s.Packets[i], s.Bytes[i] = sums.Flows, sums.Packets, sums.Bytes
		s.Total.add(sums)
		return nil
	})
	if err != nil {
		return nil, err
	}
	t.Other = found[0]
	for rank := 1; found[rank] != nil; rank++ {
		t.Series = append(t.Series, *found[rank])
	}
	return t, nil
}

// seriesStatement reads the flows up to three times: to rank the groups by
// what they did within the range, then those flows that lie in one bucket
// (most, and cheap), then those that cross a border.
func seriesStatement(r Request, order Order, from, to, step int64) statement {
	keys := keyNames(len(r.By))
	within := func(counter string) string {
		return fmt.Sprintf("spread(%s, s, e, %d) - spread(%s, s, e, %d)", counter, to, counter, from)
	}
	part := func(counter string) string {
		return fmt.Sprintf("spread(%s, s, e, least(%d + (bucket + 1) * %d, %d)) - spread(%s, s, e, %d + bucket * %d)",
			counter, from, step, to, counter, from, step)
	}
	s := statement{with: []string{
		"selected AS NOT MATERIALIZED (" + selected(r, `packets, bytes, epoch_ms("start") AS s, greatest(epoch_ms("start"), epoch_ms("end")) AS e`) + ")",
	}}

	rank, join := "1", ""
	if len(keys) > 0 {
		s.with = append(s.with,
			fmt.Sprintf(`groups AS (SELECT %scount(*) FILTER (s >= %d) AS flows, total(%s) AS packets, total(%s) AS bytes FROM selected%s)`,
				list(keys, ""), from, within("packets"), within("bytes"), groupBy(keys)),
			fmt.Sprintf(`ranked AS MATERIALIZED (SELECT %srow_number() OVER (ORDER BY %s DESC, %s) AS rank FROM groups WHERE %s > 0 ORDER BY rank%s)`,
				list(keys, ""), order, strings.Join(keys, ", "), order, limit(r.Limit)))
		var same []string
		for _, k := range keys {
			same = append(same, "placed."+k+" IS NOT DISTINCT FROM ranked."+k)
		}
		rank, join = "coalesce(rank, 0)", " LEFT JOIN ranked ON "+strings.Join(same, " AND ")
	}

	// A flow that ended just when the range begins has nothing in it.
	s.with = append(s.with,
		fmt.Sprintf(`placed AS NOT MATERIALIZED (SELECT *, (greatest(s, %[1]d) - %[1]d) // %[2]d AS first_bucket,
		(CASE WHEN e > s THEN least(e, %[3]d) - 1 ELSE s END - %[1]d) // %[2]d AS last_bucket FROM selected WHERE e > %[1]d OR s >= %[1]d)`, from, step, to),
		fmt.Sprintf(`cells AS (
		SELECT %s AS rank, first_bucket AS bucket, count(*) FILTER (s >= %d) AS flows, sum(%s) AS packets, sum(%s) AS bytes
		FROM placed%s WHERE first_bucket = last_bucket GROUP BY 1, 2
		UNION ALL
		SELECT rank, bucket, count(*) FILTER (bucket = first_bucket AND s >= %d), sum(%s), sum(%s)
		FROM (SELECT %s AS rank, unnest(range(first_bucket, last_bucket + 1)) AS bucket, first_bucket, s, e, packets, bytes
			FROM placed%s WHERE first_bucket < last_bucket) GROUP BY 1, 2)`,
			rank, from, within("packets"), within("bytes"), join,
			from, part("packets"), part("bytes"), rank, join))
	s.body = "SELECT rank, bucket, " + nulls("", len(keys))[2:] + "sum(flows)::UBIGINT AS flows, total(packets) AS packets, total(bytes) AS bytes FROM cells GROUP BY rank, bucket"
	if len(keys) > 0 {
		s.body += "\nUNION ALL SELECT rank, NULL, " + list(slices.Clone(keys), "") + "0, 0, 0 FROM ranked"
	}
	return s
}
