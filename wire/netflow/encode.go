package netflow

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/minamo-flow/minamo/flow"
)

// Why something can't be encoded; test with errors.Is.
var (
	ErrTemplate = errors.New("can't be encoded")
	ErrLarge    = errors.New("doesn't fit a datagram")
)

// Encoder writes NetFlow v5, NetFlow v9 or IPFIX, the inverse of a Session:
// what it writes of the rows of a batch decodes to the same rows again, as
// far as their template reaches. It does no I/O and has no clock: the time of
// export is passed in, as milliseconds since the epoch, and each datagram is
// handed to send, to be used before send returns. On a stream (RFC 7011 §10.4)
// the same bytes are the messages.
//
//	e := netflow.Encoder{Version: flow.IPFIX, Domain: 1, Resend: 60_000}
//	err := e.Flows(&netflow.IPFIXTemplate, batch, 0, batch.Len(), now, func(d []byte) error {
//		_, err := conn.Write(d)
//		return err
//	})
//
// A template goes out in the first datagram that needs it. Set the fields
// before the first use. Encoding allocates nothing once the buffer has grown.
// An Encoder is not safe for concurrent use.
type Encoder struct {
	Version  uint16 // flow.NetFlow5, flow.NetFlow9 or flow.IPFIX
	Domain   uint32 // observation domain; v9's source id; v5's engine type × 256 + engine id
	Sequence uint32 // of the next datagram, in the protocol's unit: see Message.Units
	Boot     int64  // ms since the epoch: when sysUptime was zero
	Sampling uint16 // v5's header: the rate, and the mode in the upper two bits
	MaxSize  int    // of a datagram; 0 means 1400, and a stream takes 65535
	Resend   int64  // ms after which a template is sent again, as UDP needs it; 0 means never

	// Skipped counts the rows that were left out: those of IPv6 in v5.
	Skipped int

	p         []byte // the datagram
	records   int    // in it, templates included
	data      int    // … not included
	templates map[uint16]*encoding
}

// Flows writes the rows [from, to) of b as records of a template of flows; of
// v5, which has none, t is ignored. Where a column is absent the value is
// zero, but the destination port of ICMP is type × 256 + code, as devices have
// it; what is too great for a field is the field's greatest value, but a 16-bit
// AS number is then AS_TRANS (RFC 6793).
func (e *Encoder) Flows(t *Template, b *flow.Batch, from, to int, now int64, send func(datagram []byte) error) error {
	if e.Version == flow.NetFlow5 {
		return e.flows5(b, from, to, now, send)
	}
	c, err := e.use(t)
	if err != nil {
		return err
	}
	if t.Options {
		return fmt.Errorf("netflow: template %d of options as one of flows %w", t.ID, ErrTemplate)
	}
	return e.sets(c, to-from, now, send, func(i int) error {
		e.p = c.appendRow(e.p, b, from+i, e.Boot)
		return nil
	})
}

// Options writes records of options data. Of each only the fields' values
// count, in the template's order, each as long as its field; where one is not,
// nothing is written.
func (e *Encoder) Options(t *Template, records []OptionRecord, now int64, send func(datagram []byte) error) error {
	c, err := e.use(t)
	if err != nil {
		return err
	}
	if !t.Options {
		return fmt.Errorf("netflow: template %d of flows as one of options %w", t.ID, ErrTemplate)
	}
	for i := range records {
		if e.p, err = c.appendOptions(e.p[:0], &records[i]); err != nil {
			return err
		}
	}
	return e.sets(c, len(records), now, send, func(i int) (err error) {
		e.p, err = c.appendOptions(e.p, &records[i])
		return err
	})
}

