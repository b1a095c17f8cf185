package geo

import (
	"encoding/binary"

	"github.com/minamo-flow/minamo/flow"
)

// cache remembers the places of addresses, and those of a database's records.
// Walking a database takes some hundred nanoseconds; most flows are of few
// addresses, and most addresses of few records.
type cache struct {
	databases []*database
	records   []map[uintptr]place // of each database
	entries   []entry             // by the hash of the address
}

type entry struct {
	addr  flow.Addr
	place place
	known bool
}

const (
	cacheBits   = 15
	mostRecords = 1 << 17 // of one database; City's have more
)

func newCache(databases []*database) *cache {
	c := &cache{databases: databases, entries: make([]entry, 1<<cacheBits)}
	for range databases {
		c.records = append(c.records, map[uintptr]place{})
	}
	return c
}

func (c *cache) annotate(b *flow.Batch, addr, country, as, source flow.Column) {
	addrs, countries, numbers, sources := b.Addr(addr), b.U16(country), b.U32(as), b.U8(source)
	for i := range addrs {
		present := &b.Present[i]
		if !present.Has(addr) {
			continue
		}
		p := c.place(&addrs[i])
		if p.country != 0 {
			countries[i] = p.country
			present.Add(country)
		}
		if p.as != 0 && numbers[i] == 0 {
			numbers[i], sources[i] = p.as, flow.ASGeo
			present.Add(as)
			present.Add(source)
		}
	}
}

// place finds an address.
func (c *cache) place(a *flow.Addr) place {
	h := binary.LittleEndian.Uint64(a[:8])*0x9e3779b97f4a7c15 ^ binary.LittleEndian.Uint64(a[8:])
	h *= 0xd6e8feb86659fd93
	e := &c.entries[h>>(64-cacheBits)]
	if !e.known || e.addr != *a {
		*e = entry{*a, c.ask(a), true}
	}
	return e.place
}

// ask goes to the databases: of each thing the first counts that knows it.
func (c *cache) ask(a *flow.Addr) (p place) {
	address := a.Netip()
	for i, db := range c.databases {
		result := db.reader.Lookup(address)
		if !result.Found() {
			continue
		}
		found, known := c.records[i][result.Offset()]
		if !known {
			if r, err := decode(result); err == nil { // load has seen all of them
				found = r.place()
			}
			if len(c.records[i]) >= mostRecords {
				clear(c.records[i])
			}
			c.records[i][result.Offset()] = found
		}
		if p.country == 0 {
			p.country = found.country
		}
		if p.as == 0 {
			p.as = found.as
		}
	}
	return p
}
