package collect

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	datagramsPerRead = 64    // datagrams taken from the kernel in one call
	maxDatagram      = 65536 // no UDP payload is longer
	controlSize      = 64    // room for the SO_RXQ_OVFL control message
)

// errStopped ends a socket's loop once everything the kernel held is read.
var errStopped = errors.New("socket stopped")

// socket reads datagrams in batches (recvmmsg) and follows the kernel's drop
// counter (SO_RXQ_OVFL). Only its own goroutine calls receive and datagram.
type socket struct {
	conn    *net.UDPConn
	raw     syscall.RawConn
	address string // as listened on
	buffer  int    // receive buffer granted, bytes
	stopped atomic.Bool

	headers [datagramsPerRead]mmsghdr
	vectors [datagramsPerRead]unix.Iovec
	names   [datagramsPerRead]unix.RawSockaddrAny
	control [datagramsPerRead][controlSize]byte
	room    []byte

	datagrams atomic.Uint64
	bytes     atomic.Uint64
	drops     atomic.Uint64 // by the kernel, since the socket opened
}

// mmsghdr is the kernel's struct mmsghdr.
type mmsghdr struct {
	header unix.Msghdr
	length uint32
	_      [4]byte
}

// openSockets opens n sockets that share one address. SO_REUSEPORT would also
// let another program of the same user share it and take part of the
// datagrams, so the address is first claimed without.
func openSockets(network, address string, n, buffer int) ([]*socket, error) {
	claim, err := net.ListenPacket(network, address)
	if err != nil {
		return nil, explain(err, "ss -ulpn")
	}
	bound := claim.LocalAddr().String() // port 0 becomes a real one
	claim.Close()

	var sockets []*socket
	for range n {
		s, err := openSocket(network, bound, buffer)
		if err != nil {
			for _, s := range sockets {
				s.close()
			}
			return nil, err
		}
		sockets = append(sockets, s)
	}
	return sockets, nil
}

func openSocket(network, address string, buffer int) (*socket, error) {
	s := &socket{address: address, room: make([]byte, datagramsPerRead*maxDatagram)}
	options := func(_, _ string, raw syscall.RawConn) error {
		var failed error
		err := raw.Control(func(fd uintptr) {
			if failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); failed != nil {
				return
			}
			if failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1); failed != nil {
				return
			}
			// The forced form passes net.core.rmem_max, for who may.
			if unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, buffer) != nil {
				failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, buffer)
			}
			granted, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF)
			if err == nil {
				s.buffer = granted / 2 // the kernel doubles it for its own bookkeeping
			}
		})
		return errors.Join(err, failed)
	}
	config := net.ListenConfig{Control: options}
	conn, err := config.ListenPacket(context.Background(), network, address)
	if err != nil {
		return nil, err
	}
	s.conn = conn.(*net.UDPConn)
	if s.raw, err = s.conn.SyscallConn(); err != nil {
		conn.Close()
		return nil, err
	}
	for i := range s.headers {
		s.vectors[i].Base = &s.room[i*maxDatagram]
		s.vectors[i].SetLen(maxDatagram)
		h := &s.headers[i].header
		h.Name = (*byte)(unsafe.Pointer(&s.names[i]))
		h.Iov = &s.vectors[i]
		h.SetIovlen(1)
		h.Control = &s.control[i][0]
	}
	return s, nil
}

// receive waits for datagrams and returns how many it took.
func (s *socket) receive() (int, error) {
	var n int
	var errno syscall.Errno
	for i := range s.headers {
		s.headers[i].header.Namelen = unix.SizeofSockaddrAny
		s.headers[i].header.SetControllen(controlSize)
	}
	err := s.raw.Read(func(fd uintptr) bool {
		r, _, e := unix.Syscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&s.headers[0])), datagramsPerRead, unix.MSG_DONTWAIT, 0, 0)
		n, errno = int(r), e
		return e != unix.EAGAIN || s.stopped.Load()
	})
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		// Stopped while waiting: one more look, for what came in between.
		s.conn.SetReadDeadline(time.Time{})
		return s.receive()
	case err != nil:
		return 0, err
	case errno == unix.EINTR:
		return 0, nil
	case errno == unix.EAGAIN:
		return 0, errStopped
	case errno != 0:
		return 0, fmt.Errorf("recvmmsg: %w", errno)
	}
	s.datagrams.Add(uint64(n))
	if n > 0 {
		s.readDrops(n - 1) // the last datagram knows the newest count
	}
	return n, nil
}

// datagram returns the i-th datagram of the last receive and its sender.
// The bytes are overwritten by the next receive.
func (s *socket) datagram(i int) ([]byte, netip.Addr) {
	length := int(s.headers[i].length)
	s.bytes.Add(uint64(length))
	data := s.room[i*maxDatagram:][:length:length]
	switch s.names[i].Addr.Family {
	case unix.AF_INET:
		a := (*unix.RawSockaddrInet4)(unsafe.Pointer(&s.names[i]))
		return data, netip.AddrFrom4(a.Addr)
	case unix.AF_INET6:
		a := (*unix.RawSockaddrInet6)(unsafe.Pointer(&s.names[i]))
		return data, netip.AddrFrom16(a.Addr).Unmap()
	}
	return data, netip.Addr{}
}

// readDrops takes the kernel's drop counter out of the control message of
// datagram i; the kernel sends none while nothing was dropped.
func (s *socket) readDrops(i int) {
	length := int(s.headers[i].header.Controllen)
	messages, err := unix.ParseSocketControlMessage(s.control[i][:min(length, controlSize)])
	if err != nil {
		return
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SO_RXQ_OVFL && len(m.Data) >= 4 {
			// A 32-bit counter: add what it moved since last seen.
			seen := s.drops.Load()
			s.drops.Add(uint64(*(*uint32)(unsafe.Pointer(&m.Data[0])) - uint32(seen)))
		}
	}
}

// stop makes receive return errStopped once the kernel holds nothing more. A
// filter that passes nothing keeps it from taking more meanwhile: exporters go
// on sending, and a reader behind them would never see the end.
func (s *socket) stop() {
	s.raw.Control(func(fd uintptr) {
		nothing := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K}
		unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &nothing})
	})
	s.stopped.Store(true)
	s.conn.SetReadDeadline(time.Unix(1, 0)) // wakes a waiting receive
}

func (s *socket) close() { s.conn.Close() }
