package netflow

import (
	"encoding/binary"

	"github.com/minamo-flow/minamo/flow"
)

// ShiftClock moves every absolute time in a datagram by so many milliseconds,
// in place: the header's clock, and those times in data records from which
// Decode takes start and end. Times relative to the header or to the device's
// boot move with it. It is for replaying recorded datagrams as if they came
// now; header clocks of v9 and IPFIX count whole seconds, so a caller who
// wants durations kept to the millisecond shifts by whole seconds.
//
// The templates have to be known: Decode the datagram first. Data sets whose
// template is not known yet stay as they are, and ShiftClock tells how many.
func (s *Session) ShiftClock(datagram []byte, by int64) (unknown int) {
	be := binary.BigEndian
	if len(datagram) < 2 {
		return 0
	}
	version := be.Uint16(datagram)
	clock, domainAt, length := 8, 16, headerLength(version)
	if length == 0 || len(datagram) < length {
		return 0
	}
	switch version {
	case flow.NetFlow9:
	case flow.IPFIX:
		clock, domainAt = 4, 12
	default:
		ms := int64(be.Uint32(datagram[clock:]))*1000 + int64(be.Uint32(datagram[12:])/1e6) + by
		be.PutUint32(datagram[clock:], uint32(ms/1000))
		be.PutUint32(datagram[12:], uint32(ms%1000)*1e6+be.Uint32(datagram[12:])%1e6)
		return 0
	}
	be.PutUint32(datagram[clock:], uint32(int64(be.Uint32(datagram[clock:]))+by/1000))
	d := s.domains[domainKey{version, be.Uint32(datagram[domainAt:])}]
	var r rows
	for body := datagram[length:]; len(body) >= setHeader; {
		id, n := be.Uint16(body), int(be.Uint16(body[2:]))
		if n < setHeader {
			break
		}
		n = min(n, len(body))
		set := body[setHeader:n]
		body = body[n:]
		if id < firstDataSet {
			continue
		}
		var t *template
		if d != nil {
			t = d.find(id)
		}
		if t == nil {
			unknown++
			continue
		}
		t.program.layout(&r, set)
		for _, f := range t.program.clocks() {
			for i := range r.n {
				shift(r.at(i, f.place), f.as, by)
			}
		}
	}
	return unknown
}

// clocks are the absolute times of a record.
func (p *program) clocks() []field {
	var list []field
	if p.boot.used() {
		list = append(list, field{p.boot.place, asMillis})
	}
	for _, f := range []field{p.start, p.end, p.event} {
		if f.used() && (f.as == asSeconds || f.as == asMillis || f.as == asNTP) {
			list = append(list, f)
		}
	}
	const systemInitTimeMilliseconds = 160
	for _, o := range p.options {
		if o.enterprise == 0 && o.element == systemInitTimeMilliseconds && o.length != variable && o.length > 0 {
			list = append(list, field{o.place, asMillis})
		}
	}
	return list
}

// shift moves one encoded time.
func shift(value []byte, as conversion, by int64) {
	v := int64(number(value))
	switch as {
	case asSeconds:
		v += by / 1000
	case asMillis:
		v += by
	case asNTP: // seconds and a fraction, each 32 bits
		v += by/1000<<32 + by%1000<<32/1000
	}
	for i := len(value) - 1; i >= 0; i-- {
		value[i] = byte(v)
		v >>= 8
	}
}
