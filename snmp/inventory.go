package snmp

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/minamo-flow/minamo/enrich/numbers"
	"github.com/minamo-flow/minamo/internal/durable"
)

// Device is what is known of a device that is asked.
type Device struct {
	Address     netip.Addr `json:"address" doc:"Of the exporter"`
	Version     string     `json:"version" doc:"2c or 3"`
	Name        string     `json:"name" doc:"sysName"`
	Description string     `json:"description" doc:"sysDescr"`
	Uptime      float64    `json:"uptime_seconds" doc:"sysUpTime, when it answered last"`
	Reachable   bool       `json:"reachable" doc:"It answered when it was asked last"`
	LastPolled  time.Time  `json:"last_polled"`
	LastAnswer  time.Time  `json:"last_answer"`
	Error       string     `json:"error,omitempty" doc:"Why it did not"`
	Interfaces  int        `json:"interfaces" doc:"How many it has"`
	Took        float64    `json:"poll_milliseconds" doc:"How long asking it took, all requests together"`
	Requests    int        `json:"requests" doc:"How many that were"`
	Renumbered  *time.Time `json:"renumbered,omitempty" doc:"When its interfaces were last found with other numbers"`
}

// Interface is what a device calls one of its interfaces.
type Interface struct {
	Index       uint32 `json:"index"`                 // ifIndex
	Name        string `json:"name"`                  // ifName
	Description string `json:"description,omitempty"` // ifDescr
	Alias       string `json:"alias,omitempty"`       // ifAlias: what the operator wrote
	Type        uint32 `json:"type,omitempty"`        // IANAifType
	Speed       uint64 `json:"speed,omitempty"`       // bit/s
	Up          bool   `json:"up"`                    // ifOperStatus
}

// saved is what outlives a restart: so that flows have names while nobody has
// answered yet, and in commands.
type saved struct {
	Version int           `json:"version"`
	Devices []savedDevice `json:"devices"`
}

type savedDevice struct {
	Device
	List    []Interface      `json:"list"`
	Changes []numbers.Change `json:"changes,omitempty"`
	Absent  []Interface      `json:"absent,omitempty"`
}

const stateVersion = 1

// Known is a device and its interfaces, by ifIndex.
type Known struct {
	Device
	Interfaces []Interface
	Changes    []numbers.Change // of their numbers, the oldest first
}

// Load reads what devices are and call their interfaces from the file that a
// Poller keeps, for commands. That there is none is no error.
func Load(path string) (map[netip.Addr]Known, error) {
	devices, err := load(path)
	all := map[netip.Addr]Known{}
	for _, d := range devices {
		all[d.Address] = Known{d.Device, d.List, d.Changes}
	}
	return all, err
}

func load(path string) ([]savedDevice, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var s saved
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if s.Version != stateVersion {
		return nil, fmt.Errorf("%s: version %d is not known here", path, s.Version)
	}
	return s.Devices, nil
}

// save writes what is known. p.mu is not held.
func (p *Poller) save() error {
	p.mu.Lock()
	s := saved{Version: stateVersion, Devices: []savedDevice{}}
	for _, address := range slices.SortedFunc(maps.Keys(p.devices), netip.Addr.Compare) {
		d := p.devices[address]
		if len(d.list) > 0 {
			s.Devices = append(s.Devices, savedDevice{d.Device, d.list, d.changes, d.absent})
		}
	}
	p.mu.Unlock()
	s.Devices = append(s.Devices, p.unasked...) // who is asked again one day is known still
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return durable.WriteFile(p.cfg.StateFile, text)
}

// mostAbsent is how many interfaces are remembered that a device has no more.
const mostAbsent = 1 << 12

// moved tells which interfaces have other numbers than they had: those whose name
// was there once, and is there once now, elsewhere. was holds also those that were
// absent for a while, as after a restart, when cards come one after the other; absent
// are those that are now. ok is false where all have their numbers.
func moved(was, now []Interface) (c numbers.Change, absent []Interface, ok bool) {
	before, after := onlyOnce(was), onlyOnce(now)
	taken := map[uint32]bool{}
	for _, i := range now {
		taken[i.Index] = true
	}
	c.Now = map[uint32]uint32{}
	for name, i := range after {
		if old, there := before[name]; there && old.Index != i.Index {
			c.Now[old.Index] = i.Index
		}
	}
	ok = len(c.Now) > 0
	for name, old := range before {
		if _, there := after[name]; there {
			continue
		}
		if taken[old.Index] && !ok {
			continue // it has another name
		}
		if taken[old.Index] {
			if c.Gone == nil {
				c.Gone = map[uint32]string{}
			}
			c.Gone[old.Index] = name
			old.Index |= numbers.Gone
		}
		if len(absent) < mostAbsent {
			absent = append(absent, old)
		}
	}
	slices.SortFunc(absent, func(a, b Interface) int { return cmp.Compare(a.Index, b.Index) })
	return c, absent, ok
}

// onlyOnce are the interfaces whose names no others have.
func onlyOnce(list []Interface) map[string]Interface {
	by, twice := map[string]Interface{}, map[string]bool{}
	for _, i := range list {
		if _, there := by[i.Name]; there {
			twice[i.Name] = true
		}
		by[i.Name] = i
	}
	maps.DeleteFunc(by, func(name string, _ Interface) bool { return twice[name] || name == "" })
	return by
}
