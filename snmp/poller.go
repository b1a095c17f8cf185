package snmp

import (
	"context"
	"hash/fnv"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/minamo-flow/minamo/counters"
	"github.com/minamo-flow/minamo/enrich/numbers"
)

// Config of a Poller. The zero value of a field means its default.
type Config struct {
	Access      []Access            // the first that fits an exporter counts; nobody else is asked
	Interval    time.Duration       // from one reading of counters to the next; default a minute
	Timeout     time.Duration       // of a request; default 2 s
	Retries     int                 // of a request, beside the first try
	Concurrency int                 // devices that are asked at once; default 16
	StateFile   string              // for what interfaces are called; "": nowhere
	Clock       func() time.Time    // the collector's; default time.Now
	Look        time.Duration       // how often the clock is looked at; default 100 ms. A clock that runs faster wants less
	Exporters   func() []netip.Addr // who exports
	Counters    *counters.History
}

// Names are asked for less often than counters: each tenth time, and when
// something tells that they have changed.
const (
	namesEvery = 10
	patience   = 8 // a device that does not answer is asked up to so many times less often
)

// Poller asks devices. New makes one, Run runs it; the other methods may be
// called by anybody.
type Poller struct {
	cfg Config
	log *slog.Logger

	mu      sync.Mutex
	devices map[netip.Addr]*polled
	unasked []savedDevice // known from before, and nobody may ask them now
	busy    int
	wake    chan struct{}

	changed                 atomic.Bool // the inventory, since it was saved
	polls, failed, requests atomic.Uint64
}

// polled is a device and when it is asked.
type polled struct {
	Device
	access  *Access
	next    time.Time
	busy    bool
	list    []Interface
	changes []numbers.Change // of its interfaces' numbers
	absent  []Interface      // that it had once: see moved
	session *session         // of who asks
	turns   int              // since names were asked for
	missed  int              // times in a row that it did not answer
}

