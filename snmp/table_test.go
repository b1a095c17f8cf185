package snmp

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gosnmp/gosnmp"

	"github.com/minamo-flow/minamo/enrich/numbers"
)

// agent answers GetBulk from a list of names in their order.
type agent struct {
	names []string
	most  int // variables an answer has room for
	asked []uint32
}

func less(a, b string) int {
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(x), len(y)) {
		p, _ := strconv.Atoi(x[i])
		q, _ := strconv.Atoi(y[i])
		if p != q {
			return cmp.Compare(p, q)
		}
	}
	return cmp.Compare(len(x), len(y))
}

func (a *agent) bulk(oids []string, nonRepeaters uint8, repetitions uint32) (*gosnmp.SnmpPacket, error) {
	a.asked = append(a.asked, repetitions)
	p := &gosnmp.SnmpPacket{}
	next := func(after string) gosnmp.SnmpPDU {
		for _, n := range a.names {
			if less(n, after) > 0 {
				return gosnmp.SnmpPDU{Name: n, Type: gosnmp.Counter64, Value: uint64(len(n))}
			}
		}
		return gosnmp.SnmpPDU{Name: after, Type: gosnmp.EndOfMibView}
	}
	p.Variables = append(p.Variables, gosnmp.SnmpPDU{Name: sysUpTime + ".0", Type: gosnmp.TimeTicks, Value: uint32(1234)})
	last := slices.Clone(oids[nonRepeaters:])
	for range repetitions {
		for i := range last {
			v := next(last[i])
			last[i] = v.Name
			if len(p.Variables) < a.most {
				p.Variables = append(p.Variables, v)
			}
		}
	}
	return p, nil
}

func TestWalk(t *testing.T) {
	columns := []string{".1.3.6.1.2.1.2.2.1.10", ".1.3.6.1.2.1.2.2.1.16"}
	want := []string{"0:1", "0:3", "0:9", "0:4000000000", "1:3", "1:10"}
	names := []string{".1.3.6.1.2.1.1.3.0"}
	for _, w := range want {
		column, index, _ := strings.Cut(w, ":")
		n, _ := strconv.Atoi(column)
		names = append(names, columns[n]+"."+index)
	}
	names = append(names, ".1.3.6.1.2.1.2.2.1.17.1")
	slices.SortFunc(names, less)
	for _, most := range []int{2, 3, 4, 5, 100} { // however little fits into an answer
		for _, repetitions := range []uint32{1, 2, 8} {
			a := &agent{names: names, most: most}
			var got []string
			err := walk(a.bulk, columns, repetitions, func() {}, func(c cell) {
				if c.uptime != 12340*time.Millisecond {
					t.Errorf("sysUpTime %v", c.uptime)
				}
				got = append(got, fmt.Sprintf("%d:%d", c.column, c.index))
			})
			slices.SortFunc(got, func(a, b string) int { return slices.Index(want, a) - slices.Index(want, b) })
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%d variables, %d repetitions: %v, %v", most, repetitions, got, err)
			}
		}
	}
}

