package probe

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/wire/netflow"
	"github.com/minamo-flow/minamo/wire/sflow"
)

// Protocols that an Exporter speaks.
const (
	NetFlow5 = "netflow5"
	NetFlow9 = "netflow9"
	IPFIX    = "ipfix"
	SFlow5   = "sflow5"
)

// Protocols are all of them.
var Protocols = []string{NetFlow5, NetFlow9, IPFIX, SFlow5}

// Announce is how an Exporter tells its sampling rate.
type Announce uint8

const (
	AnnounceUsual Announce = iota // in the header of v5, in the samples of sFlow, by options of the others
	AnnounceNone                  // not at all, as some devices do
)

// ExporterConfig tells as what device to speak, and to whom.
type ExporterConfig struct {
	Protocol   string        // one of Protocols
	Collectors []string      // udp://HOST:PORT, and for IPFIX tcp://HOST:PORT
	Source     netip.Addr    // the address to send from; zero leaves it to the system
	Agent      netip.Addr    // of sFlow: the agent's own address; default Source
	Domain     uint32        // observation domain; source id; engine type × 256 + engine id; sub-agent
	Boot       time.Time     // when sysUptime was zero
	Sampling   SamplerConfig // what is told of it; see Announce
	Announce   Announce
	Resend     time.Duration // of templates and options, over UDP; default 60 s
	Interfaces []Interface   // whose names are told, by options data
	Patience   time.Duration // of writing to a connection; default 1 s. What takes longer is lost, and the connection is made anew.
	// Dial makes the connections; default is net.Dialer's, from Source.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Interface is a port of the device.
type Interface struct {
	Index       uint32 // ifIndex
	Name        string // ifName
	Description string // ifAlias
}

// ExporterStats counts what went out, all collectors together.
type ExporterStats struct {
	Flows, Samples uint64 // taken; each goes to every collector
	Datagrams      uint64 // sent, and messages on connections
	Bytes          uint64
	Skipped        uint64 // flows that the protocol cannot say: IPv6 in NetFlow v5
	Lost           uint64 // datagrams that could not be sent
	Connections    uint64 // made
}

// Exporter is an exporting process: it sends flows, or sFlow's samples, to
// collectors. All times are given, none is read from a clock, so that it can
// tell of a time that is simulated, or of a file's.
//
// A collector that cannot be reached costs what is sent to it meanwhile, which
// is counted; connections are tried again, the longer the later. Templates and
// options are repeated over UDP, and told once on each connection.
//
// An Exporter is not safe for concurrent use.
type Exporter struct {
	cfg        ExporterConfig
	collectors []*collector
	parts      [classes]*flow.Batch // the rows of a batch that has several classes
	stats      ExporterStats
	samples    map[sflow.Source]uint32 // so far
}

// NewExporter fails where the configuration makes no sense or a UDP collector's
// name is not found.
func NewExporter(cfg ExporterConfig, log *slog.Logger) (*Exporter, error) {
	if !slices.Contains(Protocols, cfg.Protocol) {
		return nil, fmt.Errorf("protocol %q: expected one of %v", cfg.Protocol, Protocols)
	}
	if len(cfg.Collectors) == 0 {
		return nil, errors.New("no collector to export to")
	}
	if cfg.Protocol == NetFlow5 && cfg.Sampling.Rate > 1<<14-1 && cfg.Announce != AnnounceNone {
		return nil, fmt.Errorf("a sampling rate of %d does not fit the header of NetFlow v5, which has room for 16383", cfg.Sampling.Rate)
	}
	if cfg.Resend <= 0 {
		cfg.Resend = time.Minute
	}
	if cfg.Patience <= 0 {
		cfg.Patience = time.Second
	}
	if cfg.Dial == nil {
		cfg.Dial = DialFrom(cfg.Source)
	}
	if !cfg.Agent.IsValid() {
		cfg.Agent = cfg.Source
	}
	x := &Exporter{cfg: cfg, samples: map[sflow.Source]uint32{}}
	for _, text := range cfg.Collectors {
		c, err := newCollector(text, x, log)
		if err != nil {
			return nil, errors.Join(err, x.Close())
		}
		x.collectors = append(x.collectors, c)
	}
	return x, nil
}

// Flows sends the rows [from, to) of b, which have ended by now. It fails only
// where the rows cannot be said at all; what is lost on the way is counted.
func (x *Exporter) Flows(b *flow.Batch, from, to int, now time.Time) error {
	if from >= to {
		return nil
	}
	x.stats.Flows += uint64(to - from)
	if x.cfg.Protocol == NetFlow5 {
		return x.each(func(c *collector) error { return c.flows(nil, b, from, to, now) })
	}
	templates := &v9Flows
	if x.cfg.Protocol == IPFIX {
		templates = &ipfixFlows
	}
	// A template is of one class of rows. They are parted first: a datagram for
	// every turn would be a datagram for every flow.
	if uniform(b, from, to) {
		t := templates[class(b, from)]
		return x.each(func(c *collector) error { return c.flows(t, b, from, to, now) })
	}
	for i := from; i < to; {
		k, begin := class(b, i), i
		for i++; i < to && class(b, i) == k; i++ {
		}
		if x.parts[k] == nil {
			x.parts[k] = flow.NewBatch(0)
		}
		x.parts[k].Append(b, begin, i)
	}
	for k, part := range x.parts {
		if part == nil || part.Len() == 0 {
			continue
		}
		err := x.each(func(c *collector) error { return c.flows(templates[k], part, 0, part.Len(), now) })
		part.Reset()
		if err != nil {
			return err
		}
	}
	return nil
}

// Classes of rows: what decides which template describes them. An interface
// that is not known is left out, for 0 would be a claim: of an output
// interface, that the packets were dropped.
const (
	sixth   = 1 << iota // IPv6; IPv4 is also where there is no address
	entered             // the input interface is known
	left                // the output interface is known
	classes
)

func class(b *flow.Batch, i int) (k int) {
	if a := &b.Addr(flow.SrcAddr)[i]; !a.Is4() && *a != (flow.Addr{}) {
		k |= sixth
	}
	if b.Present[i].Has(flow.InIf) {
		k |= entered
	}
	if b.Present[i].Has(flow.OutIf) {
		k |= left
	}
	return k
}

// uniform tells whether the rows [from, to) are of one class.
func uniform(b *flow.Batch, from, to int) bool {
	for i := from + 1; i < to; i++ {
		if class(b, i) != class(b, from) {
			return false
		}
	}
	return true
}

// Sample sends a packet that was sampled, by sFlow. Its rate and, unless the
// caller knows better, its sequence number and its pool are filled in.
func (x *Exporter) Sample(s *sflow.FlowSample, now time.Time) error {
	x.stats.Samples++
	x.samples[s.Source]++
	s.Rate = max(x.cfg.Sampling.Rate, 1)
	sequence, pool := s.Sequence, s.Pool
	if sequence == 0 {
		s.Sequence = x.samples[s.Source]
	}
	if pool == 0 {
		s.Pool = s.Rate * s.Sequence
	}
	defer func() { s.Sequence, s.Pool = sequence, pool }()
	return x.each(func(c *collector) error { return c.sample(s, now) })
}

// Counters sends the counters of an interface, by sFlow.
func (x *Exporter) Counters(i *sflow.InterfaceCounters, name string, now time.Time) error {
	return x.each(func(c *collector) error { return c.counters(i, name, now) })
}

// Tick is to be called about every second: it sends what waits for company in
// a datagram, and repeats what is due.
func (x *Exporter) Tick(now time.Time) error {
	return x.each(func(c *collector) error { return c.tick(now) })
}

func (x *Exporter) each(do func(*collector) error) error {
	for _, c := range x.collectors {
		if err := do(c); err != nil {
			return fmt.Errorf("export to %s: %w", c.name, err)
		}
	}
	return nil
}

// Stats tells what was sent so far.
func (x *Exporter) Stats() ExporterStats {
	s := x.stats
	for _, c := range x.collectors {
		s.Datagrams += c.datagrams
		s.Bytes += c.bytes
		s.Lost += c.lost
		s.Connections += c.connections
	}
	if len(x.collectors) > 0 {
		s.Skipped = uint64(x.collectors[0].netflow.Skipped)
	}
	return s
}

// Close sends what waits and closes the connections.
func (x *Exporter) Close() error {
	var errs []error
	for _, c := range x.collectors {
		errs = append(errs, c.close())
	}
	return errors.Join(errs...)
}

// DialFrom connects from an address of this machine; the zero one leaves it to
// the system.
func DialFrom(source netip.Addr) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		var d net.Dialer
		if source.IsValid() {
			d.LocalAddr = &net.UDPAddr{IP: source.AsSlice()}
			if network == "tcp" {
				d.LocalAddr = &net.TCPAddr{IP: source.AsSlice()}
			}
		}
		return d.DialContext(ctx, network, address)
	}
}