// Withdraw tells that an IPFIX template is no longer used (RFC 7011 §8.1),
// which must be before its id is used for another on a stream; over UDP there
// are no withdrawals.
func (e *Encoder) Withdraw(id uint16, now int64, send func(datagram []byte) error) error {
	c := e.templates[id]
	if c == nil || e.Version != flow.IPFIX {
		return fmt.Errorf("netflow: withdrawal of template %d %w", id, ErrTemplate)
	}
	delete(e.templates, id)
	e.begin()
	set := uint16(ipfixTemplates)
	if c.Options {
		set++
	}
	be := binary.BigEndian
	e.p = be.AppendUint16(be.AppendUint16(e.p, set), setHeader+4)
	e.p = be.AppendUint16(be.AppendUint16(e.p, id), 0)
	return e.send(now, send)
}

// use finds the encoding of a template, or makes it.
func (e *Encoder) use(t *Template) (*encoding, error) {
	if c := e.templates[t.ID]; c != nil && c.equal(t) {
		return c, nil
	}
	if e.Version != flow.NetFlow9 && e.Version != flow.IPFIX || t.ID < firstDataSet {
		return nil, fmt.Errorf("netflow: template %d of version %d %w", t.ID, e.Version, ErrTemplate)
	}
	c, err := newEncoding(t, e.Version)
	if err != nil {
		return nil, err
	}
	if e.templates == nil {
		e.templates = map[uint16]*encoding{}
	}
	e.templates[t.ID] = c
	return c, nil
}

// sets writes n records of a template, each by put, into as many datagrams as
// they take.
func (e *Encoder) sets(c *encoding, n int, now int64, send func([]byte) error, put func(int) error) error {
	size := e.size()
	for i := 0; i < n; {
		e.begin()
		if !c.sent || e.Resend > 0 && now-c.last >= e.Resend {
			e.p = append(e.p, c.template...)
			e.records++
		}
		described := e.records > 0
		set := len(e.p)
		e.p = append(e.p, byte(c.ID>>8), byte(c.ID), 0, 0)
		for ; i < n; i++ {
			end := len(e.p)
			if err := put(i); err != nil {
				return err
			}
			if len(e.p)+c.padding(len(e.p)) > size {
				e.p = e.p[:end]
				break
			}
			e.records++
			e.data++
		}
		if e.data == 0 {
			if e.p = e.p[:set]; !described || len(e.p) > size {
				return fmt.Errorf("netflow: a record of template %d %w of %d bytes", c.ID, ErrLarge, size)
			}
		} else {
			e.p = append(e.p, make([]byte, c.padding(len(e.p)))...)
			binary.BigEndian.PutUint16(e.p[set+2:], uint16(len(e.p)-set))
		}
		if err := e.send(now, send); err != nil {
			return err
		}
		if described {
			c.sent, c.last = true, now
		}
	}
	return nil
}

func (e *Encoder) size() int {
	if e.MaxSize <= 0 {
		return 1400
	}
	return min(e.MaxSize, 1<<16-1)
}

// begin begins a datagram.
func (e *Encoder) begin() {
	e.p = append(e.p[:0], make([]byte, headerLength(e.Version))...)
	e.records, e.data = 0, 0
}

// send completes the header, and hands the datagram on. Clocks of v9 and IPFIX
// count seconds: v9's sysUptime is that of the same second, so that the times
// reckoned from it are exact.
func (e *Encoder) send(now int64, send func([]byte) error) error {
	be, h := binary.BigEndian, e.p
	be.PutUint16(h, e.Version)
	be.PutUint16(h[2:], uint16(e.records))
	switch e.Version {
	case flow.IPFIX:
		be.PutUint16(h[2:], uint16(len(e.p)))
		be.PutUint32(h[4:], uint32(now/1000))
		be.PutUint32(h[8:], e.Sequence)
		be.PutUint32(h[12:], e.Domain)
		e.Sequence += uint32(e.data)
	case flow.NetFlow9:
		be.PutUint32(h[4:], uint32(now/1000*1000-e.Boot))
		be.PutUint32(h[8:], uint32(now/1000))
		be.PutUint32(h[12:], e.Sequence)
		be.PutUint32(h[16:], e.Domain)
		e.Sequence++
	default:
		be.PutUint32(h[4:], uint32(now-e.Boot))
		be.PutUint32(h[8:], uint32(now/1000))
		be.PutUint32(h[12:], uint32(now%1000*1e6))
		be.PutUint32(h[16:], e.Sequence)
		be.PutUint16(h[20:], uint16(e.Domain))
		be.PutUint16(h[22:], e.Sampling)
		e.Sequence += uint32(e.data)
	}
	return send(e.p)
}

