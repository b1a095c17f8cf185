package probe

import (
	"math/bits"
	"math/rand/v2"
	"unsafe"

	"github.com/minamo-flow/minamo/flow"
)

// table holds flows by key: entries in chunks that never move, and an index of
// open addressing over them.
type table struct {
	chunks []chunk
	live   int      // flows in the index
	free   uint32   // first of the free entries, linked by older
	index  []uint64 // hash in the upper half, number of the entry + 1 in the lower; 0 is empty
	seed   [4]uint64
	words  int // of an entry
	used   int // entries that were ever in use
}

// entry is a flow; its key and values are words beside it. It fills a cache
// line.
type entry struct {
	present        flow.Mask
	packets, bytes uint64
	start, end     int64
	hash           uint32
	peer           uint32 // the other direction, or none
	flags          uint16
	least, most    uint16 // lengths of packets
	list           uint8  // which list by last packet it is in
	era            uint8  // the cache's, when the flow began
}

// Values of entry.list.
const (
	inNone    = iota // its peer is in the lists, or it is new
	inIdle           //
	inClosing        //
)

// links are an entry's neighbours in the lists by last and by first packet.
type links struct{ older, newer, elder, younger uint32 }

// none is no entry.
const none = 1<<32 - 1

// A chunk has the entries of chunkSize consecutive numbers.
type chunk struct {
	entries *[chunkSize]entry
	links   *[chunkSize]links
	words   []uint64
}

const (
	chunkBits = 10
	chunkSize = 1 << chunkBits
)

func (t *table) init(words int) {
	t.words = words
	t.free = none
	t.index = make([]uint64, 1024)
	for n := range t.seed {
		t.seed[n] = rand.Uint64() | 1
	}
}

func (t *table) memory() int {
	return len(t.chunks)*chunkSize*(int(unsafe.Sizeof(entry{}))+int(unsafe.Sizeof(links{}))+8*t.words) + 8*len(t.index)
}

func (t *table) entry(i uint32) *entry { return &t.chunks[i>>chunkBits].entries[i%chunkSize] }
func (t *table) links(i uint32) *links { return &t.chunks[i>>chunkBits].links[i%chunkSize] }
func (t *table) wordsOf(i uint32) []uint64 {
	at := int(i%chunkSize) * t.words
	return t.chunks[i>>chunkBits].words[at : at+t.words]
}

func (t *table) at(i uint32) (*entry, []uint64, *links) {
	return t.entry(i), t.wordsOf(i), t.links(i)
}

// hash is keyed, so that nobody can choose packets that collide.
func (t *table) hash(key []uint64) uint32 {
	h := t.seed[0]
	for ; len(key) >= 2; key = key[2:] {
		high, low := bits.Mul64(key[0]^t.seed[1], key[1]^h)
		h = high ^ low
	}
	if len(key) > 0 {
		high, low := bits.Mul64(key[0]^t.seed[1], h^t.seed[2])
		h = high ^ low
	}
	high, low := bits.Mul64(h^t.seed[2], t.seed[3])
	return uint32(high ^ low)
}

// find returns the flow with this key, or none.
func (t *table) find(hash uint32, key []uint64, present flow.Mask, of flow.Mask) uint32 {
	mask := uint32(len(t.index) - 1)
	for at := hash & mask; ; at = (at + 1) & mask {
		slot := t.index[at]
		if slot == 0 {
			return none
		}
		if uint32(slot>>32) == hash {
			if i := uint32(slot) - 1; t.same(i, key, present, of) {
				return i
			}
		}
	}
}

// same tells whether the flow i has this key: the same values, and the same
// columns without one.
func (t *table) same(i uint32, key []uint64, present flow.Mask, of flow.Mask) bool {
	e := t.entry(i)
	if e.present[0]&of[0] != present[0] || e.present[1]&of[1] != present[1] {
		return false
	}
	words := t.wordsOf(i)[:len(key)]
	for n, k := range key {
		if words[n] != k {
			return false
		}
	}
	return true
}

// insert makes an entry with this key; all else of it is zero.
func (t *table) insert(hash uint32, key []uint64) uint32 {
	if 8*(t.live+1) > 5*len(t.index) {
		t.grow()
	}
	i := t.free
	if i != none {
		t.free = t.links(i).older
	} else {
		i = uint32(t.used)
		if t.used%chunkSize == 0 {
			t.chunks = append(t.chunks, chunk{new([chunkSize]entry), new([chunkSize]links), make([]uint64, chunkSize*t.words)})
		}
		t.used++
	}
	*t.entry(i) = entry{hash: hash, peer: none}
	words := t.wordsOf(i)
	clear(words[copy(words, key):])
	t.put(uint64(hash)<<32 | uint64(i+1))
	t.live++
	return i
}

func (t *table) put(slot uint64) {
	mask := uint32(len(t.index) - 1)
	at := uint32(slot>>32) & mask
	for t.index[at] != 0 {
		at = (at + 1) & mask
	}
	t.index[at] = slot
}

func (t *table) grow() {
	old := t.index
	t.index = make([]uint64, 2*len(old))
	for _, slot := range old {
		if slot != 0 {
			t.put(slot)
		}
	}
}

// forget takes the entry i out of the index, and closes the gap.
func (t *table) forget(i uint32) {
	mask := uint32(len(t.index) - 1)
	gap := t.entry(i).hash & mask
	for uint32(t.index[gap]) != i+1 {
		gap = (gap + 1) & mask
	}
	for at := (gap + 1) & mask; t.index[at] != 0; at = (at + 1) & mask {
		if home := uint32(t.index[at]>>32) & mask; (at-home)&mask >= (at-gap)&mask {
			t.index[gap] = t.index[at]
			gap = at
		}
	}
	t.index[gap] = 0
	t.live--
}

// release gives the entry i back.
func (t *table) release(i uint32) {
	t.links(i).older = t.free
	t.free = i
}

// widen gives every entry more words, which are zero.
func (t *table) widen(words int) {
	for n := range t.chunks {
		old := t.chunks[n].words
		wide := make([]uint64, chunkSize*words)
		for i := range chunkSize {
			copy(wide[i*words:], old[i*t.words:(i+1)*t.words])
		}
		t.chunks[n].words = wide
	}
	t.words = words
}

// list is a list of entries in an order; order tells which of their links.
type list struct{ first, last uint32 }

// Lists by last packet are linked by older and newer, lists by first packet by
// elder and younger.
const (
	byLast = iota
	byFirst
)

func (l *links) of(order int) (before, behind *uint32) {
	if order == byLast {
		return &l.older, &l.newer
	}
	return &l.elder, &l.younger
}

// append puts the entry i at the end of l.
func (t *table) append(l *list, i uint32, order int) {
	before, behind := t.links(i).of(order)
	*before, *behind = l.last, none
	if l.last == none {
		l.first = i
	} else {
		_, behind := t.links(l.last).of(order)
		*behind = i
	}
	l.last = i
}

// remove takes the entry i out of l.
func (t *table) remove(l *list, i uint32, order int) {
	before, behind := t.links(i).of(order)
	if *before == none {
		l.first = *behind
	} else {
		_, next := t.links(*before).of(order)
		*next = *behind
	}
	if *behind == none {
		l.last = *before
	} else {
		previous, _ := t.links(*behind).of(order)
		*previous = *before
	}
}
