package server

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/minamo-flow/minamo/collect"
	"github.com/minamo-flow/minamo/verify/budget"
	"github.com/minamo-flow/minamo/verify/quality"
)

// registerBudget declares what tells of limits of flow records a second, and
// plans sampling rates.
func (s *Server) registerBudget(api huma.API) {
	get(api, "budget", "/api/budget", "Flow records per second: what the exporters and the collector use of their limits, and when growth will reach them", s.budget)
	plan := operation("plan", "/api/budget/plan", "Which sampling rate on which router keeps every limit, what it costs, and the routers' configuration")
	plan.Description = "Plans for the busiest minute of the last seven days. Of all ways to keep the limits it takes the one that loses the least precision."
	huma.Register(api, plan, s.plan)
	whatIf := plan
	whatIf.OperationID, whatIf.Method, whatIf.Summary = "plan-what-if", http.MethodPost, "The same, with other routers, loads, rates and limits than there are"
	huma.Register(api, whatIf, s.planWhatIf)
}

// FlowLimits are those of the configuration.
type FlowLimits struct {
	Collector float64 // flow records a second; 0: none
	Exporters []ExporterLimit
}

// ExporterLimit is that of each exporter of a prefix.
type ExporterLimit struct {
	Exporters netip.Prefix
	Flows     float64 // records a second
}

// of is the limit of an exporter; the first that fits counts.
func (l *FlowLimits) of(exporter netip.Addr) float64 {
	for _, one := range l.Exporters {
		if one.Exporters.Contains(exporter) {
			return one.Flows
		}
	}
	return 0
}

// budgetDays are histories of days that are over, which stay as they are.
type budgetDays struct {
	mu   sync.Mutex
	days map[time.Time]*budget.Network
}

// budgetHistory is the history of a time.
func (s *Server) budgetHistory(from, to time.Time) (*budget.Network, error) {
	all := budget.NewNetwork()
	if s.Quality == nil {
		return all, nil
	}
	kept := &s.budgetDays
	kept.mu.Lock()
	defer kept.mu.Unlock()
	if kept.days == nil || len(kept.days) > 1000 {
		kept.days = map[time.Time]*budget.Network{}
	}
	newest := s.Quality.Newest()
	for from.Before(to) {
		day := from.UTC().Truncate(24 * time.Hour)
		next := day.AddDate(0, 0, 1)
		whole := from.Equal(day) && !next.After(to) && next.Before(newest)
		part := kept.days[day]
		if !whole || part == nil {
			var err error
			if part, err = budget.Read(s.Quality, from, minTime(next, to)); err != nil {
				return nil, err
			}
			if whole {
				kept.days[day] = part
			}
		}
		all.Merge(part)
		from = next
	}
	return all, nil
}

func minTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// loadNow is the mean of the newest five minutes, in flow records a second.
func (s *Server) loadNow(to time.Time) (collector float64, exporters map[netip.Addr]float64, err error) {
	exporters = map[netip.Addr]float64{}
	if s.Quality == nil {
		return 0, exporters, nil
	}
	if newest := s.Quality.Newest(); !newest.IsZero() && newest.Before(to) {
		to = newest
	}
	const length = 5 * time.Minute
	err = s.Quality.Read(to.Add(-length), to, func(m *quality.Minute) error {
		for i := range m.Exporters {
			for j := range m.Exporters[i].Domains {
				flows := float64(m.Exporters[i].Domains[j].Flows) / max(length, m.Span).Seconds()
				exporters[m.Exporters[i].Address] += flows
				collector += flows
			}
		}
		return nil
	})
	return collector, exporters, err
}

type budgetInput struct {
	From string `query:"from" default:"-35d" doc:"Start: RFC 3339, now, or a span before now such as -24h, -35d"`
	To   string `query:"to" default:"now" doc:"End, likewise"`
}

