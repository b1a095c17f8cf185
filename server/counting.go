package server

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/minamo-flow/minamo/query"
	"github.com/minamo-flow/minamo/verify/counting"
)

// registerCounting declares what tells of which records count.
func (s *Server) registerCounting(api huma.API) {
	op := operation("counting", "/api/counting", "What each interface exports, what is counted twice therefore, what cannot be seen, and what to change")
	op.Description = "The totals of the scopes all, once and network of /api/report side by side; docs/counting.md explains the rules."
	huma.Register(api, op, s.counting)
}

type countingInput struct {
	From string `query:"from" default:"-24h" doc:"Start: RFC 3339, now, or a span before now such as -15m, -24h, -7d"`
	To   string `query:"to" default:"now" doc:"End, likewise"`
	ID   string `query:"id" maxLength:"64" pattern:"^[A-Za-z0-9_-]*$" doc:"A name of your own for the question"`
}

type countingOutput struct{ Body Counting }

// Counting is which records count, and why.
type Counting struct {
	From        time.Time           `json:"from" doc:"As it was used: ranges are widened to whole minutes or hours"`
	To          time.Time           `json:"to"`
	Rules       []CountingRule      `json:"rules" doc:"all, once, network"`
	Exporters   []CountingExporter  `json:"exporters"`
	Interfaces  []CountingInterface `json:"interfaces" doc:"Those that flows name, and those with a name or a role"`
	Suggestions []RoleSuggestion    `json:"suggestions" doc:"Roles that interfaces may have, the best founded first"`
	Meta        *Meta               `json:"meta"`
}

// CountingRule is what a scope counts.
type CountingRule struct {
	Scope   string  `json:"scope" enum:"all,once,network"`
	Known   bool    `json:"known" doc:"Whether it can be told: network needs roles"`
	Flows   uint64  `json:"flows" doc:"Records"`
	Packets uint64  `json:"packets"`
	Bytes   uint64  `json:"bytes"`
	BPS     float64 `json:"bps"`
	Twice   float64 `json:"twice_bps" doc:"What all records have beside it: the same bytes again"`
	Note    string  `json:"note,omitempty" doc:"What could not be known"`
}

// CountingExporter is what an exporter meters.
type CountingExporter struct {
	Exporter netip.Addr `json:"exporter"`
	Ingress  int        `json:"ingress" doc:"Interfaces that export what comes in, and only that"`
	Egress   int        `json:"egress" doc:"Those that export what goes out, and only that"`
	Both     int        `json:"both"`
	Nothing  int        `json:"nothing" doc:"Those that packets crossed, and that export nothing"`
	Said     bool       `json:"said" doc:"It tells where it meters (IE 61); otherwise that was concluded"`
	FPS      float64    `json:"fps" doc:"Flow records a second"`
	Copies   float64    `json:"copies_fps" doc:"Of them, those that the network's totals leave out"`
	Words    string     `json:"words" doc:"The same in words"`
}

// CountingInterface is what an interface exports.
type CountingInterface struct {
	Interface
	Exports string   `json:"exports" enum:"ingress,egress,both,nothing"`
	Said    bool     `json:"said" doc:"The exporter tells so (IE 61); otherwise it was concluded from what its records name"`
	Ingress float64  `json:"ingress_bps" doc:"Of records metered here as packets came in"`
	Egress  float64  `json:"egress_bps" doc:"Of records metered here as packets went out"`
	InFPS   float64  `json:"ingress_fps" doc:"Flow records a second of it"`
	OutFPS  float64  `json:"egress_fps"`
	In      float64  `json:"in_bps" doc:"What came in by it, as far as any record of the router tells, each byte once"`
	Out     float64  `json:"out_bps" doc:"What went out by it, likewise"`
	Copies  float64  `json:"copies_bps" doc:"Of what was metered here, what the network's totals leave out"`
	Unseen  []string `json:"unseen" doc:"What cannot be seen: in (what comes in is metered nowhere), in_part (only where it goes out by an interface that exports egress), drops (what came in and went nowhere), out (what goes out and came in by an interface that is not metered)"`
	Advice  []string `json:"advice" doc:"What to change: role, enable_ingress, disable_ingress, disable_egress"`
	Words   string   `json:"words,omitempty" doc:"The advice in words"`
}