// Templates of flows, by class: what routers usually send, and what a probe
// knows besides.
var (
	v9Flows    = templatesOf(netflow.V9IPv4Template, netflow.V9IPv6Template)
	ipfixFlows = templatesOf(netflow.IPFIXIPv4Template, netflow.IPFIXIPv6Template)
)

func templatesOf(four, six netflow.Template) (list [classes]*netflow.Template) {
	for k := range list {
		t := four
		if k&sixth != 0 {
			t = six
		}
		t.ID = uint16(256 + k)
		t.Fields = slices.DeleteFunc(slices.Clone(t.Fields), func(f netflow.TemplateField) bool {
			return f.Element == 10 && k&entered == 0 || f.Element == 14 && k&left == 0
		})
		t.Fields = append(t.Fields,
			netflow.TemplateField{Element: 52, Length: 1},                                                // minimumTTL
			netflow.TemplateField{Element: 25, Length: 2}, netflow.TemplateField{Element: 26, Length: 2}, // minimumIpTotalLength, maximumIpTotalLength
			netflow.TemplateField{Element: 136, Length: 1}, // flowEndReason
		)
		list[k] = &t
	}
	return list
}

// Options: the sampling of the whole domain, and the names of interfaces. The
// elements 34 and 35 are those that all collectors read, old ones too.
var (
	v9Sampling      = &netflow.Template{Version: flow.NetFlow9, ID: 260, Options: true, Scopes: 1, Fields: []netflow.TemplateField{{Enterprise: netflow.ScopeV9, Element: 1, Length: 4}, {Element: 34, Length: 4}, {Element: 35, Length: 1}}}
	ipfixSampling   = &netflow.Template{Version: flow.IPFIX, ID: 260, Options: true, Scopes: 1, Fields: []netflow.TemplateField{{Element: 149, Length: 4}, {Element: 34, Length: 4}, {Element: 35, Length: 1}}}
	v9Interfaces    = &netflow.Template{Version: flow.NetFlow9, ID: 261, Options: true, Scopes: 1, Fields: []netflow.TemplateField{{Enterprise: netflow.ScopeV9, Element: 2, Length: 4}, {Element: 82, Length: 32}, {Element: 83, Length: 64}}}
	ipfixInterfaces = &netflow.Template{Version: flow.IPFIX, ID: 261, Options: true, Scopes: 1, Fields: []netflow.TemplateField{{Element: 10, Length: 4}, {Element: 82, Length: 65535}, {Element: 83, Length: 65535}}}
)

