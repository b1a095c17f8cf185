package probe

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/wire/netflow"
)

// Styles are the ways of makers to export, and the protocol of each: their
// templates, ids, order and sizes of fields, as recordings of devices and the
// makers' documents have them.
var Styles = map[string]string{
	IOSXR:     NetFlow9,
	Junos:     IPFIX,
	NetStream: NetFlow9,
}

// Styles.
const (
	IOSXR     = "ios-xr"    // of Cisco's ASR 9000: samplers with numbers, which records name
	Junos     = "junos"     // of Juniper's MX, inline: sampling in the options of the exporting process
	NetStream = "netstream" // of Huawei's NE, with 32-bit interfaces and AS numbers: sampling of the system
)

// style is how templates and options look.
type style struct {
	four, six netflow.Template
	groups    []group // of fields that are left out where they are not known; without any, zero is sent
	samplers  bool    // records name their sampler
	sampling  func(x *Exporter, c *collector) []announcement
	names     netflow.Template // of interfaces: a scope, …, name and description; the index is where its element is 10 or the scope
}

// group is fields that are known together.
type group struct {
	columns  flow.Mask
	elements []uint16
}

// class tells which template a row needs: whether it is of IPv6, and then one
// bit for each group of the style.
type class uint16

func (s *style) class(b *flow.Batch, i int) (k class) {
	if a := &b.Addr(flow.SrcAddr)[i]; !a.Is4() && *a != (flow.Addr{}) { // IPv4 is also where there is no address
		k = 1
	}
	present := &b.Present[i]
	for n := range s.groups {
		if c := &s.groups[n].columns; present[0]&c[0] != 0 || present[1]&c[1] != 0 {
			k |= 2 << n
		}
	}
	return k
}

// uniform tells whether the rows [from, to) are of one class.
func (s *style) uniform(b *flow.Batch, from, to int) bool {
	first := s.class(b, from)
	for i := from + 1; i < to; i++ {
		if s.class(b, i) != first {
			return false
		}
	}
	return true
}

// template is that of a class.
func (s *style) template(k class) *netflow.Template {
	t := s.four
	if k&1 != 0 {
		t = s.six
	}
	if s.groups == nil {
		return &t
	}
	t.ID = firstClass + uint16(k)
	t.Fields = slices.DeleteFunc(slices.Clone(t.Fields), func(f netflow.TemplateField) bool {
		for n, g := range s.groups {
			if k&(2<<n) == 0 && slices.Contains(g.elements, f.Element) {
				return true
			}
		}
		return false
	})
	return &t
}

// announcement is options data that is repeated.
type announcement struct {
	template *netflow.Template
	records  []netflow.OptionRecord
}

// styleOf finds a style; "" is Minamo's own.
func styleOf(name, protocol string) (*style, error) {
	if name == "" {
		switch protocol {
		case NetFlow9:
			return &own9, nil
		case IPFIX:
			return &ownIPFIX, nil
		}
		return nil, nil // no templates
	}
	want, ok := Styles[name]
	if !ok {
		return nil, fmt.Errorf("style %q: expected one of %s, %s, %s", name, IOSXR, Junos, NetStream)
	}
	if protocol != want {
		return nil, fmt.Errorf("style %q is of %s, not of %s", name, want, protocol)
	}
	return map[string]*style{IOSXR: &iosXR, Junos: &junos, NetStream: &netStream}[name], nil
}

