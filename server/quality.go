package server

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/minamo-flow/minamo/collect"
	"github.com/minamo-flow/minamo/verify/proof"
	"github.com/minamo-flow/minamo/verify/quality"
)

// registerExporters declares what tells of exporters, and how good what they
// tell is.
func (s *Server) registerExporters(api huma.API) {
	get(api, "exporters", "/api/exporters", "Who exports, how well, and how sampled", s.exporters)
	get(api, "exporter", "/api/exporters/{exporter}", "What one exporter told of itself, and what was found out of it: names, counters, statistics, timers, quality", s.exporter)
	get(api, "quality", "/api/quality", "How exporters exported over time, and when flows are known to be lost", s.quality)
}

type exportersOutput struct {
	Body struct {
		Exporters []Exporter `json:"exporters"`
	}
}

// Exporter is one of the list.
type Exporter struct {
	collect.ExporterStatus
	Quality *quality.Score      `json:"quality" doc:"How good what it told in the last hour is, and why it is not better; null where nothing is known of that yet"`
	Rates   []quality.RateShare `json:"rates" doc:"The sampling rates of its flows of the last hour, those of most flows first, and where each was learnt"`
}

func (s *Server) exporters(context.Context, *struct{}) (*exportersOutput, error) {
	out := &exportersOutput{}
	out.Body.Exporters = []Exporter{}
	hour := s.verdicts(time.Hour)
	for _, x := range s.Collector.Exporters.Status() {
		out.Body.Exporters = append(out.Body.Exporters, Exporter{x, s.withProof(x.Exporter, hour.score(&x)), hour.rates(x.Exporter)})
	}
	return out, nil
}

type exporterInput struct {
	Exporter string `path:"exporter" doc:"Its address"`
}

type exporterOutput struct{ Body ExporterDetails }

// ExporterDetails is all that is known of an exporter.
type ExporterDetails struct {
	collect.ExporterDetails
	Quality    *quality.Score      `json:"quality" doc:"Of the last hour; null where nothing is known of it yet"`
	QualityDay *quality.Score      `json:"quality_day" doc:"Of the last 24 hours"`
	Timers     quality.Timers      `json:"timers" doc:"Of its cache, as the flows of the last hour show them"`
	Rates      []quality.RateShare `json:"rates" doc:"The sampling rates of the flows of the last hour, and where each was learnt"`
}

func (s *Server) exporter(_ context.Context, in *exporterInput) (*exporterOutput, error) {
	address, err := netip.ParseAddr(in.Exporter)
	details, ok := s.Collector.Exporters.Details(address)
	if err != nil || !ok {
		return nil, huma.Error404NotFound("no exporter " + in.Exporter + " is known; /api/exporters lists them")
	}
	hour, day := s.verdicts(time.Hour), s.verdicts(24*time.Hour)
	out := &exporterOutput{ExporterDetails{
		ExporterDetails: details,
		Quality:         s.withProof(details.Exporter, hour.score(&details.ExporterStatus)),
		QualityDay:      day.score(&details.ExporterStatus),
		Timers:          hour.of[details.Exporter].Timers,
		Rates:           hour.rates(details.Exporter),
	}}
	return out, nil
}

// verdicts are those of a time until now.
type verdicts struct {
	of       map[netip.Addr]quality.Verdict
	from, to time.Time
	settled  bool // the collector ran for long enough to say who is silent
}

// settling is how long exporters have to be heard after a start.
const settling = 5 * time.Minute

func (s *Server) verdicts(length time.Duration) (v verdicts) {
	if s.Quality == nil {
		return v
	}
	v.settled = time.Since(s.started) > settling
	var err error
	if v.of, v.from, v.to, err = s.Quality.Latest(length); err != nil {
		s.Log.Warn("the quality of exporters cannot be read", "error", err)
	}
	return v
}

// rates of an exporter's flows, those of most first.
func (v verdicts) rates(exporter netip.Addr) []quality.RateShare {
	list := append([]quality.RateShare{}, v.of[exporter].Rates...)
	slices.SortStableFunc(list, func(a, b quality.RateShare) int { return cmp.Compare(b.Flows, a.Flows) })
	return list
}

