package store

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	sealSeconds  prometheus.Histogram
	sealedRows   prometheus.Counter
	mergeSeconds *prometheus.HistogramVec
	mergedRows   prometheus.Counter

	rollupSeconds prometheus.Histogram
	rolledUp      prometheus.Counter

	deleted prometheus.Counter
	damaged prometheus.Counter
	errors  *prometheus.CounterVec
	lost    prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, s *Store) *metrics {
	auto := promauto.With(reg)
	gauge := func(name, help string, value func(Stats) float64) {
		auto.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return value(s.Stats()) })
	}
	gauge("minamo_store_segments", "Segments on disk.", func(t Stats) float64 { return float64(t.Segments) })
	gauge("minamo_store_bytes", "Bytes of segments on disk.", func(t Stats) float64 { return float64(t.Bytes) })
	gauge("minamo_store_rows", "Flow records in segments.", func(t Stats) float64 { return float64(t.Rows) })
	gauge("minamo_store_unsealed_rows", "Flow records in memory, not yet on disk.", func(t Stats) float64 { return float64(t.UnsealedRows) })
	return &metrics{
		sealSeconds: auto.NewHistogram(prometheus.HistogramOpts{
			Name: "minamo_store_seal_seconds", Help: "Time to encode, write and sync a segment.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 8),
		}),
		sealedRows: auto.NewCounter(prometheus.CounterOpts{
			Name: "minamo_store_sealed_flows_total", Help: "Flow records written to disk.",
		}),
		mergeSeconds: auto.NewHistogramVec(prometheus.HistogramOpts{
			Name: "minamo_store_merge_seconds", Help: "Time to merge segments, by how: reencode or join.",
			Buckets: prometheus.ExponentialBuckets(0.01, 4, 7),
		}, []string{"how"}),
		mergedRows: auto.NewCounter(prometheus.CounterOpts{
			Name: "minamo_store_merged_flows_total", Help: "Flow records rewritten by merges.",
		}),
		rollupSeconds: auto.NewHistogram(prometheus.HistogramOpts{
			Name: "minamo_store_rollup_seconds", Help: "Time to roll up a run of segments.",
			Buckets: prometheus.ExponentialBuckets(0.01, 4, 7),
		}),
		rolledUp: auto.NewCounter(prometheus.CounterOpts{
			Name: "minamo_store_rolled_up_flows_total", Help: "Flow records summed up into rollups.",
		}),
		deleted: auto.NewCounter(prometheus.CounterOpts{
			Name: "minamo_store_retired_segments_total", Help: "Segments deleted because of their age or the store's size.",
		}),
		damaged: auto.NewCounter(prometheus.CounterOpts{
			Name: "minamo_store_damaged_segments_total", Help: "Damaged segments set aside.",
		}),
		errors: auto.NewCounterVec(prometheus.CounterOpts{
			Name: "minamo_store_errors_total", Help: "Failed attempts, by task: seal, merge, roll up or retain.",
		}, []string{"task"}),
		lost: auto.NewCounter(prometheus.CounterOpts{
			Name: "minamo_store_lost_flows_total", Help: "Flow records dropped because they could not be written in time.",
		}),
	}
}