// encoding5 writes v5's records.
var encoding5 = func() *encoding {
	c, err := newEncoding(&Template{ID: firstDataSet, Fields: v5Fields}, flow.NetFlow9)
	if err != nil {
		panic(err)
	}
	return c
}()

func (e *Encoder) flows5(b *flow.Batch, from, to int, now int64, send func([]byte) error) error {
	const most = 30 // records; Cisco's bound
	n := min((e.size()-v5Header)/v5Record, most)
	if n < 1 {
		return fmt.Errorf("netflow: a v5 record %w of %d bytes", ErrLarge, e.size())
	}
	sources, destinations := b.Addr(flow.SrcAddr), b.Addr(flow.DstAddr)
	for row := from; row < to; {
		e.begin()
		for ; row < to && e.data < n; row++ {
			if six(sources[row]) || six(destinations[row]) {
				e.Skipped++
				continue
			}
			e.p = encoding5.appendRow(e.p, b, row, e.Boot)
			e.records++
			e.data++
		}
		if e.data == 0 {
			return nil
		}
		if err := e.send(now, send); err != nil {
			return err
		}
	}
	return nil
}

// encoding is a template, ready to be written, and what writes its records.
type encoding struct {
	Template
	template []byte // the set that describes it
	steps    []step
	least    int   // the shortest record
	sent     bool  // … the template
	last     int64 // … when
}

// step writes a field of a record.
type step struct {
	to     target
	as     conversion
	id     uint16
	length uint16
	paired bool // another field of the record is for the other version of IP
}

// newEncoding makes the encoding of a template, if each of its elements can
// be taken from columns.
func newEncoding(t *Template, version uint16) (*encoding, error) {
	c := &encoding{Template: *t}
	c.Fields = slices.Clone(t.Fields)
	if len(t.Fields) == 0 || int(t.Scopes) > len(t.Fields) {
		return nil, fmt.Errorf("netflow: template %d of %d fields, %d of them scope, %w", t.ID, len(t.Fields), t.Scopes, ErrTemplate)
	}
	for _, f := range t.Fields {
		if version != flow.IPFIX && (f.Enterprise != 0 && f.Enterprise != ScopeV9 || f.Length == variable) {
			return nil, fmt.Errorf("netflow: element %d/%d of length %d in v9 %w", f.Enterprise, f.Element, f.Length, ErrTemplate)
		}
		if version == flow.IPFIX && f.Element > 0x7fff { // the bit says that an enterprise follows
			return nil, fmt.Errorf("netflow: element %d in IPFIX %w", f.Element, ErrTemplate)
		}
		if f.Length == variable {
			c.least++
		} else {
			c.least += int(f.Length)
		}
		if t.Options {
			continue
		}
		s := step{id: f.Element, length: f.Length}
		if to, ok := columnless[f.Element]; ok && f.Enterprise == 0 {
			s.to = to
			if f.Length > 8 && to != numTargets || f.Length == variable {
				return nil, fmt.Errorf("netflow: element %d of length %d %w", f.Element, f.Length, ErrTemplate)
			}
		} else {
			e, ok := byID[elementKey{f.Enterprise, f.Element}]
			ok = ok && !e.reverse && (e.to != icmpTypeCode || f.Length > 1) && e.to != frameSize && e.to != reverseDelay
			switch e.as {
			case asText:
			case asCommunities, asACL, asFlags, asBefore:
				ok = false
			case asApplication:
				ok = ok && f.Length <= 8
			default:
				ok = ok && f.Length != variable && e.as.fits(int(f.Length))
			}
			if !ok {
				return nil, fmt.Errorf("netflow: element %d/%d of length %d %w", f.Enterprise, f.Element, f.Length, ErrTemplate)
			}
			s.to, s.as = e.to, e.as
		}
		c.steps = append(c.steps, s)
	}
	if c.least == 0 {
		return nil, fmt.Errorf("netflow: template %d of empty records %w", t.ID, ErrTemplate)
	}
	for i := range c.steps {
		for k, o := range c.steps {
			c.steps[i].paired = c.steps[i].paired || k != i && o.to == c.steps[i].to
		}
	}
	c.template = t.appendSet(nil, version)
	return c, nil
}