// score of an exporter; nil where nothing is known of it.
func (v verdicts) score(x *collect.ExporterStatus) *quality.Score {
	if verdict, ok := v.of[x.Exporter]; ok {
		return &verdict.Score
	}
	if v.settled && v.of != nil && x.LastSeen.Before(v.from) {
		silent := quality.Silent(v.from, v.to, x.LastSeen)
		return &silent
	}
	return nil
}

// provenPoints are what a verdict on flows against interface counters costs.
// What is not here costs its points by what the exporter's datagrams tell.
var provenPoints = map[proof.Verdict]int{
	proof.RateNotApplied: 40, proof.RateWrong: 40, proof.RateAppliedTwice: 40, proof.DoubleCount: 20,
	proof.DirectionMissing: 30, proof.HalfMissing: 30, proof.LoadLoss: 20, proof.ProtocolMissing: 20, proof.TooHigh: 20, proof.TooLow: 20, proof.Renumbered: 30,
}

// withProof takes points off for what the comparison with interface counters
// found: the worst verdict, once.
func (s *Server) withProof(exporter netip.Addr, score *quality.Score) *quality.Score {
	if s.watcher == nil || score == nil {
		return score
	}
	var worst proof.Alert
	places := 0
	for _, a := range s.watcher.Alerts() {
		if a.Exporter != exporter || provenPoints[a.Verdict] == 0 {
			continue
		}
		if provenPoints[a.Verdict] > provenPoints[worst.Verdict] {
			worst, places = a, 0
		}
		if a.Verdict == worst.Verdict {
			places++
		}
	}
	if places == 0 {
		return score
	}
	words := fmt.Sprintf("Against interface counters: %s", worst.Words)
	if places > 1 {
		words += fmt.Sprintf(" So it is in %d directions of interfaces.", places)
	}
	less := score.And(quality.Reason{Points: provenPoints[worst.Verdict], Kind: "proof", Words: words, Mend: worst.Mend})
	return &less
}

type qualityInput struct {
	From     string `query:"from" default:"-1h" doc:"Start: RFC 3339, now, or a span before now such as -15m, -4h45m, -7d"`
	To       string `query:"to" default:"now" doc:"End, likewise"`
	Exporter string `query:"exporter" doc:"One exporter's address; without it, all"`
	Step     string `query:"step" default:"auto" doc:"Length of a point: auto, or whole minutes in seconds or as a span such as 5m"`
}

type qualityOutput struct{ Body QualityAnswer }

// QualityAnswer is a history of exporters.
type QualityAnswer struct {
	From      time.Time          `json:"from"`
	To        time.Time          `json:"to"`
	Step      int                `json:"step" doc:"Seconds"`
	Ran       []bool             `json:"ran" doc:"By point: whether a collector ran; numbers of points where none did are 0, and mean nothing"`
	Dropped   []uint64           `json:"kernel_drops" doc:"Datagrams of all exporters that the kernel of this machine dropped"`
	Exporters []ExporterSeries   `json:"exporters"`
	Intervals []quality.Interval `json:"intervals" doc:"Known loss, to shade charts with"`
}

// ExporterSeries is the history of an exporter, by point.
type ExporterSeries struct {
	Exporter        string         `json:"exporter"`
	Malformed       []uint64       `json:"malformed" doc:"Malformed datagrams, and parts of datagrams"`
	TemplateWaits   []uint64       `json:"template_waits" doc:"Data sets that came before their template, and waited"`
	TemplateMissing []uint64       `json:"template_missing" doc:"Data sets lost because it never came"`
	TemplateChanges []uint64       `json:"template_changes" doc:"Templates that were new, differed, or were withdrawn"`
	Templates       []uint64       `json:"templates" doc:"Templates known"`
	TimesClamped    []uint64       `json:"times_clamped" doc:"Flows of impossible times"`
	Domains         []DomainSeries `json:"domains"`
}

