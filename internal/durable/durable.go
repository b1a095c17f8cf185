// Package durable writes small files whole: after a crash there is the old
// content or the new, never half of one. And it names contents, so that of two who
// change one at the same time the second is told.
package durable

import (
	"errors"
	"os"
	"path/filepath"
)

// WriteFile replaces a file, making its directory where it is missing. When it
// returns without an error, the content outlives a loss of power.
func WriteFile(path string, content []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.Create(path + ".new")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
