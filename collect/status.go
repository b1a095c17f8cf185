package collect

import (
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/minamo-flow/minamo/flow"
)

// ExporterStatus is what an operator wants to know of an exporter.
type ExporterStatus struct {
	Exporter    netip.Addr        `json:"exporter" doc:"The exporter's address"`
	LastSeen    time.Time         `json:"last_seen" doc:"When its last datagram came"`
	Connections int               `json:"connections" doc:"Open TCP, TLS or SCTP connections"`
	Templates   int               `json:"templates" doc:"Templates known"`
	Waiting     int               `json:"waiting" doc:"Data sets that wait for their template"`
	Malformed   uint64            `json:"malformed" doc:"Datagrams that could not be used at all"`
	Problems    map[string]uint64 `json:"problems" doc:"What went wrong, by kind"`
	KeptOneIn   uint32            `json:"kept_one_in" doc:"Of so many of its flow records one is kept now, and its sampling rate multiplied, because more come than budget.collector allows; 1: every one is kept"`
	Domains     []DomainStatus    `json:"domains" doc:"Its observation domains"`
}

// DomainStatus is one observation domain of an exporter.
type DomainStatus struct {
	Protocol       string           `json:"protocol" doc:"Export protocol"`
	Domain         uint32           `json:"domain" doc:"Observation domain, source id, engine or sub-agent"`
	Datagrams      uint64           `json:"datagrams" doc:"Datagrams and messages; of this server's own probe, batches of flows"`
	Flows          uint64           `json:"flows"`
	MissingUnits   uint64           `json:"missing_units" doc:"Sequence units that never came: flows (NetFlow 5, 7, 8), datagrams (NetFlow 9, sFlow), data records (IPFIX); of this server's own probe, packets that the kernel dropped"`
	MissingSamples uint64           `json:"missing_samples" doc:"sFlow samples that never came, by the sources' own numbers: in datagrams that were lost, and between them"`
	Reordered      uint64           `json:"reordered" doc:"Datagrams that came late, or twice"`
	Duplicates     uint64           `json:"duplicates" doc:"Of those, the ones that filled no gap: they came twice"`
	Restarts       uint64           `json:"restarts" doc:"Times that the sequence began anew"`
	ClockOffsetMS  int64            `json:"clock_offset_ms" doc:"The exporter's clock minus ours, by its last datagram; 0 for sFlow, which has none"`
	Sampling       []SamplingStatus `json:"sampling" doc:"Rates announced in options data"`
	Discards       uint64           `json:"discards" doc:"sFlow discard notifications: packets that the device tells it discarded"`
	CounterSamples uint64           `json:"counter_samples" doc:"sFlow counter samples"`
	LastSeen       time.Time        `json:"last_seen"`
	exportProtocol uint8
}

// SamplingStatus is one announced sampling rate.
type SamplingStatus struct {
	Scope     string `json:"scope" doc:"domain, sampler, interface or line card"`
	ID        uint64 `json:"id,omitempty" doc:"The sampler's id, the ifIndex or the line card"`
	Rate      uint32 `json:"rate"`
	Name      string `json:"name,omitempty" doc:"The sampler's name"`
	Algorithm string `json:"algorithm,omitempty" doc:"How packets are chosen: deterministic, random, count-based and others"`
}

// all lists the exporters in the order of their addresses.
func (e *Exporters) all() []*exporter {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return slices.SortedFunc(maps.Values(e.byAddr), func(a, b *exporter) int { return a.addr.Compare(b.addr) })
}

// Status tells of all exporters, in the order of their addresses.
func (e *Exporters) Status() []ExporterStatus {
	list := []ExporterStatus{}
	for _, x := range e.all() {
		list = append(list, x.status())
	}
	return list
}

// Addresses are those of all exporters, in their order.
func (e *Exporters) Addresses() []netip.Addr {
	var list []netip.Addr
	for _, x := range e.all() {
		list = append(list, x.addr)
	}
	return list
}

