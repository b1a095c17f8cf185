//go:build unix

package main

import (
	"syscall"
	"time"
)

// processorTime is what the process has used, in the kernel and by itself.
func processorTime() (system, user time.Duration) {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0, 0
	}
	return time.Duration(usage.Stime.Nano()), time.Duration(usage.Utime.Nano())
}
