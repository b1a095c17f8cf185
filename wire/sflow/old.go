package sflow

// Versions 2 and 4 (RFC 3176) have the records of version 5 in other clothes:
// their order is fixed, their numbers are others, and none has a length.

// oldSamples decodes count samples and tells how many are missing.
func (r *run) oldSamples(d *reader, count uint32) (missing uint32) {
	for ; count > 0 && len(d.rest) >= 4 && !r.lost; count-- {
		switch kind := d.uint32(); kind {
		case flowSample:
			r.oldFlowSample(d)
		case counterSample:
			r.oldCounterSample(d)
		default:
			r.lose(SampleFormat, kind)
		}
	}
	return count
}

// lose gives the rest of the datagram up: behind a structure of unknown size.
func (r *run) lose(kind Kind, format uint32) {
	r.skip(kind, format)
	r.Problems[SampleUnknown]++
	r.lost = true
}

// ended counts what the datagram's end cut off.
func (r *run) ended(d *reader, problem Problem) {
	if !d.ok && !r.lost {
		r.Problems[problem]++
		r.lost = true
	}
}

func (r *run) oldFlowSample(d *reader) {
	s := Sample{Sequence: d.uint32(), Source: d.source(false)}
	d.uint32s(&s.Rate, &s.Pool, &s.Drops)
	in, out := d.uint32(), d.uint32()
	if !d.ok {
		r.ended(d, SampleTruncated)
		return
	}
	i := r.row(s.Rate)
	s.Row = i
	r.Samples = append(r.Samples, s)
	to := Port{Value: out}
	if out>>31 != 0 {
		to = Port{PortSeveral, out & 0x7fffffff}
	}
	r.interfaces(i, s.Source, Port{Value: in}, to)

	var p sampled
	r.oldPacket(i, &p, d)
	for n := d.uint32(); n > 0 && d.ok && !r.lost; n-- {
		r.oldExtended(i, &p, d)
	}
	r.ended(d, RecordTruncated)
	r.finish(i, &p)
}

// oldPacket decodes what the sample says of the packet itself.
func (r *run) oldPacket(i int, s *sampled, d *reader) {
	switch kind := d.uint32(); {
	case !d.ok:
	case kind == 1:
		protocol, frame, size := d.uint32(), d.uint32(), d.uint32()
		header, rest := clip(d.rest, size)
		d.rest = rest
		if uint64(len(header)) < uint64(size) {
			d.ok = false
		}
		r.header(i, s, protocol, int64(frame), header)
	case kind == 2:
		r.flowRecord(i, s, ip4Header, d)
	case kind == 3:
		r.flowRecord(i, s, ip6Header, d)
	default:
		r.lose(FlowRecord, kind)
	}
}

// oldExtended decodes one of the records behind it.
func (r *run) oldExtended(i int, s *sampled, d *reader) {
	switch kind := d.uint32(); {
	case !d.ok:
	case kind >= 1 && kind <= 4: // switch, router, gateway, user
		r.flowRecord(i, s, extendedSwitch-1+kind, d)
	case kind == 5:
		r.skip(FlowRecord, extendedURL)
		d.uint32() // its direction
		d.opaque()
	default:
		r.lose(FlowRecord, kind)
	}
}

func (r *run) oldCounterSample(d *reader) {
	r.CounterSamples++
	o := Origin{Sequence: d.uint32(), Source: d.source(false)}
	d.uint32() // seconds between two of them
	kind := d.uint32()
	switch {
	case !d.ok:
	case kind == 7:
		r.counterRecord(o, vlanCounters, d)
	case kind >= 1 && kind <= 6:
		r.counterRecord(o, ifCounters, d)
		switch kind {
		case 2:
			r.counterRecord(o, ethernetCounters, d)
		case 3:
			r.counterRecord(o, tokenRingCounters, d)
		case 5:
			r.counterRecord(o, vgCounters, d)
		}
	default:
		r.lose(CounterRecord, kind)
	}
	r.ended(d, RecordTruncated)
}
