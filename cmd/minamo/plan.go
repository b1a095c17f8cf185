package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/minamo-flow/minamo/config"
	"github.com/minamo-flow/minamo/verify/budget"
	"github.com/minamo-flow/minamo/verify/quality"
)

const planUsage = `Usage: minamo plan [OPTIONS]

Which sampling rate on which router keeps the collector and each router under
their limits of flow records per second, at the least loss of precision; what
it costs, and the routers' configuration. docs/budget.md tells how it reckons.

  --data DIR         plan for the routers whose exports are in this data
                     directory, by their busiest minute of the last seven days
  --config FILE      take limits (budget:) from this configuration, and its data
                     directory where --data is not given
  --router NAME=[FLOWS][@RATE][/LIMIT]
                     a router that sends so many flow records a second in its
                     busiest minute, samples one packet in RATE, and can send
                     LIMIT; may be given several times. Of a router in the data
                     directory it changes what is given
  --collector FLOWS  flow records a second that the collector may get
  --growth FACTOR    plan for so much more than now (default 1)
  --reserve PERCENT  of every limit stays free (default 25)
  --vendor NAME      also the lines to configure: ` + "`all`" + `, or a part of a name of
                     IOS-XR, IOS-XE, Junos, Huawei, Arista, softflowd

Routers of --router alone are reckoned as proportional: half the sampling is
half the flow records.

Examples:
  minamo plan --collector 10000 --router edge1=8000@1000
  minamo plan --collector 10000 --growth 1.5 --router edge1=5000@1000/7000 --vendor junos
  minamo plan --data /var/lib/minamo --config /etc/minamo.yaml

Exit status: 0 all limits are kept, 1 failed or they cannot be, 2 called wrongly.
`

var routerForm = regexp.MustCompile(`^([^=]+)=([0-9.]*)(?:@([0-9]+))?(?:/([0-9.]+))?$`)

// planOptions are the arguments of `minamo plan`.
type planOptions struct {
	budget.Case
	data, vendor string
	limits       config.Budget
	routers      [][]string // name, flows, rate and limit, which may be empty
}

func planCommand(_ context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parsePlan(args, stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(stderr, "minamo plan:", err)
		return 2
	}
	if err := o.fill(); err != nil {
		fmt.Fprintln(stderr, "minamo plan:", err)
		return 1
	}
	p := budget.Make(o.Case)
	printPlan(stdout, p, o.vendor)
	if !p.Possible {
		return 1
	}
	return 0
}

func parsePlan(args []string, stdout io.Writer) (o planOptions, err error) {
	flags := flag.NewFlagSet("minamo plan", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	file := flags.String("config", "", "")
	flags.StringVar(&o.data, "data", "", "")
	flags.StringVar(&o.vendor, "vendor", "", "")
	flags.Float64Var(&o.Collector, "collector", 0, "")
	flags.Float64Var(&o.Growth, "growth", 1, "")
	flags.Float64Var(&o.Reserve, "reserve", 100*budget.Reserve, "")
	flags.Func("router", "", func(text string) error {
		found := routerForm.FindStringSubmatch(text)
		if found == nil {
			return errors.New("expected NAME=[FLOWS][@RATE][/LIMIT], such as edge1=8000@1000/7000")
		}
		o.routers = append(o.routers, found[1:])
		return nil
	})
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprint(stdout, planUsage)
			return o, err
		}
		return o, fmt.Errorf("%w; see: minamo plan --help", err)
	}
	o.Reserve /= 100
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("unexpected %q; see: minamo plan --help", flags.Arg(0))
	case !(o.Growth > 0 && o.Growth <= 1000):
		return o, errors.New("--growth: expected more than 0, and 1000 at most")
	case !(o.Reserve >= 0 && o.Reserve <= 0.9):
		return o, errors.New("--reserve: expected 0 to 90 percent")
	case !(o.Collector >= 0):
		return o, errors.New("--collector: expected flow records per second, 0 for no limit")
	case o.vendor != "" && vendorsOf(o.vendor) == nil:
		return o, fmt.Errorf("--vendor: there is no %q; see: minamo plan --help", o.vendor)
	}
	if *file != "" {
		cfg, err := config.Load(*file)
		if err != nil {
			return o, err
		}
		o.limits, o.data = cfg.Budget, cmp.Or(o.data, cfg.Data)
		o.Collector = cmp.Or(o.Collector, float64(cfg.Budget.Collector))
	}
	if o.data == "" && o.routers == nil {
		return o, errors.New("plan for whom? give --data, --config or --router; see: minamo plan --help")
	}
	return o, nil
}

