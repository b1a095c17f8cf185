package simulate

import (
	"fmt"
	"strings"
	"time"

	"github.com/minamo-flow/minamo/internal/span"
	"github.com/minamo-flow/minamo/probe"
)

// Scenario is something that goes wrong for some time.
type Scenario struct {
	Name   string
	Router string    // where; default ScenarioInfo.Router
	From   time.Time // zero: from the start on; times are rounded down to the minute
	To     time.Time // zero: to the end
}

// on tells whether the scenario is going on in the minute that begins at t.
func (s *Scenario) on(t time.Time) bool {
	return !t.Before(s.From.Truncate(time.Minute)) && (s.To.IsZero() || t.Before(s.To.Truncate(time.Minute)))
}

// at tells whether it happens at a router.
func (s *Scenario) at(info *ScenarioInfo, router string) bool {
	where := s.Router
	if where == "" {
		where = info.Router
	}
	return where == "" || where == router
}

// ScenarioInfo describes a scenario to people.
type ScenarioInfo struct {
	Name   string
	Router string // where it happens unless told otherwise; empty: everywhere
	Wrong  string // what goes wrong
	Truth  string // what is true nevertheless
	Look   string // what an operator sees, and where

	flows bool // it is about flow caches, or clocks of export: sFlow has neither
	fixed bool // it can happen at Router only
	// apply changes how a router is set up, or the network, for a minute, and
	// tells whether the router restarts with it.
	apply func(n *Network, r *Router, f *faults, s *Scenario) (reboot bool)
}

// Scenarios are all that can go wrong.
func Scenarios() []ScenarioInfo { return scenarios }

// ScenarioNamed finds one of Scenarios.
func ScenarioNamed(name string) (*ScenarioInfo, bool) {
	for i := range scenarios {
		if scenarios[i].Name == name {
			return &scenarios[i], true
		}
	}
	return nil, false
}

// ParseScenario reads "name", "name:router", "name@FROM..TO" and
// "name:router@FROM..TO". FROM and TO are times (RFC 3339) or durations before or
// after now ("-3h", "-1d2h", "30m"); one of them may be left out.
func ParseScenario(text string, now time.Time) (Scenario, error) {
	name, when, timed := strings.Cut(text, "@")
	s := Scenario{}
	s.Name, s.Router, _ = strings.Cut(name, ":")
	if err := s.check(); err != nil {
		return s, err
	}
	if !timed {
		return s, nil
	}
	from, to, ok := strings.Cut(when, "..")
	if !ok {
		return s, fmt.Errorf("scenario %q: a time is FROM..TO, as in -3h..-2h", text)
	}
	for _, x := range []struct {
		text string
		to   *time.Time
	}{{from, &s.From}, {to, &s.To}} {
		if x.text == "" {
			continue
		}
		if t, ok := span.Before(x.text, now); ok {
			*x.to = t
		} else if d, err := span.Parse(x.text); err == nil {
			*x.to = now.Add(d)
		} else if t, err := time.Parse(time.RFC3339, x.text); err == nil {
			*x.to = t
		} else {
			return s, fmt.Errorf("scenario %q: %q is neither a duration (-3h) nor a time (2026-11-23T10:00:00Z)", text, x.text)
		}
	}
	if !s.From.IsZero() && !s.To.IsZero() && !s.From.Before(s.To) {
		return s, fmt.Errorf("scenario %q ends before it begins", text)
	}
	return s, nil
}

// check tells whether there is such a scenario, and such a router.
func (s *Scenario) check() error {
	info, ok := ScenarioNamed(s.Name)
	if !ok {
		var names []string
		for _, i := range scenarios {
			names = append(names, i.Name)
		}
		return fmt.Errorf("no scenario %q: there are %s", s.Name, strings.Join(names, ", "))
	}
	for _, l := range routers {
		switch {
		case s.Router == l.name && info.fixed && l.name != info.Router:
			return fmt.Errorf("scenario %s: it can happen at %s only", s.Name, info.Router)
		case s.Router == l.name && info.flows && l.vendor.Protocol == probe.SFlow5:
			return fmt.Errorf("scenario %s: %s speaks sFlow, which has neither flows nor a clock", s.Name, s.Router)
		case s.Router == l.name || s.Router == "":
			return nil
		}
	}
	return fmt.Errorf("scenario %s: no router %q", s.Name, s.Router)
}
