package collect

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/wire/netflow"
	"github.com/minamo-flow/minamo/wire/sflow"
)

// ExporterConfig bounds and configures what is remembered per exporter. The
// zero value of a field means its default.
type ExporterConfig struct {
	Max      int            // exporters remembered at once; default 10,000. The ones silent the longest make room
	Domains  int            // observation domains of one exporter; default 1024
	NetFlow  netflow.Config // limits of each exporter's templates, columns of the operator's own
	SFlow    sflow.Decoder
	Sampling []SamplingRule // rates for exporters that announce none; the first that matches counts

	// KeepClock leaves times as the device said them, however absurd:
	// `minamo decode` shows what is in the datagram.
	KeepClock bool

	FlowLimit float64 // flow records a second beyond which rows are thinned (thin.go); 0: never
}

// Exporters is what is known of every exporter, by address. It is safe for
// concurrent use: several sockets may bring datagrams of one exporter.
type Exporters struct {
	cfg ExporterConfig
	log *slog.Logger

	// An sFlow datagram is decoded before it is known whose it is: the agent's
	// address is inside.
	sflow sync.Pool // of *sflow.Message

	news atomic.Bool // something that save would write has changed

	mu      sync.RWMutex
	byAddr  map[netip.Addr]*exporter
	evicted uint64 // exporters forgotten to make room

	thinner thinner

	unknown struct { // datagrams that no exporter's protocol could be told of
		mu       sync.Mutex
		versions map[uint32]uint64
	}
}

// exporter is one device's state. Its mutex is held for a datagram at a time.
type exporter struct {
	addr netip.Addr

	mu        sync.Mutex
	datagrams *Session              // of all UDP, whatever the ports; nil before the first
	sessions  map[*Session]struct{} // that one, and each connection's
	domains   map[domainKey]*domain
	malformed uint64 // datagrams that could not be used at all
	problems  map[string]uint64
	names     names
	counters  map[uint32]InterfaceCounters // by ifIndex: the last of each
	lastSeen  int64                        // ms

	templateChanges uint64 // templates that were new, differed from what was known, or were withdrawn
	malformedParts  uint64 // what was wrong in datagrams that could be used

	evicted bool // forgotten: nothing new may be kept here
	locals  int  // probes of this process, by which it is not forgotten

	maxDomains int
	arrivals   arrivals
}

// Session is what lives and dies with a transport session (RFC 7011 §8.1):
// templates and sequence numbers. The exporter's mutex guards it.
type Session struct {
	exporters *Exporters
	exporter  *exporter
	netflow   *netflow.Session
	message   netflow.Message // reused
	sequences map[domainKey]*sequence
}

// domainKey tells the observation domains of an exporter apart; protocols
// number them independently.
type domainKey struct {
	protocol uint8 // flow.ExportProtocol
	id       uint32
}

// domain is one observation domain of an exporter.
type domain struct {
	datagrams, flows uint64
	loss             loss // of all sessions
	samplers         samplers
	sources          sources // sFlow
	discards         uint64  // sFlow discard notifications
	counterSamples   uint64  // sFlow
	statistics       statistics
	observed         observation
	clockOffset      int64 // ms, exporter minus collector, of the last datagram; sFlow has no clock
	lastSeen         int64 // ms
}

// NewExporters returns an empty set.
func NewExporters(cfg ExporterConfig, log *slog.Logger) *Exporters {
	if cfg.Max <= 0 {
		cfg.Max = 10_000
	}
	if cfg.Domains <= 0 {
		cfg.Domains = 1024
	}
	e := &Exporters{cfg: cfg, log: log, byAddr: map[netip.Addr]*exporter{}, thinner: thinner{limit: cfg.FlowLimit}}
	e.unknown.versions = map[uint32]uint64{}
	e.sflow.New = func() any { return new(sflow.Message) }
	return e
}

