package collect

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// DefaultListen are the ports of NetFlow, IPFIX and sFlow. Each UDP port
// accepts every protocol.
var DefaultListen = []string{"udp://:2055", "udp://:4739", "udp://:6343", "tcp://:4739"}

// Endpoint is where exporters send.
type Endpoint struct {
	Scheme  string // "udp", "tcp", "tls" or "sctp"
	Network string // as the net package knows it, of SCTP its TCP look-alike
	Address string // HOST:PORT; no host means all addresses, IPv4 and IPv6
}

func (e Endpoint) String() string { return e.Scheme + "://" + e.Address }

var networks = map[string]string{"udp": "udp", "tcp": "tcp", "tls": "tcp", "sctp": "tcp"}

// ParseListen reads a listen address of the form udp://HOST:PORT; tcp, tls
// and sctp are the other schemes. HOST may be empty.
func ParseListen(text string) (Endpoint, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Path != "" {
		return Endpoint{}, fmt.Errorf("listen address %q: expected udp://HOST:PORT, such as udp://0.0.0.0:2055 (or tcp://, tls://, sctp://)", text)
	}
	e := Endpoint{Scheme: u.Scheme, Network: networks[u.Scheme]}
	if e.Network == "" {
		return Endpoint{}, fmt.Errorf("listen address %q: scheme %q is not known, expected udp://, tcp://, tls:// or sctp://", text, u.Scheme)
	}
	host, port := u.Hostname(), u.Port()
	if port == "" {
		return Endpoint{}, fmt.Errorf("listen address %q: no port, expected %s://HOST:PORT", text, u.Scheme)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return Endpoint{}, fmt.Errorf("listen address %q: expected a port up to 65535, found %s", text, port)
	}
	if a, err := netip.ParseAddr(host); err == nil && a.Is4() {
		e.Network += "4" // 0.0.0.0 means IPv4 only; an empty host means both
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	e.Address = host + ":" + port
	return e, nil
}

// explain adds to an error of opening a socket what the operator can do.
func explain(err error, program string) error {
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return fmt.Errorf("the port is busy: another program, or another of our listen addresses, receives there (see `%s`); stop it or choose another port with --listen", program)
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return fmt.Errorf("%w: this machine has no such address (see `ip address`); leave the host out to listen on all", err)
	case errors.Is(err, unix.EACCES):
		return fmt.Errorf("%w: ports below 1024 need root or CAP_NET_BIND_SERVICE", err)
	case errors.Is(err, unix.EPROTONOSUPPORT):
		return errors.New("this kernel has no SCTP; load it (modprobe sctp), where the system offers it, or let exporters send by TCP: tcp://")
	}
	return err
}

// listenStream opens an address that takes connections.
func listenStream(e Endpoint) (net.Listener, error) {
	open := net.Listen
	if e.Scheme == "sctp" {
		open = listenSCTP
	}
	l, err := open(e.Network, e.Address)
	if err != nil {
		return nil, explain(err, "ss -tlpn")
	}
	return l, nil
}
