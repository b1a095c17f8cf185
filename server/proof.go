package server

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"math"
	"net/netip"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/minamo-flow/minamo/enrich/numbers"
	"github.com/minamo-flow/minamo/enrich/rates"
	"github.com/minamo-flow/minamo/query"
	"github.com/minamo-flow/minamo/snmp"
	"github.com/minamo-flow/minamo/verify/counting"
	"github.com/minamo-flow/minamo/verify/proof"
)

// registerProof declares what tells whether flows are right.
func (s *Server) registerProof(api huma.API) {
	get(api, "devices", "/api/devices", "The exporters that are asked by SNMP, and how they answer", s.devices)
	op := operation("proof", "/api/proof", "Flows against what interfaces counted: is it right, and if not, why")
	op.Description = "Each direction of each interface that counts, the wrong ones first. The verdict is of the newest time of the range; the rest of it tells how it was before."
	huma.Register(api, op, s.proof)
	huma.Register(api, operation("proof-interface", "/api/proof/{exporter}/{index}", "The same of one interface, over time"), s.proofInterface)
}

// Watch makes the Watcher that judges interfaces while the server runs.
func (s *Server) Watch(cfg proof.WatcherConfig, log *slog.Logger) *proof.Watcher {
	cfg.Sources = *s.sources(query.Dir(s.DataDir))
	cfg.Sources.Known = func(device netip.Addr, index uint32) (string, bool) { // as it is then
		for _, f := range s.interfacesOf(device) {
			if f.Index == index {
				return f.Name, counting.Boundary(f.Role)
			}
		}
		return "", true
	}
	s.watcher = proof.NewWatcher(cfg, log)
	s.Metrics.MustRegister(s.watcher)
	return s.watcher
}

type devicesOutput struct {
	Body struct {
		Devices []snmp.Device `json:"devices"`
	}
}

func (s *Server) devices(context.Context, *struct{}) (*devicesOutput, error) {
	out := &devicesOutput{}
	out.Body.Devices = []snmp.Device{}
	if s.Poller != nil {
		out.Body.Devices = s.Poller.Devices()
	}
	return out, nil
}

type proofInput struct {
	From string `query:"from" default:"-24h" doc:"Start: RFC 3339, now, or a span before now such as -15m, -4h45m, -7d"`
	To   string `query:"to" default:"now" doc:"End, likewise"`
	ID   string `query:"id" maxLength:"64" pattern:"^[A-Za-z0-9_-]*$" doc:"A name of your own for the question"`
}

type proofOutput struct{ Body Proof }

// Proof is how flows and counters agree.
type Proof struct {
	From       time.Time             `json:"from" doc:"As it was used: whole steps"`
	To         time.Time             `json:"to"`
	Compared   int                   `json:"compared" doc:"Directions of interfaces that could be"`
	Healthy    int                   `json:"healthy"`
	Interfaces []ProofInterface      `json:"interfaces" doc:"Those of which there are counters, the wrong ones first"`
	Changes    []proof.VerdictChange `json:"changes" doc:"Verdicts that became others in the range, the newest first"`
	Meta       *Meta                 `json:"meta"`
}

// ProofInterface is the verdict on one direction of an interface.
type ProofInterface struct {
	Exporter    netip.Addr `json:"exporter"`
	Index       uint32     `json:"index" doc:"ifIndex"`
	Name        string     `json:"name,omitempty"`
	Description string     `json:"description,omitempty"`
	Role        string     `json:"role,omitempty"`
	Speed       uint64     `json:"speed" doc:"bit/s; 0: nobody told"`
	proof.Answer
	Counter  float64         `json:"counter_bps" doc:"What the interface counted, bits of layer 2 a second, in the time that was judged"`
	Flow     float64         `json:"flow_bps" doc:"What flows say of it"`
	Override *rates.Override `json:"override" doc:"The sampling rate that was set by hand here; null: none"`
}

// sources are what a survey compares.
func (s *Server) sources(archive query.Archive) *proof.Sources {
	known := map[netip.Addr]map[uint32]*Interface{}
	list := s.knownInterfaces()
	for i := range list {
		f := &list[i]
		if known[f.Exporter] == nil {
			known[f.Exporter] = map[uint32]*Interface{}
		}
		known[f.Exporter][f.Index] = f
	}
	return &proof.Sources{
		Engine: s.Engine, Archive: archive, Counters: s.Counters, Quality: s.Quality,
		Known: func(device netip.Addr, index uint32) (string, bool) {
			if f := known[device][index]; f != nil {
				return f.Name, counting.Boundary(f.Role)
			}
			return "", true
		},
		Renumbered: func(device netip.Addr) time.Time {
			for _, d := range s.deviceList() {
				if d.Address == device && d.Renumbered != nil {
					return *d.Renumbered
				}
			}
			return time.Time{}
		},
	}
}

