package collect

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/minamo-flow/minamo/flow"
)

// Only IPFIX can be read from a stream: its header tells how long a message is
// (RFC 7011 §3.1, §10.4.3). NetFlow and sFlow have no such length.

const (
	messageHeader  = 4 // version and length
	ipfixHeader    = 16
	maxMessage     = 1<<16 - 1
	handshakeTime  = 20 * time.Second // for TLS
	messageTime    = 2 * time.Minute  // for the rest of a message that has begun
	stopTime       = 2 * time.Second  // for what the kernel holds when we stop
	acceptWait     = 100 * time.Millisecond
	keepAliveIdle  = time.Minute // then the kernel asks whether the exporter is still there
	keepAliveEvery = 20 * time.Second
	keepAliveCount = 5
)

// ending is why a connection ended.
type ending uint8

const (
	endClosed  ending = iota // by the exporter, between two messages
	endStopped               // we stop
	endCut                   // by the exporter, within a message
	endVersion               // what came is not IPFIX
	endLength                // a message claims to be shorter than its header
	endIdle                  // nothing came for too long
	endError                 // of the network
	endTLS                   // no TLS, or no certificate that we accept
	endLimit                 // there are too many
	numEndings
)

var endingNames = [numEndings]string{"closed", "stopped", "cut", "version", "length", "idle", "error", "tls", "limit"}

// streams are the connections of one listen address.
type streams struct {
	endpoint     Endpoint // as bound
	listener     net.Listener
	certificates *certificates // of tls://

	open     atomic.Int64
	accepted atomic.Uint64
	messages atomic.Uint64
	bytes    atomic.Uint64 // of messages
	ended    [numEndings]atomic.Uint64
}

// connections are all open ones, of all addresses.
type connections struct {
	mu      sync.Mutex
	stopped bool
	open    map[*connection]struct{}
	from    map[netip.Addr]int
	running sync.WaitGroup
	batches sync.Pool // of *flow.Batch: most connections are silent most of the time
}

// add takes a connection on, unless there are too many.
func (c *connections) add(x *connection, most, mostOfOne int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.stopped:
		return errStopped
	case len(c.open) >= most:
		return fmt.Errorf("there are %d connections already (collect.connections.max)", most)
	case c.from[x.source] >= mostOfOne:
		return fmt.Errorf("this address has %d connections already (collect.connections.max-per-exporter)", mostOfOne)
	}
	c.open[x] = struct{}{}
	c.from[x.source]++
	c.running.Add(1)
	return nil
}

func (c *connections) remove(x *connection) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, x)
	if c.from[x.source]--; c.from[x.source] == 0 {
		delete(c.from, x.source)
	}
	c.running.Done()
}

// stop lets every connection end behind what the kernel holds of it.
func (c *connections) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = true
	for x := range c.open {
		x.stop()
	}
}

// connection is a net.Conn whose reader meets the end of the stream once it
// was stopped and everything is read that the kernel holds.
type connection struct {
	net.Conn
	raw     syscall.RawConn
	source  netip.Addr
	stopped atomic.Bool
	end     time.Time // set once the reader knows that it was stopped
}

func newConnection(conn net.Conn) *connection {
	x := &connection{Conn: conn}
	if a, err := netip.ParseAddrPort(conn.RemoteAddr().String()); err == nil {
		x.source = a.Addr().Unmap().WithZone("")
	}
	if c, ok := conn.(syscall.Conn); ok {
		x.raw, _ = c.SyscallConn()
	}
	return x
}

func (x *connection) stop() {
	x.stopped.Store(true)
	x.Conn.SetDeadline(time.Unix(1, 0)) // wakes the reader
}

// wait bounds the time of the next reads; 0 does not.
func (x *connection) wait(d time.Duration) {
	var t time.Time
	if d > 0 {
		t = time.Now().Add(d)
	}
	x.Conn.SetDeadline(t)
	if x.stopped.Load() { // perhaps just before
		x.Conn.SetDeadline(time.Unix(1, 0))
	}
}

func (x *connection) Read(p []byte) (int, error) {
	for {
		if !x.end.IsZero() && (time.Now().After(x.end) || !x.holds()) {
			return 0, io.EOF
		}
		n, err := x.Conn.Read(p)
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) || !x.stopped.Load() {
			return n, err
		}
		if x.end.IsZero() {
			x.end = time.Now().Add(stopTime)
		}
		x.Conn.SetDeadline(x.end)
	}
}

// holds tells whether the kernel has something to read.
func (x *connection) holds() bool {
	n := 0
	if x.raw != nil {
		x.raw.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.SIOCINQ) })
	}
	return n > 0
}

