package netflow

import "encoding/binary"

// Builders of datagrams for the tests: plain, so that they can be believed.

const (
	testExport = 1_700_000_000 // s
	testUptime = 1_000_000     // ms
)

func u16(v ...int) (b []byte) {
	for _, v := range v {
		b = binary.BigEndian.AppendUint16(b, uint16(v))
	}
	return b
}

func u32(v ...int) (b []byte) {
	for _, v := range v {
		b = binary.BigEndian.AppendUint32(b, uint32(v))
	}
	return b
}

func join(parts ...[]byte) (b []byte) {
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

func v9Datagram(domain int, sets ...[]byte) []byte {
	return join(u16(9, len(sets)), u32(testUptime, testExport, 1, domain), join(sets...))
}

func ipfixMessage(domain int, sets ...[]byte) []byte {
	body := join(sets...)
	return join(u16(10, ipfixHeader+len(body)), u32(testExport, 1, domain), body)
}

// v5Datagram has records whose bytes are all 6, so that they are TCP's.
func v5Datagram(count int) []byte {
	b := join(u16(5, count), u32(testUptime, testExport, 0, 1, 0))
	for len(b) < v5Header+count*v5.least {
		b = append(b, 6)
	}
	return b
}

// set is a set of any id.
func set(id int, body ...[]byte) []byte {
	b := join(body...)
	return join(u16(id, setHeader+len(b)), b)
}

func specifiers(fields []TemplateField) (b []byte) {
	for _, f := range fields {
		if f.Enterprise != 0 {
			b = join(b, u16(int(f.Element)|0x8000, int(f.Length)), u32(int(f.Enterprise)))
		} else {
			b = join(b, u16(int(f.Element), int(f.Length)))
		}
	}
	return b
}

func templateSet(setID, id int, fields []TemplateField) []byte {
	return set(setID, u16(id, len(fields)), specifiers(fields))
}

func dataSet(id int, records []byte) []byte { return set(id, records) }

// records are n records of TCP of which every other value is as long as its
// field and made of ones; those of variable length have five bytes.
func records(fields []TemplateField, n int) (b []byte) {
	for range n {
		for _, f := range fields {
			length := int(f.Length)
			if f.Length == variable {
				b = append(b, 5)
				length = 5
			}
			for range length {
				b = append(b, 1)
			}
			if f.Element == 4 {
				b[len(b)-1] = 6
			}
		}
	}
	return b
}