// BudgetAnswer tells how much of their limits is used.
type BudgetAnswer struct {
	From      time.Time        `json:"from"`
	To        time.Time        `json:"to"`
	Collector FlowBudget       `json:"collector"`
	Kept      *float64         `json:"kept" doc:"Flow records per second that are kept now; null where all are, because no more come than the configured limit"`
	Exporters []ExporterBudget `json:"exporters" doc:"The ones with the most use first"`
}

// FlowBudget is a limit of flow records a second, and what is used of it.
type FlowBudget struct {
	Limit        float64        `json:"limit" doc:"Flow records per second; 0: none is known"`
	LimitSource  string         `json:"limit_source" enum:"configured,measured,none" doc:"Measured: the greatest minute that was received without loss, where greater ones lost something"`
	Lossless     float64        `json:"lossless" doc:"The greatest minute without loss: so much can be borne at least"`
	Now          float64        `json:"now" doc:"Mean of the newest five minutes"`
	Peak         float64        `json:"peak" doc:"The busiest minute of the last seven days of the range"`
	Use          float64        `json:"use" doc:"The peak's part of the limit; 0 where there is none"`
	Headroom     float64        `json:"headroom" doc:"What the peak leaves of the limit: less than 0 when it is exceeded"`
	Verdict      budget.Verdict `json:"verdict" enum:"fits,near,over,unknown" doc:"Of the peak: near is more than three quarters of the limit"`
	GrowthPerDay *float64       `json:"growth_per_day" doc:"By which the daily peaks grow, flow records per second; null where fewer than five whole days are known"`
	GrowthError  *float64       `json:"growth_error" doc:"Its standard error"`
	Grows        bool           `json:"grows" doc:"Whether the growth is more than the peaks' own unsteadiness"`
	Reached      *time.Time     `json:"reached" doc:"The day on which the limit is reached if it goes on so; null where it isn't within two years, or nobody can tell"`
	Days         []PeakDay      `json:"days"`
}

// PeakDay is a day's busiest minute.
type PeakDay struct {
	Date    time.Time `json:"date"`
	Peak    float64   `json:"peak" doc:"Flow records per second"`
	Minutes int       `json:"minutes" doc:"Of which anything is known"`
}

// ExporterBudget is that of an exporter.
type ExporterBudget struct {
	Exporter netip.Addr `json:"exporter"`
	FlowBudget
	Rates            []BudgetRate `json:"rates" doc:"Its sampling rates in the last hour, that of the most flows first"`
	PacketsPerRecord float64      `json:"packets_per_record" doc:"Sampled packets of a flow record, the mean; 0: not known. The more, the less a coarser rate helps"`
	PacketBytes      float64      `json:"packet_bytes" doc:"Mean bytes of its packets; 0: not known"`
	KeptOneIn        uint32       `json:"kept_one_in" doc:"Of so many of its flow records one is kept now, because more come than the collector's configured limit; 1: every one is"`
}

// BudgetRate is a sampling rate and where it was learnt.
type BudgetRate struct {
	Rate   uint32  `json:"rate"`
	Source string  `json:"source" doc:"record, options, header, configured, or assumed: nobody told"`
	Share  float64 `json:"share" doc:"Of its flow records"`
}

// use judges a history against a limit.
func use(h *budget.History, configured, now float64, to time.Time) FlowBudget {
	b := FlowBudget{Limit: configured, LimitSource: "configured", Lossless: h.Lossless(), Now: now, Peak: max(h.Recent(to), now), Days: []PeakDay{}}
	if configured <= 0 {
		b.Limit, b.LimitSource = 0, "none"
		if limit, known := h.Measured(); known {
			b.Limit, b.LimitSource = limit, "measured"
		}
	}
	if b.Verdict = budget.Judge(b.Peak, b.Limit); b.Limit > 0 {
		b.Use, b.Headroom = b.Peak/b.Limit, b.Limit-b.Peak
	}
	if trend, known := h.Trend(to); known {
		b.GrowthPerDay, b.GrowthError, b.Grows = &trend.PerDay, &trend.Error, trend.Sure()
		if day, known := trend.Reaches(b.Limit); known {
			b.Reached = &day
		}
	}
	for _, d := range h.Days() {
		b.Days = append(b.Days, PeakDay(d))
	}
	return b
}

