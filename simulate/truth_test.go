package simulate

import (
	"encoding/json"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/gaissmai/bart"

	"github.com/minamo-flow/minamo/flow"
)

// What comes in goes out, or it is dropped, or it was for a router; whoever
// counts it counts the same.
func TestConservation(t *testing.T) {
	for _, scenarios := range [][]Scenario{nil, {{Name: "acl"}}} {
		d := simulate(t, Config{Seed: 2, Scale: .1, Scenarios: scenarios})
		d.run(6 * time.Hour)
		m := d.truth()
		for i, of := range m.tables() {
			var sum Count
			for k := range *of {
				sum.Add(&(*of)[k])
			}
			if sum.Packets != m.In.Packets || sum.Bytes != m.In.Bytes {
				t.Errorf("table %d has %d packets, %d bytes of %d, %d", i, sum.Packets, sum.Bytes, m.In.Packets, m.In.Bytes)
			}
		}
		if m.Dropped.Packets == 0 || m.Consumed.Packets == 0 {
			t.Errorf("%d packets dropped, %d consumed", m.Dropped.Packets, m.Consumed.Packets)
		}

		var in, out Count
		for _, f := range d.network.ports {
			v := &m.interfaces[f.index]
			if f.Role.External() {
				in.Add(&v[0].Count)
				out.Add(&v[1].Count)
			}
			if f.far != nil {
				far := &m.interfaces[f.far.index]
				if v[1].Packets != far[0].Packets || v[1].Bytes != far[0].Bytes || v[1].Octets != far[0].Octets {
					t.Errorf("%s %s sends %d packets, its far end gets %d", f.Router.Name, f.Name, v[1].Packets, far[0].Packets)
				}
			}
			k := d.network.routers[f.Router.number].IfTable()[f.number]
			if k.InOctets != v[0].Octets || k.OutOctets != v[1].Octets || k.InPackets != v[0].Packets || k.OutPackets != v[1].Packets {
				t.Errorf("%s %s counts %+v, truth is %+v", f.Router.Name, f.Name, k.Counters, v)
			}
			// Frames have 18 bytes more than packets, or are filled up to 64.
			if least := v[0].Bytes + 18*v[0].Packets; v[0].Octets < least || v[0].Octets > least+6*v[0].Packets {
				t.Errorf("%s %s: %d octets of %d bytes in %d packets", f.Router.Name, f.Name, v[0].Octets, v[0].Bytes, v[0].Packets)
			}
		}
		if in.Packets != m.In.Packets || in.Bytes != m.In.Bytes || out.Packets != m.Out.Packets || out.Bytes != m.Out.Bytes {
			t.Errorf("interfaces have %d packets in and %d out, the network %d and %d", in.Packets, out.Packets, m.In.Packets, m.Out.Packets)
		}
		if m.In.Bytes+m.Originated.Bytes != m.Out.Bytes+m.Dropped.Bytes+m.Consumed.Bytes {
			t.Errorf("%d packets in, %d of routers; %d out, %d dropped, %d consumed", m.In.Packets, m.Originated.Packets, m.Out.Packets, m.Dropped.Packets, m.Consumed.Packets)
		}
		for _, r := range d.network.routers {
			balance := int64(0)
			for _, f := range r.Interfaces {
				v := &m.interfaces[f.index]
				balance += int64(v[0].Packets) - int64(v[1].Packets) - int64(v[0].DroppedPackets)
			}
			if limit := int64(m.In.Packets / 200); balance < -limit || balance > limit { // what routers say themselves
				t.Errorf("%s keeps %d packets", r.Name, balance)
			}
		}
	}
}

// Estimates from the flows that were exported are as near to the truth as they
// should be: neither less nor more.
func TestEstimatesAreWithinTheirError(t *testing.T) {
	for _, everywhere := range []bool{false, true} {
		d := simulate(t, Config{Seed: 3, Everywhere: everywhere, Start: start.Add(9 * time.Hour)})
		d.run(time.Hour)
		d.drain()
		judge(t, d, everywhere)
	}
}

// estimate is what flows say, as a Count.
type estimate struct{ packets, bytes float64 }

