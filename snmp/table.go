package snmp

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gosnmp/gosnmp"
)

// bulk is the part of a session that a walk needs: GetBulk (RFC 3416 §4.2.3).
type bulk func(oids []string, nonRepeaters uint8, repetitions uint32) (*gosnmp.SnmpPacket, error)

// mostRows bounds a table: a device that goes on for ever is faulty.
const mostRows = 1 << 16

// cell is a value of a table.
type cell struct {
	column int
	index  uint32
	uptime time.Duration // sysUpTime in the same answer
	value  gosnmp.SnmpPDU
}

// walk reads columns of a table whose rows have one number, side by side, so
// that a row's values and sysUpTime are of the same moment, as far as the device
// can. A device answers with what fits; columns may have holes. each is told when
// an answer begins, and then its cells.
func walk(get bulk, columns []string, repetitions uint32, answer func(), each func(cell)) error {
	type place struct {
		column int
		last   int64 // the index that was read last
		next   string
	}
	var open []place
	for i, c := range columns {
		open = append(open, place{i, -1, c})
	}
	cells := 0
	for len(open) > 0 {
		oids := []string{sysUpTime}
		for _, p := range open {
			oids = append(oids, p.next)
		}
		packet, err := get(oids, 1, repetitions)
		if err != nil {
			return err
		}
		switch {
		case packet.Error == gosnmp.TooBig && repetitions > 1:
			repetitions /= 2
			continue
		case packet.Error != gosnmp.NoError:
			return fmt.Errorf("the device answers %v", packet.Error)
		case len(packet.Variables) < 2:
			return errors.New("the device answers nothing of what was asked")
		}
		uptime, _ := ticks(packet.Variables[0])
		answer()
		ended := make([]bool, len(open))
		for i, v := range packet.Variables[1:] {
			at := i % len(open)
			if ended[at] {
				continue
			}
			p := &open[at]
			rest, ok := strings.CutPrefix(v.Name, columns[p.column]+".")
			index, err := strconv.ParseUint(rest, 10, 32)
			if !ok || err != nil || v.Type == gosnmp.EndOfMibView || v.Type == gosnmp.NoSuchObject || v.Type == gosnmp.NoSuchInstance {
				ended[at] = true
				continue
			}
			if int64(index) <= p.last {
				return fmt.Errorf("the device answers %s after %d: its table does not go on", v.Name, p.last)
			}
			p.last, p.next = int64(index), v.Name
			if cells++; cells > mostRows*len(columns) {
				return fmt.Errorf("the device has more than %d interfaces", mostRows)
			}
			each(cell{p.column, uint32(index), uptime, v})
		}
		left := open[:0]
		for i, p := range open {
			if !ended[i] {
				left = append(left, p)
			}
		}
		open = left
	}
	return nil
}

// ticks reads TimeTicks: hundredths of a second.
func ticks(v gosnmp.SnmpPDU) (time.Duration, bool) {
	n, ok := number(v)
	return time.Duration(n) * 10 * time.Millisecond, ok
}

// number reads an unsigned number of whatever kind.
func number(v gosnmp.SnmpPDU) (uint64, bool) {
	switch n := v.Value.(type) {
	case int:
		return uint64(n), n >= 0
	case int64:
		return uint64(n), n >= 0
	case uint:
		return uint64(n), true
	case uint32:
		return uint64(n), true
	case uint64:
		return n, true
	}
	return 0, false
}

// words reads a text: printable, of 255 bytes at most, without what terminals
// and pages stumble over.
func words(v gosnmp.SnmpPDU) string {
	b, ok := v.Value.([]byte)
	if !ok {
		return ""
	}
	text := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(string(b[:min(len(b), 255)]), "�"))
	return strings.TrimSpace(text)
}