// accept takes connections until the listener is closed.
func (c *Collector) accept(s *streams) {
	for {
		conn, err := s.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		} else if err != nil {
			c.log.Warn("a connection could not be taken", "listen", s.endpoint.String(), "error", err)
			time.Sleep(acceptWait) // it is the lack of something that others will give back
			continue
		}
		if tcp, ok := conn.(*net.TCPConn); ok {
			tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: keepAliveIdle, Interval: keepAliveEvery, Count: keepAliveCount})
		}
		s.accepted.Add(1)
		x := newConnection(conn)
		err = c.connections.add(x, c.cfg.Connections, c.cfg.ConnectionsPerExporter)
		if err == errStopped {
			conn.Close()
			return
		} else if err != nil {
			s.ended[endLimit].Add(1)
			c.log.Warn("connection refused", "exporter", x.source, "listen", s.endpoint.String(), "error", err)
			conn.Close()
			continue
		}
		s.open.Add(1)
		go func() {
			defer c.connections.remove(x)
			defer s.open.Add(-1)
			defer conn.Close()
			end, err := c.serve(s, x)
			s.ended[end].Add(1)
			if end == endClosed || end == endStopped {
				c.log.Debug("connection ended", "exporter", x.source, "listen", s.endpoint.String())
			} else {
				c.log.Warn("connection broken off", "exporter", x.source, "listen", s.endpoint.String(), "reason", endingNames[end], "error", err)
			}
		}()
	}
}

// serve reads one connection to its end and says why it ended.
func (c *Collector) serve(s *streams, x *connection) (ending, error) {
	conn := net.Conn(x)
	if s.certificates != nil {
		secured := tls.Server(x, s.certificates.current())
		x.wait(handshakeTime)
		if err := secured.Handshake(); err != nil {
			if x.stopped.Load() {
				return endStopped, nil
			}
			return endTLS, err
		}
		conn = secured
	}
	var session *Session // begins with the first message: port scans and health checks send none
	defer func() {
		if session != nil {
			session.Close()
		}
	}()
	r := bufio.NewReaderSize(conn, maxMessage)
	for {
		x.wait(c.cfg.IdleTimeout)
		head, err := r.Peek(messageHeader)
		if err != nil {
			return x.ending(err, r.Buffered())
		}
		length, err := MessageLength(head)
		if err != nil {
			if version := binary.BigEndian.Uint16(head); version != flow.IPFIX {
				c.Exporters.countRejected(uint32(version))
				return endVersion, err
			}
			return endLength, err
		}
		if r.Buffered() < length {
			x.wait(messageTime)
			if _, err := r.Peek(length); err != nil {
				return x.ending(err, r.Buffered())
			}
		}
		if session == nil {
			c.log.Info("exporter connects", "exporter", x.source, "listen", s.endpoint.String())
			session = c.Exporters.Connect(x.source)
		}
		c.Exporters.Balance(c.cfg.Clock().UnixMilli())
		batch := c.connections.batches.Get().(*flow.Batch)
		for batch.Len() < batchRows && length <= r.Buffered() {
			message, _ := r.Peek(length)
			s.messages.Add(1)
			s.bytes.Add(uint64(length))
			session.Decode(message, c.cfg.Clock().UnixMilli(), batch) // errors are counted and logged
			r.Discard(length)
			if r.Buffered() < messageHeader {
				break
			}
			head, _ := r.Peek(messageHeader)
			if length, err = MessageLength(head); err != nil {
				break // and met again above
			}
		}
		c.deliver(batch)
		if cap(batch.Present) <= 4*batchRows {
			c.connections.batches.Put(batch)
		}
	}
}

// MessageLength is how long an IPFIX message claims to be, by its first four
// bytes. After an error nothing in the stream can be found any more.
func MessageLength(head []byte) (int, error) {
	if binary.BigEndian.Uint16(head) != flow.IPFIX {
		return 0, notIPFIX(head)
	}
	length := int(binary.BigEndian.Uint16(head[2:]))
	if length < ipfixHeader {
		return 0, fmt.Errorf("a message claims %d bytes, less than its header has", length)
	}
	return length, nil
}

// ending judges the error that ended a connection, where part of a message had come.
func (x *connection) ending(err error, part int) (ending, error) {
	switch {
	case !x.end.IsZero():
		return endStopped, io.EOF
	case errors.Is(err, os.ErrDeadlineExceeded):
		return endIdle, errors.New("nothing came for too long")
	case !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		return endError, err
	case part > 0:
		return endCut, fmt.Errorf("closed by the exporter within a message: %w", io.ErrUnexpectedEOF)
	}
	return endClosed, io.EOF
}

// notIPFIX tells what else it may be that a connection began with.
func notIPFIX(head []byte) error {
	const handshake = 0x16 // of TLS
	switch version := binary.BigEndian.Uint16(head); {
	case version == flow.NetFlow9:
		return errors.New("NetFlow version 9 does not tell the length of its datagrams, so that they cannot be told apart in a connection: let the exporter send IPFIX, or version 9 by UDP")
	case version == flow.NetFlow1, version >= flow.NetFlow5 && version <= flow.NetFlow8:
		return fmt.Errorf("NetFlow version %d is for UDP only: let the exporter send it there, or IPFIX here", version)
	case version == 0:
		return errors.New("only IPFIX can be read from a connection, and this is none; sFlow is for UDP")
	case head[0] == handshake && head[1] == 3:
		return errors.New("the exporter speaks TLS: let it connect to a tls:// address")
	default:
		return fmt.Errorf("only IPFIX (version 10) can be read from a connection, this is version %d", version)
	}
}
