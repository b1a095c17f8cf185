package probe

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"time"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/wire/netflow"
	"github.com/minamo-flow/minamo/wire/sflow"
)

// collector is one to whom an Exporter exports: a transport session with
// sequence numbers and templates of its own (RFC 7011 §3.1, §8).
type collector struct {
	x       *Exporter
	log     *slog.Logger
	network string // udp or tcp
	address string
	conn    net.Conn
	netflow netflow.Encoder
	sflow   sflow.Encoder
	waiting bool      // sFlow samples wait for company
	told    time.Time // when options were told; zero: not on this session yet
	boot    time.Time
	clock   time.Time     // of the samples that wait
	tried   time.Time     // when a connection was tried last, by the clock of this machine
	pause   time.Duration // before the next try
	logged  time.Time     // when a failure was logged last

	stats CollectorStats
}

// Pauses between tries to connect.
const (
	firstPause = time.Second
	mostPause  = time.Minute
)

func newCollector(text string, x *Exporter, log *slog.Logger) (*collector, error) {
	u, err := url.Parse(text)
	if err != nil || u.Port() == "" || u.Hostname() == "" || u.Scheme != "udp" && u.Scheme != "tcp" || u.Path != "" {
		return nil, fmt.Errorf("collector %q: expected udp://HOST:PORT or tcp://HOST:PORT", text)
	}
	if u.Scheme == "tcp" && x.cfg.Protocol != IPFIX {
		return nil, fmt.Errorf("collector %q: only IPFIX goes by TCP, %s by udp://", text, x.cfg.Protocol)
	}
	c := &collector{x: x, log: log.With("collector", text), stats: CollectorStats{Collector: text}, network: u.Scheme, address: u.Host, boot: x.cfg.Boot, pause: firstPause}
	c.begin()
	if c.network == "udp" {
		if c.conn, err = x.cfg.Dial(context.Background(), c.network, c.address); err != nil {
			return nil, fmt.Errorf("collector %q: %w", text, err)
		}
		return c, nil
	}
	c.connect() // when it fails, later
	return c, nil
}

// begin begins a transport session: nothing has been said yet.
func (c *collector) begin() {
	cfg := &c.x.cfg
	c.told = time.Time{}
	skipped := c.netflow.Skipped
	c.netflow = netflow.Encoder{Domain: cfg.Domain, Boot: cfg.Boot.UnixMilli(), Skipped: skipped}
	switch cfg.Protocol {
	case NetFlow5:
		c.netflow.Version = flow.NetFlow5
		if rate := cfg.Sampling.Rate; rate > 1 && cfg.Announce != AnnounceNone {
			c.netflow.Sampling = 1<<14 | uint16(rate)
			if cfg.Sampling.Method == RandomInN || cfg.Sampling.Method == Probabilistic {
				c.netflow.Sampling = 2<<14 | uint16(rate)
			}
		}
	case NetFlow9:
		c.netflow.Version = flow.NetFlow9
	case IPFIX:
		c.netflow.Version = flow.IPFIX
	case SFlow5:
		c.sflow = sflow.Encoder{Agent: flow.AddrFrom(cfg.Agent), SubAgent: cfg.Domain}
		if !cfg.Agent.IsValid() {
			c.sflow.Agent = flow.AddrFrom4([4]byte{})
		}
	}
	if c.network == "udp" {
		c.netflow.Resend = cfg.Resend.Milliseconds()
	}
}

// connect makes a connection, if it is time to try.
func (c *collector) connect() bool {
	if time.Since(c.tried) < c.pause && !c.tried.IsZero() {
		return false
	}
	c.tried = time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), c.x.cfg.Patience)
	defer cancel()
	conn, err := c.x.cfg.Dial(ctx, c.network, c.address)
	if err != nil {
		c.failed(err)
		c.pause = min(2*c.pause, mostPause)
		return false
	}
	c.conn, c.pause = conn, firstPause
	c.stats.Connections++
	c.begin()
	return true
}

// failed says that the collector cannot be reached, once a minute.
func (c *collector) failed(err error) {
	if c.logged.IsZero() || time.Since(c.logged) > time.Minute {
		c.logged = time.Now()
		c.log.Warn("cannot export: what is lost is counted", "error", err)
	}
}

func (c *collector) flows(t *netflow.Template, b *flow.Batch, from, to int, now time.Time) error {
	if err := c.tell(now); err != nil {
		return err
	}
	return c.netflow.Flows(t, b, from, to, now.UnixMilli(), c.send)
}

func (c *collector) sample(s *sflow.FlowSample, now time.Time) error {
	return c.append(now, func() error { return c.sflow.AppendFlow(s) })
}

func (c *collector) counters(i *sflow.InterfaceCounters, name string, now time.Time) error {
	return c.append(now, func() error { return c.sflow.AppendCounters(i, name) })
}

// append puts a sample into the datagram, after that has been sent if it is full.
func (c *collector) append(now time.Time, put func() error) error {
	c.clock = now
	err := put()
	if err == sflow.ErrFull {
		if err = c.flush(now); err == nil {
			err = put()
		}
	}
	c.waiting = c.waiting || err == nil
	return err
}

// flush sends the datagram of sFlow that waits.
func (c *collector) flush(now time.Time) error {
	if !c.waiting {
		return nil
	}
	c.waiting = false
	return c.send(c.sflow.Datagram(uint32(now.Sub(c.boot).Milliseconds())))
}

func (c *collector) tick(now time.Time) error {
	if c.x.cfg.Protocol == SFlow5 {
		return c.flush(now)
	}
	return c.tell(now)
}

// tell sends options data, at first and when it is time to repeat them.
func (c *collector) tell(now time.Time) error {
	if c.conn == nil && !c.connect() {
		return nil
	}
	if c.x.cfg.Protocol == NetFlow5 || !c.told.IsZero() && (c.network == "tcp" || now.Sub(c.told) < c.x.cfg.Resend) {
		return nil
	}
	c.told = now
	for _, a := range c.x.options(c) {
		if err := c.netflow.Options(a.template, a.records, now.UnixMilli(), c.send); err != nil {
			return err
		}
	}
	return nil
}

// send sends a datagram, or a message on the connection. It never fails: what
// cannot be sent is counted.
func (c *collector) send(datagram []byte) error {
	if c.conn == nil {
		c.stats.Lost++
		return nil
	}
	if c.network == "tcp" {
		c.conn.SetWriteDeadline(time.Now().Add(c.x.cfg.Patience))
	}
	if _, err := c.conn.Write(datagram); err != nil {
		// By UDP that is what became of an earlier one: nobody listens there.
		c.stats.Lost++
		c.failed(err)
		if c.network == "tcp" {
			c.conn.Close()
			c.conn = nil
		}
		return nil
	}
	c.stats.Datagrams++
	c.stats.Bytes += uint64(len(datagram))
	return nil
}

func (c *collector) close() error {
	if c.x.cfg.Protocol == SFlow5 {
		c.flush(c.clock)
	}
	if c.conn == nil {
		return nil
	}
	return c.conn.Close()
}