func (x *exporter) status() ExporterStatus {
	x.mu.Lock()
	defer x.mu.Unlock()
	s := ExporterStatus{
		Exporter:  x.addr,
		LastSeen:  time.UnixMilli(x.lastSeen).UTC(),
		Malformed: x.malformed,
		Problems:  maps.Clone(x.problems),
		KeptOneIn: max(x.arrivals.keep.Load(), 1),
		Domains:   []DomainStatus{},
	}
	for session := range x.sessions {
		s.Templates += len(session.netflow.Templates())
		s.Waiting += session.netflow.Waiting()
		if session != x.datagrams {
			s.Connections++
		}
	}
	for key, d := range x.domains {
		status := DomainStatus{
			exportProtocol: key.protocol,
			Protocol:       flow.Schema[flow.ExportProtocol].Names[uint64(key.protocol)],
			Domain:         key.id,
			Datagrams:      d.datagrams,
			Flows:          d.flows,
			MissingUnits:   d.loss.missing,
			MissingSamples: d.sources.missing(),
			Reordered:      d.loss.reorders,
			Duplicates:     d.loss.duplicates,
			Restarts:       d.loss.restarts,
			ClockOffsetMS:  d.clockOffset,
			Sampling:       []SamplingStatus{},
			Discards:       d.discards,
			CounterSamples: d.counterSamples,
			LastSeen:       time.UnixMilli(d.lastSeen).UTC(),
		}
		for _, a := range d.samplers.announced {
			status.Sampling = append(status.Sampling, SamplingStatus{string(a.Scope), a.ID, a.Rate, a.Name, a.Algorithm})
		}
		s.Domains = append(s.Domains, status)
	}
	slices.SortFunc(s.Domains, func(a, b DomainStatus) int {
		if a.exportProtocol != b.exportProtocol {
			return int(a.exportProtocol) - int(b.exportProtocol)
		}
		return int(min(max(int64(a.Domain)-int64(b.Domain), -1), 1))
	})
	return s
}

// SocketStatus sums the sockets of one listen address.
type SocketStatus struct {
	Address   string `json:"address"`
	Datagrams uint64 `json:"datagrams" doc:"Datagrams received"`
	Bytes     uint64 `json:"bytes" doc:"Bytes received"`
	Drops     uint64 `json:"drops" doc:"Datagrams that the kernel dropped, because its buffer was full"`
}

// Sockets tells of each listen address.
func (c *Collector) Sockets() []SocketStatus {
	var list []SocketStatus
	for _, s := range c.sockets {
		if n := len(list); n == 0 || list[n-1].Address != "udp://"+s.address {
			list = append(list, SocketStatus{Address: "udp://" + s.address})
		}
		sum := &list[len(list)-1]
		sum.Datagrams += s.datagrams.Load()
		sum.Bytes += s.bytes.Load()
		sum.Drops += s.drops.Load()
	}
	return list
}

// StreamStatus is a listen address that takes connections.
type StreamStatus struct {
	Address  string            `json:"address"`
	Open     int64             `json:"open" doc:"Connections open now"`
	Accepted uint64            `json:"accepted" doc:"Connections so far"`
	Messages uint64            `json:"messages" doc:"IPFIX messages received"`
	Bytes    uint64            `json:"bytes" doc:"Bytes of those"`
	Ended    map[string]uint64 `json:"ended" doc:"Why connections ended: closed by the exporter, stopped by us, cut within a message, version other than IPFIX, impossible length, idle for too long, network error, TLS, limit reached"`
}

// Streams tells of each listen address that takes connections.
func (c *Collector) Streams() []StreamStatus {
	list := []StreamStatus{}
	for _, s := range c.streams {
		status := StreamStatus{s.endpoint.String(), s.open.Load(), s.accepted.Load(), s.messages.Load(), s.bytes.Load(), map[string]uint64{}}
		for end, name := range endingNames {
			status.Ended[name] = s.ended[end].Load()
		}
		list = append(list, status)
	}
	return list
}

