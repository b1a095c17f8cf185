package e2e

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minamo-flow/minamo/enrich/numbers"
	"github.com/minamo-flow/minamo/enrich/roles"
	"github.com/minamo-flow/minamo/query"
	"github.com/minamo-flow/minamo/simulate"
	"github.com/minamo-flow/minamo/snmp"
	"github.com/minamo-flow/minamo/verify/counting"
	watch "github.com/minamo-flow/minamo/verify/totals"
)

// TestTotals looks at a carrier every five minutes, as the server does: what is
// wrong for an hour is an alert of the router where it is, since when it began,
// while it lasts and little longer; and nothing else ever is.
func TestTotals(t *testing.T) {
	plan, err := simulate.New(simulate.Config{Seed: 1, Start: time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC), Collector: func(string) string { return "" }, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer plan.Close()
	known := func(roled bool) func() []counting.Named {
		var list []counting.Named
		for _, r := range plan.Routers() {
			for _, i := range r.Interfaces {
				one := counting.Named{Interface: counting.Interface{Exporter: r.Addr, Index: i.IfIndex}, Name: i.Name, Description: i.Alias}
				switch {
				case !roled:
				case i.Role.External():
					one.Role = roles.External
				default:
					one.Role = roles.Core
				}
				list = append(list, one)
			}
		}
		return func() []counting.Named { return list }
	}
	type alert struct {
		router string
		what   counting.What
	}
	for _, c := range []struct {
		what    string
		start   int // hour, UTC
		noRoles bool
		args    []string
		wrong   []string // scenarios
		want    []alert
	}{
		{what: "a day", start: 2, wrong: []string{"acl:tyo-edge1", "ingress-egress:osk-core1"},
			want: []alert{{tyoEdge1, counting.MoreDrops}, {oskCore1, counting.NewCopies}}},
		{what: "a night without roles", start: 16, noRoles: true, wrong: []string{"acl:tyo-edge1", "ingress-egress:tyo-edge1"},
			want: []alert{{tyoEdge1, counting.MoreDrops}, {tyoEdge1, counting.NoRoles}}},
		{what: "core interfaces begin", start: 6, wrong: []string{"double-count"},
			want: []alert{{tyoEdge1, counting.NewCopies}, {tyoCore1, counting.NewCopies}, {tyoIX1, counting.NewCopies}, {oskCore1, counting.NewCopies}, {oskEdge1, counting.NewCopies}}},
		{what: "other numbers", start: 3, wrong: []string{"renumber:tyo-edge1", "renumber:osk-core1"}},
		{what: "what others alarm of", start: 9, args: []string{"--everywhere"}, wrong: []string{"active-timer:osk-core1", "restart:osk-edge1", "silent:tyo-ix1", "half-metered:tyo-core1"}},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			begin := time.Date(2026, 11, 20, c.start, 0, 0, 0, time.UTC)
			from, to, end := begin.Add(90*time.Minute), begin.Add(140*time.Minute), begin.Add(170*time.Minute)
			data := filepath.Join(t.TempDir(), "data")
			args := append([]string{"demo", "--data", data, "--http", fmt.Sprintf("127.0.0.1:%d", freePort(t, "tcp")), "--snmp-port", fmt.Sprint(freePort(t, "udp")),
				"--start", begin.Format(time.RFC3339), "--for", end.Sub(begin).String()}, c.args...)
			for _, s := range c.wrong {
				args = append(args, "--scenario", s+"@"+from.Format(time.RFC3339)+".."+to.Format(time.RFC3339))
			}
			run(t, minamo, args...)
			engine, err := query.Open(query.Config{TempDir: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			defer engine.Close()
			devices, err := snmp.Load(filepath.Join(data, "devices.json"))
			if err != nil || len(devices) != 5 {
				t.Fatal(len(devices), err)
			}
			var eras []numbers.Era
			for address, d := range devices {
				eras = append(eras, numbers.Eras(address, d.Changes)...)
			}
			engine.SetEras(eras)
			w := watch.New(watch.Config{Engine: engine, Archive: query.Dir(data), Known: known(!c.noRoles)}, slog.New(slog.DiscardHandler))
			words := map[alert]string{}
			for now := begin.Add(15 * time.Minute); now.Before(end); now = now.Add(5 * time.Minute) {
				if now.Before(from.Add(-15*time.Minute)) && now.Minute()%15 > 0 {
					continue // all is well, and it takes time
				}
				if err := w.At(t.Context(), now); err != nil {
					t.Fatal(err)
				}
				found := map[alert]bool{}
				for _, a := range w.Alerts() {
					one := alert{a.Exporter.String(), a.What}
					found[one] = true
					if words[one] == "" {
						words[one] = a.Words
						t.Logf("%v after it began: %s: %s: %s", now.Sub(from), one.router, one.what, a.Words)
					}
					if !slices.Contains(c.want, one) || now.Before(from) || now.After(to.Add(25*time.Minute)) || a.Since.Sub(from).Abs() > 5*time.Minute {
						t.Errorf("%v after it began: %v since %v: %s", now.Sub(from), one, a.Since, a.Words)
					}
				}
				for _, one := range c.want {
					if !found[one] && !now.Before(from.Add(25*time.Minute)) && !now.After(to) {
						t.Errorf("%v after it began: no alert of %v", now.Sub(from), one)
					}
				}
			}
			for one, said := range words {
				if one.what == counting.MoreDrops && !strings.Contains(said, "100 % of the packets that come in by GigabitEthernet0/0/0/4 (CUST: Aster Foods) are dropped; before it was 0 %. Why, mostly: 129 dropped, ACL deny.") {
					t.Errorf("who, where and why: %s", said)
				}
			}
		})
	}
}
