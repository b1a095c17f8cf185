package collect

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/wire/netflow"
	"github.com/minamo-flow/minamo/wire/sflow"
)

// names is what an exporter calls its interfaces, routing tables and
// applications: told in options data, and in sFlow's counter samples. Their
// numbers are the device's, whatever the observation domain.
type names struct {
	interfaces   table[netflow.InterfaceName]
	vrfs         table[netflow.VRFName]
	applications table[netflow.Application]
}

// maxNames bounds each table of an exporter, and its interface counters.
const maxNames = 1 << 14

// table holds names by the numbers they stand for. The zero value is ready.
type table[N comparable] struct{ by map[uint64]N }

// set tells whether the name is news, and whether there was room.
func (t *table[N]) set(id uint64, name N) (news, ok bool) {
	known, has := t.by[id]
	if has && known == name {
		return false, true
	}
	if !has && len(t.by) >= maxNames {
		return false, false
	}
	if t.by == nil {
		t.by = map[uint64]N{}
	}
	t.by[id] = name
	return true, true
}

// list is in the order of the numbers.
func (t *table[N]) list() []N {
	var list []N
	for _, id := range slices.Sorted(maps.Keys(t.by)) {
		list = append(list, t.by[id])
	}
	return list
}

// named books the outcome of a table's set: what is news is saved, the first
// name of a kind is logged, one without room counted.
func (e *Exporters) named(x *exporter, kind string, size int, news, ok bool) {
	if !ok {
		x.count("names_refused", 1)
	}
	if !news {
		return
	}
	e.news.Store(true)
	if size == 1 {
		e.log.Info("exporter names its "+kind, "exporter", x.addr)
	}
}

// name learns the names in an options record. What another record told of the
// same thing stays: names and attributes may come apart.
func (e *Exporters) name(x *exporter, o netflow.OptionRecord) {
	if n, ok := o.Interface(); ok {
		known := x.names.interfaces.by[uint64(n.Index)]
		n.Name, n.Description = cmp.Or(n.Name, known.Name), cmp.Or(n.Description, known.Description)
		news, ok := x.names.interfaces.set(uint64(n.Index), n)
		e.named(x, "interfaces", len(x.names.interfaces.by), news, ok)
	}
	if n, ok := o.VRF(); ok {
		known := x.names.vrfs.by[uint64(n.ID)]
		n.RouteDistinguisher = cmp.Or(n.RouteDistinguisher, known.RouteDistinguisher)
		news, ok := x.names.vrfs.set(uint64(n.ID), n)
		e.named(x, "routing tables", len(x.names.vrfs.by), news, ok)
	}
	if n, ok := o.Application(); ok {
		known := x.names.applications.by[n.ID]
		n.Name, n.Description = cmp.Or(n.Name, known.Name), cmp.Or(n.Description, known.Description)
		n.Category, n.SubCategory, n.Group = cmp.Or(n.Category, known.Category), cmp.Or(n.SubCategory, known.SubCategory), cmp.Or(n.Group, known.Group)
		news, ok := x.names.applications.set(n.ID, n)
		e.named(x, "applications", len(x.names.applications.by), news, ok)
	}
}

// InterfaceCounters are an interface's own counters, as sFlow tells them: to
// be compared with the flows.
type InterfaceCounters struct {
	sflow.InterfaceCounters
	Received int64 // ms
}

