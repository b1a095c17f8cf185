//go:build !linux

package query

import "os"

// memoryFile is a file and a path by which this process reads it. Elsewhere
// than on Linux it is in the temporary directory.
func memoryFile() (f *os.File, path string, err error) {
	f, err := os.CreateTemp("", "minamo-flows-*.parquet")
	if err != nil {
		return nil, "", err
	}
	return f, f.Name(), nil
}
