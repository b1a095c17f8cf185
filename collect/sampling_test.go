package collect

import "testing"

// TestRatesAreNotStretched demands that a rate holds for what it was announced
// for, and for nothing else.
func TestRatesAreNotStretched(t *testing.T) {
	interface1 := announcement{Scope: scopeInterface, ID: 1, Rate: 1000}
	sampler1, sampler2 := announcement{Scope: scopeSampler, ID: 1, Rate: 100}, announcement{Scope: scopeSampler, ID: 2, Rate: 200}
	card := func(id uint64, rate uint32) announcement {
		return announcement{Scope: scopeLineCard, ID: id, Rate: rate}
	}
	whole := announcement{Scope: scopeDomain, Rate: 10}
	const none = -1
	for name, c := range map[string]struct {
		announced     []announcement
		sampler, inIf int
		want          uint32 // 0: nobody told
	}{
		"its interface":                        {[]announcement{interface1}, none, 1, 1000},
		"another interface":                    {[]announcement{interface1}, none, 2, 0},
		"its sampler":                          {[]announcement{sampler1, sampler2, whole}, 2, 1, 200},
		"another sampler":                      {[]announcement{sampler1}, 5, 1, 0},
		"no sampler named, all alike":          {[]announcement{sampler1, {Scope: scopeSampler, ID: 2, Rate: 100}}, none, 1, 100},
		"no sampler named, they differ":        {[]announcement{sampler1, sampler2}, none, 1, 0},
		"they differed":                        {[]announcement{sampler1, sampler2, {Scope: scopeSampler, ID: 2, Rate: 100}}, none, 1, 100},
		"the domain's, before an open one":     {[]announcement{sampler1, whole}, none, 1, 10},
		"line cards alike":                     {[]announcement{card(1, 7), card(2, 7)}, none, 1, 7},
		"line cards alike, an unknown sampler": {[]announcement{card(1, 7)}, 3, 1, 7},
		"line cards differ":                    {[]announcement{card(1, 7), card(2, 8)}, none, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var s samplers
			for _, a := range c.announced {
				if news, err := s.add(a); !news || err != nil {
					t.Fatal(news, err)
				}
				if news, _ := s.add(a); news {
					t.Error("the same again is news")
				}
			}
			if got, _ := s.rate(uint64(max(c.sampler, 0)), c.sampler != none, uint32(max(c.inIf, 0)), c.inIf != none); got != c.want {
				t.Errorf("1:%d, want 1:%d", got, c.want)
			}
		})
	}
}

// BenchmarkRate looks for an interface among four thousand.
func BenchmarkRate(b *testing.B) {
	var s samplers
	for i := range uint64(maxSamplers) {
		s.add(announcement{Scope: scopeInterface, ID: i, Rate: 100})
	}
	for i := uint32(0); b.Loop(); i++ {
		s.rate(0, false, i%(2*maxSamplers), true)
	}
}
