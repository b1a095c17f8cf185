package counting

// Fate is what became of a record's packets.
type Fate string

// Fates.
const (
	Forwarded Fate = "forwarded"
	Dropped   Fate = "dropped"
	ToRouter  Fate = "to_router" // for the router itself
	Multicast Fate = "multicast" // replicated: there is no one output to name
	Unknown   Fate = "unknown"   // the output is 0, and nothing says why
)

// Outcome is what a record says of where its packets went.
type Outcome struct {
	Status   uint8 // IE 89 forwardingStatus (RFC 7270 §4.12); 0 where it says nothing
	OutZero  bool  // the output interface is 0, said and not absent
	Discards bool  // the output interface is one that throws away: Null0, dsc

	// Of records that say no more than output 0, what their destination tells.
	ToGroup, ToLocal bool // a multicast group; an address of a router
}

// Fate judges. What the router says counts before all: a router may name a real
// output for a packet that it discarded (Junos), and 0 for one that it
// forwarded (to a group). Output 0 alone is no drop.
func (o Outcome) Fate() Fate {
	switch class := o.Status >> 6; {
	case class == 2:
		return Dropped
	case class == 3:
		return ToRouter
	case o.Discards:
		return Dropped
	case class == 1 || !o.OutZero:
		return Forwarded
	case o.ToGroup:
		return Multicast
	case o.ToLocal:
		return ToRouter
	}
	return Unknown
}
