package nfdump

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// nextCSV reads the next record's line. A table begins with its header; there
// may be several one after the other, as files printed in a row make them.
// nfdump's summary at the end is held against what was read.
func (r *Reader) nextCSV() error {
	for {
		line, err := r.nextLine()
		if err == io.EOF && r.header == nil && r.number > 0 && r.stats.Records == 0 && r.totals == nil {
			return fmt.Errorf("no header of nfdump's csv in it")
		}
		if err != nil {
			return err
		}
		switch {
		case len(line) == 0, string(line) == "No matching flows":
			continue
		case string(line) == "Summary":
			if err := r.summary(); err != nil {
				return err
			}
			continue
		}
		first, _, _ := bytes.Cut(line, comma)
		switch {
		case r.header == nil && line[0] >= '0' && line[0] <= '9':
			return errors.New("a line of values before the header with their names: run nfdump without -q")
		case r.header == nil, csvFields[string(first)] != nil:
			if err := r.readHeader(line); err != nil {
				return err
			}
			continue
		}
		return r.split(line)
	}
}

// nextLine reads a line without its end.
func (r *Reader) nextLine() ([]byte, error) {
	line, err := r.in.ReadSlice('\n')
	r.line = line
	r.number++
	switch {
	case errors.Is(err, bufferFull):
		return nil, fmt.Errorf("longer than %d bytes: this is not nfdump's csv", maxRecord)
	case err == io.EOF && len(line) > 0:
		return nil, errors.New("it ends within this line")
	case err != nil:
		r.number--
		return nil, err
	}
	r.line = bytes.TrimRight(line, "\r\n")
	return r.line, nil
}

// readHeader learns which columns there are.
func (r *Reader) readHeader(line []byte) error {
	names := strings.Split(string(line), ",")
	r.header, r.names = make([]*field, len(names)), names
	r.sums = totals{}
	seen := map[string]bool{}
	roles := map[role]bool{}
	for i, name := range names {
		name = strings.TrimSpace(name)
		if r.ignore[name] {
			continue
		}
		f := csvFields[name]
		if f == nil {
			r.header = nil
			if len(names) == 1 {
				return fmt.Errorf("%.60q is neither nfdump's header nor a line of values", line)
			}
			return fmt.Errorf("column %.60q is not known: leave it out with --ignore, or use nfdump -o json", name)
		}
		if seen[name] {
			r.header = nil
			return fmt.Errorf("column %s is there twice", name)
		}
		seen[name] = true
		r.header[i] = f
		roles[f.role] = true
	}
	for _, need := range needed {
		if !roles[need.role] {
			r.header = nil
			return fmt.Errorf("no column has %s (%s)", need.what, need.names)
		}
	}
	if !roles[isEnd] && !roles[isDuration] {
		r.header = nil
		return errors.New("no column has the end of flows (te, lastSeen) or their duration (td, duration)")
	}
	return nil
}

// split finds the values of a line.
func (r *Reader) split(line []byte) error {
	r.fields = r.fields[:0]
	if bytes.IndexByte(line, '"') >= 0 {
		values, err := csv.NewReader(bytes.NewReader(line)).Read()
		if err != nil {
			return err
		}
		if len(values) != len(r.header) {
			return r.width(len(values))
		}
		for i, v := range values {
			r.value(i, []byte(v))
		}
		return nil
	}
	n := 0
	for rest, more := line, true; more; n++ {
		var value []byte
		value, rest, more = bytes.Cut(rest, comma)
		if n < len(r.header) {
			r.value(n, value)
		}
	}
	if n != len(r.header) {
		return r.width(n)
	}
	return nil
}

var comma = []byte(",")

func (r *Reader) value(i int, text []byte) {
	if f := r.header[i]; f != nil {
		r.fields = append(r.fields, pair{f, bytes.TrimSpace(text)})
	}
}

func (r *Reader) width(n int) error {
	return fmt.Errorf("%d values where the header names %d", n, len(r.header))
}

// summary holds nfdump's sums against ours.
func (r *Reader) summary() error {
	head, err := r.nextLine()
	if err != nil {
		return unexpected(err)
	}
	names := strings.Split(string(head), ",")
	line, err := r.nextLine()
	if err != nil {
		return unexpected(err)
	}
	if string(line) == "No matching flows" {
		return nil
	}
	values := strings.Split(string(line), ",")
	if len(values) != len(names) {
		return r.width(len(values))
	}
	r.totals = &totals{}
	for i, name := range names {
		into := map[string]*uint64{"flows": &r.totals.flows, "bytes": &r.totals.bytes, "packets": &r.totals.packets}[name]
		if into == nil {
			continue
		}
		if *into, err = strconv.ParseUint(strings.TrimSpace(values[i]), 10, 64); err != nil {
			return fmt.Errorf("summary: %s is %.30q, no number", name, values[i])
		}
	}
	if t := *r.totals; t.packets != r.sums.packets || t.bytes != r.sums.bytes || t.flows < r.sums.flows {
		return fmt.Errorf("nfdump's summary has %d flows, %d packets, %d bytes, but its lines add up to %d, %d, %d: lines are missing",
			r.totals.flows, r.totals.packets, r.totals.bytes, r.sums.flows, r.sums.packets, r.sums.bytes)
	}
	r.sums = totals{}
	return nil
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
