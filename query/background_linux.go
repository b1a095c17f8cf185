package query

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// Background runs f on a thread of its own that has a lower priority (nice
// 10): next to busy ingest it gets a ninth of a processor, next to nothing all
// of it. Threads that f starts inherit the priority; so an engine opened in
// the background computes there, with all its threads, whoever asks it.
func Background(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends, for without privileges it cannot rise again
		// Where it fails, the question is answered at the usual priority.
		_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), 10)
		f()
	}()
	<-done
}
