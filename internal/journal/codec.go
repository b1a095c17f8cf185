package journal

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// Codec writes a payload and reads it: the same lines of code describe a record
// in both directions. Numbers are varints. Reading never allocates more than the
// payload has room for.
type Codec struct {
	Data    []byte // Writing: what was written. Reading: what is left
	Writing bool
	Fault   error // the first; what is read after it is zero
}

// Uint is a number.
func (c *Codec) Uint(v *uint64) {
	if c.Writing {
		c.Data = binary.AppendUvarint(c.Data, *v)
		return
	}
	n := 0
	if *v, n = binary.Uvarint(c.Data); n <= 0 {
		c.Fail("a number is cut off")
		*v = 0
		return
	}
	c.Data = c.Data[n:]
}

// Int is a number that may be negative.
func (c *Codec) Int(v *int64) {
	u := uint64(*v)<<1 ^ uint64(*v>>63)
	c.Uint(&u)
	*v = int64(u>>1) ^ -int64(u&1)
}

// Uint8 is a small number.
func (c *Codec) Uint8(v *uint8) {
	u := uint64(*v)
	c.Uint(&u)
	*v = uint8(u)
}

// Uint32 is a number of 32 bits.
func (c *Codec) Uint32(v *uint32) {
	u := uint64(*v)
	c.Uint(&u)
	*v = uint32(u)
}

// Bool is yes or no.
func (c *Codec) Bool(v *bool) {
	u := uint64(0)
	if *v {
		u = 1
	}
	c.Uint(&u)
	*v = u != 0
}

// Text is of 255 bytes at most; each takes room, so that reading is bounded.
func (c *Codec) Text(v *string) {
	n := uint64(min(len(*v), 255))
	c.Uint(&n)
	if c.Writing {
		c.Data = append(c.Data, (*v)[:n]...)
		return
	}
	if n > 255 || n > uint64(len(c.Data)) {
		c.Fail("a text is cut off")
		return
	}
	*v, c.Data = string(c.Data[:n]), c.Data[n:]
}

// Address is an IP address, or none.
func (c *Codec) Address(v *netip.Addr) {
	var text string
	if c.Writing {
		text = string(v.AsSlice())
	}
	c.Text(&text)
	if c.Writing || c.Fault != nil {
		return
	}
	ok := false
	if *v, ok = netip.AddrFromSlice([]byte(text)); !ok && text != "" {
		c.Fail("an address of %d bytes", len(text))
	}
}

// Fail ends the reading of a payload.
func (c *Codec) Fail(format string, args ...any) {
	if c.Fault == nil {
		c.Fault = fmt.Errorf(format, args...)
	}
	c.Data = nil
}

// List goes over a list of most elements. Each takes a byte at least.
func List[E any](c *Codec, elements *[]E, most int, element func(*Codec, *E)) {
	n := uint64(len(*elements))
	c.Uint(&n)
	if !c.Writing {
		if n > uint64(most) || n > uint64(len(c.Data)) {
			c.Fail("a list of %d is too long", n)
			return
		}
		*elements = (*elements)[:0] // what was there gives its room
		for range n {
			if c.Fault != nil {
				return
			}
			*elements = append(*elements, *new(E))
			element(c, &(*elements)[len(*elements)-1])
		}
		return
	}
	for i := range *elements {
		element(c, &(*elements)[i])
	}
}