// columnless are elements that feed no column and are written nevertheless,
// since routers' templates have them: as a column, or as zero.
var columnless = map[uint16]target{
	paddingOctets: numTargets,
	53:            flow.TTL,   // maximumTTL: a flow has one
	64:            numTargets, // ipv6ExtensionHeaders: none
}

// appendSet appends the set that describes the template.
func (t *Template) appendSet(p []byte, version uint16) []byte {
	be, ipfix := binary.BigEndian, version == flow.IPFIX
	set := uint16(v9Templates)
	if ipfix {
		set = ipfixTemplates
	}
	if t.Options {
		set++
	}
	p = be.AppendUint16(be.AppendUint16(p, set), 0)
	p = be.AppendUint16(p, t.ID)
	switch scopes := uint16(4 * t.Scopes); {
	case ipfix && t.Options:
		p = be.AppendUint16(be.AppendUint16(p, uint16(len(t.Fields))), t.Scopes)
	case t.Options:
		p = be.AppendUint16(be.AppendUint16(p, scopes), uint16(4*len(t.Fields))-scopes)
	default:
		p = be.AppendUint16(p, uint16(len(t.Fields)))
	}
	for _, f := range t.Fields {
		if ipfix && f.Enterprise != 0 {
			p = be.AppendUint16(be.AppendUint16(p, f.Element|0x8000), f.Length)
			p = be.AppendUint32(p, f.Enterprise)
		} else {
			p = be.AppendUint16(be.AppendUint16(p, f.Element), f.Length)
		}
	}
	p = append(p, make([]byte, -len(p)&3)...)
	be.PutUint16(p[2:], uint16(len(p)))
	return p
}

// padding is how many bytes a set that ends at n needs to end at a multiple
// of four; none where they could be taken for a record.
func (c *encoding) padding(n int) int {
	if n = -n & 3; n < c.least {
		return n
	}
	return 0
}

// appendRow appends a row of a batch as a record.
func (c *encoding) appendRow(p []byte, b *flow.Batch, row int, boot int64) []byte {
	be := binary.BigEndian
	for i := range c.steps {
		s := &c.steps[i]
		var v uint64
		switch s.as {
		case asText:
			p = appendText(p, b.Text(s.to, row), s.length)
			continue
		case asAddr4:
			a := &b.Addr(s.to)[row]
			if six(*a) {
				p = append(p, 0, 0, 0, 0)
			} else {
				p = append(p, a[12:]...)
			}
			continue
		case asAddr6:
			a := b.Addr(s.to)[row]
			if s.paired && !six(a) {
				a = flow.Addr{}
			}
			p = append(p, a[:]...)
			continue
		case asMillis, asSeconds, asNTP, asUptime:
			v = stamp(s, b, row, boot)
		case asLabel:
			v = b.Uint(s.to, row) << 4
			if s.length == 4 {
				v <<= 8
			}
		case asDSCP:
			v = b.Uint(s.to, row) >> 2
		default:
			v = value(s, b, row, boot)
		}
		switch s.length {
		case 1:
			p = append(p, byte(min(v, 1<<8-1)))
		case 2:
			p = be.AppendUint16(p, uint16(min(v, 1<<16-1)))
		case 4:
			p = be.AppendUint32(p, uint32(min(v, 1<<32-1)))
		case 8:
			p = be.AppendUint64(p, v)
		default:
			if s.length < 8 {
				v = min(v, 1<<(8*s.length)-1)
			}
			for at := int(s.length) - 1; at >= 0; at-- {
				if at < 8 {
					p = append(p, byte(v>>(8*at)))
				} else {
					p = append(p, 0)
				}
			}
		}
	}
	return p
}

