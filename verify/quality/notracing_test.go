//go:build !race

package quality

const racing = false
