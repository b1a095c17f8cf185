package query

import (
	"fmt"
	"strings"
	"testing"
)

// BenchmarkParseFilter parses short filters and long ones; ns/op over B of text.
func BenchmarkParseFilter(b *testing.B) {
	var list, chain []string
	for i := range 20_000 {
		list = append(list, fmt.Sprintf("10.%d.%d.0/24", i>>8, i&255))
		chain = append(chain, fmt.Sprintf("src port %d", i))
	}
	for name, text := range map[string]string{
		"usual": "src net 10.0.0.0/8 and not dst net 10.0.0.0/8 and proto tcp and dst port in [80 443] and bytes > 10k",
		"list":  "src ip in [" + strings.Join(list, " ") + "]",
		"chain": strings.Join(chain, " or "),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ParseFilter(text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("complete", func(b *testing.B) {
		for b.Loop() {
			if c := Complete("proto tcp and ", 14); len(c.Words) < 100 {
				b.Fatal(c)
			}
		}
	})
}