// Decode appends the flows of one datagram to b, complete. source is the
// sender's address, received the time of arrival in milliseconds. The error,
// already counted and logged, says why a datagram was of no use at all or,
// joined, what in it was malformed; flows before the fault are in b.
func (e *Exporters) Decode(datagram []byte, source netip.Addr, received int64, b *flow.Batch) error {
	if len(datagram) < 4 {
		return e.reject(source, versionNone, fmt.Errorf("%d bytes hold no version: %w", len(datagram), ErrVersion))
	}
	switch version := binary.BigEndian.Uint16(datagram); version {
	case flow.NetFlow1, flow.NetFlow5, flow.NetFlow7, flow.NetFlow8, flow.NetFlow9, flow.IPFIX:
		return e.decodeNetFlow(datagram, source, received, b)
	case 0:
		// sFlow has a 32-bit version.
		switch version := binary.BigEndian.Uint32(datagram); version {
		case 2, 4, 5:
			return e.decodeSFlow(datagram, source, received, b)
		default:
			return e.reject(source, version, unknownVersion(version))
		}
	default:
		return e.reject(source, uint32(version), unknownVersion(uint32(version)))
	}
}

func (e *Exporters) decodeNetFlow(datagram []byte, source netip.Addr, received int64, b *flow.Batch) error {
	x := e.exporter(source)
	x.mu.Lock()
	defer x.mu.Unlock()
	return e.session(x).decode(datagram, received, b)
}

// session is the exporter's session of datagrams.
func (e *Exporters) session(x *exporter) *Session {
	if x.datagrams == nil {
		x.datagrams = e.newSession(x)
	}
	return x.datagrams
}

func (e *Exporters) newSession(x *exporter) *Session {
	s := &Session{exporters: e, exporter: x, netflow: netflow.NewSession(e.cfg.NetFlow), sequences: map[domainKey]*sequence{}}
	x.sessions[s] = struct{}{}
	return s
}

// Connect begins a session of its own for a connection from source.
func (e *Exporters) Connect(source netip.Addr) *Session {
	for {
		x := e.exporter(source)
		x.mu.Lock()
		if !x.evicted {
			defer x.mu.Unlock()
			return e.newSession(x)
		}
		x.mu.Unlock()
	}
}

// Close ends the session: its templates are forgotten.
func (s *Session) Close() {
	s.exporter.mu.Lock()
	defer s.exporter.mu.Unlock()
	delete(s.exporter.sessions, s)
}

// Decode is like that of Exporters, for a message of the session's connection.
func (s *Session) Decode(message []byte, received int64, b *flow.Batch) error {
	s.exporter.mu.Lock()
	defer s.exporter.mu.Unlock()
	return s.decode(message, received, b)
}

func (s *Session) decode(datagram []byte, received int64, b *flow.Batch) error {
	e, x, m := s.exporters, s.exporter, &s.message
	err := s.netflow.Decode(datagram, received, b, m)
	x.lastSeen = received
	if err != nil {
		x.malformed++
		e.log.Warn("malformed datagram", "exporter", x.addr, "error", err)
		return &DatagramError{Exporter: x.addr, Err: err}
	}
	d := x.domain(uint8(m.Version), m.Domain)
	d.datagrams++
	d.flows += uint64(m.Flows)
	d.lastSeen = received
	d.clockOffset = m.ExportTime - received
	x.templateChanges += uint64(m.NewTemplates + m.Withdrawals)
	d.observed.datagram(len(datagram), m.Units)
	d.observed.clock(d.clockOffset, received)
	if m.Version != flow.NetFlow1 { // which has no sequence numbers
		s.follow(d, domainKey{uint8(m.Version), m.Domain}, m.Sequence, m.Units, !m.UnitsUnknown)
	}
	if s == x.datagrams && m.NewTemplates+m.Withdrawals+m.Learnt > 0 {
		e.news.Store(true)
	}
	var announced announcement // the first that is new
	rates := 0
	for _, o := range m.Options {
		if a, news, err := d.samplers.learn(o); err != nil {
			x.count("sampling_rejected", 1)
			e.log.Warn("announced sampling rate is not used", "exporter", x.addr, "domain", m.Domain, "error", err)
		} else if news {
			if rates++; rates == 1 {
				announced = a
			}
		}
		e.name(x, o)
		d.statistics.learn(o, received)
	}
	if rates > 0 {
		e.news.Store(true)
		e.log.Info("exporter announces sampling", "exporter", x.addr, "domain", m.Domain, "rate", announced.String(), "new_rates", rates)
	}
	e.finish(b, m.First, m.First+m.Flows, x, d, m.ExportTime)
	return e.problems(x, m.Problems[:], func(i int) (string, bool) {
		k := netflow.Problem(i)
		return k.String(), k.Malformed()
	})
}