// RoleSuggestion is a role that an interface may have.
type RoleSuggestion struct {
	Exporter    netip.Addr          `json:"exporter"`
	Index       uint32              `json:"index" doc:"ifIndex"`
	Name        string              `json:"name,omitempty"`
	Description string              `json:"description,omitempty"`
	Role        string              `json:"role" doc:"What it may be"`
	Now         string              `json:"now,omitempty" doc:"What it is; empty: nothing"`
	Evidence    []counting.Evidence `json:"evidence"`
}

// countingFacts is what flows tell; what it means follows from what interfaces
// are called and for.
type countingFacts struct {
	From, To time.Time
	Rules    []CountingRule
	Sums     []counting.Sum
	Hops     []counting.Hop
	Links    []linkFact
}

type linkFact struct {
	counting.Interface
	counting.Evidence
}

// looked is of how much time single flows are compared to find links between
// exporters, and how many at most.
const (
	looked     = 10 * time.Minute
	mostLooked = 20_000
)

func (s *Server) counting(ctx context.Context, in *countingInput) (*countingOutput, error) {
	u := understand(Range{From: in.From, To: in.To})
	if err := u.problem(); err != nil {
		return nil, err
	}
	u.align(0)
	facts, meta, err := ask(ctx, s, "counting", []any{u.from.UnixMilli(), u.to.UnixMilli()}, u.from, u.to, func(ctx context.Context, files *archive) (*countingFacts, query.Stats, error) {
		return s.countingFacts(ctx, files, u.from, u.to)
	})
	if err != nil {
		return nil, err
	}
	meta.Command = commandLine("minamo", "report", "--data", s.DataDir, "-t", commandTime(facts.From)+"/"+commandTime(facts.To), "--by", "exporter,in_if,out_if,direction", "-n", "0")
	out := &countingOutput{Counting{From: facts.From, To: facts.To, Rules: facts.Rules, Meta: &meta}}
	interfaces := s.knownInterfaces()
	known := map[counting.Interface]Interface{}
	var list []counting.Interface
	for _, i := range interfaces {
		id := counting.Interface{Exporter: i.Exporter, Index: i.Index}
		known[id] = i
		list = append(list, id)
	}
	cover := counting.Cover(facts.Sums, list, func(i counting.Interface) string { return known[i].Role })
	seconds := facts.To.Sub(facts.From).Seconds()
	out.Body.Exporters = countingExporters(facts.Sums, cover, seconds)
	total := map[netip.Addr]float64{}
	for _, x := range out.Body.Exporters {
		total[x.Exporter] = x.FPS
	}
	var named []counting.Named
	out.Body.Interfaces = []CountingInterface{}
	for i := range cover {
		c := &cover[i]
		one := known[c.Interface]
		one.Exporter, one.Index = c.Exporter, c.Index
		named = append(named, counting.Named{Interface: c.Interface, Name: one.Name, Description: one.Description, Role: one.Role})
		bps := func(a counting.Amount) float64 { return float64(a.Bytes) * 8 / seconds }
		row := CountingInterface{
			Interface: one, Exports: c.Exports(), Said: c.Said, Ingress: bps(c.Ingress), Egress: bps(c.Egress),
			InFPS: float64(c.Ingress.Flows) / seconds, OutFPS: float64(c.Egress.Flows) / seconds,
			In: bps(c.In), Out: bps(c.Out), Copies: bps(c.Copies), Unseen: []string{}, Advice: []string{},
		}
		for _, u := range c.Unseen {
			row.Unseen = append(row.Unseen, string(u))
		}
		var words []string
		for _, a := range c.Advice {
			row.Advice = append(row.Advice, string(a))
			words = append(words, row.words(a, total[c.Exporter]))
		}
		row.Words = strings.Join(words, " ")
		out.Body.Interfaces = append(out.Body.Interfaces, row)
	}
	links := map[counting.Interface]counting.Evidence{}
	for _, l := range facts.Links {
		links[l.Interface] = l.Evidence
	}
	out.Body.Suggestions = []RoleSuggestion{}
	for _, g := range counting.Suggest(named, counting.FromNextHops(facts.Hops, s.owner()), links) {
		i := known[g.Interface]
		out.Body.Suggestions = append(out.Body.Suggestions, RoleSuggestion{g.Exporter, g.Index, i.Name, i.Description, g.Role, g.Now, g.Evidence})
	}
	return out, nil
}

