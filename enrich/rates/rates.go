// Package rates keeps the sampling rates that the operator sets in place of what
// flows claim: the cure where the proof finds that an exporter tells a wrong one.
//
// Flows stay as they were exported. The query engine takes an override into
// account when it multiplies, and store when it sums flows up (Correct), so that
// history is right, too, and taking an override back leaves no trace. The server
// keeps the list; commands read its file.
package rates

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/internal/durable"
)

// Override is a sampling rate that was set by hand.
type Override struct {
	Exporter  netip.Addr `json:"exporter"`
	Interface uint32     `json:"interface,omitempty" doc:"Only flows that came in by this ifIndex; 0: all"`
	From      *time.Time `json:"from,omitempty" doc:"Of flows that begin then or later; left out: of all of the past"`
	To        *time.Time `json:"to,omitempty" doc:"Of flows that begin earlier; left out: from now on, too"`
	Rate      uint32     `json:"rate" minimum:"1" doc:"One packet in so many is sampled; 1: counters are as they should be"`
	Note      string     `json:"note,omitempty" maxLength:"300" doc:"Why"`
}

// Of tells whether it is of a flow.
func (o *Override) of(exporter netip.Addr, in uint32, start time.Time) bool {
	return o.Exporter == exporter && (o.Interface == 0 || o.Interface == in) &&
		(o.From == nil || !start.Before(*o.From)) && (o.To == nil || start.Before(*o.To))
}

// most bounds the list: each costs a little of every question.
const most = 200

// ErrChanged says that somebody else has changed the list meanwhile.
var ErrChanged = errors.New("the sampling rates by hand were changed meanwhile: read them again")

// List is the operator's overrides, kept in a file. Of several that fit a flow
// the first counts. It is safe for concurrent use.
type List struct {
	path string

	mu   sync.Mutex
	list []Override
	now  atomic.Pointer[[]Override] // list, for who reads
}

// Open reads the file. That there is none yet is no error.
func Open(path string) (*List, error) {
	l := &List{path: path}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &l.list)
	}
	if err == nil {
		err = check(l.list)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	l.now.Store(&l.list)
	return l, nil
}

// All is the list; it may not be changed.
func (l *List) All() []Override {
	if list := l.now.Load(); list != nil {
		return *list
	}
	return nil
}

// Revision names what the list is now.
func (l *List) Revision() string { return durable.Revision(l.All()) }

// Change checks a list, keeps it, and uses it from then on. Where revision is not
// that of the list as it is, nothing happens but ErrChanged; "" is any. It returns
// the overrides that are no longer there or that are new.
func (l *List) Change(revision string, list []Override) (changed []Override, err error) {
	if err := check(list); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if revision != "" && revision != durable.Revision(l.list) {
		return nil, ErrChanged
	}
	text, err := json.MarshalIndent(list, "", "  ")
	if err != nil {
		return nil, err
	}
	if err := durable.WriteFile(l.path, text); err != nil {
		return nil, err
	}
	for _, pair := range [][2][]Override{{l.list, list}, {list, l.list}} {
		for _, o := range pair[0] {
			if !slices.ContainsFunc(pair[1], o.same) {
				changed = append(changed, o)
			}
		}
	}
	l.list = slices.Clone(list)
	l.now.Store(&l.list)
	return changed, nil
}

func (o *Override) same(p Override) bool {
	at := func(a, b *time.Time) bool { return a == nil && b == nil || a != nil && b != nil && a.Equal(*b) }
	return o.Exporter == p.Exporter && o.Interface == p.Interface && o.Rate == p.Rate && at(o.From, p.From) && at(o.To, p.To)
}

func check(list []Override) error {
	if len(list) > most {
		return fmt.Errorf("%d sampling rates by hand: there may be %d", len(list), most)
	}
	for i, o := range list {
		switch {
		case !o.Exporter.IsValid():
			return fmt.Errorf("sampling rate %d: exporter is missing", i+1)
		case o.Exporter.Zone() != "" || o.Exporter.Is4In6():
			return fmt.Errorf("sampling rate %d: %s: an exporter has no zone, and IPv4 is written as IPv4", i+1, o.Exporter)
		case o.Rate == 0:
			return fmt.Errorf("sampling rate %d: rate is missing or 0", i+1)
		case o.From != nil && o.To != nil && !o.From.Before(*o.To):
			return fmt.Errorf("sampling rate %d ends before it begins", i+1)
		}
	}
	return nil
}

// Of is the first override of an interface's flows at a time.
func (l *List) Of(exporter netip.Addr, index uint32, at time.Time) (Override, bool) {
	for _, o := range l.All() {
		if o.of(exporter, index, at) {
			return o, true
		}
	}
	return Override{}, false
}

// Correct sets the sampling rates of a batch that overrides are of. The batch is
// for summing up: what is stored stays as it was exported.
func (l *List) Correct(b *flow.Batch) {
	list := l.All()
	if len(list) == 0 {
		return
	}
	exporters, in, start, rate := b.Addr(flow.Exporter), b.U32(flow.InIf), b.Time(flow.Start), b.U32(flow.SamplingRate)
	keys := make([]flow.Addr, len(list))
	for i := range list {
		keys[i] = flow.AddrFrom(list[i].Exporter)
	}
	for row := range rate {
		for i := range list {
			if exporters[row] == keys[i] && list[i].of(list[i].Exporter, in[row], time.UnixMilli(start[row])) {
				rate[row] = list[i].Rate
				break
			}
		}
	}
}