// New returns an inert Poller, which knows what was known when the last one
// ended.
func New(cfg Config, log *slog.Logger) *Poller {
	if cfg.Interval <= 0 {
		cfg.Interval = time.Minute
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = 2 * time.Second
	}
	if cfg.Concurrency <= 0 {
		cfg.Concurrency = 16
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Look <= 0 {
		cfg.Look = 100 * time.Millisecond
	}
	p := &Poller{cfg: cfg, log: log, devices: map[netip.Addr]*polled{}, wake: make(chan struct{}, 1)}
	if cfg.StateFile != "" {
		known, err := load(cfg.StateFile)
		if err != nil {
			log.Warn("what interfaces were called is not known any more", "error", err)
		}
		for _, d := range known {
			if a := p.access(d.Address); a != nil {
				d.Reachable, d.Version = false, a.version()
				p.devices[d.Address] = &polled{Device: d.Device, access: a, list: d.List, changes: d.Changes, absent: d.Absent, turns: namesEvery}
			} else {
				p.unasked = append(p.unasked, d)
			}
		}
	}
	return p
}

func (p *Poller) access(device netip.Addr) *Access {
	for i := range p.cfg.Access {
		if p.cfg.Access[i].Exporters.Contains(device) {
			return &p.cfg.Access[i]
		}
	}
	return nil
}

// Run asks until ctx ends.
func (p *Poller) Run(ctx context.Context) error {
	if len(p.cfg.Access) == 0 {
		return nil
	}
	tick := time.NewTicker(p.cfg.Look)
	defer tick.Stop()
	var asking sync.WaitGroup
	defer asking.Wait()
	saved := time.Now()
	for {
		p.look(ctx, &asking)
		if p.cfg.StateFile != "" && p.changed.Load() && time.Since(saved) > 2*time.Second {
			p.keep()
			saved = time.Now()
		}
		select {
		case <-ctx.Done():
			asking.Wait()
			if p.cfg.StateFile != "" && p.changed.Load() {
				p.keep()
			}
			return nil
		case <-tick.C:
		case <-p.wake:
		}
	}
}

func (p *Poller) keep() {
	p.changed.Store(false)
	if err := p.save(); err != nil {
		p.log.Warn("what interfaces are called is not kept", "error", err)
	}
}

// look begins to ask who is due.
func (p *Poller) look(ctx context.Context, asking *sync.WaitGroup) {
	now := p.cfg.Clock()
	exporters := p.cfg.Exporters()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, x := range exporters {
		if p.devices[x] == nil {
			if a := p.access(x); a != nil {
				p.devices[x] = &polled{Device: Device{Address: x, Version: a.version()}, access: a, turns: namesEvery}
			}
		}
	}
	var due []*polled
	for _, d := range p.devices {
		if !d.busy && !d.next.After(now) {
			due = append(due, d)
		}
	}
	slices.SortFunc(due, func(a, b *polled) int { return a.next.Compare(b.next) }) // who waits longest comes first
	for _, d := range due {
		if p.busy >= p.cfg.Concurrency || ctx.Err() != nil {
			return
		}
		d.busy = true
		p.busy++
		asking.Go(func() { p.ask(ctx, d) })
	}
}

// Settled tells whether nobody is due or being asked at a time: who moves the
// clock waits for it.
func (p *Poller) Settled(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, d := range p.devices {
		if d.busy || !d.next.After(now) {
			return false
		}
	}
	return true
}

// ask asks one device, and plans when it is asked again. d.busy is ours; the
// rest of d belongs to p.mu.
func (p *Poller) ask(ctx context.Context, d *polled) {
	begin, at := time.Now(), p.cfg.Clock()
	p.mu.Lock()
	device, was, names := d.Device, d.list, d.turns >= namesEvery
	p.mu.Unlock()
	list, named, err := p.poll(ctx, d, &device, was, names)

	p.polls.Add(1)
	p.mu.Lock()
	defer func() {
		d.busy = false
		p.busy--
		p.mu.Unlock()
		select {
		case p.wake <- struct{}{}:
		default:
		}
	}()
	device.LastPolled, device.Took = at.UTC(), float64(time.Since(begin).Microseconds())/1000
	if d.session != nil {
		device.Requests = d.session.requests
		p.requests.Add(uint64(d.session.requests))
		d.session.requests = 0
	}
	device.Reachable, device.Error = err == nil, ""
	d.turns++
	if err != nil {
		p.failed.Add(1)
		if d.session != nil {
			d.session.Conn.Close()
			d.session = nil
		}
		device.Uptime = d.Uptime // a restart is seen by who gets all answers
		device.Error = explain(err, d.access, p.cfg.Timeout, p.cfg.Retries).Error()
		if ctx.Err() == nil && (d.Reachable || d.missed == 0) {
			p.log.Warn("a device does not answer SNMP", "device", device.Address, "error", device.Error)
		}
		d.missed++
		d.turns = namesEvery
	} else {
		if d.missed > 0 {
			p.log.Info("a device answers SNMP again", "device", device.Address, "name", device.Name)
		}
		d.missed = 0
		if named {
			d.turns = 1
		}
		if named && list != nil {
			change, absent, is := moved(slices.Concat(d.list, d.absent), list)
			d.absent = absent
			if is {
				change.At = device.LastPolled
				if up := time.Duration(device.Uptime * float64(time.Second)); device.Uptime < d.Uptime && up < at.Sub(d.LastAnswer) {
					change.At = change.At.Add(-up) // it restarted then
				}
				device.Renumbered = &change.At
				d.changes = append(d.changes, change)
				d.changes = slices.Clone(d.changes[max(0, len(d.changes)-numbers.Most):])
				p.log.Warn("interfaces have other numbers now", "device", device.Address, "name", device.Name, "since", change.At, "moved", len(change.Now))
			}
		}
		device.LastAnswer = device.LastPolled
	}
	if list != nil {
		if !slices.Equal(d.list, list) {
			p.changed.Store(true)
		}
		d.list, device.Interfaces = list, len(list)
	}
	d.Device = device
	d.next = p.after(device.Address, p.cfg.Clock(), d.missed)
}

// after is when a device is asked next: at a moment of the interval that is its
// own, so that devices are not all asked at once.
func (p *Poller) after(device netip.Addr, now time.Time, missed int) time.Time {
	h := fnv.New64a()
	h.Write(device.AsSlice())
	phase := time.Duration(h.Sum64() % uint64(p.cfg.Interval))
	next := now.Truncate(p.cfg.Interval).Add(phase)
	for !next.After(now) {
		next = next.Add(p.cfg.Interval)
	}
	if missed > 1 {
		next = next.Add(time.Duration(min(1<<min(missed-1, 10), patience)-1) * p.cfg.Interval)
	}
	return next
}

// poll asks a device for its counters, and for its names where it is time or
// the counters tell that there are others. list is what interfaces there are, nil
// where nothing of that has changed; named tells that names were asked for.
func (p *Poller) poll(ctx context.Context, d *polled, device *Device, was []Interface, names bool) (list []Interface, named bool, err error) {
	if d.session == nil {
		g, err := d.access.connect(device.Address, p.cfg.Timeout, p.cfg.Retries)
		if err != nil {
			return nil, false, err
		}
		d.session = &session{GoSNMP: g, clock: p.cfg.Clock, repetitions: d.access.Repetitions}
		if d.session.repetitions == 0 {
			d.session.repetitions = 8
		}
	}
	s := d.session
	s.Context = ctx
	uptime := device.Uptime
	if err := s.system(device); err != nil {
		return nil, false, err
	}
	speeds := map[uint32]uint64{}
	ask := func() error {
		if list, err = s.interfaces(); err != nil {
			return err
		}
		named = true
		clear(speeds)
		for _, i := range list {
			speeds[i.Index] = i.Speed
		}
		return nil
	}
	for _, i := range was {
		speeds[i.Index] = i.Speed
	}
	if names || device.Uptime < uptime { // it restarted
		if err := ask(); err != nil {
			return nil, false, err
		}
	}
	reading, up, err := s.counters(device.Address, speeds)
	if err != nil {
		return nil, false, err
	}
	if !named && slices.ContainsFunc(reading.Interfaces, func(i counters.Interface) bool { _, there := speeds[i.Index]; return !there }) {
		if err := ask(); err != nil {
			return nil, false, err
		}
	}
	p.cfg.Counters.Add(reading)
	if !named {
		list = slices.Clone(was)
	}
	for i := range list {
		list[i].Up = up[list[i].Index]
	}
	if slices.Equal(list, was) {
		return nil, named, nil
	}
	return list, named, nil
}

// Devices are those that are asked, by address.
func (p *Poller) Devices() []Device {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := []Device{}
	for _, d := range p.devices {
		list = append(list, d.Device)
	}
	slices.SortFunc(list, func(a, b Device) int { return a.Address.Compare(b.Address) })
	return list
}

// Interfaces are those of a device, by ifIndex; it may not be changed.
func (p *Poller) Interfaces(device netip.Addr) []Interface {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d := p.devices[device]; d != nil {
		return d.list
	}
	return nil
}

// Eras are the times in which interfaces of devices had other numbers than they
// have today.
func (p *Poller) Eras() (eras []numbers.Era) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for address, d := range p.devices {
		eras = append(eras, numbers.Eras(address, d.changes)...)
	}
	for _, d := range p.unasked {
		eras = append(eras, numbers.Eras(d.Address, d.Changes)...)
	}
	slices.SortStableFunc(eras, func(a, b numbers.Era) int { return a.Device.Compare(b.Device) })
	return eras
}