// follow takes the sequence number of a datagram or message.
func (s *Session) follow(d *domain, key domainKey, number, units uint32, known bool) {
	q := s.sequences[key]
	if q == nil {
		q = &sequence{}
		s.sequences[key] = q
	}
	before := q.loss
	q.follow(number, units, known, reorderUnits(key.protocol))
	d.loss.add(q.loss, before)
}

func (e *Exporters) decodeSFlow(datagram []byte, source netip.Addr, received int64, b *flow.Batch) error {
	m := e.sflow.Get().(*sflow.Message)
	defer e.sflow.Put(m)
	err := e.cfg.SFlow.Decode(datagram, received, b, m)
	// The agent address names the device; behind a relay the sender does not.
	if agent := m.Agent.Netip(); m.Agent != (flow.Addr{}) && !agent.IsUnspecified() {
		source = agent
	}
	x := e.exporter(source)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.lastSeen = received
	if err != nil {
		x.malformed++
		e.log.Warn("malformed datagram", "exporter", source, "error", err)
		return &DatagramError{Exporter: source, Err: err}
	}
	d := x.domain(m.Protocol, m.SubAgent)
	d.datagrams++
	d.flows += uint64(m.Flows)
	d.lastSeen = received
	d.observed.datagram(len(datagram), 1)
	e.session(x).follow(d, domainKey{m.Protocol, m.SubAgent}, m.Sequence, 1, true)
	d.discards += uint64(len(m.Discards))
	d.counterSamples += uint64(m.CounterSamples)
	if m.CounterSamples > 0 {
		e.counters(x, &m.Counters, received)
	}
	for _, sample := range m.Samples {
		if err := d.sources.follow(sample); err != nil {
			x.count("sampling_mismatch", 1)
			e.log.Warn("sampling rate and sample pool do not agree", "exporter", source, "error", err)
		}
	}
	e.finish(b, m.First, m.First+m.Flows, x, d, 0)
	return e.problems(x, m.Problems[:], func(i int) (string, bool) {
		k := sflow.Problem(i)
		return k.String(), k.Malformed()
	})
}

// finish completes the rows [from, to) of one exporter's domain, which are the
// last of the batch: who exported them, how they were sampled, and when they
// were, as far as can be believed. Then some may be thinned out.
// exported is the time of the datagram's header, 0 where it has none.
func (e *Exporters) finish(b *flow.Batch, from, to int, x *exporter, d *domain, exported int64) {
	addr := flow.AddrFrom(x.addr)
	exporters := b.Addr(flow.Exporter)
	for i := from; i < to; i++ {
		exporters[i] = addr
		b.Present[i].Add(flow.Exporter)
	}
	d.samplers.apply(b, from, to, func(inIf uint32) (uint32, bool) {
		return configuredRate(e.cfg.Sampling, x.addr, inIf)
	})
	if !e.cfg.KeepClock {
		x.count("time_clamped", clampTimes(b, from, to))
	}
	d.observed.flows(b, from, to, exported)
	if e.cfg.FlowLimit > 0 {
		x.thin(b, from)
	}
}

// problems adds a datagram's problem counts to the exporter's and returns
// those that mean the datagram was malformed as one error.
func (e *Exporters) problems(x *exporter, counts []uint32, kind func(int) (name string, malformed bool)) error {
	var wrong []string
	for i, n := range counts {
		if n == 0 {
			continue
		}
		name, malformed := kind(i)
		x.count(name, uint64(n))
		if malformed {
			x.malformedParts += uint64(n)
			wrong = append(wrong, name)
		}
	}
	if wrong == nil {
		return nil
	}
	e.log.Warn("malformed parts in datagram", "exporter", x.addr, "problems", wrong)
	return &DatagramError{Exporter: x.addr, Err: &MalformedError{Problems: wrong}}
}

