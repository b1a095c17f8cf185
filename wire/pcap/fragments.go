package pcap

import (
	"errors"
	"net/netip"
	"slices"
)

// Bounds of reassembly: RFC 791 and RFC 8200 wait about a minute, and the
// greatest datagram has 64 KiB.
const (
	maxAssembling = 256            // datagrams in the making: at most 17 MiB of them
	maxWait       = 60_000_000_000 // ns
	maxDatagram   = 1<<16 - 1
)

var errFragment = errors.New("contradicts itself or the fragments before it")

// fragmentKey tells the datagrams in the making apart; all are UDP.
type fragmentKey struct {
	src, dst netip.Addr
	id       uint32
}

// assembly holds the datagrams whose fragments are still coming, in the order
// in which they began. They are few; searching them beats hashing.
type assembly struct {
	waiting []*parts
	spare   *parts // the datagram given out last, to be reused
}

// parts is a datagram in the making, in units of eight bytes.
type parts struct {
	key       fragmentKey
	began     int64  // ns
	fragments uint64 // that were put in place
	have      [(maxDatagram/8 + 64) / 64]uint64
	units     int // how many of them
	end       int // bytes of the whole, -1 before the last fragment came
	data      []byte
}

// add puts a fragment in its place; bytes that are there already stay. It
// returns the whole datagram, valid until the next add, if that was the last
// piece. lost is how many fragments of others were given up: they waited too
// long, by the capture's own clock, or room was short.
func (a *assembly) add(key fragmentKey, now int64, offset int, more bool, body []byte) (whole []byte, lost uint64, err error) {
	for len(a.waiting) > 0 && now-a.waiting[0].began > maxWait {
		lost += a.remove(0).fragments
	}
	if offset+len(body) > maxDatagram || more && (len(body)%8 != 0 || len(body) == 0) {
		return nil, lost, errFragment
	}
	i := slices.IndexFunc(a.waiting, func(p *parts) bool { return p.key == key })
	if i < 0 {
		if len(a.waiting) == maxAssembling {
			lost += a.remove(0).fragments
		}
		i = a.begin(key, now)
	}
	p := a.waiting[i]
	if err := p.put(offset, more, body); err != nil {
		return nil, lost, err
	}
	if p.end < 0 || p.units < (p.end+7)/8 {
		return nil, lost, nil
	}
	return a.remove(i).data, lost, nil
}

// abandon gives up all datagrams in the making and returns how many fragments
// they had.
func (a *assembly) abandon() (lost uint64) {
	for _, p := range a.waiting {
		lost += p.fragments
	}
	a.waiting = nil
	return lost
}

// begin makes room for a new datagram.
func (a *assembly) begin(key fragmentKey, now int64) int {
	p := a.spare
	a.spare = nil
	if p == nil {
		p = &parts{}
	}
	*p = parts{key: key, began: now, end: -1, data: p.data[:0]}
	a.waiting = append(a.waiting, p)
	return len(a.waiting) - 1
}

// remove takes a datagram out; its bytes stay valid until the next begin.
func (a *assembly) remove(i int) *parts {
	p := a.waiting[i]
	a.waiting = slices.Delete(a.waiting, i, i+1)
	a.spare = p
	return p
}

func (p *parts) put(offset int, more bool, body []byte) error {
	end := offset + len(body)
	beyond := p.end >= 0 && end > p.end
	early := !more && p.end < 0 && end < len(p.data)
	if beyond || early {
		return errFragment
	}
	p.fragments++
	if !more && p.end < 0 {
		p.end = end
	}
	if n := end - len(p.data); n > 0 {
		p.data = slices.Grow(p.data, n)[:end]
	}
	for at := offset; at < end; at += 8 {
		word, bit := at/8/64, uint64(1)<<(at/8%64)
		if p.have[word]&bit == 0 {
			p.have[word] |= bit
			p.units++
			copy(p.data[at:min(at+8, end)], body[at-offset:])
		}
	}
	return nil
}
