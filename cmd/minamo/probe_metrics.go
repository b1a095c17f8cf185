package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/minamo-flow/minamo/probe"
)

// probeMetrics tells Prometheus of a probe. Metrics are made of the tallies at
// each scrape: counting costs nothing on the way of a packet.
type probeMetrics struct {
	ports    []*port
	room     int               // for flows, of each tap
	exporter *exportingProcess // nil for a store
}

var (
	descProbePackets  = probeDesc("packets_total", "Packets seen by the metering process.", "interface")
	descProbeBytes    = probeDesc("bytes_total", "Bytes of the packets seen, on the wire.", "interface")
	descProbeDrops    = probeDesc("kernel_drops_total", "Packets that the kernel dropped for want of room, before the probe saw them.", "interface")
	descProbeTurned   = probeDesc("other_direction_packets_total", "Packets of the direction that is not metered.", "interface")
	descProbePassed   = probeDesc("passed_over_packets_total", "Packets passed over by the sampler.", "interface")
	descProbeSkipped  = probeDesc("skipped_packets_total", "Packets that are in no flow, by reason.", "interface", "reason")
	descProbeMetered  = probeDesc("metered_packets_total", "Packets in flows; of sFlow, samples.", "interface")
	descProbeOctets   = probeDesc("metered_bytes_total", "Bytes of layer 3 of the packets in flows.", "interface")
	descProbeFlows    = probeDesc("cache_flows", "Flows in the cache.", "interface")
	descProbeRoom     = probeDesc("cache_flows_limit", "Room of the cache: beyond so many flows the idlest ends early.", "interface")
	descProbeMemory   = probeDesc("cache_bytes", "Memory of the cache.", "interface")
	descProbeCreated  = probeDesc("flows_total", "Flows that were begun.", "interface")
	descProbeEnded    = probeDesc("flows_ended_total", "Flows that ended, by flow_end_reason.", "interface", "reason")
	descProbeExported = probeDesc("exported_flows_total", "Flows, or samples, that went to the collectors.")
	descProbeUnsaid   = probeDesc("unexportable_flows_total", "Flows that the protocol cannot say: IPv6 in NetFlow v5.")
	descProbeSent     = probeDesc("datagrams_total", "Datagrams sent, and messages on connections.", "collector")
	descProbeSentSize = probeDesc("datagram_bytes_total", "Bytes of those.", "collector")
	descProbeLost     = probeDesc("lost_datagrams_total", "Datagrams that could not be sent: the collector cannot be reached.", "collector")
	descProbeConnects = probeDesc("connections_total", "Connections made to the collector.", "collector")

	probeDescs []*prometheus.Desc
)

func probeDesc(name, help string, labels ...string) *prometheus.Desc {
	d := prometheus.NewDesc("minamo_probe_"+name, help, labels, nil)
	probeDescs = append(probeDescs, d)
	return d
}

// Describe implements prometheus.Collector.
func (m *probeMetrics) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range probeDescs {
		descs <- d
	}
}

// Collect implements prometheus.Collector.
func (m *probeMetrics) Collect(metrics chan<- prometheus.Metric) {
	counter := func(desc *prometheus.Desc, v uint64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(v), labels...)
	}
	gauge := func(desc *prometheus.Desc, v int, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(v), labels...)
	}
	for _, p := range m.ports {
		name, sum, turned := p.Interface, tally{}, uint64(0)
		for _, t := range p.taps {
			sum.add(t.metering.counted())
			turned += t.turned.Load()
		}
		counter(descProbeDrops, p.stats().Drops, name)
		counter(descProbeTurned, turned, name)
		counter(descProbePackets, sum.meter.Packets, name)
		counter(descProbeBytes, sum.meter.Bytes, name)
		counter(descProbePassed, sum.meter.PassedOver, name)
		counter(descProbeMetered, sum.meter.Metered, name)
		for reason, n := range sum.meter.Skipped {
			counter(descProbeSkipped, n, name, probe.Reason(reason).String())
		}
		if _, samples := p.taps[0].metering.(*sampling); samples {
			continue // has no cache
		}
		counter(descProbeOctets, sum.meter.Octets, name)
		gauge(descProbeFlows, sum.cache.Flows, name)
		gauge(descProbeRoom, m.room*len(p.taps), name)
		gauge(descProbeMemory, sum.cache.Memory, name)
		counter(descProbeCreated, sum.cache.Created, name)
		for reason, n := range sum.cache.Ended {
			if reason > 0 { // the codes begin with 1
				counter(descProbeEnded, n, name, endReason(reason))
			}
		}
	}
	if m.exporter == nil {
		return
	}
	s := m.exporter.stats()
	counter(descProbeExported, s.Flows+s.Samples)
	counter(descProbeUnsaid, s.Skipped)
	for _, c := range s.Collectors {
		counter(descProbeSent, c.Datagrams, c.Collector)
		counter(descProbeSentSize, c.Bytes, c.Collector)
		counter(descProbeLost, c.Lost, c.Collector)
		counter(descProbeConnects, c.Connections, c.Collector)
	}
}

// add adds what another metering process has counted.
func (t *tally) add(other *tally) {
	m, o := &t.meter, &other.meter
	m.Packets += o.Packets
	m.Bytes += o.Bytes
	m.PassedOver += o.PassedOver
	m.Metered += o.Metered
	m.Octets += o.Octets
	for reason, n := range o.Skipped {
		m.Skipped[reason] += n
	}
	c, d := &t.cache, &other.cache
	c.Created += d.Created
	c.Flows += d.Flows
	c.Memory += d.Memory
	for reason, n := range d.Ended {
		c.Ended[reason] += n
	}
}

// serveMetrics serves a registry's metrics until stop is called.
func serveMetrics(address string, registry *prometheus.Registry, stdout io.Writer) (stop func(), err error) {
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("cannot serve metrics on %s: %w; choose another address with --metrics", address, err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			fmt.Fprintln(stdout, "metrics are no longer served:", err)
		}
	}()
	fmt.Fprintf(stdout, "metrics at http://%s/metrics\n", reachable(listener.Addr()))
	return func() { server.Close() }, nil
}
