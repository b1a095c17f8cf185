package netflow

import (
	"encoding/binary"
	"fmt"

	"github.com/minamo-flow/minamo/flow"
)

// Lengths of headers, and of a v5 record.
const (
	v1Header    = 16
	v5Header    = 24 // v7's, too
	v5Record    = 48
	v8Header    = 28
	v9Header    = 20
	ipfixHeader = 16
	setHeader   = 4
)

// headerLength is how long a version's header is; 0 for a version that isn't
// decoded.
func headerLength(version uint16) int {
	switch version {
	case flow.NetFlow1:
		return v1Header
	case flow.NetFlow5, flow.NetFlow7:
		return v5Header
	case flow.NetFlow8:
		return v8Header
	case flow.NetFlow9:
		return v9Header
	case flow.IPFIX:
		return ipfixHeader
	}
	return 0
}

// parse splits a datagram into header and body, and notes in m and h what the
// header says.
func (h *header) parse(datagram []byte, received int64, m *Message) (head, body []byte, err error) {
	if len(datagram) < 2 {
		return nil, nil, fmt.Errorf("netflow: a datagram of %d bytes is %w", len(datagram), ErrShort)
	}
	be := binary.BigEndian
	m.Version = be.Uint16(datagram)
	length := headerLength(m.Version)
	if length == 0 {
		return nil, nil, fmt.Errorf("netflow: version %d is %w", m.Version, ErrVersion)
	}
	if len(datagram) < length {
		return nil, nil, fmt.Errorf("netflow: a version %d datagram of %d bytes is %w", m.Version, len(datagram), ErrShort)
	}
	head, body = datagram[:length], datagram[length:]
	switch m.Version {
	case flow.NetFlow9:
		m.SysUptime, m.Sequence, m.Domain = be.Uint32(head[4:]), be.Uint32(head[12:]), be.Uint32(head[16:])
		m.ExportTime = int64(be.Uint32(head[8:])) * 1000
		m.Units = 1
	case flow.IPFIX:
		m.Sequence, m.Domain = be.Uint32(head[8:]), be.Uint32(head[12:])
		m.ExportTime = int64(be.Uint32(head[4:])) * 1000
		switch total := int(be.Uint16(head[2:])); {
		case total < length || total > len(datagram):
			m.Problems[Truncated]++
		case total < len(datagram):
			m.Problems[TrailingBytes]++
			body = datagram[length:total]
		}
	default:
		m.SysUptime = be.Uint32(head[4:])
		m.ExportTime = int64(be.Uint32(head[8:])) * 1000
		if nanos := be.Uint32(head[12:]); nanos < 1e9 { // else it is no fraction of a second
			m.ExportTime += int64(nanos / 1e6)
		}
		switch m.Version {
		case flow.NetFlow1:
			m.UnitsUnknown = true
		case flow.NetFlow5:
			m.Sequence, m.Domain = be.Uint32(head[16:]), uint32(be.Uint16(head[20:]))
		case flow.NetFlow7:
			m.Sequence = be.Uint32(head[16:])
		case flow.NetFlow8:
			m.Sequence, m.Domain = be.Uint32(head[16:]), uint32(head[22])<<16|uint32(be.Uint16(head[20:]))
		}
	}
	*h = header{
		protocol: uint8(m.Version), domain: m.Domain, received: received,
		export: m.ExportTime, uptime: m.SysUptime, booted: m.Version != flow.IPFIX,
	}
	return head, body, nil
}