// fill finds the routers: those of the data directory, and the given ones.
func (o *planOptions) fill() error {
	if o.data != "" {
		if err := o.known(); err != nil {
			return err
		}
	}
	for _, given := range o.routers {
		i := slices.IndexFunc(o.Routers, func(r budget.Router) bool { return r.Name == given[0] })
		if i < 0 {
			o.Routers, i = append(o.Routers, budget.Router{Name: given[0], Rate: 1}), len(o.Routers)
		}
		r := &o.Routers[i]
		for j, text := range given[1:] {
			if text == "" {
				continue
			}
			value, err := strconv.ParseFloat(text, 64)
			if err != nil || j == 1 && (value < 1 || value > 1<<24) {
				return fmt.Errorf("--router %s: %q is not possible", given[0], text)
			}
			switch j {
			case 0:
				r.Flows = value
			case 1:
				r.Rate = uint32(value)
			case 2:
				r.Limit = value
			}
		}
	}
	return nil
}

// known adds the exporters of the data directory.
func (o *planOptions) known() error {
	dir := filepath.Join(o.data, "quality")
	if _, err := os.Stat(dir); err != nil {
		return fmt.Errorf("%s holds no history of exporters: %w", o.data, err)
	}
	recorder := quality.Open(quality.Config{Dir: dir}, slog.New(slog.DiscardHandler))
	network, now := budget.NewNetwork(), time.Now()
	rates := map[netip.Addr]uint32{} // of the newest minute that tells
	err := recorder.Read(now.AddDate(0, 0, -35), now, func(m *quality.Minute) error {
		network.Add(m)
		for i := range m.Exporters {
			most := uint64(0)
			for _, d := range m.Exporters[i].Domains {
				for _, r := range d.Rates {
					if r.Flows > most {
						most, rates[m.Exporters[i].Address] = r.Flows, r.Rate
					}
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	network.Settle()
	if limit, measured := network.Collector.Measured(); measured && o.Collector == 0 {
		o.Collector = limit
	}
	for address, h := range network.Exporters {
		r := budget.Router{Name: address.String(), Flows: h.Recent(now), Rate: rates[address]}
		if r.Flows == 0 {
			continue
		}
		for _, l := range o.limits.Exporters {
			if r.Limit == 0 && l.Exporters.Contains(address) {
				r.Limit = float64(l.Flows)
			}
		}
		if limit, measured := h.Measured(); measured && r.Limit == 0 {
			r.Limit = limit
		}
		o.Routers = append(o.Routers, r)
	}
	slices.SortFunc(o.Routers, func(a, b budget.Router) int {
		return cmp.Or(cmp.Compare(b.Flows, a.Flows), cmp.Compare(a.Name, b.Name))
	})
	return nil
}

func printPlan(w io.Writer, p budget.Plan, vendor string) {
	const packet = 800 // bytes, the mean
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "router\tflows/s\tlimit\tsampling\tplanned\tflows/s\t")
	for _, u := range budget.Usual {
		fmt.Fprintf(t, "± %s\t", u.Name)
	}
	fmt.Fprintln(t)
	limit := func(v float64) string {
		if v <= 0 {
			return "-"
		}
		return fmt.Sprintf("%.0f", v)
	}
	for _, r := range p.Routers {
		planned := "stays"
		if r.NewRate != r.Rate {
			planned = fmt.Sprintf("1/%d", r.NewRate)
		}
		fmt.Fprintf(t, "%s\t%.0f\t%s\t1/%d\t%s\t%.0f\t", r.Name, r.Before, limit(r.Limit), r.Rate, planned, r.After)
		for _, u := range budget.Usual {
			if precise := budget.Precise(u.Bytes, packet, r.NewRate); precise.Packets < 4 {
				fmt.Fprint(t, "> 98 %\t") // it may be off by all of it, or see nothing
			} else {
				fmt.Fprintf(t, "%.1f %%\t", 100*precise.Error)
			}
		}
		fmt.Fprintln(t)
	}
	fmt.Fprintf(t, "collector\t%.0f\t%s\t\t\t%.0f\t\t\t\t\t\n", p.Before, limit(p.Limit), p.After)
	t.Flush()
	fmt.Fprintf(w, "\n%s\n", p.Words)
	for _, r := range p.Routers {
		if r.Why != budget.Kept {
			fmt.Fprintf(w, "%s: %s\n", r.Name, r.Words)
		}
	}
	fmt.Fprintf(w, "Errors are those of estimates at the planned rates (95 %%), for packets of %d bytes.\n", packet)
	if vendor == "" {
		return
	}
	for _, r := range p.Routers {
		for _, v := range vendorsOf(vendor) {
			if r.NewRate == r.Rate {
				continue
			}
			fmt.Fprintf(w, "\n%s, %s:\n", r.Name, v.Name)
			lines, err := v.Lines(r.NewRate)
			if err != nil {
				fmt.Fprintln(w, err)
				continue
			}
			fmt.Fprintln(w, lines)
			if v.Note != "" {
				fmt.Fprintf(w, "(%s)\n", v.Note)
			}
		}
	}
}

// vendorsOf are those with a part of a name; nil where there are none.
func vendorsOf(name string) (list []*budget.Vendor) {
	for i := range budget.Vendors {
		if v := &budget.Vendors[i]; name == "all" || strings.Contains(strings.ToLower(v.Name), strings.ToLower(name)) {
			list = append(list, v)
		}
	}
	return list
}
