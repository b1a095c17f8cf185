package collect

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"

	"github.com/minamo-flow/minamo/internal/durable"
	"github.com/minamo-flow/minamo/wire/netflow"
)

// stateVersion is the form of the state file.
const stateVersion = 1

// state is what outlives a restart, so that data sets which come before their
// exporter repeats its templates (up to half an hour) are not lost, nor
// stored as unsampled.
type state struct {
	Version   int             `json:"version"`
	Exporters []exporterState `json:"exporters"`
}

type exporterState struct {
	netflow.State
	Exporter netip.Addr      `json:"exporter"`
	LastSeen int64           `json:"last_seen"` // ms
	Sampling []samplingState `json:"sampling,omitempty"`

	Interfaces   []netflow.InterfaceName `json:"interfaces,omitempty"`
	VRFs         []netflow.VRFName       `json:"vrfs,omitempty"`
	Applications []netflow.Application   `json:"applications,omitempty"`
}

type samplingState struct {
	Protocol  uint8          `json:"protocol"`
	Domain    uint32         `json:"domain"`
	Announced []announcement `json:"announced"`
}

// save writes the state file: to a new file first, so that a crash leaves the old one.
func (e *Exporters) save(path string) error {
	s := state{Version: stateVersion}
	for _, x := range e.all() {
		x.mu.Lock()
		kept := exporterState{Exporter: x.addr, LastSeen: x.lastSeen}
		if x.datagrams != nil { // those of a connection end with it
			kept.State = x.datagrams.netflow.State()
		}
		for key, d := range x.domains {
			if len(d.samplers.announced) > 0 {
				kept.Sampling = append(kept.Sampling, samplingState{key.protocol, key.id, append([]announcement(nil), d.samplers.announced...)})
			}
		}
		kept.Interfaces, kept.VRFs, kept.Applications = x.names.interfaces.list(), x.names.vrfs.list(), x.names.applications.list()
		x.mu.Unlock()
		if len(kept.Templates)+len(kept.Sampling)+len(kept.Interfaces)+len(kept.VRFs)+len(kept.Applications) > 0 {
			s.Exporters = append(s.Exporters, kept)
		}
	}
	text, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		return fmt.Errorf("state file %s: %w", path, err)
	}
	return durable.WriteFile(path, text)
}

// readState reads what save wrote. That there is no file yet is no error.
func readState(path string) (s state, err error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return s, fmt.Errorf("state file %s: %w", path, err)
	}
	if s.Version != stateVersion {
		return s, fmt.Errorf("state file %s: version %d, expected %d", path, s.Version, stateVersion)
	}
	return s, nil
}

// InterfaceNames reads from a state file what exporters call their interfaces,
// for who asks the flows while no collector runs.
func InterfaceNames(path string) (map[netip.Addr][]netflow.InterfaceName, error) {
	s, err := readState(path)
	if err != nil {
		return nil, err
	}
	names := make(map[netip.Addr][]netflow.InterfaceName, len(s.Exporters))
	for _, x := range s.Exporters {
		names[x.Exporter] = x.Interfaces
	}
	return names, nil
}

// load brings back what save wrote.
func (e *Exporters) load(path string) error {
	s, err := readState(path)
	if err != nil {
		return err
	}
	for _, kept := range s.Exporters {
		x := e.newExporter(kept.Exporter, kept.LastSeen)
		e.session(x).netflow.Restore(kept.State)
		for _, r := range kept.Sampling {
			for _, a := range r.Announced {
				x.domain(r.Protocol, r.Domain).samplers.add(a) // beyond the bound the exporter repeats them
			}
		}
		for _, n := range kept.Interfaces {
			x.names.interfaces.set(uint64(n.Index), n)
		}
		for _, n := range kept.VRFs {
			x.names.vrfs.set(uint64(n.ID), n)
		}
		for _, n := range kept.Applications {
			x.names.applications.set(n.ID, n)
		}
		e.mu.Lock()
		e.byAddr[x.addr] = x
		e.mu.Unlock()
	}
	return nil
}