func judge(t *testing.T, d *desk, everywhere bool) {
	n, b, m := d.network, d.flows, d.truth()
	holders := new(bart.Table[int])
	for i, p := range n.Plan().Prefixes {
		holders.Insert(p.Prefix, i)
	}
	said := map[string]*estimate{}
	credit := func(packets, bytes float64, format string, a ...any) {
		name := fmt.Sprintf(format, a...)
		if said[name] == nil {
			said[name] = new(estimate)
		}
		said[name].packets += packets
		said[name].bytes += bytes
	}
	ports := map[string]*Interface{}
	for _, f := range n.ports {
		ports[fmt.Sprint(f.Router.Addr, f.IfIndex)] = f
	}
	for i := range b.Len() {
		rate := float64(b.U32(flow.SamplingRate)[i])
		packets, bytes := rate*float64(b.U64(flow.Packets)[i]), rate*float64(b.U64(flow.Bytes)[i])
		exporter := b.Addr(flow.Exporter)[i].Netip()
		f := ports[fmt.Sprint(exporter, b.U32(flow.InIf)[i])]
		if f == nil {
			t.Fatalf("no interface %v %d", exporter, b.U32(flow.InIf)[i])
		}
		credit(packets, bytes, "in %s %s", f.Router.Name, f.Name)
		if out := b.U32(flow.OutIf)[i]; out != 0 && everywhere {
			if o := ports[fmt.Sprint(exporter, out)]; o != nil {
				credit(packets, bytes, "out %s %s", f.Router.Name, o.Name)
			}
		}
		if f.Role == Core {
			continue
		}
		credit(packets, bytes, "protocol %d", b.U8(flow.Protocol)[i])
		src, ok := holders.Lookup(b.Addr(flow.SrcAddr)[i].Netip())
		dst, ok2 := holders.Lookup(b.Addr(flow.DstAddr)[i].Netip())
		if !ok || !ok2 {
			t.Fatalf("nobody's address: %s", b.AppendJSON(nil, i))
		}
		for _, x := range []struct {
			way    string
			holder *prefix
			as     uint32
		}{{"from", n.prefixes[src], b.U32(flow.SrcAS)[i]}, {"to", n.prefixes[dst], b.U32(flow.DstAS)[i]}} {
			credit(packets, bytes, "%s AS %d", x.way, x.holder.AS)
			credit(packets, bytes, "%s country %s", x.way, x.holder.Country)
			credit(packets, bytes, "%s prefix %s", x.way, x.holder.Prefix.Prefix)
			if x.as != 0 && x.as != x.holder.AS {
				t.Fatalf("AS of %s should be %d: %s", x.holder.Name, x.holder.AS, b.AppendJSON(nil, i))
			}
		}
	}
	squares, cells := 0.0, 0.0
	hold := func(c *Count, format string, a ...any) {
		name := fmt.Sprintf(format, a...)
		e := said[name]
		if c.PacketsVar == 0 || float64(c.Packets)*float64(c.Packets)/c.PacketsVar < 30 { // sampled packets
			return
		}
		if e == nil {
			t.Errorf("%s: nothing of %d packets", name, c.Packets)
			return
		}
		for _, z := range []float64{
			(e.packets - float64(c.Packets)) / math.Sqrt(c.PacketsVar),
			(e.bytes - float64(c.Bytes)) / math.Sqrt(c.BytesVar),
		} {
			squares += z * z
			cells++
			if math.Abs(z) > 4.5 {
				t.Errorf("%s: %.4g packets, %.4g bytes; truth %d, %d: %.1f standard errors", name, e.packets, e.bytes, c.Packets, c.Bytes, z)
			}
		}
	}
	for _, f := range n.ports {
		v := &m.interfaces[f.index]
		if f.Role.External() || everywhere {
			hold(&v[0].Count, "in %s %s", f.Router.Name, f.Name)
		}
		if everywhere {
			hold(&v[1].Count, "out %s %s", f.Router.Name, f.Name)
		}
	}
	for i := range m.protocols {
		hold(&m.protocols[i], "protocol %d", i)
	}
	for i, a := range n.plan.ASes {
		hold(&m.srcAS[i], "from AS %d", a.Number)
		hold(&m.dstAS[i], "to AS %d", a.Number)
	}
	for i, c := range n.lands {
		hold(&m.srcCountry[i], "from country %s", c)
		hold(&m.dstCountry[i], "to country %s", c)
	}
	for i, p := range n.prefixes {
		hold(&m.srcPrefix[i], "from prefix %s", p.Prefix.Prefix)
		hold(&m.dstPrefix[i], "to prefix %s", p.Prefix.Prefix)
	}
	mean := math.Sqrt(squares / cells)
	t.Logf("%d flows, %.0f figures, root of the mean square %.2f standard errors", b.Len(), cells, mean)
	if cells < 300 || mean < .8 || mean > 1.2 {
		t.Errorf("%.0f figures are off by %.2f standard errors", cells, mean)
	}
}

// The truth reads the same as JSON, and says what it is about.
func TestTruthAsJSON(t *testing.T) {
	d := simulate(t, Config{Seed: 1, Scale: .1})
	d.run(3 * time.Minute)
	minutes := d.network.Truth().Minutes()
	if len(minutes) != 3 {
		t.Fatalf("%d minutes", len(minutes))
	}
	text, err := json.Marshal(minutes[1])
	if err != nil {
		t.Fatal(err)
	}
	var r Report
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	if !r.Start.Equal(start.Add(time.Minute)) || r.Seconds != 60 || r.In.Bytes != minutes[1].In.Bytes {
		t.Errorf("%s", text)
	}
	sum := func(table map[string]Amount) (bytes uint64) {
		for _, a := range table {
			bytes += a.Bytes
		}
		return bytes
	}
	for name, table := range map[string]map[string]Amount{
		"applications": r.Applications, "protocols": r.Protocols, "versions": r.Versions, "DSCP": r.DSCP, "sizes": r.PacketSizes,
		"source AS": r.SourceAS, "destination country": r.DestinationCountry, "source prefixes": r.SourcePrefix,
	} {
		if sum(table) != r.In.Bytes {
			t.Errorf("%s: %d bytes of %d", name, sum(table), r.In.Bytes)
		}
	}
	if v := r.Services["tcp/443"].Bytes; v < r.Applications["https"].Bytes+r.Applications["video"].Bytes || v == 0 {
		t.Errorf("tcp/443: %d bytes", v)
	}
}
