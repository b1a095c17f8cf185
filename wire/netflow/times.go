package netflow

import "encoding/binary"

// future is how far behind the header's own clock a time may lie and still be
// taken for what it says (devices stamp the header first, or count in coarser
// ticks); a time further ahead is one from before the 32-bit clock wrapped.
//
// The end of a flow is near the time of export: of the two moments that a
// stamp ahead of the clock may mean, it is the nearer one. Some devices stamp
// flows by another clock than the header (FortiOS 5.2 by one that is a week
// ahead); what they mean is for collect to mend, and not seven weeks ago.
const (
	future    = 60 * 60 * 1000
	farFuture = 1 << 31
)

// age is how long before uptime a sysUptime time stamp was, in milliseconds.
// The clock wraps every 49.7 days; a time up to so much ahead has a negative age.
func age(uptime, stamp, ahead uint32) int64 {
	if stamp <= uptime {
		ahead = future
	}
	return int64(uptime-stamp+ahead) - int64(ahead)
}

// ntpEpoch is 1970 in seconds since 1900.
const ntpEpoch = 2208988800

// fromNTP converts seconds and fraction since 1900; seconds before 1970 are
// of the era that begins in 2036.
func fromNTP(v uint64) int64 {
	seconds := int64(v >> 32)
	if seconds < ntpEpoch {
		seconds += 1 << 32
	}
	return (seconds-ntpEpoch)*1000 + int64((v&0xffffffff*1000+1<<31)>>32)
}

// runTimes computes start and end of each row from whatever the template has.
func (p *program) runTimes(starts, ends []int64, r *rows, h *header) {
	if p.start.used() {
		p.loadTimes(starts, p.start, r, h)
	}
	if p.end.used() {
		p.loadTimes(ends, p.end, r, h)
	}
	switch {
	case p.start.used() && p.end.used():
		if p.start.as == asUptime && p.end.as == asUptime {
			for i, end := range ends {
				if end-starts[i] >= 1<<32-future { // its start is no older than it can tell
					starts[i] += 1 << 32
				}
			}
		}
	case p.start.used():
		switch {
		case p.duration.used():
			for i := range ends {
				ends[i] = starts[i] + p.durationOf(i, r)
			}
		case p.event.used():
			p.loadTimes(ends, p.event, r, h)
		default:
			copy(ends, starts)
		}
	default:
		switch {
		case p.end.used():
		case p.event.used():
			p.loadTimes(ends, p.event, r, h)
		default:
			fill(ends, h.export)
		}
		copy(starts, ends)
		if p.duration.used() {
			for i := range starts {
				starts[i] -= p.durationOf(i, r)
			}
		}
	}
	if p.delay.used() {
		for i := range starts {
			starts[i] += int64(min(r.number(i, p.delay), 1<<40))
		}
	}
}

func (p *program) durationOf(i int, r *rows) int64 {
	v := r.number(i, p.duration)
	if p.duration.as == asMicros {
		v /= 1000
	}
	return int64(min(v, 1<<40))
}

// loadTimes converts a time field of all rows to milliseconds since the epoch.
func (p *program) loadTimes(dst []int64, f field, r *rows, h *header) {
	if f.as == asUptime {
		p.loadUptimes(dst, f, r, h)
		return
	}
	if f.as == asMillis && f.length == 8 {
		for i := range dst {
			at := r.offset(i, f.place)
			dst[i] = int64(binary.BigEndian.Uint64(r.data[at : at+8]))
		}
		return
	}
	for i := range dst {
		v := r.number(i, f)
		switch f.as {
		case asSeconds:
			dst[i] = int64(v) * 1000
		case asMillis:
			dst[i] = int64(v)
		case asNTP:
			dst[i] = fromNTP(v)
		case asBefore:
			dst[i] = h.export - int64(v/1000)
		}
	}
}

// loadUptimes converts sysUptime time stamps. NetFlow's header says when now
// is by that clock; IPFIX devices tell when they booted in the record, or once
// in options data. Where nobody told, the flow ended when it was exported, and
// at least its duration is true.
func (p *program) loadUptimes(dst []int64, f field, r *rows, h *header) {
	ahead := uint32(future)
	if f == p.end {
		ahead = farFuture
	}
	switch {
	case p.boot.used():
		for i := range dst {
			uptime := uint32(h.export - int64(r.number(i, p.boot)))
			dst[i] = h.export - age(uptime, uint32(r.number(i, f)), ahead)
		}
	case h.booted && f.length == 4:
		for i := range dst {
			at := r.offset(i, f.place)
			dst[i] = h.export - age(h.uptime, binary.BigEndian.Uint32(r.data[at:at+4]), ahead)
		}
	case h.booted:
		for i := range dst {
			dst[i] = h.export - age(h.uptime, uint32(r.number(i, f)), ahead)
		}
	case p.end.as == asUptime && p.end.used():
		for i := range dst {
			dst[i] = h.export - age(uint32(r.number(i, p.end)), uint32(r.number(i, f)), future)
		}
	default:
		fill(dst, h.export)
	}
}