// Minamo's own: what routers usually send, and what a probe knows besides. What
// is not known is left out, for zero would be a claim: of an output interface,
// that the packets were dropped; of flags, that none was set.
var (
	own9 = style{
		four: own(netflow.V9IPv4Template), six: own(netflow.V9IPv6Template), groups: ownGroups,
		sampling: ownSampling(netflow.Template{Version: flow.NetFlow9, ID: 256, Options: true, Scopes: 1, Fields: slices.Concat(scope(scopeSystem, 4), selection)}),
		names:    netflow.Template{Version: flow.NetFlow9, ID: 257, Options: true, Scopes: 1, Fields: slices.Concat(scope(scopeInterface, 4), fields(82, 32, 83, 64))},
	}
	ownIPFIX = style{
		four: own(netflow.IPFIXIPv4Template), six: own(netflow.IPFIXIPv6Template), groups: ownGroups,
		sampling: ownSampling(netflow.Template{Version: flow.IPFIX, ID: 256, Options: true, Scopes: 1, Fields: slices.Concat(fields(149, 4), selection)}),
		names:    netflow.Template{Version: flow.IPFIX, ID: 257, Options: true, Scopes: 1, Fields: fields(10, 4, 82, variable, 83, variable)},
	}
	ownGroups = []group{
		{flow.MaskOf(flow.InIf), []uint16{10}},
		{flow.MaskOf(flow.OutIf), []uint16{14}},
		{flow.MaskOf(flow.Direction), []uint16{61}},
		{flow.MaskOf(flow.SrcAddr), []uint16{4, 5, 8, 12, 27, 28, 52}}, // of IP
		{flow.MaskOf(flow.DstPort), []uint16{7, 11}},
		{flow.MaskOf(flow.TCPFlags), []uint16{6}},
		{flow.MaskOf(flow.ICMPType), []uint16{32, 139}},
		{flow.MaskOf(flow.SrcMAC), []uint16{56, 80}},
		{flow.MaskOf(flow.SrcVLAN), []uint16{58}},
		{flow.MaskOf(flow.DstVLAN), []uint16{59}},
		{flow.MaskOf(flow.SrcAS, flow.DstAS, flow.SrcMask, flow.DstMask), []uint16{16, 17, 9, 13, 29, 30}},
		{flow.MaskOf(flow.NextHop), []uint16{15, 62}},
		{flow.MaskOf(flow.ForwardingStatus), []uint16{89}},
	}
)

// selection is what Minamo's own tells of sampling. Collectors differ in what they
// take: old ones know 34 alone; nfcapd 1.7.1 wants it without 35, its old
// algorithm, and later versions want the algorithm, which is then 304, with 306.
var selection = fields(34, 4, 304, 2, 305, 4, 306, 4) // samplingInterval; selectorAlgorithm, samplingPacketInterval, samplingPacketSpace (RFC 5477 §8.2)

// ownSampling tells the rate of all flows so that all collectors take it.
func ownSampling(t netflow.Template) func(*Exporter, *collector) []announcement {
	return func(x *Exporter, _ *collector) []announcement {
		return []announcement{{&t, []netflow.OptionRecord{values(unsigned(uint64(x.cfg.Domain), 4),
			unsigned(x.rate(), 4), unsigned(uint64(max(x.cfg.Sampling.Method, Systematic)), 2), unsigned(1, 4), unsigned(x.rate()-1, 4))}}}
	}
}

// firstClass is the id of the template of the first class: own options have
// those before it.
const firstClass = 258

func own(t netflow.Template) netflow.Template {
	// minimumTTL, minimumIpTotalLength, maximumIpTotalLength, flowEndReason
	t.Fields = slices.Concat(t.Fields, fields(52, 1, 25, 2, 26, 2, 136, 1))
	return t
}

// IOS XR's, as an ASR 9000 sends it. Its table of interfaces has had their names
// in place of descriptions; here it has both.
var iosXR = style{
	four: netflow.Template{Version: flow.NetFlow9, ID: 260, Fields: fields(
		2, 4, 1, 4, 8, 4, 12, 4, 10, 4, 14, 4, 21, 4, 22, 4, 7, 2, 11, 2, 16, 4, 17, 4, 18, 4, 9, 1, 13, 1,
		4, 1, 6, 1, 5, 1, 61, 1, 89, 1, samplerID, 2, 234, 4, 235, 4)},
	six: netflow.Template{Version: flow.NetFlow9, ID: 266, Fields: fields(
		2, 4, 1, 4, 27, 16, 28, 16, 10, 4, 14, 4, 22, 4, 21, 4, 31, 4, 64, 4, 7, 2, 11, 2, 16, 4, 17, 4, 63, 16, 30, 1, 29, 1,
		4, 1, 6, 1, 5, 1, 61, 1, 89, 1, samplerID, 2, 234, 4, 235, 4)},
	samplers: true,
	sampling: func(x *Exporter, _ *collector) []announcement {
		return []announcement{{&iosXRSampler, []netflow.OptionRecord{values(
			x.system(), unsigned(theSampler, 2), unsigned(x.rate(), 4), []byte{x.algorithm()}, textField(fmt.Sprintf("one-in-%d", x.rate()), 32),
		)}}}
	},
	names: netflow.Template{Version: flow.NetFlow9, ID: 256, Options: true, Scopes: 1, Fields: slices.Concat(scope(scopeSystem, 4), fields(10, 4, 82, 32, 83, 64))},
}

var iosXRSampler = netflow.Template{Version: flow.NetFlow9, ID: 257, Options: true, Scopes: 1, Fields: slices.Concat(scope(scopeSystem, 4), fields(samplerID, 2, 50, 4, 49, 1, 84, 32))}

