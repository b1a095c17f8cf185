package counting

import (
	"net/netip"
	"slices"
)

// Way is what an exporter's records of a way through it, metered at one end of
// it, tell of a time, together and in each step.
type Way struct {
	Sum
	Fate    Fate
	Status  uint8     // what the router says became of the packets (IE 89)
	Reason  string    // the same in words
	Packets []float64 // in each step, scaled by the sampling rate
	Error   float64   // half the width of the 95 % interval of all of them, as a part of them; 0: every packet was metered
}

// What is what was found.
type What string

// What can be found.
const (
	NewCopies What = "new_copies" // an exporter began to tell of packets that count elsewhere
	NoRoles   What = "no_roles"   // an exporter tells of packets twice, and nobody knows where the network ends
	MoreDrops What = "more_drops" // a router drops more than it did
)

// Place is where records are metered.
type Place struct {
	Index     uint32    // ifIndex
	Direction Direction // Ingress or Egress
}

// Finding is something that an operator should know of.
type Finding struct {
	Exporter    netip.Addr
	What        What
	Places      []Place // where most of it is metered first; none: nowhere more than elsewhere
	Step        int     // the first one of it; -1: it has been so for longer than was looked at
	Before, Now float64 // copies as a part of the exporter's packets, drops of those that came in by the first place; 0 to 1
	Words       string
	Mend        string // what to do
}

// What is worth an alarm, as parts of packets.
const (
	manyCopies = .05  // of those that an exporter tells of
	someCopies = .01  // likewise, that one interface tells of
	manyDrops  = .02  // of those that come in by an interface, or by all of a router
	someDrops  = .001 // of those that come in by all, that were dropped of one interface
)

// FindCopies finds exporters that tell of packets which count elsewhere. With
// roles no total is wrong by that, and it costs only flow records: it is found
// where it began within the time of the ways. Without, it is found while it lasts.
// It must be so in each of the newest steps: where a router changes from ingress
// to egress, both are in the step between, and look like copies.
func FindCopies(ways []Way, known map[Interface]Named) []Finding {
	rule, roles := Once, false
	for _, i := range known {
		if i.Role != "" {
			rule, roles = func(sums []Sum) Rule {
				return Network(sums, func(i Interface) string { return known[i].Role })
			}, true
			break
		}
	}
	type metered struct {
		series
		at map[Place]*series
	}
	exporters := map[netip.Addr]*metered{}
	for i, copies := range copied(ways, rule) {
		w := &ways[i]
		x := exporters[w.Exporter]
		if x == nil {
			x = &metered{at: map[Place]*series{}}
			exporters[w.Exporter] = x
		}
		x.add(w, copies)
		at := Place{w.In, Ingress}
		if w.Direction == Egress {
			at = Place{w.Out, Egress}
		}
		if x.at[at] == nil {
			x.at[at] = &series{}
		}
		x.at[at].add(w, copies)
	}
	var list []Finding
	for exporter, x := range exporters {
		r, risen := x.rise(manyCopies)
		if !x.lasts(manyCopies) || roles && !risen {
			continue
		}
		f := Finding{Exporter: exporter, What: NewCopies, Step: r.since, Before: r.before, Now: r.now}
		if !risen {
			f.Step, f.Now = -1, sum(x.recent()).value()
			f.Before = f.Now
		}
		copies := map[Place]float64{}
		for at, s := range x.at {
			for i := range s.steps {
				s.steps[i].all = x.steps[i].all
			}
			_, began := s.rise(someCopies)
			if now := sum(s.recent()); at.Index != 0 && now.value() >= someCopies && (began || !risen) {
				copies[at] = now.part
				f.Places = append(f.Places, at)
			}
		}
		greatestFirst(f.Places, copies)
		f.sayCopies(known, risen, roles)
		list = append(list, f)
	}
	slices.SortFunc(list, func(a, b Finding) int { return a.Exporter.Compare(b.Exporter) })
	return list
}

// copied tells how many packets of each way a rule leaves out, in each step by
// what was metered in it.
func copied(ways []Way, rule func([]Sum) Rule) [][]float64 {
	copies := make([][]float64, len(ways))
	steps := 0
	for i := range ways {
		steps = len(ways[i].Packets)
		copies[i] = make([]float64, steps)
	}
	var sums []Sum // of a step
	var of []int   // the ways that they are of
	for step := range steps {
		sums, of = sums[:0], of[:0]
		for i := range ways {
			if n := ways[i].Packets[step]; n > 0 {
				s := ways[i].Sum
				s.Amount = Amount{Flows: 1, Packets: uint64(n), Bytes: uint64(n)} // rules compare bytes
				sums, of = append(sums, s), append(of, i)
			}
		}
		r := rule(sums)
		counts := r.Counts()
		for i := range sums {
			if !counts(&sums[i]) {
				copies[of[i]][step] = ways[of[i]].Packets[step]
			}
		}
	}
	return copies
}

// FindDrops finds routers that drop a greater part of what comes in by an
// interface than before, or of all that comes in. What is metered as it goes
// out was not dropped.
func FindDrops(ways []Way, known map[Interface]Named) []Finding {
	type router struct {
		all series
		at  map[uint32]*series
		why map[uint32]map[reason]float64 // packets that were dropped lately, by interface; 0: by all
	}
	routers := map[netip.Addr]*router{}
	for i := range ways {
		w := &ways[i]
		if w.Direction == Egress {
			continue
		}
		r := routers[w.Exporter]
		if r == nil {
			r = &router{at: map[uint32]*series{}, why: map[uint32]map[reason]float64{}}
			routers[w.Exporter] = r
		}
		if r.at[w.In] == nil {
			r.at[w.In] = &series{}
		}
		if w.Fate != Dropped {
			r.all.of(w.Packets)
			r.at[w.In].of(w.Packets)
			continue
		}
		r.all.add(w, w.Packets)
		r.at[w.In].add(w, w.Packets)
		for _, index := range slices.Compact([]uint32{0, w.In}) {
			if r.why[index] == nil {
				r.why[index] = map[reason]float64{}
			}
			for _, n := range w.Packets[max(0, len(w.Packets)-Recent):] {
				r.why[index][reason{w.Status, w.Reason}] += n
			}
		}
	}
	var list []Finding
	for exporter, r := range routers {
		f := Finding{Exporter: exporter, What: MoreDrops}
		all, dropped, rises := sum(r.all.recent()), map[Place]float64{}, map[Place]rise{}
		for index, s := range r.at {
			at, now := Place{index, Ingress}, sum(s.recent())
			if one, risen := s.rise(manyDrops); risen && index != 0 && now.part >= someDrops*all.all {
				dropped[at], rises[at] = now.part, one
				f.Places = append(f.Places, at)
			}
		}
		greatestFirst(f.Places, dropped)
		what, risen := r.all.rise(manyDrops)
		why := r.why[0]
		if len(f.Places) > 0 {
			what, risen = rises[f.Places[0]], true
			why = r.why[f.Places[0].Index]
		}
		if !risen {
			continue
		}
		f.Step, f.Before, f.Now = what.since, what.before, what.now
		f.sayDrops(known, why)
		list = append(list, f)
	}
	slices.SortFunc(list, func(a, b Finding) int { return a.Exporter.Compare(b.Exporter) })
	return list
}