// Flows counts the flow records decoded since the start.
func (c *Collector) Flows() uint64 { return c.flows.Load() }

// Rejected counts the datagrams whose protocol is not known, by version.
func (e *Exporters) Rejected() map[string]uint64 {
	e.unknown.mu.Lock()
	defer e.unknown.mu.Unlock()
	counts := make(map[string]uint64, len(e.unknown.versions))
	for version, n := range e.unknown.versions {
		counts[versionLabel(version)] = n
	}
	return counts
}

// Descriptions of the metrics. They are made from the status at each scrape,
// so that counting costs nothing on the way of a flow.
var (
	descSocketDatagrams = prometheus.NewDesc("minamo_socket_datagrams_total", "Datagrams received, by listen address.", []string{"listen"}, nil)
	descSocketBytes     = prometheus.NewDesc("minamo_socket_bytes_total", "Bytes of UDP payload received, by listen address.", []string{"listen"}, nil)
	descSocketDrops     = prometheus.NewDesc("minamo_socket_drops_total", "Datagrams dropped by the kernel because the receive buffer was full.", []string{"listen"}, nil)
	descDiscards        = prometheus.NewDesc("minamo_exporter_discards_total", "sFlow discard notifications.", []string{"exporter", "protocol", "domain"}, nil)
	descCounterSamples  = prometheus.NewDesc("minamo_exporter_counter_samples_total", "sFlow counter samples.", []string{"exporter", "protocol", "domain"}, nil)
	descOpen            = prometheus.NewDesc("minamo_connections", "Connections of exporters open now, by listen address.", []string{"listen"}, nil)
	descAccepted        = prometheus.NewDesc("minamo_connections_accepted_total", "Connections of exporters so far.", []string{"listen"}, nil)
	descEnded           = prometheus.NewDesc("minamo_connections_ended_total", "Connections that ended, by reason.", []string{"listen", "reason"}, nil)
	descMessages        = prometheus.NewDesc("minamo_connection_messages_total", "IPFIX messages received by connections.", []string{"listen"}, nil)
	descMessageBytes    = prometheus.NewDesc("minamo_connection_bytes_total", "Bytes of IPFIX messages received by connections.", []string{"listen"}, nil)
	descRejected        = prometheus.NewDesc("minamo_datagrams_rejected_total", "Datagrams of an unknown or unsupported protocol version.", []string{"version"}, nil)
	descDatagrams       = prometheus.NewDesc("minamo_exporter_datagrams_total", "Datagrams decoded.", []string{"exporter", "protocol", "domain"}, nil)
	descFlows           = prometheus.NewDesc("minamo_exporter_flows_total", "Flow records decoded.", []string{"exporter", "protocol", "domain"}, nil)
	descMissing         = prometheus.NewDesc("minamo_exporter_missing_units_total", "Sequence units that never came: flows (NetFlow 5, 7, 8), datagrams (NetFlow 9, sFlow), data records (IPFIX), packets (the probe of this server).", []string{"exporter", "protocol", "domain"}, nil)
	descSamples         = prometheus.NewDesc("minamo_exporter_missing_samples_total", "sFlow samples that never came, by the sources' own numbers.", []string{"exporter", "protocol", "domain"}, nil)
	descReordered       = prometheus.NewDesc("minamo_exporter_reordered_datagrams_total", "Datagrams that came late, or twice.", []string{"exporter", "protocol", "domain"}, nil)
	descRestarts        = prometheus.NewDesc("minamo_exporter_restarts_total", "Times that an exporter's sequence began anew.", []string{"exporter", "protocol", "domain"}, nil)
	descClock           = prometheus.NewDesc("minamo_exporter_clock_offset_seconds", "The exporter's clock minus ours, by its last datagram.", []string{"exporter", "protocol", "domain"}, nil)
	descTemplates       = prometheus.NewDesc("minamo_exporter_templates", "Templates known.", []string{"exporter"}, nil)
	descKeptOneIn       = prometheus.NewDesc("minamo_exporter_kept_one_in", "Of so many flow records one is kept, because more come than budget.collector allows; 1: every one is.", []string{"exporter"}, nil)
	descMalformed       = prometheus.NewDesc("minamo_exporter_malformed_datagrams_total", "Datagrams that could not be used at all.", []string{"exporter"}, nil)
	descProblems        = prometheus.NewDesc("minamo_exporter_problems_total", "What went wrong in datagrams that could be used, by kind.", []string{"exporter", "kind"}, nil)
	descExporters       = prometheus.NewDesc("minamo_exporters", "Exporters known.", nil, nil)
	descEvicted         = prometheus.NewDesc("minamo_exporters_evicted_total", "Exporters forgotten because there were too many.", nil, nil)
	descSinkErrors      = prometheus.NewDesc("minamo_collect_sink_errors_total", "Batches that the store did not take.", nil, nil)
)