func (s *Server) budget(_ context.Context, in *budgetInput) (*struct{ Body BudgetAnswer }, error) {
	u := &understood{}
	from, to, err := parseRange(in.From, in.To, time.Now())
	if err != nil {
		u.fault("from", in.From, err)
		return nil, u.problem()
	}
	answer, err := s.budgets(from, to)
	if err != nil {
		return nil, huma.Error500InternalServerError(err.Error())
	}
	return &struct{ Body BudgetAnswer }{*answer}, nil
}

func (s *Server) budgets(from, to time.Time) (*BudgetAnswer, error) {
	if earliest := to.AddDate(0, 0, -400); from.Before(earliest) { // nothing is kept for so long
		from = earliest
	}
	history, err := s.budgetHistory(from, to)
	if err != nil {
		return nil, err
	}
	all, now, err := s.loadNow(to)
	if err != nil {
		return nil, err
	}
	answer := &BudgetAnswer{From: from.UTC(), To: to.UTC(), Collector: use(history.Collector, s.Limits.Collector, all, to), Exporters: []ExporterBudget{}}
	if load := s.Collector.Exporters.Load(); load.Thins > 0 {
		answer.Kept = &load.Kept
	}
	hour, sizes := s.verdicts(time.Hour), s.Collector.Exporters.RecordSizes()
	kept := map[netip.Addr]uint32{}
	for _, x := range s.Collector.Exporters.Status() {
		kept[x.Exporter] = x.KeptOneIn
	}
	for address, h := range history.Exporters {
		x := ExporterBudget{
			Exporter: address, FlowBudget: use(h, s.Limits.of(address), now[address], to),
			Rates: budgetRates(hour.of[address].Rates), PacketBytes: sizes[address].PacketBytes, KeptOneIn: max(kept[address], 1),
		}
		if known := recordSizes(sizes[address]); known != nil {
			x.PacketsPerRecord = known.Mean()
		}
		answer.Exporters = append(answer.Exporters, x)
	}
	slices.SortFunc(answer.Exporters, func(a, b ExporterBudget) int {
		return cmp.Or(-cmp.Compare(a.Use, b.Use), -cmp.Compare(a.Peak, b.Peak), a.Exporter.Compare(b.Exporter))
	})
	return answer, nil
}

// budgetRates joins what is of several observation domains.
func budgetRates(shares []quality.RateShare) []BudgetRate {
	list := []BudgetRate{}
	all := 0.0
	for _, r := range shares {
		all += float64(r.Flows)
		i := slices.IndexFunc(list, func(b BudgetRate) bool { return b.Rate == r.Rate && b.Source == r.Source })
		if i < 0 {
			list, i = append(list, BudgetRate{Rate: r.Rate, Source: r.Source}), len(list)
		}
		list[i].Share += float64(r.Flows)
	}
	for i := range list {
		list[i].Share /= max(all, 1)
	}
	slices.SortStableFunc(list, func(a, b BudgetRate) int { return -cmp.Compare(a.Share, b.Share) })
	return list
}

// recordSizes are shares of what was counted; nil where nothing was.
func recordSizes(counted collect.RecordSizes) budget.Sizes {
	var all float64
	for _, c := range counted.Packets {
		all += float64(c.Records)
	}
	var sizes budget.Sizes
	for _, c := range counted.Packets {
		sizes = append(sizes, budget.Size{Packets: c.Packets, Share: float64(c.Records) / all})
	}
	return sizes
}