// six tells whether an address is one of IPv6; no address is of either.
func six(a flow.Addr) bool { return !a.Is4() && a != flow.Addr{} }

// value is what a field says that isn't a time, an address or text.
func value(s *step, b *flow.Batch, row int, boot int64) uint64 {
	const icmp4, tcp, udp, icmp6, asTrans = 1, 6, 17, 58, 23456
	switch s.to {
	case numTargets: // padding, and what is zero
		return 0
	case ipVersion:
		for _, a := range [...]flow.Addr{b.Addr(flow.SrcAddr)[row], b.Addr(flow.DstAddr)[row]} {
			if six(a) {
				return 6
			} else if a.Is4() {
				return 4
			}
		}
		return 0
	case icmpTypeCode, flow.ICMPType, flow.ICMPCode:
		if s.paired && (b.U8(flow.Protocol)[row] == icmp6) != (s.id == 139 || s.id == 178 || s.id == 179) {
			return 0
		}
		if s.to == icmpTypeCode {
			return b.Uint(flow.ICMPType, row)<<8 | b.Uint(flow.ICMPCode, row)
		}
	case flow.SrcPort, flow.DstPort:
		protocol := b.U8(flow.Protocol)[row]
		switch present := b.Present[row]; {
		case s.paired && (s.id >= 182 && protocol != tcp || (s.id == 180 || s.id == 181) && protocol != udp):
			return 0
		case s.to == flow.DstPort && (protocol == icmp4 || protocol == icmp6) && present.Has(flow.ICMPType) && !present.Has(flow.DstPort):
			return b.Uint(flow.ICMPType, row)<<8 | b.Uint(flow.ICMPCode, row) // where devices put them
		}
	case flow.SrcMask, flow.DstMask:
		a := b.Addr(flow.SrcAddr)[row]
		if s.to == flow.DstMask {
			a = b.Addr(flow.DstAddr)[row]
		}
		if s.paired && six(a) != (s.id >= 29) {
			return 0
		}
	case flow.SrcAS, flow.DstAS:
		if v := b.Uint(s.to, row); s.length == 2 && v > 1<<16-1 {
			return asTrans
		}
	case flow.TCPFlags:
		if s.length == 1 {
			return b.Uint(s.to, row) & 0xff
		}
	case duration:
		d := max(b.Time(flow.End)[row]-b.Time(flow.Start)[row], 0)
		if s.as == asMicros {
			d *= 1000
		}
		return uint64(d)
	case bootTime:
		return uint64(boot)
	case rateInterval, rateSize:
		return min(b.Uint(flow.SamplingRate, row), 1)
	case rateSpace:
		return max(b.Uint(flow.SamplingRate, row), 1) - 1
	case ratePopulation:
		return b.Uint(flow.SamplingRate, row)
	case rateProbability:
		share := 0.0
		if rate := b.Uint(flow.SamplingRate, row); rate > 0 {
			share = 1 / float64(rate)
		}
		if s.length == 4 {
			return uint64(math.Float32bits(float32(share)))
		}
		return math.Float64bits(share)
	}
	return b.Uint(s.to, row)
}

// stamp is a time as a field has it. Stamps since boot wrap as the clock does.
func stamp(s *step, b *flow.Batch, row int, boot int64) uint64 {
	to := s.to
	if to == eventTime {
		to = flow.End
	}
	ms := b.Time(to)[row]
	switch s.as {
	case asUptime:
		return uint64(uint32(ms - boot))
	case asSeconds:
		return uint64(max(ms, 0) / 1000)
	case asNTP:
		ms = max(ms, 0)
		return uint64(ms/1000+ntpEpoch)<<32 | uint64(ms%1000<<32/1000)
	}
	return uint64(max(ms, 0))
}

