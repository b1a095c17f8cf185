//go:build !unix

package main

import "time"

// processorTime is not known here.
func processorTime() (system, user time.Duration) { return 0, 0 }
