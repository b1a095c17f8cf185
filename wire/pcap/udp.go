package pcap

import (
	"encoding/binary"
	"net/netip"

	"github.com/minamo-flow/minamo/wire/packet"
)

// Datagram is one UDP datagram of a capture.
type Datagram struct {
	Time     int64 // nanoseconds since 1970-01-01T00:00:00Z, of its last packet
	Src, Dst netip.AddrPort
	Payload  []byte // valid until the next datagram is read
}

// Reason is why a packet gave no datagram.
type Reason uint8

const (
	UnknownLink Reason = iota // a link type we don't read
	NotUDP                    // another protocol
	Truncated                 // the capture cut the packet off
	Malformed                 // headers that contradict themselves
	Incomplete                // a fragment whose others did not come
	NumReasons
)

var reasonNames = [NumReasons]string{
	UnknownLink: "unknown_link_type",
	NotUDP:      "not_udp",
	Truncated:   "truncated",
	Malformed:   "malformed",
	Incomplete:  "incomplete_fragments",
}

// String is the reason's stable name.
func (r Reason) String() string { return reasonNames[r] }

// Stats accounts for the packets of a file. Each one is a datagram, one of the
// fragments of a datagram, or skipped.
type Stats struct {
	Packets   uint64
	Datagrams uint64
	Fragments uint64 // packets that were fragments
	Skipped   [NumReasons]uint64
}

// UDPReader gives the UDP datagrams of a capture in file order. It looks behind
// VLAN tags, PPPoE and MPLS, IPv4 options and IPv6 extension headers, and
// reassembles fragments: where they overlap, what came first stays.
type UDPReader struct {
	r        *Reader
	packet   Packet
	stats    Stats
	assembly assembly
}

// NewUDPReader reads the packets of r, which it then owns.
func NewUDPReader(r *Reader) *UDPReader { return &UDPReader{r: r} }

// Offset is the number of bytes of the file that were read so far.
func (u *UDPReader) Offset() int64 { return u.r.Offset() }

// Stats tells what became of the packets read so far.
func (u *UDPReader) Stats() Stats { return u.stats }

// Next reads the next datagram into d. It returns io.EOF at the end of the
// file, and the Reader's error where the file is damaged.
func (u *UDPReader) Next(d *Datagram) error {
	for {
		if err := u.r.Next(&u.packet); err != nil {
			u.stats.Skipped[Incomplete] += u.assembly.abandon()
			return err
		}
		u.stats.Packets++
		if u.datagram(d) {
			d.Time = u.packet.Time
			u.stats.Datagrams++
			return nil
		}
	}
}

// skip counts a packet that gives no datagram.
func (u *UDPReader) skip(r Reason) bool {
	u.stats.Skipped[r]++
	return false
}

// datagram looks for a datagram in the current packet.
func (u *UDPReader) datagram(d *Datagram) bool {
	if !u.packet.Link.Known() {
		return u.skip(UnknownLink)
	}
	p := u.packet.Data
	l := packet.Locate(u.packet.Link, p)
	if l.Version == 0 || (l.HasProtocol && l.Protocol != packet.UDP) {
		if l.Version == 0 && u.packet.Truncated() && l.Network == len(p) {
			return u.skip(Truncated)
		}
		return u.skip(NotUDP)
	}
	if !l.HasProtocol && l.FragmentOffset > 0 && l.Payload > 0 {
		// A fragment amid extension headers: its protocol is in another.
		return u.skip(NotUDP)
	}
	if l.Payload == 0 || !l.HasProtocol {
		return u.short()
	}
	end := len(p)
	if l.Length > 0 { // else segmentation was left to the card, and the frame ends it
		end = l.Network + l.Length
	}
	if end > len(p) {
		return u.short()
	}
	if l.Payload > end {
		return u.skip(Malformed)
	}
	src, dst := addresses(&l, p)
	body := p[l.Payload:end]
	if l.Fragmented {
		u.stats.Fragments++
		var ok bool
		if body, ok = u.reassemble(&l, p, src, dst, body); !ok {
			return false
		}
	}
	return u.udp(d, src, dst, body)
}

// short skips a packet whose headers promise more than there is.
func (u *UDPReader) short() bool {
	if u.packet.Truncated() {
		return u.skip(Truncated)
	}
	return u.skip(Malformed)
}

func addresses(l *packet.Layout, p []byte) (src, dst netip.Addr) {
	h := p[l.Network:]
	if l.Version == 4 {
		return netip.AddrFrom4([4]byte(h[12:16])), netip.AddrFrom4([4]byte(h[16:20]))
	}
	return netip.AddrFrom16([16]byte(h[8:24])), netip.AddrFrom16([16]byte(h[24:40]))
}

// udp reads the UDP header. A length of 0 means "all there is" (RFC 2675).
func (u *UDPReader) udp(d *Datagram, src, dst netip.Addr, body []byte) bool {
	if len(body) < 8 {
		return u.skip(Malformed)
	}
	if size := int(binary.BigEndian.Uint16(body[4:])); size != 0 {
		if size < 8 || size > len(body) {
			return u.skip(Malformed)
		}
		body = body[:size]
	}
	d.Src = netip.AddrPortFrom(src, binary.BigEndian.Uint16(body))
	d.Dst = netip.AddrPortFrom(dst, binary.BigEndian.Uint16(body[2:]))
	d.Payload = body[8:]
	return true
}

// reassemble adds a fragment; ok tells that it completed its datagram.
func (u *UDPReader) reassemble(l *packet.Layout, p []byte, src, dst netip.Addr, body []byte) (whole []byte, ok bool) {
	key := fragmentKey{src: src, dst: dst}
	if l.Version == 4 {
		key.id = uint32(binary.BigEndian.Uint16(p[l.Network+4:]))
	} else {
		key.id = binary.BigEndian.Uint32(p[l.FragmentHeader+4:])
	}
	whole, lost, err := u.assembly.add(key, u.packet.Time, int(l.FragmentOffset)*8, l.MoreFragments, body)
	u.stats.Skipped[Incomplete] += lost
	if err != nil {
		u.skip(Malformed)
		return nil, false
	}
	return whole, whole != nil
}