var (
	pollsDesc    = prometheus.NewDesc("minamo_snmp_polls_total", "Times that a device was asked.", nil, nil)
	failedDesc   = prometheus.NewDesc("minamo_snmp_failures_total", "Times that it did not answer rightly.", nil, nil)
	requestsDesc = prometheus.NewDesc("minamo_snmp_requests_total", "SNMP requests.", nil, nil)
	devicesDesc  = prometheus.NewDesc("minamo_snmp_devices", "Devices that are asked, and whether they answer.", []string{"reachable"}, nil)
)

// Describe implements prometheus.Collector.
func (p *Poller) Describe(descs chan<- *prometheus.Desc) { prometheus.DescribeByCollect(p, descs) }

// Collect implements prometheus.Collector.
func (p *Poller) Collect(metrics chan<- prometheus.Metric) {
	count := func(d *prometheus.Desc, v *atomic.Uint64) {
		metrics <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v.Load()))
	}
	count(pollsDesc, &p.polls)
	count(failedDesc, &p.failed)
	count(requestsDesc, &p.requests)
	reachable := map[bool]int{}
	for _, d := range p.Devices() {
		reachable[d.Reachable]++
	}
	metrics <- prometheus.MustNewConstMetric(devicesDesc, prometheus.GaugeValue, float64(reachable[true]), "yes")
	metrics <- prometheus.MustNewConstMetric(devicesDesc, prometheus.GaugeValue, float64(reachable[false]), "no")
}