// Junos's, as an MX sends it that samples inline: the options of each family of
// flows tell of the exporting process. Interfaces have no names there, SNMP has
// them; the table of names is Minamo's.
var (
	junos = style{
		four: netflow.Template{Version: flow.IPFIX, ID: 256, Fields: fields(
			8, 4, 12, 4, 5, 1, 4, 1, 7, 2, 11, 2, 32, 2, 10, 4, 58, 2, 9, 1, 13, 1, 16, 4, 17, 4, 15, 4, 6, 1, 14, 4,
			1, 8, 2, 8, 52, 1, 53, 1, 152, 8, 153, 8, 136, 1, 243, 2, 245, 2, 54, 4, 60, 1, 18, 4, 61, 1)},
		six: netflow.Template{Version: flow.IPFIX, ID: 257, Fields: fields(
			27, 16, 28, 16, 5, 1, 4, 1, 7, 2, 11, 2, 139, 2, 10, 4, 58, 2, 29, 1, 30, 1, 16, 4, 17, 4, 62, 16, 6, 1, 14, 4,
			1, 8, 2, 8, 52, 1, 53, 1, 152, 8, 153, 8, 136, 1, 243, 2, 245, 2, 54, 4, 64, 4, 63, 16, 61, 1)},
		sampling: func(x *Exporter, c *collector) (list []announcement) {
			const version, tcp, udp = 10, 6, 17
			transport := byte(udp)
			if c.network == "tcp" {
				transport = tcp
			}
			four, six := netip.IPv4Unspecified(), netip.IPv6Unspecified()
			if agent := x.cfg.Agent.Unmap(); agent.Is4() {
				four = agent
			} else if agent.Is6() {
				six = agent
			}
			record := values(
				unsigned(1, 4), unsigned(c.stats.Datagrams, 8), unsigned(x.stats.Flows, 8), unsigned(uint64(x.cfg.Boot.UnixMilli()), 8), four.AsSlice(), six.AsSlice(),
				unsigned(x.rate(), 4), seconds(x.cfg.Active), seconds(x.cfg.Inactive), []byte{version}, []byte{transport},
			)
			for i := range junosSampling {
				list = append(list, announcement{&junosSampling[i], []netflow.OptionRecord{record}})
			}
			return list
		},
		names: netflow.Template{Version: flow.IPFIX, ID: 520, Options: true, Scopes: 1, Fields: fields(10, 4, 82, variable, 83, variable)},
	}
	junosSampling = [2]netflow.Template{
		{Version: flow.IPFIX, ID: 512, Options: true, Scopes: 1, Fields: junosOptions},
		{Version: flow.IPFIX, ID: 513, Options: true, Scopes: 1, Fields: junosOptions},
	}
	junosOptions = fields(144, 4, 41, 8, 42, 8, 160, 8, 130, 4, 131, 16, 34, 4, 36, 2, 37, 2, 214, 1, 215, 1)
)

// NetStream's, as a Huawei NE sends it whose interfaces and AS numbers have 32
// bits. The recorded one also has 232, counters of a way back, which these flows
// lack; its IPv6 and its options were not recorded and are made alike.
var netStream = style{
	four: netflow.Template{Version: flow.NetFlow9, ID: 1315, Fields: fields(
		8, 4, 12, 4, 15, 4, 2, 4, 1, 4, 22, 4, 21, 4, 18, 4, 10, 4, 14, 4, 7, 2, 11, 2, 16, 4, 17, 4, 58, 2, 59, 2,
		6, 1, 4, 1, 5, 1, 9, 1, 13, 1, 61, 1, 89, 1, padding, 1)},
	six: netflow.Template{Version: flow.NetFlow9, ID: 1316, Fields: fields(
		27, 16, 28, 16, 62, 16, 2, 4, 1, 4, 22, 4, 21, 4, 63, 16, 10, 4, 14, 4, 7, 2, 11, 2, 16, 4, 17, 4, 58, 2, 59, 2,
		6, 1, 4, 1, 5, 1, 29, 1, 30, 1, 61, 1, 89, 1, padding, 1)},
	sampling: samplingOfDomain(netflow.Template{Version: flow.NetFlow9, ID: 1313, Options: true, Scopes: 1, Fields: slices.Concat(scope(scopeSystem, 4), fields(34, 4, 35, 1))}),
	names:    netflow.Template{Version: flow.NetFlow9, ID: 1314, Options: true, Scopes: 1, Fields: slices.Concat(scope(scopeInterface, 4), fields(82, 32, 83, 64))},
}

