package budget

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Router is an exporter as the planner sees it.
type Router struct {
	Name  string
	Flows float64 // flow records a second, in its busiest minute
	Rate  uint32  // one packet in Rate is sampled; 0 where nobody knows, and 1 is meant
	Limit float64 // flow records a second that it may export; 0 is none
	Sizes Sizes   // of its records
}

// Case is what is to be planned for.
type Case struct {
	Collector float64 // flow records a second that the collector may get; 0 is no limit
	Growth    float64 // factor by which all will have grown; 0 means 1
	Reserve   float64 // part of every limit that is to stay free
	Routers   []Router
}

// Plan is which sampling rate on which router.
type Plan struct {
	Possible bool     `json:"possible" doc:"Whether every limit is kept"`
	Limit    float64  `json:"limit" doc:"The collector's, flow records a second; 0: none"`
	Target   float64  `json:"target" doc:"What the collector may get when the reserve stays free; 0: any"`
	Before   float64  `json:"before" doc:"What it would get without the plan, grown"`
	After    float64  `json:"after" doc:"What it gets with the plan, grown"`
	Words    string   `json:"words"`
	Routers  []Choice `json:"routers"`
}

// Choice is the rate of a router.
type Choice struct {
	Name     string  `json:"name"`
	Rate     uint32  `json:"rate" doc:"One packet in so many is sampled now"`
	NewRate  uint32  `json:"new_rate" doc:"And is to be"`
	Now      float64 `json:"now" doc:"Flow records a second now"`
	NowAfter float64 `json:"now_after" doc:"The same at the new rate"`
	Before   float64 `json:"before" doc:"Flow records a second when grown, without the plan"`
	After    float64 `json:"after" doc:"And with it"`
	Limit    float64 `json:"limit" doc:"Its own, flow records a second; 0: none"`
	Target   float64 `json:"target" doc:"What it may export when the reserve stays free; 0: any"`
	Why      Why     `json:"why" enum:"kept,own_limit,collector,impossible"`
	Words    string  `json:"words"`
}

// Why tells what a choice was made for.
type Why string

// The reasons.
const (
	Kept         Why = "kept"
	OwnLimit     Why = "own_limit"
	ForCollector Why = "collector"
	Impossible   Why = "impossible" // even the coarsest rate is too much
)

// coarsest is the greatest rate that a plan proposes: what most samplers can be
// told. A router that samples coarser already is left as it is.
const coarsest = 1 << 16

// option is a rate that a router may have.
type option struct {
	rate  uint32
	flows float64
	cost  float64
}

// options are the router's rate and all coarser ones, doubled each time: powers
// of two stay powers of two, and thousands 1000·2ⁿ. The cost of a rate is the
// router's packets a second times the rate.
func (r *Router) options(growth float64) []option {
	rate := max(r.Rate, 1)
	packets := r.Flows * growth * r.Sizes.Mean() * float64(rate)
	var list []option
	for f := uint32(1); f == 1 || rate*f <= coarsest; f *= 2 {
		list = append(list, option{rate * f, r.Flows * growth * r.Sizes.Left(float64(f)), packets * float64(rate) * float64(f)})
	}
	return list
}

// Make plans. Of all ways to keep the limits it takes the one that loses least
// precision overall: the square of a flow's error is proportional to the rate
// by which it is sampled, and what is made least is the mean of that over all
// packets of the network.
func Make(c Case) Plan {
	growth := c.Growth
	if growth <= 0 {
		growth = 1
	}
	target := func(limit float64) float64 { return limit * (1 - c.Reserve) }
	p := Plan{Possible: true, Limit: c.Collector, Target: target(c.Collector), Routers: make([]Choice, len(c.Routers))}
	all := make([][]option, len(c.Routers))
	own := make([]bool, len(c.Routers)) // its own limit wants it coarser
	for i := range c.Routers {
		r := &c.Routers[i]
		all[i] = r.options(growth)
		for r.Limit > 0 && len(all[i]) > 1 && all[i][0].flows > target(r.Limit) {
			all[i], own[i] = all[i][1:], true
		}
	}
	chosen := choose(all, p.Target)
	for i := range c.Routers {
		r, o := &c.Routers[i], all[i][chosen[i]]
		rate := max(r.Rate, 1)
		x := Choice{
			Name: r.Name, Rate: rate, NewRate: o.rate,
			Now: r.Flows, NowAfter: r.Flows * r.Sizes.Left(float64(o.rate/rate)),
			Before: r.Flows * growth, After: o.flows,
			Limit: r.Limit, Target: target(r.Limit), Why: Kept,
		}
		switch {
		case r.Limit > 0 && o.flows > x.Target:
			x.Why, p.Possible = Impossible, false
		case chosen[i] > 0:
			x.Why = ForCollector
		case own[i]:
			x.Why = OwnLimit
		}
		p.Before += x.Before
		p.After += x.After
		p.Routers[i] = x
	}
	if p.Target > 0 && p.After > p.Target {
		p.Possible = false
	}
	p.explain(c)
	return p
}

// state is a way to choose for the routers so far.
type state struct {
	flows, cost float64
	from        int // the state before, of one router fewer
	option      int
}

