package server

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/minamo-flow/minamo/collect"
	"github.com/minamo-flow/minamo/query"
	"github.com/minamo-flow/minamo/verify/counting"
)

// registerDrops declares what tells of dropped traffic.
func (s *Server) registerDrops(api huma.API) {
	op := operation("drops", "/api/drops", "What was dropped: who, where, why, over time; and where drops cannot be seen")
	op.Description = "By forwarding status (IE 89), sFlow's discards and null interfaces. Output interface 0 alone is no drop: it is also what is for the router itself, and multicast. docs/counting.md explains it."
	huma.Register(api, op, s.drops)
}

type dropsInput struct {
	From  string `query:"from" default:"-24h" doc:"Start: RFC 3339, now, or a span before now such as -15m, -24h, -7d"`
	To    string `query:"to" default:"now" doc:"End, likewise"`
	Limit int    `query:"limit" default:"10" minimum:"1" maximum:"1000" doc:"Rows of each list at most"`
	ID    string `query:"id" maxLength:"64" pattern:"^[A-Za-z0-9_-]*$" doc:"A name of your own for the question"`
}

type dropsOutput struct{ Body Drops }

// Drops is what became of traffic that did not go on.
type Drops struct {
	From       time.Time         `json:"from" doc:"As it was used: ranges are widened to whole minutes or hours"`
	To         time.Time         `json:"to"`
	Step       int               `json:"step_seconds"`
	Times      []time.Time       `json:"times" doc:"Start of each bucket of values"`
	Fates      []DropFate        `json:"fates" doc:"Of all records: forwarded, dropped, to_router, multicast, unknown"`
	Reasons    []DropReason      `json:"reasons" doc:"Why, by forwarding status, the greatest first"`
	Interfaces []DropInterface   `json:"interfaces" doc:"Where what was dropped came in, the greatest first"`
	Sources    []DropParty       `json:"sources" doc:"Whose packets were dropped: addresses"`
	Targets    []DropParty       `json:"destinations" doc:"For whom they were"`
	Customers  []DropParty       `json:"customers" doc:"Customers that sent them or were to receive them"`
	Exporters  []DropExporter    `json:"exporters" doc:"Whose drops can be seen"`
	Filters    map[string]string `json:"filters" doc:"The flows of each fate, in the filter language"`
	Note       string            `json:"note,omitempty" doc:"What is no longer kept"`
	Meta       *Meta             `json:"meta"`
}

// DropFate is how much had a fate.
type DropFate struct {
	Fate    string  `json:"fate" enum:"forwarded,dropped,to_router,multicast,unknown"`
	Flows   uint64  `json:"flows"`
	Packets uint64  `json:"packets"`
	Bytes   uint64  `json:"bytes"`
	BPS     float64 `json:"bps"`
	PPS     float64 `json:"pps"`
	Share   float64 `json:"share" doc:"Of the bytes of all records, 0 to 1"`
}

// DropReason is how much was dropped for a reason.
type DropReason struct {
	Status *int      `json:"status" doc:"Forwarding status; null where the packets went to a null interface and the router says no more"`
	Label  string    `json:"label"`
	BPS    float64   `json:"bps"`
	PPS    float64   `json:"pps"`
	Share  float64   `json:"share" doc:"Of all that was dropped"`
	Values []float64 `json:"values" doc:"Bits a second in each bucket"`
}

// DropInterface is an interface by which came in what was dropped.
type DropInterface struct {
	Exporter    netip.Addr `json:"exporter"`
	Index       uint32     `json:"index" doc:"ifIndex; 0: none was named"`
	Name        string     `json:"name,omitempty"`
	Description string     `json:"description,omitempty"`
	Role        string     `json:"role,omitempty"`
	BPS         float64    `json:"bps"`
	PPS         float64    `json:"pps"`
	Part        float64    `json:"part" doc:"Of what came in by it, as far as that was metered there, 0 to 1"`
	Reason      string     `json:"reason" doc:"The one of most of it"`
}