func (s *Server) deviceList() []snmp.Device {
	if s.Poller == nil {
		return nil
	}
	return s.Poller.Devices()
}

// proofStep is the length of buckets for a range: what judging wants, unless
// that would be too many.
func proofStep(from, to time.Time) time.Duration {
	for _, step := range []time.Duration{proof.Step, 15 * time.Minute, time.Hour} {
		if to.Sub(from)/step <= 600 {
			return step
		}
	}
	return 6 * time.Hour
}

func (s *Server) proof(ctx context.Context, in *proofInput) (*proofOutput, error) {
	u := understand(Range{From: in.From, To: in.To})
	if err := u.problem(); err != nil {
		return nil, err
	}
	from, to := u.from, u.to
	if from.IsZero() || to.Sub(from) > 31*24*time.Hour {
		from = to.Add(-31 * 24 * time.Hour)
	}
	step := proofStep(from, to)
	from, to = from.Truncate(step), to.Truncate(step)
	exporters, how, err := ask(ctx, s, "proof", []any{from.UnixMilli(), to.UnixMilli(), s.Engine.Named(), s.roughly()}, from, to, func(ctx context.Context, files *archive) (map[netip.Addr]*proof.Exporter, query.Stats, error) {
		return proof.Survey(ctx, s.sources(files), netip.Addr{}, from, to, step)
	})
	if err != nil {
		return nil, err
	}
	out := &proofOutput{Proof{From: from, To: to, Interfaces: []ProofInterface{}, Changes: []proof.VerdictChange{}, Meta: &how}}
	known := map[query.InterfaceID]Interface{}
	for _, f := range s.knownInterfaces() {
		known[query.InterfaceID{Exporter: f.Exporter, Index: f.Index}] = f
	}
	for _, address := range slices.SortedFunc(maps.Keys(exporters), netip.Addr.Compare) {
		findings := proof.Judge(exporters[address])
		for i := range findings {
			f := &findings[i]
			k := known[query.InterfaceID{Exporter: address, Index: f.Index}]
			p := ProofInterface{Exporter: address, Index: f.Index, Name: k.Name, Description: k.Description, Role: k.Role, Speed: k.Speed, Answer: f.Answer(), Counter: f.Counter, Flow: f.Flow}
			p.Override = s.override(address, f.Index, to)
			out.Body.Interfaces = append(out.Body.Interfaces, p)
			switch {
			case f.Verdict == proof.Healthy:
				out.Body.Healthy++
				out.Body.Compared++
			case f.Verdict.Wrong():
				out.Body.Compared++
			}
		}
	}
	slices.SortStableFunc(out.Body.Interfaces, func(a, b ProofInterface) int {
		return cmp.Or(rank(&b)-rank(&a), cmp.Compare(b.Counter, a.Counter))
	})
	if s.watcher != nil {
		out.Body.Changes = s.watcher.Changes(from, to.Add(proof.Step))
		if s.Poller != nil {
			eras := s.Poller.Eras()
			for i := range out.Body.Changes {
				c := &out.Body.Changes[i]
				c.Index = numbers.Of(eras, c.Exporter, c.Index, c.At)
			}
		}
	}
	return out, nil
}

// rank tells what is to be seen first.
func rank(p *ProofInterface) int {
	switch {
	case p.Wrong:
		return 3
	case p.Verdict == proof.Healthy:
		return 2
	case p.Verdict == proof.NotMetered:
		return 1
	}
	return 0
}

// roughly is a number that changes with the minute: counters come without flows,
// too, and an answer that is kept lacks them.
func (s *Server) roughly() int64 { return time.Now().Unix() / 60 }

type proofInterfaceOutput struct{ Body ProofSeries }

