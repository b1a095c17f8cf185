// Package pcap reads capture files, and writes simple ones.
//
// A Reader gives the packets of a pcap or pcapng stream; a UDPReader on top of
// it gives the UDP datagrams they carry, fragments reassembled. `minamo decode`
// and `minamo replay` read recorded exports through it, tests and tools write
// captures with a Writer.
//
// Both read any io.Reader once, front to back, in bounded memory whatever the
// file says, and reuse their buffers: a packet is valid until the next is read.
package pcap

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"

	"github.com/minamo-flow/minamo/wire/packet"
)

// ErrFormat is the cause of an error about bytes that are not a capture file's.
var ErrFormat = errors.New("not a pcap or pcapng file")

// MaxPacket is the most bytes of one packet that a file may hold. Capture
// programs write at most 256 KiB.
const MaxPacket = 256 << 10

// maxInterfaces bounds the interfaces of a pcapng section.
const maxInterfaces = 1 << 16

// Packet is one captured packet.
type Packet struct {
	Time   int64 // nanoseconds since 1970-01-01T00:00:00Z; 0 if the file has none
	Link   packet.Link
	Length int    // bytes on the wire; Data is shorter where the capture cut the packet off
	Data   []byte // valid until the next packet is read
}

// Truncated tells whether the capture cut the packet off.
func (p *Packet) Truncated() bool { return len(p.Data) < p.Length }

// Reader reads the packets of a capture file in file order.
type Reader struct {
	r      *bufio.Reader
	offset int64
	order  binary.ByteOrder
	next   func(*Packet) error

	// pcap
	link  packet.Link
	nanos bool

	// pcapng, of the current section
	interfaces []iface
}

// iface is an interface that a pcapng section describes.
type iface struct {
	link       packet.Link
	snap       uint32
	resolution byte  // if_tsresol
	shift      int64 // if_tsoffset, seconds
}

// Magic numbers of the two formats.
const (
	magicMicros  = 0xa1b2c3d4
	magicNanos   = 0xa1b23c4d
	magicSection = 0x1a2b3c4d
)

// Types of pcapng blocks.
const (
	blockSection   = 0x0a0d0d0a
	blockInterface = 1
	blockObsolete  = 2
	blockSimple    = 3
	blockEnhanced  = 6
)

// NewReader reads the file's header.
func NewReader(r io.Reader) (*Reader, error) {
	c := &Reader{r: bufio.NewReaderSize(r, MaxPacket+4096)}
	head, err := c.peek(4)
	if err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = ErrFormat
		}
		return nil, fmt.Errorf("pcap: read file header: %w", err)
	}
	if binary.BigEndian.Uint32(head) == blockSection {
		c.order = binary.LittleEndian // until the section's own magic tells
		c.next = c.nextBlock
		return c, nil
	}
	if err := c.fileHeader(); err != nil {
		return nil, fmt.Errorf("pcap: read file header: %w", err)
	}
	c.next = c.nextRecord
	return c, nil
}

// Offset is the number of bytes of the file that were read so far.
func (c *Reader) Offset() int64 { return c.offset }

// Next reads the next packet into p. At the end of the file it returns io.EOF;
// a file that ends inside a packet gives io.ErrUnexpectedEOF as the cause.
func (c *Reader) Next(p *Packet) error {
	at := c.offset
	err := c.next(p)
	if err != nil && err != io.EOF {
		return fmt.Errorf("pcap: read packet at offset %d: %w", max(at, c.offset), err)
	}
	return err
}

// peek returns the next n bytes; io.EOF stands for none at all.
func (c *Reader) peek(n int) ([]byte, error) {
	b, err := c.r.Peek(n)
	if err == io.EOF && len(b) > 0 {
		err = io.ErrUnexpectedEOF
	}
	return b, err
}

