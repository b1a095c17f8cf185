package counting

import (
	"cmp"
	"fmt"
	"slices"
)

// reason is why packets were dropped: the forwarding status (IE 89), and its name.
type reason struct {
	status uint8
	label  string
}

func (f *Finding) sayCopies(known map[Interface]Named, began, roles bool) {
	f.Words = fmt.Sprintf("%s of the packets that it tells of are in other records, too", percent(f.Now))
	if began {
		f.Words += fmt.Sprintf("; before it was %s", percent(f.Before))
	}
	f.Words += "."
	if len(f.Places) > 0 {
		f.Words += fmt.Sprintf(" They are metered as they %s.%s", f.way(known), f.inAll())
	}
	f.Mend = "The scopes once and network leave copies out of totals, but they cost flow records. If nobody wants them: ingress alone, and nothing at core interfaces."
	if !roles {
		f.What = NoRoles
		f.Words += " No interface has a role: what the network's traffic is, nobody can tell."
		f.Mend = "Give interfaces roles, and ask with the scope network; or leave egress off where the router meters what comes in."
	}
}

func (f *Finding) sayDrops(known map[Interface]Named, why map[reason]float64) {
	most := reason{}
	for r, packets := range why {
		if packets > why[most] || packets == why[most] && r.status < most.status {
			most = r
		}
	}
	way := "come in"
	if len(f.Places) > 0 {
		way = f.way(known)
	}
	f.Words = fmt.Sprintf("%s of the packets that %s are dropped; before it was %s. Why, mostly: %s.%s", percent(f.Now), way, percent(f.Before), most.label, f.inAll())
	switch most.status {
	case 129, 130:
		f.Mend = "An access list denies them: look whose they are, and whether that is meant."
	case 131, 132, 142:
		f.Mend = "Nothing leads on to where they go: look for a route, or a neighbour, that is gone."
	case 137:
		f.Mend = "They went round until their time was over: look for a loop of routes."
	case 138, 139:
		f.Mend = "A policer or a full queue throws them away: look who sends more than before, and whether there is room for it."
	case 140:
		f.Mend = "They come from where no route leads back to: spoofed, or routes are not symmetric."
	default:
		f.Mend = "Look whose they are, and where they were to go."
	}
}

// way says how packets pass the first place.
func (f *Finding) way(known map[Interface]Named) string {
	i := known[Interface{f.Exporter, f.Places[0].Index}]
	name := cmp.Or(i.Name, fmt.Sprintf("interface %d", f.Places[0].Index))
	if i.Description != "" {
		name += " (" + i.Description + ")"
	}
	if f.Places[0].Direction == Egress {
		return "go out by " + name
	}
	return "come in by " + name
}

// inAll says how many places there are, where there are others than the first.
func (f *Finding) inAll() string {
	if len(f.Places) < 2 {
		return ""
	}
	return fmt.Sprintf(" Interfaces in all: %d.", len(f.Places))
}

// percent writes a part for people.
func percent(part float64) string {
	if part > 0 && part < .1 {
		return fmt.Sprintf("%.1f %%", part*100)
	}
	return fmt.Sprintf("%.0f %%", part*100)
}

// greatestFirst sorts places by what they have.
func greatestFirst(places []Place, has map[Place]float64) {
	slices.SortFunc(places, func(a, b Place) int {
		return cmp.Or(cmp.Compare(has[b], has[a]), cmp.Compare(a.Index, b.Index), cmp.Compare(a.Direction, b.Direction))
	})
}