// appendText appends text to a field: zeros behind it, or its length before
// it. Where it doesn't fit it is cut behind a whole character.
func appendText(p, text []byte, length uint16) []byte {
	if length == variable {
		text = text[:min(len(text), 1<<16-1)]
		if p = appendLength(p, len(text)); len(text) == 0 {
			return p
		}
		return append(p, text...)
	}
	if len(text) > int(length) {
		cut := int(length)
		for cut > 0 && text[cut]&0xc0 == 0x80 {
			cut--
		}
		text = text[:cut]
	}
	p = append(p, text...)
	return append(p, make([]byte, int(length)-len(text))...)
}

// appendLength appends the length of a variable-length field (RFC 7011 §7).
func appendLength(p []byte, n int) []byte {
	if n < 255 {
		return append(p, byte(n))
	}
	return append(p, 255, byte(n>>8), byte(n))
}

// appendOptions appends the values of a record of options data.
func (c *encoding) appendOptions(p []byte, r *OptionRecord) ([]byte, error) {
	i := 0
	for _, f := range c.Fields {
		if f.Length == 0 {
			continue
		}
		if i == len(r.Fields) {
			return p, fmt.Errorf("netflow: a record of %d fields for template %d %w", len(r.Fields), c.ID, ErrTemplate)
		}
		v := r.Fields[i].Value
		i++
		if f.Length == variable && len(v) < 1<<16 {
			p = appendLength(p, len(v))
		} else if len(v) != int(f.Length) {
			return p, fmt.Errorf("netflow: a value of %d bytes for element %d of length %d %w", len(v), f.Element, f.Length, ErrTemplate)
		}
		p = append(p, v...)
	}
	return p, nil
}

// Templates with what routers usually send, and the probe, too. Each flow has
// a value of each of their elements.
var (
	V9IPv4Template    = Template{Version: flow.NetFlow9, ID: 256, Fields: slices.Concat(usualCounters, uptimes, usualKeys, ipv4)}
	V9IPv6Template    = Template{Version: flow.NetFlow9, ID: 257, Fields: slices.Concat(usualCounters, uptimes, usualKeys, ipv6)}
	IPFIXIPv4Template = Template{Version: flow.IPFIX, ID: 256, Fields: slices.Concat(usualCounters, absolute, usualKeys, ipv4)}
	IPFIXIPv6Template = Template{Version: flow.IPFIX, ID: 257, Fields: slices.Concat(usualCounters, absolute, usualKeys, ipv6)}

	// IPFIXTemplate is for either version of IP: of each pair of addresses one
	// is zero.
	IPFIXTemplate = Template{Version: flow.IPFIX, ID: 258, Fields: slices.Concat(usualCounters, absolute, usualKeys, ipv4, ipv6, fieldsOf(60, 1))}
)

var (
	usualCounters = fieldsOf(1, 8, 2, 8)
	uptimes       = fieldsOf(22, 4, 21, 4)
	absolute      = fieldsOf(152, 8, 153, 8)
	usualKeys     = fieldsOf(
		10, 4, 14, 4, // interfaces
		7, 2, 11, 2, 4, 1, 6, 1, 5, 1, // ports, protocol, flags, ToS
		16, 4, 17, 4, // AS numbers
		61, 1, 89, 1, // direction, forwarding status
		58, 2, 59, 2, 56, 6, 80, 6, // VLANs, MAC addresses
	)
	ipv4 = fieldsOf(8, 4, 12, 4, 15, 4, 9, 1, 13, 1, 32, 2)
	ipv6 = fieldsOf(27, 16, 28, 16, 62, 16, 29, 1, 30, 1, 139, 2)
)
