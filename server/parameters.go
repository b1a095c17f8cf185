package server

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/danielgtaylor/huma/v2"

	"github.com/minamo-flow/minamo/internal/span"
	"github.com/minamo-flow/minamo/query"
)

// Range is what every question has: when, which flows, how counted.
type Range struct {
	From    string   `query:"from" default:"-1h" doc:"Start: RFC 3339, now, or a span before now such as -15m, -4h45m, -7d"`
	To      string   `query:"to" default:"now" doc:"End, likewise"`
	Filters []string `query:"filter,explode" doc:"Filter in nfdump's syntax; of several all must match"`
	Raw     bool     `query:"raw" doc:"Packets and bytes as exported, not multiplied by the sampling rate"`
}

// Form is in which form an answer is wanted, and how the question is called.
type Form struct {
	Format string `query:"format" enum:"json,csv,parquet,arrow" doc:"Form of the answer; without it, the Accept header says, and else it is json"`
	ID     string `query:"id" maxLength:"64" pattern:"^[A-Za-z0-9_-]*$" doc:"A name of your own for the question, to ask /api/questions/{id} how far it is, or to stop it"`
}

func (f *Form) format() string { return f.Format }

// understood is a Range that is right.
type understood struct {
	from, to time.Time
	filters  []*query.Filter
	raw      bool
	faults   []error
}

// understand reads a range; faults name the parameter.
func understand(r Range) *understood {
	u := &understood{raw: r.Raw}
	var err error
	if u.from, u.to, err = parseRange(r.From, r.To, time.Now()); err != nil {
		u.fault("from", r.From, err)
	}
	for _, text := range r.Filters {
		f, err := query.ParseFilter(text)
		if err != nil {
			u.fault("filter", text, err)
		}
		u.filters = append(u.filters, f)
	}
	return u
}

func (u *understood) fault(parameter string, value any, err error) {
	u.faults = append(u.faults, &huma.ErrorDetail{Message: err.Error(), Location: "query." + parameter, Value: value})
}

// problem is what is wrong; nil when nothing is.
func (u *understood) problem() error {
	if u.faults == nil {
		return nil
	}
	return huma.Error422UnprocessableEntity(u.faults[0].(*huma.ErrorDetail).Message, u.faults...)
}

// dimensions reads a list of them; none is right, too.
func (u *understood) dimensions(list string) []query.Dimension {
	if list == "" {
		return nil
	}
	by, err := query.ParseDimensions(list)
	if err != nil {
		u.fault("by", list, err)
	}
	return by
}

// joinFilters is one filter that matches what all of them match.
func joinFilters(filters []string) (*query.Filter, error) {
	return query.ParseFilter(joinedFilter(filters))
}

func joinedFilter(filters []string) string {
	var given []string
	for _, f := range filters {
		if strings.TrimSpace(f) != "" {
			given = append(given, f)
		}
	}
	if len(given) == 1 {
		return given[0]
	}
	for i := range given {
		given[i] = "(" + given[i] + ")"
	}
	return strings.Join(given, " and ")
}

// commandTime is a moment as `minamo flows -t` reads it.
func commandTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// commandLine joins words for a shell.
func commandLine(words ...string) string {
	for i := range words {
		words[i] = shellQuote(words[i])
	}
	return strings.Join(words, " ")
}

// shellQuote makes text one word of a command line.
func shellQuote(text string) string {
	if text != "" && !strings.ContainsFunc(text, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("/._-:,", r)
	}) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

const (
	maxBuckets = 5000 // a series may have

	maxSpan = 200 * 365 * 24 * time.Hour // of a series; a time.Duration holds 292 years
)

// steps are the lengths of a bucket that people can read off an axis.
var steps = []time.Duration{
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 30 * time.Second,
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour,
}

// chooseStep picks the shortest of them that needs few enough buckets. From an
// hour on it is a minute at least, for which there are rollups.
func chooseStep(span time.Duration) time.Duration {
	const most = 300
	for _, step := range steps {
		if span <= step*most && (span < time.Hour || step >= time.Minute) {
			return step
		}
	}
	const day = 24 * time.Hour
	return (span + day*most - 1) / (day * most) * day
}

