package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// lock takes the directory for this process. The kernel frees it when the
// process ends, however it ends.
func lock(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "LOCK"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, unusable(dir, err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		defer f.Close()
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("store: lock %s: %w; use a file system that has flock", f.Name(), err)
		}
		holder := "another process"
		if text, err := io.ReadAll(io.LimitReader(f, 20)); err == nil && len(text) > 0 {
			holder = "process " + strings.TrimSpace(string(text))
		}
		return nil, fmt.Errorf("store: data directory %s is in use by %s: stop that server first, or choose another directory (--data)", dir, holder)
	}
	if err := writePid(f); err != nil {
		f.Close()
		return nil, unusable(dir, err)
	}
	return f, nil
}

// writePid tells a second server, and people, who holds the lock. A full disk
// is no reason not to start: the lock holds without it.
func writePid(f *os.File) error {
	err := f.Truncate(0)
	if err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return nil
	}
	return err
}

func unusable(dir string, err error) error {
	return fmt.Errorf("store: data directory %s cannot be used: %w; make it readable and writable for user id %d, or choose another one (--data)", dir, err, os.Geteuid())
}