// ProofSeries is an interface over time.
type ProofSeries struct {
	Exporter    netip.Addr       `json:"exporter"`
	Index       uint32           `json:"index"`
	Name        string           `json:"name,omitempty"`
	Description string           `json:"description,omitempty"`
	Role        string           `json:"role,omitempty"`
	Speed       uint64           `json:"speed" doc:"bit/s; 0: nobody told"`
	Step        int              `json:"step_seconds"`
	Times       []int64          `json:"times" doc:"Beginnings of the points, in milliseconds since 1970"`
	Directions  []ProofDirection `json:"directions" doc:"in, then out; empty where there are no counters"`
	Meta        *Meta            `json:"meta"`
}

// ProofDirection are the two lines, in bits of layer 2 a second.
type ProofDirection struct {
	proof.Answer
	Counter []*float64 `json:"counter_bps" doc:"What the interface counted; null where that is not known"`
	Flow    []float64  `json:"flow_bps" doc:"What flows say"`
	Low     []float64  `json:"low_bps" doc:"The least that it may be, for sampling (95 %)"`
	High    []float64  `json:"high_bps" doc:"The most"`
	Average *float64   `json:"counter_average_bps" doc:"Of all points with counters"`
}

func (s *Server) proofInterface(ctx context.Context, in *struct {
	Exporter string `path:"exporter" doc:"Its address"`
	Index    uint32 `path:"index" doc:"ifIndex"`
	From     string `query:"from" default:"-24h" doc:"Start: RFC 3339, now, or a span before now such as -15m, -4h45m, -7d"`
	To       string `query:"to" default:"now" doc:"End, likewise"`
	ID       string `query:"id" maxLength:"64" pattern:"^[A-Za-z0-9_-]*$" doc:"A name of your own for the question"`
}) (*proofInterfaceOutput, error) {
	address, err := netip.ParseAddr(in.Exporter)
	if err != nil {
		return nil, huma.Error404NotFound("no exporter " + in.Exporter + " is known; /api/exporters lists them")
	}
	u := understand(Range{From: in.From, To: in.To})
	if err := u.problem(); err != nil {
		return nil, err
	}
	from, to := u.from, u.to
	if from.IsZero() || to.Sub(from) > 366*24*time.Hour {
		from = to.Add(-31 * 24 * time.Hour)
	}
	step := proofStep(from, to)
	from, to = from.Truncate(step), to.Truncate(step)
	exporters, how, err := ask(ctx, s, "proof-interface", []any{address, from.UnixMilli(), to.UnixMilli(), s.Engine.Named(), s.roughly()}, from, to, func(ctx context.Context, files *archive) (map[netip.Addr]*proof.Exporter, query.Stats, error) {
		return proof.Survey(ctx, s.sources(files), address, from, to, step)
	})
	if err != nil {
		return nil, err
	}
	out := &proofInterfaceOutput{ProofSeries{Exporter: address, Index: in.Index, Step: int(step.Seconds()), Times: []int64{}, Directions: []ProofDirection{}, Meta: &how}}
	for _, f := range s.knownInterfaces() {
		if f.Exporter == address && f.Index == in.Index {
			out.Body.Name, out.Body.Description, out.Body.Role, out.Body.Speed = f.Name, f.Description, f.Role, f.Speed
		}
	}
	for t := from; t.Before(to); t = t.Add(step) {
		out.Body.Times = append(out.Body.Times, t.UnixMilli())
	}
	x := exporters[address]
	if x == nil {
		return out, nil
	}
	findings := proof.Judge(x)
	for i := range x.Interfaces {
		if f := &x.Interfaces[i]; f.Index == in.Index {
			out.Body.Directions = append(out.Body.Directions, lines(f, &findings[i], step))
		}
	}
	return out, nil
}

func lines(f *proof.Interface, found *proof.Finding, step time.Duration) ProofDirection {
	d := ProofDirection{Answer: found.Answer()}
	var total, counted float64
	known := 0
	for _, v := range f.Flow {
		total += v
	}
	for i, octets := range f.Flow {
		bps := octets * 8 / step.Seconds()
		wide := 0.0
		if f.Error > 0 && octets > 0 {
			wide = min(1, f.Error*math.Sqrt(total/octets))
		}
		d.Flow, d.Low, d.High = append(d.Flow, bps), append(d.Low, bps*(1-wide)), append(d.High, bps*(1+wide))
		if c := f.Counter[i]; math.IsNaN(c) {
			d.Counter = append(d.Counter, nil)
		} else {
			c = c * 8 / step.Seconds()
			counted += c
			known++
			d.Counter = append(d.Counter, &c)
		}
	}
	if known > 0 {
		average := counted / float64(known)
		d.Average = &average
	}
	return d
}