// DomainSeries is that of an observation domain.
type DomainSeries struct {
	Protocol       string   `json:"protocol"`
	Domain         uint32   `json:"domain"`
	Unit           string   `json:"unit" doc:"What sequence numbers count, and missing is told in: flows, datagrams, data records"`
	Flows          []uint64 `json:"flows"`
	Datagrams      []uint64 `json:"datagrams"`
	Bytes          []uint64 `json:"bytes" doc:"Bytes of those"`
	Units          []uint64 `json:"units" doc:"Units that came"`
	Missing        []int64  `json:"missing" doc:"Units that never came; less than 0 where some came late that were missing in the point before"`
	MissingSamples []int64  `json:"missing_samples" doc:"sFlow samples that never came"`
	Reordered      []uint64 `json:"reordered" doc:"Datagrams that came late, or twice"`
	Duplicates     []uint64 `json:"duplicates" doc:"Of those, the ones that came twice"`
	Restarts       []uint64 `json:"restarts"`
	LongestMS      []int64  `json:"longest_ms" doc:"The longest flow"`
	ClockOffsetMS  []*int64 `json:"clock_offset_ms" doc:"The exporter's clock minus ours, the median; null where none is known"`
	SamplingRate   []uint32 `json:"sampling_rate" doc:"The rate of most flows; 0 where there are none"`
	SamplingSource []string `json:"sampling_source" doc:"Where it was learnt: record, options, header, configured, assumed"`

	offsets [][]int64
	rates   []map[collect.RateReading]uint64
}

// mostNumbers bounds an answer.
const mostNumbers = 4_000_000

func (s *Server) quality(_ context.Context, in *qualityInput) (*qualityOutput, error) {
	u := &understood{}
	var err error
	if u.from, u.to, err = parseRange(in.From, in.To, time.Now()); err != nil {
		u.fault("from", in.From, err)
		return nil, u.problem()
	}
	step := u.step(cmp.Or(in.Step, "auto"))
	if step%time.Minute != 0 && in.Step != "" && in.Step != "auto" && in.Step != "0" {
		u.fault("step", in.Step, fmt.Errorf("expected whole minutes: the history is kept by the minute"))
	}
	step = max(step, time.Minute)
	var only netip.Addr
	if in.Exporter != "" {
		if only, err = netip.ParseAddr(in.Exporter); err != nil {
			u.fault("exporter", in.Exporter, fmt.Errorf("expected an address, found %q", in.Exporter))
		}
		only = only.Unmap()
	}
	if err := u.problem(); err != nil {
		return nil, err
	}
	from, to := u.from.Truncate(step), u.to.Truncate(step)
	if to.Before(u.to) {
		to = to.Add(step)
	}
	h := history{from: from, step: step, points: int(to.Sub(from) / step), only: only, byAddr: map[netip.Addr]*ExporterSeries{}}
	h.Ran, h.Dropped = make([]bool, h.points), make([]uint64, h.points)
	var losses quality.Losses
	if s.Quality != nil {
		const before = time.Hour // makes known how often each exporter tells anything
		err := s.Quality.Read(from.Add(-before), to, func(m *quality.Minute) error {
			losses.Add(m)
			return h.add(m)
		})
		if err == errTooMuch {
			u.fault("step", in.Step, err)
			return nil, u.problem()
		}
		if err != nil {
			return nil, huma.Error500InternalServerError(err.Error())
		}
	}
	out := &qualityOutput{h.answer()}
	out.Body.From, out.Body.To, out.Body.Step = from.UTC(), to.UTC(), int(step/time.Second)
	out.Body.Intervals = losses.Intervals(from, to)
	if only.IsValid() {
		out.Body.Intervals = slices.DeleteFunc(out.Body.Intervals, func(i quality.Interval) bool {
			return i.Exporter != "" && i.Exporter != only.String()
		})
	}
	return out, nil
}

// history sums minutes up.
type history struct {
	QualityAnswer
	from    time.Time
	step    time.Duration
	points  int
	only    netip.Addr
	byAddr  map[netip.Addr]*ExporterSeries
	numbers int
}

var errTooMuch = fmt.Errorf("the answer would be too long: choose an exporter, a longer step or a shorter time")