// DropParty is who was dropped.
type DropParty struct {
	Key   string  `json:"key"`
	Label string  `json:"label"`
	BPS   float64 `json:"bps"`
	PPS   float64 `json:"pps"`
	Share float64 `json:"share" doc:"Of all that was dropped"`
}

// DropExporter is what an exporter tells of drops.
type DropExporter struct {
	Exporter netip.Addr `json:"exporter"`
	Sight    string     `json:"sight" enum:"told,output_zero,unsaid,partly,invisible" doc:"told: it says what became of packets; output_zero: it says only that they had no output; unsaid: neither was seen of it; partly: some interfaces meter only what goes out; invisible: all do. See unmetered, too"`
	Dropped  float64    `json:"dropped_bps"`
	Unknown  float64    `json:"unknown_bps" doc:"With output 0, and nothing that says why"`
	Hidden   int        `json:"unmetered" doc:"Interfaces that packets crossed and that export nothing that comes in: what of that was dropped is in no record"`
	Words    string     `json:"words" doc:"The same in words"`
}

func (s *Server) drops(ctx context.Context, in *dropsInput) (*dropsOutput, error) {
	u := understand(Range{From: in.From, To: in.To})
	if err := u.problem(); err != nil {
		return nil, err
	}
	u.align(time.Minute) // which sums tell of
	a := dropsAsked{from: u.from, to: u.to, step: max(u.step("auto"), time.Minute), limit: in.Limit, sflow: map[netip.Addr]bool{}}
	var locals []string
	interfaces := map[counting.Interface]Interface{}
	for _, i := range s.knownInterfaces() {
		id := counting.Interface{Exporter: i.Exporter, Index: i.Index}
		interfaces[id] = i
		if counting.Discard(i.Name) {
			a.discards = append(a.discards, id)
		}
	}
	for _, x := range s.Collector.Exporters.Status() {
		locals = append(locals, x.Exporter.String())
		if slices.ContainsFunc(x.Domains, func(d collect.DomainStatus) bool { return strings.HasPrefix(strings.ToLower(d.Protocol), "sflow") }) {
			a.sflow[x.Exporter] = true
		}
	}
	a.filters(locals)
	parameters := []any{a.from.UnixMilli(), a.to.UnixMilli(), a.step, a.limit, a.text}
	shared, meta, err := ask(ctx, s, "drops", parameters, a.from, a.to, func(ctx context.Context, files *archive) (*Drops, query.Stats, error) {
		return s.askDrops(ctx, files, &a)
	})
	if err != nil {
		return nil, err
	}
	own := *shared
	own.Interfaces = slices.Clone(shared.Interfaces)
	for i := range own.Interfaces {
		d := &own.Interfaces[i]
		known := interfaces[counting.Interface{Exporter: d.Exporter, Index: d.Index}]
		d.Name, d.Description, d.Role = known.Name, known.Description, known.Role
	}
	meta.Command = commandLine("minamo", "report", "forwarding", "--data", s.DataDir, "-t", commandTime(own.From)+"/"+commandTime(own.To), own.Filters[string(counting.Dropped)])
	own.Meta = &meta
	return &dropsOutput{own}, nil
}

// dropsAsked is a question about drops.
type dropsAsked struct {
	from, to time.Time
	step     time.Duration
	limit    int
	discards []counting.Interface // interfaces that throw away
	sflow    map[netip.Addr]bool  // exporters of sFlow: to them output 0 is the device itself
	text     map[string]string    // filters
}