type planInput struct {
	Collector float64 `query:"collector" minimum:"0" doc:"Flow records per second that the collector may get; 0: its limit, configured or measured"`
	Growth    float64 `query:"growth" default:"1" minimum:"0.01" maximum:"1000" doc:"Factor by which all will have grown"`
	Reserve   float64 `query:"reserve" default:"0.25" minimum:"0" maximum:"0.9" doc:"Part of every limit that is to stay free"`
	Bytes     float64 `query:"bytes" minimum:"0" maximum:"1e18" doc:"An amount of traffic whose precision is asked, beside the usual ones; 0: none"`
}

type whatIfInput struct{ Body WhatIf }

// WhatIf is what is to be planned for.
type WhatIf struct {
	Collector float64        `json:"collector,omitempty" minimum:"0" doc:"Flow records per second that the collector may get; 0: its limit, configured or measured"`
	Growth    float64        `json:"growth,omitempty" default:"1" minimum:"0.01" maximum:"1000" doc:"Factor by which all will have grown"`
	Reserve   *float64       `json:"reserve,omitempty" minimum:"0" maximum:"0.9" doc:"Part of every limit that is to stay free; by default 0.25"`
	Bytes     float64        `json:"bytes,omitempty" minimum:"0" maximum:"1e18" doc:"An amount of traffic whose precision is asked, beside the usual ones; 0: none"`
	Only      bool           `json:"only,omitempty" doc:"Plan for the routers given here alone, not for those known"`
	Routers   []WhatIfRouter `json:"routers,omitempty" maxItems:"10000" doc:"Routers there may be, and what differs of those there are"`
}

// WhatIfRouter is a router as it might be. What is left out is as it is.
type WhatIfRouter struct {
	Name        string   `json:"name" minLength:"1" maxLength:"200" doc:"An exporter's address, or any name of one there isn't yet"`
	Flows       *float64 `json:"flows,omitempty" minimum:"0" maximum:"1e12" doc:"Flow records per second in its busiest minute"`
	Rate        *uint32  `json:"rate,omitempty" minimum:"1" maximum:"16777216" doc:"One packet in so many is sampled"`
	Limit       *float64 `json:"limit,omitempty" minimum:"0" maximum:"1e12" doc:"Flow records per second that it can export; 0: any"`
	PacketBytes *float64 `json:"packet_bytes,omitempty" minimum:"20" maximum:"65535" doc:"Mean bytes of its packets"`
}

// SamplingPlan is which sampling rate on which router.
type SamplingPlan struct {
	Possible bool            `json:"possible" doc:"Whether every limit is kept"`
	Words    string          `json:"words"`
	Limit    float64         `json:"limit" doc:"The collector's, flow records per second; 0: none"`
	Target   float64         `json:"target" doc:"What the collector may get when the reserve stays free; 0: any"`
	Before   float64         `json:"before" doc:"What it would get without the plan, grown"`
	After    float64         `json:"after" doc:"What it gets with the plan, grown"`
	Growth   float64         `json:"growth"`
	Reserve  float64         `json:"reserve"`
	Routers  []PlannedRouter `json:"routers"`
}

// PlannedRouter is the rate of a router, and what it costs.
type PlannedRouter struct {
	budget.Choice
	PacketBytes   float64             `json:"packet_bytes" doc:"Mean bytes of its packets"`
	Assumed       bool                `json:"assumed" doc:"Nobody knows those: they are assumed"`
	Costs         []PrecisionCost     `json:"costs" doc:"How exactly amounts of traffic show, before and after"`
	Configuration []ConfigurationText `json:"configuration" doc:"By vendor, where the rate changes"`
}

// PrecisionCost is how exactly an amount of traffic shows.
type PrecisionCost struct {
	budget.Traffic
	Before budget.Precision `json:"before"`
	After  budget.Precision `json:"after"`
}

// ConfigurationText is what a router is to be told.
type ConfigurationText struct {
	Vendor string `json:"vendor"`
	Lines  string `json:"lines" doc:"Empty where it takes no such rate"`
	Note   string `json:"note" doc:"What to heed"`
}

