package server

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/minamo-flow/minamo/query"
)

func TestComplete(t *testing.T) {
	web, _ := site(t)
	var c Completion
	fetch(t, web, "/api/complete?filter="+url.QueryEscape("user 山田 and pro"), 200, &c)
	if c.From != 12 || c.To != 15 || c.Value != "" || len(c.Words) != 2 || c.Words[0].Text != "proto" || c.Words[0].Kind != "condition" || c.Words[0].Doc == "" {
		t.Errorf("%+v", c)
	}
	c = Completion{}
	fetch(t, web, "/api/complete?at=6&filter="+url.QueryEscape("proto tcp or any"), 200, &c)
	if c.From != 6 || c.To != 6 || c.Value != "protocol" || !slices.ContainsFunc(c.Words, func(w CompletionWord) bool { return w.Text == "sctp" && w.Kind == "value" }) {
		t.Errorf("%+v", c)
	}
	c = Completion{}
	if body := fetch(t, web, "/api/complete?filter=prt+5+", 200, &c); len(c.Words) != 0 || !strings.Contains(body, `"words":[]`) {
		t.Error(body)
	}
	fetch(t, web, "/api/complete", 200, &c)
	if len(c.Words) < 100 {
		t.Errorf("%d words begin a filter", len(c.Words))
	}
}

// TestFiltersOfTheAPI are told what is wrong, and read no files.
func TestFiltersOfTheAPI(t *testing.T) {
	web, _ := site(t)
	for filter, want := range map[string]FilterCheck{
		"proto tcp and prt 5":  {Column: 15, Word: "prt", Suggestion: "port"},
		"tcp and geo US":       {Column: 9, Word: "geo", Reason: "the countries of addresses are not known yet"},
		"@include /etc/passwd": {Column: 1, Word: "@include", Reason: "only `minamo` on the command line reads files"},
		"src or dst port 53":   {OK: true},
	} {
		var got FilterCheck
		fetch(t, web, "/api/filter?filter="+url.QueryEscape(filter), 200, &got)
		if _, err := query.ParseFilter(filter); (err == nil) != got.OK || err != nil && got.Message != err.Error() {
			t.Errorf("%s: %+v", filter, got)
		}
		want.Message, want.Expected = got.Message, got.Expected
		if got != want {
			t.Errorf("%s: %+v", filter, got)
		}
	}
	fetch(t, web, "/api/top?filter="+url.QueryEscape("@include /etc/passwd"), 422, nil)
}
