package quality

import (
	"io"
	"time"

	"github.com/minamo-flow/minamo/internal/journal"
)

// files are those of minutes: a journal whose records are minutes, or parts of
// one.
var files = journal.Form{Mark: "MINAMOQ1", Extension: ".minutes"}

const (
	fullRecord  = 256 << 10 // a record that has so much holds no further exporter
	beforeRange = time.Hour // how long before a range a minute may begin that reaches into it
)

// appendMinute writes a minute as records.
func appendMinute(to []byte, m *Minute) []byte {
	rest := *m
	for {
		part := rest
		part.Exporters = nil
		size := 0
		for i := range rest.Exporters { // as many as fit
			if size > fullRecord {
				break
			}
			probe := journal.Codec{Writing: true}
			codeExporter(&probe, &rest.Exporters[i])
			size += len(probe.Data)
			part.Exporters = rest.Exporters[:i+1]
		}
		to = journal.Frame(to, func(to []byte) []byte {
			c := journal.Codec{Data: to, Writing: true}
			part.head(&c)
			part.body(&c)
			return c.Data
		})
		rest.Exporters = rest.Exporters[len(part.Exporters):]
		if len(rest.Exporters) == 0 {
			return to
		}
		rest.Sockets, rest.Started = nil, false // told once
	}
}

// readRecords reads a file's records: those of minutes that want says yes to are
// decoded. It returns where the last good one ends, and how many were damaged.
func readRecords(file io.Reader, want func(*Minute) bool, each func(*Minute) error) (good int64, damaged int, err error) {
	return files.Records(file, reader(want, each))
}

// reader hands on the minutes that payloads hold and want says yes to.
func reader(want func(*Minute) bool, each func(*Minute) error) func([]byte) error {
	return func(payload []byte) error {
		m, c := Minute{}, journal.Codec{Data: payload}
		m.head(&c)
		if c.Fault == nil && !want(&m) {
			return nil
		}
		if m.body(&c); c.Fault != nil || len(c.Data) > 0 {
			return journal.Damaged
		}
		return each(&m)
	}
}

// read reads the minutes that are in [from, to) in part at least, in the order
// of the days. damaged counts records that could not be read.
func read(dir string, from, to time.Time, each func(*Minute) error) (damaged int, err error) {
	return files.Read(dir, from.Add(-beforeRange), to, reader(func(m *Minute) bool { return m.At.Before(to) && m.End().After(from) }, each))
}