// samplingOfDomain tells the rate of all flows by the elements 34 and 35, as most
// devices do.
func samplingOfDomain(t netflow.Template) func(*Exporter, *collector) []announcement {
	return func(x *Exporter, _ *collector) []announcement {
		return []announcement{{&t, []netflow.OptionRecord{values(unsigned(uint64(x.cfg.Domain), 4), unsigned(x.rate(), 4), []byte{x.algorithm()})}}}
	}
}

// options are the records that tell a collector of the device itself.
func (x *Exporter) options(c *collector) (list []announcement) {
	if x.cfg.Announce != AnnounceNone {
		list = x.style.sampling(x, c)
	}
	if len(x.cfg.Interfaces) == 0 {
		return list
	}
	names := announcement{template: &x.style.names}
	for _, i := range x.cfg.Interfaces {
		var r netflow.OptionRecord
		for n, f := range x.style.names.Fields {
			v := unsigned(uint64(i.Index), 4)
			switch {
			case f.Element == 82 && f.Enterprise == 0:
				v = textField(i.Name, f.Length)
			case f.Element == 83 && f.Enterprise == 0:
				v = textField(i.Description, f.Length)
			case n == 0 && f.Element == scopeSystem:
				v = x.system()
			}
			r.Fields = append(r.Fields, netflow.OptionField{Value: v})
		}
		names.records = append(names.records, r)
	}
	return append(list, names)
}

func (x *Exporter) rate() uint64 { return uint64(max(x.cfg.Sampling.Rate, 1)) }

// algorithm is NetFlow v9's code of the sampling method.
func (x *Exporter) algorithm() byte {
	const deterministic, random = 1, 2
	if x.cfg.Sampling.Method == RandomInN || x.cfg.Sampling.Method == Probabilistic {
		return random
	}
	return deterministic
}

// system is what NetFlow v9's scope System says of the device: its address.
func (x *Exporter) system() []byte {
	if agent := x.cfg.Agent.Unmap(); agent.Is4() {
		return agent.AsSlice()
	}
	return unsigned(0, 4)
}

// theSampler is the number of the device's only sampler.
const theSampler = 1

// named is b if all rows [from, to) name their sampler, else a copy that does.
func (x *Exporter) named(b *flow.Batch, from, to int) (*flow.Batch, int, int) {
	if !slices.ContainsFunc(b.Present[from:to], func(m flow.Mask) bool { return !m.Has(flow.SamplerID) }) {
		return b, from, to
	}
	if x.rows == nil {
		x.rows = flow.NewBatch(0)
	}
	x.rows.Reset()
	x.rows.Append(b, from, to)
	for i := range x.rows.Len() {
		if !x.rows.Present[i].Has(flow.SamplerID) {
			x.rows.SetUint(flow.SamplerID, i, theSampler)
		}
	}
	return x.rows, 0, x.rows.Len()
}

// Elements that need a word, and NetFlow v9's types of scope (RFC 3954 §6.1).
const (
	samplerID = 48
	padding   = 210
	variable  = 65535

	scopeSystem    = 1
	scopeInterface = 2
)

// fields are elements and their lengths, in turn.
func fields(pairs ...uint16) (list []netflow.TemplateField) {
	for p := range slices.Chunk(pairs, 2) {
		list = append(list, netflow.TemplateField{Element: p[0], Length: p[1]})
	}
	return list
}

func scope(kind, length uint16) []netflow.TemplateField {
	return []netflow.TemplateField{{Enterprise: netflow.ScopeV9, Element: kind, Length: length}}
}

// values is a record of options data.
func values(list ...[]byte) (r netflow.OptionRecord) {
	for _, v := range list {
		r.Fields = append(r.Fields, netflow.OptionField{Value: v})
	}
	return r
}

// unsigned is a number of so many bytes.
func unsigned(v uint64, length int) []byte {
	return binary.BigEndian.AppendUint64(nil, v)[8-length:]
}

// seconds is a timer as Junos tells it.
func seconds(d time.Duration) []byte { return unsigned(uint64(min(max(d/time.Second, 0), 1<<16-1)), 2) }

// textField is a text as long as its field, zeros behind it.
func textField(text string, length uint16) []byte {
	if length == variable {
		return []byte(text[:min(len(text), 255)])
	}
	value := make([]byte, length)
	copy(value, text)
	return value
}
