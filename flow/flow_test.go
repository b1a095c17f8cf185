package flow

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
)

func TestSchemaIsComplete(t *testing.T) {
	seen := map[string]bool{}
	for c := range NumColumns {
		f := Schema[c]
		if f.Name == "" || f.Doc == "" {
			t.Errorf("column %d has no name or no sentence", c)
		}
		if f.Name != strings.ToLower(f.Name) || seen[f.Name] {
			t.Errorf("column name %q is not lower case or not unique", f.Name)
		}
		seen[f.Name] = true
		if got, ok := Lookup(f.Name); !ok || got != c {
			t.Errorf("Lookup(%q) = %v, %v", f.Name, got, ok)
		}
	}
	if NumColumns > MaxColumns || MaxColumns > len(Mask{})*64 {
		t.Error("more columns than a Mask holds")
	}
}

func TestBatchKeepsAbsentValuesZero(t *testing.T) {
	b := NewBatch(1)
	for i := range 100 {
		row := b.Extend(1)
		b.SetUint(Bytes, row, uint64(i))
		b.SetUint(SrcPort, row, 1<<20) // saturates
		b.SetAddr(SrcAddr, row, AddrFrom(netip.MustParseAddr("192.0.2.1")))
	}
	if b.U16(SrcPort)[99] != 0xffff || b.U64(Bytes)[99] != 99 {
		t.Fatal("values lost while growing")
	}
	c := NewBatch(8)
	c.Append(b, 98, 100)
	if c.Len() != 2 || c.U64(Bytes)[1] != 99 || !c.Present[1].Has(SrcAddr) || c.Present[1].Has(DstAddr) {
		t.Fatal("Append did not copy the rows")
	}
	b.Truncate(1)
	b.Extend(99)
	for i := 1; i < 100; i++ {
		if b.U64(Bytes)[i] != 0 || b.U16(SrcPort)[i] != 0 || b.Addr(SrcAddr)[i] != (Addr{}) || b.Present[i] != (Mask{}) {
			t.Fatalf("row %d is not clean after Truncate", i)
		}
	}
}

// A column that nobody sends takes no room, and one that is asked for late is
// there for all rows, those that are still to come too.
func TestVectorsAreMadeWhenAskedFor(t *testing.T) {
	b := NewBatch(4)
	b.Extend(3)
	b.Present[2].Add(SrcAS) // present, and 0
	if b.u32[SrcAS] != nil || b.u64[Bytes] != nil {
		t.Error("a vector that nobody asked for")
	}
	c := NewBatch(1)
	c.Append(b, 1, 3)
	if !c.Present[1].Has(SrcAS) || c.U32(SrcAS)[1] != 0 || len(c.U32(SrcAS)) != 2 {
		t.Error("a zero was not copied")
	}
	b.U64(Bytes)[2] = 7
	b.Extend(100)
	b.SetUint(Bytes, 102, 8)
	if b.U64(Bytes)[2] != 7 || len(b.U64(Bytes)) != 103 || len(b.Addr(DstAddr)) != 103 {
		t.Error("a vector lost its values, or has not all rows")
	}
	b.Truncate(2)
	b.Extend(1)
	if b.Present[2] != (Mask{}) || b.U32(SrcAS)[2] != 0 {
		t.Error("not clean")
	}
}

func TestAppendJSON(t *testing.T) {
	b := NewBatch(1)
	b.Extend(1)
	b.SetUint(Received, 0, 1700000000123)
	b.SetUint(ExportProtocol, 0, IPFIX)
	b.SetUint(SrcMAC, 0, 0x0200deadbeef)
	b.SetAddr(SrcAddr, 0, AddrFrom4([4]byte{192, 0, 2, 1}))
	b.SetAddr(DstAddr, 0, AddrFrom(netip.MustParseAddr("2001:db8::1")))
	b.SetUint(FlowEndReason, 0, 77)
	b.SetUint(Bytes, 0, 1500)
	want := `{"received":"2023-11-14T22:13:20.123Z","export_protocol":"ipfix","bytes":1500,"src_addr":"192.0.2.1","dst_addr":"2001:db8::1","src_mac":"02:00:de:ad:be:ef","flow_end_reason":"77"}`
	got := string(b.AppendJSON(nil, 0))
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if !json.Valid([]byte(got)) {
		t.Error("not JSON")
	}
}

func BenchmarkExtendReset(b *testing.B) {
	batch := NewBatch(4096)
	b.ReportAllocs()
	for b.Loop() {
		first := batch.Extend(24)
		for i := first; i < first+24; i++ {
			batch.U64(Bytes)[i] = 1
			batch.Present[i].Add(Bytes)
			for c := SrcAS; c < DstMAC; c++ {
				batch.Present[i].Add(c)
			}
		}
		if batch.Len() > 4000 {
			batch.Reset()
		}
	}
}