// TestWalkEnds: whatever a device answers, asking it ends.
func TestWalkEnds(t *testing.T) {
	column := ".1.3.6.1.2.1.2.2.1.10"
	answer := func(vars ...gosnmp.SnmpPDU) bulk {
		return func([]string, uint8, uint32) (*gosnmp.SnmpPacket, error) {
			return &gosnmp.SnmpPacket{Variables: append([]gosnmp.SnmpPDU{{Name: sysUpTime + ".0", Value: uint32(1)}}, vars...)}, nil
		}
	}
	for name, get := range map[string]bulk{
		"the same for ever": answer(gosnmp.SnmpPDU{Name: column + ".7", Value: uint64(1)}),
		"backwards":         answer(gosnmp.SnmpPDU{Name: column + ".7"}, gosnmp.SnmpPDU{Name: column + ".6"}),
		"nothing":           answer(),
		"an error": func([]string, uint8, uint32) (*gosnmp.SnmpPacket, error) {
			return &gosnmp.SnmpPacket{Error: gosnmp.GenErr}, nil
		},
		"too big even for one": func([]string, uint8, uint32) (*gosnmp.SnmpPacket, error) {
			return &gosnmp.SnmpPacket{Error: gosnmp.TooBig}, nil
		},
	} {
		if err := walk(get, []string{column}, 8, func() {}, func(cell) {}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for name, get := range map[string]bulk{
		"a longer index": answer(gosnmp.SnmpPDU{Name: column + ".7.1", Value: uint64(1)}),
		"no number":      answer(gosnmp.SnmpPDU{Name: column + ".99999999999", Value: uint64(1)}),
		"the end":        answer(gosnmp.SnmpPDU{Name: column, Type: gosnmp.EndOfMibView}),
		"another table":  answer(gosnmp.SnmpPDU{Name: ".1.3.6.1.2.1.2.2.1.11.1", Value: uint64(1)}),
	} {
		if err := walk(get, []string{column}, 8, func() {}, func(c cell) { t.Errorf("%s: a cell %+v", name, c) }); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	next := uint64(0)
	endless := func(_ []string, _ uint8, n uint32) (*gosnmp.SnmpPacket, error) {
		p, _ := answer()(nil, 0, 0)
		for range n {
			next++
			p.Variables = append(p.Variables, gosnmp.SnmpPDU{Name: column + "." + strconv.FormatUint(next, 10)})
		}
		return p, nil
	}
	if err := walk(endless, []string{column}, 8, func() {}, func(cell) {}); err == nil {
		t.Error("a table without an end")
	}
}

func TestWords(t *testing.T) {
	for in, want := range map[string]string{"xe-0/0/0": "xe-0/0/0", " a\x00\r\nb\x1b ": "a   b", "\xff": "�", strings.Repeat("x", 300): strings.Repeat("x", 255)} {
		if got := words(gosnmp.SnmpPDU{Value: []byte(in)}); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}

func TestMoved(t *testing.T) {
	was := []Interface{{Index: 1, Name: "a"}, {Index: 2, Name: "b"}, {Index: 3, Name: ""}, {Index: 4, Name: "twice"}, {Index: 5, Name: "twice"}, {Index: 6, Name: "c"}}
	for _, x := range []struct {
		now    []Interface
		moved  map[uint32]uint32
		gone   map[uint32]string
		absent string
	}{
		{was, nil, nil, ""},
		{[]Interface{{Index: 1, Name: "renamed"}, {Index: 2, Name: "b"}, {Index: 6, Name: "c"}}, nil, nil, ""},
		{[]Interface{{Index: 2, Name: "a"}, {Index: 1, Name: "b"}, {Index: 6, Name: "c"}}, map[uint32]uint32{1: 2, 2: 1}, nil, ""},
		{[]Interface{{Index: 9, Name: "new"}, {Index: 8, Name: ""}, {Index: 7, Name: "twice"}}, nil, nil, "1:a 2:b 6:c"},
		{[]Interface{{Index: 2, Name: "a"}, {Index: 1, Name: "b"}}, map[uint32]uint32{1: 2, 2: 1}, nil, "6:c"},
		{[]Interface{{Index: 6, Name: "a"}, {Index: 2, Name: "new"}}, map[uint32]uint32{1: 6}, map[uint32]string{2: "b", 6: "c"}, "2147483650:b 2147483654:c"},
	} {
		c, absent, ok := moved(was, x.now)
		var list []string
		for _, i := range absent {
			list = append(list, fmt.Sprintf("%d:%s", i.Index, i.Name))
		}
		if ok != (x.moved != nil) || len(c.Now) > 0 && !reflect.DeepEqual(c.Now, x.moved) || !reflect.DeepEqual(c.Gone, x.gone) || strings.Join(list, " ") != x.absent {
			t.Errorf("%v: %v, absent %v", x.now, c, list)
		}
	}
	// Cards come one after the other: the last to come is known still.
	_, absent, _ := moved(was, []Interface{{Index: 6, Name: "a"}})
	c, _, _ := moved(append([]Interface{{Index: 6, Name: "a"}}, absent...), []Interface{{Index: 6, Name: "a"}, {Index: 7, Name: "c"}})
	if want := (map[uint32]uint32{numbers.Gone | 6: 7}); !reflect.DeepEqual(c.Now, want) {
		t.Errorf("%v", c)
	}
}
