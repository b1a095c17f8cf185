package flow

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"time"
)

// Kind is the storage type of a column. It decides which vector of a Batch
// holds the values, and how they are written as text.
type Kind uint8

const (
	Uint8   Kind = iota // unsigned 8-bit number
	Uint16              // unsigned 16-bit number
	Uint32              // unsigned 32-bit number
	Uint64              // unsigned 64-bit number
	Time                // milliseconds since 1970-01-01T00:00:00Z, signed 64 bits
	Address             // 16 bytes, IPv4 as IPv4-mapped IPv6 (RFC 4291 §2.5.5.2)
	MAC                 // 48 bits in the low bits of an unsigned 64-bit number
	Text                // UTF-8, in bytes of the Batch; its U64 vector only tells where
)

func (k Kind) String() string {
	return [...]string{"uint8", "uint16", "uint32", "uint64", "time", "address", "mac", "text"}[k]
}

// Greatest is the greatest number that a column of the kind holds.
func (k Kind) Greatest() uint64 {
	switch k {
	case Uint8:
		return 1<<8 - 1
	case Uint16:
		return 1<<16 - 1
	case Uint32:
		return 1<<32 - 1
	case MAC:
		return 1<<48 - 1
	}
	return 1<<64 - 1
}

// Addr is an IP address in 16 bytes, network byte order; IPv4 is IPv4-mapped.
// The zero Addr is "::", which stands for "no address".
type Addr [16]byte

// AddrFrom4 returns the IPv4-mapped form of the four bytes of v.
func AddrFrom4(v [4]byte) Addr {
	return Addr{10: 0xff, 11: 0xff, 12: v[0], 13: v[1], 14: v[2], 15: v[3]}
}

// AddrFrom converts a netip.Addr; its zone is dropped, and an invalid address gives the zero Addr.
func AddrFrom(a netip.Addr) Addr {
	if !a.IsValid() {
		return Addr{}
	}
	return Addr(a.As16())
}

// Netip returns the address in the standard library's form, IPv4 as four bytes.
func (a Addr) Netip() netip.Addr { return netip.AddrFrom16(a).Unmap() }

// Is4 tells whether a is an IPv4-mapped address.
func (a Addr) Is4() bool {
	return binary.BigEndian.Uint64(a[:8]) == 0 && binary.BigEndian.Uint32(a[8:12]) == 0xffff
}

func (a Addr) String() string { return a.Netip().String() }

// timeLayout is RFC 3339 in UTC with milliseconds, always the same length.
const timeLayout = "2006-01-02T15:04:05.000Z"

// AppendTime appends the text form of a Time value (milliseconds since the epoch).
func AppendTime(dst []byte, ms int64) []byte {
	return time.UnixMilli(ms).UTC().AppendFormat(dst, timeLayout)
}

// AppendMAC appends the usual colon form of a MAC value.
func AppendMAC(dst []byte, v uint64) []byte {
	const hex = "0123456789abcdef"
	for shift := 40; shift >= 0; shift -= 8 {
		b := byte(v >> shift)
		dst = append(dst, hex[b>>4], hex[b&15])
		if shift > 0 {
			dst = append(dst, ':')
		}
	}
	return dst
}

// AppendUint appends the text form of a number of column c: its name where
// the column is an enumeration and the value has one, else decimal digits.
func AppendUint(dst []byte, c Column, v uint64) []byte {
	if name, ok := Schema[c].Names[v]; ok {
		return append(dst, name...)
	}
	return strconv.AppendUint(dst, v, 10)
}

// AppendText appends the text form of the value of column c in row i of b,
// as `minamo decode` and every other output show it.
func (b *Batch) AppendText(dst []byte, c Column, i int) []byte {
	switch Schema[c].Kind {
	case Time:
		return AppendTime(dst, b.Time(c)[i])
	case Address:
		return b.Addr(c)[i].Netip().AppendTo(dst)
	case MAC:
		return AppendMAC(dst, b.U64(c)[i])
	case Text:
		return append(dst, b.Text(c, i)...)
	default:
		return AppendUint(dst, c, b.Uint(c, i))
	}
}

// AppendJSON appends row i of b as one JSON object: the columns that are
// present, in the order of the Schema. Numbers are JSON numbers, all else strings.
func (b *Batch) AppendJSON(dst []byte, i int) []byte {
	dst = append(dst, '{')
	first := true
	for c := range Columns() {
		if !b.Present[i].Has(c) {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(dst, '"')
		dst = append(dst, Schema[c].Name...)
		dst = append(dst, '"', ':')
		if Schema[c].Kind == Text {
			dst = appendJSONString(dst, b.Text(c, i))
		} else if Schema[c].quoted() {
			dst = append(dst, '"')
			dst = b.AppendText(dst, c, i)
			dst = append(dst, '"')
		} else {
			dst = b.AppendText(dst, c, i)
		}
	}
	return append(dst, '}')
}

// appendJSONString appends UTF-8 text as a JSON string (RFC 8259 §7).
func appendJSONString(dst, text []byte) []byte {
	dst = append(dst, '"')
	for _, c := range text {
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < 0x20:
			dst = fmt.Appendf(dst, `\u%04x`, c)
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}