// filters writes what makes the fates in the filter language.
func (a *dropsAsked) filters(locals []string) {
	dropped := "fwdstat dropped"
	slices.SortFunc(a.discards, func(x, y counting.Interface) int {
		return cmp.Or(x.Exporter.Compare(y.Exporter), cmp.Compare(x.Index, y.Index))
	})
	for _, i := range a.discards {
		dropped += fmt.Sprintf(" or (router %s and out if %d and not fwdstat consumed)", i.Exporter, i.Index)
	}
	const zero = "out if 0 and not fwdstat forwarded and not fwdstat dropped and not fwdstat consumed"
	const group = "(dst net 224.0.0.0/4 or dst net ff00::/8)"
	slices.Sort(locals)
	local := ""
	if len(locals) > 0 {
		local = "dst ip in [" + strings.Join(locals, " ") + "]"
	}
	if len(a.sflow) > 0 {
		var routers []string
		for x := range a.sflow {
			routers = append(routers, x.String())
		}
		slices.Sort(routers)
		local = "(" + local + " or router in [" + strings.Join(routers, " ") + "])"
	}
	a.text = map[string]string{
		string(counting.Dropped): dropped, string(counting.Multicast): zero + " and " + group,
		string(counting.ToRouter): "fwdstat consumed", string(counting.Unknown): zero + " and not " + group,
		"output_zero": zero,
	}
	if local != "" {
		a.text[string(counting.ToRouter)] += " or (" + zero + " and not " + group + " and " + local + ")"
		a.text[string(counting.Unknown)] += " and not " + local
	}
}

// askDrops asks the sums of interfaces, and of what was dropped, the flows.
func (s *Server) askDrops(ctx context.Context, files *archive, a *dropsAsked) (*Drops, query.Stats, error) {
	var stats query.Stats
	out := &Drops{Reasons: []DropReason{}, Interfaces: []DropInterface{}, Sources: []DropParty{}, Targets: []DropParty{}, Customers: []DropParty{}, Filters: a.text}
	ask := func(by, filter string, r query.Report) (*query.Answer, error) {
		r.From, r.To = a.from, a.to
		r.Metric = cmp.Or(r.Metric, query.BPS)
		var err error
		if r.By, err = query.ParseDimensions(by); err != nil {
			return nil, err
		}
		f, err := query.ParseFilter(filter)
		if err != nil {
			return nil, err
		}
		r.Filters = []*query.Filter{f}
		answer, err := s.Engine.Report(ctx, files, r)
		if err == nil {
			out.Note = cmp.Or(answer.Note, out.Note)
			if by == dropsBy {
				stats = answer.Stats
			}
		}
		return answer, err
	}
	all, err := ask(dropsBy, "", query.Report{})
	if err != nil {
		return nil, stats, err
	}
	out.From, out.To = all.From, all.To
	seconds := out.To.Sub(out.From).Seconds()
	d := newDropSums(a, all, seconds)

	// What only destinations tell.
	if zero := d.fates[counting.Unknown]; zero.Bytes > 0 {
		for _, fate := range []counting.Fate{counting.Multicast, counting.ToRouter} {
			part, err := ask("exporter", a.text["output_zero"]+" and ("+a.text[string(fate)]+")", query.Report{})
			if err != nil {
				return nil, stats, err
			}
			d.settle(fate, part, a.sflow)
		}
	}
	out.Fates, out.Exporters = d.list(), d.exporters(a)
	if d.fates[counting.Dropped].Bytes == 0 {
		out.Times = []time.Time{}
		return out, stats, nil
	}
	out.Interfaces = d.where(a.limit)
	reasons, err := ask("forwarding_status", a.text[string(counting.Dropped)], query.Report{Step: a.step, Limit: 20})
	if err != nil {
		return nil, stats, err
	}
	out.Times, out.Step = reasons.Times, int(reasons.Step/time.Second)
	for i := range reasons.Rows {
		row := &reasons.Rows[i]
		r := DropReason{Label: row.Label(), BPS: row.Value, PPS: float64(row.Packets) / seconds, Share: row.Share, Values: row.Values}
		if n, err := strconv.Atoi(row.Key[0].Text); err == nil && n>>6 == 2 {
			r.Status = &n
		} else {
			r.Label = "null interface"
		}
		out.Reasons = append(out.Reasons, r)
	}
	for _, list := range []struct {
		by string
		to *[]DropParty
	}{{"src_addr", &out.Sources}, {"dst_addr", &out.Targets}, {"customer", &out.Customers}} {
		who, err := ask(list.by, a.text[string(counting.Dropped)], query.Report{Limit: a.limit})
		if err != nil {
			return nil, stats, err
		}
		for i := range who.Rows {
			row := &who.Rows[i]
			if !row.Key[0].Present {
				continue
			}
			*list.to = append(*list.to, DropParty{row.Key[0].Text, row.Label(), row.Value, float64(row.Packets) / seconds, row.Share})
		}
	}
	return out, stats, nil
}

