package query

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// memoryFile is a file in memory, for as long as it is open, and a path by
// which this process reads it.
func memoryFile() (f *os.File, path string, err error) {
	fd, err := unix.MemfdCreate("minamo-flows", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, "", os.NewSyscallError("memfd_create", err)
	}
	return os.NewFile(uintptr(fd), "minamo-flows"), "/proc/self/fd/" + strconv.Itoa(fd), nil
}
