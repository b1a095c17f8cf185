package store

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestRowsAreSortedByKey(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	for _, n := range []int{0, 1, 2, 3000} {
		for _, bits := range []int{0, 1, 12, 40, 64} {
			places := make([]spot, n)
			for i := range places {
				places[i] = spot{rng.Uint64() >> (64 - bits), int32(i)}
			}
			want := slices.Clone(places)
			slices.SortStableFunc(want, func(a, b spot) int { return cmp.Compare(a.key, b.key) })
			if !slices.Equal(byKey(places), want) {
				t.Errorf("%d keys of %d bits are not in order", n, bits)
			}
		}
	}
}
