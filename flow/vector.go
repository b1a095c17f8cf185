package flow

// Vector is some rows of one column, as files have them: which rows have a
// value, and the values of those, in one of the three slices by the kind.
type Vector struct {
	Name    string
	Kind    Kind
	Present []bool   // one a row
	Numbers []uint64 // numbers, MAC addresses, and times in milliseconds
	Addrs   []Addr
	Texts   [][]byte
}

// Reset drops all rows and keeps the room.
func (v *Vector) Reset() {
	v.Present, v.Numbers, v.Addrs, v.Texts = v.Present[:0], v.Numbers[:0], v.Addrs[:0], v.Texts[:0]
}

// Add appends a row with a number, if it is present.
func (v *Vector) Add(n uint64, present bool) {
	v.Present = append(v.Present, present)
	if present {
		v.Numbers = append(v.Numbers, n)
	}
}

// AddAddr appends a row with an address, if it is present.
func (v *Vector) AddAddr(a Addr, present bool) {
	v.Present = append(v.Present, present)
	if present {
		v.Addrs = append(v.Addrs, a)
	}
}
