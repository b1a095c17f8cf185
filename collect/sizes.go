package collect

import (
	"math"
	"math/bits"
	"net/netip"
)

// RecordSizes is how many sampled packets the flow records of an exporter were
// made of, and how long those were, of a choice of its records; newer ones count
// for more.
type RecordSizes struct {
	Packets     []PacketCount
	PacketBytes float64 // mean; 0 where nothing is known
}

// PacketCount is how many records were of so many packets.
type PacketCount struct {
	Packets float64 // the mean of a range
	Records uint64
}

// RecordSizes tells of every exporter.
func (e *Exporters) RecordSizes() map[netip.Addr]RecordSizes {
	all := map[netip.Addr]RecordSizes{}
	for _, x := range e.all() {
		x.mu.Lock()
		sum := recordSizes{}
		for _, d := range x.domains {
			sum.add(&d.observed.sizes)
		}
		x.mu.Unlock()
		all[x.addr] = sum.read()
	}
	return all
}

// recordSizes counts records of up to 8 packets each, and more by powers of two.
type recordSizes struct {
	records        [sizeRanges]uint64
	all            uint64
	packets, bytes uint64 // of all records
}

const (
	singleSizes = 8
	sizeRanges  = singleSizes + 1 + 20 // the last is of more than 2²²; the first of none, and empty
	forgetAfter = 1 << 20              // records: then all count half
)

// one takes in a record that stands for some.
func (s *recordSizes) one(packets, bytes, records uint64) {
	if packets-1 >= 1<<28 || bytes >= 1<<38 {
		return // none, or garbage: sums stay in 64 bits
	}
	s.records[sizeRange(packets)] += records
	s.packets += packets * records
	s.bytes += bytes * records
	if s.all += records; s.all > forgetAfter {
		s.fade()
	}
}

// fade lets all that was counted count half.
func (s *recordSizes) fade() {
	for i := range s.records {
		s.records[i] /= 2
	}
	s.all, s.packets, s.bytes = s.all/2, s.packets/2, s.bytes/2
}

func sizeRange(packets uint64) int {
	if packets <= singleSizes {
		return int(packets)
	}
	return min(singleSizes+bits.Len64((packets-1)/singleSizes), sizeRanges-1)
}

func (s *recordSizes) add(other *recordSizes) {
	for i, n := range other.records {
		s.records[i] += n
	}
	s.packets += other.packets
	s.bytes += other.bytes
}

func (s *recordSizes) read() RecordSizes {
	var r RecordSizes
	for i, n := range s.records {
		if n == 0 {
			continue
		}
		packets := float64(i)
		if i > singleSizes { // (8·2ⁿ, 16·2ⁿ]
			packets = singleSizes * math.Sqrt2 * math.Exp2(float64(i-singleSizes-1))
		}
		r.Packets = append(r.Packets, PacketCount{packets, n})
	}
	if s.packets > 0 {
		r.PacketBytes = float64(s.bytes) / float64(s.packets)
	}
	return r
}
