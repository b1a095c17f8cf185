package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/minamo-flow/minamo/flow"
)

// An index names every block that an address is in, and few others.
func TestIndexBlocks(t *testing.T) {
	rng := seeded()
	for _, rows := range []int{1, 31, 32, 33, 1000, 70_001, 131_072} {
		var x indexer
		x.reset(rows)
		x.column(4)
		x.page(rows, 100)
		want := map[flow.Addr]uint32{}
		for range 2 {
			var addrs []flow.Addr
			levels := make([]uint8, rows)
			for row := range rows {
				if rng.IntN(10) == 0 {
					continue
				}
				a := flow.AddrFrom4([4]byte{10, byte(rng.IntN(3)), byte(rng.IntN(256)), byte(rng.IntN(1 + rng.IntN(256)))})
				addrs, levels[row] = append(addrs, a), 1
				want[a] |= 1 << (row / x.blockRows)
			}
			x.add(addrs, levels, 0)
		}
		index, err := parseIndex(x.appendTo(nil), int64(rows), 1000)
		if err != nil {
			t.Fatal(err)
		}
		for a, blocks := range want {
			if got := index.blocks(a); got&blocks != blocks {
				t.Fatalf("%d rows: %s is in blocks %b, the index says %b", rows, a, blocks, got)
			}
		}
		found := 0
		for i := range 1000 {
			if index.blocks(flow.AddrFrom4([4]byte{11, 0, byte(i >> 8), byte(i)})) != 0 {
				found++
			}
		}
		if found > 900 {
			t.Errorf("%d rows: %d of 1000 addresses are found that are not there", rows, found)
		}
	}
}

func FuzzIndex(f *testing.F) {
	var x indexer
	x.reset(100)
	x.column(4)
	x.page(60, 70)
	x.page(40, 30)
	x.add(slices.Repeat([]flow.Addr{{1}, {2}, {3}, {4}}, 25), nil, 0)
	data := x.appendTo(nil)
	f.Add(data[:len(data)-4], int64(100), int64(100))
	f.Fuzz(func(t *testing.T, data []byte, rows, size int64) {
		if rows <= 0 || rows > maxGroup || size < 0 {
			return
		}
		data = binary.LittleEndian.AppendUint32(slices.Clone(data), crc32.ChecksumIEEE(data))
		x, err := parseIndex(data, rows, size)
		if x == nil || err != nil {
			return
		}
		for i := range 256 {
			x.blocks(flow.Addr{byte(i)})
		}
		for _, c := range x.columns {
			for _, p := range c.pages {
				if p.at < 0 || p.at+p.size > size || p.row < 0 || p.row+p.rows > rows {
					t.Fatalf("page %+v is outside of %d rows, %d bytes", p, rows, size)
				}
			}
		}
	})
}

// addressed fills a batch with flows among few addresses, some of them popular.
func addressed(b *flow.Batch, n int, from int64, rng *rand.Rand) {
	first := b.Len()
	generate(b, n, from, rng)
	host := func() flow.Addr {
		i := int(1000 / (1 + 1000*rng.Float64()*rng.Float64()))
		if i%7 == 3 {
			return flow.Addr{0: 0x20, 1: 1, 14: byte(i >> 8), 15: byte(i)}
		}
		return flow.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)})
	}
	for i := first; i < b.Len(); i++ {
		b.SetAddr(flow.SrcAddr, i, host())
		b.SetAddr(flow.DstAddr, i, host())
		if rng.IntN(50) == 0 {
			b.SetText(flow.SrcUser, i, []byte(strings.Repeat("x", rng.IntN(30))))
		}
	}
}

