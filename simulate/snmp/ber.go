package snmp

import (
	"errors"
	"math/bits"
)

// Messages of community-based SNMPv2 (RFC 1901) as BER has them (RFC 3417 §8).
// They are read strictly: lengths are definite and fit exactly, numbers have the
// size that their type allows. The library that Minamo's own poller asks with has
// no part in this, so that the two do not share an error.

const (
	tagInteger  = 0x02
	tagText     = 0x04 // OCTET STRING
	tagOID      = 0x06
	tagSequence = 0x30
	tagCounter  = 0x41 // Counter32
	tagGauge    = 0x42
	tagTicks    = 0x43 // TimeTicks: hundredths of a second
	tagWide     = 0x46 // Counter64

	noSuchObject   = 0x80
	noSuchInstance = 0x81
	endOfMibView   = 0x82

	getRequest     = 0xa0
	getNextRequest = 0xa1
	response       = 0xa2
	setRequest     = 0xa3
	getBulkRequest = 0xa5
)

const (
	noError     = 0
	tooBig      = 1
	notWritable = 17
)

// mostNumbers is how many numbers an object identifier has at most (RFC 3416 §4.1).
const mostNumbers = 128

var (
	errMalformed = errors.New("no SNMP message")
	errVersion   = errors.New("another version of SNMP than 2c")
)

// oid is an object identifier.
type oid []uint32

// reader takes values off the front of what it holds.
type reader []byte

// take reads a value of any type.
func (r *reader) take() (tag byte, content []byte, err error) {
	b := *r
	if len(b) < 2 || b[0]&0x1f == 0x1f {
		return 0, nil, errMalformed
	}
	tag, length := b[0], int(b[1])
	b = b[2:]
	if length >= 0x80 {
		size := length & 0x7f
		if size == 0 || size > 3 || size > len(b) {
			return 0, nil, errMalformed
		}
		length = 0
		for _, x := range b[:size] {
			length = length<<8 | int(x)
		}
		b = b[size:]
	}
	if length > len(b) {
		return 0, nil, errMalformed
	}
	*r = b[length:]
	return tag, b[:length], nil
}

// expect reads a value of one type.
func (r *reader) expect(tag byte) ([]byte, error) {
	found, content, err := r.take()
	if err == nil && found != tag {
		err = errMalformed
	}
	return content, err
}

// integer reads an INTEGER of 32 bits.
func (r *reader) integer() (int32, error) {
	content, err := r.expect(tagInteger)
	if err != nil || len(content) == 0 || len(content) > 4 {
		return 0, errMalformed
	}
	n := int32(int8(content[0]))
	for _, x := range content[1:] {
		n = n<<8 | int32(x)
	}
	return n, nil
}

// oid reads an object identifier.
func (r *reader) oid() (oid, error) {
	content, err := r.expect(tagOID)
	if err != nil || len(content) == 0 {
		return nil, errMalformed
	}
	name := make(oid, 0, len(content)+1)
	for len(content) > 0 {
		var n uint64
		i := 0
		for ; ; i++ {
			if i == len(content) || n > 1<<25-1 || i == 0 && content[0] == 0x80 {
				return nil, errMalformed // cut, too great, or padded
			}
			n = n<<7 | uint64(content[i]&0x7f)
			if content[i] < 0x80 {
				break
			}
		}
		content = content[i+1:]
		if len(name) >= mostNumbers {
			return nil, errMalformed
		}
		if len(name) == 0 { // the first two are one
			first := min(n/40, 2)
			name = append(name, uint32(first))
			n -= first * 40
		}
		name = append(name, uint32(n))
	}
	return name, nil
}

// message is a request, as far as its community tells who asks.
type message struct {
	community []byte
	kind      byte
	pdu       reader
}

func readMessage(datagram []byte) (m message, err error) {
	outer := reader(datagram)
	content, err := outer.expect(tagSequence)
	if err != nil || len(outer) > 0 {
		return m, errMalformed
	}
	in := reader(content)
	version, err := in.integer()
	if err != nil {
		return m, err
	}
	if version != 1 {
		return m, errVersion
	}
	if m.community, err = in.expect(tagText); err != nil {
		return m, err
	}
	var pdu []byte
	if m.kind, pdu, err = in.take(); err != nil || len(in) > 0 {
		return m, errMalformed
	}
	m.pdu = pdu
	return m, nil
}