// exporter returns the state of the exporter at addr, made where it is new.
func (e *Exporters) exporter(addr netip.Addr) *exporter {
	e.mu.RLock()
	x := e.byAddr[addr]
	e.mu.RUnlock()
	if x != nil {
		return x
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if x := e.byAddr[addr]; x != nil {
		return x
	}
	if len(e.byAddr) >= e.cfg.Max {
		e.evict()
	}
	x = e.newExporter(addr, time.Now().UnixMilli())
	e.byAddr[addr] = x
	e.log.Info("new exporter", "exporter", addr)
	return x
}

func (e *Exporters) newExporter(addr netip.Addr, seen int64) *exporter {
	return &exporter{addr: addr, maxDomains: e.cfg.Domains, sessions: map[*Session]struct{}{}, domains: map[domainKey]*domain{}, problems: map[string]uint64{}, lastSeen: seen}
}

// evict forgets the sixteenth of the exporters that was silent the longest: a
// share, so that a flood of forged addresses does not search all for each. An
// exporter with a connection stays, and one in this process: its address is not
// forged, and the number of connections has a bound of its own.
func (e *Exporters) evict() {
	seen := make([]*exporter, 0, len(e.byAddr))
	since := make(map[*exporter]int64, len(e.byAddr))
	for _, x := range e.byAddr {
		x.mu.Lock()
		if !x.stays() {
			since[x] = x.lastSeen
			seen = append(seen, x)
		}
		x.mu.Unlock()
	}
	slices.SortFunc(seen, func(a, b *exporter) int { return cmp.Compare(since[a], since[b]) })
	for _, x := range seen[:min(max(len(seen)/16, 1), len(seen))] {
		x.mu.Lock()
		if x.evicted = !x.stays(); x.evicted {
			delete(e.byAddr, x.addr)
			e.evicted++
		}
		x.mu.Unlock()
	}
	e.log.Warn("too many exporters: the ones silent the longest are forgotten with their templates", "max", e.cfg.Max)
}

// stays tells whether the exporter has a connection open, or is in this process.
func (x *exporter) stays() bool {
	n := len(x.sessions)
	if x.datagrams != nil {
		n--
	}
	return n+x.locals > 0
}

// domain makes room for a new observation domain where there are too many:
// they can be forged.
func (x *exporter) domain(protocol uint8, id uint32) *domain {
	key := domainKey{protocol, id}
	d := x.domains[key]
	if d == nil {
		if len(x.domains) >= x.maxDomains {
			oldest := slices.MinFunc(slices.Collect(maps.Keys(x.domains)), func(a, b domainKey) int {
				return int(min(max(x.domains[a].lastSeen-x.domains[b].lastSeen, -1), 1))
			})
			delete(x.domains, oldest)
			for s := range x.sessions {
				delete(s.sequences, oldest)
			}
			x.count("domains_forgotten", 1)
		}
		d = &domain{}
		x.domains[key] = d
	}
	return d
}

func (x *exporter) count(kind string, n uint64) {
	if n > 0 {
		x.problems[kind] += n
	}
}

// reject counts a datagram whose protocol is not known or not supported.
func (e *Exporters) reject(source netip.Addr, version uint32, reason error) error {
	e.countRejected(version)
	e.log.Warn("datagram not understood", "exporter", source, "error", reason)
	return &DatagramError{Exporter: source, Err: reason}
}

func (e *Exporters) countRejected(version uint32) {
	e.unknown.mu.Lock()
	defer e.unknown.mu.Unlock()
	if len(e.unknown.versions) >= 64 {
		if _, known := e.unknown.versions[version]; !known {
			version = versionOther
		}
	}
	e.unknown.versions[version]++
}
