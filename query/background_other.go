//go:build !linux

package query

// Background runs f. Only Linux has priorities of threads.
func Background(f func()) { f() }
