// Package nfdump reads flows from what nfdump prints with -o csv and -o json
// (or ndjson), so that archives of nfcapd's can be taken over.
//
// nfdump's text says less than its files: it names no time zone, its csv cuts
// times to seconds, and a zero may be a value or nothing at all. What is made
// of that is told with the fields (fields.go) and in docs/store.md. Columns are
// found by their names in csv's header or JSON's keys; a name that nobody
// explained is an error, never a guess.
package nfdump

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"time"

	"github.com/minamo-flow/minamo/flow"
)

// Config says what the text leaves open. Its zero value is ready, for text
// that names the router of every flow, in UTC.
type Config struct {
	Exporter flow.Addr      // of flows that name no router; zero: such a flow is an error
	Location *time.Location // of times that name no zone; nil is UTC
	Ignore   []string       // fields to pass over, known or not
}

// Stats tells what was read, and what was made of it.
type Stats struct {
	Records int64 // of nfdump's; each is a row, or two where it counts both directions
	Rows    int64
	Mended  int64 // records whose times were missing or the wrong way round
	Sampled int64 // records whose counters nfcapd has multiplied by a sampling rate already
	Tunnels int64 // csv lines for nothing but the ends of a tunnel, which are left out

	// Unheld are fields that say something, but that no column holds: in how
	// many records.
	Unheld map[string]int64
}

// Reader reads records one after the other. It takes bounded memory, whatever
// the input.
type Reader struct {
	in     *bufio.Reader
	next   func(*Reader) error // fills fields with a record's, or returns io.EOF
	cfg    Config
	ignore map[string]bool
	stats  Stats

	fields []pair
	line   []byte // of csv
	number int64  // of lines or objects read
	header []*field
	names  []string // of the header
	totals *totals  // what csv says at its end
	sums   totals   // of the csv table so far
	record record
}

// pair is a field of a record with its text, valid until the next record.
type pair struct {
	*field
	text []byte
}

// maxRecord bounds a record's text. nfdump's have less than 4 KiB.
const maxRecord = 1 << 16

// NewCSV reads `nfdump -o csv`.
func NewCSV(in io.Reader, c Config) *Reader { return newReader(in, c, (*Reader).nextCSV) }

// NewJSON reads `nfdump -o json` and ndjson.
func NewJSON(in io.Reader, c Config) *Reader { return newReader(in, c, (*Reader).nextJSON) }

func newReader(in io.Reader, c Config, next func(*Reader) error) *Reader {
	if c.Location == nil {
		c.Location = time.UTC
	}
	r := &Reader{in: bufio.NewReaderSize(in, maxRecord), next: next, cfg: c, ignore: map[string]bool{}, stats: Stats{Unheld: map[string]int64{}}}
	for _, name := range c.Ignore {
		r.ignore[name] = true
	}
	return r
}

// Stats tells what was read so far.
func (r *Reader) Stats() Stats { return r.stats }

// Read appends the next record to b: a row, or two where the record counts
// both directions. io.EOF says that there are no more. After any other error
// nothing is appended, and the rest cannot be trusted.
func (r *Reader) Read(b *flow.Batch) error {
	for {
		if err := r.next(r); err == io.EOF {
			return io.EOF
		} else if err != nil {
			return r.at(err)
		}
		if r.tunnel() {
			r.stats.Tunnels++
			continue
		}
		before := b.Len()
		r.record.begin(b)
		for _, p := range r.fields {
			if err := p.read(&r.record, p.text, r); err != nil {
				b.Truncate(before)
				return r.at(fmt.Errorf("field %s: %w", p.name, err))
			}
		}
		if err := r.record.finish(r); err != nil {
			b.Truncate(before)
			return r.at(err)
		}
		r.sums.add(&r.record)
		r.stats.Records++
		r.stats.Rows += int64(b.Len() - before)
		return nil
	}
}

// at tells where an error is.
func (r *Reader) at(err error) error {
	if r.line != nil {
		return fmt.Errorf("line %d: %w", r.number, err)
	}
	return fmt.Errorf("record %d: %w", r.number, err)
}

// tunnel tells whether the record is what csv of nfdump 1.7.1 puts before a
// flow in a tunnel: a line without a packet, an address or a time of receipt.
func (r *Reader) tunnel() bool {
	if r.line == nil {
		return false
	}
	said := 0
	for _, p := range r.fields {
		switch p.name {
		case "sa", "da":
			if !bytes.Equal(p.text, []byte("0.0.0.0")) && !bytes.Equal(p.text, []byte("::")) {
				return false
			}
			said++
		case "ipkt", "ibyt":
			if !bytes.Equal(p.text, []byte("0")) {
				return false
			}
			said++
		case "tr":
			if ms, err := parseTime(p.text, r.cfg.Location); err != nil || ms != 0 {
				return false
			}
			said++
		}
	}
	return said == 5
}

// totals are what nfdump sums up: both directions, and as many flows as were
// aggregated in a record, of which csv does not always tell.
type totals struct{ flows, packets, bytes uint64 }

func (t *totals) add(r *record) {
	t.flows += max(r.aggregated, 1)
	t.packets += r.packets + r.outPackets
	t.bytes += r.bytes + r.outBytes
}