// dropsBy is how records are told apart by what became of their packets.
const dropsBy = "exporter,in_if,out_if,forwarding_status,direction"

// dropSums is what became of packets, by exporter and interface.
type dropSums struct {
	seconds float64
	fates   map[counting.Fate]query.Sums
	by      map[netip.Addr]*dropsOfExporter
	at      map[counting.Interface]*dropsOfInterface
	crossed map[counting.Interface]uint64 // bytes of records that name it
}

type dropsOfExporter struct {
	fates           map[counting.Fate]uint64 // bytes
	ingress, egress uint64                   // bytes that were metered there
	status, zero    bool                     // whether it says what became of packets, or an output of 0
}

type dropsOfInterface struct {
	in, dropped query.Sums // metered where it came in
	reasons     map[string]uint64
}

func newDropSums(a *dropsAsked, all *query.Answer, seconds float64) *dropSums {
	d := &dropSums{seconds, map[counting.Fate]query.Sums{}, map[netip.Addr]*dropsOfExporter{}, map[counting.Interface]*dropsOfInterface{}, map[counting.Interface]uint64{}}
	for i := range all.Rows {
		row := &all.Rows[i]
		in, to := interfaceOf(row.Key[0], row.Key[1]), interfaceOf(row.Key[0], row.Key[2])
		status, _ := strconv.ParseUint(row.Key[3].Text, 10, 8) // 0 where it says nothing
		o := counting.Outcome{Status: uint8(status), OutZero: row.Key[2].Present && to.Index == 0, ToLocal: a.sflow[in.Exporter], Discards: slices.Contains(a.discards, to)}
		fate := o.Fate()
		d.add(fate, row.Sums)
		d.crossed[to] += row.Bytes
		d.crossed[in] += row.Bytes
		x := d.by[in.Exporter]
		if x == nil {
			x = &dropsOfExporter{fates: map[counting.Fate]uint64{}}
			d.by[in.Exporter] = x
		}
		x.fates[fate] += row.Bytes
		x.status = x.status || status >= 64
		x.zero = x.zero || o.OutZero
		f := d.at[in]
		if f == nil {
			f = &dropsOfInterface{reasons: map[string]uint64{}}
			d.at[in] = f
		}
		if row.Key[4].Text == "egress" {
			x.egress += row.Bytes
			continue
		}
		x.ingress += row.Bytes
		addSums(&f.in, row.Sums)
		if fate == counting.Dropped {
			addSums(&f.dropped, row.Sums)
			reason := row.Key[3].Label
			if o.Status>>6 != 2 {
				reason = "null interface"
			}
			f.reasons[reason] += row.Bytes
		}
	}
	return d
}

func addSums(to *query.Sums, s query.Sums) {
	to.Flows += s.Flows
	to.Packets += s.Packets
	to.Bytes += s.Bytes
}

func (d *dropSums) add(fate counting.Fate, s query.Sums) {
	sums := d.fates[fate]
	addSums(&sums, s)
	d.fates[fate] = sums
}

// settle takes from what is unknown what is found to have a fate; of some
// exporters it is settled already.
func (d *dropSums) settle(fate counting.Fate, part *query.Answer, settled map[netip.Addr]bool) {
	for i := range part.Rows {
		row := &part.Rows[i]
		if settled[addressOf(row.Key[0])] {
			continue
		}
		unknown := d.fates[counting.Unknown]
		// The sums by interface may lack something that flows have.
		s := query.Sums{Flows: min(row.Flows, unknown.Flows), Packets: min(row.Packets, unknown.Packets), Bytes: min(row.Bytes, unknown.Bytes)}
		d.fates[counting.Unknown] = query.Sums{Flows: unknown.Flows - s.Flows, Packets: unknown.Packets - s.Packets, Bytes: unknown.Bytes - s.Bytes}
		d.add(fate, s)
		if x := d.by[addressOf(row.Key[0])]; x != nil {
			x.fates[counting.Unknown] -= min(row.Bytes, x.fates[counting.Unknown])
		}
	}
}

