package decode

import (
	"encoding/binary"
	"math/rand/v2"
)

// field is an element and its length in the template; 65535 is variable.
type field struct{ element, length uint16 }

const variable = 65535

// usual is a template as routers send it: 21 fields of fixed length.
var usual = []field{
	{8, 4}, {12, 4}, {15, 4}, {10, 4}, {14, 4}, {2, 4}, {1, 4}, {22, 4}, {21, 4},
	{7, 2}, {11, 2}, {6, 1}, {4, 1}, {5, 1}, {16, 4}, {17, 4}, {9, 1}, {13, 1}, {61, 1}, {89, 1}, {48, 2},
}

// modern is the same of IPFIX: absolute times, 64-bit counters.
var modern = func() []field {
	list := append([]field(nil), usual...)
	for i, f := range list {
		switch f.element {
		case 21, 22:
			list[i] = field{174 - f.element, 8} // flowStartMilliseconds, flowEndMilliseconds
		case 1, 2:
			list[i].length = 8
		}
	}
	return list
}()

// named has an interface's name in every record besides.
var named = append([]field{{82, variable}}, usual...)

const (
	exported = 1_700_000_000 // s
	uptime   = 864_000_000   // ms
)

var be = binary.BigEndian

func u16(b []byte, v ...int) []byte {
	for _, v := range v {
		b = be.AppendUint16(b, uint16(v))
	}
	return b
}

func u32(b []byte, v ...int) []byte {
	for _, v := range v {
		b = be.AppendUint32(b, uint32(v))
	}
	return b
}

func header(version, sets, length int) []byte {
	if version == 10 {
		return u32(u16(nil, 10, 16+length), exported, 1, 7)
	}
	return u32(u16(nil, 9, sets), uptime, exported, 1, 7)
}

// template is a datagram that defines template 256.
func template(version int, fields []field) []byte {
	id := 0
	if version == 10 {
		id = 2
	}
	set := u16(nil, id, 8+4*len(fields), 256, len(fields))
	for _, f := range fields {
		set = u16(set, int(f.element), int(f.length))
	}
	return append(header(version, 1, len(set)), set...)
}

// records is a datagram with count records of template 256, different ones.
func records(version int, fields []field, count int) []byte {
	random := rand.New(rand.NewPCG(18, 21))
	body := []byte{}
	for range count {
		for _, f := range fields {
			switch {
			case f.length == variable:
				body = append(append(body, 12), "TenGigE0/0/1"...)
			case f.element == 4:
				body = append(body, []byte{6, 6, 6, 17}[random.IntN(4)])
			case f.element == 21 || f.element == 22:
				body = u32(body, uptime-random.IntN(60_000))
			case f.length == 8 && f.element >= 150:
				body = be.AppendUint64(body, uint64(exported*1000-random.IntN(60_000)))
			default:
				v := be.AppendUint64(nil, uint64(random.Uint32N(1<<16)))
				body = append(body, v[8-f.length:]...)
			}
		}
	}
	set := append(u16(nil, 256, 4+len(body)), body...)
	return append(header(version, count, len(set)), set...)
}

func v5(count int) []byte {
	random := rand.New(rand.NewPCG(18, 21))
	d := u16(u32(u16(nil, 5, count), uptime, exported, 0, 1), 0, 0x4000|1000)
	for range count {
		d = u32(d, random.IntN(1<<32), random.IntN(1<<32), random.IntN(1<<32))
		d = u16(d, random.IntN(64), random.IntN(64))
		d = u32(d, 1+random.IntN(64), 64+random.IntN(64_000), uptime-60_000, uptime-random.IntN(60_000))
		d = u16(d, random.IntN(1<<16), 443)
		d = append(d, 0, 0x1b, 6, 0)
		d = u16(d, 64496, 64511)
		d = append(d, 24, 24, 0, 0)
	}
	return d
}

// sflow is a datagram with count flow samples: a raw Ethernet header of TCP
// over IPv4, padded to 128 bytes as switches send it, and a switch record.
func sflow(count int) []byte {
	random := rand.New(rand.NewPCG(18, 21))
	d := u32(nil, 5, 1, 0xc0000209, 0, 1, uptime, count)
	for i := range count {
		packet := []byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x81, 0, 0, 30, 8, 0}
		packet = append(packet, 0x45, 0, 0x05, 0xdc, 0, 9, 0x40, 0, 63, 6, 0, 0)
		packet = u32(packet, random.IntN(1<<32), random.IntN(1<<32))
		packet = u16(packet, random.IntN(1<<16), 443)
		packet = append(packet, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x18, 0, 9, 0, 0, 0, 0)
		packet = append(packet, make([]byte, 128-len(packet))...)
		raw := append(u32(nil, 1, 16+len(packet), 1, 1522, 4, len(packet)), packet...)
		records := u32(raw, 1001, 16, 30, 0, 30, 0)
		d = u32(d, 1, 32+len(records), i, 3, 512, 512*i, 0, 3, 4, 2)
		d = append(d, records...)
	}
	return d
}