// request is what is asked.
type request struct {
	kind      byte
	id        int32
	first     int32 // error-status; non-repeaters of GetBulk
	second    int32 // error-index; max-repetitions of GetBulk
	variables []byte
	names     []oid // of the variables
}

func (m *message) request() (q request, err error) {
	in := m.pdu
	q.kind = m.kind
	for _, n := range []*int32{&q.id, &q.first, &q.second} {
		if *n, err = in.integer(); err != nil {
			return q, err
		}
	}
	if q.variables, err = in.expect(tagSequence); err != nil || len(in) > 0 {
		return q, errMalformed
	}
	for list := reader(q.variables); len(list) > 0; {
		one, err := list.expect(tagSequence)
		if err != nil {
			return q, err
		}
		in := reader(one)
		name, err := in.oid()
		if err != nil {
			return q, err
		}
		if _, _, err := in.take(); err != nil || len(in) > 0 { // its value says nothing
			return q, errMalformed
		}
		q.names = append(q.names, name)
	}
	return q, nil
}

// value is what a variable has. Numbers are not negative here.
type value struct {
	tag    byte
	number uint64
	text   string
}

func integer(n int) value       { return value{tag: tagInteger, number: uint64(n)} }
func text(s string) value       { return value{tag: tagText, text: s} }
func gauge(n uint64) value      { return value{tag: tagGauge, number: min(n, 1<<32-1)} }
func ticks(n int64) value       { return value{tag: tagTicks, number: uint64(uint32(n))} }
func counter(n uint64) value    { return value{tag: tagCounter, number: uint64(uint32(n))} }
func wide(n uint64) value       { return value{tag: tagWide, number: n} }
func identifier(name oid) value { return value{tag: tagOID, text: string(appendOID(nil, name))} }

func (v value) append(to []byte) []byte {
	switch v.tag {
	case tagInteger, tagGauge, tagTicks, tagCounter, tagWide:
		return appendNumber(to, v.tag, v.number, bits.Len64(v.number)/8+1) // with a bit for the sign
	}
	return appendBytes(to, v.tag, []byte(v.text))
}

func appendNumber(to []byte, tag byte, n uint64, size int) []byte {
	to = append(to, tag, byte(size))
	for i := size - 1; i >= 0; i-- {
		to = append(to, byte(n>>(8*i))) // a shift by 64 leaves 0
	}
	return to
}

func appendLength(to []byte, tag byte, length int) []byte {
	switch {
	case length < 0x80:
		return append(to, tag, byte(length))
	case length < 0x100:
		return append(to, tag, 0x81, byte(length))
	}
	return append(to, tag, 0x82, byte(length>>8), byte(length))
}

func appendBytes(to []byte, tag byte, content []byte) []byte {
	return append(appendLength(to, tag, len(content)), content...)
}

// appendOID writes an object identifier's content.
func appendOID(to []byte, name oid) []byte {
	for i, n := range name[1:] {
		n := uint64(n)
		if i == 0 {
			n += uint64(name[0]) * 40
		}
		for shift := (max(bits.Len64(n), 1) - 1) / 7 * 7; shift > 0; shift -= 7 {
			to = append(to, byte(n>>shift)|0x80)
		}
		to = append(to, byte(n)&0x7f)
	}
	return to
}

// appendVariable writes a name and its value.
func appendVariable(to []byte, name oid, v value) []byte {
	number := appendOID(make([]byte, 0, 2*len(name)), name)
	content := appendBytes(make([]byte, 0, len(number)+len(v.text)+16), tagOID, number)
	return appendBytes(to, tagSequence, v.append(content))
}

// appendResponse writes an answer.
func appendResponse(to []byte, community []byte, id int32, status, index int, variables []byte) []byte {
	pdu := make([]byte, 0, len(variables)+24)
	pdu = appendNumber(pdu, tagInteger, uint64(id), bits.Len32(uint32(id^id>>31))/8+1) // it may be negative
	pdu = integer(index).append(integer(status).append(pdu))
	pdu = appendBytes(pdu, tagSequence, variables)
	body := integer(1).append(make([]byte, 0, len(pdu)+len(community)+16)) // version 2c
	body = appendBytes(body, tagText, community)
	body = appendBytes(body, response, pdu)
	return appendBytes(to, tagSequence, body)
}
