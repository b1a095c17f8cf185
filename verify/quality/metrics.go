package quality

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

var (
	descScore  = prometheus.NewDesc("minamo_exporter_quality_score", "How good what the exporter told in the last hour is: 100 where nothing is known to be wrong.", []string{"exporter"}, nil)
	descLost   = prometheus.NewDesc("minamo_exporter_quality_lost_points", "Points that the exporter lost in the last hour, by reason.", []string{"exporter", "kind"}, nil)
	descFailed = prometheus.NewDesc("minamo_quality_failures_total", "Minutes of exporters' quality that could not be written down.", nil, nil)
)

// Describe implements prometheus.Collector.
func (r *Recorder) Describe(descs chan<- *prometheus.Desc) {
	descs <- descScore
	descs <- descLost
	descs <- descFailed
}

// Collect implements prometheus.Collector.
func (r *Recorder) Collect(metrics chan<- prometheus.Metric) {
	metrics <- prometheus.MustNewConstMetric(descFailed, prometheus.CounterValue, float64(r.failed.Load()))
	verdicts, _, _, err := r.Latest(time.Hour)
	if err != nil {
		metrics <- prometheus.NewInvalidMetric(descScore, err)
		return
	}
	for addr, v := range verdicts {
		name := addr.String()
		metrics <- prometheus.MustNewConstMetric(descScore, prometheus.GaugeValue, float64(v.Score.Score), name)
		for _, reason := range v.Score.Lost {
			metrics <- prometheus.MustNewConstMetric(descLost, prometheus.GaugeValue, float64(reason.Points), name, reason.Kind)
		}
	}
}