// options are the records that tell of the device itself.
func (x *Exporter) options() (list []announcement) {
	sampling, interfaces := v9Sampling, v9Interfaces
	if x.cfg.Protocol == IPFIX {
		sampling, interfaces = ipfixSampling, ipfixInterfaces
	}
	if x.cfg.Announce != AnnounceNone {
		algorithm := byte(1) // deterministic
		if x.cfg.Sampling.Method == RandomInN || x.cfg.Sampling.Method == Probabilistic {
			algorithm = 2
		}
		list = append(list, announcement{sampling, []netflow.OptionRecord{{Fields: []netflow.OptionField{
			{Value: binary.BigEndian.AppendUint32(nil, x.cfg.Domain)},
			{Value: binary.BigEndian.AppendUint32(nil, max(x.cfg.Sampling.Rate, 1))},
			{Value: []byte{algorithm}},
		}}}})
	}
	if len(x.cfg.Interfaces) > 0 {
		a := announcement{template: interfaces}
		for _, i := range x.cfg.Interfaces {
			a.records = append(a.records, netflow.OptionRecord{Fields: []netflow.OptionField{
				{Value: binary.BigEndian.AppendUint32(nil, i.Index)},
				{Value: textField(i.Name, interfaces.Fields[1])},
				{Value: textField(i.Description, interfaces.Fields[2])},
			}})
		}
		list = append(list, a)
	}
	return list
}

// announcement is options data that is repeated.
type announcement struct {
	template *netflow.Template
	records  []netflow.OptionRecord
}

// textField is a text as long as its field, zeros behind it.
func textField(text string, f netflow.TemplateField) []byte {
	if f.Length == 65535 {
		return []byte(text[:min(len(text), 255)])
	}
	value := make([]byte, f.Length)
	copy(value, text)
	return value
}
