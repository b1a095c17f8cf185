// Package journal keeps records of what happened in a file for each day of UTC:
// appended, durable, and read in the order of time.
//
// quality and counters write their histories with it. A record is opaque here;
// Codec writes and reads what is in one. What a crash left half written is cut
// off when the file is next appended to; a record that is damaged is passed over
// and counted.
package journal

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

// Form is how the files of a journal are told from others.
type Form struct {
	Mark      string // the first 8 bytes of each file
	Extension string // of the files' names, behind the day
}

// Before the payload of each record stand its length and its CRC-32C, four bytes
// each, least first.
const (
	header     = 8
	mostRecord = 64 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Damaged is what a reader of payloads returns of one that it cannot read.
var Damaged = errors.New("a record is damaged")

// Frame appends a record to a list of records; write appends the payload.
func Frame(to []byte, write func([]byte) []byte) []byte {
	start := len(to)
	to = write(append(to, make([]byte, header)...))
	payload := to[start+header:]
	binary.LittleEndian.PutUint32(to[start:], uint32(len(payload)))
	binary.LittleEndian.PutUint32(to[start+4:], crc32.Checksum(payload, castagnoli))
	return to
}

// Records reads a file's records and hands on their payloads, which are valid
// until each returns. It returns where the last good one ends, and how many were
// damaged: by their check sum, or because each said so.
func (f Form) Records(file io.Reader, each func(payload []byte) error) (good int64, damaged int, err error) {
	r := bufio.NewReaderSize(file, 64<<10)
	var head [header]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, 0, nil // nothing was written yet
	}
	if string(head[:]) != f.Mark {
		return 0, 0, fmt.Errorf("it has no records of this version (%s)", f.Mark)
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
		switch err := each(room); {
		case errors.Is(err, Damaged):
			damaged++
		case err != nil:
			return good, damaged, err
		}
	}
}

// Appender appends to the file of a day. It is for one caller.
type Appender struct {
	Form
	Dir string

	day  string
	file *os.File
	size int64

	synced time.Time // by the machine's clock
}

// syncEvery bounds how often a clock that runs faster than time makes us sync.
const syncEvery = time.Second

func dayOf(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// Holds tells whether the open file is that of t's day.
func (a *Appender) Holds(t time.Time) bool { return a.day == dayOf(t) }

// open opens the file of a day, behind its last good record.
func (a *Appender) open(day string) (err error) {
	a.Close()
	if err := os.MkdirAll(a.Dir, 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(a.Dir, day+a.Extension), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	good, _, err := a.Records(f, func([]byte) error { return nil })
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
		if _, err := f.WriteString(a.Mark); err != nil {
			return err
		}
		good = header
		dir, err := os.Open(a.Dir)
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

// Append makes records of the day of at durable; of those that come faster than
// each second it writes down each, and syncs some. most bounds the file.
func (a *Appender) Append(at time.Time, records []byte, most int64) error {
	if day := dayOf(at); a.file == nil || day != a.day {
		if err := a.open(day); err != nil {
			return err
		}
	}
	if a.size+int64(len(records)) > most {
		return fmt.Errorf("%s is full: it has %d bytes", a.file.Name(), a.size)
	}
	_, err := a.file.Write(records)
	if time.Since(a.synced) >= syncEvery {
		err = errors.Join(err, a.file.Sync())
		a.synced = time.Now()
	}
	if err != nil {
		a.Close() // opening anew cuts off what is half written
		return err
	}
	a.size += int64(len(records))
	return nil
}

// Close syncs and closes the file; appending opens it again.
func (a *Appender) Close() error {
	if a.file == nil {
		return nil
	}
	f := a.file
	a.file = nil
	return errors.Join(f.Sync(), f.Close())
}

// Days lists the days there are files of, the oldest first.
func (f Form) Days(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var list []string
	for _, e := range entries {
		day, ok := strings.CutSuffix(e.Name(), f.Extension)
		if _, wrong := time.Parse(time.DateOnly, day); ok && wrong == nil {
			list = append(list, day)
		}
	}
	return list, err
}

// Retain deletes the oldest files, until none is older than age and all have no
// more than most bytes. The newest stays.
func (f Form) Retain(dir string, age time.Duration, most int64, now time.Time) error {
	list, err := f.Days(dir)
	if err != nil || len(list) == 0 {
		return err
	}
	var all int64
	var failed []error
	oldest := dayOf(now.Add(-age))
	slices.Reverse(list)
	for i, day := range list {
		path := filepath.Join(dir, day+f.Extension)
		if info, err := os.Stat(path); err == nil {
			all += info.Size()
		}
		if i > 0 && (day < oldest || all > most) {
			failed = append(failed, os.Remove(path))
		}
	}
	return errors.Join(failed...)
}

// Read hands on the payloads of the records of all days from that of from to
// that of to, in the order of the days. damaged counts records that could not be
// read.
func (f Form) Read(dir string, from, to time.Time, each func(payload []byte) error) (damaged int, err error) {
	list, err := f.Days(dir)
	if err != nil {
		return 0, err
	}
	first, last := dayOf(from), dayOf(to)
	for _, day := range list {
		if day < first || day > last {
			continue
		}
		file, err := os.Open(filepath.Join(dir, day+f.Extension))
		if errors.Is(err, fs.ErrNotExist) {
			continue // retention was faster
		}
		if err != nil {
			return damaged, err
		}
		_, n, err := f.Records(file, each)
		damaged += n
		if err := errors.Join(err, file.Close()); err != nil {
			return damaged, fmt.Errorf("%s: %w", file.Name(), err)
		}
	}
	return damaged, nil
}