// owner tells whose address an address is: of exporters their own are known.
func (s *Server) owner() func(netip.Addr) netip.Addr {
	exporters := map[netip.Addr]bool{}
	for _, x := range s.Collector.Exporters.Status() {
		exporters[x.Exporter] = true
	}
	return func(a netip.Addr) netip.Addr {
		if exporters[a] {
			return a
		}
		return netip.Addr{}
	}
}

// countingFacts asks what was metered, and what counts of it.
func (s *Server) countingFacts(ctx context.Context, files *archive, from, to time.Time) (*countingFacts, query.Stats, error) {
	facts := &countingFacts{}
	r := query.Report{From: from, To: to, Metric: query.BPS}
	sums, stats, err := s.Engine.Coverage(ctx, files, r)
	if err != nil {
		return nil, stats, err
	}
	facts.Sums = sums
	var all float64
	for _, scope := range []query.Scope{query.ScopeAll, query.ScopeOnce, query.ScopeNetwork} {
		r.Scope = scope
		a, err := s.Engine.Report(ctx, files, r)
		if errors.Is(err, query.ErrNoRoles) {
			facts.Rules = append(facts.Rules, CountingRule{Scope: string(scope), Note: err.Error()})
			continue
		}
		if err != nil {
			return nil, stats, err
		}
		if scope == query.ScopeAll {
			all = a.Total.Value
		}
		facts.From, facts.To = a.From, a.To
		facts.Rules = append(facts.Rules, CountingRule{
			Scope: string(scope), Known: true, Flows: a.Total.Flows, Packets: a.Total.Packets, Bytes: a.Total.Bytes,
			BPS: a.Total.Value, Twice: max(0, all-a.Total.Value), Note: a.Note,
		})
		stats.Duration += a.Stats.Duration
	}
	if last := facts.To.Add(-looked); last.After(facts.From) {
		from = last
	} else {
		from = facts.From
	}
	if err := s.countingFlows(ctx, files, from, facts.To, facts); err != nil {
		return nil, stats, err
	}
	return facts, stats, nil
}

// countingFlows looks at single flows of the last minutes for where interfaces
// lead. Where no flows are kept of them there is nothing to find.
func (s *Server) countingFlows(ctx context.Context, files *archive, from, to time.Time, facts *countingFacts) error {
	var gone *query.NotKeptError
	ask := func(by string, each func(key []query.Value, sums query.Sums)) error {
		dimensions, err := query.ParseDimensions(by)
		if err != nil {
			return err
		}
		a, err := s.Engine.Report(ctx, files, query.Report{From: from, To: to, By: dimensions, Metric: query.Bytes, Limit: mostLooked})
		if errors.As(err, &gone) {
			return nil
		}
		if err != nil {
			return err
		}
		for i := range a.Rows {
			each(a.Rows[i].Key, a.Rows[i].Sums)
		}
		return nil
	}
	err := ask("exporter,out_if,next_hop", func(key []query.Value, sums query.Sums) {
		out, next := interfaceOf(key[0], key[1]), addressOf(key[2])
		facts.Hops = append(facts.Hops, counting.Hop{Out: out, NextHop: next, Amount: counting.Amount(sums)})
	})
	if err != nil {
		return err
	}
	var sightings []counting.Sighting
	err = ask("exporter,in_if,out_if,src_addr,dst_addr,protocol,src_port,dst_port", func(key []query.Value, _ query.Sums) {
		in, out := interfaceOf(key[0], key[1]), interfaceOf(key[0], key[2])
		var flow strings.Builder
		for _, v := range key[3:] {
			flow.WriteString(v.Text + " ")
		}
		sightings = append(sightings, counting.Sighting{Exporter: in.Exporter, In: in.Index, Out: out.Index, Key: flow.String()})
	})
	for i, e := range counting.FromSameFlows(sightings) {
		facts.Links = append(facts.Links, linkFact{i, e})
	}
	return err
}

func addressOf(v query.Value) netip.Addr {
	a, _ := netip.ParseAddr(v.Text) // none where there is none
	return a
}

func interfaceOf(exporter, index query.Value) counting.Interface {
	n, _ := strconv.ParseUint(index.Text, 10, 32) // 0 where there is none
	return counting.Interface{Exporter: addressOf(exporter), Index: uint32(n)}
}