// mostStates bounds the work of a plan. Beyond it ways that hardly differ are
// not all followed.
const mostStates = 200_000

// choose returns for each router which of its options it gets: at the least
// cost of all ways whose flows come to the target at most; 0 is no target. Where
// there is no such way it is the coarsest of each.
//
// Routers are added one by one. Of the ways so far those are kept than which no
// other has both fewer flows and a lower cost.
func choose(all [][]option, target float64) []int {
	chosen := make([]int, len(all))
	total, least := 0.0, 0.0
	for _, options := range all {
		total += options[0].flows
		least += options[len(options)-1].flows
	}
	if target <= 0 || total <= target {
		return chosen
	}
	if least > target {
		for i := range all {
			chosen[i] = len(all[i]) - 1
		}
		return chosen
	}
	order := make([]int, len(all)) // the greatest first: the small ones fill what is left
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(all[b][0].flows, all[a][0].flows) })
	room := max(mostStates/len(all), 64)
	stages := [][]state{{{}}}
	for _, router := range order {
		options := all[router]
		least -= options[len(options)-1].flows // of the routers that are still to come
		var next []state
		for from, s := range stages[len(stages)-1] {
			for i, o := range options {
				if flows := s.flows + o.flows; flows+max(least, 0) <= target*(1+1e-12) {
					next = append(next, state{flows, s.cost + o.cost, from, i})
				}
			}
		}
		slices.SortStableFunc(next, func(a, b state) int {
			return cmp.Or(cmp.Compare(a.flows, b.flows), cmp.Compare(a.cost, b.cost))
		})
		best := math.Inf(1)
		next = slices.DeleteFunc(next, func(s state) bool {
			if s.cost >= best {
				return true
			}
			best = s.cost
			return false
		})
		if len(next) > room { // as many, evenly
			for i := range room {
				next[i] = next[i*(len(next)-1)/(room-1)]
			}
			next = next[:room]
		}
		stages = append(stages, next)
	}
	at := len(stages[len(stages)-1]) - 1 // the cheapest has the most flows
	for i := len(order) - 1; i >= 0; i-- {
		s := stages[i+1][at]
		chosen[order[i]], at = s.option, s.from
	}
	return chosen
}

// explain puts the plan into words.
func (p *Plan) explain(c Case) {
	reserve := ""
	if c.Reserve > 0 {
		reserve = fmt.Sprintf(" (%.0f %% of it stay free)", 100*c.Reserve)
	}
	grown := ""
	if c.Growth > 0 && c.Growth != 1 {
		grown = fmt.Sprintf(" when grown %s times", trim(c.Growth))
	}
	changed := 0
	for i := range p.Routers {
		x := &p.Routers[i]
		if x.NewRate != x.Rate {
			changed++
		}
		limit := fmt.Sprintf("its own limit of %s%s", count(x.Limit), reserve)
		switch {
		case x.Why == Impossible:
			x.Words = fmt.Sprintf("Even 1 in %d leaves %s flows/s%s, more than %s: meter fewer interfaces, or raise the limit.", x.NewRate, count(x.After), grown, limit)
		case x.Why == OwnLimit:
			x.Words = fmt.Sprintf("%s flows/s%s are more than %s. 1 in %d is the finest rate that keeps it: %s.", count(x.Before), grown, limit, x.NewRate, count(x.After))
		case x.Why == ForCollector:
			x.Words = fmt.Sprintf("From %s flows/s%s to %s, for the collector's sake: of all ways to keep its limit, those with this rate here lose the least precision.", count(x.Before), grown, count(x.After))
		case x.Limit > 0:
			x.Words = fmt.Sprintf("1 in %d may stay: %s flows/s%s keep %s.", x.Rate, count(x.Before), grown, limit)
		default:
			x.Words = fmt.Sprintf("1 in %d may stay: %s flows/s%s.", x.Rate, count(x.Before), grown)
		}
	}
	var words []string
	switch {
	case p.Limit <= 0:
		words = append(words, fmt.Sprintf("The collector gets %s flows/s%s, and has no limit.", count(p.Before), grown))
	case p.Before <= p.Target:
		words = append(words, fmt.Sprintf("The collector's limit of %s flows/s%s is kept: it gets %s%s.", count(p.Limit), reserve, count(p.Before), grown))
	case p.After <= p.Target:
		words = append(words, fmt.Sprintf("The collector would get %s flows/s%s. Its limit is %s%s: the plan brings it to %s.", count(p.Before), grown, count(p.Limit), reserve, count(p.After)))
	default:
		words = append(words, fmt.Sprintf("Even at the coarsest rates the collector gets %s flows/s%s. Its limit is %s%s: divide the routers among several collectors.", count(p.After), grown, count(p.Limit), reserve))
	}
	switch {
	case changed == 0:
		words = append(words, "No router needs another rate.")
	case changed == 1:
		words = append(words, "One router gets another rate.")
	default:
		words = append(words, fmt.Sprintf("%d routers get another rate.", changed))
	}
	p.Words = strings.Join(words, " ")
}

// count writes a number of flows with its thousands apart.
func count(v float64) string {
	text := fmt.Sprintf("%.0f", v)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

func trim(v float64) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.2f", v), "0"), ".")
}