func (d *dropSums) list() (list []DropFate) {
	var all uint64
	for _, s := range d.fates {
		all += s.Bytes
	}
	for _, fate := range []counting.Fate{counting.Forwarded, counting.Dropped, counting.ToRouter, counting.Multicast, counting.Unknown} {
		s := d.fates[fate]
		list = append(list, DropFate{string(fate), s.Flows, s.Packets, s.Bytes, float64(s.Bytes) * 8 / d.seconds, float64(s.Packets) / d.seconds, float64(s.Bytes) / float64(max(all, 1))})
	}
	return list
}

// where are the interfaces by which most came in of what was dropped.
func (d *dropSums) where(limit int) []DropInterface {
	list := []DropInterface{}
	for i, f := range d.at {
		if f.dropped.Flows == 0 && f.dropped.Bytes == 0 {
			continue
		}
		row := DropInterface{Exporter: i.Exporter, Index: i.Index, BPS: float64(f.dropped.Bytes) * 8 / d.seconds, PPS: float64(f.dropped.Packets) / d.seconds, Part: float64(f.dropped.Bytes) / float64(max(f.in.Bytes, 1))}
		for _, reason := range slices.Sorted(maps.Keys(f.reasons)) {
			if row.Reason == "" || f.reasons[reason] > f.reasons[row.Reason] {
				row.Reason = reason
			}
		}
		list = append(list, row)
	}
	slices.SortFunc(list, func(a, b DropInterface) int {
		return cmp.Or(cmp.Compare(b.BPS, a.BPS), a.Exporter.Compare(b.Exporter), cmp.Compare(a.Index, b.Index))
	})
	return list[:min(limit, len(list))]
}

// exporters say whose drops can be seen.
func (d *dropSums) exporters(a *dropsAsked) []DropExporter {
	list := []DropExporter{}
	blind := map[netip.Addr]int{} // interfaces that meter nothing that comes in
	for i, bytes := range d.crossed {
		f := d.at[i]
		if x := d.by[i.Exporter]; i.Index != 0 && (f == nil || f.in.Flows == 0) && bytes > (x.ingress+x.egress)/1000 {
			blind[i.Exporter]++
		}
	}
	for exporter, x := range d.by {
		one := DropExporter{Exporter: exporter, Hidden: blind[exporter], Dropped: float64(x.fates[counting.Dropped]) * 8 / d.seconds, Unknown: float64(x.fates[counting.Unknown]) * 8 / d.seconds}
		switch {
		case x.ingress == 0:
			one.Sight, one.Words = "invisible", "It meters only what goes out: what it drops is in no record. Let it meter ingress."
		case blind[exporter] > 0 && x.egress > 0:
			one.Sight, one.Words = "partly", "It meters some interfaces only as packets go out."
		case x.status || a.sflow[exporter]:
			one.Sight, one.Words = "told", "It tells what became of packets."
		case x.zero:
			one.Sight, one.Words = "output_zero", "It says no forwarding status: of records with output interface 0 nobody knows whether they were dropped or were for the router itself. Let it export IE 89 (forwardingStatus)."
		default:
			one.Sight, one.Words = "unsaid", "It says no forwarding status, and every record has an output interface: it dropped nothing, or does not tell."
		}
		if one.Hidden > 0 && one.Sight != "invisible" {
			one.Words += fmt.Sprintf(" What came in by %d of its interfaces and was dropped is in no record: they meter nothing that comes in.", one.Hidden)
		}
		list = append(list, one)
	}
	slices.SortFunc(list, func(a, b DropExporter) int { return a.Exporter.Compare(b.Exporter) })
	return list
}
