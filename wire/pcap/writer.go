package pcap

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/minamo-flow/minamo/wire/packet"
)

// Writer writes a pcap file: little-endian, one link type. It does not buffer.
type Writer struct {
	w     io.Writer
	nanos bool
	buf   []byte
}

// NewWriter writes the file's header. With nanos, times keep their
// nanoseconds; without, microseconds, which older readers understand.
func NewWriter(w io.Writer, link packet.Link, nanos bool) (*Writer, error) {
	magic := uint32(magicMicros)
	if nanos {
		magic = magicNanos
	}
	h := make([]byte, 0, 24)
	h = binary.LittleEndian.AppendUint32(h, magic)
	h = binary.LittleEndian.AppendUint16(h, 2) // version 2.4
	h = binary.LittleEndian.AppendUint16(h, 4)
	h = append(h, make([]byte, 8)...) // time zone and accuracy, unused by all
	h = binary.LittleEndian.AppendUint32(h, MaxPacket)
	h = binary.LittleEndian.AppendUint32(h, uint32(link))
	if _, err := w.Write(h); err != nil {
		return nil, fmt.Errorf("pcap: write file header: %w", err)
	}
	return &Writer{w: w, nanos: nanos}, nil
}

// Write writes one packet. p.Link is not looked at; a p.Length below that of
// the data means that nothing was cut off.
func (c *Writer) Write(p *Packet) error {
	if len(p.Data) > MaxPacket {
		return fmt.Errorf("pcap: write packet: %d bytes are more than %d", len(p.Data), MaxPacket)
	}
	fraction := p.Time % 1e9
	if !c.nanos {
		fraction /= 1000
	}
	b := c.buf[:0]
	b = binary.LittleEndian.AppendUint32(b, uint32(p.Time/1e9))
	b = binary.LittleEndian.AppendUint32(b, uint32(fraction))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(p.Data)))
	b = binary.LittleEndian.AppendUint32(b, uint32(max(p.Length, len(p.Data))))
	c.buf = append(b, p.Data...)
	if _, err := c.w.Write(c.buf); err != nil {
		return fmt.Errorf("pcap: write packet: %w", err)
	}
	return nil
}
