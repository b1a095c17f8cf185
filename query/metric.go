package query

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Metric is what a report measures its groups by.
type Metric string

// The metrics; Doc tells what each is.
const (
	Bytes        Metric = "bytes"
	Packets      Metric = "packets"
	Flows        Metric = "flows"
	BPS          Metric = "bps"
	L2BPS        Metric = "l2bps"
	PPS          Metric = "pps"
	FPS          Metric = "fps"
	PacketSize   Metric = "packet_size"
	Sources      Metric = "src_addresses" // how many
	Destinations Metric = "dst_addresses"
	P95          Metric = "p95"
	Peak         Metric = "peak"
)

// metricRow is what there is to know of a metric.
type metricRow struct {
	name             Metric
	title, unit, doc string
	additive         bool
	rank             string // SQL over flows, packets, bytes and extra of a group; %d is the overhead
	item             string // SQL of what is counted once each, "" for nothing
}

var metrics = []metricRow{
	{Bytes, "Bytes", "bytes", "Bytes of layer 3.", true, "bytes", ""},
	{Packets, "Packets", "packets", "Packets.", true, "packets", ""},
	{Flows, "Flows", "flows", "Flow records, counted where they start; sampling does not scale them.", true, "flows", ""},
	{BPS, "Bits per second", "bit/s", "Bits of layer 3 per second, the mean over the range.", true, "bytes", ""},
	{L2BPS, "Bits per second on Ethernet", "bit/s", "Bits per second with the overhead of layer 2 added to each packet, the mean over the range: what interface counters show, about.", true, "(bytes::HUGEINT + %d * packets::HUGEINT)", ""},
	{PPS, "Packets per second", "packet/s", "Packets per second, the mean over the range.", true, "packets", ""},
	{FPS, "Flows per second", "flow/s", "Flow records per second, the mean over the range.", true, "flows", ""},
	{PacketSize, "Mean packet size", "bytes/packet", "Bytes of layer 3 per packet.", false, "(CASE WHEN packets > 0 THEN bytes::DOUBLE / packets ELSE 0 END)", ""},
	{Sources, "Source addresses", "addresses", "Different source addresses.", false, "extra", "src_addr"},
	{Destinations, "Destination addresses", "addresses", "Different destination addresses.", false, "extra", "dst_addr"},
	{P95, "95th percentile", "bit/s", "95th percentile of the bits of layer 3 per second in the buckets of the range, five minutes each where there is no step: the nearest rank, as in billing. Buckets without traffic count as zero.", false, "extra", ""},
	{Peak, "Peak", "bit/s", "Bits of layer 3 per second in the greatest bucket, likewise.", false, "extra", ""},
}

// Metrics lists the metrics.
func Metrics() []Metric {
	list := make([]Metric, len(metrics))
	for i := range metrics {
		list[i] = metrics[i].name
	}
	return list
}

// ParseMetric returns the Metric called name; "" is Bytes.
func ParseMetric(name string) (Metric, error) {
	if name == "" {
		return Bytes, nil
	}
	names := make([]string, len(metrics))
	for i := range metrics {
		if names[i] = string(metrics[i].name); names[i] == name {
			return metrics[i].name, nil
		}
	}
	return "", fmt.Errorf("metric %q is unknown: expected one of %s", name, strings.Join(names, ", "))
}

func (m Metric) row() *metricRow {
	return &metrics[slices.IndexFunc(metrics, func(r metricRow) bool { return r.name == m })]
}

// Title names the metric for people.
func (m Metric) Title() string { return m.row().title }

// Unit is that of the metric's values.
func (m Metric) Unit() string { return m.row().unit }

// Doc tells what the metric is.
func (m Metric) Doc() string { return m.row().doc }

// Additive tells whether the values of groups add up to that of all, so that a
// share means something and a chart can stack them.
func (m Metric) Additive() bool { return m.row().additive }

// drawn is the metric of a series' buckets: of those that are taken of all
// buckets it is what they are taken of.
func (m Metric) drawn() Metric {
	if m == P95 || m == Peak {
		return BPS
	}
	return m
}

// spread is how many times less certain than the packets of sums that were
// estimated from samples the metric is. Of n packets of mean length m the bytes
// have the relative variance Σb²/nm² / n, and Σb² is at most n·m·greatest, where
// all packets are full or empty: not much more than what traffic is, which is
// mostly full packets and acknowledgements.
func (m Metric) spread(s Sums) float64 {
	const full, jumbo = 1500, 9000
	switch m {
	case Packets, Flows, PPS, FPS, Sources, Destinations:
		return 1
	}
	if s.Packets == 0 || s.Bytes == 0 {
		return 1
	}
	mean, greatest := float64(s.Bytes)/float64(s.Packets), float64(full)
	if mean > full {
		greatest = jumbo
	}
	square := max(greatest/mean, 1)
	if m == PacketSize {
		square-- // the number of packets cancels out
	}
	return math.Sqrt(square)
}

// of is the value of a cell that lasts so long.
func (m Metric) of(c cell, r *Report, lasts time.Duration) float64 {
	seconds := lasts.Seconds()
	switch m {
	case Bytes:
		return float64(c.Bytes)
	case Packets:
		return float64(c.Packets)
	case Flows:
		return float64(c.Flows)
	case BPS:
		return float64(c.Bytes) * 8 / seconds
	case L2BPS:
		return (float64(c.Bytes) + float64(c.Packets)*float64(r.Overhead)) * 8 / seconds
	case PPS:
		return float64(c.Packets) / seconds
	case FPS:
		return float64(c.Flows) / seconds
	case PacketSize:
		if c.Packets == 0 {
			return 0
		}
		return float64(c.Bytes) / float64(c.Packets)
	case P95, Peak:
		return float64(c.extra) * 8 / r.bucket().Seconds()
	}
	return float64(c.extra)
}