// Find hands on just the flows that have an address, in the order of storage,
// where there is an index, and says of all other rows which may have it.
func TestFind(t *testing.T) {
	dir, rng := t.TempDir(), seeded()
	at := time.UnixMilli(noon).AddDate(0, -1, 0) // its hour is over
	for i, n := range []int{100_000, 1000, 70_000, 9000} {
		b := flow.NewBatch(1)
		addressed(b, n, noon+int64(i)*60_000, rng)
		if _, err := WriteSegment(dir, b, at.Add(time.Duration(i)*time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	check := func(name string) {
		t.Helper()
		s, err := Pin(dir, time.Time{}, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		for range 30 {
			wanted := map[flow.Column][]flow.Addr{}
			for _, c := range []flow.Column{flow.SrcAddr, flow.DstAddr} {
				for range rng.IntN(3) {
					i := rng.IntN(1 + rng.IntN(1000))
					wanted[c] = append(wanted[c], flow.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)}), flow.Addr{0: 0x20, 1: 1, 14: byte(i >> 8), 15: byte(i)})
				}
			}
			var got, want []string
			collect := func(to *[]string) func(b *flow.Batch) error {
				return func(b *flow.Batch) error {
					for i := range b.Len() {
						for c, addrs := range wanted {
							if b.Present[i].Has(c) && slices.Contains(addrs, b.Addr(c)[i]) {
								*to = append(*to, string(b.AppendJSON(nil, i)))
								break
							}
						}
					}
					return nil
				}
			}
			copied := 0
			add := collect(&got)
			if err := s.Find(t.Context(), time.Time{}, time.Time{}, wanted, 1<<20, func(b *flow.Batch) error {
				copied += b.Len()
				return add(b)
			}, func(r Range) error {
				row := int64(0)
				return Read(r.Path, flow.Mask{}, func(b *flow.Batch) error {
					part := flow.NewBatch(1)
					part.Append(b, int(min(max(r.First-row, 0), int64(b.Len()))), int(max(min(r.End-row, int64(b.Len())), 0)))
					row += int64(b.Len())
					return add(part)
				})
			}); err != nil {
				t.Fatal(err)
			}
			for _, path := range s.Paths() {
				if err := Read(path, flow.Mask{}, collect(&want)); err != nil {
					t.Fatal(err)
				}
			}
			if !slices.Equal(got, want) {
				t.Fatalf("%s: found %d flows of %v, want %d", name, len(got), wanted, len(want))
			}
			if copied > len(want) {
				t.Fatalf("%s: %d flows were handed on, %d have an address", name, copied, len(want))
			}
			if len(want) > 1 {
				if err := s.Find(t.Context(), time.Time{}, time.Time{}, wanted, 0, func(*flow.Batch) error { return nil }, func(Range) error { return nil }); copied > 0 && !errors.Is(err, ErrMany) {
					t.Fatalf("more flows than were asked for: %v", err)
				}
			}
		}
	}
	check("sealed")
	s, err := Open(Config{Dir: dir}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Compact(t.Context(), nil), s.Close()); err != nil {
		t.Fatal(err)
	}
	check("merged")
	if checked, err := Check(context.Background(), dir, nil); err != nil || checked.Wrong() {
		t.Errorf("%+v, %v", checked, err)
	}
}

// An index that is damaged, or that lies, is told of by Check; a damaged one is
// not used.
func TestWrongIndex(t *testing.T) {
	for _, c := range []struct{ name, want string }{{"damaged", "checksum"}, {"lying", "does not tell where"}, {"other pages", "other pages"}} {
		dir, rng := t.TempDir(), seeded()
		b := flow.NewBatch(1)
		addressed(b, 70_000, noon, rng)
		segment, err := WriteSegment(dir, b, time.UnixMilli(noon))
		if err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(segment.Path)
		if err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(segment.Path)
		if err != nil {
			t.Fatal(err)
		}
		meta, _, err := readFooter(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		_, at, length, ok := indexOf(&meta.RowGroups[0])
		if !ok {
			t.Fatal("a segment of 70,000 flows has no index")
		}
		index := data[at:][:length-4]
		switch c.name {
		case "damaged":
			index[len(index)-20] ^= 1
		case "lying":
			index[len(index)-20] ^= 1
			binary.LittleEndian.PutUint32(data[at+length-4:], crc32.ChecksumIEEE(index))
		case "other pages":
			// One byte less of a page, and one more of the next: the first two sizes of two bytes.
			x, _, err := readIndex(strings.NewReader(string(data)), int64(len(data)), &meta.RowGroups[0])
			if err != nil {
				t.Fatal(err)
			}
			pages := x.columns[slices.IndexFunc(x.columns, func(c columnPages) bool { return len(c.pages) > 30 })].pages
			from := binary.AppendUvarint(binary.AppendUvarint(nil, uint64(pages[0].rows)), uint64(pages[0].size))
			to := binary.AppendUvarint(binary.AppendUvarint(nil, uint64(pages[0].rows)), uint64(pages[0].size-1))
			copy(index[strings.Index(string(index), string(from)):], to)
			binary.LittleEndian.PutUint32(data[at+length-4:], crc32.ChecksumIEEE(index))
		}
		if err := os.WriteFile(segment.Path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		checked, err := Check(context.Background(), dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		if problems := fmt.Sprint(checked.Findings); !checked.Wrong() || !strings.Contains(problems, c.want) {
			t.Errorf("%s: %s", c.name, problems)
		}
		if c.name == "damaged" {
			s, err := Pin(dir, time.Time{}, time.Time{})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			var ranges []Range
			if err := s.Find(t.Context(), time.Time{}, time.Time{}, map[flow.Column][]flow.Addr{flow.SrcAddr: {b.Addr(flow.SrcAddr)[7]}}, 1<<20,
				func(*flow.Batch) error { t.Error("it is used"); return nil }, func(r Range) error { ranges = append(ranges, r); return nil }); err != nil || len(ranges) != 1 {
				t.Errorf("%v, %v", ranges, err)
			}
		}
	}
}