// countingExporters sums up what each exporter's interfaces export.
func countingExporters(sums []counting.Sum, cover []counting.Coverage, seconds float64) []CountingExporter {
	all := map[netip.Addr]*CountingExporter{}
	get := func(a netip.Addr) *CountingExporter {
		if all[a] == nil {
			all[a] = &CountingExporter{Exporter: a}
		}
		return all[a]
	}
	for i := range sums {
		get(sums[i].Exporter).FPS += float64(sums[i].Flows) / seconds
	}
	for i := range cover {
		c := &cover[i]
		if all[c.Exporter] == nil {
			continue // it exported nothing
		}
		x := get(c.Exporter)
		switch exports := c.Exports(); {
		case exports == "ingress":
			x.Ingress++
		case exports == "egress":
			x.Egress++
		case exports == "both":
			x.Both++
		case c.In.Flows > 0 || c.Out.Flows > 0:
			x.Nothing++
		}
		x.Said = x.Said || c.Said
		x.Copies += float64(c.Copies.Flows) / seconds
	}
	list := []CountingExporter{}
	for _, x := range all {
		x.Words = x.words()
		list = append(list, *x)
	}
	slices.SortFunc(list, func(a, b CountingExporter) int { return a.Exporter.Compare(b.Exporter) })
	return list
}

func (x *CountingExporter) words() string {
	var parts []string
	add := func(n int, what string) {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, what))
		}
	}
	add(x.Ingress, "export ingress")
	add(x.Egress, "export egress")
	add(x.Both, "export both")
	add(x.Nothing, "export nothing")
	text := "Of its interfaces " + strings.Join(parts, ", ") + "."
	if len(parts) == 0 {
		text = "Its records name no interfaces."
	}
	if x.Copies > 0 && x.FPS > 0 {
		text += fmt.Sprintf(" %.0f %% of its records tell of bytes that count elsewhere.", x.Copies/x.FPS*100)
	}
	if x.Egress > 0 && x.Ingress == 0 && x.Both == 0 {
		text += " It meters only what goes out: what it drops cannot be seen."
	}
	return text
}

// words say an advice, with numbers: what it concerns and what it saves.
func (r *CountingInterface) words(a counting.Advice, exporterFPS float64) string {
	part := func(fps float64) string {
		return fmt.Sprintf("%s flow records a second, %.0f %% of the router's", figure(fps), fps/max(exporterFPS, fps, 1e-9)*100)
	}
	switch a {
	case counting.AdviceRole:
		return fmt.Sprintf("Give it a role: %s come in by it and count as entering the network, which is wrong if it leads to another router of yours.", bits(r.In))
	case counting.AdviceEnableIngress:
		switch {
		case slices.Contains(r.Unseen, string(counting.UnseenIn)):
			return fmt.Sprintf("Enable ingress: nothing that comes in by it is metered, while %s go out by it.", bits(r.Out))
		case slices.Contains(r.Unseen, string(counting.UnseenInPart)):
			return fmt.Sprintf("Enable ingress: of what comes in by it only the %s are known that go out by an interface with egress.", bits(r.In))
		}
		return fmt.Sprintf("Ingress instead of egress would also tell what the router drops; the %s that come in by it do count.", bits(r.In))
	case counting.AdviceDisableEgress:
		return fmt.Sprintf("Leave egress off: the router meters the same packets as they come in. That saves %s.", part(r.OutFPS))
	case counting.AdviceDisableIngress:
		return fmt.Sprintf("Ingress here is not needed for totals: the same %s are metered where they enter the network. Leaving it off saves %s; keep it to watch the link itself.", bits(r.Ingress), part(r.InFPS))
	}
	return ""
}

// bits writes bits a second for people.
func bits(bps float64) string {
	for _, u := range []struct {
		size float64
		name string
	}{{1e12, "Tbit/s"}, {1e9, "Gbit/s"}, {1e6, "Mbit/s"}, {1e3, "kbit/s"}} {
		if bps >= u.size {
			return figure(bps/u.size) + " " + u.name
		}
	}
	return figure(bps) + " bit/s"
}

// figure writes a number with three digits or so.
func figure(v float64) string {
	switch {
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}
