package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

func TestPlanCommand(t *testing.T) {
	for name, c := range map[string]struct {
		args   string
		status int
		want   []string
	}{
		"worked case": {"--collector 10000 --router r=8000@1000", 0, []string{"r     8000      -    1/1000   1/2000     4000", "collector     8000  10000", "One router gets another rate."}},
		"own limit":   {"--collector 10000 --growth 1.5 --reserve 0 --router r=5000@1000/7000 --vendor ios-xr", 0, []string{"1/2000", "3750", "random 1 out-of 2000", "its own limit of 7,000"}},
		"they fill it exactly": {"--collector 10000 --reserve 0 --router a=5000@2000 --router b=3000@4000 --router c=2000@8000", 0,
			[]string{"collector    10000  10000", "No router needs another rate."}},
		"cannot be":    {"--collector 1 --router r=5000@65536", 1, []string{"several collectors"}},
		"for whom":     {"--collector 1", 2, []string{"plan for whom?"}},
		"not a router": {"--router 5000", 2, []string{"expected NAME=[FLOWS][@RATE][/LIMIT]"}},
		"no rate":      {"--router r=5@0", 1, []string{`"0" is not possible`}},
		"no vendor":    {"--router r=5 --vendor nobody", 2, []string{`there is no "nobody"`}},
		"growth":       {"--router r=5 --growth 0", 2, []string{"--growth: expected more than 0"}},
		"reserve":      {"--router r=5 --reserve 91", 2, []string{"--reserve: expected 0 to 90"}},
		"no data":      {"--data /nonexistent", 1, []string{"holds no history of exporters"}},
		"help":         {"--help", 0, []string{"Usage: minamo plan"}},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if status := run(t.Context(), append([]string{"plan"}, strings.Fields(c.args)...), &out, &out); status != c.status {
				t.Errorf("status %d, want %d", status, c.status)
			}
			for _, want := range c.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("no %q in\n%s", want, out.String())
				}
			}
		})
	}
}

// docs/budget.md shows what the command prints.
func TestPlanIsDocumented(t *testing.T) {
	docs, err := os.ReadFile("../../docs/budget.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(docs), "```console\n$ minamo ")
	block, _, _ = strings.Cut(block, "```")
	args, want, _ := strings.Cut(block, "\n")
	var out bytes.Buffer
	run(t.Context(), strings.Fields(args), &out, &out)
	var got []string
	for line := range strings.Lines(out.String()) {
		got = append(got, strings.TrimRight(line, " \n"))
	}
	if text := strings.Join(got, "\n") + "\n"; text != want {
		t.Errorf("minamo %s prints\n%s\ninstead of\n%s", args, text, want)
	}
}