// skip drops n bytes, which need not fit the buffer.
func (c *Reader) skip(n int64) error {
	for n > 0 {
		step, err := c.r.Discard(int(min(n, 1<<20)))
		c.offset += int64(step)
		n -= int64(step)
		if err == io.EOF {
			return io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *Reader) fileHeader() error {
	h, err := c.peek(24)
	if len(h) >= 4 {
		switch {
		case is(binary.LittleEndian, h, magicMicros, magicNanos):
			c.order = binary.LittleEndian
		case is(binary.BigEndian, h, magicMicros, magicNanos):
			c.order = binary.BigEndian
		default:
			return ErrFormat
		}
	}
	if err != nil {
		return err
	}
	c.nanos = c.order.Uint32(h) == magicNanos
	c.link = packet.Link(c.order.Uint32(h[20:])) // the upper half tells of frame check sequences
	return c.skip(24)
}

func is(order binary.ByteOrder, h []byte, magics ...uint32) bool {
	for _, m := range magics {
		if order.Uint32(h) == m {
			return true
		}
	}
	return false
}

// nextRecord reads a packet of a pcap file.
func (c *Reader) nextRecord(p *Packet) error {
	h, err := c.peek(16)
	if err != nil {
		return err
	}
	seconds, fraction := int64(c.order.Uint32(h)), int64(c.order.Uint32(h[4:]))
	captured, length := c.order.Uint32(h[8:]), c.order.Uint32(h[12:])
	if captured > MaxPacket {
		return fmt.Errorf("a packet of %d bytes, more than %d: the file is damaged", captured, MaxPacket)
	}
	whole, err := c.peek(16 + int(captured))
	if err != nil {
		return err
	}
	if !c.nanos {
		fraction *= 1000
	}
	*p = Packet{Time: seconds*1e9 + fraction, Link: c.link, Length: int(length), Data: whole[16:]}
	return c.skip(16 + int64(captured))
}

// nextBlock reads blocks of a pcapng file up to the next packet.
func (c *Reader) nextBlock(p *Packet) error {
	for {
		h, err := c.peek(8)
		if err != nil {
			return err
		}
		kind := c.order.Uint32(h)
		if kind == blockSection { // the same number in either byte order
			if err := c.section(); err != nil {
				return err
			}
			continue
		}
		size := c.order.Uint32(h[4:])
		if size < 12 || size%4 != 0 {
			return fmt.Errorf("a block of %d bytes: the file is damaged", size)
		}
		switch kind {
		case blockInterface, blockObsolete, blockSimple, blockEnhanced:
		default:
			if err := c.skip(int64(size)); err != nil {
				return err
			}
			continue
		}
		// A packet block may carry options of any length behind the packet:
		// only what fits the buffer is looked at.
		body, err := c.peek(int(min(size, MaxPacket+4096)))
		if err != nil {
			return err
		}
		body = body[8:]
		if uint32(len(body)) == size-8 {
			if c.order.Uint32(body[size-12:]) != size {
				return errors.New("a block's two lengths differ: the file is damaged")
			}
			body = body[:size-12]
		}
		if kind == blockInterface {
			err = c.describe(body)
		} else {
			err = c.blockPacket(p, kind, body)
		}
		if err != nil {
			return err
		}
		if err := c.skip(int64(size)); err != nil {
			return err
		}
		if kind != blockInterface {
			return nil
		}
	}
}

// section begins a new section, with a byte order and interfaces of its own.
func (c *Reader) section() error {
	h, err := c.peek(12)
	if err != nil {
		return err
	}
	switch {
	case is(binary.LittleEndian, h[8:], magicSection):
		c.order = binary.LittleEndian
	case is(binary.BigEndian, h[8:], magicSection):
		c.order = binary.BigEndian
	default:
		return errors.New("a section of unknown byte order: the file is damaged")
	}
	size := c.order.Uint32(h[4:])
	if size < 28 || size%4 != 0 {
		return fmt.Errorf("a section header of %d bytes: the file is damaged", size)
	}
	c.interfaces = c.interfaces[:0]
	return c.skip(int64(size))
}

// describe adds an interface.
func (c *Reader) describe(body []byte) error {
	if len(body) < 8 {
		return errors.New("an interface description cut short: the file is damaged")
	}
	if len(c.interfaces) == maxInterfaces {
		return fmt.Errorf("more than %d interfaces: the file is damaged", maxInterfaces)
	}
	f := iface{link: packet.Link(c.order.Uint16(body)), snap: c.order.Uint32(body[4:]), resolution: 6}
	for o := body[8:]; len(o) >= 4; {
		code, size := c.order.Uint16(o), int(c.order.Uint16(o[2:]))
		if code == 0 || size > len(o)-4 {
			break
		}
		value := o[4 : 4+size]
		switch {
		case code == 9 && size == 1:
			f.resolution = value[0]
		case code == 14 && size == 8:
			f.shift = int64(c.order.Uint64(value))
		}
		o = o[min(4+(size+3)&^3, len(o)):]
	}
	c.interfaces = append(c.interfaces, f)
	return nil
}

// blockPacket reads the packet of a block's body.
func (c *Reader) blockPacket(p *Packet, kind uint32, body []byte) error {
	header := 20
	if kind == blockSimple {
		header = 4
	}
	if len(body) < header {
		return errors.New("a packet block cut short: the file is damaged")
	}
	var number, captured, length uint32
	switch kind {
	case blockSimple:
		length = c.order.Uint32(body)
		captured = min(length, uint32(len(body)-header))
	case blockObsolete:
		number = uint32(c.order.Uint16(body))
		captured, length = c.order.Uint32(body[12:]), c.order.Uint32(body[16:])
	default:
		number = c.order.Uint32(body)
		captured, length = c.order.Uint32(body[12:]), c.order.Uint32(body[16:])
	}
	if uint64(number) >= uint64(len(c.interfaces)) {
		return fmt.Errorf("interface %d is not described: the file is damaged", number)
	}
	f := &c.interfaces[number]
	if kind == blockSimple && f.snap > 0 {
		captured = min(captured, f.snap)
	}
	if captured > MaxPacket || int(captured) > len(body)-header {
		return fmt.Errorf("a packet of %d bytes in a block of %d: the file is damaged", captured, len(body))
	}
	*p = Packet{Link: f.link, Length: int(length), Data: body[header : header+int(captured)]}
	if kind != blockSimple {
		p.Time = f.time(uint64(c.order.Uint32(body[4:]))<<32 | uint64(c.order.Uint32(body[8:])))
	}
	return nil
}

// time converts a count of the interface's units to nanoseconds. What
// overflows is not a time; it is given as 0.
func (f *iface) time(count uint64) int64 {
	high, low := bits.Mul64(count, 1e9)
	exponent := uint(f.resolution & 0x7f)
	if f.resolution&0x80 != 0 { // units of 2^-exponent s
		for ; exponent > 0 && (high > 0 || low > 0); exponent-- {
			low = low>>1 | high<<63
			high >>= 1
		}
	} else { // units of 10^-exponent s
		for ; exponent > 0 && (high > 0 || low > 0); exponent-- {
			var rest uint64
			high, rest = high/10, high%10
			low, _ = bits.Div64(rest, low, 10)
		}
	}
	const most = 1 << 62
	if high > 0 || low > most || f.shift > most/1_000_000_000 || f.shift < -most/1_000_000_000 {
		return 0
	}
	return int64(low) + f.shift*1e9
}
