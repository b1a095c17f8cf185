package counters

import (
	"net/netip"
	"time"

	"github.com/minamo-flow/minamo/enrich/numbers"
	"github.com/minamo-flow/minamo/internal/journal"
)

var files = journal.Form{Mark: "MINAMOC1", Extension: ".counters"}

// appendRecord writes a record: the time of its first interval, then of each the
// differences to that.
func appendRecord(to []byte, r *Record) []byte {
	return journal.Frame(to, func(to []byte) []byte {
		c := journal.Codec{Data: to, Writing: true}
		r.code(&c)
		return c.Data
	})
}

// code goes over the fields of a record.
func (r *Record) code(c *journal.Codec) {
	c.Address(&r.Device)
	c.Uint8((*uint8)(&r.Source))
	c.Bool(&r.Restarted)
	var base int64
	if c.Writing && len(r.Intervals) > 0 {
		base = r.Intervals[0].To.UnixMilli()
	}
	c.Int(&base)
	if base > 1<<47 || base < 0 {
		c.Fail("a time that cannot be")
	}
	index := uint32(0)
	journal.List(c, &r.Intervals, mostInterfaces, func(c *journal.Codec, i *Interval) {
		step := int64(i.Index) - int64(index)
		to, length := i.To.UnixMilli()-base, uint64(i.To.Sub(i.From).Milliseconds())
		c.Int(&step)
		c.Int(&to)
		c.Uint(&length)
		if length > uint64(2*longestGap.Milliseconds()) || to > 1<<40 || to < -1<<40 || step > 1<<32 || step < -1<<32 {
			c.Fail("an interval that cannot be")
			return
		}
		if !c.Writing {
			i.Index = uint32(int64(index) + step)
			i.To = time.UnixMilli(base + to).UTC()
			i.From = i.To.Add(-time.Duration(length) * time.Millisecond)
		}
		index = i.Index
		i.each(&Amounts{}, func(v, _ *uint64) { c.Uint(v) })
	})
}

// Read hands on what is kept of a time, in the order in which it was written:
// records of which an interval may reach into [from, to), of one device, or of
// all where device is none. A Record is valid until each returns.
func (h *History) Read(device netip.Addr, from, to time.Time, each func(*Record) error) error {
	var r Record
	damaged, err := files.Read(h.cfg.Dir, from, to.Add(longestGap), func(payload []byte) error {
		c := journal.Codec{Data: payload}
		if device.IsValid() { // most are of others
			var of netip.Addr
			head := c
			if head.Address(&of); head.Fault == nil && of != device {
				return nil
			}
		}
		if r.code(&c); c.Fault != nil || len(c.Data) > 0 {
			return journal.Damaged
		}
		return each(&r)
	})
	if damaged > 0 {
		h.damaged.Add(uint64(damaged))
		h.log.Warn("some interface counters are damaged, and were left out", "records", damaged)
	}
	return err
}

// Series is what an interface's counters moved by in each bucket.
type Series struct {
	Step    time.Duration
	From    time.Time
	Covered []time.Duration // of each bucket, how much is known
	Amounts []Amounts       // in that time
}

// Key is an interface.
type Key struct {
	Device netip.Addr
	Index  uint32
}

// Table reads the series of all interfaces, or those of one device or one
// interface: index is 0 for all, and that of today otherwise. An interval is spread evenly over its time, as
// flows are. restarts has the times at which devices were found restarted.
func (h *History) Table(device netip.Addr, index uint32, from, to time.Time, step time.Duration) (map[Key]*Series, error) {
	n := int((to.Sub(from) + step - 1) / step)
	all := map[Key]*Series{}
	var eras map[netip.Addr][]numbers.Era
	if known := h.eras.Load(); known != nil {
		eras = *known
	}
	err := h.Read(device, from, to, func(r *Record) error {
		then := eras[r.Device]
		for k := range r.Intervals {
			i := &r.Intervals[k]
			if !i.To.After(from) || !i.From.Before(to) {
				continue
			}
			key := Key{r.Device, numbers.Of(then, r.Device, i.Index, i.From)}
			if index != 0 && key.Index != index {
				continue
			}
			s := all[key]
			if s == nil {
				s = &Series{Step: step, From: from, Covered: make([]time.Duration, n), Amounts: make([]Amounts, n)}
				all[key] = s
			}
			s.add(i)
		}
		return nil
	})
	return all, err
}

func (s *Series) add(i *Interval) {
	length := i.To.Sub(i.From)
	if length <= 0 {
		return
	}
	end := s.From.Add(time.Duration(len(s.Amounts)) * s.Step)
	for at := max(0, int(i.From.Sub(s.From)/s.Step)); at < len(s.Amounts); at++ {
		begin := s.From.Add(time.Duration(at) * s.Step)
		if !begin.Before(i.To) || !begin.Before(end) {
			return
		}
		stop := begin.Add(s.Step)
		a, b := begin, stop
		if i.From.After(a) {
			a = i.From
		}
		if i.To.Before(b) {
			b = i.To
		}
		if !b.After(a) {
			continue
		}
		s.Covered[at] += b.Sub(a)
		// The parts sum to the whole.
		before, until := float64(a.Sub(i.From))/float64(length), float64(b.Sub(i.From))/float64(length)
		s.Amounts[at].each(&i.Amounts, func(sum, moved *uint64) {
			*sum += uint64(float64(*moved)*until) - uint64(float64(*moved)*before)
		})
	}
}
