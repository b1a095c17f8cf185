// Package numbers tells which number an interface has today that had another one
// once: devices may number their interfaces anew (ifIndex) when they restart.
//
// snmp finds out when that happens. query and counters take it into account when
// they read what is kept, so that an interface is one over all of its time, has its
// name, and is asked for by the number of today. What is kept stays as it was
// exported.
package numbers

import (
	"maps"
	"net/netip"
	"slices"
	"time"
)

// Change is that a device's interfaces got other numbers.
type Change struct {
	At   time.Time         `json:"at"`             // from when on they have them
	Now  map[uint32]uint32 `json:"now"`            // the number since then, by the one before, of those that did not keep theirs
	Gone map[uint32]string `json:"gone,omitempty"` // names of those that are no more and whose number another has, by the number before
}

// Gone marks the number of an interface that is no more, and whose number another
// has: RFC 2863 has numbers of 31 bits.
const Gone = 1 << 31

// Era is a time in which some numbers of a device meant others than they do today.
type Era struct {
	Device   netip.Addr
	From, To time.Time         // From is zero in the first
	Today    map[uint32]uint32 // by the number of then; a number that is not in it means what it does today
	Gone     map[uint32]string // names of those that are no more, by the number that Today has for them
}

// Most is how many changes of a device are kept: each costs a little of every
// question.
const Most = 20

// Eras are those that a device's changes make, in the order of time.
func Eras(device netip.Addr, changes []Change) []Era {
	var eras []Era
	today, gone := map[uint32]uint32{}, map[uint32]string{}
	to := func(n uint32) uint32 {
		if now, moved := today[n]; moved {
			return now
		}
		return n
	}
	for i, c := range slices.Backward(changes) {
		before := map[uint32]uint32{}
		for was, now := range c.Now {
			before[was] = to(now)
		}
		for was, name := range c.Gone {
			before[was] = to(Gone | was) // it may come back
			gone[before[was]] = name
		}
		for was, now := range today { // those that changed later, and not then
			if _, moved := before[was]; !moved {
				before[was] = now
			}
		}
		maps.DeleteFunc(before, func(was, now uint32) bool { return was == now })
		today = before
		era := Era{Device: device, To: c.At, Today: before, Gone: gone}
		if i > 0 {
			era.From = changes[i-1].At
		}
		if len(before) > 0 && era.From.Before(era.To) {
			eras = append(eras, era)
		}
	}
	slices.Reverse(eras)
	return eras
}

// Of is the number that an interface of a time has today.
func Of(eras []Era, device netip.Addr, index uint32, at time.Time) uint32 {
	for i := range eras {
		if e := &eras[i]; e.Device == device && at.Before(e.To) && !at.Before(e.From) {
			if today, moved := e.Today[index]; moved {
				return today
			}
		}
	}
	return index
}