func (h *history) add(m *quality.Minute) error {
	first := int(m.At.Sub(h.from) / h.step)
	for i := max(first, 0); i < h.points && m.End().After(h.from.Add(time.Duration(i)*h.step)) && !m.At.Before(h.from); i++ {
		h.Ran[i] = true
	}
	if m.At.Before(h.from) || first >= h.points {
		return nil
	}
	for _, s := range m.Sockets {
		h.Dropped[first] += s.Drops
	}
	for i := range m.Exporters {
		x := &m.Exporters[i]
		if h.only.IsValid() && h.only != x.Address {
			continue
		}
		series := h.byAddr[x.Address]
		if series == nil {
			series = &ExporterSeries{Exporter: x.Address.String(), Domains: []DomainSeries{}}
			for _, v := range []*[]uint64{&series.Malformed, &series.TemplateWaits, &series.TemplateMissing, &series.TemplateChanges, &series.Templates, &series.TimesClamped} {
				*v = make([]uint64, h.points)
			}
			h.byAddr[x.Address] = series
			h.numbers += 6 * h.points
		}
		series.Malformed[first] += x.Malformed + x.MalformedParts
		series.TemplateWaits[first] += x.Waited
		series.TemplateMissing[first] += x.Forlorn
		series.TemplateChanges[first] += x.TemplateChanges
		series.Templates[first] = x.Templates
		series.TimesClamped[first] += x.Clamped
		for j := range x.Domains {
			d := h.domain(series, &x.Domains[j])
			if h.numbers > mostNumbers {
				return errTooMuch
			}
			d.add(first, &x.Domains[j])
		}
	}
	return nil
}

func (h *history) domain(x *ExporterSeries, m *quality.Domain) *DomainSeries {
	protocol := m.ProtocolName()
	for i := range x.Domains {
		if d := &x.Domains[i]; d.Domain == m.Domain && d.Protocol == protocol {
			return d
		}
	}
	d := DomainSeries{Protocol: protocol, Domain: m.Domain, Unit: quality.Unit(m.Protocol)}
	for _, v := range []*[]uint64{&d.Flows, &d.Datagrams, &d.Bytes, &d.Units, &d.Reordered, &d.Duplicates, &d.Restarts} {
		*v = make([]uint64, h.points)
	}
	for _, v := range []*[]int64{&d.Missing, &d.MissingSamples, &d.LongestMS} {
		*v = make([]int64, h.points)
	}
	d.ClockOffsetMS, d.SamplingRate, d.SamplingSource = make([]*int64, h.points), make([]uint32, h.points), make([]string, h.points)
	d.offsets, d.rates = make([][]int64, h.points), make([]map[collect.RateReading]uint64, h.points)
	h.numbers += 13 * h.points
	x.Domains = append(x.Domains, d)
	return &x.Domains[len(x.Domains)-1]
}

func (d *DomainSeries) add(i int, m *quality.Domain) {
	d.Flows[i] += m.Flows
	d.Datagrams[i] += m.Datagrams
	d.Bytes[i] += m.Bytes
	d.Units[i] += m.Units
	d.Reordered[i] += m.Reordered
	d.Duplicates[i] += m.Duplicates
	d.Restarts[i] += m.Restarts
	d.Missing[i] += m.Missing
	d.MissingSamples[i] += m.MissingSamples
	d.LongestMS[i] = max(d.LongestMS[i], m.Longest)
	if m.HasOffset {
		d.offsets[i] = append(d.offsets[i], m.Offset)
	}
	for _, r := range m.Rates {
		if d.rates[i] == nil {
			d.rates[i] = map[collect.RateReading]uint64{}
		}
		d.rates[i][collect.RateReading{Rate: r.Rate, Source: r.Source}] += r.Flows
	}
}

// answer completes what can be told only at the end: medians, and rates of most.
func (h *history) answer() QualityAnswer {
	h.Exporters = []ExporterSeries{}
	for _, x := range h.byAddr {
		for j := range x.Domains {
			d := &x.Domains[j]
			for i, offsets := range d.offsets {
				if len(offsets) > 0 {
					slices.Sort(offsets)
					d.ClockOffsetMS[i] = &offsets[len(offsets)/2]
				}
				var most uint64
				for r, flows := range d.rates[i] {
					if flows > most || flows == most && r.Rate > d.SamplingRate[i] {
						most, d.SamplingRate[i], d.SamplingSource[i] = flows, r.Rate, quality.SourceName(r.Source)
					}
				}
			}
		}
		slices.SortFunc(x.Domains, func(a, b DomainSeries) int {
			return cmp.Or(strings.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Domain, b.Domain))
		})
		h.Exporters = append(h.Exporters, *x)
	}
	slices.SortFunc(h.Exporters, func(a, b ExporterSeries) int { return strings.Compare(a.Exporter, b.Exporter) })
	return h.QualityAnswer
}