// usualPacket is the mean bytes of packets where nobody knows them.
const usualPacket = 800

func (s *Server) plan(ctx context.Context, in *planInput) (*struct{ Body SamplingPlan }, error) {
	return s.planWhatIf(ctx, &whatIfInput{WhatIf{Collector: in.Collector, Growth: in.Growth, Reserve: &in.Reserve, Bytes: in.Bytes}})
}

func (s *Server) planWhatIf(_ context.Context, in *whatIfInput) (*struct{ Body SamplingPlan }, error) {
	w := &in.Body
	now := time.Now()
	known, err := s.budgets(now.AddDate(0, 0, -35), now)
	if err != nil {
		return nil, huma.Error500InternalServerError(err.Error())
	}
	c := budget.Case{Collector: cmp.Or(w.Collector, known.Collector.Limit), Growth: cmp.Or(w.Growth, 1), Reserve: budget.Reserve}
	if w.Reserve != nil {
		c.Reserve = *w.Reserve
	}
	var packets []float64
	if !w.Only {
		sizes := s.Collector.Exporters.RecordSizes()
		for _, x := range known.Exporters {
			if x.Peak == 0 {
				continue // silent for a week
			}
			r := budget.Router{Name: x.Exporter.String(), Flows: x.Peak, Limit: x.Limit, Sizes: recordSizes(sizes[x.Exporter])}
			if len(x.Rates) > 0 {
				r.Rate = x.Rates[0].Rate
			}
			c.Routers, packets = append(c.Routers, r), append(packets, x.PacketBytes)
		}
	}
	given := map[string]int{}
	for i := range c.Routers {
		given[c.Routers[i].Name] = i
	}
	for _, x := range w.Routers {
		i, is := given[x.Name]
		if !is {
			i = len(c.Routers)
			given[x.Name] = i
			c.Routers, packets = append(c.Routers, budget.Router{Name: x.Name}), append(packets, 0)
		}
		change(&c.Routers[i].Flows, x.Flows)
		change(&c.Routers[i].Rate, x.Rate)
		change(&c.Routers[i].Limit, x.Limit)
		change(&packets[i], x.PacketBytes)
	}
	p := budget.Make(c)
	out := SamplingPlan{
		Possible: p.Possible, Words: p.Words, Limit: p.Limit, Target: p.Target, Before: p.Before, After: p.After,
		Growth: c.Growth, Reserve: c.Reserve, Routers: []PlannedRouter{},
	}
	traffic := budget.Usual
	if w.Bytes > 0 {
		traffic = append(slices.Clone(traffic), budget.Traffic{Name: fmt.Sprintf("%g bytes", w.Bytes), Bytes: w.Bytes})
	}
	for i, choice := range p.Routers {
		r := PlannedRouter{Choice: choice, PacketBytes: packets[i], Costs: []PrecisionCost{}, Configuration: []ConfigurationText{}}
		if r.PacketBytes == 0 {
			r.PacketBytes, r.Assumed = usualPacket, true
		}
		for _, t := range traffic {
			r.Costs = append(r.Costs, PrecisionCost{t, budget.Precise(t.Bytes, r.PacketBytes, r.Rate), budget.Precise(t.Bytes, r.PacketBytes, r.NewRate)})
		}
		if r.NewRate != r.Rate {
			for i := range budget.Vendors {
				v := &budget.Vendors[i]
				text := ConfigurationText{Vendor: v.Name, Note: v.Note}
				if text.Lines, err = v.Lines(r.NewRate); err != nil {
					text.Note = err.Error()
				}
				r.Configuration = append(r.Configuration, text)
			}
		}
		out.Routers = append(out.Routers, r)
	}
	return &struct{ Body SamplingPlan }{out}, nil
}

// change sets what is given.
func change[T any](v *T, given *T) {
	if given != nil {
		*v = *given
	}
}
