//go:build !linux

package capture

import (
	"errors"
	"time"

	"github.com/minamo-flow/minamo/wire/pcap"
)

// Socket captures on Linux only.
type Socket struct{ Index uint32 }

// Open fails: other systems have no AF_PACKET.
func Open(Config) ([]*Socket, error) {
	return nil, errors.New("capturing works on Linux only; meter a capture file instead")
}

// Read is never called.
func (s *Socket) Read(time.Duration, func(*pcap.Packet, bool)) error { return nil }

// Stats is never called.
func (s *Socket) Stats() (Stats, error) { return Stats{}, nil }

// Close is never called.
func (s *Socket) Close() error { return nil }
