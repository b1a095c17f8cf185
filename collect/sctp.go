package collect

import (
	"encoding/binary"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// listenSCTP opens a one-to-one style SCTP socket (RFC 6458 §4), which is read
// like TCP's: connections are accepted, and their bytes are one after the
// other. That holds because a peer gets one stream only: each stream of an
// association would count its own sequence numbers (RFC 7011 §3.1).
//
// The net package asks a socket for its family and type, not for its protocol,
// so that its poller serves this one as well.
func listenSCTP(network, address string) (net.Listener, error) {
	a, err := net.ResolveTCPAddr(network, address)
	if err != nil {
		return nil, err
	}
	v6 := &unix.SockaddrInet6{Port: a.Port}
	copy(v6.Addr[:], a.IP) // no IP is all addresses
	family, bound := unix.AF_INET6, unix.Sockaddr(v6)
	if v4 := a.IP.To4(); v4 != nil {
		family, bound = unix.AF_INET, &unix.SockaddrInet4{Port: a.Port, Addr: [4]byte(v4)}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_SCTP)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	file := os.NewFile(uintptr(fd), "sctp")
	defer file.Close() // the listener has a copy
	const sctpInitMsg = 2
	var streams []byte // struct sctp_initmsg: streams out and in, attempts and timeout of connecting
	for _, n := range [4]uint16{1, 1, 0, 0} {
		streams = binary.NativeEndian.AppendUint16(streams, n)
	}
	if err := unix.SetsockoptString(fd, unix.IPPROTO_SCTP, sctpInitMsg, string(streams)); err != nil {
		return nil, os.NewSyscallError("setsockopt SCTP_INITMSG", err)
	}
	if err := unix.Bind(fd, bound); err != nil {
		return nil, os.NewSyscallError("bind", err)
	}
	if err := unix.Listen(fd, 128); err != nil {
		return nil, os.NewSyscallError("listen", err)
	}
	return net.FileListener(file)
}