// InterfaceNames are what an exporter calls its interfaces.
func (e *Exporters) InterfaceNames(exporter netip.Addr) []netflow.InterfaceName {
	e.mu.RLock()
	x := e.byAddr[exporter.Unmap()]
	e.mu.RUnlock()
	if x == nil {
		return nil
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.names.interfaces.list()
}

// InterfaceCounters hands on the last counters of each exporter's interfaces
// that sFlow told, of exporters that did.
func (e *Exporters) InterfaceCounters(each func(exporter netip.Addr, list []InterfaceCounters)) {
	for _, x := range e.all() {
		x.mu.Lock()
		list := slices.Collect(maps.Values(x.counters))
		x.mu.Unlock()
		if len(list) > 0 {
			each(x.addr, list)
		}
	}
}

// counters keeps the interfaces' counters of sFlow counter samples, and their names.
func (e *Exporters) counters(x *exporter, c *sflow.Counters, received int64) {
	for _, i := range c.Interfaces {
		if x.counters == nil {
			x.counters = map[uint32]InterfaceCounters{}
		}
		if _, known := x.counters[i.IfIndex]; !known && len(x.counters) >= maxNames {
			x.count("counters_refused", 1)
			continue
		}
		x.counters[i.IfIndex] = InterfaceCounters{i, received}
	}
	for _, p := range c.PortNames {
		name := netflow.OptionField{Value: p.Name}.Text()
		if p.Source.Class != 0 || name == "" {
			continue // no ifIndex
		}
		known := x.names.interfaces.by[uint64(p.Source.Index)]
		news, ok := x.names.interfaces.set(uint64(p.Source.Index), netflow.InterfaceName{Index: p.Source.Index, Name: name, Description: known.Description})
		e.named(x, "interfaces", len(x.names.interfaces.by), news, ok)
	}
}

// statistics is what an exporter counts of its own work, in one domain.
type statistics map[statisticKey]statistic

type statisticKey struct {
	enterprise uint32
	element    uint16
	scope      string
}

type statistic struct {
	name  string
	value uint64
	at    int64 // ms
}

const maxStatistics = 256

func (s *statistics) learn(o netflow.OptionRecord, received int64) {
	list := o.Statistics()
	if list == nil {
		return
	}
	var scope string
	for _, f := range o.Fields {
		if v, ok := f.Uint(); f.Scope && ok && len(scope) < 200 {
			if name := scopeName(f); name != "" {
				scope = strings.TrimSpace(fmt.Sprintf("%s %s %d", scope, name, v))
			}
		}
	}
	if *s == nil {
		*s = statistics{}
	}
	for _, x := range list {
		key := statisticKey{x.Enterprise, x.ID, scope}
		if _, known := (*s)[key]; known || len(*s) < maxStatistics {
			(*s)[key] = statistic{x.Information.String(), x.Value, received}
		}
	}
}

// scopeName names what a record is about; "" for counters and times, which
// some put into the scope, and which tell nothing apart.
func scopeName(f netflow.OptionField) string {
	if f.Enterprise == netflow.ScopeV9 && int(f.Element) < len(v9Scopes) {
		return v9Scopes[f.Element]
	}
	e, _ := netflow.Lookup(f.Enterprise, f.Element)
	if s := e.Semantics; s == netflow.SemanticsTotalCounter || s == netflow.SemanticsDeltaCounter {
		return ""
	}
	if kind, ok := KindFor(e.Type); ok && kind == flow.Time {
		return ""
	}
	return cmp.Or(e.Name, e.String())
}

// v9Scopes are the scopes of NetFlow v9 (RFC 3954 §6.1).
var v9Scopes = [...]string{1: "system", 2: "interface", 3: "line card", 4: "cache", 5: "template"}

// ExporterDetails is everything that an exporter told of itself.
type ExporterDetails struct {
	ExporterStatus
	Interfaces   []InterfaceStatus   `json:"interfaces" doc:"Its interfaces, as far as it told of them"`
	VRFs         []VRFStatus         `json:"vrfs" doc:"Its routing tables"`
	Applications []ApplicationStatus `json:"applications" doc:"The applications that it recognises"`
	Statistics   []StatisticStatus   `json:"statistics" doc:"What it counts of its own work"`
	Skipped      []SkippedElement    `json:"skipped" doc:"Elements of its templates that no column holds, and how to map them to columns of one's own"`
	Templates    []TemplateStatus    `json:"template_records" doc:"Its templates, in the order of protocol, observation domain and id"`
}

// TemplateStatus is one template of NetFlow v9 or IPFIX (RFC 7011 §3.4).
type TemplateStatus struct {
	Protocol string                `json:"protocol" doc:"Export protocol"`
	Domain   uint32                `json:"domain" doc:"Observation domain or source id"`
	ID       uint16                `json:"id"`
	Options  bool                  `json:"options" doc:"It describes options data, not flows"`
	LastSeen *time.Time            `json:"last_seen" doc:"When it was last sent; null where that is not known"`
	Fields   []TemplateFieldStatus `json:"fields"`
}

// TemplateFieldStatus is one field of a template.
type TemplateFieldStatus struct {
	Element string `json:"element" doc:"Enterprise and id; of NetFlow v9's scopes, scope and number"`
	Name    string `json:"name,omitempty" doc:"In the registry of IPFIX, or as the exporter described it"`
	Length  int    `json:"length" doc:"Bytes; 0: variable"`
	Scope   bool   `json:"scope,omitempty" doc:"It tells what options data is about"`
}

// InterfaceStatus is one interface.
type InterfaceStatus struct {
	Index       uint32         `json:"index" doc:"ifIndex"`
	Name        string         `json:"name,omitempty"`
	Description string         `json:"description,omitempty"`
	Counters    *CounterStatus `json:"counters,omitempty" doc:"Its own counters (sFlow), since it started: a field of all ones is not kept by the device"`
}

// CounterStatus are the counters of an interface.
type CounterStatus struct {
	Received    time.Time `json:"received"`
	Speed       uint64    `json:"speed" doc:"bit/s"`
	Status      uint32    `json:"status" doc:"Bit 0: administratively up, bit 1: up"`
	InBytes     uint64    `json:"in_bytes"`
	InUnicast   uint32    `json:"in_unicast" doc:"Packets"`
	InMulticast uint32    `json:"in_multicast"`
	InBroadcast uint32    `json:"in_broadcast"`
	InDiscards  uint32    `json:"in_discards"`
	InErrors    uint32    `json:"in_errors"`

	OutBytes     uint64 `json:"out_bytes"`
	OutUnicast   uint32 `json:"out_unicast"`
	OutMulticast uint32 `json:"out_multicast"`
	OutBroadcast uint32 `json:"out_broadcast"`
	OutDiscards  uint32 `json:"out_discards"`
	OutErrors    uint32 `json:"out_errors"`
}

// VRFStatus is one routing table.
type VRFStatus struct {
	ID                 uint32 `json:"id"`
	Name               string `json:"name"`
	RouteDistinguisher string `json:"route_distinguisher,omitempty"`
}

// ApplicationStatus is one application.
type ApplicationStatus struct {
	ID          uint64 `json:"id"`
	Name        string `json:"name,omitempty"`
	Description string `json:"description,omitempty"`
	Category    string `json:"category,omitempty"`
	SubCategory string `json:"sub_category,omitempty"`
	Group       string `json:"group,omitempty"`
}

// StatisticStatus is one counter of the exporter's own work.
type StatisticStatus struct {
	Domain   uint32    `json:"domain"`
	Scope    string    `json:"scope" doc:"What it is about"`
	Name     string    `json:"name"`
	Value    uint64    `json:"value"`
	Received time.Time `json:"received"`
}

// SkippedElement is an element that is exported, but not kept.
type SkippedElement struct {
	Element string `json:"element" doc:"Enterprise and id"`
	Name    string `json:"name,omitempty" doc:"In the registry, or as the exporter described it"`
	Type    string `json:"type" doc:"Abstract data type, or unknown"`
	Column  string `json:"column,omitempty" doc:"A line for columns in the configuration that keeps it"`
}

// Details tells what the exporter told of itself; false where it is not known.
func (e *Exporters) Details(exporter netip.Addr) (d ExporterDetails, ok bool) {
	e.mu.RLock()
	x := e.byAddr[exporter.Unmap()]
	e.mu.RUnlock()
	if x == nil {
		return d, false
	}
	return x.details(), true
}

func (x *exporter) details() ExporterDetails {
	d := ExporterDetails{
		ExporterStatus: x.status(),
		Interfaces:     []InterfaceStatus{}, VRFs: []VRFStatus{}, Applications: []ApplicationStatus{},
		Statistics: []StatisticStatus{}, Skipped: []SkippedElement{}, Templates: []TemplateStatus{},
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	interfaces := map[uint32]*InterfaceStatus{}
	for _, n := range x.names.interfaces.by {
		interfaces[n.Index] = &InterfaceStatus{Index: n.Index, Name: n.Name, Description: n.Description}
	}
	for index, c := range x.counters {
		i := interfaces[index]
		if i == nil {
			i = &InterfaceStatus{Index: index}
			interfaces[index] = i
		}
		i.Counters = &CounterStatus{
			Received: time.UnixMilli(c.Received).UTC(), Speed: c.Speed, Status: c.Status,
			InBytes: c.InOctets, InUnicast: c.InUnicast, InMulticast: c.InMulticast, InBroadcast: c.InBroadcast, InDiscards: c.InDiscards, InErrors: c.InErrors,
			OutBytes: c.OutOctets, OutUnicast: c.OutUnicast, OutMulticast: c.OutMulticast, OutBroadcast: c.OutBroadcast, OutDiscards: c.OutDiscards, OutErrors: c.OutErrors,
		}
	}
	for _, index := range slices.Sorted(maps.Keys(interfaces)) {
		d.Interfaces = append(d.Interfaces, *interfaces[index])
	}
	for _, n := range x.names.vrfs.list() {
		d.VRFs = append(d.VRFs, VRFStatus(n))
	}
	for _, n := range x.names.applications.list() {
		d.Applications = append(d.Applications, ApplicationStatus(n))
	}
	for key, domain := range x.domains {
		for k, v := range domain.statistics {
			d.Statistics = append(d.Statistics, StatisticStatus{key.id, k.scope, v.name, v.value, time.UnixMilli(v.at).UTC()})
		}
	}
	slices.SortFunc(d.Statistics, func(a, b StatisticStatus) int {
		return cmp.Or(cmp.Compare(a.Domain, b.Domain), cmp.Compare(a.Scope, b.Scope), cmp.Compare(a.Name, b.Name))
	})
	seen := map[string]bool{}
	for s := range x.sessions {
		for _, e := range s.netflow.Skipped() {
			element := fmt.Sprintf("%d/%d", e.Enterprise, e.ID)
			if !seen[element] {
				seen[element] = true
				kind := e.Type.String()
				if e.Name == "" && e.Type == netflow.TypeOctetArray {
					kind = "unknown"
				}
				d.Skipped = append(d.Skipped, SkippedElement{element, e.Name, kind, suggestion(e)})
			}
		}
	}
	slices.SortFunc(d.Skipped, func(a, b SkippedElement) int { return cmp.Compare(a.Element, b.Element) })
	for s := range x.sessions {
		d.Templates = append(d.Templates, s.templates()...)
	}
	slices.SortStableFunc(d.Templates, func(a, b TemplateStatus) int {
		return cmp.Or(cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Domain, b.Domain), cmp.Compare(a.ID, b.ID))
	})
	return d
}

// templates tells of the session's, in words of the registry.
func (s *Session) templates() []TemplateStatus {
	known := s.netflow.Templates()
	list := make([]TemplateStatus, len(known))
	for i, t := range known {
		list[i] = TemplateStatus{Protocol: flow.Schema[flow.ExportProtocol].Names[uint64(t.Version)], Domain: t.Domain, ID: t.ID, Options: t.Options, Fields: []TemplateFieldStatus{}}
		if t.Seen > 0 {
			at := time.UnixMilli(t.Seen).UTC()
			list[i].LastSeen = &at
		}
		for n, f := range t.Fields {
			field := TemplateFieldStatus{Element: fmt.Sprintf("%d/%d", f.Enterprise, f.Element), Length: int(f.Length), Scope: n < int(t.Scopes)}
			if field.Scope && t.Version == flow.NetFlow9 {
				field.Element = fmt.Sprintf("scope %d", f.Element)
				if int(f.Element) < len(v9Scopes) {
					field.Name = v9Scopes[f.Element]
				}
			} else {
				e, _ := s.netflow.Lookup(f.Enterprise, f.Element)
				field.Name = e.Name
			}
			if f.Length == 0xffff {
				field.Length = 0
			}
			list[i].Fields = append(list[i].Fields, field)
		}
	}
	return list
}
