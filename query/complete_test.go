package query

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestComplete(t *testing.T) {
	for _, c := range []struct {
		filter   string // with | where the cursor is
		from, to int
		value    string
		want     []string // among the words; one that begins with - is not
	}{
		{"|", 0, 0, "", []string{"ip", "src", "not", "(", "proto", "flow_end_reason", "-and", "-)", "-payload", "-max"}},
		{"pro|", 0, 3, "", []string{"proto", "protocol", "-port"}},
		{"PRO|to tcp", 0, 5, "", []string{"proto"}},
		{"src |", 4, 4, "", []string{"ip", "net", "port", "nat", "-if", "-geo"}},
		{"src or |", 7, 7, "", []string{"src", "dst", "-ip"}},
		{"src or dst |", 11, 11, "", []string{"ip", "port", "tos", "-proto"}},
		{"in or out |", 10, 10, "", []string{"if", "vlan", "mac", "-bytes", "-src"}},
		{"proto |", 6, 6, "protocol", []string{"tcp", "udp", "=", "!=", "in", "present", "-<", "-and"}},
		{"proto t|", 6, 7, "protocol", []string{"tcp", "tlsp", "-udp"}},
		{"proto in [|", 10, 10, "protocol", []string{"tcp", "-]"}},
		{"proto in [tcp |", 14, 14, "protocol", []string{"tcp", "]"}},
		{"proto tcp |", 10, 10, "", []string{"and", "or", "-)", "-not"}},
		{"(proto tcp |", 11, 11, "", []string{"and", "or", ")"}},
		{"(proto tcp | or any)", 11, 11, "", []string{"and", ")"}},
		{"bytes>|", 6, 6, "number", []string{"-!=", "-in"}},
		{"bytes |", 6, 6, "number", []string{">", "<=", "in"}},
		{"flow_end_reason |", 16, 16, "name or number", []string{"idle-timeout", "present"}},
		{"net 10.0.0.0 |", 13, 13, "netmask", []string{"-and"}},
		{"user ~ |", 7, 7, "regex", []string{"-and"}},
		{"user |", 5, 5, "text", []string{"contains", "has", "~", "in"}},
		{"asa event denied |", 17, 17, "reason", []string{"nosyn", "and"}},
		{"port in |", 8, 8, "", []string{"[", "pblock"}},
		{"fwdstat dr|", 8, 10, "status", []string{"dropped", "drpf", "-acl-deny"}},
		{"山田 |", 3, 3, "", nil},
		{"user 山田 a|x", 8, 10, "", []string{"and"}},
		{"any # a comment |", 16, 16, "", nil},
		{"any # a comment\n|", 16, 16, "", []string{"and"}},
		{"user 'al|", 8, 8, "", nil},
		{"payload |", 8, 8, "", nil},
		{"@inc|", 0, 4, "", nil},
	} {
		text := strings.Replace(c.filter, "|", "", 1)
		got := Complete(text, utf8.RuneCountInString(c.filter[:strings.Index(c.filter, "|")]))
		if got.From != c.from || got.To != c.to || got.Value != c.value {
			t.Errorf("%s: %d to %d, value %q", c.filter, got.From, got.To, got.Value)
		}
		if c.want == nil && len(got.Words) > 0 {
			t.Errorf("%s: %v", c.filter, got.Words)
		}
		for _, w := range c.want {
			word, not := strings.CutPrefix(w, "-")
			if has := slices.ContainsFunc(got.Words, func(o Word) bool { return o.Text == word }); has == not {
				t.Errorf("%s: %s among the words: %v", c.filter, word, has)
			}
		}
	}
	for _, w := range Complete("", 0).Words {
		if w.Doc == "" && w.Text != "(" {
			t.Errorf("%s has no doc", w.Text)
		}
		if w.Text == "src_addr" && w.Kind != columnKind || w.Text == "src" && !strings.HasPrefix(w.Doc, "src ip, host, net, ") {
			t.Errorf("%+v", w)
		}
	}
	if c := Complete("any", 100); c.From != 0 || c.To != 3 {
		t.Errorf("behind the end: %+v", c)
	}
	if c := Complete("any", -1); c.From != 0 || c.To != 0 || len(c.Words) < 100 {
		t.Errorf("before the beginning: %d to %d, %d words", c.From, c.To, len(c.Words))
	}
}

// offered checks what Complete promises of a position.
func offered(text string, at int) error {
	c := Complete(text, at)
	characters := []rune(text)
	if c.From < 0 || c.From > c.To || c.To > len(characters) {
		return fmt.Errorf("%q at %d: from %d to %d", text, at, c.From, c.To)
	}
	before := string(characters[:c.From])
	for _, w := range c.Words {
		_, err := ParseFilter(before + w.Text)
		var wrong *FilterError
		if errors.As(err, &wrong) && wrong.Word != "" {
			return fmt.Errorf("%q at %d: %q is offered, but %v", text, at, w.Text, err)
		}
	}
	return nil
}

// TestCompleteEverywhere goes through filters character by character.
func TestCompleteEverywhere(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	filters := append(slices.Clone(oracleFilters), "src and dst net in [10/8 192.0.2.0/24] or in or out if 7", "asa event denied ingress and port in nat pblock", "drop_reason present")
	for range 200 {
		text := filters[r.IntN(len(filters))]
		at := r.IntN(len(text) + 1)
		if err := offered(text, at); err != nil {
			t.Error(err)
		}
		// While it is typed, what stands before is always the beginning of a
		// filter, and there is always something to go on with.
		if c := Complete(text[:at], at); len(c.Words) == 0 && c.Value == "" && !strings.Contains(text, "#") {
			t.Errorf("%q: nothing to go on with", text[:at])
		}
	}
}

func FuzzComplete(f *testing.F) {
	for _, text := range oracleFilters {
		f.Add(text, len(text)/2)
		f.Add(text+" ", len(text)+1)
	}
	f.Add("src or ", 7)
	f.Add("in or out ", 10)
	f.Add(strings.Repeat("not ", 99), 400)
	f.Add("port in nat ", 12)
	f.Add("'山' or user 山", 3)
	f.Add("any # ", 6)
	f.Fuzz(func(t *testing.T, text string, at int) {
		if !utf8.ValidString(text) {
			Complete(text, at)
			return
		}
		if err := offered(text, at); err != nil {
			t.Error(err)
		}
	})
}
