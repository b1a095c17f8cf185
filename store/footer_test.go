package store

import (
	"os"
	"path/filepath"
	"testing"
)

// Whatever a disk does to a file, looking at it ends with an answer.
func FuzzDamagedFile(f *testing.F) {
	whole := newEncoder().encode(numbered(0, 20))
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	rng := seeded()
	for range 300 {
		damaged := append([]byte(nil), whole...)
		for range 1 + rng.IntN(3) {
			damaged[rng.IntN(len(damaged)-8)] = byte(rng.Uint32())
		}
		f.Add(damaged)
	}
	path := filepath.Join(f.TempDir(), "x.parquet")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		in := input{file: file}
		if in.meta, in.end, err = readFooter(file); err != nil {
			return
		}
		if in.verify() == nil {
			common([]input{in})
		}
	})
}