// align widens a range to whole minutes where it has five, to whole hours
// beyond two days, and to the step that a chart of it would have: so that
// coarse tables can answer, that chart and table agree, and that a chart which
// moves on keeps its shape.
func (u *understood) align(unit time.Duration) {
	for range 2 { // the wider range may be beyond the next bound
		span := u.to.Sub(u.from)
		least := max(unit, chooseStep(span))
		switch {
		case span > 48*time.Hour:
			least = max(least, time.Hour)
		case span >= 5*time.Minute:
			least = max(least, time.Minute)
		}
		u.from = u.from.Truncate(least)
		if end := u.to.Truncate(least); end.Before(u.to) {
			u.to = end.Add(least)
		}
	}
}

// step reads the length of a series' buckets: "" is none, "auto" or "0" what
// suits the range.
func (u *understood) step(text string) time.Duration {
	length := u.to.Sub(u.from)
	var step time.Duration
	switch text {
	case "":
		return 0
	case "auto", "0":
		step = chooseStep(length)
	default:
		seconds, err := strconv.ParseInt(text, 10, 32)
		if step = time.Duration(seconds) * time.Second; err != nil {
			step, err = span.Parse(text)
		}
		if err != nil || step < time.Second || step%time.Second != 0 {
			u.fault("step", text, fmt.Errorf("expected auto, or seconds, or a span of whole seconds such as 5m or 1d; found %q", text))
			return 0
		}
	}
	if length > maxSpan {
		u.fault("from", u.from, fmt.Errorf("a series spans 200 years at most: choose a later start or an earlier end"))
	} else if n := (length + step - 1) / step; n > maxBuckets {
		u.fault("step", text, fmt.Errorf("%d points are too many, expected at most %d: choose a longer step or a shorter time", n, maxBuckets))
	}
	return step
}

// span reads a length of time such as 24h or 7d; "" is 0.
func (u *understood) span(parameter, text string) time.Duration {
	if text == "" {
		return 0
	}
	d, err := span.Parse(text)
	if err != nil || d <= 0 {
		u.fault(parameter, text, fmt.Errorf("expected a span such as 24h or 7d, found %q", text))
		return 0
	}
	return d
}

// refuseUnknown answers requests with parameters that the operation does not
// have, or has once: a mistyped one would be left out of the question in silence.
func refuseUnknown(api huma.API) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		var known []string
		list := map[string]bool{}
		for _, p := range ctx.Operation().Parameters {
			if p.In == "query" {
				known = append(known, p.Name)
				list[p.Name] = p.Schema != nil && p.Schema.Type == huma.TypeArray
			}
		}
		u := ctx.URL()
		values, err := url.ParseQuery(u.RawQuery)
		if err != nil {
			huma.WriteErr(api, ctx, 422, "the address is no list of parameters: "+err.Error())
			return
		}
		var faults []error
		fault := func(name, format string, args ...any) {
			faults = append(faults, &huma.ErrorDetail{Message: fmt.Sprintf(format, args...), Location: "query." + name, Value: values[name]})
		}
		for name, v := range values {
			switch {
			case !slices.Contains(known, name):
				hint := "there are none here"
				if near := query.Nearest(name, known); near != "" {
					hint = fmt.Sprintf("did you mean %q?", near)
				} else if known != nil {
					hint = "known here: " + strings.Join(known, ", ")
				}
				fault(name, "parameter %q is unknown; %s", name, hint)
			case len(v) > 1 && !list[name]:
				fault(name, "parameter %q is given %d times", name, len(v))
			}
		}
		if faults != nil {
			slices.SortFunc(faults, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
			huma.WriteErr(api, ctx, 422, faults[0].(*huma.ErrorDetail).Message, faults...)
			return
		}
		next(ctx)
	}
}
