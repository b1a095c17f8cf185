package simulate

import "time"

// Counters are what an interface has counted: those of IF-MIB.
type Counters struct {
	InOctets, OutOctets   uint64 // layer 2: with Ethernet's header and check sequence
	InPackets, OutPackets uint64
	InDiscards            uint64 // packets that an access list denied, as some devices count them
}

func (c *Counters) add(o *Counters) {
	c.InOctets += o.InOctets
	c.OutOctets += o.OutOctets
	c.InPackets += o.InPackets
	c.OutPackets += o.OutPackets
	c.InDiscards += o.InDiscards
}

// plus is what has been counted when a part of the minute is over.
func (c Counters) plus(minute *Counters, part float64) Counters {
	of := func(v uint64) uint64 {
		if part >= 1 {
			return v
		}
		return uint64(float64(v) * part)
	}
	c.InOctets += of(minute.InOctets)
	c.OutOctets += of(minute.OutOctets)
	c.InPackets += of(minute.InPackets)
	c.OutPackets += of(minute.OutPackets)
	c.InDiscards += of(minute.InDiscards)
	return c
}

// frame is how many bytes a packet is on Ethernet, as ifHCInOctets counts them:
// header (14), at least 46 bytes, check sequence (4).
func frame(layer3 uint32) uint64 { return uint64(max(layer3, 46)) + 18 }

// IfEntry is a row of a router's ifTable and ifXTable.
type IfEntry struct {
	*Interface
	IfIndex uint32 // now
	Up      bool
	Counters
}

// IfTable is the router's interfaces, in the order of Interfaces, as SNMP sees
// them at the time up to which the network was stepped. Counters count since the
// last restart.
func (r *Router) IfTable() []IfEntry {
	r.network.mu.Lock()
	defer r.network.mu.Unlock()
	return r.ifTable(nil)
}

func (r *Router) ifTable(to []IfEntry) []IfEntry {
	part := r.network.part()
	for i, f := range r.Interfaces {
		to = append(to, IfEntry{Interface: f, IfIndex: r.indexOf(f), Up: true, Counters: r.counted[i].plus(&r.moving[i], part)})
	}
	return to
}

// Uptime is sysUpTime: how long the router has run.
func (r *Router) Uptime() time.Duration {
	r.network.mu.Lock()
	defer r.network.mu.Unlock()
	return r.network.now.Sub(r.boot)
}

// Reading is Uptime and IfTable of one moment: no restart is between them.
func (r *Router) Reading() (time.Duration, []IfEntry) {
	r.network.mu.Lock()
	defer r.network.mu.Unlock()
	return r.network.now.Sub(r.boot), r.ifTable(make([]IfEntry, 0, len(r.Interfaces)))
}

// Datagrams is how many datagrams the router sent, and how many of those got
// lost because a scenario wanted it.
func (r *Router) Datagrams() (sent, lost uint64) {
	r.network.mu.Lock()
	defer r.network.mu.Unlock()
	return r.sent + r.lost, r.lost
}

// Records is how many flow records, or packet samples, the router exported.
func (r *Router) Records() uint64 {
	r.network.mu.Lock()
	defer r.network.mu.Unlock()
	return r.records
}
