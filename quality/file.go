package quality

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A file has the minutes of one day of UTC: a mark, then records. A record is
// the length of its payload and the payload's CRC-32C, four bytes each, least
// first, and the payload. What a crash left half written is cut off when the
// file is next appended to; a record that is damaged is passed over.
const (
	mark      = "MINAMOQ1"
	extension = ".minutes"
	header    = 8

	mostRecord  = 64 << 20
	fullRecord  = 256 << 10 // a record that has so much holds no further exporter
	beforeRange = time.Hour // how long before a range a minute may begin that reaches into it
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendMinute writes a minute as records.
func appendMinute(to []byte, m *Minute) []byte {
	rest := *m
	for {
		start := len(to)
		c := codec{data: append(to, make([]byte, header)...), writing: true}
		rest.head(&c)
		part := rest
		part.Exporters = nil
		size := 0
		for i := range rest.Exporters { // as many as fit
			if size > fullRecord {
				break
			}
			probe := codec{writing: true}
			probe.exporter(&rest.Exporters[i])
			size += len(probe.data)
			part.Exporters = rest.Exporters[:i+1]
		}
		part.body(&c)
		to = c.data
		payload := to[start+header:]
		binary.LittleEndian.PutUint32(to[start:], uint32(len(payload)))
		binary.LittleEndian.PutUint32(to[start+4:], crc32.Checksum(payload, castagnoli))
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
	r := bufio.NewReaderSize(file, 64<<10)
	var head [header]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, 0, nil // nothing was written yet
	}
	if string(head[:]) != mark {
		return 0, 0, errors.New("it holds no minutes of this version")
	}
	at := int64(header)
	good = at
	var room []byte
	for {
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return good, damaged, nil
		}
		size := int(binary.LittleEndian.Uint32(head[:]))
		if size > mostRecord {
			return good, damaged, nil // lengths mean nothing any more
		}
		// A length is believed as far as there are bytes.
		room = room[:0]
		for len(room) < size {
			part := min(size-len(room), 64<<10)
			room = slices.Grow(room, part)[:len(room)+part]
			if _, err := io.ReadFull(r, room[len(room)-part:]); err != nil {
				return good, damaged, nil
			}
		}
		at += int64(header + size)
		if crc32.Checksum(room, castagnoli) != binary.LittleEndian.Uint32(head[4:]) {
			damaged++
			continue
		}
		good = at
		m, c := Minute{}, codec{data: room}
		m.head(&c)
		if c.fault == nil && !want(&m) {
			continue
		}
		if m.body(&c); c.fault != nil || len(c.data) > 0 {
			damaged++
			continue
		}
		if err := each(&m); err != nil {
			return good, damaged, err
		}
	}
}

// appender appends to the file of a day.
type appender struct {
	dir  string
	day  string
	file *os.File
	size int64

	synced time.Time // by the machine's clock
}

// syncEvery bounds how often a clock that runs faster than time makes us sync.
const syncEvery = time.Second

func dayOf(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// open opens the file of a day, behind its last good record.
func (a *appender) open(day string) (err error) {
	a.close()
	if err := os.MkdirAll(a.dir, 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(a.dir, day+extension), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	good, _, err := readRecords(f, func(*Minute) bool { return false }, nil)
	if err != nil {
		return fmt.Errorf("%s: %w", f.Name(), err)
	}
	if err := f.Truncate(good); err != nil {
		return err
	}
	if _, err := f.Seek(good, io.SeekStart); err != nil {
		return err
	}
	if good == 0 {
		if _, err := f.WriteString(mark); err != nil {
			return err
		}
		good = header
		dir, err := os.Open(a.dir)
		if err != nil {
			return err
		}
		if err := errors.Join(f.Sync(), dir.Sync(), dir.Close()); err != nil {
			return err
		}
	}
	a.file, a.day, a.size = f, day, good
	return nil
}

// append makes a minute durable; of minutes that are shorter than a second it
// writes down each, and syncs some. most bounds the file.
func (a *appender) append(m *Minute, most int64) error {
	if day := dayOf(m.At); a.file == nil || day != a.day {
		if err := a.open(day); err != nil {
			return err
		}
	}
	records := appendMinute(nil, m)
	if a.size+int64(len(records)) > most {
		return fmt.Errorf("%s is full: it has %d bytes", a.file.Name(), a.size)
	}
	_, err := a.file.Write(records)
	if time.Since(a.synced) >= syncEvery {
		err = errors.Join(err, a.file.Sync())
		a.synced = time.Now()
	}
	if err != nil {
		a.close() // opening anew cuts off what is half written
		return err
	}
	a.size += int64(len(records))
	return nil
}

func (a *appender) close() error {
	if a.file == nil {
		return nil
	}
	f := a.file
	a.file = nil
	return errors.Join(f.Sync(), f.Close())
}

// days lists the days there are files of, the oldest first.
func days(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var list []string
	for _, e := range entries {
		day, ok := strings.CutSuffix(e.Name(), extension)
		if _, wrong := time.Parse(time.DateOnly, day); ok && wrong == nil {
			list = append(list, day)
		}
	}
	return list, err
}

// retain deletes the oldest files, until none is older than age and all have no
// more than most bytes. The newest stays.
func retain(dir string, age time.Duration, most int64, now time.Time) error {
	list, err := days(dir)
	if err != nil || len(list) == 0 {
		return err
	}
	var all int64
	var failed []error
	oldest := dayOf(now.Add(-age))
	slices.Reverse(list)
	for i, day := range list {
		path := filepath.Join(dir, day+extension)
		if info, err := os.Stat(path); err == nil {
			all += info.Size()
		}
		if i > 0 && (day < oldest || all > most) {
			failed = append(failed, os.Remove(path))
		}
	}
	return errors.Join(failed...)
}

// read reads the minutes that are in [from, to) in part at least, in the order
// of the days. damaged counts records that could not be read.
func read(dir string, from, to time.Time, each func(*Minute) error) (damaged int, err error) {
	list, err := days(dir)
	if err != nil {
		return 0, err
	}
	first, last := dayOf(from.Add(-beforeRange)), dayOf(to)
	for _, day := range list {
		if day < first || day > last {
			continue
		}
		f, err := os.Open(filepath.Join(dir, day+extension))
		if errors.Is(err, fs.ErrNotExist) {
			continue // retention was faster
		}
		if err != nil {
			return damaged, err
		}
		_, n, err := readRecords(f, func(m *Minute) bool { return m.At.Before(to) && m.End().After(from) }, each)
		damaged += n
		if err := errors.Join(err, f.Close()); err != nil {
			return damaged, fmt.Errorf("%s: %w", f.Name(), err)
		}
	}
	return damaged, nil
}
