//go:build race

package quality

// racing: the simulated network is twenty times as slow under the race detector.
const racing = true