// Describe implements prometheus.Collector.
func (c *Collector) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descSocketDatagrams, descSocketBytes, descSocketDrops,
		descOpen, descAccepted, descEnded, descMessages, descMessageBytes, descRejected, descDatagrams,
		descFlows, descMissing, descSamples, descReordered, descRestarts, descClock, descDiscards, descCounterSamples, descTemplates, descKeptOneIn, descMalformed, descProblems,
		descExporters, descEvicted, descSinkErrors} {
		descs <- d
	}
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(metrics chan<- prometheus.Metric) {
	counter := func(desc *prometheus.Desc, v uint64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(v), labels...)
	}
	gauge := func(desc *prometheus.Desc, v float64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, v, labels...)
	}
	for _, s := range c.Sockets() {
		counter(descSocketDatagrams, s.Datagrams, s.Address)
		counter(descSocketBytes, s.Bytes, s.Address)
		counter(descSocketDrops, s.Drops, s.Address)
	}
	for _, s := range c.Streams() {
		gauge(descOpen, float64(s.Open), s.Address)
		counter(descAccepted, s.Accepted, s.Address)
		counter(descMessages, s.Messages, s.Address)
		counter(descMessageBytes, s.Bytes, s.Address)
		for reason, n := range s.Ended {
			counter(descEnded, n, s.Address, reason)
		}
	}
	for version, n := range c.Exporters.Rejected() {
		counter(descRejected, n, version)
	}
	exporters := c.Exporters.Status()
	for _, x := range exporters {
		name := x.Exporter.String()
		gauge(descTemplates, float64(x.Templates), name)
		gauge(descKeptOneIn, float64(x.KeptOneIn), name)
		counter(descMalformed, x.Malformed, name)
		for kind, n := range x.Problems {
			counter(descProblems, n, name, kind)
		}
		for _, d := range x.Domains {
			labels := []string{name, d.Protocol, strconv.FormatUint(uint64(d.Domain), 10)}
			counter(descDatagrams, d.Datagrams, labels...)
			counter(descFlows, d.Flows, labels...)
			counter(descMissing, d.MissingUnits, labels...)
			counter(descSamples, d.MissingSamples, labels...)
			counter(descReordered, d.Reordered, labels...)
			counter(descRestarts, d.Restarts, labels...)
			if d.exportProtocol >= flow.SFlow2 && d.exportProtocol <= flow.SFlow5 {
				counter(descDiscards, d.Discards, labels...)
				counter(descCounterSamples, d.CounterSamples, labels...)
			}
			gauge(descClock, float64(d.ClockOffsetMS)/1000, labels...)
		}
	}
	gauge(descExporters, float64(len(exporters)))
	c.Exporters.mu.RLock()
	evicted := c.Exporters.evicted
	c.Exporters.mu.RUnlock()
	counter(descEvicted, evicted)
	counter(descSinkErrors, c.sinkErrors.Load())
}
